//! Things to store: each with what it must have, told apart by the name that a test gives.

use portcullis_domain::Timestamp;
use portcullis_domain::access::Access;
use portcullis_domain::agent::{Agent, AgentState, OwnerLossRule};
use portcullis_domain::change::{
    ConnectionChange, DirectoryChange, DirectoryGroupChange, DirectoryUserChange, MembershipChange,
    OrganizationChange, UserChange,
};
use portcullis_domain::connection::{ClaimRules, Connection, ConnectionKind};
use portcullis_domain::directory::{DEFAULT_SETTLE_S, Directory, DirectoryKind};
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{
    AgentId, ConnectionId, DirectoryGroupId, DirectoryId, DirectoryUserId, GrantId, MappingId, MembershipId,
    OrganizationId, TokenId, UserId,
};
use portcullis_domain::mapping::{Gives, Mapping, MappingSource};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::organization::Organization;
use portcullis_domain::role::Rank;
use portcullis_domain::secret::SecretHash;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, ShownTo, Token, TokenKind};
use portcullis_domain::user::User;

use crate::database::{Database, NOW, Seeded};

macro_rules! fresh {
    ($id:ident) => {
        $id::fresh(NOW, &mut Seeded::next())
    };
}
pub(crate) use fresh;

/// A slug.
pub(crate) fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

/// An organization that is stored.
pub(crate) fn organization(database: &Database, name: &str) -> Organization {
    let organization = Organization {
        id: fresh!(OrganizationId),
        slug: slug(name),
        name: name.to_owned(),
        rules_number: 1,
        created_at: NOW,
    };
    database.put(OrganizationChange::Create(organization.clone()));
    organization
}

/// A user that is stored.
pub(crate) fn user(database: &Database) -> UserId {
    let id = fresh!(UserId);
    database.put(UserChange::Create(User::new(id, NOW)));
    id
}

/// A membership that is stored, active, with a role.
pub(crate) fn membership(database: &Database, organization: OrganizationId, name: &str) -> Membership {
    let who = Newcomer {
        id: fresh!(MembershipId),
        organization,
        user: user(database),
        email: format!("{name}@example.com"),
        name: name.to_owned(),
    };
    let membership = Membership {
        joined_at: Some(NOW),
        access: Access { role: Some(slug("member")), ..Access::none(MembershipState::Active) },
        ..Membership::new(who, MembershipState::Active, 1, NOW)
    };
    database.put(MembershipChange::Create(Box::new(membership.clone())));
    membership
}

/// A SCIM directory that is stored.
pub(crate) fn directory(
    database: &Database,
    organization: OrganizationId,
    default_role: Option<&str>,
) -> Directory {
    let directory = Directory {
        id: fresh!(DirectoryId),
        organization,
        kind: DirectoryKind::Scim,
        name: "People".to_owned(),
        default_role: default_role.map(slug),
        settle_s: DEFAULT_SETTLE_S,
        brake: None,
        nested_at: None,
        connection: None,
        created_at: NOW,
    };
    database.put(DirectoryChange::Create(directory.clone()));
    directory
}

/// What a directory says of a membership, stored.
pub(crate) fn directory_user(
    database: &Database,
    directory: &Directory,
    membership: &Membership,
) -> DirectoryUserId {
    let id = fresh!(DirectoryUserId);
    database.put(DirectoryUserChange::Create(Box::new(DirectoryUser {
        id,
        organization: directory.organization,
        directory: directory.id,
        membership: membership.id,
        external_id: Some(format!("external-{}", membership.name)),
        user_name: membership.email.clone(),
        display_name: membership.name.clone(),
        email_keys: vec![membership.email.clone()],
        inactive_at: None,
        unconfirmed_at: None,
        attributes: "{}".to_owned(),
        believed_up_to: Rank::ROOT,
        created_at: NOW,
        updated_at: NOW,
    })));
    id
}

/// A group of a directory with these members, stored.
pub(crate) fn group(
    database: &Database,
    directory: &Directory,
    name: &str,
    members: &[DirectoryUserId],
) -> DirectoryGroup {
    let group = DirectoryGroup {
        id: fresh!(DirectoryGroupId),
        organization: directory.organization,
        directory: directory.id,
        external_id: Some(format!("external-{name}")),
        display_name: name.to_owned(),
        created_at: NOW,
        updated_at: NOW,
    };
    database.put(DirectoryGroupChange::Create(group.clone()));
    database.put(DirectoryGroupChange::AddMembers(group.id, members.to_vec(), None));
    group
}

/// A mapping that gives a role.
pub(crate) fn mapping(directory: &Directory, source: MappingSource, role: &str) -> Mapping {
    Mapping {
        id: fresh!(MappingId),
        organization: directory.organization,
        directory: directory.id,
        source,
        gives: Gives { role: Some(slug(role)), team: None, environment: None },
        created_at: NOW,
    }
}

/// A grant of a role.
pub(crate) fn grant(membership: &Membership, role: &str) -> Grant {
    Grant {
        id: fresh!(GrantId),
        organization: membership.organization,
        membership: membership.id,
        role: slug(role),
        granted_by: None,
        reason: "a test".to_owned(),
        request: None,
        created_at: NOW,
        ended_at: None,
    }
}

/// A connection that is stored, with these domains.
pub(crate) fn connection(database: &Database, organization: OrganizationId, domains: &[&str]) -> Connection {
    let connection = Connection {
        id: fresh!(ConnectionId),
        organization,
        kind: ConnectionKind::Oidc,
        name: "Sign-in".to_owned(),
        issuer: "https://idp.example.com".to_owned(),
        client_id: "portcullis".to_owned(),
        client_secret_sealed: "sealed".to_owned(),
        directory: None,
        claims_directory: fresh!(DirectoryId),
        jit_at: Some(NOW),
        groups_claim: Some("groups".to_owned()),
        claim_rules: ClaimRules::default(),
        environment: Slug::production(),
        domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
        unconfirmed: None,
        created_at: NOW,
    };
    database.put(ConnectionChange::Create(Box::new(connection.clone())));
    connection
}

/// An agent of a membership.
pub(crate) fn agent(owner: &Membership) -> Agent {
    Agent {
        id: fresh!(AgentId),
        organization: owner.organization,
        name: "builder".to_owned(),
        owner: owner.id,
        heir: None,
        on_owner_loss: OwnerLossRule::Pause,
        rule_chosen_by: None,
        environment: Slug::production(),
        state: AgentState::Active,
        created_at: NOW,
    }
}

/// A token of that kind and holder; its secret is its id.
pub(crate) fn token(organization: OrganizationId, kind: TokenKind, holder: Holder) -> Token {
    let id = fresh!(TokenId);
    Token {
        name: "a token".to_owned(),
        environment: Some(Slug::production()),
        ..Token::new(
            id,
            organization,
            (kind, holder),
            (ShownTo::Root, Rank::ROOT),
            SecretHash::of(&id.to_string()),
            NOW,
        )
    }
}

/// Some seconds after [`NOW`].
pub(crate) fn later(seconds: i64) -> Timestamp {
    NOW.plus_s(seconds)
}
