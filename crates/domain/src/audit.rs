//! Audit events, and the chain that lets a stranger verify them offline (invariant I5).
//!
//! A row is written with its salt in the transaction that changes access. After the commit one sequencer gives it a
//! dense number and links it: `commitment = SHA-256(salt ‖ canonical JSON)`, `link = SHA-256(previous link ‖ number ‖
//! commitment)`. The head is signed. Whoever holds an export can repeat every step.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::Timestamp;
use crate::cause::Cause;
use crate::id::{DirectoryId, EventId, OrganizationId, RequestId, TokenId};
use crate::text::{explained, texts};

/// Bytes of randomness in a salt: an event's content cannot be guessed from its commitment.
pub const SALT_BYTES: usize = 16;

explained! {
    /// What was done. The text is stable.
    pub enum Action {
        OrganizationCreated = "organization.created", "An organization was made.";
        OrganizationUpdated = "organization.updated", "An organization was renamed.";
        OrganizationDeleted = "organization.deleted", "An organization was deleted.";
        EnvironmentCreated = "environment.created", "An environment was made.";
        EnvironmentUpdated = "environment.updated", "An environment was renamed.";
        EnvironmentDeleted = "environment.deleted", "An environment was deleted.";
        TeamCreated = "team.created", "A team was made.";
        TeamUpdated = "team.updated", "A team was renamed.";
        TeamDeleted = "team.deleted", "A team was deleted.";
        RoleCreated = "role.created", "A role was made.";
        RoleUpdated = "role.updated", "A role was changed.";
        RoleDeleted = "role.deleted", "A role was deleted.";
        DomainAdded = "domain.added", "An e-mail domain was added.";
        DomainProven = "domain.proven", "An e-mail domain was proven or vouched for.";
        DomainRemoved = "domain.removed", "An e-mail domain was removed.";
        DirectoryCreated = "directory.created", "A directory was made.";
        DirectoryUpdated = "directory.updated", "A directory was changed.";
        DirectoryDeleted = "directory.deleted", "A directory was deleted.";
        DirectoryUserCreated = "directory_user.created", "A directory told of a person.";
        DirectoryUserUpdated = "directory_user.updated", "A directory changed what it says of a person.";
        DirectoryUserDeactivated = "directory_user.deactivated", "A directory said that a person is inactive.";
        DirectoryUserActivated = "directory_user.activated", "A directory said that a person is active again.";
        DirectoryUserConfirmed = "directory_user.confirmed", "A directory spoke of a person again after a backup was restored.";
        DirectoryUserDeleted = "directory_user.deleted", "A directory deleted a person.";
        DirectoryUserAttached = "directory_user.attached", "What a directory says was attached to a membership.";
        DirectoryGroupCreated = "directory_group.created", "A directory told of a group.";
        DirectoryGroupUpdated = "directory_group.updated", "A directory changed a group's name or key.";
        DirectoryGroupMembersChanged = "directory_group.members_changed", "A directory changed a group's members.";
        DirectoryGroupDeleted = "directory_group.deleted", "A directory deleted a group.";
        HoldOpened = "hold.opened", "A directory went over its brake's limit: what it would have ended is held.";
        HoldExtended = "hold.extended", "What a call or a poll took without naming anybody is held for these people.";
        HoldReleased = "hold.released", "An administrator released what the brake held; it is carried out.";
        HoldRefused = "hold.refused", "An administrator refused what the brake held; it is not carried out.";
        MemberHeld = "member.held", "A member's end is held by the brake: everything of theirs is refused, nothing has ended.";
        MemberUnheld = "member.unheld", "What was held of a member, of a group's or of a directory's is held no longer: the directory said otherwise.";
        TombstoneLifted = "tombstone.lifted", "Identifiers of a leaver are somebody else's: the directory had named them anew before the end was carried out.";
        TombstoneLaid = "tombstone.laid", "Identifiers of people who left after a backup was taken stay theirs after its restore.";
        ReviewAttached = "review.attached", "An administrator said which member a directory's person is.";
        ReviewDismissed = "review.dismissed", "An administrator said that a directory's person is somebody else.";
        ConnectionCreated = "connection.created", "A sign-in connection was made.";
        ConnectionUpdated = "connection.updated", "A sign-in connection was changed.";
        ConnectionConfirmed = "connection.confirmed", "An owner confirmed a connection's new keys or issuer.";
        ConnectionDeleted = "connection.deleted", "A sign-in connection was deleted.";
        CertificateOffered = "connection.certificate_offered", "A provider's metadata named a certificate that nobody has decided about.";
        CertificateTrusted = "connection.certificate_trusted", "Signatures of a certificate count from now on.";
        CertificateRetired = "connection.certificate_retired", "Signatures of a certificate count no longer.";
        ConnectionKeyCreated = "connection.key_created", "A connection got another key of ours.";
        ConnectionKeyUsed = "connection.key_used", "A connection signs with another key of ours.";
        ConnectionKeyRetired = "connection.key_retired", "A key of ours was retired.";
        ConnectionRefreshed = "connection.refreshed", "A provider's metadata says something else than before.";
        MappingCreated = "mapping.created", "A mapping was made.";
        MappingUpdated = "mapping.updated", "A mapping was changed.";
        MappingDeleted = "mapping.deleted", "A mapping was deleted.";
        GrantCreated = "grant.created", "A person gave a role.";
        GrantUpdated = "grant.updated", "The reason of a grant was written anew.";
        GrantEnded = "grant.ended", "A grant was taken back, or ended with the membership or the invitation that it was for.";
        MemberCreated = "member.created", "A membership came to be.";
        MemberInvited = "member.invited", "A person was invited.";
        MemberJoined = "member.joined", "A person accepted an invitation or came in as first owner.";
        MemberUpdated = "member.updated", "A member's name or address here was changed.";
        MemberAccessChanged = "member.access_changed", "A member's state, role, teams or environments changed.";
        MemberSuspended = "member.suspended", "An administrator or a lead suspended a member, or a restore did, which could not know whether they had left.";
        MemberRestored = "member.restored", "An administrator or a lead lifted a suspension.";
        MemberDeprovisioned = "member.deprovisioned", "A membership ended.";
        MemberRevived = "member.revived", "A directory gave an ended membership life again, without anything it had.";
        MemberAttached = "member.attached", "A person who came back was recognized as the user whom they were before.";
        MemberLinked = "member.linked", "A connection's subject was linked to a member.";
        MemberUnlinked = "member.unlinked", "A subject was taken from a member: the provider names them by another, or it is somebody else's now.";
        LastOwnerKept = "member.last_owner_kept", "A last owner left: the bare ownership stays, everything else ended.";
        UserEnded = "user.ended", "A user's last membership ended; the authenticators ended with it.";
        PasswordSet = "user.password_set", "A person set a password.";
        AgentCreated = "agent.created", "An agent was made.";
        AgentUpdated = "agent.updated", "An agent was changed.";
        AgentPaused = "agent.paused", "An agent was paused.";
        AgentResumed = "agent.resumed", "An agent was resumed.";
        AgentOrphaned = "agent.orphaned", "An agent's owner ended; it stopped.";
        AgentHandedOver = "agent.handed_over", "An agent went to another owner.";
        AgentDisabled = "agent.disabled", "An agent ended.";
        TokenIssued = "token.issued", "A token was issued.";
        TokenRevoked = "token.revoked", "Somebody with the right ordered the end of a token.";
        TokenEnded = "token.ended", "A token ended.";
        SignInSucceeded = "sign_in.succeeded", "A person signed in.";
        SignInRefused = "sign_in.refused", "A sign-in was refused.";
        SignedOut = "sign_in.ended", "A person signed out, or a session no longer fitted into their browser.";
        RulesChanged = "rules.changed", "A change of rules is being carried out.";
        RootTokenUsed = "root_token.used", "The root token was used.";
        RootTokenReplaced = "root_token.replaced", "Another root token is good, and none before it.";
        RootTokenEnded = "root_token.ended", "The root token was turned off.";
        BackupRestored = "backup.restored", "A backup was restored: every token ended.";
    }
}

