//! All the people without a part of their own: created, put into a group, taken out, deactivated.
//!
//! Here because what holds for four need not hold for a company: batches, pace, and a group that stays whole.

use std::time::Duration;

use crate::dialect::Dialect;
use crate::people::{Person, PersonState};
use crate::request::ScimRequest;

use super::made::Kind;
use super::run::{Halt, Run};
use super::step::Weight;

/// Members in one operation: Entra batches, and how many is nowhere written.
const MAX_LISTED: usize = 1_000;
/// Operations in one PATCH, where each is for one member.
const MAX_OPERATIONS: usize = 100;
/// What a Microsoft gallery application must bear, in requests a second.
const LEAST_PACE: usize = 25;
/// People in one step, so that a large run shows where it is.
const MAX_IN_A_STEP: usize = 250;
/// Fewer requests than this say nothing of a pace.
const LEAST_COUNTED: usize = 100;
/// Failures after which a step is given up: the thousandth says no more than the tenth.
const MAX_FAILURES: usize = 10;

/// Plays it, if the run has more people than parts.
///
/// # Errors
/// [`Halt`].
pub(super) async fn play(run: &mut Run<'_>) -> Result<(), Halt> {
    let crowd = run.cast.crowd.clone();
    if crowd.is_empty() {
        return Ok(());
    }
    run.phase("All the others");
    let ids = create(run, &crowd).await?;
    group(run, &ids).await?;
    deactivate(run, &crowd, &ids).await
}

async fn create(run: &mut Run<'_>, crowd: &[Person]) -> Result<Vec<String>, Halt> {
    let mut ids = Vec::new();
    for some in crowd.chunks(MAX_IN_A_STEP) {
        let title = format!("creates {} more people", some.len());
        run.begin(title, "a first assignment of a company takes too long or fails");
        for person in some {
            let request = run.dialect().create_user(person);
            ids.push(run.create_now(person, &request).await?);
            if run.failures() > MAX_FAILURES {
                return Err(Halt::CannotGoOn("too many people could not be created as sent".to_owned()));
            }
        }
        pace(run);
    }
    Ok(ids)
}

/// Of enough requests, one after the other, how many went in a second.
fn pace(run: &mut Run<'_>) {
    let (requests, took) = run.pace();
    if requests < LEAST_COUNTED {
        return;
    }
    let least = Duration::from_secs(u64::try_from(requests / LEAST_PACE).unwrap_or(u64::MAX));
    run.check(Weight::Should, &format!("{LEAST_PACE} requests a second, one after the other"), || {
        (took > least).then(|| format!("{requests} in {:.1} s", took.as_secs_f64()))
    });
}

async fn group(run: &mut Run<'_>, ids: &[String]) -> Result<(), Halt> {
    let mut group = run.cast.group.clone();
    group.display_name = format!("Emulate {} Everyone", run.cast.mark);
    group.external_id = format!("emulate-{}-everyone", run.cast.mark);
    let dialect = run.dialect();
    run.begin(format!("puts {} people into a group", ids.len()), "a large group comes late or in part");
    let answer = run.make(Kind::Group, &group.display_name, &dialect.create_group(&group, &[])).await?;
    let id = run.created(&answer, Kind::Group)?;
    let (out, stay) = ids.split_at(ids.len() / 2);
    let joins = if dialect == Dialect::Authentik { MAX_OPERATIONS } else { MAX_LISTED };
    let added: Vec<ScimRequest> = match dialect {
        Dialect::PingOne => vec![dialect.replace_group(&id, &group, ids)],
        _ => ids.chunks(joins).map(|some| dialect.patch_group(&id, dialect.add_members(some))).collect(),
    };
    sends(run, &added).await?;
    run.members(&id, ids).await?;

    run.begin(
        format!("takes {} of them out again", out.len()),
        "whoever left a group keeps what it gives, or the others lose it",
    );
    let listed = dialect.removes_members_by_list() && dialect != Dialect::Authentik;
    let leaves = if listed { MAX_LISTED } else { MAX_OPERATIONS };
    let removed: Vec<ScimRequest> = match dialect {
        Dialect::PingOne => vec![dialect.replace_group(&id, &group, stay)],
        _ => out.chunks(leaves).map(|some| dialect.patch_group(&id, dialect.remove_members(some))).collect(),
    };
    sends(run, &removed).await?;
    run.members(&id, stay).await?;
    Ok(())
}

async fn sends(run: &mut Run<'_>, requests: &[ScimRequest]) -> Result<(), Halt> {
    for request in requests {
        let answer = run.send(request).await?;
        run.status(&answer, &[200, 204]);
    }
    Ok(())
}

async fn deactivate(run: &mut Run<'_>, crowd: &[Person], ids: &[String]) -> Result<(), Halt> {
    let people: Vec<(&Person, &String)> = crowd.iter().zip(ids).collect();
    for some in people.chunks(MAX_IN_A_STEP) {
        run.begin(
            format!("deactivates {} of them", some.len()),
            "a department that is closed goes on working",
        );
        for (person, id) in some {
            let out = Person { state: PersonState::Deactivated, ..(*person).clone() };
            let answer = run.send(&run.dialect().set_state(id, &out)).await?;
            run.status(&answer, &[200, 204]);
            let read = run.send(&run.dialect().read_user(id)).await?;
            run.has_state(read.body.as_ref(), PersonState::Deactivated);
            if run.failures() > MAX_FAILURES {
                return Err(Halt::CannotGoOn("too many people could not be deactivated".to_owned()));
            }
        }
        pace(run);
    }
    Ok(())
}
