//! People come: provisioned by their directory, signed in by their provider, at work with keys and agents.
//!
//! Here is everything that must end later.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use portcullis_emulator::{Answer, Browser, Dialect, Person, ScimClient};
use serde_json::{Value, json};

use super::api::{find_text, text};
use super::setting_up::Set;
use super::{ORGANIZATION, Story};
use crate::table::{Cell, Table, Tone, duration};

/// The most redirects of one sign-in: there and back is four.
const MAX_REDIRECTS: usize = 12;
/// The cookie of sessions on plain HTTP at loopback.
const COOKIE: &str = "portcullis";

/// Somebody who signed in.
pub(super) struct Arrived {
    /// Who, as the provider knows them.
    pub(super) person: Person,
    /// The id of the SCIM user.
    pub(super) scim_id: String,
    /// The id of the membership.
    pub(super) membership: String,
    /// Their browser, still signed in at the provider.
    pub(super) browser: Browser,
    /// The session's secret.
    pub(super) session: String,
}

/// Somebody's secret, and what is known of it.
pub(super) struct Bearer {
    /// What it is, for people.
    pub(super) what: String,
    /// The id of the token.
    pub(super) id: String,
    /// The agent that it acts as, if it does.
    pub(super) agent: Option<String>,
    /// The secret.
    pub(super) secret: String,
    /// Who saw it.
    pub(super) shown_to: String,
}

/// The way of a browser through a sign-in.
pub(super) struct Way {
    /// The status of the last page.
    pub(super) status: u16,
    /// The request in which the provider's answer was judged.
    pub(super) request_id: String,
    /// How many pages redirected.
    pub(super) redirects: usize,
}

