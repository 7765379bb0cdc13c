//! Series: queues, latencies, attempts and weights over time.

use shakedown_types::{CanaryPhase, ResponseFlags};

use super::*;

fn at(at_ns: i64, event: Event) -> Record {
    Record { at_ns, event }
}

fn arrived(at_ns: i64, queued: bool) -> Record {
    let event = Event::Arrived {
        root: None,
        pod: API_POD,
        endpoint: 0,
        from: None,
        queued,
        copy: false,
    };
    at(at_ns, event)
}

fn dequeued(at_ns: i64) -> Record {
    at(
        at_ns,
        Event::Dequeued {
            pod: API_POD,
            endpoint: 0,
        },
    )
}

#[test]
fn a_queue_is_as_long_as_its_longest_moment_in_each_bin() {
    let series = document(&[
        arrived(0, true),
        arrived(MS, true),
        dequeued(2 * MS),
        arrived(120 * MS, true),
        dequeued(121 * MS),
        dequeued(122 * MS),
        finished(0, Some(0), 199 * MS, Answer::Ok),
    ])
    .series;
    assert_eq!(series.bin_ns, 50 * MS);
    assert_eq!(series.queued.len(), 1);
    assert_eq!(series.queued[0].name, "api");
    // A request waits throughout the second bin.
    assert_eq!(series.queued[0].bins, [2, 1, 2, 0]);
}

#[test]
fn what_dies_in_a_queue_leaves_it() {
    let series = document(&[
        arrived(0, true),
        served(0, 10 * MS, 10 * MS, Fate::Crashed),
        finished(0, Some(0), 60 * MS, Answer::Ok),
    ])
    .series;
    assert_eq!(series.queued[0].bins, [1, 0]);
}

#[test]
fn where_cores_are_the_limit_requests_in_hand_are_told() {
    let mut participants = participants();
    (participants.list[0].workers, participants.list[0].cores) = (None, Some(1));
    let records = [
        arrived(0, false),
        arrived(MS, false),
        served(0, 0, 2 * MS, Fate::Done),
        served(MS, 0, 70 * MS, Fate::Done),
    ];
    let series = fold(&participants, &records).series;
    assert!(series.queued.is_empty());
    assert_eq!(series.in_hand[0].bins, [2, 1]);
    assert!(document(&records).series.in_hand.is_empty(), "workers are");
}

#[test]
fn a_heatmap_counts_every_latency_once_and_leaves_out_what_was_dropped() {
    let latencies = [1, 5, 5, 80, 3_000];
    let mut records: Vec<Record> = latencies
        .iter()
        .map(|ms| finished(0, Some(0), ms * MS, Answer::Ok))
        .collect();
    records.push(finished(3_000 * MS, None, 3_000 * MS, Answer::Dropped));
    let heat = &document(&records).series.heat[0];
    let counted: u64 = heat.bins.iter().flat_map(|bin| bin.iter().skip(1)).sum();
    assert_eq!(counted, 5);
    let first = shakedown_results::series::bucket(MS) as u64;
    assert_eq!(heat.bins[0][..2], [first, 1]);
    assert_eq!(heat.bins.len(), 61);
}

#[test]
fn a_run_that_outgrows_its_bins_joins_them_and_loses_nothing() {
    let records: Vec<Record> = (0..2_000)
        .map(|i| finished(0, Some(0), i * 50 * MS, Answer::Ok))
        .collect();
    let series = document(&records).series;
    assert!(series.heat[0].bins.len() <= shakedown_results::series::BINS_MAX);
    assert_eq!(series.bin_ns, 400 * MS);
    let bins = &series.heat[0].bins;
    let counted: u64 = bins.iter().flat_map(|bin| bin.iter().skip(1)).sum();
    assert_eq!(counted, 2_000);
    assert_eq!(bins[3].iter().skip(1).sum::<u64>(), 8, "eight to a bin");
}

fn call(to: ParticipantId, tries: u16) -> Event {
    Event::CallEnded {
        root: Some(Root {
            load: USERS,
            entry: 0,
            seq: 0,
        }),
        from: CLIENT,
        to,
        endpoint: 0,
        start_ns: 3 * SECOND,
        outcome: outcome(Answer::Ok),
        tries,
        hedges: 0,
        asked: None,
        pool_wait_ns: 0,
    }
}

fn attempt(number: u16) -> Event {
    Event::Attempt {
        root: None,
        from: CLIENT,
        to: Some(API_POD),
        to_participant: API,
        start_ns: 3 * SECOND,
        outcome: outcome(Answer::Ok),
        flags: ResponseFlags::empty(),
        number,
        hedge: false,
        plaintext: false,
    }
}

