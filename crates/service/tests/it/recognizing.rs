//! Who is recognized of those whom a provider has proven, where no provider in the tests says such a thing.

use std::collections::BTreeMap;

use portcullis_domain::connection::Connection;
use portcullis_domain::id::{ConnectionId, MembershipId, RequestId};
use portcullis_domain::oidc::OidcSettings;
use portcullis_service::claims::{Address, Arrival, DEFAULT_GROUPS_CLAIM, GroupsSaid, Said, SubjectStays};
use portcullis_service::oidc::logout;
use portcullis_service::organization::named;
use portcullis_service::recognition::{Wish, admit};
use portcullis_service::refusal::SignInRefusal;
use portcullis_service::restoring::{self, Since};
use portcullis_service::session::Opened;
use portcullis_service::sign_in::ProviderSession;
use portcullis_service::{Limits, ServiceError};
use portcullis_store::connection::find_by_id;
use portcullis_testkit::{Bench, PUBLIC_URL, ROOT_TOKEN};
use serde_json::{Value, json};

pub(crate) const ADA: &str = "ada@acme.test";
const BOB: &str = "bob@acme.test";
const GOOGLE: &str = "https://accounts.google.com";
pub(crate) const IDP: &str = "https://idp.acme.test";

pub(crate) async fn made(bench: &Bench, path: &str, body: Value) -> Value {
    let (status, made) = bench.call("POST", &format!("/api/v1/organizations{path}"), ROOT_TOKEN, body).await;
    assert_eq!(status, 201, "{path}: {made}");
    made
}

/// A bench with the organization `acme`, which has proven `acme.test`.
pub(crate) async fn acme() -> Bench {
    let bench = Bench::of_the_run();
    prepare(&bench).await;
    bench
}

pub(crate) async fn prepare(bench: &Bench) {
    made(bench, "", json!({ "slug": "acme", "name": "Acme" })).await;
    made(bench, "/acme/domains", json!({ "domain": "acme.test", "vouched": true })).await;
}

/// A connection to that issuer, with these fields beside the usual ones.
pub(crate) async fn connection(bench: &Bench, issuer: &str, fields: Value) -> ConnectionId {
    let mut body = json!({
        "kind": "oidc", "name": issuer, "issuer": issuer, "client_id": "c", "client_secret": "s",
    });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    made(bench, "/acme/connections", body).await["id"].as_str().unwrap().parse().unwrap()
}

/// The connection as it is kept.
pub(crate) fn found(bench: &Bench, id: ConnectionId) -> Connection {
    bench.portcullis().around().store.write_blocking(move |tx| find_by_id(tx, id)).unwrap().unwrap()
}

pub(crate) fn open_to_newcomers() -> Value {
    json!({ "jit": true, "default_role": "member" })
}

/// Ada, whom the provider of that connection vouches for.
pub(crate) fn ada(connection: Connection) -> Arrival {
    let said = Said {
        subject: format!("{} ada", connection.issuer),
        former_subject: None,
        stays: SubjectStays::ForGood,
        external_ids: vec![],
        names: vec![],
        address: Some(Address { written: ADA.to_owned(), key: ADA.to_owned(), vouched: true }),
        hosted_domain: None,
        home: None,
        name: "Ada".to_owned(),
        groups: GroupsSaid::Nothing,
        groups_claim: DEFAULT_GROUPS_CLAIM.to_owned(),
        texts: BTreeMap::new(),
    };
    Arrival { connection, said }
}

/// What a browser brings to a sign-in.
#[derive(Default)]
struct Browser {
    /// The membership that links the subject from its own session.
    linking: Option<MembershipId>,
    /// The secrets of the sessions that it holds.
    held: Vec<String>,
}

/// Lets Ada in, or says why not. `said` is what the provider says otherwise of her.
pub(crate) fn arrive(
    bench: &Bench,
    id: ConnectionId,
    said: impl Fn(&mut Arrival) + Send + 'static,
) -> Result<(), SignInRefusal> {
    arrive_with(bench, id, Browser::default(), said).map(|_| ())
}

