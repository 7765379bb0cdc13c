//! Descriptions of header changes: `set x: 1`, `add x: 1`, `remove x`.

use std::fmt::Write as _;
use std::sync::Arc;

use shakedown_xds::table::{
    AppendAction, HeaderKey, HeaderOps, HeaderPart, Template, TemplatePart,
};

/// Describes all changes, in order of application.
pub(super) fn describe(all: &[Arc<HeaderOps>]) -> Vec<String> {
    all.iter().flat_map(|ops| lines(ops)).collect()
}

pub(super) fn lines(ops: &HeaderOps) -> Vec<String> {
    let removed = ops.remove.iter().map(|name| format!("remove {name}"));
    let added = ops.add.iter().map(|op| {
        let verb = match op.action {
            AppendAction::Append => "add",
            AppendAction::AddIfAbsent => "add if absent",
            AppendAction::Overwrite => "set",
            AppendAction::OverwriteIfExists => "set if present",
        };
        format!("{verb} {}: {}", op.name, value(&op.value))
    });
    removed.chain(added).collect()
}

/// Formats a value in the syntax of Envoy's configuration.
fn value(template: &Template) -> String {
    match template {
        Template::Fixed(value) => String::from_utf8_lossy(value.as_bytes()).replace('%', "%%"),
        Template::Parts(parts) => parts.iter().map(part).collect(),
    }
}

fn part(part: &TemplatePart) -> String {
    match part {
        TemplatePart::Text(text) => text.replace('%', "%%"),
        TemplatePart::Protocol => "%PROTOCOL%".into(),
        TemplatePart::Request(header) => operator("REQ", header),
        TemplatePart::Response(header) => operator("RESP", header),
    }
}

fn operator(word: &str, header: &HeaderPart) -> String {
    let mut text = format!("%{word}({}", name(&header.name));
    if let Some(other) = &header.other {
        text.push('?');
        text.push_str(name(other));
    }
    text.push(')');
    if let Some(length) = header.length {
        // Writing to a string cannot fail.
        let _ = write!(text, ":{length}");
    }
    text.push('%');
    text
}

pub(super) fn name(key: &HeaderKey) -> &str {
    match key {
        HeaderKey::Name(name) => name.as_str(),
        HeaderKey::Method => ":method",
        HeaderKey::Path => ":path",
        HeaderKey::Authority => ":authority",
        HeaderKey::Scheme => ":scheme",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reads_as_it_was_written() {
        for text in [
            "v2",
            "100%%",
            "a%REQ(x-a?:path):2%b",
            "%RESP(x-b)%%PROTOCOL%",
        ] {
            assert_eq!(value(&Template::parse(text).unwrap()), text);
        }
    }
}
