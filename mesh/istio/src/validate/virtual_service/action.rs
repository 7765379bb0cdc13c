//! Validation of a route's action: changes of headers, rewrites, redirects, direct responses, faults and CORS.

use http::header::{HeaderName, HeaderValue};
use shakedown_types::GrpcStatus;
use shakedown_xds::table::{Substitution, Template};
use shakedown_yaml::{Location, Spanned, suggest};

use super::super::DocumentCheck;
use crate::DIRECT_BODY_MAX;
use crate::{
    Abort, CorsPolicy, DirectBody, DirectResponse, Fault, HeaderOperations, Headers, HttpRoute,
    Redirect, Rewrite, StringMatch,
};

/// The redirect statuses that Envoy supports. Istio accepts any 3xx, but leaves a route with another one without an
/// action, which makes proxies reject all routes of the port. Source: Istio, `route.ApplyRedirect`; Envoy,
/// `RedirectResponseCode`.
const REDIRECTS: [&str; 5] = ["301", "302", "303", "307", "308"];

/// The methods that a CORS policy may allow. Source: Istio, `supportedCORSMethods`.
const CORS_METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*",
];

impl DocumentCheck<'_> {
    pub(super) fn headers(&mut self, headers: Option<&Spanned<Headers>>) {
        let Some(headers) = headers else { return };
        if let Some(request) = &headers.request {
            self.operations(request, true);
        }
        if let Some(response) = &headers.response {
            self.operations(response, false);
        }
    }

    /// Checks header operations. With `of_request`, `host` may be set, which rewrites the authority.
    fn operations(&mut self, operations: &HeaderOperations, of_request: bool) {
        let put = operations.set.iter().chain(&operations.add);
        for (name, value) in put {
            if is_authority(name) && of_request {
                self.host_value(&value.value, &value.place);
                continue;
            }
            self.header_name(name);
            if let Err(error) = Template::parse(value) {
                self.report(&value.place, error);
            }
        }
        for name in &operations.remove {
            self.header_name(name);
        }
    }

    /// Checks that the authority is set at most once. Source: Istio, `validateAuthorityRewrite`.
    pub(super) fn one_authority(&mut self, route: &HttpRoute) {
        let rewritten = route
            .rewrite
            .as_ref()
            .and_then(|rewrite| rewrite.authority.as_ref())
            .filter(|authority| !authority.is_empty())
            .map(|authority| &authority.place);
        let request = route.headers.as_ref().and_then(|all| all.request.as_ref());
        let operations = request.map(|request| request.set.iter().chain(&request.add));
        let set = operations
            .into_iter()
            .flatten()
            .filter(|(name, _)| is_authority(name))
            .map(|(name, _)| &name.place);
        let mut places = rewritten.into_iter().chain(set);
        let Some(first) = places.next() else { return };
        for again in places {
            let message = format!(
                "the authority is set twice; the first is at {}: expected one of `rewrite.authority` and a `host` header",
                first.in_file()
            );
            self.report(again, message);
        }
    }

    fn header_name(&mut self, name: &Spanned<String>) {
        if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
            let message = format!("`{name}` cannot be changed here: use `rewrite`");
            self.report(&name.place, message);
        } else if HeaderName::try_from(name.as_str()).is_err() {
            self.report(&name.place, format!("invalid header name `{name}`"));
        }
    }

    fn host_value(&mut self, host: &str, place: &Location) {
        if host.is_empty() || host.contains('%') || HeaderValue::from_str(host).is_err() {
            self.report(place, format!("invalid host `{host}`"));
        }
    }

    pub(super) fn rewrite(&mut self, rewrite: &Spanned<Rewrite>) {
        match (&rewrite.uri, &rewrite.uri_regex_rewrite, &rewrite.authority) {
            (None, None, None) => {
                let message =
                    "`rewrite` is empty: expected `uri`, `uriRegexRewrite` or `authority`";
                self.report(&rewrite.place, message);
            }
            (Some(_), Some(regex), _) => {
                let message = "both `uri` and `uriRegexRewrite` are set: expected one of them";
                self.report(&regex.place, message);
            }
            _ => {}
        }
        if let Some(uri) = rewrite.uri.as_ref().filter(|uri| uri.is_empty()) {
            self.report(&uri.place, "an empty `uri` rewrites nothing: write `/`");
        }
        if let Some(authority) = &rewrite.authority {
            self.host_value(authority, &authority.place);
        }
        if let Some(regex) = &rewrite.uri_regex_rewrite {
            if regex.r#match.is_empty() || regex.rewrite.is_empty() {
                let message = "`uriRegexRewrite` needs both `match` and `rewrite`";
                self.report(&regex.place, message);
            } else if let Err(error) = Substitution::new(&regex.r#match, &regex.rewrite) {
                self.report(&regex.place, error);
            }
        }
    }

    pub(super) fn redirect(&mut self, redirect: &Spanned<Redirect>) {
        let empty = |text: Option<&str>| text.is_none_or(str::is_empty);
        if empty(redirect.uri.as_deref())
            && empty(redirect.authority.as_deref())
            && empty(redirect.scheme.as_deref().map(String::as_str))
            && redirect.port.is_none()
            && redirect.derive_port.is_none()
        {
            let message =
                "a redirect changes nothing: expected `uri`, `authority`, `scheme` or a port";
            self.report(&redirect.place, message);
        }
        if let (Some(_), Some(derived)) = (&redirect.port, &redirect.derive_port) {
            self.report(
                &derived.place,
                "both `port` and `derivePort` are set: expected one of them",
            );
        }
        if let Some(scheme) = &redirect.scheme
            && !["http", "https"].contains(&scheme.as_str())
        {
            let message = format!("invalid scheme `{scheme}`: expected `http` or `https`");
            self.report(&scheme.place, message);
        }
        if let Some(code) = &redirect.redirect_code
            && !REDIRECTS.contains(&code.value.to_string().as_str())
        {
            let accepted = suggest::one_of(&REDIRECTS);
            let message = match code.value {
                300..=399 => format!(
                    "invalid `redirectCode` {}: Istio accepts it, but its proxies then reject all routes of the port; \
                     expected {accepted}",
                    code.value
                ),
                other => format!("invalid `redirectCode` {other}: expected {accepted}"),
            };
            self.report(&code.place, message);
        }
    }

    pub(super) fn direct_response(&mut self, direct: &DirectResponse) {
        self.status(direct.status.value, &direct.status.place);
        let Some(body) = &direct.body else { return };
        let length = match &body.value {
            DirectBody::String(text) => text.len(),
            DirectBody::Bytes(bytes) => bytes.len(),
        };
        if length > DIRECT_BODY_MAX as usize {
            let message =
                format!("the body has {length} bytes: expected at most {DIRECT_BODY_MAX}");
            self.report(&body.place, message);
        }
    }

    fn status(&mut self, status: u16, place: &Location) {
        if status == 600 {
            // Source: Istio, `validateHTTPStatus`; Envoy 1.40, `FaultAbort.http_status`, confirmed with `--mode
            // validate`.
            let message = "invalid status 600: Istio accepts it, but its proxies then reject all routes of the port; \
                           expected 200 to 599";
            self.report(place, message);
        } else if !(200..600).contains(&status) {
            self.report(
                place,
                format!("invalid status {status}: expected 200 to 599"),
            );
        }
    }

    pub(super) fn fault(&mut self, fault: &Spanned<Fault>) {
        if fault.value == Fault::default() {
            self.report(
                &fault.place,
                "`fault` is empty: expected `delay` or `abort`",
            );
        }
        if let Some(delay) = &fault.delay {
            if delay.fixed_delay.is_none() {
                self.report(&delay.place, "`fixedDelay` is missing");
            }
            if let Some(percent) = delay.percent.as_ref().filter(|percent| percent.value > 100) {
                self.report(
                    &percent.place,
                    format!("invalid percentage {}: expected 0 to 100", percent.value),
                );
            }
        }
        if let Some(abort) = &fault.abort {
            self.abort(abort);
        }
    }

    fn abort(&mut self, abort: &Spanned<Abort>) {
        match (&abort.http_status, &abort.grpc_status) {
            (Some(status), None) => self.status(status.value, &status.place),
            (None, Some(name)) => {
                if abort.grpc_number().is_none() {
                    let hint = suggest::hint(name, GrpcStatus::names());
                    self.report(&name.place, format!("unknown gRPC status `{name}`: {hint}"));
                }
            }
            (Some(_), Some(name)) => {
                self.report(
                    &name.place,
                    "both `httpStatus` and `grpcStatus` are set: expected one of them",
                );
            }
            (None, None) => {
                self.report(&abort.place, "expected `httpStatus` or `grpcStatus`");
            }
        }
    }

    /// Checks an origin, which must not be empty. Source: Istio, `validateAllowOrigins`.
    fn origin(&mut self, origin: &Spanned<StringMatch>) {
        match &origin.value {
            StringMatch::Exact(text) | StringMatch::Prefix(text) if text.is_empty() => {
                let message =
                    "invalid origin: it is empty; expected an origin like `https://example.com`";
                self.report(&origin.place, message);
            }
            StringMatch::Present => {
                let message = "invalid origin: expected `exact`, `prefix` or `regex`; `regex: .*` matches every origin";
                self.report(&origin.place, message);
            }
            StringMatch::Exact(_) | StringMatch::Prefix(_) | StringMatch::Regex(_) => {
                self.string(origin);
            }
        }
    }

    pub(super) fn cors(&mut self, cors: &CorsPolicy) {
        for origin in &cors.allow_origins {
            self.origin(origin);
        }
        if let (Some(_), Some(older)) = (cors.allow_origins.first(), cors.allow_origin.first()) {
            self.report(
                &older.place,
                "both `allowOrigin` and `allowOrigins` are set: write all origins in `allowOrigins`",
            );
        }
        for method in &cors.allow_methods {
            if !CORS_METHODS.contains(&method.as_str()) {
                let hint = suggest::hint(method, CORS_METHODS.iter().copied());
                self.report(&method.place, format!("invalid method `{method}`: {hint}"));
            }
        }
        for name in cors.allow_headers.iter().chain(&cors.expose_headers) {
            if name.value != "*" && HeaderName::try_from(name.as_str()).is_err() {
                self.report(&name.place, format!("invalid header name `{name}`"));
            }
        }
        if let Some(age) = cors.max_age.as_ref().filter(|age| age.0.subsec_nanos() > 0) {
            self.report(&age.place, "invalid `maxAge`: expected whole seconds");
        }
    }
}

/// Returns true if a header sets the authority.
fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}
