//! What a run made at the server, and its removal.
//!
//! Here because a run may end at any moment: a name is written down before the request that makes it, so that also what
//! was made by a request whose answer never came is looked for and removed.

use std::time::Duration;

use crate::request::{ScimRequest, equals};
use crate::scim_client::{Answer, ScimClient};

use super::step::quoted;

/// Removals in a row without any answer after which the rest is given up: the server is gone.
const MAX_SILENT: usize = 3;

/// How long a request that was broken off is given to arrive before what it may have made is looked for.
const SETTLE: Duration = Duration::from_secs(1);

/// What kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person.
    User,
    /// A group.
    Group,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    fn collection(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    fn name_attribute(self) -> &'static str {
        match self {
            Self::User => "userName",
            Self::Group => "displayName",
        }
    }
}

#[derive(Debug, Clone)]
struct Thing {
    kind: Kind,
    name: String,
    id: Option<String>,
}

/// What is still there, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    /// What kind.
    pub kind: Kind,
    /// Its user name or display name.
    pub name: String,
    /// Its id, if the server told it.
    pub id: Option<String>,
    /// Why it is still there.
    pub why: String,
}

/// What a run made and has not removed.
#[derive(Debug, Default)]
pub(super) struct Made {
    things: Vec<Thing>,
}

impl Made {
    /// A request that makes this is about to be sent.
    pub(super) fn announce(&mut self, kind: Kind, name: &str) {
        self.things.push(Thing { kind, name: name.to_owned(), id: None });
    }

    /// The server says that it made it, under this id.
    pub(super) fn made(&mut self, kind: Kind, name: &str, id: &str) {
        let known = self.things.iter_mut().rev().find(|thing| thing.kind == kind && thing.name == name);
        match known {
            Some(thing) if thing.id.is_none() => thing.id = Some(id.to_owned()),
            _ => self.things.push(Thing { kind, name: name.to_owned(), id: Some(id.to_owned()) }),
        }
    }

    /// The name is another now, by which it would be looked for.
    pub(super) fn renamed(&mut self, id: &str, name: &str) {
        for thing in &mut self.things {
            if thing.id.as_deref() == Some(id) {
                name.clone_into(&mut thing.name);
            }
        }
    }

    /// The server says that it is gone.
    pub(super) fn gone(&mut self, id: &str) {
        self.things.retain(|thing| thing.id.as_deref() != Some(id));
    }

    /// The server refused to make it.
    pub(super) fn refused(&mut self, kind: Kind, name: &str) {
        self.things.retain(|thing| !(thing.kind == kind && thing.name == name && thing.id.is_none()));
    }

    /// All of it, as left behind for that reason.
    pub(super) fn list(&self, why: &str) -> Vec<LeftBehind> {
        self.things.iter().map(|thing| left(thing, why)).collect()
    }

    /// Removes what is there, the newest first, so that groups go before their people. How many went, and what stayed.
    pub(super) async fn remove(&mut self, client: &ScimClient) -> (usize, Vec<LeftBehind>) {
        let (mut removed, mut stayed, mut silent) = (0, Vec::new(), 0);
        if self.things.iter().any(|thing| thing.id.is_none()) {
            tokio::time::sleep(SETTLE).await;
        }
        let (groups, people): (Vec<Thing>, Vec<Thing>) =
            self.things.clone().into_iter().partition(|thing| thing.kind == Kind::Group);
        for thing in groups.iter().rev().chain(people.iter().rev()) {
            if silent == MAX_SILENT {
                stayed.push(left(thing, "the server no longer answers"));
                continue;
            }
            match remove_one(client, thing).await {
                Ok(Removed::Now) => removed += 1,
                Ok(Removed::NeverThere) => {}
                Err(Stayed::Refused(why)) => stayed.push(left(thing, &why)),
                Err(Stayed::Silent(why)) => {
                    silent += 1;
                    stayed.push(left(thing, &why));
                    continue;
                }
            }
            silent = 0;
            self.things.retain(|other| other.kind != thing.kind || other.name != thing.name);
        }
        (removed, stayed)
    }
}

enum Removed {
    Now,
    NeverThere,
}

enum Stayed {
    Refused(String),
    Silent(String),
}

fn left(thing: &Thing, why: &str) -> LeftBehind {
    LeftBehind {
        kind: thing.kind,
        name: quoted(&thing.name),
        id: thing.id.as_deref().map(quoted),
        why: quoted(why),
    }
}

async fn remove_one(client: &ScimClient, thing: &Thing) -> Result<Removed, Stayed> {
    let dialect = client.dialect();
    let id = match &thing.id {
        Some(id) => id.clone(),
        None => {
            let filter = equals(thing.kind.name_attribute(), &thing.name);
            let found =
                ask(client, &ScimRequest::get(thing.kind.collection()).with("filter", filter)).await?;
            match found.found_id() {
                Some(id) => id.to_owned(),
                None => return Ok(Removed::NeverThere),
            }
        }
    };
    if !is_usable(&id) {
        return Err(Stayed::Refused("its id cannot stand in an address".to_owned()));
    }
    let request = match thing.kind {
        Kind::User => dialect.delete_user(&id),
        Kind::Group => dialect.delete_group(&id),
    };
    match ask(client, &request).await?.status {
        200..300 | 404 => Ok(Removed::Now),
        status => Err(Stayed::Refused(format!("DELETE was answered {status}"))),
    }
}

async fn ask(client: &ScimClient, request: &ScimRequest) -> Result<Answer, Stayed> {
    client.send(request).await.map_err(|error| Stayed::Silent(error.explained()))
}

/// Whether an id can stand in an address: dots alone would climb out of the collection.
pub(super) fn is_usable(id: &str) -> bool {
    !id.is_empty() && id != "." && id != ".." && id.len() <= MAX_ID_BYTES
}

/// Bytes of an id: far above what any server gives out.
const MAX_ID_BYTES: usize = 1_024;
