//! The dialect layer: begin, lock, list, column types, the database's clock. Beside it only migrations, a server's
//! settings for `doctor`, and whoever spares SQLite a second look ask which database it is.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{ConnectionId, DirectoryId, OrganizationId};

use crate::driver::{Driver, PostgresConnection, postgres_rows, postgres_run, sqlite_rows, sqlite_run};
use crate::row::{Param, Row};
use crate::statement::{Road, Statement};
use crate::{StoreError, UniqueKey};

/// The most values in one `IN_LIST`.
pub const MAX_LIST: usize = 1000;

/// What a statement that locks its rows ends in, the strongest first: against everybody; to be changed, while others point at
/// them; so that they stay as they are; so that they stay.
const ROW_LOCKS: [&str; 4] = [" FOR UPDATE", " FOR NO KEY UPDATE", " FOR SHARE", " FOR KEY SHARE"];

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The embedded default.
    Sqlite,
    /// For more than one node.
    Postgres,
}

impl Dialect {
    /// The text of a statement for this database.
    #[must_use]
    pub fn text(self, sql: &str) -> String {
        let (in_list, each_of) = match self {
            Self::Sqlite => {
                (["IN (SELECT value FROM json_each(", "))"], ["(SELECT value FROM json_each(", "))"])
            }
            Self::Postgres => (
                ["IN (SELECT jsonb_array_elements_text(CAST(CAST(", " AS TEXT) AS JSONB)))"],
                ["(SELECT jsonb_array_elements_text(CAST(CAST(", " AS TEXT) AS JSONB)) AS value)"],
            ),
        };
        let out = written_out(&written_out(sql, "IN_LIST(", in_list), "EACH_OF(", each_of);
        match self {
            // SQLite numbers `$n` by where it stands, `?n` by its number; and it knows no locks of rows.
            Self::Sqlite => {
                let unlocked = ROW_LOCKS.iter().find_map(|lock| out.strip_suffix(lock));
                unlocked.unwrap_or(&out).replace('$', "?")
            }
            Self::Postgres => out,
        }
    }
}

/// Writes a word of ours out: what stands before and after its parameter.
fn written_out(sql: &str, word: &str, [before, after]: [&str; 2]) -> String {
    let mut out = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    while let Some((start, end)) = rest.split_once(word) {
        let (parameter, end) = end.split_once(')').unwrap_or((end, ""));
        out.extend([start, before, parameter, after]);
        rest = end;
    }
    out.push_str(rest);
    out
}

pub(crate) enum Inner<'c> {
    Sqlite(&'c rusqlite::Connection),
    Postgres(&'c mut PostgresConnection),
}

/// What the database said of a transaction that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing yet.
    None,
    /// A statement was refused: PostgreSQL carries out nothing more of this transaction, and answers its COMMIT with a
    /// rollback.
    Refused,
    /// A deadlock, a lock that did not come in time, or a lost race, also for a unique key, which whoever runs again finds
    /// taken: the same transaction may be run again.
    TryAgain,
    /// The connection is gone, or the database does not serve now whatever it is asked.
    Gone,
}

/// How many rows statements returned or touched, by what they are: what a request costs, whatever the machine does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows that were read.
    pub read: u64,
    /// Rows that give or take access, its audit and its outbox, written.
    pub changed: u64,
    /// Rows of notes, written.
    pub noted: u64,
    /// What SQLite did for them, in steps of its machine: a row that was looked at and not returned shows here alone.
    pub steps: u64,
}

impl RowCounts {
    const fn of_road(&mut self, road: Road) -> &mut u64 {
        match road {
            Road::Read => &mut self.read,
            Road::Change => &mut self.changed,
            Road::Note => &mut self.noted,
        }
    }

    /// Adds those of another transaction.
    pub(crate) const fn add(&mut self, other: Self) {
        self.read += other.read;
        self.changed += other.changed;
        self.noted += other.noted;
        self.steps += other.steps;
    }

    /// What was written.
    #[must_use]
    pub const fn written(self) -> u64 {
        self.changed + self.noted
    }
}

