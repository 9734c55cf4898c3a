//! `/organizations/{org}/directories` and their tokens.

use serde_json::{Value, json};

use crate::people::{Told, directory, group, person, standing, stored};
use crate::support::{Scene, holds_the_common_rules, id, refused};

const ACME: &str = "/api/v1/organizations/acme";

const DIRECTORIES: &str = "/api/v1/organizations/acme/directories";
const MAPPINGS: &str = "/api/v1/organizations/acme/mappings";

fn scim(default_role: Value) -> Value {
    json!({ "kind": "scim", "name": "Okta", "default_role": default_role })
}

#[tokio::test]
async fn a_directory_is_made_with_a_token_that_is_shown_once_listed_and_changed() {
    let scene = Scene::new();
    let (status, made) = scene.as_of(&scene.admin, "POST", DIRECTORIES, scim(Value::Null)).await;
    assert_eq!(status, 201, "{made}");
    assert!(made["token"].as_str().unwrap().starts_with("pc_scim_"), "{made}");
    assert_eq!(made["base_url"], json!(format!("http://127.0.0.1:8080/scim/v2/{}", id(&made))));
    assert_eq!(
        (&made["settle_s"], &made["nested"], &made["brake"]),
        (&json!(3600), &json!(false), &json!({ "max_people": null, "max_percent": 20, "above": "hold" }))
    );
    for _ in 0..2 {
        scene.made(DIRECTORIES, scim(json!("viewer"))).await;
    }
    let listed = scene.all(DIRECTORIES).await;
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|d| d.get("token").is_none()), "a list shows no secret: {listed:?}");
    let one = format!("{DIRECTORIES}/{}", id(&made));
    let changes =
        json!({ "name": "Entra", "default_role": "member", "settle_s": 0, "nested": false, "brake": null });
    let (status, changed) = scene.as_of(&scene.admin, "PATCH", &one, changes).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!((&changed["name"], &changed["default_role"]), (&json!("Entra"), &json!("member")));
    assert_eq!(scene.root("GET", &one, Value::Null).await.1, changed);
    let (_, without) = scene.as_of(&scene.admin, "PATCH", &one, json!({ "default_role": null })).await;
    assert_eq!((&without["default_role"], &without["settle_s"]), (&Value::Null, &json!(0)));
    assert_eq!(scene.as_of(&scene.admin, "DELETE", &one, Value::Null).await.0, 204);
    refused(scene.root("GET", &one, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn a_directory_is_refused_where_it_must_be() {
    let scene = Scene::new();
    let made = scene.made(DIRECTORIES, scim(Value::Null)).await;
    holds_the_common_rules(&scene, "directories", &made).await;
    refused(scene.root("POST", DIRECTORIES, scim(json!("owner"))).await, 422, "role_is_explicit_only");
    refused(scene.root("POST", DIRECTORIES, scim(json!("nothing"))).await, 404, "not_found");
    let with = |field: &str, value: Value| {
        let mut wish = scim(Value::Null);
        wish[field] = value;
        wish
    };
    refused(scene.root("POST", DIRECTORIES, with("kind", json!("google"))).await, 400, "invalid_field");
    refused(scene.root("POST", DIRECTORIES, with("kind", json!("ldap"))).await, 400, "invalid_field");
    refused(scene.root("POST", DIRECTORIES, with("brake", json!({}))).await, 422, "invalid_brake");
    refused(
        scene.root("POST", DIRECTORIES, with("brake", json!({ "people": 5 }))).await,
        400,
        "unknown_field",
    );
    refused(scene.root("POST", DIRECTORIES, with("settle_s", json!(-1))).await, 400, "invalid_field");
    refused(scene.root("POST", DIRECTORIES, with("name", json!(""))).await, 400, "invalid_name");
    let one = format!("{DIRECTORIES}/{}", id(&made));
    let owner = json!({ "default_role": "owner" });
    refused(scene.root("PATCH", &one, owner).await, 422, "role_is_explicit_only");
    refused(scene.as_of(&scene.viewer, "DELETE", &one, Value::Null).await, 403, "forbidden");
}

#[tokio::test]
async fn who_stands_below_what_a_directory_gives_gets_no_token_of_it_and_does_not_delete_it() {
    let scene = Scene::new();
    let steward = json!({
        "slug": "steward", "rank": 400,
        "permissions": ["directories.read", "directories.write"],
    });
    scene.made("/api/v1/organizations/acme/roles", steward).await;
    let steward = scene.bench.member(scene.owner.organization, "steward@acme.test", "steward");
    let admins = scim(json!("admin"));
    refused(scene.as_of(&steward, "POST", DIRECTORIES, admins.clone()).await, 403, "above_own_rank");
    let made = scene.made(DIRECTORIES, admins).await;
    let one = format!("{DIRECTORIES}/{}", id(&made));
    let token = scene.as_of(&steward, "POST", &format!("{one}/tokens"), json!({})).await;
    refused(token, 403, "above_own_rank");
    refused(scene.as_of(&steward, "DELETE", &one, Value::Null).await, 403, "above_own_rank");
    let lower = json!({ "default_role": null });
    refused(scene.as_of(&steward, "PATCH", &one, lower).await, 403, "above_own_rank");
    assert_eq!(scene.as_of(&steward, "PATCH", &one, json!({ "name": "Entra" })).await.0, 200);
}

#[tokio::test]
async fn several_tokens_of_a_directory_are_valid_at_once_and_end_one_by_one() {
    let scene = Scene::new();
    let made = scene.made(DIRECTORIES, scim(Value::Null)).await;
    let tokens = format!("{DIRECTORIES}/{}/tokens", id(&made));
    let (status, second) = scene.as_of(&scene.admin, "POST", &tokens, json!({})).await;
    assert_eq!(status, 201, "{second}");
    assert_ne!(second["token"], made["token"]);
    assert_eq!(second["shown_to"], json!(scene.admin.membership.to_string()));
    scene.made(&tokens, json!({ "expires_at": "2026-02-01T00:00:00Z" })).await;
    let past = json!({ "expires_at": "2025-01-01T00:00:00Z" });
    refused(scene.root("POST", &tokens, past).await, 400, "invalid_field");
    refused(scene.root("POST", &tokens, json!({ "colour": 1 })).await, 400, "unknown_field");
    assert_eq!(scene.all(&tokens).await.len(), 3);
    let one = format!("{tokens}/{}", id(&second));
    assert_eq!(scene.as_of(&scene.admin, "DELETE", &one, Value::Null).await.0, 204);
    let (_, ended) = scene.root("GET", &one, Value::Null).await;
    assert_eq!(ended["ended_because"], json!("revoked"));
    let first =
        scene.root("GET", &format!("{tokens}/{}", made["token_id"].as_str().unwrap()), Value::Null).await;
    assert_eq!((first.0, &first.1["ended_at"]), (200, &Value::Null));
    let another = scene.made(DIRECTORIES, scim(Value::Null)).await;
    let elsewhere = format!("{DIRECTORIES}/{}/tokens/{}", id(&another), id(&second));
    refused(scene.root("GET", &elsewhere, Value::Null).await, 404, "not_found");
    refused(scene.root("DELETE", &elsewhere, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn a_change_of_the_default_role_reaches_the_people_in_no_mapped_group() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let made = scene.made(DIRECTORIES, scim(json!("viewer"))).await;
    let ada = person(&scene.bench, org, directory(&made), "ada@acme.test");
    assert_eq!(standing(&scene.bench, org, ada.membership), ("active".into(), Some("viewer".into())));
    let one = format!("{DIRECTORIES}/{}", id(&made));
    scene.root("PATCH", &one, json!({ "default_role": "member" })).await;
    assert_eq!(standing(&scene.bench, org, ada.membership), ("active".into(), Some("member".into())));
    scene.root("PATCH", &one, json!({ "default_role": null })).await;
    assert_eq!(standing(&scene.bench, org, ada.membership), ("suspended".into(), None));
    let role = json!({ "slug": "auditor", "rank": 200, "permissions": ["use"] });
    let role = scene.made("/api/v1/organizations/acme/roles", role).await;
    scene.root("PATCH", &one, json!({ "default_role": "auditor" })).await;
    let role = format!("/api/v1/organizations/acme/roles/{}", id(&role));
    refused(scene.root("DELETE", &role, Value::Null).await, 409, "in_use");
}

#[tokio::test]
async fn a_directory_that_a_connection_names_stays_whatever_is_said_of_its_people() {
    let scene = Scene::new();
    let made = scene.made(DIRECTORIES, scim(Value::Null)).await;
    let connection = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1", "client_secret": "s",
        "directory": id(&made),
    });
    let connection = scene.made("/api/v1/organizations/acme/connections", connection).await;
    for directory in [id(&made), connection["claims_directory"].as_str().unwrap().to_owned()] {
        for query in ["", "?people=keep", "?people=offboard"] {
            let answer =
                scene.root("DELETE", &format!("{DIRECTORIES}/{directory}{query}"), Value::Null).await;
            let detail = answer.1["detail"].as_str().unwrap_or_default().to_owned();
            refused(answer, 409, "in_use");
            assert!(detail.contains("a connection"), "{query}: {detail}");
        }
    }
    let one = format!("/api/v1/organizations/acme/connections/{}", id(&connection));
    assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(scene.root("DELETE", &format!("{DIRECTORIES}/{}", id(&made)), Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_directory_that_governs_people_goes_only_when_it_is_said_what_becomes_of_them() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    for (word, people) in
        [("keep", ["ada@acme.test", "bob@acme.test"]), ("offboard", ["cem@acme.test", "dan@acme.test"])]
    {
        let made = scene.made(DIRECTORIES, scim(Value::Null)).await;
        let (dir, one) = (directory(&made), format!("{DIRECTORIES}/{}", id(&made)));
        let [mapped, lost] = people.map(|email| person(&scene.bench, org, dir, email));
        group(&scene.bench, org, dir, "Platform", &[mapped.user]);
        let mapping =
            json!({ "directory": id(&made), "group": { "display_name": "Platform" }, "role": "member" });
        scene.made(MAPPINGS, mapping).await;
        assert_eq!(standing(&scene.bench, org, mapped.membership).0, "active");
        assert_eq!(standing(&scene.bench, org, lost.membership).0, "suspended");

        refused(scene.root("DELETE", &one, Value::Null).await, 409, "governs_people");
        refused(
            scene.root("DELETE", &format!("{one}?people=other"), Value::Null).await,
            400,
            "invalid_field",
        );
        assert_eq!(scene.root("DELETE", &format!("{one}?people={word}"), Value::Null).await.0, 204);
        let (mapped_is, lost_is) =
            (standing(&scene.bench, org, mapped.membership), standing(&scene.bench, org, lost.membership));
        if word == "keep" {
            assert_eq!(mapped_is, ("active".into(), Some("member".into())), "kept, the role as a grant");
            assert_eq!(lost_is.0, "suspended", "who was on the way out does not come back");
            assert_eq!(stored(&scene.bench, org, mapped.membership).governed_by, None);
        } else {
            assert_eq!((mapped_is.0.as_str(), lost_is.0.as_str()), ("deprovisioned", "deprovisioned"));
        }
        refused(scene.root("GET", &one, Value::Null).await, 404, "not_found");
        assert!(scene.all(MAPPINGS).await.is_empty(), "its mappings went with it");
        let token = format!("/api/v1/organizations/acme/tokens/{}", made["token_id"].as_str().unwrap());
        let (_, token) = scene.root("GET", &token, Value::Null).await;
        assert_eq!(token["ended_because"], json!("holder_deleted"), "{token}");
    }
}

#[tokio::test]
async fn people_who_only_waited_for_a_group_leave_with_their_directory_and_more_than_a_page_of_them_too() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let made = scene.made(DIRECTORIES, scim(Value::Null)).await;
    let told: Vec<_> =
        (0..103).map(|n| person(&scene.bench, org, directory(&made), &format!("p{n}@acme.test"))).collect();
    let one = format!("{DIRECTORIES}/{}", id(&made));
    assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 204);
    let member = format!("/api/v1/organizations/acme/members/{}", told[0].membership);
    let (_, member) = scene.root("GET", &member, Value::Null).await;
    assert_eq!(member["state"], json!("deprovisioned"), "whoever looks finds it at once: {member}");
    scene.bench.portcullis().step_rules().await.unwrap();
    for told in told {
        assert_eq!(standing(&scene.bench, org, told.membership).0, "deprovisioned");
    }
}

#[tokio::test]
async fn a_directory_goes_on_to_say_who_left_after_it_said_so_of_whoever_had_issued_its_token() {
    let scene = Scene::new();
    let source = json!({ "kind": "scim", "name": "Okta", "default_role": "admin" });
    let source = scene.made(&format!("{ACME}/directories"), source).await;
    let of_source = |what: &str| format!("{ACME}/directories/{}/{what}", id(&source));
    let scim = |what: &str| format!("/scim/v2/{}{what}", id(&source));
    let user = |name: &str| {
        let schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
        json!({ "schemas": schemas, "userName": format!("{name}@elsewhere.test"), "active": true })
    };
    let token = source["token"].as_str().unwrap();
    let mut told = Vec::new();
    for name in ["anna", "bob"] {
        let (status, made) = scene.bench.call("POST", &scim("/Users"), token, user(name)).await;
        assert_eq!(status, 201, "{made}");
        told.push(id(&made));
    }
    let member = async |name: &str| {
        let found = scene.all(&format!("{ACME}/members")).await;
        let address = format!("{name}@elsewhere.test");
        found.into_iter().find(|member| member["user"]["email"] == json!(address)).unwrap()
    };
    let keys = format!("{ACME}/members/{}/keys", id(&member("anna").await));
    let key = scene.made(&keys, json!({ "name": "anna's" })).await;
    let (status, issued) =
        scene.bench.call("POST", &of_source("tokens"), key["token"].as_str().unwrap(), json!({})).await;
    assert_eq!(status, 201, "{issued}");
    let leaves = |id: &String| {
        let schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
        let gone = json!([{ "op": "replace", "path": "active", "value": false }]);
        json!({ "method": "PATCH", "path": format!("/Users/{id}"), "data": { "schemas": schemas, "Operations": gone } })
    };
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];
    let operations: Vec<Value> = told.iter().map(leaves).collect();
    let bulk = json!({ "schemas": schemas, "Operations": operations });
    let (status, answer) =
        scene.bench.call("POST", &scim("/Bulk"), issued["token"].as_str().unwrap(), bulk).await;
    assert_eq!(status, 200, "{answer}");
    let statuses: Vec<&str> =
        answer["Operations"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["200", "200"], "{answer}");
    for name in ["anna", "bob"] {
        assert_eq!(member(name).await["state"], "deprovisioned", "{name}");
    }
}

#[tokio::test]
async fn the_groups_of_a_directory_are_listed_with_every_key_that_a_mapping_takes() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let made = scene.made(DIRECTORIES, scim(Value::Null)).await;
    let other = scene.made(DIRECTORIES, scim(Value::Null)).await;
    let of = directory(&made);
    let [ada, bob] = ["ada@acme.test", "bob@acme.test"].map(|e| person(&scene.bench, org, of, e).user);
    let named: [(&str, &[_]); 3] = [("Platform", &[ada, bob]), ("Empty", &[]), ("Sales", &[bob])];
    let ids = named.map(|(name, members)| group(&scene.bench, org, of, name, members).to_string());
    let groups = format!("{DIRECTORIES}/{}/groups", id(&made));
    let listed = scene.all(&groups).await;
    assert_eq!(listed.len(), 3, "over two pages");
    for ((name, members), id) in named.iter().zip(&ids) {
        let seen = listed.iter().find(|seen| seen["id"] == json!(id)).unwrap();
        assert_eq!(seen["display_name"], json!(name));
        assert_eq!(seen["external_id"], json!(format!("ext-{name}")));
        assert_eq!(seen["members"], json!(members.len()), "{seen}");
        assert!(seen["created_at"].is_string(), "{seen}");
    }
    let mapping = json!({ "directory": id(&made), "group": { "id": ids[0] }, "role": "member" });
    assert_eq!(scene.made(MAPPINGS, mapping).await["warnings"], json!([]));
    assert_eq!(scene.all(&format!("{DIRECTORIES}/{}/groups", id(&other))).await, [Value::Null; 0]);
    let foreign = format!("/api/v1/organizations/globex/directories/{}/groups", id(&made));
    let unknown = foreign.replace(&id(&made), "dir_00000000000000000000000000000001");
    for path in [foreign, unknown] {
        refused(scene.root("GET", &path, Value::Null).await, 404, "not_found");
    }
    let elsewhere = scene.root("GET", &format!("{groups}?cursor={}", id(&made)), Value::Null).await;
    refused(elsewhere, 400, "invalid_field");
    assert_eq!(
        scene.as_of(&scene.viewer, "GET", &groups, Value::Null).await.0,
        200,
        "as the directory itself"
    );
}

