//! A server with a fault: everything goes on to a sound one, but for one request or answer that is bent.
//!
//! Here so that each fault that providers meet in the field is planted, and `emulate` must find it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => $provider:literal, $found:literal, $weight:ident;)*) => {
        /// What is wrong with it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// A provider that meets it, what its run must say, and whether that is a failure or advice.
            pub fn expected(self) -> (&'static str, &'static str, Finding) {
                match self {
                    $(Self::$name => ($provider, $found, Finding::$weight),)*
                }
            }
        }
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    Failed,
    Advice,
}

faults! {
    /// 404 where nobody matches.
    NobodyIs404 => "entra", "looks up a user that cannot exist: expected status 200, found 404", Failed;
    /// Addresses and user names are tidied.
    LowersCase => "entra-legacy", "expected userName as it was sent", Failed;
    /// By the letter of RFC 7644 §3.5.2.2.
    ClearsByList => "entra-legacy", "removes one member: expected exactly the 2 members", Failed;
    ClearsByListForJumpCloud => "jumpcloud", "removes one by path and list: expected exactly the 2 members", Failed;
    ClearsByListForAuthentik => "authentik", "removes one by path and list: expected exactly the 2 members", Failed;
    /// `"False"` is a text that is not empty.
    TextIsTrue => "entra-legacy", "deactivates Ada Abel by PATCH: expected `active` is false", Failed;
    AnyToken => "jumpcloud", "asks with a wrong token: expected status 401", Failed;
    NoLocation => "entra", "creates Ada Abel: expected `Location` with the address of what was made, found none", Failed;
    /// Okta does without.
    NoLocationForOkta => "okta", "creates Ada Abel: expected `Location`", Advice;
    NoBodyOnCreate => "okta", "creates Ada Abel: expected a JSON body", Failed;
    ActiveAsText => "okta", "expected `active` is false, found `\"False\"`", Failed;
    HidesInactive => "entra", "by PATCH: expected `totalResults` 1", Failed;
    ConflictIs500 => "authentik", "a second time: expected status 409, found 500", Failed;
    NoMembersOnRead => "okta", "expected exactly the 2 members it must have, found nobody", Failed;
    MembersInSpite => "entra", "reads the group without its members: expected a group without `members`", Failed;
    OtherOrder => "okta", "expected the same order both times", Failed;
    MoreThanCount => "onelogin", "expected never more than `count`", Failed;
    NumbersAsText => "okta", "expected `totalResults` as a JSON number", Failed;
    StoresNoPut => "onelogin", "renames Ada by PUT: expected name.familyName", Failed;
    KeepsDeleted => "onelogin", "deletes Ada Abel: expected status 404", Failed;
    RevivesOnPut => "pingone", "while she is disabled: expected `active` is still false", Advice;
    ShowsPassword => "okta", "expected no password in the answer", Failed;
    ErrorsWithoutBody => "okta", "does not exist: expected a SCIM error", Failed;
    StatusAsNumber => "entra", "does not exist: expected a SCIM error whose `status` is text", Failed;
    RefusesOwnId => "okta", "renames the group: expected status 200 or 204, found 400", Failed;
    IgnoresEmptyPush => "okta", "empties it by path (push now): expected exactly the 0 members", Failed;
    RefusesTheUnknown => "onelogin", "that no schema knows: expected status 201, found 400", Advice;
    RefusesTheFlag => "entra", "the flag with a value: expected status 200, found 400", Failed;
    RefusesNull => "entra", "what is unknown as null: expected status 201, found 400", Failed;
    SeedsNoAddress => "entra-legacy", "gives a work address: expected status 200 or 204, found 400", Failed;
    NoFilterByEmails => "pingone", "looks Ada up by emails: expected status 200, found 400", Failed;
    ForgetsGroupsId => "entra", "pushes the group, empty: expected externalId as it was sent, found nothing", Failed;
    NoVersions => "keycloak", "again only if she changed: expected an `ETag`", Failed;
    IgnoresConditions => "keycloak", "that is not hers: expected status 412", Failed;
    NoConfig => "authentik", "reads /ServiceProviderConfig: expected status 200, found 404", Failed;
}

