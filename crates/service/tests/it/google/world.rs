//! A product whose way out leads to a stand-in of Google Workspace, without a socket.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use portcullis_domain::Clock as _;
use portcullis_domain::agent::{Agent, AgentState, OwnerLossRule};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::brake::Brake;
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{AgentChange, MappingChange};
use portcullis_domain::evaluation::Decision;
use portcullis_domain::google::PollKind;
use portcullis_domain::id::{AgentId, DirectoryId, MappingId, MembershipId, OrganizationId};
use portcullis_domain::mapping::{Gives, Mapping, MappingSource};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::plan::Plan;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, ShownTo, TokenKind};
use portcullis_emulator::{
    GOOGLE_TOKEN_URL, GoogleCall, GoogleGroup, GooglePerson, GoogleSettings, GoogleWorkspace,
    Surroundings as Elsewhere, Workspace,
};
use portcullis_service::caller::Caller;
use portcullis_service::directory::{Nesting, NewDirectory};
use portcullis_service::evaluation::{About, ask};
use portcullis_service::fetch::{Fetch, FetchAnswer, FetchError, FetchFuture, FetchMethod, FetchRequest};
use portcullis_service::google::{self, Ground, NewRight, NewSource, Polling};
use portcullis_service::rules::after_rule_change;
use portcullis_service::{Portcullis, ServiceError, domain};
use portcullis_store::google::Poll;
use portcullis_store::membership::{self, MembershipFilter};
use portcullis_store::receipt::StoredReceipt;
use portcullis_store::{Tx, google as stored};
use portcullis_testkit::{Bench, issue_key};
use serde_json::Value;
use tokio::sync::Notify;

use crate::machine::raw::Raw;

/// The way out: Google's two hosts lead to the stand-in, everything else nowhere.
pub(crate) struct ToGoogle {
    google: GoogleWorkspace,
    shut: AtomicBool,
    /// The end of the paths that are shut; empty: all.
    shut_at: Mutex<&'static str>,
    opened: Notify,
    /// Why there is no way, and how often it was tried since.
    broken: Mutex<Option<(FetchError, usize)>>,
    /// How many requests are let through before access tokens are revoked.
    until_revoked: AtomicUsize,
    /// Whether whoever reads the next answer meets a fault of ours.
    faulty: AtomicBool,
    /// Who the machine is.
    identity: Mutex<Identity>,
}

impl ToGoogle {
    /// From now on the machine shows this.
    pub(crate) fn is(&self, identity: Identity) {
        *self.identity.lock().unwrap() = identity;
    }

    /// From now on, each call ends by a fault of ours, or none does.
    pub(crate) fn be_faulty(&self, is_faulty: bool) {
        self.faulty.store(is_faulty, Ordering::SeqCst);
    }

    /// Revokes every access token once, after so many requests more.
    pub(crate) fn revoke_after(&self, requests: usize) {
        self.until_revoked.store(requests, Ordering::SeqCst);
    }

    /// Fails so from now on.
    pub(crate) fn break_with(&self, error: FetchError) {
        *self.broken.lock().unwrap() = Some((error, 0));
    }

    /// How often it failed since.
    pub(crate) fn failed(&self) -> usize {
        self.broken.lock().unwrap().as_ref().map_or(0, |(_, times)| *times)
    }

    /// Lets no call of such a path through until it is opened.
    pub(crate) fn shut_at(&self, end: &'static str) {
        *self.shut_at.lock().unwrap() = end;
        self.shut();
    }

    /// Lets nothing through until it is opened.
    pub(crate) fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
        self.opened.notify_waiters();
    }
}

impl ToGoogle {
    fn to(google: &GoogleWorkspace) -> Arc<Self> {
        Arc::new(Self {
            google: google.clone(),
            shut: AtomicBool::new(false),
            shut_at: Mutex::new(""),
            opened: Notify::new(),
            broken: Mutex::default(),
            until_revoked: AtomicUsize::new(usize::MAX),
            faulty: AtomicBool::new(false),
            identity: Mutex::new(Identity::Nowhere),
        })
    }
}

