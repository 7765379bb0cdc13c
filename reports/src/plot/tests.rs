use shakedown_results::{EventRow, Histogram, Load, Second};

use super::axis::{Axis, Nines};
use super::bins::Bins;
use super::canvas::{Anchor, draw};
use super::lanes::lanes_of;
use super::*;

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;

fn labels(ticks: &[(f64, String)]) -> Vec<&str> {
    ticks.iter().map(|(_, label)| label.as_str()).collect()
}

#[test]
fn each_nine_takes_as_much_room_as_the_one_before() {
    let axis = Nines::new(10_000);
    assert_eq!(
        labels(&axis.ticks),
        ["0%", "50%", "90%", "99%", "99.9%", "99.99%"]
    );
    let places: Vec<i64> = axis
        .ticks
        .iter()
        .map(|(place, _)| (place * 1_000.0).round() as i64)
        .collect();
    assert_eq!(places, [0, 75, 250, 500, 750, 1_000]);
    assert_eq!(
        (axis.place(9_990) * 1_000.0).round() as i64,
        750,
        "ten in ten thousand are above"
    );
    assert_eq!(axis.place(10_000), 1.0, "the maximum lies at the end");
}

#[test]
fn the_nines_axis_ends_where_the_sample_does() {
    assert_eq!(labels(&Nines::new(0).ticks), ["0%", "50%", "90%", "99%"]);
    assert_eq!(labels(&Nines::new(999).ticks).last(), Some(&"99%"));
    assert_eq!(labels(&Nines::new(1_000).ticks).last(), Some(&"99.9%"));
}

#[test]
fn a_log_axis_has_round_ends_and_readable_ticks() {
    let axis = Axis::log(3 * MS, 40 * MS, 9);
    assert_eq!(
        labels(&axis.ticks),
        ["2 ms", "5 ms", "10 ms", "20 ms", "50 ms"]
    );
    assert_eq!(axis.place(2 * MS), 0.0);
    assert_eq!(axis.place(50 * MS), 1.0);
    let wide = Axis::log(1, 3_600 * SECOND, 7);
    let shown = labels(&wide.ticks)
        .iter()
        .filter(|label| !label.is_empty())
        .count();
    assert!((2..=7).contains(&shown), "{:?}", wide.ticks);
    let narrow = Axis::log(5 * MS, 5 * MS, 9);
    assert_eq!(
        labels(&narrow.ticks),
        ["5 ms", "10 ms"],
        "one value still has an axis"
    );
}

#[test]
fn a_time_axis_has_ticks_that_a_clock_has() {
    assert_eq!(
        labels(&Axis::time(20 * SECOND, 7).ticks),
        ["0s", "5s", "10s", "15s", "20s"]
    );
    assert_eq!(
        labels(&Axis::time(90 * SECOND, 7).ticks),
        ["0s", "15s", "30s", "45s", "1m", "1m15s", "1m30s"]
    );
    assert_eq!(
        labels(&Axis::time(86_400 * SECOND, 7).ticks),
        ["0s", "4h", "8h", "12h", "16h", "20h", "24h"]
    );
    assert!(!Axis::time(0, 7).ticks.is_empty());
}

#[test]
fn a_linear_axis_starts_at_zero_and_holds_the_maximum() {
    let axis = Axis::linear(103, 6);
    assert_eq!(labels(&axis.ticks), ["0", "50", "100", "150"]);
    assert!(!Axis::linear(0, 6).ticks.is_empty());
    assert!(!Axis::linear(u64::MAX, 6).ticks.is_empty());
}

#[test]
fn long_runs_are_joined_by_their_highest_seconds() {
    let second = |from_s, ok, p99_ns| Second {
        from_s,
        admitted: ok,
        offered: ok,
        ok,
        failed: 0,
        p50_ns: MS,
        p99_ns,
    };
    let mut seconds: Vec<Second> = (0..86_400).map(|at| second(at, 10, 2 * MS)).collect();
    seconds[8] = second(8, 10, 90 * MS);
    // A second without requests.
    seconds.remove(7);
    let bins = Bins::new(&load(1, seconds), 0);
    assert!(bins.bins.len() <= 320, "{}", bins.bins.len());
    assert_eq!(bins.bins[0].p99_ns, Some(90 * MS));
    let ok: u64 = bins.bins.iter().map(|bin| bin.ok).sum();
    assert_eq!(ok, 10 * 86_399, "nothing is lost");
}

#[test]
fn a_second_in_which_nothing_ended_has_no_latency() {
    let bins = Bins::new(&load(1, vec![Second::default()]), 0);
    assert_eq!(bins.bins[0].p50_ns, None);
}

