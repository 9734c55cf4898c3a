//! `/organizations/{org}/mappings` and their preview.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::DirectoryChange;
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::id::DirectoryId;
use portcullis_domain::mapping::Facet;
use portcullis_domain::plan::Plan;
use portcullis_domain::text::Slug;
use portcullis_store::statement::Statement;
use portcullis_testkit::{Bench, Persona};
use serde_json::{Value, json};

use crate::people::{Told, directory, group, person, person_with, standing, stored};
use crate::support::{Scene, holds_the_common_rules, id, refused};

const MAPPINGS: &str = "/api/v1/organizations/acme/mappings";

/// A directory with two people in the group `Platform` and one in none.
async fn platform(scene: &Scene) -> (String, DirectoryId, [Told; 3]) {
    let wish = json!({ "kind": "scim", "name": "Okta" });
    let made = scene.made("/api/v1/organizations/acme/directories", wish).await;
    let (org, dir) = (scene.owner.organization, directory(&made));
    let people =
        ["ada@acme.test", "bob@acme.test", "cem@acme.test"].map(|e| person(&scene.bench, org, dir, e));
    group(&scene.bench, org, dir, "Platform", &[people[0].user, people[1].user]);
    for (noun, slug) in [("teams", "platform"), ("environments", "staging")] {
        let wish = json!({ "slug": slug, "name": slug });
        scene.made(&format!("/api/v1/organizations/acme/{noun}"), wish).await;
    }
    (id(&made), dir, people)
}

fn to(directory: &str, gives: Value) -> Value {
    let mut wish = json!({ "directory": directory, "group": { "display_name": "platform" } });
    wish.as_object_mut().unwrap().extend(gives.as_object().unwrap().clone());
    wish
}

