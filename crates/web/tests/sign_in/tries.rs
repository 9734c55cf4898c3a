//! Tries of passwords: what is counted, for how long whatever else comes in, and whom that keeps out.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_domain::id::RequestId;
use portcullis_emulator::Browser;
use portcullis_service::sign_in::binding::Bound;
use portcullis_service::sign_in::{Visitor, admit_source};
use portcullis_service::{ServiceError, local};
use serde_json::json;

use crate::local::{PASSWORD, joined};
use crate::world::{ADA, World, outcome};

const WRONG: &str = "a guess, a wrong one";
/// More sources than any memory of ours holds.
const FLOOD: u32 = 60_000;
/// What a browser of ours says along with a form.
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// Sixty wrong tries at that address, as many as an hour has, from six networks.
async fn sixty_wrong(world: &World, address: &str) {
    for source in 1..=6 {
        for n in 0..10 {
            let from = format!("2001:db8:{source}::{n}");
            assert_eq!(world.try_password(&from, "", (address, WRONG)).await.0, 403, "{from}");
        }
    }
}

#[tokio::test]
async fn no_flood_of_other_calls_from_everywhere_makes_room_for_more_wrong_tries() {
    let world = World::new().await;
    joined(&world, "acme", ADA, "member").await;
    // Joining was a try at the address too.
    world.clock.pass_s(3_600);
    let flood = |round: u32| {
        for n in 0..FLOOD {
            let network = (u128::from(n) << 64) | (u128::from(round) << 96) | (0x2001_u128 << 112);
            admit_source(&world.portcullis, IpAddr::V6(Ipv6Addr::from_bits(network))).unwrap();
        }
    };
    flood(1);
    sixty_wrong(&world, ADA).await;
    for round in 2..4 {
        flood(round);
        let (status, _) = world.try_password("198.51.100.1", "", (ADA, WRONG)).await;
        assert_eq!(status, 429, "sixty from everywhere are enough");
    }
}

#[tokio::test]
async fn nobody_elsewhere_keeps_an_invited_person_or_an_owner_from_their_link() {
    let world = World::new().await;
    let body = json!({ "slug": "newco", "name": "Newco", "owner_email": "ceo@newco.example" });
    let owner = world.made("/organizations", body).await["owner_link"].as_str().unwrap().to_owned();
    let invited = world.invite("acme", ADA, "member").await;
    sixty_wrong(&world, "ceo@newco.example").await;
    world.clock.pass_s(15 * 60);
    sixty_wrong(&world, ADA).await;
    for (link, path, address) in [(owner, "/setup/owner", "ceo@newco.example"), (invited, "/invite", ADA)] {
        let (status, _) = world.try_password("198.51.100.1", "", (address, WRONG)).await;
        assert_eq!(status, 429, "{address} had its tries for the hour");
        let body =
            format!("token={}&password={}", link.rsplit_once('=').unwrap().1, PASSWORD.replace(' ', "+"));
        let (status, page) = world.form(path, &[OWN, ("x-forwarded-for", "198.51.100.1")], &body).await;
        assert_eq!(status, 303, "{address}: {page}");
    }
    world.clock.pass_s(3_600);
    for address in ["ceo@newco.example", ADA] {
        let (status, _) = world.try_password("198.51.100.1", "", (address, PASSWORD)).await;
        assert_eq!(status, 303, "the password that {address} chose");
    }
}

#[tokio::test]
async fn a_link_is_no_way_to_guess_a_password_at_an_address_that_had_its_tries() {
    let world = World::new().await;
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    joined(&world, "acme", ADA, "member").await;
    world.clock.pass_s(3_600);
    let link = world.invite("globex", ADA, "member").await;
    sixty_wrong(&world, ADA).await;
    let body = format!("token={}&password={}", link.rsplit_once('=').unwrap().1, PASSWORD.replace(' ', "+"));
    let (status, _) = world.form("/invite", &[OWN, ("x-forwarded-for", "198.51.100.1")], &body).await;
    assert_eq!(status, 303);
    let of = async |org: &str| world.members(org, ADA).await[0]["user"]["id"].clone();
    assert_ne!(of("acme").await, of("globex").await, "whoever guessed right is not told, and is nobody else");
}

