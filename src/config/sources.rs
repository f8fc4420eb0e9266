//! Where settings come from: the defaults, the settings file and the environment, merged in this order.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::ConfigError;
use super::setting::{ENV_PREFIX, ENVIRONMENT, Setting, SettingFormat};
use super::table::SETTINGS;
use crate::domain::strict_json::StrictValue;
use crate::domain::suggest::closest;
use crate::domain::text_file;
use crate::domain::text_position::line_at;

/// The variable that names the settings file.
pub(super) const CONFIG_VARIABLE: &str = "CEDARGATE_CONFIG";

/// The settings file that is looked for in the working directory.
const FILE_NAME: &str = "cedargate.toml";

/// Where settings are looked for.
#[derive(Clone, Debug)]
pub struct SettingSources {
    /// The directory that relative paths start from and that may hold `cedargate.toml`.
    pub directory: PathBuf,
    /// Names and values of environment variables; those without our prefix are ignored.
    pub environment: Vec<(String, String)>,
}

impl SettingSources {
    /// The working directory and the environment of this process.
    pub fn from_process() -> Result<Self, ConfigError> {
        let directory =
            std::env::current_dir().map_err(|source| ConfigError::NoWorkingDirectory { source })?;
        let mut environment = Vec::new();
        for (variable, value) in std::env::vars_os() {
            let Some(variable) = variable
                .to_str()
                .filter(|name| name.starts_with(ENV_PREFIX))
            else {
                continue;
            };
            let variable = variable.to_owned();
            match value.into_string() {
                Ok(value) => environment.push((variable, value)),
                Err(_) => return Err(ConfigError::NotUnicode { variable }),
            }
        }
        Ok(Self {
            directory,
            environment,
        })
    }

    /// Merges defaults, file and environment; an unknown name is an error.
    ///
    /// So is an empty variable: for a list of the file, because a variable whose template failed would trust no
    /// proxy or no identity provider any more; for other settings, because it is no value.
    pub(super) fn merged(&self) -> Result<Figment, ConfigError> {
        let mut figment = Figment::new().merge(defaults());
        let environment = self.environment_layer()?;
        if let Some((path, text)) = self.file()? {
            let file = file_layer(&path, &text)?;
            check_overrides(&file, &environment, &path)?;
            figment = figment.merge(file);
        }
        Ok(figment.merge(environment))
    }

