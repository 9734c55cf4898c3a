//! What an operator does once: an organization, where its people come from, and what their groups give.
//!
//! Here as plain calls of the administration API, in the order of the guide.

use anyhow::Result;
use portcullis_emulator::RegisteredClient;
use serde_json::json;

use super::api::text;
use super::{DOMAIN, ORGANIZATION, Story};
use crate::table::{Cell, Table, Tone};

/// The name of the application at the identity provider.
const CLIENT_ID: &str = "portcullis";
/// Its secret; the provider lives as long as the demo.
const CLIENT_SECRET: &str = "a-secret-of-the-demo";

/// What was set up.
pub(super) struct Set {
    /// Where the directory's calls go.
    pub(super) scim_url: String,
    /// The directory's token.
    pub(super) scim_token: String,
    /// Where a browser begins to sign in.
    pub(super) login_url: String,
    /// The key of the gateway that asks.
    pub(super) asker: String,
}

impl Story<'_> {
    /// Makes the organization with all that belongs to it.
    pub(super) async fn set_up(&mut self) -> Result<Set> {
        self.teller.begin("An organization, its domain, its directory, and what each group gives");
        let api = &mut self.api;
        api.create("/organizations", &json!({ "slug": ORGANIZATION, "name": "Acme" })).await?;
        api.create("/domains", &json!({ "domain": DOMAIN, "vouched": true })).await?;
        for (slug, name) in [("engineering", "Engineering"), ("platform", "Platform")] {
            api.create("/teams", &json!({ "slug": slug, "name": name })).await?;
        }
        api.create("/environments", &json!({ "slug": "staging", "name": "Staging" })).await?;
        let wanted = json!({ "kind": "scim", "name": "Acme's directory", "settle_s": 0 });
        let directory = api.create("/directories", &wanted).await?;
        let id = text(&directory, "id")?;
        let mappings = [
            ("Everyone", "role member, environment production"),
            ("Engineering", "team engineering"),
            ("Operations", "environment staging"),
            ("Platform Admins", "role admin, team platform (admin)"),
        ];
        let mut table = Table::new(&["group of the directory", "gives"]);
        for (group, gives) in mappings {
            let mut mapping = json!({ "directory": id, "group": { "display_name": group } });
            let what = match group {
                "Everyone" => json!({ "role": "member", "environment": "production" }),
                "Engineering" => json!({ "team": "engineering", "team_role": "member" }),
                "Operations" => json!({ "environment": "staging" }),
                _ => json!({ "role": "admin", "team": "platform", "team_role": "admin" }),
            };
            if let (Some(mapping), Some(what)) = (mapping.as_object_mut(), what.as_object()) {
                mapping.extend(what.clone());
            }
            api.create("/mappings", &mapping).await?;
            table.row([Cell::new(Tone::Plain, group), Cell::new(Tone::Good, gives)]);
        }
        let login_url = self.connect(&id).await?;
        let key = json!({ "name": "gateway", "scopes": ["evaluate"] });
        let asker = text(&self.api.create("/service-keys", &key).await?, "token")?;
        self.teller.table(table);
        self.teller.aside(format!(
            "OpenID Connect to {}, whose discovery document was fetched and checked",
            self.idp.issuer()
        ));
        self.teller.fact("issuer", self.idp.issuer());
        self.teller.fact("mappings", mappings.len());
        self.teller.finish()?;
        Ok(Set {
            scim_url: text(&directory, "base_url")?,
            scim_token: text(&directory, "token")?,
            login_url,
            asker,
        })
    }

    /// Makes Portcullis and the identity provider known to each other.
    async fn connect(&mut self, directory: &str) -> Result<String> {
        let wanted = json!({
            "kind": "oidc", "name": "Acme's sign-in", "issuer": self.idp.issuer(), "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET, "directory": directory, "domains": [DOMAIN],
        });
        let connection = self.api.create("/connections", &wanted).await?;
        self.idp.register_client(RegisteredClient {
            id: CLIENT_ID.to_owned(),
            secret: CLIENT_SECRET.to_owned().into(),
            jwks_uri: None,
            redirect_uris: vec![text(&connection, "redirect_uri")?],
        });
        text(&connection, "login_url")
    }
}
