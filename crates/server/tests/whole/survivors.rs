//! Nothing of a leaver is admitted after the answer; nothing of anybody else is lost.
//!
//! Each round one person gets every kind of token and agent in one organization, and in another too, while 64
//! connections ask about all of them all the time. Then a cause takes the person out. Whatever is admitted by a check
//! that began after the 2xx has survived.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use portcullis_domain::access::EndedBecause;
use portcullis_domain::agent::OwnerLossRule;
use portcullis_domain::token::TokenKind;
use portcullis_emulator::{OidcProvider, Person, PersonState};
use serde_json::{Value, json};

use crate::harness::{Org, ROOT, Server, is_long, provider, text};

const CONNECTIONS: usize = 64;

/// A way in which a membership ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    PatchPathless,
    PatchEntra,
    Put,
    Delete,
    GroupPatch,
    GroupReplaced,
    Administrator,
    PostInactive,
}

/// Every way of every cause. A new cause without a way does not compile.
fn ways(because: EndedBecause) -> &'static [Way] {
    match because {
        EndedBecause::Inactive => &[Way::PatchPathless, Way::PatchEntra, Way::Put, Way::PostInactive],
        EndedBecause::Deleted => &[Way::Delete],
        EndedBecause::Unmapped => &[Way::GroupPatch, Way::GroupReplaced],
        EndedBecause::Administrator => &[Way::Administrator],
    }
}

/// What becomes of a token when the person it is about leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It must be refused after the answer.
    Ends,
    /// It stands in the receipt as to be rotated, and lives.
    Rotate,
    /// It runs on with a new owner, because the leaver never saw it.
    RunsOn,
}

#[derive(Debug, Clone)]
pub struct Issued {
    kind: TokenKind,
    pub secret: String,
    pub what: String,
    pub fate: Fate,
}

impl Issued {
    /// Whether it lets its bearer act, and is asked about; the others ask, tell or let in.
    fn acts(&self) -> bool {
        match self.kind {
            TokenKind::Session | TokenKind::MemberKey | TokenKind::AgentKey => true,
            TokenKind::ServiceKey | TokenKind::ScimToken | TokenKind::Invitation | TokenKind::OwnerLink => {
                false
            }
        }
    }

    /// Whether it is good for what its kind is for, in that organization.
    async fn is_good(&self, server: &Server, org: &Org) -> bool {
        match self.kind {
            TokenKind::Session | TokenKind::MemberKey | TokenKind::AgentKey => {
                ask(server, &org.asker, &self.secret).await
            }
            TokenKind::ServiceKey => {
                let question = json!({
                    "subject": { "type": "token", "id": "nonsense" }, "action": { "name": "use" },
                    "resource": { "type": "tool", "id": "Bash" },
                });
                server.call("POST", "/access/v1/evaluation", &self.secret, question).await.0 == 200
            }
            TokenKind::ScimToken => {
                let users = format!("/scim/v2/{}/Users?count=1", org.directory);
                server.call("GET", &users, &self.secret, Value::Null).await.0 == 200
            }
            TokenKind::Invitation | TokenKind::OwnerLink => {
                let link = format!("{}/invite?token={}", server.base, self.secret);
                server.http.get(link).send().await.unwrap().status() == 200
            }
        }
    }
}

/// What the askers ask about now.
#[derive(Default)]
struct Watched {
    /// Must be refused by every check that begins after `ended_at`.
    leaving: Vec<Issued>,
    /// When the 2xx came.
    ended_at: Option<Instant>,
    /// Must be admitted always.
    staying: Vec<(String, String)>,
}

#[derive(Default)]
struct Counters {
    checks: AtomicU64,
    survivors: AtomicU64,
    lost: AtomicU64,
}

/// Where the session of somebody comes from.
pub enum Session<'a> {
    /// They sign in by the organization's connection.
    SignIn(&'a OidcProvider),
    /// They have one.
    Open(String),
    /// They have none: no connection knows a membership that was given to a user by the root token.
    None,
}

