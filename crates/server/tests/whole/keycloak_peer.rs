//! Whole flows with Keycloak as the provider, over SAML and OpenID Connect, set up as `docs/guide/connect-keycloak.md` says.

use portcullis_emulator::{Browser, Page};
use serde_json::{Value, json};

use crate::form::{Form, carry_on};
use crate::harness::{Server, text};
use crate::keycloak::{Realm, as_ada};

/// An organization whose people come by a connection that asks for `wanted`, first ones too, with roles for two of the
/// realm's groups.
async fn connect(server: &Server, wanted: Value) -> Value {
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let at = |rest: &str| format!("/organizations/acme{rest}");
    server.root("POST", &at("/domains"), json!({ "domain": "acme.test", "vouched": true })).await;
    let mut wish =
        json!({ "name": "Keycloak", "jit": true, "domains": ["acme.test"], "groups_claim": "groups" });
    wish.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
    let connection = server.root("POST", &at("/connections"), wish).await;
    for (group, role) in [("/Engineering", "member"), ("/Leads", "admin")] {
        let mapping = json!({
            "directory": connection["claims_directory"], "group": { "external_id": group }, "role": role,
        });
        server.root("POST", &at("/mappings"), mapping).await;
    }
    connection
}

fn one(connection: &Value) -> String {
    format!("/organizations/acme/connections/{}", text(connection, "id"))
}

/// A connection by SAML and its client at Keycloak; the client's id.
async fn connect_saml(server: &Server, realm: &Realm, settings: Value, client: &Value) -> (Value, String) {
    let wanted = json!({ "kind": "saml", "metadata_url": realm.metadata_url(), "saml": settings });
    let connection = connect(server, wanted).await;
    let client = realm.import_client(&text(&connection, "metadata_url"), client).await;
    (connection, client)
}

fn has_session(server: &Server, browser: &Browser) -> bool {
    browser.find_cookie(&server.base, "portcullis").is_some_and(|cookie| !cookie.is_empty())
}

/// Signs Ada in: through Keycloak's page and every form on the way.
async fn sign_in(server: &Server, connection: &Value, browser: &mut Browser) -> Page {
    let page = browser.open(&text(connection, "login_url")).await.unwrap();
    // A request by the POST binding goes on by a form of ours.
    let page = carry_on(browser, page).await;
    let page = crate::keycloak::proved(browser, page).await;
    let landed = carry_on(browser, page).await;
    assert_eq!(landed.status == 200, has_session(server, browser), "{}: {}", landed.url, landed.body);
    landed
}

/// Signs Ada in anew; how it ended.
async fn status(server: &Server, connection: &Value) -> u16 {
    sign_in(server, connection, &mut Browser::new().unwrap()).await.status
}

async fn only_member(server: &Server) -> Value {
    let members = server.all("/organizations/acme/members?email=ada@acme.test").await;
    assert_eq!(members.len(), 1, "{members:?}");
    members[0].clone()
}

#[tokio::test]
async fn people_sign_in_by_saml_through_keycloak_and_its_groups_give_their_role() {
    let server = Server::sqlite().await;
    let realm = Realm::new("signs-in").await;
    let (engineering, leads) = (realm.group("Engineering").await, realm.group("Leads").await);
    realm.ada_in("PUT", &engineering).await;
    let (connection, client) =
        connect_saml(&server, &realm, json!({ "preset": "keycloak" }), &json!({})).await;
    assert_eq!(status(&server, &connection).await, 200);
    let member = only_member(&server).await;
    assert_eq!((text(&member, "state"), text(&member, "role")), ("active".into(), "member".into()));
    assert_eq!(text(&member["user"], "name"), "Ada Lovelace");
    let trace = server.sign_in_trace("acme", "ok").await;
    let subject = text(&trace["content"]["claims"]["said"], "subject");
    assert!(
        subject.contains("nameid-format:persistent|G-"),
        "our metadata asks for a name that stays: {subject}"
    );

    realm.ada_in("PUT", &leads).await;
    for says in [
        json!({ "saml.assertion.signature": "false", "saml.server.signature": "true" }),
        json!({ "saml.assertion.signature": "true", "saml.server.signature": "false" }),
        json!({ "saml.encrypt": "true" }),
        json!({ "saml.encrypt": "true", "saml.server.signature": "true" }),
        json!({ "saml.signature.algorithm": "RSA_SHA512" }),
    ] {
        realm.change_client(&client, &json!({ "attributes": says })).await;
        assert_eq!(status(&server, &connection).await, 200, "{says}");
        assert_eq!(text(&only_member(&server).await, "role"), "admin");
    }
    goes_without_groups(&server, &connection, &realm, [&engineering, &leads]).await;
}

