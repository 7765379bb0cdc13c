//! The text form: the steps of a request in order, each with the deciding line of YAML to its right.

use std::fmt::Write as _;

use shakedown_analysis::explain::{
    ClusterPolicies, DecisionView, EndpointView, Explanation, InboundView, PassedOverRoute,
    TargetView,
};
use shakedown_translate::{CONNECT_TIMEOUT, PASSTHROUGH};

use super::words::{
    connection_words, cors_words, endpoint_words, fault_words, hedge_words, limit_words,
    locality_words, outlier_words, percent, protocol_words, rate_words, rejected, retries,
    slow_start_words, thousandths, time,
};

/// The maximum number of endpoints listed. Further ones are only counted.
const LISTED: usize = 8;
/// The column of the source locations. A longer line pushes its location further right.
const PLACES: usize = 72;

/// Renders the whole explanation.
pub(super) fn render(explanation: &Explanation) -> String {
    let mut walk = Walk {
        explanation,
        cluster: None,
        rows: Vec::new(),
    };
    walk.add_rows();
    walk.write()
}

struct Walk<'a> {
    explanation: &'a Explanation,
    /// The cluster described by the rows being added.
    cluster: Option<&'a str>,
    rows: Vec<TextRow>,
}

struct TextRow {
    what: String,
    value: String,
    place: String,
}

impl<'a> Walk<'a> {
    fn add_rows(&mut self) {
        let explanation = self.explanation;
        self.row("listener", &explanation.listener, None);
        self.some(
            "virtual host",
            explanation.virtual_host.as_deref(),
            "virtual_host",
        );
        self.some("route", explanation.route.as_deref(), "route");
        self.passed_over(&explanation.passed_over);
        let policies = &explanation.policies;
        if let Some(fault) = &policies.fault {
            self.decided("fault", &fault_words(fault), "fault");
        }
        if let Some(cors) = &policies.cors {
            self.decided("cors", &cors_words(cors), "cors");
            for line in &cors.response_headers {
                self.row("  response header", line, None);
            }
        }
        if let Some(redirect) = &explanation.redirect {
            let words = format!("{} to {}", redirect.status, redirect.location);
            self.decided("redirect", &words, "redirect");
        }
        if let Some(answer) = &explanation.direct_response {
            let words = format!("{} {:?}", answer.status, answer.body);
            self.decided("direct response", &words, "direct_response");
        }
        self.some("host", explanation.host.as_deref(), "host");
        self.some("path", explanation.path.as_deref(), "path");
        self.cluster = explanation.cluster.as_deref();
        for line in &policies.request_headers {
            self.decided("request header", line, "headers");
        }
        for line in &policies.response_headers {
            self.decided("response header", line, "headers");
        }
        self.clusters();
        self.cluster = None;
        if explanation.path.is_some() {
            let timeout = explanation.timeout_ms.map_or_else(|| "none".into(), time);
            self.decided("timeout", &timeout, "timeout");
            let retries = explanation
                .retries
                .as_ref()
                .map_or_else(|| "none".into(), retries);
            self.decided("retries", &retries, "retries");
        }
        for mirror in &policies.mirrors {
            let mut words = format!(
                "{} of requests to {}",
                percent(mirror.share_ppm),
                mirror.clusters.join(", ")
            );
            if let Some(rejection) = &mirror.rejected_by {
                words.push_str(&format!(", but none is delivered: {}", rejection.because));
            }
            self.decided("mirror", &words, "mirrors");
        }
    }

    fn passed_over(&mut self, passed: &[PassedOverRoute]) {
        // The routes next to the matched one matter most, so the earliest are left out.
        let left_out = passed.len().saturating_sub(LISTED);
        if left_out > 0 {
            self.row("  passed over", &format!("{left_out} more"), None);
        }
        for (index, passed) in passed[left_out..].iter().enumerate() {
            let what = if index == 0 && left_out == 0 {
                "  passed over"
            } else {
                ""
            };
            self.rows.push(TextRow {
                what: what.to_owned(),
                value: passed.because.clone(),
                place: format!("{}:{}", passed.file, passed.line),
            });
        }
    }

