//! Parses and checks the tables of the setting `stores`: where files outside the file store are.

use std::path::Path;

use figment::error::Kind;
use figment::value::Value;
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::ConfigError;
use super::secret_text::{read_bounded, read_secret};
use super::setting::Setting;
use super::settings_reader::SettingsReader;
use crate::domain::remote_file::{ObjectKey, StoreName};
use crate::domain::remote_store::{
    DeliveryMode, MAX_STORES, RemoteStore, S3Credentials, StoreService,
};
use crate::domain::secret::Secret;

/// The region that requests to S3 are signed for if a table does not say; what is compatible takes any.
const DEFAULT_REGION: &str = "us-east-1";

/// One table as it is written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoreTable {
    name: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key: Option<TableSecret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account_key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_key: Option<TableSecret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_key_file: Option<String>,
}

/// A secret in a table; it is shown redacted.
#[derive(Deserialize)]
#[serde(from = "String")]
struct TableSecret(Secret<String>);

impl From<String> for TableSecret {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

impl Serialize for TableSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Reads all stores.
pub(super) fn read_stores(
    reader: &mut SettingsReader,
    setting: &Setting,
) -> Result<Vec<RemoteStore>, ConfigError> {
    let origin = reader.origin(setting);
    let invalid = |number, problem| ConfigError::InvalidStore {
        origin: origin.clone(),
        number,
        problem,
    };
    let tables: Vec<Value> = reader.tables(setting)?;
    if tables.len() > MAX_STORES {
        let problem = format!("there may be at most {MAX_STORES}");
        return Err(invalid(tables.len(), problem));
    }
    let mut stores: Vec<RemoteStore> = Vec::new();
    let mut shown = Vec::new();
    for (number, value) in (1..).zip(&tables) {
        let table = value
            .deserialize::<StoreTable>()
            .map_err(|error| invalid(number, without_value(&error)))?;
        shown.push(serde_json::to_value(&table).unwrap_or_default());
        let rooted = |path: &str| reader.resolve_path(Path::new(path));
        let store = table
            .into_store(rooted)
            .map_err(|problem| invalid(number, problem))?;
        if stores.iter().any(|other| other.name == store.name) {
            let problem = format!("{} is the name of another table", store.name);
            return Err(invalid(number, problem));
        }
        stores.push(store);
    }
    let shown = if shown.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&shown).unwrap_or_default()
    };
    reader.record(setting, shown);
    Ok(stores)
}

impl StoreTable {
    fn into_store(
        mut self,
        rooted: impl Fn(&str) -> std::path::PathBuf,
    ) -> Result<RemoteStore, String> {
        let name: StoreName = self.name.parse().map_err(text_of)?;
        let (scheme, bucket, prefix) = split_url(&self.url)?;
        let mode = self
            .mode
            .as_deref()
            .map_or(Ok(DeliveryMode::Stream), |word| {
                word.parse().map_err(|error| format!("mode: {error}"))
            })?;
        self.check_keys(&scheme, mode)?;
        let service = match scheme.as_str() {
            "s3" => self.s3(&rooted)?,
            "gs" => StoreService::Gcs {
                service_account_key: self
                    .service_account_key_file
                    .take()
                    .map(|file| read_document(&rooted(&file)))
                    .transpose()?,
            },
            "az" => {
                let key = one_secret(
                    "account_key",
                    (self.account_key.take(), self.account_key_file.take()),
                    &rooted,
                )?;
                StoreService::Azure {
                    account: required("account", self.account.take())?,
                    account_key: key,
                }
            }
            other => {
                return Err(format!(
                    "url begins with {other}:// and not with s3://, gs:// or az://; a file at an https URL needs no \
                     store"
                ));
            }
        };
        let is_anonymous = matches!(
            service,
            StoreService::S3 {
                credentials: S3Credentials::Anonymous,
                ..
            }
        );
        if is_anonymous && mode == DeliveryMode::Redirect {
            return Err(
                "mode redirect needs credentials that sign URLs, and this store is anonymous"
                    .into(),
            );
        }
        Ok(RemoteStore {
            name,
            mode,
            service,
            bucket,
            prefix,
            endpoint: parse_endpoint("endpoint", self.endpoint.as_deref())?,
            redirect_endpoint: parse_endpoint(
                "redirect_endpoint",
                self.redirect_endpoint.as_deref(),
            )?,
        })
    }

    /// Refuses keys that would have no effect.
    fn check_keys(&self, scheme: &str, mode: DeliveryMode) -> Result<(), String> {
        let keys = [
            ("region", "s3", self.region.is_some()),
            ("anonymous", "s3", self.anonymous.is_some()),
            ("access_key_id", "s3", self.access_key_id.is_some()),
            ("secret_access_key", "s3", self.secret_access_key.is_some()),
            (
                "secret_access_key_file",
                "s3",
                self.secret_access_key_file.is_some(),
            ),
            (
                "service_account_key_file",
                "gs",
                self.service_account_key_file.is_some(),
            ),
            ("account", "az", self.account.is_some()),
            ("account_key", "az", self.account_key.is_some()),
            ("account_key_file", "az", self.account_key_file.is_some()),
        ];
        let mut foreign = keys
            .iter()
            .filter(|(_, of, is_given)| *is_given && *of != scheme);
        if let Some((key, of, _)) = foreign.next() {
            return Err(format!("{key} is for stores whose url begins with {of}://"));
        }
        if self.redirect_endpoint.is_some() && mode != DeliveryMode::Redirect {
            return Err("redirect_endpoint has no effect without mode redirect".into());
        }
        Ok(())
    }

