//! What follows sign-ins by SAML around: sessions of a name, answers that are waited for, arrivals.

use portcullis_domain::change::ConnectionChange;
use portcullis_domain::id::{ConnectionId, MembershipId, TokenId};
use portcullis_domain::saml::{
    CertificateState, LeftOut, SamlBinding, SamlCertificate, SamlEndpoint, SamlProvider, SamlSettings,
    SamlSource,
};
use portcullis_store::arrival::Waiting;
use portcullis_store::saml_refresh::SamlRefresh;
use portcullis_store::saml_session::{MAX_NAMED, SamlSession};
use portcullis_store::{arrival, farewell, saml, saml_refresh, saml_session};

use crate::database::{NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later};

#[test]
fn sessions_are_found_by_the_name_that_their_connections_provider_has_for_the_person() {
    on_each(|database| {
        let [mine, other] = [fresh!(ConnectionId), fresh!(ConnectionId)];
        let session = |connection, name: &str, until| SamlSession {
            token: fresh!(TokenId),
            connection,
            name_hash: name.to_owned(),
            name_id: "{}".to_owned(),
            session_index: Some("_1".to_owned()),
            expires_at: until,
            signed_by: String::new(),
        };
        let (ada, there) = (session(mine, "ada", later(600)), session(other, "ada", later(600)));
        for kept in [ada.clone(), there, session(mine, "bob", later(10))] {
            database.note(move |tx| saml_session::insert(tx, &kept, NOW)).unwrap();
        }
        assert_eq!(database.read(move |tx| saml_session::of_name(tx, mine, "ada", None)), vec![ada.clone()]);
        assert_eq!(database.read(move |tx| saml_session::find(tx, ada.token)), Some(ada.clone()));
        let late = session(mine, "eve", later(600));
        database.note(move |tx| saml_session::insert(tx, &late, later(10))).unwrap();
        assert_eq!(
            database.read(move |tx| saml_session::of_name(tx, mine, "bob", None)),
            vec![],
            "swept away"
        );
        database.note(move |tx| saml_session::delete(tx, ada.token)).unwrap();
        assert_eq!(database.read(move |tx| saml_session::find(tx, ada.token)), None);
    });
}

#[test]
fn however_many_sessions_a_person_has_each_is_on_one_page() {
    on_each(|database| {
        let mine = fresh!(ConnectionId);
        let session = || SamlSession {
            token: fresh!(TokenId),
            connection: mine,
            name_hash: "ada".to_owned(),
            name_id: "{}".to_owned(),
            session_index: None,
            expires_at: later(600),
            signed_by: String::new(),
        };
        let mut all: Vec<_> = (0..MAX_NAMED + 250).map(|_| session()).collect();
        let kept = all.clone();
        database.note(move |tx| kept.iter().try_for_each(|one| saml_session::insert(tx, one, NOW))).unwrap();
        all.sort_by_key(|s| s.token.to_string());
        let after = |token| database.read(move |tx| saml_session::of_name(tx, mine, "ada", token));
        let first = after(None);
        let second = after(first.last().map(|s| s.token));
        assert_eq!((first.len(), second.len()), (1_000, 250));
        assert_eq!(after(second.last().map(|s| s.token)), vec![]);
        assert_eq!([first, second].concat(), all);
    });
}

#[test]
fn an_answer_to_a_request_of_ours_is_taken_once_and_in_time() {
    on_each(|database| {
        let [mine, other] = [fresh!(ConnectionId), fresh!(ConnectionId)];
        for state in ["first", "second"] {
            let asked = (state, "_request");
            database.note(move |tx| farewell::ask(tx, mine, asked, (NOW, later(60)))).unwrap();
        }
        let take = |connection, state, at| {
            database.note(move |tx| farewell::take(tx, connection, state, at)).unwrap()
        };
        assert_eq!(take(other, "first", NOW), None);
        assert_eq!(take(mine, "first", later(59)), Some("_request".to_owned()));
        assert_eq!(take(mine, "first", later(59)), None);
        assert_eq!(take(mine, "second", later(60)), None, "too late");
    });
}

