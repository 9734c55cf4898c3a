//! Who comes by the connection of the first organization, given to the real use case.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::cause::Cause;
use portcullis_domain::connection::ClaimRules;
use portcullis_domain::id::{ConnectionId, DirectoryId, OrganizationId, RequestId};
use portcullis_domain::oidc::OidcSettings;
use portcullis_domain::text::Slug;
use portcullis_domain::tombstone::Identifier;
use portcullis_service::caller::Caller;
use portcullis_service::claims::{Address, Arrival, DEFAULT_GROUPS_CLAIM, GroupsSaid, Said, SubjectStays};
use portcullis_service::connection::{self, Newcomers, Protocol, Wanted};
use portcullis_service::noun::Noun;
use portcullis_service::oidc::logout;
use portcullis_service::recognition::{Wish, admit};
use portcullis_service::sign_in::ProviderSession;
use portcullis_service::{Limits, Moment, ServiceError, Surroundings};
use portcullis_store::Tx;
use portcullis_store::connection::{find_by_id, find_link};
use portcullis_store::directory_user::{DirectoryUserQuery, query};

use super::{Made, World, address};

const ISSUER: &str = "https://idp.acme.test";
/// A session outlives every run: when sessions end by themselves is told by tests of its own.
const FOR_EVER_S: i64 = 1_000_000_000;

fn subject(person: usize) -> String {
    format!("{ISSUER} person-{person}")
}

/// A connection that lets people in just in time, and the directory of its claims.
pub(super) fn connection(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (around, organization): (&Surroundings, OrganizationId),
) -> Result<(ConnectionId, DirectoryId), ServiceError> {
    let wanted = Wanted {
        name: "Login".into(),
        protocol: Protocol::Oidc {
            issuer: ISSUER.into(),
            client_id: "client".into(),
            client_secret: Some("a secret".to_owned().into()),
            wish: Box::default(),
        },
        directory: None,
        newcomers: Newcomers::Admitted,
        default_role: None,
        groups_claim: None,
        claim_rules: ClaimRules::default(),
        environment: Slug::production(),
        domains: vec![],
    };
    let wish = (around, &wanted, None);
    let made = connection::create(tx, moment, organization, &Caller::Root, wish, Cause::system())?.connection;
    Ok((made.id, made.claims_directory))
}

impl World {
    /// What a tombstone lies on of somebody who came by the connection.
    pub(crate) fn claimed(&self, person: usize) -> Vec<Identifier> {
        let subject = subject(person);
        vec![
            Identifier::subject(self.ids.connection.expect("it was made"), &subject),
            Identifier::issuer_subject(&subject),
            Identifier::external_id(self.ids.directories[0][super::super::command::CLAIMS], &subject),
        ]
    }

    pub(super) fn arrive(&self, person: usize, grouped: bool) -> Result<Made, ServiceError> {
        let connection = self.ids.connection.expect("it was made");
        self.try_write(move |tx, moment| {
            let connection = find_by_id(tx, connection)?.ok_or(ServiceError::NotFound(Noun::Connection))?;
            let groups: BTreeSet<String> = grouped.then(|| "g-0".to_owned()).into_iter().collect();
            let (written, key) = (address(person), address(person));
            let said = Said {
                subject: subject(person),
                former_subject: None,
                stays: SubjectStays::ForGood,
                external_ids: vec![],
                names: vec![],
                address: Some(Address { written, key, vouched: true }),
                hosted_domain: None,
                home: None,
                name: format!("Person {person}"),
                groups: GroupsSaid::These(groups),
                groups_claim: DEFAULT_GROUPS_CLAIM.to_owned(),
                texts: BTreeMap::new(),
            };
            let arrival = Arrival { connection, said };
            let wish = Wish {
                arrival: &arrival,
                session: &ProviderSession::Oidc(logout::ProviderSession::named(
                    (&arrival.said.subject, None),
                    &OidcSettings::default(),
                )?),
                linking: None,
                begun_at: moment.now,
                presented: &[],
                limits: Limits {
                    session_idle_s: FOR_EVER_S,
                    session_absolute_s: FOR_EVER_S,
                    ..Limits::default()
                },
                request: RequestId::fresh(moment.now, &mut moment.random),
            };
            let opened = admit(tx, moment, &wish)?.ok();
            let (at, claims) = (arrival.connection.id, arrival.connection.claims_directory);
            let user = query(tx, claims, &DirectoryUserQuery::ExternalId(subject(person)), 1)?.pop();
            let user = user.ok_or(ServiceError::NotFound(Noun::User))?;
            let link = find_link(tx, at, &arrival.said.subject)?.ok_or(ServiceError::NotFound(Noun::User))?;
            let token = opened.map(|opened| (opened.token, opened.secret.expose().to_owned()));
            Ok(Made::Arrived(user.id, link.membership, token))
        })
    }
}
