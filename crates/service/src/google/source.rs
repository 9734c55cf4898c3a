//! Where a directory gets its facts and by which right, as somebody wishes it: read, judged, sealed.

use portcullis_domain::google::{
    ConsentClient, GoogleKey, GoogleRight, GoogleSource, MY_CUSTOMER, WorkloadUse,
};
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_domain::text::{domain_key, email_key};
use portcullis_store::Tx;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::bearer::secret_place;
use super::{Ground, key, workload};
use crate::caller::Caller;
use crate::{Moment, ServiceError};

/// The longest id of a customer, in bytes; Google's have nine.
const MAX_CUSTOMER: usize = 64;
/// The longest id or secret of an OAuth client, in bytes; Google's have some 75 and 35.
const MAX_CLIENT: usize = 256;

/// Where a new directory gets its facts.
#[derive(Clone)]
pub struct NewSource {
    /// The customer's id at Google; the one of the administrator if nothing is said.
    pub customer: Option<String>,
    /// The one e-mail domain that is asked for.
    pub domain: Option<String>,
    /// By which right it is asked.
    pub right: NewRight,
}

/// By which right Google is to be asked.
#[derive(Clone)]
pub enum NewRight {
    /// A service account's key.
    Key {
        /// The administrator in whose name is asked.
        delegated_admin: String,
        /// The service account's key file.
        file: Value,
    },
    /// The identity that the operator's settings name.
    Workload {
        /// The administrator in whose name is asked.
        delegated_admin: String,
    },
    /// The consent of an administrator, who is asked by this OAuth client.
    Consent {
        /// The domain of their Workspace.
        hosted_domain: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: SecretString,
    },
}

/// Which parts of a source are to change.
#[derive(Clone, Default)]
pub struct SourceChanges {
    /// The one e-mail domain that is asked for; `Some(None)` asks for all.
    pub domain: Option<Option<String>>,
    /// Another right, whole.
    pub right: Option<NewRight>,
    /// The administrator in whose name is asked.
    pub delegated_admin: Option<String>,
    /// Another key file, of this or another service account.
    pub service_account_key: Option<Value>,
    /// The domain of the Workspace whose administrator consents.
    pub hosted_domain: Option<String>,
    /// The OAuth client's id.
    pub client_id: Option<String>,
    /// The OAuth client's secret.
    pub client_secret: Option<SecretString>,
}

