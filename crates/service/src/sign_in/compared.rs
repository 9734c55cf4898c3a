//! What a refusal compared: what would have passed, and what came instead, in words for an administrator's trace.
//!
//! Looked up after the refusal and for its trace only, so that who is let in depends on none of it. What a check of a
//! protocol compared it says itself.

use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::MembershipId;
use portcullis_domain::membership::Membership;
use portcullis_domain::text::domain_of;
use portcullis_domain::tombstone::{Identifier, IdentifierKind};
use portcullis_oidc::preset::Preset;
use portcullis_store::{Tx, connection, domain, membership, tombstone};

use crate::claims::{Arrival, GroupsSaid, SubjectStays};
use crate::oidc::preset;
use crate::refusal::SignInRefusal;
use crate::{ServiceError, newcomer};

/// How many of a list a trace shows.
const MAX_SHOWN: usize = 20;

/// What would have passed, and what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// What would have passed, where that can be said.
    pub expected: Option<String>,
    /// What came.
    pub received: Option<String>,
}

/// What the organization knows of whom a refusal is about.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The domains that it has proven.
    pub proven: Vec<String>,
    /// An identifier of somebody who left, and who that was.
    pub left: Option<(Identifier, MembershipId)>,
    /// Who is known by the subject, or else by the address.
    pub member: Option<Membership>,
    /// The subjects by which the provider of the connection named that member.
    pub subjects: Vec<String>,
}

impl Known {
    /// Looks up what that refusal asks for, and nothing else.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn find(
        tx: &mut Tx<'_>,
        refusal: &SignInRefusal,
        (of, arrival): (&Connection, &Arrival),
    ) -> Result<Self, ServiceError> {
        let mut known = Self::default();
        match refusal {
            SignInRefusal::DomainNotProven | SignInRefusal::HostedDomainNotProven => {
                known.proven = domain::proven_of(tx, of.organization)?;
            }
            SignInRefusal::Tombstoned => {
                for identifier in newcomer::identifiers(tx, of, arrival)? {
                    if let Some(whose) = tombstone::find(tx, of.organization, &identifier)? {
                        known.left = Some((identifier, whose));
                        break;
                    }
                }
            }
            _ => {
                known.member = member(tx, of, arrival)?;
                if let Some(member) = &known.member {
                    let links = connection::links_of(tx, member.id)?.into_iter();
                    known.subjects = links.filter(|l| l.connection == of.id).map(|l| l.subject).collect();
                }
            }
        }
        Ok(known)
    }
}

fn member(tx: &mut Tx<'_>, of: &Connection, arrival: &Arrival) -> Result<Option<Membership>, ServiceError> {
    for subject in arrival.subjects() {
        let mut found = connection::find_link(tx, of.id, subject)?.map(|link| link.membership);
        if found.is_none() {
            found = newcomer::somebodys(tx, of, subject)?;
        }
        if let Some(id) = found {
            return Ok(membership::find(tx, of.organization, id)?);
        }
    }
    let Some(address) = &arrival.said.address else { return Ok(None) };
    Ok(membership::living_by_email(tx, of.organization, &address.key)?.into_iter().next())
}

/// What a refusal compared, as far as it is known whom it is about.
#[must_use]
pub fn compared(refusal: &SignInRefusal, of: &Connection, about: Option<(&Arrival, &Known)>) -> Compared {
    let (expected, received) = match refusal {
        SignInRefusal::Protocol(broken) => {
            return Compared { expected: broken.expected.clone(), received: broken.received.clone() };
        }
        SignInRefusal::Unreachable { message, .. } => {
            (format!("an answer of the provider `{}`", of.issuer), message.clone())
        }
        SignInRefusal::State
        | SignInRefusal::TooLate
        | SignInRefusal::Replayed
        | SignInRefusal::SessionOver
        | SignInRefusal::ConnectionChanged
        | SignInRefusal::Unconfirmed
        | SignInRefusal::LinkingSessionOver
        | SignInRefusal::PasswordSeenBelow
        | SignInRefusal::WrongPassword
        | SignInRefusal::ChoiceInvalid => of_the_way(refusal, of),
        SignInRefusal::EmailMissing
        | SignInRefusal::EmailUntrusted
        | SignInRefusal::DomainNotProven
        | SignInRefusal::Guest
        | SignInRefusal::HostedDomainMissing
        | SignInRefusal::HostedDomainNotProven
        | SignInRefusal::NoRoleMapped
        | SignInRefusal::GroupsOverage => of_what_was_said(refusal, of, about),
        SignInRefusal::NotInDirectory
        | SignInRefusal::InvitationOver
        | SignInRefusal::NotInvited
        | SignInRefusal::Ambiguous => of_whom_nobody_named(refusal, of, about),
        SignInRefusal::AddressRecycled
        | SignInRefusal::OwnSessionOnly
        | SignInRefusal::Tombstoned
        | SignInRefusal::AddressMoved
        | SignInRefusal::MemberInactive
        | SignInRefusal::OtherEnvironment
        | SignInRefusal::SubjectTaken => of_the_person(refusal, of, about),
    };
    Compared { expected: Some(expected), received: Some(received) }
}

