//! The JSON Schema of a scenario file, and the rows of the documentation's tables, which are derived from it.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::part::KeyPart;
use super::{
    ACTIONS, ActionKind, CallKeys, CallPoolKeys, CallSettingKeys, ControlKeys, EditFileKeys,
    EditPatchKeys, EditRemoveKeys, HedgeKeys, ItemKeys, LoadKeys, PoolKeys, ReplicaKeys, RetryKeys,
    ScenarioKeys, ServiceKeys, SidecarKeys, StepKeys, TargetKeys, TopologyKeys, VersionKeys,
};

/// Allows the short form of a map: the value of its first key.
pub(super) struct ShortForm(pub(super) &'static str);

impl Transform for ShortForm {
    fn transform(&mut self, schema: &mut Schema) {
        let mut map = std::mem::take(schema.ensure_object());
        let description = map.remove("description");
        let mut first = map["properties"][self.0].clone();
        if let Some(first) = first.as_object_mut() {
            first.remove("default");
            first.remove("description");
        }
        *schema = json_schema!({ "anyOf": [map, first] });
        if let Some(description) = description {
            schema.insert("description".to_owned(), description);
        }
    }
}

/// Returns the JSON Schema (draft 2020-12) of a scenario file.
///
/// The schema describes keys, defaults and the notation of most values. It has no grammars of distributions, endpoints,
/// targets and checks, and no relations between keys, all of which `shakedown check` verifies.
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12();
    let settings = settings.with_transform(RecursiveTransform(tidy));
    settings
        .into_generator()
        .into_root_schema_for::<ScenarioKeys>()
}

/// Refuses unknown keys, and removes defaults that only say that a key may be absent.
fn tidy(schema: &mut Schema) {
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    if map.get("default") == Some(&Value::Null) {
        map.remove("default");
    }
    if map.contains_key("properties") && !map.contains_key("additionalProperties") {
        map.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
}

/// The schema of a map whose keys several structs read.
fn composed(schemas: Vec<Schema>) -> Schema {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for mut schema in schemas {
        let map = std::mem::take(schema.ensure_object());
        for (key, value) in map {
            match (key.as_str(), value) {
                ("properties", Value::Object(more)) => properties.extend(more),
                ("required", Value::Array(more)) => required.extend(more),
                _ => {}
            }
        }
    }
    json_schema!({ "type": "object", "properties": properties, "required": required })
}

/// The schema of `METHOD /path` -> steps.
pub(super) fn endpoints(generator: &mut SchemaGenerator) -> Schema {
    map_of(generator.subschema_for::<Vec<StepKeys>>())
}

fn map_of(value: Schema) -> Schema {
    json_schema!({ "type": ["object", "null"], "additionalProperties": value })
}

fn list_of(item: Schema) -> Schema {
    json_schema!({ "type": ["array", "null"], "items": item })
}

pub(super) fn call(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = composed(vec![
        CallKeys::json_schema(generator),
        CallSettingKeys::json_schema(generator),
    ]);
    ShortForm("to").transform(&mut schema);
    schema
}

pub(super) fn calls(generator: &mut SchemaGenerator) -> Schema {
    map_of(composed(vec![
        CallSettingKeys::json_schema(generator),
        CallPoolKeys::json_schema(generator),
    ]))
}

/// Branches of `parallel`: each a step, or a list of steps.
pub(super) fn branches(generator: &mut SchemaGenerator) -> Schema {
    let step = generator.subschema_for::<StepKeys>();
    let steps = generator.subschema_for::<Vec<StepKeys>>();
    list_of(json_schema!({ "anyOf": [step, steps] }))
}

pub(super) fn sidecar(generator: &mut SchemaGenerator) -> Schema {
    let settings = generator.subschema_for::<SidecarKeys>();
    json_schema!({ "anyOf": [{ "const": "none" }, settings, { "type": "null" }] })
}

pub(super) fn one_or_many<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let one = generator.subschema_for::<T>();
    json_schema!({ "anyOf": [one, { "type": "array", "items": one }, { "type": "null" }] })
}

pub(super) fn service(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = composed(vec![
        VersionKeys::json_schema(generator),
        ServiceKeys::json_schema(generator),
    ]);
    schema.insert("type".to_owned(), json!(["object", "null"]));
    schema
}

pub(super) fn services(generator: &mut SchemaGenerator) -> Schema {
    map_of(service(generator))
}

pub(super) fn versions(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = composed(vec![
        ReplicaKeys::json_schema(generator),
        ServiceKeys::json_schema(generator),
    ]);
    ShortForm("replicas").transform(&mut schema);
    map_of(schema)
}

/// The keys of a version that chaos deploys.
pub(super) fn with(generator: &mut SchemaGenerator) -> Schema {
    composed(vec![ServiceKeys::json_schema(generator)])
}

pub(super) fn latency(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "object", "null"], "additionalProperties": { "type": ["string", "null"] } })
}

pub(super) fn any_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

pub(super) fn checks(_: &mut SchemaGenerator) -> Schema {
    let named = json!({ "type": "object", "minProperties": 1, "maxProperties": 1,
        "additionalProperties": { "type": ["string", "null"] } });
    list_of(json_schema!({ "anyOf": [{ "type": "string" }, named] }))
}

/// Mesh edits. Inline documents are those of Istio and Kubernetes, and not described here.
pub(super) fn edits(generator: &mut SchemaGenerator) -> Schema {
    let file = EditFileKeys::json_schema(generator);
    let patch = EditPatchKeys::json_schema(generator);
    let remove = EditRemoveKeys::json_schema(generator);
    let document = json!({ "type": "object", "required": ["apiVersion", "kind"] });
    list_of(json_schema!({ "anyOf": [file, patch, remove, document] }))
}

