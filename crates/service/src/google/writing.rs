//! The one road for a poll: what differs, written in small transactions by the same functions as a SCIM call.
//!
//! Who leaves goes first, before anything else of the run, and leaves whatever else cannot be stored of them: a name that
//! somebody else has here delays the name, never the leaving. Whoever moves from one group to another is added before they
//! are removed, so that nobody who keeps their access loses it for a moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use portcullis_domain::cause::CauseKind;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryGroupId, DirectoryUserId, RequestId};
use portcullis_domain::mapping::Facet;
use portcullis_domain::text::name_key;
use portcullis_store::db::Lock;
use portcullis_store::google::{self, Stage};
use portcullis_store::{Priority, StoreError, Tx, directory_user, membership};

use super::client::Client;
use super::comparing::{self, People};
use super::failure::PollFailure;
use super::reading::{Counts, Progress, WholeGroup};
use super::run::LEASE_S;
use crate::brake;
use crate::newcomer::hold_names_of;
use crate::noun::Noun;
use crate::provisioning::{self, GroupSaid, MembersSaid, PersonSaid, Speaker};
use crate::{Moment, Portcullis, ServiceError};

/// People whom one transaction writes: a few milliseconds, so that nobody waits for a poll.
const PEOPLE_AT_ONCE: usize = 50;
/// Members whom one transaction adds or removes: each is settled in it.
const MEMBERS_AT_ONCE: usize = 100;
/// How many members are read at a time.
const PAGE: i64 = 1_000;

/// Whether those who are gone were named by what was read, or are missing from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// A list of those who were deleted names them.
    Named,
    /// The list of everybody leaves them out.
    Unstated,
}

/// One thing to write.
#[derive(Debug, Clone)]
enum Step {
    Remove(DirectoryUserId),
    /// Inactive, and nothing else that could be refused: everything else stays as it was said before.
    Stop(DirectoryUserId),
    Say(DirectoryUserId, Box<PersonSaid>),
    Tell(Box<PersonSaid>),
    NewGroup {
        id: String,
        email: String,
    },
    NameGroup(DirectoryGroupId, String),
    NameTogether(Vec<(DirectoryGroupId, String)>),
    Add(DirectoryGroupId, Vec<DirectoryUserId>),
    Take(DirectoryGroupId, Vec<DirectoryUserId>),
    DropGroup(DirectoryGroupId),
}

/// Writes for one run.
pub(super) struct Writer<'r> {
    pub(super) portcullis: &'r Portcullis,
    pub(super) client: &'r Arc<Client>,
    pub(super) run: RequestId,
    /// Where what is written is counted.
    pub(super) progress: &'r Arc<Progress>,
    /// What the directory's row shows of the run.
    pub(super) shown: &'r Arc<Progress>,
}

