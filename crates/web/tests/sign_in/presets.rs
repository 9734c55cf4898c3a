//! What a few providers do differently: which preset a connection follows, and whom its checks keep out.

use portcullis_emulator::{Behaviour, Browser};
use serde_json::{Value, json};

use crate::saml_idp::{Idp, Says};
use crate::world::{ADA, World, outcome};

const TENANT: &str = "0f5a6b7c-1111-2222-3333-444455556666";
const OBJECT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeffff0000";
const BARBARA: &str = "barbara.brandt@acme.example";

/// A world beside a tenant of Entra ID.
async fn beside_entra() -> World {
    World::beside_provider_below(&format!("/{TENANT}/v2.0")).await
}

/// What Entra says of one of its own people whose address the domain's owner proved.
fn at_home(object: &str) -> Value {
    json!({ "tid": TENANT, "oid": object, "xms_edov": true, "email_verified": null })
}

fn with(mut claims: Value, more: Value) -> Value {
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

async fn patched(world: &World, connection: &Value, body: Value) -> (u16, Value) {
    let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
    world.root("PATCH", &one, body).await
}

async fn traces(world: &World, outcome: &str) -> Vec<Value> {
    world.portcullis.store_traces().await.unwrap();
    let (status, list) =
        world.root("GET", &format!("/organizations/acme/traces?outcome={outcome}"), Value::Null).await;
    assert_eq!(status, 200, "{list}");
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_preset_is_told_by_the_issuer_shown_chosen_and_given_back() {
    let world = beside_entra().await;
    let made = world.connection("acme", json!({})).await;
    assert_eq!((&made["oidc"]["preset"], &made["oidc"]["chosen_preset"]), (&json!("generic"), &Value::Null));
    for (issuer, preset) in [
        (format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "entra"),
        ("https://accounts.google.com".to_owned(), "google"),
        ("https://acme.okta.com".to_owned(), "okta"),
        ("https://id.acme.example/realms/staff".to_owned(), "keycloak"),
        ("https://acme.eu.auth0.com/".to_owned(), "auth0"),
    ] {
        let told = world.connection("acme", json!({ "issuer": issuer })).await;
        assert_eq!(told["oidc"]["preset"], preset, "{issuer}");
    }
    let (status, chosen) = patched(&world, &made, json!({ "oidc": { "preset": "entra" } })).await;
    assert_eq!((status, &chosen["oidc"]["preset"]), (200, &json!("entra")), "{chosen}");
    assert_eq!(chosen["oidc"]["chosen_preset"], "entra");
    let (_, named) = patched(&world, &made, json!({ "name": "Entra" })).await;
    assert_eq!(named["oidc"]["preset"], "entra", "what is absent stays");
    let (_, back) = patched(&world, &made, json!({ "oidc": { "preset": null } })).await;
    assert_eq!((&back["oidc"]["preset"], &back["oidc"]["chosen_preset"]), (&json!("generic"), &Value::Null));
    let changed = world.events("acme", "connection.updated").await;
    let chosen = changed.iter().filter(|event| event["detail"]["to"]["claim_rules"]["preset"] == "entra");
    assert_eq!(chosen.count(), 2, "of one instant, in any order: {changed:?}");
}

#[tokio::test]
async fn a_preset_that_nobody_knows_or_that_does_not_fit_is_refused_with_those_that_do() {
    let world = World::new().await;
    let made = world.connection("acme", json!({})).await;
    let google = world.connection("acme", json!({ "issuer": "https://accounts.google.com" })).await;
    let refused = [
        (
            &made,
            json!({ "oidc": { "preset": "ping" } }),
            "`entra`, `google`, `okta`, `keycloak`, `auth0`, `generic`",
        ),
        (&made, json!({ "oidc": { "preset": "entra" } }), "login.microsoftonline.com/<tenant id>/v2.0"),
        (&google, json!({ "oidc": { "preset": "generic" } }), "`google` or null"),
        (&made, json!({ "oidc": { "overage": "ask_graph" } }), "only with the preset `entra`"),
        (&made, json!({ "saml": { "preset": "okta" } }), "belongs to `saml`"),
        (
            &made,
            json!({ "issuer": "https://login.microsoftonline.com/common/v2.0" }),
            "use your own tenant's issuer, `https://login.microsoftonline.com/<tenant id>/v2.0`",
        ),
        (&made, json!({ "issuer": "https://login.microsoftonline.com/acme.example/v2.0" }), "a GUID"),
        (&made, json!({ "issuer": "https://accounts.google.com/" }), "`https://accounts.google.com`"),
    ];
    for (connection, body, says) in refused {
        let (status, problem) = patched(&world, connection, body.clone()).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")), "{body}: {problem}");
        assert!(problem.to_string().contains(says), "{body}: {problem}");
    }
    let idp = Idp::start().await;
    let saml = world.saml("acme", &idp, json!({})).await;
    let (status, problem) = patched(&world, &saml, json!({ "oidc": { "preset": "entra" } })).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")), "{problem}");
    assert_eq!(patched(&world, &made, json!({ "oidc": { "preset": "okta" } })).await.0, 200);
}

#[tokio::test]
async fn o2_at_entra_an_address_counts_only_if_the_domains_owner_vouches_for_it() {
    let world = beside_entra().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({ "oidc": { "preset": "entra" } })).await;
    let verified = json!({ "xms_edov": null, "email_verified": true });
    world.say_too(with(at_home(OBJECT), verified));
    assert_eq!(
        world.outcome(&connection, ADA).await,
        "email_untrusted",
        "whoever typed it calls it verified"
    );
    world.say_too(at_home(OBJECT));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let linked = world.events("acme", "member.linked").await;
    let subject = linked[0]["detail"]["subject"].as_str().unwrap();
    assert!(subject.ends_with(&format!(" {TENANT}:{OBJECT}")), "{subject}");
}

#[tokio::test]
async fn whoever_was_known_by_the_pairwise_subject_is_named_by_tenant_and_object_from_then_on() {
    let world = beside_entra().await;
    let connection = world.connection("acme", json!({ "jit": true })).await;
    let mapping = json!({
        "directory": connection["claims_directory"], "group": { "external_id": "Engineering" }, "role": "member",
    });
    world.made("/organizations/acme/mappings", mapping).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "by `sub`, before anybody chose a preset");
    let ada = world.members("acme", ADA).await.remove(0);
    assert_eq!(patched(&world, &connection, json!({ "oidc": { "preset": "entra" } })).await.0, 200);
    world.say_too(at_home(OBJECT));
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "the same word names both");
    assert_eq!(world.members("acme", ADA).await, vec![ada.clone()], "nobody is doubled, nothing is lost");
    // From here on the tenant's object is the identity, whatever `sub` says: it differs by application.
    world.say_too(with(at_home(OBJECT), json!({ "groups": [] })));
    assert_eq!(
        world.outcome(&connection, ADA).await,
        "member_inactive",
        "and nothing hangs on the former name"
    );
    world
        .say_too(with(at_home("11111111-bbbb-cccc-dddd-eeeeffff0000"), json!({ "groups": ["Engineering"] })));
    assert_eq!(world.outcome(&connection, BARBARA).await, "ok", "a newcomer");
    world.renew(ADA, "person-anew");
    world.say_too(at_home("22222222-bbbb-cccc-dddd-eeeeffff0000"));
    assert_eq!(world.outcome(&connection, ADA).await, "address_recycled", "another object is another person");
}