impl Fetch for ToGoogle {
    fn fetch(&self, request: FetchRequest) -> FetchFuture<'_, FetchAnswer> {
        Box::pin(async move {
            assert!(!self.faulty.load(Ordering::SeqCst), "a fault of ours");
            let opened = self.opened.notified();
            let end = *self.shut_at.lock().unwrap();
            if self.shut.load(Ordering::SeqCst) && request.url.path().ends_with(end) {
                opened.await;
            }
            if let Some((error, times)) = self.broken.lock().unwrap().as_mut() {
                *times += 1;
                return Err(error.clone());
            }
            if self.until_revoked.fetch_sub(1, Ordering::SeqCst) == 0 {
                self.google.revoke_tokens();
            }
            let host = request.url.host_str().unwrap_or_default();
            const HOSTS: [&str; 4] = [
                "oauth2.googleapis.com",
                "admin.googleapis.com",
                "sts.googleapis.com",
                "iamcredentials.googleapis.com",
            ];
            if !HOSTS.contains(&host) {
                return Err(FetchError::Unreachable { host: host.to_owned(), why: "not Google".to_owned() });
            }
            let header =
                |name: &str| request.headers.iter().find(|(known, _)| known == name).map(|(_, v)| v.as_str());
            let answer = self.google.answer(&GoogleCall {
                method: if request.method == FetchMethod::Get { "GET" } else { "POST" },
                path: request.url.path(),
                query: request.url.query().unwrap_or_default(),
                authorization: header("authorization"),
                body: request.body.as_deref().unwrap_or_default(),
            });
            let body = answer.body.to_string().into_bytes();
            assert!(body.len() <= request.max_bytes, "the answer is larger than what was allowed");
            let headers = answer.retry_after_s.map(|s| ("retry-after".to_owned(), s.to_string()));
            Ok(FetchAnswer { status: answer.status, headers: headers.into_iter().collect(), body })
        })
    }

    fn txt_records(&self, _: &str) -> FetchFuture<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn identity(&self) -> FetchFuture<'_, Vec<u8>> {
        let stands = self.identity.lock().unwrap().clone();
        let read = match stands {
            Identity::Nowhere => Err(FetchError::IdentityUnreadable { why: "no such file".to_owned() }),
            Identity::Metadata => Ok(self.google.metadata().to_string().into_bytes()),
            Identity::Subject(text) => Ok(text.into_bytes()),
        };
        Box::pin(async { read })
    }
}

/// What stands where the identity of the machine is.
#[derive(Clone)]
pub(crate) enum Identity {
    Nowhere,
    Metadata,
    Subject(String),
}

/// A company with Google Workspace: a directory whose group `eng@acme.test` gives `member`.
pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) portcullis: Portcullis,
    pub(crate) google: GoogleWorkspace,
    pub(crate) way: Arc<ToGoogle>,
    pub(crate) organization: OrganizationId,
    pub(crate) directory: DirectoryId,
}

/// What a world begins with.
pub(crate) struct Beginning {
    pub(crate) settle_s: i64,
    pub(crate) max_page: usize,
    pub(crate) domain: Option<&'static str>,
    pub(crate) brake: Option<Brake>,
}

impl Default for Beginning {
    fn default() -> Self {
        Self { settle_s: 3600, max_page: 500, domain: None, brake: None }
    }
}

/// Ada, Bob and Eve, of whom Ada and Bob are engineers.
pub(crate) fn company() -> Workspace {
    let mut company = Workspace::new("acme.test");
    for (id, name) in [("1001", "ada"), ("1002", "bob"), ("1003", "eve")] {
        let mut person = GooglePerson::new(id, &format!("{name}@acme.test"));
        person.org_unit = if id == "1003" { "/Sales".to_owned() } else { "/Engineering".to_owned() };
        company.people.push(person);
    }
    company.groups.push(GoogleGroup::new("g-eng", "eng@acme.test", &["1001", "1002"]));
    company.groups.push(GoogleGroup::new("g-sales", "sales@acme.test", &["1003"]));
    company.org_units = vec!["/Engineering".to_owned(), "/Sales".to_owned()];
    company
}

impl World {
    pub(crate) fn on(bench: Bench, company: Workspace, beginning: &Beginning) -> Self {
        let clock = Arc::clone(&bench.clock);
        let google = GoogleWorkspace::new(GoogleSettings {
            token_url: GOOGLE_TOKEN_URL.to_owned(),
            workspace: company,
            max_page: beginning.max_page,
            surroundings: Elsewhere::predictable(move || clock.now().seconds(), 7),
        })
        .unwrap();
        let way = ToGoogle::to(&google);
        let mut around = bench.portcullis().around().clone();
        around.fetch = Arc::clone(&way) as _;
        let portcullis =
            Portcullis::new(around).polling_google(Polling { patience_ms: 1, ..Polling::default() });
        let organization = bench.organization("acme");
        let (key, settle_s, domain) = (google.service_account_key(), beginning.settle_s, beginning.domain);
        let brake = beginning.brake;
        let directory = bench.write(move |tx, moment| {
            let wish = NewDirectory {
                brake,
                name: "Google".into(),
                default_role: None,
                settle_s: Some(settle_s),
                nesting: Nesting::Off,
            };
            let source = source(&key, domain);
            make(tx, moment, organization, (&wish, &source))
        });
        let world = Self { bench, portcullis, google, way, organization, directory };
        world.map("g-eng", "member");
        world
    }

