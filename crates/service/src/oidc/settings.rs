//! What an administrator wants of a connection of OpenID, checked before it is kept.

use portcullis_domain::oidc::OidcSettings;

use crate::ServiceError;

/// The most classes of authentication that one connection asks for.
pub const MAX_ACR_VALUES: usize = 10;
/// The longest name of one, in bytes: they are URIs.
pub const MAX_ACR: usize = 256;
/// The greatest age of an authentication that can be asked for, in seconds: a year asks for nothing.
pub const MAX_AGE_S: u32 = 30 * 24 * 3_600;

/// Checks settings.
///
/// # Errors
/// [`ServiceError::Invalid`] with the field as the API calls it.
pub fn check(settings: &OidcSettings) -> Result<(), ServiceError> {
    if settings.max_age_s.is_some_and(|age| age > MAX_AGE_S) {
        return Err(ServiceError::invalid("oidc.max_age_s", format!("is null or 0 to {MAX_AGE_S} seconds")));
    }
    if settings.acr_values.len() > MAX_ACR_VALUES {
        return Err(ServiceError::invalid("oidc.acr_values", format!("are at most {MAX_ACR_VALUES}")));
    }
    for acr in &settings.acr_values {
        // They travel in one parameter, with spaces between them.
        let whole = (1..=MAX_ACR).contains(&acr.len()) && acr.bytes().all(|b| b.is_ascii_graphic());
        if !whole {
            let message = format!("have 1 to {MAX_ACR} visible ASCII characters each");
            return Err(ServiceError::invalid("oidc.acr_values", message));
        }
    }
    Ok(())
}
