//! Okta's life cycle: applications of the integration wizard (PUT for everything) and of the catalogue (PATCH).

use serde_json::{Value, json};

use crate::dialect::{Dialect, patch};
use crate::people::{Person, PersonState};
use crate::request::{ScimRequest, equals};

use super::expect::Hits;
use super::made::Kind;
use super::run::{Halt, Run};
use super::step::Weight;

/// What Okta's own test suite allows a list of groups, in milliseconds.
const MAX_GROUPS_MS: u128 = 600;

const DIALECT: Dialect = Dialect::Okta;

/// Plays it.
///
/// # Errors
/// [`Halt`].
pub(super) async fn play(run: &mut Run<'_>) -> Result<(), Halt> {
    test_connection(run).await?;
    let people = create(run).await?;
    update(run, &people).await?;
    push_group(run, &people).await?;
    leave(run, &people).await
}

type Known = (Person, String);

async fn test_connection(run: &mut Run<'_>) -> Result<(), Halt> {
    run.phase("Test connection");
    run.begin(
        "asks for the first page of people",
        "*Test Connector Configuration* fails, or an import stops",
    );
    let answer = run.send(&DIALECT.list_users(1, 100)).await?;
    run.list(&answer, Hits::Any);
    run.refuses_a_wrong_token().await?;
    run.begin("asks for the first page of groups", "Okta's own test suite fails where this takes long");
    let answer = run.send(&ScimRequest::get("/Groups").with("startIndex", "1").with("count", "100")).await?;
    run.list(&answer, Hits::Any);
    let took = answer.elapsed.as_millis();
    run.should(took < MAX_GROUPS_MS, "an answer within 600 ms", || format!("{took} ms"));
    run.reads_nobody("Okta takes a user who is gone for an error and retries without end").await
}

async fn create(run: &mut Run<'_>) -> Result<[Known; 3], Halt> {
    run.phase("Assign people");
    let [ada, barbara, claude, _] = run.cast.leads.clone();
    let nobody = DIALECT.find_user(&ada.user_name);
    run.finds_nobody(
        "looks a user name up that nobody has",
        "each assignment begins with this; it stays in *error*",
        nobody,
    )
    .await?;
    let means = "the assignment shows an error, and the person never gets in";
    // Okta's own test suite names another media type than Okta does.
    let plain = DIALECT.create_user(&claude).with_media_type("application/json");
    let suite = "Okta's own test suite, which a catalogue entry must pass, fails";
    let ids = [
        run.creates(&ada, means).await?,
        run.creates(&barbara, means).await?,
        run.creates_oddly("creates Claude by plain JSON", suite, &claude, plain, Weight::Must).await?,
    ];
    let clean = ids.iter().all(|id| !id.contains("bulkId"));
    run.must(clean, "no `bulkId` in an id", || "one".to_owned());
    run.cannot_create_twice(&ada, "Okta makes a second user where it should link the one that is there")
        .await?;
    let [ada_id, ..] = &ids;
    let found = DIALECT.find_user(&ada.user_name);
    run.finds_one("looks that user name up", "Okta creates where it should link", found, ada_id).await?;
    let shouted = DIALECT.find_user(&ada.user_name.to_ascii_uppercase());
    run.finds_one(
        "looks it up in capitals",
        "Okta compares user names without case; the person is made twice",
        shouted,
        ada_id,
    )
    .await?;
    spec_test(run).await?;
    run.walks_pages("an import takes people for deleted whom the order of pages skipped").await?;
    let [ada_id, barbara_id, claude_id] = ids;
    Ok([(ada, ada_id), (barbara, barbara_id), (claude, claude_id)])
}

/// What Okta's test suite asks of the first user.
async fn spec_test(run: &mut Run<'_>) -> Result<(), Halt> {
    run.begin(
        "asks for one user and looks at it",
        "Okta's own test suite, which a catalogue entry must pass, fails",
    );
    let answer = run.send(&ScimRequest::get("/Users").with("count", "1").with("startIndex", "1")).await?;
    run.list(&answer, Hits::Any);
    let count = answer.resources().len();
    run.must(count == 1, "one resource, as `count` says", || count.to_string());
    for pointer in ["/name/familyName", "/name/givenName", "/userName", "/active", "/emails/0/value"] {
        let value = answer.resources().first().and_then(|user| user.pointer(pointer));
        // The first user of a directory that is in use is somebody else's, and may lack a name.
        run.should(value.is_some_and(|value| !value.is_null()), &format!("`{pointer}`"), || {
            "nothing".to_owned()
        });
    }
    Ok(())
}

