//! The catalogue's stories, on the stage and before the judge: each variant ends as it is told.

use shakedown_scenarios::{Judge, Told, as_told, catalogue, load_all};

use crate::{Options, World, cast, run};

#[test]
fn every_story_of_the_catalogue_that_is_short_ends_as_told() {
    // Theory needs many seeds, and long runs; the storm is long, and has a short one in `retries`.
    let names = catalogue()
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("theory-") && *name != "retry-storm");
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
