//! The root token: installed at the start, turned off or replaced by an order from the machine, and never back after that.
//!
//! What the configuration says is there again at every start, and a backup brings back what was good when it was taken.
//! So a token that an order ended is remembered by its hash: neither of the two makes it good again (invariant I4).
//!
//! It acts in every organization, and whoever has the machine makes another in a second: so what became of it stands in the
//! log of each, in the same transaction.

use anyhow::Result;
use portcullis_domain::Clock as _;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::plan::Plan;
use portcullis_domain::secret::SecretHash;
use portcullis_service::caller::ROOT_TOKEN_HASH;
use portcullis_store::{Store, StoreError, Tx, apply, instance, organization};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::clock::SystemClock;
use crate::random::SystemRandom;
use crate::secrets::{self, Prepared, ROOT_TOKEN_FILE};
use crate::settings::Settings;

/// What is kept in place of a hash while the token is off.
const OFF: &str = "";
/// Before the hash of each token that an order ended.
const REFUSED: &str = "root_token_refused/";
/// Set by a restore that could not know what was ended since the backup, until the next start.
const RESTORED: &str = "root_token_restored";
/// The most ended tokens that are looked at: each was ended by a person's order.
const MAX_REFUSED: i64 = 10_000;
/// Organizations that are told together.
const PAGE: i64 = 100;

/// By what it was decided which root token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// An order from the machine.
    Order,
    /// The configuration at a start.
    Configuration,
    /// A restore: what was good before it is good after it, or none is, where it could not know.
    Restore,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Configuration => "configuration",
            Self::Restore => "restore",
        }
    }
}

/// What a database knows of root tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The hash of the one that is good, [`OFF`], or nothing if there never was one.
    hash: Option<String>,
    /// The hashes of those that orders ended.
    ended: Vec<String>,
}

/// The hash of the token in the configuration.
#[must_use]
pub fn given_hash(settings: &Settings) -> Option<SecretHash> {
    settings.root_token.as_ref().map(|token| SecretHash::of(token.expose_secret()))
}

/// Makes the root token known: the operator's, or a generated one in a private file. One in the configuration that was
/// ended, or that stands there while the token is off, is refused from then on. A file whose token is good no more goes. What
/// the start begins beside it is kept in the same transaction.
///
/// # Errors
/// From the database, or if the file cannot be written.
pub fn install(settings: &Settings, store: &Store, begun: Vec<(&'static str, String)>) -> Result<()> {
    let chosen = choose(settings, store)?;
    if chosen.is_some() || !begun.is_empty() {
        store.write_blocking(move |tx| {
            for (name, text) in &begun {
                instance::put(tx, name, text)?;
            }
            chosen.as_ref().map_or(Ok(()), |hash| set(tx, hash.as_str(), By::Configuration))
        })?;
    }
    let file = settings.data.join(ROOT_TOKEN_FILE);
    if let Some((left, token)) = Prepared::left_for(&file)? {
        let hash = SecretHash::of(&token);
        // An order ended between the database and its file.
        if store.read_blocking(move |tx| is_good(tx, Some(&hash)))? { left.place() } else { left.discard() }?;
    }
    // One that cannot be read cannot be mistaken either.
    let Ok(token) = std::fs::read_to_string(&file) else { return Ok(()) };
    let hash = SecretHash::of(token.trim());
    if !store.read_blocking(move |tx| is_good(tx, Some(&hash)))? {
        // Whoever reads it there takes it for the one that is good.
        secrets::remove(&file)?;
    }
    Ok(())
}

/// Decides which token is good; its hash, where another one is kept or none.
fn choose(settings: &Settings, store: &Store) -> Result<Option<SecretHash>> {
    let given = given_hash(settings);
    let asked = given.clone();
    let (stored, is_restored, is_ended) = store.read_blocking(move |tx| {
        let ended = asked.as_ref().map(|hash| is_ended(tx, hash)).transpose()?;
        let restored = instance::find(tx, RESTORED)?.is_some();
        Ok::<_, StoreError>((instance::find(tx, ROOT_TOKEN_HASH)?, restored, ended == Some(true)))
    })?;
    let refuses = is_restored || stored.as_deref() == Some(OFF);
    let newly = given.clone().filter(|_| refuses && !is_ended);
    if is_restored || newly.is_some() {
        let newly = newly.clone();
        store.write_blocking(move |tx| {
            instance::remove(tx, RESTORED)?;
            newly.as_ref().map_or(Ok(()), |hash| end(tx, hash.as_str()))
        })?;
    }
    let given = given.filter(|_| !is_ended && newly.is_none());
    if settings.root_token.is_some() && given.is_none() {
        tracing::warn!(
            "the root token in the configuration is refused: it was turned off or replaced (`admin root-token`), or could \
             have been before a restore; configure another one, or none"
        );
    }
    Ok(match (given, stored) {
        (_, Some(stored)) if stored == OFF => None,
        (None, Some(_)) => None,
        (Some(given), stored) if stored.as_deref() == Some(given.as_str()) => None,
        (Some(given), _) => Some(given),
        (None, None) => {
            let token = secrets::new_root_token(&mut SystemRandom);
            secrets::replace(&settings.data.join(ROOT_TOKEN_FILE), &format!("{token}\n"))?;
            Some(SecretHash::of(&token))
        }
    })
}

/// Whether the token of that hash is the one that is good.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn is_good(tx: &mut Tx<'_>, hash: Option<&SecretHash>) -> Result<bool, StoreError> {
    let stored = instance::find(tx, ROOT_TOKEN_HASH)?;
    Ok(hash.is_some_and(|hash| stored.as_deref() == Some(hash.as_str())))
}