/// Of refusals that are about the way back, and about nobody.
fn of_the_way(refusal: &SignInRefusal, of: &Connection) -> (String, String) {
    let client = || format!("issuer `{}`, client `{}`", of.issuer, of.client_id);
    let (expected, received) = match refusal {
        SignInRefusal::TooLate => {
            ("an answer within the time that a sign-in is good for", "one that came later")
        }
        SignInRefusal::Replayed => ("an answer that nobody used", "one that was used before"),
        SignInRefusal::SessionOver => (
            "a session that goes on at the provider",
            "one that it ended since, or whose `SessionNotOnOrAfter` is past",
        ),
        SignInRefusal::ConnectionChanged => {
            let expected = "the connection as it was when the sign-in began";
            return (expected.to_owned(), format!("another one: {} now", client()));
        }
        SignInRefusal::Unconfirmed => {
            let none = of.unconfirmed.map(|waits| {
                let (since, rank) = (waits.at.rfc3339(), waits.chosen_from.number());
                format!("none, since {since}; the lowest who chose it had the rank {rank}")
            });
            return (
                format!("an owner's confirmation of {}", client()),
                none.unwrap_or_else(|| "none".to_owned()),
            );
        }
        SignInRefusal::LinkingSessionOver => ("the session that began to link, alive", "none that lives"),
        SignInRefusal::WrongPassword => ("the password of that address", "another"),
        SignInRefusal::ChoiceInvalid => {
            ("a choice in the browser that signed in, soon after", "another browser's, or a late one")
        }
        _ => (
            "the state of a sign-in that this browser began at this connection",
            "none, another browser's or connection's, or one that was used",
        ),
    };
    (expected.to_owned(), received.to_owned())
}

/// Of refusals that follow from what the provider said, whoever it is about.
fn of_what_was_said(
    refusal: &SignInRefusal,
    of: &Connection,
    about: Option<(&Arrival, &Known)>,
) -> (String, String) {
    let arrival = about.map(|(arrival, _)| arrival);
    let proven = about.map(|(_, known)| listed(&known.proven)).unwrap_or_default();
    let of_proven = |what: &str| format!("{what} of a proven domain: {}", or_none(proven.clone()));
    match refusal {
        SignInRefusal::EmailMissing => {
            ("one e-mail address".to_owned(), "none, or several that differ".to_owned())
        }
        SignInRefusal::EmailUntrusted => {
            let expected = match of.kind {
                ConnectionKind::Saml => "one of the tenant's own people",
                ConnectionKind::Oidc if preset::in_force(of) == Preset::Entra => "`xms_edov` true",
                ConnectionKind::Oidc => "`email_verified` true",
            };
            (expected.to_owned(), format!("{}, for which nobody vouches", address(arrival)))
        }
        SignInRefusal::DomainNotProven => (of_proven("an address"), domains(arrival)),
        SignInRefusal::HostedDomainMissing => ("`hd`, the domain of a company".to_owned(), "none".to_owned()),
        SignInRefusal::HostedDomainNotProven => {
            let hosted = arrival.and_then(|a| a.said.hosted_domain.clone());
            (of_proven("`hd`"), or_none(hosted.unwrap_or_default()))
        }
        SignInRefusal::Guest => {
            let home = arrival.and_then(|a| a.said.home.clone());
            (
                "one of the tenant's own people".to_owned(),
                format!("a guest of {}", or_none(home.unwrap_or_default())),
            )
        }
        SignInRefusal::NoRoleMapped => {
            let groups = match arrival.map(|a| &a.said.groups) {
                Some(GroupsSaid::These(these)) => listed(&these.iter().cloned().collect::<Vec<_>>()),
                _ => String::new(),
            };
            let from = of.directory.unwrap_or(of.claims_directory);
            (format!("a mapping of `{from}`, or its default role"), format!("groups: {}", or_none(groups)))
        }
        _ => ("all groups of the person".to_owned(), "a list that was cut off".to_owned()),
    }
}

/// Of refusals of somebody whom neither a directory nor an administrator named, or not by themselves.
fn of_whom_nobody_named(
    refusal: &SignInRefusal,
    of: &Connection,
    about: Option<(&Arrival, &Known)>,
) -> (String, String) {
    let arrival = about.map(|(arrival, _)| arrival);
    let who = whose(about.and_then(|(_, known)| known.member.as_ref()));
    let came = address(arrival);
    match refusal {
        SignInRefusal::NotInDirectory => {
            let ids = or_none(arrival.map(|a| listed(&a.said.external_ids)).unwrap_or_default());
            let expected =
                format!("an active person of the directory {} by address or external id", governing(of));
            (expected, format!("{came}, external ids {ids}"))
        }
        SignInRefusal::InvitationOver => (
            "an invitation of that address that is good".to_owned(),
            format!("{came}: {who}, whose link is not"),
        ),
        SignInRefusal::NotInvited => {
            let expected = "somebody who was invited by that address".to_owned();
            (expected, format!("{came}: {who}, by no invitation"))
        }
        _ => ("exactly one person by address and external id".to_owned(), format!("several by {came}")),
    }
}

