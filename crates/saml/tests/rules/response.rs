//! What a verified response has to say: places, times, audience, request, subject, attributes.

use portcullis_saml::attribute::Listed;
use portcullis_saml::response::{Expected, MAX_AGE_S, Proof, Rules, SignaturePolicy, Weakness};
use portcullis_saml::subject::{SubjectSource, is_attribute_reassignable};

use portcullis_testkit::saml::xmlsec::{IDP, IDP_NEXT, STRANGER};
use portcullis_testkit::saml::*;

#[test]
fn an_honest_response_gives_the_person_and_everything_the_caller_keeps() {
    for what in [Signed::Assertion, Signed::Response, Signed::Both] {
        let identity = verify(&sign(&honest(), what)).unwrap();
        assert_eq!(
            identity.subject().as_str(),
            "name_id|urn:oasis:names:tc:SAML:2.0:nameid-format:persistent|00u-ada||",
            "{what:?}"
        );
        assert!(!identity.subject().is_reassignable());
        assert_eq!(identity.name_id().unwrap().value, ADA);
        assert_eq!(identity.attributes().single("email"), Some("ada@acme.test"));
        assert_eq!(identity.attributes().list("groups"), Listed::Values(vec!["engineering", "operators"]));
        assert_eq!(identity.session_index(), Some("_session"));
        assert_eq!(identity.session_not_on_or_after_s(), Some(NOW + 28_800));
        assert_eq!(identity.authn_at_s(), NOW - 60);
        assert!(identity.authn_context().unwrap().ends_with("PasswordProtectedTransport"));
        assert_eq!(identity.signed_by_sha256(), IDP.certificate.sha256());
        assert!(identity.weaknesses().is_empty());
    }
}

#[test]
fn each_signature_policy_asks_for_what_it_says() {
    use SignaturePolicy as Policy;
    let signed: Vec<(Signed, String)> = [Signed::Nothing, Signed::Assertion, Signed::Response, Signed::Both]
        .map(|what| (what, sign(&honest(), what)))
        .into();
    for policy in [Policy::AssertionOrResponse, Policy::Assertion, Policy::Response, Policy::Both] {
        for (what, xml) in &signed {
            let is_enough = match policy {
                Policy::AssertionOrResponse => *what != Signed::Nothing,
                Policy::Assertion => matches!(what, Signed::Assertion | Signed::Both),
                Policy::Response => matches!(what, Signed::Response | Signed::Both),
                Policy::Both => *what == Signed::Both,
            };
            let expected = if is_enough { "accepted" } else { "signature_missing" };
            assert_eq!(
                code_of(verify_by(xml, |rules| rules.signatures = policy)),
                expected,
                "{policy:?} {what:?}"
            );
        }
    }
}

#[test]
fn s19_ids_for_the_replay_table_outlive_every_moment_at_which_the_response_would_pass_again() {
    let identity = verify(&SIGNED_ASSERTION).unwrap();
    assert_eq!((identity.response_id(), identity.assertion_id()), ("_response", "_assertion"));
    let far = sign(&honest().replace(&at(NOW + 300), &at(NOW + 864_000)), Signed::Assertion);
    let until_s = verify(&far).unwrap().replay_until_s();
    let last = |now_s: i64| verify_by(&far, |rules| (rules.now_s, rules.skew_s) = (now_s, 300));
    let passes_until_s = NOW - 2 + MAX_AGE_S + 300;
    assert_eq!(code_of(last(passes_until_s)), "accepted");
    assert_eq!(code_of(last(passes_until_s + 1)), "issued_too_far_away");
    // Whoever waits for the database, or has a clock that is a little off, still finds the use before.
    assert!(until_s >= passes_until_s + 60, "{until_s}");
}

