//! The stand-in of Google Workspace is as strict as Google, and pages as Google does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_emulator::{
    GOOGLE_TOKEN_URL, GoogleCall, GoogleChoice, GoogleFault, GoogleGroup, GoogleMember, GooglePerson,
    GoogleSettings, GoogleWorkspace, Surroundings, Workspace,
};
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::pkce::CodeVerifier;
use portcullis_oidc::provider::SigningKey;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

const NOW: i64 = 1_800_000_000;
const USERS: &str = "https://www.googleapis.com/auth/admin.directory.user.readonly";

fn stand_in(people: usize) -> GoogleWorkspace {
    let mut workspace = Workspace::new("acme.test");
    for number in 0..people {
        let email = format!("p{number:03}@acme.test");
        workspace.people.push(GooglePerson::new(&format!("2{number:03}"), &email));
    }
    workspace.groups.push(GoogleGroup::new("g1", "eng@acme.test", &["2000", "2001"]));
    GoogleWorkspace::new(GoogleSettings {
        token_url: GOOGLE_TOKEN_URL.to_owned(),
        workspace,
        max_page: 500,
        surroundings: Surroundings::predictable(|| NOW, 7),
    })
    .unwrap()
}

fn key(google: &GoogleWorkspace) -> SigningKey {
    let file = google.service_account_key();
    let pem = file["private_key"].as_str().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    SigningKey::from_pkcs8(SigningAlg::Rs256, &STANDARD.decode(body).unwrap()).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "provisioning@acme-provisioning.iam.gserviceaccount.com",
        "sub": "admin@acme.test", "scope": USERS, "aud": GOOGLE_TOKEN_URL, "iat": NOW, "exp": NOW + 3600,
    })
}

fn token(google: &GoogleWorkspace, signer: &SigningKey, claims: &Value) -> (u16, Value) {
    let assertion =
        signer.sign_bytes(&json!({ "alg": "RS256", "typ": "JWT" }), claims.to_string().as_bytes()).unwrap();
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
        .append_pair("assertion", &assertion)
        .finish();
    let call =
        GoogleCall { method: "POST", path: "/token", query: "", authorization: None, body: body.as_bytes() };
    let answer = google.answer(&call);
    (answer.status, answer.body)
}

fn get(google: &GoogleWorkspace, bearer: &str, path: &str, query: &str) -> (u16, Value) {
    let path = format!("/admin/directory/v1{path}");
    let authorization = format!("Bearer {bearer}");
    let call =
        GoogleCall { method: "GET", path: &path, query, authorization: Some(&authorization), body: b"" };
    let answer = google.answer(&call);
    (answer.status, answer.body)
}

fn bearer(google: &GoogleWorkspace) -> String {
    let (status, answer) = token(google, &key(google), &claims());
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn an_assertion_must_be_signed_by_the_account_for_here_and_now_and_for_what_was_granted() {
    let google = stand_in(1);
    let signer = key(&google);
    let refused = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        let (status, answer) = token(&google, &signer, &claims);
        (status, answer["error"].as_str().unwrap().to_owned())
    };
    let invalid = (400, "invalid_grant".to_owned());
    assert_eq!(refused("iss", json!("other@acme.iam.gserviceaccount.com")), invalid);
    assert_eq!(refused("aud", json!("https://elsewhere.test/token")), invalid);
    assert_eq!(refused("sub", json!("nobody@acme.test")), invalid);
    assert_eq!(refused("exp", json!(NOW + 3601)), invalid, "longer than an hour");
    assert_eq!(refused("iat", json!(NOW - 4000)), invalid);
    let write = "https://www.googleapis.com/auth/admin.directory.user";
    assert_eq!(refused("scope", json!(write)), (401, "unauthorized_client".to_owned()));
    let other = key(&stand_in(1));
    assert_eq!(token(&google, &other, &claims()).0, 400, "another key's signature");
    assert_eq!(token(&google, &signer, &claims()).0, 200);
}

#[test]
fn a_token_of_somebody_who_is_no_administrator_reads_nothing() {
    let google = stand_in(1);
    let mut claims = claims();
    claims["sub"] = json!("p000@acme.test");
    let (_, answer) = token(&google, &key(&google), &claims);
    let (status, answer) =
        get(&google, answer["access_token"].as_str().unwrap(), "/users", "customer=my_customer");
    assert_eq!((status, answer["error"]["errors"][0]["reason"].as_str()), (403, Some("forbidden")));
}

