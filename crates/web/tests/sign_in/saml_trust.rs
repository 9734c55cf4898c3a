//! Whose signatures count at a connection of SAML, and with which keys of ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::ConnectionChange;
use portcullis_domain::id::{ConnectionId, TokenId};
use portcullis_domain::plan::Plan;
use portcullis_domain::saml::{CertificateState, SamlCertificate};
use portcullis_emulator::Browser;
use portcullis_service::{Moment, ServiceError, organization};
use portcullis_store::saml_session::SamlSession;
use portcullis_store::{Priority, Tx, apply, saml, saml_session};
use serde_json::{Value, json};

use crate::saml_idp::{Idp, Says, key};
use crate::world::{World, outcome};

pub fn one(connection: &Value) -> String {
    format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap())
}

pub fn print(key: &portcullis_saml::key::OwnKey) -> String {
    key.certificate().sha256().iter().map(|b| format!("{b:02x}")).collect()
}

async fn states(world: &World, connection: &Value) -> Vec<(String, String)> {
    let (status, list) = world.root("GET", &format!("{}/certificates", one(connection)), Value::Null).await;
    assert_eq!(status, 200, "{list}");
    let text = |c: &Value, field: &str| c[field].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(|c| (text(c, "fingerprint"), text(c, "state"))).collect()
}

pub async fn state_of(world: &World, connection: &Value, fingerprint: &str) -> String {
    let all = states(world, connection).await;
    all.into_iter().find(|(f, _)| f == fingerprint).map_or_else(|| "unknown".to_owned(), |(_, state)| state)
}

pub async fn ada_is_invited(world: &World) {
    world.invite("acme", crate::world::ADA, "member").await;
}

#[tokio::test]
async fn an_unknown_key_has_the_metadata_read_once_a_minute_and_the_old_one_counts_until_it_is_retired() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok");
    let (old, new) = (idp.key.clone(), key());
    world.clock.pass_s(61);
    let before = idp.reads();
    idp.key = new.clone();
    for _ in 0..3 {
        let refused = world.saml_outcome(&idp, &connection, &Says::ada(&[])).await;
        assert_eq!(refused, "signature_not_trusted", "the metadata does not name it");
    }
    assert_eq!(idp.reads(), before + 1, "a flood of unknown keys reads nothing");
    idp.publish(&[&old, &new]);
    world.clock.pass_s(61);
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok", "the new key is read");
    idp.key = old.clone();
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok", "overlap");
    let retire = format!("{}/certificates/{}/retire", one(&connection), print(&old));
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    let refused = world.saml_outcome(&idp, &connection, &Says::ada(&[])).await;
    assert_eq!(refused, "signature_not_trusted", "retired");
    world.clock.pass_s(61);
    assert_eq!(
        world.saml_outcome(&idp, &connection, &Says::ada(&[])).await,
        refused,
        "metadata brings nothing back"
    );
    assert_eq!(state_of(&world, &connection, &print(&old)).await, "retired");
    let last = format!("{}/certificates/{}/retire", one(&connection), print(&new));
    let (status, problem) = world.root("POST", &last, Value::Null).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (409, "in_use"), "the last that counts");
    for (action, count) in [("connection.certificate_trusted", 2), ("connection.certificate_retired", 1)] {
        assert_eq!(world.events("acme", action).await.len(), count, "{action}");
    }
}

#[tokio::test]
async fn the_sessions_that_a_certificate_let_in_end_when_it_is_retired() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let (old, new) = (idp.key.clone(), key());
    idp.publish(&[&old, &new]);
    world.clock.pass_s(86_400);
    assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
    let mut opened = Vec::new();
    for key in [&old, &new] {
        idp.key = key.clone();
        let mut browser = Browser::new().unwrap();
        let page = world.by_saml(&mut browser, &idp, &connection, &Says::ada(&[])).await;
        assert_eq!(outcome(&page), "ok");
        opened.push(world.sessions(&browser).pop().unwrap());
    }
    let retire = format!("{}/certificates/{}/retire", one(&connection), print(&old));
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    assert_eq!(world.decision(&opened[0]).await, "token_ended", "whoever has the key opened it");
    assert_eq!(world.decision(&opened[1]).await, "allowed", "the other key is in nobody's hands");
    let ended = world.events("acme", "token.ended").await;
    let by_it: Vec<_> = ended.iter().filter(|e| e["detail"]["because"] == "certificate_retired").collect();
    assert_eq!(by_it.len(), 1, "{ended:?}");
}

