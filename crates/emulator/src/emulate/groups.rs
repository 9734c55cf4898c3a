//! What several providers do with a group.
//!
//! Here because each change of members is followed by the same question: who is in it now, and nobody else?

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::dialect::patch;
use crate::people::Group;
use crate::request::ScimRequest;
use crate::scim_client::Answer;

use super::expect::Hits;
use super::made::Kind;
use super::run::{Halt, Run};
use super::step::{Weight, quoted_value};

impl Run<'_> {
    /// Looks the group up before it is there.
    pub(super) async fn finds_no_group(&mut self, means: &'static str) -> Result<(), Halt> {
        self.begin("looks the group up by name, before it is there", means);
        let request = self.dialect().find_group(&self.cast.group.display_name);
        let answer = self.send(&request).await?;
        self.list(&answer, Hits::Exactly(0));
        Ok(())
    }

    /// Pushes the group with these members; the id.
    pub(super) async fn pushes(
        &mut self,
        group: &Group,
        members: &[String],
        means: &'static str,
    ) -> Result<String, Halt> {
        let with = if members.is_empty() { "empty" } else { "with its members" };
        self.begin(format!("pushes the group, {with}"), means);
        let request = self.dialect().create_group(group, members);
        let answer = self.make(Kind::Group, &group.display_name, &request).await?;
        let id = self.created(&answer, Kind::Group)?;
        self.is_called(&answer, &group.display_name);
        if let Some(sent) = request.body.as_ref().and_then(|body| body.get("externalId")) {
            let came = answer.body.as_ref().and_then(|body| body.get("externalId"));
            let weight = if self.dialect().is_entra() { Weight::Must } else { Weight::Should };
            self.check(weight, "externalId as it was sent", || {
                (came != Some(sent)).then(|| quoted_value(came))
            });
        }
        self.members(&id, members).await?;
        Ok(id)
    }

    /// Changes the group by that request; afterwards exactly these are in it.
    pub(super) async fn changes_members(
        &mut self,
        title: &str,
        means: &'static str,
        request: ScimRequest,
        id: &str,
        members: &[String],
    ) -> Result<(), Halt> {
        self.begin(title, means);
        let answer = self.send(&request).await?;
        let put = request.method == reqwest::Method::PUT;
        self.status(&answer, if put { &[200] } else { &[200, 204] });
        if !put && self.dialect().is_entra() {
            let status = answer.status;
            let held = status != 200;
            self.should(held, "204 without a body, as Microsoft recommends", || format!("{status} with one"));
        }
        let before = self.failures();
        self.members(id, members).await?;
        if self.failures() > before {
            // What comes next is judged by itself: the list is set right by the standard's own means.
            let value: Vec<Value> = members.iter().map(|member| json!({"value": member})).collect();
            let right = patch(vec![json!({"op": "replace", "path": "members", "value": value})]);
            self.send(&self.dialect().patch_group(id, right)).await?;
        }
        Ok(())
    }

    /// Gives the group another name, the members stay.
    pub(super) async fn renames(
        &mut self,
        id: &str,
        group: &Group,
        members: &[String],
        means: &'static str,
    ) -> Result<(), Halt> {
        self.begin("renames the group", means);
        let answer =
            self.send(&self.dialect().patch_group(id, self.dialect().rename_group(id, group))).await?;
        self.status(&answer, &[200, 204]);
        if answer.is_success() {
            self.made.renamed(id, &group.display_name);
        }
        let read = self.members(id, members).await?;
        self.is_called(&read, &group.display_name);
        Ok(())
    }

    /// Deletes the group, which is gone then; its people stay.
    pub(super) async fn deletes_group(
        &mut self,
        id: &str,
        group: &Group,
        means: &'static str,
    ) -> Result<(), Halt> {
        self.begin("deletes the group", means);
        let answer = self.send(&self.dialect().delete_group(id)).await?;
        self.status(&answer, &[204]);
        if answer.is_success() {
            self.made.gone(id);
        }
        let read = self.send(&self.dialect().read_group(id)).await?;
        self.refusal(&read, 404);
        let found = self.send(&self.dialect().find_group(&group.display_name)).await?;
        self.list(&found, Hits::Exactly(0));
        Ok(())
    }

    /// Reads the group, in which exactly these must be.
    pub(super) async fn members(&mut self, id: &str, wanted: &[String]) -> Result<Answer, Halt> {
        let answer = self.send(&self.dialect().read_group(id)).await?;
        self.status(&answer, &[200]);
        let listed = answer.body.as_ref().and_then(|body| body.get("members"));
        let value = |member: &Value| member.get("value").and_then(Value::as_str).map(str::to_owned);
        let got: BTreeSet<String> =
            listed.and_then(Value::as_array).into_iter().flatten().filter_map(value).collect();
        let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
        let (missing, extra) = (wanted.difference(&got).count(), got.difference(&wanted).count());
        self.must(
            missing == 0 && extra == 0,
            &format!("exactly the {} members it must have", wanted.len()),
            || {
                if got.is_empty() {
                    return format!("nobody: `members` is {}", quoted_value(listed));
                }
                format!("{}: {missing} missing and {extra} too many", got.len())
            },
        );
        Ok(answer)
    }

    pub(super) fn is_called(&mut self, answer: &Answer, name: &str) {
        let came = answer.body.as_ref().and_then(|body| body.get("displayName"));
        self.must(came.and_then(Value::as_str) == Some(name), &format!("the name `{name}`"), || {
            quoted_value(came)
        });
    }
}
