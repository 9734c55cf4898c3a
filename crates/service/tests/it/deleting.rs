//! A source of more people than one transaction goes through is deleted: they are refused at once and end one by one,
//! or stay with what they have; and nobody else is touched.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::change::DirectoryUserChange;
use portcullis_domain::connection::ClaimRules;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::evaluation::Decision;
use portcullis_domain::id::{ConnectionId, DirectoryId, MembershipId, OrganizationId, RequestId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::text::Slug;
use portcullis_service::caller::Caller;
use portcullis_service::connection::{self, Newcomers, Protocol, Wanted};
use portcullis_service::directory::{self, DirectoryChanges, Governed};
use portcullis_service::domain::{self, Vouched};
use portcullis_service::evaluation::{About, ask};
use portcullis_service::member_key::{self, NewKey};
use portcullis_service::provisioning::{self, GroupSaid, MembersSaid, PersonSaid, Speaker};
use portcullis_service::{Portcullis, ServiceError};
use portcullis_store::audit::{AuditFilter, list_page};
use portcullis_testkit::Bench;

use crate::thread::{place, provision, speaker};

/// More people than a call or a change of rules carries out in its own transaction.
const PEOPLE: usize = 601;
/// How many of them are told of together.
const TOGETHER: usize = 100;

/// Where people come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Directory(DirectoryId),
    Connection(ConnectionId, DirectoryId),
}

impl Source {
    pub(crate) const fn directory(self) -> DirectoryId {
        match self {
            Self::Directory(id) | Self::Connection(_, id) => id,
        }
    }
}

fn cause() -> Cause {
    Cause { kind: CauseKind::Api, ..Cause::system() }
}

pub(crate) fn said(name: &str) -> PersonSaid {
    PersonSaid {
        external_id: Some(name.to_owned()),
        user_name: format!("{name}@acme.test"),
        display_name: name.to_owned(),
        full_name: String::new(),
        emails: vec![format!("{name}@acme.test")],
        active: Some(true),
        attributes: "{}".into(),
        facets: std::collections::BTreeSet::new(),
    }
}

pub(crate) fn a_directory(bench: &Bench, organization: OrganizationId) -> Source {
    bench.write(move |tx, moment| {
        let wish = directory::NewDirectory {
            brake: None,
            name: "Okta".into(),
            default_role: Some("member".into()),
            settle_s: Some(0),
            nesting: directory::Nesting::Off,
        };
        let made = directory::create(tx, moment, &Caller::Root, organization, &wish, cause())?;
        Ok(Source::Directory(made.0.id))
    })
}

pub(crate) fn a_connection(bench: &Bench, organization: OrganizationId) -> Source {
    let around = bench.portcullis().around().clone();
    bench.write(move |tx, moment| {
        let wanted = Wanted {
            name: "Login".into(),
            protocol: Protocol::Oidc {
                issuer: "https://idp.example".into(),
                client_id: "client".into(),
                client_secret: Some("a secret".to_owned().into()),
                wish: Box::default(),
            },
            directory: None,
            newcomers: Newcomers::Admitted,
            default_role: Some("member".parse()?),
            groups_claim: None,
            claim_rules: ClaimRules::default(),
            environment: Slug::production(),
            domains: vec![],
        };
        let wish = (&around, &wanted, None);
        let made = connection::create(tx, moment, organization, &Caller::Root, wish, cause())?.connection;
        Ok(Source::Connection(made.id, made.claims_directory))
    })
}

fn people_of(bench: &Bench, organization: OrganizationId, source: Source) -> Vec<MembershipId> {
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("p{number}")).collect();
    let mut people = Vec::new();
    for some in names.chunks(TOGETHER) {
        let some = some.to_vec();
        people.extend(bench.write(move |tx, moment| {
            let request = RequestId::fresh(moment.now, &mut moment.random);
            let speaker = Speaker::scim(organization, source.directory(), request);
            some.iter()
                .map(|name| Ok(provisioning::create_user(tx, moment, speaker, &said(name))?.membership))
                .collect::<Result<Vec<_>, ServiceError>>()
        }));
    }
    people
}

