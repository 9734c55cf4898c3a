//! Every statement on both databases: it prepares, its types agree, and SQLite finds its rows by an index.

use std::collections::BTreeMap;

use portcullis_store::statement::{Road, Statement, all};
use portcullis_store::{Dialect, Options};
use postgres::types::Type;

use crate::database::Database;

/// Statements that read a table from end to end, each with the reason why that is right.
const MAY_SCAN: &[(&str, &str)] = &[
    ("agent.count_living", "what it scans are the 100 rows at most that the index gave"),
    ("audit.count_waiting", "the index holds only what waits for the sequencer, a second's worth"),
    ("audit.last_of_target", "what it scans are the 10,000 rows at most that each of two indexes gave"),
    ("audit.list_narrowed", "what it scans are the 10,000 rows at most that the index gave"),
    ("audit.list_of_target", "what it scans are the 10,000 rows at most that each of two indexes gave"),
    ("audit.list_of_request", "what it scans are the 10,000 rows at most that the index gave"),
    ("audit.waiting_of", "the index holds only what waits for the sequencer, a second's worth"),
    ("audit.waiting", "the index holds only what waits for the sequencer, a second's worth"),
    ("checkup.active_ended", "asked by `doctor`, while somebody waits for it"),
    ("checkup.alive", "asked by `doctor`, while somebody waits for it"),
    ("checkup.acting_agents", "asked by `doctor`, while somebody waits for it"),
    ("checkup.alive_seen", "asked by `doctor`, while somebody waits for it"),
    ("checkup.outgrown", "asked by `doctor`, while somebody waits for it"),
    ("checkup.refused", "one row a directory; asked by `doctor`, while somebody waits for it"),
    ("checkup.expiring_certificates", "asked by `doctor`, while somebody waits for it"),
    ("checkup.expiring", "asked by `doctor`, while somebody waits for it"),
    ("checkup.held", "asked by `doctor`, while somebody waits for it"),
    ("checkup.newest", "one row, the last of the index"),
    ("checkup.ownerless", "asked by `doctor`, while somebody waits for it"),
    ("checkup.unconfirmed_connections", "asked by `doctor`, while somebody waits for it"),
    ("checkup.unconfirmed_people", "asked by `doctor`, while somebody waits for it"),
    ("checkup.unsequenced", "asked by `doctor`, while somebody waits for it"),
    ("checkup.unsigned", "asked by `doctor`, while somebody waits for it"),
    (
        "checkup.unread",
        "one row a directory of Google Workspace; asked by `doctor`, while somebody waits for it",
    ),
    ("checkup.metadata_unread", "one row a connection; asked by `doctor`, while somebody waits for it"),
    ("token.count_living", "what it scans are the 1,000 rows at most that the index gave"),
    ("token.end_of_leaver", "what it scans is what the tokens of one membership issued, found by the index"),
    (
        "token.end_of_connection",
        "what it scans is what the sessions of one connection issued, found by the index",
    ),
    ("leaver.to_rotate", "what it scans is what the tokens of one membership issued, found by the index"),
    ("leaver.agents", "what it scans is what the tokens of one membership issued, found by the index"),
    (
        "google.consented",
        "as many rows as there are directories of Google Workspace, when an organization is deleted",
    ),
    ("google.delete_of_organization", "as many rows as there are directories of Google Workspace"),
    ("google.forget", "as many rows as there are directories of Google Workspace, at the start"),
    ("outbox.count_waiting", "the index holds only what waits for its delivery"),
    ("outbox.sweep", "as many rows of the index as one step drops, from the oldest on, in a job"),
    ("receipt.unsigned", "the index holds only what waits for the sequencer, a second's worth"),
    ("saml.expiring_certificates", "a few rows a connection of SAML, once an hour in a job"),
    ("saml.expiring_keys", "a few rows a connection of SAML, once an hour in a job"),
    ("trace.count_too_many", "what it scans is what the index gave, in a job"),
    (
        "trace.find_too_many_unproven",
        "what it scans is what one organization keeps, found by the index, in a job",
    ),
    ("trace.prune_unproven", "what it scans is what one organization keeps, found by the index, in a job"),
];
/// Statements that walk through everything of one organization or directory, each with the reason why that is right.
const MAY_WALK: &[(&str, &str)] = &[
    ("audit.head", "one row an organization"),
    ("checkup.outgrown", "a directory has few mappings; asked by `doctor`, while somebody waits for it"),
    ("connection.find_by_domain", "an organization has few connections"),
    ("connection.of_issuer", "an organization has few connections"),
    ("dialect.forget", "as many rows as there are kinds of deviations"),
    ("dialect.list", "as many rows as there are kinds of deviations"),
    ("directory.await", "it is about all of them"),
    ("directory.delete_emails", "it is about all of them"),
    ("directory.delete_facets", "it is about all of them"),
    ("directory.delete_groups", "it is about all of them"),
    ("directory.delete_members", "it is about all of them"),
    ("directory.delete_subgroups", "it is about all of them"),
    ("directory.delete_users", "it is about all of them"),
    ("directory.highest_lent", "an organization has few connections"),
    ("directory.lets_in", "an organization has few connections"),
    ("directory.remember_addresses", "it is about all of them"),
    ("directory.remember_emails", "it is about all of them"),
    ("directory.remember_user_names", "it is about all of them"),
    ("directory.told_from_below", "it is about all of them, once when a directory is deleted"),
    ("directory.unconfirm", "it is about all of them"),
    (
        "directory.tells_of_one_with",
        "asked when a directory comes to give more, of another whose token somebody below that saw",
    ),
    ("directory.giving", "an organization has few directories; asked once, when a role is raised"),
    ("directory.highest_given", "an organization has few roles, and a directory few mappings"),
    ("last_refusal.find", "one row a directory"),
    ("last_refusal.forget", "one row a directory"),
    ("directory.is_used", "an organization has few connections"),
    ("directory_group.count", "it is about all of them"),
    ("directory_group.page", "a page by its number, as RFC 7644 §3.4.2.4 has it"),
    ("directory_user.count", "it is about all of them"),
    ("directory_user.is_told_of", "an organization has few directories"),
    ("directory_user.page", "a page by its number, as RFC 7644 §3.4.2.4 has it"),
    ("directory_user.page_by_user_name", "a page by its number, as RFC 7644 §3.4.2.4 has it"),
    ("directory_user.page_by_user_name_backwards", "a page by its number, as RFC 7644 §3.4.2.4 has it"),
    ("domain.list", "an organization has few of them"),
    ("domain.proven_of", "an organization has few of them"),
    ("environment.used_by", "asked once, before a deletion"),
    ("environment.list", "an organization has few of them"),
    ("mapping.affected_by_directory", "it is about all of them"),
    ("mapping.defaulted_to_role", "it is about all of them"),
    ("hold.forget", "it is about all of them"),
    ("brake.forget_counted", "as many as ended within a day"),
    ("brake.gone", "as many as ended within a day, once an hour"),
    ("hold.forget_matches", "it is about all of them"),
    ("hold.forget_people", "it is about all of them"),
    ("membership.go_with_directory", "it is about everybody whom the directory tells of"),
    ("membership.stale_with_directory", "it is about everybody whom the directory tells of"),
    ("organization.count_left", "it is about all of them, once when the organization is deleted"),
    ("organization.release_domains", "it is about all of them"),
    ("review.forget", "it is about all of them"),
    ("role.used_by", "asked once, before a deletion"),
    ("role.list", "an organization has few of them"),
    ("saml.trusted_elsewhere", "an organization has few connections"),
    ("signing_key.current", "an organization has few of them"),
    ("signing_key.list_public", "an organization has few of them"),
    ("team.used_by", "asked once, before a deletion"),
    ("team.list", "an organization has few of them"),
    ("token.end_of_organization", "it is about all of them"),
    ("trace.count_too_many", "as many as are kept, in a job"),
    ("trace.find_too_many_unproven", "as many as are kept, in a job"),
    ("trace.prune_others", "as many as are kept, in a job"),
    ("trace.prune_succeeded", "as many as are kept, in a job"),
    ("trace.prune_unproven", "as many as are kept, in a job"),
];
/// Statements that walk through everybody of one group, each with the reason why that is right.
const MAY_WALK_A_GROUP: &[(&str, &str)] = &[
    ("directory.delete_members", "it is about all of them, once when a directory is deleted"),
    (
        "directory_group.count_members",
        "counted for administrators, who see how large each group of a page is",
    ),
    ("directory_group.delete_members", "it is about all of them, once when a group is deleted"),
    (
        "mapping.affected_by_group",
        "a group comes or goes, and with it whatever its members have; up to a limit",
    ),
    ("mapping.affected_by_group_display_name", "a rule of the group changes, for all of them; up to a limit"),
    ("mapping.affected_by_group_external_id", "a rule of the group changes, for all of them; up to a limit"),
    ("mapping.affected_by_group_id", "a rule of the group changes, for all of them; up to a limit"),
    ("mapping.count_by_group_display_name", "counted for whoever asks what a mapping would change"),
    ("mapping.count_by_group_external_id", "counted for whoever asks what a mapping would change"),
    ("mapping.count_by_group_id", "counted for whoever asks what a mapping would change"),
    ("mapping.page_by_group_display_name", "a page of them for whoever asks what a mapping would change"),
    ("mapping.page_by_group_external_id", "a page of them for whoever asks what a mapping would change"),
    ("mapping.page_by_group_id", "a page of them for whoever asks what a mapping would change"),
    ("subgroup.memberships", "a group comes into or leaves another, with all of them; up to a limit"),
    ("subgroup.places", "a group leaves another, with all of them; up to a limit"),
];

