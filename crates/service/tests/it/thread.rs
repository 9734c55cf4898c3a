//! The thread through every room: a person comes by a directory, acts, leaves, and nothing of theirs acts any more.

use std::collections::BTreeSet;

use portcullis_domain::Refusal;
use portcullis_domain::agent::{Agent, AgentState, OwnerLossRule};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{AgentChange, DirectoryChange, MappingChange};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::evaluation::Decision;
use portcullis_domain::id::{
    AgentId, DirectoryGroupId, DirectoryId, DirectoryUserId, MappingId, MembershipId, OrganizationId,
    RequestId,
};
use portcullis_domain::mapping::{Gives, Mapping, MappingSource};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::plan::Plan;
use portcullis_domain::secret::SecretHash;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, ShownTo, TokenKind};
use portcullis_service::access::off_board_member;
use portcullis_service::caller::{ROOT_TOKEN_HASH, authenticate};
use portcullis_service::evaluation::{About, ask};
use portcullis_service::member_key::{self, NewKey};
use portcullis_service::proof::{self, AsOf, Proof, Who};
use portcullis_service::provisioning::{self, GroupSaid, MembersSaid, PersonSaid, Speaker};
use portcullis_service::rules::after_rule_change;
use portcullis_service::{Moment, ServiceError, audit_export, organization};
use portcullis_store::audit::AuditFilter;
use portcullis_store::{Priority, Tx, instance};
use portcullis_testkit::{Bench, ROOT_TOKEN, issue_key};

use crate::machine::raw::Raw;

pub(crate) struct Place {
    pub(crate) organization: OrganizationId,
    pub(crate) directory: DirectoryId,
    pub(crate) group: DirectoryGroupId,
}

pub(crate) fn said(name: &str) -> PersonSaid {
    PersonSaid {
        external_id: Some(format!("ext-{name}")),
        user_name: format!("{name}@acme.test"),
        display_name: name.to_owned(),
        full_name: String::new(),
        emails: vec![format!("{name}@acme.test")],
        active: Some(true),
        facets: BTreeSet::new(),
        attributes: format!("{{\"userName\":\"{name}@acme.test\"}}"),
    }
}

/// An organization with a SCIM directory and a group that maps to `member`.
pub(crate) fn place(bench: &Bench, slug: &'static str, settle_s: i64) -> Place {
    bench.write(move |tx, moment| {
        let organization = organization::create(tx, moment, slug.parse()?, "Acme", Cause::system())?;
        tx.lock(portcullis_store::db::Lock::Organization(organization.id))?;
        let directory = Directory {
            brake: None,
            id: DirectoryId::fresh(moment.now, &mut moment.random),
            organization: organization.id,
            kind: DirectoryKind::Scim,
            name: "Okta".into(),
            default_role: None,
            settle_s,
            nested_at: None,
            connection: None,
            created_at: moment.now,
        };
        let event = EventDraft::new(Action::DirectoryCreated, directory.id);
        let plan = Plan::because(organization.id, Cause::system())
            .then(event, DirectoryChange::Create(directory.clone()));
        moment.apply(tx, &plan)?;
        let speaker = speaker(moment, organization.id, directory.id);
        let group = provisioning::create_group(tx, moment, speaker, ("Engineers", Some("g-1")), &[])?;
        let mapping = Mapping {
            id: MappingId::fresh(moment.now, &mut moment.random),
            organization: organization.id,
            directory: directory.id,
            source: MappingSource::GroupExternalId("g-1".into()),
            gives: Gives { role: Some("member".parse()?), team: None, environment: None },
            created_at: moment.now,
        };
        let event = EventDraft::new(Action::MappingCreated, mapping.id);
        let plan = Plan::because(organization.id, Cause::system())
            .then(event, MappingChange::Create(Box::new(mapping)));
        moment.apply(tx, &plan)?;
        after_rule_change(tx, moment, organization.id, &[], Cause::system())?;
        Ok(Place { organization: organization.id, directory: directory.id, group: group.id })
    })
}

