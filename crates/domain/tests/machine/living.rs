//! Who lives, by whom, and for how long.

use portcullis_domain::access::{
    By, DirectoryFacts, EndedBecause, Given, Held, PersonFacts, Statement, Verdict, is_let_go, judge, resolve,
};
use portcullis_domain::directory::DirectoryKind;
use portcullis_domain::membership::MembershipState::{Active, Deprovisioned, Invited, Suspended};
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::Slug;

use crate::fixture::{NOW, directory, enters, grants, mapped, maps, nobody, role, says, slug, stored, teams};

#[test]
fn somebody_of_whom_nothing_is_known_waits_for_the_invitation() {
    assert_eq!(resolve(&nobody(), NOW).access.state, Invited);
}

#[test]
fn whoever_joined_lives_while_no_directory_governs() {
    let facts = PersonFacts { joined_at: Some(NOW), ..nobody() };
    let resolved = resolve(&facts, NOW);
    assert_eq!(resolved.access.state, Active);
    assert_eq!(resolved.governed_by, None);
    assert_eq!(resolved.access.environments, [Slug::production()], "everybody who lives has production");
}

#[test]
fn a_person_in_no_mapped_group_waits_and_nothing_ends() {
    let facts = PersonFacts { directories: vec![says(1, Statement::Active)], ..nobody() };
    let resolved = resolve(&facts, NOW);
    assert_eq!((resolved.access.state, resolved.ended, resolved.governed_by), (Suspended, None, None));
    assert_eq!(resolved.access.until, None, "nothing runs out for somebody who never had it");
}

#[test]
fn a_mapping_gives_life_and_the_directory_governs_from_then_on() {
    let resolved = resolve(&mapped(), NOW);
    assert_eq!(resolved.access.state, Active);
    assert_eq!(resolved.access.role, Some(slug("member")));
    assert_eq!(resolved.governed_by, Some(directory(1)));
}

#[test]
fn a_team_or_an_environment_gives_life_like_a_role() {
    for only in [teams(1, 1, "core", TeamRole::Member), enters(1, 1, "staging")] {
        let resolved = resolve(&PersonFacts { matched: vec![only], ..mapped() }, NOW);
        assert_eq!((resolved.access.state, resolved.access.role), (Active, None));
    }
}

#[test]
fn a_default_role_gives_life_to_people_in_no_group_and_nothing_to_those_in_one() {
    let mut facts = mapped();
    facts.directories[0].default_role = Some(role("admin"));
    assert_eq!(resolve(&facts, NOW).access.role, Some(slug("member")));
    facts.matched.clear();
    let resolved = resolve(&facts, NOW);
    assert_eq!((resolved.access.state, resolved.access.role), (Active, Some(slug("admin"))));
    assert_eq!(resolved.access.reasons[0].by, By::Default);
}

#[test]
fn an_explicit_only_default_role_gives_neither_role_nor_life() {
    let mut facts = PersonFacts { matched: vec![], ..mapped() };
    facts.directories[0].default_role = Some(role("owner"));
    let resolved = resolve(&facts, NOW);
    assert_eq!((resolved.access.state, resolved.access.role), (Suspended, None));
}

#[test]
fn losing_the_last_group_suspends_at_once_and_ends_after_the_settling_time() {
    let governed = PersonFacts { governed_by: Some(directory(1)), matched: vec![], ..mapped() };
    let lost = resolve(&governed, NOW);
    assert_eq!((lost.access.state, lost.unmapped_at), (Suspended, Some(NOW)));
    assert_eq!(lost.access.until, Some(NOW.plus_s(3600)));
    let later = PersonFacts { unmapped_at: lost.unmapped_at, ..governed };
    assert_eq!(resolve(&later, NOW.plus_s(3599)).access.state, Suspended);
    let ended = resolve(&later, NOW.plus_s(3600));
    assert_eq!((ended.access.state, ended.ended), (Deprovisioned, Some(EndedBecause::Unmapped)));
}

