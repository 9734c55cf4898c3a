//! Spans must arrive at a collector, and the end must not wait for one that is away.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use axum::routing::post;
use opentelemetry::trace::TracerProvider as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing_subscriber::layer::SubscriberExt as _;
use url::Url;

use super::{Logging, exporting_to, filter};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a collector was sent: the content type and the body.
async fn collector() -> (Url, mpsc::UnboundedReceiver<(String, Bytes)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let take = move |headers: HeaderMap, body: Bytes| {
        let sender = sender.clone();
        async move {
            let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            sender.send((kind.unwrap_or_default().to_owned(), body)).unwrap();
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let routes = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_receives_the_spans_that_were_open_before_the_end() {
    let (url, mut received) = collector().await;
    let provider = exporting_to(&url).unwrap();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("portcullis"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info_span!("the_span_of_this_test", request.id = "req_of_this_test").in_scope(|| {});
    });
    tokio::task::spawn_blocking(move || Logging { provider: Some(provider) }.finish()).await.unwrap();
    let (kind, body) = tokio::time::timeout(PATIENCE, received.recv()).await.unwrap().unwrap();
    assert_eq!(kind, "application/x-protobuf");
    for text in ["the_span_of_this_test", "req_of_this_test", "portcullis", env!("CARGO_PKG_VERSION")] {
        assert!(body.windows(text.len()).any(|window| window == text.as_bytes()), "no `{text}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let provider = exporting_to(&url).unwrap();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("portcullis"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info_span!("lost").in_scope(|| {});
    });
    #[expect(clippy::disallowed_methods, reason = "the test measures how long the end takes")]
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || Logging { provider: Some(provider) }.finish()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "it took {:?}", begun.elapsed());
}

#[test]
fn a_bare_word_that_is_no_level_and_no_target_of_ours_is_no_filter() {
    for text in ["infoo", "info,debgu", "portcullis_wbe", "hyper", "a=b=c", "portcullis_web=debgu", "", " , "]
    {
        assert!(filter(text).is_err(), "`{text}`");
    }
    for text in ["info", "WARN", "off", "portcullis", "info, portcullis_web=debug", "portcullis_web::edge"] {
        assert!(filter(text).is_ok(), "`{text}`");
    }
    assert!(filter("warn,hyper=info,[request{id}]=debug").is_ok());
}

#[test]
fn every_room_of_the_product_is_a_target() {
    let rooms = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
    let rooms: Vec<String> = rooms.map(|room| room.unwrap().file_name().into_string().unwrap()).collect();
    assert!(rooms.len() > 5, "{rooms:?}");
    for room in rooms.iter().filter(|room| !["server", "testkit", "fuzz"].contains(&room.as_str())) {
        assert!(filter(&format!("portcullis_{room}")).is_ok(), "{room}");
    }
}
