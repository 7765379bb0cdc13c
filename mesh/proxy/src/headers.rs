//! Header changes that the configuration asks for, in requests and in responses.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};
use shakedown_xds::table::{
    AppendAction, HeaderOp, HeaderOps, HeaderPart, RequestView, Template, TemplatePart,
};
use smallvec::SmallVec;

use crate::request_head::RequestHead;
use crate::respond::LocalReply;

/// The inputs of a header value's template.
#[derive(Clone, Copy, Debug)]
struct TemplateInputs<'a> {
    request: Option<(RequestView<'a>, Version)>,
    response: Option<&'a HeaderMap>,
}

/// A copy of a request as it was sent on, for templates in its response's headers.
#[derive(Clone, Debug)]
pub(crate) struct SentRequest {
    method: Method,
    path: String,
    authority: String,
    scheme: &'static str,
    version: Version,
    headers: HeaderMap,
}

impl SentRequest {
    pub(crate) fn from_head(head: &RequestHead) -> Result<SentRequest, LocalReply> {
        let view = head.view()?;
        Ok(SentRequest {
            method: head.parts.method.clone(),
            path: view.path.to_owned(),
            authority: view.authority.to_owned(),
            scheme: head.scheme,
            version: head.parts.version,
            headers: head.parts.headers.clone(),
        })
    }

    fn view(&self) -> RequestView<'_> {
        RequestView {
            method: self.method.as_str(),
            path: &self.path,
            authority: &self.authority,
            scheme: self.scheme,
            headers: &self.headers,
        }
    }
}

/// Applies changes to a request's headers.
pub(crate) fn change_request(ops: &HeaderOps, head: &mut RequestHead) -> Result<(), LocalReply> {
    if ops.is_empty() {
        return Ok(());
    }
    remove(ops, &mut head.parts.headers);
    let seen = TemplateInputs {
        request: Some((head.view()?, head.parts.version)),
        response: None,
    };
    let values = evaluate(ops, &head.parts.headers, seen);
    put(values, &mut head.parts.headers);
    Ok(())
}

/// Applies changes to a response's headers. `request` is only needed if [`HeaderOps::reads_request`].
pub(crate) fn change_response(
    ops: &HeaderOps,
    headers: &mut HeaderMap,
    request: Option<&SentRequest>,
) {
    if ops.is_empty() {
        return;
    }
    remove(ops, headers);
    let seen = TemplateInputs {
        request: request.map(|request| (request.view(), request.version)),
        response: Some(headers),
    };
    let values = evaluate(ops, headers, seen);
    put(values, headers);
}

fn remove(ops: &HeaderOps, headers: &mut HeaderMap) {
    for name in &ops.remove {
        headers.remove(name);
    }
}

type TemplateValues = SmallVec<[(HeaderName, HeaderValue, bool); 4]>;

/// The headers to add, each with true if it replaces existing values.
fn evaluate(ops: &HeaderOps, present: &HeaderMap, seen: TemplateInputs<'_>) -> TemplateValues {
    let mut values = TemplateValues::new();
    for op in &ops.add {
        let overwrites = match op.action {
            AppendAction::Append => false,
            AppendAction::AddIfAbsent if present.contains_key(&op.name) => continue,
            AppendAction::AddIfAbsent => false,
            AppendAction::OverwriteIfExists if !present.contains_key(&op.name) => continue,
            AppendAction::OverwriteIfExists | AppendAction::Overwrite => true,
        };
        if let Some(value) = value(op, seen) {
            values.push((op.name.clone(), value, overwrites));
        }
    }
    values
}

/// Replaces first, then appends.
fn put(values: TemplateValues, headers: &mut HeaderMap) {
    for (name, value, _) in values.iter().filter(|(.., overwrites)| *overwrites) {
        headers.insert(name.clone(), value.clone());
    }
    for (name, value, overwrites) in values {
        if !overwrites {
            headers.append(name, value);
        }
    }
}

/// The value of a header to add; `None` if it is empty and not kept.
fn value(op: &HeaderOp, seen: TemplateInputs<'_>) -> Option<HeaderValue> {
    let value = match &op.value {
        Template::Fixed(value) => value.clone(),
        Template::Parts(parts) => {
            let mut text = Vec::new();
            for part in parts {
                write(part, seen, &mut text);
            }
            HeaderValue::from_bytes(&text).ok()?
        }
    };
    Some(value).filter(|value| op.keep_empty || !value.is_empty())
}

