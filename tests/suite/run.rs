//! Tests `shakedown run` from the command line: edits, warnings, the replay command, and verdicts that need several
//! runs.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::{file, folder, shakedown};

const SHOP: &str = "
scenario: shop
story: A shop.
duration: 2s
topology: {services: {shop: {workers: 4, endpoints: {GET /: [work: 1ms]}}}}
load: {u: {to: shop GET /, rate: 10/s, retries: 2}}
expect: [success(u) == 100%]
variants:
  busy: {load: {u: {rate: 20/s}}}
";

#[test]
fn set_null_removes_a_key_and_the_replay_command_runs_from_here() {
    let folder = folder("set null").join("deeper");
    std::fs::create_dir(&folder).expect("a folder can be made");
    let path = file(&folder, "shop.yaml", SHOP);
    for null in ["null", "~"] {
        let set = format!("load.u.retries={null}");
        let ran = shakedown(&["run", &path, "--set", &set]).exits(0);
        let replay = format!("shakedown run '{path}' --set '{set}' --seed 1");
        assert!(ran.stdout.contains(&replay), "{}", ran.stdout);
    }
    // An optional key can be removed, a required key cannot.
    shakedown(&["run", &path, "--set", "chaos=null"]).exits(0);
    let ran = shakedown(&["run", &path, "--set", "load.u.rate=null"]).exits(2);
    assert!(ran.stderr.contains("rate"), "{}", ran.stderr);
}

#[test]
fn a_warning_of_all_variants_is_printed_once() {
    let folder = folder("warnings-once");
    // Without `workers` it never overloads.
    let scenario = SHOP.replace("workers: 4, ", "");
    let path = file(&folder, "shop.yaml", scenario);
    for args in [["run", "--variant"], ["sweep", "--variant"]] {
        let mut args = vec![args[0], &path, args[1], "all"];
        if args[0] == "sweep" {
            args.extend(["--seeds", "1..2"]);
        }
        let ran = shakedown(&args);
        let mut warnings: Vec<&str> = ran.stderr.lines().collect();
        warnings.retain(|line| line.starts_with("warning: "));
        let all = warnings.len();
        warnings.sort_unstable();
        warnings.dedup();
        assert_eq!(warnings.len(), all, "{}", ran.stderr);
        assert_eq!(all, 1, "{}", ran.stderr);
    }
}

#[test]
fn a_run_with_only_checks_over_seeds_is_unjudged_and_suggests_sweep() {
    let folder = folder("over-seeds");
    let seeds = SHOP.replace("success(u) == 100%", "mean(u) < 1s over seeds");
    let path = file(&folder, "shop.yaml", seeds);
    let ran = shakedown(&["run", &path]).exits(4);
    assert!(ran.stdout.starts_with("NOT JUDGED  shop"), "{}", ran.stdout);
    assert!(ran.stdout.contains("`shakedown sweep`"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("INVALID"), "{}", ran.stdout);
    let ran = shakedown(&["run", &path, "--json", "-"]).exits(4);
    let document: Value = serde_json::from_str(&ran.stdout).expect("the document is JSON");
    assert_eq!(document["verdict"], "not-judged");
    assert_eq!(document["invalid"], Value::Array(vec![]));
    shakedown(&["run", &path, "--variant", "all"]).exits(4);
    shakedown(&["sweep", &path, "--seeds", "1..3"]).exits(0);
    // An edit can replace the checks, and an invalid run remains invalid.
    let more = "expect=[\"success(u) < 100%\"]";
    shakedown(&["run", &path, "--set", more]).exits(1);
    let idle = "chaos=[{at: 1s, do: scale, target: shop, to: 1}]";
    shakedown(&["run", &path, "--set", idle]).exits(3);
}

#[test]
fn a_run_that_will_take_very_long_warns_before_it_begins() {
    let folder = folder("estimate");
    let scenario = SHOP
        .replace("rate: 10/s", "rate: 10k/s")
        .replace("2s", "365d");
    let path = file(&folder, "shop.yaml", scenario);
    let mut run = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(["run", &path])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let stderr = run.stderr.take().expect("it is piped");
    let first = BufReader::new(stderr).lines().next();
    run.kill().expect("the run is under way");
    run.wait().expect("it has ended");
    let first = first.expect("something is said").expect("it is UTF-8");
    assert!(first.starts_with("warning: "), "{first}");
    assert!(
        first.contains("requests will need about") && first.contains("days"),
        "{first}"
    );
}
