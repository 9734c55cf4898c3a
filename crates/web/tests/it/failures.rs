//! What fails on our side stands once in the log, under the id that its caller was told.

use std::io::Write;
use std::sync::{Arc, Mutex};

use portcullis_service::ServiceError;
use portcullis_service::noun::Noun;
use portcullis_testkit::{Exchange, ROOT_TOKEN};
use portcullis_web::scim::error::Refused;
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{DefaultGuard, set_default};

use crate::scim::provider::{Provider, patch};

/// The log of this thread, as it is by default: lines from `info` up, no spans.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let to = log.clone();
        let lines = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(LevelFilter::INFO)
            .with_writer(move || to.clone())
            .finish();
        (log, set_default(lines))
    }

    /// The one line that names the request of that answer.
    #[track_caller]
    fn line_of(&self, answer: &Exchange) -> Value {
        let id = answer.headers["x-request-id"].to_str().unwrap();
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(id)).collect();
        let [line] = lines.as_slice() else { panic!("`{id}` is in {} lines of: {text}", lines.len()) };
        serde_json::from_str(line).unwrap()
    }
}

#[tokio::test]
async fn what_failed_on_our_side_is_in_the_log_under_the_id_that_its_caller_was_told() {
    let provider = Provider::with(Some("member"), 0);
    let bench = &provider.bench;
    let (_, team) = bench
        .call("POST", "/api/v1/organizations/acme/teams", ROOT_TOKEN, json!({ "slug": "a", "name": "A" }))
        .await;
    let user = provider.user("ada").await;
    bench.write(|tx, _| {
        Ok(tx.batch("UPDATE teams SET slug = 'NO SLUG'; UPDATE memberships SET state = 'no state'")?)
    });
    let (log, _until_the_end) = Log::begin();

    let path = format!("/api/v1/organizations/acme/teams/{}", team["id"].as_str().unwrap());
    let bearer = format!("Bearer {ROOT_TOKEN}");
    let failed = bench.exchange("GET", &path, &[("authorization", &bearer)], &Value::Null).await;
    assert_eq!(failed.status, 500, "{}", failed.text());
    let line = log.line_of(&failed);
    assert_eq!(line["error.code"], "internal", "{line}");
    assert_eq!(line["http.method"], "GET", "{line}");
    assert_eq!(line["http.route"], "/api/v1/organizations/{org}/teams/{team}", "{line}");
    assert!(line["error.message"].as_str().unwrap().contains("team.find"), "{line}");

    let leaves = patch(json!([{ "op": "replace", "path": "active", "value": false }]));
    let failed = provider.call("PATCH", &format!("/Users/{user}"), leaves.clone()).await;
    assert_eq!(failed.status, 500, "{}", failed.text());
    assert!(log.line_of(&failed)["error.message"].is_string());

    let operation = json!({ "method": "PATCH", "path": format!("/Users/{user}"), "data": leaves });
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [operation],
    });
    let answered = provider.call("POST", "/Bulk", bulk).await;
    assert_eq!(answered.json()["Operations"][0]["status"], "500", "{}", answered.text());
    assert!(log.line_of(&answered)["error.message"].is_string(), "the whole is answered 200");

    let refused = provider.call("GET", "/Nowhere", Value::Null).await;
    assert_eq!(refused.status, 404, "{}", refused.text());
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(
        text.lines().filter(|line| line.contains("\"ERROR\"")).count(),
        3,
        "a refusal is no failure: {text}"
    );
}

#[test]
fn no_provider_hears_that_a_person_is_not_there_because_a_thing_of_ours_is_not() {
    for noun in [Noun::User, Noun::Group, Noun::Directory] {
        let refused = Refused::from(ServiceError::NotFound(noun));
        assert_eq!((refused.status.as_u16(), refused.code), (404, "not_found"), "{noun}");
    }
    let refused = Refused::from(ServiceError::NotFound(Noun::Role));
    assert_eq!((refused.status.as_u16(), refused.code), (500, "internal"));
    assert!(refused.inside.unwrap().message.contains("no such role"), "the log tells");
}
