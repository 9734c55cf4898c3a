//! What connections believe and have beside their row, as the model makes it, keeps it and finds it stored.

use std::collections::BTreeMap;

use portcullis_domain::change::ConnectionChange;
use portcullis_domain::connection::{Connection, KeyState};
use portcullis_domain::id::{ConnectionId, OrganizationId};
use portcullis_domain::oidc::{
    ClientAuth, ClientCertificate, ClientKey, ClientKeyAlg, OidcSettings, OidcSource,
};
use portcullis_domain::saml::{
    CertificateState, LeftOut, SamlBinding, SamlCertificate, SamlEndpoint, SamlKey, SamlProvider,
    SamlSettings, SamlSource,
};
use portcullis_store::{StoreError, Tx, oidc, saml};

use super::Dice;
use super::make::{moment, perhaps_at, perhaps_word, word};
use super::maps::shown;

/// Certificates and keys that a connection may have: few enough that they meet.
const MANY: usize = 3;

/// What a connection believes, changed throughout.
pub(crate) fn source(dice: &mut Dice, of: &Connection) -> SamlSource {
    let endpoint = |dice: &mut Dice| SamlEndpoint {
        binding: dice.pick([SamlBinding::Redirect, SamlBinding::Post]).unwrap(),
        location: word(dice),
        response_location: perhaps_word(dice),
    };
    SamlSource {
        connection: of.id,
        organization: of.organization,
        metadata_url: perhaps_word(dice),
        provider: SamlProvider {
            sign_in: endpoint(dice),
            logout: dice.one_in(2).then(|| endpoint(dice)),
            wants_signed_requests: dice.one_in(2),
            left_out: dice.pick([LeftOut::Key, LeftOut::Endpoint]).into_iter().collect(),
            good_until: perhaps_at(dice),
        },
        settings: SamlSettings {
            sha1_until: perhaps_at(dice),
            subject_attribute: perhaps_word(dice),
            ..SamlSettings::default()
        },
        updated_at: moment(dice),
    }
}

/// A certificate: what it is follows from its fingerprint, only what was decided about it changes.
pub(crate) fn certificate(dice: &mut Dice, of: &Connection) -> SamlCertificate {
    let fingerprint = format!("fingerprint {}", dice.below(MANY));
    SamlCertificate {
        connection: of.id,
        organization: of.organization,
        der: format!("der of {fingerprint}"),
        fingerprint,
        state: dice.pick(CertificateState::ALL).unwrap(),
        not_before: of.created_at,
        not_after: of.created_at.plus_s(9),
        seen_at: of.created_at,
        decided_at: moment(dice),
    }
}

/// A key of ours: only what it is for changes.
pub(crate) fn key(dice: &mut Dice, of: &Connection) -> SamlKey {
    let fingerprint = format!("fingerprint {}", dice.below(MANY));
    SamlKey {
        connection: of.id,
        organization: of.organization,
        certificate: format!("certificate of {fingerprint}"),
        fingerprint,
        private_sealed: word(dice),
        state: dice.pick(KeyState::ALL).unwrap(),
        not_after: of.created_at.plus_s(9),
        created_at: of.created_at,
    }
}

/// What is set of a connection of OpenID, changed throughout.
pub(crate) fn oidc_source(dice: &mut Dice, of: &Connection) -> OidcSource {
    OidcSource {
        connection: of.id,
        organization: of.organization,
        settings: OidcSettings {
            client_auth: dice.one_in(2).then_some(ClientAuth::PrivateKeyJwt),
            max_age_s: dice.one_in(2).then_some(60),
            acr_values: perhaps_word(dice).into_iter().collect(),
            ..OidcSettings::default()
        },
        updated_at: moment(dice),
    }
}

