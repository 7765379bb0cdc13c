//! The bounds of the language: the last accepted and the first refused value of each.

mod checks;

use std::time::Duration;

use super::{errors, read, small_scenario};
use crate::{Edits, load_text};

/// Checks that a value at the bound loads and the value beyond it is refused with this message.
fn bound(made: impl Fn(&str) -> String, within: &str, beyond: &str, message: &str) {
    read(&made(within));
    let lines = errors(&made(beyond));
    assert!(lines.contains(message), "{beyond}: {lines}");
}

/// The small scenario with one text replaced. `{}` in the new text is the value.
fn replaced(from: &'static str, to: &'static str) -> impl Fn(&str) -> String {
    move |value| small_scenario("").replace(from, &to.replace("{}", value))
}

/// The small scenario with a chaos item. `{}` in the item is the value.
fn chaos(item: &'static str) -> impl Fn(&str) -> String {
    move |value| small_scenario(&format!("chaos: [{{{}}}]\n", item.replace("{}", value)))
}

/// The small scenario with other settings of the calls to api.
fn settings(settings: &'static str) -> impl Fn(&str) -> String {
    replaced("{workers: 4, endpoints: {GET /: [work", settings)
}

#[test]
fn a_name_has_63_characters_at_most() {
    let item = "name: {}, at: 5s, do: crash, target: api";
    bound(
        chaos(item),
        &"a".repeat(63),
        &"a".repeat(64),
        "invalid chaos item name",
    );
}

#[test]
fn a_name_does_not_end_in_a_hyphen() {
    let item = "name: {}, at: 5s, do: crash, target: api";
    bound(
        chaos(item),
        "so-sick",
        "sick-",
        "invalid chaos item name `sick-`",
    );
}

#[test]
fn a_name_begins_with_a_letter() {
    let item = "name: {}, at: 5s, do: crash, target: api";
    bound(chaos(item), "n2", "2n", "invalid chaos item name `2n`");
}

#[test]
fn a_factor_is_a_milliard_at_most() {
    let item = "at: 5s, do: slow, target: api, factor: {}";
    bound(chaos(item), "1000M", "1001M", "invalid factor `1001M`");
}

#[test]
fn a_load_starts_before_it_stops_and_stops_with_the_run() {
    let load = replaced("rate: 10/s", "rate: 10/s, start: 30s, stop: {}");
    let message = "`start` must be before `stop`, and `stop` must be at most `duration`";
    bound(&load, "30001ms", "30s", message);
    bound(&load, "60s", "61s", message);
}

#[test]
fn a_mix_has_an_entry_with_a_weight() {
    let mix = "mix: {a: {weight: 0, to: web GET /}, b: {weight: {}, to: web GET /}}";
    let message = "at least one weight of a mix must be greater than zero";
    bound(replaced("to: web GET /", mix), "1", "0", message);
}

#[test]
fn a_status_that_is_ok_is_100_to_599() {
    let load = replaced("rate: 10/s", "rate: 10/s, ok: {}");
    bound(&load, "100", "99", "invalid status `99`");
    bound(&load, "599", "600", "invalid status `600`");
}

#[test]
fn a_hedge_adds_a_hundred_tries_at_most() {
    let hedge =
        "{workers: 4, calls: {api: {hedge: {after: 1ms, times: {}}}}, endpoints: {GET /: [work";
    bound(settings(hedge), "100", "101", "at most 100");
}

#[test]
fn a_call_is_tried_ten_thousand_times_more_at_most() {
    let retries = "{workers: 4, calls: {api: {retries: {}}}, endpoints: {GET /: [work";
    bound(settings(retries), "10000", "10001", "at most 10000");
}

#[test]
fn the_longest_backoff_is_no_shorter_than_the_first() {
    let retries = "{workers: 4, calls: {api: {retries: {times: 2, backoff: 10ms, max-backoff: {}}}}, endpoints: {GET /: [work";
    let message = "`max-backoff` must be at least `backoff`";
    bound(settings(retries), "10ms", "9ms", message);
}

#[test]
fn an_item_begins_before_the_run_is_over() {
    let message = "the item must start before the end of the run (`duration`)";
    bound(
        chaos("at: {}, do: crash, target: api"),
        "59s",
        "60s",
        message,
    );
}

#[test]
fn an_item_that_fires_again_and_again_does_so_within_the_run() {
    let message = "`from` must be before `until`, and `until` must be at most `duration`";
    let item = "every: 1s, from: 30s, until: {}, do: crash, target: api";
    bound(chaos(item), "30001ms", "30s", message);
    bound(chaos(item), "60s", "61s", message);
}

#[test]
fn an_item_that_would_fire_for_ever_is_refused() {
    let message = "the item would fire more than 10000 times";
    let item = "every: {}, do: crash, target: api";
    bound(chaos(item), "7ms", "0s", message);
    // 10,000 and 10,001 firings in a minute.
    bound(chaos(item), "5999401ns", "5999400ns", message);
    let late = "every: {}, from: 30s, do: crash, target: api";
    bound(chaos(late), "3ms", "2ms", message);
}

