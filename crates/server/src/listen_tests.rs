//! What the listener must hold: limits that end a slow or greedy caller, and a stop that lets requests finish.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{TlsError, serve_with, tls};
use crate::settings::resolved::TlsFiles;
use crate::settings::{Settings, Sources};

/// How long a test waits for what must come; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing may happen on a connection of HTTP/2 here.
const SILENCE: Duration = Duration::from_secs(4);

/// A listener under test.
struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<std::io::Result<()>>,
}

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                "slow, but whole"
            }),
        )
        .route("/long", get(|| async { "x".repeat(400_000) }))
        .route("/never", get(std::future::pending::<&str>))
}

async fn start(environment: &[(&str, &str)]) -> Running {
    start_with(environment, None).await
}

async fn start_with(environment: &[(&str, &str)], acceptor: Option<TlsAcceptor>) -> Running {
    let environment = environment.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    let settings = Settings::from_sources(&Sources { environment, ..Sources::default() }).ok().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let served =
        tokio::spawn(
            async move { serve_with(SILENCE, listener, acceptor, router(), (&settings, stopped)).await },
        );
    Running { address, stop, served }
}

async fn whole_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read =
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("no answer in time");
    // A connection that is cut while it still sends may end with a reset, after the answer.
    drop(read);
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    whole_answer(&mut stream).await
}

#[tokio::test]
async fn a_request_is_answered_and_knows_who_asked() {
    let running = start(&[]).await;
    assert!(ask(running.address, "/").await.ends_with("hello"));
    assert!(ask(running.address, "/peer").await.contains("127.0.0.1:"));
}

#[tokio::test]
async fn a_caller_that_sends_nothing_or_half_a_head_is_cut_off() {
    let running = start(&[("PORTCULLIS_HTTP_HEADER_TIMEOUT_S", "1")]).await;
    for begun in ["", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let answer = whole_answer(&mut stream).await;
        assert!(!answer.contains("hello"), "{begun:?}: {answer}");
    }
}

#[tokio::test]
async fn a_head_above_the_limit_is_answered_with_431_and_one_below_passes() {
    let running = start(&[("PORTCULLIS_HTTP_MAX_HEADER_BYTES", "8192")]).await;
    for (bytes, status) in [(4_000, "200"), (16_000, "431")] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let filling = "x".repeat(bytes);
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\nx-a: {filling}\r\nconnection: close\r\n\r\n");
        // The server may answer before it has read all.
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = whole_answer(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{bytes}: {answer}");
    }
}

#[tokio::test]
async fn a_request_under_way_is_answered_whole() {
    let running = start(&[]).await;
    let address = running.address;
    let asked = tokio::spawn(async move { ask(address, "/slow").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.stop.send(true).unwrap();
    assert!(asked.await.unwrap().ends_with("slow, but whole"));
    tokio::time::timeout(PATIENCE, running.served).await.expect("it did not end").unwrap().unwrap();
}

#[tokio::test]
async fn new_connections_are_answered_for_a_moment_after_the_order_to_stop_and_refused_then() {
    let running = start(&[("PORTCULLIS_HTTP_DRAIN_S", "8")]).await;
    let address = running.address;
    let asked = tokio::spawn(async move { ask(address, "/never").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.stop.send(true).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(ask(address, "/").await.ends_with("hello"), "a probe hears that the server drains");
    tokio::time::sleep(super::LAST_CALLS).await;
    assert!(TcpStream::connect(address).await.is_err(), "a new connection was taken at the end of the drain");
    assert!(!running.served.is_finished(), "the request under way has its time");
    asked.abort();
    tokio::time::timeout(PATIENCE, running.served).await.expect("it did not end").unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_outlive_the_drain() {
    let running = start(&[("PORTCULLIS_HTTP_DRAIN_S", "1")]).await;
    let address = running.address;
    let asked = tokio::spawn(async move { ask(address, "/never").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.stop.send(true).unwrap();
    tokio::time::timeout(PATIENCE, running.served).await.expect("it did not end").unwrap().unwrap();
    asked.abort();
}

#[tokio::test]
async fn a_stop_is_heard_while_every_connection_is_taken() {
    let running = start(&[("PORTCULLIS_HTTP_MAX_CONNECTIONS", "1"), ("PORTCULLIS_HTTP_DRAIN_S", "1")]).await;
    let mut holder = TcpStream::connect(running.address).await.unwrap();
    holder.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.stop.send(true).unwrap();
    tokio::time::timeout(PATIENCE, running.served).await.expect("it did not end").unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_a_stop() {
    let running = start(&[]).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0_u8; 16];
    idle.read_exact(&mut first).await.unwrap();
    running.stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(3), running.served).await.expect("it waited").unwrap().unwrap();
}

/// A certificate for `localhost` and its key as files, and the certificate for whoever is to trust it.
fn certificate(folder: &Path) -> (TlsFiles, reqwest::Certificate) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap())
}

#[tokio::test]
async fn tls_serves_both_versions_of_http_and_drops_whoever_speaks_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let (files, trusted) = certificate(folder.path());
    let running = start_with(&[], Some(tls(&files).unwrap())).await;
    let url = format!("https://localhost:{}/", running.address.port());
    let client = || {
        reqwest::Client::builder()
            .no_proxy()
            .resolve("localhost", running.address)
            .tls_certs_only([trusted.clone()])
    };
    let first = client().http1_only().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((first.version(), first.text().await.unwrap().as_str()), (reqwest::Version::HTTP_11, "hello"));
    let second = client().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(
        (second.version(), second.text().await.unwrap().as_str()),
        (reqwest::Version::HTTP_2, "hello")
    );
    assert!(!ask(running.address, "/").await.contains("hello"));
}

/// A TLS connection on which HTTP/2 was agreed.
async fn agreed_on_http2(address: SocketAddr, trusted: &CertificateDer<'static>) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let agreed = TlsConnector::from(Arc::new(config)).connect(name, stream);
    tokio::time::timeout(PATIENCE, agreed).await.expect("no place for a handshake").unwrap()
}

#[tokio::test]
async fn whoever_agrees_on_http2_and_then_says_nothing_is_cut_off_and_whoever_waits_for_an_answer_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (files, trusted) = certificate(folder.path());
    let limits = [("PORTCULLIS_HTTP_HEADER_TIMEOUT_S", "1"), ("PORTCULLIS_HTTP_MAX_CONNECTIONS", "3")];
    let running = start_with(&limits, Some(tls(&files).unwrap())).await;
    let url = format!("https://localhost:{}", running.address.port());
    let client = reqwest::Client::builder()
        .no_proxy()
        .resolve("localhost", running.address)
        .tls_certs_only([trusted])
        .build()
        .unwrap();
    assert_eq!(client.get(&url).send().await.unwrap().version(), reqwest::Version::HTTP_2);
    let der = CertificateDer::from_pem_file(&files.cert).unwrap();
    let mut silent = agreed_on_http2(running.address, &der).await;
    let mut half = agreed_on_http2(running.address, &der).await;
    half.write_all(b"PRI * HTTP/2.0\r\n\r\n").await.unwrap();
    let slow = tokio::spawn(client.get(format!("{url}/slow")).send());
    for stream in [&mut silent, &mut half] {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest));
        let _ = read.await.expect("a silent connection keeps its place");
    }
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "slow, but whole");
    // One that asked may wait before it asks again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    agreed_on_http2(running.address, &der).await;
    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "hello");
}

