//! The words that stand in the API, in the database and in events: each is stable, and the same everywhere.

use portcullis_domain::access::EndedBecause;
use portcullis_domain::agent::{AgentState, OwnerLossRule};
use portcullis_domain::audit::{Outcome, Target};
use portcullis_domain::brake::Above;
use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::connection::{ConnectionKind, KeyState};
use portcullis_domain::directory::{DEFAULT_SETTLE_S, DirectoryKind, MAX_SETTLE_S};
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::hold::{HeldState, HoldKind, HoldState};
use portcullis_domain::id::{AgentId, DomainId, EventId, TokenId};
use portcullis_domain::mapping::{FacetSource, Gives};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::oidc::ClientKeyAlg;
use portcullis_domain::refusal::Refusal;
use portcullis_domain::review::ReviewReason;
use portcullis_domain::saml::CertificateState;
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::{TextError, UnknownText};
use portcullis_domain::token::{Holder, Scope, ShownTo, TokenEnd, TokenKind};
use portcullis_domain::tombstone::IdentifierKind;
use portcullis_domain::user::AuthenticatorKind;
use serde::Serialize;

use crate::fixture::{NOW, directory, id, mapped, member, organization, slug, stored};

/// The word of each variant, beside what serde writes of it: they are one word.
fn words<T: Serialize + Copy>(variants: &[T], as_str: fn(T) -> &'static str) -> Vec<&'static str> {
    let one = |variant: &T| {
        let word = as_str(*variant);
        assert_eq!(serde_json::to_value(variant).expect("JSON"), word);
        word
    };
    variants.iter().map(one).collect()
}

#[test]
fn each_word_of_the_api_is_the_one_that_is_promised() {
    let states = words(&MembershipState::ALL, MembershipState::as_str);
    assert_eq!(states, ["invited", "active", "suspended", "deprovisioned"]);
    for state in MembershipState::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    assert_eq!("Active".parse::<MembershipState>(), Err(UnknownText));
    let rules = words(&OwnerLossRule::ALL, OwnerLossRule::as_str);
    assert_eq!(rules, ["pause", "hand_over", "disable", "keep"]);
    let states = words(&AgentState::ALL, AgentState::as_str);
    assert_eq!(states, ["active", "paused", "orphaned", "disabled"]);
    assert_eq!(
        words(&[DomainState::Pending, DomainState::Proven], DomainState::as_str),
        ["pending", "proven"]
    );
    assert_eq!(words(&[TeamRole::Member, TeamRole::Admin], TeamRole::as_str), ["member", "admin"]);
    assert_eq!(words(&Scope::ALL, Scope::as_str), ["evaluate", "introspect", "revocations"]);
    assert_eq!(words(&[ConnectionKind::Oidc], ConnectionKind::as_str), ["oidc"]);
    assert_eq!(words(&DirectoryKind::ALL, DirectoryKind::as_str), ["scim", "claims", "google"]);
    assert_eq!([Outcome::Done, Outcome::Refused].map(Outcome::as_str), ["done", "refused"]);
}

#[test]
fn each_word_of_the_database_and_of_events_is_stable() {
    let kinds = words(&TokenKind::ALL, TokenKind::as_str);
    let named =
        ["session", "member_key", "agent_key", "service_key", "scim_token", "invitation", "owner_link"];
    assert_eq!(kinds, named);
    let reasons = words(&EndedBecause::ALL, EndedBecause::as_str);
    assert_eq!(reasons, ["inactive", "deleted", "unmapped", "administrator"]);
    let ends = words(&TokenEnd::ALL, TokenEnd::as_str);
    let first = ["off_boarded", "agent_disabled", "revoked", "signed_out"];
    assert_eq!(
        ends,
        [&first[..], &["used", "replaced", "holder_deleted", "restored", "certificate_retired"]].concat()
    );
    assert_eq!(words(&[AuthenticatorKind::Password], AuthenticatorKind::as_str), ["password"]);
    let kinds = [CauseKind::Scim, CauseKind::Google, CauseKind::SignIn, CauseKind::Api, CauseKind::Console];
    assert_eq!(kinds.map(CauseKind::as_str), ["scim", "google", "sign_in", "api", "console"]);
    assert_eq!([CauseKind::Rule, CauseKind::System].map(CauseKind::as_str), ["rule", "system"]);
    let kinds = IdentifierKind::ALL.map(IdentifierKind::as_str);
    assert_eq!(kinds, ["user_name", "email", "external_id", "subject", "issuer_subject"]);
}

#[test]
fn each_word_of_holds_reviews_and_keys_is_stable_and_what_is_read_back_is_what_was_written() {
    assert_eq!(words(&Above::ALL, Above::as_str), ["hold", "refuse"]);
    let states = [HoldState::Open, HoldState::Refused, HoldState::Closed];
    assert_eq!(words(&states, HoldState::as_str), ["open", "refused", "closed"]);
    assert_eq!(HeldState::ALL.map(HeldState::as_str), ["held", "refused"]);
    assert_eq!(HoldKind::ALL.map(HoldKind::as_str), ["endings", "losses", "missing"]);
    assert_eq!(HoldKind::ALL.map(|kind| kind.as_str().parse()), HoldKind::ALL.map(Ok));
    assert_eq!("ending".parse::<HoldKind>(), Err(UnknownText));
    assert_eq!(FacetSource::ALL.map(FacetSource::as_str), ["attribute", "org_unit"]);
    assert_eq!(FacetSource::ALL.map(|kind| kind.as_str().parse()), FacetSource::ALL.map(Ok));
    assert_eq!("group".parse::<FacetSource>(), Err(UnknownText));
    let reasons = ReviewReason::ALL.map(ReviewReason::as_str);
    assert_eq!(reasons[..3], ["domain_not_proven", "several_members", "already_told"]);
    assert_eq!(reasons[3..], ["end_held", "ended_elsewhere", "other_address", "told_elsewhere"]);
    let keys: Vec<_> = KeyState::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(keys, ["next", "signing", "former", "retired"]);
    let certificates: Vec<_> = CertificateState::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(certificates, ["trusted", "offered", "former", "retired"]);
    let algorithms: Vec<_> = ClientKeyAlg::ALL.iter().map(|alg| alg.as_str()).collect();
    assert_eq!(algorithms, ["ES256", "RS256"], "as JOSE calls them");
}

#[test]
fn actors_and_holders_are_told_by_kind_and_id() {
    let (person, key) = (member(4), id!(TokenId, 5));
    let actors = [
        (Actor::Root, "root", String::new(), None),
        (Actor::Membership(person), "membership", person.to_string(), Some(person)),
        (Actor::ServiceKey(key), "service_key", key.to_string(), None),
        (Actor::Directory(directory(6)), "directory", directory(6).to_string(), None),
        (Actor::System, "system", String::new(), None),
    ];
    for (actor, kind, id, membership) in actors {
        assert_eq!((actor.kind(), actor.id(), actor.membership()), (kind, id, membership));
    }
    let agent = id!(AgentId, 7);
    let holders = [
        (Holder::Membership(person), "membership", person.to_string()),
        (Holder::Agent(agent), "agent", agent.to_string()),
        (Holder::Directory(directory(6)), "directory", directory(6).to_string()),
        (Holder::Organization(organization()), "organization", organization().to_string()),
    ];
    for (holder, kind, id) in holders {
        assert_eq!(id.parse(), Ok(holder), "an id says what it is an id of");
        assert_eq!((holder.kind(), holder.id()), (kind, id));
    }
    for nobody in ["", "mem_", "membership", &id!(DomainId, 7).to_string()] {
        assert!(nobody.parse::<Holder>().is_err(), "{nobody}");
    }
    let shown = [ShownTo::Membership(person), ShownTo::Root, ShownTo::Bearer];
    assert_eq!(shown.map(ShownTo::membership), [Some(person), None, None]);
    for one in shown {
        assert_eq!(ShownTo::read(one.kind(), one.membership()), Some(one));
        let other = if one.membership().is_none() { Some(person) } else { None };
        assert_eq!(ShownTo::read(one.kind(), other), None, "a row that contradicts itself");
    }
    let target = Target::from(agent);
    assert_eq!((target.kind.as_str(), target.id), ("agent", agent.to_string()));
}

#[test]
fn a_cause_further_down_the_chain_keeps_the_request_and_names_what_it_follows() {
    let first = Cause { actor: Actor::Membership(member(1)), kind: CauseKind::Api, ..Cause::system() };
    let next = first.after(id!(EventId, 3));
    assert_eq!(next, Cause { event: Some(id!(EventId, 3)), ..first });
}

#[test]
fn a_domain_says_where_its_record_is_looked_for() {
    let domain = Domain {
        id: id!(DomainId, 1),
        organization: organization(),
        domain: "acme.test".into(),
        state: DomainState::Pending,
        txt_value: "v".into(),
        proven_at: None,
        created_at: NOW,
    };
    assert_eq!(domain.txt_name(), "_portcullis.acme.test");
}

#[test]
fn the_settling_time_is_an_hour_and_thirty_days_at_most() {
    assert_eq!((DEFAULT_SETTLE_S, MAX_SETTLE_S), (60 * 60, 2_592_000));
}

#[test]
fn each_refusal_has_the_code_that_clients_rely_on() {
    let codes = [
        (Refusal::Text(TextError::Slug), "invalid_slug"),
        (Refusal::Text(TextError::Email), "invalid_email"),
        (Refusal::Text(TextError::Domain), "invalid_domain"),
        (Refusal::Text(TextError::Name), "invalid_name"),
        (Refusal::RankOutOfRange, "rank_out_of_range"),
        (Refusal::RankTaken, "rank_taken"),
        (Refusal::AboveOwnRank, "above_own_rank"),
        (Refusal::RoleIsExplicitOnly, "role_is_explicit_only"),
        (Refusal::PermissionIsExplicitOnly, "permission_is_explicit_only"),
        (Refusal::BuiltIn, "built_in"),
        (Refusal::MemberInactive, "member_inactive"),
        (Refusal::JitUnderDirectory, "jit_under_directory"),
        (Refusal::LastOwner, "last_owner"),
        (Refusal::Tombstoned, "tombstoned"),
        (Refusal::NoRoleMapped, "no_role_mapped"),
    ];
    for (refusal, code) in codes {
        assert_eq!(refusal.code(), code, "{refusal}");
    }
}

#[test]
fn a_mapping_that_gives_anything_is_not_empty_and_a_membership_tells_its_role() {
    let role = Gives { role: Some(slug("member")), ..Gives::default() };
    let team = Gives { team: Some((slug("core"), TeamRole::Member)), ..Gives::default() };
    let environment = Gives { environment: Some(slug("staging")), ..Gives::default() };
    assert!(Gives::default().is_empty());
    assert!([role, team, environment].iter().all(|gives| !gives.is_empty()));
    assert_eq!(stored(&mapped(), NOW).role(), Some(&slug("member")));
}

#[test]
fn a_mapping_of_a_group_is_found_by_what_it_compares_and_a_name_in_any_case() {
    use portcullis_domain::mapping::MappingSource::{GroupDisplayName, GroupExternalId, GroupId};
    assert_eq!(GroupExternalId("G-1".into()).key(), ("group_external_id", "G-1".into()));
    assert_eq!(GroupId("G-1".into()).key(), ("group_id", "G-1".into()));
    assert_eq!(GroupDisplayName(" Core Team".into()).key(), ("group_display_name", "core team".into()));
}