#[tokio::test]
async fn a_leaver_who_was_known_by_the_pairwise_subject_does_not_come_back_under_the_new_name() {
    let world = beside_entra().await;
    let fields = json!({ "jit": true, "default_role": "member" });
    let connection = world.connection("acme", fields).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let ada = world.members("acme", ADA).await.remove(0);
    let path = format!("/organizations/acme/members/{}/offboard", ada["id"].as_str().unwrap());
    assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
    assert_eq!(patched(&world, &connection, json!({ "oidc": { "preset": "entra" } })).await.0, 200);
    world.say_too(with(at_home(OBJECT), json!({ "email": "ada.new@acme.example" })));
    assert_eq!(world.outcome(&connection, ADA).await, "tombstoned");
    world.say_too(at_home(OBJECT));
    assert_eq!(world.outcome(&connection, BARBARA).await, "ok", "others come in");
}

#[tokio::test]
async fn o7_a_token_of_another_tenant_is_refused_and_the_tenants_own_passes() {
    let world = beside_entra().await;
    let fields = json!({ "jit": true, "default_role": "member", "oidc": { "preset": "entra" } });
    let connection = world.connection("acme", fields).await;
    for other in ["9188040d-6c67-4c5b-b112-36a304b66dad", "ffffffff-1111-2222-3333-444455556666"] {
        world.say_too(with(at_home(OBJECT), json!({ "tid": other })));
        assert_eq!(world.outcome(&connection, ADA).await, "tenant_mismatch", "{other}");
    }
    world.say_too(with(at_home(OBJECT), json!({ "oid": null })));
    assert_eq!(world.outcome(&connection, ADA).await, "object_id_missing", "`sub` is no substitute");
    world.say_too(at_home(OBJECT));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
}

