//! Many at once on PostgreSQL: nothing that was answered is lost, and no key outlives its membership.

mod addresses;
mod arrivals;
mod attaching;
mod deciding;
mod grouping;
mod inviting;
mod races;
mod renaming;
mod vanishing;
mod waiting;

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::brake::Brake;
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::change::{DirectoryChange, MappingChange};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::evaluation::Decision;
use portcullis_domain::id::{
    DirectoryGroupId, DirectoryId, DirectoryUserId, MappingId, MembershipId, OrganizationId, RequestId,
};
use portcullis_domain::mapping::{Gives, Mapping, MappingSource};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::plan::Plan;
use portcullis_domain::text::Slug;
use portcullis_service::access::{Settled, settle};
use portcullis_service::caller::Caller;
use portcullis_service::directory::{self, DirectoryChanges};
use portcullis_service::evaluation::{About, ask};
use portcullis_service::member_key::{self, NewKey};
use portcullis_service::provisioning::{self, GroupSaid, MembersSaid, PersonSaid, Speaker};
use portcullis_service::{Moment, ServiceError, organization};
use portcullis_store::Tx;
use portcullis_testkit::Bench;

/// Clients that call at once.
const CLIENTS: usize = 32;
/// Statements a client makes one after the other.
const STATEMENTS: usize = 8;
/// How often a key is asked for while its holder leaves.
const RACES: usize = 60;
/// The same in the long run.
const RACES_LONG: usize = 2000;

struct Place {
    organization: OrganizationId,
    directory: DirectoryId,
    group: DirectoryGroupId,
}

fn try_write<T: Send + 'static>(
    bench: &Bench,
    mut run: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let portcullis = bench.portcullis().clone();
    let store = Arc::clone(&portcullis.around().store);
    let (clock, randoms) = (Arc::clone(&portcullis.around().clock), Arc::clone(&portcullis.around().randoms));
    store.write_blocking(move |tx| run(tx, &mut Moment::new(clock.now(), randoms())))
}

fn speaker(moment: &mut Moment, (organization, directory): (OrganizationId, DirectoryId)) -> Speaker {
    Speaker::scim(organization, directory, RequestId::fresh(moment.now, &mut moment.random))
}

fn said(name: &str, active: bool) -> PersonSaid {
    PersonSaid {
        external_id: Some(format!("ext-{name}")),
        user_name: format!("{name}@acme.test"),
        display_name: name.to_owned(),
        full_name: String::new(),
        emails: vec![format!("{name}@acme.test")],
        active: Some(active),
        facets: BTreeSet::new(),
        attributes: "{}".into(),
    }
}

fn new_mapping(
    moment: &mut Moment,
    (organization, directory): (OrganizationId, DirectoryId),
    role: &str,
) -> Mapping {
    Mapping {
        id: MappingId::fresh(moment.now, &mut moment.random),
        organization,
        directory,
        source: MappingSource::GroupExternalId("g-1".into()),
        gives: Gives { role: role.parse().ok(), team: None, environment: None },
        created_at: moment.now,
    }
}

/// An organization whose directory waits for nothing, with a group that makes people members.
fn place(bench: &Bench) -> Place {
    bench.write(|tx, moment| {
        let organization = organization::create(tx, moment, "acme".parse()?, "Acme", Cause::system())?;
        let directory = Directory {
            brake: None,
            id: DirectoryId::fresh(moment.now, &mut moment.random),
            organization: organization.id,
            kind: DirectoryKind::Scim,
            name: "Okta".into(),
            default_role: None,
            settle_s: 0,
            nested_at: None,
            connection: None,
            created_at: moment.now,
        };
        let here = (organization.id, directory.id);
        let event = EventDraft::new(Action::DirectoryCreated, directory.id);
        let plan =
            Plan::because(here.0, Cause::system()).then(event, DirectoryChange::Create(directory.clone()));
        moment.apply(tx, &plan)?;
        let speaker = speaker(moment, here);
        let group = provisioning::create_group(tx, moment, speaker, ("Engineers", Some("g-1")), &[])?;
        let made = new_mapping(moment, here, "member");
        let event = EventDraft::new(Action::MappingCreated, made.id);
        let plan = Plan::because(here.0, Cause::system()).then(event, MappingChange::Create(Box::new(made)));
        moment.apply(tx, &plan)?;
        Ok(Place { organization: here.0, directory: here.1, group: group.id })
    })
}

fn come(bench: &Bench, place: &Place, name: String) -> (DirectoryUserId, MembershipId) {
    let (here, group) = ((place.organization, place.directory), place.group);
    let told = try_write(bench, move |tx, moment| {
        let speaker = speaker(moment, here);
        let user = provisioning::create_user(tx, moment, speaker, &said(&name, true))?;
        provisioning::change_group(
            tx,
            moment,
            speaker,
            group,
            &[GroupSaid::Members(MembersSaid::Add(vec![user.id]))],
        )?;
        Ok((user.id, user.membership))
    });
    told.expect("a newcomer is told of")
}