/// Chaos items: the keys of each action.
pub(super) fn chaos(generator: &mut SchemaGenerator) -> Schema {
    let items: Vec<Schema> = ACTIONS.map(|action| item(action, generator)).to_vec();
    list_of(json_schema!({ "oneOf": items }))
}

fn item(action: ActionKind, generator: &mut SchemaGenerator) -> Schema {
    let parts = std::iter::once(KeyPart::new::<ItemKeys>()).chain(action.parts());
    let mut schema = composed(parts.map(|part| (part.schema)(generator)).collect());
    let map = schema.ensure_object();
    let properties = map.get_mut("properties").and_then(Value::as_object_mut);
    let properties = properties.expect("a composed schema has properties");
    if action == ActionKind::Nothing {
        properties.retain(|key, _| matches!(key.as_str(), "name" | "do"));
    } else if action.is_instant() {
        properties.remove("for");
    }
    properties.insert("do".to_owned(), json!({ "const": action.name() }));
    schema
}

/// Variants: each an edit of the file by JSON merge patch, so that any part of the file may be absent or null.
pub(super) fn variants(_: &mut SchemaGenerator) -> Schema {
    map_of(json_schema!({
        "type": "object",
        "properties": {
            "story": { "type": "string", "description": "the difference" },
            "breaks": {
                "type": "array",
                "items": { "type": "string" },
                "description": "the checks that must turn false"
            }
        },
        "additionalProperties": true
    }))
}

/// A row of a table of the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub key: String,
    /// The default, `required`, or empty if the meaning states the default. Of an action, the keys of its own.
    pub default: String,
    /// The meaning, in one line.
    pub meaning: String,
}

/// Returns the rows of a table of the documentation, or no rows if the name is unknown.
///
/// The names are those of the types: `Scenario`, `Topology`, `Service`, `Step`, `Call`, `Retries`, `Hedge`, `Pool`,
/// `Control`, `Load`, `Item` and `Action`.
pub fn key_rows(table: &str) -> Vec<KeyRow> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let generator = &mut generator;
    let parts = match table {
        "Scenario" => vec![KeyPart::new::<ScenarioKeys>()],
        "Topology" => vec![KeyPart::new::<TopologyKeys>()],
        "Service" => vec![KeyPart::new::<VersionKeys>(), KeyPart::new::<ServiceKeys>()],
        "Call" => vec![
            KeyPart::new::<CallKeys>(),
            KeyPart::new::<CallSettingKeys>(),
        ],
        "Retries" => vec![KeyPart::new::<RetryKeys>()],
        "Hedge" => vec![KeyPart::new::<HedgeKeys>()],
        "Pool" => vec![KeyPart::new::<PoolKeys>()],
        "Control" => vec![KeyPart::new::<ControlKeys>()],
        "Load" => vec![KeyPart::new::<LoadKeys>()],
        "Item" => vec![KeyPart::new::<ItemKeys>(), KeyPart::new::<TargetKeys>()],
        "Step" => return variant_rows(&StepKeys::json_schema(generator)),
        "Action" => return action_rows(generator),
        _ => Vec::new(),
    };
    let rows = parts.into_iter().flat_map(|part| {
        let schema = (part.schema)(generator);
        let keys = part.keys.keys.iter();
        keys.map(move |key| row(key, &schema))
    });
    rows.collect()
}

/// The row of a key, from the schema of its struct. A struct with a short form is the first of two alternatives.
fn row(key: &str, schema: &Schema) -> KeyRow {
    let whole = schema.as_value();
    let object = whole.pointer("/anyOf/0").unwrap_or(whole);
    let property = &object["properties"][key];
    let required = object["required"].as_array();
    let default = match property.get("default") {
        _ if required.is_some_and(|keys| keys.iter().any(|known| known == key)) => {
            "required".to_owned()
        }
        None | Some(Value::Null) => String::new(),
        Some(default) => written(default),
    };
    KeyRow {
        key: key.to_owned(),
        default,
        meaning: one_line(property["description"].as_str()),
    }
}

/// The rows of an enum: its variants and their descriptions.
fn variant_rows(schema: &Schema) -> Vec<KeyRow> {
    let variants = schema.get("oneOf").and_then(Value::as_array);
    let row = |variant: &Value| {
        let word = variant["const"].as_str();
        let key = word.or_else(|| variant["required"][0].as_str());
        KeyRow {
            key: key.unwrap_or_default().to_owned(),
            default: String::new(),
            meaning: one_line(variant["description"].as_str()),
        }
    };
    variants.into_iter().flatten().map(row).collect()
}

/// The actions of chaos items, each with the keys that other actions do not have.
fn action_rows(generator: &mut SchemaGenerator) -> Vec<KeyRow> {
    let mut rows = variant_rows(&ActionKind::json_schema(generator));
    for (row, action) in rows.iter_mut().zip(ACTIONS) {
        let parts = action.parts();
        let own = parts.iter().flat_map(|part| part.keys.keys);
        let own: Vec<String> = own
            .filter(|key| **key != "target")
            .map(|key| format!("`{key}`"))
            .collect();
        row.default = own.join(", ");
    }
    rows
}

/// A value in the notation of a scenario file.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) if text == "*" => "`\"*\"`".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(written).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| format!("{key}: {}", written(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn one_line(text: Option<&str>) -> String {
    text.unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