fn sqlite() -> (Database, rusqlite::Connection) {
    let database = Database::sqlite().opened();
    let Options::Sqlite { path } = database.options() else { panic!("not SQLite") };
    let connection = rusqlite::Connection::open(path).unwrap();
    (database, connection)
}

/// The type of each column as both databases can say it; `None` where SQLite knows none before there is a row.
fn sqlite_types(connection: &rusqlite::Connection, statement: &Statement) -> Vec<Option<Type>> {
    let prepared = connection
        .prepare(&Dialect::Sqlite.text(statement.sql))
        .unwrap_or_else(|error| panic!("`{}` on SQLite: {error}", statement.name));
    let declared = |column: &rusqlite::Column<'_>| match column.decl_type()? {
        "INTEGER" => Some(Type::INT8),
        "TEXT" => Some(Type::TEXT),
        other => panic!("`{}` has a column of type {other}", statement.name),
    };
    prepared.columns().map(|column| declared(&column)).collect()
}

#[test]
fn every_statement_has_a_name_of_its_own_that_begins_with_its_noun() {
    let mut seen = BTreeMap::new();
    for statement in all() {
        let (noun, verb) = statement.name.split_once('.').expect("a name is noun.verb");
        let plain = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !word.is_empty();
        assert!(plain(noun) && plain(verb), "`{}` is not noun.verb", statement.name);
        assert!(seen.insert(statement.name, ()).is_none(), "two statements are named `{}`", statement.name);
    }
    assert!(seen.len() > 150, "{} statements are too few to be all", seen.len());
}

