//! Tokens that were changed anywhere never verify, and no input makes a parser panic.

use portcullis_oidc::callback::Callback;
use portcullis_oidc::discovery;
use portcullis_oidc::introspection::Introspection;
use portcullis_oidc::issuer::Insecure;
use portcullis_oidc::jwks::KeySet;
use portcullis_oidc::oauth_error::OAuthError;
use portcullis_oidc::token::TokenResponse;
use portcullis_oidc::token_endpoint::TokenForm;
use proptest::prelude::*;

use crate::fixture::*;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n";

#[derive(Debug, Clone)]
enum Mutation {
    Replace { at: usize, by: usize },
    Remove { at: usize },
    Insert { at: usize, what: usize },
    Cut { at: usize },
    Swap { at: usize, with: usize },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<usize>(), any::<usize>()).prop_map(|(at, by)| Mutation::Replace { at, by }),
        any::<usize>().prop_map(|at| Mutation::Remove { at }),
        (any::<usize>(), any::<usize>()).prop_map(|(at, what)| Mutation::Insert { at, what }),
        any::<usize>().prop_map(|at| Mutation::Cut { at }),
        (any::<usize>(), any::<usize>()).prop_map(|(at, with)| Mutation::Swap { at, with }),
    ]
}

fn mutated(token: &str, mutation: &Mutation) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let length = bytes.len();
    match *mutation {
        Mutation::Replace { at, by } => bytes[at % length] = ALPHABET[by % ALPHABET.len()],
        Mutation::Remove { at } => {
            bytes.remove(at % length);
        }
        Mutation::Insert { at, what } => bytes.insert(at % (length + 1), ALPHABET[what % ALPHABET.len()]),
        Mutation::Cut { at } => bytes.truncate(at % length),
        Mutation::Swap { at, with } => bytes.swap(at % length, with % length),
    }
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_mutated_token_never_verifies(change in mutation(), kind in 0..2_u8) {
        let key = if kind == 0 { es256(1) } else { ed25519(1) };
        let keys = published(&[&key]);
        let token = key.sign("JWT", &honest_claims()).unwrap();
        prop_assert!(verify(&token, &keys).is_ok());
        let changed = mutated(&token, &change);
        prop_assert!(changed == token || verify(&changed, &keys).is_err(), "{}", changed);
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in ".{0,200}") {
        let _ = discovery::parse(&bytes, ISSUER, Insecure::Permitted);
        let _ = discovery::metadata_url(&text, Insecure::Permitted);
        let _ = KeySet::parse(&bytes);
        let _ = TokenResponse::parse(200, &bytes);
        let _ = TokenResponse::parse(400, &bytes);
        let _ = TokenForm::parse(Some(&text), &bytes);
        let _ = Introspection::parse(&bytes);
        let _ = OAuthError::parse(&bytes);
        let _ = Callback::parse(&text);
        prop_assert!(verify(&text, &published(&[&es256(1)])).is_err());
    }
}

#[test]
fn every_single_character_of_an_rsa_token_counts() {
    let keys = published(&[&*RSA]);
    let token = RSA.sign("JWT", &honest_claims()).unwrap();
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(verify(&changed, &keys).is_err(), "position {at}");
    }
}