#[test]
fn a_directory_that_does_not_wait_ends_at_once() {
    let mut facts = PersonFacts { governed_by: Some(directory(1)), matched: vec![], ..mapped() };
    facts.directories[0].settle_s = 0;
    assert_eq!(resolve(&facts, NOW).ended, Some(EndedBecause::Unmapped));
}

#[test]
fn coming_back_within_the_settling_time_forgets_the_loss() {
    let facts = PersonFacts { governed_by: Some(directory(1)), unmapped_at: Some(NOW), ..mapped() };
    let resolved = resolve(&facts, NOW.plus_s(1800));
    assert_eq!((resolved.access.state, resolved.unmapped_at), (Active, None));
}

#[test]
fn inactive_ends_whatever_else_is_said() {
    let mut facts = PersonFacts { joined_at: Some(NOW), grants: vec![grants(1, "owner")], ..mapped() };
    facts.directories[0].statement = Statement::Inactive { since: NOW };
    let resolved = resolve(&facts, NOW);
    assert_eq!((resolved.access.state, resolved.ended), (Deprovisioned, Some(EndedBecause::Inactive)));
    assert_eq!(resolved.access.role, None);
}

#[test]
fn what_a_backup_says_waits_for_the_directory_and_ends_nobody_meanwhile() {
    let governed = PersonFacts { governed_by: Some(directory(1)), ..mapped() };
    let mut waiting = governed.clone();
    waiting.directories[0].statement = Statement::Unconfirmed;
    let resolved = resolve(&waiting, NOW);
    assert_eq!((resolved.access.state, resolved.ended), (Suspended, None));
    assert_eq!((resolved.access.role, resolved.access.until), (None, None));
    assert_eq!(resolved.governed_by, Some(directory(1)));
    // Neither a life of their own nor a grant lets somebody in whom a directory governs.
    let own = PersonFacts { joined_at: Some(NOW), grants: vec![grants(1, "admin")], ..waiting.clone() };
    assert_eq!(resolve(&own, NOW).access.state, Suspended);
    // In no group any more, whatever the settling time: that is said of a life which nobody has confirmed.
    let unmapped = PersonFacts { matched: vec![], ..waiting.clone() };
    assert_eq!(resolve(&unmapped, NOW.plus_s(1_000_000)).ended, None);
    for because in EndedBecause::ALL {
        let ended = PersonFacts { ended: Some((NOW, because)), ..waiting.clone() };
        assert_eq!(resolve(&ended, NOW).ended, Some(because), "{because:?}");
    }
    // A directory that does not govern and has not spoken gives no life.
    let invited = PersonFacts { governed_by: None, ..waiting };
    assert_eq!((resolve(&invited, NOW).access.state, resolve(&invited, NOW).governed_by), (Suspended, None));
    assert_eq!(resolve(&governed, NOW).access.state, Active);
}

#[test]
fn matching_an_existing_member_takes_nothing() {
    let facts = PersonFacts {
        joined_at: Some(NOW),
        directories: vec![says(1, Statement::Active)],
        grants: vec![grants(1, "admin")],
        ..nobody()
    };
    let resolved = resolve(&facts, NOW);
    assert_eq!((resolved.access.state, resolved.governed_by), (Active, None));
    assert_eq!(resolved.access.role, Some(slug("admin")));
}

#[test]
fn a_second_directory_does_not_take_the_government_over() {
    let facts = PersonFacts {
        governed_by: Some(directory(2)),
        directories: vec![says(1, Statement::Inactive { since: NOW }), says(2, Statement::Active)],
        matched: vec![maps(1, 2, "member")],
        ..nobody()
    };
    let resolved = resolve(&facts, NOW);
    assert_eq!((resolved.access.state, resolved.governed_by), (Active, Some(directory(2))));
}

#[test]
fn a_directory_that_a_provider_fills_governs_before_claims_and_the_older_before_the_newer() {
    let mut facts = PersonFacts {
        directories: vec![says(1, Statement::Active), says(2, Statement::Active), says(3, Statement::Active)],
        matched: vec![maps(1, 1, "member"), maps(2, 2, "member"), maps(3, 3, "member")],
        ..nobody()
    };
    assert_eq!(resolve(&facts, NOW).governed_by, Some(directory(1)));
    facts.directories[0].kind = DirectoryKind::Claims;
    assert_eq!(resolve(&facts, NOW).governed_by, Some(directory(2)));
}

