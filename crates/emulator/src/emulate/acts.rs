//! What several providers do with people.
//!
//! Here because the runs differ in order, spelling and meaning, and not in what creating or reading somebody is.

use secrecy::SecretString;
use serde_json::Value;

use crate::people::{Person, PersonState};
use crate::request::{ScimRequest, equals};
use crate::scim_client::Answer;

use super::expect::{Hits, said};
use super::made::Kind;
use super::run::{Halt, Run};
use super::step::Weight;

/// People on a page when pages are walked: few, so that a small directory has several.
const PAGE: usize = 2;
/// Pages that are walked: enough to see an order that changes.
const MAX_PAGES: usize = 6;

impl Run<'_> {
    /// A token that nobody issued is refused.
    pub(super) async fn refuses_a_wrong_token(&mut self) -> Result<(), Halt> {
        self.begin(
            "asks with a wrong token",
            "whoever finds the address reads and changes the directory; the provider's test would pass with any token",
        );
        let wrong = SecretString::from(format!("emulate-{}-wrong", self.cast.mark));
        let stranger = self.client.with_token(wrong);
        let answer = self.send_by(&stranger, &self.dialect().list_users(1, 1), &[]).await?;
        self.status(&answer, &[401]);
        Ok(())
    }

    /// A look-up that finds nobody.
    pub(super) async fn finds_nobody(
        &mut self,
        title: &str,
        means: &'static str,
        request: ScimRequest,
    ) -> Result<(), Halt> {
        self.begin(title, means);
        let answer = self.send(&request).await?;
        self.list(&answer, Hits::Exactly(0));
        Ok(())
    }

    /// A look-up that finds exactly the one with that id.
    pub(super) async fn finds_one(
        &mut self,
        title: &str,
        means: &'static str,
        request: ScimRequest,
        id: &str,
    ) -> Result<(), Halt> {
        self.begin(title, means);
        let answer = self.send(&request).await?;
        self.finds(&answer, id);
        Ok(())
    }

    /// Reading an id that was never given out.
    pub(super) async fn reads_nobody(&mut self, means: &'static str) -> Result<(), Halt> {
        self.begin("reads a user with an id that does not exist", means);
        let request = self.dialect().read_user(&format!("emulate-{}-nobody", self.cast.mark));
        let answer = self.send(&request).await?;
        self.refusal(&answer, 404);
        Ok(())
    }

    /// Creates somebody in the provider's usual way; the id.
    pub(super) async fn creates(&mut self, person: &Person, means: &'static str) -> Result<String, Halt> {
        let request = self.dialect().create_user(person);
        self.begin(format!("creates {}", person.display_name()), means);
        self.create_now(person, &request).await
    }

    /// Creates somebody by a request that is odd, of which so much hangs; by the usual one if that is refused. The id.
    pub(super) async fn creates_oddly(
        &mut self,
        title: &str,
        means: &'static str,
        person: &Person,
        request: ScimRequest,
        weight: Weight,
    ) -> Result<String, Halt> {
        self.begin(title, means);
        let answer = self.make(Kind::User, &person.user_name, &request).await?;
        self.check(weight, "status 201", || (answer.status != 201).then(|| said(&answer)));
        if !answer.is_success() {
            return self.creates(person, "the person is not there at all").await;
        }
        self.created_as_sent(&answer, &request)
    }

    /// The same within the step that is open.
    pub(super) async fn create_now(
        &mut self,
        person: &Person,
        request: &ScimRequest,
    ) -> Result<String, Halt> {
        let answer = self.make(Kind::User, &person.user_name, request).await?;
        self.created_as_sent(&answer, request)
    }

    fn created_as_sent(&mut self, answer: &Answer, request: &ScimRequest) -> Result<String, Halt> {
        let id = self.created(answer, Kind::User)?;
        if let Some(sent) = &request.body {
            self.echoes(sent, answer.body.as_ref());
        }
        Ok(id)
    }

    /// Creates somebody a second time, which is refused.
    pub(super) async fn cannot_create_twice(
        &mut self,
        person: &Person,
        means: &'static str,
    ) -> Result<(), Halt> {
        self.begin(format!("creates {} a second time", person.display_name()), means);
        let answer = self.make(Kind::User, &person.user_name, &self.dialect().create_user(person)).await?;
        self.refusal(&answer, 409);
        let kind = answer.body.as_ref().and_then(|body| body.get("scimType")).and_then(Value::as_str);
        self.should(kind == Some("uniqueness"), "`scimType` `uniqueness`", || {
            kind.unwrap_or("none").to_owned()
        });
        Ok(())
    }

    /// Reads somebody, who is as that body says.
    pub(super) async fn reads(
        &mut self,
        title: &str,
        means: &'static str,
        id: &str,
        as_sent: &Value,
    ) -> Result<Answer, Halt> {
        self.begin(title, means);
        let answer = self.send(&self.dialect().read_user(id)).await?;
        self.status(&answer, &[200]);
        self.resource(&answer, Kind::User);
        self.echoes(as_sent, answer.body.as_ref());
        Ok(answer)
    }

    /// Changes somebody by that request, and reads whether the person is as described now.
    pub(super) async fn changes(
        &mut self,
        title: &str,
        means: &'static str,
        person: &Person,
        id: &str,
        request: ScimRequest,
    ) -> Result<(), Halt> {
        self.begin(title, means);
        let answer = self.send(&request).await?;
        // RFC 7644 §3.5.1 and §3.5.2: a PUT has the resource in its answer, a PATCH may have.
        let put = request.method == reqwest::Method::PUT;
        self.status(&answer, if put { &[200] } else { &[200, 204] });
        let wanted = self.dialect().user(person);
        if answer.status == 200 {
            self.resource(&answer, Kind::User);
            self.echoes_at_least(&wanted, answer.body.as_ref(), Weight::Must);
        }
        let read = self.send(&self.dialect().read_user(id)).await?;
        self.status(&read, &[200]);
        self.echoes_at_least(&wanted, read.body.as_ref(), Weight::Must);
        Ok(())
    }

    /// Lets somebody in or out by that request; also who is out stays readable and is found.
    pub(super) async fn sets_state(
        &mut self,
        means: &'static str,
        person: &Person,
        id: &str,
        request: ScimRequest,
    ) -> Result<(), Halt> {
        let word = match person.state {
            PersonState::Active => "reactivates",
            PersonState::Deactivated => "deactivates",
        };
        let how = if request.method == reqwest::Method::PUT { "by PUT" } else { "by PATCH" };
        self.begin(format!("{word} {} {how}", person.display_name()), means);
        let answer = self.send(&request).await?;
        self.status(&answer, &[200, 204]);
        if answer.status == 200 {
            self.has_state(answer.body.as_ref(), person.state);
        }
        let read = self.send(&self.dialect().read_user(id)).await?;
        self.status(&read, &[200]);
        self.has_state(read.body.as_ref(), person.state);
        let found = self.send(&self.dialect().find_user(&person.user_name)).await?;
        self.finds(&found, id);
        self.has_state(found.resources().first(), person.state);
        Ok(())
    }

    /// Deletes somebody, who is gone then.
    pub(super) async fn deletes(
        &mut self,
        person: &Person,
        id: &str,
        means: &'static str,
    ) -> Result<(), Halt> {
        self.begin(format!("deletes {}", person.display_name()), means);
        let answer = self.send(&self.dialect().delete_user(id)).await?;
        self.status(&answer, &[204]);
        if answer.is_success() {
            self.made.gone(id);
        }
        let read = self.send(&self.dialect().read_user(id)).await?;
        self.refusal(&read, 404);
        let found = self.send(&self.dialect().find("/Users", &equals("userName", &person.user_name))).await?;
        self.list(&found, Hits::Exactly(0));
        let again = self.send(&self.dialect().delete_user(id)).await?;
        self.status(&again, &[404]);
        Ok(())
    }

    /// Walks pages twice: nobody twice, the same order both times.
    pub(super) async fn walks_pages(&mut self, means: &'static str) -> Result<(), Halt> {
        self.begin(format!("imports people page by page, {PAGE} a page, twice"), means);
        let (first, second) = (self.walk().await?, self.walk().await?);
        let mut seen = std::collections::BTreeSet::new();
        let twice = first.iter().find(|id| !seen.insert(*id)).cloned();
        self.must(twice.is_none(), "nobody on two pages", || {
            format!("`{}`", super::step::quoted(&twice.unwrap_or_default()))
        });
        self.must(first == second, "the same order both times", || "another order".to_owned());
        self.must(first.len() > PAGE, "more than one page", || format!("{} people", first.len()));
        Ok(())
    }

    async fn walk(&mut self) -> Result<Vec<String>, Halt> {
        let mut ids = Vec::new();
        for page in 0..MAX_PAGES {
            let answer = self.send(&self.dialect().list_users(page * PAGE + 1, PAGE)).await?;
            self.list(&answer, Hits::Any);
            let resources = answer.resources();
            let too_many = resources.len() > PAGE;
            self.must(!too_many, "never more than `count`", || format!("{}", resources.len()));
            let id = |user: &Value| user.get("id").and_then(Value::as_str).map(str::to_owned);
            ids.extend(resources.iter().filter_map(id));
            if resources.len() < PAGE || too_many {
                break;
            }
        }
        Ok(ids)
    }
}
