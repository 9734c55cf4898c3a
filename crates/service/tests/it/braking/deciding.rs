//! A decision about people who are named: it is about all of them or about nobody, and may be said again.

use portcullis_domain::brake::Brake;
use portcullis_domain::id::MembershipId;
use portcullis_domain::membership::MembershipState::{Deprovisioned, Suspended};
use portcullis_service::ServiceError;
use portcullis_service::caller::Caller;
use portcullis_service::hold::{self, Decision};
use portcullis_service::rules::MAX_PER_CALL;
use portcullis_store::hold::HoldView;

use super::{Company, on_each, ordered, run};

/// How many may end within a day, whatever their number.
const FLOOR: usize = 10;
/// More of them than one step goes through, and a few whom nobody names.
const NAMED: usize = MAX_PER_CALL + 10;
const MANY: usize = FLOOR + NAMED + 5;

impl Company<'_> {
    fn decide_about(
        &self,
        of: &HoldView,
        decision: Decision,
        named: &[MembershipId],
    ) -> Result<u64, ServiceError> {
        let place = (self.place.organization, of.id);
        let about = (decision, Some(named.to_vec()));
        run(hold::decide(self.bench.portcullis(), Caller::Root, place, about, ordered()))
    }
}

#[test]
fn a_release_that_names_a_stranger_ends_nobody_and_one_that_is_repeated_goes_on() {
    on_each(|bench| {
        let company = Company::of(bench, MANY, 0);
        company.set_brake(Some(Brake::new(Some(0), None).unwrap()));
        for n in 0..MANY {
            company.leaves(n);
        }
        assert_eq!((company.count(Deprovisioned), company.count(Suspended)), (FLOOR, MANY - FLOOR));
        let held = company.holds().remove(0);
        let mut named: Vec<MembershipId> =
            company.people[FLOOR..FLOOR + NAMED].iter().map(|person| person.member).collect();
        let stranger = bench.member(company.place.organization, "eve@acme.test", "member").membership;
        named.push(stranger);
        let refused = company.decide_about(&held, Decision::Release, &named);
        let Err(ServiceError::Invalid { field, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((field, company.count(Deprovisioned)), ("members", FLOOR), "nobody was released");
        named.pop();
        // Of a decision that was broken off, some are done.
        let some = company.decide_about(&held, Decision::Release, &named[..3]);
        assert_eq!(some, Ok(3));
        let all = company.decide_about(&held, Decision::Release, &named);
        assert_eq!(all, Ok(u64::try_from(NAMED - 3).unwrap()));
        assert_eq!(company.decide_about(&held, Decision::Release, &named), Ok(0), "said again");
        assert_eq!(company.count(Deprovisioned), FLOOR + NAMED);
        let rest: Vec<MembershipId> =
            company.people[FLOOR + NAMED..].iter().map(|person| person.member).collect();
        assert_eq!(company.decide_about(&held, Decision::Refuse, &rest), Ok(5));
        assert_eq!(company.decide_about(&held, Decision::Refuse, &rest), Ok(0), "said again");
    });
}