    fn file(&self) -> Result<Option<(PathBuf, String)>, ConfigError> {
        let named = self
            .environment
            .iter()
            .find(|(variable, _)| variable == CONFIG_VARIABLE);
        let path = self
            .directory
            .join(named.map_or(FILE_NAME, |(_, path)| path.as_str()));
        match fs::read(&path)
            .and_then(|content| text_file::decode(content).map_err(io::Error::other))
        {
            Ok(text) => Ok(Some((path, text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(None),
            Err(source) => Err(ConfigError::FileUnreadable { path, source }),
        }
    }

    fn environment_layer(&self) -> Result<Layer, ConfigError> {
        let mut values = Dict::new();
        for (variable, text) in &self.environment {
            let is_ours = variable.starts_with(ENV_PREFIX) && variable != CONFIG_VARIABLE;
            if !is_ours || is_service_link(variable) {
                continue;
            }
            let found = SETTINGS
                .iter()
                .find(|setting| setting.variable() == *variable);
            let Some(setting) = found else {
                let known = SETTINGS.iter().map(Setting::variable);
                let known: Vec<String> = known.chain([CONFIG_VARIABLE.to_owned()]).collect();
                let known = known.iter().map(String::as_str);
                return Err(ConfigError::UnknownVariable {
                    similar: closest(variable, known).map(str::to_owned),
                    variable: variable.clone(),
                });
            };
            values.insert(setting.name.to_owned(), parse_value(setting, text));
        }
        Ok(Layer {
            metadata: Metadata::named(ENVIRONMENT),
            values,
        })
    }
}

/// One source of values for figment.
struct Layer {
    metadata: Metadata,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn defaults() -> Layer {
    let fixed = SETTINGS
        .iter()
        .filter(|setting| setting.has_fixed_default());
    let values = fixed.map(|setting| {
        (
            setting.name.to_owned(),
            parse_value(setting, setting.default),
        )
    });
    Layer {
        metadata: Metadata::named("default"),
        values: values.collect(),
    }
}

fn file_layer(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let not_toml = |message: &str, at: usize| ConfigError::InvalidToml {
        path: path.into(),
        line: line_at(text, at),
        message: message.trim().to_owned(),
    };
    let table: toml::Table = toml::from_str(text)
        .map_err(|error| not_toml(error.message(), error.span().map_or(0, |span| span.start)))?;
    let mut values = Dict::new();
    for (key, value) in table {
        if !SETTINGS.iter().any(|setting| setting.name == key) {
            return Err(unknown_key(key, path));
        }
        let value = Value::serialize(value).map_err(|error| not_toml(&error.to_string(), 0))?;
        values.insert(key, value);
    }
    Ok(Layer {
        metadata: Metadata::from("file", path),
        values,
    })
}

fn check_overrides(file: &Layer, environment: &Layer, path: &Path) -> Result<(), ConfigError> {
    let is_empty = |value: &Value| value.as_array().is_some_and(<[Value]>::is_empty);
    let mut empty = environment
        .values
        .iter()
        .filter(|(_, value)| is_empty(value));
    let is_in_file = |name: &str| file.values.get(name).is_some_and(|value| !is_empty(value));
    let Some((setting, _)) = empty.find(|(name, _)| is_in_file(name)) else {
        return Ok(());
    };
    let found = SETTINGS.iter().find(|known| known.name == *setting);
    Err(ConfigError::EmptyOverride {
        variable: found.map(Setting::variable).unwrap_or_default(),
        setting: setting.clone(),
        path: path.into(),
    })
}

fn unknown_key(key: String, path: &Path) -> ConfigError {
    let written = key.to_ascii_lowercase().replace('-', "_");
    let known = SETTINGS.iter().map(|setting| setting.name);
    ConfigError::UnknownKey {
        similar: closest(&written, known).map(str::to_owned),
        key,
        path: path.into(),
    }
}

/// Parses text in the form that a setting has; what cannot be parsed stays text, which the reader then rejects.
fn parse_value(setting: &Setting, text: &str) -> Value {
    match setting.format {
        SettingFormat::Text(_) | SettingFormat::Secret(_) | SettingFormat::OneOf(_) => text.into(),
        SettingFormat::Integer(..) => text
            .trim()
            .parse::<u64>()
            .map_or_else(|_| text.into(), Value::from),
        SettingFormat::List(_) => {
            let elements = text
                .split(',')
                .map(str::trim)
                .filter(|element| !element.is_empty());
            elements.map(Value::from).collect::<Vec<_>>().into()
        }
        SettingFormat::Tables(_) if text.trim().is_empty() => Vec::<Value>::new().into(),
        SettingFormat::Tables(_) => serde_json::from_str::<StrictValue>(text)
            .ok()
            .and_then(|json| Value::serialize(json.0).ok())
            .unwrap_or_else(|| text.into()),
    }
}

/// Whether a variable is one that Kubernetes and Docker links set for a service called `cedargate`.
///
/// Otherwise a service of this obvious name could not start:
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
fn is_service_link(variable: &str) -> bool {
    let name = variable.strip_prefix(ENV_PREFIX).unwrap_or_default();
    let is_of_port = |rest: &str| {
        rest.split_once('_').is_some_and(|(port, protocol)| {
            port.parse::<u16>().is_ok()
                && ["TCP", "UDP", "SCTP"]
                    .iter()
                    .any(|known| protocol.starts_with(known))
        })
    };
    matches!(name, "PORT" | "SERVICE_HOST" | "SERVICE_PORT")
        || name.starts_with("SERVICE_PORT_")
        || name.strip_prefix("PORT_").is_some_and(is_of_port)
}
