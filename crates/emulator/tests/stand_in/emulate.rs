//! A run against servers that are none, that fall silent, or that are hostile: it says so, and never more than it knows.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use portcullis_emulator::{
    Dialect, Emulation, Halt, MAX_EMULATED_PEOPLE, MIN_EMULATED_PEOPLE, ScimClient, Step, Surroundings,
    Verdict,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const TOKEN: &str = "a-token-of-these-tests-0123456789";

type Answering = Arc<dyn Fn(&Method, &str) -> Response + Send + Sync>;

async fn serve(answer: impl Fn(&Method, &str) -> Response + Send + Sync + 'static) -> String {
    async fn handle(State(answer): State<Answering>, request: Request) -> Response {
        answer(request.method(), request.uri().path())
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(handle).with_state(Arc::new(answer) as Answering);
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

fn emulation(base: &str, dialect: Dialect, people: usize) -> Emulation {
    let surroundings = Surroundings::predictable(|| 0, 7);
    let client = ScimClient::new(base, SecretString::from(TOKEN), dialect, surroundings).unwrap();
    Emulation::new(client, people)
}

async fn run(base: &str, dialect: Dialect) -> (Verdict, Vec<Step>, Emulation) {
    let mut emulation = emulation(base, dialect, MIN_EMULATED_PEOPLE);
    let mut steps = Vec::new();
    let verdict = emulation.run(&mut |step: &Step| steps.push(step.clone())).await;
    (verdict, steps, emulation)
}

fn scim(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/scim+json")], body.to_string()).into_response()
}

fn empty_list() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": [],
    })
}

