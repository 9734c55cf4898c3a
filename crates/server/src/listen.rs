//! Serving HTTP over TCP or TLS, with limits on connections and headers, until told to stop.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
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
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::settings::resolved::{Settings, TlsFiles};

/// How long a TLS handshake may take, in seconds.
const MAX_HANDSHAKE_S: u64 = 10;
/// How long to wait after the system could not give another connection, in milliseconds.
const ACCEPT_PAUSE_MS: u64 = 50;

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
    #[error("the certificate and key cannot be used: {0}")]
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
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What a connection is served with.
struct Serving {
    router: Router,
    http: Builder<TokioExecutor>,
    graceful: GracefulShutdown,
}

/// Serves until `stop` is true; then answers what came and ends within `settings.http_drain`.
///
/// # Errors
/// If the socket breaks.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    settings: &Settings,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.http_header_timeout)
        .max_buf_size(settings.http_max_header_bytes.max(8192));
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(settings.http_max_header_bytes).unwrap_or(u32::MAX));
    let serving = Serving { router, http, graceful: GracefulShutdown::new() };
    let room = Arc::new(Semaphore::new(settings.http_max_connections));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { break };
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %error, "no connection was accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        begin(&serving, tls.clone(), stream, peer, place);
    }
    drop(listener);
    tokio::select! {
        () = serving.graceful.shutdown() => {}
        () = tokio::time::sleep(settings.http_drain) => tracing::warn!("requests were cut off at the end of the drain"),
    }
    Ok(())
}

fn begin(
    serving: &Serving,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    peer: SocketAddr,
    place: tokio::sync::OwnedSemaphorePermit,
) {
    let watcher = serving.graceful.watcher();
    let http = serving.http.clone();
    let router = serving.router.clone().layer(axum::Extension(ConnectInfo(peer)));
    tokio::spawn(async move {
        match tls {
            None => connection(http, watcher, stream, router).await,
            Some(tls) => {
                let limit = Duration::from_secs(MAX_HANDSHAKE_S);
                if let Ok(Ok(stream)) = tokio::time::timeout(limit, tls.accept(stream)).await {
                    connection(http, watcher, stream, router).await;
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
    router: Router,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service =
        TowerToHyperService::new(router.map_request(|r: http::Request<_>| r.map(axum::body::Body::new)));
    let served = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served.into_owned()).await {
        tracing::debug!(error = %error, "a connection ended early");
    }
}
