//! Whole lists. What is read is kept in memory until all of it is there: nothing is written of a list whose next page
//! fails.
//!
//! Groups are read with their *direct* members and flattened here. Google would flatten them too, but people found its
//! flattened lists to be shorter than the truth at times, and a list that is short must take nothing away.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_domain::google::PollPhase;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::client::{Client, Found};
use super::failure::PollFailure;
use super::wire::{Group, Member, OrgUnits, Page, USER_FIELDS, User};

/// The most people of one directory: what a run keeps in memory is some 100 MB then.
const MAX_PEOPLE: usize = 200_000;
/// The most groups of one directory: at 2,000 a minute, a run of ten minutes.
const MAX_GROUPS: usize = 20_000;
/// The most memberships of one directory, after flattening.
const MAX_PLACES: usize = 2_000_000;
/// The most entries of lists that are walked to flatten them: groups that hold each other are walked anew for each.
const MAX_WALKED: usize = 4 * MAX_PLACES;
/// How many people a page is asked to have: the most that Google gives.
const PEOPLE_PAGE: &str = "500";
/// How many groups or members a page is asked to have: the most that Google gives.
const OTHERS_PAGE: &str = "200";

/// What a run has read and written until now; shown while it runs and kept of the last one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// People that were read.
    pub(super) people: u64,
    /// Groups that were read.
    pub(super) groups: u64,
    /// Groups whose members were read.
    pub(super) groups_read: u64,
    /// Organizational units that were read.
    pub(super) org_units: u64,
    /// People who are new here.
    pub(super) created: u64,
    /// People of whom something else is said.
    pub(super) updated: u64,
    /// People who are said to be suspended, archived or deleted, and were not before.
    pub(super) ended: u64,
    /// Groups that are new, renamed or gone.
    pub(super) groups_changed: u64,
    /// People who came into a group.
    pub(super) members_added: u64,
    /// People who left a group.
    pub(super) members_removed: u64,
    /// People or members who were missing from a list, and are there when asked for by name: nothing was taken.
    pub(super) missing_but_there: u64,
    /// Members who were missing from a list, and of whom Google does not tell whether they are there: nothing was taken.
    pub(super) not_told: u64,
    /// Suspended or archived people of whom nobody here ever heard.
    pub(super) left_aside: u64,
    /// What could not be stored, such as an address that is taken.
    pub(super) refused: u64,
}

impl Counts {
    /// Adds what a transaction wrote.
    pub(super) const fn add(&mut self, done: Self) {
        self.created += done.created;
        self.updated += done.updated;
        self.ended += done.ended;
        self.groups_changed += done.groups_changed;
        self.members_added += done.members_added;
        self.members_removed += done.members_removed;
        self.left_aside += done.left_aside;
    }

    /// Whether anything was written.
    pub(super) const fn has_written(&self) -> bool {
        self.created
            + self.updated
            + self.ended
            + self.groups_changed
            + self.members_added
            + self.members_removed
            > 0
    }
}

/// How far a run is, for whoever shows it meanwhile.
#[derive(Debug, Default)]
pub(super) struct Progress {
    counts: Mutex<Counts>,
    writing: AtomicBool,
}

impl Progress {
    pub(super) fn note(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything is read; from here on it is written.
    pub(super) fn begin_writing(&self) {
        self.writing.store(true, Ordering::Relaxed);
    }

    /// Whether it reads or writes.
    pub(super) fn phase(&self) -> PollPhase {
        if self.writing.load(Ordering::Relaxed) { PollPhase::Writing } else { PollPhase::Reading }
    }
}

/// A group with everybody in it, directly or through others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WholeGroup {
    pub(super) id: String,
    pub(super) email: String,
    /// Ids of people.
    pub(super) members: BTreeSet<String>,
    /// Groups whose list may be short, it or one below it: whoever is missing is asked for in each of them.
    pub(super) short: BTreeSet<String>,
    /// Groups below it of which the list of groups knows nothing.
    pub(super) unlisted: BTreeSet<String>,
}

