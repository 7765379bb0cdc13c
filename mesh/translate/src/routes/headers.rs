//! Translation of header operations. Source: Istio, `TranslateHeadersOperations`.

use indexmap::IndexMap;
use shakedown_istio::{HeaderOperations, Headers};
use shakedown_xds::proto::core::header_value_option::HeaderAppendAction;
use shakedown_xds::proto::core::{HeaderValue, HeaderValueOption};
use shakedown_yaml::Spanned;

/// The header changes of requests and responses, and a host rewrite, which Envoy configures separately.
#[derive(Clone, Debug, Default)]
pub(super) struct Operations {
    pub(super) request_add: Vec<HeaderValueOption>,
    pub(super) request_remove: Vec<String>,
    pub(super) response_add: Vec<HeaderValueOption>,
    pub(super) response_remove: Vec<String>,
    pub(super) host: Option<String>,
}

impl Operations {
    pub(super) fn from_headers(headers: Option<&Spanned<Headers>>) -> Self {
        let none = HeaderOperations::default();
        let request = headers.and_then(|headers| headers.request.as_ref());
        let response = headers.and_then(|headers| headers.response.as_ref());
        let (request, response) = (request.unwrap_or(&none), response.unwrap_or(&none));
        Operations {
            request_add: both(request),
            request_remove: names(&request.remove),
            response_add: both(response),
            response_remove: names(&response.remove),
            host: host(&request.set).or_else(|| host(&request.add)),
        }
    }
}

/// Returns the headers to set, followed by the headers to add.
fn both(operations: &HeaderOperations) -> Vec<HeaderValueOption> {
    let mut all = options(&operations.set, HeaderAppendAction::OverwriteIfExistsOrAdd);
    all.extend(options(
        &operations.add,
        HeaderAppendAction::AppendIfExistsOrAdd,
    ));
    all
}

fn options(
    headers: &IndexMap<Spanned<String>, Spanned<String>>,
    action: HeaderAppendAction,
) -> Vec<HeaderValueOption> {
    let mut changed: Vec<_> = headers.iter().filter(|(name, _)| !is_line(name)).collect();
    changed.sort_by(|(one, _), (other, _)| one.value.cmp(&other.value));
    let option = |(name, value): (&Spanned<String>, &Spanned<String>)| HeaderValueOption {
        header: Some(HeaderValue {
            key: name.value.clone(),
            value: value.value.clone(),
            ..Default::default()
        }),
        append_action: action.into(),
        ..Default::default()
    };
    changed.into_iter().map(option).collect()
}

fn names(names: &[Spanned<String>]) -> Vec<String> {
    let kept = names.iter().filter(|name| !is_line(name));
    kept.map(|name| name.value.clone()).collect()
}

/// Returns true for pseudo-headers and `host`, which header operations cannot change.
fn is_line(name: &str) -> bool {
    name.starts_with(':') || name.eq_ignore_ascii_case("host")
}

/// Returns the host that replaces that of the request.
fn host(headers: &IndexMap<Spanned<String>, Spanned<String>>) -> Option<String> {
    let is_host =
        |name: &str| name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host");
    headers
        .iter()
        .find(|(name, _)| is_host(name))
        .map(|(_, value)| value.value.clone())
}
