//! Sources of a scenario's text: a path, or the catalogue inside the program; and the files that it names.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use shakedown_yaml::suggest;

use crate::catalogue;

/// The largest file that is included.
const BYTES_MAX: u64 = 16 << 20;

/// The path that means standard input.
pub const STANDARD_INPUT: &str = "-";
/// Standard input as messages name it.
pub const STANDARD_INPUT_NAME: &str = "<stdin>";

/// All of standard input. It can be read once, and a scenario is loaded several times (its variants, one by one): what was
/// read is kept.
///
/// # Errors
/// If it cannot be read, or is longer than a file may be.
pub fn standard_input() -> std::io::Result<Vec<u8>> {
    static READ: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    let mut read = READ.lock().expect("no reader panics");
    if let Some(bytes) = &*read {
        return Ok(bytes.clone());
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        let text = format!("more than {BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, text));
    }
    *read = Some(bytes.clone());
    Ok(bytes)
}

/// A scenario's text and the folder that its paths are relative to.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file's name in messages.
    pub(crate) name: String,
    /// The content.
    pub(crate) bytes: Vec<u8>,
    /// Paths are relative to this folder; `None`: the file has no folder, and can include nothing.
    folder: Option<PathBuf>,
}

/// A scenario, or a file that one names, that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Neither a file nor a story of the catalogue.
    #[error("no file and no story of the catalogue is called `{name}`: {hint}")]
    Unknown {
        /// As asked for.
        name: String,
        /// The known names.
        hint: String,
    },
    /// The file is there and cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that a scenario names cannot be read.
    #[error("cannot read `{path}`: {reason} (paths are relative to the scenario's file)")]
    Include {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl Source {
    /// The scenario of a path or of a catalogue name.
    pub(crate) fn open(path_or_name: &str) -> Result<Source, SourceError> {
        if let Some((name, text)) = catalogue::catalogue().find(|(name, _)| *name == path_or_name) {
            return Ok(Source::text(&format!("scenarios/{name}.yaml"), text));
        }
        if path_or_name == STANDARD_INPUT {
            let bytes = standard_input().map_err(|source| SourceError::Read {
                path: STANDARD_INPUT_NAME.to_owned(),
                source,
            })?;
            return Ok(Source {
                name: STANDARD_INPUT_NAME.to_owned(),
                bytes,
                // Paths are relative to where the command runs.
                folder: Some(PathBuf::new()),
            });
        }
        let path = Path::new(path_or_name);
        let looks_like_path = path_or_name.contains(['/', '\\', '.']) || path.exists();
        if !looks_like_path {
            let names: Vec<&str> = catalogue::catalogue().map(|(name, _)| name).collect();
            let hint = suggest::hint(path_or_name, names);
            return Err(SourceError::Unknown {
                name: path_or_name.to_owned(),
                hint,
            });
        }
        let bytes = std::fs::read(path).map_err(|source| SourceError::Read {
            path: path_or_name.to_owned(),
            source,
        })?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(Source {
            name: path_or_name.to_owned(),
            bytes,
            folder: Some(folder),
        })
    }

    /// A scenario from memory. It can include nothing.
    pub(crate) fn text(name: &str, text: &str) -> Source {
        Source {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
            folder: None,
        }
    }

    /// The content of a file that the scenario names.
    pub(crate) fn include(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let refuse = |reason: String| SourceError::Include {
            path: path.to_owned(),
            reason,
        };
        let Some(folder) = &self.folder else {
            return Err(refuse("this scenario has no folder".to_owned()));
        };
        let full = folder.join(path);
        let size = std::fs::metadata(&full)
            .map_err(|error| refuse(error.to_string()))?
            .len();
        if size > BYTES_MAX {
            return Err(refuse(format!(
                "it has {size} bytes, more than {BYTES_MAX}"
            )));
        }
        std::fs::read(&full).map_err(|error| refuse(error.to_string()))
    }

    /// The name in messages of a file that the scenario names.
    pub(crate) fn beside(&self, path: &str) -> String {
        match &self.folder {
            Some(folder) => folder.join(path).display().to_string(),
            None => path.to_owned(),
        }
    }
}
