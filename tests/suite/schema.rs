//! Tests that the JSON Schemas in docs/ match the types, and that real documents and scenario files match the schemas.

use std::path::Path;

use serde_json::Value;
use shakedown_yaml::{Node, tree};

use crate::command::{folder, shakedown};

fn of_results() -> Value {
    serde_json::to_value(shakedown_results::schema()).expect("a schema is JSON")
}

fn of_scenarios() -> Value {
    serde_json::to_value(shakedown_scenarios::schema()).expect("a schema is JSON")
}

/// Validates a value against the schema keywords that our types need. An unknown keyword is an error rather than a
/// pass.
struct Check<'a>(&'a Value);

impl Check<'_> {
    fn node(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "format" | "default" => {}
                "pattern" => {
                    let pattern = wanted.as_str().expect("a pattern is text");
                    let pattern = regex::Regex::new(pattern).expect("a pattern is valid");
                    if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                        errors.push(format!("{at}: {value} does not match {wanted}"));
                    }
                }
                "$ref" => {
                    let path = wanted.as_str().and_then(|path| path.strip_prefix('#'));
                    let found = path.and_then(|path| self.0.pointer(path));
                    self.node(
                        found.expect("a reference leads somewhere"),
                        value,
                        at,
                        errors,
                    );
                }
                "type" => {
                    let names = wanted.as_array().cloned();
                    let names = names.unwrap_or_else(|| vec![wanted.clone()]);
                    if !names.iter().any(|name| is_of(value, name)) {
                        errors.push(format!("{at}: {value} is not of type {wanted}"));
                    }
                }
                "const" if wanted != value => errors.push(format!("{at}: {value} is not {wanted}")),
                "enum" if !wanted.as_array().is_some_and(|all| all.contains(value)) => {
                    errors.push(format!("{at}: {value} is none of {wanted}"));
                }
                "const" | "enum" => {}
                "minimum" | "maximum" => {
                    let (value, bound) = (value.as_f64(), wanted.as_f64());
                    let beyond = match keyword.as_str() {
                        "minimum" => value < bound,
                        _ => value > bound,
                    };
                    if value.is_some() && beyond {
                        errors.push(format!("{at}: {value:?} is beyond the {keyword} {bound:?}"));
                    }
                }
                "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                    let count = match value {
                        Value::Array(items) => Some(items.len()),
                        Value::Object(map) => Some(map.len()),
                        _ => continue,
                    };
                    let bound = wanted.as_u64();
                    let (count, bound) = (count.unwrap_or(0) as u64, bound.expect("a count"));
                    if keyword.starts_with("min") == (count < bound) && count != bound {
                        errors.push(format!("{at}: {count} items, {keyword} {bound}"));
                    }
                }
                "oneOf" | "anyOf" => {
                    let all = wanted.as_array().expect("a list of schemas");
                    let fits = all.iter().filter(|schema| {
                        let mut errors = Vec::new();
                        self.node(schema, value, at, &mut errors);
                        errors.is_empty()
                    });
                    let fits = fits.count();
                    if fits == 0 || keyword == "oneOf" && fits > 1 {
                        errors.push(format!("{at}: {value} fits {fits} of {keyword}"));
                    }
                }
                "items" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.node(wanted, item, &format!("{at}[{n}]"), errors);
                    }
                }
                "prefixItems" => {
                    let items = value.as_array().into_iter().flatten();
                    let schemas = wanted.as_array().expect("a list of schemas");
                    for (schema, item) in schemas.iter().zip(items) {
                        self.node(schema, item, at, errors);
                    }
                }
                "properties" => {
                    for (key, schema) in wanted.as_object().expect("an object of schemas") {
                        if let Some(value) = value.get(key) {
                            self.node(schema, value, &format!("{at}.{key}"), errors);
                        }
                    }
                }
                "required" => {
                    let keys = wanted.as_array().into_iter().flatten();
                    for key in keys.filter_map(Value::as_str) {
                        if value.get(key).is_none() {
                            errors.push(format!("{at}: `{key}` is missing"));
                        }
                    }
                }
                "additionalProperties" => {
                    let known = schema.get("properties").and_then(Value::as_object);
                    for (key, value) in value.as_object().into_iter().flatten() {
                        if known.is_some_and(|known| known.contains_key(key)) {
                            continue;
                        }
                        match wanted {
                            Value::Bool(true) => {}
                            Value::Bool(false) => {
                                errors.push(format!("{at}: `{key}` is not in the schema"));
                            }
                            schema => self.node(schema, value, &format!("{at}.{key}"), errors),
                        }
                    }
                }
                other => errors.push(format!("{at}: this test does not know `{other}`")),
            }
        }
    }
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("a type's name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => false,
    }
}

