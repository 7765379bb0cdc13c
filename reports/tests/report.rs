//! Rendered reports of synthetic runs.

#[path = "../examples/synthetic/journal.rs"]
mod journal;
#[path = "report/sizes.rs"]
mod sizes;

use shakedown_reports::{JudgedChecks, html, text};
use shakedown_results::{
    CheckResult, Document, Engine, LOAD_ROWS_MAX, Mode, PlannedFault, Second, Verdict,
};

/// A malicious name of a service.
const SPITE: &str = "</script><img src=x onerror=alert(1)>\"'&";

#[test]
fn a_fixed_run_reads_the_same_on_a_terminal() {
    insta::assert_snapshot!(
        "calm_text",
        text::render(&journal::calm(), text::Paint::Plain)
    );
    insta::assert_snapshot!(
        "stormy_text",
        text::render(&journal::stormy(), text::Paint::Plain)
    );
}

#[test]
fn a_fixed_run_has_the_same_page() {
    // Each tag is on a line of its own, for readable diffs.
    let page = html::render(&journal::calm()).replace("><", ">\n<");
    insta::assert_snapshot!("calm_html", page);
}

#[test]
fn the_same_document_gives_the_same_bytes() {
    let document = journal::stormy();
    assert_eq!(html::render(&document), html::render(&document.clone()));
    assert_eq!(html::render(&document), html::render(&journal::stormy()));
}

#[test]
fn a_report_is_the_same_after_the_document_went_through_json() {
    let document = journal::calm();
    let json = serde_json::to_string(&document).expect("a document serialises");
    let read: Document = serde_json::from_str(&json).expect("and reads back");
    assert_eq!(
        serde_json::to_string(&read).expect("a document serialises"),
        json
    );
    assert_eq!(
        text::render(&read, text::Paint::Plain),
        text::render(&document, text::Paint::Plain)
    );
}

#[test]
fn every_string_of_a_user_is_escaped() {
    let page = html::render(&spiteful());
    assert!(!page.contains("<img"), "a name became an element");
    assert!(
        page.contains("&lt;/script&gt;&lt;img"),
        "the names are there, escaped"
    );
    assert_eq!(
        page.matches("</script>").count(),
        2,
        "the figures and our own script alone end a script"
    );
    assert_eq!(page.matches("<script").count(), 2);
    assert!(
        !page.contains("onerror=alert(1)>"),
        "an angle bracket was left"
    );
}

#[test]
fn a_terminal_is_not_steered_by_a_name() {
    let mut document = journal::calm();
    document.scenario = "\x1b[2Jgone\nPASS".to_owned();
    let words = text::render(&document, text::Paint::Plain);
    assert!(!words.contains('\x1b'));
    assert!(words.starts_with("PASS   [2Jgone PASS"), "{words}");
}

#[test]
fn nothing_is_fetched() {
    let page = html::render(&journal::stormy());
    assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    for fetches in [
        "src=",
        "url(",
        "@import",
        "<iframe",
        "<link rel=\"stylesheet\"",
    ] {
        assert!(!page.contains(fetches), "{fetches}");
    }
    let addresses = page.matches("http").count() - page.matches("http-equiv").count();
    assert_eq!(
        addresses,
        page.matches("http://www.w3.org/2000/svg").count(),
        "a name space is no address"
    );
}

#[test]
fn a_canary_is_told_with_its_reason() {
    let page = html::render(&journal::rollout(false));
    assert!(page.contains("Canary reviews"));
    assert!(page.contains("success rate 94.82% over 1m (1,121 requests) is below 99%"));
    assert!(page.contains(">progressing</text>") || page.contains("progressing"));
    for title in ["Retries", "Queues", "Ready pods"] {
        assert!(page.contains(&format!("<h3>{title}</h3>")), "{title}");
    }
}

#[test]
fn what_a_run_did_not_have_has_no_chart() {
    let page = html::render(&journal::calm());
    for title in [
        "Canary",
        "Retries",
        "Queues",
        "Requests in service",
        "Ready pods",
        "Ejections",
    ] {
        assert!(!page.contains(&format!("<h3>{title}")), "{title}");
    }
}

#[test]
fn ejections_and_breakers_have_a_lane_each_and_the_cursor_reads_them() {
    let page = html::render(&journal::stormy());
    assert_eq!(page.matches("<h3>Ejections and breakers</h3>").count(), 1);
    for lane in [
        "reviews/v1/1",
        "reviews/v2/0",
        "productpage -&gt; reviews (pending)",
    ] {
        assert!(page.contains(&format!(">{lane}</text>")), "{lane}");
    }
    // Two pods and a breaker, each drawn in both widths.
    assert!(page.matches("class=\"f-ejected\"").count() >= 4);
    assert!(page.matches("class=\"f-breaker\"").count() >= 2);
    assert!(page.contains("[\"reviews/v1/1\",[[37000000000,54000000000]]]"));
}

