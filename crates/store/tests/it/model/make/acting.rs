//! What acts: agents and tokens.

use portcullis_domain::Timestamp;
use portcullis_domain::agent::{Agent, AgentState, OwnerLossRule};
use portcullis_domain::change::{AgentChange, Change, TokenChange, TokenSet};
use portcullis_domain::id::{AgentId, OrganizationId, TokenId};
use portcullis_domain::role::Rank;
use portcullis_domain::secret::SecretHash;
use portcullis_domain::token::{Holder, ShownTo, Token, TokenEnd, TokenKind};

use super::super::maps::Maps;
use super::super::{Dice, Kind};
use super::{address, moment, perhaps, perhaps_address, perhaps_at, word};
use crate::database::NOW;
use crate::fixture::slug;

pub(super) fn make(kind: Kind, maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Change> {
    let agent = dice.pick(maps.agents.values().cloned());
    let member = dice.pick(maps.members.values().cloned());
    let token = dice.pick(maps.tokens.values().map(|(token, _)| token.clone()));
    let receipt = dice.pick(maps.receipts.keys().copied());
    let state = dice.pick([AgentState::Active, AgentState::Paused, AgentState::Orphaned])?;
    let end = |set: TokenSet, dice: &mut Dice| {
        let because = dice.pick(TokenEnd::ALL).unwrap();
        let receipt = receipt.filter(|_| dice.one_in(2));
        Change::from(TokenChange::End { set, because, at: or_a_day_later(dice), receipt })
    };
    Some(match kind {
        Kind::AgentCreate => {
            let owner = member?;
            AgentChange::Create(Agent {
                id: AgentId::fresh(NOW, dice),
                organization: owner.organization,
                name: word(dice),
                owner: owner.id,
                heir: dice.pick(maps.members.keys().copied()),
                on_owner_loss: dice.pick(OwnerLossRule::ALL)?,
                rule_chosen_by: dice.pick(maps.members.keys().copied()),
                environment: slug("production"),
                state: AgentState::Active,
                created_at: NOW,
            })
            .into()
        }
        Kind::AgentUpdate => AgentChange::Update {
            id: agent?.id,
            name: word(dice),
            heir: dice.pick(maps.members.keys().copied()).filter(|_| dice.one_in(2)),
            environment: slug("staging"),
            on_owner_loss: dice.pick(OwnerLossRule::ALL)?,
            rule_chosen_by: dice.pick(maps.members.keys().copied()).filter(|_| dice.one_in(2)),
        }
        .into(),
        Kind::AgentState => AgentChange::SetState(agent?.id, state, Some(Rank::ROOT)).into(),
        Kind::AgentOwner => {
            let agent = agent?;
            let here = maps.members.values().filter(|m| m.organization == agent.organization);
            let stopped = receipt.filter(|_| dice.one_in(2));
            AgentChange::SetOwner(agent.id, dice.pick(here.map(|m| m.id))?, state, stopped).into()
        }
        Kind::AgentDisable => AgentChange::Disable(agent?.id, receipt.filter(|_| dice.one_in(2))).into(),
        Kind::AgentOrphan => AgentChange::Orphan(agent?.id, receipt?).into(),
        Kind::AgentForget => AgentChange::Forget(member?.id).into(),
        Kind::TokenIssue => TokenChange::Issue(Box::new(issued(maps, dice, org)?)).into(),
        Kind::EndOne => end(TokenSet::One(token?.id), dice),
        Kind::EndOfLeaver => end(TokenSet::OfLeaver(member?.id, vec![address(dice), address(dice)]), dice),
        Kind::EndOfAgent => end(TokenSet::OfAgent(agent?.id), dice),
        Kind::EndOfDirectory => {
            end(TokenSet::OfDirectory(dice.pick(maps.directories.keys().copied())?), dice)
        }
        Kind::EndOfConnection => {
            end(TokenSet::OfConnection(dice.pick(maps.connections.keys().copied())?), dice)
        }
        Kind::EndOfMemberBy => {
            let connection = dice.pick(maps.connections.keys().copied())?;
            end(TokenSet::OfMemberBy(member?.id, connection), dice)
        }
        Kind::EndInvitations => end(TokenSet::InvitationsOf(member?.id), dice),
        Kind::EndOfOrganization => end(TokenSet::OfOrganization(or_a_day_later(dice)), dice),
        _ => return None,
    })
}

/// When what has run out at [`moment`] has, for a day or not so long.
fn or_a_day_later(dice: &mut Dice) -> Timestamp {
    moment(dice).plus_s(if dice.one_in(2) { 86_400 } else { 0 })
}

/// A token of any kind; what it would act as may be inactive, of another organization, or ended.
fn issued(maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Token> {
    let kind = dice.pick(TokenKind::ALL)?;
    let holder = match kind {
        TokenKind::Session | TokenKind::MemberKey | TokenKind::Invitation | TokenKind::OwnerLink => {
            Holder::Membership(dice.pick(maps.members.keys().copied())?)
        }
        TokenKind::AgentKey => Holder::Agent(dice.pick(maps.agents.keys().copied())?),
        TokenKind::ScimToken => Holder::Directory(dice.pick(maps.directories.keys().copied())?),
        TokenKind::ServiceKey => Holder::Organization(org),
    };
    let shown_to = match dice.below(3) {
        0 => ShownTo::Root,
        1 => ShownTo::Bearer,
        _ => ShownTo::Membership(dice.pick(maps.members.keys().copied())?),
    };
    let id = TokenId::fresh(NOW, dice);
    Some(Token {
        parent: dice.pick(maps.tokens.keys().copied()).filter(|_| dice.one_in(3)),
        name: word(dice),
        environment: perhaps(dice, slug("production")),
        confined_at: perhaps_at(dice),
        connection: dice.pick(maps.connections.keys().copied()).filter(|_| dice.one_in(2)),
        address_key: perhaps_address(dice),
        expires_at: perhaps_at(dice),
        ..Token::new(id, org, (kind, holder), (shown_to, Rank::ROOT), SecretHash::of(&id.to_string()), NOW)
    })
}
