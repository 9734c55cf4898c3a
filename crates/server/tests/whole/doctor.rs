//! `doctor` finds each fault that is planted, and nothing where there is none. Every code is planted, here or, where no
//! machine can be made to have the fault, as a measurement in the unit tests of `doctor`.

#[path = "../../src/doctor/code.rs"]
mod code;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use code::{Code, MEASURED};

use crate::harness::{Org, Server, command, provider};

/// A fault of an installation: its code, whether it is an error, and how it comes about.
struct Fault {
    code: Code,
    is_error: bool,
    plant: fn(&Path),
}

/// A fault of the configuration alone.
struct Misconfigured {
    code: Code,
    is_error: bool,
    words: &'static [&'static str],
}

fn sql(data: &Path, statement: &str) {
    let connection = Connection::open(data.join("portcullis.sqlite")).unwrap();
    let touched = connection.execute(statement, []).unwrap();
    assert!(touched > 0, "`{statement}` found nothing to spoil");
}

fn set_mode(file: PathBuf, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A certificate and a key need not fit to be looked at.
const TLS: [&str; 4] = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];

const MISCONFIGURED: &[Misconfigured] = &[
    Misconfigured { code: Code::Setting, is_error: false, words: &["--allow-private-networks"] },
    Misconfigured {
        code: Code::PublicUrlScheme,
        is_error: false,
        words: &["--public-url", "https://portcullis.acme.test"],
    },
    Misconfigured {
        code: Code::PublicUrlScheme,
        is_error: true,
        words: &[TLS[0], TLS[1], TLS[2], TLS[3], "--public-url", "http://127.0.0.1:8080"],
    },
];

/// Whoever left.
const LEAVER: &str = "(SELECT id FROM memberships WHERE ended_at IS NOT NULL)";