#[tokio::test]
async fn a_mapping_gives_at_once_and_its_end_takes_at_once() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let (dir, _, [ada, bob, cem]) = platform(&scene).await;
    let gives =
        json!({ "role": "member", "team": "platform", "team_role": "admin", "environment": "staging" });
    let (status, made) = scene.as_of(&scene.admin, "POST", MAPPINGS, to(&dir, gives)).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["group"], json!({ "display_name": "platform" }));
    assert_eq!(made["warnings"][0]["code"], "group_by_name", "a name changes hands: {made}");
    for told in [&ada, &bob] {
        assert_eq!(standing(&scene.bench, org, told.membership), ("active".into(), Some("member".into())));
    }
    let access = stored(&scene.bench, org, ada.membership).access;
    assert_eq!(access.teams.len(), 1);
    assert_eq!(access.environments, ["staging".parse().unwrap()]);
    assert_eq!(standing(&scene.bench, org, cem.membership).0, "suspended");
    for (noun, slug) in [("teams", "platform"), ("environments", "staging")] {
        let all = scene.all(&format!("/api/v1/organizations/acme/{noun}")).await;
        let used = all.iter().find(|item| item["slug"] == json!(slug)).unwrap();
        let one = format!("/api/v1/organizations/acme/{noun}/{}", id(used));
        refused(scene.root("DELETE", &one, Value::Null).await, 409, "in_use");
    }

    let one = format!("{MAPPINGS}/{}", id(&made));
    let (status, changed) =
        scene.as_of(&scene.admin, "PATCH", &one, json!({ "role": "lead", "team": null })).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        (&changed["role"], &changed["team"], &changed["team_role"]),
        (&json!("lead"), &Value::Null, &Value::Null)
    );
    assert_eq!(changed["environment"], json!("staging"));
    assert_eq!(scene.root("GET", &one, Value::Null).await.1, changed);
    assert_eq!(standing(&scene.bench, org, ada.membership).1.as_deref(), Some("lead"));
    assert!(stored(&scene.bench, org, ada.membership).access.teams.is_empty());

    assert_eq!(scene.as_of(&scene.admin, "DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(standing(&scene.bench, org, ada.membership).0, "suspended");
    refused(scene.root("GET", &one, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn a_mapping_that_changes_its_group_leaves_the_one_and_reaches_the_other() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let (dir, id_of_dir, [ada, _, cem]) = platform(&scene).await;
    let sales = group(&scene.bench, org, id_of_dir, "Sales", &[cem.user]);
    let made = scene.made(MAPPINGS, to(&dir, json!({ "role": "member" }))).await;
    let one = format!("{MAPPINGS}/{}", id(&made));
    let (status, changed) = scene.root("PATCH", &one, json!({ "group": { "id": sales.to_string() } })).await;
    assert_eq!((status, &changed["group"]), (200, &json!({ "id": sales.to_string() })));
    assert_eq!(standing(&scene.bench, org, ada.membership).0, "suspended");
    assert_eq!(standing(&scene.bench, org, cem.membership).0, "active");
}

#[tokio::test]
async fn a_preview_says_who_would_gain_and_lose_what_and_changes_nothing() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let (dir, _, [ada, bob, _]) = platform(&scene).await;
    let one = format!("/api/v1/organizations/acme/directories/{dir}");
    scene.root("PATCH", &one, json!({ "default_role": "member" })).await;
    let before = standing(&scene.bench, org, ada.membership);
    let wish = to(&dir, json!({ "team": "platform" }));
    let path = format!("{MAPPINGS}/preview");
    let (status, seen) = scene.as_of(&scene.viewer, "POST", &path, wish.clone()).await;
    assert_eq!(status, 200, "{seen}");
    assert_eq!((&seen["people"], &seen["changing"], &seen["next"]), (&json!(2), &json!(2), &Value::Null));
    let first = &seen["items"][0];
    assert_eq!(
        first["gains"],
        json!({ "teams": [{ "slug": "platform", "role": "member" }], "environments": [] })
    );
    // People in a mapped group do not have the default.
    assert_eq!(first["loses"], json!({ "role": "member", "teams": [], "environments": [] }));

    let (_, page) = scene.as_of(&scene.viewer, "POST", &format!("{path}?limit=1"), wish.clone()).await;
    let cursor = page["next"].as_str().unwrap();
    let (_, rest) =
        scene.as_of(&scene.viewer, "POST", &format!("{path}?limit=1&cursor={cursor}"), wish).await;
    assert_eq!(rest["next"], Value::Null);
    let mut people = [&page, &rest].map(|p| p["items"][0]["member"].as_str().unwrap().to_owned());
    let mut expected = [ada.membership.to_string(), bob.membership.to_string()];
    people.sort();
    expected.sort();
    assert_eq!(people, expected);
    assert_eq!(standing(&scene.bench, org, ada.membership), before);
    assert!(scene.all(MAPPINGS).await.is_empty());

    let nobody = json!({ "directory": dir, "group": { "external_id": "none" }, "role": "admin" });
    let (_, seen) = scene.root("POST", &path, nobody).await;
    assert_eq!((&seen["people"], &seen["items"]), (&json!(0), &json!([])));
    refused(
        scene.root("POST", &path, to(&dir, json!({ "role": "owner" }))).await,
        422,
        "role_is_explicit_only",
    );
}

#[tokio::test]
async fn a_mapping_is_refused_where_it_must_be() {
    let scene = Scene::new();
    let (dir, _, _) = platform(&scene).await;
    let made = scene.made(MAPPINGS, to(&dir, json!({ "role": "member" }))).await;
    scene.made(MAPPINGS, to(&dir, json!({ "role": "viewer" }))).await;
    scene.made(MAPPINGS, to(&dir, json!({ "team": "platform" }))).await;
    assert_eq!(scene.all(MAPPINGS).await.len(), 3);
    holds_the_common_rules(&scene, "mappings", &made).await;
    let post = |body: Value| scene.root("POST", MAPPINGS, body);
    refused(post(to(&dir, json!({ "role": "owner" }))).await, 422, "role_is_explicit_only");
    refused(post(to(&dir, json!({}))).await, 422, "mapping_gives_nothing");
    refused(post(to(&dir, json!({ "policy": "strict" }))).await, 422, "not_available");
    refused(post(to(&dir, json!({ "role": "nothing" }))).await, 404, "not_found");
    refused(post(to(&dir, json!({ "team_role": "admin", "role": "viewer" }))).await, 400, "invalid_field");
    let two = json!({ "directory": dir, "group": { "id": "x", "display_name": "y" }, "role": "viewer" });
    refused(post(two).await, 400, "invalid_field");
    let none = json!({ "directory": dir, "role": "viewer" });
    refused(post(none).await, 400, "invalid_field");
    let unit = json!({ "directory": dir, "org_unit": "/x", "role": "viewer" });
    refused(post(unit).await, 422, "no_org_units");
    let unknown_group = json!({ "directory": dir, "group": { "id": "dg_0" }, "role": "viewer" });
    refused(post(unknown_group).await, 404, "not_found");
    let theirs = "/api/v1/organizations/globex/mappings";
    let foreign = scene.as_of(&scene.stranger, "POST", theirs, to(&dir, json!({ "role": "viewer" }))).await;
    refused(foreign, 404, "not_found");
}

#[tokio::test]
async fn nobody_maps_to_a_role_above_their_own_or_takes_such_a_mapping_away() {
    let scene = Scene::new();
    let (dir, _, _) = platform(&scene).await;
    let steward =
        json!({ "slug": "steward", "rank": 400, "permissions": ["mappings.read", "mappings.write"] });
    scene.made("/api/v1/organizations/acme/roles", steward).await;
    let steward = scene.bench.member(scene.owner.organization, "steward@acme.test", "steward");
    let admins = to(&dir, json!({ "role": "admin" }));
    refused(scene.as_of(&steward, "POST", MAPPINGS, admins.clone()).await, 403, "above_own_rank");
    let made = scene.made(MAPPINGS, admins).await;
    let one = format!("{MAPPINGS}/{}", id(&made));
    refused(scene.as_of(&steward, "PATCH", &one, json!({ "role": "viewer" })).await, 403, "above_own_rank");
    refused(scene.as_of(&steward, "DELETE", &one, Value::Null).await, 403, "above_own_rank");
    let (status, own) = scene.as_of(&steward, "POST", MAPPINGS, to(&dir, json!({ "role": "viewer" }))).await;
    assert_eq!(status, 201, "{own}");
    let own = format!("{MAPPINGS}/{}", id(&own));
    refused(scene.as_of(&steward, "PATCH", &own, json!({ "role": "admin" })).await, 403, "above_own_rank");
}

/// Ada, an owner by a grant, and Bob, whom only the directory's default role makes a lead, both in `Platform`; and somebody
/// below them who may change mappings.
async fn founders(scene: &Scene) -> (String, DirectoryId, [Told; 2], Persona) {
    let (dir, id_of_dir, [ada, bob, _]) = platform(scene).await;
    let one = format!("/api/v1/organizations/acme/directories/{dir}");
    assert_eq!(scene.root("PATCH", &one, json!({ "default_role": "lead" })).await.0, 200);
    let grant = json!({ "member": ada.membership.to_string(), "role": "owner", "reason": "founder" });
    scene.made("/api/v1/organizations/acme/grants", grant).await;
    let steward =
        json!({ "slug": "steward", "rank": 350, "permissions": ["mappings.read", "mappings.write"] });
    scene.made("/api/v1/organizations/acme/roles", steward).await;
    let steward = scene.bench.member(scene.owner.organization, "steward@acme.test", "steward");
    (dir, id_of_dir, [ada, bob], steward)
}

#[tokio::test]
async fn a_mapping_from_below_puts_nobody_out_of_an_environment_and_leaves_nobody_a_lower_role() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let (dir, id_of_dir, [ada, bob], steward) = founders(&scene).await;
    for (name, told) in [("Founders", &ada), ("Leads", &bob)] {
        group(&scene.bench, org, id_of_dir, name, &[told.user]);
    }
    let of = |group: &str, gives: Value| {
        let mut wish = to(&dir, gives);
        wish["group"] = json!({ "display_name": group });
        wish
    };
    let (apart, team) = (json!({ "environment": "staging" }), json!({ "team": "platform" }));
    for wish in [of("Founders", apart.clone()), of("Leads", team.clone()), of("Leads", apart.clone())] {
        refused(scene.as_of(&steward, "POST", MAPPINGS, wish.clone()).await, 403, "above_own_rank");
    }
    assert_eq!(standing(&scene.bench, org, bob.membership), ("active".into(), Some("lead".into())));
    let production: Vec<Slug> = vec![Slug::production()];
    assert_eq!(stored(&scene.bench, org, ada.membership).access.environments, production);
    // Beside what they have it takes nothing; and what they have is not taken from there.
    let (status, given) = scene.as_of(&steward, "POST", MAPPINGS, of("Founders", team)).await;
    assert_eq!(status, 201, "the owner's role is a grant: {given}");
    let kept = scene.made(MAPPINGS, of("Founders", json!({ "environment": "production" }))).await;
    let (status, beside) = scene.as_of(&steward, "POST", MAPPINGS, of("Founders", apart.clone())).await;
    assert_eq!(status, 201, "{beside}");
    let kept = format!("{MAPPINGS}/{}", id(&kept));
    refused(scene.as_of(&steward, "DELETE", &kept, Value::Null).await, 403, "above_own_rank");
    refused(scene.as_of(&steward, "PATCH", &kept, apart).await, 403, "above_own_rank");
    for by in [&steward, &scene.admin] {
        let taken = scene.as_of(by, "DELETE", &format!("{MAPPINGS}/{}", id(&beside)), Value::Null).await;
        refused(taken, 403, "above_own_rank");
    }
    assert_eq!(scene.as_of(&scene.owner, "DELETE", &kept, Value::Null).await.0, 204, "as high as they stand");
    assert_eq!(stored(&scene.bench, org, ada.membership).access.environments, ["staging".parse().unwrap()]);
}

#[tokio::test]
async fn a_mapping_from_below_of_more_people_than_one_transaction_carries_takes_nothing_from_above_either() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let (_, _, _, steward) = founders(&scene).await;
    // Another directory tells of an owner, and does not govern them.
    let domain = json!({ "domain": "acme.test", "vouched": true });
    scene.made("/api/v1/organizations/acme/domains", domain).await;
    let other = json!({ "kind": "scim", "name": "Entra" });
    let other = scene.made("/api/v1/organizations/acme/directories", other).await;
    let told = person(&scene.bench, org, directory(&other), "owner@acme.test");
    assert_eq!(told.membership, scene.owner.membership);
    let mut users: Vec<_> = (0..501)
        .map(|n| person(&scene.bench, org, directory(&other), &format!("p{n}@acme.test")).user)
        .collect();
    users.push(told.user);
    group(&scene.bench, org, directory(&other), "Everybody", &users);
    let mut wish = to(&id(&other), json!({ "environment": "staging" }));
    wish["group"] = json!({ "display_name": "Everybody" });
    refused(scene.as_of(&steward, "POST", MAPPINGS, wish.clone()).await, 403, "above_own_rank");
    assert_eq!(scene.as_of(&scene.owner, "POST", MAPPINGS, wish).await.0, 201, "as high as they stand");
}

