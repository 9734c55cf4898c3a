//! Ranks, permissions, and what automation may give.

use std::collections::BTreeSet;

use portcullis_domain::Refusal;
use portcullis_domain::permission::Permission;
use portcullis_domain::role::{BuiltInRole, Giving, Rank, check_permissions, may_be_mapped, may_give};

#[test]
fn a_rank_is_a_number_from_1_to_999() {
    for good in [1, 500, 999] {
        assert_eq!(Rank::new(good).map(Rank::number), Ok(good));
    }
    for bad in [i64::MIN, -1, 0, 1000, 65_537, i64::MAX] {
        assert_eq!(Rank::new(bad), Err(Refusal::RankOutOfRange), "{bad}");
    }
}

#[test]
fn nobody_gives_what_is_above_their_own_rank_and_their_own_they_may() {
    let rank = |n| Rank::new(n).expect("a rank");
    assert_eq!(may_give(rank(300), rank(301)), Err(Refusal::AboveOwnRank));
    assert_eq!(may_give(rank(300), rank(300)), Ok(()));
    assert_eq!(may_give(rank(300), rank(1)), Ok(()));
    assert_eq!(may_give(Rank::ROOT, rank(999)), Ok(()), "the root token stands above every role");
    assert_eq!(may_give(Rank::NONE, rank(1)), Err(Refusal::AboveOwnRank));
    assert_eq!(may_give(Rank::NONE, Rank::NONE), Ok(()));
}

#[test]
fn an_explicit_only_role_is_in_no_mapping() {
    assert_eq!(may_be_mapped(Giving::Anyhow), Ok(()));
    assert_eq!(may_be_mapped(Giving::ExplicitOnly), Err(Refusal::RoleIsExplicitOnly));
}

#[test]
fn permissions_over_owners_and_roles_are_in_explicit_only_roles_only() {
    for permission in Permission::ALL {
        let one = BTreeSet::from([permission]);
        let must =
            if permission.is_explicit_only() { Err(Refusal::PermissionIsExplicitOnly) } else { Ok(()) };
        assert_eq!(check_permissions(Giving::Anyhow, &one), must, "{permission}");
        assert_eq!(check_permissions(Giving::ExplicitOnly, &one), Ok(()), "{permission}");
    }
    assert!(Permission::RolesWrite.is_explicit_only(), "whoever writes roles makes owners");
}

#[test]
fn the_built_in_roles_keep_their_own_rules() {
    let mut ranks = BTreeSet::new();
    for built_in in BuiltInRole::ALL {
        let (slug, rank) = (built_in.slug(), built_in.rank());
        assert_eq!(slug.as_str().parse(), Ok(slug.clone()), "a slug as others are");
        assert_eq!(Rank::new(rank.number()), Ok(rank), "a rank as others are");
        assert!(ranks.insert(rank), "two built-in roles of one rank");
        assert_eq!(check_permissions(built_in.giving(), &built_in.permissions()), Ok(()), "{slug}");
    }
    let explicit: Vec<_> =
        BuiltInRole::ALL.into_iter().filter(|r| r.giving() == Giving::ExplicitOnly).collect();
    assert_eq!(explicit, [BuiltInRole::Owner]);
    let [owner, admin, lead, member, viewer] = BuiltInRole::ALL.map(BuiltInRole::permissions);
    assert_eq!(owner.len(), Permission::ALL.len());
    assert!(!viewer.contains(&Permission::Use), "a viewer sees and does not act");
    assert!(viewer.iter().all(|p| p.as_str().ends_with(".read")));
    assert_eq!(lead, member, "a lead's powers are in the teams");
    assert_eq!(member, BTreeSet::from([Permission::Use]));
    let missing: Vec<_> = Permission::ALL.iter().filter(|p| !admin.contains(p)).collect();
    assert!(missing.iter().all(|p| p.is_explicit_only()) && !missing.is_empty());
}

#[test]
fn every_permission_is_found_by_its_text_and_nothing_else_is() {
    for permission in Permission::ALL {
        assert_eq!(permission.as_str().parse(), Ok(permission));
        assert!(!permission.meaning().is_empty());
    }
    for none in ["", "USE", "use ", "members.delete"] {
        assert!(none.parse::<Permission>().is_err(), "{none}");
    }
}

#[test]
fn a_permission_to_see_is_one_that_changes_nothing_and_lets_nobody_act() {
    for (permission, sees) in [
        (Permission::MembersRead, true),
        (Permission::AuditEventsRead, true),
        (Permission::MembersWrite, false),
        (Permission::Use, false),
    ] {
        assert_eq!(permission.only_sees(), sees, "{permission}");
    }
}
