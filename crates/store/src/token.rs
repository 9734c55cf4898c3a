//! Tokens: issued while what they act as is active, ended by sets.

use portcullis_domain::change::{TokenChange, TokenSet};
use portcullis_domain::id::{
    AgentId, ConnectionId, DirectoryId, EventId, MembershipId, OrganizationId, TokenId,
};
use portcullis_domain::role::Rank;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, ShownTo, Token, TokenEnd, TokenKind};
use portcullis_domain::{Timestamp, token::Scope};

use crate::row::{Columns, Row, list, to_json};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

const INSERT: Statement = Statement::change(
    "token.insert",
    "INSERT INTO tokens (id, organization, kind, holder_kind, holder, membership, agent, parent, shown_to_kind, \
     shown_to, secret_hash, name, environment, scopes, connection, subject, believed_up_to, address_key, issued_at, \
     expires_at, max_idle_s, confined_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
);
const ACTIVE_MEMBER: Statement = Statement::read(
    "token.active_member",
    "SELECT id FROM memberships WHERE id = $1 AND organization = $2 AND state IN ('active', CAST($3 AS TEXT))",
);
const ACTIVE_AGENT: Statement = Statement::read(
    "token.active_agent",
    "SELECT a.id FROM agents a JOIN memberships m ON m.id = a.owner WHERE a.id = $1 AND a.organization = $2 \
     AND a.state IN ('active', 'paused') AND m.state = 'active'",
);
const LOCK_MEMBER: Statement = Statement::read(
    "token.lock_member",
    "SELECT id FROM memberships WHERE id = $1 AND organization = $2 FOR SHARE",
);
const LOCK_OWNER: Statement = Statement::read(
    "token.lock_owner",
    "SELECT m.id FROM memberships m WHERE m.id = (SELECT owner FROM agents WHERE id = $1) AND m.organization = $2 \
     FOR SHARE",
);

// What ends is found by an index of its own for each reason, never by walking the organization's tokens: an `OR` over
// several columns would make SQLite do that.
macro_rules! end {
    ($($where:expr),+) => {
        concat!(
            "UPDATE tokens SET ended_at = $1, ended_because = $2, ended_by_event = $3 \
             WHERE organization = $4 AND ended_at IS NULL AND ",
            $($where,)+
            " RETURNING id, kind, holder"
        )
    };
}

// What had run out by then stays as it is: `TokenSet::spares_until`.
macro_rules! acting {
    ($since:literal) => {
        concat!("(expires_at IS NULL OR expires_at > ", $since, ") AND ")
    };
}

// What was issued by these tokens, by what was issued by those, and so on.
macro_rules! issued_by {
    ($($of:expr),+) => {
        concat!(
            "(WITH RECURSIVE issued (id) AS (SELECT c.id FROM ",
            $($of,)+
            " UNION SELECT c.id FROM issued i JOIN tokens c ON c.parent = i.id) SELECT id FROM issued)"
        )
    };
}
pub(crate) use issued_by;

// By the tokens of a membership: whoever has a token may have been shown that, beside the one whom it names as shown.
macro_rules! issued_by_tokens_of {
    ($membership:literal) => {
        issued_by!("tokens o JOIN tokens c ON c.parent = o.id WHERE o.membership = ", $membership)
    };
}
pub(crate) use issued_by_tokens_of;

// The kinds that stay good when whoever their secret was shown to goes: `TokenKind::outlives_whom_it_was_shown_to`.
macro_rules! outliving {
    () => {
        "('service_key', 'scim_token')"
    };
}
pub(crate) use outliving;

