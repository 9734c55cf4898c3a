//! What a directory says of people and groups, kept as it was said, and carried out before its answer.
//!
//! Whatever the protocol (SCIM, Google Directory), it ends here: facts are written, then [`crate::access`] decides for each
//! membership that they touch. Saying the same again writes nothing.

mod group;
mod nesting;
mod profile;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use portcullis_domain::access::{
    DirectoryFacts, Held, PersonFacts, RankedRole, Resolved, Statement, resolve,
};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::change::{Change, DirectoryUserChange, MembershipChange, TombstoneChange, UserChange};
use portcullis_domain::directory::Directory;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{
    DirectoryId, DirectoryUserId, MembershipId, OrganizationId, RequestId, ReviewId, UserId,
};
use portcullis_domain::mapping::{Facet, MAX_FACETS};
use portcullis_domain::membership::{Membership, Newcomer};
use portcullis_domain::plan::Plan;
use portcullis_domain::review::{Review, ReviewReason};
use portcullis_domain::role::Rank;
use portcullis_domain::text::{MAX_IDENTIFIER, domain_of, email_key, has_nul, name_key};
use portcullis_domain::user::User;
use portcullis_store::db::Lock;
use portcullis_store::facts::MapFacets;
use portcullis_store::{
    Tx, connection, directory, directory_user, domain, facts, hold, mapping, membership, review, role,
};
use serde_json::{Value, json};

use crate::access::{settle, settle_as};
use crate::error::DirectoryRefusal;
use crate::membership::settled;
use crate::newcomer::hold_names;
use crate::role::{highest_given, spoken_below};
use crate::{Moment, ServiceError};

pub(crate) use group::lose_members;
pub use group::{GroupSaid, MAX_MEMBERS_PER_CALL, change_group, create_group, delete_group, hold_rules};
pub use nesting::{MAX_PLACES_BELOW, MAX_READ_AT_ONCE, MAX_SUBGROUPS};

/// The most bytes of all attributes of one person: calls that each add a little must not grow a row without end.
pub const MAX_ATTRIBUTES_BYTES: usize = 1024 * 1024;
/// The most addresses of a person that one event tells of, each way: a line of an export is bounded.
const MAX_EMAILS_TOLD: usize = 100;

/// The most members that one review shows as whom a person may be.
const MAX_CANDIDATES: usize = 20;

/// Which directory speaks, in which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// Its organization.
    pub organization: OrganizationId,
    /// The directory.
    pub directory: DirectoryId,
    /// The request, or the run of a poll.
    pub request: RequestId,
    /// By which door it speaks.
    pub kind: CauseKind,
}

impl Speaker {
    /// A directory that speaks SCIM in this request.
    #[must_use]
    pub const fn scim(organization: OrganizationId, directory: DirectoryId, request: RequestId) -> Self {
        Self { organization, directory, request, kind: CauseKind::Scim }
    }

    /// The cause of everything that follows from this call.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        Cause {
            kind: self.kind,
            actor: Actor::Directory(self.directory),
            request: Some(self.request),
            event: None,
            directory: Some(self.directory),
        }
    }
}

/// What a directory says of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSaid {
    /// The directory's own key.
    pub external_id: Option<String>,
    /// The name it signs them in with.
    pub user_name: String,
    /// The display name; empty if there is none.
    pub display_name: String,
    /// What the person is called where a display name is missing; empty if nothing is known.
    pub full_name: String,
    /// E-mail addresses as written, the primary one first.
    pub emails: Vec<String>,
    /// Whether the person is active; `None` keeps what was said before (active for a new person).
    pub active: Option<bool>,
    /// What of the attributes, and of the units that the person is in, a mapping can name.
    pub facets: BTreeSet<Facet>,
    /// Every attribute as JSON text with sorted keys, so that the same said again is the same text. Of `active` only
    /// that it was removed.
    pub attributes: String,
}