#[test]
fn every_statement_prepares_on_sqlite() {
    let (_database, connection) = sqlite();
    for statement in all() {
        sqlite_types(&connection, statement);
    }
}

#[test]
fn every_statement_prepares_on_postgresql_and_its_columns_have_the_types_that_sqlite_gives_them() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let mut client = database.client();
    let (_sqlite, connection) = sqlite();
    for statement in all() {
        let name = statement.name;
        let prepared = client
            .prepare(&Dialect::Postgres.text(statement.sql))
            .unwrap_or_else(|error| panic!("`{name}` on PostgreSQL: {:?}", error.as_db_error()));
        for (index, parameter) in prepared.params().iter().enumerate() {
            let known = [Type::INT8, Type::TEXT].contains(parameter);
            assert!(known, "`{name}` parameter ${} is {parameter}", index + 1);
        }
        let on_sqlite = sqlite_types(&connection, statement);
        assert_eq!(on_sqlite.len(), prepared.columns().len(), "`{name}` has other columns on SQLite");
        for (column, on_sqlite) in prepared.columns().iter().zip(on_sqlite) {
            let on_postgres = column.type_();
            assert!([Type::INT8, Type::TEXT].contains(on_postgres), "`{name}` gives {on_postgres}");
            if let Some(on_sqlite) = on_sqlite {
                assert_eq!(*on_postgres, on_sqlite, "`{name}` column `{}`", column.name());
            }
        }
    }
}

