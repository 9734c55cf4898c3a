//! What the offline check of an export finds, whoever wrote the export: each forger here does everything that they can.

use portcullis_domain::audit::{commitment, genesis, link};
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::id::OrganizationId;
use portcullis_oidc::provider::SigningKey;
use portcullis_service::audit_export::{self, EventLine, Finding, Known, Line, Verified};
use portcullis_service::organization::{self, People};
use portcullis_service::restoring;
use portcullis_service::signing::{HEAD_TYP, sign};
use portcullis_testkit::Bench;
use serde_json::{Value, json};

use crate::thread::{Place, place, provision};

/// An export of a log with a few events.
async fn export(bench: &Bench, place: &Place) -> Vec<Line> {
    bench.portcullis().sign_all().await.unwrap();
    let organization = place.organization;
    let lines = bench.write(move |tx, _| {
        let mut lines = Vec::new();
        audit_export::export(tx, organization, |line| {
            lines.push(line.clone());
            Ok(())
        })?;
        Ok(lines)
    });
    assert!(lines.len() > 5, "{} lines are too few", lines.len());
    lines
}

fn written(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{}\n", serde_json::to_string(line).unwrap())).collect()
}

fn check(lines: &[Line], known: &Known) -> Result<Verified, Finding> {
    audit_export::verify(written(lines).as_bytes(), known)
}

/// Makes commitments, links and the head's link anew, so that they fit to what the lines say now.
fn relink(lines: &mut [Line], organization: OrganizationId) {
    let mut previous = genesis(organization);
    let mut count = 0;
    for line in lines {
        match line {
            Line::Header { .. } => {}
            Line::Event(EventLine { number, salt, commitment: committed, link: linked, content }) => {
                let found = commitment(&hex::decode(salt).unwrap(), content).unwrap();
                previous = link(&previous, *number, &found);
                count = *number;
                (*committed, *linked) = (hex::encode(found), hex::encode(previous));
            }
            Line::Head { number, link, .. } => (*number, *link) = (count, hex::encode(previous)),
        }
    }
}

/// Signs the head with that key, and gives the key with it.
fn sign_head(lines: &mut [Line], organization: OrganizationId, key: &SigningKey) {
    let Some(Line::Head { number, link, jws, keys }) = lines.last_mut() else { panic!("no head") };
    let at = "2026-01-01T00:00:00Z";
    let statement = json!({ "organization": organization, "number": number, "link": link, "at": at });
    *jws = sign(key, HEAD_TYP, &statement).unwrap();
    *keys = vec![key.public_jwk().to_value()];
}

fn content(line: &mut Line) -> &mut Value {
    match line {
        Line::Event(EventLine { content, .. }) => content,
        _ => panic!("no event"),
    }
}

fn head(lines: &[Line]) -> (i64, String, Vec<Value>) {
    match lines.last() {
        Some(Line::Head { number, link, keys, .. }) => (*number, link.clone(), keys.clone()),
        _ => panic!("no head"),
    }
}

#[tokio::test]
async fn the_log_of_a_deleted_organization_is_exported_by_slug_and_id_and_verifies() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let cause = Cause { kind: CauseKind::Api, ..Cause::system() };
    organization::delete(bench.portcullis(), place.organization, People::OffBoard, cause).await.unwrap();

    let lines = export(&bench, &place).await;
    let verified = check(&lines, &Known::default()).unwrap();
    assert_eq!(verified.organization, place.organization);
    let is_its_end =
        |line: &Line| matches!(line, Line::Event(event) if event.content["action"] == "organization.deleted");
    assert!(lines.iter().any(is_its_end), "its end is in its log");
    for text in ["acme".to_owned(), place.organization.to_string()] {
        let asked = text.clone();
        let found = bench.write(move |tx, _| organization::of_log(tx, &asked));
        assert_eq!(found.id, place.organization, "`{text}`");
        let refused = bench.write(move |tx, _| Ok(organization::named(tx, &text).is_err()));
        assert!(refused, "everybody else finds it no more");
    }
    let refused = bench.write(|tx, _| Ok(organization::of_log(tx, "acm").is_err()));
    assert!(refused, "a slug that nobody ever had");
}

