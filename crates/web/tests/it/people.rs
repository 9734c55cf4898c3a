//! People as a directory tells of them, for the tests of directories and mappings.

use std::collections::BTreeSet;

use portcullis_domain::id::{
    DirectoryGroupId, DirectoryId, DirectoryUserId, MembershipId, OrganizationId, RequestId,
};
use portcullis_domain::mapping::Facet;
use portcullis_domain::membership::Membership;
use portcullis_service::provisioning::{PersonSaid, Speaker, create_group, create_user};
use portcullis_testkit::Bench;
use serde_json::Value;

/// Somebody whom a directory told of.
pub struct Told {
    pub user: DirectoryUserId,
    pub membership: MembershipId,
}

fn speaker(organization: OrganizationId, directory: DirectoryId, bench: &Bench) -> Speaker {
    let mut moment = bench.portcullis().moment();
    Speaker::scim(organization, directory, RequestId::fresh(moment.now, &mut moment.random))
}

/// The directory of an answer.
pub fn directory(made: &Value) -> DirectoryId {
    made["id"].as_str().unwrap().parse().unwrap()
}

/// The directory tells of a person.
pub fn person(bench: &Bench, organization: OrganizationId, of: DirectoryId, email: &str) -> Told {
    person_with(bench, organization, of, email, BTreeSet::new())
}

/// The directory tells of a person of whom mappings can name this.
pub fn person_with(
    bench: &Bench,
    organization: OrganizationId,
    of: DirectoryId,
    email: &str,
    facets: BTreeSet<Facet>,
) -> Told {
    let speaker = speaker(organization, of, bench);
    let said = PersonSaid {
        external_id: None,
        user_name: email.to_owned(),
        display_name: String::new(),
        full_name: String::new(),
        emails: vec![email.to_owned()],
        active: Some(true),
        facets,
        attributes: "{}".to_owned(),
    };
    bench.write(move |tx, moment| {
        let user = create_user(tx, moment, speaker, &said)?;
        Ok(Told { user: user.id, membership: user.membership })
    })
}

/// The directory tells of a group of these people.
pub fn group(
    bench: &Bench,
    organization: OrganizationId,
    of: DirectoryId,
    name: &str,
    members: &[DirectoryUserId],
) -> DirectoryGroupId {
    let speaker = speaker(organization, of, bench);
    let (name, members) = (name.to_owned(), members.to_vec());
    bench.write(move |tx, moment| {
        create_group(tx, moment, speaker, (&name, Some(&format!("ext-{name}"))), &members).map(|g| g.id)
    })
}

/// A membership as it is stored.
pub fn stored(bench: &Bench, organization: OrganizationId, id: MembershipId) -> Membership {
    bench.write(move |tx, _| Ok(portcullis_store::membership::find(tx, organization, id)?.unwrap()))
}

/// The role and state of a membership as they are stored.
pub fn standing(bench: &Bench, organization: OrganizationId, id: MembershipId) -> (String, Option<String>) {
    let found = stored(bench, organization, id);
    (found.access.state.as_str().to_owned(), found.role().map(ToString::to_string))
}
