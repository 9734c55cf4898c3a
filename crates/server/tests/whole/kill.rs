//! SIGKILL in the middle of an import: what was answered is there, nothing is half done, the log is in step.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Org, Server, is_long, provider};

const CLIENTS: usize = 8;

/// Imports people until the server is gone; the names whose creation was answered.
async fn import(
    base: String,
    token: String,
    domain: String,
    next: Arc<AtomicU64>,
    killed: Arc<AtomicBool>,
) -> Vec<(String, String)> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut answered = Vec::new();
    // A client may try again by itself on a new connection; after the kill it must not go on with the next server.
    while !killed.load(Ordering::Relaxed) {
        let name = format!("p{}", next.fetch_add(1, Ordering::Relaxed));
        let address = format!("{name}@{domain}");
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address, "externalId": name,
            "active": true, "emails": [{ "value": address, "primary": true }],
        });
        let sent = http.post(format!("{base}/Users")).bearer_auth(&token).body(body.to_string()).send().await;
        let Ok(answer) = sent else { return answered };
        let status = answer.status();
        let Ok(body) = answer.json::<Value>().await else { return answered };
        assert_eq!(status, 201, "{body}");
        answered.push((name, body["id"].as_str().unwrap().to_owned()));
    }
    answered
}

async fn kills(mut server: Server, count: usize) {
    let idp = provider().await;
    let org = Org::new(&server, "acme", &idp).await;
    let next = Arc::new(AtomicU64::new(0));
    let mut everybody: BTreeSet<String> = BTreeSet::new();
    for round in 0..count {
        let killed = Arc::new(AtomicBool::new(false));
        let importers: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (base, token) = (org.scim_base.clone(), org.scim_token.clone());
                tokio::spawn(import(base, token, org.domain.clone(), next.clone(), killed.clone()))
            })
            .collect();
        // A different moment each round, counted in creations so that a slow machine kills no later than a fast one.
        let until = next.load(Ordering::Relaxed) + 12 + (round as u64 * 37) % 60;
        while next.load(Ordering::Relaxed) < until {
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        server.kill();
        killed.store(true, Ordering::Relaxed);
        server.restart().await;
        let mut answered = Vec::new();
        for importer in importers {
            answered.extend(importer.await.unwrap());
        }
        for (name, id) in &answered {
            let (status, user) = org.scim(&server, "GET", &format!("/Users/{id}"), Value::Null).await;
            assert_eq!(status, 200, "`{name}` was answered and is gone");
            assert_eq!(user["externalId"], name.as_str());
        }
        everybody.extend(answered.into_iter().map(|(_, id)| id));
    }
    assert!(everybody.len() > count, "people were imported between the kills");
    in_step(&server, &org, &everybody).await;
}

/// Each person has one membership and one event, each event a person.
async fn in_step(server: &Server, org: &Org, answered: &BTreeSet<String>) {
    let mut people = BTreeSet::new();
    let mut start = 1;
    loop {
        let path = format!("/Users?startIndex={start}&count=200");
        let page = org.say(server, "GET", &path, Value::Null).await;
        let resources = page["Resources"].as_array().unwrap();
        people.extend(resources.iter().map(|r| r["id"].as_str().unwrap().to_owned()));
        start += resources.len();
        if resources.is_empty() {
            assert_eq!(page["totalResults"], people.len());
            break;
        }
    }
    assert!(answered.is_subset(&people));
    let path = format!("/organizations/{}/audit-events?action=directory_user.created", org.slug);
    let events = server.all(&path).await;
    let told: BTreeSet<String> =
        events.iter().map(|e| e["targets"][0]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told.len(), events.len(), "one event a person");
    assert_eq!(told, people, "the log is in step with the state");
    let members = server.all(&format!("/organizations/{}/members", org.slug)).await;
    assert_eq!(members.len(), people.len(), "one membership a person");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill_on_sqlite() {
    kills(Server::sqlite().await, if is_long() { 200 } else { 20 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill_on_postgres() {
    kills(Server::postgres().await, if is_long() { 20 } else { 3 }).await;
}
