//! An address that moves on PostgreSQL while somebody else decides about it: it stays whose it is.

use portcullis_domain::directory_user::DirectoryUserQuery;
use portcullis_domain::id::{DirectoryId, RequestId};
use portcullis_service::organization::named;
use portcullis_service::provisioning::{self, PersonSaid, Speaker};
use portcullis_service::{Moment, ServiceError};
use portcullis_store::{Priority, Tx, directory_user};
use portcullis_testkit::Bench;
use serde_json::json;

use super::arrivals::{company, directory, members_at, telling};
use super::races::{LOOK_EVERY_MS, MAX_WAIT_MS, client, meet, somebody_waits};
use crate::recognizing::{ADA, made};

const BOB: &str = "bob@acme.test";
const WANTED: &str = "ada.king@acme.test";

/// The directory, which tells of one person, calls them by that address.
fn moving(
    directory: DirectoryId,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<(), ServiceError> + Send + 'static {
    move |tx, moment| {
        let request = RequestId::fresh(moment.now, &mut moment.random);
        let speaker = Speaker::scim(named(tx, "acme")?.id, directory, request);
        let known = DirectoryUserQuery::ExternalId("ext-ada".to_owned());
        let told = directory_user::query(tx, directory, &known, 1)?.remove(0);
        let said = |_: &_| {
            Ok(PersonSaid {
                external_id: Some("ext-ada".to_owned()),
                user_name: WANTED.to_owned(),
                display_name: "Ada".to_owned(),
                full_name: String::new(),
                emails: vec![WANTED.to_owned()],
                active: Some(true),
                facets: std::collections::BTreeSet::new(),
                attributes: "{}".to_owned(),
            })
        };
        provisioning::change_user(tx, moment, speaker, told.id, said).map(|_| ())
    }
}

/// Tells of somebody, before anything meets.
fn told(bench: &Bench, directory: DirectoryId, address: &'static str) {
    bench.write(telling(directory, address));
}

#[test]
fn whoever_accepts_their_invitation_while_their_directory_moves_their_address_keeps_it_on_postgresql() {
    let found = company(async |bench: &Bench| {
        made(bench, "/acme/invitations", json!({ "email": ADA, "role": "member" })).await;
        directory(bench).await
    });
    let Some((bench, directory)) = found else { return };
    told(&bench, directory, ADA);
    // Whoever accepts has written and not committed yet; nobody looks for their link meanwhile.
    let (mut accepting, mut looking) = (client(&bench), client(&bench));
    let mut accept = accepting.transaction().unwrap();
    accept.batch_execute("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").unwrap();
    assert_eq!(
        accept.execute("UPDATE memberships SET joined_at = 1 WHERE email_key = $1", &[&ADA]).unwrap(),
        1
    );
    let used = "UPDATE tokens SET ended_at = 1, ended_because = 'used' WHERE kind = 'invitation'";
    assert_eq!(accept.execute(used, &[]).unwrap(), 1);
    std::thread::scope(|scope| {
        let moved = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(bench.portcullis().write(Priority::Ordinary, moving(directory)))
        });
        let mut waited = 0;
        while !somebody_waits(&mut looking) {
            assert!(waited < MAX_WAIT_MS && !moved.is_finished(), "the directory's call did not wait");
            std::thread::sleep(std::time::Duration::from_millis(LOOK_EVERY_MS));
            waited += LOOK_EVERY_MS;
        }
        accept.commit().unwrap();
        moved.join().unwrap().unwrap();
    });
    assert_eq!((members_at(&bench, ADA).len(), members_at(&bench, WANTED).len()), (1, 0));
}

#[test]
fn of_two_whom_their_directories_move_to_one_address_at_once_one_has_it_on_postgresql() {
    let found = company(async |bench: &Bench| (directory(bench).await, directory(bench).await));
    let Some((bench, (one, other))) = found else { return };
    told(&bench, one, ADA);
    told(&bench, other, BOB);
    let met = meet(&bench, moving(one), moving(other));
    assert_eq!((met.first, met.second, met.passed), (Ok(()), Ok(()), false));
    assert_eq!((members_at(&bench, WANTED).len(), members_at(&bench, BOB).len()), (1, 1));
}