fn say(
    bench: &Bench,
    place: &Place,
    (user, name): (DirectoryUserId, &str),
    active: bool,
) -> Result<(), ServiceError> {
    let (here, name) = ((place.organization, place.directory), name.to_owned());
    try_write(bench, move |tx, moment| {
        let speaker = speaker(moment, here);
        provisioning::change_user(tx, moment, speaker, user, |_| Ok(said(&name, active))).map(|_| ())
    })
}

fn put_into_group(
    bench: &Bench,
    place: &Place,
    user: DirectoryUserId,
    said: fn(Vec<DirectoryUserId>) -> MembersSaid,
) -> Result<(), ServiceError> {
    let (here, group) = ((place.organization, place.directory), place.group);
    try_write(bench, move |tx, moment| {
        let speaker = speaker(moment, here);
        provisioning::change_group(tx, moment, speaker, group, &[GroupSaid::Members(said(vec![user]))])
            .map(|_| ())
    })
}

/// What was answered is done; what was refused because too many others were there is tried again.
fn until_done(mut call: impl FnMut() -> Result<(), ServiceError>) {
    for _ in 0..50 {
        match call() {
            Ok(()) => return,
            Err(ServiceError::Store(portcullis_store::StoreError::Unavailable(_))) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("fifty tries were not enough");
}

fn state(bench: &Bench, place: &Place, id: MembershipId) -> MembershipState {
    let organization = place.organization;
    bench.write(move |tx, _| {
        Ok(portcullis_store::membership::find(tx, organization, id)?.expect("a member").access.state)
    })
}

fn is_in_step(bench: &Bench, id: MembershipId) -> bool {
    bench.write(move |tx, moment| {
        let cause = Cause::rule();
        Ok(settle(tx, moment, id, cause)? == Settled::Unchanged)
    })
}

#[test]
fn thirty_two_clients_come_and_go_in_one_organization_and_no_answer_is_lost_on_postgresql() {
    let Some(bench) = Bench::postgres_with(CLIENTS) else { return };
    let place = place(&bench);
    let ready = Barrier::new(CLIENTS);
    let people: Vec<(MembershipId, bool)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (bench, place, ready) = (&bench, &place, &ready);
                scope.spawn(move || {
                    let name = format!("p{client}");
                    ready.wait();
                    let (user, member) = come(bench, place, name.clone());
                    let mut lives = true;
                    for statement in 0..STATEMENTS {
                        // Half of them by a statement, half of them by the one group that all are in.
                        let now = (statement + client) % 2 == 0;
                        until_done(|| match client % 2 {
                            0 => say(bench, place, (user, &name), now),
                            _ if now => put_into_group(bench, place, user, MembersSaid::Add),
                            _ => put_into_group(bench, place, user, MembersSaid::Remove),
                        });
                        lives = now;
                    }
                    (member, lives)
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    for (member, lives) in people {
        let must = if lives { MembershipState::Active } else { MembershipState::Deprovisioned };
        assert_eq!(state(&bench, &place, member), must, "the last answer stands");
        assert!(is_in_step(&bench, member), "what is stored follows from the facts");
    }
}

#[test]
fn rules_that_change_while_people_come_and_go_leave_everybody_in_step_on_postgresql() {
    let Some(bench) = Bench::postgres_with(CLIENTS) else { return };
    let place = place(&bench);
    let people: Vec<_> = (0..CLIENTS / 2).map(|n| come(&bench, &place, format!("p{n}"))).collect();
    let here = (place.organization, place.directory);
    std::thread::scope(|scope| {
        for (n, (user, _)) in people.iter().enumerate() {
            let (bench, place) = (&bench, &place);
            scope.spawn(move || {
                for statement in 0..STATEMENTS {
                    until_done(|| match (statement + n) % 2 {
                        0 => put_into_group(bench, place, *user, MembersSaid::Remove),
                        _ => put_into_group(bench, place, *user, MembersSaid::Add),
                    });
                }
            });
        }
        for _ in 0..4 {
            let bench = &bench;
            scope.spawn(move || {
                for _ in 0..STATEMENTS / 2 {
                    until_done(|| another_mapping(bench, here));
                }
            });
        }
    });
    for (_, member) in people {
        assert!(is_in_step(&bench, member), "what is stored follows from the facts and the rules");
    }
}

/// A mapping comes and goes, by the use cases that administrators have.
fn another_mapping(bench: &Bench, here: (OrganizationId, DirectoryId)) -> Result<(), ServiceError> {
    let wish = portcullis_service::mapping::NewMapping {
        directory: here.1.to_string(),
        source: MappingSource::GroupExternalId("g-1".into()),
        role: Some("admin".into()),
        team: None,
        environment: None,
    };
    let cause = Cause { kind: CauseKind::Api, ..Cause::system() };
    let made = try_write(bench, move |tx, moment| {
        portcullis_service::mapping::create(tx, moment, &Caller::Root, here.0, &wish, cause)
    })?
    .0;
    until_done(|| {
        let id = made.id;
        try_write(bench, move |tx, moment| {
            portcullis_service::mapping::delete(tx, moment, &Caller::Root, here.0, id, cause).map(|_| ())
        })
    });
    Ok(())
}

#[test]
fn a_key_that_is_asked_for_while_its_holder_leaves_never_lives_on_postgresql() {
    let Some(bench) = Bench::postgres_with(8) else { return };
    let place = place(&bench);
    let organization = place.organization;
    let (mut refused, mut ended) = (0, 0);
    let races = if crate::in_long_tier() { RACES_LONG } else { RACES };
    for race in 0..races {
        let name = format!("p{race}");
        let (user, member) = come(&bench, &place, name.clone());
        let both = Barrier::new(2);
        let issued = std::thread::scope(|scope| {
            let asks = scope.spawn(|| {
                both.wait();
                try_write(&bench, move |tx, moment| {
                    let wish = NewKey { name: "laptop".into(), environment: None, expires_at: None };
                    let cause = Cause { kind: CauseKind::Api, ..Cause::system() };
                    let issued =
                        member_key::issue(tx, moment, &Caller::Root, (organization, member), &wish, cause)?;
                    Ok((issued.token.id, issued.secret.expose().to_owned()))
                })
            });
            both.wait();
            until_done(|| say(&bench, &place, (user, &name), false));
            asks.join().expect("an answer")
        });
        let Ok((token, secret)) = issued else {
            refused += 1;
            continue;
        };
        ended += 1;
        let portcullis = bench.portcullis().clone();
        let (decision, stored) = bench.write(move |tx, moment| {
            let about = About::Organization(organization);
            let decision =
                ask(tx, portcullis.uses(), &secret, about, &Slug::production(), moment.now)?.decision;
            Ok((decision, portcullis_store::token::find(tx, organization, token)?.expect("a token").ended_at))
        });
        assert_eq!(decision, Decision::TokenEnded, "race {race}");
        assert!(stored.is_some(), "the row itself ended in race {race}");
    }
    assert!(refused + ended == races && ended > 0, "{refused} refused, {ended} ended");
}

/// Ten may end within a day, whatever their number.
fn set_brake(bench: &Bench, here: (OrganizationId, DirectoryId)) {
    bench.write(move |tx, moment| {
        let brake = Some(Some(Brake::new(Some(0), None)?));
        let changes = DirectoryChanges { brake, ..DirectoryChanges::default() };
        let cause = Cause { kind: CauseKind::Api, ..Cause::system() };
        directory::update(tx, moment, &Caller::Root, here.0, (here.1, &changes), cause).map(|_| ())
    });
}

#[test]
fn of_thirty_two_who_leave_at_once_as_many_end_as_the_brake_lets_and_nobody_slips_through_on_postgresql() {
    let Some(bench) = Bench::postgres_with(CLIENTS) else { return };
    let place = place(&bench);
    let people: Vec<_> = (0..CLIENTS).map(|n| come(&bench, &place, format!("p{n}"))).collect();
    set_brake(&bench, (place.organization, place.directory));
    let ready = Barrier::new(CLIENTS + 1);
    std::thread::scope(|scope| {
        for (n, (user, _)) in people.iter().enumerate() {
            let (bench, place, ready) = (&bench, &place, &ready);
            scope.spawn(move || {
                ready.wait();
                // Each says it again, as a provider does that was not answered in time.
                for _ in 0..2 {
                    until_done(|| say(bench, place, (*user, &format!("p{n}")), false));
                }
            });
        }
        // A list that leaves everybody out comes beside it, over and over: it takes the same locks the other way round.
        let (bench, here, group) = (&bench, (place.organization, place.directory), place.group);
        let everybody: Vec<DirectoryUserId> = people.iter().map(|(user, _)| *user).collect();
        let ready = &ready;
        scope.spawn(move || {
            ready.wait();
            for lists in [vec![], everybody.clone(), vec![], everybody] {
                until_done(|| {
                    let said = [GroupSaid::Members(MembersSaid::Replace(lists.clone()))];
                    try_write(bench, move |tx, moment| {
                        let speaker = speaker(moment, here);
                        provisioning::change_group(tx, moment, speaker, group, &said).map(|_| ())
                    })
                });
            }
        });
    });
    let states: Vec<_> = people.iter().map(|(_, member)| state(&bench, &place, *member)).collect();
    let ended = states.iter().filter(|state| **state == MembershipState::Deprovisioned).count();
    assert!(states.iter().all(|state| *state != MembershipState::Active), "everybody is refused: {states:?}");
    // The lists took from people too, and were counted or held; each person counts once.
    assert!(ended <= 10, "{ended} have ended: {states:?}");
    for (_, member) in people {
        assert!(is_in_step(&bench, member), "what is stored follows from the facts");
    }
}
