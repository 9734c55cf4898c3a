//! One group with many members, one person in many groups: read and rendered like a list that is not small.

use std::sync::mpsc;
use std::time::Duration;

use portcullis_service::scim::{create_user, person_said};
use portcullis_store::params;
use portcullis_store::row::list;
use portcullis_store::statement::Statement;
use serde_json::{Value, json};

use super::provider::{GROUP, Provider, patch, person};

/// More members than are read where requests are served.
const MANY_MEMBERS: usize = 4_001;
/// More groups than are read there.
const MANY_GROUPS: usize = 1_001;
/// So many members that their answer is not written there, in a body that is read there.
const MANY_PEOPLE: usize = 1_100;
/// How long an answer is waited for that does not come, in milliseconds.
const WAIT_MS: u64 = 400;
/// How long one is waited for that must come, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);

/// Puts these ids into the group of that name. Whose they are is not asked where the group is read.
const MEMBERS: Statement = Statement::change(
    "test.members",
    "INSERT INTO directory_members (directory_group, directory_user) SELECT g.id, each.value \
     FROM EACH_OF($1) AS each, directory_groups g WHERE g.display_name = 'large'",
);
/// Groups beside that one, named by number, with one member.
const GROUPS: Statement = Statement::change(
    "test.groups",
    "INSERT INTO directory_groups (id, organization, directory, display_name, display_name_key, created_at, updated_at) \
     SELECT each.value, g.organization, g.directory, each.value, each.value, g.created_at, g.updated_at \
     FROM EACH_OF($1) AS each, directory_groups g WHERE g.display_name = 'large'",
);
const PLACES: Statement = Statement::change(
    "test.places",
    "INSERT INTO directory_members (directory_group, directory_user) SELECT each.value, CAST($2 AS TEXT) \
     FROM EACH_OF($1) AS each",
);

/// A group named `large` with so many members, and somebody in so many groups.
struct Large {
    idp: Provider,
    group: String,
    person: String,
}

impl Large {
    async fn new() -> Self {
        let idp = Provider::new();
        let (group, person) = (idp.group("large", &[]).await, idp.user("ann").await);
        let ids = |prefix: &str, many: usize| -> Vec<String> {
            (0..many).map(|n| format!("{prefix}_{n:032}")).collect()
        };
        for ids in ids("du", MANY_MEMBERS).chunks(1_000) {
            let ids = ids.to_vec();
            idp.bench.write(move |tx, _| Ok(tx.run(&MEMBERS, params![list(&ids)])?));
        }
        for ids in ids("dg", MANY_GROUPS).chunks(1_000) {
            let (ids, member) = (ids.to_vec(), person.clone());
            idp.bench.write(move |tx, _| {
                tx.run(&GROUPS, params![list(&ids)])?;
                Ok(tx.run(&PLACES, params![list(&ids), member])?)
            });
        }
        Self { idp, group: format!("/Groups/{group}"), person: format!("/Users/{person}") }
    }
}

