//! Lines for a terminal or pipe: colours, wrapping at words, aligned columns.

use std::fmt::Write as _;

/// Use of colours in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Plain text: pipes, files, tests.
    Plain,
    /// ANSI colours for verdict and marks.
    Ansi,
}

/// The terminal or pipe that a text is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    pub paint: Paint,
    /// Width in columns; `None` if lines may have any length.
    pub width: Option<usize>,
}

impl From<Paint> for Screen {
    fn from(paint: Paint) -> Screen {
        Screen { paint, width: None }
    }
}

pub(super) const INTO_A_STRING: &str = "writing into a string succeeds";

/// Writes a line, wrapped at words if the screen is narrower.
pub(super) fn wrapped(line: &str, indent: &str, screen: Screen, out: &mut String) {
    let width = screen.width.unwrap_or(usize::MAX);
    let options = textwrap::Options::new(width)
        .subsequent_indent(indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    // The line's own indentation must not count as a word.
    let own = line.len() - line.trim_start().len();
    let (own, line) = line.split_at(own);
    for line in textwrap::wrap(line, options.initial_indent(own)) {
        out.push_str(&line);
        out.push('\n');
    }
}

/// Writes columns two spaces apart, the first one aligned left, the others right. If the screen is narrower,
/// further columns follow below, each time after the first one.
pub(super) fn write_aligned(rows: &[Vec<String>], screen: Screen, out: &mut String) {
    const GAP: usize = 2;
    let columns = |words: &str| textwrap::core::display_width(words);
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| columns(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .map(width_of)
        .collect();
    let Some((first, figures)) = widths.split_first() else {
        return;
    };
    let mut from = 0;
    while from < figures.len() {
        let mut line = GAP + first;
        let fits = |width: &&usize| {
            line += GAP + **width;
            screen.width.is_none_or(|screen| line <= screen)
        };
        // At least one column, however narrow the screen is.
        let count = figures[from..].iter().take_while(fits).count().max(1);
        for row in rows {
            write!(out, "  {}{}", row[0], " ".repeat(first - columns(&row[0])))
                .expect(INTO_A_STRING);
            for column in from..from + count {
                let cell = &row[column + 1];
                let gap = " ".repeat(GAP + figures[column] - columns(cell));
                write!(out, "{gap}{cell}").expect(INTO_A_STRING);
            }
            out.push('\n');
        }
        from += count;
    }
}

pub(super) fn painted(word: &str, color: &str, paint: Paint) -> String {
    match paint {
        Paint::Plain => word.to_owned(),
        Paint::Ansi => format!("\x1b[{color}m{word}\x1b[0m"),
    }
}

/// Puts a user's string on one line, without control characters that a terminal would interpret.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
