//! Compiles `RouteAction.hash_policy`.

use super::problem::{FieldProblem, Result, duration, fields};
use crate::proto::route::route_action as message;
use crate::proto::route::route_action::hash_policy::{Cookie, Header, PolicySpecifier};
use crate::table::{HashBy, HashCookie, HashPolicy, HeaderKey};

/// Returns the hash components, in order.
pub(super) fn compile(policies: &[message::HashPolicy]) -> Result<Vec<HashPolicy>> {
    let mut compiled = Vec::with_capacity(policies.len());
    for (index, policy) in policies.iter().enumerate() {
        let by =
            hash_by(policy).map_err(|problem| problem.within(&format!("hash_policy[{index}]")))?;
        // As in Envoy, `connection_properties` without a requested property contributes nothing.
        compiled.extend(by.map(|by| HashPolicy {
            by,
            terminal: policy.terminal,
        }));
    }
    Ok(compiled)
}

fn hash_by(policy: &message::HashPolicy) -> Result<Option<HashBy>> {
    fields!(policy => message::HashPolicy {
        used: terminal policy_specifier;
    });
    match &policy.policy_specifier {
        Some(PolicySpecifier::Header(header)) => {
            let check = || {
                fields!(header => Header {
                    refused: regex_rewrite;
                    used: header_name;
                });
                header_name(&header.header_name)
            };
            check()
                .map(Some)
                .map_err(|problem: FieldProblem| problem.within("header"))
        }
        Some(PolicySpecifier::Cookie(of)) => cookie(of)
            .map(|cookie| Some(HashBy::Cookie(cookie)))
            .map_err(|problem| problem.within("cookie")),
        Some(PolicySpecifier::ConnectionProperties(properties)) => {
            Ok(properties.source_ip.then_some(HashBy::SourceIp))
        }
        Some(PolicySpecifier::QueryParameter(parameter)) => {
            Ok(Some(HashBy::Query(parameter.name.as_str().into())))
        }
        Some(PolicySpecifier::FilterState(_)) => Err(FieldProblem::unsupported("filter_state")),
        None => Err(FieldProblem::new(
            "policy_specifier",
            "expected header, cookie, connection_properties or query_parameter, found nothing",
        )),
    }
}

fn header_name(name: &str) -> Result<HashBy> {
    match HeaderKey::named(name) {
        Some(key) => Ok(HashBy::Header(key)),
        None => Err(FieldProblem::new(
            "header_name",
            format!("expected the name of a header, found `{name}`"),
        )),
    }
}

fn cookie(cookie: &Cookie) -> Result<HashCookie> {
    fields!(cookie => Cookie {
        used: name ttl path attributes;
    });
    // The parts of the cookie are written to a header without quoting.
    let fits = |text: &str| {
        text.bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b';')
    };
    if cookie.name.is_empty() || !fits(&cookie.name) || cookie.name.contains('=') {
        let text = format!("expected the name of a cookie, found `{}`", cookie.name);
        return Err(FieldProblem::new("name", text));
    }
    if !fits(&cookie.path) {
        let text = format!(
            "expected a path of printable characters, found `{}`",
            cookie.path
        );
        return Err(FieldProblem::new("path", text));
    }
    let attributes = cookie.attributes.iter();
    if let Some(odd) = attributes
        .clone()
        .find(|attribute| !fits(&attribute.name) || !fits(&attribute.value))
    {
        let text = format!("expected printable characters, found `{}`", odd.name);
        return Err(FieldProblem::new("attributes", text));
    }
    Ok(HashCookie {
        name: cookie.name.as_str().into(),
        ttl: duration("ttl", cookie.ttl.as_ref())?,
        path: cookie.path.as_str().into(),
        attributes: attributes
            .map(|attribute| {
                (
                    attribute.name.as_str().into(),
                    attribute.value.as_str().into(),
                )
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests;
