//! Use cases: begin, load, decide, apply, commit, publish; and the jobs that carry on where a request ended.
//!
//! A use case is a plain function of `&mut` `Tx` and a [`Moment`] (the time and randomness); [`Portcullis`] runs it on
//! a thread of the store and answers after the commit is durable. A surface only hands over what runs in a transaction.
//!
//! One noun, one file, as in every room. Read [`access`] first: it is the road that every change of access walks.

// The nouns of the interfaces, a file each.
pub mod agent;
pub mod audit;
pub mod audit_export;
pub mod connection;
pub mod dialect;
pub mod directory;
pub mod directory_group;
pub mod domain;
pub mod environment;
pub mod first_owner;
pub mod google;
pub mod grant;
pub mod hold;
pub mod home;
pub mod invitation;
pub mod mapping;
pub mod me;
pub mod member_key;
pub mod membership;
pub mod organization;
pub mod outbox;
mod own_key;
pub mod owner_link;
pub mod receipt;
pub mod review;
pub mod role;
pub mod service_key;
pub mod session;
pub mod suggestion;
pub mod team;
pub mod token;
pub mod trace;
pub mod warning;

// Roads that several nouns take: who somebody is, what they may, how they come in, what becomes of them.
pub mod access;
mod brake;
pub mod caller;
pub mod claims;
pub mod evaluation;
pub mod known_by;
pub mod lead;
pub mod local;
pub mod naming;
mod newcomer;
pub mod oidc;
pub mod password;
pub mod provisioning;
pub mod recognition;
pub mod relying_party;
pub mod restoring;
mod rollover;
pub mod root_use;
pub mod rules;
pub mod saml;
pub mod scim;
pub mod sign_in;
pub mod sign_out;
pub mod standing;

// What all of these stand on.
pub mod error;
pub mod fetch;
pub mod idempotency;
pub mod jobs;
pub mod last_refusal;
mod left_out;
pub mod mask;
mod measures;
pub mod noun;
mod pages;
mod patience;
pub mod proof;
pub mod refusal;
mod revision;
pub mod sealing;
pub mod sequencer;
pub mod signing;
pub mod throttle;
pub mod token_use;

use std::sync::Arc;

use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::{Clock, Random, Timestamp};
pub use portcullis_oidc::issuer::Insecure;
use portcullis_store::lease::Lease;
use portcullis_store::{Applied, Priority, Store, StoreError, Tx};

pub use error::ServiceError;

/// The time and randomness of one use case.
pub struct Moment {
    /// The instant at which it happens.
    pub now: Timestamp,
    /// Where its ids and secrets come from.
    pub random: Box<dyn Random>,
    /// How high the lowest stands who saw the secret by which a directory speaks: so far its word is believed. Everybody
    /// where no member saw one.
    pub spoken_from: Rank,
}

impl Moment {
    /// Writes a plan in this moment.
    ///
    /// # Errors
    /// As [`portcullis_store::apply()`].
    pub fn apply(&mut self, tx: &mut Tx<'_>, plan: &Plan) -> Result<Applied, StoreError> {
        portcullis_store::apply(tx, plan, self.now, &mut self.random)
    }

    /// A moment in which nobody speaks by a secret that a member saw.
    #[must_use]
    pub const fn new(now: Timestamp, random: Box<dyn Random>) -> Self {
        Self { now, random, spoken_from: Rank::ROOT }
    }
}

/// Makes a source of randomness for one use case.
pub type Randoms = Arc<dyn Fn() -> Box<dyn Random> + Send + Sync>;

/// Everything that a use case may need, given once at the start.
#[derive(Clone)]
pub struct Surroundings {
    /// The database.
    pub store: Arc<Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub randoms: Randoms,
    /// The key outside the database that seals what must be used again.
    pub sealing: Arc<sealing::SealingKey>,
    /// The way out of the process.
    pub fetch: Arc<dyn fetch::Fetch>,
    /// The URL under which everybody reaches this server; never taken from headers.
    pub public_url: url::Url,
    /// Limits that the operator set.
    pub limits: Limits,
}

