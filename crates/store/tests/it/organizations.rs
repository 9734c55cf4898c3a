//! Organizations, environments, teams, roles and domains: what is unique, what is in use, what another one sees.

use std::collections::BTreeSet;

use portcullis_domain::change::{
    AgentChange, DomainChange, EnvironmentChange, GrantChange, MappingChange, OrganizationChange, RoleChange,
    TeamChange, TokenChange,
};
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::environment::Environment;
use portcullis_domain::id::{DomainId, EnvironmentId, OrganizationId, RoleId, TeamId};
use portcullis_domain::mapping::MappingSource;
use portcullis_domain::organization::Organization;
use portcullis_domain::permission::Permission;
use portcullis_domain::role::{Giving, Rank, Role};
use portcullis_domain::team::{Team, TeamRole};
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, TokenKind};
use portcullis_store::{StoreError, UniqueKey, domain, environment, organization, role, team};

use crate::database::{NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later, slug};

fn role_of(organization: OrganizationId, name: &str, rank: i64, giving: Giving) -> Role {
    Role {
        id: fresh!(RoleId),
        organization,
        slug: slug(name),
        rank: Rank::new(rank).unwrap(),
        permissions: [Permission::Use, Permission::MembersRead].into(),
        giving,
        built_in_at: None,
        created_at: NOW,
    }
}

fn domain_of(organization: OrganizationId, name: &str) -> Domain {
    Domain {
        id: fresh!(DomainId),
        organization,
        domain: name.to_owned(),
        state: DomainState::Pending,
        txt_value: "portcullis-1".to_owned(),
        proven_at: None,
        created_at: NOW,
    }
}

#[test]
fn an_organization_is_found_by_id_and_slug_until_it_is_deleted_and_its_slug_stays_taken() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme");
        let by_id = acme.id.to_string();
        for text in [by_id.clone(), "acme".to_owned()] {
            assert_eq!(database.read(move |tx| organization::resolve(tx, &text)), Some(acme.clone()));
        }
        assert_eq!(database.read(|tx| organization::resolve(tx, "Not a slug")), None);
        database.put(OrganizationChange::Rename(acme.id, "Acme & Co".to_owned()));
        database.put(OrganizationChange::RaiseRules(acme.id));
        let found = database.read(move |tx| organization::find(tx, acme.id)).unwrap();
        assert_eq!((found.name.as_str(), found.rules_number), ("Acme & Co", 2));

        database.put(OrganizationChange::Delete(acme.id, later(1)));
        for text in [by_id, "acme".to_owned()] {
            assert_eq!(database.read(move |tx| organization::resolve(tx, &text)), None);
        }
        let again = Organization { id: fresh!(OrganizationId), ..acme };
        let taken = database.change(OrganizationChange::Create(again));
        assert_eq!(taken, Err(StoreError::Taken(UniqueKey::OrganizationSlug)));
    });
}

#[test]
fn lists_give_pages_in_order_of_id_without_gap_or_repetition() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let other = fixture::organization(database, "other").id;
        let mut ids = BTreeSet::new();
        for number in 0..7 {
            let id = fresh!(TeamId);
            ids.insert(id.to_string());
            let name = format!("team-{number}");
            database.put(TeamChange::Create(Team {
                id,
                organization: acme,
                slug: slug(&name),
                name,
                created_at: NOW,
            }));
        }
        let mut seen: Vec<String> = Vec::new();
        loop {
            let after = seen.last().cloned();
            let page = database.read(move |tx| team::list(tx, acme, after.as_deref(), 3));
            if page.is_empty() {
                break;
            }
            seen.extend(page.iter().map(|team| team.id.to_string()));
        }
        assert_eq!(seen, ids.into_iter().collect::<Vec<_>>());
        assert_eq!(database.read(move |tx| team::list(tx, other, None, 3)), vec![]);
    });
}

#[test]
fn stale_memberships_are_counted_and_organizations_with_some_take_turns() {
    on_each(|database| {
        let mut both = ["acme", "other"].map(|slug| fixture::organization(database, slug).id);
        both.sort();
        let [first, second] = both;
        for organization in both {
            fixture::membership(database, organization, "ann");
        }
        let next = |after: Option<OrganizationId>, but: &[OrganizationId]| {
            let but = but.to_vec();
            database.read(move |tx| organization::next_stale(tx, after, &but))
        };
        assert_eq!(next(None, &[]), None);
        assert_eq!(database.read(move |tx| organization::rules_pending(tx, first)), 0);
        database.put(OrganizationChange::RaiseRules(first));
        assert_eq!(database.read(move |tx| organization::rules_pending(tx, first)), 1);
        assert_eq!(database.read(move |tx| organization::rules_pending(tx, second)), 0);
        assert_eq!((next(None, &[]), next(Some(first), &[])), (Some(first), None));
        database.put(OrganizationChange::RaiseRules(second));
        assert_eq!((next(None, &[]), next(Some(first), &[])), (Some(first), Some(second)));
        assert_eq!(next(None, &[first]), Some(second), "a damaged one is passed over");
        assert_eq!(next(None, &both), None);
        database.put(OrganizationChange::Delete(first, later(1)));
        assert_eq!(next(None, &[]), Some(second));
    });
}

