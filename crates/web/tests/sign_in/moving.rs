//! Somebody of whom two directories tell: a move between providers goes by itself, and whoever speaks for the one is given
//! nothing by the other.

use portcullis_emulator::Browser;
use serde_json::{Value, json};

use crate::local::joined;
use crate::people::{directory, scim_user};
use crate::world::{World, outcome};

const BOSS: &str = "boss@acme.example";
/// An account of somebody else's at the provider.
const ACCOUNT: &str = "person-000001";

/// A directory that gives `member` to everybody.
struct Told {
    made: Value,
    users: String,
    token: String,
}

impl Told {
    /// The same with a group that is mapped to that role, if any.
    async fn new(world: &World, mapped: Option<&str>) -> Self {
        let (made, users, token) = directory(world).await;
        let told = Self { made, users, token };
        if let Some(role) = mapped {
            assert_eq!(told.map(world, role).await.0, 201);
        }
        told
    }

    async fn map(&self, world: &World, role: &str) -> (u16, Value) {
        let mapping = json!({ "directory": self.made["id"], "group": { "external_id": role }, "role": role });
        world.root("POST", "/organizations/acme/mappings", mapping).await
    }

    fn tokens(&self) -> String {
        format!("/api/v1/organizations/acme/directories/{}/tokens", self.made["id"].as_str().unwrap())
    }

    /// The boss as somebody tells of them by that token; their id there.
    async fn boss(&self, world: &World, token: &str, external_id: &str) -> String {
        let (status, told) = world.call("POST", &self.users, token, scim_user(BOSS, BOSS, external_id)).await;
        assert_eq!(status, 201, "{told}");
        told["id"].as_str().unwrap().to_owned()
    }

    /// The group that is mapped to `admin`, with that person in it.
    async fn make_admin(&self, world: &World, user: &str) {
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Admins",
            "externalId": "admin", "members": [{ "value": user }],
        });
        let groups = self.users.replace("/Users", "/Groups");
        let (status, made) = world.call("POST", &groups, &self.token, group).await;
        assert_eq!(status, 201, "{made}");
    }
}

/// Somebody of rank 400 who sees to directories: the session that they call with.
async fn steward(world: &World) -> String {
    let permissions = json!(["directories.read", "directories.write"]);
    let role = json!({ "slug": "it", "rank": 400, "permissions": permissions });
    world.made("/organizations/acme/roles", role).await;
    let browser = joined(world, "acme", "it@acme.example", "it").await;
    world.sessions(&browser).remove(0)
}

/// A token of the directory that was shown to whoever has that session: the secret, and where it is.
async fn token_for(world: &World, session: &str, of: &Told) -> (String, String) {
    let (status, made) = world.call("POST", &of.tokens(), session, json!({})).await;
    assert_eq!(status, 201, "{made}");
    let one = format!("/organizations/acme/tokens/{}", made["id"].as_str().unwrap());
    (made["token"].as_str().unwrap().to_owned(), one)
}

async fn signed_in(world: &World, connection: &Value, account: &str) -> String {
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, connection, account).await), "ok");
    world.sessions(&browser).remove(0)
}

async fn role(world: &World, session: &str) -> String {
    let (status, me) = world.call("GET", "/api/v1/me", session, Value::Null).await;
    assert_eq!(status, 200, "{me}");
    me["role"].as_str().unwrap().to_owned()
}

async fn reasons(world: &World) -> Vec<String> {
    let (_, page) = world.root("GET", "/organizations/acme/reviews", Value::Null).await;
    page["items"].as_array().unwrap().iter().map(|r| r["reason"].as_str().unwrap().to_owned()).collect()
}

/// Who saw the token by which the former directory told of the boss, and what became of it since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saw {
    Nobody,
    Steward,
    /// Who ended it afterwards.
    Formerly,
    /// Who ended it afterwards and left.
    Gone,
    /// Who stood as high as what the next directory gives, ended it afterwards, and came to stand lower.
    Fallen,
}