fn arrive_with(
    bench: &Bench,
    id: ConnectionId,
    browser: Browser,
    said: impl Fn(&mut Arrival) + Send + 'static,
) -> Result<Opened, SignInRefusal> {
    let portcullis = bench.portcullis().clone();
    let answer = bench.portcullis().around().store.write_blocking(move |tx| {
        let mut moment = portcullis.moment();
        let mut arrival = ada(find_by_id(tx, id)?.unwrap());
        said(&mut arrival);
        let wish = Wish {
            arrival: &arrival,
            session: &ProviderSession::Oidc(
                logout::ProviderSession::named((&arrival.said.subject, None), &OidcSettings::default())
                    .unwrap(),
            ),
            linking: browser.linking,
            begun_at: moment.now,
            presented: &browser.held,
            limits: Limits::default(),
            request: RequestId::fresh(moment.now, &mut moment.random),
        };
        admit(tx, &mut moment, &wish)
    });
    match answer {
        Ok(admission) => admission,
        Err(ServiceError::SignIn(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

fn of_company(name: &'static str) -> impl Fn(&mut Arrival) + Send + 'static {
    move |arrival| arrival.said.hosted_domain = Some(name.to_owned())
}

#[tokio::test]
async fn google_vouches_for_the_accounts_of_a_company_that_the_organization_has_proven_too() {
    let bench = acme().await;
    made(&bench, "/acme/domains", json!({ "domain": "acme.example", "vouched": true })).await;
    made(&bench, "", json!({ "slug": "globex", "name": "Globex" })).await;
    made(&bench, "/globex/domains", json!({ "domain": "globex.test", "vouched": true })).await;
    let google = connection(&bench, GOOGLE, open_to_newcomers()).await;
    for unproven in ["nobodys.test", "globex.test"] {
        let refused = arrive(&bench, google, of_company(unproven));
        assert_eq!(refused, Err(SignInRefusal::HostedDomainNotProven), "{unproven}");
    }
    assert_eq!(arrive(&bench, google, |_| {}), Err(SignInRefusal::HostedDomainMissing));
    assert_eq!(arrive(&bench, google, of_company("acme.example")), Ok(()), "another domain of the same");
}

#[tokio::test]
async fn a_company_that_another_provider_than_google_names_says_nothing() {
    let bench = acme().await;
    let other = connection(&bench, "https://idp.acme.test", open_to_newcomers()).await;
    assert_eq!(arrive(&bench, other, of_company("nobodys.test")), Ok(()));
}

#[tokio::test]
async fn whoever_was_proven_to_a_connection_as_it_was_before_begins_again() {
    let bench = acme().await;
    let id = connection(&bench, IDP, open_to_newcomers()).await;
    let changed: [fn(&mut Arrival); 3] = [
        |arrival| arrival.connection.issuer = "https://before.acme.test".to_owned(),
        |arrival| arrival.connection.client_id = "the client before".to_owned(),
        |arrival| arrival.connection.directory = Some(arrival.connection.claims_directory),
    ];
    for (number, said) in changed.into_iter().enumerate() {
        assert_eq!(arrive(&bench, id, said), Err(SignInRefusal::ConnectionChanged), "{number}");
    }
    assert_eq!(arrive(&bench, id, |_| {}), Ok(()));
}

#[tokio::test]
async fn a_subject_that_is_an_address_counts_while_the_directory_says_that_it_is_theirs() {
    let bench = acme().await;
    let body = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
    let directory = made(&bench, "/acme/directories", body).await;
    let id = connection(&bench, IDP, json!({ "directory": directory["id"] })).await;
    let users = format!("{}/Users", directory["base_url"].as_str().unwrap().trim_start_matches(PUBLIC_URL));
    let token = directory["token"].as_str().unwrap();
    let user = |address: &str| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address, "active": true,
            "emails": [{ "value": address, "primary": true }],
        })
    };
    let told = bench.call("POST", &users, token, user(ADA)).await.1;
    let perhaps =
        |arrival: &mut Arrival| arrival.said.stays = SubjectStays::Perhaps { address: Some(ADA.to_owned()) };
    assert_eq!(arrive(&bench, id, perhaps), Ok(()));
    assert_eq!(arrive(&bench, id, perhaps), Ok(()), "by the link");
    let one = format!("{users}/{}", told["id"].as_str().unwrap());
    assert_eq!(bench.call("PUT", &one, token, user("ada.king@acme.test")).await.0, 200);
    assert_eq!(arrive(&bench, id, perhaps), Err(SignInRefusal::AddressMoved), "nobody's");
    assert_eq!(bench.call("POST", &users, token, user(ADA)).await.0, 201);
    assert_eq!(arrive(&bench, id, perhaps), Err(SignInRefusal::AddressMoved), "somebody else's");
    assert_eq!(arrive(&bench, id, |_| {}), Ok(()), "a subject that stays is the identity");
}

#[tokio::test]
async fn an_invited_person_whom_a_directory_tells_of_comes_in_by_its_connection_and_no_other() {
    let bench = acme().await;
    let id = connection(&bench, IDP, json!({})).await;
    made(&bench, "/acme/invitations", json!({ "email": ADA, "role": "member" })).await;
    let directory = made(&bench, "/acme/directories", json!({ "kind": "scim", "name": "Okta" })).await;
    let users = format!("{}/Users", directory["base_url"].as_str().unwrap().trim_start_matches(PUBLIC_URL));
    let token = directory["token"].as_str().unwrap();
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": ADA, "active": true,
        "emails": [{ "value": ADA, "primary": true }],
    });
    assert_eq!(bench.call("POST", &users, token, user).await.0, 201);
    assert_eq!(arrive(&bench, id, |_| {}), Err(SignInRefusal::NotInvited));
}

