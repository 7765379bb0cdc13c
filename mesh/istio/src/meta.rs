//! Identity of documents: their `metadata`, and the header that identifies kind and name.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use shakedown_yaml::decode::{Text, decode};
use shakedown_yaml::{Diagnostics, Node, Spanned};

use super::kinds::{self, KnownKind, Treatment};

/// The namespace of documents and pods that do not specify one.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The `metadata` of a document. Fields that a cluster adds (`uid`, `resourceVersion`, ...) are accepted and ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", from = "WrittenMeta")]
pub struct Meta {
    pub name: String,
    pub namespace: String,
    pub labels: IndexMap<String, String>,
    pub annotations: IndexMap<String, String>,
    /// The creation time set by a cluster, in RFC 3339. Of several documents for one host, the oldest takes precedence.
    pub created: Option<String>,
}

impl Meta {
    /// Creates metadata with a name in the default namespace.
    pub fn named(name: &str) -> Self {
        Meta {
            name: name.into(),
            namespace: DEFAULT_NAMESPACE.into(),
            labels: IndexMap::new(),
            annotations: IndexMap::new(),
            created: None,
        }
    }

    /// Returns a key that orders documents by age, then name, then namespace. All documents without a time are of the
    /// same age, and younger than those with one. Source: Istio, `sortConfigByCreationTime`.
    pub fn age(&self) -> impl Ord {
        let time = self.created.as_deref();
        (
            time.is_none(),
            time,
            self.name.as_str(),
            self.namespace.as_str(),
        )
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename = "Meta")]
struct WrittenMeta {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    labels: IndexMap<String, String>,
    #[serde(default)]
    annotations: IndexMap<String, String>,
    creation_timestamp: Option<Text>,
    #[serde(rename = "uid")]
    _uid: Option<IgnoredAny>,
    #[serde(rename = "generation")]
    _generation: Option<IgnoredAny>,
    #[serde(rename = "resourceVersion")]
    _resource_version: Option<IgnoredAny>,
    #[serde(rename = "managedFields")]
    _managed_fields: Option<IgnoredAny>,
    #[serde(rename = "ownerReferences")]
    _owner_references: Option<IgnoredAny>,
    #[serde(rename = "finalizers")]
    _finalizers: Option<IgnoredAny>,
    #[serde(rename = "selfLink")]
    _self_link: Option<IgnoredAny>,
    #[serde(rename = "generateName")]
    _generate_name: Option<IgnoredAny>,
    #[serde(rename = "deletionTimestamp")]
    _deletion_timestamp: Option<IgnoredAny>,
    #[serde(rename = "deletionGracePeriodSeconds")]
    _deletion_grace_period_seconds: Option<IgnoredAny>,
}

impl From<WrittenMeta> for Meta {
    fn from(written: WrittenMeta) -> Self {
        Meta {
            name: written.name,
            namespace: written
                .namespace
                .unwrap_or_else(|| DEFAULT_NAMESPACE.into()),
            labels: written.labels,
            annotations: written.annotations,
            created: written.creation_timestamp.map(|text| text.0),
        }
    }
}

/// The unique key of a document. Written `Kind/name`, or `Kind/name.namespace` outside of `default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl DocumentKey {
    /// Returns the key of a document that has not been read yet. A document that is not modelled needs no name.
    ///
    /// # Errors
    /// The missing fields, with their source location.
    pub fn from_node(node: &Node) -> Result<DocumentKey, Diagnostics> {
        if let Ok((api_version, kind)) = DocumentHeader::kind(node)
            && !matches!(
                kinds::known(&api_version, &kind),
                KnownKind::Yes(Treatment::Modelled)
            )
        {
            return Ok(DocumentHeader::key(node, &kind));
        }
        let header = DocumentHeader::read(node)?;
        Ok(DocumentKey {
            kind: header.kind.value,
            namespace: header.namespace,
            name: header.name,
        })
    }
}

impl fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return f.write_str(&self.kind);
        }
        write!(f, "{}/{}", self.kind, self.name)?;
        if self.namespace != DEFAULT_NAMESPACE {
            write!(f, ".{}", self.namespace)?;
        }
        Ok(())
    }
}

