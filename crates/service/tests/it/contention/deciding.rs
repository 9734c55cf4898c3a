//! What becomes of a hold on PostgreSQL while somebody decides about it: what was found again, or refused, is not
//! carried out.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::brake::Brake;
use portcullis_domain::change::{Change, HoldChange};
use portcullis_domain::hold::{Hold, HoldKind};
use portcullis_domain::id::{DirectoryId, DirectoryUserId, HoldId, MembershipId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_service::caller::Caller;
use portcullis_service::directory::{self, DirectoryChanges};
use portcullis_service::hold::{self, Decision};
use portcullis_service::provisioning::{self, PersonSaid};
use portcullis_service::{Moment, ServiceError};
use portcullis_store::Tx;
use portcullis_store::db::Lock;
use portcullis_store::hold::HoldFilter;
use portcullis_testkit::Bench;

use super::races::{cause, come, meet_call, place, said, speaker, stored};

/// One more than may end within a day.
const NAMES: [&str; 11] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10"];

type Place = (OrganizationId, DirectoryId);

fn decide(bench: &Bench, here: Place, id: HoldId) -> Result<u64, ServiceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let about = (Decision::Release, None);
    runtime.block_on(hold::decide(bench.portcullis(), Caller::Root, (here.0, id), about, cause()))
}

fn write(
    here: Place,
    id: HoldId,
    action: Action,
    change: impl Fn(&Moment) -> HoldChange + Send + 'static,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<(), ServiceError> + Send + 'static {
    move |tx, moment| {
        tx.lock(Lock::Rules(here.0))?;
        let change: Change = change(moment).into();
        let event = EventDraft::new(action, id).about(here.1);
        moment.apply(tx, &Plan::because(here.0, cause()).then_all(event, vec![change]))?;
        Ok(())
    }
}

/// Somebody whose end is held.
fn held(bench: &Bench) -> (Place, HoldId, MembershipId) {
    let here = place(bench);
    bench.write(move |tx, moment| {
        let changes =
            DirectoryChanges { brake: Some(Some(Brake::new(Some(0), None)?)), ..Default::default() };
        directory::update(tx, moment, &Caller::Root, here.0, (here.1, &changes), cause())
    });
    let people = NAMES.map(|name| come(bench, here, name));
    for (name, (user, _)) in NAMES.into_iter().zip(people) {
        bench.write(move |tx, moment| {
            let speaker = speaker(moment, here);
            let gone = |_: &_| Ok(PersonSaid { active: Some(false), ..said(name) });
            provisioning::change_user(tx, moment, speaker, user, gone).map(|_| ())
        });
    }
    let holds = bench.write(move |tx, _| hold::list(tx, here.0, HoldFilter::default(), ("", 2)));
    (here, holds[0].id, people[NAMES.len() - 1].1)
}

#[test]
fn what_is_refused_while_all_of_it_is_released_stays_refused_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let (here, id, member) = held(&bench);
    let refuse =
        write(here, id, Action::HoldRefused, move |moment| HoldChange::Refuse(id, vec![member], moment.now));
    let met = meet_call(&bench, (None, refuse), || decide(&bench, here, id));
    met.first.unwrap();
    assert_eq!((met.second, met.passed), (Ok(0), false));
    assert!(stored(&bench, here.0, member).ended.is_none(), "they end, though it was refused");
}

#[test]
fn what_two_release_at_once_is_counted_once_on_postgresql() {
    let Some(bench) = Bench::postgres_with(4) else { return };
    let (here, id, _) = held(&bench);
    let both = std::sync::Barrier::new(2);
    let counts = std::thread::scope(|scope| {
        let two = [(); 2].map(|()| {
            scope.spawn(|| {
                both.wait();
                decide(&bench, here, id).unwrap()
            })
        });
        two.map(|one| one.join().unwrap())
    });
    assert_eq!(counts.iter().sum::<u64>(), 1, "{counts:?}");
}

#[test]
fn whoever_is_found_again_while_their_end_is_released_stays_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let (user, member): (DirectoryUserId, MembershipId) = come(&bench, here, "ada");
    let id = bench.write(move |tx, moment| {
        let hold = Hold {
            id: HoldId::fresh(moment.now, &mut moment.random),
            organization: here.0,
            directory: here.1,
            kind: HoldKind::Missing,
            group: None,
            cause: cause(),
            opened_at: moment.now,
        };
        let id = hold.id;
        write(here, id, Action::HoldOpened, move |_| HoldChange::Open(Box::new(hold.clone())))(tx, moment)?;
        write(here, id, Action::MemberHeld, move |moment| HoldChange::Miss(id, vec![user], moment.now))(
            tx, moment,
        )?;
        Ok(id)
    });
    let found = write(here, id, Action::MemberUnheld, move |_| HoldChange::Found(vec![user]));
    let met = meet_call(&bench, (None, found), || decide(&bench, here, id));
    met.first.unwrap();
    assert_eq!((met.second, met.passed), (Ok(0), false));
    assert!(
        stored(&bench, here.0, member).ended.is_none(),
        "they end, though the directory names them again"
    );
}
