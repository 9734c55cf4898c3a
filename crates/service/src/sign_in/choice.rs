//! Which connection of an organization a person means who comes by the organization's own address.
//!
//! An organization may have several identity providers and one address to hand out. What decides is the domain of the
//! person's address, or the person: the answer depends on nothing else, so that nobody learns here who is a member, and
//! no issuer is ever searched for.

use portcullis_domain::connection::Connection;
use portcullis_domain::organization::Organization;
use portcullis_domain::text::domain_of;
use portcullis_store::{Tx, connection};

use crate::noun::Noun;
use crate::{ServiceError, organization};

/// The most connections that a person is asked to choose from. Beyond them the domain of an address finds one, or the
/// connection's own address.
pub const MAX_CHOICES: i64 = 50;

/// The connections that a person may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The organization.
    pub organization: Organization,
    /// Its connections: one at least.
    pub connections: Vec<Connection>,
    /// What they were chosen by.
    pub by: ChosenBy,
}

/// What decided about the connections of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenBy {
    /// The domain of the person's address is routed to these.
    Domain,
    /// Nothing: these are all that there are.
    Nothing,
}

/// The connections of the organization that `named` names by slug or id, for somebody with that address.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown organization, and likewise for one where nobody signs in by a connection:
/// a stranger learns of no other organization that it exists.
pub fn find(tx: &mut Tx<'_>, named: &str, email_key: Option<&str>) -> Result<Choice, ServiceError> {
    let organization = organization::named(tx, named)?;
    if let Some(key) = email_key {
        let mut connections = connection::find_by_domain(tx, domain_of(key))?;
        // A proven domain is one organization's, and that may be another.
        connections.retain(|c| c.organization == organization.id);
        if !connections.is_empty() {
            return Ok(Choice { organization, connections, by: ChosenBy::Domain });
        }
    }
    let connections = connection::list(tx, organization.id, None, MAX_CHOICES)?;
    if connections.is_empty() {
        return Err(ServiceError::NotFound(Noun::Organization));
    }
    Ok(Choice { organization, connections, by: ChosenBy::Nothing })
}
