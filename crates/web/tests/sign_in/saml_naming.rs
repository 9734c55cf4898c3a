//! Who somebody is who comes by SAML: which words of the provider's count, and which only came.

use portcullis_domain::Clock as _;
use portcullis_emulator::Browser;
use serde_json::{Value, json};

use crate::ranks::member;
use crate::saml_idp::{Idp, PERSISTENT, Says};
use crate::vouching::named_from_below;
use crate::world::{ADA, World, outcome};

const BARBARA: &str = "barbara.brandt@acme.example";
const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
const HOME: &str = "http://schemas.microsoft.com/identity/claims/identityprovider";
const SIGN_IN_NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
const ENTRA_ADDRESS: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
const TENANT: &str = "0f5a6b7c-1111-2222-3333-444455556666";

/// Somebody by that opaque name, with these attributes of one value each.
fn says(name_id: &str, attributes: &[(&'static str, &str)]) -> Says {
    let attributes = attributes.iter().map(|(name, value)| (*name, vec![(*value).to_owned()])).collect();
    Says { name_id: name_id.to_owned(), attributes, ..Says::ada(&[]) }
}

async fn patched(world: &World, connection: &Value, body: Value) -> Value {
    let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
    let (status, changed) = world.root("PATCH", &one, body).await;
    assert_eq!(status, 200, "{changed}");
    changed
}

async fn shown(world: &World, connection: &Value) -> Value {
    let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
    world.root("GET", &one, Value::Null).await.1
}

/// A directory of one person; itself and the person's address in SCIM.
struct Directory {
    made: Value,
    users: String,
    token: String,
}

impl Directory {
    async fn of(world: &World) -> Self {
        let body = json!({ "kind": "scim", "name": "HR", "default_role": "member" });
        let made = world.made("/organizations/acme/directories", body).await;
        let users =
            format!("{}/Users", made["base_url"].as_str().unwrap().strip_prefix(&world.base).unwrap());
        let token = made["token"].as_str().unwrap().to_owned();
        Self { made, users, token }
    }

    fn person(address: &str, external_id: &str) -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address, "active": true,
            "externalId": external_id, "emails": [{ "value": address, "primary": true }],
        })
    }

    async fn tells(&self, world: &World, address: &str, external_id: &str) -> String {
        let body = Self::person(address, external_id);
        let (status, told) = world.call("POST", &self.users, &self.token, body).await;
        assert_eq!(status, 201, "{told}");
        format!("{}/{}", self.users, told["id"].as_str().unwrap())
    }
}

#[tokio::test]
async fn an_attribute_that_nobody_named_is_no_external_id_whatever_it_is_called() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let directory = Directory::of(&world).await;
    directory.tells(&world, ADA, "employee-7").await;
    let connection = world.saml("acme", &idp, json!({ "directory": directory.made["id"] })).await;
    let names = [
        "id",
        "http://schemas.microsoft.com/identity/claims/objectidentifier",
        "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarysid",
        "PersonImmutableID",
        "urn:oasis:names:tc:SAML:attribute:subject-id",
        "employeeId",
        "user_id",
    ];
    for name in names {
        let mallory = says("mallory-1", &[("email", "mallory@acme.example"), (name, "employee-7")]);
        assert_eq!(world.saml_outcome(&idp, &connection, &mallory).await, "not_in_directory", "{name}");
    }
    let other = [("email", "ada.other@acme.example"), ("id", "employee-7")];
    let named = says("employee-7", &other[..1]);
    assert_eq!(world.saml_outcome(&idp, &connection, &named).await, "ok", "the name identifier counts");
    let chosen = patched(&world, &connection, json!({ "saml": { "preset": "okta" } })).await;
    assert_eq!(world.saml_outcome(&idp, &chosen, &says("ada-2", &other)).await, "ok", "a preset names it");
    let own = json!({ "saml": { "preset": null, "subject_attribute": "employeeId" } });
    let own = patched(&world, &connection, own).await;
    let by_attribute = says("ada-3", &[other[0], ("employeeId", "employee-7")]);
    assert_eq!(world.saml_outcome(&idp, &own, &by_attribute).await, "ok", "an administrator named it");
}

