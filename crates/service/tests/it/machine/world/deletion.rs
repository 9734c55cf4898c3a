//! The deletion of a directory, given to the real use case.

use portcullis_domain::audit::Action;
use portcullis_domain::change::{Change, DirectoryUserChange};
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryId, DirectoryUserId, GrantId, MembershipId, OrganizationId};
use portcullis_domain::role::Rank;
use portcullis_service::caller::Caller;
use portcullis_service::rules::MAX_PER_CALL;
use portcullis_service::{ServiceError, directory};
use portcullis_store::grant;

use super::super::command::Command;
use super::super::model::Model;
use super::{Made, World, by_api, write};

impl World {
    pub(super) fn drop_directory(&self, command: &Command, model: &Model) -> Result<Made, ServiceError> {
        let Command::DropDirectory { org, directory: n, people, crowded } = *command else {
            unreachable!("no deletion")
        };
        let (organization, of) = (self.ids.organizations[org], self.ids.directories[org][n]);
        if crowded {
            self.crowd(organization, of)?;
        }
        let portcullis = self.bench.portcullis();
        let cause = by_api(&mut portcullis.moment());
        let said = (of, people);
        self.runtime.block_on(directory::delete(portcullis, Caller::Root, organization, said, cause))?;
        // Whoever stays has what they had as a grant, one after another.
        let here = (0..model.members.len()).filter(|m| model.members[*m].org == org);
        let here: Vec<MembershipId> = here.map(|m| self.ids.members[m]).collect();
        let known = self.ids.grants.clone();
        self.try_write(move |tx, _| {
            let mut new: Vec<GrantId> = Vec::new();
            for member in &here {
                let live = grant::live_of(tx, organization, *member)?.into_iter().map(|grant| grant.id);
                new.extend(live.filter(|id| !known.contains(id)));
            }
            Ok(Made::Grants(new))
        })
    }

    /// A directory tells of strangers, more than a call carries out: nobody here is behind them, and nothing gives them
    /// anything.
    fn crowd(&self, organization: OrganizationId, directory: DirectoryId) -> Result<(), ServiceError> {
        self.try_write(move |tx, moment| {
            let now = moment.now;
            let mut changes: Vec<Change> = Vec::new();
            for n in 0..=MAX_PER_CALL {
                let stranger = DirectoryUser {
                    id: DirectoryUserId::fresh(now, &mut moment.random),
                    organization,
                    directory,
                    membership: MembershipId::fresh(now, &mut moment.random),
                    external_id: None,
                    user_name: format!("stranger-{n}"),
                    display_name: String::new(),
                    email_keys: vec![],
                    inactive_at: None,
                    unconfirmed_at: None,
                    attributes: "{}".to_owned(),
                    believed_up_to: Rank::ROOT,
                    created_at: now,
                    updated_at: now,
                };
                changes.push(DirectoryUserChange::Create(Box::new(stranger)).into());
            }
            let cause = by_api(moment);
            write(tx, moment, organization, (Action::DirectoryUserCreated, directory.into()), changes, cause)
        })
    }
}
