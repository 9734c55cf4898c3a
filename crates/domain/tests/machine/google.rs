//! By which right Google is asked, and in whose name.

use portcullis_domain::google::{ConsentClient, ConsentGiven, GoogleKey, GoogleRight, WorkloadUse};

use crate::fixture::NOW;

const ADMIN: &str = "admin@acme.test";

#[test]
fn google_is_asked_in_the_name_of_whoever_was_named_or_consented_and_only_the_former_delegate() {
    let key = GoogleRight::Key(GoogleKey {
        delegated_admin: ADMIN.to_owned(),
        client_email: "poller@acme.test".to_owned(),
        client_id: "1".to_owned(),
        key_id: "2".to_owned(),
        key_sealed: "sealed".to_owned(),
    });
    let workload = GoogleRight::Workload(WorkloadUse { delegated_admin: ADMIN.to_owned(), vouched_at: None });
    let client = ConsentClient {
        hosted_domain: "acme.test".to_owned(),
        client_id: "3".to_owned(),
        client_secret_sealed: "sealed".to_owned(),
        given: None,
    };
    let given = ConsentGiven { by: ADMIN.to_owned(), at: NOW, refresh_sealed: "sealed".to_owned() };
    let consented = GoogleRight::Consent(ConsentClient { given: Some(given), ..client.clone() });
    let asked = GoogleRight::Consent(client);
    for (right, word, asks_as, delegated) in [
        (key, "service_account", Some(ADMIN), Some(ADMIN)),
        (workload, "workload_identity", Some(ADMIN), Some(ADMIN)),
        (consented, "consent", Some(ADMIN), None),
        (asked, "consent", None, None),
    ] {
        assert_eq!(right.kind().as_str(), word);
        assert_eq!((right.asks_as(), right.delegated_admin()), (asks_as, delegated), "{word}");
    }
}
