//! The identity of a machine, against real files and servers on loopback.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use portcullis_service::fetch::FetchError;
use portcullis_service::google::workload::{IdentitySource, MAX_IDENTITY_BYTES};
use tokio::net::TcpListener;
use url::Url;

use super::{Identity, METADATA_TOKEN};

async fn server() -> Url {
    let token = |headers: HeaderMap| async move {
        match headers.get("metadata-flavor").map(|value| value.as_bytes()) {
            Some(b"Google") => (StatusCode::OK, [("metadata-flavor", "Google")], "metadata's"),
            _ => (StatusCode::FORBIDDEN, [("metadata-flavor", "Google")], "forged"),
        }
    };
    let platform = |headers: HeaderMap| async move {
        headers.get("x-identity").and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned()
    };
    let routes = Router::new()
        .route(METADATA_TOKEN, get(token))
        .route("/platform", get(platform))
        .route("/large", get(|| async { "x".repeat(MAX_IDENTITY_BYTES + 1) }))
        .route("/away", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/platform")]) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    base
}

fn at(base: &Url, path: &str) -> Identity {
    let source = IdentitySource::Url {
        url: base.join(path).unwrap(),
        headers: vec![("X-Identity".to_owned(), "yes".to_owned())],
    };
    Identity::new(Some(source), None, &[]).unwrap()
}

async fn refused(identity: &Identity) -> String {
    match identity.read().await {
        Err(FetchError::IdentityUnreadable { why }) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was read"),
    }
}

#[tokio::test]
async fn an_identity_is_read_from_the_one_place_that_is_named() {
    let base = server().await;
    let metadata = Identity::new(Some(IdentitySource::Metadata), Some(&base), &[]).unwrap();
    assert_eq!(metadata.read().await.unwrap(), b"metadata's");
    assert_eq!(at(&base, "/platform").read().await.unwrap(), b"yes", "with its headers");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let named = IdentitySource::File(file.to_str().unwrap().to_owned());
    let identity = Identity::new(Some(named), None, &[]).unwrap();
    assert!(refused(&identity).await.contains("token"), "there is none yet");
    std::fs::write(&file, "first").unwrap();
    assert_eq!(identity.read().await.unwrap(), b"first");
    std::fs::write(&file, "renewed").unwrap();
    assert_eq!(identity.read().await.unwrap(), b"renewed", "it is read anew each time");
}

#[tokio::test]
async fn an_identity_that_is_none_or_too_large_or_elsewhere_is_refused() {
    let base = server().await;
    assert!(refused(&Identity::new(None, None, &[]).unwrap()).await.contains("name none"));
    assert!(refused(&at(&base, "/large")).await.contains("bytes"));
    assert!(refused(&at(&base, "/away")).await.contains("302"), "a redirect is not followed");
    let other = base.join("/elsewhere").unwrap();
    let metadata = Identity::new(Some(IdentitySource::Metadata), Some(&other), &[]).unwrap();
    assert!(refused(&metadata).await.contains("404"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "x".repeat(MAX_IDENTITY_BYTES + 1)).unwrap();
    let named = IdentitySource::File(file.to_str().unwrap().to_owned());
    assert!(refused(&Identity::new(Some(named), None, &[]).unwrap()).await.contains("bytes"));
}
