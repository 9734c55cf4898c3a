//! What proves this side to a provider: the secret of the connection, or an assertion that a key of ours signs.
//!
//! Here so that a secret is opened at the moment of its use and an assertion is made for one request.

use portcullis_domain::Random as _;
use portcullis_domain::connection::KeyState;
use portcullis_domain::oidc::{AssertionAudience, ClientAuth};
use portcullis_oidc::client_auth::{Client, ClientProof, TokenAuthMethod, assertion};
use portcullis_oidc::discovery::ProviderMetadata;
use portcullis_oidc::refusal::Refusal as OidcRefusal;
use secrecy::SecretString;

use super::{Setup, broken, key};
use crate::error::inconsistent;
use crate::sealing::SealingKey;
use crate::sign_in::oidc::secret_place;
use crate::{Moment, ServiceError};

/// A proof, opened.
pub(crate) struct Proof {
    method: TokenAuthMethod,
    /// The secret or the assertion.
    text: SecretString,
}

impl Proof {
    /// Who we are at the provider, proven.
    pub(crate) fn client<'a>(&'a self, id: &'a str) -> Client<'a> {
        let proof = match self.method {
            TokenAuthMethod::Basic => ClientProof::Basic(&self.text),
            TokenAuthMethod::Post => ClientProof::Post(&self.text),
            TokenAuthMethod::PrivateKeyJwt => ClientProof::Assertion(&self.text),
        };
        Client { id, proof }
    }
}

/// A text that was sealed for that place.
pub(crate) fn opened(sealing: &SealingKey, place: &str, sealed: &str) -> Result<String, ServiceError> {
    let bytes = sealing.open(place, sealed).map_err(|e| inconsistent(e.to_string()))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| inconsistent("a sealed text is no UTF-8"))
}

impl Setup {
    /// The way to prove ourselves that both sides know.
    ///
    /// # Errors
    /// [`ServiceError::SignIn`] if the provider does not offer it, with what it offers.
    pub(crate) fn method(&self, metadata: &ProviderMetadata) -> Result<TokenAuthMethod, ServiceError> {
        let wanted = self.view.settings.client_auth.map(|wanted| match wanted {
            ClientAuth::ClientSecretBasic => TokenAuthMethod::Basic,
            ClientAuth::ClientSecretPost => TokenAuthMethod::Post,
            ClientAuth::PrivateKeyJwt => TokenAuthMethod::PrivateKeyJwt,
        });
        metadata.client_auth.choose(wanted).map_err(broken)
    }

    /// What proves us, for one request.
    ///
    /// # Errors
    /// As [`Self::method`]; also if the provider takes no signature of our key.
    pub(crate) fn proof(
        &self,
        sealing: &SealingKey,
        metadata: &ProviderMetadata,
        moment: &mut Moment,
    ) -> Result<Proof, ServiceError> {
        let method = self.method(metadata)?;
        let text = match method {
            TokenAuthMethod::Basic | TokenAuthMethod::Post => {
                let place = secret_place(self.connection.id);
                opened(sealing, &place, &self.connection.client_secret_sealed)?.into()
            }
            TokenAuthMethod::PrivateKeyJwt => self.assertion(sealing, metadata, moment)?,
        };
        Ok(Proof { method, text })
    }

    fn assertion(
        &self,
        sealing: &SealingKey,
        metadata: &ProviderMetadata,
        moment: &mut Moment,
    ) -> Result<SecretString, ServiceError> {
        let signing = self.view.keys.iter().find(|k| k.state == KeyState::Signing);
        let signing = signing.ok_or_else(|| inconsistent("a connection by a key has none"))?;
        metadata
            .client_auth
            .require_alg(key::alg(signing.alg))
            .map_err(|refusal| broken(OidcRefusal::from(refusal)))?;
        let (opened, certificate) = (key::open(sealing, signing)?, key::certificate(signing)?);
        let audience = match self.view.settings.assertion_audience {
            AssertionAudience::TokenEndpoint => metadata.token_endpoint.as_str(),
            AssertionAudience::Issuer => &metadata.issuer,
        };
        let mut jti = [0_u8; 32];
        moment.random.fill(&mut jti);
        let shown = (&opened, certificate.as_deref());
        let made = assertion(shown, &self.connection.client_id, audience, (&jti, moment.now.seconds()));
        made.map_err(|e| ServiceError::fault("an assertion", e))
    }
}
