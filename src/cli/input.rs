//! The input files of a command (paths, folders, standard input), and the detection of their kind.

mod other;

use std::io;
use std::path::{Path, PathBuf};

use shakedown_istio::registry::{Registry, Service};
use shakedown_istio::{Content, Document, Manifest, Omission};
use shakedown_scenarios::{STANDARD_INPUT, STANDARD_INPUT_NAME, standard_input};
use shakedown_yaml::{Diagnostics, Node, tree};

/// A file, a scenario's name, or standard input.
pub(super) struct Input {
    path: PathBuf,
    /// True if the file was found in a folder rather than named by the user.
    is_found: bool,
}

/// The kind of an input.
pub(super) enum InputKind {
    /// Mesh documents.
    Mesh(Vec<u8>),
    /// A scenario, a name of the catalogue, or an unreadable file. Loading it as a scenario reports the error.
    Scenario,
    /// A file of another tool, which is passed over.
    Other(Omission),
}

/// Expands paths to inputs. A folder expands to its YAML and JSON files, sorted by name.
/// Source: kubectl, `-f`.
///
/// # Errors
/// Fails if a folder cannot be read or contains no such file.
pub(super) fn inputs(paths: &[PathBuf]) -> Result<Vec<Input>, String> {
    let mut inputs = Vec::new();
    for path in paths {
        if !path.is_dir() {
            inputs.push(Input {
                path: path.clone(),
                is_found: false,
            });
            continue;
        }
        let wrong = |error: io::Error| format!("{}: {error}", path.display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(wrong)? {
            let file = entry.map_err(wrong)?.path();
            if is_configuration(&file) && file.is_file() {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(format!(
                "{}: no YAML or JSON files in this folder",
                path.display()
            ));
        }
        found.sort();
        inputs.extend(found.into_iter().map(|path| Input {
            path,
            is_found: true,
        }));
    }
    Ok(inputs)
}

fn is_configuration(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

impl Input {
    /// The name to load the input by if it is a scenario.
    pub(super) fn path(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// The name of the input in messages.
    pub(super) fn name(&self) -> String {
        match self.path() {
            path if path == STANDARD_INPUT => STANDARD_INPUT_NAME.to_owned(),
            path => path,
        }
    }

    /// Detects the input's kind and reads its bytes if the kind needs them.
    pub(super) fn held(&self) -> InputKind {
        let bytes = if self.path() == STANDARD_INPUT {
            standard_input()
        } else {
            std::fs::read(&self.path)
        };
        let Ok(bytes) = bytes else {
            return InputKind::Scenario;
        };
        let read = tree::parse_kubernetes("", &bytes).ok();
        let documents = read.as_deref().unwrap_or_default();
        if let Some(omission) = other::passed_over(&self.path, &self.name(), documents) {
            return InputKind::Other(omission);
        }
        let is_scenario = match read {
            Some(documents) => is_scenario(&documents),
            None => is_scenario_by_its_lines(&bytes),
        };
        match is_scenario {
            Some(false) => InputKind::Mesh(bytes),
            None if self.is_found => InputKind::Other(other::unknown(&self.name())),
            _ => InputKind::Scenario,
        }
    }
}

/// Returns true for a scenario and false for Kubernetes documents, by top-level keys; `None` if neither kind's keys
/// occur.
fn is_scenario(documents: &[Node]) -> Option<bool> {
    const OF_DOCUMENTS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
    const OF_SCENARIOS: [&str; 4] = ["scenario", "story", "topology", "expect"];
    let has = |document: &Node, keys: [&str; 4]| keys.iter().any(|key| document.get(key).is_some());
    let mut documents = documents.iter();
    documents.find_map(|document| {
        match (has(document, OF_DOCUMENTS), has(document, OF_SCENARIOS)) {
            (_, true) if document.get("scenario").is_some() => Some(true),
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        }
    })
}

/// Like [`is_scenario`], for text that is not valid YAML. The reader of the detected kind then reports the error.
fn is_scenario_by_its_lines(bytes: &[u8]) -> Option<bool> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return Some(!text.contains("apiVersion"));
    }
    let begins = |key: &str| text.lines().any(|line| line.starts_with(key));
    if begins("scenario:") {
        return Some(true);
    }
    if begins("apiVersion:") || begins("kind:") {
        Some(false)
    } else {
        (begins("story:") || begins("topology:") || begins("expect:")).then_some(true)
    }
}

/// All mesh documents given to a command, taken together as one cluster would see them.
#[derive(Default)]
pub(super) struct MeshFiles {
    pub(super) names: Vec<String>,
    pub(super) documents: Vec<Document>,
    /// Services declared by the documents with their ports.
    pub(super) services: Vec<Service>,
    pub(super) omissions: Vec<Omission>,
    pub(super) problems: Diagnostics,
}

impl MeshFiles {
    pub(super) fn read(&mut self, name: &str, bytes: &[u8]) {
        self.names.push(name.to_owned());
        let nodes = match shakedown_istio::documents_of(name, bytes) {
            Ok(nodes) => nodes,
            Err(problems) => return self.problems.append(problems),
        };
        for node in &nodes {
            match Manifest::read(node) {
                Ok(manifest) => self.take(manifest),
                Err(problems) => self.problems.append(problems),
            }
        }
    }

    fn take(&mut self, manifest: Manifest) {
        self.omissions.extend(manifest.omissions);
        match manifest.content {
            Content::Document(document) => self.documents.push(document),
            Content::Services(services) => self.services.extend(services),
            Content::Nothing => {}
        }
    }

    /// The services of the cluster, if the documents include a Service. Otherwise the registry is empty and hosts are
    /// not looked up.
    pub(super) fn declared(&self) -> Registry {
        Registry::declared(&self.services, &self.documents).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(text: &str) -> Option<bool> {
        match tree::parse_kubernetes("", text.as_bytes()) {
            Ok(documents) => is_scenario(&documents),
            Err(_) => is_scenario_by_its_lines(text.as_bytes()),
        }
    }

    #[test]
    fn a_file_is_known_by_its_content_and_not_by_its_layout() {
        for text in [
            "apiVersion: v1\nkind: Service\n",
            "\u{feff}apiVersion: v1\nkind: Service\n",
            r#"{"apiVersion": "v1", "kind": "List", "items": []}"#,
            "{\n \"kind\": \"List\",\n \"apiVersion\": \"v1\"",
            "---\n# comment\n---\n\"apiVersion\": v1\n",
            "  apiVersion: v1\n  kind: Service\n",
            "apiVersion: v1\nkind: [",
            "metadata: {name: x}\nspec: {}\n",
        ] {
            assert_eq!(kind_of(text), Some(false), "{text}");
        }
        for text in [
            "scenario: a\nmesh:\n- apiVersion: v1\n",
            "{\"scenario\": \"a\"}",
            "scenario: a\nkind: [",
            "topology: {}\n",
            "topology: {\n",
        ] {
            assert_eq!(kind_of(text), Some(true), "{text}");
        }
        for text in ["", "a: 1\n", "- {a: 1}\n", "a: {\n", "{{ template }}\n"] {
            assert_ne!(kind_of(text), Some(false), "{text}");
        }
    }
}
