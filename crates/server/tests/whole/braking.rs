//! A provider that sends everybody out, and the brake of the real binary: who is refused, what waits, who decides.

use serde_json::{Value, json};

use crate::harness::{Org, Server, provider, text};

/// People of the company; nobody has more than a member's role.
const PEOPLE: usize = 16;
/// Whom a directory may always end within a day.
const MAY: usize = 10;
/// Those whom the provider calls inactive, one PATCH each.
const LEAVE: usize = 14;

struct Person {
    user: String,
    member: String,
    key: String,
}

/// A company whose directory may end ten people a day, and everybody's keys.
struct Company<'s> {
    server: &'s Server,
    org: Org,
    everyone: String,
    people: Vec<Person>,
}

impl<'s> Company<'s> {
    async fn new(server: &'s Server) -> Self {
        let org = Org::new(server, "acme", &provider().await).await;
        let everyone = org.group(server, "everyone").await;
        let mut company = Self { server, org, everyone, people: Vec::new() };
        for n in 0..PEOPLE {
            let name = format!("p{n}");
            let user = company.org.person(server, &name).await;
            company.org.add_member(server, &company.everyone, &user).await;
            let member = text(&company.org.member(server, &name).await, "id");
            let path = format!("/members/{member}/keys");
            let key = text(&company.root("POST", &path, json!({ "name": "laptop" })).await, "token");
            company.people.push(Person { user, member, key });
        }
        let directory = format!("/directories/{}", company.org.directory);
        company.root("PATCH", &directory, json!({ "brake": { "max_people": MAY } })).await;
        company
    }

    /// A call of the administration of this organization.
    async fn root(&self, method: &str, rest: &str, body: Value) -> Value {
        self.server.root(method, &format!("/organizations/{}{rest}", self.org.slug), body).await
    }

    async fn all(&self, rest: &str) -> Vec<Value> {
        self.server.all(&format!("/organizations/{}{rest}", self.org.slug)).await
    }

    /// What the person's key is answered now.
    async fn code(&self, n: usize) -> String {
        self.server.code(&self.org.asker, &self.people[n].key).await
    }

    async fn member(&self, n: usize) -> Value {
        self.root("GET", &format!("/members/{}", self.people[n].member), Value::Null).await
    }

    /// The provider calls somebody inactive, or active again.
    async fn say_active(&self, n: usize, active: bool) {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "Replace", "path": "active", "value": if active { "True" } else { "False" } }],
        });
        let said = self.org.say(self.server, "PATCH", &format!("/Users/{}", self.people[n].user), body).await;
        assert_eq!(said["active"], active, "{said}");
    }

    /// Receipts of a person.
    async fn receipts(&self, n: usize) -> Vec<Value> {
        let all = self.all("/receipts").await;
        all.into_iter().filter(|receipt| receipt["member"] == self.people[n].member.as_str()).collect()
    }

    /// The events with that action.
    async fn events(&self, action: &str) -> Vec<Value> {
        self.all(&format!("/audit-events?action={action}")).await
    }

    async fn hold(&self, kind: &str) -> Value {
        let holds = self.all("/holds?state=open").await;
        let found = holds.iter().find(|hold| hold["kind"] == kind);
        found.unwrap_or_else(|| panic!("no open hold of `{kind}` in {holds:?}")).clone()
    }
}

/// The first ten end, the others are suspended; all are refused once the PATCH is answered.
async fn many_leave(company: &Company<'_>) -> String {
    for n in 0..LEAVE {
        assert_eq!(company.code(n).await, "allowed", "person {n} works until then");
        company.say_active(n, false).await;
        let (code, state) =
            if n < MAY { ("token_ended", "deprovisioned") } else { ("member_inactive", "suspended") };
        assert_eq!(
            (company.code(n).await.as_str(), &company.member(n).await["state"]),
            (code, &json!(state))
        );
        assert_eq!(company.receipts(n).await.len(), usize::from(n < MAY), "person {n}");
    }
    let hold = company.hold("endings").await;
    assert_eq!((&hold["waiting"], &hold["cause"]["kind"]), (&json!(LEAVE - MAY), &json!("scim")), "{hold}");
    assert_eq!(hold["directory"], company.org.directory.as_str());
    let id = text(&hold, "id");
    let people = company.all(&format!("/holds/{id}/people")).await;
    let named: Vec<&str> = people.iter().filter_map(|person| person["member"].as_str()).collect();
    let held: Vec<&str> = company.people[MAY..LEAVE].iter().map(|person| person.member.as_str()).collect();
    assert_eq!(named, held, "{people:?}");
    assert!(people.iter().all(|person| person["because"] == "inactive" && person["loses"]["tokens"] == 1));
    assert_eq!(company.events("member.held").await.len(), LEAVE - MAY);
    let opened = company.events("hold.opened").await;
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0]["cause"]["request_id"], hold["cause"]["request_id"]);
    id
}

