mod changes;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use shakedown_istio::registry::Hostname;
use shakedown_istio::{Document, Resource};
use shakedown_yaml::tree;

use super::super::history::PodCounts;
use super::*;

/// A machine with a scripted environment that executes its actions immediately.
struct Scene {
    machine: Machine,
    canary: Resource<Canary>,
    now: Time,
    versions: BTreeMap<String, VersionState>,
    stable: Option<String>,
    history: History,
    counts: PodCounts,
    in_force: bool,
    sampling: bool,
    /// True if added pods do not become ready.
    stuck: bool,
    reported: Vec<(CanaryPhase, u32, String)>,
}

const STEPS: &str = "interval: 15s, threshold: 2, maxWeight: 30, stepWeight: 10";
const RATE: &str = "metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]";

fn pod(n: u8) -> IpAddr {
    Ipv4Addr::new(127, 1, 0, n).into()
}

fn canary(analysis: &str) -> Resource<Canary> {
    let text = format!(
        "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {{name: a}}\nspec:\n  \
         targetRef: {{kind: Deployment, name: a}}\n  service: {{port: 80}}\n  \
         analysis: {{{analysis}}}\n"
    );
    match Document::read(&tree::parse("mesh.yaml", &text).unwrap()[0]).unwrap() {
        Document::Canary(canary) => canary,
        other => panic!("{other:?}"),
    }
}

impl Scene {
    /// Three pods of v1, and no new version.
    fn new(analysis: &str) -> Scene {
        let mut scene = Scene {
            machine: Machine::new(Time::ZERO),
            canary: canary(analysis),
            now: Time::ZERO,
            versions: BTreeMap::new(),
            stable: Some("v1".to_owned()),
            history: History::default(),
            counts: PodCounts::default(),
            in_force: true,
            sampling: false,
            stuck: false,
            reported: Vec::new(),
        };
        scene.has("v1", 3, 3);
        scene.go();
        scene
    }

    /// A scene in which v2 has just received its first share.
    fn analysing(analysis: &str) -> Scene {
        let mut scene = Scene::new(analysis);
        scene.has("v2", 1, 1);
        scene.go();
        scene
    }

    fn has(&mut self, version: &str, desired: u32, ready: u8) {
        let first = (version.as_bytes()[1] - b'0') * 10;
        let pods = (0..desired).zip(first..);
        let pods = pods.map(|(n, at)| (pod(at), n < u32::from(ready)));
        let before = self.versions.get(version);
        let raised = match before {
            Some(state) if state.desired != Some(0) => state.raised,
            _ => {
                self.versions
                    .values()
                    .map(|state| state.raised)
                    .max()
                    .unwrap_or(0)
                    + 1
            }
        };
        let state = VersionState {
            desired: Some(desired),
            raised,
            pods: pods.collect(),
        };
        self.versions.insert(version.to_owned(), state);
    }

    /// Advances the machine until nothing more happens. Replicas start and stop immediately.
    fn go(&mut self) {
        for _ in 0..10 {
            let rollout = CanaryTarget {
                key: Document::Canary(self.canary.clone()).key(),
                canary: self.canary.clone(),
                service: Hostname::for_service("a", "default"),
                stable: self.stable.clone(),
                versions: self.versions.clone(),
            };
            let seen = Observations {
                rollout: &rollout,
                in_force: self.in_force,
                sampling: self.sampling,
                history: &self.history,
                trouble: None,
            };
            let before = self.machine.progress().clone();
            let acts = self.machine.advance(self.now, &self.canary.spec, &seen);
            let idle = acts.is_empty() && before == *self.machine.progress();
            for act in acts {
                match act {
                    RolloutAction::Report {
                        phase,
                        weight,
                        reason,
                        ..
                    } => self.reported.push((phase, weight, reason)),
                    RolloutAction::Scale(version, replicas) => {
                        let ready = if self.stuck { 1 } else { replicas };
                        self.has(&version, replicas, u8::try_from(ready).unwrap());
                    }
                    RolloutAction::Stable(version) => self.stable = Some(version),
                    RolloutAction::Sample => self.sample(),
                    RolloutAction::Forget => self.history = History::default(),
                }
            }
            if idle {
                return;
            }
        }
        panic!("it never rests: {:?}", self.reported);
    }

    fn sample(&mut self) {
        let keep = Duration::from_secs(60);
        self.history
            .add(pod(20), self.now, self.counts.clone(), keep);
    }

    /// Lets an interval pass with this many requests and errors.
    fn after(&mut self, requests: u64, errors: u64) {
        self.now += Duration::from_secs(15);
        self.counts.requests += requests;
        self.counts.errors += errors;
        self.sample();
        self.go();
    }

    fn weight(&self) -> u32 {
        self.machine.split(&self.canary.spec).unwrap().weight
    }

