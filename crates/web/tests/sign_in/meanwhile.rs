//! What changes between a provider's answer and the arrival of the browser: nobody comes in by what no longer holds.

use portcullis_domain::Clock as _;
use portcullis_emulator::Browser;
use serde_json::{Value, json};

use crate::oidc_settings::form;
use crate::saml_idp::{Idp, Says};
use crate::saml_trust::{ada_is_invited, one};
use crate::world::{ADA, World, outcome};

/// Where the browser of somebody whom the provider has proven comes in.
async fn proven(world: &World, idp: &Idp, connection: &Value, says: &Says) -> (Browser, String) {
    let mut browser = Browser::new().unwrap();
    let asked = idp.ask(&mut browser, connection["login_url"].as_str().unwrap()).await;
    let answer = idp.answer(world.clock.now(), connection, Some(&asked), says);
    let (status, ticket) = world.form_step(&mut browser, &answer).await;
    assert_eq!(status, 303);
    (browser, ticket)
}

#[tokio::test]
async fn what_is_set_of_a_connection_of_saml_between_an_answer_and_the_arrival_holds_for_who_arrives() {
    let (world, idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    for (change, expected) in [
        (json!({ "saml": { "force_authn": true } }), "connection_changed"),
        (json!({ "saml": { "skew_s": 100 } }), "connection_changed"),
        (json!({ "name": "Another name" }), "ok"),
    ] {
        let (mut browser, ticket) = proven(&world, &idp, &connection, &Says::ada(&[])).await;
        let (status, changed) = world.root("PATCH", &one(&connection), change.clone()).await;
        assert_eq!(status, 200, "{changed}");
        assert_eq!(outcome(&browser.open(&ticket).await.unwrap()), expected, "{change}");
    }
}

#[tokio::test]
async fn what_is_set_of_a_connection_of_openid_between_an_answer_and_the_arrival_holds_for_who_arrives() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "oidc": { "response_mode": "form_post" } })).await;
    for (change, expected) in [
        (json!({ "oidc": { "acr_values": ["urn:example:strong"] } }), "connection_changed"),
        (json!({ "oidc": { "acr_values": [] } }), "connection_changed"),
        (json!({ "name": "Another name" }), "ok"),
    ] {
        let mut browser = Browser::new().unwrap();
        let answer = form(&world.sign_in(&mut browser, &connection, ADA).await);
        let (status, ticket) = world.form_step(&mut browser, &answer).await;
        assert_eq!(status, 303);
        let (status, changed) = world.root("PATCH", &one(&connection), change.clone()).await;
        assert_eq!(status, 200, "{changed}");
        assert_eq!(outcome(&browser.open(&ticket).await.unwrap()), expected, "{change}");
    }
}

#[tokio::test]
async fn nobody_is_given_a_session_that_its_provider_wants_to_be_over_already() {
    let (world, idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let says = |session_s| Says { session_s: Some(session_s), ..Says::ada(&[]) };
    // Clocks may differ by 180 seconds, and what is over by ours opens nothing all the same.
    for (session_s, expected) in [(-60, "provider_session_over"), (0, "provider_session_over"), (60, "ok")] {
        assert_eq!(world.saml_outcome(&idp, &connection, &says(session_s)).await, expected, "{session_s}");
    }
    for (arrives_after_s, expected) in [(60, "provider_session_over"), (59, "ok")] {
        let (mut browser, ticket) = proven(&world, &idp, &connection, &says(60)).await;
        world.clock.pass_s(arrives_after_s);
        assert_eq!(outcome(&browser.open(&ticket).await.unwrap()), expected, "{arrives_after_s}");
    }
    assert_eq!(world.events("acme", "sign_in.succeeded").await.len(), 2);
}
