//! The hosted pages themselves: what their forms take, what they say, and what is left of whoever is refused by one.

use portcullis_emulator::Browser;
use portcullis_service::first_owner;
use portcullis_store::Priority;
use serde_json::{Value, json};

use crate::local::{PASSWORD, joined};
use crate::world::{ADA, World, outcome};

/// The tag of a page's field of that name.
fn field<'p>(page: &'p str, name: &str) -> &'p str {
    let marked = format!("name=\"{name}\"");
    let tag = page.split('<').find(|tag| tag.starts_with("input") && tag.contains(&marked));
    tag.unwrap_or_else(|| panic!("no `{name}` in {page}"))
}

/// Both pages on which a password is chosen, the first owner's and a link's, and the two on which it is said.
async fn four_pages(world: &World) -> [String; 4] {
    let issued = world.portcullis.write(Priority::Ordinary, first_owner::issue_link).await.unwrap();
    let first = first_owner::text(world.portcullis.around(), &issued.unwrap());
    let invited = world.invite("acme", ADA, "member").await;
    let mut pages = Vec::new();
    for address in
        [first, invited, format!("{}/login", world.base), format!("{}/login?email={ADA}", world.base)]
    {
        let page = Browser::new().unwrap().open(&address).await.unwrap();
        assert_eq!(page.status, 200, "{address}");
        pages.push(page.body);
    }
    pages.try_into().unwrap()
}

#[tokio::test]
async fn no_page_cuts_a_password_that_is_pasted_into_it() {
    let world = World::new().await;
    let [first, invited, ..] = four_pages(&world).await;
    for page in [&first, &invited] {
        let password = field(page, "password");
        assert!(!password.contains("maxlength") && !password.contains("minlength"), "{password}");
    }
    let link = world.invite("acme", ADA, "member").await;
    let long = "x1".repeat(75);
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", long.as_str())];
    let page = Browser::new().unwrap().submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    assert_eq!(page.status, 400, "is told");
    assert!(page.body.contains("at most 128 characters"), "{}", page.body);
}

#[tokio::test]
async fn an_address_beyond_ascii_signs_in_by_the_page_however_its_domain_is_written() {
    let world = World::new().await;
    let [first, _, asking, _] = four_pages(&world).await;
    for page in [&first, &asking] {
        let email = field(page, "email");
        assert!(email.contains("type=\"email\""), "{email}");
        let form = page.split("<form").nth(1).and_then(|form| form.split('>').next()).unwrap();
        assert!(form.contains("novalidate"), "browsers hold such a local part back: {form}");
    }
    for (kept, typed) in [
        ("jürgen@acme.example", "jürgen@acme.example"),
        ("jürgen@xn--mller-kva.example", "Jürgen@Müller.example"),
    ] {
        joined(&world, "acme", kept, "member").await;
        let mut browser = Browser::new().unwrap();
        let form = [("email", typed), ("password", PASSWORD)];
        let page = browser.submit(&format!("{}/login", world.base), &form).await.unwrap();
        assert_eq!(outcome(&page), "ok", "{typed}");
    }
    let asked = format!("{}/login?email=ada%40M%C3%BCller.example", world.base);
    let page = Browser::new().unwrap().open(&asked).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
}

#[tokio::test]
async fn a_password_is_the_same_whether_its_accents_are_typed_composed_or_apart() {
    let world = World::new().await;
    let (apart, composed) = ("ma\u{323}\u{302}t kha\u{302}\u{309}u", "m\u{1ead}t kh\u{1ea9}u");
    for (chosen, said, email) in [(apart, composed, ADA), (composed, apart, "bob@acme.example")] {
        let link = world.invite("acme", email, "member").await;
        let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", chosen)];
        let page = Browser::new().unwrap().submit(&format!("{}/invite", world.base), &fields).await.unwrap();
        assert_eq!(outcome(&page), "ok");
        for password in [said, chosen] {
            let (status, _) = world.try_password("198.51.100.1", "", (email, password)).await;
            assert_eq!(status, 303, "{chosen:?} {password:?}");
        }
    }
}

