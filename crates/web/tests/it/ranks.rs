//! Nobody makes, changes or takes what is above their own rank: connections and directories, each refusal beside a
//! neighbour that differs by one thing and passes.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::LinkChange;
use portcullis_domain::connection::Link;
use portcullis_domain::id::DirectoryId;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_store::checkup;
use portcullis_testkit::{Persona, START};
use serde_json::{Value, json};

use crate::people::{Told, directory, group, person, standing};
use crate::support::{Scene, id, refused};

const CONNECTIONS: &str = "/api/v1/organizations/acme/connections";
const MAPPINGS: &str = "/api/v1/organizations/acme/mappings";
const DIRECTORIES: &str = "/api/v1/organizations/acme/directories";

/// Somebody whose role has these permissions and stands at that rank.
async fn ranked(scene: &Scene, slug: &str, rank: i64, permissions: Value) -> Persona {
    let role = json!({ "slug": slug, "rank": rank, "permissions": permissions });
    scene.made("/api/v1/organizations/acme/roles", role).await;
    scene.bench.member(scene.owner.organization, &format!("{slug}@acme.test"), slug)
}

/// Two who may change connections: below admin, the highest role that automation gives, and above it.
async fn stewards(scene: &Scene) -> (Persona, Persona) {
    let permissions = || json!(["connections.read", "connections.write"]);
    let below = ranked(scene, "steward", 650, permissions()).await;
    let above = ranked(scene, "head", 750, permissions()).await;
    (below, above)
}

fn oidc(fields: Value) -> Value {
    let mut body = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://idp.example", "client_id": "client",
        "client_secret": "a secret of this connection",
    });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn choosing_a_provider_takes_the_rank_of_the_highest_role_that_automation_gives() {
    let scene = Scene::new();
    let (below, above) = stewards(&scene).await;
    let made = scene.as_of(&below, "POST", CONNECTIONS, oidc(json!({}))).await;
    refused(made, 403, "above_own_rank");
    let (status, made) = scene.as_of(&above, "POST", CONNECTIONS, oidc(json!({}))).await;
    assert_eq!(status, 201, "{made}");

    let directory = scene.made(DIRECTORIES, json!({ "kind": "scim", "name": "Entra" })).await;
    let staging = json!({ "slug": "staging", "name": "Staging" });
    scene.made("/api/v1/organizations/acme/environments", staging).await;
    let one = format!("{CONNECTIONS}/{}", id(&made));
    for change in [
        json!({ "issuer": "https://other.example", "client_secret": "what the other gave" }),
        json!({ "client_id": "another" }),
        json!({ "client_secret": "another" }),
        json!({ "groups_claim": "nickname" }),
        json!({ "directory": directory["id"] }),
        json!({ "environment": "staging" }),
    ] {
        let by_below = scene.as_of(&below, "PATCH", &one, change.clone()).await;
        refused(by_below, 403, "above_own_rank");
        let (status, changed) = scene.as_of(&above, "PATCH", &one, change.clone()).await;
        assert_eq!(status, 200, "{change}: {changed}");
    }
    // What chooses no provider is a matter of the permission alone.
    let (status, changed) = scene.as_of(&below, "PATCH", &one, json!({ "name": "Okta EU" })).await;
    assert_eq!((status, &changed["name"]), (200, &json!("Okta EU")), "{changed}");
}

#[tokio::test]
async fn a_connection_that_gives_a_higher_role_is_neither_made_nor_deleted_from_below() {
    let scene = Scene::new();
    let (below, above) = stewards(&scene).await;
    let chief = json!({ "slug": "chief", "rank": 800, "permissions": ["use"], "explicit_only": true });
    scene.made("/api/v1/organizations/acme/roles", chief).await;
    let chosen = oidc(json!({ "jit": true, "default_role": "chief" }));
    refused(scene.as_of(&above, "POST", CONNECTIONS, chosen).await, 422, "role_is_explicit_only");

    for (default_role, status) in [("admin", 403), ("lead", 204)] {
        let body = oidc(json!({ "jit": true, "default_role": default_role }));
        let made = scene.made(CONNECTIONS, body).await;
        let one = format!("{CONNECTIONS}/{}", id(&made));
        let deleted = scene.as_of(&below, "DELETE", &one, Value::Null).await;
        assert_eq!(deleted.0, status, "{default_role}: {}", deleted.1);
        if status == 403 {
            refused(deleted, 403, "above_own_rank");
            assert_eq!(scene.as_of(&above, "DELETE", &one, Value::Null).await.0, 204);
        }
    }
    for (role, status) in [("admin", 403), ("lead", 204)] {
        let made = scene.made(CONNECTIONS, oidc(json!({}))).await;
        let mapping = json!({
            "directory": made["claims_directory"], "group": { "external_id": "Engineering" }, "role": role,
        });
        scene.made(MAPPINGS, mapping).await;
        let one = format!("{CONNECTIONS}/{}", id(&made));
        assert_eq!(scene.as_of(&below, "DELETE", &one, Value::Null).await.0, status, "mapped to {role}");
    }
}

