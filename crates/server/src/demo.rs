//! `portcullis demo`: the main job, shown on real processes.
//!
//! Somebody works with keys and agents, their identity provider deactivates them, and nothing of theirs is admitted
//! after the answer. Here so that a stranger sees that in one command, and a machine can check it: Portcullis is a
//! child process of this binary, the identity provider is the emulator's, and the two meet over HTTP only. What the
//! demo knows, it read from an answer; the exit status says whether everything was as it must be.

mod api;
mod arrival;
mod leaving;
mod record;
mod setting_up;
mod stage;
mod teller;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_domain::{Clock as _, Random as _};
use portcullis_emulator::{Company, GroupValues, KeyKind, OidcProvider, ProviderSettings, Surroundings};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::api::Api;
use self::stage::Stage;
use self::teller::{Form, Teller};
use crate::cli::Demo;
use crate::clock::{Stopwatch, SystemClock};
use crate::random::SystemRandom;
use crate::table::Ink;

/// The organization of the demo, by slug.
const ORGANIZATION: &str = "acme";
/// The domain of its addresses.
const DOMAIN: &str = "acme.test";
/// How many people the identity provider knows.
const PEOPLE: usize = 25;
/// The longest that the whole may take: a run takes a few seconds, and one that hangs must say so.
const MAX_RUN: Duration = Duration::from_secs(60);

/// Everything that the steps share.
struct Story<'a> {
    teller: &'a mut Teller,
    stage: Stage,
    api: Api,
    idp: OidcProvider,
    company: Company,
    around: Surroundings,
}

/// Runs the demo and says whether every expectation held.
///
/// # Errors
/// If the output cannot be written. What fails within the demo is part of its report.
pub async fn run(demo: &Demo) -> Result<ExitCode> {
    let form = if demo.json { Form::Json } else { Form::Terminal(Ink::on(&std::io::stdout())) };
    let mut teller = Teller::open(form)?;
    let told = tokio::select! {
        told = tokio::time::timeout(MAX_RUN, tell(&mut teller)) => match told {
            Ok(told) => told,
            Err(_) => Err(anyhow::anyhow!("not finished after {} s", MAX_RUN.as_secs())),
        },
        () = interrupted() => Err(anyhow::anyhow!("interrupted")),
    };
    if let Err(error) = told {
        teller.fail(&error)?;
    }
    Ok(if teller.close()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The steps in their order. Whatever ends this early ends the child process and removes its folder with it.
async fn tell(teller: &mut Teller) -> Result<()> {
    teller.begin("Portcullis is ready, on an empty database");
    let stage = Stage::start(&mut SystemRandom).await?;
    let api = Api::new(&stage)?;
    api.must_be_ready().await?;
    teller.note(format!("a child process of this binary at {}, with no file but its own", stage.base));
    teller.fact("base_url", stage.base.as_str());
    teller.finish()?;

    let around = surroundings();
    let mut company = Company::sample(DOMAIN, PEOPLE);
    company.groups.retain(|group| !group.members.is_empty());
    let idp = identity_provider(&company, &around).await?;
    let mut story = Story { teller, stage, api, idp, company, around };
    let set = story.set_up().await?;
    let people = story.provision(&set).await?;
    let leaver = story.arrive(&set, &people, 0).await?;
    let colleague = story.colleague(&set, &people, 1).await?;
    let bearers = story.work(&set, &leaver).await?;
    let left = story.deactivate(&set, &leaver).await?;
    story.refused(&set, &bearers, &left).await?;
    story.unaffected(&set, &colleague).await?;
    story.again(&set, leaver).await?;
    let receipt = story.receipt(&bearers, &left).await?;
    story.chain(&bearers, &left, &receipt).await?;
    story.export().await
}

async fn identity_provider(company: &Company, around: &Surroundings) -> Result<OidcProvider> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.context("the identity provider found no free port on 127.0.0.1")?;
    let settings = ProviderSettings {
        company: company.clone(),
        clients: Vec::new(),
        key_kind: KeyKind::Rs256,
        group_values: GroupValues::DisplayNames,
        surroundings: around.clone(),
    };
    OidcProvider::start(listener, settings).context("the identity provider")
}

/// The machine's clock and randomness, for the identity provider's side.
pub fn surroundings() -> Surroundings {
    let begun = Stopwatch::start();
    Surroundings::new(
        || SystemClock.now().seconds(),
        move || begun.elapsed(),
        |bytes| SystemRandom.fill(bytes),
    )
}

/// Resolves when somebody presses Ctrl-C, the terminal goes, or the process is told to end.
pub async fn interrupted() {
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [Ok(mut term), Ok(mut int), Ok(mut hangup)] = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hangup.recv() => {}
    }
}
