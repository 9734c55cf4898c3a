//! What can happen: every command that the machine gives, by number, so that a run can be repeated and shrunk.
//!
//! Numbers are taken modulo what there is when the command is carried out; a command about nothing does nothing.

use portcullis_domain::agent::OwnerLossRule;
use portcullis_domain::hold::HoldKind;
use portcullis_domain::team::TeamRole;
use portcullis_service::directory::Governed;
use portcullis_service::hold::Decision;
use proptest::prelude::*;

/// How many organizations there are.
pub(crate) const ORGANIZATIONS: usize = 2;
/// How many directories each of them has: the first ends at once who lost the last group, the second waits an hour.
pub(crate) const DIRECTORIES: usize = 2;
/// The directory behind those, of what the provider says at a sign-in: the first organization alone has one.
pub(crate) const CLAIMS: usize = DIRECTORIES;
/// How many groups each directory may have.
pub(crate) const GROUPS: usize = 3;
/// How many names groups may have, and how many keys: each group begins with one of its own, and one is left over.
pub(crate) const NAMES: usize = GROUPS + 1;
/// How many people there are, whom everybody may tell of.
pub(crate) const PEOPLE: usize = 4;

/// How many titles people may have.
pub(crate) const TITLES: usize = 2;

/// Whom a mapping is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The group of that key, as the directory has it.
    Key(usize),
    /// The group of that name.
    Name(usize),
    /// Whoever has that title.
    Title(usize),
}

/// What a directory calls a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) name: usize,
    pub(crate) key: Option<usize>,
}

impl Called {
    /// What a group is called at first.
    pub(crate) const fn first(group: usize) -> Self {
        Self { name: group, key: Some(group) }
    }

    /// What the provider of the connection calls a group: by its key alone, which is no name that groups have elsewhere.
    pub(crate) const fn claimed(group: usize) -> Self {
        Self { name: NAMES, key: Some(group) }
    }
}

/// What a mapping gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) role: Option<&'static str>,
    pub(crate) team: Option<(&'static str, TeamRole)>,
    pub(crate) environment: Option<&'static str>,
}

/// Who asks: the root token, or a member, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Root,
    Member(usize),
}

/// What becomes of an agent by an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Pause,
    Resume,
    Disable,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Time passes, in seconds; the job that follows it runs.
    Pass(i64),
    /// A directory tells of a new person.
    Tell { org: usize, directory: usize, person: usize, active: bool },
    /// A directory says that somebody is active, or not; also what it said before.
    Say { user: usize, active: bool },
    /// A directory says that somebody has a title, or none.
    Title { user: usize, title: Option<usize> },
    /// A directory sends attributes that look like rights.
    Boast { user: usize },
    /// A directory deletes somebody.
    Delete { user: usize },
    /// A directory tells of a group.
    MakeGroup { org: usize, directory: usize, group: usize, called: Called },
    /// A directory gives a group another name.
    Rename { org: usize, directory: usize, group: usize, name: usize },
    /// A directory gives a group another key, or none. Several may have one.
    Rekey { org: usize, directory: usize, group: usize, key: Option<usize> },
    /// A directory deletes a group.
    DropGroup { org: usize, directory: usize, group: usize },
    /// Somebody is in a group from now on.
    Join { user: usize, group: usize },
    /// Somebody is in a group no longer.
    Leave { user: usize, group: usize },
    /// A group is in another group from now on.
    Nest { org: usize, directory: usize, parent: usize, child: usize },
    /// A group is in another group no longer.
    Unnest { nest: usize },
    /// A group holds exactly these groups: one bit a group.
    ReplaceNested { org: usize, directory: usize, parent: usize, children: u8 },
    /// Groups inside groups count in a directory, or do not.
    Nesting { org: usize, directory: usize, counts: bool },
    /// A group has exactly these members: one bit a person.
    Replace { org: usize, directory: usize, group: usize, members: u8 },
    /// A mapping of a group or a title, whether there is such a group or not.
    Map { org: usize, directory: usize, about: About, gives: Given },
    /// A mapping is deleted.
    Unmap { mapping: usize },
    /// A mapping is about somebody else from now on.
    Remap { mapping: usize, directory: usize, about: About },
    /// A directory is deleted, with its people or without. Where it is crowded, it told of strangers whom nothing gives
    /// anything, more of them than one call carries out.
    DropDirectory { org: usize, directory: usize, people: Governed, crowded: bool },
    /// A directory has another default role.
    Default { org: usize, directory: usize, role: Option<&'static str> },
    /// A person gives a role.
    Grant { member: usize, role: &'static str },
    /// A grant is taken back.
    EndGrant { grant: usize },
    /// Somebody signs in by the first organization's connection, which says that they are in its first group or in none. Whom
    /// nobody knows comes in just in time.
    Arrive { person: usize, grouped: bool },
    /// A person is invited.
    Invite { org: usize, person: usize },
    /// An invitation is accepted.
    Accept { token: usize },
    /// The root token puts a user into an organization.
    Add { org: usize, member: usize },
    /// A user gets a password: an owner counts only if they can sign in.
    SetPassword { member: usize },
    /// An administrator suspends.
    Suspend { member: usize },
    /// An administrator lifts that.
    Restore { member: usize },
    /// An administrator off-boards.
    OffBoard { member: usize },
    /// A key of a member.
    MemberKey { member: usize, by: By, staging: bool, expires: bool },
    /// A session.
    Session { member: usize },
    /// An agent.
    MakeAgent { owner: usize, heir: usize, rule: OwnerLossRule, by: By, staging: bool },
    /// A key of an agent.
    AgentKey { agent: usize, by: By },
    /// An order to an agent.
    OrderAgent { agent: usize, order: Order },
    /// An agent gets another owner.
    Assign { agent: usize, owner: usize },
    /// A key is revoked.
    Revoke { token: usize },
    /// A directory may end ten people a day, and ten whom nobody here knows have gone already; or it has no limit.
    Brake { org: usize, directory: usize, full: bool },
    /// An administrator decides about one of a directory's holds: about one person in it, or about all who wait.
    Decide { org: usize, directory: usize, kind: HoldKind, hold: usize, whom: Option<usize>, how: Decision },
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![1 => Just(By::Root), 2 => any::<u8>().prop_map(|n| By::Member(n.into()))]
}

fn mapped_role() -> impl Strategy<Value = Option<&'static str>> {
    // `owner` and `break-glass` can be in no mapping: one that got there all the same must give nothing.
    prop_oneof![
        3 => Just(Some("member")), 2 => Just(Some("admin")), 1 => Just(Some("viewer")), 1 => Just(None),
        1 => Just(Some("owner")), 1 => Just(Some("break-glass")),
    ]
}

