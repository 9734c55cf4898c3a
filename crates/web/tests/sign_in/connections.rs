//! Signing in by a connection: every attack refused beside a neighbour that passes, and what a browser may bring back.

use portcullis_emulator::{Behaviour, Browser, Rotation};
use portcullis_service::first_owner;
use portcullis_store::Priority;
use portcullis_web::App;
use portcullis_web::edge::EdgeSettings;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::{ADA, World, outcome, product};

#[tokio::test]
async fn every_behaviour_of_a_provider_meets_its_refusal_and_an_honest_one_passes() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    for behaviour in Behaviour::ALL {
        let connection = world.connection("acme", json!({})).await;
        if behaviour.expected_refusal().is_none() {
            assert_eq!(world.outcome(&connection, ADA).await, "ok", "linked before {behaviour:?}");
        }
        world.provider.behave(*behaviour);
        let expected = match behaviour {
            // Never zero groups: a list that was cut off is refused with its reason.
            Behaviour::GroupsOverage => "groups_overage",
            other => other.expected_refusal().unwrap_or("ok"),
        };
        assert_eq!(world.outcome(&connection, ADA).await, expected, "{behaviour:?}");
        world.provider.behave(Behaviour::Honest);
        world.clock.pass_s(61);
        assert_eq!(world.outcome(&connection, ADA).await, "ok", "honest again after {behaviour:?}");
        world.clock.pass_s(61);
    }
}

#[tokio::test]
async fn a_refusal_leaves_a_trace_with_what_was_expected_and_what_to_do() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    world.provider.behave(Behaviour::WrongAudience);
    assert_eq!(world.outcome(&connection, ADA).await, "audience_mismatch");
    world.portcullis.store_traces().await.unwrap();
    let (status, traces) =
        world.root("GET", "/organizations/acme/traces?outcome=audience_mismatch", Value::Null).await;
    assert_eq!(status, 200, "{traces}");
    let trace = &traces["items"][0];
    assert_eq!(trace["kind"], "sign_in", "{traces}");
    let content = &trace["content"];
    let said = |field: &str| content[field].as_str().unwrap_or_default().to_owned();
    assert!(said("expected").contains(connection["client_id"].as_str().unwrap()), "{trace}");
    assert!(!said("received").is_empty() && said("advice").len() > 10, "{trace}");
    assert!(!trace.to_string().contains("a-client-secret-for-tests"), "no secret in a trace");
}

#[tokio::test]
async fn a_refusal_of_somebody_proven_says_what_is_known_here_and_what_came() {
    let world = World::new().await;
    let said = async |outcome: &str| {
        world.portcullis.store_traces().await.unwrap();
        let path = format!("/organizations/acme/traces?outcome={outcome}");
        let (status, traces) = world.root("GET", &path, Value::Null).await;
        assert_eq!(status, 200, "{traces}");
        let content = &traces["items"][0]["content"];
        assert!(content["advice"].as_str().is_some_and(|advice| advice.len() > 10), "{traces}");
        ["expected", "received"].map(|field| content[field].as_str().unwrap_or_default().to_owned())
    };
    let open = json!({ "jit": true, "default_role": "member" });
    let connection = world.connection("acme", open).await;
    let renamed = |from: &str, to: &str| {
        world.provider.change_company(|company| company.find_person_mut(from).unwrap().email = to.to_owned());
    };
    renamed(ADA, "ada@elsewhere.example");
    assert_eq!(world.outcome(&connection, "person-000000").await, "domain_not_proven");
    let [expected, received] = said("domain_not_proven").await;
    assert!(
        expected.contains("`acme.example`") && received == "`elsewhere.example`",
        "{expected} | {received}"
    );

    renamed("ada@elsewhere.example", ADA);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let ada = world.members("acme", ADA).await[0]["id"].as_str().unwrap().to_owned();
    world.made("/organizations/acme/environments", json!({ "slug": "staging", "name": "Staging" })).await;
    let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
    let (status, _) = world.root("PATCH", &one, json!({ "environment": "staging" })).await;
    assert_eq!(status, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "other_environment");
    let [expected, received] = said("other_environment").await;
    assert!(expected.contains("`staging`"), "{expected}");
    assert_eq!(received, format!("`{ada}` with `production`"));

    let path = format!("/organizations/acme/members/{ada}/offboard");
    assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "tombstoned");
    let [_, received] = said("tombstoned").await;
    assert!(
        received.starts_with("the subject `") && received.ends_with(&format!("of `{ada}`")),
        "{received}"
    );
}

