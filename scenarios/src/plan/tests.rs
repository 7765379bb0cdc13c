use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use shakedown_results::{ParticipantKind, PodId};

use super::{is_meant, list_participants, plan, resolve};
use crate::scenario::{ChaosAction, ExternalHost, ParticipantRole, ResolvedScenario};
use crate::{Edits, load_text};

fn small_scenario(chaos: &str) -> ResolvedScenario {
    let text = format!(
        "scenario: small
story: s
duration: 1m
topology:
  zones: {{a: {{}}, b: {{region: far}}}}
  services:
    web: {{workers: 4, endpoints: {{GET /: [call: api GET /]}}}}
    api: {{workers: 4, versions: {{v1: 3, v2: {{replicas: 2, labels: {{tier: gold}}}}}}, endpoints: {{GET /: [work: 1ms]}}}}
load: {{users: {{to: web GET /, rate: 10/s, clients: 2}}}}
chaos: [{chaos}]
expect: [success(users) == 100%]"
    );
    load_text("f.yaml", &text, &Edits::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Random streams by label, like those of the execution environment.
fn streams(seed: u64) -> impl FnMut(&str) -> ChaCha8Rng {
    move |label| {
        let mixed = label.bytes().fold(seed, |hash, byte| {
            hash.wrapping_mul(1_099_511_628_211) ^ u64::from(byte)
        });
        ChaCha8Rng::seed_from_u64(mixed)
    }
}

fn hit(chaos: &str) -> Vec<u32> {
    let planned = plan(&small_scenario(chaos), streams(1));
    planned[0].pods.iter().map(|pod| pod.0).collect()
}

#[test]
fn pod_order_is_service_version_replica_then_clients_then_the_control_plane() {
    let scenario = small_scenario("");
    let participants = list_participants(&scenario, &[]);
    let names: Vec<String> = (0..participants.pods.len())
        .map(|at| participants.pod_name(PodId(at as u32)))
        .collect();
    assert_eq!(
        names,
        [
            "web/v1/0",
            "api/v1/0",
            "api/v1/1",
            "api/v1/2",
            "api/v2/0",
            "api/v2/1",
            "users/0",
            "users/1",
            "control/0"
        ]
    );
    let zones: Vec<u16> = participants.pods.iter().map(|pod| pod.zone).collect();
    assert_eq!(
        zones,
        [0, 0, 1, 0, 0, 1, 0, 1, 0],
        "replicas go round the zones"
    );
    assert_eq!(
        participants.find("users").map(|participant| participant.0),
        Some(2)
    );
}

#[test]
fn every_participant_has_a_role_and_every_role_its_participant() {
    let mut scenario = small_scenario("");
    for name in ["shop.example.com", "pay.example.com"] {
        scenario.hosts.push(ExternalHost {
            name: name.to_owned(),
            port: 80,
        });
    }
    let participants = list_participants(&scenario, &[]);
    assert_eq!(participants.list.len(), 6);
    for (id, participant) in participants.iter() {
        let role = scenario.role(id);
        let (name, kind) = match role {
            ParticipantRole::Service(service) => {
                (&*scenario.service(service).name, ParticipantKind::Service)
            }
            ParticipantRole::Load(load) => (&*scenario.load(load).name, ParticipantKind::Load),
            ParticipantRole::Control => ("control", ParticipantKind::Control),
            ParticipantRole::Host(host) => (&*scenario.host(host).name, ParticipantKind::Host),
        };
        assert_eq!((&*participant.name, participant.kind), (name, kind));
        assert_eq!(scenario.participant(role), id);
    }
}

#[test]
fn targets_name_the_pods_that_they_say() {
    assert_eq!(hit("{at: 1s, do: crash, target: api}"), [1, 2, 3, 4, 5]);
    assert_eq!(hit("{at: 1s, do: crash, target: api/v1}"), [1, 2, 3]);
    assert_eq!(hit("{at: 1s, do: crash, target: api/v1/2}"), [3]);
    assert_eq!(hit("{at: 1s, do: crash, target: api in zone b}"), [2, 5]);
    assert_eq!(
        hit("{at: 1s, do: crash, target: \"* with tier=gold\"}"),
        [4, 5]
    );
    assert_eq!(
        hit("{at: 1s, do: crash, target: zone b}"),
        [2, 5],
        "clients are not crashed with their zone"
    );
    assert_eq!(hit("{at: 1s, do: crash, target: region far}"), [2, 5]);
    assert_eq!(hit("{at: 1s, do: crash, target: control}"), [8]);
    assert_eq!(
        hit("{at: 1s, do: crash, target: 30% of api}").len(),
        2,
        "parts are rounded up"
    );
    assert_eq!(
        hit("{at: 1s, do: crash, target: 9 of web}"),
        [0],
        "there are no more than there are"
    );
}

#[test]
fn the_ends_of_a_link_take_in_clients_and_the_control_plane() {
    let planned = plan(
        &small_scenario("{at: 1s, for: 2s, do: partition, target: zone b <-> *}"),
        streams(1),
    );
    let (from, to) = (&planned[0].pods, &planned[0].others);
    assert_eq!(from.iter().map(|pod| pod.0).collect::<Vec<_>>(), [2, 5, 7]);
    assert_eq!(to.len(), 9);
}

#[test]
fn faults_are_sorted_by_start_and_may_end_in_the_drain() {
    let scenario = small_scenario(
        "{name: late, at: 50s, for: 20s, do: pause, target: web}, {name: churn, every: 7s, from: 6s, until: 30s, for: 1s, do: crash, target: 1 of api}",
    );
    let planned = plan(&scenario, streams(1));
    let times: Vec<(&str, i64, Option<i64>)> = planned
        .iter()
        .map(|p| {
            (
                p.fault.name.as_str(),
                p.fault.start_ns / 1_000_000_000,
                p.fault.end_ns.map(|e| e / 1_000_000_000),
            )
        })
        .collect();
    assert_eq!(
        times,
        [
            ("churn", 13, Some(14)),
            ("churn", 20, Some(21)),
            ("churn", 27, Some(28)),
            ("late", 50, Some(70))
        ]
    );
    assert_eq!(planned[3].fault.what, "pause web/v1/0");
}

#[test]
fn an_item_drawn_to_start_at_the_runs_end_never_happens() {
    let at = |at: &str| {
        let item = format!("{{at: uniform({at}..{at}), do: crash, target: web}}");
        plan(&small_scenario(&item), streams(1)).len()
    };
    assert_eq!((at("59999ms"), at("60s")), (1, 0));
}

#[test]
fn what_lasts_to_the_very_end_of_the_drain_has_no_end() {
    let planned = plan(
        &small_scenario(
            "{at: 50s, for: 39s, do: pause, target: web}, {at: 51s, for: 39s, do: pause, target: web}",
        ),
        streams(1),
    );
    let ends: Vec<Option<i64>> = planned.iter().map(|planned| planned.fault.end_ns).collect();
    assert_eq!(ends, [Some(89_000_000_000), None]);
}

#[test]
fn what_fires_again_and_again_stops_before_its_until() {
    let planned = plan(
        &small_scenario("{every: 10s, from: 10s, until: 40s, do: crash, target: web}"),
        streams(1),
    );
    let starts: Vec<i64> = planned
        .iter()
        .map(|planned| planned.fault.start_ns / 1_000_000_000)
        .collect();
    assert_eq!(starts, [20, 30]);
}

#[test]
fn what_is_drawn_to_fire_without_an_interval_fires_a_nanosecond_later() {
    let planned = plan(
        &small_scenario("{every: uniform(0s..0s), from: 10s, do: crash, target: web}"),
        streams(1),
    );
    let starts: Vec<i64> = planned.iter().take(3).map(|p| p.fault.start_ns).collect();
    assert_eq!(starts, [10_000_000_001, 10_000_000_002, 10_000_000_003]);
    assert_eq!(planned.len(), super::FIRINGS_MAX, "and not for ever");
}

#[test]
fn the_pods_of_a_part_are_in_the_order_of_the_cast() {
    let scenario = small_scenario("{at: 1s, do: crash, target: 4 of api}");
    for seed in 0..20 {
        let pods = plan(&scenario, streams(seed)).remove(0).pods;
        assert!(pods.is_sorted(), "{pods:?}");
    }
}

#[test]
fn what_may_miss_is_told_to_the_run() {
    let planned = plan(
        &small_scenario(
            "{at: 1s, do: crash, target: web, may-miss: true}, {at: 2s, do: crash, target: web}",
        ),
        streams(1),
    );
    let may_miss: Vec<bool> = planned
        .iter()
        .map(|planned| planned.fault.may_miss)
        .collect();
    assert_eq!(may_miss, [true, false]);
}

#[test]
fn participants_list_pod_concurrency_limits_and_the_control_planes_zone() {
    let mut scenario = small_scenario("");
    scenario.services[1].versions[0].workers = None;
    scenario.services[1].versions[0].cores = Some(2);
    scenario.control.zone = 1;
    let participants = list_participants(&scenario, &[]);
    let limits: Vec<_> = participants
        .list
        .iter()
        .map(|p| (p.workers, p.cores))
        .collect();
    assert_eq!(limits[..2], [(Some(4), None), (None, Some(2))]);
    assert_eq!(participants.pods.last().map(|pod| pod.zone), Some(1));
}

#[test]
fn the_same_seed_draws_the_same_and_another_seed_something_else() {
    let scenario = small_scenario(
        "{name: x, at: uniform(1s..59s), for: exp(3s), do: crash, target: 1 of api}",
    );
    let times = |seed| plan(&scenario, streams(seed))[0].fault.clone();
    assert_eq!(times(1), times(1));
    assert!((2..12).any(|seed| times(seed).start_ns != times(1).start_ns));
    let targets: std::collections::BTreeSet<String> =
        (0..60).map(|seed| times(seed).what).collect();
    assert_eq!(
        targets.len(),
        5,
        "every replica has its chance: {targets:?}"
    );
}

#[test]
fn one_more_item_shifts_no_other_draw() {
    let alone = plan(
        &small_scenario("{name: x, at: uniform(1s..59s), do: crash, target: 1 of api}"),
        streams(1),
    );
    let both = plan(
        &small_scenario(
            "{name: w, at: uniform(1s..2s), do: pause, target: 1 of api}, {name: x, at: uniform(1s..59s), do: crash, target: 1 of api}",
        ),
        streams(1),
    );
    let x = both.iter().find(|p| p.fault.name == "x").unwrap();
    assert_eq!((&x.fault, &x.pods), (&alone[0].fault, &alone[0].pods));
}

#[test]
fn what_chaos_does_to_versions_loads_and_work_is_told_in_words() {
    let rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: api}, spec: {host: api}}";
    let scenario = small_scenario(&format!(
        "{{at: 1s, do: slow, target: api/v1/2, factor: 2.5}}, {{at: 2s, do: slow, target: api, add: 3ms}}, \
         {{at: 3s, do: fail, target: 1 of api/v2 in zone a, rate: 5%, with: reset}}, {{at: 4s, do: surge, target: users, factor: 3}}, \
         {{at: 5s, do: scale, target: api, to: 8}}, {{at: 6s, do: deploy, target: api/v3, replicas: 2}}, \
         {{at: 7s, do: apply, mesh: [{rule}]}}, {{at: 8s, do: apply, mesh: [{{remove: DestinationRule/api}}]}}"
    ));
    let planned = plan(&scenario, streams(1));
    let words: Vec<&str> = planned.iter().map(|p| p.fault.what.as_str()).collect();
    assert_eq!(
        words,
        [
            "slow api/v1/2 by a factor of 2.5",
            "slow api by 3ms more",
            "fail 5% of requests at api/v2/0 with reset",
            "surge users by a factor of 3",
            "scale api to 8 replicas",
            "deploy api/v3 with 2 replicas",
            "apply DestinationRule/api",
            "remove DestinationRule/api"
        ]
    );
    assert!(planned.iter().all(|p| p.fault.end_ns.is_none()));
}

