//! Facts to decide about: one organization, two directories, people by number.

use portcullis_domain::access::{
    Access, DirectoryFacts, Granted, Held, Matched, PersonFacts, RankedRole, Resolved, Statement, resolve,
};
use portcullis_domain::agent::{Agent, AgentState, OwnerLossRule};
use portcullis_domain::cause::Cause;
use portcullis_domain::directory::DirectoryKind;
use portcullis_domain::id::{
    AgentId, DirectoryGroupId, DirectoryId, GrantId, MappingId, MembershipId, OrganizationId, OutboxId,
    ReceiptId, UserId,
};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::offboarding::{Leaver, LeaverAgent, NewIds, NextOwner, Ownership};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Giving, Rank};
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::Slug;
use portcullis_domain::tombstone::Identifier;
use portcullis_domain::{Random, Timestamp};

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// Numbers instead of randomness.
pub(crate) struct Counting(pub(crate) u8);

impl Random for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(31).wrapping_add(17);
            *byte = self.0;
        }
    }
}

/// The id of that number: ids of one kind are in the order of their numbers.
macro_rules! id {
    ($kind:ty, $number:expr) => {
        format!("{}_{:032x}", <$kind>::PREFIX, $number).parse::<$kind>().expect("an id")
    };
}
pub(crate) use id;

pub(crate) fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

pub(crate) fn organization() -> OrganizationId {
    id!(OrganizationId, 1)
}

pub(crate) fn directory(number: usize) -> DirectoryId {
    id!(DirectoryId, number)
}

pub(crate) fn member(number: usize) -> MembershipId {
    id!(MembershipId, number)
}

pub(crate) fn role(text: &str) -> RankedRole {
    let (rank, giving) = match text {
        "owner" => (900, Giving::ExplicitOnly),
        "break-glass" => (800, Giving::ExplicitOnly),
        "admin" => (700, Giving::Anyhow),
        "member" => (300, Giving::Anyhow),
        "viewer" => (100, Giving::Anyhow),
        other => panic!("no role `{other}`"),
    };
    RankedRole { slug: slug(text), rank: Rank::new(rank).expect("a rank"), giving }
}

/// A person of whom nothing is known.
pub(crate) fn nobody() -> PersonFacts {
    PersonFacts {
        joined_at: None,
        governed_by: None,
        suspended_at: None,
        unmapped_at: None,
        ended: None,
        directories: vec![],
        matched: vec![],
        grants: vec![],
        held: Held::No,
    }
}

/// What a SCIM directory says, without a default role; it waits an hour.
pub(crate) fn says(number: usize, statement: Statement) -> DirectoryFacts {
    DirectoryFacts {
        directory: directory(number),
        kind: DirectoryKind::Scim,
        statement,
        default_role: None,
        settle_s: 3600,
    }
}

/// A mapping of that directory that gives a role.
pub(crate) fn maps(number: usize, of: usize, gives: &str) -> Matched {
    Matched {
        mapping: id!(MappingId, number),
        directory: directory(of),
        group: Some(id!(DirectoryGroupId, number)),
        request: None,
        role: Some(role(gives)),
        team: None,
        environment: None,
    }
}

/// A mapping that gives a team.
pub(crate) fn teams(number: usize, of: usize, team: &str, team_role: TeamRole) -> Matched {
    Matched { role: None, team: Some((slug(team), team_role)), ..maps(number, of, "member") }
}

/// A mapping that gives an environment.
pub(crate) fn enters(number: usize, of: usize, environment: &str) -> Matched {
    Matched { role: None, environment: Some(slug(environment)), ..maps(number, of, "member") }
}

pub(crate) fn grants(number: usize, gives: &str) -> Granted {
    Granted { grant: id!(GrantId, number), role: role(gives), request: None }
}

/// Somebody whom a directory governs and a mapping makes a member.
pub(crate) fn mapped() -> PersonFacts {
    PersonFacts {
        directories: vec![says(1, Statement::Active)],
        matched: vec![maps(1, 1, "member")],
        ..nobody()
    }
}

/// A membership in step with these facts.
pub(crate) fn stored(facts: &PersonFacts, now: Timestamp) -> Membership {
    let Resolved { access, governed_by, unmapped_at, .. } = resolve(facts, now);
    Membership {
        id: member(1),
        organization: organization(),
        user: id!(UserId, 1),
        email: "ada@acme.test".into(),
        name: "Ada".into(),
        joined_at: facts.joined_at,
        governed_by,
        suspended_at: facts.suspended_at,
        unmapped_at,
        ended: facts.ended,
        bare_owner_at: None,
        access,
        rules_number: 1,
        created_at: now,
        believed_up_to: Rank::ROOT,
    }
}

pub(crate) fn agent(number: usize, rule: OwnerLossRule, state: AgentState) -> Agent {
    Agent {
        id: id!(AgentId, number),
        organization: organization(),
        name: "builder".into(),
        owner: member(1),
        heir: Some(member(2)),
        on_owner_loss: rule,
        rule_chosen_by: Some(member(3)),
        environment: Slug::production(),
        state,
        created_at: NOW,
    }
}

/// An agent of the leaver with heir and chooser active, and no key that others saw.
pub(crate) fn left_behind(number: usize, rule: OwnerLossRule, state: AgentState) -> LeaverAgent {
    LeaverAgent {
        agent: agent(number, rule, state),
        active_heir: Some(NextOwner { id: member(2), acting_keys: 0 }),
        active_chooser: Some(NextOwner { id: member(3), acting_keys: 0 }),
    }
}

pub(crate) fn leaver() -> Leaver {
    let facts = mapped();
    Leaver {
        membership: stored(&facts, NOW),
        resolved: Resolved {
            access: Access::none(MembershipState::Deprovisioned),
            governed_by: Some(directory(1)),
            unmapped_at: None,
            ended: None,
            held: None,
        },
        ownership: Ownership::NotOwner,
        agents: vec![],
        to_rotate: vec![],
        identifiers: vec![Identifier::user_name("Ada"), Identifier::email("ada@acme.test")],
        email_keys: vec!["ada@acme.test".into()],
        lives_elsewhere: false,
        rules_number: 7,
    }
}

pub(crate) fn off_boarded(leaver: &Leaver) -> Plan {
    use portcullis_domain::access::EndedBecause;
    portcullis_domain::offboarding::off_board(leaver, EndedBecause::Inactive, new_ids(), Cause::system(), NOW)
}

pub(crate) fn new_ids() -> NewIds {
    NewIds { receipt: id!(ReceiptId, 1), outbox: id!(OutboxId, 1) }
}
