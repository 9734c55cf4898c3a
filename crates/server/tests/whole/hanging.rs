//! A PostgreSQL that takes connections and answers nothing any more: the server still ends when it is told to.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::harness::{ROOT, Server, fresh_database, terminate, variable};

/// What SIGTERM promises.
const MAX_END: Duration = Duration::from_secs(10);

/// A way to the database that can be blocked: then it takes what is sent, and nothing comes back.
pub struct Way {
    address: String,
    blocked: Arc<AtomicBool>,
}

impl Way {
    fn to(database: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let blocked = Arc::new(AtomicBool::new(false));
        let (to, is_blocked) = (database.to_owned(), Arc::clone(&blocked));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&to).unwrap());
                carry(client.try_clone().unwrap(), server.try_clone().unwrap(), &is_blocked);
                carry(server, client, &is_blocked);
            }
        });
        Self { address, blocked }
    }

    /// From now on nothing comes back.
    pub fn block(&self) {
        self.blocked.store(true, Ordering::SeqCst);
    }
}

/// Carries bytes one way, until it is blocked: from then on they vanish, and the connection stays open.
fn carry(mut from: TcpStream, mut to: TcpStream, blocked: &Arc<AtomicBool>) {
    let blocked = Arc::clone(blocked);
    std::thread::spawn(move || {
        let mut bytes = [0_u8; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if !blocked.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        if blocked.load(Ordering::SeqCst) {
            // Whoever waits for an answer is not told that there will be none.
            std::thread::park();
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// A fresh database, the way to it, and its URL by that way.
pub async fn way_to_a_database() -> (Way, String) {
    let url = fresh_database().await;
    let (user, rest) = url.split_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let way = Way::to(address);
    let by_way = format!("{user}@{}/{name}", way.address);
    (way, by_way)
}

#[tokio::test]
async fn sigterm_ends_in_ten_seconds_when_postgresql_answers_nothing_any_more() {
    let (way, url) = way_to_a_database().await;
    let mut server = Server::on(url).await;
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    way.block();
    // Requests that hang at the database when the order comes.
    let asked: Vec<_> = (0..20)
        .map(|number| {
            let (http, base) = (server.http.clone(), server.base.clone());
            let body = json!({ "slug": format!("org-{number}"), "name": "Org" });
            tokio::spawn(async move {
                http.post(format!("{base}/api/v1/organizations")).bearer_auth(ROOT).json(&body).send().await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (took, status) = server.terminate();
    assert!(took < MAX_END, "it took {took:?}");
    assert!(status.success(), "{status}");
    for asked in asked {
        if let Ok(answer) = asked.await.unwrap() {
            assert!(!answer.status().is_success(), "it said yes to what was not stored");
        }
    }
}

#[tokio::test]
async fn sigterm_ends_a_server_that_waits_for_postgresql_at_its_start() {
    let (way, url) = way_to_a_database().await;
    way.block();
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(variable("PORTCULLIS_BIN"))
        .args(["serve", "--listen", "127.0.0.1:0", "--database", &url, "--data"])
        .arg(folder.path().join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "it should wait for the database");
    let (took, _) = terminate(&mut child);
    assert!(took < MAX_END, "it took {took:?}");
}
