//! `portcullis emulate`: a provider's whole life cycle against a SCIM server, for whoever is about to connect the two.
//!
//! Here is what surrounds a run: address and token as people give them, Ctrl-C, the removal of what was made, and the
//! exit status. What a provider sends and needs is the emulator's; what is printed is [`teller`]'s.

mod teller;

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::builder::PossibleValuesParser;
use portcullis_emulator::{Dialect, ENTRA_FLAG, Emulation, LeftBehind, MAX_EMULATED_PEOPLE, ScimClient};
use reqwest::Certificate;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::Runtime;
use url::{Host, Url};

use self::teller::{Ending, Exchanges, Form, Removal, Teller};
use crate::cli::Emulate;
use crate::demo::{interrupted, surroundings};
use crate::say::complain;
use crate::table::Ink;

pub use portcullis_emulator::MIN_EMULATED_PEOPLE;

/// What follows the options in `--help`.
pub const EMULATE_HELP: &str = "\
Examples:
  SCIM_TOKEN=pc_scim_… portcullis emulate okta --base-url https://id.example.com/scim/v2/dir_…
  portcullis emulate entra --base-url http://127.0.0.1:8080/scim/v2/dir_… --token-file token.txt
  portcullis emulate authentik --base-url … --token-file - --people 500 --json < token.txt
  portcullis emulate --list

Its people are called like first.last.0@emulate-….test, which meets nobody real. They are removed
at the end, after a failure, and after Ctrl-C. Take a directory of its own for it all the same:
the audit log remembers.

Exit status: 0 the provider gets all it needs, 1 a check failed, 2 it could not run or was
interrupted.";

/// The variable that holds the token.
const TOKEN_VARIABLE: &str = "SCIM_TOKEN";
/// Largest token file, in bytes: a wrong path must not fill memory.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;
/// The exit status of a run that could not be made.
const COULD_NOT_RUN: u8 = 2;

/// The words for the providers.
pub fn provider_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Dialect::ALL.map(Dialect::name))
}

/// A number of people that a run can have.
///
/// # Errors
/// What is wrong with it.
pub fn people_in_range(text: &str) -> Result<usize, String> {
    let range = MIN_EMULATED_PEOPLE..=MAX_EMULATED_PEOPLE;
    let people = text.parse().ok().filter(|people| range.contains(people));
    people.ok_or_else(|| format!("a number from {MIN_EMULATED_PEOPLE} to {MAX_EMULATED_PEOPLE}"))
}

/// Runs a provider's life cycle and says whether it got all it needs.
///
/// # Errors
/// If the output cannot be written.
pub fn run(runtime: &Runtime, wanted: &Emulate) -> Result<ExitCode> {
    if wanted.list {
        teller::list()?;
        return Ok(ExitCode::SUCCESS);
    }
    match prepared(wanted) {
        Ok((client, base)) => runtime.block_on(emulate(wanted, client, &base)),
        Err(error) => {
            complain!("portcullis: {error:#}");
            Ok(ExitCode::from(COULD_NOT_RUN))
        }
    }
}

/// The client, and the address that it speaks to.
fn prepared(wanted: &Emulate) -> Result<(ScimClient, Url)> {
    let name = wanted.provider.as_deref().unwrap_or_default();
    let dialect = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name);
    let dialect = dialect.with_context(|| format!("`{name}` is no provider; --list names them"))?;
    let base = base_url(wanted.base_url.as_deref().unwrap_or_default(), dialect)?;
    let authorities = match &wanted.ca_file {
        None => Vec::new(),
        Some(path) => {
            let pem = std::fs::read(path).with_context(|| format!("`{}`", path.display()))?;
            Certificate::from_pem_bundle(&pem).with_context(|| format!("`{}`", path.display()))?
        }
    };
    let client = ScimClient::trusting(base.as_str(), token(wanted)?, dialect, surroundings(), authorities)?;
    Ok((client, base))
}

