//! What holds for any facts.

use std::collections::BTreeSet;

use portcullis_domain::Timestamp;
use portcullis_domain::access::{
    Access, DirectoryFacts, EndedBecause, Held, Matched, PersonFacts, Statement, Verdict, judge, resolve,
};
use portcullis_domain::agent::{AgentState, OwnerLossRule};
use portcullis_domain::audit::{commitment, genesis, link};
use portcullis_domain::directory::DirectoryKind;
use portcullis_domain::evaluation::liveness;
use portcullis_domain::membership::MembershipState;
use portcullis_domain::offboarding::{Leaver, NextOwner, Ownership};
use portcullis_domain::role::{Giving, Rank};
use portcullis_domain::team::TeamRole;
use portcullis_domain::tombstone::Identifier;
use proptest::prelude::*;

use crate::evaluating::seen_by;
use crate::fixture::{
    NOW, directory, grants, leaver, left_behind, maps, member, off_boarded, organization, role, slug, stored,
};
use crate::leaving::ends_everything;

const ROLES: [&str; 5] = ["owner", "break-glass", "admin", "member", "viewer"];

fn instant() -> impl Strategy<Value = Timestamp> {
    (-7200_i64..7200).prop_map(|seconds| NOW.plus_s(seconds))
}

fn some_directory(number: usize) -> impl Strategy<Value = DirectoryFacts> {
    let default = prop::option::of(prop::sample::select(ROLES.to_vec()));
    (any::<bool>(), prop::bool::weighted(0.8), default, 0_i64..4000).prop_map(
        move |(scim, active, default, settle_s)| DirectoryFacts {
            directory: directory(number),
            kind: if scim { DirectoryKind::Scim } else { DirectoryKind::Claims },
            statement: if active { Statement::Active } else { Statement::Inactive { since: NOW } },
            default_role: default.map(role),
            settle_s,
        },
    )
}

fn some_mapping() -> impl Strategy<Value = Matched> {
    let gives = (
        prop::option::of(prop::sample::select(ROLES.to_vec())),
        prop::option::of((prop::sample::select(vec!["core", "edge"]), any::<bool>())),
        prop::option::of(prop::sample::select(vec!["production", "staging"])),
    );
    (0_usize..40, 1_usize..4, gives).prop_map(|(number, of, (gives, team, environment))| Matched {
        role: gives.map(role),
        team: team.map(|(t, admin)| (slug(t), if admin { TeamRole::Admin } else { TeamRole::Member })),
        environment: environment.map(slug),
        ..maps(number, of, "member")
    })
}

fn facts() -> impl Strategy<Value = PersonFacts> {
    let told = (
        prop::option::of(some_directory(1)),
        prop::option::of(some_directory(2)),
        prop::option::of(some_directory(3)),
    );
    let granted = prop::collection::vec((0_usize..20, prop::sample::select(ROLES.to_vec())), 0..4);
    let past = (
        prop::option::of(instant()),
        prop::option::of(1_usize..4),
        prop::option::of(instant()),
        prop::option::of(instant()),
        prop::option::weighted(0.2, (instant(), prop::sample::select(EndedBecause::ALL.to_vec()))),
    );
    let held = prop::sample::select(vec![Held::No, Held::Ending]);
    (told, prop::collection::vec(some_mapping(), 0..6), granted, past, held).prop_map(
        |((a, b, c), matched, granted, (joined_at, governed_by, suspended_at, unmapped_at, ended), held)| {
            PersonFacts {
                joined_at,
                governed_by: governed_by.map(directory),
                suspended_at,
                unmapped_at,
                ended,
                directories: [a, b, c].into_iter().flatten().collect(),
                matched,
                grants: granted.into_iter().map(|(n, r)| grants(n, r)).collect(),
                held,
            }
        },
    )
}