    fn clusters(&mut self) {
        let explanation = self.explanation;
        if let Some(cluster) = &explanation.cluster {
            self.decided("cluster", cluster, "cluster");
            if cluster == PASSTHROUGH {
                let words = "no service has this host: forwarded to its original destination";
                return self.row("  endpoints", words, None);
            }
            self.upstream(
                explanation.policies.cluster.as_ref(),
                explanation.endpoints.as_deref(),
            );
            self.inbound(&explanation.inbound);
            return;
        }
        let Some(targets) = &explanation.weighted_clusters else {
            return;
        };
        if let Some(header) = &explanation.split_by {
            self.row(
                "split by",
                &format!("the number in the header {header}, or else at random"),
                None,
            );
        }
        let total: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
        for target in targets {
            self.target(target, total);
        }
    }

    fn target(&mut self, target: &'a TargetView, total: u64) {
        self.cluster = Some(&target.cluster);
        let millionths = u64::from(target.weight) * 1_000_000 / total.max(1);
        let share = percent(u32::try_from(millionths).unwrap_or(u32::MAX));
        self.decided("cluster", &format!("{share} {}", target.cluster), "cluster");
        if self.explanation.host.is_none() {
            self.row("  host", &target.host, None);
        }
        for line in &target.request_headers {
            self.decided("  request header", line, "headers");
        }
        for line in &target.response_headers {
            self.decided("  response header", line, "headers");
        }
        self.upstream(target.policies.as_ref(), target.endpoints.as_deref());
        self.inbound(&target.inbound);
        if let Some(rejection) = &target.rejected_by {
            self.row("  rejected", &rejected(rejection), None);
        }
    }

    fn upstream(&mut self, policies: Option<&ClusterPolicies>, endpoints: Option<&[EndpointView]>) {
        let Some(policies) = policies else { return };
        match endpoints {
            Some(endpoints) => self.endpoints(endpoints),
            None => self.decided("  endpoints", "unknown", "subset"),
        }
        let hash = policies.hash_by.join(", ");
        let by = if hash.is_empty() {
            hash
        } else {
            format!(" by {hash}")
        };
        self.decided(
            "  balancer",
            &format!("{}{by}", policies.balancer),
            "balancer",
        );
        if let Some(slow) = &policies.slow_start {
            self.decided("  slow start", &slow_start_words(slow), "balancer");
        }
        if let Some(locality) = policies.locality {
            let by = match self.explanation.decision("balancer", self.cluster) {
                Some(_) => "balancer",
                // Failover needs no setting of its own: Istio turns it on with outlier detection.
                None => "outlier_detection",
            };
            self.decided("  locality", locality_words(locality), by);
        }
        if policies.min_health_percent > 0 {
            let words = format!(
                "below {}% healthy, all endpoints are used",
                policies.min_health_percent
            );
            self.decided("  panic threshold", &words, "outlier_detection");
        }
        self.decided("  protocol", &protocol_words(policies), "connection_pool");
        let connect = time(policies.connect_timeout_ms);
        // Istio's default is not written in any file.
        if u128::from(policies.connect_timeout_ms) == CONNECT_TIMEOUT.as_millis() {
            self.row("  connect timeout", &connect, None);
        } else {
            self.decided("  connect timeout", &connect, "connection_pool");
        }
        if let Some(words) = connection_words(policies) {
            self.decided("  connections", &words, "connection_pool");
        }
        if let Some(limits) = &policies.limits {
            self.decided("  limits", &limit_words(limits), "connection_pool");
        }
        if let Some(budget) = &policies.retry_budget {
            let words = format!(
                "{} of active and pending requests, at least {}",
                percent(budget.share_ppm),
                budget.min_concurrency
            );
            self.decided("  retry budget", &words, "retry_budget");
        }
        if let Some(outlier) = &policies.outlier_detection {
            self.decided(
                "  outlier detection",
                &outlier_words(outlier),
                "outlier_detection",
            );
        }
        if let Some(hedge) = &policies.hedge {
            self.decided("  hedge", &hedge_words(hedge), "hedge");
        }
        if let Some(throttle) = &policies.adaptive_throttle {
            let words = format!(
                "at most {} requests sent per accepted request, over {}",
                thousandths(throttle.k_milli),
                time(throttle.window_ms)
            );
            self.decided("  adaptive throttle", &words, "adaptive_throttle");
        }
    }

