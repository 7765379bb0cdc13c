//! Validation of a route's match conditions.

use shakedown_xds::table::{HeaderKey, re2};
use shakedown_yaml::{Location, Spanned};

use super::super::DocumentCheck;
use super::super::names::is_dns_label;
use crate::{HttpMatch, StringMatch};

/// The maximum length of an expression in bytes. Source: Istio, `validateStringRegexp`.
const REGEX_MAX: usize = 1024;

/// Names that Istio reserves for the request line, and so rejects as headers.
const NOT_HEADERS: &[&str] = &["uri", "scheme", "method", "authority"];

impl DocumentCheck<'_> {
    pub(in super::super) fn condition(&mut self, condition: &Spanned<HttpMatch>) {
        let requests = [&condition.scheme, &condition.method, &condition.authority];
        for wanted in requests.into_iter().flatten() {
            self.string(wanted);
        }
        // Only a path may have an empty prefix, which matches every path.
        if let Some(uri) = &condition.uri
            && uri.value != StringMatch::Prefix(String::new())
        {
            self.string(uri);
        }
        if let Some(uri) = &condition.uri
            && uri.value == StringMatch::Exact(String::new())
        {
            self.report(
                &uri.place,
                "invalid exact `uri`: it is empty; expected a path, as in `/`",
            );
        }
        for (name, wanted) in condition.headers.iter().chain(&condition.without_headers) {
            if NOT_HEADERS.contains(&name.as_str()) {
                let message = format!(
                    "`{name}` is not a header: write `{name}:` next to `headers`, or `:{name}`"
                );
                self.report(&name.place, message);
            } else if HeaderKey::named(name).is_none() {
                self.report(&name.place, format!("invalid header name `{name}`"));
            }
            self.string(wanted);
        }
        for gateway in &condition.gateways {
            self.gateway(gateway);
        }
        self.labels(&condition.source_labels, &condition.place);
        if let Some(namespace) = condition.source_namespace.as_ref()
            && !namespace.is_empty()
            && !is_dns_label(namespace)
        {
            let message = format!("invalid `sourceNamespace` `{namespace}`: expected a namespace");
            self.report(&condition.place, message);
        }
        for wanted in condition.query_params.values() {
            self.string(wanted);
        }
    }

    /// Checks a string match. Source: Istio, `validateStringMatch`.
    pub(super) fn string(&mut self, wanted: &Spanned<StringMatch>) {
        match &wanted.value {
            StringMatch::Prefix(prefix) if prefix.is_empty() => {
                let message =
                    "invalid `prefix`: it is empty; expected text, or `{}` to match presence";
                self.report(&wanted.place, message);
            }
            StringMatch::Regex(regex) => self.regex(regex, &wanted.place),
            StringMatch::Exact(_) | StringMatch::Prefix(_) | StringMatch::Present => {}
        }
    }

    /// Checks an expression in RE2's syntax. Source: Istio, `validateStringRegexp`.
    pub(super) fn regex(&mut self, regex: &str, place: &Location) {
        let reason = if regex.is_empty() {
            "it is empty".to_owned()
        } else if regex.len() > REGEX_MAX {
            format!("it is longer than {REGEX_MAX} bytes")
        } else if let Err(reason) = re2::compile_whole(regex) {
            reason
        } else {
            return;
        };
        self.report(
            place,
            format!("invalid regular expression `{regex}` (RE2): {reason}"),
        );
    }
}
