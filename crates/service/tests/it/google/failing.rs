//! What Google fails at, and that nothing is taken by it.

use std::sync::Arc;

use portcullis_domain::cause::Cause;
use portcullis_domain::evaluation::Decision;
use portcullis_domain::google::{PollCode, PollKind, PollPhase};
use portcullis_domain::membership::MembershipState::{Active, Deprovisioned};
use portcullis_emulator::{GoogleErrorForm, GoogleFault, GoogleMember, GooglePerson};
use portcullis_service::ServiceError;
use portcullis_service::caller::Caller;
use portcullis_service::directory::{Governed, Nesting, NewDirectory, delete};
use portcullis_service::fetch::FetchError;
use portcullis_service::google::{Polling, advice};
use portcullis_testkit::Bench;
use serde_json::json;

use super::braking::{holds, world as braked};
use super::polling::on_both;
use super::world::{Beginning, World, company, make, source};
use crate::machine::raw::Raw;

on_both! {
    a_failed_page_takes_nothing_from_anybody_on_sqlite,
    a_failed_page_takes_nothing_from_anybody_on_postgresql => in_small_pages, failed_page;
    of_two_pollers_one_polls_on_sqlite,
    of_two_pollers_one_polls_on_postgresql => World::new, two_pollers;
}

/// Waits until it is so, twenty seconds at most.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not come about");
}

fn page(of: &str, number: usize) -> GoogleFault {
    GoogleFault::Page { of: of.to_owned(), number }
}

fn in_small_pages(bench: Bench) -> World {
    World::on(bench, company(), &Beginning { max_page: 1, ..Beginning::default() })
}

async fn failed_page(world: &World) {
    world.poll().await;
    let before = world.everything();
    // Eve is suspended and Bob no engineer any more; but some list cannot be read whole.
    world.google.change(|company| {
        company.person_mut("1003").unwrap().suspended = true;
        company.group_mut("g-eng").unwrap().members[1] = GoogleMember::User("1003".into());
    });
    for number in [1, 2] {
        for list in ["/users", "/groups", "/members"] {
            world.google.mend();
            world.google.fail(page(list, number));
            let poll = world.full().await;
            assert_eq!(poll.error_code.as_deref(), Some("google_unavailable"), "{list} {number}");
            assert_eq!(world.everything(), before, "{list} {number}");
        }
    }
    let poll = world.standing();
    assert_eq!((poll.failures, poll.error_kind), (6, Some(PollKind::Full)));
    world.google.mend();
    world.fast().await;
    assert!(world.standing().error_code.is_some(), "a fast poll does not mend what a full one failed at");
    let poll = world.full().await;
    assert_eq!((poll.error_code, poll.failures), (None, 0));
    assert_eq!(world.state("eve@acme.test"), Deprovisioned);
}

async fn two_pollers(world: &World) {
    world.way.shut();
    let first = world.portcullis.clone();
    let running = tokio::spawn(async move { first.poll_google_once().await.unwrap() });
    // Until the first one has claimed it and waits for Google.
    until(|| world.standing().phase != PollPhase::Waiting).await;
    assert_eq!(world.portcullis.poll_google_once().await.unwrap(), 0, "it is somebody's already");
    world.way.open();
    assert_eq!(running.await.unwrap(), 1);
    assert_eq!(world.state("ada@acme.test"), Active);
    assert_eq!(world.portcullis.poll_google_once().await.unwrap(), 0, "and it is not due again");
}

