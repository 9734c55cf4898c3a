//! Connections: configured identity providers for sign-in, each with a directory of its claims.
//!
//! A client secret is sealed for the connection that it belongs to. Whoever chooses issuer, keys or environment below owner, of
//! a new connection or of one that is there, chooses who may come in where: holders of explicit-only roles, and whoever stands
//! above them, are refused there until an owner confirms.

mod provider;
mod reading;
mod told;
mod view;

use portcullis_domain::Refusal;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, ConnectionChange, DirectoryChange, TokenChange, TokenSet};
use portcullis_domain::connection::{ClaimRules, Connection};
use portcullis_domain::directory::{DEFAULT_SETTLE_S, Directory, DirectoryKind};
use portcullis_domain::id::{ConnectionId, DirectoryId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Giving, Rank, may_be_mapped, may_give};
use portcullis_domain::text::{Slug, domain_key, name};
use portcullis_domain::token::TokenEnd;
use portcullis_oidc::issuer;
use portcullis_store::db::Lock;
use portcullis_store::{Tx, connection, directory, domain, environment, mapping, role};
use secrecy::ExposeSecret;
use serde_json::json;

use self::provider::{provider_change, set_protocol};
use self::reading::{forget, reads};
use self::view::view;
use crate::caller::Caller;
use crate::directory::{Governed, Left, end, must_reach, part_step, step_by_step};
use crate::noun::Noun;
use crate::oidc::preset;
use crate::organization::must_live;
use crate::role::{must_not_outgrow, must_not_stand_above, named};
use crate::rules::{Higher, after_rule_change, listed};
use crate::saml::key::NewKey;
use crate::{Moment, Portcullis, ServiceError, Surroundings};

pub use provider::Protocol;
pub use view::{ConnectionView, ProtocolView, find, list};

/// The most e-mail domains of one connection.
pub const MAX_DOMAINS: usize = 100;
/// The longest client id or secret, in bytes: providers give a few dozen.
pub const MAX_CLIENT: usize = 1_024;
/// The longest name of a claim, in bytes.
pub const MAX_CLAIM: usize = 256;
/// What an error and an audit event call it.
const NOUN: Noun = Noun::Connection;

/// A connection as somebody wants it.
#[derive(Clone)]
pub struct Wanted {
    /// Its name for people.
    pub name: String,
    /// Which provider, by which protocol.
    pub protocol: Protocol,
    /// The directory that governs its people.
    pub directory: Option<DirectoryId>,
    /// Whether a first sign-in may make a membership.
    pub newcomers: Newcomers,
    /// The role of people in no mapped group of its claims.
    pub default_role: Option<Slug>,
    /// The claim that carries groups.
    pub groups_claim: Option<String>,
    /// How it reads what its provider says of people.
    pub claim_rules: ClaimRules,
    /// Where its sessions act.
    pub environment: Slug,
    /// The e-mail domains that are routed to it.
    pub domains: Vec<String>,
}

/// Whether a first sign-in may make a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomers {
    /// Just in time.
    Admitted,
    /// Only people who are there already.
    Refused,
}

/// Everything of a wish that needs checking, checked.
struct Checked {
    name: String,
    domains: Vec<String>,
}