/// A session by the provider's key behind 1,250 that were noted of it and ended by themselves; another key counts too.
async fn behind_many(world: &World, idp: &mut Idp, connection: &Value) -> (Browser, String) {
    idp.publish(&[&idp.key, &key()]);
    world.clock.pass_s(86_400);
    assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
    let (of, signed_by): (ConnectionId, _) =
        (connection["id"].as_str().unwrap().parse().unwrap(), print(&idp.key));
    let many = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        for _ in 0..1_250 {
            let noted = SamlSession {
                token: TokenId::fresh(moment.now, &mut moment.random),
                connection: of,
                name_hash: String::new(),
                name_id: "null".to_owned(),
                session_index: None,
                expires_at: moment.now.plus_s(3_600),
                signed_by: signed_by.clone(),
            };
            saml_session::insert(tx, &noted, moment.now)?;
        }
        Ok::<_, ServiceError>(())
    };
    world.portcullis.write(Priority::Ordinary, many).await.unwrap();
    world.clock.pass_s(1);
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.by_saml(&mut browser, idp, connection, &Says::ada(&[])).await), "ok");
    let opened = world.sessions(&browser).pop().unwrap();
    (browser, opened)
}

#[tokio::test]
async fn however_many_sessions_a_certificate_let_in_they_end_in_pieces_and_before_the_answer() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let (_, opened) = behind_many(&world, &mut idp, &connection).await;
    let retire = format!("{}/certificates/{}/retire", one(&connection), print(&idp.key));
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    assert_eq!(world.decision(&opened).await, "token_ended");
    let pieces = world.events("acme", "connection.certificate_retired").await;
    assert_eq!(pieces.len(), 3, "500 at a time: {pieces:?}");
    let first = &pieces.iter().find(|e| e["detail"]["goes_on"].is_null()).unwrap()["id"];
    for piece in pieces.iter().filter(|e| e["detail"]["goes_on"] == true) {
        assert_eq!(&piece["cause"]["event"], first, "{pieces:?}");
    }
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    assert_eq!(world.events("acme", "connection.certificate_retired").await.len(), 3, "nothing was left");
}

#[tokio::test]
async fn what_a_crash_left_of_the_sessions_of_a_certificate_the_same_call_ends() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let (_, opened) = behind_many(&world, &mut idp, &connection).await;
    let (of, print): (ConnectionId, _) =
        (connection["id"].as_str().unwrap().parse().unwrap(), print(&idp.key));
    let fingerprint = print.clone();
    let crashed = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        let organization = organization::named(tx, "acme")?.id;
        let known = saml::certificates(tx, organization, of)?;
        let known = known.into_iter().find(|c| c.fingerprint == fingerprint).unwrap();
        let retired = SamlCertificate { state: CertificateState::Retired, ..known };
        let event = EventDraft::new(Action::CertificateRetired, of);
        let change = ConnectionChange::PutCertificate(Box::new(retired));
        let plan = Plan::because(organization, Cause::system()).then(event, change);
        apply(tx, &plan, moment.now, &mut moment.random)?;
        Ok::<_, ServiceError>(())
    };
    world.portcullis.write(Priority::Ordinary, crashed).await.unwrap();
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "signature_not_trusted");
    assert_eq!(world.decision(&opened).await, "allowed");
    let retire = format!("{}/certificates/{print}/retire", one(&connection));
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    assert_eq!(world.decision(&opened).await, "token_ended");
}