#[tokio::test]
async fn whom_a_connection_makes_members_and_as_what_is_said_by_nobody_below_what_it_gives() {
    let scene = Scene::new();
    let (below, above) = stewards(&scene).await;
    for (role, status) in [("admin", 403), ("lead", 200)] {
        let made = scene.made(CONNECTIONS, oidc(json!({ "jit": true, "default_role": role }))).await;
        let one = format!("{CONNECTIONS}/{}", id(&made));
        let none = json!({ "default_role": null });
        let answer = scene.as_of(&below, "PATCH", &one, none.clone()).await;
        assert_eq!(answer.0, status, "what {role} was given is taken: {}", answer.1);
        assert_eq!(scene.as_of(&above, "PATCH", &one, none).await.0, 200);

        let made = scene.made(CONNECTIONS, oidc(json!({}))).await;
        let mapping = json!({
            "directory": made["claims_directory"], "group": { "external_id": "Engineering" }, "role": role,
        });
        scene.made(MAPPINGS, mapping).await;
        let one = format!("{CONNECTIONS}/{}", id(&made));
        let answer = scene.as_of(&below, "PATCH", &one, json!({ "jit": true })).await;
        assert_eq!(answer.0, status, "whoever comes has {role}: {}", answer.1);
        assert_eq!(scene.as_of(&above, "PATCH", &one, json!({ "jit": true })).await.0, 200);
        assert_eq!(scene.as_of(&below, "PATCH", &one, json!({ "jit": false })).await.0, 200, "fewer come in");
    }
}

#[tokio::test]
async fn a_provider_that_somebody_below_owner_chooses_waits_for_an_owner_and_one_of_an_owners_does_not() {
    let scene = Scene::new();
    let bodies = [oidc(json!({})), json!({ "kind": "saml", "name": "S", "metadata_xml": metadata() })];
    for body in bodies {
        for (who, is_confirmed) in [(&scene.admin, false), (&scene.owner, true)] {
            let (status, made) = scene.as_of(who, "POST", CONNECTIONS, body.clone()).await;
            assert_eq!((status, &made["confirmed"]), (201, &json!(is_confirmed)), "{made}");
            let one = format!("{CONNECTIONS}/{}", id(&made));
            let (_, renamed) = scene.as_of(&scene.owner, "PATCH", &one, json!({ "name": "X" })).await;
            assert_eq!(renamed["confirmed"], is_confirmed, "another name confirms nothing: {renamed}");
            let confirm = format!("{one}/confirm");
            let (status, confirmed) = scene.as_of(&scene.owner, "POST", &confirm, Value::Null).await;
            assert_eq!((status, &confirmed["confirmed"]), (200, &json!(true)), "{confirmed}");
        }
    }
}