#[tokio::test]
async fn what_is_no_scim_server_is_said_to_be_none_and_what_to_correct() {
    let cases: [(u16, &str, &str); 7] = [
        (200, "<html>welcome</html>", "no SCIM list"),
        (401, "", "the token is refused"),
        (403, "", "the token is refused"),
        (404, "", "the base URL is what `/Users` follows"),
        (301, "", "providers follow none"),
        (421, "", "the host of its public URL"),
        (502, "", "the server fails"),
    ];
    for (status, body, said) in cases {
        let base = serve(move |_, _| (StatusCode::from_u16(status).unwrap(), body).into_response()).await;
        for dialect in Dialect::ALL {
            let (verdict, steps, emulation) = run(&base, dialect).await;
            let Some(Halt::Unreachable(why)) = &verdict.halt else { panic!("{status}: {verdict:?}") };
            assert!(why.contains(said), "{status}: {why}");
            assert!(!verdict.is_passed());
            assert_eq!((steps.len(), emulation.left("").len()), (1, 0), "nothing is made where nobody is");
        }
    }
    let (verdict, ..) = run("http://127.0.0.1:1", Dialect::Okta).await;
    assert!(
        matches!(&verdict.halt, Some(Halt::Unreachable(why)) if why.contains("does the server run")),
        "{verdict:?}"
    );
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_told_apart_from_one_where_nobody_listens() {
    let base = serve(|_, _| StatusCode::OK.into_response()).await;
    let (verdict, ..) = run(&base.replace("http:", "https:"), Dialect::Okta).await;
    let Some(Halt::Unreachable(why)) = &verdict.halt else { panic!("{verdict:?}") };
    assert!(why.contains("does not speak TLS"), "{why}");
}

#[tokio::test]
async fn a_server_that_says_the_token_back_is_found_and_the_token_is_not_shown() {
    for json in [true, false] {
        let base = serve(move |_, _| {
            if json {
                let mut list = empty_list();
                list["debug"] = json!({"authorization": format!("Bearer {TOKEN}")});
                scim(StatusCode::OK, &list)
            } else {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("trace: Bearer {TOKEN}")).into_response()
            }
        })
        .await;
        let (verdict, steps, _) = run(&base, Dialect::Okta).await;
        assert!(verdict.failed.iter().any(|what| what.contains("the token came back")), "{verdict:?}");
        assert!(!format!("{steps:?}{verdict:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn what_a_server_says_reaches_no_terminal_as_control_characters() {
    let base =
        serve(|_, _| (StatusCode::OK, [("x-request-id", "req")], "\u{1b}[2J\u{7}gone").into_response()).await;
    let (_, steps, _) = run(&base, Dialect::Okta).await;
    let answer = steps[0].exchanges[0].received.as_ref().unwrap();
    let text = answer.text.as_deref().unwrap();
    assert!(text.ends_with("gone") && !text.contains(char::is_control), "{text:?}");
}

#[tokio::test]
async fn an_id_that_would_climb_out_of_its_collection_is_taken_for_none() {
    for id in ["", ".", ".."] {
        let deleted: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&deleted);
        let base = serve(move |method, path| match *method {
            Method::POST => scim(
                StatusCode::CREATED,
                &json!({
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": id,
                }),
            ),
            Method::DELETE => {
                seen.lock().unwrap().push(path.to_owned());
                StatusCode::NO_CONTENT.into_response()
            }
            _ => scim(StatusCode::OK, &empty_list()),
        })
        .await;
        let (verdict, _, mut emulation) = run(&base, Dialect::PingOne).await;
        assert!(matches!(verdict.halt, Some(Halt::CannotGoOn(_))), "{verdict:?}");
        let (removed, left) = emulation.remove().await;
        assert_eq!((removed, left.len()), (0, 1), "`{id}`");
        assert_eq!(*deleted.lock().unwrap(), Vec::<String>::new(), "`{id}`");
    }
}

#[tokio::test]
async fn what_was_made_by_a_request_without_an_answer_is_looked_for_and_removed() {
    let deleted: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&deleted);
    let posted: Arc<Mutex<bool>> = Arc::default();
    let base = serve(move |method, path| match *method {
        // It makes the user, and nobody can tell from the answer.
        Method::POST => {
            *posted.lock().unwrap() = true;
            (StatusCode::GATEWAY_TIMEOUT, "").into_response()
        }
        Method::DELETE => {
            seen.lock().unwrap().push(path.to_owned());
            StatusCode::NO_CONTENT.into_response()
        }
        _ if *posted.lock().unwrap() => {
            let mut list = empty_list();
            list["Resources"] = json!([{"id": "usr_1"}]);
            scim(StatusCode::OK, &list)
        }
        _ => scim(StatusCode::OK, &empty_list()),
    })
    .await;
    let (_, _, mut emulation) = run(&base, Dialect::PingOne).await;
    let (removed, left) = emulation.remove().await;
    assert_eq!((removed, left), (1, Vec::new()));
    assert_eq!(*deleted.lock().unwrap(), ["/Users/usr_1"]);
}

#[tokio::test]
async fn a_run_that_is_dropped_in_the_middle_of_a_creation_knows_what_it_asked_for() {
    let base = serve(|method, _| match *method {
        Method::POST => {
            std::thread::sleep(Duration::from_secs(1));
            StatusCode::OK.into_response()
        }
        _ => scim(StatusCode::OK, &empty_list()),
    })
    .await;
    let mut emulation = emulation(&base, Dialect::PingOne, MIN_EMULATED_PEOPLE);
    let dropped = tokio::time::timeout(Duration::from_millis(400), emulation.run(&mut |_: &Step| {})).await;
    assert!(dropped.is_err());
    let left = emulation.left("dropped");
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].name.contains(emulation.mark()), "{left:?}");
}

#[test]
fn nobody_of_a_run_has_a_name_that_a_real_person_could_have() {
    let one = emulation("http://127.0.0.1:1", Dialect::Okta, MAX_EMULATED_PEOPLE + 1);
    assert_eq!(one.mark().len(), 12);
    let other = Surroundings::predictable(|| 0, 8);
    let client = ScimClient::new("http://127.0.0.1:1", SecretString::from(TOKEN), Dialect::Okta, other);
    assert_ne!(Emulation::new(client.unwrap(), 0).mark(), one.mark());
}