#[tokio::test]
async fn a_directory_that_is_deleted_while_it_is_polled_leaves_nothing_behind_and_takes_nobody_back() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    world.way.shut_at("/members");
    world.google.change(|company| company.people.push(GooglePerson::new("1004", "kim@acme.test")));
    world.bench.clock.pass_s(1000);
    let first = world.portcullis.clone();
    let running = tokio::spawn(async move { first.poll_google_once().await.unwrap() });
    until(|| world.standing().phase != PollPhase::Waiting).await;
    let (organization, id) = (world.organization, world.directory);
    let keep = (id, Governed::Keep);
    delete(&world.portcullis, Caller::Root, organization, keep, Cause::system()).await.unwrap();
    world.way.open();
    running.await.unwrap();
    for table in ["directory_users", "directory_groups", "directory_members", "google_sources"] {
        assert!(world.rows(&format!("SELECT * FROM {table}")).is_empty(), "{table}");
    }
    assert_eq!(world.state("ada@acme.test"), Active, "kept with a life of her own");
    assert!(world.members("kim@acme.test").is_empty());
}

#[tokio::test]
async fn whoever_lost_the_directory_to_another_run_writes_nothing_more() {
    let world = World::new(Bench::sqlite());
    world.way.shut();
    let first = world.portcullis.clone();
    let running = tokio::spawn(async move { first.poll_google_once().await.unwrap() });
    until(|| world.standing().phase != PollPhase::Waiting).await;
    // As if this node had slept through its lease, and another took the directory over.
    let mut raw = Raw::of(&world.bench);
    raw.change("UPDATE google_polls SET run = 'req_00000000000000000000000000000009'");
    world.way.open();
    running.await.unwrap();
    assert!(world.members("ada@acme.test").is_empty());
    assert_ne!(world.standing().phase, PollPhase::Waiting, "the other run's record is left alone");
}

#[tokio::test]
async fn whoever_lost_the_directory_before_it_decides_about_the_missing_decides_nothing() {
    let world = braked(Bench::sqlite());
    world.poll().await;
    world.google.change(|company| company.people.retain(|person| person.id == "1001" || person.is_admin));
    world.way.shut_at("/members");
    world.bench.clock.pass_s(1000);
    let first = world.portcullis.clone();
    let _ = world.google.take_calls();
    let running = tokio::spawn(async move { first.poll_google_once().await.unwrap() });
    until(|| world.google.take_calls().iter().any(|call| call.contains("/groups?"))).await;
    let mut raw = Raw::of(&world.bench);
    raw.change("UPDATE google_polls SET run = 'req_00000000000000000000000000000009'");
    world.way.open();
    running.await.unwrap();
    assert!(holds(&world).is_empty(), "the other run says who is missing");
}

#[tokio::test]
async fn nobody_who_is_suspended_waits_for_a_long_full_poll_to_end_nor_comes_back_by_its_older_pages() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    let (ada, bob) = (world.member("ada@acme.test"), world.member("bob@acme.test"));
    let keys = [world.key_of(ada.id), world.key_of(bob.id)];
    // People are listed, and the lists of members do not come.
    world.way.shut_at("/members");
    let polling = Polling { patience_ms: 1, fast_every_s: 1, ..Polling::default() };
    let poller = world.portcullis.clone().polling_google(polling);
    world.bench.clock.pass_s(1000);
    let _ = world.google.take_calls();
    let running = tokio::spawn(async move { poller.poll_google_once().await.unwrap() });
    until(|| world.google.take_calls().iter().any(|call| call.contains("/groups?"))).await;
    world.google.change(|company| company.person_mut("1001").unwrap().suspended = true);
    until(|| world.decision(&keys[0]) == Decision::TokenEnded).await;
    assert!(!running.is_finished(), "the full poll still reads");
    assert_eq!(world.decision(&keys[1]), Decision::Allowed);
    world.way.open();
    running.await.unwrap();
    assert_eq!(world.state("ada@acme.test"), Deprovisioned, "the page that said active is older");
    assert_eq!(world.receipts(ada.id).len(), 1);
    assert_eq!(world.counts()["people"], json!(4));
}