/// Of refusals that follow from who is known here.
fn of_the_person(
    refusal: &SignInRefusal,
    of: &Connection,
    about: Option<(&Arrival, &Known)>,
) -> (String, String) {
    let arrival = about.map(|(arrival, _)| arrival);
    let known = about.map(|(_, known)| known);
    let member = known.and_then(|k| k.member.as_ref());
    let who = || whose(member);
    let subject = || arrival.map_or_else(|| "none".to_owned(), |a| format!("`{}`", a.said.subject));
    match refusal {
        SignInRefusal::AddressRecycled => {
            let subjects = or_none(known.map(|k| listed(&k.subjects)).unwrap_or_default());
            (
                format!("{} by the subject of before: {subjects}", who()),
                format!("{} by {}", address(arrival), subject()),
            )
        }
        SignInRefusal::OwnSessionOnly => {
            let role = member.and_then(Membership::role).map(ToString::to_string).unwrap_or_default();
            (
                "a link from the person's own session".to_owned(),
                format!("{} of role `{role}` by an address", who()),
            )
        }
        SignInRefusal::Tombstoned => {
            let left =
                known.and_then(|k| k.left.as_ref()).map(|(of, whose)| format!("{} of `{whose}`", said(of)));
            (
                "no identifier of somebody who left".to_owned(),
                left.unwrap_or_else(|| "one that is lifted now".to_owned()),
            )
        }
        SignInRefusal::AddressMoved => {
            let expected =
                format!("the directory {} to say that {} is theirs alone", governing(of), named(arrival));
            (expected, format!("{} is linked by it", who()))
        }
        SignInRefusal::MemberInactive => {
            let state = member.map_or("none", |m| m.access.state.as_str());
            ("an active member".to_owned(), format!("{}, {state}", who()))
        }
        SignInRefusal::OtherEnvironment => {
            let has: Vec<_> = member
                .map(|m| &m.access.environments)
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect();
            (format!("access to `{}`", of.environment), format!("{} with {}", who(), or_none(listed(&has))))
        }
        _ => ("a subject that is nobody else's".to_owned(), format!("{} of {}", subject(), who())),
    }
}

/// A member, if there is one.
fn whose(member: Option<&Membership>) -> String {
    member.map_or_else(|| "nobody".to_owned(), |m| format!("`{}`", m.id))
}

/// The directory that governs, if one does.
fn governing(of: &Connection) -> String {
    of.directory.map_or_else(|| "that governs".to_owned(), |directory| format!("`{directory}`"))
}

/// The address that came.
fn address(arrival: Option<&Arrival>) -> String {
    let written = arrival.and_then(|a| a.said.address.as_ref()).map(|a| format!("`{}`", a.written));
    written.unwrap_or_else(|| "no address".to_owned())
}

/// The address that names the person, if it is one that does.
fn named(arrival: Option<&Arrival>) -> String {
    match arrival.map(|a| &a.said.stays) {
        Some(SubjectStays::Perhaps { address: Some(key) }) => format!("`{key}`"),
        _ => arrival.map_or_else(|| "the name".to_owned(), |a| format!("`{}`", a.said.subject)),
    }
}

/// The domains of what came: of the address, and of a subject that is one.
fn domains(arrival: Option<&Arrival>) -> String {
    let Some(arrival) = arrival else { return "none".to_owned() };
    let by_subject = match &arrival.said.stays {
        SubjectStays::Perhaps { address } => address.as_deref(),
        SubjectStays::ForGood => None,
    };
    let keys = by_subject.into_iter().chain(arrival.said.address.as_ref().map(|a| a.key.as_str()));
    let mut all: Vec<_> = keys.map(|key| domain_of(key).to_owned()).collect();
    all.dedup();
    or_none(listed(&all))
}

/// An identifier in words.
fn said(identifier: &Identifier) -> String {
    let kind = match identifier.kind {
        IdentifierKind::UserName => "the user name",
        IdentifierKind::Email => "the address",
        IdentifierKind::ExternalId => "the external id",
        IdentifierKind::Subject | IdentifierKind::IssuerSubject => "the subject",
    };
    format!("{kind} `{}`", identifier.value)
}

/// The first of a list, in backticks.
fn listed(all: &[String]) -> String {
    let shown: Vec<_> = all.iter().take(MAX_SHOWN).map(|one| format!("`{one}`")).collect();
    let more =
        if all.len() > MAX_SHOWN { format!(" and {} more", all.len() - MAX_SHOWN) } else { String::new() };
    shown.join(", ") + &more
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}
