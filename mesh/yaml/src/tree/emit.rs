//! Serialises a tree to canonical YAML and to JSON, so that equal meanings have equal text for hashing and display.

use std::fmt::Write as _;

use super::{Node, Value, scalar};

impl Node {
    /// The tree as canonical YAML: block style, two spaces, quotes only where a reader needs them. Parsing the result
    /// gives the same values in the same order.
    pub fn to_yaml_string(&self) -> String {
        let mut out = String::new();
        match &self.value {
            Value::List(items) if !items.is_empty() => list(&mut out, items, 0),
            Value::Map(map) if !map.is_empty() => entries(&mut out, map, 0),
            _ => {
                flat(&mut out, self);
                out.push('\n');
            }
        }
        out
    }

    /// The tree as JSON. Plain numbers become numbers, or strings if JSON cannot represent them. Keys are sorted.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Scalar { text, quoted: true } => Json::String(text.clone()),
            Value::Scalar {
                text,
                quoted: false,
            } => number(text).unwrap_or_else(|| Json::String(text.clone())),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, entry)| (key.clone(), entry.node.to_json()))
                    .collect(),
            ),
        }
    }
}

fn number(text: &str) -> Option<serde_json::Value> {
    if let Some(value) = scalar::integer(text) {
        if let Ok(value) = u64::try_from(value) {
            return Some(value.into());
        }
        if let Ok(value) = i64::try_from(value) {
            return Some(value.into());
        }
    }
    serde_json::Number::from_f64(scalar::float(text)?).map(Into::into)
}

fn list(out: &mut String, items: &[Node], indent: usize) {
    for item in items {
        pad(out, indent);
        out.push('-');
        match &item.value {
            // The first key of a map, or the first dash of a list, is written on the line of the outer dash.
            Value::Map(map) if !map.is_empty() => {
                let start = out.len();
                entries(out, map, indent + 2);
                out.replace_range(start..start + indent + 2, " ");
            }
            Value::List(inner) if !inner.is_empty() => {
                let start = out.len();
                list(out, inner, indent + 2);
                out.replace_range(start..start + indent + 2, " ");
            }
            _ => {
                out.push(' ');
                flat(out, item);
                out.push('\n');
            }
        }
    }
}

fn entries(out: &mut String, map: &super::Map, indent: usize) {
    for (key, entry) in map {
        pad(out, indent);
        // Quotes a key that would be read as something else or cut short, and a quoted key that would not be read as a
        // string.
        if is_plain_safe(key) && (scalar::is_string(key) || !entry.quoted) {
            out.push_str(key);
        } else {
            quote(out, key);
        }
        out.push(':');
        match &entry.node.value {
            Value::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                entries(out, inner, indent + 2);
            }
            Value::List(items) if !items.is_empty() => {
                out.push('\n');
                list(out, items, indent + 2);
            }
            _ => {
                out.push(' ');
                flat(out, &entry.node);
                out.push('\n');
            }
        }
    }
}

fn flat(out: &mut String, node: &Node) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
        Value::Scalar { text, quoted } => {
            if is_plain_safe(text) && (!quoted || scalar::is_string(text)) {
                out.push_str(text);
            } else {
                quote(out, text);
            }
        }
    }
}

/// True if the text, as a value or key without quotes, is read back as the same text.
fn is_plain_safe(text: &str) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    let indicator = "-?:,[]{}#&*!|>'\"%@`=<~".contains(first);
    // A leading `-` is safe if a word or a number follows: `-10m`, `-.5`.
    let dash = first == '-'
        && text
            .chars()
            .nth(1)
            .is_some_and(|next| next.is_ascii_alphanumeric() || next == '.');
    if (indicator && !dash) || text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    !text.starts_with(' ')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        // Flow indicators are legal in block context, but quoting them allows the text to be pasted anywhere.
        && !text.contains(['[', ']', '{', '}', ','])
        && text.chars().all(|letter| letter == ' ' || (letter.is_ascii_graphic()) || is_plain_unicode(letter))
}

fn is_plain_unicode(letter: char) -> bool {
    !letter.is_ascii() && letter.is_alphanumeric()
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if letter == ' ' || letter.is_ascii_graphic() || is_plain_unicode(letter) => {
                out.push(letter)
            }
            _ if u32::from(letter) <= 0xff => {
                let _ = write!(out, "\\x{:02x}", u32::from(letter));
            }
            _ if u32::from(letter) <= 0xffff => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            _ => {
                let _ = write!(out, "\\U{:08x}", u32::from(letter));
            }
        }
    }
    out.push('"');
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}