#[test]
fn who_is_in_a_group_is_told_as_google_tells_it() {
    let google = stand_in(3);
    google.change(|company| {
        company.people.push(GooglePerson::new("3000", "kim@acme.example"));
        company.groups.push(GoogleGroup::new("g2", "all@acme.test", &["3000"]));
        company.group_mut("g2").unwrap().members.extend([
            GoogleMember::Group("g1".into()),
            GoogleMember::Group("g-of-others".into()),
            GoogleMember::Customer,
            GoogleMember::External("friend@elsewhere.test".into()),
        ]);
    });
    let bearer = bearer(&google);
    let ask = |path: &str| {
        let (status, answer) = get(&google, &bearer, path, "");
        (status, answer["error"]["message"].as_str().map(str::to_owned), answer)
    };
    let (_, _, group) = ask("/groups/g2");
    assert_eq!(group["directMembersCount"], json!("2"), "people, and neither groups nor everybody");
    let invalid = (400, Some("Invalid Input: memberKey".to_owned()));
    let said = |path: &str| {
        let (status, message, _) = ask(path);
        (status, message)
    };
    assert_eq!(ask("/groups/g2/hasMember/3000").2["isMember"], json!(true), "direct, across domains");
    assert_eq!(ask("/groups/g2/hasMember/2001").2["isMember"], json!(true), "nested, of one domain");
    assert_eq!(ask("/groups/g1/hasMember/2002").2["isMember"], json!(false));
    assert_eq!(said("/groups/g1/hasMember/3000"), invalid, "nested it might be, and is of another domain");
    assert_eq!(said("/groups/g1/hasMember/9999"), invalid, "nobody");
    assert_eq!(ask("/groups/g2/members/3000").2["type"], json!("USER"));
    let gone = (404, Some("Resource Not Found: memberKey".to_owned()));
    assert_eq!(said("/groups/g2/members/2001"), gone, "only through another");
    assert_eq!(said("/groups/g1/members/3000"), gone);
    assert_eq!(said("/groups/g3/members/3000").0, 404);
    assert_eq!([said("/groups/g-of-others").0, said("/groups/g-of-others/members/3000").0], [403; 2]);
}

#[test]
fn a_list_comes_in_pages_of_what_was_asked_for_and_a_mask_leaves_only_its_fields() {
    let google = stand_in(250);
    let bearer = bearer(&google);
    let mut query =
        "customer=my_customer&maxResults=100&fields=nextPageToken,users(id,name(fullName))".to_owned();
    let mut sizes = Vec::new();
    loop {
        let (status, page) = get(&google, &bearer, "/users", &query);
        assert_eq!(status, 200, "{page}");
        let users = page["users"].as_array().unwrap();
        assert_eq!(users[0].as_object().unwrap().len(), 2, "{}", users[0]);
        assert!(users[0]["name"].get("givenName").is_none());
        sizes.push(users.len());
        let Some(next) = page["nextPageToken"].as_str() else { break };
        query = format!(
            "customer=my_customer&maxResults=100&fields=nextPageToken,users(id,name(fullName))&pageToken={next}"
        );
    }
    assert_eq!(sizes, [100, 100, 51]);
    assert_eq!(
        get(&google, &bearer, "/users", "maxResults=100").0,
        400,
        "a customer or a domain is required"
    );
    assert_eq!(get(&google, &bearer, "/users", "customer=my_customer&maxResults=501").0, 400);
    assert_eq!(get(&google, &bearer, "/users", "customer=C_other").0, 404);
}

#[test]
fn suspended_archived_and_deleted_people_are_found_by_what_asks_for_them() {
    let google = stand_in(3);
    google.change(|workspace| {
        workspace.person_mut("2000").unwrap().suspended = true;
        workspace.person_mut("2001").unwrap().archived = true;
        workspace.person_mut("2002").unwrap().deleted_at = Some("2027-01-15T08:00:00.000Z".to_owned());
    });
    let bearer = bearer(&google);
    let ids = |query: &str| {
        let (status, page) = get(&google, &bearer, "/users", &format!("customer=my_customer&{query}"));
        assert_eq!(status, 200, "{page}");
        let users = page["users"].as_array().cloned().unwrap_or_default();
        users.iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("query=isSuspended%3Dtrue"), ["2000"]);
    assert_eq!(ids("query=isArchived%3Dtrue"), ["2001"]);
    assert_eq!(ids("showDeleted=true"), ["2002"]);
    assert_eq!(get(&google, &bearer, "/users/2002", "").0, 404);
    assert_eq!(get(&google, &bearer, "/users/p001%40acme.test", "").1["archived"], true);
}

#[test]
fn it_fails_as_it_is_told_and_until_it_is_mended() {
    let google = stand_in(3);
    let bearer = bearer(&google);
    let status = || get(&google, &bearer, "/users", "customer=my_customer").0;
    google.fail(GoogleFault::Quota(1));
    google.fail(GoogleFault::TooMany(1));
    assert_eq!([status(), status(), status()], [403, 429, 200]);
    google.fail(GoogleFault::Page { of: "/users".to_owned(), number: 1 });
    assert_eq!([status(), status()], [503, 503]);
    google.mend();
    assert_eq!(status(), 200);
    google.revoke_tokens();
    assert_eq!(status(), 401);
}