impl Writer<'_> {
    /// Writes what differs of people: who leaves first.
    ///
    /// # Errors
    /// [`PollFailure`].
    pub(super) async fn people(&self, differing: People, named: Missing) -> Result<(), PollFailure> {
        let People { gone, stopped, changed, new } = differing;
        let gone = match named {
            Missing::Named => gone,
            Missing::Unstated => self.part_missing(gone).await?,
        };
        let leaving: Vec<Step> = gone
            .into_iter()
            .map(Step::Remove)
            .chain(stopped.into_iter().map(|(id, said)| Step::Say(id, Box::new(said))))
            .collect();
        // Whoever is named here again is stopped already: what is left of it is the name.
        let renamed = self.write_once(leaving, Priority::OffBoarding).await?;
        let telling: Vec<Step> = changed
            .into_iter()
            .map(|(id, said)| Step::Say(id, Box::new(said)))
            .chain(renamed)
            .chain(new.into_iter().map(|said| Step::Tell(Box::new(said))))
            .collect();
        let stuck = self.write_taken(telling).await?;
        // Their names go round in a circle, or somebody of whom nothing is said has one: each is set aside first, so that
        // every name is free that can be, and everything else that is said of them counts.
        let aside = stuck.iter().filter_map(Step::set_aside).collect();
        self.write(aside, Priority::Ordinary).await?;
        self.write(stuck, Priority::Ordinary).await
    }

    /// Who of those who are missing is to be removed: the others are held by the directory's brake.
    async fn part_missing(&self, gone: Vec<DirectoryUserId>) -> Result<Vec<DirectoryUserId>, PollFailure> {
        let removed = self.under_lease(Priority::OffBoarding, move |tx, moment, speaker| {
            brake::part_missing(tx, moment, speaker, &gone)
        });
        Ok(removed.await?)
    }

    fn speaker(&self) -> Speaker {
        let source = self.client.source();
        Speaker {
            organization: source.organization,
            directory: source.directory,
            token: None,
            request: self.run,
            kind: CauseKind::Google,
        }
    }

    /// Writes what differs of groups and of who is in them. Google is asked everything first: what is decided about a loss
    /// and the loss itself follow each other, whatever it answers.
    ///
    /// # Errors
    /// [`PollFailure`].
    pub(super) async fn groups(&self, listed: &[WholeGroup]) -> Result<(), PollFailure> {
        let directory = self.client.source().directory;
        let gone = comparing::gone_groups(self.portcullis, self.client, listed, self.progress).await?;
        let before = self.known_groups().await?;
        let ids = comparing::ids(self.portcullis, directory).await?;
        let losses = self.losses(listed, &before, &ids).await?;
        let naming = listed.iter().filter_map(|group| match before.get(&group.id) {
            None => Some(Step::NewGroup { id: group.id.clone(), email: group.email.clone() }),
            Some((id, name)) => (*name != group.email).then(|| Step::NameGroup(*id, group.email.clone())),
        });
        // A name that a group had which is gone is free only after that group is dropped.
        let waiting = self.write_taken(naming.collect()).await?;
        let known = self.known_groups().await?;
        for group in listed {
            let Some((id, _)) = known.get(&group.id) else { continue };
            self.add_members(group, *id, &ids).await?;
        }
        for (group, losing) in losses {
            self.take_members(group, losing).await?;
        }
        self.write(gone.into_iter().map(Step::DropGroup).collect(), Priority::OffBoarding).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let stuck = self.write_taken(waiting).await?;
        self.name_together(stuck).await?;
        let named = self.known_groups().await?;
        for group in listed.iter().filter(|group| !known.contains_key(&group.id)) {
            let Some((id, _)) = named.get(&group.id) else { continue };
            self.add_members(group, *id, &ids).await?;
        }
        Ok(())
    }

    /// Groups whose names go round in a circle get them all at once: none of them has a name in between, and a mapping by
    /// name finds the same people or others, never nobody.
    async fn name_together(&self, stuck: Vec<Step>) -> Result<(), PollFailure> {
        let known = self.known_groups().await?;
        let holders: HashMap<String, DirectoryGroupId> =
            known.into_values().map(|(id, name)| (name_key(&name), id)).collect();
        let mut circle: BTreeMap<DirectoryGroupId, String> = BTreeMap::new();
        let mut others = Vec::new();
        for step in stuck {
            match step {
                Step::NameGroup(id, name) => {
                    circle.insert(id, name);
                }
                other => others.push(other),
            }
        }
        // Whoever waits for a group that keeps its name is in no circle, nor is who waits for them.
        loop {
            let is_free =
                |name: &String| holders.get(&name_key(name)).is_none_or(|id| circle.contains_key(id));
            let blocked: Vec<DirectoryGroupId> =
                circle.iter().filter(|(_, name)| !is_free(name)).map(|(id, _)| *id).collect();
            if blocked.is_empty() {
                break;
            }
            for id in blocked {
                others.extend(circle.remove(&id).map(|name| Step::NameGroup(id, name)));
            }
        }
        if !circle.is_empty() {
            self.write(vec![Step::NameTogether(circle.into_iter().collect())], Priority::Ordinary).await?;
        }
        self.write(others, Priority::Ordinary).await
    }

    /// Groups that are stored, by their ids there: id here and name.
    async fn known_groups(&self) -> Result<HashMap<String, (DirectoryGroupId, String)>, PollFailure> {
        let all = comparing::all_groups(self.portcullis, self.client.source().directory).await?;
        Ok(all.into_iter().filter_map(|g| Some((g.external_id?, (g.id, g.display_name)))).collect())
    }

    /// Who is in these groups no longer. Whoever a list leaves out that may be short is asked for.
    async fn losses(
        &self,
        listed: &[WholeGroup],
        known: &HashMap<String, (DirectoryGroupId, String)>,
        ids: &HashMap<String, DirectoryUserId>,
    ) -> Result<Vec<(DirectoryGroupId, Vec<DirectoryUserId>)>, PollFailure> {
        let mut losses = Vec::new();
        let mut unlisted = BTreeSet::new();
        for group in listed {
            let Some((id, _)) = known.get(&group.id) else { continue };
            let wanted = wanted(group, ids);
            let losing: Vec<DirectoryUserId> =
                self.stored_members(*id).await?.difference(&wanted).copied().collect();
            if !losing.is_empty() {
                unlisted.extend(group.unlisted.iter().cloned());
                losses.push((group, *id, losing));
            }
        }
        let left_out = comparing::left_out(self.client, unlisted).await?;
        let mut certain = Vec::new();
        for (group, id, mut losing) in losses {
            if !group.unlisted.is_disjoint(&left_out) {
                self.progress.note(|counts| counts.not_told += count(losing.len()));
                continue;
            }
            if !group.short.is_empty() {
                let stay = self.staying(group, &losing, ids).await?;
                losing.retain(|id| !stay.contains(id));
            }
            certain.push((id, losing));
        }
        Ok(certain)
    }

    /// Who of these people, whom the list of a group leaves out, is in it all the same, or may be.
    async fn staying(
        &self,
        group: &WholeGroup,
        losing: &[DirectoryUserId],
        ids: &HashMap<String, DirectoryUserId>,
    ) -> Result<BTreeSet<DirectoryUserId>, PollFailure> {
        let losing: BTreeSet<DirectoryUserId> = losing.iter().copied().collect();
        let named = ids.iter().filter(|(_, id)| losing.contains(id)).map(|(there, _)| there.clone());
        let mut told = comparing::still_in(self.client, &group.short, named.collect()).await?;
        told.retain(|_, is_in| *is_in != Some(false));
        let not_told = told.values().filter(|is_in| is_in.is_none()).count();
        self.progress.note(|counts| {
            counts.not_told += count(not_told);
            counts.missing_but_there += count(told.len() - not_told);
        });
        Ok(told.keys().filter_map(|there| ids.get(there).copied()).collect())
    }

    /// Adds who came into a group.
    async fn add_members(
        &self,
        listed: &WholeGroup,
        group: DirectoryGroupId,
        ids: &HashMap<String, DirectoryUserId>,
    ) -> Result<(), PollFailure> {
        let stored = self.stored_members(group).await?;
        let add: Vec<DirectoryUserId> = wanted(listed, ids).difference(&stored).copied().collect();
        let adds = add.chunks(MEMBERS_AT_ONCE).map(|some| Step::Add(group, some.to_vec())).collect();
        self.write(adds, Priority::Ordinary).await
    }

    /// Takes out of a group who left it.
    async fn take_members(
        &self,
        group: DirectoryGroupId,
        losing: Vec<DirectoryUserId>,
    ) -> Result<(), PollFailure> {
        if losing.is_empty() {
            return Ok(());
        }
        // Held whole or taken whole, whatever goes into one transaction.
        let all = losing.clone();
        let decided = self.under_lease(Priority::OffBoarding, move |tx, moment, speaker| {
            provisioning::lose_members(tx, moment, speaker, group, &all)
        });
        match decided.await {
            Ok(()) | Err(ServiceError::NotFound(Noun::Group)) => {}
            Err(error) => return Err(error.into()),
        }
        let takes = losing.chunks(MEMBERS_AT_ONCE).map(|some| Step::Take(group, some.to_vec())).collect();
        self.write(takes, Priority::OffBoarding).await
    }

    /// Everybody who is stored in a group: no more than the people whom polls told of.
    async fn stored_members(
        &self,
        group: DirectoryGroupId,
    ) -> Result<BTreeSet<DirectoryUserId>, PollFailure> {
        let all = self.portcullis.whole(
            PAGE,
            move |tx, after, page| google::members(tx, group, after, page),
            DirectoryUserId::to_string,
        );
        Ok(all.await?.into_iter().collect())
    }

    /// Writes these; what a name stands in the way of is tried once more at the end, then counted as refused.
    async fn write(&self, steps: Vec<Step>, priority: Priority) -> Result<(), PollFailure> {
        let again = self.write_once(steps, priority).await?;
        let refused = self.write_once(again, priority).await?;
        self.progress.note(|counts| counts.refused += count(refused.len()));
        Ok(())
    }

    /// Writes these; gives back what a name stands in the way of.
    async fn write_taken(&self, steps: Vec<Step>) -> Result<Vec<Step>, PollFailure> {
        let again = self.write_once(steps, Priority::Ordinary).await?;
        self.write_once(again, Priority::Ordinary).await
    }

    async fn write_once(&self, steps: Vec<Step>, priority: Priority) -> Result<Vec<Step>, PollFailure> {
        let mut taken = Vec::new();
        let mut steps = steps.into_iter().peekable();
        while let Some(first) = steps.next() {
            let mut chunk = vec![first];
            while chunk.len() < PEOPLE_AT_ONCE && chunk.iter().chain(steps.peek()).all(Step::is_small) {
                let Some(next) = steps.next() else { break };
                chunk.push(next);
            }
            match self.carry_out(chunk.clone(), priority).await {
                Ok(()) => {}
                Err(error @ (ServiceError::Store(_) | ServiceError::Fault(_))) => return Err(error.into()),
                // One of them is refused, and with it all of the transaction: each by itself.
                Err(_) => taken.extend(self.each(chunk, priority).await?),
            }
        }
        Ok(taken)
    }

    async fn each(&self, steps: Vec<Step>, priority: Priority) -> Result<Vec<Step>, PollFailure> {
        let mut taken = Vec::new();
        for step in steps {
            let Some(refusal) = self.refusal(step.clone(), priority).await? else { continue };
            if let Some(stop) = step.stop()
                && let Some(refusal) = self.refusal(stop, Priority::OffBoarding).await?
            {
                self.note_refusal(&refusal);
            }
            match refusal {
                ServiceError::Taken(_) => taken.push(step),
                refusal => self.note_refusal(&refusal),
            }
        }
        Ok(taken)
    }

    /// Writes this by itself; why it is refused, if it is.
    async fn refusal(&self, step: Step, priority: Priority) -> Result<Option<ServiceError>, PollFailure> {
        match self.carry_out(vec![step], priority).await {
            // Gone meanwhile: an administrator deleted it, or there is nothing left to do.
            Ok(()) | Err(ServiceError::NotFound(Noun::User | Noun::Group)) => Ok(None),
            Err(error @ (ServiceError::Store(_) | ServiceError::Fault(_))) => Err(error.into()),
            Err(refusal) => Ok(Some(refusal)),
        }
    }

    fn note_refusal(&self, refusal: &ServiceError) {
        tracing::warn!(
            directory.id = %self.client.source().directory, run.id = %self.run,
            error.code = refusal.code(), error.message = %refusal,
            "something that Google says cannot be stored"
        );
        self.progress.note(|counts| counts.refused += 1);
    }

    async fn carry_out(&self, steps: Vec<Step>, priority: Priority) -> Result<(), ServiceError> {
        let done = self.under_lease(priority, move |tx, moment, speaker| {
            let mut counts = Counts::default();
            if steps.len() > 1 {
                // All of them before the first member is: each by itself has its own in that order.
                let said = steps.iter().filter_map(Step::said);
                hold_names_of(tx, speaker.organization, said.map(PersonSaid::names))?;
            }
            for step in &steps {
                carry(tx, moment, speaker, (step, &mut counts))?;
            }
            Ok(counts)
        });
        let done = done.await?;
        self.progress.note(|counts| counts.add(done));
        Ok(())
    }

    /// One transaction: holds the directory first, then writes. A run that lost it writes nothing.
    async fn under_lease<T: Send + 'static>(
        &self,
        priority: Priority,
        mut write: impl FnMut(&mut Tx<'_>, &mut Moment, Speaker) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (directory, run, speaker) = (self.client.source().directory, self.run, self.speaker());
        let progress = serde_json::to_string(&self.shown.counts()).unwrap_or_else(|_| "{}".to_owned());
        let phase = self.shown.phase();
        let asked = self.client.source().clone();
        self.portcullis
            .write(priority, move |tx, moment| {
                // The rules before the row, as whoever changes the source has them: locks are taken in one order.
                tx.lock(Lock::Rules(speaker.organization))?;
                let stage = Stage { phase, progress: &progress };
                let held = google::keep(tx, (directory, run), stage, LEASE_S)?;
                // Facts of a directory that was deleted meanwhile would be nobody's. And of whom another customer or domain was
                // asked, that says nothing of those who are asked for now: whoever is not of it would be gone.
                let source = google::source(tx, speaker.organization, directory)?
                    .filter(|now| held && now.customer == asked.customer && now.domain == asked.domain);
                let source = source.ok_or(ServiceError::Store(StoreError::Fenced))?;
                // What was read before somebody chose another right is still what the former one brought.
                moment.spoken_from = asked.believed_up_to.min(source.believed_up_to);
                write(tx, moment, speaker)
            })
            .await
    }
}

