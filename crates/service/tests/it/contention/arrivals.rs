//! Two first sign-ins that meet on PostgreSQL: whoever comes twice at once is one member, and is let in twice.

use std::collections::BTreeSet;

use portcullis_domain::id::{ConnectionId, DirectoryId, MembershipId, RequestId};
use portcullis_domain::oidc::OidcSettings;
use portcullis_service::oidc::logout::ProviderSession as Named;
use portcullis_service::organization::named;
use portcullis_service::provisioning::{self, PersonSaid, Speaker};
use portcullis_service::recognition::{Wish, admit};
use portcullis_service::refusal::SignInRefusal;
use portcullis_service::session::Opened;
use portcullis_service::sign_in::ProviderSession;
use portcullis_service::{Limits, Moment, ServiceError};
use portcullis_store::Tx;
use portcullis_store::connection::find_by_id;
use portcullis_testkit::{Bench, PUBLIC_URL, ROOT_TOKEN};
use serde_json::{Value, json};

use super::races::{Met, leave, meet};
use crate::recognizing::{ADA, ada, connection, made, open_to_newcomers, prepare};

const IDP: &str = "https://idp.acme.test";

/// Ada comes in by that connection.
fn arrival(
    id: ConnectionId,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<Opened, ServiceError> + Send + 'static {
    move |tx, moment| {
        let mut arrival = ada(find_by_id(tx, id)?.unwrap());
        arrival.said.external_ids = vec!["ext-ada".to_owned()];
        let wish = Wish {
            arrival: &arrival,
            session: &ProviderSession::Oidc(
                Named::named((&arrival.said.subject, None), &OidcSettings::default()).unwrap(),
            ),
            linking: None,
            begun_at: moment.now,
            presented: &[],
            limits: Limits::default(),
            request: RequestId::fresh(moment.now, &mut moment.random),
        };
        Ok(admit(tx, moment, &wish)??)
    }
}

/// A directory tells of Ada, by that address.
pub(super) fn telling(
    directory: DirectoryId,
    address: &'static str,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<MembershipId, ServiceError> + Send + 'static {
    telling_as(directory, (address, "ext-ada"), vec![address.to_owned()])
}

/// A directory tells of somebody by that name and id, with these addresses.
fn telling_as(
    directory: DirectoryId,
    (user_name, external_id): (&'static str, &'static str),
    emails: Vec<String>,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<MembershipId, ServiceError> + Send + 'static {
    move |tx, moment| {
        let request = RequestId::fresh(moment.now, &mut moment.random);
        let speaker = Speaker::scim(named(tx, "acme")?.id, directory, request);
        let said = PersonSaid {
            external_id: Some(external_id.to_owned()),
            user_name: user_name.to_owned(),
            display_name: "Ada".to_owned(),
            full_name: String::new(),
            emails: emails.clone(),
            active: Some(true),
            facets: BTreeSet::new(),
            attributes: "{}".to_owned(),
        };
        Ok(provisioning::create_user(tx, moment, speaker, &said)?.membership)
    }
}

/// A directory whose people are members.
pub(super) async fn directory(bench: &Bench) -> DirectoryId {
    let body = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
    made(bench, "/acme/directories", body).await["id"].as_str().unwrap().parse().unwrap()
}

/// A company whose people come by connections that `with` makes.
pub(super) fn company<T>(with: impl AsyncFnOnce(&Bench) -> T) -> Option<(Bench, T)> {
    let bench = Bench::postgres_with(4)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime.block_on(async {
        prepare(&bench).await;
        with(&bench).await
    });
    Some((bench, made))
}

fn members(bench: &Bench) -> Vec<Value> {
    members_at(bench, ADA)
}

/// The members with that address.
pub(super) fn members_at(bench: &Bench, address: &str) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = format!("/api/v1/organizations/acme/members?email={address}");
    let (status, page) = runtime.block_on(bench.call("GET", &path, ROOT_TOKEN, Value::Null));
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

/// Both are let in, as the one member that there is.
fn are_one(bench: &Bench, met: Met<Opened, Opened>) {
    let (first, second) = (met.first.expect("the first"), met.second.expect("the second"));
    assert!(!met.passed, "the second waits until it can see the first");
    assert_eq!(first.membership, second.membership);
    assert_ne!(first.token, second.token, "each browser has a session of its own");
    let members = members(bench);
    assert_eq!(members.len(), 1, "{members:?}");
    assert_eq!(members[0]["id"], first.membership.to_string());
    assert_eq!(members[0]["state"], "active");
}

#[test]
fn a_newcomer_who_comes_twice_at_once_is_one_member_and_is_let_in_twice_on_postgresql() {
    let found = company(async |bench: &Bench| connection(bench, IDP, open_to_newcomers()).await);
    let Some((bench, id)) = found else { return };
    are_one(&bench, meet(&bench, arrival(id), arrival(id)));
}

#[test]
fn an_invited_person_who_comes_twice_at_once_is_let_in_twice_on_postgresql() {
    let found = company(async |bench: &Bench| {
        made(bench, "/acme/invitations", json!({ "email": ADA, "role": "member" })).await;
        connection(bench, IDP, json!({})).await
    });
    let Some((bench, id)) = found else { return };
    are_one(&bench, meet(&bench, arrival(id), arrival(id)));
}

#[test]
fn somebody_of_a_directory_who_comes_twice_at_once_is_let_in_twice_on_postgresql() {
    let found = company(async |bench: &Bench| {
        let body = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
        let directory = made(bench, "/acme/directories", body).await;
        let base = directory["base_url"].as_str().unwrap().trim_start_matches(PUBLIC_URL);
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": ADA, "active": true,
            "externalId": "ext-ada", "emails": [{ "value": ADA, "primary": true }],
        });
        let token = directory["token"].as_str().unwrap();
        assert_eq!(bench.call("POST", &format!("{base}/Users"), token, user).await.0, 201);
        connection(bench, IDP, json!({ "directory": directory["id"] })).await
    });
    let Some((bench, id)) = found else { return };
    are_one(&bench, meet(&bench, arrival(id), arrival(id)));
}

