//! OneLogin's life cycle: whole users from a template.

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::people::{Person, PersonState};

use super::expect::Hits;
use super::run::{Halt, Run};
use super::step::Weight;

const DIALECT: Dialect = Dialect::OneLogin;

/// Plays it.
///
/// # Errors
/// [`Halt`].
pub(super) async fn play(run: &mut Run<'_>) -> Result<(), Halt> {
    let [ada, barbara, claude, _] = run.cast.leads.clone();
    run.phase("Enable the API connection");
    let nobody = DIALECT.find_user(&format!("emulate-{}-nobody", run.cast.mark));
    run.begin("looks up a user name that is known not to exist", "the connection does not turn to *Enabled*");
    let answer = run.send(&nobody).await?;
    run.status(&answer, &[200, 404]);
    if answer.status == 200 {
        run.list(&answer, Hits::Exactly(0));
    }
    run.refuses_a_wrong_token().await?;

    run.phase("Create users");
    let means = "provisioning stays *pending* or *failed* with a message";
    let mut odd = DIALECT.create_user(&ada);
    if let Some(body) = odd.body.as_mut().and_then(Value::as_object_mut) {
        body.extend([
            ("department_code".to_owned(), json!("4711")),
            ("note".to_owned(), json!({"from": "a template"})),
        ]);
    }
    let title = "creates Ada with attributes that no schema knows";
    let refused = "whoever adds an attribute to the template stops everything until it is taken out again";
    let ada_id = run.creates_oddly(title, refused, &ada, odd, Weight::Should).await?;
    let barbara_id = run.creates(&barbara, means).await?;
    let claude_id = run.creates(&claude, means).await?;
    run.cannot_create_twice(&ada, "a second user where OneLogin should link the one that is there").await?;
    run.finds_one("finds Ada by user name", means, DIALECT.find_user(&ada.user_name), &ada_id).await?;
    run.reads("reads Ada", means, &ada_id, &DIALECT.user(&ada)).await?;
    run.walks_pages("a list of the application's users has holes").await?;

    run.phase("Update users");
    let renamed = Person { family_name: "Lovelace".to_owned(), ..ada.clone() };
    let request = DIALECT.change_user(&ada_id, &renamed);
    run.changes("renames Ada by PUT", "names and addresses stay what they were", &renamed, &ada_id, request)
        .await?;

    run.phase("Groups");
    let mut group = run.cast.group.clone();
    run.finds_no_group("the list of groups to assign stays empty").await?;
    let id = run.pushes(&group, &[], "a rule cannot set a group").await?;
    let means = "whoever joins a group gets nothing, or whoever leaves it keeps everything";
    let all = [ada_id.clone(), barbara_id.clone(), claude_id.clone()];
    let added = DIALECT.patch_group(&id, DIALECT.add_members(&all));
    run.changes_members("adds all three", means, added, &id, &all).await?;
    let removed = DIALECT.patch_group(&id, DIALECT.remove_members(&all[..1]));
    run.changes_members("removes one", means, removed, &id, &all[1..]).await?;
    group.display_name.push_str(" 2");
    run.renames(&id, &group, &all[1..], "the group keeps its old name").await?;

    run.phase("Suspend and reactivate");
    let out = Person { state: PersonState::Deactivated, ..ada.clone() };
    let means = "with *Suspend* as the action, whoever lost access keeps it";
    run.sets_state(means, &out, &ada_id, DIALECT.set_state(&ada_id, &out)).await?;
    let means = "whoever gets the application back stays out";
    run.sets_state(means, &ada, &ada_id, DIALECT.set_state(&ada_id, &ada)).await?;

    run.phase("Delete users");
    let means = "with *Delete* as the action, whoever lost access keeps it";
    run.sets_state(means, &out, &ada_id, DIALECT.set_state(&ada_id, &out)).await?;
    run.deletes(&ada, &ada_id, means).await?;
    run.deletes(&barbara, &barbara_id, means).await?;
    run.begin("reads the group after that", "the list of a group's members at the server misleads");
    let read = run.send(&DIALECT.read_group(&id)).await?;
    run.status(&read, &[200]);
    // RFC 7643 leaves it to the server whether a reference outlives what it refers to.
    let named = read.body.as_ref().is_some_and(|body| body.to_string().contains(&ada_id));
    run.should(!named, "a group that no longer names who is gone", || "Ada".to_owned());
    run.deletes(&claude, &claude_id, means).await?;
    run.deletes_group(&id, &group, "the group stays").await
}
