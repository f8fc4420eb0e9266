//! Suggestions for misspelt names: *did you mean*.

/// The most edits that still count as a misspelling.
const MAX_EDITS: usize = 2;

/// The known name that `text` is most likely a misspelling of, if any is close enough; `text` itself if
/// it is known.
///
/// The distance is the number of insertions, deletions, substitutions and swaps of neighbours (optimal
/// string alignment): at most [`MAX_EDITS`], and at most a third of the known name's characters, rounded
/// up, since short names are close to everything.
#[must_use]
pub fn closest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = text.chars().count();
    known
        .into_iter()
        // The distance is at least the difference of the lengths.
        .filter(|name| name.chars().count().abs_diff(length) <= MAX_EDITS)
        .map(|name| (strsim::osa_distance(text, name), name))
        .filter(|(edits, name)| *edits <= MAX_EDITS.min(name.chars().count().div_ceil(3)))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// The advice that offers the [`closest`] name.
#[must_use]
pub fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(text, known).map(|name| format!("did you mean {name:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_suggested_and_distant_ones_are_not() {
        let known = ["id", "public", "private"];
        assert_eq!(closest("pubic", known), Some("public"));
        assert_eq!(closest("pirvate", known), Some("private"));
        assert_eq!(closest("private", known), Some("private"));
        assert_eq!(closest("di", known), Some("id"));
        for text in ["secret", "as", "", "provided"] {
            assert_eq!(closest(text, known), None, "{text}");
        }
        assert_eq!(closest("public", []), None);
        let advice = did_you_mean("pubic", known);
        assert_eq!(advice.as_deref(), Some(r#"did you mean "public"?"#));
    }
}
