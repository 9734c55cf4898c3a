//! Who left, or is kept out, and comes by another connection, another name or another set-up: nobody is made of them just
//! in time, and beside each refusal stands somebody who differs by one thing and comes in.

use portcullis_domain::access::EndedBecause;
use portcullis_emulator::Browser;
use portcullis_service::restoring::{self, Since};
use portcullis_store::Priority;
use serde_json::{Value, json};

use crate::local::{PASSWORD, joined};
use crate::people::{ada_is_held, directory, scim_user};
use crate::saml_idp::{Idp, PERSISTENT, Says};
use crate::world::{ADA, World, outcome};

const ALIAS: &str = "ada.king@acme.example";
const BARBARA: &str = "barbara.brandt@acme.example";
const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
const TENANT: &str = "0f5a6b7c-1111-2222-3333-444455556666";
const OBJECT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeffff0000";
const ANOTHER: &str = "11111111-bbbb-cccc-dddd-eeeeffff0000";

fn open() -> Value {
    json!({ "jit": true, "default_role": "member" })
}

/// Gives Ada's account at the provider that address.
fn renamed(world: &World, from: &str, to: &str) {
    world.provider.change_company(|company| company.find_person_mut(from).unwrap().email = to.to_owned());
}

async fn off_boarded(world: &World, email: &str) {
    let member = world.members("acme", email).await.remove(0);
    let path = format!("/organizations/acme/members/{}/offboard", member["id"].as_str().unwrap());
    assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
}

async fn deleted(world: &World, connection: &Value) {
    let one = format!("/organizations/acme/connections/{}?people=keep", connection["id"].as_str().unwrap());
    assert_eq!(world.root("DELETE", &one, Value::Null).await.0, 204);
}

async fn patched(world: &World, connection: &Value, body: Value) {
    let one = format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap());
    let (status, changed) = world.root("PATCH", &one, body).await;
    assert_eq!(status, 200, "{changed}");
}

/// Somebody by that name of that format, with that address.
fn named(name: &str, format: &'static str, address: &str) -> Says {
    Says {
        name_id: name.to_owned(),
        format,
        attributes: vec![("email", vec![address.to_owned()])],
        ..Says::ada(&[])
    }
}

#[tokio::test]
async fn a_leaver_does_not_come_back_by_an_alias_at_another_or_a_new_connection_to_the_same_provider() {
    let world = World::new().await;
    let first = world.connection("acme", open()).await;
    let second = world.connection("acme", open()).await;
    assert_eq!(world.outcome(&first, ADA).await, "ok");
    off_boarded(&world, ADA).await;
    renamed(&world, ADA, ALIAS);
    assert_eq!(world.outcome(&first, "person-000000").await, "tombstoned");
    assert_eq!(world.outcome(&second, "person-000000").await, "tombstoned", "another connection");
    deleted(&world, &first).await;
    let anew = world.connection("acme", open()).await;
    assert_eq!(world.outcome(&anew, "person-000000").await, "tombstoned", "a new connection");
    assert_eq!(world.outcome(&anew, BARBARA).await, "ok", "another subject");
}

#[tokio::test]
async fn a_leaver_whose_connection_was_deleted_first_does_not_come_back_by_a_new_one() {
    let world = World::new().await;
    let first = world.connection("acme", open()).await;
    assert_eq!(world.outcome(&first, ADA).await, "ok");
    deleted(&world, &first).await;
    off_boarded(&world, ADA).await;
    renamed(&world, ADA, ALIAS);
    let anew = world.connection("acme", open()).await;
    assert_eq!(world.outcome(&anew, "person-000000").await, "tombstoned");
    assert_eq!(world.outcome(&anew, BARBARA).await, "ok", "another subject");
}

