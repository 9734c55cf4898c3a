//! What a restore does before anybody may act again: it revives nobody (invariant I4).
//!
//! A backup says who was active and which tokens were good when it was taken. So every token in it ends, and whoever a
//! directory governs is suspended until that directory has spoken of them again. Of everybody else the database that is
//! replaced says what became of them: who left since is off-boarded, who was suspended since is suspended. Where nothing
//! says so, whoever has a life of their own is suspended until an administrator lifts it, and so is whom a directory kept out
//! there that does not govern them here. So is whom only claims govern: these speak when the person signs in, and would let in
//! whomever they are to keep out.

use std::collections::BTreeSet;

use portcullis_domain::Timestamp;
use portcullis_domain::access::EndedBecause;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{
    DirectoryChange, MembershipChange, OrganizationChange, TokenChange, TokenSet, TombstoneChange,
};
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::organization::Organization;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::token::TokenEnd;
use portcullis_store::audit::Head;
use portcullis_store::db::Lock;
use portcullis_store::membership::{self, MembershipFilter};
use portcullis_store::tombstone::{self, Laid};
use portcullis_store::{Tx, directory, hold, instance, organization};
use serde_json::json;

use crate::access::off_board_member;
use crate::noun::Noun;
use crate::{Moment, ServiceError, first_owner, rules};

/// Organizations that are looked at together.
const PAGE: i64 = 100;

/// The next organizations after that id, in order of id.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn organizations(tx: &mut Tx<'_>, after: &str) -> Result<Vec<Organization>, ServiceError> {
    Ok(organization::list(tx, Some(after), PAGE)?)
}

/// The head of an organization's log in the database that is replaced, if it had one.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn head(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Option<Head>, ServiceError> {
    Ok(portcullis_store::audit::head(tx, organization)?)
}

/// Ends every token of an organization, but for what had run out a day before its log ends, and makes everything that its
/// directories say wait for them; how many tokens ended. Stored access is stale from here on, so a check refuses at once;
/// [`bring_in_step`] stores what follows.
///
/// Its event says which log ends here: whoever kept a head of that one tells by it that a backup was restored, and that nobody
/// wrote another log in its place without saying so.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn revive_nobody(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: &Organization,
    replaced: Option<&Head>,
) -> Result<u64, ServiceError> {
    let id = organization.id;
    let replaced =
        replaced.map(|head| json!({ "number": head.number, "link": head.link, "at": head.at.rfc3339() }));
    let event = EventDraft::new(Action::BackupRestored, id).with(json!({ "replaced": replaced }));
    // By the backup's own log: the clock of the machine that it is restored on may be ahead, and set right afterwards.
    let head = portcullis_store::audit::head(tx, id)?;
    let until = head.map_or(Timestamp::EPOCH, |head| head.at).min(moment.now);
    let end = TokenChange::ended(TokenSet::OfOrganization(until), TokenEnd::Restored, moment.now);
    let plan = Plan::because(id, Cause::system()).then_all(
        event,
        vec![
            end.into(),
            DirectoryChange::Unconfirm(id, moment.now).into(),
            OrganizationChange::RaiseRules(id).into(),
        ],
    );
    Ok(moment.apply(tx, &plan)?.tokens_ended)
}

/// What became of somebody between the backup and its restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// They were there still.
    Stayed,
    /// They were suspended.
    Suspended,
    /// They were kept out by no person's order: what a directory said was held, was settling or was due.
    KeptOut,
    /// They waited for that directory, of which nothing had been heard since another restore, or since other claims are read.
    Waited(DirectoryId),
    /// They left.
    Left(EndedBecause),
    /// Nobody knows.
    Unknown,
}

/// How many people a restore ended or suspended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Off-boarded: they had left.
    pub ended: usize,
    /// Suspended: they had been, or nobody knows.
    pub suspended: usize,
}

/// The next people of the backup after that id, in order of id, ended ones too.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn people(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
) -> Result<Vec<Membership>, ServiceError> {
    Ok(membership::list_page(tx, organization, &MembershipFilter::default(), after, PAGE)?)
}

/// What became of them, in the database that is replaced.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn since(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    people: &[MembershipId],
    now: Timestamp,
) -> Result<Vec<Since>, ServiceError> {
    let waiting = membership::unconfirmed(tx, organization, people)?;
    let mut all = Vec::with_capacity(people.len());
    for id in people {
        // As it is now: what was said there last may not have been stored yet.
        all.push(match crate::membership::find(tx, organization, *id, now) {
            Err(ServiceError::NotFound(Noun::Member)) => Since::Unknown,
            found => {
                let member = found?;
                match (became(&member), member.governed_by) {
                    (Since::KeptOut, Some(governor))
                        if waiting.contains(id) && !hold::holds_end(tx, *id)? =>
                    {
                        Since::Waited(governor)
                    }
                    (became, _) => became,
                }
            }
        });
    }
    Ok(all)
}

const fn became(member: &Membership) -> Since {
    match (member.ended, member.suspended_at, member.access.state) {
        (Some((_, because)), _, _) => Since::Left(because),
        (None, Some(_), _) => Since::Suspended,
        (None, None, MembershipState::Active | MembershipState::Invited) => Since::Stayed,
        (None, None, MembershipState::Suspended | MembershipState::Deprovisioned) => Since::KeptOut,
    }
}

/// For whom somebody waits whom a directory governs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Their directory has to speak of them again.
    ForDirectory,
    /// And somebody has to lift their suspension.
    ForBoth,
}