pub(crate) fn speaker(moment: &mut Moment, organization: OrganizationId, directory: DirectoryId) -> Speaker {
    Speaker::scim(organization, directory, RequestId::fresh(moment.now, &mut moment.random))
}

pub(crate) fn provision(bench: &Bench, place: &Place, name: &'static str) -> (DirectoryUserId, MembershipId) {
    let (organization, directory, group) = (place.organization, place.directory, place.group);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        let user = provisioning::create_user(tx, moment, speaker, &said(name))?;
        let add = [GroupSaid::Members(MembersSaid::Add(vec![user.id]))];
        provisioning::change_group(tx, moment, speaker, group, &add)?;
        Ok((user.id, user.membership))
    })
}

pub(crate) fn key(
    bench: &Bench,
    place: &Place,
    kind: TokenKind,
    holder: Holder,
    shown_to: ShownTo,
) -> String {
    key_for(bench, place, kind, (holder, shown_to), None)
}

fn key_for(
    bench: &Bench,
    place: &Place,
    kind: TokenKind,
    (holder, shown_to): (Holder, ShownTo),
    life_s: Option<i64>,
) -> String {
    let organization = place.organization;
    bench.write(move |tx, moment| {
        let expires_at = life_s.map(|s| moment.now.plus_s(s));
        issue_key(tx, moment, organization, (kind, holder), shown_to, expires_at)
    })
}

pub(crate) fn agent(bench: &Bench, place: &Place, owner: MembershipId, rule: OwnerLossRule) -> AgentId {
    let organization = place.organization;
    bench.write(move |tx, moment| {
        let agent = Agent {
            id: AgentId::fresh(moment.now, &mut moment.random),
            organization,
            name: "builder".into(),
            owner,
            heir: None,
            on_owner_loss: rule,
            rule_chosen_by: None,
            environment: Slug::production(),
            state: AgentState::Active,
            created_at: moment.now,
        };
        let id = agent.id;
        let event = EventDraft::new(Action::AgentCreated, id);
        let plan = Plan::because(organization, Cause::system()).then(event, AgentChange::Create(agent));
        moment.apply(tx, &plan)?;
        Ok(id)
    })
}

pub(crate) fn decision(bench: &Bench, place: &Place, secret: &str) -> Decision {
    let (secret, organization) = (secret.to_owned(), place.organization);
    let portcullis = bench.portcullis().clone();
    bench.write(move |tx, moment| {
        let about = About::Organization(organization);
        Ok(ask(tx, portcullis.uses(), &secret, about, &Slug::production(), moment.now)?.decision)
    })
}

pub(crate) fn state(bench: &Bench, place: &Place, id: MembershipId) -> MembershipState {
    let organization = place.organization;
    bench.write(move |tx, _| {
        Ok(portcullis_store::membership::find(tx, organization, id)?.unwrap().access.state)
    })
}

pub(crate) fn say_active(bench: &Bench, place: &Place, user: DirectoryUserId, active: bool) {
    let (organization, directory) = (place.organization, place.directory);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        provisioning::change_user(tx, moment, speaker, user, |old| {
            Ok(PersonSaid {
                external_id: old.external_id.clone(),
                user_name: old.user_name.clone(),
                display_name: old.display_name.clone(),
                full_name: String::new(),
                emails: old.email_keys.clone(),
                active: Some(active),
                facets: BTreeSet::new(),
                attributes: old.attributes.clone(),
            })
        })?;
        Ok(())
    });
}

pub(crate) fn leave_group(bench: &Bench, place: &Place, user: DirectoryUserId) {
    let (organization, directory, group) = (place.organization, place.directory, place.group);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        provisioning::change_group(
            tx,
            moment,
            speaker,
            group,
            &[GroupSaid::Members(MembersSaid::Remove(vec![user]))],
        )?;
        Ok(())
    });
}

