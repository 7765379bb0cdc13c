//! Syntax errors and their places.

use super::*;

impl TreeBuilder {
    pub(super) fn syntax(&mut self, text: &str, error: &ScanError) {
        let mark = error.marker();
        let place = self.place(mark);
        // The parser has its own depth limit, which it reaches while looking ahead. Report this crate's limit instead.
        if let Some(place) = self.too_deep(text, mark.index()) {
            self.errors.add(
                &place,
                format!("nested too deeply: at most {MAX_DEPTH} levels are allowed"),
            );
            return;
        }
        let at = text.chars().nth(mark.index().saturating_sub(1));
        let here = text.chars().nth(mark.index());
        let hint = match (at, here) {
            (Some('*'), _) | (_, Some('*')) => "; quote a value that begins with `*`: `\"*\"`",
            (_, Some('@' | '`' | '%')) => "; quote the value",
            (_, Some('\t')) => "; indent with spaces",
            _ => "",
        };
        self.errors
            .add(&place, format!("YAML syntax: {}{hint}", error.info()));
    }

    /// The place at which flow brackets nest past the bound, before `end` (in characters). Brackets in quotes are
    /// counted, too: the file is invalid in any case.
    fn too_deep(&self, text: &str, end: usize) -> Option<Location> {
        let (mut depth, mut line, mut column) = (0_usize, 1, 0);
        for letter in text.chars().take(end + 1) {
            column += 1;
            match letter {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                '\n' => (line, column) = (line + 1, 0),
                _ => {}
            }
            if depth > MAX_DEPTH {
                return Some(Location {
                    file: self.file.clone(),
                    line,
                    column,
                });
            }
        }
        None
    }
}

pub(super) fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Diagnostics> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let good = &bytes[..error.valid_up_to()];
            let start = good
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = String::from_utf8_lossy(&good[start..]).chars().count() + 1;
            let place = Location::new(file, clamp(line), clamp(column));
            let byte = bytes[error.valid_up_to()];
            Err(Diagnostics::one(
                place,
                format!("not UTF-8: byte 0x{byte:02x}; save the file as UTF-8"),
            ))
        }
    }
}
