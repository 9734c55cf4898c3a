//! Tokens end by sets: all that a set names, and nothing beside it.

use std::collections::BTreeSet;

use portcullis_domain::access::Access;
use portcullis_domain::change::{
    AgentChange, ConnectionChange, LinkChange, MembershipChange, TokenChange, TokenSet,
};
use portcullis_domain::connection::Link;
use portcullis_domain::id::{ConnectionId, OrganizationId, TokenId};
use portcullis_domain::membership::Membership;
use portcullis_domain::role::Rank;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, ShownTo, Token, TokenEnd, TokenKind};
use portcullis_store::{Dialect, StoreError, bearer, instance, token};

use crate::database::{Database, NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later};

fn issue(database: &Database, token: Token) -> TokenId {
    database.put(TokenChange::Issue(Box::new(token.clone())));
    token.id
}

fn end(set: TokenSet) -> TokenChange {
    TokenChange::End { set, because: TokenEnd::Revoked, at: later(1), receipt: None }
}

fn live(database: &Database, organization: OrganizationId) -> BTreeSet<TokenId> {
    let all = database.read(move |tx| token::list_page(tx, organization, None, "", 100));
    all.into_iter().filter(|token| token.ended_at.is_none()).map(|token| token.id).collect()
}

struct House {
    organization: OrganizationId,
    leaver: Membership,
    other: Membership,
}

fn house(database: &Database, name: &str) -> House {
    let organization = fixture::organization(database, name).id;
    let [leaver, other] = ["leaver", "other"].map(|name| fixture::membership(database, organization, name));
    House { organization, leaver, other }
}

#[test]
fn a_leavers_set_holds_every_kind_that_is_theirs_and_no_more() {
    on_each(|database| {
        let House { organization, leaver, other } = house(database, "acme");
        let elsewhere = house(database, "other");
        let theirs = Holder::Membership(leaver.id);
        let agent = fixture::agent(&leaver);
        database.put(AgentChange::Create(agent.clone()));
        let others_agent = fixture::agent(&other);
        database.put(AgentChange::Create(others_agent.clone()));
        let to_leaver = ShownTo::Membership(leaver.id);

        let mut gone = BTreeSet::new();
        let mut kept = BTreeSet::new();
        for kind in TokenKind::ALL {
            let holder = match kind {
                TokenKind::Session | TokenKind::MemberKey | TokenKind::Invitation | TokenKind::OwnerLink => {
                    theirs
                }
                TokenKind::AgentKey => Holder::Agent(others_agent.id),
                TokenKind::ServiceKey => Holder::Organization(organization),
                TokenKind::ScimToken => {
                    Holder::Directory(fixture::directory(database, organization, None).id)
                }
            };
            let id =
                issue(database, Token { shown_to: to_leaver, ..fixture::token(organization, kind, holder) });
            match kind {
                // The organization's own secrets go on; the receipt says that they must be replaced.
                TokenKind::ServiceKey | TokenKind::ScimToken => kept.insert(id),
                _ => gone.insert(id),
            };
        }
        // An invitation that somebody else made, to one of the leaver's addresses.
        let to_address = |address: &str| Token {
            address_key: Some(address.to_owned()),
            shown_to: ShownTo::Membership(other.id),
            ..fixture::token(organization, TokenKind::Invitation, Holder::Membership(other.id))
        };
        gone.insert(issue(database, to_address("leaver@private.example")));
        kept.insert(issue(database, to_address("other@private.example")));
        // Keys that the leaver never saw, of their agent and of somebody else.
        for holder in [Holder::Agent(agent.id), Holder::Agent(others_agent.id)] {
            let unseen = Token {
                shown_to: ShownTo::Membership(other.id),
                ..fixture::token(organization, TokenKind::AgentKey, holder)
            };
            kept.insert(issue(database, unseen));
        }
        let far = Token {
            address_key: Some("leaver@private.example".to_owned()),
            ..fixture::token(
                elsewhere.organization,
                TokenKind::Invitation,
                Holder::Membership(elsewhere.leaver.id),
            )
        };
        let far = issue(database, far);
        assert_eq!(live(database, organization), gone.union(&kept).copied().collect());

        let addresses = vec!["leaver@private.example".to_owned(), "unknown@private.example".to_owned()];
        database.put_in(organization, end(TokenSet::OfLeaver(leaver.id, addresses)));
        assert_eq!(live(database, organization), kept);
        assert_eq!(
            live(database, elsewhere.organization),
            [far].into(),
            "another organization is not touched"
        );
    });
}

