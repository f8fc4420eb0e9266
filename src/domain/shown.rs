//! Lists for people: the first few, and how many more there are.

use std::borrow::Borrow;

/// Joins the first texts with commas, and says how many are left off.
pub fn join_shown<'a>(
    texts: impl IntoIterator<Item = &'a str, IntoIter: ExactSizeIterator>,
    max: usize,
) -> String {
    let texts = texts.into_iter();
    let count = texts.len();
    join_first(texts.take(max), count)
}

/// Joins the first ones of so many texts with commas, and says how many are left off.
pub fn join_first<'a>(first: impl Iterator<Item = &'a str>, count: usize) -> String {
    let shown: Vec<&str> = first.collect();
    let more = count.saturating_sub(shown.len());
    let shown = shown.join(", ");
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}

/// The most texts that are joined with `or`.
const MAX_ALTERNATIVES: usize = 6;

/// Joins names with commas and a final `or`; of many the first ones.
pub fn join_or(names: &[String]) -> String {
    if names.len() > MAX_ALTERNATIVES {
        return join_shown(names.iter().map(String::as_str), MAX_ALTERNATIVES);
    }
    join_last(names, "or")
}

/// Joins names with commas and a final `and`.
pub fn join_and<T: Borrow<str>>(names: &[T]) -> String {
    join_last(names, "and")
}

fn join_last<T: Borrow<str>>(names: &[T], word: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.borrow().to_owned(),
        [before @ .., last] => format!("{} {word} {}", before.join(", "), last.borrow()),
    }
}

#[cfg(test)]
mod tests {
    use super::join_shown;

    #[test]
    fn what_is_left_off_is_counted() {
        assert_eq!(join_shown(["a", "b"], 2), "a, b");
        assert_eq!(join_shown(["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!(join_shown([], 2), "");
    }
}
