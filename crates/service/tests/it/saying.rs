//! What a directory says of one person: its bounds, the name that is shown, the action that is kept, and which names of the
//! dead it takes.

use std::collections::BTreeSet;

use portcullis_domain::id::{DirectoryUserId, MembershipId};
use portcullis_domain::mapping::{Facet, MAX_FACETS};
use portcullis_domain::text::MAX_IDENTIFIER;
use portcullis_domain::tombstone::Identifier;
use portcullis_service::ServiceError;
use portcullis_service::provisioning::{self, MAX_ATTRIBUTES_BYTES, PersonSaid};
use portcullis_store::audit::AuditFilter;
use portcullis_testkit::Bench;

use crate::thread::{Place, place, say_active, speaker};

fn said(name: &str) -> PersonSaid {
    PersonSaid {
        external_id: Some(format!("ext-{name}")),
        user_name: name.to_owned(),
        display_name: String::new(),
        full_name: String::new(),
        emails: vec![format!("{name}@acme.test")],
        active: Some(true),
        facets: BTreeSet::new(),
        attributes: "{}".to_owned(),
    }
}

fn create(bench: &Bench, place: &Place, said: PersonSaid) -> (DirectoryUserId, MembershipId) {
    let (organization, directory) = (place.organization, place.directory);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        let user = provisioning::create_user(tx, moment, speaker, &said)?;
        Ok((user.id, user.membership))
    })
}

/// Whether that may be said of somebody new; nothing of it is kept.
fn is_taken(bench: &Bench, place: &Place, said: PersonSaid) -> bool {
    let (organization, directory) = (place.organization, place.directory);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        match provisioning::create_user(tx, moment, speaker, &said) {
            Ok(_) => Ok(true),
            Err(ServiceError::Directory(_)) => Ok(false),
            Err(error) => Err(error),
        }
    })
}

fn change(bench: &Bench, place: &Place, user: DirectoryUserId, said: PersonSaid) {
    let (organization, directory) = (place.organization, place.directory);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        provisioning::change_user(tx, moment, speaker, user, |_| Ok(said.clone()))?;
        Ok(())
    });
}

#[tokio::test]
async fn what_is_said_of_a_person_is_bounded_on_both_sides_of_each_bound() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let facets = |count: usize| {
        (0..count).map(|n| Facet::attribute("title", &n.to_string()).unwrap()).collect::<BTreeSet<_>>()
    };
    let long = |bytes: usize| "x".repeat(bytes);
    for (what, within, beyond) in [
        (
            "userName",
            PersonSaid { user_name: long(MAX_IDENTIFIER), ..said("a") },
            PersonSaid { user_name: long(MAX_IDENTIFIER + 1), ..said("b") },
        ),
        (
            "externalId",
            PersonSaid { external_id: Some(long(MAX_IDENTIFIER)), ..said("c") },
            PersonSaid { external_id: Some(long(MAX_IDENTIFIER + 1)), ..said("d") },
        ),
        (
            "attributes",
            PersonSaid { attributes: long(MAX_ATTRIBUTES_BYTES), ..said("e") },
            PersonSaid { attributes: long(MAX_ATTRIBUTES_BYTES + 1), ..said("f") },
        ),
        (
            "facets",
            PersonSaid { facets: facets(MAX_FACETS), ..said("g") },
            PersonSaid { facets: facets(MAX_FACETS + 1), ..said("h") },
        ),
    ] {
        assert!(is_taken(&bench, &place, within), "{what} at its bound");
        assert!(!is_taken(&bench, &place, beyond), "{what} beyond it");
    }
}

#[tokio::test]
async fn a_member_is_called_by_the_display_name_and_without_one_by_the_full_name() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    for (name, display, full, expected) in
        [("a", "Ada L", "Ada Lovelace", "Ada L"), ("b", "  ", "Bob Brown", "Bob Brown"), ("c", "", "", "")]
    {
        let told = PersonSaid { display_name: display.into(), full_name: full.into(), ..said(name) };
        let (_, member) = create(&bench, &place, told);
        let organization = place.organization;
        let kept = bench.write(move |tx, _| {
            Ok(portcullis_store::membership::find(tx, organization, member)?.unwrap().name)
        });
        assert_eq!(kept, expected, "{name}");
    }
}

#[tokio::test]
async fn each_change_of_a_person_is_kept_under_its_own_action_and_said_again_under_none() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (user, _) = create(&bench, &place, said("ada"));
    bench.clock.pass_s(60);
    say_active(&bench, &place, user, false);
    say_active(&bench, &place, user, false);
    say_active(&bench, &place, user, true);
    let renamed = PersonSaid { display_name: "Ada".into(), ..said("ada") };
    change(&bench, &place, user, renamed.clone());
    change(&bench, &place, user, renamed);
    let (organization, directory) = (place.organization, place.directory);
    let (events, now) = bench.write(move |tx, moment| {
        let events = portcullis_store::audit::list_page(tx, organization, &AuditFilter::default(), "", 1000)?;
        Ok((events, moment.now))
    });
    let action = |content: &str| {
        let event: serde_json::Value = serde_json::from_str(content).unwrap();
        event["action"].as_str().unwrap().to_owned()
    };
    let actions: Vec<String> = events.iter().map(|event| action(&event.content)).collect();
    let actions: Vec<&String> = actions.iter().filter(|a| a.starts_with("directory_user.")).collect();
    assert_eq!(
        actions,
        [
            "directory_user.created",
            "directory_user.deactivated",
            "directory_user.activated",
            "directory_user.updated"
        ]
    );
    let kept =
        bench.write(move |tx, _| Ok(portcullis_store::directory_user::find(tx, directory, user)?.unwrap()));
    assert_eq!(kept.updated_at, now, "the last change is when it was made");
}

#[tokio::test]
async fn only_names_that_a_directory_says_anew_are_taken_from_the_dead() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (organization, directory) = (place.organization, place.directory);
    let is_dead = |identifier: Identifier| {
        bench.write(move |tx, _| {
            Ok(portcullis_store::tombstone::find(tx, organization, &identifier)?.is_some())
        })
    };
    // Both had one address from the beginning; the second one leaves.
    let shared = |name: &str| PersonSaid { emails: vec!["team@acme.test".into()], ..said(name) };
    let (user, _) = create(&bench, &place, shared("ada"));
    let (leaver, _) = create(&bench, &place, shared("eve"));
    say_active(&bench, &place, leaver, false);
    let address = || Identifier::email("team@acme.test");
    assert!(is_dead(address()));
    change(&bench, &place, user, PersonSaid { display_name: "Ada".into(), ..shared("ada") });
    assert!(is_dead(address()), "nothing was said anew of the address");

    let names = [
        (Identifier::user_name("eve"), PersonSaid { user_name: "eve".into(), ..shared("ada") }),
        (
            Identifier::external_id(directory, "ext-eve"),
            PersonSaid { external_id: Some("ext-eve".into()), user_name: "eve".into(), ..shared("ada") },
        ),
    ];
    let organization_of_the_leaver = place.organization;
    bench.write(move |tx, moment| {
        // The leaver's entry makes room for the names that it had.
        let speaker = speaker(moment, organization_of_the_leaver, directory);
        provisioning::delete_user(tx, moment, speaker, leaver)?;
        Ok(())
    });
    for (identifier, told) in names {
        assert!(is_dead(identifier.clone()), "{identifier:?}");
        change(&bench, &place, user, told);
        assert!(!is_dead(identifier.clone()), "{identifier:?} is hers now");
    }
    assert!(!is_dead(address()), "with a new name the whole person is said anew");
}
