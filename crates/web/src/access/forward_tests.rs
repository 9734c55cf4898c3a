//! What a proxy is told where nothing can be answered.

use portcullis_store::StoreError;

use super::*;

#[test]
fn whoever_cannot_be_answered_now_is_told_when_to_ask_again() {
    let unavailable = ServiceError::Store(StoreError::Unavailable(String::new()));
    let answer = failed(unavailable.into());
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
}
