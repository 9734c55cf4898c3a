//! Texts that are keys, ids, and secrets.

use portcullis_domain::id::{AgentId, MembershipId, TokenId};
use portcullis_domain::secret::{SecretHash, TokenSecret};
use portcullis_domain::text::{
    MAX_EMAIL, MAX_SLUG, Slug, TextError, domain_key, domain_of, email_key, has_nul, name, name_key,
};
use portcullis_domain::token::TokenKind;
use portcullis_domain::{Random, Timestamp, time::Clock};

use crate::fixture::{Counting, NOW};

#[test]
fn a_slug_is_short_lower_case_and_has_no_dash_at_its_ends() {
    let longest = "a".repeat(MAX_SLUG);
    for good in ["a", "acme", "acme-2", "0", "a--b", longest.as_str()] {
        assert_eq!(good.parse::<Slug>().map(|s| s.to_string()), Ok(good.to_owned()));
    }
    let too_long = "a".repeat(MAX_SLUG + 1);
    for bad in ["", "-a", "a-", "-", "Acme", "a_b", "a b", "ä", "a/b", "a\n", too_long.as_str()] {
        assert_eq!(bad.parse::<Slug>(), Err(TextError::Slug), "{bad:?}");
    }
    assert!(serde_json::from_str::<Slug>("\"Acme\"").is_err(), "also when it is read from JSON");
}

#[test]
fn an_email_key_is_the_whole_address_in_lower_case() {
    assert_eq!(email_key(" Ada.Lovelace@ACME.test "), Ok("ada.lovelace@acme.test".to_owned()));
    assert_eq!(email_key("a+tag@acme.test"), Ok("a+tag@acme.test".to_owned()), "a tag is another address");
    let longest = format!("{}@acme.test", "a".repeat(MAX_EMAIL - "@acme.test".len()));
    assert_eq!(email_key(&longest), Ok(longest));
    assert_eq!(domain_of("ada@acme.test"), "acme.test");
    assert_eq!(domain_of("ada"), "");
}

#[test]
fn a_letter_with_an_accent_is_one_letter_however_it_was_typed() {
    let (composed, apart) = ("jos\u{e9}", "JOSE\u{301}");
    assert_ne!(composed, apart.to_lowercase());
    assert_eq!(name_key(apart), composed);
    assert_eq!(name_key(composed), composed);
    assert_eq!(email_key(&format!("{apart}@acme.test")), Ok(format!("{composed}@acme.test")));
    // What only looks alike is another name: neither ligatures nor numbers above the line nor wide letters are mapped.
    for (one, other) in [("\u{fb01}n", "fin"), ("x\u{b2}", "x2"), ("\u{ff41}da", "ada")] {
        assert_ne!(name_key(one), name_key(other));
    }
}

#[test]
fn what_is_no_email_address_has_no_key() {
    let long = format!("{}@acme.test", "a".repeat(MAX_EMAIL + 1 - "@acme.test".len()));
    for bad in [
        "",
        "ada",
        "@acme.test",
        "ada@",
        "ada@acme",
        "a@b@acme.test",
        "ada@acme..test",
        "a b@acme.test",
        "ada@-acme.test",
        "\"a\"@acme.test",
        "<ada@acme.test>",
        "a,b@acme.test",
        "a\u{0}@acme.test",
        &long,
    ] {
        assert_eq!(email_key(bad), Err(TextError::Email), "{bad:?}");
    }
}

#[test]
fn a_domain_key_has_a_dot_and_ascii_labels() {
    assert_eq!(domain_key(" Acme.TEST. "), Ok("acme.test".to_owned()));
    assert_eq!(domain_key("xn--bcher-kva.example"), Ok("xn--bcher-kva.example".to_owned()));
    let longest = format!("{}.{}", [&*"a".repeat(61); 4].join("."), "abcde");
    assert_eq!((longest.len(), domain_key(&longest)), (253, Ok(longest.clone())));
    assert_eq!(domain_key(&format!("{longest}f")), Err(TextError::Domain));
    let label = format!("{}.test", "a".repeat(64));
    for bad in ["", "acme", ".", "acme.", ".test", "a..b", "-a.b", "a-.b", "bücher.example", "a b.c", &label]
    {
        assert_eq!(domain_key(bad), Err(TextError::Domain), "{bad:?}");
    }
}

#[test]
fn names_are_trimmed_and_have_no_control_characters() {
    assert_eq!(name("  Ada  "), Ok("Ada".to_owned()));
    assert_eq!(name(&"a".repeat(256)).map(|n| n.len()), Ok(256));
    for bad in ["", "   ", "a\u{7}", "a\nb", &"a".repeat(257)] {
        assert_eq!(name(bad), Err(TextError::Name), "{bad:?}");
    }
    assert_eq!(name_key("  ÄDA "), "äda");
    assert!(has_nul("a\0b") && !has_nul("ab"));
}

