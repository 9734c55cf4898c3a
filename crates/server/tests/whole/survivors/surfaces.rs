//! Everywhere where the bearer of a token can be let in. Each has code of its own that reads the secret and decides, so that
//! one which forgot to ask would let a leaver in while all the others refuse them.

use portcullis_domain::token::TokenKind;
use reqwest::header::{CONTENT_TYPE, COOKIE};

use crate::harness::{Org, Server};

/// Where somebody asks whether a bearer may act, or a bearer acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Surface {
    /// `POST /access/v1/evaluation`, by a service key.
    Evaluation,
    /// `/authz/forward`, as a proxy asks for who has a bearer token.
    Forward,
    /// The same for who has the session cookie.
    ForwardByCookie,
    /// `POST /oauth2/introspect`, by a service key.
    Introspection,
    /// `GET /api/v1/me`, by the bearer.
    Api,
    /// `GET /console`, in the bearer's browser.
    Console,
}

/// Whose service key asks, and which organization a proxy names.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    asker: String,
    slug: String,
}

impl Gate {
    /// The one before an organization.
    pub fn of(org: &Org) -> Self {
        Self { asker: org.asker.clone(), slug: org.slug.clone() }
    }
}

impl Surface {
    pub const ALL: [Self; 6] = [
        Self::Evaluation,
        Self::Forward,
        Self::ForwardByCookie,
        Self::Introspection,
        Self::Api,
        Self::Console,
    ];

    /// Where a token of that kind lets its bearer in while it is good.
    pub fn of(kind: TokenKind) -> &'static [Self] {
        match kind {
            TokenKind::Session => &Self::ALL,
            TokenKind::MemberKey => &[Self::Evaluation, Self::Forward, Self::Introspection, Self::Api],
            TokenKind::AgentKey => &[Self::Evaluation, Self::Forward, Self::Introspection],
            TokenKind::ServiceKey | TokenKind::ScimToken | TokenKind::Invitation | TokenKind::OwnerLink => {
                &[]
            }
        }
    }

    /// Whether the bearer of that secret is let in here, and what was said.
    pub async fn ask(self, server: &Server, gate: &Gate, secret: &str) -> (bool, String) {
        let at = |path: &str| format!("{}{path}", server.base);
        let forward = format!("/authz/forward?organization={}", gate.slug);
        let cookie = format!("portcullis={secret}");
        let request = match self {
            Self::Evaluation => {
                let code = server.code(&gate.asker, secret).await;
                return (code == "allowed", code);
            }
            Self::Forward => server.http.get(at(&forward)).bearer_auth(secret),
            Self::ForwardByCookie => server.http.get(at(&forward)).header(COOKIE, cookie),
            Self::Introspection => server
                .http
                .post(at("/oauth2/introspect"))
                .bearer_auth(&gate.asker)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(format!("token={secret}")),
            Self::Api => server.http.get(at("/api/v1/me")).bearer_auth(secret),
            Self::Console => server.http.get(at("/console")).header(COOKIE, cookie),
        };
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
        let is_admitted = match (self, status) {
            (Self::Forward | Self::ForwardByCookie | Self::Api, 200) => true,
            (Self::Forward | Self::ForwardByCookie, 401 | 403) | (Self::Api, 401) => false,
            (Self::Introspection, 200) => body.contains("\"active\":true"),
            // Who has no session that is good is led to the page where one signs in.
            (Self::Console, 200) => body.contains(&format!("Sign out of {}", gate.slug)),
            _ => panic!("{self:?} answers {status}: {body}"),
        };
        (is_admitted, status.to_string())
    }
}
