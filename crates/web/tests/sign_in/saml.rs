//! Signing in by SAML: what binds an answer, who comes in, and what an administrator is told.

use portcullis_domain::{Clock as _, Timestamp};
use portcullis_emulator::Browser;
use portcullis_web::edge::EdgeSettings;
use portcullis_web::{App, router};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::saml_idp::{Idp, Says};
use crate::world::{ADA, World, outcome, product};

async fn mapped(world: &World, connection: &Value, group: &str, role: &str) {
    let mapping = json!({
        "directory": connection["claims_directory"], "group": { "external_id": group }, "role": role,
    });
    world.made("/organizations/acme/mappings", mapping).await;
}

async fn role(world: &World) -> Value {
    let members = world.members("acme", ADA).await;
    assert_eq!(members.len(), 1, "{members:?}");
    json!([members[0]["state"], members[0]["role"]])
}

#[tokio::test]
async fn a_connection_is_made_from_metadata_and_says_what_the_provider_must_know() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let made = world.saml("acme", &idp, json!({ "saml": { "skew_s": 60 } })).await;
    let id = made["id"].as_str().unwrap();
    let at = |end: &str| json!(format!("{}/sso/saml/{id}/{end}", world.base));
    assert_eq!((&made["kind"], &made["issuer"]), (&json!("saml"), &json!(idp.entity)), "{made}");
    assert_eq!((&made["login_url"], &made["acs_url"]), (&at("login"), &at("acs")));
    assert_eq!((&made["metadata_url"], &made["entity_id"]), (&at("metadata"), &at("metadata")));
    assert_eq!((&made["client_id"], &made["redirect_uri"]), (&Value::Null, &Value::Null));
    let saml = &made["saml"];
    assert_eq!(saml["settings"]["skew_s"], 60);
    assert_eq!(saml["settings"]["idp_initiated"], false, "off unless somebody wants it");
    assert_eq!(saml["certificates"][0]["state"], "trusted", "{saml}");
    assert_eq!(saml["keys"][0]["state"], "signing", "{saml}");
    assert_eq!(saml["warnings"], json!([]), "{saml}");
    let document = reqwest::get(made["metadata_url"].as_str().unwrap()).await.unwrap();
    assert_eq!(document.headers()["content-type"], "application/samlmetadata+xml");
    let document = document.text().await.unwrap();
    for part in
        [made["acs_url"].as_str().unwrap(), made["entity_id"].as_str().unwrap(), "WantAssertionsSigned"]
    {
        assert!(document.contains(part), "{part} is not in {document}");
    }
    let one = format!("/organizations/acme/connections/{id}");
    let (_, shown) = world.root("GET", &one, Value::Null).await;
    assert_eq!(shown, made);
    assert_eq!(world.root("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(reqwest::get(made["metadata_url"].as_str().unwrap()).await.unwrap().status(), 404);
}

/// Until when our metadata of a connection may be used.
async fn good_until(connection: &Value) -> Option<String> {
    let document =
        reqwest::get(connection["metadata_url"].as_str().unwrap()).await.unwrap().text().await.unwrap();
    assert!(document.contains(" cacheDuration=\"P1D\""), "{document}");
    let (_, behind) = document.split_once(" validUntil=\"")?;
    Some(behind.split_once('"').unwrap().0.to_owned())
}

#[tokio::test]
async fn our_metadata_that_was_handed_over_as_a_file_is_good_as_long_as_our_last_certificate_in_it() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let made = world.saml("acme", &idp, json!({})).await;
    let whole_seconds = |end: &Value| end.as_str().unwrap().replace(".000000", "");
    let first = whole_seconds(&made["saml"]["keys"][0]["not_after"]);
    assert_eq!(good_until(&made).await.as_ref(), Some(&first));
    world.clock.pass_s(30 * 86_400);
    let keys = format!("/organizations/acme/connections/{}/keys", made["id"].as_str().unwrap());
    let next = whole_seconds(&world.made(&keys, Value::Null).await["not_after"]);
    assert!(next > first);
    assert_eq!(good_until(&made).await, Some(next), "a change of keys is in the file already");
    world.clock.pass_s(4 * 365 * 86_400);
    assert_eq!(good_until(&made).await, None, "what ran out goes on, for whoever reads by the address");
}

