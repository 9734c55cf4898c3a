//! `/organizations/{org}/members` and `/me`.

use portcullis_service::membership::MAX_REASON;
use portcullis_service::restoring;
use portcullis_testkit::ROOT_TOKEN;
use serde_json::{Value, json};

use crate::people::{directory, person};
use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";

const MEMBERS: &str = "/api/v1/organizations/acme/members";

fn one(member: &portcullis_testkit::Persona) -> String {
    format!("{MEMBERS}/{}", member.membership)
}

#[tokio::test]
async fn a_member_is_shown_with_what_they_have_and_why() {
    let scene = Scene::new();
    let (status, shown) = scene.as_of(&scene.viewer, "GET", &one(&scene.admin), Value::Null).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["user"]["email"], json!("admin@acme.test"));
    assert_eq!(shown["user"]["id"], json!(scene.admin.user.to_string()));
    assert_eq!((&shown["state"], &shown["role"]), (&json!("active"), &json!("admin")));
    assert_eq!(shown["environments"], json!(["production"]));
    let gives: Vec<_> =
        shown["reasons"].as_array().unwrap().iter().map(|r| (&r["gives"], &r["by"])).collect();
    assert!(gives.contains(&(&json!("role:admin"), &json!("grant"))), "{shown}");
    assert!(gives.contains(&(&json!("environment:production"), &json!("default"))), "{shown}");
    assert_eq!(shown["reasons"][0]["mapping"], Value::Null);
}

#[tokio::test]
async fn members_are_listed_by_pages_and_by_filters() {
    let scene = Scene::new();
    assert_eq!(scene.all(MEMBERS).await.len(), 4);
    let by = |query: &'static str| scene.root("GET", query, Value::Null);
    let (_, page) = by("/api/v1/organizations/acme/members?email=ADMIN@acme.test").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(page["items"][0]["role"], json!("admin"));
    let (_, page) = by("/api/v1/organizations/acme/members?role=viewer&state=active").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    for (limit, goes_on) in [(3, true), (4, false)] {
        let (_, page) = scene.root("GET", &format!("{MEMBERS}?limit={limit}"), Value::Null).await;
        assert_eq!(page["next"].is_string(), goes_on, "a page that shows the last one is the last: {page}");
    }
    let (_, page) = by("/api/v1/organizations/acme/members?state=suspended").await;
    assert_eq!(page["items"], json!([]));
    assert_eq!(page.get("rules_pending"), None, "nothing is pending: {page}");
    refused(by("/api/v1/organizations/acme/members?state=asleep").await, 400, "invalid_field");
    refused(by("/api/v1/organizations/acme/members?colour=red").await, 400, "unknown_field");
}

#[tokio::test]
async fn stale_access_is_resolved_for_the_answer_and_a_filtered_list_says_that_it_lags() {
    use portcullis_domain::audit::{Action, EventDraft};
    use portcullis_domain::cause::Cause;
    use portcullis_domain::change::{GrantChange, OrganizationChange};
    use portcullis_domain::plan::Plan;

    let scene = Scene::new();
    let (organization, viewer) = (scene.viewer.organization, scene.viewer.membership);
    scene.bench.write(move |tx, moment| {
        let event = EventDraft::new(Action::GrantEnded, viewer);
        let end = GrantChange::EndOf { membership: viewer, keep: None, at: moment.now };
        let raised = EventDraft::new(Action::RulesChanged, organization);
        let plan = Plan::because(organization, Cause::system())
            .then(event, end)
            .then(raised, OrganizationChange::RaiseRules(organization));
        moment.apply(tx, &plan)?;
        Ok(())
    });
    let (_, shown) = scene.root("GET", &one(&scene.viewer), Value::Null).await;
    assert_eq!(shown["role"], Value::Null, "the grant is gone: {shown}");
    let (_, page) = scene.root("GET", &format!("{MEMBERS}?role=viewer"), Value::Null).await;
    assert_eq!((&page["items"], &page["rules_pending"]), (&json!([]), &json!(true)), "{page}");
    let (_, page) = scene.root("GET", &format!("{MEMBERS}?state=active"), Value::Null).await;
    assert_eq!(page["rules_pending"], json!(true), "{page}");
    let (_, page) = scene.root("GET", MEMBERS, Value::Null).await;
    assert_eq!(page.get("rules_pending"), None, "an unfiltered list is right as it is: {page}");
    let stored = scene.bench.write(move |tx, _| {
        Ok(portcullis_store::membership::find(tx, organization, viewer)?.unwrap().access.role)
    });
    assert_eq!(stored.unwrap().as_str(), "viewer", "reading stores nothing");
}

