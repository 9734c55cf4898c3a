//! A directory is deleted with its people while its brake holds the end of some whom it has deleted already: they are governed
//! by it, though it tells of them no more.

use portcullis_domain::membership::MembershipState::{Deprovisioned, Suspended};
use portcullis_service::caller::Caller;
use portcullis_service::directory::{self, Governed};
use portcullis_service::provisioning;
use portcullis_service::rules::MAX_PER_CALL;
use portcullis_testkit::Bench;

use super::{Company, on_each, ordered, run};
use crate::thread::speaker;

impl Company<'_> {
    /// A directory deletes somebody in a call of its own.
    fn goes(&self, n: usize) {
        let (organization, directory) = (self.place.organization, self.place.directory);
        let user = self.people[n].user;
        self.bench.write(move |tx, moment| {
            let speaker = speaker(moment, organization, directory);
            provisioning::delete_user(tx, moment, speaker, user)
        });
    }

    fn delete_directory(&self) {
        let (organization, id) = (self.place.organization, self.place.directory);
        let said = (id, Governed::OffBoard);
        let deleted = directory::delete(self.bench.portcullis(), Caller::Root, organization, said, ordered());
        run(deleted).unwrap();
        self.jobs();
        assert_eq!(self.holds().len(), 0);
    }
}

#[test]
fn of_a_large_directory_whoever_it_deleted_above_its_limit_ends_with_it_too() {
    on_each(|bench: &Bench| {
        let company = Company::of(bench, MAX_PER_CALL + 10, 0);
        for n in 0..22 {
            company.leaves(n);
        }
        company.goes(30);
        assert_eq!(company.state(30), Suspended, "held");
        company.delete_directory();
        assert_eq!((company.state(30), company.count(Deprovisioned)), (Deprovisioned, company.people.len()));
    });
}

#[test]
fn of_a_directory_that_tells_of_few_and_governs_many_everybody_ends_with_it() {
    on_each(|bench: &Bench| {
        let company = Company::of(bench, MAX_PER_CALL + 50, 0);
        // A fifth ends, the others are held.
        (0..MAX_PER_CALL + 40).for_each(|n| company.goes(n));
        let held = company.count(Suspended);
        assert!(held > MAX_PER_CALL, "{held} are held");
        company.delete_directory();
        assert_eq!(company.count(Deprovisioned), company.people.len());
    });
}
