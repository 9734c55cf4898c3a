//! What is kept and gives no access: answers, sign-ins under way, traces, deliveries, keys, named values.

use portcullis_domain::change::OutboxChange;
use portcullis_domain::id::{
    ConnectionId, MembershipId, OrganizationId, OutboxId, RequestId, SignInId, TraceId,
};
use portcullis_store::audit::{AuditFilter, MAX_LOOKED_AT, numbered_page};
use portcullis_store::idempotency::{IdempotencyKey, KeptAnswer};
use portcullis_store::sign_in::SignIn;
use portcullis_store::signing_key::SigningKey;
use portcullis_store::trace::{Trace, TraceFilter};
use portcullis_store::{StoreError, UniqueKey, idempotency, instance, outbox, sign_in, signing_key, trace};

use crate::database::{NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later};

#[test]
fn an_answer_is_kept_for_its_caller_path_and_key_and_forgotten_when_it_is_old() {
    on_each(|database| {
        let key = IdempotencyKey { caller: "tok_1", path: "/api/v1/organizations", key: "k" };
        let kept = KeptAnswer { body_hash: "hash".to_owned(), answer: "{}".to_owned(), created_at: NOW };
        assert_eq!(database.read(move |tx| idempotency::find(tx, key)), None);
        let first = kept.clone();
        database.note(move |tx| idempotency::insert(tx, key, &first)).unwrap();
        let second = KeptAnswer { answer: "{\"other\":1}".to_owned(), ..kept.clone() };
        let again = database.note(move |tx| idempotency::insert(tx, key, &second));
        assert_eq!(again, Err(StoreError::Taken(UniqueKey::IdempotencyKey)));
        assert_eq!(database.read(move |tx| idempotency::find(tx, key)), Some(kept.clone()));
        for other in [
            IdempotencyKey { caller: "tok_2", ..key },
            IdempotencyKey { path: "/api/v1/other", ..key },
            IdempotencyKey { key: "K", ..key },
        ] {
            assert_eq!(database.read(move |tx| idempotency::find(tx, other)), None);
            let newer = KeptAnswer { created_at: later(100), ..kept.clone() };
            database.note(move |tx| idempotency::insert(tx, other, &newer)).unwrap();
        }
        assert_eq!(database.note(|tx| idempotency::prune(tx, NOW, 10)), Ok(0), "not before its time");
        assert_eq!(database.note(|tx| idempotency::prune(tx, later(50), 10)), Ok(1));
        assert_eq!(database.read(move |tx| idempotency::find(tx, key)), None);
        assert_eq!(database.note(|tx| idempotency::prune(tx, later(200), 2)), Ok(2), "up to the limit");
    });
}

#[test]
fn a_sign_in_is_taken_once_and_only_through_its_connection() {
    on_each(|database| {
        let [mine, other] = [fresh!(ConnectionId), fresh!(ConnectionId)];
        let left = SignIn {
            id: fresh!(SignInId),
            connection: mine,
            state_hash: "state".to_owned(),
            browser_hash: "browser".to_owned(),
            nonce: "nonce".to_owned(),
            verifier_sealed: "sealed".to_owned(),
            return_to: "/".to_owned(),
            linking: Some(fresh!(MembershipId)),
            created_at: NOW,
            expires_at: later(600),
            provider_hash: "whose code it is".to_owned(),
        };
        let kept = left.clone();
        database.note(move |tx| sign_in::insert(tx, &kept)).unwrap();
        let twice = SignIn { id: fresh!(SignInId), ..left.clone() };
        let twice = database.note(move |tx| sign_in::insert(tx, &twice));
        assert_eq!(twice, Err(StoreError::Taken(UniqueKey::SignInState)));
        assert_eq!(database.note(move |tx| sign_in::take(tx, other, "state")), Ok(None));
        assert_eq!(database.note(move |tx| sign_in::take(tx, mine, "state")), Ok(Some(left.clone())));
        assert_eq!(database.note(move |tx| sign_in::take(tx, mine, "state")), Ok(None));
        assert!(!format!("{left:?}").contains("nonce"), "what must not be seen is not printed");

        for (number, seconds) in [10, 20, 30].into_iter().enumerate() {
            let expiring = SignIn {
                id: fresh!(SignInId),
                state_hash: format!("state-{number}"),
                linking: None,
                expires_at: later(seconds),
                ..left.clone()
            };
            database.note(move |tx| sign_in::insert(tx, &expiring)).unwrap();
        }
        assert_eq!(database.note(|tx| sign_in::delete_expired(tx, later(20), 1)), Ok(1));
        assert_eq!(database.note(|tx| sign_in::delete_expired(tx, later(20), 10)), Ok(1));
        assert!(database.note(move |tx| sign_in::take(tx, mine, "state-2")).unwrap().is_some());
    });
}