#[test]
fn each_set_ends_what_it_names_once() {
    on_each(|database| {
        let House { organization, leaver, other } = house(database, "acme");
        let agent = fixture::agent(&leaver);
        database.put(AgentChange::Create(agent.clone()));
        let directory = fixture::directory(database, organization, None).id;
        let connection = fresh!(ConnectionId);
        let of = |kind, holder| fixture::token(organization, kind, holder);
        let (mine, theirs) = (Holder::Membership(leaver.id), Holder::Membership(other.id));

        let session = Token { connection: Some(connection), ..of(TokenKind::Session, mine) };
        let parent = issue(database, session);
        let child = issue(database, Token { parent: Some(parent), ..of(TokenKind::Session, mine) });
        let key = issue(database, of(TokenKind::AgentKey, Holder::Agent(agent.id)));
        let scim = issue(database, of(TokenKind::ScimToken, Holder::Directory(directory)));
        let second =
            issue(database, Token { connection: Some(connection), ..of(TokenKind::Session, theirs) });
        let third = issue(database, Token { connection: Some(connection), ..of(TokenKind::Session, mine) });
        let invitation = issue(database, of(TokenKind::Invitation, theirs));
        let member_key = issue(database, of(TokenKind::MemberKey, theirs));

        let mut expected = live(database, organization);
        let mut ends = |set: TokenSet, gone: &[TokenId]| {
            for id in gone {
                assert!(expected.remove(id), "{id} lives before {set:?}");
            }
            database.put_in(organization, end(set.clone()));
            assert_eq!(live(database, organization), expected, "{set:?}");
        };
        ends(TokenSet::One(parent), &[parent, child]);
        ends(TokenSet::OfAgent(agent.id), &[key]);
        ends(TokenSet::OfDirectory(directory), &[scim]);
        ends(TokenSet::OfMemberBy(leaver.id, fresh!(ConnectionId)), &[]);
        ends(TokenSet::OfMemberBy(leaver.id, connection), &[third]);
        ends(TokenSet::OfConnection(connection), &[second]);
        ends(TokenSet::InvitationsOf(other.id), &[invitation]);
        ends(TokenSet::OfOrganization(NOW), &[member_key]);

        // What has ended keeps its first end.
        let again = TokenChange::End {
            set: TokenSet::One(parent),
            because: TokenEnd::OffBoarded,
            at: later(9),
            receipt: None,
        };
        database.put_in(organization, again);
        let ended = database.read(move |tx| token::find(tx, organization, parent)).unwrap();
        assert_eq!((ended.ended_because, ended.ended_at), (Some(TokenEnd::Revoked), Some(later(1))));
    });
}

#[test]
fn what_the_sessions_of_an_unconfirmed_connection_issued_ends_with_it_whoever_issued_in_between() {
    on_each(|database| {
        let House { organization, leaver, other } = house(database, "acme");
        let made = fixture::connection(database, organization, &[]);
        let waits = made.clone().chosen_by(Rank::NONE, later(5));
        database.put(ConnectionChange::Update(Box::new(waits)));
        let of = |kind, holder| fixture::token(organization, kind, holder);
        let (mine, theirs) = (Holder::Membership(leaver.id), Holder::Membership(other.id));
        let all_of = |issued_at| {
            let session = Token { connection: Some(made.id), issued_at, ..of(TokenKind::Session, mine) };
            let session = issue(database, session);
            let first = issue(database, Token { parent: Some(session), ..of(TokenKind::MemberKey, theirs) });
            let second = issue(database, Token { parent: Some(first), ..of(TokenKind::MemberKey, theirs) });
            let gate = Holder::Organization(organization);
            let gate = issue(database, Token { parent: Some(second), ..of(TokenKind::ServiceKey, gate) });
            [session, first, second, gate]
        };
        let ([_, first, second, gate], [.., still]) = (all_of(later(4)), all_of(later(5)));
        database.put_in(organization, end(TokenSet::OfConnection(made.id)));
        assert_eq!(live(database, organization), [first, second, gate, still].into());
    });
}

#[test]
fn a_token_ends_only_in_its_own_organization() {
    on_each(|database| {
        let here = house(database, "acme");
        let there = house(database, "other");
        let key = fixture::token(here.organization, TokenKind::MemberKey, Holder::Membership(here.leaver.id));
        let id = issue(database, key);
        let sets = [TokenSet::One(id), TokenSet::OfLeaver(here.leaver.id, vec![])];
        for set in sets {
            database.put_in(there.organization, end(set));
            assert_eq!(live(database, here.organization), [id].into());
        }
        assert_eq!(database.read(move |tx| token::find(tx, there.organization, id)), None);
    });
}

