//! Which texts in normal form are names: letters, marks and digits of one script, and `. _ - @` between them.
//!
//! The letters are those of the `IdentifierClass` (RFC 8264 section 4.2), which leaves out what cannot be seen. What
//! could be taken for another name is left out too: a part of a name is in one script (as in *highly restrictive*
//! of UTS #39 section 5.2), and names that are written from right to left obey the Bidi Rule (RFC 5893), label
//! by label as in domain names, so that addresses are names as well.

use icu_properties::props::{BidiClass, DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_security::mixed_script::AugmentedScriptSet;

/// The rule that a text breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokenRule {
    /// It has other characters than letters, marks, digits and `. _ - @`, or begins with another than a
    /// letter or digit.
    Character,
    /// A part of it has letters of several scripts.
    Scripts,
    /// It breaks the Bidi Rule.
    Direction,
}

const PUNCTUATION: [char; 4] = ['.', '_', '-', '@'];

/// Checks a text in normal form.
pub(super) fn check_characters(text: &str) -> Result<(), BrokenRule> {
    let mut may_mark = false;
    for (index, c) in text.chars().enumerate() {
        let is_punctuation = PUNCTUATION.contains(&c);
        let is_allowed = match kind_of(c) {
            CharacterKind::Letter => true,
            CharacterKind::Mark => may_mark,
            CharacterKind::Other => is_punctuation && index > 0,
        };
        if !is_allowed {
            return Err(BrokenRule::Character);
        }
        may_mark = !is_punctuation;
    }
    if text.is_ascii() {
        return Ok(());
    }
    if !text.split(PUNCTUATION).all(is_in_one_script) {
        return Err(BrokenRule::Scripts);
    }
    let is_bidi = text.chars().any(|c| {
        use BidiClass as Class;
        [Class::RightToLeft, Class::ArabicLetter, Class::ArabicNumber].contains(&bidi_class(c))
    });
    if is_bidi && !text.split(['.', '@']).all(obeys_bidi_rule) {
        return Err(BrokenRule::Direction);
    }
    Ok(())
}

/// Whether a name can have this character, at some place.
pub(super) fn is_name_character(c: char) -> bool {
    PUNCTUATION.contains(&c) || !matches!(kind_of(c), CharacterKind::Other)
}

/// Whether each word of a text is in one script, as a part of a name is.
pub(super) fn has_words_in_one_script(text: &str) -> bool {
    let is_between = |c: char| c.is_whitespace() || c.is_ascii_punctuation();
    text.split(is_between).all(is_in_one_script)
}

enum CharacterKind {
    /// A letter or a decimal digit.
    Letter,
    /// A mark that combines with the character before it.
    Mark,
    Other,
}

fn kind_of(c: char) -> CharacterKind {
    use GeneralCategory as Category;
    if c.is_ascii() {
        return if c.is_ascii_lowercase() || c.is_ascii_digit() {
            CharacterKind::Letter
        } else {
            CharacterKind::Other
        };
    }
    // Conjoining jamo that form no syllable are of Old Hangul (RFC 8264 section 9.9).
    let is_jamo =
        matches!(c, '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{d7b0}'..='\u{d7ff}');
    if is_jamo || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) {
        return CharacterKind::Other;
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let letters = [
        Category::LowercaseLetter,
        Category::OtherLetter,
        Category::ModifierLetter,
        Category::DecimalNumber,
    ];
    if letters.contains(&category) {
        CharacterKind::Letter
    } else if [Category::NonspacingMark, Category::SpacingMark].contains(&category) {
        CharacterKind::Mark
    } else {
        CharacterKind::Other
    }
}

/// Whether a part of a name is in one script; with Chinese, Japanese and Korean, Latin may stand as well.
fn is_in_one_script(part: &str) -> bool {
    if !AugmentedScriptSet::for_str(part).is_empty() {
        return true;
    }
    let latin = AugmentedScriptSet::for_char('a');
    let mut others = AugmentedScriptSet::default();
    for c in part.chars() {
        let set = AugmentedScriptSet::for_char(c);
        if set != latin {
            others.intersect_with(set);
        }
    }
    !others.is_empty() && (others.jpan || others.hanb || others.kore)
}

