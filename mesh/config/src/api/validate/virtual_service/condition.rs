//! What a route takes.

use super::super::Check;
use crate::api::{HttpMatch, StringMatch};
use crate::compile::what_is_wrong;
use crate::decode::Spanned;
use crate::table::{HeaderKey, compile_regex};

/// Names that Istio takes for the request line, and so never for headers.
const NOT_HEADERS: &[&str] = &["uri", "scheme", "method", "authority"];

impl Check<'_> {
    pub(in super::super) fn condition(&mut self, condition: &HttpMatch) {
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
        for gateway in &condition.gateways {
            self.gateway(gateway);
        }
        for wanted in condition.query_params.values() {
            self.string(wanted);
        }
    }

    pub(super) fn string(&mut self, wanted: &Spanned<StringMatch>) {
        if let StringMatch::Regex(regex) = &wanted.value
            && let Err(error) = compile_regex(regex)
        {
            let message = format!(
                "`{regex}` is no regular expression (RE2): {}",
                what_is_wrong(&error)
            );
            self.tell(&wanted.place, message);
        }
    }
}