#[tokio::test]
async fn a_mapping_that_another_one_repeats_says_so_until_one_of_the_two_gives_something_else() {
    let scene = Scene::new();
    let (dir, _, _) = platform(&scene).await;
    let wish = json!({ "directory": dir, "group": { "external_id": "ext-Platform" }, "role": "member" });
    let preview = format!("{MAPPINGS}/preview");
    let first = scene.made(MAPPINGS, wish.clone()).await;
    assert_eq!(first["warnings"], json!([]));
    let other = json!({ "directory": dir, "group": { "external_id": "ext-Platform" }, "role": "viewer" });
    assert_eq!(
        scene.root("POST", &preview, other.clone()).await.1["warnings"],
        json!([]),
        "it gives something else"
    );
    let (_, seen) = scene.root("POST", &preview, wish.clone()).await;
    assert_eq!(seen["warnings"][0]["code"], "mapped_twice", "told before it is made: {seen}");
    let second = scene.made(MAPPINGS, wish).await;
    assert!(second["warnings"][0]["message"].as_str().unwrap().contains(&id(&first)), "{second}");
    for mapping in scene.all(MAPPINGS).await {
        assert_eq!(mapping["warnings"][0]["code"], "mapped_twice", "{mapping}");
    }
    let path = format!("{MAPPINGS}/{}", id(&second));
    let (_, changed) = scene.root("PATCH", &path, other).await;
    assert_eq!(changed["warnings"], json!([]), "{changed}");
    assert_eq!(
        scene.root("GET", &format!("{MAPPINGS}/{}", id(&first)), Value::Null).await.1["warnings"],
        json!([])
    );
}

