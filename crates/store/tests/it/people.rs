//! Users, what they prove themselves with, connections and links.

use portcullis_domain::access::{Access, EndedBecause};
use portcullis_domain::change::{
    ConnectionChange, DirectoryChange, DirectoryUserChange, DomainChange, GrantChange, LinkChange,
    MappingChange, MembershipChange, OrganizationChange, RoleChange, UserChange,
};
use portcullis_domain::connection::{ClaimRules, Connection, Link, Unconfirmed};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::id::{DirectoryId, DomainId, MembershipId, OrganizationId, RoleId, UserId};
use portcullis_domain::mapping::MappingSource;
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::role::{Giving, Rank, Role};
use portcullis_domain::text::Slug;
use portcullis_domain::tombstone::Identifier;
use portcullis_domain::user::AuthenticatorKind;
use portcullis_store::audit::{AuditFilter, list_page};
use portcullis_store::{StoreError, UniqueKey, connection, directory_user, leaver, membership, user};
use serde_json::json;

use crate::database::{Database, NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later, slug};

const GIVEN: &str = include_str!("../../migrations/0023_given.sql");
const TAKEN_OVER: &str = include_str!("../../migrations/0025_taken_over.sql");

fn password(user: UserId, email_key: &str, secret: &str) -> UserChange {
    UserChange::SetAuthenticator {
        user,
        kind: AuthenticatorKind::Password,
        secret: secret.to_owned(),
        email_key: email_key.to_owned(),
        at: NOW,
    }
}

fn prove(database: &Database, organization: OrganizationId, name: &str) {
    database.put(DomainChange::Add(Domain {
        id: fresh!(DomainId),
        organization,
        domain: name.to_owned(),
        state: DomainState::Proven,
        txt_value: String::new(),
        proven_at: Some(NOW),
        created_at: NOW,
    }));
}

#[test]
fn an_address_belongs_to_nobody_and_each_user_has_one_password_until_they_end() {
    on_each(|database| {
        let [ann, bob] = [fixture::user(database), fixture::user(database)];
        let at = |address: &'static str| {
            database
                .read(move |tx| user::authenticators_at(tx, address))
                .into_iter()
                .map(|a| (a.user, a.secret))
        };
        database.put(password(ann, "ann@example.com", "first"));
        database.put(password(ann, "ann@example.com", "second"));
        let found = database.read(|tx| user::authenticators_at(tx, "ann@example.com"));
        assert!(!format!("{found:?}").contains("second"), "a hash is not printed");
        assert_eq!(at("ann@example.com").collect::<Vec<_>>(), [(ann, "second".to_owned())]);

        database.put(password(bob, "bob@example.com", "his"));
        database.put(password(bob, "ann@example.com", "another"));
        let mut both: Vec<_> = at("ann@example.com").collect();
        both.sort();
        let mut expected = [(ann, "second".to_owned()), (bob, "another".to_owned())];
        expected.sort();
        assert_eq!(both, expected);
        assert_eq!(at("bob@example.com").count(), 0, "one of a kind");

        database.put(UserChange::End(ann, later(1)));
        database.put(UserChange::End(ann, later(2)));
        assert_eq!(at("ann@example.com").collect::<Vec<_>>(), [(bob, "another".to_owned())]);
        assert_eq!(database.read(move |tx| user::authenticators_of(tx, ann)), vec![]);
        assert_eq!(database.read(move |tx| user::find(tx, ann)).unwrap().ended_at, Some(later(1)));
        database.put(UserChange::Revive(ann));
        assert_eq!(database.read(move |tx| user::find(tx, ann)).unwrap().ended_at, None);
        assert_eq!(at("ann@example.com").count(), 1, "it does not come back");
    });
}

#[test]
fn a_users_memberships_are_those_of_organizations_that_were_not_deleted() {
    on_each(|database| {
        let [acme, other] = ["acme", "other"].map(|name| fixture::organization(database, name).id);
        let ann = fixture::membership(database, acme, "ann");
        fixture::membership(database, other, "bob");
        let found = database.read(move |tx| user::memberships_of(tx, ann.user));
        assert_eq!(found.len(), 1);
        let only = &found[0];
        assert_eq!((only.organization, only.membership, only.state), (acme, ann.id, MembershipState::Active));
        database.put(OrganizationChange::Delete(acme, NOW));
        assert_eq!(database.read(move |tx| user::memberships_of(tx, ann.user)), vec![]);
    });
}