/// The errors of a document, each with its place.
fn errors(schema: &Value, document: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    Check(schema).node(schema, document, "$", &mut errors);
    errors
}

#[track_caller]
fn holds(document: &Value) {
    let errors = errors(&of_results(), document);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

/// A scenario file as JSON. Scalars have the types of YAML 1.2.
fn json(text: &str) -> Value {
    let documents = tree::parse("f.yaml", text).expect("it is YAML");
    shakedown_yaml::decode(&documents[0]).expect("every tree is JSON")
}

/// Compares a schema with the copy in docs/, which editors and readers use.
#[track_caller]
fn is_in_the_docs(schema: &Value, file: &str) {
    let mut text = serde_json::to_string_pretty(schema).expect("a schema is JSON");
    text.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(file);
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    if kept != text {
        let now = folder(file).join(file);
        std::fs::write(&now, text).expect("it can be written");
        panic!(
            "docs/{file} is not the schema of the types, which is now in {}: copy it",
            now.display()
        );
    }
}

#[test]
fn the_schema_of_results_in_the_docs_is_that_of_the_types() {
    // If documents differ, SCHEMA must be raised.
    is_in_the_docs(&of_results(), "results.schema.json");
}

#[test]
fn the_schema_of_scenarios_in_the_docs_is_that_of_the_types() {
    is_in_the_docs(&of_scenarios(), "scenario.schema.json");
}

#[test]
fn the_command_prints_both_schemas() {
    for (arguments, schema) in [
        (&["schema"][..], of_scenarios()),
        (&["schema", "scenario"], of_scenarios()),
        (&["schema", "results"], of_results()),
    ] {
        let printed = shakedown(arguments).exits(0).stdout;
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), schema);
    }
}

#[test]
fn every_catalogue_scenario_matches_the_schema() {
    let schema = of_scenarios();
    for (name, text) in shakedown_scenarios::catalogue() {
        assert_eq!(errors(&schema, &json(text)), Vec::<String>::new(), "{name}");
    }
}

/// A scenario that uses most keys of the language, by JSON merge patch on a small one.
fn scenario(patch: &str) -> Value {
    let text = "scenario: small
story: Two services and a load.
duration: 1m
topology:
  services:
    web: {workers: 4, endpoints: {GET /: [work: 1ms, call: api GET /]}}
    api: {endpoints: {GET /: [sleep: exp(2ms)]}}
load:
  users: {to: web GET /, rate: 10/s}
expect:
  - fine: success(users) == 100%
";
    let parse = |text: &str| -> Node { tree::parse("f.yaml", text).expect("it is YAML").remove(0) };
    let merged = shakedown_yaml::patch::merged(&parse(text), &parse(patch));
    shakedown_yaml::decode(&merged).expect("every tree is JSON")
}

