//! Two first sign-ins that meet on PostgreSQL: whoever comes twice at once is one member, and is let in twice.

use portcullis_domain::id::{ConnectionId, RequestId};
use portcullis_service::oidc::logout::ProviderSession as Named;
use portcullis_service::recognition::{Wish, admit};
use portcullis_service::refusal::SignInRefusal;
use portcullis_service::session::Opened;
use portcullis_service::sign_in::ProviderSession;
use portcullis_service::{Limits, Moment, ServiceError};
use portcullis_store::Tx;
use portcullis_store::connection::find_by_id;
use portcullis_testkit::{Bench, PUBLIC_URL, ROOT_TOKEN};
use serde_json::{Value, json};

use super::races::{Met, meet};
use crate::recognizing::{ADA, ada, connection, made, open_to_newcomers, prepare};

const IDP: &str = "https://idp.acme.test";

/// Ada comes in by that connection.
fn arrival(
    id: ConnectionId,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<Opened, ServiceError> + Send + 'static {
    move |tx, moment| {
        let mut arrival = ada(find_by_id(tx, id)?.unwrap());
        arrival.external_ids = vec!["ext-ada".to_owned()];
        let wish = Wish {
            arrival: &arrival,
            session: &ProviderSession::Oidc(Named::named(&arrival.subject, None)),
            linking: None,
            begun_at: moment.now,
            presented: &[],
            limits: Limits::default(),
            request: RequestId::fresh(moment.now, &mut moment.random),
        };
        Ok(admit(tx, moment, &wish)??)
    }
}

/// A company whose people come by connections that `with` makes.
fn company<T>(with: impl AsyncFnOnce(&Bench) -> T) -> Option<(Bench, T)> {
    let bench = Bench::postgres_with(4)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime.block_on(async {
        prepare(&bench).await;
        with(&bench).await
    });
    Some((bench, made))
}

fn members(bench: &Bench) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = format!("/api/v1/organizations/acme/members?email={ADA}");
    let (status, page) = runtime.block_on(bench.call("GET", &path, ROOT_TOKEN, Value::Null));
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

/// Both are let in, as the one member that there is.
fn are_one(bench: &Bench, met: Met<Opened, Opened>) {
    let (first, second) = (met.first.expect("the first"), met.second.expect("the second"));
    assert!(!met.passed, "the second waits until it can see the first");
    assert_eq!(first.membership, second.membership);
    assert_ne!(first.token, second.token, "each browser has a session of its own");
    let members = members(bench);
    assert_eq!(members.len(), 1, "{members:?}");
    assert_eq!(members[0]["id"], first.membership.to_string());
    assert_eq!(members[0]["state"], "active");
}

#[test]
fn a_newcomer_who_comes_twice_at_once_is_one_member_and_is_let_in_twice_on_postgresql() {
    let found = company(async |bench: &Bench| connection(bench, IDP, open_to_newcomers()).await);
    let Some((bench, id)) = found else { return };
    are_one(&bench, meet(&bench, arrival(id), arrival(id)));
}

#[test]
fn an_invited_person_who_comes_twice_at_once_is_let_in_twice_on_postgresql() {
    let found = company(async |bench: &Bench| {
        made(bench, "/acme/invitations", json!({ "email": ADA, "role": "member" })).await;
        connection(bench, IDP, json!({})).await
    });
    let Some((bench, id)) = found else { return };
    are_one(&bench, meet(&bench, arrival(id), arrival(id)));
}

#[test]
fn somebody_of_a_directory_who_comes_twice_at_once_is_let_in_twice_on_postgresql() {
    let found = company(async |bench: &Bench| {
        let body = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
        let directory = made(bench, "/acme/directories", body).await;
        let base = directory["base_url"].as_str().unwrap().trim_start_matches(PUBLIC_URL);
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": ADA, "active": true,
            "externalId": "ext-ada", "emails": [{ "value": ADA, "primary": true }],
        });
        let token = directory["token"].as_str().unwrap();
        assert_eq!(bench.call("POST", &format!("{base}/Users"), token, user).await.0, 201);
        connection(bench, IDP, json!({ "directory": directory["id"] })).await
    });
    let Some((bench, id)) = found else { return };
    are_one(&bench, meet(&bench, arrival(id), arrival(id)));
}

#[test]
fn a_newcomer_who_comes_by_two_connections_at_once_is_not_doubled_on_postgresql() {
    let found = company(async |bench: &Bench| {
        let one = connection(bench, IDP, open_to_newcomers()).await;
        (one, connection(bench, "https://other.acme.test", open_to_newcomers()).await)
    });
    let Some((bench, (one, other))) = found else { return };
    let met = meet(&bench, arrival(one), arrival(other));
    assert!(met.first.is_ok() && !met.passed);
    let refused = ServiceError::from(SignInRefusal::NotInvited);
    assert_eq!(met.second.map(|opened| opened.membership), Err(refused), "as if it had come a moment later");
    assert_eq!(members(&bench).len(), 1);
}