/// An open transaction (or a read), on a thread of the store.
pub struct Tx<'c> {
    inner: Inner<'c>,
    counts: RowCounts,
    events: u16,
    trouble: Trouble,
    /// The database's words, once it is gone.
    why_gone: Option<String>,
    locks: Vec<Lock>,
    has_members: bool,
    lessened: bool,
    /// Nobody who only asks waits for a lock: others stand behind who does.
    only_reads: bool,
}

/// What is locked, in this order: the organization or its rules, who comes in, names of groups, groups, memberships in id
/// order, the owners, users. Waiters are served in order of arrival, so that those who share a lock starve nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// The rules of an organization change: nobody else changes them or resolves access by them meanwhile.
    Organization(OrganizationId),
    /// Access is resolved by the rules of an organization: they stay as they are meanwhile. Many hold it at once.
    Rules(OrganizationId),
    /// Nobody else comes in meanwhile whom that connection's provider calls so.
    Subject(ConnectionId, String),
    /// Nobody else comes to have a password at that address meanwhile. Taken before everything else of a transaction.
    Address(String),
    /// Nobody else of that name is looked for among those who are here, or becomes one of them, meanwhile: as they come in by a
    /// connection without a directory, or as a directory tells of them.
    Newcomer(OrganizationId, String),
    /// Nobody else gives a group of that directory a name meanwhile.
    GroupNames(DirectoryId),
    /// Nobody else counts against the brake of that directory meanwhile. Taken last before users, and only by what is
    /// about to end somebody or to take what nobody stated; two who meet the other way round are told apart by the
    /// database and run again.
    Brake(DirectoryId),
    /// Nobody else who may end an ownership counts owners meanwhile.
    Owners(OrganizationId),
    /// What was done under the lease is about to be committed: nobody takes the lease until it is. Taken last; many hold
    /// it at once.
    UnderLease,
    /// The lease is taken: no commit under it gets through meanwhile. Those who share a row would starve the one who
    /// takes it, and renewals too.
    Lease,
}

impl Lock {
    fn key(&self) -> String {
        match self {
            Self::Organization(id) | Self::Rules(id) => id.to_string(),
            Self::Subject(id, subject) => format!("{id}/subject/{subject}"),
            Self::Address(key) => format!("address/{key}"),
            Self::Newcomer(id, address) => format!("{id}/newcomer/{address}"),
            Self::GroupNames(id) => format!("{id}/names"),
            Self::Brake(id) => format!("{id}/brake"),
            Self::Owners(id) => format!("{id}/owners"),
            Self::UnderLease | Self::Lease => "lease".to_owned(),
        }
    }
}

impl<'c> Tx<'c> {
    pub(crate) const fn new(inner: Inner<'c>) -> Self {
        Self {
            inner,
            counts: RowCounts { read: 0, changed: 0, noted: 0, steps: 0 },
            events: 0,
            trouble: Trouble::None,
            why_gone: None,
            locks: Vec::new(),
            has_members: false,
            lessened: false,
            only_reads: false,
        }
    }

    /// One that only reads, and takes no lock.
    pub(crate) fn reading(inner: Inner<'c>) -> Self {
        Self { only_reads: true, ..Self::new(inner) }
    }

    pub(crate) const fn trouble(&self) -> Trouble {
        self.trouble
    }

    /// Why the database is gone, if it is.
    pub(crate) fn why_gone(&self) -> String {
        self.why_gone.clone().unwrap_or_default()
    }

    /// The place of the next audit event in this transaction: causes come before what follows from them.
    pub(crate) const fn next_event(&mut self) -> u16 {
        let place = self.events;
        self.events = place.saturating_add(1);
        place
    }

    /// Something in this transaction may take access away: its end moves the revision.
    pub(crate) const fn lessens(&mut self) {
        self.lessened = true;
    }

    /// Whether something in this transaction may have taken access away.
    #[must_use]
    pub const fn has_lessened(&self) -> bool {
        self.lessened
    }

