//! Entra ID's life cycle, with the flag `aadOptscim062020` and without.
//!
//! One script for both: a tenant with the flag sends both spellings, because provision on demand does not heed it.

use serde_json::{Value, json};

use crate::dialect::{Dialect, ENTERPRISE_SCHEMA, USER_SCHEMA, patch};
use crate::people::{Person, PersonState};
use crate::request::{FlagPlace, ScimRequest, equals};

use super::run::{Halt, Run};
use super::step::{Weight, quoted_value};

/// A phone number as people write it, which a server must not tidy.
const PHONE: &str = "+1 (425) 555-0100";

type Known = (Person, String);

/// Plays it.
///
/// # Errors
/// [`Halt`].
pub(super) async fn play(run: &mut Run<'_>) -> Result<(), Halt> {
    test_connection(run).await?;
    let people = create(run).await?;
    find(run, &people).await?;
    update(run, &people).await?;
    push_group(run, &people).await?;
    leave(run, &people).await
}

async fn test_connection(run: &mut Run<'_>) -> Result<(), Halt> {
    run.phase("Test Connection");
    let dialect = run.dialect();
    let guid = format!("6f1c{}", run.cast.mark);
    let means = "*Test Connection* fails: provisioning cannot even be saved";
    let nobody = |place| dialect.find_user(&guid).with_flag(place);
    run.finds_nobody("looks up a user that cannot exist", means, nobody(FlagPlace::First)).await?;
    if dialect == Dialect::EntraFlag {
        let means = "it hangs on how the administrator wrote the address whether anything works";
        run.finds_nobody("the same, the flag behind the filter", means, nobody(FlagPlace::Last)).await?;
        run.finds_nobody("the same, the flag with a value", means, nobody(FlagPlace::Valued)).await?;
    }
    run.refuses_a_wrong_token().await?;
    run.begin("reads the schemas", "a catalogue application cannot offer the server's attributes");
    let answer = run.send(&ScimRequest::get("/Schemas")).await?;
    let held =
        answer.status == 200 && answer.body.as_ref().is_some_and(|body| body.get("Resources").is_some());
    run.should(held, "200 and a ListResponse", || format!("{}", answer.status));
    let nulls = answer.body.as_ref().is_some_and(|body| body.to_string().contains(":null"));
    run.should(!nulls, "no null in it", || "one".to_owned());
    run.reads_nobody("Entra takes a user who is gone for a failure and goes into quarantine").await
}

/// The four ways in which Microsoft's own examples create somebody.
async fn create(run: &mut Run<'_>) -> Result<[Known; 3], Halt> {
    run.phase("Create people");
    let dialect = run.dialect();
    let [ada, barbara, claude, donald] = run.cast.leads.clone();
    let means = "the first cycle skips the person, who never gets in";
    let unmatched = "nobody is created: Entra needs 200 and an empty list where nobody matches";
    run.finds_nobody(
        "matches by externalId",
        unmatched,
        dialect.find("/Users", &equals("externalId", &ada.id)),
    )
    .await?;
    let by_address = equals("emails[type eq \"work\"].value", &ada.email);
    run.finds_nobody("matches by the work address", unmatched, dialect.find("/Users", &by_address)).await?;
    let bare = format!("externalId eq {}", ada.id);
    run.begin("matches by externalId without quotes", "one of Microsoft's examples leaves them out");
    let answer = run.send(&dialect.find("/Users", &bare)).await?;
    let status = answer.status;
    run.should(status == 200, "200", || status.to_string());

    let ada_id = run.creates(&ada, means).await?;
    let with = |person: &Person, extra: Value| {
        let mut request = dialect.create_user(person);
        if let (Some(body), Value::Object(extra)) =
            (request.body.as_mut().and_then(Value::as_object_mut), extra)
        {
            body.extend(extra);
        }
        request
    };
    let nulls = json!({
        "addresses": null, "phoneNumbers": null, "title": null, "displayName": barbara.display_name(),
        ENTERPRISE_SCHEMA: {"department": null, "manager": null},
    });
    let title = "creates Barbara, what is unknown as null";
    let barbara_id = run.creates_oddly(title, means, &barbara, with(&barbara, nulls), Weight::Must).await?;
    let manager = json!({
        "title": "Analyst", "phoneNumbers": [{"type": "work", "value": PHONE}],
        ENTERPRISE_SCHEMA: {"manager": ada_id},
    });
    let title = "creates Claude, the manager as text";
    let claude_id = run.creates_oddly(title, means, &claude, with(&claude, manager), Weight::Must).await?;
    let slip = format!("{}User", ENTERPRISE_SCHEMA.trim_end_matches(":User"));
    let request = with(&donald, json!({"schemas": [USER_SCHEMA, slip]}));
    let title = "creates Donald, with a slip in the schema's name";
    let donald_id = run.creates_oddly(title, means, &donald, request, Weight::Must).await?;
    run.deletes(&donald, &donald_id, "whoever was provisioned by mistake stays").await?;
    run.cannot_create_twice(&ada, "Entra makes a second user where it should match the one that is there")
        .await?;
    Ok([(ada, ada_id), (barbara, barbara_id), (claude, claude_id)])
}