/// What an event is about. An id is one of its own noun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its id.
    pub id: String,
    /// The noun.
    #[serde(rename = "type")]
    pub kind: String,
}

texts! {
    /// Whether it happened or was refused.
    pub enum Outcome {
        /// It happened.
        Done = "done",
        /// It was refused.
        Refused = "refused",
    }
}

/// An event before it is written: the store adds id, time, salt and the end of its cause.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDraft {
    /// What was done.
    pub action: Action,
    /// To what; the first two are found by an index.
    pub targets: Vec<Target>,
    /// Whether it happened.
    pub outcome: Outcome,
    /// What else a reader wants to know. Never a secret.
    pub detail: Value,
}

impl EventDraft {
    /// Something that happened to one noun.
    #[must_use]
    pub fn new(action: Action, target: impl Into<Target>) -> Self {
        Self { action, targets: vec![target.into()], outcome: Outcome::Done, detail: Value::Null }
    }

    /// The same, about a second noun too.
    #[must_use]
    pub fn about(mut self, target: impl Into<Target>) -> Self {
        self.targets.push(target.into());
        self
    }

    /// The same, with detail.
    #[must_use]
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}

/// The content of an event, in the order in which it is written.
#[derive(Serialize)]
struct Content<'e> {
    action: &'static str,
    actor: ActorContent<'e>,
    at: &'e str,
    cause: CauseContent,
    detail: &'e Value,
    id: EventId,
    organization: OrganizationId,
    outcome: &'static str,
    targets: &'e [Target],
}

