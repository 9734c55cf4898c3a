//! Where people are while they stay: an organization with a way in of every kind, somebody who takes over from them, and
//! the ways by which they arrive.

use portcullis_domain::connection::ConnectionKind;
use portcullis_emulator::{
    Browser, GoogleGroup, GooglePerson, GoogleServer, GoogleSettings, OidcProvider, Person, PersonState,
    RegisteredClient, Workspace,
};
use serde_json::{Value, json};

use super::kinds::OpenSession;
use crate::harness::{CLIENT_SECRET, Org, Server, accept, provider, session_of, surroundings, text, until};
use crate::saml_idp::{SamlIdp, Subject};

/// The group of everybody at Google, and its address.
const GOOGLE_GROUP: &str = "g-everybody";
/// How many people a brake lets go at least.
const NEVER_BELOW: usize = 10;

/// The identity providers of everybody.
pub struct Idps {
    pub oidc: OidcProvider,
    pub saml: SamlIdp,
    pub google: GoogleServer,
}

impl Idps {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut workspace = Workspace::new("google.test");
        workspace.groups.push(GoogleGroup::new(GOOGLE_GROUP, "everybody@google.test", &[]));
        let settings = GoogleSettings {
            token_url: String::new(),
            workspace,
            max_page: 100,
            surroundings: surroundings(),
        };
        let google = GoogleServer::start(listener, settings).unwrap();
        Self { oidc: provider().await, saml: SamlIdp::new(), google }
    }

    /// The settings of a server that asks the stand-in of Google: who left, each second.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PORTCULLIS_GOOGLE_STAND_IN_URL", self.google.base().to_owned()),
            ("PORTCULLIS_GOOGLE_FULL_POLL_S", "3600".to_owned()),
            ("PORTCULLIS_GOOGLE_FAST_POLL_S", "1".to_owned()),
        ]
    }

    /// The providers know somebody by that address from now on.
    pub fn know(&self, address: &str) {
        self.oidc.change_company(|company| {
            company.people.push(Person {
                id: address.to_owned(),
                user_name: address.to_owned(),
                email: address.to_owned(),
                given_name: address.split('@').next().unwrap().to_owned(),
                family_name: "Test".into(),
                state: PersonState::Active,
            });
        });
    }
}

/// A connection of every kind.
pub struct Doors(Vec<(ConnectionKind, Value)>);

impl Doors {
    /// New ones with these fields beside the usual ones. A new kind without a provider does not compile.
    pub async fn new(server: &Server, idps: &Idps, slug: &str, fields: &Value) -> Self {
        let mut doors = Vec::new();
        for kind in ConnectionKind::ALL {
            let mut wanted = match kind {
                ConnectionKind::Oidc => json!({
                    "issuer": idps.oidc.issuer(), "client_id": format!("doors-{slug}"),
                    "client_secret": CLIENT_SECRET,
                }),
                ConnectionKind::Saml => json!({ "metadata_xml": idps.saml.metadata() }),
            };
            wanted["kind"] = json!(kind.as_str());
            wanted["name"] = json!(format!("Door of {}", kind.as_str()));
            for (name, value) in fields.as_object().unwrap() {
                wanted[name] = value.clone();
            }
            let made = server.root("POST", &format!("/organizations/{slug}/connections"), wanted).await;
            if kind == ConnectionKind::Oidc {
                idps.oidc.register_client(RegisteredClient {
                    id: format!("doors-{slug}"),
                    secret: CLIENT_SECRET.to_owned().into(),
                    jwks_uri: None,
                    redirect_uris: vec![text(&made, "redirect_uri")],
                });
            }
            doors.push((kind, made));
        }
        Self(doors)
    }

    pub fn of(&self, kind: ConnectionKind) -> &Value {
        &self.0.iter().find(|(known, _)| *known == kind).unwrap().1
    }

