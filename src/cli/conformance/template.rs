//! Templates with `{dataset_id}` and `{token}`: of a URL, and of a header.

use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// All but the unreserved characters (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const TOKEN: &str = "{token}";
const DATASET_ID: &str = "{dataset_id}";

/// A URL with places for the id of a dataset and for a token.
#[derive(Clone, Debug)]
pub(super) struct UrlTemplate(String);

/// A header whose value may have places for both.
#[derive(Clone, Debug)]
pub(super) struct HeaderTemplate {
    name: HeaderName,
    value: String,
}

impl FromStr for UrlTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_places(text)?;
        let template = Self(text.to_owned());
        let url = template.fill("2489e9ad-2ee2-8e00-8ec9-32d5f69181c0", "e30.e30.AA");
        let url = url.map_err(|reason| format!("not a URL: {reason}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("the URL must begin with http:// or https://".to_owned());
        }
        if url.fragment().is_some() {
            return Err("a fragment (`#`) is not sent to servers".to_owned());
        }
        Ok(template)
    }
}

impl UrlTemplate {
    /// The URL for this dataset and token, both percent-encoded.
    pub(super) fn fill(&self, dataset_id: &str, token: &str) -> Result<Url, String> {
        let encoded = |text| utf8_percent_encode(text, RESERVED).to_string();
        let text = self.0.replace(DATASET_ID, &encoded(dataset_id));
        let text = text.replace(TOKEN, &encoded(token));
        Url::parse(&text).map_err(|error| error.to_string())
    }

    pub(super) fn has_token(&self) -> bool {
        self.0.contains(TOKEN)
    }

    pub(super) fn has_dataset_id(&self) -> bool {
        self.0.contains(DATASET_ID)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once(':')
            .ok_or("write a header as `Name: value`")?;
        check_places(value)?;
        let name = name.trim().parse();
        let name = name.map_err(|_| "the name of the header is not valid".to_owned())?;
        let value = value.trim().to_owned();
        HeaderValue::from_str(&value).map_err(|_| "the value of the header is not valid")?;
        Ok(Self { name, value })
    }
}

impl HeaderTemplate {
    /// The header for this dataset and token; none if the token cannot be in a header.
    pub(super) fn fill(&self, dataset_id: &str, token: &str) -> Option<(HeaderName, HeaderValue)> {
        let value = self.value.replace(DATASET_ID, dataset_id);
        let mut value = HeaderValue::from_str(&value.replace(TOKEN, token)).ok()?;
        value.set_sensitive(true);
        Some((self.name.clone(), value))
    }

    pub(super) fn has_token(&self) -> bool {
        self.value.contains(TOKEN)
    }

    pub(super) fn has_dataset_id(&self) -> bool {
        self.value.contains(DATASET_ID)
    }
}

/// Rejects a place of another name, which is most likely misspelt.
fn check_places(text: &str) -> Result<(), String> {
    let rest = text.replace(DATASET_ID, "").replace(TOKEN, "");
    match rest.find(['{', '}']) {
        None => Ok(()),
        Some(_) => Err(format!("only {DATASET_ID} and {TOKEN} may be in braces")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";

    #[test]
    fn a_token_is_percent_encoded_in_a_url() {
        let template: UrlTemplate = "https://files.example/{dataset_id}.tif?token={token}"
            .parse()
            .unwrap();
        let filled = template.fill(ID, "a.b-c_d e\n+/=&#%é\0").unwrap();
        let expected = format!(
            "https://files.example/{ID}.tif?token=a.b-c_d%20e%0A%2B%2F%3D%26%23%25%C3%A9%00"
        );
        assert_eq!(filled.as_str(), expected);
    }

    #[test]
    fn templates_that_cannot_work_are_refused() {
        for (text, reason) in [
            (
                "https://files.example/{dataset}.tif?token={token}",
                "only {dataset_id}",
            ),
            (
                "https://files.example/{id}?token={token}",
                "only {dataset_id}",
            ),
            ("files.example/{dataset_id}?token={token}", "not a URL"),
            (
                "ftp://files.example/{dataset_id}?token={token}",
                "must begin with http",
            ),
            ("https://files.example/{dataset_id}#{token}", "a fragment"),
        ] {
            let error = text.parse::<UrlTemplate>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        for text in ["Authorization", ": x", "A B: x", "X: {tokens}", "X: a\nb"] {
            assert!(text.parse::<HeaderTemplate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_in_a_header_is_left_out() {
        let template: HeaderTemplate = "Authorization: Bearer {token}".parse().unwrap();
        let (name, value) = template.fill(ID, "a.b.c").unwrap();
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("authorization", "Bearer a.b.c")
        );
        assert!(value.is_sensitive());
        assert!(template.fill(ID, "a.b.c\n").is_none());
    }
}
