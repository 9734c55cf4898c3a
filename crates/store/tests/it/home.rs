//! Whose a row is that a change is about: a plan changes nothing of another organization.

use portcullis_domain::change::{
    AgentChange, Change, ConnectionChange, DirectoryChange, DirectoryGroupChange, DirectoryUserChange,
    DomainChange, EnvironmentChange, GrantChange, HoldChange, LinkChange, MappingChange, MembershipChange,
    RoleChange, TeamChange, TombstoneChange,
};

#[expect(clippy::too_many_lines, reason = "a line a change: a list is read as a list")]
/// The table and the id of the row whose organization the plan must be of; `None` for what makes a row, is about users,
/// who have none, or reaches whatever there is of that kind in the plan's organization.
pub(crate) fn row_of(change: &Change) -> Option<(&'static str, String)> {
    let found = |table, id: &dyn std::fmt::Display| Some((table, id.to_string()));
    match change {
        Change::Environment(EnvironmentChange::Rename(id, _) | EnvironmentChange::Delete(id)) => {
            found("environments", id)
        }
        Change::Team(TeamChange::Rename(id, _) | TeamChange::Delete(id)) => found("teams", id),
        Change::Role(RoleChange::Update(id, ..) | RoleChange::Delete(id)) => found("roles", id),
        Change::Domain(DomainChange::Prove(id, _) | DomainChange::Remove(id)) => found("domains", id),
        Change::Membership(change) => match change {
            MembershipChange::Create(_) => None,
            MembershipChange::SetProfile(id, ..)
            | MembershipChange::Join(id, _)
            | MembershipChange::SetSuspended(id, _)
            | MembershipChange::SetUser(id, _)
            | MembershipChange::Believe(id, _)
            | MembershipChange::SetAccess { id, .. } => found("memberships", id),
            MembershipChange::LoseDirectory(id) => found("directories", id),
            MembershipChange::MarkStale(users) => users.first().and_then(|id| found("directory_users", id)),
        },
        Change::Directory(DirectoryChange::Delete(id) | DirectoryChange::Forget(id, ..)) => {
            found("directories", id)
        }
        Change::DirectoryUser(change) => match change {
            // Facets have no organization of their own, as places in groups have none.
            DirectoryUserChange::Create(_)
            | DirectoryUserChange::AddFacets(..)
            | DirectoryUserChange::RemoveFacets(..) => None,
            DirectoryUserChange::Update(user) => found("directory_users", &user.id),
            DirectoryUserChange::Delete(id) | DirectoryUserChange::Attach(id, _) => {
                found("directory_users", id)
            }
        },
        Change::DirectoryGroup(change) => match change {
            DirectoryGroupChange::Create(_) => None,
            DirectoryGroupChange::Update(group) => found("directory_groups", &group.id),
            DirectoryGroupChange::Delete(id)
            | DirectoryGroupChange::AddMembers(id, ..)
            | DirectoryGroupChange::AddGroups(id, ..)
            | DirectoryGroupChange::RemoveGroups(id, _)
            | DirectoryGroupChange::RemoveMembers(id, _) => found("directory_groups", id),
        },
        Change::Hold(change) => of_hold(change),
        Change::Connection(ConnectionChange::Delete(id)) => found("connections", id),
        Change::Link(LinkChange::DeleteOf(id)) => found("memberships", id),
        Change::Link(
            LinkChange::Delete(id, _) | LinkChange::GiveWay(id, ..) | LinkChange::Believe(id, ..),
        ) => found("connections", id),
        Change::Mapping(MappingChange::Delete(id)) => found("mappings", id),
        Change::Grant(GrantChange::SetReason(id, _) | GrantChange::End(id, _)) => found("grants", id),
        Change::Grant(GrantChange::EndOf { membership, .. }) => found("memberships", membership),
        Change::Agent(change) => match change {
            AgentChange::Create(_) => None,
            AgentChange::Update { id, .. }
            | AgentChange::SetState(id, ..)
            | AgentChange::SetOwner(id, ..)
            | AgentChange::Disable(id, _)
            | AgentChange::Orphan(id, _) => found("agents", id),
            AgentChange::Forget(id) => found("memberships", id),
        },
        Change::Tombstone(TombstoneChange::LiftOf(id) | TombstoneChange::HandDown { from: id, .. }) => {
            found("memberships", id)
        }
        Change::Organization(_)
        | Change::User(_)
        | Change::Token(_)
        | Change::Receipt(_)
        | Change::Outbox(_)
        | Change::Environment(EnvironmentChange::Create(_))
        | Change::Team(TeamChange::Create(_))
        | Change::Role(RoleChange::Create(_))
        | Change::Domain(DomainChange::Add(_))
        | Change::Link(LinkChange::Create(_))
        | Change::Mapping(MappingChange::Create(_) | MappingChange::Update(_))
        | Change::Grant(GrantChange::Create(_)) => None,
        Change::Directory(
            DirectoryChange::Create(_)
            | DirectoryChange::Update(_)
            | DirectoryChange::SetGoogle(_)
            | DirectoryChange::Unconfirm(..),
        ) => None,
        Change::Connection(
            ConnectionChange::Create(_)
            | ConnectionChange::Update(_)
            | ConnectionChange::SetSaml(_)
            | ConnectionChange::PutCertificate(_)
            | ConnectionChange::PutKey(_)
            | ConnectionChange::SetOidc(_)
            | ConnectionChange::PutClientKey(_),
        ) => None,
        Change::Tombstone(
            TombstoneChange::Lay { .. } | TombstoneChange::LiftNamed(_) | TombstoneChange::LiftSaid { .. },
        ) => None,
    }
}

fn of_hold(change: &HoldChange) -> Option<(&'static str, String)> {
    let found = |table, id: &dyn std::fmt::Display| Some((table, id.to_string()));
    match change {
        HoldChange::Open(_) => None,
        HoldChange::End(held) => found("memberships", &held.membership),
        HoldChange::Keep { hold: id, .. }
        | HoldChange::Miss(id, ..)
        | HoldChange::Release(id, _)
        | HoldChange::Refuse(id, ..) => found("holds", id),
        HoldChange::DropMapping(id) => found("mappings", id),
        HoldChange::Found(users) | HoldChange::DropKept(_, users) => {
            users.first().and_then(|id| found("directory_users", id))
        }
        HoldChange::Unhold(id) | HoldChange::Drop(id) | HoldChange::Spare(id, _) => found("memberships", id),
    }
}
