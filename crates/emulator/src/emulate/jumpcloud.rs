//! JumpCloud's life cycle: a test user and a test group when it is activated, members removed by a list.

use crate::dialect::Dialect;
use crate::people::{Group, Person, PersonState};

use super::run::{Halt, Run};

const DIALECT: Dialect = Dialect::JumpCloud;

/// Plays it.
///
/// # Errors
/// [`Halt`].
pub(super) async fn play(run: &mut Run<'_>) -> Result<(), Halt> {
    activate(run).await?;
    let [ada, barbara, claude, _] = run.cast.leads.clone();
    run.phase("Provision users");
    let means = "a bound person is not created; the activity log shows an error";
    run.finds_nobody("looks Ada up", means, DIALECT.find_user(&ada.user_name)).await?;
    let ada_id = run.creates(&ada, means).await?;
    let barbara_id = run.creates(&barbara, means).await?;
    let claude_id = run.creates(&claude, means).await?;
    run.cannot_create_twice(&ada, "a second user where JumpCloud should take over the one that is there")
        .await?;
    run.finds_one("finds Ada by user name", means, DIALECT.find_user(&ada.user_name), &ada_id).await?;

    run.phase("Update users");
    let means = "names and addresses stay what they were";
    let renamed = Person { family_name: "Lovelace".to_owned(), ..ada.clone() };
    let request = DIALECT.change_user(&ada_id, &renamed);
    run.changes("renames Ada by PUT", means, &renamed, &ada_id, request).await?;
    let renamed = Person { given_name: "Barb".to_owned(), ..barbara.clone() };
    let request = DIALECT.patch_user(&barbara_id, DIALECT.update_user(&renamed));
    run.changes("renames Barbara by PATCH", means, &renamed, &barbara_id, request).await?;

    run.phase("Manage groups");
    let mut group = run.cast.group.clone();
    let means = "one leaves the group, and everybody loses what it gives; or the one keeps it";
    run.finds_no_group("the group is made twice, or never").await?;
    let all = [ada_id.clone(), barbara_id.clone(), claude_id.clone()];
    // A group without members is not sent at all.
    let id =
        run.pushes(&group, &all[..1], "a bound group is not there; a mapped role reaches nobody").await?;
    let added = DIALECT.patch_group(&id, DIALECT.add_members(&all[1..]));
    run.changes_members("adds two by path and list", means, added, &id, &all).await?;
    let removed = DIALECT.patch_group(&id, DIALECT.remove_members(&all[..1]));
    run.changes_members("removes one by path and list", means, removed, &id, &all[1..]).await?;
    group.display_name.push_str(" 2");
    run.renames(&id, &group, &all[1..], "the group keeps its old name").await?;

    run.phase("Suspend and unbind");
    let out = |person: &Person| Person { state: PersonState::Deactivated, ..person.clone() };
    let means = "a suspended person keeps access";
    run.sets_state(means, &out(&ada), &ada_id, DIALECT.set_state(&ada_id, &out(&ada))).await?;
    let means = "whoever is activated again stays out";
    run.sets_state(means, &ada, &ada_id, DIALECT.set_state(&ada_id, &ada)).await?;
    let means = "an unbound person keeps access";
    let patched = DIALECT.patch_user(&barbara_id, DIALECT.set_active(PersonState::Deactivated));
    run.sets_state(means, &out(&barbara), &barbara_id, patched).await?;
    run.sets_state(means, &out(&ada), &ada_id, DIALECT.set_state(&ada_id, &out(&ada))).await?;
    for (person, person_id) in [(&ada, &ada_id), (&barbara, &barbara_id), (&claude, &claude_id)] {
        run.deletes(person, person_id, "where deletion is chosen, a deleted person keeps access").await?;
    }
    run.deletes_group(&id, &group, "an unbound group stays").await
}

/// What JumpCloud does when somebody presses *Activate*.
async fn activate(run: &mut Run<'_>) -> Result<(), Halt> {
    run.phase("Activate");
    let [_, _, _, tester] = run.cast.leads.clone();
    let means = "*Activate* fails: nothing is provisioned at all";
    run.refuses_a_wrong_token().await?;
    run.finds_nobody("looks up the test user", means, DIALECT.find_user(&tester.user_name)).await?;
    let tester_id = run.creates(&tester, means).await?;
    let group = Group {
        display_name: format!("Emulate {} Test", run.cast.mark),
        external_id: format!("emulate-{}-test", run.cast.mark),
        members: Vec::new(),
    };
    let id = run.pushes(&group, std::slice::from_ref(&tester_id), means).await?;
    run.deletes_group(&id, &group, "the test group stays as residue").await?;
    run.deletes(&tester, &tester_id, "the test user stays as residue, or *Activate* fails").await
}