async fn find(run: &mut Run<'_>, people: &[Known; 3]) -> Result<(), Halt> {
    run.phase("Match people");
    let dialect = run.dialect();
    let [(ada, ada_id), _, (_, claude_id)] = people;
    let means = "each cycle tries to create the person anew and fails";
    let by_address = equals("emails[type eq \"work\"].value", &ada.email);
    for (title, filter) in [
        ("by userName", equals("userName", &ada.user_name)),
        ("by externalId", equals("externalId", &ada.id)),
        ("by the work address", by_address),
    ] {
        run.finds_one(&format!("finds Ada {title}"), means, dialect.find("/Users", &filter), ada_id).await?;
    }
    let filter = format!("{} and {}", equals("id", claude_id), equals("manager", ada_id));
    run.finds_one(
        "checks that Ada is Claude's manager",
        "the manager is sent again in every cycle",
        dialect.find("/Users", &filter),
        claude_id,
    )
    .await
}

async fn update(run: &mut Run<'_>, people: &[Known; 3]) -> Result<(), Halt> {
    run.phase("Update people");
    let dialect = run.dialect();
    let [(ada, ada_id), (barbara, barbara_id), (_, claude_id)] = people;
    let means = "a change is skipped, and sent again in every cycle until the job is in quarantine";
    let changed = |person: &Person, family: &str| Person {
        family_name: family.to_owned(),
        email: person.email.replacen('@', ".2@", 1),
        ..person.clone()
    };
    let ada = changed(ada, "Lovelace");
    let request = dialect.change_user(ada_id, &ada);
    run.changes("changes Ada's name and address", means, &ada, ada_id, request).await?;
    let barbara = changed(barbara, "Liskov");
    let on_demand = dialect.patch_user(barbara_id, Dialect::EntraLegacy.update_user(&barbara));
    run.changes("changes Barbara by provision on demand", means, &barbara, barbara_id, on_demand).await?;

    let enterprise = |name: &str| format!("{ENTERPRISE_SCHEMA}:{name}");
    let reference = json!([{"$ref": format!("../Users/{barbara_id}"), "value": barbara_id}]);
    let operations = match dialect {
        Dialect::EntraFlag => patch(vec![
            json!({"op": "add", "path": enterprise("manager"), "value": reference}),
            json!({"op": "replace", "value": {enterprise("employeeNumber"): "77", "title": "Engineer"}}),
        ]),
        _ => patch(vec![
            json!({"op": "Add", "path": enterprise("manager"), "value": reference}),
            json!({"op": "Add", "path": enterprise("employeeNumber"), "value": "77"}),
            json!({"op": "Replace", "path": "title", "value": "Engineer"}),
        ]),
    };
    run.begin("gives Claude another manager, a number and a title", means);
    let answer = run.send(&dialect.patch_user(claude_id, operations)).await?;
    run.status(&answer, &[200, 204]);
    let read = run.send(&dialect.read_user(claude_id)).await?;
    for (pointer, wanted) in [("manager/value", &**barbara_id), ("employeeNumber", "77")] {
        let pointer = format!("/{ENTERPRISE_SCHEMA}/{pointer}");
        let value = read.body.as_ref().and_then(|body| body.pointer(&pointer));
        run.must(value.and_then(Value::as_str) == Some(wanted), &format!("`{pointer}`"), || {
            quoted_value(value)
        });
    }
    let title = read.body.as_ref().and_then(|body| body.get("title"));
    run.must(title == Some(&json!("Engineer")), "the title", || quoted_value(title));
    without_an_address(run, claude_id).await
}

/// A filter that matches nothing must make what it describes; what is not there can be removed.
async fn without_an_address(run: &mut Run<'_>, id: &str) -> Result<(), Halt> {
    let dialect = run.dialect();
    let legacy = dialect == Dialect::EntraLegacy;
    let (add, remove) = if legacy { ("Add", "Remove") } else { ("add", "remove") };
    let email = format!("new@emulate-{}.test", run.cast.mark);
    run.begin("removes the addresses and gives a work address", "somebody without an address never gets one");
    let removed = patch(vec![json!({"op": remove, "path": "emails"})]);
    let answer = run.send(&dialect.patch_user(id, removed)).await?;
    run.status(&answer, &[200, 204]);
    let seeded = patch(vec![json!({"op": add, "path": "emails[type eq \"work\"].value", "value": email})]);
    let answer = run.send(&dialect.patch_user(id, seeded)).await?;
    run.status(&answer, &[200, 204]);
    let read = run.send(&dialect.read_user(id)).await?;
    let emails = read.body.as_ref().and_then(|body| body.get("emails"));
    let work =
        |one: &Value| one.get("value") == Some(&json!(email)) && one.get("type") == Some(&json!("work"));
    let held = emails.and_then(Value::as_array).is_some_and(|emails| emails.iter().any(work));
    run.must(held, "a work address", || quoted_value(emails));
    run.begin("removes what is not there", "a cleared attribute stops the whole update of that person");
    let nothing = patch(vec![json!({"op": remove, "path": "nickName"})]);
    let answer = run.send(&dialect.patch_user(id, nothing)).await?;
    run.status(&answer, &[200, 204]);
    Ok(())
}