fn check(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    caller: &Caller,
    around: &Surroundings,
    (before, wanted): (Option<&ConnectionView>, &Wanted),
) -> Result<Checked, ServiceError> {
    let text = |field, value: &str, max: usize| {
        let bad = value.is_empty() || value.len() > max || value.chars().any(char::is_control);
        let message = format!("has 1 to {max} bytes and no control characters");
        if bad { Err(ServiceError::invalid(field, message)) } else { Ok(()) }
    };
    if let Protocol::Oidc { issuer, client_id, client_secret, .. } = &wanted.protocol {
        issuer::parse(issuer, around.limits.plain_http)
            .map_err(|e| ServiceError::invalid("issuer", format!("{e}: {}", e.broken().advice)))?;
        preset::check(&wanted.claim_rules, issuer)?;
        text("client_id", client_id, MAX_CLIENT)?;
        if let Some(secret) = client_secret {
            text("client_secret", secret.expose_secret(), MAX_CLIENT)?;
        }
    }
    if let Some(claim) = &wanted.groups_claim {
        text("groups_claim", claim, MAX_CLAIM)?;
    }
    if let Some(id) = wanted.directory {
        let found = directory::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Directory))?;
        if found.kind == DirectoryKind::Claims {
            return Err(ServiceError::invalid("directory", "is one of claims; a connection has its own"));
        }
        if wanted.newcomers == Newcomers::Admitted {
            return Err(Refusal::JitUnderDirectory.into());
        }
    }
    if let Some(slug) = &wanted.default_role {
        let role = role::find_by_slug(tx, organization, slug)?.ok_or(ServiceError::NotFound(Noun::Role))?;
        // Of what is there and stays, only that the caller stands as high is asked anew: a role that became explicit only
        // gives nobody anything, and must not keep a client secret from being changed.
        if before.is_none_or(|before| before.default_role.as_ref() != Some(slug)) {
            may_be_mapped(role.giving)?;
        }
        may_give(caller.rank(), role.rank)?;
    }
    environment::find_by_slug(tx, organization, &wanted.environment)?
        .ok_or(ServiceError::NotFound(Noun::Environment))?;
    if wanted.domains.len() > MAX_DOMAINS {
        return Err(ServiceError::invalid("domains", format!("are at most {MAX_DOMAINS}")));
    }
    let mut domains = Vec::new();
    for written in &wanted.domains {
        let key = domain_key(written).map_err(ServiceError::text("domains"))?;
        // One that was removed since is routed again once it is back.
        let stays = before.is_some_and(|before| before.connection.domains.contains(&key));
        if !stays && domain::find_by_name(tx, organization, &key)?.is_none() {
            return Err(ServiceError::DomainUnknown(key));
        }
        if !domains.contains(&key) {
            domains.push(key);
        }
    }
    Ok(Checked { name: name(&wanted.name).map_err(ServiceError::text("name"))?, domains })
}

fn described(c: &Connection, default_role: Option<&Slug>) -> serde_json::Value {
    json!({
        "kind": c.kind.as_str(), "name": c.name, "issuer": c.issuer, "client_id": c.client_id, "directory": c.directory,
        "jit": c.jit_at.is_some(), "default_role": default_role, "groups_claim": c.groups_claim,
        "claim_rules": c.claim_rules,
        "environment": c.environment, "domains": c.domains, "unconfirmed": c.unconfirmed.is_some(),
        "chosen_from": c.unconfirmed.map(|u| u.chosen_from),
    })
}

/// Roles that are looked at: ranks are 1–999 and unique, so there are never more.
const MAX_ROLES: i64 = 999;

/// Whoever chooses an identity provider chooses who is who: a first link opens the session of anybody but holders of
/// explicit-only roles. So it takes the rank of the highest role that is not explicit only. Roles that come to stand above
/// them later are not opened by it until an owner confirms (`Connection::chosen_by`).
///
/// # Errors
/// [`Refusal::AboveOwnRank`].
pub fn must_stand_above_automation(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    caller: &Caller,
) -> Result<(), ServiceError> {
    let roles = role::list(tx, organization, None, MAX_ROLES)?;
    let highest = roles.iter().filter(|r| r.giving == Giving::Anyhow).map(|r| r.rank).max();
    Ok(may_give(caller.rank(), highest.unwrap_or(Rank::NONE))?)
}

/// Whoever ends a connection, what it believes or what leads to it, takes the way in of those who are linked there, with their
/// sessions. From somebody above them nobody does who could not have chosen another provider there.
///
/// # Errors
/// [`Refusal::AboveOwnRank`].
pub(crate) fn may_close(
    tx: &mut Tx<'_>,
    (organization, id): (OrganizationId, ConnectionId),
    caller: &Caller,
) -> Result<(), ServiceError> {
    if connection::is_linked_above(tx, (organization, id), caller.rank())? {
        must_stand_above_automation(tx, organization, caller)?;
    }
    Ok(())
}

