//! Google asked without a key, by the identity of the machine: how, and for whom never.

use std::collections::BTreeSet;

use portcullis_domain::cause::Cause;
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_domain::membership::MembershipState::Active;
use portcullis_domain::permission::Permission;
use portcullis_domain::role::Rank;
use portcullis_domain::token::TokenKind;
use portcullis_emulator::{GoogleFault, GoogleSigns};
use portcullis_service::caller::{Caller, Member};
use portcullis_service::google::workload::{Means, WorkloadIdentity, parse};
use portcullis_service::google::{self, Ground, NewRight, Polling, SourceChanges};
use portcullis_service::sealing::{SEALING_KEY_BYTES, SealingKey};
use portcullis_service::{Portcullis, ServiceError, domain};
use portcullis_testkit::Bench;
use serde_json::json;

use super::polling::on_both;
use super::world::{Identity, World};

const STS: &str = "https://sts.googleapis.com";
const IAM: &str = "https://iamcredentials.googleapis.com";

on_both! {
    people_are_read_without_a_key_by_the_identity_of_a_machine_of_google_cloud_on_sqlite,
    people_are_read_without_a_key_by_the_identity_of_a_machine_of_google_cloud_on_postgresql =>
        World::new, by_metadata;
    no_organization_reads_another_by_the_identity_of_the_machine_on_sqlite,
    no_organization_reads_another_by_the_identity_of_the_machine_on_postgresql => World::new, for_whom;
}

/// The identity of the settings, for these organizations.
fn polling(world: &World, means: Means, organizations: &[&str]) -> Polling {
    let organizations = organizations.iter().map(|name| (*name).to_owned()).collect();
    let workload = Some(WorkloadIdentity {
        service_account: world.google.service_account().to_owned(),
        means,
        organizations,
    });
    Polling { patience_ms: 1, workload, ..Polling::default() }
}

/// The product with the identity of the metadata server, for these organizations.
fn lent(world: &World, organizations: &[&str]) -> Portcullis {
    world.way.is(Identity::Metadata);
    world.portcullis.clone().polling_google(polling(world, Means::Metadata, organizations))
}

/// Polls everything that is due after a while; how the polls of that directory stand then.
async fn poll(world: &World, portcullis: &Portcullis, of: DirectoryId) -> Option<String> {
    world.bench.clock.pass_s(1000);
    portcullis.poll_google_once().await.unwrap();
    world.standing_of(of).error_code
}

/// An administrator of an organization, below the owner.
fn steward(organization: OrganizationId, world: &World) -> Caller {
    let address = format!("steward@{}.test", organization.to_string().replace('_', "-"));
    Caller::Member(Member {
        token: "tok_00000000000000000000000000000001".parse().unwrap(),
        kind: TokenKind::MemberKey,
        organization,
        membership: world.bench.member(organization, &address, "admin").membership,
        shown_to: vec![],
        expires_at: None,
        confined_to: None,
        came_by: None,
        chosen_from: None,
        believed_up_to: Rank::ROOT,
        role: Some("admin".parse().unwrap()),
        rank: Rank::new(700).unwrap(),
        permissions: BTreeSet::from([Permission::DirectoriesWrite]),
        teams: vec![],
    })
}

/// Has a directory use the identity in that administrator's name.
fn name(
    world: &World,
    portcullis: &Portcullis,
    (caller, organization, directory): (&Caller, OrganizationId, DirectoryId),
    administrator: &'static str,
) -> Result<(), ServiceError> {
    let (polling, caller) = (portcullis.google(), caller.clone());
    world.bench.write(move |tx, moment| {
        let sealing = SealingKey::from_bytes(&[7; SEALING_KEY_BYTES]).unwrap();
        let ground = Ground { sealing: &sealing, polling: &polling };
        let right = Some(NewRight::Workload { delegated_admin: administrator.to_owned() });
        let changes = SourceChanges { right, ..SourceChanges::default() };
        let said = google::update(
            tx,
            moment,
            (&caller, ground),
            organization,
            (directory, &changes),
            Cause::system(),
        );
        Ok(said.map(|_| ()))
    })
}

