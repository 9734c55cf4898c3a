//! Sessions and local sign-in: rotation and limits, invitations, the first owner, passwords, forms of our own.

use std::time::Duration;

use portcullis_emulator::Browser;
use portcullis_service::{Moment, first_owner};
use portcullis_store::{Priority, Tx};
use serde_json::{Value, json};

use crate::world::{ADA, World, outcome};

/// How long an answer may take before the test says that it never came.
const MAX_WAIT: Duration = Duration::from_secs(30);

pub const PASSWORD: &str = "a long sentence is fine";

/// Invites somebody and accepts in a new browser.
pub async fn joined(world: &World, org: &str, email: &str, role: &str) -> Browser {
    let link = world.invite(org, email, role).await;
    let mut browser = Browser::new().unwrap();
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
    let page = browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    assert_eq!(outcome(&page), "ok");
    browser
}

#[tokio::test]
async fn each_sign_in_makes_a_new_secret_and_ends_the_former_one() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    let mut browser = Browser::new().unwrap();
    world.sign_in(&mut browser, &connection, ADA).await;
    let first = world.sessions(&browser);
    world.sign_in(&mut browser, &connection, ADA).await;
    let second = world.sessions(&browser);
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
    assert_eq!(world.decision(&first[0]).await, "token_ended");
    assert_eq!(world.decision(&second[0]).await, "allowed");
    let ended = world.events("acme", "token.ended").await;
    assert!(ended.iter().any(|e| e.to_string().contains("replaced")), "{ended:?}");
    let page = browser.submit(&format!("{}/logout", world.base), &[]).await.unwrap();
    assert_eq!(page.url.path(), "/login");
    assert_eq!(world.decision(&second[0]).await, "token_ended");
    assert!(world.sessions(&browser).is_empty());
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_after_twelve_hours_in_any_case() {
    let world = World::new().await;
    let mut idle = joined(&world, "acme", ADA, "member").await;
    let mut busy = joined(&world, "acme", "barbara@acme.example", "member").await;
    let home = format!("{}/", world.base);
    let store_uses = async || {
        let uses = world.portcullis.uses().take();
        let store = move |tx: &mut portcullis_store::Tx<'_>, _: &mut portcullis_service::Moment| {
            portcullis_service::token_use::store(tx, &uses)
        };
        world.portcullis.write(Priority::Ordinary, store).await.unwrap();
    };
    for hour in 0..12 {
        assert_eq!(outcome(&busy.open(&home).await.unwrap()), "ok", "hour {hour}");
        store_uses().await;
        world.clock.pass_s(3500);
    }
    assert_eq!(idle.open(&home).await.unwrap().url.path(), "/login", "idle for an hour");
    assert_eq!(outcome(&busy.open(&home).await.unwrap()), "ok");
    store_uses().await;
    world.clock.pass_s(1300);
    assert_eq!(busy.open(&home).await.unwrap().url.path(), "/login", "twelve hours");
}

#[tokio::test]
async fn looking_at_an_invitation_uses_nothing_and_accepting_it_is_good_once() {
    let world = World::new().await;
    let link = world.invite("acme", ADA, "member").await;
    let mut scanner = Browser::new().unwrap();
    for _ in 0..3 {
        let page = scanner.open(&link).await.unwrap();
        assert!(page.status == 200 && page.body.contains("Acme") && page.body.contains(ADA), "{}", page.body);
    }
    assert_eq!(world.members("acme", ADA).await[0]["state"], "invited");
    let token = link.rsplit_once('=').unwrap().1;
    let form = format!("{}/invite", world.base);
    let mut browser = Browser::new().unwrap();
    for weak in ["short", "password123", ADA, "aaaaaaaaaaaa"] {
        let page = browser.submit(&form, &[("token", token), ("password", weak)]).await.unwrap();
        assert_eq!(page.status, 400, "`{weak}`");
        assert!(page.body.contains("The password"), "{}", page.body);
    }
    let page = browser.submit(&form, &[("token", token), ("password", PASSWORD)]).await.unwrap();
    assert_eq!(outcome(&page), "ok");
    let member = &world.members("acme", ADA).await[0];
    assert_eq!((member["state"].as_str(), member["role"].as_str()), (Some("active"), Some("member")));
    assert_eq!(outcome(&scanner.open(&link).await.unwrap()), "link_invalid");
    let again = scanner.submit(&form, &[("token", token), ("password", PASSWORD)]).await.unwrap();
    assert_eq!(outcome(&again), "link_invalid");
    let (_, list) = world.root("GET", "/organizations/acme/invitations", Value::Null).await;
    assert_eq!(list["items"][0]["state"], "accepted", "{list}");
    assert!(!list.to_string().contains("pc_invite_"), "no secret in a list");
}

