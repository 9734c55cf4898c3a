//! Callers of the administration API, of SCIM and of checks: who they are and what they may.

use std::collections::BTreeSet;

use portcullis_domain::Refusal;
use portcullis_domain::Timestamp;
use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::evaluation::{is_confined, liveness};
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId, RequestId, TokenId};
use portcullis_domain::membership::Membership;
use portcullis_domain::permission::Permission;
use portcullis_domain::role::Rank;
use portcullis_domain::secret::SecretHash;
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, Scope, ShownTo, TokenKind};
use portcullis_store::{Tx, instance};

use crate::ServiceError;
use crate::evaluation::{Presented, find_presented};
use crate::noun::Noun;
use crate::token_use::TokenUses;

/// Where the hash of the root token is kept.
pub const ROOT_TOKEN_HASH: &str = "root_token_hash";

/// Somebody who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The holder of the root token.
    Root,
    /// A member, by a key or a session.
    Member(Member),
    /// A service key.
    Service {
        /// The key.
        token: TokenId,
        /// Its organization.
        organization: OrganizationId,
        /// What it may ask.
        scopes: Vec<Scope>,
    },
}

/// A member who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The token that was presented.
    pub token: TokenId,
    /// Its kind.
    pub kind: TokenKind,
    /// When it runs out, at the latest.
    pub expires_at: Option<Timestamp>,
    /// The only environment that it is worth anything in, where it is not worth the whole organization.
    pub confined_to: Option<Slug>,
    /// The organization.
    pub organization: OrganizationId,
    /// The membership.
    pub membership: MembershipId,
    /// Who else saw the secret, which falls with them.
    pub shown_to: Vec<MembershipId>,
    /// The session whose way in is not certain that was presented, or that issued what was.
    pub came_by: Option<TokenId>,
    /// How high the lowest stood who chose the provider of that connection, if no owner had confirmed it when that session
    /// began.
    pub chosen_from: Option<Rank>,
    /// How far it is believed that the session was opened by whom it names, which it is or by which it was issued.
    pub believed_up_to: Rank,
    /// The role.
    pub role: Option<Slug>,
    /// How high it stands.
    pub rank: Rank,
    /// What it allows; to a token that is confined to an environment, no more than `use`.
    pub permissions: BTreeSet<Permission>,
    /// The teams.
    pub teams: Vec<(Slug, TeamRole)>,
}

impl Caller {
    /// Whether the caller may do this in that organization. A foreign organization answers as an unknown one.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`]; [`Refusal::OutsideEnvironment`].
    pub fn may(&self, permission: Permission, organization: OrganizationId) -> Result<(), ServiceError> {
        match self {
            Self::Root => Ok(()),
            Self::Member(m) if m.organization != organization => {
                Err(ServiceError::NotFound(Noun::Organization))
            }
            Self::Member(m) if m.permissions.contains(&permission) => Ok(()),
            Self::Member(m) if m.confined_to.is_some() => Err(Refusal::OutsideEnvironment.into()),
            Self::Member(_) => Err(ServiceError::Forbidden(permission)),
            Self::Service { organization: own, .. } if *own != organization => {
                Err(ServiceError::NotFound(Noun::Organization))
            }
            Self::Service { .. } => Err(ServiceError::Forbidden(permission)),
        }
    }

    /// Whether what the caller asks for in that environment is within what their token is for.
    ///
    /// # Errors
    /// [`Refusal::OutsideEnvironment`].
    pub fn may_act_in(&self, environment: &Slug) -> Result<(), Refusal> {
        match self {
            Self::Member(m) if m.confined_to.as_ref().is_some_and(|own| own != environment) => {
                Err(Refusal::OutsideEnvironment)
            }
            Self::Root | Self::Member(_) | Self::Service { .. } => Ok(()),
        }
    }

    /// Since when what the caller issues now for that environment is confined to it, if it is: to somebody who is in
    /// `production`, too, or by a token that is confined itself.
    #[must_use]
    pub fn confines(&self, environment: &Slug, of: &Membership, now: Timestamp) -> Option<Timestamp> {
        let own = match self {
            Self::Member(m) => m.confined_to.is_some(),
            Self::Root | Self::Service { .. } => false,
        };
        (own || is_confined(environment, &of.access.environments)).then_some(now)
    }

