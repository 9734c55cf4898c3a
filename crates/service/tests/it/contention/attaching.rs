//! A review about which two decide at once on PostgreSQL: what is decided first stands.

use portcullis_domain::id::{MembershipId, OrganizationId, ReviewId};
use portcullis_domain::review::ReviewState;
use portcullis_service::caller::Caller;
use portcullis_service::error::Taken;
use portcullis_service::{Moment, ServiceError, directory, provisioning, review};
use portcullis_store::review::Wanted;
use portcullis_store::{Tx, review as reviews};
use portcullis_testkit::Bench;

use super::races::{cause, come, meet, place, said, speaker, stored};

/// Ada and Bob of one directory, and a review of another's Ada: the domain is not proven.
struct Doubt {
    organization: OrganizationId,
    ada: MembershipId,
    bob: MembershipId,
    review: ReviewId,
}

fn doubt(bench: &Bench) -> Doubt {
    let here = place(bench);
    let organization = here.0;
    let (ada, bob) = (come(bench, here, "ada").1, come(bench, here, "bob").1);
    let review = bench.write(move |tx, moment| {
        let wish = directory::NewDirectory {
            brake: None,
            name: "Entra".into(),
            default_role: Some("viewer".into()),
            settle_s: Some(0),
            nesting: directory::Nesting::Off,
        };
        let other = directory::create(tx, moment, &Caller::Root, organization, &wish, cause())?.0.id;
        let speaker = speaker(moment, (organization, other));
        provisioning::create_user(tx, moment, speaker, &said("ada"))?;
        Ok(reviews::list(tx, organization, Wanted::Open, "", 2)?.remove(0).id)
    });
    Doubt { organization, ada, bob, review }
}

fn attach(
    of: &Doubt,
    to: MembershipId,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<(), ServiceError> + Send + 'static + use<> {
    let (organization, id) = (of.organization, of.review);
    move |tx, moment| review::attach(tx, moment, &Caller::Root, organization, (id, to), cause()).map(|_| ())
}

#[test]
fn of_two_who_attach_one_review_at_once_the_second_is_refused_and_nobody_leaves_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let doubt = doubt(&bench);
    let met = meet(&bench, attach(&doubt, doubt.ada), attach(&doubt, doubt.bob));
    met.first.unwrap();
    assert_eq!((met.second, met.passed), (Err(ServiceError::Taken(Taken::Review)), false));
    for one in [doubt.ada, doubt.bob] {
        assert!(stored(&bench, doubt.organization, one).ended.is_none(), "nobody was somebody else");
    }
}

#[test]
fn a_review_that_is_attached_while_it_is_dismissed_stays_attached_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let doubt = doubt(&bench);
    let (organization, id) = (doubt.organization, doubt.review);
    let met = meet(&bench, attach(&doubt, doubt.ada), move |tx: &mut Tx<'_>, moment: &mut Moment| {
        review::dismiss(tx, moment, organization, id, cause()).map(|_| ())
    });
    met.first.unwrap();
    assert_eq!((met.second, met.passed), (Err(ServiceError::Taken(Taken::Review)), false));
    let state = bench.write(move |tx, _| Ok(review::find(tx, organization, id)?.review.state));
    assert_eq!(state, ReviewState::Attached(doubt.ada));
}