/// Another rank for those who see to directories.
async fn stand_at(world: &World, rank: i64) {
    let (_, roles) = world.root("GET", "/organizations/acme/roles?limit=100", Value::Null).await;
    let it = roles["items"].as_array().unwrap().iter().find(|role| role["slug"] == "it").unwrap();
    let one = format!("/organizations/acme/roles/{}", it["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &one, json!({ "rank": rank })).await.0, 200);
}

#[tokio::test]
async fn nobody_is_given_by_the_next_directory_what_somebody_who_spoke_for_the_former_one_may_not_have() {
    for (saw, former_gives, expected, because) in [
        (Saw::Steward, None, "member", &["told_elsewhere"][..]),
        (Saw::Formerly, None, "member", &["told_elsewhere"][..]),
        (Saw::Gone, None, "member", &["told_elsewhere"][..]),
        (Saw::Fallen, None, "admin", &[][..]),
        (Saw::Nobody, None, "admin", &[][..]),
        (Saw::Steward, Some("admin"), "admin", &[][..]),
    ] {
        let world = World::new().await;
        let session = steward(&world).await;
        let former = Told::new(&world, None).await;
        let connection = world.connection("acme", json!({ "directory": former.made["id"] })).await;
        let (token, path) = match saw {
            Saw::Nobody => (former.token.clone(), None),
            Saw::Steward | Saw::Formerly | Saw::Gone | Saw::Fallen => {
                if saw == Saw::Fallen {
                    stand_at(&world, 750).await;
                }
                let (token, path) = token_for(&world, &session, &former).await;
                (token, Some(path))
            }
        };
        former.boss(&world, &token, ACCOUNT).await;
        let account = signed_in(&world, &connection, ACCOUNT).await;
        // Nor does a directory come to give more while they have a token of it.
        let is_over = !matches!(saw, Saw::Nobody | Saw::Steward) || former_gives.is_some();
        world.clock.pass_s(1);
        if let Some(path) = path.filter(|_| is_over) {
            assert_eq!(world.root("DELETE", &path, Value::Null).await.0, 204);
        }
        if saw == Saw::Gone {
            let it = world.members("acme", "it@acme.example").await[0]["id"].clone();
            let end = format!("/organizations/acme/members/{}/offboard", it.as_str().unwrap());
            assert_eq!(world.root("POST", &end, json!({ "reason": "left" })).await.0, 200);
        }
        if saw == Saw::Fallen {
            stand_at(&world, 400).await;
        }
        if let Some(role) = former_gives {
            assert_eq!(former.map(&world, role).await.0, 201);
        }
        let next = Told::new(&world, Some("admin")).await;
        let boss = next.boss(&world, &next.token, "their-own-id").await;
        next.make_admin(&world, &boss).await;
        let given = &world.members("acme", BOSS).await[0]["role"];
        assert_eq!(given, expected, "{saw:?}, {former_gives:?}");
        // What came by the account rests while they stand above whoever named it.
        let rests = expected == "admin" && saw == Saw::Steward;
        let acts = if rests { "not_permitted" } else { "allowed" };
        assert_eq!(world.decision(&account).await, acts, "{saw:?}, {former_gives:?}");
        assert_eq!(reasons(&world).await, because, "{saw:?}, {former_gives:?}");
    }
}

#[tokio::test]
async fn what_a_token_said_outlives_it_though_nobody_came_in_by_the_account_that_it_named() {
    for (saw, expected, because) in
        [(Saw::Formerly, "member", &["told_elsewhere"][..]), (Saw::Nobody, "admin", &[][..])]
    {
        let world = World::new().await;
        let session = steward(&world).await;
        let former = Told::new(&world, None).await;
        match saw {
            Saw::Nobody => former.boss(&world, &former.token, ACCOUNT).await,
            _ => {
                let (token, path) = token_for(&world, &session, &former).await;
                let boss = former.boss(&world, &token, ACCOUNT).await;
                assert_eq!(world.root("DELETE", &path, Value::Null).await.0, 204);
                boss
            }
        };
        let next = Told::new(&world, Some("admin")).await;
        let boss = next.boss(&world, &next.token, "their-own-id").await;
        next.make_admin(&world, &boss).await;
        assert_eq!(&world.members("acme", BOSS).await[0]["role"], expected, "{saw:?}");
        assert_eq!(reasons(&world).await, because, "{saw:?}");
    }
}

#[tokio::test]
async fn nobody_becomes_by_one_directory_whoever_another_one_gives_more() {
    for (seen, because) in [(true, &["told_elsewhere"][..]), (false, &[][..])] {
        let world = World::new().await;
        let session = steward(&world).await;
        let great = Told::new(&world, Some("admin")).await;
        let boss = great.boss(&world, &great.token, "their-own-id").await;
        let small = Told::new(&world, None).await;
        let connection = world.connection("acme", json!({ "directory": small.made["id"] })).await;
        let token = if seen { token_for(&world, &session, &small).await.0 } else { small.token.clone() };
        small.boss(&world, &token, ACCOUNT).await;
        assert_eq!(reasons(&world).await, because);
        let account = signed_in(&world, &connection, ACCOUNT).await;
        great.make_admin(&world, &boss).await;
        assert_eq!(role(&world, &account).await, if seen { "member" } else { "admin" });
    }
}

#[tokio::test]
async fn a_directory_comes_to_give_no_more_than_those_have_who_speak_for_another_one_of_its_people() {
    let world = World::new().await;
    let session = steward(&world).await;
    let (one, other) = (Told::new(&world, None).await, Told::new(&world, None).await);
    let (token, path) = token_for(&world, &session, &one).await;
    one.boss(&world, &token, ACCOUNT).await;
    assert_eq!(other.map(&world, "lead").await.0, 201, "nobody is in both");
    let last = Told::new(&world, None).await;
    last.boss(&world, &last.token, "their-own-id").await;
    assert_eq!(reasons(&world).await, Vec::<String>::new(), "both give the same");
    let (status, refused) = last.map(&world, "lead").await;
    assert_eq!((status, &refused["code"]), (409, &json!("token_seen_below")), "{refused}");
    let id = path.rsplit_once('/').unwrap().1;
    assert!(refused["detail"].as_str().unwrap().contains(id), "which token: {refused}");
    assert_eq!(last.map(&world, "member").await.0, 201, "gives nothing more");
    assert_eq!(world.root("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(last.map(&world, "lead").await.0, 201);
}
