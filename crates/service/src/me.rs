//! Who one is: what a caller's own token says of them.

use portcullis_domain::Timestamp;
use portcullis_domain::membership::Membership;
use portcullis_domain::organization::Organization;
use portcullis_store::{Tx, organization};

use crate::caller::Caller;
use crate::{ServiceError, membership};

/// What a caller is told of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The organization of their token; the root token has none.
    pub organization: Option<Organization>,
    /// The membership that they act as.
    pub membership: Option<Membership>,
}

/// Who that caller is.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn find(tx: &mut Tx<'_>, caller: &Caller, now: Timestamp) -> Result<Me, ServiceError> {
    let (id, member) = match caller {
        Caller::Root => return Ok(Me { organization: None, membership: None }),
        Caller::Member(m) => (m.organization, Some(m.membership)),
        Caller::Service { organization, .. } => (*organization, None),
    };
    let membership = member.map(|member| membership::find(tx, id, member, now)).transpose()?;
    Ok(Me { organization: organization::find(tx, id)?, membership })
}
