//! Reads endpoints: `payment POST /charge` in a call, `POST /charge` in a declaration.

use http::Method;
use shakedown_istio::registry::Hostname;
use shakedown_yaml::{Location as FilePlace, Node, suggest};

use super::reader::ScenarioReader;
use super::skeleton::Skeleton;
use crate::scenario::{
    Callee, EndpointId, ExternalHost, ExternalHostId, Path, ServiceId, find_endpoint,
};

/// The port of a plain HTTP URL without a port.
const HTTP_PORT: u16 = 80;

/// The sender of a request.
pub(super) struct CallSender<'a> {
    /// The name for messages.
    pub(super) name: &'a str,
    /// True if a sidecar routes its requests.
    pub(super) meshed: bool,
}

/// The destination of a request.
pub(super) struct RequestSpec {
    pub(super) callee: Callee,
    /// The name of the service or host.
    pub(super) name: String,
    /// `None` if the service does not declare the endpoint, but routes may lead the request to another.
    pub(super) endpoint: Option<EndpointId>,
    pub(super) method: Method,
    pub(super) path: String,
}

/// The service with a name.
pub(super) fn find_service<'a>(
    services: &'a [Skeleton],
    name: &str,
) -> Option<(ServiceId, &'a Skeleton)> {
    let mut services = (0..).map(ServiceId::new).zip(services);
    services.find(|(_, service)| service.name == name)
}