#[tokio::test]
async fn the_links_that_a_stolen_key_made_end_where_whoever_retires_its_certificate_says_so() {
    for at_once in [true, false] {
        let (world, mut idp) = (World::new().await, Idp::start().await);
        ada_is_invited(&world).await;
        let connection = world.saml("acme", &idp, json!({})).await;
        let elsewhere = world.connection("acme", json!({})).await;
        let (stolen, honest) = (idp.key.clone(), key());
        idp.publish(&[&stolen, &honest]);
        world.clock.pass_s(86_400);
        assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
        // Whoever has the key says that an account of theirs is Ada's, and links another one as her.
        let barbara = "barbara.brandt@acme.example";
        let mut browser = Browser::new().unwrap();
        let forged = Says { name_id: "evil".to_owned(), ..Says::ada(&[]) };
        assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &connection, &forged).await), "ok");
        world.provider.sign_in_as(Some(barbara));
        let form = format!("{}/sso/oidc/{}/link", world.base, elsewhere["id"].as_str().unwrap());
        assert_eq!(outcome(&browser.submit(&form, &[]).await.unwrap()), "ok");
        world.provider.sign_in_as(None);
        idp.key = honest.clone();
        let theirs = Says { attributes: vec![("email", vec![barbara.to_owned()])], ..forged };
        let came = async || {
            let by_saml = world.saml_outcome(&idp, &connection, &theirs).await;
            [by_saml, world.outcome(&elsewhere, barbara).await]
        };
        let retire = format!("{}/certificates/{}/retire", one(&connection), print(&stolen));
        if !at_once {
            assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
            assert_eq!(came().await, ["ok", "ok"], "an honest word, by the link that the other one made");
        }
        assert_eq!(world.root("POST", &format!("{retire}?links=end"), Value::Null).await.0, 200);
        assert_eq!(came().await, ["not_invited", "not_invited"], "at once: {at_once}");
        assert_eq!(world.events("acme", "member.unlinked").await.len(), 2);
        let again = world.saml_outcome(&idp, &connection, &Says::ada(&[])).await;
        assert_eq!(again, "ok", "Ada is linked anew by her address");
    }
}

#[tokio::test]
async fn where_an_administrator_decides_a_new_certificate_is_offered_and_counts_when_it_is_accepted() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({ "saml": { "new_certificates": "ask" } })).await;
    let (old, new) = (idp.key.clone(), key());
    idp.publish(&[&old, &new]);
    idp.key = new.clone();
    world.clock.pass_s(61);
    let refused = world.saml_outcome(&idp, &connection, &Says::ada(&[])).await;
    assert_eq!(refused, "signature_not_trusted");
    assert_eq!(state_of(&world, &connection, &print(&new)).await, "offered");
    let (_, shown) = world.root("GET", &one(&connection), Value::Null).await;
    assert_eq!(shown["saml"]["warnings"][0]["code"], "certificate_offered", "{shown}");
    let accept = format!("{}/certificates/{}/accept", one(&connection), print(&new));
    let (status, accepted) = world.root("POST", &accept, Value::Null).await;
    assert_eq!((status, &accepted["state"]), (200, &json!("trusted")), "{accepted}");
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok");
    let unknown = format!("{}/certificates/{}/accept", one(&connection), "0".repeat(64));
    assert_eq!(world.root("POST", &unknown, Value::Null).await.0, 404);
}

#[tokio::test]
async fn the_metadata_of_a_deleted_organization_is_read_no_more() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.saml("acme", &idp, json!({})).await;
    idp.publish(&[&key()]);
    let (status, gone) = world.root("DELETE", "/organizations/acme?members=offboard", Value::Null).await;
    assert_eq!(status, 204, "{gone}");
    world.clock.pass_s(86_400);
    assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 0);
}

