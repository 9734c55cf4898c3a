//! What a user in canonical form is, and the people and groups that targets work on.

use portcullis_scim::limits::{MAX_INDEXED_BYTES, MAX_VALUES_PER_ATTRIBUTE};
use portcullis_scim::{Meta, Projection, ResourceType, User, render_user};
use serde_json::{Map, Value, json};

/// Attributes that nobody may write, or that are kept elsewhere: a stored user has none of them.
const NEVER_STORED: [&str; 6] = ["id", "meta", "groups", "schemas", "password", "members"];

/// Somebody who has left, with values to patch.
pub(crate) fn leaver() -> User {
    let attributes = json!({
        "active": false,
        "displayName": "Ada",
        "emails": [
            {"primary": true, "type": "work", "value": "ada@acme.test"},
            {"type": "home", "value": "ada@home.test"}
        ],
        "externalId": "00u1",
        "name": {"familyName": "Lovelace", "givenName": "Ada"},
        "roles": [{"value": "analyst"}],
        "urn:acme:hr:2.0:User": {"desk": {"room": "7"}, "roles": [{"type": "x", "value": "a"}, {"value": "b"}]},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "engines"},
        "userName": "ada@acme.test"
    });
    User::from_stored(attributes.as_object().cloned().unwrap_or_default())
}

/// A resource as it is answered.
pub(crate) fn sample(kind: ResourceType) -> Value {
    match kind {
        ResourceType::User => rendered(&leaver()),
        ResourceType::Group => json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "id": "g1", "displayName": "Engines", "externalId": "x1",
            "members": [{"value": "u1", "type": "User"}],
            "meta": {"resourceType": "Group"}
        }),
    }
}

/// A user must be what storage expects: nothing read-only, nothing unassigned, one primary value at most, bounded keys.
pub(crate) fn require_canonical(user: &User) {
    let attributes = user.attributes();
    for never in NEVER_STORED {
        assert!(!attributes.contains_key(never), "`{never}` is kept");
    }
    assert!(!user.user_name().is_empty() && user.user_name().len() <= MAX_INDEXED_BYTES);
    assert!(user.external_id().is_none_or(|id| !id.is_empty() && id.len() <= MAX_INDEXED_BYTES));
    assert!(attributes.get("active").is_none_or(Value::is_boolean));
    for (key, value) in attributes {
        assert!(!is_unassigned(value), "`{key}` is kept though it is unassigned");
        assert!(!is_the_standards(key), "`{key}` is kept as somebody's own");
        let Some(values) = value.as_array() else { continue };
        assert!(values.len() <= MAX_VALUES_PER_ATTRIBUTE, "`{key}` has {} values", values.len());
        let primaries = values.iter().filter(|value| value["primary"] == json!(true)).count();
        assert!(primaries <= 1, "`{key}` has {primaries} primary values");
    }
    let text = Value::Object(attributes.clone()).to_string();
    assert!(!text.contains("\\u0000"), "a null character is kept");
}

/// The answer about a user names its schemas, has its id, and shows no password.
pub(crate) fn require_rendered(user: &User) {
    let answer = rendered(user);
    assert_eq!(answer["id"], "u1", "the id is ours");
    assert!(answer["schemas"].as_array().is_some_and(|schemas| !schemas.is_empty()), "{answer}");
    assert!(answer.get("password").is_none());
    let nothing = Projection::parse(Some("nonsense"), None).unwrap_or_default();
    let least = nothing.apply(ResourceType::User, answer);
    assert!(least["id"].is_string() && least["schemas"].is_array(), "{least}");
}

fn rendered(user: &User) -> Value {
    let meta = Meta {
        id: "u1",
        created: "2026-11-29T14:00:00Z",
        last_modified: "2026-11-29T14:00:00Z",
        location: "https://portcullis.test/scim/v2/d/Users/u1",
        version: Some("W/\"1\""),
    };
    render_user(user, &meta, &[])
}

/// Whether it stands where only the standard has schemas, and is none of them.
fn is_the_standards(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let is_below = |root: &str| key.starts_with(root);
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:";
    let is_own = is_below("urn:ietf:params:scim:schemas:extension:") && !is_below(enterprise);
    is_below("urn:ietf:") && !is_own && key != format!("{enterprise}2.0:user")
}

fn is_unassigned(value: &Value) -> bool {
    value.is_null()
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(Map::is_empty)
}
