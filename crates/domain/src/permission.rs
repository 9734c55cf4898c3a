//! What a role allows: `use`, and `<noun>.<read|write>` for each noun of the administration API.
//!
//! A closed enum, so that a route cannot ask for a permission that no role could hold.

use std::fmt;

use crate::text::explained;

explained! {
    /// One thing that a role allows.
    pub enum Permission {
        Use = "use", "Act through gateways, tools and agents.";
        OrganizationsRead = "organizations.read", "See the organization.";
        OrganizationsWrite = "organizations.write", "Rename the organization.";
        EnvironmentsRead = "environments.read", "See environments.";
        EnvironmentsWrite = "environments.write", "Make, rename and delete environments.";
        TeamsRead = "teams.read", "See teams.";
        TeamsWrite = "teams.write", "Make, rename and delete teams.";
        RolesRead = "roles.read", "See roles.";
        RolesWrite = "roles.write", "Make, change and delete roles below one's own rank.";
        DomainsRead = "domains.read", "See e-mail domains.";
        DomainsWrite = "domains.write", "Add, prove and remove e-mail domains.";
        DirectoriesRead = "directories.read", "See directories.";
        DirectoriesWrite = "directories.write", "Make, change and delete directories and their SCIM tokens.";
        ConnectionsRead = "connections.read", "See sign-in connections.";
        ConnectionsWrite = "connections.write", "Make, change and delete sign-in connections.";
        MappingsRead = "mappings.read", "See mappings and previews.";
        MappingsWrite = "mappings.write", "Make, change and delete mappings to roles up to one's own rank.";
        GrantsRead = "grants.read", "See grants.";
        GrantsWrite = "grants.write", "Give and take roles up to one's own rank.";
        InvitationsRead = "invitations.read", "See invitations.";
        InvitationsWrite = "invitations.write", "Invite people to roles up to one's own rank.";
        MembersRead = "members.read", "See members and why they have what they have.";
        MembersWrite = "members.write", "Suspend, restore and off-board members of at most one's own rank.";
        KeysRead = "keys.read", "See member keys.";
        KeysWrite = "keys.write", "Issue and revoke member keys.";
        ServiceKeysRead = "service-keys.read", "See service keys.";
        ServiceKeysWrite = "service-keys.write", "Issue and revoke service keys.";
        AgentsRead = "agents.read", "See agents.";
        AgentsWrite = "agents.write", "Make, change, pause, resume and re-assign agents and their keys.";
        TokensRead = "tokens.read", "See tokens, never their secrets.";
        TokensWrite = "tokens.write", "End tokens.";
        ReceiptsRead = "receipts.read", "See receipts of off-boardings.";
        AuditEventsRead = "audit-events.read", "See the audit log.";
        TracesRead = "traces.read", "See traces of sign-ins and directory calls.";
    }
}

impl Permission {
    /// Whether it allows to see and nothing else.
    #[must_use]
    pub fn only_sees(self) -> bool {
        self.as_str().ends_with(".read")
    }

    /// Permissions that only explicit-only roles may hold: whoever has them stands over owners and roles.
    #[must_use]
    pub const fn is_explicit_only(self) -> bool {
        matches!(self, Self::RolesWrite | Self::OrganizationsWrite)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