/// Everything that a full poll reads, as it is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// By id.
    pub(super) people: BTreeMap<String, User>,
    /// Paths.
    pub(super) org_units: Vec<String>,
    groups: Vec<Group>,
    /// The direct members of each group that is still there, by the group's id.
    direct: HashMap<String, Vec<Member>>,
}

/// Reads everything.
///
/// # Errors
/// [`PollFailure`]: then nothing may be concluded from what was read.
pub(super) async fn read_all(client: &Arc<Client>, progress: &Arc<Progress>) -> Result<Listed, PollFailure> {
    let mut people = BTreeMap::new();
    for user in list_people(client, &[], progress).await? {
        people.insert(user.id.clone(), user);
    }
    let customer = client.source().customer.clone();
    let path = ["customer", customer.as_str(), "orgunits"];
    let units: OrgUnits = client.get(&path, &[("type", "all")]).await?;
    let org_units: Vec<String> =
        units.organization_units.into_iter().map(|unit| unit.org_unit_path).collect();
    progress.note(|counts| counts.org_units = count(org_units.len()));
    let groups = list_groups(client, progress).await?;
    let direct = list_members(client, &groups, progress).await?;
    Ok(Listed { people, org_units, groups, direct })
}

/// The customer to whom the administrator in whose name is asked belongs.
///
/// # Errors
/// As [`read_all`].
pub(super) async fn read_customer(client: &Client) -> Result<String, PollFailure> {
    let asks_as = client.source().right.asks_as();
    let admin = asks_as.ok_or(PollFailure::ConsentMissing)?.to_owned();
    let nobody = || PollFailure::AccessDenied(format!("`{admin}` is not found"));
    match client.find::<User>(&["users", &admin], &[("fields", USER_FIELDS)]).await? {
        Found::There(user) => user.customer_id.ok_or_else(|| PollFailure::Broken {
            call: "users".into(),
            why: "a person without `customerId`".into(),
        }),
        Found::Gone => Err(nobody()),
    }
}

/// Everybody whom Google says to be suspended or archived, and everybody whom it deleted in the last weeks.
///
/// # Errors
/// As [`read_all`].
pub(super) async fn read_leavers(
    client: &Arc<Client>,
    progress: &Arc<Progress>,
) -> Result<(Vec<User>, Vec<User>), PollFailure> {
    let mut stopped = list_people(client, &[("query", "isSuspended=true")], progress).await?;
    stopped.extend(list_people(client, &[("query", "isArchived=true")], progress).await?);
    // A query that was not understood would give everybody.
    stopped.retain(|user| user.active() == Some(false));
    let mut deleted = list_people(client, &[("showDeleted", "true")], progress).await?;
    deleted.retain(|user| user.deletion_time.is_some());
    Ok((stopped, deleted))
}

/// Brings a list that took its time up to date: who was suspended, archived or deleted while it was read counts as
/// that, whatever an earlier page said.
///
/// # Errors
/// As [`read_all`].
pub(super) async fn overtake(
    client: &Arc<Client>,
    listed: &mut Listed,
    progress: &Arc<Progress>,
) -> Result<(), PollFailure> {
    let people = progress.counts().people;
    let (stopped, deleted) = read_leavers(client, progress).await?;
    // These are no further people.
    progress.note(|counts| counts.people = people);
    for user in stopped {
        listed.people.insert(user.id.clone(), user);
    }
    for user in deleted {
        // Asked for by name before anything is concluded from it.
        listed.people.remove(&user.id);
    }
    Ok(())
}

fn count(many: usize) -> u64 {
    u64::try_from(many).unwrap_or(u64::MAX)
}