#[tokio::test]
async fn a_mapping_over_more_people_than_one_transaction_carries_is_answered_at_once_and_stored_later() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let (dir, id_of_dir, _) = platform(&scene).await;
    let told: Vec<_> =
        (0..501).map(|n| person(&scene.bench, org, id_of_dir, &format!("p{n}@acme.test"))).collect();
    let users: Vec<_> = told.iter().map(|t| t.user).collect();
    group(&scene.bench, org, id_of_dir, "Everybody", &users);
    let wish = json!({ "directory": dir, "group": { "display_name": "everybody" }, "role": "member" });
    let (_, seen) = scene.root("POST", &format!("{MAPPINGS}/preview?limit=200"), wish.clone()).await;
    assert_eq!((&seen["people"], &seen["changing"]), (&json!(501), &Value::Null));
    assert_eq!(
        seen["items"].as_array().unwrap().len(),
        200,
        "a page of a preview is as long as that of any list"
    );
    assert_eq!(seen["warnings"][0]["code"], "group_by_name", "told before it is made");
    let safe = json!({ "directory": dir, "group": { "external_id": "ext-Everybody" }, "role": "member" });
    let (status, seen) = scene.root("POST", &format!("{MAPPINGS}/preview"), safe).await;
    assert_eq!((status, &seen["warnings"]), (200, &json!([])), "{seen}");
    let mut before = written(&scene.bench);
    let made = scene.made(MAPPINGS, wish).await;
    assert_eq!(made["rules_pending"], json!(true));
    let (events, people) = written(&scene.bench);
    assert_eq!(
        (events - before.0, people),
        (1, before.1),
        "the mapping's own event, and nobody's access is written before the answer"
    );
    let last = told.last().unwrap().membership;
    assert_eq!(standing(&scene.bench, org, last).0, "suspended", "not stored yet");
    let (_, member) =
        scene.root("GET", &format!("/api/v1/organizations/acme/members/{last}"), Value::Null).await;
    assert_eq!(
        (&member["state"], &member["role"]),
        (&json!("active"), &json!("member")),
        "resolved where it is read"
    );
    for _ in 0..3 {
        scene.bench.write(move |tx, moment| portcullis_service::rules::step(tx, moment, org, 500));
    }
    assert_eq!(standing(&scene.bench, org, last), ("active".into(), Some("member".into())));
    let stood = std::mem::replace(&mut before, written(&scene.bench)).1;
    assert_eq!(before.1, stood + 501);
    assert_eq!(scene.root("DELETE", &format!("{MAPPINGS}/{}", id(&made)), Value::Null).await.0, 204);
    let (events, people) = written(&scene.bench);
    assert_eq!((events - before.0, people), (1, before.1), "and it goes as it came");
    let path = format!("/api/v1/organizations/acme/members/{last}");
    assert_eq!(scene.root("GET", &path, Value::Null).await.1["state"], "suspended", "read as it will be");
}