#[tokio::test]
async fn who_is_said_again_by_a_token_of_somebody_higher_is_believed_further_and_keeps_their_version() {
    let scene = Scene::new();
    let (status, made) = scene.as_of(&scene.admin, "POST", DIRECTORIES, scim(Value::Null)).await;
    assert_eq!(status, 201, "{made}");
    let tokens = format!("{DIRECTORIES}/{}/tokens", id(&made));
    let (status, higher) = scene.as_of(&scene.owner, "POST", &tokens, json!({})).await;
    assert_eq!(status, 201, "{higher}");
    let said = async |token: &Value, method: &str, below: &str| {
        let authorization = format!("Bearer {}", token["token"].as_str().unwrap());
        let path = format!("/scim/v2/{}/Users{below}", id(&made));
        let person = json!({ "userName": "al@acme.test", "externalId": "al", "active": true });
        scene.bench.exchange(method, &path, &[("authorization", &authorization)], &person).await
    };
    let first = said(&made, "POST", "").await.json();
    let below = format!("/{}", id(&first));
    scene.bench.clock.pass_s(60);
    for (token, why) in [(&made, "the same token"), (&higher, "one of an owner"), (&higher, "that one again")]
    {
        let again = said(token, "PUT", &below).await;
        assert_eq!(again.status, 200, "{}", again.text());
        assert_eq!(again.json()["meta"], first["meta"], "{why}");
    }
    let events = scene.all(&format!("{ACME}/audit-events")).await;
    let updates = events.iter().filter(|event| event["action"] == "directory_user.updated").count();
    assert_eq!(updates, 1, "that they are believed further stands in the log, once");
}