#[tokio::test]
async fn somebody_missing_from_the_list_is_asked_for_by_name_before_they_go() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    let key = world.key_of(world.member("ada@acme.test").id);
    world.google.fail(GoogleFault::Hidden("1001".into()));
    world.google.change(|company| company.people.retain(|person| person.id != "1002"));
    let poll = world.full().await;
    assert_eq!(poll.error_code, None);
    assert_eq!((world.state("ada@acme.test"), world.decision(&key)), (Active, Decision::Allowed));
    assert_eq!(world.state("bob@acme.test"), Deprovisioned, "Google knows no such person");
    assert_eq!((&world.counts()["missing_but_there"], &world.counts()["ended"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn nobody_goes_while_those_who_are_missing_cannot_be_asked_for() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    world.google.change(|company| company.people.retain(|person| person.id != "1001"));
    for fault in [GoogleFault::Broken(1_000), GoogleFault::NoRights] {
        world.google.mend();
        world.google.fail(fault);
        let poll = world.full().await;
        assert!(poll.error_code.is_some());
        assert_eq!(world.state("ada@acme.test"), Active);
    }
    world.google.mend();
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Deprovisioned);
}

#[tokio::test]
async fn a_list_of_members_that_is_shorter_than_google_counts_takes_nobody_who_is_in_the_group() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    world.google.fail(GoogleFault::ShortGroup("g-eng".into(), "1001".into()));
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Active);
    assert_eq!(world.counts()["missing_but_there"], json!(1));
    world.google.mend();
    world.google.change(|company| {
        company.group_mut("g-eng").unwrap().members.retain(|m| *m != GoogleMember::User("1001".into()));
    });
    world.full().await;
    assert_ne!(world.state("ada@acme.test"), Active, "now she really left");
}

#[tokio::test]
async fn a_quota_is_waited_for_and_one_that_stays_used_up_takes_nothing() {
    let world = World::new(Bench::sqlite());
    world.google.fail(GoogleFault::Quota(3));
    world.google.fail(GoogleFault::TooMany(2));
    world.google.fail(GoogleFault::Broken(1));
    let poll = world.poll().await;
    assert_eq!(poll.error_code, None, "six refusals are within a call's patience");
    assert_eq!(world.state("ada@acme.test"), Active);
    world.google.mend();
    world.google.fail(GoogleFault::Quota(100_000));
    world.google.change(|company| company.people.truncate(1));
    let _ = world.google.take_calls();
    let poll = world.full().await;
    assert_eq!(poll.error_code.as_deref(), Some("quota_exceeded"));
    assert!(world.google.take_calls().len() < 12, "it gives up before long");
    assert_eq!(world.state("ada@acme.test"), Active);
    let waits: Vec<i64> = {
        let mut waits = Vec::new();
        for _ in 0..6 {
            let poll = world.standing();
            waits.push(poll.full_at.seconds_since(poll.finished_at.unwrap()));
            world.full().await;
        }
        waits
    };
    assert_eq!(waits, [60, 120, 240, 480, 900, 900], "longer each time, never longer than between two polls");
    world.google.mend();
    let poll = world.full().await;
    assert_eq!((poll.error_code, poll.failures), (None, 0));
    assert_eq!(world.state("ada@acme.test"), Deprovisioned);
}

#[tokio::test]
async fn a_way_that_is_broken_for_a_moment_is_tried_again_and_one_that_is_forbidden_is_not() {
    let world = World::new(Bench::sqlite());
    let host = "oauth2.googleapis.com".to_owned();
    let passing = FetchError::TimedOut { host: host.clone(), timeout_ms: 1 };
    let refused = FetchError::Redirected { host, status: 302 };
    for (error, times) in [(passing, 7), (refused, 1)] {
        let code = error.code();
        world.way.break_with(error);
        let poll = world.full().await;
        assert_eq!((poll.error_code.as_deref(), world.way.failed()), (Some(code), times));
    }
}

#[tokio::test]
async fn a_token_that_google_revoked_meanwhile_is_renewed_once() {
    let world = World::new(Bench::sqlite());
    world.way.revoke_after(4);
    assert_eq!(world.poll().await.error_code, None);
    assert_eq!(world.state("ada@acme.test"), Active);
    let tokens = world.google.take_calls().iter().filter(|call| call.starts_with("POST /token")).count();
    assert_eq!(tokens, 2);
}