impl Surroundings {
    /// The public URL of a path of this server; the path begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }
}

/// Limits that the operator set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Seconds without use after which a session ends.
    pub session_idle_s: i64,
    /// Seconds after which a session ends in any case.
    pub session_absolute_s: i64,
    /// Traces kept an organization.
    pub max_traces: i64,
    /// Seconds for which a trace is kept.
    pub trace_age_s: i64,
    /// Whether identity providers on private networks may speak plain HTTP: development and tests.
    pub plain_http: Insecure,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            session_idle_s: 3600,
            session_absolute_s: 12 * 3600,
            max_traces: 10_000,
            trace_age_s: 14 * 24 * 3600,
            plain_http: Insecure::Refused,
        }
    }
}

/// The product: its use cases over its surroundings. A clone is the same product.
#[derive(Clone)]
pub struct Portcullis(Arc<Parts>);

/// What it is made of. Set up before anything is handed out, and shared by all clones from then on.
#[derive(Clone)]
struct Parts {
    around: Surroundings,
    uses: Arc<token_use::TokenUses>,
    traces: Arc<trace::TraceDesk>,
    keys: Arc<signing::OpenKeys>,
    unsigned: Arc<left_out::LeftOut<String>>,
    pending: Arc<rules::Pending>,
    door: Arc<sign_in::Door>,
    reads: Arc<root_use::RootReads>,
    searches: Arc<scim::list::Searches>,
    dialects: Arc<dialect::Dialects>,
    last_refusals: Arc<last_refusal::LastRefusals>,
    totals: Arc<scim::totals::Totals>,
    google: Arc<google::Polling>,
    graph: Option<Arc<str>>,
    standing: Arc<standing::Standing>,
    lease: Option<Lease>,
}

impl Portcullis {
    /// The product in these surroundings.
    #[must_use]
    pub fn new(around: Surroundings) -> Self {
        Self(Arc::new(Parts {
            around,
            uses: Arc::default(),
            traces: Arc::default(),
            keys: Arc::default(),
            unsigned: Arc::new(sequencer::left_out()),
            pending: Arc::default(),
            door: Arc::default(),
            reads: Arc::default(),
            searches: Arc::default(),
            dialects: Arc::default(),
            last_refusals: Arc::default(),
            totals: Arc::default(),
            google: Arc::default(),
            graph: None,
            standing: Arc::default(),
            lease: None,
        }))
    }

    fn parts(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }

    /// The same, writing only while that lease is the newest: another node that took the database fences this one.
    #[must_use]
    pub fn under(mut self, lease: Lease) -> Self {
        self.parts().lease = Some(lease);
        self
    }

    /// The same, with other bounds for what no index serves.
    #[must_use]
    pub fn searching_within(mut self, bounds: scim::list::SearchBounds) -> Self {
        self.parts().searches = Arc::new(scim::list::Searches::within(bounds));
        self
    }

    /// How many people and groups directories have, as far as it is known.
    #[must_use]
    pub fn totals(&self) -> &scim::totals::Totals {
        &self.0.totals
    }

    /// Deviations of directories' calls that wait to be stored.
    #[must_use]
    pub fn dialects(&self) -> &Arc<dialect::Dialects> {
        &self.0.dialects
    }

    /// Which calls of directories were refused last, as far as that waits to be stored.
    #[must_use]
    pub fn last_refusals(&self) -> &Arc<last_refusal::LastRefusals> {
        &self.0.last_refusals
    }

    /// The turns of those who read more than a little.
    #[must_use]
    pub fn searches(&self) -> &scim::list::Searches {
        &self.0.searches
    }

    pub(crate) fn root_reads(&self) -> &root_use::RootReads {
        &self.0.reads
    }

    pub(crate) fn open_keys(&self) -> &signing::OpenKeys {
        &self.0.keys
    }

    /// Whom the sequencer leaves out.
    pub(crate) fn unsigned(&self) -> &left_out::LeftOut<String> {
        &self.0.unsigned
    }

    /// Whose turn it is in the job behind pending rules.
    pub(crate) fn pending(&self) -> &rules::Pending {
        &self.0.pending
    }

