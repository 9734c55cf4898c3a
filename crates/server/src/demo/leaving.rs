//! Somebody leaves: one call of the directory, and everything of theirs is asked again.
//!
//! Here is what the product is for. The time of each refusal is counted from the moment at which the directory had its
//! answer.

use std::time::Duration;

use anyhow::{Result, bail};
use portcullis_emulator::Dialect;
use serde_json::{Value, json};

use super::Story;
use super::api::find_text;
use super::arrival::{Arrived, Bearer};
use super::setting_up::Set;
use crate::clock::Stopwatch;
use crate::table::{Cell, Table, Tone};

/// The deactivation, as the directory saw it.
pub(super) struct Left {
    /// `X-Request-Id` of the answer.
    pub(super) request_id: String,
    /// Runs since the answer came.
    pub(super) since: Stopwatch,
    /// The membership that ended.
    pub(super) membership: String,
    /// The first name, for people.
    pub(super) name: String,
}

/// What became of one bearer.
struct Refusal {
    code: String,
    decision: Option<bool>,
    status: u16,
    asked_after: Duration,
    answered_after: Duration,
}

impl Story<'_> {
    /// The directory says `active: "False"`, as Entra writes it.
    pub(super) async fn deactivate(&mut self, set: &Set, leaver: &Arrived) -> Result<Left> {
        let name = leaver.person.given_name.clone();
        self.teller.begin(format!("The directory deactivates {name} (SCIM as Entra speaks it)"));
        let client = self.directory(set, Dialect::EntraLegacy)?;
        let answer = client.deactivate(&leaver.scim_id).await?;
        let since = Stopwatch::start();
        self.teller.took(answer.elapsed);
        if !answer.is_success() {
            bail!("PATCH …/Users: {} {:?}", answer.status, answer.body);
        }
        let request_id = answer.request_id.clone().unwrap_or_default();
        self.api.remember("PATCH …/Users".to_owned(), &request_id);
        self.teller.expect(answer.status == 200, format!("200, not {}", answer.status));
        let call = "PATCH …/Users  {\"op\": \"Replace\", \"path\": \"active\", \"value\": \"False\"}  →  200";
        self.teller.line([(Tone::Plain, call.to_owned())]);
        self.teller.line([
            (Tone::Quiet, "the directory knows this call as ".to_owned()),
            (Tone::Name, request_id.clone()),
        ]);
        self.teller.fact("status", answer.status);
        self.teller.fact("request_id", request_id.as_str());
        Ok(Left { request_id, since, membership: leaver.membership.clone(), name })
    }

    /// Every bearer is asked about at once; none may be admitted.
    pub(super) async fn refused(&mut self, set: &Set, bearers: &[Bearer], left: &Left) -> Result<()> {
        // Nothing is printed between the directory's answer and the questions.
        let mut asked = Vec::new();
        for bearer in bearers {
            let asked_after = left.since.elapsed();
            let reply = self.api.evaluate(&set.asker, &bearer.secret).await?;
            let answered_after = left.since.elapsed();
            let code = find_text(&reply.body, "/context/code").to_owned();
            let decision = reply.body.get("decision").and_then(Value::as_bool);
            asked.push((bearer, Refusal { code, decision, status: 0, asked_after, answered_after }));
        }
        for (bearer, refusal) in &mut asked {
            refusal.status = self.api.forward(&bearer.secret).await?.status;
        }
        let elapsed = left.since.elapsed();
        self.teller.finish()?;

        self.teller
            .begin(format!("Everything of {}'s is asked about again, at once, and refused", left.name));
        self.teller.took(elapsed);
        let head = ["bearer", "shown to", "AuthZEN", "forward-auth", "asked", "answered"];
        let mut table = Table::new(&head);
        let mut facts = Vec::new();
        for (bearer, refusal) in &asked {
            let refused = refusal.decision == Some(false) && matches!(refusal.status, 401 | 403);
            let tone = if refused { Tone::Bad } else { Tone::Good };
            table.row([
                Cell::new(Tone::Plain, &*bearer.what),
                Cell::new(Tone::Plain, &*bearer.shown_to),
                Cell::new(tone, &*refusal.code),
                Cell::new(tone, refusal.status.to_string()),
                Cell::took(refusal.asked_after),
                Cell::took(refusal.answered_after),
            ]);
            self.teller.expect(refused, format!("{} is refused, not `{}`", bearer.what, refusal.code));
            facts.push(json!({
                "bearer": bearer.what, "token": bearer.id, "shown_to": bearer.shown_to, "code": refusal.code,
                "decision": refusal.decision, "forward_auth": refusal.status,
                "asked_after_us": micros(refusal.asked_after),
                "answered_after_us": micros(refusal.answered_after),
            }));
        }
        self.teller.table(table);
        self.teller.aside("both times are counted from the moment at which the directory had its 200");
        self.teller.fact("refusals", facts);
        self.teller.finish()
    }

    /// The colleague goes on working.
    pub(super) async fn unaffected(&mut self, set: &Set, colleague: &[Bearer]) -> Result<()> {
        self.teller.begin("The colleague notices nothing");
        self.admitted(set, colleague).await?;
        self.teller.finish()
    }

    /// The provider still has the leaver's session, and sends them back signed in. They must not come in.
    pub(super) async fn again(&mut self, set: &Set, leaver: Arrived) -> Result<()> {
        let Arrived { person, mut browser, membership, .. } = leaver;
        let name = &person.given_name;
        self.teller.begin(format!("{name}'s browser is still signed in at the provider, and tries again"));
        let way = self.browse(set, &person, &mut browser).await?;
        let refusals = self.api.list("/audit-events?action=sign_in.refused").await?;
        let refusal = refusals.iter().find(|event| find_text(event, "/cause/request_id") == way.request_id);
        let outcome = refusal.map_or("", |event| find_text(event, "/detail/code")).to_owned();
        self.api.remember("a refused sign-in".to_owned(), &way.request_id);
        self.teller.line([
            (Tone::Plain, format!("the provider says yes, Portcullis says {} ", way.status)),
            (Tone::Bad, outcome.clone()),
        ]);
        self.teller.expect((400..500).contains(&way.status), format!("a refusal, not {}", way.status));
        self.teller.expect(!outcome.is_empty(), "the audit log says why");
        let live = self.api.list(&format!("/tokens?holder={membership}")).await?;
        let live = live.iter().filter(|token| token.get("ended_at").is_none_or(Value::is_null)).count();
        self.teller.expect(live == 0, format!("no live token of the leaver, not {live}"));
        self.teller.fact("status", way.status);
        self.teller.fact("code", outcome);
        self.teller.fact("request_id", way.request_id);
        self.teller.finish()
    }
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}
