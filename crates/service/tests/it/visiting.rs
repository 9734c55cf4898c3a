//! What a browser brings: where it wants to go afterwards, and the value that binds it. What a network is, and that the
//! root token shows nothing that is not noted.

use portcullis_domain::Timestamp;
use portcullis_service::caller::Caller;
use portcullis_service::proof::{self, AsOf, Proof, Who};
use portcullis_service::sign_in::{fresh_browser, is_browser, return_path};
use portcullis_service::throttle::network;
use portcullis_service::{Portcullis, ServiceError};
use portcullis_store::audit::{self, AuditFilter};
use portcullis_testkit::{Bench, ROOT_TOKEN};

#[test]
fn a_browser_is_led_to_a_path_of_ours_and_to_the_beginning_where_none_is_wished_for() {
    for (text, expected) in [
        (None, "/"),
        (Some(""), "/"),
        (Some("/"), "/"),
        (Some("/console"), "/console"),
        (Some("/a?b=c#d"), "/a?b=c#d"),
    ] {
        assert_eq!(return_path(text).unwrap(), expected, "{text:?}");
    }
    for text in ["//host", "/\\host", "/a\\b", "/a b", "/a\tb", "/a\u{e9}", "a", "/.", "https://host/"] {
        assert!(return_path(Some(text)).is_err(), "{text:?}");
    }
}

#[test]
fn a_browser_is_bound_by_sixty_four_hexadecimal_digits_and_nothing_else() {
    let fresh = fresh_browser(&mut Bench::sqlite().portcullis().moment().random);
    assert!(is_browser(&fresh), "{fresh}");
    for text in [&fresh[1..], &format!("{fresh}0"), &fresh.to_uppercase(), &"g".repeat(64), ""] {
        assert!(!is_browser(text), "{text:?}");
    }
}

#[test]
fn a_subscriber_of_ipv6_has_one_network_and_one_of_ipv4_one_address() {
    let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
    assert!(same("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"));
    assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
    assert!(!same("203.0.113.1", "203.0.113.2"));
    assert!(same("203.0.113.1", "::ffff:203.0.113.1"), "however it is written");
    assert!(!same("::ffff:203.0.113.1", "::ffff:203.0.113.2"));
}

#[tokio::test]
async fn a_read_by_the_root_token_that_could_not_be_noted_is_refused_and_noted_when_it_is_tried_again() {
    let bench = Bench::sqlite();
    let acme = bench.organization("acme");
    let cause = Caller::Root.cause("req_00000000000000000000000000000001".parse().unwrap());
    let read = |portcullis: &Portcullis| {
        let portcullis = portcullis.clone();
        async move { portcullis.note_root_read(&[acme], "/path".to_owned(), cause).await }
    };
    let noted = || {
        bench.write(move |tx, _| {
            let filter = AuditFilter { action: "root_token.used".to_owned(), ..AuditFilter::default() };
            Ok(audit::list_page(tx, acme, &filter, "", 10)?.len())
        })
    };
    // A root token that was made anew while the request was on its way: its write is refused.
    let as_of = bench.portcullis().read(|tx, _| AsOf::read(tx, Timestamp::EPOCH)).await.unwrap();
    let former = Proof { presented: "a former one".to_owned().into(), who: Who::Caller(Caller::Root), as_of };
    let refused = proof::beside(async {
        proof::keep(former);
        read(bench.portcullis()).await
    });
    assert_eq!(refused.await, Err(ServiceError::Unauthenticated));
    assert_eq!(noted(), 0);
    let now = Proof { presented: ROOT_TOKEN.to_owned().into(), who: Who::Caller(Caller::Root), as_of };
    proof::beside(async {
        proof::keep(now);
        let (one, other) = tokio::join!(read(bench.portcullis()), read(bench.portcullis()));
        assert_eq!((one, other), (Ok(()), Ok(())));
    })
    .await;
    assert_eq!(noted(), 1, "two at once are one minute's");
    for (back_s, after, why) in [
        (-3_600, 2, "the minute of a clock that has been set back is over"),
        (59, 2, "the minute of that one"),
        (1, 3, "it is over"),
    ] {
        bench.clock.pass_s(back_s);
        let as_of = bench.portcullis().read(|tx, _| AsOf::read(tx, Timestamp::EPOCH)).await.unwrap();
        let now = Proof { presented: ROOT_TOKEN.to_owned().into(), who: Who::Caller(Caller::Root), as_of };
        proof::beside(async {
            proof::keep(now);
            assert_eq!(read(bench.portcullis()).await, Ok(()));
        })
        .await;
        assert_eq!(noted(), after, "{why}");
    }
}
