//! Notes about documents that do not affect a request although they appear to, and about likely misunderstandings.

use shakedown_istio::registry::{Hostname, Mesh, Service};
use shakedown_istio::{Document, Resource, VirtualService, in_force};
use shakedown_translate::rules::Rules;
use shakedown_xds::table::{Cluster, PathMatcher, Route, StringMatcher, never_ejects};
use shakedown_yaml::Location;

use super::decided::{name_of, parts_of};
use super::request::ExplainedRequest;
use super::sender::SenderWorkload;
use super::view::NoteView;
use crate::advise::why_idle;

/// The context for notes: the documents of a mesh, the sender and its request.
pub(super) struct Notes<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) sender: &'a SenderWorkload,
    pub(super) request: &'a ExplainedRequest,
}

impl Notes<'_> {
    /// Adds notes about a request whose authority matches no service's virtual host.
    pub(super) fn of_unknown_host(&self, out: &mut Vec<NoteView>) {
        let services = self.mesh.registry.services.values();
        let host = self.request.host().to_ascii_lowercase();
        let meant: Vec<&Service> = services
            .filter(|service| has_name(service, &host))
            .collect();
        let port = self.request.port();
        for service in &meant {
            let ports = service.ports.iter().map(|port| port.number.to_string());
            let ports: Vec<String> = ports.collect();
            let name = &service.hostname;
            if !service.ports.iter().any(|known| known.number == port) {
                let ports = ports.join(", ");
                let text = format!(
                    "the service `{name}` has port {ports}, but no port {port}; write the port, as in \
                     `http://{host}:{}`",
                    service.ports.first().map_or(port, |port| port.number)
                );
                out.push(NoteView::new(text));
            } else if meant.len() > 1 && host == service.name {
                let text =
                    format!("`{host}` is ambiguous and may mean `{name}`: write its namespace");
                out.push(NoteView::new(text));
            } else {
                let text = format!(
                    "the service `{name}` has that name, but another virtual host matches this authority"
                );
                out.push(NoteView::new(text));
            }
            self.of_service(&service.hostname, None, out);
        }
        if meant.is_empty() {
            self.namesakes(&Hostname::new(&host), out);
        }
    }

    /// Adds notes about the VirtualServices that have the host of a service and are not `used`.
    pub(super) fn of_service(
        &self,
        host: &Hostname,
        used: Option<&Resource<VirtualService>>,
        out: &mut Vec<NoteView>,
    ) {
        for (document, place) in self.with_host(host) {
            if used.is_some_and(|used| std::ptr::eq(used, document)) {
                continue;
            }
            let name = name_of(document);
            let idle = why_idle(document, &self.sender.caller.namespace, &self.mesh.options);
            let because = match (idle, used) {
                (Some(because), _) => because,
                (None, Some(used)) if !self.is_in_force(document) => {
                    format!(
                        "a later document with its name replaces it ({})",
                        used.place
                    )
                }
                (None, Some(used)) => {
                    let used = name_of(used);
                    format!(
                        "VirtualService/{used} also has that host and takes precedence because it is older, or closer to the host or the caller: sidecars use only one"
                    )
                }
                (None, None) => continue,
            };
            let text = format!("VirtualService/{name} does not apply: {because}");
            out.push(NoteView::at(place, text));
        }
        if used.is_none() {
            self.namesakes(host, out);
        }
    }

    /// Adds notes about VirtualServices that have the host of a service, but no route for this port and caller, so
    /// that the default route applies.
    pub(super) fn of_default_route(&self, host: &Hostname, out: &mut Vec<NoteView>) {
        for (document, place) in self.with_host(host) {
            let idle = why_idle(document, &self.sender.caller.namespace, &self.mesh.options);
            if idle.is_none() && self.is_in_force(document) {
                let text = format!(
                    "VirtualService/{} has no route for this port and caller: the service's default route applies",
                    name_of(document)
                );
                out.push(NoteView::at(place, text));
            }
        }
    }

    /// Adds notes about VirtualServices of another host with the same short name, because a short name is resolved in
    /// the namespace of its own document.
    fn namesakes(&self, host: &Hostname, out: &mut Vec<NoteView>) {
        let short = |host: &Hostname| {
            host.as_str()
                .split('.')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        for document in virtual_services(self.mesh) {
            for written in &document.spec.hosts {
                let other = Hostname::resolve(written, &document.meta.namespace);
                if other != *host && short(&other) == short(host) {
                    let name = name_of(document);
                    let text = format!(
                        "VirtualService/{name} does not apply: its host `{written}` means `{other}`, but the request is for `{host}`"
                    );
                    out.push(NoteView::at(&written.place, text));
                }
            }
        }
    }

    fn with_host(
        &self,
        host: &Hostname,
    ) -> impl Iterator<Item = (&Resource<VirtualService>, &Location)> {
        virtual_services(self.mesh).filter_map(move |document| {
            let mut hosts = document.spec.hosts.iter();
            let namespace = &document.meta.namespace;
            let over = hosts.find(|written| Hostname::resolve(written, namespace).covers(host))?;
            Some((document, &over.place))
        })
    }

    fn is_in_force(&self, wanted: &Resource<VirtualService>) -> bool {
        in_force(&self.mesh.documents).any(|document| match document {
            Document::VirtualService(resource) => std::ptr::eq(resource, wanted),
            _ => false,
        })
    }

    /// Adds a note about a prefix match that ends within a path segment.
    pub(super) fn of_prefix(
        &self,
        route: &Route,
        place: Option<&Location>,
        out: &mut Vec<NoteView>,
    ) {
        let PathMatcher::String(StringMatcher::Prefix(prefix)) = &route.matcher.path else {
            return;
        };
        let view = self.request.view();
        let path = view.path.split(['?', '#']).next().unwrap_or_default();
        let rest = path.strip_prefix(&**prefix).unwrap_or_default();
        if prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/') {
            return;
        }
        let text = format!(
            "the prefix `{prefix}` may end within a path segment, so it matches `{path}`; `{prefix}/` would not"
        );
        out.push(match place {
            Some(place) => NoteView::at(place, text),
            None => NoteView::new(text),
        });
    }

    /// Adds notes about DestinationRules for a cluster's host that do not apply.
    pub(super) fn of_cluster(&self, cluster: &str, out: &mut Vec<NoteView>) {
        let service = parts_of(cluster).and_then(|(_, _, host)| self.mesh.registry.service(host));
        let Some(service) = service else { return };
        let (host, namespace) = (&service.hostname, service.namespace.as_str());
        let caller = &self.sender.caller;
        let rules = Rules::new(self.mesh);
        for rule in rules.over(host) {
            let Some(idle) = rules.why_idle(rule, caller, host, namespace) else {
                continue;
            };
            let by = idle
                .by()
                .map(|by| format!("DestinationRule/{}", name_of(by)));
            let because = idle.because(&by.unwrap_or_default(), caller);
            let text = format!(
                "DestinationRule/{} does not apply: {because}",
                name_of(rule)
            );
            let note = NoteView::at(&rule.spec.host.place, text);
            if !out.contains(&note) {
                out.push(note);
            }
        }
    }

    /// Adds notes about documents that select workloads, for a registry without endpoints.
    pub(super) fn of_selectors(&self, out: &mut Vec<NoteView>) {
        for document in in_force(&self.mesh.documents) {
            if let Document::ProxyPolicy(policy) = document
                && let Some(selector) = &policy.spec.selector
            {
                let text = format!(
                    "ProxyPolicy/{} selects workloads, but none are known here: only a scenario defines them",
                    name_of(policy)
                );
                out.push(NoteView::at(&selector.place, text));
            }
        }
    }
}

/// Adds a note about a cluster whose outlier detection can never eject an endpoint.
pub(super) fn of_ejections(cluster: &Cluster, endpoints: usize, out: &mut Vec<NoteView>) {
    let Some(outlier) = &cluster.outlier else {
        return;
    };
    let percent = outlier.max_ejection_percent;
    if outlier.always_eject_one_host || !never_ejects(percent, endpoints) {
        return;
    }
    let text = format!(
        "outlier detection never ejects an endpoint of `{}`: at most {percent}% may be ejected, and one of {endpoints} endpoints is more",
        cluster.name
    );
    let note = NoteView::new(text);
    if !out.contains(&note) {
        out.push(note);
    }
}

fn virtual_services(mesh: &Mesh) -> impl Iterator<Item = &Resource<VirtualService>> {
    mesh.documents.iter().filter_map(|document| match document {
        Document::VirtualService(resource) => Some(resource),
        _ => None,
    })
}

/// Returns true if an authority's host may refer to a service.
fn has_name(service: &Service, host: &str) -> bool {
    let (name, namespace) = (&service.name, &service.namespace);
    service.hostname.as_str() == host
        || *name == host
        || format!("{name}.{namespace}") == host
        || format!("{name}.{namespace}.svc") == host
}
