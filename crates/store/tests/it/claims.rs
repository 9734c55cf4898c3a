//! What claims said of people before one person was told of once.

use portcullis_domain::Timestamp;
use portcullis_domain::change::{
    ConnectionChange, DirectoryChange, DirectoryGroupChange, DirectoryUserChange, LinkChange,
    MembershipChange,
};
use portcullis_domain::connection::{Connection, Link};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryUserId, OrganizationId};
use portcullis_domain::membership::Membership;
use portcullis_domain::role::Rank;
use portcullis_domain::tombstone::Identifier;
use portcullis_store::{directory_user, leaver, membership};

use crate::database::{Database, NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later};

const CLAIMED_ONCE: &str = include_str!("../../migrations/0031_claimed_once.sql");
const FORMER: &str = "https://former.example.com";

/// A connection with the directory of its claims.
struct Claims {
    connection: Connection,
    directory: Directory,
}

impl Claims {
    fn new(database: &Database, organization: OrganizationId, default_role: Option<&str>) -> Self {
        Self::at(database, fixture::connection(database, organization, &[]), default_role)
    }

    /// The same at a connection that asks a directory by now.
    fn unread(database: &Database, organization: OrganizationId) -> Self {
        let mut connection = fixture::connection(database, organization, &[]);
        connection.directory = Some(fixture::directory(database, organization, None).id);
        database.put(ConnectionChange::Update(Box::new(connection.clone())));
        Self::at(database, connection, None)
    }

    fn at(database: &Database, connection: Connection, default_role: Option<&str>) -> Self {
        let organization = connection.organization;
        let directory = Directory {
            id: connection.claims_directory,
            kind: DirectoryKind::Claims,
            connection: Some(connection.id),
            ..fixture::directory(database, organization, default_role)
        };
        database.put(DirectoryChange::Create(directory.clone()));
        Self { connection, directory }
    }

    /// What was said of that member then under that name of that issuer, as it was kept before; the one row's only group.
    fn said(
        &self,
        database: &Database,
        of: &Membership,
        (issuer, name, at): (&str, &str, Timestamp),
    ) -> DirectoryUserId {
        let id = fresh!(DirectoryUserId);
        let subject = format!("{issuer} {name}");
        database.put(DirectoryUserChange::Create(Box::new(DirectoryUser {
            id,
            organization: of.organization,
            directory: self.directory.id,
            membership: of.id,
            external_id: Some(subject.clone()),
            user_name: subject,
            display_name: of.name.clone(),
            email_keys: vec![format!("{name}@example.com")],
            inactive_at: None,
            unconfirmed_at: None,
            attributes: "{}".to_owned(),
            believed_up_to: Rank::ROOT,
            created_at: at,
            updated_at: at,
        })));
        fixture::group(database, &self.directory, &format!("of-{id}"), &[id]);
        id
    }

    /// The same, which had no group beside it: most providers leave the claim out then.
    fn said_without_group(
        &self,
        database: &Database,
        of: &Membership,
        said: (&str, &str, Timestamp),
    ) -> DirectoryUserId {
        let id = self.said(database, of, said);
        for group in database.read(move |tx| directory_user::group_ids(tx, id, 1)) {
            database.put(DirectoryGroupChange::RemoveMembers(group, vec![id]));
        }
        id
    }

    fn linked(&self, database: &Database, of: &Membership, issuer: &str, name: &str) {
        database.put(LinkChange::Create(Link {
            connection: self.connection.id,
            organization: of.organization,
            subject: format!("{issuer} {name}"),
            membership: of.id,
            believed_up_to: Rank::ROOT,
            signed_by: String::new(),
            created_at: NOW,
        }));
    }

    fn govern(&self, database: &Database, of: &Membership) {
        database.put(MembershipChange::SetAccess {
            id: of.id,
            access: Box::new(of.access.clone()),
            governed_by: Some(self.directory.id),
            unmapped_at: None,
            ended: None,
            bare_owner_at: None,
            rules_number: of.rules_number,
        });
    }
}

/// What is left of a member: each row with its number of groups and whether it waits, and the number of the rules.
fn left(database: &Database, of: &Membership) -> (Vec<(DirectoryUserId, usize, bool)>, i64) {
    let (organization, id) = (of.organization, of.id);
    let rows = database.read(move |tx| {
        let mut rows = Vec::new();
        for user in directory_user::of_membership(tx, id)? {
            assert_eq!(user.user_name, user.id.to_string(), "nobody's name");
            let groups = directory_user::group_ids(tx, user.id, 100)?.len();
            rows.push((user.id, groups, user.unconfirmed_at.is_some()));
        }
        Ok(rows)
    });
    let found = database.read(move |tx| membership::find(tx, organization, id)).unwrap();
    (rows, found.rules_number)
}