#[tokio::test]
async fn a_subject_is_linked_from_the_session_of_whoever_asked_for_it_and_not_from_a_colleagues() {
    let bench = acme().await;
    let home = connection(&bench, "https://idp.acme.test", open_to_newcomers()).await;
    let bob = |arrival: &mut Arrival| {
        arrival.said.subject = "bob".to_owned();
        arrival.said.address = Some(Address { written: BOB.to_owned(), key: BOB.to_owned(), vouched: true });
    };
    let (ada, bob) = (
        arrive_with(&bench, home, Browser::default(), |_| {}).unwrap(),
        arrive_with(&bench, home, Browser::default(), bob).unwrap(),
    );
    let other = connection(&bench, IDP, json!({})).await;
    let holding = |session: &Opened| Browser {
        linking: Some(ada.membership),
        held: vec![session.secret.expose().to_owned()],
    };
    let by_colleague = arrive_with(&bench, other, holding(&bob), |_| {});
    assert_eq!(by_colleague.unwrap_err(), SignInRefusal::LinkingSessionOver);
    assert_eq!(arrive_with(&bench, other, holding(&ada), |_| {}).unwrap().membership, ada.membership);
}

#[tokio::test]
async fn a_restore_that_knows_of_nobody_lets_whoever_was_only_invited_in_by_no_connection() {
    let bench = acme().await;
    let idp = connection(&bench, IDP, json!({})).await;
    let jit = connection(&bench, "https://other.acme.test", open_to_newcomers()).await;
    let invitation = json!({ "email": ADA, "role": "member" });
    let made_before = made(&bench, "/acme/invitations", invitation.clone()).await;
    let member: MembershipId = made_before["member"].as_str().unwrap().parse().unwrap();
    bench.write(move |tx, moment| {
        let organization = named(tx, "acme")?;
        restoring::revive_nobody(tx, moment, &organization, None)?;
        restoring::carry_over(tx, moment, organization.id, &[(member, Since::Unknown)])?;
        restoring::bring_in_step(tx, moment, &organization)
    });
    for connection in [idp, jit] {
        assert_eq!(arrive(&bench, connection, |_| {}), Err(SignInRefusal::InvitationOver));
    }
    made(&bench, "/acme/invitations", invitation).await;
    assert_eq!(arrive(&bench, idp, |_| {}), Ok(()), "who is invited anew");
}