    /// The error by which this transaction is rolled back and run again from its beginning.
    pub fn try_again(&mut self, why: &str) -> StoreError {
        self.trouble = Trouble::TryAgain;
        StoreError::Unavailable(why.to_owned())
    }

    /// Rows that statements returned or touched since this transaction began.
    #[must_use]
    pub const fn row_counts(&self) -> RowCounts {
        self.counts
    }

    /// Which database it is.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self.inner {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(_) => Dialect::Postgres,
        }
    }

    /// All rows of a statement.
    ///
    /// # Errors
    /// [`StoreError::Statement`] or [`StoreError::Unavailable`] from the driver; so for every method here.
    pub fn rows(
        &mut self,
        statement: &'static Statement,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let rows = match &mut self.inner {
            Inner::Sqlite(connection) => {
                sqlite_rows(connection, statement, params, &mut self.counts.steps).map_err(Driver::from)
            }
            Inner::Postgres(connection) => postgres_rows(connection, statement, params).map_err(Driver::from),
        };
        let rows = rows.map_err(|driver| self.failed(statement.name, driver))?;
        *self.counts.of_road(statement.road) += rows.len() as u64;
        Ok(rows)
    }

    /// The first row of a statement.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub fn row(
        &mut self,
        statement: &'static Statement,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, params)?.into_iter().next())
    }

    /// Runs a statement; how many rows it touched.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub fn run(&mut self, statement: &'static Statement, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let touched = match &mut self.inner {
            Inner::Sqlite(connection) => {
                sqlite_run(connection, statement, params, &mut self.counts.steps).map_err(Driver::from)
            }
            Inner::Postgres(connection) => postgres_run(connection, statement, params).map_err(Driver::from),
        };
        let touched = touched.map_err(|driver| self.failed(statement.name, driver))?;
        *self.counts.of_road(statement.road) += touched;
        Ok(touched)
    }

    /// Inserts a row by `INSERT … ON CONFLICT DO NOTHING RETURNING`: no row back means that a unique key is taken.
    ///
    /// # Errors
    /// [`StoreError::Taken`] with the key; else as [`Tx::rows`].
    pub(crate) fn insert(
        &mut self,
        statement: &'static Statement,
        params: &[Param<'_>],
        key: UniqueKey,
    ) -> Result<(), StoreError> {
        self.row(statement, params)?.map(|_| ()).ok_or(StoreError::Taken(key))
    }

    /// Runs an update of a row that its caller has read in this transaction: not to find it is a fault. What ends or
    /// deletes goes by [`Tx::run`] instead, because it is content to find that done already.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`] if it touched none; else as [`Tx::rows`].
    pub(crate) fn run_on_row(
        &mut self,
        statement: &'static Statement,
        params: &[Param<'_>],
    ) -> Result<(), StoreError> {
        match self.run(statement, params)? {
            0 => Err(StoreError::Inconsistent(format!("`{}` found no row", statement.name))),
            _ => Ok(()),
        }
    }

    /// Runs a text of several statements, without parameters: migrations.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        // How many rows it touches nobody says: at least it is not nothing.
        self.counts.noted += 1;
        let done = match &mut self.inner {
            Inner::Sqlite(connection) => connection.execute_batch(sql).map_err(Driver::from),
            Inner::Postgres(connection) => connection.client.batch_execute(sql).map_err(Driver::from),
        };
        done.map_err(|driver| self.failed("batch", driver))
    }

    /// Takes a lock until the end of the transaction. SQLite has one writer and needs none.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub fn lock(&mut self, lock: Lock) -> Result<(), StoreError> {
        const ALONE: Statement = Statement::read(
            "db.lock_alone",
            "SELECT CAST(pg_advisory_xact_lock(hashtextextended(CAST($1 AS TEXT), 0)) AS TEXT)",
        );
        const SHARED: Statement = Statement::read(
            "db.lock_shared",
            "SELECT CAST(pg_advisory_xact_lock_shared(hashtextextended(CAST($1 AS TEXT), 0)) AS TEXT)",
        );
        debug_assert!(!self.only_reads, "who only asks takes no lock: {lock:?}");
        if self.has(&lock) {
            return Ok(());
        }
        if let Lock::Organization(id) = lock {
            // Two that share a lock and both want it alone would wait for each other.
            debug_assert!(
                !self.locks.contains(&Lock::Rules(id)),
                "the organization is locked before its rules"
            );
        }
        debug_assert!(
            !self.has_members
                || !matches!(
                    lock,
                    Lock::Address(_) | Lock::Subject(..) | Lock::Newcomer(..) | Lock::GroupNames(_)
                ),
            "who comes in, and names, are locked before members: {lock:?}"
        );
        if self.dialect() == Dialect::Postgres {
            let shared = matches!(lock, Lock::Rules(_) | Lock::UnderLease);
            let statement = if shared { &SHARED } else { &ALONE };
            let key = lock.key();
            self.rows(statement, crate::params![key])?;
        }
        self.locks.push(lock);
        Ok(())
    }

    /// Locks the rows of a statement that ends in one of [`ROW_LOCKS`] until the end of the transaction. SQLite has
    /// one writer and needs none.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub(crate) fn lock_rows(
        &mut self,
        statement: &'static Statement,
        params: &[Param<'_>],
    ) -> Result<(), StoreError> {
        match self.dialect() {
            Dialect::Sqlite => Ok(()),
            Dialect::Postgres => self.rows(statement, params).map(|_| ()),
        }
    }

    /// The same for memberships, behind which no name is locked any more.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub(crate) fn lock_members(
        &mut self,
        statement: &'static Statement,
        params: &[Param<'_>],
    ) -> Result<(), StoreError> {
        debug_assert!(!self.only_reads, "who only asks takes no lock: {}", statement.name);
        self.has_members = true;
        self.lock_rows(statement, params)
    }

    /// The same for memberships of which the caller needs to know which there are.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub(crate) fn locked_members(
        &mut self,
        statement: &'static Statement,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        debug_assert!(!self.only_reads, "who only asks takes no lock: {}", statement.name);
        self.has_members = true;
        self.rows(statement, params)
    }

    /// Whether this transaction has that lock, or one that implies it.
    #[must_use]
    pub fn has(&self, lock: &Lock) -> bool {
        let stronger = match lock {
            Lock::Rules(id) => Some(Lock::Organization(*id)),
            Lock::Organization(_)
            | Lock::Address(_)
            | Lock::Subject(..)
            | Lock::Newcomer(..)
            | Lock::GroupNames(_)
            | Lock::Brake(_)
            | Lock::Owners(_)
            | Lock::UnderLease
            | Lock::Lease => None,
        };
        self.locks.iter().any(|one| one == lock || Some(one) == stronger.as_ref())
    }

    /// Whether this transaction keeps the rules of any organization as they are.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.locks.iter().any(|one| matches!(one, Lock::Organization(_) | Lock::Rules(_)))
    }

    /// The database's own clock, which every node shares.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub fn database_now(&mut self) -> Result<Timestamp, StoreError> {
        const SQLITE: Statement = Statement::read(
            "db.now_sqlite",
            "SELECT CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)",
        );
        const POSTGRES: Statement = Statement::read(
            "db.now_postgres",
            "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
        );
        let statement = match self.dialect() {
            Dialect::Sqlite => &SQLITE,
            Dialect::Postgres => &POSTGRES,
        };
        let row = self.row(statement, &[])?;
        row.ok_or_else(|| StoreError::Inconsistent("the database has no clock".into()))?.at(0)
    }

    fn failed(&mut self, statement: &'static str, driver: Driver) -> StoreError {
        self.trouble = match (self.trouble, driver.trouble) {
            (before @ (Trouble::TryAgain | Trouble::Gone), Trouble::Refused) => before,
            (_, now) => now,
        };
        if driver.trouble == Trouble::Gone {
            self.why_gone.get_or_insert_with(|| driver.message.clone());
        }
        match driver.trouble {
            Trouble::None | Trouble::Refused => StoreError::Statement { statement, message: driver.message },
            Trouble::TryAgain | Trouble::Gone => StoreError::Unavailable(driver.message),
        }
    }
}
