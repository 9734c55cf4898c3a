//! A connection as a body asks for it, made or changed, and what is to be had before anything is locked.

use portcullis_domain::connection::{ClaimRules, ConnectionKind};
use portcullis_domain::id::DirectoryId;
use portcullis_domain::oidc::OidcSettings;
use portcullis_domain::saml::SamlSettings;
use portcullis_domain::text::Slug;
use portcullis_service::connection::{ConnectionView, Newcomers, Protocol, ProtocolView, Wanted};
use portcullis_service::noun::Noun;
use portcullis_service::oidc::OidcView;
use portcullis_service::oidc::key::NewClientKey;
use portcullis_service::oidc::wish::OidcWish;
use portcullis_service::saml::key::NewKey;
use portcullis_service::saml::metadata::{self, Read};
use portcullis_service::saml::wish::SamlWish;
use portcullis_service::{Portcullis, ServiceError};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use crate::api::id;
use crate::api::oidc::{GuestsAre, OidcSettingsWish, rules_over};
use crate::api::saml::{self, SettingsWish};
use crate::body::{present, slug};

/// A new connection.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// `oidc` or `saml`.
    kind: String,
    /// Its name for people.
    name: String,
    /// OIDC: the issuer, exactly as the provider writes it.
    issuer: Option<String>,
    /// OIDC: our client id there.
    client_id: Option<String>,
    /// OIDC: our client secret there, unless a key of ours takes its place. Kept sealed and never shown.
    client_secret: Option<String>,
    /// OIDC: what is not as usual.
    oidc: Option<OidcSettingsWish>,
    /// SAML: where the provider's metadata is. It is read daily.
    metadata_url: Option<String>,
    /// SAML: the provider's metadata itself, where it has no address.
    metadata_xml: Option<String>,
    /// SAML: what is not as usual.
    saml: Option<SettingsWish>,
    /// What becomes of people whom the provider knows as guests (Entra ID tells it): `refuse` as usual.
    guests: Option<GuestsAre>,
    /// The directory that governs its people.
    directory: Option<String>,
    /// Whether a first sign-in may make a membership; not with `directory`.
    jit: Option<bool>,
    /// The role of people in no mapped group of its claims.
    default_role: Option<String>,
    /// The claim (SAML: the attribute) that carries groups; the usual one if absent.
    groups_claim: Option<String>,
    /// Where its sessions act; `production` if absent.
    environment: Option<String>,
    /// The e-mail domains that are routed here: domains of the organization.
    #[serde(default)]
    domains: Vec<String>,
}

/// What changes of a connection. Fields that are absent stay.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionPatch {
    /// Its name for people.
    name: Option<String>,
    /// The issuer.
    issuer: Option<String>,
    /// Our client id there.
    client_id: Option<String>,
    /// Our client secret there: providers let secrets run out.
    client_secret: Option<String>,
    /// OIDC: what changes of the settings.
    oidc: Option<OidcSettingsWish>,
    /// SAML: where the provider's metadata is from now on.
    metadata_url: Option<String>,
    /// SAML: the provider's metadata from now on.
    metadata_xml: Option<String>,
    /// SAML: what changes of the settings.
    saml: Option<SettingsWish>,
    /// What becomes of people whom the provider knows as guests.
    guests: Option<GuestsAre>,
    /// The directory that governs its people; null for none.
    #[serde(default, deserialize_with = "present")]
    pub(super) directory: Option<Option<String>>,
    /// Whether a first sign-in may make a membership.
    jit: Option<bool>,
    /// The role of people in no mapped group; null for none.
    #[serde(default, deserialize_with = "present")]
    default_role: Option<Option<String>>,
    /// The claim or attribute that carries groups; null for the usual one.
    #[serde(default, deserialize_with = "present")]
    groups_claim: Option<Option<String>>,
    /// Where its sessions act.
    environment: Option<String>,
    /// The e-mail domains that are routed here, all of them.
    domains: Option<Vec<String>>,
}

impl NewConnection {
    fn kind(&self) -> Result<ConnectionKind, ServiceError> {
        let kind = self.kind.parse().map_err(|_| ServiceError::invalid("kind", "is `oidc` or `saml`"))?;
        self.of_kinds().check(kind)?;
        Ok(kind)
    }

