//! The database that the settings name, as the store takes it, and whom PostgreSQL's certificate is believed from.
//!
//! Every command that opens the database comes through here, so that none of them speaks to it in another way, and only
//! those that are meant to make one do.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use portcullis_store::lease::Lease;
use portcullis_store::{Options, Store, Wire, migration};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;
use secrecy::ExposeSecret as _;

use crate::clock::SystemClock;
use crate::settings::{DatabaseUrl, Settings};
use crate::{lease, secrets};

/// What ALPN says for PostgreSQL, so that its certificate is of use for no other service beside it.
const ALPN_POSTGRES: &[u8] = b"postgresql";

/// Connections to PostgreSQL of a command: it asks one thing after another, and beside it a server may have nearly all.
const CONNECTIONS_OF_A_COMMAND: usize = 2;

/// The options of the store that these settings name, for a command.
///
/// # Errors
/// If the authorities for a database that is spoken to by TLS cannot be read.
pub fn options(settings: &Settings) -> Result<Options> {
    options_with(settings, CONNECTIONS_OF_A_COMMAND.min(settings.postgres_max_connections))
}

fn options_with(settings: &Settings, connections: usize) -> Result<Options> {
    Ok(match &settings.database {
        DatabaseUrl::Sqlite(path) => Options::Sqlite { path: path.clone() },
        DatabaseUrl::Postgres { url, wire } => Options::Postgres {
            url: url.expose_secret().to_owned(),
            connections,
            tls: match wire {
                Wire::Tls => Some(Arc::new(tls(settings.postgres_ca_file.as_deref())?)),
                Wire::Local | Wire::Clear => None,
            },
        },
    })
}

/// Opens the database, or makes it, for a node that serves it from now on; what SQLite makes beside its file gets the mode
/// of that file (0600).
///
/// # Errors
/// If it cannot be reached or made, another node serves it, or a newer version wrote it.
pub fn open_to_serve(settings: &Settings) -> Result<(Store, Option<Lease>)> {
    let store = connect_or_make(settings, &options_with(settings, settings.postgres_max_connections)?)?;
    let lease = lease::take(settings, &store)?;
    Ok((store, lease))
}

/// The same for a command that serves nobody.
///
/// # Errors
/// As [`open_to_serve`], where the schema is to be changed.
pub fn open_or_make(settings: &Settings) -> Result<Store> {
    let store = connect_or_make(settings, &options(settings)?)?;
    lease::bring_up_to_date(settings, &store)?;
    Ok(store)
}

fn connect_or_make(settings: &Settings, options: &Options) -> Result<Store> {
    if let Some(path) = settings.database.file()
        && !path.exists()
    {
        secrets::make_empty(path)?;
    }
    Ok(Store::connect(options, Arc::new(SystemClock))?)
}

/// Opens a database that is there: what is done to a new and empty one would be done to nobody, and seem done.
///
/// # Errors
/// If there is none, there is nothing of Portcullis in it, it cannot be reached, or a newer version wrote it; where the
/// schema is to be changed, if another node serves it.
pub fn open_existing(settings: &Settings) -> Result<Store> {
    let store = connect_existing(settings)?;
    lease::bring_up_to_date(settings, &store)?;
    Ok(store)
}

/// The same for whoever only reads: the schema stays as it is.
///
/// # Errors
/// If there is none, there is nothing of Portcullis in it, or it cannot be reached.
pub fn connect_existing(settings: &Settings) -> Result<Store> {
    must_be_there(settings)?;
    let store = Store::connect(&options(settings)?, Arc::new(SystemClock))?;
    if store.read_blocking(migration::applied)?.is_empty() {
        bail!(
            "there is nothing of Portcullis in {}: `portcullis serve` or `portcullis migrate` makes it",
            settings.database
        );
    }
    Ok(store)
}

/// Refuses settings that name a SQLite file which is not there, before anything is made.
///
/// # Errors
/// If there is none.
pub fn must_be_there(settings: &Settings) -> Result<()> {
    match settings.database.file() {
        Some(path) if !path.exists() => {
            bail!(
                "there is no database at `{}`; name the data folder with `--data`, or the database with `--database`",
                settings.database
            )
        }
        _ => Ok(()),
    }
}

/// Where the state lies, for a person to see that it is the right one: from the root, and without passwords.
#[must_use]
pub fn place(settings: &Settings) -> String {
    let data = std::path::absolute(&settings.data);
    let data = data.as_ref().unwrap_or(&settings.data);
    format!("data folder {}, database {}", data.display(), settings.database)
}

/// TLS that believes whom outbound requests believe, and the authorities in this file.
fn tls(ca_file: Option<&Path>) -> Result<ClientConfig> {
    let authorities = ca_file.map(authorities).transpose()?.unwrap_or_default();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities, Arc::clone(&provider))
        .context("there is nobody to believe PostgreSQL's certificate from")?;
    // `dangerous` is how rustls takes any verifier that is not a bare list; this one verifies chain, name and time.
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_POSTGRES.to_vec()];
    Ok(config)
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let named = || format!("`postgres.ca_file` `{}`", path.display());
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(named)?;
    ensure!(!found.is_empty(), "{}: there is no certificate in it", named());
    Ok(found)
}

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