/// Ada leaves the groups that give her something. Keycloak says nothing of groups where there are none; that is why the
/// guide has everybody in one.
async fn goes_without_groups(server: &Server, connection: &Value, realm: &Realm, groups: [&String; 2]) {
    for group in groups {
        realm.ada_in("DELETE", group).await;
    }
    assert_eq!(status(server, connection).await, 200, "a list without entries is not sent");
    assert_eq!(text(&only_member(server).await, "role"), "admin", "what is not said takes nothing");
    let everybody = realm.group("Everybody").await;
    realm.ada_in("PUT", &everybody).await;
    assert_ne!(status(server, connection).await, 200, "in no group that gives anything");
    assert_eq!(text(&only_member(server).await, "state"), "suspended");
}

#[tokio::test]
async fn keycloak_is_asked_by_forms_and_signed_where_it_takes_nothing_else() {
    let server = Server::sqlite().await;
    let realm = Realm::new("by-forms").await;
    realm.ada_in("PUT", &realm.group("Engineering").await).await;
    let metadata = without_binding(&realm.metadata().await, "HTTP-Redirect");
    let connection = connect(
        &server,
        json!({ "kind": "saml", "metadata_xml": metadata, "saml": { "sign_requests": true } }),
    )
    .await;
    let client = realm.import_client(&text(&connection, "metadata_url"), &json!({})).await;
    let made = realm.admin("GET", &format!("/clients/{client}"), &Value::Null).await;
    assert_eq!(made["attributes"]["saml.client.signature"], "true", "our metadata says that we sign: {made}");
    let by_form = json!({ "frontchannelLogout": true, "attributes": { "saml.force.post.binding": "true" } });
    realm.change_client(&client, &by_form).await;

    let mut browser = Browser::new().unwrap();
    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    let page = browser.submit(&format!("{}/logout", server.base), &[]).await.unwrap();
    let request = Form::of(&page.body);
    assert!(request.field("SAMLRequest").is_some() && request.action.starts_with(&realm.base), "{request:?}");
    let page = carry_on(&mut browser, page).await;
    assert!(page.status == 200 && page.body.contains("You are signed out."), "{}: {}", page.url, page.body);
    assert_eq!(realm.sessions_of_ada().await, 0);

    // A key that Keycloak does not know signs: it does not ask Ada anything.
    let key = server.root("POST", &format!("{}/keys", one(&connection)), json!({})).await;
    let used = format!("{}/keys/{}/use", one(&connection), text(&key, "fingerprint"));
    server.root("POST", &used, Value::Null).await;
    let page = browser.open(&text(&connection, "login_url")).await.unwrap();
    let page = carry_on(&mut browser, page).await;
    assert!(page.status == 400 && page.body.contains("Invalid requester"), "{}: {}", page.status, page.body);
}

