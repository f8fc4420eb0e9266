//! Parameters of the URL of a `PostgreSQL` server: those that the driver knows.
//!
//! The rule: of all other parameters neither name nor value is shown or logged, and the driver, which would log
//! both, does not see them. They are ignored, so what stands there is a misspelled `password`, a secret of
//! another client (`sslpassword`) or the rest of a password whose `&` was not percent-encoded.

use url::Url;

/// The parameters that the driver knows, apart from other spellings of them and `options[NAME]`.
pub const KNOWN_PARAMETERS: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// Other spellings of them, and what only this driver has.
const OTHER_PARAMETERS: [&str; 6] = [
    "ssl-mode",
    "ssl-root-cert",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "statement-cache-capacity",
];

/// Removes the parameters that the driver does not know; returns how many there were.
pub fn remove_unknown_parameters(url: &mut Url) -> usize {
    let pairs = url.query_pairs().into_owned();
    let (known, unknown): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| is_known(name));
    if known.is_empty() {
        url.set_query(None);
    } else if !unknown.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(known);
    }
    unknown.len()
}

fn is_known(name: &str) -> bool {
    KNOWN_PARAMETERS.contains(&name)
        || OTHER_PARAMETERS.contains(&name)
        || (name.starts_with("options[") && name.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_does_not_know_is_removed_and_nothing_else_changes() {
        for (before, after, removed) in [
            ("postgres://a@b/c", "postgres://a@b/c", 0),
            (
                "postgres:///c?host=/run/pg&options[a]=b",
                "postgres:///c?host=/run/pg&options[a]=b",
                0,
            ),
            ("postgres://a@b/c?sslpassword=x", "postgres://a@b/c", 1),
            (
                "postgres://a@b/c?PASSWORD=x&Password=y",
                "postgres://a@b/c",
                2,
            ),
            (
                "postgres://a@b/c?sslmode=require&password=x%26&y&z=",
                "postgres://a@b/c?sslmode=require&password=x%26",
                2,
            ),
        ] {
            let mut url = Url::parse(before).unwrap();
            assert_eq!(remove_unknown_parameters(&mut url), removed, "{before}");
            assert_eq!(url.as_str(), after);
        }
    }
}