#[tokio::test]
async fn an_invitation_runs_out_is_taken_back_and_goes_by_rank() {
    let world = World::new().await;
    let old = world.invite("acme", ADA, "member").await;
    let new = world.invite("acme", ADA, "viewer").await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&browser.open(&old).await.unwrap()), "link_invalid", "a newer one took its place");
    assert_eq!(browser.open(&new).await.unwrap().status, 200);
    assert_eq!(world.members("acme", ADA).await[0]["role"], "viewer");
    let (_, list) = world.root("GET", "/organizations/acme/invitations", Value::Null).await;
    let pending = list["items"].as_array().unwrap().iter().find(|i| i["state"] == "pending").unwrap();
    let path = format!("/organizations/acme/invitations/{}", pending["id"].as_str().unwrap());
    assert_eq!(world.root("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(outcome(&browser.open(&new).await.unwrap()), "link_invalid", "taken back");
    assert_eq!(world.members("acme", ADA).await[0]["state"], "deprovisioned", "whoever waited waits no more");
    let third = world.invite("acme", ADA, "member").await;
    world.clock.pass_s(7 * 24 * 3600 - 1);
    assert_eq!(browser.open(&third).await.unwrap().status, 200, "to the last second");
    world.clock.pass_s(1);
    assert_eq!(outcome(&browser.open(&third).await.unwrap()), "link_invalid", "a week");
    let admin = joined(&world, "acme", "admin@acme.example", "admin").await;
    let key = world.sessions(&admin).remove(0);
    let invitations = "/api/v1/organizations/acme/invitations";
    let owner = json!({ "email": "boss@acme.example", "role": "owner" });
    let (status, problem) = world.call("POST", invitations, &key, owner).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (403, "above_own_rank"));
    let member = json!({ "email": "admin@acme.example", "role": "member" });
    let (status, problem) = world.call("POST", invitations, &key, member).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (409, "taken"));
    let equal = json!({ "email": "second@acme.example", "role": "admin" });
    let (_, invited) = world.call("POST", invitations, &key, equal).await;
    let link = invited["link"].as_str().unwrap();
    assert_eq!(browser.open(link).await.unwrap().status, 200, "up to the rank of whoever invites");
}

#[tokio::test]
async fn the_link_of_somebody_who_is_suspended_is_no_way_back_for_them() {
    let world = World::new().await;
    let admin = joined(&world, "acme", "admin@acme.example", "admin").await;
    let key = world.sessions(&admin).remove(0);
    let guest = json!({ "email": "guest@elsewhere.example", "role": "member" });
    let (_, invited) = world.call("POST", "/api/v1/organizations/acme/invitations", &key, guest).await;
    let link = invited["link"].as_str().unwrap();
    let of_root = world.invite("acme", "other@elsewhere.example", "member").await;
    let member = world.members("acme", "admin@acme.example").await[0]["id"].as_str().unwrap().to_owned();
    let mut browser = Browser::new().unwrap();
    for (state, status) in [("suspended", 400), ("active", 200)] {
        let path = format!("/organizations/acme/members/{member}");
        assert_eq!(world.root("PATCH", &path, json!({ "state": state })).await.0, 200);
        assert_eq!(browser.open(link).await.unwrap().status, status, "{state}");
        assert_eq!(browser.open(&of_root).await.unwrap().status, 200, "whoever else invited");
    }
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
    let page = browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    assert_eq!(outcome(&page), "ok");
}

