//! Own origins: whether a request comes from a web page that the operator does not know.
//!
//! A page asks from the address of whoever reads it. Browsers name the page's origin in `Origin` on
//! every request whose response the page could read (the Fetch standard, section 3.2).

use std::net::IpAddr;
use std::sync::Arc;

use poem::http::{HeaderMap, HeaderValue, header};
use url::Url;

use crate::config::AllowedOrigins;

/// The origins whose pages are known: the server's own and those that the operator lists.
#[derive(Clone, Debug)]
pub struct OwnOrigins {
    known: Arc<[String]>,
}

impl OwnOrigins {
    /// The origin of the issuer, and those that are allowed by name; `*` names none.
    #[must_use]
    pub fn new(issuer: &str, allowed: &AllowedOrigins) -> Self {
        let own = Url::parse(issuer).map(|url| url.origin().ascii_serialization());
        let listed = match allowed {
            AllowedOrigins::Any => &[][..],
            AllowedOrigins::Only(origins) => origins,
        };
        Self {
            known: own.into_iter().chain(listed.iter().cloned()).collect(),
        }
    }

    /// Whether an `Origin` is named that is not known.
    #[must_use]
    pub fn is_foreign_page(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        origins.any(|origin| !self.is_known(origin, headers))
    }

    fn is_known(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        let is_listed = self.known.iter().any(|known| origin == known.as_str());
        is_listed || is_served_here(origin, headers).unwrap_or(false)
    }
}

/// Whether the page was fetched from this server by an address or as `localhost`. Other names of a
/// `Host` prove nothing: anybody may let a name of his own resolve to the server's address.
fn is_served_here(origin: &HeaderValue, headers: &HeaderMap) -> Option<bool> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let authority = origin.to_str().ok()?.split_once("://")?.1;
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_fixed = name == "localhost" || bare.parse::<IpAddr>().is_ok();
    Some(is_fixed && authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_foreign(origins: &OwnOrigins, host: &str, origin: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        for origin in origin {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        origins.is_foreign_page(&headers)
    }

    #[test]
    fn only_the_servers_own_pages_and_listed_ones_are_known() {
        let listed = AllowedOrigins::Only(vec!["https://map.example".to_owned()]);
        let origins = OwnOrigins::new("https://gate.example/data", &listed);
        for origin in ["https://gate.example", "https://map.example"] {
            assert!(!is_foreign(&origins, "gate.example", &[origin]), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "http://gate.example",
            "https://gate.example:8443",
            "https://gate.example.evil.example",
            "https://MAP.example",
            "",
        ] {
            assert!(is_foreign(&origins, "gate.example", &[origin]), "{origin}");
        }
        assert!(!is_foreign(&origins, "gate.example", &[]));
        let two = ["https://gate.example", "https://evil.example"];
        assert!(is_foreign(&origins, "gate.example", &two));
        let any = OwnOrigins::new("https://gate.example", &AllowedOrigins::Any);
        assert!(is_foreign(&any, "gate.example", &["https://map.example"]));
    }

    #[test]
    fn a_page_of_the_server_is_known_by_address_but_not_by_a_name_that_anybody_may_choose() {
        let origins = OwnOrigins::new("http://127.0.0.1:8080", &AllowedOrigins::Any);
        for host in [
            "localhost:8080",
            "192.0.2.1:8080",
            "[::1]:8080",
            "192.0.2.1",
        ] {
            assert!(
                !is_foreign(&origins, host, &[&format!("http://{host}")]),
                "{host}"
            );
        }
        let rebound = "evil.example:8080";
        assert!(is_foreign(&origins, rebound, &["http://evil.example:8080"]));
        assert!(is_foreign(
            &origins,
            "192.0.2.1:8080",
            &["http://192.0.2.2:8080"]
        ));
    }
}