#[test]
fn every_statement_uses_each_of_its_parameters_from_the_first_on() {
    for statement in all() {
        let used = |number: usize| {
            let parameter = format!("${number}");
            statement.sql.match_indices(&parameter).any(|(at, _)| {
                !statement.sql[at + parameter.len()..].starts_with(|c: char| c.is_ascii_digit())
            })
        };
        let last = (1..100).rev().find(|number| used(*number)).unwrap_or(0);
        for number in 1..=last {
            assert!(used(number), "`{}` has ${last} and no ${number}", statement.name);
        }
        assert!(last <= 24, "`{}` has more parameters than the store binds", statement.name);
    }
}

#[test]
fn every_statement_finds_its_rows_by_an_index_on_sqlite() {
    let scans = |step: &str| {
        step.starts_with("SCAN ") && !step.contains("CONSTANT ROW") && !step.contains("json_each")
    };
    only_these(MAY_SCAN, "read a table from end to end", scans);
}

#[test]
fn no_statement_walks_an_organization_or_a_directory_for_a_few_of_its_rows_on_sqlite() {
    // A page by id has the id in its index; what names a person, a key or a group has that.
    // What stands once for each directory is no walk.
    let walks = |step: &str| {
        let whole = step.ends_with(" (organization=?)") || step.ends_with(" (directory=?)");
        whole && !step.starts_with("SEARCH google_")
    };
    only_these(MAY_WALK, "walk through a whole organization or directory", walks);
}

#[test]
fn no_statement_walks_a_group_for_a_few_of_its_members_on_sqlite() {
    only_these(MAY_WALK_A_GROUP, "walk through a whole group", |step| step.ends_with(" (directory_group=?)"));
}

/// Whatever an organization did to itself, a page begins where the one before ended.
#[test]
fn what_was_done_to_something_is_found_from_the_last_one_seen_on_by_both_indexes_on_sqlite() {
    let (_database, connection) = sqlite();
    for name in ["audit.list_of_target", "audit.last_of_target"] {
        let statement = all().into_iter().find(|statement| statement.name == name).unwrap();
        let steps = plan(&connection, statement);
        for wanted in [
            "audit_events_target (target=? AND id>?)",
            "audit_events_second_target (second_target=? AND id>?)",
        ] {
            assert!(steps.iter().any(|step| step.ends_with(wanted)), "`{name}` without {wanted}: {steps:#?}");
        }
    }
}

/// The statements with such a step in their plan are those of the list, no more and no fewer.
fn only_these(list: &[(&str, &str)], what: &str, is_such: impl Fn(&str) -> bool) {
    let (_database, connection) = sqlite();
    let mut found = BTreeMap::new();
    for statement in all() {
        let steps: Vec<String> =
            plan(&connection, statement).into_iter().filter(|step| is_such(step)).collect();
        if !steps.is_empty() {
            found.insert(statement.name, steps);
        }
    }
    let unexpected: Vec<_> =
        found.iter().filter(|(name, _)| !list.iter().any(|(listed, _)| listed == *name)).collect();
    assert!(unexpected.is_empty(), "these {what}: {unexpected:#?}");
    for (listed, reason) in list {
        assert!(found.contains_key(listed), "`{listed}` does not {what} ({reason}): take it off the list");
    }
}

fn plan(connection: &rusqlite::Connection, statement: &Statement) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {}", Dialect::Sqlite.text(statement.sql));
    let mut prepared = connection.prepare(&sql).unwrap();
    // Parameters stay unbound: the plan does not depend on them.
    let mut rows = prepared.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get::<_, String>(3).unwrap());
    }
    steps
}