#[tokio::test]
async fn what_a_page_is_asked_with_twice_is_refused_by_a_page_of_ours() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    let path = |url: &Value| url.as_str().unwrap().strip_prefix(&world.base).unwrap().to_owned();
    let login = path(&connection["login_url"]);
    let arrive = login.replace("/login", "/arrive");
    let mut browser = Browser::new().unwrap();
    for asked in [
        "/login?email=a@acme.example&email=b@acme.example".to_owned(),
        "/login?return_to=/&return_to=/".to_owned(),
        "/invite?token=a&token=b".to_owned(),
        "/setup/owner?token=a&token=b".to_owned(),
        "/sso/acme?email=a&email=b".to_owned(),
        format!("{login}?return_to=/&return_to=/"),
        format!("{arrive}?ticket=a&ticket=b"),
    ] {
        let page = browser.open(&format!("{}{asked}", world.base)).await.unwrap();
        assert_eq!((page.status, outcome(&page).as_str()), (400, "invalid_field"), "{asked}: {}", page.body);
    }
    let page = browser.open(&format!("{}/login?utm_source=mail", world.base)).await.unwrap();
    assert_eq!(page.status, 200, "what is not ours is left aside");
}

#[tokio::test]
async fn an_invitation_of_somebody_who_came_by_a_directory_meanwhile_ends_and_takes_nobody_along() {
    let world = World::new().await;
    let link = world.invite("acme", ADA, "member").await;
    let directory = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
    let made = world.made("/organizations/acme/directories", directory).await;
    let users = format!("{}/Users", made["base_url"].as_str().unwrap().strip_prefix(&world.base).unwrap());
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": ADA, "active": true,
    });
    assert_eq!(world.call("POST", &users, made["token"].as_str().unwrap(), user).await.0, 201);
    let ada = world.members("acme", ADA).await.remove(0);
    assert_eq!(ada["state"], "active", "{ada}");
    let mut browser = Browser::new().unwrap();
    assert_eq!(browser.open(&link).await.unwrap().status, 200, "still a way to a password");
    let member = format!("/organizations/acme/members/{}", ada["id"].as_str().unwrap());
    let state = async |wanted: &str| {
        let (status, _) = world.root("PATCH", &member, json!({ "state": wanted })).await;
        assert_eq!(status, 200);
    };
    state("suspended").await;
    assert_eq!(outcome(&browser.open(&link).await.unwrap()), "link_invalid", "not while they are suspended");
    state("active").await;
    let (_, list) = world.root("GET", "/organizations/acme/invitations", Value::Null).await;
    let path = format!("/organizations/acme/invitations/{}", list["items"][0]["id"].as_str().unwrap());
    assert_eq!(world.root("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(outcome(&browser.open(&link).await.unwrap()), "link_invalid");
    assert_eq!(world.members("acme", ADA).await[0]["state"], "active", "their life is the directory's");
}

/// Of whom the administrators of `acme` are told that a password was wrong, as soon as they are told of anybody:
/// nobody who signs in waits for it.
async fn wrong_ones(world: &World) -> Vec<String> {
    for _ in 0..500 {
        world.portcullis.store_traces().await.unwrap();
        let path = "/organizations/acme/traces?outcome=wrong_password";
        let (_, traces) = world.root("GET", path, Value::Null).await;
        let items = traces["items"].as_array().unwrap();
        if !items.is_empty() {
            return items.iter().map(|t| t["subject"].as_str().unwrap().to_owned()).collect();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Vec::new()
}

#[tokio::test]
async fn a_password_signs_in_and_wrong_ones_are_answered_alike_and_throttled() {
    let world = World::new().await;
    joined(&world, "acme", ADA, "member").await;
    // Joining was a try at the address too.
    world.clock.pass_s(15 * 60);
    let form = format!("{}/login", world.base);
    let mut browser = Browser::new().unwrap();
    let mut tried = async |email: &str, password: &str| {
        let fields = [("email", email), ("password", password), ("return_to", "/console")];
        browser.submit(&form, &fields).await.unwrap()
    };
    assert_eq!(tried(ADA, PASSWORD).await.url.path(), "/console");
    let wrong = tried(ADA, "not this one, no").await;
    let unknown = tried("nobody@acme.example", "not this one, no").await;
    assert_eq!((wrong.status, unknown.status), (403, 403));
    assert_eq!(
        wrong.body.replace(ADA, "(address)"),
        unknown.body.replace("nobody@acme.example", "(address)")
    );
    assert_eq!(
        wrong_ones(&world).await,
        [ADA],
        "administrators are told, and of nobody whom they do not have"
    );
    for _ in 0..9 {
        assert_eq!(tried(ADA, "not this one, no").await.status, 403);
    }
    for passed_s in [0, 15 * 60 - 1] {
        world.clock.pass_s(passed_s);
        assert_eq!(tried(ADA, PASSWORD).await.status, 429, "even the right one waits");
    }
    world.clock.pass_s(1);
    assert_eq!(outcome(&tried(ADA, PASSWORD).await), "ok", "after a quarter of an hour");
}

#[tokio::test]
async fn a_whole_office_behind_one_address_signs_in_and_its_wrong_tries_stay_counted() {
    let world = World::new().await;
    joined(&world, "acme", ADA, "member").await;
    let tried = async |email: &str, password: &str| {
        let fields = [("email", email), ("password", password), ("return_to", "/console")];
        let mut browser = Browser::new().unwrap();
        browser.submit(&format!("{}/login", world.base), &fields).await.unwrap()
    };
    for number in 0..59 {
        let wrong = tried(&format!("somebody-{number}@acme.example"), "a guess that is wrong").await;
        assert_ne!(wrong.status, 429, "{number}");
        if number % 2 == 0 {
            assert_eq!(outcome(&tried(ADA, PASSWORD).await), "ok", "{number}");
        }
    }
    assert_eq!(outcome(&tried(ADA, PASSWORD).await), "ok");
    assert_ne!(tried("one-more@acme.example", "a guess that is wrong").await.status, 429);
    for passed_s in [0, 15 * 60 - 1] {
        world.clock.pass_s(passed_s);
        assert_eq!(tried(ADA, PASSWORD).await.status, 429, "sixty wrong ones from one source");
    }
    world.clock.pass_s(1);
    assert_eq!(outcome(&tried(ADA, PASSWORD).await), "ok", "after a quarter of an hour");
}

#[tokio::test]
async fn a_person_in_two_organizations_proves_one_password_and_chooses() {
    let world = World::new().await;
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    joined(&world, "acme", ADA, "member").await;
    let link = world.invite("globex", ADA, "viewer").await;
    let mut browser = Browser::new().unwrap();
    let token = link.rsplit_once('=').unwrap().1;
    let invite = format!("{}/invite", world.base);
    let page = browser.submit(&invite, &[("token", token), ("password", PASSWORD)]).await.unwrap();
    assert_eq!(outcome(&page), "ok");
    let (acme, globex) =
        (world.members("acme", ADA).await.remove(0), world.members("globex", ADA).await.remove(0));
    assert_eq!(acme["user"]["id"], globex["user"]["id"], "one user, two memberships");
    let mut browser = Browser::new().unwrap();
    let login = format!("{}/login", world.base);
    browser.open(&login).await.unwrap();
    let page = browser.submit(&login, &[("email", ADA), ("password", PASSWORD)]).await.unwrap();
    assert!(page.body.contains("Acme") && page.body.contains("Globex"), "{}", page.body);
    assert!(world.sessions(&browser).is_empty(), "nothing is opened before the choice");
    let ticket = page.body.split_once("name=\"ticket\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let choose = format!("{}/login/choose", world.base);
    let chosen = [("ticket", ticket), ("membership", globex["id"].as_str().unwrap())];
    let mut thief = Browser::new().unwrap();
    assert_eq!(outcome(&thief.submit(&choose, &chosen).await.unwrap()), "choice_invalid");
    assert_eq!(outcome(&browser.submit(&choose, &chosen).await.unwrap()), "ok");
    let (_, me) = world.call("GET", "/api/v1/me", &world.sessions(&browser)[0], Value::Null).await;
    assert_eq!(me["membership"], globex["id"], "{me}");
    let other = [("ticket", ticket), ("membership", acme["id"].as_str().unwrap())];
    assert_eq!(outcome(&browser.submit(&choose, &other).await.unwrap()), "ok", "a browser holds both");
    let both = world.sessions(&browser);
    assert_eq!(both.len(), 2);
    for (org, must) in [("acme", 200), ("globex", 403), ("nowhere", 401)] {
        assert_eq!(world.passes(org, &both.join(".")).await, must, "a proxy asks for {org}");
    }
    world.clock.pass_s(300);
    assert_eq!(outcome(&browser.submit(&choose, &other).await.unwrap()), "choice_invalid", "five minutes");
}

/// What the page behind a link says, without the link's own secret.
async fn shown(browser: &mut Browser, link: &str) -> String {
    let page = browser.open(link).await.unwrap();
    assert_eq!(page.status, 200);
    page.body.replace(link.rsplit_once('=').unwrap().1, "(secret)")
}

#[tokio::test]
async fn no_organization_learns_whom_another_has_nor_takes_an_address_from_it() {
    let world = World::new().await;
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    joined(&world, "acme", ADA, "member").await;
    let invite = format!("{}/invite", world.base);
    let accept = async |link: &str, password: &str| {
        let mut browser = Browser::new().unwrap();
        let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", password)];
        let page = browser.submit(&invite, &fields).await.unwrap();
        (page.status, outcome(&page), world.sessions(&browser))
    };
    let known = world.invite("globex", ADA, "viewer").await;
    let unknown = world.invite("globex", "nobody@acme.example", "viewer").await;
    let mut browser = Browser::new().unwrap();
    let pages = [shown(&mut browser, &known).await, shown(&mut browser, &unknown).await];
    assert_eq!(pages[0].replace(ADA, "(address)"), pages[1].replace("nobody@acme.example", "(address)"));
    // Whoever has the link and not the password is somebody else, and is answered alike.
    for link in [&known, &unknown] {
        let (status, outcome, sessions) = accept(link, "the administrator's own").await;
        assert_eq!((status, outcome.as_str(), sessions.len()), (200, "ok", 1));
    }
    let of = async |org: &str| world.members(org, ADA).await[0]["user"]["id"].clone();
    assert_ne!(of("acme").await, of("globex").await, "nobody became Ada");
    // Each password leads where it was set and nowhere else.
    let login = format!("{}/login", world.base);
    for (password, org) in [(PASSWORD, "acme"), ("the administrator's own", "globex")] {
        let mut browser = Browser::new().unwrap();
        let page = browser.submit(&login, &[("email", ADA), ("password", password)]).await.unwrap();
        assert_eq!(outcome(&page), "ok", "{org}");
        let (_, me) = world.call("GET", "/api/v1/me", &world.sessions(&browser)[0], Value::Null).await;
        assert_eq!(me["organization"]["slug"], json!(org), "{me}");
    }
    // A third one's invitation of the real person is theirs to accept.
    world.made("/organizations", json!({ "slug": "initech", "name": "Initech" })).await;
    let third = world.invite("initech", ADA, "member").await;
    assert_eq!(accept(&third, PASSWORD).await.1, "ok");
    assert_eq!(of("initech").await, of("acme").await, "the same person, by the password that they said");
    // And who has one password in two places as two people chooses among all of it.
    world.made("/organizations", json!({ "slug": "umbrella", "name": "Umbrella" })).await;
    let fourth = world.invite("umbrella", "nobody@acme.example", "member").await;
    assert_eq!(accept(&fourth, "one of their own, new").await.1, "ok");
}

#[tokio::test]
async fn wrong_tries_from_everywhere_lock_nobody_out_of_their_own_house_or_browser() {
    let world = World::new().await;
    joined(&world, "acme", ADA, "owner").await;
    // Joining was a try at the address too.
    world.clock.pass_s(3_600);
    let tried = async |source: &str, cookie: &str, password: &str| {
        world.try_password(source, cookie, (ADA, password)).await
    };
    let (status, session) = tried("203.0.113.1", "", PASSWORD).await;
    assert_eq!(status, 303, "signed in at home");
    for source in 1..=6 {
        for n in 0..10 {
            let (status, _) = tried(&format!("2001:db8:0:{source}::{n}"), "", "a guess, a wrong one").await;
            assert_eq!(status, 403, "{source} {n}");
        }
        let (status, _) = tried(&format!("2001:db8:0:{source}::ffff"), "", PASSWORD).await;
        assert_eq!(status, 429, "a whole /64 is one source");
    }
    assert_eq!(tried("198.51.100.1", "", PASSWORD).await.0, 429, "sixty from everywhere are enough");
    assert_eq!(tried("203.0.113.1", "", PASSWORD).await.0, 303, "but for their own house");
    assert_eq!(tried("198.51.100.2", &session, PASSWORD).await.0, 303, "and for their own browser");
    for _ in 0..10 {
        assert_eq!(tried("203.0.113.1", "", "a guess, a wrong one").await.0, 403);
    }
    assert_eq!(tried("203.0.113.1", "", PASSWORD).await.0, 429, "whose tries are counted too");
}

#[tokio::test]
async fn the_first_owner_makes_organization_and_ownership_together_once() {
    let world = World::empty().await;
    let issue = async || {
        let issued = world.portcullis.write(Priority::Ordinary, first_owner::issue_link);
        issued.await.unwrap()
    };
    let former = issue().await.unwrap();
    let secret = issue().await.unwrap();
    let link = first_owner::text(world.portcullis.around(), &secret);
    let mut browser = Browser::new().unwrap();
    for _ in 0..2 {
        assert_eq!(browser.open(&link).await.unwrap().status, 200, "looking uses nothing");
    }
    let old = first_owner::text(world.portcullis.around(), &former);
    assert_eq!(outcome(&browser.open(&old).await.unwrap()), "link_invalid", "a newer one took its place");
    let form = format!("{}/setup/owner", world.base);
    let fields = |slug: &'static str| {
        let token = link.rsplit_once('=').unwrap().1.to_owned();
        vec![
            ("token", token),
            ("organization", "Acme".to_owned()),
            ("slug", slug.to_owned()),
            ("name", "Ada Abel".to_owned()),
            ("email", ADA.to_owned()),
            ("password", PASSWORD.to_owned()),
        ]
    };
    let submit = async |browser: &mut Browser, fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        browser.submit(&form, &fields).await.unwrap()
    };
    let wrong = submit(&mut browser, fields("No Slug")).await;
    assert_eq!(wrong.status, 400);
    assert!(
        wrong.body.contains(ADA) && !wrong.body.contains(PASSWORD),
        "what was typed stays, the password not"
    );
    assert_eq!(outcome(&submit(&mut browser, fields("acme")).await), "ok");
    let member = &world.members("acme", ADA).await[0];
    assert_eq!((member["state"].as_str(), member["role"].as_str()), (Some("active"), Some("owner")));
    assert_eq!(outcome(&browser.open(&link).await.unwrap()), "link_invalid");
    assert_eq!(outcome(&submit(&mut browser, fields("second")).await), "link_invalid");
    assert!(issue().await.is_none(), "nobody is first twice");
}

#[tokio::test]
async fn the_first_owner_link_lives_an_hour_and_an_organizations_link_is_accepted_there_too() {
    let world = World::empty().await;
    let issued = world.portcullis.write(Priority::Ordinary, first_owner::issue_link);
    let link = first_owner::text(world.portcullis.around(), &issued.await.unwrap().unwrap());
    world.clock.pass_s(3600);
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&browser.open(&link).await.unwrap()), "link_invalid");
    let body = json!({ "slug": "acme", "name": "Acme", "owner_email": ADA });
    let made = world.made("/organizations", body).await;
    let link = made["owner_link"].as_str().unwrap();
    assert!(browser.open(link).await.unwrap().body.contains("Acme"));
    let token = link.rsplit_once('=').unwrap().1;
    let fields = [("token", token), ("password", PASSWORD)];
    let page = browser.submit(&format!("{}/setup/owner", world.base), &fields).await.unwrap();
    assert_eq!(outcome(&page), "ok");
    assert_eq!(world.members("acme", ADA).await[0]["role"], "owner");
}