    fn last(&self) -> (CanaryPhase, u32, &str) {
        let (phase, weight, reason) = self.reported.last().unwrap();
        (*phase, *weight, reason)
    }

    fn phases(&self) -> Vec<CanaryPhase> {
        let mut phases: Vec<CanaryPhase> = self.reported.iter().map(|(phase, ..)| *phase).collect();
        phases.dedup();
        phases
    }
}

fn steps() -> String {
    format!("{STEPS}, {RATE}")
}

#[test]
fn a_service_without_a_new_version_is_left_to_its_stable_one() {
    let scene = Scene::new(&steps());
    assert_eq!(
        scene.last(),
        (CanaryPhase::Initialized, 0, "v1 is the stable version")
    );
    let split = scene.machine.split(&scene.canary.spec);
    assert_eq!(split, Some(Split::all_to("v1")));
}

#[test]
fn a_canary_gets_no_traffic_until_pods_are_ready_and_proxies_updated() {
    let mut scene = Scene::new(&steps());
    scene.has("v2", 2, 1);
    scene.go();
    assert_eq!(
        (scene.last().0, scene.weight()),
        (CanaryPhase::Progressing, 0)
    );
    let split = scene.machine.split(&scene.canary.spec).unwrap();
    assert_eq!(split.canary.as_deref(), Some("v2"));
    scene.in_force = false;
    scene.has("v2", 2, 2);
    scene.go();
    assert_eq!(scene.weight(), 0);
    scene.in_force = true;
    scene.go();
    assert_eq!(scene.weight(), 10);
}

#[test]
fn a_good_version_climbs_is_promoted_and_becomes_the_stable_one() {
    let mut scene = Scene::analysing(&steps());
    let mut weights = vec![scene.weight()];
    for _ in 0..3 {
        scene.after(300, 1);
        weights.push(scene.weight());
    }
    assert_eq!(weights, [10, 20, 30, 0]);
    assert_eq!(
        scene.phases(),
        [
            CanaryPhase::Initialized,
            CanaryPhase::Progressing,
            CanaryPhase::Promoting,
            CanaryPhase::Finalising,
            CanaryPhase::Succeeded
        ]
    );
    assert_eq!(scene.last().1, 100);
    assert_eq!(scene.stable.as_deref(), Some("v2"));
    assert_eq!(scene.versions["v2"].desired, Some(3));
    assert_eq!(scene.versions["v1"].desired, Some(0));
    let split = scene.machine.split(&scene.canary.spec);
    assert_eq!(split, Some(Split::all_to("v2")));
}

#[test]
fn a_bad_version_is_rolled_back_after_failed_checks_with_a_reason() {
    let mut scene = Scene::analysing(&steps());
    scene.after(300, 15);
    assert_eq!(
        scene.last(),
        (
            CanaryPhase::Progressing,
            10,
            "request-success-rate 95% < 99% over 15 s (300 requests): 1 of 2 failed checks, the weight is not changed"
        )
    );
    scene.after(300, 17);
    assert_eq!(
        scene.last(),
        (
            CanaryPhase::Failed,
            0,
            "request-success-rate 94.6% < 99% over 30 s (600 requests): 2 of 2 failed checks, rolled back"
        )
    );
    assert_eq!(scene.versions["v2"].desired, Some(0));
    assert_eq!(scene.stable.as_deref(), Some("v1"));
}

#[test]
fn a_failed_version_stays_failed_until_somebody_deploys_it_again() {
    let mut scene = Scene::analysing(&steps());
    scene.after(300, 15);
    scene.after(300, 15);
    scene.after(0, 0);
    assert_eq!(scene.last().0, CanaryPhase::Failed);
    scene.has("v2", 1, 1);
    scene.go();
    assert_eq!(
        (scene.last().0, scene.weight()),
        (CanaryPhase::Progressing, 10)
    );
}

#[test]
fn it_is_not_failed_before_every_proxy_has_let_go_of_it() {
    let mut scene = Scene::analysing(&steps());
    scene.after(300, 15);
    scene.now += Duration::from_secs(15);
    scene.in_force = false;
    scene.sample();
    scene.go();
    assert_eq!(
        (scene.last().0, scene.weight()),
        (CanaryPhase::Progressing, 0)
    );
    assert_eq!(scene.versions["v2"].desired, Some(1));
    scene.in_force = true;
    scene.go();
    assert_eq!(scene.last().0, CanaryPhase::Failed);
    assert_eq!(scene.versions["v2"].desired, Some(0));
}