fn write(part: &TemplatePart, seen: TemplateInputs<'_>, text: &mut Vec<u8>) {
    match part {
        TemplatePart::Text(fixed) => text.extend_from_slice(fixed.as_bytes()),
        TemplatePart::Protocol => {
            let version = seen.request.map(|(_, version)| version);
            text.extend_from_slice(version.map_or("", protocol).as_bytes());
        }
        TemplatePart::Request(header) => {
            let Some((request, _)) = &seen.request else {
                return;
            };
            let found = header.name.first(request);
            let other = || header.other.as_ref()?.first(request);
            extend(text, found.or_else(other), header);
        }
        TemplatePart::Response(header) => {
            let Some(headers) = seen.response else { return };
            // A response has headers only, no method and no path.
            let none = RequestView {
                method: "",
                path: "",
                authority: "",
                scheme: "",
                headers,
            };
            let found = header.name.first(&none);
            let other = || header.other.as_ref()?.first(&none);
            extend(text, found.or_else(other), header);
        }
    }
}

fn extend(text: &mut Vec<u8>, found: Option<&[u8]>, header: &HeaderPart) {
    let found = found.unwrap_or_default();
    let length = header.length.unwrap_or(found.len()).min(found.len());
    text.extend_from_slice(&found[..length]);
}

/// The name of a version as Envoy writes it. Source: Envoy, `Formatter::ProtocolFormatter`.
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(name: &'static str, value: &str, action: AppendAction) -> HeaderOp {
        HeaderOp {
            name: HeaderName::from_static(name),
            value: Template::parse(value).unwrap(),
            action,
            keep_empty: false,
        }
    }

    fn ops(remove: &[&'static str], add: Vec<HeaderOp>) -> HeaderOps {
        let remove = remove.iter().map(|name| HeaderName::from_static(name));
        HeaderOps {
            remove: remove.collect(),
            add,
        }
    }

    /// The headers of a request after a change, as `name: value`.
    fn changed(ops: &HeaderOps, pairs: &[(&str, &str)]) -> Vec<String> {
        let mut request = http::Request::put("/p?q").header("host", "t");
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        let mut head = RequestHead::new(request.body(()).unwrap().into_parts().0);
        change_request(ops, &mut head).unwrap();
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let all = head
            .parts
            .headers
            .iter()
            .filter(|(name, _)| *name != "host");
        all.map(pair).collect()
    }

    /// Expected as observed with a real Envoy.
    #[test]
    fn removal_comes_first_then_what_overwrites_then_what_is_added() {
        use AppendAction::{AddIfAbsent, Append, Overwrite, OverwriteIfExists};
        let ops = ops(
            &["x-rm", "x-a"],
            vec![
                op("x-a", "r", Append),
                op("x-b", "r", Overwrite),
                op("x-c", "r", AddIfAbsent),
                op("x-d", "r", OverwriteIfExists),
                op("x-e", "r", AddIfAbsent),
            ],
        );
        let given = [
            ("x-a", "c"),
            ("x-b", "1"),
            ("x-b", "2"),
            ("x-c", "c"),
            ("x-rm", "1"),
        ];
        let mut expected = ["x-a: r", "x-b: r", "x-c: c", "x-e: r"]
            .map(String::from)
            .to_vec();
        let mut found = changed(&ops, &given);
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_value_is_made_of_the_request() {
        let text = "[%REQ(x-z)%] %REQ(none?:method):2% %PROTOCOL% %REQ(:path)%";
        let ops = ops(&[], vec![op("x-v", text, AppendAction::Append)]);
        let found = changed(&ops, &[("x-z", "zz")]);
        assert_eq!(found[1], "x-v: [zz] PU HTTP/1.1 /p?q");
    }

    #[test]
    fn an_empty_value_is_left_out_unless_it_is_kept() {
        let mut empty = op("x-v", "%REQ(none)%", AppendAction::Append);
        assert!(changed(&ops(&[], vec![empty.clone()]), &[]).is_empty());
        empty.keep_empty = true;
        assert_eq!(changed(&ops(&[], vec![empty]), &[]), ["x-v: "]);
    }

    #[test]
    fn a_response_is_changed_with_its_own_headers_and_its_requests() {
        let request = http::Request::get("/p")
            .header("host", "t")
            .body(())
            .unwrap();
        let head = RequestHead::new(request.into_parts().0);
        let snapshot = SentRequest::from_head(&head).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-up", HeaderValue::from_static("1"));
        let text = "%RESP(x-up)% %REQ(:authority)% %RESP(:path)%";
        let ops = ops(&[], vec![op("x-v", text, AppendAction::Append)]);
        change_response(&ops, &mut headers, Some(&snapshot));
        assert_eq!(headers["x-v"], "1 t ");
        let gone = HeaderOps {
            remove: vec![HeaderName::from_static("x-up")],
            add: Vec::new(),
        };
        change_response(&gone, &mut headers, Some(&snapshot));
        assert!(!headers.contains_key("x-up"));
    }
}
