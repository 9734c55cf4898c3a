//! The brake on the whole road, on both databases: what is held, what is not, and what becomes of it.

mod deciding;
mod deleting;
mod leading_back;
mod refusing;

use portcullis_domain::agent::OwnerLossRule;
use portcullis_domain::brake::Brake;
use portcullis_domain::cause::Cause;
use portcullis_domain::evaluation::Decision;
use portcullis_domain::hold::{HoldKind, HoldState};
use portcullis_domain::id::{DirectoryUserId, MembershipId};
use portcullis_domain::membership::MembershipState::{self, Active, Deprovisioned, Suspended};
use portcullis_domain::token::{Holder, ShownTo, TokenKind};
use portcullis_service::caller::Caller;
use portcullis_service::directory::{self, DirectoryChanges, Governed};
use portcullis_service::grant::{self, NewGrant, Vouching};
use portcullis_service::hold::{self, Decision as Decided};
use portcullis_service::organization::named;
use portcullis_service::provisioning::{self, GroupSaid, MembersSaid};
use portcullis_service::restoring::Since;
use portcullis_service::{mapping, restoring};
use portcullis_store::hold::{HoldFilter, HoldView};
use portcullis_testkit::Bench;

use crate::thread::{Place, agent, decision, key, leave_group, place, provision, say_active, speaker, state};

/// People of a directory: a fifth of them may end within a day.
const PEOPLE: usize = 60;
const MAY: usize = 12;

fn ordered() -> Cause {
    Caller::Root.cause("req_00000000000000000000000000000001".parse().unwrap())
}

struct Person {
    user: DirectoryUserId,
    member: MembershipId,
    key: String,
}

struct Company<'b> {
    bench: &'b Bench,
    place: Place,
    people: Vec<Person>,
}

impl<'b> Company<'b> {
    fn new(bench: &'b Bench, settle_s: i64) -> Self {
        Self::of(bench, PEOPLE, settle_s)
    }

    fn of(bench: &'b Bench, people: usize, settle_s: i64) -> Self {
        let place = place(bench, "acme", settle_s);
        let mut company = Self { bench, place, people: Vec::new() };
        for n in 0..people {
            let (user, member) = provision(bench, &company.place, format!("p{n}").leak());
            let hands = (Holder::Membership(member), ShownTo::Membership(member));
            let key = key(bench, &company.place, TokenKind::MemberKey, hands.0, hands.1);
            company.people.push(Person { user, member, key });
        }
        company.set_brake(Some(Brake::default()));
        company
    }

    fn set_brake(&self, brake: Option<Brake>) {
        let (organization, id) = (self.place.organization, self.place.directory);
        self.bench.write(move |tx, moment| {
            let changes = DirectoryChanges { brake: Some(brake), ..DirectoryChanges::default() };
            directory::update(tx, moment, &Caller::Root, organization, (id, &changes), ordered()).map(|_| ())
        });
    }

    /// A directory says it of one person in a call of its own; whatever is held, they are refused when it is answered.
    fn leaves(&self, n: usize) -> MembershipState {
        say_active(self.bench, &self.place, self.people[n].user, false);
        assert_ne!(self.decision(n), Decision::Allowed, "person {n} is refused at once");
        self.state(n)
    }

    fn state(&self, n: usize) -> MembershipState {
        state(self.bench, &self.place, self.people[n].member)
    }

    fn decision(&self, n: usize) -> Decision {
        decision(self.bench, &self.place, &self.people[n].key)
    }

    fn count(&self, wanted: MembershipState) -> usize {
        (0..self.people.len()).filter(|n| self.state(*n) == wanted).count()
    }

    fn holds(&self) -> Vec<HoldView> {
        let organization = self.place.organization;
        self.bench.write(move |tx, _| hold::list(tx, organization, HoldFilter::default(), ("", 100)))
    }

    fn decide(&self, of: &HoldView, decision: Decided) -> u64 {
        let place = (self.place.organization, of.id);
        run(hold::decide(self.bench.portcullis(), Caller::Root, place, (decision, None), ordered())).unwrap()
    }

    fn group_says(&self, said: GroupSaid) {
        let (organization, directory, group) =
            (self.place.organization, self.place.directory, self.place.group);
        self.bench.write(move |tx, moment| {
            let speaker = speaker(moment, organization, directory);
            provisioning::change_group(tx, moment, speaker, group, std::slice::from_ref(&said)).map(|_| ())
        });
    }

    fn unmap(&self) {
        let (organization, directory) = (self.place.organization, self.place.directory);
        self.bench.write(move |tx, moment| {
            for one in portcullis_store::mapping::list(tx, organization, Some(directory), None, 10)? {
                mapping::delete(tx, moment, &Caller::Root, organization, one.id, ordered())?;
            }
            Ok(())
        });
    }