#[tokio::test]
async fn who_stays_keeps_what_the_directory_gave_and_not_what_another_one_gives() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let one = |made: &Value| format!("{DIRECTORIES}/{}", id(made));
    scene.made(&format!("{ACME}/domains"), json!({ "domain": "acme.test", "vouched": true })).await;
    let governs = scene.made(DIRECTORIES, scim(json!("member"))).await;
    let ada = person(&scene.bench, org, directory(&governs), "ada@acme.test");
    let other = scene.made(DIRECTORIES, scim(Value::Null)).await;
    let told = person(&scene.bench, org, directory(&other), "ada@acme.test");
    assert_eq!(told.membership, ada.membership, "two directories tell of one person");
    group(&scene.bench, org, directory(&other), "Admins", &[told.user]);
    let mapping = json!({ "directory": id(&other), "group": { "display_name": "Admins" }, "role": "admin" });
    let mapping = scene.made(MAPPINGS, mapping).await;
    assert_eq!(standing(&scene.bench, org, ada.membership), ("active".into(), Some("admin".into())));

    assert_eq!(scene.root("DELETE", &format!("{}?people=keep", one(&governs)), Value::Null).await.0, 204);
    assert_eq!(
        standing(&scene.bench, org, ada.membership),
        ("active".into(), Some("admin".into())),
        "by the other"
    );
    let mut grants = scene.all(&format!("{ACME}/grants")).await;
    grants.retain(|grant| grant["member"] == json!(ada.membership.to_string()));
    assert_eq!((grants.len(), &grants[0]["role"]), (1, &json!("member")), "{grants:?}");
    // What the other one gives, it takes away.
    assert_eq!(scene.root("DELETE", &format!("{MAPPINGS}/{}", id(&mapping)), Value::Null).await.0, 204);
    assert_eq!(standing(&scene.bench, org, ada.membership).1, Some("member".into()), "by the grant");
}