#[test]
fn claims_govern_only_people_whom_they_brought() {
    let mut facts = PersonFacts { joined_at: Some(NOW), ..mapped() };
    facts.directories[0].kind = DirectoryKind::Claims;
    assert_eq!(resolve(&facts, NOW).governed_by, None);
    facts.joined_at = None;
    assert_eq!(resolve(&facts, NOW).governed_by, Some(directory(1)));
}

/// Somebody whom claims brought and govern, and of whom a provider's directory tells.
fn brought(by_provider: DirectoryFacts) -> PersonFacts {
    let claims = DirectoryFacts {
        kind: DirectoryKind::Claims,
        default_role: Some(role("member")),
        ..says(1, Statement::Active)
    };
    PersonFacts { governed_by: Some(directory(1)), directories: vec![claims, by_provider], ..nobody() }
}

#[test]
fn a_providers_directory_takes_over_whom_claims_brought_when_it_gives_life_or_says_inactive() {
    for kind in DirectoryKind::ALL.into_iter().filter(|kind| kind.tells_of_everybody()) {
        let told = DirectoryFacts { kind, ..says(2, Statement::Active) };
        let silent = brought(told.clone());
        assert_eq!(
            resolve(&silent, NOW).governed_by,
            Some(directory(1)),
            "{kind:?}: being told of is no word"
        );
        assert_eq!(resolve(&silent, NOW).access.state, Active);
        let mapped = PersonFacts { matched: vec![maps(1, 2, "viewer")], ..silent.clone() };
        let default = brought(DirectoryFacts { default_role: Some(role("viewer")), ..told.clone() });
        for gives in [mapped, default] {
            let resolved = resolve(&gives, NOW);
            assert_eq!(
                (resolved.access.state, resolved.governed_by),
                (Active, Some(directory(2))),
                "{kind:?}"
            );
            assert_eq!(resolved.access.role, Some(slug("viewer")), "claims give nothing beside it");
        }
        let inactive =
            brought(DirectoryFacts { statement: Statement::Inactive { since: NOW }, ..told.clone() });
        let resolved = resolve(&inactive, NOW);
        assert_eq!(
            (resolved.ended, resolved.governed_by),
            (Some(EndedBecause::Inactive), Some(directory(2)))
        );
        let unconfirmed = PersonFacts {
            matched: vec![maps(1, 2, "viewer")],
            ..brought(DirectoryFacts { statement: Statement::Unconfirmed, ..told })
        };
        assert_eq!(resolve(&unconfirmed, NOW).governed_by, Some(directory(1)), "a backup says nothing");
    }
}

#[test]
fn a_directory_that_deletes_whom_claims_brought_ends_them_and_takes_nobody_from_another() {
    let mut facts = brought(says(2, Statement::Active));
    facts.directories.pop();
    facts.deleted_by(directory(2));
    assert_eq!(resolve(&facts, NOW).ended, Some(EndedBecause::Deleted));
    let mut others = PersonFacts { governed_by: Some(directory(1)), ..mapped() };
    others.deleted_by(directory(2));
    assert_eq!((others.governed_by, resolve(&others, NOW).ended), (Some(directory(1)), None));
    let mut nobodys = PersonFacts { joined_at: Some(NOW), ..nobody() };
    nobodys.deleted_by(directory(2));
    assert_eq!(resolve(&nobodys, NOW).ended, Some(EndedBecause::Deleted));
    let mut gone = PersonFacts { governed_by: Some(directory(1)), ..nobody() };
    gone.deleted_by(directory(2));
    assert_eq!(gone.governed_by, Some(directory(1)), "who deleted them first governs them");
}

