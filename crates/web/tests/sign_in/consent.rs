//! An administrator's consent at Google: how it is given, who may ask for it, and what is never taken for one.

use portcullis_emulator::{
    Browser, GoogleChoice, GoogleFault, GoogleGroup, GooglePerson, GoogleServer, Page, Workspace,
};
use serde_json::{Value, json};
use url::Url;

use crate::local::joined;
use crate::vouching::in_two_environments;
use crate::world::{ADA, World, outcome};

const ORGANIZATION: &str = "/organizations/acme";
const ADMIN: &str = "admin@acme.example";
const OWNER: &str = "olivia@elsewhere.example";

fn company() -> Workspace {
    let mut company = Workspace::new("acme.example");
    for (id, name) in [("1001", "ada"), ("1002", "bob")] {
        company.people.push(GooglePerson::new(id, &format!("{name}@acme.example")));
    }
    let mut second = GooglePerson::new("1009", "second@acme.example");
    second.is_admin = true;
    company.people.push(second);
    company.groups.push(GoogleGroup::new("g-eng", "eng@acme.example", &["1001", "1002"]));
    company
}

/// A world with a directory that waits for a consent, and an owner in their browser.
struct Scene {
    world: World,
    google: GoogleServer,
    directory: Value,
    owner: Browser,
}

impl Scene {
    async fn new() -> Self {
        let (world, google) = World::beside_google(company()).await;
        let callback = format!("{}/google/consent/callback", world.base);
        let (client_id, client_secret) = google.workspace().oauth_client(&callback);
        let wish = json!({
            "kind": "google", "name": "Workspace", "default_role": "member", "google": {
                "authorization": "consent", "hosted_domain": "Acme.example",
                "client_id": client_id, "client_secret": client_secret,
            },
        });
        let directory = world.made(&format!("{ORGANIZATION}/directories"), wish).await;
        let owner = joined(&world, "acme", OWNER, "admin").await;
        Self { world, google, directory, owner }
    }

    fn path(&self) -> String {
        format!("{ORGANIZATION}/directories/{}", self.directory["id"].as_str().unwrap())
    }

    /// The consent as the API shows it now.
    async fn consent(&self) -> Value {
        let (status, shown) = self.world.root("GET", &self.path(), Value::Null).await;
        assert_eq!(status, 200, "{shown}");
        shown["google"]["consent"].clone()
    }

    fn link(&self) -> String {
        self.directory["google"]["consent"]["link"].as_str().unwrap().to_owned()
    }

    /// Goes to Google from the page of the link; the address of Google's page.
    async fn leave(&mut self) -> Url {
        let link = self.link();
        let page = self.owner.submit(&link, &[]).await.unwrap();
        assert!(page.body.contains("Choose an account"), "{} {}", page.url, page.body);
        page.url
    }

    /// Where Google sends the browser after that choice.
    fn choose(&self, page: &Url, choice: &GoogleChoice) -> String {
        self.google.workspace().consent(page, choice).unwrap()
    }

    /// Leaves, chooses, and comes back.
    async fn consents(&mut self, choice: &GoogleChoice) -> Page {
        let page = self.leave().await;
        let back = self.choose(&page, choice);
        self.owner.open(&back).await.unwrap()
    }

    async fn poll(&self) -> usize {
        self.world.clock.pass_s(1000);
        self.world.portcullis.poll_google_once().await.unwrap()
    }

    async fn sync_error(&self) -> Value {
        let (_, sync) = self.world.root("GET", &format!("{}/sync", self.path()), Value::Null).await;
        sync["error"]["code"].clone()
    }
}

fn account(address: &str) -> GoogleChoice {
    GoogleChoice { account: address.to_owned(), ..GoogleChoice::default() }
}

/// `taken`, or the code that the page names.
fn end(page: &Page) -> String {
    if page.status == 200 && page.body.contains("The consent was taken") {
        return "taken".to_owned();
    }
    outcome(page)
}