#[tokio::test]
async fn keycloaks_own_address_of_a_client_leads_in_only_where_an_administrator_allows_it() {
    let server = Server::sqlite().await;
    let realm = Realm::new("begins-itself").await;
    realm.ada_in("PUT", &realm.group("Engineering").await).await;
    let own = json!({ "attributes": {
        "saml_idp_initiated_sso_url_name": "portcullis", "saml_idp_initiated_sso_relay_state": "/console",
    } });
    let (connection, _) = connect_saml(&server, &realm, json!({}), &own).await;
    let address = format!("{}/protocol/saml/clients/portcullis", realm.base);
    let mut browser = Browser::new().unwrap();
    let form = as_ada(&mut browser, &address).await;
    let page = carry_on(&mut browser, form).await;
    assert_eq!((page.status, has_session(&server, &browser)), (403, false), "{}", page.body);
    server.sign_in_trace("acme", "unsolicited_refused").await;

    server.root("PATCH", &one(&connection), json!({ "saml": { "idp_initiated": true } })).await;
    let form = as_ada(&mut browser, &address).await;
    let page = carry_on(&mut browser, form.clone()).await;
    assert_eq!((page.status, page.url.path()), (200, "/console"), "{}", page.body);
    let page = carry_on(&mut Browser::new().unwrap(), form).await;
    assert!(page.status == 403 && page.body.contains("<code>replayed</code>"), "{}", page.body);
}

#[tokio::test]
async fn sessions_end_here_and_at_keycloak_whoever_begins_with_a_browser_or_without() {
    let server = Server::sqlite().await;
    let realm = Realm::new("signs-out").await;
    realm.ada_in("PUT", &realm.group("Engineering").await).await;
    let by_browser = json!({ "frontchannelLogout": true });
    let (connection, client) = connect_saml(&server, &realm, json!({}), &by_browser).await;
    let console = format!("{}/console", server.base);
    let mut browser = Browser::new().unwrap();

    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    let page = browser.submit(&format!("{}/logout", server.base), &[]).await.unwrap();
    let page = carry_on(&mut browser, page).await;
    assert!(page.status == 200 && page.body.contains("You are signed out."), "{}: {}", page.url, page.body);
    assert_eq!(realm.sessions_of_ada().await, 0, "begun here");

    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    let end = format!("{}/protocol/openid-connect/logout", realm.base);
    let page = browser.open(&end).await.unwrap();
    let page = Form::of(&page.body).send(&mut browser, &page).await;
    let page = carry_on(&mut browser, page).await;
    assert_eq!((page.status, realm.sessions_of_ada().await), (200, 0), "{}: {}", page.url, page.body);
    assert_eq!(browser.open(&console).await.unwrap().url.path(), "/login", "begun there");

    // An administrator of Keycloak ends the session: no browser carries that, Keycloak calls.
    realm.change_client(&client, &json!({ "frontchannelLogout": false })).await;
    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    assert_eq!(browser.open(&console).await.unwrap().status, 200);
    realm.end_sessions_of_ada().await;
    assert_eq!(browser.open(&console).await.unwrap().url.path(), "/login", "ended without a browser");
}

#[tokio::test]
async fn keycloak_changes_its_key_for_saml_with_overlap_and_the_old_one_is_refused_after_it_was_retired() {
    let server = Server::sqlite().await;
    let realm = Realm::new("new-key-saml").await;
    realm.ada_in("PUT", &realm.group("Engineering").await).await;
    let (connection, _) = connect_saml(&server, &realm, json!({}), &json!({})).await;
    assert_eq!(status(&server, &connection).await, 200);
    let old = text(&connection["saml"]["certificates"][0], "fingerprint");
    // It signs at once, and the old one is published behind it.
    let new = realm.new_key("new", 200).await;
    assert_eq!(status(&server, &connection).await, 200, "the first answer by it has the metadata read");
    let shown = server.root("GET", &one(&connection), Value::Null).await;
    let states: Vec<&Value> =
        shown["saml"]["certificates"].as_array().unwrap().iter().map(|c| &c["state"]).collect();
    assert_eq!(states, ["trusted", "trusted"], "overlap: {shown}");
    server.root("POST", &format!("{}/certificates/{old}/retire", one(&connection)), Value::Null).await;
    assert_eq!(status(&server, &connection).await, 200, "the new key goes on");
    realm.prefer(&new, 1).await;
    assert_ne!(status(&server, &connection).await, 200, "what the old key signs counts no longer");
    server.sign_in_trace("acme", "signature_not_trusted").await;
    let read = json!({ "metadata_url": realm.metadata_url() });
    server.root("PATCH", &one(&connection), read).await;
    assert_ne!(status(&server, &connection).await, 200, "and metadata that names it does not bring it back");
    server.sign_in_traces("acme", "signature_not_trusted", 2).await;
    realm.keep_only_key(&new).await;
    assert_eq!(status(&server, &connection).await, 200, "the new key signs");
}