/// The address as people paste it, without what does not belong to it.
fn base_url(text: &str, dialect: Dialect) -> Result<Url> {
    let mut url =
        Url::parse(text).ok().with_context(|| format!("--base-url `{text}` is not an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        bail!("--base-url must begin with https://, or http:// on this machine");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("--base-url must not hold a name or password: the token has a place of its own");
    }
    let picky = matches!(dialect, Dialect::Okta | Dialect::EntraFlag | Dialect::EntraLegacy);
    if picky && url.host_str().is_some_and(|host| host.contains('_')) {
        bail!("the host of --base-url holds an underscore, which {} does not take", dialect.title());
    }
    let flagged = url.query().is_some_and(|query| query.split('=').next() == Some(ENTRA_FLAG));
    match (flagged, dialect) {
        (true, Dialect::EntraLegacy) => bail!("with `{ENTRA_FLAG}` in the address the provider is `entra`"),
        (true, Dialect::EntraFlag) => url.set_query(None),
        _ => {}
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("--base-url must end before `?` and `#`");
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if path.ends_with("/Users") || path.ends_with("/Groups") {
        bail!("--base-url must end before `/Users`, as a provider appends that itself");
    }
    url.set_path(&path);
    Ok(url)
}

/// The token, from where it was said to be.
fn token(wanted: &Emulate) -> Result<SecretString> {
    let text = match (&wanted.token, &wanted.token_file) {
        (Some(token), _) => token.expose_secret().to_owned(),
        (None, Some(path)) => read_token(path)?,
        (None, None) => std::env::var_os(TOKEN_VARIABLE)
            .and_then(|token| token.into_string().ok())
            .with_context(|| format!("no token: --token-file FILE, or the variable {TOKEN_VARIABLE}"))?,
    };
    let token = text.trim();
    if token.is_empty() {
        bail!("the token is empty");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(
            "the token holds a space or another character that no bearer token has: is it whole, and one only?"
        );
    }
    Ok(SecretString::from(token))
}

fn read_token(path: &Path) -> Result<String> {
    let shown = || format!("--token-file `{}`", path.display());
    let input: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(shown)?)
    };
    let mut text = String::new();
    input.take(MAX_TOKEN_BYTES).read_to_string(&mut text).with_context(shown)?;
    Ok(text)
}

/// Whether what is sent there can be read on the way.
fn is_open(base: &Url) -> bool {
    let loopback = match base.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    base.scheme() == "http" && !loopback
}

async fn emulate(wanted: &Emulate, client: ScimClient, base: &Url) -> Result<ExitCode> {
    let dialect = client.dialect();
    let mut emulation = Emulation::new(client, wanted.people);
    let exchanges = if wanted.verbose { Exchanges::All } else { Exchanges::Failed };
    let form = if wanted.json { Form::Json } else { Form::Terminal(Ink::on(&std::io::stdout()), exchanges) };
    let mut teller = Teller::open(form, dialect, base, emulation.mark());
    if is_open(base) {
        complain!(
            "portcullis: the token goes to {} unencrypted; no provider would do that",
            base.authority()
        );
    }
    let ended = {
        let mut tell = |step: &_| teller.step(step);
        let mut interruption = std::pin::pin!(interrupted());
        tokio::select! {
            // What is made while the signal comes in must be known before it is removed.
            biased;
            verdict = emulation.run(&mut tell) => Some(verdict),
            () = &mut interruption => None,
        }
    };
    let ending = ended.map_or(Ending::Interrupted, Ending::Came);
    let removal = remove(&mut emulation, wanted, &ending).await;
    let code = teller.close(&ending, &removal)?;
    Ok(ExitCode::from(code))
}

async fn remove(emulation: &mut Emulation, wanted: &Emulate, ending: &Ending) -> Removal {
    if wanted.keep {
        return Removal::Kept(emulation.left("--keep"));
    }
    if matches!(ending, Ending::Interrupted) {
        complain!("portcullis: interrupted; removing what was made. Once more leaves it there");
    }
    let removed: Option<(usize, Vec<LeftBehind>)> = tokio::select! {
        removed = emulation.remove() => Some(removed),
        () = interrupted() => None,
    };
    match removed {
        Some((removed, left)) => Removal::Done { removed, left },
        None => Removal::Done { removed: 0, left: emulation.left("interrupted while it was removed") },
    }
}

#[cfg(test)]
#[path = "emulate_tests.rs"]
mod tests;