#[tokio::test]
async fn a_repeat_with_its_key_is_answered_also_where_the_metadata_cannot_be_read_any_more() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let create = async |body: Value| {
        let list = format!("{}/api/v1/organizations/acme/connections", world.base);
        let call = reqwest::Client::new().post(list).bearer_auth(portcullis_testkit::ROOT_TOKEN);
        let answer = call.header("idempotency-key", "k1").body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let wish = |name: &str| json!({ "kind": "saml", "name": name, "metadata_url": idp.metadata_url() });
    let first = create(wish("Corporate")).await;
    assert_eq!(first.0, 201, "{}", first.1);
    let reads = idp.reads();
    world.gate.cut("/metadata");
    assert_eq!(create(wish("Corporate")).await, first);
    let (status, refused) = create(wish("Another")).await;
    assert_eq!((status, &refused["code"]), (422, &json!("idempotency_mismatch")), "{refused}");
    assert_eq!(idp.reads(), reads, "nothing is read for an answer that is there");
}

#[tokio::test]
async fn metadata_that_cannot_be_used_is_refused_by_its_own_code() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let list = "/organizations/acme/connections";
    let with = |fields: Value| {
        let mut body = json!({ "kind": "saml", "name": "S" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let refused = [
        (with(json!({})), 400, "invalid_field"),
        (with(json!({ "metadata_xml": "<a/>", "metadata_url": idp.metadata_url() })), 400, "invalid_field"),
        (with(json!({ "metadata_url": idp.metadata_url(), "client_id": "c" })), 400, "invalid_field"),
        (
            with(json!({ "metadata_url": idp.metadata_url(), "saml": { "skew_s": 301 } })),
            400,
            "invalid_field",
        ),
        (
            with(json!({ "metadata_url": idp.metadata_url(), "saml": { "preset": "x" } })),
            400,
            "invalid_field",
        ),
        (with(json!({ "metadata_url": idp.metadata_url(), "saml": { "colour": 1 } })), 400, "unknown_field"),
        (with(json!({ "metadata_url": "not an address" })), 400, "invalid_field"),
        (with(json!({ "metadata_xml": "not xml" })), 422, "metadata_malformed"),
        (with(json!({ "metadata_xml": "<a/>" })), 422, "metadata_no_idp"),
        (with(json!({ "metadata_url": format!("{}/nowhere", idp.base) })), 422, "metadata_unreachable"),
        (json!({ "kind": "oidc", "name": "S", "metadata_url": idp.metadata_url() }), 400, "invalid_field"),
    ];
    for (body, status, code) in refused {
        let (got, problem) = world.root("POST", list, body.clone()).await;
        assert_eq!((got, problem["code"].as_str().unwrap()), (status, code), "{body}: {problem}");
    }
    world.made(list, with(json!({ "metadata_xml": idp.metadata() }))).await;
}

#[tokio::test]
async fn missing_groups_keep_empty_groups_take_and_groups_cut_off_are_refused() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({ "jit": true })).await;
    mapped(&world, &connection, "Engineering", "member").await;
    let outcome = async |says: &Says| world.saml_outcome(&idp, &connection, says).await;
    assert_eq!(outcome(&Says::ada(&["Sales"])).await, "no_role_mapped");
    assert!(world.members("acme", ADA).await.is_empty(), "nothing is left behind");
    assert_eq!(outcome(&Says::ada(&["Engineering"])).await, "ok");
    assert_eq!(role(&world).await, json!(["active", "member"]));
    assert_eq!(outcome(&Says::ada(&[]).without_groups()).await, "ok", "missing is not empty");
    let mut cut_off = Says::ada(&[]).without_groups();
    cut_off
        .attributes
        .push(("http://schemas.microsoft.com/claims/groups.link", vec!["https://graph".into()]));
    assert_eq!(outcome(&cut_off).await, "groups_overage", "a list that was cut off is no empty list");
    assert_eq!(role(&world).await, json!(["active", "member"]));
    assert_eq!(outcome(&Says::ada(&[])).await, "member_inactive", "an empty list takes the role away");
    assert_eq!(role(&world).await[0], "suspended");
}

