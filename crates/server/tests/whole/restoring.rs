//! Backups and restores: nobody who lost access comes back by one.

use std::os::unix::fs::PermissionsExt as _;

use portcullis_domain::connection::ConnectionKind;
use portcullis_domain::token::TokenKind;
use portcullis_emulator::{OidcProvider, Person, PersonState};
use serde_json::{Value, json};

use crate::harness::{Org, ROOT, Server, accept, command, in_cluster, provider, refused_start, text};
use crate::survivors::{Fate, Issued, OpenSession, every_kind, secret_of};

/// Another service key to ask by, and another token of the directory.
async fn renew(server: &Server, org: &mut Org) {
    let key = json!({ "name": "gateway", "scopes": ["evaluate"] });
    org.asker = text(&server.root("POST", "/organizations/acme/service-keys", key).await, "token");
    let tokens = format!("/organizations/acme/directories/{}/tokens", org.directory);
    org.scim_token = text(&server.root("POST", &tokens, json!({})).await, "token");
}

async fn state(server: &Server, org: &Org, name: &str) -> String {
    text(&org.member(server, name).await, "state")
}

/// Somebody with a password, whom no directory knows: their session.
async fn joined(server: &Server, org: &Org, name: &str) -> Issued {
    let invitation = json!({ "email": format!("{name}@{}", org.domain), "role": "member" });
    let made = server.root("POST", "/organizations/acme/invitations", invitation).await;
    let secret = accept(server, &text(&made, "link")).await;
    Issued::new(TokenKind::Session, &format!("{name}'s session"), secret, Fate::Ends)
}

async fn off_board(server: &Server, org: &Org, name: &str) {
    let member = text(&org.member(server, name).await, "id");
    let path = format!("/organizations/acme/members/{member}/offboard");
    server.root("POST", &path, json!({ "reason": "left" })).await;
}

async fn set_state(server: &Server, org: &Org, name: &str, state: &str) {
    let member = text(&org.member(server, name).await, "id");
    let path = format!("/organizations/acme/members/{member}");
    server.root("PATCH", &path, json!({ "state": state })).await;
}

/// Every kind of token that there is, for ada and for whoever is to be the first owner of a new organization; each has been
/// seen to be good. Bob takes her agents over.
async fn tokens_of_every_kind(server: &Server, org: &Org, idp: &OidcProvider, slug: &str) -> Vec<Issued> {
    let address = format!("ada@{}", org.domain);
    idp.change_company(|company| {
        company.people.retain(|person| person.id != "ada");
        company.people.push(Person {
            id: "ada".into(),
            user_name: address.clone(),
            email: address.clone(),
            given_name: "Ada".into(),
            family_name: "Test".into(),
            state: PersonState::Active,
        });
    });
    let ada = text(&org.member(server, "ada").await, "id");
    let heir = text(&org.member(server, "dora").await, "id");
    let secret = org.sign_in(server, idp, &address).await;
    let session = OpenSession { secret, by: Some(ConnectionKind::Oidc) };
    let mut issued = every_kind(server, org, (&ada, &[session]), &heir).await;
    let wish = json!({ "slug": slug, "name": slug, "owner_email": format!("boss@{slug}.test") });
    let link = text(&server.root("POST", "/organizations", wish).await, "owner_link");
    issued.push(Issued::new(TokenKind::OwnerLink, "owner link", secret_of(&link), Fate::Ends));
    for (kind, what, secret) in [
        (TokenKind::ServiceKey, "asker", &org.asker),
        (TokenKind::ScimToken, "token of the directory", &org.scim_token),
    ] {
        issued.push(Issued::new(kind, what, secret.clone(), Fate::Ends));
    }
    must_all_be_good(server, org, &issued).await;
    issued
}