#[test]
fn claims_give_nothing_to_whom_a_providers_directory_governs() {
    let mut facts = brought(says(2, Statement::Active));
    facts.governed_by = Some(directory(2));
    facts.matched = vec![
        maps(1, 1, "admin"),
        teams(2, 1, "core", TeamRole::Admin),
        enters(3, 1, "staging"),
        maps(4, 2, "viewer"),
    ];
    let access = resolve(&facts, NOW).access;
    assert_eq!((access.role, access.teams), (Some(slug("viewer")), vec![]));
    assert_eq!(access.environments, [Slug::production()]);
    assert!(
        access.reasons.iter().all(|reason| reason.directory != Some(directory(1))),
        "{:?}",
        access.reasons
    );
    // Losing what the directory gives is losing life, whatever the claims say.
    facts.matched.truncate(3);
    assert_eq!(resolve(&facts, NOW).access.state, Suspended);
    // Whom it merely tells of has what claims give.
    let told = PersonFacts { governed_by: None, joined_at: Some(NOW), ..facts };
    assert_eq!(resolve(&told, NOW).access.role, Some(slug("admin")));
}

#[test]
fn claims_that_nobody_reads_any_more_give_nothing_but_to_whom_they_govern() {
    let unheard = DirectoryFacts {
        kind: DirectoryKind::Claims,
        default_role: Some(role("viewer")),
        ..says(1, Statement::Unheard)
    };
    let theirs = PersonFacts { directories: vec![unheard], ..mapped() };
    let resolved = resolve(&theirs, NOW);
    assert_eq!((resolved.access.state, resolved.access.role), (Active, Some(slug("member"))));
    assert_eq!(resolved.governed_by, Some(directory(1)), "nobody has said that they leave");
    for matched in [vec![maps(1, 1, "member")], vec![]] {
        let own = PersonFacts { joined_at: Some(NOW), matched, ..theirs.clone() };
        let resolved = resolve(&own, NOW);
        assert_eq!((resolved.access.state, resolved.access.role), (Active, None), "a life of their own");
    }
}

#[test]
fn every_directory_but_claims_governs_people_who_were_there_before() {
    for kind in DirectoryKind::ALL {
        let mut facts = PersonFacts { joined_at: Some(NOW), ..mapped() };
        facts.directories[0].kind = kind;
        let governor = (kind != DirectoryKind::Claims).then(|| directory(1));
        assert_eq!(resolve(&facts, NOW).governed_by, governor, "{kind:?}");
    }
}

#[test]
fn a_governing_directory_that_knows_the_person_no_longer_has_deleted_them() {
    let facts = PersonFacts { governed_by: Some(directory(1)), joined_at: Some(NOW), ..nobody() };
    assert_eq!(resolve(&facts, NOW).ended, Some(EndedBecause::Deleted));
}

#[test]
fn a_grant_gives_a_role_and_never_life() {
    for facts in [nobody(), PersonFacts { directories: vec![says(1, Statement::Active)], ..nobody() }] {
        let granted = PersonFacts { grants: vec![grants(1, "owner")], ..facts.clone() };
        assert_eq!(resolve(&granted, NOW).access.state, resolve(&facts, NOW).access.state);
    }
}

#[test]
fn an_administrator_suspends_without_an_end() {
    let facts = PersonFacts { suspended_at: Some(NOW), ..mapped() };
    let resolved = resolve(&facts, NOW.plus_s(1_000_000));
    assert_eq!((resolved.access.state, resolved.ended), (Suspended, None));
    assert_eq!(resolved.access.role, Some(slug("member")), "what they would have is still known");
}

#[test]
fn the_highest_mapped_role_wins_and_an_explicit_only_one_is_not_given() {
    let matched = ["viewer", "admin", "owner", "break-glass", "member"];
    let matched = matched.iter().enumerate().map(|(n, r)| maps(n, 1, r)).collect();
    let resolved = resolve(&PersonFacts { matched, ..mapped() }, NOW);
    assert_eq!(resolved.access.role, Some(slug("admin")));
}

