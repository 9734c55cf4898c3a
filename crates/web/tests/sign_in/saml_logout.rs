//! The end of sessions across both sides: signed, once, and without a word about anybody else.

use portcullis_domain::Clock as _;
use portcullis_emulator::Browser;
use serde_json::{Value, json};

use crate::saml_idp::{Idp, Says};
use crate::world::{ADA, World, outcome};

async fn signed_in(world: &World, idp: &Idp, connection: &Value, says: &Says) -> (Browser, String) {
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.by_saml(&mut browser, idp, connection, says).await), "ok");
    let secret = world.sessions(&browser).pop().unwrap();
    (browser, secret)
}

#[tokio::test]
async fn a_provider_ends_the_sessions_that_it_names_by_a_signed_request_that_counts_once() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let says = Says::ada(&[]);
    let (mut browser, first) = signed_in(&world, &idp, &connection, &says).await;
    let other = Says { session_index: "_session-2", ..says.clone() };
    let (_, second) = signed_in(&world, &idp, &connection, &other).await;

    let unsigned = idp.ask_to_end(world.clock.now(), &connection, &says, false);
    let (page, next) = browser.step(&unsigned).await.unwrap();
    assert_eq!((page.status, next), (403, None), "{}", page.body);
    assert_eq!(world.decision(&first).await, "allowed", "nobody ends a session without a signature");

    let nobody = Says { name_id: "somebody-else".into(), ..says.clone() };
    let unknown = idp.ask_to_end(world.clock.now(), &connection, &nobody, true);
    let answer_to_unknown = Browser::new().unwrap().step(&unknown).await.unwrap().1.unwrap();
    assert_eq!(world.decision(&first).await, "allowed");

    let signed = idp.ask_to_end(world.clock.now(), &connection, &says, true);
    let (_, back) = Browser::new().unwrap().step(&signed).await.unwrap();
    let back = back.unwrap();
    assert!(back.as_str().starts_with(&format!("{}/slo?SAMLResponse=", idp.base)), "{back}");
    let (known, unknown) = (Idp::read(&back), Idp::read(&answer_to_unknown));
    assert_eq!(known.relay_state.as_deref(), Some("theirs"));
    assert!(known.query.contains_key("Signature"), "our answer is signed");
    let shape = |xml: &str| xml.split('"').step_by(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(shape(&known.xml), shape(&unknown.xml), "the same answer whether anybody was signed in");
    assert!(known.xml.contains("status:Success"), "{}", known.xml);
    assert_eq!(world.decision(&first).await, "token_ended");
    assert_eq!(world.decision(&second).await, "allowed", "another session of the same person");

    let (page, next) = Browser::new().unwrap().step(&signed).await.unwrap();
    assert_eq!((outcome(&page).as_str(), next), ("replayed", None));
    let ended = world.events("acme", "sign_in.ended").await;
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0]["cause"]["kind"], "sign_in");
}

#[tokio::test]
async fn a_provider_ends_nothing_at_another_connection() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let other = world.saml("acme", &idp, json!({})).await;
    let says = Says::ada(&[]);
    let (_, secret) = signed_in(&world, &idp, &connection, &says).await;
    let there = idp.ask_to_end(world.clock.now(), &other, &says, true);
    assert!(Browser::new().unwrap().step(&there).await.unwrap().1.is_some(), "answered as if it were done");
    assert_eq!(world.decision(&secret).await, "allowed");
}

#[tokio::test]
async fn whoever_signs_out_here_is_out_at_once_and_then_led_to_the_provider_whose_answer_counts_once() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let says = Says::ada(&[]);
    let (mut browser, secret) = signed_in(&world, &idp, &connection, &says).await;
    let page = browser.submit(&format!("{}/logout", world.base), &[]).await.unwrap();
    assert_eq!(world.decision(&secret).await, "token_ended", "before anything else");
    assert!(page.url.as_str().starts_with(&format!("{}/slo?SAMLRequest=", idp.base)), "{}", page.url);
    let asked = Idp::read(&page.url);
    assert!(asked.xml.contains(&says.name_id) && asked.xml.contains(says.session_index), "{}", asked.xml);
    assert!(asked.query.contains_key("Signature"));
    let mut astray = asked.clone();
    astray.relay_state = Some("f".repeat(64));
    let (page, _) = browser.step(&idp.answer_logout(world.clock.now(), &connection, &astray)).await.unwrap();
    assert_eq!(outcome(&page), "state_mismatch", "an answer to nothing");
    let answer = idp.answer_logout(world.clock.now(), &connection, &asked);
    let (page, _) = browser.step(&answer).await.unwrap();
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{}", page.body);
    let (page, _) = browser.step(&answer).await.unwrap();
    assert_eq!(outcome(&page), "state_mismatch", "a second time");
}

#[tokio::test]
async fn whoever_came_by_another_way_signs_out_here_alone() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
    let page = browser.submit(&format!("{}/logout", world.base), &[]).await.unwrap();
    assert_eq!(page.url.path(), "/login");
}
