//! What is read only: receipts, the audit log and traces.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_domain::audit::canonical;
use portcullis_domain::id::{RequestId, TraceId};
use portcullis_store::checkup;
use portcullis_store::trace::{self, Trace};
use portcullis_testkit::ROOT_TOKEN;
use serde_json::{Value, json};

use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";

#[tokio::test]
async fn receipts_are_listed_by_pages_and_belong_to_one_organization() {
    let scene = Scene::new();
    let path = format!("{ACME}/receipts");
    for number in 0..3 {
        let leaver =
            scene.bench.member(scene.owner.organization, &format!("leaver-{number}@acme.test"), "member");
        let off_board = format!("{ACME}/members/{}/offboard", leaver.membership);
        assert_eq!(scene.root("POST", &off_board, json!({ "reason": "left" })).await.0, 200);
    }
    let receipts = scene.all(&path).await;
    assert_eq!(receipts.len(), 3);
    let one = format!("{path}/{}", id(&receipts[0]));
    let (_, shown) = scene.as_of(&scene.viewer, "GET", &one, Value::Null).await;
    assert_eq!(shown, receipts[0]);
    assert_eq!(shown["cause"]["because"], json!("administrator"));
    refused(scene.as_of(&scene.member, "GET", &path, Value::Null).await, 403, "forbidden");
    refused(
        scene.as_of(&scene.stranger, "GET", &one.replace("acme", "globex"), Value::Null).await,
        404,
        "not_found",
    );
    assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 405, "read only");
}

