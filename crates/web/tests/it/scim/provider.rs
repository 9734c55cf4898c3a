//! An identity provider's side of a directory, for tests.

use std::net::IpAddr;
use std::sync::Arc;

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{DirectoryChange, DomainChange, GrantChange, MappingChange, TokenChange};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{
    DirectoryId, DomainId, GrantId, MappingId, MembershipId, OrganizationId, TokenId,
};
use portcullis_domain::mapping::{Gives, Mapping, MappingSource};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::secret::TokenSecret;
use portcullis_domain::token::{Holder, ShownTo, Token, TokenKind};
use portcullis_service::access::settle;
use portcullis_service::provisioning::Speaker;
use portcullis_store::statement::Statement;
use portcullis_testkit::{Bench, Exchange, PUBLIC_URL, ROOT_TOKEN};
use portcullis_web::edge::Source;
use serde_json::{Value, json};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A directory of an organization on a bench, and its token.
#[derive(Clone)]
pub struct Provider {
    pub bench: Arc<Bench>,
    pub organization: OrganizationId,
    pub slug: &'static str,
    pub directory: DirectoryId,
    pub token: String,
}

/// A PATCH of these operations.
pub fn patch(operations: Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
}

/// A person as most providers tell of one.
pub fn person(name: &str) -> Value {
    json!({
        "schemas": [USER],
        "userName": format!("{name}@acme.test"),
        "externalId": format!("ext-{name}"),
        "name": { "givenName": name, "familyName": "Example" },
        "displayName": format!("{name} Example"),
        "emails": [{ "primary": true, "type": "work", "value": format!("{name}@acme.test") }],
        "active": true,
    })
}

/// The id in an answer.
pub fn id(exchange: &Exchange) -> String {
    exchange.json()["id"].as_str().unwrap_or_else(|| panic!("no id in {}", exchange.text())).to_owned()
}

impl Provider {
    /// A directory without a default role, that waits an hour after the last group.
    pub fn new() -> Self {
        Self::with(None, 3600)
    }

    pub fn with(default_role: Option<&str>, settle_s: i64) -> Self {
        let bench = Arc::new(Bench::of_the_run());
        let organization = bench.organization("acme");
        Self::beside(&bench, organization, "acme", default_role, settle_s)
    }

    /// One more directory on the same bench.
    pub fn beside(
        bench: &Arc<Bench>,
        organization: OrganizationId,
        slug: &'static str,
        default_role: Option<&str>,
        settle_s: i64,
    ) -> Self {
        let default_role = default_role.map(|r| r.parse().expect("a slug"));
        let (directory, token) = bench.write(move |tx, moment| {
            let now = moment.now;
            let directory = Directory {
                brake: None,
                id: DirectoryId::fresh(now, &mut moment.random),
                organization,
                kind: DirectoryKind::Scim,
                name: "Staff".to_owned(),
                default_role: default_role.clone(),
                settle_s,
                nested_at: None,
                connection: None,
                created_at: now,
            };
            let secret = TokenSecret::fresh(TokenKind::ScimToken, &mut moment.random);
            let token = Token::new(
                TokenId::fresh(now, &mut moment.random),
                organization,
                (TokenKind::ScimToken, Holder::Directory(directory.id)),
                (ShownTo::Root, Rank::ROOT),
                secret.hash(),
                now,
            );
            let plan = Plan::because(organization, Cause::system())
                .then(
                    EventDraft::new(Action::DirectoryCreated, directory.id),
                    DirectoryChange::Create(directory.clone()),
                )
                .then(
                    EventDraft::new(Action::TokenIssued, directory.id),
                    TokenChange::Issue(Box::new(token)),
                );
            moment.apply(tx, &plan)?;
            Ok((directory.id, secret.expose().to_owned()))
        });
        Self { bench: Arc::clone(bench), organization, slug, directory, token }
    }

    /// Members of the group that the source names get that role.
    pub fn map(&self, source: MappingSource, role: &str) {
        let (organization, directory, role) =
            (self.organization, self.directory, role.parse().expect("a slug"));
        self.bench.write(move |tx, moment| {
            let mapping = Mapping {
                id: MappingId::fresh(moment.now, &mut moment.random),
                organization,
                directory,
                source: source.clone(),
                gives: Gives { role: Some(Clone::clone(&role)), team: None, environment: None },
                created_at: moment.now,
            };
            let event = EventDraft::new(Action::MappingCreated, mapping.id);
            let plan = Plan::because(organization, Cause::system())
                .then(event, MappingChange::Create(Box::new(mapping)));
            moment.apply(tx, &plan)?;
            Ok(())
        });
    }

    /// The organization has proven that the domain is its own.
    pub fn prove(&self, name: &'static str) {
        let organization = self.organization;
        self.bench.write(move |tx, moment| {
            let domain = Domain {
                id: DomainId::fresh(moment.now, &mut moment.random),
                organization,
                domain: name.to_owned(),
                state: DomainState::Pending,
                txt_value: String::new(),
                proven_at: None,
                created_at: moment.now,
            };
            let event = EventDraft::new(Action::DomainProven, domain.id);
            let changes = vec![
                DomainChange::Add(domain.clone()).into(),
                DomainChange::Prove(domain.id, moment.now).into(),
            ];
            let plan = Plan::because(organization, Cause::system()).then_all(event, changes);
            moment.apply(tx, &plan)?;
            Ok(())
        });
    }

