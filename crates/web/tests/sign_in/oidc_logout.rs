//! A provider's word that a session is over: proven, once, and without a word about anybody else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_domain::Clock as _;
use portcullis_emulator::{Browser, Page, Rotation};
use portcullis_oidc::logout_token::LOGOUT_EVENT;
use serde_json::{Value, json};

use crate::oidc_settings::form;
use crate::world::{ADA, World, outcome};

/// Somebody who is signed in: their session's secret.
async fn signed_in(world: &World, connection: &Value, person: &str) -> String {
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, connection, person).await), "ok");
    world.sessions(&browser).pop().unwrap()
}

fn ada(world: &World) -> String {
    world.provider.change_company(|company| company.find_person(ADA).unwrap().id.clone())
}

/// What an honest provider says of Ada's session at that connection, with these members replaced; `null` removes one.
pub fn said(world: &World, connection: &Value, changes: Value) -> Value {
    let (now, sub) = (world.clock.now().seconds(), ada(world));
    let mut said = json!({
        "iss": world.provider.issuer(), "aud": connection["client_id"], "iat": now, "exp": now + 120,
        "jti": format!("jti-{now}"), "sub": sub, "sid": format!("session-of-{sub}"), "events": { LOGOUT_EVENT: {} },
    });
    for (name, value) in changes.as_object().unwrap() {
        said[name] = value.clone();
        if value.is_null() {
            said.as_object_mut().unwrap().remove(name);
        }
    }
    said
}

async fn tell(world: &World, connection: &Value, token: &str) -> (u16, Value) {
    let path = format!("/sso/oidc/{}/backchannel-logout", connection["id"].as_str().unwrap());
    assert_eq!(connection["logout_url"], json!(format!("{}{path}", world.base)));
    let (status, body) = world.form(&path, &[], &format!("logout_token={token}")).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// The same with a token of the provider's key: `ok`, or the code of the refusal.
async fn told(world: &World, connection: &Value, claims: &Value) -> String {
    let token = world.provider.sign("logout+jwt", claims).unwrap();
    match tell(world, connection, &token).await {
        (200, Value::Null) => "ok".to_owned(),
        (400, body) => {
            assert_eq!(body["error"], "invalid_request", "{body}");
            let description = body["error_description"].as_str().unwrap();
            description.rsplit('`').nth(1).unwrap_or(description).to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_provider_ends_every_session_of_its_own_that_it_names_before_it_is_answered_and_once() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "client_id": "ours" })).await;
    let (first, second) =
        (signed_in(&world, &connection, ADA).await, signed_in(&world, &connection, ADA).await);
    let token = world.provider.sign("logout+jwt", &said(&world, &connection, json!({}))).unwrap();
    assert_eq!(tell(&world, &connection, &token).await, (200, Value::Null));
    for secret in [&first, &second] {
        assert_eq!(world.decision(secret).await, "token_ended");
    }
    let ended = world.events("acme", "sign_in.ended").await;
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert_eq!(
        (&ended[0]["cause"]["kind"], &ended[0]["actor"]["type"]),
        (&json!("sign_in"), &json!("directory"))
    );

    let (status, body) = tell(&world, &connection, &token).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{body}");
    let again = signed_in(&world, &connection, ADA).await;
    assert_eq!(tell(&world, &connection, &token).await.0, 400, "a used token ends no later session");
    assert_eq!(world.decision(&again).await, "allowed");
}

#[tokio::test]
async fn a_word_about_a_person_a_session_or_nobody_here_ends_what_it_names_and_is_answered_alike() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "client_id": "ours" })).await;
    for (about, ends) in [
        (json!({ "jti": "1", "sub": null }), true),
        (json!({ "jti": "2", "sid": null }), true),
        (json!({ "jti": "3", "sub": "somebody-else", "sid": null }), false),
        (json!({ "jti": "4", "sub": null, "sid": "another-session" }), false),
        (json!({ "jti": "5", "sid": "another-session" }), false),
        (json!({ "jti": "6", "sub": "somebody-else" }), false),
    ] {
        let secret = signed_in(&world, &connection, ADA).await;
        assert_eq!(told(&world, &connection, &said(&world, &connection, about.clone())).await, "ok");
        let expected = if ends { "token_ended" } else { "allowed" };
        assert_eq!(world.decision(&secret).await, expected, "{about}");
    }
}

