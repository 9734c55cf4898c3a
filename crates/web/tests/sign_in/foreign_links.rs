//! Whatever an administrator of one organization does about somebody, nothing of them in another one is touched: neither their
//! password nor where it leads.

use portcullis_emulator::Browser;
use portcullis_service::first_owner;
use portcullis_store::Priority;
use serde_json::{Value, json};

use crate::local::{PASSWORD, joined};
use crate::people::{directory, scim_user};
use crate::ranks::member;
use crate::world::{ADA, World, outcome};

const EVIL: &str = "evil@acme.example";
const ANOTHER: &str = "another sentence, as long";

async fn accepted(world: &World, link: &str, password: &str) -> String {
    let mut browser = Browser::new().unwrap();
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", password)];
    outcome(&browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap())
}

/// The organizations to which that password at that address leads.
async fn leads_to(world: &World, email: &str, password: &str) -> Vec<String> {
    let mut browser = Browser::new().unwrap();
    let fields = [("email", email), ("password", password)];
    let page = browser.submit(&format!("{}/login", world.base), &fields).await.unwrap();
    let Some(session) = world.sessions(&browser).pop() else {
        let named = |slug: &&str| page.body.contains(&name_of(slug));
        return ["acme", "globex", "initech"].into_iter().filter(named).map(str::to_owned).collect();
    };
    let (status, me) = world.call("GET", "/api/v1/me", &session, Value::Null).await;
    assert_eq!(status, 200, "{me}");
    vec![me["organization"]["slug"].as_str().unwrap().to_owned()]
}

fn name_of(slug: &str) -> String {
    let (first, rest) = slug.split_at(1);
    first.to_uppercase() + rest
}

async fn organization(world: &World, slug: &str) {
    world.made("/organizations", json!({ "slug": slug, "name": name_of(slug) })).await;
}

async fn off_boarded(world: &World, member: &str) {
    let path = format!("/organizations/acme/members/{member}/offboard");
    assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
}

/// Ada, who owns globex, was in acme too and left it; her membership of before, and the session of an administrator there.
async fn ada_left_acme(world: &World) -> (String, String) {
    organization(world, "globex").await;
    joined(world, "globex", ADA, "owner").await;
    joined(world, "acme", ADA, "member").await;
    let former = member(world, ADA).await;
    off_boarded(world, &former).await;
    let mallory = joined(world, "acme", "mallory@acme.example", "admin").await;
    (former, world.sessions(&mallory).remove(0))
}

/// How far somebody has come who was invited, when they are said to be Ada.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Invited,
    ToldOf,
    /// Told of by a directory that gives nothing, which is deleted then, and invited anew.
    Forgotten,
}

/// Somebody of an address of Mallory's is invited and said to be Ada, who lives on elsewhere; then the link is opened.
async fn said_to_be_ada(when: When, is_known: bool) {
    let world = World::new().await;
    let (former, session) = ada_left_acme(&world).await;
    if is_known {
        organization(&world, "initech").await;
        let link = world.invite("initech", EVIL, "member").await;
        assert_eq!(accepted(&world, &link, ANOTHER).await, "ok");
    }
    let invited = async || {
        let body = json!({ "email": EVIL, "role": "viewer" });
        let path = "/api/v1/organizations/acme/invitations";
        let (status, made) = world.call("POST", path, &session, body).await;
        assert_eq!(status, 201, "{made}");
        made["link"].as_str().unwrap().to_owned()
    };
    let mut link = invited().await;
    let anew = member(&world, EVIL).await;
    let mut told_by = Value::Null;
    if when != When::Invited {
        let (made, users, token) = directory(&world).await;
        told_by = made;
        if when == When::Forgotten {
            let one = format!("/organizations/acme/directories/{}", told_by["id"].as_str().unwrap());
            assert_eq!(world.root("PATCH", &one, json!({ "default_role": null })).await.0, 200);
        }
        let (status, told) = world.call("POST", &users, &token, scim_user(EVIL, EVIL, "evil")).await;
        assert_eq!(status, 201, "{told}");
    }
    let path = format!("/api/v1/organizations/acme/members/{anew}/attach");
    let (status, said) = world.call("POST", &path, &session, json!({ "former": former })).await;
    if when == When::Forgotten {
        let one = format!("/organizations/acme/directories/{}?people=keep", told_by["id"].as_str().unwrap());
        assert_eq!(world.root("DELETE", &one, Value::Null).await.0, 204);
        link = invited().await;
    }
    let came = accepted(&world, &link, ANOTHER).await;

    let why = format!("{when:?}, known: {is_known}");
    let (expected, comes, mut theirs) = match when {
        When::Invited => ((409, Some("member_inactive")), "ok", vec!["acme"]),
        When::ToldOf => ((200, None), "link_invalid", vec![]),
        When::Forgotten => ((200, None), "ok", vec!["acme"]),
    };
    if is_known {
        theirs.push("initech");
    }
    assert_eq!(leads_to(&world, EVIL, ANOTHER).await, theirs, "nobody else's: {why}");
    let hers = leads_to(&world, ADA, PASSWORD).await;
    assert!(hers.contains(&"globex".to_owned()), "hers still: {why}: {hers:?}");
    assert_eq!((status, said["code"].as_str()), expected, "{why}: {said}");
    assert_eq!(came, comes, "{why}");
}