#[test]
fn retries_of_the_mesh_and_of_a_client_are_counted_once_each() {
    let mut end = finished(3 * SECOND, Some(3 * SECOND), 4 * SECOND, Answer::Ok);
    if let Event::Finished { tries, .. } = &mut end.event {
        *tries = 2;
    }
    let document = document(&[
        // Two attempts of the client, each of them a call. The sidecar retries the second one once.
        at(3_100 * MS, attempt(1)),
        at(3_100 * MS, call(API, 1)),
        at(3_200 * MS, attempt(1)),
        at(3_300 * MS, attempt(2)),
        at(3_300 * MS, call(API, 1)),
        end,
    ]);
    assert_eq!(document.series.retries[0].name, "users -> api");
    assert_eq!(document.series.retries[0].bins.iter().sum::<u64>(), 2);
    let edge = &document.edges[0];
    assert_eq!((edge.requests, edge.retried, edge.attempts), (2, 1, 3));
}

#[test]
fn hedges_are_not_retries_and_are_counted_once_each() {
    let mut by_app = call(API, 4);
    if let Event::CallEnded { hedges, .. } = &mut by_app {
        *hedges = 2;
    }
    let mut by_mesh = attempt(2);
    if let Event::Attempt { hedge, .. } = &mut by_mesh {
        *hedge = true;
    }
    let document = document(&[at(3_100 * MS, by_mesh), at(3_300 * MS, by_app)]);
    let sum = |rows: &[shakedown_results::series::Counts]| rows[0].bins.iter().sum::<u64>();
    assert_eq!(sum(&document.series.hedges), 3);
    assert_eq!(sum(&document.series.retries), 1);
}

#[test]
fn admitted_is_what_the_first_app_took_up() {
    let of_users = |mut record: Record| {
        if let Event::Served { root, from, .. } = &mut record.event {
            (*root, *from) = (
                Some(Root {
                    load: USERS,
                    entry: 0,
                    seq: 0,
                }),
                Some(CLIENT),
            );
        }
        record
    };
    let document = document(&[
        of_users(served(SECOND, 1_500 * MS, 2_600 * MS, Fate::Done)),
        of_users(served(SECOND, 0, 2_600 * MS, Fate::Refused)),
        of_users(served(SECOND, 0, 2_600 * MS, Fate::Shed)),
        // Sent by another app, deeper in the mesh.
        served(SECOND, 0, 2_600 * MS, Fate::Done),
    ]);
    let rows = document.loads[0].seconds.iter();
    let admitted: Vec<_> = rows.map(|row| (row.from_s, row.admitted)).collect();
    assert_eq!(admitted, [(2, 1)], "when it was taken up");
}

#[test]
fn weights_that_never_move_are_left_out_and_canaries_keep_their_reasons() {
    let weight = |ppm| Event::Weight {
        service: API,
        version: 0,
        ppm,
    };
    assert!(
        document(&[at(-MS, weight(1_000_000))])
            .series
            .weights
            .is_empty()
    );
    let canary = Event::Canary {
        service: API,
        phase: CanaryPhase::Failed,
        weight_ppm: 100_000,
        version: Some(0),
        reason: "94% is below 99%".to_owned(),
    };
    let document = document(&[
        at(-MS, weight(1_000_000)),
        at(SECOND, weight(900_000)),
        at(2 * SECOND, canary),
    ]);
    let weights = &document.series.weights[0];
    assert_eq!((&*weights.service, &*weights.version), ("api", "v1"));
    assert_eq!(weights.steps, [(-MS, 1_000_000), (SECOND, 900_000)]);
    let row = &document.events[2];
    assert_eq!((&*row.kind, &*row.subject), ("canary", "api/v1"));
    assert_eq!(row.detail, "failed at 10%: 94% is below 99%");
    assert_eq!(document.series.canaries[0].steps[0].version, "v1");
}

#[test]
fn ready_pods_are_told_only_where_they_change_after_the_start() {
    let start = at(-MS, Event::Ready { pod: API_POD });
    let client = at(-MS, Event::Ready { pod: CLIENT });
    assert!(
        document(&[start.clone(), client.clone()])
            .series
            .ready
            .is_empty()
    );
    let series = document(&[
        start,
        client,
        at(60 * MS, Event::Crashed { pod: API_POD }),
        at(120 * MS, Event::Ready { pod: API_POD }),
        finished(0, Some(0), 199 * MS, Answer::Ok),
    ])
    .series;
    assert_eq!(series.ready.len(), 1);
    assert_eq!(series.ready[0].name, "api/v1");
    assert_eq!(series.ready[0].bins, [1, 0, 0, 1]);
}
