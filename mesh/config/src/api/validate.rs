//! What is wrong with documents that are well formed, as far as only the whole mesh can tell.

mod canary;

use std::collections::BTreeMap;

use super::{
    DestinationRule, HttpMatch, HttpRetry, HttpRoute, RouteDestination, StringMatch, VirtualService,
};
use super::{Document, Resource};
use crate::decode::Spanned;
use crate::diagnostic::{Diagnostics, Place};
use crate::registry::{Hostname, Mesh};
use crate::suggest;
use crate::table::{HeaderKey, compile_regex};
use crate::translate::index::{Index, in_force};
use crate::translate::{parse_retry_on, retry_on_names};

/// The greatest weight, and the greatest sum of weights. Source: Envoy, `WeightedCluster`.
const MAX_WEIGHT: i64 = u32::MAX as i64;
/// The gateway that means all sidecars.
const SIDECARS: &str = "mesh";
/// Names that Istio takes for the request line, and so never for headers.
const NOT_HEADERS: &[&str] = &["uri", "scheme", "method", "authority"];

/// All that is wrong with the mesh's documents, in order of place. A registry without services is taken as not known:
/// then hosts are not looked up.
pub fn validate(mesh: &Mesh) -> Diagnostics {
    let mut check = Check {
        mesh,
        index: Index::new(mesh),
        errors: Diagnostics::new(),
        prefix: String::new(),
    };
    for document in in_force(&mesh.documents) {
        check.prefix = format!("{} {}: ", document.kind(), document.meta().name);
        match document {
            Document::VirtualService(resource) => check.virtual_service(resource),
            Document::DestinationRule(resource) => check.destination_rule(resource),
            Document::Canary(resource) => check.canary(resource),
        }
    }
    check.errors.sorted()
}

struct Check<'a> {
    mesh: &'a Mesh,
    index: Index<'a>,
    errors: Diagnostics,
    prefix: String,
}

impl<'a> Check<'a> {
    fn tell(&mut self, place: &Place, message: impl AsRef<str>) {
        self.errors
            .add(place, format!("{}{}", self.prefix, message.as_ref()));
    }

    fn virtual_service(&mut self, resource: &Resource<VirtualService>) {
        let (spec, namespace) = (&resource.spec, resource.meta.namespace.as_str());
        if spec.hosts.is_empty() {
            self.tell(&spec.place, "`hosts` is empty: expected at least one");
        }
        let mut seen = BTreeMap::new();
        for host in &spec.hosts {
            self.host_name(host);
            if let Some(first) = seen.insert(host.to_ascii_lowercase(), &host.place) {
                self.tell(
                    &host.place,
                    format!(
                        "host `{host}` stands here twice; the first is at {}",
                        short(first)
                    ),
                );
            }
        }
        for gateway in spec
            .gateways
            .iter()
            .filter(|gateway| gateway.value != SIDECARS)
        {
            self.tell(
                &gateway.place,
                format!("not supported yet: gateway `{gateway}`; expected `{SIDECARS}`"),
            );
        }
        if spec.http.is_empty() {
            self.tell(&spec.place, "`http` is empty: expected at least one route");
        }
        for route in &spec.http {
            self.route(route, namespace);
        }
        self.beside_canary(resource);
    }

    fn host_name(&mut self, host: &Spanned<String>) {
        let inner = host.strip_prefix("*.").unwrap_or(host);
        let fine = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if host.value != "*" && !inner.split('.').all(fine) {
            self.tell(
                &host.place,
                format!("`{host}` is no host: expected a name, or a wildcard like `*.example.com`"),
            );
        }
    }