#[tokio::test]
async fn a_leaver_loses_everything_before_the_answer_and_gets_nothing_back() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (user, member) = provision(&bench, &place, "ada");
    assert_eq!(state(&bench, &place, member), MembershipState::Active);
    let own =
        key(&bench, &place, TokenKind::MemberKey, Holder::Membership(member), ShownTo::Membership(member));
    let paused = agent(&bench, &place, member, OwnerLossRule::Pause);
    let seen = key(&bench, &place, TokenKind::AgentKey, Holder::Agent(paused), ShownTo::Membership(member));
    let unseen = key(&bench, &place, TokenKind::AgentKey, Holder::Agent(paused), ShownTo::Root);
    for secret in [&own, &seen, &unseen] {
        assert_eq!(decision(&bench, &place, secret), Decision::Allowed);
    }

    say_active(&bench, &place, user, false);

    assert_eq!(state(&bench, &place, member), MembershipState::Deprovisioned);
    assert_eq!(decision(&bench, &place, &own), Decision::TokenEnded);
    assert_eq!(decision(&bench, &place, &seen), Decision::TokenEnded);
    assert_eq!(decision(&bench, &place, &unseen), Decision::AgentOrphaned);

    say_active(&bench, &place, user, true);
    assert_eq!(state(&bench, &place, member), MembershipState::Active, "its directory gave it life again");
    assert_eq!(decision(&bench, &place, &own), Decision::TokenEnded);
    assert_eq!(decision(&bench, &place, &unseen), Decision::AgentOrphaned);
}

#[tokio::test]
async fn the_receipt_names_what_ended_and_the_log_verifies_offline() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (user, member) = provision(&bench, &place, "ada");
    key(&bench, &place, TokenKind::MemberKey, Holder::Membership(member), ShownTo::Membership(member));
    let orphan = agent(&bench, &place, member, OwnerLossRule::Pause);
    say_active(&bench, &place, user, false);
    bench.portcullis().sign_all().await.unwrap();

    let organization = place.organization;
    let receipts = bench.write(move |tx, _| Ok(portcullis_store::receipt::of_membership(tx, member)?));
    assert_eq!(receipts.len(), 1);
    let receipt = &receipts[0];
    let kinds: Vec<&str> = receipt.ended.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["agent", "token"]);
    assert_eq!(receipt.ended[0].id, orphan.to_string());
    assert!(receipt.jws.is_some(), "signed by the sequencer");
    assert!(receipt.cause.request_id.is_some(), "caused by the directory's request");

    let lines = bench.write(move |tx, _| {
        let mut text = Vec::new();
        audit_export::export(tx, organization, |line| {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
            Ok(())
        })?;
        Ok(text)
    });
    let verified = audit_export::verify(lines.as_slice(), &audit_export::Known::default()).unwrap();
    let events = bench.write(move |tx, _| {
        Ok(portcullis_store::audit::list_page(tx, organization, &AuditFilter::default(), "", 1000)?)
    });
    assert_eq!(verified.events, i64::try_from(events.len()).unwrap());
    let contents = events.iter().map(|e| serde_json::from_str::<serde_json::Value>(&e.content).unwrap());
    let ended: Vec<_> = contents.filter(|e| e["action"] == "token.ended").collect();
    assert_eq!(ended[0]["targets"][1], serde_json::json!({ "type": "membership", "id": member }));

    let text: Vec<&[u8]> = lines.split_inclusive(|b| *b == b'\n').collect();
    let check = |lines: Vec<&[u8]>| {
        let joined = lines.concat();
        audit_export::verify(joined.as_slice(), &audit_export::Known::default())
    };
    for removed in 1..text.len() {
        let mut without = text.clone();
        without.remove(removed);
        assert!(check(without).is_err(), "line {removed} removed");
    }
    for swapped in 1..text.len() - 2 {
        let mut other = text.clone();
        other.swap(swapped, swapped + 1);
        assert!(check(other).is_err(), "lines {swapped} and the next swapped");
    }
    let changed = String::from_utf8(lines.clone()).unwrap().replace("token.ended", "token.issued");
    assert!(audit_export::verify(changed.as_bytes(), &audit_export::Known::default()).is_err());
}