#[test]
fn s20_a_response_for_another_service_provider_is_refused() {
    let other = "https://other.test/metadata";
    assert_eq!(code_of(verify(&signed_with(SP_ENTITY, other))), "audience_mismatch");
    assert_eq!(
        code_of(verify_by(&signed_with(SP_ENTITY, other), |rules| rules.sp_entity_id = other)),
        "accepted"
    );
    let restriction = part(&honest(), "saml:AudienceRestriction").to_owned();
    let none = "<saml:OneTimeUse/>";
    assert_eq!(code_of(verify(&signed_with(&restriction, none))), "element_missing");
    assert_eq!(code_of(verify(&signed_with(&restriction, &format!("{restriction}{none}")))), "accepted");
    // Every restriction has to name us, not one of them.
    let second = restriction.replace(SP_ENTITY, other);
    assert_eq!(
        code_of(verify(&signed_with(&restriction, &format!("{restriction}{second}")))),
        "audience_mismatch"
    );
    let both = format!("</saml:Audience><saml:Audience>{other}</saml:Audience>");
    assert_eq!(code_of(verify(&signed_with("</saml:Audience>", &both))), "accepted");
}

#[test]
fn s20_a_response_for_another_place_is_refused() {
    let other = "https://portcullis.test/sso/saml/con_2/acs";
    let recipient = format!("Recipient=\"{ACS}\"");
    assert_eq!(
        code_of(verify(&signed_with(&recipient, &format!("Recipient=\"{other}\"")))),
        "recipient_mismatch"
    );
    assert_eq!(code_of(verify(&signed_with(&recipient, ""))), "recipient_mismatch");
    let destination = format!("Destination=\"{ACS}\"");
    assert_eq!(
        code_of(verify(&signed_with(&destination, &format!("Destination=\"{other}\"")))),
        "destination_mismatch"
    );
    // Without a signature of its own a response may leave it out, with one it may not.
    assert_eq!(code_of(verify(&signed_with(&destination, ""))), "accepted");
    let signed = sign(&with(&honest(), &destination, ""), Signed::Response);
    assert_eq!(code_of(verify(&signed)), "destination_mismatch");
}

#[test]
fn s21_a_response_that_this_browser_did_not_ask_for_is_refused() {
    let expect = |expected: Expected<'static>| move |rules: &mut Rules<'_>| rules.expected = expected;
    let other = Expected::Request { id: "_request-of-another-browser" };
    assert_eq!(code_of(verify_by(&SIGNED_ASSERTION, expect(other))), "in_response_to_mismatch");
    assert_eq!(
        code_of(verify_by(&SIGNED_ASSERTION, expect(Expected::Unsolicited))),
        "in_response_to_mismatch"
    );
    assert_eq!(code_of(verify_by(&SIGNED_ASSERTION, expect(Expected::Nothing))), "in_response_to_mismatch");
    assert_eq!(
        code_of(verify_by(&SIGNED_ASSERTION, expect(Expected::Request { id: "" }))),
        "in_response_to_mismatch"
    );
    assert_eq!(code_of(verify(&SIGNED_ASSERTION)), "accepted");

    let unsolicited = sign(&honest().replace(&format!("InResponseTo=\"{REQUEST}\""), ""), Signed::Assertion);
    assert_eq!(code_of(verify_by(&unsolicited, expect(Expected::Unsolicited))), "accepted");
    assert_eq!(code_of(verify_by(&unsolicited, expect(Expected::Nothing))), "unsolicited_refused");
    assert_eq!(code_of(verify(&unsolicited)), "in_response_to_mismatch");
}

#[test]
fn s21_an_answer_does_not_become_unsolicited_by_cutting_the_unsigned_envelope() {
    let (envelope, assertion) = SIGNED_ASSERTION.split_at(SIGNED_ASSERTION.find("<saml:Assertion").unwrap());
    let cut = format!("{}{assertion}", with(envelope, &format!("InResponseTo=\"{REQUEST}\""), ""));
    let refused = verify_by(&cut, |rules| rules.expected = Expected::Unsolicited);
    assert_eq!(code_of(refused), "in_response_to_mismatch");
    // Nor by an assertion that says nothing inside of an envelope that answers.
    let silent = with(
        &honest(),
        &format!("<saml:SubjectConfirmationData InResponseTo=\"{REQUEST}\""),
        "<saml:SubjectConfirmationData",
    );
    assert_eq!(code_of(verify(&sign(&silent, Signed::Assertion))), "in_response_to_mismatch");
}

