//! Every way in which somebody's access goes, by what it is in the domain.
//!
//! Nothing here is a list by hand: each row is chosen by a `match` without a rest, so that a new reason of an end, a new
//! door, a new kind of hold, a new decision or a new end of tokens does not compile before it is said who leaves by it.

use portcullis_domain::access::EndedBecause;
use portcullis_domain::cause::CauseKind;
use portcullis_domain::connection::ConnectionKind;
use portcullis_domain::hold::HoldKind;
use portcullis_domain::membership::MembershipState;
use portcullis_domain::token::{TokenEnd, TokenKind};
use portcullis_service::hold::Decision;

use super::kinds::{Fate, Issued};

/// A way in which access goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    // What the provider of a SCIM directory says.
    PatchPathless,
    PatchEntra,
    Put,
    PostInactive,
    Bulk,
    Delete,
    GroupPatch,
    GroupReplaced,
    GroupPut,
    GroupDeleted,
    /// Of two groups that give access the second is lost too.
    LastOfTwoGroups,
    /// The last group is lost, and the end comes when that has settled.
    GroupSettled,
    // What a brake held, and an administrator decided.
    HeldInactiveReleased,
    HeldInactiveRefused,
    HeldDeleteReleased,
    HeldLossReleased,
    HeldMissingReleased,
    // What polls of Google Workspace find.
    GoogleSuspended,
    GoogleDeleted,
    GoogleGroupLost,
    // What a provider says of somebody's groups when they sign in.
    ClaimsLost,
    // What an administrator orders.
    OffBoarded,
    Suspended,
    MappingDeleted,
    DirectoryDeleted,
    /// The connection whose claims brought them, with its people.
    ConnectionOfClaimsDeleted,
    /// A connection by which they came in, while their directory goes on.
    ConnectionDeleted,
    CertificateRetired,
    // The same over more people than one call carries out: a job ends them.
    MappingOfManyDeleted,
    DirectoryOfManyDeleted,
    /// A backup from before they left is restored.
    Restored,
}

/// What is left of somebody's access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing, for good.
    Nothing,
    /// Nothing, and nothing has ended.
    Suspended,
    /// Everything but the sessions by that kind of connection.
    AllButSessionsBy(ConnectionKind),
}

/// Every way by which a membership ends for that reason, where the receipt names that door.
fn endings(because: EndedBecause, door: CauseKind) -> &'static [Way] {
    match (because, door) {
        (EndedBecause::Inactive, CauseKind::Scim) => {
            &[Way::PatchPathless, Way::PatchEntra, Way::Put, Way::PostInactive, Way::Bulk, Way::HeldInactiveReleased]
        }
        (EndedBecause::Deleted, CauseKind::Scim) => &[Way::Delete, Way::HeldDeleteReleased],
        (EndedBecause::Unmapped, CauseKind::Scim) => {
            &[Way::GroupPatch, Way::GroupReplaced, Way::GroupPut, Way::GroupDeleted, Way::LastOfTwoGroups, Way::HeldLossReleased]
        }
        (EndedBecause::Inactive, CauseKind::Google) => &[Way::GoogleSuspended],
        (EndedBecause::Deleted, CauseKind::Google) => &[Way::GoogleDeleted, Way::HeldMissingReleased],
        (EndedBecause::Unmapped, CauseKind::Google) => &[Way::GoogleGroupLost],
        (EndedBecause::Unmapped, CauseKind::SignIn) => &[Way::ClaimsLost],
        (EndedBecause::Unmapped, CauseKind::Api) => &[Way::MappingDeleted],
        (EndedBecause::Unmapped, CauseKind::Rule) => &[Way::GroupSettled, Way::MappingOfManyDeleted],
        (EndedBecause::Deleted, CauseKind::Rule) => &[Way::DirectoryOfManyDeleted],
        (EndedBecause::Administrator, CauseKind::Api) => {
            &[Way::OffBoarded, Way::DirectoryDeleted, Way::ConnectionOfClaimsDeleted]
        }
        (EndedBecause::Administrator, CauseKind::System) => &[Way::Restored],
        // A statement of a directory is not the administrator's, and the other way round.
        (EndedBecause::Administrator, CauseKind::Scim | CauseKind::Google | CauseKind::SignIn)
        | (EndedBecause::Inactive | EndedBecause::Deleted, CauseKind::SignIn | CauseKind::Api)
        // What a rule took is a mapping, or a directory.
        | (EndedBecause::Administrator | EndedBecause::Inactive, CauseKind::Rule)
        // By itself Portcullis ends nobody whom nobody else has sent away.
        | (EndedBecause::Inactive | EndedBecause::Deleted | EndedBecause::Unmapped, CauseKind::System)
        // The console gives a consent at Google, and takes nothing.
        | (_, CauseKind::Console) => &[],
    }
}

