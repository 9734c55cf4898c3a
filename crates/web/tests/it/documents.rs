//! What is generated from the code: the OpenAPI document and the table of codes.

use std::collections::BTreeSet;
use std::path::Path;

use portcullis_testkit::{Bench, ROOT_TOKEN};
use portcullis_web::{api, codes};
use serde_json::{Value, json};

use crate::golden::is_golden;

async fn document() -> (Bench, Value) {
    let bench = Bench::of_the_run();
    let answer = bench.exchange("GET", "/api/v1/openapi.json", &[], &Value::Null).await;
    assert_eq!(answer.status, 200, "the document needs no token");
    let document = answer.json();
    (bench, document)
}

fn each_operation(document: &Value) -> Vec<(String, String, &Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    all
}

fn each_value<'v>(value: &'v Value, seen: &mut impl FnMut(&'v Value)) {
    seen(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| each_value(item, seen)),
        Value::Object(fields) => fields.values().for_each(|field| each_value(field, seen)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_covers_exactly_the_mounted_routes() {
    let (bench, document) = document().await;
    let described: BTreeSet<(String, String)> =
        each_operation(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    let rows: BTreeSet<(String, String)> =
        api::operations().iter().map(|o| (o.method.to_string(), o.path.to_owned())).collect();
    assert_eq!(described, rows);
    assert_eq!(rows.len(), api::operations().len(), "no row stands twice");
    let paths: BTreeSet<&String> = described.iter().map(|(_, path)| path).collect();
    for path in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let called = format!("/api/v1{}", path.replace(['{', '}'], ""));
            let (status, body) = bench.call(method, &called, "nobody", Value::Null).await;
            let mounted = described.contains(&(method.to_owned(), path.clone()));
            assert_eq!(status != 405, mounted, "{method} {path}: {body}");
        }
    }
}

#[tokio::test]
async fn the_document_is_whole_in_itself() {
    let (_bench, document) = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    each_value(&document, &mut |value| {
        let Some(to) = value.get("$ref").and_then(Value::as_str) else { return };
        let pointer = to.strip_prefix('#').unwrap_or_else(|| panic!("`{to}` leads out of the document"));
        assert!(document.pointer(pointer).is_some(), "`{to}` leads nowhere");
    });
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        assert!(fits, "`{name}` is no name of a component");
        assert!(schema.is_object() || schema.is_boolean(), "`{name}` is no schema");
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "`{name}`: two types have one name");
    }
    let mut ids = BTreeSet::new();
    for (method, path, operation) in each_operation(&document) {
        let at = format!("{method} {path}");
        assert!(path.starts_with('/'), "{at}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{at}: its id is taken");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{at}");
        let in_path: Vec<&str> =
            path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().unwrap();
        let of = |place: &str| -> Vec<&str> {
            let here = parameters.iter().filter(|p| p["in"] == place);
            here.map(|p| p["name"].as_str().unwrap()).collect()
        };
        assert_eq!(of("path"), in_path, "{at}");
        let responses = operation["responses"].as_object().unwrap();
        let good: Vec<_> = responses.keys().filter(|status| status.starts_with('2')).collect();
        assert_eq!(good.len(), 1, "{at}: {good:?}");
        assert!(operation.get("requestBody").is_none() || method != "GET", "{at}");
        // Without a body it says the same as with an empty object.
        if let Some(body) = operation.get("requestBody") {
            let named =
                body.pointer("/content/application~1json/schema/$ref").and_then(Value::as_str).unwrap();
            let schema = &document["components"]["schemas"][named.rsplit('/').next().unwrap()];
            let says_nothing = schema["type"] == "object" && schema.get("required").is_none();
            assert_eq!(body["required"], !says_nothing, "{at}");
        }
        let secured = document["security"].is_array() && operation.get("security").is_none();
        assert_eq!(secured, responses.contains_key("401"), "{at}");
    }
    assert!(document["components"]["securitySchemes"]["bearer"].is_object());
}

#[tokio::test]
async fn the_document_says_what_null_means_and_that_no_header_makes_a_change_conditional() {
    let (bench, document) = document().await;
    let said = document["info"]["description"].as_str().unwrap();
    assert!(
        said.contains("null says the same as a field that is left out") && said.contains("`If-Match`"),
        "{said}"
    );
    let acme = bench.organization("acme");
    bench.member(acme, "owner@acme.test", "owner");
    let role = json!({ "slug": "auditor", "rank": 200, "permissions": ["use"] });
    let roles = "/api/v1/organizations/acme/roles";
    assert_eq!(bench.call("POST", roles, ROOT_TOKEN, role).await.0, 201);
    let nothing = json!({ "rank": null, "permissions": null });
    let (status, same) = bench.call("PATCH", &format!("{roles}/auditor"), ROOT_TOKEN, nothing).await;
    assert_eq!((status, &same["rank"], &same["permissions"]), (200, &json!(200), &json!(["use"])), "{same}");
}