#[tokio::test]
async fn a_change_of_issuer_keys_or_environment_below_owner_waits_for_an_owner_and_no_other_change_does() {
    let scene = Scene::new();
    let staging = json!({ "slug": "staging", "name": "Staging" });
    scene.made("/api/v1/organizations/acme/environments", staging).await;
    let confirmed = async |who: &Persona, change: Value| {
        let made = scene.made(CONNECTIONS, oidc(json!({}))).await;
        assert_eq!(made["confirmed"], true, "{made}");
        let one = format!("{CONNECTIONS}/{}", id(&made));
        let (status, changed) = scene.as_of(who, "PATCH", &one, change.clone()).await;
        assert_eq!(status, 200, "{change}: {changed}");
        (one, changed["confirmed"].as_bool().unwrap())
    };
    for change in [
        json!({ "issuer": "https://other.example", "client_secret": "what the other gave" }),
        json!({ "client_id": "another" }),
        json!({ "client_secret": "another" }),
        json!({ "environment": "staging" }),
    ] {
        let (one, is_confirmed) = confirmed(&scene.admin, change.clone()).await;
        assert!(!is_confirmed, "{change} by an admin");
        // Neither the way back nor another change is an owner's word.
        for later in [
            json!({
                "issuer": "https://idp.example", "client_id": "client", "client_secret": "s", "environment": "production",
            }),
            json!({ "name": "X" }),
        ] {
            let (_, again) = scene.as_of(&scene.admin, "PATCH", &one, later).await;
            assert_eq!(again["confirmed"], false, "{again}");
        }
        let confirm = format!("{one}/confirm");
        let by_admin = scene.as_of(&scene.admin, "POST", &confirm, Value::Null).await;
        refused(by_admin, 403, "above_own_rank");
        let (status, by_owner) = scene.as_of(&scene.owner, "POST", &confirm, Value::Null).await;
        assert_eq!((status, &by_owner["confirmed"]), (200, &json!(true)), "{by_owner}");
        assert!(confirmed(&scene.owner, change.clone()).await.1, "{change} by an owner");
    }
    for change in [json!({ "name": "Okta EU" }), json!({ "groups_claim": "roles" }), json!({ "jit": true })] {
        assert!(confirmed(&scene.admin, change.clone()).await.1, "{change} opens nothing elsewhere");
    }
}

/// Metadata of a provider of SAML with a key that was made for it.
pub fn metadata() -> String {
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use base64::Engine as _;
    use portcullis_saml::key::{Issue, OwnKey};
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let issue =
        Issue { name: "idp", serial: &[7; 16], not_before_s: 1_700_000_000, not_after_s: 2_000_000_000 };
    let key = OwnKey::self_signed(&OwnKey::pkcs8_of(&pair).unwrap(), &issue).unwrap();
    let certificate = base64::engine::general_purpose::STANDARD.encode(key.certificate().der());
    format!(
        r#"<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><KeyDescriptor><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo></KeyDescriptor><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example/sso"/></IDPSSODescriptor></EntityDescriptor>"#
    )
}

#[tokio::test]
async fn what_a_connection_of_saml_believes_below_owner_waits_for_an_owner_and_from_below_automation_not_at_all()
 {
    let scene = Scene::new();
    let permissions = json!(["connections.read", "connections.write"]);
    let below = ranked(&scene, "steward", 650, permissions).await;
    let (first, second) = (metadata(), metadata());
    let body = |xml: &str| json!({ "kind": "saml", "name": "S", "metadata_xml": xml });
    refused(scene.as_of(&below, "POST", CONNECTIONS, body(&first)).await, 403, "above_own_rank");
    let made = scene.made(CONNECTIONS, body(&first)).await;
    assert_eq!(made["confirmed"], true);
    let one = format!("{CONNECTIONS}/{}", id(&made));
    let fingerprint = made["saml"]["certificates"][0]["fingerprint"].as_str().unwrap().to_owned();
    let decide = |verb: &str| format!("{one}/certificates/{fingerprint}/{verb}");
    for change in [json!({ "metadata_xml": second }), json!({ "saml": { "email_attribute": "nickname" } })] {
        refused(scene.as_of(&below, "PATCH", &one, change.clone()).await, 403, "above_own_rank");
        let (status, changed) = scene.as_of(&scene.admin, "PATCH", &one, change).await;
        assert_eq!((status, &changed["confirmed"]), (200, &json!(false)), "{changed}");
        let (status, confirmed) =
            scene.as_of(&scene.owner, "POST", &format!("{one}/confirm"), Value::Null).await;
        assert_eq!((status, &confirmed["confirmed"]), (200, &json!(true)), "{confirmed}");
    }
    let (status, retired) = scene.as_of(&below, "POST", &decide("retire"), Value::Null).await;
    assert_eq!((status, &retired["state"]), (200, &json!("retired")), "whoever trusts less opens nothing");
    refused(scene.as_of(&below, "POST", &decide("accept"), Value::Null).await, 403, "above_own_rank");
    let (status, accepted) = scene.as_of(&scene.admin, "POST", &decide("accept"), Value::Null).await;
    assert_eq!((status, &accepted["state"]), (200, &json!("trusted")), "{accepted}");
    let (_, shown) = scene.as_of(&scene.owner, "GET", &one, Value::Null).await;
    assert_eq!(shown["confirmed"], false, "an accepted certificate waits for an owner");
}