    fn s3(&mut self, rooted: &impl Fn(&str) -> std::path::PathBuf) -> Result<StoreService, String> {
        let secret = one_secret(
            "secret_access_key",
            (
                self.secret_access_key.take(),
                self.secret_access_key_file.take(),
            ),
            rooted,
        )?;
        let is_anonymous = self.anonymous == Some(true);
        let credentials = match (self.access_key_id.take(), secret) {
            (Some(_), _) | (_, Some(_)) if is_anonymous => {
                return Err("an anonymous store has no access key".into());
            }
            (Some(id), Some(secret)) if !id.trim().is_empty() => {
                S3Credentials::AccessKey { id, secret }
            }
            (None, None) if is_anonymous => S3Credentials::Anonymous,
            (None, None) => S3Credentials::Machine,
            _ => {
                return Err(
                    "access_key_id and secret_access_key (or secret_access_key_file) belong together".into(),
                );
            }
        };
        let region = self
            .region
            .take()
            .unwrap_or_else(|| DEFAULT_REGION.to_owned());
        let is_region = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        if region.is_empty() || region.len() > 64 || !region.bytes().all(is_region) {
            return Err(format!(
                "region: {region:?} is no region such as eu-central-1"
            ));
        }
        Ok(StoreService::S3 {
            region,
            credentials,
        })
    }
}

/// The scheme, the bucket and the prefix of `s3://bucket/prefix`.
fn split_url(text: &str) -> Result<(String, String, String), String> {
    let invalid = || format!("url: {text:?} is not of the form s3://BUCKET/PREFIX");
    let url = Url::parse(text).map_err(|_| invalid())?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let bucket = url.host_str().unwrap_or_default().to_owned();
    if !is_plain || bucket.is_empty() {
        return Err(invalid());
    }
    let (_, rest) = text.split_once("://").ok_or_else(invalid)?;
    // As it is written: a URL would percent-encode it.
    let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
    let prefix = prefix.trim_end_matches('/');
    if !prefix.is_empty() && prefix.parse::<ObjectKey>().is_err() {
        return Err(invalid());
    }
    Ok((url.scheme().to_owned(), bucket, prefix.to_owned()))
}

fn parse_endpoint(key: &str, text: Option<&str>) -> Result<Option<Url>, String> {
    let Some(text) = text else { return Ok(None) };
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let url = url.ok_or_else(|| {
        format!(
            "{key}: expected an http or https URL without user name, password, query and fragment"
        )
    })?;
    Ok(Some(url))
}

/// A secret that stands in the table or in a file.
fn one_secret(
    key: &str,
    given: (Option<TableSecret>, Option<String>),
    rooted: &impl Fn(&str) -> std::path::PathBuf,
) -> Result<Option<Secret<String>>, String> {
    let secret = match given {
        (Some(_), Some(_)) => return Err(format!("{key} and {key}_file exclude each other")),
        (Some(TableSecret(secret)), None) => secret,
        (None, Some(file)) => {
            let path = rooted(&file);
            let text = read_secret(&path);
            Secret::new(
                text.map_err(|problem| format!("{key}_file {}: {problem}", path.display()))?,
            )
        }
        (None, None) => return Ok(None),
    };
    if secret.reveal().trim().is_empty() {
        return Err(format!("{key} is empty"));
    }
    Ok(Some(secret))
}

fn read_document(path: &Path) -> Result<Secret<String>, String> {
    let problem =
        |problem: String| format!("service_account_key_file {}: {problem}", path.display());
    let bytes = read_bounded(path).map_err(problem)?;
    let text = String::from_utf8(bytes).map_err(|error| problem(error.to_string()))?;
    let document: serde_json::Value =
        serde_json::from_str(&text).map_err(|_| problem("it is no JSON".to_owned()))?;
    if document.get("private_key").is_none() {
        return Err(problem("it has no private_key".to_owned()));
    }
    Ok(Secret::new(text))
}

fn required(key: &str, given: Option<String>) -> Result<String, String> {
    given
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| format!("{key} is missing"))
}

/// What is wrong with a table, without the value that is: it may be a secret.
fn without_value(error: &figment::Error) -> String {
    match &error.kind {
        Kind::MissingField(_) | Kind::UnknownField(..) | Kind::DuplicateField(_) => {
            error.kind.to_string()
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            let path = error.path.join(".");
            format!("{path}: expected {expected}")
        }
        _ => "a table cannot be read".to_owned(),
    }
}

fn text_of(error: impl std::fmt::Display) -> String {
    error.to_string()
}
