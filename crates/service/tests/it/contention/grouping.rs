//! Groups that several calls of a directory change at once on PostgreSQL.

use portcullis_domain::id::{DirectoryGroupId, DirectoryId, OrganizationId};
use portcullis_service::error::Taken;
use portcullis_service::provisioning::{self, GroupSaid};
use portcullis_service::{Moment, ServiceError};
use portcullis_store::directory_group::{DirectoryGroupQuery, query};
use portcullis_store::{Tx, UniqueKey};
use portcullis_testkit::Bench;

use super::races::{meet, place, speaker};

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
