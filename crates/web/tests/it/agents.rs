//! `/organizations/{org}/agents`: who may steer them, and which orders their state allows.

use portcullis_domain::access::Access;
use portcullis_domain::agent::{Agent, AgentState, OwnerLossRule};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{AgentChange, MembershipChange};
use portcullis_domain::id::AgentId;
use portcullis_domain::plan::Plan;
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::Slug;
use portcullis_testkit::{PUBLIC_URL, Persona};
use serde_json::{Value, json};

use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";
const AGENTS: &str = "/api/v1/organizations/acme/agents";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

async fn agent_of(scene: &Scene, owner: &Persona) -> Value {
    scene.made(AGENTS, json!({ "name": "bot", "owner": owner.membership.to_string() })).await
}

fn one(agent: &Value) -> String {
    format!("{AGENTS}/{}", id(agent))
}

async fn key_of(scene: &Scene, who: &Persona, agent: &Value) -> String {
    let path = format!("{}/keys", one(agent));
    let (status, made) = scene.as_of(who, "POST", &path, json!({ "name": "run" })).await;
    assert_eq!(status, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

async fn off_board(scene: &Scene, member: &Persona) -> Value {
    let path = format!("{ACME}/members/{}/offboard", member.membership);
    let (status, gone) = scene.root("POST", &path, json!({ "reason": "left" })).await;
    assert_eq!(status, 200, "{gone}");
    gone
}

async fn order(scene: &Scene, agent: &Value, order: &str) -> (u16, Value) {
    scene.root("POST", &format!("{}/{order}", one(agent)), Value::Null).await
}

async fn code_of(scene: &Scene, secret: &str) -> String {
    let question = json!({
        "subject": { "type": "token", "id": secret },
        "action": { "name": "use" },
        "resource": { "type": "tool", "id": "Bash" },
    });
    let body = json!({ "name": "gateway", "scopes": ["evaluate"] });
    let asking = scene.made(&format!("{ACME}/service-keys"), body).await;
    let asking = asking["token"].as_str().unwrap();
    let (status, answer) = scene.bench.call("POST", "/access/v1/evaluation", asking, question).await;
    assert_eq!(status, 200, "{answer}");
    answer["context"]["code"].as_str().unwrap().to_owned()
}

/// Puts somebody into a team, as a mapping would.
fn put_into_team(scene: &Scene, who: &Persona, team: &'static str, role: TeamRole) {
    change_access(scene, who, move |access| access.teams = vec![(team.parse().unwrap(), role)]);
}

pub fn change_access(scene: &Scene, who: &Persona, change: impl Fn(&mut Access) + Send + 'static) {
    let (organization, member) = (who.organization, who.membership);
    scene.bench.write(move |tx, moment| {
        let stored = portcullis_store::membership::find(tx, organization, member)?.unwrap();
        let mut access = stored.access.clone();
        change(&mut access);
        let set = MembershipChange::SetAccess {
            id: member,
            access: Box::new(access),
            governed_by: None,
            unmapped_at: None,
            ended: None,
            bare_owner_at: None,
            rules_number: stored.rules_number,
        };
        let event = EventDraft::new(Action::MemberAccessChanged, member);
        let plan = Plan::because(organization, Cause::system()).then(event, set);
        moment.apply(tx, &plan)?;
        Ok(())
    });
}

#[tokio::test]
async fn an_agent_is_made_listed_changed_and_ended_with_its_keys() {
    let scene = Scene::new();
    let made = agent_of(&scene, &scene.member).await;
    assert_eq!((&made["state"], &made["on_owner_loss"]), (&json!("active"), &json!("pause")), "{made}");
    assert_eq!((&made["environment"], &made["rule_chosen_by"]), (&json!("production"), &Value::Null));
    let ids: Vec<_> = scene.all(AGENTS).await.iter().map(id).collect();
    assert_eq!(ids, [id(&made)]);
    let secret = key_of(&scene, &scene.member, &made).await;
    assert!(secret.starts_with("pc_agent_"), "{secret}");
    assert_eq!(code_of(&scene, &secret).await, "allowed");

    let heir = scene.admin.membership.to_string();
    let change = json!({ "name": "robot", "heir": heir, "on_owner_loss": "hand_over" });
    let (status, changed) = scene.as_of(&scene.admin, "PATCH", &one(&made), change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!((&changed["name"], &changed["on_owner_loss"]), (&json!("robot"), &json!("hand_over")));
    assert_eq!((&changed["heir"], &changed["rule_chosen_by"]), (&json!(heir), &json!(heir)));
    assert_eq!(scene.root("GET", &one(&made), Value::Null).await.1, changed);

    assert_eq!(scene.as_of(&scene.member, "DELETE", &one(&made), Value::Null).await.0, 204);
    assert_eq!(code_of(&scene, &secret).await, "token_ended");
    let (_, ended) = scene.root("GET", &one(&made), Value::Null).await;
    assert_eq!(ended["state"], json!("disabled"));
    let (_, keys) = scene.root("GET", &format!("{}/keys", one(&made)), Value::Null).await;
    assert_eq!(keys["items"][0]["ended_because"], json!("agent_disabled"), "{keys}");
    assert_eq!(scene.as_of(&scene.member, "DELETE", &one(&made), Value::Null).await.0, 204);
}

#[tokio::test]
async fn an_agent_is_refused_where_it_must_be() {
    let scene = Scene::new();
    let owner = scene.member.membership.to_string();
    let with = |extra: Value| {
        let mut body = json!({ "name": "bot", "owner": owner });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    refused(scene.root("POST", AGENTS, with(json!({ "colour": 1 }))).await, 400, "unknown_field");
    refused(scene.root("POST", AGENTS, json!({ "name": "bot" })).await, 400, "missing_field");
    refused(scene.root("POST", AGENTS, with(json!({ "name": "" }))).await, 400, "invalid_name");
    let elsewhere = with(json!({ "environment": "staging" }));
    refused(scene.root("POST", AGENTS, elsewhere).await, 422, "other_environment");
    let no_heir = with(json!({ "on_owner_loss": "hand_over" }));
    refused(scene.root("POST", AGENTS, no_heir).await, 400, "invalid_field");
    let own_heir = with(json!({ "heir": owner }));
    refused(scene.root("POST", AGENTS, own_heir).await, 400, "invalid_field");
    let foreign_heir = with(json!({ "heir": scene.stranger.membership.to_string() }));
    refused(scene.root("POST", AGENTS, foreign_heir).await, 404, "not_found");
    let foreign_owner = with(json!({ "owner": scene.stranger.membership.to_string() }));
    refused(scene.root("POST", AGENTS, foreign_owner).await, 404, "not_found");

    let above = with(json!({ "owner": scene.owner.membership.to_string() }));
    refused(scene.as_of(&scene.admin, "POST", AGENTS, above).await, 403, "above_own_rank");
    let heir_above = with(json!({ "heir": scene.owner.membership.to_string() }));
    refused(scene.as_of(&scene.member, "POST", AGENTS, heir_above).await, 403, "above_own_rank");
    let keep = with(json!({ "on_owner_loss": "keep" }));
    refused(scene.as_of(&scene.member, "POST", AGENTS, keep.clone()).await, 403, "forbidden");
    let (status, kept) = scene.as_of(&scene.admin, "POST", AGENTS, keep).await;
    assert_eq!(
        (status, &kept["rule_chosen_by"]),
        (201, &json!(scene.admin.membership.to_string())),
        "{kept}"
    );

    off_board(&scene, &scene.member).await;
    refused(scene.root("POST", AGENTS, with(json!({}))).await, 409, "member_inactive");
    for named in [id(&kept), format!("agt_{}", "0".repeat(32)), "nonsense".to_owned()] {
        let path = format!("/api/v1/organizations/globex/agents/{named}");
        for (method, path) in
            [("GET", path.clone()), ("DELETE", path.clone()), ("POST", format!("{path}/pause"))]
        {
            refused(scene.as_of(&scene.stranger, method, &path, Value::Null).await, 404, "not_found");
        }
    }
}

#[tokio::test]
async fn members_steer_their_own_agents_and_no_others() {
    let scene = Scene::new();
    let body = |owner: &Persona| json!({ "name": "bot", "owner": owner.membership.to_string() });
    let (status, own) = scene.as_of(&scene.member, "POST", AGENTS, body(&scene.member)).await;
    assert_eq!(status, 201, "{own}");
    let not_own = scene.as_of(&scene.member, "POST", AGENTS, body(&scene.admin)).await;
    refused(not_own, 403, "forbidden");
    let without_use = scene.as_of(&scene.viewer, "POST", AGENTS, body(&scene.viewer)).await;
    refused(without_use, 403, "forbidden");
    let other = agent_of(&scene, &scene.admin).await;
    let (_, seen) = scene.as_of(&scene.member, "GET", AGENTS, Value::Null).await;
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(scene.as_of(&scene.viewer, "GET", &one(&other), Value::Null).await.0, 200, "agents.read");
    refused(scene.as_of(&scene.member, "GET", &one(&other), Value::Null).await, 403, "forbidden");
    for (method, path) in
        [("PATCH", one(&other)), ("DELETE", one(&other)), ("POST", format!("{}/pause", one(&other)))]
    {
        refused(scene.as_of(&scene.member, method, &path, Value::Null).await, 403, "forbidden");
        refused(scene.as_of(&scene.viewer, method, &path, Value::Null).await, 403, "forbidden");
    }
    let away = json!({ "owner": scene.admin.membership.to_string() });
    let given = scene.as_of(&scene.member, "POST", &format!("{}/owner", one(&own)), away).await;
    refused(given, 403, "forbidden");
}

#[tokio::test]
async fn whom_somebody_higher_stopped_an_agent_of_does_not_let_it_go_on() {
    let scene = Scene::new();
    let agent = agent_of(&scene, &scene.member).await;
    let ordered = async |who: &Persona, order: &str| {
        scene.as_of(who, "POST", &format!("{}/{order}", one(&agent)), Value::Null).await
    };
    let own = &scene.member;
    assert_eq!(ordered(own, "pause").await.0, 200);
    assert_eq!(ordered(own, "resume").await.0, 200, "what they ordered themselves");
    assert_eq!(ordered(&scene.owner, "pause").await.0, 200);
    refused(ordered(own, "resume").await, 403, "above_own_rank");
    assert_eq!(ordered(own, "pause").await.0, 200, "it is so already");
    refused(ordered(own, "resume").await, 403, "above_own_rank");
    assert_eq!(ordered(&scene.admin, "resume").await.0, 200, "who steers everybody's agents");
    // Somebody higher makes the order of somebody else theirs.
    assert_eq!(ordered(own, "pause").await.0, 200);
    assert_eq!(ordered(&scene.admin, "pause").await.0, 200);
    assert_eq!(events(&scene, &agent, "agent.paused").await.len(), 4);
    refused(ordered(own, "resume").await, 403, "above_own_rank");
    assert_eq!(scene.root("GET", &one(&agent), Value::Null).await.1["state"], json!("paused"));
    // As whose agent it is does not matter to it.
    let lead = scene.bench.member(scene.owner.organization, "lead@acme.test", "lead");
    put_into_team(&scene, &lead, "eng", TeamRole::Admin);
    put_into_team(&scene, &scene.member, "eng", TeamRole::Member);
    refused(ordered(&lead, "resume").await, 403, "above_own_rank");
    assert_eq!(order(&scene, &agent, "resume").await.0, 200);
    assert_eq!(ordered(&lead, "pause").await.0, 200);
    assert_eq!(ordered(&lead, "resume").await.0, 200, "what they ordered themselves");
}

#[tokio::test]
async fn a_lead_steers_agents_of_the_people_whose_team_they_administer_and_no_others() {
    let scene = Scene::new();
    let acme = scene.owner.organization;
    let lead = scene.bench.member(acme, "lead@acme.test", "lead");
    let other = scene.bench.member(acme, "other@acme.test", "member");
    put_into_team(&scene, &scene.member, "eng", TeamRole::Member);
    put_into_team(&scene, &scene.owner, "eng", TeamRole::Member);
    put_into_team(&scene, &other, "sales", TeamRole::Member);
    let theirs = agent_of(&scene, &scene.member).await;
    let others = agent_of(&scene, &other).await;
    let above = agent_of(&scene, &scene.owner).await;
    let pause = |agent: &Value| format!("{}/pause", one(agent));

    put_into_team(&scene, &lead, "eng", TeamRole::Member);
    refused(scene.as_of(&lead, "POST", &pause(&theirs), Value::Null).await, 403, "forbidden");
    put_into_team(&scene, &lead, "eng", TeamRole::Admin);
    let (status, paused) = scene.as_of(&lead, "POST", &pause(&theirs), Value::Null).await;
    assert_eq!((status, &paused["state"]), (200, &json!("paused")), "{paused}");
    refused(scene.as_of(&lead, "POST", &pause(&others), Value::Null).await, 403, "forbidden");
    refused(scene.as_of(&lead, "POST", &pause(&above), Value::Null).await, 403, "above_own_rank");
    let (_, seen) = scene.as_of(&lead, "GET", AGENTS, Value::Null).await;
    let seen: Vec<_> = seen["items"].as_array().unwrap().iter().map(id).collect();
    // Ids of one millisecond have no order of their own.
    let mut of_the_team = [id(&theirs), id(&above)];
    of_the_team.sort();
    assert_eq!(seen, of_the_team, "the team's agents, not the other team's");
    let (_, first) = scene.as_of(&lead, "GET", &format!("{AGENTS}?limit=1"), Value::Null).await;
    let next = format!("{AGENTS}?limit=1&cursor={}", first["next"].as_str().unwrap());
    let (_, second) = scene.as_of(&lead, "GET", &next, Value::Null).await;
    assert_eq!([id(&first["items"][0]), id(&second["items"][0])], of_the_team);
    let made = json!({ "name": "bot", "owner": scene.member.membership.to_string() });
    assert_eq!(scene.as_of(&lead, "POST", AGENTS, made).await.0, 201);

    // A team role of admin without a lead's rank manages nothing.
    put_into_team(&scene, &other, "eng", TeamRole::Admin);
    refused(scene.as_of(&other, "POST", &pause(&theirs), Value::Null).await, 403, "forbidden");
}

#[tokio::test]
async fn every_order_in_every_state_gives_what_the_table_says() {
    let scene = Scene::new();
    let new_owner = json!({ "owner": scene.admin.membership.to_string() });
    for (state, pause, resume, owner, change) in [
        ("active", Some("paused"), Some("active"), Some("active"), Some("active")),
        ("paused", Some("paused"), Some("active"), Some("paused"), Some("paused")),
        ("orphaned", None, None, Some("active"), Some("orphaned")),
        ("disabled", None, None, None, None),
    ] {
        for (ordered, expected) in [("pause", pause), ("resume", resume), ("owner", owner), ("", change)] {
            let who = scene.bench.member(
                scene.owner.organization,
                &format!("{state}-{ordered}@acme.test"),
                "member",
            );
            let agent = agent_of(&scene, &who).await;
            match state {
                "paused" => assert_eq!(order(&scene, &agent, "pause").await.0, 200),
                "orphaned" => drop(off_board(&scene, &who).await),
                "disabled" => assert_eq!(scene.root("DELETE", &one(&agent), Value::Null).await.0, 204),
                _ => {}
            }
            let (_, before) = scene.root("GET", &one(&agent), Value::Null).await;
            assert_eq!(before["state"], json!(state));
            let answer = match ordered {
                "" => scene.root("PATCH", &one(&agent), json!({ "name": "other" })).await,
                "owner" => {
                    let path = format!("{}/owner", one(&agent));
                    scene.root("POST", &path, new_owner.clone()).await
                }
                _ => order(&scene, &agent, ordered).await,
            };
            match expected {
                Some(after) => {
                    assert_eq!((answer.0, &answer.1["state"]), (200, &json!(after)), "{state} {ordered}")
                }
                None => refused(answer, 409, "agent_state"),
            }
        }
    }
}

#[tokio::test]
async fn an_orphaned_agent_gets_no_key_and_goes_on_only_with_a_new_owner_and_new_keys() {
    let scene = Scene::new();
    let agent = agent_of(&scene, &scene.member).await;
    let seen = key_of(&scene, &scene.member, &agent).await;
    off_board(&scene, &scene.member).await;
    assert_eq!(code_of(&scene, &seen).await, "token_ended", "the leaver saw it");
    let keys = format!("{}/keys", one(&agent));
    refused(scene.root("POST", &keys, json!({ "name": "run" })).await, 409, "agent_state");
    let owner = format!("{}/owner", one(&agent));
    let back = json!({ "owner": scene.member.membership.to_string() });
    refused(scene.root("POST", &owner, back).await, 409, "member_inactive");
    let admin = json!({ "owner": scene.admin.membership.to_string() });
    let (status, assigned) = scene.as_of(&scene.admin, "POST", &owner, admin).await;
    assert_eq!((status, &assigned["state"]), (200, &json!("active")), "{assigned}");
    assert_eq!(assigned["owner"], json!(scene.admin.membership.to_string()));
    assert_eq!(code_of(&scene, &seen).await, "token_ended", "ended tokens never come back");
    let fresh = key_of(&scene, &scene.admin, &agent).await;
    assert_eq!(code_of(&scene, &fresh).await, "allowed");
}

#[tokio::test]
async fn a_suspended_owner_stops_the_agent_without_changing_its_state() {
    let scene = Scene::new();
    let agent = agent_of(&scene, &scene.member).await;
    let secret = key_of(&scene, &scene.member, &agent).await;
    let member = format!("{ACME}/members/{}", scene.member.membership);
    assert_eq!(scene.root("PATCH", &member, json!({ "state": "suspended" })).await.0, 200);
    assert_eq!(code_of(&scene, &secret).await, "member_inactive");
    assert_eq!(scene.root("GET", &one(&agent), Value::Null).await.1["state"], json!("active"));
    let keys = format!("{}/keys", one(&agent));
    refused(scene.root("POST", &keys, json!({ "name": "run" })).await, 409, "member_inactive");
    assert_eq!(scene.root("PATCH", &member, json!({ "state": "active" })).await.0, 200);
    assert_eq!(code_of(&scene, &secret).await, "allowed");
}

#[tokio::test]
async fn another_environment_must_be_one_of_the_owners_and_ends_the_keys_of_the_old_one() {
    let scene = Scene::new();
    let agent = agent_of(&scene, &scene.member).await;
    let secret = key_of(&scene, &scene.member, &agent).await;
    let staging = json!({ "environment": "staging" });
    refused(scene.root("PATCH", &one(&agent), staging.clone()).await, 422, "other_environment");
    change_access(&scene, &scene.member, |access| access.environments.push("staging".parse().unwrap()));
    let (status, changed) = scene.root("PATCH", &one(&agent), staging).await;
    assert_eq!((status, &changed["environment"]), (200, &json!("staging")), "{changed}");
    assert_eq!(code_of(&scene, &secret).await, "token_ended");
    let path = format!("{}/keys", one(&agent));
    let (_, fresh) = scene.as_of(&scene.member, "POST", &path, json!({ "name": "run" })).await;
    assert_eq!(fresh["environment"], json!("staging"), "{fresh}");
    change_access(&scene, &scene.member, |access| access.environments.retain(|at| at.as_str() != "staging"));
    refused(scene.root("POST", &path, json!({ "name": "ci" })).await, 422, "other_environment");
}

#[tokio::test]
async fn an_agents_key_is_listed_shown_and_revoked() {
    let scene = Scene::new();
    let agent = agent_of(&scene, &scene.member).await;
    let secret = key_of(&scene, &scene.member, &agent).await;
    let path = format!("{}/keys", one(&agent));
    let listed = scene.all(&path).await;
    assert_eq!((listed.len(), &listed[0]["holder"]), (1, &agent["id"]));
    let key = format!("{path}/{}", id(&listed[0]));
    assert_eq!(scene.as_of(&scene.viewer, "GET", &key, Value::Null).await.1, listed[0]);
    refused(scene.as_of(&scene.viewer, "DELETE", &key, Value::Null).await, 403, "forbidden");
    assert_eq!(scene.as_of(&scene.member, "DELETE", &key, Value::Null).await.0, 204);
    assert_eq!(code_of(&scene, &secret).await, "token_ended");
    let other = agent_of(&scene, &scene.member).await;
    let not_its = format!("{}/keys/{}", one(&other), id(&listed[0]));
    refused(scene.root("GET", &not_its, Value::Null).await, 404, "not_found");
}

/// What the log says of the agent under that action, oldest first.
async fn events(scene: &Scene, agent: &Value, action: &str) -> Vec<Value> {
    let events = format!("{ACME}/audit-events?target={}&action={action}&limit=200", id(agent));
    let (status, page) = scene.root("GET", &events, Value::Null).await;
    assert_eq!((status, &page["next"]), (200, &Value::Null), "{page}");
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn agents_are_listed_by_pages_and_the_last_page_says_that_it_is() {
    let scene = Scene::new();
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(id(&agent_of(&scene, &scene.member).await).to_owned());
    }
    for who in [&scene.admin, &scene.member] {
        for (limit, next) in [(2, json!(made[1])), (3, Value::Null), (4, Value::Null)] {
            let (_, page) = scene.as_of(who, "GET", &format!("{AGENTS}?limit={limit}"), Value::Null).await;
            let ids: Vec<_> = page["items"].as_array().unwrap().iter().map(|i| id(i).to_owned()).collect();
            assert_eq!((ids, &page["next"]), (made[..limit.min(3)].to_vec(), &next), "{limit}");
        }
    }
}

#[tokio::test]
async fn a_change_of_an_agent_stands_in_the_log_with_what_was_before() {
    let scene = Scene::new();
    let agent = agent_of(&scene, &scene.member).await;
    assert_eq!(scene.root("PATCH", &one(&agent), json!({ "name": "robot" })).await.0, 200);
    let changed = events(&scene, &agent, "agent.updated").await;
    let names = (&changed[0]["detail"]["from"]["name"], &changed[0]["detail"]["to"]["name"]);
    assert_eq!((changed.len(), names), (1, (&json!("bot"), &json!("robot"))), "{changed:?}");
    order(&scene, &agent, "pause").await;
    let counts = async || {
        let (paused, resumed) = ("agent.paused", "agent.resumed");
        (events(&scene, &agent, paused).await.len(), events(&scene, &agent, resumed).await.len())
    };
    assert_eq!(counts().await, (1, 0));
    order(&scene, &agent, "resume").await;
    assert_eq!(counts().await, (1, 1));
}

#[tokio::test]
async fn an_heir_and_a_rule_are_refused_in_a_change_as_they_are_in_a_new_agent() {
    let scene = Scene::new();
    let agent = agent_of(&scene, &scene.member).await;
    let no_heir = json!({ "on_owner_loss": "hand_over" });
    refused(scene.root("PATCH", &one(&agent), no_heir).await, 400, "invalid_field");
    let foreign = json!({ "heir": scene.stranger.membership.to_string() });
    refused(scene.root("PATCH", &one(&agent), foreign).await, 404, "not_found");
    let above = json!({ "heir": scene.owner.membership.to_string() });
    refused(scene.as_of(&scene.member, "PATCH", &one(&agent), above).await, 403, "above_own_rank");
    // A change of the name alone asks nothing of an heir who has left since.
    let heir = json!({ "heir": scene.admin.membership.to_string() });
    assert_eq!(scene.root("PATCH", &one(&agent), heir).await.0, 200);
    off_board(&scene, &scene.admin).await;
    assert_eq!(scene.root("PATCH", &one(&agent), json!({ "name": "robot" })).await.0, 200);
}

#[tokio::test]
async fn an_agent_is_handed_to_another_owner_and_to_its_own_only_if_it_went_on_without_them() {
    let scene = Scene::new();
    let agent = agent_of(&scene, &scene.member).await;
    let owner = format!("{}/owner", one(&agent));
    let to = |who: &Persona| json!({ "owner": who.membership.to_string() });
    let assigned = async |who: &Persona| {
        let (status, assigned) = scene.root("POST", &owner, to(who)).await;
        assert_eq!(status, 200, "{assigned}");
        (assigned["owner"].clone(), assigned["state"].clone())
    };
    let handed = async || events(&scene, &agent, "agent.handed_over").await.len();
    let active = |who: &Persona| (json!(who.membership.to_string()), json!("active"));
    assert_eq!(assigned(&scene.member).await, active(&scene.member));
    assert_eq!(handed().await, 0, "what is so already stays so");
    assert_eq!(assigned(&scene.viewer).await, active(&scene.viewer));
    assert_eq!(handed().await, 1);
    // Whoever comes back gets nothing back by that: it is given to them.
    let source = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
    let source = scene.made(&format!("{ACME}/directories"), source).await;
    let users = format!("{}/Users", source["base_url"].as_str().unwrap().trim_start_matches(PUBLIC_URL));
    let token = source["token"].as_str().unwrap();
    let told = json!({ "schemas": [USER], "userName": "ann@acme.test", "active": true });
    let (_, told) = scene.bench.call("POST", &users, token, told).await;
    let (_, found) = scene.root("GET", &format!("{ACME}/members?email=ann@acme.test"), Value::Null).await;
    let ann = Persona { membership: id(&found["items"][0]).parse().unwrap(), ..scene.member.clone() };
    assert_eq!(assigned(&ann).await, active(&ann));
    for is_active in [false, true] {
        let said = json!({ "schemas": [USER], "userName": "ann@acme.test", "active": is_active });
        assert_eq!(scene.bench.call("PUT", &format!("{users}/{}", id(&told)), token, said).await.0, 200);
    }
    assert_eq!(scene.root("GET", &one(&agent), Value::Null).await.1["state"], json!("orphaned"));
    assert_eq!(assigned(&ann).await, active(&ann));
}

#[tokio::test]
async fn whoever_comes_back_takes_no_orphaned_agent_back_and_what_was_stopped_stays_so() {
    let scene = Scene::new();
    let source = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
    let source = scene.made(&format!("{ACME}/directories"), source).await;
    let users = format!("{}/Users", source["base_url"].as_str().unwrap().trim_start_matches(PUBLIC_URL));
    let token = source["token"].as_str().unwrap();
    let told = json!({ "schemas": [USER], "userName": "ann@acme.test", "active": true });
    let (_, told) = scene.bench.call("POST", &users, token, told).await;
    let (_, found) = scene.root("GET", &format!("{ACME}/members?email=ann@acme.test"), Value::Null).await;
    let ann = Persona { membership: id(&found["items"][0]).parse().unwrap(), ..scene.member.clone() };
    let agent = agent_of(&scene, &ann).await;
    let key = scene.made(&format!("{}/keys", one(&agent)), json!({ "name": "run" })).await;
    assert_eq!(order(&scene, &agent, "pause").await.0, 200);
    for is_active in [false, true] {
        let said = json!({ "schemas": [USER], "userName": "ann@acme.test", "active": is_active });
        assert_eq!(scene.bench.call("PUT", &format!("{users}/{}", id(&told)), token, said).await.0, 200);
    }
    let keys = format!("{ACME}/members/{}/keys", ann.membership);
    let fresh = scene.made(&keys, json!({ "name": "laptop" })).await["token"].as_str().unwrap().to_owned();
    let ann = Persona { key: fresh, ..ann };
    let owner = format!("{}/owner", one(&agent));
    let back = json!({ "owner": ann.membership.to_string() });
    refused(scene.as_of(&ann, "POST", &owner, back.clone()).await, 403, "forbidden");
    // Nor does she change what was hers, or end it, while somebody is to take it over.
    let chosen = json!({ "heir": scene.admin.membership.to_string(), "on_owner_loss": "hand_over" });
    let key_id = id(&key);
    for (method, path, body) in [
        ("PATCH", one(&agent), json!({ "name": "robot" })),
        ("PATCH", one(&agent), chosen),
        ("DELETE", format!("{}/keys/{key_id}", one(&agent)), Value::Null),
        ("DELETE", format!("{ACME}/tokens/{key_id}"), Value::Null),
        ("DELETE", one(&agent), Value::Null),
    ] {
        refused(scene.as_of(&ann, method, &path, body).await, 403, "forbidden");
    }
    assert_eq!(scene.as_of(&ann, "GET", &one(&agent), Value::Null).await.1["state"], json!("orphaned"));
    assert_eq!(scene.root("PATCH", &one(&agent), json!({ "name": "robot" })).await.0, 200);
    let (status, given) = scene.as_of(&scene.admin, "POST", &owner, back).await;
    assert_eq!((status, &given["state"]), (200, &json!("paused")), "{given}");
    assert_eq!(code_of(&scene, key["token"].as_str().unwrap()).await, "agent_paused");
    let resume = format!("{}/resume", one(&agent));
    refused(scene.as_of(&ann, "POST", &resume, Value::Null).await, 403, "above_own_rank");
    assert_eq!(order(&scene, &agent, "resume").await.1["state"], json!("active"));
}

#[tokio::test]
async fn a_page_of_a_lead_ends_after_so_many_agents_of_others_and_the_next_goes_on_there() {
    let scene = Scene::new();
    let (organization, owner) = (scene.owner.organization, scene.owner.membership);
    let count = portcullis_service::agent::MAX_LOOKED_AT + 1;
    scene.bench.write(move |tx, moment| {
        let mut plan = Plan::because(organization, Cause::system());
        for _ in 0..count {
            let agent = Agent {
                id: AgentId::fresh(moment.now, &mut moment.random),
                organization,
                name: "bot".to_owned(),
                owner,
                heir: None,
                on_owner_loss: OwnerLossRule::Pause,
                rule_chosen_by: None,
                environment: Slug::production(),
                state: AgentState::Active,
                created_at: moment.now,
            };
            let event = EventDraft::new(Action::AgentCreated, agent.id);
            plan = plan.then(event, AgentChange::Create(agent));
        }
        moment.apply(tx, &plan)?;
        Ok(())
    });
    let lead = scene.bench.member(organization, "lead@acme.test", "lead");
    put_into_team(&scene, &lead, "ops", TeamRole::Admin);
    let (status, page) = scene.as_of(&lead, "GET", AGENTS, Value::Null).await;
    assert_eq!((status, &page["items"]), (200, &json!([])), "{page}");
    let next = page["next"].as_str().expect("there is more to look at");
    let (_, last) = scene.as_of(&lead, "GET", &format!("{AGENTS}?cursor={next}"), Value::Null).await;
    assert_eq!((&last["items"], &last["next"]), (&json!([]), &Value::Null), "{last}");
}

#[tokio::test]
async fn an_agent_that_is_handed_over_waits_for_keys_where_those_that_others_saw_have_run_out() {
    for (passed_s, state) in [(59, "active"), (60, "paused")] {
        let scene = Scene::new();
        let heir = scene.admin.membership.to_string();
        let wish = json!({
            "name": "bot", "owner": scene.member.membership.to_string(), "heir": heir,
            "on_owner_loss": "hand_over",
        });
        let agent = scene.made(AGENTS, wish).await;
        let short = json!({ "name": "run", "expires_at": "2026-01-01T00:01:00Z" });
        scene.made(&format!("{}/keys", one(&agent)), short).await;
        scene.bench.clock.pass_s(passed_s);
        let gone = off_board(&scene, &scene.member).await;
        let (_, left) = scene.root("GET", &one(&agent), Value::Null).await;
        assert_eq!((&left["owner"], &left["state"]), (&json!(heir), &json!(state)), "after {passed_s} s");
        let path = format!("{ACME}/receipts/{}", gone["receipt"].as_str().unwrap());
        let (_, receipt) = scene.root("GET", &path, Value::Null).await;
        let why = if state == "active" { "handed_over" } else { "waits_for_keys" };
        assert!(receipt["kept"].to_string().contains(why), "{receipt}");
    }
}

#[tokio::test]
async fn an_agent_that_is_handed_over_waits_for_keys_where_whoever_saw_them_stands_below_its_heir() {
    for (heir, saw, state) in [
        ("admin", "admin", "active"),
        ("owner", "admin", "paused"),
        ("owner", "owner", "active"),
        ("admin", "root", "active"),
    ] {
        let scene = Scene::new();
        let persona = |name: &str| if name == "owner" { &scene.owner } else { &scene.admin };
        let wish = json!({
            "name": "bot", "owner": scene.member.membership.to_string(),
            "heir": persona(heir).membership.to_string(), "on_owner_loss": "hand_over",
        });
        let agent = scene.made(AGENTS, wish).await;
        let (keys, name) = (format!("{}/keys", one(&agent)), json!({ "name": "run" }));
        let made = match saw {
            "root" => scene.root("POST", &keys, name).await,
            saw => scene.as_of(persona(saw), "POST", &keys, name).await,
        };
        assert_eq!(made.0, 201, "{}", made.1);
        let gone = off_board(&scene, &scene.member).await;
        let (_, left) = scene.root("GET", &one(&agent), Value::Null).await;
        assert_eq!(left["owner"], json!(persona(heir).membership.to_string()));
        assert_eq!(left["state"], state, "heir {heir}, seen by {saw}");
        let path = format!("{ACME}/receipts/{}", gone["receipt"].as_str().unwrap());
        let (_, receipt) = scene.root("GET", &path, Value::Null).await;
        let why = if state == "active" { "handed_over" } else { "waits_for_keys" };
        assert!(receipt["kept"].to_string().contains(why), "{receipt}");
    }
}

#[tokio::test]
async fn an_agent_that_is_handed_over_waits_for_keys_where_whoever_saw_them_is_suspended() {
    for (suspends, state, why) in [(false, "active", "handed_over"), (true, "paused", "waits_for_keys")] {
        let scene = Scene::new();
        let saw = scene.bench.member(scene.owner.organization, "zoe@acme.test", "admin");
        let wish = json!({
            "name": "bot", "owner": scene.member.membership.to_string(),
            "heir": scene.admin.membership.to_string(), "on_owner_loss": "hand_over",
        });
        let agent = scene.made(AGENTS, wish).await;
        let made =
            scene.as_of(&saw, "POST", &format!("{}/keys", one(&agent)), json!({ "name": "run" })).await;
        assert_eq!(made.0, 201, "{}", made.1);
        if suspends {
            let path = format!("{ACME}/members/{}", saw.membership);
            assert_eq!(scene.root("PATCH", &path, json!({ "state": "suspended" })).await.0, 200);
        }
        let gone = off_board(&scene, &scene.member).await;
        let (_, left) = scene.root("GET", &one(&agent), Value::Null).await;
        assert_eq!(left["state"], state);
        let path = format!("{ACME}/receipts/{}", gone["receipt"].as_str().unwrap());
        let (_, receipt) = scene.root("GET", &path, Value::Null).await;
        assert!(receipt["kept"].to_string().contains(why), "{receipt}");
    }
}

#[tokio::test]
async fn an_agent_goes_to_nobody_who_is_not_in_its_environment() {
    let scene = Scene::new();
    scene.made(&format!("{ACME}/environments"), json!({ "slug": "staging", "name": "Staging" })).await;
    let source = json!({ "kind": "scim", "name": "Okta" });
    let source = scene.made(&format!("{ACME}/directories"), source).await;
    let users = format!("{}/Users", source["base_url"].as_str().unwrap().trim_start_matches(PUBLIC_URL));
    for (group, environment) in [("Staff", "production"), ("Testers", "staging")] {
        let mapping = json!({
            "directory": id(&source), "attribute": { "name": "title", "value": group },
            "role": "member", "environment": environment,
        });
        scene.made(&format!("{ACME}/mappings"), mapping).await;
    }
    let told = async |name: &str, title: &str| {
        let address = format!("{name}@acme.test");
        let body = json!({ "schemas": [USER], "userName": address, "title": title, "active": true });
        let token = source["token"].as_str().unwrap();
        let (status, made) = scene.bench.call("POST", &users, token, body).await;
        assert_eq!(status, 201, "{made}");
        let path = format!("{ACME}/members?email={address}");
        let (_, found) = scene.root("GET", &path, Value::Null).await;
        Persona { membership: id(&found["items"][0]).parse().unwrap(), ..scene.member.clone() }
    };
    let [staff, tester] = [told("staff", "Staff").await, told("tester", "Testers").await];
    for (heir, state, why) in [(&staff, "orphaned", "orphaned"), (&tester, "active", "handed_over")] {
        let leaver = told(&format!("leaver-{state}"), "Testers").await;
        let wish = json!({
            "name": "bot", "owner": leaver.membership.to_string(), "environment": "staging",
            "heir": heir.membership.to_string(), "on_owner_loss": "hand_over",
        });
        let agent = scene.made(AGENTS, wish).await;
        scene.made(&format!("{}/keys", one(&agent)), json!({ "name": "run" })).await;
        let gone = off_board(&scene, &leaver).await;
        let (_, left) = scene.root("GET", &one(&agent), Value::Null).await;
        assert_eq!(left["state"], state, "{left}");
        let path = format!("{ACME}/receipts/{}", gone["receipt"].as_str().unwrap());
        let (_, receipt) = scene.root("GET", &path, Value::Null).await;
        assert_eq!(receipt["kept"][0]["why"], why, "{receipt}");
    }
}

#[tokio::test]
async fn an_agent_that_went_to_its_heir_has_no_heir_any_more_and_its_rule_can_be_changed() {
    let scene = Scene::new();
    let wish = json!({
        "name": "bot", "owner": scene.member.membership.to_string(), "heir": scene.viewer.membership.to_string(),
        "on_owner_loss": "hand_over",
    });
    let left = scene.made(AGENTS, wish.clone()).await;
    let given = scene.made(AGENTS, wish).await;
    let to = json!({ "owner": scene.viewer.membership.to_string() });
    assert_eq!(scene.root("POST", &format!("{}/owner", one(&given)), to).await.0, 200);
    off_board(&scene, &scene.member).await;
    for agent in [left, given] {
        let (_, found) = scene.root("GET", &one(&agent), Value::Null).await;
        assert_eq!(found["owner"], json!(scene.viewer.membership.to_string()), "{found}");
        assert_eq!(found["heir"], Value::Null, "{found}");
        let (status, changed) =
            scene.root("PATCH", &one(&agent), json!({ "on_owner_loss": "disable" })).await;
        assert_eq!((status, &changed["on_owner_loss"]), (200, &json!("disable")), "{changed}");
    }
}
