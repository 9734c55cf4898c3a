//! PingOne's life cycle: whole users and groups by PUT, look-ups by `emails` and by filters of one's own.

use serde_json::Value;

use crate::dialect::Dialect;
use crate::people::{Person, PersonState};
use crate::request::{ScimRequest, equals};

use super::made::Kind;
use super::run::{Halt, Run};

const DIALECT: Dialect = Dialect::PingOne;

/// Plays it.
///
/// # Errors
/// [`Halt`].
pub(super) async fn play(run: &mut Run<'_>) -> Result<(), Halt> {
    let [ada, barbara, claude, _] = run.cast.leads.clone();
    run.phase("Test connection");
    let nobody = format!("emulate-{}-nobody", run.cast.mark);
    run.finds_nobody("looks up a user name", "the connection cannot be saved", DIALECT.find_user(&nobody))
        .await?;
    run.refuses_a_wrong_token().await?;

    run.phase("Create users");
    let means = "the sync shows the person under *failed*";
    run.finds_nobody("looks Ada up by user name", means, DIALECT.find_user(&ada.user_name)).await?;
    let by_address = |person: &Person| DIALECT.find("/Users", &equals("emails", &person.email));
    run.finds_nobody("looks Ada up by emails", means, by_address(&ada)).await?;
    let ada_id = run.creates(&ada, means).await?;
    let barbara_id = run.creates(&barbara, means).await?;
    let claude_id = run.creates(&claude, means).await?;
    run.cannot_create_twice(&ada, "a second user where PingOne should link the one that is there").await?;
    let unmatched = "the person who is there is not matched, and made a second time";
    run.finds_one("finds Ada by user name", unmatched, DIALECT.find_user(&ada.user_name), &ada_id).await?;
    run.finds_one("finds Ada by emails", unmatched, by_address(&ada), &ada_id).await?;
    let custom = format!("{} or {}", equals("userName", &nobody), equals("emails", &ada.email));
    run.finds_one("finds Ada by a filter of one's own", unmatched, DIALECT.find("/Users", &custom), &ada_id)
        .await?;

    run.phase("Update users");
    let renamed = Person { family_name: "Lovelace".to_owned(), ..ada.clone() };
    let means = "names and addresses stay what they were";
    let request = DIALECT.change_user(&ada_id, &renamed);
    run.changes("renames Ada by PUT", means, &renamed, &ada_id, request).await?;

    run.phase("Groups");
    let mut group = run.cast.group.clone();
    let means = "whoever joins a group gets nothing, or whoever leaves it keeps everything";
    run.finds_no_group("the group is made twice, or never").await?;
    let all = [ada_id.clone(), barbara_id.clone(), claude_id.clone()];
    let id = run.pushes(&group, &[], "the group is not there; a mapped role reaches nobody").await?;
    let put = DIALECT.replace_group(&id, &group, &all);
    run.changes_members("sets all three as members by PUT", means, put, &id, &all).await?;
    let put = DIALECT.replace_group(&id, &group, &all[1..]);
    run.changes_members("sets two of them as members by PUT", means, put, &id, &all[1..]).await?;
    group.display_name.push_str(" 2");
    let put = DIALECT.replace_group(&id, &group, &all[1..]);
    run.changes_members("renames it by PUT", "the group keeps its old name", put, &id, &all[1..]).await?;

    run.phase("Disable and deprovision");
    let out = Person { state: PersonState::Deactivated, ..ada.clone() };
    let means = "a disabled person keeps access";
    run.sets_state(means, &out, &ada_id, DIALECT.set_state(&ada_id, &out)).await?;
    without_active(run, &ada, &ada_id).await?;
    run.sets_state("whoever is enabled again stays out", &ada, &ada_id, DIALECT.set_state(&ada_id, &ada))
        .await?;
    run.sets_state(means, &out, &ada_id, DIALECT.set_state(&ada_id, &out)).await?;
    let means = "with *Delete* as the action, a deprovisioned person keeps access";
    for (person, person_id) in [(&ada, &ada_id), (&barbara, &barbara_id), (&claude, &claude_id)] {
        run.deletes(person, person_id, means).await?;
    }
    run.deletes_group(&id, &group, "the group stays").await
}

/// `active` that is not mapped is not sent, and must revive nobody.
async fn without_active(run: &mut Run<'_>, person: &Person, id: &str) -> Result<(), Halt> {
    let mut request: ScimRequest = DIALECT.replace_user(id, person);
    if let Some(body) = request.body.as_mut().and_then(Value::as_object_mut) {
        body.remove("active");
    }
    run.begin(
        "sends Ada by PUT without `active`, while she is disabled",
        "where `active` is not mapped, any update lets a disabled person in again",
    );
    let answer = run.send(&request).await?;
    run.status(&answer, &[200]);
    run.resource(&answer, Kind::User);
    let read = run.send(&DIALECT.read_user(id)).await?;
    let active = read.body.as_ref().and_then(|body| body.get("active")).cloned();
    // RFC 7644 §3.5.1 leaves it to the server what an attribute becomes that is left out.
    run.should(active == Some(Value::Bool(false)), "`active` is still false", || {
        super::step::quoted_value(active.as_ref())
    });
    Ok(())
}
