//! Reports of very large and very small runs.

use super::*;

#[test]
fn a_report_stays_small() {
    let page = html::render(&journal::stormy());
    assert!(page.len() < 300_000, "{} bytes", page.len());
}

#[test]
fn a_report_with_thousands_of_rows_per_kind_stays_below_two_megabytes() {
    let mut document = journal::stormy();
    let mut load = document.loads[1].clone();
    // The maximum number of rows of a real run, ten seconds each.
    load.seconds_each = 10;
    let rows = load.seconds.iter().copied().cycle().zip(0..LOAD_ROWS_MAX);
    load.seconds = rows
        .map(|(row, at)| Second {
            from_s: at * load.seconds_each,
            ..row
        })
        .collect();
    document.duration_ns = (LOAD_ROWS_MAX * load.seconds_each) as i64 * journal::SECOND;
    document.loads = vec![load; 20];
    document.edges = document.edges.iter().cloned().cycle().take(5_000).collect();
    document.services = document
        .services
        .iter()
        .cloned()
        .cycle()
        .take(2_000)
        .collect();
    document.events = document
        .events
        .iter()
        .cloned()
        .cycle()
        .take(10_001)
        .collect();
    let page = html::render(&document);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(
        page.contains("4,600 more are in the results document"),
        "what is left out is said"
    );
}

#[test]
fn a_made_up_run_adds_up() {
    for document in [journal::calm(), journal::stormy()] {
        assert!(!document.loads.is_empty());
        for load in &document.loads {
            assert_eq!(load.scheduled, load.sent + load.dropped);
            assert_eq!(load.sent, load.ok + load.errors + load.timeouts);
            assert_eq!(load.latency_ns.count, load.sent);
        }
    }
}

#[test]
fn an_empty_document_has_a_report() {
    let participants = shakedown_results::Participants::default();
    let judgement = JudgedChecks {
        checks: vec![],
        invalid: vec!["no check was judged".to_owned()],
        verdict: Verdict::Invalid,
    };
    let document = journal::fold(&participants, vec![], judgement, "base");
    let page = html::render(&document);
    assert!(page.contains("The run is invalid. No check was judged."));
    assert!(page.contains("No loads."));
    assert!(page.contains("No calls."));
    let words = text::render(&document, text::Paint::Plain);
    assert!(words.starts_with("INVALID  header-routing"), "{words}");
}

#[test]
fn a_load_without_an_answer_has_a_report() {
    let participants = journal::participants(2 * journal::SECOND, 0, vec![]);
    let judgement = JudgedChecks {
        checks: vec![],
        invalid: vec![],
        verdict: Verdict::Pass,
    };
    let document = journal::fold(
        &participants,
        journal::started(&participants),
        judgement,
        "base",
    );
    let page = html::render(&document);
    assert!(
        page.contains(">others</h3>"),
        "its chart of nothing is there"
    );
    assert!(!page.contains("NaN"));
}
