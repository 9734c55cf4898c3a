//! Token introspection (RFC 7662): the two answers there are.
//!
//! Here as an enum, because an inactive token's answer holds nothing else (§2.2): neither why nor whose it was.

use serde_json::{Map, Value, json};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Introspection {
    /// Unknown, ended, expired, or not for the one who asks: all the same to them.
    Inactive,
    /// In force now.
    Active(Box<ActiveToken>),
}

/// What is said of a token in force (RFC 7662 §2.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveToken {
    /// Scopes, parted by spaces.
    pub scope: Option<String>,
    /// The client it was issued to.
    pub client_id: Option<String>,
    /// A name of its holder for people.
    pub username: Option<String>,
    /// `Bearer`, mostly.
    pub token_type: Option<String>,
    /// End, in seconds since 1970.
    pub exp: Option<i64>,
    /// Issue, in seconds since 1970.
    pub iat: Option<i64>,
    /// Its holder, for machines.
    pub sub: Option<String>,
    /// Whom it is for.
    pub aud: Option<String>,
    /// Who issued it.
    pub iss: Option<String>,
    /// Its id.
    pub jti: Option<String>,
    /// Members of our own, beside the registered ones and never in their stead.
    pub extra: Map<String, Value>,
}

impl Introspection {
    /// The body.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Inactive => json!({"active": false}),
            Self::Active(token) => token.to_value(),
        }
    }

    /// Reads a body. Whatever is not clearly active is inactive.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let Ok(mut members) = serde_json::from_slice::<Map<String, Value>>(body) else {
            return Self::Inactive;
        };
        if members.remove("active") != Some(Value::Bool(true)) {
            return Self::Inactive;
        }
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let mut token = ActiveToken {
            scope: text("scope"),
            client_id: text("client_id"),
            username: text("username"),
            token_type: text("token_type"),
            sub: text("sub"),
            aud: text("aud"),
            iss: text("iss"),
            jti: text("jti"),
            ..ActiveToken::default()
        };
        token.exp = members.remove("exp").and_then(|value| value.as_i64());
        token.iat = members.remove("iat").and_then(|value| value.as_i64());
        token.extra = members;
        Self::Active(Box::new(token))
    }
}

impl ActiveToken {
    fn to_value(&self) -> Value {
        let mut members = self.extra.clone();
        members.insert("active".to_owned(), Value::Bool(true));
        let texts = [
            ("scope", &self.scope),
            ("client_id", &self.client_id),
            ("username", &self.username),
            ("token_type", &self.token_type),
            ("sub", &self.sub),
            ("aud", &self.aud),
            ("iss", &self.iss),
            ("jti", &self.jti),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                members.insert(name.to_owned(), json!(value));
            }
        }
        for (name, value) in [("exp", self.exp), ("iat", self.iat)] {
            if let Some(value) = value {
                members.insert(name.to_owned(), json!(value));
            }
        }
        Value::Object(members)
    }
}
