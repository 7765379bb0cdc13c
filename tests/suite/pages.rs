//! Tests the user documentation against the code: the README's scenario has its documented outcome, and the reference
//! of the scenario language contains every key.

use std::fs;
use std::path::{Path, PathBuf};

use shakedown::Scenario;
use shakedown_istio::{DocumentKind, KINDS, Treatment};

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
    let story = Scenario::yaml(story.expect("the README tells a story").clone());
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

/// The quoted texts in each list that begins with `list`.
fn quoted(source: &str, list: &str) -> Vec<String> {
    let after = source.split(list).skip(1);
    let lists = after.map(|rest| rest.split("];").next().unwrap_or_default());
    let lists = lists.map(|rest| rest.split("],\n").next().unwrap_or_default());
    lists
        .flat_map(|list| list.split('"').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(&folder)).expect("it is a folder of the project");
    let entries = entries.map(|entry| entry.expect("what is listed can be looked at"));
    let paths = entries.map(|entry| folder.join(entry.file_name()));
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| root().join(path).is_dir());
    let below = folders.into_iter().flat_map(sources);
    files.into_iter().chain(below).collect()
}

/// Every word that the scenario reader accepts as a key, a step, an action or a metric.
fn language() -> Vec<String> {
    let reader: String = sources("scenarios/src/read".into())
        .into_iter()
        .filter(|path| {
            !path.ends_with("tests.rs")
                && !path.components().any(|part| part.as_os_str() == "tests")
        })
        .map(read)
        .collect();
    let figures = read("scenarios/src/check/figures.rs");
    let lists = ["known: &[", "const COMMON:", "const STEPS:", "const DONE:"];
    let mut words: Vec<String> = lists
        .iter()
        .flat_map(|list| quoted(&reader, list))
        .collect();
    for list in ["const FIGURES:", "const MEASURES:"] {
        words.extend(quoted(&figures, list));
    }
    words.sort_unstable();
    words.dedup();
    words
}

#[test]
fn the_reference_of_the_language_has_every_key() {
    let page = read("docs/language.md");
    let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let said: Vec<&str> = page.split(|c| !is_of_a_word(c)).collect();
    let words = language();
    assert!(words.len() > 120, "the lists of keys were found: {words:?}");
    let missing: Vec<&String> = words
        .iter()
        .filter(|word| !said.contains(&word.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/language.md leaves out {missing:?}"
    );
}