#[derive(Serialize)]
struct ActorContent<'e> {
    id: &'e str,
    r#type: &'static str,
}

#[derive(Serialize)]
struct CauseContent {
    directory: Option<DirectoryId>,
    event: Option<EventId>,
    kind: &'static str,
    request_id: Option<RequestId>,
    token: Option<TokenId>,
}

/// Bytes that most events have.
const ROOM: usize = 768;

/// The content of an event as it is stored, committed to and exported: the text is its own canonical form (RFC 8785).
///
/// Numbers are whole and small, so that every JSON library writes them alike.
///
/// # Errors
/// [`NotCanonical`] if the detail holds what JSON cannot carry.
pub fn content(
    id: EventId,
    organization: OrganizationId,
    at: Timestamp,
    draft: &EventDraft,
    cause: &Cause,
) -> Result<String, NotCanonical> {
    // Two are written for each person that comes, so room for most of them at once.
    let mut text = Vec::with_capacity(ROOM);
    // INVARIANT: the fields of each struct stand in the order of their names, and so do the keys of a JSON value.
    let content = Content {
        action: draft.action.as_str(),
        actor: ActorContent { id: &cause.actor.id(), r#type: cause.actor.kind() },
        at: &at.rfc3339(),
        cause: CauseContent {
            directory: cause.directory,
            event: cause.event,
            kind: cause.kind.as_str(),
            request_id: cause.request,
            token: cause.token,
        },
        detail: &draft.detail,
        id,
        organization,
        outcome: draft.outcome.as_str(),
        targets: &draft.targets,
    };
    serde_json::to_writer(&mut text, &content)?;
    String::from_utf8(text).map_err(|error| NotCanonical(serde::ser::Error::custom(error)))
}

/// A value that has no canonical form.
#[derive(Debug, Error)]
#[error("not canonical: {0}")]
pub struct NotCanonical(#[from] serde_json::Error);

/// The canonical form of a value (RFC 8785): the bytes that are hashed and signed.
///
/// # Errors
/// [`NotCanonical`] if the value holds a number that JSON cannot carry.
pub fn canonical(value: &impl Serialize) -> Result<Vec<u8>, NotCanonical> {
    Ok(serde_json_canonicalizer::to_vec(value)?)
}

/// A SHA-256 digest.
pub type Digest = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// The commitment to an event's content.
///
/// # Errors
/// [`NotCanonical`] if the content has no canonical form.
pub fn commitment(salt: &[u8], content: &Value) -> Result<Digest, NotCanonical> {
    Ok(commitment_to_text(salt, &canonical(content)?))
}

/// The same of what is in its canonical form already, as [`content`] writes it.
#[must_use]
pub fn commitment_to_text(salt: &[u8], canonical: &[u8]) -> Digest {
    sha256(&[salt, canonical])
}

/// The link of event `number`: it binds everything before it.
#[must_use]
pub fn link(previous: &Digest, number: i64, commitment: &Digest) -> Digest {
    sha256(&[previous, &number.to_be_bytes(), commitment])
}

/// What the first event of an organization is linked to: the organization itself, so that chains cannot be swapped.
#[must_use]
pub fn genesis(organization: OrganizationId) -> Digest {
    sha256(&[b"portcullis audit chain v1\n", organization.to_string().as_bytes()])
}
