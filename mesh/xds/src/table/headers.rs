//! What is done to headers on their way: Envoy's `*_headers_to_add` and `*_headers_to_remove`.

use http::header::{HeaderName, HeaderValue};

use super::matching::HeaderKey;

/// Changes to the headers of a message. Removals come first, then those that overwrite, then those that add; all values
/// are made from the headers as they were before the removals' successors. Source: Envoy, `HeaderParser::evaluateHeaders`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOps {
    /// What goes.
    pub remove: Vec<HeaderName>,
    /// What comes.
    pub add: Vec<HeaderOp>,
}

/// A header to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderOp {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: Template,
    /// What becomes of one that is there.
    pub action: AppendAction,
    /// Whether an empty value is added, too; otherwise it is left out.
    pub keep_empty: bool,
}

/// What becomes of a header that is there already. Source: Envoy, `HeaderAppendAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendAction {
    /// The new one is added beside it.
    Append,
    /// It stays, and the new one is not added.
    AddIfAbsent,
    /// The new one takes its place, if there is one or not.
    Overwrite,
    /// The new one takes its place; without one nothing is added.
    OverwriteIfExists,
}

/// A value, perhaps with parts that the request or the response fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// The same for each message.
    Fixed(HeaderValue),
    /// These parts, one after another.
    Parts(Vec<Part>),
}

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Text(Box<str>),
    /// A header of the request: `%REQ(name?other):length%`.
    Request(HeaderPart),
    /// A header of the response: `%RESP(name?other):length%`.
    Response(HeaderPart),
    /// The caller's protocol: `%PROTOCOL%`.
    Protocol,
}

/// The first value of a header; nothing where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPart {
    /// Which.
    pub name: HeaderKey,
    /// Which instead, where that is not there.
    pub other: Option<HeaderKey>,
    /// At most so many bytes of it.
    pub length: Option<usize>,
}

/// The operators that [`Template::parse`] knows, for messages.
const OPERATORS: &str =
    "expected `%REQ(name)%`, `%RESP(name)%`, `%PROTOCOL%`, or `%%` for a percent sign";

impl HeaderOps {
    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }

    /// Whether some value is made of the request.
    pub fn reads_request(&self) -> bool {
        self.add.iter().any(|op| match &op.value {
            Template::Fixed(_) => false,
            Template::Parts(parts) => parts
                .iter()
                .any(|part| matches!(part, Part::Request(_) | Part::Protocol)),
        })
    }
}

impl Template {
    /// Reads a value with Envoy's command operators.
    ///
    /// # Errors
    /// What is wrong with it, and what would be accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
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
                .ok_or_else(|| format!("`{text}` has a `%` without its end: {OPERATORS}"))?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(part(operator)?);
            rest = after;
        }
        plain.push_str(rest);
        let no_value = || format!("`{}` is no value of a header", text.escape_debug());
        if parts.is_empty() {
            let value = HeaderValue::try_from(plain).map_err(|_| no_value())?;
            return Ok(Template::Fixed(value));
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        let fine = |part: &Part| match part {
            Part::Text(text) => HeaderValue::from_str(text).is_ok(),
            _ => true,
        };
        if parts.iter().all(fine) {
            Ok(Template::Parts(parts))
        } else {
            Err(no_value())
        }
    }
}

/// An operator and what follows its closing `%`; one inside parentheses does not close it.
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

fn part(operator: &str) -> Result<Part, String> {
    let unknown = || format!("not supported yet: `%{operator}%`; {OPERATORS}");
    if operator == "PROTOCOL" {
        return Ok(Part::Protocol);
    }
    let (word, arguments) = operator.split_once('(').ok_or_else(unknown)?;
    let (names, length) = arguments.split_once(')').ok_or_else(unknown)?;
    let length = match length.strip_prefix(':') {
        Some(number) => Some(number.parse().map_err(|_| unknown())?),
        None if length.is_empty() => None,
        None => return Err(unknown()),
    };
    let key = |name: &str| {
        HeaderKey::named(name).ok_or_else(|| format!("`{name}` is no name of a header"))
    };
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
        "REQ" => Ok(Part::Request(header)),
        "RESP" => Ok(Part::Response(header)),
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
            Part::Text("a".into()),
            Part::Request(header("x-a", Some(":path"), Some(2))),
            Part::Text("b".into()),
            Part::Response(header("x-b", None, None)),
            Part::Protocol,
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_is_no_operator_is_refused_with_those_that_are() {
        assert_eq!(
            error("100%"),
            format!("`100%` has a `%` without its end: {OPERATORS}")
        );
        assert_eq!(
            error("%HOSTNAME%"),
            format!("not supported yet: `%HOSTNAME%`; {OPERATORS}")
        );
        assert!(error("%REQ(a):x%").starts_with("not supported yet: `%REQ(a):x%`"));
        assert_eq!(error("%REQ(a b)%"), "`a b` is no name of a header");
        assert_eq!(error("a\n"), "`a\\n` is no value of a header");
    }
}