    /// Adds the settings that the endpoints' own proxies apply.
    fn inbound(&mut self, inbound: &[InboundView]) {
        for view in inbound {
            self.row(
                "  inbound proxy",
                &format!("of {}", view.workloads.join(", ")),
                None,
            );
            if let Some(limit) = &view.rate_limit {
                self.decided("    rate limit", &rate_words(limit), "rate_limit");
            }
            if let Some(adaptive) = &view.adaptive_concurrency {
                let words = format!(
                    "between {} and {} concurrent requests, recalculated every {}; excess requests get {}",
                    adaptive.min,
                    adaptive.max,
                    time(adaptive.interval_ms),
                    adaptive.status
                );
                self.decided("    adaptive concurrency", &words, "adaptive_concurrency");
            }
            if let Some(shed) = &view.shed {
                let words = format!(
                    "{} concurrent requests; {} queued for at most {}, or {} while the queue is congested",
                    shed.concurrency,
                    shed.queue,
                    time(shed.interval_ms),
                    time(shed.target_ms)
                );
                self.decided("    shed", &words, "shed");
            }
            if let Some(limits) = &view.limits {
                self.decided("    limits", &limit_words(limits), "connection_pool");
            }
        }
    }

    fn endpoints(&mut self, endpoints: &[EndpointView]) {
        if endpoints.is_empty() {
            self.decided("  endpoints", "none", "subset");
        }
        for (index, endpoint) in endpoints.iter().take(LISTED).enumerate() {
            let words = endpoint_words(endpoint);
            match index {
                0 => self.decided("  endpoints", &words, "subset"),
                _ => self.row("", &words, None),
            }
        }
        if endpoints.len() > LISTED {
            self.row("", &format!("and {} more", endpoints.len() - LISTED), None);
        }
    }

    /// Adds a row with the line of YAML that decided it, if any.
    fn decided(&mut self, what: &str, value: &str, by: &str) {
        let decision = self.explanation.decision(by, self.cluster);
        self.row(what, value, decision);
    }

    fn some(&mut self, what: &str, value: Option<&str>, by: &str) {
        if let Some(value) = value {
            self.decided(what, value, by);
        }
    }

    fn row(&mut self, what: &str, value: &str, decision: Option<&DecisionView>) {
        self.rows.push(TextRow {
            what: what.to_owned(),
            value: value.to_owned(),
            place: decision.map_or_else(String::new, |decision| {
                format!("{}:{}", decision.file, decision.line)
            }),
        });
    }

    fn write(&self) -> String {
        let width = self
            .rows
            .iter()
            .map(|row| row.what.len())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        // Writing to a string cannot fail.
        for row in &self.rows {
            let line = format!("{:width$}  {}", row.what, row.value);
            let _ = match row.place.as_str() {
                "" => writeln!(text, "{}", line.trim_end()),
                place => writeln!(text, "{line:PLACES$}  {place}"),
            };
        }
        let _ = match &self.explanation.rejected_by {
            Some(rejection) => writeln!(text, "\nRejected: {}", rejected(rejection)),
            None if self.explanation.path.is_some() => writeln!(text, "\nForwarded."),
            None => writeln!(text, "\nAnswered by the proxy, as configured."),
        };
        for note in &self.explanation.notes {
            let _ = match (&note.file, note.line) {
                (Some(file), Some(line)) => writeln!(text, "Note: {file}:{line}: {}", note.text),
                _ => writeln!(text, "Note: {}", note.text),
            };
        }
        text
    }
}
