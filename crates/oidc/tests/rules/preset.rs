//! What a few providers do differently: which preset an issuer tells, and what a preset may turn on or off.

use portcullis_oidc::claims::{EmailTrust, SubjectSource};
use portcullis_oidc::graph;
use portcullis_oidc::preset::Preset;
use serde_json::{Value, json};

use crate::fixture::*;

const TENANT: &str = "0f5a6b7c-1111-2222-3333-444455556666";

fn entra() -> String {
    format!("https://login.microsoftonline.com/{TENANT}/v2.0")
}

#[test]
fn an_issuer_tells_its_preset_and_each_is_found_again_by_its_slug() {
    let told = [
        (entra(), Preset::Entra),
        (format!("https://sts.windows.net/{TENANT}/"), Preset::Entra),
        ("https://accounts.google.com".to_owned(), Preset::Google),
        ("https://acme.okta.com".to_owned(), Preset::Okta),
        ("https://acme.oktapreview.com/oauth2/default".to_owned(), Preset::Okta),
        ("https://id.acme.test/realms/staff".to_owned(), Preset::Keycloak),
        ("https://id.acme.test/auth/realms/staff".to_owned(), Preset::Keycloak),
        ("https://acme.eu.auth0.com/".to_owned(), Preset::Auth0),
        ("https://id.acme.test".to_owned(), Preset::Generic),
        ("https://id.acme.test/realms/".to_owned(), Preset::Generic),
        ("https://okta.com.evil.test".to_owned(), Preset::Generic),
        ("https://notokta.com".to_owned(), Preset::Generic),
        (format!("https://login.microsoftonline.com.evil.test/{TENANT}/v2.0"), Preset::Generic),
    ];
    for (issuer, preset) in told {
        assert_eq!(Preset::of_issuer(&issuer), preset, "{issuer}");
    }
    for preset in Preset::ALL {
        assert_eq!(Preset::from_slug(preset.slug()), Some(preset));
    }
    assert_eq!(Preset::from_slug("Entra"), None);
}

#[test]
fn nobody_turns_off_what_microsofts_and_googles_own_issuers_ask_for() {
    for (issuer, own) in
        [(entra(), Preset::Entra), ("https://accounts.google.com".to_owned(), Preset::Google)]
    {
        for chosen in Preset::ALL {
            assert_eq!(Preset::in_force(Some(chosen), &issuer), own);
            assert_eq!(chosen.refused_for(&issuer).is_none(), chosen == own, "{chosen:?} at {issuer}");
        }
        assert_eq!(Preset::in_force(None, &issuer), own);
    }
    for chosen in Preset::ALL {
        let at_okta = "https://acme.okta.com";
        assert_eq!(Preset::in_force(Some(chosen), at_okta), chosen);
        assert_eq!(
            chosen.refused_for(at_okta).is_none(),
            chosen != Preset::Entra,
            "{chosen:?} has no tenant"
        );
    }
    assert_eq!(Preset::Entra.refused_for(&format!("https://login.acme.test/{TENANT}/v2.0")), None);
}

#[test]
fn o7_a_preset_of_entra_names_people_by_tenant_and_object_at_any_host_and_only_of_the_issuers_tenant() {
    let issuer: &'static str = Box::leak(format!("https://login.acme.test/{TENANT}/v2.0").into_boxed_str());
    let claims = |members: Value| {
        let mut all = honest_claims();
        all.insert("iss".to_owned(), json!(issuer));
        all.extend(members.as_object().unwrap().clone());
        verify_claims_by(&all, |rules| rules.issuer = issuer).unwrap()
    };
    let object = "aaaaaaaa-bbbb-cccc-dddd-eeeeffff0000";
    let of = |members: Value, preset: Preset| {
        claims(members).read_as(preset).subject_key(preset.subject_source()).map_err(|e| e.broken().code)
    };
    let own = json!({ "oid": object, "tid": TENANT.to_uppercase() });
    assert_eq!(of(own.clone(), Preset::Entra), Ok(format!("{TENANT}:{object}")));
    assert_eq!(of(own, Preset::Generic), Ok(SUBJECT.to_owned()), "as the issuer tells by itself");
    let other = json!({ "oid": object, "tid": "9188040d-6c67-4c5b-b112-36a304b66dad" });
    assert_eq!(of(other, Preset::Entra), Err("tenant_mismatch"));
    assert_eq!(of(json!({ "tid": TENANT }), Preset::Entra), Err("object_id_missing"));
    assert_eq!(Preset::Okta.subject_source(), SubjectSource::Sub);
}