// Those that ended too: what they issued finds its link by them. `COALESCE` has SQLite go by the membership, which has few
// tokens, where a connection has issued everybody's.
const NAME_ANEW: Statement = Statement::change(
    "token.name_anew",
    "UPDATE tokens SET subject = $1 WHERE membership = $3 AND COALESCE(connection, '') = $4 AND subject = $5 \
     AND organization = $2",
);
// What somebody else saw too is a key of its own, and goes on without the one that it was issued by.
const END_ONE: Statement = Statement::change(
    "token.end_one",
    "UPDATE tokens SET ended_at = $1, ended_because = $2, ended_by_event = $3 \
     WHERE organization = $4 AND ended_at IS NULL AND id IN (SELECT CAST($5 AS TEXT) \
     UNION SELECT id FROM tokens WHERE parent = $5 AND shown_to IS NULL) RETURNING id, kind, holder",
);
const END_OF_LEAVER: Statement = Statement::change(
    "token.end_of_leaver",
    end!(
        acting!("$7"),
        "id IN (SELECT id FROM tokens WHERE membership = $5 \
         UNION SELECT id FROM tokens WHERE shown_to = $5 AND kind NOT IN ",
        outliving!(),
        " UNION SELECT id FROM tokens WHERE kind NOT IN ",
        outliving!(),
        " AND id IN ",
        issued_by_tokens_of!("$5"),
        " UNION SELECT id FROM tokens WHERE kind = 'invitation' AND address_key IS NOT NULL \
         AND address_key IN_LIST($6))"
    ),
);
const END_OF_AGENT: Statement = Statement::change("token.end_of_agent", end!(acting!("$6"), "agent = $5"));
const END_OF_DIRECTORY: Statement =
    Statement::change("token.end_of_directory", end!("holder = $5 AND holder_kind = 'directory'"));
// Its sessions; and what was issued by those that began while no owner had confirmed it, but for what is the organization's:
// whoever chose the provider may have come in by it as anybody. In halves, so that the index begins where what has run out ends.
const END_OF_CONNECTION: Statement = Statement::change(
    "token.end_of_connection",
    end!(
        acting!("$6"),
        "id IN (SELECT id FROM tokens WHERE connection = $5 AND expires_at > $6 \
         UNION SELECT id FROM tokens WHERE connection = $5 AND expires_at IS NULL \
         UNION SELECT id FROM tokens WHERE kind NOT IN ",
        outliving!(),
        " AND id IN ",
        issued_by!(
            "connections o JOIN tokens p ON p.connection = o.id AND p.issued_at >= o.unconfirmed_at \
             JOIN tokens c ON c.parent = p.id WHERE o.unconfirmed_at IS NOT NULL AND o.id = $5 AND o.organization = $4"
        ),
        ")"
    ),
);
const END_OF_MEMBER_BY: Statement = Statement::change(
    "token.end_of_member_by",
    end!(acting!("$7"), "membership = $5 AND COALESCE(connection, '') = $6"),
);
const END_INVITATIONS_OF: Statement = Statement::change(
    "token.end_invitations_of",
    end!("membership = $5 AND kind IN ('invitation', 'owner_link')"),
);
const END_OF_ORGANIZATION: Statement =
    Statement::change("token.end_of_organization", end!(acting!("$5"), "organization = $4"));

macro_rules! view {
    () => {
        "t.id, t.kind, t.holder, t.shown_to, t.shown_to_kind, t.name, t.environment, t.scopes, t.connection, \
         t.issued_at, t.expires_at, u.last_used_at, t.ended_at, t.ended_because, t.ended_by_event"
    };
}

const FIND: Statement = Statement::read(
    "token.find",
    concat!(
        "SELECT ",
        view!(),
        " FROM tokens t LEFT JOIN token_uses u ON u.token = t.id WHERE t.id = $1 AND t.organization = $2"
    ),
);
const LIST: Statement = Statement::read(
    "token.list",
    concat!(
        "SELECT ",
        view!(),
        " FROM tokens t LEFT JOIN token_uses u ON u.token = t.id \
         WHERE t.organization = $1 AND t.id > $2 ORDER BY t.id LIMIT $3"
    ),
);
const LIST_OF_HOLDER: Statement = Statement::read(
    "token.list_of_holder",
    concat!(
        "SELECT ",
        view!(),
        " FROM tokens t LEFT JOIN token_uses u ON u.token = t.id \
         WHERE t.organization = $1 AND t.holder = $4 AND t.id > $2 ORDER BY t.id LIMIT $3"
    ),
);
const LIST_OF_KIND: Statement = Statement::read(
    "token.list_of_kind",
    concat!(
        "SELECT ",
        view!(),
        " FROM tokens t LEFT JOIN token_uses u ON u.token = t.id \
         WHERE t.organization = $1 AND t.holder = $4 AND t.kind = $5 AND t.id > $2 ORDER BY t.id LIMIT $3"
    ),
);

