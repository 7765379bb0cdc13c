//! `CorsPolicy`.

use http::header::HeaderValue;

use super::matching;
use super::problem::{FieldProblem, Result, fields};
use super::share;
use crate::proto::cors as message;
use crate::table::{Cors, RequestShare};

/// The policy of a level; each field that it leaves out is that of the level `above`.
/// Source: Envoy, `CorsFilter`, whose levels fill each other in.
pub(super) fn compile(message: &message::CorsPolicy, above: Option<&Cors>) -> Result<Cors> {
    fields!(message => message::CorsPolicy {
        refused: shadow_enabled allow_private_network_access;
        used: allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials
            filter_enabled forward_not_matching_preflights;
    });
    let mut allow_origins = Vec::with_capacity(message.allow_origin_string_match.len());
    for (index, written) in message.allow_origin_string_match.iter().enumerate() {
        let at =
            |problem: FieldProblem| problem.within(&format!("allow_origin_string_match[{index}]"));
        allow_origins.push(matching::string(written).map_err(at)?);
    }
    if let (true, Some(above)) = (allow_origins.is_empty(), above) {
        allow_origins.clone_from(&above.allow_origins);
    }
    let value = |field: &str, text: &str, above: Option<&Option<HeaderValue>>| {
        if text.is_empty() {
            return Ok(above.cloned().flatten());
        }
        let refused = || FieldProblem::new(field, format!("invalid header value `{text}`"));
        HeaderValue::from_str(text).map(Some).map_err(|_| refused())
    };
    let enabled = match &message.filter_enabled {
        // Where nothing is said, all.
        None => RequestShare::ALL,
        enabled => share::runtime("filter_enabled", enabled.as_ref())?,
    };
    Ok(Cors {
        enabled,
        allow_origins,
        allow_methods: value(
            "allow_methods",
            &message.allow_methods,
            above.map(|above| &above.allow_methods),
        )?,
        allow_headers: value(
            "allow_headers",
            &message.allow_headers,
            above.map(|above| &above.allow_headers),
        )?,
        expose_headers: value(
            "expose_headers",
            &message.expose_headers,
            above.map(|above| &above.expose_headers),
        )?,
        max_age: value(
            "max_age",
            &message.max_age,
            above.map(|above| &above.max_age),
        )?,
        allow_credentials: message.allow_credentials.as_ref().map_or_else(
            || above.is_some_and(|above| above.allow_credentials),
            |allow| allow.value,
        ),
        forward_not_matching_preflights: message
            .forward_not_matching_preflights
            .as_ref()
            .map_or_else(
                || above.is_none_or(|above| above.forward_not_matching_preflights),
                |forward| forward.value,
            ),
    })
}
