//! Every kind of token that there is, for one person: what it is good for, and what becomes of it when they leave.

use portcullis_domain::agent::OwnerLossRule;
use portcullis_domain::connection::ConnectionKind;
use portcullis_domain::token::TokenKind;
use serde_json::{Value, json};

use crate::harness::{Org, Server, text};

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
    pub kind: TokenKind,
    pub secret: String,
    pub what: String,
    pub fate: Fate,
    /// The kind of connection that a session came in by.
    pub by: Option<ConnectionKind>,
}

impl Issued {
    pub fn new(kind: TokenKind, what: &str, secret: String, fate: Fate) -> Self {
        Self { kind, secret, what: what.to_owned(), fate, by: None }
    }

    /// Whether it lets its bearer act, and is asked about; the others ask, tell or let in.
    pub fn acts(&self) -> bool {
        match self.kind {
            TokenKind::Session | TokenKind::MemberKey | TokenKind::AgentKey => true,
            TokenKind::ServiceKey | TokenKind::ScimToken | TokenKind::Invitation | TokenKind::OwnerLink => {
                false
            }
        }
    }

    /// What whoever presents it is answered, in that organization.
    pub async fn answer(&self, server: &Server, org: &Org) -> Answer {
        match self.kind {
            TokenKind::Session | TokenKind::MemberKey | TokenKind::AgentKey => {
                let code = server.code(&org.asker, &self.secret).await;
                Answer { is_good: code == "allowed", said: code }
            }
            TokenKind::ServiceKey => {
                let question = json!({
                    "subject": { "type": "token", "id": "nonsense" }, "action": { "name": "use" },
                    "resource": { "type": "tool", "id": "Bash" },
                });
                Answer::status(server.call("POST", "/access/v1/evaluation", &self.secret, question).await.0)
            }
            TokenKind::ScimToken => {
                let users = format!("/scim/v2/{}/Users?count=1", org.directory);
                Answer::status(server.call("GET", &users, &self.secret, Value::Null).await.0)
            }
            TokenKind::Invitation | TokenKind::OwnerLink => {
                let link = format!("{}/invite?token={}", server.base, self.secret);
                let page = server.http.get(link).send().await.unwrap();
                let (status, body) = (page.status().as_u16(), page.text().await.unwrap());
                if body.contains("This link is unknown, was used, or ran out.") {
                    return Answer { is_good: false, said: "link_invalid".to_owned() };
                }
                Answer::status(status)
            }
        }
    }
}

/// What the bearer of a token was answered.
#[derive(Debug)]
pub struct Answer {
    pub is_good: bool,
    /// The code of a decision, or the status.
    pub said: String,
}

impl Answer {
    fn status(status: u16) -> Self {
        Self { is_good: status == 200, said: status.to_string() }
    }
}

/// A session that somebody has, and by which kind of connection it came; by a password where it is none.
#[derive(Debug, Clone)]
pub struct OpenSession {
    pub secret: String,
    pub by: Option<ConnectionKind>,
}

/// Every kind of token that there is, for one person, with the sessions that they have. A new kind without a fixture does
/// not compile.
pub async fn every_kind(
    server: &Server,
    org: &Org,
    (member, sessions): (&str, &[OpenSession]),
    heir: &str,
) -> Vec<Issued> {
    let at = |rest: &str| format!("/organizations/{}{rest}", org.slug);
    let key = server.root("POST", &at(&format!("/members/{member}/keys")), json!({ "name": "laptop" })).await;
    let own = text(&key, "token");
    let mut all = Vec::new();
    for kind in TokenKind::ALL {
        match kind {
            TokenKind::Session => {
                for OpenSession { secret, by } in sessions {
                    let what = format!("session by {}", by.map_or("a password", ConnectionKind::as_str));
                    all.push(Issued { by: *by, ..Issued::new(kind, &what, secret.clone(), Fate::Ends) });
                }
            }
            TokenKind::MemberKey => {
                all.push(Issued::new(kind, "member key", own.clone(), Fate::Ends));
                // Another's key that the leaver saw, and one that it issued: they may have called with it.
                let keys = at(&format!("/members/{heir}/keys"));
                let seen = by_member(server, &own, &keys, json!({ "name": "seen" })).await;
                let secret = by_member(server, &seen, &keys, json!({ "name": "by a seen key" })).await;
                all.push(Issued::new(kind, "seen key", seen, Fate::Ends));
                all.push(Issued::new(kind, "key by a seen key", secret, Fate::Ends));
            }
            TokenKind::AgentKey => all.extend(agents(server, org, (member, &own), heir).await),
            TokenKind::ServiceKey => {
                let body = json!({ "name": "mine", "scopes": ["evaluate"] });
                let secret = by_member(server, &own, &at("/service-keys"), body).await;
                all.push(Issued::new(kind, "service key", secret, Fate::Rotate));
            }
            TokenKind::ScimToken => {
                let path = at(&format!("/directories/{}/tokens", org.directory));
                let secret = by_member(server, &own, &path, json!({})).await;
                all.push(Issued::new(kind, "scim token", secret, Fate::Rotate));
            }
            TokenKind::Invitation => {
                let body = json!({ "email": format!("guest-of-{member}@elsewhere.test"), "role": "viewer" });
                let (status, made) =
                    server.call("POST", &format!("/api/v1{}", at("/invitations")), &own, body).await;
                assert_eq!(status, 201, "{made}");
                all.push(Issued::new(kind, "invitation", secret_of(&text(&made, "link")), Fate::Ends));
            }
            // Made by the root token for somebody who is not there yet: no member ever sees one.
            TokenKind::OwnerLink => {}
        }
    }
    all
}

/// The secret in a link.
pub fn secret_of(link: &str) -> String {
    link.rsplit(['/', '#', '=']).next().unwrap().to_owned()
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
        all.push(Issued::new(kind, &format!("{rule_name} seen"), secret, Fate::Ends));
        let unseen = server.root("POST", &keys, json!({ "name": "unseen" })).await;
        let fate = match rule {
            OwnerLossRule::Pause | OwnerLossRule::Disable => Fate::Ends,
            OwnerLossRule::HandOver | OwnerLossRule::Keep => Fate::RunsOn,
        };
        all.push(Issued::new(kind, &format!("{rule_name} unseen"), text(&unseen, "token"), fate));
    }
    all
}
