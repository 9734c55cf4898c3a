//! Who comes in by a password that somebody else may have chosen is worth no more by what they issue, send or say, nor as
//! whoever they come back as, however high automation has raised the member.

use portcullis_emulator::Browser;
use portcullis_testkit::ROOT_TOKEN;
use serde_json::{Value, json};

use crate::local::{PASSWORD, joined};
use crate::people::{directory, scim_user};
use crate::ranks::{member, tokens};
use crate::saml_idp::{Idp, Says, key};
use crate::vouching::{THEIRS, named_from_below};
use crate::world::{ADA, World, outcome};

const BARBARA: &str = "barbara.brandt@acme.example";
const ZOE: &str = "zoe@acme.example";
const TENANT: &str = "0f5a6b7c-1111-2222-3333-444455556666";

async fn opened(world: &World, link: &str) -> (String, Browser) {
    let mut browser = Browser::new().unwrap();
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
    let page = browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    (outcome(&page), browser)
}

/// Ada of rank 350, whose link somebody of rank 400 saw and opened; the session that this made.
async fn by_a_seen_link(world: &World) -> String {
    for (slug, rank, permissions) in [
        ("steward", 400, json!(["invitations.read", "invitations.write"])),
        (
            "host",
            350,
            json!(["use", "keys.write", "invitations.write", "directories.read", "directories.write"]),
        ),
    ] {
        let role = json!({ "slug": slug, "rank": rank, "permissions": permissions });
        world.made("/organizations/acme/roles", role).await;
    }
    let steward = world.sessions(&joined(world, "acme", "steward@acme.example", "steward").await).remove(0);
    let body = json!({ "email": ADA, "role": "host" });
    let (status, made) = world.call("POST", "/api/v1/organizations/acme/invitations", &steward, body).await;
    assert_eq!(status, 201, "{made}");
    let (came, browser) = opened(world, made["link"].as_str().unwrap()).await;
    assert_eq!(came, "ok");
    world.sessions(&browser).remove(0)
}

