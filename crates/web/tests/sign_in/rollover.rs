//! A provider that turns its keys, is slow or is down: honest people come in, and strangers cannot keep them out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_domain::Clock as _;
use portcullis_emulator::{Behaviour, Browser, Rotation};
use serde_json::{Value, json};

use crate::oidc_logout::said;
use crate::saml_idp::{Idp, Says, key};
use crate::world::{ADA, World, outcome};

const KEYS: &str = "/jwks";
const METADATA: &str = "/.well-known/openid-configuration";

/// A product where Ada has signed in once by that connection.
async fn known() -> (World, Value) {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "client_id": "ours" })).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    (world, connection)
}

#[tokio::test]
async fn whoever_comes_while_a_slow_key_set_is_read_waits_for_it_and_comes_in_by_the_new_key() {
    let (world, connection) = known().await;
    world.provider.rotate_key(Rotation::DropOld).unwrap();
    world.gate.hold(KEYS);
    let (before, exchanged) = (world.gate.asked(KEYS), world.gate.asked("/token"));
    let open = async {
        world.gate.until(|gate| gate.asked("/token") == exchanged + 3 && gate.asked(KEYS) > before).await;
        // All three have their tokens: time for those that do not wait to be refused.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        world.gate.open();
    };
    let come = || world.outcome(&connection, ADA);
    let (first, second, third, ()) = tokio::join!(come(), come(), come(), open);
    assert_eq!([first, second, third], ["ok", "ok", "ok"]);
    assert_eq!(world.gate.asked(KEYS), before + 1, "one reading for all of them");
}

#[tokio::test]
async fn a_provider_whose_keys_have_no_names_turns_them_as_any_other_does() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    world.provider.behave(Behaviour::KeysUnnamed);
    let connection = world.connection("acme", json!({ "client_id": "ours" })).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    world.provider.rotate_key(Rotation::DropOld).unwrap();
    let before = world.gate.asked(KEYS);
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
    assert_eq!(world.gate.asked(KEYS), before + 1);
    let session = world.sessions(&browser).pop().unwrap();
    world.provider.rotate_key(Rotation::DropOld).unwrap();
    let token = world.provider.sign("logout+jwt", &said(&world, &connection, json!({}))).unwrap();
    assert_eq!(told_from(&world, "127.0.0.2", &connection, &token).await, 200, "and so says its other word");
    assert_eq!(world.decision(&session).await, "token_ended");
}

/// Tells a provider's word from that address of this machine; the status.
async fn told_from(world: &World, address: &str, connection: &Value, token: &str) -> u16 {
    let answer = caller_at(address).post(connection["logout_url"].as_str().unwrap());
    let answer = answer.header("content-type", "application/x-www-form-urlencoded");
    let answer = answer.body(format!("logout_token={token}")).send().await.unwrap();
    assert!(answer.url().as_str().starts_with(&world.base));
    answer.status().as_u16()
}

/// A provider's word under a key that nobody has.
fn made_up(world: &World, connection: &Value, number: usize) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "ES256", "typ": "logout+jwt", "kid": format!("made-up-{number}") });
    format!("{}.{}.{}", part(header), part(said(world, connection, json!({}))), "A".repeat(86))
}

#[tokio::test]
async fn a_stranger_who_names_keys_that_nobody_has_uses_up_nobodys_reading_but_their_own() {
    let (world, connection) = known().await;
    let made_up = |number: usize| made_up(&world, &connection, number);
    let before = world.gate.asked(KEYS);
    for number in 0..5 {
        assert_eq!(told_from(&world, "127.0.0.2", &connection, &made_up(number)).await, 400);
    }
    assert_eq!(world.gate.asked(KEYS), before + 1, "one reading for one source");
    for number in 0..20 {
        let address = format!("127.0.0.{}", 10 + number);
        assert_eq!(told_from(&world, &address, &connection, &made_up(number)).await, 400);
    }
    assert_eq!(world.gate.asked(KEYS), before + 6, "and six for all of them");

    world.provider.rotate_key(Rotation::DropOld).unwrap();
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "a sign-in is counted apart");
    world.clock.pass_s(61);
    assert_eq!(told_from(&world, "127.0.0.2", &connection, &made_up(0)).await, 400);
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
    let session = world.sessions(&browser).pop().unwrap();
    world.provider.rotate_key(Rotation::DropOld).unwrap();
    let token = world.provider.sign("logout+jwt", &said(&world, &connection, json!({}))).unwrap();
    assert_eq!(told_from(&world, "127.0.0.3", &connection, &token).await, 200, "the provider's own word");
    assert_eq!(world.decision(&session).await, "token_ended");
}

