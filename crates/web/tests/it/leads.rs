//! What a lead may do with the people of the teams that they administer, and where it ends.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{MappingChange, OrganizationChange};
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, MappingId, MembershipId};
use portcullis_domain::plan::Plan;
use portcullis_service::provisioning::{GroupSaid, MembersSaid, Speaker, change_group};
use serde_json::{Value, json};

use crate::people::{Told, directory, group, person};
use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";
const MEMBERS: &str = "/api/v1/organizations/acme/members";

/// Two teams as a directory fills them. `lea` and `leo` are leads and admins of `eng`; `ada` and `bob` are its members,
/// `dan` is an organization's admin in it; `cem` is in `sales`.
struct Teams {
    scene: Scene,
    directory: DirectoryId,
    leads: DirectoryGroupId,
    ada: Told,
    bob: Told,
    cem: Told,
    dan: Told,
    lea: Told,
    leo: Told,
    /// A key of `lea`.
    key: String,
}

impl Teams {
    async fn new() -> Self {
        let scene = Scene::new();
        let wish = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
        let made = scene.made(&format!("{ACME}/directories"), wish).await;
        let (org, dir) = (scene.owner.organization, directory(&made));
        let [ada, bob, cem, dan, lea, leo] = ["ada", "bob", "cem", "dan", "lea", "leo"]
            .map(|name| person(&scene.bench, org, dir, &format!("{name}@acme.test")));
        for slug in ["eng", "sales"] {
            scene.made(&format!("{ACME}/teams"), json!({ "slug": slug, "name": slug })).await;
        }
        for (name, role, team, team_role) in [
            ("Eng", "member", "eng", "member"),
            ("Sales", "member", "sales", "member"),
            ("Leads", "lead", "eng", "admin"),
            ("Admins", "admin", "eng", "member"),
        ] {
            let wish = json!({
                "directory": id(&made), "group": { "display_name": name },
                "role": role, "team": team, "team_role": team_role,
            });
            scene.made(&format!("{ACME}/mappings"), wish).await;
        }
        group(&scene.bench, org, dir, "Eng", &[ada.user, bob.user]);
        group(&scene.bench, org, dir, "Sales", &[cem.user]);
        group(&scene.bench, org, dir, "Admins", &[dan.user]);
        let leads = group(&scene.bench, org, dir, "Leads", &[lea.user, leo.user]);
        let key = scene.made(&keys(lea.membership), json!({ "name": "laptop" })).await;
        let key = key["token"].as_str().unwrap().to_owned();
        Self { scene, directory: dir, leads, ada, bob, cem, dan, lea, leo, key }
    }

    async fn lead(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.scene.bench.call(method, path, &self.key, body).await
    }

    async fn suspension(&self, of: &Told, state: &str) -> (u16, Value) {
        self.lead("PATCH", &one(of.membership), json!({ "state": state })).await
    }

    /// A key of that person, made by the root token.
    async fn key_of(&self, who: &Told) -> (String, String) {
        let made = self.scene.made(&keys(who.membership), json!({ "name": "laptop" })).await;
        (id(&made), made["token"].as_str().unwrap().to_owned())
    }
}

fn one(member: MembershipId) -> String {
    format!("{MEMBERS}/{member}")
}

fn keys(member: MembershipId) -> String {
    format!("{MEMBERS}/{member}/keys")
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap_or_else(|| panic!("{page}")).iter().map(id).collect()
}

