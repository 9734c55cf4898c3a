//! The end of sessions across both sides: signed, once, and without a word about anybody else.

use portcullis_domain::Clock as _;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::ConnectionChange;
use portcullis_domain::id::{ConnectionId, TokenId};
use portcullis_domain::plan::Plan;
use portcullis_domain::saml::SamlKey;
use portcullis_emulator::{Browser, Page};
use portcullis_service::{Moment, ServiceError};
use portcullis_store::saml_session::SamlSession;
use portcullis_store::{Priority, Tx, connection, saml, saml_session};
use serde_json::{Value, json};

use crate::saml_idp::{Asked, Idp, PERSISTENT, Says};
use crate::world::{ADA, World, outcome};

/// For how long a provider's word that a session is over counts: 600 seconds that an answer is good, twice 300 that clocks
/// differ, 120 until the browser arrives and 180 beside.
const OVER_FOR_S: i64 = 1_500;

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
    assert_eq!(
        (page.status, outcome(&page).as_str(), next),
        (403, "signature_missing", None),
        "{}",
        page.body
    );
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

    let (_, again) = Browser::new().unwrap().step(&signed).await.unwrap();
    let again = Idp::read(&again.expect("the provider goes on with the other applications"));
    assert_eq!(again.relay_state.as_deref(), Some("theirs"));
    assert!(again.xml.contains("status:Requester") && again.query.contains_key("Signature"), "{}", again.xml);
    world.portcullis.store_traces().await.unwrap();
    let (_, traces) = world.root("GET", "/organizations/acme/traces?outcome=replayed", Value::Null).await;
    assert_eq!(traces["items"].as_array().unwrap().len(), 1, "{traces}");
    let ended = world.events("acme", "sign_in.ended").await;
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0]["cause"]["kind"], "sign_in");
}

#[tokio::test]
async fn a_signed_request_that_came_too_late_is_answered_as_refused_and_ends_nothing() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let says = Says::ada(&[]);
    let (mut browser, session) = signed_in(&world, &idp, &connection, &says).await;
    let end = |signed| idp.ask_to_end(world.clock.now(), &connection, &says, signed);
    let (signed, unsigned) = (end(true), end(false));
    // Good for 300 seconds, and clocks may differ by 180.
    world.clock.pass_s(480);
    let (_, back) = browser.step(&signed).await.unwrap();
    let back = back.expect("the provider goes on with the other applications");
    assert!(back.as_str().starts_with(&format!("{}/slo?SAMLResponse=", idp.base)), "{back}");
    let answer = Idp::read(&back);
    assert_eq!(answer.relay_state.as_deref(), Some("theirs"));
    assert!(
        answer.query.contains_key("Signature") && answer.xml.contains("status:Requester"),
        "{}",
        answer.xml
    );
    assert_eq!(world.decision(&session).await, "allowed");
    let (page, next) = browser.step(&unsigned).await.unwrap();
    assert_eq!((page.status, outcome(&page).as_str(), next), (403, "signature_missing", None));
    world.portcullis.store_traces().await.unwrap();
    let of = "/organizations/acme/traces?outcome=issued_too_far_away";
    assert_eq!(world.root("GET", of, Value::Null).await.1["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_provider_said_is_over_counts_for_as_long_as_a_sign_in_takes_and_no_longer() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let unasked = json!({ "saml": { "idp_initiated": true } });
    let connection = world.saml("acme", &idp, unasked).await;
    let end = idp.ask_to_end(world.clock.now(), &connection, &Says::ada(&[]), true);
    assert!(Browser::new().unwrap().step(&end).await.unwrap().1.is_some());
    // The provider's session goes on, and is older than what was said of ours.
    let tile = async || {
        let says = Says { proven_ago_s: 86_400, ..Says::ada(&[]) };
        let answer = idp.answer(world.clock.now(), &connection, None, &says);
        outcome(&answer.post(&mut Browser::new().unwrap()).await)
    };
    world.clock.pass_s(OVER_FOR_S - 1);
    assert_eq!(tile().await, "provider_session_over");
    world.clock.pass_s(1);
    assert_eq!(tile().await, "ok");
}

#[tokio::test]
async fn a_request_ends_what_it_means_behind_however_many_other_sessions_of_the_person() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let says = Says::ada(&[]);
    // What was noted of sessions that ended by themselves: the provider's names for them, and nobody acts by them.
    let (_, first) = signed_in(&world, &idp, &connection, &says).await;
    let of_first: TokenId = token_of(&world).await.parse().unwrap();
    let many = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        let noted = saml_session::find(tx, of_first)?.unwrap();
        for _ in 0..1_250 {
            let token = TokenId::fresh(moment.now, &mut moment.random);
            let other = SamlSession { token, session_index: Some("_other".into()), ..noted.clone() };
            saml_session::insert(tx, &other, moment.now)?;
        }
        Ok::<_, ServiceError>(())
    };
    world.portcullis.write(Priority::Ordinary, many).await.unwrap();
    world.clock.pass_s(1);
    let late = Says { session_index: "_session-2", ..says.clone() };
    let (_, second) = signed_in(&world, &idp, &connection, &late).await;
    let end = idp.ask_to_end(world.clock.now(), &connection, &late, true);
    assert!(Browser::new().unwrap().step(&end).await.unwrap().1.is_some());
    assert_eq!(world.decision(&second).await, "token_ended", "the last of them all");
    assert_eq!(world.decision(&first).await, "allowed", "another session of the same person");
}

