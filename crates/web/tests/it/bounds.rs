//! How much one member may have at a time, so that nobody makes their own end arbitrarily long.

use serde_json::{Value, json};

use crate::keys::session_of;
use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";

/// Makes that many of them at that path, beside the first.
async fn fill(scene: &Scene, path: &str, body: &Value, count: usize) -> Value {
    let mut made = Value::Null;
    for _ in 0..count {
        made = scene.made(path, body.clone()).await;
    }
    made
}

#[tokio::test]
async fn a_member_has_a_thousand_keys_that_act_and_may_have_another_once_one_has_ended_or_run_out() {
    let scene = Scene::new();
    let path = format!("{ACME}/members/{}/keys", scene.member.membership);
    let short = json!({ "name": "short", "expires_at": "2026-01-01T00:01:00Z" });
    fill(&scene, &path, &short, 1).await;
    let last = fill(&scene, &path, &json!({ "name": "laptop" }), 998).await;
    let another = json!({ "name": "one more" });
    refused(scene.as_of(&scene.member, "POST", &path, another.clone()).await, 409, "too_many_keys");
    refused(scene.root("POST", &path, another.clone()).await, 409, "too_many_keys");
    let others = format!("{ACME}/members/{}/keys", scene.admin.membership);
    assert_eq!(scene.root("POST", &others, another.clone()).await.0, 201, "somebody else's are their own");
    assert_eq!(scene.root("DELETE", &format!("{path}/{}", id(&last)), Value::Null).await.0, 204);
    assert_eq!(scene.root("POST", &path, another.clone()).await.0, 201);
    refused(scene.root("POST", &path, another.clone()).await, 409, "too_many_keys");
    scene.bench.clock.pass_s(60);
    assert_eq!(scene.root("POST", &path, another.clone()).await.0, 201, "what ran out acts no more");
    refused(scene.root("POST", &path, another).await, 409, "too_many_keys");
}

#[tokio::test]
async fn an_agent_has_a_hundred_keys_and_a_member_a_thousand_agents() {
    let scene = Scene::new();
    let agents = format!("{ACME}/agents");
    let of =
        |who: &portcullis_testkit::Persona| json!({ "name": "bot", "owner": who.membership.to_string() });
    let agent = fill(&scene, &agents, &of(&scene.member), 1000).await;
    refused(scene.as_of(&scene.member, "POST", &agents, of(&scene.member)).await, 409, "too_many_agents");
    let other = scene.made(&agents, of(&scene.admin)).await;
    let given = format!("{agents}/{}/owner", id(&other));
    let to = json!({ "owner": scene.member.membership.to_string() });
    refused(scene.root("POST", &given, to.clone()).await, 409, "too_many_agents");
    let own = format!("{agents}/{}/owner", id(&agent));
    assert_eq!(scene.root("POST", &own, to.clone()).await.0, 200, "it is theirs already");

    let keys = format!("{agents}/{}/keys", id(&agent));
    fill(&scene, &keys, &json!({ "name": "run" }), 100).await;
    refused(scene.root("POST", &keys, json!({ "name": "run" })).await, 409, "too_many_keys");
    assert_eq!(scene.root("DELETE", &format!("{agents}/{}", id(&agent)), Value::Null).await.0, 204);
    assert_eq!(scene.root("POST", &given, to).await.0, 200, "one has ended");
}

#[tokio::test]
async fn whoever_signs_in_a_hundred_times_keeps_the_newest_hundred_sessions() {
    let scene = Scene::new();
    let mut sessions = Vec::new();
    for _ in 0..101 {
        sessions.push(session_of(&scene.bench, &scene.member));
        scene.bench.clock.pass_s(1);
    }
    let me = async |session: &str| scene.bench.call("GET", "/api/v1/me", session, Value::Null).await.0;
    assert_eq!(me(&sessions[0]).await, 401, "the oldest gave way");
    assert_eq!(me(&sessions[1]).await, 200);
    assert_eq!(me(&sessions[100]).await, 200);
    let other = session_of(&scene.bench, &scene.admin);
    assert_eq!(me(&other).await, 200, "somebody else's are their own");
    assert_eq!(me(&sessions[1]).await, 200);
}
