//! Who is in which team, kept beside the access that says so.

use portcullis_domain::access::Access;
use portcullis_domain::change::{MembershipChange, TeamChange};
use portcullis_domain::id::{MembershipId, OrganizationId, TeamId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::team::{Team, TeamRole};
use portcullis_store::membership::{self, MembershipFilter};

use crate::database::{Database, NOW, Seeded, on_each};
use crate::fixture::{self, fresh, slug};

const MIGRATION: &str = include_str!("../../migrations/0004_team_members.sql");

fn set(database: &Database, member: &Membership, teams: &[(&str, TeamRole)]) {
    let teams = teams.iter().map(|(team, role)| (slug(team), *role)).collect();
    database.put(MembershipChange::SetAccess {
        id: member.id,
        access: Box::new(Access { teams, ..Access::none(MembershipState::Active) }),
        governed_by: None,
        unmapped_at: None,
        ended: None,
        bare_owner_at: None,
        rules_number: 1,
    });
}

fn led(database: &Database, organization: OrganizationId, lead: &Membership) -> Vec<MembershipId> {
    let lead = lead.id;
    let filter = MembershipFilter::default();
    let found = database.read(move |tx| membership::list_of_lead(tx, (organization, lead), &filter, "", 100));
    found.into_iter().map(|member| member.id).collect()
}

fn ordered<const N: usize>(members: [&Membership; N]) -> Vec<MembershipId> {
    let mut ids = members.map(|member| member.id).to_vec();
    ids.sort();
    ids
}

#[test]
fn a_lead_is_told_of_the_people_of_the_teams_that_they_administer_as_their_access_stands() {
    on_each(|database| {
        let [acme, other] = ["acme", "other"].map(|name| fixture::organization(database, name).id);
        let [lea, ada, bob] = ["lea", "ada", "bob"].map(|name| fixture::membership(database, acme, name));
        let eve = fixture::membership(database, other, "eve");
        set(database, &lea, &[("eng", TeamRole::Admin), ("ops", TeamRole::Admin), ("hr", TeamRole::Member)]);
        set(database, &ada, &[("eng", TeamRole::Member), ("ops", TeamRole::Member)]);
        set(database, &bob, &[("hr", TeamRole::Member)]);
        set(database, &eve, &[("eng", TeamRole::Member)]);
        assert_eq!(led(database, acme, &lea), ordered([&lea, &ada]), "once each, and nobody's of elsewhere");
        assert_eq!(led(database, other, &lea), vec![], "a lead leads in their own organization");
        assert_eq!(led(database, acme, &ada), vec![], "a member of a team leads nobody");

        set(database, &bob, &[("hr", TeamRole::Member), ("ops", TeamRole::Member)]);
        set(database, &ada, &[]);
        assert_eq!(led(database, acme, &lea), ordered([&lea, &bob]));
        let (lead, after) = (lea.id, led(database, acme, &lea)[0].to_string());
        let page = database.read(move |tx| {
            membership::list_of_lead(tx, (acme, lead), &MembershipFilter::default(), &after, 100)
        });
        assert_eq!(page.len(), 1, "a page begins after its cursor");
    });
}

#[test]
fn the_migration_finds_who_was_in_which_team_before() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        for name in ["eng", "ops", "ops-eu", "hr"] {
            let id = fresh!(TeamId);
            let (slug, name) = (slug(name), name.to_owned());
            database.put(TeamChange::Create(Team { id, organization: acme, slug, name, created_at: NOW }));
        }
        let [lea, ada, bob] = ["lea", "ada", "bob"].map(|name| fixture::membership(database, acme, name));
        set(database, &lea, &[("eng", TeamRole::Admin), ("ops", TeamRole::Admin)]);
        set(database, &ada, &[("eng", TeamRole::Member)]);
        set(database, &bob, &[("hr", TeamRole::Member), ("ops-eu", TeamRole::Admin)]);
        let before = led(database, acme, &lea);
        let from = MIGRATION.find("INSERT INTO").unwrap();
        let filled = MIGRATION[from..].split_once(';').unwrap().0;
        let again = format!("DELETE FROM team_members; {filled};");
        database.note(move |tx| tx.batch(&again)).unwrap();
        assert_eq!((led(database, acme, &lea), before), (ordered([&lea, &ada]), ordered([&lea, &ada])));
        assert_eq!(led(database, acme, &bob), ordered([&bob]), "`ops` is not `ops-eu`");
    });
}
