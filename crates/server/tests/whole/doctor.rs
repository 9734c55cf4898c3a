//! `doctor` finds each fault that is planted, and nothing where there is none.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Org, Server, command, provider};

/// A fault: its code, whether it is an error, and how it comes about.
struct Fault {
    code: &'static str,
    is_error: bool,
    plant: fn(&Path),
}

fn sql(data: &Path, statement: &str) {
    let connection = Connection::open(data.join("portcullis.sqlite")).unwrap();
    let touched = connection.execute(statement, []).unwrap();
    assert!(touched > 0, "`{statement}` found nothing to spoil");
}

fn set_mode(file: PathBuf, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

const FAULTS: &[Fault] = &[
    Fault { code: "data_folder_open", is_error: true, plant: |data| set_mode(data.to_owned(), 0o755) },
    Fault {
        code: "sealing_key_open",
        is_error: true,
        plant: |data| set_mode(data.join("sealing-key"), 0o644),
    },
    Fault {
        code: "sealing_key",
        is_error: true,
        plant: |data| std::fs::remove_file(data.join("sealing-key")).unwrap(),
    },
    Fault {
        code: "sealing_key",
        is_error: true,
        plant: |data| {
            let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
            std::fs::write(data.join("sealing-key"), other).unwrap();
        },
    },
    Fault {
        code: "database_missing",
        is_error: false,
        plant: |data| std::fs::remove_file(data.join("portcullis.sqlite")).unwrap(),
    },
    Fault {
        code: "database_unreachable",
        is_error: true,
        plant: |data| std::fs::write(data.join("portcullis.sqlite"), "no database ".repeat(1000)).unwrap(),
    },
    Fault {
        code: "schema_newer",
        is_error: true,
        plant: |data| {
            sql(data, "INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'x', 1)")
        },
    },
    Fault {
        code: "schema_pending",
        is_error: false,
        plant: |data| {
            sql(
                data,
                "DELETE FROM schema_migrations WHERE number = (SELECT MAX(number) FROM schema_migrations)",
            )
        },
    },
    Fault {
        code: "database_older",
        is_error: true,
        plant: |data| sql(data, "UPDATE revision SET number = number - 1"),
    },
    Fault {
        code: "database_older",
        is_error: true,
        plant: |data| sql(data, "UPDATE instance SET value = 'another' WHERE name = 'timeline'"),
    },
    Fault {
        code: "mark_unreadable",
        is_error: true,
        plant: |data| std::fs::write(data.join("revision-mark"), "x").unwrap(),
    },
    Fault {
        code: "restore_unfinished",
        is_error: true,
        plant: |data| sql(data, "UPDATE instance SET value = 'unfinished' WHERE name = 'timeline'"),
    },
    Fault {
        code: "token_survived",
        is_error: true,
        plant: |data| {
            let leaver = "(SELECT id FROM memberships WHERE ended_at IS NOT NULL)";
            let spoil = format!("UPDATE tokens SET ended_at = NULL WHERE membership IN {leaver}");
            sql(data, &spoil);
        },
    },
    Fault {
        code: "membership_contradiction",
        is_error: true,
        plant: |data| sql(data, "UPDATE memberships SET state = 'active' WHERE ended_at IS NOT NULL"),
    },
    Fault {
        code: "clock_behind",
        is_error: true,
        plant: |data| sql(data, "UPDATE audit_events SET created_at = 4102444800000000"),
    },
    Fault {
        code: "audit_unsequenced",
        is_error: false,
        plant: |data| {
            sql(
                data,
                "INSERT INTO audit_events SELECT 'evt_forgotten', organization, action, actor, target, second_target, \
                 content, salt, 1, NULL, NULL, NULL FROM audit_events LIMIT 1",
            );
        },
    },
    Fault {
        code: "receipt_unsigned",
        is_error: false,
        plant: |data| sql(data, "UPDATE receipts SET jws = NULL, created_at = 1"),
    },
    Fault {
        code: "settle_overdue",
        is_error: false,
        plant: |data| sql(data, "UPDATE memberships SET until = 1 WHERE ended_at IS NULL"),
    },
    Fault {
        code: "scim_token_expiring",
        is_error: false,
        plant: |data| sql(data, "UPDATE tokens SET expires_at = 1 WHERE kind = 'scim_token'"),
    },
    Fault {
        code: "connection_unconfirmed",
        is_error: false,
        plant: |data| sql(data, "UPDATE connections SET unconfirmed_at = 1"),
    },
    Fault {
        code: "directory_unconfirmed",
        is_error: false,
        plant: |data| sql(data, "UPDATE directory_users SET unconfirmed_at = 1"),
    },
    Fault {
        code: "root_token_file",
        is_error: false,
        plant: |data| std::fs::write(data.join("root-token"), "pc_root_x\n").unwrap(),
    },
    Fault {
        code: "audit_chain",
        is_error: true,
        plant: |data| {
            sql(
                data,
                "UPDATE audit_events SET content = replace(content, 'member.', 'nobody.') WHERE action LIKE 'member.%'",
            );
        },
    },
];

/// The codes of what it finds, and whether it ends well.
fn examine(data: &Path) -> (bool, Vec<String>) {
    let (good, said) = command(data, None, &["doctor", "--json"]);
    let codes = said
        .lines()
        .map(|line| {
            let finding: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}"));
            assert!(
                finding["what"].as_str().unwrap().len() > 10
                    && finding["remedy"].as_str().unwrap().len() > 10
            );
            finding["code"].as_str().unwrap().to_owned()
        })
        .collect();
    (good, codes)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    set_mode(to.to_owned(), 0o700);
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// An installation with an owner, a directory, a connection, a member and a leaver, stopped.
async fn installation() -> Server {
    let mut server = Server::sqlite().await;
    let idp = provider().await;
    let org = Org::new(&server, "acme", &idp).await;
    let everyone = org.group(&server, "everyone").await;
    for name in ["ada", "bob"] {
        let user = org.person(&server, name).await;
        org.add_member(&server, &everyone, &user).await;
        let member = org.member(&server, name).await["id"].as_str().unwrap().to_owned();
        let path = format!("/organizations/acme/members/{member}/keys");
        server.root("POST", &path, json!({ "name": "laptop" })).await;
        if name == "bob" {
            assert_eq!(org.scim(&server, "DELETE", &format!("/Users/{user}"), Value::Null).await.0, 204);
        } else {
            let grant = json!({ "member": member, "role": "owner", "reason": "first" });
            server.root("POST", "/organizations/acme/grants", grant).await;
        }
    }
    // The sequencer has done its part when nothing waits.
    for _ in 0..100 {
        let (_, codes) = examine(&server.data);
        if codes.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    server.terminate();
    server
}

#[tokio::test]
async fn doctor_finds_every_planted_fault_and_nothing_where_there_is_none() {
    let server = installation().await;
    let (good, none) = examine(&server.data);
    assert_eq!((good, none), (true, vec![]), "a sound installation");
    let folder = tempfile::tempdir().unwrap();
    for (number, fault) in FAULTS.iter().enumerate() {
        let data = folder.path().join(number.to_string());
        copy(&server.data, &data);
        (fault.plant)(&data);
        let (good, codes) = examine(&data);
        assert!(codes.iter().any(|code| code == fault.code), "`{}` was not found: {codes:?}", fault.code);
        assert_eq!(good, !fault.is_error, "exit status of `{}`: {codes:?}", fault.code);
    }
}