#[tokio::test]
async fn a_provider_that_is_down_is_left_alone_for_a_while_and_is_asked_by_one_for_all() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    let asked = || world.gate.asked(METADATA);
    let begin = async || {
        let login = connection["login_url"].as_str().unwrap();
        let (page, next) = Browser::new().unwrap().step(login).await.unwrap();
        next.map_or_else(|| outcome(&page), |_| "led there".to_owned())
    };
    let before = asked();
    world.gate.cut(METADATA);
    for _ in 0..3 {
        assert_eq!(begin().await, "unreachable");
    }
    assert_eq!(asked(), before + 1, "it is not asked again at once");
    world.clock.pass_s(6);
    assert_eq!((begin().await.as_str(), asked()), ("unreachable", before + 2));
    world.clock.pass_s(6);
    assert_eq!((begin().await.as_str(), asked()), ("unreachable", before + 2), "longer each time");
    world.gate.hold(METADATA);
    world.clock.pass_s(61);
    let open = async {
        world.gate.until(|gate| gate.asked(METADATA) > before + 2).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        world.gate.open();
    };
    let (first, second, ()) = tokio::join!(begin(), begin(), open);
    assert_eq!([first.as_str(), second.as_str()], ["led there", "led there"]);
    assert_eq!(asked(), before + 3, "one asks, and both have the answer");
}

/// Sends a request and hangs up before it is answered.
async fn hung_up(request: reqwest::RequestBuilder) {
    let given_up = request.timeout(std::time::Duration::from_millis(100)).send().await;
    assert!(given_up.unwrap_err().is_timeout());
    // Time for the server to notice.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
}

#[tokio::test]
async fn whoever_hangs_up_while_a_provider_is_read_has_it_read_once_and_left_alone_if_that_fails() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    let asked = || world.gate.asked(METADATA);
    let login = connection["login_url"].as_str().unwrap();
    let before = asked();
    world.gate.hold(METADATA);
    for _ in 0..4 {
        hung_up(caller_at("127.0.0.2").get(login)).await;
    }
    assert_eq!(asked(), before + 1, "the reading goes on for those who come next");
    world.gate.cut(METADATA);
    for _ in 0..2 {
        assert_eq!(outcome(&Browser::new().unwrap().step(login).await.unwrap().0), "unreachable");
    }
    assert_eq!(asked(), before + 1, "and how it went is known");
    world.clock.pass_s(6);
    assert_eq!(outcome(&Browser::new().unwrap().step(login).await.unwrap().0), "unreachable");
    assert_eq!(asked(), before + 2);
}

#[tokio::test]
async fn what_a_stranger_had_read_before_they_hung_up_counts_for_everybody() {
    let (world, connection) = known().await;
    world.provider.rotate_key(Rotation::DropOld).unwrap();
    let before = world.gate.asked(KEYS);
    world.gate.hold(KEYS);
    let logout = connection["logout_url"].as_str().unwrap();
    let token = format!("logout_token={}", made_up(&world, &connection, 0));
    let stranger = caller_at("127.0.0.2").post(logout).body(token);
    hung_up(stranger.header("content-type", "application/x-www-form-urlencoded")).await;
    world.gate.open();
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(world.gate.asked(KEYS), before + 1, "keys");

    let (world, mut idp, connection) = known_by_saml().await;
    let (own, new) = (idp.key.clone(), key());
    idp.publish(&[&own, &new]);
    idp.key = key();
    let forged = idp.ask_to_end(world.clock.now(), &connection, &Says::ada(&[]), true);
    let before = world.gate.asked(SAML_METADATA);
    world.gate.hold(SAML_METADATA);
    hung_up(caller_at("127.0.0.2").get(&forged)).await;
    world.gate.open();
    idp.key = new;
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok");
    assert_eq!(world.gate.asked(SAML_METADATA), before + 1, "metadata");
}

#[tokio::test]
async fn what_is_known_of_a_provider_that_is_down_serves_on_for_a_day_and_no_longer() {
    let (world, connection) = known().await;
    let asked = || world.gate.asked(METADATA);
    let before = asked();
    world.gate.hold(METADATA);
    world.clock.pass_s(3_601);
    let open = async {
        world.gate.until(|gate| gate.asked(METADATA) > before).await;
        assert_eq!(world.outcome(&connection, ADA).await, "ok", "nobody waits where something serves");
        world.gate.cut(METADATA);
    };
    let (waited, ()) = tokio::join!(world.outcome(&connection, ADA), open);
    assert_eq!(waited, "ok", "down, and known");
    assert_eq!(asked(), before + 1);
    world.clock.pass_s(23 * 3_600 - 10);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(asked(), before + 2);
    world.clock.pass_s(70);
    assert_eq!(world.outcome(&connection, ADA).await, "unreachable", "a day is over");
    world.gate.open();
    world.clock.pass_s(61);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");

    world.gate.cut(KEYS);
    world.clock.pass_s(23 * 3_600);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "keys too");
    world.clock.pass_s(3_700);
    assert_eq!(
        world.outcome(&connection, ADA).await,
        "unreachable",
        "a withdrawn key counts for a day at most"
    );
    world.gate.open();
    world.clock.pass_s(61);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
}