/// Makes a connection and the directory of its claims. `key` is ours there, and needed for SAML.
///
/// # Errors
/// [`Refusal::JitUnderDirectory`], [`Refusal::RoleIsExplicitOnly`], [`ServiceError::NotFound`] for a directory, role or
/// environment of elsewhere, [`ServiceError::Invalid`], for a domain of elsewhere too.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    caller: &Caller,
    (around, wanted, key): (&Surroundings, &Wanted, Option<&NewKey>),
    cause: Cause,
) -> Result<ConnectionView, ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    must_live(tx, organization)?;
    must_stand_above_automation(tx, organization, caller)?;
    let checked = check(tx, organization, caller, around, (None, wanted))?;
    let now = moment.now;
    let id = ConnectionId::fresh(now, &mut moment.random);
    let directory = Directory {
        id: DirectoryId::fresh(now, &mut moment.random),
        organization,
        kind: DirectoryKind::Claims,
        name: checked.name.clone(),
        default_role: wanted.default_role.clone(),
        settle_s: DEFAULT_SETTLE_S,
        // What somebody brings by signing in is theirs alone: nothing of it ends a company.
        brake: None,
        nested_at: None,
        connection: Some(id),
        created_at: now,
    };
    let mut made = Connection {
        id,
        organization,
        kind: wanted.protocol.kind(),
        name: checked.name,
        issuer: String::new(),
        client_id: String::new(),
        client_secret_sealed: String::new(),
        directory: wanted.directory,
        claims_directory: directory.id,
        jit_at: (wanted.newcomers == Newcomers::Admitted).then_some(now),
        groups_claim: wanted.groups_claim.clone(),
        claim_rules: wanted.claim_rules.clone(),
        environment: wanted.environment.clone(),
        domains: checked.domains,
        unconfirmed: None,
        created_at: now,
    }
    .chosen_by(caller.rank(), now);
    let beside = set_protocol(tx, (around, moment), &mut made, (&wanted.protocol, key))?;
    let mut told = described(&made, wanted.default_role.as_ref());
    let is_set = told::set_of(None, &beside);
    if let Some(fields) = told.as_object_mut() {
        fields.extend([("saml".to_owned(), json!(is_set.saml)), ("oidc".to_owned(), json!(is_set.oidc))]);
    }
    let event = EventDraft::new(Action::ConnectionCreated, id).about(directory.id).with(told);
    let changes: Vec<Change> = vec![
        DirectoryChange::Create(directory).into(),
        ConnectionChange::Create(Box::new(made.clone())).into(),
    ];
    let plan = told::planned(Plan::because(organization, cause), event, (changes, beside));
    moment.apply(tx, &plan)?;
    view(tx, made)
}