fn bidi_class(c: char) -> BidiClass {
    CodePointMapData::<BidiClass>::new().get(c)
}

/// The Bidi Rule (RFC 5893 section 2) for one label.
fn obeys_bidi_rule(label: &str) -> bool {
    use BidiClass as Class;
    let neutral = [
        Class::EuropeanNumber,
        Class::EuropeanSeparator,
        Class::CommonSeparator,
        Class::EuropeanTerminator,
        Class::OtherNeutral,
        Class::BoundaryNeutral,
        Class::NonspacingMark,
    ];
    let classes: Vec<_> = label.chars().map(bidi_class).collect();
    let mut from_the_end = classes.iter().rev();
    let Some((first, last)) = classes
        .first()
        .zip(from_the_end.find(|class| **class != Class::NonspacingMark))
    else {
        return true;
    };
    let has = |class: Class| classes.contains(&class);
    if *first == Class::LeftToRight {
        let are_allowed = classes
            .iter()
            .all(|class| *class == Class::LeftToRight || neutral.contains(class));
        return are_allowed && [Class::LeftToRight, Class::EuropeanNumber].contains(last);
    }
    let right = [Class::RightToLeft, Class::ArabicLetter];
    let is_allowed = |class: &Class| {
        right.contains(class) || *class == Class::ArabicNumber || neutral.contains(class)
    };
    let ends_well =
        right.contains(last) || [Class::EuropeanNumber, Class::ArabicNumber].contains(last);
    right.contains(first)
        && classes.iter().all(is_allowed)
        && ends_well
        && !(has(Class::EuropeanNumber) && has(Class::ArabicNumber))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_scripts_are_allowed() {
        for text in [
            "mo",
            "ada.lovelace@example.org",
            "7-up_b",
            "müller",
            "nguyễn",
            "иван.петров",
            "иван@example.org",
            "οδυσσευς",
            "山田太郎",
            "やまだ",
            "ヤマダー",
            "山田tarou",
            "김철수",
            "王小明2",
            "אברהם",
            "אברהם@example.org",
            "محمد",
            "محمد-علی",
            "देवनागरी",
            "สมชาย",
            "தமிழ்",
            "ქართველი",
            "հայերեն",
            "አማርኛ",
        ] {
            assert_eq!(check_characters(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_seen_or_is_no_letter_is_refused() {
        for text in [
            ".mo",
            "@mo",
            "-mo",
            "mo mo",
            "mo\u{200b}",
            "m\u{200d}o",
            "m\u{ad}o",
            "\u{feff}mo",
            "mo\u{202e}",
            "mo\u{2066}",
            "mo\0",
            "mo\n",
            "mo\u{fe0f}",
            "mo\u{e0100}",
            "mo\u{115f}",
            "mo\u{1160}",
            "mo\u{3164}",
            "m\u{34f}o",
            "\u{301}mo",
            "mo.\u{301}a",
            "mo🙂",
            "mo½",
            "mo№",
            "mo'",
            "mo#",
            "mo+x",
            "mo/x",
            "mo\\x",
            "mo\u{378}",
            "mo\u{e000}",
            "mo\u{ffff}",
            "Mo",
            "mo·x",
        ] {
            let broken = check_characters(text);
            assert_eq!(broken, Err(BrokenRule::Character), "{text:?}");
        }
    }

    #[test]
    fn a_part_in_several_scripts_is_refused() {
        for text in [
            "p\u{430}ypal",
            "ad\u{430}",
            "mο",
            "аdmin",
            "иванivan",
            "ada٣",
            "山田иван",
            "x.p\u{430}",
        ] {
            let broken = check_characters(text);
            assert_eq!(broken, Err(BrokenRule::Scripts), "{text:?}");
        }
    }

    #[test]
    fn names_from_right_to_left_obey_the_bidi_rule() {
        for text in ["1אב", "אב@1and1.com", "سلام٣1", "ab_א", "אב-"] {
            let broken = check_characters(text);
            assert_eq!(broken, Err(BrokenRule::Direction), "{text:?}");
        }
    }
}