#[tokio::test]
async fn a_log_that_was_written_anew_whole_has_no_signature_of_the_organizations_key() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let sound = export(&bench, &place).await;
    assert!(check(&sound, &Known::default()).is_ok());
    let mut forged = sound.clone();
    content(&mut forged[2])["detail"] = json!({ "forged": true });
    relink(&mut forged, place.organization);
    assert_ne!(head(&forged).1, head(&sound).1);
    // The signature is over the link that the head had.
    let found = check(&forged, &Known::default());
    assert!(matches!(found, Err(Finding::Signature(_))), "{found:?}");
    // Even if the head goes on saying what was signed.
    let last = forged.len() - 1;
    forged[last] = sound[last].clone();
    let found = check(&forged, &Known::default());
    assert!(matches!(found, Err(Finding::HeadNumber { .. })), "{found:?}");
    // A signature that one digit of is another.
    let mut forged = sound.clone();
    let Some(Line::Head { jws, .. }) = forged.last_mut() else { panic!("no head") };
    let at = jws.rfind('.').unwrap() + 10;
    let other = if jws.as_bytes()[at] == b'A' { "B" } else { "A" };
    jws.replace_range(at..=at, other);
    let found = check(&forged, &Known::default());
    assert!(matches!(found, Err(Finding::Signature(_))), "{found:?}");
}

#[tokio::test]
async fn another_key_is_found_by_whoever_brings_the_organizations_own() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let sound = export(&bench, &place).await;
    let own = Known { keys: Some(head(&sound).2), ..Known::default() };
    assert!(check(&sound, &own).is_ok());
    let mut forged = sound;
    content(&mut forged[2])["detail"] = json!({ "forged": true });
    relink(&mut forged, place.organization);
    sign_head(&mut forged, place.organization, &SigningKey::ed25519_from_random(&[9; 32]).unwrap());
    assert!(check(&forged, &Known::default()).is_ok(), "nothing but the key is wrong with it");
    let found = check(&forged, &own);
    assert!(matches!(&found, Err(Finding::Signature(why)) if why.contains("not among")), "{found:?}");
}

#[tokio::test]
async fn another_log_of_the_same_key_is_found_by_a_link_that_was_known_however_long_it_is() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let before = export(&bench, &place).await;
    let (number, link, _) = head(&before);
    let known = Known { events: number, links: [(number, link)].into(), ..Known::default() };
    provision(&bench, &place, "bob");
    let longer = export(&bench, &place).await;
    assert!(check(&before, &known).is_ok() && check(&longer, &known).is_ok(), "what goes on is no other log");
    let mut forged = longer;
    content(&mut forged[2])["detail"] = json!({ "forged": true });
    relink(&mut forged, place.organization);
    let key = bench.portcullis().signing_key(place.organization).await.unwrap();
    sign_head(&mut forged, place.organization, &key);
    let counted = Known { links: Default::default(), ..known.clone() };
    assert!(check(&forged, &counted).is_ok(), "a number of events does not tell it");
    let found = check(&forged, &known);
    assert!(matches!(found, Err(Finding::Forked { number: at, .. }) if at == number), "{found:?}");
}