/// Whether an order turned the token off.
///
/// # Errors
/// As [`is_good`].
pub fn is_off(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    Ok(instance::find(tx, ROOT_TOKEN_HASH)?.as_deref() == Some(OFF))
}

/// Whether any token is good.
///
/// # Errors
/// As [`is_good`].
pub fn is_on(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    Ok(instance::find(tx, ROOT_TOKEN_HASH)?.is_some_and(|hash| hash != OFF))
}

/// Ends the token that is good; the one of that hash is good now, or none.
///
/// # Errors
/// As [`is_good`].
pub fn replace(tx: &mut Tx<'_>, with: Option<&SecretHash>, by: By) -> Result<(), StoreError> {
    if let Some(stored) = instance::find(tx, ROOT_TOKEN_HASH)? {
        end(tx, &stored)?;
    }
    set(tx, with.map_or(OFF, SecretHash::as_str), by)?;
    // Access was taken away: an older file of this database is told from it by the revision.
    let revision = instance::revision(tx)?;
    instance::raise_revision(tx, revision.saturating_add(1))
}

/// What a database knows of root tokens.
///
/// # Errors
/// As [`is_good`].
pub fn known(tx: &mut Tx<'_>) -> Result<Known, StoreError> {
    let names = instance::names_under(tx, REFUSED, MAX_REFUSED)?;
    let ended = names.iter().filter_map(|name| name.strip_prefix(REFUSED)).map(str::to_owned).collect();
    Ok(Known { hash: instance::find(tx, ROOT_TOKEN_HASH)?, ended })
}

/// In a restored database: what is good is what was good before the restore. Where that is not known, the token of the
/// backup ends, and so does the one that the next start finds in its configuration: an order makes another.
///
/// # Errors
/// As [`is_good`].
pub fn carry_over(tx: &mut Tx<'_>, before: Option<&Known>) -> Result<(), StoreError> {
    let Some(before) = before else {
        replace(tx, None, By::Restore)?;
        return instance::put(tx, RESTORED, "");
    };
    for hash in &before.ended {
        end(tx, hash)?;
    }
    match &before.hash {
        Some(hash) => set(tx, hash, By::Restore),
        // There never was one: the next start makes one.
        None => {
            set(tx, OFF, By::Restore)?;
            instance::remove(tx, ROOT_TOKEN_HASH)
        }
    }
}

/// Makes the token of that hash the one that is good, and says so in every log if it was another.
fn set(tx: &mut Tx<'_>, hash: &str, by: By) -> Result<(), StoreError> {
    let before = instance::find(tx, ROOT_TOKEN_HASH)?;
    instance::put(tx, ROOT_TOKEN_HASH, hash)?;
    if before.as_deref().unwrap_or(OFF) == hash {
        return Ok(());
    }
    let action = if hash == OFF { Action::RootTokenEnded } else { Action::RootTokenReplaced };
    let mut after = String::new();
    loop {
        let page = organization::list(tx, Some(&after), PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.to_string();
        for one in page {
            let event = EventDraft::new(action, one.id).with(json!({ "by": by.as_str() }));
            let plan = Plan::because(one.id, Cause::system()).noting(event);
            apply(tx, &plan, SystemClock.now(), &mut SystemRandom)?;
        }
    }
}

fn is_ended(tx: &mut Tx<'_>, hash: &SecretHash) -> Result<bool, StoreError> {
    Ok(instance::find(tx, &format!("{REFUSED}{}", hash.as_str()))?.is_some())
}

fn end(tx: &mut Tx<'_>, hash: &str) -> Result<(), StoreError> {
    if hash == OFF { Ok(()) } else { instance::put(tx, &format!("{REFUSED}{hash}"), "") }
}
