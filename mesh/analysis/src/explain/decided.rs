//! The lines of YAML that decided each part of a route.

use std::borrow::Cow;

use shakedown_istio::registry::Hostname;
use shakedown_istio::{HttpRoute, Resource, RouteDestination, VirtualService};
use shakedown_translate::delegate;
use shakedown_xds::table::{Route, RouteAction, RouteActionKind};
use shakedown_yaml::Location;

use super::view::DecisionView;

/// A route of a VirtualService document.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoutePosition<'m> {
    pub(super) document: &'m Resource<VirtualService>,
    /// The index of the route.
    pub(super) route: usize,
}

impl<'m> RoutePosition<'m> {
    fn written(&self) -> Option<&'m HttpRoute> {
        Some(&self.document.spec.http.get(self.route)?.value)
    }

    fn field(&self) -> String {
        format!("spec.http[{}]", self.route)
    }

    fn decision(&self, what: &'static str, place: &Location, field: &str) -> DecisionView {
        let document = format!("VirtualService/{}", name_of(self.document));
        DecisionView::new(what, place, document, field.to_owned())
    }
}

/// Returns the name and namespace of a document for messages. The namespace is omitted if it is `default`.
pub(super) fn name_of<T>(resource: &Resource<T>) -> String {
    let meta = &resource.meta;
    match meta.namespace.as_str() {
        "default" => meta.name.clone(),
        namespace => format!("{}.{namespace}", meta.name),
    }
}

/// The source of a compiled route.
pub(super) struct RouteSource<'m> {
    /// The route in the document that has the host.
    root: RoutePosition<'m>,
    /// The route in its delegate, if any.
    taken: Option<RoutePosition<'m>>,
    /// The effective route, merged from both.
    merged: Cow<'m, HttpRoute>,
    /// The conditions that matched the request.
    conditions: Vec<(RoutePosition<'m>, usize)>,
}

/// A field of a route: the decision's name, the field's path, and a function that returns the field's position, if it
/// is set.
type Field = (
    &'static str,
    &'static str,
    for<'r> fn(&'r HttpRoute) -> Option<&'r Location>,
);

/// Fields that apply to every action.
const ALWAYS: &[Field] = &[
    ("fault", "fault", |route| Some(&route.fault.as_ref()?.place)),
    ("cors", "corsPolicy", |route| {
        Some(&route.cors_policy.as_ref()?.place)
    }),
    ("headers", "headers", |route| {
        Some(&route.headers.as_ref()?.place)
    }),
];

/// Fields that apply to forwarded requests.
const FORWARDED: &[Field] = &[
    ("host", "rewrite.authority", |route| {
        Some(&route.rewrite.as_ref()?.authority.as_ref()?.place)
    }),
    ("path", "rewrite.uri", |route| {
        Some(&route.rewrite.as_ref()?.uri.as_ref()?.place)
    }),
    ("path", "rewrite.uriRegexRewrite", |route| {
        Some(&route.rewrite.as_ref()?.uri_regex_rewrite.as_ref()?.place)
    }),
    ("timeout", "timeout", |route| {
        Some(&route.timeout.as_ref()?.place)
    }),
    ("retries", "retries", |route| {
        Some(&route.retries.as_ref()?.place)
    }),
    ("mirrors", "mirror", |route| {
        Some(&route.mirror.as_ref()?.place)
    }),
    ("mirrors", "mirrors[0]", |route| {
        Some(&route.mirrors.first()?.place)
    }),
];

const REDIRECT: Field = ("redirect", "redirect", |route| {
    Some(&route.redirect.as_ref()?.place)
});
const DIRECT: Field = ("direct_response", "directResponse", |route| {
    Some(&route.direct_response.as_ref()?.place)
});

impl<'m> RouteSource<'m> {
    /// Returns `None` if the document lacks these routes.
    pub(super) fn new(
        root: RoutePosition<'m>,
        taken: Option<RoutePosition<'m>>,
        conditions: Vec<(RoutePosition<'m>, usize)>,
    ) -> Option<Self> {
        let own = root.written()?;
        let merged = match &taken {
            None => Cow::Borrowed(own),
            Some(taken) => {
                let namespace = &root.document.meta.namespace;
                Cow::Owned(delegate::merge(own, namespace, taken.written()?)?)
            }
        };
        Some(RouteSource {
            root,
            taken,
            merged,
            conditions,
        })
    }

    /// Returns the field of the route, with the name of its document.
    pub(super) fn field(&self) -> String {
        let at = self.taken.unwrap_or(self.root);
        format!("VirtualService/{} {}", name_of(at.document), at.field())
    }

    /// Returns the position of the condition that matched the request, or of the route if it has none.
    pub(super) fn place(&self) -> Option<&'m Location> {
        let condition = self.conditions.last().and_then(|(at, index)| {
            let condition = at.written()?.r#match.get(*index)?;
            Some(&condition.place)
        });
        let at = self.taken.unwrap_or(self.root);
        let route = || {
            at.document
                .spec
                .http
                .get(at.route)
                .map(|route| &route.place)
        };
        condition.or_else(route)
    }

