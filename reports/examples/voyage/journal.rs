//! Made-up Journals: no mesh was harmed. What they hold is as a run would write it.

use shakedown_reports::{Header, Judgement, Summary};
use shakedown_results::{
    Answer, Cast, CheckResult, Digester, Document, Event, Fate, Mode, Outcome, Party, PartyId,
    PartyKind, PlannedFault, Pod, PodId, Record, Root, Verdict,
};

pub(crate) const MS: i64 = 1_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;

const PRODUCTPAGE: PartyId = PartyId(0);
const REVIEWS: PartyId = PartyId(1);

/// A calm voyage of a few requests: small enough to read as a snapshot.
#[allow(dead_code, reason = "the example shows the stormy one")]
pub(crate) fn calm() -> Document {
    let cast = cast(3 * SECOND, 0, vec![]);
    let mut records = started(&cast);
    for (load, every) in [(PartyId(2), 500 * MS), (PartyId(3), 125 * MS)] {
        for seq in 0..3 * SECOND / every {
            let took = 4 * MS + seq % 5 * 250_000;
            request(
                &mut records,
                &cast,
                load,
                seq,
                seq * every,
                Story {
                    took,
                    ..Story::default()
                },
            );
        }
    }
    let check = |name: &str, check: &str, observed: &str| CheckResult {
        name: name.to_owned(),
        check: check.to_owned(),
        pass: Some(true),
        over_seeds: false,
        observed: observed.to_owned(),
        expected: "exactly 100%".to_owned(),
    };
    let checks = vec![
        check(
            "success(jason) == 100%",
            "success(jason) == 100%",
            "100% (6 of 6)",
        ),
        check(
            "jason-v2",
            "share(jason where via reviews/v2) == 100%",
            "100% (6 of 6)",
        ),
    ];
    let judgement = Judgement {
        checks,
        invalid: vec![],
        verdict: Verdict::Pass,
    };
    fold(&cast, records, judgement, "base")
}

/// A voyage with a crash, a slow spell, a frozen generator's worth of waiting and a refused configuration.
#[allow(dead_code, reason = "the tests use it for what it holds only")]
pub(crate) fn stormy() -> Document {
    let faults = vec![
        fault("lost-replica", "crash reviews/v1/0", 18, Some(24)),
        fault("sick", "slow 1 of productpage, factor 20", 36, Some(43)),
    ];
    let cast = cast(60 * SECOND, 5 * SECOND, faults);
    let mut records = started(&cast);
    events_of_the_storm(&mut records);
    let mut chance = Chance(7);
    for (load, every) in [(PartyId(2), 50 * MS), (PartyId(3), 5 * MS)] {
        for seq in 0..60 * SECOND / every {
            let intended = seq * every;
            let story = storm(intended, &mut chance);
            request(&mut records, &cast, load, seq, intended, story);
        }
    }
    let checks = vec![
        check(
            "success(jason) >= 99%",
            Some(false),
            "96.5% (1,063 of 1,102)",
            "at least 99%",
        ),
        check(
            "p99(others) < 250ms during sick",
            Some(false),
            "412 ms over 1,400 samples",
            "below 250 ms",
        ),
        check(
            "share(jason where via reviews/v2) == 100%",
            Some(true),
            "100% (1,100 of 1,100)",
            "exactly 100%",
        ),
        check(
            "count(reviews) == count(jason) + count(others)",
            Some(true),
            "12,100 and 12,100",
            "equal",
        ),
        check(
            "mean(others) ~= 5ms within 1% over seeds",
            None,
            "left to a sweep",
            "5 ms within 1%",
        ),
        check(
            "p99(jason after sick) < 20ms",
            Some(true),
            "9.41 ms over 340 samples",
            "below 20 ms",
        ),
    ];
    fold(
        &cast,
        records,
        Judgement {
            checks,
            invalid: vec![],
            verdict: Verdict::Fail,
        },
        "fragile",
    )
}

