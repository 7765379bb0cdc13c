//! Validation of a route, which must have exactly one action.

use shakedown_yaml::{Spanned, suggest};

use super::super::DocumentCheck;
use crate::{Destination, HttpRetry, HttpRoute, Resource, RouteDestination, VirtualService};
use crate::{parse_retry_on, retry_on_names};

/// The maximum weight, and the maximum sum of weights. Source: Envoy, `WeightedCluster`.
const MAX_WEIGHT: i64 = u32::MAX as i64;

impl DocumentCheck<'_> {
    pub(super) fn route(
        &mut self,
        route: &Spanned<HttpRoute>,
        resource: &Resource<VirtualService>,
    ) {
        for condition in &route.r#match {
            self.condition(condition);
        }
        self.one_action(route);
        self.shares(route);
        for to in &route.route {
            self.destination(&to.destination);
            self.headers(to.headers.as_ref());
        }
        if let Some(delegate) = &route.delegate {
            self.delegate(delegate, resource);
        }
        if let Some(retries) = &route.retries {
            self.retries(retries);
        }
        self.mirrors(route);
        self.headers(route.headers.as_ref());
        if let Some(rewrite) = &route.rewrite {
            self.rewrite(rewrite);
        }
        self.one_authority(route);
        if let Some(redirect) = &route.redirect {
            self.redirect(redirect);
        }
        if let Some(direct) = &route.direct_response {
            self.direct_response(direct);
        }
        if let Some(fault) = &route.fault {
            self.fault(fault);
        }
        if let Some(cors) = &route.cors_policy {
            self.cors(cors);
        }
    }

    /// Checks that a route has one action: it forwards, redirects, responds or delegates. Settings for forwarded
    /// requests are valid only with the first.
    fn one_action(&mut self, route: &Spanned<HttpRoute>) {
        let alone = [
            (
                "redirect",
                route.redirect.as_ref().map(|redirect| &redirect.place),
            ),
            (
                "directResponse",
                route
                    .direct_response
                    .as_ref()
                    .map(|response| &response.place),
            ),
            (
                "delegate",
                route.delegate.as_ref().map(|delegate| &delegate.place),
            ),
        ];
        let mut found = alone
            .into_iter()
            .filter_map(|(field, place)| Some((field, place?)));
        let Some((field, _)) = found.next() else {
            if route.route.is_empty() {
                self.report(
                    &route.place,
                    "`route` is empty: expected at least one destination",
                );
            }
            return;
        };
        let both = |other: &str| format!("`{other}` cannot be combined with `{field}`");
        for (other, place) in found {
            self.report(place, both(other));
        }
        if let Some(to) = route.route.first() {
            self.report(&to.place, both("route"));
        }
        if field == "delegate" {
            return;
        }
        // Source: Istio, `validateHTTPRoute`.
        for (other, place) in [
            (
                "rewrite",
                route.rewrite.as_ref().map(|rewrite| &rewrite.place),
            ),
            ("fault", route.fault.as_ref().map(|fault| &fault.place)),
        ] {
            if let Some(place) = place {
                self.report(place, both(other));
            }
        }
    }

    fn shares(&mut self, route: &HttpRoute) {
        let several = match route.route.as_slice() {
            [] => return,
            [only] => return self.weight(only),
            several => several,
        };
        several.iter().for_each(|to| self.weight(to));
        let sum: i64 = several
            .iter()
            .map(|to| to.weight.as_ref().map_or(0, |weight| weight.value))
            .fold(0, i64::saturating_add);
        if sum == 0 {
            let place = several
                .iter()
                .find_map(|to| to.weight.as_ref())
                .map_or(&several[0].place, |weight| &weight.place);
            self.report(
                place,
                "the weights of the destinations sum to 0: expected 1 or more, as in 90 and 10",
            );
        } else if sum > MAX_WEIGHT {
            let place = &several[0].place;
            self.report(
                place,
                format!(
                    "the weights of the destinations sum to {sum}: expected at most {MAX_WEIGHT}"
                ),
            );
        }
    }

    fn mirrors(&mut self, route: &HttpRoute) {
        let several = route.mirrors.iter().map(|mirror| &mirror.destination);
        for to in route.mirror.iter().map(|to| &to.value).chain(several) {
            self.destination(to);
        }
        if let (Some(_), Some(first)) = (&route.mirror, route.mirrors.first()) {
            let message = "both `mirror` and `mirrors` are set: write all mirrors in `mirrors`";
            self.report(&first.place, message);
        }
        let shares = [
            (
                "mirrorPercentage",
                route
                    .mirror_percentage
                    .as_ref()
                    .map(|percentage| &percentage.place),
            ),
            (
                "mirrorPercent",
                route.mirror_percent.as_ref().map(|percent| &percent.place),
            ),
        ];
        let mut shares = shares
            .into_iter()
            .filter_map(|(name, place)| Some((name, place?)));
        if let Some((name, place)) = shares.nth(1) {
            let message =
                format!("`{name}` is set together with `mirrorPercentage`: remove the older form");
            self.report(place, message);
        }
        if let Some(whole) = route
            .mirror_percent
            .as_ref()
            .filter(|percent| percent.value > 100)
        {
            self.report(
                &whole.place,
                format!("invalid percentage {}: expected 0 to 100", whole.value),
            );
        }
    }

    fn weight(&mut self, to: &RouteDestination) {
        if let Some(weight) = to
            .weight
            .as_ref()
            .filter(|weight| !(0..=MAX_WEIGHT).contains(&weight.value))
        {
            self.report(
                &weight.place,
                format!(
                    "invalid weight {}: expected 0 to {MAX_WEIGHT}",
                    weight.value
                ),
            );
        }
    }

    /// Checks the names in a destination. References to missing objects are not errors. Source: Istio,
    /// `validateDestination`.
    fn destination(&mut self, destination: &Destination) {
        if let Some(subset) = &destination.subset {
            self.subset_name(subset);
        }
        if let Some(port) = &destination.port {
            self.port_number(port);
        }
        if destination.host.value == "*" {
            let message = "invalid host `*`: expected the name of a service";
            self.report(&destination.host.place, message);
        } else {
            self.host_name(&destination.host);
        }
    }

    pub(in super::super) fn retries(&mut self, retries: &Spanned<HttpRetry>) {
        if retries.attempts == 0
            && (retries.per_try_timeout.is_some()
                || retries.retry_on.is_some()
                || retries.retry_remote_localities.is_some())
        {
            let message = "`attempts: 0` means no retries: remove `perTryTimeout`, `retryOn` and `retryRemoteLocalities`, or set `attempts` to 1 or more";
            self.report(&retries.place, message);
        }
        let Some(on) = &retries.retry_on else { return };
        // Source: Istio, `validateHTTPRetry`, which splits only at commas.
        if on
            .split(',')
            .any(|part| part.is_empty() || part.trim() != part)
            && !on.is_empty()
        {
            let message = format!(
                "invalid `retryOn` `{on}`: expected conditions separated by commas, without spaces"
            );
            self.report(&on.place, message);
        }
        let (names, codes) = parse_retry_on(on);
        for name in names
            .iter()
            .filter(|name| !retry_on_names().any(|known| known == *name))
        {
            let hint = suggest::hint(name, retry_on_names());
            self.report(&on.place, format!("unknown condition `{name}`: {hint}"));
        }
        for code in codes.iter().filter(|code| !is_registered(**code)) {
            self.report(
                &on.place,
                format!(
                    "invalid status `{code}` in `retryOn`: expected a registered status, as in `503`"
                ),
            );
        }
    }
}

/// Returns true if a status has a registered name, as Istio requires. Source: Istio, `validateHTTPRetry`; Go,
/// `http.StatusText`.
fn is_registered(code: u32) -> bool {
    let code = u16::try_from(code).ok();
    let status = code.and_then(|code| http::StatusCode::from_u16(code).ok());
    status.is_some_and(|status| status == 425 || status.canonical_reason().is_some())
}