    /// Another directory of the same Google Workspace, due now.
    pub(crate) fn another_directory(&self, organization: OrganizationId) -> DirectoryId {
        let key = self.google.service_account_key();
        self.bench.write(move |tx, moment| {
            let name = "Another".into();
            let wish =
                NewDirectory { brake: None, name, default_role: None, settle_s: None, nesting: Nesting::Off };
            make(tx, moment, organization, (&wish, &source(&key, None)))
        })
    }

    /// Another node over the same database, with a way out of its own.
    pub(crate) fn another_node(&self) -> Portcullis {
        let mut around = self.portcullis.around().clone();
        around.fetch = ToGoogle::to(&self.google);
        Portcullis::new(around).polling_google((*self.portcullis.google()).clone())
    }

    pub(crate) fn new(bench: Bench) -> Self {
        Self::on(bench, company(), &Beginning::default())
    }

    /// A mapping of a group, by its id at Google, to a role.
    pub(crate) fn map(&self, group: &'static str, role: &'static str) {
        self.map_to(MappingSource::GroupExternalId(group.into()), role);
    }

    /// A mapping to a role.
    pub(crate) fn map_to(&self, source: MappingSource, role: &'static str) {
        let (organization, directory) = (self.organization, self.directory);
        self.bench.write(move |tx, moment| {
            tx.lock(portcullis_store::db::Lock::Organization(organization))?;
            let mapping = Mapping {
                id: MappingId::fresh(moment.now, &mut moment.random),
                organization,
                directory,
                source: source.clone(),
                gives: Gives { role: Some(role.parse()?), ..Gives::default() },
                created_at: moment.now,
            };
            let event = EventDraft::new(Action::MappingCreated, mapping.id);
            let plan = Plan::because(organization, Cause::system())
                .then(event, MappingChange::Create(Box::new(mapping)));
            moment.apply(tx, &plan)?;
            after_rule_change(tx, moment, organization, &[], Cause::system())?;
            Ok(())
        });
    }

    /// Polls what is due; how the polls stand then.
    pub(crate) async fn poll(&self) -> Poll {
        assert_eq!(self.portcullis.poll_google_once().await.unwrap(), 1, "one directory is due");
        self.standing()
    }

    /// A full poll, whenever the next one was due.
    pub(crate) async fn full(&self) -> Poll {
        self.bench.clock.pass_s(1000);
        let poll = self.poll().await;
        assert_eq!(poll.kind, PollKind::Full);
        poll
    }

    /// A fast poll.
    pub(crate) async fn fast(&self) -> Poll {
        self.bench.clock.pass_s(61);
        let poll = self.poll().await;
        assert_eq!(poll.kind, PollKind::Fast);
        poll
    }

    pub(crate) fn standing(&self) -> Poll {
        self.standing_of(self.directory)
    }

    pub(crate) fn standing_of(&self, directory: DirectoryId) -> Poll {
        self.bench.write(move |tx, _| Ok(stored::poll(tx, directory)?)).unwrap()
    }

    pub(crate) fn counts(&self) -> Value {
        serde_json::from_str(&self.standing().progress).unwrap()
    }

    /// Memberships of that address, the newest first.
    pub(crate) fn members(&self, email: &'static str) -> Vec<Membership> {
        let organization = self.organization;
        let filter = MembershipFilter { email_key: Some(email.to_owned()), ..MembershipFilter::default() };
        let mut found =
            self.bench.write(move |tx, _| Ok(membership::list_page(tx, organization, &filter, "", 100)?));
        found.reverse();
        found
    }

    pub(crate) fn member(&self, email: &'static str) -> Membership {
        self.members(email).remove(0)
    }

    pub(crate) fn state(&self, email: &'static str) -> MembershipState {
        self.member(email).access.state
    }

    /// A membership as it is now, whatever its address is.
    pub(crate) fn now(&self, member: MembershipId) -> Membership {
        let organization = self.organization;
        self.bench.write(move |tx, _| Ok(membership::find(tx, organization, member)?)).unwrap()
    }

    pub(crate) fn state_of(&self, member: MembershipId) -> MembershipState {
        self.now(member).access.state
    }

    pub(crate) fn role(&self, email: &'static str) -> Option<String> {
        self.member(email).role().map(Slug::to_string)
    }

    pub(crate) fn key_of(&self, member: MembershipId) -> String {
        self.secret(TokenKind::MemberKey, Holder::Membership(member), ShownTo::Membership(member))
    }

    fn secret(&self, kind: TokenKind, holder: Holder, shown_to: ShownTo) -> String {
        let organization = self.organization;
        self.bench
            .write(move |tx, moment| issue_key(tx, moment, organization, (kind, holder), shown_to, None))
    }

