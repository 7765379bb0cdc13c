//! SPIFFE identities of workloads, in Istio's form.

use std::fmt;
use std::str::FromStr;

/// The identity of a workload: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    trust_domain: Box<str>,
    namespace: Box<str>,
    account: Box<str>,
}

/// The error of a text that is not a SPIFFE identity in Istio's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSpiffeId;

impl fmt::Display for InvalidSpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected spiffe://<trust domain>/ns/<namespace>/sa/<service account>")
    }
}

impl std::error::Error for InvalidSpiffeId {}

impl SpiffeId {
    /// The identity of a service account.
    ///
    /// # Errors
    /// A part is empty, or contains a character that SPIFFE does not allow in it.
    pub fn new(
        trust_domain: &str,
        namespace: &str,
        account: &str,
    ) -> Result<SpiffeId, InvalidSpiffeId> {
        let domain = trust_domain.bytes().all(is_domain_byte);
        let segments = [namespace, account].iter().all(|part| is_segment(part));
        if trust_domain.is_empty() || !domain || !segments {
            return Err(InvalidSpiffeId);
        }
        Ok(SpiffeId {
            trust_domain: trust_domain.into(),
            namespace: namespace.into(),
            account: account.into(),
        })
    }

    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn account(&self) -> &str {
        &self.account
    }
}

/// Source: SPIFFE-ID, 2.1.
fn is_domain_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
}

/// Source: SPIFFE-ID, 2.2.
fn is_segment(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(part, "" | "." | "..") && part.bytes().all(allowed)
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpiffeId {
            trust_domain,
            namespace,
            account,
        } = self;
        write!(f, "spiffe://{trust_domain}/ns/{namespace}/sa/{account}")
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidSpiffeId;

    fn from_str(text: &str) -> Result<SpiffeId, InvalidSpiffeId> {
        let rest = text.strip_prefix("spiffe://").ok_or(InvalidSpiffeId)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [domain, "ns", namespace, "sa", account] = parts[..] else {
            return Err(InvalidSpiffeId);
        };
        SpiffeId::new(domain, namespace, account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_written_and_read_in_the_form_of_istio() {
        let text = "spiffe://cluster.local/ns/shop/sa/reviews";
        let id: SpiffeId = text.parse().unwrap();
        assert_eq!(
            (id.trust_domain(), id.namespace()),
            ("cluster.local", "shop")
        );
        assert_eq!((id.account(), id.to_string()), ("reviews", text.to_owned()));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "spiffe://cluster.local",
            "spiffe:///ns/shop/sa/reviews",
            "spiffe://cluster.local/ns/shop/sa/",
            "spiffe://cluster.local/ns/../sa/reviews",
            "spiffe://cluster.local/ns/shop/sa/reviews/",
            "spiffe://cluster.local/ns/shop/sa/a%2fb",
            "spiffe://Cluster.local/ns/shop/sa/reviews",
            "https://cluster.local/ns/shop/sa/reviews",
            "spiffe://cluster.local:80/ns/shop/sa/reviews",
        ] {
            assert_eq!(text.parse::<SpiffeId>(), Err(InvalidSpiffeId), "{text}");
        }
    }
}