#[tokio::test]
async fn metadata_is_read_again_daily_and_another_entity_or_a_failure_changes_nothing() {
    let (world, idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 0, "not before its time");
    let (old, new) = (idp.key.clone(), key());
    idp.publish(&[&new]);
    world.clock.pass_s(86_400);
    assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
    assert_eq!(state_of(&world, &connection, &print(&new)).await, "trusted");
    assert_eq!(state_of(&world, &connection, &print(&old)).await, "trusted", "what is missing stays");
    let stranger = key();
    for (what, code) in [("another", "metadata_entity_changed"), ("nothing", "metadata_malformed")] {
        match what {
            "another" => idp.publish_as("https://evil.example", &[&stranger]),
            _ => idp.publish_as("\u{1}", &[&stranger]),
        }
        world.clock.pass_s(86_400);
        assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
        assert_eq!(state_of(&world, &connection, &print(&stranger)).await, "unknown", "{what}");
        let (_, shown) = world.root("GET", &one(&connection), Value::Null).await;
        assert_eq!(shown["saml"]["warnings"][0]["code"], "metadata_stale", "{shown}");
        world.clock.pass_s(61);
        let refresh = format!("{}/refresh", one(&connection));
        let (status, problem) = world.root("POST", &refresh, Value::Null).await;
        assert_eq!((status, problem["code"].as_str().unwrap()), (422, code), "{problem}");
    }
    idp.publish(&[&old]);
    world.clock.pass_s(61);
    let (status, shown) = world.root("POST", &format!("{}/refresh", one(&connection)), Value::Null).await;
    assert_eq!((status, &shown["saml"]["warnings"]), (200, &json!([])), "{shown}");
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok");
}

#[tokio::test]
async fn another_provider_named_by_an_administrator_takes_the_place_of_the_one_before_with_its_keys() {
    let (world, idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let mut next = Idp::start().await;
    next.entity = "https://next.test/entity".to_owned();
    next.publish(&[&next.key]);
    let (status, changed) =
        world.root("PATCH", &one(&connection), json!({ "metadata_url": next.metadata_url() })).await;
    assert_eq!((status, &changed["issuer"]), (200, &json!(next.entity)), "{changed}");
    assert_eq!(state_of(&world, &connection, &print(&idp.key)).await, "former");
    assert_eq!(world.saml_outcome(&next, &changed, &Says::ada(&[])).await, "ok");
    next.key = idp.key.clone();
    let refused = world.saml_outcome(&next, &changed, &Says::ada(&[])).await;
    assert_eq!(refused, "signature_not_trusted", "the key of the one before");
}

#[tokio::test]
async fn a_change_of_trust_while_somebody_signs_in_has_them_begin_again() {
    let (world, idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let mut browser = Browser::new().unwrap();
    let asked = idp.ask(&mut browser, connection["login_url"].as_str().unwrap()).await;
    let now = portcullis_domain::Clock::now(&*world.clock);
    let form = idp.answer(now, &connection, Some(&asked), &Says::ada(&[]));
    let (status, to) = world.form_step(&mut browser, &form).await;
    assert_eq!(status, 303);
    idp.publish(&[&idp.key, &key()]);
    let patch = json!({ "metadata_xml": idp.metadata() });
    assert_eq!(world.root("PATCH", &one(&connection), patch).await.0, 200);
    let retire = format!("{}/certificates/{}/retire", one(&connection), print(&idp.key));
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    assert_eq!(outcome(&browser.open(&to).await.unwrap()), "connection_changed");
}

#[tokio::test]
async fn our_keys_are_published_before_they_sign_and_are_gone_when_they_are_retired() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({ "saml": { "sign_requests": true } })).await;
    let first = connection["saml"]["keys"][0]["fingerprint"].as_str().unwrap().to_owned();
    let keys = format!("{}/keys", one(&connection));
    let document = async || {
        let answer = reqwest::get(connection["metadata_url"].as_str().unwrap()).await.unwrap();
        answer.text().await.unwrap()
    };
    let certificate = |key: &Value| key["certificate"].as_str().unwrap().to_owned();
    let next = world.made(&keys, Value::Null).await;
    assert_eq!(next["state"], "next");
    let text: String = document().await.split_whitespace().collect();
    for key in [&connection["saml"]["keys"][0], &next] {
        assert!(text.contains(&certificate(key)), "both are published");
    }
    let path = |fingerprint: &str, verb: &str| format!("{keys}/{fingerprint}{verb}");
    let fingerprint = next["fingerprint"].as_str().unwrap();
    let (status, problem) = world.root("DELETE", &path(&first, ""), Value::Null).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (409, "in_use"), "it signs");
    let (status, used) = world.root("POST", &path(fingerprint, "/use"), Value::Null).await;
    assert_eq!((status, &used["state"]), (200, &json!("signing")));
    assert_eq!(world.root("DELETE", &path(&first, ""), Value::Null).await.0, 204);
    let text: String = document().await.split_whitespace().collect();
    assert!(
        !text.contains(&certificate(&connection["saml"]["keys"][0])) && text.contains(&certificate(&next))
    );
    assert_eq!(world.root("POST", &path(&first, "/use"), Value::Null).await.0, 404, "it does not come back");
    for _ in 0..3 {
        world.made(&keys, Value::Null).await;
    }
    assert_eq!(world.root("POST", &keys, Value::Null).await.0, 400, "four are enough");
    let (_, all) = world.root("GET", &keys, Value::Null).await;
    let shown = all.to_string();
    assert!(!shown.contains("PRIVATE") && !shown.contains("sealed") && !shown.contains("v1."), "{shown}");
    let mut browser = Browser::new().unwrap();
    let asked = idp.ask(&mut browser, connection["login_url"].as_str().unwrap()).await;
    assert!(asked.query.contains_key("Signature"), "{:?}", asked.query);
    assert!(asked.xml.contains(connection["acs_url"].as_str().unwrap()), "{}", asked.xml);
}

