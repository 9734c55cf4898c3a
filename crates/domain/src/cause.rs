//! Causes and actors: who did it, and what made it happen.
//!
//! Every change carries its cause from the request that began it to the last token that ended (invariant I5).

use crate::id::{DirectoryId, EventId, MembershipId, RequestId, TokenId};
use crate::text::texts;

texts! {
    /// Through which door a change came in.
    pub enum CauseKind {
        /// A SCIM call.
        Scim = "scim",
        /// A poll of Google Directory.
        Google = "google",
        /// A sign-in.
        SignIn = "sign_in",
        /// A call of the administration API.
        Api = "api",
        /// The console.
        Console = "console",
        /// A rule that changed earlier and is now carried out.
        Rule = "rule",
        /// Portcullis itself: a limit that ran out, a restore, a command line.
        System = "system",
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The root token.
    Root,
    /// A person in the organization.
    Membership(MembershipId),
    /// A service key.
    ServiceKey(TokenId),
    /// A directory.
    Directory(DirectoryId),
    /// Portcullis itself.
    System,
}

impl Actor {
    /// The text in the API and in the database.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Membership(_) => "membership",
            Self::ServiceKey(_) => "service_key",
            Self::Directory(_) => "directory",
            Self::System => "system",
        }
    }

    /// The id, empty where there is none.
    #[must_use]
    pub fn id(self) -> String {
        match self {
            Self::Root | Self::System => String::new(),
            Self::Membership(id) => id.to_string(),
            Self::ServiceKey(id) => id.to_string(),
            Self::Directory(id) => id.to_string(),
        }
    }

    /// The membership, if it is one.
    #[must_use]
    pub const fn membership(self) -> Option<MembershipId> {
        match self {
            Self::Membership(id) => Some(id),
            Self::Root | Self::ServiceKey(_) | Self::Directory(_) | Self::System => None,
        }
    }
}

/// What made a change happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// Through which door.
    pub kind: CauseKind,
    /// Who did it.
    pub actor: Actor,
    /// The token by which they did it: of several of one holder this one. None for the root token, which is no row, and where
    /// nobody presented any.
    pub token: Option<TokenId>,
    /// The request, as its caller saw it.
    pub request: Option<RequestId>,
    /// The event that this one follows from.
    pub event: Option<EventId>,
    /// The directory whose statement it was.
    pub directory: Option<DirectoryId>,
}

impl Cause {
    /// A cause without a request: Portcullis itself.
    #[must_use]
    pub const fn system() -> Self {
        Self {
            kind: CauseKind::System,
            actor: Actor::System,
            token: None,
            request: None,
            event: None,
            directory: None,
        }
    }

    /// What follows from a rule and from time, with no request of its own.
    #[must_use]
    pub const fn rule() -> Self {
        Self { kind: CauseKind::Rule, ..Self::system() }
    }

    /// The same cause, by that token.
    #[must_use]
    pub const fn by(self, token: TokenId) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The same cause, one step further down the chain.
    #[must_use]
    pub const fn after(self, event: EventId) -> Self {
        Self { event: Some(event), ..self }
    }
}
