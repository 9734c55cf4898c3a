//! How the provider behaves: honestly, oddly as real ones do, or with hostility.
//!
//! Here as one enum that names, beside each attack, the refusal that a sound relying party answers with, so that a
//! test can go through all of them and a new one cannot be forgotten.

macro_rules! behaviours {
    ($($(#[$doc:meta])* $name:ident => $code:expr,)*) => {
        /// One way in which the provider behaves until it is told otherwise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Behaviour {
            $($(#[$doc])* $name,)*
        }

        impl Behaviour {
            /// All of them, [`Behaviour::Honest`] first.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code of the refusal that it must meet with; `None` where sign-in goes on, perhaps with less.
            #[must_use]
            pub fn expected_refusal(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

behaviours! {
    /// As the standards say.
    Honest => None,

    /// The metadata names another issuer (O6).
    DiscoveryIssuerMismatch => Some("discovery_issuer_mismatch"),
    /// The metadata's token endpoint is plain HTTP on a public address (O6).
    DiscoveryPlainHttp => Some("endpoint_not_https"),
    /// The metadata offers `none` and HMAC only (O3).
    DiscoveryWeakAlgs => Some("no_usable_alg"),

    /// The answer's `iss` is another provider's (O1).
    MixUpIss => Some("issuer_mismatch"),
    /// The answer has no `iss` although the metadata promises it (O1).
    MissingIss => Some("issuer_missing"),
    /// The answer carries another state (O9).
    WrongState => Some("state_mismatch"),
    /// The person is refused.
    AccessDenied => Some("provider_error"),
    /// The token endpoint refuses the code.
    CodeRefused => Some("token_refused"),

    /// The token is unsigned (O3).
    AlgNone => Some("alg_not_allowed"),
    /// The token is signed with HMAC and the public key as secret (O3).
    HsWithPublicKey => Some("alg_not_allowed"),
    /// Another key signed, and stands in the header as `jwk` (O3).
    KeyInHeader => Some("signature_invalid"),
    /// The payload was changed after it was signed.
    TamperedPayload => Some("signature_invalid"),
    /// The token is typed as a logout token.
    LogoutTokenType => Some("typ_not_allowed"),
    /// The header demands an extension.
    CriticalHeader => Some("crit_not_understood"),
    /// A key signed that is not published (O4).
    UnknownKid => Some("unknown_kid"),
    /// Neither the key set nor a token names keys by `kid`.
    KeysUnnamed => None,
    /// The key set has more than 100 keys (O4).
    JwksTooManyKeys => Some("jwks_too_many_keys"),
    /// The key set has symmetric keys only (O3).
    JwksSymmetric => Some("jwks_no_usable_key"),

    /// `iss` of the token is another provider's.
    WrongIssuer => Some("issuer_mismatch"),
    /// `aud` is another client.
    WrongAudience => Some("audience_mismatch"),
    /// `aud` names a stranger beside the client.
    ExtraAudience => Some("audience_untrusted"),
    /// `azp` is another client.
    WrongAuthorizedParty => Some("azp_mismatch"),
    /// `exp` is an hour ago (O12).
    ExpiredToken => Some("token_expired"),
    /// `iat` is ten minutes ahead (O12).
    IssuedInFuture => Some("iat_out_of_range"),
    /// `nbf` is ten minutes ahead (O12).
    NotYetValid => Some("token_not_yet_valid"),
    /// The nonce is of another sign-in (O9).
    WrongNonce => Some("nonce_mismatch"),
    /// There is no nonce (O9).
    MissingNonce => Some("nonce_mismatch"),
    /// `at_hash` is of another access token.
    WrongAccessTokenHash => Some("at_hash_mismatch"),
    /// There is no `sub`.
    MissingSubject => Some("claim_missing"),
    /// `sub` has 256 characters.
    LongSubject => Some("subject_invalid"),
    /// UserInfo answers for somebody else. Seen only by a relying party that asks UserInfo.
    UserInfoOtherSub => Some("userinfo_subject_mismatch"),

    /// `email_verified` is false (O2).
    EmailUnverified => None,
    /// Nothing is said about the address (O2).
    EmailUnstated => None,
    /// Nothing is said but Entra's `xms_edov`, which vouches.
    EmailDomainOwnerVerified => None,
    /// There is no address.
    EmailMissing => None,
    /// There is no groups claim (O13).
    GroupsMissing => None,
    /// The groups claim is an empty list (O13).
    GroupsEmpty => None,
    /// Too many groups, as Entra says it (O14).
    GroupsOverage => None,
    /// The groups claim holds numbers.
    GroupsMalformed => None,
    /// Groups, e-mail and name are in UserInfo only, as with Okta's thin tokens.
    ThinIdToken => None,
}
