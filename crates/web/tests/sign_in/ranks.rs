//! An invitation's link is worth no more than whoever was shown it: each refusal beside a neighbour that differs by one
//! thing and opens.

use portcullis_domain::Clock as _;
use portcullis_emulator::Browser;
use portcullis_testkit::ROOT_TOKEN;
use serde_json::{Value, json};

use crate::local::{PASSWORD, joined};
use crate::people::{directory, scim_user};
use crate::saml_idp::{Idp, Says};
use crate::world::{ADA, World, outcome};

const BARBARA: &str = "barbara.brandt@acme.example";

/// A steward of rank 400 who may invite; the session that they call with.
async fn steward(world: &World) -> String {
    let role =
        json!({ "slug": "steward", "rank": 400, "permissions": ["invitations.read", "invitations.write"] });
    world.made("/organizations/acme/roles", role).await;
    let browser = joined(world, "acme", "steward@acme.example", "steward").await;
    world.sessions(&browser).remove(0)
}

/// Ada's link, from somebody with that session.
async fn invited_by(world: &World, session: &str, role: &str) -> String {
    let body = json!({ "email": ADA, "role": role });
    let (status, made) = world.call("POST", "/api/v1/organizations/acme/invitations", session, body).await;
    assert_eq!(status, 201, "{made}");
    made["link"].as_str().unwrap().to_owned()
}

pub async fn member(world: &World, email: &str) -> String {
    world.members("acme", email).await[0]["id"].as_str().unwrap().to_owned()
}

/// What the page of a link says, and then the form behind it.
async fn opened(world: &World, link: &str) -> (String, String) {
    let mut browser = Browser::new().unwrap();
    let page = browser.open(link).await.unwrap();
    let shown = if page.status == 200 { "shown".to_owned() } else { outcome(&page) };
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
    let accepted = outcome(&browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap());
    assert_eq!(
        accepted == "ok",
        !world.sessions(&browser).is_empty(),
        "a session if and only if it went well"
    );
    (shown, accepted)
}

fn is(shown: &str, accepted: &str) -> (String, String) {
    (shown.to_owned(), accepted.to_owned())
}

#[tokio::test]
async fn a_link_opens_no_more_once_the_invited_person_stands_above_whoever_saw_it() {
    // The steward saw the link; what differs is what somebody else gave meanwhile.
    for (raised_to, expected) in [
        (None, is("shown", "ok")),
        (Some("senior"), is("shown", "ok")),
        (Some("steward"), is("shown", "ok")),
        (Some("admin"), is("link_invalid", "link_invalid")),
    ] {
        let world = World::new().await;
        let senior = json!({ "slug": "senior", "rank": 399, "permissions": ["use"] });
        world.made("/organizations/acme/roles", senior).await;
        let session = steward(&world).await;
        let link = invited_by(&world, &session, "member").await;
        if let Some(role) = raised_to {
            let grant = json!({ "member": member(&world, ADA).await, "role": role, "reason": "raised" });
            world.made("/organizations/acme/grants", grant).await;
        }
        assert_eq!(opened(&world, &link).await, expected, "raised to {raised_to:?}");
        if raised_to == Some("admin") {
            assert_eq!(world.members("acme", ADA).await[0]["state"], "invited", "nothing was used");
            let again = json!({ "email": ADA, "role": "member" });
            let path = "/api/v1/organizations/acme/invitations";
            let (status, problem) = world.call("POST", path, &session, again).await;
            assert_eq!(
                (status, problem["code"].as_str()),
                (403, Some("above_own_rank")),
                "nor anew, from below"
            );
            let link = world.invite("acme", ADA, "admin").await;
            assert_eq!(opened(&world, &link).await, is("shown", "ok"), "the root token stands as high");
        }
    }
}

#[tokio::test]
async fn a_link_opens_no_more_once_whoever_saw_it_stands_below_the_invited_role() {
    for (lowered, expected) in [(false, is("shown", "ok")), (true, is("link_invalid", "link_invalid"))] {
        let world = World::new().await;
        let session = steward(&world).await;
        let link = invited_by(&world, &session, "member").await;
        if lowered {
            let (status, grants) = world.root("GET", "/organizations/acme/grants", Value::Null).await;
            assert_eq!(status, 200, "{grants}");
            let items = grants["items"].as_array().unwrap();
            let of_steward = items.iter().find(|grant| grant["role"] == "steward").unwrap();
            let path = format!("/organizations/acme/grants/{}", of_steward["id"].as_str().unwrap());
            assert_eq!(world.root("DELETE", &path, Value::Null).await.0, 204);
        }
        assert_eq!(opened(&world, &link).await, expected, "lowered: {lowered}");
    }
}

