//! What changes between a provider's answer and the arrival of the browser: nobody comes in by what no longer holds.

use portcullis_domain::Clock as _;
use portcullis_emulator::Browser;
use serde_json::{Value, json};

use crate::saml_idp::{Idp, Says};
use crate::saml_trust::ada_is_invited;
use crate::world::{World, outcome};

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