struct Proxy {
    http: reqwest::Client,
    target: String,
    token: String,
    fault: Option<Fault>,
    pages: AtomicUsize,
}

/// Starts it in front of the server at `target`; its address.
pub async fn start(target: &str, token: &str, fault: Option<Fault>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let proxy = Proxy {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        target: target.to_owned(),
        token: token.to_owned(),
        fault,
        pages: AtomicUsize::new(0),
    };
    let router = Router::new().fallback(forward).with_state(Arc::new(proxy));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

struct Call {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Value,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

async fn forward(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes: Bytes = axum::body::to_bytes(body, 16 * 1024 * 1024).await.unwrap();
    let mut call = Call {
        method: parts.method,
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    let mut reply = match proxy.fault.and_then(|fault| proxy.bend_call(fault, &mut call)) {
        Some(reply) => reply,
        None => proxy.send(&call).await,
    };
    if let Some(fault) = proxy.fault {
        proxy.bend_reply(fault, &call, &mut reply);
    }
    let status = StatusCode::from_u16(reply.status).unwrap();
    let body = if reply.body.is_null() { String::new() } else { reply.body.to_string() };
    let mut response = (status, body).into_response();
    response.headers_mut().remove("content-type");
    for (name, value) in &reply.headers {
        if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn refusal(status: u16) -> Reply {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": status.to_string(),
        "detail": "not here",
    });
    Reply { status, headers: HeaderMap::new(), body }
}

impl Proxy {
    async fn send(&self, call: &Call) -> Reply {
        let mut request = self.http.request(call.method.clone(), format!("{}{}", self.target, call.target));
        for (name, value) in &call.headers {
            if name != "host" && name != "content-length" {
                request = request.header(name, value);
            }
        }
        if !call.body.is_null() {
            request = request.body(call.body.to_string());
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap();
        Reply { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// Bends the call, or answers it without asking anybody.
    fn bend_call(&self, fault: Fault, call: &mut Call) -> Option<Reply> {
        let target = call.target.clone();
        match fault {
            Fault::ClearsByList | Fault::ClearsByListForJumpCloud | Fault::ClearsByListForAuthentik => {
                for operation in operations(&mut call.body) {
                    let removes =
                        operation["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case("remove"));
                    if removes && operation["path"] == "members" {
                        operation.as_object_mut().unwrap().remove("value");
                    }
                }
            }
            Fault::TextIsTrue => {
                for operation in operations(&mut call.body) {
                    if operation["path"] == "active" && operation["value"].is_string() {
                        operation["value"] = json!(true);
                    }
                }
            }
            Fault::AnyToken => {
                let right = format!("Bearer {}", self.token).parse().unwrap();
                call.headers.insert("authorization", right);
            }
            Fault::MembersInSpite => call.target = target.replace("excludedAttributes=members", "x=y"),
            Fault::MoreThanCount => call.target = target.replace("count=2", "count=9"),
            Fault::StoresNoPut if call.method == Method::PUT => {
                call.method = Method::GET;
                call.body = Value::Null;
            }
            Fault::KeepsDeleted if call.method == Method::DELETE && target.contains("/Users/") => {
                return Some(Reply { status: 204, headers: HeaderMap::new(), body: Value::Null });
            }
            Fault::RevivesOnPut if call.method == Method::PUT && call.body.get("active").is_none() => {
                call.body["active"] = json!(true);
            }
            Fault::RefusesOwnId => {
                return operations(&mut call.body)
                    .iter()
                    .any(|one| one["value"]["id"].is_string())
                    .then(|| refusal(400));
            }
            Fault::IgnoresEmptyPush => {
                return operations(&mut call.body)
                    .iter()
                    .any(|one| one["value"] == json!([]))
                    .then(|| Reply { status: 204, headers: HeaderMap::new(), body: Value::Null });
            }
            Fault::SeedsNoAddress => {
                let path = |one: &Value| one["path"].as_str().is_some_and(|path| path.starts_with("emails["));
                return operations(&mut call.body).iter().any(path).then(|| refusal(400));
            }
            Fault::RefusesTheUnknown => return call.body.get("department_code").map(|_| refusal(400)),
            Fault::RefusesTheFlag => return target.contains("062020=true").then(|| refusal(400)),
            Fault::RefusesNull => return call.body.to_string().contains(":null").then(|| refusal(400)),
            Fault::NoFilterByEmails => return target.contains("emails%20eq").then(|| refusal(400)),
            Fault::NoConfig => return target.contains("ServiceProviderConfig").then(|| refusal(404)),
            Fault::IgnoresConditions => {
                call.headers.remove("if-match");
            }
            _ => {}
        }
        None
    }

    fn bend_reply(&self, fault: Fault, call: &Call, reply: &mut Reply) {
        let created = call.method == Method::POST && reply.status == 201;
        let group = call.method == Method::GET && call.target.contains("/Groups/");
        match fault {
            Fault::NobodyIs404 if reply.body["totalResults"] == 0 && call.target.contains("filter=") => {
                *reply = refusal(404);
            }
            Fault::LowersCase => each_user(&mut reply.body, |user| {
                let name = user["userName"].as_str().unwrap_or_default().to_ascii_lowercase();
                user["userName"] = json!(name);
            }),
            Fault::NoLocation | Fault::NoLocationForOkta if created => drop(reply.headers.remove("location")),
            Fault::NoBodyOnCreate if created => reply.body = Value::Null,
            Fault::ActiveAsText => each_user(&mut reply.body, |user| {
                user["active"] = json!(if user["active"] == true { "True" } else { "False" });
            }),
            Fault::HidesInactive if reply.body["Resources"].is_array() => {
                let listed = reply.body["Resources"].as_array_mut().unwrap();
                listed.retain(|user| user["active"] != false);
                reply.body["totalResults"] = json!(listed.len());
            }
            Fault::ConflictIs500 if reply.status == 409 => reply.status = 500,
            Fault::NoMembersOnRead if group => {
                reply.body.as_object_mut().map(|group| group.remove("members"));
            }
            Fault::OtherOrder if call.target.contains("count=2") => {
                let turned = self.pages.fetch_add(1, Ordering::Relaxed) % 4 >= 2;
                let listed = reply.body["Resources"].as_array_mut();
                listed.into_iter().filter(|_| turned).for_each(|listed| listed.reverse());
            }
            Fault::NumbersAsText if reply.body["totalResults"].is_u64() => {
                reply.body["totalResults"] = json!(reply.body["totalResults"].to_string());
            }
            Fault::ShowsPassword => {
                each_user(&mut reply.body, |user| user["password"] = json!("placeholder"))
            }
            Fault::ErrorsWithoutBody if reply.status >= 400 => reply.body = Value::Null,
            Fault::StatusAsNumber if reply.status >= 400 => reply.body["status"] = json!(reply.status),
            Fault::ForgetsGroupsId if reply.body.get("members").is_some() => {
                reply.body.as_object_mut().map(|group| group.remove("externalId"));
            }
            Fault::NoVersions => drop(reply.headers.remove("etag")),
            _ => {}
        }
    }
}

fn operations(body: &mut Value) -> &mut [Value] {
    body.get_mut("Operations").and_then(Value::as_array_mut).map_or(&mut [], |operations| operations)
}

fn each_user(body: &mut Value, mut bend: impl FnMut(&mut Value)) {
    if body.get("userName").is_some() {
        bend(body);
    } else if let Some(listed) = body.get_mut("Resources").and_then(Value::as_array_mut) {
        listed.iter_mut().filter(|one| one.get("userName").is_some()).for_each(bend);
    }
}