#[test]
fn an_arrival_is_taken_once_and_only_through_its_connection() {
    on_each(|database| {
        let [mine, other] = [fresh!(ConnectionId), fresh!(ConnectionId)];
        let waiting = Waiting {
            ticket_hash: "ticket".to_owned(),
            connection: mine,
            browser_hash: "browser".to_owned(),
            content: "{}".to_owned(),
            return_to: "/console".to_owned(),
            linking: Some(fresh!(MembershipId)),
            expires_at: later(60),
        };
        let kept = waiting.clone();
        database.note(move |tx| arrival::insert(tx, &kept, NOW)).unwrap();
        assert_eq!(database.note(move |tx| arrival::take(tx, other, "ticket")), Ok(None));
        assert_eq!(database.note(move |tx| arrival::take(tx, mine, "ticket")), Ok(Some(waiting.clone())));
        assert_eq!(database.note(move |tx| arrival::take(tx, mine, "ticket")), Ok(None));
        let newer = Waiting { ticket_hash: "newer".to_owned(), ..waiting.clone() };
        database.note(move |tx| arrival::insert(tx, &waiting, NOW)).unwrap();
        database.note(move |tx| arrival::insert(tx, &newer, later(60))).unwrap();
        assert_eq!(database.note(move |tx| arrival::take(tx, mine, "ticket")), Ok(None), "swept away");
    });
}

#[test]
fn metadata_is_read_by_one_at_a_time_and_not_twice_within_the_wait() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let connection = fixture::connection(database, acme, &[]).id;
        database.put(ConnectionChange::SetSaml(Box::new(source(acme, connection))));
        database.note(move |tx| saml_refresh::begin(tx, connection, NOW, later(100))).unwrap();
        assert_eq!(database.read(|tx| saml_refresh::due(tx, later(99), 10)), vec![]);
        assert_eq!(database.read(|tx| saml_refresh::due(tx, later(100), 10)), vec![(connection, acme)]);
        let claim = |at: i64| {
            let when = (later(at + 50), later(at - 60));
            database.note(move |tx| saml_refresh::claim(tx, connection, later(at), when)).unwrap()
        };
        assert!(claim(100));
        assert!(!claim(159), "asked a moment ago");
        assert!(claim(160));
        let failed = SamlRefresh {
            connection,
            due_at: later(300),
            asked_at: Some(later(160)),
            succeeded_at: Some(NOW),
            failures: 1,
            error_code: Some("unreachable".to_owned()),
            error_message: Some("nobody there".to_owned()),
        };
        let noted = failed.clone();
        database.note(move |tx| saml_refresh::finish(tx, &noted)).unwrap();
        assert_eq!(database.read(move |tx| saml_refresh::find(tx, connection)), Some(failed));
        database.note(move |tx| saml_refresh::forget(tx, connection)).unwrap();
        assert_eq!(database.read(move |tx| saml_refresh::find(tx, connection)), None);
    });
}

#[test]
fn what_a_connection_believes_is_written_in_its_own_organization_only() {
    on_each(|database| {
        let [acme, other] = ["acme", "other"].map(|name| fixture::organization(database, name).id);
        let connection = fixture::connection(database, acme, &[]).id;
        let mine = source(acme, connection);
        let certificate = SamlCertificate {
            connection,
            organization: acme,
            fingerprint: "f".to_owned(),
            der: "d".to_owned(),
            state: CertificateState::Retired,
            not_before: NOW,
            not_after: later(9),
            seen_at: NOW,
            decided_at: NOW,
        };
        let stolen =
            SamlCertificate { organization: other, state: CertificateState::Trusted, ..certificate.clone() };
        database.put(ConnectionChange::SetSaml(Box::new(mine.clone())));
        database.put(ConnectionChange::PutCertificate(Box::new(certificate.clone())));
        database.put(ConnectionChange::SetSaml(Box::new(SamlSource {
            metadata_url: None,
            ..source(other, connection)
        })));
        database.put(ConnectionChange::PutCertificate(Box::new(stolen)));
        assert_eq!(database.read(move |tx| saml::source(tx, acme, connection)), Some(mine));
        assert_eq!(database.read(move |tx| saml::certificates(tx, acme, connection)), vec![certificate]);
        assert_eq!(database.read(move |tx| saml::source(tx, other, connection)), None);
    });
}

fn source(organization: portcullis_domain::id::OrganizationId, connection: ConnectionId) -> SamlSource {
    let location = "https://idp.example.com/sso".to_owned();
    SamlSource {
        connection,
        organization,
        metadata_url: Some("https://idp.example.com/metadata".to_owned()),
        provider: SamlProvider {
            sign_in: SamlEndpoint { binding: SamlBinding::Redirect, location, response_location: None },
            logout: None,
            wants_signed_requests: false,
            left_out: vec![LeftOut::Endpoint],
            good_until: None,
        },
        settings: SamlSettings::default(),
        updated_at: NOW,
    }
}