#[tokio::test]
async fn an_answer_is_good_once_in_one_browser_at_one_connection_for_ten_minutes() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let other = world.saml("acme", &idp, json!({})).await;
    let login = connection["login_url"].as_str().unwrap();
    let says = Says::ada(&[]);
    let answer = |asked| idp.answer(world.clock.now(), &connection, Some(asked), &says);
    let mut browser = Browser::new().unwrap();
    let asked = idp.ask(&mut browser, login).await;
    let mut thief = Browser::new().unwrap();
    assert_eq!(outcome(&answer(&asked).post(&mut thief).await), "state_mismatch", "another browser");
    assert_eq!(outcome(&answer(&asked).post(&mut browser).await), "state_mismatch", "used up by the attempt");
    let asked = idp.ask(&mut browser, login).await;
    let mut elsewhere = answer(&asked);
    elsewhere.action = other["acs_url"].as_str().unwrap().to_owned();
    assert_eq!(outcome(&elsewhere.post(&mut browser).await), "state_mismatch", "another connection");
    let asked = idp.ask(&mut browser, login).await;
    let unsigned = Says { signed: false, ..Says::ada(&[]) };
    let forged = idp.answer(world.clock.now(), &connection, Some(&asked), &unsigned);
    assert_eq!(outcome(&forged.post(&mut browser).await), "signature_missing");
    assert_eq!(outcome(&answer(&asked).post(&mut browser).await), "state_mismatch", "used up by the refusal");
    let asked = idp.ask(&mut browser, login).await;
    world.clock.pass_s(600);
    assert_eq!(outcome(&answer(&asked).post(&mut browser).await), "state_expired");
    let asked = idp.ask(&mut browser, login).await;
    let good = answer(&asked);
    assert_eq!(outcome(&good.post(&mut browser).await), "ok");
    let sessions = world.sessions(&browser);
    assert_eq!(outcome(&good.post(&mut browser).await), "ok", "a second time: who is signed in is sent on");
    assert_eq!(world.sessions(&browser), sessions, "and gets nothing by it");
}

#[tokio::test]
async fn an_answer_is_one_of_the_provider_that_the_browser_was_sent_to() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
    let login = connection["login_url"].as_str().unwrap();
    for (entity, expected) in
        [("https://idp.test/entity", "ok"), ("https://idp.test/another", "connection_changed")]
    {
        let mut browser = Browser::new().unwrap();
        let asked = idp.ask(&mut browser, login).await;
        entity.clone_into(&mut idp.entity);
        idp.publish(&[&idp.key]);
        let (status, changed) = world.root("PATCH", &one, json!({ "metadata_xml": idp.metadata() })).await;
        assert_eq!((status, &changed["issuer"]), (200, &json!(entity)), "{changed}");
        let answer = idp.answer(world.clock.now(), &connection, Some(&asked), &Says::ada(&[]));
        assert_eq!(outcome(&answer.post(&mut browser).await), expected, "{entity}");
    }
}