#[tokio::test]
async fn nobody_invites_above_their_own_rank_nor_takes_back_what_is_above_it() {
    let world = World::new().await;
    let session = steward(&world).await;
    let path = "/api/v1/organizations/acme/invitations";
    for (role, status) in [("lead", 403), ("steward", 201)] {
        let body = json!({ "email": format!("new-{role}@acme.example"), "role": role });
        assert_eq!(world.call("POST", path, &session, body).await.0, status, "{role}");
    }
    for (role, status) in [("lead", 403), ("member", 204)] {
        let body = json!({ "email": format!("of-root-{role}@acme.example"), "role": role });
        let made = world.made("/organizations/acme/invitations", body).await;
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        assert_eq!(world.call("DELETE", &one, &session, Value::Null).await.0, status, "{role}");
    }
}

/// The connection that an admin makes by that body, which the owner is asked to confirm; how the owner's link of it ends
/// before and after.
async fn linked_before_and_after(
    world: &World,
    (owner, admin): (&mut Browser, &str),
    body: Value,
    link: impl AsyncFn(&mut Browser, &Value) -> String,
) -> (String, String) {
    let path = "/api/v1/organizations/acme/connections";
    let (status, made) = world.call("POST", path, admin, body).await;
    assert_eq!((status, &made["confirmed"]), (201, &json!(false)), "{made}");
    if let Some(uri) = made["redirect_uri"].as_str() {
        world.register("theirs", uri);
    }
    let before = link(owner, &made).await;
    let confirm = format!("{path}/{}/confirm", made["id"].as_str().unwrap());
    assert_eq!(world.call("POST", &confirm, admin, Value::Null).await.0, 403, "no admin confirms");
    let owners = world.sessions(owner).remove(0);
    let (status, confirmed) = world.call("POST", &confirm, &owners, Value::Null).await;
    assert_eq!((status, &confirmed["confirmed"]), (200, &json!(true)), "{confirmed}");
    (before, link(owner, &made).await)
}

#[tokio::test]
async fn an_owner_links_no_provider_that_somebody_below_owner_chose_before_an_owner_has_confirmed_it() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let mut owner = joined(&world, "acme", ADA, "owner").await;
    let admin = joined(&world, "acme", "admin@acme.example", "admin").await;
    let admin = world.sessions(&admin).remove(0);
    world.provider.sign_in_as(Some(ADA));
    let expected = ("connection_unconfirmed".to_owned(), "ok".to_owned());

    let link = async |owner: &mut Browser, made: &Value| {
        let form = format!("{}/sso/oidc/{}/link", world.base, made["id"].as_str().unwrap());
        outcome(&owner.submit(&form, &[]).await.unwrap())
    };
    let body = json!({
        "kind": "oidc", "name": "Okta", "issuer": world.provider.issuer(), "client_id": "theirs",
        "client_secret": "a-client-secret-for-tests",
    });
    assert_eq!(linked_before_and_after(&world, (&mut owner, &admin), body, link).await, expected);

    let link = async |owner: &mut Browser, made: &Value| {
        let form = format!("{}/sso/saml/{}/link", world.base, made["id"].as_str().unwrap());
        let asked = Idp::read(&owner.submit(&form, &[]).await.unwrap().url);
        let answer = idp.answer(world.clock.now(), made, Some(&asked), &Says::ada(&[]));
        outcome(&answer.post(owner).await)
    };
    let body = json!({ "kind": "saml", "name": "Okta", "metadata_xml": idp.metadata() });
    assert_eq!(linked_before_and_after(&world, (&mut owner, &admin), body, link).await, expected);
}

/// A steward of rank 400 who may have to do with directories; their session, and a token of Acme's that they made.
pub async fn it(world: &World, made: &Value) -> (String, Value) {
    let role = json!({ "slug": "it", "rank": 400, "permissions": ["directories.read", "directories.write"] });
    world.made("/organizations/acme/roles", role).await;
    let session = world.sessions(&joined(world, "acme", "it@acme.example", "it").await).remove(0);
    let (status, token) = world.call("POST", &tokens(made), &session, json!({})).await;
    assert_eq!(status, 201, "the directory gives less than they have, and tells of nobody above: {token}");
    (session, token)
}