#[tokio::test]
async fn who_is_said_to_be_somebody_of_before_chooses_no_password_for_them() {
    for when in [When::Invited, When::ToldOf, When::Forgotten] {
        said_to_be_ada(when, false).await;
    }
}

#[tokio::test]
async fn who_is_said_to_be_somebody_of_before_and_is_known_by_another_password_ends_none_of_theirs() {
    for when in [When::Invited, When::ToldOf, When::Forgotten] {
        said_to_be_ada(when, true).await;
    }
}

#[tokio::test]
async fn a_link_that_nobody_needed_opens_nothing_once_its_person_is_elsewhere_too() {
    for is_known in [false, true] {
        let world = World::new().await;
        organization(&world, "globex").await;
        if is_known {
            organization(&world, "initech").await;
            let link = world.invite("initech", ADA, "member").await;
            assert_eq!(accepted(&world, &link, ANOTHER).await, "ok");
        }
        let link = world.invite("acme", ADA, "member").await;
        let (_, users, token) = directory(&world).await;
        let (status, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "ada")).await;
        assert_eq!(status, 201, "{told}");
        let of = async |org: &str| world.members(org, ADA).await[0]["user"]["id"].clone();
        let ada = of("acme").await;
        world.made("/organizations/globex/members", json!({ "user": ada })).await;
        assert_eq!(accepted(&world, &link, ANOTHER).await, "link_invalid", "known: {is_known}");
        let theirs: &[&str] = if is_known { &["initech"] } else { &[] };
        assert_eq!(leads_to(&world, ADA, ANOTHER).await, theirs);
        assert_eq!((of("acme").await, of("globex").await), (ada.clone(), ada), "known: {is_known}");
    }
}

#[tokio::test]
async fn who_only_waits_by_an_invitation_is_put_into_no_other_organization() {
    let world = World::new().await;
    organization(&world, "globex").await;
    let link = world.invite("acme", ADA, "member").await;
    let ada = world.members("acme", ADA).await[0]["user"]["id"].clone();
    let put = async || world.root("POST", "/organizations/globex/members", json!({ "user": ada })).await;
    let (status, refused) = put().await;
    assert_eq!((status, refused["code"].as_str()), (409, Some("member_inactive")), "{refused}");
    assert_eq!(accepted(&world, &link, PASSWORD).await, "ok");
    assert_eq!(put().await.0, 201, "whoever accepted it said who they are");
    assert_eq!(leads_to(&world, ADA, PASSWORD).await, ["acme", "globex"]);
}

#[tokio::test]
async fn who_is_here_under_another_address_is_not_made_a_second_time_by_an_invitation() {
    let world = World::new().await;
    let (former, _) = ada_left_acme(&world).await;
    let (_, users, token) = directory(&world).await;
    let married = "ada.king@acme.example";
    let (status, told) = world.call("POST", &users, &token, scim_user(married, married, "ada")).await;
    assert_eq!(status, 201, "{told}");
    let own = member(&world, married).await;
    let path = format!("/organizations/acme/members/{own}/attach");
    assert_eq!(world.root("POST", &path, json!({ "former": former })).await.0, 200);
    assert_eq!(leads_to(&world, ADA, PASSWORD).await, ["acme", "globex"]);

    let link = world.invite("acme", ADA, "member").await;
    assert_eq!(accepted(&world, &link, PASSWORD).await, "taken");
    let waits = world.members("acme", ADA).await.iter().any(|one| one["state"] == "invited");
    assert!(waits, "the link is not used up");
    off_boarded(&world, &own).await;
    assert_eq!(leads_to(&world, ADA, PASSWORD).await, ["globex"], "they are not here by another membership");
    // Now that they are gone an invitation is one to come back.
    let link = world.invite("acme", ADA, "member").await;
    assert_eq!(accepted(&world, &link, PASSWORD).await, "ok");
    assert_eq!(leads_to(&world, ADA, PASSWORD).await, ["acme", "globex"]);
}

#[tokio::test]
async fn a_first_owner_with_a_password_at_their_address_signs_in_by_each_of_theirs() {
    for said in [PASSWORD, ANOTHER] {
        let world = World::empty().await;
        organization(&world, "acme").await;
        joined(&world, "acme", ADA, "admin").await;
        let issued = world.portcullis.write(Priority::Ordinary, first_owner::issue_link).await;
        let link = first_owner::text(world.portcullis.around(), &issued.unwrap().unwrap());
        let fields = [
            ("token", link.rsplit_once('=').unwrap().1),
            ("organization", "Globex"),
            ("slug", "globex"),
            ("name", "Ada Abel"),
            ("email", ADA),
            ("password", said),
        ];
        let form = format!("{}/setup/owner", world.base);
        assert_eq!(outcome(&Browser::new().unwrap().submit(&form, &fields).await.unwrap()), "ok");
        let of = async |org: &str| world.members(org, ADA).await[0]["user"]["id"].clone();
        if said == PASSWORD {
            assert_eq!(leads_to(&world, ADA, PASSWORD).await, ["acme", "globex"]);
            assert_eq!(
                of("acme").await,
                of("globex").await,
                "the same person, by the password that they said"
            );
        } else {
            assert_eq!(leads_to(&world, ADA, ANOTHER).await, ["globex"]);
            assert_eq!(leads_to(&world, ADA, PASSWORD).await, ["acme"]);
        }
    }
}
