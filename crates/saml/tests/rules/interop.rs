//! What real providers send, in the shapes that each of them writes: strict as the room is, these pass.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_saml::attribute::{Attributes, Listed};
use portcullis_saml::preset::{Preset, suggest};

use portcullis_testkit::saml::openssl;
use portcullis_testkit::saml::xmlsec::{IDP, IDP_NEXT, IDP_P256, IDP_P384, IDP_P521, Somebody};
use portcullis_testkit::saml::*;

fn attributes(xml: &str) -> Attributes {
    verify(xml).unwrap().attributes().clone()
}

/// Entra ID: the default namespace, the assertion signed, claims named by URIs, no `xsi:type`.
fn entra() -> String {
    let claims = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims";
    format!(
        r#"<samlp:Response ID="_response" Version="2.0" IssueInstant="{issued}" Destination="{ACS}" InResponseTo="{REQUEST}" xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><Issuer xmlns="urn:oasis:names:tc:SAML:2.0:assertion">{IDP_ENTITY}</Issuer>{{response-signature}}<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><Assertion ID="_assertion" IssueInstant="{issued}" Version="2.0" xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><Issuer>{IDP_ENTITY}</Issuer>{{assertion-signature}}<Subject><NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{ADA}</NameID><SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><SubjectConfirmationData InResponseTo="{REQUEST}" NotOnOrAfter="{soon}" Recipient="{ACS}"/></SubjectConfirmation></Subject><Conditions NotBefore="{before}" NotOnOrAfter="{soon}"><AudienceRestriction><Audience>{SP_ENTITY}</Audience></AudienceRestriction></Conditions><AttributeStatement><Attribute Name="http://schemas.microsoft.com/identity/claims/objectidentifier"><AttributeValue>0d1f7a5e</AttributeValue></Attribute><Attribute Name="{claims}/emailaddress"><AttributeValue>ada@acme.test</AttributeValue></Attribute><Attribute Name="http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"><AttributeValue>g1</AttributeValue><AttributeValue>g2</AttributeValue></Attribute></AttributeStatement><AuthnStatement AuthnInstant="{before}" SessionIndex="_session"><AuthnContext><AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</AuthnContextClassRef></AuthnContext></AuthnStatement></Assertion></samlp:Response>"#,
        issued = at(NOW - 2).replace('Z', ".1234567Z"),
        before = at(NOW - 60).replace('Z', ".000Z"),
        soon = at(NOW + 300).replace('Z', ".123Z"),
    )
}

#[test]
fn entra_is_read_and_its_objectidentifier_can_be_the_subject() {
    for what in [Signed::Assertion, Signed::Response, Signed::Both] {
        let found = attributes(&sign(&entra(), what));
        let names = Preset::Entra.names();
        assert_eq!(found.single(&names.email.clone().unwrap()), Some("ada@acme.test"));
        assert_eq!(found.list(&names.groups.clone().unwrap()), Listed::Values(vec!["g1", "g2"]));
        assert_eq!(found.single(&names.immutable_id.clone().unwrap()), Some("0d1f7a5e"));
        let suggested = suggest(&found);
        assert_eq!(
            (suggested.email, suggested.groups, suggested.immutable_id),
            (names.email, names.groups, names.immutable_id)
        );
    }
}

/// Okta, Google, OneLogin, JumpCloud, Keycloak and PingFederate differ in prefixes, types and what is signed.
#[test]
fn prefixes_are_only_names() {
    for (protocol, assertion, signature) in
        [("saml2p", "saml2", "ds"), ("samlp", "saml", "dsig"), ("p", "a", "s"), ("ns0", "ns1", "ns2")]
    {
        let renamed = honest()
            .replace("samlp:", &format!("{protocol}:"))
            .replace("saml:", &format!("{assertion}:"))
            .replace("xmlns:samlp=", &format!("xmlns:{protocol}="))
            .replace("xmlns:saml=", &format!("xmlns:{assertion}="));
        let mut method = Method::usual();
        method.key_info = "<ds:KeyInfo><ds:KeyName>FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE</ds:KeyName><ds:X509Data/><ds:KeyValue/></ds:KeyInfo>";
        let with_prefix = |xml: &str| {
            xml.replace("ds:", &format!("{signature}:")).replace("xmlns:ds=", &format!("xmlns:{signature}="))
        };
        let template = with_prefix(&method.template("#_assertion"));
        let xml = renamed.replace("{assertion-signature}", &template).replace("{response-signature}", "");
        let xml = portcullis_testkit::saml::xmlsec::sign_within("Assertion", &xml, &IDP);
        assert_eq!(code_of(verify(&xml)), "accepted", "{protocol} {assertion} {signature}");
    }
}

