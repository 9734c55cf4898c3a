//! What the trace of a refusal says: every one of them what would have passed, what came, and what to do.

use portcullis_domain::Timestamp;
use portcullis_domain::id::MembershipId;
use portcullis_domain::role::Rank;
use portcullis_domain::tombstone::Identifier;
use portcullis_service::claims::{GroupsSaid, SubjectStays};
use portcullis_service::refusal::{BrokenRule, SignInRefusal};
use portcullis_service::sign_in::compared::{Compared, Known, compared};
use serde_json::json;

use crate::recognizing::{IDP, acme, ada, connection, found};

/// The one after it; a new one does not compile before it has a place.
fn after(refusal: &SignInRefusal) -> Option<SignInRefusal> {
    use SignInRefusal as R;
    Some(match refusal {
        R::Protocol(_) => R::Unreachable { code: "provider_status", message: "status 500".to_owned() },
        R::Unreachable { .. } => R::State,
        R::State => R::TooLate,
        R::TooLate => R::Replayed,
        R::Replayed => R::SessionOver,
        R::SessionOver => R::ConnectionChanged,
        R::ConnectionChanged => R::EmailMissing,
        R::EmailMissing => R::EmailUntrusted,
        R::EmailUntrusted => R::DomainNotProven,
        R::DomainNotProven => R::Guest,
        R::Guest => R::HostedDomainMissing,
        R::HostedDomainMissing => R::HostedDomainNotProven,
        R::HostedDomainNotProven => R::AddressRecycled,
        R::AddressRecycled => R::NotInDirectory,
        R::NotInDirectory => R::InvitationOver,
        R::InvitationOver => R::NotInvited,
        R::NotInvited => R::Ambiguous,
        R::Ambiguous => R::OwnSessionOnly,
        R::OwnSessionOnly => R::PasswordSeenBelow,
        R::PasswordSeenBelow => R::Unconfirmed,
        R::Unconfirmed => R::Tombstoned,
        R::Tombstoned => R::AddressMoved,
        R::AddressMoved => R::MemberInactive,
        R::MemberInactive => R::NoRoleMapped,
        R::NoRoleMapped => R::GroupsOverage,
        R::GroupsOverage => R::OtherEnvironment,
        R::OtherEnvironment => R::SubjectTaken,
        R::SubjectTaken => R::LinkingSessionOver,
        R::LinkingSessionOver => R::WrongPassword,
        R::WrongPassword => R::ChoiceInvalid,
        R::ChoiceInvalid => return None,
    })
}

fn all() -> Vec<SignInRefusal> {
    let first = SignInRefusal::Protocol(Box::new(BrokenRule {
        code: "audience_mismatch",
        section: "OpenID Connect Core §3.1.3.7",
        advice: "register the client id",
        expected: Some("the client id".to_owned()),
        received: Some("the id of another client".to_owned()),
    }));
    std::iter::successors(Some(first), after).collect()
}

#[tokio::test]
async fn every_refusal_says_what_was_expected_what_came_and_what_to_do() {
    let bench = acme().await;
    let of = found(&bench, connection(&bench, IDP, json!({})).await);
    let mut arrival = ada(of.clone());
    arrival.said.hosted_domain = Some("other.test".to_owned());
    arrival.said.home = Some("live.com".to_owned());
    arrival.said.external_ids = vec!["oid-1".to_owned()];
    arrival.said.groups = GroupsSaid::These(["Sales".to_owned()].into());
    arrival.said.stays = SubjectStays::Perhaps { address: Some("ada@elsewhere.test".to_owned()) };
    let left: MembershipId = "mem_00000000000000000000000000000001".parse().unwrap();
    let known = Known {
        proven: vec!["acme.test".to_owned()],
        left: Some((Identifier::user_name("jdoe"), left)),
        member: None,
        subjects: vec!["https://idp.acme.test before".to_owned()],
    };
    for refusal in all() {
        assert!(refusal.advice().len() > 8, "{refusal:?}");
        for about in [None, Some((&arrival, &known))] {
            let Compared { expected, received } = compared(&refusal, &of, about);
            let said = [expected.unwrap(), received.unwrap()];
            assert!(said.iter().all(|one| !one.is_empty()) && said[0] != said[1], "{refusal:?}: {said:?}");
        }
    }
    for (refusal, expected, received) in [
        (SignInRefusal::EmailUntrusted, "email_verified", "ada@acme.test"),
        (SignInRefusal::DomainNotProven, "`acme.test`", "`elsewhere.test`, `acme.test`"),
        (SignInRefusal::HostedDomainNotProven, "`acme.test`", "other.test"),
        (SignInRefusal::Guest, "tenant", "live.com"),
        (SignInRefusal::AddressRecycled, "before", "ada@acme.test"),
        (SignInRefusal::NotInDirectory, "directory", "`oid-1`"),
        (SignInRefusal::Tombstoned, "who left", "the user name `jdoe` of `mem_0"),
        (SignInRefusal::NoRoleMapped, "mapping", "`Sales`"),
        (SignInRefusal::OtherEnvironment, "`production`", "none"),
        (SignInRefusal::ConnectionChanged, "began", IDP),
    ] {
        let said = compared(&refusal, &of, Some((&arrival, &known)));
        let (wanted, came) = (said.expected.unwrap(), said.received.unwrap());
        assert!(wanted.contains(expected) && came.contains(received), "{refusal:?}: {wanted} | {came}");
    }
    let since = Timestamp::from_seconds(1_800_000_000);
    let waits = of.chosen_by(Rank::new(750).unwrap(), since).chosen_by(Rank::OWNER, since.plus_s(86_400));
    let said = compared(&SignInRefusal::Unconfirmed, &waits, None).received.unwrap();
    assert!(said.contains("2027-01-15") && said.contains("the rank 750"), "{said}");
}
