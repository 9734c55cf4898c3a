//! What is held of whom (I12): the rows of holds against the model.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::hold::HoldKind;

use super::check::Finding;
use super::command::{DIRECTORIES, ORGANIZATIONS};
use super::model::{Kept, Model};
use super::raw::{NULL, Raw};
use super::world::World;

/// Every hold has exactly the people of the model, each waiting or refused; everybody keeps exactly what they keep there.
pub(crate) fn holds(world: &World, model: &Model, raw: &mut Raw) -> Result<(), Finding> {
    let mut rows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for mut row in raw.rows("SELECT id, directory, kind FROM holds ORDER BY id") {
        let (id, directory) = (row.remove(0), row.remove(0));
        rows.entry((directory, row.remove(0))).or_default().push(id);
    }
    let mut people: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    for row in raw.rows("SELECT hold, membership, refused_at FROM held_people") {
        people.entry(row[0].clone()).or_default().insert(row[1].clone(), row[2] != NULL);
    }
    let mut kept: BTreeSet<Vec<String>> =
        raw.rows("SELECT hold, membership, mapping FROM held_matches").into_iter().collect();
    for org in 0..ORGANIZATIONS {
        for directory in 0..DIRECTORIES {
            for kind in HoldKind::ALL {
                let place = (world.ids.directories[org][directory].to_string(), kind.as_str().to_owned());
                let is = rows.remove(&place).unwrap_or_default();
                let must = model.brakes.of_kind((org, directory), kind);
                if is.len() != must.len() {
                    return Err(format!("I12: {} holds of {place:?}, must be {}", is.len(), must.len()));
                }
                for (id, n) in is.into_iter().zip(must) {
                    let is = people.remove(&id).unwrap_or_default();
                    let in_hold = model.brakes.holds[n].people.iter();
                    let must = in_hold.map(|(m, refused)| (world.ids.members[*m].to_string(), *refused));
                    let must: BTreeMap<String, bool> = must.collect();
                    if is != must {
                        return Err(format!("I12: in hold {n} of {place:?} are {is:?}, must be {must:?}"));
                    }
                    let of = model.brakes.kept.iter().filter(|one| one.hold == n);
                    let member = |one: &Kept| world.ids.members[one.member].to_string();
                    let of = of.map(|one| {
                        vec![id.clone(), member(one), world.ids.mappings[one.mapping].to_string()]
                    });
                    for row in of.collect::<BTreeSet<_>>() {
                        if !kept.remove(&row) {
                            return Err(format!("I12: {row:?} is not kept"));
                        }
                    }
                }
            }
        }
    }
    if rows.is_empty() && people.is_empty() && kept.is_empty() {
        return Ok(());
    }
    Err(format!("I12: held, and not to be: {rows:?}, {people:?}, {kept:?}"))
}