#[tokio::test]
async fn an_administrator_consents_and_their_people_are_read_until_they_take_it_back() {
    let mut scene = Scene::new().await;
    let before = scene.consent().await;
    assert_eq!((&before["state"], &before["by"]), (&json!("pending"), &Value::Null), "{before}");
    assert_eq!(before["hosted_domain"], "acme.example");
    assert_eq!(before["redirect_uri"], json!(format!("{}/google/consent/callback", scene.world.base)));
    assert_eq!((scene.poll().await, scene.sync_error().await), (0, json!("consent_missing")));
    let page = scene.owner.open(&scene.link()).await.unwrap();
    assert!(page.status == 200 && page.body.contains("acme.example"), "{}", page.body);
    let at_google = scene.leave().await;
    let asked: std::collections::BTreeMap<_, _> = at_google.query_pairs().into_owned().collect();
    assert_eq!((asked["access_type"].as_str(), asked["code_challenge_method"].as_str()), ("offline", "S256"));
    assert!(
        asked["scope"].split(' ').skip(2).all(|scope| scope.ends_with(".readonly")),
        "nothing is asked for but to read: {}",
        asked["scope"]
    );
    // The page of the stand-in itself: an account and every box ticked.
    let scopes: Vec<&str> = asked["scope"].split(' ').collect();
    let fields: Vec<(&str, &str)> =
        scopes.iter().map(|scope| ("scope", *scope)).chain([("account", ADMIN)]).collect();
    let arrived = scene.owner.submit(at_google.as_str(), &fields).await.unwrap();
    assert_eq!(end(&arrived), "taken", "{}", arrived.body);
    let after = scene.consent().await;
    assert_eq!((&after["state"], &after["by"]), (&json!("given"), &json!(ADMIN)), "{after}");
    assert_eq!(scene.world.portcullis.poll_google_once().await.unwrap(), 1, "it is read at once");
    assert_eq!(scene.sync_error().await, Value::Null);
    assert_eq!(scene.world.members("acme", "ada@acme.example").await[0]["state"], "active");
    let events = scene.world.events("acme", "directory.updated").await;
    assert_eq!(
        (&events[0]["cause"]["kind"], &events[0]["detail"]["to"]["google"]["consented_by"]),
        (&json!("console"), &json!(ADMIN))
    );

    scene.google.workspace().withdraw_consents();
    assert_eq!((scene.poll().await, scene.sync_error().await), (1, json!("consent_revoked")));
    assert_eq!(scene.consent().await["state"], "revoked");
    assert_eq!(scene.world.members("acme", "ada@acme.example").await[0]["state"], "active", "nobody leaves");
    assert_eq!(end(&scene.consents(&account("second@acme.example")).await), "taken");
    assert_eq!((scene.poll().await, scene.sync_error().await), (1, Value::Null));
    let (state, by) = (&scene.consent().await["state"], &scene.consent().await["by"]);
    assert_eq!((state, by), (&json!("given"), &json!("second@acme.example")));
}

#[tokio::test]
async fn what_is_no_consent_of_that_workspace_to_read_is_refused_and_given_back() {
    let mut scene = Scene::new().await;
    let unticked = GoogleChoice {
        unticked: vec!["https://www.googleapis.com/auth/admin.directory.orgunit.readonly".to_owned()],
        ..account(ADMIN)
    };
    let cancels = GoogleChoice { cancels: true, ..account(ADMIN) };
    for (choice, fault, code) in [
        (account("admin@globex.example"), None, "consent_other_customer"),
        (account("somebody@gmail.com"), None, "consent_other_customer"),
        (account("bob@acme.example"), None, "consent_failed"),
        (unticked, None, "consent_scopes"),
        (account(ADMIN), Some(GoogleFault::MoreScopes), "consent_scopes"),
        (account(ADMIN), Some(GoogleFault::NoRefreshToken), "consent_not_offline"),
        (cancels, None, "consent_declined"),
        (account(ADMIN), Some(GoogleFault::AdminPolicy), "consent_declined"),
    ] {
        if let Some(fault) = fault {
            scene.google.workspace().fail(fault);
        }
        let page = scene.consents(&choice).await;
        assert_eq!(end(&page), code, "{}", page.body);
        assert_eq!(scene.google.workspace().count_consents(), 0, "{code}: it is given back");
        assert_eq!(scene.consent().await["state"], "pending");
        scene.google.workspace().mend();
    }
    assert_eq!(scene.poll().await, 0);
    scene.world.portcullis.store_traces().await.unwrap();
    let (_, traces) =
        scene.world.root("GET", &format!("{ORGANIZATION}/traces?outcome=consent_scopes"), Value::Null).await;
    assert_eq!(traces["items"].as_array().unwrap().len(), 2, "{traces}");
    assert!(traces.to_string().contains("orgunit.readonly"), "{traces}");
    assert_eq!(end(&scene.consents(&account(ADMIN)).await), "taken");
    // Another customer's directory answers under the same domain: to it everybody here would be missing.
    scene.poll().await;
    scene.google.workspace().change(|company| company.customer_id = "C0another".to_owned());
    assert_eq!(end(&scene.consents(&account("second@acme.example")).await), "consent_other_customer");
    assert_eq!(scene.consent().await["by"], json!(ADMIN));
    // The same account, once more: what it gave before is not taken back with what is refused.
    assert_eq!(end(&scene.consents(&account(ADMIN)).await), "consent_other_customer");
    scene.google.workspace().change(|company| company.customer_id = "C03az79cb".to_owned());
    scene.poll().await;
    assert_eq!(scene.sync_error().await, Value::Null);
}