/// They sign in by that connection.
fn link(scene: &Scene, who: &Persona, connection: &Value) {
    let link = Link {
        connection: id(connection).parse().unwrap(),
        organization: who.organization,
        subject: "ada".to_owned(),
        membership: who.membership,
        believed_up_to: Rank::ROOT,
        signed_by: String::new(),
        created_at: START,
    };
    scene.bench.write(move |tx, moment| {
        let event = EventDraft::new(Action::MemberLinked, link.membership);
        let plan =
            Plan::because(link.organization, Cause::system()).then(event, LinkChange::Create(link.clone()));
        moment.apply(tx, &plan)?;
        Ok(())
    });
}

#[tokio::test]
async fn whoever_is_linked_keeps_their_way_in_from_those_below_who_could_not_choose_the_provider() {
    let scene = Scene::new();
    let (below, above) = stewards(&scene).await;
    let domain = json!({ "domain": "acme.example", "vouched": true });
    scene.made("/api/v1/organizations/acme/domains", domain).await;
    for (who, by, status) in
        [(&scene.owner, &below, 403), (&scene.member, &below, 204), (&scene.owner, &above, 204)]
    {
        let made = scene.made(CONNECTIONS, oidc(json!({ "domains": ["acme.example"] }))).await;
        link(&scene, who, &made);
        let one = format!("{CONNECTIONS}/{}", id(&made));
        let led = scene.as_of(by, "PATCH", &one, json!({ "domains": [] })).await;
        let deleted = scene.as_of(by, "DELETE", &one, Value::Null).await;
        if status == 403 {
            refused(led, 403, "above_own_rank");
            refused(deleted, 403, "above_own_rank");
            let (status, renamed) = scene.as_of(by, "PATCH", &one, json!({ "name": "X" })).await;
            assert_eq!((status, &renamed["domains"]), (200, &json!(["acme.example"])), "{renamed}");
        } else {
            assert_eq!((led.0, deleted.0), (200, status), "{}", led.1);
        }
    }
    let saml = json!({ "kind": "saml", "name": "S", "metadata_xml": metadata() });
    let made = scene.made(CONNECTIONS, saml).await;
    let fingerprint = made["saml"]["certificates"][0]["fingerprint"].as_str().unwrap();
    let one = format!("{CONNECTIONS}/{}", id(&made));
    let second = json!({ "metadata_xml": metadata() });
    assert_eq!(scene.root("PATCH", &one, second).await.0, 200);
    link(&scene, &scene.owner, &made);
    let retire = format!("{one}/certificates/{fingerprint}/retire");
    let ends = scene.as_of(&below, "POST", &format!("{retire}?links=end"), Value::Null).await;
    refused(ends, 403, "above_own_rank");
    assert_eq!(
        scene.as_of(&below, "POST", &retire, Value::Null).await.0,
        200,
        "they sign in by the other one"
    );
}

#[tokio::test]
async fn a_directory_gives_no_role_above_whoever_sets_it() {
    let scene = Scene::new();
    let permissions = json!(["directories.read", "directories.write"]);
    let steward = ranked(&scene, "steward", 400, permissions).await;
    let wish = |role: &str| json!({ "kind": "scim", "name": "Okta", "default_role": role });
    refused(scene.as_of(&steward, "POST", DIRECTORIES, wish("lead")).await, 403, "above_own_rank");
    let (status, made) = scene.as_of(&steward, "POST", DIRECTORIES, wish("member")).await;
    assert_eq!(status, 201, "{made}");

    let one = format!("{DIRECTORIES}/{}", id(&made));
    let to = |role: Value| json!({ "default_role": role });
    refused(scene.as_of(&steward, "PATCH", &one, to(json!("lead"))).await, 403, "above_own_rank");
    assert_eq!(scene.root("GET", &one, Value::Null).await.1["default_role"], "member", "nothing was changed");
    for role in [json!("viewer"), Value::Null, json!("member")] {
        let (status, changed) = scene.as_of(&steward, "PATCH", &one, to(role.clone())).await;
        assert_eq!((status, &changed["default_role"]), (200, &role), "{changed}");
    }
    // The same wish of somebody who stands as high, once no token is left that the steward saw.
    refused(scene.as_of(&scene.admin, "PATCH", &one, to(json!("lead"))).await, 409, "token_seen_below");
    for token in scene.all(&format!("{one}/tokens")).await {
        let token = format!("{one}/tokens/{}", id(&token));
        assert_eq!(scene.as_of(&scene.admin, "DELETE", &token, Value::Null).await.0, 204);
    }
    assert_eq!(scene.as_of(&scene.admin, "PATCH", &one, to(json!("lead"))).await.0, 200);
    refused(scene.as_of(&steward, "PATCH", &one, to(json!("member"))).await, 403, "above_own_rank");
}

