//! What a directory says of one person: its bounds, the name that is shown, the action that is kept, and which names of the
//! dead it takes. The bounds of what it says of a group stand beside them.

use std::collections::BTreeSet;

use portcullis_domain::id::{DirectoryUserId, MembershipId};
use portcullis_domain::mapping::{Facet, MAX_FACETS};
use portcullis_domain::role::Rank;
use portcullis_domain::text::MAX_IDENTIFIER;
use portcullis_domain::tombstone::Identifier;
use portcullis_service::ServiceError;
use portcullis_service::error::DirectoryRefusal;
use portcullis_service::provisioning::{self, GroupSaid, MAX_MEMBERS_PER_CALL, MembersSaid, PersonSaid};
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

#[test]
fn what_is_too_long_or_cannot_be_stored_is_refused_by_its_own_name() {
    let bench = Bench::of_the_run();
    let Place { organization, directory, .. } = place(&bench, "acme", 0);
    let (long, odd) = ("x".repeat(MAX_IDENTIFIER + 1), "a\0b".to_owned());
    let refused = [
        ("userName", PersonSaid { user_name: long.clone(), ..said("ann") }),
        ("externalId", PersonSaid { external_id: Some(long), ..said("ann") }),
        ("userName", PersonSaid { user_name: odd.clone(), ..said("ann") }),
        ("externalId", PersonSaid { external_id: Some(odd.clone()), ..said("ann") }),
        ("displayName", PersonSaid { display_name: odd.clone(), ..said("ann") }),
        ("emails", PersonSaid { emails: vec![odd], ..said("ann") }),
    ];
    for (must, said) in refused {
        let error = bench.write(move |tx, moment| {
            let speaker = speaker(moment, organization, directory);
            Ok(provisioning::create_user(tx, moment, speaker, &said).unwrap_err())
        });
        let ServiceError::Directory(DirectoryRefusal::InvalidValue { field, .. }) = error else {
            panic!("{must}: {error}");
        };
        assert_eq!(field, must);
    }
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
            PersonSaid { attributes: long(1_048_576), ..said("e") },
            PersonSaid { attributes: long(1_048_577), ..said("f") },
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

/// Whether a group may be said to be called that, when it is told of and when it is changed; nothing of it is kept.
fn is_named(bench: &Bench, place: &Place, name: &str, external_id: Option<&str>) -> [bool; 2] {
    let (organization, directory, group) = (place.organization, place.directory, place.group);
    let (name, external_id) = (name.to_owned(), external_id.map(str::to_owned));
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        let named = (name.as_str(), external_id.as_deref());
        let told = provisioning::create_group(tx, moment, speaker, named, &[]).map(|group| group.id);
        if let Ok(id) = told {
            provisioning::delete_group(tx, moment, speaker, id)?;
        }
        let said = [GroupSaid::DisplayName(name.clone()), GroupSaid::ExternalId(external_id.clone())];
        let changed = provisioning::change_group(tx, moment, speaker, group, &said).map(|_| group);
        let back = [GroupSaid::DisplayName("Engineers".into()), GroupSaid::ExternalId(Some("g-1".into()))];
        provisioning::change_group(tx, moment, speaker, group, &back)?;
        let mut were_taken = [false; 2];
        for (was_taken, answer) in were_taken.iter_mut().zip([told, changed]) {
            *was_taken = match answer {
                Ok(_) => true,
                Err(ServiceError::Directory(_)) => false,
                Err(error) => return Err(error),
            };
        }
        Ok(were_taken)
    })
}

#[tokio::test]
async fn what_a_group_is_called_is_bounded_on_both_sides_of_each_bound() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (most, more) = ("x".repeat(1_024), "y".repeat(1_025));
    for (name, external_id, expected) in [
        ("Designers", None, true),
        ("", None, false),
        (" ", None, false),
        (&*most, None, true),
        (&*more, None, false),
        ("De\0signers", None, false),
        ("Designers", Some(&*most), true),
        ("Designers", Some(&*more), false),
        ("Designers", Some("g\0-1"), false),
    ] {
        let were_taken = is_named(&bench, &place, name, external_id);
        assert_eq!(were_taken, [expected; 2], "{name:?} {external_id:?}");
    }
}