#[tokio::test]
async fn groups_are_one_attribute_and_what_else_came_takes_and_gives_nothing() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({ "jit": true })).await;
    for (group, role) in [("Engineering", "member"), ("Leads", "admin")] {
        let mapping = json!({
            "directory": connection["claims_directory"], "group": { "external_id": group }, "role": role,
        });
        world.made("/organizations/acme/mappings", mapping).await;
    }
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&["Engineering"])).await, "ok");
    for name in ["Role", "roles", "Groups", "memberOf", "http://schemas.xmlsoap.org/claims/Group"] {
        for value in ["offline_access", "Leads"] {
            let came = says("ada-1", &[("email", ADA), (name, value)]);
            assert_eq!(world.saml_outcome(&idp, &connection, &came).await, "ok", "{name}: {value}");
            assert_eq!(world.members("acme", ADA).await[0]["role"], "member", "{name}: {value}");
        }
    }
    let connection = patched(&world, &connection, json!({ "groups_claim": "Role" })).await;
    let leads = says("ada-1", &[("email", ADA), ("Role", "Leads")]);
    assert_eq!(world.saml_outcome(&idp, &connection, &leads).await, "ok");
    assert_eq!(world.members("acme", ADA).await[0]["role"], "admin", "where an administrator named it");
}

#[tokio::test]
async fn what_carries_the_groups_of_saml_or_names_somebody_gives_nothing_by_its_value() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({ "jit": true, "default_role": "viewer" })).await;
    for (name, value, role) in [("groups", "Engineering", "admin"), ("department", "Research", "lead")] {
        let mapping = json!({
            "directory": connection["claims_directory"], "role": role,
            "attribute": { "name": name, "value": value },
        });
        world.made("/organizations/acme/mappings", mapping).await;
    }
    for (department, role) in [("Research", "lead"), ("Sales", "viewer")] {
        let mut says = Says::ada(&["Engineering"]);
        says.attributes.push(("department", vec![department.to_owned()]));
        assert_eq!(world.saml_outcome(&idp, &connection, &says).await, "ok");
        assert_eq!(world.members("acme", ADA).await[0]["role"], role, "{department}");
    }
}

#[tokio::test]
async fn the_address_is_the_name_identifiers_or_what_attributes_agree_on_unless_one_is_named() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    world.invite("acme", BARBARA, "viewer").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let disagreeing = says("ada-1", &[("mail", ADA), ("email", BARBARA)]);
    assert_eq!(world.saml_outcome(&idp, &connection, &disagreeing).await, "email_missing");
    let mut edited = Says::by_address(ADA);
    edited.attributes = vec![("email", vec![BARBARA.to_owned()])];
    assert_eq!(world.saml_outcome(&idp, &connection, &edited).await, "ok");
    let joined = world.events("acme", "member.joined").await;
    let ada = &world.members("acme", ADA).await[0]["id"];
    assert_eq!((joined.len(), &joined[0]["targets"][0]["id"]), (1, ada), "{joined:?}");
    let agreeing = says("ada-1", &[("mail", ADA), ("email", "Ada.Abel@acme.example"), ("Email", "")]);
    assert_eq!(world.saml_outcome(&idp, &connection, &agreeing).await, "ok");
    let named = patched(&world, &connection, json!({ "saml": { "email_attribute": "email" } })).await;
    let barbara = says("barbara-1", &[("mail", ADA), ("email", BARBARA)]);
    assert_eq!(world.saml_outcome(&idp, &named, &barbara).await, "ok");
    assert_eq!(world.members("acme", BARBARA).await[0]["state"], "active", "the named one decides");
}

#[tokio::test]
async fn a_guests_address_is_vouched_for_by_nobody_and_a_link_from_their_own_session_counts() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let fields =
        json!({ "jit": true, "default_role": "member", "guests": "accept", "saml": { "preset": "entra" } });
    let connection = world.saml("acme", &idp, fields).await;
    let at = |name: &str, address: &str, home: &str| says(name, &[(ENTRA_ADDRESS, address), (HOME, home)]);
    assert_eq!(world.saml_outcome(&idp, &connection, &at("g-1", ADA, "live.com")).await, "email_untrusted");
    assert!(world.members("acme", ADA).await.is_empty());
    let mut browser = Browser::new().unwrap();
    let home = at("ada-1", ADA, &idp.entity);
    assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &connection, &home).await), "ok", "at home");
    let link = format!("{}/sso/saml/{}/link", world.base, connection["id"].as_str().unwrap());
    let asked = Idp::read(&browser.submit(&link, &[]).await.unwrap().url);
    let guest = at("g-1", "ada@elsewhere.example", "live.com");
    let form = idp.answer(world.clock.now(), &connection, Some(&asked), &guest);
    assert_eq!(outcome(&form.post(&mut browser).await), "ok");
    assert_eq!(world.saml_outcome(&idp, &connection, &guest).await, "ok", "known by the link");
}

