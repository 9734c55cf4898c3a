//! The end of the provider's own session, begun by us (OpenID Connect RP-Initiated Logout 1.0 §2).
//!
//! Here as one URL that the browser is sent to. Ours has ended before; what comes back says nothing that is believed.

use url::Url;

use crate::request::State;

/// Longest ID token that is sent along as a hint, in bytes: it travels in a URL, and servers take 8 KiB of one.
pub const MAX_HINT_BYTES: usize = 4 * 1024;

/// A request to end the session that the provider has with this browser.
#[derive(Debug, Clone)]
pub struct EndSession<'a> {
    /// Our id at the provider.
    pub client_id: &'a str,
    /// The ID token of the session: the provider knows by it whose session it is, and asks nothing.
    pub id_token_hint: Option<&'a str>,
    /// Where the browser comes back to; registered there.
    pub post_logout_redirect_uri: &'a str,
    /// Comes back with the browser.
    pub state: &'a State,
}

impl EndSession<'_> {
    /// The URL to send the browser to. A query that the endpoint has stays.
    #[must_use]
    pub fn url(&self, endpoint: &Url) -> Url {
        let mut url = endpoint.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(hint) = self.id_token_hint.filter(|hint| hint.len() <= MAX_HINT_BYTES) {
                query.append_pair("id_token_hint", hint);
            }
            query
                .append_pair("client_id", self.client_id)
                .append_pair("post_logout_redirect_uri", self.post_logout_redirect_uri)
                .append_pair("state", self.state.expose());
        }
        url
    }
}
