//! Where settings come from: the defaults, the settings file and the environment, merged in this order.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::ConfigError;
use super::origin::Origin;
use super::secret_file::{self, SecretFile};
use super::setting::{ENV_PREFIX, ENVIRONMENT, SECRET_FILE, Setting, SettingFormat};
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
        let (environment, environment_secrets) = self.environment_layer()?;
        if let Some((path, text)) = self.file()? {
            let (layer, secrets) = self.file_layer(&path, &text)?;
            check_overrides(&layer, &environment, &path)?;
            figment = merge_secrets(figment.merge(layer), &secrets)?;
        }
        merge_secrets(figment.merge(environment), &environment_secrets)
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

    fn environment_layer(&self) -> Result<(Layer, Vec<SecretFile>), ConfigError> {
        let mut values = Dict::new();
        let mut secrets = Vec::new();
        for (variable, text) in &self.environment {
            let is_ours = variable.starts_with(ENV_PREFIX) && variable != CONFIG_VARIABLE;
            if !is_ours || is_service_link(variable) {
                continue;
            }
            let found = SETTINGS
                .iter()
                .find(|setting| setting.variable() == *variable);
            if let Some(setting) = secret_file::setting_of_variable(variable) {
                let named_in = Origin::Environment(variable.clone());
                secrets.push(self.secret_file(setting, text, named_in));
                continue;
            }
            let Some(setting) = found else {
                let known = SETTINGS.iter().map(Setting::variable);
                let files = SETTINGS.iter().filter_map(Setting::file_variable);
                let known = known.chain(files).chain([CONFIG_VARIABLE.to_owned()]);
                let known: Vec<String> = known.collect();
                let known = known.iter().map(String::as_str);
                return Err(ConfigError::UnknownVariable {
                    similar: closest(variable, known).map(str::to_owned),
                    variable: variable.clone(),
                });
            };
            values.insert(setting.name.to_owned(), parse_value(setting, text));
        }
        refuse_both_forms(&values, &secrets, |setting| {
            (setting.variable(), setting.file_variable())
        })?;
        let layer = Layer {
            metadata: Metadata::named(ENVIRONMENT),
            values,
        };
        Ok((layer, secrets))
    }

    fn secret_file(&self, setting: &'static Setting, path: &str, named_in: Origin) -> SecretFile {
        SecretFile {
            setting,
            // An empty path stays one: it is not the working directory.
            path: if path.is_empty() {
                PathBuf::new()
            } else {
                self.directory.join(path)
            },
            named_in,
        }
    }

    fn file_layer(&self, path: &Path, text: &str) -> Result<(Layer, Vec<SecretFile>), ConfigError> {
        let not_toml = |message: &str, at: usize| ConfigError::InvalidToml {
            path: path.into(),
            line: line_at(text, at),
            message: message.trim().to_owned(),
        };
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            not_toml(error.message(), error.span().map_or(0, |span| span.start))
        })?;
        let mut values = Dict::new();
        let mut secrets = Vec::new();
        for (key, value) in table {
            if let Some(setting) = secret_file::setting_of_key(&key) {
                let named_in = Origin::File(path.into());
                let toml::Value::String(file) = value else {
                    return Err(ConfigError::InvalidValue {
                        setting: setting.name,
                        origin: named_in,
                        given: "no text".to_owned(),
                        expected: "the path of a file".to_owned(),
                    });
                };
                secrets.push(self.secret_file(setting, &file, named_in));
                continue;
            }
            if !SETTINGS.iter().any(|setting| setting.name == key) {
                return Err(unknown_key(key, path));
            }
            let value = Value::serialize(value).map_err(|error| not_toml(&error.to_string(), 0))?;
            values.insert(key, value);
        }
        refuse_both_forms(&values, &secrets, |setting| {
            (setting.name.to_owned(), setting.file_name())
        })?;
        let layer = Layer {
            metadata: Metadata::from("file", path),
            values,
        };
        Ok((layer, secrets))
    }
}

/// Reads the secret files of one place, and merges each as a layer of its own, so that its origin is known.
fn merge_secrets(mut figment: Figment, secrets: &[SecretFile]) -> Result<Figment, ConfigError> {
    for secret in secrets {
        let value = Value::from(secret.read()?);
        figment = figment.merge(Layer {
            metadata: Metadata::from(SECRET_FILE, secret.path.as_path()),
            values: Dict::from([(secret.setting.name.to_owned(), value)]),
        });
    }
    Ok(figment)
}

/// Fails if one place gives a setting both as a value and as a file.
fn refuse_both_forms(
    values: &Dict,
    secrets: &[SecretFile],
    forms: impl Fn(&Setting) -> (String, Option<String>),
) -> Result<(), ConfigError> {
    let twice = secrets
        .iter()
        .find(|secret| values.contains_key(secret.setting.name));
    let Some(SecretFile { setting, .. }) = twice else {
        return Ok(());
    };
    let (value_form, file_form) = forms(setting);
    Err(ConfigError::BothForms {
        setting: setting.name,
        value_form,
        file_form: file_form.unwrap_or_default(),
    })
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
    let known = SETTINGS.iter().map(|setting| setting.name.to_owned());
    let known: Vec<String> = known
        .chain(SETTINGS.iter().filter_map(Setting::file_name))
        .collect();
    let known = known.iter().map(String::as_str);
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
        SettingFormat::Tables(_) | SettingFormat::SecretTables(_) if text.trim().is_empty() => {
            Vec::<Value>::new().into()
        }
        SettingFormat::Tables(_) | SettingFormat::SecretTables(_) => {
            serde_json::from_str::<StrictValue>(text)
                .ok()
                .and_then(|json| Value::serialize(json.0).ok())
                .unwrap_or_else(|| text.into())
        }
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