    /// A session by a connection of every kind, for whoever is known by that address.
    pub async fn sign_in(&self, server: &Server, idps: &Idps, address: &str) -> Vec<OpenSession> {
        let mut sessions = Vec::new();
        for (kind, connection) in &self.0 {
            let mut browser = Browser::new().unwrap();
            let page = match kind {
                ConnectionKind::Oidc => {
                    idps.oidc.sign_in_as(Some(address));
                    browser.open(&text(connection, "login_url")).await.unwrap()
                }
                ConnectionKind::Saml => {
                    let who = Subject { name_id: address, email: address, groups: None };
                    idps.saml.sign_in(&mut browser, connection, &who).await
                }
            };
            let at = format!("{} ended at {}: {}", kind.as_str(), page.url, page.body);
            assert_eq!(page.status, 200, "the sign-in of {address} by {at}");
            let secret = session_of(&browser, server).unwrap_or_else(|| panic!("no session by {at}"));
            sessions.push(OpenSession { secret, by: Some(*kind) });
        }
        sessions
    }
}

/// An organization where people come and go.
pub struct Scene {
    pub org: Org,
    pub doors: Doors,
    pub heir: String,
}

/// Somebody, before they leave.
pub struct Leaver {
    pub name: String,
    /// The id of the SCIM User, empty if there is none.
    pub user: String,
    pub member: String,
    pub sessions: Vec<OpenSession>,
    /// Their membership in the other organization, and the sessions there.
    pub there: String,
    pub sessions_there: Vec<OpenSession>,
}

impl Scene {
    /// An organization whose people its SCIM directory governs.
    pub async fn governed(server: &Server, idps: &Idps, slug: &str) -> Self {
        let org = Org::new(server, slug, &idps.oidc).await;
        let doors = Doors::new(server, idps, slug, &json!({ "directory": org.directory })).await;
        Self::with_heir(server, org, doors).await
    }

    /// One where nobody but administrators brings people.
    pub async fn invited(server: &Server, idps: &Idps, slug: &str) -> Self {
        let org = Org::new(server, slug, &idps.oidc).await;
        let doors = Doors::new(server, idps, slug, &json!({})).await;
        Self::with_heir(server, org, doors).await
    }

    /// One whose people come by themselves, and are what the groups in their claims say.
    pub async fn of_claims(server: &Server, idps: &Idps, slug: &str) -> Self {
        let org = Org::new(server, slug, &idps.oidc).await;
        let fields = json!({ "jit": true, "groups_claim": "groups" });
        let doors = Doors::new(server, idps, slug, &fields).await;
        let claims = text(doors.of(ConnectionKind::Saml), "claims_directory");
        let at = |rest: &str| format!("/organizations/{slug}{rest}");
        let mapping = json!({ "directory": claims, "group": { "external_id": "admins" }, "role": "admin" });
        server.root("POST", &at("/mappings"), mapping).await;
        server.root("PATCH", &at(&format!("/directories/{claims}")), json!({ "settle_s": 0 })).await;
        Self::with_heir(server, org, doors).await
    }

    /// One whose directory has let as many go as its brake allows.
    pub async fn braked(server: &Server, idps: &Idps, slug: &str) -> Self {
        let scene = Self::governed(server, idps, slug).await;
        scene.patch_directory(server, json!({ "brake": { "max_people": NEVER_BELOW } })).await;
        for number in 0..NEVER_BELOW {
            let user = scene.org.person_in(server, &scene.org.admins, &format!("gone-{number}")).await;
            scene.org.say(server, "DELETE", &format!("/Users/{user}"), Value::Null).await;
        }
        scene
    }

    /// One whose people Google Workspace tells of. Its SCIM directory tells of nobody.
    pub async fn at_google(server: &Server, idps: &Idps) -> Self {
        let org = Org::new(server, "google", &idps.oidc).await;
        let wish = json!({
            "kind": "google", "name": "Google Workspace", "settle_s": 0, "brake": { "max_people": NEVER_BELOW },
            "google": {
                "delegated_admin": "admin@google.test",
                "service_account_key": idps.google.workspace().service_account_key(),
            },
        });
        let made = server.root("POST", "/organizations/google/directories", wish).await;
        let directory = text(&made, "id");
        let mapping = json!({
            "directory": directory, "group": { "display_name": "everybody@google.test" }, "role": "admin",
        });
        let doors = Doors::new(server, idps, "google", &json!({ "directory": directory })).await;
        let scene = Self::with_heir(server, org, doors).await;
        scene.polled(server, &directory).await;
        server.root("POST", "/organizations/google/mappings", mapping).await;
        scene
    }

