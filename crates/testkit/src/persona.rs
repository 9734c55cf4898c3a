//! People for tests: members with a role and a key, made by the road that everybody walks.

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{GrantChange, MembershipChange, TokenChange, UserChange};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{GrantId, MembershipId, OrganizationId, TokenId, UserId};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::secret::TokenSecret;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, ShownTo, Token, TokenKind};
use portcullis_domain::user::{AuthenticatorKind, User};
use portcullis_service::access::settle;
use portcullis_service::{Moment, ServiceError, organization};
use portcullis_store::Tx;

use crate::Bench;

/// A member who can call.
#[derive(Debug, Clone)]
pub struct Persona {
    /// The organization.
    pub organization: OrganizationId,
    /// The membership.
    pub membership: MembershipId,
    /// The user behind it.
    pub user: UserId,
    /// The secret of a member key.
    pub key: String,
}

impl Bench {
    /// Makes an organization.
    ///
    /// # Panics
    /// If the slug is none or taken.
    pub fn organization(&self, slug: &str) -> OrganizationId {
        let slug: Slug = slug.parse().expect("a slug");
        self.write(move |tx, moment| {
            organization::create(tx, moment, slug.clone(), slug.as_str(), Cause::system()).map(|o| o.id)
        })
    }

    /// A member of that organization who joined by themselves, can sign in with a password, has that role by a grant
    /// (none if it is empty) and a member key.
    ///
    /// # Panics
    /// If there is no such role.
    pub fn member(&self, organization: OrganizationId, email: &str, role: &str) -> Persona {
        let (email, role) = (email.to_owned(), role.to_owned());
        self.write(move |tx, moment| join(tx, moment, organization, &email, &role))
    }
}

fn join(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    email: &str,
    role: &str,
) -> Result<Persona, ServiceError> {
    let now = moment.now;
    let user = User::new(UserId::fresh(now, &mut moment.random), now);
    let who = Newcomer {
        id: MembershipId::fresh(now, &mut moment.random),
        organization,
        user: user.id,
        email: email.to_owned(),
        name: email.to_owned(),
    };
    let membership =
        Membership { joined_at: Some(now), ..Membership::new(who, MembershipState::Active, 0, now) };
    let mut plan = Plan::because(organization, Cause::system()).then_all(
        EventDraft::new(Action::MemberJoined, membership.id),
        vec![
            UserChange::Create(user.clone()).into(),
            MembershipChange::Create(Box::new(membership.clone())).into(),
            UserChange::SetAuthenticator {
                user: user.id,
                kind: AuthenticatorKind::Password,
                secret: "no password has this hash".to_owned(),
                email_key: email.to_lowercase(),
                at: now,
            }
            .into(),
        ],
    );
    if !role.is_empty() {
        let grant = Grant {
            id: GrantId::fresh(now, &mut moment.random),
            organization,
            membership: membership.id,
            role: role.parse()?,
            granted_by: None,
            reason: "a persona".to_owned(),
            request: None,
            created_at: now,
            ended_at: None,
        };
        let event = EventDraft::new(Action::GrantCreated, grant.id);
        plan = plan.then(event, GrantChange::Create(grant));
    }
    moment.apply(tx, &plan)?;
    settle(tx, moment, membership.id, Cause::system())?;
    let own = (TokenKind::MemberKey, Holder::Membership(membership.id));
    let key = issue_key(tx, moment, organization, own, ShownTo::Membership(membership.id), None)?;
    Ok(Persona { organization, membership: membership.id, user: user.id, key })
}

/// Issues a key that acts in `production`, as somebody of whom nothing is doubted does it; its secret.
///
/// # Errors
/// [`ServiceError`] for a holder who is not there.
pub fn issue_key(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    (kind, holder): (TokenKind, Holder),
    shown_to: ShownTo,
    expires_at: Option<Timestamp>,
) -> Result<String, ServiceError> {
    let secret = TokenSecret::fresh(kind, &mut moment.random);
    let token = Token {
        name: "laptop".to_owned(),
        environment: Some(Slug::production()),
        expires_at,
        ..Token::new(
            TokenId::fresh(moment.now, &mut moment.random),
            organization,
            (kind, holder),
            (shown_to, Rank::ROOT),
            secret.hash(),
            moment.now,
        )
    };
    let event = EventDraft::new(Action::TokenIssued, token.id);
    let plan = Plan::because(organization, Cause::system()).then(event, TokenChange::Issue(Box::new(token)));
    moment.apply(tx, &plan)?;
    Ok(secret.expose().to_owned())
}
