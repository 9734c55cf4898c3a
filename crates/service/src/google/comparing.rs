//! What differs between what Google lists and what is stored, and whether the missing are gone.
//!
//! Nothing is concluded from an absence: who is missing is asked for by id, and only Google's own "there is no such
//! thing" lets them be removed. Somebody who is there after all stays as they were, in their groups too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId};
use portcullis_domain::mapping::Facet;
use portcullis_domain::role::Rank;
use portcullis_store::google::{self, Known, KnownGroup};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::client::{Client, Found, MAX_AT_ONCE};
use super::failure::PollFailure;
use super::reading::{Progress, WholeGroup};
use super::wire::{Group, USER_FIELDS, User};
use crate::Portcullis;
use crate::provisioning::PersonSaid;

/// How many stored rows are read at a time.
const PAGE: i64 = 1_000;
/// The attribute of the organizational unit.
const UNIT: &str = "orgUnitPath";

/// What a list says differently of people.
#[derive(Debug, Default)]
pub(super) struct People {
    /// Who is gone.
    pub(super) gone: Vec<DirectoryUserId>,
    /// Who is suspended or archived now.
    pub(super) stopped: Vec<(DirectoryUserId, PersonSaid)>,
    /// Of whom something else is said.
    pub(super) changed: Vec<(DirectoryUserId, PersonSaid)>,
    /// Who is new.
    pub(super) new: Vec<PersonSaid>,
}

/// What Google says of somebody, in the words of a directory.
pub(super) fn said(user: &User) -> PersonSaid {
    let full = user.name.full_name.clone().unwrap_or_default();
    let mut emails = vec![user.primary_email.clone()];
    emails.extend(user.aliases.iter().cloned());
    let mut name = Map::new();
    let parts = [("givenName", &user.name.given_name), ("familyName", &user.name.family_name)];
    for (key, value) in parts.into_iter().chain([("formatted", &user.name.full_name)]) {
        name.extend(value.iter().map(|text| (key.to_owned(), Value::from(text.as_str()))));
    }
    let listed: Vec<Value> = (0..)
        .zip(&emails)
        .map(|(position, email)| json!({ "value": email, "primary": position == 0 }))
        .collect();
    let attributes = json!({
        "userName": user.primary_email,
        "externalId": user.id,
        "displayName": full,
        "name": name,
        "emails": listed,
        UNIT: user.org_unit_path,
        "suspended": user.suspended,
        "archived": user.archived,
    });
    PersonSaid {
        external_id: Some(user.id.clone()),
        user_name: user.primary_email.clone(),
        display_name: full.clone(),
        full_name: full,
        emails,
        active: user.active(),
        facets: user.org_unit_path.as_deref().map(Facet::units).unwrap_or_default(),
        attributes: attributes.to_string(),
    }
}

fn is_news(known: &Known, said: &PersonSaid, believed_up_to: Rank) -> bool {
    let is_active = known.inactive_at.is_none();
    known.unconfirmed_at.is_some()
        || known.believed_up_to < believed_up_to
        || said.active.is_some_and(|active| active != is_active)
        || known.user_name != said.user_name
        || known.attributes != said.attributes
}

/// Compares everybody who is listed with everybody who is stored. Who is not listed and there after all is added to the
/// list.
///
/// # Errors
/// [`PollFailure`].
pub(super) async fn people(
    portcullis: &Portcullis,
    client: &Arc<Client>,
    listed: &mut BTreeMap<String, User>,
    progress: &Progress,
) -> Result<People, PollFailure> {
    let mut found = People::default();
    let mut met: BTreeSet<String> = BTreeSet::new();
    let mut missing: Vec<(String, Known)> = Vec::new();
    for known in all_known(portcullis, client.source().directory).await? {
        let external_id = known.external_id.clone().unwrap_or_default();
        match listed.get(&external_id) {
            Some(user) => {
                compare(client, (&known, user), &mut found);
                met.insert(external_id);
            }
            None => missing.push((external_id, known)),
        }
    }
    found.new = listed.values().filter(|user| !met.contains(&user.id)).map(said).collect();
    let ids = missing.iter().map(|(id, _)| id.clone()).collect();
    let mut asked: HashMap<String, Found<User>> = ask_for(client, "users", USER_FIELDS, ids).await?;
    for (id, known) in missing {
        match asked.remove(&id) {
            Some(Found::There(user)) if is_inside(client, &user.primary_email) => {
                progress.note(|counts| counts.missing_but_there += 1);
                if user.active() == Some(false) {
                    compare(client, (&known, &user), &mut found);
                }
                listed.insert(id, user);
            }
            // Gone, or moved to another domain than the one that is asked for.
            Some(Found::Gone | Found::There(_)) => found.gone.push(known.id),
            None => {}
        }
    }
    Ok(found)
}