/// Whoever reads a long page in parts passes over those before it once.
#[test]
fn what_follows_a_name_takes_the_same_steps_wherever_it_stands_on_sqlite() {
    const MANY: u32 = 2_000;
    let (_database, connection) = sqlite();
    let fill = format!(
        "WITH RECURSIVE n (i) AS (SELECT 10000 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO directory_users \
         (id, organization, directory, membership, user_name, user_name_key, display_name, display_name_key, \
         attributes, created_at, updated_at) \
         SELECT 'du_' || i, 'org', 'dir', 'mem_' || i, 'u' || i, 'u' || i, '', '', '{{}}', 0, 0 FROM n",
        10_000 + MANY - 1
    );
    connection.execute(&fill, []).unwrap();
    let steps = |name: &str, place: &dyn rusqlite::ToSql| {
        let statement = all().into_iter().find(|statement| statement.name == name).unwrap();
        let mut prepared = connection.prepare(&Dialect::Sqlite.text(statement.sql)).unwrap();
        let values: [&dyn rusqlite::ToSql; 3] =
            if name.contains("_by_") { [&"dir", &20, place] } else { [&"dir", place, &20] };
        let names: Vec<String> =
            prepared.query_map(values, |row| row.get(5)).unwrap().map(Result::unwrap).collect();
        (names, prepared.get_status(rusqlite::StatementStatus::VmStep))
    };
    for (by_number, following, last) in [
        ("directory_user.page_by_user_name", "directory_user.page_behind_user_name", "u11900"),
        ("directory_user.page_by_user_name_backwards", "directory_user.page_before_user_name", "u10099"),
    ] {
        let near = if last == "u11900" { "u10099" } else { "u11900" };
        let (names, far) = steps(following, &last);
        assert_eq!(names, steps(by_number, &1_901).0[..], "{following}");
        assert_eq!((names.len(), far), (20, steps(following, &near).1), "{following}");
        assert!(steps(by_number, &1_901).1 > far + 1_000, "the steps to a place are counted");
        assert_eq!(steps(by_number, &MANY).0, [""; 0], "behind the last is nobody");
    }
}

#[test]
fn every_statement_is_on_the_road_that_its_first_word_says() {
    for statement in all() {
        let first = statement.sql.split_whitespace().next().unwrap_or_default();
        match statement.road {
            Road::Read => assert_eq!(first, "SELECT", "`{}`", statement.name),
            Road::Change | Road::Note => {
                assert!(["INSERT", "UPDATE", "DELETE"].contains(&first), "`{}`", statement.name);
            }
        }
    }
}

/// Statements that touch what belongs to an organization without naming it, each with the reason why that is right.
const UNSCOPED: &[(&str, &str)] = &[
    ("audit.count_waiting", "the sequencer numbers what waits, of every organization"),
    ("audit.number", "by the sequencer, which has just read the row and its organization"),
    ("bearer.find", "a secret says whose it is; everything joined to it is of the token's organization"),
    ("checkup.above_brake", "`doctor` looks at the whole installation"),
    ("checkup.active_ended", "`doctor` looks at the whole installation"),
    ("checkup.alive", "`doctor` looks at the whole installation"),
    ("checkup.acting_agents", "`doctor` looks at the whole installation"),
    ("checkup.alive_seen", "`doctor` looks at the whole installation"),
    ("checkup.due", "`doctor` looks at the whole installation"),
    ("checkup.expiring_certificates", "`doctor` looks at the whole installation"),
    ("checkup.expiring", "`doctor` looks at the whole installation"),
    ("checkup.held", "`doctor` looks at the whole installation"),
    ("checkup.newest", "`doctor` looks at the whole installation"),
    ("checkup.unconfirmed_connections", "`doctor` looks at the whole installation"),
    ("checkup.unconfirmed_people", "`doctor` looks at the whole installation"),
    ("checkup.unread", "`doctor` looks at the whole installation"),
    ("checkup.metadata_unread", "`doctor` looks at the whole installation"),
    ("google.oldest_success", "a gauge of the whole installation"),
    ("saml_refresh.oldest_success", "a gauge of the whole installation"),
    ("checkup.unsequenced", "`doctor` looks at the whole installation"),
    ("checkup.unsigned", "`doctor` looks at the whole installation"),
    ("connection.find_by_domain", "who signs in has said no organization yet; the proven domain says it"),
    ("connection.find_by_id", "a sign-in URL carries nothing but the connection"),
    ("connection.find_link", "of one connection, found before"),
    ("connection.links_of", "of one membership, found before"),
    ("directory.organization_of", "asks whose a directory is"),
    ("hold.holds_end", "of one membership, found before"),
    ("hold.spared", "of one membership, found before"),
    ("mapping.of_groups", "of groups, found in their directory before"),
    ("directory_user.groups", "of one person, found in their directory before"),
    ("membership.lock", "as `membership.find_locked`"),
    ("directory_user.memberships", "of people found in their directory before"),
    ("directory_user.of_membership", "of one membership, found before"),
    ("domain.find_proven", "asks whose a proven domain is"),
    ("facts.directories", "of one membership, found before"),
    ("facts.grants", "of one membership, found before"),
    ("google.due", "the poller asks every directory"),
    ("google.forget", "the poller clears what no directory has any more"),
    ("leaver.to_rotate", "of one membership, found before"),
    ("mapping.affected_by_group", "of one group, found in its directory before"),
    ("mapping.is_any_group_mapped", "of groups above one group, found in its directory before"),
    (
        "membership.find_locked",
        "who has an id from its own organization; whoever got it from outside asks `membership.find` first",
    ),
    ("membership.has_come_in", "of one user: it asks for any organization"),
    ("membership.is_known_elsewhere", "of one user: it asks for any other organization"),
    ("membership.lives_elsewhere", "of one user: it asks for any other organization"),
    ("membership.newest_of_user", "of one user: it looks into every organization"),
    ("membership.organization_of", "asks whose a membership is"),
    ("outbox.count_waiting", "the sender delivers what waits, of every organization"),
    ("outbox.list_waiting", "the sender delivers what waits, of every organization"),
    ("outbox.mark_delivered", "by the sender, which has just read the row"),
    ("outbox.sweep", "a job drops what nobody takes, of every organization"),
    ("receipt.of_membership", "of one membership, found before"),
    ("subgroup.counts", "of one directory, found before"),
    ("subgroup.down", "of groups found in their directory before"),
    ("subgroup.memberships", "of groups found in their directory before"),
    ("subgroup.own_groups", "of one membership, found before"),
    ("subgroup.up", "of groups found in their directory before"),
    ("token.live_by_hash", "a secret says whose it is"),
    ("trace.find_old", "the job prunes every organization's"),
    ("trace.prune_by_age", "the job prunes every organization's"),
    ("saml.expiring_certificates", "a job tells the operator what runs out, wherever it is"),
    ("saml.expiring_keys", "a job tells the operator what runs out, wherever it is"),
    ("saml_refresh.due", "a job reads everybody's metadata again"),
    ("user.memberships_of", "of one user: it lists the organizations"),
];