/// What administrators decide about what a brake held.
fn held(kind: HoldKind, decision: Decision) -> &'static [Way] {
    match (kind, decision) {
        (HoldKind::Endings, Decision::Release) => &[Way::HeldInactiveReleased, Way::HeldDeleteReleased],
        (HoldKind::Endings, Decision::Refuse) => &[Way::HeldInactiveRefused],
        (HoldKind::Losses, Decision::Release) => &[Way::HeldLossReleased],
        (HoldKind::Missing, Decision::Release) => &[Way::HeldMissingReleased],
        // Nobody was named, so nobody had lost anything, and nobody does.
        (HoldKind::Losses | HoldKind::Missing, Decision::Refuse) => &[],
    }
}

/// By what a membership comes into a state in which nothing of it, or not all of it, is admitted.
fn into(state: MembershipState) -> Vec<Way> {
    match state {
        MembershipState::Deprovisioned => {
            let doors = |because| CauseKind::ALL.into_iter().flat_map(move |door| endings(because, door));
            EndedBecause::ALL.into_iter().flat_map(doors).copied().collect()
        }
        MembershipState::Suspended => {
            let decided = |kind| [Decision::Release, Decision::Refuse].map(|decision| held(kind, decision));
            let held = HoldKind::ALL.into_iter().flat_map(decided).flatten().copied();
            std::iter::once(Way::Suspended).chain(held).collect()
        }
        MembershipState::Active => TokenEnd::ALL.into_iter().flat_map(of_tokens).copied().collect(),
        MembershipState::Invited => vec![],
    }
}

/// By what tokens end for that reason while the membership goes on.
fn of_tokens(end: TokenEnd) -> &'static [Way] {
    match end {
        TokenEnd::HolderDeleted => &[Way::ConnectionDeleted],
        TokenEnd::CertificateRetired => &[Way::CertificateRetired],
        TokenEnd::Restored => &[Way::Restored],
        // With the membership, or one of them by whoever may end that one.
        TokenEnd::OffBoarded
        | TokenEnd::AgentDisabled
        | TokenEnd::Revoked
        | TokenEnd::SignedOut
        | TokenEnd::Used
        | TokenEnd::Replaced => &[],
    }
}

/// Every way, each once.
pub fn all() -> Vec<Way> {
    let mut all = Vec::new();
    for way in MembershipState::ALL.into_iter().flat_map(into) {
        if !all.contains(&way) {
            all.push(way);
        }
    }
    all
}

impl Way {
    /// For what reason and by which door the receipt says that it ended.
    pub fn told(self) -> Option<(EndedBecause, CauseKind)> {
        let pairs =
            EndedBecause::ALL.into_iter().flat_map(|because| CauseKind::ALL.map(|door| (because, door)));
        pairs.into_iter().find(|&(because, door)| endings(because, door).contains(&self))
    }

    /// What is left when it is through.
    pub fn leaves(self) -> Left {
        match self {
            Self::HeldInactiveRefused | Self::Suspended => Left::Suspended,
            Self::ConnectionDeleted => Left::AllButSessionsBy(ConnectionKind::Oidc),
            Self::CertificateRetired => Left::AllButSessionsBy(ConnectionKind::Saml),
            _ => Left::Nothing,
        }
    }

    /// What the provider said is answered with a refusal at first, of everybody of whom it was said, before an
    /// administrator decides.
    pub fn is_decided_later(self) -> bool {
        matches!(self, Self::HeldInactiveReleased | Self::HeldInactiveRefused | Self::HeldDeleteReleased)
    }

    /// The membership ends some time after the answer, by a job; it is refused from the answer on.
    pub fn ends_later(self) -> bool {
        matches!(self, Self::GroupSettled | Self::MappingOfManyDeleted | Self::DirectoryOfManyDeleted)
    }

    /// It takes seconds: each run has it once.
    pub fn is_slow(self) -> bool {
        self.ends_later()
            || matches!(
                self,
                Self::GoogleSuspended
                    | Self::GoogleDeleted
                    | Self::GoogleGroupLost
                    | Self::HeldMissingReleased
            )
    }

    /// What must become of a token of the leaver.
    pub fn fate_of(self, one: &Issued) -> Fate {
        let of_directory = one.kind == TokenKind::ScimToken;
        match self.leaves() {
            Left::Nothing if of_directory && self.takes_the_directory() => Fate::Ends,
            Left::Nothing => one.fate,
            // Who is suspended has nobody take their agents over.
            Left::Suspended if one.fate == Fate::RunsOn => Fate::Ends,
            Left::Suspended => one.fate,
            Left::AllButSessionsBy(kind) if one.by == Some(kind) => Fate::Ends,
            Left::AllButSessionsBy(_) => Fate::RunsOn,
        }
    }

    /// The directory goes, with its tokens.
    pub fn takes_the_directory(self) -> bool {
        matches!(self, Self::DirectoryDeleted | Self::DirectoryOfManyDeleted)
    }
}