#[tokio::test]
async fn whoever_comes_in_leaves_a_trace_and_whoever_is_refused_though_proven_an_event_that_says_so() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    assert_eq!(world.outcome(&connection, ADA).await, "not_invited");
    let refused = world.events("acme", "sign_in.refused").await;
    let said = (&refused[0]["outcome"], &refused[0]["detail"]["code"]);
    assert_eq!((refused.len(), said), (1, (&json!("refused"), &json!("not_invited"))), "{refused:?}");
    world.invite("acme", ADA, "member").await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    world.portcullis.store_traces().await.unwrap();
    let (_, traces) =
        world.root("GET", "/organizations/acme/traces?kind=sign_in&outcome=ok", Value::Null).await;
    let trace = &traces["items"][0];
    assert_eq!(trace["content"]["membership"], world.members("acme", ADA).await[0]["id"], "{traces}");
}

#[tokio::test]
async fn o1_a_code_goes_to_nobody_but_the_provider_that_the_browser_was_sent_to() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let issuer = world.provider.issuer();
    let second = format!("{issuer}/second");
    for (change, expected) in [
        (json!({ "name": "Renamed" }), "ok"),
        (json!({ "issuer": second, "client_secret": "what the second gave" }), "connection_changed"),
        (json!({ "client_id": "another" }), "connection_changed"),
    ] {
        let connection = world.connection("acme", json!({})).await;
        let mut browser = Browser::new().unwrap();
        let login = format!("{}?login_hint={ADA}", connection["login_url"].as_str().unwrap());
        let (_, provider) = browser.step(&login).await.unwrap();
        let back = browser.step(provider.unwrap().as_str()).await.unwrap().1.unwrap();
        let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
        let (status, changed) = world.root("PATCH", &one, change.clone()).await;
        assert_eq!(status, 200, "{changed}");
        let exchanged = world.gate.asked("/token");
        assert_eq!(outcome(&browser.open(back.as_str()).await.unwrap()), expected, "{change}");
        let asked = world.gate.asked("/token") - exchanged;
        assert_eq!(asked, usize::from(expected == "ok"), "{change}");
        assert_eq!(world.gate.asked("/second/.well-known/openid-configuration"), 0, "{change}");
    }
}

#[tokio::test]
async fn o10_a_state_is_good_once_in_one_browser_at_one_connection_for_ten_minutes() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    let other = world.connection("acme", json!({})).await;
    let login = format!("{}?login_hint={ADA}", connection["login_url"].as_str().unwrap());
    let away = async |browser: &mut Browser| {
        let (_, provider) = browser.step(&login).await.unwrap();
        browser.step(provider.unwrap().as_str()).await.unwrap().1.unwrap().to_string()
    };
    let mut browser = Browser::new().unwrap();
    let back = away(&mut browser).await;
    let mut thief = Browser::new().unwrap();
    assert_eq!(outcome(&thief.open(&back).await.unwrap()), "state_mismatch", "another browser");
    assert_eq!(outcome(&browser.open(&back).await.unwrap()), "state_mismatch", "used up by the attempt");
    let back = away(&mut browser).await;
    let elsewhere = back.replace(connection["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    assert_eq!(outcome(&browser.open(&elsewhere).await.unwrap()), "state_mismatch", "another connection");
    let back = away(&mut browser).await;
    world.clock.pass_s(600);
    assert_eq!(outcome(&browser.open(&back).await.unwrap()), "state_expired");
    let back = away(&mut browser).await;
    assert_eq!(outcome(&browser.open(&back).await.unwrap()), "ok");
    let sessions = world.sessions(&browser);
    assert_eq!(
        outcome(&browser.open(&back).await.unwrap()),
        "ok",
        "a second time: who is signed in is sent on"
    );
    assert_eq!(world.sessions(&browser), sessions, "and gets nothing by it");
}

#[tokio::test]
async fn o11_each_sign_in_makes_a_new_secret_and_looks_at_the_member_again() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
    let first = world.sessions(&browser).pop().unwrap();
    assert_eq!(world.decision(&first).await, "allowed");
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
    let second = world.sessions(&browser).pop().unwrap();
    assert_ne!(first, second);
    assert_eq!(world.decision(&first).await, "token_ended", "whoever planted it holds nothing");
    assert_eq!(world.decision(&second).await, "allowed");
    let member = world.members("acme", ADA).await.pop().unwrap();
    let path = format!("/organizations/acme/members/{}", member["id"].as_str().unwrap());
    for (state, expected) in [("suspended", "member_inactive"), ("active", "ok")] {
        let (status, answer) = world.root("PATCH", &path, json!({ "state": state })).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(world.outcome(&connection, ADA).await, expected, "{state}");
    }
}