#[tokio::test]
async fn somebody_suspended_gets_no_fresh_membership_at_another_or_a_new_connection_to_the_same_provider() {
    let world = World::new().await;
    let first = world.connection("acme", open()).await;
    let second = world.connection("acme", open()).await;
    assert_eq!(world.outcome(&first, ADA).await, "ok");
    let member = world.members("acme", ADA).await.remove(0);
    let path = format!("/organizations/acme/members/{}", member["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &path, json!({ "state": "suspended" })).await.0, 200);
    renamed(&world, ADA, ALIAS);
    assert_eq!(world.outcome(&first, "person-000000").await, "member_inactive");
    assert_eq!(world.outcome(&second, "person-000000").await, "not_invited", "another connection");
    deleted(&world, &first).await;
    let anew = world.connection("acme", open()).await;
    assert_eq!(world.outcome(&anew, "person-000000").await, "not_invited", "a new connection");
    assert!(world.members("acme", ALIAS).await.is_empty(), "nobody is doubled");
    assert_eq!(world.outcome(&anew, BARBARA).await, "ok", "another subject");
}

#[tokio::test]
async fn the_same_subject_of_another_provider_is_another_person() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    let first = world.saml("acme", &idp, open()).await;
    assert_eq!(world.saml_outcome(&idp, &first, &named("ada-1", PERSISTENT, ADA)).await, "ok");
    off_boarded(&world, ADA).await;
    let alias = named("ada-1", PERSISTENT, ALIAS);
    let second = world.saml("acme", &idp, open()).await;
    assert_eq!(world.saml_outcome(&idp, &second, &alias).await, "tombstoned");
    "https://idp.test/another".clone_into(&mut idp.entity);
    idp.publish(&[&idp.key]);
    let elsewhere = world.saml("acme", &idp, open()).await;
    assert_eq!(world.saml_outcome(&idp, &elsewhere, &alias).await, "ok");
}

#[tokio::test]
async fn a_name_by_which_a_leaver_came_once_brings_nobody_back_although_its_link_was_taken_away() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let (made, users, token) = directory(&world).await;
    let (status, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "e-1")).await;
    assert_eq!(status, 201, "{told}");
    let connection = world.saml("acme", &idp, json!({ "directory": made["id"] })).await;
    let outcome = async |says: &Says| world.saml_outcome(&idp, &connection, says).await;
    assert_eq!(outcome(&named("jdoe", UNSPECIFIED, ADA)).await, "ok");
    assert_eq!(
        outcome(&named("ada-1", PERSISTENT, ADA)).await,
        "ok",
        "the set-up names people by what stays"
    );
    assert_eq!(world.events("acme", "member.unlinked").await.len(), 1, "which ends the former link");
    let path = format!("{users}/{}", told["id"].as_str().unwrap());
    assert_eq!(world.call("DELETE", &path, &token, Value::Null).await.0, 204);
    patched(&world, &connection, json!({ "directory": null, "jit": true, "default_role": "member" })).await;
    assert_eq!(outcome(&named("ada-1", PERSISTENT, ALIAS)).await, "tombstoned");
    assert_eq!(outcome(&named("jdoe", UNSPECIFIED, ALIAS)).await, "tombstoned", "the set-up is turned back");
    assert_eq!(outcome(&named("jroe", UNSPECIFIED, ALIAS)).await, "ok", "another name");
}

#[tokio::test]
async fn a_leaver_of_a_directory_does_not_come_by_its_name_or_id_for_them_where_nobody_governs_over_saml() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let (_, users, token) = directory(&world).await;
    let connection = world.saml("acme", &idp, open()).await;
    let (status, told) = world.call("POST", &users, &token, scim_user("jdoe", ADA, "e-1")).await;
    assert_eq!(status, 201, "{told}");
    let path = format!("{users}/{}", told["id"].as_str().unwrap());
    assert_eq!(world.call("DELETE", &path, &token, Value::Null).await.0, 204);
    let outcome = async |says: &Says| world.saml_outcome(&idp, &connection, says).await;
    for format in [UNSPECIFIED, PERSISTENT] {
        assert_eq!(outcome(&named("JDoe", format, ALIAS)).await, "tombstoned", "the name, {format}");
        assert_eq!(outcome(&named("e-1", format, ALIAS)).await, "tombstoned", "the id, {format}");
    }
    assert_eq!(outcome(&named(ADA, UNSPECIFIED, ALIAS)).await, "tombstoned", "the address as a name");
    assert_eq!(outcome(&named("jroe", UNSPECIFIED, ALIAS)).await, "ok", "another name");
}

/// A world where a directory tells of Ada, under Entra's object and another name, and a connection without a directory makes
/// members; the path of her and the directory's token.
async fn told_of_beside_entra() -> (World, Value, String, String) {
    let world = World::beside_provider_below(&format!("/{TENANT}/v2.0")).await;
    let (_, users, token) = directory(&world).await;
    let mut fields = open();
    fields["oidc"] = json!({ "preset": "entra" });
    let connection = world.connection("acme", fields).await;
    let (status, told) =
        world.call("POST", &users, &token, scim_user("ada.upn@acme.example", ADA, OBJECT)).await;
    assert_eq!(status, 201, "{told}");
    let path = format!("{users}/{}", told["id"].as_str().unwrap());
    (world, connection, path, token)
}

/// What Entra says of whoever signs in.
fn says(world: &World, object: &str, name: &str) {
    world.say_too(json!({
        "tid": TENANT, "oid": object, "xms_edov": true, "email_verified": null, "preferred_username": name,
    }));
}

#[tokio::test]
async fn a_leaver_of_a_directory_does_not_come_by_entras_object_or_name_where_nobody_governs() {
    let (world, connection, path, token) = told_of_beside_entra().await;
    assert_eq!(world.call("DELETE", &path, &token, Value::Null).await.0, 204);
    renamed(&world, ADA, ALIAS);
    for (object, name) in [(OBJECT, ALIAS), (ANOTHER, "Ada.UPN@acme.example")] {
        says(&world, object, name);
        assert_eq!(world.outcome(&connection, ALIAS).await, "tombstoned", "{object} {name}");
    }
    says(&world, ANOTHER, ALIAS);
    assert_eq!(world.outcome(&connection, ALIAS).await, "ok", "another account");
}

