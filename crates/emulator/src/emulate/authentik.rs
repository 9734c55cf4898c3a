//! authentik's life cycle: it reads what the server can do, creates first, and sends one operation for each member.

use serde_json::{Value, json};

use crate::dialect::{Dialect, patch};
use crate::people::{Person, PersonState};
use crate::request::{ScimRequest, equals};

use super::expect::Hits;
use super::made::Kind;
use super::run::{Halt, Run};
use super::step::quoted_value;

const DIALECT: Dialect = Dialect::Authentik;

type Known = (Person, String);

/// Plays it.
///
/// # Errors
/// [`Halt`].
pub(super) async fn play(run: &mut Run<'_>) -> Result<(), Halt> {
    let operations = read_config(run).await?;
    let people = create(run).await?;
    update(run, &people).await?;
    groups(run, &people, operations).await?;
    leave(run, &people).await
}

/// What the server can do; operations of one PATCH, where it says a limit.
async fn read_config(run: &mut Run<'_>) -> Result<usize, Halt> {
    run.phase("Read the server's configuration");
    run.begin(
        "reads /ServiceProviderConfig",
        "authentik goes by its own defaults and may send what is not understood",
    );
    let answer = run.send(&ScimRequest::get("/ServiceProviderConfig")).await?;
    run.status(&answer, &[200]);
    let body = answer.body.as_ref();
    let part = |pointer: &str| body.and_then(|body| body.pointer(pointer));
    run.should(
        part("/patch/supported") == Some(&Value::Bool(true)),
        "`patch` supported: without it groups go by PUT",
        || quoted_value(part("/patch/supported")),
    );
    run.must(
        part("/filter/supported") == Some(&Value::Bool(true)),
        "`filter` supported: it links by one on 409",
        || quoted_value(part("/filter/supported")),
    );
    let limit = part("/bulk/maxOperations").and_then(Value::as_u64).filter(|limit| *limit > 0);
    run.refuses_a_wrong_token().await?;
    Ok(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1))
}

async fn create(run: &mut Run<'_>) -> Result<[Known; 3], Halt> {
    run.phase("Synchronize users");
    let [ada, barbara, claude, _] = run.cast.leads.clone();
    let means = "the task of the provider fails for that person";
    let ada_id = run.creates(&ada, means).await?;
    let barbara_id = run.creates(&barbara, means).await?;
    let claude_id = run.creates(&claude, means).await?;
    run.cannot_create_twice(
        &ada,
        "authentik looks up on 409 only: any other answer fails or makes a second user",
    )
    .await?;
    let filter = DIALECT.find("/Users", &equals("userName", &ada.user_name));
    run.finds_one(
        "looks up on that 409 and links",
        "whoever is there already is never taken over",
        filter,
        &ada_id,
    )
    .await?;
    Ok([(ada, ada_id), (barbara, barbara_id), (claude, claude_id)])
}

async fn update(run: &mut Run<'_>, people: &[Known; 3]) -> Result<(), Halt> {
    let [(ada, ada_id), _, _] = people;
    let [_, _, _, donald] = run.cast.leads.clone();
    let renamed = Person { family_name: "Lovelace".to_owned(), ..ada.clone() };
    let request = DIALECT.change_user(ada_id, &renamed);
    run.changes("renames Ada by PUT", "names and addresses stay what they were", &renamed, ada_id, request)
        .await?;
    let means = "somebody who was deleted at the server is never made again";
    let first = run.creates(&donald, means).await?;
    run.deletes(&donald, &first, means).await?;
    run.begin("PUTs Donald, who is gone, and creates him again", means);
    let answer = run.send(&DIALECT.replace_user(&first, &donald)).await?;
    run.status(&answer, &[404]);
    let request = DIALECT.create_user(&donald);
    let second = run.create_now(&donald, &request).await?;
    run.must(second != first, "another id than before", || "the same".to_owned());
    run.deletes(&donald, &second, means).await
}

async fn groups(run: &mut Run<'_>, people: &[Known; 3], operations: usize) -> Result<(), Halt> {
    run.phase("Synchronize groups");
    let mut group = run.cast.group.clone();
    let all = people.clone().map(|(_, id)| id);
    let means = "whoever joins a group gets nothing, or whoever leaves it keeps everything";
    let id = run.pushes(&group, &[], "the group is not there; a mapped role reaches nobody").await?;
    run.begin("adds all three, one operation each, in pieces as the server allows", means);
    for piece in all.chunks(operations) {
        let answer = run.send(&DIALECT.patch_group(&id, DIALECT.add_members(piece))).await?;
        run.status(&answer, &[200, 204]);
    }
    // Whom to add and whom to remove is what differs from this answer.
    run.members(&id, &all).await?;
    let gone =
        "one leaves, and everybody loses what the group gives: the next synchronization finds it empty";
    let removed = DIALECT.patch_group(&id, DIALECT.remove_members(&all[..1]));
    run.changes_members("removes one by path and list", gone, removed, &id, &all[1..]).await?;
    let again = DIALECT.patch_group(&id, DIALECT.remove_members(&all[..1]));
    run.changes_members("removes the same once more", gone, again, &id, &all[1..]).await?;
    group.display_name.push_str(" 2");
    run.renames(&id, &group, &all[1..], "the group keeps its old name: id and schemas stand in the change")
        .await?;
    // Its documentation says PUT, its code a PATCH without path: either may come.
    let put = DIALECT.replace_group(&id, &group, &all[1..]);
    run.changes_members("writes the group whole by PUT", means, put, &id, &all[1..]).await?;
    let whole = patch(vec![json!({"op": "add", "path": "members", "value": [{"value": all.first()}]})]);
    run.changes_members("adds one who was in it before", means, DIALECT.patch_group(&id, whole), &id, &all)
        .await?;
    run.begin("discovers all groups", "groups at the server that authentik does not know stay for ever");
    let answer = run.send(&ScimRequest::get("/Groups").with("startIndex", "1")).await?;
    run.list(&answer, Hits::Any);
    run.deletes_group(&id, &group, "a group that is out of scope stays").await
}

async fn leave(run: &mut Run<'_>, people: &[Known; 3]) -> Result<(), Halt> {
    run.phase("Deactivate and delete");
    let [(ada, ada_id), ..] = people;
    let out = Person { state: PersonState::Deactivated, ..ada.clone() };
    let means = "an inactive person keeps access";
    run.sets_state(means, &out, ada_id, DIALECT.set_state(ada_id, &out)).await?;
    run.sets_state("whoever is active again stays out", ada, ada_id, DIALECT.set_state(ada_id, ada)).await?;
    for (person, id) in people {
        run.deletes(person, id, "somebody who left the company keeps access").await?;
    }
    run.begin("creates Ada again, under a new id", "whoever is hired again cannot come back");
    let request = DIALECT.create_user(ada);
    let id = run.create_now(ada, &request).await?;
    run.must(id != *ada_id, "another id than before", || "the same".to_owned());
    let read = run.send(&DIALECT.read_user(&id)).await?;
    run.resource(&read, Kind::User);
    run.deletes(ada, &id, "somebody who left the company keeps access").await
}
