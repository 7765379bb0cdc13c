//! Support for lines of flow collections that YAML 1.2 requires to be indented. libyaml, kubectl's reader, accepts them
//! at any column.
//!
//! ```yaml
//! spec:
//!   hosts: [
//!     reviews
//!   ]
//! ```
//!
//! This crate's parser follows the standard. Such lines are passed to it with spaces before them, because spaces have
//! no meaning inside brackets. The added spaces are subtracted from the columns of places.

use saphyr_parser::{Event, Parser};

/// A text with spaces inserted before each line that begins within brackets.
pub(super) struct Indented {
    pub(super) text: String,
    /// The number of spaces added before each line.
    pub(super) added: Vec<usize>,
}

/// The text with its flow collections indented. `None` if no line needs it.
pub(super) fn indented(text: &str) -> Option<Indented> {
    let mut added = Vec::new();
    let mut scan = Scan::default();
    for line in text.split_inclusive('\n') {
        added.push(scan.spaces());
        scan.line(line);
    }
    if added.iter().all(|spaces| *spaces == 0) {
        return None;
    }
    let mut out = String::with_capacity(text.len() * 2);
    for (line, spaces) in text.split_inclusive('\n').zip(&added) {
        out.extend(std::iter::repeat_n(' ', *spaces));
        out.push_str(line);
    }
    let indented = Indented { text: out, added };
    indented.is_of_flow_alone().then_some(indented)
}

impl Indented {
    /// True if the parser agrees that each indented line is within brackets. The scan below does not know all of YAML,
    /// and added spaces outside brackets would change the meaning.
    fn is_of_flow_alone(&self) -> bool {
        let text: Vec<char> = self.text.chars().collect();
        let mut inside = vec![false; self.added.len() + 2];
        let (mut depth, mut first) = (0_usize, 0);
        for event in Parser::new_from_str(&self.text) {
            let Ok((event, span)) = event else {
                return false;
            };
            match event {
                Event::SequenceStart(..) | Event::MappingStart(..) => {
                    let last = span.end.index().checked_sub(1);
                    let opens = last.and_then(|at| text.get(at));
                    if depth > 0 {
                        depth += 1;
                    } else if matches!(opens, Some('[' | '{')) && !span.is_empty() {
                        (depth, first) = (1, span.end.line());
                    }
                }
                Event::SequenceEnd | Event::MappingEnd if depth > 0 => {
                    depth -= 1;
                    if depth == 0 {
                        let last = span.end.line().min(inside.len() - 1);
                        // The parser also ends lines at a lone CR and may therefore count more of them.
                        if first < last {
                            inside[first + 1..=last].fill(true);
                        }
                    }
                }
                _ => {}
            }
        }
        let mut lines = (1..).zip(&self.added);
        lines.all(|(line, spaces)| *spaces == 0 || inside[line])
    }
}

/// A line scanner that knows only enough YAML to find the brackets of flow collections.
#[derive(Default)]
struct Scan {
    /// The number of open brackets.
    depth: usize,
    /// The column after the outermost open bracket.
    indent: usize,
    /// The quote character of the scalar being read.
    quote: Option<char>,
    /// The parent column of the block scalar being read. The scalar's lines are indented further than this.
    block_scalar: Option<isize>,
    /// Within brackets: true if the previous character belongs to a plain scalar.
    in_plain: bool,
}

/// The scanner's position in a line of block style.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BlockPosition {
    /// A value or key may begin.
    Start,
    /// A value has ended: only a `:` or a comment may follow.
    Ended { column: usize },
}

impl Scan {
    fn spaces(&self) -> usize {
        if self.depth > 0 { self.indent } else { 0 }
    }