#[tokio::test]
async fn whoever_guesses_first_owner_links_waits_a_quarter_of_an_hour_and_the_link_stays_good() {
    let world = World::empty().await;
    let issued = world.portcullis.write(Priority::Ordinary, first_owner::issue_link);
    let link = first_owner::text(world.portcullis.around(), &issued.await.unwrap().unwrap());
    let mut browser = Browser::new().unwrap();
    let mut submit = async |token: &str| {
        let fields = [
            ("token", token),
            ("organization", "Acme"),
            ("slug", "acme"),
            ("name", "Ada Abel"),
            ("email", ADA),
            ("password", PASSWORD),
        ];
        browser.submit(&format!("{}/setup/owner", world.base), &fields).await.unwrap()
    };
    for number in 0..30 {
        assert_eq!(outcome(&submit("pc_setup_guessed").await), "link_invalid", "{number}");
    }
    let token = link.rsplit_once('=').unwrap().1;
    for passed_s in [0, 15 * 60 - 1] {
        world.clock.pass_s(passed_s);
        assert_eq!(submit(token).await.status, 429, "thirty wrong ones from one source");
    }
    world.clock.pass_s(1);
    assert_eq!(outcome(&submit(token).await), "ok");
}

#[tokio::test]
async fn a_form_of_another_origin_is_not_read() {
    let world = World::new().await;
    let browser = joined(&world, "acme", ADA, "member").await;
    let session = world.sessions(&browser).remove(0);
    let cookie = format!("portcullis={session}");
    let body = format!("email={ADA}&password={}", PASSWORD.replace(' ', "+"));
    for path in ["/login", "/logout", "/invite", "/setup/owner", "/login/choose"] {
        for headers in [
            vec![("cookie", cookie.as_str())],
            vec![("cookie", cookie.as_str()), ("origin", "https://evil.example")],
            vec![("cookie", cookie.as_str()), ("origin", "null")],
            vec![("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")],
        ] {
            let (status, text) = world.form(path, &headers, &body).await;
            assert!(status == 403 && text.contains("foreign_origin"), "{path} {headers:?}: {status} {text}");
        }
    }
    assert_eq!(world.decision(&session).await, "allowed", "nobody was signed out");
    let own = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(world.form("/logout", &own, "").await.0, 303);
    assert_eq!(world.decision(&session).await, "token_ended");
}