#[tokio::test]
async fn an_export_that_is_shorter_than_what_was_known_is_found() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let sound = export(&bench, &place).await;
    let (number, link, _) = head(&sound);
    let as_many = Known { events: number, ..Known::default() };
    assert!(check(&sound, &as_many).is_ok());
    let more = Known { events: number + 1, ..Known::default() };
    let beyond = Known { links: [(number + 1, link)].into(), ..Known::default() };
    for known in [more, beyond] {
        let found = check(&sound, &known);
        assert!(
            matches!(found, Err(Finding::Older { known, found }) if (known, found) == (number + 1, number)),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn an_event_of_another_organization_is_found_though_everything_fits() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let other = crate::thread::place(&bench, "globex", 0);
    provision(&bench, &place, "ada");
    let mut forged = export(&bench, &place).await;
    content(&mut forged[2])["organization"] = json!(other.organization);
    relink(&mut forged, place.organization);
    sign_head(&mut forged, place.organization, &SigningKey::ed25519_from_random(&[9; 32]).unwrap());
    let found = check(&forged, &Known::default());
    assert!(matches!(found, Err(Finding::Foreign { number: 2, .. })), "{found:?}");
}

#[tokio::test]
async fn what_two_readers_could_read_differently_is_no_line() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let mut lines = export(&bench, &place).await;
    content(&mut lines[2])["detail"] = json!({ "count": 1 });
    relink(&mut lines, place.organization);
    sign_head(&mut lines, place.organization, &SigningKey::ed25519_from_random(&[9; 32]).unwrap());
    let Line::Event(EventLine { salt, .. }) = &lines[2] else { panic!("no event") };
    let sound = written(&lines);
    let known = Known::default();
    assert!(audit_export::verify(sound.as_bytes(), &known).is_ok());
    let changes = [
        // The last of two is the one that counts here, and the first one elsewhere.
        ("\"content\":{\"", "\"content\":{\"action\":\"token.issued\",\""),
        ("\"salt\":", "\"note\":\"nobody signed this\",\"salt\":"),
        ("\"form\":1", "\"form\":1,\"approved\":true"),
        ("\"jws\":", "\"witness\":\"nobody\",\"jws\":"),
        ("\"kty\":", "\"kty\":\"EC\",\"kty\":"),
        ("\"content\":{", "\"content\": {"),
        // Both are committed to alike.
        ("\"count\":1", "\"count\":1.0"),
        (salt, &salt.to_uppercase()),
    ];
    for (from, to) in changes {
        let changed = sound.replacen(from, to, 1);
        assert_ne!(changed, sound, "{from}");
        let found = audit_export::verify(changed.as_bytes(), &known);
        assert!(matches!(found, Err(Finding::Unreadable { .. })), "{to}: {found:?}");
    }
}

/// One line without end, which says how much of it was read.
struct Endless(u64);

impl std::io::Read for Endless {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        bytes.fill(b'x');
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
}

#[test]
fn no_more_of_a_line_is_read_than_a_line_may_have() {
    let mut endless = Endless(0);
    let finding = audit_export::verify(std::io::BufReader::new(&mut endless), &Known::default()).unwrap_err();
    assert!(matches!(&finding, Finding::Unreadable { line: 1, .. }), "{finding}");
    assert!(endless.0 < 2 * audit_export::MAX_LINE as u64, "{} bytes were read", endless.0);
    for (length, is_too_long) in [(audit_export::MAX_LINE, false), (audit_export::MAX_LINE + 1, true)] {
        for end in ["", "\n", "\r\n"] {
            let line = format!("{}{end}", "x".repeat(length));
            let finding = audit_export::verify(line.as_bytes(), &Known::default()).unwrap_err();
            assert_eq!(finding.to_string().contains("longer than"), is_too_long, "{length}: {finding}");
        }
    }
}

#[tokio::test]
async fn an_export_from_before_the_first_head_is_told_from_one_that_was_cut_off() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 3600);
    let lines = export(&bench, &place).await;
    assert!(matches!(check(&lines[..1], &Known::default()), Err(Finding::Empty)));
    let known = Known { events: 1, ..Known::default() };
    assert!(matches!(check(&lines[..1], &known), Err(Finding::NoHead)), "there were events");
    assert!(matches!(check(&lines[..2], &Known::default()), Err(Finding::NoHead)), "there is one");
    assert!(matches!(check(&[], &Known::default()), Err(Finding::NoHead)));
}

#[tokio::test]
async fn an_export_whose_head_was_signed_before_the_instant_that_is_named_is_old() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let at = bench.portcullis().now();
    let before = export(&bench, &place).await;
    assert_eq!(check(&before, &Known::default()).unwrap().at, at);
    bench.clock.pass_s(60);
    let now = Known { not_before: Some(bench.portcullis().now()), ..Known::default() };
    let found = check(&before, &now);
    assert!(matches!(found, Err(Finding::Stale { at: signed, .. }) if signed == at), "{found:?}");
    provision(&bench, &place, "bob");
    assert!(check(&export(&bench, &place).await, &now).is_ok());
}

