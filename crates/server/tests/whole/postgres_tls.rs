//! A PostgreSQL that the URL puts on another machine is spoken to by TLS, and believed by its certificate only.
//!
//! `0.0.0.0` leads to this machine and is no loopback address: what listens here is to the product somebody else's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::harness::{Server, command, free_port, fresh_database, refused_start, variable};

/// The name that the certificate is for.
const NAME: &str = "db.portcullis.test";
/// What the product's user of the database says.
const PASSWORD: &str = "hush-hush-hush";
/// How long a cluster may take until it answers.
const MAX_START: Duration = Duration::from_secs(30);
/// Who owns the cluster where root runs the tests; PostgreSQL refuses to run as root.
const OWNER: &str = "postgres";
/// Who comes in how: the tests by trust, the product by TLS and its password.
const ACCESS: &str =
    "host all postgres 127.0.0.1/32 trust\nhostssl all portcullis 127.0.0.1/32 scram-sha-256\n";

/// A PostgreSQL with a certificate, and the file of the authority that signed it.
struct Cluster {
    server: Child,
    folder: tempfile::TempDir,
    port: u16,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn is_root() -> bool {
    let said = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&said.stdout).trim() == "0"
}

fn must(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Cluster {
    fn start() -> Self {
        let (folder, binaries) =
            (tempfile::tempdir().unwrap(), PathBuf::from(variable("PORTCULLIS_TEST_POSTGRES_BIN")));
        let at = |name: &str| folder.path().join(name);
        let ca = authority("the authority of the tests");
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        for (name, text) in [("cert.pem", cert.pem()), ("key.pem", key.serialize_pem()), ("ca.pem", ca.pem())]
        {
            std::fs::write(at(name), text).unwrap();
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let mut initdb = Command::new(binaries.join("initdb"));
        let mut server = Command::new("setpriv");
        server.arg("--pdeathsig=INT");
        if is_root() {
            must(Command::new("chown").args(["-R", OWNER]).arg(folder.path()));
            initdb = Command::new("runuser");
            initdb.args(["--user", OWNER, "--"]).arg(binaries.join("initdb"));
            server.args([&format!("--reuid={OWNER}"), &format!("--regid={OWNER}"), "--clear-groups"]);
        }
        initdb.arg("--pgdata").arg(at("data")).current_dir(folder.path());
        must(initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]));
        std::fs::write(at("data/pg_hba.conf"), ACCESS).unwrap();
        let port = free_port();
        server.arg(binaries.join("postgres")).arg("-D").arg(at("data"));
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            format!("unix_socket_directories={}", folder.path().display()),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", at("cert.pem").display()),
            format!("ssl_key_file={}", at("key.pem").display()),
        ] {
            server.arg("-c").arg(setting);
        }
        server.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let server = server.stderr(std::fs::File::create(at("log")).unwrap()).spawn().unwrap();
        let cluster = Self { server, folder, port };
        cluster.make_database();
        cluster
    }

    fn make_database(&self) {
        let started = Instant::now();
        while ask(self.port, "SELECT 1::bigint, 1::bigint").is_none() {
            let log = || std::fs::read_to_string(self.folder.path().join("log"));
            assert!(started.elapsed() < MAX_START, "PostgreSQL does not answer: {:?}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        say(self.port, &format!("CREATE ROLE portcullis LOGIN PASSWORD '{PASSWORD}'"));
        say(self.port, "CREATE DATABASE portcullis OWNER portcullis");
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The database, under that name and with these options.
    fn url(&self, name: &str, options: &str) -> String {
        format!("postgres://portcullis:{PASSWORD}@{name}:{}/portcullis?{options}", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // PostgreSQL's fast shutdown.
        let _ = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// Runs that on a thread of its own, because the synchronous client must not live on one of the runtime.
fn on_a_thread<T: Send + 'static>(
    port: u16,
    run: impl FnOnce(&mut postgres::Client) -> Result<T, postgres::Error> + Send + 'static,
) -> Option<T> {
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let thread =
        std::thread::spawn(move || run(&mut postgres::Client::connect(&url, postgres::NoTls).ok()?).ok());
    thread.join().unwrap()
}

/// Two numbers.
fn ask(port: u16, sql: &'static str) -> Option<(i64, i64)> {
    on_a_thread(port, move |client| client.query_one(sql, &[]).map(|row| (row.get(0), row.get(1))))
}

fn say(port: u16, sql: &str) {
    let sql = sql.to_owned();
    on_a_thread(port, move |client| client.batch_execute(&sql)).expect("the statement is carried out");
}

/// What a command says that must fail; never the password.
fn refused(data: &Path, url: &str, words: &[&str]) -> String {
    let (done, said) = command(data, Some(url), words);
    assert!(!done, "{words:?} on {url}: {said}");
    assert!(!said.contains(PASSWORD), "{words:?}: {said}");
    said
}

#[tokio::test]
async fn a_database_elsewhere_is_reached_by_tls_and_believed_by_its_certificate_only() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let (data, ca) = (folder.path().join("data"), cluster.ca().display().to_string());
    let trusting = ["migrate", "--postgres-ca-file", &ca];
    // Nothing but `prefer`, which is meant where nothing is said: it goes by TLS, and by channel binding.
    let url = cluster.url(NAME, "hostaddr=0.0.0.0&channel_binding=require");

    let (done, said) = command(&data, Some(&url), &trusting);
    assert!(done, "{said}");
    let settings = vec![("PORTCULLIS_POSTGRES_CA_FILE", ca.clone())];
    let mut server = Server::on_with(url.clone(), settings).await;
    let by_tls = "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                  WHERE usename = 'portcullis'";
    let (secured, all) = ask(cluster.port, by_tls).unwrap();
    assert!(secured == all && all >= 2, "{secured} of {all} connections speak TLS");
    server.terminate();
    let (_, found) = server.command(&["doctor", "--postgres-ca-file", &ca]);
    assert!(!found.contains("[database_"), "{found}");

    // Nobody is believed whose authority is not known, by any command that opens the database.
    let export = folder.path().join("log.jsonl").display().to_string();
    for words in [
        &["migrate"][..],
        &["doctor"],
        &["admin", "root-token", "new"],
        &["admin", "first-owner-link"],
        &["audit", "export", "acme", &export],
        &["restore", "--in-place"],
    ] {
        let said = refused(&data, &url, words);
        assert!(said.contains("`postgres.ca_file`"), "{words:?}: {said}");
    }
    assert!(refused_start(&data, Some(&url)).contains("`postgres.ca_file`"));
    let other = folder.path().join("other.pem");
    std::fs::write(&other, authority("another authority").pem()).unwrap();
    let said = refused(&data, &url, &["migrate", "--postgres-ca-file", &other.display().to_string()]);
    assert!(said.contains("`postgres.ca_file`"), "{said}");

    // Nor whose certificate is for another host, or where no host is named; loopback that was asked for TLS included.
    for options in ["hostaddr=0.0.0.0", "hostaddr=127.0.0.1&sslmode=require"] {
        let said = refused(&data, &cluster.url("another.portcullis.test", options), &trusting);
        assert!(said.contains(NAME) && said.contains("is not for the host"), "{said}");
        let (done, said) = command(&data, Some(&cluster.url(NAME, options)), &trusting);
        assert!(done, "{said}");
    }
    let nameless = format!(
        "postgres:///portcullis?user=portcullis&password={PASSWORD}&hostaddr=0.0.0.0&port={}",
        cluster.port
    );
    assert!(refused(&data, &nameless, &trusting).contains("`hostaddr`"));
    let wrong = url.replace(PASSWORD, "hush-hush-hush-not");
    assert!(refused(&data, &wrong, &trusting).contains("password authentication failed"));
}

#[tokio::test]
async fn a_server_elsewhere_that_speaks_no_tls_is_refused_unless_the_url_disables_it() {
    let here = fresh_database().await;
    let elsewhere = here.replace("127.0.0.1", "0.0.0.0");
    assert_ne!(here, elsewhere);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for url in [elsewhere.clone(), format!("{elsewhere}?sslmode=prefer"), format!("{here}?sslmode=require")] {
        let said = refused(&data, &url, &["migrate"]);
        assert!(said.contains("speaks no TLS") && said.contains("`ssl = on`"), "{url}: {said}");
    }
    let in_the_clear = format!("{elsewhere}?sslmode=disable");
    let (good, said) = command(&data, Some(&in_the_clear), &["config", "check"]);
    assert!(good && said.contains("warning: the database is on another machine"), "{said}");
    for url in [in_the_clear, here] {
        let (done, said) = command(&data, Some(&url), &["migrate"]);
        assert!(done, "{url}: {said}");
    }
}