/// The tables whose rows belong to an organization, as the migrations say.
fn owned_tables() -> Vec<String> {
    let (_database, connection) = sqlite();
    let mut statement = connection
        .prepare(
            "SELECT t.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c \
             WHERE t.schema = 'main' AND c.name = 'organization' ORDER BY t.name",
        )
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Invariant I8: what a caller has loaded in its organization is written there and nowhere else, whatever the id.
#[test]
fn every_statement_on_what_an_organization_owns_names_the_organization() {
    let owned = owned_tables();
    assert!(owned.len() > 15, "{owned:?} are too few to be all");
    let mut unscoped = BTreeMap::new();
    for statement in all() {
        let words: Vec<&str> =
            statement.sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let touches = words.windows(2).any(|pair| {
            ["FROM", "JOIN", "UPDATE", "INTO"].contains(&pair[0]) && owned.iter().any(|t| t == pair[1])
        });
        // Columns that are read or written do not narrow anything; an insert says whose the row is.
        let narrowing = match statement.sql.split_whitespace().next() {
            Some("INSERT") => statement.sql,
            _ => statement.sql.split_once(" WHERE ").map_or("", |(_, narrowing)| narrowing),
        };
        // What a directory said is read within that directory, whose token or organization was proven before.
        let within = statement.road != Road::Change && narrowing.contains("directory = $");
        if touches && !within && !narrowing.contains("organization") {
            unscoped.insert(statement.name, ());
        }
    }
    let unexpected: Vec<_> =
        unscoped.iter().filter(|(name, _)| !UNSCOPED.iter().any(|(listed, _)| listed == *name)).collect();
    assert!(unexpected.is_empty(), "these name no organization: {unexpected:#?}");
    for (listed, reason) in UNSCOPED {
        assert!(unscoped.contains_key(listed), "`{listed}` names one ({reason}): take it off the list");
    }
}

#[test]
fn every_index_serves_a_statement_on_sqlite() {
    let (_database, connection) = sqlite();
    let named = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
    let mut indexes = connection.prepare(named).unwrap();
    let indexes: Vec<String> = indexes.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let steps: Vec<String> = all().into_iter().flat_map(|statement| plan(&connection, statement)).collect();
    let unused: Vec<_> = indexes
        .iter()
        .filter(|name| !steps.iter().any(|step| step.split(' ').any(|word| word == name.as_str())))
        .collect();
    assert!(unused.is_empty(), "no statement looks into {unused:?}");
}