#[test]
fn what_ended_hides_nothing_of_a_user_that_lives() {
    on_each(|database| {
        let [acme, other] = ["acme", "other"].map(|name| fixture::organization(database, name).id);
        let ann = fixture::membership(database, acme, "ann");
        let ended = |n: usize| Membership {
            id: fresh!(MembershipId),
            ended: Some((NOW, EndedBecause::Administrator)),
            access: Access::none(MembershipState::Deprovisioned),
            email: format!("ann{n}@example.com"),
            ..ann.clone()
        };
        for n in 0..200 {
            database.put(MembershipChange::Create(Box::new(ended(n))));
        }
        let id = MembershipId::fresh(later(1), &mut Seeded::next());
        let lives = Membership { id, organization: other, ..ann.clone() };
        database.put(MembershipChange::Create(Box::new(lives)));
        let mut found: Vec<_> = database
            .read(move |tx| user::memberships_of(tx, ann.user))
            .iter()
            .map(|m| m.membership)
            .collect();
        found.sort();
        let mut expected = [ann.id, id];
        expected.sort();
        assert_eq!(found, expected);
    });
}

#[test]
fn a_connection_is_read_as_it_was_written_with_its_domains() {
    on_each(|database| {
        let [acme, other] = ["acme", "other"].map(|name| fixture::organization(database, name).id);
        let made = fixture::connection(database, acme, &["b.example", "a.example"]);
        let expected = Connection { domains: vec!["a.example".into(), "b.example".into()], ..made.clone() };
        assert_eq!(database.read(move |tx| connection::find(tx, acme, made.id)), Some(expected.clone()));
        assert_eq!(database.read(move |tx| connection::find(tx, other, made.id)), None);
        assert_eq!(database.read(move |tx| connection::list(tx, acme, None, 10)), vec![expected.clone()]);
        let changed = Connection {
            name: "Other".to_owned(),
            issuer: "https://other.example.com".to_owned(),
            client_id: "other".to_owned(),
            client_secret_sealed: "other".to_owned(),
            directory: Some(fresh!(DirectoryId)),
            jit_at: None,
            groups_claim: None,
            claim_rules: ClaimRules::default(),
            environment: slug("staging"),
            domains: vec!["c.example".to_owned()],
            unconfirmed: Some(Unconfirmed { at: later(1), chosen_from: Rank::OWNER, chosen_at: later(2) }),
            ..expected
        };
        database.put(ConnectionChange::Update(Box::new(changed.clone())));
        assert_eq!(database.read(move |tx| connection::find_by_id(tx, changed.id)), Some(changed.clone()));
        let stolen = Connection { organization: other, environment: Slug::production(), ..changed.clone() };
        let refused = database.change(ConnectionChange::Update(Box::new(stolen)));
        assert!(matches!(refused, Err(StoreError::Inconsistent(_))), "{refused:?}");
        assert_eq!(database.read(move |tx| connection::find_by_id(tx, changed.id)), Some(changed.clone()));
    });
}

#[test]
fn an_address_is_routed_only_by_the_organization_that_proved_its_domain() {
    on_each(|database| {
        let [acme, other] = ["acme", "other"].map(|name| fixture::organization(database, name).id);
        let mine = fixture::connection(database, acme, &["example.com"]);
        fixture::connection(database, other, &["example.com"]);
        let routed = || database.read(|tx| connection::find_by_domain(tx, "example.com"));
        assert_eq!(routed(), vec![], "nobody has proven it");
        prove(database, acme, "example.com");
        assert_eq!(routed(), vec![mine.clone()]);
        database.put(OrganizationChange::Delete(acme, NOW));
        assert_eq!(routed(), vec![]);
        assert_eq!(database.read(move |tx| connection::find_by_id(tx, mine.id)), None);
    });
}

