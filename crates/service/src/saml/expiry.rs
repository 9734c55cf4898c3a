//! What runs out soon, told to whoever runs the server: a gauge, and a line in the log at 30, 14, 7 and 1 days and when
//! it has run out.
//!
//! Administrators see the same at the connection itself. Here apart, because an operator looks after every organization's
//! connections and asks for none of them.

use std::collections::BTreeMap;

use portcullis_domain::Timestamp;
use portcullis_store::saml::{self, Expiring, Whose};

use crate::warning::{DAY_S, WARNED_AT_DAYS, days_left};
use crate::{Portcullis, ServiceError};

/// Certificates of each side that are looked at: more that run out within a month are no news one by one.
const MAX_LOOKED_AT: i64 = 1_000;
/// What has run out.
const OVER: i64 = 0;

/// What this process has told already: a new start tells everything once more.
#[derive(Debug, Default)]
pub(crate) struct Told(BTreeMap<String, i64>);

impl Told {
    /// Notes what runs out; what of it has come to a mark that was not told yet.
    fn news<'e>(&mut self, expiring: &'e [Expiring], now: Timestamp) -> Vec<&'e Expiring> {
        let name = |one: &Expiring| format!("{} {}", one.connection, one.fingerprint);
        let marked = |one: &&Expiring| mark(one.not_after, now).is_some();
        let marks: BTreeMap<String, i64> = expiring
            .iter()
            .filter_map(|one| mark(one.not_after, now).map(|mark| (name(one), mark)))
            .collect();
        let new = |one: &&Expiring| self.0.get(&name(one)) != marks.get(&name(one));
        let news = expiring.iter().filter(marked).filter(new).collect();
        // What is not among them has gone, and need not be remembered.
        self.0 = marks;
        news
    }
}

/// The last mark that a certificate has come to: days before its end, or [`OVER`].
fn mark(not_after: Timestamp, now: Timestamp) -> Option<i64> {
    let days = days_left(not_after, now);
    let marks = WARNED_AT_DAYS.into_iter().filter(|mark| days <= *mark);
    if days < 0 { Some(OVER) } else { marks.min() }
}

impl Portcullis {
    /// Counts what runs out, and logs what came to a mark since the last time.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub(crate) async fn tell_expiring(&self, told: &mut Told) -> Result<(), ServiceError> {
        let within_s = WARNED_AT_DAYS.into_iter().max().unwrap_or_default().saturating_add(1) * DAY_S;
        let (expiring, now) = self
            .read(move |tx, now| Ok((saml::expiring(tx, now.plus_s(within_s), MAX_LOOKED_AT)?, now)))
            .await?;
        for whose in Whose::BOTH {
            for within_days in WARNED_AT_DAYS.into_iter().chain([OVER]) {
                let is_such = |one: &&Expiring| {
                    one.whose == whose && mark(one.not_after, now).is_some_and(|mark| mark <= within_days)
                };
                gauge(whose, within_days, expiring.iter().filter(is_such).count());
            }
        }
        for one in told.news(&expiring, now) {
            tracing::warn!(
                organization.id = %one.organization,
                connection.id = %one.connection,
                certificate.whose = one.whose.as_str(),
                certificate.fingerprint = one.fingerprint,
                certificate.not_after = one.not_after.rfc3339(),
                certificate.left_days = days_left(one.not_after, now),
                "a certificate of a SAML connection runs out: have the next one in place before"
            );
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and 2,000 certificates at most are counted"
)]
fn gauge(whose: Whose, within_days: i64, many: usize) {
    let labels = [("whose", whose.as_str().to_owned()), ("within_days", within_days.to_string())];
    metrics::gauge!("portcullis_saml_certificates_expiring", &labels).set(many as f64);
}

#[cfg(test)]
#[path = "expiry_tests.rs"]
mod tests;
