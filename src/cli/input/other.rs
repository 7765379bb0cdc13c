//! Files of other tools that lie beside mesh configuration. Each is passed over with a note on the consequences.

use std::path::Path;

use shakedown_istio::registry::DEFAULT_NAMESPACE;
use shakedown_istio::{DocumentKey, Omission};
use shakedown_yaml::{Location, Node};

const KUSTOMIZE: &str = "kustomize is not run, so its resources and patches are missing from the result; pipe in the \
                         output of `kubectl kustomize DIR` instead";
const HELM: &str = "Helm is not run, so its templates are missing from the result; pipe in the output of \
                    `helm template DIR` instead";
const COMPOSE: &str = "its containers are not added to the mesh, so nothing responds for them";
const UNKNOWN: &str = "it contains neither Kubernetes documents nor a scenario";

/// Returns the omission for a file that is recognised as another tool's.
pub(super) fn passed_over(path: &Path, name: &str, documents: &[Node]) -> Option<Omission> {
    let file = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let first = documents.first();
    let has = |key: &str| first.is_some_and(|document| document.get(key).is_some());
    if has("kind") || has("scenario") {
        return None;
    }
    let stem = file
        .rsplit_once('.')
        .map_or(file, |(stem, _)| stem)
        .to_ascii_lowercase();
    let (kind, effect) = match stem.as_str() {
        "kustomization" => ("Kustomization", Some(KUSTOMIZE)),
        "chart" if has("name") && has("version") => ("Helm chart", Some(HELM)),
        "values" => ("Helm values", Some(HELM)),
        stem if stem.starts_with("values-") || stem.starts_with("values.") => {
            ("Helm values", Some(HELM))
        }
        _ if is_compose(&stem, first) => ("Compose file", Some(COMPOSE)),
        // YAML 1.1 reads the workflow's key `on` as a boolean, so it cannot identify the file.
        _ if has("jobs") => ("GitHub workflow", None),
        _ => return None,
    };
    Some(omission(name, kind, effect))
}

/// Returns the omission for a file in a folder that has no top-level key of Kubernetes documents or scenarios.
pub(super) fn unknown(name: &str) -> Omission {
    omission(name, "File", Some(UNKNOWN))
}

/// Returns true if the file is a Compose file by its name, or if each of its services is a container.
fn is_compose(stem: &str, document: Option<&Node>) -> bool {
    let named = ["compose", "docker-compose"].iter().any(|known| {
        let rest = stem.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    let services = document.and_then(|document| document.get("services")?.as_map());
    let is_container =
        |service: &Node| service.get("image").is_some() || service.get("build").is_some();
    let are_containers = services.is_some_and(|services| {
        !services.is_empty() && services.iter().all(|(_, entry)| is_container(&entry.node))
    });
    named || are_containers
}

fn omission(file: &str, kind: &str, effect: Option<&str>) -> Omission {
    Omission {
        document: DocumentKey {
            kind: kind.to_owned(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            name: String::new(),
        },
        field: None,
        place: Location::new(file, 1, 1),
        effect: effect.map(str::to_owned),
    }
}
