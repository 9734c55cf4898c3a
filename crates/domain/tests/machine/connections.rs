//! What is asked of a provider, and which keys of ours it is told of.

use portcullis_domain::connection::KeyState;
use portcullis_domain::oidc::{ClientAuth, OidcSettings, Prompt};

#[test]
fn every_key_but_a_retired_one_is_published() {
    for state in KeyState::ALL {
        assert_eq!(state.is_published(), state != KeyState::Retired, "{state:?}");
    }
}

#[test]
fn only_the_prompt_for_a_login_asks_people_to_prove_themselves_anew() {
    for (prompt, anew) in [
        (None, false),
        (Some(Prompt::Login), true),
        (Some(Prompt::Consent), false),
        (Some(Prompt::SelectAccount), false),
    ] {
        let settings = OidcSettings { prompt, ..OidcSettings::default() };
        assert_eq!(settings.wants_proof_anew(), anew, "{prompt:?}");
    }
}

#[test]
fn a_key_takes_the_place_of_the_secret_only_where_that_is_said() {
    for (client_auth, by_key) in [
        (None, false),
        (Some(ClientAuth::ClientSecretBasic), false),
        (Some(ClientAuth::ClientSecretPost), false),
        (Some(ClientAuth::PrivateKeyJwt), true),
    ] {
        let settings = OidcSettings { client_auth, ..OidcSettings::default() };
        assert_eq!(settings.is_by_key(), by_key, "{client_auth:?}");
    }
}
