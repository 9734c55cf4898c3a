//! A provider's whole life cycle against any SCIM server, each answer held against what that provider needs.
//!
//! Here so that an administrator knows before the first real person is provisioned whether their provider and a server
//! get on, and if not, on which request and what it would look like at the provider. One file for each provider says
//! the steps in their order; what they share is in [`acts`] and [`groups`], what an answer must be in [`expect`].
//!
//! The people have names of their own in a domain of their own under `.test`, so that they meet nobody real.

mod acts;
mod authentik;
mod cast;
mod crowd;
mod entra;
mod expect;
mod groups;
mod jumpcloud;
mod keycloak;
mod made;
mod okta;
mod onelogin;
mod pingone;
mod reach;
mod run;
mod step;

pub use cast::{MAX_EMULATED_PEOPLE, MIN_EMULATED_PEOPLE};
pub use made::{Kind, LeftBehind};
pub use run::{Halt, Verdict};
pub use step::{Check, Exchange, Step, Weight};

use crate::dialect::Dialect;
use crate::scim_client::ScimClient;

use self::cast::Cast;
use self::made::Made;
use self::run::Run;

/// One run of one provider: first [`Emulation::run`], then [`Emulation::remove`], also where the run was broken off.
#[derive(Debug)]
pub struct Emulation {
    client: ScimClient,
    cast: Cast,
    made: Made,
}

impl Emulation {
    /// A run with so many people, between [`MIN_EMULATED_PEOPLE`] and [`MAX_EMULATED_PEOPLE`]. The client's dialect
    /// says whose life cycle it is.
    #[must_use]
    pub fn new(client: ScimClient, people: usize) -> Self {
        let cast = Cast::new(client.surroundings(), people);
        Self { client, cast, made: Made::default() }
    }

    /// What every name of this run carries.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.cast.mark
    }

    /// Runs it; `tell` hears of each step when it is over. It may be dropped at any point.
    pub async fn run(&mut self, tell: &mut (dyn FnMut(&Step) + Send)) -> Verdict {
        let mut run = Run::new(&self.client, &self.cast, &mut self.made, tell);
        let ended = play(&mut run).await;
        run.close(ended.err())
    }

    /// Removes what the run made and did not remove. How many went, and what stayed.
    pub async fn remove(&mut self) -> (usize, Vec<LeftBehind>) {
        self.made.remove(&self.client).await
    }

    /// What the run made and did not remove, for that reason.
    #[must_use]
    pub fn left(&self, why: &str) -> Vec<LeftBehind> {
        self.made.list(why)
    }
}

async fn play(run: &mut Run<'_>) -> Result<(), Halt> {
    reach::reach(run).await?;
    match run.dialect() {
        Dialect::Okta => okta::play(run).await,
        Dialect::EntraFlag | Dialect::EntraLegacy => entra::play(run).await,
        Dialect::OneLogin => onelogin::play(run).await,
        Dialect::JumpCloud => jumpcloud::play(run).await,
        Dialect::PingOne => pingone::play(run).await,
        Dialect::Authentik => authentik::play(run).await,
        Dialect::Keycloak => keycloak::play(run).await,
    }?;
    crowd::play(run).await
}
