//! The clients of the import: each brings people one by one, gives them a key, says something else of them and sends most
//! of them away, until the server is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::books::Seen;
use crate::harness::{Org, Server, text};

/// The title that somebody comes with, and the one that is said of them later.
const TITLES: [&str; 2] = ["Trainee", "Engineer"];

/// How somebody goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    PatchInactive,
    PutInactive,
    Delete,
    OutOfGroup,
    Stays,
}

const LEAVES: [Leave; 5] =
    [Leave::PatchInactive, Leave::PutInactive, Leave::Delete, Leave::OutOfGroup, Leave::Stays];

/// What is done about somebody, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Step {
    Create,
    IntoGroup,
    IssueKey,
    Replace,
    Leave,
}

const STEPS: [Step; 5] = [Step::Create, Step::IntoGroup, Step::IssueKey, Step::Replace, Step::Leave];

/// Somebody of the import, and how far it came with them.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub address: String,
    /// The id of the SCIM User, of the membership, and the secret of the key, as far as they were answered.
    pub user: Option<String>,
    pub member: Option<String>,
    pub key: Option<String>,
    leave: Leave,
    /// How many steps were answered.
    answered: usize,
    /// The next one was sent and not answered: it is carried out, or not.
    pub is_cut_off: bool,
}

impl Person {
    /// How many steps there are for them.
    fn steps(&self) -> usize {
        if self.leave == Leave::Stays { STEPS.len() - 1 } else { STEPS.len() }
    }

    /// Whether they were sent away.
    pub fn has_left(&self) -> bool {
        self.answered == STEPS.len()
    }

    /// Whether they were told of.
    pub fn has_come(&self) -> bool {
        self.answered > 0
    }

    /// How everything stands after that many steps: all of a step or nothing of it.
    fn after(&self, steps: usize) -> Seen {
        let Some(last) = steps.checked_sub(1).map(|last| STEPS[last]) else { return Seen::default() };
        let left = last == Step::Leave;
        let is_inactive = left && matches!(self.leave, Leave::PatchInactive | Leave::PutInactive);
        let is_gone = left && self.leave == Leave::Delete;
        let is_out = left && self.leave == Leave::OutOfGroup;
        let title = TITLES[usize::from(last >= Step::Replace)].to_owned();
        let keys = usize::from(last >= Step::IssueKey);
        let state = match last {
            // Nothing gives them access yet.
            Step::Create => "suspended",
            Step::IntoGroup | Step::IssueKey | Step::Replace => "active",
            Step::Leave => "deprovisioned",
        };
        Seen {
            user: (!is_gone).then_some((!is_inactive, title)),
            is_in_group: last >= Step::IntoGroup && !is_gone && !is_out,
            state: Some(state.to_owned()),
            living_keys: if left { 0 } else { keys },
            ended_keys: if left { keys } else { 0 },
            receipts: usize::from(left),
        }
    }

    /// Everything that was answered is there, and nothing is half done. From now on it is known whether what was cut off was
    /// carried out.
    pub fn must_be(&mut self, seen: &Seen) {
        let (answered, next) =
            (self.after(self.answered), self.after(self.answered + usize::from(self.is_cut_off)));
        if *seen == next {
            self.answered += usize::from(self.is_cut_off);
        } else {
            assert_eq!(*seen, answered, "{self:?}: what was answered is not there, or a step is half done");
        }
        self.is_cut_off = false;
    }
}

/// One of the clients.
pub struct Client {
    http: reqwest::Client,
    scim: String,
    scim_token: String,
    api: String,
    root_token: String,
    domain: String,
    group: String,
    next: Arc<AtomicU64>,
    done: Arc<AtomicU64>,
    killed: Arc<AtomicBool>,
}

