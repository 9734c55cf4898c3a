//! The model of tokens: which may be issued, and which end together.

use std::collections::BTreeSet;

use portcullis_domain::Timestamp;
use portcullis_domain::agent::AgentState;
use portcullis_domain::change::{TokenChange, TokenSet};
use portcullis_domain::id::{MembershipId, OrganizationId, TokenId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::token::{Holder, Token, TokenKind};

use super::{Answer, Maps};

impl Maps {
    /// Whether what a token would act as is active.
    fn may_be_issued(&self, token: &Token) -> bool {
        let here = |id: &MembershipId| self.members.get(id).filter(|m| m.organization == token.organization);
        match token.holder {
            Holder::Directory(_) | Holder::Organization(_) => true,
            Holder::Membership(id) => here(&id).is_some_and(|m| {
                let link = matches!(token.kind, TokenKind::Invitation | TokenKind::OwnerLink);
                m.access.state == MembershipState::Active
                    || (link && m.access.state == MembershipState::Invited)
            }),
            Holder::Agent(id) => self.agents.get(&id).is_some_and(|a| {
                a.organization == token.organization
                    && matches!(a.state, AgentState::Active | AgentState::Paused)
                    && self.members.get(&a.owner).is_some_and(|m| m.access.state == MembershipState::Active)
            }),
        }
    }

    /// What the tokens of a leaver issued, and what that issued, as far as it ends with them.
    fn issued_by_tokens_of(&self, set: &TokenSet) -> BTreeSet<TokenId> {
        let above =
            |of: &Token| of.parent.and_then(|parent| self.tokens.get(&parent)).map(|(token, _)| token);
        let is_issued = |token: &Token| match set {
            TokenSet::OfLeaver(id, _) => {
                let theirs = |token: &Token| token.holder == Holder::Membership(*id);
                std::iter::successors(above(token), |of| above(of)).any(theirs)
            }
            TokenSet::OfConnection(id) => {
                let since = self.connections.get(id).and_then(|of| of.unconfirmed).map(|u| u.at);
                let came = |by: &Token| {
                    by.connection == Some(*id) && since.is_some_and(|since| by.issued_at >= since)
                };
                std::iter::successors(above(token), |of| above(of)).any(came)
            }
            _ => false,
        };
        let all = self.tokens.values().map(|(token, _)| token);
        let falls = all.filter(|token| !token.kind.outlives_whom_it_was_shown_to() && is_issued(token));
        falls.map(|token| token.id).collect()
    }

    fn is_in(set: &TokenSet, token: &Token) -> bool {
        let link = matches!(token.kind, TokenKind::Invitation | TokenKind::OwnerLink);
        match set {
            TokenSet::One(id) => {
                token.id == *id || (token.parent == Some(*id) && token.shown_to.membership().is_none())
            }
            TokenSet::OfLeaver(id, emails) => {
                let stays = token.kind.outlives_whom_it_was_shown_to();
                let address = token.address_key.as_ref().is_some_and(|key| emails.contains(key));
                token.holder == Holder::Membership(*id)
                    || (token.shown_to.membership() == Some(*id) && !stays)
                    || (token.kind == TokenKind::Invitation && address)
            }
            TokenSet::OfAgent(id) => token.holder == Holder::Agent(*id),
            TokenSet::OfDirectory(id) => token.holder == Holder::Directory(*id),
            TokenSet::OfConnection(id) => token.connection == Some(*id),
            TokenSet::OfMemberBy(id, by) => {
                token.holder == Holder::Membership(*id) && token.connection == Some(*by)
            }
            TokenSet::InvitationsOf(id) => link && token.holder == Holder::Membership(*id),
            TokenSet::OfOrganization(_) => true,
        }
    }

    pub(super) fn token(&mut self, organization: OrganizationId, change: &TokenChange) -> Answer {
        let (set, because, at, receipt) = match change {
            TokenChange::Issue(token) => {
                if !self.may_be_issued(token) {
                    return Err(());
                }
                self.tokens.insert(token.id, ((**token).clone(), None));
                return Ok(0);
            }
            TokenChange::End { set, because, at, receipt } => (set, because, at, receipt),
        };
        let mut over = Vec::new();
        let by_leaver = self.issued_by_tokens_of(set);
        for (token, ended) in self.tokens.values_mut() {
            let is_in = Self::is_in(set, token) || by_leaver.contains(&token.id);
            let for_s = |at: Timestamp, seconds: i64| {
                token.expires_at.is_some_and(|end| at.micros() - end.micros() >= seconds * 1_000_000)
            };
            let ran_out = match set {
                TokenSet::OfLeaver(..) | TokenSet::OfAgent(_) => for_s(*at, 0),
                TokenSet::OfConnection(_) | TokenSet::OfMemberBy(..) => for_s(*at, 86_400),
                TokenSet::OfOrganization(at) => for_s(*at, 86_400),
                _ => false,
            };
            if ended.is_none() && token.organization == organization && is_in && !ran_out {
                *ended = Some((*at, *because));
                over.push(token.id);
            }
        }
        let Some(receipt) = receipt else { return Ok(over.len() as u64) };
        over.iter().for_each(|id| self.line(*receipt, "token", id.to_string()));
        Ok(over.len() as u64)
    }
}
