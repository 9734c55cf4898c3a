//! Sessions of a browser: how many it holds, and how many sign-ins one source may begin.

use std::net::{IpAddr, Ipv4Addr};

use portcullis_domain::evaluation::Decision;
use portcullis_domain::id::{ConnectionId, RequestId};
use portcullis_service::evaluation::{About, ask};
use portcullis_service::noun::Noun;
use portcullis_service::session::{MAX_IN_BROWSER, Opening, open};
use portcullis_service::sign_in::binding::Bound;
use portcullis_service::sign_in::{Whom, Wish, oidc};
use portcullis_service::token_use::TokenUses;
use portcullis_service::{Limits, ServiceError};
use portcullis_store::membership;
use portcullis_testkit::Bench;

/// As [`portcullis_service::sign_in`] says of one source.
const MAX_BEGUN: usize = 1_200;

#[tokio::test]
async fn a_browser_keeps_what_fits_beside_a_new_session_and_the_rest_has_ended() {
    let bench = Bench::of_the_run();
    let acme = bench.organization("acme");
    let ada = bench.member(acme, "ada@acme.test", "member").membership;
    let (mut presented, mut all): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for number in 1..=MAX_IN_BROWSER + 2 {
        let held = presented.clone();
        let opened = bench.write(move |tx, moment| {
            let member = membership::find(tx, acme, ada)?.unwrap();
            let opening = Opening {
                membership: &member,
                environment: format!("place-{number}").parse()?,
                link: None,
                not_after: None,
                presented: &held,
                limits: Limits::default(),
                request: RequestId::fresh(moment.now, &mut moment.random),
            };
            open(tx, moment, &opening)
        });
        presented = opened.kept;
        presented.push(opened.secret.expose().to_owned());
        all.push(opened.secret.expose().to_owned());
        assert_eq!(presented.len(), number.min(MAX_IN_BROWSER));
    }
    for (number, secret) in all.into_iter().enumerate() {
        let is_kept = presented.contains(&secret);
        let decision = bench.write(move |tx, moment| {
            let environment = format!("place-{}", number + 1).parse()?;
            let about = About::Organization(acme);
            Ok(ask(tx, &TokenUses::default(), &secret, about, &environment, moment.now)?.decision)
        });
        assert_eq!(decision != Decision::TokenEnded, is_kept, "{number} {decision:?}");
    }
}

#[tokio::test]
async fn one_source_begins_so_many_sign_ins_a_minute_and_no_more() {
    let bench = Bench::sqlite();
    let mut moment = bench.portcullis().moment();
    let nowhere = ConnectionId::fresh(moment.now, &mut moment.random);
    let begin = async |last: u8| {
        let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
        let wish = Wish {
            return_to: None,
            login_hint: None,
            account: Whom::Usual,
            linking: None,
            returning: Bound::default(),
            crossing: Bound::default(),
            source,
        };
        oidc::begin(bench.portcullis(), nowhere, wish).await.unwrap_err()
    };
    for number in 0..MAX_BEGUN {
        assert!(matches!(begin(1).await, ServiceError::NotFound(Noun::Connection)), "{number}");
    }
    assert!(matches!(begin(1).await, ServiceError::TooMany { .. }));
    assert!(matches!(begin(2).await, ServiceError::NotFound(Noun::Connection)), "another source");
}