fn key_of(bench: &Bench, organization: OrganizationId, member: MembershipId) -> String {
    bench.write(move |tx, moment| {
        let wish = NewKey { name: "laptop".into(), environment: None, expires_at: None };
        let issued = member_key::issue(tx, moment, &Caller::Root, (organization, member), &wish, cause())?;
        Ok(issued.secret.expose().to_owned())
    })
}

fn is_allowed(bench: &Bench, organization: OrganizationId, key: &str) -> bool {
    let (portcullis, key) = (bench.portcullis().clone(), key.to_owned());
    let decision = bench.write(move |tx, moment| {
        let about = About::Organization(organization);
        Ok(ask(tx, portcullis.uses(), &key, about, &Slug::production(), moment.now)?.decision)
    });
    decision == Decision::Allowed
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn delete(
    portcullis: &Portcullis,
    organization: OrganizationId,
    source: Source,
    said: Governed,
) -> Result<(), ServiceError> {
    match source {
        Source::Directory(id) => {
            run(directory::delete(portcullis, Caller::Root, organization, (id, said), cause()))
        }
        Source::Connection(id, _) => {
            run(connection::delete(portcullis, (organization, id), (Caller::Root, said), cause()))
        }
    }
}

fn pending(bench: &Bench, organization: OrganizationId) -> i64 {
    bench.write(move |tx, _| Ok(portcullis_store::organization::rules_pending(tx, organization)?))
}

fn receipts(bench: &Bench, of: &[MembershipId]) -> usize {
    let of = of.to_vec();
    bench.write(move |tx, _| {
        let mut count = 0;
        for member in &of {
            count += portcullis_store::receipt::of_membership(tx, *member)?.len();
        }
        Ok(count)
    })
}

fn states(bench: &Bench, organization: OrganizationId, of: &[MembershipId]) -> Vec<(MembershipState, bool)> {
    let of = of.to_vec();
    bench.write(move |tx, moment| {
        of.iter()
            .map(|id| {
                let member = portcullis_service::membership::find(tx, organization, *id, moment.now)?;
                let role = member.role().map(Slug::as_str) == Some("member");
                Ok((member.access.state, role && member.governed_by.is_none()))
            })
            .collect()
    })
}

fn must_take_its_people_along(bench: &Bench, slug: &str, make: fn(&Bench, OrganizationId) -> Source) {
    let organization = bench.organization(slug);
    let stays = bench.member(organization, &format!("stays@{slug}.test"), "member");
    if slug == "acme" {
        // Where the domain of the addresses is proven, people are recognized by them.
        bench.write(move |tx, moment| {
            let named = ("acme.test", Vouched::ByRoot);
            domain::add(tx, moment, &Caller::Root, organization, named, cause()).map(|_| ())
        });
    }
    let source = make(bench, organization);
    let people = people_of(bench, organization, source);
    let key = key_of(bench, organization, people[7]);
    assert!(is_allowed(bench, organization, &key) && pending(bench, organization) == 0);
    let unsaid = delete(bench.portcullis(), organization, source, Governed::Unsaid);
    assert_eq!(unsaid, Err(ServiceError::GovernsPeople));
    delete(bench.portcullis(), organization, source, Governed::OffBoard).unwrap();
    assert!(!is_allowed(bench, organization, &key), "they are refused from the answer on");
    assert_eq!(receipts(bench, &people), 0, "no one transaction goes through all of them");
    let marked = i64::try_from(PEOPLE).unwrap();
    assert_eq!(pending(bench, organization), marked, "the job goes through them, and through nobody else");
    let gone = (MembershipState::Deprovisioned, false);
    let ended = states(bench, organization, &people);
    assert!(ended.iter().all(|(state, _)| *state == gone.0), "a look at them finds that they have ended");
    // Whoever is told of anew before the job comes by is somebody new, as they would be afterwards.
    let next = make(bench, organization);
    let anew = bench.write(move |tx, moment| {
        let request = RequestId::fresh(moment.now, &mut moment.random);
        let speaker = Speaker::scim(organization, next.directory(), request);
        Ok(provisioning::create_user(tx, moment, speaker, &said("p9"))?.membership)
    });
    assert_ne!(anew, people[9]);
    assert_eq!(states(bench, organization, &[anew])[0].0, MembershipState::Active);
    while pending(bench, organization) > 0 {
        run(bench.portcullis().step_rules()).unwrap();
    }
    assert_eq!(states(bench, organization, &[anew])[0].0, MembershipState::Active);
    assert_eq!(receipts(bench, &people), PEOPLE, "each has a receipt, and only one");
    assert!(states(bench, organization, &people).iter().all(|(state, _)| *state == gone.0));
    assert!(is_allowed(bench, organization, &stays.key));
}

fn must_leave_its_people(bench: &Bench, slug: &str, make: fn(&Bench, OrganizationId) -> Source) {
    let organization = bench.organization(slug);
    let source = make(bench, organization);
    let people = people_of(bench, organization, source);
    let key = key_of(bench, organization, people[7]);
    delete(bench.portcullis(), organization, source, Governed::Keep).unwrap();
    let kept = (MembershipState::Active, true);
    assert!(states(bench, organization, &people).iter().all(|found| *found == kept), "nobody waits");
    assert!(is_allowed(bench, organization, &key), "what they have stays");
    while pending(bench, organization) > 0 {
        run(bench.portcullis().step_rules()).unwrap();
    }
    assert!(states(bench, organization, &people).iter().all(|found| *found == kept));
    assert_eq!(receipts(bench, &people), 0);
}

fn on_each(test: impl Fn(&Bench)) {
    test(&Bench::sqlite());
    if let Some(bench) = Bench::postgres() {
        test(&bench);
    }
}

#[test]
fn a_source_that_is_deleted_takes_more_people_along_than_one_transaction_goes_through() {
    on_each(|bench| {
        must_take_its_people_along(bench, "acme", a_directory);
        must_take_its_people_along(bench, "other", a_connection);
    });
}

#[test]
fn a_source_that_is_deleted_leaves_more_people_than_one_transaction_goes_through() {
    on_each(|bench| {
        must_leave_its_people(bench, "acme", a_directory);
        must_leave_its_people(bench, "other", a_connection);
    });
}

#[test]
fn a_connection_that_is_deleted_takes_nobody_along_whom_a_directory_governs_by_a_rule_that_is_pending() {
    on_each(|bench| {
        let organization = bench.organization("acme");
        bench.write(move |tx, moment| {
            let named = ("acme.test", Vouched::ByRoot);
            domain::add(tx, moment, &Caller::Root, organization, named, cause()).map(|_| ())
        });
        let source = a_connection(bench, organization);
        let people = people_of(bench, organization, source);
        let key = key_of(bench, organization, people[7]);
        let provider = a_directory(bench, organization).directory();
        let gives = move |role: Option<&'static str>| {
            bench.write(move |tx, moment| {
                let default_role = Some(role.map(str::to_owned));
                let changes = DirectoryChanges { default_role, ..DirectoryChanges::default() };
                let named = (provider, &changes);
                directory::update(tx, moment, &Caller::Root, organization, named, cause()).map(|_| ())
            });
        };
        gives(None);
        // One by one: whoever is recognized is held, and names are locked before that.
        let told = (0..PEOPLE).map(|number| {
            bench.write(move |tx, moment| {
                let request = RequestId::fresh(moment.now, &mut moment.random);
                let speaker = Speaker::scim(organization, provider, request);
                let said = said(&format!("p{number}"));
                Ok(provisioning::create_user(tx, moment, speaker, &said)?.membership)
            })
        });
        assert_eq!(told.collect::<Vec<_>>(), people, "recognized by their addresses");
        gives(Some("member"));
        assert!(pending(bench, organization) > 0, "more than one transaction goes through");
        delete(bench.portcullis(), organization, source, Governed::Unsaid).unwrap();
        while pending(bench, organization) > 0 {
            run(bench.portcullis().step_rules()).unwrap();
        }
        let all = states(bench, organization, &people);
        assert!(all.iter().all(|(state, _)| *state == MembershipState::Active), "{all:?}");
        assert!(is_allowed(bench, organization, &key));
        assert_eq!(receipts(bench, &people), 0);
    });
}