    /// Somebody who stays whoever goes, and takes agents over.
    async fn with_heir(server: &Server, org: Org, doors: Doors) -> Self {
        let path = format!("/organizations/{}/invitations", org.slug);
        let invitation = json!({ "email": format!("heir@{}", org.domain), "role": "member" });
        accept(server, &text(&server.root("POST", &path, invitation).await, "link")).await;
        let heir = text(&org.member(server, "heir").await, "id");
        Self { org, doors, heir }
    }

    /// A path of the administration of this organization.
    pub fn at(&self, rest: &str) -> String {
        format!("/organizations/{}{rest}", self.org.slug)
    }

    pub async fn patch_directory(&self, server: &Server, change: Value) {
        server.root("PATCH", &self.at(&format!("/directories/{}", self.org.directory)), change).await;
    }

    /// The membership, as the administration API shows it.
    pub async fn shown(&self, server: &Server, member: &str) -> Value {
        server.root("GET", &self.at(&format!("/members/{member}")), Value::Null).await
    }

    /// The SCIM User of somebody who works here for another organization, whose address theirs is.
    pub fn user(&self, name: &str, other: &Org) -> Value {
        let mut user = self.org.user(name);
        user["emails"] = json!([
            { "value": format!("{name}@{}", other.domain), "type": "home", "primary": true },
            { "value": format!("{name}@{}", self.org.domain), "type": "work" },
        ]);
        user
    }

    /// Somebody in the group `admins` whom the directory tells of, a member of the other organization by the root token's
    /// word, with a session by a connection of every kind in both.
    pub async fn told(&self, server: &Server, idps: &Idps, other: &Self, name: &str) -> Leaver {
        let user = text(&self.org.say(server, "POST", "/Users", self.user(name, &other.org)).await, "id");
        self.org.add_member(server, &self.org.admins, &user).await;
        self.arrived(server, idps, other, (name, user)).await
    }

    /// The same, where their user here is known by an address of the other organization's.
    async fn arrived(
        &self,
        server: &Server,
        idps: &Idps,
        other: &Self,
        (name, user): (&str, String),
    ) -> Leaver {
        let [here, there] = [&self.org, &other.org].map(|org| format!("{name}@{}", org.domain));
        idps.know(&here);
        idps.know(&there);
        let found = server.all(&self.at(&format!("/members?email={there}"))).await;
        let member = found.last().unwrap_or_else(|| panic!("no member `{there}`"));
        assert_eq!((&member["state"], &member["role"]), (&json!("active"), &json!("admin")), "{member}");
        let sessions = self.doors.sign_in(server, idps, &here).await;
        let membership = other.also(server, &member["user"]["id"]).await;
        let sessions_there = other.doors.sign_in(server, idps, &there).await;
        let (name, member) = (name.to_owned(), text(member, "id"));
        Leaver { name, user, member, sessions, there: membership, sessions_there }
    }

    /// The same human here, as an administrator.
    async fn also(&self, server: &Server, human: &Value) -> String {
        let id = text(&server.root("POST", &self.at("/members"), json!({ "user": human })).await, "id");
        self.grant(server, &id).await;
        id
    }

    async fn grant(&self, server: &Server, member: &str) {
        let grant = json!({ "member": member, "role": "admin", "reason": "works here too" });
        server.root("POST", &self.at("/grants"), grant).await;
    }

    /// Somebody who was invited here and there, and said the same password: the same human.
    pub async fn joined(&self, server: &Server, other: &Self, name: &str) -> Leaver {
        let address = format!("{name}@{}", self.org.domain);
        let mut both = Vec::new();
        for scene in [self, other] {
            let invitation = json!({ "email": address, "role": "admin" });
            let made = server.root("POST", &scene.at("/invitations"), invitation).await;
            let secret = accept(server, &text(&made, "link")).await;
            let secret = secret.split('.').next_back().unwrap().to_owned();
            let found = server.all(&scene.at(&format!("/members?email={address}"))).await;
            both.push((found.last().unwrap().clone(), vec![OpenSession { secret, by: None }]));
        }
        let (there, sessions_there) = both.pop().unwrap();
        let (member, sessions) = both.pop().unwrap();
        assert_eq!(member["user"]["id"], there["user"]["id"], "one human");
        let (member, there) = (text(&member, "id"), text(&there, "id"));
        Leaver { name: name.to_owned(), user: String::new(), member, sessions, there, sessions_there }
    }