#[tokio::test]
async fn a_page_in_the_place_of_a_known_providers_metadata_changes_nothing_and_another_word_of_its_own_does()
{
    let (world, connection) = known().await;
    let pages = ["<html>We will be back soon.</html>", "", "{\"error\":\"maintenance\"}"];
    for (number, page) in pages.into_iter().enumerate() {
        world.gate.answer(METADATA, page);
        world.clock.pass_s(3_601);
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok", "{page}");
        let session = world.sessions(&browser).pop().unwrap();
        world.clock.pass_s(1);
        let about = said(&world, &connection, json!({ "jti": number.to_string() }));
        let token = world.provider.sign("logout+jwt", &about).unwrap();
        assert_eq!(told_from(&world, "127.0.0.2", &connection, &token).await, 200, "{page}");
        assert_eq!(world.decision(&session).await, "token_ended", "{page}");
        world.clock.pass_s(61);
    }
    world.gate.answer(METADATA, "{\"issuer\":\"https://another.example\"}");
    world.clock.pass_s(3_601);
    assert_eq!(world.outcome(&connection, ADA).await, "discovery_issuer_mismatch");
    world.gate.cut(METADATA);
    world.clock.pass_s(61);
    assert_eq!(world.outcome(&connection, ADA).await, "unreachable", "what was good is forgotten");
}

const SAML_METADATA: &str = "/metadata";

/// A product where Ada has signed in once by that provider of SAML.
async fn known_by_saml() -> (World, Idp, Value) {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({ "saml": { "idp_initiated": true } })).await;
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok");
    (world, idp, connection)
}

#[tokio::test]
async fn whoever_comes_while_slow_metadata_is_read_waits_for_it_and_comes_in_by_the_new_certificate() {
    let (world, mut idp, connection) = known_by_saml().await;
    let new = key();
    idp.publish(&[&idp.key, &new]);
    idp.key = new;
    let before = world.gate.asked(SAML_METADATA);
    world.gate.hold(SAML_METADATA);
    let open = async {
        world.gate.until(|gate| gate.asked(SAML_METADATA) > before).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        world.gate.open();
    };
    let says = Says::ada(&[]);
    let come = || world.saml_outcome(&idp, &connection, &says);
    let (first, second, third, ()) = tokio::join!(come(), come(), come(), open);
    assert_eq!([first, second, third], ["ok", "ok", "ok"]);
    assert_eq!(world.gate.asked(SAML_METADATA), before + 1, "one reading for all of them");
}

#[tokio::test]
async fn whoever_began_before_the_new_certificate_was_known_is_not_sent_back_for_it() {
    let (world, idp, connection) = known_by_saml().await;
    let mut browser = Browser::new().unwrap();
    let asked = idp.ask(&mut browser, connection["login_url"].as_str().unwrap()).await;
    let form = idp.answer(world.clock.now(), &connection, Some(&asked), &Says::ada(&[]));
    let (status, ticket) = world.form_step(&mut browser, &form).await;
    assert_eq!(status, 303);
    idp.publish(&[&idp.key, &key()]);
    let refresh = format!("/organizations/acme/connections/{}/refresh", connection["id"].as_str().unwrap());
    let (status, read) = world.root("POST", &refresh, Value::Null).await;
    assert_eq!((status, read["saml"]["certificates"].as_array().unwrap().len()), (200, 2), "{read}");
    assert_eq!(outcome(&browser.open(&ticket).await.unwrap()), "ok");
}

/// Whoever calls from that address of this machine.
fn caller_at(address: &str) -> reqwest::Client {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    http.local_address(address.parse::<std::net::IpAddr>().unwrap()).build().unwrap()
}

