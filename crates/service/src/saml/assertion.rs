//! What a verified assertion says of a person, as an [`Arrival`]: from here on SAML and OpenID are alike.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::connection::Connection;
use portcullis_domain::saml::SamlSettings;
use portcullis_domain::text::{MAX_NAME, email_key, has_nul};
use portcullis_saml::attribute::{Attributes, Listed};
use portcullis_saml::preset::{AttributeNames, Preset, suggest};
use portcullis_saml::response::Identity;
use portcullis_saml::subject::{NameId, NameIdFormat};

use crate::claims::{
    Address, Arrival, DEFAULT_GROUPS_CLAIM, GroupsSaid, MAX_GROUPS, MAX_HOME, SubjectStays, claim_key,
};

/// The attribute by which Entra tells where somebody is at home.
const ENTRA_IDENTITY_PROVIDER: &str = "http://schemas.microsoft.com/identity/claims/identityprovider";

/// What the entity ids of Entra's tenants begin with.
const ENTRA_ENTITY: &str = "https://sts.windows.net/";

/// The names of attributes that a connection reads: those that were set, then its preset's, then what the attributes
/// themselves suggest.
fn names(settings: &SamlSettings, connection: &Connection, attributes: &Attributes) -> AttributeNames {
    let usual = match settings.preset.as_deref().and_then(Preset::from_slug) {
        Some(preset) => Preset::names(preset),
        None => suggest(attributes),
    };
    AttributeNames {
        email: settings.email_attribute.clone().or(usual.email),
        display_name: settings.name_attribute.clone().or(usual.display_name),
        groups: connection.groups_claim.clone().or(usual.groups),
        given_name: usual.given_name,
        family_name: usual.family_name,
        immutable_id: settings.subject_attribute.clone().or(usual.immutable_id),
    }
}

/// Reads a verified identity.
#[must_use]
pub fn arrival(connection: &Connection, settings: &SamlSettings, identity: &Identity) -> Arrival {
    let attributes = identity.attributes();
    let names = names(settings, connection, attributes);
    let one = |name: &Option<String>| name.as_deref().and_then(|n| attributes.single(n));
    let mut external_ids: Vec<String> =
        identity.name_id().filter(|n| stays(n)).map(|n| n.value.clone()).into_iter().collect();
    external_ids.extend(
        one(&names.immutable_id).filter(|id| !external_ids.contains(&(*id).to_owned())).map(str::to_owned),
    );
    let groups = attributes.list(names.groups.as_deref().unwrap_or(DEFAULT_GROUPS_CLAIM));
    Arrival {
        subject: format!("{} {}", connection.issuer, identity.subject().as_str()),
        former_subject: None,
        stays: if identity.subject().is_reassignable() {
            SubjectStays::Perhaps
        } else {
            SubjectStays::ForGood
        },
        external_ids,
        address: address(one(&names.email), identity.name_id()),
        hosted_domain: None,
        home: home(connection, settings, attributes),
        name: shown_name(attributes, &names),
        groups: said(connection, groups),
        texts: texts(connection, attributes, &names),
        connection: connection.clone(),
    }
}

/// Where a guest of Entra's tenant is at home. Its own people have the tenant itself there, which is also its entity id.
fn home(connection: &Connection, settings: &SamlSettings, attributes: &Attributes) -> Option<String> {
    let is_entra = settings.preset.as_deref().and_then(Preset::from_slug) == Some(Preset::Entra)
        || connection.issuer.starts_with(ENTRA_ENTITY);
    let said =
        attributes.single(ENTRA_IDENTITY_PROVIDER).filter(|said| is_entra && *said != connection.issuer)?;
    Some(said.chars().take(MAX_HOME).collect())
}

/// Whether a name identifier can be what a directory knows the person by.
fn stays(name: &NameId) -> bool {
    name.format != NameIdFormat::Transient
}

/// The address: of the attribute, else the name identifier where it is one. The provider vouches for it; whether its
/// domain is the organization's is asked before anything follows from it.
fn address(attribute: Option<&str>, name: Option<&NameId>) -> Option<Address> {
    let as_name = name.filter(|n| {
        matches!(n.format, NameIdFormat::EmailAddress | NameIdFormat::Unspecified) && n.value.contains('@')
    });
    let written = attribute.or(as_name.map(|n| n.value.as_str()))?.trim();
    let key = email_key(written).ok()?;
    Some(Address { written: written.to_owned(), key, vouched: true })
}

fn shown_name(attributes: &Attributes, names: &AttributeNames) -> String {
    let one = |name: &Option<String>| name.as_deref().and_then(|n| attributes.single(n));
    let parts = || {
        let both = [one(&names.given_name), one(&names.family_name)];
        both.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    let name = one(&names.display_name).map_or_else(parts, str::to_owned);
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME / 4).collect()
}

fn said(connection: &Connection, groups: Listed<'_>) -> GroupsSaid {
    match (connection.directory, groups) {
        // A governing directory is asked all the time, and its word is not to be outlived.
        (Some(_), _) | (None, Listed::Missing) => GroupsSaid::Nothing,
        (None, Listed::CutOff) => GroupsSaid::Overage,
        (None, Listed::Values(list)) if list.len() > MAX_GROUPS => GroupsSaid::Overage,
        (None, Listed::Values(list)) => {
            let whole = list.into_iter().filter(|g| !g.is_empty() && !has_nul(g)).map(str::to_owned);
            GroupsSaid::These(whole.collect())
        }
    }
}

/// What mappings of attributes may name: everything that is neither the person's own nor groups.
fn texts(
    connection: &Connection,
    attributes: &Attributes,
    names: &AttributeNames,
) -> BTreeMap<String, BTreeSet<String>> {
    if connection.directory.is_some() {
        return BTreeMap::new();
    }
    let own = [
        &names.email,
        &names.display_name,
        &names.groups,
        &names.given_name,
        &names.family_name,
        &names.immutable_id,
    ];
    let of_nobody = |name: &str| own.iter().all(|n| n.as_deref() != Some(name)) && claim_key(name).is_ok();
    let kept = attributes.all().iter().filter(|a| of_nobody(&a.name));
    kept.map(|a| (a.name.clone(), a.values.iter().filter(|v| !has_nul(v)).cloned().collect())).collect()
}