impl Step {
    /// Of this, that somebody is inactive: true and to be said, whatever else of it is refused.
    fn stop(&self) -> Option<Self> {
        match self {
            Self::Say(id, said) if said.active == Some(false) => Some(Self::Stop(*id)),
            _ => None,
        }
    }

    /// Who is told of, if somebody is.
    fn said(&self) -> Option<&PersonSaid> {
        match self {
            Self::Say(_, said) | Self::Tell(said) => Some(said),
            _ => None,
        }
    }

    /// The same person under a name that nobody else has, their id.
    fn set_aside(&self) -> Option<Self> {
        let Self::Say(id, said) = self else { return None };
        let user_name = said.external_id.clone()?;
        Some(Self::Say(*id, Box::new(PersonSaid { user_name, ..(**said).clone() })))
    }

    /// Whether it touches one person or group: several of these go into one transaction.
    const fn is_small(&self) -> bool {
        !matches!(self, Self::Add(..) | Self::Take(..) | Self::DropGroup(_) | Self::NameTogether(_))
    }
}

/// Who is in a group by its list, as far as they are stored.
fn wanted(listed: &WholeGroup, ids: &HashMap<String, DirectoryUserId>) -> BTreeSet<DirectoryUserId> {
    listed.members.iter().filter_map(|id| ids.get(id).copied()).collect()
}