#[tokio::test]
async fn whose_groups_and_how_long_they_count_is_said_by_nobody_below_what_they_give() {
    let scene = Scene::new();
    let permissions = || json!(["directories.read", "directories.write"]);
    let below = ranked(&scene, "steward", 650, permissions()).await;
    let above = ranked(&scene, "head", 750, permissions()).await;
    for (role, status) in [("admin", 403), ("lead", 200)] {
        let made = scene.made(DIRECTORIES, json!({ "kind": "scim", "name": "Okta" })).await;
        let mapping = json!({
            "directory": made["id"], "group": { "external_id": "it-admins" }, "role": role,
        });
        scene.made(MAPPINGS, mapping).await;
        let one = format!("{DIRECTORIES}/{}", id(&made));
        for change in [json!({ "nested": true }), json!({ "settle_s": 86_400 })] {
            let answer = scene.as_of(&below, "PATCH", &one, change.clone()).await;
            assert_eq!(answer.0, status, "{role}, {change}: {}", answer.1);
            assert_eq!(scene.as_of(&above, "PATCH", &one, change).await.0, 200);
        }
        assert_eq!(scene.as_of(&below, "PATCH", &one, json!({ "name": "Okta EU" })).await.0, 200);
    }
}

#[tokio::test]
async fn whoever_saw_a_token_of_a_directory_becomes_nobody_above_them_whom_it_governs() {
    let scene = Scene::new();
    let permissions = json!(["directories.read", "directories.write"]);
    let it = ranked(&scene, "it", 400, permissions).await;
    let wish = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
    let made = scene.made(DIRECTORIES, wish).await;
    let carol = person(&scene.bench, scene.owner.organization, directory(&made), "carol@acme.test");
    let tokens = format!("{DIRECTORIES}/{}/tokens", id(&made));
    let (status, token) = scene.as_of(&it, "POST", &tokens, json!({})).await;
    assert_eq!(status, 201, "{token}");
    let grants = "/api/v1/organizations/acme/grants";
    let granted = async |member: String, role: &str| {
        let body = json!({ "member": member, "role": role, "reason": "raised" });
        scene.as_of(&scene.owner, "POST", grants, body).await
    };
    let carol = carol.membership.to_string();
    let (status, lead) = granted(carol.clone(), "lead").await;
    assert_eq!(status, 201, "no connection lets anybody in by the directory: {lead}");
    assert_eq!(scene.root("DELETE", &format!("{grants}/{}", id(&lead)), Value::Null).await.0, 204);

    scene.made(CONNECTIONS, oidc(json!({ "directory": made["id"] }))).await;
    let (status, body) = granted(carol.clone(), "lead").await;
    assert!(body["detail"].as_str().unwrap().contains(&id(&token)), "which token: {body}");
    refused((status, body), 409, "token_seen_below");
    let viewer = granted(carol.clone(), "viewer").await;
    assert_eq!(viewer.0, 201, "gives nothing more: {}", viewer.1);
    let other = granted(scene.member.membership.to_string(), "lead").await;
    assert_eq!(other.0, 201, "no directory governs them: {}", other.1);
    let owner = granted(carol.clone(), "owner").await;
    assert_eq!(owner.0, 201, "no word links an owner: {}", owner.1);
    assert_eq!(scene.as_of(&it, "POST", &tokens, json!({})).await.0, 201, "nor does the token reach them");
    assert_eq!(scene.root("DELETE", &format!("{grants}/{}", id(&owner.1)), Value::Null).await.0, 204);

    for token in scene.all(&tokens).await.iter().filter(|token| token["shown_to"] != "root") {
        assert_eq!(scene.root("DELETE", &format!("{tokens}/{}", id(token)), Value::Null).await.0, 204);
    }
    let (status, lead) = granted(carol, "lead").await;
    assert_eq!(status, 201, "nobody below has a token: {lead}");
    refused(scene.as_of(&it, "POST", &tokens, json!({})).await, 403, "above_own_rank");
    assert_eq!(scene.as_of(&scene.admin, "POST", &tokens, json!({})).await.0, 201);
}

