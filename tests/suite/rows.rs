//! Tests that each test named in the table of docs/envoy.md exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const HEADING: &str = "## Rules and their tests";
/// The table's entry for a row that is not implemented.
const UNSUPPORTED: &str = "not supported yet";
/// The folders to search for tests.
const FOLDERS: [&str; 5] = ["mesh", "sim", "scenarios", "loadgen", "tests"];

/// A row with the entry beside it.
type Row = (String, String);

/// The rows of the table, without its headings.
fn rows() -> Vec<Row> {
    let text = read(Path::new("docs/envoy.md"));
    let (_, table) = text.split_once(HEADING).expect("the table has its heading");
    let lines = table.lines().skip_while(|line| !line.starts_with("|---"));
    let cells = |line: &str| {
        let (row, test) = line.trim_matches('|').split_once('|')?;
        Some((row.trim().to_owned(), test.trim().to_owned()))
    };
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| cells(line).unwrap_or_else(|| panic!("two columns: {line}")))
        .filter(|(row, _)| !row.starts_with("**"))
        .collect()
}

fn read(path: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Collects all Rust sources below a folder, except build output.
fn sources(folder: PathBuf, found: &mut Vec<PathBuf>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join(&folder)).expect("the folder is one of the project's") {
        let entry = entry.expect("what is listed can be looked at");
        let path = folder.join(entry.file_name());
        if root.join(&path).is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                sources(path, found);
            }
        } else if path.extension().is_some_and(|is| is == "rs") {
            found.push(path);
        }
    }
}

/// The names of all test functions.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        sources(folder.into(), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        names.extend(tests_of(&read(&file)));
    }
    names
}

/// The test functions of one source: the function after each `#[test]`, regardless of attributes in between.
fn tests_of(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| marked) {
            let name = rest.split('(').next().expect("a split has a first part");
            names.push(name.to_owned());
            marked = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            marked = false;
        }
    }
    names
}

#[test]
fn every_row_of_the_table_names_tests_that_are_there() {
    let (rows, tests) = (rows(), tests());
    assert!(rows.len() > 70, "{} rows", rows.len());
    let mut gone = Vec::new();
    for (row, beside) in &rows {
        if beside == UNSUPPORTED {
            continue;
        }
        let names: Vec<&str> = beside.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "`{row}` names no test");
        let unknown = names.iter().filter(|name| !tests.contains(**name));
        gone.extend(unknown.map(|name| format!("{row}: {name}")));
    }
    assert!(gone.is_empty(), "no such tests:\n{}", gone.join("\n"));
}

#[test]
fn only_a_function_that_is_marked_is_a_test() {
    let text = "#[test]\n#[ignore]\nfn one() {}\nfn two() {}\n/// #[test]\nfn three() {}\n  #[test]\n  fn four(\n";
    assert_eq!(tests_of(text), ["one", "four"]);
}