/// Every kind of token that there is, for one person. A new kind without a fixture does not compile.
pub async fn every_kind(
    server: &Server,
    org: &Org,
    (member, address, session): (&str, &str, Session<'_>),
    heir: &str,
) -> Vec<Issued> {
    let at = |rest: &str| format!("/organizations/{}{rest}", org.slug);
    let key = server.root("POST", &at(&format!("/members/{member}/keys")), json!({ "name": "laptop" })).await;
    let own = text(&key, "token");
    let mut all = Vec::new();
    for kind in TokenKind::ALL {
        match kind {
            TokenKind::Session => {
                let secret = match &session {
                    Session::Open(session) => session.clone(),
                    Session::SignIn(idp) => org.sign_in(server, idp, address).await,
                    Session::None => continue,
                };
                all.push(Issued { kind, secret, what: "session".into(), fate: Fate::Ends });
            }
            TokenKind::MemberKey => {
                all.push(Issued { kind, secret: own.clone(), what: "member key".into(), fate: Fate::Ends });
                // Another's key that the leaver saw, and one that it issued: they may have called with it.
                let keys = at(&format!("/members/{heir}/keys"));
                let seen = by_member(server, &own, &keys, json!({ "name": "seen" })).await;
                let secret = by_member(server, &seen, &keys, json!({ "name": "by a seen key" })).await;
                for (what, secret) in [("seen key", seen), ("key by a seen key", secret)] {
                    all.push(Issued { kind, secret, what: what.into(), fate: Fate::Ends });
                }
            }
            TokenKind::AgentKey => all.extend(agents(server, org, (member, &own), heir).await),
            TokenKind::ServiceKey => {
                let body = json!({ "name": "mine", "scopes": ["evaluate"] });
                let secret = by_member(server, &own, &at("/service-keys"), body).await;
                all.push(Issued { kind, secret, what: "service key".into(), fate: Fate::Rotate });
            }
            TokenKind::ScimToken => {
                let path = at(&format!("/directories/{}/tokens", org.directory));
                let secret = by_member(server, &own, &path, json!({})).await;
                all.push(Issued { kind, secret, what: "scim token".into(), fate: Fate::Rotate });
            }
            TokenKind::Invitation => {
                let body = json!({ "email": format!("guest-of-{member}@elsewhere.test"), "role": "viewer" });
                let (status, made) =
                    server.call("POST", &format!("/api/v1{}", at("/invitations")), &own, body).await;
                assert_eq!(status, 201, "{made}");
                let link = text(&made, "link");
                let secret = link.rsplit(['/', '#', '=']).next().unwrap().to_owned();
                all.push(Issued { kind, secret, what: "invitation".into(), fate: Fate::Ends });
            }
            // Made by the root token for somebody who is not there yet: no member ever sees one.
            TokenKind::OwnerLink => {}
        }
    }
    all
}

/// What a member issues by their own key, and sees the secret of.
async fn by_member(server: &Server, own: &str, path: &str, body: Value) -> String {
    let (status, made) = server.call("POST", &format!("/api/v1{path}"), own, body).await;
    assert_eq!(status, 201, "{path}: {made}");
    text(&made, "token")
}

/// An agent for every rule, each with a key that the leaver saw and one that only the root token's holder saw.
async fn agents(server: &Server, org: &Org, (member, own): (&str, &str), heir: &str) -> Vec<Issued> {
    let mut all = Vec::new();
    for rule in OwnerLossRule::ALL {
        let rule_name = rule.as_str();
        let body = json!({ "name": rule_name, "owner": member, "heir": heir, "on_owner_loss": rule_name });
        let path = format!("/organizations/{}/agents", org.slug);
        let agent = text(&server.root("POST", &path, body).await, "id");
        let keys = format!("{path}/{agent}/keys");
        let kind = TokenKind::AgentKey;
        let secret = by_member(server, own, &keys, json!({ "name": "seen" })).await;
        all.push(Issued { kind, secret, what: format!("{rule_name} seen"), fate: Fate::Ends });
        let unseen = server.root("POST", &keys, json!({ "name": "unseen" })).await;
        let fate = match rule {
            OwnerLossRule::Pause | OwnerLossRule::Disable => Fate::Ends,
            OwnerLossRule::HandOver | OwnerLossRule::Keep => Fate::RunsOn,
        };
        let secret = text(&unseen, "token");
        all.push(Issued { kind, secret, what: format!("{rule_name} unseen"), fate });
    }
    all
}

/// Carries the way out and gives the status of the answer.
async fn leave(server: &Server, org: &Org, way: Way, (name, user, member): (&str, &str, &str)) -> u16 {
    let patch = |operation: Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation],
        })
    };
    let at = format!("/Users/{user}");
    let admins = format!("/Groups/{}", org.admins);
    let mut inactive = org.user(name);
    inactive["active"] = json!(false);
    let answer = match way {
        Way::PatchPathless => {
            let operation = json!({ "op": "replace", "value": { "active": false } });
            org.scim(server, "PATCH", &at, patch(operation)).await
        }
        Way::PatchEntra => {
            let operation = json!({ "op": "Replace", "path": "active", "value": "False" });
            org.scim(server, "PATCH", &at, patch(operation)).await
        }
        Way::Put => org.scim(server, "PUT", &at, inactive).await,
        Way::PostInactive => org.scim(server, "POST", "/Users", inactive).await,
        Way::Delete => org.scim(server, "DELETE", &at, Value::Null).await,
        Way::GroupPatch => {
            let operation = json!({ "op": "Remove", "path": "members", "value": [{ "value": user }] });
            org.scim(server, "PATCH", &admins, patch(operation)).await
        }
        Way::GroupReplaced => {
            let operation = json!({ "op": "replace", "path": "members", "value": [] });
            org.scim(server, "PATCH", &admins, patch(operation)).await
        }
        Way::Administrator => {
            let path = format!("/api/v1/organizations/{}/members/{member}/offboard", org.slug);
            server.call("POST", &path, ROOT, json!({ "reason": "left" })).await
        }
    };
    assert!((200..300).contains(&answer.0), "{way:?}: {} {}", answer.0, answer.1);
    answer.0
}