pub fn tokens(directory: &Value) -> String {
    format!("/api/v1/organizations/acme/directories/{}/tokens", directory["id"].as_str().unwrap())
}

#[tokio::test]
async fn nobody_is_linked_by_the_word_of_somebody_below_them_until_it_is_said_again() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let (session, theirs) = it(&world, &made).await;
    joined(&world, "acme", ADA, "admin").await;
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    // With it they tell of Ada, whom the organization knows by the address, under an account of their own.
    let account = "person-000001";
    let body = scim_user(ADA, ADA, account);
    let (status, told) = world.call("POST", &users, theirs["token"].as_str().unwrap(), body).await;
    assert_eq!(status, 201, "{told}");
    assert_eq!(world.outcome(&connection, account).await, "own_session_only");
    assert_eq!(world.outcome(&connection, ADA).await, "own_session_only", "nor is she by that word");
    let one = format!("{}/{}", tokens(&made), theirs["id"].as_str().unwrap());
    let (status, problem) = world.call("DELETE", &one, &session, Value::Null).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("above_own_rank")), "it speaks of Ada");
    assert_eq!(world.call("DELETE", &one, ROOT_TOKEN, Value::Null).await.0, 204);
    for who in [account, ADA] {
        assert_eq!(world.outcome(&connection, who).await, "own_session_only", "what was said stays said");
    }
    // The rest of it is still theirs.
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "externalId", "value": "ada" }],
    });
    let ada = format!("{users}/{}", told["id"].as_str().unwrap());
    assert_eq!(world.call("PATCH", &ada, &token, patch).await.0, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "own_session_only", "a part of it was said again");
    assert_eq!(world.call("PUT", &ada, &token, scim_user(ADA, ADA, "ada")).await.0, 200);
    assert_eq!(world.outcome(&connection, account).await, "not_in_directory");
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "by a token that nobody below her saw");
}

#[tokio::test]
async fn what_a_directory_says_by_the_token_of_a_leaver_names_nobody_above_what_it_gives() {
    for leaves in [false, true] {
        let world = World::new().await;
        let (made, users, token) = directory(&world).await;
        let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
        let admin = joined(&world, "acme", "admin@acme.example", "admin").await;
        let admin = world.sessions(&admin).remove(0);
        let (status, theirs) = world.call("POST", &tokens(&made), &admin, json!({})).await;
        assert_eq!(status, 201, "{theirs}");
        if leaves {
            let path = format!(
                "/organizations/acme/members/{}/offboard",
                member(&world, "admin@acme.example").await
            );
            assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
        }
        let theirs = theirs["token"].as_str().unwrap();
        let (status, told) = world.call("POST", &users, theirs, scim_user(ADA, ADA, "ada")).await;
        assert_eq!(status, 201, "a directory is not silenced by whoever leaves: {told}");
        let path = format!("{}?limit=100", tokens(&made));
        let (_, list) = world.call("GET", &path, ROOT_TOKEN, Value::Null).await;
        for one in list["items"].as_array().unwrap().iter().filter(|one| one["shown_to"] != "root") {
            let one = format!("{}/{}", tokens(&made), one["id"].as_str().unwrap());
            assert_eq!(world.call("DELETE", &one, ROOT_TOKEN, Value::Null).await.0, 204);
        }
        let grants = "/organizations/acme/grants";
        let grant = json!({ "member": member(&world, ADA).await, "role": "admin", "reason": "raised" });
        if leaves {
            let (status, problem) = world.root("POST", grants, grant.clone()).await;
            assert_eq!((status, problem["code"].as_str()), (409, Some("told_from_below")));
            let ada = format!("{users}/{}", told["id"].as_str().unwrap());
            assert_eq!(world.call("PUT", &ada, &token, scim_user(ADA, ADA, "ada")).await.0, 200);
        }
        world.made(grants, grant).await;
        assert_eq!(world.outcome(&connection, ADA).await, "ok", "leaves: {leaves}");
    }
}

