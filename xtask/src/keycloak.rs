//! Keycloak's distribution from Maven's central repository, for the tests and for the figures.
//!
//! Apart from the other peers, because it comes in an archive of Java's world: fetched by Maven, held by a checksum of ours.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::Invocation;
use crate::setup::{MAX_INSTALL, text};
use crate::workspace::Workspace;

/// The newest version that was tried. Its SCIM is a preview.
const VERSION: &str = "26.7.3";
/// What `sha256sum` says of its archive.
const SHA256: &str = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f";
/// Maven's own way to fetch one file.
const MAVEN_COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";

/// Puts it into `home`, unless it is there.
pub(crate) fn fetch(home: &Path) -> Result<()> {
    let stamp = home.join(".filled-from");
    if fs::read_to_string(&stamp).is_ok_and(|filled_from| filled_from == SHA256) {
        return Ok(());
    }
    let folder = home.parent().context("a folder of peers has a parent")?;
    println!("setup: Keycloak {VERSION} goes to {}", home.display());
    let _ = fs::remove_dir_all(home);
    fs::create_dir_all(folder).context("could not make the folder for peers")?;
    let artifact = format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip");
    let into = format!("-DoutputDirectory={}", folder.display());
    // Maven keeps a copy of what it fetches: 190 MB that nobody wants again go with the folder.
    let copies = folder.join("maven");
    let kept_in = format!("-Dmaven.repo.local={}", copies.display());
    Invocation::new("mvn", &["--quiet", "--batch-mode", MAVEN_COPY])
        .and([artifact, into, kept_in])
        .run(MAX_INSTALL)?;
    fs::remove_dir_all(copies).context("could not remove Maven's copies")?;
    let archive = folder.join(format!("keycloak-quarkus-dist-{VERSION}.zip"));
    let said = Invocation::new("sha256sum", &[]).and([text(&archive)]).read(MAX_INSTALL)?;
    if said.split_whitespace().next() != Some(SHA256) {
        bail!("the archive of Keycloak {VERSION} is not the one that was tried: {}", said.trim());
    }
    Invocation::new("unzip", &["-q", "-o"]).and([text(&archive)]).within(folder).run(MAX_INSTALL)?;
    fs::rename(folder.join(format!("keycloak-{VERSION}")), home).context("could not name its folder")?;
    fs::remove_file(archive).context("could not remove the archive")?;
    fs::write(&stamp, SHA256).with_context(|| format!("could not write `{}`", stamp.display()))
}

/// The tests' own, built once for a database in memory, so that it starts in half the time and leaves nothing behind.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<()> {
    let home = workspace.peers().join("keycloak");
    fetch(&home)?;
    let stamp = home.join(".built");
    if stamp.exists() {
        return Ok(());
    }
    Invocation::new(home.join("bin/kc.sh"), &["build", "--db=dev-mem"]).run(MAX_INSTALL)?;
    fs::write(&stamp, VERSION).with_context(|| format!("could not write `{}`", stamp.display()))
}