/// A source as it is wished for a new directory.
///
/// # Errors
/// [`ServiceError::Invalid`]; as [`right`].
pub(super) fn made(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    by: (&Caller, Ground<'_>),
    (organization, directory): (OrganizationId, DirectoryId),
    wish: &NewSource,
) -> Result<GoogleSource, ServiceError> {
    Ok(GoogleSource {
        directory,
        organization,
        customer: customer(wish.customer.as_deref())?,
        domain: wish.domain.as_deref().map(domain).transpose()?,
        right: right(tx, moment, by, (organization, directory), &wish.right)?,
        believed_up_to: by.0.rank(),
        updated_at: moment.now,
    })
}

/// A source with its changes; not yet dated.
///
/// # Errors
/// As [`made`]; [`ServiceError::Invalid`] for a part that its right does not have.
pub(super) fn changed(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    by: (&Caller, Ground<'_>),
    was: &GoogleSource,
    changes: &SourceChanges,
) -> Result<GoogleSource, ServiceError> {
    let mut is = was.clone();
    if let Some(said) = &changes.domain {
        is.domain = said.as_deref().map(domain).transpose()?;
    }
    let of = (was.organization, was.directory);
    if let Some(wish) = &changes.right {
        is.right = right(tx, moment, by, of, wish)?;
        is.believed_up_to = by.0.rank();
        return Ok(is);
    }
    let has_not = |field| Err(ServiceError::invalid(field, "is not of this directory's `authorization`"));
    let consents = matches!(is.right, GoogleRight::Consent(_));
    match changes {
        SourceChanges { hosted_domain: Some(_), .. } if !consents => return has_not("google.hosted_domain"),
        SourceChanges { client_id: Some(_), .. } if !consents => return has_not("google.client_id"),
        SourceChanges { client_secret: Some(_), .. } if !consents => return has_not("google.client_secret"),
        SourceChanges { delegated_admin: Some(_), .. } if consents => {
            return has_not("google.delegated_admin");
        }
        SourceChanges { service_account_key: Some(_), .. } if !matches!(is.right, GoogleRight::Key(_)) => {
            return has_not("google.service_account_key");
        }
        _ => {}
    }
    match &mut is.right {
        GoogleRight::Key(kept) => {
            let delegated_admin = changes.delegated_admin.as_deref().map(admin).transpose()?;
            if let Some(file) = &changes.service_account_key {
                let read = service_account_key(moment, by.1, was.directory, (&kept.delegated_admin, file))?;
                *kept = read;
            }
            kept.delegated_admin = delegated_admin.unwrap_or_else(|| kept.delegated_admin.clone());
        }
        GoogleRight::Workload(used) => {
            let named = changes.delegated_admin.as_deref().map(admin).transpose()?;
            // Whoever names the same again takes nobody's word back.
            if let Some(named) = named.filter(|named| *named != used.delegated_admin) {
                *used = workload_use(tx, moment, by, was.organization, &named)?;
            }
        }
        GoogleRight::Consent(client) => change_client(moment, by.1, was.directory, (client, changes))?,
    }
    if is != *was {
        // What others chose and they leave is theirs still.
        is.believed_up_to = was.believed_up_to.min(by.0.rank());
    }
    Ok(is)
}

/// Another client or Workspace needs another consent; another secret of the same client does not.
fn change_client(
    moment: &mut Moment,
    ground: Ground<'_>,
    directory: DirectoryId,
    (client, changes): (&mut ConsentClient, &SourceChanges),
) -> Result<(), ServiceError> {
    let before = (client.client_id.clone(), client.hosted_domain.clone());
    if let Some(said) = &changes.client_id {
        client.client_id = client_text("google.client_id", said)?;
    }
    if let Some(said) = &changes.hosted_domain {
        client.hosted_domain = hosted_domain(said)?;
    }
    if let Some(said) = &changes.client_secret {
        client.client_secret_sealed = client_secret(moment, ground, directory, said)?;
    }
    if before != (client.client_id.clone(), client.hosted_domain.clone()) {
        client.given = None;
    }
    Ok(())
}

/// A right as it is wished.
///
/// # Errors
/// [`ServiceError::Invalid`] for a key file, address or client that cannot be used; [`ServiceError::IdentityOff`] and
/// [`ServiceError::IdentityNotAllowed`] for a workload identity.
fn right(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    by: (&Caller, Ground<'_>),
    (organization, directory): (OrganizationId, DirectoryId),
    wish: &NewRight,
) -> Result<GoogleRight, ServiceError> {
    Ok(match wish {
        NewRight::Key { delegated_admin, file } => {
            let delegated_admin = admin(delegated_admin)?;
            GoogleRight::Key(service_account_key(moment, by.1, directory, (&delegated_admin, file))?)
        }
        NewRight::Workload { delegated_admin } => {
            let delegated_admin = admin(delegated_admin)?;
            GoogleRight::Workload(workload_use(tx, moment, by, organization, &delegated_admin)?)
        }
        NewRight::Consent { hosted_domain: named, client_id, client_secret: secret } => {
            GoogleRight::Consent(ConsentClient {
                hosted_domain: hosted_domain(named)?,
                client_id: client_text("google.client_id", client_id)?,
                client_secret_sealed: client_secret(moment, by.1, directory, secret)?,
                given: None,
            })
        }
    })
}

fn service_account_key(
    moment: &mut Moment,
    ground: Ground<'_>,
    directory: DirectoryId,
    (delegated_admin, file): (&str, &Value),
) -> Result<GoogleKey, ServiceError> {
    let read = key::parse(file, &ground.polling.token_url)?;
    Ok(GoogleKey {
        delegated_admin: delegated_admin.to_owned(),
        key_sealed: read.seal(ground.sealing, &mut moment.random, &key::place(directory))?,
        client_email: read.client_email,
        client_id: read.client_id,
        key_id: read.key_id,
    })
}

/// The use of the settings' identity in the name of that administrator, if this caller may say so.
fn workload_use(
    tx: &mut Tx<'_>,
    moment: &Moment,
    (caller, ground): (&Caller, Ground<'_>),
    organization: OrganizationId,
    delegated_admin: &str,
) -> Result<WorkloadUse, ServiceError> {
    let identity = ground.polling.workload.as_ref();
    let identity = identity.ok_or(ServiceError::IdentityOff)?;
    let vouched_at = matches!(caller, Caller::Root).then_some(moment.now);
    let used = WorkloadUse { delegated_admin: delegated_admin.to_owned(), vouched_at };
    if workload::may_use(tx, identity, (organization, &used))? {
        Ok(used)
    } else {
        Err(ServiceError::IdentityNotAllowed)
    }
}

fn customer(said: Option<&str>) -> Result<String, ServiceError> {
    let said = said.unwrap_or(MY_CUSTOMER);
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if said.is_empty() || said.len() > MAX_CUSTOMER || !said.chars().all(good) {
        let message = "is `my_customer`, or the customer's id as Admin console → Account shows it";
        return Err(ServiceError::invalid("google.customer", message));
    }
    Ok(said.to_owned())
}

fn domain(said: &str) -> Result<String, ServiceError> {
    domain_key(said).map_err(|error| ServiceError::invalid("google.domain", error.to_string()))
}

fn hosted_domain(said: &str) -> Result<String, ServiceError> {
    domain_key(said).map_err(|error| ServiceError::invalid("google.hosted_domain", error.to_string()))
}

fn admin(said: &str) -> Result<String, ServiceError> {
    email_key(said).map_err(|error| ServiceError::invalid("google.delegated_admin", error.to_string()))
}

fn client_text(field: &'static str, said: &str) -> Result<String, ServiceError> {
    let good = !said.is_empty() && said.len() <= MAX_CLIENT && said.chars().all(|c| c.is_ascii_graphic());
    if good {
        Ok(said.to_owned())
    } else {
        let message = format!("is the one of an OAuth client: visible ASCII, {MAX_CLIENT} bytes at most");
        Err(ServiceError::invalid(field, message))
    }
}

fn client_secret(
    moment: &mut Moment,
    ground: Ground<'_>,
    directory: DirectoryId,
    said: &SecretString,
) -> Result<String, ServiceError> {
    const FIELD: &str = "google.client_secret";
    let text = client_text(FIELD, said.expose_secret())?;
    let sealed = ground.sealing.seal(&mut moment.random, &secret_place(directory), text.as_bytes());
    sealed.map_err(|error| ServiceError::invalid(FIELD, error.to_string()))
}

/// Whether another secret is sealed in it: what the two sides of an event cannot show.
pub(super) fn secret_changed(was: &GoogleSource, is: &GoogleSource) -> bool {
    match (&was.right, &is.right) {
        (GoogleRight::Key(was), GoogleRight::Key(is)) => was.key_sealed != is.key_sealed,
        (GoogleRight::Consent(was), GoogleRight::Consent(is)) => {
            let refresh = |client: &ConsentClient| client.given.as_ref().map(|g| g.refresh_sealed.clone());
            was.client_secret_sealed != is.client_secret_sealed || refresh(was) != refresh(is)
        }
        (GoogleRight::Workload(_), GoogleRight::Workload(_)) => false,
        _ => true,
    }
}

/// A source as an audit event shows it: everything but what is sealed.
pub(super) fn shown(source: &GoogleSource) -> Value {
    let mut shown = json!({
        "customer": source.customer,
        "domain": source.domain,
        "authorization": source.right.kind(),
        "believed_up_to": source.believed_up_to,
    });
    let more = match &source.right {
        GoogleRight::Key(key) => json!({
            "delegated_admin": key.delegated_admin,
            "service_account": key.client_email,
            "key_id": key.key_id,
        }),
        GoogleRight::Workload(used) => json!({
            "delegated_admin": used.delegated_admin,
            "vouched_for": used.vouched_at.is_some(),
        }),
        GoogleRight::Consent(client) => json!({
            "hosted_domain": client.hosted_domain,
            "client_id": client.client_id,
            "consented_by": client.given.as_ref().map(|given| &given.by),
            "consented_at": client.given.as_ref().map(|given| given.at.rfc3339()),
        }),
    };
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    shown
}