#[test]
fn beside_an_ending_with_ejections_one_without_says_so() {
    let page = html::compare(&[journal::stormy(), journal::rollout(true)]);
    assert_eq!(page.matches("<h3>Ejections and breakers</h3>").count(), 2);
    assert_eq!(page.matches("No pod was ejected").count(), 1);
}

#[test]
fn pods_beyond_the_most_share_a_lane() {
    let mut document = journal::stormy();
    let row = document.series.ejected[0].clone();
    document.series.ejected = (0..40)
        .map(|replica| {
            let mut row = row.clone();
            row.name = format!("reviews/v1/{replica}");
            row
        })
        .collect();
    let page = html::render(&document);
    assert!(page.contains(">25 other pods</text>"));
    assert!(page.contains(">reviews/v1/14</text>") && !page.contains(">reviews/v1/15</text>"));
}

#[test]
fn every_figure_that_the_cursor_reads_is_there() {
    let page = html::render(&journal::rollout(true));
    let block = page
        .split_once("type=\"application/json\">")
        .and_then(|(_, rest)| rest.split_once("</script>"))
        .expect("the figures")
        .0;
    let figures: serde_json::Value = serde_json::from_str(block).expect("JSON");
    let readings = figures["readings"].as_array().expect("readings");
    for at in 0..readings.len() {
        assert!(page.contains(&format!("data-r=\"{at}\"")), "reading {at}");
    }
    assert!(!page.contains(&format!("data-r=\"{}\"", readings.len())));
    let heats = figures["heats"].as_array().expect("heatmaps");
    assert_eq!(page.matches("<canvas").count(), heats.len());
    let counted: u64 = heats
        .iter()
        .flat_map(|heat| heat["bins"].as_array().expect("bins"))
        .flat_map(|bin| bin.as_array().expect("a bin").iter().skip(1))
        .map(|n| n.as_u64().expect("a count"))
        .sum();
    assert_eq!(
        counted, 24_000,
        "every request is in a heatmap, the warm-up's too"
    );
}