#[tokio::test]
async fn losing_the_last_granting_group_suspends_at_once_and_ends_after_the_settling_time() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 3600);
    let (user, member) = provision(&bench, &place, "ada");
    let own =
        key(&bench, &place, TokenKind::MemberKey, Holder::Membership(member), ShownTo::Membership(member));

    leave_group(&bench, &place, user);
    assert_eq!(decision(&bench, &place, &own), Decision::MemberInactive);
    bench.clock.pass_s(3599);
    bench.portcullis().step_rules().await.unwrap();
    assert_eq!(state(&bench, &place, member), MembershipState::Suspended);
    bench.clock.pass_s(2);
    assert_eq!(decision(&bench, &place, &own), Decision::MemberInactive, "also before the job ran");
    bench.portcullis().step_rules().await.unwrap();
    assert_eq!(state(&bench, &place, member), MembershipState::Deprovisioned);
    assert_eq!(decision(&bench, &place, &own), Decision::TokenEnded);
}

#[tokio::test]
async fn a_deleted_person_who_is_told_of_again_is_somebody_new() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (user, member) = provision(&bench, &place, "ada");
    let own =
        key(&bench, &place, TokenKind::MemberKey, Holder::Membership(member), ShownTo::Membership(member));
    let (organization, directory) = (place.organization, place.directory);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        provisioning::delete_user(tx, moment, speaker, user)
    });
    assert_eq!(state(&bench, &place, member), MembershipState::Deprovisioned);
    let (again, other) = provision(&bench, &place, "ada");
    assert_ne!(user, again);
    assert_ne!(member, other);
    assert_eq!(state(&bench, &place, other), MembershipState::Active);
    assert_eq!(decision(&bench, &place, &own), Decision::TokenEnded);
}

#[tokio::test]
async fn saying_the_same_again_writes_nothing() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (user, _) = provision(&bench, &place, "ada");
    let organization = place.organization;
    let count = |bench: &Bench| {
        bench.write(move |tx, _| {
            Ok(portcullis_store::audit::list_page(tx, organization, &AuditFilter::default(), "", 1000)?.len())
        })
    };
    let before = count(&bench);
    say_active(&bench, &place, user, true);
    let (directory, group) = (place.directory, place.group);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        provisioning::change_group(
            tx,
            moment,
            speaker,
            group,
            &[GroupSaid::Members(MembersSaid::Replace(vec![user]))],
        )?;
        Ok(())
    });
    assert_eq!(count(&bench), before);
}