#[tokio::test]
async fn a_link_does_not_follow_its_member_above_whoever_said_whose_it_is() {
    for is_vouched in [true, false] {
        let world = World::new().await;
        let (made, users, token) = directory(&world).await;
        let (_, theirs) = it(&world, &made).await;
        let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
        let account = "person-000001";
        let said = scim_user(ADA, ADA, account);
        let (status, told) =
            world.call("POST", &users, theirs["token"].as_str().unwrap(), said.clone()).await;
        assert_eq!(status, 201, "{told}");
        let one = format!("{}/{}", tokens(&made), theirs["id"].as_str().unwrap());
        assert_eq!(world.call("DELETE", &one, ROOT_TOKEN, Value::Null).await.0, 204);
        assert_eq!(world.outcome(&connection, account).await, "ok", "what the directory gives");

        let ada = member(&world, ADA).await;
        let grant = async |role: &str, vouched: bool| {
            let body = json!({ "member": ada, "role": role, "reason": "raised", "vouched": vouched });
            let (status, made) = world.root("POST", "/organizations/acme/grants", body).await;
            (status, made["code"].as_str().unwrap_or("none").to_owned())
        };
        let refused = (409, "told_from_below".to_owned());
        assert_eq!(grant("admin", false).await, refused);
        assert_eq!(grant("owner", false).await, refused, "who is linked stays linked");
        let ops = json!({ "slug": "ops", "rank": 350, "permissions": ["use"] });
        let ops = world.made("/organizations/acme/roles", ops).await;
        assert_eq!(grant("it", false).await.0, 201, "whoever said it stands as high");
        assert_eq!(grant("ops", false).await.0, 201, "whoever said it stands above");
        let ops = format!("/organizations/acme/roles/{}", ops["id"].as_str().unwrap());
        let (status, problem) = world.root("PATCH", &ops, json!({ "rank": 450 })).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("told_from_below")));
        assert!(problem["detail"].as_str().unwrap().contains(&ada), "whose it is: {problem}");

        if !is_vouched {
            let ada = format!("{users}/{}", told["id"].as_str().unwrap());
            assert_eq!(world.call("PUT", &ada, &token, said).await.0, 200);
            assert_eq!(world.outcome(&connection, account).await, "ok");
        }
        assert_eq!(grant("admin", is_vouched).await.0, 201, "vouched: {is_vouched}");
        assert_eq!(world.outcome(&connection, account).await, "ok", "vouched: {is_vouched}");
        assert_eq!(world.root("PATCH", &ops, json!({ "rank": 450 })).await.0, 200);
    }
}

#[tokio::test]
async fn what_a_directory_comes_to_give_raises_nobody_whom_a_lower_word_named_before() {
    for is_linked in [true, false] {
        let world = World::new().await;
        let (made, users, token) = directory(&world).await;
        let (_, theirs) = it(&world, &made).await;
        let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
        let account = "person-000001";
        let said = scim_user(ADA, ADA, account);
        let (status, told) =
            world.call("POST", &users, theirs["token"].as_str().unwrap(), said.clone()).await;
        assert_eq!(status, 201, "{told}");
        if is_linked {
            assert_eq!(world.outcome(&connection, account).await, "ok", "what the directory gives");
        }
        let gives = format!("/organizations/acme/directories/{}", made["id"].as_str().unwrap());
        let lead = json!({ "default_role": "lead" });
        let (status, problem) = world.root("PATCH", &gives, lead.clone()).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("token_seen_below")));
        let one = format!("{}/{}", tokens(&made), theirs["id"].as_str().unwrap());
        assert_eq!(world.call("DELETE", &one, ROOT_TOKEN, Value::Null).await.0, 204);
        assert_eq!(world.root("PATCH", &gives, lead).await.0, 200);
        assert_eq!(world.members("acme", ADA).await[0]["role"], "lead", "by the directory");
        assert_eq!(world.outcome(&connection, account).await, "own_session_only", "linked: {is_linked}");

        // Nor does whom the connection asks.
        let asks = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
        for directory in [Value::Null, made["id"].clone()] {
            let (status, changed) = world.root("PATCH", &asks, json!({ "directory": directory })).await;
            assert_eq!(status, 200, "{changed}");
            assert_ne!(world.outcome(&connection, account).await, "ok", "asks {directory}");
        }
        let ada = format!("{users}/{}", told["id"].as_str().unwrap());
        assert_eq!(world.call("PUT", &ada, &token, said).await.0, 200);
        assert_eq!(world.outcome(&connection, account).await, "ok", "linked: {is_linked}, said again");
    }
}

