//! The program `xmlsec1`: another implementation of XML Signature and XML Encryption, and the keys that it is given.
#![expect(clippy::expect_used, reason = "a machine without the program cannot run the test, which says so")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_saml::certificate::Certificate;
use portcullis_saml::key::{Issue, OwnKey};
use tempfile::TempDir;

use super::NOW;

/// Where keys and documents lie while the tests run.
static PLACE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A path where nothing is yet.
pub fn fresh_path(extension: &str) -> PathBuf {
    PLACE.path().join(format!("{}.{extension}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A key pair of somebody, for this room and for the program.
pub struct Somebody {
    /// Its certificate.
    pub certificate: Certificate,
    /// The pair as a key of ours, if it is RSA.
    pub own: Option<OwnKey>,
    /// The private key.
    pub pkcs8: Vec<u8>,
    /// The private key, as a file for the program.
    pub key_file: PathBuf,
    /// The certificate, as a file for the program.
    pub certificate_file: PathBuf,
}

/// The provider whom the connection trusts.
pub static IDP: LazyLock<Somebody> = LazyLock::new(|| rsa("idp.acme.test", KeySize::Rsa2048));
/// The provider's next key.
pub static IDP_NEXT: LazyLock<Somebody> = LazyLock::new(|| rsa("idp.acme.test next", KeySize::Rsa3072));
/// Somebody whom nobody trusts.
pub static STRANGER: LazyLock<Somebody> = LazyLock::new(|| rsa("idp.acme.test", KeySize::Rsa2048));
/// We, where assertions are encrypted for us.
pub static WE: LazyLock<Somebody> = LazyLock::new(|| rsa("portcullis", KeySize::Rsa2048));
/// A provider with an elliptic curve.
pub static IDP_P256: LazyLock<Somebody> =
    LazyLock::new(|| curve(&ECDSA_P256_SHA256_FIXED_SIGNING, &rcgen::PKCS_ECDSA_P256_SHA256));
/// A provider with a longer one.
pub static IDP_P384: LazyLock<Somebody> =
    LazyLock::new(|| curve(&ECDSA_P384_SHA384_FIXED_SIGNING, &rcgen::PKCS_ECDSA_P384_SHA384));
/// A provider with the longest.
pub static IDP_P521: LazyLock<Somebody> =
    LazyLock::new(|| curve(&ECDSA_P521_SHA512_FIXED_SIGNING, &rcgen::PKCS_ECDSA_P521_SHA512));

fn rsa(name: &str, size: KeySize) -> Somebody {
    let pkcs8 = OwnKey::pkcs8_of(&KeyPair::generate(size).unwrap()).unwrap().to_vec();
    let issue = Issue { name, serial: &[7; 16], not_before_s: NOW - 86_400, not_after_s: NOW + 86_400 };
    let own = OwnKey::self_signed(&pkcs8, &issue).unwrap();
    let certificate = own.certificate().clone();
    somebody(certificate, Some(own), pkcs8)
}

fn curve(
    algorithm: &'static EcdsaSigningAlgorithm,
    of_certificate: &'static rcgen::SignatureAlgorithm,
) -> Somebody {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let pkcs8 = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
    let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.as_slice().into(), of_certificate);
    let certificate = rcgen::CertificateParams::default().self_signed(&key.unwrap()).unwrap();
    somebody(Certificate::from_der(certificate.der()).unwrap(), None, pkcs8)
}

fn somebody(certificate: Certificate, own: Option<OwnKey>, pkcs8: Vec<u8>) -> Somebody {
    let (key_file, certificate_file) = (fresh_path("key"), fresh_path("crt"));
    std::fs::write(&key_file, pem("PRIVATE KEY", &pkcs8)).unwrap();
    std::fs::write(&certificate_file, pem("CERTIFICATE", certificate.der())).unwrap();
    Somebody { certificate, own, pkcs8, key_file, certificate_file }
}

/// As files have it.
pub fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", wrapped(der, "\n"))
}

/// Base64 in lines of 64 characters.
pub fn wrapped(bytes: &[u8], line_end: &str) -> String {
    let text = STANDARD.encode(bytes);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join(line_end)
}

/// Runs the program over `document`; what it writes comes back.
pub fn run(arguments: &[&str], document: &str) -> Result<String, String> {
    let (input, output) = (fresh_path("in.xml"), fresh_path("out.xml"));
    std::fs::write(&input, document).unwrap();
    let ran = Command::new("xmlsec1")
        .args(arguments)
        .arg("--output")
        .arg(&output)
        .arg(&input)
        .output()
        .expect("xmlsec1 is installed: `cargo xtask setup`");
    if ran.status.success() {
        Ok(std::fs::read_to_string(&output).unwrap_or_default())
    } else {
        Err(String::from_utf8_lossy(&ran.stderr).into_owned())
    }
}

/// The names whose `ID` is an id, as the program wants to be told.
pub const IDS: [&str; 12] = [
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:assertion:Assertion",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:Response",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:LogoutRequest",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:LogoutResponse",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor",
];

/// Fills in the signature that is a child of the element with this local name.
pub fn sign_within(element: &str, document: &str, who: &Somebody) -> String {
    let key = format!("{},{}", text(&who.key_file), text(&who.certificate_file));
    let place = format!("//*[local-name()='{element}']/*[local-name()='Signature']");
    let mut arguments = vec!["--sign", "--privkey-pem", &key, "--node-xpath", &place];
    arguments.extend(IDS);
    run(&arguments, document).unwrap()
}

/// Whether the program verifies the signature within the element by this key.
pub fn verifies(element: &str, document: &str, who: &Somebody) -> Result<(), String> {
    let place = format!("//*[local-name()='{element}']/*[local-name()='Signature']");
    let key = text(&who.certificate_file);
    let mut arguments = vec!["--verify", "--pubkey-cert-pem", &key, "--node-xpath", &place];
    arguments.extend(IDS);
    run(&arguments, document).map(|_| ())
}

/// The path as an argument.
pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