#[test]
fn a_target_share_is_more_than_zero_and_at_most_all() {
    let item = "at: 5s, do: crash, target: {} of api";
    let message = "a share of pods must be more than 0% and at most 100%";
    bound(chaos(item), "0.01%", "0%", message);
    bound(chaos(item), "100%", "101%", message);
}

#[test]
fn replicas_are_counted_from_0_in_targets_and_in_checks() {
    let message = "api/v1 has 1 replica, numbered from 0: no replica `1`";
    let item = "at: 5s, do: crash, target: api/v1/{}";
    bound(chaos(item), "0", "1", message);
    let check = replaced("success(users) == 100%", "count(api/v1/{}) == 0");
    bound(check, "0", "1", message);
}

#[test]
fn a_check_may_name_replicas_that_a_scaling_later_removes() {
    let text = small_scenario("chaos: [{at: 5s, do: scale, target: api, to: 1}]\n")
        .replace("api: {workers: 4,", "api: {workers: 4, versions: {v1: 3},")
        .replace("success(users) == 100%", "count(api/v1/2) == 0");
    read(&text);
}

#[test]
fn a_service_leaves_alone_the_ports_that_pods_use_themselves() {
    let port = replaced("web: {workers: 4,", "web: {workers: 4, port: {},");
    bound(&port, "19999", "20000", "invalid service port `20000`");
    bound(&port, "21000", "20999", "invalid service port `20999`");
}

#[test]
fn a_status_that_ends_a_request_is_200_to_599() {
    let status = replaced("[work: exp(2ms)]", "[respond: {}]");
    bound(&status, "200", "199", "invalid final status `199`");
    bound(&status, "599", "600", "invalid final status `600`");
}

#[test]
fn the_warm_up_is_over_before_the_run() {
    let text = replaced("duration: 1m", "duration: 1m\nwarm-up: {}");
    let message = "`warm-up` must be shorter than `duration`";
    bound(text, "59s", "60s", message);
}

#[test]
fn a_run_lasts_a_leap_year_at_most() {
    let message = "`duration` must be longer than `0s` and at most `366d`";
    bound(
        replaced("duration: 1m", "duration: {}"),
        "366d",
        "366d1ns",
        message,
    );
}

#[test]
fn a_story_has_fifty_thousand_pods_at_most_its_clients_among_them() {
    let text = |clients: &str| {
        small_scenario("")
            .replace(
                "api: {workers: 4,",
                "api: {workers: 4, versions: {v1: 40000},",
            )
            .replace("rate: 10/s", &format!("rate: 10/s, clients: {clients}"))
    };
    bound(
        text,
        "9999",
        "10000",
        "50001 pods are too many: at most 50000",
    );
}

#[test]
fn pods_that_a_scaling_brings_are_counted() {
    let item = "at: 5s, do: scale, target: api, to: {}";
    // web, api and a client already have one pod each.
    bound(
        chaos(item),
        "49997",
        "49998",
        "50001 pods are too many: at most 50000",
    );
}

#[test]
fn a_range_of_seeds_has_one_at_least() {
    let text = replaced("duration: 1m", "duration: 1m\nseeds: {}");
    bound(text, "5..5", "5..4", "invalid range of seeds `5..4`");
}

#[test]
fn an_epoch_is_a_day_that_there_is() {
    let text = replaced("duration: 1m", "duration: 1m\nepoch: {}T00:00:00Z");
    for (last, none) in [
        ("2025-11-30", "2025-11-31"),
        ("2025-04-30", "2025-04-31"),
        ("2024-02-29", "2100-02-29"),
        ("2025-12-31", "2025-12-32"),
    ] {
        bound(&text, last, none, "invalid time `");
    }
}

#[test]
fn telemetry_is_read_from_time_to_time() {
    let text = |every: &str| small_scenario(&format!("control: {{telemetry: {every}}}\n"));
    bound(text, "1ns", "0s", "`telemetry` must be longer than `0s`");
}

#[test]
fn a_check_has_twenty_thousand_slices_at_most() {
    let check = replaced("success(users) == 100%", "always count(users) >= 0 per {}");
    bound(
        &check,
        "3ms",
        "2999us",
        "a check may have at most 20000 slices",
    );
    bound(&check, "3ms", "0s", "a slice must be longer than `0s`");
}

#[test]
fn a_stage_needs_a_duration_unless_it_is_last_and_constant() {
    let stages = replaced("rate: 10/s", "stages: [{}]");
    let message =
        "a stage needs a length, for example `for: 1m`; only a last stage with `rate` may omit it";
    let holds = "{for: 1s, rate: 1/s}, {rate: 2/s}";
    for wrong in [
        "{rate: 1/s}, {for: 1s, rate: 2/s}",
        "{for: 1s, rate: 1/s}, {to: 2/s}",
        "{for: 0s, rate: 1/s}, {rate: 2/s}",
    ] {
        bound(&stages, holds, wrong, message);
    }
    let lengths: Vec<bool> = read(&stages(holds)).loads[0]
        .stages
        .iter()
        .map(|stage| stage.length.is_some())
        .collect();
    assert_eq!(lengths, [true, false]);
}

