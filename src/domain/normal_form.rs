//! Normal forms of names and passwords: PRECIS profiles (RFC 8265) over Unicode normalization (UAX #15).
//!
//! The same text arrives in other code points from another device: macOS decomposes, phones write capitals,
//! input methods write full width and other spaces. Two texts are the same if their normal forms are equal.
//!
//! The tables are those of the ICU4X crates. The crate `precis-profiles` has the profiles themselves, but with
//! tables of Unicode 14, so it refuses the passwords and names that have newer characters.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

/// The normal form of a name, as in the profile `UsernameCaseMapped` (RFC 8265 section 3.3): lower case, composed.
///
/// The profile maps width alone and refuses all other compatibility characters. They are mapped here too (NFKC),
/// which is the same for each name that the profile allows. Both small sigmas are one letter, which is written as
/// its place demands: or else no lower case would be that of `ΣΑΣ`. The result of any text is its own normal form.
#[must_use]
pub fn normalize_name(text: &str) -> String {
    const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
    let composed = NFKC.normalize(text);
    let with_capital_sigmas: String = composed
        .chars()
        .map(|c| if matches!(c, 'σ' | 'ς') { 'Σ' } else { c })
        .collect();
    NFKC.normalize(&with_capital_sigmas.to_lowercase())
        .into_owned()
}

/// The normal form of a password, as in the profile `OpaqueString` (RFC 8265 section 4.2): each space that is not
/// ASCII becomes U+0020, and the rest is composed (NFC). Neither case nor width is mapped.
///
/// The profile refuses control characters and unassigned code points. They stay as they are here, because a
/// password that was accepted once has to be accepted for ever.
#[must_use]
pub fn normalize_password(text: &str) -> String {
    const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_space = |c: char| categories.get(c) == GeneralCategory::SpaceSeparator;
    let mapped: String = text
        .chars()
        .map(|c| if is_space(c) { ' ' } else { c })
        .collect();
    NFC.normalize(&mapped).into_owned()
}

/// The composed form (NFC) of a text, which is the same for all that are canonically equivalent (UAX #15).
#[must_use]
pub fn compose(text: &str) -> String {
    const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
    NFC.normalize(text).into_owned()
}

#[cfg(test)]
mod tests {
    use icu_normalizer::DecomposingNormalizerBorrowed;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_the_same_in_any_case_width_and_composition() {
        for (typed, normal) in [
            ("Mo", "mo"),
            ("MO", "mo"),
            ("ＭＯ", "mo"),
            ("Mu\u{308}ller", "müller"),
            ("MÜLLER", "müller"),
            ("ИВАН", "иван"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("οδυσσευσ", "οδυσσευς"),
            ("STRAẞE", "straße"),
            ("ﾔﾏﾀﾞ", "ヤマダ"),
            ("ﬁona", "fiona"),
            ("\u{212a}elvin", "kelvin"),
            ("İ", "i\u{307}"),
        ] {
            assert_eq!(normalize_name(typed), normal, "{typed}");
        }
    }

    #[test]
    fn a_password_keeps_its_case_and_width_but_not_its_kind_of_space() {
        for (typed, normal) in [
            ("Cafe\u{301} au\u{a0}lait", "Café au lait"),
            ("全角\u{3000}スペース", "全角 スペース"),
            ("ＦＵＬＬ", "ＦＵＬＬ"),
            ("ﬁ", "ﬁ"),
            (" a\tb\r\n", " a\tb\r\n"),
            ("\u{378}\u{10ffff}🫠", "\u{378}\u{10ffff}🫠"),
        ] {
            assert_eq!(normalize_password(typed), normal, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own_normal_form(text in any::<String>()) {
            let name = normalize_name(&text);
            prop_assert_eq!(normalize_name(&name), name);
            let password = normalize_password(&text);
            prop_assert_eq!(normalize_password(&password), password);
        }

        #[test]
        fn decomposed_text_has_the_same_normal_form(text in any::<String>()) {
            let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&text);
            prop_assert_eq!(normalize_name(&decomposed), normalize_name(&text));
            prop_assert_eq!(normalize_password(&decomposed), normalize_password(&text));
        }
    }
}
