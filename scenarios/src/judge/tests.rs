//! Tests of the judge with hand-written events.

mod edges;
mod figures;
mod laws;
mod outage;
mod queue;
mod rollout;
mod slices;
mod sweeps;
mod windows;
mod words;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use shakedown_results::{
    Answer, CheckResult, Event, Fate, Outcome, ParticipantId, PodId, Record, Root,
};
use shakedown_types::ResponseFlags;

use super::{Judge, RunJudgement};
use crate::scenario::ResolvedScenario;
use crate::{Edits, list_participants, load_text, plan};

pub(super) const S: i64 = 1_000_000_000;
pub(super) const MS: i64 = 1_000_000;

/// web (pod 0) calls api (v1: pods 1 and 2, v2: pod 3). users is participant 2 (pod 4).
pub(super) fn small_scenario(checks: &[&str]) -> ResolvedScenario {
    let checks: Vec<String> = checks
        .iter()
        .map(|check| format!("  - {check}\n"))
        .collect();
    let text = format!(
        "scenario: small
story: s
duration: 1m
warm-up: 10s
topology:
  zones: {{a: {{}}, b: {{}}}}
  services:
    web: {{zones: [a], workers: 4, endpoints: {{GET /: [call: api GET /, work: 1ms], GET /x: [work: 1ms]}}}}
    api: {{workers: 2, versions: {{v1: 2, v2: 1}}, endpoints: {{GET /: [work: 1ms]}}}}
load: {{users: {{rate: 10/s, mix: {{home: {{to: web GET /}}, other: {{to: web GET /x}}}}}}}}
chaos: [{{name: sick, at: 20s, for: 10s, do: pause, target: api, may-miss: true}}]
expect:
{}",
        checks.concat()
    );
    load_text("f.yaml", &text, &Edits::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// A run of that scenario. Events are added in any order and sorted by time.
pub(super) struct Run {
    scenario: ResolvedScenario,
    pub(super) records: Vec<Record>,
    seq: u64,
}

pub(super) const OK: Outcome = Outcome::new(200, Answer::Ok);
pub(super) const ERROR: Outcome = Outcome::new(503, Answer::Error);
pub(super) const TIMEOUT: Outcome = Outcome::none(Answer::Timeout);
pub(super) const DROPPED: Outcome = Outcome::none(Answer::Dropped);

impl Run {
    pub(super) fn new(checks: &[&str]) -> Run {
        Run {
            scenario: small_scenario(checks),
            records: Vec::new(),
            seq: 0,
        }
    }

    pub(super) fn at(&mut self, at_ns: i64, event: Event) {
        self.records.push(Record { at_ns, event });
    }

    /// Adds a request of users, entry 0, and returns its root.
    pub(super) fn request(&mut self, from_ns: i64, to_ns: i64, outcome: Outcome) -> Root {
        self.entry(0, from_ns, to_ns, outcome)
    }

    pub(super) fn entry(&mut self, entry: u16, from_ns: i64, to_ns: i64, outcome: Outcome) -> Root {
        let root = Root {
            load: ParticipantId(2),
            entry,
            seq: self.seq,
        };
        self.seq += 1;
        let sent_ns = (outcome != DROPPED).then_some(from_ns);
        if sent_ns.is_some() {
            self.at(from_ns, Event::Sent { root });
        }
        self.at(
            to_ns,
            Event::Finished {
                root,
                pod: PodId(4),
                intended_ns: from_ns,
                sent_ns,
                outcome,
                tries: 1,
            },
        );
        root
    }

    /// Adds an attempt that reaches a pod of a service, waits and is served.
    pub(super) fn served(
        &mut self,
        root: Option<Root>,
        pod: u32,
        from_ns: i64,
        wait_ns: i64,
        to_ns: i64,
        outcome: Outcome,
    ) {
        let (pod, from) = (PodId(pod), Some(PodId(0)));
        let queued = wait_ns > 0;
        self.at(
            from_ns,
            Event::Arrived {
                root,
                pod,
                endpoint: 0,
                from,
                queued,
                copy: false,
            },
        );
        if queued {
            self.at(from_ns + wait_ns, Event::Dequeued { pod, endpoint: 0 });
        }
        self.at(
            to_ns,
            Event::Served {
                root,
                pod,
                endpoint: 0,
                from,
                arrived_ns: from_ns,
                queue_wait_ns: wait_ns,
                outcome,
                fate: Fate::Done,
                copy: false,
            },
        );
    }

    pub(super) fn judge(mut self) -> RunJudgement {
        let planned = plan(&self.scenario, |_| ChaCha8Rng::seed_from_u64(1));
        let participants = list_participants(&self.scenario, &planned);
        let mut judge = Judge::new(&self.scenario, &participants);
        self.records.sort_by_key(|record| record.at_ns);
        for record in &self.records {
            judge.record(record);
        }
        judge.conclude()
    }

    pub(super) fn checks(self) -> Vec<CheckResult> {
        self.judge().checks
    }

    /// The results of the checks.
    pub(super) fn verdicts(self) -> Vec<Option<bool>> {
        self.checks().into_iter().map(|check| check.pass).collect()
    }

    /// The observed values, in words.
    pub(super) fn observed(self) -> Vec<String> {
        self.checks()
            .into_iter()
            .map(|check| check.observed)
            .collect()
    }
}

#[test]
fn requests_count_in_their_start_window_and_responses_in_their_end_window() {
    let mut run = Run::new(&[
        "count(users during 10s..20s) == 2",
        "count(users during 20s..30s) == 0",
        "rate(users during 10s..20s) == 0.1/s",
        "rate(users during 20s..30s) == 0.1/s",
        "offered(users during 10s..20s) == 0.2/s",
    ]);
    run.request(11 * S, 12 * S, OK);
    run.request(19 * S, 21 * S, OK);
    assert_eq!(run.verdicts(), [Some(true); 5]);
}

#[test]
fn the_warm_up_is_excluded_unless_an_earlier_time_is_named() {
    let mut run = Run::new(&[
        "success(users) == 100%",
        "success(users during 0s..1m) == 50%",
        "count(users within 10s) == 1",
    ]);
    run.request(5 * S, 6 * S, ERROR);
    run.request(15 * S, 16 * S, OK);
    let verdicts = run.verdicts();
    assert_eq!(verdicts[..2], [Some(true), Some(true)]);
    assert_eq!(
        verdicts[2],
        Some(true),
        "a window in parentheses is a window, not a temporal word"
    );
}

#[test]
fn a_window_that_ends_with_the_load_takes_in_the_drain() {
    let mut run = Run::new(&[
        "count(api) == 2",
        "count(api during 50s..59s) == 0",
        "rate(api during 50s..end) == 0/s",
    ]);
    run.served(None, 1, 59 * S + 500 * MS, 0, 61 * S, OK);
    run.served(None, 1, 63 * S, 0, 64 * S, OK);
    assert_eq!(run.verdicts(), [Some(true); 3]);
}

#[test]
fn a_load_counts_dropped_requests_as_errors_without_a_latency() {
    let mut run = Run::new(&[
        "success(users) == 50%",
        "errors(users) == 50%",
        "max(users) == 1s",
        "count(users where dropped) == 1",
        "count(users where timeout) == 1",
        "count(users where not ok) == 2",
        "count(users where latency > 900ms) == 1",
        "mean(users where ok) == 550ms",
    ]);
    run.request(11 * S, 11 * S + 100 * MS, OK);
    run.request(12 * S, 13 * S, OK);
    run.request(13 * S, 13 * S + 900 * MS, TIMEOUT);
    run.request(14 * S, 14 * S, DROPPED);
    assert_eq!(run.verdicts(), [Some(true); 8]);
}

#[test]
fn no_data_is_not_a_pass() {
    let run = Run::new(&[
        "p99(users) < 1s",
        "success(users) == 100%",
        "count(users) == 0",
        "rate(users) == 0/s",
        "always success(users) == 100% per 10s",
        "eventually success(users) == 100% per 10s",
    ]);
    assert_eq!(
        run.verdicts(),
        [None, None, Some(true), Some(true), None, None]
    );
}

#[test]
fn a_mix_is_judged_by_entry() {
    let mut run = Run::new(&[
        "count(users.home) == 1",
        "success(users.other) == 0%",
        "count(users) == 2",
    ]);
    run.entry(0, 11 * S, 12 * S, OK);
    run.entry(1, 12 * S, 13 * S, ERROR);
    assert_eq!(run.verdicts(), [Some(true); 3]);
}

#[test]
fn a_service_is_judged_by_version_replica_endpoint_zone_and_sender() {
    let mut run = Run::new(&[
        "count(api) == 3",
        "count(api/v1) == 2",
        "count(api/v1/1) == 1",
        "count(api/v2) == 1",
        "count(api GET /) == 3",
        "count(api in zone b) == 1",
        "count(api where from zone a) == 3",
        "count(api where from web) == 3",
        "count(api where not from web) == 0",
        "share(api where status == 503) == 1 / 3 * 100%",
        "count(api where status == 5xx and queue-wait > 0s) == 1",
        "queue-wait.max(api) == 50ms",
        "service-time.max(api) == 100ms",
        "busy(api during 11s..12s) == 3 * 100ms / 1s / 6 * 100%",
    ]);
    run.served(None, 1, 11 * S, 0, 11 * S + 100 * MS, OK);
    run.served(None, 2, 11 * S, 0, 11 * S + 100 * MS, OK);
    run.served(None, 3, 11 * S, 50 * MS, 11 * S + 150 * MS, ERROR);
    let checks = run.checks();
    for check in &checks {
        assert_eq!(check.pass, Some(true), "{check:?}");
    }
}

#[test]
fn a_request_is_via_whatever_its_descendants_reach_even_after_it_ended() {
    let mut run = Run::new(&[
        "share(users where via api/v2) == 50%",
        "share(users where via api/v1) == 25%",
        "count(users where not via api) == 1",
        "count(users where via api/v2 and not via api/v1) == 2",
        "p100(users where via api/v2) == 2s",
        "count(users where via web) == 0",
    ]);
    let early = run.request(11 * S, 12 * S, OK);
    run.served(Some(early), 3, 11 * S + MS, 0, 11 * S + 2 * MS, OK);
    let late = run.request(12 * S, 14 * S, TIMEOUT);
    run.served(Some(late), 3, 15 * S, 0, 16 * S, OK);
    let first = run.request(13 * S, 14 * S, OK);
    run.served(Some(first), 1, 13 * S + MS, 0, 13 * S + 2 * MS, OK);
    run.request(14 * S, 15 * S, OK);
    let checks = run.checks();
    for check in &checks {
        assert_eq!(check.pass, Some(true), "{check:?}");
    }
}

#[test]
fn an_edge_is_judged_by_calls_and_a_version_edge_by_attempts() {
    let mut run = Run::new(&[
        "count(web -> api) == 1",
        "success(web -> api) == 100%",
        "mean(web -> api) == 1s",
        "attempts(web -> api) == 2",
        "retries(web -> api) == 1",
        "amplification(web -> api) == 2",
        "success(web -> api/v1) == 50%",
        "count(web -> api/v1/1 where retried) == 1",
        "count(web -> api where flag == UF) == 1",
        "share(web -> api where flag == UO) == 0%",
        "count(* -> api) == 1",
        "in-flight.max(web -> api) == 1",
    ]);
    let (from, to) = (PodId(0), ParticipantId(1));
    run.at(
        11 * S,
        Event::CallStarted {
            root: None,
            from,
            to,
        },
    );
    run.at(
        12 * S,
        Event::CallEnded {
            root: None,
            from,
            to,
            endpoint: 0,
            start_ns: 11 * S,
            outcome: OK,
            tries: 1,
            hedges: 0,
            asked: None,
            pool_wait_ns: 0,
        },
    );
    for (number, pod, outcome) in [(1, 1, ERROR), (2, 2, OK)] {
        let to = Some(PodId(pod));
        run.at(
            11 * S + i64::from(number) * MS,
            Event::Attempt {
                root: None,
                from,
                to,
                to_participant: ParticipantId(1),
                start_ns: 11 * S,
                outcome,
                flags: ResponseFlags::empty(),
                number,
                hedge: false,
                plaintext: true,
            },
        );
    }
    let flags = ResponseFlags::UF;
    run.at(
        12 * S,
        Event::Proxied {
            root: None,
            from,
            to: Some(to),
            start_ns: 11 * S,
            outcome: OK,
            flags,
            tries: 2,
            proxy_ns: 0,
        },
    );
    let checks = run.checks();
    for check in &checks {
        assert_eq!(check.pass, Some(true), "{check:?}");
    }
}

#[test]
fn amplification_of_a_load_counts_what_descends_from_it() {
    let mut run = Run::new(&["amplification(users -> api) == 1.5"]);
    for arrivals in [1, 2] {
        let root = run.request(11 * S, 12 * S, OK);
        for _ in 0..arrivals {
            run.served(Some(root), 1, 11 * S + MS, 0, 11 * S + 2 * MS, OK);
        }
    }
    run.served(None, 1, 12 * S, 0, 13 * S, OK);
    assert_eq!(run.verdicts(), [Some(true)]);
}

#[test]
fn client_and_server_agree_to_the_nanosecond_where_nothing_lies_between() {
    let mut run = Run::new(&[
        "mean(users) - mean(web) == 0s",
        "mean(users) == 333333333ns",
        "mean(users) > 333333333ns",
    ]);
    for (at, length) in [(11, S / 3), (12, S / 3), (13, S / 3 + 1)] {
        let root = run.request(at * S, at * S + length, OK);
        run.served(Some(root), 0, at * S, 0, at * S + length, OK);
    }
    assert_eq!(run.verdicts(), [Some(true), Some(false), Some(true)]);
}