fn trace_of(organization: OrganizationId, kind: &str, outcome: &str, seconds: i64) -> Trace {
    Trace {
        id: TraceId::fresh(later(seconds), &mut Seeded::next()),
        organization,
        kind: kind.to_owned(),
        outcome: outcome.to_owned(),
        subject: "ann@example.com".to_owned(),
        source: (kind == "scim").then(|| "dir_1".to_owned()),
        request: Some(fresh!(RequestId)),
        content: "{}".to_owned(),
        created_at: later(seconds),
    }
}

#[test]
fn traces_are_listed_newest_first_by_kind_and_outcome_and_pruned_by_count_and_by_age() {
    on_each(|database| {
        let [acme, other] = [fresh!(OrganizationId), fresh!(OrganizationId)];
        let mut traces: Vec<Trace> = (0..6)
            .map(|number| trace_of(acme, if number % 2 == 0 { "sign_in" } else { "scim" }, "ok", number))
            .collect();
        traces.push(trace_of(acme, "scim", "token_unknown", 6));
        let theirs = trace_of(other, "scim", "ok", 0);
        let all = [traces.clone(), vec![theirs.clone()]].concat();
        // Twice, as a batch that is sent again.
        for _ in 0..2 {
            let all = all.clone();
            database.note(move |tx| trace::insert(tx, &all)).unwrap();
        }
        traces.reverse();
        let list = |filter: TraceFilter<'static>, after: Option<String>| {
            database.read(move |tx| trace::list(tx, acme, filter, after.as_deref(), 3))
        };
        assert_eq!(list(TraceFilter::default(), None), traces[..3]);
        assert_eq!(list(TraceFilter::default(), Some(traces[2].id.to_string())), traces[3..6]);
        let of_kind = list(TraceFilter { kind: Some("scim"), ..TraceFilter::default() }, None);
        assert!(of_kind.len() == 3 && of_kind.iter().all(|trace| trace.kind == "scim"));
        let refused = TraceFilter { outcome: Some("token_unknown"), ..TraceFilter::default() };
        assert_eq!(list(refused, None), traces[..1]);
        let by_source = TraceFilter { source: Some("dir_1"), ..TraceFilter::default() };
        assert_eq!(list(by_source, None), of_kind);
        let between = TraceFilter { since: Some(later(2)), until: Some(later(4)), ..TraceFilter::default() };
        assert_eq!(list(between, None), traces[3..5]);
        let about = TraceFilter { subject: Some("bob@example.com"), ..TraceFilter::default() };
        assert_eq!(list(about, None), []);
        let newest = traces[0].id;
        assert_eq!(database.read(move |tx| trace::find(tx, acme, newest)), Some(traces[0].clone()));
        assert_eq!(database.read(move |tx| trace::find(tx, other, newest)), None);

        assert_eq!(
            database.note(move |tx| trace::prune_by_count(tx, acme, 5, 1)),
            Ok(1),
            "the oldest of two too many"
        );
        assert_eq!(database.note(move |tx| trace::prune_by_count(tx, acme, 5, 10)), Ok(1));
        assert_eq!(database.note(move |tx| trace::prune_by_count(tx, acme, 5, 10)), Ok(0));
        assert_eq!(database.note(|tx| trace::prune_by_age(tx, later(5), 10)), Ok(4), "of every organization");
        assert_eq!(list(TraceFilter::default(), None), traces[..2]);
        assert_eq!(database.read(move |tx| trace::find(tx, other, theirs.id)), None);
    });
}

