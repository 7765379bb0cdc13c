//! Loads: settings that an entry of a mix inherits from its load, ramps, and statuses that count as success.

use super::{read, small_scenario};
use crate::scenario::MixEntry;

fn entries(load: &str) -> Vec<MixEntry> {
    read(&small_scenario("").replace("to: web GET /", load)).loads[0]
        .entries
        .clone()
}

fn header(entry: &MixEntry, name: &str) -> Vec<String> {
    let values = entry.headers.iter().filter(|(known, _)| known == name);
    values
        .map(|(_, value)| value.to_str().expect("text").to_owned())
        .collect()
}

const BOTH: &str = "headers: {x-plan: free, x-app: shop}, cookies: {plan: free, app: shop}, size: 4kB, \
     mix: {own: {to: web GET /, headers: {x-plan: gold}, cookies: {plan: gold}, size: 1B}, plain: {to: web GET /}}";

#[test]
fn an_entrys_header_takes_the_place_of_its_loads() {
    let entries = entries(BOTH);
    assert_eq!(header(&entries[0], "x-plan"), ["gold"]);
    assert_eq!(header(&entries[0], "x-app"), ["shop"]);
    assert_eq!(header(&entries[1], "x-plan"), ["free"]);
}

#[test]
fn an_entrys_cookie_takes_the_place_of_its_loads() {
    let entries = entries(BOTH);
    assert_eq!(header(&entries[0], "cookie"), ["app=shop; plan=gold"]);
    assert_eq!(header(&entries[1], "cookie"), ["plan=free; app=shop"]);
}

#[test]
fn an_entry_without_a_size_has_its_loads() {
    let sizes: Vec<u64> = entries(BOTH).iter().map(|entry| entry.size).collect();
    assert_eq!(sizes, [1, 4_000]);
}

#[test]
fn a_ramp_goes_on_from_where_the_ramp_before_it_ended() {
    let text = small_scenario("").replace(
        "rate: 10/s",
        "stages: [{for: 10s, to: 100/s}, {for: 20s, to: 300/s}]",
    );
    let stages = &read(&text).loads[0].stages;
    let shown: Vec<String> = stages
        .iter()
        .map(|stage| format!("{}>{}", stage.from, stage.to))
        .collect();
    assert_eq!(shown, ["0/s>100/s", "100/s>300/s"]);
}

#[test]
fn what_is_said_of_grpc_leaves_success_over_http_as_it_is() {
    let text = small_scenario("").replace("rate: 10/s", "rate: 10/s, ok: NOT_FOUND");
    let ok = &read(&text).loads[0].ok;
    assert!(ok.holds(200, None) && ok.holds(399, None) && !ok.holds(400, None));
}

#[test]
fn a_load_opens_a_connection_for_each_request_where_that_is_asked() {
    let new = |words: &str| {
        let text = small_scenario("").replace("rate: 10/s", &format!("rate: 10/s{words}"));
        read(&text).loads[0].new_connections
    };
    assert!(new(", connections: new"));
    assert!(!new(", connections: reuse") && !new(""));
}

#[test]
fn a_load_calls_the_services_of_all_entries_of_its_mix() {
    let text = small_scenario("")
        .replace(
            "to: web GET /",
            "mix: {a: {to: web GET /}, b: {to: api GET /items/7}}",
        )
        .replace("success(users) == 100%", "count(users -> api) > 0");
    read(&text);
}
