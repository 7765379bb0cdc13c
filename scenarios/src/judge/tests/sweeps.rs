//! Checks over seeds.

use super::small_scenario;
use crate::judge::{SeedSample, over_seeds};
use crate::value::Ratio;

fn samples(values: &[i128], holds: &[bool]) -> Vec<(u64, Vec<SeedSample>)> {
    let sample = |(index, (value, holds)): (usize, (&i128, &bool))| {
        let sides = Some((Ratio::whole(*value), Ratio::whole(1_000_000_000)));
        (
            index as u64,
            vec![SeedSample {
                check: 0,
                sides,
                holds: Some(*holds),
                reason: String::new(),
            }],
        )
    };
    values.iter().zip(holds).enumerate().map(sample).collect()
}

fn judged(check: &str, values: &[i128], holds: &[bool]) -> (Option<bool>, String) {
    let result = over_seeds(&small_scenario(&[check]), &samples(values, holds)).remove(0);
    (result.pass, result.observed)
}

const MS: i128 = 1_000_000;

#[test]
fn a_mean_is_near_if_its_narrow_interval_contains_the_target() {
    let holds = [true; 4];
    let near = |values: &[i128]| judged("mean(users) ~= 1s within 1% over seeds", values, &holds).0;
    assert_eq!(
        near(&[999 * MS, 1_000 * MS, 1_001 * MS, 1_000 * MS]),
        Some(true)
    );
    assert_eq!(
        near(&[900 * MS, 1_100 * MS, 950 * MS, 1_050 * MS]),
        Some(false),
        "too wide"
    );
    assert_eq!(
        near(&[1_009 * MS, 1_010 * MS, 1_009 * MS, 1_010 * MS]),
        Some(false),
        "beside it"
    );
}

#[test]
fn an_inequality_must_hold_for_the_whole_interval() {
    let holds = [true; 3];
    let below = |values: &[i128]| judged("mean(users) < 1s over seeds", values, &holds).0;
    assert_eq!(below(&[900 * MS, 901 * MS, 902 * MS]), Some(true));
    assert_eq!(below(&[900 * MS, 999 * MS, 950 * MS]), Some(false));
    let above = |op: &str, values: &[i128]| {
        judged(&format!("mean(users) {op} 1s over seeds"), values, &holds).0
    };
    for op in [">", "!="] {
        assert_eq!(above(op, &[1_100 * MS, 1_101 * MS, 1_102 * MS]), Some(true));
        assert_eq!(
            above(op, &[1_100 * MS, 1_001 * MS, 1_050 * MS]),
            Some(false)
        );
    }
}

#[test]
fn the_interval_of_a_mean_is_students_at_99_percent() {
    let values = [900 * MS, 1_000 * MS, 1_100 * MS];
    let (_, observed) = judged("mean(users) < 1s over seeds", &values, &[true; 3]);
    // A deviation of 100 ms divided by the root of 3, times 9.925 for two degrees of freedom: 573 ms.
    assert!(
        observed.starts_with("1s (426.98") && observed.ends_with("3 seeds; half width 57.30%)"),
        "{observed}"
    );
}

#[test]
fn a_border_is_met_by_at_most_and_missed_by_less() {
    let values = [1_000 * MS; 3];
    let same = |op: &str| {
        judged(
            &format!("mean(users) {op} 1s over seeds"),
            &values,
            &[true; 3],
        )
        .0
    };
    for (op, holds) in [
        ("<=", true),
        (">=", true),
        ("==", true),
        ("<", false),
        (">", false),
        ("!=", false),
    ] {
        assert_eq!(same(op), Some(holds), "{op}");
    }
}

#[test]
fn no_seed_is_no_answer() {
    for rule in ["over seeds", "in >= 1% of seeds"] {
        let (pass, observed) = judged(&format!("mean(users) < 1s {rule}"), &[], &[]);
        assert!(
            pass.is_none() && observed.starts_with("not judged: "),
            "{observed}"
        );
    }
}

#[test]
fn the_share_of_seeds_is_taken_as_observed() {
    let values = [0; 4];
    let share = |holds: &[bool; 4]| judged("mean(users) < 1s in >= 75% of seeds", &values, holds);
    assert_eq!(share(&[true, true, false, true]).0, Some(true));
    assert_eq!(share(&[true, false, false, true]).0, Some(false));
    let words = share(&[true, true, false, true]).1;
    assert!(
        words.starts_with("75% (3 of 4 seeds; ") && words.ends_with("; not in seed 2"),
        "{words}"
    );
}

#[test]
fn ten_seeds_in_which_it_does_not_hold_are_named() {
    let (_, observed) = judged(
        "mean(users) < 1s in >= 75% of seeds",
        &[0; 12],
        &[false; 12],
    );
    assert!(
        observed.ends_with("; not in seed 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        "{observed}"
    );
}

#[test]
fn one_seed_that_could_not_be_judged_keeps_all_from_it() {
    let mut all = samples(&[MS, MS, MS], &[true; 3]);
    all[1].1[0] = SeedSample {
        check: 0,
        sides: None,
        holds: None,
        reason: "no request".to_owned(),
    };
    let result = over_seeds(&small_scenario(&["mean(users) < 1s over seeds"]), &all).remove(0);
    assert_eq!(
        (result.pass, result.observed.as_str()),
        (None, "not judged: seed 1: no request")
    );
    let single = over_seeds(
        &small_scenario(&["mean(users) < 1s over seeds"]),
        &samples(&[MS], &[true]),
    )
    .remove(0);
    assert_eq!(single.pass, None);
}