impl ScenarioReader<'_> {
    /// Parses `METHOD /path` of an endpoint that a service declares.
    pub(super) fn declared(&mut self, text: &str, place: &FilePlace) -> Option<Path> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [method, path] = words[..] else {
            self.error(
                place,
                format!("invalid endpoint `{text}`: expected a method and a path, such as `POST /charge`"),
            );
            return None;
        };
        let method = self.method(method, place)?;
        self.is_path(path, place).then(|| Path {
            method,
            path: path.to_owned(),
        })
    }

    /// Parses `SERVICE METHOD /path` of a request that proxies may route, and looks up its callee and endpoint.
    pub(super) fn target(
        &mut self,
        node: &Node,
        services: &[Skeleton],
        by: &CallSender<'_>,
    ) -> Option<RequestSpec> {
        let (name, method, path) = self.written(node)?;
        let Some((id, service)) = find_service(services, name) else {
            return self.target_without_service(node, services, by);
        };
        let (method, path) = self.method_and_path(node, method, path)?;
        let host = service.hostname();
        let endpoint = find_endpoint(&service.endpoints, method.as_str(), path);
        let routed = by.meshed && self.routes.may_apply(&host);
        if endpoint.is_none() && !service.open && !routed {
            self.no_endpoint(node, service, &method, path, by.name);
        }
        if endpoint.is_none() && !routed {
            return None;
        }
        let target = RequestSpec {
            callee: Callee::Service(id),
            name: name.to_owned(),
            endpoint,
            method,
            path: path.to_owned(),
        };
        if routed {
            self.warn_of_arrivals(node, services, &host, &target, by.name);
        }
        Some(target)
    }

    /// Parses `SERVICE METHOD /path` of a declared endpoint.
    pub(super) fn declared_target(
        &mut self,
        node: &Node,
        services: &[Skeleton],
        by: &str,
    ) -> Option<(ServiceId, EndpointId)> {
        let (name, method, path) = self.written(node)?;
        let Some((id, service)) = find_service(services, name) else {
            self.no_service(node, services, name, by);
            return None;
        };
        let (method, path) = self.method_and_path(node, method, path)?;
        let endpoint = find_endpoint(&service.endpoints, method.as_str(), path);
        if endpoint.is_none() && !service.open {
            self.no_endpoint(node, service, &method, path, by);
        }
        Some((id, endpoint?))
    }

    /// Parses a request to a host that belongs to no service, but that routes may handle.
    fn target_without_service(
        &mut self,
        node: &Node,
        services: &[Skeleton],
        by: &CallSender<'_>,
    ) -> Option<RequestSpec> {
        let (written, method, path) = self.written(node)?;
        let (name, port) = match written.split_once(':') {
            None => (written, Some(HTTP_PORT)),
            Some((name, port)) => (name, port.parse::<u16>().ok().filter(|port| *port > 0)),
        };
        let host = Hostname::resolve(name, "default");
        if !by.meshed || !self.routes.may_apply(&host) {
            self.no_service(node, services, name, by.name);
            return None;
        }
        let (method, path) = self.method_and_path(node, method, path)?;
        let Some(port) = port else {
            self.error(
                &node.place,
                format!("invalid port in `{written}`: expected a number from 1 to 65535"),
            );
            return None;
        };
        let external = ExternalHost {
            name: name.to_owned(),
            port,
        };
        let known = self.hosts.iter().position(|known| *known == external);
        let at = known.unwrap_or_else(|| {
            self.hosts.push(external);
            self.hosts.len() - 1
        });
        let target = RequestSpec {
            callee: Callee::Host(ExternalHostId::from_index(at)),
            name: name.to_owned(),
            endpoint: None,
            method,
            path: path.to_owned(),
        };
        self.warn_of_arrivals(node, services, &host, &target, by.name);
        Some(target)
    }

    /// Warns if no destination that the routes may choose has an endpoint for the request.
    fn warn_of_arrivals(
        &mut self,
        node: &Node,
        services: &[Skeleton],
        host: &Hostname,
        target: &RequestSpec,
        by: &str,
    ) {
        let Some(arrivals) = self.routes.arrivals(host, &target.path) else {
            return;
        };
        let method = target.method.as_str();
        let mut unanswered = Vec::new();
        for (host, path) in arrivals {
            let Some(service) = services.iter().find(|known| known.hostname() == host) else {
                return;
            };
            if service.open || find_endpoint(&service.endpoints, method, &path).is_some() {
                return;
            }
            unanswered.push(format!("`{} {method} {path}`", service.name));
        }
        unanswered.dedup();
        if !unanswered.is_empty() {
            self.warnings.push(format!(
                "{}: routes send this request to {}, which matches no endpoint and returns 404 (called by {by})",
                node.place,
                unanswered.join(" or ")
            ));
        }
    }

    /// Splits `SERVICE METHOD /path` into its words.
    fn written<'n>(&mut self, node: &'n Node) -> Option<(&'n str, &'n str, &'n str)> {
        let text = self.text(node, "an endpoint, such as `payment POST /charge`")?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [name, method, path] = words[..] else {
            self.error(
                &node.place,
                format!("invalid endpoint `{text}`: expected a service, a method and a path, such as `payment POST /charge`"),
            );
            return None;
        };
        Some((name, method, path))
    }

    fn method_and_path<'n>(
        &mut self,
        node: &Node,
        method: &str,
        path: &'n str,
    ) -> Option<(Method, &'n str)> {
        let method = self.method(method, &node.place)?;
        self.is_path(path, &node.place).then_some((method, path))
    }

    fn no_service(&mut self, node: &Node, services: &[Skeleton], name: &str, by: &str) {
        if !self.incomplete {
            let known = services.iter().map(|service| service.name.as_str());
            let hint = suggest::hint(name, known);
            self.error(
                &node.place,
                format!("no service `{name}`: {hint} (called by {by})"),
            );
        }
    }

    fn no_endpoint(
        &mut self,
        node: &Node,
        service: &Skeleton,
        method: &Method,
        path: &str,
        by: &str,
    ) {
        let wanted = format!("{method} {path}");
        let known: Vec<String> = service.endpoints.iter().map(ToString::to_string).collect();
        let hint = suggest::hint(&wanted, known.iter().map(String::as_str));
        let name = &service.name;
        self.error(
            &node.place,
            format!("{name} has no endpoint `{wanted}`: {hint} (called by {by})"),
        );
    }

    fn method(&mut self, text: &str, place: &FilePlace) -> Option<Method> {
        let upper = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase());
        match Method::from_bytes(text.as_bytes()) {
            Ok(method) if upper => Some(method),
            _ => {
                self.error(
                    place,
                    format!(
                        "invalid method `{text}`: a method is written in capitals, as in `GET /`"
                    ),
                );
                None
            }
        }
    }

    fn is_path(&mut self, path: &str, place: &FilePlace) -> bool {
        let good = path.starts_with('/') && http::uri::PathAndQuery::try_from(path).is_ok();
        if !good {
            self.error(
                place,
                format!("invalid path `{path}`: a path begins with `/`"),
            );
        }
        good
    }
}
