//! Selects the version of each document that is in force: the newest that validates together with all others. A
//! document that does not validate is refused alone, and its last good version stays in force.
//!
//! A document is refused if Istio's validation or a proxy would refuse it, because a resource that proxies refuse would
//! keep everything after it from being applied. References to missing objects are allowed, as in Istio: the object may
//! be created later, and until then requests find no cluster. Only new documents can be refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shakedown_istio::registry::Mesh;
use shakedown_istio::{Document, DocumentKey};
use shakedown_translate::validate_changed;

/// A document that was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedDocument {
    /// Kind and name, as in `DestinationRule/bad`.
    pub(crate) document: Arc<str>,
    /// The reason, in words; one line per error.
    pub(crate) reason: Arc<str>,
}

/// The documents in force, and the refusals already reported.
#[derive(Debug, Default)]
pub(crate) struct AdmissionOutcome {
    in_force: BTreeMap<DocumentKey, Document>,
    /// The last reported reason of each refused document, so that each is reported once.
    reported: BTreeMap<DocumentKey, (Document, Arc<str>)>,
}

impl AdmissionOutcome {
    pub(crate) fn in_force(&self) -> impl Iterator<Item = &Document> {
        self.in_force.values()
    }

    /// Sets the documents of `mesh` to those that must be in force, given the ones last written. Returns the refusals
    /// that have not been reported before.
    pub(crate) fn admit(
        &mut self,
        mut mesh: Mesh,
        written: &BTreeMap<DocumentKey, Document>,
    ) -> (Mesh, Vec<RefusedDocument>) {
        let is_new = |(key, document): &(&DocumentKey, &Document)| {
            self.in_force.get(*key) != Some(*document)
        };
        let mut new: BTreeSet<DocumentKey> = written
            .iter()
            .filter(is_new)
            .map(|(key, _)| key.clone())
            .collect();
        let mut trial = written.clone();
        let mut reasons: BTreeMap<DocumentKey, String> = BTreeMap::new();
        // All new documents are validated together first, since they may refer to each other. Each iteration refuses at
        // least one or is the last.
        loop {
            mesh.documents = trial.values().cloned().collect();
            if new.is_empty() {
                break;
            }
            let blamed = blame(&mesh, &new);
            if blamed.is_empty() {
                break;
            }
            for (key, reason) in blamed {
                match self.in_force.get(&key) {
                    Some(good) => trial.insert(key.clone(), good.clone()),
                    None => trial.remove(&key),
                };
                new.remove(&key);
                reasons.insert(key, reason);
            }
        }
        self.in_force = trial;
        (mesh, self.unreported(reasons, written))
    }

    fn unreported(
        &mut self,
        reasons: BTreeMap<DocumentKey, String>,
        written: &BTreeMap<DocumentKey, Document>,
    ) -> Vec<RefusedDocument> {
        let mut news = Vec::new();
        let mut reported = BTreeMap::new();
        for (key, reason) in reasons {
            let Some(document) = written.get(&key) else {
                continue;
            };
            let before = self.reported.remove(&key);
            let refusal = (document.clone(), Arc::<str>::from(reason));
            if before.as_ref() != Some(&refusal) {
                let reason = Arc::clone(&refusal.1);
                news.push(RefusedDocument {
                    document: key.to_string().into(),
                    reason,
                });
            }
            reported.insert(key, refusal);
        }
        self.reported = reported;
        news
    }
}

/// The new documents that do not validate, with the reasons.
fn blame(mesh: &Mesh, new: &BTreeSet<DocumentKey>) -> BTreeMap<DocumentKey, String> {
    let mut blamed: BTreeMap<DocumentKey, String> = BTreeMap::new();
    for diagnostic in validate_changed(mesh, new).iter() {
        // An error starts with the kind and the name of its document. If two namespaces have a document of that name,
        // both are blamed.
        let is_of = |key: &&DocumentKey| {
            let rest = diagnostic
                .message
                .strip_prefix(&*key.kind)
                .and_then(|rest| rest.strip_prefix(' '));
            rest.and_then(|rest| rest.strip_prefix(&*key.name))
                .is_some_and(|rest| rest.starts_with(": "))
        };
        for key in new.iter().filter(is_of) {
            let reason = blamed.entry(key.clone()).or_default();
            if !reason.is_empty() {
                reason.push('\n');
            }
            reason.push_str(&diagnostic.to_string());
        }
    }
    blamed
}

#[cfg(test)]
mod tests {
    use shakedown_istio::registry::{MeshOptions, Registry};
    use shakedown_istio::registry::{Port, Service};
    use shakedown_yaml::tree;

    use super::*;

    fn mesh() -> Mesh {
        let mut registry = Registry::new();
        registry.insert(Service::new("a", "default", vec![Port::http(80)]));
        Mesh {
            registry,
            documents: Vec::new(),
            options: MeshOptions::default(),
        }
    }

    fn documents(list: &[String]) -> BTreeMap<DocumentKey, Document> {
        let read = |yaml: &String| {
            let document = Document::read(&tree::parse("mesh.yaml", yaml).unwrap()[0]).unwrap();
            (document.key(), document)
        };
        list.iter().map(read).collect()
    }

