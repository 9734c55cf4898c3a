//! SQL, migrations, transactions; SQLite and PostgreSQL.