impl FromStr for DocumentKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("invalid document name `{text}`: write `KIND/NAME` or `KIND/NAME.NAMESPACE`")
        };
        let (kind, rest) = text.split_once('/').ok_or_else(wrong)?;
        // Kubernetes allows dots in the names of these kinds but not in namespaces, so the last dot is the separator.
        let (name, namespace) = rest.rsplit_once('.').unwrap_or((rest, DEFAULT_NAMESPACE));
        if kind.is_empty() || name.is_empty() || namespace.is_empty() || rest.contains('/') {
            return Err(wrong());
        }
        Ok(DocumentKey {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        })
    }
}

/// The fields that identify a document.
pub(super) struct DocumentHeader {
    pub(super) api_version: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) name: String,
    pub(super) namespace: String,
}

impl DocumentHeader {
    /// Reads the `apiVersion` and the `kind` of a document.
    pub(super) fn kind(node: &Node) -> Result<(Spanned<String>, Spanned<String>), Diagnostics> {
        let mut errors = Diagnostics::new();
        if node.as_map().is_some() {
            let api_version = text(node, node, "apiVersion", &mut errors);
            let kind = text(node, node, "kind", &mut errors);
            if let (Some(api_version), Some(kind)) = (api_version, kind) {
                return Ok((api_version, kind));
            }
        }
        // `DocumentHeader::read` reports all errors of the header.
        Err(DocumentHeader::read(node).err().unwrap_or(errors))
    }

    /// Returns the key of a document of this kind, with the parts that the document contains.
    pub(super) fn key(node: &Node, kind: &str) -> DocumentKey {
        let text = |key| node.find(&["metadata", key]).and_then(Node::as_str);
        let name = text("name").or_else(|| text("generateName"));
        DocumentKey {
            kind: kind.into(),
            namespace: text("namespace").unwrap_or(DEFAULT_NAMESPACE).into(),
            name: name.unwrap_or_default().into(),
        }
    }

    /// Reads only the header. Other errors are reported when the whole document is read.
    pub(super) fn read(node: &Node) -> Result<DocumentHeader, Diagnostics> {
        let mut errors = Diagnostics::new();
        if node.as_map().is_none() {
            errors.add(
                &node.place,
                format!(
                    "expected a document with `apiVersion` and `kind`, found {}",
                    node.describe()
                ),
            );
            return Err(errors);
        }
        let api_version = text(node, node, "apiVersion", &mut errors);
        let kind = text(node, node, "kind", &mut errors);
        let metadata = node.get("metadata");
        let name = match metadata {
            Some(metadata) if metadata.as_map().is_some() => {
                text(node, metadata, "name", &mut errors)
            }
            Some(metadata) => {
                errors.add(
                    &metadata.place,
                    format!("`metadata`: expected a map, found {}", metadata.describe()),
                );
                None
            }
            None => {
                errors.add(
                    &node.place,
                    "`metadata` is missing: write `metadata: {name: ...}`",
                );
                None
            }
        };
        let namespace = metadata
            .and_then(|metadata| metadata.get("namespace"))
            .and_then(Node::as_str);
        match (api_version, kind, name) {
            (Some(api_version), Some(kind), Some(name)) if errors.is_empty() => {
                Ok(DocumentHeader {
                    api_version,
                    kind,
                    name: name.value,
                    namespace: namespace.unwrap_or(DEFAULT_NAMESPACE).into(),
                })
            }
            _ => Err(errors.sorted()),
        }
    }
}

fn text(
    document: &Node,
    map: &Node,
    key: &str,
    errors: &mut Diagnostics,
) -> Option<Spanned<String>> {
    let Some(node) = map.get(key) else {
        let known = map.as_map().into_iter().flat_map(|map| map.keys());
        // A probable typo of the key is reported at its location.
        match known
            .map(String::as_str)
            .find(|known| shakedown_yaml::suggest::nearest(known, [key]).is_some())
        {
            Some(slip) => {
                let place = &map.as_map()?.get(slip)?.key;
                errors.add(
                    place,
                    format!("unknown field `{slip}`: did you mean `{key}`?"),
                );
            }
            None => {
                let of = if std::ptr::eq(document, map) {
                    ""
                } else {
                    "metadata."
                };
                errors.add(&map.place, format!("`{of}{key}` is missing"));
            }
        }
        return None;
    };
    match decode::<String>(node) {
        Ok(text) => Some(Spanned::new(text, node.place.clone())),
        Err(found) => {
            errors.append(found);
            None
        }
    }
}