#[tokio::test]
async fn a_token_seen_by_somebody_below_those_whom_it_lets_in_is_told_of() {
    let scene = Scene::new();
    let head = ranked(&scene, "head", 600, json!(["directories.read", "directories.write"])).await;
    let wish = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
    let made = scene.made(DIRECTORIES, wish).await;
    scene.made(CONNECTIONS, oidc(json!({ "directory": made["id"] }))).await;
    let tokens = format!("{DIRECTORIES}/{}/tokens", id(&made));
    assert_eq!(scene.as_of(&head, "POST", &tokens, json!({})).await.0, 201);
    let carol = person(&scene.bench, scene.owner.organization, directory(&made), "carol@acme.test");
    let grants = "/api/v1/organizations/acme/grants";
    let grant = |member: String, role: &str| json!({ "member": member, "role": role, "reason": "moved" });
    let found = || {
        scene.bench.write(|tx, moment| Ok(checkup::look(tx, moment.now, moment.now, moment.now)?.outgrown))
    };
    scene.made(grants, grant(carol.membership.to_string(), "lead")).await;
    scene.made(grants, grant(head.membership.to_string(), "member")).await;
    assert_eq!(found(), 0, "a head stands above a lead");
    let own = scene.all(grants).await.into_iter().find(|one| one["role"] == "head").unwrap();
    let one = format!("{grants}/{}", id(&own));
    assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(found(), 1, "a member does not, though the directory gives no more");
}

#[tokio::test]
async fn nothing_is_fetched_for_whoever_may_not_choose_a_provider() {
    let scene = Scene::new();
    let (below, above) = stewards(&scene).await;
    let url = "https://idp.example/metadata";
    let wish = json!({ "kind": "saml", "name": "Okta", "metadata_url": url });
    refused(scene.as_of(&below, "POST", CONNECTIONS, wish.clone()).await, 403, "above_own_rank");
    assert_eq!(scene.bench.outside.asked(), Vec::<String>::new());
    scene.bench.outside.set_answer(url, 200, metadata().as_bytes());
    let (status, made) = scene.as_of(&above, "POST", CONNECTIONS, wish).await;
    assert_eq!((status, scene.bench.outside.asked().len()), (201, 1), "{made}");
    let one = format!("{CONNECTIONS}/{}", id(&made));
    let change = json!({ "metadata_url": "https://other.example/metadata" });
    refused(scene.as_of(&below, "PATCH", &one, change.clone()).await, 403, "above_own_rank");
    assert_eq!(scene.bench.outside.asked().len(), 1);
    refused(scene.as_of(&above, "PATCH", &one, change).await, 422, "metadata_unreachable");
    assert_eq!(scene.bench.outside.asked().len(), 2);
}

#[tokio::test]
async fn proving_a_domain_takes_the_rank_of_the_highest_role_that_automation_gives() {
    let scene = Scene::new();
    let permissions = || json!(["domains.read", "domains.write"]);
    let below = ranked(&scene, "dns", 650, permissions()).await;
    let above = ranked(&scene, "head", 750, permissions()).await;
    let domains = "/api/v1/organizations/acme/domains";
    let (status, made) = scene.as_of(&below, "POST", domains, json!({ "domain": "evil.example" })).await;
    assert_eq!(status, 201, "{made}");
    scene.bench.outside.set_txt("_portcullis.evil.example", &[made["txt_value"].as_str().unwrap()]);
    let verify = format!("{domains}/evil.example/verify");
    refused(scene.as_of(&below, "POST", &verify, Value::Null).await, 403, "above_own_rank");
    let (status, proven) = scene.as_of(&above, "POST", &verify, Value::Null).await;
    assert_eq!((status, &proven["state"]), (200, &json!("proven")), "{proven}");
}

/// A directory that waits for nobody, where a mapping to a team alone lets the people of a group live; an owner and a
/// member among them.
async fn living_by_a_team(scene: &Scene) -> (Value, Value, [Told; 2]) {
    let org = scene.owner.organization;
    scene.made("/api/v1/organizations/acme/teams", json!({ "slug": "ops", "name": "Ops" })).await;
    let wish = json!({ "kind": "scim", "name": "Okta", "settle_s": 0 });
    let made = scene.made("/api/v1/organizations/acme/directories", wish).await;
    let people =
        ["olga@acme.test", "mia@acme.test"].map(|who| person(&scene.bench, org, directory(&made), who));
    for (told, name) in people.iter().zip(["Owners", "Members"]) {
        group(&scene.bench, org, directory(&made), name, &[told.user]);
    }
    let grant = json!({ "member": people[0].membership.to_string(), "role": "owner", "reason": "founder" });
    scene.made("/api/v1/organizations/acme/grants", grant).await;
    let role = json!({
        "slug": "steward", "rank": 350,
        "permissions": ["mappings.read", "mappings.write", "directories.read", "directories.write"],
    });
    scene.made("/api/v1/organizations/acme/roles", role).await;
    let mapping = |name: &str| {
        json!({
            "directory": made["id"], "group": { "display_name": name }, "team": "ops", "team_role": "member",
        })
    };
    let owners = scene.made(MAPPINGS, mapping("Owners")).await;
    let members = scene.made(MAPPINGS, mapping("Members")).await;
    (owners, members, people)
}