#[tokio::test]
async fn a_guest_of_entras_tenant_is_told_by_the_entity_id_every_home_and_the_mark_in_a_name() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    let open = || json!({ "jit": true, "default_role": "member" });
    let marked = "ada_globex.example#EXT#@acme.onmicrosoft.com";
    let address = (ENTRA_ADDRESS, ADA);
    let entities = [
        format!("https://sts.windows.net/{TENANT}/"),
        format!("https://sts.chinacloudapi.cn/{TENANT}/"),
        format!("https://sts.windows.net/{TENANT}/11111111-2222-3333-4444-555555555555"),
    ];
    for (number, entity) in entities.into_iter().enumerate() {
        idp.entity.clone_from(&entity);
        idp.publish(&[&idp.key]);
        let connection = world.saml("acme", &idp, open()).await;
        let tenant = entity.split_inclusive('/').take(4).collect::<String>();
        let mut several = says("g-1", &[address]);
        several.attributes.push((HOME, vec![tenant.clone(), "live.com".to_owned()]));
        let mut named = says(marked, &[address]);
        named.format = UNSPECIFIED;
        let guests = [
            says("g-1", &[address, (HOME, "live.com")]),
            says("g-1", &[address, (HOME, "https://sts.windows.net/99999999-1111-2222-3333-444455556666/")]),
            says("g-1", &[address, (SIGN_IN_NAME, &marked.to_lowercase())]),
            several,
            named,
        ];
        for guest in &guests {
            let got = world.saml_outcome(&idp, &connection, guest).await;
            assert_eq!(got, "guest_refused", "{entity}: {:?}", guest.attributes);
        }
        let own = format!("own-{number}@acme.example");
        let own = [(ENTRA_ADDRESS, own.as_str()), (HOME, tenant.as_str()), (SIGN_IN_NAME, own.as_str())];
        assert_eq!(world.saml_outcome(&idp, &connection, &says("own-1", &own)).await, "ok", "{entity}");
    }
}

#[tokio::test]
async fn a_name_of_which_nothing_says_that_it_stays_counts_only_while_the_directory_says_whose_it_is() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let directory = Directory::of(&world).await;
    let kerberos = "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos";
    let ways: [(Option<&'static str>, &'static str, &str); 7] = [
        (None, "urn:oasis:names:tc:SAML:2.0:nameid-format:emailAddress", ADA),
        (None, PERSISTENT, ADA),
        (None, kerberos, "ada@ACME.EXAMPLE"),
        (None, "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName", "ACME\\ada"),
        (Some("mail"), PERSISTENT, "ada-1"),
        (Some("urn:oid:1.3.6.1.4.1.5923.1.1.1.6"), PERSISTENT, "ada-1"),
        (Some("AccountName"), PERSISTENT, "ada-1"),
    ];
    for (number, (attribute, format, name_id)) in ways.into_iter().enumerate() {
        let external_id = format!("e-{number}");
        let told = directory.tells(&world, ADA, &external_id).await;
        let fields = json!({ "directory": directory.made["id"], "saml": { "subject_attribute": attribute } });
        let connection = world.saml("acme", &idp, fields).await;
        let mut comes = says(name_id, &[("email", ADA)]);
        comes.format = format;
        if let Some(name) = attribute {
            comes.attributes.push((name, vec![ADA.to_owned()]));
        }
        let outcome = async || world.saml_outcome(&idp, &connection, &comes).await;
        assert_eq!(outcome().await, "ok", "{attribute:?} {format}");
        assert_eq!(outcome().await, "ok", "{attribute:?} {format}: by the link");
        let renamed = Directory::person("ada.new@acme.example", &external_id);
        assert_eq!(world.call("PUT", &told, &directory.token, renamed).await.0, 200);
        assert_eq!(outcome().await, "address_moved", "{attribute:?} {format}");
        assert_eq!(world.call("DELETE", &told, &directory.token, Value::Null).await.0, 204);
    }
    let connection = world.saml("acme", &idp, json!({ "directory": directory.made["id"] })).await;
    for format in [
        "urn:oasis:names:tc:SAML:1.1:nameid-format:transient",
        "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    ] {
        let transient = Says { format, ..says("_once", &[("email", ADA)]) };
        assert_eq!(world.saml_outcome(&idp, &connection, &transient).await, "name_id_transient", "{format}");
    }
}