#[tokio::test]
async fn o8_a_guest_is_refused_unless_guests_are_accepted_and_then_bears_a_mark() {
    let world = beside_entra().await;
    let fields = json!({ "jit": true, "default_role": "member", "oidc": { "preset": "entra" } });
    let connection = world.connection("acme", fields).await;
    assert_eq!(connection["guests"], "refuse");
    let home = "https://sts.windows.net/ffffffff-1111-2222-3333-444455556666/";
    world.say_too(with(at_home(OBJECT), json!({ "idp": home })));
    assert_eq!(world.outcome(&connection, ADA).await, "guest_refused");
    let trace = &traces(&world, "guest_refused").await[0];
    assert_eq!(trace["content"]["claims"]["guest_of"], home, "{trace}");
    assert!(world.members("acme", ADA).await.is_empty());
    let (status, open) = patched(&world, &connection, json!({ "guests": "accept" })).await;
    assert_eq!((status, &open["guests"]), (200, &json!("accept")));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(world.events("acme", "member.linked").await[0]["detail"]["guest_of"], home);
    assert_eq!(patched(&world, &connection, json!({ "guests": "refuse" })).await.0, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "guest_refused", "known or not");
    world.say_too(at_home(OBJECT));
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "at home");
}

#[tokio::test]
async fn o8_a_guest_of_entras_tenant_is_known_over_saml_too_and_no_other_providers_attribute_counts() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let attribute = "http://schemas.microsoft.com/identity/claims/identityprovider";
    let address = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
    let says = |home: &str| {
        let mut says = Says::ada(&[]).without_groups();
        says.attributes.push((address, vec![ADA.to_owned()]));
        says.attributes.push((attribute, vec![home.to_owned()]));
        says
    };
    let fields = json!({ "jit": true, "default_role": "member", "saml": { "preset": "entra" } });
    let connection = world.saml("acme", &idp, fields).await;
    assert_eq!(world.saml_outcome(&idp, &connection, &says("live.com")).await, "guest_refused");
    assert_eq!(world.saml_outcome(&idp, &connection, &says(&idp.entity)).await, "ok", "at home");
    let (status, changed) =
        patched(&world, &connection, json!({ "guests": "accept", "saml": { "preset": "okta" } })).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(patched(&world, &connection, json!({ "guests": "refuse" })).await.0, 200);
    assert_eq!(world.saml_outcome(&idp, &connection, &says("live.com")).await, "ok", "no word of Entra's");
}

