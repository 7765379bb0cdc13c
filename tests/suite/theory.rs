//! A short form of the sweep over `theory-mm1`, with the tolerances of the file: twenty seeds of eight minutes. The long
//! form is the story's own thirty seeds of twenty: `shakedown sweep theory-mm1 --variant all`.

use crate::command::{Ran, shakedown};

fn sweep(variant: &str) -> Ran {
    let short = ["--seeds", "1..20", "--set", "duration=8m"];
    let mut args = vec!["sweep", "theory-mm1", "--variant", variant];
    args.extend(short);
    shakedown(&args)
}

/// The line of a check, by its name.
fn line<'a>(ran: &'a Ran, check: &str) -> &'a str {
    let of_check = |line: &&str| {
        line.trim_start()
            .trim_start_matches(|c: char| c.is_alphabetic())
            .trim_start()
            .starts_with(&format!("{check}: "))
    };
    ran.stdout
        .lines()
        .find(of_check)
        .unwrap_or_else(|| panic!("no check {check}:\n{}", ran.stdout))
}

#[test]
fn one_server_agrees_with_the_formula() {
    let ran = sweep("base").exits(0);
    for check in ["mean", "p99", "busy", "wait", "client"] {
        assert!(
            line(&ran, check).trim_start().starts_with("ok"),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn a_service_time_with_another_variance_is_noticed() {
    let ran = sweep("wrong-service").exits(1);
    for check in ["mean", "p99"] {
        assert!(
            line(&ran, check).trim_start().starts_with("FAIL"),
            "{}",
            ran.stdout
        );
    }
    for check in ["busy", "wait", "client"] {
        assert!(
            line(&ran, check).trim_start().starts_with("ok"),
            "{}",
            ran.stdout
        );
    }
}