fn about() -> impl Strategy<Value = About> {
    prop_oneof![
        2 => (0..NAMES).prop_map(About::Key),
        2 => (0..NAMES).prop_map(About::Name),
        1 => (0..TITLES).prop_map(About::Title),
    ]
}

fn given() -> impl Strategy<Value = Given> {
    let team = prop_oneof![
        2 => Just(None),
        1 => Just(Some(("core", TeamRole::Member))),
        1 => Just(Some(("core", TeamRole::Admin))),
        1 => Just(Some(("edge", TeamRole::Member))),
    ];
    let environment = prop_oneof![3 => Just(None), 2 => Just(Some("production")), 1 => Just(Some("staging"))];
    (mapped_role(), team, environment).prop_map(|(role, team, environment)| {
        let automatic = role.filter(|r| !["owner", "break-glass"].contains(r));
        let nothing = automatic.is_none() && team.is_none() && environment.is_none();
        Given { role, team: if nothing { Some(("core", TeamRole::Member)) } else { team }, environment }
    })
}

/// What becomes of a deleted directory's people, and whether it is crowded. A refused deletion leaves nobody behind.
fn deletion() -> impl Strategy<Value = (Governed, bool)> {
    prop_oneof![
        1 => Just((Governed::Unsaid, false)),
        1 => any::<bool>().prop_map(|crowded| (Governed::Keep, crowded)),
        2 => any::<bool>().prop_map(|crowded| (Governed::OffBoard, crowded)),
    ]
}

/// How a run begins.
#[derive(Debug, Clone, Copy)]
struct Beginning {
    /// Whether directories have a brake, and groups that a mapping is about.
    braked: bool,
    /// Whether they have groups in groups.
    nested: bool,
    /// Whether it names them by their name, or by their key.
    named: bool,
    /// Whether whoever is in none has a role all the same.
    defaulted: bool,
    /// What a directory has done to its brake.
    trip: Trip,
}

/// How a directory goes over its limit.
#[derive(Debug, Clone, Copy)]
enum Trip {
    /// It does not.
    None,
    /// It calls a group otherwise.
    Call,
    /// It empties one.
    Empty,
    /// It deletes one.
    Drop,
    /// It takes one out of another.
    Unnest,
    /// It deletes somebody.
    Delete,
}

