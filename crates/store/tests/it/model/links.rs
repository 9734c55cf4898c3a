//! Links of the model: whose a subject is, and how far that is believed.

use std::collections::BTreeMap;

use portcullis_domain::change::{Change, LinkChange};
use portcullis_domain::connection::Link;
use portcullis_domain::id::ConnectionId;
use portcullis_domain::token::Holder;
use portcullis_domain::tombstone::Identifier;

use super::Dice;
use super::make::rank;
use super::maps::Maps;

/// Another rank that the word of a link is believed up to.
pub(super) fn believed(maps: &Maps, dice: &mut Dice) -> Option<Change> {
    let (connection, subject) = dice.pick(maps.links.keys().cloned())?;
    Some(LinkChange::Believe(connection, subject, rank(dice)).into())
}

impl Maps {
    pub(super) fn link(&mut self, change: &LinkChange) -> Result<(), ()> {
        match change {
            LinkChange::Create(made) => {
                let key = (made.connection, made.subject.clone());
                if self.links.contains_key(&key) {
                    return Err(());
                }
                self.links.insert(key, made.clone());
            }
            LinkChange::DeleteOf(membership) => self.links.retain(|_, link| link.membership != *membership),
            LinkChange::Delete(connection, subject) => {
                self.unlink(*connection, subject);
            }
            LinkChange::GiveWay(connection, subject, to) => {
                let was = self.unlink(*connection, subject).map(|link| Holder::Membership(link.membership));
                for (token, _) in self.tokens.values_mut() {
                    let came_by_it =
                        token.connection == Some(*connection) && token.subject.as_ref() == Some(subject);
                    if came_by_it && Some(token.holder) == was {
                        token.subject = Some(to.clone());
                    }
                }
            }
            LinkChange::Believe(connection, subject, rank) => {
                if let Some(link) = self.links.get_mut(&(*connection, subject.clone())) {
                    link.believed_up_to = *rank;
                }
            }
        }
        Ok(())
    }

    fn unlink(&mut self, connection: ConnectionId, subject: &str) -> Option<Link> {
        let key = (connection, subject.to_owned());
        let gone = self.links.remove(&key);
        self.remember_links(gone.clone().into_iter().map(|link| (key.clone(), link)).collect());
        gone
    }

    /// What a link was named by stays with whoever had it.
    pub(super) fn remember_links(&mut self, gone: BTreeMap<(ConnectionId, String), Link>) {
        for link in gone.into_values() {
            let of = link.membership;
            self.former.insert((of, Identifier::subject(link.connection, &link.subject)));
            self.former.insert((of, Identifier::issuer_subject(&link.subject)));
        }
    }
}
