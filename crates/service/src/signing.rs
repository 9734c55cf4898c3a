//! The keys that sign receipts and heads of the audit log: one Ed25519 key an organization, sealed.
//!
//! A key is made when an organization first has something to sign, and kept in memory opened. The public part is at
//! `/o/{org}/jwks`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_domain::audit::canonical;
use portcullis_domain::id::OrganizationId;
use portcullis_oidc::provider::SigningKey;
use portcullis_store::signing_key::{self, SigningKey as Stored};
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::error::inconsistent;
use crate::{Portcullis, ServiceError};

/// The `typ` of a receipt's signature.
pub const RECEIPT_TYP: &str = "portcullis-receipt+jws";
/// The `typ` of the signature over a head of the audit log.
pub const HEAD_TYP: &str = "portcullis-audit-head+jws";
/// The most opened keys in memory.
const MAX_OPEN: usize = 1000;

/// Opened keys.
#[derive(Default)]
pub(crate) struct OpenKeys {
    keys: Mutex<HashMap<OrganizationId, Arc<SigningKey>>>,
}

fn place(kid: &str) -> String {
    format!("signing_keys.private_sealed:{kid}")
}

/// Signs the canonical form (RFC 8785) of a statement.
///
/// # Errors
/// [`ServiceError::Fault`] if the statement has no canonical form.
pub fn sign(key: &SigningKey, typ: &'static str, statement: &impl Serialize) -> Result<String, ServiceError> {
    let payload = canonical(statement).map_err(|e| ServiceError::fault("a statement to sign", e))?;
    let header = json!({ "alg": "EdDSA", "kid": key.kid(), "typ": typ });
    key.sign_bytes(&header, &payload).map_err(|e| ServiceError::fault("signing", e))
}

impl Portcullis {
    /// The key that signs for an organization now; made if there is none.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; also if the sealed key does not open.
    pub async fn signing_key(&self, organization: OrganizationId) -> Result<Arc<SigningKey>, ServiceError> {
        if let Some(key) =
            self.open_keys().keys.lock().unwrap_or_else(PoisonError::into_inner).get(&organization)
        {
            return Ok(Arc::clone(key));
        }
        let stored = self.read(move |tx, _| Ok(signing_key::current(tx, organization)?)).await?;
        let key = match stored {
            Some(stored) => self.open(&stored)?,
            None => self.make_key(organization).await?,
        };
        let key = Arc::new(key);
        let mut keys = self.open_keys().keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_OPEN {
            keys.clear();
        }
        keys.insert(organization, Arc::clone(&key));
        Ok(key)
    }

    fn open(&self, stored: &Stored) -> Result<SigningKey, ServiceError> {
        let damaged = |why: &dyn std::fmt::Display| inconsistent(format!("a signing key: {why}"));
        let opened = self.around().sealing.open(&place(&stored.kid), &stored.private_sealed);
        let seed = opened.map_err(|e| damaged(&e))?;
        let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|e| damaged(&e))?;
        SigningKey::ed25519_from_random(seed).map_err(|e| damaged(&e))
    }

    async fn make_key(&self, organization: OrganizationId) -> Result<SigningKey, ServiceError> {
        let mut moment = self.moment();
        let mut seed = Zeroizing::new([0_u8; 32]);
        moment.random.fill(seed.as_mut());
        let key =
            SigningKey::ed25519_from_random(&seed).map_err(|e| ServiceError::fault("a signing key", e))?;
        let kid = key.kid().to_owned();
        let sealed = self
            .around()
            .sealing
            .seal(&mut moment.random, &place(&kid), seed.as_ref())
            .map_err(|e| ServiceError::fault("a signing key", e))?;
        let row = Stored {
            kid,
            organization,
            public_key: key.public_jwk().to_value().to_string(),
            private_sealed: sealed,
            created_at: moment.now,
            retired_at: None,
        };
        self.write(portcullis_store::Priority::Ordinary, move |tx, _| Ok(signing_key::insert(tx, &row)?))
            .await?;
        Ok(key)
    }

    /// The public keys of an organization, as a JWK set (RFC 7517 §5).
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an organization that there is none of.
    pub async fn public_keys(&self, named: String) -> Result<Value, ServiceError> {
        let keys = self
            .read(move |tx, _| {
                // Also of one that was deleted: what was signed for it is checked for as long as anybody has it.
                let organization = crate::organization::of_log(tx, &named)?;
                Ok(signing_key::list_public(tx, organization.id)?)
            })
            .await?;
        let keys: Vec<Value> = keys.iter().filter_map(|k| serde_json::from_str(&k.public_key).ok()).collect();
        Ok(json!({ "keys": keys }))
    }
}
