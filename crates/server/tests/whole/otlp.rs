//! A collector of OpenTelemetry beside the running program.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::harness::{CLIENT_SECRET, Org, ROOT, Server, provider};

const INVITATION: &str = "pc_invite_0123456789abcdef";
const OWNER_LINK: &str = "pc_owner_0123456789abcdef";

/// A collector: its address, and what it is sent.
async fn collector() -> (String, mpsc::UnboundedReceiver<Bytes>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let take = move |body: Bytes| async move { sender.send(body).unwrap() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await });
    (url, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_has_the_span_of_the_last_request_before_the_end_and_no_secret() {
    let (url, mut received) = collector().await;
    // Who wants a quiet log wants the spans all the same.
    let settings = vec![("PORTCULLIS_OTLP_ENDPOINT", url), ("PORTCULLIS_LOG_FILTER", "error".to_owned())];
    let mut server = Server::sqlite_with(settings).await;
    let org = Org::new(&server, "acme", &provider().await).await;
    let request = server.http.post(format!("{}/Users", org.scim_base)).bearer_auth(&org.scim_token);
    let request = request.header("content-type", "application/scim+json").body(org.user("ada").to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let user: serde_json::Value = answer.json().await.unwrap();
    let user = user["id"].as_str().unwrap();
    org.say(&server, "GET", &format!("/Users/{user}"), serde_json::Value::Null).await;
    // Secrets that travel in an address.
    for page in [format!("invite?token={INVITATION}"), format!("setup/owner?token={OWNER_LINK}")] {
        server.http.get(format!("{}/{page}", server.base)).send().await.unwrap();
    }
    let (_, status) = server.terminate();
    assert!(status.success(), "{status}");
    let mut sent = Vec::new();
    while let Ok(body) = received.try_recv() {
        sent.extend(body);
    }
    let has = |text: &str| sent.windows(text.len()).any(|window| window == text.as_bytes());
    for text in [
        &*id,
        "POST /scim/v2/",
        "GET /invite",
        "GET /setup/owner",
        "http.status",
        "portcullis",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(has(text), "no `{text}` among {} bytes", sent.len());
    }
    let of_requests = [INVITATION, OWNER_LINK, CLIENT_SECRET, "ada@acme.test", user];
    for secret in [ROOT, &org.scim_token, &org.asker].into_iter().chain(of_requests) {
        assert!(!has(secret), "`{secret}` was sent");
    }
}
