//! Writes the report of a made-up voyage, to look at: `cargo run -p shakedown-reports --example voyage -- report.html`.

mod journal;

use std::{env, fs, io};

use shakedown_reports::{html, text};

fn main() -> io::Result<()> {
    let document = journal::stormy();
    let path = env::args()
        .nth(1)
        .unwrap_or_else(|| "report.html".to_owned());
    fs::write(path, html::render(&document))?;
    print!("{}", text::render(&document, text::Paint::Ansi));
    Ok(())
}
