//! The link by which an organization's first owner comes in.
//!
//! The membership that it is for waits as invited, and has its ownership by a grant of the root token. Following the
//! link shows a page and uses nothing; the form behind it does ([`crate::invitation::accept`]).

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{GrantChange, MembershipChange, TokenChange, UserChange};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{GrantId, MembershipId, UserId};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::organization::Organization;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::secret::TokenSecret;
use portcullis_domain::text::email_key;
use portcullis_domain::token::{ShownTo, TokenKind};
use portcullis_domain::user::User;
use portcullis_store::Tx;
use portcullis_store::db::Lock;

use crate::access::settle;
use crate::organization::must_live;
use crate::token::{Link, issued, link};
use crate::{Moment, ServiceError, Surroundings};

/// Seconds for which the link is good: long enough to be carried over, short enough to be lost.
pub const GOOD_FOR_S: i64 = 3600;
/// Where the hosted page is that takes the link.
const PAGE: &str = "/setup/owner";

/// The text of a link.
#[must_use]
pub fn text(around: &Surroundings, secret: &TokenSecret) -> String {
    format!("{}?token={}", around.url(PAGE), secret.expose())
}

/// Makes a membership that waits for its person, gives it the ownership, and issues the link.
///
/// # Errors
/// An address that is none; [`ServiceError::Store`].
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: &Organization,
    email: &str,
    cause: Cause,
) -> Result<TokenSecret, ServiceError> {
    let address_key = email_key(email).map_err(ServiceError::text("owner_email"))?;
    tx.lock(Lock::Organization(organization.id))?;
    let organization = &must_live(tx, organization.id)?;
    let now = moment.now;
    let user = User::new(UserId::fresh(now, &mut moment.random), now);
    let who = Newcomer {
        id: MembershipId::fresh(now, &mut moment.random),
        organization: organization.id,
        user: user.id,
        email: email.trim().to_owned(),
        name: String::new(),
    };
    let membership = Membership::new(who, MembershipState::Invited, organization.rules_number, now);
    let grant = Grant::of_first_owner(
        GrantId::fresh(now, &mut moment.random),
        (organization.id, membership.id),
        cause.request,
        now,
    );
    let id = membership.id;
    let invited = EventDraft::new(Action::MemberInvited, id);
    let granted = EventDraft::new(Action::GrantCreated, grant.id)
        .about(id)
        .with(serde_json::json!({ "role": grant.role, "reason": grant.reason }));
    let plan = Plan::because(organization.id, cause)
        .then_all(
            invited,
            vec![UserChange::Create(user).into(), MembershipChange::Create(Box::new(membership)).into()],
        )
        .then(granted, GrantChange::Create(grant));
    moment.apply(tx, &plan)?;
    settle(tx, moment, id, cause)?;
    let draft = Link {
        organization: organization.id,
        kind: TokenKind::OwnerLink,
        membership: id,
        address_key,
        parent: None,
        shown_to: ShownTo::Root,
        believed_up_to: Rank::ROOT,
        good_for_s: GOOD_FOR_S,
    };
    let (link, secret) = link(moment, draft);
    let plan = Plan::because(organization.id, cause).then(issued(&link), TokenChange::Issue(Box::new(link)));
    moment.apply(tx, &plan)?;
    Ok(secret)
}
