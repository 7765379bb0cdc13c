use serde_json::json;

use super::*;

fn shop() -> ScenarioBuilder {
    Scenario::build("shop")
        .duration("4s")
        .service(
            ServiceBuilder::new("front")
                .workers(8)
                .endpoint("GET /", ["work: 1ms", "call: back GET /"]),
        )
        .service(
            ServiceBuilder::new("back")
                .version("v1", 2)
                .workers(8)
                .endpoint("GET /", ["work: exp(2ms)"]),
        )
        .load(
            LoadBuilder::new("users")
                .to("front GET /")
                .rate("50/s")
                .poisson()
                .timeout("1s")
                .header("end-user", "jason"),
        )
        .check("all", "success(users) == 100%")
}

#[test]
fn a_built_scenario_runs_and_can_be_asserted_on() {
    let run = shop().run().unwrap();
    run.assert_pass();
    assert_eq!(run.check("all").pass, Some(true));
    assert_eq!(
        run.load("users").latency_ns.histogram.count(),
        run.load("users").scheduled
    );
}

#[test]
fn the_seed_decides_the_run() {
    let digest = |seed| shop().seed(seed).run().unwrap().document.digest;
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn chaos_of_a_built_scenario_breaks_what_it_breaks() {
    let crash = json!({"name": "gone", "at": "1s", "do": "crash", "target": "back"});
    shop().chaos(crash).run().unwrap().assert_breaks(&["all"]);
}

#[test]
fn a_variant_of_a_story_of_the_catalogue_breaks_as_told() {
    let scenario = Scenario::open("header-routing").set("duration=5s");
    scenario.run().unwrap().assert_pass();
    scenario
        .variant("fragile")
        .run()
        .unwrap()
        .assert_breaks(&["jason-v2", "ratings"]);
}

#[test]
fn errors_in_a_built_scenario_use_the_languages_terms() {
    let error = shop().duration("4").run().unwrap_err().to_string();
    assert!(
        error.contains("`4` has no unit: a duration is written `5s`"),
        "{error}"
    );
}

#[test]
fn an_error_in_a_built_scenario_names_the_path_of_its_value() {
    let error = |builder: ScenarioBuilder| builder.run().unwrap_err().to_string();
    assert_eq!(
        error(shop().warm_up("soon")),
        "shop (built): warm-up: invalid duration `soon`: a duration is written `5s`, `250ms`, `1m30s`"
    );
    let queue = ServiceBuilder::new("other").queue("{limit: many}");
    assert_eq!(
        error(shop().service(queue)),
        "shop (built): topology.services.other.queue:1:9: invalid count `many`: a count is written `4`, `10k`, `2M`"
    );
    let broken = ServiceBuilder::new("other").queue("{limit: ");
    assert!(
        error(shop().service(broken)).starts_with("shop (built): topology.services.other.queue:"),
    );
}

#[test]
fn the_first_version_added_is_the_stable_one() {
    let service = ServiceBuilder::new("back")
        .version("v2", 1)
        .version("v1", 1);
    let scenario = Scenario::build("s").service(service).finish();
    let ScenarioText::Tree { tree, .. } = scenario.source else {
        panic!("a built scenario is a tree")
    };
    let versions = tree.find(&["topology", "services", "back", "versions"]);
    let names: Vec<&String> = versions.unwrap().as_map().unwrap().keys().collect();
    assert_eq!(names, ["v2", "v1"]);
}

/// Keys whose setters take other values than a text, and keys that the builder does not need.
#[test]
fn every_key_of_a_scenario_can_be_set_in_rust() {
    let keys = |table: &str| -> Vec<String> {
        let rows = shakedown_scenarios::key_rows(table).into_iter();
        rows.map(|row| row.key).collect()
    };
    for (table, setters, others) in [
        (
            "Scenario",
            build::SCENARIO_KEYS,
            // Variants of a built scenario are other calls of the builder.
            &[
                "scenario", "topology", "load", "expect", "mesh", "chaos", "variants", "tags",
                "seed",
            ][..],
        ),
        (
            "Service",
            build::SERVICE_KEYS,
            &[
                "versions",
                "zones",
                "labels",
                "port",
                "workers",
                "cores",
                "forward",
                "endpoints",
            ],
        ),
        (
            "Load",
            build::LOAD_KEYS,
            &[
                "arrivals",
                "headers",
                "cookies",
                "zones",
                "clients",
                "in-flight",
            ],
        ),
    ] {
        let mut set: Vec<&str> = setters.iter().chain(others).copied().collect();
        let mut keys = keys(table);
        set.sort_unstable();
        keys.sort_unstable();
        assert_eq!(set, keys, "{table}");
    }
}

#[test]
#[should_panic(expected = "expected exactly [] to fail")]
fn a_run_that_passes_breaks_nothing() {
    shop().run().unwrap().assert_breaks(&[]);
}

/// The shop scenario with a document at 2 s that the control plane refuses: it defines a subset twice.
fn with_a_refused_document() -> ScenarioBuilder {
    shop().chaos(json!({"name": "bad", "at": "2s", "do": "apply", "mesh": [{
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "back"},
        "spec": {"host": "back", "subsets": [{"name": "v1"}, {"name": "v1"}]},
    }]}))
}