#[tokio::test]
async fn causes_stand_before_what_follows_from_them_in_the_log() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (user, member) = provision(&bench, &place, "ada");
    for _ in 0..20 {
        key(&bench, &place, TokenKind::MemberKey, Holder::Membership(member), ShownTo::Membership(member));
    }
    bench.clock.pass_s(1);
    say_active(&bench, &place, user, false);
    let organization = place.organization;
    let events = bench.write(move |tx, _| {
        Ok(portcullis_store::audit::list_page(tx, organization, &AuditFilter::default(), "", 1000)?)
    });
    let mut actions: Vec<String> = events
        .iter()
        .map(|e| {
            serde_json::from_str::<serde_json::Value>(&e.content).unwrap()["action"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let begun = actions.iter().position(|a| a == "directory_user.deactivated").unwrap();
    let actions = actions.split_off(begun);
    assert_eq!(actions[1], "member.deprovisioned");
    assert!(actions[2..22].iter().all(|a| a == "token.ended"), "{actions:?}");
}

#[tokio::test]
async fn an_organization_whose_log_or_key_is_damaged_keeps_no_other_waiting() {
    let bench = Bench::sqlite();
    let all = ["acme", "bolt", "cog"].map(|slug| place(&bench, slug, 0));
    let waiting = |place: &Place| {
        let organization = place.organization;
        bench.write(move |tx, _| {
            let all =
                portcullis_store::audit::list_page(tx, organization, &AuditFilter::default(), "", 1000)?;
            Ok(all.iter().filter(|event| event.number.is_none()).count())
        })
    };
    bench.portcullis().sign_all().await.unwrap();
    let organization = all[0].organization;
    bench.write(move |tx, _| {
        let head = portcullis_store::audit::head(tx, organization)?.unwrap();
        let link = "no link".to_owned();
        portcullis_store::audit::put_head(tx, organization, &portcullis_store::audit::Head { link, ..head })?;
        Ok(())
    });
    for place in &all {
        let (user, _) = provision(&bench, place, "ada");
        say_active(&bench, place, user, false);
    }
    for _ in 0..2 {
        bench.portcullis().sign_all().await.unwrap();
        assert!(waiting(&all[0]) > 0, "its head is damaged");
        assert_eq!((waiting(&all[1]), waiting(&all[2])), (0, 0));
    }
    let unsigned = bench.write(|tx, _| Ok(portcullis_store::receipt::unsigned(tx, &[], 10)?));
    assert_eq!(unsigned.len(), 1, "the one whose turn is left out: {unsigned:?}");
}

/// A hand that damages the first organization of two whose leavers wait for their receipts: what it does to which rows.
const DAMAGES: [&str; 6] = [
    "UPDATE receipts SET cause = 'no cause' WHERE organization = '{acme}'",
    "UPDATE receipts SET organization = 'nobody' WHERE organization = '{acme}'",
    "UPDATE audit_events SET id = 'no event' WHERE id = (SELECT MIN(id) FROM audit_events WHERE organization = '{acme}' AND number IS NULL)",
    "UPDATE audit_events SET organization = 'nobody' WHERE organization = '{acme}' AND number IS NULL",
    "DELETE FROM audit_heads WHERE organization = '{acme}'",
    "UPDATE audit_heads SET number = number - 1 WHERE organization = '{acme}'",
];

#[tokio::test]
async fn a_row_that_does_not_read_keeps_no_other_organization_waiting() {
    for damage in DAMAGES {
        let bench = Bench::sqlite();
        let both = ["acme", "bolt"].map(|slug| place(&bench, slug, 0));
        bench.portcullis().sign_all().await.unwrap();
        for place in &both {
            let (user, _) = provision(&bench, place, "ada");
            say_active(&bench, place, user, false);
        }
        let acme = both[0].organization.to_string();
        assert!(Raw::of(&bench).change(&damage.replace("{acme}", &acme)) > 0, "{damage}");
        for _ in 0..2 {
            bench.portcullis().sign_all().await.expect(damage);
        }
        let organization = both[1].organization;
        let (events, receipts) = bench.write(move |tx, _| {
            let all = AuditFilter::default();
            let events = portcullis_store::audit::list_page(tx, organization, &all, "", 1000)?;
            Ok((events, portcullis_store::receipt::list_page(tx, organization, "", 10)?))
        });
        assert!(events.iter().all(|event| event.number.is_some()), "{damage}: {events:?}");
        assert!(receipts.len() == 1 && receipts[0].jws.is_some(), "{damage}: {receipts:?}");
        let waiting = "SELECT 1 FROM receipts WHERE jws IS NULL UNION ALL SELECT 1 FROM audit_events WHERE number IS NULL";
        assert!(!Raw::of(&bench).rows(waiting).is_empty(), "{damage}: what is damaged is still seen to wait");
    }
}

/// A member with a key of their own who was let in just now, as the request that holds the proof sees it.
async fn let_in(bench: &Bench, presented: &str) -> Proof {
    let shown = presented.to_owned();
    let product = bench.portcullis().clone();
    let (caller, as_of) = bench
        .portcullis()
        .read(move |tx, now| {
            let as_of = AsOf::read(tx, now)?;
            Ok((authenticate(tx, product.uses(), &shown, now)?, as_of))
        })
        .await
        .unwrap();
    Proof { presented: presented.to_owned().into(), who: Who::Caller(caller), as_of }
}

#[tokio::test]
async fn a_request_that_was_let_in_before_its_caller_left_writes_nothing() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (user, member) = provision(&bench, &place, "ada");
    let own =
        key(&bench, &place, TokenKind::MemberKey, Holder::Membership(member), ShownTo::Membership(member));
    let proof = let_in(&bench, &own).await;
    let write = || bench.portcullis().write(Priority::Ordinary, |_, _| Ok(()));
    let (before, after) = proof::beside(async {
        proof::keep(proof);
        let before = write().await;
        // The body is still on its way when the directory takes the caller out.
        say_active(&bench, &place, user, false);
        (before, write().await)
    })
    .await;
    assert_eq!(before, Ok(()));
    assert_eq!(after, Err(ServiceError::Unauthenticated));
}

#[tokio::test]
async fn a_request_whose_token_ran_out_while_its_body_came_writes_nothing() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (_, member) = provision(&bench, &place, "ada");
    let hands = (Holder::Membership(member), ShownTo::Membership(member));
    let own = key_for(&bench, &place, TokenKind::MemberKey, hands, Some(10));
    let proof = let_in(&bench, &own).await;
    let write = || bench.portcullis().write(Priority::Ordinary, |_, _| Ok(()));
    let (before, after) = proof::beside(async {
        proof::keep(proof);
        // Nothing is taken from anybody meanwhile: no revision moves.
        bench.clock.pass_s(9);
        let before = write().await;
        bench.clock.pass_s(1);
        (before, write().await)
    })
    .await;
    assert_eq!(before, Ok(()));
    assert_eq!(after, Err(ServiceError::Unauthenticated));
}

