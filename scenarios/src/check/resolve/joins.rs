//! Refuses combinations of figure, subject and conditions that the journal cannot distinguish.

use crate::check::{Condition, Figure, Gauge, ParticipantSelector, RequestMeasure, Subject, Test};

/// Returns the reason why a figure under these conditions is not available for a subject; `None` if it is. `from_load`
/// is true if the subject is an edge whose caller is a load.
pub(super) fn refused(
    figure: Figure,
    subject: &Subject,
    conditions: &[Condition],
    from_load: bool,
) -> Option<&'static str> {
    let query = FigureQuery { figure, conditions };
    if conditions.is_empty() && figure == Figure::Share {
        return Some(
            "a share without `where` is always 100%: write `count(reviews/v2) / count(reviews)`, or `share(web -> reviews where via reviews/v2)`",
        );
    }
    if !conditions.is_empty() && query.takes_no_condition() {
        return Some("this figure does not take `where`");
    }
    match subject {
        Subject::Load(participant) => query.of_load(participant),
        Subject::Service(participant) => query.of_service(participant),
        Subject::Edge { from, to, routed } => query
            .of_edge(from, to, from_load)
            .or_else(|| query.of_routed_edge(to).filter(|_| *routed)),
        Subject::Control | Subject::Fault(_) => None,
    }
}

#[derive(Clone, Copy)]
struct FigureQuery<'a> {
    figure: Figure,
    conditions: &'a [Condition],
}

impl FigureQuery<'_> {
    fn takes_no_condition(self) -> bool {
        self.is_gauge()
            || self.is_of_tries()
            || matches!(
                self.figure,
                Figure::Busy | Figure::Amplification | Figure::Events(_) | Figure::Hits
            )
    }

    fn is_gauge(self) -> bool {
        matches!(self.figure, Figure::Gauge(..))
    }

    fn is(self, gauge: Gauge) -> bool {
        matches!(self.figure, Figure::Gauge(known, _) if known == gauge)
    }

    fn is_of_tries(self) -> bool {
        matches!(
            self.figure,
            Figure::Attempts | Figure::Retries | Figure::Hedges
        )
    }

    /// Returns true if a condition restricts attempts to a part of the callee.
    fn is_of_attempts(self) -> bool {
        let is_to = |condition: &Condition| matches!(condition.test, Test::To(_));
        self.conditions.iter().any(is_to)
    }

    fn has_flag(self) -> bool {
        let is_flag = |condition: &Condition| matches!(condition.test, Test::Flag(_));
        self.conditions.iter().any(is_flag)
    }

    /// Returns true if the figure or a condition uses the measure.
    fn uses(self, measure: RequestMeasure) -> bool {
        let is_its = |condition: &Condition| matches!(condition.test, Test::Measure(of, ..) if of == measure);
        matches!(self.figure, Figure::Statistic(of, _) if of == measure)
            || self.conditions.iter().any(is_its)
    }

    fn of_load(self, participant: &ParticipantSelector) -> Option<&'static str> {
        if self.is_gauge() && participant.zone.is_some() {
            return Some("not supported yet: `in-flight` of a load in a zone");
        }
        if !self.has_flag() {
            return None;
        }
        let any = |is: fn(&Test) -> bool| self.conditions.iter().any(|known| is(&known.test));
        if any(|test| matches!(test, Test::Retried)) {
            return Some(
                "not supported yet: `flag` together with `retried`: a proxy counts its own attempts",
            );
        }
        if any(|test| matches!(test, Test::Via(_)))
            || self.uses(RequestMeasure::Uncorrected)
            || self.uses(RequestMeasure::SendLag)
        {
            return Some(
                "not supported yet: `flag` together with `via`, `uncorrected` or `send-lag`",
            );
        }
        None
    }

    fn of_service(self, participant: &ParticipantSelector) -> Option<&'static str> {
        let endpoint = participant.endpoint.is_some();
        if endpoint && self.figure == Figure::Busy {
            return Some("`busy` is a figure of replicas, not of endpoints");
        }
        if endpoint && is_of_pods(self.figure) {
            return Some("this is a figure of replicas, not of endpoints");
        }
        if self.is(Gauge::Canary) && (participant.participant.is_none() || participant.is_part()) {
            return Some("`canary` is a figure of a service: write `canary(checkout)`");
        }
        let whole_version = participant.version.is_some()
            && participant.replica.is_none()
            && participant.zone.is_none();
        if self.is(Gauge::Weight) && !whole_version {
            return Some("`weight` is a figure of a version: write `weight(checkout/v2)`");
        }
        if !self.has_flag() {
            return None;
        }
        if endpoint {
            return Some("not supported yet: `flag` of one endpoint");
        }
        if self.uses(RequestMeasure::QueueWait) || self.uses(RequestMeasure::ServiceTime) {
            return Some(
                "`flag` is recorded by the proxy, which has no data about the queue of the app",
            );
        }
        None
    }

    fn of_edge(
        self,
        from: &ParticipantSelector,
        to: &ParticipantSelector,
        from_load: bool,
    ) -> Option<&'static str> {
        let (pool, proxy) = (
            self.uses(RequestMeasure::PoolWait),
            self.uses(RequestMeasure::ProxyTime),
        );
        if (pool || proxy) && (to.is_part() || self.is_of_attempts()) {
            return Some(
                "`pool-wait` and `proxy-time` are figures of calls: omit the version, replica and zone of the callee",
            );
        }
        if pool && (proxy || self.has_flag()) {
            return Some(
                "not supported yet: `pool-wait` together with data that only the proxy records (`proxy-time`, `flag`)",
            );
        }
        let by_parts = to.is_part()
            || self.is_of_attempts()
            || self.is_gauge()
            || self.is_of_tries()
            || self.has_flag()
            || proxy;
        if to.endpoint.is_some() && by_parts {
            return Some("not supported yet: this figure of one endpoint of the callee");
        }
        if self.figure == Figure::Amplification && !from_load && to.endpoint.is_some() {
            return Some(
                "not supported yet: `amplification` of calls to one endpoint, except from a load",
            );
        }
        let of_proxies = self.is(Gauge::Ejected) || self.is(Gauge::Breaker);
        if of_proxies && from.entry.is_some() {
            return Some("a proxy does not record mix entries: omit the entry");
        }
        if self.is(Gauge::Breaker) && to.is_part() {
            return Some("a breaker applies to a service, not to a part of it");
        }
        if self.is_gauge() && !of_proxies && to.is_part() {
            return Some("not supported yet: `in-flight` of an edge to a version, replica or zone");
        }
        None
    }
}

impl FigureQuery<'_> {
    /// Refuses a single endpoint of a callee to which routes send calls for other services, because a caller only knows
    /// the endpoints of the service that it requests.
    fn of_routed_edge(self, to: &ParticipantSelector) -> Option<&'static str> {
        let by_parts = to.is_part() || self.is_of_attempts();
        if by_parts || to.endpoint.is_none() || self.figure == Figure::Amplification {
            return None;
        }
        Some(
            "not supported yet: one endpoint of a callee where VirtualServices route between services: use the figure of the callee itself",
        )
    }
}

/// Returns true if a figure describes pods, independent of their requests.
const fn is_of_pods(figure: Figure) -> bool {
    matches!(
        figure,
        Figure::Events(_)
            | Figure::Gauge(
                Gauge::Replicas | Gauge::Ready | Gauge::Canary | Gauge::Weight | Gauge::Ejected,
                _
            )
    )
}