    /// When what acts for the caller is to run out, if they ask so: where a key with an end issues it, no later than that.
    /// Whoever found the key would have one without an end by it.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a later one.
    pub fn until(&self, asked: Option<Timestamp>) -> Result<Option<Timestamp>, ServiceError> {
        let own = match self {
            Self::Member(m) if m.kind == TokenKind::MemberKey => m.expires_at,
            Self::Root | Self::Member(_) | Self::Service { .. } => None,
        };
        if own.zip(asked).is_some_and(|(own, asked)| asked > own) {
            return Err(ServiceError::invalid(
                "expires_at",
                "is later than the end of the key that asks for it",
            ));
        }
        Ok(asked.or(own))
    }

    /// Whether the caller has to do with that organization at all: where what one may depends on whose thing it is.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], as for an unknown organization.
    pub fn belongs_to(&self, organization: OrganizationId) -> Result<(), ServiceError> {
        let own = match self {
            Self::Root => organization,
            Self::Member(m) => m.organization,
            Self::Service { organization, .. } => *organization,
        };
        if own == organization { Ok(()) } else { Err(ServiceError::NotFound(Noun::Organization)) }
    }

    /// Only the root token may.
    ///
    /// # Errors
    /// [`ServiceError::RootOnly`].
    pub const fn must_be_root(&self) -> Result<(), ServiceError> {
        match self {
            Self::Root => Ok(()),
            Self::Member(_) | Self::Service { .. } => Err(ServiceError::RootOnly),
        }
    }

    /// How high the caller stands.
    #[must_use]
    pub const fn rank(&self) -> Rank {
        match self {
            Self::Root => Rank::ROOT,
            Self::Member(m) => m.rank,
            Self::Service { .. } => Rank::NONE,
        }
    }

    /// The membership that calls, if it is one.
    #[must_use]
    pub const fn membership(&self) -> Option<MembershipId> {
        match self {
            Self::Member(m) => Some(m.membership),
            Self::Root | Self::Service { .. } => None,
        }
    }

    /// To whom a secret is shown that this caller is answered with: where somebody else has the caller's own, to them,
    /// because they may be the one who calls. [`Self::parent`] leads to the member.
    #[must_use]
    pub fn shown_to(&self) -> ShownTo {
        match self {
            Self::Member(m) => ShownTo::Membership(*m.shown_to.first().unwrap_or(&m.membership)),
            Self::Root | Self::Service { .. } => ShownTo::Root,
        }
    }

    /// How far it is believed that the caller is the member, as far as what they issue: no further than whoever chose a provider
    /// that waits for an owner, for the connection may be deleted before one has confirmed it.
    #[must_use]
    pub fn believed_up_to(&self) -> Rank {
        match self {
            Self::Member(m) => m.chosen_from.map_or(m.believed_up_to, |rank| rank.min(m.believed_up_to)),
            Self::Root | Self::Service { .. } => Rank::ROOT,
        }
    }

    /// The token by which a secret is issued that more than one person sees: whoever has that token is one of them. Else the
    /// session whose way in is not certain: what it issues is worth no more than that way in.
    ///
    /// # Errors
    /// [`Refusal::SeenByOthers`] where that token was issued by a seen one itself: of a third who may know the secret
    /// nothing would be kept, and it would neither rest nor end with them; nor with the connection by which that came, if
    /// no owner has confirmed it.
    pub fn parent(&self) -> Result<Option<TokenId>, Refusal> {
        match self {
            Self::Member(m) if m.shown_to.is_empty() => Ok(m.came_by),
            Self::Member(m) if m.shown_to.len() > 1 || m.chosen_from.is_some() => Err(Refusal::SeenByOthers),
            Self::Member(m) => Ok(Some(m.token)),
            Self::Root | Self::Service { .. } => Ok(None),
        }
    }

    /// Who it is, in the audit log.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        match self {
            Self::Root => Actor::Root,
            Self::Member(m) => Actor::Membership(m.membership),
            Self::Service { token, .. } => Actor::ServiceKey(*token),
        }
    }

    /// The token that was presented; none where it was the root token.
    #[must_use]
    pub const fn token(&self) -> Option<TokenId> {
        match self {
            Self::Root => None,
            Self::Member(m) => Some(m.token),
            Self::Service { token, .. } => Some(*token),
        }
    }

    /// A stable text that names the caller, for idempotency keys and limits.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Root => "root".to_owned(),
            Self::Member(m) => m.membership.to_string(),
            Self::Service { token, .. } => token.to_string(),
        }
    }

    /// The cause of what this caller asks for in that request.
    #[must_use]
    pub const fn cause(&self, request: RequestId) -> Cause {
        Cause {
            kind: CauseKind::Api,
            actor: self.actor(),
            token: self.token(),
            request: Some(request),
            event: None,
            directory: None,
        }
    }
}