fn post(google: &GoogleWorkspace, path: &str, bearer: Option<&str>, body: &str) -> (u16, Value) {
    let authorization = bearer.map(|bearer| format!("Bearer {bearer}"));
    let call = GoogleCall {
        method: "POST",
        path,
        query: "",
        authorization: authorization.as_deref(),
        body: body.as_bytes(),
    };
    let answer = google.answer(&call);
    (answer.status, answer.body)
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[test]
fn a_code_is_good_once_for_its_client_its_address_and_its_verifier() {
    const CALLBACK: &str = "https://portcullis.test/callback";
    let google = stand_in(1);
    let (client_id, secret) = google.oauth_client(CALLBACK);
    let verifier = CodeVerifier::from_random(&[7; 32]);
    let code = || {
        let mut page = Url::parse("https://accounts.google.com/o/oauth2/v2/auth").unwrap();
        page.query_pairs_mut().extend_pairs([
            ("client_id", client_id),
            ("redirect_uri", CALLBACK),
            ("scope", USERS),
            ("state", "s"),
            ("access_type", "offline"),
            ("code_challenge", verifier.challenge().as_str()),
        ]);
        let choice = GoogleChoice { account: "admin@acme.test".to_owned(), ..GoogleChoice::default() };
        let back = Url::parse(&google.consent(&page, &choice).unwrap()).unwrap();
        back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
    };
    let exchange = |code: &str, fields: [(&str, &str); 3]| {
        let [secret, address, verifier] = fields;
        let fixed = [("grant_type", "authorization_code"), ("client_id", client_id), ("code", code)];
        let (status, answer) =
            post(&google, "/token", None, &form(&[fixed.as_slice(), &[secret, address, verifier]].concat()));
        (status, answer)
    };
    let right = [
        ("client_secret", secret.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.expose()),
    ];
    let [good_secret, address, proof] = right;
    let other = CodeVerifier::from_random(&[8; 32]);
    assert_eq!(exchange(&code(), [("client_secret", "x"), address, proof]).0, 401);
    assert_eq!(exchange(&code(), [good_secret, ("redirect_uri", "https://evil.test"), proof]).0, 400);
    assert_eq!(exchange(&code(), [good_secret, address, ("code_verifier", other.expose())]).0, 400);
    let once = code();
    let (status, answer) = exchange(&once, right);
    assert_eq!((status, answer["scope"].as_str()), (200, Some(USERS)), "{answer}");
    assert_eq!(exchange(&once, right).0, 400, "once");
    let refresh = answer["refresh_token"].as_str().unwrap();
    let again = form(&[
        ("grant_type", "refresh_token"),
        ("client_id", client_id),
        ("client_secret", &secret),
        ("refresh_token", refresh),
    ]);
    assert_eq!(post(&google, "/token", None, &again).0, 200);
    assert_eq!(post(&google, "/revoke", None, &form(&[("token", refresh)])).0, 200);
    assert_eq!(post(&google, "/token", None, &again).1["error"], "invalid_grant");
    assert_eq!(post(&google, "/revoke", None, &form(&[("token", refresh)])).0, 400);
}

#[test]
fn only_the_identity_of_the_machine_has_assertions_signed_and_none_that_live_long() {
    let google = stand_in(1);
    let path = format!("/v1/projects/-/serviceAccounts/{}:signJwt", google.service_account());
    let payload = |claims: &Value| json!({ "payload": claims.to_string() }).to_string();
    let reader = bearer(&google);
    assert_eq!(
        post(&google, &path, Some(&reader), &payload(&claims())).0,
        403,
        "a reader's token signs nothing"
    );
    assert_eq!(post(&google, &path, None, &payload(&claims())).0, 401);
    let machine = google.metadata()["access_token"].as_str().unwrap().to_owned();
    let (status, _) = get(&google, &machine, "/users", "customer=my_customer");
    assert_eq!(status, 403, "the machine itself reads nobody");
    let mut long = claims();
    long["exp"] = json!(NOW + 13 * 3600);
    assert_eq!(post(&google, &path, Some(&machine), &payload(&long)).0, 400);
    assert_eq!(post(&google, &path, Some(&machine), "{}").0, 400);
    let elsewhere = path.replace("provisioning@", "other@");
    assert_eq!(post(&google, &elsewhere, Some(&machine), &payload(&claims())).0, 404);
    let (status, signed) = post(&google, &path, Some(&machine), &payload(&claims()));
    assert_eq!(status, 200, "{signed}");
    let assertion = signed["signedJwt"].as_str().unwrap();
    let grant = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
    assert_eq!(post(&google, "/token", None, &form(&grant)).0, 200);
    google.fail(GoogleFault::NotTokenCreator);
    assert_eq!(post(&google, &path, Some(&machine), &payload(&claims())).0, 403);
}