/// One is released, one refused, one called active again; the last waits on.
async fn decided(company: &Company<'_>, hold: &str) {
    let (released, refused, corrected, waiting) = (MAY, MAY + 1, MAY + 2, MAY + 3);
    let about = |n: usize| json!({ "members": [company.people[n].member] });
    let people = company.all(&format!("/holds/{hold}/people")).await;
    let request = text(&people[0], "request_id");
    let done = company.root("POST", &format!("/holds/{hold}/release"), about(released)).await;
    assert_eq!((&done["people"], &done["hold"]["waiting"]), (&json!(1), &json!(3)), "{done}");
    assert_eq!(company.code(released).await, "token_ended");
    let receipts = company.receipts(released).await;
    assert_eq!((receipts.len(), receipts[0]["ended"].as_array().unwrap().len()), (1, 1), "{receipts:?}");
    let cause = &receipts[0]["cause"];
    assert_eq!((&cause["kind"], &cause["request_id"]), (&json!("scim"), &json!(request)), "{cause}");
    // The receipt's cause is the event of the end, and that one's is the release: who let it go stands in the log.
    let let_go = company.events("hold.released").await;
    assert_eq!((let_go.len(), &let_go[0]["cause"]["kind"]), (1, &json!("api")), "{let_go:?}");
    let ends = company.events("member.deprovisioned").await;
    let end = ends.iter().find(|event| event["id"] == cause["event"]);
    let end = end.unwrap_or_else(|| panic!("{cause} leads to none of {ends:?}"));
    assert_eq!(end["cause"]["event"], let_go[0]["id"], "{end}");

    let done = company.root("POST", &format!("/holds/{hold}/refuse"), about(refused)).await;
    let state = (&done["people"], &done["hold"]["waiting"], &done["hold"]["refused"]);
    assert_eq!(state, (&json!(1), &json!(2), &json!(1)), "{done}");
    assert_eq!(company.events("hold.refused").await.len(), 1);
    assert_eq!(
        (company.code(refused).await.as_str(), company.receipts(refused).await.len()),
        ("member_inactive", 0)
    );

    company.say_active(corrected, true).await;
    assert_eq!(company.code(corrected).await, "allowed", "nothing of theirs had ended");
    assert_eq!(company.member(corrected).await["holds"], Value::Null);
    assert_eq!(company.events("member.unheld").await.len(), 1, "the provider said otherwise once");
    assert_eq!(company.code(waiting).await, "member_inactive");
    let left = company.root("GET", &format!("/holds/{hold}"), Value::Null).await;
    assert_eq!((&left["state"], &left["waiting"], &left["refused"]), (&json!("open"), &json!(1), &json!(1)));
}

/// A list that leaves everybody out names nobody: whoever was in it works on until somebody decides.
async fn a_list_is_emptied(company: &Company<'_>) {
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "everyone", "externalId": "everyone", "members": [],
    });
    company.org.say(company.server, "PUT", &format!("/Groups/{}", company.everyone), group).await;
    let hold = company.hold("losses").await;
    assert_eq!(hold["group"]["display_name"], "everyone", "{hold}");
    for n in LEAVE..PEOPLE {
        assert_eq!(company.code(n).await, "allowed", "person {n}");
        assert_eq!(company.member(n).await["holds"][0]["id"], hold["id"]);
    }
    company.root("POST", &format!("/holds/{}/release", text(&hold, "id")), json!({})).await;
    for n in LEAVE..PEOPLE {
        assert_eq!((company.code(n).await.as_str(), company.receipts(n).await.len()), ("token_ended", 1));
    }
}

async fn brakes(mut server: Server) {
    let company = Company::new(&server).await;
    let hold = many_leave(&company).await;
    let (_, said) = server.command(&["doctor"]);
    assert!(said.contains("hold_open"), "{said}");
    decided(&company, &hold).await;
    a_list_is_emptied(&company).await;
    let keys: Vec<String> = company.people.iter().map(|person| person.key.clone()).collect();
    let asker = company.org.asker.clone();
    drop(company);
    // What was held is a fact that a new start reads as well.
    server.kill();
    server.restart().await;
    for (n, key) in keys.iter().enumerate() {
        // One was refused and one still waits; the others ended.
        let must = if [MAY + 1, MAY + 3].contains(&n) { "member_inactive" } else { "token_ended" };
        assert_eq!(server.code(&asker, key).await, must, "person {n} after a new start");
    }
}

#[tokio::test]
async fn a_provider_that_sends_everybody_out_is_braked_and_an_administrator_decides_on_sqlite() {
    brakes(Server::sqlite().await).await;
}

#[tokio::test]
async fn a_provider_that_sends_everybody_out_is_braked_and_an_administrator_decides_on_postgresql() {
    brakes(Server::postgres().await).await;
}
