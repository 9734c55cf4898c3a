//! Who is recognized: first links with each condition missing, newcomers, leavers, groups from claims.

use portcullis_emulator::{Behaviour, Browser};
use serde_json::{Value, json};

use crate::world::{ADA, World, outcome};

/// A SCIM directory of `acme`: its answer, and where its users are.
pub async fn directory(world: &World) -> (Value, String, String) {
    let body = json!({ "kind": "scim", "name": "Entra", "default_role": "member" });
    let made = world.made("/organizations/acme/directories", body).await;
    let base = made["base_url"].as_str().unwrap().strip_prefix(&world.base).unwrap().to_owned();
    let token = made["token"].as_str().unwrap().to_owned();
    (made, format!("{base}/Users"), token)
}

pub fn scim_user(user_name: &str, email: &str, external_id: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": user_name,
        "externalId": external_id, "emails": [{ "value": email, "primary": true }], "active": true,
    })
}

#[tokio::test]
async fn a_first_link_needs_every_condition() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    assert_eq!(world.outcome(&connection, ADA).await, "not_invited", "nobody put Ada there");
    world.invite("acme", ADA, "member").await;
    world.provider.behave(Behaviour::EmailUnverified);
    assert_eq!(world.outcome(&connection, ADA).await, "email_untrusted");
    world.provider.behave(Behaviour::EmailUnstated);
    assert_eq!(world.outcome(&connection, ADA).await, "email_untrusted");
    world.provider.behave(Behaviour::EmailMissing);
    assert_eq!(world.outcome(&connection, ADA).await, "email_missing");
    world.provider.behave(Behaviour::Honest);
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    world.invite("globex", ADA, "member").await;
    let foreign = world.connection("globex", json!({ "jit": true, "default_role": "member" })).await;
    assert_eq!(
        world.outcome(&foreign, ADA).await,
        "domain_not_proven",
        "another organization proved the domain"
    );
    assert_eq!(world.members("acme", ADA).await[0]["state"], "invited", "nothing was kept of all that");
    world.provider.behave(Behaviour::EmailDomainOwnerVerified);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "all of them at once");
    assert_eq!(world.members("acme", ADA).await[0]["state"], "active");
    world.provider.behave(Behaviour::EmailMissing);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "from now on the subject is the identity");
    assert_eq!(world.events("acme", "member.linked").await.len(), 1);
}

#[tokio::test]
async fn an_object_id_that_another_provider_than_entra_sends_names_nobody() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    let (object, barbara) = ("1b4e28ba-2fa1-11d2-883f-0016d3cca427", "barbara.brandt@acme.example");
    let (status, told) = world.call("POST", &users, &token, scim_user(barbara, barbara, object)).await;
    assert_eq!(status, 201, "{told}");
    world.say_too(json!({ "oid": object }));
    assert_eq!(
        world.outcome(&connection, ADA).await,
        "not_in_directory",
        "people may set it themselves there"
    );
    world.say_too(json!({}));
    assert_eq!(world.outcome(&connection, barbara).await, "ok", "by her address");
}

#[tokio::test]
async fn under_a_directory_exactly_one_active_person_is_recognized() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    assert_eq!(world.outcome(&connection, ADA).await, "not_in_directory");
    world.invite("acme", "barbara.brandt@acme.example", "member").await;
    let barbara = world.outcome(&connection, "barbara.brandt@acme.example").await;
    assert_eq!(barbara, "not_in_directory", "an invitation does not count where a directory governs");
    let other = scim_user("ada-2", ADA, "somebody-else");
    let (status, first) = world.call("POST", &users, &token, scim_user(ADA, ADA, "person-000000")).await;
    assert_eq!(status, 201, "{first}");
    let (status, second) = world.call("POST", &users, &token, other).await;
    assert_eq!(status, 201, "{second}");
    assert_eq!(world.outcome(&connection, ADA).await, "ambiguous_person");
    let one = format!("{users}/{}", second["id"].as_str().unwrap());
    assert_eq!(world.call("DELETE", &one, &token, Value::Null).await.0, 204);
    let patch = |active: bool| {
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "path": "active", "value": active }] })
    };
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "the address is hers, whoever else had it");
    let ada = format!("{users}/{}", first["id"].as_str().unwrap());
    assert_eq!(world.call("PATCH", &ada, &token, patch(false)).await.0, 200);
    assert_ne!(world.outcome(&connection, ADA).await, "ok", "inactive in the directory");
}