/// How many events are in the log of mappings and members, and how many people are stored as members of that role.
fn written(bench: &Bench) -> (i64, i64) {
    const COUNT: Statement = Statement::read(
        "test.written",
        "SELECT (SELECT COUNT(*) FROM audit_events WHERE action LIKE 'mapping.%' OR action LIKE 'member.%'), \
         (SELECT COUNT(*) FROM memberships WHERE role = 'member' AND state = 'active')",
    );
    bench.write(|tx, _| {
        let rows = tx.rows(&COUNT, &[])?;
        let [row] = rows.as_slice() else { unreachable!("two counts are one row") };
        Ok((row.int(0)?, row.int(1)?))
    })
}

/// A Google directory, made past the API: what it is asked for makes no difference here.
fn google(scene: &Scene) -> DirectoryId {
    let organization = scene.owner.organization;
    scene.bench.write(move |tx, moment| {
        let made = Directory {
            id: DirectoryId::fresh(moment.now, &mut moment.random),
            organization,
            kind: DirectoryKind::Google,
            name: "Google".to_owned(),
            default_role: None,
            settle_s: 3600,
            brake: None,
            nested_at: None,
            connection: None,
            created_at: moment.now,
        };
        let id = made.id;
        let event = EventDraft::new(Action::DirectoryCreated, id);
        let plan = Plan::because(organization, Cause::system()).then(event, DirectoryChange::Create(made));
        moment.apply(tx, &plan)?;
        Ok(id)
    })
}