    /// An agent of that member with a key that nobody else saw; its secret.
    pub(crate) fn agent_of(&self, owner: MembershipId) -> String {
        let organization = self.organization;
        let id = self.bench.write(move |tx, moment| {
            let agent = Agent {
                id: AgentId::fresh(moment.now, &mut moment.random),
                organization,
                name: "builder".into(),
                owner,
                heir: None,
                on_owner_loss: OwnerLossRule::Pause,
                rule_chosen_by: None,
                environment: Slug::production(),
                state: AgentState::Active,
                created_at: moment.now,
            };
            let id = agent.id;
            let event = EventDraft::new(Action::AgentCreated, id);
            let plan = Plan::because(organization, Cause::system()).then(event, AgentChange::Create(agent));
            moment.apply(tx, &plan)?;
            Ok(id)
        });
        self.secret(TokenKind::AgentKey, Holder::Agent(id), ShownTo::Root)
    }

    pub(crate) fn decision(&self, secret: &str) -> Decision {
        let (secret, organization) = (secret.to_owned(), self.organization);
        let portcullis = self.portcullis.clone();
        self.bench.write(move |tx, moment| {
            let about = About::Organization(organization);
            Ok(ask(tx, portcullis.uses(), &secret, about, &Slug::production(), moment.now)?.decision)
        })
    }

    /// Every row of a query; on a thread of its own, because PostgreSQL's client may not run where these tests do.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        std::thread::scope(|scope| scope.spawn(|| Raw::of(&self.bench).rows(sql)).join().unwrap())
    }

    /// Changes rows behind the product's back, where [`Self::rows`] reads them.
    pub(crate) fn change(&self, sql: &str) {
        std::thread::scope(|scope| scope.spawn(|| Raw::of(&self.bench).change(sql)).join().unwrap());
    }

    /// Everything that is stored but notes, as text.
    pub(crate) fn everything(&self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        for (table, key) in [
            ("directory_users", "id"),
            ("directory_user_emails", "directory_user, email_key"),
            ("directory_groups", "id"),
            ("directory_members", "directory_group, directory_user"),
            ("memberships", "id"),
            ("users", "id"),
            ("tokens", "id"),
            ("agents", "id"),
            ("receipts", "id"),
            ("tombstones", "organization, kind, value, membership"),
            ("former_identifiers", "membership, kind, value"),
            ("outbox", "id"),
            ("audit_events", "id"),
            ("revision", "id"),
        ] {
            all.extend(self.rows(&format!("SELECT * FROM {table} ORDER BY {key}")));
        }
        all
    }

    /// What the directory calls the people behind memberships.
    pub(crate) fn user_names(&self) -> BTreeMap<MembershipId, String> {
        let rows = self.rows("SELECT membership, user_name FROM directory_users");
        rows.into_iter().map(|row| (row[0].parse().unwrap(), row[1].clone())).collect()
    }

    /// What the directory calls its groups.
    pub(crate) fn group_names(&self) -> Vec<String> {
        self.rows("SELECT display_name FROM directory_groups ORDER BY display_name").concat()
    }

    /// Vouches for a domain of the organization.
    pub(crate) fn prove(&self, name: &'static str) {
        let organization = self.organization;
        self.bench.write(move |tx, moment| {
            let said = (name, domain::Vouched::ByRoot);
            domain::add(tx, moment, &Caller::Root, organization, said, Cause::system()).map(|_| ())
        });
    }

    /// The receipts of a member.
    pub(crate) fn receipts(&self, member: MembershipId) -> Vec<StoredReceipt> {
        self.bench.write(move |tx, _| Ok(portcullis_store::receipt::of_membership(tx, member)?))
    }
}

pub(crate) fn source(key: &Value, domain: Option<&str>) -> NewSource {
    NewSource {
        customer: None,
        domain: domain.map(str::to_owned),
        right: NewRight::Key { delegated_admin: "admin@acme.test".to_owned(), file: key.clone() },
    }
}

pub(crate) fn make(
    tx: &mut Tx<'_>,
    moment: &mut portcullis_service::Moment,
    organization: OrganizationId,
    (wish, source): (&NewDirectory, &NewSource),
) -> Result<DirectoryId, ServiceError> {
    let sealing = portcullis_service::sealing::SealingKey::from_bytes(
        &[7; portcullis_service::sealing::SEALING_KEY_BYTES],
    )
    .unwrap();
    let polling = Polling::default();
    let ground = Ground { sealing: &sealing, polling: &polling };
    let made =
        google::create(tx, moment, (&Caller::Root, ground), organization, (wish, source), Cause::system())?;
    Ok(made.0.id)
}