#[test]
fn graph_is_asked_in_the_issuers_own_cloud_and_only_about_an_object() {
    for (issuer, base) in [
        (entra(), "https://graph.microsoft.com"),
        (format!("https://login.microsoftonline.us/{TENANT}/v2.0"), "https://graph.microsoft.us"),
        (
            format!("https://login.partner.microsoftonline.cn/{TENANT}/v2.0"),
            "https://microsoftgraph.chinacloudapi.cn",
        ),
    ] {
        assert_eq!(graph::base_of(&issuer), base, "{issuer}");
        let url = graph::question_url(base, TENANT).unwrap();
        assert_eq!(url.as_str(), format!("{base}/v1.0/users/{TENANT}/getMemberObjects"));
    }
    for object in ["", "..", "me", "a/../../x", &format!("{TENANT}?x=")] {
        assert!(graph::question_url("https://graph.microsoft.com", object).is_err(), "{object}");
    }
}

#[test]
fn graphs_answer_is_a_whole_list_of_objects_or_refused() {
    let groups = |status: u16, body: &str| {
        graph::parse_groups(status, body.as_bytes()).map_err(|error| error.broken().code)
    };
    let one = format!("{{\"value\":[\"{TENANT}\"]}}");
    assert_eq!(groups(200, &one), Ok(vec![TENANT.to_owned()]));
    assert_eq!(groups(200, "{\"value\":[]}"), Ok(vec![]));
    for (status, code) in
        [(401, "graph_denied"), (403, "graph_denied"), (400, "graph_failed"), (500, "graph_failed")]
    {
        assert_eq!(groups(status, &one), Err(code));
    }
    let long = format!("{{\"value\":[],\"x\":\"{}\"}}", "x".repeat(graph::MAX_GRAPH_BYTES));
    for body in ["", "[]", "{}", "{\"value\":[1]}", "{\"value\":[\"eng\"]}", &long] {
        assert_eq!(groups(200, body), Err("graph_malformed"));
    }
    let token = |status: u16, body: &str| {
        graph::parse_token(status, body.as_bytes())
            .map(|_| ())
            .map_err(|error| error.broken().received.unwrap())
    };
    assert_eq!(token(200, "{\"access_token\":\"t\"}"), Ok(()));
    assert_eq!(token(401, "{\"error\":\"invalid_client\"}"), Err("invalid_client".to_owned()));
    assert_eq!(token(200, "{}"), Err("no access token".to_owned()));
}

#[test]
fn a_preset_of_google_counts_only_accounts_of_a_company_whoever_serves_the_issuer() {
    let trust = |members: Value| {
        let mut all = honest_claims();
        all.extend(members.as_object().unwrap().clone());
        verify_claims(&all).unwrap().read_as(Preset::Google).email().unwrap().trust
    };
    assert_eq!(trust(json!({})), EmailTrust::NotAuthoritative);
    assert_eq!(trust(json!({ "hd": "acme.test" })), EmailTrust::Verified);
}

#[test]
fn auth0s_groups_are_found_under_the_url_that_the_customer_chose_unless_two_look_alike() {
    let claim = |members: Value, preset: Preset| {
        let mut all = honest_claims();
        all.remove("groups");
        all.extend(members.as_object().unwrap().clone());
        verify_claims(&all).unwrap().read_as(preset).usual_groups_claim().to_owned()
    };
    let one = json!({ "https://acme.test/groups": ["eng"], "https://acme.test/roles": [] });
    assert_eq!(claim(one.clone(), Preset::Auth0), "https://acme.test/groups");
    assert_eq!(claim(one, Preset::Generic), "groups", "elsewhere nobody guesses");
    let two = json!({ "https://acme.test/groups": ["eng"], "https://other.test/groups": ["ops"] });
    assert_eq!(claim(two, Preset::Auth0), "groups");
    let literal = json!({ "https://acme.test/groups": ["eng"], "groups": ["ops"] });
    assert_eq!(claim(literal, Preset::Auth0), "groups");
    assert_eq!(claim(json!({ "my/groups": ["eng"] }), Preset::Auth0), "groups", "not under a url");
}