#[tokio::test]
async fn whose_life_hangs_on_a_mapping_is_ended_by_nobody_who_stands_below_them() {
    let scene = Scene::new();
    let (owners, members, [olga, mia]) = living_by_a_team(&scene).await;
    let org = scene.owner.organization;
    let steward = scene.bench.member(org, "steward@acme.test", "steward");
    let [owners, members] = [owners, members].map(|made| format!("{MAPPINGS}/{}", id(&made)));
    let elsewhere = json!({ "group": { "display_name": "Nobody" } });
    for by in [&steward, &scene.admin] {
        refused(scene.as_of(by, "DELETE", &owners, Value::Null).await, 403, "above_own_rank");
        refused(scene.as_of(by, "PATCH", &owners, elsewhere.clone()).await, 403, "above_own_rank");
    }
    assert_eq!(standing(&scene.bench, org, olga.membership), ("active".into(), Some("owner".into())));
    let raised = json!({ "team_role": "admin" });
    assert_eq!(scene.as_of(&steward, "PATCH", &owners, raised).await.0, 200, "that ends nobody");
    assert_eq!(scene.as_of(&steward, "DELETE", &members, Value::Null).await.0, 204);
    assert_eq!(standing(&scene.bench, org, mia.membership).0, "deprovisioned");
    assert_eq!(
        scene.as_of(&scene.owner, "DELETE", &owners, Value::Null).await.0,
        204,
        "as high as they stand"
    );
    assert_eq!(standing(&scene.bench, org, olga.membership).0, "deprovisioned");
}

#[tokio::test]
async fn of_more_people_than_one_transaction_carries_nobody_above_is_ended_either() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let (owners, _, [olga, _]) = living_by_a_team(&scene).await;
    let dir: DirectoryId = owners["directory"].as_str().unwrap().parse().unwrap();
    let told: Vec<_> = (0..501).map(|n| person(&scene.bench, org, dir, &format!("p{n}@acme.test"))).collect();
    let mut users: Vec<_> = told.iter().map(|t| t.user).collect();
    users.push(olga.user);
    group(&scene.bench, org, dir, "Everybody", &users);
    let mut wish = owners.clone();
    let fields = wish.as_object_mut().unwrap();
    fields.retain(|name, _| ["directory", "team", "team_role"].contains(&name.as_str()));
    wish["group"] = json!({ "display_name": "Everybody" });
    let everybody = scene.made(MAPPINGS, wish).await;
    let [owners, everybody] = [owners, everybody].map(|made| format!("{MAPPINGS}/{}", id(&made)));
    assert_eq!(
        scene.as_of(&scene.admin, "DELETE", &owners, Value::Null).await.0,
        204,
        "she is in the other, too"
    );
    refused(scene.as_of(&scene.admin, "DELETE", &everybody, Value::Null).await, 403, "above_own_rank");
    let (_, member) = scene
        .root("GET", &format!("/api/v1/organizations/acme/members/{}", olga.membership), Value::Null)
        .await;
    assert_eq!(member["state"], json!("active"), "{member}");
}

#[tokio::test]
async fn whose_life_hangs_on_a_default_role_is_ended_by_nobody_who_stands_below_them() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let (_, _, _) = living_by_a_team(&scene).await;
    let steward = scene.bench.member(org, "steward@acme.test", "steward");
    let wish = json!({ "kind": "scim", "name": "Entra", "default_role": "viewer", "settle_s": 0 });
    let made = scene.made("/api/v1/organizations/acme/directories", wish).await;
    let una = person(&scene.bench, org, directory(&made), "una@acme.test");
    let grant = json!({ "member": una.membership.to_string(), "role": "owner", "reason": "founder" });
    let grant = scene.made("/api/v1/organizations/acme/grants", grant).await;
    let one = format!("/api/v1/organizations/acme/directories/{}", id(&made));
    let none = json!({ "default_role": null });
    refused(scene.as_of(&steward, "PATCH", &one, none.clone()).await, 403, "above_own_rank");
    let grant = format!("/api/v1/organizations/acme/grants/{}", id(&grant));
    assert_eq!(scene.root("DELETE", &grant, Value::Null).await.0, 204);
    assert_eq!(scene.as_of(&steward, "PATCH", &one, none).await.0, 200, "nobody above is left");
    assert_eq!(standing(&scene.bench, org, una.membership).0, "deprovisioned");
}

