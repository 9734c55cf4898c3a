//! Two transactions that meet at a known place on PostgreSQL: whichever commits last, nothing of a leaver is left and
//! what is stored follows from the facts and the rules.
//!
//! The first one stops right before its commit. The second begins then, and runs until it is done or waits for the
//! first one; only then the first goes on. So each test is the one interleaving that it tells of, every time.

use portcullis_domain::mapping::MappingSource;
use portcullis_domain::role::Giving;
use portcullis_domain::text::Slug;
use portcullis_service::caller::Caller;
use portcullis_service::noun::Noun;
use portcullis_service::provisioning::{self, GroupSaid, GroupsSaid, MembersSaid};
use portcullis_service::{Moment, ServiceError, agent, directory, mapping, role};
use portcullis_store::{Tx, directory_group};
use portcullis_testkit::Bench;

mod gate;
mod leaving;

pub(crate) use self::gate::{
    LOOK_EVERY_MS, MAX_WAIT_MS, Met, cause, client, come, leave, meet, meet_call, place, said,
    somebody_waits, speaker, stored,
};
use self::gate::{is_in_step, new_agent, role_of};

#[test]
fn a_newcomer_beside_a_change_of_the_default_role_has_the_new_one_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let met = meet(
        &bench,
        move |tx, moment| {
            let speaker = speaker(moment, here);
            Ok(provisioning::create_user(tx, moment, speaker, &said("ada"))?.membership)
        },
        move |tx, moment| {
            let changes = directory::DirectoryChanges {
                default_role: Some(Some("member".into())),
                ..Default::default()
            };
            directory::update(tx, moment, &Caller::Root, here.0, (here.1, &changes), cause())
        },
    );
    met.second.unwrap();
    let ada = met.first.unwrap();
    assert_eq!(role_of(&bench, here.0, ada).as_deref(), Some("member"));
    assert!(is_in_step(&bench, ada), "what is stored follows from the rules");
}

#[test]
fn who_joins_a_group_while_its_role_becomes_explicit_only_does_not_get_it_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let (user, ada) = come(&bench, here, "ada");
    let (group, role) = bench.write(move |tx, moment| {
        let shape = role::RoleShape { rank: 310, permissions: vec!["use".into()], giving: Giving::Anyhow };
        let made = role::create(tx, moment, &Caller::Root, here.0, ("builder", shape), cause())?;
        let wish = mapping::NewMapping {
            directory: here.1.to_string(),
            source: MappingSource::GroupExternalId("g-1".into()),
            role: Some("builder".into()),
            team: None,
            environment: None,
        };
        mapping::create(tx, moment, &Caller::Root, here.0, &wish, cause())?;
        let speaker = speaker(moment, here);
        let group = provisioning::create_group(tx, moment, speaker, ("Builders", Some("g-1")), &[])?;
        Ok((group.id, made.id))
    });
    let met = meet(
        &bench,
        move |tx, moment| {
            let speaker = speaker(moment, here);
            let said = [GroupSaid::Members(MembersSaid::Add(vec![user]))];
            provisioning::change_group(tx, moment, speaker, group, &said).map(|_| ())
        },
        move |tx, moment| {
            let changes = role::RoleChanges { giving: Some(Giving::ExplicitOnly), ..Default::default() };
            role::update(tx, moment, &Caller::Root, here.0, (&role.to_string(), &changes), cause())
        },
    );
    met.first.unwrap();
    met.second.unwrap();
    assert_ne!(role_of(&bench, here.0, ada).as_deref(), Some("builder"), "automation gives no such role");
    assert!(is_in_step(&bench, ada), "what is stored follows from the rules");
}

#[test]
fn a_group_that_gets_its_key_while_a_mapping_of_that_key_is_made_is_mapped_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let (user, ada) = come(&bench, here, "ada");
    let group = bench.write(move |tx, moment| {
        let speaker = speaker(moment, here);
        Ok(provisioning::create_group(tx, moment, speaker, ("Builders", None), &[user])?.id)
    });
    let met = meet(
        &bench,
        move |tx, moment| {
            let speaker = speaker(moment, here);
            let said = [GroupSaid::ExternalId(Some("g-1".into()))];
            provisioning::change_group(tx, moment, speaker, group, &said).map(|_| ())
        },
        move |tx, moment| {
            let wish = mapping::NewMapping {
                directory: here.1.to_string(),
                source: MappingSource::GroupExternalId("g-1".into()),
                role: Some("member".into()),
                team: None,
                environment: None,
            };
            mapping::create(tx, moment, &Caller::Root, here.0, &wish, cause()).map(|_| ())
        },
    );
    met.first.unwrap();
    met.second.unwrap();
    assert_eq!(role_of(&bench, here.0, ada).as_deref(), Some("member"));
}