// In two halves, for each of which the index begins where what has run out ends.
const COUNT_LIVING: Statement = Statement::read(
    "token.count_living",
    "SELECT COUNT(*) FROM (SELECT id FROM (SELECT id FROM tokens WHERE holder = $2 AND kind = $3 AND organization = $1 \
     AND ended_at IS NULL AND expires_at IS NULL LIMIT $5) lasting UNION ALL \
     SELECT id FROM (SELECT id FROM tokens WHERE holder = $2 AND kind = $3 AND organization = $1 \
     AND ended_at IS NULL AND expires_at > $4 LIMIT $5) running) living",
);
const LIVING_SESSIONS: Statement = Statement::read(
    "token.living_sessions",
    "SELECT id FROM tokens WHERE holder = $2 AND kind = 'session' AND organization = $1 \
     AND ended_at IS NULL AND expires_at > $3 ORDER BY expires_at, id LIMIT $4",
);

// How far the session `p` is believed that issued `t`: as far as the password or the link that opened that, now; else as far as
// it was believed then. A check (`bearer`), what may be issued and what an agent keeps (`leaver`) all ask by these words.
macro_rules! believed {
    () => {
        "CASE WHEN p.kind = 'session' AND p.connection IS NULL THEN k.believed_up_to \
         ELSE COALESCE(l.believed_up_to, t.believed_up_to) END"
    };
}
pub(crate) use believed;

// That session, whose it is, the link that opened it, and its connection, if its provider waited for an owner when it did.
macro_rules! issuer {
    () => {
        "LEFT JOIN tokens p ON p.id = t.parent AND p.organization = t.organization \
         LEFT JOIN connections s ON s.id = p.connection AND s.organization = t.organization \
         AND s.unconfirmed_at <= p.issued_at \
         LEFT JOIN links l ON l.connection = p.connection AND l.subject = p.subject AND l.membership = p.membership \
         AND l.organization = t.organization \
         LEFT JOIN memberships k ON k.id = p.membership AND k.organization = t.organization"
    };
}
pub(crate) use issuer;

// Who saw the secret of `t`, how high whoever chose the provider stood that waited, and how far the session is believed.
macro_rules! seen {
    () => {
        concat!(
            "t.shown_to, p.membership, s.chosen_from, ",
            $crate::token::believed!(),
            " FROM tokens t ",
            $crate::token::issuer!()
        )
    };
}
pub(crate) use seen;

const OF_DIRECTORY_SINCE: Statement = Statement::read(
    "token.of_directory_since",
    concat!(
        "SELECT t.id, ",
        seen!(),
        " WHERE t.holder = $2 AND t.organization = $1 AND t.kind = 'scim_token' \
         AND t.shown_to IS NOT NULL AND (t.ended_at IS NULL OR t.ended_at > $3) \
         AND (t.expires_at IS NULL OR t.expires_at > $3) AND t.id > $4 ORDER BY t.id LIMIT $5"
    ),
);
const SEEN_BY: Statement =
    Statement::read("token.seen_by", concat!("SELECT ", seen!(), " WHERE t.id = $1 AND t.organization = $2"));
const USED: Statement = Statement::note(
    "token.used",
    "INSERT INTO token_uses (token, last_used_at) VALUES ($1, $2) \
     ON CONFLICT (token) DO UPDATE SET last_used_at = excluded.last_used_at \
     WHERE token_uses.last_used_at < excluded.last_used_at",
);
const LIVE_BY_HASH: Statement = Statement::read(
    "token.live_by_hash",
    "SELECT id, organization, kind, membership, expires_at FROM tokens WHERE secret_hash = $1 AND ended_at IS NULL",
);