#[tokio::test]
async fn a_suspension_refuses_everything_and_its_end_gives_everything_back() {
    let scene = Scene::new();
    let me = scene.as_of(&scene.member, "GET", "/api/v1/me", Value::Null).await;
    assert_eq!(me.0, 200, "{}", me.1);
    let suspend = json!({ "state": "suspended" });
    let (status, changed) = scene.as_of(&scene.admin, "PATCH", &one(&scene.member), suspend.clone()).await;
    assert_eq!((status, &changed["state"]), (200, &json!("suspended")), "{changed}");
    refused(scene.as_of(&scene.member, "GET", "/api/v1/me", Value::Null).await, 401, "unauthenticated");
    let again = scene.as_of(&scene.admin, "PATCH", &one(&scene.member), suspend).await;
    assert_eq!(again, (200, changed), "what is so already stays so");
    let (status, back) =
        scene.as_of(&scene.admin, "PATCH", &one(&scene.member), json!({ "state": "active" })).await;
    assert_eq!((status, &back["state"]), (200, &json!("active")), "{back}");
    assert_eq!(scene.as_of(&scene.member, "GET", "/api/v1/me", Value::Null).await, me, "the key lived on");
    let events = format!("/api/v1/organizations/acme/audit-events?target={}", scene.member.membership);
    let actions: Vec<String> = scene.root("GET", &events, Value::Null).await.1["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["action"].as_str().unwrap().to_owned())
        .collect();
    for action in ["member.suspended", "member.restored"] {
        assert_eq!(actions.iter().filter(|a| *a == action).count(), 1, "{actions:?}");
    }
}

#[tokio::test]
async fn nobody_changes_somebody_of_higher_rank_or_takes_the_last_owner_out() {
    let scene = Scene::new();
    let suspend = json!({ "state": "suspended" });
    let leave = json!({ "reason": "left" });
    let owner = one(&scene.owner);
    let off_board = format!("{owner}/offboard");
    let as_admin = scene.as_of(&scene.admin, "PATCH", &owner, suspend.clone()).await;
    refused(as_admin, 403, "above_own_rank");
    let as_admin = scene.as_of(&scene.admin, "POST", &off_board, leave.clone()).await;
    refused(as_admin, 403, "above_own_rank");
    refused(scene.root("PATCH", &owner, suspend.clone()).await, 409, "last_owner");
    refused(scene.root("POST", &off_board, leave.clone()).await, 409, "last_owner");
    for who in [&scene.member, &scene.viewer] {
        let refusal = scene.as_of(who, "PATCH", &one(&scene.member), suspend.clone()).await;
        refused(refusal, 403, "forbidden");
    }
    let second = scene.bench.member(scene.owner.organization, "second@acme.test", "owner");
    let (status, gone) = scene.as_of(&second, "POST", &off_board, leave).await;
    assert_eq!(status, 200, "now there is another owner: {gone}");
    // Nor says anybody below them who an owner was before, or that somebody was one.
    let left = |member: &portcullis_testkit::Persona| json!({ "former": member.membership.to_string() });
    let attach = |member: &portcullis_testkit::Persona| format!("{}/attach", one(member));
    for (to, former) in [(&second, &scene.member), (&scene.member, &second)] {
        refused(scene.as_of(&scene.admin, "POST", &attach(to), left(former)).await, 403, "above_own_rank");
    }
    refused(
        scene.as_of(&second, "POST", &attach(&scene.member), left(&scene.viewer)).await,
        400,
        "invalid_field",
    );
    refused(scene.as_of(&second, "POST", &attach(&scene.member), left(&scene.owner)).await, 409, "taken");
}

#[tokio::test]
async fn an_off_boarding_by_hand_ends_everything_and_says_why() {
    let scene = Scene::new();
    let path = format!("{}/offboard", one(&scene.member));
    refused(scene.as_of(&scene.admin, "POST", &path, json!({})).await, 400, "missing_field");
    refused(scene.as_of(&scene.admin, "POST", &path, json!({ "reason": " " })).await, 400, "invalid_field");
    let leave = json!({ "reason": "left the company" });
    let (status, gone) = scene.as_of(&scene.admin, "POST", &path, leave.clone()).await;
    assert_eq!(status, 200, "{gone}");
    refused(scene.as_of(&scene.member, "GET", "/api/v1/me", Value::Null).await, 401, "unauthenticated");

    let receipt = format!("/api/v1/organizations/acme/receipts/{}", gone["receipt"].as_str().unwrap());
    let (_, receipt) = scene.root("GET", &receipt, Value::Null).await;
    assert_eq!(receipt["member"], json!(scene.member.membership.to_string()));
    assert_eq!(receipt["ended"].as_array().unwrap().len(), 1, "the persona's key: {receipt}");
    assert_eq!(receipt["cause"]["kind"], json!("api"));
    let event = receipt["cause"]["event"].as_str().unwrap();
    let event = format!("/api/v1/organizations/acme/audit-events/{event}");
    let (_, event) = scene.root("GET", &event, Value::Null).await;
    assert_eq!(event["action"], json!("member.deprovisioned"));
    assert_eq!(event["detail"]["reason"], json!("left the company"));
    assert_eq!(event["actor"]["id"], json!(scene.admin.membership.to_string()));

    let (_, shown) = scene.root("GET", &one(&scene.member), Value::Null).await;
    assert_eq!(
        (&shown["state"], &shown["ended_because"]),
        (&json!("deprovisioned"), &json!("administrator"))
    );
    let again = scene.as_of(&scene.admin, "POST", &path, leave).await;
    assert_eq!(again, (200, gone), "one receipt for one end");
    let revive = scene.root("PATCH", &one(&scene.member), json!({ "state": "active" })).await;
    refused(revive, 409, "member_inactive");
}

#[tokio::test]
async fn a_foreign_member_answers_like_an_unknown_one() {
    let scene = Scene::new();
    let never = format!("mem_{}", "0".repeat(32));
    let mut answers = Vec::new();
    for named in [scene.member.membership.to_string(), never, "nonsense".to_owned()] {
        let path = format!("/api/v1/organizations/globex/members/{named}");
        answers.push(scene.as_of(&scene.stranger, "GET", &path, Value::Null).await);
        let suspend = json!({ "state": "suspended" });
        answers.push(scene.as_of(&scene.stranger, "PATCH", &path, suspend).await);
        let leave = json!({ "reason": "x" });
        answers.push(scene.as_of(&scene.stranger, "POST", &format!("{path}/offboard"), leave).await);
        let former = json!({ "former": named });
        let own = format!("/api/v1/organizations/globex/members/{}/attach", scene.stranger.membership);
        answers.push(scene.as_of(&scene.stranger, "POST", &own, former).await);
    }
    for answer in &answers {
        refused(answer.clone(), 404, "not_found");
        assert_eq!(answer, &answers[0]);
    }
    let foreign = scene.as_of(&scene.stranger, "GET", MEMBERS, Value::Null).await;
    let nowhere = scene.as_of(&scene.stranger, "GET", &MEMBERS.replace("acme", "nowhere"), Value::Null).await;
    assert_eq!(foreign, nowhere);
    let root_only = scene.as_of(&scene.stranger, "POST", MEMBERS, json!({})).await;
    assert_eq!(root_only, nowhere, "a route for the root token tells a stranger nothing either");
}

#[tokio::test]
async fn the_root_token_puts_a_user_into_a_second_organization_and_nobody_else_does() {
    let scene = Scene::new();
    let body = json!({ "user": scene.stranger.user.to_string() });
    refused(scene.as_of(&scene.owner, "POST", MEMBERS, body.clone()).await, 403, "root_only");
    let made = scene.made(MEMBERS, body.clone()).await;
    assert_eq!((&made["state"], &made["role"]), (&json!("active"), &Value::Null), "{made}");
    assert_eq!(made["user"]["id"], json!(scene.stranger.user.to_string()));
    assert_eq!(made["user"]["email"], json!("owner@globex.test"));
    refused(scene.root("POST", MEMBERS, body).await, 409, "taken");
    let nobody = json!({ "user": format!("usr_{}", "0".repeat(32)) });
    refused(scene.root("POST", MEMBERS, nobody).await, 404, "not_found");
    let leave = json!({ "reason": "only here" });
    let path = format!("{MEMBERS}/{}/offboard", id(&made));
    assert_eq!(scene.root("POST", &path, leave).await.0, 200);
    let elsewhere = scene.as_of(&scene.stranger, "GET", "/api/v1/me", Value::Null).await;
    assert_eq!(elsewhere.0, 200, "the other organization is untouched: {}", elsewhere.1);
}

#[tokio::test]
async fn me_says_who_one_is() {
    let scene = Scene::new();
    let (_, root) = scene.bench.call("GET", "/api/v1/me", ROOT_TOKEN, Value::Null).await;
    assert_eq!((&root["caller"], &root["organization"]), (&json!("root"), &Value::Null));
    let (_, viewer) = scene.as_of(&scene.viewer, "GET", "/api/v1/me", Value::Null).await;
    assert_eq!((&viewer["caller"], &viewer["role"]), (&json!("member"), &json!("viewer")));
    assert_eq!(viewer["membership"], json!(scene.viewer.membership.to_string()));
    assert_eq!(viewer["organization"]["slug"], json!("acme"));
    assert!(viewer["permissions"].as_array().unwrap().contains(&json!("members.read")), "{viewer}");
    let body = json!({ "name": "gateway", "scopes": ["evaluate"] });
    let key = scene.made("/api/v1/organizations/acme/service-keys", body).await;
    let (_, service) =
        scene.bench.call("GET", "/api/v1/me", key["token"].as_str().unwrap(), Value::Null).await;
    assert_eq!((&service["caller"], &service["scopes"]), (&json!("service_key"), &json!(["evaluate"])));
    let (status, _) = scene.bench.call("GET", "/api/v1/me", "nobody", Value::Null).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_reason_to_off_board_is_as_long_as_it_may_be_and_no_longer() {
    let scene = Scene::new();
    let path = format!("{}/offboard", one(&scene.viewer));
    let reason = |bytes: usize| json!({ "reason": "x".repeat(bytes) });
    refused(scene.root("POST", &path, reason(MAX_REASON + 1)).await, 400, "invalid_field");
    assert_eq!(scene.root("POST", &path, reason(MAX_REASON)).await.0, 200);
}

#[tokio::test]
async fn taking_back_an_invitation_that_ran_out_leaves_whoever_was_invited_anew() {
    let scene = Scene::new();
    let bob = json!({ "email": "bob@acme.test", "role": "member" });
    let invitations = format!("{ACME}/invitations");
    let first = scene.made(&invitations, bob.clone()).await;
    scene.bench.clock.pass_s(8 * 86_400);
    let second = scene.made(&invitations, bob).await;
    assert_ne!(first["id"], second["id"]);
    let (status, answer) = scene.root("DELETE", &format!("{invitations}/{}", id(&first)), Value::Null).await;
    assert_eq!(status, 204, "{answer}");
    let members = scene.all(&format!("{ACME}/members")).await;
    let bob = members.iter().find(|member| member["user"]["email"] == "bob@acme.test").unwrap();
    assert_eq!(bob["state"], "invited", "the invitation that stands is another");
    let left = scene.all(&invitations).await;
    let second = left.iter().find(|one| one["id"] == second["id"]).unwrap();
    assert!(second["ended_at"].is_null(), "{second}");
}

#[tokio::test]
async fn whoever_joined_somewhere_is_called_in_a_second_organization_as_they_were_invited_there() {
    let scene = Scene::new();
    let domain = json!({ "domain": "acme.example", "vouched": true });
    scene.made("/api/v1/organizations/acme/domains", domain).await;
    let theirs = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
    let theirs = scene.made("/api/v1/organizations/globex/directories", theirs).await;
    let told = async |email: &str| {
        let told = person(&scene.bench, scene.stranger.organization, directory(&theirs), email);
        let path = format!("/api/v1/organizations/globex/members/{}", told.membership);
        scene.root("GET", &path, Value::Null).await.1["user"]["id"].clone()
    };
    // Whoever joined nowhere is called as told: the root token vouches for it.
    for address in ["ada@acme.example", "ada@globex.example"] {
        let user = told(address).await;
        let made = scene.made(MEMBERS, json!({ "user": user })).await;
        assert_eq!(made["user"]["email"], json!(address));
    }
    // Who joined somewhere is called as they were invited there, whatever a directory calls them since.
    let invited = json!({ "user": scene.stranger.user.to_string() });
    assert_eq!(scene.made(MEMBERS, invited).await["user"]["email"], json!("owner@globex.test"));
}

#[tokio::test]
async fn whose_suspension_is_lifted_before_their_directory_spoke_again_after_a_restore_is_shown_to_wait_for_it()
 {
    let scene = Scene::new();
    let directories = "/api/v1/organizations/acme/directories";
    let (_, made) = scene
        .root("POST", directories, json!({ "name": "d", "kind": "scim", "default_role": "member" }))
        .await;
    let organization = scene.member.organization;
    let told = person(&scene.bench, organization, directory(&made), "eve@acme.test");
    let path = format!("{MEMBERS}/{}", told.membership);
    let (status, eve) = scene.root("PATCH", &path, json!({ "state": "suspended" })).await;
    assert_eq!((status, eve.get("waits_for_directory")), (200, None), "{eve}");
    scene.bench.write(move |tx, moment| {
        let acme = portcullis_service::organization::named(tx, "acme")?;
        restoring::revive_nobody(tx, moment, &acme, None)?;
        restoring::bring_in_step(tx, moment, &acme)
    });
    let (status, lifted) = scene.root("PATCH", &path, json!({ "state": "active" })).await;
    let shown = (status, &lifted["state"], &lifted["suspended_at"], &lifted["waits_for_directory"]);
    assert_eq!(shown, (200, &json!("suspended"), &Value::Null, &json!(true)), "{lifted}");
    let listed = scene.all(MEMBERS).await;
    let of = |member: &str| listed.iter().find(|one| one["id"] == json!(member)).unwrap();
    assert_eq!(of(&told.membership.to_string())["waits_for_directory"], json!(true));
    assert_eq!(of(&scene.viewer.membership.to_string()).get("waits_for_directory"), None);
}