fn check(words: &str, pass: Option<bool>, observed: &str, expected: &str) -> CheckResult {
    CheckResult {
        name: if words.starts_with("share") {
            "jason-v2".to_owned()
        } else {
            words.to_owned()
        },
        check: words.to_owned(),
        pass,
        over_seeds: words.ends_with("over seeds"),
        observed: observed.to_owned(),
        expected: expected.to_owned(),
    }
}

/// How one made-up request goes.
#[derive(Clone, Copy)]
struct Story {
    late: i64,
    took: i64,
    tries: u16,
    answer: Answer,
}

impl Default for Story {
    fn default() -> Story {
        Story {
            late: 0,
            took: 5 * MS,
            tries: 1,
            answer: Answer::Ok,
        }
    }
}

fn storm(intended: i64, chance: &mut Chance) -> Story {
    let at = intended / SECOND;
    let took = 3 * MS + chance.below(1_500_000) + chance.below(1_500_000) * chance.below(3);
    let tail = if chance.below(400) == 0 {
        chance.below(30) * MS
    } else {
        0
    };
    let calm = Story {
        took: took + tail,
        ..Story::default()
    };
    match at {
        18..20 if chance.below(2) == 0 => match chance.below(3) {
            0 => Story {
                took: 1_000 * MS,
                answer: Answer::Timeout,
                ..calm
            },
            1 => Story {
                took: 2 * MS,
                answer: Answer::Error,
                ..calm
            },
            _ => Story {
                took: calm.took * 2,
                tries: 2,
                ..calm
            },
        },
        20..24 if chance.below(6) == 0 => Story {
            took: calm.took * 2,
            tries: 2,
            ..calm
        },
        36..43 if chance.below(3) == 0 => Story {
            took: calm.took * 20 + chance.below(200) * MS,
            ..calm
        },
        50 => {
            // A frozen second: what should have been sent waits for its end.
            let late = 51 * SECOND - intended;
            match late > 980 * MS {
                true => Story {
                    answer: Answer::Dropped,
                    ..calm
                },
                false => Story { late, ..calm },
            }
        }
        _ => calm,
    }
}

fn events_of_the_storm(records: &mut Vec<Record>) {
    let mut add = |at_ms: i64, event| {
        records.push(Record {
            at_ns: at_ms * MS,
            event,
        })
    };
    add(
        18_000,
        Event::FaultStarted {
            fault: 0,
            pods: vec![PodId(2)],
        },
    );
    add(18_000, Event::Crashed { pod: PodId(2) });
    add(24_000, Event::FaultEnded { fault: 0, hits: 1 });
    add(25_000, Event::Ready { pod: PodId(2) });
    add(
        25_100,
        Event::ConfigInForce {
            pod: PodId(2),
            version: 1,
        },
    );
    add(30_000, Event::ConfigChanged { version: 2 });
    for pod in 0..4 {
        add(
            30_050 + i64::from(pod) * 7,
            Event::ConfigInForce {
                pod: PodId(pod),
                version: 2,
            },
        );
    }
    let (resource, reason) = (
        "Cluster outbound|8080||reviews".to_owned(),
        "no endpoints".to_owned(),
    );
    add(
        30_090,
        Event::ConfigRefused {
            pod: PodId(4),
            resource,
            reason,
        },
    );
    add(
        36_000,
        Event::FaultStarted {
            fault: 1,
            pods: vec![PodId(0)],
        },
    );
    add(
        43_000,
        Event::FaultEnded {
            fault: 1,
            hits: 1_412,
        },
    );
}

fn fault(name: &str, what: &str, from_s: i64, to_s: Option<i64>) -> PlannedFault {
    PlannedFault {
        name: name.to_owned(),
        what: what.to_owned(),
        start_ns: from_s * SECOND,
        end_ns: to_s.map(|s| s * SECOND),
        may_miss: false,
    }
}