#[tokio::test]
async fn who_is_kept_out_of_production_does_not_come_into_it_by_the_end_of_their_directory() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    scene.made(&format!("{ACME}/domains"), json!({ "domain": "acme.test", "vouched": true })).await;
    for slug in ["staging", "lab"] {
        scene.made(&format!("{ACME}/environments"), json!({ "slug": slug, "name": slug })).await;
    }
    let governs = scene.made(DIRECTORIES, scim(json!("member"))).await;
    let other = scene.made(DIRECTORIES, scim(Value::Null)).await;
    let told = ["carl", "dora", "ewa"].map(|name| {
        [&governs, &other].map(|of| person(&scene.bench, org, directory(of), &format!("{name}@acme.test")))
    });
    let [carl, dora, ewa] = &told;
    group(&scene.bench, org, directory(&governs), "Contractors", &[carl[0].user, dora[0].user]);
    group(&scene.bench, org, directory(&other), "Lab", &[dora[1].user]);
    for (of, name, environment) in [(&governs, "Contractors", "staging"), (&other, "Lab", "lab")] {
        let mapping = json!({
            "directory": id(of), "group": { "display_name": name }, "role": "member", "environment": environment,
        });
        scene.made(MAPPINGS, mapping).await;
    }
    let gone =
        scene.root("DELETE", &format!("{DIRECTORIES}/{}?people=keep", id(&governs)), Value::Null).await;
    assert_eq!(gone.0, 204, "{}", gone.1);
    let is = |of: &[Told; 2]| {
        let found = stored(&scene.bench, org, of[0].membership);
        let environments: Vec<_> = found.access.environments.iter().map(ToString::to_string).collect();
        (found.access.state.as_str().to_owned(), environments.join(" "))
    };
    assert_eq!(is(carl).0, "suspended", "until somebody says that they belong into production");
    assert_eq!(is(dora), ("active".into(), "lab".into()), "by the other directory");
    assert_eq!(is(ewa), ("active".into(), "production".into()), "who was there before");
    let member = format!("{ACME}/members/{}", carl[0].membership);
    let (status, lifted) = scene.root("PATCH", &member, json!({ "state": "active" })).await;
    assert_eq!((status, &lifted["environments"]), (200, &json!(["production"])), "{lifted}");
}

