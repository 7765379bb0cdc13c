//! Syntax of names as Istio accepts them: hosts, namespaces, gateways, subsets, labels.
//!
//! Source: Istio, `pkg/config/labels/instance.go`, `agent.ValidateWildcardDomain`, `validateGatewayNames`.

use std::net::IpAddr;

/// The maximum length of a DNS label.
const LABEL_MAX: usize = 63;
/// The maximum length of a domain name.
const DOMAIN_MAX: usize = 255;
/// The maximum length of the DNS prefix of a label's key, without its slash.
const PREFIX_MAX: usize = 253;

/// Returns true if a text is a DNS label: a namespace, a subset, a part of a host. Like Istio, accepts capitals.
pub(super) fn is_dns_label(name: &str) -> bool {
    name.len() <= LABEL_MAX
        && starts_and_ends_alphanumeric(name)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Checks a domain name, whose first label may be `*` or begin with it.
///
/// # Errors
/// The reason why Istio rejects the name.
pub(super) fn check_domain(domain: &str) -> Result<(), String> {
    check_length(domain)?;
    let (first, rest) = match domain.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (domain, None),
    };
    if !is_wildcard_label(first) {
        return Err(not_a_label(first));
    }
    rest.map_or(Ok(()), check_labels)
}

/// Checks a domain name without wildcards.
///
/// # Errors
/// The reason why Istio rejects the name.
pub(super) fn check_fqdn(domain: &str) -> Result<(), String> {
    check_length(domain)?;
    check_labels(domain)
}

/// Returns true if two hosts of one VirtualService overlap. Source: Istio, `host.Name.Matches`.
pub(super) fn hosts_overlap(one: &str, other: &str) -> bool {
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (Some(one), Some(other)) => one.ends_with(other) || other.ends_with(one),
        (Some(suffix), None) => other.ends_with(suffix),
        (None, Some(suffix)) => one.ends_with(suffix),
        (None, None) => one == other,
    }
}

/// Returns true if a text is an IP address, which a VirtualService accepts as a host.
pub(super) fn is_ip(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

/// Returns true if a text is the key of a Kubernetes label: a name, optionally after a DNS name and a slash.
pub(super) fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let fine_prefix =
        |prefix: &str| prefix.len() <= PREFIX_MAX && prefix.split('.').all(is_dns_label);
    prefix.is_none_or(fine_prefix) && name.len() <= LABEL_MAX && is_qualified_name(name)
}

/// Returns true if a text is the value of a Kubernetes label.
pub(super) fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_qualified_name(value)
}

fn is_qualified_name(name: &str) -> bool {
    let fine =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || byte == b'.';
    starts_and_ends_alphanumeric(name) && name.bytes().all(fine)
}

fn starts_and_ends_alphanumeric(name: &str) -> bool {
    let ends = (name.bytes().next(), name.bytes().next_back());
    matches!(ends, (Some(first), Some(last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
}

/// Returns true for `*`, a label, or a label after `*` or `*-`.
fn is_wildcard_label(label: &str) -> bool {
    if label.len() > LABEL_MAX {
        return false;
    }
    match label.strip_prefix('*') {
        Some("") => true,
        Some(rest) => is_dns_label(rest.strip_prefix('-').unwrap_or(rest)),
        None => is_dns_label(label),
    }
}

fn check_length(domain: &str) -> Result<(), String> {
    if domain.is_empty() {
        return Err("it is empty".into());
    }
    if domain.len() > DOMAIN_MAX {
        return Err(format!("it is longer than {DOMAIN_MAX} characters"));
    }
    Ok(())
}

fn check_labels(domain: &str) -> Result<(), String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let last = labels[labels.len() - 1];
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("its top-level domain `{last}` is a number"));
    }
    // The last label may be empty, as in `example.com.`.
    let labels = labels.strip_suffix(&[""]).unwrap_or(&labels);
    match labels.iter().find(|label| !is_dns_label(label)) {
        Some(label) => Err(not_a_label(label)),
        None => Ok(()),
    }
}

fn not_a_label(label: &str) -> String {
    format!("`{label}` is not a DNS label")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_those_that_istio_takes() {
        for domain in [
            "a",
            "A-b.c",
            "*",
            "*.example.com",
            "*-a.b",
            "*a.b",
            "example.com.",
            "1.2.3.4.a",
        ] {
            assert_eq!(check_domain(domain), Ok(()), "{domain}");
        }
        for domain in [
            "", "a..b", "a_b", "ns/b", "-a", "a-", "a.*", "*.*", "1.2.3.4", "a b", "..",
        ] {
            assert!(check_domain(domain).is_err(), "{domain}");
        }
        assert!(check_domain(&"a".repeat(64)).is_err());
        assert!(check_domain(&"a.".repeat(128)).is_err());
        assert!(check_fqdn("*.a").is_err());
    }

    #[test]
    fn hosts_overlap_where_a_wildcard_covers_another() {
        for (one, other) in [("a", "a"), ("*.a.io", "*.io"), ("*.io", "x.io"), ("*", "a")] {
            assert!(
                hosts_overlap(one, other) && hosts_overlap(other, one),
                "{one} {other}"
            );
        }
        for (one, other) in [
            ("a", "b"),
            ("*.a.io", "*.b.io"),
            ("*.io", "io"),
            ("web", "web.default"),
        ] {
            assert!(
                !hosts_overlap(one, other) && !hosts_overlap(other, one),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn labels_are_those_of_kubernetes() {
        for key in ["version", "topology.kubernetes.io/zone", "a_b.c"] {
            assert!(is_label_key(key), "{key}");
        }
        for key in ["", "a b", "/a", "a/", "a/b/c", "-a", "é"] {
            assert!(!is_label_key(key), "{key}");
        }
        assert!(is_label_value("") && is_label_value("v1.2_b"));
        assert!(!is_label_value("v1-") && !is_label_value("a/b"));
        assert!(is_dns_label("ns1") && !is_dns_label("ns1_") && !is_dns_label(""));
    }
}