#[tokio::test]
async fn a_unit_of_google_holds_the_people_of_its_sub_units_and_no_attribute_is_known_there() {
    let scene = Scene::new();
    let (org, dir) = (scene.owner.organization, google(&scene));
    let told = |email: &str, unit: &str| person_with(&scene.bench, org, dir, email, Facet::units(unit));
    let ada = told("ada@acme.test", "/Sales/EMEA");
    let wish = |unit: &str| json!({ "directory": dir.to_string(), "org_unit": unit, "role": "member" });
    let (_, seen) = scene.root("POST", &format!("{MAPPINGS}/preview"), wish("/Sales")).await;
    assert_eq!((&seen["people"], &seen["changing"]), (&json!(1), &json!(1)));
    let made = scene.made(MAPPINGS, wish("/Sales/")).await;
    assert_eq!(made["org_unit"], json!("/Sales"));
    let bob = told("bob@acme.test", "/Sales");
    let cem = told("cem@acme.test", "/Salesforce");
    for (who, state) in [(&ada, "active"), (&bob, "active"), (&cem, "suspended")] {
        assert_eq!(standing(&scene.bench, org, who.membership).0, state);
    }
    refused(scene.root("POST", MAPPINGS, wish("Sales")).await, 400, "invalid_field");
    let attribute = json!({
        "directory": dir.to_string(), "attribute": { "name": "title", "value": "x" }, "role": "member",
    });
    refused(scene.root("POST", MAPPINGS, attribute).await, 400, "invalid_field");
    let one = format!("{MAPPINGS}/{}", id(&made));
    let (status, changed) = scene.root("PATCH", &one, json!({ "org_unit": "/Sales/EMEA" })).await;
    assert_eq!((status, &changed["org_unit"]), (200, &json!("/Sales/EMEA")));
    assert_eq!(standing(&scene.bench, org, ada.membership).0, "active");
    assert_eq!(standing(&scene.bench, org, bob.membership).0, "suspended");
}

/// Somebody of rank 400 who may make directories, and one that they made: its id and its token's.
async fn of_helpdesk(scene: &Scene) -> (Persona, String, String) {
    let permissions = json!(["use", "directories.read", "directories.write"]);
    let role = json!({ "slug": "helpdesk", "rank": 400, "permissions": permissions });
    scene.made("/api/v1/organizations/acme/roles", role).await;
    let helpdesk = scene.bench.member(scene.owner.organization, "helpdesk@acme.test", "helpdesk");
    let wish = json!({ "kind": "scim", "name": "Okta" });
    let path = "/api/v1/organizations/acme/directories";
    let (status, made) = scene.as_of(&helpdesk, "POST", path, wish).await;
    assert_eq!(status, 201, "{made}");
    let dir = id(&made);
    let tokens = scene.all(&format!("{path}/{dir}/tokens")).await;
    assert_eq!((tokens.len(), &tokens[0]["shown_to"]), (1, &json!(helpdesk.membership.to_string())));
    (helpdesk, dir, id(&tokens[0]))
}