#[test]
fn what_nobody_vouches_for_pushes_out_its_like_and_nothing_else() {
    on_each(|database| {
        let acme = fresh!(OrganizationId);
        let stranger = |outcome: &str, seconds| Trace {
            subject: String::new(),
            ..trace_of(acme, "sign_in", outcome, seconds)
        };
        let proven = [trace_of(acme, "sign_in", "state_mismatch", 0), trace_of(acme, "scim", "ok", 1)];
        let forged = stranger("audience_mismatch", 2);
        let junk: Vec<Trace> = (3..43).map(|seconds| stranger("state_mismatch", seconds)).collect();
        let all = [&proven[..], std::slice::from_ref(&forged), &junk[..]].concat();
        database.note(move |tx| trace::insert(tx, &all)).unwrap();
        assert_eq!(database.note(move |tx| trace::prune_by_count(tx, acme, 2, 100)), Ok(0), "counted apart");
        assert_eq!(
            database.note(move |tx| trace::prune_unproven(tx, acme, 5, 30)),
            Ok(30),
            "up to the limit"
        );
        assert_eq!(database.note(move |tx| trace::prune_unproven(tx, acme, 5, 30)), Ok(5));
        assert_eq!(database.note(move |tx| trace::prune_unproven(tx, acme, 5, 30)), Ok(0));
        let mut left = [&proven[..], &[forged], &junk[35..]].concat();
        left.reverse();
        let listed = database.read(move |tx| trace::list(tx, acme, TraceFilter::default(), None, 100));
        assert_eq!(listed, left);
        assert_eq!(
            database.note(move |tx| trace::prune_by_count(tx, acme, 1, 100)),
            Ok(1),
            "the older of two"
        );
    });
}

#[test]
fn the_outbox_keeps_its_order_and_counts_a_delivery_once() {
    on_each(|database| {
        let organization = fresh!(OrganizationId);
        let ids: Vec<OutboxId> = (0..3).map(|s| OutboxId::fresh(later(s), &mut Seeded::next())).collect();
        for id in &ids {
            let (id, kind, body) = (*id, "member.deprovisioned", "{}".to_owned());
            database.put_in(organization, OutboxChange::Put { id, kind, body, at: NOW });
        }
        let waiting = |after: Option<String>| -> Vec<OutboxId> {
            let rows = database.read(move |tx| outbox::list_waiting(tx, after.as_deref(), 10));
            rows.into_iter().map(|row| row.id).collect()
        };
        assert_eq!(waiting(None), ids);
        assert_eq!(waiting(Some(ids[0].to_string())), ids[1..]);
        let (first, second) = (ids[0], ids[1]);
        for at in [later(1), later(2)] {
            database.note(move |tx| outbox::mark_delivered(tx, second, at)).unwrap();
        }
        assert_eq!(waiting(None), [first, ids[2]]);
        let waiting_before = |at| database.read(move |tx| outbox::count_waiting(tx, at));
        assert_eq!((waiting_before(later(1)), waiting_before(NOW)), (2, 0));
    });
}

#[test]
fn what_nobody_was_told_is_dropped_from_the_oldest_on_and_what_is_newer_stays() {
    on_each(|database| {
        let organization = fresh!(OrganizationId);
        let ids: Vec<OutboxId> = (0..5).map(|s| OutboxId::fresh(later(s), &mut Seeded::next())).collect();
        for (id, at) in ids.iter().zip([0, 1, 2, 3, 4].map(later)) {
            let (id, kind, body) = (*id, "member.deprovisioned", "{}".to_owned());
            database.put_in(organization, OutboxChange::Put { id, kind, body, at });
        }
        let waiting = || -> Vec<OutboxId> {
            let rows = database.read(|tx| outbox::list_waiting(tx, None, 10));
            rows.into_iter().map(|row| row.id).collect()
        };
        assert_eq!(database.note(|tx| outbox::sweep(tx, later(3), 2)), Ok(2));
        assert_eq!(waiting(), ids[2..], "so many at most");
        assert_eq!(database.note(|tx| outbox::sweep(tx, later(3), 2)), Ok(1));
        assert_eq!(database.note(|tx| outbox::sweep(tx, later(3), 2)), Ok(0));
        assert_eq!(waiting(), ids[3..], "what is newer");
    });
}