#[test]
fn a_subject_is_linked_once_and_its_link_ends_with_the_membership_or_the_connection() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let [ann, bob] = ["ann", "bob"].map(|name| fixture::membership(database, acme, name).id);
        let [okta, entra] = [(), ()].map(|()| fixture::connection(database, acme, &["example.com"]).id);
        let link = |connection, subject: &str, membership| Link {
            connection,
            organization: acme,
            subject: subject.to_owned(),
            membership,
            believed_up_to: Rank::ROOT,
            signed_by: String::new(),
            created_at: NOW,
        };
        database.put(LinkChange::Create(link(okta, "00u1", ann)));
        database.put(LinkChange::Create(link(entra, "00u1", bob)));
        let again = database.change(LinkChange::Create(link(okta, "00u1", bob)));
        assert_eq!(again, Err(StoreError::Taken(UniqueKey::LinkSubject)));
        let found = move |connection| {
            database.read(move |tx| connection::find_link(tx, connection, "00u1")).map(|link| link.membership)
        };
        assert_eq!((found(okta), found(entra)), (Some(ann), Some(bob)));
        assert_eq!(
            database.read(move |tx| connection::find_link(tx, okta, "00U1")),
            None,
            "subjects are exact"
        );
        assert_eq!(database.read(move |tx| connection::links_of(tx, ann)), vec![link(okta, "00u1", ann)]);
        database.put(LinkChange::Believe(okta, "00u1".to_owned(), Rank::OWNER));
        let believed_up_to = Rank::OWNER;
        let believed = vec![Link { believed_up_to, ..link(okta, "00u1", ann) }];
        assert_eq!(database.read(move |tx| connection::links_of(tx, ann)), believed);
        assert_eq!(database.read(move |tx| connection::links_of(tx, bob)), vec![link(entra, "00u1", bob)]);

        database.put(LinkChange::Delete(okta, "00u2".to_owned()));
        assert_eq!((found(okta), found(entra)), (Some(ann), Some(bob)), "another subject");
        database.put(LinkChange::Delete(entra, "00u1".to_owned()));
        assert_eq!((found(okta), found(entra)), (Some(ann), None));
        let is_called = move |who, identifier: Identifier| {
            let all = database.read(move |tx| {
                let member = membership::find(tx, acme, who)?.unwrap();
                leaver::identifiers(tx, &member)
            });
            all.contains(&identifier)
        };
        for identifier in [Identifier::subject(entra, "00u1"), Identifier::issuer_subject("00u1")] {
            assert!(is_called(bob, identifier.clone()), "{identifier:?} is his to the day when he leaves");
        }
        database.put(LinkChange::Create(link(entra, "00u1", bob)));
        database.put(LinkChange::DeleteOf(ann));
        assert_eq!((found(okta), found(entra)), (None, Some(bob)));
        let third = link(entra, "00u3", ann);
        database.put(LinkChange::Create(third));
        database.put(ConnectionChange::Delete(entra));
        assert_eq!(found(entra), None);
        for identifier in [Identifier::subject(entra, "00u3"), Identifier::issuer_subject("00u3")] {
            assert!(is_called(ann, identifier.clone()), "{identifier:?} outlives the connection");
            assert!(!is_called(bob, identifier), "of whoever had it");
        }
        assert_eq!(database.read(move |tx| connection::find_by_id(tx, entra)), None);
    });
}

#[test]
fn the_migration_believes_what_was_said_as_far_as_what_its_directory_gives() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        for (name, rank) in [("member", 300), ("lead", 500), ("admin", 700)] {
            let role = Role {
                id: fresh!(RoleId),
                organization: acme,
                slug: slug(name),
                rank: Rank::new(rank).unwrap(),
                permissions: [].into(),
                giving: Giving::Anyhow,
                built_in_at: Some(NOW),
                created_at: NOW,
            };
            database.put(RoleChange::Create(role));
        }
        let ranks = || [400, 600].map(|rank| Rank::new(rank).unwrap()).into_iter().chain([Rank::ROOT]);
        let mut all = Vec::new();
        for (name, default_role, mapped) in
            [("none", None, None), ("member", Some("member"), None), ("lead", Some("member"), Some("lead"))]
        {
            let directory = fixture::directory(database, acme, default_role);
            if let Some(role) = mapped {
                let source = MappingSource::GroupDisplayName("Staff".to_owned());
                database.put(MappingChange::Create(Box::new(fixture::mapping(&directory, source, role))));
            }
            let asks =
                Connection { directory: Some(directory.id), ..fixture::connection(database, acme, &[]) };
            database.put(ConnectionChange::Update(Box::new(asks.clone())));
            for rank in ranks() {
                let member = fixture::membership(database, acme, &format!("{name}-{}", rank.number()));
                fixture::directory_user(database, &directory, &member);
                let link = Link {
                    connection: asks.id,
                    organization: acme,
                    subject: member.name.clone(),
                    membership: member.id,
                    believed_up_to: rank,
                    signed_by: String::new(),
                    created_at: NOW,
                };
                database.put(LinkChange::Create(link));
                let told = database.read(move |tx| directory_user::of_membership(tx, member.id)).remove(0);
                let told = DirectoryUser { believed_up_to: rank, ..told };
                database.put(DirectoryUserChange::Update(Box::new(told)));
                all.push((name, rank, member.id));
            }
        }
        database.note(move |tx| tx.batch(GIVEN)).unwrap();
        for (name, rank, member) in all {
            let expected = if name == "lead" { rank.max(Rank::LEAD) } else { rank };
            let told = database.read(move |tx| directory_user::of_membership(tx, member)).remove(0);
            let link = database.read(move |tx| connection::links_of(tx, member)).remove(0);
            assert_eq!([told.believed_up_to, link.believed_up_to], [expected; 2], "{name}, {rank:?}");
        }
    });
}

