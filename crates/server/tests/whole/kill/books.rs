//! What a server has on record after a kill, from every side from which it can be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use portcullis_oidc::jwk::PublicJwk;
use portcullis_oidc::jws::{find_kid, verify_eddsa};
use serde_json::Value;

use super::import::Person;
use crate::harness::{Org, Server, text, until, variable};

/// The type of a signed receipt.
const RECEIPT_TYP: &str = "portcullis-receipt+jws";

/// How one person stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The SCIM User: whether it is active, and its title.
    pub user: Option<(bool, String)>,
    /// Whether the group has them.
    pub is_in_group: bool,
    /// The state of the membership.
    pub state: Option<String>,
    pub living_keys: usize,
    pub ended_keys: usize,
    pub receipts: usize,
}

/// What is read of all of them at once.
pub struct Books {
    in_group: BTreeSet<String>,
    receipts: BTreeMap<String, Vec<Value>>,
}

impl Books {
    pub async fn read(server: &Server, org: &Org, group: &str) -> Self {
        let group = org.say(server, "GET", &format!("/Groups/{group}"), Value::Null).await;
        let members = group["members"].as_array().cloned().unwrap_or_default();
        let mut receipts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for receipt in server.all(&format!("/organizations/{}/receipts", org.slug)).await {
            receipts.entry(text(&receipt, "member")).or_default().push(receipt);
        }
        Self { in_group: members.iter().map(|member| text(member, "value")).collect(), receipts }
    }

    /// How somebody stands. What their key is answered must fit to it.
    pub async fn of(&self, server: &Server, org: &Org, person: &mut Person) -> Seen {
        let path = format!("/Users?filter=userName%20eq%20%22{}%22", person.address);
        let found = org.say(server, "GET", &path, Value::Null).await;
        let user = found["Resources"].get(0);
        let members = format!("/organizations/{}/members?email={}", org.slug, person.address);
        let members = server.all(&members).await;
        assert!(members.len() < 2 && found["totalResults"].as_u64() < Some(2), "twice: {members:?} {found}");
        if let (Some(before), Some(user)) = (&person.user, user) {
            assert_eq!(user["id"], before.as_str(), "{person:?}");
        }
        let Some(member) = members.first() else {
            assert!(user.is_none(), "without a membership: {found}");
            return Seen::default();
        };
        let id = text(member, "id");
        let known = person.member.get_or_insert_with(|| id.clone());
        assert_eq!(*known, id, "another membership");
        let keys = server.all(&format!("/organizations/{}/tokens?holder={id}", org.slug)).await;
        let (living, ended): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key["ended_at"].is_null());
        if let Some(key) = &person.key {
            let code = server.code(&org.asker, key).await;
            let must = if living.is_empty() { "token_ended" } else { "allowed" };
            assert_eq!(code, must, "{person:?}: what a key is answered, and what stands of it");
        }
        let state = text(member, "state");
        let receipts = self.receipts.get(&id).map_or(&[][..], Vec::as_slice);
        let of_receipts: Vec<_> = receipts.iter().flat_map(|r| r["ended"].as_array().unwrap()).collect();
        let named = ended.iter().all(|key| of_receipts.iter().any(|line| line["id"] == key["id"]));
        assert!(named && of_receipts.len() == ended.len(), "{person:?}: {of_receipts:?}, {ended:?}");
        Seen {
            user: user.map(|user| (user["active"] == true, text(user, "title"))),
            is_in_group: user.is_some_and(|user| self.in_group.contains(&text(user, "id"))),
            state: Some(state),
            living_keys: living.len(),
            ended_keys: ended.len(),
            receipts: receipts.len(),
        }
    }

    /// Nothing is on record that was not of the import, each change has its event, once, and no later kill changed what
    /// anybody's key is answered.
    pub async fn must_be_in_step(&self, server: &Server, org: &Org, everybody: &[Person]) {
        for person in everybody {
            let Some(key) = &person.key else { continue };
            let must = if person.has_left() { "token_ended" } else { "allowed" };
            assert_eq!(server.code(&org.asker, key).await, must, "{person:?}");
        }
        let came: Vec<&Person> = everybody.iter().filter(|person| person.has_come()).collect();
        let left: BTreeSet<&String> =
            everybody.iter().filter(|p| p.has_left()).map(|p| p.member.as_ref().unwrap()).collect();
        assert_eq!(self.receipts.keys().collect::<BTreeSet<_>>(), left, "who has a receipt");
        let members = server.all(&format!("/organizations/{}/members", org.slug)).await;
        assert_eq!(members.len(), came.len(), "one membership a person");
        let told = async |action: &str, target: &str| -> BTreeSet<String> {
            let path = format!("/organizations/{}/audit-events?action={action}", org.slug);
            let events = server.all(&path).await;
            let of = |event: &Value| {
                let targets = event["targets"].as_array().unwrap();
                text(targets.iter().find(|t| t["type"] == target).unwrap(), "id")
            };
            let told: BTreeSet<String> = events.iter().map(of).collect();
            assert_eq!(told.len(), events.len(), "`{action}` once a {target}");
            told
        };
        assert_eq!(told("directory_user.created", "directory_user").await.len(), came.len());
        let all: BTreeSet<String> = members.iter().map(|member| text(member, "id")).collect();
        assert_eq!(told("member.created", "membership").await, all);
        let ended = told("member.deprovisioned", "membership").await;
        assert_eq!(ended.iter().collect::<BTreeSet<_>>(), left, "the log is in step with the state");
        let tokens = server.all(&format!("/organizations/{}/tokens", org.slug)).await;
        let over = tokens.iter().filter(|token| !token["ended_at"].is_null());
        assert_eq!(told("token.ended", "token").await, over.map(|token| text(token, "id")).collect());
    }
}

