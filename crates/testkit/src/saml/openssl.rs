//! The program `openssl`: what is signed by neither `xmlsec1` nor us, and keys that nobody should have.
#![expect(clippy::expect_used, reason = "a machine without the program cannot run the test, which says so")]

use std::process::Command;

use super::xmlsec::{Somebody, fresh_path, text};

/// RSASSA-PSS over these octets, salted by as many bytes as the hash has (RFC 9231 §2.3.10).
pub fn pss(hash: &str, octets: &[u8], who: &Somebody) -> Vec<u8> {
    let input = fresh_path("signed");
    std::fs::write(&input, octets).unwrap();
    let (hash, key, input) = (format!("-{hash}"), text(&who.key_file), text(&input));
    let padding = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
    run(&[&["dgst", &hash, "-sign", &key], &padding[..], &[&input]].concat())
}

/// The certificate of a fresh RSA key of that many bits, as DER.
pub fn certificate_of_rsa(bits: u32) -> Vec<u8> {
    let (key, kind) = (text(&fresh_path("key")), format!("rsa:{bits}"));
    let fresh = ["req", "-x509", "-newkey", &kind, "-noenc", "-keyout", &key, "-subj", "/CN=idp.acme.test"];
    run(&[&fresh[..], &["-outform", "DER"]].concat())
}

/// What the program writes.
fn run(arguments: &[&str]) -> Vec<u8> {
    let ran = Command::new("openssl").args(arguments).output();
    let ran = ran.expect("openssl is installed: `cargo xtask setup`");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout
}
