//! Warnings about routes and conditions that no request can match.

use shakedown_istio::{HttpMatch, HttpRoute, StringMatch, VirtualService};
use shakedown_yaml::{Location, Spanned};

use super::codes::{INEFFECTIVE_MATCH, UNREACHABLE_RULE};
use super::cover::{covers, is_for_sidecars, literal_head};
use super::{Advice, beside};

/// A condition of an earlier route. `None` matches everything.
struct Earlier<'d> {
    condition: Option<&'d HttpMatch>,
    place: &'d Location,
}

impl Earlier<'_> {
    fn covers(&self, later: &HttpMatch) -> bool {
        self.condition
            .is_none_or(|condition| covers(condition, later))
    }
}

impl Advice<'_> {
    pub(super) fn routes(&mut self, spec: &VirtualService) {
        let mut before: Vec<Earlier<'_>> = Vec::new();
        for route in &spec.http {
            self.reach(route, &before);
            for condition in &route.r#match {
                self.meets_nothing(condition);
            }
            self.retries(route);
            self.mirror_shares(route);
            // Skipped because a delegate may match less than its root.
            if route.delegate.is_some() {
                continue;
            }
            if route.r#match.is_empty() {
                before.push(Earlier {
                    condition: None,
                    place: &route.place,
                });
            }
            before.extend(route.r#match.iter().map(|condition| Earlier {
                condition: Some(&condition.value),
                place: &condition.place,
            }));
        }
    }

    /// Warns of a route, or of some of its conditions, if earlier conditions match all of its requests.
    fn reach(&mut self, route: &Spanned<HttpRoute>, before: &[Earlier<'_>]) {
        let any = HttpMatch::default();
        let find = |later: &HttpMatch| before.iter().find(|earlier| earlier.covers(later));
        if route.r#match.is_empty() {
            if let Some(earlier) = find(&any) {
                let message = never(&route.place, earlier, None);
                self.unreachable(&route.place, &message);
            }
            return;
        }
        let used = route
            .r#match
            .iter()
            .filter(|condition| is_for_sidecars(condition));
        let covered: Vec<(&Spanned<HttpMatch>, Option<&Earlier<'_>>)> =
            used.map(|later| (later, find(later))).collect();
        let all = !covered.is_empty() && covered.iter().all(|(_, earlier)| earlier.is_some());
        for (later, earlier) in covered {
            let Some(earlier) = earlier else { continue };
            let message = never(&later.place, earlier, later.uri.as_deref());
            if all {
                self.unreachable(&route.place, &message);
                return;
            }
            self.warn(
                &later.place,
                format!("this condition matches no requests: {message} {INEFFECTIVE_MATCH}"),
            );
        }
    }

    /// Warns of a route that no request reaches.
    pub(super) fn unreachable(&mut self, place: &Location, because: &str) {
        let message = format!("no request reaches this route: {because} {UNREACHABLE_RULE}");
        self.warn(place, message);
    }

    /// Warns of a mirror percentage without a mirror, which Istio accepts.
    fn mirror_shares(&mut self, route: &HttpRoute) {
        if route.mirror.is_some() {
            return;
        }
        let shares = [
            (
                "mirrorPercentage",
                route.mirror_percentage.as_ref().map(|share| &share.place),
            ),
            (
                "mirrorPercent",
                route.mirror_percent.as_ref().map(|share| &share.place),
            ),
        ];
        for (field, place) in shares {
            let Some(place) = place else { continue };
            let message = format!(
                "`{field}` has no effect without `mirror`; in `mirrors`, each destination has its own `percentage`"
            );
            self.warn(place, message);
        }
    }

    /// Warns of a path or method match that no request can satisfy.
    fn meets_nothing(&mut self, condition: &HttpMatch) {
        if let Some(uri) = &condition.uri {
            let (text, head) = match &uri.value {
                StringMatch::Exact(text) | StringMatch::Prefix(text) => (text, text.as_str()),
                StringMatch::Regex(text) => (text, literal_head(text)),
                StringMatch::Present => return self.method(condition),
            };
            if !head.is_empty() && !head.starts_with('/') {
                let message = format!("`{text}` matches no requests: a path begins with `/`");
                self.warn(&uri.place, message);
            } else if matches!(uri.value, StringMatch::Exact(_) | StringMatch::Prefix(_))
                && text.contains('?')
            {
                let message = format!(
                    "`{text}` matches no requests: a path is compared without its query; write `queryParams`"
                );
                self.warn(&uri.place, message);
            }
        }
        self.method(condition);
    }

    fn method(&mut self, condition: &HttpMatch) {
        if let Some(method) = &condition.method
            && let StringMatch::Exact(text) = &method.value
            && text.bytes().any(|byte| byte.is_ascii_lowercase())
        {
            let upper = text.to_ascii_uppercase();
            let message =
                format!("`{text}` matches no requests: methods are uppercase: write `{upper}`");
            self.warn(&method.place, message);
        }
    }

    /// Warns of retries for which the route's timeout leaves no time.
    fn retries(&mut self, route: &HttpRoute) {
        let Some(timeout) = route
            .timeout
            .as_ref()
            .filter(|timeout| !timeout.0.is_zero())
        else {
            return;
        };
        let Some(retries) = route
            .retries
            .as_ref()
            .filter(|retries| retries.attempts > 0)
        else {
            return;
        };
        if let Some(each) = &retries.per_try_timeout
            && each.0 >= timeout.0
        {
            let message = format!(
                "`perTryTimeout` is {} and the route's `timeout` is {}: an attempt that times out is never retried",
                each.value, timeout.value
            );
            self.warn(&each.place, message);
        }
    }
}

/// Describes the reason why no request is left for a condition.
fn never(later: &Location, earlier: &Earlier<'_>, uri: Option<&StringMatch>) -> String {
    let at = beside(earlier.place, later);
    let Some(condition) = earlier.condition else {
        return format!("the route at {at} matches all requests; move it to the end");
    };
    let prefix = match condition.uri.as_deref() {
        Some(StringMatch::Prefix(prefix)) => prefix.as_str(),
        _ => "",
    };
    let narrow = match uri {
        Some(StringMatch::Exact(text) | StringMatch::Prefix(text)) => text.as_str(),
        _ => "",
    };
    let rest = narrow.strip_prefix(prefix).unwrap_or_default();
    if prefix.len() > 1 && !prefix.ends_with('/') && !rest.is_empty() && !rest.starts_with('/') {
        return format!(
            "the prefix `{prefix}` at {at} also matches `{narrow}` because a prefix may end within a path segment; put this before it, \
             or write `{prefix}/`"
        );
    }
    format!("the condition at {at} matches all of its requests; put this before it")
}