/// Every receipt is signed by a key of the organization, and says in its signature what it says; the export of the log
/// verifies by the same keys, and has everybody who left.
pub async fn must_verify(mut server: Server, org: &Org, left: usize) {
    let jwks = server.http.get(format!("{}/o/{}/jwks", server.base, org.slug)).send().await.unwrap();
    let jwks: Value = jwks.json().await.unwrap();
    let receipts = until("a signature of every receipt", async || {
        let all = server.all(&format!("/organizations/{}/receipts", org.slug)).await;
        all.iter().all(|receipt| !receipt["jws"].is_null()).then_some(all)
    })
    .await;
    assert_eq!(receipts.len(), left);
    for receipt in &receipts {
        let jws = receipt["jws"].as_str().unwrap();
        let kid = find_kid(jws).unwrap().unwrap();
        let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str()).unwrap();
        let signed = verify_eddsa(&PublicJwk::from_value(key).unwrap(), RECEIPT_TYP, jws).unwrap();
        let signed: Value = serde_json::from_slice(&signed).unwrap();
        for said in ["id", "member", "cause", "ended", "kept"] {
            assert_eq!(signed[said], receipt[said], "{receipt}");
        }
    }
    server.terminate();
    let folder = tempfile::tempdir().unwrap();
    let (log, keys) = (folder.path().join("log.jsonl"), folder.path().join("jwks.json"));
    std::fs::write(&keys, jwks.to_string()).unwrap();
    let (done, said) = server.command(&["audit", "export", &org.slug, log.to_str().unwrap()]);
    assert!(done, "{said}");
    let (verified, said) = verify(&log, &keys);
    assert!(verified, "{said}");
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("\"member.deprovisioned\"").count(), left, "who left stands in the export");
    // What was cut out of it is missed.
    let at = text.find("\"member.deprovisioned\"").unwrap();
    let begin = text[..at].rfind('\n').unwrap() + 1;
    let end = at + text[at..].find('\n').unwrap() + 1;
    std::fs::write(&log, format!("{}{}", &text[..begin], &text[end..])).unwrap();
    let (verified, said) = verify(&log, &keys);
    assert!(!verified && said.contains("not verified"), "{said}");
}

fn verify(log: &Path, keys: &Path) -> (bool, String) {
    let mut command = Command::new(variable("PORTCULLIS_BIN"));
    let output = command.args(["audit", "verify"]).arg(log).arg("--jwks").arg(keys).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