async fn by_metadata(world: &World) {
    let portcullis = lent(world, &[]);
    let own = (&Caller::Root, world.organization, world.directory);
    name(world, &portcullis, own, "admin@acme.test").unwrap();
    assert_eq!(poll(world, &portcullis, world.directory).await, None);
    assert_eq!((world.state("ada@acme.test"), world.role("ada@acme.test")), (Active, Some("member".into())));
    let row = world.rows("SELECT * FROM google_sources").concat().concat();
    assert!(!row.contains("v1."), "nothing is sealed, because there is nothing to keep: {row}");
    let calls = world.google.take_calls().join("\n");
    let account = world.google.service_account();
    assert!(calls.contains(&format!("POST /v1/projects/-/serviceAccounts/{account}:signJwt")), "{calls}");
}

#[tokio::test]
async fn people_are_read_by_the_token_of_another_platform_directly_or_as_the_service_account() {
    for signs in [GoogleSigns::Principal, GoogleSigns::Impersonated] {
        let world = World::new(Bench::sqlite());
        let (subject, configuration) = world.google.federation((STS, IAM), "/run/token", signs);
        let (federation, _) = parse(configuration.to_string().as_bytes(), &Polling::default()).unwrap();
        world.way.is(Identity::Subject(format!("{subject}\n")));
        let polling = polling(&world, Means::Federated(federation), &[]);
        let portcullis = world.portcullis.clone().polling_google(polling);
        let own = (&Caller::Root, world.organization, world.directory);
        name(&world, &portcullis, own, "admin@acme.test").unwrap();
        assert_eq!(poll(&world, &portcullis, world.directory).await, None, "{signs:?}");
        assert_eq!(world.state("ada@acme.test"), Active);
        let calls = world.google.take_calls().join("\n");
        let as_account = calls.contains(":generateAccessToken");
        assert_eq!(as_account, signs == GoogleSigns::Impersonated, "{calls}");
        assert!(calls.contains("POST /v1/token?"), "{calls}");
    }
}

#[tokio::test]
async fn an_identity_that_is_not_there_or_not_taken_takes_nothing_from_anybody_and_says_why() {
    let world = World::new(Bench::sqlite());
    let metadata = lent(&world, &[]);
    let own = world.directory;
    name(&world, &metadata, (&Caller::Root, world.organization, own), "admin@acme.test").unwrap();
    assert_eq!(poll(&world, &metadata, own).await, None);
    let before = world.everything();
    world.google.change(|company| company.person_mut("1001").unwrap().suspended = true);
    let fails = async |portcullis: &Portcullis, code: &str| {
        assert_eq!(poll(&world, portcullis, own).await.as_deref(), Some(code));
    };
    world.way.is(Identity::Nowhere);
    fails(&metadata, "identity_unreadable").await;
    world.way.is(Identity::Subject("no answer of a metadata server".to_owned()));
    fails(&metadata, "broken_answer").await;
    world.way.is(Identity::Metadata);
    world.google.fail(GoogleFault::NotTokenCreator);
    fails(&metadata, "identity_refused").await;
    world.google.mend();
    world.google.fail(GoogleFault::NotDelegated);
    fails(&metadata, "not_delegated").await;
    world.google.mend();
    let (subject, configuration) = world.google.federation((STS, IAM), "/run/token", GoogleSigns::Principal);
    let (federation, _) = parse(configuration.to_string().as_bytes(), &Polling::default()).unwrap();
    let federated = polling(&world, Means::Federated(federation), &[]);
    let federated = world.portcullis.clone().polling_google(federated);
    world.way.is(Identity::Subject("of another machine".to_owned()));
    fails(&federated, "identity_refused").await;
    world.way.is(Identity::Subject("  ".to_owned()));
    fails(&federated, "identity_unreadable").await;
    world.way.is(Identity::Subject(subject.to_owned()));
    world.google.fail(GoogleFault::IdentityUnknown);
    fails(&federated, "identity_refused").await;
    // The operator took it out of the settings.
    fails(&world.portcullis, "identity_off").await;
    assert_eq!(world.everything(), before);
    world.google.mend();
    assert_eq!(poll(&world, &federated, own).await, None);
    assert_ne!(world.state("ada@acme.test"), Active);
}