fn compare(client: &Client, (known, user): (&Known, &User), found: &mut People) {
    let said = match &user.org_unit_path {
        Some(_) => said(user),
        // INVARIANT I11: of whom no unit is said, the unit is the one that was said before.
        None => said(&User { org_unit_path: unit_before(known), ..user.clone() }),
    };
    if !is_news(known, &said, client.source().believed_up_to) {
        return;
    }
    let stops = said.active == Some(false) && known.inactive_at.is_none();
    let list = if stops { &mut found.stopped } else { &mut found.changed };
    list.push((known.id, said));
}

fn unit_before(known: &Known) -> Option<String> {
    let attributes: Value = serde_json::from_str(&known.attributes).ok()?;
    attributes.get(UNIT)?.as_str().map(str::to_owned)
}

/// What the lists of leavers say differently: who of the people here is stopped, and who of them is gone.
///
/// # Errors
/// [`PollFailure`].
pub(super) async fn leavers(
    portcullis: &Portcullis,
    client: &Arc<Client>,
    (stopped, deleted): (Vec<User>, Vec<User>),
    progress: &Progress,
) -> Result<People, PollFailure> {
    let directory = client.source().directory;
    let mut listed: BTreeMap<String, User> = BTreeMap::new();
    for user in stopped {
        listed.insert(user.id.clone(), user);
    }
    let mut ids: Vec<String> = listed.keys().cloned().collect();
    ids.extend(deleted.into_iter().map(|user| user.id));
    let known = portcullis.read(move |tx, _| Ok(google::known(tx, directory, &ids)?)).await?;
    let (mut found, mut gone) = (People::default(), HashMap::new());
    for known in known {
        let external_id = known.external_id.clone().unwrap_or_default();
        match listed.get(&external_id) {
            Some(user) if known.inactive_at.is_none() => compare(client, (&known, user), &mut found),
            Some(_) => {}
            None => {
                gone.insert(external_id, known.id);
            }
        }
    }
    let ids = gone.keys().cloned().collect();
    let mut asked: HashMap<String, Found<User>> = ask_for(client, "users", USER_FIELDS, ids).await?;
    for (external_id, id) in gone {
        match asked.remove(&external_id) {
            Some(Found::Gone) => found.gone.push(id),
            Some(Found::There(_)) => progress.note(|counts| counts.missing_but_there += 1),
            None => {}
        }
    }
    Ok(found)
}

/// Whether an address is of the domain that is asked for.
fn is_inside(client: &Client, email: &str) -> bool {
    let own = email.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    client.source().domain.as_ref().is_none_or(|domain| own.eq_ignore_ascii_case(domain))
}

/// Everybody who is stored: no more than polls told of, and one tells of so many at most.
async fn all_known(portcullis: &Portcullis, directory: DirectoryId) -> Result<Vec<Known>, PollFailure> {
    let all = portcullis.whole(
        PAGE,
        move |tx, after, page| google::people(tx, directory, after, page),
        |known| known.id.to_string(),
    );
    Ok(all.await?)
}

/// The ids here of everybody who is stored, by their ids there.
///
/// # Errors
/// [`PollFailure`].
pub(super) async fn ids(
    portcullis: &Portcullis,
    directory: DirectoryId,
) -> Result<HashMap<String, DirectoryUserId>, PollFailure> {
    let all = all_known(portcullis, directory).await?;
    Ok(all.into_iter().filter_map(|known| Some((known.external_id?, known.id))).collect())
}

/// Every group that is stored: as with people, no more than polls told of.
///
/// # Errors
/// [`PollFailure`].
pub(super) async fn all_groups(
    portcullis: &Portcullis,
    directory: DirectoryId,
) -> Result<Vec<KnownGroup>, PollFailure> {
    let all = portcullis.whole(
        PAGE,
        move |tx, after, page| google::groups(tx, directory, after, page),
        |group| group.id.to_string(),
    );
    Ok(all.await?)
}

