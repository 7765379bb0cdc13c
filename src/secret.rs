//! Masks secrets in user input when a command is printed or stored: in text, JSON, HTML and journals.
//!
//! The decision is based on names alone and errs towards masking: a value is replaced if the name of its header or
//! parameter suggests authority, keys, tokens, cookies or passwords.

/// The replacement of a secret value.
pub const MASK: &str = "***";

/// Substrings of a name that make its value a secret.
const PARTS: [&str; 15] = [
    "authoriz",
    "authentic",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "api-key",
    "apikey",
    "access-key",
    "credential",
    "signature",
    "session",
    "bearer",
    "jwt",
];

/// Returns true if the value of a header, query parameter or key of this name is a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    PARTS.iter().any(|part| name.contains(part))
        || name.ends_with("-key")
        || name.ends_with("-auth")
        || name == "auth"
        || name == "sig"
        || name == "key"
}

/// Masks the secrets in a command-line argument: the value of a header (`authorization: ***`), of an edit
/// (`load.users.headers.cookie=***`), or of a URL's query (`?token=***`).
pub fn masked(argument: &str) -> String {
    if let Some(at) = argument.find("://") {
        return masked_url(argument, at);
    }
    if let Some((name, _)) = argument.split_once(':')
        && is_secret(last_word(name))
        && !name.contains(['{', '('])
    {
        return format!("{name}: {MASK}");
    }
    match argument.split_once('=') {
        Some((path, value)) if path.split('.').any(is_secret) || holds_secret(value) => {
            format!("{path}={MASK}")
        }
        _ => argument.to_owned(),
    }
}

/// Masks the secret query parameters of a URL, or of text that ends in a URL, as `users=http://...`. `scheme` is the
/// index of `://`.
fn masked_url(url: &str, scheme: usize) -> String {
    let after = &url[scheme + 3..];
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let mut out = url[..scheme + 3].to_owned();
    // URLs with user and password are refused only later, so they are masked here.
    match after[..end].rsplit_once('@') {
        Some((_user, host)) => {
            out.push_str(MASK);
            out.push('@');
            out.push_str(host);
        }
        None => out.push_str(&after[..end]),
    }
    out.push_str(&masked_path(&after[end..]));
    out
}

/// Masks the secret query parameters of a path.
pub fn masked_path(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else {
        return path.to_owned();
    };
    let parameters = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
            _ => parameter.to_owned(),
        });
    let parameters: Vec<String> = parameters.collect();
    format!("{path}?{}", parameters.join("&"))
}

/// Returns true if one-line YAML assigns a value to a secret key.
fn holds_secret(value: &str) -> bool {
    let mut parts = value.split(':').peekable();
    std::iter::from_fn(|| {
        let part = parts.next()?;
        // The text before a colon is a key, or ends with a key.
        parts.peek().map(|_| part)
    })
    .any(|part| is_secret(last_word(part)))
}

fn last_word(text: &str) -> &str {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '=' | '{' | ',' | '\'' | '"');
    let text = text.trim_end_matches(is_end);
    text.rsplit(is_end).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_headers_edits_and_parameters_are_masked() {
        for (typed, shown) in [
            ("authorization: Bearer abc", "authorization: ***"),
            ("Proxy-Authorization:Basic abc", "Proxy-Authorization: ***"),
            ("-HCookie: a=b", "-HCookie: ***"),
            ("-kHx-api-key: 1", "-kHx-api-key: ***"),
            ("--header=X-Auth-Token: 1", "--header=X-Auth-Token: ***"),
            (
                "load.u.headers.authorization=x",
                "load.u.headers.authorization=***",
            ),
            ("load.u.headers={a: b, cookie: c}", "load.u.headers=***"),
            ("--set=load.u.headers={'x-api-key': c}", "--set=***"),
            ("http://a:1/b?c=d&api_key=e", "http://a:1/b?c=d&api_key=***"),
            (
                "users=http://me:pw@a/?token=1",
                "users=http://***@a/?token=***",
            ),
        ] {
            assert_eq!(masked(typed), shown);
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_was_typed() {
        for typed in [
            "content-type: text/plain",
            "http://a:1/b?c=d",
            "load.users.rate=5/s",
            "load.u.headers={x-cart: '1'}",
            "p99 < 250ms",
            "1m 500/s",
            "x-cart: 1",
        ] {
            assert_eq!(masked(typed), typed);
        }
    }
}
