//! Two who choose a password at one address at once: each is compared with what the other has chosen, or no sign-in would
//! find it.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::UserChange;
use portcullis_domain::plan::Plan;
use portcullis_domain::user::AuthenticatorKind;
use portcullis_service::{Moment, ServiceError};
use portcullis_store::Tx;
use portcullis_store::db::Lock;
use portcullis_testkit::Bench;

use super::races::meet_call;
use crate::accepting::{accept, invited};

#[test]
fn of_two_who_choose_a_password_at_one_address_at_once_the_second_is_refused_on_postgresql() {
    let Some(bench) = Bench::postgres_with(8) else { return };
    bench.organization("acme");
    let globex = bench.organization("globex");
    let ada = bench.member(globex, "ada@globex.test", "member");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let link = runtime.block_on(invited(&bench, "ada@acme.test"));
    let first = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        tx.lock(Lock::Address("ada@acme.test".to_owned()))?;
        let password = UserChange::SetAuthenticator {
            user: ada.user,
            kind: AuthenticatorKind::Password,
            secret: "no password has this hash".to_owned(),
            email_key: "ada@acme.test".to_owned(),
            at: moment.now,
        };
        let event = EventDraft::new(Action::PasswordSet, ada.user).about(ada.membership);
        moment.apply(tx, &Plan::because(globex, Cause::system()).then(event, password))?;
        Ok(())
    };
    let portcullis = bench.portcullis();
    let met = meet_call(&bench, (None, first), || runtime.block_on(accept(portcullis, &link)));
    met.first.expect("the first");
    assert!(matches!(met.second, Err(ServiceError::LinkInvalid)), "{:?}", met.second);
    assert!(!met.passed, "the second waits until it can see the first");
}