#[tokio::test]
async fn the_way_back_is_good_once_in_that_browser_and_for_that_member() {
    let mut scene = Scene::new().await;
    let page = scene.leave().await;
    let back = scene.choose(&page, &account(ADMIN));
    // A scanner that follows links, and an attacker in a browser of their own.
    let mut scanner = Browser::new().unwrap();
    assert_eq!(end(&scanner.open(&back).await.unwrap()), "consent_state");
    let mut other = joined(&scene.world, "acme", "mallory@elsewhere.example", "admin").await;
    assert_eq!(end(&other.open(&back).await.unwrap()), "consent_state");
    assert_eq!(end(&scene.owner.open(&back).await.unwrap()), "taken", "they used nothing up");
    assert_eq!(end(&scene.owner.open(&back).await.unwrap()), "consent_state", "good once");
    // The same browser, in which somebody else is signed in by now.
    let page = scene.leave().await;
    let back = scene.choose(&page, &account(ADMIN));
    let theirs = other.find_cookie(&scene.world.base, "portcullis").unwrap().to_owned();
    let own = scene.owner.find_cookie(&scene.world.base, "portcullis").unwrap().to_owned();
    scene.owner.set_cookie(&scene.world.base, "portcullis", &theirs).unwrap();
    assert_eq!(end(&scene.owner.open(&back).await.unwrap()), "consent_state");
    scene.owner.set_cookie(&scene.world.base, "portcullis", &own).unwrap();
    let page = scene.leave().await;
    let back = scene.choose(&page, &account(ADMIN));
    scene.world.clock.pass_s(1201);
    assert_eq!(end(&scene.owner.open(&back).await.unwrap()), "consent_state", "too late");
    let page = scene.leave().await;
    let forged = scene.choose(&page, &account(ADMIN)).replace("state=", "state=x");
    assert_eq!(end(&scene.owner.open(&forged).await.unwrap()), "consent_state");
    // The client was changed while the administrator was at Google.
    let page = scene.leave().await;
    let back = scene.choose(&page, &account(ADMIN));
    let patch = json!({ "google": { "client_id": "other.apps.googleusercontent.com" } });
    assert_eq!(scene.world.root("PATCH", &scene.path(), patch).await.0, 200);
    assert_eq!(end(&scene.owner.open(&back).await.unwrap()), "consent_changed");
}

#[tokio::test]
async fn nobody_asks_for_a_consent_who_may_not_write_the_directory() {
    let scene = Scene::new().await;
    let link = scene.link();
    let mut nobody = Browser::new().unwrap();
    for page in [nobody.open(&link).await.unwrap(), nobody.submit(&link, &[]).await.unwrap()] {
        assert_eq!(page.url.path(), "/login");
        assert!(page.url.query().unwrap().contains("return_to"), "{}", page.url);
    }
    let mut viewer = joined(&scene.world, "acme", "vera@elsewhere.example", "viewer").await;
    assert_eq!(outcome(&viewer.open(&link).await.unwrap()), "forbidden");
    assert_eq!(outcome(&viewer.submit(&link, &[]).await.unwrap()), "forbidden");
    scene.world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    let mut foreign = joined(&scene.world, "globex", "greta@globex.example", "admin").await;
    assert_eq!(outcome(&foreign.open(&link).await.unwrap()), "not_found");
    let unknown = format!("{}/google/consent/dir_00000000000000000000000000000001", scene.world.base);
    assert_eq!(outcome(&foreign.open(&unknown).await.unwrap()), "not_found");
    let (status, text) = scene.world.form(&link.replace(&scene.world.base, ""), &[], "").await;
    assert_eq!(status, 403, "a form of another site: {text}");
    let steward = json!({
        "slug": "steward", "rank": 250, "permissions": ["directories.read", "directories.write"],
    });
    scene.world.made(&format!("{ORGANIZATION}/roles"), steward).await;
    let mut below = joined(&scene.world, "acme", "sam@elsewhere.example", "steward").await;
    assert_eq!(outcome(&below.open(&link).await.unwrap()), "above_own_rank", "it gives `member`");
}