/// Whether a presented text is the root token.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn is_root(tx: &mut Tx<'_>, presented: &str) -> Result<bool, ServiceError> {
    let stored = instance::find(tx, ROOT_TOKEN_HASH)?.filter(|hash| !hash.is_empty());
    Ok(stored.is_some_and(|hash| SecretHash::from_stored(hash).matches(&SecretHash::of(presented))))
}

/// Who presents this bearer text. It is a use of the token.
///
/// # Errors
/// [`ServiceError::Unauthenticated`] for everything but a live token of a kind that may call.
pub fn authenticate(
    tx: &mut Tx<'_>,
    uses: &TokenUses,
    presented: &str,
    now: Timestamp,
) -> Result<Caller, ServiceError> {
    let Some(Presented { bearer, stored_use }) = find_presented(tx, uses, presented, now)? else {
        return if is_root(tx, presented)? { Ok(Caller::Root) } else { Err(ServiceError::Unauthenticated) };
    };
    if !liveness(&bearer, now).is_allowed() {
        return Err(ServiceError::Unauthenticated);
    }
    let confined_to = bearer.confined_to().cloned();
    let caller = match (bearer.kind, bearer.member) {
        (kind @ (TokenKind::MemberKey | TokenKind::Session), Some(member)) => Caller::Member(Member {
            token: bearer.token,
            kind,
            expires_at: bearer.expires_at,
            organization: bearer.organization,
            membership: member.id,
            shown_to: bearer.shown_to.iter().map(|saw| saw.id).collect(),
            came_by: bearer.came_by,
            chosen_from: bearer.chosen_from,
            believed_up_to: bearer.believed_up_to,
            role: member.role,
            rank: member.rank,
            permissions: match &confined_to {
                Some(_) => &member.permissions & &BTreeSet::from([Permission::Use]),
                None => member.permissions,
            },
            teams: member.teams,
            confined_to,
        }),
        (TokenKind::ServiceKey, _) => {
            Caller::Service { token: bearer.token, organization: bearer.organization, scopes: bearer.scopes }
        }
        _ => return Err(ServiceError::Unauthenticated),
    };
    uses.note(bearer.token, stored_use, now);
    Ok(caller)
}

/// The organization of a directory, for the trace of a caller whom it refused; never part of an answer.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn owner_of_directory(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
) -> Result<Option<OrganizationId>, ServiceError> {
    Ok(portcullis_store::directory::organization_of(tx, directory)?)
}

/// Whoever speaks for a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spokesman {
    /// The directory's organization.
    pub organization: OrganizationId,
    /// The token that was presented.
    pub token: TokenId,
    /// How high the lowest stands who saw the token, or who may have opened the session that issued it, as whoever chose its
    /// password or provider or named its account: so far is believed what is said by it.
    pub rank: Rank,
    /// When the token runs out by itself.
    pub runs_out_at: Option<Timestamp>,
}

/// Who speaks, if a presented text is a live SCIM token of that directory.
///
/// # Errors
/// [`ServiceError::Unauthenticated`], alike for an unknown directory, another's token and an ended one.
pub fn authenticate_directory(
    tx: &mut Tx<'_>,
    uses: &TokenUses,
    presented: &str,
    directory: DirectoryId,
    now: Timestamp,
) -> Result<Spokesman, ServiceError> {
    let found = find_presented(tx, uses, presented, now)?;
    let Presented { bearer, stored_use } = found.ok_or(ServiceError::Unauthenticated)?;
    let alive = liveness(&bearer, now).is_allowed();
    if alive && bearer.kind == TokenKind::ScimToken && bearer.holder == Holder::Directory(directory) {
        uses.note(bearer.token, stored_use, now);
        let rank = bearer.seen_from().min(bearer.opened_from());
        let runs_out_at = bearer.runs_out_at();
        let (organization, token) = (bearer.organization, bearer.token);
        return Ok(Spokesman { organization, token, rank, runs_out_at });
    }
    Err(ServiceError::Unauthenticated)
}