#[test]
fn s22_a_response_of_another_issuer_is_refused_though_its_key_is_trusted() {
    let other = "https://idp.other.test/metadata";
    let issuer = format!("<saml:Issuer>{IDP_ENTITY}</saml:Issuer>");
    let theirs = format!("<saml:Issuer>{other}</saml:Issuer>");
    assert_eq!(code_of(verify(&signed_with(&issuer, &theirs))), "issuer_mismatch");
    assert_eq!(
        code_of(verify_by(&signed_with(&issuer, &theirs), |rules| rules.idp_entity_id = other)),
        "accepted"
    );
    // The envelope alone, and the assertion alone.
    let envelope = honest().replacen(&issuer, &theirs, 1);
    assert_eq!(code_of(verify(&sign(&envelope, Signed::Assertion))), "issuer_mismatch");
    let assertion = envelope.replacen(&issuer, &theirs, 1).replacen(&theirs, &issuer, 1);
    assert_eq!(code_of(verify(&sign(&assertion, Signed::Assertion))), "issuer_mismatch");
    // Without an issuer the envelope says nothing, and the assertion decides.
    assert_eq!(code_of(verify(&sign(&honest().replacen(&issuer, "", 1), Signed::Assertion))), "accepted");
    let email = issuer.replace(
        "<saml:Issuer>",
        "<saml:Issuer Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">",
    );
    assert_eq!(code_of(verify(&signed_with(&issuer, &email))), "issuer_mismatch");
    let entity = issuer.replace(
        "<saml:Issuer>",
        "<saml:Issuer Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:entity\">",
    );
    assert_eq!(code_of(verify(&signed_with(&issuer, &entity))), "accepted");
}

#[test]
fn s23_two_connections_of_one_provider_are_told_apart_by_place_and_audience() {
    let (acs, sp) =
        ("https://portcullis.test/sso/saml/con_2/acs", "https://portcullis.test/sso/saml/con_2/metadata");
    let theirs = |rules: &mut Rules<'_>| (rules.acs_url, rules.sp_entity_id) = (acs, sp);
    assert_eq!(code_of(verify_by(&SIGNED_ASSERTION, theirs)), "destination_mismatch");
    let for_them = sign(&honest().replace(ACS, acs).replace(SP_ENTITY, sp), Signed::Assertion);
    assert_eq!(code_of(verify_by(&for_them, theirs)), "accepted");
}