async fn for_whom(world: &World) {
    const ADMIN: &str = "admin@acme.test";
    let (acme, own) = (world.organization, world.directory);
    let globex = world.bench.organization("globex");
    let theirs = world.another_directory(globex);
    let (ours, stranger) = (steward(acme, world), steward(globex, world));
    let none = Err(ServiceError::IdentityOff);
    assert_eq!(name(world, &world.portcullis, (&ours, acme, own), ADMIN), none);
    let refused = Err(ServiceError::IdentityNotAllowed);
    let for_acme = lent(world, &["acme"]);
    assert_eq!(name(world, &for_acme, (&ours, acme, own), ADMIN), refused, "the domain is not proven");
    world.prove("acme.test");
    assert_eq!(name(world, &for_acme, (&stranger, globex, theirs), ADMIN), refused, "not listed");
    let for_both = lent(world, &["acme", &globex.to_string()]);
    let foreign = name(world, &for_both, (&stranger, globex, theirs), ADMIN);
    assert_eq!(foreign, refused, "listed, and the domain is another organization's");
    let below = name(world, &for_both, (&ours, acme, own), "admin@sub.acme.test");
    assert_eq!(below, refused, "what is proven is the domain and not what is below it");
    name(world, &for_both, (&ours, acme, own), ADMIN).unwrap();
    assert_eq!(poll(world, &for_both, own).await, None);
    assert_eq!(world.state("ada@acme.test"), Active);
    let for_globex = lent(world, &["globex"]);
    let taken = Some("identity_not_allowed".to_owned());
    assert_eq!(poll(world, &for_globex, own).await, taken, "taken off the list");
    assert_eq!(poll(world, &for_acme, own).await, None);
    world.bench.write(move |tx, moment| {
        domain::remove(tx, moment, &Caller::Root, (acme, "acme.test"), Cause::system())
    });
    assert_eq!(poll(world, &for_acme, own).await, taken, "the domain was taken back");
    assert_eq!(world.state("ada@acme.test"), Active, "nothing was taken");
    let for_nobody = lent(world, &[]);
    name(world, &for_nobody, (&Caller::Root, acme, own), ADMIN).unwrap();
    assert_eq!(poll(world, &for_nobody, own).await, None, "the root token vouches for that administrator");
    let again = name(world, &for_nobody, (&ours, acme, own), ADMIN);
    assert_eq!(again, refused, "whoever names them anew does not inherit its word");
}

#[test]
fn a_credential_configuration_that_leads_elsewhere_is_refused() {
    let world = World::new(Bench::sqlite());
    let good = |signs| world.google.federation((STS, IAM), "/run/token", signs).1;
    let refused = |name: &str, value: serde_json::Value| {
        let mut configuration = good(GoogleSigns::Impersonated);
        configuration[name] = value;
        parse(configuration.to_string().as_bytes(), &Polling::default()).unwrap_err().to_string()
    };
    assert!(parse(good(GoogleSigns::Impersonated).to_string().as_bytes(), &Polling::default()).is_ok());
    assert!(refused("type", json!("service_account")).contains("external_account"));
    assert!(refused("token_url", json!("https://sts.evil.test/v1/token")).contains("token_url"));
    for url in [
        "https://evil.test/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken",
        "https://iamcredentials.googleapis.com.evil.test/v1/projects/-/serviceAccounts/a@b.c:generateAccessToken",
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/../x@y:generateAccessToken",
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.c:signBlob",
    ] {
        assert!(refused("service_account_impersonation_url", json!(url)).contains("impersonation"), "{url}");
    }
    for source in [
        json!({}),
        json!({ "file": "/a", "url": "http://localhost/" }),
        json!({ "environment_id": "aws1", "regional_cred_verification_url": "https://sts.amazonaws.com" }),
        json!({ "executable": { "command": "/bin/true" } }),
        json!({ "url": "no address" }),
        json!({ "file": "/a", "format": { "type": "json" } }),
    ] {
        assert!(refused("credential_source", source.clone()).contains("credential_source"), "{source}");
    }
    let large = format!("{}{}", " ".repeat(70_000), good(GoogleSigns::Principal));
    assert!(parse(large.as_bytes(), &Polling::default()).is_err());
}