#[tokio::test]
async fn whoever_signed_in_to_another_environment_last_consents_by_the_session_that_may() {
    let mut scene = Scene::new().await;
    let domain = json!({ "domain": "acme.example", "vouched": true });
    scene.world.made(&format!("{ORGANIZATION}/domains"), domain).await;
    let (staging, production) = in_two_environments(&scene.world).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&scene.world.sign_in(&mut browser, &staging, ADA).await), "ok");
    let alone = browser.open(&scene.link()).await.unwrap();
    assert_eq!(outcome(&alone), "outside_environment", "by that alone");
    for connection in [&production, &staging] {
        assert_eq!(outcome(&scene.world.sign_in(&mut browser, connection, ADA).await), "ok");
    }
    scene.owner = browser;
    assert_eq!(end(&scene.consents(&account(ADMIN)).await), "taken");
}

#[tokio::test]
async fn a_consent_ends_at_google_with_its_directory_its_client_and_its_kind() {
    let mut scene = Scene::new().await;
    let consents = |scene: &Scene| scene.google.workspace().count_consents();
    assert_eq!(end(&scene.consents(&account(ADMIN)).await), "taken");
    let patch = async |scene: &Scene, google: Value| {
        let (status, changed) = scene.world.root("PATCH", &scene.path(), json!({ "google": google })).await;
        assert_eq!(status, 200, "{changed}");
        changed["google"].clone()
    };
    let (_, secret) = scene.google.workspace().oauth_client("https://nowhere.example");
    let kept = patch(&scene, json!({ "client_secret": secret })).await;
    assert_eq!(
        (&kept["consent"]["state"], consents(&scene)),
        (&json!("given"), 1),
        "a new secret needs none"
    );
    assert!(!kept.to_string().contains(&secret));
    // By another account: the former one's consent is given back.
    assert_eq!(end(&scene.consents(&account("second@acme.example")).await), "taken");
    assert_eq!(consents(&scene), 1);
    let other = patch(&scene, json!({ "hosted_domain": "globex.example" })).await;
    assert_eq!((&other["consent"]["state"], consents(&scene)), (&json!("pending"), 0));
    patch(&scene, json!({ "hosted_domain": "acme.example" })).await;
    assert_eq!(end(&scene.consents(&account(ADMIN)).await), "taken");
    let key = scene.google.workspace().service_account_key();
    let by_key = patch(
        &scene,
        json!({ "authorization": "service_account", "delegated_admin": ADMIN, "service_account_key": key }),
    )
    .await;
    assert_eq!((&by_key["consent"], &by_key["delegated_admin"]), (&Value::Null, &json!(ADMIN)));
    assert_eq!(consents(&scene), 0);
    assert_eq!(scene.poll().await, 1);
    assert_eq!(scene.sync_error().await, Value::Null, "the people stay, by another right");
    let (client_id, client_secret) = scene.google.workspace().oauth_client("https://nowhere.example");
    let back = json!({
        "authorization": "consent", "hosted_domain": "acme.example",
        "client_id": client_id, "client_secret": client_secret,
    });
    assert_eq!(patch(&scene, back).await["consent"]["state"], "pending");
    assert_eq!(end(&scene.consents(&account(ADMIN)).await), "taken");
    assert_eq!(consents(&scene), 1);
    let (status, gone) =
        scene.world.root("DELETE", &format!("{}?people=offboard", scene.path()), Value::Null).await;
    assert_eq!((status, consents(&scene)), (204, 0), "{gone}");
}

#[tokio::test]
async fn the_consents_of_an_organization_are_given_back_when_it_is_deleted() {
    let mut scene = Scene::new().await;
    assert_eq!(end(&scene.consents(&account(ADMIN)).await), "taken");
    assert_eq!(scene.google.workspace().count_consents(), 1);
    let path = format!("{ORGANIZATION}?members=offboard");
    let (status, gone) = scene.world.root("DELETE", &path, Value::Null).await;
    assert_eq!((status, scene.google.workspace().count_consents()), (204, 0), "{gone}");
    assert_eq!(scene.poll().await, 0);
}