pub(crate) const ALL: &[&Statement] = &[
    &INSERT,
    &ACTIVE_MEMBER,
    &ACTIVE_AGENT,
    &LOCK_MEMBER,
    &LOCK_OWNER,
    &END_ONE,
    &END_OF_LEAVER,
    &END_OF_AGENT,
    &END_OF_DIRECTORY,
    &END_OF_CONNECTION,
    &NAME_ANEW,
    &END_OF_MEMBER_BY,
    &END_INVITATIONS_OF,
    &END_OF_ORGANIZATION,
    &FIND,
    &LIST,
    &LIST_OF_HOLDER,
    &LIST_OF_KIND,
    &COUNT_LIVING,
    &LIVING_SESSIONS,
    &OF_DIRECTORY_SINCE,
    &SEEN_BY,
    &USED,
    &LIVE_BY_HASH,
];

/// A token as the API lists it: everything but its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    /// Its id.
    pub id: TokenId,
    /// Its kind.
    pub kind: TokenKind,
    /// Whose it is.
    pub holder: Holder,
    /// Whom its secret was shown to.
    pub shown_to: ShownTo,
    /// Its name.
    pub name: String,
    /// Where it may act.
    pub environment: Option<Slug>,
    /// What a service key may ask.
    pub scopes: Vec<Scope>,
    /// The connection that a session came in by.
    pub connection: Option<ConnectionId>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub ended_because: Option<TokenEnd>,
    /// By which event.
    pub ended_by_event: Option<EventId>,
}

impl From<&Token> for TokenView {
    /// As it is listed while nobody has used it.
    fn from(token: &Token) -> Self {
        let ended = token.ended.as_ref();
        Self {
            id: token.id,
            kind: token.kind,
            holder: token.holder,
            shown_to: token.shown_to,
            name: token.name.clone(),
            environment: token.environment.clone(),
            scopes: token.scopes.clone(),
            connection: token.connection,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            last_used_at: None,
            ended_at: ended.map(|end| end.at),
            ended_because: ended.map(|end| end.because),
            ended_by_event: ended.map(|end| end.by),
        }
    }
}

/// Who saw a secret beside whoever holds it, and what that is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The members whom it was shown to, and who have the token that it was issued by.
    pub by: Vec<MembershipId>,
    /// How far the session is believed that issued it: somebody else may have chosen its password or its provider, or named the
    /// account.
    pub believed_up_to: Rank,
}

/// A row that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndedToken {
    pub(crate) id: TokenId,
    pub(crate) kind: TokenKind,
    pub(crate) holder: Holder,
}

/// Whom a secret was shown to: the member, if it was one, stands before what it was.
fn shown_to(columns: &mut Columns<'_>) -> Result<ShownTo, StoreError> {
    let member = columns.read(Row::opt_parsed)?;
    columns.read(|row, column| row.one_of(column, |kind| ShownTo::read(kind, member)))
}

fn read(row: &Row) -> Result<TokenView, StoreError> {
    let mut columns = row.columns();
    let view = TokenView {
        id: columns.read(Row::parsed)?,
        kind: columns.read(Row::parsed)?,
        holder: columns.read(Row::parsed)?,
        shown_to: shown_to(&mut columns)?,
        name: columns.read(Row::text)?.to_owned(),
        environment: columns.read(Row::opt_parsed)?,
        scopes: columns.read(Row::json)?,
        connection: columns.read(Row::opt_parsed)?,
        issued_at: columns.read(Row::at)?,
        expires_at: columns.read(Row::opt_at)?,
        last_used_at: columns.read(Row::opt_at)?,
        ended_at: columns.read(Row::opt_at)?,
        ended_because: columns.read(Row::opt_parsed)?,
        ended_by_event: columns.read(Row::opt_parsed)?,
    };
    columns.done()?;
    if view.ended_at.is_some() && view.ended_because.is_none() {
        return Err(StoreError::Inconsistent(format!("token `{}` ended without a reason", view.id)));
    }
    Ok(view)
}

