//! What a route does to requests on their way, and what it answers.

use super::super::Check;
use crate::api::{
    Abort, Body, CorsPolicy, DirectResponse, Fault, HeaderOperations, Headers, Redirect, Rewrite,
};
use crate::decode::Spanned;
use crate::diagnostic::Place;
use crate::suggest;
use crate::table::{Substitution, Template};
use crate::translate::routes::DIRECT_BODY_MAX;
use http::header::{HeaderName, HeaderValue};

/// The statuses of a redirect.
const REDIRECTS: [&str; 5] = ["301", "302", "303", "307", "308"];

impl Check<'_> {
    pub(super) fn headers(&mut self, headers: Option<&Spanned<Headers>>) {
        let Some(headers) = headers else { return };
        if let Some(request) = &headers.request {
            self.operations(request, true);
        }
        if let Some(response) = &headers.response {
            self.operations(response, false);
        }
    }

    /// `of_request`: there `host` may be set, which is a rewrite of the authority.
    fn operations(&mut self, operations: &HeaderOperations, of_request: bool) {
        let put = operations.set.iter().chain(&operations.add);
        for (name, value) in put {
            let is_host = name.eq_ignore_ascii_case("host") || name.value == ":authority";
            if is_host && of_request {
                self.host_value(&value.value, &value.place);
                continue;
            }
            self.header_name(name);
            if let Err(error) = Template::parse(value) {
                self.tell(&value.place, error);
            }
        }
        for name in &operations.remove {
            self.header_name(name);
        }
    }

    fn header_name(&mut self, name: &Spanned<String>) {
        if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
            let message = format!("`{name}` cannot be changed here: write `rewrite`");
            self.tell(&name.place, message);
        } else if HeaderName::try_from(name.as_str()).is_err() {
            self.tell(&name.place, format!("`{name}` is no name of a header"));
        }
    }

    fn host_value(&mut self, host: &str, place: &Place) {
        if host.is_empty() || host.contains('%') || HeaderValue::from_str(host).is_err() {
            self.tell(place, format!("`{host}` is no host"));
        }
    }

    pub(super) fn rewrite(&mut self, rewrite: &Spanned<Rewrite>) {
        match (&rewrite.uri, &rewrite.uri_regex_rewrite, &rewrite.authority) {
            (None, None, None) => {
                let message = "it is empty: expected `uri`, `uriRegexRewrite` or `authority`";
                self.tell(&rewrite.place, message);
            }
            (Some(_), Some(regex), _) => {
                let message = "`uriRegexRewrite` beside `uri`: a path is rewritten once";
                self.tell(&regex.place, message);
            }
            _ => {}
        }
        if let Some(uri) = rewrite.uri.as_ref().filter(|uri| uri.is_empty()) {
            self.tell(&uri.place, "an empty `uri` rewrites nothing: write `/`");
        }
        if let Some(authority) = &rewrite.authority {
            self.host_value(authority, &authority.place);
        }
        if let Some(regex) = &rewrite.uri_regex_rewrite
            && let Err(error) = Substitution::new(&regex.r#match, &regex.rewrite)
        {
            self.tell(&regex.place, error);
        }
    }

    pub(super) fn redirect(&mut self, redirect: &Spanned<Redirect>) {
        if redirect.value == Redirect::default() {
            let message = "it is empty: expected `uri`, `authority`, `scheme` or a port";
            self.tell(&redirect.place, message);
        }
        if let (Some(_), Some(derived)) = (&redirect.port, &redirect.derive_port) {
            self.tell(
                &derived.place,
                "`derivePort` beside `port`: expected one of both",
            );
        }
        if let Some(scheme) = &redirect.scheme
            && !["http", "https"].contains(&scheme.as_str())
        {
            let message = format!("scheme `{scheme}`: expected `http` or `https`");
            self.tell(&scheme.place, message);
        }
        if let Some(code) = &redirect.redirect_code
            && !REDIRECTS.contains(&code.value.to_string().as_str())
        {
            let accepted = suggest::one_of(&REDIRECTS);
            self.tell(
                &code.place,
                format!("{} is no redirect: expected {accepted}", code.value),
            );
        }
    }

    pub(super) fn direct_response(&mut self, direct: &DirectResponse) {
        self.status(direct.status.value, &direct.status.place);
        let Some(body) = &direct.body else { return };
        let length = match &body.value {
            Body::String(text) => text.len(),
            Body::Bytes(bytes) => bytes.len(),
        };
        if length > DIRECT_BODY_MAX as usize {
            let message = format!("a body of {length} bytes: expected at most {DIRECT_BODY_MAX}");
            self.tell(&body.place, message);
        }
    }

    fn status(&mut self, status: u16, place: &Place) {
        if !(200..600).contains(&status) {
            self.tell(
                place,
                format!("`{status}` is no status to answer: expected 200 to 599"),
            );
        }
    }

    pub(super) fn fault(&mut self, fault: &Spanned<Fault>) {
        if fault.value == Fault::default() {
            self.tell(&fault.place, "it is empty: expected `delay` or `abort`");
        }
        if let Some(delay) = &fault.delay {
            match &delay.fixed_delay {
                Some(fixed) if fixed.0.is_zero() => {
                    self.tell(&fixed.place, "a delay of 0 is none: expected `1ms` or more");
                }
                Some(_) => {}
                None => self.tell(&delay.place, "`fixedDelay` is missing"),
            }
            if let Some(percent) = delay.percent.as_ref().filter(|it| it.value > 100) {
                self.tell(
                    &percent.place,
                    format!("{} percent: expected 0 to 100", percent.value),
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
                    let hint = suggest::hint(name, Abort::grpc_statuses());
                    self.tell(
                        &name.place,
                        format!("`{name}` is no status of gRPC: {hint}"),
                    );
                }
            }
            (Some(_), Some(name)) => {
                self.tell(
                    &name.place,
                    "`grpcStatus` beside `httpStatus`: expected one of both",
                );
            }
            (None, None) => {
                self.tell(&abort.place, "expected `httpStatus` or `grpcStatus`");
            }
        }
    }

    pub(super) fn cors(&mut self, cors: &CorsPolicy) {
        for origin in &cors.allow_origins {
            self.string(origin);
        }
        if let (Some(_), Some(older)) = (cors.allow_origins.first(), cors.allow_origin.first()) {
            self.tell(
                &older.place,
                "`allowOrigin` beside `allowOrigins`: write them all in the latter",
            );
        }
        for method in &cors.allow_methods {
            if http::Method::from_bytes(method.as_bytes()).is_err() {
                self.tell(&method.place, format!("`{method}` is no method"));
            }
        }
        for name in cors.allow_headers.iter().chain(&cors.expose_headers) {
            if name.value != "*" && HeaderName::try_from(name.as_str()).is_err() {
                self.tell(&name.place, format!("`{name}` is no name of a header"));
            }
        }
        if let Some(age) = cors.max_age.as_ref().filter(|age| age.0.subsec_nanos() > 0) {
            self.tell(&age.place, "`maxAge` is in whole seconds");
        }
    }
}
