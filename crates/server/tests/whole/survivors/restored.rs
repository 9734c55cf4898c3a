//! The last way: a backup from before somebody left is restored, and revives nobody of the whole run.

use std::sync::Arc;

use super::askers::codes;
use super::ways::Way;
use super::{Had, World};
use crate::harness::{Server, in_cluster, text};

/// Somebody leaves after a backup, the backup is restored, and every token that anybody ever had in the run is tried, in the
/// other organization too: no token of a backup may act.
pub async fn nobody_is_revived(mut server: Server, world: &World, mut everybody: Vec<Had>) {
    let (last, had) = world.arrive(&server, &world.company, Way::Restored, "last").await;
    for (one, of) in had.all(&world.company, &world.other) {
        let answer = one.answer(&server, &of.org).await;
        assert!(answer.is_good, "{} of {} is good before: {answer:?}", one.what, of.org.slug);
    }
    everybody.push(had);
    let backup = Backup::of(&mut server).await;
    let path = world.company.at(&format!("/members/{}/offboard", last.member));
    server.root("POST", &path, serde_json::json!({ "reason": "left after the backup" })).await;
    let (state, told) = backup.restore(&mut server).await;
    let shown = world.company.shown(&server, &last.member).await;
    assert_eq!(text(&shown, "state"), state, "{shown}");
    let receipts = server.all(&world.company.at("/receipts")).await;
    let theirs = receipts.iter().filter(|receipt| receipt["member"] == *last.member);
    let causes: Vec<_> =
        theirs.map(|receipt| ["because", "kind"].map(|key| text(&receipt["cause"], key))).collect();
    let (because, door) = Way::Restored.told().unwrap();
    let must = if told { vec![[because.as_str().to_owned(), door.as_str().to_owned()]] } else { vec![] };
    assert_eq!(causes, must);
    let server = Arc::new(server);
    let all = everybody.iter().flat_map(|had| had.ended().chain(had.elsewhere()));
    for (what, code) in codes(&server, all).await {
        assert_eq!(code, "token_ended", "{what} came back");
    }
}

/// A copy of the database, as the guide has it made.
enum Backup {
    Sqlite(tempfile::TempDir),
    Postgres { name: String },
}

impl Backup {
    async fn of(server: &mut Server) -> Self {
        let Some(url) = server.database().map(str::to_owned) else {
            let folder = tempfile::tempdir().unwrap();
            let (done, said) = server.command(&["backup", folder.path().join("backup").to_str().unwrap()]);
            assert!(done, "{said}");
            return Self::Sqlite(folder);
        };
        // As `pg_dump` would make it, which needs nobody to be away.
        let name = url.rsplit_once('/').unwrap().1.to_owned();
        server.terminate();
        in_cluster(&[format!("CREATE DATABASE {name}_monday TEMPLATE {name}")]);
        server.restart().await;
        Self::Postgres { name }
    }

    /// Restores it: the state of whoever an administrator sent away since, and whether they have a receipt. On SQLite the
    /// database that is replaced says who left; where nobody says so, whoever has a directory waits for it.
    async fn restore(self, server: &mut Server) -> (&'static str, bool) {
        server.terminate();
        match self {
            Self::Sqlite(folder) => {
                let file = folder.path().join("backup");
                let (done, said) = server.command(&["restore", file.to_str().unwrap(), "--replace"]);
                assert!(done, "{said}");
                server.restart().await;
                ("deprovisioned", true)
            }
            Self::Postgres { name } => {
                let rename = format!("ALTER DATABASE {name}_monday RENAME TO {name}");
                in_cluster(&[format!("DROP DATABASE {name}"), rename]);
                let (done, said) = server.command(&["restore", "--in-place"]);
                assert!(done, "{said}");
                server.restart().await;
                server.renew_root_token();
                ("suspended", false)
            }
        }
    }
}
