//! Sources of scenario text: a path, standard input or the built-in catalogue, and the files that a scenario includes.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use shakedown_yaml::suggest;

use crate::catalogue;

/// The maximum size of an included file.
const BYTES_MAX: u64 = 16 << 20;

/// The path that denotes standard input.
pub const STANDARD_INPUT: &str = "-";
/// The name of standard input in messages.
pub const STANDARD_INPUT_NAME: &str = "<stdin>";

/// Returns all of standard input. The bytes are kept, because input can be read only once and a scenario is loaded
/// several times, once per variant.
///
/// # Errors
/// An error if the input cannot be read or is longer than the limit for files.
pub fn standard_input() -> std::io::Result<Vec<u8>> {
    static READ: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    let mut read = READ
        .lock()
        .expect("no thread panics while it holds the lock");
    if let Some(bytes) = &*read {
        return Ok(bytes.clone());
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        let text = format!("the input has more than {BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, text));
    }
    *read = Some(bytes.clone());
    Ok(bytes)
}

#[derive(Clone, Debug)]
pub(crate) struct ScenarioSource {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// The base of relative paths. `None`: the scenario has no folder and cannot include files.
    folder: Option<PathBuf>,
}

/// The error of reading a scenario or an included file.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Neither a file nor a catalogue entry has this name.
    #[error("no file or catalogue scenario is named `{name}`: {hint}")]
    Unknown {
        name: String,
        /// A hint with the known names.
        hint: String,
    },
    /// The file exists but cannot be read.
    #[error("read {path}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// A file that a scenario includes cannot be read.
    #[error("cannot read `{path}`: {reason} (paths are relative to the scenario's file)")]
    Include { path: String, reason: String },
}

impl ScenarioSource {
    /// Opens the scenario of a path, catalogue name or `-` for standard input.
    pub(crate) fn open(path_or_name: &str) -> Result<ScenarioSource, SourceError> {
        if let Some((name, text)) = catalogue::catalogue().find(|(name, _)| *name == path_or_name) {
            return Ok(ScenarioSource::text(
                &format!("scenarios/{name}.yaml"),
                text,
            ));
        }
        if path_or_name == STANDARD_INPUT {
            let bytes = standard_input().map_err(|source| SourceError::Read {
                path: STANDARD_INPUT_NAME.to_owned(),
                source,
            })?;
            return Ok(ScenarioSource {
                name: STANDARD_INPUT_NAME.to_owned(),
                bytes,
                // Paths are relative to the working directory.
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
        Ok(ScenarioSource {
            name: path_or_name.to_owned(),
            bytes,
            folder: Some(folder),
        })
    }

    /// A scenario from memory, which cannot include files.
    pub(crate) fn text(name: &str, text: &str) -> ScenarioSource {
        ScenarioSource {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
            folder: None,
        }
    }

    /// Reads an included file.
    pub(crate) fn include(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let refuse = |reason: String| SourceError::Include {
            path: path.to_owned(),
            reason,
        };
        let Some(folder) = &self.folder else {
            return Err(refuse("this scenario was not read from a file".to_owned()));
        };
        let full = folder.join(path);
        let size = std::fs::metadata(&full)
            .map_err(|error| refuse(error.to_string()))?
            .len();
        if size > BYTES_MAX {
            return Err(refuse(format!(
                "the file has {size} bytes, but at most {BYTES_MAX} are allowed"
            )));
        }
        std::fs::read(&full).map_err(|error| refuse(error.to_string()))
    }

    /// The name of an included file in messages.
    pub(crate) fn beside(&self, path: &str) -> String {
        match &self.folder {
            Some(folder) => folder.join(path).display().to_string(),
            None => path.to_owned(),
        }
    }
}
