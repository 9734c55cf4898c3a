//! The product side: commands given to the real use cases, on a real database, in one transaction each.

mod arriving;
mod braking;
mod deletion;
mod saying;

use std::sync::Arc;

use portcullis_domain::Timestamp;
use portcullis_domain::agent::AgentOrder;
use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::change::{
    Change, DirectoryChange, DomainChange, GrantChange, MappingChange, MembershipChange, RoleChange,
    TokenChange, TokenSet, UserChange,
};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{
    AgentId, ConnectionId, DirectoryGroupId, DirectoryId, DirectoryUserId, DomainId, GrantId, MappingId,
    MembershipId, OrganizationId, RequestId, RoleId, TokenId, UserId,
};
use portcullis_domain::mapping::{Gives, Mapping, MappingSource};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::permission::Permission;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Giving, Rank, Role};
use portcullis_domain::secret::TokenSecret;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, ShownTo, Token, TokenEnd, TokenKind};
use portcullis_domain::user::{AuthenticatorKind, User};
use portcullis_service::caller::{Caller, Member};
use portcullis_service::directory::{self, DirectoryChanges, Nesting};
use portcullis_service::mapping::{self as rule, NewMapping};
use portcullis_service::member_key::NewKey;
use portcullis_service::membership::Suspension;
use portcullis_service::noun::Noun;
use portcullis_service::rules::after_rule_change;
use portcullis_service::{
    Moment, ServiceError, access, agent, environment, member_key, membership, organization, team, token,
};
use portcullis_store::db::Lock;
use portcullis_store::{Tx, facts, mapping};
use portcullis_testkit::Bench;

use super::command::{About, Command, DIRECTORIES, ORGANIZATIONS, Order};
use super::model::{KEY_LIFE_S, Model, SETTLE_S, automatic};
use saying::{called, key_of, name_of};

/// The domain that the first organization proved; everybody has an address there.
pub(crate) const DOMAIN: &str = "acme.test";
/// The most memberships that a change of rules touches here.
const MAX_TOUCHED: i64 = 500;
/// When every run begins.
const START_S: i64 = 1_800_000_000;

/// One thing that everybody can be asked about by its number in the model.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ids {
    pub(crate) organizations: Vec<OrganizationId>,
    pub(crate) directories: Vec<Vec<DirectoryId>>,
    /// The connection of the first organization.
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) groups: std::collections::BTreeMap<(usize, usize, usize), DirectoryGroupId>,
    pub(crate) members: Vec<MembershipId>,
    pub(crate) told: Vec<DirectoryUserId>,
    pub(crate) mappings: Vec<MappingId>,
    pub(crate) grants: Vec<GrantId>,
    pub(crate) agents: Vec<AgentId>,
    pub(crate) tokens: Vec<(TokenId, String)>,
}

/// What came to be by a command.
enum Made {
    Nothing,
    Told(DirectoryUserId, MembershipId),
    Group((usize, usize, usize), DirectoryGroupId),
    Mapping(MappingId),
    Grants(Vec<GrantId>),
    Member(MembershipId, Option<(TokenId, String)>),
    Arrived(DirectoryUserId, MembershipId, Option<(TokenId, String)>),
    Agent(AgentId),
    Token(TokenId, String),
}

pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) ids: Ids,
    runtime: tokio::runtime::Runtime,
}

pub(crate) fn address(person: usize) -> String {
    format!("p{person}@{DOMAIN}")
}

fn source(about: About) -> MappingSource {
    match about {
        About::Key(key) => MappingSource::GroupExternalId(key_of(key)),
        About::Name(name) => MappingSource::GroupDisplayName(name_of(name)),
        About::Title(title) => MappingSource::Attribute {
            name: "Title".to_owned(),
            name_key: "title".to_owned(),
            value: called(title),
        },
    }
}

/// The cause of what an administrator asks for here.
fn by_api(moment: &mut Moment) -> Cause {
    Cause {
        kind: CauseKind::Api,
        actor: Actor::Root,
        token: None,
        request: Some(RequestId::fresh(moment.now, &mut moment.random)),
        event: None,
        directory: None,
    }
}

