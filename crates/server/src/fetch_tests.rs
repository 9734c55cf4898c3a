//! The way out against real servers on loopback: each refusal, each with its neighbour that passes.
//!
//! Names are answered by a name server of the tests, so that a name can resolve to anything, and to another thing the
//! second time.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, TXT};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use portcullis_service::fetch::{AddressClass, Fetch, FetchAnswer, FetchError, FetchRequest};
use portcullis_service::saml::metadata::{self, MetadataSource};
use portcullis_service::{Portcullis, Surroundings};
use portcullis_testkit::Bench;
use tokio::net::{TcpListener, UdpSocket};
use url::Url;

use super::outbound;
use crate::settings::resolved::TlsFiles;
use crate::settings::{Settings, Sources};

/// The limit of bytes that the tests ask with.
const MAX_BYTES: usize = 1000;
/// The limit of time that the tests ask with; long, because the machine may be busy.
const TIMEOUT_MS: u64 = 10_000;

async fn web_server() -> SocketAddr {
    let routes = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/not-found", get(|| async { (StatusCode::NOT_FOUND, "nothing") }))
        .route("/exact", get(|| async { "x".repeat(MAX_BYTES) }))
        .route("/large", get(|| async { "x".repeat(MAX_BYTES + 1) }))
        .route("/slow", get(std::future::pending::<&str>))
        .route("/redirect", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/")]) }))
        .route(
            "/echo",
            post(|headers: HeaderMap, body: String| async move {
                format!("{}|{body}", headers.get("x-a").and_then(|value| value.to_str().ok()).unwrap_or("-"))
            }),
        )
        .route("/headers", get(|| async { ([("x-answer", "yes")], "hello") }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// A name server: `inside.test` is loopback, `outside.test` a public address, `turning.test` a permitted address
/// at first and loopback from then on, `mixed.test` both; `proof.test` has TXT records; the rest does not exist.
async fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let turns = AtomicUsize::new(0);
    tokio::spawn(async move {
        let mut buffer = [0_u8; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
            let _ = socket.send_to(&answer(&question, &turns).to_vec().unwrap(), from).await;
        }
    });
    address
}

fn answer(question: &Message, turns: &AtomicUsize) -> Message {
    let query = question.queries.first().unwrap().clone();
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    let name = query.name().to_string().to_ascii_lowercase();
    let loopback = Ipv4Addr::LOCALHOST;
    let public = Ipv4Addr::new(8, 8, 8, 8);
    // Named as the company's own where it is used, and routed nowhere.
    let nowhere = Ipv4Addr::new(203, 0, 113, 1);
    let record = |data: RData| Record::from_rdata(query.name().clone(), 0, data);
    let addresses = match name.as_str() {
        "inside.test." => vec![loopback],
        "outside.test." => vec![public],
        "mixed.test." => vec![public, loopback],
        "turning.test." if query.query_type() == RecordType::A => {
            if turns.fetch_add(1, Ordering::SeqCst) == 0 { vec![nowhere] } else { vec![loopback] }
        }
        "turning.test." | "proof.test." => Vec::new(),
        _ => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            Vec::new()
        }
    };
    match query.query_type() {
        RecordType::A => {
            for address in addresses {
                answer.add_answer(record(RData::A(A::from(address))));
            }
        }
        RecordType::TXT if name == "proof.test." => {
            answer.add_answer(record(RData::TXT(TXT::new(vec!["one ".to_owned(), "record".to_owned()]))));
            answer.add_answer(record(RData::TXT(TXT::new(vec!["another".to_owned()]))));
        }
        _ => {}
    }
    answer.add_query(query);
    answer
}

async fn way(environment: &[(&str, &str)]) -> Arc<dyn Fetch> {
    let servers = name_server().await.to_string();
    let mut given: Vec<(String, String)> =
        environment.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    given.push(("PORTCULLIS_DNS_SERVERS".into(), servers));
    let settings = Settings::from_sources(&Sources { environment: given, ..Sources::default() });
    outbound(&settings.ok().unwrap(), None).unwrap()
}

async fn loose() -> Arc<dyn Fetch> {
    way(&[("PORTCULLIS_ALLOW_PRIVATE_NETWORKS", "true")]).await
}

fn get_of(url: &str) -> FetchRequest {
    FetchRequest::get(Url::parse(url).unwrap(), MAX_BYTES, TIMEOUT_MS)
}

async fn refused(way: &Arc<dyn Fetch>, url: &str) -> FetchError {
    way.fetch(get_of(url)).await.err().unwrap_or_else(|| panic!("`{url}` was answered"))
}

async fn answered(way: &Arc<dyn Fetch>, url: &str) -> FetchAnswer {
    way.fetch(get_of(url)).await.unwrap_or_else(|error| panic!("`{url}`: {error}"))
}

#[tokio::test]
async fn o16_loopback_is_refused_by_address_and_by_name_unless_private_networks_are_permitted() {
    let server = web_server().await;
    let (strict, loose) = (way(&[]).await, loose().await);
    for host in ["127.0.0.1", "inside.test", "2130706433", "0x7f.1"] {
        let url = format!("https://{host}:{}/", server.port());
        let error = refused(&strict, &url).await;
        assert!(
            matches!(error, FetchError::AddressRefused { class: AddressClass::Loopback, .. }),
            "{url}: {error}"
        );
        assert_eq!(error.code(), "address_refused");
        let url = format!("http://{host}:{}/", server.port());
        assert_eq!(answered(&loose, &url).await.body, b"hello", "{url}");
    }
}

#[tokio::test]
async fn s29_metadata_at_an_inner_address_is_refused_as_unreachable_and_nothing_is_sent_there() {
    let bench = Bench::sqlite();
    for refused in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}/metadata", listener.local_addr().unwrap().port());
        let fetch = if refused { way(&[]).await } else { loose().await };
        let around = Surroundings { fetch, ..bench.portcullis().around().clone() };
        let portcullis = Portcullis::new(around);
        let source = MetadataSource::Url(url);
        let reading = metadata::read(&portcullis, &source, &[]);
        let (read, called) = tokio::join!(reading, async {
            let call = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await;
            // Whoever is called hangs up: the reading need not wait for its limit.
            drop(listener);
            call.is_ok()
        });
        let error = read.unwrap_err();
        assert_eq!(error.code(), "metadata_unreachable", "{error}");
        assert_eq!(called, !refused, "whoever may not be reached was called, or the other way round");
        assert_eq!(error.to_string().contains("loopback"), refused, "{error}");
    }
}