#[test]
fn whoever_was_on_the_way_out_of_a_directory_that_is_deleted_is_suspended_and_the_log_calls_it_so() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 3600);
    let (organization, directory) = (place.organization, place.directory);
    let [(_, stays), (user, goes)] = ["ada", "bob"].map(|name| provision(&bench, &place, name));
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        let out = [GroupSaid::Members(MembersSaid::Remove(vec![user]))];
        provisioning::change_group(tx, moment, speaker, place.group, &out)?;
        Ok(())
    });
    delete(bench.portcullis(), organization, Source::Directory(directory), Governed::Keep).unwrap();
    let [of_stays, of_goes] = [stays, goes].map(|member| {
        let (target, action) = (member.to_string(), "member.suspended".to_owned());
        let filter = AuditFilter { target, action, ..AuditFilter::default() };
        bench.write(move |tx, _| Ok(list_page(tx, organization, &filter, "", 10)?.len()))
    });
    assert_eq!((of_stays, of_goes), (0, 1));
    let states = states(&bench, organization, &[stays, goes]).into_iter().map(|(state, _)| state);
    assert_eq!(states.collect::<Vec<_>>(), [MembershipState::Active, MembershipState::Suspended]);
}

/// Somebody below everybody called this member what the directory calls them.
fn told_from_below(bench: &Bench, organization: OrganizationId, member: MembershipId) {
    bench.write(move |tx, moment| {
        let told = portcullis_store::directory_user::of_membership(tx, member)?.remove(0);
        let event = EventDraft::new(Action::DirectoryUserUpdated, told.id);
        let told = DirectoryUser { believed_up_to: Rank::NONE, ..told };
        let plan =
            Plan::because(organization, cause()).then(event, DirectoryUserChange::Update(Box::new(told)));
        moment.apply(tx, &plan)?;
        Ok(())
    });
}

