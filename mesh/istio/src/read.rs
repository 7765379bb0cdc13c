//! Reads one document: its header, and the fields that are modelled.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use shakedown_yaml::{Decoder, Diagnostics, Node, Spanned, suggest};

use super::canary::Canary;
use super::document::{Document, Resource};
use super::manifest::{Content, Manifest};
use super::meta::{DocumentHeader, Meta};
use super::omission::{Omission, refused};
use super::virtual_service::VirtualService;
use super::{destination_rule, fields};

/// The API versions of Istio's networking documents, which have the same content.
const NETWORKING: &[&str] = &[
    "networking.istio.io/v1",
    "networking.istio.io/v1beta1",
    "networking.istio.io/v1alpha3",
];

/// The API version of Flagger's documents.
const FLAGGER: &[&str] = &["flagger.app/v1beta1"];

/// The API version of Shakedown's own documents.
const OWN: &[&str] = &["shakedown.dev/v1"];

impl Document {
    /// Reads a document that must be modelled completely.
    ///
    /// # Errors
    /// All errors and all omissions, each with its source location and the document's kind and name.
    pub fn read(node: &Node) -> Result<Document, Diagnostics> {
        let read = Manifest::read(node)?;
        match read.content {
            Content::Document(document) if read.omissions.is_empty() => Ok(document),
            Content::Services(_) if read.omissions.is_empty() => Err(Diagnostics::one(
                node.place.clone(),
                "a Service does not configure requests: expected another kind",
            )),
            _ => Err(refused(&read.omissions)),
        }
    }

    /// Reads a document of a modelled kind, and skips its fields that are not modelled. `None`: nothing is left without
    /// one of them.
    pub(super) fn read_modelled(
        node: &Node,
    ) -> Result<(Option<Document>, Vec<Omission>), Diagnostics> {
        let header = DocumentHeader::read(node)?;
        Ok(match header.kind.value.as_str() {
            "VirtualService" => {
                let (read, mut omissions) = resource(node, &header, NETWORKING)?;
                let read = read.and_then(|mut read: Resource<VirtualService>| {
                    fields::pass_over_routes(&mut read, &mut omissions)
                        .then_some(Document::VirtualService(read))
                });
                (read, omissions)
            }
            "DestinationRule" => {
                let mut errors = destination_rule::empty_policies(node, &header.name);
                let (read, omissions) = match resource(node, &header, NETWORKING) {
                    Ok(read) => errors.or(read)?,
                    Err(others) => {
                        errors.append(others);
                        return Err(errors.sorted());
                    }
                };
                (read.map(Document::DestinationRule), omissions)
            }
            "Canary" => {
                let (read, mut omissions) = resource(node, &header, FLAGGER)?;
                let read = read.map(|mut read: Resource<Canary>| {
                    fields::pass_over_canary(&mut read, &mut omissions);
                    Document::Canary(read)
                });
                (read, omissions)
            }
            _ => {
                let (read, omissions) = resource(node, &header, OWN)?;
                (read.map(Document::ProxyPolicy), omissions)
            }
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename = "Document")]
struct Envelope<T> {
    #[expect(
        dead_code,
        reason = "read by the header already; listed so that it is a known key"
    )]
    api_version: String,
    #[expect(
        dead_code,
        reason = "read by the header already; listed so that it is a known key"
    )]
    kind: String,
    metadata: Meta,
    spec: Spanned<T>,
    /// Reported by a cluster and printed by `kubectl get -o yaml`. Configures nothing.
    #[expect(dead_code, reason = "listed so that it is a known key")]
    status: Option<serde::de::IgnoredAny>,
}

fn resource<T: DeserializeOwned>(
    node: &Node,
    header: &DocumentHeader,
    versions: &[&str],
) -> Result<(Option<Resource<T>>, Vec<Omission>), Diagnostics> {
    let prefix = format!("{} {}: ", header.kind, header.name);
    let mut errors = Diagnostics::new();
    if !versions.contains(&header.api_version.as_str()) {
        let accepted = suggest::one_of(versions);
        let message = format!(
            "{prefix}unknown apiVersion `{}`: expected {accepted}",
            header.api_version
        );
        errors.add(&header.api_version.place, message);
    }
    let decoder = Decoder::new()
        .word("field")
        .prefix(prefix)
        .unsupported(fields::NOT_MODELLED);
    let read = decoder.decode_partial::<Envelope<T>>(node);
    errors.append(read.errors);
    let document = DocumentHeader::key(node, &header.kind);
    let mut omissions: Vec<Omission> = read
        .passed
        .into_iter()
        .map(|passed| Omission {
            document: document.clone(),
            field: Some(passed.key),
            place: passed.place,
            effect: Some(passed.effect.to_owned()).filter(|effect| !effect.is_empty()),
        })
        .collect();
    let resource = read.value.map(|read| Resource {
        meta: read.metadata,
        spec: read.spec,
        place: node.place.clone(),
    });
    if resource.is_none() && errors.is_empty() {
        omissions.push(Omission {
            document,
            field: None,
            place: node.place.clone(),
            effect: Some("it is empty without the fields that are not modelled".into()),
        });
    }
    errors.or((resource, omissions))
}