#[tokio::test]
async fn whoever_has_no_session_signs_out_without_the_writer_which_others_wait_for() {
    let world = World::new().await;
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let (portcullis, mut gate) = (world.portcullis.clone(), Some((begun, may_go)));
    let busy = tokio::spawn(async move {
        let hold = move |_: &mut Tx<'_>, _: &mut Moment| {
            if let Some((begun, may_go)) = gate.take() {
                begun.send(()).unwrap();
                may_go.recv().unwrap();
            }
            Ok(())
        };
        portcullis.write(Priority::Ordinary, hold).await.unwrap();
    });
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    let made_up = format!("portcullis={}", "pc_session_".to_owned() + &"A".repeat(43));
    for headers in [vec![], vec![("cookie", made_up.as_str())]] {
        let headers = [headers, vec![("sec-fetch-site", "same-origin")]].concat();
        let answer = world.form("/logout", &headers, "");
        let (status, _) = tokio::time::timeout(MAX_WAIT, answer).await.unwrap();
        assert_eq!(status, 303);
    }
    go.send(()).unwrap();
    busy.await.unwrap();
}

/// One person in that many organizations, joined in one browser, a minute apart.
async fn in_many(world: &World, count: usize) -> Browser {
    let mut browser = Browser::new().unwrap();
    for n in 0..count {
        let slug = format!("org-{n}");
        world.made("/organizations", json!({ "slug": slug, "name": slug })).await;
        let link = world.invite(&slug, ADA, "member").await;
        let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
        let page = browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
        assert_eq!(outcome(&page), "ok");
        world.clock.pass_s(60);
    }
    browser
}