#[test]
fn what_google_is_to_blame_for_is_not_put_down_to_the_way_out() {
    let of_the_way_out = advice("timed_out");
    assert!(of_the_way_out.contains("port 443"));
    for code in PollCode::ALL {
        assert_ne!(advice(code.as_str()), of_the_way_out, "{code:?}");
    }
}

#[tokio::test]
async fn each_failure_has_a_code_of_its_own_and_advice() {
    let world = World::new(Bench::sqlite());
    let faults = [
        (GoogleFault::NotDelegated, "not_delegated"),
        (GoogleFault::KeyDeleted, "token_refused"),
        (GoogleFault::NoRights, "access_denied"),
        (GoogleFault::ApiDisabled, "api_disabled"),
        (GoogleFault::Broken(1_000), "google_unavailable"),
    ];
    let mut advices = Vec::new();
    for (fault, code) in faults {
        world.google.mend();
        world.google.fail(fault);
        let poll = world.full().await;
        assert_eq!(poll.error_code.as_deref(), Some(code));
        advices.push(advice(code));
    }
    advices.dedup();
    assert_eq!(advices.len(), 5, "each says something else");
    let (organization, directory) = (world.organization, world.directory.to_string());
    world.portcullis.store_traces().await.unwrap();
    let traces = world.bench.write(move |tx, _| {
        let filter = portcullis_store::trace::TraceFilter {
            kind: Some("directory"),
            source: Some(&directory),
            ..Default::default()
        };
        Ok(portcullis_store::trace::list(tx, organization, filter, None, 100)?)
    });
    assert_eq!(traces.len(), 5, "each run leaves a trace");
    assert!(traces.iter().all(|trace| trace.content.contains("advice")), "{traces:?}");
}

fn refused(of: &str, status: u16, reason: &'static str) -> GoogleFault {
    GoogleFault::Refused { of: of.to_owned(), status, reason, form: GoogleErrorForm::Errors }
}

fn in_details(of: &str, status: u16, reason: &'static str) -> GoogleFault {
    GoogleFault::Refused { of: of.to_owned(), status, reason, form: GoogleErrorForm::Details }
}

#[tokio::test]
async fn whatever_breaks_a_list_is_told_by_its_code_and_writes_nothing() {
    let world = in_small_pages(Bench::sqlite());
    world.poll().await;
    let before = world.everything();
    world.google.change(|company| {
        company.person_mut("1003").unwrap().suspended = true;
        company.group_mut("g-eng").unwrap().members[1] = GoogleMember::User("1003".into());
    });
    let mut faults: Vec<(GoogleFault, &str, &str)> = Vec::new();
    // The units, and what is read again at the end: who went while the lists were read.
    for of in ["/orgunits?", "isSuspended", "isArchived", "showDeleted"] {
        faults.push((refused(of, 503, "backendError"), "google_unavailable", "503"));
    }
    for list in ["users", "groups", "members"] {
        faults.push((GoogleFault::Ending(list.to_owned()), "broken_answer", "ended in the middle"));
        faults.push((GoogleFault::Looping(list.to_owned()), "broken_answer", "leads back"));
        let path = format!("/{list}?");
        faults.push((GoogleFault::Foreign(path.clone()), "broken_answer", "not in Google's words"));
        faults.push((refused(&path, 401, "authError"), "token_refused", "refused"));
        faults.push((refused(&path, 400, "invalid"), "broken_answer", "400 `invalid`"));
        faults.push((refused(&path, 412, "conditionNotMet"), "broken_answer", "412 `conditionNotMet`"));
        for reason in ["userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"] {
            faults.push((refused(&path, 403, reason), "quota_exceeded", "refused"));
        }
        faults.push((in_details(&path, 429, "RATE_LIMIT_EXCEEDED"), "quota_exceeded", "refused"));
        faults.push((in_details(&path, 403, "SERVICE_DISABLED"), "api_disabled", "refused"));
        faults.push((refused(&path, 408, "requestTimeout"), "google_unavailable", "408"));
    }
    for list in ["/users?", "/groups?", "/orgunits?"] {
        faults.push((refused(list, 404, "notFound"), "customer_unknown", "not found"));
    }
    for (fault, code, words) in faults {
        world.google.mend();
        world.google.fail(fault.clone());
        let poll = world.full().await;
        assert_eq!(poll.error_code.as_deref(), Some(code), "{fault:?}");
        assert!(poll.error_message.is_some_and(|message| message.contains(words)), "{fault:?}");
        assert_eq!(world.everything(), before, "{fault:?}");
    }
    world.google.mend();
    assert_eq!(world.full().await.error_code, None);
    assert_eq!(world.state("eve@acme.test"), Deprovisioned);
}

