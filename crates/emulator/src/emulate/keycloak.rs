//! The standard as written: what Keycloak's extensions and any other careful client may count on.

use serde_json::{Value, json};

use crate::dialect::{Dialect, patch};
use crate::people::{Person, PersonState};
use crate::request::ScimRequest;

use super::expect::Hits;
use super::made::Kind;
use super::run::{Halt, Run};
use super::step::{quoted, quoted_value};

const DIALECT: Dialect = Dialect::Keycloak;

/// Plays it.
///
/// # Errors
/// [`Halt`].
pub(super) async fn play(run: &mut Run<'_>) -> Result<(), Halt> {
    let versions = discover(run).await?;
    let [ada, barbara, claude, _] = run.cast.leads.clone();
    run.phase("Create users");
    let means = "the extension logs an error and the person is not there";
    run.finds_nobody("looks Ada up", means, DIALECT.find_user(&ada.user_name)).await?;
    let ada_id = run.creates(&ada, means).await?;
    let barbara_id = run.creates(&barbara, means).await?;
    let claude_id = run.creates(&claude, means).await?;
    run.cannot_create_twice(&ada, "two users where one should be linked").await?;
    run.finds_one("finds Ada by user name", means, DIALECT.find_user(&ada.user_name), &ada_id).await?;
    run.reads_nobody("a deleted user cannot be told from a failure").await?;
    run.walks_pages("an import has holes").await?;

    run.phase("Update users");
    let means = "names and addresses stay what they were";
    let renamed = Person { family_name: "Lovelace".to_owned(), ..ada.clone() };
    let request = DIALECT.change_user(&ada_id, &renamed);
    run.changes("renames Ada by PATCH", means, &renamed, &ada_id, request).await?;
    let renamed = Person { given_name: "Barb".to_owned(), ..barbara.clone() };
    let request = DIALECT.replace_user(&barbara_id, &renamed);
    run.changes("renames Barbara by PUT", means, &renamed, &barbara_id, request).await?;
    if versions {
        keeps_versions(run, &ada_id).await?;
    }

    run.phase("Groups");
    let mut group = run.cast.group.clone();
    let all = [ada_id.clone(), barbara_id.clone(), claude_id.clone()];
    let means = "whoever joins a group gets nothing, or whoever leaves it keeps everything";
    run.finds_no_group("the group is made twice, or never").await?;
    let id = run.pushes(&group, &all[..2], "the group is not there; a mapped role reaches nobody").await?;
    let patched = |body| DIALECT.patch_group(&id, body);
    run.changes_members("adds one", means, patched(DIALECT.add_members(&all[2..])), &id, &all).await?;
    run.changes_members("removes one", means, patched(DIALECT.remove_members(&all[..1])), &id, &all[1..])
        .await?;
    let whole = DIALECT.replace_members(&id, &group.display_name, &all);
    run.changes_members("replaces the list", means, patched(whole), &id, &all).await?;
    let cleared = patch(vec![json!({"op": "remove", "path": "members"})]);
    run.changes_members("removes all, by the letter of the standard", means, patched(cleared), &id, &[])
        .await?;
    group.display_name.push_str(" 2");
    run.renames(&id, &group, &[], "the group keeps its old name").await?;
    run.changes_members("replaces it by PUT", means, DIALECT.replace_group(&id, &group, &all), &id, &all)
        .await?;

    run.phase("Disable, enable, delete");
    let out = Person { state: PersonState::Deactivated, ..ada.clone() };
    let means = "a disabled person keeps access";
    run.sets_state(means, &out, &ada_id, DIALECT.set_state(&ada_id, &out)).await?;
    run.sets_state("whoever is enabled again stays out", &ada, &ada_id, DIALECT.set_state(&ada_id, &ada))
        .await?;
    run.sets_state(means, &out, &ada_id, DIALECT.set_state(&ada_id, &out)).await?;
    let means = "a deleted person keeps access";
    for (person, person_id) in [(&ada, &ada_id), (&barbara, &barbara_id), (&claude, &claude_id)] {
        run.deletes(person, person_id, means).await?;
    }
    run.deletes_group(&id, &group, "the group stays").await
}

/// Reads the three discovery documents; whether the server keeps versions.
async fn discover(run: &mut Run<'_>) -> Result<bool, Halt> {
    run.phase("Discovery");
    let means = "a client that goes by discovery does not know what the server can do";
    run.begin("reads /ServiceProviderConfig", means);
    let answer = run.send(&ScimRequest::get("/ServiceProviderConfig")).await?;
    run.status(&answer, &[200]);
    let part = |pointer: &str| answer.body.as_ref().and_then(|body| body.pointer(pointer));
    for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
        let value = part(&format!("/{feature}/supported"));
        run.must(value.is_some_and(Value::is_boolean), &format!("whether `{feature}` is supported"), || {
            quoted_value(value)
        });
    }
    let versions = part("/etag/supported") == Some(&Value::Bool(true));
    for path in ["/ResourceTypes", "/Schemas"] {
        run.begin(format!("reads {path}"), means);
        let answer = run.send(&ScimRequest::get(path)).await?;
        run.list(&answer, Hits::Any);
        let count = answer.resources().len();
        run.must(count >= 2, "users and groups at least", || format!("{count} resources"));
    }
    run.refuses_a_wrong_token().await?;
    Ok(versions)
}

/// RFC 7644 §3.14.
async fn keeps_versions(run: &mut Run<'_>, id: &str) -> Result<(), Halt> {
    let means = "two administrators overwrite each other's change without knowing";
    run.begin("reads Ada, and again only if she changed", means);
    let answer = run.send(&DIALECT.read_user(id)).await?;
    let version = answer.body.as_ref().and_then(|body| body.pointer("/meta/version")).and_then(Value::as_str);
    let etag = answer.etag.clone();
    run.must(etag.is_some(), "an `ETag`", || "none".to_owned());
    run.should(version.is_some() && version == etag.as_deref(), "`meta.version` equal to it", || {
        version.map_or_else(|| "none".to_owned(), |version| format!("`{}`", quoted(version)))
    });
    let Some(etag) = etag else { return Ok(()) };
    let request = DIALECT.read_user(id);
    let client = run.client;
    let unchanged = run.send_by(client, &request, &[("if-none-match", &etag)]).await?;
    run.status(&unchanged, &[304]);
    run.begin("changes Ada on condition of a version that is not hers", means);
    let body = patch(vec![json!({"op": "replace", "path": "title", "value": "Engineer"})]);
    let request = DIALECT.patch_user(id, body);
    let stale = run.send_by(client, &request, &[("if-match", "W/\"emulate-never-given\"")]).await?;
    run.refusal(&stale, 412);
    let current = run.send_by(client, &request, &[("if-match", &etag)]).await?;
    run.status(&current, &[200, 204]);
    let read = run.send(&DIALECT.read_user(id)).await?;
    run.must(read.etag.as_ref() != Some(&etag), "another version after the change", || "the same".to_owned());
    run.resource(&read, Kind::User);
    Ok(())
}