/// Changes a connection. `change` turns what is set into what is wanted.
///
/// # Errors
/// As [`create`], and [`ServiceError::NotFound`]; [`Refusal::AboveOwnRank`] for the default role that goes, for somebody
/// above the caller who would be suspended or end by that, and for what whoever comes just in time would have;
/// [`ServiceError::ProviderChosenBelow`] for a default role above whoever chose a provider that waits for an owner.
pub fn update(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, id): (OrganizationId, ConnectionId),
    caller: &Caller,
    (around, change): (&Surroundings, impl FnOnce(&ConnectionView) -> Result<Wanted, ServiceError>),
    cause: Cause,
) -> Result<ConnectionView, ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let before = find(tx, organization, id)?;
    let wanted = change(&before)?;
    let checked = check(tx, organization, caller, around, (Some(&before), &wanted))?;
    must_reach_newcomers(tx, caller, &before, &wanted)?;
    let provider = provider_change(tx, (around, moment), &before, &wanted.protocol)?;
    let read_before = reads(&before);
    let old = before.connection;
    // Whoever is linked comes in there from then on, in `production` with all that they may.
    let opens_elsewhere = provider.opens_elsewhere || wanted.environment != old.environment;
    if opens_elsewhere || reads_elsewhere(&old, &wanted) {
        must_stand_above_automation(tx, organization, caller)?;
    }
    if old.domains.iter().any(|led| !checked.domains.contains(led)) {
        may_close(tx, (organization, id), caller)?;
    }
    let mut new = Connection {
        name: checked.name,
        issuer: provider.issuer,
        client_id: provider.client_id,
        client_secret_sealed: provider.client_secret_sealed,
        directory: wanted.directory,
        jit_at: (wanted.newcomers == Newcomers::Admitted).then(|| old.jit_at.unwrap_or(moment.now)),
        groups_claim: wanted.groups_claim.clone(),
        claim_rules: wanted.claim_rules.clone(),
        environment: wanted.environment.clone(),
        domains: checked.domains,
        ..old.clone()
    };
    if opens_elsewhere {
        new = new.chosen_by(caller.rank(), moment.now);
    }
    let default_changed = wanted.default_role != before.default_role;
    if let Some(slug) = wanted.default_role.as_ref().filter(|_| default_changed) {
        let rank = named(tx, organization, ("default_role", slug.as_str()))?.rank;
        must_not_outgrow(tx, organization, (old.claims_directory, rank), moment.now)?;
    }
    if new == old && !default_changed && provider.beside.is_empty() {
        return view(tx, new);
    }
    let new = new.changed_by(caller.rank(), moment.now);
    let (was_set, is_set) =
        (told::set_of(Some(&before.protocol), &[]), told::set_of(Some(&before.protocol), &provider.beside));
    let event = EventDraft::new(Action::ConnectionUpdated, id).with(json!({
        "from": described(&old, before.default_role.as_ref()),
        "to": described(&new, wanted.default_role.as_ref()),
        "saml_before": was_set.saml,
        "saml_after": is_set.saml,
        "oidc_before": was_set.oidc,
        "oidc_after": is_set.oidc,
        "client_secret_changed": new.client_secret_sealed != old.client_secret_sealed,
    }));
    let mut changes: Vec<Change> = vec![ConnectionChange::Update(Box::new(new.clone())).into()];
    if default_changed && let Some(claims) = directory::find(tx, organization, old.claims_directory)? {
        let claims = Directory { default_role: wanted.default_role.clone(), ..claims };
        changes.push(DirectoryChange::Update(claims).into());
    }
    let touched = mapping::affected_by_directory(tx, old.claims_directory, listed())?;
    let lives_by_it = (organization, &[old.claims_directory][..]);
    let higher =
        default_changed.then(|| Higher::of(tx, caller, lives_by_it, &touched, moment.now)).transpose()?;
    let plan = told::planned(Plan::because(organization, cause), event, (changes, provider.beside));
    let cause = moment.apply(tx, &plan)?.cause;
    let after = view(tx, new)?;
    let reads_now = reads(&after);
    forget(tx, moment, &old, (&read_before, &reads_now), cause)?;
    if default_changed || reads_now != read_before {
        after_rule_change(tx, moment, organization, &touched, cause)?;
    }
    higher.map_or(Ok(()), |higher| higher.must_lose_nothing(tx, organization, moment.now))?;
    Ok(after)
}

/// Whether people's access comes from elsewhere: another claim may say more of somebody than the one that was chosen, as people
/// edit some of their claims themselves.
fn reads_elsewhere(old: &Connection, wanted: &Wanted) -> bool {
    wanted.directory != old.directory
        || wanted.groups_claim != old.groups_claim
        || wanted.claim_rules != old.claim_rules
}

/// Whoever comes just in time has what the directory of the claims gives: nobody below that lets them in, or takes from
/// them the role that they live by.
fn must_reach_newcomers(
    tx: &mut Tx<'_>,
    caller: &Caller,
    before: &ConnectionView,
    wanted: &Wanted,
) -> Result<(), ServiceError> {
    let old = &before.connection;
    if wanted.default_role != before.default_role {
        must_not_stand_above(tx, caller, old.organization, before.default_role.as_ref())?;
    }
    if wanted.newcomers == Newcomers::Refused || old.jit_at.is_some() {
        return Ok(());
    }
    let claims = directory::find(tx, old.organization, old.claims_directory)?;
    claims.map_or(Ok(()), |claims| must_reach(tx, caller, &claims))
}

