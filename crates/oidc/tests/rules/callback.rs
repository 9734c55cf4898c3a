//! Steps 1 to 3 of a callback: state, issuer, error.

use portcullis_oidc::callback::{Callback, PendingSignIn};
use portcullis_oidc::discovery::IssParameter;
use portcullis_oidc::refusal::Refusal;
use portcullis_oidc::request::State;
use secrecy::ExposeSecret;

use crate::fixture::ISSUER;

const STATE: &str = "state-of-this-browser";

fn verify_by(query: &str, iss_parameter: IssParameter, called_connection: &str) -> Result<String, Refusal> {
    let state = State::from_stored(STATE);
    let pending = PendingSignIn {
        state: &state,
        connection: "con_acme",
        called_connection,
        issuer: ISSUER,
        iss_parameter,
    };
    let code = Callback::parse(query)?.verify(&pending)?;
    Ok(code.expose_secret().to_owned())
}

fn outcome(query: &str) -> String {
    match verify_by(query, IssParameter::NotPromised, "con_acme") {
        Ok(code) => code,
        Err(refusal) => refusal.code().to_owned(),
    }
}

#[test]
fn an_honest_answer_gives_its_code() {
    assert_eq!(outcome("code=c%2F1&state=state-of-this-browser"), "c/1");
    assert_eq!(
        outcome("code=c1&state=state-of-this-browser&iss=https%3A%2F%2Fidp.acme.test&session_state=x"),
        "c1"
    );
}

#[test]
fn o9_an_answer_without_this_browsers_state_is_refused() {
    for query in
        ["code=c1", "code=c1&state=", "code=c1&state=of-the-attacker", "code=c1&state=state-of-this-browse"]
    {
        assert_eq!(outcome(query), "state_mismatch", "{query}");
    }
}

#[test]
fn an_empty_stored_state_matches_nothing() {
    let state = State::from_stored("");
    assert!(!state.matches(""));
}

#[test]
fn o1_an_answer_at_another_connections_address_is_refused() {
    let code = |called| verify_by("code=c1&state=state-of-this-browser", IssParameter::NotPromised, called);
    assert_eq!(code("con_acme").unwrap(), "c1");
    assert_eq!(code("con_evil").unwrap_err().code(), "connection_mismatch");
}

#[test]
fn o1_an_answer_of_another_issuer_is_refused_even_where_none_was_promised() {
    for promise in [IssParameter::Promised, IssParameter::NotPromised] {
        let query = |iss: &str| format!("code=c1&state={STATE}&iss={iss}");
        assert_eq!(verify_by(&query("https://idp.acme.test"), promise, "con_acme").unwrap(), "c1");
        for other in ["https://evil.test", "https://idp.acme.test/", "https://IDP.acme.test", ""] {
            let refusal = verify_by(&query(other), promise, "con_acme").unwrap_err();
            assert_eq!(refusal.code(), "issuer_mismatch", "{other}");
        }
    }
}

#[test]
fn o1_a_promised_issuer_that_is_missing_is_refused() {
    let query = format!("code=c1&state={STATE}");
    let refusal = verify_by(&query, IssParameter::Promised, "con_acme").unwrap_err();
    assert_eq!(refusal.code(), "issuer_missing");
    assert_eq!(refusal.broken().section, "RFC 9207 §2.4");
    assert_eq!(verify_by(&query, IssParameter::NotPromised, "con_acme").unwrap(), "c1");
}

#[test]
fn the_order_is_state_then_issuer_then_error() {
    assert_eq!(outcome("error=access_denied&iss=https://evil.test&state=wrong"), "state_mismatch");
    assert_eq!(
        outcome(&format!("error=access_denied&iss=https://evil.test&state={STATE}")),
        "issuer_mismatch"
    );
    assert_eq!(outcome(&format!("error=access_denied&code=c1&state={STATE}")), "provider_error");
    assert_eq!(outcome(&format!("state={STATE}")), "code_missing");
}

#[test]
fn a_providers_words_are_cut_and_hold_no_control_characters() {
    let query = format!("error=access_denied&error_description=%1B%5B31m{}&state={STATE}", "x".repeat(5_000));
    let refusal = verify_by(&query, IssParameter::NotPromised, "con_acme").unwrap_err();
    let received = refusal.broken().received.unwrap();
    assert!(received.chars().count() < 300 && !received.contains('\u{1b}'), "{received}");
}

#[test]
fn doubled_parameters_and_overlong_answers_are_refused() {
    for query in ["code=a&code=b", "state=a&state=b", "iss=a&iss=b", "error=a&error=b"] {
        assert_eq!(outcome(&format!("{query}&x={STATE}")), "callback_duplicate", "{query}");
    }
    assert_eq!(outcome(&format!("state={STATE}&code={}", "c".repeat(16 * 1024))), "callback_too_large");
    assert_eq!(outcome(&format!("state={STATE}&code={}", "c".repeat(8 * 1024))), "c".repeat(8 * 1024));
}

#[test]
fn a_refusal_shows_neither_state_nor_code() {
    let refusal =
        verify_by("code=secret-code&state=wrong-state", IssParameter::NotPromised, "con_acme").unwrap_err();
    let callback = Callback::parse("code=secret-code&state=wrong-state").unwrap();
    let told = format!("{refusal} {refusal:?} {:?} {callback:?}", refusal.broken());
    assert!(!told.contains("secret-code") && !told.contains(STATE), "{told}");
}