#[tokio::test]
async fn who_stays_when_a_directory_goes_has_no_address_by_the_word_of_somebody_below_them() {
    for is_vouched in [true, false] {
        let world = World::new().await;
        let (made, users, token) = directory(&world).await;
        let (_, theirs) = it(&world, &made).await;
        let (status, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "ada")).await;
        assert_eq!(status, 201, "{told}");
        let ada = member(&world, ADA).await;
        let grant = async |role: &str, vouched: bool| {
            let body = json!({ "member": ada, "role": role, "reason": "raised", "vouched": vouched });
            world.made("/organizations/acme/grants", body).await
        };
        grant("admin", false).await;
        // An account of theirs, whose domain is proven and which nobody here has.
        let patch = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "path": "emails", "value": [{ "value": BARBARA, "primary": true }] }],
        });
        let one = format!("{users}/{}", told["id"].as_str().unwrap());
        assert_eq!(world.call("PATCH", &one, theirs["token"].as_str().unwrap(), patch).await.0, 200);
        assert_eq!(member(&world, BARBARA).await, ada, "what the directory says of them is shown");
        let keep = format!("/organizations/acme/directories/{}?people=keep", made["id"].as_str().unwrap());
        let (status, problem) = world.root("DELETE", &keep, Value::Null).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("told_from_below")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&ada), "whose it is: {problem}");
        let account = if is_vouched {
            grant("member", true).await;
            BARBARA
        } else {
            assert_eq!(world.call("PUT", &one, &token, scim_user(ADA, ADA, "ada")).await.0, 200);
            ADA
        };
        assert_eq!(world.root("DELETE", &keep, Value::Null).await.0, 204);
        let connection = world.connection("acme", json!({})).await;
        assert_eq!(world.outcome(&connection, account).await, "ok", "vouched: {is_vouched}");
        assert_eq!(world.members("acme", account).await[0]["role"], "admin");
    }
}

#[tokio::test]
async fn what_came_by_a_connection_of_somebody_below_owner_acts_as_no_owner_before_one_has_confirmed_it() {
    for deleted in [false, true] {
        let world = World::new().await;
        let owner = joined(&world, "acme", "owner@acme.example", "owner").await;
        let owner = world.sessions(&owner).remove(0);
        let admin = joined(&world, "acme", "admin@acme.example", "admin").await;
        let admin = world.sessions(&admin).remove(0);
        let password = joined(&world, "acme", ADA, "lead").await;
        let password = world.sessions(&password).remove(0);
        let path = "/api/v1/organizations/acme/connections";
        let body = json!({
            "kind": "oidc", "name": "Okta", "issuer": world.provider.issuer(), "client_id": "theirs",
            "client_secret": "a-client-secret-for-tests",
        });
        let (status, made) = world.call("POST", path, &admin, body).await;
        assert_eq!((status, &made["confirmed"]), (201, &json!(false)), "{made}");
        world.register("theirs", made["redirect_uri"].as_str().unwrap());
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.sign_in(&mut browser, &made, ADA).await), "ok", "as a lead");
        let session = world.sessions(&browser).remove(0);
        let ada = member(&world, ADA).await;
        let keys = format!("/api/v1/organizations/acme/members/{ada}/keys");
        let key = async |by: &str| {
            let (status, made) = world.call("POST", &keys, by, json!({ "name": "mine" })).await;
            assert_eq!(status, 201, "{made}");
            made["token"].as_str().unwrap().to_owned()
        };
        let (first, own) = (key(&session).await, key(&password).await);
        let second = key(&first).await;
        let me = async |secret: &str| world.call("GET", "/api/v1/me", secret, Value::Null).await.0;
        let all = async || [me(&session).await, me(&first).await, me(&second).await, me(&own).await];
        assert_eq!(all().await, [200; 4], "as a lead");
        if !deleted {
            let grant = json!({ "member": ada, "role": "owner", "reason": "founder" });
            world.made("/organizations/acme/grants", grant).await;
            assert_eq!(all().await, [401, 401, 401, 200], "as an owner");
            assert_eq!(world.decision(&second).await, "not_permitted");
            let confirm = format!("{path}/{}/confirm", made["id"].as_str().unwrap());
            assert_eq!(world.call("POST", &confirm, &owner, Value::Null).await.0, 200);
            assert_eq!(all().await, [200; 4], "an owner has confirmed the connection");
        } else {
            let one = format!("{path}/{}", made["id"].as_str().unwrap());
            assert_eq!(world.call("DELETE", &one, &owner, Value::Null).await.0, 204);
            assert_eq!(all().await, [401, 401, 401, 200], "what came by it goes with it");
        }
    }
}

