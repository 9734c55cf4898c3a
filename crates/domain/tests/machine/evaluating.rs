//! May a bearer act: everything unknown, ended, stopped or foreign is refused, in that order.

use std::collections::BTreeSet;

use portcullis_domain::agent::AgentState;
use portcullis_domain::evaluation::{
    Bearer, BearerAgent, BearerMember, BearerShownTo, Decision, evaluate, liveness,
};
use portcullis_domain::id::{AgentId, OrganizationId, TokenId, UserId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::permission::Permission;
use portcullis_domain::role::{Giving, Rank};
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, TokenKind};

use crate::fixture::{NOW, directory, id, member, organization, slug};

fn key() -> Bearer {
    Bearer {
        token: id!(TokenId, 1),
        kind: TokenKind::MemberKey,
        name: "laptop".into(),
        organization: organization(),
        organization_slug: slug("acme"),
        rules_number: 3,
        environment: Some(Slug::production()),
        confined_at: None,
        scopes: vec![],
        holder: Holder::Membership(member(1)),
        issued_at: NOW,
        expires_at: None,
        max_idle_s: None,
        last_used_at: None,
        ended_at: None,
        came_by: None,
        chosen_from: None,
        believed_up_to: Rank::ROOT,
        member: Some(BearerMember {
            id: member(1),
            user: id!(UserId, 1),
            email: "ada@acme.test".into(),
            name: "Ada".into(),
            state: MembershipState::Active,
            role: Some(slug("member")),
            rank: Rank::new(300).expect("a rank"),
            giving: Giving::Anyhow,
            permissions: BTreeSet::from([Permission::Use]),
            teams: vec![],
            environments: vec![Slug::production()],
            until: None,
            rules_number: 3,
        }),
        agent: None,
        shown_to: vec![],
    }
}

fn agent_key(state: AgentState) -> Bearer {
    let agent = BearerAgent { id: id!(AgentId, 1), name: "builder".into(), state };
    Bearer { kind: TokenKind::AgentKey, agent: Some(agent), ..key() }
}

/// A key of an active member's agent that somebody else in that state, who stands as high, was shown.
pub(crate) fn seen_by(state: MembershipState) -> Bearer {
    let rank = Rank::new(300).expect("a rank");
    let shown_to = BearerShownTo { id: member(2), state, rank, until: None, rules_number: 3 };
    Bearer { shown_to: vec![shown_to], ..agent_key(AgentState::Active) }
}

fn decide(bearer: &Bearer) -> Decision {
    evaluate(bearer, organization(), &Slug::production(), NOW.plus_s(10))
}

fn of_member(state: MembershipState) -> Bearer {
    let mut bearer = key();
    bearer.member.as_mut().expect("a member").state = state;
    bearer
}

#[test]
fn a_live_key_of_an_active_member_may() {
    assert_eq!(decide(&key()), Decision::Allowed);
    assert_eq!(decide(&agent_key(AgentState::Active)), Decision::Allowed);
}

#[test]
fn a_token_of_another_organization_is_unknown_even_if_it_ended() {
    let ended = Bearer { ended_at: Some(NOW), ..key() };
    for bearer in [key(), ended] {
        let other = id!(OrganizationId, 2);
        assert_eq!(evaluate(&bearer, other, &Slug::production(), NOW), Decision::TokenUnknown);
    }
}

#[test]
fn every_state_but_active_is_refused() {
    for state in MembershipState::ALL.into_iter().filter(|state| *state != MembershipState::Active) {
        assert_eq!(decide(&of_member(state)), Decision::MemberInactive, "{state:?}");
        let owner = Bearer { agent: agent_key(AgentState::Active).agent, ..of_member(state) };
        assert_eq!(decide(&Bearer { kind: TokenKind::AgentKey, ..owner }), Decision::MemberInactive);
    }
}

#[test]
fn a_token_that_acts_as_somebody_is_refused_where_nobody_is_found_behind_it() {
    let found = |holder| liveness(&Bearer { holder, member: None, ..key() }, NOW);
    for holder in [Holder::Membership(member(1)), Holder::Agent(id!(AgentId, 1))] {
        assert_eq!(found(holder), Decision::MemberInactive, "{holder:?}");
    }
    for holder in [Holder::Directory(directory(1)), Holder::Organization(organization())] {
        assert_eq!(found(holder), Decision::Allowed, "{holder:?}");
    }
}