impl PersonSaid {
    fn check(&self) -> Result<(), ServiceError> {
        let invalid = |field, message: &str| {
            Err(DirectoryRefusal::InvalidValue { field, message: message.to_owned() }.into())
        };
        if self.user_name.trim().is_empty() {
            return invalid("userName", "must not be empty");
        }
        let user_name = ("userName", &self.user_name);
        let external_id = self.external_id.iter().map(|id| ("externalId", id));
        let mut keys = std::iter::once(user_name).chain(external_id.clone());
        if let Some((field, _)) = keys.find(|(_, text)| text.len() > MAX_IDENTIFIER) {
            return invalid(field, "has at most 1,024 bytes");
        }
        if self.attributes.len() > MAX_ATTRIBUTES_BYTES {
            return invalid("User", "all attributes together have at most 1,048,576 bytes");
        }
        if self.facets.len() > MAX_FACETS {
            return invalid("User", "at most 2,000 values that a mapping could name");
        }
        let names = [user_name, ("displayName", &self.display_name), ("name", &self.full_name)];
        let emails = self.emails.iter().map(|email| ("emails", email));
        let mut texts =
            names.into_iter().chain(external_id).chain(emails).chain([("User", &self.attributes)]);
        if let Some((field, _)) = texts.find(|(_, text)| has_nul(text)) {
            return invalid(field, "U+0000 cannot be stored");
        }
        Ok(())
    }

    /// What the member is called here.
    fn name(&self) -> String {
        let named = [&self.display_name, &self.full_name].into_iter().find(|name| !name.trim().is_empty());
        named.cloned().unwrap_or_default()
    }

    /// Every name by which somebody could come in as the same person, first the address that stands for them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let addresses = self.emails.iter().filter(|address| email_key(address).is_ok());
        let others = [&self.user_name].into_iter().chain(&self.external_id).chain(addresses);
        std::iter::once(self.main_address()).chain(others.map(String::as_str))
    }

    /// Keys of the addresses that are any, without repetition.
    pub(crate) fn email_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for key in self.emails.iter().filter_map(|e| email_key(e).ok()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The address that stands for the person here: the primary e-mail, or a user name that is one.
    fn address(&self) -> String {
        self.main_address().to_owned()
    }

    fn main_address(&self) -> &str {
        self.emails.iter().find(|e| email_key(e).is_ok()).unwrap_or(&self.user_name)
    }
}

/// Tells of a new person. Somebody whom the organization knows by a proven address is recognized; everybody else
/// gets a membership of their own, whoever had the same names before.
///
/// # Errors
/// [`ServiceError::Taken`] if the directory has that `userName` already.
pub fn create_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    said: &PersonSaid,
) -> Result<DirectoryUser, ServiceError> {
    said.check()?;
    tx.lock(Lock::Rules(speaker.organization))?;
    let directory = directory::find(tx, speaker.organization, speaker.directory)?
        .ok_or(ServiceError::NotFound("directory"))?;
    hold_names(tx, speaker.organization, said.names())?;
    let now = moment.now;
    let (known, unsure) = match recognize(tx, moment, &directory, said)? {
        Recognized::Known(known) => (Some(*known), None),
        Recognized::Nobody(unsure) => (None, unsure),
    };
    let rules = facts::rules_at(tx, speaker.organization, speaker.directory)?;
    let membership = match &known {
        Some(known) => known.id,
        None => MembershipId::fresh(now, &mut moment.random),
    };
    let user = DirectoryUser {
        id: DirectoryUserId::fresh(now, &mut moment.random),
        organization: speaker.organization,
        directory: speaker.directory,
        membership,
        external_id: said.external_id.clone(),
        user_name: said.user_name.clone(),
        display_name: said.display_name.clone(),
        email_keys: said.email_keys(),
        inactive_at: (said.active == Some(false)).then_some(now),
        unconfirmed_at: None,
        attributes: said.attributes.clone(),
        believed_up_to: spoken_from(tx, moment, speaker)?,
        created_at: now,
        updated_at: now,
    };
    let event = EventDraft::new(Action::DirectoryUserCreated, user.id)
        .about(membership)
        .with(json!({ "active": user.inactive_at.is_none(), "recognized": known.is_some() }));
    let mut changes = vec![DirectoryUserChange::Create(Box::new(user.clone())).into()];
    changes.extend(facets_said(&user, &BTreeSet::new(), &said.facets, speaker.request));
    if user.inactive_at.is_none() {
        // The directory names them anew; what the former person had stays behind (tombstones of subjects too).
        changes.push(named_anew(&user));
    }
    let mut plan = Plan::because(speaker.organization, speaker.cause()).then_all(event, changes);
    if known.is_none() {
        plan = new_member(tx, moment, plan, &directory, said, (&user, rules.number))?;
    }
    let cause = moment.apply(tx, &plan)?.cause;
    if let Some((reason, candidates)) = unsure {
        let id = ReviewId::fresh(now, &mut moment.random);
        review::open(tx, &Review::new(id, &user, (reason, candidates), now))?;
    }
    let mapped = match rules.map_facets {
        MapFacets::Some => mapping::is_facet_mapped(tx, speaker.directory, &said.facets)?,
        MapFacets::None => false,
    };
    if known.is_some() || user.inactive_at.is_some() || mapped {
        settle(tx, moment, membership, cause)?;
    }
    if known.is_some() {
        profile::follow(tx, moment, speaker, (&user, said), cause)?;
    }
    Ok(user)
}

