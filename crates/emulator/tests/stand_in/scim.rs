//! Each dialect sends what its provider was seen to send.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use portcullis_emulator::{Company, Dialect, FlagPlace, Group, ScimClient, Surroundings};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Debug, Clone)]
struct Seen {
    method: String,
    target: String,
    authorization: String,
    user_agent: String,
    body: Value,
}

type Log = Arc<Mutex<Vec<Seen>>>;

async fn write_down(State(log): State<Log>, request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1024 * 1024).await.unwrap();
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seen = Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        authorization: header("authorization").to_owned(),
        user_agent: header("user-agent").to_owned(),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    log.lock().unwrap().push(seen);
    let headers = [("x-request-id", "req_7"), ("retry-after", "3")];
    (StatusCode::OK, headers, json!({"id": "usr_1", "Resources": [{"id": "usr_2"}]}).to_string())
}

async fn client(dialect: Dialect) -> (ScimClient, Log) {
    let log = Log::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/scim/v2/dir_1/", listener.local_addr().unwrap());
    let router = Router::new().fallback(write_down).with_state(Arc::clone(&log));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let surroundings = Surroundings::new(|| 0, || Duration::from_millis(5), |_| {});
    (ScimClient::new(&base_url, SecretString::from("pc_scim_x"), dialect, surroundings).unwrap(), log)
}

fn last(log: &Log) -> Seen {
    log.lock().unwrap().last().unwrap().clone()
}

fn operations(log: &Log) -> Value {
    last(log).body["Operations"].clone()
}

#[tokio::test]
async fn the_answer_tells_status_request_id_and_body() {
    let (client, log) = client(Dialect::Keycloak).await;
    let answer = client.find_user("ada \"x\"").await.unwrap();
    assert!(answer.is_success());
    assert_eq!(
        (answer.status, answer.request_id.as_deref(), answer.retry_after_s),
        (200, Some("req_7"), Some(3))
    );
    assert_eq!((answer.id(), answer.found_id()), (Some("usr_1"), Some("usr_2")));
    let seen = last(&log);
    assert_eq!((seen.method.as_str(), seen.authorization.as_str()), ("GET", "Bearer pc_scim_x"));
    assert_eq!(seen.target, "/scim/v2/dir_1/Users?filter=userName%20eq%20%22ada%20%5C%22x%5C%22%22");
}

#[tokio::test]
async fn deactivation_is_spelled_as_each_provider_spells_it() {
    let expected = [
        (Dialect::Okta, json!([{"op": "replace", "value": {"active": false}}])),
        (Dialect::EntraLegacy, json!([{"op": "Replace", "path": "active", "value": "False"}])),
        (Dialect::EntraFlag, json!([{"op": "replace", "path": "active", "value": false}])),
        (Dialect::Keycloak, json!([{"op": "replace", "path": "active", "value": false}])),
    ];
    for (dialect, spelled) in expected {
        let (client, log) = client(dialect).await;
        client.deactivate("usr_1").await.unwrap();
        assert_eq!((last(&log).method.as_str(), operations(&log)), ("PATCH", spelled), "{dialect:?}");
    }
}

#[tokio::test]
async fn one_member_is_removed_by_value_or_by_path() {
    let member = ["usr_3".to_owned()];
    let by_path = json!([{"op": "remove", "path": "members[value eq \"usr_3\"]"}]);
    for dialect in Dialect::ALL {
        let (client, log) = client(dialect).await;
        client.remove_members("grp_1", &member).await.unwrap();
        let listed = |op: &str, member: Value| json!([{"op": op, "path": "members", "value": [member]}]);
        let expected = match dialect {
            Dialect::EntraLegacy => listed("Remove", json!({"$ref": null, "value": "usr_3"})),
            Dialect::JumpCloud | Dialect::Authentik => listed("remove", json!({"value": "usr_3"})),
            Dialect::Okta | Dialect::EntraFlag | Dialect::OneLogin | Dialect::PingOne | Dialect::Keycloak => {
                by_path.clone()
            }
        };
        assert_eq!(operations(&log), expected, "{dialect:?}");
    }
}