    /// Somebody who came by themselves, as an administrator by a group in their claims. In the other organization they have
    /// no way in: their one address belongs to this one.
    pub async fn came(&self, server: &Server, idps: &Idps, other: &Self, name: &str) -> Leaver {
        let address = format!("{name}@{}", self.org.domain);
        let (page, session) = self.comes(server, idps, &address, &["admins"]).await;
        let secret = session.unwrap_or_else(|| panic!("{page}"));
        let member = self.org.member(server, name).await;
        let there = other.also(server, &member["user"]["id"]).await;
        let sessions = vec![OpenSession { secret, by: Some(ConnectionKind::Saml) }];
        let (name, member) = (name.to_owned(), text(&member, "id"));
        Leaver { name, user: String::new(), member, sessions, there, sessions_there: vec![] }
    }

    /// Somebody signs in by SAML with these groups: the page, and the session if there is one.
    pub async fn comes(
        &self,
        server: &Server,
        idps: &Idps,
        address: &str,
        groups: &[&str],
    ) -> (String, Option<String>) {
        let mut browser = Browser::new().unwrap();
        let who = Subject { name_id: address, email: address, groups: Some(groups) };
        let page = idps.saml.sign_in(&mut browser, self.doors.of(ConnectionKind::Saml), &who).await;
        let session = session_of(&browser, server);
        assert_eq!(page.status == 200, session.is_some(), "{}", page.body);
        (page.body, session)
    }

    /// Somebody whom Google tells of.
    pub async fn of_google(&self, server: &Server, idps: &Idps, other: &Self, name: &str) -> Leaver {
        idps.google.workspace().change(|company| {
            let address = format!("{name}@{}", other.org.domain);
            let mut person = GooglePerson::new(name, &address);
            person.aliases.push(format!("{name}@google.test"));
            company.people.push(person);
            company
                .group_mut(GOOGLE_GROUP)
                .unwrap()
                .members
                .extend(GoogleGroup::new("", "", &[name]).members);
        });
        self.polled(server, &self.google_directory()).await;
        self.arrived(server, idps, other, (name, String::new())).await
    }

    /// The directory that governs whoever comes by these doors.
    pub fn google_directory(&self) -> String {
        text(self.doors.of(ConnectionKind::Oidc), "directory")
    }

    /// Has Google be read now, and waits until that is done.
    pub async fn polled(&self, server: &Server, directory: &str) {
        let path = self.at(&format!("/directories/{directory}/sync"));
        let last = async || server.root("GET", &path, Value::Null).await["last_full_success_at"].clone();
        let before = last().await;
        let (status, said) =
            server.call("POST", &format!("/api/v1{path}"), &server.root_token, Value::Null).await;
        assert_eq!(status, 202, "{said}");
        until("a poll", async || (last().await != before).then_some(())).await;
    }

    /// Google tells otherwise of everybody in the group from now on.
    pub fn change_google(&self, idps: &Idps, change: impl FnOnce(&mut Workspace, &str)) {
        idps.google.workspace().change(|company| change(company, GOOGLE_GROUP));
    }

    /// That many others in the group `admins`.
    pub async fn crowd(&self, server: &Server, people: usize) {
        let mut members = Vec::new();
        for number in 0..people {
            members.push(json!({ "value": self.org.person(server, &format!("crowd-{number}")).await }));
        }
        let operation = json!({ "op": "add", "path": "members", "value": members });
        let path = format!("/Groups/{}", self.org.admins);
        self.org.say(server, "PATCH", &path, super::leaving::patch(&operation)).await;
    }

    /// A connection names no directory any more, so that this one may be deleted.
    pub async fn free_directory(&self, server: &Server) {
        for connection in server.all(&self.at("/connections")).await {
            let path = self.at(&format!("/connections/{}", text(&connection, "id")));
            server.root("PATCH", &path, json!({ "directory": null })).await;
        }
    }
}