#[tokio::test]
async fn an_administrator_is_warned_in_time_of_what_runs_out_and_of_what_is_weak() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let until = world.portcullis.now().plus_s(90 * 86_400).rfc3339();
    let connection = world.saml("acme", &idp, json!({ "saml": { "sha1_until": until } })).await;
    let codes = async || {
        let (_, shown) = world.root("GET", &one(&connection), Value::Null).await;
        let all = shown["saml"]["warnings"].as_array().unwrap().clone();
        all.iter().map(|w| w["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes().await, ["sha1_accepted"]);
    world.clock.pass_s((3 * 365 - 31) * 86_400);
    assert_eq!(codes().await, Vec::<String>::new(), "31 days are left of our key");
    world.clock.pass_s(86_400);
    assert_eq!(codes().await, ["key_expires"]);
    world.clock.pass_s((3_650 - 3 * 365) * 86_400);
    assert_eq!(codes().await, ["certificate_expires", "key_expires"]);
}

/// A certificate as an administrator pastes it.
fn pasted(key: &portcullis_saml::key::OwnKey) -> String {
    STANDARD.encode(key.certificate().der())
}

#[tokio::test]
async fn s29_where_a_certificate_is_pinned_only_metadata_that_it_signed_brings_a_new_one_and_at_once() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let (signer, stranger, old, new) = (key(), key(), idp.key.clone(), key());
    let pinned = json!({ "metadata_signers": [pasted(&signer)] });
    let body = json!({ "kind": "saml", "name": "S", "metadata_url": idp.metadata_url(), "saml": pinned });
    let list = "/organizations/acme/connections";
    let code = |(status, problem): (u16, Value)| (status, problem["code"].as_str().unwrap_or("").to_owned());
    let refused = (422, "metadata_signature_invalid".to_owned());
    assert_eq!(code(world.root("POST", list, body.clone()).await), refused, "nobody signed it");
    idp.publish_signed(&[&old], &stranger);
    assert_eq!(code(world.root("POST", list, body).await), refused, "somebody else did");
    idp.publish_signed(&[&old], &signer);
    let connection = world.saml("acme", &idp, json!({ "saml": pinned })).await;
    assert_eq!(connection["saml"]["settings"]["metadata_signers"], pinned["metadata_signers"]);
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok");
    // Whoever answers in the provider's place without its key changes nothing.
    for is_signed in [false, true] {
        if is_signed {
            idp.publish_signed(&[&stranger], &stranger);
        } else {
            idp.publish(&[&stranger]);
        }
        world.clock.pass_s(86_400);
        assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
        assert_eq!(state_of(&world, &connection, &print(&stranger)).await, "unknown");
        let (_, shown) = world.root("GET", &one(&connection), Value::Null).await;
        assert_eq!(shown["saml"]["warnings"][0]["code"], "metadata_stale", "{shown}");
        world.clock.pass_s(61);
        let refresh = world.root("POST", &format!("{}/refresh", one(&connection)), Value::Null).await;
        assert_eq!(code(refresh), refused);
    }
    idp.publish_signed(&[&new], &signer);
    idp.key = new.clone();
    world.clock.pass_s(61);
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok", "read again and believed");
    assert_eq!(state_of(&world, &connection, &print(&new)).await, "trusted");
}

#[tokio::test]
async fn whoever_signs_metadata_is_named_beside_what_they_signed() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let (signer, connection) = (key(), world.saml("acme", &idp, json!({})).await);
    let patch = async |body: Value| {
        let (status, answer) = world.root("PATCH", &one(&connection), body).await;
        (status, answer["code"].as_str().unwrap_or("").to_owned())
    };
    let invalid = (400, "invalid_field".to_owned());
    let signers =
        |list: &[&str]| json!({ "metadata_url": idp.metadata_url(), "saml": { "metadata_signers": list } });
    let own = pasted(&signer);
    assert_eq!(
        patch(json!({ "saml": { "metadata_signers": [own] } })).await,
        invalid,
        "of what was read unsigned"
    );
    assert_eq!(patch(signers(&["not a certificate"])).await, invalid);
    assert_eq!(patch(signers(&[own.as_str(); 5])).await, invalid, "more than are kept");
    assert_eq!(patch(signers(&[&own])).await, (422, "metadata_signature_invalid".to_owned()));
    idp.publish_signed(&[&idp.key], &signer);
    assert_eq!(patch(signers(&[&own])).await, (200, String::new()));
    let again = json!({ "metadata_xml": idp.metadata() });
    assert_eq!(patch(again).await, (200, String::new()), "held to what was set before");
    idp.publish(&[&idp.key]);
    let unsigned = json!({ "metadata_xml": idp.metadata() });
    assert_eq!(patch(unsigned.clone()).await, (422, "metadata_signature_invalid".to_owned()));
    assert_eq!(
        patch(json!({ "saml": { "metadata_signers": [] } })).await,
        (200, String::new()),
        "nobody any more"
    );
    assert_eq!(patch(unsigned).await, (200, String::new()));
}

