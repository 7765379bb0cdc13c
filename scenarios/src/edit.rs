//! Edits of a scenario file by variants and `--set`. Maps are merged, null removes a key, and items of an edit are
//! added to the three top-level lists.

use shakedown_yaml::tree::{self, MapEntry, Value};
use shakedown_yaml::{Diagnostics, Location as FilePlace, Node, patch, suggest};

/// The top-level lists to which an edit adds items.
const LISTS: [&str; 3] = ["mesh", "chaos", "expect"];
/// Keys of a variant that are not keys of a scenario file.
const OF_VARIANT: [&str; 1] = ["breaks"];

/// Applies an edit to a file's tree.
pub(crate) fn apply(base: &mut Node, edit: &Node, errors: &mut Diagnostics) {
    let Some(changes) = edit.as_map() else {
        errors.add(
            &edit.place,
            format!("expected a map of edits, found {}", edit.describe()),
        );
        return;
    };
    for (key, entry) in changes {
        if OF_VARIANT.contains(&key.as_str()) {
            continue;
        }
        if key == "variants" {
            errors.add(&entry.key, "a variant must not contain `variants`");
            continue;
        }
        let grows = LISTS.contains(&key.as_str()) && entry.node.as_list().is_some();
        if grows && base.get(key).is_some_and(|list| list.as_list().is_some()) {
            let list = base
                .as_map_mut()
                .and_then(|map| map.get_mut(key))
                .expect("the list was found above");
            grow(key, &mut list.node, &entry.node, errors);
            continue;
        }
        let mut single = Node::map(Vec::<(String, Node)>::new(), edit.place.clone());
        single
            .as_map_mut()
            .expect("the node was created as a map above")
            .insert(key.clone(), entry.clone());
        patch::merge(base, &single);
    }
}

/// Parses the argument of `--set KEY=VALUE`, such as `load.users.rate=150/s`. A key that contains a dot must be quoted.
///
/// # Errors
/// An error if `=` is missing, a key is empty or the value is not valid YAML.
pub(crate) fn set(argument: &str) -> Result<Node, Diagnostics> {
    let name = format!("--set {argument}");
    let place = FilePlace::whole(name.as_str());
    let wrong = |message: &str| Diagnostics::one(place.clone(), message);
    let Some((path, value)) = argument.split_once('=') else {
        return Err(wrong("expected KEY=VALUE, as in `load.users.rate=150/s`"));
    };
    let keys = keys(path).ok_or_else(|| {
        wrong("a key is written `load.users.rate`; quote a part that contains a dot")
    })?;
    let mut node = match tree::parse(&name, value) {
        // The parser leaves out a null document. Source: YAML 1.2.2, 10.3.2, for the spellings of null.
        _ if matches!(value.trim(), "null" | "Null" | "NULL" | "~") => Node::null(place.clone()),
        Ok(mut documents) if documents.len() == 1 => documents.remove(0),
        Ok(_) => return Err(wrong("the value must be a single YAML value")),
        Err(_) if value.trim().is_empty() => {
            return Err(wrong("the value is missing: write `null` to remove a key"));
        }
        Err(errors) => return Err(errors),
    };
    settle(&mut node, &place);
    for key in keys.into_iter().rev() {
        let entry = MapEntry {
            key: place.clone(),
            quoted: false,
            node,
        };
        node = Node::new(
            Value::Map(std::iter::once((key, entry)).collect()),
            place.clone(),
        );
    }
    Ok(node)
}

/// Splits a path at its dots and removes the quotes.
fn keys(path: &str) -> Option<Vec<String>> {
    let (mut parts, mut part, mut quoted) = (Vec::new(), String::new(), false);
    for c in path.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut part)),
            _ => part.push(c),
        }
    }
    parts.push(part);
    (!quoted && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

/// Sets the place of every value in a tree, because an argument has no lines.
fn settle(node: &mut Node, place: &FilePlace) {
    node.place = place.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| settle(item, place)),
        Value::Map(map) => {
            for entry in map.values_mut() {
                entry.key = place.clone();
                settle(&mut entry.node, place);
            }
        }
        Value::Null | Value::Bool(_) | Value::Scalar { .. } => {}
    }
}

/// Adds an edit's items to a list. An item with the name of an earlier one replaces it, and a check that is null
/// removes it.
fn grow(list: &str, base: &mut Node, edit: &Node, errors: &mut Diagnostics) {
    let (Value::List(items), Some(added)) = (&mut base.value, edit.as_list()) else {
        return;
    };
    for item in added {
        let name = name_of(list, item);
        let place = name.as_ref().and_then(|name| {
            items
                .iter()
                .position(|known| name_of(list, known).as_ref() == Some(name))
        });
        let removes = list == "expect"
            && item
                .as_map()
                .and_then(|map| map.first())
                .is_some_and(|(_, e)| e.node.is_null());
        match (place, removes) {
            (Some(at), true) => {
                items.remove(at);
            }
            (Some(at), false) => items[at] = item.clone(),
            (None, true) => {
                let name = name.unwrap_or_default();
                let known: Vec<String> = items
                    .iter()
                    .filter_map(|item| name_of(list, item))
                    .collect();
                let hint = suggest::hint(&name, known.iter().map(String::as_str));
                errors.add(&item.place, format!("no check `{name}` to remove: {hint}"));
            }
            (None, false) => items.push(item.clone()),
        }
    }
}

/// The name by which an item is replaced. Mesh edits have none, because they are applied in order.
fn name_of(list: &str, item: &Node) -> Option<String> {
    match list {
        "chaos" => item.get("name").and_then(Node::as_str).map(str::to_owned),
        "expect" => item
            .as_map()
            .and_then(|map| map.first())
            .map(|(name, _)| name.clone()),
        _ => None,
    }
}