#[tokio::test]
async fn a_provider_ends_nothing_at_another_connection_not_even_of_the_same_application() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "client_id": "ours" })).await;
    let secret = signed_in(&world, &connection, ADA).await;
    let twin = world.connection("acme", json!({ "client_id": "ours" })).await;
    assert_eq!(told(&world, &twin, &said(&world, &connection, json!({ "jti": "1" }))).await, "ok");
    assert_eq!(world.decision(&secret).await, "allowed");
    let other = world.connection("acme", json!({ "client_id": "theirs" })).await;
    let for_other = said(&world, &other, json!({ "jti": "2" }));
    assert_eq!(told(&world, &connection, &for_other).await, "audience_mismatch");
    assert_eq!(told(&world, &other, &for_other).await, "ok");
    assert_eq!(world.decision(&secret).await, "allowed");
    assert_eq!(told(&world, &connection, &said(&world, &connection, json!({ "jti": "2" }))).await, "ok");
    assert_eq!(world.decision(&secret).await, "token_ended", "the same name of another connection's word");
}

#[tokio::test]
async fn every_forged_word_is_refused_by_its_check_and_ends_nothing() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "client_id": "ours" })).await;
    let secret = signed_in(&world, &connection, ADA).await;
    let now = world.clock.now().seconds();
    for (forged, code) in [
        (json!({ "iss": "https://evil.example" }), "issuer_mismatch"),
        (json!({ "iss": null }), "claim_missing"),
        (json!({ "aud": "another" }), "audience_mismatch"),
        (json!({ "aud": ["ours", "another"] }), "audience_untrusted"),
        (json!({ "iat": now - 301 }), "iat_out_of_range"),
        (json!({ "iat": now + 301 }), "iat_out_of_range"),
        (json!({ "exp": now - 60 }), "token_expired"),
        (json!({ "exp": null }), "claim_missing"),
        (json!({ "events": null }), "logout_event_missing"),
        (json!({ "events": { "https://other.example": {} } }), "logout_event_missing"),
        (json!({ "nonce": "n" }), "logout_nonce_present"),
        (json!({ "nonce": null, "jti": null }), "logout_id_invalid"),
        (json!({ "jti": "" }), "logout_id_invalid"),
        (json!({ "sub": null, "sid": null }), "logout_nobody_named"),
        (json!({ "sub": 7 }), "claim_missing"),
    ] {
        assert_eq!(
            told(&world, &connection, &said(&world, &connection, forged.clone())).await,
            code,
            "{forged}"
        );
    }
    let honest = said(&world, &connection, json!({}));
    for (typ, code) in [("at+jwt", "typ_not_allowed"), ("secevent+jwt", "typ_not_allowed")] {
        let token = world.provider.sign(typ, &honest).unwrap();
        let (status, body) = tell(&world, &connection, &token).await;
        assert!(status == 400 && body["error_description"].as_str().unwrap().contains(code), "{body}");
    }
    let signed = world.provider.sign("logout+jwt", &honest).unwrap();
    let (_, rest) = signed.split_once('.').unwrap();
    let signature = signed.rsplit('.').next().unwrap();
    let other = world.provider.sign("logout+jwt", &said(&world, &connection, json!({ "jti": "x" }))).unwrap();
    let (other, _) = other.rsplit_once('.').unwrap();
    for (token, code) in [
        (format!("eyJhbGciOiJub25lIn0.{rest}"), "alg_not_allowed"),
        (format!("eyJhbGciOiJIUzI1NiJ9.{rest}"), "alg_not_allowed"),
        (format!("{other}.{signature}"), "signature_invalid"),
        ("a.b.c.d.e".to_owned(), "token_encrypted"),
        (String::new(), "token_malformed"),
    ] {
        let (status, body) = tell(&world, &connection, &token).await;
        assert!(
            status == 400 && body["error_description"].as_str().unwrap().contains(code),
            "{code}: {body}"
        );
    }
    assert_eq!(world.decision(&secret).await, "allowed");
    assert_eq!(told(&world, &connection, &honest).await, "ok", "none of them used the honest token up");
    assert_eq!(world.decision(&secret).await, "token_ended");
}