#[tokio::test]
async fn however_many_sessions_a_provider_ends_from_its_one_address_none_is_refused_for_its_number() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({})).await;
    let (says, mut browser) = (Says::ada(&[]), Browser::new().unwrap());
    // All but ten of what one source may call in a minute, and then three times as many as are left.
    let nowhere = format!("{}/sso/saml/con_{}/slo", world.base, "0".repeat(32));
    for number in 0..1_190 {
        assert_eq!(browser.step(&nowhere).await.unwrap().0.status, 404, "{number}");
    }
    for number in 0..30 {
        let end = idp.ask_to_end(world.clock.now(), &connection, &says, true);
        let (page, next) = browser.step(&end).await.unwrap();
        assert!(next.is_some(), "{number}: {} {}", page.status, page.body);
    }
    for number in 0..10 {
        let unsigned = idp.ask_to_end(world.clock.now(), &connection, &says, false);
        assert_eq!(browser.step(&unsigned).await.unwrap().0.status, 403, "{number}: counted as ever");
    }
    assert_eq!(browser.step(&nowhere).await.unwrap().0.status, 429);
}

#[tokio::test]
async fn our_keys_are_opened_only_where_they_are_used() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let id: ConnectionId = connection["id"].as_str().unwrap().parse().unwrap();
    // A key that cannot be opened says who tries.
    let spoil = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        let of = connection::find_by_id(tx, id)?.unwrap().organization;
        let key = saml::keys(tx, of, id)?.remove(0);
        let spoilt = SamlKey { private_sealed: "spoilt".into(), ..key };
        let event = EventDraft::new(Action::ConnectionKeyCreated, id);
        let plan = Plan::because(of, Cause::system()).then(event, ConnectionChange::PutKey(Box::new(spoilt)));
        Ok::<_, ServiceError>(moment.apply(tx, &plan)?)
    };
    world.portcullis.write(Priority::Ordinary, spoil).await.unwrap();
    assert_eq!(
        world.saml_outcome(&idp, &connection, &Says::ada(&[])).await,
        "ok",
        "nothing signed or encrypted"
    );
    let metadata = reqwest::get(connection["metadata_url"].as_str().unwrap()).await.unwrap();
    assert_eq!(metadata.status(), 200, "certificates are no secret");
    let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &one, json!({ "saml": { "sign_requests": true } })).await.0, 200);
    let (page, next) = Browser::new().unwrap().step(connection["login_url"].as_str().unwrap()).await.unwrap();
    assert_eq!((page.status, next), (500, None), "a request that is signed opens the key");
}

/// The session that a trace tells of.
async fn token_of(world: &World) -> String {
    world.portcullis.store_traces().await.unwrap();
    let (_, traces) =
        world.root("GET", "/organizations/acme/traces?kind=sign_in&outcome=ok", Value::Null).await;
    traces["items"][0]["content"]["token"].as_str().unwrap().to_owned()
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
    assert!(is_untold(&page), "an answer to nothing: {}", page.body);
    let answer = idp.answer_logout(world.clock.now(), &connection, &asked);
    let (page, _) = browser.step(&answer).await.unwrap();
    assert!(page.status == 200 && page.body.contains("<p>You are signed out.</p>"), "{}", page.body);
    let (page, _) = browser.step(&answer).await.unwrap();
    assert!(is_untold(&page), "a second time: {}", page.body);
    world.portcullis.store_traces().await.unwrap();
    let of = "/organizations/acme/traces?kind=sign_in&outcome=state_mismatch";
    let (_, traces) = world.root("GET", of, Value::Null).await;
    assert_eq!(traces["items"].as_array().unwrap().len(), 2, "{traces}");
}

/// Whether somebody is told that they are signed out here, and nothing of their provider.
fn is_untold(page: &Page) -> bool {
    page.status == 200 && page.body.contains("You are signed out here. Whether your identity provider")
}

