//! `GET /api/v1/openapi.json`: the administration API as an OpenAPI 3.1 document.
//!
//! Made from the same rows that mount the routes, with schemas from the wire types themselves, so that it cannot say
//! what is not so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use axum::Extension;
use axum::extract::RawQuery;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::codes;
use crate::error::Problem;
use crate::once::IDEMPOTENCY_KEY;
use crate::route::{Needs, Operation, Queries};
use crate::whole;

/// Where the routes are mounted: the document's one server.
pub const MOUNTED_AT: &str = "/api/v1";
const DEFINITIONS: &str = "/components/schemas";

/// The rows.
pub fn operations() -> Vec<Operation> {
    vec![Operation::get("/openapi.json", Needs::Nothing, "Shows this document.", show)]
}

/// Nobody need be known, so that no caller's scope looks at the query.
async fn show(
    Extension(queries): Extension<Queries>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    queries.check(query.as_deref())?;
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| document(&crate::api::operations()).to_string());
    Ok(([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response())
}

fn generator() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = DEFINITIONS.into();
        settings.meta_schema = None;
    })
}

/// The document of these rows.
#[must_use]
pub fn document(operations: &[Operation]) -> Value {
    let mut taken = generator().for_deserialize().into_generator();
    let mut given = generator().for_serialize().into_generator();
    let statuses: BTreeMap<&str, u16> = codes::table().iter().map(|c| (c.code, c.status)).collect();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let described = describe(operation, &statuses, &mut taken, &mut given);
        let method = operation.method.as_str().to_lowercase();
        paths.entry(operation.path).or_default().insert(method, described);
    }
    // INVARIANT: what stands in both is the same; an answer's schema would else be a body's.
    let mut schemas = taken.take_definitions(true);
    schemas.extend(given.take_definitions(true));
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis administration API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Lists take `limit` and `cursor` and give `items` and `next`. Creations take an \
                `Idempotency-Key`. Unknown keys are refused by name. Refusals are problems (RFC 9457) with a stable \
                `code`. Every answer carries `X-Request-Id`, by which the audit log and the traces name it. In a body, null \
                says the same as a field that is left out, except where the answer may have null there: a list is emptied \
                by `[]`. Nothing has an `ETag`, and `If-Match` is not read: calls that must see what they change take its \
                `revision` in their body.",
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": MOUNTED_AT }],
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The root token, a member key (`pc_key_…`), a session or a service key.",
                },
            },
            "schemas": schemas,
            "headers": {
                "X-Request-Id": {
                    "description": "The request, as the audit log and the traces name it.",
                    "schema": { "type": "string" },
                },
            },
        },
    })
}

fn describe(
    operation: &Operation,
    statuses: &BTreeMap<&str, u16>,
    taken: &mut SchemaGenerator,
    given: &mut SchemaGenerator,
) -> Value {
    let mut described = json!({
        "operationId": operation_id(operation),
        "tags": [tag(operation.path)],
        "summary": operation.summary,
        "description": needs(operation.needs),
        "parameters": parameters(operation),
        "responses": responses(operation, statuses, given),
    });
    let Some(fields) = described.as_object_mut() else { return described };
    if operation.needs == Needs::Nothing {
        fields.insert("security".to_owned(), json!([]));
    }
    if let Some(takes) = operation.takes {
        let schema = takes(taken);
        let required = must_say_something(&schema, taken);
        let body = json!({ "required": required, "content": { "application/json": { "schema": schema } } });
        fields.insert("requestBody".to_owned(), body);
    }
    described
}

/// Whether a call needs a body: one without says the same as an empty object.
fn must_say_something(schema: &Schema, taken: &SchemaGenerator) -> bool {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next());
    let Some(described) = name.and_then(|name| taken.definitions().get(name)) else { return true };
    let is_object = described.get("type").is_some_and(|kind| kind == "object");
    !is_object || described.get("required").is_some()
}

