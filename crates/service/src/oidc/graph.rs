//! Groups that Entra ID left out of a token, asked for whole at Microsoft Graph in the name of our own client.
//!
//! Two requests more for a sign-in, of people with very many groups only. Nothing is kept: neither the client's access
//! token, which may read a whole tenant's groups, nor an answer, which would outlive what Entra takes away.

use std::collections::BTreeSet;

use portcullis_domain::connection::{Connection, Overage};
use portcullis_domain::mapping::MappingSource;
use portcullis_oidc::claims::IdentityClaims;
use portcullis_oidc::graph::{MAX_GRAPH_BYTES, QUESTION, base_of, parse_groups, parse_token, question_url};
use portcullis_oidc::issuer::is_guid;
use portcullis_oidc::token::{MAX_TOKEN_RESPONSE_BYTES, TokenRequest};
use portcullis_store::directory_group::DirectoryGroupQuery;
use portcullis_store::{Tx, directory_group, mapping};
use secrecy::ExposeSecret;

use super::{Setup, broken, preset};
use crate::claims::{Arrival, DEFAULT_GROUPS_CLAIM, GroupsSaid, MAX_GROUPS};
use crate::fetch::FetchRequest;
use crate::recognition::is_refused_guest;
use crate::relying_party::{TIMEOUT_MS, post_form, unreachable};
use crate::{Portcullis, ServiceError};

/// The most mappings of a connection's claims that are looked at for names; companies have some dozens.
const MAX_MAPPINGS: i64 = 1_000;

impl Portcullis {
    /// The same, asking that address for what Microsoft Graph says: for tests, with a stand-in.
    #[must_use]
    pub fn asking_graph_at(mut self, base: &str) -> Self {
        self.parts().graph = Some(base.into());
        self
    }
}

/// Completes the groups of somebody of whom no whole list came, where the connection says that Graph is asked.
///
/// # Errors
/// [`ServiceError::SignIn`] if Graph cannot be asked or answers with anything but a whole list.
pub(crate) async fn complete(
    portcullis: &Portcullis,
    setup: &Setup,
    (arrival, claims): (&mut Arrival, &IdentityClaims),
) -> Result<(), ServiceError> {
    let connection = &setup.connection;
    let of_groups = connection.groups_claim.as_deref().is_none_or(|claim| claim == DEFAULT_GROUPS_CLAIM);
    let asks = connection.claim_rules.overage == Overage::AskGraph && of_groups;
    // Whoever is refused whatever their groups are has nobody asked.
    if arrival.said.groups != GroupsSaid::Overage || !asks || is_refused_guest(connection, arrival) {
        return Ok(());
    }
    let of = connection.clone();
    if portcullis.read(move |tx, _| goes_by_names(tx, &of)).await? {
        return Ok(());
    }
    let key = claims.clone().read_as(preset::in_force(connection));
    let key = key.subject_key(preset::in_force(connection).subject_source()).map_err(broken)?;
    let object = key.rsplit(':').next().unwrap_or_default();
    let base = portcullis.0.graph.as_deref().unwrap_or_else(|| base_of(&connection.issuer));
    let url = question_url(base, object).map_err(broken)?;
    let (around, mut moment) = (portcullis.around(), portcullis.moment());
    let fetch = &*around.fetch;
    let metadata = portcullis.door().providers.metadata(portcullis, connection).await?;
    // Proven anew: an assertion is good for one request.
    let proof = setup.proof(&around.sealing, &metadata, &mut moment)?;
    let scope = format!("{}/.default", base_of(&connection.issuer));
    let request = TokenRequest::for_client(&metadata, proof.client(&connection.client_id), &scope);
    let form = (request.url, request.authorization, request.body);
    let answer = post_form(fetch, form, MAX_TOKEN_RESPONSE_BYTES).await?;
    let token = parse_token(answer.status, &answer.body).map_err(broken)?;
    let ask = FetchRequest::post(url, QUESTION.into(), MAX_GRAPH_BYTES, TIMEOUT_MS)
        .with_header("content-type", "application/json")
        .with_header("accept", "application/json")
        .with_header("authorization", &format!("Bearer {}", token.expose_secret()));
    let answer = fetch.fetch(ask).await.map_err(|e| unreachable(&e))?;
    let groups: BTreeSet<String> =
        parse_groups(answer.status, &answer.body).map_err(broken)?.into_iter().collect();
    if groups.len() <= MAX_GROUPS {
        arrival.said.groups = GroupsSaid::These(groups);
    }
    Ok(())
}

/// Whether this application's tokens carry names of groups in the place of their ids, and mappings go by them. Graph says ids,
/// and a list of those would take from somebody all that they have by names: better no list.
fn goes_by_names(tx: &mut Tx<'_>, of: &Connection) -> Result<bool, ServiceError> {
    let claims = of.claims_directory;
    for mapping in mapping::list(tx, of.organization, Some(claims), None, MAX_MAPPINGS)? {
        let named = match mapping.source {
            MappingSource::GroupExternalId(id) if !is_guid(&id) => DirectoryGroupQuery::ExternalId(id),
            MappingSource::GroupDisplayName(name) if !is_guid(&name) => {
                DirectoryGroupQuery::DisplayName(name)
            }
            _ => continue,
        };
        // A group is known here once a token has brought it.
        if !directory_group::query(tx, claims, &named, 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