#[test]
fn a_group_that_is_renamed_while_a_group_is_put_into_it_begins_again_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let named = |name: &'static str| {
        bench.write(move |tx, moment| {
            let speaker = speaker(moment, here);
            Ok(provisioning::create_group(tx, moment, speaker, (name, None), &[])?.id)
        })
    };
    let (above, below) = (named("Builders"), named("Masons"));
    let change = move |said: GroupSaid| {
        move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let speaker = speaker(moment, here);
            provisioning::change_group(tx, moment, speaker, above, std::slice::from_ref(&said)).map(|_| ())
        }
    };
    let rename = || GroupSaid::DisplayName("Makers".into());
    let met = meet(&bench, change(GroupSaid::Groups(GroupsSaid::Add(vec![below]))), change(rename()));
    met.first.unwrap();
    met.second.unwrap();
    let renamed = move |tx: &mut Tx<'_>, _: &mut Moment| Ok(directory_group::find(tx, here.1, above)?);
    assert_eq!(bench.write(renamed).unwrap().display_name, "Makers");
}

#[test]
fn members_of_groups_that_hold_groups_come_and_go_beside_each_other_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let people = [come(&bench, here, "ada").0, come(&bench, here, "bob").0];
    let [above, other, below] = ["Builders", "Makers", "Masons"].map(|name| {
        bench.write(move |tx, moment| {
            let speaker = speaker(moment, here);
            Ok(provisioning::create_group(tx, moment, speaker, (name, None), &[])?.id)
        })
    });
    let change = |group, said: GroupSaid| {
        move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let speaker = speaker(moment, here);
            provisioning::change_group(tx, moment, speaker, group, std::slice::from_ref(&said)).map(|_| ())
        }
    };
    for group in [above, other] {
        bench.write(change(group, GroupSaid::Groups(GroupsSaid::Add(vec![below]))));
    }
    let add = |group, person| change(group, GroupSaid::Members(MembersSaid::Add(vec![person])));
    let met = meet(&bench, add(above, people[0]), add(other, people[1]));
    met.first.unwrap();
    met.second.unwrap();
    assert!(met.passed, "whoever names people moves nobody else, and waits for nobody");
}

#[test]
fn a_change_of_rules_does_not_wait_for_those_who_come_after_it_on_postgresql() {
    let Some(bench) = Bench::postgres_with(4) else { return };
    let here = place(&bench);
    let met = meet(
        &bench,
        move |tx, moment| {
            let changes = directory::DirectoryChanges {
                default_role: Some(Some("member".into())),
                ..Default::default()
            };
            directory::update(tx, moment, &Caller::Root, here.0, (here.1, &changes), cause())
        },
        move |tx, moment| {
            let speaker = speaker(moment, here);
            Ok(provisioning::create_user(tx, moment, speaker, &said("ada"))?.membership)
        },
    );
    met.first.unwrap();
    let ada = met.second.unwrap();
    assert!(!met.passed, "who resolves access waits for the rules");
    assert_eq!(role_of(&bench, here.0, ada).as_deref(), Some("member"));
}

#[test]
fn an_environment_in_which_an_agent_is_made_is_not_deleted_meanwhile_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let (user, ada) = come(&bench, here, "ada");
    let staging: Slug = "staging".parse().unwrap();
    let (environment, gives) = bench.write(move |tx, moment| {
        tx.lock(portcullis_store::db::Lock::Organization(here.0))?;
        let made =
            portcullis_service::environment::create(tx, moment, here.0, ("staging", "Staging"), cause())?;
        let wish = mapping::NewMapping {
            directory: here.1.to_string(),
            source: MappingSource::GroupExternalId("g-1".into()),
            role: Some("member".into()),
            team: None,
            environment: Some("staging".into()),
        };
        Ok((made.id, mapping::create(tx, moment, &Caller::Root, here.0, &wish, cause())?.0.id))
    });
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, here);
        provisioning::create_group(tx, moment, speaker, ("Builders", Some("g-1")), &[user]).map(|_| ())
    });
    let met = meet(
        &bench,
        move |tx, moment| {
            let wish = agent::NewAgent { environment: Some(staging.clone()), ..new_agent(ada, None) };
            agent::create(tx, moment, &Caller::Root, here.0, &wish, cause()).map(|_| ())
        },
        move |tx, moment| {
            mapping::delete(tx, moment, &Caller::Root, here.0, gives, cause())?;
            let id = environment.to_string();
            portcullis_service::environment::delete(tx, moment, here.0, &id, cause())
        },
    );
    met.first.unwrap();
    assert!(matches!(met.second, Err(ServiceError::UsedBy(Noun::Environment, _))), "{:?}", met.second);
}
