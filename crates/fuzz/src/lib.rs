//! What every parser of bytes from outside must keep, whatever the bytes: one plain function a parser. Development only.
//!
//! A target takes bytes and panics if a property is broken: a bound that does not hold, a form that does not read back,
//! a refusal without a code, two readers that differ. Whether it crashes is the least of what it asks. The functions
//! are plain so that the tests of every run replay the kept corpus, and changes of it, on the stable toolchain in
//! seconds; libFuzzer drives the same functions for minutes (`cargo xtask fuzz`, and the long tier).
//!
//! A property of what is taken is worth nothing while nothing is: each target says what it takes, and of each a test wants
//! one kept input ([`Target::takes`]).
//!
//! To add one: a function in the file of its room, a row in [`Target::ALL`], a folder with seeds in `corpus/`.
#![expect(clippy::panic, reason = "a broken property ends the run by a panic: a fuzz target is for that")]
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

mod oidc;
pub mod oracle;
mod refusal;
mod saml;
mod scim;

use std::collections::BTreeSet;

/// What a parser took of an input, by the names that its target gives it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken(pub BTreeSet<&'static str>);

impl Taken {
    fn note(&mut self, what: &'static str) {
        self.0.insert(what);
    }
}

/// One parser and what it must keep.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called, and its folder in `corpus/`.
    pub name: &'static str,
    /// The longest input, in bytes, that is worth trying: bounds above it have tests of their own.
    pub max_bytes: usize,
    /// What it can take of an input, each of some kept one: behind each stand properties that nothing else asks.
    pub takes: &'static [&'static str],
    run: fn(&[u8], &mut Taken),
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 19] = [
        Self::new("scim-filter", 512, &["filter"], scim::filter),
        Self::new("scim-path", 512, &["patch of a user", "patch of a group"], scim::path),
        Self::new("scim-user", 4_096, &["user"], scim::user),
        Self::new("scim-group", 4_096, &["group"], scim::group),
        Self::new("scim-patch", 4_096, &["patch of a user", "patch of a group"], scim::patch),
        Self::new("scim-bulk", 4_096, &["bulk", "patch of a user", "patch of a group"], scim::bulk),
        Self::new("scim-search", 1_024, &["body", "parameters"], scim::search),
        Self::new("oidc-callback", 1_024, &["code"], oidc::callback),
        Self::new("oidc-claims", 2_048, &["claims"], oidc::claims),
        Self::new("oidc-discovery", 4_096, &["metadata", "issuer"], oidc::discovery),
        Self::new("oidc-id-token", 2_048, &["token"], oidc::id_token),
        Self::new("oidc-jwks", 4_096, &["key set", "key"], oidc::jwks),
        Self::new("oidc-logout-claims", 2_048, &["logout"], oidc::logout_claims),
        Self::new("oidc-logout-token", 2_048, &["logout"], oidc::logout_token),
        Self::new("oidc-pushed-answer", 2_048, &["request"], oidc::pushed_answer),
        Self::new(
            "oidc-token-answer",
            2_048,
            &["token", "refusal", "introspection", "userinfo", "groups", "token of graph"],
            oidc::token_answer,
        ),
        Self::new(
            "saml-logout",
            4_096,
            &["request in a form", "answer in a form", "request in a query", "answer in a query"],
            saml::logout,
        ),
        Self::new("saml-metadata", 4_096, &["unsigned", "pinned"], saml::metadata),
        Self::new(
            "saml-response",
            4_096,
            &["signed assertion", "signed response", "both signed"],
            saml::response,
        ),
    ];

    const fn new(
        name: &'static str,
        max_bytes: usize,
        takes: &'static [&'static str],
        run: fn(&[u8], &mut Taken),
    ) -> Self {
        Self { name, max_bytes, takes, run }
    }

    /// The target of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name == name)
    }

    /// Tries the parser with an input. What it took of it.
    ///
    /// # Panics
    ///
    /// If a property is broken.
    pub fn run(self, bytes: &[u8]) -> Taken {
        let mut taken = Taken::default();
        (self.run)(bytes, &mut taken);
        taken
    }
}