/// Two services and two loads; pods 0 and 1 are productpage's, 2 and 3 reviews v1, 4 reviews v2, 5 and 6 the loads'.
pub(crate) fn cast(duration_ns: i64, warm_up_ns: i64, faults: Vec<PlannedFault>) -> Cast {
    let party = |name: &str, kind, versions: &[&str], workers| Party {
        name: name.to_owned(),
        kind,
        versions: versions.iter().map(|v| (*v).to_owned()).collect(),
        endpoints: vec!["GET /".to_owned()],
        workers,
        cores: None,
    };
    let pod = |party, version, replica| Pod {
        party,
        version,
        replica,
        zone: 0,
        meshed: true,
    };
    Cast {
        parties: vec![
            party("productpage", PartyKind::Service, &["v1"], Some(4)),
            party("reviews", PartyKind::Service, &["v1", "v2"], Some(1)),
            party("jason", PartyKind::Load, &[], None),
            party("others", PartyKind::Load, &[], None),
            party("control", PartyKind::Control, &[], None),
        ],
        pods: vec![
            pod(PRODUCTPAGE, 0, 0),
            pod(PRODUCTPAGE, 0, 1),
            pod(REVIEWS, 0, 0),
            pod(REVIEWS, 0, 1),
            pod(REVIEWS, 1, 0),
            pod(PartyId(2), 0, 0),
            pod(PartyId(3), 0, 0),
        ],
        zones: vec!["a".to_owned()],
        faults,
        warm_up_ns,
        duration_ns,
    }
}

/// The mesh comes up.
pub(crate) fn started(cast: &Cast) -> Vec<Record> {
    let mut records = vec![Record {
        at_ns: -200 * MS,
        event: Event::ConfigChanged { version: 1 },
    }];
    for pod in 0..u32::try_from(cast.pods.len()).expect("a handful") {
        let at_ns = i64::from(pod) * MS - 100 * MS;
        records.push(Record {
            at_ns,
            event: Event::ConfigInForce {
                pod: PodId(pod),
                version: 1,
            },
        });
        records.push(Record {
            at_ns: at_ns + 50 * MS,
            event: Event::Ready { pod: PodId(pod) },
        });
    }
    records
}

/// One request of a load through productpage to reviews, with all the records that it leaves.
fn request(
    records: &mut Vec<Record>,
    cast: &Cast,
    load: PartyId,
    seq: i64,
    intended_ns: i64,
    story: Story,
) {
    let root = Root {
        load,
        entry: 0,
        seq: seq.unsigned_abs(),
    };
    let client = PodId(u32::from(load.0) + 3);
    let outcome = outcome(story.answer);
    let end_ns = intended_ns + story.late + story.took;
    if story.answer == Answer::Dropped {
        let event = Event::Finished {
            root,
            pod: client,
            intended_ns,
            sent_ns: None,
            outcome,
            tries: 0,
        };
        records.push(Record {
            at_ns: intended_ns,
            event,
        });
        return;
    }
    let sent_ns = intended_ns + story.late;
    let page = PodId(u32::try_from(seq % 2).expect("0 or 1"));
    let reviews = PodId(if load.0 == 2 { 4 } else { 2 + page.0 });
    let reached = !matches!(story.answer, Answer::Timeout);
    records.push(Record {
        at_ns: sent_ns,
        event: Event::Sent { root },
    });
    hop(
        records,
        cast,
        root,
        (client, page),
        (sent_ns, end_ns),
        1,
        outcome,
    );
    if reached {
        let (from, to) = (sent_ns + story.took / 4, end_ns - story.took / 8);
        hop(
            records,
            cast,
            root,
            (page, reviews),
            (from, to),
            story.tries,
            outcome,
        );
    }
    let event = Event::Finished {
        root,
        pod: client,
        intended_ns,
        sent_ns: Some(sent_ns),
        outcome,
        tries: 1,
    };
    records.push(Record {
        at_ns: end_ns,
        event,
    });
}