#[test]
fn a_refused_document_is_on_the_console_and_makes_the_run_invalid() {
    let run = with_a_refused_document().run().unwrap();
    assert_eq!(run.verdict(), Verdict::Invalid, "{run}");
    let text = run.to_string();
    for line in [
        "  invalid: the control plane refused DestinationRule/back at 2.1",
        "s; no check counts `refused(bad)`",
        ": DestinationRule/back: ",
        "duplicate subset `v1`",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
}

#[test]
fn a_run_whose_check_expects_the_refusal_passes() {
    let run = with_a_refused_document()
        .check("refusal", "refused(bad) == 1")
        .run()
        .unwrap();
    run.assert_pass();
    assert!(
        run.to_string().contains("  refused by the control plane, "),
        "{run}"
    );
}

const ROUTED: &str = "
scenario: routed
story: Routes lead some requests to another service than the one that is asked for.
duration: 4s
topology:
  services:
    api: {workers: 4, endpoints: {GET /: [work: 1ms]}}
    cart: {workers: 4, endpoints: {GET /cart: [work: 1ms], GET /v2/items: [work: 1ms]}}
    web: {workers: 4, endpoints: {GET /: [call: api GET /cart]}}
    packer:
      workers: 64
      calls: {api: {pool: {size: 1}}}
      endpoints: {GET /: [call: api GET /cart]}
mesh:
  - apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: api}
    spec:
      hosts: [api]
      http:
        - {match: [{uri: {prefix: /cart}}], route: [{destination: {host: cart}}]}
        - {match: [{uri: {prefix: /items}}], rewrite: {uri: /v2/items}, route: [{destination: {host: cart}}]}
        - {route: [{destination: {host: api}}]}
  - apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop}
    spec: {hosts: [shop.example], http: [{route: [{destination: {host: cart}}]}]}
load:
  users:
    rate: 80/s
    mix: {cart: {to: api GET /cart}, items: {to: api GET /items}, home: {to: api GET /}, lost: {to: api GET /lost}}
  fans: {to: web GET /, rate: 20/s}
  guests: {to: shop.example GET /cart, rate: 20/s}
  hasty: {to: api GET /cart, rate: 20/s, timeout: 500us, retries: 1}
  crowd: {to: packer GET /, rate: 200/s, arrivals: poisson}
expect:
  - count(users.cart where via cart) == count(users.cart)
  - success(users.cart) == 100%
  - success(users.items) == 100%
  - success(users.lost) == 0%
  - count(users.lost where status == 404) > 0
  - count(users -> cart) == count(users.cart) + count(users.items)
  - count(users -> api) == count(users.home) + count(users.lost)
  - success(users -> cart) == 100%
  - count(web -> cart) == count(fans)
  - count(web -> api) == 0
  - success(fans) == 100%
  - success(guests) == 100%
  - count(guests -> cart) == count(guests)
  - count(hasty where timeout) == count(hasty)
  - count(hasty -> cart where timeout) == 2 * count(hasty)
  - count(hasty -> api) == 0
  - in-flight.max(hasty -> cart) == 1
  - in-flight.max(hasty -> api) == 0
  - in-flight.max(packer -> cart) == 1
  - in-flight.max(packer -> api) == 0
  - in-flight.max(users -> api) >= 1
  - count(packer -> cart where pool-wait > 500us) >= 50
  - count(packer -> cart where pool-wait > 500us) < count(packer -> cart)
";

#[test]
fn requests_are_answered_where_routes_lead_them() {
    let run = Scenario::yaml(ROUTED).run().unwrap();
    run.assert_pass();
    let edges: Vec<(&str, &str)> = run
        .document
        .edges
        .iter()
        .map(|edge| (edge.source.as_str(), edge.destination.as_str()))
        .collect();
    assert_eq!(
        edges,
        [
            ("web", "cart"),
            ("packer", "cart"),
            ("users", "api"),
            ("users", "cart"),
            ("fans", "web"),
            ("guests", "cart"),
            ("hasty", "cart"),
            ("crowd", "packer"),
        ]
    );
    let edge = |source: &str, destination: &str| {
        let mut edges = run.document.edges.iter();
        let edge = edges.find(|edge| (&*edge.source, &*edge.destination) == (source, destination));
        edge.unwrap()
    };
    for (source, host) in [
        ("web", "api"),
        ("users", "api"),
        ("guests", "shop.example"),
        ("hasty", "api"),
    ] {
        let edge = edge(source, "cart");
        let requested: Vec<(&str, u64)> = edge
            .asked
            .iter()
            .map(|called| (&*called.host, called.requests))
            .collect();
        assert_eq!(requested, [(host, edge.requests)], "{source}");
        assert_eq!(edge.attempts, edge.requests, "{source}");
    }
    assert_eq!(edge("users", "api").asked, []);
    let page = shakedown_reports::html::render(&run.document);
    assert!(page.contains("requested as shop.example"));
}

