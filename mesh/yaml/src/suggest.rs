//! "Did you mean" hints for unknown names.

/// The maximum number of names in a list, when no name is near enough.
const LISTED: usize = 16;

/// The accepted name nearest to `word`, if it is near enough to be a typing error.
pub fn nearest<'a>(word: &str, accepted: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    // A third of the letters may be wrong. Short names like `v1` must match exactly, because each is near any other.
    let allowed = word.chars().count() / 3;
    accepted
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| {
            (
                strsim::damerau_levenshtein(&lower, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The text after the colon of an "unknown name" message: `did you mean `x`?`, or else the first sixteen accepted
/// names.
pub fn hint<'a, I>(word: &str, accepted: I) -> String
where
    I: IntoIterator<Item = &'a str>,
    I::IntoIter: Clone,
{
    let accepted = accepted.into_iter();
    if let Some(name) = nearest(word, accepted.clone()) {
        return format!("did you mean `{name}`?");
    }
    let names: Vec<&str> = accepted.collect();
    if names.is_empty() {
        return "no names are accepted here".into();
    }
    format!("expected {}", one_of(&names))
}

/// Formats `` `a`, `b` or `c` ``, with at most sixteen names.
pub fn one_of(names: &[&str]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().take(LISTED).enumerate() {
        if index > 0 {
            text.push_str(if index + 1 == names.len() {
                " or "
            } else {
                ", "
            });
        }
        text.push('`');
        text.push_str(name);
        text.push('`');
    }
    if names.len() > LISTED {
        text.push_str(&format!(" or {} more", names.len() - LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swapped_or_missing_letter_finds_its_name() {
        assert_eq!(nearest("topolgy", ["load", "topology"]), Some("topology"));
        assert_eq!(nearest("paymnt", ["email", "payment"]), Some("payment"));
        assert_eq!(nearest("Hosts", ["hosts"]), Some("hosts"));
    }

    #[test]
    fn short_names_are_not_mistaken_for_each_other() {
        assert_eq!(nearest("v9", ["v1", "v2"]), None);
        assert_eq!(nearest("V1", ["v1", "v2"]), Some("v1"));
    }

    #[test]
    fn another_word_is_answered_with_the_accepted_ones() {
        assert_eq!(
            hint("zebra", ["a", "bb", "ccc"]),
            "expected `a`, `bb` or `ccc`"
        );
        assert_eq!(hint("x", ["y"]), "expected `y`");
    }
}