/// Has a directory end eleven people, of whom its brake lets ten leave and holds Ada: the directory's answer, its users,
/// its token.
pub async fn ada_is_held(world: &World) -> (Value, String, String) {
    let (made, users, token) = directory(world).await;
    let one = format!("/organizations/acme/directories/{}", made["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &one, json!({ "brake": { "max_people": 0 } })).await.0, 200);
    let mut told = Vec::new();
    for n in 0..10 {
        let (user_name, email) = (format!("p{n}"), format!("p{n}@acme.example"));
        told.push(world.call("POST", &users, &token, scim_user(&user_name, &email, &user_name)).await.1);
    }
    told.push(world.call("POST", &users, &token, scim_user(ADA, ADA, "person-000000")).await.1);
    for one in &told {
        let path = format!("{users}/{}", one["id"].as_str().unwrap());
        assert_eq!(world.call("DELETE", &path, &token, Value::Null).await.0, 204);
    }
    (made, users, token)
}

/// Releases the one hold.
async fn release(world: &World) {
    let holds = world.root("GET", "/organizations/acme/holds", Value::Null).await.1;
    assert_eq!(holds["items"][0]["waiting"], 1, "{holds}");
    let release = format!("/organizations/acme/holds/{}/release", holds["items"][0]["id"].as_str().unwrap());
    assert_eq!(world.root("POST", &release, json!({})).await.0, 200);
}

#[tokio::test]
async fn an_address_that_somebody_claims_at_a_sign_in_lifts_no_tombstone_when_its_holder_is_released() {
    let world = World::new().await;
    ada_is_held(&world).await;
    let barbara = "barbara.brandt@acme.example";
    world.invite("acme", barbara, "member").await;
    let free = world.connection("acme", json!({})).await;
    assert_eq!(world.outcome(&free, barbara).await, "ok");
    world.say_too(json!({ "email": ADA, "email_verified": false }));
    assert_eq!(world.outcome(&free, barbara).await, "ok", "she is known by her subject");
    world.say_too(json!({}));
    release(&world).await;
    assert_eq!(world.events("acme", "tombstone.lifted").await, Vec::<Value>::new());
    assert_eq!(world.outcome(&free, ADA).await, "tombstoned");
}

#[tokio::test]
async fn whoever_was_told_of_anew_while_the_former_end_was_held_signs_in_once_it_is_released() {
    let world = World::new().await;
    let (made, users, token) = ada_is_held(&world).await;
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    let (status, again) = world.call("POST", &users, &token, scim_user(ADA, ADA, "person-000000")).await;
    assert_eq!(status, 201, "{again}");
    release(&world).await;
    assert_eq!(world.events("acme", "tombstone.lifted").await.len(), 1);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "as if the end had not waited");
    let former = world.members("acme", ADA).await;
    let ended = former.iter().filter(|member| member["state"] == "deprovisioned").count();
    assert_eq!((former.len(), ended), (2, 1), "nobody came back");
}

#[tokio::test]
async fn an_inactive_namesake_makes_nobody_ambiguous() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    let mut former = scim_user("ada-of-before", ADA, "nobody-now");
    former["active"] = json!(false);
    assert_eq!(world.call("POST", &users, &token, former).await.0, 201);
    assert_ne!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(world.call("POST", &users, &token, scim_user(ADA, ADA, "person-000000")).await.0, 201);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "one of the two is active");
}

#[tokio::test]
async fn a_leaver_does_not_come_back_by_a_live_session_at_the_provider_nor_by_an_alias() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true, "default_role": "member" })).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
    let session = world.sessions(&browser).remove(0);
    assert_eq!(world.decision(&session).await, "allowed");
    let member = world.members("acme", ADA).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/organizations/acme/members/{member}/offboard");
    assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
    assert_eq!(world.decision(&session).await, "token_ended");
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "tombstoned");
    world.provider.change_company(|company| {
        company.find_person_mut(ADA).unwrap().email = "ada.king@acme.example".to_owned();
    });
    assert_eq!(world.outcome(&connection, "person-000000").await, "tombstoned", "the same subject, an alias");
    world.provider.change_company(|company| {
        let person = company.find_person_mut("barbara.brandt@acme.example").unwrap();
        person.email = ADA.to_owned();
    });
    assert_eq!(
        world.outcome(&connection, "person-000001").await,
        "tombstoned",
        "another subject, the address"
    );
    let elsewhere = world.connection("acme", json!({ "jit": true, "default_role": "member" })).await;
    assert_eq!(world.outcome(&elsewhere, "person-000001").await, "tombstoned", "another connection");
    assert!(world.events("acme", "sign_in.refused").await.len() >= 4);
    world.invite("acme", ADA, "member").await;
    assert_eq!(
        world.outcome(&elsewhere, "person-000001").await,
        "ok",
        "an administrator named the address anew"
    );
    assert_eq!(world.outcome(&connection, "person-000000").await, "tombstoned", "never the former subject");
}