#[test]
fn no_token_is_issued_for_somebody_who_is_not_active_and_no_bearer_is_found_by_an_ended_secret() {
    on_each(|database| {
        let House { organization, leaver, .. } = house(database, "acme");
        let key = || fixture::token(organization, TokenKind::MemberKey, Holder::Membership(leaver.id));
        let first = key();
        issue(database, first.clone());
        let secret = first.secret.clone();
        let found = move || {
            let secret = secret.clone();
            database.read(move |tx| bearer::find(tx, &secret))
        };
        assert!(found().is_some());
        let mut access = leaver.access.clone();
        access.state = portcullis_domain::membership::MembershipState::Suspended;
        database.put(MembershipChange::SetAccess {
            id: leaver.id,
            access: Box::new(access),
            governed_by: None,
            unmapped_at: None,
            ended: None,
            bare_owner_at: None,
            rules_number: 1,
        });
        assert_eq!(database.change(TokenChange::Issue(Box::new(key()))), Err(StoreError::NotActive));
        database.put_in(organization, end(TokenSet::One(first.id)));
        assert_eq!(found().unwrap().ended_at, Some(later(1)), "an ended secret is known as ended");
    });
}

const NAMED: &str = include_str!("../../migrations/0033_named.sql");

fn link(to: &Membership, connection: ConnectionId, subject: &str, rank: Rank) -> LinkChange {
    LinkChange::Create(Link {
        connection,
        organization: to.organization,
        subject: subject.to_owned(),
        membership: to.id,
        believed_up_to: rank,
        signed_by: String::new(),
        created_at: NOW,
    })
}

fn believed(database: &Database, token: &Token) -> Rank {
    let secret = token.secret.clone();
    database.read(move |tx| bearer::find(tx, &secret)).unwrap().believed_up_to
}

#[test]
fn a_token_is_believed_as_far_as_the_link_by_which_it_came_and_without_one_as_far_as_it_was() {
    on_each(|database| {
        let House { organization, leaver, other } = house(database, "acme");
        let [low, high, then] = [400, 700, 500].map(|rank| Rank::new(rank).unwrap());
        let [here, elsewhere] = [(), ()].map(|()| fixture::connection(database, organization, &[]).id);
        for change in [
            link(&leaver, here, "low", low),
            link(&leaver, here, "high", high),
            link(&other, here, "others", low),
            link(&leaver, elsewhere, "gone", low),
        ] {
            database.put(change);
        }
        let of = |kind| Token {
            believed_up_to: then,
            ..fixture::token(organization, kind, Holder::Membership(leaver.id))
        };
        for (connection, subject, expected) in [
            (here, "low", low),
            (here, "high", high),
            (here, "others", then),
            (here, "gone", then),
            (elsewhere, "gone", low),
        ] {
            let named = Some(subject.to_owned());
            let session = Token { connection: Some(connection), subject: named, ..of(TokenKind::Session) };
            issue(database, session.clone());
            let key = Token { parent: Some(session.id), ..of(TokenKind::MemberKey) };
            let theirs = Token { parent: Some(session.id), ..of(TokenKind::ScimToken) };
            let again = Token { parent: Some(key.id), ..of(TokenKind::MemberKey) };
            for token in [&key, &theirs, &again] {
                issue(database, token.clone());
            }
            assert_eq!([&session, &key].map(|token| believed(database, token)), [expected; 2], "{subject}");
            assert_eq!(believed(database, &again), then, "{subject}: no session issued it");
            let seen = database.read(move |tx| token::seen_by(tx, organization, theirs.id)).unwrap();
            assert_eq!(seen.believed_up_to, expected, "{subject}");
        }
    });
}

#[test]
fn the_migration_takes_the_least_believed_link_for_that_by_which_a_session_came() {
    on_each(|database| {
        let House { organization, leaver, other } = house(database, "acme");
        let [low, high] = [400, 700].map(|rank| Rank::new(rank).unwrap());
        let [here, elsewhere] = [(), ()].map(|()| fixture::connection(database, organization, &[]).id);
        for change in [
            link(&leaver, here, "high", high),
            link(&leaver, here, "low", low),
            link(&other, here, "others", high),
        ] {
            database.put(change);
        }
        let of = |who: &Membership, kind| fixture::token(organization, kind, Holder::Membership(who.id));
        let from = |who: &Membership, connection| Token {
            connection: Some(connection),
            ..of(who, TokenKind::Session)
        };
        let sessions = [from(&leaver, here), from(&other, here), from(&leaver, elsewhere)];
        let keys = sessions
            .clone()
            .map(|session| Token { parent: Some(session.id), ..of(&leaver, TokenKind::MemberKey) });
        for token in sessions.iter().chain(&keys) {
            issue(database, token.clone());
        }
        let updates = NAMED.split_once("UPDATE").unwrap().1;
        database.note(move |tx| tx.batch(&format!("UPDATE{updates}"))).unwrap();
        let expected = [low, high, Rank::ROOT];
        assert_eq!(sessions.clone().map(|token| believed(database, &token)), expected);
        assert_eq!(keys.clone().map(|token| believed(database, &token)), expected);
        for (who, subject) in [(&leaver, "low"), (&other, "others")] {
            let (id, gone) = (who.id, subject.to_owned());
            database.put(LinkChange::Delete(here, gone));
            assert!(
                !database
                    .read(move |tx| portcullis_store::connection::links_of(tx, id))
                    .iter()
                    .any(|l| l.subject == subject)
            );
        }
        assert_eq!(keys.map(|token| believed(database, &token)), expected, "once the links are gone");
    });
}