/// Writes a token, if what it would act as is active now (the third lock of off-boarding).
fn issue(tx: &mut Tx<'_>, token: &Token) -> Result<(), StoreError> {
    let (membership, agent): (Option<MembershipId>, Option<AgentId>) = match token.holder {
        Holder::Membership(id) => (Some(id), None),
        Holder::Agent(id) => (None, Some(id)),
        Holder::Directory(_) | Holder::Organization(_) => (None, None),
    };
    if let Some(id) = membership {
        tx.lock_members(&LOCK_MEMBER, params![id, token.organization])?;
        // A link is for somebody who is not active yet.
        let also = match token.kind {
            TokenKind::Invitation | TokenKind::OwnerLink => "invited",
            _ => "active",
        };
        tx.row(&ACTIVE_MEMBER, params![id, token.organization, also])?.ok_or(StoreError::NotActive)?;
    }
    if let Some(id) = agent {
        tx.lock_members(&LOCK_OWNER, params![id, token.organization])?;
        tx.row(&ACTIVE_AGENT, params![id, token.organization])?.ok_or(StoreError::NotActive)?;
    }
    tx.run(
        &INSERT,
        params![
            token.id,
            token.organization,
            token.kind.as_str(),
            token.holder.kind(),
            token.holder,
            membership,
            agent,
            token.parent,
            token.shown_to.kind(),
            token.shown_to.membership(),
            token.secret.as_str(),
            token.name,
            token.environment,
            to_json(&token.scopes)?,
            token.connection,
            token.subject,
            token.believed_up_to.number(),
            token.address_key,
            token.issued_at,
            token.expires_at,
            token.max_idle_s,
            token.confined_at,
        ],
    )?;
    Ok(())
}

/// What a member's sessions came by at a connection is another subject of the same account from now on: they, and what they
/// issued, are believed as far as its link.
pub(crate) fn name_anew(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (membership, connection): (MembershipId, ConnectionId),
    (from, to): (&str, &str),
) -> Result<(), StoreError> {
    tx.run(&NAME_ANEW, params![to, organization, membership, connection, from])?;
    Ok(())
}

/// Carries out a change; the rows that ended by it.
pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &TokenChange,
    event: EventId,
) -> Result<Vec<EndedToken>, StoreError> {
    let (set, because, at) = match change {
        TokenChange::Issue(token) => return issue(tx, token).map(|()| Vec::new()),
        TokenChange::End { set, because, at, receipt: _ } => (set, because, at),
    };
    let because = because.as_str();
    let since = set.spares_until(*at);
    let rows = match set {
        TokenSet::One(id) => tx.rows(&END_ONE, params![at, because, event, organization, id])?,
        TokenSet::OfLeaver(id, emails) => {
            tx.rows(&END_OF_LEAVER, params![at, because, event, organization, id, list(emails), since])?
        }
        TokenSet::OfAgent(id) => {
            tx.rows(&END_OF_AGENT, params![at, because, event, organization, id, since])?
        }
        TokenSet::OfDirectory(id) => {
            tx.rows(&END_OF_DIRECTORY, params![at, because, event, organization, id])?
        }
        TokenSet::OfConnection(id) => {
            tx.rows(&END_OF_CONNECTION, params![at, because, event, organization, id, since])?
        }
        TokenSet::OfMemberBy(id, by) => {
            tx.rows(&END_OF_MEMBER_BY, params![at, because, event, organization, id, by, since])?
        }
        TokenSet::InvitationsOf(id) => {
            tx.rows(&END_INVITATIONS_OF, params![at, because, event, organization, id])?
        }
        TokenSet::OfOrganization(_) => {
            tx.rows(&END_OF_ORGANIZATION, params![at, because, event, organization, since])?
        }
    };
    rows.iter()
        .map(|row| Ok(EndedToken { id: row.parsed(0)?, kind: row.parsed(1)?, holder: row.parsed(2)? }))
        .collect()
}

/// A token of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: TokenId,
) -> Result<Option<TokenView>, StoreError> {
    tx.row(&FIND, params![id, organization])?.as_ref().map(read).transpose()
}

/// A page of tokens in order of id; of one holder, if one is named.
///
/// # Errors
/// As [`find`].
pub fn list_page(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    holder: Option<Holder>,
    after: &str,
    limit: i64,
) -> Result<Vec<TokenView>, StoreError> {
    let rows = match holder {
        None => tx.rows(&LIST, params![organization, after, limit])?,
        Some(holder) => tx.rows(&LIST_OF_HOLDER, params![organization, after, limit, holder])?,
    };
    rows.iter().map(read).collect()
}

