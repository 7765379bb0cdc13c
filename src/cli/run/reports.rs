//! The output files of a run.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use shakedown::journal::{Format, JournalOutput};

use crate::cli::exit::Exit;
use crate::cli::fault::bad_input;
use crate::cli::out;
use crate::cli::output::Output;

/// Returns the journal's destination, compressed if the file name ends in `.zst`.
pub(super) fn destination(journal: Output) -> Result<JournalOutput, Exit> {
    let is_zstd = journal.path().extension() == Some("zst".as_ref());
    let file = journal.into_file();
    let file = file.map_err(|error| bad_input(format!("failed to write --journal: {error}")))?;
    Ok(JournalOutput {
        out: Box::new(BufWriter::new(file)),
        format: if is_zstd { Format::Zstd } else { Format::Plain },
    })
}

/// Inserts the variant into a file name: `report.html` becomes `report-fragile.html`, `run.jsonl.zst` becomes
/// `run-fragile.jsonl.zst`.
pub(super) fn beside(path: &Path, variant: &str) -> PathBuf {
    if path.extension() == Some("zst".as_ref()) {
        let mut inner = beside(&path.with_extension(""), variant).into_os_string();
        inner.push(".zst");
        return inner.into();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut name = format!("{stem}-{variant}");
    if let Some(extension) = path.extension() {
        name = format!("{name}.{}", extension.to_string_lossy());
    }
    path.with_file_name(name)
}

/// Opens the journal. Standard output is refused: it carries the summary.
pub(super) fn open_journal(path: Option<&Path>) -> Result<Option<Output>, Exit> {
    if path == Some(Path::new("-")) {
        return Err(bad_input(
            "invalid --journal `-`: standard output is used for the summary; expected a file",
        ));
    }
    Output::maybe("--journal", path)
}

/// The results document and the HTML page of a command, as far as requested.
pub(crate) struct Reports {
    json: Option<Output>,
    html: Option<Output>,
}

impl Reports {
    /// Opens both files before the command begins.
    ///
    /// # Errors
    /// Fails if one cannot be written.
    pub(crate) fn open(json: Option<&Path>, html: Option<&Path>) -> Result<Reports, Exit> {
        Ok(Reports {
            json: Output::maybe("--json", json)?,
            html: Output::maybe("--html", html)?,
        })
    }

    /// The requested outputs.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Output> {
        self.json.iter().chain(&self.html)
    }

    /// Returns true if one of them is written to standard output, so that nothing else may be printed there.
    pub(crate) fn take_stdout(&self) -> bool {
        self.all().any(Output::is_stdout)
    }

    pub(super) fn is_html_on_stdout(&self) -> bool {
        self.html.as_ref().is_some_and(Output::is_stdout)
    }

    /// Writes both.
    ///
    /// # Errors
    /// Fails if one can no longer be written.
    pub(crate) fn write(
        self,
        value: &impl serde::Serialize,
        page: impl FnOnce() -> String,
    ) -> Result<(), Exit> {
        if let Some(json) = self.json {
            let mut text =
                serde_json::to_string_pretty(value).expect("results documents serialize to JSON");
            text.push('\n');
            json.write(&text)?;
        }
        match self.html {
            Some(html) => write_html(html, &page()),
            None => Ok(()),
        }
    }
}

pub(super) fn write_html(to: Output, page: &str) -> Result<(), Exit> {
    let note = (!to.is_stdout()).then(|| format!("report: {to}"));
    to.write(page)?;
    note.into_iter().for_each(out::complain);
    Ok(())
}