async fn update(run: &mut Run<'_>, people: &[Known; 3]) -> Result<(), Halt> {
    run.phase("Update attributes");
    let [(ada, ada_id), (barbara, barbara_id), _] = people;
    let means = "profile updates stop with an error; names and addresses stay what they were";
    let read = run.reads("reads Ada before the update", means, ada_id, &DIALECT.user(ada)).await?;
    let renamed = Person { family_name: "Lovelace".to_owned(), ..ada.clone() };
    // The whole resource as it was read, what only the server may change included.
    let mut request = DIALECT.replace_user(ada_id, &renamed);
    if let Some(body) = request.body.as_mut().and_then(Value::as_object_mut) {
        let own =
            |name: &str| read.body.as_ref().and_then(|body| body.get(name)).cloned().unwrap_or(Value::Null);
        body.extend([("meta".to_owned(), own("meta")), ("groups".to_owned(), json!([]))]);
    }
    run.changes("renames Ada by PUT, with id, groups, meta and password", means, &renamed, ada_id, request)
        .await?;
    let renamed = Person { given_name: "Barb".to_owned(), ..barbara.clone() };
    let request = DIALECT.patch_user(barbara_id, DIALECT.update_user(&renamed));
    run.changes("renames Barbara by a PATCH without a path (catalogue)", means, &renamed, barbara_id, request)
        .await
}

async fn push_group(run: &mut Run<'_>, people: &[Known; 3]) -> Result<(), Halt> {
    run.phase("Push Groups");
    let [(_, ada), (_, barbara), (_, claude)] = people;
    let [ada, barbara, claude] = [ada.clone(), barbara.clone(), claude.clone()];
    let mut group = run.cast.group.clone();
    run.finds_no_group("the push cannot decide between linking and creating").await?;
    let id = run.pushes(&group, &[], "the push shows an error; a mapped role reaches nobody").await?;
    let patched = |body| DIALECT.patch_group(&id, body);
    let means = "whoever joins a pushed group gets nothing, or whoever leaves it keeps everything";
    let both = [ada.clone(), barbara.clone()];
    run.changes_members("adds two members", means, patched(DIALECT.add_members(&both)), &id, &both).await?;
    let delta = patch(vec![
        json!({"op": "remove", "path": format!("members[value eq \"{ada}\"]")}),
        json!({"op": "add", "path": "members", "value": DIALECT.members(std::slice::from_ref(&claude))}),
    ]);
    let now = [barbara.clone(), claude.clone()];
    run.changes_members("removes one and adds another in one PATCH", means, patched(delta), &id, &now)
        .await?;
    group.display_name.push_str(" 2");
    run.renames(&id, &group, &now, "Okta sends id and name before each change of members; the push stops")
        .await?;
    let all = [ada.clone(), barbara.clone(), claude.clone()];
    let full = DIALECT.replace_members(&id, &group.display_name, &all);
    run.changes_members("pushes the whole list", means, patched(full), &id, &all).await?;
    let empty = patch(vec![json!({"op": "replace", "path": "members", "value": []})]);
    let emptied = "*Push now* of an empty group leaves people in it";
    run.changes_members("empties it by path (push now)", emptied, patched(empty), &id, &[]).await?;
    let put = DIALECT.replace_group(&id, &group, &all);
    run.changes_members("pushes it by PUT (integration wizard)", means, put, &id, &all).await?;
    let empty = DIALECT.replace_members(&id, &group.display_name, &[]);
    run.changes_members("empties it without a path (push now)", emptied, patched(empty), &id, &[]).await?;
    let full = DIALECT.replace_members(&id, &group.display_name, &all);
    run.changes_members("pushes the whole list again", means, patched(full), &id, &all).await?;
    run.deletes_group(&id, &group, "an unlinked group stays, with what it gives").await?;
    run.begin("reads Ada, whose group was deleted", "whoever was in a deleted group is lost");
    let answer = run.send(&DIALECT.read_user(&ada)).await?;
    run.status(&answer, &[200]);
    run.resource(&answer, Kind::User);
    Ok(())
}

async fn leave(run: &mut Run<'_>, people: &[Known; 3]) -> Result<(), Halt> {
    run.phase("Deactivate and reactivate");
    let [(ada, ada_id), (barbara, barbara_id), (claude, claude_id)] = people;
    let out = |person: &Person| Person { state: PersonState::Deactivated, ..person.clone() };
    let means = "an unassigned person keeps access, and Okta shows no error";
    run.sets_state(means, &out(ada), ada_id, DIALECT.set_state(ada_id, &out(ada))).await?;
    run.sets_state(means, &out(barbara), barbara_id, DIALECT.replace_user(barbara_id, &out(barbara))).await?;
    let means = "whoever is assigned again stays out, or comes back under another id";
    run.sets_state(means, ada, ada_id, DIALECT.set_state(ada_id, ada)).await?;
    run.sets_state(means, barbara, barbara_id, DIALECT.replace_user(barbara_id, barbara)).await?;
    run.phase("Off-boarding");
    let means = "somebody who left the company keeps access: Okta never sends DELETE, this is all there is";
    let mut gone = Vec::new();
    for (person, id) in [(ada, ada_id), (barbara, barbara_id), (claude, claude_id)] {
        run.sets_state(means, &out(person), id, DIALECT.set_state(id, &out(person))).await?;
        gone.push(id);
    }
    run.begin("looks for who left, by user name and active", "an import brings a leaver back as active");
    let filter = format!("{} and active eq true", equals("userName", &ada.user_name));
    let answer = run.send(&ScimRequest::get("/Users").with("filter", filter)).await?;
    run.list(&answer, Hits::Exactly(0));
    Ok(())
}