    fn line(&mut self, line: &str) {
        let letters: Vec<char> = line.trim_end_matches(['\n', '\r']).chars().collect();
        let indent = letters.iter().take_while(|letter| **letter == ' ').count();
        if let Some(of) = self.block_scalar {
            if indent == letters.len() || indent as isize > of {
                return;
            }
            self.block_scalar = None;
        }
        let mut column = 0;
        // The column of the nearest key or dash on this line.
        let mut parent = indent as isize - 1;
        let goes_on = self.depth > 0 || self.quote.is_some();
        let mut at = if goes_on {
            BlockPosition::Ended { column: indent }
        } else {
            BlockPosition::Start
        };
        while column < letters.len() {
            if self.quote.is_some() {
                column = self.quoted(&letters, column);
            } else if self.depth > 0 {
                column = self.flow(&letters, column);
            } else {
                match self.block(&letters, column, &mut at, &mut parent) {
                    Some(next) => column = next,
                    None => return,
                }
            }
        }
    }

    /// Scans one character within quotes and returns the next column.
    fn quoted(&mut self, letters: &[char], column: usize) -> usize {
        match (self.quote, letters[column], letters.get(column + 1)) {
            (Some('"'), '\\', _) | (Some('\''), '\'', Some('\'')) => return column + 2,
            (Some(quote), letter, _) if quote == letter => self.quote = None,
            _ => {}
        }
        column + 1
    }

    /// Scans one character within brackets and returns the next column.
    fn flow(&mut self, letters: &[char], column: usize) -> usize {
        let blank_before = column == 0 || letters[column - 1].is_whitespace();
        match letters[column] {
            '[' | '{' => (self.depth, self.in_plain) = (self.depth + 1, false),
            ']' | '}' => (self.depth, self.in_plain) = (self.depth - 1, false),
            ',' => self.in_plain = false,
            ':' if letters
                .get(column + 1)
                .is_none_or(|next| next.is_whitespace()) =>
            {
                self.in_plain = false;
            }
            '#' if blank_before => return letters.len(),
            quote @ ('"' | '\'') if !self.in_plain => self.quote = Some(quote),
            letter if letter.is_whitespace() => {}
            _ => self.in_plain = true,
        }
        column + 1
    }

    /// Scans a token outside brackets and returns the next column. `None`: nothing of interest in the rest of the line.
    fn block(
        &mut self,
        letters: &[char],
        column: usize,
        at: &mut BlockPosition,
        parent: &mut isize,
    ) -> Option<usize> {
        let letter = letters[column];
        let is_alone = letters.get(column + 1).is_none_or(|next| *next == ' ');
        match (letter, *at) {
            (' ' | '\t', _) => Some(column + 1),
            ('#', _) => None,
            (':', BlockPosition::Ended { column: key }) => {
                (*at, *parent) = (BlockPosition::Start, key as isize);
                Some(column + 1)
            }
            (_, BlockPosition::Ended { .. }) => None,
            ('-' | '?', BlockPosition::Start) if is_alone => {
                *parent = column as isize;
                Some(column + 1)
            }
            ('-', BlockPosition::Start) if column == 0 && letters.starts_with(&['-', '-', '-']) => {
                *parent = -1;
                Some(3)
            }
            ('&' | '*' | '!', BlockPosition::Start) => {
                let word = letters[column..].iter();
                Some(column + word.take_while(|letter| !letter.is_whitespace()).count())
            }
            ('|' | '>', BlockPosition::Start) => {
                self.block_scalar = Some(*parent);
                None
            }
            ('[' | '{', BlockPosition::Start) => {
                (self.depth, self.indent, self.in_plain) = (1, column + 1, false);
                *at = BlockPosition::Ended { column };
                Some(column + 1)
            }
            ('"' | '\'', BlockPosition::Start) => {
                self.quote = Some(letter);
                *at = BlockPosition::Ended { column };
                Some(column + 1)
            }
            (_, BlockPosition::Start) => {
                // A plain scalar, or a key if a colon follows.
                let rest = letters[column..].windows(2);
                let ends = |pair: &[char]| pair[0] == ':' && pair[1].is_whitespace();
                let colon = rest.clone().position(ends);
                let comment = rest
                    .clone()
                    .position(|pair| pair[0].is_whitespace() && pair[1] == '#');
                let colon = colon.filter(|colon| comment.is_none_or(|comment| *colon < comment))?;
                *parent = column as isize;
                Some(column + colon + 1)
            }
        }
    }
}