/// What a client of HTTP/2 says first, with a window of so many bytes for each answer (RFC 9113 §3.4, §6.5), and that it asks
/// for `path` (§6.2; RFC 7541, with names and values of the static table).
fn asks_with_a_window_of(bytes: u32, path: &str) -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let settings = [&[0, 4][..], &bytes.to_be_bytes()].concat();
    let named = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let headers = [&[0x82, 0x87, 0x04][..], &named(path), &[0x01], &named("localhost")].concat();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &settings), frame(1, 5, 1, &headers)]
        .concat()
}

#[tokio::test]
async fn whoever_takes_nothing_of_an_answer_loses_their_place_and_whoever_waits_for_one_or_takes_it_slowly_does_not()
 {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certificate(folder.path());
    let running = start_with(&[("PORTCULLIS_HTTP_HEADER_TIMEOUT_S", "1")], Some(tls(&files).unwrap())).await;
    let der = CertificateDer::from_pem_file(&files.cert).unwrap();
    let asked = async |window: u32, path: &str| {
        let mut stream = agreed_on_http2(running.address, &der).await;
        stream.write_all(&asks_with_a_window_of(window, path)).await.unwrap();
        stream
    };
    let ends = async |stream: &mut TlsStream<TcpStream>, within: Duration| {
        let mut rest = Vec::new();
        tokio::time::timeout(within, stream.read_to_end(&mut rest)).await.is_ok()
    };
    let mut waiting = asked(0, "/never").await;
    let mut slow = asked(1_000, "/long").await;
    let mut shut = asked(0, "/").await;
    // Another 40,000 bytes of the long answer, every two seconds (RFC 9113 §6.9).
    let slowly = async {
        for _ in 0..7 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            for stream in [0, 1] {
                let more = [&[0, 0, 4, 8, 0, 0, 0, 0, stream][..], &40_000_u32.to_be_bytes()].concat();
                slow.write_all(&more).await.unwrap();
            }
            let mut some = [0; 64 * 1024];
            let read = tokio::time::timeout(PATIENCE, slow.read(&mut some)).await.unwrap();
            assert!(read.unwrap() > 0, "whoever reads slowly was cut off");
        }
    };
    let (shut_ended, ()) = tokio::join!(ends(&mut shut, PATIENCE), slowly);
    assert!(shut_ended, "a shut window keeps its place");
    assert!(!ends(&mut waiting, Duration::from_millis(100)).await, "whoever waits for an answer was cut off");
}

#[test]
fn a_chain_and_a_key_that_do_not_fit_or_are_no_pem_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certificate(folder.path());
    assert!(tls(&files).is_ok());
    let other = tempfile::tempdir().unwrap();
    let (others, _) = certificate(other.path());
    let mixed = TlsFiles { cert: files.cert.clone(), key: others.key };
    assert!(matches!(tls(&mixed), Err(TlsError::Rustls(_))));
    let swapped = TlsFiles { cert: files.cert.clone(), key: files.cert.clone() };
    assert!(matches!(tls(&swapped), Err(TlsError::Pem { .. })));
    let missing = TlsFiles { cert: folder.path().join("none.pem"), key: files.key };
    assert!(matches!(tls(&missing), Err(TlsError::Pem { .. })));
}