#[tokio::test]
async fn no_directory_comes_to_give_more_than_whoever_saw_a_token_of_it_has() {
    let scene = Scene::new();
    let (_, dir, token) = of_helpdesk(&scene).await;
    let one = format!("/api/v1/organizations/acme/directories/{dir}");
    let seen_below = |(status, body): (u16, Value)| {
        assert!(body["detail"].as_str().unwrap_or_default().contains(&token), "which token: {body}");
        refused((status, body), 409, "token_seen_below");
    };
    seen_below(scene.as_of(&scene.admin, "POST", MAPPINGS, to(&dir, json!({ "role": "admin" }))).await);
    let default = json!({ "default_role": "lead" });
    seen_below(scene.as_of(&scene.admin, "PATCH", &one, default.clone()).await);
    let junior = json!({ "slug": "junior", "rank": 399, "permissions": ["use"] });
    let junior = scene.made("/api/v1/organizations/acme/roles", junior).await;
    let made = scene.made(MAPPINGS, to(&dir, json!({ "role": "junior" }))).await;
    let mapping = format!("{MAPPINGS}/{}", id(&made));
    seen_below(scene.as_of(&scene.admin, "PATCH", &mapping, json!({ "role": "lead" })).await);
    let role = format!("/api/v1/organizations/acme/roles/{}", id(&junior));
    seen_below(scene.as_of(&scene.owner, "PATCH", &role, json!({ "rank": 450 })).await);
    assert_eq!(scene.root("GET", &mapping, Value::Null).await.1["role"], "junior", "nothing was changed");
    assert_eq!(scene.root("GET", &role, Value::Null).await.1["rank"], 399, "nothing was changed");

    // What gives no more than before, and what another directory gives, is not held up.
    let wish = json!({ "kind": "scim", "name": "Entra" });
    let other = scene.made("/api/v1/organizations/acme/directories", wish).await;
    let gives = json!({ "role": "admin" });
    assert_eq!(scene.as_of(&scene.admin, "POST", MAPPINGS, to(&id(&other), gives.clone())).await.0, 201);
    assert_eq!(scene.root("PATCH", &mapping, json!({ "role": "member" })).await.0, 200);
    assert_eq!(scene.root("PATCH", &role, json!({ "rank": 450 })).await.0, 200, "gives it no more");

    // Another token, of somebody who stands as high, in the place of that one.
    let (status, new) = scene.as_of(&scene.admin, "POST", &format!("{one}/tokens"), json!({})).await;
    assert_eq!(status, 201, "{new}");
    seen_below(scene.as_of(&scene.admin, "POST", MAPPINGS, to(&dir, gives.clone())).await);
    assert_eq!(scene.root("DELETE", &format!("{one}/tokens/{token}"), Value::Null).await.0, 204);
    assert_eq!(scene.as_of(&scene.admin, "POST", MAPPINGS, to(&dir, gives)).await.0, 201);
    assert_eq!(scene.as_of(&scene.admin, "PATCH", &one, default).await.0, 200);
}

#[tokio::test]
async fn a_token_that_a_leaver_saw_keeps_a_directory_from_giving_more_until_it_is_another() {
    let scene = Scene::new();
    let (helpdesk, dir, token) = of_helpdesk(&scene).await;
    scene.made(MAPPINGS, to(&dir, json!({ "role": "member" }))).await;
    let path = format!("/api/v1/organizations/acme/members/{}/offboard", helpdesk.membership);
    assert_eq!(scene.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
    let mut sales = to(&dir, json!({ "role": "member" }));
    sales["group"] = json!({ "display_name": "sales" });
    assert_eq!(scene.root("POST", MAPPINGS, sales.clone()).await.0, 201, "no more than it gives already");
    sales["role"] = json!("helpdesk");
    refused(scene.root("POST", MAPPINGS, sales.clone()).await, 409, "token_seen_below");
    let one = format!("/api/v1/organizations/acme/directories/{dir}/tokens/{token}");
    assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(scene.root("POST", MAPPINGS, sales).await.0, 201);
}

#[tokio::test]
async fn a_mapping_of_a_group_that_the_directory_does_not_tell_of_says_so_until_it_does() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let (dir, id_of_dir, [ada, ..]) = platform(&scene).await;
    let codes = |answer: &Value| -> Vec<String> {
        let warnings = answer["warnings"].as_array().unwrap();
        warnings.iter().map(|w| w["code"].as_str().unwrap().to_owned()).collect()
    };
    let wish = json!({ "directory": dir, "group": { "external_id": "ext-Plattform" }, "role": "member" });
    let (_, seen) = scene.root("POST", &format!("{MAPPINGS}/preview"), wish.clone()).await;
    assert_eq!((&seen["people"], codes(&seen)), (&json!(0), vec!["group_unknown".to_owned()]));
    let made = scene.made(MAPPINGS, wish).await;
    assert_eq!(codes(&made), ["group_unknown"]);
    assert!(made["warnings"][0]["message"].as_str().unwrap().contains("`ext-Plattform`"), "{made}");
    let by_name = json!({ "directory": dir, "group": { "display_name": "Plattform" }, "team": "platform" });
    assert_eq!(codes(&scene.made(MAPPINGS, by_name).await), ["group_by_name", "group_unknown"]);
    let people = json!({
        "directory": dir, "role": "member", "attribute": { "name": "title", "value": "nobody has this" },
    });
    assert_eq!(
        codes(&scene.made(MAPPINGS, people).await),
        [""; 0],
        "there is no list of values to tell from"
    );
    group(&scene.bench, org, id_of_dir, "Plattform", &[ada.user]);
    let said: Vec<_> = scene.all(MAPPINGS).await.iter().flat_map(codes).collect();
    assert_eq!(said, ["group_by_name"], "now it does");
}

