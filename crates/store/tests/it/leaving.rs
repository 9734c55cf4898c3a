//! What is read of somebody who leaves: whether an owner who can sign in is left behind.

use portcullis_domain::access::{Access, EndedBecause};
use portcullis_domain::change::{
    ConnectionChange, GrantChange, LinkChange, MembershipChange, TokenChange, TombstoneChange, UserChange,
};
use portcullis_domain::connection::{Connection, Link};
use portcullis_domain::id::{MembershipId, OrganizationId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::offboarding::Ownership;
use portcullis_domain::role::Rank;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, Token, TokenKind};
use portcullis_domain::tombstone::{Identifier, IdentifierKind};
use portcullis_domain::user::AuthenticatorKind;
use portcullis_store::{connection, leaver, membership, tombstone};

use crate::database::{Database, NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later, slug};

const SUBJECTS: &str = include_str!("../../migrations/0017_subjects.sql");

/// An owner who is in `production`.
fn owner(database: &Database, organization: OrganizationId, name: &str) -> Membership {
    let access = Access {
        role: Some(Slug::owner()),
        environments: vec![Slug::production()],
        ..Access::none(MembershipState::Active)
    };
    let owner = Membership {
        id: fresh!(MembershipId),
        user: fixture::user(database),
        access,
        ..fixture::membership(database, organization, name)
    };
    database.put(MembershipChange::Create(Box::new(owner.clone())));
    database.put(GrantChange::Create(fixture::grant(&owner, "owner")));
    owner
}

fn link(database: &Database, connection: &Connection, member: &Membership, subject: &str, seconds: i64) {
    database.put(LinkChange::Create(Link {
        connection: connection.id,
        subject: subject.to_owned(),
        organization: member.organization,
        membership: member.id,
        believed_up_to: Rank::ROOT,
        signed_by: String::new(),
        created_at: later(seconds),
    }));
}

fn session(database: &Database, connection: &Connection, member: &Membership, seconds: i64) {
    database.put(TokenChange::Issue(Box::new(Token {
        connection: Some(connection.id),
        issued_at: later(seconds),
        ..fixture::token(member.organization, TokenKind::Session, Holder::Membership(member.id))
    })));
}

#[test]
fn an_owner_who_cannot_sign_in_is_none_when_the_last_one_is_looked_for() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let (leaver, other) = (owner(database, acme, "leaver"), owner(database, acme, "other"));
        let is_last = || {
            let leaver = leaver.clone();
            database.read(move |tx| leaver::ownership(tx, &leaver)) == Ownership::Last
        };
        let update = |connection: &Connection| {
            database.put(ConnectionChange::Update(Box::new(connection.clone())));
        };
        assert!(is_last(), "an owner with nothing to sign in by");
        let connection = fixture::connection(database, acme, &[]);
        link(database, &connection, &other, "first", 0);
        session(database, &connection, &other, 10);
        assert!(!is_last(), "an owner who signs in by a connection");

        update(&connection.clone().chosen_by(Rank::NONE, NOW));
        assert!(is_last(), "no owner comes in before an owner has confirmed it");
        update(&Connection { environment: slug("staging"), ..connection.clone() });
        assert!(is_last(), "the connection leads where the owner is not");
        update(&connection);
        assert!(!is_last());

        let moved = Connection { issuer: "https://elsewhere.example.com".to_owned(), ..connection.clone() };
        update(&moved);
        assert!(is_last(), "the link is one of the former issuer");
        update(&Connection { name: "Renamed".to_owned(), ..moved.clone() });
        assert!(is_last(), "and stays so");
        session(database, &moved, &other, 20);
        assert!(!is_last(), "the new issuer knows them by the same name");

        let again = Connection { issuer: "https://third.example.com".to_owned(), ..connection };
        update(&again);
        assert!(is_last());
        link(database, &again, &other, "second", 30);
        assert!(!is_last(), "linked at the new issuer");

        let third = Connection { issuer: "https://fourth.example.com".to_owned(), ..again };
        update(&third);
        assert!(is_last());
        database.put(UserChange::SetAuthenticator {
            user: other.user,
            kind: AuthenticatorKind::Password,
            secret: "hash".to_owned(),
            email_key: "other@example.com".to_owned(),
            at: NOW,
        });
        assert!(!is_last(), "an owner with a password");
    });
}

#[test]
fn a_subject_is_found_at_whichever_connection_of_its_organization_as_long_as_somebody_is_there_by_it() {
    on_each(|database| {
        let [acme, other] = ["acme", "globex"].map(|name| fixture::organization(database, name).id);
        let ann = owner(database, acme, "ann");
        let okta = fixture::connection(database, acme, &[]);
        let subject = "https://idp.example 00u1";
        let found = |organization, subject: &'static str| {
            database.read(move |tx| connection::linked_by_subject(tx, organization, subject))
        };
        link(database, &okta, &ann, subject, 0);
        assert_eq!(found(acme, subject), Some(ann.id));
        assert_eq!(found(acme, "https://idp.example 00u2"), None, "another subject");
        assert_eq!(found(other, subject), None, "another organization");
        let of = ann.clone();
        let all = database.read(move |tx| leaver::identifiers(tx, &of));
        for identifier in [Identifier::subject(okta.id, subject), Identifier::issuer_subject(subject)] {
            assert!(all.contains(&identifier), "{all:?}");
        }
        database.put(MembershipChange::SetAccess {
            id: ann.id,
            access: Box::new(Access::none(MembershipState::Deprovisioned)),
            governed_by: None,
            unmapped_at: None,
            ended: Some((NOW, EndedBecause::Administrator)),
            bare_owner_at: None,
            rules_number: ann.rules_number,
        });
        assert_eq!(found(acme, subject), None, "who left is found by their tombstone");
    });
}