#[test]
fn a_slug_is_unique_in_its_organization_and_free_in_another() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let other = fixture::organization(database, "other").id;
        let staging = |organization| Environment {
            id: fresh!(EnvironmentId),
            organization,
            slug: slug("staging"),
            name: "Staging".to_owned(),
            created_at: NOW,
        };
        let first = staging(acme);
        database.put(EnvironmentChange::Create(first.clone()));
        database.put(EnvironmentChange::Create(staging(other)));
        let again = database.change(EnvironmentChange::Create(staging(acme)));
        assert_eq!(again, Err(StoreError::Taken(UniqueKey::EnvironmentSlug)));

        database.put(EnvironmentChange::Rename(first.id, "Stage".to_owned()));
        let found = database.read(move |tx| environment::find_by_slug(tx, acme, &slug("staging"))).unwrap();
        assert_eq!(found, Environment { name: "Stage".to_owned(), ..first.clone() });
        assert_eq!(
            database.read(move |tx| environment::find(tx, other, first.id)),
            None,
            "a foreign id is unknown"
        );
        database.put(EnvironmentChange::Delete(first.id));
        assert_eq!(database.read(move |tx| environment::find(tx, acme, first.id)), None);
    });
}

#[test]
fn an_environment_is_used_by_mappings_connections_agents_and_tokens_that_live() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let other = fixture::organization(database, "other").id;
        let used = |organization| {
            database
                .read(move |tx| environment::used_by(tx, organization, &Slug::production(), later(10)))
                .is_some()
        };
        assert!(!used(acme));
        let ann = fixture::membership(database, acme, "ann");
        let mut key = fixture::token(acme, TokenKind::MemberKey, Holder::Membership(ann.id));
        key.expires_at = Some(later(5));
        database.put(TokenChange::Issue(Box::new(key)));
        assert!(!used(acme), "a token that has run out uses nothing");
        let agent = fixture::agent(&ann);
        database.put(AgentChange::Create(agent.clone()));
        assert!(used(acme));
        assert!(!used(other), "another organization's agent is its own");
        database.put(AgentChange::Disable(agent.id, None));
        assert!(!used(acme), "a disabled agent uses nothing");

        let directory = fixture::directory(database, acme, None);
        let mut mapping =
            fixture::mapping(&directory, MappingSource::GroupDisplayName("Staff".to_owned()), "member");
        mapping.gives.environment = Some(Slug::production());
        database.put(MappingChange::Create(Box::new(mapping.clone())));
        assert!(used(acme));
        database.put(MappingChange::Delete(mapping.id));
        assert!(!used(acme));
        fixture::connection(database, acme, &[]);
        assert!(used(acme));
    });
}

#[test]
fn a_role_is_unique_by_slug_and_by_rank() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let auditor = role_of(acme, "auditor", 200, Giving::ExplicitOnly);
        database.put(RoleChange::Create(auditor.clone()));
        assert_eq!(
            database.read(move |tx| role::find_by_slug(tx, acme, &slug("auditor"))),
            Some(auditor.clone())
        );
        let by_slug = database.change(RoleChange::Create(role_of(acme, "auditor", 201, Giving::Anyhow)));
        assert_eq!(by_slug, Err(StoreError::Taken(UniqueKey::RoleSlug)));
        let by_rank = database.change(RoleChange::Create(role_of(acme, "builder", 200, Giving::Anyhow)));
        assert_eq!(by_rank, Err(StoreError::Taken(UniqueKey::RoleRank)));

        let builder = role_of(acme, "builder", 210, Giving::Anyhow);
        database.put(RoleChange::Create(builder.clone()));
        let to =
            |rank| RoleChange::Update(builder.id, Rank::new(rank).unwrap(), [].into(), Giving::ExplicitOnly);
        assert_eq!(database.change(to(200)), Err(StoreError::Taken(UniqueKey::RoleRank)));
        database.put(to(210));
        database.put(to(220));
        let found = database.read(move |tx| role::find(tx, acme, builder.id)).unwrap();
        assert_eq!(
            (found.rank.number(), found.giving, found.permissions.len()),
            (220, Giving::ExplicitOnly, 0)
        );
        let back = RoleChange::Update(builder.id, found.rank, [Permission::Use].into(), Giving::Anyhow);
        database.put(back);
        assert_eq!(database.read(move |tx| role::find(tx, acme, builder.id)).unwrap().giving, Giving::Anyhow);
        database.put(RoleChange::Delete(builder.id));
        assert_eq!(database.read(move |tx| role::list(tx, acme, None, 10)), vec![auditor.clone()]);
    });
}