/// What a directory identifies somebody by is theirs again, as far as it has a say in it.
fn named_anew(user: &DirectoryUser) -> Change {
    let (named, beside) = (user.names(), user.other_addresses());
    TombstoneChange::LiftSaid { directory: user.directory, named, beside }.into()
}

/// What to write so that somebody has these facets: what differs, no more.
fn facets_said(
    user: &DirectoryUser,
    before: &BTreeSet<Facet>,
    now: &BTreeSet<Facet>,
    request: RequestId,
) -> Vec<Change> {
    let only_in = |one: &BTreeSet<Facet>, other: &BTreeSet<Facet>| -> BTreeSet<Facet> {
        one.difference(other).cloned().collect()
    };
    let (new, gone) = (only_in(now, before), only_in(before, now));
    let mut changes = Vec::new();
    if !new.is_empty() {
        changes.push(DirectoryUserChange::AddFacets(user.id, user.directory, new, Some(request)).into());
    }
    if !gone.is_empty() {
        changes.push(DirectoryUserChange::RemoveFacets(user.id, gone).into());
    }
    changes
}

/// A new person's membership, with what follows from being known to the directory and in no group yet.
fn new_member(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    plan: Plan,
    directory: &Directory,
    said: &PersonSaid,
    (user, rules_number): (&DirectoryUser, i64),
) -> Result<Plan, ServiceError> {
    let now = moment.now;
    let default_role = match &directory.default_role {
        Some(slug) => role::find_by_slug(tx, directory.organization, slug)?.map(RankedRole::from),
        None => None,
    };
    let active = user.inactive_at.is_none();
    let facts = PersonFacts {
        joined_at: None,
        governed_by: None,
        suspended_at: None,
        unmapped_at: None,
        ended: None,
        directories: vec![DirectoryFacts {
            directory: directory.id,
            kind: directory.kind,
            // An inactive newcomer is stored as unknown to life; settling then ends it with a receipt of its own.
            statement: Statement::Active,
            default_role: default_role.filter(|_| active),
            settle_s: directory.settle_s,
        }],
        matched: vec![],
        grants: vec![],
        held: Held::No,
    };
    let member = User::new(UserId::fresh(now, &mut moment.random), now);
    let who = Newcomer {
        id: user.membership,
        organization: directory.organization,
        user: member.id,
        email: profile::free_address(tx, (directory.id, user), said)?,
        name: said.name(),
    };
    let Resolved { access, governed_by, .. } = resolve(&facts, now);
    let state = access.state;
    let membership = Membership { governed_by, access, ..Membership::new(who, state, rules_number, now) };
    let event = EventDraft::new(Action::MemberCreated, membership.id)
        .about(user.id)
        .with(json!({ "state": membership.access.state.as_str(), "role": membership.access.role }));
    Ok(plan.then_all(
        event,
        vec![UserChange::Create(member).into(), MembershipChange::Create(Box::new(membership)).into()],
    ))
}

/// Whether the organization knows a person already.
enum Recognized {
    /// As that member.
    Known(Box<Membership>),
    /// As nobody for certain; why it is not certain, and who it may be.
    Nobody(Option<(ReviewReason, Vec<MembershipId>)>),
}