#[test]
fn what_somebody_was_shown_rests_with_them_but_for_what_the_organization_runs_by() {
    for kind in TokenKind::ALL {
        let stays = match kind {
            TokenKind::ServiceKey | TokenKind::ScimToken => true,
            TokenKind::Session
            | TokenKind::MemberKey
            | TokenKind::AgentKey
            | TokenKind::Invitation
            | TokenKind::OwnerLink => false,
        };
        for state in MembershipState::ALL {
            let lives = stays || state == MembershipState::Active;
            let must = if lives { Decision::Allowed } else { Decision::MemberInactive };
            assert_eq!(liveness(&Bearer { kind, ..seen_by(state) }, NOW), must, "{kind:?} seen by {state:?}");
        }
    }
}

/// A key of a member of the one rank that somebody of the other was shown.
fn of_ranks(kind: TokenKind, (holder, saw): (Rank, Rank)) -> Bearer {
    let mut bearer = Bearer { kind, ..seen_by(MembershipState::Active) };
    bearer.member.as_mut().expect("a member").rank = holder;
    bearer.shown_to[0].rank = saw;
    bearer
}

#[test]
fn nothing_acts_above_whoever_saw_its_secret_but_what_the_organization_runs_by() {
    let ranks = [Rank::NONE, Rank::new(1).expect("a rank"), Rank::LEAD, Rank::OWNER];
    for kind in TokenKind::ALL {
        for ranks in ranks.iter().flat_map(|holder| ranks.map(|saw| (*holder, saw))) {
            let lives = kind.outlives_whom_it_was_shown_to() || ranks.0 <= ranks.1;
            let must = if lives { Decision::Allowed } else { Decision::NotPermitted };
            assert_eq!(liveness(&of_ranks(kind, ranks), NOW), must, "{kind:?} of ranks {ranks:?}");
        }
    }
}

#[test]
fn a_provider_that_waits_for_an_owner_opens_nothing_above_whoever_chose_it_nor_what_only_people_give() {
    let [low, high] = [400, 700].map(|rank| Rank::new(rank).expect("a rank"));
    for (chosen_from, rank, giving, may) in [
        (None, high, Giving::ExplicitOnly, true),
        (Some(low), low, Giving::Anyhow, true),
        (Some(low), high, Giving::Anyhow, false),
        (Some(high), low, Giving::Anyhow, true),
        (Some(high), low, Giving::ExplicitOnly, false),
    ] {
        for believed_up_to in [Rank::ROOT, low] {
            let mut bearer = Bearer { chosen_from, believed_up_to, ..key() };
            let member = bearer.member.as_mut().expect("a member");
            (member.rank, member.giving) = (rank, giving);
            let must = if may && rank <= believed_up_to { Decision::Allowed } else { Decision::NotPermitted };
            assert_eq!(decide(&bearer), must, "{chosen_from:?} {rank:?} {giving:?} {believed_up_to:?}");
        }
    }
}

#[test]
fn every_stop_of_an_agent_has_its_own_answer() {
    for state in AgentState::ALL {
        let must = match state {
            AgentState::Active => Decision::Allowed,
            AgentState::Paused => Decision::AgentPaused,
            AgentState::Orphaned => Decision::AgentOrphaned,
            AgentState::Disabled => Decision::TokenEnded,
        };
        assert_eq!(decide(&agent_key(state)), must);
    }
}

#[test]
fn an_ended_token_is_ended_whatever_else_is_true() {
    for bearer in [of_member(MembershipState::Deprovisioned), agent_key(AgentState::Orphaned), key()] {
        assert_eq!(decide(&Bearer { ended_at: Some(NOW), ..bearer }), Decision::TokenEnded);
    }
}