#[test]
fn endings_stand_side_by_side_on_the_same_axes() {
    let documents = [journal::rollout(false), journal::rollout(true)];
    let page = html::compare(&documents);
    assert_eq!(page, html::compare(&documents), "the same bytes");
    assert_eq!(page.matches("<div class=\"column\">").count(), 2);
    assert_eq!(
        page.matches("<h3>Retries</h3>").count(),
        2,
        "of nothing too"
    );
    assert_eq!(
        page.matches("Attempts after the first, per second</span><span>none")
            .count(),
        1
    );
    assert!(page.contains("success(others) &gt;= 99.5%"));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[test]
fn a_subject_keeps_its_colour_in_all_runs_regardless_of_other_subjects() {
    let counts = |name: &str| shakedown_results::series::Counts {
        name: name.to_owned(),
        bins: vec![3, 2, 3],
    };
    let weights = |version: &str| shakedown_results::series::Weights {
        service: "shop".to_owned(),
        version: version.to_owned(),
        steps: vec![(0, 500_000), (1, 0)],
    };
    let (mut both, mut one) = (journal::calm(), journal::calm());
    both.series.ready = vec![counts("shop/v1"), counts("shop/v2")];
    one.series.ready = vec![counts("shop/v2")];
    both.series.weights = vec![weights("v1"), weights("v2")];
    one.series.weights = vec![weights("v2")];
    let page = html::compare(&[both, one]);
    // Each swatch directly precedes its name.
    let swatch = "<span class=\"swatch ";
    let mut classes: Vec<(&str, &str)> = page
        .split(swatch)
        .skip(1)
        .filter_map(|rest| {
            let (class, rest) = rest.split_once('"')?;
            let (_, rest) = rest.split_once("</span>")?;
            let name = rest.split('<').next()?;
            ["shop/v1", "shop/v2", "v1", "v2"]
                .contains(&name)
                .then_some((name, class))
        })
        .collect();
    classes.sort_unstable();
    assert_eq!(
        classes,
        [
            ("shop/v1", "k-a"),
            ("shop/v2", "k-b"),
            ("shop/v2", "k-b"),
            ("v1", "k-a"),
            ("v2", "k-b"),
            ("v2", "k-b"),
        ]
    );
}

#[test]
fn the_summary_precedes_checks_and_charts_and_each_line_has_its_time() {
    let page = html::render(&journal::stormy());
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(at("id=\"verdict\"") < at("id=\"short\""));
    assert!(at("id=\"short\"") < at("id=\"judged\""));
    assert!(at("id=\"judged\"") < at("id=\"time\""));
    assert!(at("data-at=") < at("id=\"judged\""));
    assert!(
        !html::render(&journal::calm()).contains("<li class=\"l-bad\""),
        "nothing failed"
    );
}

#[test]
fn endings_of_nobody_and_of_the_spiteful_have_a_page() {
    assert!(html::compare(&[]).contains("0 runs side by side"));
    let page = html::compare(&[spiteful(), spiteful()]);
    assert!(!page.contains("<img"));
    assert_eq!(page.matches("</script>").count(), 2);
}

#[test]
fn a_report_names_its_execution_mode_and_what_that_does_not_model() {
    let mut document = journal::calm();
    assert!(html::render(&document).contains("Not modelled: the kernel's TCP"));
    document.mode = Mode::Real;
    document.engine = Engine::Real;
    let page = html::render(&document);
    assert!(page.contains("real run") && page.contains("Real sockets on one machine"));
    assert!(!page.contains("simulated run"));
}

/// A run in which all names are malicious.
fn spiteful() -> Document {
    let fault = PlannedFault {
        name: SPITE.to_owned(),
        what: SPITE.to_owned(),
        start_ns: 0,
        end_ns: None,
        may_miss: false,
    };
    let mut participants = journal::participants(2 * journal::SECOND, 0, vec![fault]);
    for participant in &mut participants.list {
        participant.name = SPITE.to_owned();
        participant
            .versions
            .iter_mut()
            .for_each(|version| *version = SPITE.to_owned());
    }
    let mut records = journal::started(&participants);
    let event = shakedown_results::Event::FaultStarted {
        fault: 0,
        pods: vec![],
    };
    records.push(shakedown_results::Record {
        at_ns: journal::MS,
        event,
    });
    let check = CheckResult {
        name: SPITE.to_owned(),
        check: SPITE.to_owned(),
        pass: Some(false),
        over_seeds: false,
        observed: SPITE.to_owned(),
        measured: None,
        expected: SPITE.to_owned(),
    };
    let judgement = JudgedChecks {
        checks: vec![check],
        invalid: vec![SPITE.to_owned()],
        verdict: Verdict::Invalid,
    };
    let mut document = journal::fold(&participants, records, judgement, SPITE);
    for text in [
        &mut document.scenario,
        &mut document.story,
        &mut document.version,
        &mut document.replay,
    ] {
        *text = SPITE.to_owned();
    }
    document
}

/// Renders a report for a narrow terminal.
fn narrow(document: &Document, width: usize) -> String {
    let screen = text::Screen {
        paint: text::Paint::Plain,
        width: Some(width),
    };
    text::render(document, screen)
}

#[test]
fn at_eighty_columns_a_check_is_a_line_or_wraps_at_words() {
    let mut document = journal::stormy();
    let check = document.checks[0].clone();
    document.checks.push(shakedown_results::CheckResult {
        name: "long".into(),
        check: "p99(users -> payment where status == 503 and not retried during storm.start..storm.end) < 250ms".into(),
        pass: Some(false),
        ..check
    });
    let shown = narrow(&document, 80);
    let checks: Vec<&str> = shown.split("\n\n").nth(1).unwrap().lines().collect();
    assert!(
        checks.iter().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    let wide = text::render(&document, text::Paint::Plain);
    // The table of loads follows, with its columns in another order.
    let words = |text: &str| {
        let (before, _) = text.split_once("\n  load ").unwrap();
        before
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&shown), words(&wide));
    assert!(
        checks.iter().any(|line| line.starts_with("              ")),
        "{shown}"
    );
}

#[test]
fn at_eighty_and_forty_columns_the_headline_and_the_loads_fit() {
    let mut document = journal::stormy();
    document.set = vec![
        "load.users.rate=150/s".into(),
        "topology.services.api.workers=64".into(),
    ];
    for (width, name) in [(80, "narrow-80"), (40, "narrow-40")] {
        let shown = narrow(&document, width);
        // Commands and digests are not wrapped, so that they can be copied.
        let lines = shown.lines().filter(|line| !line.starts_with("  replay"));
        for line in lines.filter(|line| !line.starts_with("  digest")) {
            assert!(line.chars().count() <= width, "{line}\n{shown}");
        }
        insta::assert_snapshot!(name, shown);
    }
}