    /// What is to be had before anything is locked.
    pub(super) async fn beforehand(&self, portcullis: &Portcullis) -> Result<Beforehand, ServiceError> {
        match self.kind()? {
            ConnectionKind::Saml => {
                let read = self.of_kinds().read(portcullis, SamlSettings::default()).await?;
                let key = NewKey::generate(portcullis).await?;
                Ok(Beforehand { read, saml_key: Some(key), client_key: None })
            }
            ConnectionKind::Oidc if self.oidc_settings().is_by_key() => {
                let issuer = required("issuer", self.issuer.as_ref())?;
                let key = NewClientKey::generate(portcullis, &issuer).await?;
                Ok(Beforehand { client_key: Some(key), ..Beforehand::default() })
            }
            ConnectionKind::Oidc => Ok(Beforehand::default()),
        }
    }

    fn of_kinds(&self) -> OfKinds<'_> {
        OfKinds {
            issuer: self.issuer.as_ref(),
            client_id: self.client_id.as_ref(),
            client_secret: self.client_secret.as_ref(),
            oidc: self.oidc.as_ref(),
            metadata_url: self.metadata_url.as_ref(),
            metadata_xml: self.metadata_xml.as_ref(),
            saml: self.saml.as_ref(),
        }
    }

    fn oidc_settings(&self) -> OidcSettings {
        self.oidc.clone().unwrap_or_default().over(OidcSettings::default())
    }

    fn protocol(&self, own: &Beforehand) -> Result<Protocol, ServiceError> {
        if self.kind()? == ConnectionKind::Saml {
            let settings = self.saml.clone().unwrap_or_default().over(SamlSettings::default());
            return Ok(Protocol::Saml(Box::new(SamlWish { read: own.read.clone(), settings })));
        }
        Ok(Protocol::Oidc {
            issuer: required("issuer", self.issuer.as_ref())?,
            client_id: required("client_id", self.client_id.as_ref())?,
            client_secret: self.client_secret.clone().map(SecretString::from),
            wish: Box::new(OidcWish { settings: self.oidc_settings(), key: own.client_key.clone() }),
        })
    }

    pub(super) fn wanted(&self, own: &Beforehand) -> Result<Wanted, ServiceError> {
        Ok(Wanted {
            name: self.name.clone(),
            protocol: self.protocol(own)?,
            directory: directory(self.directory.as_deref())?,
            newcomers: newcomers(self.jit.unwrap_or_default()),
            default_role: slug("default_role", self.default_role.as_deref())?,
            groups_claim: self.groups_claim.clone(),
            claim_rules: rules_over(&ClaimRules::default(), self.oidc.as_ref(), self.guests),
            environment: slug("environment", self.environment.as_deref())?.unwrap_or_else(Slug::production),
            domains: self.domains.clone(),
        })
    }
}

impl ConnectionPatch {
    pub(super) fn of_kinds(&self) -> OfKinds<'_> {
        OfKinds {
            issuer: self.issuer.as_ref(),
            client_id: self.client_id.as_ref(),
            client_secret: self.client_secret.as_ref(),
            oidc: self.oidc.as_ref(),
            metadata_url: self.metadata_url.as_ref(),
            metadata_xml: self.metadata_xml.as_ref(),
            saml: self.saml.as_ref(),
        }
    }

    fn oidc_settings(&self, before: &ConnectionView) -> OidcSettings {
        let now = before.protocol.oidc().map(|view| view.settings.clone()).unwrap_or_default();
        match &self.oidc {
            Some(wish) => wish.over(now),
            None => now,
        }
    }

    fn protocol(&self, before: &ConnectionView, own: &Beforehand) -> Protocol {
        let c = &before.connection;
        match &before.protocol {
            ProtocolView::Saml(view) => {
                let now = view.source.settings.clone();
                let settings = match &self.saml {
                    Some(wish) => wish.over(now),
                    None => now,
                };
                Protocol::Saml(Box::new(SamlWish { read: own.read.clone(), settings }))
            }
            ProtocolView::Oidc(_) => Protocol::Oidc {
                issuer: self.issuer.clone().unwrap_or_else(|| c.issuer.clone()),
                client_id: self.client_id.clone().unwrap_or_else(|| c.client_id.clone()),
                client_secret: self.client_secret.clone().map(SecretString::from),
                wish: Box::new(OidcWish {
                    settings: self.oidc_settings(before),
                    key: own.client_key.clone(),
                }),
            },
        }
    }

    /// Whether something is to be fetched or made before anything is locked.
    pub(super) fn takes_time(&self, before: &ConnectionView) -> bool {
        self.metadata_url.is_some() || self.needs_key(before)
    }

    fn needs_key(&self, before: &ConnectionView) -> bool {
        let has_key = before.protocol.oidc().is_some_and(OidcView::has_signing_key);
        self.oidc_settings(before).is_by_key() && !has_key
    }

    /// What is to be had before anything is locked: metadata that the body names, and a key if one is needed.
    pub(super) async fn beforehand(
        &self,
        portcullis: &Portcullis,
        before: &ConnectionView,
    ) -> Result<Beforehand, ServiceError> {
        let settings = before.protocol.saml().map(|view| view.source.settings.clone()).unwrap_or_default();
        let read = self.of_kinds().read(portcullis, settings).await?;
        let client_key = if self.needs_key(before) {
            let issuer = self.issuer.as_ref().unwrap_or(&before.connection.issuer);
            Some(NewClientKey::generate(portcullis, issuer).await?)
        } else {
            None
        };
        Ok(Beforehand { read, saml_key: None, client_key })
    }

    pub(super) fn over(
        &self,
        before: &ConnectionView,
        directory: Option<Option<DirectoryId>>,
        own: &Beforehand,
    ) -> Result<Wanted, ServiceError> {
        let c = &before.connection;
        self.of_kinds().check(c.kind)?;
        let environment = slug("environment", self.environment.as_deref())?;
        let default_role = match &self.default_role {
            Some(said) => slug("default_role", said.as_deref())?,
            None => before.default_role.clone(),
        };
        Ok(Wanted {
            name: self.name.clone().unwrap_or_else(|| c.name.clone()),
            protocol: self.protocol(before, own),
            directory: directory.unwrap_or(c.directory),
            newcomers: self.jit.map_or_else(|| newcomers(c.jit_at.is_some()), newcomers),
            default_role,
            groups_claim: self.groups_claim.clone().unwrap_or_else(|| c.groups_claim.clone()),
            claim_rules: rules_over(&c.claim_rules, self.oidc.as_ref(), self.guests),
            environment: environment.unwrap_or_else(|| c.environment.clone()),
            domains: self.domains.clone().unwrap_or_else(|| c.domains.clone()),
        })
    }
}

