//! The very first owner: a link that makes organization and owner together, while nobody owns anything here.
//!
//! Its hash lies among the installation's values, because there is no organization yet that it could belong to. It
//! lives for an hour and dies with the first owner, however that one came.

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::{Actor, Cause};
use portcullis_domain::change::{Change, GrantChange, MembershipChange, UserChange};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{GrantId, MembershipId, UserId};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::organization::Organization;
use portcullis_domain::plan::Plan;
use portcullis_domain::secret::{SecretHash, TokenSecret};
use portcullis_domain::text::{Slug, email_key};
use portcullis_domain::token::TokenKind;
use portcullis_domain::user::{AuthenticatorKind, User};
use portcullis_store::db::Lock;
use portcullis_store::{Priority, Tx, instance, leaver, mapping, membership, organization, user};
use secrecy::SecretString;
use serde_json::json;

use crate::access::settle;
use crate::invitation::{Said, are_known_still};
use crate::session::{self, Opened};
use crate::sign_in::Visitor;
use crate::throttle::{Allowance, network};
use crate::{Moment, Portcullis, ServiceError, Surroundings, local, password};

/// Seconds for which the link is good.
pub const GOOD_FOR_S: i64 = 3_600;
/// Where the link is kept: its hash, a blank, and the microsecond of its end.
const KEPT: &str = "first_owner_link";
/// Organizations that are looked at together.
const PAGE: i64 = 200;
/// Holders of the ownership of one organization that are looked at.
const MAX_OWNERS: i64 = 100;
/// Tries with a link from one source: a person mistypes a password, a stranger guesses links.
const PER_SOURCE: Allowance = Allowance { max_tries: 30, window_s: 15 * 60 };

/// What the first owner says.
#[derive(Debug, Clone)]
pub struct Founding {
    /// The organization's slug.
    pub slug: String,
    /// The organization's name.
    pub organization: String,
    /// The owner's address.
    pub email: String,
    /// The owner's name.
    pub name: String,
    /// The owner's password.
    pub password: SecretString,
}

/// The text of the link.
#[must_use]
pub fn text(around: &Surroundings, secret: &TokenSecret) -> String {
    text_under(&around.public_url, secret)
}

/// The same, for a command that has only the public URL.
#[must_use]
pub fn text_under(public_url: &url::Url, secret: &TokenSecret) -> String {
    format!("{}/setup/owner?token={}", public_url.as_str().trim_end_matches('/'), secret.expose())
}

/// Whether any organization has an owner who can act.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn is_there(tx: &mut Tx<'_>) -> Result<bool, ServiceError> {
    let mut after = String::new();
    loop {
        let page = organization::list(tx, Some(&after), PAGE)?;
        let Some(last) = page.last() else { return Ok(false) };
        after = last.id.to_string();
        for one in &page {
            for id in mapping::affected_by_role(tx, one.id, &Slug::owner(), MAX_OWNERS)? {
                let found = membership::find(tx, one.id, id)?;
                let acts = found.filter(|member| member.access.state == MembershipState::Active);
                if let Some(member) = acts
                    && leaver::owns(tx, &member)?
                {
                    return Ok(true);
                }
            }
        }
    }
}

/// Makes a link, if there is no owner; a former one is good no more.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn issue_link(tx: &mut Tx<'_>, moment: &mut Moment) -> Result<Option<TokenSecret>, ServiceError> {
    if is_there(tx)? {
        instance::remove(tx, KEPT)?;
        return Ok(None);
    }
    let secret = TokenSecret::fresh(TokenKind::OwnerLink, &mut moment.random);
    let until = moment.now.plus_s(GOOD_FOR_S).micros();
    instance::put(tx, KEPT, &format!("{} {until}", secret.hash().as_str()))?;
    Ok(Some(secret))
}

/// Withdraws the link, if there is one.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn withdraw_link(tx: &mut Tx<'_>) -> Result<(), ServiceError> {
    Ok(instance::remove(tx, KEPT)?)
}

/// Whether there is a link that somebody could use now. One is of no use once there is an owner, whatever is kept of it.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn is_link_good(tx: &mut Tx<'_>, now: Timestamp) -> Result<bool, ServiceError> {
    let Some(kept) = instance::find(tx, KEPT)? else { return Ok(false) };
    let until = kept.split_once(' ').and_then(|(_, until)| until.parse().ok());
    Ok(until.is_some_and(|until| now < Timestamp::from_micros(until)) && !is_there(tx)?)
}

/// Whether that text is the link's secret and good now. Nothing is used by asking.
///
/// # Errors
/// [`ServiceError::LinkInvalid`].
pub fn check_link(tx: &mut Tx<'_>, presented: &str, now: Timestamp) -> Result<(), ServiceError> {
    let kept = instance::find(tx, KEPT)?;
    must_be_good(tx, kept, presented, now)
}

/// The same, and the link is used up with this transaction: whoever comes with it at the same time waits for that end,
/// and finds no link any more.
///
/// # Errors
/// As [`check_link`].
pub fn use_link(tx: &mut Tx<'_>, presented: &str, now: Timestamp) -> Result<(), ServiceError> {
    let taken = instance::take(tx, KEPT)?;
    must_be_good(tx, taken, presented, now)
}

