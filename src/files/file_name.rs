//! File names: what a stored file is called in records and downloads.
//!
//! A name is kept as it was sent, in any script and in either normal form, less what does harm where it is saved
//! or shown: what separates paths or is reserved on some system becomes `_`, and so do control characters; what
//! is invisible or changes the direction of text is left out (Unicode Technical Report 36, section 2). How it is
//! written in a header is for [`crate::http`] to say.

use std::path::Path;

/// The longest name of a stored file, in bytes: file systems take 255, and browsers add ` (1)`.
const MAX_FILE_NAME_LENGTH: usize = 240;

/// The name a download of `path` is saved under.
///
/// It has 1 to 240 bytes, begins with a letter, digit or symbol that hides it nowhere (no blank and none of
/// `.`, `_` and `-`), and ends with `.tif` or `.tiff`.
pub(super) fn download_name(path: &Path) -> String {
    let last = path.file_name().unwrap_or_default().to_string_lossy();
    let safe: String = last
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(safe)
        .collect();
    let safe = safe.trim_start_matches(|c: char| matches!(c, '.' | '_' | '-') || c.is_whitespace());
    let lowercase = safe.to_ascii_lowercase();
    let ending = [".tiff", ".tif"]
        .into_iter()
        .find(|ending| lowercase.ends_with(ending));
    let stem_length = safe.len() - ending.map_or(0, str::len);
    let (stem, ending) = safe.split_at_checked(stem_length).unwrap_or((safe, ""));
    let ending = if ending.is_empty() { ".tif" } else { ending };
    let longest = MAX_FILE_NAME_LENGTH - ending.len();
    let stem = stem
        .get(..stem.floor_char_boundary(longest))
        .unwrap_or(stem);
    let stem = if stem.is_empty() { "download" } else { stem };
    format!("{stem}{ending}")
}

fn safe(c: char) -> char {
    let is_reserved = matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    // A name that was no Unicode has U+FFFD in it.
    let is_line_end = matches!(c, '\u{2028}' | '\u{2029}');
    if c.is_control() || is_reserved || is_line_end || c == char::REPLACEMENT_CHARACTER {
        '_'
    } else {
        c
    }
}

/// Whether a character shows nothing or changes the direction of others. The joiners stay: Persian and emoji
/// need them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    use super::*;

    fn named(path: &str) -> String {
        download_name(Path::new(path))
    }

    #[test]
    fn names_keep_every_script_and_what_people_write_in_names() {
        for name in [
            "dem.cog.tif",
            "DEM.TIFF",
            "Höhenmodell Süd (2025).tif",
            "Ho\u{308}he.tif",
            "地形図.tif",
            "карта.tif",
            "خريطة.tif",
            "מפה.tif",
            "می\u{200c}خواهم.tif",
            "🗺\u{fe0f} karte 👩\u{200d}🔬.tif",
            "it's 50% [a;b], c=d & e.tif",
        ] {
            assert_eq!(named(&format!("maps/{name}")), name);
        }
    }

    #[test]
    fn names_lose_what_does_harm() {
        for (path, name) in [
            ("my \"best\" map.tif", "my _best_ map.tif"),
            ("naïve\r\nSet-Cookie: a=b.tif", "naïve__Set-Cookie_ a=b.tif"),
            ("a\\..\\b.tif", "a_.._b.tif"),
            ("C:\\x|y<z>?*.tif", "C__x_y_z___.tif"),
            ("a\u{85}\u{2028}\u{7f}.tif", "a___.tif"),
            ("a\u{202e}fit.exe", "afit.exe.tif"),
            ("\u{feff}\u{200f}a.tif", "a.tif"),
            ("..hidden.tif", "hidden.tif"),
            ("\u{3000} .é.tif", "é.tif"),
            ("-rf.tif", "rf.tif"),
            ("grid.dat", "grid.dat.tif"),
            (".tif", "tif.tif"),
            ("\u{202e}", "download.tif"),
            ("...", "download.tif"),
            ("..", "download.tif"),
            ("", "download.tif"),
        ] {
            assert_eq!(named(path), name, "{path:?}");
        }
        let latin1 = std::ffi::OsStr::from_bytes(b"h\xf6he.tif");
        assert_eq!(download_name(Path::new(latin1)), "h_he.tif");
    }

    #[test]
    fn long_names_are_cut_between_characters_and_keep_their_ending() {
        for letter in ["a", "é", "地", "🗺"] {
            let name = named(&format!("x{}.tiff", letter.repeat(300)));
            assert!(
                name.len() <= MAX_FILE_NAME_LENGTH && name.len() > 230,
                "{name}"
            );
            assert!(name.ends_with(&format!("{letter}.tiff")), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_download_name_is_safe(path in any::<String>()) {
            let name = named(&path);
            prop_assert!(!name.contains(['/', '\\', '"', '\r', '\n', '\0']));
            prop_assert!(!name.chars().any(|c| c.is_control() || is_invisible(c)));
            prop_assert!(!name.starts_with(['.', '-', '_', ' ']));
            prop_assert!(name.len() <= MAX_FILE_NAME_LENGTH);
            let ending = name.to_ascii_lowercase();
            prop_assert!([".tif", ".tiff"].iter().any(|known| ending.ends_with(known)));
            prop_assert_eq!(named(&name), name);
        }
    }
}
