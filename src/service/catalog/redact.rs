//! Blotting: a catalog file's text with its passwords made unreadable.
//!
//! Diagnostics show lines of the file, and the line beside a mistake may hold a password. Offsets
//! stay what they were: each byte becomes an asterisk. This module refuses to know what is wrong
//! with a file.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys of a user that are no secret; any other key may be a misspelt `password`.
const OPEN_KEYS_OF_A_USER: [&str; 3] = ["username", "roles", "disabled"];

/// Blots out the passwords of a file that parses.
pub fn blot_values(text: &str, table: &DeTable<'_>) -> String {
    let mut secrets = Vec::new();
    find_in_table(table, Standing::Open, &mut secrets);
    blot(text, &secrets)
}

/// Blots out what may be a password in a file that does not parse: the rest of each line that says
/// `pass`, and all that follows where a text of several lines may begin on it.
pub fn blot_lines(text: &str) -> String {
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
    blot(text, &secrets)
}

/// What a value of the file is.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Open,
    User,
    Secret,
}

fn find_in_table(table: &DeTable<'_>, standing: Standing, secrets: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let name = key.get_ref().to_ascii_lowercase();
        let is_open = OPEN_KEYS_OF_A_USER.contains(&name.as_str());
        let standing = match standing {
            _ if name.contains("pass") => Standing::Secret,
            Standing::User if is_open => Standing::Open,
            Standing::User | Standing::Secret => Standing::Secret,
            Standing::Open if name == "users" => Standing::User,
            Standing::Open => Standing::Open,
        };
        find_in_value(value, standing, secrets);
    }
}

fn find_in_value(
    value: &Spanned<DeValue<'_>>,
    standing: Standing,
    secrets: &mut Vec<Range<usize>>,
) {
    // A table's span may be its header alone, so what is inside is looked at as well.
    if standing == Standing::Secret {
        secrets.push(value.span());
    }
    let value = value.get_ref();
    if let Some(table) = value.as_table() {
        find_in_table(table, standing, secrets);
    } else if let Some(list) = value.as_array() {
        for item in list {
            find_in_value(item, standing, secrets);
        }
    }
}

fn blot(text: &str, secrets: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for secret in secrets {
        for byte in bytes.get_mut(secret.clone()).into_iter().flatten() {
            if *byte != b'\n' {
                *byte = b'*';
            }
        }
    }
    // A span that cuts a character in two would leave no text: then nothing of it is shown.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blotted(text: &str) -> String {
        let table = DeTable::parse(text).unwrap();
        let blotted = blot_values(text, table.get_ref());
        assert_eq!(blotted.len(), text.len());
        blotted
    }

    #[test]
    fn passwords_are_blotted_out_wherever_they_stand() {
        for text in [
            "[[users]]\nusername = \"ada\"\npassword = \"hunter2é\"\n",
            "[[users]]\npasword = \"hunter2é\"\n",
            "[[users]]\npasswd = [\"hunter2é\"]\n",
            "users = [{ username = \"ada\", password = \"hunter2é\" }]\n",
            "[[user]]\npassword = \"\"\"\nhunter2é\"\"\"\n",
            "[datasets.Password]\nx = \"hunter2é\"\n",
        ] {
            let blotted = blotted(text);
            assert!(!blotted.contains("hunter2"), "{blotted}");
            assert_eq!(blotted.lines().count(), text.lines().count());
        }
        let open = "[[users]]\nusername = \"ada\"\nroles = [\"a\"]\n";
        assert_eq!(blotted(open), open);
    }

    #[test]
    fn passwords_of_a_broken_file_are_blotted_out_too() {
        for text in [
            "password = \"hunter2\nx = ",
            "password = \"\"\"\nhunter2\n",
            "users = [{Password=\"hunter2\"\n",
        ] {
            assert!(!blot_lines(text).contains("hunter2"), "{text}");
        }
    }
}
