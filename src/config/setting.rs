//! The description of one setting, and a setting as it is in force.

use super::origin::Origin;

/// What every environment variable of ours begins with.
pub(super) const ENV_PREFIX: &str = "CEDARGATE_";

/// The name under which figment keeps the values of the environment.
pub(super) const ENVIRONMENT: &str = "environment";

/// The name under which figment keeps the values of secret files.
pub(super) const SECRET_FILE: &str = "secret file";

/// What form the value of a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingFormat {
    /// Text; what it must be is said in words.
    Text(&'static str),
    /// Text that may hold a password, so that errors do not show it.
    Secret(&'static str),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number from the first to the second, in the unit that follows.
    Integer(u32, u32, &'static str),
    /// A list: an array in the file, separated by commas in the environment.
    List(&'static str),
    /// A list of tables: an array of tables in the file, a JSON array of objects in the environment.
    Tables(&'static str),
    /// Like [`SettingFormat::Tables`]; they may hold passwords, so that errors do not show them.
    SecretTables(&'static str),
}

/// The description of one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key in the settings file.
    pub name: &'static str,
    /// The default, written as in the environment; `<name>` stands for the value of another setting.
    pub default: &'static str,
    /// What form the value has.
    pub format: SettingFormat,
    /// What it is for, in one line.
    pub description: &'static str,
}

/// One setting as it is in force, ready to be shown: secrets are redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// The key in the settings file.
    pub name: &'static str,
    /// The environment variable.
    pub variable: String,
    /// The value, in the form it has in the environment.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What it is for, in one line.
    pub description: &'static str,
}

impl Setting {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("{ENV_PREFIX}{}", self.name.to_ascii_uppercase())
    }

    /// What its value has to be, as it follows the word *expected*.
    pub fn expected(&self) -> String {
        match self.format {
            SettingFormat::Text(words) | SettingFormat::Secret(words) => words.into(),
            SettingFormat::OneOf(words) => format!("one of {}", words.join(", ")),
            SettingFormat::Integer(min, max, unit) => {
                format!("a whole number of {unit} from {min} to {max}")
            }
            SettingFormat::List(words) => format!("a list of {words}"),
            SettingFormat::Tables(words) | SettingFormat::SecretTables(words) => format!(
                "tables {words}; in the environment a JSON array of objects with the same keys"
            ),
        }
    }

    /// Whether the default is a value, and does not follow from other settings.
    pub(super) fn has_fixed_default(&self) -> bool {
        !self.default.is_empty() && !self.default.contains('<')
    }
}
