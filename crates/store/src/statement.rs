//! The one list of statements.
//!
//! Every statement is a named constant, so that a test can prepare all of them on both databases, compare the types of
//! their columns and pin SQLite's query plans. Not in it are those that one database alone understands: advisory locks,
//! clocks, settings of a server (in `db.rs`, `checkup.rs` and `migration.rs`).

/// What a statement does to which side of the wall between access and notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Road {
    /// Reads only.
    Read,
    /// Writes what gives or takes access; called by `apply` only.
    Change,
    /// Writes what gives and takes none: last use, traces, leases, sign-ins under way, the sequencer's numbers.
    Note,
}

/// One SQL statement: `$n` parameters, one text for both databases, `IN_LIST($n)` for a list given as JSON text, and
/// `EACH_OF($n)` for its values as rows of one column, `value`. One that ends in `FOR UPDATE`, `FOR NO KEY UPDATE`,
/// `FOR SHARE` or `FOR KEY SHARE` locks its rows on PostgreSQL.
#[derive(Debug)]
pub struct Statement {
    /// Its name, `noun.verb`.
    pub name: &'static str,
    /// What it does.
    pub road: Road,
    /// The text.
    pub sql: &'static str,
}

impl Statement {
    /// A statement that reads.
    #[must_use]
    pub const fn read(name: &'static str, sql: &'static str) -> Self {
        Self { name, road: Road::Read, sql }
    }

    /// A statement that changes access.
    #[must_use]
    pub const fn change(name: &'static str, sql: &'static str) -> Self {
        Self { name, road: Road::Change, sql }
    }

    /// A statement that notes.
    #[must_use]
    pub const fn note(name: &'static str, sql: &'static str) -> Self {
        Self { name, road: Road::Note, sql }
    }
}

/// Every statement that there is.
#[must_use]
pub fn all() -> Vec<&'static Statement> {
    [
        crate::agent::ALL,
        crate::apply::ALL,
        crate::arrival::ALL,
        crate::audit::ALL,
        crate::bearer::ALL,
        crate::brake::ALL,
        crate::checkup::ALL,
        crate::connection::ALL,
        crate::consent::ALL,
        crate::dialect::ALL,
        crate::directory::ALL,
        crate::directory_group::ALL,
        crate::directory_user::ALL,
        crate::directory_user::list::ALL,
        crate::domain::ALL,
        crate::ending::ALL,
        crate::environment::ALL,
        crate::facet::ALL,
        crate::facts::ALL,
        crate::farewell::ALL,
        crate::google::ALL,
        crate::grant::ALL,
        crate::hold::ALL,
        crate::hold::view::ALL,
        crate::idempotency::ALL,
        crate::instance::ALL,
        crate::invitation::ALL,
        crate::last_refusal::ALL,
        crate::leaver::ALL,
        crate::lease::ALL,
        crate::mapping::ALL,
        crate::mapping::named::ALL,
        crate::mapping::touched::ALL,
        crate::membership::ALL,
        crate::membership::list::ALL,
        crate::oidc::ALL,
        crate::oidc_session::ALL,
        crate::organization::ALL,
        crate::outbox::ALL,
        crate::receipt::ALL,
        crate::replay::ALL,
        crate::review::ALL,
        crate::role::ALL,
        crate::saml::ALL,
        crate::saml_refresh::ALL,
        crate::saml_session::ALL,
        crate::sign_in::ALL,
        crate::signing_key::ALL,
        crate::subgroup::ALL,
        crate::team::ALL,
        crate::token::ALL,
        crate::tombstone::ALL,
        crate::trace::ALL,
        crate::user::ALL,
    ]
    .concat()
}