/// A page of a holder's tokens of one kind in order of id, ended ones too.
///
/// # Errors
/// As [`find`].
pub fn list_of_kind(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (holder, kind): (Holder, TokenKind),
    after: &str,
    limit: i64,
) -> Result<Vec<TokenView>, StoreError> {
    let kind = kind.as_str();
    tx.rows(&LIST_OF_KIND, params![organization, after, limit, holder, kind])?.iter().map(read).collect()
}

/// How many tokens of one kind a holder has that can act; counted no further than `most`.
///
/// # Errors
/// As [`find`].
pub fn count_living(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (holder, kind): (Holder, TokenKind),
    most: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let row = tx.row(&COUNT_LIVING, params![organization, holder, kind.as_str(), now, most])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// The sessions of a member that have not run out, those first that end first; `limit` at most.
///
/// # Errors
/// As [`find`].
pub fn living_sessions(
    tx: &mut Tx<'_>,
    (organization, of): (OrganizationId, MembershipId),
    limit: i64,
    now: Timestamp,
) -> Result<Vec<TokenId>, StoreError> {
    tx.rows(&LIVING_SESSIONS, params![organization, of, now, limit])?
        .iter()
        .map(|row| row.parsed(0))
        .collect()
}

/// A page of a directory's tokens that were good at that instant or later and were shown to a member, with who saw them, in
/// order of id.
///
/// # Errors
/// As [`find`].
pub fn of_directory_since(
    tx: &mut Tx<'_>,
    (organization, directory): (OrganizationId, DirectoryId),
    since: Timestamp,
    (after, limit): (&str, i64),
) -> Result<Vec<(TokenId, Seen)>, StoreError> {
    let rows = tx.rows(&OF_DIRECTORY_SINCE, params![organization, directory, since, after, limit])?;
    rows.iter().map(|row| Ok((row.parsed(0)?, read_seen(row, 1)?))).collect()
}

/// Who saw a token's secret; nothing of an unknown one.
///
/// # Errors
/// As [`find`].
pub fn seen_by(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: TokenId,
) -> Result<Option<Seen>, StoreError> {
    tx.row(&SEEN_BY, params![id, organization])?.map(|row| read_seen(&row, 0)).transpose()
}

/// What [`seen!`] selects, from that column on.
pub(crate) fn read_seen(row: &Row, first: usize) -> Result<Seen, StoreError> {
    let who = [first, first + 1].into_iter().filter_map(|column| row.opt_parsed(column).transpose());
    let by = who.collect::<Result<_, _>>()?;
    let chosen_from = row.opt_rank(first + 2)?.unwrap_or(Rank::ROOT);
    Ok(Seen { by, believed_up_to: row.rank(first + 3)?.min(chosen_from) })
}

/// Notes when tokens were last used.
///
/// # Errors
/// As [`find`].
pub fn note_uses(tx: &mut Tx<'_>, uses: &[(TokenId, Timestamp)]) -> Result<(), StoreError> {
    for (token, at) in uses {
        tx.run(&USED, params![token, at])?;
    }
    Ok(())
}

/// A link or key that has not ended, for whoever presents its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveToken {
    /// Its id.
    pub id: TokenId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its kind.
    pub kind: TokenKind,
    /// The membership that it is about.
    pub membership: Option<MembershipId>,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
}

/// A token that has not ended, by the hash of its secret.
///
/// # Errors
/// As [`find`].
pub fn live_by_hash(
    tx: &mut Tx<'_>,
    hash: &portcullis_domain::secret::SecretHash,
) -> Result<Option<LiveToken>, StoreError> {
    let Some(row) = tx.row(&LIVE_BY_HASH, params![hash.as_str()])? else { return Ok(None) };
    Ok(Some(LiveToken {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        kind: row.parsed(2)?,
        membership: row.opt_parsed(3)?,
        expires_at: row.opt_at(4)?,
    }))
}

#[cfg(test)]
mod tests {
    use portcullis_domain::token::TokenKind;

    #[test]
    fn what_outlives_whom_it_was_shown_to_is_the_same_in_sql() {
        for kind in TokenKind::ALL {
            let is_named = outliving!().contains(&format!("'{}'", kind.as_str()));
            assert_eq!(is_named, kind.outlives_whom_it_was_shown_to(), "{kind:?}");
        }
    }
}
