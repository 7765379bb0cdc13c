//! Loads and calls whose requests VirtualServices may send to other services.

use crate::{Edits, load_text};

const TO_CART: &str = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: api}, spec: {hosts: [HOST], \
     http: [{match: [{uri: {prefix: /cart}}], route: [{destination: {host: cart}}]}, {route: [{destination: {host: api}}]}]}}";

/// A scenario whose load sends to `to`, with the load's `sidecar` setting, further sections and a check.
fn text(to: &str, sidecar: &str, sections: &str, check: &str) -> String {
    format!(
        "scenario: small
story: s
duration: 1m
topology:
  services:
    api: {{workers: 4, endpoints: {{GET /: [work: 1ms]}}}}
    cart: {{workers: 4, endpoints: {{GET /cart: [work: 1ms]}}}}
load: {{users: {{to: {to}, rate: 10/s{sidecar}}}}}
{sections}
expect: ['{check}']
"
    )
}

fn mesh(host: &str) -> String {
    format!("mesh: [{}]", TO_CART.replace("HOST", host))
}

fn applied(host: &str) -> String {
    let document = TO_CART.replace("HOST", host);
    format!("chaos: [{{at: 10s, do: apply, mesh: [{document}]}}]")
}

fn read(text: &str) -> Result<Vec<String>, String> {
    match load_text("f.yaml", text, &Edits::default()) {
        Ok(scenario) => Ok(scenario.warnings),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn an_endpoint_is_looked_up_where_routes_lead_its_requests() {
    let check = "success(users) == 100%";
    for sections in [mesh("api"), applied("api"), mesh("\"*.cluster.local\"")] {
        let text = text("api GET /cart", "", &sections, check);
        assert_eq!(read(&text), Ok(vec![]), "{sections}");
    }
    for (sidecar, sections) in [
        ("", String::new()),
        ("", mesh("cart")),
        (", sidecar: none", mesh("api")),
    ] {
        let error = read(&text("api GET /cart", sidecar, &sections, check)).unwrap_err();
        assert!(error.contains("api has no endpoint `GET /cart`"), "{error}");
    }
}

#[test]
fn a_request_that_no_endpoint_answers_is_warned_of() {
    for (to, arrives) in [
        ("api GET /carts", "`cart GET /carts`"),
        ("api GET /nowhere", "`api GET /nowhere`"),
    ] {
        let warnings = read(&text(to, "", &mesh("api"), "count(users) > 0")).unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].ends_with(&format!(
                "routes send this request to {arrives}, which matches no endpoint and returns 404 (called by users)"
            )),
            "{warnings:?}"
        );
    }
}

#[test]
fn a_host_without_a_service_may_be_requested_if_routes_match_it() {
    let check = "count(users -> cart) == count(users)";
    for (to, host) in [
        ("www.shop.example GET /cart", "www.shop.example"),
        ("www.shop.example:8080 GET /cart", "\"*.shop.example\""),
    ] {
        assert_eq!(read(&text(to, "", &mesh(host), check)), Ok(vec![]), "{to}");
        let error = read(&text(to, "", "", check)).unwrap_err();
        assert!(error.contains("no service `www.shop.example`"), "{error}");
    }
}

#[test]
fn an_edge_leads_to_where_routes_lead() {
    for check in [
        "success(users -> cart) == 100%",
        "p99(users -> api) < 1s",
        "count(users -> cart/v1) > 0",
        "in-flight.max(users -> cart) < 9",
        "pool-wait.max(users -> cart) == 0ms",
        "count(users -> cart where timeout) == 0",
        "retries(users -> cart) == 0",
        "hedges(users -> cart) == 0",
    ] {
        let text = text("api GET /cart", "", &mesh("api"), check);
        assert_eq!(read(&text), Ok(vec![]), "{check}");
    }
    let check = "count(users -> cart GET /cart) > 0";
    let error = read(&text("api GET /cart", "", &mesh("api"), check)).unwrap_err();
    let reason = "one endpoint of a callee where VirtualServices route";
    assert!(error.contains(reason), "{error}");
    let error = read(&text("api GET /", "", "", "count(users -> cart) == 0")).unwrap_err();
    assert!(error.contains("users never calls `cart`"), "{error}");
}