#[tokio::test]
async fn a_web_page_that_is_given_as_metadata_is_called_one() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let body = json!({ "kind": "saml", "name": "S", "metadata_url": idp.metadata_url() });
    let good = idp.metadata();
    idp.serve("<!DOCTYPE html><html><head><title>Sign in</title></head></html>".to_owned());
    let (status, problem) = world.root("POST", "/organizations/acme/connections", body.clone()).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (422, "metadata_web_page"), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("web page") && detail.contains("metadata_xml"), "{detail}");
    idp.serve(good);
    world.made("/organizations/acme/connections", body).await;
}

#[tokio::test]
async fn other_addresses_in_the_metadata_are_taken_over_by_themselves_or_by_an_administrator_as_the_connection_says()
 {
    for (new_certificates, by_itself) in [("automatic", true), ("ask", false)] {
        let (world, idp) = (World::new().await, Idp::start().await);
        let connection =
            world.saml("acme", &idp, json!({ "saml": { "new_certificates": new_certificates } })).await;
        let kept = connection["saml"]["sign_in_url"].as_str().unwrap().to_owned();
        let moved = format!("{}/elsewhere", idp.base);
        idp.publish(&[&idp.key, &key()]);
        idp.serve(idp.metadata().replace(&format!("{}/sso\"", idp.base), &format!("{moved}\"")));
        world.clock.pass_s(86_400);
        assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
        let shown = async || {
            let (_, shown) = world.root("GET", &one(&connection), Value::Null).await;
            let codes = shown["saml"]["warnings"].as_array().unwrap().iter().map(|w| w["code"].clone());
            (shown["saml"]["sign_in_url"].as_str().unwrap().to_owned(), codes.collect::<Vec<_>>())
        };
        if by_itself {
            assert_eq!(shown().await, (moved, vec![]));
            continue;
        }
        let offered = vec![json!("certificate_offered"), json!("endpoints_offered")];
        assert_eq!(shown().await, (kept.clone(), offered));
        // Whoever stands too low takes nothing over; whoever stands below owner has an owner confirm it.
        let permissions = ["connections.read", "connections.write"];
        let role = json!({ "slug": "keeper", "rank": 400, "permissions": permissions });
        world.made("/organizations/acme/roles", role).await;
        for (role, expected) in [("keeper", &kept), ("admin", &moved)] {
            let address = format!("{role}@acme.example");
            let browser = crate::local::joined(&world, "acme", &address, role).await;
            let session = world.sessions(&browser).remove(0);
            world.clock.pass_s(61);
            let path = format!("/api/v1{}/refresh", one(&connection));
            let (answered, problem) = world.call("POST", &path, &session, Value::Null).await;
            assert_eq!(answered, 200, "{problem}");
            assert_eq!(&shown().await.0, expected, "{role}");
        }
        assert_eq!(shown().await.1, [json!("certificate_offered")]);
        let (_, waits) = world.root("GET", &one(&connection), Value::Null).await;
        assert_eq!(waits["confirmed"], false, "{waits}");
    }
}