/// An owner confirms what somebody below changed: holders of explicit-only roles, and whoever stands above them, may come in
/// again.
///
/// `looked_at` is the revision of what they looked at: nothing else is confirmed then
/// ([why](../../../docs/decisions/0071-what-is-confirmed-is-what-was-looked-at.md)).
///
/// # Errors
/// [`Refusal::AboveOwnRank`] for anybody below owner; [`ServiceError::ChangedMeanwhile`].
pub fn confirm(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, id): (OrganizationId, ConnectionId),
    (caller, looked_at): (&Caller, Option<&str>),
    cause: Cause,
) -> Result<ConnectionView, ServiceError> {
    may_give(caller.rank(), Rank::OWNER)?;
    tx.lock(Lock::Organization(organization))?;
    let before = find(tx, organization, id)?;
    if before.connection.unconfirmed.is_none() {
        return Ok(before);
    }
    if looked_at.is_some_and(|looked_at| looked_at != before.revision()) {
        return Err(ServiceError::ChangedMeanwhile);
    }
    let confirmed = Connection { unconfirmed: None, ..before.connection.clone() };
    let event = EventDraft::new(Action::ConnectionConfirmed, id)
        .with(json!({ "issuer": confirmed.issuer, "client_id": confirmed.client_id }));
    let plan =
        Plan::because(organization, cause).then(event, ConnectionChange::Update(Box::new(confirmed.clone())));
    moment.apply(tx, &plan)?;
    Ok(ConnectionView { connection: confirmed, ..before })
}

/// Deletes a connection, its links, its sessions and the directory of its claims, as [`directory::delete`] does one.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::GovernsPeople`] if its claims brought people and nothing was said of
/// them; [`Refusal::AboveOwnRank`] if they gave a role above the caller's rank, or brought somebody who stands there, or
/// somebody is linked who does (`may_close`).
///
/// [`directory::delete`]: crate::directory::delete
pub async fn delete(
    portcullis: &Portcullis,
    (organization, id): (OrganizationId, ConnectionId),
    (caller, people): (Caller, Governed),
    cause: Cause,
) -> Result<(), ServiceError> {
    step_by_step(portcullis, move |tx, moment, left| {
        tx.lock(Lock::Organization(organization))?;
        let found = find(tx, organization, id)?.connection;
        may_close(tx, (organization, id), &caller)?;
        let claims = directory::find(tx, organization, found.claims_directory)?
            .ok_or(ServiceError::NotFound(Noun::Directory))?;
        let left = part_step(tx, moment, &caller, &claims, (people, left), cause)?;
        if left == Left::Nothing {
            let event = EventDraft::new(Action::ConnectionDeleted, id)
                .about(claims.id)
                .with(json!({ "name": found.name, "issuer": found.issuer }));
            let sessions =
                TokenChange::ended(TokenSet::OfConnection(id), TokenEnd::HolderDeleted, moment.now);
            let changes = vec![sessions.into(), ConnectionChange::Delete(id).into()];
            end(tx, moment, &claims, (event, changes), cause)?;
        }
        Ok(left)
    })
    .await
}

/// Where somebody with that address signs in: the connections that its proven domain is routed to.
///
/// The answer depends on the domain only, so that nobody learns who is a member.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn routed(tx: &mut Tx<'_>, email_key: &str) -> Result<Vec<Connection>, ServiceError> {
    Ok(connection::find_by_domain(tx, portcullis_domain::text::domain_of(email_key))?)
}

/// The connections of a member's organization, for linking from their own session.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn linkable(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Vec<Connection>, ServiceError> {
    Ok(connection::list(tx, organization, None, MAX_LINKABLE)?)
}

/// The most connections that a member is offered to link.
const MAX_LINKABLE: i64 = 20;