/// Each is accepted where tokens of its kind are presented.
async fn must_all_be_good(server: &Server, org: &Org, issued: &[Issued]) {
    for kind in TokenKind::ALL {
        assert!(issued.iter().any(|one| one.kind == kind), "there is no {}", kind.as_str());
    }
    for one in issued {
        let answer = one.answer(server, org).await;
        assert!(answer.is_good, "{} is good at its time: {answer:?}", one.what);
    }
}

/// The tokens of both organizations that have not ended, by kind.
async fn living_kinds(server: &Server) -> Vec<String> {
    let mut kinds = Vec::new();
    for slug in ["acme", "beta"] {
        let tokens = server.all(&format!("/organizations/{slug}/tokens")).await;
        kinds.extend(tokens.iter().filter(|t| t["ended_at"].is_null()).map(|t| text(t, "kind")));
    }
    kinds
}

/// Each is refused where it was accepted, for what became of it and for nothing else: the code says so of whatever lets
/// somebody act; that the others' organization, directory and page are there is for [`must_all_be_good`] of new ones.
async fn must_all_be_refused(server: &Server, org: &Org, code: &str, issued: &[Issued]) {
    for one in issued {
        let must = match one.kind {
            TokenKind::Session | TokenKind::MemberKey | TokenKind::AgentKey => code,
            TokenKind::ServiceKey | TokenKind::ScimToken => "401",
            TokenKind::Invitation | TokenKind::OwnerLink => "link_invalid",
        };
        assert_eq!(one.answer(server, org).await.said, must, "{} came back", one.what);
    }
}

