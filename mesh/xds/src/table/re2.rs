//! Regular expressions in RE2's syntax, as used by Envoy, implemented with the `regex` crate.
//!
//! The two engines share their semantics but not all of their syntax. An expression that RE2 refuses, or interprets
//! differently, is refused here. Source: RE2, "Syntax"; `re2/parse.cc`.

use regex::bytes::Regex;
use regex_syntax::ast::{self, Ast, ClassSet, ClassSetItem, Flag, FlagsItemKind, RepetitionKind};

/// The highest repeat count, and the highest product of nested repeat counts. Source: RE2, `maximum_repeat_count`.
const MAX_REPEAT: u32 = 1000;

/// Compiles an expression that must match the whole text.
///
/// # Errors
/// The reason, in one line, if RE2 would refuse the expression or interpret it differently.
pub fn compile_whole(expression: &str) -> Result<Regex, String> {
    // The expression is compiled on its own first, because the group below would turn `a)(b` into a valid expression.
    compile(expression)?;
    Regex::new(&format!("^(?:{expression})$")).map_err(|error| last_line(&error.to_string()))
}

/// Compiles an expression that may match any part of a text.
///
/// # Errors
/// The reason, in one line, if RE2 would refuse the expression or interpret it differently.
pub fn compile(expression: &str) -> Result<Regex, String> {
    let regex = Regex::new(expression).map_err(|error| last_line(&error.to_string()))?;
    let parsed = ast::parse::Parser::new()
        .parse(expression)
        .map_err(|error| last_line(&error.to_string()))?;
    check(&parsed, MAX_REPEAT)?;
    Ok(regex)
}

/// Returns the last line, which contains the error message. The lines before it quote the expression.
fn last_line(text: &str) -> String {
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

/// Checks an expression in which nested repeat counts may multiply to at most `repeats_left`. The parser's nest limit
/// bounds the recursion depth.
fn check(parsed: &Ast, repeats_left: u32) -> Result<(), String> {
    match parsed {
        Ast::Repetition(repetition) => {
            let left = after_repeat(&repetition.op.kind, repeats_left)?;
            check(&repetition.ast, left)
        }
        Ast::Group(group) => {
            if let ast::GroupKind::NonCapturing(flags) = &group.kind {
                check_flags(flags)?;
            }
            check(&group.ast, repeats_left)
        }
        Ast::Flags(set) => check_flags(&set.flags),
        Ast::Alternation(alternation) => {
            let mut parts = alternation.asts.iter();
            parts.try_for_each(|part| check(part, repeats_left))
        }
        Ast::Concat(concat) => {
            let mut parts = concat.asts.iter();
            parts.try_for_each(|part| check(part, repeats_left))
        }
        Ast::ClassBracketed(class) => check_class(&class.kind),
        Ast::Literal(literal) => check_literal(literal),
        Ast::Assertion(assertion) => match assertion.kind {
            ast::AssertionKind::StartLine
            | ast::AssertionKind::EndLine
            | ast::AssertionKind::StartText
            | ast::AssertionKind::EndText
            | ast::AssertionKind::WordBoundary
            | ast::AssertionKind::NotWordBoundary => Ok(()),
            _ => Err("RE2 has no half word boundaries".into()),
        },
        Ast::Empty(_) | Ast::Dot(_) | Ast::ClassUnicode(_) | Ast::ClassPerl(_) => Ok(()),
    }
}

/// Returns the product that repeats inside this one may reach.
fn after_repeat(kind: &RepetitionKind, repeats_left: u32) -> Result<u32, String> {
    let RepetitionKind::Range(range) = kind else {
        return Ok(repeats_left);
    };
    let count = match *range {
        ast::RepetitionRange::Exactly(count) | ast::RepetitionRange::AtLeast(count) => count,
        ast::RepetitionRange::Bounded(_, most) => most,
    };
    match repeats_left.checked_div(count) {
        // A repeat count of 0 does not multiply.
        None => Ok(repeats_left),
        Some(0) => Err(format!(
            "a repeat count of {count} is too large: RE2 accepts at most {MAX_REPEAT}, including the product of nested counts"
        )),
        Some(left) => Ok(left),
    }
}

fn check_flags(flags: &ast::Flags) -> Result<(), String> {
    for item in &flags.items {
        if let FlagsItemKind::Flag(flag) = item.kind
            && !matches!(
                flag,
                Flag::CaseInsensitive | Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed
            )
        {
            return Err("RE2 has only the flags `i`, `m`, `s` and `U`".into());
        }
    }
    Ok(())
}

fn check_class(class: &ClassSet) -> Result<(), String> {
    match class {
        ClassSet::BinaryOp(_) => Err("RE2 has no `&&`, `--` or `~~` in a class".into()),
        ClassSet::Item(item) => check_item(item),
    }
}

fn check_item(item: &ClassSetItem) -> Result<(), String> {
    match item {
        ClassSetItem::Bracketed(_) => {
            Err("RE2 has no nested classes: write `\\[` for a bracket".into())
        }
        ClassSetItem::Union(union) => union.items.iter().try_for_each(check_item),
        ClassSetItem::Literal(literal) => check_literal(literal),
        ClassSetItem::Range(range) => {
            check_literal(&range.start)?;
            check_literal(&range.end)
        }
        ClassSetItem::Empty(_)
        | ClassSetItem::Ascii(_)
        | ClassSetItem::Unicode(_)
        | ClassSetItem::Perl(_) => Ok(()),
    }
}

fn check_literal(literal: &ast::Literal) -> Result<(), String> {
    match &literal.kind {
        ast::LiteralKind::HexFixed(kind) | ast::LiteralKind::HexBrace(kind)
            if !matches!(kind, ast::HexLiteralKind::X) =>
        {
            Err("RE2 has no `\\u`: write `\\x{...}`".into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_a_text_as_a_whole() {
        let regex = compile_whole("a|bc").unwrap();
        assert!(regex.is_match(b"bc"));
        assert!(!regex.is_match(b"abc"));
        assert!(compile_whole("a)(b").is_err());
    }

    #[test]
    fn what_re2_takes_is_taken() {
        for expression in [
            "",
            ".*",
            "[^/]{1,1000}",
            "(a{10}){100}",
            "(a{1000})*",
            "(a{1000}){0}",
            "(?i)x(?P<name>y)(?s:.)",
            r"\x{10FFFF}[[:alpha:]\d\pL\[\]]\b",
        ] {
            assert!(compile_whole(expression).is_ok(), "{expression}");
        }
    }

    #[test]
    fn what_re2_refuses_or_reads_differently_is_refused() {
        for (expression, reason) in [
            ("a{1001}", "a repeat count of 1001 is too large"),
            ("a{2,1001}", "a repeat count of 1001 is too large"),
            ("a{1001,}", "a repeat count of 1001 is too large"),
            ("(a{40}){26}", "a repeat count of 40 is too large"),
            ("(?x)a b", "RE2 has only the flags"),
            ("(?u:a)", "RE2 has only the flags"),
            ("[a-z&&[^b]]", "RE2 has no `&&`"),
            ("[a[b]]", "RE2 has no nested classes"),
            (r"\u00e9", "RE2 has no `\\u`"),
            (r"\b{start}a", "RE2 has no half word boundaries"),
            ("(?=a)", "look-around"),
            ("(", "unclosed group"),
        ] {
            let found = compile_whole(expression).unwrap_err();
            assert!(found.contains(reason), "{expression}: {found}");
        }
    }
}