#[tokio::test]
async fn whoever_a_provider_proved_arrives_once_in_the_same_browser_within_two_minutes() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let login = connection["login_url"].as_str().unwrap();
    // The last step by hand: where the browser is sent to from the provider's form.
    let ticket = async |browser: &mut Browser| {
        let asked = idp.ask(browser, login).await;
        let form = idp.answer(world.clock.now(), &connection, Some(&asked), &Says::ada(&[]));
        let (status, to) = world.form_step(browser, &form).await;
        assert_eq!(status, 303);
        to
    };
    let mut browser = Browser::new().unwrap();
    let to = ticket(&mut browser).await;
    assert_eq!(
        outcome(&Browser::new().unwrap().open(&to).await.unwrap()),
        "state_mismatch",
        "another browser"
    );
    assert_eq!(outcome(&browser.open(&to).await.unwrap()), "state_mismatch", "used up by the attempt");
    let to = ticket(&mut browser).await;
    world.clock.pass_s(120);
    assert_eq!(outcome(&browser.open(&to).await.unwrap()), "state_expired");
    let to = ticket(&mut browser).await;
    let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
    let set = async |groups: &str| world.root("PATCH", &one, json!({ "groups_claim": groups })).await.0;
    assert_eq!(set("teams").await, 200);
    assert_eq!(outcome(&browser.open(&to).await.unwrap()), "connection_changed");
    assert_eq!(set("groups").await, 200);
    assert_eq!(outcome(&browser.open(&to).await.unwrap()), "state_mismatch", "used up by the refusal");
    let to = ticket(&mut browser).await;
    assert_eq!(outcome(&browser.open(&to).await.unwrap()), "ok");
    let sessions = world.sessions(&browser);
    assert_eq!(outcome(&browser.open(&to).await.unwrap()), "ok", "who is signed in by it is sent on");
    assert_eq!(world.sessions(&browser), sessions, "and gets nothing by it a second time");
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_taken_where_an_administrator_allows_it_and_once() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let unasked = || idp.answer(world.clock.now(), &connection, None, &Says::ada(&[]));
    let mut browser = Browser::new().unwrap();
    let page = unasked().post(&mut browser).await;
    assert_eq!(outcome(&page), "unsolicited_refused");
    let login = connection["login_url"].as_str().unwrap();
    let led = format!("<a href=\"{}\">", login.strip_prefix(&world.base).unwrap());
    assert!(page.body.contains(&led), "the tile would lead here again and again: {}", page.body);
    assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &connection, &Says::ada(&[])).await), "ok");
    let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
    let (status, changed) = world.root("PATCH", &one, json!({ "saml": { "idp_initiated": true } })).await;
    assert_eq!((status, &changed["saml"]["settings"]["idp_initiated"]), (200, &json!(true)), "{changed}");
    let mut good = unasked();
    good.fields.push(("RelayState".to_owned(), "/console".to_owned()));
    let page = good.post(&mut Browser::new().unwrap()).await;
    assert_eq!((outcome(&page).as_str(), page.url.path()), ("ok", "/console"));
    assert_eq!(outcome(&good.post(&mut Browser::new().unwrap()).await), "replayed");
    for state in ["https://evil.example", "//evil.example", "/\\evil.example"] {
        let mut led = unasked();
        led.fields.push(("RelayState".to_owned(), state.to_owned()));
        let page = led.post(&mut Browser::new().unwrap()).await;
        assert_eq!((outcome(&page).as_str(), page.url.path()), ("ok", "/"), "{state} leads nowhere");
    }
}

#[tokio::test]
async fn s19_an_answer_is_remembered_for_longer_than_the_widest_skew_lets_it_pass() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let settings = json!({ "saml": { "idp_initiated": true, "skew_s": 300 } });
    let connection = world.saml("acme", &idp, settings).await;
    let says = Says { good_for_s: 864_000, ..Says::ada(&[]) };
    let issued = world.clock.now();
    let used = idp.answer(issued, &connection, None, &says);
    let neighbour = idp.answer(issued, &connection, None, &says);
    assert_eq!(outcome(&used.post(&mut Browser::new().unwrap()).await), "ok");
    // Ten minutes and the skew later, within the last second that counts as still good.
    world.clock.set(Timestamp::from_micros(issued.plus_s(900).micros() + 500_000));
    assert_eq!(outcome(&used.post(&mut Browser::new().unwrap()).await), "replayed");
    assert_eq!(outcome(&neighbour.post(&mut Browser::new().unwrap()).await), "ok", "one that nobody used");
    world.clock.pass_s(1);
    let late = idp.answer(issued, &connection, None, &says);
    assert_eq!(outcome(&late.post(&mut Browser::new().unwrap()).await), "issued_too_far_away");
}