#[tokio::test]
async fn the_entra_flag_stands_on_every_request_and_nowhere_else() {
    for dialect in Dialect::ALL {
        let (client, log) = client(dialect).await;
        client.find_group("Eng").await.unwrap();
        client.read_user("usr_1").await.unwrap();
        client.delete_user("usr_1").await.unwrap();
        let seen = log.lock().unwrap().clone();
        let flagged = seen.iter().filter(|seen| seen.target.contains("?aadOptscim062020")).count();
        assert_eq!(flagged, if dialect == Dialect::EntraFlag { 3 } else { 0 }, "{seen:?}");
        assert!(seen.iter().all(|seen| !seen.user_agent.is_empty()), "{seen:?}");
    }
}

#[tokio::test]
async fn people_and_groups_are_created_with_what_each_provider_adds() {
    let company = Company::sample("acme.example", 2);
    let (ada, group) = (&company.people[0], &company.groups[0]);
    for dialect in Dialect::ALL {
        let (client, log) = client(dialect).await;
        client.create_user(ada).await.unwrap();
        let user = last(&log).body;
        assert_eq!((&user["userName"], &user["active"]), (&json!("ada.abel@acme.example"), &json!(true)));
        assert_eq!(user["externalId"], json!("person-000000"));
        assert_eq!(user.get("password").is_some(), dialect == Dialect::Okta, "{dialect:?}");
        assert_eq!(user.get("roles").is_some(), matches!(dialect, Dialect::EntraLegacy | Dialect::EntraFlag));
        client.create_group(group, &["usr_1".to_owned()]).await.unwrap();
        let body = last(&log).body;
        assert_eq!(
            (&body["displayName"], &body["members"][0]["value"]),
            (&json!("Everyone"), &json!("usr_1"))
        );
        assert_eq!(body.get("externalId").is_some(), dialect != Dialect::Okta, "{dialect:?}");
    }
}

#[tokio::test]
async fn a_group_is_renamed_as_each_provider_does() {
    let group = Group { external_id: "g-1".to_owned(), display_name: "Eng2".to_owned(), members: Vec::new() };
    let by_path = |op: &str| json!([{"op": op, "path": "displayName", "value": "Eng2"}]);
    for dialect in Dialect::ALL {
        let (client, log) = client(dialect).await;
        client.rename_group("grp_1", &group).await.unwrap();
        let expected = match dialect {
            Dialect::Okta => json!([{"op": "replace", "value": {"id": "grp_1", "displayName": "Eng2"}}]),
            Dialect::Authentik => json!([{"op": "replace", "value": {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "id": "grp_1", "externalId": "g-1", "displayName": "Eng2",
            }}]),
            Dialect::EntraLegacy => by_path("Replace"),
            _ => by_path("replace"),
        };
        assert_eq!(operations(&log), expected, "{dialect:?}");
    }
    let (okta, log) = client(Dialect::Okta).await;
    okta.replace_members("grp_1", "Eng2", &[]).await.unwrap();
    let emptied = json!([{"op": "replace", "value": {"members": [], "id": "grp_1", "displayName": "Eng2"}}]);
    assert_eq!(operations(&log), emptied);
}

#[test]
fn the_flag_of_entra_stands_where_an_administrator_may_have_put_it() {
    let target = |place, dialect: Dialect| dialect.find_user("a").with_flag(place).target(dialect);
    let filter = "filter=userName%20eq%20%22a%22";
    for (place, query) in [
        (FlagPlace::First, format!("aadOptscim062020&{filter}")),
        (FlagPlace::Last, format!("{filter}&aadOptscim062020")),
        (FlagPlace::Valued, format!("{filter}&aadOptscim062020=true")),
    ] {
        assert_eq!(target(place, Dialect::EntraFlag), format!("/Users?{query}"));
        assert_eq!(target(place, Dialect::EntraLegacy), format!("/Users?{filter}"));
    }
}

#[test]
fn an_id_of_a_server_is_one_segment_of_the_path_whatever_is_in_it() {
    let target = Dialect::Keycloak.delete_user("../Groups/a b?c#d").target(Dialect::Keycloak);
    assert_eq!(target, "/Users/..%2FGroups%2Fa%20b%3Fc%23d");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_and_no_answer() {
    let surroundings = Surroundings::predictable(|| 0, 1);
    let token = SecretString::from("x");
    let client =
        ScimClient::new("http://127.0.0.1:1/scim", token.clone(), Dialect::Okta, surroundings.clone())
            .unwrap();
    assert!(client.find_user("a").await.is_err());
    assert!(ScimClient::new("not a url", token, Dialect::Okta, surroundings).is_err());
}