#[test]
fn inclusive_prefixes_and_typed_values_are_canonicalised_as_their_signer_did() {
    let list =
        format!(r#"<ec:InclusiveNamespaces xmlns:ec="{EXC_C14N}" PrefixList="xs saml xsi #default"/>"#);
    let mut method = Method::usual();
    method.transforms = format!(
        r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><ds:Transform Algorithm="{EXC_C14N}">{list}</ds:Transform>"#
    );
    for canonicalization in [
        format!(r#"<ds:CanonicalizationMethod Algorithm="{EXC_C14N}"/>"#),
        format!(r#"<ds:CanonicalizationMethod Algorithm="{EXC_C14N}">{list}</ds:CanonicalizationMethod>"#),
    ] {
        method.canonicalization = canonicalization;
        for what in [Signed::Assertion, Signed::Response, Signed::Both] {
            let xml = sign_by(&honest(), what, &method, &IDP);
            assert_eq!(attributes(&xml).single("email"), Some("ada@acme.test"), "{what:?}");
        }
    }
    // The namespaces are declared around what is signed, not in it.
    let outside = honest()
        .replace(r#" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance""#, "")
        .replace("<samlp:Response ", r#"<samlp:Response xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" "#);
    assert_eq!(code_of(verify(&sign_by(&outside, Signed::Assertion, &method, &IDP))), "accepted");
    assert_eq!(code_of(verify(&sign(&outside, Signed::Assertion))), "accepted");
}

#[test]
fn pretty_printing_and_line_ends_of_other_systems_do_no_harm() {
    let pretty = honest().replace("><", ">\n    <").replace(">\n    </", "></");
    for what in [Signed::Assertion, Signed::Response, Signed::Both] {
        let xml = sign(&pretty, what);
        assert_eq!(code_of(verify(&xml)), "accepted", "{what:?}");
        // A transport that writes CR LF changes nothing: XML reads it as LF (XML 1.0 §2.11).
        assert_eq!(code_of(verify(&xml.replace('\n', "\r\n"))), "accepted", "{what:?}");
    }
    // Java's base64 breaks lines by CR LF, which its serialiser writes as `&#13;`.
    let value = part(&SIGNED_ASSERTION, "ds:SignatureValue").to_owned();
    let broken = with(&SIGNED_ASSERTION, &value, &value.replace('\n', "&#13;\n"));
    assert!(broken.contains("&#13;"));
    assert_eq!(code_of(verify(&broken)), "accepted");
    // An audience of type anyURI on a line of its own.
    let spaced = signed_with(SP_ENTITY, &format!("\n   {SP_ENTITY}\n   "));
    assert_eq!(code_of(verify(&spaced)), "accepted");
}

#[test]
fn every_algorithm_of_the_list_verifies_as_another_implementation_signed() {
    let more = "http://www.w3.org/2001/04/xmldsig-more#";
    let cases: [(String, &str, &Somebody); 7] = [
        (format!("{more}rsa-sha256"), SHA256, &IDP),
        (format!("{more}rsa-sha384"), "http://www.w3.org/2001/04/xmldsig-more#sha384", &IDP),
        (format!("{more}rsa-sha512"), "http://www.w3.org/2001/04/xmlenc#sha512", &IDP),
        (format!("{more}rsa-sha256"), SHA256, &IDP_NEXT),
        (format!("{more}ecdsa-sha256"), SHA256, &IDP_P256),
        (format!("{more}ecdsa-sha384"), SHA256, &IDP_P384),
        (format!("{more}ecdsa-sha512"), SHA256, &IDP_P521),
    ];
    // A provider with keys of several kinds: the order in which they are configured says nothing.
    let all = [&IDP_P521, &IDP_P384, &IDP_P256, &IDP_NEXT, &IDP].map(|who| who.certificate.clone());
    for (signature, digest, who) in cases {
        let method = Method { signature: signature.clone(), digest: digest.to_owned(), ..Method::usual() };
        let xml = sign_by(&honest(), Signed::Assertion, &method, who);
        let identity = verify_by(&xml, |rules| rules.certificates = &all).unwrap();
        assert_eq!(identity.signed_by_sha256(), who.certificate.sha256(), "{signature}");
        let others: Vec<_> = all.iter().filter(|one| **one != who.certificate).cloned().collect();
        assert_eq!(code_of(verify_by(&xml, |rules| rules.certificates = &others)), "signature_not_trusted");
    }
}

#[test]
fn a_hash_that_is_not_the_one_of_the_keys_curve_is_refused_with_the_one_that_is() {
    let uri = |name: &str| format!("http://www.w3.org/2001/04/xmldsig-more#{name}");
    let (p384, sha256) = (uri("ecdsa-sha384"), uri("ecdsa-sha256"));
    let method = Method { signature: p384.clone(), ..Method::usual() };
    let xml = with(&sign_by(&honest(), Signed::Assertion, &method, &IDP_P384), &p384, &sha256);
    let known = [IDP_P384.certificate.clone()];
    let refused = verify_by(&xml, |rules| rules.certificates = &known).unwrap_err().broken();
    assert_eq!((refused.code, refused.expected), ("algorithm_refused", Some(p384)));
    assert_eq!(refused.received, Some(sha256));
}

#[test]
fn rsa_pss_verifies_as_another_implementation_signed() {
    for hash in ["sha256", "sha384", "sha512"] {
        let uri = &format!("http://www.w3.org/2007/05/xmldsig-more#{hash}-rsa-MGF1");
        // `xmlsec1` has no PSS: its digest, and what OpenSSL signs over the canonical form written by hand.
        let xml = with(&SIGNED_ASSERTION, RSA_SHA256, uri);
        let info = part(&xml, "ds:SignedInfo")
            .replace("<ds:SignedInfo>", r#"<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">"#);
        let canonical = ["CanonicalizationMethod", "SignatureMethod", "Transform", "DigestMethod"]
            .iter()
            .fold(info, |text, name| {
                let pieces: Vec<&str> = text.split(&format!("<ds:{name} ")).collect();
                let (first, rest) = pieces.split_first().unwrap();
                rest.iter().fold((*first).to_owned(), |whole, piece| {
                    format!("{whole}<ds:{name} {}", piece.replacen("/>", &format!("></ds:{name}>"), 1))
                })
            });
        let mut value = openssl::pss(hash, canonical.as_bytes(), &IDP);
        let old = part(&xml, "ds:SignatureValue").to_owned();
        let signed = |value: &[u8]| {
            with(&xml, &old, &format!("<ds:SignatureValue>{}</ds:SignatureValue>", STANDARD.encode(value)))
        };
        assert_eq!(code_of(verify(&signed(&value))), "accepted", "{uri}");
        value[40] ^= 1;
        assert_eq!(code_of(verify(&signed(&value))), "signature_not_trusted", "{uri}");
    }
}

#[test]
fn a_name_identifier_as_a_value_and_values_of_several_statements_are_read() {
    let targeted = r#"<saml:Attribute Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.10" FriendlyName="eduPersonTargetedID"><saml:AttributeValue><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">targeted</saml:NameID></saml:AttributeValue></saml:Attribute>"#;
    let second = r#"</saml:AttributeStatement><saml:AttributeStatement><saml:Attribute Name="groups"><saml:AttributeValue>auditors</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>"#;
    let xml = sign(
        &honest().replace("</saml:AttributeStatement>", &format!("{targeted}{second}")),
        Signed::Assertion,
    );
    let found = attributes(&xml);
    assert_eq!(found.single("urn:oid:1.3.6.1.4.1.5923.1.1.1.10"), Some("targeted"));
    assert_eq!(
        found.find("urn:oid:1.3.6.1.4.1.5923.1.1.1.10").unwrap().friendly_name.as_deref(),
        Some("eduPersonTargetedID")
    );
    assert_eq!(found.list("groups"), Listed::Values(vec!["engineering", "operators", "auditors"]));
}

#[test]
fn each_preset_is_found_again_by_its_slug_and_suggested_from_its_own_names() {
    for preset in Preset::ALL {
        assert_eq!(Preset::from_slug(preset.slug()), Some(preset));
        let names = preset.names();
        let (email, groups) = (names.email.unwrap(), names.groups.unwrap());
        let xml = signed_with("Name=\"email\"", &format!("Name=\"{email}\""));
        assert_eq!(suggest(&attributes(&xml)).email, Some(email));
        let xml = signed_with("Name=\"groups\"", &format!("Name=\"{groups}\""));
        assert_eq!(suggest(&attributes(&xml)).groups, Some(groups));
    }
    assert_eq!(Preset::from_slug("ping"), None);
}
