//! Whose provider is forgotten when there is no room for another.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portcullis_domain::Timestamp;
use portcullis_domain::id::ConnectionId;
use portcullis_testkit::Seeded;

use super::{MAX_PROVIDERS, Providers};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ISSUER: &str = "https://idp.example";

#[test]
fn whoever_walks_along_the_addresses_of_sign_in_has_no_provider_forgotten_of_which_something_was_verified() {
    let (providers, sources) = (Providers::default(), Seeded::sources(7));
    let mut random = sources();
    let mut another = || ConnectionId::fresh(NOW, &mut random);
    let (used, unused) = (another(), another());
    let first = providers.of((used, ISSUER), NOW);
    first.verified_at.store(NOW.micros(), Ordering::Relaxed);
    let other = providers.of((unused, ISSUER), NOW.plus_s(1));
    // So often that whoever went by chance would have gone.
    for _ in 0..20 * MAX_PROVIDERS {
        providers.of((another(), ISSUER), NOW.plus_s(2));
    }
    assert!(providers.known.lock().unwrap().len() <= MAX_PROVIDERS);
    assert!(Arc::ptr_eq(&first, &providers.of((used, ISSUER), NOW.plus_s(3))), "still known");
    assert!(!Arc::ptr_eq(&other, &providers.of((unused, ISSUER), NOW.plus_s(3))), "nobody came by it");
    let moved = providers.of((used, "https://another.example"), NOW.plus_s(4));
    assert!(!Arc::ptr_eq(&first, &moved), "nothing is taken along to another provider");
}
