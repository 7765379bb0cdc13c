//! The catalogue's stories, on the stage and before the judge: each variant ends as it is told.

use shakedown_scenarios::{Judge, Told, as_told, catalogue, load_all};

use crate::{Options, World, cast, run};

#[test]
fn every_story_of_the_catalogue_that_is_no_theory_ends_as_told() {
    // Theory needs many seeds, and long runs.
    let names = catalogue()
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("theory-"));
    for name in names {
        for story in load_all(name).unwrap() {
            let (_, cast) = cast(&story, story.seed);
            let mut judge = Judge::new(&story, &cast);
            let options = Options {
                seed: story.seed,
                ..Options::default()
            };
            let record = &mut |_: &_, record: &_| judge.record(record);
            let ended = run(&story, options, World::Native, record).unwrap();
            let judgement = judge.conclude();
            let who = format!("{name}, {}", story.variant);
            assert_eq!(as_told(&story, &judgement.checks), Told::As, "{who}");
            assert_eq!(judgement.invariants, [""; 0], "{who}");
            assert_eq!(ended.invalid, [""; 0], "{who}");
        }
    }
}

#[test]
#[ignore = "temporary"]
fn temp_real() {
    for name in ["header-routing", "crash-fail-over", "pause-backlog", "partition-heals"] {
        for story in load_all(name).unwrap() {
            let (_, c) = cast(&story, 1);
            let mut judge = Judge::new(&story, &c);
            let mut finished = Vec::new();
            let ended = run(&story, Options { seed: 1, ..Options::default() }, World::Real, &mut |_, record| {
                if let shakedown_results::Event::Finished { intended_ns, sent_ns: Some(s), .. } = &record.event { finished.push((record.at_ns - intended_ns, s - intended_ns)); }
                judge.record(record)
            }).unwrap();
            let judgement = judge.conclude();
            eprintln!("== {name} {} simulated {} invalid {:?} invariants {:?}", story.variant, ended.simulated_ns, ended.invalid, judgement.invariants);
            eprintln!("  told {:?}", as_told(&story, &judgement.checks));
            let n = finished.len();
            let mut lag: Vec<i64> = finished.iter().map(|f| f.1).collect(); lag.sort();
            finished.sort();
            eprintln!("  n {n} p50 {} p99 {} lag p50 {} p99 {}", finished[n/2].0, finished[n*99/100].0, lag[n/2], lag[n*99/100]);
            break;
        }
    }
}