#[test]
fn up_to_four_pods_are_listed_individually_and_links_with_their_arrow() {
    let words = |item: &str| plan(&small_scenario(item), streams(1)).remove(0).fault.what;
    let four = words("{at: 1s, do: crash, target: 4 of api}");
    assert_eq!(four.matches("api/v").count(), 4, "{four}");
    assert_eq!(
        words("{at: 1s, do: crash, target: 5 of api}"),
        "crash 5 of api"
    );
    for arrow in ["->", "<->"] {
        let item = format!("{{at: 1s, for: 2s, do: partition, target: web {arrow} api}}");
        assert_eq!(words(&item), format!("partition web/v1/0 {arrow} api"));
    }
}

#[test]
fn a_deployed_version_is_planned_without_pods_which_are_drawn_once_present() {
    let scenario = small_scenario(
        "{at: 1s, do: deploy, target: api/v3, replicas: 2}, {at: 5s, do: slow, target: 1 of api/v3, factor: 2}",
    );
    let planned = plan(&scenario, streams(1));
    let ChaosAction::Slow { target, .. } = &scenario.chaos[planned[1].item].action else {
        panic!("slow")
    };
    assert!(planned[1].pods.is_empty());
    let mut all = list_participants(&scenario, &planned).pods;
    assert_eq!(
        list_participants(&scenario, &planned).list[1].versions,
        ["v1", "v2", "v3"]
    );
    let before = all.len();
    for replica in 0..2 {
        let participant = shakedown_results::ParticipantId(1);
        all.push(shakedown_results::Pod {
            participant,
            version: 2,
            replica,
            zone: 0,
            meshed: true,
        });
    }
    let there = |id: PodId| id.0 as usize != before;
    let drawn = resolve(&scenario, &all, there, target, &mut streams(1)("late"));
    assert_eq!(drawn, [PodId(before as u32 + 1)]);
    assert!(is_meant(&scenario, &all[before], target) && !is_meant(&scenario, &all[1], target));
}