#[test]
fn the_replay_line_runs_the_same_again() {
    let run = Scenario::open("scenarios/header-routing.yaml")
        .set("duration=2s")
        .seed(3)
        .run()
        .unwrap();
    assert_eq!(
        run.document.replay,
        "shakedown run scenarios/header-routing.yaml --set 'duration=2s' --seed 3"
    );
    // A built scenario has no file, so no command can run it.
    let run = shop().seed(3).run().unwrap();
    assert_eq!(run.document.replay, "this test, with .seed(3)");
}

#[test]
fn unwrap_prints_what_the_command_prints() {
    let error = Scenario::yaml("scenario: x\n").run().unwrap_err();
    assert!(
        format!("{error:?}").starts_with("scenario.yaml:1:1: `story` is missing"),
        "{error:?}"
    );
    assert_eq!(format!("{error:?}"), error.to_string());
    let error = Scenario::open("no-such-story").run().unwrap_err();
    assert!(
        format!("{error:?}").starts_with("no file or catalogue scenario is named"),
        "{error:?}"
    );
}

#[test]
fn a_json_check_has_a_value_a_unit_and_a_sample_size() {
    let run = shop()
        .check("quick", "p99(users) < 1s")
        .check("always", "always success(users) >= 90% per 1s")
        .run()
        .unwrap();
    let all = serde_json::to_value(run.check("all")).unwrap();
    let count = run.load("users").scheduled;
    assert_eq!(
        all["measured"],
        json!({"value": 100, "unit": "%", "limit": 100, "samples": count})
    );
    assert!(all["observed"].as_str().unwrap().starts_with("100%"));
    let quick = serde_json::to_value(run.check("quick")).unwrap();
    assert_eq!(quick["measured"]["unit"], "ns");
    assert_eq!(quick["measured"]["limit"], 1_000_000_000);
    assert_eq!(quick["measured"]["samples"], count);
    let nanos = quick["measured"]["value"].as_i64().unwrap();
    assert!((1_000_000..1_000_000_000).contains(&nanos), "{nanos}");
    let always = serde_json::to_value(run.check("always")).unwrap();
    assert_eq!(
        always["measured"],
        json!({"value": 100, "unit": "%", "limit": 90})
    );
}

#[test]
fn a_sweep_shows_how_near_each_check_came_to_its_limit() {
    let swept = |limit: &str| {
        let edits = Edits {
            variant: None,
            set: vec![format!("expect=[{{quick: max(fans) < {limit}}}]")],
        };
        let text = ROUTED.replace("work: 1ms", "work: exp(1ms)");
        let scenario = load_text("routed.yaml", &text, &edits).unwrap();
        let jobs = std::num::NonZeroUsize::MIN;
        crate::sweep::sweep(&scenario, 1..=3, jobs, RunOptions::default, |_| {}).unwrap()
    };
    let of = |swept: &crate::sweep::Swept| {
        let check = swept.checks.iter().find(|check| check.name == "quick");
        check.unwrap().observed.clone()
    };
    let green = swept("10s");
    let words = of(&green);
    assert!(words.starts_with("true in all 3 seeds: min "), "{words}");
    assert!(words.contains("; worst seed "), "{words}");
    assert_eq!(green.failures, [0; 0]);
    let red = swept("1us");
    let worst = red.failures[0];
    let words = of(&red);
    let start = format!("true in 0 of 3 seeds; seed {worst}: ");
    assert!(words.starts_with(&start), "{words}");
    let mut names = red.checks.iter().map(|check| check.name.as_str());
    let quick = names.position(|name| name == "quick").unwrap();
    let value = |seed: &u64| red.runs[seed].checks[quick].measured.unwrap().value;
    let values: Vec<_> = red.failures.iter().map(value).collect();
    assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
    assert_eq!(values.len(), 3);
}

#[test]
fn a_strict_scenario_refuses_what_is_not_modelled() {
    let scenario = Scenario::yaml(
        "scenario: strict\nstory: A policy that is not modelled.\nduration: 1s\n\
         topology: {services: {web: {workers: 4, endpoints: {GET /: [work: 1ms]}}}}\n\
         mesh:\n- {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: deny}, spec: {}}\n\
         load: {users: {to: web GET /, rate: 10/s}}\nexpect: [success(users) >= 1%]\n",
    );
    let passed_over = scenario.run().unwrap();
    passed_over.assert_pass();
    assert_eq!(passed_over.document.not_modelled.len(), 1);
    let error = scenario.strict().run().unwrap_err().to_string();
    assert!(
        error.starts_with("scenario.yaml:6:")
            && error.contains("AuthorizationPolicy deny: this kind is not modelled"),
        "{error}"
    );
}