/// A call from pod to pod with its attempts, the last of them served.
fn hop(
    records: &mut Vec<Record>,
    cast: &Cast,
    root: Root,
    (from, to): (PodId, PodId),
    (start_ns, end_ns): (i64, i64),
    tries: u16,
    outcome: Outcome,
) {
    let root = Some(root);
    let to_party = cast.party_of(to);
    for number in 1..=tries {
        let attempt = Event::Attempt {
            root,
            from,
            to: Some(to),
            to_party,
            start_ns,
            outcome,
            flags: 0,
            number,
            hedge: false,
            plaintext: false,
        };
        records.push(Record {
            at_ns: end_ns,
            event: attempt,
        });
    }
    let wait = (end_ns - start_ns) / 10;
    let served = Event::Served {
        root,
        pod: to,
        endpoint: 0,
        from: Some(from),
        arrived_ns: start_ns,
        queue_wait_ns: wait,
        outcome,
        fate: Fate::Done,
    };
    let ended = Event::CallEnded {
        root,
        from,
        to: to_party,
        endpoint: 0,
        start_ns,
        outcome,
        tries: 1,
    };
    records.push(Record {
        at_ns: end_ns,
        event: served,
    });
    records.push(Record {
        at_ns: end_ns,
        event: ended,
    });
}

pub(crate) fn outcome(answer: Answer) -> Outcome {
    let status = match answer {
        Answer::Ok => 200,
        Answer::Error => 503,
        Answer::Timeout | Answer::Dropped | Answer::Cancelled => 0,
    };
    Outcome { status, answer }
}

/// Sorts the records by time, as a Journal has them, and folds them.
pub(crate) fn fold(
    cast: &Cast,
    mut records: Vec<Record>,
    judgement: Judgement,
    variant: &str,
) -> Document {
    records.sort_by_key(|record| record.at_ns);
    let mut digester = Digester::new("0.1.0", "scenario: header-routing", 1, cast);
    let mut summary = Summary::new(cast);
    for record in &records {
        digester.record(record);
        summary.record(cast, record);
    }
    let edited = if variant == "base" {
        ""
    } else {
        " --variant fragile --set load.others.rate=200/s"
    };
    let header = Header {
        scenario: "header-routing".to_owned(),
        story: "Jason sees reviews v2, everyone else v1. Not one request may stray, in either direction.".to_owned(),
        variant: variant.to_owned(),
        set: if edited.is_empty() { vec![] } else { vec!["load.others.rate=200/s".to_owned()] },
        mode: Mode::Simulated,
        seed: 1,
        engine: "native".to_owned(),
        version: "0.1.0+journal.1".to_owned(),
        digest: digester.finish(),
        replay: format!("shakedown run header-routing --seed 1{edited}"),
        simulated_ns: cast.duration_ns + SECOND,
    };
    summary.finish(header, judgement)
}

/// A little linear congruential generator: the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % n.unsigned_abs()).expect("below an i64")
    }
}

/// A canary of reviews v2 that is rolled back, or promoted when `good`; with client retries and a queue on the way.
#[allow(dead_code, reason = "the tests use it for what it holds only")]
pub(crate) fn rollout(good: bool) -> Document {
    let faults = vec![fault("rollout", "deploy reviews/v2", 60, None)];
    let cast = cast(600 * SECOND, 30 * SECOND, faults);
    let mut records = started(&cast);
    let mut chance = Chance(11);
    let bad_until = if good { 0 } else { 180 };
    for seq in 0..600 * 40 {
        let intended = seq * 25 * MS + chance.below(20) * MS;
        let at = intended / SECOND;
        let sick = (90..bad_until).contains(&at) && chance.below(12) == 0;
        let story = Story {
            took: 4 * MS + chance.below(3_000_000) * (1 + chance.below(4)),
            answer: if sick { Answer::Error } else { Answer::Ok },
            tries: if sick { 3 } else { 1 },
            ..Story::default()
        };
        request(&mut records, &cast, PartyId(3), seq, intended, story);
        if (90..200).contains(&at) {
            queue(&mut records, intended, 40 * MS + chance.below(400) * MS);
        }
    }
    events_of_the_rollout(&mut records, good);
    let checks = vec![
        check(
            "success(others) >= 99.5%",
            Some(good),
            if good { "100%" } else { "98.1%" },
            "at least 99.5%",
        ),
        check(
            "canary(reviews) == rolled-back",
            Some(!good),
            if good { "promoted" } else { "rolled-back" },
            "rolled-back",
        ),
    ];
    let judgement = Judgement {
        checks,
        invalid: vec![],
        verdict: if good { Verdict::Pass } else { Verdict::Fail },
    };
    let mut document = fold(&cast, records, judgement, "base");
    document.variant = if good { "good" } else { "base" }.to_owned();
    document
}