#[tokio::test]
async fn an_answer_about_the_end_of_a_session_never_says_that_a_sign_in_failed() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let says = Says::ada(&[]);
    let asked = async || {
        let (mut browser, _) = signed_in(&world, &idp, &connection, &says).await;
        let page = browser.submit(&format!("{}/logout", world.base), &[]).await.unwrap();
        (browser, Idp::read(&page.url))
    };
    let (mut browser, request) = asked().await;
    let whole = idp.answer_logout(world.clock.now(), &connection, &request);
    let unsigned = whole.split("&SigAlg").next().unwrap();
    for broken in [unsigned, whole.split('&').next().unwrap(), &format!("{unsigned}&SAMLResponse=x")] {
        let (page, _) = browser.step(broken).await.unwrap();
        assert!(is_untold(&page), "{broken}: {}", page.body);
    }

    let (mut browser, request) = asked().await;
    let stateless = Asked { relay_state: None, ..request };
    let answer = idp.answer_logout(world.clock.now(), &connection, &stateless);
    let (page, _) = browser.step(&answer).await.unwrap();
    assert!(page.body.contains("<p>You are signed out.</p>"), "it names the request: {}", page.body);

    let (mut browser, _) = signed_in(&world, &idp, &connection, &says).await;
    let page = browser.open(&answer).await.unwrap();
    assert_eq!(outcome(&page), "ok", "who has signed in since is told that");
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

#[tokio::test]
async fn a_sign_in_under_way_while_its_provider_ends_the_session_opens_none_and_one_begun_afterwards_does() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let unasked = json!({ "saml": { "idp_initiated": true } });
    let connection = world.saml("acme", &idp, unasked).await;
    let says = Says::ada(&[]);
    let end = async |said: &Says| {
        let signed = idp.ask_to_end(world.clock.now(), &connection, said, true);
        assert!(Browser::new().unwrap().step(&signed).await.unwrap().1.is_some());
    };
    let other = Says { session_index: "_session-2", ..says.clone() };
    for (ended, expected) in [(&says, "provider_session_over"), (&other, "ok")] {
        let mut browser = Browser::new().unwrap();
        let asked = idp.ask(&mut browser, connection["login_url"].as_str().unwrap()).await;
        world.clock.pass_s(1);
        end(ended).await;
        world.clock.pass_s(1);
        let answer = idp.answer(world.clock.now(), &connection, Some(&asked), &says);
        assert_eq!(outcome(&answer.post(&mut browser).await), expected, "before the answer");

        let mut browser = Browser::new().unwrap();
        let asked = idp.ask(&mut browser, connection["login_url"].as_str().unwrap()).await;
        let answer = idp.answer(world.clock.now(), &connection, Some(&asked), &says);
        let (status, ticket) = world.form_step(&mut browser, &answer).await;
        assert_eq!(status, 303);
        world.clock.pass_s(1);
        end(ended).await;
        let page = browser.open(&ticket).await.unwrap();
        assert_eq!(outcome(&page), expected, "between the answer and the arrival");

        world.clock.pass_s(1);
        let unasked = idp.answer(world.clock.now(), &connection, None, &says);
        world.clock.pass_s(1);
        end(ended).await;
        let page = unasked.post(&mut Browser::new().unwrap()).await;
        assert_eq!(outcome(&page), expected, "as old as the authentication that it speaks of");
        world.clock.pass_s(1);
        assert_eq!(world.saml_outcome(&idp, &connection, &says).await, "ok", "begun afterwards");
    }
}

#[tokio::test]
async fn a_session_whose_index_the_provider_never_told_ends_with_any_of_the_persons_that_it_names() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let says = Says::ada(&[]);
    let (_, unnamed) =
        signed_in(&world, &idp, &connection, &Says { session_index: "", ..says.clone() }).await;
    let nobody = Says { name_id: "somebody-else".into(), ..says.clone() };
    for (meant, expected) in [(&nobody, "allowed"), (&says, "token_ended")] {
        let request = idp.ask_to_end(world.clock.now(), &connection, meant, true);
        assert!(Browser::new().unwrap().step(&request).await.unwrap().1.is_some());
        assert_eq!(world.decision(&unnamed).await, expected, "{}", meant.name_id);
    }
}

#[tokio::test]
async fn a_request_that_says_no_format_or_says_one_where_the_assertion_did_not_ends_the_session_that_it_names()
 {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
    const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
    for (said, meant, index, expected) in [
        (PERSISTENT, "", "_session-1", "token_ended"),
        (PERSISTENT, UNSPECIFIED, "_session-1", "token_ended"),
        (PERSISTENT, "", "_another", "allowed"),
        (PERSISTENT, "", "", "allowed"),
        (PERSISTENT, EMAIL, "_session-1", "allowed"),
        (PERSISTENT, PERSISTENT, "", "token_ended"),
    ] {
        let says = Says { format: said, ..Says::ada(&[]) };
        let (_, session) = signed_in(&world, &idp, &connection, &says).await;
        world.clock.pass_s(1);
        let request = Says { format: meant, session_index: index, ..says.clone() };
        let end = idp.ask_to_end(world.clock.now(), &connection, &request, true);
        assert!(Browser::new().unwrap().step(&end).await.unwrap().1.is_some());
        assert_eq!(world.decision(&session).await, expected, "{meant} {index}");
        let other = Says { name_id: "somebody-else".into(), ..request };
        let end = idp.ask_to_end(world.clock.now(), &connection, &other, true);
        assert!(Browser::new().unwrap().step(&end).await.unwrap().1.is_some(), "answered alike");
        assert_eq!(world.decision(&session).await, expected, "another person of that index: {meant} {index}");
        world.clock.pass_s(1);
    }
}
