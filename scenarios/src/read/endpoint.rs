//! Endpoints: `payment POST /charge`, and as a key `POST /charge`.

use http::Method;
use shakedown_config::{Node, Place as FilePlace, suggest};

use super::Reader;
use super::skeleton::Skeleton;
use crate::story::{Path, find_endpoint};

/// An endpoint that something calls.
pub(super) struct Target {
    pub(super) service: usize,
    pub(super) endpoint: usize,
    pub(super) method: Method,
    pub(super) path: String,
}

impl Reader<'_> {
    /// `METHOD /path`, as a service declares it.
    pub(super) fn declared(&mut self, text: &str, place: &FilePlace) -> Option<Path> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [method, path] = words[..] else {
            self.error(
                place,
                format!("`{text}` is no endpoint: one is declared `POST /charge`"),
            );
            return None;
        };
        let method = self.method(method, place)?;
        self.is_path(path, place).then(|| Path {
            method,
            path: path.to_owned(),
        })
    }

    /// `SERVICE METHOD /path`, with its service and endpoint looked up. `by` says who calls, for the message.
    pub(super) fn target(
        &mut self,
        node: &Node,
        services: &[Skeleton],
        by: &str,
    ) -> Option<Target> {
        let text = self.text(node, "an endpoint, such as `payment POST /charge`")?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [name, method, path] = words[..] else {
            self.error(
                &node.place,
                format!("`{text}` is no endpoint: one is written `payment POST /charge`"),
            );
            return None;
        };
        let Some(service) = services.iter().position(|service| service.name == name) else {
            if !self.incomplete {
                let known = services.iter().map(|service| service.name.as_str());
                let hint = suggest::hint(name, known);
                self.error(
                    &node.place,
                    format!("no service `{name}`: {hint} (called by {by})"),
                );
            }
            return None;
        };
        let method = self.method(method, &node.place)?;
        if !self.is_path(path, &node.place) {
            return None;
        }
        let Some(endpoint) = find_endpoint(&services[service].endpoints, method.as_str(), path)
        else {
            if !services[service].open {
                let wanted = format!("{method} {path}");
                let known: Vec<String> = services[service]
                    .endpoints
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                let hint = suggest::hint(&wanted, known.iter().map(String::as_str));
                self.error(
                    &node.place,
                    format!("{name} has no endpoint `{wanted}`: {hint} (called by {by})"),
                );
            }
            return None;
        };
        Some(Target {
            service,
            endpoint,
            method,
            path: path.to_owned(),
        })
    }

    fn method(&mut self, text: &str, place: &FilePlace) -> Option<Method> {
        let upper = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase());
        match Method::from_bytes(text.as_bytes()) {
            Ok(method) if upper => Some(method),
            _ => {
                self.error(
                    place,
                    format!("`{text}` is no method: one is written in capitals, as in `GET /`"),
                );
                None
            }
        }
    }

    fn is_path(&mut self, path: &str, place: &FilePlace) -> bool {
        let good = path.starts_with('/') && http::uri::PathAndQuery::try_from(path).is_ok();
        if !good {
            self.error(place, format!("`{path}` is no path: one begins with `/`"));
        }
        good
    }
}