/// A whole run. Most begin with people who can act, so that what they hold and leave behind is reached in few steps.
pub(crate) fn commands(
    length: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Command>> {
    let rest = prop::collection::vec(command(), length);
    let trip = prop_oneof![
        2 => Just(Trip::None), 3 => Just(Trip::Call), 1 => Just(Trip::Empty), 2 => Just(Trip::Drop),
        1 => Just(Trip::Unnest), 2 => Just(Trip::Delete),
    ];
    let beginning = (prop::bool::weighted(0.6), any::<bool>(), any::<bool>(), any::<bool>(), trip).prop_map(
        |(braked, nested, named, defaulted, trip)| Beginning { braked, nested, named, defaulted, trip },
    );
    (prop::bool::weighted(0.8), beginning, rest).prop_map(|(peopled, beginning, rest)| {
        let mut all = if peopled { people_who_act(beginning) } else { Vec::new() };
        all.extend(rest);
        all
    })
}

/// People in both organizations; their directories have groups in groups, or a brake, or both.
fn people_who_act(Beginning { braked, nested, named, defaulted, trip }: Beginning) -> Vec<Command> {
    let mut begin = Vec::new();
    for org in 0..ORGANIZATIONS {
        let make =
            |directory, group| Command::MakeGroup { org, directory, group, called: Called::first(group) };
        if defaulted || !braked {
            begin.push(Command::Default { org, directory: org, role: Some("member") });
        }
        begin.extend((0..DIRECTORIES).map(|directory| make(directory, 0)));
        begin.extend((1..GROUPS).map(|group| make(org, group)));
        if nested || !braked {
            begin.push(Command::Nesting { org, directory: org, counts: true });
            begin.push(Command::Nest { org, directory: org, parent: 0, child: 1 });
        }
        if braked {
            begin.push(Command::Brake { org, directory: org, full: true });
        }
        let people = PEOPLE - 1;
        for person in 0..people {
            begin.push(Command::Tell { org, directory: org, person, active: true });
            if braked {
                begin.push(Command::Join { user: org * people + person, group: usize::from(nested) });
            }
        }
        if braked {
            let gives =
                Given { role: Some("admin"), team: Some(("core", TeamRole::Member)), environment: None };
            let about = if named { About::Name(0) } else { About::Key(0) };
            begin.push(Command::Map { org, directory: org, about, gives });
            begin.extend(tripped(org, named, trip));
        }
    }
    begin.push(Command::Default { org: 0, directory: CLAIMS, role: Some("member") });
    begin.push(Command::Arrive { person: PEOPLE - 1, grouped: true });
    begin
}

/// The first directory of its kind goes over its limit.
fn tripped(org: usize, named: bool, trip: Trip) -> Option<Command> {
    let (directory, group) = (org, 0);
    match trip {
        Trip::None => None,
        Trip::Call if named => Some(Command::Rename { org, directory, group, name: GROUPS }),
        Trip::Call => Some(Command::Rekey { org, directory, group, key: None }),
        Trip::Empty => Some(Command::Replace { org, directory, group, members: 0 }),
        Trip::Drop => Some(Command::DropGroup { org, directory, group }),
        Trip::Unnest => Some(Command::ReplaceNested { org, directory, parent: group, children: 0 }),
        Trip::Delete => Some(Command::Delete { user: org * (PEOPLE - 1) }),
    }
}

/// Any command.
fn command() -> impl Strategy<Value = Command> {
    let n = || any::<u8>().prop_map(usize::from);
    // Most that is said is said by the directory of each organization that a run begins with.
    let place = || {
        (0..ORGANIZATIONS, prop::bool::weighted(0.7))
            .prop_map(|(org, first)| (org, if first { org % DIRECTORIES } else { (org + 1) % DIRECTORIES }))
    };
    let facts = prop_oneof![
        6 => (place(), 0..PEOPLE, prop::bool::weighted(0.9)).prop_map(|((org, directory), person, active)| {
            Command::Tell { org, directory, person, active }
        }),
        5 => (n(), any::<bool>()).prop_map(|(user, active)| Command::Say { user, active }),
        4 => (n(), prop::option::weighted(0.7, 0..TITLES)).prop_map(|(user, title)| Command::Title { user, title }),
        1 => n().prop_map(|user| Command::Boast { user }),
        2 => n().prop_map(|user| Command::Delete { user }),
        3 => (place(), 0..GROUPS, 0..NAMES, prop::bool::weighted(0.7)).prop_map(
            |((org, directory), group, other, first)| {
                let other = Called { name: other, key: Some(other) };
                let called = if first { Called::first(group) } else { other };
                Command::MakeGroup { org, directory, group, called }
            }
        ),
        3 => (place(), 0..GROUPS, 0..NAMES).prop_map(|((org, directory), group, name)| {
            Command::Rename { org, directory, group, name }
        }),
        2 => (place(), 0..GROUPS, prop::option::weighted(0.8, 0..NAMES)).prop_map(
            |((org, directory), group, key)| Command::Rekey { org, directory, group, key }
        ),
        1 => (place(), 0..GROUPS).prop_map(|((org, directory), group)| {
            Command::DropGroup { org, directory, group }
        }),
        6 => (n(), 0..GROUPS).prop_map(|(user, group)| Command::Join { user, group }),
        3 => (n(), 0..GROUPS).prop_map(|(user, group)| Command::Leave { user, group }),
        2 => (place(), 0..GROUPS, any::<u8>()).prop_map(|((org, directory), group, members)| {
            Command::Replace { org, directory, group, members }
        }),
        4 => (place(), 0..GROUPS, 0..GROUPS).prop_map(|((org, directory), parent, child)| {
            Command::Nest { org, directory, parent, child }
        }),
        2 => n().prop_map(|nest| Command::Unnest { nest }),
        3 => (place(), 0..GROUPS, any::<u8>()).prop_map(|((org, directory), parent, children)| {
            Command::ReplaceNested { org, directory, parent, children }
        }),
    ];
    let rules = prop_oneof![
        6 => (place(), about(), given()).prop_map(|((org, directory), about, gives)| {
            Command::Map { org, directory, about, gives }
        }),
        2 => given().prop_map(|gives| {
            Command::Map { org: 0, directory: CLAIMS, about: About::Key(0), gives }
        }),
        2 => n().prop_map(|mapping| Command::Unmap { mapping }),
        2 => (n(), 0..DIRECTORIES, about()).prop_map(|(mapping, directory, about)| {
            Command::Remap { mapping, directory, about }
        }),
        2 => (place(), deletion()).prop_map(|((org, directory), (people, crowded))| {
            Command::DropDirectory { org, directory, people, crowded }
        }),
        2 => (place(), prop::bool::weighted(0.8)).prop_map(|((org, directory), counts)| {
            Command::Nesting { org, directory, counts }
        }),
        2 => prop_oneof![Just(None), Just(Some("member"))]
            .prop_map(|role| Command::Default { org: 0, directory: CLAIMS, role }),
        3 => (place(), prop_oneof![Just(None), Just(Some("member")), Just(Some("owner"))])
            .prop_map(|((org, directory), role)| Command::Default { org, directory, role }),
        5 => (n(), prop_oneof![2 => Just("owner"), 1 => Just("admin"), 1 => Just("break-glass")])
            .prop_map(|(member, role)| Command::Grant { member, role }),
        2 => n().prop_map(|grant| Command::EndGrant { grant }),
    ];
    let people = prop_oneof![
        5 => (0..PEOPLE, any::<bool>()).prop_map(|(person, grouped)| Command::Arrive { person, grouped }),
        2 => (0..ORGANIZATIONS, 0..PEOPLE).prop_map(|(org, person)| Command::Invite { org, person }),
        2 => n().prop_map(|token| Command::Accept { token }),
        3 => (0..ORGANIZATIONS, n()).prop_map(|(org, member)| Command::Add { org, member }),
        1 => n().prop_map(|member| Command::SetPassword { member }),
        2 => n().prop_map(|member| Command::Suspend { member }),
        2 => n().prop_map(|member| Command::Restore { member }),
        4 => n().prop_map(|member| Command::OffBoard { member }),
    ];
    let acting = prop_oneof![
        6 => (n(), by(), prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(
            |(member, by, staging, expires)| Command::MemberKey { member, by, staging, expires }
        ),
        2 => n().prop_map(|member| Command::Session { member }),
        5 => (n(), n(), prop::sample::select(OwnerLossRule::ALL.to_vec()), by(), prop::bool::weighted(0.1))
            .prop_map(|(owner, heir, rule, by, staging)| Command::MakeAgent { owner, heir, rule, by, staging }),
        6 => (n(), by()).prop_map(|(agent, by)| Command::AgentKey { agent, by }),
        3 => (n(), prop_oneof![2 => Just(Order::Pause), 3 => Just(Order::Resume), 1 => Just(Order::Disable)])
            .prop_map(|(agent, order)| Command::OrderAgent { agent, order }),
        2 => (n(), n()).prop_map(|(agent, owner)| Command::Assign { agent, owner }),
        1 => n().prop_map(|token| Command::Revoke { token }),
    ];
    let kind = || prop_oneof![Just(HoldKind::Endings), Just(HoldKind::Losses)];
    let how = || prop_oneof![Just(Decision::Release), Just(Decision::Refuse)];
    let braking = prop_oneof![
        1 => (place(), prop::bool::weighted(0.7))
            .prop_map(|((org, directory), full)| Command::Brake { org, directory, full }),
        3 => (place(), kind(), n(), prop::option::of(n()), how()).prop_map(
            |((org, directory), kind, hold, whom, how)| Command::Decide { org, directory, kind, hold, whom, how }
        ),
    ];
    let time = prop_oneof![
        3 => prop_oneof![Just(60_i64), Just(1800), Just(3600), Just(7200)],
        1 => Just(90_000_i64),
    ];
    let time = time.prop_map(Command::Pass);
    prop_oneof![10 => facts, 5 => rules, 5 => people, 10 => acting, 3 => braking, 2 => time]
}