#[tokio::test]
async fn a_restored_backup_revives_nobody() {
    let mut server = Server::sqlite().await;
    let idp = provider().await;
    let mut org = Org::new(&server, "acme", &idp).await;
    let ada = org.person_in(&server, &org.admins, "ada").await;
    let bob = org.person_in(&server, &org.admins, "bob").await;
    // Nobody's directory speaks of these: they have passwords.
    let mut before = Vec::new();
    for name in ["dora", "eve", "mallory"] {
        before.push(joined(&server, &org, name).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("monday.backup");
    let path = file.to_str().unwrap().to_owned();
    before.extend(tokens_of_every_kind(&server, &org, &idp, "beta").await);
    must_all_be_good(&server, &org, &before).await;
    let living = living_kinds(&server).await;
    for kind in TokenKind::ALL {
        assert!(living.iter().any(|one| one == kind.as_str()), "no {} in the backup", kind.as_str());
    }

    // While the server runs; never over a file.
    let (done, said) = server.command(&["backup", &path]);
    assert!(done, "{said}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (done, said) = server.command(&["backup", &path]);
    assert!(!done && said.contains("never overwrites"), "{said}");

    // Bob and eve leave after the backup, mallory is suspended; frank, whom no backup knows, came and left. What is issued
    // now is in no backup.
    let left = org.scim(&server, "DELETE", &format!("/Users/{bob}"), Value::Null).await;
    assert_eq!(left.0, 204);
    off_board(&server, &org, "eve").await;
    set_state(&server, &org, "mallory", "suspended").await;
    joined(&server, &org, "frank").await;
    off_board(&server, &org, "frank").await;
    let (asked_by, spoken_by) = (org.asker.clone(), org.scim_token.clone());
    renew(&server, &mut org).await;
    let since = tokens_of_every_kind(&server, &org, &idp, "gamma").await;
    (org.asker, org.scim_token) = (asked_by, spoken_by);

    let (done, said) = server.command(&["restore", &path, "--replace"]);
    assert!(!done && said.contains("serves from it"), "{said}");
    server.terminate();
    let (done, said) = server.command(&["restore", &path]);
    assert!(!done && said.contains("--replace"), "{said}");
    let database = server.data.join("portcullis.sqlite");
    let older = std::fs::read(&database).unwrap();
    let (done, said) = server.command(&["restore", &path, "--replace"]);
    assert!(
        done && said.contains("off-boarded, because they had left since the backup: 1; suspended: 1"),
        "{said}"
    );
    // Ada and bob.
    assert!(said.contains("until it speaks of them again: 2 people"), "{said}");
    let kept = said.lines().find_map(|line| line.strip_prefix("the database that is replaced is kept in "));
    let kept = kept.unwrap().strip_suffix(" (0600)").unwrap();
    assert_eq!(std::fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
    let url = format!("sqlite:{kept}");
    let (done, log) = command(&server.data, Some(&url), &["audit", "export", "acme"]);
    assert!(done && log.contains("member.deprovisioned"), "what came after the backup: {log}");
    server.restart().await;

    assert_eq!(living_kinds(&server).await, Vec::<String>::new(), "tokens of the backup");
    let (status, _) = org.scim(&server, "GET", "/Users", Value::Null).await;
    assert_eq!(status, 401, "the SCIM token of the backup");
    renew(&server, &mut org).await;
    must_all_be_refused(&server, &org, "token_ended", &before).await;
    must_all_be_refused(&server, &org, "token_unknown", &since).await;
    let states = [
        ("ada", "suspended"),
        ("bob", "suspended"),
        ("dora", "active"),
        ("eve", "deprovisioned"),
        ("mallory", "suspended"),
    ];
    for (name, wanted) in states {
        assert_eq!(state(&server, &org, name).await, wanted, "{name}");
    }
    for (action, count) in [("backup.restored", 1), ("tombstone.laid", 1), ("member.suspended", 1)] {
        let events = server.all(&format!("/organizations/acme/audit-events?action={action}")).await;
        assert_eq!(events.len(), count, "{events:?}");
    }
    let laid = rusqlite::Connection::open(&database).unwrap();
    let frank: i64 = laid
        .query_row(
            "SELECT COUNT(*) FROM tombstones WHERE value = $1",
            [format!("frank@{}", org.domain)],
            |row| row.get(0),
        )
        .unwrap();
    assert!(frank > 0, "what lay on frank's address");
    drop(laid);

    // The directory speaks of ada, with the same words as before.
    let shown = org.say(&server, "GET", &format!("/Users/{ada}"), Value::Null).await;
    assert_eq!(shown["active"], false, "whoever compares must say it again");
    org.say(&server, "PUT", &format!("/Users/{ada}"), org.user("ada")).await;
    assert_eq!(state(&server, &org, "ada").await, "active");
    assert_eq!(state(&server, &org, "bob").await, "suspended");
    // What is issued now is accepted at each of the places where all of that was refused.
    let fresh = tokens_of_every_kind(&server, &org, &idp, "delta").await;
    must_all_be_good(&server, &org, &fresh).await;

    // Somebody copies the old file back by hand. Nothing says then who left.
    server.terminate();
    for beside in ["portcullis.sqlite-wal", "portcullis.sqlite-shm"] {
        let _ = std::fs::remove_file(server.data.join(beside));
    }
    std::fs::write(&database, &older).unwrap();
    let said = refused_start(&server.data, None);
    assert!(said.contains("portcullis restore"), "{said}");
    // Not even a restore of the backup asks an older file.
    let (done, said) = server.command(&["restore", &path, "--replace"]);
    assert!(done && said.contains("older than") && said.contains("the root token is off"), "{said}");
    server.restart().await;
    assert!(!server.is_root(ROOT).await, "nothing says whether it was good");
    server.renew_root_token();
    for name in ["dora", "eve", "mallory"] {
        assert_eq!(state(&server, &org, name).await, "suspended", "{name}");
    }
    server.terminate();
    for beside in ["portcullis.sqlite-wal", "portcullis.sqlite-shm"] {
        let _ = std::fs::remove_file(server.data.join(beside));
    }
    std::fs::write(&database, older).unwrap();
    let (done, said) = server.command(&["restore", "--in-place"]);
    assert!(done && said.contains("the root token is off"), "{said}");
    server.restart().await;
    assert!(!server.is_root(ROOT).await && !server.is_root(&server.root_token).await);
    server.renew_root_token();
    renew(&server, &mut org).await;
    must_all_be_refused(&server, &org, "token_ended", &before).await;
    must_all_be_refused(&server, &org, "token_ended", &since).await;
    must_all_be_refused(&server, &org, "token_unknown", &fresh).await;
    assert_eq!(state(&server, &org, "dora").await, "suspended", "nothing says that dora did not leave");
    set_state(&server, &org, "dora", "active").await;
    assert_eq!(state(&server, &org, "dora").await, "active");
}

#[tokio::test]
async fn a_database_that_postgresql_restored_revives_nobody_after_restore_in_place() {
    let mut server = Server::postgres().await;
    let url = server.database().unwrap().to_owned();
    let (_, name) = url.rsplit_once('/').unwrap();
    let idp = provider().await;
    let mut org = Org::new(&server, "acme", &idp).await;
    let ada = org.person_in(&server, &org.admins, "ada").await;
    let bob = org.person_in(&server, &org.admins, "bob").await;
    let mut before = vec![joined(&server, &org, "dora").await, joined(&server, &org, "eve").await];
    before.extend(tokens_of_every_kind(&server, &org, &idp, "beta").await);
    must_all_be_good(&server, &org, &before).await;
    let (done, said) = server.command(&["backup", "/nowhere"]);
    assert!(!done && said.contains("pg_dump"), "{said}");

    // A copy, as `pg_dump` would make it.
    server.terminate();
    in_cluster(&[format!("CREATE DATABASE {name}_monday TEMPLATE {name}")]);
    server.restart().await;
    let left = org.scim(&server, "DELETE", &format!("/Users/{bob}"), Value::Null).await;
    assert_eq!(left.0, 204);
    off_board(&server, &org, "eve").await;
    server.renew_root_token();
    let replaced = server.root_token.clone();
    renew(&server, &mut org).await;
    let since = tokens_of_every_kind(&server, &org, &idp, "gamma").await;
    let (done, said) = server.command(&["restore", "--in-place"]);
    assert!(!done && said.contains("serves from it"), "{said}");

    server.terminate();
    in_cluster(&[format!("DROP DATABASE {name}"), format!("ALTER DATABASE {name}_monday RENAME TO {name}")]);
    let said = refused_start(&server.data, Some(&url));
    assert!(said.contains("portcullis restore"), "{said}");
    let (done, said) = server.command(&["restore", "--in-place"]);
    assert!(done && said.contains("the root token is off"), "{said}");
    assert!(!server.data.join("root-token").exists(), "the file of a token that is good no more");
    server.restart().await;
    for token in [ROOT, &replaced] {
        assert!(!server.is_root(token).await, "a root token came back");
    }
    server.renew_root_token();
    let fresh = server.root_token.clone();
    server.terminate();
    server.restart().await;
    assert!(server.is_root(&fresh).await && !server.is_root(ROOT).await);
    assert_eq!(living_kinds(&server).await, Vec::<String>::new(), "tokens of the older database");
    renew(&server, &mut org).await;
    must_all_be_refused(&server, &org, "token_ended", &before).await;
    must_all_be_refused(&server, &org, "token_unknown", &since).await;
    for name in ["ada", "bob", "dora", "eve"] {
        assert_eq!(state(&server, &org, name).await, "suspended", "{name}");
    }
    // What is issued now is accepted at each of the places where all of that was refused.
    org.say(&server, "PUT", &format!("/Users/{ada}"), org.user("ada")).await;
    set_state(&server, &org, "dora", "active").await;
    tokens_of_every_kind(&server, &org, &idp, "delta").await;
}

#[tokio::test]
async fn a_root_token_that_an_order_ended_comes_back_by_no_start_and_by_no_restore() {
    let mut server = Server::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monday.backup").to_str().unwrap().to_owned();
    assert!(server.is_root(ROOT).await);
    let (done, said) = server.command(&["backup", &path]);
    assert!(done, "{said}");
    server.renew_root_token();
    let second = server.root_token.clone();
    // The configuration still has the first.
    server.terminate();
    server.restart().await;
    assert!(!server.is_root(ROOT).await && server.is_root(&second).await);
    let (done, said) = server.command(&["admin", "root-token", "off"]);
    assert!(done, "{said}");
    server.terminate();
    server.restart().await;
    assert!(!server.is_root(ROOT).await && !server.is_root(&second).await);
    server.renew_root_token();
    let third = server.root_token.clone();
    server.terminate();
    server.restart().await;
    assert!(!server.is_root(ROOT).await && !server.is_root(&second).await && server.is_root(&third).await);
    // The backup is of when the first was good.
    server.terminate();
    let (done, said) = server.command(&["restore", &path, "--replace"]);
    assert!(done, "{said}");
    server.restart().await;
    assert!(!server.is_root(ROOT).await && !server.is_root(&second).await && server.is_root(&third).await);
    // And once more, over a database that nobody can read.
    server.terminate();
    std::fs::write(server.data.join("portcullis.sqlite"), "no database ".repeat(1000)).unwrap();
    let (done, said) = server.command(&["restore", &path, "--replace"]);
    assert!(done && said.contains("the root token is off"), "{said}");
    server.restart().await;
    for token in [ROOT, &second, &third] {
        assert!(!server.is_root(token).await, "a root token came back");
    }
}

#[tokio::test]
async fn an_older_file_of_the_same_timeline_is_refused() {
    let mut server = Server::sqlite().await;
    let idp = provider().await;
    let org = Org::new(&server, "acme", &idp).await;
    let everyone = org.group(&server, "everyone").await;
    let ada = org.person_in(&server, &everyone, "ada").await;
    server.terminate();
    let database = server.data.join("portcullis.sqlite");
    let before = std::fs::read(&database).unwrap();
    server.restart().await;
    org.scim(&server, "DELETE", &format!("/Users/{ada}"), Value::Null).await;
    server.terminate();
    std::fs::write(&database, before).unwrap();
    let said = refused_start(&server.data, None);
    assert!(said.contains("older than what was served"), "{said}");
}

#[tokio::test]
async fn a_backup_of_another_sealing_key_a_newer_one_and_a_damaged_one_are_refused_and_change_nothing() {
    let mut server = Server::sqlite().await;
    let other = Server::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign").to_str().unwrap().to_owned();
    let own = folder.path().join("own").to_str().unwrap().to_owned();
    assert!(other.command(&["backup", &foreign]).0);
    assert!(server.command(&["backup", &own]).0);
    server.terminate();
    let (done, said) = server.command(&["restore", &foreign, "--replace"]);
    assert!(!done && said.contains("sealing key"), "{said}");

    let database = rusqlite::Connection::open(&own).unwrap();
    database
        .execute("INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'later', 1)", [])
        .unwrap();
    drop(database);
    let (done, said) = server.command(&["restore", &own, "--replace"]);
    assert!(!done && said.contains("newer"), "{said}");

    let damaged = folder.path().join("damaged");
    std::fs::write(&damaged, b"this is no database, and long enough to look at".repeat(100)).unwrap();
    let (done, said) = server.command(&["restore", damaged.to_str().unwrap(), "--replace"]);
    assert!(!done && said.contains("damaged"), "{said}");
    let entries = std::fs::read_dir(&server.data).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(
        !entries.into_iter().any(|name| name.to_string_lossy().contains("replaced")),
        "nothing was replaced"
    );
    assert!(!server.data.join("portcullis.sqlite.restoring").exists());
    server.restart().await;
    server.root("GET", "/organizations", Value::Null).await;
}