#[test]
fn valid_notations_match_the_schema_of_scenarios() {
    for patch in [
        "{seed: 7, seeds: 1..9, epoch: 2025-01-01T00:00:00Z, scale: 2.5, tags: [a], source: x, warm-up: 1m30s}",
        "{topology: {zones: {a: {region: eu}, b: ~}, latency: 5ms, defaults: {queue: 10k, sidecar: none}}}",
        "{topology: {latency: {same-zone: 250us, a -> b: exp(4ms)}}}",
        "{topology: {services: {web: {versions: {v1: 4, v2: {replicas: 2, workers: unlimited}}, queue: {full: reset}}}}}",
        "{topology: {services: {web: {calls: {any: {timeout: rest, retries: 2, pool: {size: 10, wait: unlimited}}}}}}}",
        "{topology: {services: {web: {endpoints: {GET /: [{work: {time: 1ms, draw: request}}, {parallel: [{sleep: 1ms}, [{respond: 302}]]}, {fail: 5%}]}}}}}",
        "{topology: {services: {web: {endpoints: {GET /: [{call: {to: api GET /, times: uniform(1..4), retries: {times: 2, on: reset, budget: 20%}, hedge: 10ms}}]}}}}}",
        "{load: {users: {rate: ~, stages: [{for: 1m, rate: 1.5k/s}, {for: 2m, to: 90/m}], ok: [200..299, OK], connections: new}}}",
        "{load: {users: {to: ~, mix: {a: {to: web GET /, weight: 3, size: 4kB}}}}}",
        "{control: {outbound: registry-only, canaries: false, default-virtual-service-export-to: \".\"}}",
        "{chaos: [{do: crash, target: 1 of web, at: 5s, for: exp(1s)}, {name: x, do: slow, target: api, every: 5s, factor: 10, may-miss: true}]}",
        "{chaos: [{do: deploy, target: web/v2, at: 1s, with: {workers: 2}}, {do: apply, at: 1s, mesh: [{remove: VirtualService/a}]}]}",
        "{variants: {bad: {breaks: [fine], load: {users: {rate: ~}}}}}",
    ] {
        let document = scenario(patch);
        assert_eq!(
            errors(&of_scenarios(), &document),
            Vec::<String>::new(),
            "{patch}"
        );
    }
}

#[test]
fn invalid_notations_do_not_match_the_schema_of_scenarios() {
    for patch in [
        "{duration: 5}",
        "{duration: ~}",
        "{topolgy: {}}",
        "{seeds: 9}",
        "{topology: {services: {web: {wrokers: 4}}}}",
        "{topology: {services: {web: {protocol: tcp}}}}",
        "{topology: {services: {web: {versions: {v1: two}}}}}",
        "{topology: {services: {web: {endpoints: {GET /: [{wrok: 1ms}]}}}}}",
        "{topology: {services: {web: {endpoints: {GET /: [{work: 1ms, sleep: 1ms}]}}}}}",
        "{load: {users: {rate: 10}}}",
        "{load: {users: {clients: -1}}}",
        "{load: {users: {mix: {a: {weight: 1}}}}}",
        "{control: {mtls: strict}}",
        "{chaos: [{do: crash, target: web, at: 5s, factor: 2}]}",
        "{chaos: [{do: scale, target: web, at: 5s, to: 2, for: 5s}]}",
        "{chaos: [{target: web, at: 5s}]}",
    ] {
        let document = scenario(patch);
        assert_ne!(
            errors(&of_scenarios(), &document),
            Vec::<String>::new(),
            "{patch}"
        );
    }
}

#[test]
fn the_document_of_a_simulated_run_is_what_the_schema_says() {
    let ran = shakedown(&["run", "header-routing", "--json", "-"]).exits(0);
    let mut document: Value = serde_json::from_str(&ran.stdout).expect("the document is JSON");
    holds(&document);
    // The validator must also reject documents. A schema that accepts everything would prove nothing.
    document["surprise"] = Value::Null;
    let errors = errors(&of_results(), &document);
    assert_eq!(errors, ["$: `surprise` is not in the schema"]);
}

#[test]
fn the_document_of_a_load_is_what_the_schema_says() {
    let document = crate::load::document_of_a_load();
    assert_eq!(document["schema"], shakedown_results::SCHEMA);
    assert!(document["loads"][0]["real"].is_object());
    holds(&document);
}