#[tokio::test]
async fn a_browser_holds_eight_sessions_and_the_oldest_ends_for_a_ninth() {
    let world = World::new().await;
    let mut browser = in_many(&world, 8).await;
    let eight = world.sessions(&browser);
    assert_eq!(eight.len(), 8);
    let link = world.invite("acme", ADA, "member").await;
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
    browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    let held = world.sessions(&browser);
    assert_eq!(held.len(), 8, "{held:?}");
    let mut ended = Vec::new();
    for secret in &eight {
        let decision = world.decision(secret).await;
        assert_eq!(decision == "allowed", held.contains(secret), "what is not held lives on for nobody");
        ended.extend((decision == "token_ended").then_some(secret));
    }
    let oldest = world.events("org-0", "token.ended").await;
    assert_eq!(ended.len(), 1);
    assert!(oldest.iter().any(|event| event.to_string().contains("replaced")), "the first that was opened");
}

#[tokio::test]
async fn signing_out_of_one_organization_keeps_the_others() {
    let world = World::new().await;
    let mut browser = in_many(&world, 2).await;
    let issued = world.events("org-0", "token.issued").await;
    let session = issued.iter().find(|event| event.to_string().contains("session")).unwrap();
    let token = session["targets"][0]["id"].as_str().unwrap();
    let before = world.sessions(&browser);
    browser.submit(&format!("{}/logout", world.base), &[("token", token)]).await.unwrap();
    let kept = world.sessions(&browser);
    assert_eq!(kept.len(), 1);
    for secret in &before {
        let expected = if kept.contains(secret) { "allowed" } else { "token_ended" };
        assert_eq!(world.decision(secret).await, expected);
    }
    for (org, is_over) in [("org-0", true), ("org-1", false)] {
        let ended = world.events(org, "token.ended").await;
        assert_eq!(ended.iter().any(|event| event.to_string().contains("signed_out")), is_over, "{org}");
    }
}