    fn rule(subset: &str) -> String {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a}}\n\
             spec: {{host: a, subsets: [{{name: {subset}, labels: {{version: {subset}}}}}]}}\n"
        )
    }

    fn routes(name: &str, subset: &str) -> String {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n\
             spec: {{hosts: [{name}], http: [{{route: [{{destination: {{host: a, subset: {subset}}}}}]}}]}}\n"
        )
    }

    fn canary_of(service: &str) -> String {
        format!(
            "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {{name: {service}}}\nspec:\n  \
             targetRef: {{apiVersion: apps/v1, kind: Deployment, name: {service}}}\n  service: {{port: 80}}\n  \
             analysis: {{interval: 1m, maxWeight: 50, stepWeight: 10}}\n"
        )
    }

    fn policy_of(host: &str) -> String {
        format!(
            "apiVersion: shakedown.dev/v1\nkind: ProxyPolicy\nmetadata: {{name: p}}\nspec: {{host: {host}, balancer: peakEwma}}\n"
        )
    }

    /// A VirtualService that is refused regardless of the other documents. `prefix` distinguishes two of them.
    fn bad(name: &str, prefix: &str) -> String {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n\
             spec: {{hosts: [{name}], http: [{{match: [{{uri: {{regex: '{prefix}('}}}}], route: [{{destination: {{host: a}}}}]}}]}}\n"
        )
    }

    fn names(refused: &[RefusedDocument]) -> Vec<&str> {
        refused.iter().map(|refusal| &*refusal.document).collect()
    }

    fn keys(mesh: &Mesh) -> Vec<String> {
        mesh.documents.iter().map(|d| d.key().to_string()).collect()
    }

    #[test]
    fn documents_that_lean_on_each_other_are_taken_in_any_order() {
        let mut admission = AdmissionOutcome::default();
        let (_, refused) = admission.admit(mesh(), &documents(&[routes("a", "v1")]));
        assert_eq!(refused, [], "its rule may come later");
        let written = documents(&[rule("v1"), routes("a", "v1")]);
        let (mesh, refused) = admission.admit(mesh(), &written);
        assert_eq!((mesh.documents.len(), refused), (2, vec![]));
    }

    #[test]
    fn references_to_what_does_not_exist_are_no_reason_to_refuse() {
        let rule_of_nobody = rule("v1").replace("host: a", "host: nobody");
        let written = documents(&[
            rule_of_nobody,
            canary_of("nobody"),
            policy_of("nobody"),
            routes("a", "v9"),
            routes("b", "v1").replace("host: a", "host: nobody"),
            routes("c", "v1").replace(
                "route: [{destination: {host: a, subset: v1}}]",
                "delegate: {name: d}",
            ),
        ]);
        let mut admission = AdmissionOutcome::default();
        let (in_force, refused) = admission.admit(mesh(), &written);
        assert_eq!((in_force.documents.len(), refused), (6, vec![]));
        let mut later = mesh();
        let nobody = Service::new("nobody", "default", vec![Port::http(80)]);
        later.registry.insert(nobody);
        let (in_force, refused) = admission.admit(later, &written);
        assert_eq!((in_force.documents.len(), refused), (6, vec![]));
    }

    #[test]
    fn a_document_without_a_valid_version_is_excluded_and_others_are_applied() {
        let written = documents(&[rule("v1"), routes("a", "v1"), bad("b", "")]);
        let (mesh, refused) = AdmissionOutcome::default().admit(mesh(), &written);
        assert_eq!(names(&refused), ["VirtualService/b"]);
        assert_eq!(keys(&mesh), ["DestinationRule/a", "VirtualService/a"]);
    }

    #[test]
    fn good_documents_go_through_after_a_refused_one() {
        let mut admission = AdmissionOutcome::default();
        admission.admit(mesh(), &documents(&[bad("b", "")]));
        let written = documents(&[bad("b", ""), rule("v1")]);
        let (mesh, refused) = admission.admit(mesh(), &written);
        assert_eq!(
            (keys(&mesh), refused),
            (vec!["DestinationRule/a".into()], vec![])
        );
    }

    #[test]
    fn the_last_good_version_stays_and_the_refusal_is_told_once() {
        let mut admission = AdmissionOutcome::default();
        let good = documents(&[rule("v1"), routes("a", "v1")]);
        admission.admit(mesh(), &good);
        let written = documents(&[rule("v1"), bad("a", "")]);
        let (in_force, refused) = admission.admit(mesh(), &written);
        assert_eq!(in_force.documents, good.into_values().collect::<Vec<_>>());
        assert_eq!(names(&refused), ["VirtualService/a"]);
        assert_eq!(admission.admit(mesh(), &written).1, []);
        // Another error of the same document is reported.
        let worse = documents(&[rule("v1"), bad("a", "x")]);
        assert_eq!(
            names(&admission.admit(mesh(), &worse).1),
            ["VirtualService/a"]
        );
    }

    #[test]
    fn a_document_in_force_stays_when_another_takes_away_what_it_needs() {
        let mut admission = AdmissionOutcome::default();
        admission.admit(mesh(), &documents(&[rule("v1"), routes("a", "v1")]));
        let without = documents(&[rule("v2"), routes("a", "v1")]);
        let (in_force, refused) = admission.admit(mesh(), &without);
        assert_eq!(
            (in_force.documents, refused),
            (without.into_values().collect(), vec![])
        );
    }

    #[test]
    fn a_removed_document_is_not_in_force_any_more() {
        let mut admission = AdmissionOutcome::default();
        admission.admit(mesh(), &documents(&[rule("v1"), routes("a", "v1")]));
        let (mesh, _) = admission.admit(mesh(), &documents(&[rule("v1")]));
        assert_eq!(mesh.documents.len(), 1);
    }
}
