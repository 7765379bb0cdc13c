//! Newer versions, missing pods and edits of the document during a rollout.

use super::*;

#[test]
fn a_newer_version_restarts_the_analysis_at_0() {
    let mut scene = Scene::analysing(&steps());
    scene.after(300, 0);
    scene.after(300, 15);
    scene.in_force = false;
    scene.has("v3", 1, 1);
    scene.go();
    let split = scene.machine.split(&scene.canary.spec).unwrap();
    assert_eq!((split.canary.as_deref(), split.weight), (Some("v2"), 0));
    assert_eq!(scene.versions["v2"].desired, Some(1));
    scene.in_force = true;
    scene.go();
    let split = scene.machine.split(&scene.canary.spec).unwrap();
    assert_eq!((split.canary.as_deref(), split.weight), (Some("v3"), 10));
    assert_eq!(scene.versions["v2"].desired, Some(0));
    // The failed check of the previous version does not count.
    scene.after(300, 15);
    assert!(
        scene.last().2.contains("1 of 2 failed checks"),
        "{:?}",
        scene.last()
    );
    assert!(
        !scene.phases().contains(&CanaryPhase::Failed),
        "{:?}",
        scene.reported
    );
}

#[test]
fn of_two_new_versions_the_newest_is_rolled_out() {
    let mut scene = Scene::new(&steps());
    scene.has("v3", 1, 1);
    scene.has("v2", 1, 1);
    scene.go();
    let split = scene.machine.split(&scene.canary.spec).unwrap();
    assert_eq!((split.canary.as_deref(), split.weight), (Some("v2"), 10));
    assert_eq!(scene.versions["v3"].desired, Some(0));
}

#[test]
fn a_newer_version_waits_for_the_end_of_a_promotion() {
    let mut scene = Scene::analysing(&format!(
        "interval: 15s, stepWeights: [50], stepWeightPromotion: 20, {RATE}"
    ));
    scene.after(300, 0);
    scene.has("v3", 1, 1);
    scene.go();
    assert_eq!(
        (scene.last().0, scene.weight()),
        (CanaryPhase::Promoting, 70)
    );
    for _ in 0..2 {
        scene.after(0, 0);
    }
    assert_eq!(scene.stable.as_deref(), Some("v2"));
    scene.go();
    let split = scene.machine.split(&scene.canary.spec).unwrap();
    assert_eq!((split.canary.as_deref(), split.weight), (Some("v3"), 50));
}

#[test]
fn the_analysis_halts_while_the_stable_version_lacks_pods() {
    let mut scene = Scene::analysing(&steps());
    scene.has("v1", 3, 2);
    for _ in 0..50 {
        scene.after(300, 300);
    }
    assert_eq!(
        scene.last(),
        (
            CanaryPhase::Progressing,
            10,
            "2 of 3 pods of v1 are ready: halted"
        )
    );
    scene.has("v1", 3, 3);
    scene.history = History::default();
    scene.sample();
    scene.after(300, 0);
    assert_eq!(scene.weight(), 20);
}

#[test]
fn the_weight_stays_while_the_new_version_lacks_pods() {
    let mut scene = Scene::analysing(&steps());
    scene.has("v2", 2, 1);
    scene.after(300, 0);
    assert_eq!(
        scene.last(),
        (
            CanaryPhase::Progressing,
            10,
            "1 of 2 pods of v2 are ready: the weight is not changed"
        )
    );
    scene.has("v2", 2, 2);
    scene.after(300, 0);
    assert_eq!(scene.weight(), 20);
}

#[test]
fn a_promotion_halts_while_either_version_lacks_pods() {
    let mut scene = Scene::analysing(&format!(
        "interval: 15s, stepWeights: [50], stepWeightPromotion: 25, {RATE}"
    ));
    scene.has("v1", 3, 2);
    scene.after(300, 0);
    assert_eq!(
        (scene.last().0, scene.weight()),
        (CanaryPhase::Progressing, 50)
    );
    scene.has("v1", 3, 3);
    scene.after(300, 0);
    assert_eq!(
        (scene.last().0, scene.weight()),
        (CanaryPhase::Promoting, 75)
    );
    for (version, ready) in [("v1", 2), ("v2", 2)] {
        scene.has(version, 3, ready);
        scene.after(300, 0);
        let words = format!("2 of 3 pods of {version} are ready: halted");
        assert_eq!(scene.last(), (CanaryPhase::Promoting, 75, words.as_str()));
        scene.has(version, 3, 3);
    }
    scene.in_force = false;
    scene.after(300, 0);
    assert_eq!(scene.weight(), 100);
    scene.has("v2", 3, 2);
    scene.in_force = true;
    scene.go();
    assert_eq!(scene.last().0, CanaryPhase::Finalising);
    assert_eq!(scene.versions["v1"].desired, Some(3));
    scene.has("v2", 3, 3);
    scene.go();
    assert_eq!(scene.last().0, CanaryPhase::Succeeded);
}

#[test]
fn an_analysis_that_is_skipped_midway_ends_at_the_next_check() {
    let mut scene = Scene::analysing(&format!(
        "interval: 15s, stepWeight: 10, stepWeightPromotion: 10, {RATE}"
    ));
    scene.canary.spec.value.skip_analysis = true;
    scene.has("v1", 3, 2);
    scene.go();
    assert_eq!(
        (scene.last().0, scene.weight()),
        (CanaryPhase::Progressing, 10)
    );
    scene.after(300, 300);
    assert_eq!(scene.last().0, CanaryPhase::Succeeded);
    assert_eq!(scene.stable.as_deref(), Some("v2"));
}

#[test]
fn pods_that_never_get_ready_end_the_rollout() {
    let mut scene = Scene::new(&steps());
    scene.has("v2", 2, 1);
    scene.go();
    scene.now += Duration::from_secs(600);
    scene.go();
    assert_eq!(
        scene.last(),
        (
            CanaryPhase::Failed,
            0,
            "1 of 2 pods are ready after 600 s without a step, rolled back"
        )
    );
}

#[test]
fn a_promotion_whose_pods_do_not_come_is_taken_back() {
    let mut scene = Scene::analysing(&format!(
        "interval: 15s, stepWeight: 50, maxWeight: 50, {RATE}"
    ));
    scene.stuck = true;
    scene.after(300, 0);
    assert_eq!(
        (scene.last().0, scene.weight()),
        (CanaryPhase::Promoting, 50)
    );
    scene.now += Duration::from_secs(600);
    scene.go();
    assert_eq!(
        scene.last(),
        (
            CanaryPhase::Failed,
            0,
            "1 of 3 pods are ready to take over after 600 s without a step, rolled back"
        )
    );
    assert_eq!(scene.versions["v1"].desired, Some(3));
}

#[test]
fn a_version_that_somebody_takes_away_fails() {
    let mut scene = Scene::analysing(&steps());
    scene.has("v2", 0, 0);
    scene.go();
    assert_eq!(
        scene.last(),
        (CanaryPhase::Failed, 0, "v2 was scaled to 0, rolled back")
    );
}