#[tokio::test]
async fn a_fault_of_ours_ends_one_run_and_is_told_like_any_other_failure() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    world.way.be_faulty(true);
    let poll = world.full().await;
    assert_eq!((poll.error_code.as_deref(), poll.failures), (Some("broken_answer"), 1));
    assert!(poll.error_message.is_some_and(|message| message.contains("fault of ours")));
    assert_eq!((poll.phase, world.state("ada@acme.test")), (PollPhase::Waiting, Active));
    world.way.be_faulty(false);
    assert_eq!(world.full().await.error_code, None);
}

#[tokio::test]
async fn a_group_that_goes_between_the_list_and_its_members_is_asked_for_by_name() {
    let world = World::new(Bench::sqlite());
    world.map("g-sales", "viewer");
    world.poll().await;
    world.google.fail(refused("/groups/g-sales/members?", 404, "notFound"));
    assert_eq!(world.full().await.error_code, None);
    assert_eq!((world.state("eve@acme.test"), &world.counts()["missing_but_there"]), (Active, &json!(1)));
    world.google.fail(refused("/groups/g-sales?", 404, "notFound"));
    assert_eq!(world.full().await.error_code, None);
    assert_ne!(world.state("eve@acme.test"), Active, "Google knows no such group");
}

#[tokio::test]
async fn another_customer_is_not_this_directorys_and_takes_nobody_away() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    world.google.change(|company| {
        company.customer_id = "C0other".into();
        company.people.truncate(1);
        company.groups.clear();
    });
    let poll = world.fast().await;
    assert_eq!(poll.error_code.as_deref(), Some("other_customer"));
    let poll = world.full().await;
    assert_eq!(poll.error_code.as_deref(), Some("other_customer"));
    assert_eq!(world.state("ada@acme.test"), Active);
}

#[tokio::test]
async fn a_key_file_that_is_none_is_refused_and_says_why() {
    let world = World::new(Bench::sqlite());
    let file = world.google.service_account_key();
    let wish = NewDirectory {
        brake: None,
        name: "Google".into(),
        default_role: None,
        settle_s: None,
        nesting: Nesting::Off,
    };
    let organization = world.organization;
    let refused = |name: &str, value: serde_json::Value| {
        let mut file = file.clone();
        file[name] = value;
        let (wish, source) = (wish.clone(), source(&file, None));
        let store = Arc::clone(&world.portcullis.around().store);
        let portcullis = world.portcullis.clone();
        store.write_blocking(move |tx| {
            make(tx, &mut portcullis.moment(), organization, (&wish, &source)).map(|_| ())
        })
    };
    for (name, value) in [
        ("type", json!("authorized_user")),
        ("token_uri", json!("https://elsewhere.test/token")),
        ("client_email", json!("")),
        ("client_id", json!(7)),
        ("private_key", json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
        ("private_key", json!("secret")),
        ("project_id", json!("x".repeat(20_000))),
    ] {
        let answer: Result<(), ServiceError> = refused(name, value);
        assert!(
            matches!(answer, Err(ServiceError::Invalid { field: "google.service_account_key", .. })),
            "{name}: {answer:?}"
        );
    }
    assert!(refused("project_id", json!("another")).is_ok());
}
