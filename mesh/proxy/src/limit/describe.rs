//! Builds a request's rate limit descriptors: keys and values from its headers and its query.

use shakedown_xds::table::{
    DescriptorAction, DescriptorRule, HostRules, RateLimit, RequestView, Route, query_value,
};

use super::DescriptorEntry;

/// The descriptors of a request, empty if the limit has none configured.
pub(crate) fn describe(
    limit: &RateLimit,
    route: Option<&Route>,
    request: &RequestView<'_>,
) -> Vec<Vec<DescriptorEntry>> {
    if limit.descriptors.is_empty() {
        return Vec::new();
    }
    if !limit.rules.is_empty() {
        return all(&limit.rules, None, request).collect();
    }
    // A route that does not forward has no descriptors.
    let Some(route) = route.filter(|route| route.forward().is_some()) else {
        return Vec::new();
    };
    let filters = &route.filters;
    let mut found: Vec<_> = all(&filters.descriptors, Some(limit.stage), request).collect();
    let with_hosts = filters.include_host_descriptors
        || match limit.host_rules {
            HostRules::Include => true,
            HostRules::Ignore => false,
            HostRules::Override => filters.descriptors.is_empty(),
        };
    if with_hosts {
        found.extend(all(&filters.host_descriptors, Some(limit.stage), request));
    }
    found
}

fn all<'a>(
    rules: &'a [DescriptorRule],
    stage: Option<u32>,
    request: &'a RequestView<'_>,
) -> impl Iterator<Item = Vec<DescriptorEntry>> + 'a {
    rules
        .iter()
        .filter(move |rule| stage.is_none_or(|stage| rule.stage == stage))
        .filter_map(|rule| one(rule, request))
}

/// The descriptor by one rule; `None` if one of its entries has no value.
fn one(rule: &DescriptorRule, request: &RequestView<'_>) -> Option<Vec<DescriptorEntry>> {
    let mut entries = Vec::with_capacity(rule.actions.len());
    for action in &rule.actions {
        match entry(action, request) {
            ActionOutcome::Entry(entry) => entries.push(entry),
            ActionOutcome::Skip => {}
            ActionOutcome::Nothing => return None,
        }
    }
    (!entries.is_empty()).then_some(entries)
}

enum ActionOutcome {
    Entry(DescriptorEntry),
    Skip,
    Nothing,
}

fn entry(action: &DescriptorAction, request: &RequestView<'_>) -> ActionOutcome {
    let fixed = |holds: bool, key: &str, value: &str| {
        if holds {
            ActionOutcome::Entry((key.into(), value.into()))
        } else {
            ActionOutcome::Nothing
        }
    };
    let found = |value: Option<&str>, key: &str, optional: bool| match value {
        Some(value) if !value.is_empty() => ActionOutcome::Entry((key.into(), value.into())),
        _ if optional => ActionOutcome::Skip,
        _ => ActionOutcome::Nothing,
    };
    match action {
        DescriptorAction::GenericKey { key, value } => fixed(true, key, value),
        DescriptorAction::Header {
            name,
            key,
            optional,
        } => {
            let value = name.first(request);
            let value = value.and_then(|value| std::str::from_utf8(value).ok());
            found(value, key, *optional)
        }
        DescriptorAction::Query {
            name,
            key,
            optional,
        } => found(query_value(request.path, name), key, *optional),
        DescriptorAction::HeaderMatch {
            key,
            value,
            headers,
            expect,
        } => {
            let matched = headers.iter().all(|header| header.matches(request));
            fixed(matched == *expect, key, value)
        }
        DescriptorAction::QueryMatch {
            key,
            value,
            query,
            expect,
        } => {
            let matched = query.iter().all(|query| query.matches(request.path));
            fixed(matched == *expect, key, value)
        }
    }
}
