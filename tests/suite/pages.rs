//! Tests the user documentation against the code: the README's scenario has its documented outcome, and the reference
//! of the scenario language contains every key.

use std::fs;
use std::path::Path;

use shakedown::Scenario;
use shakedown_istio::{DocumentKind, KINDS, Treatment};

use crate::command::folder;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The YAML blocks in a page.
fn blocks(page: &str) -> Vec<String> {
    let text = read(page);
    let parts = text.split("```yaml\n").skip(1);
    let block = |part: &str| part.split("```").next().unwrap_or_default().to_owned();
    parts.map(block).collect()
}

#[test]
fn the_story_of_the_readme_ends_as_it_tells() {
    let blocks = blocks("README.md");
    let story = blocks.iter().find(|block| block.starts_with("scenario:"));
    let story = Scenario::yaml(story.expect("the README has a scenario").clone());
    story.run().unwrap().assert_pass();
    story
        .variant("fragile")
        .run()
        .unwrap()
        .assert_breaks(&["slo"]);
}

/// Formats a kind's row in the table of docs/istio.md.
fn row(kind: &DocumentKind) -> String {
    let group = if kind.group.is_empty() {
        "core"
    } else {
        kind.group
    };
    let (treatment, effect) = match kind.treatment {
        Treatment::Modelled => ("modelled", String::new()),
        Treatment::Harmless => ("no effect on requests", String::new()),
        Treatment::Planned(effect) => ("planned", format!("{effect} ")),
        Treatment::PassedOver(effect) => ("passed over", format!("{effect} ")),
    };
    format!("| `{group}` | {} | {treatment} | {effect}|", kind.name)
}

#[test]
fn the_table_of_kinds_is_that_of_the_code() {
    let page = read("docs/istio.md");
    let section = page.split("## Kinds").nth(1).expect("it has the section");
    let table = section.split("\n## ").next().unwrap_or_default();
    let written: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let kinds: Vec<String> = KINDS.iter().map(row).collect();
    assert_eq!(written, kinds);
}

/// The header of a generated table.
fn header(table: &str) -> &'static str {
    match table {
        "Step" => "| step | meaning |\n|---|---|",
        "Action" => "| `do` | own keys | meaning |\n|---|---|---|",
        _ => "| key | default | meaning |\n|---|---|---|",
    }
}

/// A table of keys, as the types of the scenario file describe them.
fn table(name: &str) -> String {
    let rows = shakedown_scenarios::key_rows(name);
    assert!(
        !rows.is_empty(),
        "docs/language.md asks for a table `{name}`"
    );
    let mut text = header(name).to_owned();
    for row in rows {
        let middle = match name {
            "Step" => String::new(),
            _ => format!(" {} |", row.default),
        };
        text.push_str(&format!("\n| `{}` |{middle} {} |", row.key, row.meaning));
    }
    text
}

/// A page with each table after a line `<!-- keys of NAME -->` replaced by the generated one.
fn with_tables(page: &str) -> String {
    let mut lines = page.lines().peekable();
    let mut text = String::new();
    while let Some(line) = lines.next() {
        text.push_str(line);
        text.push('\n');
        let name = line
            .strip_prefix("<!-- keys of ")
            .and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(name) = name {
            while lines.next_if(|line| line.starts_with('|')).is_some() {}
            text.push_str(&table(name));
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_tables_of_the_language_are_generated_from_the_types() {
    let page = read("docs/language.md");
    assert!(
        page.matches("<!-- keys of ").count() >= 10,
        "the page has its tables"
    );
    let generated = with_tables(&page);
    if page != generated {
        let now = folder("pages").join("language.md");
        fs::write(&now, generated).expect("it can be written");
        panic!(
            "the tables of docs/language.md are not those of the types: the page is now in {}: copy it",
            now.display()
        );
    }
}

/// The quoted texts in a list of a source file.
fn quoted(source: &str, list: &str) -> Vec<String> {
    let after = source.split(list).nth(1).expect("the list is there");
    let list = after.split("];").next().unwrap_or_default();
    let texts = list.split('"').skip(1).step_by(2);
    texts.map(str::to_owned).collect()
}

#[test]
fn the_reference_of_the_language_has_every_metric() {
    let page = read("docs/language.md");
    let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let said: Vec<&str> = page.split(|c| !is_of_a_word(c)).collect();
    let figures = read("scenarios/src/check/figures.rs");
    let words: Vec<String> = ["const FIGURES:", "const MEASURES:"]
        .iter()
        .flat_map(|list| quoted(&figures, list))
        .collect();
    assert!(
        words.len() > 20,
        "the lists of metrics were found: {words:?}"
    );
    let missing: Vec<&String> = words
        .iter()
        .filter(|word| !said.contains(&word.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/language.md leaves out {missing:?}"
    );
}