/// For whom somebody waits, if they do: whoever a directory governs waits for it, also if a person suspended them.
#[must_use]
pub fn waits(member: &Membership) -> Option<Waits> {
    let is_out = member.access.state == MembershipState::Suspended && member.ended.is_none();
    match (member.governed_by, member.suspended_at) {
        (Some(_), None) if is_out => Some(Waits::ForDirectory),
        (Some(_), Some(_)) if is_out => Some(Waits::ForBoth),
        _ => None,
    }
}

/// Which of these members wait for their directory to speak of them again; a page of them at most.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn waiting(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    people: &[MembershipId],
) -> Result<BTreeSet<MembershipId>, ServiceError> {
    Ok(membership::unconfirmed(tx, organization, people)?)
}

/// What is to be done about somebody of the backup.
enum Wanted {
    Nothing,
    Suspend,
    End,
}

/// Whether no directory speaks of somebody unless they come themselves: none governs them, or one of claims.
fn is_on_their_own(tx: &mut Tx<'_>, member: &Membership) -> Result<bool, ServiceError> {
    let Some(governor) = member.governed_by else { return Ok(true) };
    let found = directory::find(tx, member.organization, governor)?;
    Ok(found.is_some_and(|directory| !directory.kind.tells_of_everybody()))
}

fn wanted(tx: &mut Tx<'_>, member: &Membership, since: Since) -> Result<Wanted, ServiceError> {
    let on_their_own = is_on_their_own(tx, member)?;
    let was_let_in = member.joined_at.is_some() || member.governed_by.is_some();
    let since = match since {
        // The backup may be older than the directory, which will not be waited for then.
        Since::Waited(governor) if directory::find(tx, member.organization, governor)?.is_none() => {
            Since::KeptOut
        }
        since => since,
    };
    Ok(match since {
        _ if member.ended.is_some() => Wanted::Nothing,
        Since::Stayed | Since::Waited(_) => Wanted::Nothing,
        // What a directory took away it takes away again by not speaking of them; what a person did, it does not know.
        Since::Left(EndedBecause::Administrator) => Wanted::End,
        Since::Left(_) if on_their_own => Wanted::End,
        Since::Left(_) => Wanted::Nothing,
        Since::Suspended if member.suspended_at.is_none() => Wanted::Suspend,
        Since::Suspended => Wanted::Nothing,
        // The directory that kept them out may have come after the backup, which knows nothing of it then.
        Since::KeptOut if on_their_own && was_let_in && member.suspended_at.is_none() => Wanted::Suspend,
        Since::KeptOut => Wanted::Nothing,
        // Whoever was only invited has no way in: the link ended with every other token, and without one no connection
        // lets them in either.
        Since::Unknown if on_their_own && was_let_in && member.suspended_at.is_none() => Wanted::Suspend,
        Since::Unknown => Wanted::Nothing,
    })
}

/// Takes from people of the backup what was taken from them since.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn carry_over(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    people: &[(MembershipId, Since)],
) -> Result<Taken, ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let mut taken = Taken::default();
    let cause = Cause::system();
    for (id, since) in people {
        let Some(member) = membership::find_locked(tx, *id)? else { continue };
        match wanted(tx, &member, *since)? {
            Wanted::Nothing => {}
            Wanted::End => {
                let reason = "they had left when the backup was restored";
                off_board_member(tx, moment, organization, *id, reason, cause)?;
                taken.ended += 1;
            }
            Wanted::Suspend => {
                let event = EventDraft::new(Action::MemberSuspended, *id).with(json!({ "by": "restore" }));
                let ordered = MembershipChange::SetSuspended(*id, Some((moment.now, Rank::ROOT)));
                let plan = Plan::because(organization, cause).then(event, ordered);
                moment.apply(tx, &plan)?;
                taken.suspended += 1;
            }
        }
    }
    Ok(taken)
}

/// The next identifiers of people who had left, in the database that is replaced.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn tombstones(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&Laid>,
) -> Result<Vec<Laid>, ServiceError> {
    Ok(tombstone::page(tx, organization, after, PAGE)?)
}

/// Lays them in the backup, but for people who live in it: they wait for their directory, which may bring them back.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn lay(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    laid: &[Laid],
) -> Result<(), ServiceError> {
    let mut changes = Vec::new();
    for Laid { identifier, membership: of, at } in laid {
        if membership::find(tx, organization, *of)?.is_some_and(|member| member.ended.is_none()) {
            continue;
        }
        let (membership, identifiers, at) = (*of, vec![identifier.clone()], *at);
        changes.push(TombstoneChange::Lay { membership, identifiers, at }.into());
    }
    if !changes.is_empty() {
        let event = EventDraft::new(Action::TombstoneLaid, organization)
            .with(json!({ "identifiers": changes.len() }));
        let plan = Plan::because(organization, Cause::system()).then_all(event, changes);
        moment.apply(tx, &plan)?;
    }
    Ok(())
}

/// Stores what follows for some memberships; how many there were. Zero means that everything is stored.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn bring_in_step(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: &Organization,
) -> Result<usize, ServiceError> {
    rules::step(tx, moment, organization.id, rules::MAX_AT_ONCE)
}

/// What the installation knows beside its organizations: another course of events begins at that revision, and the
/// link for a first owner is good no more.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn begin_timeline(tx: &mut Tx<'_>, timeline: &str, revision: i64) -> Result<(), ServiceError> {
    instance::put(tx, instance::TIMELINE, timeline)?;
    instance::raise_revision(tx, revision)?;
    first_owner::withdraw_link(tx)
}
