//! Matching of requests to declared endpoints.

use std::fmt;

use super::{EndpointId, Path, ServiceSpec};

impl Path {
    /// Returns true if a concrete path (without its query) matches this declaration. `:name` matches one segment, a
    /// final `*` the rest.
    pub fn matches(&self, path: &str) -> bool {
        let mut declared = self.path.split('/');
        let mut requested = path.split('/');
        loop {
            match (declared.next(), requested.next()) {
                (None, None) => return true,
                (Some("*"), Some(_)) if declared.clone().next().is_none() => return true,
                (Some(segment), Some(actual)) => {
                    let any = segment
                        .strip_prefix(':')
                        .is_some_and(|name| !name.is_empty())
                        && !actual.is_empty();
                    if !any && segment != actual {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }

    /// The number of open segments, used to rank matches: the lowest is the most specific. A `*` counts more than any
    /// number of others.
    fn openness(&self) -> usize {
        self.path
            .split('/')
            .map(|segment| {
                if segment == "*" {
                    1 << 16
                } else {
                    usize::from(segment.starts_with(':'))
                }
            })
            .sum()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl ServiceSpec {
    /// Returns the endpoint that answers a request: the most specific match, the first among equals.
    pub fn endpoint(&self, method: &str, path: &str) -> Option<EndpointId> {
        find_endpoint(&self.endpoints, method, path)
    }
}

/// Returns the most specific endpoint that matches a concrete path, the first among equals.
pub(crate) fn find_endpoint(endpoints: &[Path], method: &str, path: &str) -> Option<EndpointId> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let matching = endpoints
        .iter()
        .enumerate()
        .filter(|(_, e)| e.method.as_str() == method && e.matches(path));
    matching
        .min_by_key(|(_, endpoint)| endpoint.openness())
        .map(|(at, _)| EndpointId::from_index(at))
}

/// Formats a number of replicas: `3 replicas`.
pub(crate) fn replicas(number: u32) -> String {
    if number == 1 {
        "1 replica".to_owned()
    } else {
        format!("{number} replicas")
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::find_endpoint;
    use crate::scenario::{EndpointId, Path};

    fn found(declared: &[&str], path: &str) -> Option<usize> {
        let endpoints: Vec<Path> = declared
            .iter()
            .map(|path| Path {
                method: Method::GET,
                path: (*path).to_owned(),
            })
            .collect();
        find_endpoint(&endpoints, "GET", path).map(EndpointId::index)
    }

    #[test]
    fn an_open_segment_is_more_specific_than_an_open_rest() {
        let declared = ["/items/*", "/items/:id", "/:a/:b/:c"];
        assert_eq!(found(&declared, "/items/7"), Some(1));
        assert_eq!(found(&declared, "/items/7/8"), Some(2));
        assert_eq!(found(&declared, "/items/7/8/9"), Some(0));
    }

    #[test]
    fn an_open_segment_stands_for_something() {
        assert_eq!(found(&["/items/:id"], "/items/"), None);
    }
}
