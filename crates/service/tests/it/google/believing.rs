//! What Google says is believed as far as whoever chose by which right it is asked.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::cause::Cause;
use portcullis_domain::permission::Permission;
use portcullis_domain::role::Rank;
use portcullis_domain::token::TokenKind;
use portcullis_emulator::GooglePerson;
use portcullis_service::ServiceError;
use portcullis_service::caller::{Caller, Member};
use portcullis_service::google::{self, Ground, NewRight, SourceChanges};
use portcullis_service::sealing::{SEALING_KEY_BYTES, SealingKey};
use portcullis_testkit::Bench;

use super::world::World;

/// Somebody of rank 400 who may have to do with directories.
fn steward(world: &World) -> Caller {
    Caller::Member(Member {
        token: "tok_00000000000000000000000000000001".parse().unwrap(),
        kind: TokenKind::MemberKey,
        organization: world.organization,
        membership: world.bench.member(world.organization, "steward@acme.test", "member").membership,
        shown_to: vec![],
        expires_at: None,
        confined_to: None,
        came_by: None,
        chosen_from: None,
        believed_up_to: Rank::ROOT,
        role: Some("member".parse().unwrap()),
        rank: Rank::new(400).unwrap(),
        permissions: BTreeSet::from([Permission::DirectoriesWrite]),
        teams: vec![],
    })
}

/// Has the directory ask by such a key, whole or only in another administrator's name.
fn choose(world: &World, caller: &Caller, whole: bool) -> Result<(), ServiceError> {
    let (organization, directory, caller) = (world.organization, world.directory, caller.clone());
    let (file, polling) = (world.google.service_account_key(), world.portcullis.google());
    world.bench.write(move |tx, moment| {
        let sealing = SealingKey::from_bytes(&[7; SEALING_KEY_BYTES]).unwrap();
        let ground = Ground { sealing: &sealing, polling: &polling };
        let delegated_admin = "admin@acme.test".to_owned();
        let changes = if whole {
            let right = Some(NewRight::Key { delegated_admin, file: file.clone() });
            SourceChanges { right, ..SourceChanges::default() }
        } else {
            SourceChanges { service_account_key: Some(file.clone()), ..SourceChanges::default() }
        };
        Ok(google::update(
            tx,
            moment,
            (&caller, ground),
            organization,
            (directory, &changes),
            Cause::system(),
        )
        .map(|_| ()))
    })
}

/// How far it is believed what each is called, the administrator of the company apart.
fn believed(world: &World) -> BTreeMap<String, i64> {
    let rows = world.rows("SELECT external_id, believed_up_to FROM directory_users");
    let rows = rows.into_iter().filter(|row| row[0].len() == 4);
    rows.map(|row| (row[0].clone(), row[1].parse().unwrap())).collect()
}

fn is(ranks: &[(&str, i64)]) -> BTreeMap<String, i64> {
    ranks.iter().map(|(id, rank)| ((*id).to_owned(), *rank)).collect()
}

#[tokio::test]
async fn what_google_says_is_believed_as_far_as_whoever_chose_by_which_right_it_is_asked() {
    for whole in [true, false] {
        let world = World::new(Bench::sqlite());
        world.poll().await;
        assert_eq!(believed(&world), is(&[("1001", 1000), ("1002", 1000), ("1003", 1000)]));
        choose(&world, &steward(&world), whole).unwrap();
        world.google.change(|company| {
            company.person_mut("1002").unwrap().primary_email = "robert@acme.test".to_owned();
            company.people.push(GooglePerson::new("1004", "zoe@acme.test"));
        });
        world.full().await;
        // Of whom nothing new is said, what was said before stands.
        assert_eq!(believed(&world), is(&[("1001", 1000), ("1002", 400), ("1003", 1000), ("1004", 400)]));
        choose(&world, &Caller::Root, false).unwrap();
        world.full().await;
        assert_eq!(believed(&world)["1004"], 400, "a part of the steward's choice is left");
        choose(&world, &Caller::Root, true).unwrap();
        world.full().await;
        assert!(believed(&world).values().all(|rank| *rank == 1000), "{:?}", believed(&world));
    }
}
