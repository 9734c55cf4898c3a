//! Metadata of SAML is read anew by a server that nobody tells to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{Server, until};
use crate::saml_idp::SamlIdp;

/// Where a provider publishes its metadata, and how often somebody read it.
async fn published(metadata: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metadata", listener.local_addr().unwrap());
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let answer = move || async move {
        counted.fetch_add(1, Ordering::Relaxed);
        metadata
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/metadata", get(answer))).await });
    (url, reads)
}

#[tokio::test]
async fn metadata_that_is_due_is_read_anew_by_itself() {
    let mut server = Server::sqlite().await;
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let (url, reads) = published(SamlIdp::new().metadata()).await;
    let wish = json!({ "kind": "saml", "name": "IdP", "metadata_url": url });
    server.root("POST", "/organizations/acme/connections", wish).await;
    let before = reads.load(Ordering::Relaxed);
    assert!(before > 0, "it is read when the connection is made");
    server.terminate();
    // Hours pass.
    let database = rusqlite::Connection::open(server.data.join("portcullis.sqlite")).unwrap();
    assert_eq!(database.execute("UPDATE saml_refreshes SET due_at = 0, asked_at = 0", []).unwrap(), 1);
    drop(database);
    server.restart().await;
    let is_read = async || (reads.load(Ordering::Relaxed) > before).then_some(());
    until("a reading that nobody asked for", is_read).await;
}