#[tokio::test]
async fn an_unsigned_answer_is_refused_and_its_trace_says_what_was_expected_and_what_to_do() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let unsigned = Says { signed: false, ..Says::ada(&[]) };
    let code = world.saml_outcome(&idp, &connection, &unsigned).await;
    assert_eq!(code, "signature_missing");
    world.portcullis.store_traces().await.unwrap();
    let path = format!("/organizations/acme/traces?outcome={code}");
    let (status, traces) = world.root("GET", &path, Value::Null).await;
    assert_eq!(status, 200, "{traces}");
    let content = &traces["items"][0]["content"];
    assert!(content["advice"].as_str().is_some_and(|a| a.len() > 10), "{traces}");
    assert!(content["section"].as_str().is_some_and(|s| s.contains("SAML")), "{traces}");
    assert_eq!(world.events("acme", "sign_in.refused").await.len(), 0, "strangers do not fill the log");
}

#[tokio::test]
async fn the_same_provider_serves_two_organizations_and_an_answer_counts_in_one() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    world.invite("acme", ADA, "member").await;
    let here = world.saml("acme", &idp, json!({ "saml": { "idp_initiated": true } })).await;
    let there = world.saml("globex", &idp, json!({ "saml": { "idp_initiated": true } })).await;
    let mut astray = idp.answer(world.clock.now(), &here, None, &Says::ada(&[]));
    astray.action = there["acs_url"].as_str().unwrap().to_owned();
    let refused = outcome(&astray.post(&mut Browser::new().unwrap()).await);
    assert_eq!(refused, "destination_mismatch", "of another connection");
    assert_eq!(world.saml_outcome(&idp, &there, &Says::ada(&[])).await, "domain_not_proven");
    assert_eq!(world.saml_outcome(&idp, &here, &Says::ada(&[])).await, "ok");
}

#[tokio::test]
async fn a_session_ends_when_the_provider_wants_it_to_and_never_later_than_ours_would() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    for (session_s, lives_s) in [(Some(900), 900), (Some(1_000_000), 12 * 3_600), (None, 12 * 3_600)] {
        let mut browser = Browser::new().unwrap();
        let says = Says { session_s, ..Says::ada(&[]) };
        assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &connection, &says).await), "ok");
        let member = &world.members("acme", ADA).await[0]["id"];
        let path = format!("/organizations/acme/tokens?holder={}", member.as_str().unwrap());
        let (_, tokens) = world.root("GET", &path, Value::Null).await;
        let newest = tokens["items"].as_array().unwrap().iter().rfind(|t| t["ended_at"].is_null());
        let until = world.clock.now().plus_s(lives_s).rfc3339();
        assert_eq!(newest.unwrap()["expires_at"], until, "{session_s:?}: {tokens}");
    }
}

#[tokio::test]
async fn an_address_that_names_a_person_counts_only_while_the_directory_says_that_it_is_theirs() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let directory = world
        .made(
            "/organizations/acme/directories",
            json!({ "kind": "scim", "name": "HR", "default_role": "member" }),
        )
        .await;
    let base = directory["base_url"].as_str().unwrap().strip_prefix(&world.base).unwrap().to_owned();
    let token = directory["token"].as_str().unwrap().to_owned();
    let person = |address: &str| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address, "active": true,
            "emails": [{ "value": address, "primary": true }],
        })
    };
    let (status, told) = world.call("POST", &format!("{base}/Users"), &token, person(ADA)).await;
    assert_eq!(status, 201, "{told}");
    let connection = world.saml("acme", &idp, json!({ "directory": directory["id"] })).await;
    let says = Says::by_address(ADA);
    assert_eq!(world.saml_outcome(&idp, &connection, &says).await, "ok");
    assert_eq!(world.saml_outcome(&idp, &connection, &says).await, "ok", "known by the link");
    let renamed = person("ada.new@acme.example");
    let path = format!("{base}/Users/{}", told["id"].as_str().unwrap());
    assert_eq!(world.call("PUT", &path, &token, renamed).await.0, 200);
    assert_eq!(world.saml_outcome(&idp, &connection, &says).await, "address_moved", "nobody's by now");
    assert_eq!(world.call("POST", &format!("{base}/Users"), &token, person(ADA)).await.0, 201);
    assert_eq!(world.saml_outcome(&idp, &connection, &says).await, "address_moved", "somebody else's by now");
}

