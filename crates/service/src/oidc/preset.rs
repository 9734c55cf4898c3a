//! Whose ways a connection of OpenID follows, and what an administrator should know of them.

use portcullis_domain::connection::{ClaimRules, Connection, ConnectionKind, Overage};
use portcullis_oidc::preset::Preset;

use crate::ServiceError;
use crate::warning::Warning;

/// Whose ways a connection follows: those that were chosen, else those that its issuer tells by itself.
#[must_use]
pub fn in_force(connection: &Connection) -> Preset {
    Preset::in_force(chosen(&connection.claim_rules), &connection.issuer)
}

fn chosen(rules: &ClaimRules) -> Option<Preset> {
    rules.preset.as_deref().and_then(Preset::from_slug)
}

/// Checks what is wanted of a connection to that issuer.
///
/// # Errors
/// [`ServiceError::Invalid`] with the field as the API calls it.
pub fn check(rules: &ClaimRules, issuer: &str) -> Result<(), ServiceError> {
    if rules.preset.is_some() && chosen(rules).is_none() {
        let all = Preset::ALL.map(Preset::slug).join("`, `");
        return Err(ServiceError::invalid("oidc.preset", format!("is null or one of `{all}`")));
    }
    if let Some(why) = chosen(rules).and_then(|preset| preset.refused_for(issuer)) {
        return Err(ServiceError::invalid("oidc.preset", why));
    }
    if rules.overage == Overage::AskGraph && Preset::in_force(chosen(rules), issuer) != Preset::Entra {
        return Err(ServiceError::invalid("oidc.overage", "is `ask_graph` only with the preset `entra`"));
    }
    Ok(())
}

/// What should be looked after.
#[must_use]
pub fn warnings(connection: &Connection) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let without_groups = connection.kind == ConnectionKind::Oidc
        && in_force(connection) == Preset::Google
        && connection.directory.is_none();
    if without_groups {
        let message =
            "Google's tokens carry no groups: make a directory of kind `google`, and set it as `directory`";
        warnings.push(Warning { code: "groups_come_from_directory", message: message.to_owned() });
    }
    warnings
}