async fn ask(server: &Server, asker: &str, secret: &str) -> bool {
    server.code(asker, secret).await == "allowed"
}

/// One of the connections that ask all the time.
async fn asker(
    server: Arc<Server>,
    keys: (String, String),
    watched: Arc<RwLock<Watched>>,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
) {
    let mut turn = 0_usize;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let picked = {
            let watched = watched.read().unwrap();
            if watched.leaving.is_empty() || turn.is_multiple_of(3) {
                let at = turn % watched.staying.len().max(1);
                watched.staying.get(at).map(|(secret, what)| (secret.clone(), what.clone(), false))
            } else {
                let one = &watched.leaving[turn % watched.leaving.len()];
                Some((one.secret.clone(), one.what.clone(), true))
            }
        };
        let Some((secret, what, leaving)) = picked else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let began = Instant::now();
        let admitted = ask(&server, if leaving { &keys.0 } else { &keys.1 }, &secret).await;
        counters.checks.fetch_add(1, Ordering::Relaxed);
        if leaving {
            let watched = watched.read().unwrap();
            let still = watched.leaving.iter().any(|one| one.secret == secret);
            let after = watched.ended_at.is_some_and(|ended_at| began > ended_at);
            if admitted && still && after {
                counters.survivors.fetch_add(1, Ordering::Relaxed);
                eprintln!("survived: {what}");
            }
        } else if !admitted {
            counters.lost.fetch_add(1, Ordering::Relaxed);
            eprintln!("lost: {what}");
        }
    }
}

