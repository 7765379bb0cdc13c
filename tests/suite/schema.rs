//! Tests that docs/results.schema.json matches the types, and that real documents match the schema.

use std::path::Path;

use serde_json::Value;

use crate::command::{folder, shakedown};

fn schema() -> Value {
    serde_json::to_value(shakedown_results::schema()).expect("a schema is JSON")
}

#[track_caller]
fn holds(document: &Value) {
    let mut errors = Vec::new();
    Check(&schema()).node(&schema(), document, "$", &mut errors);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

/// Validates a value against the schema keywords that our types need. An unknown keyword is an error rather than a
/// pass.
struct Check<'a>(&'a Value);

impl Check<'_> {
    fn node(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "format" | "default" => {}
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
                "minItems" | "maxItems" => {
                    let (count, bound) = (value.as_array().map(Vec::len), wanted.as_u64());
                    let (count, bound) = (count.unwrap_or(0) as u64, bound.expect("a count"));
                    if (keyword == "minItems") == (count < bound) && count != bound {
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
                    assert_eq!(wanted, &Value::Bool(false), "objects are closed");
                    let known = schema["properties"].as_object().expect("it has properties");
                    for key in value
                        .as_object()
                        .into_iter()
                        .flat_map(|object| object.keys())
                    {
                        if !known.contains_key(key) {
                            errors.push(format!("{at}: `{key}` is not in the schema"));
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

#[test]
fn the_schema_in_the_docs_is_that_of_the_types() {
    let mut text = serde_json::to_string_pretty(&schema()).expect("a schema is JSON");
    text.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/results.schema.json");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    if kept != text {
        let now = folder("schema").join("results.schema.json");
        std::fs::write(&now, text).expect("it can be written");
        panic!(
            "docs/results.schema.json is not the types' schema, which is now in {}: copy it, and raise SCHEMA if documents differ",
            now.display()
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
    let mut errors = Vec::new();
    Check(&schema()).node(&schema(), &document, "$", &mut errors);
    assert_eq!(errors, ["$: `surprise` is not in the schema"]);
}

#[test]
fn the_document_of_a_load_is_what_the_schema_says() {
    let document = crate::load::document_of_a_load();
    assert_eq!(document["schema"], shakedown_results::SCHEMA);
    assert!(document["loads"][0]["real"].is_object());
    holds(&document);
}
