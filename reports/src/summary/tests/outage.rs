//! Ejections and circuit breakers over time.

use shakedown_results::series::Stretches;
use shakedown_types::{BreakerLimit, Detector};

use super::*;

/// Returns the intervals of each row, s.
fn stretches(rows: &[Stretches]) -> Vec<(&str, Vec<(i64, i64)>)> {
    let seconds = |(from, to): &(i64, i64)| (from / SECOND, to / SECOND);
    let row = |row: &Stretches| row.spans.iter().map(seconds).collect();
    rows.iter().map(|r| (r.name.as_str(), row(r))).collect()
}

fn out(at_s: i64, at: PodId, pod: PodId) -> (i64, Event) {
    let by = Detector::Consecutive5xx;
    (at_s * SECOND, Event::Ejected { at, pod, by })
}

fn back(at_s: i64, at: PodId, pod: PodId) -> (i64, Event) {
    (at_s * SECOND, Event::Returned { at, pod })
}

fn breaker(at_ns: i64, limit: BreakerLimit, open: bool) -> (i64, Event) {
    let (at, to, limit) = (CLIENT, API, limit);
    (
        at_ns,
        Event::Breaker {
            at,
            to,
            limit,
            open,
        },
    )
}

fn series_of(events: Vec<(i64, Event)>) -> Document {
    let records: Vec<Record> = events
        .into_iter()
        .map(|(at_ns, event)| Record { at_ns, event })
        .collect();
    document(&records)
}

#[test]
fn a_pod_is_out_from_its_first_ejection_to_its_last_return() {
    let document = series_of(vec![
        out(1, CLIENT, API_POD),
        out(2, API_POD, API_POD),
        back(3, CLIENT, API_POD),
        back(4, API_POD, API_POD),
        out(6, CLIENT, API_POD),
    ]);
    // An ejection without a return lasts until the end.
    let expected = vec![("api/v1/0", vec![(1, 4), (6, 10)])];
    assert_eq!(stretches(&document.series.ejected), expected);
}

#[test]
fn ejections_and_breaker_states_end_when_their_pod_or_proxy_is_gone() {
    let document = series_of(vec![
        out(1, CLIENT, API_POD),
        (3 * SECOND, Event::Crashed { pod: API_POD }),
        back(5, CLIENT, API_POD),
    ]);
    let expected = vec![("api/v1/0", vec![(1, 3)])];
    assert_eq!(stretches(&document.series.ejected), expected);
    let document = series_of(vec![
        out(1, CLIENT, API_POD),
        breaker(SECOND, BreakerLimit::Requests, true),
        (4 * SECOND, Event::Stopped { pod: CLIENT }),
    ]);
    let expected = vec![("api/v1/0", vec![(1, 4)])];
    assert_eq!(stretches(&document.series.ejected), expected);
    let expected = vec![("users -> api (requests)", vec![(1, 4)])];
    assert_eq!(stretches(&document.series.breakers), expected);
}

#[test]
fn a_breaker_that_flaps_is_one_stretch_and_one_event() {
    let mut events = Vec::new();
    for flap in 0..1_000 {
        let at_ns = 2 * SECOND + flap * 2 * MS;
        events.push(breaker(at_ns, BreakerLimit::Pending, true));
        events.push(breaker(at_ns + MS, BreakerLimit::Pending, false));
    }
    events.push(breaker(8 * SECOND, BreakerLimit::Pending, true));
    let document = series_of(events);
    let expected = vec![("users -> api (pending)", vec![(2, 3), (8, 10)])];
    assert_eq!(stretches(&document.series.breakers), expected);
    let rows: Vec<_> = document
        .events
        .iter()
        .filter(|row| row.kind == "breaker-open")
        .map(|row| {
            (
                row.at_ns / SECOND,
                row.subject.as_str(),
                row.detail.as_str(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (2, "users/0 -> api", "pending, 1,000 times in 2.00 s"),
            (8, "users/0 -> api", "pending"),
        ]
    );
}

#[test]
fn what_nobody_held_back_is_not_in_the_document() {
    let document = series_of(vec![
        back(3, CLIENT, API_POD),
        breaker(4, BreakerLimit::Requests, false),
    ]);
    let json = serde_json::to_string(&document).expect("a document serialises");
    assert!(
        !json.contains("breakers") && !json.contains("ejected"),
        "{json}"
    );
}
