//! What the first sign-in by a connection brings, shown to whoever sets it up: names in full, values masked.

use serde_json::{Value, json};

use crate::saml_idp::{Idp, Says};
use crate::world::{ADA, World};

async fn suggestion(world: &World, connection: &Value) -> Value {
    world.portcullis.store_traces().await.unwrap();
    let path = format!("/organizations/acme/connections/{}/suggestion", connection["id"].as_str().unwrap());
    let (status, shown) = world.root("GET", &path, Value::Null).await;
    assert_eq!(status, 200, "{shown}");
    shown
}

fn sent<'a>(shown: &'a Value, name: &str) -> &'a Value {
    shown["sent"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn a_refused_first_sign_in_shows_which_claims_came_and_which_would_serve() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true })).await;
    let nothing = suggestion(&world, &connection).await;
    assert_eq!((&nothing["at"], &nothing["sent"]), (&Value::Null, &json!([])));
    world.say_too(json!({
        "groups": null, "realm_access": { "roles": ["staff"] }, "department": "R&D", "age": 36,
    }));
    world.provider.behave(portcullis_emulator::Behaviour::GroupsMissing);
    assert_eq!(world.outcome(&connection, ADA).await, "no_role_mapped");
    let shown = suggestion(&world, &connection).await;
    assert_eq!(shown["outcome"], "no_role_mapped");
    let suggested =
        json!({ "subject": "sub", "email": "email", "name": "name", "groups": "realm_access.roles" });
    assert_eq!(shown["suggested"], suggested, "{shown}");
    let email = sent(&shown, "email");
    assert_eq!((&email["sample"], &email["said_in"]), (&json!("a…@acme.example"), &json!("id_token")));
    let roles = sent(&shown, "realm_access.roles");
    assert_eq!(
        (&roles["kind"], &roles["values"], &roles["sample"]),
        (&json!("texts"), &json!(1), &json!("s… (5 characters)"))
    );
    assert_eq!(sent(&shown, "age")["sample"], Value::Null, "a number needs no sample");
    for of_the_sign_in in ["nonce", "at_hash", "aud", "sid"] {
        assert!(sent(&shown, of_the_sign_in).is_null(), "{of_the_sign_in} is about no person");
    }
    for whole in [ADA, "Ada Abel", "person-000000", "R&D", "staff"] {
        assert!(!shown.to_string().contains(whole), "`{whole}` is shown: {shown}");
    }
}

#[tokio::test]
async fn over_saml_the_attributes_are_shown_and_those_that_would_serve_are_named() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let mut says = Says::ada(&["Engineering", "Leads"]);
    says.attributes.push(("employeeId", vec!["4711".to_owned()]));
    says.attributes.push(("displayName", vec!["Ada Abel".to_owned()]));
    assert_eq!(world.saml_outcome(&idp, &connection, &says).await, "ok");
    let shown = suggestion(&world, &connection).await;
    assert_eq!(shown["outcome"], "ok", "{shown}");
    let suggested =
        json!({ "subject": "employeeId", "email": "email", "name": "displayName", "groups": "groups" });
    assert_eq!(shown["suggested"], suggested, "{shown}");
    let groups = sent(&shown, "groups");
    assert_eq!(
        (&groups["kind"], &groups["values"], &groups["said_in"]),
        (&json!("texts"), &json!(2), &json!("assertion"))
    );
    for whole in [ADA, "Ada Abel", "4711", "Leads"] {
        assert!(!shown.to_string().contains(whole), "`{whole}` is shown: {shown}");
    }
}

#[tokio::test]
async fn a_provider_that_sends_very_many_claims_is_shown_within_bounds_and_another_organization_sees_nothing()
{
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    let many: serde_json::Map<String, Value> =
        (0..70).map(|n| (format!("claim-{n}-{}", "x".repeat(140)), json!("y".repeat(20)))).collect();
    world.say_too(Value::Object(many));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let shown = suggestion(&world, &connection).await;
    assert_eq!(shown["sent"].as_array().unwrap().len(), 60);
    let longest = shown["sent"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().len()).max();
    assert_eq!(longest, Some(128), "names are cut");
    assert!(shown.to_string().len() < 32 * 1024, "{} bytes", shown.to_string().len());
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    let path = format!("/organizations/globex/connections/{}/suggestion", connection["id"].as_str().unwrap());
    assert_eq!(world.root("GET", &path, Value::Null).await.0, 404);
}