    /// Returns the document that has the host.
    pub(super) fn document(&self) -> &'m Resource<VirtualService> {
        self.root.document
    }

    /// Adds the decisions about a route, in the order in which they affect a request.
    pub(super) fn decided(&self, host: &str, route: &Route, out: &mut Vec<DecisionView>) {
        self.host(host, out);
        self.condition(out);
        for field in ALWAYS {
            self.add_field(field, out);
        }
        match &route.action {
            RouteActionKind::Redirect(_) => self.add_field(&REDIRECT, out),
            RouteActionKind::Respond(_) => self.add_field(&DIRECT, out),
            RouteActionKind::Forward(action) => {
                for field in FORWARDED {
                    self.add_field(field, out);
                }
                self.destinations(action, out);
            }
        }
    }

    /// Adds the host that the virtual host was generated for: its own name, else the longest wildcard that covers it.
    fn host(&self, name: &str, out: &mut Vec<DecisionView>) {
        let name = name.rsplit_once(':').map_or(name, |(host, _)| host);
        let hostname = Hostname::new(name);
        let document = self.root.document;
        let hosts = document.spec.hosts.iter().enumerate();
        let over = hosts.filter_map(|(index, host)| {
            let full = Hostname::resolve(host, &document.meta.namespace);
            let rank = (full == hostname, full.as_str().len());
            full.covers(&hostname).then_some((rank, index, &host.place))
        });
        if let Some((_, index, place)) = over.max_by_key(|(rank, ..)| *rank) {
            let field = format!("spec.hosts[{index}]");
            out.push(self.root.decision("virtual_host", place, &field));
        }
    }

    /// Adds the conditions that matched the request, or the route if it has none.
    fn condition(&self, out: &mut Vec<DecisionView>) {
        for (at, index) in &self.conditions {
            let condition = at.written().and_then(|route| route.r#match.get(*index));
            if let Some(condition) = condition {
                let field = format!("{}.match[{index}]", at.field());
                out.push(at.decision("route", &condition.place, &field));
            }
        }
        if self.conditions.is_empty() {
            for at in [Some(self.root), self.taken].into_iter().flatten() {
                if let Some(route) = at.document.spec.http.get(at.route) {
                    out.push(at.decision("route", &route.place, &at.field()));
                }
            }
        }
    }

    /// Adds a field, attributed to the document that it was taken from.
    fn add_field(&self, (what, name, read): &Field, out: &mut Vec<DecisionView>) {
        let Some(place) = read(&self.merged) else {
            return;
        };
        let is_its =
            |at: &RoutePosition<'_>| at.written().and_then(|route| read(route)) == Some(place);
        let at = self.taken.filter(is_its).unwrap_or(self.root);
        let field = format!("{}.{name}", at.field());
        out.push(at.decision(what, place, &field));
    }

    /// Adds the destination of each of a route's clusters.
    fn destinations(&self, action: &RouteAction, out: &mut Vec<DecisionView>) {
        // A delegating root has no destinations of its own.
        let at = self.taken.unwrap_or(self.root);
        let namespace = &at.document.meta.namespace;
        let mut left: Vec<(usize, &RouteDestination)> = self
            .merged
            .route
            .iter()
            .map(|destination| &destination.value)
            .enumerate()
            .collect();
        for target in action.targets() {
            let meant = left
                .iter()
                .position(|(_, to)| is_cluster(to, namespace, &target.cluster));
            let Some(found) = meant else { continue };
            let (index, to) = left.remove(found);
            let field = format!("{}.route[{index}]", at.field());
            let place = &to.destination.host.place;
            let of = Some(target.cluster.to_string());
            let cluster = at.decision("cluster", place, &format!("{field}.destination"));
            out.push(DecisionView {
                cluster: of.clone(),
                ..cluster
            });
            if let Some(headers) = &to.headers {
                let headers = at.decision("headers", &headers.place, &format!("{field}.headers"));
                out.push(DecisionView {
                    cluster: of,
                    ..headers
                });
            }
        }
    }
}

/// Splits the name of a service's cluster into port, subset and host.
pub(super) fn parts_of(cluster: &str) -> Option<(&str, &str, &str)> {
    let mut parts = cluster.split('|');
    let ("outbound", port, subset, host) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    else {
        return None;
    };
    Some((port, subset, host))
}

/// Returns true if a destination may have been translated to a cluster.
fn is_cluster(to: &RouteDestination, namespace: &str, cluster: &str) -> bool {
    let Some((port, subset, host)) = parts_of(cluster) else {
        return false;
    };
    let to = &to.destination;
    let ports = to.port.as_ref().map(|port| port.number.value.to_string());
    Hostname::resolve(&to.host, namespace).as_str() == host
        && to.subset.as_ref().map_or("", |subset| subset.as_str()) == subset
        && ports.is_none_or(|number| number == port)
}

/// Returns a route's name, else its field in the document, else the name given by the translation.
pub(super) fn route_name(route: &Route, source: Option<&RouteSource<'_>>) -> String {
    match source {
        Some(source) if route.name.is_empty() => source.field(),
        _ => route.name.to_string(),
    }
}