#[tokio::test]
async fn a_request_that_was_let_in_by_the_root_token_writes_nothing_once_that_is_made_anew() {
    let bench = Bench::sqlite();
    let proof = let_in(&bench, ROOT_TOKEN).await;
    let write = || bench.portcullis().write(Priority::Ordinary, |_, _| Ok(()));
    let (before, after) = proof::beside(async {
        proof::keep(proof);
        let before = write().await;
        // On the machine, at once: no revision moves.
        bench.write(|tx, _| Ok(instance::put(tx, ROOT_TOKEN_HASH, SecretHash::of("made anew").as_str())?));
        (before, write().await)
    })
    .await;
    assert_eq!(before, Ok(()));
    assert_eq!(after, Err(ServiceError::Unauthenticated));
}

#[tokio::test]
async fn nobody_who_left_since_they_were_let_in_is_shown_a_secret() {
    let bench = Bench::of_the_run();
    let acme = bench.organization("acme");
    let [boss, ada] = ["boss@acme.test", "ada@acme.test"].map(|email| bench.member(acme, email, "admin"));
    let product = bench.portcullis().clone();
    let (here, is_shown) = bench.write(move |tx, moment| {
        let caller = authenticate(tx, product.uses(), &boss.key, moment.now)?;
        let issue = |tx: &mut Tx<'_>, moment: &mut Moment| {
            let wish = NewKey { name: "laptop".into(), environment: None, expires_at: None };
            member_key::issue(tx, moment, &caller, (acme, ada.membership), &wish, Cause::system()).map(|_| ())
        };
        let here = issue(tx, moment);
        off_board_member(tx, moment, acme, boss.membership, "left", Cause::system())?;
        Ok((here, issue(tx, moment)))
    });
    assert_eq!(here, Ok(()));
    assert_eq!(is_shown, Err(ServiceError::Refused(Refusal::MemberInactive)));
}
