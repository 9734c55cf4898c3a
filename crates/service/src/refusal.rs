//! Why a sign-in is refused: one closed list, each with a stable code and what to do about it.
//!
//! The person sees a short page with a request id; the administrator finds the rest in the trace.

use thiserror::Error;

/// The rule of a protocol that an answer broke, ready to be shown to an administrator. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRule {
    /// Stable, `snake_case`.
    pub code: &'static str,
    /// The section of the standard.
    pub section: &'static str,
    /// What an administrator can do about it.
    pub advice: &'static str,
    /// What would have passed, where that can be said.
    pub expected: Option<String>,
    /// What came, cut to a length fit for a trace.
    pub received: Option<String>,
}

macro_rules! rule_of {
    ($($protocol:ident),*) => {$(
        impl From<$protocol::refusal::BrokenRule> for BrokenRule {
            fn from(broken: $protocol::refusal::BrokenRule) -> Self {
                let $protocol::refusal::BrokenRule { code, section, advice, expected, received } = broken;
                Self { code, section, advice, expected, received }
            }
        }
    )*};
}

rule_of!(portcullis_oidc, portcullis_saml);

/// Why somebody was not signed in. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignInRefusal {
    /// The provider's answer breaks a rule of the protocol.
    #[error("the identity provider's answer was refused: `{}`", .0.code)]
    Protocol(Box<BrokenRule>),
    /// The provider could not be asked.
    #[error("the identity provider could not be asked: {message}")]
    Unreachable {
        /// What went wrong, as a stable code.
        code: &'static str,
        /// The same in words.
        message: String,
    },
    /// No such sign-in was begun in this browser at this connection, or it was used.
    #[error("the state is not the one of a sign-in that this browser began here")]
    State,
    /// The sign-in was begun too long ago.
    #[error("the sign-in was begun more than ten minutes ago")]
    TooLate,
    /// The provider's answer was used before.
    #[error("the identity provider's answer was used before")]
    Replayed,
    /// The provider said that the session is over: meanwhile, or in the answer itself.
    #[error("the identity provider's session was over before the sign-in came to its end")]
    SessionOver,
    /// The connection was changed while the sign-in was under way.
    #[error("the connection was changed meanwhile")]
    ConnectionChanged,
    /// The provider sends no address.
    #[error("the provider sends no e-mail address")]
    EmailMissing,
    /// The provider does not vouch for the address.
    #[error("the provider does not vouch for the e-mail address")]
    EmailUntrusted,
    /// The address is of a domain that the organization has not proven.
    #[error("the domain of the e-mail address is not proven")]
    DomainNotProven,
    /// A guest, where guests are refused.
    #[error("the provider knows this person as a guest, and guests are refused here")]
    Guest,
    /// Google's account of a person, and not of a company.
    #[error("the account is of no company: the token has no `hd`")]
    HostedDomainMissing,
    /// Google's account of a company whose domain the organization has not proven.
    #[error("the domain of the account's company is not proven")]
    HostedDomainNotProven,
    /// The address is that of a member whom the provider named by another subject.
    #[error("the address is that of a member whom the provider knows by another subject")]
    AddressRecycled,
    /// The governing directory tells of nobody like that.
    #[error("the directory tells of no active person with that address or external id")]
    NotInDirectory,
    /// Nobody was invited with that address, and nobody is made at sign-in.
    #[error("nobody with that address was invited")]
    NotInvited,
    /// Somebody was invited with that address, and the invitation is not good any more.
    #[error(
        "the invitation of that address ended or ran out, or whoever was shown its link does not stand for it"
    )]
    InvitationOver,
    /// Several people have that address or external id.
    #[error("more than one person has that address or external id")]
    Ambiguous,
    /// Holders of explicit-only roles link a connection from their own session; so does whoever stands above those who
    /// could have said who they are.
    #[error(
        "a holder of an explicit-only role, or of one above whoever could have said who they are, links a connection from \
         their own session"
    )]
    OwnSessionOnly,
    /// The password was chosen by a link that somebody saw who stands below the member now.
    #[error(
        "the password was chosen by a link that was shown to somebody who stood below the role that the member has now"
    )]
    PasswordSeenBelow,
    /// The connection waits for an owner's confirmation.
    #[error(
        "the connection's issuer or keys were chosen by somebody below owner and no owner has confirmed it"
    )]
    Unconfirmed,
    /// The identifier belongs to somebody who left.
    #[error("an identifier of this sign-in belongs to somebody who left")]
    Tombstoned,
    /// The subject is an address that the directory no longer gives to the linked person.
    #[error("the address that names the person is no longer theirs in the directory")]
    AddressMoved,
    /// The membership is not active.
    #[error("the membership is not active")]
    MemberInactive,
    /// No mapping or default gives a role.
    #[error("no mapping or default gives this person a role")]
    NoRoleMapped,
    /// The provider did not send all groups.
    #[error("the provider cut the list of groups off")]
    GroupsOverage,
    /// The person has no access to the connection's environment.
    #[error("the person has no access to the environment of this connection")]
    OtherEnvironment,
    /// The subject is somebody else's already.
    #[error("the provider's subject is linked to somebody else")]
    SubjectTaken,
    /// The session that wanted to link ended meanwhile.
    #[error("the session that began to link this connection is over")]
    LinkingSessionOver,
    /// Address and password do not belong together.
    #[error("the e-mail address or the password is wrong")]
    WrongPassword,
    /// The choice among organizations is too old, or another browser's.
    #[error("the choice of an organization came too late or from another browser")]
    ChoiceInvalid,
}