#[tokio::test]
async fn whoever_has_a_former_address_is_not_its_former_holder_though_it_calls_itself_persistent() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let directory = Directory::of(&world).await;
    let ada = directory.tells(&world, ADA, "e-1").await;
    let connection = world.saml("acme", &idp, json!({ "directory": directory.made["id"] })).await;
    let comes = says(ADA, &[("email", ADA)]);
    assert_eq!(world.saml_outcome(&idp, &connection, &comes).await, "ok");
    let renamed = Directory::person("ada.byron@acme.example", "e-1");
    assert_eq!(world.call("PUT", &ada, &directory.token, renamed).await.0, 200);
    directory.tells(&world, ADA, "e-2").await;
    assert_eq!(world.saml_outcome(&idp, &connection, &comes).await, "address_moved");
}

#[tokio::test]
async fn an_attribute_that_is_never_given_to_anybody_else_is_the_person_whatever_becomes_of_the_address() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let directory = Directory::of(&world).await;
    let told = directory.tells(&world, ADA, "e-1").await;
    let name = "urn:oasis:names:tc:SAML:attribute:subject-id";
    let fields = json!({ "directory": directory.made["id"], "saml": { "subject_attribute": name } });
    let connection = world.saml("acme", &idp, fields).await;
    let comes = says("ada-1", &[("email", ADA), (name, "ada-1@acme.example")]);
    assert_eq!(world.saml_outcome(&idp, &connection, &comes).await, "ok");
    let renamed = Directory::person("ada.new@acme.example", "e-1");
    assert_eq!(world.call("PUT", &told, &directory.token, renamed).await.0, 200);
    assert_eq!(world.saml_outcome(&idp, &connection, &comes).await, "ok");
    assert_eq!(shown(&world, &connection).await["saml"]["warnings"], json!([]));
}

#[tokio::test]
async fn an_address_that_names_a_person_counts_as_long_as_its_domain_is_proven() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let domain = json!({ "domain": "acme.test", "vouched": true });
    let domain = world.made("/organizations/acme/domains", domain).await;
    let address = "ada@acme.test";
    for who in [address, BARBARA] {
        world.invite("acme", who, "member").await;
    }
    let connection = world.saml("acme", &idp, json!({})).await;
    let outcome = async |says: &Says| world.saml_outcome(&idp, &connection, says).await;
    let by_name = says("barbara-1", &[("email", BARBARA)]);
    assert_eq!(outcome(&by_name).await, "ok");
    assert_eq!(outcome(&Says::by_address(address)).await, "ok");
    assert_eq!(outcome(&Says::by_address(address)).await, "ok", "by the link");
    let one = format!("/organizations/acme/domains/{}", domain["id"].as_str().unwrap());
    assert_eq!(world.root("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(outcome(&Says::by_address(address)).await, "domain_not_proven", "linked or not");
    let moved = says("barbara-1", &[("email", "barbara@acme.test")]);
    assert_eq!(outcome(&moved).await, "ok", "a name that stays needs no domain");
    let mut beside = Says::by_address("ada@acme.onmicrosoft.test");
    beside.attributes = vec![("email", vec![ADA.to_owned()])];
    let named = patched(&world, &connection, json!({ "saml": { "email_attribute": "email" } })).await;
    world.invite("acme", ADA, "member").await;
    for how in ["by the address", "by the link"] {
        assert_eq!(world.saml_outcome(&idp, &named, &beside).await, "ok", "one beside it is proven: {how}");
    }
}

#[tokio::test]
async fn another_sign_in_name_with_a_members_address_is_another_person_where_no_directory_governs() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let named = |name: &str| Says { format: UNSPECIFIED, ..says(name, &[("email", ADA)]) };
    assert_eq!(world.saml_outcome(&idp, &connection, &named("ada")).await, "ok");
    assert_eq!(world.saml_outcome(&idp, &connection, &named("ada2")).await, "address_recycled");
    assert_eq!(world.saml_outcome(&idp, &connection, &named("ada")).await, "ok");
}