#[test]
fn each_grant_and_each_link_that_goes_with_somebody_has_an_event_of_its_own() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let [ann, bob] = ["ann", "bob"].map(|name| fixture::membership(database, acme, name));
        let [okta, entra] = [(), ()].map(|()| fixture::connection(database, acme, &[]).id);
        let mut granted = Vec::new();
        for (member, role) in [(&ann, "admin"), (&ann, "viewer"), (&ann, "owner"), (&bob, "admin")] {
            let grant = fixture::grant(member, role);
            granted.push(grant.id);
            database.put(GrantChange::Create(grant));
        }
        for (connection, member) in [(okta, &ann), (entra, &ann), (okta, &bob)] {
            let (organization, membership) = (acme, member.id);
            let subject = format!("of-{}", member.name);
            let (believed_up_to, signed_by, created_at) = (Rank::ROOT, String::new(), NOW);
            let link =
                Link { connection, subject, organization, membership, believed_up_to, signed_by, created_at };
            database.put(LinkChange::Create(link));
        }
        database.put(GrantChange::EndOf { membership: ann.id, keep: Some(Slug::owner()), at: later(1) });
        database.put(LinkChange::DeleteOf(ann.id));
        let sorted = |mut all: Vec<(serde_json::Value, serde_json::Value)>| {
            all.sort_by_key(|(targets, _)| targets.to_string());
            all
        };
        let about = |action: &str| {
            let filter = AuditFilter { action: action.to_owned(), ..AuditFilter::default() };
            let events = database.read(move |tx| list_page(tx, acme, &filter, "", 100));
            let contents = events.iter().map(|event| serde_json::from_str(&event.content).unwrap());
            let contents: Vec<serde_json::Value> = contents.collect();
            assert!(contents.iter().all(|content| content["cause"]["event"].is_string()), "{contents:?}");
            sorted(contents.iter().map(|c| (c["targets"].clone(), c["detail"].clone())).collect())
        };
        let target = |kind: &str, id: &dyn ToString| json!({ "type": kind, "id": id.to_string() });
        let of_ann = target("membership", &ann.id);
        let grant = |id, role: &str| {
            (json!([target("grant", id), of_ann]), json!({ "role": role, "reason": "a test" }))
        };
        let grants = vec![grant(&granted[0], "admin"), grant(&granted[1], "viewer")];
        assert_eq!(about("grant.ended"), sorted(grants));
        let link = |id| {
            (json!([of_ann, target("connection", id)]), json!({ "subject": format!("of-{}", ann.name) }))
        };
        assert_eq!(about("member.unlinked"), sorted(vec![link(&okta), link(&entra)]));
    });
}

#[test]
fn the_migration_brings_those_in_step_whose_claims_give_nothing_any_more_and_nobody_else() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let provider = fixture::directory(database, acme, Some("member"));
        let claims_of = |asks: Option<DirectoryId>| {
            let connection = fixture::connection(database, acme, &[]);
            let (id, kind) = (connection.claims_directory, DirectoryKind::Claims);
            let claims = Directory { id, kind, connection: Some(connection.id), ..provider.clone() };
            database.put(DirectoryChange::Create(claims.clone()));
            database.put(ConnectionChange::Update(Box::new(Connection { directory: asks, ..connection })));
            claims
        };
        let (read, unread) = (claims_of(None), claims_of(Some(provider.id)));
        let all = [
            ("both", vec![&read, &provider], 0),
            ("unread", vec![&unread], 0),
            ("read", vec![&read], 1),
            ("provider", vec![&provider], 1),
            ("nobody", vec![], 1),
        ]
        .map(|(name, by, number)| {
            let member = fixture::membership(database, acme, name);
            for directory in by {
                fixture::directory_user(database, directory, &member);
            }
            (name, member.id, number)
        });
        database.note(move |tx| tx.batch(TAKEN_OVER)).unwrap();
        for (name, id, number) in all {
            let found = database.read(move |tx| membership::find(tx, acme, id)).unwrap();
            let since = database.read(move |tx| membership::since(tx, acme, id)).unwrap();
            assert_eq!((found.rules_number, since.number), (number, Some(1)), "{name}");
        }
    });
}