#[test]
fn seconds_without_a_row_are_empty_bins_until_the_load_ends() {
    let row = Second {
        from_s: 3,
        offered: 7,
        ..Second::default()
    };
    let bins = Bins::new(&load(1, vec![row]), 5_000_000_000);
    let offered: Vec<u64> = bins.bins.iter().map(|bin| bin.offered).collect();
    assert_eq!(offered, [0, 0, 0, 7, 0]);
    // Rows of 30 seconds are not split.
    let rows = [0, 30, 60].map(|from_s| Second { from_s, ..row });
    let bins = Bins::new(&load(30, rows.to_vec()), 90_000_000_000);
    assert_eq!((bins.seconds_each, bins.bins.len()), (30, 3));
}

fn load(seconds_each: u64, seconds: Vec<Second>) -> Load {
    Load {
        seconds_each,
        seconds,
        ..crate::summary::tests::document(&[]).loads[0].clone()
    }
}

#[test]
fn marks_have_classes_in_place_of_colours_and_texts_are_escaped() {
    let svg = draw(20.0, 10.0, |canvas| {
        canvas.line(Ink::Grid, 1.5, [(0.0, 1.0), (2.5, 1.0)]);
        canvas.rect(Ink::Fault, (1.0, 1.0), (3.0, 4.0));
        canvas.text(
            Ink::Label,
            (1.0, 2.0),
            Anchor::End,
            "a <b> fill=\"#000001\"",
        );
    });
    assert_eq!(
        svg,
        "<svg viewBox=\"0 0 40 20\" xmlns=\"http://www.w3.org/2000/svg\" aria-hidden=\"true\" focusable=\"false\">\
         <polyline fill=\"none\" class=\"s-grid\" stroke-width=\"3\" points=\"0,2 5,2\"/>\
         <rect x=\"2\" y=\"2\" width=\"4\" height=\"6\" class=\"f-fault\"/>\
         <text x=\"2\" y=\"4\" dy=\"0.5ex\" text-anchor=\"end\" class=\"f-label\">\
         a &lt;b&gt; fill=&quot;#000001&quot;</text></svg>"
    );
}

#[test]
fn no_drawing_keeps_a_colour_of_its_own() {
    let mut histogram = Histogram::new();
    (1..200).for_each(|i| histogram.record(i * MS));
    for svg in [
        super::histogram(&histogram, &Histogram::new()),
        percentiles(&histogram, &histogram),
    ] {
        assert!(
            !svg.contains("=\"#"),
            "a colour that dark mode cannot change: {svg}"
        );
        assert!(
            svg.contains("class=\"f-label\""),
            "texts need no font: {svg}"
        );
    }
}

#[test]
fn the_bars_hold_every_sample() {
    let mut histogram = Histogram::new();
    for i in 0..10_000 {
        histogram.record(i * i);
    }
    let bars = histogram_bars(&histogram, &Histogram::new());
    assert_eq!(bars.iter().map(|bar| bar.corrected).sum::<u64>(), 10_000);
    assert!(bars.windows(2).all(|pair| pair[0].to_ns <= pair[1].from_ns));
}

#[test]
fn faults_of_one_name_share_a_lane_and_unended_ones_last() {
    let row = |at_ns, kind: &str, subject: &str| EventRow {
        at_ns,
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        detail: String::new(),
    };
    let events = [
        row(-1, "ready", "api/v1/0"),
        row(1, "fault-started", "blip"),
        row(2, "fault-ended", "blip"),
        row(3, "fault-started", "blip"),
        row(4, "crashed", "api/v1/0"),
        row(5, "ready", "api/v1/0"),
    ];
    let lanes = lanes_of(&events, 9);
    let spans: Vec<(&str, &[LaneSpan])> = lanes
        .iter()
        .map(|lane| (lane.name.as_str(), lane.spans.as_slice()))
        .collect();
    let span = |from_ns, to_ns| LaneSpan { from_ns, to_ns };
    assert_eq!(
        spans,
        [
            ("blip", &[span(1, 2), span(3, 9)][..]),
            ("pods down", &[span(4, 5)][..])
        ]
    );
}

#[test]
fn spans_closer_than_a_pixel_are_drawn_as_one() {
    let span = |from_ns, to_ns| LaneSpan { from_ns, to_ns };
    let x = |ns: i64| ns as f64 / 1_000.0;
    let spans = [
        span(50_000, 51_000),
        span(0, 9_000),
        span(5_000, 6_000),
        span(9_400, 12_000),
    ];
    assert_eq!(
        super::span::joined(&spans, x, 3.0),
        [(0.0, 12.4), (50.0, 53.0)]
    );
}