    fn jobs(&self) {
        run(self.bench.portcullis().step_rules()).unwrap();
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn on_each(test: impl Fn(&Bench)) {
    test(&Bench::sqlite());
    if let Some(bench) = Bench::postgres() {
        test(&bench);
    }
}

#[test]
fn of_many_who_leave_one_by_one_a_share_ends_and_all_are_refused_and_a_release_ends_the_others() {
    on_each(|bench| {
        let company = Company::new(bench, 0);
        let running = agent(bench, &company.place, company.people[20].member, OwnerLossRule::Pause);
        let hands = (Holder::Agent(running), ShownTo::Root);
        let of_agent = key(bench, &company.place, TokenKind::AgentKey, hands.0, hands.1);
        for n in 0..30 {
            let must = if n < MAY { Deprovisioned } else { Suspended };
            assert_eq!(company.leaves(n), must, "person {n}");
            // Said again, it is counted once and lets nobody through.
            assert_eq!(company.leaves(n), must, "person {n}, said again");
        }
        assert_eq!(decision(bench, &company.place, &of_agent), Decision::MemberInactive);
        let held = company.holds();
        assert_eq!((held.len(), held[0].kind, held[0].waiting), (1, HoldKind::Endings, 18));
        assert_eq!(company.decide(&held[0], Decided::Release), 18);
        assert_eq!((company.count(Deprovisioned), company.count(Active)), (30, 30));
        assert_eq!(decision(bench, &company.place, &of_agent), Decision::AgentOrphaned);
        assert_eq!(company.decide(&held[0], Decided::Release), 0, "nobody is left");
    });
}

#[test]
fn whoever_is_held_or_settles_acts_by_no_key_that_they_were_shown_of_another_either() {
    on_each(|bench| {
        let company = Company::of(bench, portcullis_service::rules::MAX_PER_CALL + 10, 3600);
        let place = &company.place;
        let (saw, owner) = (&company.people[30], company.people[31].member);
        let running = agent(bench, place, owner, OwnerLossRule::Pause);
        let seen = ShownTo::Membership(saw.member);
        let issue = |kind, holder, shown_to| key(bench, place, kind, holder, shown_to);
        let shown = [
            issue(TokenKind::AgentKey, Holder::Agent(running), seen),
            issue(TokenKind::MemberKey, Holder::Membership(owner), seen),
        ];
        let unseen = issue(TokenKind::AgentKey, Holder::Agent(running), ShownTo::Root);
        let answers = |must: Decision, when: &str| {
            for secret in &shown {
                assert_eq!(decision(bench, place, secret), must, "{when}");
            }
            assert_eq!(decision(bench, place, &unseen), Decision::Allowed, "{when}: they never saw this one");
        };
        answers(Decision::Allowed, "before");
        // Out of the group, in a call of its own and in one that a job carries out: nothing has ended.
        leave_group(bench, place, saw.user);
        assert_eq!(company.state(30), Suspended);
        answers(Decision::MemberInactive, "settling");
        company.group_says(GroupSaid::Members(MembersSaid::Add(vec![saw.user])));
        answers(Decision::Allowed, "back in the group");
        let others = company.people.iter().filter(|p| p.member != owner).map(|p| p.user).collect();
        company.group_says(GroupSaid::Members(MembersSaid::Remove(others)));
        assert_eq!(company.state(30), Active, "a job is to store it");
        answers(Decision::MemberInactive, "and nobody waits for that");
        company.jobs();
        answers(Decision::MemberInactive, "stored");
        company.group_says(GroupSaid::Members(MembersSaid::Add(vec![saw.user])));
        for n in 40..80 {
            company.leaves(n);
        }
        assert_eq!(company.leaves(30), Suspended, "held above the brake");
        answers(Decision::MemberInactive, "held");
        say_active(bench, place, saw.user, true);
        answers(Decision::Allowed, "active again");
    });
}

#[test]
fn the_window_moves_on_and_whoever_was_held_before_stays_held() {
    on_each(|bench| {
        let company = Company::new(bench, 0);
        for n in 0..=MAY {
            company.leaves(n);
        }
        assert_eq!(company.state(MAY), Suspended);
        bench.clock.pass_s(23 * 3600);
        assert_eq!(company.leaves(MAY + 1), Suspended, "a day has not passed");
        bench.clock.pass_s(2 * 3600);
        company.jobs();
        assert_eq!(company.leaves(MAY), Suspended, "time and repetition release nobody");
        // The share is of the most people whom it governed within the day.
        for n in MAY + 2..2 * MAY + 2 {
            assert_eq!(company.leaves(n), Deprovisioned, "person {n}");
        }
        assert_eq!(company.leaves(2 * MAY + 2), Suspended);
    });
}

#[test]
fn what_an_administrators_rules_end_is_never_held_neither_at_once_nor_when_it_has_settled() {
    on_each(|bench| {
        let company = Company::new(bench, 3600);
        company.unmap();
        assert_eq!(company.count(Suspended), PEOPLE);
        bench.clock.pass_s(3601);
        company.jobs();
        assert_eq!((company.count(Deprovisioned), company.holds().len()), (PEOPLE, 0));
    });
}

#[test]
fn a_rule_that_a_job_carries_out_is_an_administrators_all_the_same() {
    let bench = Bench::sqlite();
    let company = Company::of(&bench, portcullis_service::rules::MAX_AT_ONCE + 20, 0);
    company.unmap();
    assert_eq!(company.state(0), Active, "a job is to store it");
    assert_ne!(company.decision(0), Decision::Allowed, "and nobody waits for that");
    company.jobs();
    assert_eq!((company.count(Deprovisioned), company.holds().len()), (company.people.len(), 0));
}

#[test]
fn what_a_directory_takes_by_name_settles_first_and_is_held_then() {
    on_each(|bench| {
        let company = Company::new(bench, 3600);
        for person in company.people.iter().take(30) {
            leave_group(bench, &company.place, person.user);
        }
        assert_eq!((company.count(Suspended), company.holds().len()), (30, 0));
        bench.clock.pass_s(3601);
        company.jobs();
        assert_eq!((company.count(Deprovisioned), company.count(Suspended)), (MAY, 30 - MAY));
        let held = company.holds();
        assert_eq!((held.len(), held[0].waiting), (1, 18));
        // Back in the group before anybody decided: nothing had ended.
        let back = company.people.iter().position(|p| state(bench, &company.place, p.member) == Suspended);
        let back = back.unwrap();
        company.group_says(GroupSaid::Members(MembersSaid::Add(vec![company.people[back].user])));
        assert_eq!((company.state(back), company.decision(back)), (Active, Decision::Allowed));
        assert_eq!(company.holds()[0].waiting, 17);
    });
}

#[test]
fn many_who_are_named_in_one_call_are_refused_at_once_and_a_job_holds_their_end() {
    on_each(|bench| {
        let company = Company::of(bench, portcullis_service::rules::MAX_PER_CALL + 10, 0);
        let all = company.people.iter().map(|person| person.user).collect();
        company.group_says(GroupSaid::Members(MembersSaid::Remove(all)));
        assert!((0..company.people.len()).all(|n| company.decision(n) != Decision::Allowed));
        company.jobs();
        let may = company.people.len() / 5;
        assert_eq!(
            (company.count(Deprovisioned), company.count(Suspended)),
            (may, company.people.len() - may)
        );
        assert_eq!(company.holds()[0].waiting, i64::try_from(company.people.len() - may).unwrap());
    });
}

#[test]
fn a_large_group_that_is_emptied_is_held_whole_and_a_release_takes_all_of_it() {
    on_each(|bench| {
        let company = Company::of(bench, portcullis_service::rules::MAX_PER_CALL + 10, 0);
        company.group_says(GroupSaid::Members(MembersSaid::Replace(vec![])));
        company.jobs();
        assert_eq!(company.count(Active), company.people.len());
        assert!((0..company.people.len()).all(|n| company.decision(n) == Decision::Allowed));
        let held = company.holds();
        assert_eq!((held.len(), held[0].kind), (1, HoldKind::Losses));
        company.decide(&held[0], Decided::Release);
        company.jobs();
        assert_eq!(company.count(Deprovisioned), company.people.len());
    });
}

#[test]
fn whoever_leaves_and_whose_group_is_emptied_fares_the_same_in_either_order() {
    on_each(|bench| {
        let company = Company::new(bench, 0);
        for n in 0..MAY {
            company.leaves(n);
        }
        company.leaves(20);
        company.group_says(GroupSaid::Members(MembersSaid::Replace(vec![])));
        company.leaves(21);
        for n in [20, 21] {
            assert_eq!(company.state(n), Suspended);
            say_active(bench, &company.place, company.people[n].user, true);
            assert_eq!((company.state(n), company.decision(n)), (Active, Decision::Allowed), "person {n}");
        }
    });
}

/// A company of more people than a call carries out, one of whom is held, whose directory is deleted.
fn deleted(bench: &Bench, said: Governed) -> Company<'_> {
    let company = Company::of(bench, portcullis_service::rules::MAX_PER_CALL + 10, 0);
    for n in 0..22 {
        company.leaves(n);
    }
    assert_eq!(company.leaves(30), Suspended);
    let (organization, id) = (company.place.organization, company.place.directory);
    run(directory::delete(bench.portcullis(), Caller::Root, organization, (id, said), ordered())).unwrap();
    company.jobs();
    assert_eq!(company.holds().len(), 0);
    company
}

#[test]
fn a_directory_that_is_deleted_with_its_people_ends_all_of_them() {
    on_each(|bench| {
        let company = deleted(bench, Governed::OffBoard);
        assert_eq!(company.count(Deprovisioned), company.people.len());
    });
}

#[test]
fn a_directory_that_is_deleted_without_its_people_brings_nobody_back_who_was_held() {
    on_each(|bench| {
        let company = deleted(bench, Governed::Keep);
        assert_eq!((company.state(30), company.count(Suspended)), (Suspended, 1));
        assert_ne!(company.decision(30), Decision::Allowed);
        assert_eq!(company.decision(50), Decision::Allowed);
    });
}

#[test]
fn a_restore_waits_for_the_directory_and_releases_nobody() {
    on_each(|bench| {
        let company = Company::new(bench, 0);
        for n in 0..=MAY + 1 {
            company.leaves(n);
        }
        leave_group(bench, &company.place, company.people[40].user);
        bench.write(|tx, moment| {
            let organization = named(tx, "acme")?;
            restoring::revive_nobody(tx, moment, &organization, None)?;
            restoring::bring_in_step(tx, moment, &organization).map(|_| ())
        });
        assert_eq!(company.holds()[0].waiting, 3, "nothing was said of them");
        let (organization, held) = (company.place.organization, company.people[40].member);
        let became = bench.write(move |tx, moment| restoring::since(tx, organization, &[held], moment.now));
        assert_eq!(became, [Since::KeptOut], "another restore hears of a hold, too");
        bench.clock.pass_s(25 * 3600);
        // Confirmed, and still in no group: that was held, and nobody has decided.
        say_active(bench, &company.place, company.people[40].user, true);
        assert_eq!(company.state(40), Suspended);
        assert_eq!(company.leaves(MAY), Suspended, "said again a day later, it is still held");
        say_active(bench, &company.place, company.people[MAY + 1].user, true);
        assert_eq!(company.state(MAY + 1), Active);
        assert_eq!(company.holds()[0].waiting, 2);
    });
}

#[test]
fn the_last_owner_who_is_held_keeps_the_ownership_and_loses_everything_else_when_released() {
    on_each(|bench| {
        let company = Company::new(bench, 0);
        let organization = company.place.organization;
        let owner = company.people[40].member;
        bench.write(move |tx, moment| {
            let wish =
                NewGrant { role: "owner".into(), reason: "the founder".into(), vouching: Vouching::Unsaid };
            grant::create(tx, moment, &Caller::Root, (organization, owner), &wish, ordered()).map(|_| ())
        });
        for n in 0..MAY {
            company.leaves(n);
        }
        assert_eq!(company.leaves(40), Suspended);
        let role = |bench: &Bench| {
            bench.write(move |tx, moment| {
                let found = portcullis_service::membership::find(tx, organization, owner, moment.now)?;
                Ok((found.access.state, found.role().map(ToString::to_string), found.bare_owner_at.is_some()))
            })
        };
        assert_eq!(role(bench), (Suspended, Some("owner".to_owned()), false));
        let held = company.holds();
        company.decide(&held[0], Decided::Release);
        assert_eq!(role(bench), (Deprovisioned, Some("owner".to_owned()), true));
        assert_eq!(company.decision(40), Decision::TokenEnded);
    });
}

#[test]
fn a_hold_is_open_then_refused_then_closed_and_is_found_by_that() {
    on_each(|bench| {
        let company = Company::new(bench, 0);
        for n in 0..=MAY {
            company.leaves(n);
        }
        let organization = company.place.organization;
        let directory = company.place.directory;
        let found = |state: HoldState| {
            bench.write(move |tx, _| {
                let anywhere = HoldFilter { directory: None, state: Some(state) };
                let there = HoldFilter { directory: Some(directory), ..anywhere };
                let found = hold::list(tx, organization, anywhere, ("", 10))?;
                assert_eq!(found, hold::list(tx, organization, there, ("", 10))?);
                Ok(found.len())
            })
        };
        let all = || [HoldState::Open, HoldState::Refused, HoldState::Closed].map(&found);
        assert_eq!(all(), [1, 0, 0]);
        let held = company.holds();
        company.decide(&held[0], Decided::Refuse);
        assert_eq!(all(), [0, 1, 0]);
        say_active(bench, &company.place, company.people[MAY].user, true);
        assert_eq!(all(), [0, 0, 1]);
    });
}