/// A key of ours in place of a secret: only what it is for changes.
pub(crate) fn client_key(dice: &mut Dice, of: &Connection) -> ClientKey {
    let kid = format!("kid {}", dice.below(MANY));
    let certificate = || ClientCertificate { der: format!("certificate of {kid}"), not_after: of.created_at };
    ClientKey {
        connection: of.id,
        organization: of.organization,
        alg: ClientKeyAlg::Es256,
        public: format!("public half of {kid}"),
        certificate: (kid != "kid 0").then(certificate),
        kid,
        private_sealed: word(dice),
        state: dice.pick(KeyState::ALL).unwrap(),
        created_at: of.created_at,
    }
}

/// What is kept of connections beside their row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Believed {
    sources: BTreeMap<ConnectionId, SamlSource>,
    certificates: BTreeMap<(ConnectionId, String), SamlCertificate>,
    keys: BTreeMap<(ConnectionId, String), SamlKey>,
    oidc_sources: BTreeMap<ConnectionId, OidcSource>,
    client_keys: BTreeMap<(ConnectionId, String), ClientKey>,
}

impl Believed {
    pub(crate) fn change(&mut self, change: &ConnectionChange) {
        match change {
            ConnectionChange::Create(_) | ConnectionChange::Update(_) => {}
            ConnectionChange::SetSaml(new) => drop(self.sources.insert(new.connection, (**new).clone())),
            ConnectionChange::PutCertificate(new) => {
                let key = (new.connection, new.fingerprint.clone());
                self.certificates.insert(key, (**new).clone());
            }
            ConnectionChange::PutKey(new) => {
                self.keys.insert((new.connection, new.fingerprint.clone()), (**new).clone());
            }
            ConnectionChange::SetOidc(new) => {
                drop(self.oidc_sources.insert(new.connection, (**new).clone()));
            }
            ConnectionChange::PutClientKey(new) => {
                self.client_keys.insert((new.connection, new.kid.clone()), (**new).clone());
            }
            ConnectionChange::Delete(id) => {
                self.oidc_sources.remove(id);
                self.client_keys.retain(|(connection, _), _| connection != id);
                self.sources.remove(id);
                self.certificates.retain(|(connection, _), _| connection != id);
                self.keys.retain(|(connection, _), _| connection != id);
            }
        }
    }

    pub(crate) fn view(&self) -> impl Iterator<Item = String> {
        let sources = self.sources.values().map(|s| shown("saml", s));
        let certificates = self.certificates.values().map(|c| shown("certificate", c));
        let keys = self.keys.values().map(|k| shown("key", &whole(k)));
        let set = self.oidc_sources.values().map(|s| shown("oidc", s));
        let client_keys = self.client_keys.values().map(|k| shown("client key", &whole_client(k)));
        sources.chain(certificates).chain(keys).chain(set).chain(client_keys)
    }

    /// The same of one connection, as the store finds it.
    pub(crate) fn stored(
        tx: &mut Tx<'_>,
        org: OrganizationId,
        id: ConnectionId,
    ) -> Result<Vec<String>, StoreError> {
        let mut lines: Vec<String> = saml::source(tx, org, id)?.iter().map(|s| shown("saml", s)).collect();
        lines.extend(saml::certificates(tx, org, id)?.iter().map(|c| shown("certificate", c)));
        lines.extend(saml::keys(tx, org, id)?.iter().map(|k| shown("key", &whole(k))));
        lines.extend(oidc::source(tx, org, id)?.iter().map(|s| shown("oidc", s)));
        lines.extend(oidc::keys(tx, org, id)?.iter().map(|k| shown("client key", &whole_client(k))));
        Ok(lines)
    }
}

/// The same of a client key.
fn whole_client(key: &ClientKey) -> impl std::fmt::Debug {
    let rest = (key.organization, key.alg, key.public.clone(), key.certificate.clone(), key.created_at);
    (key.clone(), key.private_sealed.clone(), rest)
}

/// A key with what its `Debug` leaves out.
fn whole(key: &SamlKey) -> impl std::fmt::Debug {
    let rest = (key.organization, key.not_after, key.created_at);
    (key.clone(), key.certificate.clone(), key.private_sealed.clone(), rest)
}