#[tokio::test]
async fn a_lead_sees_the_people_of_their_teams_page_by_page_and_nobody_else() {
    let teams = Teams::new().await;
    let mut expected =
        [&teams.ada, &teams.bob, &teams.dan, &teams.lea, &teams.leo].map(|told| told.membership.to_string());
    expected.sort();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) =
            teams.lead("GET", &format!("{MEMBERS}?limit=2&cursor={cursor}"), Value::Null).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    let (_, leads) = teams.lead("GET", &format!("{MEMBERS}?role=lead&state=active"), Value::Null).await;
    assert_eq!(ids(&leads).len(), 2, "{leads}");
    let (_, ada) = teams.lead("GET", &format!("{MEMBERS}?email=ADA@acme.test"), Value::Null).await;
    assert_eq!(ids(&ada), [teams.ada.membership.to_string()], "{ada}");
    let (_, cem) = teams.lead("GET", &format!("{MEMBERS}?email=cem@acme.test"), Value::Null).await;
    assert_eq!(cem["items"], json!([]), "of another team");
    assert_eq!(teams.lead("GET", &one(teams.ada.membership), Value::Null).await.0, 200);
    assert_eq!(teams.lead("GET", &one(teams.dan.membership), Value::Null).await.0, 200);

    let nobody = format!("mem_{}", "0".repeat(32));
    let stranger = teams.scene.stranger.membership.to_string();
    let outside = teams.cem.membership.to_string();
    let mut answers = Vec::new();
    for named in [outside.as_str(), &nobody, &stranger, "nonsense"] {
        let path = format!("{MEMBERS}/{named}");
        answers.push(teams.lead("GET", &path, Value::Null).await);
        let suspended = teams.lead("PATCH", &path, json!({ "state": "suspended" })).await;
        refused(suspended, 403, "forbidden");
        refused(teams.lead("PATCH", &path, json!({})).await, 403, "forbidden");
    }
    for answer in &answers {
        refused(answer.clone(), 403, "forbidden");
        assert_eq!(answer, &answers[0], "somebody outside is as unknown as nobody");
    }
    let globex = "/api/v1/organizations/globex/members";
    refused(teams.lead("GET", globex, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn whoever_leads_nobody_sees_nobody() {
    let teams = Teams::new().await;
    let scene = &teams.scene;
    let (_, ada) = teams.key_of(&teams.ada).await;
    refused(scene.bench.call("GET", MEMBERS, &ada, Value::Null).await, 403, "forbidden");
    let bare = scene.bench.member(scene.owner.organization, "bare@acme.test", "lead");
    refused(scene.as_of(&bare, "GET", MEMBERS, Value::Null).await, 403, "forbidden");

    // Out of the group of leads, in its own team no more: from the next call on.
    let (org, dir, leads, lea) = (scene.owner.organization, teams.directory, teams.leads, teams.lea.user);
    scene.bench.write(move |tx, moment| {
        let request = portcullis_domain::id::RequestId::fresh(moment.now, &mut moment.random);
        let said = [GroupSaid::Members(MembersSaid::Remove(vec![lea]))];
        change_group(tx, moment, Speaker::scim(org, dir, request), leads, &said)
    });
    refused(teams.lead("GET", MEMBERS, Value::Null).await, 403, "forbidden");
    refused(teams.suspension(&teams.ada, "suspended").await, 403, "forbidden");
}

#[tokio::test]
async fn a_lead_suspends_and_restores_whoever_stands_below_them_in_their_teams() {
    let teams = Teams::new().await;
    let (_, key) = teams.key_of(&teams.ada).await;
    let (status, suspended) = teams.suspension(&teams.ada, "suspended").await;
    assert_eq!((status, &suspended["state"]), (200, &json!("suspended")), "{suspended}");
    let me = teams.scene.bench.call("GET", "/api/v1/me", &key, Value::Null).await;
    assert_eq!(me.0, 401, "everything of them is refused: {}", me.1);
    let (_, page) = teams.lead("GET", &format!("{MEMBERS}?state=suspended"), Value::Null).await;
    assert_eq!(ids(&page), [teams.ada.membership.to_string()], "still of the team");
    let (status, restored) = teams.suspension(&teams.ada, "active").await;
    assert_eq!((status, &restored["state"]), (200, &json!("active")), "{restored}");
    assert_eq!(teams.scene.bench.call("GET", "/api/v1/me", &key, Value::Null).await.0, 200);

    refused(teams.suspension(&teams.leo, "suspended").await, 403, "above_own_rank");
    refused(teams.suspension(&teams.lea, "suspended").await, 403, "above_own_rank");
    refused(teams.suspension(&teams.dan, "suspended").await, 403, "above_own_rank");
    let leaving = format!("{}/offboard", one(teams.ada.membership));
    refused(teams.lead("POST", &leaving, json!({ "reason": "left" })).await, 403, "forbidden");
    let attaching = format!("{}/attach", one(teams.ada.membership));
    let former = json!({ "former": teams.bob.membership.to_string() });
    refused(teams.lead("POST", &attaching, former).await, 403, "forbidden");
}

#[tokio::test]
async fn a_lead_lifts_no_suspension_that_was_ordered_from_above() {
    let teams = Teams::new().await;
    let scene = &teams.scene;
    let ordered = json!({ "state": "suspended" });
    let path = one(teams.ada.membership);
    assert_eq!(scene.as_of(&scene.admin, "PATCH", &path, ordered.clone()).await.0, 200);
    refused(teams.suspension(&teams.ada, "active").await, 403, "above_own_rank");
    // To suspend whom an administrator has suspended makes it no order of the lead's.
    assert_eq!(teams.suspension(&teams.ada, "suspended").await.0, 200);
    refused(teams.suspension(&teams.ada, "active").await, 403, "above_own_rank");

    let path = one(teams.bob.membership);
    assert_eq!(teams.suspension(&teams.bob, "suspended").await.0, 200);
    let events = format!("{ACME}/audit-events?action=member.suspended&target={}", teams.bob.membership);
    let count = async || ids(&scene.root("GET", &events, Value::Null).await.1).len();
    assert_eq!(count().await, 1);
    let (status, taken_over) = scene.as_of(&scene.admin, "PATCH", &path, ordered.clone()).await;
    assert_eq!((status, &taken_over["state"]), (200, &json!("suspended")), "{taken_over}");
    assert_eq!(count().await, 2, "the administrator's order is one of its own");
    assert_eq!(scene.as_of(&scene.admin, "PATCH", &path, ordered).await.0, 200);
    assert_eq!(count().await, 2, "said again, nothing is written");
    refused(teams.suspension(&teams.bob, "active").await, 403, "above_own_rank");
    let (status, back) = scene.as_of(&scene.admin, "PATCH", &path, json!({ "state": "active" })).await;
    assert_eq!((status, &back["state"]), (200, &json!("active")), "{back}");
}

#[tokio::test]
async fn a_lead_sees_and_ends_keys_and_tokens_of_the_people_below_them_and_issues_none() {
    let teams = Teams::new().await;
    let me = async |key: &str| teams.scene.bench.call("GET", "/api/v1/me", key, Value::Null).await.0;
    for (noun, way) in [("keys", "key"), ("tokens", "token")] {
        let (token, secret) = teams.key_of(&teams.ada).await;
        let list = match way {
            "key" => keys(teams.ada.membership),
            _ => format!("{ACME}/tokens?holder={}", teams.ada.membership),
        };
        let (status, page) = teams.lead("GET", &list, Value::Null).await;
        assert_eq!(status, 200, "{noun}: {page}");
        assert!(ids(&page).contains(&token), "{noun}: {page}");
        let one = match way {
            "key" => format!("{}/{token}", keys(teams.ada.membership)),
            _ => format!("{ACME}/tokens/{token}"),
        };
        assert_eq!(teams.lead("GET", &one, Value::Null).await.0, 200, "{noun}");
        assert_eq!(me(&secret).await, 200);
        assert_eq!(teams.lead("DELETE", &one, Value::Null).await.0, 204, "{noun}");
        assert_eq!(me(&secret).await, 401, "{noun}");
    }
    let acting = teams.lead("POST", &keys(teams.ada.membership), json!({ "name": "mine" })).await;
    refused(acting, 403, "forbidden");

    for (who, code) in
        [(&teams.leo, "above_own_rank"), (&teams.dan, "above_own_rank"), (&teams.cem, "forbidden")]
    {
        let (token, secret) = teams.key_of(who).await;
        let own = keys(who.membership);
        refused(teams.lead("GET", &own, Value::Null).await, 403, code);
        refused(teams.lead("GET", &format!("{own}/{token}"), Value::Null).await, 403, code);
        refused(teams.lead("DELETE", &format!("{own}/{token}"), Value::Null).await, 403, code);
        let listed = format!("{ACME}/tokens?holder={}", who.membership);
        refused(teams.lead("GET", &listed, Value::Null).await, 403, "forbidden");
        refused(teams.lead("GET", &format!("{ACME}/tokens/{token}"), Value::Null).await, 403, "forbidden");
        refused(teams.lead("DELETE", &format!("{ACME}/tokens/{token}"), Value::Null).await, 403, code);
        assert_eq!(me(&secret).await, 200);
    }
}

#[tokio::test]
async fn whoever_left_the_team_is_out_of_the_leads_reach_before_a_change_of_rules_is_stored() {
    let teams = Teams::new().await;
    let (scene, org) = (&teams.scene, teams.scene.owner.organization);
    let agents = format!("{ACME}/agents");
    let agent = json!({ "name": "bot", "owner": teams.ada.membership.to_string() });
    let agent = format!("{agents}/{}", id(&scene.made(&agents, agent).await));
    let agent_key = id(&scene.made(&format!("{agent}/keys"), json!({ "name": "run" })).await);
    let (key, _) = teams.key_of(&teams.ada).await;
    let token = |id: &str| format!("{ACME}/tokens/{id}");
    let ways = [
        ("GET", agent.clone()),
        ("GET", format!("{agent}/keys")),
        ("GET", keys(teams.ada.membership)),
        ("GET", format!("{}/{key}", keys(teams.ada.membership))),
        ("GET", token(&key)),
        ("GET", token(&agent_key)),
        ("DELETE", token(&key)),
        ("DELETE", format!("{agent}/keys/{agent_key}")),
        ("DELETE", token(&agent_key)),
        ("DELETE", agent.clone()),
    ];
    for (method, path) in ways.iter().filter(|(method, _)| *method == "GET") {
        assert_eq!(teams.lead(method, path, Value::Null).await.0, 200, "{method} {path}");
    }
    // As where it touches more people than one transaction carries: nobody is settled yet.
    let mappings = scene.all(&format!("{ACME}/mappings")).await;
    let eng = mappings.iter().find(|m| m["group"]["display_name"] == json!("Eng")).unwrap();
    let eng: MappingId = id(eng).parse().unwrap();
    scene.bench.write(move |tx, moment| {
        let changes = vec![MappingChange::Delete(eng).into(), OrganizationChange::RaiseRules(org).into()];
        let event = EventDraft::new(Action::MappingDeleted, eng);
        moment.apply(tx, &Plan::because(org, Cause::system()).then_all(event, changes))?;
        Ok(())
    });
    for (method, path) in &ways {
        let answer = teams.lead(method, path, Value::Null).await;
        assert_eq!(answer.0, 403, "{method} {path}: {}", answer.1);
    }
    let (_, seen) = teams.lead("GET", &agents, Value::Null).await;
    assert_eq!(seen["items"], json!([]), "{seen}");
}
