//! The brake: what holds endings above a directory's limits (invariant I12).
//!
//! A provider that is misconfigured ends a company in minutes. Whoever a directory names is refused at once in any case;
//! what cannot be undone, and what nobody stated, waits for an administrator once it is more than a day usually brings.

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::text::texts;

/// People whom a directory may always end within the window, whatever its limits: the brake never acts below.
pub const NEVER_BELOW: i64 = 10;
/// The share of its people, in percent, that a directory may end within the window, if nothing else is said.
pub const DEFAULT_MAX_PERCENT: i64 = 20;
/// The largest absolute limit.
pub const MAX_PEOPLE: i64 = 10_000_000;
/// The window in which people are counted, in hours: a slow accident is one too.
pub const WINDOW_H: i64 = 24;
/// Seconds of an hour, the step in which the window moves.
pub const HOUR_S: i64 = 3_600;

texts! {
    /// What becomes of a statement above the limit.
    #[derive(Default)]
    pub enum Above {
        /// It is taken: whoever is named is refused at once, and what cannot be undone is held.
        #[default]
        Hold = "hold",
        /// It is not taken: the provider is told to try again later, and nothing of it takes effect.
        Refuse = "refuse",
    }
}

/// A directory's limits. Where both are said, the lower one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// People.
    pub max_people: Option<i64>,
    /// A share of the people whom the directory governs, in percent.
    pub max_percent: Option<i64>,
    /// What becomes of a statement above them.
    #[serde(default)]
    pub above: Above,
}

impl Default for Brake {
    fn default() -> Self {
        Self { max_people: None, max_percent: Some(DEFAULT_MAX_PERCENT), above: Above::Hold }
    }
}

impl Brake {
    /// Limits that can be meant. What is above them is held.
    ///
    /// # Errors
    /// [`Refusal::InvalidBrake`] where a number is out of range, or none is said.
    pub fn new(max_people: Option<i64>, max_percent: Option<i64>) -> Result<Self, Refusal> {
        let people = max_people.is_none_or(|n| (0..=MAX_PEOPLE).contains(&n));
        let percent = max_percent.is_none_or(|n| (0..=100).contains(&n));
        let said = max_people.is_some() || max_percent.is_some();
        if people && percent && said {
            Ok(Self { max_people, max_percent, above: Above::Hold })
        } else {
            Err(Refusal::InvalidBrake)
        }
    }

    /// The same limits, above which that becomes of a statement.
    #[must_use]
    pub const fn with_above(self, above: Above) -> Self {
        Self { above, ..self }
    }

    /// How many people of `governed` may be ended within the window.
    #[must_use]
    pub fn limit(self, governed: i64) -> i64 {
        // Rounded up: the share of an odd number is never less than it.
        let share = self.max_percent.map(|p| governed.saturating_mul(p).saturating_add(99) / 100);
        let lower = [self.max_people, share].into_iter().flatten().min();
        lower.unwrap_or(i64::MAX).max(NEVER_BELOW)
    }
}