#[tokio::test]
async fn an_address_given_to_somebody_else_opens_nothing_and_a_persistent_name_in_its_place_is_the_same_person()
 {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let outcome = async |says: &Says| world.saml_outcome(&idp, &connection, says).await;
    assert_eq!(outcome(&Says::by_address(ADA)).await, "ok");
    assert_eq!(outcome(&Says::ada(&[])).await, "ok", "the set-up names people in another way now");
    let mut another = Says::ada(&[]);
    another.name_id = "ada-2".to_owned();
    assert_eq!(outcome(&another).await, "address_recycled");
    let mut moved = Says::ada(&[]);
    moved.attributes = vec![("email", vec!["ada.king@acme.example".to_owned()])];
    assert_eq!(outcome(&moved).await, "ok", "another address, the same person");
    assert_eq!(world.members("acme", ADA).await.len(), 1);
    assert!(world.members("acme", "ada.king@acme.example").await.is_empty());
}

#[tokio::test]
async fn an_address_in_the_place_of_a_name_that_stays_is_another_person_where_no_directory_governs() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let outcome = async |says: &Says| world.saml_outcome(&idp, &connection, says).await;
    assert_eq!(outcome(&Says::ada(&[])).await, "ok");
    let mut another = Says::ada(&[]);
    another.name_id = "ada-2".to_owned();
    assert_eq!(outcome(&another).await, "address_recycled", "the address is somebody else's by now");
    assert_eq!(
        outcome(&Says::by_address(ADA)).await,
        "address_recycled",
        "whatever the set-up calls them by"
    );
    assert_eq!(outcome(&Says::ada(&[])).await, "ok", "who has the name that stays");
    assert_eq!(world.events("acme", "member.linked").await.len(), 1);
    let fresh = world.saml("acme", &idp, json!({})).await;
    assert_eq!(
        world.saml_outcome(&idp, &fresh, &Says::by_address(ADA)).await,
        "ok",
        "known by no name there"
    );
}

#[tokio::test]
async fn a_link_is_made_from_ones_own_session_and_other_sessions_stay_in_the_browser() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    world.made("/organizations/globex/domains", json!({ "domain": "globex.example", "vouched": true })).await;
    world.invite("acme", ADA, "member").await;
    let here = world.saml("acme", &idp, json!({})).await;
    let there = world.saml("globex", &idp, json!({ "jit": true, "default_role": "member" })).await;
    let mut browser = Browser::new().unwrap();
    let says = Says { attributes: vec![("email", vec!["ada@globex.example".into()])], ..Says::ada(&[]) };
    assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &there, &says).await), "ok");
    assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &here, &Says::ada(&[])).await), "ok");
    assert_eq!(world.sessions(&browser).len(), 2, "one of each organization");
    let second = world.saml("acme", &idp, json!({})).await;
    let link = format!("{}/sso/saml/{}/link", world.base, second["id"].as_str().unwrap());
    let page = browser.submit(&link, &[]).await;
    let to_provider = match page {
        Ok(page) => page.url,
        Err(error) => panic!("{error}"),
    };
    let asked = Idp::read(&to_provider);
    let other = Says { name_id: "ada-at-second".into(), attributes: vec![], ..Says::ada(&[]) };
    let linked = idp.answer(world.clock.now(), &second, Some(&asked), &other).post(&mut browser).await;
    assert_eq!(outcome(&linked), "ok", "an own session needs no address");
    assert_eq!(world.saml_outcome(&idp, &second, &other).await, "ok", "and the link counts from then on");
}