#[test]
fn the_migration_leaves_of_what_claims_said_of_one_person_what_is_said_now() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let claims = Claims::new(database, acme, None);
        let here = claims.connection.issuer.clone();
        let member = |name: &str| fixture::membership(database, acme, name);
        let said =
            |of: &Membership, issuer: &str, name: &str, at| claims.said(database, of, (issuer, name, at));
        let linked = |of: &Membership, issuer: &str, name: &str| claims.linked(database, of, issuer, name);

        let anew = member("anew");
        said(&anew, &here, "anew-1", NOW);
        let stays = said(&anew, &here, "anew-2", later(1));
        linked(&anew, &here, "anew-2");
        let mut expected = vec![(anew.clone(), vec![(stays, 1, false)], 0)];

        let stolen = member("stolen");
        let honest = said(&stolen, &here, "stolen", NOW);
        said(&stolen, &here, "evil", later(1));
        linked(&stolen, &here, "stolen");
        expected.push((stolen, vec![(honest, 1, false)], 0));

        let two = member("two");
        said(&two, &here, "two-1", NOW);
        let second = said(&two, &here, "two-2", later(1));
        linked(&two, &here, "two-1");
        linked(&two, &here, "two-2");
        expected.push((two, vec![(second, 1, false)], 0));

        let moved = member("moved");
        let now = said(&moved, &here, "moved", NOW);
        said(&moved, FORMER, "moved", later(1));
        linked(&moved, FORMER, "moved");
        expected.push((moved, vec![(now, 1, false)], 0));

        let once = member("once");
        let only = said(&once, &here, "once", NOW);
        expected.push((once, vec![(only, 1, false)], 1));

        let elsewhere = member("elsewhere");
        let former = said(&elsewhere, FORMER, "elsewhere", NOW);
        linked(&elsewhere, FORMER, "elsewhere");
        expected.push((elsewhere, vec![(former, 0, false)], 0));

        let brought = member("brought");
        let former = said(&brought, FORMER, "brought", NOW);
        claims.govern(database, &brought);
        expected.push((brought, vec![(former, 0, true)], 0));

        let here_and_brought = member("here");
        let only = said(&here_and_brought, &here, "here", NOW);
        claims.govern(database, &here_and_brought);
        expected.push((here_and_brought, vec![(only, 1, false)], 1));

        database.note(move |tx| tx.batch(CLAIMED_ONCE)).unwrap();
        for (of, rows, number) in &expected {
            assert_eq!(left(database, of), (rows.clone(), *number), "{}", of.name);
        }
        let names = database.read(move |tx| leaver::identifiers(tx, &anew));
        let former = Identifier::external_id(claims.directory.id, &format!("{here} anew-1"));
        assert!(
            names.contains(&former) && names.contains(&Identifier::email("anew-1@example.com")),
            "{names:?}"
        );
    });
}

#[test]
fn the_migration_off_boards_nobody_whose_latest_account_was_in_no_group() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let read = Claims::new(database, acme, None);
        let unread = Claims::unread(database, acme);
        let two_accounts = |claims: &Claims, name: &str| {
            let here = claims.connection.issuer.clone();
            let of = fixture::membership(database, acme, name);
            let (first, second) = (format!("{name}-1"), format!("{name}-2"));
            let grouped = claims.said(database, &of, (&here, &first, NOW));
            let latest = claims.said_without_group(database, &of, (&here, &second, later(1)));
            claims.linked(database, &of, &here, &first);
            claims.linked(database, &of, &here, &second);
            (of, grouped, latest)
        };
        let (brought, _, latest) = two_accounts(&read, "brought");
        read.govern(database, &brought);
        let (invited, _, of_invited) = two_accounts(&read, "invited");
        // Nobody can say of them again what they lived by.
        let (frozen, grouped, _) = two_accounts(&unread, "frozen");
        unread.govern(database, &frozen);
        let both = fixture::membership(database, acme, "both");
        let here = read.connection.issuer.clone();
        read.said(database, &both, (&here, "both-1", NOW));
        let in_group = read.said(database, &both, (&here, "both-2", later(1)));
        read.govern(database, &both);

        database.note(move |tx| tx.batch(CLAIMED_ONCE)).unwrap();
        assert_eq!(left(database, &brought), (vec![(latest, 0, true)], 0), "waits until they sign in");
        assert_eq!(left(database, &invited), (vec![(of_invited, 0, false)], 0), "lives by the invitation");
        assert_eq!(
            left(database, &frozen),
            (vec![(grouped, 1, false)], 0),
            "keeps what was said last of groups"
        );
        assert_eq!(left(database, &both), (vec![(in_group, 1, false)], 0), "lives by the latest word");
    });
}

#[test]
fn the_migration_touches_nothing_that_a_directory_said() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let directory = fixture::directory(database, acme, Some("member"));
        let ann = fixture::membership(database, acme, "ann");
        let user = fixture::directory_user(database, &directory, &ann);
        fixture::group(database, &directory, "staff", &[user]);
        let id = directory.id;
        let state = || {
            database.read(move |tx| {
                let groups = directory_user::group_ids(tx, user, 100)?;
                Ok((directory_user::find(tx, id, user)?, groups))
            })
        };
        let before = state();
        database.note(move |tx| tx.batch(CLAIMED_ONCE)).unwrap();
        assert_eq!(state(), before);
    });
}