#[tokio::test]
async fn a_receipt_is_signed_by_a_key_of_the_organizations_published_set() {
    let scene = Scene::new();
    let order = format!("{ACME}/members/{}/offboard", scene.member.membership);
    assert_eq!(scene.root("POST", &order, json!({ "reason": "left" })).await.0, 200);
    scene.bench.portcullis().sign_all().await.unwrap();
    let receipt = scene.all(&format!("{ACME}/receipts")).await.remove(0);
    let jws = receipt["jws"].as_str().unwrap();
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{jws}") };
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let header: Value = serde_json::from_slice(&bytes(header)).unwrap();
    assert_eq!(header["alg"], "EdDSA");

    let (status, set) = scene.bench.call("GET", "/o/acme/jwks", "", Value::Null).await;
    assert_eq!(status, 200, "nobody need be known");
    let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!((&key["kty"], &key["crv"], &key["d"]), (&json!("OKP"), &json!("Ed25519"), &Value::Null));
    let public = UnparsedPublicKey::new(&ED25519, bytes(key["x"].as_str().unwrap()));
    let signed = jws.rsplit_once('.').unwrap().0;
    public.verify(signed.as_bytes(), &bytes(signature)).unwrap();

    let payload = bytes(payload);
    let said: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload, canonical(&said).unwrap(), "RFC 8785");
    assert_eq!(
        (&said["id"], &said["ended"], &said["kept"]),
        (&receipt["id"], &receipt["ended"], &receipt["kept"])
    );
    let (_, elsewhere) = scene.bench.call("GET", "/o/globex/jwks", "", Value::Null).await;
    assert!(elsewhere["keys"].as_array().unwrap().iter().all(|other| other["kid"] != key["kid"]));
    refused(scene.bench.call("GET", "/o/nowhere/jwks", "", Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn a_receipt_says_which_secrets_of_the_organization_the_leaver_saw_and_somebody_has_to_rotate() {
    let scene = Scene::new();
    let key = json!({ "name": "gateway", "scopes": ["evaluate"] });
    let directory = json!({ "kind": "scim", "name": "Okta" });
    let mut seen = Vec::new();
    for who in [&scene.admin, &scene.owner] {
        let made = scene.as_of(who, "POST", &format!("{ACME}/service-keys"), key.clone()).await.1;
        let (_, source) = scene.as_of(who, "POST", &format!("{ACME}/directories"), directory.clone()).await;
        let tokens = scene.all(&format!("{ACME}/directories/{}/tokens", id(&source))).await;
        seen.push([id(&made).to_owned(), id(&tokens[0]).to_owned()]);
    }
    let off_board = format!("{ACME}/members/{}/offboard", scene.admin.membership);
    assert_eq!(scene.root("POST", &off_board, json!({ "reason": "left" })).await.0, 200);
    let receipt = scene.all(&format!("{ACME}/receipts")).await.remove(0);
    let kept = receipt["kept"].as_array().unwrap();
    let mut rotate: Vec<_> =
        kept.iter().filter(|k| k["why"] == "rotate").map(|k| k["id"].as_str().unwrap().to_owned()).collect();
    rotate.sort_unstable();
    seen[0].sort_unstable();
    assert_eq!(rotate, seen[0], "what the admin saw, and not what the owner saw: {receipt}");
}

#[tokio::test]
async fn what_had_run_out_before_somebody_left_is_named_neither_as_ended_nor_as_something_to_rotate() {
    for (passed_s, acts) in [(59, true), (60, false)] {
        let scene = Scene::new();
        let leaver = &scene.admin;
        let short = json!({ "name": "short", "expires_at": "2026-01-01T00:01:00Z" });
        let keys = format!("{ACME}/members/{}/keys", leaver.membership);
        let key = id(&scene.as_of(leaver, "POST", &keys, short.clone()).await.1);
        let source = json!({ "kind": "scim", "name": "Okta" });
        let source = id(&scene.made(&format!("{ACME}/directories"), source).await);
        let tokens = format!("{ACME}/directories/{source}/tokens");
        let until = json!({ "expires_at": "2026-01-01T00:01:00Z" });
        let token = id(&scene.as_of(leaver, "POST", &tokens, until).await.1);
        scene.bench.clock.pass_s(passed_s);
        let off_board = format!("{ACME}/members/{}/offboard", leaver.membership);
        assert_eq!(scene.root("POST", &off_board, json!({ "reason": "left" })).await.0, 200);
        let receipt = scene.all(&format!("{ACME}/receipts")).await.remove(0);
        let names = |list: &str, id: &str| receipt[list].to_string().contains(id);
        assert_eq!((names("ended", &key), names("kept", &token)), (acts, acts), "{passed_s}: {receipt}");
        assert_eq!(receipt["ended"].as_array().unwrap().len(), 1 + usize::from(acts), "{receipt}");
        let ends = format!("{ACME}/audit-events?target={key}&action=token.ended");
        let (_, page) = scene.root("GET", &ends, Value::Null).await;
        assert_eq!(page["items"].as_array().unwrap().len(), usize::from(acts), "{page}");
        let found =
            scene.bench.write(|tx, moment| Ok(checkup::look(tx, moment.now, moment.now, moment.now)?));
        assert_eq!(
            (found.alive, found.alive_seen),
            (0, 0),
            "{passed_s}: nothing that should have ended acts"
        );
    }
}

#[tokio::test]
async fn the_log_is_found_by_actor_target_action_and_time() {
    let scene = Scene::new();
    let path = format!("{ACME}/audit-events");
    let everything = scene.all(&path).await;
    assert!(everything.len() > 8, "{everything:?}");
    for event in &everything {
        for field in ["id", "at", "action", "outcome"] {
            assert!(event[field].is_string(), "{field}: {event}");
        }
        assert_eq!(event["created_at"], event["at"], "{event}");
        assert!(event["actor"]["type"].is_string() && event["targets"].is_array(), "{event}");
        assert!(event["cause"]["kind"].is_string(), "{event}");
    }
    refused(scene.as_of(&scene.member, "GET", &path, Value::Null).await, 403, "forbidden");
    scene.bench.clock.pass_s(10);
    let member = format!("{ACME}/members/{}", scene.member.membership);
    let suspended = scene.as_of(&scene.admin, "PATCH", &member, json!({ "state": "suspended" })).await;
    assert_eq!(suspended.0, 200);
    let find = async |query: String| {
        let (_, page) = scene.root("GET", &format!("{path}?{query}"), Value::Null).await;
        page["items"].as_array().unwrap().clone()
    };
    let by_actor = find(format!("actor={}", scene.admin.membership)).await;
    let mut actions: Vec<_> = by_actor.iter().map(|e| e["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["member.access_changed", "member.suspended"]);
    for event in &by_actor {
        assert_eq!(event["cause"]["kind"], json!("api"));
        assert!(event["cause"]["request_id"].as_str().unwrap().starts_with("req_"), "{event}");
    }
    let since = find("since=2026-01-01T00:00:05Z".to_owned()).await;
    assert_eq!(since, by_actor, "nothing else happened since");
    let by_action = find("action=member.suspended".to_owned()).await;
    assert_eq!(by_action.len(), 1);
    let by_target = find(format!("target={}&action=member.suspended", scene.member.membership)).await;
    assert_eq!(by_target, by_action);
    let one = format!("{path}/{}", id(&by_action[0]));
    assert_eq!(scene.root("GET", &one, Value::Null).await.1, by_action[0]);
    refused(scene.root("GET", &format!("{path}?since=yesterday"), Value::Null).await, 400, "invalid_field");
    let foreign = one.replace("acme", "globex");
    refused(scene.as_of(&scene.stranger, "GET", &foreign, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn a_page_of_the_log_looks_at_a_bounded_part_of_it_and_says_where_to_go_on() {
    let scene = Scene::new();
    let path = format!("{ACME}/audit-events");
    let member = format!("{ACME}/members/{}", scene.member.membership);
    let suspended = scene.as_of(&scene.admin, "PATCH", &member, json!({ "state": "suspended" })).await;
    assert_eq!(suspended.0, 200);
    let organization = scene.owner.organization;
    // As many as one page looks at, before everything else, each done to a member in one way or the other.
    let target = scene.member.membership;
    let filling = format!(
        "INSERT INTO audit_events (id, organization, action, actor, target, second_target, content, salt, number, \
         created_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
         SELECT 'evt_' || '0000000000000000000000000' || CAST(1000000 + i AS TEXT), '{organization}', 'filling', \
         'nobody', CASE WHEN i % 2 = 0 THEN '{target}' ELSE '' END, CASE WHEN i % 2 = 0 THEN '' ELSE '{target}' END, \
         '{{}}', '', i - 1000000, 0 FROM n"
    );
    scene.bench.write(move |tx, _| Ok(tx.batch(&filling)?));
    let page = async |query: &str| scene.root("GET", &format!("{path}?{query}"), Value::Null).await.1;
    for wanted in [
        "action=member.suspended".to_owned(),
        format!("actor={}", scene.admin.membership),
        format!("target={target}&action=member.suspended"),
    ] {
        let first = page(&wanted).await;
        assert_eq!(first["items"], json!([]), "{first}");
        let cursor = first["next"].as_str().unwrap();
        let second = page(&format!("{wanted}&cursor={cursor}")).await;
        assert!(!second["items"].as_array().unwrap().is_empty() && second["next"].is_null(), "{second}");
        // What is too old is not looked at.
        let since = page(&format!("{wanted}&since=2026-01-01T00:00:00Z")).await;
        assert_eq!((&since["items"], &since["next"]), (&second["items"], &Value::Null));
    }
    // What is another one's is none of theirs, as if it were nothing's.
    let foreign =
        format!("/api/v1/organizations/globex/audit-events?target={target}&action=member.suspended");
    let foreign = scene.root("GET", &foreign, Value::Null).await.1;
    assert_eq!((&foreign["items"], &foreign["next"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn traces_are_listed_newest_first_by_kind_and_outcome() {
    let scene = Scene::new();
    let organization = scene.owner.organization;
    scene.bench.write(move |tx, moment| {
        let mut traces = Vec::new();
        for (seconds, kind, outcome) in
            [(0, "directory", "ok"), (1, "sign_in", "ok"), (2, "sign_in", "no_role_mapped")]
        {
            let at = moment.now.plus_s(seconds);
            traces.push(Trace {
                id: TraceId::fresh(at, &mut moment.random),
                organization,
                kind: kind.to_owned(),
                outcome: outcome.to_owned(),
                subject: "ada@acme.test".to_owned(),
                source: None,
                request: Some(RequestId::fresh(at, &mut moment.random)),
                content: r#"{"check":"mapping"}"#.to_owned(),
                created_at: at,
            });
        }
        Ok(trace::insert(tx, &traces)?)
    });
    let path = format!("{ACME}/traces");
    let all = scene.all(&path).await;
    let outcomes: Vec<_> = all.iter().map(|t| t["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["no_role_mapped", "ok", "ok"]);
    assert_eq!(all[0]["content"]["check"], json!("mapping"));
    let (_, page) = scene.root("GET", &format!("{path}?kind=sign_in&outcome=ok"), Value::Null).await;
    assert_eq!(page["items"], json!([all[1]]));
    // A cause is of kind `scim`, and a trace is of none: an empty page would say that nothing was refused.
    refused(scene.root("GET", &format!("{path}?kind=scim"), Value::Null).await, 400, "invalid_field");
    let both = format!("{path}?directory=dir_x&connection=con_x");
    refused(scene.root("GET", &both, Value::Null).await, 400, "invalid_field");
    let one = format!("{path}/{}", id(&all[1]));
    let (_, shown) = scene.as_of(&scene.viewer, "GET", &one, Value::Null).await;
    assert_eq!((&shown["id"], &shown["content"]), (&all[1]["id"], &all[1]["content"]), "{shown}");
    let blind = json!({ "slug": "helpdesk", "rank": 90, "permissions": ["traces.read"] });
    scene.made(&format!("{ACME}/roles"), blind).await;
    let blind = scene.bench.member(organization, "helpdesk@acme.test", "helpdesk");
    let (status, shown) = scene.as_of(&blind, "GET", &one, Value::Null).await;
    assert_eq!(
        (status, &shown["events"]),
        (200, &Value::Null),
        "who may not read the log reads none of it here"
    );
    let (_, shown) = scene.as_of(&scene.admin, "GET", &one, Value::Null).await;
    assert_eq!(shown["events"], json!([]));
    refused(
        scene.as_of(&scene.stranger, "GET", &one.replace("acme", "globex"), Value::Null).await,
        404,
        "not_found",
    );
    refused(scene.as_of(&scene.member, "GET", &path, Value::Null).await, 403, "forbidden");
}

#[tokio::test]
async fn whatever_the_root_token_sees_of_an_organization_leaves_one_event_a_minute_there() {
    let scene = Scene::new();
    let directory =
        scene.made(&format!("{ACME}/directories"), json!({ "kind": "scim", "name": "Okta" })).await;
    let owner = scene.owner.key.clone();
    let noted = async |org: &str, key: &str| {
        let path = format!("/api/v1/organizations/{org}/audit-events?action=root_token.used&limit=200");
        let (status, page) = scene.bench.call("GET", &path, key, Value::Null).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().clone()
    };
    let mut seen = noted("acme", &owner).await.len();
    let wish = json!({ "directory": id(&directory), "group": { "external_id": "g" }, "role": "member" });
    let question = json!({
        "subject": { "type": "token", "id": scene.member.key }, "action": { "name": "use" },
        "resource": { "type": "tool", "id": "Bash" },
    });
    let uses = [
        ("GET", ACME.to_owned(), Value::Null),
        ("HEAD", format!("{ACME}/members"), Value::Null),
        ("GET", "/api/v1/organizations".to_owned(), Value::Null),
        ("POST", format!("{ACME}/mappings/preview"), wish),
        ("POST", "/access/v1/evaluation".to_owned(), question),
        // What changes nothing shows all the same.
        ("PATCH", format!("{ACME}/members/{}", scene.member.membership), json!({})),
    ];
    for (method, path, body) in uses {
        scene.bench.clock.pass_s(60);
        for _ in 0..2 {
            let authorization = format!("Bearer {ROOT_TOKEN}");
            let headers = [("authorization", authorization.as_str())];
            let answer = scene.bench.exchange(method, &path, &headers, &body).await;
            assert_eq!(answer.status.as_u16(), 200, "{method} {path}: {}", answer.text());
        }
        let events = noted("acme", &owner).await;
        seen += 1;
        assert_eq!(events.len(), seen, "{method} {path}: one, and none for the second within the minute");
        let found = events.iter().find(|e| e["detail"]["path"] == json!(path.trim_start_matches("/api/v1")));
        assert!(found.is_some(), "{path}: {events:?}");
    }
    let elsewhere = noted("globex", &scene.stranger.key).await;
    assert_eq!(elsewhere.len(), 1, "the list of organizations shows every one of them: {elsewhere:?}");
    let made_once = async || {
        let authorization = format!("Bearer {ROOT_TOKEN}");
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", "k")];
        let wish = json!({ "slug": "again", "name": "Again" });
        let answer = scene.bench.exchange("POST", &format!("{ACME}/teams"), &headers, &wish).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
    };
    made_once().await;
    scene.bench.clock.pass_s(60);
    seen = noted("acme", &owner).await.len();
    made_once().await;
    seen += 1;
    assert_eq!(noted("acme", &owner).await.len(), seen, "an answer that is given again shows what was made");
    // What shows nothing of any organization has no log to stand in.
    scene.bench.clock.pass_s(60);
    assert_eq!(scene.root("GET", "/api/v1/me", Value::Null).await.0, 200);
    let unknown = json!({
        "subject": { "type": "token", "id": "nonsense" }, "action": { "name": "use" },
        "resource": { "type": "tool", "id": "Bash" },
    });
    assert_eq!(scene.root("POST", "/access/v1/evaluation", unknown).await.0, 200);
    assert_eq!(noted("acme", &owner).await.len(), seen);
}

#[tokio::test]
async fn a_list_that_is_narrowed_to_what_can_be_no_id_is_an_empty_page() {
    let scene = Scene::new();
    for asked in [
        "audit-events?request_id=x",
        "traces?request_id=x",
        "traces?directory=x",
        "mappings?directory=x",
        "holds?directory=x",
        "tokens?holder=x",
    ] {
        let (status, page) = scene.root("GET", &format!("{ACME}/{asked}"), Value::Null).await;
        assert_eq!(
            (status, &page["items"], &page["next"]),
            (200, &json!([]), &Value::Null),
            "{asked}: {page}"
        );
    }
}
