//! Redaction of the passwords in a catalog file's text.
//!
//! Diagnostics show lines of the file, and the line next to a mistake may hold a password. Offsets
//! stay valid: each byte becomes an asterisk.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys of a user that are not secret; any other key may be a misspelt `password`.
const PUBLIC_USER_KEYS: [&str; 4] = ["username", "roles", "disabled", "attributes"];

/// Redacts the passwords of a file that parses.
pub(super) fn redact_values(text: &str, table: &DeTable<'_>) -> String {
    let mut secrets = Vec::new();
    collect_from_table(table, Sensitivity::Public, &mut secrets);
    redact(text, &secrets)
}

/// Redacts what may be a password in a file that does not parse: the rest of each line that says
/// `pass`, and all that follows where a text of several lines may begin on it.
pub(super) fn redact_lines(text: &str) -> String {
    let mut secrets = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let lower = line.to_ascii_lowercase();
        if let Some(at) = lower.find("pass") {
            let from = start + at + "pass".len();
            if line.contains(r#"""""#) || line.contains("'''") {
                secrets.push(from..text.len());
                break;
            }
            secrets.push(from..end);
        }
        start = end;
    }
    redact(text, &secrets)
}

/// How sensitive a value of the file is.
#[derive(Clone, Copy, PartialEq)]
enum Sensitivity {
    Public,
    User,
    Secret,
}

fn collect_from_table(
    table: &DeTable<'_>,
    sensitivity: Sensitivity,
    secrets: &mut Vec<Range<usize>>,
) {
    for (key, value) in table {
        let name = key.get_ref().to_ascii_lowercase();
        let is_open = PUBLIC_USER_KEYS.contains(&name.as_str());
        let sensitivity = match sensitivity {
            _ if name.contains("pass") => Sensitivity::Secret,
            Sensitivity::User if is_open => Sensitivity::Public,
            Sensitivity::User | Sensitivity::Secret => Sensitivity::Secret,
            Sensitivity::Public if name == "users" => Sensitivity::User,
            Sensitivity::Public => Sensitivity::Public,
        };
        collect_from_value(value, sensitivity, secrets);
    }
}

fn collect_from_value(
    value: &Spanned<DeValue<'_>>,
    sensitivity: Sensitivity,
    secrets: &mut Vec<Range<usize>>,
) {
    // A table's span may be its header alone, so its values are collected as well.
    let is_secret = value.get_ref().as_str().is_some_and(has_user_information);
    if sensitivity == Sensitivity::Secret || is_secret {
        secrets.push(value.span());
    }
    let value = value.get_ref();
    if let Some(table) = value.as_table() {
        collect_from_table(table, sensitivity, secrets);
    } else if let Some(list) = value.as_array() {
        for item in list {
            collect_from_value(item, sensitivity, secrets);
        }
    }
}

/// Whether a text is a URL with a user name or a password.
fn has_user_information(text: &str) -> bool {
    let rest = text.split_once("://").map(|(_, rest)| rest);
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

fn redact(text: &str, secrets: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for secret in secrets {
        for byte in bytes.get_mut(secret.clone()).into_iter().flatten() {
            if *byte != b'\n' {
                *byte = b'*';
            }
        }
    }
    // A span that splits a character would leave invalid text; then everything is redacted.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        let table = DeTable::parse(text).unwrap();
        let hidden = redact_values(text, table.get_ref());
        assert_eq!(hidden.len(), text.len());
        hidden
    }

    #[test]
    fn passwords_are_redacted_wherever_they_stand() {
        for text in [
            "[[users]]\nusername = \"ada\"\npassword = \"hunter2é\"\n",
            "[[users]]\npasword = \"hunter2é\"\n",
            "[[users]]\npasswd = [\"hunter2é\"]\n",
            "users = [{ username = \"ada\", password = \"hunter2é\" }]\n",
            "[[user]]\npassword = \"\"\"\nhunter2é\"\"\"\n",
            "[datasets.Password]\nx = \"hunter2é\"\n",
            "[[datasets]]\nurl = \"https://ada:hunter2é@example.org/a.tif\"\n",
        ] {
            let hidden = redacted(text);
            assert!(!hidden.contains("hunter2"), "{hidden}");
            assert_eq!(hidden.lines().count(), text.lines().count());
        }
        for open in [
            "[[users]]\nusername = \"ada\"\nroles = [\"a\"]\n",
            "[[datasets]]\nurl = \"https://example.org/a@b.tif\"\n",
        ] {
            assert_eq!(redacted(open), open);
        }
    }

    #[test]
    fn passwords_of_a_broken_file_are_redacted_too() {
        for text in [
            "password = \"hunter2\nx = ",
            "password = \"\"\"\nhunter2\n",
            "users = [{Password=\"hunter2\"\n",
        ] {
            assert!(!redact_lines(text).contains("hunter2"), "{text}");
        }
    }
}
