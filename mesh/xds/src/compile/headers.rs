//! Compiles `*_headers_to_add` and `*_headers_to_remove`.

use http::header::HeaderName;

use super::problem::{FieldProblem, Result, enumerated, fields};
use crate::proto::core;
use crate::proto::core::header_value_option::HeaderAppendAction;
use crate::table::{AppendAction, HeaderOp, HeaderOps, Template};

/// Returns the changes that the two lists ask for. `fields` contains their names, for errors.
pub(super) fn ops(
    add: &[core::HeaderValueOption],
    remove: &[String],
    fields: [&str; 2],
) -> Result<HeaderOps> {
    let mut ops = HeaderOps::default();
    for (index, written) in add.iter().enumerate() {
        let at = |problem: FieldProblem| problem.within(&format!("{}[{index}]", fields[0]));
        ops.add.push(one(written).map_err(at)?);
    }
    for (index, written) in remove.iter().enumerate() {
        let at = format!("{}[{index}]", fields[1]);
        ops.remove.push(name(&at, written)?);
    }
    Ok(ops)
}

/// Compiles both lists of a message, for requests or for responses.
macro_rules! header_ops {
    ($message:expr; request) => {
        crate::compile::headers::ops(
            &$message.request_headers_to_add,
            &$message.request_headers_to_remove,
            ["request_headers_to_add", "request_headers_to_remove"],
        )
    };
    ($message:expr; response) => {
        crate::compile::headers::ops(
            &$message.response_headers_to_add,
            &$message.response_headers_to_remove,
            ["response_headers_to_add", "response_headers_to_remove"],
        )
    };
}
pub(super) use header_ops;

#[expect(deprecated, reason = "older control planes send the deprecated form")]
fn one(message: &core::HeaderValueOption) -> Result<HeaderOp> {
    fields!(message => core::HeaderValueOption {
        used: header append append_action keep_empty_value;
    });
    let Some(header) = &message.header else {
        return Err(FieldProblem::new(
            "header",
            "expected a header, found nothing",
        ));
    };
    if !header.raw_value.is_empty() {
        return Err(FieldProblem::unsupported("header.raw_value"));
    }
    let action = match &message.append {
        // The deprecated form: true appends to the existing header.
        Some(append) if append.value => AppendAction::Append,
        Some(_) => AppendAction::Overwrite,
        None => match enumerated("append_action", message.append_action)? {
            HeaderAppendAction::AppendIfExistsOrAdd => AppendAction::Append,
            HeaderAppendAction::AddIfAbsent => AppendAction::AddIfAbsent,
            HeaderAppendAction::OverwriteIfExistsOrAdd => AppendAction::Overwrite,
            HeaderAppendAction::OverwriteIfExists => AppendAction::OverwriteIfExists,
        },
    };
    Ok(HeaderOp {
        name: name("header.key", &header.key)?,
        value: Template::parse(&header.value)
            .map_err(|text| FieldProblem::new("header.value", text))?,
        action,
        keep_empty: message.keep_empty_value,
    })
}

/// Returns a header name that may be changed. Source: Envoy, `HeaderUtility::isModifiableHeader`.
fn name(field: &str, name: &str) -> Result<HeaderName> {
    if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
        let text = format!("`{name}` cannot be changed here: use `host_rewrite_literal`");
        return Err(FieldProblem::new(field, text));
    }
    HeaderName::try_from(name)
        .map_err(|_| FieldProblem::new(field, format!("invalid header name `{name}`")))
}
