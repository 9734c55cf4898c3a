//! What has run out for good stays as it is where everything beside it ends: it is most of what there is, and would have the
//! one who writes busy for minutes.

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, RUN_OUT_FOR_GOOD_S, TokenChange};
use portcullis_domain::id::{ConnectionId, OrganizationId, TokenId};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::secret::TokenSecret;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, ShownTo, Token, TokenKind};
use portcullis_service::directory::Governed;
use portcullis_service::organization::{self, People};
use portcullis_service::restoring;
use portcullis_store::audit::{AuditFilter, list_page};
use portcullis_store::token;
use portcullis_testkit::{Bench, Persona};

use crate::deleting::{Source, a_connection, delete, run};

const HOUR: i64 = 3_600;

/// Sessions of somebody that begin now and run out after so many seconds.
fn sessions(bench: &Bench, of: &Persona, by: Option<ConnectionId>, lives: &[i64]) -> Vec<TokenId> {
    let (organization, holder, lives) = (of.organization, Holder::Membership(of.membership), lives.to_vec());
    bench.write(move |tx, moment| {
        let mut all = Vec::new();
        for life_s in &lives {
            let token = Token {
                environment: Some(Slug::production()),
                connection: by,
                subject: by.map(|_| "somebody".to_owned()),
                expires_at: Some(moment.now.plus_s(*life_s)),
                ..Token::new(
                    TokenId::fresh(moment.now, &mut moment.random),
                    organization,
                    (TokenKind::Session, holder),
                    (ShownTo::Bearer, Rank::ROOT),
                    TokenSecret::fresh(TokenKind::Session, &mut moment.random).hash(),
                    moment.now,
                )
            };
            all.push(token);
        }
        let ids = all.iter().map(|token| token.id).collect();
        let issued: Vec<Change> =
            all.into_iter().map(|token| TokenChange::Issue(Box::new(token)).into()).collect();
        let event = EventDraft::new(Action::TokenIssued, organization);
        moment.apply(tx, &Plan::because(organization, Cause::system()).then_all(event, issued))?;
        Ok(ids)
    })
}

fn have_ended(bench: &Bench, organization: OrganizationId, ids: &[TokenId]) -> Vec<bool> {
    let ids = ids.to_vec();
    bench.write(move |tx, _| {
        let found = ids.iter().map(|id| Ok(token::find(tx, organization, *id)?.unwrap().ended_at.is_some()));
        found.collect()
    })
}

fn events(bench: &Bench, organization: OrganizationId, action: Action) -> usize {
    let filter = AuditFilter { action: action.as_str().to_owned(), ..AuditFilter::default() };
    bench.write(move |tx, _| Ok(list_page(tx, organization, &filter, "", 10_000)?.len()))
}

/// One that has run out for longer than a clock is set back, one that has not for so long, and one that lives.
const LIVES: [i64; 3] = [HOUR, 4 * HOUR, RUN_OUT_FOR_GOOD_S + 4 * HOUR];

fn a_day_and_two_hours_later(bench: &Bench) {
    bench.clock.pass_s(RUN_OUT_FOR_GOOD_S + 2 * HOUR);
}

fn on_each(test: impl Fn(&Bench)) {
    test(&Bench::sqlite());
    if let Some(bench) = Bench::postgres() {
        test(&bench);
    }
}

fn connection(bench: &Bench, organization: OrganizationId) -> (Source, Option<ConnectionId>) {
    let source = a_connection(bench, organization);
    let Source::Connection(id, _) = source else { panic!("it is one") };
    (source, Some(id))
}

#[test]
fn a_connection_that_is_deleted_ends_what_could_act_or_could_by_a_clock_that_is_set_back() {
    on_each(|bench| {
        let ada = bench.member(bench.organization("acme"), "ada@acme.test", "member");
        let (source, by) = connection(bench, ada.organization);
        let (theirs, others) = (sessions(bench, &ada, by, &LIVES), sessions(bench, &ada, None, &LIVES));
        a_day_and_two_hours_later(bench);
        delete(bench.portcullis(), ada.organization, source, Governed::Unsaid).unwrap();
        assert_eq!(have_ended(bench, ada.organization, &theirs), [false, true, true]);
        assert_eq!(have_ended(bench, ada.organization, &others), [false; 3]);
        assert_eq!(events(bench, ada.organization, Action::TokenEnded), 2);
    });
}

#[test]
fn an_organization_that_is_deleted_says_nothing_of_what_ran_out_for_good() {
    on_each(|bench| {
        let ada = bench.member(bench.organization("acme"), "ada@acme.test", "member");
        let theirs = sessions(bench, &ada, None, &LIVES);
        a_day_and_two_hours_later(bench);
        let cause = Cause::system();
        run(organization::delete(bench.portcullis(), ada.organization, People::OffBoard, cause)).unwrap();
        assert_eq!(have_ended(bench, ada.organization, &theirs), [false, true, true]);
    });
}

/// Ends what a backup brings whose log ends now, on a machine whose clock is so far ahead.
fn restore(bench: &Bench, ada: &Persona, ahead_s: i64) {
    run(bench.portcullis().sequence()).unwrap();
    let (of, portcullis) = (ada.organization, bench.portcullis().clone());
    let by_log = bench.write(move |tx, _| Ok(restoring::head(tx, of)?.unwrap().at));
    assert!(by_log > Timestamp::EPOCH, "it has a log");
    bench.clock.pass_s(ahead_s);
    bench.write(move |tx, _| {
        let organization = organization::named(tx, "acme")?;
        restoring::revive_nobody(tx, &mut portcullis.moment(), &organization, None)
    });
}

#[test]
fn a_restore_ends_what_had_not_run_out_for_good_by_the_log_of_the_backup_whatever_the_clock_says() {
    for ahead_s in [0, HOUR, 400 * RUN_OUT_FOR_GOOD_S] {
        on_each(|bench| {
            let ada = bench.member(bench.organization("acme"), "ada@acme.test", "member");
            let theirs = sessions(bench, &ada, None, &LIVES);
            a_day_and_two_hours_later(bench);
            let since = sessions(bench, &ada, None, &[HOUR]);
            restore(bench, &ada, ahead_s);
            assert_eq!(have_ended(bench, ada.organization, &theirs), [false, true, true], "{ahead_s}");
            assert_eq!(have_ended(bench, ada.organization, &since), [true], "{ahead_s}");
        });
    }
}