#[test]
fn a_source_whose_people_may_not_all_stay_is_refused_whole_and_goes_on_to_speak() {
    on_each(|bench| {
        for (slug, make) in
            [("acme", a_directory as fn(&Bench, OrganizationId) -> Source), ("other", a_connection)]
        {
            let organization = bench.organization(slug);
            let source = make(bench, organization);
            let people = people_of(bench, organization, source);
            let directory = source.directory();
            let last = *people.iter().max().unwrap();
            told_from_below(bench, organization, last);
            let token = matches!(source, Source::Directory(_)).then(|| {
                bench.write(move |tx, moment| {
                    let named = (directory, None);
                    let issued =
                        directory::issue_token(tx, moment, &Caller::Root, organization, named, cause())?;
                    Ok(issued.token.id)
                })
            });
            let refused = delete(bench.portcullis(), organization, source, Governed::Keep);
            assert_eq!(refused, Err(ServiceError::ToldFromBelow(last)));
            let all = people.clone();
            let governed = bench.write(move |tx, _| {
                let mut governed = 0;
                for id in &all {
                    let member = portcullis_store::membership::find(tx, organization, *id)?.unwrap();
                    governed += usize::from(member.governed_by == Some(directory));
                }
                Ok(governed)
            });
            assert_eq!(governed, PEOPLE, "nobody has become a member of their own");
            if let Some(token) = token {
                let ended = bench.write(move |tx, _| {
                    Ok(portcullis_store::token::find(tx, organization, token)?.unwrap().ended_at)
                });
                assert_eq!(ended, None, "the directory says on who leaves");
            }
        }
    });
}