#[tokio::test]
async fn addresses_of_the_inside_are_refused_in_every_spelling() {
    let strict = way(&[]).await;
    for host in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fd00::1]",
        "[fe80::1]",
    ] {
        assert_eq!(refused(&strict, &format!("https://{host}/")).await.code(), "address_refused", "{host}");
    }
}

#[tokio::test]
async fn link_local_addresses_stay_refused_when_private_networks_are_permitted() {
    let loose = loose().await;
    assert_eq!(refused(&loose, "http://169.254.169.254/latest").await.code(), "address_refused");
}

#[tokio::test]
async fn a_name_that_turns_to_loopback_is_refused_the_second_time() {
    let strict = way(&[("PORTCULLIS_ALLOW_NETWORKS", "203.0.113.0/24")]).await;
    let mut first = get_of("https://turning.test:1/");
    first.timeout_ms = 300;
    let first = strict.fetch(first).await.err().unwrap();
    assert_ne!(first.code(), "address_refused", "{first}");
    assert_ne!(first.code(), "unresolvable", "{first}");
    assert_eq!(refused(&strict, "https://turning.test:1/").await.code(), "address_refused");
}

#[tokio::test]
async fn a_name_with_one_inner_address_is_refused() {
    assert_eq!(refused(&way(&[]).await, "https://mixed.test/").await.code(), "address_refused");
}

#[tokio::test]
async fn plain_http_is_refused_and_permitted_only_to_private_addresses() {
    let (strict, loose) = (way(&[]).await, loose().await);
    assert_eq!(refused(&strict, "http://outside.test/").await.code(), "not_https");
    for url in ["http://outside.test/", "http://8.8.8.8/"] {
        let error = refused(&loose, url).await;
        assert!(
            matches!(error, FetchError::AddressRefused { class: AddressClass::Public, .. }),
            "{url}: {error}"
        );
    }
    assert_eq!(refused(&loose, "ftp://inside.test/").await.code(), "not_https");
}

