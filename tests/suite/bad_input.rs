//! Tests that the command reports the problem and location of every bad input, exits with 2, and never panics.

use crate::command::{Ran, file, folder, shakedown};

const GOOD: &str = "\
scenario: good
story: Nothing is wrong here.
duration: 5s
topology:
  services:
    shop: {workers: 4, endpoints: {GET /: [work: 1ms]}}
load: {users: {to: shop GET /, rate: 10/s}}
expect: [success(users) == 100%]
";

fn run(test: &str, content: impl AsRef<[u8]>) -> Ran {
    let folder = folder(test);
    let path = file(&folder, "shop.yaml", content);
    let ran = shakedown(&["run", &path]);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

#[track_caller]
fn refused(test: &str, content: impl AsRef<[u8]>, wanted: &[&str]) {
    let ran = run(test, content).exits(2);
    for text in wanted {
        assert!(
            ran.stderr.contains(text),
            "`{text}` is missing in:\n{}",
            ran.stderr
        );
    }
}

#[test]
fn the_story_that_the_others_spoil_is_good() {
    run("good", GOOD).exits(0);
}

#[test]
fn all_errors_of_a_file_come_at_once_with_line_and_column() {
    let text = GOOD
        .replace("duration: 5s", "duration: 5")
        .replace("topology:", "topolgy:")
        .replace("10/s", "10");
    refused(
        "all-errors",
        text,
        &[
            "shop.yaml:3:11: `5` has no unit: a duration is written `5s`",
            "shop.yaml:4:1: unknown key `topolgy`: did you mean `topology`?",
            "shop.yaml:7:",
        ],
    );
}

#[test]
fn a_subset_that_does_not_exist_is_named() {
    let mesh = "\
mesh:
  - apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop}
    spec: {hosts: [shop], http: [{route: [{destination: {host: shop, subset: v9}}]}]}
  - apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: shop}
    spec: {host: shop, subsets: [{name: v1, labels: {version: v1}}]}
load:";
    // Istio accepts it because the subset may be added later, so it is a warning.
    let ran = run("subset", GOOD.replace("load:", mesh)).exits(1);
    for part in ["shop.yaml:11:", "v9", "v1", "503 NC", "[IST0101]"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn weights_that_sum_to_zero_are_refused() {
    let mesh = "\
mesh:
  - apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop}
    spec:
      hosts: [shop]
      http:
        - route:
            - {destination: {host: shop}, weight: 0}
            - {destination: {host: shop}, weight: 0}
load:";
    refused(
        "weights",
        GOOD.replace("load:", mesh),
        &["shop.yaml:", "weight"],
    );
}

#[test]
fn broken_yaml_has_a_place() {
    refused(
        "syntax",
        GOOD.replace("[work: 1ms]", "[work: 1ms"),
        &["shop.yaml:"],
    );
}

#[test]
fn an_empty_file_says_so() {
    refused("empty", "", &["shop.yaml:1:1:", "empty"]);
}

#[test]
fn five_thousand_nested_brackets_do_not_break_it() {
    let text = GOOD.replace(
        "[success(users) == 100%]",
        &format!("{}{}", "[".repeat(5000), "]".repeat(5000)),
    );
    refused("nested", text, &["shop.yaml:8:"]);
    refused("nested-maps", "{a: ".repeat(5000), &["shop.yaml:1:"]);
}

#[test]
fn bytes_that_are_no_text_have_a_place() {
    let mut bytes = GOOD.as_bytes().to_vec();
    let at = GOOD.find("Nothing").expect("the scenario has the word");
    bytes[at] = 0xff;
    refused("bytes", bytes, &["shop.yaml:2:8:", "UTF-8"]);
}

#[test]
fn what_is_not_there_yet_is_refused_by_line() {
    let text = GOOD.replace("expect:", "swarm: {faults: 0..5}\nexpect:");
    refused("not-yet", text, &["shop.yaml:8:1:", "not supported yet"]);
}

#[test]
fn a_name_that_does_not_exist_gets_a_suggestion() {
    let ran = shakedown(&["run", "header-rooting"]).exits(2);
    assert!(ran.stderr.contains("header-routing"), "{}", ran.stderr);
    let ran = shakedown(&["run", "header-routing", "--variant", "fragil"]).exits(2);
    assert!(ran.stderr.contains("fragile"), "{}", ran.stderr);
    let ran = shakedown(&["run", "header-routing", "--set", "load.jason.rat=1/s"]).exits(2);
    assert!(ran.stderr.contains("rate"), "{}", ran.stderr);
}