fn count(many: usize) -> u64 {
    u64::try_from(many).unwrap_or(u64::MAX)
}

fn carry(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    (step, counts): (&Step, &mut Counts),
) -> Result<(), ServiceError> {
    match step {
        Step::Remove(id) => {
            provisioning::delete_user(tx, moment, speaker, *id)?;
            counts.ended += 1;
        }
        Step::Stop(id) => {
            let facets = directory_user::facets(tx, *id)?;
            let mut was_active = false;
            provisioning::change_user(tx, moment, speaker, *id, |before| {
                was_active = before.inactive_at.is_none();
                Ok(stopped(before, facets))
            })?;
            counts.ended += u64::from(was_active);
        }
        Step::Say(id, said) => {
            let mut was_active = false;
            let user = provisioning::tell_again(tx, moment, speaker, *id, |before| {
                was_active = before.inactive_at.is_none();
                Ok((**said).clone())
            })?;
            let stops = was_active && user.inactive_at.is_some();
            if stops { counts.ended += 1 } else { counts.updated += 1 }
        }
        Step::Tell(said) if said.active == Some(false) && !is_known_here(tx, speaker, said)? => {
            counts.left_aside += 1;
        }
        Step::Tell(said) => {
            provisioning::create_user(tx, moment, speaker, said)?;
            counts.created += 1;
        }
        Step::NewGroup { id, email } => {
            provisioning::create_group(tx, moment, speaker, (email, Some(id)), &[])?;
            counts.groups_changed += 1;
        }
        Step::NameGroup(id, email) => {
            let name = [GroupSaid::DisplayName(email.clone())];
            provisioning::change_group(tx, moment, speaker, *id, &name)?;
            counts.groups_changed += 1;
        }
        Step::NameTogether(names) => {
            provisioning::rename_together(tx, moment, speaker, names)?;
            counts.groups_changed += count(names.len());
        }
        Step::Add(id, users) => {
            let add = [GroupSaid::Members(MembersSaid::Add(users.clone()))];
            provisioning::change_group(tx, moment, speaker, *id, &add)?;
            counts.members_added += count(users.len());
        }
        Step::Take(id, users) => {
            let take = [GroupSaid::Members(MembersSaid::Lose(users.clone()))];
            provisioning::change_group(tx, moment, speaker, *id, &take)?;
            counts.members_removed += count(users.len());
        }
        Step::DropGroup(id) => {
            provisioning::delete_group(tx, moment, speaker, *id)?;
            counts.groups_changed += 1;
        }
    }
    Ok(())
}

/// What was said of somebody before, and that they are inactive.
fn stopped(before: &DirectoryUser, facets: BTreeSet<Facet>) -> PersonSaid {
    PersonSaid {
        external_id: before.external_id.clone(),
        user_name: before.user_name.clone(),
        display_name: before.display_name.clone(),
        full_name: String::new(),
        emails: before.email_keys.clone(),
        active: Some(false),
        facets,
        attributes: before.attributes.clone(),
    }
}

/// Whether a living member has one of these addresses: of them the directory is heard though it says suspended. Of
/// others who are suspended and were never here there is nothing to end.
fn is_known_here(tx: &mut Tx<'_>, speaker: Speaker, said: &PersonSaid) -> Result<bool, ServiceError> {
    for key in said.email_keys() {
        if !membership::living_by_email(tx, speaker.organization, &key)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