/// An attempt that waits at the first replica of reviews.
fn queue(records: &mut Vec<Record>, at_ns: i64, wait_ns: i64) {
    let (pod, root, from) = (PodId(2), None, None);
    let arrived = Event::Arrived {
        root,
        pod,
        endpoint: 0,
        from,
        queued: true,
    };
    let served = Event::Served {
        root,
        pod,
        endpoint: 0,
        from,
        arrived_ns: at_ns,
        queue_wait_ns: wait_ns,
        outcome: outcome(Answer::Ok),
        fate: Fate::Done,
    };
    let dequeued = Event::Dequeued { pod };
    let (left, done) = (at_ns + wait_ns, at_ns + wait_ns + MS);
    for (at_ns, event) in [(at_ns, arrived), (left, dequeued), (done, served)] {
        records.push(Record { at_ns, event });
    }
}

fn events_of_the_rollout(records: &mut Vec<Record>, good: bool) {
    let mut add = |at_s: i64, event| {
        let at_ns = at_s * SECOND;
        records.push(Record { at_ns, event });
    };
    let canary = |phase: &str, percent: u32, reason: &str| Event::Canary {
        service: REVIEWS,
        phase: phase.to_owned(),
        weight_ppm: percent * 10_000,
        version: Some(1),
        reason: reason.to_owned(),
    };
    let weight = |version, percent: u32| Event::Weight {
        service: REVIEWS,
        version,
        ppm: percent * 10_000,
    };
    let scaled = |version, replicas| Event::Scaled {
        service: REVIEWS,
        version,
        replicas,
    };
    add(-1, canary("initialized", 0, "reviews is there"));
    add(-1, weight(0, 100));
    add(-1, weight(1, 0));
    add(
        60,
        Event::FaultStarted {
            fault: 0,
            pods: vec![],
        },
    );
    add(60, scaled(1, 1));
    add(75, canary("progressing", 0, "new version v2"));
    let steps = if good { 5 } else { 3 };
    for step in 1..=steps {
        let at = 75 + i64::from(step) * 15;
        let words = "success rate 100% over 1m (2,391 requests), at least 99% wanted";
        add(at, canary("progressing", step * 10, words));
        add(
            at,
            Event::ConfigChanged {
                version: u64::from(step) + 1,
            },
        );
        add(at, weight(0, 100 - step * 10));
        add(at, weight(1, step * 10));
    }
    if good {
        add(165, canary("promoting", 50, "the last step held"));
        add(180, weight(1, 100));
        add(180, weight(0, 0));
        add(195, canary("finalising", 0, "v1 is scaled to 0"));
        add(195, scaled(0, 0));
        add(205, Event::Stopped { pod: PodId(2) });
        add(207, Event::Stopped { pod: PodId(3) });
        add(210, canary("succeeded", 0, "v2 has all the traffic"));
    } else {
        let words =
            "success rate 94.82% over 1m (1,121 requests) is below 99%: 2 of 2 failed checks";
        add(150, canary("failed", 0, words));
        add(150, weight(0, 100));
        add(150, weight(1, 0));
        add(151, scaled(1, 0));
        add(155, Event::Stopped { pod: PodId(4) });
    }
    add(600, Event::FaultEnded { fault: 0, hits: 1 });
}
