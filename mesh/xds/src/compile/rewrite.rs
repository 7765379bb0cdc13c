//! Compiles path and host rewrites, redirects and direct responses.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};

use super::problem::{FieldProblem, Result, enumerated, fields};
use crate::proto::core::data_source::Specifier;
use crate::proto::matcher::RegexMatchAndSubstitute;
use crate::proto::route as message;
use crate::proto::route::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use crate::proto::route::route_action::HostRewriteSpecifier;
use crate::proto::route::route_match::PathSpecifier;
use crate::table::{DirectResponse, PathRedirect, PathRewrite, Redirect, Rewrite, Substitution};

/// Compiles the path and host rewrites of a `RouteAction`.
pub(super) fn rewrite(
    action: &message::RouteAction,
    condition: &message::RouteMatch,
) -> Result<Option<Box<Rewrite>>> {
    let path = match (&action.regex_rewrite, action.prefix_rewrite.as_str()) {
        (None, "") => None,
        (None, with) => Some(prefix(with, condition)),
        (Some(written), "") => {
            let substitution = substitution(written);
            Some(PathRewrite::Regex(
                substitution.map_err(|problem| problem.within("regex_rewrite"))?,
            ))
        }
        (Some(_), _) => {
            let text = "expected either `prefix_rewrite` or `regex_rewrite`, found both";
            return Err(FieldProblem::new("prefix_rewrite", text));
        }
    };
    let (mut host, mut host_header) = (None, None);
    match &action.host_rewrite_specifier {
        None => {}
        Some(HostRewriteSpecifier::HostRewriteLiteral(literal)) => {
            host = Some(host_value("host_rewrite_literal", literal)?);
        }
        Some(HostRewriteSpecifier::HostRewriteHeader(name)) => {
            let found = HeaderName::try_from(name.as_str());
            host_header = Some(found.map_err(|_| {
                let text = format!("invalid header name `{name}`");
                FieldProblem::new("host_rewrite_header", text)
            })?);
        }
        Some(HostRewriteSpecifier::AutoHostRewrite(auto)) if !auto.value => {}
        Some(_) => {
            let text =
                "not supported yet: expected `host_rewrite_literal` or `host_rewrite_header`";
            return Err(FieldProblem::new("host_rewrite_specifier", text));
        }
    }
    let rewrite = Rewrite {
        path,
        host,
        host_header,
    };
    let nothing = rewrite.path.is_none() && rewrite.host.is_none() && rewrite.host_header.is_none();
    Ok((!nothing).then(|| Box::new(rewrite)))
}

/// Returns a replacement host as a header value.
pub(super) fn host_value(field: &str, host: &str) -> Result<HeaderValue> {
    match HeaderValue::from_str(host) {
        Ok(value) if !host.is_empty() => Ok(value),
        _ => Err(FieldProblem::new(field, format!("invalid host `{host}`"))),
    }
}

/// Compiles a prefix rewrite, which replaces the part that the route matched: a prefix, or else the whole path.
fn prefix(with: &str, condition: &message::RouteMatch) -> PathRewrite {
    let matched = match &condition.path_specifier {
        Some(PathSpecifier::Prefix(prefix) | PathSpecifier::PathSeparatedPrefix(prefix)) => {
            Some(prefix.len())
        }
        _ => None,
    };
    PathRewrite::Prefix {
        matched,
        with: with.into(),
    }
}

fn substitution(message: &RegexMatchAndSubstitute) -> Result<Substitution> {
    fields!(message => RegexMatchAndSubstitute {
        used: pattern substitution;
    });
    let Some(pattern) = &message.pattern else {
        return Err(FieldProblem::new(
            "pattern",
            "expected a pattern, found nothing",
        ));
    };
    Substitution::new(&pattern.regex, &message.substitution)
        .map_err(|text| FieldProblem::new("pattern.regex", text))
}

pub(super) fn redirect(
    message: &message::RedirectAction,
    condition: &message::RouteMatch,
) -> Result<Redirect> {
    fields!(message => message::RedirectAction {
        used: host_redirect port_redirect response_code strip_query scheme_rewrite_specifier
            path_rewrite_specifier;
    });
    let status = match enumerated("response_code", message.response_code)? {
        RedirectResponseCode::MovedPermanently => 301,
        RedirectResponseCode::Found => 302,
        RedirectResponseCode::SeeOther => 303,
        RedirectResponseCode::TemporaryRedirect => 307,
        RedirectResponseCode::PermanentRedirect => 308,
    };
    let scheme = match &message.scheme_rewrite_specifier {
        None | Some(SchemeRewriteSpecifier::HttpsRedirect(false)) => None,
        Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => Some("https".into()),
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => some(scheme),
    };
    let path = match &message.path_rewrite_specifier {
        None => None,
        Some(PathRewriteSpecifier::PathRedirect(path)) => some(path).map(PathRedirect::Whole),
        Some(PathRewriteSpecifier::PrefixRewrite(with)) if with.is_empty() => None,
        Some(PathRewriteSpecifier::PrefixRewrite(with)) => {
            Some(PathRedirect::Rewritten(prefix(with, condition)))
        }
        Some(PathRewriteSpecifier::RegexRewrite(written)) => {
            let substitution = substitution(written);
            let substitution = substitution.map_err(|problem| problem.within("regex_rewrite"))?;
            Some(PathRedirect::Rewritten(PathRewrite::Regex(substitution)))
        }
        Some(PathRewriteSpecifier::PathRewrite(_)) => {
            return Err(FieldProblem::unsupported("path_rewrite"));
        }
    };
    let port = match u16::try_from(message.port_redirect) {
        Ok(0) => None,
        Ok(port) => Some(port),
        Err(_) => {
            let text = format!("expected at most 65535, found {}", message.port_redirect);
            return Err(FieldProblem::new("port_redirect", text));
        }
    };
    Ok(Redirect {
        status,
        scheme,
        host: some(&message.host_redirect),
        port,
        path,
        strip_query: message.strip_query,
    })
}

fn some(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

/// Compiles a direct response. `body_max` is the maximum length of its body, in bytes.
pub(super) fn direct_response(
    message: &message::DirectResponseAction,
    body_max: u32,
) -> Result<DirectResponse> {
    fields!(message => message::DirectResponseAction {
        refused: body_format;
        used: status body;
    });
    let status = u16::try_from(message.status)
        .ok()
        .filter(|status| (200..600).contains(status));
    let Some(status) = status else {
        return Err(FieldProblem::new(
            "status",
            format!("expected 200 to 599, found {}", message.status),
        ));
    };
    let body: &[u8] = match message.body.as_ref().map(|body| &body.specifier) {
        None | Some(None) => &[],
        Some(Some(Specifier::InlineString(text))) => text.as_bytes(),
        Some(Some(Specifier::InlineBytes(bytes))) => bytes,
        Some(Some(_)) => {
            let text = "not supported yet: expected `inline_string` or `inline_bytes`";
            return Err(FieldProblem::new("body", text));
        }
    };
    if body.len() > body_max as usize {
        let text = format!(
            "expected at most {body_max} bytes (`max_direct_response_body_size_bytes`), found {}",
            body.len()
        );
        return Err(FieldProblem::new("body", text));
    }
    Ok(DirectResponse {
        status,
        body: Arc::from(body),
    })
}