fn some_leaver() -> impl Strategy<Value = Leaver> {
    let agents = prop::collection::vec(
        (
            prop::sample::select(OwnerLossRule::ALL.to_vec()),
            prop::sample::select(vec![AgentState::Active, AgentState::Paused, AgentState::Orphaned]),
            any::<(bool, bool)>(),
            0_i64..3,
        ),
        0..5,
    );
    let ownership = prop::sample::select(vec![Ownership::NotOwner, Ownership::Shared, Ownership::Last]);
    let names = prop::collection::vec("[a-z]{1,8}", 0..5);
    (agents, ownership, names, any::<bool>()).prop_map(|(agents, ownership, names, lives_elsewhere)| Leaver {
        agents: agents
            .into_iter()
            .enumerate()
            .map(|(n, (rule, state, (heir, chooser), others))| {
                let mut left = left_behind(n, rule, state);
                let next = |n| NextOwner { id: member(n), acting_keys: others };
                left.active_heir = heir.then(|| next(2));
                left.active_chooser = chooser.then(|| next(3));
                left
            })
            .collect(),
        ownership,
        email_keys: names.iter().map(|n| format!("{n}@acme.test")).collect(),
        identifiers: names.iter().map(|n| Identifier::user_name(n)).collect(),
        lives_elsewhere,
        ..leaver()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_arrival_does_not_show(
        (facts, directories, matched, granted) in facts().prop_flat_map(|f| (
            Just(f.clone()),
            Just(f.directories).prop_shuffle(),
            Just(f.matched).prop_shuffle(),
            Just(f.grants).prop_shuffle(),
        )),
        now in instant(),
    ) {
        let other = PersonFacts { directories, matched, grants: granted, ..facts.clone() };
        prop_assert_eq!(resolve(&facts, now), resolve(&other, now));
    }

    #[test]
    fn saying_it_twice_changes_nothing(facts in facts(), now in instant()) {
        let mut twice = facts.clone();
        twice.matched.extend(facts.matched.clone());
        twice.grants.extend(facts.grants.clone());
        let (one, two) = (resolve(&facts, now), resolve(&twice, now));
        prop_assert_eq!(one, two);
    }

    #[test]
    fn automation_gives_no_explicit_only_role(facts in facts(), now in instant()) {
        let resolved = resolve(&facts, now);
        if let Some(given) = resolved.access.role {
            let explicit = role(given.as_str()).giving == Giving::ExplicitOnly;
            prop_assert!(!explicit || facts.grants.iter().any(|g| g.role.slug == given), "{given} without a grant");
        }
        let without = resolve(&PersonFacts { grants: vec![], ..facts }, now);
        let given = without.access.role.map(|r| role(r.as_str()).giving);
        prop_assert_ne!(given, Some(Giving::ExplicitOnly));
    }

    #[test]
    fn what_a_moment_says_holds_until_the_moment_it_names(facts in facts(), now in instant(), later in 0_i64..9000) {
        let first = resolve(&facts, now);
        // What was found is remembered, as the road does.
        let kept = PersonFacts { governed_by: first.governed_by, unmapped_at: first.unmapped_at, ..facts };
        let then = now.plus_s(later);
        if first.ended.is_none() && first.access.until.is_none_or(|until| then < until) {
            prop_assert_eq!(resolve(&kept, then), first);
        } else if let Some(until) = first.access.until {
            prop_assert!(until > now, "a moment that has passed is no bound");
            let past = match kept.held {
                Held::No => MembershipState::Deprovisioned,
                Held::Ending => MembershipState::Suspended,
            };
            prop_assert_eq!(resolve(&kept, until).access.state, past);
        }
    }

    #[test]
    fn grants_never_give_life(facts in facts(), now in instant()) {
        let with = resolve(&facts, now);
        let without = resolve(&PersonFacts { grants: vec![], ..facts }, now);
        prop_assert_eq!(with.access.state, without.access.state);
        prop_assert_eq!(with.ended, without.ended);
        prop_assert_eq!(with.governed_by, without.governed_by);
    }

    #[test]
    fn whoever_is_told_to_be_inactive_by_the_governor_never_acts(mut facts in facts(), now in instant()) {
        facts.directories.retain(|d| d.directory != directory(1));
        facts.directories.push(DirectoryFacts {
            directory: directory(1), kind: DirectoryKind::Scim, statement: Statement::Inactive { since: NOW },
            default_role: Some(role("member")), settle_s: 3600,
        });
        facts.governed_by = Some(directory(1));
        facts.held = Held::No;
        let resolved = resolve(&facts, now);
        prop_assert_eq!(resolved.access.state, MembershipState::Deprovisioned);
        prop_assert!(resolved.ended.is_some());
    }

    #[test]
    fn whoever_is_told_to_be_inactive_by_a_provider_never_acts_by_claims(mut facts in facts(), now in instant()) {
        facts.directories.retain(|d| d.directory != directory(1));
        for brought in &mut facts.directories {
            brought.kind = DirectoryKind::Claims;
        }
        facts.directories.push(DirectoryFacts {
            directory: directory(1), kind: DirectoryKind::Scim, statement: Statement::Inactive { since: NOW },
            default_role: Some(role("member")), settle_s: 3600,
        });
        facts.held = Held::No;
        let resolved = resolve(&facts, now);
        prop_assert_eq!(resolved.access.state, MembershipState::Deprovisioned);
        prop_assert!(resolved.ended.is_some());
    }

    #[test]
    fn whoever_is_held_acts_no_more_than_whoever_ended_and_nothing_ends(facts in facts(), now in instant()) {
        let held = resolve(&PersonFacts { held: Held::Ending, ..facts.clone() }, now);
        let free = resolve(&PersonFacts { held: Held::No, ..facts.clone() }, now);
        let by_administrator = facts.ended.is_some() || free.ended == Some(EndedBecause::Administrator);
        match free.ended {
            Some(because) if !by_administrator => {
                prop_assert_eq!(held.access.state, MembershipState::Suspended);
                prop_assert_eq!((held.ended, held.held), (None, Some(because)));
                prop_assert_eq!(held.access.until, None, "only an administrator or the directory ends a hold");
            }
            _ => prop_assert_eq!(held, free, "whoever does not end is not held"),
        }
    }

    #[test]
    fn a_key_of_anothers_agent_acts_only_while_whoever_was_shown_it_could(facts in facts(), now in instant()) {
        for held in [Held::No, Held::Ending] {
            let state = resolve(&PersonFacts { held, ..facts.clone() }, now).access.state;
            let acts = liveness(&seen_by(state), NOW).is_allowed();
            prop_assert_eq!(acts, state == MembershipState::Active);
        }
    }

    #[test]
    fn nobody_acts_by_a_key_above_their_own_rank_whatever_is_known_of_both(
        (holder, saw) in (facts(), facts()), now in instant(),
    ) {
        let mut bearer = seen_by(MembershipState::Active);
        let (holder, saw) = (resolve(&holder, now).access, resolve(&saw, now).access);
        let rank_of = |access: &Access| access.role.as_ref().map_or(Rank::NONE, |slug| role(slug.as_str()).rank);
        let member = bearer.member.as_mut().expect("a member");
        (member.state, member.rank) = (holder.state, rank_of(&holder));
        let shown_to = &mut bearer.shown_to[0];
        (shown_to.state, shown_to.rank) = (saw.state, rank_of(&saw));
        let both = holder.state == MembershipState::Active && saw.state == MembershipState::Active;
        let must = both && rank_of(&holder) <= rank_of(&saw);
        prop_assert_eq!(liveness(&bearer, NOW).is_allowed(), must);
    }

    #[test]
    fn every_thing_that_somebody_alive_has_has_a_reason(facts in facts(), now in instant()) {
        let access = resolve(&facts, now).access;
        let reasons = access.reasons.len();
        prop_assert_eq!(access.reasons.iter().collect::<BTreeSet<_>>().len(), reasons, "none twice");
        if access.state == MembershipState::Active {
            use portcullis_domain::access::Given;
            for environment in &access.environments {
                let given = Given::Environment(environment.clone());
                prop_assert!(access.reasons.iter().any(|r| r.gives == given));
            }
            for (team, team_role) in &access.teams {
                let given = Given::Team(team.clone(), *team_role);
                prop_assert!(access.reasons.iter().any(|r| r.gives == given));
            }
            if let Some(given) = &access.role {
                prop_assert!(access.reasons.iter().any(|r| r.gives == Given::Role(given.clone())));
            }
            prop_assert!(!access.environments.is_empty());
        }
    }

    #[test]
    fn what_is_settled_is_settled(facts in facts(), now in instant()) {
        let membership = stored(&facts, now);
        let kept = PersonFacts {
            governed_by: membership.governed_by, unmapped_at: membership.unmapped_at, ..facts.clone()
        };
        match judge(&membership, &kept, 1, now) {
            Verdict::Unchanged => {}
            Verdict::OffBoard(..) => prop_assert!(facts.ended.is_none()),
            Verdict::Revived(_) => prop_assert!(facts.ended.is_some()),
            Verdict::Changed(resolved) => {
                prop_assert_ne!(resolved.ended, facts.ended.map(|(_, because)| because));
            }
        }
    }

    #[test]
    fn the_end_of_any_membership_ends_everything(leaver in some_leaver()) {
        let plan = off_boarded(&leaver);
        ends_everything(&leaver, &plan);
        // Pure: a transaction that must be tried again has the same plan.
        prop_assert_eq!(off_boarded(&leaver), plan);
    }

    #[test]
    fn any_change_of_a_byte_changes_the_commitment_and_the_link(
        text in "\\PC{0,40}", other in "\\PC{0,40}", number in 1_i64.., salt in any::<[u8; 16]>(),
    ) {
        let said = |t: &str| serde_json::json!({ "detail": t });
        let one = commitment(&salt, &said(&text)).expect("canonical");
        let two = commitment(&salt, &said(&other)).expect("canonical");
        prop_assert_eq!(one == two, text == other);
        let first = genesis(organization());
        prop_assert_eq!(link(&first, number, &one) == link(&first, number, &two), text == other);
        prop_assert_ne!(link(&first, number, &one), link(&first, number.wrapping_add(1), &one));
    }
}
