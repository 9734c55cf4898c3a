//! An invitation that is taken back on PostgreSQL while its person is invited anew.

use portcullis_domain::id::{OrganizationId, TokenId};
use portcullis_domain::membership::MembershipState;
use portcullis_service::caller::Caller;
use portcullis_service::{Moment, ServiceError, invitation};
use portcullis_store::Tx;
use portcullis_testkit::Bench;

use super::races::{cause, meet, stored};

fn invite(
    organization: OrganizationId,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<TokenId, ServiceError> + Send + 'static {
    move |tx, moment| {
        let wish = ("ada@acme.test", &"member".parse()?);
        Ok(invitation::create(tx, moment, organization, &Caller::Root, wish, cause())?.invitation.id)
    }
}

#[test]
fn an_invitation_made_anew_outlives_the_withdrawal_of_the_former_one_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let former = bench.write(invite(organization));
    let met = meet(&bench, invite(organization), move |tx: &mut Tx<'_>, moment: &mut Moment| {
        invitation::delete(tx, moment, (organization, former), &Caller::Root, cause())
    });
    let anew = met.first.unwrap();
    assert_eq!((met.second, met.passed), (Ok(()), false), "the former one has ended already");
    let found = bench.write(move |tx, _| invitation::find(tx, organization, anew));
    assert_eq!(found.ended, None);
    assert_eq!(stored(&bench, organization, found.membership).access.state, MembershipState::Invited);
}