#[tokio::test]
async fn of_whom_another_directory_goes_on_to_tell_once_theirs_is_deleted_an_administrator_hears() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    scene.made(&format!("{ACME}/domains"), json!({ "domain": "acme.test", "vouched": true })).await;
    let [governs, other] = [
        scene.made(DIRECTORIES, scim(json!("member"))).await,
        scene.made(DIRECTORIES, scim(json!("member"))).await,
    ];
    let ada = person(&scene.bench, org, directory(&governs), "ada@acme.test");
    let told = person(&scene.bench, org, directory(&other), "ada@acme.test");
    let bob = person(&scene.bench, org, directory(&governs), "bob@acme.test");
    assert_eq!(told.membership, ada.membership, "two directories tell of one person");
    let gone = format!("{DIRECTORIES}/{}?people=offboard", id(&governs));
    assert_eq!(scene.root("DELETE", &gone, Value::Null).await.0, 204);
    for who in [&ada, &bob] {
        assert_eq!(standing(&scene.bench, org, who.membership).0, "deprovisioned");
    }
    let reviews = scene.all(&format!("{ACME}/reviews")).await;
    let [review] = reviews.as_slice() else { panic!("one of them is told of elsewhere: {reviews:?}") };
    assert_eq!(review["reason"], json!("ended_elsewhere"), "{review}");
    assert_eq!(review["directory"], other["id"], "{review}");
}
