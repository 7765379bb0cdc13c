//! Changes to message headers: Envoy's `*_headers_to_add` and `*_headers_to_remove`.

use http::header::{HeaderName, HeaderValue};

use super::matching::HeaderKey;

/// Changes to the headers of a message.
///
/// Headers are removed first, then overwritten, then appended. All values are computed from the headers as they are
/// after the removals. Source: Envoy, `HeaderParser::evaluateHeaders`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOps {
    pub remove: Vec<HeaderName>,
    pub add: Vec<HeaderOp>,
}

/// A header to append or overwrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderOp {
    pub name: HeaderName,
    pub value: Template,
    /// The behaviour if the header is already present.
    pub action: AppendAction,
    /// True if the header is added even if its value is empty.
    pub keep_empty: bool,
}

/// The treatment of a header that is already present. Source: Envoy, `HeaderAppendAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendAction {
    /// Appends the new value next to the existing ones.
    Append,
    /// Keeps the existing header, and adds the new one only if it is absent.
    AddIfAbsent,
    /// Replaces the existing header, or adds the new one.
    Overwrite,
    /// Replaces the existing header. Does nothing if it is absent.
    OverwriteIfExists,
}

/// A header value, fixed or with parts taken from the request or response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// A value that is the same for each message.
    Fixed(HeaderValue),
    /// The concatenation of these parts.
    Parts(Vec<TemplatePart>),
}

/// A part of a header value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Literal text.
    Text(Box<str>),
    /// A header of the request: `%REQ(name?other):length%`.
    Request(HeaderPart),
    /// A header of the response: `%RESP(name?other):length%`.
    Response(HeaderPart),
    /// The protocol of the downstream connection: `%PROTOCOL%`.
    Protocol,
}

/// The first value of a header. Empty if the header is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPart {
    pub name: HeaderKey,
    /// The fallback if `name` is absent.
    pub other: Option<HeaderKey>,
    /// The maximum length in bytes.
    pub length: Option<usize>,
}

/// The operators that [`Template::parse`] accepts, for error messages.
const OPERATORS: &str =
    "expected `%REQ(name)%`, `%RESP(name)%`, `%PROTOCOL%`, or `%%` for a percent sign";

impl HeaderOps {
    /// Returns true if nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }

    /// Returns true if a value depends on the request.
    pub fn reads_request(&self) -> bool {
        self.add.iter().any(|op| match &op.value {
            Template::Fixed(_) => false,
            Template::Parts(parts) => parts
                .iter()
                .any(|part| matches!(part, TemplatePart::Request(_) | TemplatePart::Protocol)),
        })
    }
}

impl Template {
    /// Parses a value with Envoy's command operators.
    ///
    /// # Errors
    /// A message that names the problem and the accepted operators.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<TemplatePart> = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            plain.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                plain.push('%');
                rest = after;
                continue;
            }
            let (operator, after) = split_operator(after)
                .ok_or_else(|| format!("`{text}` has an unterminated `%`: {OPERATORS}"))?;
            if !plain.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(part(operator)?);
            rest = after;
        }
        plain.push_str(rest);
        let no_value = || format!("invalid header value `{}`", text.escape_debug());
        if parts.is_empty() {
            let value = HeaderValue::try_from(plain).map_err(|_| no_value())?;
            return Ok(Template::Fixed(value));
        }
        if !plain.is_empty() {
            parts.push(TemplatePart::Text(plain.into()));
        }
        let fine = |part: &TemplatePart| match part {
            TemplatePart::Text(text) => HeaderValue::from_str(text).is_ok(),
            _ => true,
        };
        if parts.iter().all(fine) {
            Ok(Template::Parts(parts))
        } else {
            Err(no_value())
        }
    }
}

/// Splits off an operator at its closing `%`. A `%` inside parentheses does not close it.
fn split_operator(text: &str) -> Option<(&str, &str)> {
    let from = match text.find('(') {
        Some(open) if text.find('%').is_none_or(|end| open < end) => {
            open + text[open..].find(')')?
        }
        _ => 0,
    };
    let end = from + text[from..].find('%')?;
    Some((&text[..end], &text[end + 1..]))
}

fn part(operator: &str) -> Result<TemplatePart, String> {
    let unknown = || format!("not supported yet: `%{operator}%`; {OPERATORS}");
    if operator == "PROTOCOL" {
        return Ok(TemplatePart::Protocol);
    }
    let (word, arguments) = operator.split_once('(').ok_or_else(unknown)?;
    let (names, length) = arguments.split_once(')').ok_or_else(unknown)?;
    let length = match length.strip_prefix(':') {
        Some(number) => Some(number.parse().map_err(|_| unknown())?),
        None if length.is_empty() => None,
        None => return Err(unknown()),
    };
    let key =
        |name: &str| HeaderKey::named(name).ok_or_else(|| format!("invalid header name `{name}`"));
    let (name, other) = match names.split_once('?') {
        Some((name, other)) => (key(name)?, Some(key(other)?)),
        None => (key(names)?, None),
    };
    let header = HeaderPart {
        name,
        other,
        length,
    };
    match word {
        "REQ" => Ok(TemplatePart::Request(header)),
        "RESP" => Ok(TemplatePart::Response(header)),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Template::parse(text).unwrap_err()
    }

    #[test]
    fn a_value_without_operators_is_fixed_and_two_percent_signs_are_one() {
        let fixed = |text| Template::Fixed(HeaderValue::from_static(text));
        assert_eq!(Template::parse("v2"), Ok(fixed("v2")));
        assert_eq!(Template::parse("100%%"), Ok(fixed("100%")));
        assert_eq!(Template::parse(""), Ok(fixed("")));
    }

    #[test]
    fn operators_stand_between_texts() {
        let Ok(Template::Parts(parts)) =
            Template::parse("a%REQ(X-A?:path):2%b%RESP(x-b)%%PROTOCOL%")
        else {
            panic!("no parts")
        };
        let header = |name: &str, other: Option<&str>, length| HeaderPart {
            name: HeaderKey::named(name).unwrap(),
            other: other.and_then(HeaderKey::named),
            length,
        };
        let expected = [
            TemplatePart::Text("a".into()),
            TemplatePart::Request(header("x-a", Some(":path"), Some(2))),
            TemplatePart::Text("b".into()),
            TemplatePart::Response(header("x-b", None, None)),
            TemplatePart::Protocol,
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_is_no_operator_is_refused_with_those_that_are() {
        assert_eq!(
            error("100%"),
            format!("`100%` has an unterminated `%`: {OPERATORS}")
        );
        assert_eq!(
            error("%HOSTNAME%"),
            format!("not supported yet: `%HOSTNAME%`; {OPERATORS}")
        );
        assert!(error("%REQ(a):x%").starts_with("not supported yet: `%REQ(a):x%`"));
        assert_eq!(error("%REQ(a b)%"), "invalid header name `a b`");
        assert_eq!(error("a\n"), "invalid header value `a\\n`");
    }
}