#[test]
fn s27_the_format_is_part_of_the_key_and_case_is_never_folded() {
    let format = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
    let key = |xml: &str| verify(xml).unwrap().subject().clone();
    let persistent = key(&SIGNED_ASSERTION);
    let email = key(&signed_with(format, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"));
    let unspecified = key(&signed_with(format, "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"));
    let absent = key(&signed_with(&format!(" Format=\"{format}\""), ""));
    let upper = key(&signed_with(ADA, "00U-ADA"));
    assert_ne!(persistent, email);
    assert_ne!(persistent, unspecified);
    assert_ne!(email, unspecified);
    assert_ne!(persistent, upper);
    assert_eq!(unspecified, absent);
    assert!(email.is_reassignable() && unspecified.is_reassignable() && !persistent.is_reassignable());
    assert!(
        key(&signed_with(ADA, "ada@acme.test")).is_reassignable(),
        "an address that calls itself persistent"
    );
    for format in ["kerberos", "X509SubjectName", "WindowsDomainQualifiedName", "emailAddress"] {
        let other = format!("urn:oasis:names:tc:SAML:2.0:nameid-format:{format}");
        assert!(
            key(&signed_with("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", &other))
                .is_reassignable(),
            "{format}"
        );
    }
    for version in ["1.1", "2.0"] {
        let transient =
            signed_with(format, &format!("urn:oasis:names:tc:SAML:{version}:nameid-format:transient"));
        assert_eq!(code_of(verify(&transient)), "name_id_transient", "{version}");
    }
}

#[test]
fn s27_an_attribute_stays_unless_it_is_an_address_or_a_name_to_sign_in_with_by_its_name_or_its_value() {
    let upn = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
    let sid = "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarysid";
    for (name, value, moves) in [
        ("mail", "ada@acme.test", true),
        ("EmailAddress", "none", true),
        ("urn:oid:0.9.2342.19200300.100.1.3", "ada@acme.test", true),
        ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "ada@acme.test", true),
        (upn, "ada@acme.test", true),
        ("AccountName", "ada@acme.test", true),
        ("employeeId", "7", false),
        (sid, "S-1-5-21-7", false),
        ("urn:oasis:names:tc:SAML:attribute:subject-id", "ada@acme.test", false),
        ("urn:oasis:names:tc:SAML:attribute:pairwise-id", "ada@acme.test", false),
    ] {
        assert_eq!(is_attribute_reassignable(name, value), moves, "{name}: {value}");
    }
}

#[test]
fn s27_qualifiers_are_part_of_the_key_unless_they_say_what_is_known() {
    let name_id = "<saml:NameID Format";
    let key = |attributes: &str| {
        verify(&signed_with(name_id, &format!("<saml:NameID {attributes} Format"))).unwrap().subject().clone()
    };
    let plain = verify(&SIGNED_ASSERTION).unwrap().subject().clone();
    assert_eq!(key(&format!("NameQualifier=\"{IDP_ENTITY}\" SPNameQualifier=\"{SP_ENTITY}\"")), plain);
    assert_ne!(key("NameQualifier=\"https://other.test\""), plain);
    assert_ne!(key("NameQualifier=\"a\""), key("SPNameQualifier=\"a\""));
    // No value can imitate a qualifier.
    assert_ne!(key("NameQualifier=\"b\""), verify(&signed_with(ADA, "00u-ada|b")).unwrap().subject().clone());
}

#[test]
fn an_immutable_attribute_can_be_the_subject_if_it_has_one_value() {
    let source = |name: &str| SubjectSource::Attribute { name: name.to_owned() };
    let (email, groups, absent) = (source("email"), source("groups"), source("oid"));
    let identity = verify_by(&SIGNED_ASSERTION, |rules| rules.subject = &email).unwrap();
    assert_eq!(identity.subject().as_str(), "attribute|email|ada@acme.test");
    assert_eq!(identity.subject().value(), "ada@acme.test");
    assert!(identity.subject().is_reassignable(), "an address");
    for source in [&groups, &absent] {
        let refused = verify_by(&SIGNED_ASSERTION, |rules| rules.subject = source);
        assert_eq!(code_of(refused), "subject_attribute_missing");
    }
    // Then the assertion needs no name identifier at all, and a transient one does no harm.
    let name_id = part(&honest(), "saml:NameID").to_owned();
    let without = signed_with(&name_id, "");
    assert_eq!(code_of(verify_by(&without, |rules| rules.subject = &email)), "accepted");
    assert_eq!(code_of(verify(&without)), "name_id_missing");
}

#[test]
fn an_identifier_with_white_space_around_it_or_of_no_length_identifies_nobody() {
    for value in ["", " 00u-ada", "00u-ada\n", "00u\tada", &"x".repeat(257)] {
        assert_eq!(code_of(verify(&signed_with(ADA, value))), "subject_invalid", "{value:?}");
    }
    assert_eq!(code_of(verify(&signed_with(ADA, &"x".repeat(256)))), "accepted");
}

#[test]
fn s28_groups_come_from_the_attribute_and_never_from_a_suffix_of_an_address() {
    let elsewhere = verify(&signed_with("ada@acme.test", "ada@acme.test.evil.example")).unwrap();
    assert_eq!(elsewhere.attributes().single("email"), Some("ada@acme.test.evil.example"));
    assert_eq!(elsewhere.attributes().list("groups"), Listed::Values(vec!["engineering", "operators"]));
    let groups =
        part(&honest()[honest().find("<saml:Attribute Name=\"groups\"").unwrap()..], "saml:Attribute")
            .to_owned();
    assert_eq!(verify(&signed_with(&groups, "")).unwrap().attributes().list("groups"), Listed::Missing);
}

#[test]
fn s30_during_a_rotation_both_keys_verify_and_after_it_only_the_new_one() {
    let new = sign_by(&honest(), Signed::Assertion, &Method::usual(), &IDP_NEXT);
    let old = &*SIGNED_ASSERTION;
    let both = [IDP.certificate.clone(), IDP_NEXT.certificate.clone()];
    let after = [IDP_NEXT.certificate.clone()];
    for xml in [&new, old] {
        assert_eq!(code_of(verify_by(xml, |rules| rules.certificates = &both)), "accepted");
    }
    assert_eq!(code_of(verify_by(&new, |rules| rules.certificates = &after)), "accepted");
    let refused = verify_by(old, |rules| rules.certificates = &after).unwrap_err();
    assert_eq!(refused.code(), "signature_not_trusted");
    assert!(refused.is_unknown_key());
}

#[test]
fn s30_a_certificate_out_of_time_still_verifies_and_is_reported() {
    let later = NOW + 200_000;
    let xml = sign(
        &honest()
            .replace(&at(NOW - 2), &at(later))
            .replace(&at(NOW + 300), &at(later + 300))
            .replace(&at(NOW + 28_800), &at(later + 9)),
        Signed::Assertion,
    );
    let identity = verify_by(&xml, |rules| rules.now_s = later).unwrap();
    assert_eq!(identity.weaknesses(), [Weakness::CertificateOutOfTime]);
}

#[test]
fn s32_with_the_providers_own_key_a_forger_still_has_to_answer_a_request_of_this_browser() {
    // A stolen key cannot be told from the provider's; what remains is that nothing unasked is let in by default.
    let golden = sign(&honest().replace(REQUEST, "_never-sent").replace(ADA, MALLORY), Signed::Both);
    assert_eq!(code_of(verify(&golden)), "in_response_to_mismatch");
    assert_eq!(
        code_of(verify_by(&golden, |rules| rules.expected = Expected::Nothing)),
        "in_response_to_mismatch"
    );
    let asked = sign(&honest().replace(ADA, MALLORY), Signed::Both);
    assert_eq!(code_of(verify(&asked)), "accepted");
}

#[test]
fn s33_values_are_bounded_and_kept_apart_exactly_as_they_came() {
    let value = "<saml:AttributeValue>engineering</saml:AttributeValue>";
    let odd = "<saml:AttributeValue>engineering,admin&#10;owner</saml:AttributeValue>";
    let identity = verify(&signed_with(value, odd)).unwrap();
    assert_eq!(
        identity.attributes().list("groups"),
        Listed::Values(vec!["engineering,admin\nowner", "operators"])
    );
    let many = |count: usize| signed_with(value, &value.repeat(count));
    assert_eq!(code_of(verify(&many(1_998))), "accepted");
    assert_eq!(code_of(verify(&many(1_999))), "attribute_values_too_many");
    assert_eq!(code_of(verify(&many(2_001))), "element_repeated");
    let long = |bytes: usize| signed_with("engineering", &"x".repeat(bytes));
    assert_eq!(code_of(verify(&long(8_192))), "accepted");
    assert_eq!(code_of(verify(&long(8_193))), "text_too_long");
}

#[test]
fn s35_however_long_it_says_that_it_is_valid_a_response_is_used_within_ten_minutes() {
    let far = honest().replace(&at(NOW + 300), &at(NOW + 864_000));
    let issued = |seconds: i64| sign(&far.replace(&at(NOW - 2), &at(seconds)), Signed::Assertion);
    let oldest = NOW - MAX_AGE_S - 180;
    assert_eq!(code_of(verify(&issued(oldest))), "accepted");
    assert_eq!(code_of(verify(&issued(oldest - 1))), "issued_too_far_away");
    assert_eq!(code_of(verify(&issued(NOW + 180))), "accepted");
    assert_eq!(code_of(verify(&issued(NOW + 181))), "issued_too_far_away");
    // A fresh envelope does not make an old assertion young.
    let old = far.replacen(&at(NOW - 2), "{envelope}", 1).replace(&at(NOW - 2), &at(oldest - 1));
    let old = sign(&old.replace("{envelope}", &at(NOW)), Signed::Assertion);
    assert_eq!(code_of(verify(&old)), "issued_too_far_away");
    // No connection widens the skew beyond five minutes.
    let wide = verify_by(&issued(NOW - MAX_AGE_S - 301), |rules| rules.skew_s = 86_400);
    assert_eq!(code_of(wide), "issued_too_far_away");
}

#[test]
fn times_hold_to_the_second_with_the_skew_of_the_connection() {
    let now =
        |now_s: i64| code_of(verify_by(&SIGNED_ASSERTION, |rules| (rules.now_s, rules.skew_s) = (now_s, 60)));
    assert_eq!(now(NOW + 300 + 59), "accepted");
    assert_eq!(now(NOW + 300 + 60), "assertion_expired");
    let begins = |seconds: i64| {
        signed_with(
            &format!("Conditions NotBefore=\"{}\"", at(NOW - 60)),
            &format!("Conditions NotBefore=\"{}\"", at(seconds)),
        )
    };
    assert_eq!(code_of(verify(&begins(NOW + 180))), "accepted");
    assert_eq!(code_of(verify(&begins(NOW + 181))), "not_yet_valid");
    let session = |end: i64| signed_with(&at(NOW + 28_800), &at(end));
    assert_eq!(code_of(verify(&session(NOW - 179))), "accepted");
    assert_eq!(code_of(verify(&session(NOW - 180))), "assertion_expired");
    for odd in ["2026-11-29 14:05:00Z", "2026-11-29T14:05:00", "1795300000", "2026-11-29T14:05:00Z[UTC]", ""]
    {
        assert_eq!(code_of(verify(&signed_with(&at(NOW + 28_800), odd))), "time_invalid", "{odd}");
    }
    let fraction = at(NOW + 28_800).replace('Z', ".1234567Z");
    assert_eq!(code_of(verify(&signed_with(&at(NOW + 28_800), &fraction))), "accepted");
}

#[test]
fn a_bearer_confirmation_says_until_when_and_not_from_when() {
    let data = format!("NotOnOrAfter=\"{}\" Recipient", at(NOW + 300));
    assert_eq!(code_of(verify(&signed_with(&data, "Recipient"))), "confirmation_window_invalid");
    let from = format!("NotBefore=\"{}\" {data}", at(NOW - 60));
    assert_eq!(code_of(verify(&signed_with(&data, &from))), "confirmation_window_invalid");
    let over = data.replace(&at(NOW + 300), &at(NOW - 180));
    assert_eq!(code_of(verify(&signed_with(&data, &over))), "assertion_expired");
    let holder = signed_with("cm:bearer", "cm:holder-of-key");
    assert_eq!(code_of(verify(&holder)), "bearer_confirmation_missing");
    // One that holds beside one that does not is enough.
    let good = part(&honest(), "saml:SubjectConfirmation").to_owned();
    let elsewhere = good.replace(ACS, "https://other.test/acs");
    assert_eq!(code_of(verify(&signed_with(&good, &format!("{elsewhere}{good}")))), "accepted");
    assert_eq!(code_of(verify(&signed_with(&good, &elsewhere))), "recipient_mismatch");
}

#[test]
fn an_authentication_context_that_was_asked_for_has_to_come() {
    let asked = |contexts: &[&str]| contexts.iter().map(|&one| one.to_owned()).collect::<Vec<String>>();
    let (mfa, password) = (
        "https://refeds.org/profile/mfa",
        "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
    );
    let (both, only_mfa) = (asked(&[mfa, password]), asked(&[mfa]));
    assert_eq!(code_of(verify_by(&SIGNED_ASSERTION, |rules| rules.contexts = &both)), "accepted");
    assert_eq!(
        code_of(verify_by(&SIGNED_ASSERTION, |rules| rules.contexts = &only_mfa)),
        "authn_context_mismatch"
    );
}

#[test]
fn whoever_was_to_prove_themselves_did_so_after_they_were_asked_but_for_the_skew() {
    let authenticated = |at_s: i64| {
        signed_with(&format!("AuthnInstant=\"{}\"", at(NOW - 60)), &format!("AuthnInstant=\"{}\"", at(at_s)))
    };
    // Asked a minute ago; the assertion was issued two seconds ago; the skew is three minutes.
    let (since, with) = (Proof::Since { asked_at_s: NOW - 60 }, Proof::WithTheAssertion);
    for (proof, at_s, expected) in [
        (since, NOW - 10, "accepted"),
        (since, NOW - 60 - 180, "accepted"),
        (since, NOW - 60 - 181, "authn_instant_too_old"),
        (with, NOW - 2, "accepted"),
        (with, NOW - 2 - 180, "accepted"),
        (with, NOW - 2 - 181, "authn_instant_too_old"),
        (Proof::AtAnyTime, NOW - 40_000, "accepted"),
    ] {
        let refused = verify_by(&authenticated(at_s), |rules| rules.proof = proof);
        assert_eq!(code_of(refused.clone()), expected, "{proof:?} {at_s}");
        if let Err(refusal) = refused {
            let broken = refusal.broken();
            assert_eq!(broken.received, Some(at_s.to_string()));
            assert!(broken.expected.is_some_and(|text| text.contains("AuthnInstant")));
        }
    }
}

#[test]
fn what_one_statement_lacks_no_other_brings() {
    let (mfa, password) = (
        "https://refeds.org/profile/mfa",
        "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
    );
    let asked = vec![mfa.to_owned()];
    let statement = part(&honest(), "saml:AuthnStatement").to_owned();
    let proven = |context: &str, at_s: i64| {
        statement
            .replace(password, context)
            .replace(&format!("AuthnInstant=\"{}\"", at(NOW - 60)), &format!("AuthnInstant=\"{}\"", at(at_s)))
    };
    let (now, long_ago) = (NOW - 10, NOW - 8 * 3_600);
    for (one, two, expected) in [
        (proven(mfa, long_ago), proven(password, now), "authn_instant_too_old"),
        (proven(mfa, now), proven(password, long_ago), "accepted"),
        (proven(mfa, now), proven(mfa, long_ago), "accepted"),
        (proven(password, now), proven(password, long_ago), "authn_context_mismatch"),
    ] {
        for both in [format!("{one}{two}"), format!("{two}{one}")] {
            let answer = signed_with(&statement, &both);
            let asks = |rules: &mut Rules<'_>| rules.proof = Proof::Since { asked_at_s: NOW - 60 };
            let stepped_up = verify_by(&answer, |rules| {
                asks(rules);
                rules.contexts = &asked;
            });
            if let Ok(identity) = &stepped_up {
                assert_eq!((identity.authn_at_s(), identity.authn_context()), (now, Some(mfa)), "{both}");
            }
            assert_eq!(code_of(stepped_up), expected, "{both}");
            assert_eq!(code_of(verify_by(&answer, asks)), "accepted", "whatever the context: {both}");
            let any_time = verify_by(&answer, |rules| rules.contexts = &asked);
            let is_mfa = both.contains(mfa);
            assert_eq!(
                code_of(any_time),
                if is_mfa { "accepted" } else { "authn_context_mismatch" },
                "{both}"
            );
        }
    }
}

#[test]
fn a_status_other_than_success_is_refused_with_what_the_provider_says() {
    let success = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>"#;
    let denied = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:RequestDenied"/></samlp:StatusCode><samlp:StatusMessage>not assigned</samlp:StatusMessage>"#;
    let refused = verify(&signed_with(success, denied)).unwrap_err();
    assert_eq!(refused.code(), "status_not_success");
    assert!(refused.broken().received.unwrap().ends_with("RequestDenied: not assigned"));
    // Providers leave the assertion out then.
    let unsigned = with(&honest(), success, denied)
        .replace(part(&honest(), "saml:Assertion"), "")
        .replace("{response-signature}", "");
    assert_eq!(code_of(verify(&unsigned)), "status_not_success");
}

#[test]
fn overage_is_not_empty_and_missing_is_neither() {
    let groups = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups";
    let entra = signed_with("Name=\"groups\"", &format!("Name=\"{groups}\""));
    assert_eq!(
        verify(&entra).unwrap().attributes().list(groups),
        Listed::Values(vec!["engineering", "operators"])
    );
    let link = signed_with("Name=\"groups\"", "Name=\"http://schemas.microsoft.com/claims/groups.link\"");
    assert_eq!(verify(&link).unwrap().attributes().list(groups), Listed::CutOff);
    assert_eq!(verify(&SIGNED_ASSERTION).unwrap().attributes().list(groups), Listed::Missing);
    // The link is about groups alone: app roles beside it came whole, and so did groups under a name of the customer's.
    let roles = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";
    for (named, expected) in [
        (roles, Listed::Values(vec!["engineering", "operators"])),
        ("memberOf", Listed::Values(vec!["engineering", "operators"])),
        (groups, Listed::CutOff),
    ] {
        let beside = format!(
            "<saml:Attribute Name=\"http://schemas.microsoft.com/claims/groups.link\"><saml:AttributeValue>https://graph</saml:AttributeValue></saml:Attribute><saml:Attribute Name=\"{named}\""
        );
        let identity = verify(&signed_with("<saml:Attribute Name=\"groups\"", &beside)).unwrap();
        assert_eq!(identity.attributes().list(named), expected, "{named}");
    }
    assert_eq!(verify(&link).unwrap().attributes().list(roles), Listed::Missing, "in no role");
    assert_eq!(verify(&link).unwrap().attributes().list("groups"), Listed::CutOff, "left out for the link");
    let values = "<saml:AttributeValue>engineering</saml:AttributeValue><saml:AttributeValue>operators</saml:AttributeValue>";
    let nil = r#"<saml:AttributeValue xsi:nil="true"/><saml:AttributeValue/>"#;
    for empty in ["", nil] {
        let identity = verify(&signed_with(values, empty)).unwrap();
        assert_eq!(identity.attributes().list("groups"), Listed::Values(vec![]), "{empty}");
    }
}

#[test]
fn every_refusal_says_what_was_expected_what_came_and_what_to_do() {
    let refused = verify(&signed_with(SP_ENTITY, "https://other.test/metadata")).unwrap_err();
    let broken = refused.broken();
    assert_eq!(broken.expected.as_deref(), Some(SP_ENTITY));
    assert_eq!(broken.received.as_deref(), Some("https://other.test/metadata"));
    assert_eq!(broken.section, "SAML Core §2.5.1.4");
    assert!(!broken.advice.is_empty());
    let stranger = sign_by(&honest(), Signed::Assertion, &Method::usual(), &STRANGER);
    let long = "x".repeat(5_000);
    let shown = verify(&signed_with(SP_ENTITY, &long)).unwrap_err().broken().received.unwrap();
    assert_eq!(shown.chars().count(), 201);
    assert!(verify(&stranger).unwrap_err().broken().expected.unwrap().contains("1 configured"));
}