/// The traces of sign-ins with that outcome, of an organization.
async fn traces(world: &World, org: &str, outcome: &str) -> Vec<Value> {
    for _ in 0..200 {
        world.portcullis.store_traces().await.unwrap();
        let path = format!("/organizations/{org}/traces?kind=sign_in&outcome={outcome}");
        let (_, traces) = world.root("GET", &path, Value::Null).await;
        let items = traces["items"].as_array().unwrap();
        if !items.is_empty() {
            return items.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    Vec::new()
}

async fn set_state(world: &World, org: &str, email: &str, state: &str) {
    let member = world.members(org, email).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/organizations/{org}/members/{member}");
    assert_eq!(world.root("PATCH", &path, json!({ "state": state })).await.0, 200);
}

#[tokio::test]
async fn a_sign_in_by_password_leaves_a_trace_and_so_does_the_first_that_is_kept_waiting() {
    let world = World::new().await;
    joined(&world, "acme", ADA, "member").await;
    // Joining was a try at the address too.
    world.clock.pass_s(15 * 60);
    let tried = async |password: &str| world.try_password("198.51.100.1", "", (ADA, password)).await.0;
    assert_eq!(tried(PASSWORD).await, 303);
    let told = traces(&world, "acme", "ok").await;
    assert_eq!((told.len(), &told[0]["subject"]), (1, &json!(ADA)), "{told:?}");
    assert!(told[0]["content"]["token"].is_string(), "{told:?}");
    for round in 1..3 {
        for _ in 0..10 {
            assert_eq!(tried("another, a wrong one").await, 403);
        }
        for _ in 0..3 {
            assert_eq!(tried(PASSWORD).await, 429);
        }
        let mut told = Vec::new();
        for _ in 0..200 {
            told = traces(&world, "acme", "too_many_attempts").await;
            if told.len() >= round {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(told.len(), round, "the first of those that wait: {told:?}");
        assert_eq!(told[0]["subject"], json!(ADA));
        world.clock.pass_s(15 * 60);
    }
}

#[tokio::test]
async fn a_right_password_that_is_refused_is_found_under_the_id_that_its_page_names() {
    let world = World::new().await;
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    joined(&world, "acme", ADA, "member").await;
    joined(&world, "globex", ADA, "member").await;
    let login = format!("{}/login", world.base);
    let mut browser = Browser::new().unwrap();
    browser.open(&login).await.unwrap();
    let form = [("email", ADA), ("password", PASSWORD)];
    let page = browser.submit(&login, &form).await.unwrap();
    let ticket = page.body.split_once("name=\"ticket\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let of_globex = world.members("globex", ADA).await[0]["id"].as_str().unwrap().to_owned();
    set_state(&world, "globex", ADA, "suspended").await;
    let chosen = [("ticket", ticket), ("membership", &of_globex)];
    let page = browser.submit(&format!("{login}/choose"), &chosen).await.unwrap();
    let request = |page: &str| page.split_once("<code>req_").unwrap().1.split_once('<').unwrap().0.to_owned();
    assert_eq!(outcome(&page), "member_inactive");
    let told = traces(&world, "globex", "member_inactive").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["request_id"], json!(format!("req_{}", request(&page.body))), "{told:?}");
    assert_eq!(told[0]["subject"], json!(ADA));
    let path = "/organizations/globex/audit-events?action=sign_in.refused";
    let (_, events) = world.root("GET", path, Value::Null).await;
    let event = &events["items"][0];
    assert_eq!((&event["detail"]["code"], &event["outcome"]), (&json!("member_inactive"), &json!("refused")));
    assert_eq!(event["cause"]["request_id"], told[0]["request_id"], "{event}");
    set_state(&world, "acme", ADA, "suspended").await;
    let page = browser.submit(&login, &form).await.unwrap();
    assert_eq!(outcome(&page), "member_inactive");
    for org in ["acme", "globex"] {
        let told = traces(&world, org, "member_inactive").await;
        let request = format!("req_{}", request(&page.body));
        assert!(told.iter().any(|one| one["request_id"] == json!(request)), "{org}: {told:?}");
    }
    assert_eq!(traces(&world, "acme", "member_inactive").await.len(), 1, "not what was chosen at another");
}

#[tokio::test]
async fn signing_out_ends_a_session_that_rests_too() {
    let world = World::new().await;
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    let mut browser = joined(&world, "acme", ADA, "member").await;
    let resting = world.sessions(&browser).remove(0);
    set_state(&world, "acme", ADA, "suspended").await;
    let link = world.invite("globex", "ada@elsewhere.example", "member").await;
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
    let page = browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    assert_eq!(outcome(&page), "ok");
    assert!(world.sessions(&browser).contains(&resting), "one that acts again is kept beside a new one");
    browser.submit(&format!("{}/logout", world.base), &[]).await.unwrap();
    set_state(&world, "acme", ADA, "active").await;
    assert_eq!(world.decision(&resting).await, "token_ended");
    assert!(world.sessions(&browser).is_empty());
}

#[tokio::test]
async fn a_new_session_takes_the_place_of_one_that_rests() {
    let world = World::new().await;
    let mut browser = joined(&world, "acme", ADA, "member").await;
    let former = world.sessions(&browser).remove(0);
    set_state(&world, "acme", ADA, "suspended").await;
    let link = world.invite("acme", "bob@acme.example", "member").await;
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
    let page = browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    assert_eq!(outcome(&page), "ok");
    set_state(&world, "acme", ADA, "active").await;
    assert_eq!(world.decision(&former).await, "token_ended");
}

#[tokio::test]
async fn a_choice_among_organizations_binds_the_browser_and_tells_equal_names_apart() {
    let world = World::new().await;
    world.made("/organizations", json!({ "slug": "other", "name": "Acme" })).await;
    joined(&world, "acme", ADA, "member").await;
    joined(&world, "other", ADA, "member").await;
    // A browser that never saw a page of ours, or lost what binds it.
    let mut browser = Browser::new().unwrap();
    let form = [("email", ADA), ("password", PASSWORD)];
    let page = browser.submit(&format!("{}/login", world.base), &form).await.unwrap();
    assert!(page.body.contains("Acme · acme") && page.body.contains("Acme · other"), "{}", page.body);
    let ticket = page.body.split_once("name=\"ticket\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let member = world.members("other", ADA).await[0]["id"].as_str().unwrap().to_owned();
    let chosen = [("ticket", ticket), ("membership", &member)];
    let page = browser.submit(&format!("{}/login/choose", world.base), &chosen).await.unwrap();
    assert_eq!(outcome(&page), "ok");
}

#[tokio::test]
async fn whoever_opens_what_only_takes_forms_is_led_on_and_a_mistyped_page_is_a_page() {
    let world = World::new().await;
    for path in ["/logout", "/login/choose"] {
        let (page, next) = Browser::new().unwrap().step(&format!("{}{path}", world.base)).await.unwrap();
        assert_eq!((page.status, next.unwrap().path()), (303, "/"), "{path}");
    }
    let asked_at = async |path: &str, accept: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", world.base)).header("accept", accept);
        let answer = request.send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    };
    let asked = async |accept: &str| asked_at("/lgoin", accept).await;
    // Some libraries of programs say that they accept pages, and show none.
    for path in ["/api/v1/nothing", "/scim/nothing", "/authz/nothing"] {
        let (status, kind, body) = asked_at(path, "text/html, image/gif, *; q=.2").await;
        assert_eq!((status, kind.as_str()), (404, "application/problem+json"), "{path}: {body}");
    }
    let (status, kind, body) = asked("text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert_eq!((status, kind.as_str()), (404, "text/html; charset=utf-8"), "{body}");
    assert!(body.contains("<code>not_found</code>"), "{body}");
    for accept in ["*/*", "application/json"] {
        let (status, kind, body) = asked(accept).await;
        assert_eq!((status, kind.as_str()), (404, "application/problem+json"), "{accept}: {body}");
    }
}

#[tokio::test]
async fn what_others_named_is_drawn_by_itself_and_a_password_has_its_name_beside_it() {
    let world = World::new().await;
    let [_, _, _, second] = four_pages(&world).await;
    assert!(field(&second, "email").contains("autocomplete=\"username\""), "{second}");
    let style = format!("{}/assets/portcullis.css", world.base);
    let style = Browser::new().unwrap().open(&style).await.unwrap().body;
    assert!(style.contains("unicode-bidi: isolate"), "{style}");
    let page = Browser::new().unwrap().open(&format!("{}/invite?token=unknown", world.base)).await.unwrap();
    assert!(page.body.contains("If you have joined already, sign in."), "{}", page.body);
}
