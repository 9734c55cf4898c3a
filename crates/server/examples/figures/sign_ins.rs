//! Signing in by SAML, from the forms that a provider has browsers post to the sessions: ours beside npm's service
//! provider, in turns, with responses that are made anew each time by npm's own code.
//!
//! Ours commits durably what the provider's word is used up by, and the session with its audit event; theirs keeps both in
//! memory. Processor time of the server's process counts, because a busy machine does not move it much.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use crate::Size;
use crate::peers::folder;
use crate::server::Server;
use crate::table::{Table, median};

/// Sign-ins at once: an office that begins its day.
const AT_ONCE: usize = 32;
/// Rounds of them in one turn: with what warms up, three turns of ours stay below what one source may call in a minute.
const ROUNDS: usize = 5;

/// npm's server, ended with this value.
struct Jackson(Child);

impl Drop for Jackson {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a turn came to, each a sign-in.
struct Turn {
    cpu_us: f64,
    wall_us: f64,
    bytes: f64,
}

pub async fn measure(size: Size) -> Table {
    let mut table = Table::new("Signing in by SAML");
    if !folder().join("node/node_modules").is_dir() {
        table.say("`@boxyhq/saml-jackson` 26.2.0 in memory", "is not installed");
        return table;
    }
    let files = tempfile::tempdir_in(".").unwrap();
    let files = files.path().canonicalize().unwrap();
    let metadata = provider(&files);
    let server = Server::start().await;
    let login = connection(&server, &metadata).await;
    let (jackson, address) = jackson(&files);
    let rounds = size.of(ROUNDS);
    let ours = || turn("ours", &login, server.id(), (&files, rounds));
    let theirs = || turn("jackson", &format!("{address}/login"), jackson.0.id(), (&files, rounds));
    let (first, there, last) = (ours(), theirs(), ours());
    let mean = |of: fn(&Turn) -> f64| (of(&first) + of(&last)) / 2.0;
    let (cpu, wall) = (mean(|t| t.cpu_us), mean(|t| t.wall_us));
    let shown = |cpu: f64, wall: f64| format!("{cpu:.0} µs CPU, {wall:.0} µs of the clock");
    table.say(format!("ours, a response of {:.1} KB", first.bytes / 1000.0), shown(cpu, wall));
    let what = format!("`@boxyhq/saml-jackson` 26.2.0 in memory, {:.1} KB", there.bytes / 1000.0);
    table.say(what, shown(there.cpu_us, there.wall_us));
    let cpus = format!("{:.0} ÷ {cpu:.0} µs", there.cpu_us);
    table.at_least("processor time of theirs ÷ ours", cpus, (there.cpu_us / cpu, 20.0), " ×");
    table
}

/// A provider's key and certificate, for whoever answers in its place; its metadata.
fn provider(files: &Path) -> String {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::new(vec!["idp.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(files.join("idp.key"), key.serialize_pem()).unwrap();
    std::fs::write(files.join("idp.crt"), certificate.pem()).unwrap();
    let certificate = STANDARD.encode(certificate.der());
    let metadata = format!(
        r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.test/entity"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.test/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>"#
    );
    std::fs::write(files.join("metadata.xml"), &metadata).unwrap();
    metadata
}

/// A connection by which somebody invited signs in; where that begins.
async fn connection(server: &Server, metadata: &str) -> String {
    server.call("POST", "/api/v1/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let acme = "/api/v1/organizations/acme";
    let domain = json!({ "domain": "acme.test", "vouched": true });
    server.call("POST", &format!("{acme}/domains"), domain).await;
    let ada = json!({ "email": "ada@acme.test", "role": "member" });
    server.call("POST", &format!("{acme}/invitations"), ada).await;
    let body = json!({ "kind": "saml", "name": "Figures", "metadata_xml": metadata });
    let made = server.call("POST", &format!("{acme}/connections"), body).await;
    made["login_url"].as_str().unwrap().to_owned()
}

fn node(script: &str) -> Command {
    let mut command = Command::new(folder().join("../bin/node"));
    command.arg(folder().join("node").join(script)).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn jackson(files: &Path) -> (Jackson, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = node("jackson-sso.mjs");
    command.args(["--port", &port.to_string(), "--metadata"]).arg(files.join("metadata.xml"));
    let mut child = command.stderr(Stdio::null()).spawn().expect("npm's server starts");
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with('{')), "npm's server did not start");
    std::thread::spawn(move || lines.for_each(drop));
    (Jackson(child), format!("http://127.0.0.1:{port}"))
}

/// One turn: medians over its rounds.
fn turn(kind: &str, login: &str, pid: u32, (files, rounds): (&Path, usize)) -> Turn {
    let mut command = node("sign-ins.mjs");
    command.args(["--kind", kind, "--login", login, "--pid", &pid.to_string(), "--folder"]).arg(files);
    command.args(["--rounds", &rounds.to_string(), "--at-once", &AT_ONCE.to_string()]);
    let done = command.stderr(Stdio::inherit()).output().expect("the driver runs");
    assert!(done.status.success(), "sign-ins of {kind} failed");
    let text = String::from_utf8(done.stdout).unwrap();
    let rounds: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |field: &str| median(rounds.iter().map(|round| round[field].as_f64().unwrap()));
    Turn { cpu_us: of("cpu_us"), wall_us: of("wall_us"), bytes: of("bytes") }
}
