//! Writes reports of synthetic runs for visual inspection: `cargo run -p shakedown-reports --example synthetic
//! -- DIRECTORY`. If names of results documents follow (`run --json`), it writes reports of these instead,
//! and a comparison of all of them.

mod journal;

use std::path::Path;
use std::{env, fs, io};

use shakedown_reports::{html, text};
use shakedown_results::Document;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| ".".to_owned());
    let directory = Path::new(&directory);
    let mut documents: Vec<Document> = Vec::new();
    for path in arguments {
        let text = fs::read_to_string(path)?;
        match serde_json::from_str(&text) {
            Ok(document) => documents.push(document),
            Err(_) => documents.extend(serde_json::from_str::<Vec<Document>>(&text)?),
        }
    }
    if documents.is_empty() {
        documents = vec![journal::rollout(false), journal::rollout(true)];
        fs::write(
            directory.join("stormy.html"),
            html::render(&journal::stormy()),
        )?;
    }
    for document in &documents {
        let name = format!("{}-{}.html", document.scenario, document.variant);
        fs::write(directory.join(name), html::render(document))?;
        print!("{}", text::render(document, text::Paint::Ansi));
    }
    fs::write(directory.join("compare.html"), html::compare(&documents))
}
