//! Settings that are addresses: URLs, origins of web pages and blocks of IP addresses.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use url::{Host, Url};

use crate::domain::database_url::remove_unknown_parameters;
use crate::domain::secret::Secret;

/// The web pages that may call the API from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// All of them.
    Any,
    /// Those of these origins, written as browsers write them; none if the list is empty.
    Only(Vec<String>),
}

impl AllowedOrigins {
    /// Parses a list of origins, or a single `*`.
    pub(super) fn parse(list: &[String]) -> Option<Self> {
        if let [star] = list
            && star == "*"
        {
            return Some(Self::Any);
        }
        let origins = list.iter().map(|text| origin(text));
        origins.collect::<Option<_>>().map(Self::Only)
    }
}

impl fmt::Display for AllowedOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Only(origins) => f.write_str(&origins.join(",")),
        }
    }
}

/// The origin as browsers write it into an `Origin` header (RFC 6454 section 6.2), from a URL that has nothing
/// but an origin. A `*` in its host would match no page.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(is_http_url)?;
    let origin = url.origin().ascii_serialization();
    let has_more = url.as_str().strip_suffix('/') != Some(origin.as_str());
    (!has_more && !origin.contains('*')).then_some(origin)
}

fn is_http_url(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Whether a text can be an issuer: RFC 8414 section 2, with `http` allowed for local use.
pub(super) fn is_issuer(text: &str) -> bool {
    let is_plain = text.bytes().all(|c| c.is_ascii_graphic()) && !text.contains(['?', '#', '@']);
    is_plain && !text.ends_with('/') && Url::parse(text).is_ok_and(|url| is_http_url(&url))
}

/// Whether a text can be an external issuer (`OpenID` Connect Discovery section 4); it may end in a
/// slash. What is fetched from it must be `https`, unless it is on this machine.
pub(super) fn is_external_issuer(text: &str, is_fetched: bool) -> bool {
    let is_plain = text.bytes().all(|c| c.is_ascii_graphic()) && !text.contains(['?', '#', '@']);
    is_plain
        && Url::parse(text).is_ok_and(|url| {
            is_http_url(&url) && (!is_fetched || url.scheme() == "https" || is_loopback(&url))
        })
}

/// Whether a URL names this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Parses a block such as `10.0.0.0/8`, or one address as the block that holds it alone.
///
/// A block of IPv4-mapped addresses is one of IPv4 addresses, as the peers that it is compared with are.
pub(super) fn parse_ip_block(text: &str) -> Option<IpNet> {
    let block = text.parse::<IpNet>().ok();
    let block = block.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let mapped = match (
        block.addr().to_canonical(),
        block.prefix_len().checked_sub(96),
    ) {
        (address @ IpAddr::V4(_), Some(prefix)) if block.addr().is_ipv6() => {
            IpNet::new(address, prefix).ok()
        }
        _ => None,
    };
    Some(mapped.unwrap_or(block).trunc())
}

/// The URL of an `SQLite` file; sqlx decodes percent signs and ends the path at a question mark.
pub(super) fn sqlite_url(file: &Path) -> Option<String> {
    let path = file.to_str()?.replace('%', "%25").replace('?', "%3F");
    Some(format!("sqlite://{path}"))
}

/// Whether a database URL is that of a `PostgreSQL` server.
pub(super) fn is_postgres_url(url: &Secret<String>) -> bool {
    ["postgres:", "postgresql:"]
        .iter()
        .any(|scheme| url.reveal().starts_with(scheme))
}

/// Whether a database URL has a password.
pub(super) fn has_password(url: &Secret<String>) -> bool {
    Url::parse(url.reveal()).is_ok_and(|url| {
        url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password")
    })
}

/// A database URL with a password that is not encoded, as the parameter that takes any characters.
pub(super) fn with_password(
    url: &Secret<String>,
    password: &Secret<String>,
) -> Option<Secret<String>> {
    let mut url = Url::parse(url.reveal()).ok()?;
    url.query_pairs_mut()
        .append_pair("password", password.reveal());
    Some(Secret::new(url.into()))
}

/// A database URL without its password; `None` if it is not the URL of a supported database.
pub(super) fn redacted_database_url(text: &str) -> Option<String> {
    if text
        .strip_prefix("sqlite:")
        .is_some_and(|rest| !rest.trim_matches('/').is_empty())
    {
        return Some(text.to_owned());
    }
    let mut url = Url::parse(text).ok()?;
    // A valid URL has no @ after the host: with one, a password with an unencoded / ? or # was cut there
    // and the rest of it follows.
    let is_cut = [Some(url.path()), url.query()]
        .into_iter()
        .flatten()
        .any(|part| part.contains('@'));
    let is_known = matches!(url.scheme(), "postgres" | "postgresql");
    if !is_known || is_cut || url.fragment().is_some() {
        return None;
    }
    if url.password().is_some() {
        url.set_password(Some("redacted")).ok()?;
    }
    let unknown = remove_unknown_parameters(&mut url);
    if url.query().is_some() {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let shown = pairs.into_iter().map(|(key, value)| {
            let value = if key == "password" {
                "redacted".to_owned()
            } else {
                value
            };
            (key, value)
        });
        url.query_pairs_mut()
            .clear()
            .extend_pairs(shown.collect::<Vec<_>>());
    }
    let shown = url.as_str().replacen(":redacted@", ":[redacted]@", 1);
    let mut shown = shown.replace("password=redacted", "password=[redacted]");
    if unknown > 0 {
        shown.push(if url.query().is_some() { '&' } else { '?' });
        shown.push_str("[redacted]");
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_databases_are_never_shown() {
        for (url, shown) in [
            (
                "postgres://ada:hunter2@db/gate",
                "postgres://ada:[redacted]@db/gate",
            ),
            (
                "postgresql://ada:p%40ss@db:5432/gate",
                "postgresql://ada:[redacted]@db:5432/gate",
            ),
            (
                "postgres://db/gate?user=ada&password=hunter2",
                "postgres://db/gate?user=ada&password=[redacted]",
            ),
            (
                "postgres://ada:hunter2@db/gate?PASSWORD=hunter2&sslpassword=hunter2",
                "postgres://ada:[redacted]@db/gate?[redacted]",
            ),
            (
                "postgres://db/gate?sslmode=require&password=hun&ter2",
                "postgres://db/gate?sslmode=require&password=[redacted]&[redacted]",
            ),
            ("postgres://redacted@db/gate", "postgres://redacted@db/gate"),
            (
                "postgres:///gate?host=%2Frun%2Fpg",
                "postgres:///gate?host=%2Frun%2Fpg",
            ),
            ("sqlite:///var/lib/gate.db", "sqlite:///var/lib/gate.db"),
            ("sqlite::memory:", "sqlite::memory:"),
        ] {
            assert_eq!(redacted_database_url(url).as_deref(), Some(shown), "{url}");
        }
    }

    #[test]
    fn other_databases_are_unknown() {
        for url in [
            "",
            "sqlite:",
            "sqlite://",
            "mysql://db/gate",
            "/var/gate.db",
            "postgres",
        ] {
            assert_eq!(redacted_database_url(url), None, "{url}");
        }
    }

    #[test]
    fn a_password_that_was_not_percent_encoded_is_refused_rather_than_shown() {
        for password in ["12/34", "12?34", "12#34", "pa/ss", "12/?#34"] {
            let url = format!("postgres://ada:{password}@db/gate");
            assert_eq!(redacted_database_url(&url), None, "{url}");
        }
    }

    #[test]
    fn issuers_are_plain_web_addresses() {
        for url in [
            "http://127.0.0.1:8080",
            "https://gate.example.org",
            "https://example.org/gate",
        ] {
            assert!(is_issuer(url), "{url}");
        }
        for url in [
            "",
            "gate",
            "https://",
            "ftp://example.org",
            "https://example.org/",
            "https://example.org?x",
            "https://example.org#x",
            "https://ada:pw@example.org",
            "https://exa mple.org",
        ] {
            assert!(!is_issuer(url), "{url}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        let read = |list: &[&str]| {
            AllowedOrigins::parse(
                &list
                    .iter()
                    .map(|text| (*text).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(read(&["*"]), Some(AllowedOrigins::Any));
        assert_eq!(read(&[]), Some(AllowedOrigins::Only(Vec::new())));
        let two = ["https://maps.example.org", "http://localhost:3000"];
        assert_eq!(read(&two).unwrap().to_string(), two.join(","));
        for (text, written) in [
            ("https://maps.example.org/", "https://maps.example.org"),
            ("HTTPS://Maps.example.org", "https://maps.example.org"),
            ("https://a:443", "https://a"),
            ("http://a:80/", "http://a"),
            ("https://a:8443", "https://a:8443"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            (
                "https://b\u{fc}cher.example",
                "https://xn--bcher-kva.example",
            ),
        ] {
            assert_eq!(read(&[text]).unwrap().to_string(), written, "{text}");
        }
        for wrong in [
            "maps.example.org",
            "null",
            "https://maps.example.org/app",
            "https://maps.example.org/?x",
            "https://maps.example.org#x",
            "https://ada@maps.example.org",
            "https://*.example.org",
            "ftp://maps.example.org",
        ] {
            assert_eq!(read(&[wrong]), None, "{wrong}");
        }
        assert_eq!(read(&["*", "https://maps.example.org"]), None);
    }

    #[test]
    fn blocks_and_single_addresses_are_read() {
        assert_eq!(
            parse_ip_block("10.1.2.3/8").unwrap().to_string(),
            "10.0.0.0/8"
        );
        assert_eq!(
            parse_ip_block("127.0.0.1").unwrap().to_string(),
            "127.0.0.1/32"
        );
        assert_eq!(parse_ip_block("fd00::/8").unwrap().to_string(), "fd00::/8");
        assert_eq!(parse_ip_block("10.0.0.0/33"), None);
        assert_eq!(parse_ip_block("proxy"), None);
    }

    #[test]
    fn file_names_survive_the_url_of_the_database() {
        let url = sqlite_url(Path::new("/a?b%20/gate.db")).unwrap();
        assert_eq!(url, "sqlite:///a%3Fb%2520/gate.db");
    }
}