#[tokio::test]
async fn o4_a_turned_key_is_fetched_again_at_once_and_six_times_a_minute_at_most() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    world.provider.rotate_key(Rotation::DropOld).unwrap();
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "the new key is fetched");
    let fetched = world.provider.counts().jwks;
    world.provider.behave(Behaviour::UnknownKid);
    for _ in 0..10 {
        assert_eq!(world.outcome(&connection, ADA).await, "unknown_kid");
    }
    assert_eq!(world.provider.counts().jwks, fetched + 5, "a flood of unknown keys fetches nothing more");
}

#[tokio::test]
async fn nobody_is_led_to_another_host() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    let id = connection["id"].as_str().unwrap();
    let mut browser = Browser::new().unwrap();
    for path in ["//evil.example", "/%5Cevil.example", "https://evil.example", "/%0d%0aevil", "evil"] {
        for page in [format!("/sso/oidc/{id}/login?return_to={path}"), format!("/login?return_to={path}")] {
            let (page, next) = browser.step(&format!("{}{page}", world.base)).await.unwrap();
            assert_eq!((page.status, next), (400, None), "{path}");
        }
    }
    world.invite("acme", ADA, "member").await;
    let page = browser
        .open(&format!("{}/sso/oidc/{id}/login?login_hint={ADA}&return_to=/console", world.base))
        .await
        .unwrap();
    assert_eq!((outcome(&page).as_str(), page.url.path()), ("ok", "/console"));
}

#[tokio::test]
async fn the_page_finds_the_connection_by_the_domain_and_tells_nobody_who_is_a_member() {
    let world = World::new().await;
    world.connection("acme", json!({ "domains": ["acme.example"] })).await;
    world.invite("acme", ADA, "member").await;
    let mut browser = Browser::new().unwrap();
    let mut page = async |email: &str| {
        let page = browser.open(&format!("{}/login?email={email}", world.base)).await.unwrap();
        assert_eq!(page.status, 200);
        page.body.replace(email, "(address)").replace(&email.replace('@', "%40"), "(address)")
    };
    let known = page(ADA).await;
    assert!(known.contains("Continue with Okta") && known.contains("type=\"password\""), "{known}");
    assert_eq!(known, page("nobody@acme.example").await, "the same page for everybody of the domain");
    assert!(!page("someone@elsewhere.example").await.contains("Okta"), "another domain");
}