impl Story<'_> {
    /// A client of the directory, in that spelling.
    pub(super) fn directory(&self, set: &Set, dialect: Dialect) -> Result<ScimClient> {
        let token = set.scim_token.clone().into();
        Ok(ScimClient::new(&set.scim_url, token, dialect, self.around.clone())?)
    }

    /// The provider provisions everybody and every group; the ids of the SCIM users, in the company's order.
    pub(super) async fn provision(&mut self, set: &Set) -> Result<Vec<String>> {
        let (people, groups) = (self.company.people.clone(), self.company.groups.clone());
        self.teller.begin(format!(
            "The directory provisions {} people and {} groups (SCIM as Okta speaks it)",
            people.len(),
            groups.len()
        ));
        let client = self.directory(set, Dialect::Okta)?;
        let mut ids = Vec::new();
        let mut took = Vec::new();
        for person in &people {
            let answer = client.create_user(person).await?;
            ids.push(self.created("POST …/Users", &answer)?);
            took.push(answer.elapsed);
        }
        let mut members = 0;
        for group in &groups {
            let inside: Vec<String> = people
                .iter()
                .zip(&ids)
                .filter(|(person, _)| group.members.contains(&person.id))
                .map(|(_, id)| id.clone())
                .collect();
            members += inside.len();
            let answer = client.create_group(group, &inside).await?;
            self.created("POST …/Groups", &answer)?;
            took.push(answer.elapsed);
        }
        took.sort_unstable();
        let median = took.get(took.len() / 2).copied().unwrap_or(Duration::ZERO);
        self.teller.note(format!(
            "{} calls, the median one took {}; {members} places in groups",
            took.len(),
            duration(median)
        ));
        let active = self.api.list("/members?state=active").await?.len();
        self.teller.expect(active == people.len(), format!("{} active members, not {active}", people.len()));
        self.teller.fact("people", people.len());
        self.teller.fact("groups", groups.len());
        self.teller.fact("median_us", u64::try_from(median.as_micros()).unwrap_or(u64::MAX));
        self.teller.finish()?;
        Ok(ids)
    }

    fn created(&mut self, what: &str, answer: &Answer) -> Result<String> {
        if answer.status != 201 {
            bail!("{what}: {} {:?}", answer.status, answer.body);
        }
        self.api.remember(what.to_owned(), answer.request_id.as_deref().unwrap_or_default());
        Ok(answer.id().context("a SCIM answer without an id")?.to_owned())
    }

    /// Somebody signs in; then what their groups give them, with the reasons.
    pub(super) async fn arrive(&mut self, set: &Set, people: &[String], at: usize) -> Result<Arrived> {
        let name = self.company.people.get(at).map(Person::display_name).unwrap_or_default();
        self.teller.begin(format!("{name} signs in at the identity provider"));
        let (arrived, way) = self.sign_in(set, people, at).await?;
        self.teller.note(format!(
            "{} redirects there and back, then a session in the browser's cookie",
            way.redirects
        ));
        self.teller.fact("request_id", way.request_id);
        self.teller.fact("member", arrived.membership.as_str());
        self.teller.finish()?;

        self.teller.begin(format!("What {name} may, and why"));
        let member = self.api.read(&format!("/members/{}", arrived.membership)).await?;
        let mut table = Table::new(&["has", "by", "which the directory said in"]);
        let reasons = member.get("reasons").and_then(Value::as_array).cloned().unwrap_or_default();
        let groups = self.api.list("/mappings").await?;
        for reason in &reasons {
            let mapping = find_text(reason, "/mapping");
            let of = groups.iter().find(|m| find_text(m, "/id") == mapping);
            let group = of.map_or("", |m| find_text(m, "/group/display_name"));
            table.row([
                Cell::new(Tone::Good, find_text(reason, "/gives")),
                Cell::new(Tone::Plain, format!("group {group}")),
                Cell::new(Tone::Name, find_text(reason, "/request_id")),
            ]);
        }
        self.teller.table(table);
        let role = find_text(&member, "/role");
        self.teller.expect(role == "admin", format!("the highest mapped role, `admin`, not `{role}`"));
        let teams = member.get("teams").and_then(Value::as_array).map_or(0, Vec::len);
        self.teller.expect(teams == 2, format!("two teams, not {teams}"));
        let places = member.get("environments").and_then(Value::as_array).map_or(0, Vec::len);
        self.teller.expect(places == 2, format!("two environments, not {places}"));
        let told = reasons.iter().all(|reason| self.is_footprint(find_text(reason, "/request_id")));
        self.teller.expect(told && !reasons.is_empty(), "each reason names the directory's own request");
        self.teller.fact("role", role);
        self.teller.fact("reasons", reasons);
        self.teller.finish()?;
        Ok(arrived)
    }

    fn is_footprint(&self, request_id: &str) -> bool {
        self.api.footprints.iter().any(|footprint| footprint.request_id == request_id)
    }

    async fn sign_in(&mut self, set: &Set, people: &[String], at: usize) -> Result<(Arrived, Way)> {
        let person = self.company.people.get(at).context("nobody there")?.clone();
        let scim_id = people.get(at).context("nobody there")?.clone();
        let mut browser = Browser::new()?;
        let way = self.browse(set, &person, &mut browser).await?;
        self.teller.expect(way.status == 200, format!("the sign-in arrives, not with {}", way.status));
        let cookie = browser.find_cookie(&self.stage.base, COOKIE);
        let session = cookie.context("the browser has no session")?.to_owned();
        self.api.remember("a sign-in".to_owned(), &way.request_id);
        let found = self.api.list(&format!("/members?email={}", person.email)).await?;
        let membership = text(found.first().context("no such member")?, "id")?;
        Ok((Arrived { person, scim_id, membership, browser, session }, way))
    }

    /// Leads a browser from the sign-in address to where it ends.
    pub(super) async fn browse(&self, set: &Set, person: &Person, browser: &mut Browser) -> Result<Way> {
        self.idp.sign_in_as(Some(&person.id));
        let mut way = Way { status: 0, request_id: String::new(), redirects: 0 };
        let mut next = Some(set.login_url.clone());
        while let Some(address) = next {
            if way.redirects > MAX_REDIRECTS {
                bail!("more than {MAX_REDIRECTS} redirects, the last one to `{address}`");
            }
            let (page, leads_to) = browser.step(&address).await?;
            if page.url.path().ends_with("/callback") {
                way.request_id = page.request_id.unwrap_or_default();
            }
            way.status = page.status;
            way.redirects += usize::from(leads_to.is_some());
            next = leads_to.map(|url| url.to_string());
        }
        Ok(way)
    }

    /// Another person, with a session and a key, to whom nothing must happen.
    pub(super) async fn colleague(&mut self, set: &Set, people: &[String], at: usize) -> Result<Vec<Bearer>> {
        let name = self.company.people.get(at).map(Person::display_name).unwrap_or_default();
        self.teller.begin(format!("{name}, a colleague, signs in too and makes an API key"));
        let (arrived, _) = self.sign_in(set, people, at).await?;
        let key = self.key_of(&arrived).await?;
        let session = self.session_of(&arrived).await?;
        self.teller.finish()?;
        Ok(vec![session, key])
    }

    async fn session_of(&self, arrived: &Arrived) -> Result<Bearer> {
        let tokens = self.api.list(&format!("/tokens?holder={}", arrived.membership)).await?;
        let session = tokens.iter().find(|t| find_text(t, "/kind") == "session").context("no session")?;
        Ok(Bearer {
            what: "browser session".to_owned(),
            id: text(session, "id")?,
            agent: None,
            secret: arrived.session.clone(),
            shown_to: "the browser".to_owned(),
        })
    }

    async fn key_of(&mut self, arrived: &Arrived) -> Result<Bearer> {
        let path = format!("/members/{}/keys", arrived.membership);
        let made = self.api.create_as(&arrived.session, &path, &json!({ "name": "laptop" })).await?;
        Ok(Bearer {
            what: "API key `laptop`".to_owned(),
            id: text(&made, "id")?,
            agent: None,
            secret: text(&made, "token")?,
            shown_to: arrived.person.given_name.clone(),
        })
    }

    /// The leaver's bearers, each of them admitted.
    pub(super) async fn work(&mut self, set: &Set, leaver: &Arrived) -> Result<Vec<Bearer>> {
        let name = leaver.person.given_name.clone();
        self.teller.begin(format!("{name} works: an API key, two agents, and each of them is admitted"));
        let key = self.key_of(leaver).await?;
        let mut bearers = vec![self.session_of(leaver).await?];
        let own = key.secret.clone();
        bearers.push(key);
        let operator = self.stage.root.clone();
        for (agent, rule, seen_by) in [
            ("reports", "pause", vec![(name.as_str(), &own), ("the operator", &operator)]),
            ("reviewer", "disable", vec![("the operator", &operator)]),
        ] {
            let wanted = json!({ "name": agent, "owner": leaver.membership, "on_owner_loss": rule });
            let id = text(&self.api.create_as(&own, "/agents", &wanted).await?, "id")?;
            for (shown_to, by) in seen_by {
                let path = format!("/agents/{id}/keys");
                let made = self.api.create_as(by, &path, &json!({ "name": "runner" })).await?;
                bearers.push(Bearer {
                    what: format!("agent `{agent}`"),
                    id: text(&made, "id")?,
                    agent: Some(id.clone()),
                    secret: text(&made, "token")?,
                    shown_to: shown_to.to_owned(),
                });
            }
        }
        self.admitted(set, &bearers).await?;
        self.teller.finish()?;
        Ok(bearers)
    }

    /// Asks about each bearer in both ways; all must be admitted.
    pub(super) async fn admitted(&mut self, set: &Set, bearers: &[Bearer]) -> Result<()> {
        let mut table = Table::new(&["bearer", "shown to", "AuthZEN", "took", "forward-auth", "took"]);
        let mut facts = Vec::new();
        for bearer in bearers {
            let asked = self.api.evaluate(&set.asker, &bearer.secret).await?;
            let code = find_text(&asked.body, "/context/code").to_owned();
            let proxied = self.api.forward(&bearer.secret).await?;
            let admitted = asked.body.get("decision") == Some(&Value::Bool(true)) && proxied.status == 200;
            let tone = if admitted { Tone::Good } else { Tone::Bad };
            table.row([
                Cell::new(Tone::Plain, &*bearer.what),
                Cell::new(Tone::Plain, &*bearer.shown_to),
                Cell::new(tone, &*code),
                Cell::took(asked.elapsed),
                Cell::new(tone, proxied.status.to_string()),
                Cell::took(proxied.elapsed),
            ]);
            self.teller.expect(admitted, format!("{} is admitted, not `{code}`", bearer.what));
            facts.push(json!({
                "bearer": bearer.what, "token": bearer.id, "shown_to": bearer.shown_to, "code": code,
                "forward_auth": proxied.status, "organization": ORGANIZATION,
            }));
        }
        self.teller.table(table);
        self.teller.fact("bearers", facts);
        Ok(())
    }
}
