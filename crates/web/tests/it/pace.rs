//! Callers who begin a body and stall, over real sockets: they are answered 408, and nobody waits for them.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_testkit::{Bench, PUBLIC_URL, ROOT_TOKEN};
use portcullis_web::edge::EdgeSettings;
use portcullis_web::pace::Pace;
use portcullis_web::{App, router};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(600);
/// Bytes a second: few, so that a test of it is short of bytes and not of time.
const RATE: u32 = 100;
/// How long a test waits for what must come; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

async fn served(bench: &Bench) -> SocketAddr {
    let pace = Pace { max_pause: PAUSE, min_bytes_per_s: RATE };
    let app = App::new(bench.portcullis().clone(), EdgeSettings { pace, ..EdgeSettings::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = router(app).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// A POST whose head is sent, and nothing of its body yet.
async fn begun(address: SocketAddr, path: &str, headers: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let host = PUBLIC_URL.trim_start_matches("http://");
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// What is answered until the connection is closed by the other side.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await;
    let _ = read.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

fn json_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

fn as_root() -> String {
    format!("authorization: Bearer {ROOT_TOKEN}\r\ncontent-type: application/json")
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_408_in_the_words_of_its_surface_and_the_connection_ends() {
    let bench = Bench::of_the_run();
    bench.organization("acme");
    let wish = json!({ "kind": "scim", "name": "IdP" });
    let (status, directory) =
        bench.call("POST", "/api/v1/organizations/acme/directories", ROOT_TOKEN, wish).await;
    assert_eq!(status, 201, "{directory}");
    let users = directory["base_url"].as_str().unwrap().trim_start_matches(PUBLIC_URL).to_owned() + "/Users";
    let as_directory = format!(
        "authorization: Bearer {}\r\ncontent-type: application/scim+json",
        directory["token"].as_str().unwrap()
    );
    let address = served(&bench).await;

    let began = Instant::now();
    let mut api = begun(address, "/api/v1/organizations", &as_root(), 50).await;
    api.write_all(b"{\"slug\":").await.unwrap();
    let said = answer(&mut api).await;
    assert!(began.elapsed() >= PAUSE, "it was cut off before the pause was over");
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("connection: close"), "{said}");
    assert!(said.contains("application/problem+json") && said.contains("x-request-id"), "{said}");
    assert_eq!(json_of(&said)["code"], "body_too_slow");

    let mut scim = begun(address, &users, &as_directory, 50).await;
    let said = answer(&mut scim).await;
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("application/scim+json"), "{said}");
    assert_eq!(json_of(&said)["status"], "408");
    bench.portcullis().store_traces().await.unwrap();
    let traces = "/api/v1/organizations/acme/traces?outcome=body_too_slow";
    let (_, traces) = bench.call("GET", traces, ROOT_TOKEN, Value::Null).await;
    assert_eq!(traces["items"][0]["kind"], "directory", "its administrator finds it: {traces}");

    let form = format!(
        "origin: {PUBLIC_URL}\r\naccept: text/html\r\ncontent-type: application/x-www-form-urlencoded"
    );
    let mut page = begun(address, "/login", &form, 50).await;
    let said = answer(&mut page).await;
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("<code>body_too_slow</code>"), "{said}");
}

#[tokio::test]
async fn a_body_that_trickles_below_the_rate_is_cut_off_and_a_slow_one_that_keeps_it_passes() {
    let bench = Bench::of_the_run();
    let address = served(&bench).await;
    let body = json!({ "slug": "acme", "name": "x".repeat(150) }).to_string();
    let part = PAUSE / 5;
    // A fifth of the pause between two parts: no pause is too long, and it is the rate that decides.
    for (bytes, status) in [(2_usize, "408"), (24, "201")] {
        let head = format!("{}\r\nconnection: close", as_root());
        let mut stream = begun(address, "/api/v1/organizations", &head, body.len()).await;
        let began = Instant::now();
        for chunk in body.as_bytes().chunks(bytes) {
            if stream.write_all(chunk).await.is_err() || began.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(part).await;
        }
        let took = began.elapsed();
        let said = answer(&mut stream).await;
        assert!(
            said.is_empty() && status == "408" || said.starts_with(&format!("HTTP/1.1 {status}")),
            "{said}"
        );
        assert!(took > PAUSE, "the whole took longer than one pause may: {took:?}");
    }
    let (_, listed) = bench.call("GET", "/api/v1/organizations", ROOT_TOKEN, Value::Null).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "what came whole was done, once: {listed}");
}

#[tokio::test]
async fn nobody_waits_for_callers_who_stall() {
    let bench = Bench::of_the_run();
    let address = served(&bench).await;
    let mut stalled = Vec::new();
    // Many times what the database takes at once.
    for _ in 0..64 {
        stalled.push(begun(address, "/api/v1/organizations", &as_root(), 50).await);
    }
    let began = Instant::now();
    for number in 0..5 {
        let body = json!({ "slug": format!("org-{number}"), "name": "Org" }).to_string();
        let head = format!("{}\r\nconnection: close", as_root());
        let mut stream = begun(address, "/api/v1/organizations", &head, body.len()).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let said = answer(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 201"), "{said}");
    }
    assert!(began.elapsed() < PAUSE, "the writes waited until the others were cut off");
    for stream in &mut stalled {
        assert!(answer(stream).await.starts_with("HTTP/1.1 408"));
    }
}

/// Sends the head and the first bytes of a body, and says that no more comes.
async fn broken_off(address: SocketAddr, path: &str, headers: &str) -> String {
    let mut stream = begun(address, path, &format!("{headers}\r\nconnection: close"), 500).await;
    stream.write_all(b"{\"userName\": \"ada@acme.test\", ").await.unwrap();
    stream.shutdown().await.unwrap();
    answer(&mut stream).await
}

#[tokio::test]
async fn a_body_that_does_not_come_whole_is_not_called_too_large_and_no_refusal_of_its_directory() {
    let bench = Bench::of_the_run();
    bench.organization("acme");
    let directories = "/api/v1/organizations/acme/directories";
    let wish = json!({ "kind": "scim", "name": "IdP" });
    let (_, directory) = bench.call("POST", directories, ROOT_TOKEN, wish).await;
    let users = directory["base_url"].as_str().unwrap().trim_start_matches(PUBLIC_URL).to_owned() + "/Users";
    let as_directory = format!(
        "authorization: Bearer {}\r\ncontent-type: application/scim+json",
        directory["token"].as_str().unwrap()
    );
    let address = served(&bench).await;
    for (path, headers) in [
        ("/api/v1/organizations", as_root()),
        ("/access/v1/evaluation", as_root()),
        ("/oauth2/introspect", as_root()),
    ] {
        let said = broken_off(address, path, &headers).await;
        assert!(said.starts_with("HTTP/1.1 400"), "{path}: {said}");
        assert_eq!(json_of(&said)["code"], "body_incomplete", "{path}: {said}");
    }
    let said = broken_off(address, &users, &as_directory).await;
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("application/scim+json"), "{said}");
    assert!(json_of(&said)["detail"].as_str().unwrap().contains("did not come whole"), "{said}");
    bench.portcullis().store_traces().await.unwrap();
    let traces = "/api/v1/organizations/acme/traces?outcome=body_incomplete";
    let (_, traces) = bench.call("GET", traces, ROOT_TOKEN, Value::Null).await;
    assert_eq!(traces["items"][0]["kind"], "directory", "its administrator finds it: {traces}");
    let one = format!("{directories}/{}", directory["id"].as_str().unwrap());
    let (_, shown) = bench.call("GET", &one, ROOT_TOKEN, Value::Null).await;
    assert_eq!(shown["last_refusal"], Value::Null, "its provider tries it again by itself: {shown}");

    let form = format!("origin: {PUBLIC_URL}\r\ncontent-type: application/x-www-form-urlencoded");
    let said = broken_off(address, "/login", &form).await;
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("<code>body_incomplete</code>"), "{said}");
}