    /// What sign-in keeps in memory.
    pub(crate) fn door(&self) -> &sign_in::Door {
        &self.0.door
    }

    pub(crate) fn standing(&self) -> &standing::Standing {
        &self.0.standing
    }

    /// Where traces wait to be stored.
    #[must_use]
    pub fn traces(&self) -> &trace::TraceDesk {
        &self.0.traces
    }

    /// When tokens were last used.
    #[must_use]
    pub fn uses(&self) -> &Arc<token_use::TokenUses> {
        &self.0.uses
    }

    /// What it stands in.
    #[must_use]
    pub fn around(&self) -> &Surroundings {
        &self.0.around
    }

    /// The instant now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.around.clock.now()
    }

    /// The moment of a use case that begins now.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment::new(self.now(), (self.0.around.randoms)())
    }

    /// Runs a use case that writes; answers after the commit is durable, or after nothing was changed.
    ///
    /// # Errors
    /// What the use case refused, or [`ServiceError::Store`] if there was no commit, or with
    /// [`StoreError::OutcomeUnknown`] if nobody knows.
    pub async fn write<T>(
        &self,
        priority: Priority,
        mut run: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError>
    where
        T: Send + 'static,
    {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let (clock, randoms) = (Arc::clone(&self.0.around.clock), Arc::clone(&self.0.around.randoms));
        let (lease, uses, proof) = (self.0.lease, Arc::clone(&self.0.uses), proof::kept());
        // Taken when it first begins: another try is no wait for the database.
        let mut asked_at = Some(self.now());
        self.0.around.store.write(
            priority,
            move |tx| {
                let mut moment = Moment::new(clock.now(), randoms());
                if let Some(asked_at) = asked_at.take() {
                    measures::write_began(asked_at, moment.now);
                }
                let proven = match &proof {
                    Some(proof) => {
                        let (as_of, spoken_from) = proof.check(tx, &uses, moment.now)?;
                        moment.spoken_from = spoken_from;
                        Some((proof, as_of))
                    }
                    None => None,
                };
                let done = run(tx, &mut moment)?;
                if let Some((proof, as_of)) = proven {
                    proof.check_last(tx, &uses, as_of)?;
                }
                if let Some(lease) = lease {
                    portcullis_store::lease::check(tx, lease)?;
                }
                Ok(done)
            },
            move |result| {
                let _ = reply.send(result);
            },
        );
        answer.await.unwrap_or_else(|_| Err(gone(StoreError::OutcomeUnknown)))
    }

    /// Runs a use case that only reads.
    ///
    /// # Errors
    /// What the use case refused, or [`ServiceError::Store`] if the database did not answer.
    pub async fn read<T>(
        &self,
        mut run: impl FnMut(&mut Tx<'_>, Timestamp) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError>
    where
        T: Send + 'static,
    {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let now = self.now();
        self.0.around.store.read(
            move |tx| run(tx, now),
            move |result| {
                let _ = reply.send(result);
            },
        );
        answer.await.unwrap_or_else(|_| Err(gone(StoreError::Unavailable)))
    }

    /// The same on a thread where nobody waits, for what takes longer than a request's turn: SQLite reads where it is asked.
    ///
    /// # Errors
    /// As [`Portcullis::read`].
    pub async fn read_apart<T>(
        &self,
        run: impl FnMut(&mut Tx<'_>, Timestamp) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError>
    where
        T: Send + 'static,
    {
        let (portcullis, here) = (self.clone(), tokio::runtime::Handle::current());
        let reading = tokio::task::spawn_blocking(move || here.block_on(portcullis.read(run)));
        reading.await.unwrap_or_else(|e| Err(ServiceError::fault("a read on a thread of its own", e)))
    }
}

fn gone(error: fn(String) -> StoreError) -> ServiceError {
    ServiceError::Store(error("the database's thread ended".into()))
}

/// Whether the database answers.
///
/// # Errors
/// [`StoreError`] if it does not.
pub fn ready(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    portcullis_store::instance::find(tx, caller::ROOT_TOKEN_HASH).map(|_| ())
}
