//! Bare SQLite: the same rows, bytes and indexes that the server wrote, read back from its database and written into
//! another with the same schema and settings, in commits of the same size. Nothing is decided, parsed or answered.
//!
//! What the server writes beside is not written here: numbers and links of the log, traces, last uses.

use std::path::Path;
use std::time::Instant;

use portcullis_store::pool::SQLITE_SETTINGS;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::server::schedule_us;

/// A rate, and what of the processor it took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub seconds: f64,
    /// How many things were done.
    pub count: usize,
    /// Microseconds of processor time for one, on the side that is measured only.
    pub cpu_us: f64,
    /// How many were in one commit.
    pub a_commit: f64,
}

impl Cost {
    pub fn a_second(self) -> f64 {
        self.count as f64 / self.seconds
    }
}

/// What is written in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// A person with a user, a membership, addresses and two events.
    People,
    /// A group with its event.
    Groups,
    /// So many members of a group, which is touched, with one event.
    Members(usize),
}

type Rows = Vec<Vec<Value>>;

/// A database like the server's, to be filled with what the server's holds.
pub struct Bare {
    source: Connection,
    target: Connection,
    _folder: tempfile::TempDir,
}

impl Bare {
    /// An empty one beside the server's.
    pub fn beside(database: &Path) -> Self {
        let folder = tempfile::tempdir_in(".").unwrap();
        let target = Connection::open(folder.path().join("bare.db")).unwrap();
        target.execute_batch(SQLITE_SETTINGS).unwrap();
        let source = Connection::open(database).unwrap();
        let texts: Vec<String> = source
            .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
            .unwrap()
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for sql in texts {
            target.execute_batch(&sql).unwrap();
        }
        Self { source, target, _folder: folder }
    }

    /// The rows of a table in the order in which they were written, without what the sequencer added later.
    fn rows(&self, table: &str, filter: &str) -> (String, Rows) {
        let mut statement =
            self.source.prepare(&format!("SELECT * FROM {table} {filter} ORDER BY rowid")).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows: Rows = statement
            .query_map([], |row| (0..names.len()).map(|c| row.get(c)).collect())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        if table == "audit_events" {
            for row in &mut rows {
                for (value, name) in row.iter_mut().zip(&names) {
                    if matches!(name.as_str(), "number" | "commitment" | "link") {
                        *value = Value::Null;
                    }
                }
            }
        }
        let marks = vec!["?"; names.len()].join(", ");
        (format!("INSERT INTO {table} VALUES ({marks})"), rows)
    }

    fn tables(&self, load: Load) -> Vec<(String, Rows)> {
        match load {
            Load::People => vec![
                self.rows("users", ""),
                self.rows("memberships", ""),
                self.rows("directory_users", ""),
                self.rows("directory_user_emails", ""),
                self.rows("directory_user_facets", ""),
                self.rows("audit_events", "WHERE action IN ('directory_user.created', 'member.created')"),
            ],
            Load::Groups => vec![
                self.rows("directory_groups", ""),
                self.rows("audit_events", "WHERE action = 'directory_group.created'"),
            ],
            Load::Members(_) => vec![
                self.rows("directory_members", ""),
                self.rows("audit_events", "WHERE action = 'directory_group.members_changed'"),
            ],
        }
    }

    /// Writes all of a load, so many things a commit.
    pub fn write(&self, load: Load, a_commit: f64) -> Cost {
        let tables: Vec<_> = self.tables(load).into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
        let count = match load {
            Load::People => tables.iter().find(|(sql, _)| sql.contains(" users ")).unwrap().1.len(),
            Load::Groups => tables[0].1.len(),
            Load::Members(each) => tables[0].1.len() / each,
        };
        let a_commit = (a_commit.round() as usize).max(1);
        let before = schedule_us(Path::new("/proc/thread-self"));
        let began = Instant::now();
        for first in (0..count).step_by(a_commit) {
            self.target.execute_batch("BEGIN IMMEDIATE").unwrap();
            for one in first..(first + a_commit).min(count) {
                for (insert, rows) in &tables {
                    let each = rows.len() / count;
                    for row in &rows[one * each..(one + 1) * each] {
                        let mut statement = self.target.prepare_cached(insert).unwrap();
                        statement.execute(rusqlite::params_from_iter(row)).unwrap();
                    }
                }
                if let Load::Members(each) = load {
                    let group = &tables[0].1[one * each][0];
                    let touch = "UPDATE directory_groups SET updated_at = updated_at + 1 WHERE id = ?";
                    self.target.prepare_cached(touch).unwrap().execute([group]).unwrap();
                }
            }
            self.target.execute_batch("COMMIT").unwrap();
        }
        let seconds = began.elapsed().as_secs_f64();
        let cpu_us = (schedule_us(Path::new("/proc/thread-self")) - before) / count as f64;
        Cost { seconds, count, cpu_us, a_commit: a_commit as f64 }
    }
}