#[tokio::test]
async fn whoever_comes_back_signs_in_by_the_former_subject_once_an_administrator_says_who_they_are() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    let told = scim_user(ADA, ADA, "person-000000");
    let (_, first) = world.call("POST", &users, &token, told.clone()).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let former = world.members("acme", ADA).await[0].clone();
    let attach = |to: &Value, body: Value| {
        let path = format!("/organizations/acme/members/{}/attach", to["id"].as_str().unwrap());
        let world = &world;
        async move { world.root("POST", &path, body).await }
    };
    let one = format!("{users}/{}", first["id"].as_str().unwrap());
    assert_eq!(world.call("DELETE", &one, &token, Value::Null).await.0, 204);
    let (status, _) = world.call("POST", &users, &token, told).await;
    assert_eq!(status, 201);
    assert_eq!(world.outcome(&connection, ADA).await, "tombstoned", "the subject is the former person's");
    let all = world.members("acme", ADA).await;
    let member = all.iter().find(|m| m["id"] != former["id"]).unwrap();
    assert_ne!(member["user"]["id"], former["user"]["id"], "nobody is taken for a former person by a name");
    for (to, body, code) in [
        (member, json!({ "former": member["id"] }), (400, "invalid_field")),
        (&former, json!({ "former": former["id"] }), (409, "member_inactive")),
        (member, json!({ "former": "mem_00000000000000000000000000000001" }), (404, "not_found")),
    ] {
        let (status, problem) = attach(to, body).await;
        assert_eq!((status, problem["code"].as_str().unwrap()), code, "{problem}");
    }
    let (status, attached) = attach(member, json!({ "former": former["id"] })).await;
    assert_eq!((status, &attached["user"]["id"]), (200, &former["user"]["id"]), "{attached}");
    assert_eq!(world.events("acme", "member.attached").await.len(), 1);
    assert_eq!(attach(member, json!({ "former": former["id"] })).await.0, 200, "what is so already stays so");
    assert_eq!(world.events("acme", "member.attached").await.len(), 1);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let receipts = world.root("GET", "/organizations/acme/receipts", Value::Null).await.1;
    assert_eq!(receipts["items"].as_array().unwrap().len(), 1, "the former membership stays ended");
    // They leave again, before and behind the same subject.
    let path = format!("/organizations/acme/members/{}/offboard", member["id"].as_str().unwrap());
    assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "tombstoned");
}

#[tokio::test]
async fn o15_an_address_that_was_given_to_somebody_else_opens_nothing_of_who_had_it() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let ada = world.members("acme", ADA).await.remove(0);
    world.renew(ADA, "person-anew");
    assert_eq!(world.outcome(&connection, ADA).await, "address_recycled");
    assert_eq!(world.events("acme", "member.linked").await.len(), 1);
    world.renew(ADA, "person-000000");
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "whoever had it comes in as before");
    let path = format!("/organizations/acme/members/{}/offboard", ada["id"].as_str().unwrap());
    assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
    world.invite("acme", ADA, "member").await;
    world.renew(ADA, "person-anew");
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "invited anew");
    let members = world.members("acme", ADA).await;
    let now = members.iter().find(|m| m["state"] == "active").unwrap();
    assert_ne!(now["id"], ada["id"], "and somebody else");
    world.renew(ADA, "person-000000");
    assert_ne!(world.outcome(&connection, ADA).await, "ok", "the former person is gone");
}

