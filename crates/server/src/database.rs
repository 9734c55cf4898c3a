//! The database that the settings name, as the store takes it, and whom PostgreSQL's certificate is believed from.
//!
//! Every command that opens the database comes through here, so that none of them speaks to it in another way.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use portcullis_store::{Options, Wire};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;
use secrecy::ExposeSecret as _;

use crate::settings::{DatabaseUrl, Settings};

/// What ALPN says for PostgreSQL, so that its certificate is of use for no other service beside it.
const ALPN_POSTGRES: &[u8] = b"postgresql";

/// The options of the store that these settings name.
///
/// # Errors
/// If the authorities for a database that is spoken to by TLS cannot be read.
pub fn options(settings: &Settings) -> Result<Options> {
    Ok(match &settings.database {
        DatabaseUrl::Sqlite(path) => Options::Sqlite { path: path.clone() },
        DatabaseUrl::Postgres { url, wire } => Options::Postgres {
            url: url.expose_secret().to_owned(),
            connections: settings.postgres_max_connections,
            tls: match wire {
                Wire::Tls => Some(Arc::new(tls(settings.postgres_ca_file.as_deref())?)),
                Wire::Local | Wire::Clear => None,
            },
        },
    })
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