#[tokio::test]
async fn a_call_names_a_hundred_thousand_members_and_not_one_more() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (user, _) = create(&bench, &place, said("ada"));
    for (count, expected) in [(MAX_MEMBERS_PER_CALL, true), (MAX_MEMBERS_PER_CALL + 1, false)] {
        let (organization, directory, group) = (place.organization, place.directory, place.group);
        let was_taken = bench.write(move |tx, moment| {
            let speaker = speaker(moment, organization, directory);
            let said = [GroupSaid::Members(MembersSaid::Add(vec![user; count]))];
            match provisioning::change_group(tx, moment, speaker, group, &said) {
                Ok(_) => Ok(true),
                Err(ServiceError::Directory(_)) => Ok(false),
                Err(error) => Err(error),
            }
        });
        assert_eq!(was_taken, expected, "{count}");
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
async fn an_event_says_from_what_to_what_a_person_was_renamed_and_nothing_where_they_were_not() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (user, _) = create(&bench, &place, said("ada"));
    let at_home = vec!["ada@acme.test".to_owned(), "ada@home.test".to_owned()];
    let lent = PersonSaid { emails: at_home, user_name: "eve@acme.test".into(), ..said("ada") };
    for now in [lent, said("ada"), PersonSaid { display_name: "Ada".into(), ..said("ada") }] {
        bench.clock.pass_s(1);
        change(&bench, &place, user, now);
    }
    let organization = place.organization;
    let action = "directory_user.updated".to_owned();
    let filter = AuditFilter { action, ..AuditFilter::default() };
    let events =
        bench.write(move |tx, _| Ok(portcullis_store::audit::list_page(tx, organization, &filter, "", 10)?));
    let detail =
        |content: &str| serde_json::from_str::<serde_json::Value>(content).unwrap()["detail"].clone();
    let details: Vec<_> = events.iter().map(|event| detail(&event.content)).collect();
    let named = |name: &str, emails: &[&str]| {
        let external_id = said("ada").external_id;
        serde_json::json!({ "user_name": name, "external_id": external_id, "emails": emails })
    };
    let [before, after] = [named("ada", &[]), named("eve@acme.test", &["ada@home.test"])];
    assert_eq!(
        details,
        [
            serde_json::json!({ "from": before, "to": after }),
            serde_json::json!({ "from": after, "to": before }),
            serde_json::Value::Null,
        ]
    );
}

#[tokio::test]
async fn a_leaver_is_remembered_by_every_name_that_they_ever_had() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    let (user, member) = create(&bench, &place, said("ada"));
    change(&bench, &place, user, said("eva"));
    say_active(&bench, &place, user, false);
    let (organization, directory) = (place.organization, place.directory);
    for name in ["ada", "eva"] {
        for identifier in [
            Identifier::user_name(name),
            Identifier::email(&format!("{name}@acme.test")),
            Identifier::external_id(directory, &format!("ext-{name}")),
        ] {
            let shown = format!("{identifier:?}");
            let whose = bench
                .write(move |tx, _| Ok(portcullis_store::tombstone::find(tx, organization, &identifier)?));
            assert_eq!(whose, Some(member), "{shown}");
        }
    }
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

#[tokio::test]
async fn a_word_is_believed_as_far_as_whoever_could_have_said_any_of_it() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (organization, directory) = (place.organization, place.directory);
    // A mapping of the directory gives `member`, which whoever speaks for it has by that.
    let [given, low, high] = [300, 400, 700].map(|rank| Rank::new(rank).unwrap());
    let other = || PersonSaid { external_id: Some("other".into()), ..said("ada") };
    for (before, rank, whole, part) in [
        (low, high, [high, high], [low, low]),
        (high, low, [high, low], [high, low]),
        (low, Rank::NONE, [low, given], [low, given]),
        (Rank::NONE, Rank::NONE, [given, given], [given, given]),
        (high, Rank::ROOT, [Rank::ROOT, Rank::ROOT], [high, high]),
    ] {
        for (said_now, expected) in [(said("ada"), [whole[0], part[0]]), (other(), [whole[1], part[1]])] {
            let found = bench.write(move |tx, moment| {
                let mut all = Vec::new();
                for is_whole in [true, false] {
                    let speaker = speaker(moment, organization, directory);
                    moment.spoken_from = before;
                    let id = provisioning::create_user(tx, moment, speaker, &said("ada"))?.id;
                    moment.spoken_from = rank;
                    let user = if is_whole {
                        provisioning::replace_user(tx, moment, speaker, id, &said_now)?
                    } else {
                        provisioning::change_user(tx, moment, speaker, id, |_| Ok(said_now.clone()))?
                    };
                    all.push(user.believed_up_to);
                    provisioning::delete_user(tx, moment, speaker, id)?;
                }
                Ok(all)
            });
            assert_eq!(found, expected, "{before:?}, then {rank:?}");
        }
    }
}