impl SignInRefusal {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Protocol(broken) => broken.code,
            Self::Unreachable { code, .. } => code,
            Self::State => "state_mismatch",
            Self::TooLate => "state_expired",
            Self::Replayed => "replayed",
            Self::SessionOver => "provider_session_over",
            Self::ConnectionChanged => "connection_changed",
            Self::EmailMissing => "email_missing",
            Self::EmailUntrusted => "email_untrusted",
            Self::DomainNotProven => "domain_not_proven",
            Self::Guest => "guest_refused",
            Self::HostedDomainMissing => "hosted_domain_missing",
            Self::HostedDomainNotProven => "hosted_domain_not_proven",
            Self::AddressRecycled => "address_recycled",
            Self::NotInDirectory => "not_in_directory",
            Self::NotInvited => "not_invited",
            Self::InvitationOver => "invitation_over",
            Self::Ambiguous => "ambiguous_person",
            Self::OwnSessionOnly => "own_session_only",
            Self::PasswordSeenBelow => "password_seen_below",
            Self::Unconfirmed => "connection_unconfirmed",
            Self::Tombstoned => "tombstoned",
            Self::AddressMoved => "address_moved",
            Self::MemberInactive => "member_inactive",
            Self::NoRoleMapped => "no_role_mapped",
            Self::GroupsOverage => "groups_overage",
            Self::OtherEnvironment => "other_environment",
            Self::SubjectTaken => "subject_taken",
            Self::LinkingSessionOver => "linking_session_over",
            Self::WrongPassword => "wrong_password",
            Self::ChoiceInvalid => "choice_invalid",
        }
    }

    /// Whether another account at the provider may be the right one: this one is a guest's, or of no company, or of another.
    #[must_use]
    pub const fn is_of_the_account(&self) -> bool {
        matches!(self, Self::Guest | Self::HostedDomainMissing | Self::HostedDomainNotProven)
    }

    /// The same back from its code, of those that say which sign-in it was and nothing of who came.
    #[must_use]
    pub fn of_another_sign_in(code: &str) -> Option<Self> {
        [Self::State, Self::TooLate, Self::Replayed].into_iter().find(|refusal| refusal.code() == code)
    }

    /// What an administrator can do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Protocol(broken) => broken.advice,
            Self::Unreachable { .. } => "check the issuer's address and that this server may reach it",
            Self::State | Self::TooLate => {
                "begin the sign-in again in one browser; a page that was open for long, a reload or back does this"
            }
            Self::SessionOver | Self::ConnectionChanged => "begin the sign-in again",
            Self::Replayed => {
                "begin the sign-in again; if nobody pressed reload or back, somebody else may have seen the answer"
            }
            Self::EmailMissing => {
                "have the provider send the claim `email`, in the ID token or by UserInfo; with SAML an address as name \
                 identifier or in one attribute, which `saml.email_attribute` names if several differ"
            }
            Self::EmailUntrusted => {
                "have the provider send `email_verified` (Entra ID: the optional claim `xms_edov`) for first sign-ins; a \
                 guest over SAML links the connection from their own session"
            }
            Self::DomainNotProven => "prove the domain of the address by its DNS record, then try again",
            Self::Guest => "have the person use an account of your own tenant, or set `guests` to `accept`",
            Self::HostedDomainMissing => {
                "have the person choose their company's account; personal accounts of Google are never taken"
            }
            Self::HostedDomainNotProven => {
                "prove the primary domain of the Google Workspace by its DNS record, then try again"
            }
            Self::AddressRecycled => {
                "if the address was given to somebody else, off-board who had it and invite it anew; if it is the same \
                 person, have the directory send the provider's id as `externalId`, or link from their own session"
            }
            Self::NotInDirectory => {
                "assign the person in the directory that governs this connection and wait for its next run"
            }
            Self::InvitationOver => {
                "invite the address anew, as somebody who is active and stands as high as the role that waits there"
            }
            Self::NotInvited => {
                "invite the address, or let the connection make memberships at sign-in; somebody who came by another road \
                 signs in there"
            }
            Self::Ambiguous => "give each person an address and an external id of their own in the directory",
            Self::OwnSessionOnly => {
                "sign in another way first, then link this connection from the landing page; who has no role that only \
                 people give is let in once the directory has said them again, whole, by a token that nobody below them saw, or \
                 once somebody has vouched for them in a grant"
            }
            Self::PasswordSeenBelow => {
                "once you know that they chose the password themselves, give them a role with `vouched`, as somebody who \
                 stands as high; or have them sign in by a connection"
            }
            Self::Unconfirmed => "have an owner confirm the connection",
            Self::Tombstoned => {
                "the person left: have the directory tell of them again, or an administrator invite the address; \
                 by a subject of before they come in once an administrator has attached them to who they were"
            }
            Self::AddressMoved => {
                "have the provider send a persistent name identifier, or name an immutable attribute as the subject"
            }
            Self::MemberInactive => "look at the member: suspended, off-boarded or in no mapped group",
            Self::NoRoleMapped => {
                "map one of the person's groups to a role in the connection's claims directory, or give it a default role"
            }
            Self::GroupsOverage => {
                "have the provider send only groups assigned to the application, or provision groups by SCIM"
            }
            Self::OtherEnvironment => "map one of the person's groups to the connection's environment",
            Self::SubjectTaken => "sign in at the provider as yourself",
            Self::LinkingSessionOver => "sign in again, then link the connection again",
            Self::WrongPassword | Self::ChoiceInvalid => "try again",
        }
    }
}
