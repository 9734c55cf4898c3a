//! What every parser of bytes from outside must keep, whatever the bytes: one plain function a parser. Development only.
//!
//! A target takes bytes and panics if a property is broken: a bound that does not hold, a form that does not read back,
//! a refusal without a code, two readers that differ. Whether it crashes is the least of what it asks. The functions
//! are plain so that the tests of every run replay the kept corpus, and changes of it, on the stable toolchain in
//! seconds; libFuzzer drives the same functions for minutes (`cargo xtask fuzz`, and the long tier).
//!
//! To add one: a function in the file of its room, a row in [`Target::ALL`], a folder with seeds in `corpus/`.
#![expect(clippy::panic, reason = "a broken property ends the run by a panic: a fuzz target is for that")]
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

mod oidc;
pub mod oracle;
mod refusal;
mod saml;
mod scim;

/// One parser and what it must keep.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called, and its folder in `corpus/`.
    pub name: &'static str,
    /// The longest input, in bytes, that is worth trying: bounds above it have tests of their own.
    pub max_bytes: usize,
    run: fn(&[u8]),
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 19] = [
        Self { name: "scim-filter", max_bytes: 512, run: scim::filter },
        Self { name: "scim-path", max_bytes: 512, run: scim::path },
        Self { name: "scim-user", max_bytes: 4_096, run: scim::user },
        Self { name: "scim-group", max_bytes: 4_096, run: scim::group },
        Self { name: "scim-patch", max_bytes: 4_096, run: scim::patch },
        Self { name: "scim-bulk", max_bytes: 4_096, run: scim::bulk },
        Self { name: "scim-search", max_bytes: 1_024, run: scim::search },
        Self { name: "oidc-callback", max_bytes: 1_024, run: oidc::callback },
        Self { name: "oidc-claims", max_bytes: 2_048, run: oidc::claims },
        Self { name: "oidc-discovery", max_bytes: 4_096, run: oidc::discovery },
        Self { name: "oidc-id-token", max_bytes: 2_048, run: oidc::id_token },
        Self { name: "oidc-jwks", max_bytes: 4_096, run: oidc::jwks },
        Self { name: "oidc-logout-claims", max_bytes: 2_048, run: oidc::logout_claims },
        Self { name: "oidc-logout-token", max_bytes: 2_048, run: oidc::logout_token },
        Self { name: "oidc-pushed-answer", max_bytes: 2_048, run: oidc::pushed_answer },
        Self { name: "oidc-token-answer", max_bytes: 2_048, run: oidc::token_answer },
        Self { name: "saml-logout", max_bytes: 4_096, run: saml::logout },
        Self { name: "saml-metadata", max_bytes: 4_096, run: saml::metadata },
        Self { name: "saml-response", max_bytes: 4_096, run: saml::response },
    ];

    /// The target of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name == name)
    }

    /// Tries the parser with an input.
    ///
    /// # Panics
    ///
    /// If a property is broken.
    pub fn run(self, bytes: &[u8]) {
        (self.run)(bytes);
    }
}