/// Ada's link, seen by the steward and opened by whoever has it: the session that this made, a key that the session issued,
/// and the browser.
pub async fn by_a_seen_link(world: &World) -> (String, String, Browser) {
    let steward = steward(world).await;
    let link = invited_by(world, &steward, "member").await;
    let mut browser = Browser::new().unwrap();
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
    assert_eq!(outcome(&browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap()), "ok");
    let session = world.sessions(&browser).remove(0);
    let keys = format!("/api/v1/organizations/acme/members/{}/keys", member(world, ADA).await);
    let (status, key) = world.call("POST", &keys, &session, json!({ "name": "laptop" })).await;
    assert_eq!(status, 201, "{key}");
    (session, key["token"].as_str().unwrap().to_owned(), browser)
}

/// A directory tells of Ada; where that is.
async fn told_of(world: &World) -> String {
    let (made, users, token) = directory(world).await;
    let (status, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "ada")).await;
    assert_eq!(status, 201, "{told}");
    format!("/organizations/acme/directories/{}", made["id"].as_str().unwrap())
}

/// The directory gives `admin` from now on.
async fn raised_by(world: &World, directory: &str) {
    assert_eq!(world.root("PATCH", directory, json!({ "default_role": "admin" })).await.0, 200);
    assert_eq!(world.members("acme", ADA).await[0]["role"], "admin");
}

async fn by_password(world: &World) -> u16 {
    world.try_password("203.0.113.9", "", (ADA, PASSWORD)).await.0
}

#[tokio::test]
async fn a_grant_raises_no_password_above_whoever_saw_the_link_unless_somebody_vouches() {
    let world = World::new().await;
    let (session, key, _) = by_a_seen_link(&world).await;
    let ada = member(&world, ADA).await;
    let grant = async |role: &str, vouched: bool| {
        let body = json!({ "member": ada, "role": role, "reason": "raised", "vouched": vouched });
        let (status, made) = world.root("POST", "/organizations/acme/grants", body).await;
        (status, made["code"].as_str().unwrap_or("none").to_owned())
    };
    let refused = (409, "told_from_below".to_owned());
    assert_eq!(grant("admin", false).await, refused);
    assert_eq!(grant("owner", false).await, refused);
    let ops = json!({ "slug": "ops", "rank": 350, "permissions": ["use"] });
    let ops = world.made("/organizations/acme/roles", ops).await;
    assert_eq!(grant("steward", false).await.0, 201, "whoever saw the link stands as high");
    assert_eq!(grant("ops", false).await.0, 201, "whoever saw the link stands above");
    let ops = format!("/organizations/acme/roles/{}", ops["id"].as_str().unwrap());
    let (status, problem) = world.root("PATCH", &ops, json!({ "rank": 450 })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("told_from_below")));
    assert_eq!(grant("owner", true).await.0, 201);
    assert_eq!(
        (world.decision(&session).await, world.decision(&key).await),
        ("allowed".into(), "allowed".into())
    );
    assert_eq!(by_password(&world).await, 303);
}

#[tokio::test]
async fn a_password_opens_nothing_above_whoever_saw_the_link_where_automation_raised_its_member() {
    let world = World::new().await;
    let (session, key, _) = by_a_seen_link(&world).await;
    let connection = world.connection("acme", json!({})).await;
    raised_by(&world, &told_of(&world).await).await;
    for (what, secret) in [("the session", &session), ("the key that it issued", &key)] {
        assert_eq!(world.decision(secret).await, "not_permitted", "{what}");
    }
    assert_eq!(by_password(&world).await, 403);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "her account at the provider nobody has seen");
    let body =
        json!({ "member": member(&world, ADA).await, "role": "admin", "reason": "hers", "vouched": true });
    world.made("/organizations/acme/grants", body).await;
    for secret in [&session, &key] {
        assert_eq!(world.decision(secret).await, "allowed");
    }
    assert_eq!(by_password(&world).await, 303);
}

#[tokio::test]
async fn a_connection_that_is_linked_from_such_a_session_is_believed_no_further() {
    let world = World::new().await;
    let (_, _, mut browser) = by_a_seen_link(&world).await;
    let directory = told_of(&world).await;
    let connection = world.connection("acme", json!({})).await;
    world.provider.sign_in_as(Some(ADA));
    let form = format!("{}/sso/oidc/{}/link", world.base, connection["id"].as_str().unwrap());
    assert_eq!(outcome(&browser.submit(&form, &[]).await.unwrap()), "ok");
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "as far as they stand");
    raised_by(&world, &directory).await;
    assert_eq!(world.outcome(&connection, ADA).await, "own_session_only");
}