    fn route(&mut self, route: &Spanned<HttpRoute>, namespace: &str) {
        for condition in &route.r#match {
            self.condition(condition);
        }
        match route.route.as_slice() {
            [] => self.tell(
                &route.place,
                "`route` is empty: expected at least one destination",
            ),
            [only] => self.weight(only),
            several => {
                several.iter().for_each(|to| self.weight(to));
                let sum: i64 = several
                    .iter()
                    .map(|to| to.weight.as_ref().map_or(0, |weight| weight.value))
                    .fold(0, i64::saturating_add);
                if sum == 0 {
                    let place = several
                        .iter()
                        .find_map(|to| to.weight.as_ref())
                        .map_or(&several[0].place, |it| &it.place);
                    self.tell(place, "the weights of the destinations sum to 0: expected 1 or more, as in 90 and 10");
                } else if sum > MAX_WEIGHT {
                    let place = &several[0].place;
                    self.tell(place, format!("the weights of the destinations sum to {sum}: expected at most {MAX_WEIGHT}"));
                }
            }
        }
        for to in &route.route {
            self.destination(to, namespace);
        }
        if let Some(retries) = &route.retries {
            self.retries(retries);
        }
    }

    fn weight(&mut self, to: &RouteDestination) {
        if let Some(weight) = to
            .weight
            .as_ref()
            .filter(|weight| !(0..=MAX_WEIGHT).contains(&weight.value))
        {
            self.tell(
                &weight.place,
                format!("weight {}: expected 0 to {MAX_WEIGHT}", weight.value),
            );
        }
    }

    fn destination(&mut self, to: &RouteDestination, namespace: &str) {
        let mesh = self.mesh;
        let destination = &to.destination;
        let host = Hostname::resolve(&destination.host, namespace);
        let service = mesh.registry.service(host.as_str());
        if service.is_none() && !mesh.registry.services.is_empty() {
            self.unknown_host(&destination.host, namespace);
            return;
        }
        if let (Some(port), Some(service)) = (&destination.port, service)
            && !service
                .ports
                .iter()
                .any(|known| known.number == port.number.value)
        {
            let numbers: Vec<String> = service
                .ports
                .iter()
                .map(|known| known.number.to_string())
                .collect();
            let accepted = suggest::one_of(&numbers.iter().map(String::as_str).collect::<Vec<_>>());
            let message = format!(
                "service `{}` has no port {}: expected {accepted}",
                destination.host, port.number
            );
            self.tell(&port.number.place, message);
        }
        let Some(subset) = &destination.subset else {
            return;
        };
        // A host of another mesh's naming has the namespace of the document.
        let of = service.map_or(namespace, |service| service.namespace.as_str());
        let rule = self.index.rule(&host, of);
        if rule
            .subsets
            .iter()
            .any(|known| known.name.value == subset.value)
        {
            return;
        }
        let known: Vec<&str> = rule
            .subsets
            .iter()
            .map(|known| known.name.as_str())
            .collect();
        let hint = if known.is_empty() {
            "no DestinationRule of that host defines one".to_owned()
        } else {
            suggest::hint(subset, known)
        };
        self.tell(
            &subset.place,
            format!("no subset `{subset}` of `{}`: {hint}", destination.host),
        );
    }

    fn unknown_host(&mut self, host: &Spanned<String>, namespace: &str) {
        let services = self.mesh.registry.services.values();
        // As the person would write it: in the document's namespace the short name.
        let names: Vec<&str> = services
            .map(|service| {
                if service.namespace == namespace {
                    &service.name
                } else {
                    service.hostname.as_str()
                }
            })
            .collect();
        self.tell(
            &host.place,
            format!("no service `{host}`: {}", suggest::hint(host, names)),
        );
    }

    fn retries(&mut self, retries: &Spanned<HttpRetry>) {
        if retries.attempts == 0
            && (retries.per_try_timeout.is_some() || retries.retry_on.is_some())
        {
            let message = "`attempts: 0` means no retries: leave `perTryTimeout` and `retryOn` out, or say how many";
            self.tell(&retries.place, message);
        }
        let Some(on) = &retries.retry_on else { return };
        let (names, codes) = parse_retry_on(on);
        for name in names
            .iter()
            .filter(|name| !retry_on_names().any(|known| known == *name))
        {
            let hint = suggest::hint(name, retry_on_names());
            self.tell(&on.place, format!("unknown condition `{name}`: {hint}"));
        }
        for code in codes.iter().filter(|code| !(100..600).contains(*code)) {
            self.tell(
                &on.place,
                format!("`{code}` is no status: expected 100 to 599"),
            );
        }
    }

    fn condition(&mut self, condition: &HttpMatch) {
        let requests = [
            &condition.uri,
            &condition.scheme,
            &condition.method,
            &condition.authority,
        ];
        for wanted in requests.into_iter().flatten() {
            self.string(wanted);
        }
        if let Some(uri) = &condition.uri
            && uri.value == StringMatch::Exact(String::new())
        {
            self.tell(
                &uri.place,
                "an exact `uri` is never empty: expected a path, as in `/`",
            );
        }
        for (name, wanted) in condition.headers.iter().chain(&condition.without_headers) {
            if NOT_HEADERS.contains(&name.as_str()) {
                let message = format!(
                    "`{name}` is no header: write `{name}:` beside `headers`, or `:{name}`"
                );
                self.tell(&name.place, message);
            } else if HeaderKey::named(name).is_none() {
                self.tell(&name.place, format!("`{name}` is no name of a header"));
            } else if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                let lower = name.to_ascii_lowercase();
                self.tell(
                    &name.place,
                    format!("names of headers are in lower case: write `{lower}`"),
                );
            }
            self.string(wanted);
        }
        for wanted in condition.query_params.values() {
            self.string(wanted);
        }
    }

    fn string(&mut self, wanted: &Spanned<StringMatch>) {
        if let StringMatch::Regex(regex) = &wanted.value
            && let Err(error) = compile_regex(regex)
        {
            // The last line says what is wrong; those before it draw a picture.
            let error = error.to_string();
            let last = error
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            self.tell(
                &wanted.place,
                format!("`{regex}` is no regular expression (RE2): {last}"),
            );
        }
    }

    fn destination_rule(&mut self, resource: &Resource<DestinationRule>) {
        let (spec, namespace) = (&resource.spec, resource.meta.namespace.as_str());
        self.host_name(&spec.host);
        let host = Hostname::resolve(&spec.host, namespace);
        let services = &self.mesh.registry.services;
        if !services.is_empty() && !services.keys().any(|known| host.covers(known)) {
            self.unknown_host(&spec.host, namespace);
        }
        let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
        for subset in &spec.subsets {
            let name = &subset.name;
            let fine = |byte: u8| {
                byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || byte == b'_'
            };
            if name.is_empty() || !name.bytes().all(fine) {
                self.tell(
                    &name.place,
                    format!(
                        "`{name}` is no name of a subset: expected letters, digits, `-`, `.`, `_`"
                    ),
                );
            }
            if let Some(first) = seen.insert(name.as_str(), &name.place) {
                self.tell(
                    &name.place,
                    format!(
                        "subset `{name}` stands here twice; the first is at {}",
                        short(first)
                    ),
                );
            }
        }
        self.subsets_beside_canary(resource);
    }
}

/// A place in the same file.
fn short(place: &Place) -> String {
    format!("{}:{}", place.line, place.column)
}