impl Client {
    pub fn new(
        server: &Server,
        org: &Org,
        group: &str,
        (next, done, killed): (&Arc<AtomicU64>, &Arc<AtomicU64>, &Arc<AtomicBool>),
    ) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            scim: org.scim_base.clone(),
            scim_token: org.scim_token.clone(),
            api: format!("{}/api/v1/organizations/{}", server.base, org.slug),
            root_token: server.root_token.clone(),
            domain: org.domain.clone(),
            group: group.to_owned(),
            next: next.clone(),
            done: done.clone(),
            killed: killed.clone(),
        }
    }

    /// Imports until the server is gone: everybody of whom it was told, or may have been.
    pub async fn import(self) -> Vec<Person> {
        let mut people = Vec::new();
        // A client may try again by itself on a new connection; after the kill it must not go on with the next server.
        while !self.killed.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("p{number}");
            let mut person = Person {
                address: format!("{name}@{}", self.domain),
                name,
                user: None,
                member: None,
                key: None,
                leave: LEAVES[usize::try_from(number).unwrap() % LEAVES.len()],
                answered: 0,
                is_cut_off: false,
            };
            while person.answered < person.steps() && !self.killed.load(Ordering::Relaxed) {
                person.is_cut_off = true;
                if self.take(&mut person).await.is_none() {
                    break;
                }
                person.is_cut_off = false;
                person.answered += 1;
                self.done.fetch_add(1, Ordering::Relaxed);
            }
            let is_cut_off = person.is_cut_off;
            people.push(person);
            if is_cut_off {
                break;
            }
        }
        people
    }

    /// Takes the next step of somebody; nothing if it was not answered.
    async fn take(&self, person: &mut Person) -> Option<()> {
        let user = person.user.clone().unwrap_or_default();
        let (at, group) = (format!("/Users/{user}"), format!("/Groups/{}", self.group));
        match STEPS[person.answered] {
            Step::Create => {
                let made = self.scim("POST", "/Users", self.user(person, TITLES[0], true)).await?;
                person.user = Some(text(&made, "id"));
            }
            Step::IntoGroup => {
                let add = json!({ "op": "add", "path": "members", "value": [{ "value": user }] });
                self.scim("PATCH", &group, patch(&add)).await?;
            }
            Step::IssueKey => {
                let members =
                    self.api("GET", &format!("/members?email={}", person.address), Value::Null).await?;
                let member = text(&members["items"][0], "id");
                person.member = Some(member.clone());
                let path = format!("/members/{member}/keys");
                let made = self.api("POST", &path, json!({ "name": "laptop" })).await?;
                person.key = Some(text(&made, "token"));
            }
            Step::Replace => {
                self.scim("PUT", &at, self.user(person, TITLES[1], true)).await?;
            }
            Step::Leave => match person.leave {
                Leave::PatchInactive => {
                    let inactive = json!({ "op": "Replace", "path": "active", "value": "False" });
                    self.scim("PATCH", &at, patch(&inactive)).await?;
                }
                Leave::PutInactive => {
                    self.scim("PUT", &at, self.user(person, TITLES[1], false)).await?;
                }
                Leave::Delete => {
                    self.scim("DELETE", &at, Value::Null).await?;
                }
                Leave::OutOfGroup => {
                    let path = format!("members[value eq \"{user}\"]");
                    self.scim("PATCH", &group, patch(&json!({ "op": "remove", "path": path }))).await?;
                }
                Leave::Stays => panic!("whoever stays has no such step"),
            },
        }
        Some(())
    }

    fn user(&self, person: &Person, title: &str, active: bool) -> Value {
        let Person { name, address, .. } = person;
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address, "externalId": name,
            "active": active, "title": title, "emails": [{ "value": address, "primary": true }],
        })
    }

    async fn scim(&self, method: &str, path: &str, body: Value) -> Option<Value> {
        self.send(method, format!("{}{path}", self.scim), &self.scim_token, body).await
    }

    async fn api(&self, method: &str, path: &str, body: Value) -> Option<Value> {
        self.send(method, format!("{}{path}", self.api), &self.root_token, body).await
    }

    /// The answer, if there is a whole one; it must be a success.
    async fn send(&self, method: &str, url: String, bearer: &str, body: Value) -> Option<Value> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method.clone(), &url).bearer_auth(bearer);
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let body = answer.bytes().await.ok()?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        assert!(status.is_success(), "{method} {url}: {status} {body}");
        Some(body)
    }
}

fn patch(operation: &Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation] })
}