#[tokio::test]
async fn o15_a_directory_that_names_the_new_subject_says_that_it_is_the_same_person() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    let (_, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "person-000000")).await;
    let mut former = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut former, &connection, ADA).await), "ok");
    let former = world.sessions(&former).remove(0);
    let ada = world.members("acme", ADA).await.remove(0);
    world.renew(ADA, "person-anew");
    assert_eq!(world.outcome(&connection, ADA).await, "address_recycled", "only the address is the same");
    assert_eq!(world.decision(&former).await, "allowed");
    let one = format!("{users}/{}", told["id"].as_str().unwrap());
    assert_eq!(world.call("PUT", &one, &token, scim_user(ADA, ADA, "person-anew")).await.0, 200);
    let mut now = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut now, &connection, ADA).await), "ok");
    let now = world.sessions(&now).remove(0);
    assert_eq!(world.members("acme", ADA).await[0]["id"], ada["id"]);
    assert_eq!(world.decision(&former).await, "token_ended", "what the former account opened");
    assert_eq!(world.decision(&now).await, "allowed");
    let over = world.events("acme", "member.unlinked").await;
    assert!(over[0]["detail"]["subject"].as_str().unwrap().ends_with(" person-000000"), "{over:?}");
    world.renew(ADA, "person-000000");
    assert_eq!(world.outcome(&connection, ADA).await, "address_recycled", "the former name is nobody's");
}

#[tokio::test]
async fn another_address_at_the_provider_leaves_the_person_who_they_are_and_gives_the_old_one_to_nobody() {
    let world = World::new().await;
    let fields = json!({ "jit": true, "default_role": "member" });
    let connection = world.connection("acme", fields).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let ada = world.members("acme", ADA).await.remove(0);
    let moved = |from: &'static str, to: &'static str| {
        world.provider.change_company(|company| {
            let person = company.people.iter_mut().find(|p| p.email == from).unwrap();
            to.clone_into(&mut person.email);
        });
    };
    moved(ADA, "ada.king@acme.example");
    assert_eq!(world.outcome(&connection, "person-000000").await, "ok");
    assert_eq!(world.members("acme", ADA).await, vec![ada], "no claim changes where resets go");
    assert!(world.members("acme", "ada.king@acme.example").await.is_empty(), "and nobody is doubled");
    moved("barbara.brandt@acme.example", ADA);
    assert_eq!(world.outcome(&connection, "person-000001").await, "not_invited", "it is Ada's here");
    moved(ADA, "barbara.brandt@acme.example");
    assert_eq!(world.outcome(&connection, "person-000001").await, "ok", "under an address of her own");
}

#[tokio::test]
async fn an_owner_is_never_linked_by_an_address_but_from_their_own_session() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    let link = world.invite("acme", ADA, "owner").await;
    assert_eq!(world.outcome(&connection, ADA).await, "own_session_only", "not while it waits");
    let mut browser = Browser::new().unwrap();
    let token = link.rsplit_once('=').unwrap().1;
    let fields = [("token", token), ("password", "a long sentence is fine")];
    let page = browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    assert_eq!(outcome(&page), "ok");
    assert_eq!(world.outcome(&connection, ADA).await, "own_session_only", "nor afterwards");
    let form = format!("{}/sso/oidc/{}/link", world.base, connection["id"].as_str().unwrap());
    let mut stranger = Browser::new().unwrap();
    assert_eq!(outcome(&stranger.submit(&form, &[]).await.unwrap()), "linking_session_over");
    world.provider.sign_in_as(Some(ADA));
    assert_eq!(outcome(&browser.submit(&form, &[]).await.unwrap()), "ok");
    world.provider.sign_in_as(None);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "the link stands");
    world.provider.sign_in_as(Some(ADA));
    assert_eq!(outcome(&browser.submit(&form, &[]).await.unwrap()), "ok", "one's own subject once more");
    assert_eq!(world.events("acme", "member.linked").await.len(), 1, "it was linked already");
    let link = world.invite("acme", "barbara.brandt@acme.example", "member").await;
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", "another long sentence")];
    let mut other = Browser::new().unwrap();
    other.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    assert_eq!(outcome(&other.submit(&form, &[]).await.unwrap()), "subject_taken", "somebody else's subject");
}