#[tokio::test]
async fn under_https_the_cookie_of_a_sign_in_crosses_sites_and_no_session_does() {
    let (portcullis, _, _place) = product("https://gate.example");
    let app = router(App::new(portcullis, EdgeSettings::default()));
    let call = async |method: &str, path: &str, body: Value| {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "gate.example")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", portcullis_testkit::ROOT_TOKEN))
            .body(axum::body::Body::from(body.to_string()))
            .unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    call("POST", "/api/v1/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let body = json!({ "kind": "saml", "name": "S", "metadata_xml": Idp::start().await.metadata() });
    let made = call("POST", "/api/v1/organizations/acme/connections", body).await;
    let bytes = axum::body::to_bytes(made.into_body(), 1 << 20).await.unwrap();
    let made: Value = serde_json::from_slice(&bytes).unwrap();
    let path = format!("/sso/saml/{}/login", made["id"].as_str().unwrap());
    let answer = call("GET", &path, Value::Null).await;
    assert_eq!(answer.status(), 303);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    let attributes = "; Path=/; HttpOnly; SameSite=None; Secure; Max-Age=600";
    assert!(cookie.starts_with("__Host-portcullis-crossing-") && cookie.ends_with(attributes), "{cookie}");
}

#[tokio::test]
async fn where_people_prove_themselves_each_time_an_authentication_of_before_is_refused_whoever_began() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", crate::world::ADA, "member").await;
    let forced = json!({ "saml": { "force_authn": true, "idp_initiated": true } });
    let connection = world.saml("acme", &idp, forced).await;
    let lenient = world.saml("acme", &idp, json!({ "saml": { "idp_initiated": true } })).await;
    for (ago_s, at_forced) in
        [(0, "ok"), (180, "ok"), (181, "authn_instant_too_old"), (40_000, "authn_instant_too_old")]
    {
        let says = Says { proven_ago_s: ago_s, ..Says::ada(&[]) };
        for (of, expected) in [(&connection, at_forced), (&lenient, "ok")] {
            assert_eq!(world.saml_outcome(&idp, of, &says).await, expected, "asked {ago_s}");
            let unasked = idp.answer(world.clock.now(), of, None, &says);
            let page = unasked.post(&mut Browser::new().unwrap()).await;
            assert_eq!(outcome(&page), expected, "unasked {ago_s}");
        }
    }
    // A person who takes their time proved themselves after they were sent there.
    let mut browser = Browser::new().unwrap();
    let asked = idp.ask(&mut browser, connection["login_url"].as_str().unwrap()).await;
    assert!(asked.xml.contains("ForceAuthn=\"true\""), "{}", asked.xml);
    world.clock.pass_s(500);
    let says = Says { proven_ago_s: 490, ..Says::ada(&[]) };
    let answer = idp.answer(world.clock.now(), &connection, Some(&asked), &says);
    assert_eq!(outcome(&answer.post(&mut browser).await), "ok");
    world.portcullis.store_traces().await.unwrap();
    let traces = "/organizations/acme/traces?outcome=authn_instant_too_old";
    let (_, traces) = world.root("GET", traces, Value::Null).await;
    let told = &traces["items"][0]["content"];
    assert!(told["expected"].as_str().unwrap().starts_with("AuthnInstant at "), "{told}");
    assert!(
        told["received"].is_string() && told["advice"].as_str().unwrap().contains("ForceAuthn"),
        "{told}"
    );
}

#[tokio::test]
async fn a_flood_of_answers_that_prove_nothing_leaves_thirty_traces_a_minute_and_the_number_of_the_rest() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({})).await;
    let acs = connection["acs_url"].as_str().unwrap().strip_prefix(&world.base).unwrap().to_owned();
    for number in 0..100 {
        let junk = format!("SAMLResponse=x&RelayState={number:064x}");
        assert_eq!(world.form(&acs, &[], &junk).await.0, 403, "{number}");
    }
    let traces = async || {
        world.portcullis.store_traces().await.unwrap();
        let (_, list) = world.root("GET", "/organizations/acme/traces?limit=200", Value::Null).await;
        list["items"].as_array().unwrap().clone()
    };
    assert_eq!(traces().await.len(), 30);
    world.clock.pass_s(60);
    let traces = traces().await;
    assert_eq!((traces.len(), &traces[0]["content"]["more"]), (31, &json!(70)), "{}", traces[0]);
    assert_eq!(traces[0]["outcome"], traces[1]["outcome"]);
    assert!(traces[0]["content"]["advice"].is_string(), "{}", traces[0]);
}