/// What leaves the process, or takes a while, done before anything is locked.
#[derive(Clone, Default)]
pub(super) struct Beforehand {
    /// SAML: the provider's metadata.
    read: Option<Read>,
    /// SAML: our key of a new connection.
    pub(super) saml_key: Option<NewKey>,
    /// OIDC: our key of a connection that needs one.
    client_key: Option<NewClientKey>,
}

/// The fields of a body that belong to one kind of connection.
pub(super) struct OfKinds<'b> {
    issuer: Option<&'b String>,
    client_id: Option<&'b String>,
    client_secret: Option<&'b String>,
    oidc: Option<&'b OidcSettingsWish>,
    metadata_url: Option<&'b String>,
    metadata_xml: Option<&'b String>,
    saml: Option<&'b SettingsWish>,
}

impl OfKinds<'_> {
    pub(super) fn check(&self, kind: ConnectionKind) -> Result<(), ServiceError> {
        match kind {
            ConnectionKind::Oidc => only_for(
                "saml",
                [
                    ("metadata_url", self.metadata_url.is_some()),
                    ("metadata_xml", self.metadata_xml.is_some()),
                    ("saml", self.saml.is_some()),
                ],
            ),
            ConnectionKind::Saml => only_for(
                "oidc",
                [
                    ("issuer", self.issuer.is_some()),
                    ("client_id", self.client_id.is_some()),
                    ("client_secret", self.client_secret.is_some()),
                    ("oidc", self.oidc.is_some()),
                ],
            ),
        }
    }

    /// Reads the metadata that the body names, if it names any, as what the body makes of these settings asks for.
    async fn read(
        &self,
        portcullis: &Portcullis,
        before: SamlSettings,
    ) -> Result<Option<Read>, ServiceError> {
        let Some(source) = saml::source(self.metadata_url, self.metadata_xml)? else { return Ok(None) };
        let settings = self.saml.cloned().unwrap_or_default().over(before);
        Ok(Some(metadata::read(portcullis, &source, &settings.metadata_signers).await?))
    }
}

pub(super) fn directory(text: Option<&str>) -> Result<Option<DirectoryId>, ServiceError> {
    text.map(|t| id(t, Noun::Directory)).transpose()
}

const fn newcomers(jit: bool) -> Newcomers {
    if jit { Newcomers::Admitted } else { Newcomers::Refused }
}

fn required(field: &'static str, value: Option<&String>) -> Result<String, ServiceError> {
    value.cloned().ok_or_else(|| ServiceError::invalid(field, "is required for `oidc`"))
}

/// Refuses fields of the other kind by name: somebody who sends them expects something of them.
fn only_for<const N: usize>(kind: &str, fields: [(&'static str, bool); N]) -> Result<(), ServiceError> {
    match fields.into_iter().find(|(_, is_there)| *is_there) {
        Some((field, _)) => Err(ServiceError::invalid(field, format!("belongs to `{kind}`"))),
        None => Ok(()),
    }
}