#[tokio::test]
async fn an_administrator_is_warned_while_people_are_known_by_what_may_be_given_to_others() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let codes = async |connection: &Value| {
        let shown = shown(&world, connection).await;
        let all = shown["saml"]["warnings"].as_array().unwrap().iter().map(|w| w["code"].clone());
        // Each round makes another connection to the same provider, which is warned of too.
        all.filter(|code| code != "connected_twice").collect::<Vec<_>>()
    };
    for format in [UNSPECIFIED, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", PERSISTENT] {
        let connection = world.saml("acme", &idp, json!({})).await;
        assert!(codes(&connection).await.is_empty(), "nobody is known yet");
        let comes = Says { format, ..Says::by_address(ADA) };
        assert_eq!(world.saml_outcome(&idp, &connection, &comes).await, "ok");
        assert_eq!(codes(&connection).await, ["subject_reassignable"], "{format}");
        assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok");
        let ended = world.events("acme", "member.unlinked").await;
        let is_former = |e: &Value| e["detail"]["subject"].as_str().unwrap().contains(format);
        assert!(ended.iter().any(is_former), "a name that stays took its place: {ended:?}");
        assert!(codes(&connection).await.is_empty(), "{format}");
    }
    let connection = world.saml("acme", &idp, json!({})).await;
    for (name, warned) in [("mail", true), ("employeeId", false)] {
        patched(&world, &connection, json!({ "saml": { "subject_attribute": name } })).await;
        assert_eq!(!codes(&connection).await.is_empty(), warned, "{name}");
    }
    let comes = says("ada-1", &[("email", ADA), ("employeeId", ADA)]);
    assert_eq!(world.saml_outcome(&idp, &connection, &comes).await, "ok");
    assert_eq!(codes(&connection).await, ["subject_reassignable"], "an address under another name");
}

#[tokio::test]
async fn s22_a_connection_names_nobody_of_a_domain_that_another_organization_has_proven() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    world.made("/organizations/globex/domains", json!({ "domain": "globex.example", "vouched": true })).await;
    let theirs = "grace@globex.example";
    world.invite("globex", theirs, "member").await;
    let open = json!({ "jit": true, "default_role": "member" });
    let (here, there) = (world.saml("acme", &idp, open).await, world.saml("globex", &idp, json!({})).await);
    for by in [Says::by_address(theirs), says("grace-1", &[("email", theirs)])] {
        assert_eq!(world.saml_outcome(&idp, &here, &by).await, "domain_not_proven");
    }
    assert!(world.members("acme", theirs).await.is_empty());
    assert_eq!(world.members("globex", theirs).await[0]["state"], "invited", "untouched");
    assert_eq!(world.saml_outcome(&idp, &there, &Says::by_address(theirs)).await, "ok", "by their own");
    assert_eq!(world.saml_outcome(&idp, &here, &Says::by_address(ADA)).await, "ok", "its own domain");
}

#[tokio::test]
async fn s24_a_state_of_the_providers_is_text_in_a_form_of_ours() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let posts = idp.metadata().replacen(
        "SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\"",
        "SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\"",
        1,
    );
    idp.serve(posts);
    let connection = world.saml("acme", &idp, json!({})).await;
    let now = || world.clock.now();
    for (state, written) in [
        ("\"><script>alert(1)</script>", "value=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\""),
        ("' onfocus='x", "value=\"' onfocus='x\""),
        ("plain-1", "value=\"plain-1\""),
    ] {
        let asked = idp.ask_to_end_with(now(), &connection, &Says::ada(&[]), state);
        let page = Browser::new().unwrap().step(&asked).await.unwrap().0;
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(page.body.contains(&format!("name=\"RelayState\" {written}")), "{}", page.body);
        assert!(!page.body.contains("<script"), "{}", page.body);
    }
}

#[tokio::test]
async fn what_came_by_a_name_that_gave_way_is_believed_as_far_as_the_one_that_took_its_place() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let (_, _, _, _, asks) = named_from_below(&world).await;
    let connection = world.saml("acme", &idp, json!({ "directory": asks["directory"] })).await;
    let mut browser = Browser::new().unwrap();
    let page = world.by_saml(&mut browser, &idp, &connection, &Says::by_address(ADA)).await;
    assert_eq!(outcome(&page), "ok", "as a keeper");
    let session = world.sessions(&browser).remove(0);
    let ada = member(&world, ADA).await;
    let agent = json!({ "name": "bot", "owner": ada });
    let agent = world.made("/organizations/acme/agents", agent).await;
    let mut came = Vec::new();
    for path in [format!("members/{ada}/keys"), format!("agents/{}/keys", agent["id"].as_str().unwrap())] {
        let path = format!("/api/v1/organizations/acme/{path}");
        let (status, made) = world.call("POST", &path, &session, json!({ "name": "laptop" })).await;
        assert_eq!(status, 201, "{made}");
        came.push(made["token"].as_str().unwrap().to_owned());
    }
    let grant = json!({ "member": ada, "role": "admin", "reason": "raised", "vouched": true });
    world.made("/organizations/acme/grants", grant).await;
    let decided = async || [world.decision(&came[0]).await, world.decision(&came[1]).await];
    assert_eq!(decided().await, ["allowed"; 2], "somebody vouched for the account");
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok");
    assert_eq!(world.events("acme", "member.unlinked").await.len(), 1, "a name that stays took its place");
    assert_eq!(decided().await, ["allowed"; 2], "the same account, by another name");
}
