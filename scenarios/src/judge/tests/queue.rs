//! A queue with one worker: the judge's figures must agree with queueing theory.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use shakedown_results::{Event, Fate, ParticipantId, PodId, Record, Root};

use super::OK;
use crate::judge::{Judge, RunJudgement, over_seeds};
use crate::scenario::ResolvedScenario;
use crate::value::Distribution;
use crate::{Edits, list_participants, load, plan};

/// The journal's records of an M/G/1 queue behind a client without latency.
fn records(service: &Distribution, rate: f64, seed: u64, until_ns: i64) -> Vec<Record> {
    let gap = Distribution::parse_duration(&format!("exp({}us)", (1e6 / rate) as u64)).unwrap();
    let (mut gaps, mut works) = (
        ChaCha8Rng::seed_from_u64(seed),
        ChaCha8Rng::seed_from_u64(seed + 1_000),
    );
    let draw = |distribution: &Distribution, rng: &mut ChaCha8Rng| {
        i64::try_from(distribution.sample_ns(rng)).unwrap()
    };
    let (pod, client) = (PodId(0), PodId(1));
    let (mut records, mut at, mut free) = (Vec::new(), 0i64, 0i64);
    for seq in 0.. {
        at += draw(&gap, &mut gaps);
        if at >= until_ns {
            break;
        }
        let root = Root {
            load: ParticipantId(1),
            entry: 0,
            seq,
        };
        let (start, begin) = (at, at.max(free));
        free = begin + draw(service, &mut works);
        let mut emit = |at_ns, event| records.push(Record { at_ns, event });
        emit(start, Event::Sent { root });
        emit(
            start,
            Event::Arrived {
                root: Some(root),
                pod,
                endpoint: 0,
                from: Some(client),
                queued: begin > start,
                copy: false,
            },
        );
        if begin > start {
            emit(begin, Event::Dequeued { pod, endpoint: 0 });
        }
        emit(
            free,
            Event::Served {
                root: Some(root),
                pod,
                endpoint: 0,
                from: Some(client),
                arrived_ns: start,
                queue_wait_ns: begin - start,
                outcome: OK,
                fate: Fate::Done,
                copy: false,
            },
        );
        emit(
            free,
            Event::Finished {
                root,
                pod: client,
                intended_ns: start,
                sent_ns: Some(start),
                outcome: OK,
                tries: 1,
            },
        );
    }
    records.sort_by_key(|record| record.at_ns);
    records
}

fn judged(scenario: &ResolvedScenario, service: &str, seed: u64) -> RunJudgement {
    let participants = list_participants(
        scenario,
        &plan(scenario, |_| ChaCha8Rng::seed_from_u64(seed)),
    );
    let mut judge = Judge::new(scenario, &participants);
    for record in records(
        &Distribution::parse_duration(service).unwrap(),
        800.0,
        seed,
        participants.duration_ns,
    ) {
        judge.record(&record);
    }
    judge.conclude()
}

fn sweep(service: &str, seeds: u64) -> Vec<(String, Option<bool>, String)> {
    let edits = Edits {
        variant: None,
        set: vec!["duration=5m".to_owned(), "warm-up=20s".to_owned()],
    };
    let scenario = load("theory-mm1", &edits).unwrap_or_else(|error| panic!("{error}"));
    let mut samples = Vec::new();
    for seed in 1..=seeds {
        let judgement = judged(&scenario, service, seed);
        assert_eq!(judgement.invariants, Vec::<String>::new());
        let client = judgement
            .checks
            .iter()
            .find(|check| check.name == "client")
            .unwrap();
        assert_eq!(client.pass, Some(true), "{client:?}");
        samples.push((seed, judgement.samples));
    }
    over_seeds(&scenario, &samples)
        .into_iter()
        .map(|check| (check.name, check.pass, check.observed))
        .collect()
}

#[test]
fn single_server_queue_formulas_pass_and_a_wrong_service_time_is_detected() {
    let right = sweep("exp(1ms)", 24);
    for (name, pass, observed) in &right {
        assert_eq!(*pass, Some(true), "{name}: {observed}");
    }
    let wrong = sweep("hyperexp(1ms cv2 1.21)", 6);
    let passed: Vec<bool> = wrong.iter().map(|(_, pass, _)| pass.unwrap()).collect();
    assert_eq!(passed, [false, false, true, true], "{wrong:?}");
}
