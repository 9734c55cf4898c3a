//! What the tests of the administration API share: an organization with its people, and what every noun must refuse.

use portcullis_testkit::{Bench, Persona, ROOT_TOKEN};
use serde_json::{Value, json};

/// A bench with the organization `acme`, one person for each role, and a second organization.
pub struct Scene {
    pub bench: Bench,
    pub owner: Persona,
    pub admin: Persona,
    pub member: Persona,
    pub viewer: Persona,
    /// The owner of `globex`, where nothing of `acme` is known.
    pub stranger: Persona,
}

impl Scene {
    pub fn new() -> Self {
        let bench = Bench::of_the_run();
        let acme = bench.organization("acme");
        let globex = bench.organization("globex");
        Self {
            owner: bench.member(acme, "owner@acme.test", "owner"),
            admin: bench.member(acme, "admin@acme.test", "admin"),
            member: bench.member(acme, "member@acme.test", "member"),
            viewer: bench.member(acme, "viewer@acme.test", "viewer"),
            stranger: bench.member(globex, "owner@globex.test", "owner"),
            bench,
        }
    }

    /// Calls as the root token.
    pub async fn root(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.bench.call(method, path, ROOT_TOKEN, body).await
    }

    /// Calls as that persona.
    pub async fn as_of(&self, who: &Persona, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.bench.call(method, path, &who.key, body).await
    }

    /// Makes something as the root token.
    pub async fn made(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.root("POST", path, body).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    /// Every item of a list, read in pages of two.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let (status, page) =
                self.root("GET", &format!("{path}?limit=2&cursor={cursor}"), Value::Null).await;
            assert_eq!(status, 200, "{page}");
            let found = page["items"].as_array().unwrap();
            assert!(found.len() <= 2, "a page of two has at most two: {page}");
            items.extend(found.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return items,
            }
        }
    }
}

/// The slugs of items, in their order.
pub fn slugs(items: &[Value]) -> Vec<&str> {
    let mut slugs: Vec<_> = items.iter().map(|i| i["slug"].as_str().unwrap()).collect();
    slugs.sort_unstable();
    slugs
}

/// The id of an answer.
pub fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned()
}

/// Asserts that a call was refused with that status and code.
#[track_caller]
pub fn refused((status, body): (u16, Value), with: u16, code: &str) {
    assert_eq!((status, body["code"].as_str()), (with, Some(code)), "{body}");
}

/// Asserts what every noun with an id must hold: unknown keys are refused by name, and what belongs to another
/// organization, was never there or is no id at all answers the same bytes.
pub async fn holds_the_common_rules(scene: &Scene, list: &str, made: &Value) {
    let unknown =
        scene.root("POST", &format!("/api/v1/organizations/acme/{list}"), json!({ "colour": 1 })).await;
    refused(unknown, 400, "unknown_field");
    let here = format!("/api/v1/organizations/acme/{list}/{}", id(made));
    let unknown = scene.root("PATCH", &here, json!({ "colour": 1 })).await;
    refused(unknown, 400, "unknown_field");
    let unknown =
        scene.root("GET", &format!("/api/v1/organizations/acme/{list}?colour=1"), Value::Null).await;
    refused(unknown, 400, "unknown_field");

    let prefix = id(made).split('_').next().unwrap().to_owned();
    let never = format!("{prefix}_{}", "0".repeat(32));
    let mut answers = Vec::new();
    for named in [id(made), never, "nonsense".to_owned()] {
        for (method, body) in [("GET", Value::Null), ("PATCH", json!({})), ("DELETE", Value::Null)] {
            let path = format!("/api/v1/organizations/globex/{list}/{named}");
            answers.push(scene.as_of(&scene.stranger, method, &path, body).await);
        }
    }
    for answer in &answers {
        assert_eq!(answer.0, 404, "{}", answer.1);
        assert_eq!(answer, &answers[0], "a foreign id answers like an unknown one");
    }
    let foreign = scene.as_of(&scene.stranger, "GET", &here, Value::Null).await;
    let nowhere = scene.as_of(&scene.stranger, "GET", &here.replace("acme", "nowhere"), Value::Null).await;
    refused(foreign.clone(), 404, "not_found");
    assert_eq!(foreign, nowhere, "a foreign organization answers like an unknown one");
    let (status, still) = scene.root("GET", &here, Value::Null).await;
    assert_eq!((status, &still["id"]), (200, &made["id"]), "nothing of that touched it");
}