#[tokio::test]
async fn whoever_is_suspended_above_does_not_lose_their_life_to_a_rule_from_below_either() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let steward = ranked(&scene, "steward", 350, json!(["directories.read", "directories.write"])).await;
    let wish = json!({ "kind": "scim", "name": "Entra", "default_role": "viewer", "settle_s": 3600 });
    let made = scene.made(DIRECTORIES, wish).await;
    let una = person(&scene.bench, org, directory(&made), "una@acme.test");
    let grant = json!({ "member": una.membership.to_string(), "role": "owner", "reason": "founder" });
    scene.made("/api/v1/organizations/acme/grants", grant).await;
    let member = format!("/api/v1/organizations/acme/members/{}", una.membership);
    assert_eq!(scene.root("PATCH", &member, json!({ "state": "suspended" })).await.0, 200);
    let one = format!("{DIRECTORIES}/{}", id(&made));
    let (none, other) = (json!({ "default_role": null }), json!({ "default_role": "member" }));
    refused(scene.as_of(&steward, "PATCH", &one, none.clone()).await, 403, "above_own_rank");
    assert_eq!(scene.as_of(&steward, "PATCH", &one, other).await.0, 200, "she lives by that as well");
    assert_eq!(scene.root("PATCH", &one, none).await.0, 200);
    assert_eq!(scene.root("PATCH", &member, json!({ "state": "active" })).await.0, 200);
    assert_eq!(standing(&scene.bench, org, una.membership).0, "suspended", "nothing gives her life any more");
}

#[tokio::test]
async fn whose_life_hangs_on_a_role_that_only_people_are_to_give_is_ended_by_nobody_who_stands_below_them() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let role = json!({
        "slug": "steward", "rank": 350, "permissions": ["roles.read", "roles.write"], "explicit_only": true,
    });
    scene.made("/api/v1/organizations/acme/roles", role).await;
    let steward = scene.bench.member(org, "steward@acme.test", "steward");
    let role = json!({ "slug": "crew", "rank": 150, "permissions": [] });
    let role = scene.made("/api/v1/organizations/acme/roles", role).await;
    let wish = json!({ "kind": "scim", "name": "Entra", "default_role": "crew", "settle_s": 0 });
    let made = scene.made(DIRECTORIES, wish).await;
    let [una, mia] =
        ["una@acme.test", "mia@acme.test"].map(|who| person(&scene.bench, org, directory(&made), who));
    let grant = json!({ "member": una.membership.to_string(), "role": "owner", "reason": "founder" });
    let grant = scene.made("/api/v1/organizations/acme/grants", grant).await;
    let one = format!("/api/v1/organizations/acme/roles/{}", id(&role));
    let explicit = json!({ "explicit_only": true });
    refused(scene.as_of(&steward, "PATCH", &one, explicit.clone()).await, 403, "above_own_rank");
    let many: Vec<_> =
        (0..501).map(|n| person(&scene.bench, org, directory(&made), &format!("p{n}@acme.test"))).collect();
    refused(scene.as_of(&steward, "PATCH", &one, explicit.clone()).await, 403, "above_own_rank");
    assert_eq!(standing(&scene.bench, org, una.membership).0, "active");
    assert_eq!(scene.as_of(&steward, "PATCH", &one, json!({ "rank": 160 })).await.0, 200, "that ends nobody");
    let grant = format!("/api/v1/organizations/acme/grants/{}", id(&grant));
    assert_eq!(scene.root("DELETE", &grant, Value::Null).await.0, 204);
    assert_eq!(scene.as_of(&steward, "PATCH", &one, explicit).await.0, 200, "nobody above is left");
    for told in [&una, &mia, &many[0]] {
        let member = format!("/api/v1/organizations/acme/members/{}", told.membership);
        assert_eq!(scene.root("GET", &member, Value::Null).await.1["state"], json!("deprovisioned"));
    }
}
