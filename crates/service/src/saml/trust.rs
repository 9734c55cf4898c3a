//! Whose signatures count, looked up once more: what no trusted key signed may be of a key that is new.
//!
//! Here as one function for answers and for messages about the end of sessions, because a provider that turned its keys
//! turned them for both. Whoever comes while the metadata is read waits for it: what the reading brings counts for them
//! too, and a refusal would have used their answer up. It comes to its end if the one for whom it was begun hangs up:
//! readings are counted, and one that was cut off would be gone for everybody.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use portcullis_domain::cause::Cause;
use portcullis_domain::id::ConnectionId;
use portcullis_domain::saml::SamlCertificate;
use portcullis_saml::refusal::Refusal as SamlRefusal;
use tokio::sync::OwnedMutexGuard;

use super::metadata::{Refreshed, read_for_a_signature};
use super::{Setup, broken};
use crate::rollover::{Brought, Wanted};
use crate::{Portcullis, ServiceError};

/// Looks for one message: what another one has read meanwhile may be older than the key.
const MAX_LOOKS: usize = 2;
/// Readers that are remembered before those who are done are forgotten.
const MAX_READERS: usize = 1_000;

/// Who reads the metadata of which connection now: one at a time.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    reading: Mutex<HashMap<ConnectionId, Weak<tokio::sync::Mutex<()>>>>,
}

impl Readers {
    /// Waits until nobody else reads that connection's metadata; nobody does until what is given goes.
    pub(crate) async fn alone(&self, connection: ConnectionId) -> OwnedMutexGuard<()> {
        self.of(connection).lock_owned().await
    }

    fn of(&self, connection: ConnectionId) -> Arc<tokio::sync::Mutex<()>> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = reading.get(&connection).and_then(Weak::upgrade) {
            return reader;
        }
        if reading.len() >= MAX_READERS {
            reading.retain(|_, reader| reader.strong_count() > 0);
        }
        let reader = Arc::default();
        reading.insert(connection, Arc::downgrade(&reader));
        reader
    }
}

/// Verifies with what is trusted, and with what is trusted now if no trusted key signed it; how it was set up then.
///
/// # Errors
/// [`ServiceError::SignIn`], the first check that fails.
pub(crate) async fn verified<T>(
    portcullis: &Portcullis,
    mut setup: Setup,
    source: IpAddr,
    verify: impl Fn(&Setup) -> Result<Result<T, SamlRefusal>, ServiceError>,
) -> Result<(Setup, T), ServiceError> {
    let wanted = Wanted { at: setup.connection.id, brought: Brought::From(source) };
    let mut verified = verify(&setup)?;
    let mut how = Newer::ReadByOthers;
    for _ in 0..MAX_LOOKS {
        if how == Newer::ReadForThis || !verified.as_ref().is_err_and(SamlRefusal::is_unknown_key) {
            break;
        }
        let Some(newer) = newer(portcullis, &setup, wanted).await? else { break };
        (setup, how) = newer;
        verified = verify(&setup)?;
    }
    match verified {
        Ok(verified) => {
            if how == Newer::ReadForThis {
                wanted.was_right(portcullis);
            }
            Ok((setup, verified))
        }
        Err(refusal) => Err(broken(&refusal)),
    }
}

/// How newer trust came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newer {
    ReadByOthers,
    ReadForThis,
}

/// How a connection is set up now, if other signatures count than before: what others have read, or what is read now.
async fn newer(
    portcullis: &Portcullis,
    tried: &Setup,
    wanted: Wanted,
) -> Result<Option<(Setup, Newer)>, ServiceError> {
    if let Some(setup) = changed(portcullis, tried).await? {
        return Ok(Some((setup, Newer::ReadByOthers)));
    }
    let alone = portcullis.door().readers.alone(wanted.at).await;
    if let Some(setup) = changed(portcullis, tried).await? {
        return Ok(Some((setup, Newer::ReadByOthers)));
    }
    if tried.view.source.metadata_url.is_none() || !wanted.admit(portcullis) {
        return Ok(None);
    }
    let at = (tried.connection.organization, wanted.at);
    let reader = portcullis.clone();
    let reading = tokio::spawn(async move {
        let read = read_for_a_signature(&reader, at, Cause::system()).await;
        drop(alone);
        read
    });
    match reading.await {
        Ok(Ok(Refreshed::Changed)) => {
            Ok(changed(portcullis, tried).await?.map(|setup| (setup, Newer::ReadForThis)))
        }
        // Why it could not be read is noted with the connection.
        _ => Ok(None),
    }
}

/// How a connection is set up now, if other signatures count than before.
async fn changed(portcullis: &Portcullis, tried: &Setup) -> Result<Option<Setup>, ServiceError> {
    let setup = Setup::load(portcullis, tried.connection.id).await?;
    let differs = !prints(&setup).eq(prints(tried));
    Ok(differs.then_some(setup))
}

fn prints(setup: &Setup) -> impl Iterator<Item = &str> {
    setup.view.trusted().map(|c: &SamlCertificate| c.fingerprint.as_str())
}