#[test]
fn an_id_is_read_with_its_own_prefix_only() {
    let id = TokenId::fresh(NOW, &mut Counting(1));
    assert_eq!(id.to_string().parse::<TokenId>(), Ok(id));
    assert!(id.to_string().parse::<AgentId>().is_err());
    let text = id.to_string();
    let bare = text.trim_start_matches("tok_");
    for bad in [bare, &text.to_uppercase(), &text[..text.len() - 1], &format!("{text}0"), "tok_", ""] {
        assert!(bad.parse::<TokenId>().is_err(), "{bad:?}");
    }
    assert!("tok_+0000000000000000000000000000000".parse::<TokenId>().is_err(), "a sign is no digit");
}

#[test]
fn ids_sort_by_the_time_they_were_made() {
    let earlier = MembershipId::fresh(NOW, &mut Counting(200));
    let later = MembershipId::fresh(NOW.plus_s(1), &mut Counting(1));
    assert!(earlier < later && earlier.to_string() < later.to_string());
}

#[test]
fn every_kind_of_token_has_a_prefix_of_its_own_that_its_secret_says() {
    for kind in TokenKind::ALL {
        let secret = TokenSecret::fresh(kind, &mut Counting(7));
        assert!(secret.expose().starts_with(&format!("pc_{}_", kind.prefix())));
        let (parsed, again) = TokenSecret::parse(secret.expose()).expect("a secret");
        assert_eq!(parsed, kind);
        assert!(again.hash().matches(&secret.hash()));
        assert_eq!(TokenKind::ALL.iter().filter(|k| k.prefix() == kind.prefix()).count(), 1);
    }
}

#[test]
fn a_secret_with_any_other_letter_is_none() {
    let secret = TokenSecret::fresh(TokenKind::AgentKey, &mut Counting(7));
    let text = secret.expose();
    for at in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        let other = String::from_utf8(bytes).expect("ASCII");
        assert!(TokenSecret::parse(&other).is_err(), "letter {at}");
    }
    let long = "a".repeat(10_000);
    for bad in ["", "pc_", "pc_key_", &text[1..], &format!("{text}0"), &text.to_uppercase(), "pc_é_00", &long]
    {
        assert!(TokenSecret::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_right_checksum_makes_no_secret_of_another_length_or_alphabet() {
    let checked = |body: String| format!("{body}{:08x}", crc32fast::hash(body.as_bytes()));
    let digits = "0123456789abcdef".repeat(3);
    assert!(TokenSecret::parse(&checked(format!("pc_key_{digits}"))).is_ok());
    let others =
        [digits.to_uppercase(), digits[1..].to_owned(), format!("{digits}0"), digits.replace('a', "é")];
    for other in others {
        assert!(TokenSecret::parse(&checked(format!("pc_key_{other}"))).is_err(), "{other}");
    }
}

#[test]
fn randomness_that_is_passed_on_is_the_same() {
    let ask = |random: &mut dyn Random| TokenSecret::fresh(TokenKind::Session, random).hash();
    let plain = ask(&mut Counting(7));
    assert_eq!(plain, ask(&mut (Box::new(Counting(7)) as Box<dyn Random>)));
    assert_eq!(plain, ask(&mut &mut Counting(7)));
}

#[test]
fn a_secret_is_never_printed() {
    let secret = TokenSecret::fresh(TokenKind::Session, &mut Counting(7));
    assert_eq!(format!("{secret:?}"), "TokenSecret(…)");
    assert!(!format!("{:?}", secret.hash()).contains(secret.expose()));
}

#[test]
fn hashes_match_only_themselves() {
    let (one, other) = (SecretHash::of("one"), SecretHash::of("other"));
    assert!(one.matches(&SecretHash::from_stored(one.as_str().to_owned())));
    assert!(!one.matches(&other));
    assert!(!one.matches(&SecretHash::from_stored(String::new())));
    assert_eq!(one.as_str().len(), 64);
}

#[test]
fn instants_are_read_as_they_are_written() {
    assert_eq!(NOW.rfc3339(), "2026-09-21T14:13:20.000000Z");
    assert_eq!(Timestamp::parse_rfc3339(&NOW.rfc3339()), Some(NOW));
    assert_eq!(Timestamp::parse_rfc3339("2026-09-21T16:13:20+02:00"), Some(NOW));
    assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    assert_eq!(NOW.plus_s(90).seconds_since(NOW), 90);
    assert_eq!(NOW.plus_s(i64::MAX).micros(), i64::MAX, "far away, not wrapped around");
    assert_eq!([-1, 999_999, 7_000_000].map(|m| Timestamp::from_micros(m).seconds()), [-1, 0, 7]);
    struct Still;
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            NOW
        }
    }
    assert_eq!(Still.now(), NOW);
}
