//! A sound relying party meets every behaviour with the refusal that belongs to it.

use portcullis_emulator::{Behaviour, GroupValues, KeyKind, PersonState, Rotation};
use portcullis_oidc::claims::{EmailTrust, Groups, OverageMarker};

use crate::relying_party::{NOW, RelyingParty, honest, sign_in, start};

const ADA: &str = "ada.abel@acme.example";

#[tokio::test]
async fn every_behaviour_meets_its_refusal_and_no_other() {
    let provider = honest().await;
    for behaviour in Behaviour::ALL {
        provider.behave(*behaviour);
        let outcome = sign_in(provider.issuer(), ADA).await.map_err(|refusal| refusal.code());
        assert_eq!(outcome.err(), behaviour.expected_refusal(), "{behaviour:?}");
        provider.behave(Behaviour::Honest);
        assert!(sign_in(provider.issuer(), ADA).await.is_ok(), "honest again after {behaviour:?}");
    }
}

#[tokio::test]
async fn the_lies_about_keys_hold_with_rsa_too() {
    let (provider, _) = start(KeyKind::Rs256, GroupValues::DisplayNames).await;
    let lies = [
        Behaviour::Honest,
        Behaviour::AlgNone,
        Behaviour::HsWithPublicKey,
        Behaviour::KeyInHeader,
        Behaviour::UnknownKid,
        Behaviour::TamperedPayload,
    ];
    for behaviour in lies {
        provider.behave(behaviour);
        let outcome = sign_in(provider.issuer(), ADA).await.map_err(|refusal| refusal.code());
        assert_eq!(outcome.err(), behaviour.expected_refusal(), "{behaviour:?}");
    }
}

#[tokio::test]
async fn an_honest_sign_in_brings_the_person_with_address_and_groups() {
    let provider = honest().await;
    let claims = sign_in(provider.issuer(), ADA).await.unwrap();
    assert_eq!((claims.sub(), claims.display_name().as_deref()), ("person-000000", Some("Ada Abel")));
    let email = claims.email().unwrap();
    assert_eq!((email.address.as_str(), email.trust), (ADA, EmailTrust::Verified));
    let groups = ["Everyone", "Engineering", "Operations", "Platform Admins"].map(str::to_owned).to_vec();
    assert_eq!(claims.groups("groups").unwrap(), Groups::Present(groups));
    assert_eq!(claims.authenticated_at(), Some(NOW));
}

#[tokio::test]
async fn groups_can_be_ids_as_entra_sends_them() {
    let (provider, _) = start(KeyKind::Es256, GroupValues::ExternalIds).await;
    let claims = sign_in(provider.issuer(), ADA).await.unwrap();
    let Groups::Present(groups) = claims.groups("groups").unwrap() else { panic!("no groups") };
    assert_eq!(groups.first().map(String::as_str), Some("group-everyone"));
}

#[tokio::test]
async fn what_is_missing_cut_off_or_empty_is_told_apart_over_http() {
    let provider = honest().await;
    let groups = async |behaviour| {
        provider.behave(behaviour);
        sign_in(provider.issuer(), ADA).await.unwrap().groups("groups").map_err(|error| error.broken().code)
    };
    assert_eq!(groups(Behaviour::GroupsMissing).await, Ok(Groups::Missing));
    assert_eq!(groups(Behaviour::GroupsEmpty).await, Ok(Groups::Present(vec![])));
    assert_eq!(groups(Behaviour::GroupsMalformed).await, Err("groups_malformed"));
    let overage = Groups::Overage { claim: "groups".to_owned(), marker: OverageMarker::ClaimNames };
    assert_eq!(groups(Behaviour::GroupsOverage).await, Ok(overage));
    assert!(matches!(groups(Behaviour::ThinIdToken).await, Ok(Groups::Present(list)) if list.len() == 4));
}

#[tokio::test]
async fn the_trust_in_an_address_is_told_apart_over_http() {
    let provider = honest().await;
    let trust = async |behaviour| {
        provider.behave(behaviour);
        sign_in(provider.issuer(), ADA).await.unwrap().email().map(|email| email.trust)
    };
    assert_eq!(trust(Behaviour::EmailUnverified).await, Some(EmailTrust::Unverified));
    assert_eq!(trust(Behaviour::EmailUnstated).await, Some(EmailTrust::NotStated));
    assert_eq!(trust(Behaviour::EmailDomainOwnerVerified).await, Some(EmailTrust::DomainOwnerVerified));
    assert_eq!(trust(Behaviour::EmailMissing).await, None);
    assert_eq!(trust(Behaviour::ThinIdToken).await, Some(EmailTrust::Verified));
}

#[tokio::test]
async fn a_turned_key_is_unknown_until_the_set_is_fetched_again() {
    let provider = honest().await;
    let before = RelyingParty::discover(provider.issuer()).await.unwrap();
    let old_tokens = before.exchange(&before.code(&before.authorize(ADA).await).unwrap()).await.unwrap();
    provider.rotate_key(Rotation::KeepOld).unwrap();
    let tokens = before.exchange(&before.code(&before.authorize(ADA).await).unwrap()).await.unwrap();
    assert_eq!(before.verify(&tokens).unwrap_err().code(), "unknown_kid");
    let again = RelyingParty::discover(provider.issuer()).await.unwrap();
    assert!(again.verify(&tokens).is_ok() && again.verify(&old_tokens).is_ok(), "both keys are published");
    provider.rotate_key(Rotation::DropOld).unwrap();
    let last = RelyingParty::discover(provider.issuer()).await.unwrap();
    assert_eq!(last.verify(&tokens).unwrap_err().code(), "unknown_kid");
}

#[tokio::test]
async fn a_deactivated_person_is_refused_by_the_provider_and_a_renamed_one_keeps_the_subject() {
    let provider = honest().await;
    provider.change_company(|company| company.find_person_mut(ADA).unwrap().state = PersonState::Deactivated);
    assert_eq!(sign_in(provider.issuer(), ADA).await.unwrap_err().code(), "provider_error");
    provider.change_company(|company| {
        let person = company.find_person_mut(ADA).unwrap();
        person.state = PersonState::Active;
        person.email = "ada.king@acme.example".to_owned();
    });
    let claims = sign_in(provider.issuer(), "ada.king@acme.example").await.unwrap();
    assert_eq!(claims.sub(), "person-000000");
}