/// A certificate of an Ed25519 key, which verifies nothing here.
const UNSUITABLE: &str = "MIIBNjCB6aADAgECAhQ/EEL00aktkUrSAY+UHcm6foIpeTAFBgMrZXAwEDEOMAwGA1UEAwwFc21hbGwwIBcNMjYxMTMwMTIxNTE3WhgPMjEyNjExMDYxMjE1MTdaMBAxDjAMBgNVBAMMBXNtYWxsMCowBQYDK2VwAyEAKvOjG3KjHDhxGr2MPv78PxW+Tps5R+BrNBsUlYmrN5ijUzBRMB0GA1UdDgQWBBQHPJw0sDFhZKzWZDNWcWKJoDoBhjAfBgNVHSMEGDAWgBQHPJw0sDFhZKzWZDNWcWKJoDoBhjAPBgNVHRMBAf8EBTADAQH/MAUGAytlcANBAFrXNf2/A7tNmSgo4zTSiDmGmX+cPoRW3u2vzxkcchyxb5SPV5ZWmejN53AvixyQOYPLdtbr59gBiEYLkCNGows=";

#[tokio::test]
async fn what_was_left_out_of_metadata_is_told_until_it_is_read_without_it_and_asks_nobody() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let codes = async |of: &str| {
        let (_, shown) = world.root("GET", of, Value::Null).await;
        let warnings = shown["saml"]["warnings"].as_array().unwrap().clone();
        let all = warnings.into_iter().map(|w| w["code"].as_str().unwrap().to_owned());
        all.filter(|code| code != "connected_twice").collect::<Vec<_>>()
    };
    let whole = idp.metadata();
    let (begin, end) = whole.split_once("<md:KeyDescriptor").unwrap();
    let key = format!(
        "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>\
         <ds:X509Certificate>{UNSUITABLE}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    );
    let beside = format!("{begin}{key}<md:KeyDescriptor{end}");
    let plain = beside.replace(&format!("{}/slo", idp.base), "http://idp.example/slo");
    let asking = json!({ "saml": { "new_certificates": "ask" } });
    let connection = world.saml("acme", &idp, asking).await;
    let path = one(&connection);
    assert_eq!(codes(&path).await, Vec::<String>::new());
    let read = async |document: &str| {
        idp.serve(document.to_owned());
        world.clock.pass_s(86_401);
        world.portcullis.refresh_due_metadata().await.unwrap();
    };
    read(&beside).await;
    assert_eq!(codes(&path).await, ["metadata_key_unsuitable"], "and no other address is offered");
    read(&plain).await;
    let told = codes(&path).await;
    assert!(told.contains(&"metadata_endpoint_left_out".to_owned()), "{told:?}");
    assert!(told.contains(&"endpoints_offered".to_owned()), "{told:?}");
    read(&whole).await;
    assert_eq!(codes(&path).await, Vec::<String>::new());

    let until = portcullis_domain::Clock::now(&*world.clock).plus_s(3_600);
    let ending = whole.replacen(" ID=", &format!(" validUntil=\"{}\" ID=", until.rfc3339()), 1);
    let by_hand = world.saml("acme", &idp, json!({ "metadata_xml": ending })).await;
    assert_eq!(codes(&one(&by_hand)).await, Vec::<String>::new());
    world.clock.pass_s(3_600);
    assert_eq!(codes(&one(&by_hand)).await, ["metadata_over"]);
}