#[test]
fn a_token_uses_time_moves_forward_only() {
    on_each(|database| {
        let House { organization, leaver, .. } = house(database, "acme");
        let key = fixture::token(organization, TokenKind::MemberKey, Holder::Membership(leaver.id));
        let id = issue(database, key);
        for at in [later(60), later(30)] {
            database.note(move |tx| token::note_uses(tx, &[(id, at)])).unwrap();
        }
        let seen = database.read(move |tx| token::find(tx, organization, id)).unwrap();
        assert_eq!((seen.last_used_at, seen.issued_at), (Some(later(60)), NOW));
    });
}

#[test]
fn whoever_was_answered_finds_what_they_took_away_counted_where_nobody_else_commits() {
    on_each(|database| {
        let counted = || database.store().lessenings();
        let before = counted();
        assert_eq!(before.is_some(), database.store().dialect() == Dialect::Sqlite, "other nodes commit too");
        let organization = OrganizationId::fresh(NOW, &mut Seeded::next());
        database.note(|tx| instance::put(tx, "note", "put")).unwrap();
        assert_eq!(counted(), before, "a note takes nothing away");
        for times in 1..=3 {
            database.put_in(organization, end(TokenSet::OfOrganization(NOW)));
            assert_eq!(counted(), before.map(|before| before + times));
        }
    });
}

#[test]
fn the_migration_confines_what_was_issued_for_another_environment_to_whoever_is_in_production() {
    const CONFINED: &str = include_str!("../../migrations/0037_confined.sql");
    on_each(|database| {
        let House { organization, leaver, .. } = house(database, "acme");
        let (_, update) = CONFINED.split_once("ADD COLUMN confined_at INT;").unwrap();
        let confined = |environment: Option<Slug>| {
            let key = fixture::token(organization, TokenKind::MemberKey, Holder::Membership(leaver.id));
            let key = Token { environment, ..key };
            let secret = key.secret.clone();
            issue(database, key);
            database.note(move |tx| tx.batch(update)).unwrap();
            database.read(move |tx| bearer::find(tx, &secret)).unwrap().confined_at
        };
        let [staging, production] = ["staging", "production"].map(|slug| slug.parse::<Slug>().unwrap());
        for (environments, expected) in [
            (vec![], Some(NOW)),
            (vec![production.clone(), staging.clone()], Some(NOW)),
            (vec![staging.clone()], None),
        ] {
            let access = Access { environments: environments.clone(), ..leaver.access.clone() };
            database.put(MembershipChange::SetAccess {
                id: leaver.id,
                access: Box::new(access),
                governed_by: None,
                unmapped_at: None,
                ended: None,
                bare_owner_at: None,
                rules_number: 1,
            });
            let found = [Some(staging.clone()), Some(production.clone()), None].map(confined);
            assert_eq!(found, [expected, None, None], "{environments:?}");
        }
    });
}

const CHOSEN_BELOW: &str = include_str!("../../migrations/0036_chosen_below.sql");

#[test]
fn the_migration_keeps_how_high_whoever_chose_the_provider_stood_with_what_came_by_it_meanwhile() {
    on_each(|database| {
        let House { organization, leaver, .. } = house(database, "acme");
        let [low, chosen] = [400, 700].map(|rank| Rank::new(rank).unwrap());
        let connection = fixture::connection(database, organization, &[]);
        let id = connection.id;
        database.put(ConnectionChange::Update(Box::new(connection.chosen_by(chosen, later(10)))));
        for (seconds, before, after) in
            [(0, Rank::ROOT, Rank::ROOT), (20, Rank::ROOT, chosen), (20, low, low)]
        {
            let of = |kind| Token {
                issued_at: later(seconds),
                believed_up_to: before,
                ..fixture::token(organization, kind, Holder::Membership(leaver.id))
            };
            let session = Token { connection: Some(id), ..of(TokenKind::Session) };
            let issued = Token { parent: Some(session.id), ..of(TokenKind::ScimToken) };
            for token in [&session, &issued] {
                issue(database, token.clone());
            }
            database.note(move |tx| tx.batch(CHOSEN_BELOW)).unwrap();
            assert_eq!(
                [&session, &issued].map(|token| believed(database, token)),
                [before, after],
                "{seconds}"
            );
        }
    });
}