#[tokio::test]
async fn what_is_no_form_with_one_token_and_no_connection_is_refused_and_nothing_is_cached() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    let path = format!("/sso/oidc/{}/backchannel-logout", connection["id"].as_str().unwrap());
    for body in ["", "token=a", "logout_token=a&logout_token=b"] {
        let (status, answer) = world.form(&path, &[], body).await;
        assert!(status == 400 && answer.contains("exactly one"), "{body}: {answer}");
    }
    let large = format!("logout_token={}", "a".repeat(70_000));
    assert_eq!(world.form(&path, &[], &large).await.0, 400);
    let (status, _) = world.call("POST", &path, "nobody", json!({ "logout_token": "a" })).await;
    assert_eq!(status, 400, "not a form");
    let unknown = format!("/sso/oidc/con_{}/backchannel-logout", "0".repeat(32));
    assert_eq!(world.form(&unknown, &[], "logout_token=a").await.0, 404);
    assert_eq!(world.form("/sso/oidc/x/backchannel-logout", &[], "logout_token=a").await.0, 404);
    let answer = reqwest::Client::new()
        .post(format!("{}{path}", world.base))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("logout_token=a")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn a_word_signed_with_a_new_key_has_the_key_set_read_again_and_a_refusal_is_seen_in_a_trace() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "client_id": "ours" })).await;
    let secret = signed_in(&world, &connection, ADA).await;
    world.provider.rotate_key(Rotation::DropOld).unwrap();
    world.clock.pass_s(61);
    assert_eq!(
        told(&world, &connection, &said(&world, &connection, json!({ "aud": "x" }))).await,
        "audience_mismatch"
    );
    assert_eq!(told(&world, &connection, &said(&world, &connection, json!({}))).await, "ok");
    assert_eq!(world.decision(&secret).await, "token_ended");
    world.portcullis.store_traces().await.unwrap();
    let path = "/organizations/acme/traces?outcome=audience_mismatch";
    let (_, traces) = world.root("GET", path, Value::Null).await;
    let trace = traces["items"][0].to_string();
    assert!(trace.contains("logout") && trace.contains("ours") && trace.contains("advice"), "{traces}");
}

#[tokio::test]
async fn however_many_sessions_a_provider_ends_from_its_one_address_none_is_refused_for_its_number() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "client_id": "ours" })).await;
    for number in 0..1_250 {
        let claims = said(&world, &connection, json!({ "jti": number.to_string() }));
        assert_eq!(told(&world, &connection, &claims).await, "ok", "{number}");
    }
}

#[tokio::test]
async fn a_sign_in_under_way_while_its_provider_ends_the_session_opens_none_and_one_begun_afterwards_does() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "client_id": "ours" })).await;
    let login = format!("{}?login_hint={ADA}", connection["login_url"].as_str().unwrap());
    for (about, expected) in [
        (json!({ "jti": "1" }), "provider_session_over"),
        (json!({ "jti": "2", "sid": null }), "provider_session_over"),
        (json!({ "jti": "3", "sub": null }), "provider_session_over"),
        (json!({ "jti": "4", "sid": "another-session" }), "ok"),
        (json!({ "jti": "5", "sub": "somebody-else" }), "ok"),
        (json!({ "jti": "6", "sub": null, "sid": "another-session" }), "ok"),
    ] {
        let mut browser = Browser::new().unwrap();
        let (_, provider) = browser.step(&login).await.unwrap();
        let back = browser.step(provider.unwrap().as_str()).await.unwrap().1.unwrap();
        world.clock.pass_s(1);
        assert_eq!(told(&world, &connection, &said(&world, &connection, about.clone())).await, "ok");
        let page = browser.open(back.as_str()).await.unwrap();
        assert_eq!(outcome(&page), expected, "{about}");
        assert_eq!(world.sessions(&browser).len(), usize::from(expected == "ok"), "{about}");
        world.clock.pass_s(1);
        assert_eq!(world.outcome(&connection, ADA).await, "ok", "begun afterwards: {about}");
    }
}