/// Which of the groups that are stored and not listed are gone.
///
/// # Errors
/// [`PollFailure`].
pub(super) async fn gone_groups(
    portcullis: &Portcullis,
    client: &Arc<Client>,
    listed: &[WholeGroup],
    progress: &Progress,
) -> Result<Vec<DirectoryGroupId>, PollFailure> {
    let there: BTreeSet<&str> = listed.iter().map(|group| group.id.as_str()).collect();
    let known = all_groups(portcullis, client.source().directory).await?;
    let missing: HashMap<String, DirectoryGroupId> = known
        .into_iter()
        .map(|group| (group.external_id.unwrap_or_default(), group.id))
        .filter(|(id, _)| !there.contains(id.as_str()))
        .collect();
    let asked = ask_for::<Group>(client, "groups", "id,email", missing.keys().cloned().collect()).await?;
    let mut gone = Vec::new();
    for (id, answer) in asked {
        match answer {
            Found::There(group) if is_inside(client, &group.email) => {
                progress.note(|counts| counts.missing_but_there += 1);
            }
            Found::Gone | Found::There(_) => gone.extend(missing.get(&id).copied()),
        }
    }
    gone.sort();
    Ok(gone)
}

/// Asks for each of these by id.
async fn ask_for<T: DeserializeOwned + Send + 'static>(
    client: &Arc<Client>,
    what: &'static str,
    fields: &'static str,
    ids: Vec<String>,
) -> Result<HashMap<String, Found<T>>, PollFailure> {
    ask(ids, |id| {
        let client = Arc::clone(client);
        async move { client.find::<T>(&[what, &id], &[("fields", fields)]).await }
    })
    .await
}

/// Asks something about each of these, several at a time.
async fn ask<T, A>(ids: Vec<String>, about: impl Fn(String) -> A) -> Result<HashMap<String, T>, PollFailure>
where
    T: Send + 'static,
    A: Future<Output = Result<T, PollFailure>> + Send + 'static,
{
    let mut answers = HashMap::with_capacity(ids.len());
    let mut asking = JoinSet::new();
    let mut waiting = ids.into_iter();
    loop {
        while asking.len() < MAX_AT_ONCE {
            let Some(id) = waiting.next() else { break };
            let answer = about(id.clone());
            asking.spawn(async move { (id, answer.await) });
        }
        let Some(answer) = asking.join_next().await else { return Ok(answers) };
        let (id, found) = answer.map_err(|error| PollFailure::Store(error.to_string()))?;
        answers.insert(id, found?);
    }
}

/// Which of these groups, in which others are and of which no list tells, are there all the same: who is in one of them is
/// not known. One of another customer may not be read, and nobody came here through it.
///
/// # Errors
/// [`PollFailure`].
pub(super) async fn left_out(
    client: &Arc<Client>,
    groups: BTreeSet<String>,
) -> Result<BTreeSet<String>, PollFailure> {
    let found = ask(groups.into_iter().collect(), |id| {
        let client = Arc::clone(client);
        async move {
            match client.find::<Group>(&["groups", &id], &[("fields", "id,email")]).await {
                Ok(Found::There(group)) => Ok(is_inside(&client, &group.email)),
                Ok(Found::Gone) | Err(PollFailure::AccessDenied(_)) => Ok(false),
                Err(failure) => Err(failure),
            }
        }
    });
    Ok(found.await?.into_iter().filter_map(|(id, is_there)| is_there.then_some(id)).collect())
}

/// Of these people, whom a group's list leaves out: whether each is in it all the same, if Google tells.
///
/// # Errors
/// [`PollFailure`].
pub(super) async fn still_in(
    client: &Arc<Client>,
    short: &BTreeSet<String>,
    people: Vec<String>,
) -> Result<HashMap<String, Option<bool>>, PollFailure> {
    ask(people, |person| {
        let (client, short) = (Arc::clone(client), short.clone());
        async move {
            let mut is_in = Some(false);
            for group in &short {
                match client.is_in(group, &person).await? {
                    Some(true) => return Ok(Some(true)),
                    Some(false) => {}
                    None => is_in = None,
                }
            }
            Ok(is_in)
        }
    })
    .await
}