#[test]
fn the_stronger_team_role_wins_and_environments_are_added_up() {
    let matched = vec![
        teams(1, 1, "core", TeamRole::Member),
        teams(2, 1, "core", TeamRole::Admin),
        teams(3, 1, "edge", TeamRole::Member),
        enters(4, 1, "staging"),
        enters(5, 1, "production"),
        enters(6, 1, "staging"),
    ];
    let access = resolve(&PersonFacts { matched, ..mapped() }, NOW).access;
    assert_eq!(access.teams, [(slug("core"), TeamRole::Admin), (slug("edge"), TeamRole::Member)]);
    assert_eq!(access.environments, [slug("production"), slug("staging")]);
    let two = access.reasons.iter().filter(|r| r.gives == Given::Environment(slug("staging"))).count();
    assert_eq!(two, 2, "each mapping that gives it is a reason");
}

#[test]
fn groups_of_a_directory_that_says_inactive_give_nothing() {
    let facts = PersonFacts {
        governed_by: Some(directory(1)),
        directories: vec![says(1, Statement::Active), says(2, Statement::Inactive { since: NOW })],
        matched: vec![maps(1, 1, "viewer"), maps(2, 2, "admin")],
        ..nobody()
    };
    assert_eq!(resolve(&facts, NOW).access.role, Some(slug("viewer")));
}

#[test]
fn a_deleted_membership_never_lives_again() {
    let facts = PersonFacts {
        ended: Some((NOW, EndedBecause::Deleted)),
        joined_at: Some(NOW),
        governed_by: Some(directory(1)),
        ..mapped()
    };
    assert_eq!(resolve(&facts, NOW).ended, Some(EndedBecause::Deleted));
}

#[test]
fn an_off_boarding_by_hand_stands_until_the_directory_says_inactive_and_then_active() {
    let by_hand = PersonFacts {
        ended: Some((NOW, EndedBecause::Administrator)),
        governed_by: Some(directory(1)),
        ..mapped()
    };
    assert_eq!(resolve(&by_hand, NOW).ended, Some(EndedBecause::Administrator), "still active: nothing new");
    let mut inactive = by_hand.clone();
    inactive.directories[0].statement = Statement::Inactive { since: NOW };
    let said = "said before, and held by the brake until then: no answer to the off-boarding";
    assert_eq!(resolve(&inactive, NOW).ended, Some(EndedBecause::Administrator), "{said}");
    inactive.directories[0].statement = Statement::Inactive { since: NOW.plus_s(1) };
    assert_eq!(resolve(&inactive, NOW.plus_s(1)).ended, Some(EndedBecause::Inactive));
    let again = PersonFacts { ended: Some((NOW, EndedBecause::Inactive)), ..by_hand };
    assert_eq!(resolve(&again, NOW).ended, None);
}

#[test]
fn an_unmapped_leaver_lives_again_when_a_mapping_matches_again() {
    let facts = PersonFacts {
        ended: Some((NOW, EndedBecause::Unmapped)),
        governed_by: Some(directory(1)),
        ..mapped()
    };
    let membership = stored(&facts, NOW);
    assert!(matches!(judge(&membership, &facts, 1, NOW), Verdict::Revived(_)));
    let without = PersonFacts { matched: vec![], ..facts };
    assert_eq!(resolve(&without, NOW).ended, Some(EndedBecause::Unmapped));
}

#[test]
fn an_ended_membership_keeps_only_the_bare_ownership_that_was_granted() {
    let facts = PersonFacts {
        ended: Some((NOW, EndedBecause::Administrator)),
        grants: vec![grants(1, "owner")],
        ..mapped()
    };
    let access = resolve(&facts, NOW).access;
    assert_eq!((access.state, access.role), (Deprovisioned, Some(slug("owner"))));
    assert!(access.teams.is_empty() && access.environments.is_empty() && access.reasons.is_empty());
}

#[test]
fn whoever_lives_again_has_what_automation_gives_and_not_the_ownership_that_their_end_left() {
    let ended = PersonFacts {
        ended: Some((NOW, EndedBecause::Inactive)),
        governed_by: Some(directory(1)),
        grants: vec![grants(1, "owner")],
        ..mapped()
    };
    let back = resolve(&ended, NOW);
    assert_eq!((back.access.state, back.access.role), (Active, Some(slug("member"))));
    assert!(back.access.reasons.iter().all(|reason| reason.by != By::Grant), "{:?}", back.access.reasons);
    let given_since = PersonFacts { ended: None, ..ended };
    assert_eq!(resolve(&given_since, NOW).access.role, Some(slug("owner")));
}