#[test]
fn a_stored_role_with_the_rank_of_nobody_or_of_the_root_token_is_no_role() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        for (name, rank) in [("nobody", Rank::NONE), ("root", Rank::ROOT)] {
            let damaged = Role { rank, ..role_of(acme, name, 200, Giving::Anyhow) };
            let id = damaged.id;
            database.put(RoleChange::Create(damaged));
            let read = database.note(move |tx| role::find(tx, acme, id));
            assert!(matches!(read, Err(StoreError::Inconsistent(_))), "{read:?}");
        }
    });
}

#[test]
fn a_role_is_used_by_mappings_defaults_members_and_grants_that_have_not_ended() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let used =
            |name: &'static str| database.read(move |tx| role::used_by(tx, acme, &slug(name))).is_some();
        let ann = fixture::membership(database, acme, "ann");
        assert!(used("member"));
        let grant = fixture::grant(&ann, "auditor");
        database.put(GrantChange::Create(grant.clone()));
        assert!(used("auditor"));
        database.put(GrantChange::End(grant.id, NOW));
        assert!(!used("auditor"));
        let directory = fixture::directory(database, acme, Some("guest"));
        assert!(used("guest"));
        let source = MappingSource::GroupId("dg".to_owned());
        database.put(MappingChange::Create(Box::new(fixture::mapping(&directory, source, "builder"))));
        assert!(used("builder"));
        assert!(!used("nobody"));
    });
}

#[test]
fn a_team_is_used_by_the_mapping_that_gives_it() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let used = || database.read(move |tx| team::used_by(tx, acme, &slug("platform"))).is_some();
        let directory = fixture::directory(database, acme, None);
        let mut mapping = fixture::mapping(&directory, MappingSource::GroupId("dg".to_owned()), "member");
        assert!(!used());
        mapping.gives.team = Some((slug("platform"), TeamRole::Admin));
        database.put(MappingChange::Create(Box::new(mapping)));
        assert!(used());
    });
}

#[test]
fn a_domain_is_proven_by_one_organization_at_a_time() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let other = fixture::organization(database, "other").id;
        let (mine, theirs) = (domain_of(acme, "example.com"), domain_of(other, "example.com"));
        database.put(DomainChange::Add(mine.clone()));
        database.put(DomainChange::Add(theirs.clone()));
        let again = database.change(DomainChange::Add(domain_of(acme, "example.com")));
        assert_eq!(again, Err(StoreError::Taken(UniqueKey::DomainName)));
        assert_eq!(
            database.read(|tx| domain::find_proven(tx, "example.com")),
            None,
            "pending proves nothing"
        );

        database.put(DomainChange::Prove(mine.id, later(1)));
        database.put(DomainChange::Prove(mine.id, later(2)));
        let proven = Domain { state: DomainState::Proven, proven_at: Some(later(1)), ..mine.clone() };
        assert_eq!(database.read(|tx| domain::find_proven(tx, "example.com")), Some(proven));
        let second = database.change(DomainChange::Prove(theirs.id, later(3)));
        assert_eq!(second, Err(StoreError::Taken(UniqueKey::DomainProven)));
        assert_eq!(
            database.read(move |tx| domain::find(tx, other, theirs.id)),
            Some(theirs.clone()),
            "nothing is lost"
        );
        assert_eq!(database.read(move |tx| domain::proven_of(tx, acme)), vec!["example.com".to_owned()]);
        assert_eq!(database.read(move |tx| domain::proven_of(tx, other)), Vec::<String>::new());

        database.put(OrganizationChange::Delete(acme, later(4)));
        database.put(DomainChange::Prove(theirs.id, later(5)));
        let owner = database.read(|tx| domain::find_proven(tx, "example.com")).unwrap().organization;
        assert_eq!(owner, other, "a deleted organization does not hold a domain against its owner");
    });
}