#[tokio::test]
async fn a_changed_issuer_waits_for_an_owner_where_owners_come_in() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    let link = world.invite("acme", ADA, "owner").await;
    let mut owner = Browser::new().unwrap();
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", "a long sentence is fine")];
    owner.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    let id = connection["id"].as_str().unwrap();
    world.provider.sign_in_as(Some(ADA));
    let form = format!("{}/sso/oidc/{id}/link", world.base);
    assert_eq!(outcome(&owner.submit(&form, &[]).await.unwrap()), "ok");
    let barbara = "barbara.brandt@acme.example";
    let link = world.invite("acme", barbara, "admin").await;
    let mut admin = Browser::new().unwrap();
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", "another long sentence")];
    admin.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    let (owner_key, admin_key) = (world.sessions(&owner).remove(0), world.sessions(&admin).remove(0));
    let path = format!("/api/v1/organizations/acme/connections/{id}");
    // What the owner opened before is not by what nobody has confirmed.
    world.clock.pass_s(1);
    let (status, changed) =
        world.call("PATCH", &path, &admin_key, json!({ "client_id": "another-client" })).await;
    assert_eq!((status, &changed["confirmed"]), (200, &json!(false)), "{changed}");
    world.register("another-client", connection["redirect_uri"].as_str().unwrap());
    assert_eq!(world.outcome(&connection, ADA).await, "connection_unconfirmed");
    world.provider.sign_in_as(None);
    assert_eq!(world.outcome(&connection, barbara).await, "ok", "others come in");
    let confirm = format!("{path}/confirm");
    let (status, problem) = world.call("POST", &confirm, &admin_key, Value::Null).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (403, "above_own_rank"));
    let (status, confirmed) = world.call("POST", &confirm, &owner_key, Value::Null).await;
    assert_eq!((status, &confirmed["confirmed"]), (200, &json!(true)));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
}

#[tokio::test]
async fn a_newcomer_without_a_mapped_role_leaves_nothing_behind() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true })).await;
    assert_eq!(world.outcome(&connection, ADA).await, "no_role_mapped");
    assert_eq!(world.members("acme", ADA).await.len(), 0);
    for action in ["member.created", "member.linked", "directory_group.created", "directory_user.created"] {
        assert_eq!(world.events("acme", action).await.len(), 0, "{action}");
    }
    assert_eq!(world.events("acme", "sign_in.refused").await.len(), 1);
    let mapping = json!({
        "directory": connection["claims_directory"], "group": { "external_id": "Engineering" }, "role": "lead",
    });
    let team = json!({
        "directory": connection["claims_directory"], "group": { "external_id": "Engineering" }, "team": "ops",
        "team_role": "member",
    });
    world.made("/organizations/acme/teams", json!({ "slug": "ops", "name": "Operations" })).await;
    world.made("/organizations/acme/mappings", team).await;
    assert_eq!(world.outcome(&connection, ADA).await, "no_role_mapped", "a team is no role");
    assert_eq!(world.members("acme", ADA).await.len(), 0);
    world.made("/organizations/acme/mappings", mapping).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let member = &world.members("acme", ADA).await[0];
    assert_eq!((member["state"].as_str(), member["role"].as_str()), (Some("active"), Some("lead")));
    let reason = &member["reasons"][0];
    assert_eq!((&reason["by"], &reason["directory"]), (&json!("mapping"), &connection["claims_directory"]));
    assert_eq!(world.outcome(&connection, "barbara.brandt@acme.example").await, "no_role_mapped");
}

#[tokio::test]
async fn missing_groups_keep_empty_groups_take_and_groups_cut_off_are_refused() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true, "default_role": "viewer" })).await;
    let mapping = json!({
        "directory": connection["claims_directory"], "group": { "external_id": "Engineering" }, "role": "admin",
    });
    world.made("/organizations/acme/mappings", mapping).await;
    let role = async || world.members("acme", ADA).await[0]["role"].as_str().unwrap().to_owned();
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(role().await, "admin");
    for (behaviour, answer, expected) in [
        (Behaviour::GroupsMissing, "ok", "admin"),
        (Behaviour::GroupsMalformed, "ok", "admin"),
        (Behaviour::GroupsOverage, "groups_overage", "admin"),
        (Behaviour::GroupsEmpty, "ok", "viewer"),
        (Behaviour::GroupsMissing, "ok", "viewer"),
        (Behaviour::ThinIdToken, "ok", "admin"),
    ] {
        world.provider.behave(behaviour);
        assert_eq!(world.outcome(&connection, ADA).await, answer, "{behaviour:?}");
        assert_eq!(role().await, expected, "{behaviour:?}");
    }
}

#[tokio::test]
async fn an_empty_list_of_groups_takes_the_way_in_away_and_that_is_kept() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true })).await;
    let mapping = json!({
        "directory": connection["claims_directory"], "group": { "external_id": "Engineering" }, "role": "member",
    });
    world.made("/organizations/acme/mappings", mapping).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
    let session = world.sessions(&browser).remove(0);
    world.provider.behave(Behaviour::GroupsEmpty);
    assert_eq!(world.outcome(&connection, ADA).await, "member_inactive");
    assert_eq!(world.decision(&session).await, "member_inactive", "what the provider said counts at once");
    world.provider.behave(Behaviour::Honest);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "within the time to settle");
    assert_eq!(world.decision(&session).await, "allowed");
}

