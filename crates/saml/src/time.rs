//! Instants of SAML: `xs:dateTime` in UTC, to the second.
//!
//! Here because SAML is narrower than XML Schema: no local time (SAML Core §1.3.3).

use jiff::Timestamp;

/// Longest spelling: a date, a time with nine digits of fractions, an offset.
const MAX_CHARS: usize = 40;

/// Seconds since 1970; fractions are cut off. None for anything that names no instant.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"T:Z.+-".contains(&byte));
    if text.len() > MAX_CHARS || !is_plain {
        return None;
    }
    let instant: Timestamp = text.parse().ok()?;
    Some(instant.as_second())
}

/// As SAML writes it; none outside the years that XML Schema writes with four digits.
pub(crate) fn written(seconds: i64) -> Option<String> {
    let instant = Timestamp::from_second(seconds).ok()?;
    (0..253_402_300_800).contains(&seconds).then(|| instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