#[test]
fn the_newest_key_that_is_not_retired_signs_and_all_are_published() {
    on_each(|database| {
        let [acme, other] = [fresh!(OrganizationId), fresh!(OrganizationId)];
        let key = |kid: &str, seconds, retired_at| SigningKey {
            kid: kid.to_owned(),
            organization: acme,
            public_key: format!("public-{kid}"),
            private_sealed: format!("sealed-{kid}"),
            created_at: later(seconds),
            retired_at,
        };
        assert_eq!(database.read(move |tx| signing_key::current(tx, acme)), None);
        for made in [key("a", 1, None), key("b", 2, None), key("c", 3, Some(later(4)))] {
            database.note(move |tx| signing_key::insert(tx, &made)).unwrap();
        }
        let again = key("a", 9, None);
        assert_eq!(
            database.note(move |tx| signing_key::insert(tx, &again)),
            Err(StoreError::Taken(UniqueKey::SigningKeyKid))
        );
        assert_eq!(database.read(move |tx| signing_key::current(tx, acme)), Some(key("b", 2, None)));
        assert_eq!(database.read(move |tx| signing_key::current(tx, other)), None);
        let published = database.read(move |tx| signing_key::list_public(tx, acme));
        let kids: Vec<&str> = published.iter().map(|key| key.kid.as_str()).collect();
        assert_eq!(kids, ["c", "b", "a"]);
    });
}

#[test]
fn a_named_value_is_put_once_or_replaced() {
    on_each(|database| {
        let find = || database.read(|tx| instance::find(tx, instance::TIMELINE));
        assert_eq!(find(), None);
        let put = |value: &'static str| {
            database.note(move |tx| instance::put_if_absent(tx, instance::TIMELINE, value)).unwrap()
        };
        assert_eq!(put("first"), "first");
        assert_eq!(put("second"), "first");
        database.note(|tx| instance::put(tx, instance::TIMELINE, "third")).unwrap();
        assert_eq!(find(), Some("third".to_owned()));
        database.note(|tx| instance::remove(tx, instance::TIMELINE)).unwrap();
        assert_eq!(find(), None);
    });
}

/// Whoever follows with a filter goes past what it leaves out, however much that is.
#[test]
fn whoever_follows_the_log_with_a_filter_is_led_past_what_it_leaves_out() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let last = MAX_LOOKED_AT + 5;
        let fill = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
             INSERT INTO audit_events (id, organization, action, actor, target, second_target, content, salt, \
             created_at, number) SELECT 'evt_01a22dfe2fc37000922465dda4' || CAST(100000 + i AS TEXT), '{acme}', \
             CASE WHEN i = {last} THEN 'token.ended' ELSE 'directory_user.updated' END, 'root', '', '', \
             '{{}}', '', 1, i FROM n; \
             INSERT INTO audit_heads (organization, number, link, jws, at) VALUES ('{acme}', {last}, '', '', 1);"
        );
        database.note(move |tx| tx.batch("DELETE FROM audit_heads; DELETE FROM audit_events")).unwrap();
        database.note(move |tx| tx.batch(&fill)).unwrap();
        let filter = AuditFilter { action: "token.ended".to_owned(), ..AuditFilter::default() };
        let page = |after: i64| {
            let filter = filter.clone();
            database.read(move |tx| numbered_page(tx, acme, &filter, after, 10))
        };
        assert_eq!(page(0), (vec![], Some(MAX_LOOKED_AT)), "nothing yet, and more to look at");
        let (found, further) = page(MAX_LOOKED_AT);
        assert_eq!((found.len(), further), (1, None));
    });
}
