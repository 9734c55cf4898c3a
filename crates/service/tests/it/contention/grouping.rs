//! Groups that several calls of a directory change at once on PostgreSQL.

use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId, OrganizationId};
use portcullis_domain::membership::MembershipState;
use portcullis_service::error::{DirectoryRefusal, Taken};
use portcullis_service::provisioning::{self, GroupSaid, MembersSaid, PersonSaid};
use portcullis_service::{Moment, ServiceError};
use portcullis_store::directory_group::{DirectoryGroupQuery, member_ids, query};
use portcullis_store::{Tx, UniqueKey};
use portcullis_testkit::Bench;

use super::races::{come, meet, place, said, speaker, stored};

fn change(
    here: (OrganizationId, DirectoryId),
    group: DirectoryGroupId,
    said: GroupSaid,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<(), ServiceError> + Send + 'static {
    move |tx, moment| {
        let speaker = speaker(moment, here);
        provisioning::change_group(tx, moment, speaker, group, std::slice::from_ref(&said)).map(|_| ())
    }
}

fn make(
    here: (OrganizationId, DirectoryId),
    name: &'static str,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<DirectoryGroupId, ServiceError> + Send + 'static {
    move |tx, moment| {
        let speaker = speaker(moment, here);
        Ok(provisioning::create_group(tx, moment, speaker, (name, None), &[])?.id)
    }
}

fn says_inactive(
    here: (OrganizationId, DirectoryId),
    user: DirectoryUserId,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<(), ServiceError> + Send + 'static {
    move |tx, moment| {
        let speaker = speaker(moment, here);
        let said = PersonSaid { active: Some(false), ..said("ada") };
        provisioning::change_user(tx, moment, speaker, user, |_| Ok(said)).map(|_| ())
    }
}

#[test]
fn a_group_that_keeps_its_name_while_another_takes_it_is_refused_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let group = bench.write(make(here, "Builders"));
    let met = meet(
        &bench,
        move |tx: &mut Tx<'_>, moment: &mut Moment| {
            change(here, group, GroupSaid::DisplayName("Makers".into()))(tx, moment)?;
            make(here, "Builders")(tx, moment)
        },
        change(here, group, GroupSaid::DisplayName("Builders".into())),
    );
    met.first.unwrap();
    let taken = ServiceError::Taken(Taken::Key(UniqueKey::DirectoryGroupDisplayName));
    assert_eq!((met.second, met.passed), (Err(taken), false));
    let named = DirectoryGroupQuery::DisplayName("Builders".into());
    assert_eq!(bench.write(move |tx, _| Ok(query(tx, here.1, &named, 3)?)).len(), 1);
}

#[test]
fn whoever_is_deleted_while_a_group_gets_them_is_in_no_list_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    for round in ["a", "b"] {
        let name = if round == "a" { "ada" } else { "bob" };
        let (user, _) = come(&bench, here, name);
        let group = bench.write(make(here, if round == "a" { "Builders" } else { "Makers" }));
        let add = change(here, group, GroupSaid::Members(MembersSaid::Add(vec![user])));
        let delete = move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let speaker = speaker(moment, here);
            provisioning::delete_user(tx, moment, speaker, user)
        };
        if round == "a" {
            let met = meet(&bench, add, delete);
            assert_eq!((met.first, met.second, met.passed), (Ok(()), Ok(()), false));
        } else {
            let met = meet(&bench, delete, add);
            let unknown = ServiceError::Directory(DirectoryRefusal::UnknownMember(user.to_string()));
            assert_eq!((met.first, met.second, met.passed), (Ok(()), Err(unknown), false));
        }
        let listed = bench.write(move |tx, _| Ok(member_ids(tx, group, "", 10)?));
        assert!(listed.is_empty(), "nobody of whom the directory does not tell: {listed:?}");
    }
}

#[test]
fn whoever_is_said_to_be_inactive_while_a_group_gets_them_waits_for_no_group_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let (user, member) = come(&bench, here, "ada");
    let group = bench.write(make(here, "Builders"));
    let met = meet(
        &bench,
        change(here, group, GroupSaid::Members(MembersSaid::Add(vec![user]))),
        says_inactive(here, user),
    );
    assert_eq!((met.first, met.second, met.passed), (Ok(()), Ok(()), true));
    assert_eq!(stored(&bench, here.0, member).access.state, MembershipState::Deprovisioned);
}