/// Follows an address; the status.
async fn opened(caller: &reqwest::Client, url: &str) -> u16 {
    caller.get(url).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_stranger_who_signs_with_keys_of_their_own_keeps_nobody_from_the_new_certificate() {
    let (world, mut idp, connection) = known_by_saml().await;
    let (own, stranger, new) = (idp.key.clone(), key(), key());
    let before = world.gate.asked(SAML_METADATA);
    idp.key = stranger;
    for _ in 0..5 {
        let end = idp.ask_to_end(world.clock.now(), &connection, &Says::ada(&[]), true);
        assert_eq!(opened(&caller_at("127.0.0.2"), &end).await, 403);
    }
    assert_eq!(world.gate.asked(SAML_METADATA), before + 1, "one reading for one source");
    for number in 0..3 {
        let end = idp.ask_to_end(world.clock.now(), &connection, &Says::ada(&[]), true);
        assert_eq!(opened(&caller_at(&format!("127.0.0.{}", 10 + number)), &end).await, 403);
    }
    assert_eq!(world.gate.asked(SAML_METADATA), before + 4, "another source has its own");
    idp.publish(&[&own, &new]);
    idp.key = new;
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok", "within the same minute");
}

#[tokio::test]
async fn a_word_about_the_end_of_sessions_by_a_new_key_has_the_metadata_read_as_an_answer_has() {
    let (world, mut idp, connection) = known_by_saml().await;
    let says = Says::ada(&[]);
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &connection, &says).await), "ok");
    let session = world.sessions(&browser).pop().unwrap();
    let new = key();
    idp.publish(&[&new]);
    idp.key = new;
    let end = idp.ask_to_end(world.clock.now(), &connection, &says, true);
    let (page, next) = Browser::new().unwrap().step(&end).await.unwrap();
    assert!(next.is_some(), "{} {}", page.status, page.body);
    assert_eq!(world.decision(&session).await, "token_ended");

    // A reading that brought the key is not counted: another one within the minute, for the answer to our own request.
    world.clock.pass_s(1);
    assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &connection, &says).await), "ok");
    let page = browser.submit(&format!("{}/logout", world.base), &[]).await.unwrap();
    let asked = Idp::read(&page.url);
    let newer = key();
    idp.publish(&[&newer]);
    idp.key = newer;
    let answer = idp.answer_logout(world.clock.now(), &connection, &asked);
    let (page, _) = browser.step(&answer).await.unwrap();
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{}", page.body);
}

#[tokio::test]
async fn what_costs_us_something_is_counted_with_the_other_calls_of_its_source() {
    let (world, _, connection) = known_by_saml().await;
    let oidc = world.connection("acme", json!({})).await;
    let of = |field: &str| connection[field].as_str().unwrap().to_owned();
    let keys = format!("{}/sso/oidc/{}/jwks", world.base, oidc["id"].as_str().unwrap());
    let each = [of("metadata_url"), format!("{}/sso/acme", world.base), keys];
    let (caller, other) = (caller_at("127.0.0.4"), caller_at("127.0.0.5"));
    for _ in 0..400 {
        for url in &each {
            assert_eq!(opened(&caller, url).await, 200, "{url}");
        }
    }
    for url in &each {
        assert_eq!(opened(&caller, url).await, 429, "{url}");
        assert_eq!(opened(&other, url).await, 200, "another source: {url}");
    }
}

#[tokio::test]
async fn o5_a_key_set_is_kept_as_long_as_its_provider_says_between_five_minutes_and_a_day() {
    let (world, connection) = known().await;
    for (says, kept_s) in [
        ("max-age=60", 300),
        ("public, max-age=7200, must-revalidate", 7_200),
        ("max-age=1000000000", 86_400),
        ("no-store", 3_600),
        ("max-age=soon", 3_600),
    ] {
        world.provider.have_keys_kept(says);
        world.clock.pass_s(86_400);
        assert_eq!(world.outcome(&connection, ADA).await, "ok");
        let read = world.provider.counts().jwks;
        world.clock.pass_s(kept_s - 1);
        assert_eq!(world.outcome(&connection, ADA).await, "ok");
        assert_eq!(world.provider.counts().jwks, read, "`{says}`: what is known serves");
        world.clock.pass_s(1);
        assert_eq!(world.outcome(&connection, ADA).await, "ok");
        assert_eq!(world.provider.counts().jwks, read + 1, "`{says}`: it is read again");
    }
}

#[tokio::test]
async fn o5_a_key_that_vanished_from_its_set_counts_until_the_set_is_read_again_and_no_longer() {
    let (world, connection) = known().await;
    world.provider.have_keys_kept("max-age=300");
    world.clock.pass_s(86_400);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    world.provider.rotate_key(Rotation::WithdrawOld).unwrap();
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "the set is good for five minutes");
    world.clock.pass_s(300);
    assert_eq!(world.outcome(&connection, ADA).await, "unknown_kid");
    world.provider.rotate_key(Rotation::DropOld).unwrap();
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "what signs is published again");
}