#[tokio::test]
async fn a_claim_of_texts_can_be_mapped_by_its_value_and_one_that_is_missing_takes_nothing() {
    let world = World::new().await;
    // The provider's `groups` are an ordinary claim here, because the connection's groups stand in another.
    let fields = json!({ "jit": true, "default_role": "viewer", "groups_claim": "teams" });
    let connection = world.connection("acme", fields).await;
    let mapping = |name: &str| {
        json!({
            "directory": connection["claims_directory"], "role": "admin",
            "attribute": { "name": name, "value": "Engineering" },
        })
    };
    world.made("/organizations/acme/mappings", mapping("groups")).await;
    world.made("/organizations/acme/mappings", mapping("Groups")).await;
    for (name, why) in [("email", "names one person"), ("acr", "one sign-in"), ("a=b", "is not the name")] {
        let (status, refused) = world.root("POST", "/organizations/acme/mappings", mapping(name)).await;
        assert_eq!(status, 400, "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains(why), "{refused}");
    }
    let ada = async || world.members("acme", ADA).await.remove(0);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let member = ada().await;
    assert_eq!(member["role"], "admin");
    let by_value =
        |r: &&Value| r["gives"] == "role:admin" && r["directory"] == connection["claims_directory"];
    assert_eq!(
        member["reasons"].as_array().unwrap().iter().filter(by_value).count(),
        1,
        "with its letter case"
    );
    for (behaviour, expected) in [
        (Behaviour::GroupsMissing, "admin"),
        (Behaviour::GroupsMalformed, "admin"),
        (Behaviour::GroupsOverage, "admin"),
        (Behaviour::GroupsEmpty, "viewer"),
        (Behaviour::GroupsMissing, "viewer"),
        (Behaviour::ThinIdToken, "admin"),
    ] {
        world.provider.behave(behaviour);
        assert_eq!(world.outcome(&connection, ADA).await, "ok", "{behaviour:?}");
        assert_eq!(ada().await["role"], expected, "{behaviour:?}");
    }
}

#[tokio::test]
async fn claims_give_nothing_by_value_where_a_directory_governs() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let fields = json!({ "directory": made["id"], "groups_claim": "teams" });
    let connection = world.connection("acme", fields).await;
    let mapping = json!({
        "directory": connection["claims_directory"], "role": "admin",
        "attribute": { "name": "groups", "value": "Engineering" },
    });
    world.made("/organizations/acme/mappings", mapping).await;
    world.call("POST", &users, &token, scim_user(ADA, ADA, "person-000000")).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(world.members("acme", ADA).await[0]["role"], "member", "the directory's default");
}

#[tokio::test]
async fn a_subject_that_is_an_address_counts_only_while_the_directory_says_whose_it_is() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    world.renew(ADA, ADA);
    let (status, ada) = world.call("POST", &users, &token, scim_user(ADA, ADA, "e-1")).await;
    assert_eq!(status, 201, "{ada}");
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "by the link");
    let shown = world.root("GET", &of_connection(&connection), Value::Null).await.1;
    assert_eq!(shown["oidc"]["warnings"][0]["code"], "subject_reassignable", "{shown}");
    let one = format!("{users}/{}", ada["id"].as_str().unwrap());
    let renamed = scim_user("ada.byron@acme.example", "ada.byron@acme.example", "e-1");
    assert_eq!(world.call("PUT", &one, &token, renamed).await.0, 200);
    let (status, next) = world.call("POST", &users, &token, scim_user(ADA, ADA, "e-2")).await;
    assert_eq!(status, 201, "{next}");
    assert_eq!(world.outcome(&connection, ADA).await, "address_moved", "whoever has it now is not Ada");
}

#[tokio::test]
async fn an_address_as_a_subject_does_not_take_the_place_of_one_that_stays() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    world.invite("acme", ADA, "member").await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let shown = world.root("GET", &of_connection(&connection), Value::Null).await.1;
    assert_eq!(shown["oidc"]["warnings"], json!([]));
    world.renew(ADA, ADA);
    assert_eq!(world.outcome(&connection, ADA).await, "address_recycled");
}

fn of_connection(connection: &Value) -> String {
    format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap())
}