#[tokio::test]
async fn whom_a_directory_tells_of_and_who_was_suspended_gets_no_second_membership_by_another_name() {
    let (world, connection, _, _) = told_of_beside_entra().await;
    let member = world.members("acme", ADA).await.remove(0);
    let path = format!("/organizations/acme/members/{}", member["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &path, json!({ "state": "suspended" })).await.0, 200);
    renamed(&world, ADA, ALIAS);
    for (object, name) in [(OBJECT, ALIAS), (ANOTHER, "Ada.UPN@acme.example"), (ANOTHER, ADA)] {
        says(&world, object, name);
        assert_eq!(world.outcome(&connection, ALIAS).await, "not_invited", "{object} {name}");
    }
    says(&world, ANOTHER, ALIAS);
    assert_eq!(world.outcome(&connection, ALIAS).await, "ok", "another account");
}

/// What a restore does to `acme`, if that became of everybody of the backup since.
async fn restored(world: &World, since: Since) {
    let carried = world.portcullis.write(Priority::Ordinary, move |tx, moment| {
        for organization in restoring::organizations(tx, "")? {
            restoring::revive_nobody(tx, moment, &organization, None)?;
            let people = restoring::people(tx, organization.id, "")?;
            let people: Vec<_> = people.iter().map(|member| (member.id, since)).collect();
            restoring::carry_over(tx, moment, organization.id, &people)?;
            restoring::bring_in_step(tx, moment, &organization)?;
        }
        Ok(())
    });
    carried.await.unwrap();
}

#[tokio::test]
async fn whoever_came_just_in_time_is_let_in_after_a_restore_only_where_somebody_says_that_they_have_not_left()
 {
    for (since, expected) in [
        (Since::Stayed, "ok"),
        (Since::Unknown, "member_inactive"),
        (Since::Suspended, "member_inactive"),
        (Since::KeptOut, "member_inactive"),
        (Since::Left(EndedBecause::Administrator), "tombstoned"),
        (Since::Left(EndedBecause::Deleted), "tombstoned"),
        (Since::Left(EndedBecause::Unmapped), "tombstoned"),
    ] {
        let world = World::new().await;
        let connection = world.connection("acme", open()).await;
        assert_eq!(world.outcome(&connection, ADA).await, "ok");
        restored(&world, since).await;
        assert_eq!(world.outcome(&connection, ADA).await, expected, "{since:?}");
        if since == Since::Unknown {
            let member = world.members("acme", ADA).await.remove(0);
            let one = format!("/organizations/acme/members/{}", member["id"].as_str().unwrap());
            assert_eq!(world.root("PATCH", &one, json!({ "state": "active" })).await.0, 200);
            assert_eq!(world.outcome(&connection, ADA).await, "ok", "an administrator says so");
        }
    }
}

/// What a restore hears of Ada from a database that it replaces.
async fn became(world: &World) -> Since {
    let ada = world.members("acme", ADA).await.remove(0);
    assert_eq!(ada["state"], "suspended", "{ada}");
    let id = ada["id"].as_str().unwrap().parse().unwrap();
    let asked = world.portcullis.read(move |tx, now| {
        let acme = restoring::organizations(tx, "")?.remove(0).id;
        Ok(restoring::since(tx, acme, &[id], now)?.remove(0))
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn whoever_was_kept_out_by_a_directory_that_the_backup_knows_nothing_of_is_let_in_by_an_administrator_only()
 {
    for is_held in [true, false] {
        let replaced = World::new().await;
        joined(&replaced, "acme", ADA, "member").await;
        if is_held {
            ada_is_held(&replaced).await;
        } else {
            let (made, users, token) = directory(&replaced).await;
            let (status, told) = replaced.call("POST", &users, &token, scim_user(ADA, ADA, "ada")).await;
            assert_eq!(status, 201, "{told}");
            let one = format!("/organizations/acme/directories/{}", made["id"].as_str().unwrap());
            assert_eq!(replaced.root("PATCH", &one, json!({ "default_role": null })).await.0, 200);
        }
        let since = became(&replaced).await;

        let world = World::new().await;
        joined(&world, "acme", ADA, "member").await;
        restored(&world, since).await;
        let tried = async || {
            let fields = [("email", ADA), ("password", PASSWORD)];
            let login = format!("{}/login", world.base);
            outcome(&Browser::new().unwrap().submit(&login, &fields).await.unwrap())
        };
        assert_eq!(tried().await, "member_inactive", "held: {is_held}");
        let member = world.members("acme", ADA).await.remove(0);
        let one = format!("/organizations/acme/members/{}", member["id"].as_str().unwrap());
        assert_eq!(world.root("PATCH", &one, json!({ "state": "active" })).await.0, 200);
        assert_eq!(tried().await, "ok", "an administrator says so");
    }
}