fn must_be_good(
    tx: &mut Tx<'_>,
    kept: Option<String>,
    presented: &str,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let invalid = || ServiceError::LinkInvalid;
    let (_, secret) = TokenSecret::parse(presented).map_err(|_| invalid())?;
    let kept = kept.ok_or_else(invalid)?;
    let (hash, until) = kept.split_once(' ').ok_or_else(invalid)?;
    let until = Timestamp::from_micros(until.parse().map_err(|_| invalid())?);
    if !SecretHash::from_stored(hash.to_owned()).matches(&secret.hash()) || now >= until || is_there(tx)? {
        return Err(invalid());
    }
    Ok(())
}

/// The first owner comes in: their organization, membership and ownership are made, and they are signed in. As whoever accepts
/// a link, they are by a password whoever has it here at that address, else somebody new by a new one.
///
/// # Errors
/// [`ServiceError::LinkInvalid`], [`ServiceError::Invalid`] for what was typed, [`ServiceError::Taken`] for a slug or
/// an address.
pub async fn found(
    portcullis: &Portcullis,
    presented: &str,
    founding: Founding,
    visitor: Visitor,
) -> Result<Opened, ServiceError> {
    let source = format!("first-owner/{}", network(visitor.source));
    portcullis.door().throttle.admit(&source, PER_SOURCE, portcullis.now())?;
    let presented = presented.to_owned();
    let asked = presented.clone();
    portcullis.read(move |tx, now| check_link(tx, &asked, now)).await?;
    let slug: Slug = founding.slug.parse()?;
    if !founding.name.trim().is_empty() {
        portcullis_domain::text::name(&founding.name)?;
    }
    let key = email_key(&founding.email)?;
    password::check(&founding.password, &key)?;
    let asked = key.clone();
    let known = portcullis.read(move |tx, _| Ok(user::authenticators_at(tx, &asked)?)).await?;
    let passwords = &portcullis.door().passwords;
    let mut random = portcullis.moment().random;
    // Beside the others at the address, as for whoever accepts a link: else no sign-in would find it.
    let hash = passwords.hash_beside(founding.password.clone(), &known, &mut random).await?;
    let right = known.iter().find(|one| hash.fits(one)).cloned();
    let hash = hash.into_kept();
    let limits = portcullis.around().limits;
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            tx.lock(Lock::Address(key.clone()))?;
            use_link(tx, &presented, moment.now)?;
            let said = right.as_ref().map_or(Said::New(&hash), Said::Known);
            let cause = session::cause(Actor::System, visitor.request);
            let made = crate::organization::create(tx, moment, slug.clone(), &founding.organization, cause)?;
            if !are_known_still(tx, (&key, &known), (None, said))? {
                return Err(ServiceError::LinkInvalid);
            }
            let id = own(tx, moment, &made, (&founding, &key, said), cause)?;
            let member = membership::find_locked(tx, id)?.ok_or(ServiceError::LinkInvalid)?;
            local::open(tx, moment, &member, (&visitor, limits))
        })
        .await
}

/// Makes the owner.
fn own(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: &Organization,
    (founding, key, said): (&Founding, &str, Said<'_>),
    cause: Cause,
) -> Result<MembershipId, ServiceError> {
    let now = moment.now;
    let mut made: Vec<Change> = Vec::new();
    let user = match said {
        Said::Known(known) => known.user,
        Said::New(_) => {
            let user = User::new(UserId::fresh(now, &mut moment.random), now);
            let id = user.id;
            made.push(UserChange::Create(user).into());
            id
        }
    };
    let who = Newcomer {
        id: MembershipId::fresh(now, &mut moment.random),
        organization: organization.id,
        user,
        email: founding.email.trim().to_owned(),
        name: founding.name.trim().to_owned(),
    };
    // Settled with its ownership a moment later.
    let member = Membership {
        joined_at: Some(now),
        ..Membership::new(who, MembershipState::Active, organization.rules_number, now)
    };
    let id = member.id;
    let grant = Grant::of_first_owner(
        GrantId::fresh(now, &mut moment.random),
        (organization.id, id),
        cause.request,
        now,
    );
    let joined = EventDraft::new(Action::MemberJoined, id).with(json!({
        "by": "first-owner link",
        "user": { "from": null, "to": user },
        "believed_up_to": member.believed_up_to,
    }));
    let granted = EventDraft::new(Action::GrantCreated, grant.id)
        .about(id)
        .with(json!({ "role": grant.role, "reason": grant.reason }));
    made.push(MembershipChange::Create(Box::new(member)).into());
    let mut plan = Plan::because(organization.id, cause)
        .then_all(joined, made)
        .then(granted, GrantChange::Create(grant));
    if let Said::New(hash) = said {
        let set = UserChange::SetAuthenticator {
            user,
            kind: AuthenticatorKind::Password,
            secret: hash.to_owned(),
            email_key: key.to_owned(),
            at: now,
        };
        plan = plan.then(EventDraft::new(Action::PasswordSet, user).about(id), set);
    }
    moment.apply(tx, &plan)?;
    settle(tx, moment, id, cause)?;
    Ok(id)
}