#[tokio::test]
async fn pages_run_no_scripts_and_keep_to_themselves() {
    let world = World::new().await;
    let answer = reqwest::get(format!("{}/login", world.base)).await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-security-policy").starts_with("default-src 'none'; style-src 'self';"));
    assert_eq!(header("referrer-policy"), "same-origin");
    let cookie = header("set-cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Lax") && cookie.contains("; Path=/"), "{cookie}");
    let body = answer.text().await.unwrap();
    assert!(!body.contains("<script") && !body.contains("style="), "{body}");
    let style = reqwest::get(format!("{}/assets/portcullis.css", world.base)).await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn a_connection_is_made_shown_changed_and_deleted() {
    let world = World::new().await;
    let made = world.connection("acme", json!({ "jit": true, "default_role": "member" })).await;
    let id = made["id"].as_str().unwrap();
    assert!(made["claims_directory"].as_str().unwrap().starts_with("dir_"), "{made}");
    assert!(made["redirect_uri"].as_str().unwrap().ends_with(&format!("/sso/oidc/{id}/callback")));
    assert!(!made.to_string().contains("a-client-secret-for-tests"), "a secret is never shown");
    let one = format!("/organizations/acme/connections/{id}");
    let (status, changed) =
        world.root("PATCH", &one, json!({ "name": "Okta EU", "default_role": null })).await;
    assert_eq!((status, &changed["name"], &changed["default_role"]), (200, &json!("Okta EU"), &Value::Null));
    assert_eq!(changed["jit"], true, "what is absent stays");
    let list = "/organizations/acme/connections";
    let refused = [
        (json!({ "kind": "ldap", "name": "S" }), 400, "invalid_field"),
        (json!({ "kind": "oidc", "name": "S", "colour": "red" }), 400, "unknown_field"),
        (
            json!({ "kind": "oidc", "name": "S", "issuer": "ftp://x.example", "client_id": "c", "client_secret": "s" }),
            400,
            "invalid_field",
        ),
    ];
    for (body, status, code) in refused {
        let (got, problem) = world.root("POST", list, body.clone()).await;
        assert_eq!((got, problem["code"].as_str().unwrap()), (status, code), "{body}: {problem}");
    }
    let directory =
        world.made("/organizations/acme/directories", json!({ "kind": "scim", "name": "Entra" })).await;
    let both = json!({ "directory": directory["id"], "jit": true });
    let (status, problem) = world.root("PATCH", &one, both).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (422, "jit_under_directory"));
    let (status, problem) = world.root("PATCH", &one, json!({ "default_role": "owner" })).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (422, "role_is_explicit_only"));
    let (status, problem) = world.root("PATCH", &one, json!({ "domains": ["globex.example"] })).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (400, "invalid_field"), "a domain of nobody's");
    assert_eq!(world.root("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(world.root("GET", &one, Value::Null).await.0, 404);
    let page = reqwest::get(made["login_url"].as_str().unwrap()).await.unwrap();
    assert_eq!(page.status(), 404);
}

#[tokio::test]
async fn deleting_a_connection_asks_what_becomes_of_its_people() {
    let world = World::new().await;
    for (people, state) in [("keep", "active"), ("offboard", "deprovisioned")] {
        let person = if people == "keep" { ADA } else { "barbara.brandt@acme.example" };
        let made = world.connection("acme", json!({ "jit": true, "default_role": "member" })).await;
        let one = format!("/organizations/acme/connections/{}", made["id"].as_str().unwrap());
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.sign_in(&mut browser, &made, person).await), "ok");
        let session = world.sessions(&browser).remove(0);
        let (status, problem) = world.root("DELETE", &one, Value::Null).await;
        assert_eq!((status, problem["code"].as_str().unwrap()), (409, "governs_people"));
        assert_eq!(world.decision(&session).await, "allowed", "nothing happened");
        assert_eq!(world.root("DELETE", &format!("{one}?people={people}"), Value::Null).await.0, 204);
        assert_eq!(world.decision(&session).await, "token_ended", "its sessions end");
        assert_eq!(world.members("acme", person).await[0]["state"], state);
    }
}

#[tokio::test]
async fn under_https_cookies_are_of_this_host_alone_and_a_neighbours_cookie_is_not_looked_at() {
    let (portcullis, _clock, _folder) = product("https://portcullis.example");
    let app = portcullis_web::router(App::new(portcullis.clone(), EdgeSettings::default()));
    let issued = portcullis.write(Priority::Ordinary, first_owner::issue_link).await.unwrap().unwrap();
    let send = async |method: &str, path: String, cookie: &str, body: String| {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "portcullis.example")
            .header("origin", "https://portcullis.example")
            .header("cookie", cookie)
            .body(axum::body::Body::from(body))
            .unwrap();
        let Ok(answer) = app.clone().oneshot(request).await;
        answer
    };
    let form = format!(
        "token={}&slug=acme&organization=Acme&email={ADA}&password=a+long+sentence+is+fine",
        issued.expose()
    );
    let answer = send("POST", "/setup/owner".to_owned(), "", form).await;
    assert_eq!(answer.status(), 303);
    let set = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let secret = set.strip_prefix("__Host-portcullis=").unwrap().split(';').next().unwrap();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
    let home = async |name: &str| {
        let cookie = format!("{name}={secret}");
        send("GET", "/".to_owned(), &cookie, String::new()).await.status().as_u16()
    };
    assert_eq!(home("__Host-portcullis").await, 200);
    assert_eq!(home("portcullis").await, 303, "any neighbour under the domain could have set this one");
}
