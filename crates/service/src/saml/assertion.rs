//! What a verified assertion says of a person, as an [`Arrival`]: from here on SAML and OpenID are alike.
//!
//! Who somebody is follows from the name identifier, and from attributes that an administrator named, by themselves or by
//! choosing a preset. What merely came decides nothing: people write some of their attributes themselves.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::connection::Connection;
use portcullis_domain::saml::SamlSettings;
use portcullis_domain::text::{MAX_NAME, email_key, has_nul};
use portcullis_saml::attribute::{Attributes, Listed};
use portcullis_saml::preset::{
    AttributeNames, Preset, agreed_address, entra_tenant_of, is_of_one_person, suggest,
};
use portcullis_saml::response::Identity;
use portcullis_saml::subject::{NameId, NameIdFormat};

use crate::claims::{
    Address, Arrival, DEFAULT_GROUPS_CLAIM, GroupsSaid, MAX_GROUPS, MAX_HOME, Said, SubjectStays, claim_key,
};

/// The attribute by which Entra tells where somebody is at home.
const ENTRA_IDENTITY_PROVIDER: &str = "http://schemas.microsoft.com/identity/claims/identityprovider";
/// The attributes in which Entra sends the name to sign in with.
const ENTRA_SIGN_IN_NAMES: [&str; 2] = [
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
];
/// What Entra puts into the sign-in name of a guest.
const ENTRA_GUEST_MARK: &str = "#ext#";

/// Whose ways a connection follows, if anybody's that are known.
pub(crate) fn preset(connection: &Connection, settings: &SamlSettings) -> Option<Preset> {
    Preset::in_force(settings.preset.as_deref().and_then(Preset::from_slug), &connection.issuer)
}

/// The names of attributes that a connection reads: those that were set, then its preset's. Without a preset only the name
/// to show is looked for among what came.
fn names(settings: &SamlSettings, connection: &Connection, attributes: &Attributes) -> AttributeNames {
    let usual = preset(connection, settings).map_or_else(
        || AttributeNames { email: None, groups: None, immutable_id: None, ..suggest(attributes) },
        Preset::names,
    );
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
    // What names the person, where the directory's ids are of another kind.
    let named = Some(identity.subject().value()).filter(|name| !external_ids.iter().any(|id| id == name));
    let called = named.map(str::to_owned).into_iter().collect();
    let groups_name = groups_name(&names);
    let home = home(connection, settings, identity);
    let written = address(names.email.as_deref(), attributes, identity.name_id());
    let said = Said {
        subject: format!("{} {}", connection.issuer, identity.subject().as_str()),
        former_subject: None,
        stays: if identity.subject().is_reassignable() {
            SubjectStays::Perhaps { address: email_key(identity.subject().value()).ok() }
        } else {
            SubjectStays::ForGood
        },
        external_ids,
        names: called,
        address: written.and_then(|written| {
            // Of a guest the tenant knows what the guest, or another company, wrote.
            let vouched = home.is_none();
            Some(Address { key: email_key(written).ok()?, written: written.to_owned(), vouched })
        }),
        hosted_domain: None,
        home,
        name: shown_name(attributes, &names),
        groups: said(connection, attributes.list(groups_name)),
        groups_claim: groups_name.to_owned(),
        texts: texts(connection, settings, attributes, &names),
    };
    Arrival { connection: connection.clone(), said }
}

/// Where a guest of Entra's tenant is at home. Its own people have the tenant itself there, which is also its entity id;
/// whatever else is said beside that is a guest's.
fn home(connection: &Connection, settings: &SamlSettings, identity: &Identity) -> Option<String> {
    let own_tenant = entra_tenant_of(&connection.issuer);
    if own_tenant.is_none() && preset(connection, settings) != Some(Preset::Entra) {
        return None;
    }
    let attributes = identity.attributes();
    let is_own = |said: &str| {
        said == connection.issuer || (own_tenant.is_some() && entra_tenant_of(said) == own_tenant)
    };
    let homes = attributes.find(ENTRA_IDENTITY_PROVIDER).into_iter().flat_map(|said| &said.values);
    let foreign = homes.map(String::as_str).find(|said| !said.is_empty() && !is_own(said));
    let is_marked = |text: &str| text.to_ascii_lowercase().contains(ENTRA_GUEST_MARK);
    let named = ENTRA_SIGN_IN_NAMES.iter().filter_map(|name| attributes.find(name));
    let marked = || {
        named.flat_map(|said| &said.values).any(|text| is_marked(text))
            || identity.name_id().is_some_and(|name| is_marked(&name.value))
    };
    let home = foreign.or_else(|| marked().then_some("guest"))?;
    Some(home.chars().take(MAX_HOME).collect())
}

/// Whether a name identifier can be what a directory knows the person by.
fn stays(name: &NameId) -> bool {
    !name.format.is_transient()
}

/// The address: of the attribute that is named for it, else the name identifier where it is one. Where no attribute is
/// named, the name identifier goes first, and attributes count only if all that are addresses by their names agree.
fn address<'a>(
    named: Option<&str>,
    attributes: &'a Attributes,
    name_id: Option<&'a NameId>,
) -> Option<&'a str> {
    let is_one = |n: &&NameId| n.format == NameIdFormat::Unspecified && n.value.contains('@');
    let by_format = name_id.filter(|n| n.format.is_address()).map(|n| n.value.as_str());
    let by_looks = name_id.filter(is_one).map(|n| n.value.as_str());
    let written = match named {
        Some(name) => attributes.single(name).or(by_format),
        None => by_format.or_else(|| agreed_address(attributes)),
    };
    written.or(by_looks).map(str::trim)
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

/// The attribute that carries the groups.
fn groups_name(names: &AttributeNames) -> &str {
    names.groups.as_deref().unwrap_or(DEFAULT_GROUPS_CLAIM)
}

/// What mappings of attributes may name: everything that is neither the person's own nor groups.
fn texts(
    connection: &Connection,
    settings: &SamlSettings,
    attributes: &Attributes,
    names: &AttributeNames,
) -> BTreeMap<String, BTreeSet<String>> {
    if connection.directory.is_some() {
        return BTreeMap::new();
    }
    let own = [
        &names.email,
        &names.display_name,
        &Some(groups_name(names).to_owned()),
        &names.given_name,
        &names.family_name,
        &names.immutable_id,
    ];
    let is_known = preset(connection, settings).is_some();
    let of_nobody = |name: &str| {
        own.iter().all(|n| n.as_deref() != Some(name))
            && (is_known || !is_of_one_person(name))
            && claim_key(name).is_ok()
    };
    let kept = attributes.all().iter().filter(|a| of_nobody(&a.name));
    kept.map(|a| (a.name.clone(), a.values.iter().filter(|v| !has_nul(v)).cloned().collect())).collect()
}
