//! Where a request is taken to come from: nobody but a trusted proxy says so, and nothing left of its word counts.

use axum::http::HeaderValue;

use super::*;

/// Where a request is taken to come from: of that peer, with these lines of `X-Forwarded-For`, behind the proxies of a
/// company.
fn from(peer: &str, lines: &[&str]) -> String {
    let trusted: Vec<IpNet> =
        ["10.0.0.0/8", "2001:db8:5::/48"].iter().map(|net| net.parse().unwrap()).collect();
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("x-forwarded-for", HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    source(peer.parse().unwrap(), &headers, &trusted).to_string()
}

#[test]
fn nobody_but_a_trusted_proxy_says_where_somebody_comes_from() {
    assert_eq!(from("198.51.100.7", &["203.0.113.9"]), "198.51.100.7");
    assert_eq!(from("10.1.1.1", &["203.0.113.9"]), "203.0.113.9");
    assert_eq!(from("2001:db8:5::1", &["2001:db8:9::9"]), "2001:db8:9::9");
    assert_eq!(from("10.1.1.1", &[]), "10.1.1.1", "a proxy that says nothing came itself");
}

#[test]
fn the_rightmost_entry_that_is_no_trusted_proxys_counts_and_nothing_left_of_it() {
    assert_eq!(
        from("10.1.1.1", &["192.0.2.1, 203.0.113.9"]),
        "203.0.113.9",
        "the left one is a client's word"
    );
    assert_eq!(from("10.1.1.1", &["203.0.113.9, 10.2.2.2,10.3.3.3"]), "203.0.113.9");
    assert_eq!(from("10.1.1.1", &["192.0.2.1", "203.0.113.9, 10.2.2.2", "10.3.3.3"]), "203.0.113.9");
    assert_eq!(from("10.1.1.1", &["10.2.2.2, 10.3.3.3"]), "10.2.2.2", "from within the company");
}

#[test]
fn what_is_no_address_ends_the_search_at_the_proxy_that_wrote_it() {
    for nonsense in
        ["unknown", "", "203.0.113.9:port", "[2001:db8::1]", "2001:db8::1]:1", "_hidden", "203.0.113"]
    {
        let line = format!("192.0.2.1, {nonsense}, 10.2.2.2");
        assert_eq!(from("10.1.1.1", &[&line]), "10.2.2.2", "`{nonsense}`");
    }
    assert_eq!(from("10.1.1.1", &["192.0.2.1, caf\u{e9}"]), "10.1.1.1", "nor a line that is not ASCII");
}

#[test]
fn a_port_that_a_proxy_writes_beside_an_address_is_left_aside() {
    assert_eq!(from("10.1.1.1", &["203.0.113.9:4711"]), "203.0.113.9");
    assert_eq!(from("10.1.1.1", &["192.0.2.1:80, 203.0.113.9:4711, 10.2.2.2:9"]), "203.0.113.9");
    assert_eq!(from("10.1.1.1", &["[2001:db8:9::9]:4711"]), "2001:db8:9::9");
    assert_eq!(from("10.1.1.1", &["[::ffff:203.0.113.9]:1"]), "203.0.113.9");
}

#[test]
fn an_ipv4_address_is_the_same_however_it_is_written() {
    assert_eq!(from("10.1.1.1", &["203.0.113.9, ::ffff:10.2.2.2"]), "203.0.113.9");
    assert_eq!(from("10.1.1.1", &["::ffff:203.0.113.9"]), "203.0.113.9");
}

#[test]
fn no_more_entries_are_read_than_a_chain_of_proxies_writes() {
    let chain = |proxies: usize| format!("203.0.113.9{}", ", 10.2.2.2".repeat(proxies));
    assert_eq!(from("10.1.1.1", &[&chain(MAX_FORWARDED - 1)]), "203.0.113.9");
    assert_eq!(from("10.1.1.1", &[&chain(MAX_FORWARDED)]), "10.2.2.2");
}