#[test]
fn a_token_runs_out_at_its_moment_and_not_a_microsecond_later() {
    let bearer = Bearer { expires_at: Some(NOW.plus_s(10)), ..key() };
    assert_eq!(liveness(&bearer, NOW.plus_s(9)), Decision::Allowed);
    assert_eq!(liveness(&bearer, NOW.plus_s(10)), Decision::TokenExpired);
}

#[test]
fn a_session_without_use_runs_out_and_its_last_use_counts() {
    let idle = Bearer { max_idle_s: Some(60), kind: TokenKind::Session, ..key() };
    assert_eq!(liveness(&idle, NOW.plus_s(59)), Decision::Allowed);
    assert_eq!(liveness(&idle, NOW.plus_s(60)), Decision::TokenExpired);
    // A use is kept as the beginning of its minute: this one may have been 89 seconds after the issue.
    let used = Bearer { last_used_at: Some(NOW.plus_s(30)), ..idle };
    assert_eq!(liveness(&used, NOW.plus_s(149)), Decision::Allowed);
    assert_eq!(liveness(&used, NOW.plus_s(150)), Decision::TokenExpired);
}

#[test]
fn a_note_of_use_from_before_the_issue_does_not_shorten_a_session() {
    let bearer = Bearer { max_idle_s: Some(60), last_used_at: Some(NOW.plus_s(-600)), ..key() };
    assert_eq!(liveness(&bearer, NOW.plus_s(59)), Decision::Allowed);
}

#[test]
fn a_bearer_acts_in_its_environment_only_and_only_while_its_member_has_it() {
    let staging = Bearer { environment: Some(slug("staging")), ..key() };
    assert_eq!(decide(&staging), Decision::OtherEnvironment);
    let mut lost = key();
    lost.member.as_mut().expect("a member").environments = vec![slug("staging")];
    assert_eq!(decide(&lost), Decision::OtherEnvironment);
    assert_eq!(decide(&Bearer { environment: None, ..key() }), Decision::OtherEnvironment);
}

#[test]
fn a_role_without_use_may_not() {
    let mut viewer = key();
    viewer.member.as_mut().expect("a member").permissions = BTreeSet::from([Permission::MembersRead]);
    assert_eq!(decide(&viewer), Decision::NotPermitted);
}

#[test]
fn kinds_that_ask_tell_or_link_never_act() {
    for kind in TokenKind::ALL {
        let acts = match kind {
            TokenKind::Session | TokenKind::MemberKey | TokenKind::AgentKey => Decision::Allowed,
            TokenKind::ServiceKey | TokenKind::ScimToken | TokenKind::Invitation | TokenKind::OwnerLink => {
                Decision::NotPermitted
            }
        };
        assert_eq!(decide(&Bearer { kind, ..key() }), acts, "{kind:?}");
    }
}

#[test]
fn stored_access_is_stale_under_newer_rules_and_from_its_moment_on() {
    assert!(!key().is_stale(NOW));
    let newer = Bearer { rules_number: 4, ..key() };
    assert!(newer.is_stale(NOW));
    let mut bounded = key();
    bounded.member.as_mut().expect("a member").until = Some(NOW.plus_s(5));
    assert!(!bounded.is_stale(NOW.plus_s(4)));
    assert!(bounded.is_stale(NOW.plus_s(5)));
    let mut seen = seen_by(MembershipState::Active);
    assert!(!seen.is_stale(NOW));
    seen.shown_to[0].rules_number = 0;
    assert!(seen.is_stale(NOW), "what is known of whoever was shown it counts too");
    assert!(
        Bearer { kind: TokenKind::ScimToken, ..seen }.is_stale(NOW),
        "a directory's word is believed by it"
    );
}

#[test]
fn every_decision_has_a_code_of_its_own_and_only_one_is_allowed() {
    let codes: BTreeSet<_> = Decision::ALL.iter().map(|d| d.code()).collect();
    assert_eq!(codes.len(), Decision::ALL.len());
    let reasons: BTreeSet<_> = Decision::ALL.iter().map(|d| d.reason()).collect();
    assert_eq!(reasons.len(), Decision::ALL.len());
    assert_eq!(Decision::ALL.iter().filter(|d| d.is_allowed()).count(), 1);
}
