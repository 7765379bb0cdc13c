//! Lists the parts of the configuration that are not modelled, because readers must know that the results
//! ignore them.

use std::collections::BTreeMap;

use shakedown_results::NotModelled;

/// Returns one line for each part with an effect, including its position, and one line that counts all
/// others.
pub fn lines(parts: &[NotModelled]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for part in parts {
        match &part.effect {
            Some(effect) => {
                let field = part.field.as_ref();
                let field = field.map_or_else(String::new, |field| format!(" `{field}`"));
                lines.push(format!("{} {}{field}: {effect}", part.at, part.document));
            }
            None => *counts.entry(kind_of(part)).or_default() += 1,
        }
    }
    if !counts.is_empty() {
        let counts = counts.iter().map(|(kind, count)| format!("{count} {kind}"));
        let counts: Vec<String> = counts.collect();
        lines.push(format!("without effect on requests: {}", counts.join(", ")));
    }
    lines
}

/// Returns the kind of a part: `Deployment`, or `targetPort of Canary`.
fn kind_of(part: &NotModelled) -> String {
    let kind = part.document.split('/').next().unwrap_or_default();
    match &part.field {
        Some(field) => format!("{field} of {kind}"),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(document: &str, field: Option<&str>, effect: Option<&str>) -> NotModelled {
        NotModelled {
            document: document.into(),
            field: field.map(str::to_owned),
            at: "mesh.yaml:3".into(),
            effect: effect.map(str::to_owned),
        }
    }

    #[test]
    fn what_has_an_effect_is_named_and_the_rest_is_counted() {
        let parts = [
            part("Deployment/a", None, None),
            part(
                "AuthorizationPolicy/deny",
                None,
                Some("requests are let through"),
            ),
            part("Deployment/b", None, None),
            part("DestinationRule/a", Some("tls"), Some("no TLS")),
            part("Canary/a", Some("targetPort"), None),
        ];
        assert_eq!(
            lines(&parts),
            [
                "mesh.yaml:3 AuthorizationPolicy/deny: requests are let through",
                "mesh.yaml:3 DestinationRule/a `tls`: no TLS",
                "without effect on requests: 2 Deployment, 1 targetPort of Canary",
            ]
        );
        assert_eq!(lines(&[]), Vec::<String>::new());
    }
}