#[tokio::test]
async fn a_url_with_a_name_or_password_is_refused_and_not_repeated() {
    let error = refused(&way(&[]).await, "https://me:hunter2@outside.test/?code=secret").await;
    assert_eq!(error.code(), "url_refused");
    assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_name_that_nobody_knows_does_not_resolve() {
    assert_eq!(refused(&way(&[]).await, "https://nobody.test/").await.code(), "unresolvable");
}

#[tokio::test]
async fn o16_a_redirect_is_not_followed() {
    let (server, loose) = (web_server().await, loose().await);
    let error = refused(&loose, &format!("http://{server}/redirect")).await;
    assert_eq!(error, FetchError::Redirected { host: "127.0.0.1".into(), status: 302 });
}

#[tokio::test]
async fn an_answer_of_the_limit_is_read_and_one_byte_more_is_refused() {
    let (server, loose) = (web_server().await, loose().await);
    assert_eq!(answered(&loose, &format!("http://{server}/exact")).await.body.len(), MAX_BYTES);
    assert_eq!(refused(&loose, &format!("http://{server}/large")).await.code(), "too_large");
}

#[tokio::test]
async fn a_silent_server_runs_into_the_limit_of_time() {
    let (server, loose) = (web_server().await, loose().await);
    let mut request = get_of(&format!("http://{server}/slow"));
    request.timeout_ms = 200;
    let asked = tokio::time::timeout(Duration::from_secs(10), loose.fetch(request)).await.unwrap();
    assert_eq!(asked.err().map(|error| error.code()), Some("timed_out"));
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(refused(&loose().await, &format!("http://{address}/")).await.code(), "unreachable");
}

#[tokio::test]
async fn a_server_without_tls_is_unreachable_by_https() {
    let (server, loose) = (web_server().await, loose().await);
    assert_eq!(refused(&loose, &format!("https://{server}/")).await.code(), "unreachable");
}

#[tokio::test]
async fn a_company_authority_is_trusted_when_it_is_named_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["inside.test".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let acceptor = crate::listen::tls(&TlsFiles { cert: cert.clone(), key }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://inside.test:{}/", listener.local_addr().unwrap().port());
    let settings = Settings::from_sources(&Sources::default()).ok().unwrap();
    // Held for the whole test: to drop it is to stop.
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let routes = Router::new().route("/", get(|| async { "hello" }));
    tokio::spawn(
        async move { crate::listen::serve(listener, Some(acceptor), routes, &settings, stopped).await },
    );
    assert_eq!(refused(&loose().await, &url).await.code(), "unreachable");
    let trusting =
        [("PORTCULLIS_ALLOW_PRIVATE_NETWORKS", "true"), ("PORTCULLIS_FETCH_CA_FILE", cert.to_str().unwrap())];
    assert_eq!(answered(&way(&trusting).await, &url).await.body, b"hello");
}

#[tokio::test]
async fn status_headers_and_bodies_pass_both_ways() {
    let (server, loose) = (web_server().await, loose().await);
    let missing = answered(&loose, &format!("http://{server}/not-found")).await;
    assert_eq!((missing.status, missing.body.as_slice()), (404, b"nothing".as_slice()));
    let headers = answered(&loose, &format!("http://{server}/headers")).await;
    assert_eq!(headers.header("x-answer"), Some("yes"));
    let url = Url::parse(&format!("http://{server}/echo")).unwrap();
    let request = FetchRequest::post(url, b"body".to_vec(), MAX_BYTES, TIMEOUT_MS).with_header("x-a", "1");
    assert_eq!(loose.fetch(request).await.ok().unwrap().body, b"1|body");
}

#[tokio::test]
async fn a_header_that_would_break_the_request_is_refused() {
    let (server, loose) = (web_server().await, loose().await);
    let request = get_of(&format!("http://{server}/")).with_header("x-a", "1\r\nx-b: 2");
    assert_eq!(loose.fetch(request).await.err().map(|error| error.code()), Some("header_refused"));
}

#[tokio::test]
async fn txt_records_are_joined_and_a_name_without_any_gives_none() {
    let strict = way(&[]).await;
    let mut found = strict.txt_records("proof.test").await.unwrap();
    found.sort();
    assert_eq!(found, ["another", "one record"]);
    assert_eq!(strict.txt_records("inside.test").await.unwrap(), Vec::<String>::new());
    assert_eq!(strict.txt_records("nobody.test").await.unwrap(), Vec::<String>::new());
}
