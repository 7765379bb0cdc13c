//! Matches a request to an endpoint of a service.

use http::Method;
use shakedown_scenarios::scenario::Path;

/// The endpoint of a request that matches no declared one.
pub(crate) const UNDECLARED: u16 = u16::MAX;

/// The endpoints of a service, prepared for matching.
#[derive(Debug)]
pub(crate) struct Endpoints(Vec<Declared>);

#[derive(Debug)]
struct Declared {
    method: Method,
    segments: Vec<PathSegment>,
    /// True if the path ends with `*`: any remainder matches.
    open: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum PathSegment {
    Literal(Box<str>),
    Any,
}

impl Endpoints {
    pub(crate) fn new(paths: &[Path]) -> Endpoints {
        Endpoints(paths.iter().map(Declared::new).collect())
    }

    /// Returns the index of the first declared endpoint that matches, or [`UNDECLARED`].
    pub(crate) fn find(&self, method: &Method, path: &str) -> u16 {
        let at = self
            .0
            .iter()
            .position(|declared| declared.matches(method, path));
        at.and_then(|at| u16::try_from(at).ok())
            .unwrap_or(UNDECLARED)
    }
}

impl Declared {
    fn new(path: &Path) -> Declared {
        let mut segments: Vec<PathSegment> = Vec::new();
        let mut open = false;
        for segment in path.path.trim_start_matches('/').split('/') {
            match segment {
                "*" => open = true,
                _ if segment.starts_with(':') => segments.push(PathSegment::Any),
                _ => segments.push(PathSegment::Literal(segment.into())),
            }
        }
        Declared {
            method: path.method.clone(),
            segments,
            open,
        }
    }

    fn matches(&self, method: &Method, path: &str) -> bool {
        if *method != self.method {
            return false;
        }
        let mut given = path.trim_start_matches('/').split('/');
        for segment in &self.segments {
            let Some(given) = given.next() else {
                return false;
            };
            match segment {
                PathSegment::Any if given.is_empty() => return false,
                PathSegment::Literal(literal) if **literal != *given => return false,
                PathSegment::Any | PathSegment::Literal(_) => {}
            }
        }
        self.open || given.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(declared: &[&str], path: &str) -> u16 {
        let path_of = |path: &&str| Path {
            method: Method::GET,
            path: (*path).to_owned(),
        };
        let paths: Vec<Path> = declared.iter().map(path_of).collect();
        Endpoints::new(&paths).find(&Method::GET, path)
    }

    #[test]
    fn a_colon_stands_for_one_segment() {
        assert_eq!(find(&["/details/:id"], "/details/0"), 0);
        assert_eq!(find(&["/details/:id"], "/details/0/more"), UNDECLARED);
        assert_eq!(find(&["/details/:id"], "/details/"), UNDECLARED);
        assert_eq!(find(&["/details/:id"], "/details"), UNDECLARED);
    }

    #[test]
    fn a_last_star_stands_for_the_rest() {
        assert_eq!(find(&["/static/*"], "/static/a/b"), 0);
        assert_eq!(find(&["/*"], "/"), 0);
        assert_eq!(find(&["/static/*"], "/other/a"), UNDECLARED);
    }

    #[test]
    fn the_first_declared_endpoint_wins() {
        assert_eq!(find(&["/a", "/:x", "/*"], "/b"), 1);
        assert_eq!(find(&["/a", "/:x", "/*"], "/a"), 0);
        assert_eq!(find(&["/a", "/:x", "/*"], "/a/b"), 2);
    }

    #[test]
    fn another_method_is_another_endpoint() {
        let paths = [Path {
            method: Method::POST,
            path: "/".to_owned(),
        }];
        assert_eq!(Endpoints::new(&paths).find(&Method::GET, "/"), UNDECLARED);
        assert_eq!(Endpoints::new(&paths).find(&Method::POST, "/"), 0);
    }
}