#[tokio::test]
async fn google_lets_in_only_accounts_of_a_company_whose_domain_is_proven() {
    let world = World::new().await;
    let fields = json!({ "jit": true, "default_role": "member", "oidc": { "preset": "google" } });
    let connection = world.connection("acme", fields).await;
    let warned = &connection["oidc"]["warnings"];
    assert_eq!(warned[0]["code"], "groups_come_from_directory", "{connection}");
    let mut browser = Browser::new().unwrap();
    let page = world.sign_in(&mut browser, &connection, ADA).await;
    assert_eq!(outcome(&page), "hosted_domain_missing");
    assert!(page.body.contains("choose another account"), "{}", page.body);
    let login = connection["login_url"].as_str().unwrap();
    let led =
        format!("<a href=\"{}?return_to=%2F&amp;account=chosen\">", login.strip_prefix(&world.base).unwrap());
    assert!(page.body.contains(&led), "the same account would be taken again: {}", page.body);
    let prompt = async |query: &str| {
        let (_, next) = Browser::new().unwrap().step(&format!("{login}?{query}")).await.unwrap();
        next.unwrap().query_pairs().find(|(name, _)| name == "prompt").map(|(_, prompt)| prompt.into_owned())
    };
    assert_eq!(prompt("return_to=/&account=chosen").await.as_deref(), Some("select_account"));
    assert_eq!(prompt("return_to=/").await, None);
    world.say_too(json!({ "hd": "globex.example" }));
    assert_eq!(world.outcome(&connection, ADA).await, "hosted_domain_not_proven");
    world.say_too(json!({ "hd": "ACME.example" }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    world.say_too(json!({}));
    assert_eq!(world.outcome(&connection, ADA).await, "hosted_domain_missing", "linked or not");
    let okta = world.connection("acme", json!({ "oidc": { "preset": "okta" } })).await;
    assert_eq!(okta["oidc"]["warnings"], json!([]));
    world.say_too(json!({ "hd": "globex.example" }));
    world.invite("acme", BARBARA, "member").await;
    assert_eq!(world.outcome(&okta, BARBARA).await, "ok", "another provider's `hd` says nothing");
}

#[tokio::test]
async fn groups_are_found_where_each_provider_puts_them() {
    let world = World::new().await;
    let told = [
        ("okta", json!({}), "Engineering", Behaviour::ThinIdToken),
        (
            "keycloak",
            json!({ "groups": ["/staff/engineering", "/staff"] }),
            "/staff/engineering",
            Behaviour::Honest,
        ),
        ("keycloak", json!({ "groups": ["engineering"] }), "engineering", Behaviour::Honest),
        (
            "auth0",
            json!({ "groups": null, "https://acme.example/groups": ["eng"] }),
            "eng",
            Behaviour::Honest,
        ),
    ];
    for (number, (preset, claims, group, behaviour)) in told.into_iter().enumerate() {
        let fields = json!({ "jit": true, "oidc": { "preset": preset } });
        let connection = world.connection("acme", fields).await;
        let hint = &format!("person-{number:06}");
        world.provider.behave(behaviour);
        world.say_too(claims);
        if preset == "auth0" {
            // UserInfo says what the ID token says; this stand-in's would put a plain `groups` beside it.
            world.provider.behave(Behaviour::GroupsMissing);
        }
        assert_eq!(world.outcome(&connection, hint).await, "no_role_mapped", "{preset}");
        let mapping = json!({
            "directory": connection["claims_directory"], "group": { "external_id": group }, "role": "member",
        });
        world.made("/organizations/acme/mappings", mapping).await;
        assert_eq!(world.outcome(&connection, hint).await, "ok", "{preset}: {group}");
    }
}

#[tokio::test]
async fn o14_groups_that_entra_left_out_are_asked_for_at_graph_and_never_where_the_token_says() {
    let world = beside_entra().await;
    let fields = json!({ "jit": true, "oidc": { "preset": "entra" } });
    let connection = world.connection("acme", fields).await;
    let mapping = json!({
        "directory": connection["claims_directory"], "group": { "external_id": OBJECT }, "role": "member",
    });
    world.made("/organizations/acme/mappings", mapping).await;
    world.provider.behave(Behaviour::GroupsMissing);
    let elsewhere = json!({ "src1": { "endpoint": format!("{}/token", world.provider.issuer()) } });
    let overage =
        json!({ "groups": null, "_claim_names": { "groups": "src1" }, "_claim_sources": elsewhere });
    world.say_too(with(at_home(OBJECT), overage));
    assert_eq!(world.outcome(&connection, ADA).await, "groups_overage", "as long as nobody asked for more");
    assert_eq!(world.provider.counts().graph, 0);
    let (status, asks) = patched(&world, &connection, json!({ "oidc": { "overage": "ask_graph" } })).await;
    assert_eq!((status, &asks["oidc"]["overage"]), (200, &json!("ask_graph")), "{asks}");
    assert_eq!(world.outcome(&connection, ADA).await, "graph_denied", "without the permission");
    let trace = &traces(&world, "graph_denied").await[0];
    assert!(trace["content"]["advice"].as_str().unwrap().contains("GroupMember.Read.All"), "{trace}");
    let broken = [
        json!({ "value": ["Engineering"] }),
        json!({ "value": [OBJECT], "@odata.nextLink": "https://graph.microsoft.com/v1.0/next" }),
        json!({ "error": "none" }),
    ];
    for answer in broken {
        world.provider.have_graph_say(OBJECT, answer.clone());
        assert_eq!(world.outcome(&connection, ADA).await, "graph_malformed", "{answer}");
    }
    assert!(world.members("acme", ADA).await.is_empty(), "half a list is no list");
    world.provider.have_graph_say(OBJECT, json!({ "value": [] }));
    assert_eq!(
        world.outcome(&connection, ADA).await,
        "no_role_mapped",
        "a whole list without a mapped group"
    );
    world.provider.have_graph_say(OBJECT, json!({ "@odata.context": "x", "value": [OBJECT, TENANT] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let asked = world.provider.counts().graph;
    world.say_too(with(at_home(OBJECT), json!({ "groups": [OBJECT] })));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(world.provider.counts().graph, asked, "nobody is asked for a list that came whole");
    let many: Vec<String> = (0..1_001).map(|n| format!("aaaaaaaa-bbbb-cccc-dddd-{n:012}")).collect();
    world.say_too(with(at_home(OBJECT), json!({ "groups": null, "hasgroups": true })));
    world.provider.have_graph_say(OBJECT, json!({ "value": many }));
    assert_eq!(world.outcome(&connection, ADA).await, "groups_overage", "more than are taken");
    let asked = world.provider.counts().graph;
    let guest = json!({ "groups": null, "hasgroups": true, "idp": "live.com" });
    world.say_too(with(at_home(OBJECT), guest));
    assert_eq!(world.outcome(&connection, ADA).await, "guest_refused");
    assert_eq!(world.provider.counts().graph, asked, "nobody is asked about a guest who is refused");
}

#[tokio::test]
async fn graph_says_ids_and_is_not_asked_where_tokens_carry_names_that_are_mapped() {
    let world = beside_entra().await;
    let fields = json!({ "jit": true, "oidc": { "preset": "entra", "overage": "ask_graph" } });
    let connection = world.connection("acme", fields).await;
    for (group, role) in [("Engineering", "member"), (OBJECT, "viewer")] {
        let mapping = json!({
            "directory": connection["claims_directory"], "group": { "external_id": group }, "role": role,
        });
        world.made("/organizations/acme/mappings", mapping).await;
    }
    let too_many = with(at_home(OBJECT), json!({ "groups": null, "hasgroups": true }));
    world.provider.behave(Behaviour::GroupsMissing);
    world.provider.have_graph_say(OBJECT, json!({ "value": [OBJECT] }));
    world.say_too(too_many.clone());
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "no token has brought a group of that name");
    assert_eq!(world.members("acme", ADA).await[0]["role"], "viewer");
    world.say_too(with(at_home(OBJECT), json!({ "groups": ["Engineering"] })));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let asked = world.provider.counts().graph;
    world.say_too(too_many);
    assert_eq!(world.outcome(&connection, ADA).await, "groups_overage");
    assert_eq!(world.provider.counts().graph, asked);
    assert_eq!(world.members("acme", ADA).await[0]["role"], "member", "nothing is taken away for it");
}

#[tokio::test]
async fn entras_app_roles_are_groups_where_a_connection_says_so_and_attributes_everywhere() {
    let world = beside_entra().await;
    let fields = json!({ "jit": true, "groups_claim": "roles", "oidc": { "preset": "entra" } });
    let connection = world.connection("acme", fields).await;
    world.say_too(with(
        at_home(OBJECT),
        json!({ "roles": ["Platform.Admin"], "hasgroups": true, "groups": null }),
    ));
    assert_eq!(
        world.outcome(&connection, ADA).await,
        "no_role_mapped",
        "an overage of groups cuts no role off"
    );
    let mapping = json!({
        "directory": connection["claims_directory"], "group": { "external_id": "Platform.Admin" }, "role": "member",
    });
    world.made("/organizations/acme/mappings", mapping).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
}
