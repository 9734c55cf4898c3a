//! Serving HTTP over TCP or TLS, with limits on connections and headers, until told to stop.

mod activity;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tower::{ServiceExt as _, service_fn};

use self::activity::{Activity, MAX_SILENCE};
use crate::settings::resolved::{Settings, TlsFiles};

/// How long a caller may leave what was sent to them where it is, in milliseconds. Whoever reads nothing would hold their
/// place, and the answers that wait for them, without end.
const MAX_UNREAD_MS: u32 = 60_000;
/// How long to wait after the system could not give another connection, in milliseconds.
const ACCEPT_PAUSE_MS: u64 = 50;
/// How long new connections are still taken after the order to stop, within the drain: a probe hears the 503 of `/readyz`,
/// and whoever sends requests here goes elsewhere before anything is refused.
const LAST_CALLS: Duration = Duration::from_secs(1);
/// The most requests that one HTTP/2 connection may have under way: one caller must not take the work of all.
const MAX_STREAMS: u32 = 128;
/// Seconds between two signs of life asked of an HTTP/2 caller, and how long to wait for one.
const HTTP2_PING_S: u64 = 20;
/// What ALPN says for HTTP/2 (RFC 9113 §3.2).
const ALPN_HTTP2: &[u8] = b"h2";

/// Why TLS cannot be served.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("`{path}`: {message}")]
    Pem {
        /// Which file.
        path: String,
        /// Why.
        message: String,
    },
    /// Chain and key do not fit.
    #[error("the certificate and key cannot be used")]
    Rustls(#[from] rustls::Error),
}

/// TLS with that chain and key.
///
/// # Errors
/// [`TlsError`].
pub fn tls(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let pem = |path: &Path, message: String| TlsError::Pem { path: path.display().to_string(), message };
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| pem(&files.cert, e.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| pem(&files.key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What a connection is served with.
struct Serving {
    router: Router,
    http: Versions,
    /// For the handshake of TLS, and then until the first request of HTTP/2.
    patience: Duration,
    /// How long nothing may happen on a connection of HTTP/2 after its first request.
    silence: Duration,
    graceful: GracefulShutdown,
}

/// One builder a version of HTTP. Which one serves is known before the first byte is read (by ALPN; in the clear
/// always HTTP/1.1), because guessing it from the bytes would wait for them without a limit.
#[derive(Clone)]
struct Versions {
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
}

impl Versions {
    fn new(settings: &Settings) -> Self {
        let mut http1 = Builder::new(TokioExecutor::new()).http1_only();
        http1
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.http_header_timeout)
            .max_buf_size(settings.http_max_header_bytes);
        let mut http2 = Builder::new(TokioExecutor::new()).http2_only();
        http2
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(Duration::from_secs(HTTP2_PING_S))
            .keep_alive_timeout(Duration::from_secs(HTTP2_PING_S))
            .max_header_list_size(u32::try_from(settings.http_max_header_bytes).unwrap_or(u32::MAX));
        Self { http1, http2 }
    }
}

/// Serves until `stop` is true; then answers what came and ends within `settings.http_drain`. Of that, [`LAST_CALLS`] are for
/// whoever does not know yet.
///
/// # Errors
/// If the socket breaks.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    settings: &Settings,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    serve_with(MAX_SILENCE, listener, tls, router, (settings, stop)).await
}

async fn serve_with(
    silence: Duration,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    (settings, mut stop): (&Settings, watch::Receiver<bool>),
) -> io::Result<()> {
    let serving = Serving {
        router,
        http: Versions::new(settings),
        patience: settings.http_header_timeout,
        silence,
        graceful: GracefulShutdown::new(),
    };
    let room = Arc::new(Semaphore::new(settings.http_max_connections));
    let mut closing = pin!(async {
        let _ = stop.changed().await;
        let by = Instant::now() + settings.http_drain;
        tokio::time::sleep(LAST_CALLS.min(settings.http_drain)).await;
        by
    });
    let by = loop {
        let accepted = tokio::select! {
            // Also while no place is free: whoever holds all connections must not keep the server from stopping.
            by = &mut closing => break by,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error.message = %error, "no connection was accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, MAX_UNREAD_MS);
        begin(&serving, tls.clone(), stream, peer, place);
    };
    drop(listener);
    tokio::select! {
        () = serving.graceful.shutdown() => {}
        () = tokio::time::sleep_until(by) => tracing::warn!("requests were cut off at the end of the drain"),
    }
    Ok(())
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

fn begin(
    serving: &Serving,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    let watcher = serving.graceful.watcher();
    let http = serving.http.clone();
    let router = serving.router.clone();
    let (patience, silence) = (serving.patience, serving.silence);
    tokio::spawn(async move {
        let activity = Arc::new(Activity::default());
        match tls {
            None => connection(http.http1, watcher, stream, (router, peer), &activity).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = tokio::time::timeout(patience, tls.accept(stream)).await {
                    if stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2) {
                        tokio::select! {
                            () = connection(http.http2, watcher, stream, (router, peer), &activity) => {}
                            () = activity.falls_silent(patience, silence) => {}
                        }
                    } else {
                        connection(http.http1, watcher, stream, (router, peer), &activity).await;
                    }
                }
            }
        }
        drop(place);
    });
}

async fn connection<S>(
    http: Builder<TokioExecutor>,
    watcher: hyper_util::server::graceful::Watcher,
    stream: S,
    (router, peer): (Router, SocketAddr),
    activity: &Arc<Activity>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::clone(activity);
    // A layer of its own for each connection would build every route anew.
    let service = TowerToHyperService::new(service_fn(move |mut request: http::Request<_>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let asked = activity.begin();
        let answered = router.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(answered.await?.map(|body| asked.answer(body))) }
    }));
    let served = http.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served.into_owned()).await {
        tracing::debug!(error.message = %error, "a connection ended early");
    }
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