/// Whose administrators are told of a wrong password, once somebody is.
async fn told_of_wrong(world: &World) -> Vec<&'static str> {
    for _ in 0..200 {
        world.portcullis.store_traces().await.unwrap();
        let mut told = Vec::new();
        for org in ["acme", "globex"] {
            let path = format!("/organizations/{org}/traces?outcome=wrong_password");
            let (_, traces) = world.root("GET", &path, Value::Null).await;
            told.extend((!traces["items"].as_array().unwrap().is_empty()).then_some(org));
        }
        if !told.is_empty() {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Vec::new()
}

#[tokio::test]
async fn no_organization_is_told_where_somebody_else_at_the_same_address_signs_in() {
    const FAR: &str = "203.0.113.9";
    for (address, told_from_far) in [(ADA, vec!["acme"]), ("ada@nobodys.example", vec![])] {
        let world = World::new().await;
        world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
        joined(&world, "acme", address, "member").await;
        // An administrator of globex invites the address, takes the link and sets a password of their own.
        let link = world.invite("globex", address, "member").await;
        let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", "planted by somebody else")];
        let invite = format!("{}/invite", world.base);
        let page = Browser::new().unwrap().submit(&invite, &fields).await.unwrap();
        assert_eq!(outcome(&page), "ok");
        let (status, _) = world.try_password(FAR, "", (address, "mistyped, quite")).await;
        assert_eq!(status, 403);
        assert_eq!(told_of_wrong(&world).await, told_from_far, "{address}, from where nobody is at home");
        let (status, _) = world.try_password("203.0.114.9", "", (address, PASSWORD)).await;
        assert_eq!(status, 303, "now the person of acme is at home there");
        let (status, _) = world.try_password("203.0.114.9", "", (address, "mistyped, quite")).await;
        assert_eq!(status, 403);
        assert_eq!(told_of_wrong(&world).await, ["acme"], "{address}, from home");
    }
}
