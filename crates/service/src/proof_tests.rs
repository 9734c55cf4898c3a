//! What counts as less, where somebody is proven once more at the end of what they did.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::str::FromStr;

use portcullis_domain::permission::Permission;
use portcullis_domain::role::Rank;
use portcullis_domain::team::TeamRole;
use portcullis_domain::token::TokenKind;

use super::no_less;
use crate::caller::{Caller, Member};

/// The id of that number.
fn id<T: FromStr<Err: Debug>>(prefix: &str, number: u8) -> T {
    format!("{prefix}_{number:032x}").parse().unwrap()
}

fn before() -> Member {
    Member {
        token: id("tok", 1),
        kind: TokenKind::MemberKey,
        expires_at: None,
        confined_to: None,
        organization: id("org", 2),
        membership: id("mem", 3),
        shown_to: vec![],
        came_by: None,
        chosen_from: None,
        believed_up_to: Rank::ROOT,
        role: Some("admin".parse().unwrap()),
        rank: Rank::new(700).unwrap(),
        permissions: Permission::ALL.iter().copied().take(3).collect(),
        teams: vec![("ops".parse().unwrap(), TeamRole::Member)],
    }
}

fn is_no_less(change: impl FnOnce(&mut Member)) -> bool {
    let mut now = before();
    change(&mut now);
    no_less(&Caller::Member(before()), &Caller::Member(now))
}

#[test]
fn who_may_as_much_or_more_may_go_on() {
    assert!(is_no_less(|_| {}));
    assert!(is_no_less(|now| now.rank = Rank::new(900).unwrap()));
    assert!(is_no_less(|now| now.permissions.extend(Permission::ALL)));
    assert!(is_no_less(|now| now.teams.push(("dev".parse().unwrap(), TeamRole::Admin))));
    assert!(no_less(&Caller::Root, &Caller::Root));
}

#[test]
fn who_is_another_or_may_less_in_any_one_thing_may_not() {
    assert!(!is_no_less(|now| now.token = id("tok", 9)));
    assert!(!is_no_less(|now| now.membership = id("mem", 9)));
    assert!(!is_no_less(|now| now.rank = Rank::new(699).unwrap()));
    assert!(!is_no_less(|now| now.permissions = BTreeSet::new()));
    assert!(!is_no_less(|now| now.permissions = before().permissions.into_iter().skip(1).collect()));
    assert!(!is_no_less(|now| now.teams.clear()));
    assert!(!is_no_less(|now| now.teams = vec![("ops".parse().unwrap(), TeamRole::Admin)]));
    assert!(!no_less(&Caller::Member(before()), &Caller::Root), "not even the root token in its place");
    assert!(!no_less(&Caller::Root, &Caller::Member(before())));
}
