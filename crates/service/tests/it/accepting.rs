//! A link that is accepted while what it goes by changes: between the look at it and what is written of it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::UserChange;
use portcullis_domain::plan::Plan;
use portcullis_domain::user::AuthenticatorKind;
use portcullis_domain::{Clock, Timestamp};
use portcullis_service::sign_in::Visitor;
use portcullis_service::sign_in::binding::Bound;
use portcullis_service::{Portcullis, ServiceError, Surroundings, invitation};
use portcullis_testkit::{Bench, Persona, ROOT_TOKEN, SetClock};
use serde_json::json;

/// A clock that does something when it is asked for the second time: a link was looked at by then, and nothing written.
struct Between {
    clock: Arc<SetClock>,
    asked: AtomicUsize,
    then: Box<dyn Fn() + Send + Sync>,
}

impl Clock for Between {
    fn now(&self) -> Timestamp {
        if self.asked.fetch_add(1, Ordering::SeqCst) == 1 {
            (self.then)();
        }
        self.clock.now()
    }
}

/// The same product, with that done in between.
fn with(bench: &Bench, then: impl Fn() + Send + Sync + 'static) -> Portcullis {
    let clock = Between { clock: Arc::clone(&bench.clock), asked: AtomicUsize::new(0), then: Box::new(then) };
    Portcullis::new(Surroundings { clock: Arc::new(clock), ..bench.portcullis().around().clone() })
}

pub async fn invited(bench: &Bench, email: &str) -> String {
    let body = json!({ "email": email, "role": "member" });
    let (status, made) = bench.call("POST", "/api/v1/organizations/acme/invitations", ROOT_TOKEN, body).await;
    assert_eq!(status, 201, "{made}");
    made["link"].as_str().unwrap().rsplit_once('=').unwrap().1.to_owned()
}

pub async fn accept(portcullis: &Portcullis, secret: &str) -> Result<(), ServiceError> {
    let visitor = Visitor {
        browser: None,
        bound: Bound::default(),
        presented: Vec::new(),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        request: "req_00000000000000000000000000000001".parse().unwrap(),
    };
    invitation::accept(portcullis, secret, "a long sentence is fine".into(), visitor).await.map(|_| ())
}

/// Gives somebody a password at their address.
fn give_password(bench: &Bench, to: &Persona, address: &'static str) -> impl Fn() + Send + Sync + 'static {
    let (store, portcullis) = (Arc::clone(&bench.portcullis().around().store), bench.portcullis().clone());
    let (organization, user, membership) = (to.organization, to.user, to.membership);
    move || {
        let portcullis = portcullis.clone();
        let write = store.write_blocking(move |tx| {
            let mut moment = portcullis.moment();
            let event = EventDraft::new(Action::MemberJoined, membership);
            let password = UserChange::SetAuthenticator {
                user,
                kind: AuthenticatorKind::Password,
                secret: "no password has this hash".to_owned(),
                email_key: address.to_owned(),
                at: moment.now,
            };
            let plan = Plan::because(organization, Cause::system()).then(event, password);
            moment.apply(tx, &plan)
        });
        write.unwrap();
    }
}

#[tokio::test]
async fn a_link_is_refused_if_its_address_has_come_to_be_somebodys_since_it_was_looked_at() {
    let bench = Bench::of_the_run();
    bench.organization("acme");
    let elsewhere = bench.organization("globex");
    let ada = bench.member(elsewhere, "ada@globex.test", "member");
    let link = invited(&bench, "ada@acme.test").await;
    let portcullis = with(&bench, give_password(&bench, &ada, "ada@acme.test"));
    assert!(matches!(accept(&portcullis, &link).await, Err(ServiceError::LinkInvalid)));

    let link = invited(&bench, "bob@acme.test").await;
    accept(&with(&bench, || ()), &link).await.unwrap();
}