    /// A person gives a member a role.
    pub fn grant(&self, member: &Value, role: &'static str) {
        let organization = self.organization;
        let membership: MembershipId = member["id"].as_str().expect("an id").parse().expect("an id");
        self.bench.write(move |tx, moment| {
            let grant = Grant {
                id: GrantId::fresh(moment.now, &mut moment.random),
                organization,
                membership,
                role: role.parse()?,
                granted_by: None,
                reason: "a test".to_owned(),
                request: None,
                created_at: moment.now,
                ended_at: None,
            };
            let event = EventDraft::new(Action::GrantCreated, grant.id);
            let plan = Plan::because(organization, Cause::system()).then(event, GrantChange::Create(grant));
            moment.apply(tx, &plan)?;
            settle(tx, moment, membership, Cause::system())?;
            Ok(())
        });
    }

    /// The directory as it speaks in one request.
    pub fn speaker(&self) -> Speaker {
        let request = "req_00000000000000000000000000000001".parse().expect("an id");
        Speaker::scim(self.organization, self.directory, request)
    }

    /// The path of a call, below the base URL.
    pub fn path(&self, below: &str) -> String {
        format!("/scim/v2/{}{below}", self.directory)
    }

    /// The whole URL of it.
    pub fn url(&self, below: &str) -> String {
        format!("{PUBLIC_URL}{}", self.path(below))
    }

    /// Calls as the directory does.
    pub async fn call(&self, method: &str, below: &str, body: Value) -> Exchange {
        self.call_as(&self.token, method, below, body).await
    }

    /// Calls with another token.
    pub async fn call_as(&self, token: &str, method: &str, below: &str, body: Value) -> Exchange {
        let authorization = format!("Bearer {token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/scim+json; charset=utf-8"),
        ];
        self.bench.exchange(method, &self.path(below), &headers, &body).await
    }

    /// Calls from an address, with any headers and bytes.
    pub async fn raw(
        &self,
        source: &str,
        headers: &[(&str, &str)],
        method: &str,
        below: &str,
        body: &[u8],
    ) -> Exchange {
        let host = PUBLIC_URL.trim_start_matches("http://");
        let mut request = http::Request::builder().method(method).uri(self.path(below)).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let source: IpAddr = source.parse().expect("an address");
        let body = http_body_util::Full::new(bytes::Bytes::copy_from_slice(body));
        self.bench.send(request.extension(Source(source)).body(body).expect("a request")).await
    }

    /// Creates something and expects 201; its id.
    pub async fn made(&self, below: &str, body: Value) -> String {
        let made = self.call("POST", below, body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        id(&made)
    }

    /// A new person's id.
    pub async fn user(&self, name: &str) -> String {
        self.made("/Users", person(name)).await
    }

    /// A new group's id.
    pub async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|m| json!({ "value": m })).collect();
        self.made("/Groups", json!({ "schemas": [GROUP], "displayName": name, "members": members })).await
    }

    /// Reads something and expects 200.
    pub async fn got(&self, below: &str) -> Value {
        let got = self.call("GET", below, Value::Null).await;
        assert_eq!(got.status, 200, "{}", got.text());
        got.json()
    }

    /// Changes something by these operations and expects success.
    pub async fn patched(&self, below: &str, operations: Value) -> Exchange {
        let patched = self.call("PATCH", below, patch(operations)).await;
        assert!(patched.status.is_success(), "{}", patched.text());
        patched
    }

    /// The ids of a group's members.
    pub async fn members(&self, group: &str) -> Vec<String> {
        let group = self.got(&format!("/Groups/{group}")).await;
        let members = group["members"].as_array().expect("members are returned by default");
        members.iter().map(|m| m["value"].as_str().expect("an id").to_owned()).collect()
    }

    /// A call of the administration API below the organization, as the root token.
    pub async fn admin(&self, method: &str, below: &str, body: Value) -> (u16, Value) {
        let path = format!("/api/v1/organizations/{}{below}", self.slug);
        self.bench.call(method, &path, ROOT_TOKEN, body).await
    }

    /// The member with that address, newest first if there are several.
    pub async fn member(&self, email: &str) -> Value {
        let (status, page) = self.admin("GET", &format!("/members?email={email}"), Value::Null).await;
        assert_eq!(status, 200, "{page}");
        page["items"]
            .as_array()
            .and_then(|items| items.last())
            .cloned()
            .unwrap_or_else(|| panic!("no {email}"))
    }

    /// A key of a member.
    pub async fn key(&self, member: &Value) -> String {
        let below = format!("/members/{}/keys", member["id"].as_str().expect("an id"));
        let (status, key) = self.admin("POST", &below, json!({ "name": "laptop" })).await;
        assert_eq!(status, 201, "{key}");
        key["token"].as_str().expect("a secret").to_owned()
    }

    /// What a check answers for a secret.
    pub async fn code(&self, secret: &str) -> String {
        let question = json!({
            "subject": { "type": "token", "id": secret },
            "action": { "name": "use" },
            "resource": { "type": "tool", "id": "Bash" },
        });
        let (status, answer) = self.bench.call("POST", "/access/v1/evaluation", ROOT_TOKEN, question).await;
        assert_eq!(status, 200, "{answer}");
        answer["context"]["code"].as_str().expect("a code").to_owned()
    }

    /// How many rows there are that only change when something is written.
    pub fn rows(&self) -> i64 {
        const COUNT: Statement = Statement::read(
            "test.rows",
            "SELECT (SELECT COUNT(*) FROM audit_events) + (SELECT COUNT(*) FROM directory_members) \
             + (SELECT COUNT(*) FROM directory_user_facets) + (SELECT COUNT(*) FROM directory_users) + (SELECT COUNT(*) FROM memberships) \
             + (SELECT COUNT(*) FROM receipts) + (SELECT COUNT(*) FROM tombstones)",
        );
        self.bench.write(|tx, _| Ok(tx.row(&COUNT, &[])?.expect("a count").int(0)?))
    }
}