async fn push_group(run: &mut Run<'_>, people: &[Known; 3]) -> Result<(), Halt> {
    run.phase("Provision the group");
    let dialect = run.dialect();
    let [(_, ada), (_, barbara), (_, claude)] = people;
    let [ada, barbara, claude] = [ada.clone(), barbara.clone(), claude.clone()];
    let mut group = run.cast.group.clone();
    run.finds_no_group("nobody can tell whether the group is there; it is never created").await?;
    let id = run.pushes(&group, &[], "the group is skipped; a mapped role reaches nobody").await?;
    run.begin("finds the group without its members", "large groups make each cycle slow, or fail");
    let answer = run.send(&dialect.find_group(&group.display_name)).await?;
    run.finds(&answer, &id);
    let one = run.send(&dialect.read_group(&id).with("excludedAttributes", "members")).await?;
    run.status(&one, &[200]);
    let patched = |body| dialect.patch_group(&id, body);
    let means = "whoever joins the group gets nothing";
    let all = [ada.clone(), barbara.clone(), claude.clone()];
    run.changes_members("adds all three", means, patched(dialect.add_members(&all)), &id, &all).await?;
    run.begin("reads the group without its members", "large groups make each cycle slow, or fail");
    let one = run.send(&dialect.read_group(&id).with("excludedAttributes", "members")).await?;
    let members = one.body.as_ref().and_then(|body| body.get("members"));
    run.must(one.status == 200 && members.is_none(), "a group without `members`", || quoted_value(members));
    let means = "one leaves, and everybody loses what the group gives; or the one keeps it";
    let (gone, left) = (std::slice::from_ref(&ada), [barbara.clone(), claude.clone()]);
    run.changes_members("removes one member", means, patched(dialect.remove_members(gone)), &id, &left)
        .await?;
    let on_demand = Dialect::EntraLegacy.remove_members(std::slice::from_ref(&barbara));
    let left = [claude.clone()];
    run.changes_members("removes one by provision on demand", means, patched(on_demand), &id, &left).await?;
    let (add, remove) = (dialect.add_members(&all[..2]), dialect.remove_members(&left));
    let operations =
        |body: &Value| body.get("Operations").and_then(Value::as_array).cloned().unwrap_or_default();
    let both = patch([operations(&add), operations(&remove)].concat());
    let now = [ada.clone(), barbara.clone()];
    run.changes_members("adds two and removes one in one PATCH", means, patched(both), &id, &now).await?;
    group.display_name.push_str(" 2");
    run.renames(&id, &group, &now, "the group keeps its old name, and the change is sent again for ever")
        .await?;
    run.deletes_group(&id, &group, "a group that is out of scope stays, with what it gives").await
}

async fn leave(run: &mut Run<'_>, people: &[Known; 3]) -> Result<(), Halt> {
    run.phase("Disable and enable");
    let dialect = run.dialect();
    let [(ada, ada_id), (barbara, barbara_id), (claude, claude_id)] = people;
    let out = |person: &Person| Person { state: PersonState::Deactivated, ..person.clone() };
    let on_demand = |id: &str, state| dialect.patch_user(id, Dialect::EntraLegacy.set_active(state));
    let means = "a disabled person keeps access: the text `False` was taken for true, or left aside";
    run.sets_state(means, &out(ada), ada_id, dialect.set_state(ada_id, &out(ada))).await?;
    let request = on_demand(barbara_id, PersonState::Deactivated);
    run.sets_state(means, &out(barbara), barbara_id, request).await?;
    let means = "whoever is enabled again stays out, or comes back under another id";
    run.sets_state(means, ada, ada_id, dialect.set_state(ada_id, ada)).await?;
    run.sets_state(means, barbara, barbara_id, on_demand(barbara_id, PersonState::Active)).await?;
    run.phase("Off-boarding");
    let means = "somebody who left the company keeps access until the deletion, thirty days later";
    run.sets_state(means, &out(ada), ada_id, dialect.set_state(ada_id, &out(ada))).await?;
    let means = "the deletion, thirty days after, fails and puts the job into quarantine";
    run.deletes(ada, ada_id, means).await?;
    run.deletes(barbara, barbara_id, means).await?;
    run.deletes(claude, claude_id, means).await?;
    run.begin("creates Ada again, under a new id", "whoever is hired again cannot come back");
    let id = run.create_now(ada, &dialect.create_user(ada)).await?;
    run.must(id != *ada_id, "another id than before", || "the same".to_owned());
    let found = run.send(&dialect.find_user(&ada.user_name)).await?;
    run.finds(&found, &id);
    run.deletes(ada, &id, means).await
}
