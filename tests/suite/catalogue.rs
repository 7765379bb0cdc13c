//! Tests that every scenario of the catalogue has its expected outcome, and fails if its protection is removed.

use serde_json::Value;

use crate::command::{file, folder, shakedown};

fn names() -> Vec<String> {
    let listed = shakedown(&["list"]).exits(0).stdout;
    listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_story_without_checks_over_seeds_is_as_told() {
    let names = names();
    assert!(
        names.iter().any(|name| name == "header-routing"),
        "{names:?}"
    );
    for name in names.iter().filter(|name| !name.starts_with("theory-")) {
        let mut args = vec!["run", name, "--variant", "all"];
        // The scenario makes half a million calls per minute, and a shorter run proves the same.
        if name == "fan-out-hedged" {
            args.extend(["--set", "duration=20s"]);
        }
        shakedown(&args).exits(0);
    }
}

/// Runs the scenario's 200 seeds with `SHAKEDOWN_NIGHTLY=1`, else the first ten.
#[test]
fn a_canary_decides_rightly_whatever_the_seed() {
    let is_nightly = std::env::var("SHAKEDOWN_NIGHTLY").is_ok_and(|value| value == "1");
    let seeds = if is_nightly { "1..200" } else { "1..10" };
    let sweep = ["sweep", "canary-decides", "--variant", "all"];
    shakedown(&[&sweep[..], &["--seeds", seeds]].concat()).exits(0);
}

#[test]
fn header_routing_fails_when_the_match_is_removed() {
    let written = shakedown(&["show", "header-routing"]).exits(0).stdout;
    let rule = "        - match: [{headers: {end-user: {exact: jason}}}]\n          route: [{destination: {host: reviews, subset: v2}}]\n";
    assert!(
        written.contains(rule),
        "the scenario has another rule now:\n{written}"
    );
    let folder = folder("match-removed");
    let path = file(&folder, "header-routing.yaml", written.replace(rule, ""));
    let ran = shakedown(&["run", &path, "--json", "-"]).exits(1);
    let document: Value = serde_json::from_str(&ran.stdout).expect("the document is JSON");
    let broken: Vec<&str> = document["checks"]
        .as_array()
        .expect("checks are a list")
        .iter()
        .filter(|check| check["pass"] == false)
        .filter_map(|check| check["name"].as_str())
        .collect();
    assert_eq!(broken, ["jason-v2", "ratings"]);
}

#[test]
fn the_report_is_one_file_that_fetches_nothing_and_names_its_replay() {
    let folder = folder("report");
    let path = folder.join("report.html");
    let text = path.to_str().expect("test paths are UTF-8");
    shakedown(&["run", "header-routing", "--html", text]).exits(0);
    let html = std::fs::read_to_string(&path).expect("the report is there");
    assert!(
        html.contains("default-src 'none'"),
        "no content security policy"
    );
    assert!(
        html.contains("shakedown run header-routing --seed 1"),
        "no replay command"
    );
    for fetch in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!html.contains(fetch), "the report fetches: {fetch}");
    }
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
}