fn operation_id(operation: &Operation) -> String {
    let words = operation.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let method = operation.method.as_str().to_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

/// The noun of a path: what stands first, or first behind the organization.
fn tag(path: &str) -> &str {
    let inside = path.strip_prefix("/organizations/{org}/").unwrap_or(path.trim_start_matches('/'));
    inside.split('/').next().unwrap_or(inside)
}

fn needs(needs: Needs) -> String {
    match needs {
        Needs::Permission(permission) => format!("Needs the permission `{permission}`."),
        Needs::PermissionOfRecords(permission) => format!(
            "Needs the permission `{permission}`. The root token also asks of an organization that was deleted."
        ),
        Needs::PermissionOrOwn(permission) => {
            format!(
                "Needs the permission `{permission}`, or that the thing is one's own or, for a lead, of somebody led."
            )
        }
        Needs::PermissionOrLed(permission) => format!(
            "Needs the permission `{permission}`, or, as a lead, that the person is in a team that one administers."
        ),
        Needs::Root => "Needs the root token.".to_owned(),
        Needs::Known => "Needs any live token that may call.".to_owned(),
        Needs::Nothing => "Needs nothing.".to_owned(),
    }
}

/// The names in braces of a path, in order.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')))
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let mut parameters: Vec<Value> = names(operation.path)
        .map(|name| {
            let meaning = match name {
                "org" => "The organization's slug or id.",
                "role" | "team" | "environment" => "The thing's slug or id.",
                "domain" => "The domain's name or id.",
                _ => "The thing's id.",
            };
            json!({
                "name": name, "in": "path", "required": true, "description": meaning,
                "schema": { "type": "string" },
            })
        })
        .collect();
    for (name, meaning) in &operation.query {
        let kind = if *name == "limit" { "integer" } else { "string" };
        parameters.push(json!({
            "name": name, "in": "query", "description": meaning, "schema": { "type": kind },
        }));
    }
    if operation.status == 201 {
        parameters.push(json!({
            "name": IDEMPOTENCY_KEY, "in": "header",
            "description": "A repeat with the same key within 24 hours gets the same resource, without its secret.",
            "schema": { "type": "string", "maxLength": portcullis_service::idempotency::MAX_KEY },
        }));
    }
    parameters
}

fn responses(
    operation: &Operation,
    statuses: &BTreeMap<&str, u16>,
    given: &mut SchemaGenerator,
) -> Map<String, Value> {
    let headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } });
    let mut success = json!({ "description": success(operation.status), "headers": headers });
    if let (Some(gives), Some(fields)) = (operation.gives, success.as_object_mut()) {
        let content = json!({ "application/json": { "schema": gives(given) } });
        fields.insert("content".to_owned(), content);
    }
    let mut responses = Map::new();
    responses.insert(operation.status.to_string(), success);
    for (status, codes) in refusals(operation, statuses) {
        let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        let refusal = json!({
            "description": codes.join(", "),
            "headers": headers,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        responses.insert(status.to_string(), refusal);
    }
    responses
}

const fn success(status: u16) -> &'static str {
    match status {
        201 => "Made.",
        202 => "Begun.",
        204 => "Done; there is nothing to show.",
        _ => "Done.",
    }
}

/// The codes with which a row refuses, by status: those that follow from its shape, and its own.
fn refusals<'o>(
    operation: &'o Operation,
    statuses: &BTreeMap<&str, u16>,
) -> BTreeMap<u16, BTreeSet<&'o str>> {
    let mut all: Vec<&str> = operation.refusals.clone();
    if operation.takes.is_some() {
        all.extend(["invalid_json", "missing_field", "invalid_field", "unknown_field"]);
        all.extend(["body_too_large", whole::INCOMPLETE, whole::ENCODED]);
    }
    all.push("unknown_field");
    if !operation.query.is_empty() {
        all.push("invalid_field");
    }
    if operation.status == 201 {
        all.push("idempotency_mismatch");
    }
    if names(operation.path).next().is_some() {
        all.extend(["not_found", "invalid_path"]);
    }
    match operation.needs {
        Needs::Permission(_)
        | Needs::PermissionOfRecords(_)
        | Needs::PermissionOrOwn(_)
        | Needs::PermissionOrLed(_) => {
            all.extend(["unauthenticated", "forbidden", "outside_environment"]);
        }
        Needs::Root => all.extend(["unauthenticated", "root_only"]),
        Needs::Known => all.push("unauthenticated"),
        Needs::Nothing => {}
    }
    all.push("unavailable");
    let mut by_status: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    for code in all {
        if let Some(status) = statuses.get(code) {
            by_status.entry(*status).or_default().insert(code);
        }
    }
    by_status
}

fn problem() -> Value {
    let codes: BTreeSet<&str> = codes::table().iter().map(|code| code.code).collect();
    json!({
        "type": "object",
        "description": "Why it was not done (RFC 9457). Nothing was changed.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "type": "string", "enum": codes, "description": "Stable." },
            "detail": { "type": "string", "description": "For people; may change." },
        },
    })
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
