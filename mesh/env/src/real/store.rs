//! The durable store: one file per key, replaced atomically.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::StoreValue;

/// The longest file name of a key, in bytes: the limit of Linux file systems, less the suffixes.
const NAME_BYTES_MAX: usize = 240;

pub(super) enum MemoryStore {
    /// A store in memory, lost when the process ends.
    Memory(Mutex<BTreeMap<String, Arc<dyn StoreValue>>>),
    /// A directory with one file per key.
    Directory(PathBuf),
}

impl MemoryStore {
    /// # Errors
    /// The directory cannot be created.
    pub(super) fn open(directory: Option<PathBuf>) -> io::Result<MemoryStore> {
        match directory {
            None => Ok(MemoryStore::Memory(Mutex::default())),
            Some(path) => {
                fs::create_dir_all(&path)?;
                Ok(MemoryStore::Directory(path))
            }
        }
    }

    pub(super) fn read(&self, key: &str) -> Option<Vec<u8>> {
        match self {
            MemoryStore::Memory(map) => map
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(key)
                .map(|value| value.to_vec()),
            MemoryStore::Directory(path) => {
                fs::read(path.join(format!("{}.value", file_name(key).ok()?))).ok()
            }
        }
    }

    pub(super) fn write(&self, key: &str, value: Arc<dyn StoreValue>) -> io::Result<()> {
        match self {
            MemoryStore::Memory(map) => {
                let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
                map.insert(key.to_owned(), value);
                Ok(())
            }
            MemoryStore::Directory(path) => replace(path, &file_name(key)?, &*value),
        }
    }
}

/// Replaces a file atomically. After a crash at any moment it contains either the old or the new value, and the new one
/// once this has returned.
fn replace(directory: &Path, name: &str, value: &dyn StoreValue) -> io::Result<()> {
    let fresh = directory.join(format!("{name}.new"));
    let mut file = BufWriter::new(File::create(&fresh)?);
    let mut written = Ok(());
    value.parts(&mut |part| {
        if written.is_ok() {
            written = file.write_all(part);
        }
    });
    written?;
    file.into_inner()?.sync_all()?;
    fs::rename(&fresh, directory.join(format!("{name}.value")))?;
    File::open(directory)?.sync_all()
}

/// The file name of a key: letters, digits, `-` and `_` are kept, every other byte is written as `%XX`.
fn file_name(key: &str) -> io::Result<String> {
    let mut name = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            name.push(char::from(byte));
        } else {
            write!(name, "%{byte:02X}").expect("a string takes all that is written");
        }
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    Ok(name)
}