fn write(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    (action, target): (Action, Target),
    changes: Vec<Change>,
    cause: Cause,
) -> Result<(), ServiceError> {
    let plan = Plan::because(organization, cause).then_all(EventDraft::new(action, target), changes);
    moment.apply(tx, &plan)?;
    Ok(())
}

impl World {
    /// Two organizations with two directories each; the first has proved its domain.
    pub(crate) fn new(bench: Bench) -> Self {
        bench.clock.set(Timestamp::from_seconds(START_S));
        let around = bench.portcullis().around().clone();
        let ids = bench.write(move |tx, moment| {
            let mut ids = Ids::default();
            for org in 0..ORGANIZATIONS {
                let slug: Slug = format!("org-{org}").parse()?;
                let made = organization::create(tx, moment, slug, "Acme", Cause::system())?;
                // Each of what follows would share its rules, and a connection wants it alone.
                tx.lock(Lock::Organization(made.id))?;
                let mut directories = Vec::new();
                for settle_s in &SETTLE_S[..DIRECTORIES] {
                    directories.push(new_directory(moment, made.id, *settle_s));
                }
                // The first directory is the one of the lower id: it governs where both speak at once.
                directories.sort_by_key(|d| d.id);
                for (directory, settle_s) in directories.iter_mut().zip(SETTLE_S) {
                    directory.settle_s = settle_s;
                    let target = directory.id.into();
                    let change = DirectoryChange::Create(directory.clone()).into();
                    let cause = Cause::system();
                    write(tx, moment, made.id, (Action::DirectoryCreated, target), vec![change], cause)?;
                }
                let role = break_glass(moment, made.id)?;
                let target = role.id.into();
                let change = RoleChange::Create(role).into();
                write(tx, moment, made.id, (Action::RoleCreated, target), vec![change], Cause::system())?;
                for called in ["core", "edge"] {
                    team::create(tx, moment, made.id, (called, called), Cause::system())?;
                }
                environment::create(tx, moment, made.id, ("staging", "Staging"), Cause::system())?;
                ids.organizations.push(made.id);
                ids.directories.push(directories.iter().map(|d| d.id).collect());
            }
            let domain = proven(moment, ids.organizations[0]);
            let target = domain.id.into();
            let changes = vec![
                DomainChange::Add(Domain { state: DomainState::Pending, proven_at: None, ..domain.clone() })
                    .into(),
                DomainChange::Prove(domain.id, moment.now).into(),
            ];
            write(tx, moment, domain.organization, (Action::DomainProven, target), changes, Cause::system())?;
            let (connection, claims) = arriving::connection(tx, moment, (&around, ids.organizations[0]))?;
            ids.connection = Some(connection);
            ids.directories[0].push(claims);
            Ok(ids)
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { bench, ids, runtime }
    }

    pub(crate) fn start_s() -> i64 {
        START_S
    }

    /// Sets the time.
    pub(crate) fn set_time(&self, now_s: i64) {
        self.bench.clock.set(Timestamp::from_seconds(now_s));
    }

    /// Runs the job that ends what has settled.
    pub(crate) fn run_job(&self) {
        self.runtime.block_on(self.bench.portcullis().step_rules()).expect("the job's step");
    }

    /// Numbers and signs what waits.
    pub(crate) fn sign(&self) {
        self.runtime.block_on(self.bench.portcullis().sign_all()).expect("the sequencer's step");
    }

    fn try_write<T: Send + 'static>(
        &self,
        mut run: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let portcullis = self.bench.portcullis().clone();
        let store = Arc::clone(&portcullis.around().store);
        store.write_blocking(move |tx| run(tx, &mut portcullis.moment()))
    }

    /// The member who asks, with every permission, or the root token.
    fn caller(&self, asker: Option<usize>, organization: OrganizationId) -> Caller {
        let Some(m) = asker else { return Caller::Root };
        Caller::Member(Member {
            // Which of their tokens they present makes no difference here.
            token: "tok_00000000000000000000000000000001".parse().expect("an id"),
            kind: TokenKind::MemberKey,
            organization,
            membership: self.ids.members[m],
            shown_to: vec![],
            expires_at: None,
            confined_to: None,
            came_by: None,
            chosen_from: None,
            believed_up_to: Rank::ROOT,
            role: Some(Slug::owner()),
            rank: Rank::OWNER,
            permissions: Permission::ALL.iter().copied().collect(),
            teams: vec![],
        })
    }

    /// Gives a command to the product. `before` is the model as it was, which says what the numbers mean.
    pub(crate) fn carry_out(&mut self, command: &Command, before: &Model) -> Result<(), ServiceError> {
        match self.give(command, before)? {
            Made::Nothing => {}
            Made::Told(user, member) => {
                self.ids.told.push(user);
                if !self.ids.members.contains(&member) {
                    self.ids.members.push(member);
                }
            }
            Made::Group(place, id) => {
                self.ids.groups.insert(place, id);
            }
            Made::Mapping(id) => self.ids.mappings.push(id),
            Made::Grants(ids) => self.ids.grants.extend(ids),
            Made::Member(id, token) => {
                self.ids.members.push(id);
                self.ids.tokens.extend(token);
            }
            Made::Arrived(user, member, token) => {
                if !self.ids.told.contains(&user) {
                    self.ids.told.push(user);
                    self.ids.members.push(member);
                }
                self.ids.tokens.extend(token);
            }
            Made::Agent(id) => self.ids.agents.push(id),
            Made::Token(id, secret) => self.ids.tokens.push((id, secret)),
        }
        Ok(())
    }

    fn give(&self, command: &Command, model: &Model) -> Result<Made, ServiceError> {
        match command {
            Command::Pass(_) => Ok(Made::Nothing),
            Command::Tell { .. }
            | Command::Say { .. }
            | Command::Boast { .. }
            | Command::Title { .. }
            | Command::Delete { .. }
            | Command::MakeGroup { .. }
            | Command::Rename { .. }
            | Command::Rekey { .. }
            | Command::DropGroup { .. }
            | Command::Join { .. }
            | Command::Leave { .. }
            | Command::Nest { .. }
            | Command::Unnest { .. }
            | Command::ReplaceNested { .. }
            | Command::Replace { .. } => self.say(command, model),
            Command::Brake { org, directory, full } => self.brake(*org, *directory, *full),
            Command::Decide { .. } => self.decide(command, model),
            Command::Nesting { org, directory, counts } => self.nesting(*org, *directory, *counts),
            Command::DropDirectory { .. } => self.drop_directory(command, model),
            Command::Map { .. }
            | Command::Unmap { .. }
            | Command::Remap { .. }
            | Command::Default { .. }
            | Command::Grant { .. }
            | Command::EndGrant { .. } => self.rule(command, model),
            Command::Suspend { member } => self.suspend(model, *member, Suspension::Suspend),
            Command::Restore { member } => self.suspend(model, *member, Suspension::Lift),
            Command::OffBoard { member } => {
                let (m, org) = self.who(model, *member);
                self.try_write(move |tx, moment| {
                    let cause = by_api(moment);
                    membership::off_board(tx, moment, &Caller::Root, (org, m), "left", cause)?;
                    Ok(Made::Nothing)
                })
            }
            Command::Arrive { person, grouped } => self.arrive(*person, *grouped),
            Command::Invite { .. }
            | Command::Accept { .. }
            | Command::Add { .. }
            | Command::SetPassword { .. } => self.come(command, model),
            Command::MemberKey { .. } | Command::Session { .. } | Command::Revoke { .. } => {
                self.hold(command, model)
            }
            Command::MakeAgent { .. }
            | Command::AgentKey { .. }
            | Command::OrderAgent { .. }
            | Command::Assign { .. } => self.run_agent(command, model),
        }
    }

    /// A member by number, and the organization.
    fn who(&self, model: &Model, n: usize) -> (MembershipId, OrganizationId) {
        let m = model.member(n).expect("the model found one");
        (self.ids.members[m], self.ids.organizations[model.members[m].org])
    }

    fn suspend(&self, model: &Model, member: usize, wish: Suspension) -> Result<Made, ServiceError> {
        let (m, org) = self.who(model, member);
        self.try_write(move |tx, moment| {
            let cause = by_api(moment);
            membership::set_suspension(tx, moment, &Caller::Root, (org, m), wish, cause)?;
            Ok(Made::Nothing)
        })
    }

    fn nesting(&self, org: usize, directory: usize, counts: bool) -> Result<Made, ServiceError> {
        let (organization, id) = (self.ids.organizations[org], self.ids.directories[org][directory]);
        let nesting = if counts { Nesting::On } else { Nesting::Off };
        let changes = DirectoryChanges { nesting: Some(nesting), ..DirectoryChanges::default() };
        self.try_write(move |tx, moment| {
            let cause = by_api(moment);
            directory::update(tx, moment, &Caller::Root, organization, (id, &changes), cause)?;
            Ok(Made::Nothing)
        })
    }

    fn rule(&self, command: &Command, model: &Model) -> Result<Made, ServiceError> {
        match command.clone() {
            Command::Map { org, directory, about, gives } => {
                let (organization, directory) =
                    (self.ids.organizations[org], self.ids.directories[org][directory]);
                let source = source(about);
                if gives.role.is_none_or(automatic) {
                    return self.try_write(move |tx, moment| {
                        let wish = NewMapping {
                            directory: directory.to_string(),
                            source: source.clone(),
                            role: gives.role.map(str::to_owned),
                            team: gives.team.map(|(slug, role)| (slug.to_owned(), role)),
                            environment: gives.environment.map(str::to_owned),
                        };
                        let cause = by_api(moment);
                        let made = rule::create(tx, moment, &Caller::Root, organization, &wish, cause)?.0;
                        Ok(Made::Mapping(made.id))
                    });
                }
                // Nobody can map these: the row gets there past the use case.
                self.try_write(move |tx, moment| {
                    let made = Mapping {
                        id: MappingId::fresh(moment.now, &mut moment.random),
                        organization,
                        directory,
                        source: source.clone(),
                        gives: Gives {
                            role: gives.role.map(str::parse).transpose()?,
                            team: gives.team.map(|(t, r)| t.parse().map(|t| (t, r))).transpose()?,
                            environment: gives.environment.map(str::parse).transpose()?,
                        },
                        created_at: moment.now,
                    };
                    let (id, source) = (made.id, made.source.clone());
                    let cause = by_api(moment);
                    tx.lock(portcullis_store::db::Lock::Organization(organization))?;
                    let change = MappingChange::Create(Box::new(made)).into();
                    let target = (Action::MappingCreated, id.into());
                    write(tx, moment, organization, target, vec![change], cause)?;
                    let touched = mapping::affected(tx, directory, &source, MAX_TOUCHED)?;
                    after_rule_change(tx, moment, organization, &touched, cause)?;
                    Ok(Made::Mapping(id))
                })
            }
            Command::Unmap { mapping: n } => {
                let m = model.mapping(n).expect("the model found one");
                let id = self.ids.mappings[m];
                let organization = self.ids.organizations[model.mappings[m].org];
                self.try_write(move |tx, moment| {
                    let cause = by_api(moment);
                    rule::delete(tx, moment, &Caller::Root, organization, id, cause)?;
                    Ok(Made::Nothing)
                })
            }
            Command::Remap { mapping: n, directory, about } => {
                let m = model.mapping(n).expect("the model found one");
                let (id, org) = (self.ids.mappings[m], model.mappings[m].org);
                let (organization, directory) =
                    (self.ids.organizations[org], self.ids.directories[org][directory].to_string());
                self.try_write(move |tx, moment| {
                    let cause = by_api(moment);
                    let (directory, source) = (directory.clone(), source(about));
                    let changed = |was| Ok(NewMapping { directory, source, ..was });
                    rule::update(tx, moment, &Caller::Root, organization, (id, changed), cause)?;
                    Ok(Made::Nothing)
                })
            }
            Command::Default { org, directory, role } => {
                let (organization, directory) =
                    (self.ids.organizations[org], self.ids.directories[org][directory]);
                self.try_write(move |tx, moment| {
                    tx.lock(portcullis_store::db::Lock::Organization(organization))?;
                    let mut found = portcullis_store::directory::find(tx, organization, directory)?
                        .ok_or(ServiceError::NotFound(Noun::Directory))?;
                    found.default_role = role.map(str::parse).transpose()?;
                    let cause = by_api(moment);
                    let target = (Action::DirectoryUpdated, directory.into());
                    let change = DirectoryChange::Update(found).into();
                    write(tx, moment, organization, target, vec![change], cause)?;
                    let touched = mapping::affected_by_directory(tx, directory, MAX_TOUCHED)?;
                    after_rule_change(tx, moment, organization, &touched, cause)?;
                    Ok(Made::Nothing)
                })
            }
            Command::Grant { member, role } => {
                let (m, organization) = self.who(model, member);
                self.try_write(move |tx, moment| {
                    let cause = by_api(moment);
                    let grant = Grant {
                        id: GrantId::fresh(moment.now, &mut moment.random),
                        organization,
                        membership: m,
                        role: role.parse()?,
                        granted_by: None,
                        reason: "it is theirs".into(),
                        request: cause.request,
                        created_at: moment.now,
                        ended_at: None,
                    };
                    let id = grant.id;
                    let target = (Action::GrantCreated, id.into());
                    write(tx, moment, organization, target, vec![GrantChange::Create(grant).into()], cause)?;
                    access::settle(tx, moment, m, cause)?;
                    Ok(Made::Grants(vec![id]))
                })
            }
            Command::EndGrant { grant } => {
                let g = model.grant(grant).expect("the model found one");
                let (id, (m, organization)) = (self.ids.grants[g], self.who(model, model.grants[g].member));
                self.try_write(move |tx, moment| {
                    let cause = by_api(moment);
                    let change = GrantChange::End(id, moment.now).into();
                    let target = (Action::GrantEnded, id.into());
                    write(tx, moment, organization, target, vec![change], cause)?;
                    access::settle(tx, moment, m, cause)?;
                    Ok(Made::Nothing)
                })
            }
            _ => unreachable!("no rule"),
        }
    }

    fn come(&self, command: &Command, model: &Model) -> Result<Made, ServiceError> {
        match *command {
            Command::Invite { org, person } => {
                let organization = self.ids.organizations[org];
                self.try_write(move |tx, moment| invite(tx, moment, organization, person))
            }
            Command::Accept { token } => {
                let t = model.token(token).expect("the model found one");
                let (id, row) = (self.ids.tokens[t].0, &model.tokens[t]);
                let super::model::Holder::Member(m) = row.holder else { unreachable!("an invitation") };
                let (m, organization) = (self.ids.members[m], self.ids.organizations[row.org]);
                self.try_write(move |tx, moment| {
                    let cause = by_api(moment);
                    let changes = vec![
                        MembershipChange::Join(m, moment.now).into(),
                        TokenChange::ended(TokenSet::One(id), TokenEnd::Used, moment.now).into(),
                    ];
                    let target = (Action::MemberJoined, m.into());
                    write(tx, moment, organization, target, changes, cause)?;
                    access::settle(tx, moment, m, cause)?;
                    Ok(Made::Nothing)
                })
            }
            Command::Add { org, member } => {
                let (m, home) = self.who(model, member);
                let organization = self.ids.organizations[org];
                self.try_write(move |tx, moment| {
                    let found = portcullis_store::membership::find(tx, home, m)?;
                    let user = found.ok_or(ServiceError::NotFound(Noun::Member))?.user;
                    let cause = by_api(moment);
                    let made = membership::add(tx, moment, organization, user, cause)?;
                    Ok(Made::Member(made.id, None))
                })
            }
            Command::SetPassword { member } => {
                let (m, organization) = self.who(model, member);
                self.try_write(move |tx, moment| {
                    let found = portcullis_store::membership::find(tx, organization, m)?;
                    let user = found.ok_or(ServiceError::NotFound(Noun::Member))?.user;
                    let change = UserChange::SetAuthenticator {
                        user,
                        kind: AuthenticatorKind::Password,
                        secret: "$argon2id$…".into(),
                        email_key: format!("{user}@local.test"),
                        at: moment.now,
                    };
                    let (cause, target) = (by_api(moment), user.into());
                    write(
                        tx,
                        moment,
                        organization,
                        (Action::PasswordSet, target),
                        vec![change.into()],
                        cause,
                    )?;
                    Ok(Made::Nothing)
                })
            }
            _ => unreachable!("nobody comes"),
        }
    }

    fn hold(&self, command: &Command, model: &Model) -> Result<Made, ServiceError> {
        match *command {
            Command::MemberKey { member, by, staging, expires } => {
                let (m, org) = self.who(model, member);
                let asker = model.asker(by, model.members[model.member(member).expect("found")].org);
                let caller = self.caller(asker, org);
                self.try_write(move |tx, moment| {
                    let wish = NewKey {
                        name: "laptop".into(),
                        environment: if staging { Some("staging".parse()?) } else { None },
                        expires_at: expires.then(|| moment.now.plus_s(KEY_LIFE_S)),
                    };
                    let cause = by_api(moment);
                    let issued = member_key::issue(tx, moment, &caller, (org, m), &wish, cause)?;
                    Ok(Made::Token(issued.token.id, issued.secret.expose().to_owned()))
                })
            }
            Command::Session { member } => {
                let (m, org) = self.who(model, member);
                self.try_write(move |tx, moment| {
                    let (id, secret) = issue(tx, moment, org, (TokenKind::Session, m), None)?;
                    Ok(Made::Token(id, secret))
                })
            }
            Command::Revoke { token: n } => {
                let t = model.token(n).expect("the model found one");
                let (id, org) = (self.ids.tokens[t].0, self.ids.organizations[model.tokens[t].org]);
                self.try_write(move |tx, moment| {
                    let cause = by_api(moment);
                    token::revoke(tx, moment, &Caller::Root, (org, id), cause)?;
                    Ok(Made::Nothing)
                })
            }
            _ => unreachable!("no token"),
        }
    }

    fn run_agent(&self, command: &Command, model: &Model) -> Result<Made, ServiceError> {
        let of = |n: usize| {
            let a = model.agent(n).expect("the model found one");
            (self.ids.agents[a], self.ids.organizations[model.agents[a].org], model.agents[a].org)
        };
        match *command {
            Command::MakeAgent { owner, heir, rule, by, staging } => {
                let o = model.member(owner).expect("the model found one");
                let (owner, org) = self.who(model, owner);
                let heir = model.heir(o, heir).map(|h| self.ids.members[h]);
                let caller = self.caller(model.asker(by, model.members[o].org), org);
                self.try_write(move |tx, moment| {
                    let wish = agent::NewAgent {
                        name: "builder".into(),
                        owner,
                        environment: if staging { Some("staging".parse()?) } else { None },
                        heir,
                        on_owner_loss: rule,
                    };
                    let cause = by_api(moment);
                    Ok(Made::Agent(agent::create(tx, moment, &caller, org, &wish, cause)?.id))
                })
            }
            Command::AgentKey { agent: n, by } => {
                let (a, org, number) = of(n);
                let caller = self.caller(model.asker(by, number), org);
                self.try_write(move |tx, moment| {
                    let wish = NewKey { name: "builder".into(), environment: None, expires_at: None };
                    let cause = by_api(moment);
                    let issued = agent::issue_key(tx, moment, &caller, (org, a), &wish, cause)?;
                    Ok(Made::Token(issued.token.id, issued.secret.expose().to_owned()))
                })
            }
            Command::OrderAgent { agent: n, order } => {
                let (a, org, _) = of(n);
                self.try_write(move |tx, moment| {
                    let cause = by_api(moment);
                    let wish = match order {
                        Order::Pause => AgentOrder::Pause,
                        Order::Resume => AgentOrder::Resume,
                        Order::Disable => {
                            agent::disable(tx, moment, &Caller::Root, (org, a), cause)?;
                            return Ok(Made::Nothing);
                        }
                    };
                    agent::order(tx, moment, &Caller::Root, (org, a), wish, cause)?;
                    Ok(Made::Nothing)
                })
            }
            Command::Assign { agent: n, owner } => {
                let ((a, org, _), (owner, _)) = (of(n), self.who(model, owner));
                self.try_write(move |tx, moment| {
                    let cause = by_api(moment);
                    agent::assign(tx, moment, &Caller::Root, (org, a), owner, cause)?;
                    Ok(Made::Nothing)
                })
            }
            _ => unreachable!("no agent"),
        }
    }
}

fn new_directory(moment: &mut Moment, organization: OrganizationId, settle_s: i64) -> Directory {
    Directory {
        brake: None,
        id: DirectoryId::fresh(moment.now, &mut moment.random),
        organization,
        kind: DirectoryKind::Scim,
        name: "Okta".into(),
        default_role: None,
        settle_s,
        nested_at: None,
        connection: None,
        created_at: moment.now,
    }
}

fn break_glass(moment: &mut Moment, organization: OrganizationId) -> Result<Role, ServiceError> {
    Ok(Role {
        id: RoleId::fresh(moment.now, &mut moment.random),
        organization,
        slug: "break-glass".parse()?,
        rank: Rank::new(800)?,
        permissions: [Permission::Use, Permission::RolesWrite].into(),
        giving: Giving::ExplicitOnly,
        built_in_at: None,
        created_at: moment.now,
    })
}

fn proven(moment: &mut Moment, organization: OrganizationId) -> Domain {
    Domain {
        id: DomainId::fresh(moment.now, &mut moment.random),
        organization,
        domain: DOMAIN.into(),
        state: DomainState::Proven,
        txt_value: "portcullis=1".into(),
        proven_at: Some(moment.now),
        created_at: moment.now,
    }
}

fn issue(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    (kind, member): (TokenKind, MembershipId),
    address_key: Option<String>,
) -> Result<(TokenId, String), ServiceError> {
    let secret = TokenSecret::fresh(kind, &mut moment.random);
    let made = Token {
        environment: Some(Slug::production()),
        address_key,
        ..Token::new(
            TokenId::fresh(moment.now, &mut moment.random),
            organization,
            (kind, Holder::Membership(member)),
            (ShownTo::Bearer, Rank::ROOT),
            secret.hash(),
            moment.now,
        )
    };
    let (id, cause) = (made.id, by_api(moment));
    let target = (Action::TokenIssued, id.into());
    write(tx, moment, organization, target, vec![TokenChange::Issue(Box::new(made)).into()], cause)?;
    Ok((id, secret.expose().to_owned()))
}

fn invite(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    person: usize,
) -> Result<Made, ServiceError> {
    let now = moment.now;
    let user = User::new(UserId::fresh(now, &mut moment.random), now);
    let who = Newcomer {
        id: MembershipId::fresh(now, &mut moment.random),
        organization,
        user: user.id,
        email: address(person),
        name: String::new(),
    };
    let member = Membership::new(who, MembershipState::Invited, facts::rules_number(tx, organization)?, now);
    let (id, cause) = (member.id, by_api(moment));
    let changes: Vec<Change> =
        vec![UserChange::Create(user).into(), MembershipChange::Create(Box::new(member)).into()];
    write(tx, moment, organization, (Action::MemberCreated, id.into()), changes, cause)?;
    let token = issue(tx, moment, organization, (TokenKind::Invitation, id), Some(address(person)))?;
    Ok(Made::Member(id, Some(token)))
}

/// How many directories there are, as the settling times say.
const _: () = assert!(SETTLE_S.len() == DIRECTORIES + 1);
