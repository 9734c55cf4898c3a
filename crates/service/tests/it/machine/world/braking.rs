//! Brakes and what is decided about holds, given to the real use cases.

use portcullis_domain::brake::Brake;
use portcullis_domain::id::MembershipId;
use portcullis_service::caller::Caller;
use portcullis_service::directory::{self, DirectoryChanges};
use portcullis_service::noun::Noun;
use portcullis_service::{ServiceError, hold};
use portcullis_store::brake;
use portcullis_store::hold::HoldFilter;

use super::super::command::Command;
use super::super::model::{MAY, Model};
use super::{Made, World, by_api};

/// More holds than a run can make.
const MAX_HOLDS: i64 = 1000;

impl World {
    pub(super) fn brake(&self, org: usize, directory: usize, full: bool) -> Result<Made, ServiceError> {
        let (organization, of) = (self.ids.organizations[org], self.ids.directories[org][directory]);
        self.try_write(move |tx, moment| {
            let limit = if full { Some(Brake::new(Some(0), None)?) } else { None };
            let changes = DirectoryChanges { brake: Some(limit), ..DirectoryChanges::default() };
            let cause = by_api(moment);
            directory::update(tx, moment, &Caller::Root, organization, (of, &changes), cause)?;
            if full {
                let strangers = (0..MAY).map(|_| MembershipId::fresh(moment.now, &mut moment.random));
                brake::count(tx, of, &strangers.collect::<Vec<_>>(), moment.now)?;
            }
            Ok(Made::Nothing)
        })
    }

    pub(super) fn decide(&self, command: &Command, model: &Model) -> Result<Made, ServiceError> {
        let Command::Decide { org, directory, kind, hold: which, whom, how } = *command else {
            unreachable!("no decision")
        };
        let place = (org, directory);
        let (meant, whom) = model.brakes.meant(place, (kind, which), whom).expect("the model found one");
        let of_kind = model.brakes.of_kind(place, kind);
        let nth = of_kind.iter().position(|n| *n == meant).expect("it is one of them");
        let (organization, of) = (self.ids.organizations[org], self.ids.directories[org][directory]);
        let found = self.try_write(move |tx, _| {
            let filter = HoldFilter { directory: Some(of), state: None };
            let all = hold::list(tx, organization, filter, ("", MAX_HOLDS))?;
            let id = all.iter().filter(|hold| hold.kind == kind).nth(nth).map(|hold| hold.id);
            id.ok_or(ServiceError::NotFound(Noun::Hold))
        })?;
        let about = (how, whom.map(|m| vec![self.ids.members[m]]));
        let portcullis = self.bench.portcullis();
        let cause = by_api(&mut portcullis.moment());
        let decided = hold::decide(portcullis, Caller::Root, (organization, found), about, cause);
        self.runtime.block_on(decided)?;
        Ok(Made::Nothing)
    }
}
