//! What is left to prove it: the signed receipt, the chain of audit events, and an export that is checked offline.
//!
//! Here so that the demo takes nobody's word, neither the server's answers nor its own.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use portcullis_oidc::jwk::PublicJwk;
use portcullis_oidc::jws::{find_kid, verify_eddsa};
use reqwest::Method;
use serde_json::Value;

use super::api::{find_text, text};
use super::arrival::Bearer;
use super::leaving::Left;
use super::{ORGANIZATION, Story};
use crate::clock::Stopwatch;
use crate::table::{Cell, Table, Tone, duration, wrap};

/// The `typ` of a receipt's signature.
const RECEIPT_TYP: &str = "portcullis-receipt+jws";
/// How long to wait for what is signed after the commit; a second is promised.
const MAX_SIGNING: Duration = Duration::from_secs(5);
/// Columns of the tree's branches, numbers and actions.
const COLUMNS_OF_ACTION: usize = 36;
/// How much of a key's name people see; machines see all of it.
const SHOWN_OF_KID: usize = 12;
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Story<'_> {
    /// The receipt of the off-boarding, once it is signed.
    pub(super) async fn receipt(&mut self, bearers: &[Bearer], left: &Left) -> Result<Value> {
        self.teller.begin("The receipt lists what ended, and is signed");
        let (receipt, waited) = self.signed_receipt(left).await?;
        let jwks = self.api.call(Method::GET, &format!("/o/{ORGANIZATION}/jwks"), "", None).await?.body;
        let (kid, signed) = verified(&receipt, &jwks)?;
        let names = |list: &str, id: &str| {
            let items = receipt.get(list).and_then(Value::as_array).into_iter().flatten();
            items.map(|item| find_text(item, "/id").to_owned()).any(|item| item == id)
        };
        let mut table = Table::new(&["what", "id", "in the receipt"]);
        for bearer in bearers {
            let agent = bearer.agent.as_deref().unwrap_or_default();
            let word = if names("ended", &bearer.id) {
                "ended"
            } else if names("ended", agent) {
                "stopped with its agent"
            } else {
                "not there"
            };
            self.teller.expect(word != "not there", format!("the receipt accounts for {}", bearer.what));
            table.row([
                Cell::new(Tone::Plain, &*bearer.what),
                Cell::new(Tone::Name, &*bearer.id),
                Cell::new(Tone::Plain, word),
            ]);
        }
        self.teller.table(table);
        self.teller.note(format!(
            "there after {}; its Ed25519 signature holds by key {}… of /o/{ORGANIZATION}/jwks",
            duration(waited),
            kid.chars().take(SHOWN_OF_KID).collect::<String>()
        ));
        let cause = find_text(&receipt, "/cause/request_id");
        self.teller.expect(cause == left.request_id, "the receipt names the directory's request");
        self.teller.expect(signed.to_string().contains(&left.membership), "the signed text names the member");
        self.teller.fact("receipt", text(&receipt, "id")?);
        self.teller.fact("kid", kid);
        self.teller.fact("ended", receipt.get("ended").cloned().unwrap_or_default());
        self.teller.fact("kept", receipt.get("kept").cloned().unwrap_or_default());
        self.teller.finish()?;
        Ok(receipt)
    }

    async fn signed_receipt(&self, left: &Left) -> Result<(Value, Duration)> {
        let watch = Stopwatch::start();
        while watch.elapsed() < MAX_SIGNING {
            let receipts = self.api.list("/receipts").await?;
            let own = receipts.into_iter().find(|r| find_text(r, "/member") == left.membership);
            let receipt = own.context("there is no receipt for the leaver")?;
            if !find_text(&receipt, "/jws").is_empty() {
                return Ok((receipt, watch.elapsed()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("the receipt is not signed after {} s", MAX_SIGNING.as_secs())
    }

    /// From the directory's request to each token's end, and every other request of the demo.
    pub(super) async fn chain(&mut self, bearers: &[Bearer], left: &Left, receipt: &Value) -> Result<()> {
        self.teller.begin("The audit log leads from the directory's request to each token's end");
        let events = self.linked_events().await?;
        let first = find_text(receipt, "/cause/event");
        let event = |id: &str| events.iter().find(|event| find_text(event, "/id") == id);
        let head = event(first).context("the receipt's event is not in the audit log")?;
        let of_request = find_text(head, "/cause/request_id") == left.request_id;
        self.teller.expect(of_request, "the deprovisioning names the directory's request");
        let mut below: Vec<&Value> = events
            .iter()
            .filter(|event| {
                let cause = find_text(event, "/cause/request_id");
                cause == left.request_id && find_text(event, "/id") != first
            })
            .collect();
        below.sort_by_key(|event| event.get("number").and_then(Value::as_i64));
        self.teller
            .line([(Tone::Name, left.request_id.clone()), (Tone::Plain, "  PATCH …/Users".to_owned())]);
        self.teller.line(line_of("└─", head, &left.name));
        for (at, event) in below.iter().enumerate() {
            let branch = if at + 1 == below.len() { "   └─" } else { "   ├─" };
            let id = find_text(event, "/targets/0/id");
            let what = bearers.iter().find(|b| b.id == id || b.agent.as_deref() == Some(id));
            self.teller.line(line_of(branch, event, what.map_or("", |bearer| &*bearer.what)));
        }
        for bearer in bearers {
            let ends = |event: &&&Value| {
                let target = find_text(event, "/targets/0/id");
                target == bearer.id || bearer.agent.as_deref() == Some(target)
            };
            let ended = below.iter().any(|event| ends(&event));
            self.teller.expect(ended, format!("an event ends {}", bearer.what));
        }
        self.footprints(&events);
        self.teller.fact("event", first);
        self.teller.fact("chain", below.into_iter().cloned().collect::<Vec<Value>>());
        self.teller.finish()
    }

    /// Every change of the demo must be found by the request id that its caller was given.
    fn footprints(&mut self, events: &[Value]) {
        let known = |id: &str| events.iter().any(|event| find_text(event, "/cause/request_id") == id);
        let lost: Vec<String> = self
            .api
            .footprints
            .iter()
            .filter(|footprint| footprint.request_id.is_empty() || !known(&footprint.request_id))
            .map(|footprint| footprint.what.clone())
            .collect();
        let all = self.api.footprints.len();
        self.teller.expect(lost.is_empty(), format!("no event names the request of: {}", lost.join(", ")));
        self.teller.aside(format!(
            "{} of {all} changes of this demo are found in {} events by the request id that their caller got",
            all - lost.len(),
            events.len()
        ));
        self.teller.fact("requests", all);
        self.teller.fact("requests_found", all - lost.len());
        self.teller.fact("events", events.len());
    }

    /// All events, once each has its place in the chain.
    async fn linked_events(&self) -> Result<Vec<Value>> {
        let watch = Stopwatch::start();
        while watch.elapsed() < MAX_SIGNING {
            let events = self.api.list("/audit-events").await?;
            if events.iter().all(|event| event.get("number").is_some_and(Value::is_number)) {
                return Ok(events);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("the audit log is not linked after {} s", MAX_SIGNING.as_secs())
    }

    /// The log is exported, the server killed, and the export checked without it; then a forged one.
    pub(super) async fn export(mut self) -> Result<()> {
        self.teller.begin("The log is exported, the server is killed, and the export is checked offline");
        let path = format!("/o/{ORGANIZATION}/jwks");
        let jwks = self.api.call(Method::GET, &path, "", None).await?.body;
        let folder = self.stage.folder().to_owned();
        let file = |name: &str| folder.join(name);
        let (keys, export, forged) = (file("jwks.json"), file("audit.jsonl"), file("forged.jsonl"));
        std::fs::write(&keys, jwks.to_string()).with_context(|| format!("`{}`", keys.display()))?;
        let exported = self.stage.command(|command| {
            command.args(["audit", "export", "--data"]).arg(file("data")).arg(ORGANIZATION).arg(&export);
        })?;
        must_succeed(&exported, "audit export")?;
        self.stage.kill()?;

        let verify = |file: &Path| {
            self.stage.command(|command| {
                command.args(["audit", "verify"]).arg(file).arg("--jwks").arg(&keys);
            })
        };
        let (good, said) = spoken(&verify(&export)?);
        let text = std::fs::read_to_string(&export).with_context(|| format!("`{}`", export.display()))?;
        std::fs::write(&forged, text.replacen("token.ended", "token.given", 1))
            .with_context(|| format!("`{}`", forged.display()))?;
        let (believed, finding) = spoken(&verify(&forged)?);

        self.teller.expect(good, format!("`audit verify` finds the export in order, not: {said}"));
        self.teller.expect(!believed, "`audit verify` finds the word that was changed in the forged export");
        for (name, answer, tone) in [("audit", &said, Tone::Good), ("forged", &finding, Tone::Bad)] {
            self.teller.aside(format!("$ portcullis audit verify {name}.jsonl --jwks jwks.json"));
            for line in wrap(answer) {
                self.teller.line([(tone, line)]);
            }
        }
        self.teller.fact("lines", text.lines().count());
        self.teller.fact("verified", said);
        self.teller.fact("forged", finding);
        self.teller.finish()?;
        self.idp.stop().await;
        Ok(())
    }
}

/// Checks the receipt's signature against the organization's keys: which key, and what it signed.
fn verified(receipt: &Value, jwks: &Value) -> Result<(String, Value)> {
    let jws = find_text(receipt, "/jws");
    let kid = find_kid(jws)?.context("the receipt's signature names no key")?;
    let keys = jwks.get("keys").and_then(Value::as_array).context("the key set has no `keys`")?;
    let key = keys.iter().find(|key| find_text(key, "/kid") == kid);
    let key = PublicJwk::from_value(key.context("the key set has no such key")?)?;
    let payload = verify_eddsa(&key, RECEIPT_TYP, jws).context("the receipt's signature")?;
    Ok((kid, serde_json::from_slice(&payload)?))
}

/// An event as a branch of the tree.
fn line_of(branch: &str, event: &Value, what: &str) -> Vec<(Tone, String)> {
    let number = event.get("number").and_then(Value::as_i64).unwrap_or_default();
    let (action, target) = (find_text(event, "/action"), find_text(event, "/targets/0/id"));
    let room = COLUMNS_OF_ACTION.saturating_sub(branch.chars().count());
    vec![
        (Tone::Quiet, format!("{branch} ")),
        (Tone::Plain, format!("{:<room$} ", format!("#{number} {action}"))),
        (Tone::Name, target.to_owned()),
        (Tone::Plain, if what.is_empty() { String::new() } else { format!("  {what}") }),
    ]
}

fn must_succeed(output: &Output, what: &str) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "`portcullis {what}` ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )
}

/// Whether a command succeeded, and its first line.
fn spoken(output: &Output) -> (bool, String) {
    let text = String::from_utf8_lossy(&output.stdout);
    (output.status.success(), text.lines().next().unwrap_or_default().to_owned())
}