/// An OpenID client at the realm, and a connection to it.
async fn connect_oidc(server: &Server, realm: &Realm) -> Value {
    let wanted = json!({
        "kind": "oidc", "issuer": realm.base, "client_id": "portcullis", "client_secret": "a-secret-of-the-tests",
    });
    let connection = connect(server, wanted).await;
    let groups = json!({
        "name": "groups", "protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper",
        "config": { "claim.name": "groups", "full.path": "true", "id.token.claim": "true" },
    });
    let client = json!({
        "clientId": "portcullis", "protocol": "openid-connect", "secret": "a-secret-of-the-tests",
        "standardFlowEnabled": true, "directAccessGrantsEnabled": false,
        "redirectUris": [connection["redirect_uri"]], "protocolMappers": [groups],
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "backchannel.logout.url": connection["logout_url"],
            "backchannel.logout.session.required": "true",
        },
    });
    realm.admin("POST", "/clients", &client).await;
    connection
}

#[tokio::test]
async fn people_sign_in_by_openid_through_keycloak_with_whole_paths_of_groups_and_across_a_change_of_keys() {
    let server = Server::sqlite().await;
    let realm = Realm::new("openid").await;
    let (engineering, leads) = (realm.group("Engineering").await, realm.group("Leads").await);
    realm.ada_in("PUT", &engineering).await;
    let connection = connect_oidc(&server, &realm).await;
    assert_eq!(status(&server, &connection).await, 200);
    let member = only_member(&server).await;
    assert_eq!((text(&member, "state"), text(&member, "role")), ("active".into(), "member".into()));

    // Made when the key set had been read: whoever comes first behind the change has it read again.
    let new = realm.new_key("new", 1).await;
    realm.keep_only_key(&new).await;
    realm.ada_in("PUT", &leads).await;
    assert_eq!(status(&server, &connection).await, 200, "the new key signs");
    assert_eq!(text(&only_member(&server).await, "role"), "admin");

    goes_without_groups(&server, &connection, &realm, [&engineering, &leads]).await;
}

#[tokio::test]
async fn a_session_that_an_administrator_ends_at_keycloak_ends_here_by_openids_back_channel() {
    let server = Server::sqlite().await;
    let realm = Realm::new("back-channel").await;
    realm.ada_in("PUT", &realm.group("Engineering").await).await;
    let connection = connect_oidc(&server, &realm).await;
    let console = format!("{}/console", server.base);
    let mut browser = Browser::new().unwrap();
    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    assert_eq!(browser.open(&console).await.unwrap().url.path(), "/console");
    realm.end_sessions_of_ada().await;
    assert_eq!(browser.open(&console).await.unwrap().url.path(), "/login", "ended without a browser");
}

/// Metadata without the endpoints of one binding.
fn without_binding(metadata: &str, binding: &str) -> String {
    let mut kept = String::new();
    for (nth, part) in metadata.split("<md:Single").enumerate() {
        let of_binding = part.contains(&format!("bindings:{binding}\""));
        if nth == 0 {
            kept.push_str(part);
        } else if of_binding {
            // What follows the element itself belongs to others.
            kept.push_str(part.split_once("Service>").map_or("", |(_, rest)| rest));
        } else {
            kept.push_str("<md:Single");
            kept.push_str(part);
        }
    }
    assert_ne!(kept, metadata, "the metadata names no `{binding}`: {metadata}");
    kept
}