async fn list_people(
    client: &Client,
    more: &[(&str, &str)],
    progress: &Progress,
) -> Result<Vec<User>, PollFailure> {
    let fields = format!("kind,nextPageToken,users({USER_FIELDS})");
    let source = client.source();
    let mut query = vec![scope(source), ("maxResults", PEOPLE_PAGE), ("fields", &fields)];
    query.extend_from_slice(more);
    let wanted = List { path: &["users"], kind: "admin#directory#users", what: "people", most: MAX_PEOPLE };
    let read = |many| progress.note(|counts| counts.people += count(many));
    list(client, wanted, &query, read).await?.ok_or_else(unknown)
}

/// A list of nothing at all is no empty list.
fn unknown() -> PollFailure {
    PollFailure::CustomerUnknown("a list is not found".into())
}

/// Which people and groups are meant: Google wants one of the two.
fn scope(source: &portcullis_domain::google::GoogleSource) -> (&'static str, &str) {
    match &source.domain {
        Some(domain) => ("domain", domain),
        None => ("customer", &source.customer),
    }
}

async fn list_groups(client: &Client, progress: &Progress) -> Result<Vec<Group>, PollFailure> {
    let fields = "kind,nextPageToken,groups(id,email,directMembersCount)";
    let query = [scope(client.source()), ("maxResults", OTHERS_PAGE), ("fields", fields)];
    let wanted = List { path: &["groups"], kind: "admin#directory#groups", what: "groups", most: MAX_GROUPS };
    let read = |many| progress.note(|counts| counts.groups += count(many));
    list(client, wanted, &query, read).await?.ok_or_else(unknown)
}

/// The direct members of each group that is still there.
async fn list_members(
    client: &Arc<Client>,
    groups: &[Group],
    progress: &Arc<Progress>,
) -> Result<HashMap<String, Vec<Member>>, PollFailure> {
    let mut found = HashMap::with_capacity(groups.len());
    let mut places = 0_usize;
    let mut reading = JoinSet::new();
    let mut waiting = groups.iter().map(|group| group.id.clone());
    loop {
        while reading.len() < super::client::MAX_AT_ONCE {
            let Some(id) = waiting.next() else { break };
            let client = Arc::clone(client);
            reading.spawn(async move { (members_of(&client, &id).await, id) });
        }
        let Some(read) = reading.join_next().await else { return Ok(found) };
        let (members, id) = read.map_err(|error| PollFailure::Store(error.to_string()))?;
        progress.note(|counts| counts.groups_read += 1);
        if let Some(members) = members? {
            places = more_places(places, members.len())?;
            found.insert(id, members);
        }
    }
}

/// How many memberships there are with so many more, as far as a run takes them.
fn more_places(places: usize, more: usize) -> Result<usize, PollFailure> {
    match places.saturating_add(more) {
        places if places > MAX_PLACES => Err(PollFailure::TooMuch { what: "memberships", most: MAX_PLACES }),
        places => Ok(places),
    }
}

/// A group's direct members; `None` if the group went meanwhile.
async fn members_of(client: &Client, id: &str) -> Result<Option<Vec<Member>>, PollFailure> {
    let fields = "kind,nextPageToken,members(id,type)";
    let query = [("maxResults", OTHERS_PAGE), ("fields", fields)];
    let path = ["groups", id, "members"];
    let wanted = List { path: &path, kind: "admin#directory#members", what: "members", most: MAX_PEOPLE };
    list(client, wanted, &query, |_| {}).await
}

/// A list that is wanted whole.
struct List<'a> {
    path: &'a [&'a str],
    kind: &'static str,
    what: &'static str,
    most: usize,
}