/// Somebody whom the organization knows already: exactly one membership that has not ended has one of these addresses, it
/// is the one that stands for the person, its domain is proven, and this directory does not tell of the member yet. What
/// is less than that is for a person to decide.
fn recognize(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    directory: &Directory,
    said: &PersonSaid,
) -> Result<Recognized, ServiceError> {
    let mut found: Vec<Membership> = Vec::new();
    let (mut unproven, mut held, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
    let (addresses, user_name) = (said.email_keys(), email_key(&said.user_name).ok());
    let names: BTreeSet<String> = addresses.iter().take(1).chain(&user_name).cloned().collect();
    let keys: BTreeSet<String> = addresses.into_iter().chain(user_name).collect();
    for key in keys {
        let owner = domain::find_proven(tx, domain_of(&key))?;
        let proven = owner.is_some_and(|d| d.organization == directory.organization);
        for candidate in membership::living_by_email(tx, directory.organization, &key)? {
            if !proven {
                unproven.push(candidate.id);
                continue;
            }
            // Who has lost their life, and only the job has not come by yet, is a former person.
            let candidate = settled(tx, moment, directory.organization, candidate.id)?;
            if candidate.ended.is_some() {
                continue;
            }
            // Nor is it anybody whose end waits for an administrator: they would come back with everything they had.
            if hold::holds_end(tx, candidate.id)? {
                held.push(candidate.id);
            } else if !names.contains(&key) {
                doubtful.push(candidate.id);
            } else {
                found.push(candidate);
            }
        }
    }
    let unsure = |reason, mut people: Vec<MembershipId>| {
        people.sort_unstable();
        people.dedup();
        people.truncate(MAX_CANDIDATES);
        Ok(Recognized::Nobody(Some((reason, people))))
    };
    doubtful.retain(|id| !found.iter().any(|candidate| candidate.id == *id));
    match found.as_slice() {
        [only] if doubtful.is_empty() => {
            // Owners too: the first owner is often the administrator whom the provider tells of later, and they leave as
            // well. Whoever may make directories may therefore end anybody whom a proven address finds.
            let told = directory_user::of_membership(tx, only.id)?;
            if told.iter().any(|u| u.directory == directory.id) {
                return unsure(ReviewReason::AlreadyTold, vec![only.id]);
            }
            if is_lent(tx, moment, directory, (only.id, &told))? {
                return unsure(ReviewReason::ToldElsewhere, vec![only.id]);
            }
            Ok(Recognized::Known(Box::new(only.clone())))
        }
        [] if !doubtful.is_empty() => unsure(ReviewReason::OtherAddress, doubtful),
        [] if !held.is_empty() => unsure(ReviewReason::EndHeld, held),
        [] if !unproven.is_empty() => unsure(ReviewReason::DomainNotProven, unproven),
        [] => Ok(Recognized::Nobody(None)),
        several => {
            let all = several.iter().map(|m| m.id).chain(doubtful);
            unsure(ReviewReason::SeveralMembers, all.collect())
        }
    }
}

/// Whether somebody of whom these tell could be the doing of whoever speaks for one directory and may not have what another
/// gives: they would be given it as that person
/// ([why](../../../docs/decisions/0042-of-whom-two-directories-tell-is-lent-by-neither.md)).
fn is_lent(
    tx: &mut Tx<'_>,
    moment: &Moment,
    directory: &Directory,
    (member, told): (MembershipId, &[DirectoryUser]),
) -> Result<bool, ServiceError> {
    let organization = directory.organization;
    let given = highest_given(tx, organization, directory.id)?;
    for user in told {
        let theirs = highest_given(tx, organization, user.directory)?;
        // What the greater gives, whoever speaks for it has.
        let (lesser, rank, believed_up_to) = match theirs.cmp(&given) {
            Ordering::Less => (user.directory, given, user.believed_up_to),
            Ordering::Equal => continue,
            Ordering::Greater => (directory.id, theirs, moment.spoken_from),
        };
        // Whoever can speak for the lesser one would name an account of theirs, or has: what was said outlives its token.
        if believed_up_to < rank
            || spoken_below(tx, organization, (lesser, rank), moment.now)?.is_some()
            || is_linked_below(tx, organization, member, rank)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether somebody below that rank has said by which account a member comes in, but for a connection of a directory
/// that gives as much.
fn is_linked_below(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    member: MembershipId,
    rank: Rank,
) -> Result<bool, ServiceError> {
    for link in connection::links_of(tx, member)?.into_iter().filter(|link| link.believed_up_to < rank) {
        let by = connection::find(tx, organization, link.connection)?.and_then(|of| of.directory);
        let given = by.map_or(Ok(Rank::NONE), |of| highest_given(tx, organization, of))?;
        if given < rank {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How much of a person a directory says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Part,
}

/// Says a person anew, whole: what they are called is this speaker's word from now on.
///
/// # Errors
/// [`ServiceError::NotFound`] for a person whom the directory did not tell of.
pub fn replace_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    said: &PersonSaid,
) -> Result<DirectoryUser, ServiceError> {
    say(tx, moment, speaker, (id, Extent::Whole), |_| Ok(said.clone()))
}

/// The same, for whoever wants to see what was said before.
///
/// # Errors
/// As [`replace_user`]; what `whole` refuses.
pub(crate) fn tell_again(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    whole: impl FnOnce(&DirectoryUser) -> Result<PersonSaid, ServiceError>,
) -> Result<DirectoryUser, ServiceError> {
    say(tx, moment, speaker, (id, Extent::Whole), whole)
}

/// Changes what a directory says of a person. `change` turns what was said before into what is said now.
///
/// # Errors
/// [`ServiceError::NotFound`] for a person whom the directory did not tell of; what `change` refuses.
pub fn change_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    change: impl FnOnce(&DirectoryUser) -> Result<PersonSaid, ServiceError>,
) -> Result<DirectoryUser, ServiceError> {
    say(tx, moment, speaker, (id, Extent::Part), change)
}

fn say(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    (id, extent): (DirectoryUserId, Extent),
    change: impl FnOnce(&DirectoryUser) -> Result<PersonSaid, ServiceError>,
) -> Result<DirectoryUser, ServiceError> {
    tx.lock(Lock::Rules(speaker.organization))?;
    let old =
        directory_user::find_locked(tx, speaker.directory, id)?.ok_or(ServiceError::NotFound("user"))?;
    let said = change(&old)?;
    said.check()?;
    let inactive_at = match (said.active, old.inactive_at) {
        (Some(false), None) => Some(moment.now),
        (Some(true), _) => None,
        (Some(false) | None, before) => before,
    };
    let new = DirectoryUser {
        external_id: said.external_id.clone(),
        user_name: said.user_name.clone(),
        display_name: said.display_name.clone(),
        email_keys: said.email_keys(),
        inactive_at,
        // Whatever is said, it is said after the restore.
        unconfirmed_at: None,
        attributes: said.attributes.clone(),
        ..old.clone()
    };
    let believed_up_to = believed(tx, moment, speaker, (&old, &new), extent)?;
    let new = DirectoryUser { believed_up_to, ..new };
    if new == old {
        // Said again: nothing is written. Whoever is said to be inactive is settled all the same: it is a statement.
        profile::follow(tx, moment, speaker, (&old, &said), speaker.cause())?;
        if said.active == Some(false) {
            settle(tx, moment, old.membership, speaker.cause())?;
        }
        return Ok(old);
    }
    let before = directory_user::facets(tx, id)?;
    let differing: BTreeSet<Facet> = before.symmetric_difference(&said.facets).cloned().collect();
    let mapped = mapping::is_facet_mapped(tx, speaker.directory, &differing)?;
    let settles = mapped || old.inactive_at != new.inactive_at || old.unconfirmed_at.is_some();
    let is_renamed = is_renamed(&old, &new);
    // Names are locked before the member: whoever tells of somebody new has them in that order.
    if is_renamed {
        hold_names(tx, speaker.organization, said.names())?;
    } else if settles {
        profile::hold_address(tx, speaker, (&old, &said))?;
    }
    let new = DirectoryUser { updated_at: moment.now, ..new };
    let action = match (old.inactive_at, new.inactive_at) {
        (None, Some(_)) => Action::DirectoryUserDeactivated,
        (Some(_), None) => Action::DirectoryUserActivated,
        (None, None) if old.unconfirmed_at.is_some() => Action::DirectoryUserConfirmed,
        _ => Action::DirectoryUserUpdated,
    };
    let event = EventDraft::new(action, id).about(new.membership).with(renamed(&old, &new));
    let mut changes = vec![DirectoryUserChange::Update(Box::new(new.clone())).into()];
    changes.extend(facets_said(&new, &before, &said.facets, speaker.request));
    if new.inactive_at.is_none() && (old.inactive_at.is_some() || is_renamed) {
        // As with a new person: what the directory names anew is this person's now.
        changes.push(named_anew(&new));
    }
    let plan = Plan::because(speaker.organization, speaker.cause()).then_all(event, changes);
    let cause = moment.apply(tx, &plan)?.cause;
    if settles {
        settle(tx, moment, new.membership, cause)?;
    }
    profile::follow(tx, moment, speaker, (&new, &said), cause)?;
    Ok(new)
}

/// How far it is believed what somebody is called, once a speaker has spoken: their own word as far as that is worth; what
/// others said before and they leave, no further than it was; what they say again, as far as either.
fn believed(
    tx: &mut Tx<'_>,
    moment: &Moment,
    speaker: Speaker,
    (old, new): (&DirectoryUser, &DirectoryUser),
    extent: Extent,
) -> Result<Rank, ServiceError> {
    let before = old.believed_up_to;
    Ok(match (extent, is_renamed(old, new)) {
        (Extent::Whole, true) => spoken_from(tx, moment, speaker)?,
        (Extent::Whole, false) => before.max(spoken_from(tx, moment, speaker)?),
        (Extent::Part, true) => before.min(spoken_from(tx, moment, speaker)?),
        (Extent::Part, false) => before,
    })
}

/// How far a speaker's word is believed: as far as the lowest stands who could speak so, or as what the directory gives,
/// which they have without anybody's name. What it gives later they may never have had
/// ([why](../../../docs/decisions/0054-a-word-is-worth-what-its-directory-gave-when-it-was-said.md)).
fn spoken_from(tx: &mut Tx<'_>, moment: &Moment, speaker: Speaker) -> Result<Rank, ServiceError> {
    if moment.spoken_from == Rank::ROOT {
        return Ok(Rank::ROOT);
    }
    Ok(moment.spoken_from.max(highest_given(tx, speaker.organization, speaker.directory)?))
}

/// Whether any identifier changed by which people are recognized.
fn is_renamed(old: &DirectoryUser, new: &DirectoryUser) -> bool {
    name_key(&old.user_name) != name_key(&new.user_name)
        || old.external_id != new.external_id
        || old.email_keys != new.email_keys
}

/// What changed of the identifiers by which people are recognized, and what a first link is found by: what they were, and are.
/// Of the addresses those that went, and those that came.
fn renamed(old: &DirectoryUser, new: &DirectoryUser) -> Value {
    let said = |one: &DirectoryUser, other: &DirectoryUser| {
        let [these, those] = [one, other].map(|user| user.email_keys.iter().collect::<BTreeSet<_>>());
        let emails: Vec<_> = these.difference(&those).take(MAX_EMAILS_TOLD).collect();
        json!({ "user_name": one.user_name, "external_id": one.external_id, "emails": emails })
    };
    if is_renamed(old, new) { json!({ "from": said(old, new), "to": said(new, old) }) } else { Value::Null }
}

/// Deletes a person from a directory: gone from it at once, and their membership ends.
///
/// # Errors
/// [`ServiceError::NotFound`] for a person whom the directory did not tell of.
pub fn delete_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
) -> Result<(), ServiceError> {
    delete_user_because(tx, moment, (speaker.organization, speaker.directory), id, speaker.cause())
}

/// The same, where somebody else than the directory decides when: what the brake held is released.
///
/// # Errors
/// As [`delete_user`].
pub(crate) fn delete_user_because(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, directory): (OrganizationId, DirectoryId),
    id: DirectoryUserId,
    cause: Cause,
) -> Result<(), ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let user = directory_user::find_locked(tx, directory, id)?.ok_or(ServiceError::NotFound("user"))?;
    let event = EventDraft::new(Action::DirectoryUserDeleted, id).about(user.membership);
    let plan = Plan::because(organization, cause).then(event, DirectoryUserChange::Delete(id));
    let cause = moment.apply(tx, &plan)?.cause;
    settle_as(tx, moment, user.membership, cause, Some(directory))?;
    Ok(())
}
