//! SimpleSAMLphp, the identity provider of many universities, from Debian's package: set up by files as its own guide says,
//! in a folder of each test's own, and served by PHP itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis_emulator::{Browser, Page};
use serde_json::{Value, json};

use crate::harness::free_port;

/// Where Debian puts the pages that it serves.
const PAGES: &str = "/usr/share/simplesamlphp/www";
/// How long it may take until it answers.
const MAX_START: Duration = Duration::from_secs(30);
/// Makes a key and a certificate for it: `php -r … KEY CERTIFICATE DAYS`.
const NEW_KEY: &str = "$key = openssl_pkey_new(['private_key_bits' => 2048]);
    $request = openssl_csr_new(['commonName' => 'idp.test'], $key);
    $certificate = openssl_csr_sign($request, null, $key, (int) $argv[3], ['digest_alg' => 'sha256']);
    openssl_pkey_export_to_file($key, $argv[1]);
    openssl_x509_export_to_file($certificate, $argv[2]);";

/// The service providers that it knows at first.
const NOBODY: &str = r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"/>"#;

/// A running provider, with one person: Ada, of `acme.test`, who is signed in without being asked anything.
pub struct SimpleSaml {
    child: Child,
    pub base: String,
    folder: tempfile::TempDir,
    hosted: Value,
}

impl Drop for SimpleSaml {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl SimpleSaml {
    pub async fn start() -> Self {
        assert!(Path::new(PAGES).is_dir(), "`{PAGES}` is missing: run `cargo xtask test --only whole`");
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let base = format!("http://127.0.0.1:{port}");
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("php");
        command.args(["-S", &format!("127.0.0.1:{port}"), "-t", PAGES]).current_dir(folder.path());
        command.env("SIMPLESAMLPHP_CONFIG_DIR", folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let hosted = json!({
            "host": "__DEFAULT__", "auth": "people", "privatekey": "0.key", "certificate": "0.pem",
            "signature.algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "redirect.sign": true, "redirect.validate": true,
            "authproc": { "10": { "class": "saml:PersistentNameID", "attribute": "uid" } },
        });
        let mut idp = Self { child: command.spawn().expect("php starts"), base, folder, hosted };
        idp.write_configuration();
        idp.new_key("0");
        idp.people(&["Engineering"]);
        idp.says(&json!({}));
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < MAX_START, "SimpleSAMLphp was not ready in {MAX_START:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        idp
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it always is: Debian's own configuration with folders of the test's.
    fn write_configuration(&self) {
        let folder = self.folder.path().display();
        let config = format!(
            "<?php\nrequire '/etc/simplesamlphp/config.php';\n$config = array_merge($config, [\n\
             'baseurlpath' => '{base}/', 'certdir' => '{folder}/', 'loggingdir' => '{folder}/', 'datadir' => '{folder}/',\n\
             'tempdir' => '{folder}/tmp', 'metadatadir' => '{folder}/', 'logging.handler' => 'errorlog',\n\
             'secretsalt' => 'a-salt-of-the-tests', 'auth.adminpassword' => 'a-secret-of-the-tests',\n\
             'enable.saml20-idp' => true, 'module.enable' => ['exampleauth' => true, 'saml' => true, 'core' => true],\n\
             'session.phpsession.savepath' => '{folder}', 'session.cookie.secure' => false,\n\
             'metadata.sources' => [['type' => 'flatfile'], ['type' => 'xml', 'file' => '{folder}/sp.xml']],\n]);\n",
            base = self.base
        );
        std::fs::write(self.at("config.php"), config).unwrap();
        let of_json = |what: &str, file: &str| {
            format!("<?php\n{what} = json_decode(file_get_contents(__DIR__ . '/{file}'), true);\n")
        };
        std::fs::write(self.at("authsources.php"), of_json("$config", "people.json")).unwrap();
        let hosted = of_json("$metadata['__DYNAMIC:1__']", "hosted.json");
        std::fs::write(self.at("saml20-idp-hosted.php"), hosted).unwrap();
        std::fs::write(self.at("saml20-sp-remote.php"), "<?php\n").unwrap();
        std::fs::write(self.at("sp.xml"), NOBODY).unwrap();
    }

    /// Makes a key that [`Self::says`] may name; who signs does not change by it.
    pub fn new_key(&self, name: &str) {
        self.new_key_for(name, 365);
    }

    /// The same with a certificate that is good for so many days.
    pub fn new_key_for(&self, name: &str, days: u32) {
        let made = Command::new("php")
            .args(["-r", NEW_KEY, "--"])
            .args([self.at(&format!("{name}.key")), self.at(&format!("{name}.pem"))])
            .arg(days.to_string())
            .status()
            .unwrap();
        assert!(made.success(), "PHP made no key");
    }

    /// Whom it signs in, in which groups.
    pub fn people(&self, groups: &[&str]) {
        let source = json!({
            "people": { "0": "exampleauth:StaticSource", "uid": ["ada-1"], "mail": ["ada@acme.test"],
                "displayName": ["Ada Lovelace"], "groups": groups },
        });
        std::fs::write(self.at("people.json"), source.to_string()).unwrap();
    }

    /// How it speaks from now on, in the words of its own settings.
    pub fn says(&mut self, otherwise: &Value) {
        let settings = self.hosted.as_object_mut().unwrap();
        settings.extend(otherwise.as_object().unwrap().clone());
        std::fs::write(self.at("hosted.json"), self.hosted.to_string()).unwrap();
    }

    /// Tells it of a service provider by its metadata, which `http` reads.
    pub async fn knows(&self, http: &reqwest::Client, metadata_url: &str) {
        let metadata = http.get(metadata_url).send().await.unwrap().text().await.unwrap();
        std::fs::write(self.at("sp.xml"), metadata).unwrap();
    }

    pub fn metadata_url(&self) -> String {
        format!("{}/saml2/idp/metadata.php", self.base)
    }

    /// The address by which it signs people in without having been asked.
    pub fn unasked(&self, entity: &str, state: &str) -> String {
        let entity: String = url::form_urlencoded::byte_serialize(entity.as_bytes()).collect();
        format!("{}/saml2/idp/SSOService.php?spentityid={entity}&RelayState={state}", self.base)
    }

    /// How many sessions it keeps in which Ada is signed in: PHP writes each to a file of the folder.
    pub fn sessions_of_ada(&self) -> usize {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap());
        let sessions = files.filter(|file| file.file_name().to_string_lossy().starts_with("sess_"));
        sessions.filter(|file| std::fs::read_to_string(file.path()).unwrap().contains("ada-1")).count()
    }

    /// Ends the browser's session at the provider, as its own page would.
    pub async fn end(&self, browser: &mut Browser) -> Page {
        let address = format!("{0}/saml2/idp/initSLO.php?RelayState={0}/logout.php", self.base);
        browser.open(&address).await.unwrap()
    }

    /// What it logged, for a test that fails.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap_or_default()
    }
}