/// Every page of a list, or nothing; `None` if what it is a list of is gone.
async fn list<T: DeserializeOwned>(
    client: &Client,
    wanted: List<'_>,
    query: &[(&str, &str)],
    read: impl Fn(usize),
) -> Result<Option<Vec<T>>, PollFailure> {
    let mut all: Vec<T> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    let mut token: Option<String> = None;
    let broken = |why: String| PollFailure::Broken { call: wanted.path.join("/"), why };
    loop {
        let mut query = query.to_vec();
        if let Some(token) = &token {
            query.push(("pageToken", token));
        }
        let page: Page<T> = match client.find(wanted.path, &query).await? {
            Found::There(page) => page,
            Found::Gone if token.is_none() => return Ok(None),
            Found::Gone => return Err(broken("the list ended in the middle".to_owned())),
        };
        if page.kind != wanted.kind {
            return Err(broken(format!("it is no `{}`", wanted.kind)));
        }
        read(page.items.len());
        all.extend(page.items);
        if all.len() > wanted.most {
            return Err(PollFailure::TooMuch { what: wanted.what, most: wanted.most });
        }
        let Some(next) = page.next_page_token.filter(|next| !next.is_empty()) else { return Ok(Some(all)) };
        // A page that leads back would be read for ever.
        if !seen.insert(next.clone()) {
            return Err(broken("a page leads back to one before".to_owned()));
        }
        token = Some(next);
    }
}

/// Everybody in each group, directly or through others. A group that is in itself is walked once.
///
/// # Errors
/// [`PollFailure::TooMuch`].
pub(super) fn flatten(listed: &Listed) -> Result<Vec<WholeGroup>, PollFailure> {
    let Listed { people, groups, direct, .. } = listed;
    let short: HashSet<&str> = groups
        .iter()
        .filter(|group| direct.get(&group.id).is_some_and(|list| may_be_short(group, list)))
        .map(|group| group.id.as_str())
        .collect();
    let mut whole = Vec::with_capacity(groups.len());
    let (mut places, mut walked) = (0_usize, 0_usize);
    for group in groups.iter().filter(|group| direct.contains_key(&group.id)) {
        let mut is = WholeGroup {
            id: group.id.clone(),
            email: group.email.clone(),
            members: BTreeSet::new(),
            short: BTreeSet::new(),
            unlisted: BTreeSet::new(),
        };
        let (mut seen, mut open) = (HashSet::from([group.id.as_str()]), vec![group.id.as_str()]);
        while let Some(id) = open.pop() {
            let Some(list) = direct.get(id) else {
                // A group of another customer or domain, or one that the list left out.
                is.unlisted.insert(id.to_owned());
                continue;
            };
            walked = walked.saturating_add(list.len());
            if walked > MAX_WALKED {
                return Err(PollFailure::TooMuch {
                    what: "memberships of groups in groups",
                    most: MAX_WALKED,
                });
            }
            if short.contains(id) {
                is.short.insert(id.to_owned());
            }
            for member in list {
                match (member.kind.as_deref(), member.id.as_deref()) {
                    (Some("CUSTOMER"), _) => is.members.extend(people.keys().cloned()),
                    (Some("GROUP"), Some(id)) if seen.insert(id) => open.push(id),
                    (_, Some(id)) if people.contains_key(id) => {
                        is.members.insert(id.to_owned());
                    }
                    // Somebody outside of the customer or the domain that is asked for.
                    _ => {}
                }
            }
        }
        places = more_places(places, is.members.len())?;
        whole.push(is);
    }
    Ok(whole)
}

/// Whether there may be people in a group whom its list leaves out. Google counts people alone: a group in it would stand
/// for one of them, and so would somebody whom two pages name.
fn may_be_short(group: &Group, list: &[Member]) -> bool {
    let is_person = |member: &&Member| member.kind.as_deref() == Some("USER");
    let people: HashSet<&str> =
        list.iter().filter(is_person).filter_map(|member| member.id.as_deref()).collect();
    let counted = group.direct_members_count.as_ref().and_then(|text| text.parse::<usize>().ok());
    // INVARIANT I11: a list of which nobody says how long it is may be short.
    counted.is_none_or(|counted| people.len() < counted)
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
