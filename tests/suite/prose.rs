//! Checks the language of comments against the project's style: plain technical English.
//!
//! A doc comment is a noun phrase or a verb phrase, and comments avoid the words that made earlier ones hard to read. This is a
//! lower bound on quality, not the aim.

use std::path::{Path, PathBuf};

/// First words that turn a doc comment into a riddle or a fragment.
const OPENINGS: [&str; 20] = [
    "What", "Whether", "It", "Its", "One", "Who", "Whose", "Whom", "How", "When", "Where", "Which",
    "Whatever", "Whoever", "That", "Those", "They", "Their", "Whenever", "Wherever",
];

/// Words and phrases, in lower case, that a comment does not contain.
const PHRASES: [&str; 33] = [
    "told",
    "tell",
    "tells",
    "telling",
    "stand",
    "stands",
    "stood",
    "holds",
    "comes",
    "goes",
    "nobody",
    "somebody",
    "so many",
    "so much",
    "has it",
    "have it",
    "had it",
    "has a say",
    "is no",
    "are no",
    "was no",
    "what is there",
    "in vain",
    "whoever",
    "whatever",
    "wherever",
    "whichever",
    "the like",
    "that is all",
    "ailment",
    "glance",
    "errand",
    "curtain",
];

/// Comments that may contain a phrase: a part of the path, a part of the line, and the reason.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

/// The maximum number of words in the name of a test.
const TEST_NAME_WORDS_MAX: usize = 12;
/// The least number of times per 1,000 words that comments say *because*: constraints need reasons.
const BECAUSE_MIN: f64 = 0.8;

/// A line of a comment: its text, and whether a doc comment begins with it.
struct CommentLine {
    number: usize,
    text: String,
    opens_doc: bool,
}

fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pending = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository is readable") {
            let path = entry.expect("a folder's entry is readable").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    pending.push(path);
                }
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The lines of whole-line comments, without code blocks and with code spans replaced by `x`.
fn comment_lines(source: &str) -> Vec<CommentLine> {
    let mut lines = Vec::new();
    let (mut in_code, mut in_doc) = (false, false);
    for (index, line) in source.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else {
            (in_code, in_doc) = (false, false);
            continue;
        };
        let doc = comment.strip_prefix(['/', '!']);
        let text = doc.unwrap_or(comment).trim();
        let opens_doc = doc.is_some() && !in_doc;
        in_doc = doc.is_some();
        if text.starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push(CommentLine {
                number: index + 1,
                text: without_code_spans(text),
                opens_doc,
            });
        }
    }
    lines
}

fn without_code_spans(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    let prose = pieces.iter().step_by(2).copied();
    prose.collect::<Vec<_>>().join("x")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphabetic() && c != '\'')
        .filter(|word| !word.is_empty())
}

fn phrases_in(text: &str) -> Vec<&'static str> {
    let lower = text.to_ascii_lowercase();
    let spaced = format!(" {} ", words(&lower).collect::<Vec<_>>().join(" "));
    let contained = |phrase: &&&str| spaced.contains(&format!(" {phrase} "));
    PHRASES.iter().filter(contained).copied().collect()
}

fn findings(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in comment_lines(source) {
        let excepted =
            |(file, part, _): &(&str, &str, &str)| path.ends_with(file) && line.text.contains(part);
        if EXCEPTIONS.iter().any(excepted) {
            continue;
        }
        let place = format!("{path}:{}", line.number);
        let first = words(&line.text).next().unwrap_or("");
        if line.opens_doc && line.text.starts_with(first) && OPENINGS.contains(&first) {
            found.push(format!("{place}: a doc comment opens with `{first}`"));
        }
        for phrase in phrases_in(&line.text) {
            found.push(format!("{place}: a comment says `{phrase}`"));
        }
    }
    found
}

#[test]
fn comments_are_plain_technical_english() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut total, mut because) = (Vec::new(), 0_u32, 0_u32);
    for file in sources() {
        let source = std::fs::read_to_string(&file).expect("a source file is UTF-8");
        let path = file.strip_prefix(root).expect("sources are below the root");
        found.extend(findings(&path.display().to_string(), &source));
        for line in comment_lines(&source) {
            for word in words(&line.text) {
                total += 1;
                because += u32::from(word.eq_ignore_ascii_case("because"));
            }
        }
    }
    assert!(
        found.is_empty(),
        "{} findings:\n{}",
        found.len(),
        found.join("\n")
    );
    let rate = f64::from(because) * 1000.0 / f64::from(total);
    assert!(
        rate >= BECAUSE_MIN,
        "{because} of {total} words are `because`: {rate:.2} per 1,000, at least {BECAUSE_MIN} expected"
    );
}

/// The names of test functions that have more than [`TEST_NAME_WORDS_MAX`] words.
fn long_test_names(source: &str) -> Vec<&str> {
    let after_attributes = source.split("#[test]").skip(1);
    let names = after_attributes.filter_map(|rest| rest.split("fn ").nth(1)?.split('(').next());
    names
        .filter(|name| name.split('_').count() > TEST_NAME_WORDS_MAX)
        .collect()
}

#[test]
fn test_names_are_short() {
    for file in sources() {
        let source = std::fs::read_to_string(&file).expect("a source file is UTF-8");
        let long = long_test_names(&source);
        assert!(long.is_empty(), "{}: {long:?}", file.display());
    }
    let [short, long] = [12, 13].map(|words| vec!["a"; words].join("_"));
    let source = [&short, &long].map(|name| format!("#[test]\n#[ignore]\nfn {name}() {{}}\n"));
    assert_eq!(long_test_names(&source.concat()), [long]);
}

#[test]
fn the_check_finds_openings_and_phrases() {
    let source =
        "/// What a caller asked.\nfn a() {}\n// A limit holds for all.\n/// `What` is a name.\n";
    assert_eq!(
        findings("a.rs", source),
        [
            "a.rs:1: a doc comment opens with `What`",
            "a.rs:3: a comment says `holds`",
        ]
    );
}