#[test]
fn claims_bring_nobody_back_and_a_directory_that_tells_of_everybody_does() {
    for because in [EndedBecause::Unmapped, EndedBecause::Inactive] {
        let mut facts =
            PersonFacts { ended: Some((NOW, because)), governed_by: Some(directory(1)), ..mapped() };
        facts.directories[0].kind = DirectoryKind::Claims;
        assert_eq!(resolve(&facts, NOW).ended, Some(because));
        facts.directories[0].kind = DirectoryKind::Google;
        assert_eq!(resolve(&facts, NOW).ended, None);
    }
}

#[test]
fn nothing_is_written_where_nothing_changed() {
    let facts = PersonFacts { governed_by: Some(directory(1)), ..mapped() };
    let membership = stored(&facts, NOW);
    assert_eq!(judge(&membership, &facts, 1, NOW.plus_s(1)), Verdict::Unchanged);
    assert!(matches!(judge(&membership, &facts, 2, NOW), Verdict::Changed(_)), "other rules are noted");
    let mut inactive = facts.clone();
    inactive.directories[0].statement = Statement::Inactive { since: NOW };
    assert!(matches!(judge(&membership, &inactive, 1, NOW), Verdict::OffBoard(_, EndedBecause::Inactive)));
    let ended = PersonFacts { ended: Some((NOW, EndedBecause::Inactive)), ..inactive };
    let membership = stored(&ended, NOW);
    assert_eq!(judge(&membership, &ended, 1, NOW), Verdict::Unchanged, "an end is written once");
}

#[test]
fn another_reason_for_an_end_is_written_and_ends_nothing_twice() {
    let by_hand = PersonFacts {
        ended: Some((NOW, EndedBecause::Administrator)),
        governed_by: Some(directory(1)),
        ..mapped()
    };
    let membership = stored(&by_hand, NOW);
    let mut inactive = by_hand;
    inactive.directories[0].statement = Statement::Inactive { since: NOW.plus_s(1) };
    assert_eq!(resolve(&inactive, NOW).access, membership.access, "nothing but the reason differs");
    assert!(matches!(judge(&membership, &inactive, 1, NOW), Verdict::Changed(_)));
}

#[test]
fn whatever_is_remembered_is_written_when_it_alone_has_changed() {
    let facts = PersonFacts { governed_by: Some(directory(1)), ..mapped() };
    let membership = stored(&facts, NOW);
    let mut others = [membership.clone(), membership.clone(), membership.clone()];
    others[0].access.environments.clear();
    others[1].governed_by = None;
    others[2].unmapped_at = Some(NOW);
    for other in others {
        assert!(matches!(judge(&other, &facts, 1, NOW), Verdict::Changed(_)), "{other:?}");
    }
    assert_eq!(judge(&membership, &facts, 1, NOW), Verdict::Unchanged);
}

#[test]
fn a_held_end_is_let_go_when_the_directory_says_otherwise_and_not_while_it_says_nothing() {
    let there = PersonFacts { held: Held::Ending, governed_by: Some(directory(1)), ..mapped() };
    assert!(is_let_go(&there, NOW), "active, and in a group that gives something");
    let says = |statement| DirectoryFacts { statement, ..says(1, Statement::Active) };
    let inactive = vec![says(Statement::Inactive { since: NOW })];
    assert!(!is_let_go(&PersonFacts { directories: inactive, ..there.clone() }, NOW), "it says so still");
    let unconfirmed = vec![says(Statement::Unconfirmed)];
    assert!(!is_let_go(&PersonFacts { directories: unconfirmed, ..there.clone() }, NOW), "a restore said it");
    assert!(!is_let_go(&PersonFacts { held: Held::No, ..there }, NOW), "nothing is held");
}