#[test]
fn a_newcomer_who_comes_by_two_connections_at_once_is_not_doubled_on_postgresql() {
    let found = company(async |bench: &Bench| {
        let one = connection(bench, IDP, open_to_newcomers()).await;
        (one, connection(bench, "https://other.acme.test", open_to_newcomers()).await)
    });
    let Some((bench, (one, other))) = found else { return };
    let met = meet(&bench, arrival(one), arrival(other));
    assert!(met.first.is_ok() && !met.passed);
    let refused = ServiceError::from(SignInRefusal::NotInvited);
    assert_eq!(met.second.map(|opened| opened.membership), Err(refused), "as if it had come a moment later");
    assert_eq!(members(&bench).len(), 1);
}

#[test]
fn whoever_comes_while_a_directory_tells_of_them_is_one_member_on_postgresql() {
    let found = company(async |bench: &Bench| {
        (connection(bench, IDP, open_to_newcomers()).await, directory(bench).await)
    });
    let Some((bench, (id, directory))) = found else { return };
    let met = meet(&bench, arrival(id), telling(directory, ADA));
    let came = met.first.expect("the first").membership;
    assert_eq!((met.second, met.passed), (Ok(came), false), "recognized by the address");
    assert_eq!(members(&bench).len(), 1);
}

#[test]
fn nobody_comes_just_in_time_while_a_directory_tells_of_them_by_any_of_their_names_on_postgresql() {
    for address in [ADA, "ada.king@acme.test"] {
        let found = company(async |bench: &Bench| {
            (connection(bench, IDP, open_to_newcomers()).await, directory(bench).await)
        });
        let Some((bench, (id, directory))) = found else { return };
        let met = meet(&bench, telling(directory, address), arrival(id));
        assert!(met.first.is_ok() && !met.passed, "{address}");
        let refused = ServiceError::from(SignInRefusal::NotInvited);
        assert_eq!(met.second.map(|opened| opened.membership), Err(refused), "{address}");
    }
}

#[test]
fn nobody_comes_just_in_time_while_a_directory_says_their_address_behind_texts_that_are_none_on_postgresql() {
    let found = company(async |bench: &Bench| {
        (connection(bench, IDP, open_to_newcomers()).await, directory(bench).await)
    });
    let Some((bench, (id, directory))) = found else { return };
    let emails = (0..20).map(|n| format!("no address {n}")).chain([ADA.to_owned()]).collect();
    let met = meet(&bench, telling_as(directory, ("a.abel", "00u1"), emails), arrival(id));
    assert!(met.first.is_ok() && !met.passed);
    let refused = ServiceError::from(SignInRefusal::NotInvited);
    assert_eq!(met.second.map(|opened| opened.membership), Err(refused));
}

#[test]
fn of_whom_two_directories_tell_at_once_is_one_member_on_postgresql() {
    let found = company(async |bench: &Bench| (directory(bench).await, directory(bench).await));
    let Some((bench, (one, other))) = found else { return };
    let met = meet(&bench, telling(one, ADA), telling(other, ADA));
    assert_eq!((met.second, met.passed), (Ok(met.first.expect("the first")), false));
    assert_eq!(members(&bench).len(), 1);
}

#[test]
fn whoever_is_off_boarded_while_a_directory_tells_of_them_is_somebody_new_to_it_on_postgresql() {
    let Some((bench, directory)) = company(async |bench: &Bench| directory(bench).await) else { return };
    let organization = bench.write(|tx, _| Ok(named(tx, "acme")?.id));
    let ada = bench.member(organization, ADA, "member");
    let met = meet(&bench, leave(&ada), telling(directory, ADA));
    met.first.expect("the end");
    assert!(!met.passed, "who is recognized is held");
    let told = met.second.expect("what the directory says");
    assert_ne!(told, ada.membership, "as if it had been said a moment later");
    let living = members(&bench);
    let living: Vec<_> = living.iter().filter(|member| member["state"] == "active").collect();
    assert!(living.len() == 1 && living[0]["id"] == told.to_string(), "{living:?}");
}
