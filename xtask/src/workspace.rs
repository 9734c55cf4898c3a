//! Where things are: the repository, its build folder, its crates and what they depend on.
//!
//! Read once from `cargo metadata`, so that no other module guesses a path or parses a manifest.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The repository as cargo sees it.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder that holds the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds; everything that `setup` fetches lies below it too.
    pub(crate) target: PathBuf,
    /// The crates of the workspace, in the order of `cargo metadata`.
    pub(crate) crates: Vec<Crate>,
}

/// One crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crate {
    /// Its package name, for example `portcullis-domain`.
    pub(crate) name: String,
    /// Its manifest, relative to the root, with `/` between folders.
    pub(crate) manifest: String,
    /// What it depends on by its own manifest.
    pub(crate) dependencies: Vec<Dependency>,
    /// The names of its integration tests.
    pub(crate) tests: Vec<String>,
}

/// One line of a `[dependencies]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The package's name, not what the crate renames it to.
    pub(crate) name: String,
    /// When it is linked.
    pub(crate) kind: DependencyKind,
}

/// When a dependency is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DependencyKind {
    /// Into everything, the product included. Build dependencies count as this: they run where the product is made.
    Normal,
    /// Into tests, examples and benches only.
    Development,
}

impl Workspace {
    /// Finds the workspace that the current folder belongs to.
    pub(crate) fn find() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .output()
            .context("could not start cargo")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Self::parse(&output.stdout)
    }

    /// Reads what `cargo metadata --no-deps` printed.
    pub(crate) fn parse(metadata: &[u8]) -> Result<Self> {
        let metadata: Metadata = serde_json::from_slice(metadata).context("`cargo metadata` gave no JSON")?;
        let root = metadata.workspace_root;
        let crates = metadata.packages.into_iter().map(|package| package.into_crate(&root)).collect();
        Ok(Self { target: metadata.target_directory, crates, root })
    }

    /// The folder with everything fetched for the tests: `venv/` from PyPI, `node/` from npm.
    pub(crate) fn peers(&self) -> PathBuf {
        self.target.join("peers")
    }
}

/// The cargo that runs this program, so that a pinned toolchain stays pinned.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<PackageDependency>,
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct PackageDependency {
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Package {
    fn into_crate(self, root: &Path) -> Crate {
        let manifest = self.manifest_path.strip_prefix(root).unwrap_or(&self.manifest_path);
        let dependencies = self.dependencies.into_iter().map(PackageDependency::into_dependency).collect();
        let is_test = |target: &Target| target.kind.iter().any(|kind| kind == "test");
        let tests = self.targets.into_iter().filter(is_test).map(|target| target.name).collect();
        Crate { name: self.name, manifest: manifest.to_string_lossy().into_owned(), dependencies, tests }
    }
}

impl PackageDependency {
    fn into_dependency(self) -> Dependency {
        let kind = match self.kind.as_deref() {
            Some("dev") => DependencyKind::Development,
            _ => DependencyKind::Normal,
        };
        Dependency { name: self.name, kind }
    }
}