#[test]
fn a_leaver_is_known_by_every_subject_however_many_names_a_directory_gave_them() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let ann = owner(database, acme, "ann");
        let subjects =
            ["subject", "issuer_subject"].map(|kind| format!("('{}', '{kind}', 'idp|00u1')", ann.id));
        let names = (0..1_000).map(|n| format!("('{}', 'email', 'a{n}@acme.test')", ann.id));
        let all: Vec<_> = names.chain(subjects).collect();
        let insert =
            format!("INSERT INTO former_identifiers (membership, kind, value) VALUES {}", all.join(", "));
        database.note(move |tx| tx.batch(&insert)).unwrap();
        let known = database.read(move |tx| leaver::identifiers(tx, &ann));
        assert!(known.contains(&Identifier::issuer_subject("idp|00u1")), "{known:?}");
        assert_eq!(known.iter().filter(|i| i.kind != IdentifierKind::Email).count(), 2);
    });
}

#[test]
fn whoever_was_called_by_nothing_before_they_had_an_address_leaves_by_that_address_alone() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let ann = fixture::membership(database, acme, "ann");
        for email in ["", "queen@acme.test"] {
            database.put_in(acme, MembershipChange::SetProfile(ann.id, email.into(), "Ann".into()));
        }
        let ann = database.read(move |tx| membership::find(tx, acme, ann.id)).unwrap();
        let known = database.read(move |tx| leaver::identifiers(tx, &ann));
        let addresses = ["ann@example.com", "queen@acme.test"].map(Identifier::email);
        assert_eq!(known, addresses.into());
    });
}

#[test]
fn the_migration_lays_what_was_laid_at_one_connection_for_every_one_to_its_provider() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let ann = owner(database, acme, "ann");
        let [okta, again] = [(), ()].map(|()| fixture::connection(database, acme, &[]).id);
        let subject = "https://idp.example/a|b 00u1";
        let identifiers = vec![
            Identifier::subject(okta, subject),
            Identifier::subject(again, subject),
            Identifier::email("ann@acme.test"),
        ];
        database.put_in(acme, TombstoneChange::Lay { membership: ann.id, identifiers, at: NOW });
        let laid = || {
            let everywhere = Identifier::issuer_subject(subject);
            database.read(move |tx| tombstone::find(tx, acme, &everywhere))
        };
        assert_eq!(laid(), None);
        let from = SUBJECTS.find("INSERT INTO").unwrap();
        let filled = SUBJECTS[from..].split_once("CREATE INDEX").unwrap().0;
        database.note(move |tx| tx.batch(filled)).unwrap();
        assert_eq!(laid(), Some(ann.id));
        let page = database.read(move |tx| tombstone::page(tx, acme, None, 10));
        assert_eq!(page.len(), 4, "once for both connections, and nothing of the address: {page:?}");
        // One that lies at any of the two lies, whichever was lifted.
        for (lifted, lies) in
            [(format!("value LIKE '{okta}/%'"), true), (format!("value NOT LIKE '{okta}/%'"), false)]
        {
            let sql = format!(
                "DELETE FROM tombstones WHERE kind = 'issuer_subject'; \
                 UPDATE tombstones SET lifted_at = 7 WHERE kind = 'subject' AND {lifted}"
            );
            database.note(move |tx| tx.batch(&sql)).unwrap();
            database.note(move |tx| tx.batch(filled)).unwrap();
            assert_eq!(laid(), lies.then_some(ann.id));
        }
        // What was handed down before is somebody's who is there.
        let bob = owner(database, acme, "bob");
        let insert = format!(
            "INSERT INTO former_identifiers (membership, kind, value) VALUES ('{}', 'subject', '{okta}/{subject}')",
            bob.id
        );
        database.note(move |tx| tx.batch(&insert)).unwrap();
        let found = || database.read(move |tx| tombstone::formerly_subject_of(tx, acme, subject));
        assert_eq!(found(), None);
        database.note(move |tx| tx.batch(filled)).unwrap();
        assert_eq!(found(), Some(bob.id));
        let globex = fixture::organization(database, "globex").id;
        assert_eq!(database.read(move |tx| tombstone::formerly_subject_of(tx, globex, subject)), None);
    });
}

#[test]
fn what_lies_on_the_names_of_leavers_is_listed_page_by_page_without_what_was_lifted() {
    on_each(|database| {
        let [acme, other] = ["acme", "globex"].map(|name| fixture::organization(database, name).id);
        let lay = |organization, identifiers: &[Identifier]| {
            let (membership, identifiers) = (fresh!(MembershipId), identifiers.to_vec());
            database.put_in(organization, TombstoneChange::Lay { membership, identifiers, at: NOW });
            membership
        };
        let [ada, bob] = ["ada@acme.test", "bob@acme.test"].map(Identifier::email);
        let (first, second) =
            (lay(acme, &[ada.clone(), Identifier::user_name("ada")]), lay(acme, std::slice::from_ref(&ada)));
        lay(acme, std::slice::from_ref(&bob));
        database.put_in(acme, TombstoneChange::LiftNamed(vec![bob]));
        lay(other, std::slice::from_ref(&ada));
        let mut found = Vec::new();
        loop {
            let after = found.last().cloned();
            let page = database.read(move |tx| tombstone::page(tx, acme, after.as_ref(), 2));
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 2);
            found.extend(page);
        }
        let mut on_ada = [first, second];
        on_ada.sort();
        let laid: Vec<_> = found.iter().map(|laid| (laid.identifier.clone(), laid.membership)).collect();
        let expected = [(ada.clone(), on_ada[0]), (ada, on_ada[1]), (Identifier::user_name("ada"), first)];
        assert_eq!(laid, expected);
        assert!(found.iter().all(|laid| laid.at == NOW));
    });
}
