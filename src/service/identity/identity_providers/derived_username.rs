//! User names derived from what identity providers call somebody: valid, readable, and unique with digits.

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use sha2::{Digest, Sha256};

use crate::domain::name::{MAX_NAME_LENGTH, NameError, Username};
use crate::domain::token_refusal::is_invisible;

/// The start of a name for a subject that has no readable name at all.
const NAMELESS: &str = "user";

/// How many characters of a derived name are tried: normalisation may make more of them than there were.
const LENGTHS: [usize; 6] = [MAX_NAME_LENGTH, 55, 51, 44, 32, 16];

/// How many decimal digits make a derived name unique: the second is tried if the first is taken, and so on.
const SUFFIX_LENGTHS: [usize; 4] = [8, 12, 16, 19];

/// The user names for a new user, best first: the derived one, then the same with digits that depend on issuer
/// and subject only. A name that means another principal is none.
pub(super) fn username_candidates(
    derived: Option<&Username>,
    issuer: &str,
    subject: &str,
) -> Vec<Username> {
    let plain = derived.cloned().filter(|name| !name.is_reserved());
    let start = derived.map_or(NAMELESS, Username::as_str);
    let digits = digits_of(issuer, subject);
    let suffixed = SUFFIX_LENGTHS.iter().filter_map(|length| {
        let suffix = digits.get(..*length)?;
        let with_suffix = |start: &str| {
            longest_valid(|limit| {
                let start: String = start.chars().take(limit).collect();
                format!("{}-{suffix}", start.trim_end_matches(is_separator))
            })
        };
        with_suffix(start).or_else(|| with_suffix(NAMELESS))
    });
    plain.into_iter().chain(suffixed).collect()
}

/// The user name for a name as a provider has it: letters and digits of any script stay if they can be in one
/// user name, and are transliterated if not; other characters become hyphens.
pub(super) fn derive_username(source: &str) -> Option<Username> {
    let readable = |text: &str| {
        let name = replace_separators(text);
        longest_valid(|limit| name.chars().take(limit).collect())
    };
    readable(source).or_else(|| readable(&deunicode::deunicode_with_tofu(source, " ")))
}