#[test]
fn a_proxy_that_never_answers_does_not_keep_a_bad_version_alive() {
    let mut scene = Scene::analysing(&steps());
    scene.after(300, 15);
    scene.in_force = false;
    scene.after(300, 15);
    scene.now += RETREAT_PATIENCE;
    scene.go();
    assert_eq!(scene.last().0, CanaryPhase::Failed);
    assert!(
        scene.last().2.contains("not every proxy"),
        "{:?}",
        scene.last()
    );
}

#[test]
fn no_traffic_is_no_verdict_and_in_the_end_no_promotion() {
    let mut scene = Scene::analysing(&steps());
    for _ in 0..39 {
        scene.after(0, 0);
    }
    assert_eq!(
        scene.last(),
        (
            CanaryPhase::Progressing,
            10,
            "no requests to v2 in the last 60 s, so no verdict"
        )
    );
    scene.after(0, 0);
    assert_eq!(
        scene.last(),
        (
            CanaryPhase::Failed,
            0,
            "no requests to v2 in the last 60 s, so no verdict, after 600 s without a step, rolled back"
        )
    );
}

#[test]
fn the_interval_counts_from_when_the_weight_is_in_force() {
    let mut scene = Scene::analysing(&steps());
    scene.in_force = false;
    scene.after(300, 0);
    assert_eq!(scene.weight(), 20);
    scene.after(300, 0);
    scene.after(300, 0);
    assert_eq!(scene.weight(), 20);
    scene.in_force = true;
    scene.go();
    scene.now += Duration::from_secs(14);
    scene.go();
    assert_eq!(scene.weight(), 20);
    scene.now += Duration::from_secs(1);
    scene.go();
    assert_eq!(scene.weight(), 30);
}

#[test]
fn a_check_waits_for_the_metrics_that_are_being_read() {
    let mut scene = Scene::analysing(&steps());
    scene.sampling = true;
    scene.after(300, 0);
    assert_eq!(scene.weight(), 10);
    scene.sampling = false;
    scene.go();
    assert_eq!(scene.weight(), 20);
}

#[test]
fn steps_may_be_listed_and_promotion_may_take_steps() {
    let analysis = format!("interval: 15s, stepWeights: [1, 40], stepWeightPromotion: 30, {RATE}");
    let mut scene = Scene::analysing(&analysis);
    for _ in 0..3 {
        scene.after(300, 0);
    }
    let mut weights: Vec<u32> = scene
        .reported
        .iter()
        .map(|(_, weight, _)| *weight)
        .collect();
    weights.dedup();
    assert_eq!(weights, [0, 1, 40, 70, 100], "{:?}", scene.reported);
    assert_eq!(scene.last().0, CanaryPhase::Succeeded);
}

#[test]
fn an_ab_test_sends_what_matches_and_counts_passed_checks() {
    let analysis = format!(
        "interval: 15s, iterations: 2, match: [{{headers: {{x-user: {{exact: tester}}}}}}], {RATE}"
    );
    let mut scene = Scene::analysing(&analysis);
    let split = scene.machine.split(&scene.canary.spec).unwrap();
    assert_eq!((split.weight, split.matched), (0, true));
    scene.after(20, 0);
    assert!(
        scene.last().2.ends_with("1 of 2 checks passed"),
        "{:?}",
        scene.last()
    );
    scene.after(20, 0);
    assert_eq!(scene.last().0, CanaryPhase::Succeeded);
    assert!(!scene.machine.split(&scene.canary.spec).unwrap().matched);
}

#[test]
fn a_skipped_analysis_promotes_at_once() {
    let mut scene = Scene::new(&steps());
    scene.canary.spec.value.skip_analysis = true;
    scene.has("v2", 1, 1);
    scene.go();
    assert_eq!(scene.last().0, CanaryPhase::Succeeded);
    assert_eq!(scene.stable.as_deref(), Some("v2"));
}

#[test]
fn a_resumed_rollout_goes_on_where_it_was() {
    let mut scene = Scene::analysing(&steps());
    scene.after(300, 0);
    scene.after(300, 30);
    let stored = serde_json::to_vec(scene.machine.progress()).unwrap();
    let progress: RolloutProgress = serde_json::from_slice(&stored).unwrap();
    scene.machine = Machine::resume(progress, scene.now);
    scene.history = History::default();
    scene.go();
    assert_eq!(scene.weight(), 20);
    // An earlier check had failed.
    scene.after(300, 30);
    assert!(
        scene.last().2.contains("2 of 2 failed checks"),
        "{:?}",
        scene.last()
    );
}

#[test]
fn without_metrics_every_check_passes() {
    let mut scene = Scene::analysing("interval: 15s, stepWeight: 50, maxWeight: 50");
    scene.after(0, 0);
    assert_eq!(scene.last().0, CanaryPhase::Succeeded);
    assert!(
        scene
            .reported
            .iter()
            .any(|(.., reason)| reason.contains("no metrics to judge"))
    );
}