#[tokio::test]
async fn a_mapping_whose_loss_leads_into_production_says_so() {
    let scene = Scene::new();
    let (dir, _, _) = platform(&scene).await;
    let says_so = |answer: &Value| {
        let warnings = answer["warnings"].as_array().unwrap();
        warnings.iter().any(|w| w["code"] == json!("production_by_default"))
    };
    let apart = scene.made(MAPPINGS, to(&dir, json!({ "role": "member", "environment": "staging" }))).await;
    assert!(!says_so(&apart), "whoever loses it is suspended: {apart}");
    let beside = to(&dir, json!({ "team": "platform", "environment": "production" }));
    assert!(!says_so(&scene.made(MAPPINGS, beside).await));
    let apart = format!("{MAPPINGS}/{}", id(&apart));
    let now = async || says_so(&scene.root("GET", &apart, Value::Null).await.1);
    assert!(!now().await, "another one gives an environment, too");
    let other =
        json!({ "directory": dir, "attribute": { "name": "title", "value": "Sales" }, "role": "viewer" });
    let (_, seen) = scene.root("POST", &format!("{MAPPINGS}/preview"), other.clone()).await;
    let other = scene.made(MAPPINGS, other).await;
    assert!(!says_so(&seen) && !says_so(&other), "it keeps nobody out of anything: {other}");
    assert!(now().await, "by that one may live without an environment");
    assert_eq!(scene.root("DELETE", &format!("{MAPPINGS}/{}", id(&other)), Value::Null).await.0, 204);
    assert!(!now().await);
    let one = format!("/api/v1/organizations/acme/directories/{dir}");
    assert_eq!(scene.root("PATCH", &one, json!({ "default_role": "viewer" })).await.0, 200);
    assert!(now().await, "and by the directory's default role");
}

#[tokio::test]
async fn a_mapping_whose_group_is_gone_is_still_changed_in_what_the_change_names() {
    const ACME: &str = "/api/v1/organizations/acme";
    let scene = Scene::new();
    let okta = json!({ "kind": "scim", "name": "Okta" });
    let made = scene.made(&format!("{ACME}/directories"), okta).await;
    let authorization = format!("Bearer {}", made["token"].as_str().unwrap());
    let headers = [("authorization", authorization.as_str())];
    let groups = format!("/scim/v2/{}/Groups", id(&made));
    let eng = scene.bench.exchange("POST", &groups, &headers, &json!({ "displayName": "Eng" })).await.json();
    scene.made(&format!("{ACME}/teams"), json!({ "slug": "apollo", "name": "Apollo" })).await;
    let crew = json!({ "slug": "crew", "rank": 400, "permissions": ["use"] });
    scene.made(&format!("{ACME}/roles"), crew).await;
    let named = json!({ "directory": id(&made), "group": { "id": id(&eng) }, "role": "crew" });
    let one = format!("{MAPPINGS}/{}", id(&scene.made(MAPPINGS, named.clone()).await));
    let group = format!("{groups}/{}", id(&eng));
    assert_eq!(scene.bench.exchange("DELETE", &group, &headers, &Value::Null).await.status, 204);
    let explicit = json!({ "explicit_only": true });
    assert_eq!(scene.root("PATCH", &format!("{ACME}/roles/crew"), explicit).await.0, 200);
    for said in [json!({ "team": "apollo" }), json!({ "group": { "id": id(&eng) }, "role": "crew" })] {
        let changed = scene.root("PATCH", &one, said.clone()).await;
        assert_eq!((changed.0, &changed.1["team"]), (200, &json!("apollo")), "{said}: {}", changed.1);
    }
    refused(scene.root("POST", MAPPINGS, named).await, 404, "not_found");
    let other = json!({ "group": { "id": "dg_00000000000000000000000000000001" } });
    refused(scene.root("PATCH", &one, other).await, 404, "not_found");
}