#[tokio::test]
async fn a_try_in_which_nothing_was_compared_is_not_counted() {
    let world = World::new().await;
    joined(&world, "acme", ADA, "member").await;
    world.clock.pass_s(3_600);
    let over = Arc::new(AtomicBool::new(false));
    let mut busy = Vec::new();
    for task in 0..100_u8 {
        let (portcullis, over) = (world.portcullis.clone(), Arc::clone(&over));
        busy.push(tokio::spawn(async move {
            let mut moment = portcullis.moment();
            for n in 0_u16.. {
                let [high, low] = n.to_be_bytes();
                let visitor = Visitor {
                    browser: None,
                    bound: Bound::default(),
                    presented: vec![],
                    source: [10, task, high, low].into(),
                    request: RequestId::fresh(moment.now, &mut moment.random),
                };
                let address = format!("nobody-{task}-{n}@nowhere.example");
                let tried = local::sign_in(&portcullis, &address, WRONG.into(), visitor).await;
                if over.load(Ordering::Relaxed) {
                    return;
                }
                if matches!(tried, Err(ServiceError::TooMany { .. })) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }));
    }
    let login = format!("{}/login", world.base);
    let mut refused = 0;
    for _ in 0..400 {
        let fields = [("email", ADA), ("password", PASSWORD)];
        let page = Browser::new().unwrap().submit(&login, &fields).await.unwrap();
        refused += u32::from(page.body.contains("Try again in 2 seconds"));
        if refused == 12 {
            break;
        }
    }
    over.store(true, Ordering::Relaxed);
    for one in busy {
        one.await.unwrap();
    }
    assert_eq!(refused, 12, "the bench was full, and nothing was counted meanwhile");
    let (status, _) = world.try_password("127.0.0.1", "", (ADA, PASSWORD)).await;
    assert_eq!(status, 303);
}

#[tokio::test]
async fn whoever_has_the_right_password_signs_in_a_hundred_times_in_five_minutes_and_no_more() {
    let world = World::new().await;
    joined(&world, "acme", ADA, "member").await;
    let tried = async || world.try_password("198.51.100.1", "", (ADA, PASSWORD)).await.0;
    for number in 0..100 {
        assert_eq!(tried().await, 303, "{number}");
    }
    for passed_s in [0, 299] {
        world.clock.pass_s(passed_s);
        assert_eq!(tried().await, 429, "after {passed_s} seconds more");
    }
    world.clock.pass_s(1);
    assert_eq!(tried().await, 303);
}

#[tokio::test]
async fn ten_networks_of_one_site_have_as_many_wrong_tries_as_one_site_has() {
    let world = World::new().await;
    let tried = async |network: u32, n: u32| {
        let from = format!("2001:db8:7:{network:x}::1");
        world.try_password(&from, "", (&format!("nobody-{network}-{n}@acme.example"), WRONG)).await.0
    };
    for network in 0..12 {
        for n in 0..50 {
            assert_eq!(tried(network, n).await, 403, "{network} {n}");
        }
    }
    assert_eq!(tried(12, 0).await, 429, "six hundred from one /48");
    let (status, _) = world.try_password("2001:db8:8::1", "", ("nobody@acme.example", WRONG)).await;
    assert_eq!(status, 403, "another site");
    world.clock.pass_s(15 * 60);
    assert_eq!(tried(12, 0).await, 403);
}

#[tokio::test]
async fn a_refused_page_of_a_link_or_a_password_says_when_to_come_again() {
    let world = World::new().await;
    for n in 0..10 {
        let (status, _) = world.try_password("198.51.100.1", "", (ADA, WRONG)).await;
        assert_eq!(status, 403, "{n}");
    }
    let client = reqwest::Client::new();
    let answer = client.post(format!("{}/login", world.base)).header("origin", &world.base);
    let answer = answer.header("x-forwarded-for", "198.51.100.1");
    let answer = answer.header("content-type", "application/x-www-form-urlencoded");
    let answer = answer.body(format!("email={ADA}&password=x")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 429);
    assert_eq!(answer.headers().get("retry-after").map(|value| value.to_str().unwrap()), Some("900"));
    let mut browser = Browser::new().unwrap();
    let page = browser.open(&format!("{}/login?email=no-address", world.base)).await.unwrap();
    assert!(page.body.contains("value=\"no-address\""), "what was typed stays: {}", page.body);
    assert_ne!(outcome(&page), "ok");
}

#[tokio::test]
async fn whoever_comes_by_a_proxy_that_writes_their_port_too_is_counted_apart_from_others() {
    let world = World::new().await;
    for n in 0..60 {
        let who = format!("nobody-{n}@acme.example");
        let (status, _) = world.try_password(&format!("203.0.113.1:{}", 4_000 + n), "", (&who, WRONG)).await;
        assert_eq!(status, 403, "{n}");
    }
    for (from, expected) in [("203.0.113.1:80", 429), ("203.0.113.2:80", 403), ("[2001:db8::1]:80", 403)] {
        let (status, _) = world.try_password(from, "", ("nobody@acme.example", WRONG)).await;
        assert_eq!(status, expected, "{from}");
    }
}