const FAULTS: &[Fault] = &[
    Fault {
        code: Code::DataFolderMissing,
        is_error: true,
        plant: |data| std::fs::remove_dir_all(data).unwrap(),
    },
    Fault { code: Code::DataFolderOpen, is_error: true, plant: |data| set_mode(data.to_owned(), 0o755) },
    Fault {
        code: Code::SealingKeyOpen,
        is_error: true,
        plant: |data| set_mode(data.join("sealing-key"), 0o644),
    },
    Fault {
        code: Code::SealingKey,
        is_error: true,
        plant: |data| std::fs::remove_file(data.join("sealing-key")).unwrap(),
    },
    Fault {
        code: Code::SealingKey,
        is_error: true,
        plant: |data| {
            let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
            std::fs::write(data.join("sealing-key"), other).unwrap();
        },
    },
    Fault {
        code: Code::DatabaseMissing,
        is_error: true,
        plant: |data| std::fs::remove_file(data.join("portcullis.sqlite")).unwrap(),
    },
    Fault {
        code: Code::DatabaseUnreachable,
        is_error: true,
        plant: |data| std::fs::write(data.join("portcullis.sqlite"), "no database ".repeat(1000)).unwrap(),
    },
    Fault {
        code: Code::DatabaseUnreadable,
        is_error: true,
        plant: |data| {
            let connection = Connection::open(data.join("portcullis.sqlite")).unwrap();
            connection.execute_batch("DROP TABLE outbox").unwrap();
        },
    },
    Fault {
        code: Code::OutboxBacklog,
        is_error: false,
        plant: |data| {
            sql(
                data,
                "INSERT INTO outbox (id, organization, kind, body, created_at) \
                 VALUES ('out_old', 'org_x', 'member.deprovisioned', '{}', 1)",
            );
        },
    },
    Fault {
        code: Code::AuditNotVerified,
        is_error: false,
        plant: |data| sql(data, "UPDATE audit_heads SET number = 50001"),
    },
    Fault {
        code: Code::SchemaNewer,
        is_error: true,
        plant: |data| {
            sql(data, "INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'x', 1)")
        },
    },
    Fault {
        code: Code::SchemaPending,
        is_error: false,
        plant: |data| {
            sql(
                data,
                "DELETE FROM schema_migrations WHERE number = (SELECT MAX(number) FROM schema_migrations)",
            )
        },
    },
    Fault {
        code: Code::DatabaseOlder,
        is_error: true,
        plant: |data| sql(data, "UPDATE revision SET number = number - 1"),
    },
    Fault {
        code: Code::DatabaseOlder,
        is_error: true,
        plant: |data| sql(data, "UPDATE instance SET value = 'another' WHERE name = 'timeline'"),
    },
    Fault {
        code: Code::MarkUnreadable,
        is_error: true,
        plant: |data| std::fs::write(data.join("revision-mark"), "x").unwrap(),
    },
    Fault {
        code: Code::RestoreUnfinished,
        is_error: true,
        plant: |data| sql(data, "UPDATE instance SET value = 'unfinished' WHERE name = 'timeline'"),
    },
    Fault {
        code: Code::TokenSurvived,
        is_error: true,
        plant: |data| {
            let spoil = format!("UPDATE tokens SET ended_at = NULL WHERE membership IN {LEAVER}");
            sql(data, &spoil);
        },
    },
    Fault {
        code: Code::TokenSurvived,
        is_error: true,
        plant: |data| {
            // An administrator who left saw a key of somebody who is still there.
            let spoil = format!(
                "UPDATE tokens SET ended_at = NULL, shown_to = {LEAVER} WHERE membership IN \
                 (SELECT id FROM memberships WHERE ended_at IS NULL)"
            );
            sql(data, &spoil);
        },
    },
    Fault {
        code: Code::AgentSurvived,
        is_error: true,
        plant: |data| {
            let columns = "id, organization, name, owner, on_owner_loss, environment, state, created_at";
            let spoil = format!(
                "INSERT INTO agents ({columns}) SELECT 'agt_planted', organization, 'bot', id, 'pause', 'production', \
                 'active', 1 FROM memberships WHERE ended_at IS NOT NULL"
            );
            sql(data, &spoil);
        },
    },
    Fault {
        code: Code::MembershipContradiction,
        is_error: true,
        plant: |data| sql(data, "UPDATE memberships SET state = 'active' WHERE ended_at IS NOT NULL"),
    },
    Fault {
        code: Code::ClockBehind,
        is_error: true,
        plant: |data| sql(data, "UPDATE audit_events SET created_at = 4102444800000000"),
    },
    Fault {
        code: Code::AuditUnsequenced,
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
        code: Code::ReceiptUnsigned,
        is_error: false,
        plant: |data| sql(data, "UPDATE receipts SET jws = NULL, created_at = 1"),
    },
    Fault {
        code: Code::SettleOverdue,
        is_error: false,
        plant: |data| sql(data, "UPDATE memberships SET until = 1 WHERE ended_at IS NULL"),
    },
    Fault {
        code: Code::ScimTokenExpiring,
        is_error: false,
        plant: |data| sql(data, "UPDATE tokens SET expires_at = 1 WHERE kind = 'scim_token'"),
    },
    Fault {
        code: Code::ScimTokenOutgrown,
        is_error: false,
        plant: |data| {
            sql(data, &format!("UPDATE tokens SET shown_to = {LEAVER} WHERE kind = 'scim_token'"));
        },
    },
    Fault {
        code: Code::ScimTokenOutgrown,
        is_error: false,
        plant: |data| {
            // Somebody without any role is there and saw it, and the directory gives one.
            let viewer = "(SELECT id FROM memberships WHERE ended_at IS NULL)";
            sql(data, &format!("UPDATE tokens SET shown_to = {viewer} WHERE kind = 'scim_token'"));
            sql(data, "UPDATE directories SET default_role = 'viewer'");
            sql(data, "UPDATE memberships SET role = NULL WHERE ended_at IS NULL");
        },
    },
    Fault {
        code: Code::SamlCertificateExpiring,
        is_error: false,
        plant: |data| {
            let columns = "connection, fingerprint, organization, der, state, not_before, not_after, seen_at, decided_at";
            sql(
                data,
                &format!(
                    "INSERT INTO saml_certificates ({columns}) SELECT id, 'f', organization, '', 'trusted', 1, 1, 1, 1 FROM connections LIMIT 1"
                ),
            );
        },
    },
    Fault {
        code: Code::ConnectionUnconfirmed,
        is_error: false,
        plant: |data| {
            sql(data, "UPDATE connections SET unconfirmed_at = 1, chosen_from = 700, chosen_at = 1")
        },
    },
    Fault {
        code: Code::DirectoryUnconfirmed,
        is_error: false,
        plant: |data| sql(data, "UPDATE directory_users SET unconfirmed_at = 1"),
    },
    Fault {
        code: Code::LastOwnerLeft,
        is_error: false,
        plant: |data| {
            sql(data, "UPDATE memberships SET bare_owner_at = 1, state = 'suspended' WHERE role = 'owner'");
        },
    },
    Fault {
        code: Code::LastOwnerLeft,
        is_error: false,
        plant: |data| {
            // Another owner is active, and has nothing by which to sign in.
            sql(data, "UPDATE memberships SET bare_owner_at = 1 WHERE ended_at IS NOT NULL");
        },
    },
    Fault {
        code: Code::HoldOpen,
        is_error: false,
        plant: |data| {
            sql(
                data,
                "INSERT INTO held_people (hold, membership, organization, kind, held_at) \
                 SELECT 'hold_planted', id, organization, 'missing', 1 FROM memberships LIMIT 1",
            );
        },
    },
    Fault {
        code: Code::CallsRefused,
        is_error: false,
        plant: |data| {
            let columns = "directory, refused_at, code, subject, request_id";
            sql(
                data,
                &format!(
                    "INSERT INTO directory_refusals ({columns}) SELECT id, 4102444800000000, 'invalidValue', 'dg', 'req' FROM directories LIMIT 1"
                ),
            );
        },
    },
    Fault {
        code: Code::DirectoryUnread,
        is_error: false,
        plant: |data| {
            // Consent that was withdrawn: no poll is due, so none fails.
            let columns = "directory, organization, customer, asked_by, updated_at";
            sql(
                data,
                &format!(
                    "INSERT INTO google_sources ({columns}) SELECT id, organization, 'my_customer', 'consent', 1 FROM directories LIMIT 1"
                ),
            );
            sql(data, "UPDATE directories SET created_at = 1");
        },
    },
    Fault {
        code: Code::MetadataUnread,
        is_error: false,
        plant: |data| {
            sql(
                data,
                "INSERT INTO saml_sources (connection, organization, metadata_url, provider, settings, updated_at) \
                 SELECT id, organization, 'https://idp.test/metadata', '{}', '{}', 1 FROM connections LIMIT 1",
            );
            sql(
                data,
                "INSERT INTO saml_refreshes (connection, due_at, succeeded_at, failures) SELECT id, 1, 1, 9 FROM connections LIMIT 1",
            );
        },
    },
    Fault {
        code: Code::AboveBrake,
        is_error: false,
        plant: |data| {
            sql(data, "UPDATE traces SET outcome = 'above_brake' WHERE id IN (SELECT MAX(id) FROM traces)");
        },
    },
    Fault {
        code: Code::RootTokenFile,
        is_error: false,
        plant: |data| std::fs::write(data.join("root-token"), "pc_root_x\n").unwrap(),
    },
    Fault {
        code: Code::AuditChain,
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
fn examine(data: &Path, database: Option<&str>, words: &[&str]) -> (bool, Vec<String>) {
    let (good, said) = command(data, database, &[&["doctor", "--json"], words].concat());
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

fn must_find(code: Code, is_error: bool, (good, codes): (bool, Vec<String>)) {
    let code = code.as_str();
    assert!(codes.iter().any(|found| found == code), "`{code}` was not found: {codes:?}");
    assert_eq!(good, !is_error, "exit status of `{code}`: {codes:?}");
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
        let (_, codes) = examine(&server.data, None, &[]);
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
    let (good, none) = examine(&server.data, None, &[]);
    assert_eq!((good, none), (true, vec![]), "a sound installation");
    let (good, said) = command(&server.data, None, &["doctor"]);
    let looked_at = format!("data folder {}, database ", server.data.display());
    let looked_for = format!("0 errors, 0 warnings; {} kinds of fault were looked for", Code::ALL.len());
    assert!(good && said.contains(&looked_at) && said.contains(&looked_for), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let (good, said) = command(folder.path(), None, &["doctor"]);
    assert!(!good && said.contains("not all looked at") && !said.contains("kinds of fault"), "{said}");
    for (number, fault) in FAULTS.iter().enumerate() {
        let data = folder.path().join(number.to_string());
        copy(&server.data, &data);
        (fault.plant)(&data);
        must_find(fault.code, fault.is_error, examine(&data, None, &[]));
    }
    for fault in MISCONFIGURED {
        must_find(fault.code, fault.is_error, examine(&server.data, None, fault.words));
    }
}

#[tokio::test]
async fn doctor_finds_a_postgresql_that_may_lose_what_it_confirmed() {
    let mut server = Server::postgres().await;
    server.terminate();
    let url = server.database().unwrap().to_owned();
    let durability = Code::PostgresDurability.as_str();
    // The cluster of a test run may have been made without fsync; only what is planted here is looked for.
    let count = |(good, codes): (bool, Vec<String>)| {
        assert!(good, "a warning is no error: {codes:?}");
        codes.iter().filter(|code| *code == durability).count()
    };
    let before = count(examine(&server.data, Some(&url), &[]));
    let (admin, name) = (url.clone(), url.rsplit_once('/').unwrap().1.to_owned());
    // The synchronous client must not live on a thread of the runtime.
    std::thread::spawn(move || {
        let mut client = postgres::Client::connect(&admin, postgres::NoTls).unwrap();
        client.batch_execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).unwrap();
    })
    .join()
    .unwrap();
    assert_eq!(count(examine(&server.data, Some(&url), &[])), before + 1);
}

#[tokio::test]
async fn doctor_finds_a_database_elsewhere_that_is_spoken_to_in_the_clear() {
    let mut server = Server::postgres().await;
    server.terminate();
    let here = server.database().unwrap().to_owned();
    // It leads here, and is no loopback address.
    let elsewhere = format!("{}?sslmode=disable", here.replace("127.0.0.1", "0.0.0.0"));
    must_find(Code::DatabaseInTheClear, false, examine(&server.data, Some(&elsewhere), &[]));
    let (_, codes) = examine(&server.data, Some(&here), &[]);
    assert!(!codes.contains(&Code::DatabaseInTheClear.as_str().to_owned()), "{codes:?}");
}

#[test]
fn every_code_has_a_fault_that_a_test_plants() {
    let planted = FAULTS.iter().map(|fault| fault.code);
    let misconfigured = MISCONFIGURED.iter().map(|fault| fault.code);
    let elsewhere =
        [Code::PostgresDurability, Code::DatabaseInTheClear].into_iter().chain(MEASURED.iter().copied());
    let all: BTreeSet<Code> = planted.chain(misconfigured).chain(elsewhere).collect();
    for code in Code::ALL {
        assert!(all.contains(code), "`{}` is planted by no test", code.as_str());
    }
}
