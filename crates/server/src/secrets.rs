//! The files that hold secrets: the sealing key, the root token, the first-owner link. Each is 0600.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_domain::Random;
use portcullis_service::sealing::{SEALING_KEY_BYTES, SealingError, SealingKey};
use thiserror::Error;

use crate::data_dir::{DataDirError, io, must_be_private, with_suffix};

/// The root token's file in the data folder.
pub const ROOT_TOKEN_FILE: &str = "root-token";
/// The first-owner link's file in the data folder.
pub const OWNER_LINK_FILE: &str = "first-owner-link";
/// Bytes of randomness in a root token.
const ROOT_TOKEN_BYTES: usize = 32;

/// Why a secret's file cannot be used.
#[derive(Debug, Error)]
pub enum SecretFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// The key in it is none.
    #[error(
        "the sealing key in `{path}` is not usable: {why}; restore the file that this database was made with"
    )]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: SealingError,
    },
    /// The key in it is not base64url.
    #[error(
        "the sealing key in `{0}` is not 32 bytes in base64url; restore the file that this database was made with"
    )]
    NotBase64(PathBuf),
    /// The key is gone, and the database was sealed with one.
    #[error(
        "the sealing key `{0}` is missing, and this database holds values that only it opens; restore the file from \
         where you keep it"
    )]
    Missing(PathBuf),
}

/// What to do where no sealing key lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// Make one: the database is new.
    Make,
    /// Refuse: the database was sealed with one that is not here.
    Refuse,
}

/// What is added to the name of a file while it is written.
const FRESH: &str = ".new";

/// A file that is written whole beside its place, and not in it yet. One that is never placed stays there.
#[derive(Debug)]
pub struct Prepared {
    fresh: PathBuf,
    path: PathBuf,
}

/// Writes a file (0600) whole and durably beside its place: whoever dies meanwhile, or finds no room, leaves what was in
/// that place as it was.
///
/// # Errors
/// [`DataDirError::Io`].
pub fn prepare(path: &Path, content: &str) -> Result<Prepared, DataDirError> {
    let fresh = with_suffix(path, FRESH);
    // Left behind by whoever died over it.
    remove(&fresh)?;
    let written = make(&fresh).and_then(|mut file| {
        file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(io(&fresh))
    });
    if let Err(error) = written {
        let _ = remove(&fresh);
        return Err(error);
    }
    Ok(Prepared { fresh, path: path.to_owned() })
}

impl Prepared {
    /// What somebody prepared for that place and did not put there, with what is in it.
    ///
    /// # Errors
    /// As [`read`].
    pub fn left_for(path: &Path) -> Result<Option<(Self, String)>, DataDirError> {
        let left = Self { fresh: with_suffix(path, FRESH), path: path.to_owned() };
        Ok(read(&left.fresh)?.map(|content| (left, content)))
    }

    /// Removes it.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn discard(self) -> Result<(), DataDirError> {
        remove(&self.fresh)
    }

    /// Puts the file in its place, instead of what was there, for good.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn place(self) -> Result<(), DataDirError> {
        std::fs::rename(&self.fresh, &self.path).map_err(io(&self.path))?;
        let folder = folder_of(&self.path);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
    }
}

/// The folder that a file is in.
#[must_use]
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make(path: &Path) -> Result<File, DataDirError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io(path))
}

/// Makes an empty file (0600) that was not there, for whoever fills it and makes it durable.
///
/// # Errors
/// [`DataDirError::Io`], also if it was there.
pub fn make_empty(path: &Path) -> Result<(), DataDirError> {
    make(path).map(drop)
}

/// Writes a file (0600) whole, instead of what was there, or leaves that as it was.
///
/// # Errors
/// [`DataDirError::Io`].
pub fn replace(path: &Path, content: &str) -> Result<(), DataDirError> {
    prepare(path, content)?.place()
}

/// Removes a file, if it is there.
///
/// # Errors
/// [`DataDirError::Io`].
pub fn remove(path: &Path) -> Result<(), DataDirError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
}

/// Reads a private file; `None` if it is not there.
///
/// # Errors
/// [`DataDirError`] if others can read it, or it cannot be read.
pub fn read(path: &Path) -> Result<Option<String>, DataDirError> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            must_be_private(path)?;
            Ok(Some(text.trim().to_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(path)(error)),
    }
}

/// The sealing key in that file.
///
/// # Errors
/// [`SecretFileError`]; a missing key is made only if the caller says so.
pub fn sealing_key(
    path: &Path,
    if_missing: IfMissing,
    random: &mut dyn Random,
) -> Result<SealingKey, SecretFileError> {
    let text = match (read(path)?, if_missing) {
        // An empty file holds nothing that could be lost: something else made it, or died before it wrote.
        (Some(text), if_missing) if !text.is_empty() || if_missing == IfMissing::Refuse => text,
        (None, IfMissing::Refuse) => return Err(SecretFileError::Missing(path.to_owned())),
        (_, _) => {
            let mut bytes = [0_u8; SEALING_KEY_BYTES];
            random.fill(&mut bytes);
            let text = URL_SAFE_NO_PAD.encode(bytes);
            replace(path, &format!("{text}\n"))?;
            text
        }
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SecretFileError::NotBase64(path.to_owned()))?;
    SealingKey::from_bytes(&bytes).map_err(|why| SecretFileError::Key { path: path.to_owned(), why })
}

/// A new root token.
#[must_use]
pub fn new_root_token(random: &mut dyn Random) -> String {
    let mut bytes = [0_u8; ROOT_TOKEN_BYTES];
    random.fill(&mut bytes);
    format!("pc_root_{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