/// A directory makes an administrator of Ada.
async fn raised(world: &World) {
    let (made, users, token) = directory(world).await;
    let (status, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "ada")).await;
    assert_eq!(status, 201, "{told}");
    let gives = format!("/organizations/acme/directories/{}", made["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &gives, json!({ "default_role": "admin" })).await.0, 200);
    assert_eq!(world.members("acme", ADA).await[0]["role"], "admin");
}

/// What becomes of a grant to somebody by the root token.
async fn granted(world: &World, email: &str, role: &str, vouched: bool) -> (u16, String) {
    let who = member(world, email).await;
    let body = json!({ "member": who, "role": role, "reason": "raised", "vouched": vouched });
    let (status, made) = world.root("POST", "/organizations/acme/grants", body).await;
    (status, made["code"].as_str().unwrap_or("none").to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn what_a_seen_key_issues_that_came_from_such_a_session_is_believed_no_further() {
    let world = World::new().await;
    let session = by_a_seen_link(&world).await;
    joined(&world, "acme", BARBARA, "member").await;
    let keys = format!("/api/v1/organizations/acme/members/{}/keys", member(&world, BARBARA).await);
    let issued = async |by: &str| {
        let (status, made) = world.call("POST", &keys, by, json!({ "name": "another" })).await;
        let said = made["token"].as_str().or(made["code"].as_str()).unwrap().to_owned();
        (status, said)
    };
    let (status, first) = issued(&session).await;
    assert_eq!(status, 201, "{first}");
    assert_eq!(world.decision(&first).await, "allowed", "it acts as Barbara");
    let (status, second) = issued(&first).await;
    assert_eq!(status, 201, "{second}");
    assert_eq!(world.decision(&second).await, "allowed", "it acts as Barbara");
    raised(&world).await;
    assert_eq!(granted(&world, BARBARA, "lead", false).await.0, 201);
    let both = async || [world.decision(&first).await, world.decision(&second).await];
    assert_eq!(both().await, ["not_permitted"; 2], "nobody who saw them stands below");
    assert_eq!(granted(&world, ADA, "owner", true).await.0, 201);
    assert_eq!(both().await, ["allowed", "not_permitted"], "nothing leads from the second one to Ada");
    let (status, third) = issued(&first).await;
    assert_eq!(status, 201, "{third}");
    assert_eq!(world.decision(&third).await, "allowed", "it came from as far as an owner");
}

#[tokio::test]
async fn a_directorys_token_that_such_a_session_issued_says_no_more_than_the_password_is_worth() {
    for is_vouched in [false, true] {
        let world = World::new().await;
        let session = by_a_seen_link(&world).await;
        let body = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
        let path = "/api/v1/organizations/acme/directories";
        let (status, made) = world.call("POST", path, &session, body).await;
        assert_eq!(status, 201, "{made}");
        let users =
            format!("{}/Users", made["base_url"].as_str().unwrap().strip_prefix(&world.base).unwrap());
        let theirs = made["token"].as_str().unwrap();
        raised(&world).await;
        if is_vouched {
            assert_eq!(granted(&world, ADA, "admin", true).await.0, 201);
        }
        joined(&world, "acme", ZOE, "lead").await;
        let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
        // Zoe, whom the organization knows by the address, under an account of theirs.
        let account = "person-000001";
        let (status, told) = world.call("POST", &users, theirs, scim_user(ZOE, ZOE, account)).await;
        assert_eq!(status, 201, "{told}");
        let expected = if is_vouched { "ok" } else { "own_session_only" };
        assert_eq!(world.outcome(&connection, account).await, expected);

        let gives = format!("/organizations/acme/directories/{}", made["id"].as_str().unwrap());
        let (status, said) = world.root("PATCH", &gives, json!({ "default_role": "lead" })).await;
        let expected = if is_vouched { (200, None) } else { (409, Some("token_seen_below")) };
        assert_eq!((status, said["code"].as_str()), expected, "{said}");
        if !is_vouched {
            let (_, list) = world.call("GET", &tokens(&made), ROOT_TOKEN, Value::Null).await;
            let one = list["items"][0]["id"].as_str().unwrap();
            assert!(said["detail"].as_str().unwrap().contains(one), "which one it is: {said}");
        }
    }
}

#[tokio::test]
async fn an_invitation_that_such_a_session_sent_makes_no_password_that_is_worth_more() {
    for raised_to in [None, Some("lead")] {
        let world = World::new().await;
        let session = by_a_seen_link(&world).await;
        let body = json!({ "email": BARBARA, "role": "member" });
        let path = "/api/v1/organizations/acme/invitations";
        let (status, made) = world.call("POST", path, &session, body).await;
        assert_eq!(status, 201, "{made}");
        raised(&world).await;
        if let Some(role) = raised_to {
            assert_eq!(granted(&world, BARBARA, role, false).await.0, 201);
        }
        let (came, _) = opened(&world, made["link"].as_str().unwrap()).await;
        if raised_to.is_some() {
            assert_eq!(came, "link_invalid", "it would be above what the session is worth");
            continue;
        }
        assert_eq!(came, "ok");
        assert_eq!(granted(&world, BARBARA, "lead", false).await, refused(409, "told_from_below"));
        assert_eq!(granted(&world, BARBARA, "lead", true).await.0, 201);
    }
}

/// Ada leaves and comes back by a directory; the membership of before and the new one. Her user may live on in another
/// organization.
async fn came_back(world: &World, lives_elsewhere: bool) -> (String, String) {
    by_a_seen_link(world).await;
    let former = world.members("acme", ADA).await.remove(0);
    if lives_elsewhere {
        world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
        world.made("/organizations/globex/members", json!({ "user": former["user"]["id"] })).await;
    }
    let former = former["id"].as_str().unwrap().to_owned();
    let leave = format!("/organizations/acme/members/{former}/offboard");
    assert_eq!(world.root("POST", &leave, json!({ "reason": "left" })).await.0, 200);
    let (_, users, token) = directory(world).await;
    let (status, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "ada")).await;
    assert_eq!(status, 201, "{told}");
    let all = world.members("acme", ADA).await;
    let anew = all.iter().find(|one| one["id"] != *former).unwrap();
    (former, anew["id"].as_str().unwrap().to_owned())
}

async fn attach(world: &World, (former, anew): (&str, &str)) {
    let path = format!("/organizations/acme/members/{anew}/attach");
    let (status, attached) = world.root("POST", &path, json!({ "former": former })).await;
    assert_eq!(status, 200, "{attached}");
}

#[tokio::test]
async fn a_password_that_somebody_brings_back_is_believed_as_far_as_before() {
    for lives_elsewhere in [true, false] {
        let world = World::new().await;
        let (former, anew) = came_back(&world, lives_elsewhere).await;
        attach(&world, (&former, &anew)).await;
        let grant = async |vouched: bool| {
            let body = json!({ "member": anew, "role": "admin", "reason": "raised", "vouched": vouched });
            let (status, made) = world.root("POST", "/organizations/acme/grants", body).await;
            (status, made["code"].as_str().unwrap_or("none").to_owned())
        };
        if lives_elsewhere {
            assert_eq!(grant(false).await, refused(409, "told_from_below"));
        }
        let ended = "a password that ended with its user is worth nothing to anybody";
        assert_eq!(grant(lives_elsewhere).await.0, 201, "{ended}");
    }
}

#[tokio::test]
async fn an_owner_whose_password_opens_nothing_is_no_other_owner() {
    for is_vouched in [false, true] {
        let world = World::new().await;
        joined(&world, "acme", ZOE, "owner").await;
        let (former, anew) = came_back(&world, true).await;
        let grant = async |role: &str, vouched: bool| {
            let body = json!({ "member": anew, "role": role, "reason": "founder", "vouched": vouched });
            world.made("/organizations/acme/grants", body).await;
        };
        grant("owner", false).await;
        attach(&world, (&former, &anew)).await;
        if is_vouched {
            grant("admin", true).await;
        }
        let leave = format!("/organizations/acme/members/{}/offboard", member(&world, ZOE).await);
        let (status, said) = world.root("POST", &leave, json!({ "reason": "left" })).await;
        let expected = if is_vouched { (200, None) } else { (409, Some("last_owner")) };
        assert_eq!((status, said["code"].as_str()), expected, "{said}");
    }
}

#[tokio::test]
async fn a_link_that_a_stolen_key_made_ends_with_its_certificate_under_its_newer_name_too() {
    let (world, mut idp) =
        (World::beside_provider_below(&format!("/{TENANT}/v2.0")).await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let elsewhere = world.connection("acme", json!({})).await;
    let (stolen, honest) = (idp.key.clone(), key());
    idp.publish(&[&stolen, &honest]);
    world.clock.pass_s(86_400);
    assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
    let mut browser = Browser::new().unwrap();
    let forged = Says { name_id: "evil".to_owned(), ..Says::ada(&[]) };
    assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &connection, &forged).await), "ok");
    world.provider.sign_in_as(Some(BARBARA));
    let form = format!("{}/sso/oidc/{}/link", world.base, elsewhere["id"].as_str().unwrap());
    assert_eq!(outcome(&browser.submit(&form, &[]).await.unwrap()), "ok");
    world.provider.sign_in_as(None);
    idp.key = honest;
    // From now on people are named by tenant and object.
    let one = format!("/organizations/acme/connections/{}", elsewhere["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &one, json!({ "oidc": { "preset": "entra" } })).await.0, 200);
    let object = "aaaaaaaa-bbbb-cccc-dddd-eeeeffff0000";
    world.say_too(json!({ "tid": TENANT, "oid": object, "xms_edov": true, "email_verified": null }));
    assert_eq!(world.outcome(&elsewhere, BARBARA).await, "ok");
    let print: String = stolen.certificate().sha256().iter().map(|b| format!("{b:02x}")).collect();
    let at = connection["id"].as_str().unwrap();
    let retire = format!("/organizations/acme/connections/{at}/certificates/{print}/retire?links=end");
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    assert_eq!(world.outcome(&elsewhere, BARBARA).await, "not_invited");
    assert_eq!(world.events("acme", "member.unlinked").await.len(), 3, "the former name's link too");
}

#[tokio::test]
async fn an_agent_that_is_handed_over_waits_for_keys_where_whoever_issued_them_is_believed_below_its_heir() {
    for (heir, state) in [("member", "active"), ("lead", "paused")] {
        let world = World::new().await;
        let (gives, _, _, _, connection) = named_from_below(&world).await;
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.sign_in(&mut browser, &connection, THEIRS).await), "ok", "as a keeper");
        joined(&world, "acme", "cleo@acme.example", "member").await;
        joined(&world, "acme", "heir@acme.example", heir).await;
        let wish = json!({
            "name": "bot", "owner": member(&world, "cleo@acme.example").await,
            "heir": member(&world, "heir@acme.example").await, "on_owner_loss": "hand_over",
        });
        let agent = world.made("/organizations/acme/agents", wish).await;
        let agent = format!("/organizations/acme/agents/{}", agent["id"].as_str().unwrap());
        let session = world.sessions(&browser).remove(0);
        let keys = format!("/api/v1{agent}/keys");
        assert_eq!(world.call("POST", &keys, &session, json!({ "name": "run" })).await.0, 201);
        // They stand as high as the heir now, and the account by which they came does not.
        assert_eq!(world.root("PATCH", &gives, json!({ "default_role": "admin" })).await.0, 200);
        let leaver =
            format!("/organizations/acme/members/{}/offboard", member(&world, "cleo@acme.example").await);
        assert_eq!(world.root("POST", &leaver, json!({ "reason": "gone" })).await.0, 200);
        assert_eq!(world.root("GET", &agent, Value::Null).await.1["state"], state, "to a {heir}");
    }
}