fn many(resource: &Value, of: &str) -> usize {
    resource[of].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_large_group_and_somebody_in_many_groups_wait_for_a_turn_and_whoever_is_small_for_nobody() {
    let Large { idp, group, person } = Large::new().await;
    let (small, bo) = (idp.group("small", &[]).await, idp.user("bo").await);
    let mut turns = Vec::new();
    while let Ok(turn) = idp.bench.portcullis().searches().turn_to_list(idp.directory).await {
        turns.push(turn);
        assert!(turns.len() < 8, "a directory has not every turn");
    }
    for large in [&group, &person] {
        let told = idp.call("GET", large, Value::Null).await;
        assert_eq!(told.status, 429, "{large}: {}", told.text());
        assert!(told.headers.contains_key("retry-after"));
    }
    for below in
        [format!("{group}?excludedAttributes=members"), format!("/Groups/{small}"), format!("/Users/{bo}")]
    {
        assert_eq!(idp.call("GET", &below, Value::Null).await.status, 200, "{below}");
    }
    drop(turns);
    assert_eq!(many(&idp.got(&group).await, "members"), MANY_MEMBERS);
    assert_eq!(many(&idp.got(&person).await, "groups"), MANY_GROUPS);
}

/// A runtime with one thread aside, and that one busy until it is told.
fn beside_one_busy_thread<F: Future<Output = ()>>(run: impl FnOnce(mpsc::Sender<()>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.expect("a runtime").block_on(async {
        let (release, released) = mpsc::channel();
        tokio::task::spawn_blocking(move || released.recv());
        run(release).await;
    });
}

#[test]
fn what_is_large_is_rendered_aside_whichever_call_it_answers() {
    beside_one_busy_thread(async |release| {
        let Large { idp, group, person: ann } = Large::new().await;
        let speaker = idp.speaker();
        let crowd = idp.bench.write(move |tx, moment| {
            let made = (0..MANY_PEOPLE).map(|n| {
                let body = json!({ "userName": format!("u{n:04}") }).to_string();
                let (user, _) = portcullis_scim::parse_user(body.as_bytes()).expect("a user");
                Ok(create_user(tx, moment, speaker, &person_said(&user.with_defaults()))?.user.id.to_string())
            });
            made.collect::<Result<Vec<String>, portcullis_service::ServiceError>>()
        });
        let members: Vec<Value> = crowd.iter().map(|id| json!({ "value": id })).collect();
        let made = |name: &str| json!({ "schemas": [GROUP], "displayName": name, "members": members });
        let small =
            format!("/Groups/{}", idp.made("/Groups?excludedAttributes=members", made("crowd")).await);
        let external = json!([{ "op": "replace", "path": "externalId", "value": "e" }]);
        let title = patch(json!([{ "op": "replace", "path": "title", "value": "T" }]));
        let renamed = json!({ "schemas": [GROUP], "displayName": "large 2" });
        let large = [
            ("GET", small.clone(), Value::Null),
            ("GET", ann.clone(), Value::Null),
            ("PUT", group.clone(), renamed.clone()),
            ("PATCH", format!("{group}?attributes=members"), patch(external)),
            ("POST", "/Groups".to_owned(), made("new")),
            ("PUT", ann.clone(), person("ann")),
            ("PATCH", ann.clone(), title),
        ];
        let in_time = async |method: &str, below: &str, body: &Value| {
            let call = idp.call(method, below, body.clone());
            tokio::time::timeout(Duration::from_millis(WAIT_MS), call).await.ok()
        };
        for (method, below, body) in &large {
            assert!(in_time(method, below, body).await.is_none(), "{method} {below} was rendered at once");
        }
        // Nobody is shown the groups that a bulk request changes, and what is small needs nobody else.
        let bulk = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [{ "method": "PUT", "path": group, "data": renamed }],
        });
        for (method, below, body) in [
            ("POST", "/Bulk", &bulk),
            ("GET", &format!("{group}?excludedAttributes=members"), &Value::Null),
            (
                "PATCH",
                &group,
                &patch(json!([{ "op": "replace", "path": "displayName", "value": "large 3" }])),
            ),
        ] {
            let call = tokio::time::timeout(LONG, idp.call(method, below, body.clone())).await;
            let call = call.unwrap_or_else(|_| panic!("{method} {below} waits for a thread"));
            assert!(call.status.is_success(), "{method} {below}: {}", call.text());
        }
        release.send(()).expect("it waits");
        assert_eq!(many(&idp.got(&group).await, "members"), MANY_MEMBERS);
        assert_eq!(idp.got(&format!("{group}?attributes=externalId")).await["externalId"], "e");
        let put = idp.call("PUT", &group, json!({ "schemas": [GROUP], "displayName": "large 4" })).await;
        assert_eq!((put.status.as_u16(), many(&put.json(), "members")), (200, MANY_MEMBERS));
        let put = idp.call("PUT", &ann, person("ann")).await;
        assert_eq!((put.status.as_u16(), many(&put.json(), "groups")), (200, MANY_GROUPS));
        assert_eq!(put.headers["etag"].to_str().ok(), put.json()["meta"]["version"].as_str());
        let found = idp.got("/Groups?filter=displayName%20eq%20%22new%22&excludedAttributes=members").await;
        assert_eq!(found["totalResults"], 1, "what was carried out stays, whoever waited for the answer");
    });
}