#[tokio::test]
async fn whoever_is_proven_by_a_form_and_not_let_in_yet_when_their_provider_ends_the_session_stays_outside() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let by_form = json!({ "client_id": "ours", "oidc": { "response_mode": "form_post" } });
    let connection = world.connection("acme", by_form).await;
    for (about, expected) in [(json!({ "jti": "1" }), "provider_session_over"), (Value::Null, "ok")] {
        let mut browser = Browser::new().unwrap();
        let answer = form(&world.sign_in(&mut browser, &connection, ADA).await);
        let (status, ticket) = world.form_step(&mut browser, &answer).await;
        assert_eq!(status, 303);
        world.clock.pass_s(1);
        if !about.is_null() {
            assert_eq!(told(&world, &connection, &said(&world, &connection, about)).await, "ok");
        }
        assert_eq!(outcome(&browser.open(&ticket).await.unwrap()), expected);
    }
}

#[tokio::test]
async fn whoever_signs_out_here_is_out_at_once_and_led_to_the_provider_where_the_connection_wants_that() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let leading = json!({ "client_id": "ours", "oidc": { "end_session": true } });
    let connection = world.connection("acme", leading).await;
    let other = world.connection("acme", json!({ "client_id": "theirs" })).await;
    let sign_out = async |connection: &Value| {
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.sign_in(&mut browser, connection, ADA).await), "ok");
        let secret = world.sessions(&browser).pop().unwrap();
        let page = browser.submit(&format!("{}/logout", world.base), &[]).await.unwrap();
        assert_eq!(world.decision(&secret).await, "token_ended");
        assert!(world.sessions(&browser).is_empty());
        (browser, page)
    };
    let (mut browser, page) = sign_out(&connection).await;
    let asked = page.passed.iter().find(|url| url.path() == "/end-session").unwrap();
    assert!(asked.as_str().starts_with(world.provider.issuer()), "{asked}");
    let find = |name: &str| asked.query_pairs().find(|(own, _)| own == name).unwrap().1.into_owned();
    assert_eq!(find("client_id"), "ours");
    assert_eq!(json!(find("post_logout_redirect_uri")), connection["oidc"]["post_logout_redirect_uri"]);
    let hint = find("id_token_hint");
    let payload = URL_SAFE_NO_PAD.decode(hint.split('.').nth(1).unwrap()).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&payload["aud"], &payload["sub"]), (&json!("ours"), &json!(ada(&world))));
    assert!(page.url.path().ends_with("/signed-out") && page.status == 200, "{}", page.url);
    assert!(page.body.contains("You are signed out."), "{}", page.body);

    let again = browser.open(page.url.as_str()).await.unwrap();
    assert!(is_untold(&again), "nobody was led there a second time: {}", again.body);
    let (mut browser, page) = {
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
        (
            browser,
            page.url.as_str().replace(connection["id"].as_str().unwrap(), other["id"].as_str().unwrap()),
        )
    };
    assert_eq!(
        outcome(&browser.open(&page).await.unwrap()),
        "ok",
        "of another connection, and signed in again"
    );
    let elsewhere = Browser::new().unwrap().open(page.split('?').next().unwrap()).await.unwrap();
    assert!(is_untold(&elsewhere), "{}", elsewhere.body);

    let (_, page) = sign_out(&other).await;
    assert_eq!((page.url.path(), page.passed.len()), ("/login", 2), "where nobody wants it");
    let without = json!({ "end_session_endpoint": null });
    world.provider.publish(without.as_object().unwrap().clone());
    world.clock.pass_s(3_601);
    let (_, page) = sign_out(&connection).await;
    assert_eq!(page.url.path(), "/login", "a provider that knows no such thing");
}

/// Whether somebody is told that they are signed out here, and nothing of their provider.
fn is_untold(page: &Page) -> bool {
    page.status == 200 && page.body.contains("You are signed out here. Whether your identity provider")
}
