//! A directory that is told so instead: what is above its limit is refused, and nothing of it takes effect.

use std::collections::BTreeSet;

use portcullis_domain::brake::{Above, Brake};
use portcullis_domain::evaluation::Decision;
use portcullis_domain::membership::MembershipState::{Active, Deprovisioned, Suspended};
use portcullis_service::ServiceError;
use portcullis_service::error::DirectoryRefusal;
use portcullis_service::provisioning::{self, GroupSaid, MembersSaid, PersonSaid, Speaker};
use portcullis_service::rules::MAX_PER_CALL;
use portcullis_service::{Moment, hold};
use portcullis_store::{Priority, Tx};
use portcullis_testkit::Bench;

use super::{Company, MAY, PEOPLE, on_each, run};
use crate::thread::speaker;

const REFUSED: Result<(), ServiceError> = Err(ServiceError::Directory(DirectoryRefusal::AboveBrake));

impl<'b> Company<'b> {
    fn refusing(bench: &'b Bench, people: usize, settle_s: i64) -> Self {
        let company = Self::of(bench, people, settle_s);
        company.set_brake(Some(Brake::default().with_above(Above::Refuse)));
        company
    }

    fn says(
        &self,
        what: impl Fn(&mut Tx<'_>, &mut Moment, Speaker) -> Result<(), ServiceError> + Send + Sync + 'static,
    ) -> Result<(), ServiceError> {
        let (organization, directory) = (self.place.organization, self.place.directory);
        run(self.bench.portcullis().write(Priority::Ordinary, move |tx, moment| {
            let speaker = speaker(moment, organization, directory);
            what(tx, moment, speaker)
        }))
    }

    fn says_inactive(&self, n: usize) -> Result<(), ServiceError> {
        let user = self.people[n].user;
        self.says(move |tx, moment, speaker| {
            let inactive = provisioning::change_user(tx, moment, speaker, user, |old| {
                Ok(PersonSaid {
                    external_id: old.external_id.clone(),
                    user_name: old.user_name.clone(),
                    display_name: old.display_name.clone(),
                    full_name: String::new(),
                    emails: old.email_keys.clone(),
                    active: Some(false),
                    facets: BTreeSet::new(),
                    attributes: old.attributes.clone(),
                })
            });
            inactive.map(|_| ())
        })
    }

    fn says_deleted(&self, n: usize) -> Result<(), ServiceError> {
        let user = self.people[n].user;
        self.says(move |tx, moment, speaker| provisioning::delete_user(tx, moment, speaker, user))
    }

    fn says_of_group(&self, said: Vec<GroupSaid>) -> Result<(), ServiceError> {
        let group = self.place.group;
        self.says(move |tx, moment, speaker| {
            provisioning::change_group(tx, moment, speaker, group, &said).map(|_| ())
        })
    }

    fn takes_out(&self, people: std::ops::Range<usize>) -> GroupSaid {
        GroupSaid::Members(MembersSaid::Remove(
            self.people[people].iter().map(|person| person.user).collect(),
        ))
    }

    /// Everybody from here on acts as before, and nothing waits for anybody.
    fn nothing_happened_from(&self, n: usize) {
        self.jobs();
        for one in n..self.people.len() {
            assert_eq!((self.state(one), self.decision(one)), (Active, Decision::Allowed), "person {one}");
        }
        assert!(self.holds().is_empty(), "{:?}", self.holds());
    }
}

#[test]
fn a_statement_above_the_limit_is_refused_and_nothing_of_it_takes_effect_until_the_limit_is_raised() {
    on_each(|bench| {
        let company = Company::refusing(bench, PEOPLE, 0);
        for n in 0..MAY {
            assert_eq!(company.says_inactive(n), Ok(()), "person {n}");
            assert_eq!(company.state(n), Deprovisioned);
        }
        for _ in 0..2 {
            assert_eq!(company.says_inactive(MAY), REFUSED, "said again, it is refused again");
            assert_eq!(company.says_deleted(MAY + 1), REFUSED);
        }
        company.nothing_happened_from(MAY);
        assert_eq!(company.says_inactive(0), Ok(()), "whoever has ended may be said to be inactive again");
        company.set_brake(Brake::new(Some(20), None).ok().map(|brake| brake.with_above(Above::Refuse)));
        assert_eq!(company.says_inactive(MAY), Ok(()), "what was refused had not been counted");
        assert_eq!(company.says_deleted(MAY + 1), Ok(()));
        assert_eq!((company.state(MAY), company.state(MAY + 1)), (Deprovisioned, Deprovisioned));
        company.nothing_happened_from(MAY + 2);
    });
}

#[test]
fn whoever_is_taken_out_of_their_last_group_counts_when_it_is_said_and_not_again_when_it_has_settled() {
    on_each(|bench| {
        let company = Company::refusing(bench, PEOPLE, 3600);
        for n in 0..MAY {
            assert_eq!(company.says_of_group(vec![company.takes_out(n..n + 1)]), Ok(()));
            assert_eq!(company.state(n), Suspended);
        }
        assert_eq!(company.says_of_group(vec![company.takes_out(MAY..MAY + 1)]), REFUSED);
        company.nothing_happened_from(MAY);
        bench.clock.pass_s(3601);
        company.jobs();
        assert_eq!((company.count(Deprovisioned), company.holds().len()), (MAY, 0));
    });
}

#[test]
fn a_call_about_more_people_than_it_carries_out_itself_is_refused_however_it_says_it() {
    on_each(|bench| {
        let company = Company::refusing(bench, MAX_PER_CALL + 20, 3600);
        let half = MAX_PER_CALL / 2 + 5;
        for said in [
            vec![company.takes_out(0..MAX_PER_CALL + 10)],
            vec![company.takes_out(0..half), company.takes_out(half..2 * half)],
            vec![GroupSaid::Members(MembersSaid::Replace(vec![]))],
            vec![GroupSaid::Members(MembersSaid::Replace(vec![company.people[0].user]))],
        ] {
            assert_eq!(company.says_of_group(said.clone()), REFUSED, "{said:?}");
        }
        let group = company.place.group;
        let deleted =
            company.says(move |tx, moment, speaker| provisioning::delete_group(tx, moment, speaker, group));
        assert_eq!(deleted, REFUSED);
        company.nothing_happened_from(0);
        // Whoever comes in is none of the brake's business, however many they are.
        company.set_brake(None);
        assert_eq!(company.says_of_group(vec![GroupSaid::Members(MembersSaid::Replace(vec![]))]), Ok(()));
        company.set_brake(Some(Brake::default().with_above(Above::Refuse)));
        let all = company.people.iter().map(|person| person.user).collect();
        assert_eq!(company.says_of_group(vec![GroupSaid::Members(MembersSaid::Add(all))]), Ok(()));
        company.nothing_happened_from(0);
    });
}

#[test]
fn what_was_held_before_stays_held_and_is_released_under_either_setting() {
    on_each(|bench| {
        let company = Company::of(bench, PEOPLE, 0);
        for n in 0..=MAY {
            assert_eq!(company.says_inactive(n), Ok(()));
        }
        assert_eq!(company.state(MAY), Suspended);
        company.set_brake(Some(Brake::default().with_above(Above::Refuse)));
        assert_eq!(company.says_inactive(MAY), Ok(()), "it is held already, and refuses them all the same");
        assert_eq!(company.says_inactive(MAY + 1), REFUSED);
        let held = company.holds();
        assert_eq!(company.decide(&held[0], hold::Decision::Release), 1);
        assert_eq!(company.state(MAY), Deprovisioned);
    });
}