/// The name, cut to the longest start that is not too long for a user name; nothing if its characters are not
/// those of one.
fn longest_valid(start: impl Fn(usize) -> String) -> Option<Username> {
    for limit in LENGTHS {
        match start(limit).trim_end_matches(is_separator).parse() {
            Ok(name) => return Some(name),
            Err(NameError::InvalidLength { .. }) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Lower case, with one hyphen for what is neither a letter, a mark, a digit nor a separator of names. Quotes
/// and invisible characters leave nothing: `O'Brien` is `obrien`.
fn replace_separators(text: &str) -> String {
    let mut name = String::new();
    let mut is_gap = false;
    for character in text.chars().flat_map(char::to_lowercase) {
        let is_letter = character.is_alphanumeric() || is_mark(character);
        let is_hidden = is_invisible(character) && !character.is_whitespace();
        if is_hidden || is_quote(character) {
            continue;
        }
        if is_letter {
            if is_gap && name.ends_with(|last| !is_separator(last)) {
                name.push('-');
            }
            name.push(character);
            is_gap = false;
        } else if is_separator(character) && !name.is_empty() {
            name.push(character);
            is_gap = false;
        } else {
            is_gap = true;
        }
    }
    name
}

/// Whether a character combines with the one before it, as accents and the vowels of many scripts do.
fn is_mark(character: char) -> bool {
    use GeneralCategory as Category;
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(character),
        Category::NonspacingMark | Category::SpacingMark | Category::EnclosingMark
    )
}

fn is_separator(character: char) -> bool {
    matches!(character, '.' | '_' | '-' | '@')
}

fn is_quote(character: char) -> bool {
    matches!(
        character,
        '\'' | '"' | '`' | '\u{b4}' | '\u{2bc}' | '\u{2018}'..='\u{201f}'
    )
}

/// Decimal digits that depend on issuer and subject only: digits, because they may stand at the end of a name in
/// any script, one that is written from right to left too (RFC 5893 section 2).
fn digits_of(issuer: &str, subject: &str) -> String {
    // An issuer is a URL and has no spaces, so the space separates it unambiguously.
    let digest = Sha256::digest(format!("{issuer} {subject}"));
    let number = digest.iter().take(8);
    let number = number.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("{:019}", number % 10_000_000_000_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(name: &str) -> String {
        derive_username(name).unwrap().to_string()
    }

    #[test]
    fn names_that_are_no_user_names_become_readable_ones() {
        for (name, expected) in [
            ("ada", "ada"),
            ("Ada.Lovelace@Example.org", "ada.lovelace@example.org"),
            (
                "ada_example.com#EXT#@tenant.onmicrosoft.com",
                "ada_example.com-ext@tenant.onmicrosoft.com",
            ),
            (
                "Ada King, Countess of Lovelace",
                "ada-king-countess-of-lovelace",
            ),
            ("  O'Brien  (guest) ", "obrien-guest"),
            ("CORP\\ada", "corp-ada"),
            ("ada+maps@example.org", "ada-maps@example.org"),
            ("live.com#ada@example.org", "live.com-ada@example.org"),
            ("-@.ada-._", "ada"),
            ("a\u{0}\u{202e}d\na", "ad-a"),
            (
                "auth0|5f7c8ec7c33c6c004bbafe82",
                "auth0-5f7c8ec7c33c6c004bbafe82",
            ),
            ("12345", "12345"),
        ] {
            assert_eq!(derive(name), expected, "{name}");
        }
    }

    #[test]
    fn a_name_in_any_script_gives_a_valid_name() {
        for name in [
            "Łukasz Żółć",
            "Nguyễn Văn Ánh",
            "Zoe\u{308}",
            "Ядвига Петровна",
            "Ελένη Παπαδοπούλου",
            "محمد بن أحمد",
            "דוד לוי",
            "प्रिया शर्मा",
            "สมชาย ใจดี",
            "李小龙",
            "김철수",
            "すずき・イチロー",
            "አበበ ቢቂላ",
            "Արամ Խաչատրյան",
            "გიორგი",
            "ﬁona ＭＯ",
            "Ада Lovelace",
            "דוד Levi 3",
            "𝔄𝔡𝔞",
            "ada 👩\u{200d}🔬",
            "\u{301}\u{301}x",
            "ﷺ ﷺ ﷺ",
            "½ ada",
        ] {
            let name = derive(name);
            assert!(
                name.parse::<Username>()
                    .is_ok_and(|parsed| parsed.as_str() == name),
                "{name}"
            );
        }
        for long in [
            "a".repeat(300),
            "ﷺ".repeat(300),
            "я".repeat(300),
            "é#".repeat(150),
        ] {
            assert!(derive(&long).chars().count() <= MAX_NAME_LENGTH, "{long}");
        }
    }

    #[test]
    fn a_taken_or_reserved_name_gets_digits_that_depend_on_issuer_and_subject() {
        let candidates = |name: &str, issuer: &str, subject: &str| {
            let derived = derive_username(name);
            let names = username_candidates(derived.as_ref(), issuer, subject);
            names.into_iter().map(String::from).collect::<Vec<_>>()
        };
        let ada = candidates("ada", "https://a", "1");
        assert_eq!(ada.len(), 5);
        assert_eq!(ada[0], "ada");
        assert_eq!(ada, candidates("ada", "https://a", "1"));
        let other = candidates("ada", "https://b", "1");
        assert!(
            ada[1].len() == "ada-".len() + 8 && ada[1] != other[1],
            "{ada:?} {other:?}"
        );
        for (name, subject) in [
            ("anonymous", "1"),
            ("2489e9ad-2ee2-8e00-8ec9-32d5f69181c0", "1"),
            ("!", "#"),
        ] {
            let all = candidates(name, "https://a", subject);
            assert_eq!(all.len(), 4, "{all:?}");
            assert!(
                all.iter()
                    .all(|name| !name.parse::<Username>().unwrap().is_reserved())
            );
        }
        let long = candidates(&"a".repeat(64), "https://a", "1");
        assert_eq!(long.len(), 5, "{long:?}");
    }
}