async fn round(
    server: &Server,
    orgs: (&Org, &Org),
    idp: &OidcProvider,
    watched: &RwLock<Watched>,
    (number, way): (usize, Way),
    heirs: (&str, &str),
) {
    let (org, other) = orgs;
    let name = format!("leaver-{number}");
    let address = format!("{name}@{}", org.domain);
    let (user, member, session) = arrive(server, org, way, &name).await;
    idp.change_company(|company| {
        company.people.push(Person {
            id: name.clone(),
            user_name: address.clone(),
            email: address.clone(),
            given_name: name.clone(),
            family_name: "Test".into(),
            state: PersonState::Active,
        });
    });
    // The same human, in another organization.
    let human = text(&org.member(server, &name).await["user"], "id");
    let there = server
        .root("POST", &format!("/organizations/{}/members", other.slug), json!({ "user": human }))
        .await;
    let there = text(&there, "id");
    let path = format!("/organizations/{}/grants", other.slug);
    server.root("POST", &path, json!({ "member": there, "role": "admin", "reason": "works here too" })).await;
    let elsewhere = every_kind(server, other, (&there, &address, Session::None), heirs.1).await;

    let session = session.map_or(Session::SignIn(idp), Session::Open);
    let issued = every_kind(server, org, (&member, &address, session), heirs.0).await;
    for (one, of) in issued.iter().map(|one| (one, org)).chain(elsewhere.iter().map(|one| (one, other))) {
        assert!(one.is_good(server, of).await, "{}: {} is good before", of.slug, one.what);
    }
    {
        let mut watched = watched.write().unwrap();
        let leaving = issued.iter().filter(|i| i.acts() && i.fate == Fate::Ends);
        watched.leaving = leaving.cloned().collect();
        watched.ended_at = None;
        let staying = elsewhere.iter().filter(|i| i.acts());
        watched.staying = staying
            .map(|i| (i.secret.clone(), format!("{name}'s {} in the other organization", i.what)))
            .collect();
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    leave(server, org, way, (&name, &user, &member)).await;
    let ended_at = Instant::now();
    watched.write().unwrap().ended_at = Some(ended_at);
    for one in &issued {
        let good = one.is_good(server, org).await;
        match one.fate {
            Fate::Ends => assert!(!good, "{way:?}: {} survived", one.what),
            Fate::RunsOn => assert!(good, "{way:?}: {} runs on", one.what),
            Fate::Rotate => assert!(good, "{way:?}: {} is the organization's until it is rotated", one.what),
        }
    }
    for one in &elsewhere {
        assert!(one.is_good(server, other).await, "{way:?}: {} was lost in the other organization", one.what);
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    check_receipt(server, org, &member, &issued).await;
    let left = text(&org.member(server, &name).await, "state");
    assert_eq!(left, "deprovisioned", "{way:?}");
}

/// The person comes in by the directory, or by an invitation where the directory's first word is `active:false`: the
/// SCIM User's id, the membership's, and the session that accepting opened.
async fn arrive(server: &Server, org: &Org, way: Way, name: &str) -> (String, String, Option<String>) {
    if way == Way::PostInactive {
        let address = format!("{name}@{}", org.domain);
        let path = format!("/organizations/{}/invitations", org.slug);
        let made = server.root("POST", &path, json!({ "email": address, "role": "admin" })).await;
        let session = crate::harness::accept(server, &text(&made, "link")).await;
        return (String::new(), text(&org.member(server, name).await, "id"), Some(session));
    }
    let user = org.person(server, name).await;
    org.add_member(server, &org.admins, &user).await;
    let member = org.member(server, name).await;
    assert_eq!(text(&member, "state"), "active");
    (user, text(&member, "id"), None)
}

async fn check_receipt(server: &Server, org: &Org, member: &str, issued: &[Issued]) {
    let receipts = server.all(&format!("/organizations/{}/receipts", org.slug)).await;
    let receipt = receipts.iter().rev().find(|r| r["member"] == member);
    let receipt = receipt.unwrap_or_else(|| panic!("no receipt for {member}"));
    let ended = receipt["ended"].as_array().unwrap();
    let tokens = ended.iter().filter(|e| e["type"] == "token").count();
    // Every token that ends has a line; those of the orphaned agent that the leaver never saw stop with the agent.
    let expected = issued.iter().filter(|i| i.fate == Fate::Ends && i.what != "pause unseen").count();
    assert_eq!(tokens, expected, "{receipt}");
    let rotate = receipt["kept"].as_array().unwrap().iter().filter(|k| k["why"] == "rotate").count();
    assert_eq!(rotate, issued.iter().filter(|i| i.fate == Fate::Rotate).count(), "{receipt}");
}

/// Somebody who stays, and takes agents over.
async fn heir_of(server: &Server, org: &Org) -> String {
    let heir = org.person(server, "heir").await;
    org.add_member(server, &org.group(server, "everyone").await, &heir).await;
    text(&org.member(server, "heir").await, "id")
}

async fn survivors(server: Server, rounds: usize) {
    let idp = provider().await;
    let server = Arc::new(server);
    let org = Org::new(&server, "acme", &idp).await;
    let other = Org::new(&server, "globex", &idp).await;
    let heirs = (heir_of(&server, &org).await, heir_of(&server, &other).await);
    let watched = Arc::new(RwLock::new(Watched::default()));
    let counters = Arc::new(Counters::default());
    let stop = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let keys = (org.asker.clone(), other.asker.clone());
            tokio::spawn(asker(server.clone(), keys, watched.clone(), counters.clone(), stop.clone()))
        })
        .collect();
    let all: Vec<Way> = EndedBecause::ALL.into_iter().flat_map(ways).copied().collect();
    for number in 0..rounds {
        let way = all[number % all.len()];
        round(&server, (&org, &other), &idp, &watched, (number, way), (&heirs.0, &heirs.1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap();
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "survivors: {rounds} off-boardings by {} ways, {} checks, {} survivors, {} lost",
        all.len(),
        count(&counters.checks),
        count(&counters.survivors),
        count(&counters.lost)
    );
    assert!(count(&counters.checks) > rounds as u64 * 10, "the askers asked");
    assert_eq!(count(&counters.survivors), 0);
    assert_eq!(count(&counters.lost), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_leaver_is_admitted_after_the_answer_on_sqlite() {
    survivors(Server::sqlite().await, if is_long() { 1000 } else { 100 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_leaver_is_admitted_after_the_answer_on_postgres() {
    survivors(Server::postgres().await, if is_long() { 200 } else { 24 }).await;
}