/// What a row answers with on success, or each item of it if that is a page; none if it shows nothing.
fn shown<'d>(document: &'d Value, operation: &'d Value) -> Option<&'d Value> {
    let responses = operation["responses"].as_object().unwrap();
    let (_, good) = responses.iter().find(|(status, _)| status.starts_with('2')).unwrap();
    let follow = |schema: &'d Value| {
        let to = schema["$ref"].as_str().map(|to| document.pointer(to.trim_start_matches('#')).unwrap());
        to.unwrap_or(schema)
    };
    let schema = follow(good.pointer("/content/application~1json/schema")?);
    Some(schema.pointer("/properties/items/items").map_or(schema, follow))
}

#[tokio::test]
async fn whatever_has_an_id_says_when_it_was_made() {
    let (_bench, document) = document().await;
    let mut seen = 0;
    for (method, path, operation) in each_operation(&document) {
        let Some(schema) = shown(&document, operation) else { continue };
        let has = |name: &str| schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
        assert!(!has("id") || has("created_at"), "{method} {path}: {schema}");
        seen += usize::from(has("id"));
    }
    assert!(seen > 50, "{seen} are too few to be all");
}

#[tokio::test]
async fn whatever_is_given_by_pages_takes_limit_and_cursor() {
    let (_bench, document) = document().await;
    let mut seen = 0;
    for (method, path, operation) in each_operation(&document) {
        let schema = operation.pointer("/responses/200/content/application~1json/schema/$ref");
        let is_paged = schema.and_then(Value::as_str).is_some_and(|to| to.contains("/PageOf"));
        let takes = |name: &str| {
            let parameters = operation["parameters"].as_array().unwrap();
            parameters.iter().any(|p| p["in"] == "query" && p["name"] == name)
        };
        let previews = path.ends_with("/preview");
        assert_eq!(
            (takes("limit"), takes("cursor")),
            (is_paged || previews, is_paged || previews),
            "{method} {path}"
        );
        seen += usize::from(is_paged);
    }
    assert!(seen > 20, "{seen} are too few to be all");
}

#[test]
fn every_refusal_of_a_row_is_in_the_table() {
    let unknown: Vec<String> = api::operations()
        .iter()
        .flat_map(|o| o.refusals.iter())
        .filter(|code| !codes::table().iter().any(|c| c.code == **code))
        .map(ToString::to_string)
        .collect();
    assert!(unknown.is_empty(), "these refusals have no code in the table: {unknown:?}");
}

#[test]
fn the_page_of_errors_is_the_table() {
    is_golden("docs/reference/errors.md", &codes::page());
}

/// Every text between quotes behind one of these, in the sources of that room.
fn written_codes(room: &str, openings: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(room).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for opening in openings {
                let pieces = source.split(opening).skip(1);
                found.extend(pieces.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    found
}

#[test]
fn every_code_that_is_written_as_a_text_is_in_the_table() {
    let known: BTreeSet<&str> = codes::table().iter().map(|c| c.code).collect();
    // Of metadata the rules of the standard have a list of their own, which is in the table whole.
    let openings = [("web", &["bad_request(\"", "code: \""][..]), ("service", &["Metadata { code: \""])];
    for (room, openings) in openings {
        let written = written_codes(room, openings);
        assert!(written.len() > 3, "{written:?}");
        let unknown: Vec<&String> = written.iter().filter(|code| !known.contains(code.as_str())).collect();
        assert!(unknown.is_empty(), "{room}: {unknown:?}");
    }
}

#[tokio::test]
async fn no_query_parameter_takes_a_zero_byte() {
    let (bench, document) = document().await;
    bench.organization("acme");
    let mut cursors = 0;
    for (method, path, operation) in each_operation(&document) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            cursors += usize::from(name == "cursor");
            let here = path.replace("{org}", "acme").replace(['{', '}'], "");
            for text in ["%00", "a%00b"] {
                let called = format!("/api/v1{here}?{name}={text}");
                let (status, body) = bench.call(&method, &called, ROOT_TOKEN, Value::Null).await;
                assert_eq!(
                    (status, &body["code"]),
                    (400, &json!("invalid_field")),
                    "{method} {called}: {body}"
                );
            }
        }
    }
    assert!(cursors > 15, "every paged list has one: {cursors}");
    for nowhere in ["/api/v1/organizations/%00", "/api/v1/organizations/acme%00/members"] {
        let (status, body) = bench.call("GET", nowhere, ROOT_TOKEN, Value::Null).await;
        assert_eq!((status, &body["code"]), (404, &json!("not_found")), "{nowhere}: {body}");
    }
    let headers = [("authorization", "Bearer pc_key_x")];
    for query in ["organization=%00", "organization=acme&environment=%00"] {
        let path = format!("/authz/forward?{query}");
        let status = bench.exchange("GET", &path, &headers, &Value::Null).await.status.as_u16();
        assert!([401, 403].contains(&status), "{query}: {status}");
    }
}