#[test]
fn a_load_has_one_client_at_least_and_ten_thousand_at_most() {
    let clients = replaced("rate: 10/s", "rate: 10/s, clients: {}");
    bound(&clients, "1", "0", "a load must have 1 to 10000 clients");
    bound(
        &clients,
        "10000",
        "10001",
        "a load must have 1 to 10000 clients",
    );
}

#[test]
fn a_load_waits_for_some_time() {
    let load = replaced("rate: 10/s", "rate: 10/s, timeout: {}");
    bound(
        load,
        "1ns",
        "0s",
        "the `timeout` of a load must be longer than `0s`",
    );
}

#[test]
fn a_range_of_statuses_goes_upwards() {
    let load = replaced("rate: 10/s", "rate: 10/s, ok: {}");
    bound(load, "200..200", "399..200", "invalid status `399..200`");
}

#[test]
fn a_load_goes_to_a_server() {
    let load = replaced("rate: 10/s", "rate: 10/s, target: \"{}\"");
    let message = "expected the URL of a server, such as `http://localhost:8080`";
    for wrong in ["http://", "http:///shop", "ftp://localhost"] {
        bound(&load, "https://localhost/shop", wrong, message);
    }
}

#[test]
fn a_run_and_its_drain_have_a_length_that_can_be_told() {
    let duration = replaced("duration: 1m", "duration: {}");
    let message = "`duration` must be longer than `0s` and at most `366d`";
    bound(duration, "1ns", "0s", message);
    let drain = replaced("duration: 1m", "duration: 1m\ndrain: {}");
    bound(drain, "366d", "366d1ns", "`drain` must be at most `366d`");
}

#[test]
fn a_scenario_has_at_most_10000_chaos_items_and_1000_checks() {
    let items = |count: &str| {
        let count = count.parse().expect("a number");
        let item = "{at: 5s, do: crash, target: api}, ";
        small_scenario(&format!("chaos: [{}]\n", item.repeat(count)))
    };
    bound(items, "10000", "10001", "at most 10000 chaos items");
    let checks = |count: &str| {
        let more = count.parse::<usize>().expect("a number") - 1;
        let fine = "  - fine: success(users) == 100%\n";
        let all = format!("{fine}{}", "  - count(users) > 0\n".repeat(more));
        small_scenario("").replace(fine, &all)
    };
    bound(checks, "1000", "1001", "at most 1000 checks");
}

#[test]
fn pods_that_a_deployment_brings_are_counted() {
    let item = "at: 5s, do: deploy, target: api/v2, replicas: {}";
    bound(
        chaos(item),
        "49997",
        "49998",
        "50001 pods are too many: at most 50000",
    );
}

#[test]
fn the_control_plane_is_one_pod() {
    let text = |replicas: &str| small_scenario(&format!("control: {{replicas: {replicas}}}\n"));
    bound(text, "1", "2", "not supported yet: `control: replicas`");
}

#[test]
fn a_duration_too_short_for_its_windows_suggests_scaling_instead() {
    let text = small_scenario("chaos: [{name: sick, at: 40s, for: 10s, do: pause, target: api}]")
        .replace(
            "fine: success(users) == 100%",
            "fine: success(users after 50s) == 100%",
        );
    let load = |set: &[&str]| {
        let edits = Edits {
            variant: None,
            set: set.iter().map(|set| (*set).to_owned()).collect(),
        };
        load_text("f.yaml", &text, &edits).map_err(|error| error.to_string())
    };
    let error = load(&["duration=12s"]).unwrap_err();
    assert!(
        error.contains(
            "--set duration=12s: a shorter `duration` does not move the times and windows of the scenario: use `--scale 5` instead"
        ),
        "{error}"
    );
    let scenario = load(&["scale=5"]).unwrap();
    assert_eq!(scenario.duration, Duration::from_secs(12));
    // The expanded scenario is the scaled one, so that a replay needs no edit.
    let again = load_text("f.yaml", &scenario.expanded, &Edits::default()).unwrap();
    assert_eq!(again.expanded, scenario.expanded);
    // Other errors are reported without the hint.
    let error = load(&["duration=12s", "load.users.rate=ten"]).unwrap_err();
    assert!(!error.contains("--scale"), "{error}");
}

#[test]
fn a_run_has_20000_participants_at_most() {
    // Two services and a load are there.
    let services = |count: &str| {
        let count: u32 = count.parse().unwrap();
        let more: String = (3..count)
            .map(|n| format!("    s{n}: {{endpoints: {{}}}}\n"))
            .collect();
        small_scenario("").replace("load:\n", &format!("{more}load:\n"))
    };
    bound(services, "20000", "20001", "at most 20000 services, loads");
    // The journal has no number for the last of these.
    assert!(errors(&services("65538")).contains("at most 20000 services, loads"));
}
