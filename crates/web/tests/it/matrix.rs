//! Route × persona: what each kind of caller is answered on each route, with an empty body.
//!
//! A new route, or another permission, changes the golden file, and whoever changes it sees who may call.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::Method;
use portcullis_testkit::{Bench, ROOT_TOKEN};
use portcullis_web::api;
use portcullis_web::route::Operation;
use serde_json::{Value, json};

use crate::golden::is_golden;
use crate::support::id;

const GOLDEN: &str = "crates/web/tests/it/matrix.txt";
const PERSONAS: [&str; 10] =
    ["anonymous", "root", "owner", "admin", "lead", "member", "viewer", "service", "foreign", "ended"];

/// A world of its own for a persona: what the calls of one change is not seen by the next.
struct World {
    bench: Bench,
    bearer: String,
    /// Things that are there, by the name that paths give them; they belong to somebody else, a member.
    things: BTreeMap<&'static str, String>,
}

impl World {
    async fn of(persona: &str) -> Self {
        let bench = Bench::of_the_run();
        let (acme, globex) = (bench.organization("acme"), bench.organization("globex"));
        let owner = bench.member(acme, "owner@acme.test", "owner");
        let other = bench.member(acme, "other@acme.test", "member");
        let made = async |path: &str, body: Value| {
            let path = format!("/api/v1/organizations/acme/{path}");
            let (status, made) = bench.call("POST", &path, ROOT_TOKEN, body).await;
            assert_eq!(status, 201, "{path}: {made}");
            made
        };
        let member = other.membership.to_string();
        let agent = made("agents", json!({ "name": "bot", "owner": member })).await;
        let service = made("service-keys", json!({ "name": "gateway", "scopes": ["evaluate"] })).await;
        let key = made(&format!("members/{member}/keys"), json!({ "name": "laptop" })).await;
        let things = BTreeMap::from([
            ("org", "acme".to_owned()),
            ("mem", member),
            ("agt", id(&agent)),
            ("tok", id(&key)),
        ]);
        let bearer = match persona {
            "anonymous" => String::new(),
            "root" => ROOT_TOKEN.to_owned(),
            "owner" => owner.key,
            "service" => service["token"].as_str().unwrap().to_owned(),
            "foreign" => bench.member(globex, "owner@globex.test", "owner").key,
            "ended" => {
                let ended = bench.member(acme, "ended@acme.test", "admin");
                let path = format!("/api/v1/organizations/acme/members/{}/offboard", ended.membership);
                let (status, _) = bench.call("POST", &path, ROOT_TOKEN, json!({ "reason": "left" })).await;
                assert_eq!(status, 200);
                ended.key
            }
            role => bench.member(acme, &format!("{role}@acme.test"), role).key,
        };
        Self { bench, bearer, things }
    }

    fn path_of(&self, operation: &Operation) -> String {
        let parts = operation.path.split('/').map(|part| {
            let name = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            name.map_or(part, |name| self.things.get(name).map_or("nothing", String::as_str))
        });
        format!("/api/v1{}", parts.collect::<Vec<_>>().join("/"))
    }

    async fn status_of(&self, operation: &Operation) -> u16 {
        let path = self.path_of(operation);
        let authorization = format!("Bearer {}", self.bearer);
        let headers = [("authorization", authorization.as_str())];
        let headers = if self.bearer.is_empty() { &[][..] } else { &headers[..] };
        let method = operation.method.as_str();
        self.bench.exchange(method, &path, headers, &Value::Null).await.status.as_u16()
    }
}

/// Rows in the order of their paths; what deletes comes last, the innermost thing first.
fn in_order() -> Vec<Operation> {
    let mut operations = api::operations();
    let order = |method: &Method| {
        [Method::GET, Method::POST, Method::PATCH, Method::DELETE].iter().position(|m| m == method)
    };
    operations.sort_by_key(|o| (order(&o.method), std::cmp::Reverse(o.path.len()), o.path));
    operations
}

#[tokio::test]
async fn every_route_answers_every_persona_as_the_golden_file_says() {
    let mut rows: BTreeMap<(&str, String), Vec<u16>> = BTreeMap::new();
    for persona in PERSONAS {
        let world = World::of(persona).await;
        for operation in in_order() {
            let row = rows.entry((operation.path, operation.method.to_string())).or_default();
            row.push(world.status_of(&operation).await);
        }
    }
    let mut table = format!("{:<62}{}\n", "", PERSONAS.map(|p| format!("{p:>10}")).concat());
    for ((path, method), statuses) in &rows {
        let statuses: String = statuses.iter().map(|status| format!("{status:>10}")).collect();
        writeln!(table, "{method:<7}{path:<55}{statuses}").unwrap();
    }
    let covered = rows.len();
    assert_eq!(covered, api::operations().len());
    is_golden(GOLDEN, &table);
}

#[tokio::test]
async fn nobody_unknown_and_nobody_foreign_gets_in_anywhere() {
    for persona in ["anonymous", "ended", "foreign"] {
        let world = World::of(persona).await;
        for operation in in_order().iter().filter(|o| o.path.contains("{org}")) {
            let status = world.status_of(operation).await;
            let expected = if persona == "foreign" { 404 } else { 401 };
            assert_eq!(status, expected, "{persona}: {} {}", operation.method, operation.path);
        }
    }
}

#[tokio::test]
async fn a_list_takes_a_cursor_of_what_it_holds_and_refuses_any_other() {
    const KINDS: [&str; 18] = [
        "org", "env", "dom", "mem", "role", "team", "dir", "map", "grt", "con", "rev", "hold", "agt", "tok",
        "evt", "rcp", "trc", "dg",
    ];
    let mut world = World::of("root").await;
    let okta = json!({ "kind": "scim", "name": "Okta" });
    let made = world.bench.call("POST", "/api/v1/organizations/acme/directories", ROOT_TOKEN, okta).await;
    world.things.insert("dir", id(&made.1));
    let mapping = json!({ "directory": world.things["dir"], "org_unit": "/Sales", "role": "viewer" });
    // What has no id is called by what it has; `a_list_that_is_short_has_pages_too` turns its pages.
    let has_ids = |list: &Operation| {
        !["/permissions", "/keys", "/client-keys", "/certificates"].iter().any(|end| list.path.ends_with(end))
            || ["/members/", "/agents/"].iter().any(|of| list.path.contains(of))
    };
    let lists = in_order().into_iter().filter(|o| o.query.iter().any(|(name, _)| *name == "cursor"));
    let lists = lists.filter(has_ids);
    let mut seen = 0;
    for list in lists {
        let path = world.path_of(&list);
        let is_taken = async |cursor: &str| {
            let body = if list.method == Method::GET { Value::Null } else { mapping.clone() };
            let called = format!("{path}?cursor={cursor}");
            let (status, body) = world.bench.call(list.method.as_str(), &called, ROOT_TOKEN, body).await;
            let names_it = body["detail"].as_str().is_some_and(|detail| detail.contains("`cursor`"));
            assert_eq!(
                names_it,
                status == 400 && body["code"] == "invalid_field",
                "{called}: {status} {body}"
            );
            !names_it
        };
        assert!(is_taken("").await, "{path}: an empty cursor begins");
        assert!(!is_taken("zzz").await, "{path}: what is no id is no cursor");
        let mut taken = Vec::new();
        for kind in KINDS {
            if is_taken(&format!("{kind}_{:032x}", 7)).await {
                taken.push(kind);
            }
        }
        assert_eq!(taken.len(), 1, "{path}: {taken:?}");
        seen += 1;
    }
    assert!(seen > 15, "{seen} are too few to be all");
}
