//! A provider that turns its keys, is slow or is down: honest people come in, and strangers cannot keep them out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_emulator::{Browser, Rotation};
use serde_json::{Value, json};

use crate::oidc_logout::said;
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

/// Tells a provider's word from that address of this machine; the status.
async fn told_from(world: &World, address: &str, connection: &Value, token: &str) -> u16 {
    let http = reqwest::Client::builder().local_address(address.parse::<std::net::IpAddr>().unwrap());
    let answer = http.build().unwrap().post(connection["logout_url"].as_str().unwrap());
    let answer = answer.header("content-type", "application/x-www-form-urlencoded");
    let answer = answer.body(format!("logout_token={token}")).send().await.unwrap();
    assert!(answer.url().as_str().starts_with(&world.base));
    answer.status().as_u16()
}

#[tokio::test]
async fn a_stranger_who_names_keys_that_nobody_has_uses_up_nobodys_reading_but_their_own() {
    let (world, connection) = known().await;
    let made_up = |number: usize| {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "ES256", "typ": "logout+jwt", "kid": format!("made-up-{number}") });
        format!("{}.{}.{}", part(header), part(said(&world, &connection, json!({}))), "A".repeat(86))
    };
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
        let mut browser = Browser::new().unwrap();
        outcome(&world.sign_in(&mut browser, &connection, ADA).await)
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
    assert_eq!([first.as_str(), second.as_str()], ["ok", "ok"]);
    assert_eq!(asked(), before + 3, "one asks, and both have the answer");
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
    assert_eq!(world.outcome(&connection, ADA).await, "unreachable", "a withdrawn key counts for a day at most");
    world.gate.open();
    world.clock.pass_s(61);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
}