#[tokio::test]
async fn of_two_links_that_are_known_of_one_event_neither_is_left_aside() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let sound = export(&bench, &place).await;
    let (number, link, _) = head(&sound);
    let other = "0".repeat(64);
    let known = |links: &[&str]| Known {
        links: links.iter().map(|link| (number, (*link).to_owned())).collect(),
        ..Known::default()
    };
    for links in [[link.as_str(), &other], [&other, &link]] {
        let found = check(&sound, &known(&links));
        assert!(matches!(found, Err(Finding::TwoLogs { number: of }) if of == number), "{found:?}");
    }
    assert!(check(&sound, &known(&[&link, &link.to_uppercase()])).is_ok(), "it is one link");
    let found = check(&sound, &known(&[&other]));
    assert!(matches!(found, Err(Finding::Forked { .. })), "{found:?}");
}

#[tokio::test]
async fn keys_that_nobody_signed_do_not_stand_beside_the_head_for_whoever_has_the_key_set() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let sound = export(&bench, &place).await;
    let own = Known { keys: Some(head(&sound).2), ..Known::default() };
    let foreign = SigningKey::ed25519_from_random(&[9; 32]).unwrap().public_jwk().to_value();
    let key = head(&sound).2[0].clone();
    let mut said = key.clone();
    said["note"] = json!("approved");
    for planted in [vec![foreign.clone()], vec![key, foreign], vec![json!("approved")], vec![said]] {
        let mut forged = sound.clone();
        let Some(Line::Head { keys, .. }) = forged.last_mut() else { panic!("no head") };
        keys.clone_from(&planted);
        let found = check(&forged, &own);
        assert!(matches!(found, Err(Finding::Keys(_))), "{planted:?}: {found:?}");
    }
    assert!(check(&sound, &own).is_ok());
}

#[tokio::test]
async fn where_a_backup_was_restored_before_the_fork_the_finding_names_the_event_that_says_so() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    provision(&bench, &place, "ada");
    let before = export(&bench, &place).await;
    let organization = place.organization;
    let replaced = bench.write(move |tx, _| restoring::head(tx, organization)).unwrap();
    let (number, link, _) = head(&before);
    assert_eq!((replaced.number, &replaced.link), (number, &link));
    bench.write(move |tx, moment| {
        let acme = organization::named(tx, "acme")?;
        restoring::revive_nobody(tx, moment, &acme, Some(&replaced))
    });
    let after = export(&bench, &place).await;
    let restored = after.iter().find_map(|line| match line {
        Line::Event(event) if event.content["action"] == "backup.restored" => Some(event.clone()),
        _ => None,
    });
    let restored = restored.unwrap();
    let said = &restored.content["detail"]["replaced"];
    assert_eq!((&said["number"], &said["link"]), (&json!(number), &json!(link)));
    let other = |number: i64| Known { links: [(number, "0".repeat(64))].into(), ..Known::default() };
    let found = check(&after, &other(restored.number)).unwrap_err().to_string();
    assert!(
        found.contains(&format!("; event {} says that a backup was restored", restored.number)),
        "{found}"
    );
    let found = check(&after, &other(restored.number - 1)).unwrap_err().to_string();
    assert!(found.ends_with("another log was written in its place"), "it was forked before: {found}");
}

#[tokio::test]
async fn an_export_says_how_many_events_have_no_number_yet_and_since_when() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    let other = crate::thread::place(&bench, "globex", 0);
    bench.portcullis().sign_all().await.unwrap();
    let exported =
        |organization| bench.write(move |tx, _| audit_export::export(tx, organization, |_| Ok(())));
    let all = exported(place.organization);
    assert_eq!((all.waiting, all.waiting_since), (0, None));
    bench.clock.pass_s(60);
    let at = bench.portcullis().now();
    provision(&bench, &place, "ada");
    bench.clock.pass_s(60);
    provision(&bench, &place, "bob");
    let some = exported(place.organization);
    assert_eq!((some.events, some.waiting_since), (all.events, Some(at)));
    assert!(some.waiting > 0);
    assert_eq!(exported(other.organization).waiting, 0, "those of another organization are not counted");
    bench.portcullis().sign_all().await.unwrap();
    let whole = exported(place.organization);
    assert_eq!((whole.events, whole.waiting), (all.events + some.waiting, 0));
}
