//! Settings: where each comes from and what is in force.
//!
//! Defaults, then a file (`cedargate.toml` in the working directory, or the one that
//! `CEDARGATE_CONFIG` names), then `CEDARGATE_*` variables; the later wins. A name that no setting
//! has is an error in either place. What may be secret may also stand in a file of its own
//! (`secret_file.rs`). Relative paths start from the working directory. This module
//! is the only user of figment. `table.rs` has everything about each setting in one place.

mod address;
mod choices;
mod error;
mod issuers;
pub mod limits;
mod origin;
mod path_pattern;
mod reference;
mod secret_file;
mod secret_text;
mod setting;
mod settings_reader;
mod sources;
mod stores;
mod table;

use std::path::Path;

pub use address::{AllowedOrigins, is_loopback};
pub use choices::{
    EvaluationRecords, ForwardAuthCheck, ForwardedHeader, FreeDiskFloor, GateCases, GateInvariants,
    GateProofs, LogFormat, LogLevel, PolicyWrites,
};
pub use error::ConfigError;
pub use origin::Origin;
pub use path_pattern::{PathPatternError, PathPatterns};
pub use reference::markdown_reference;
pub use setting::{EffectiveSetting, Setting, SettingFormat};
pub use sources::SettingSources;
pub use table::{SETTINGS, Settings};

use crate::domain::secret::Secret;
use settings_reader::SettingsReader;
use table::descriptions;

impl Settings {
    /// Loads all settings and checks each against its form and bounds.
    pub fn load(sources: &SettingSources) -> Result<Self, ConfigError> {
        let mut settings = Self::read(&mut SettingsReader {
            figment: sources.merged()?,
            directory: sources.directory.clone(),
            effective: Vec::new(),
        })?;
        if let Some(password) = &settings.database_password
            && let Some(url) = address::with_password(&settings.database_url, password)
        {
            settings.database_url = url;
        }
        Ok(settings)
    }

    /// Whether the issuer follows from an address that stands for every address of the machine.
    pub fn is_issuer_unreachable(&self) -> bool {
        self.listen.ip().is_unspecified() && self.issuer == format!("http://{}", self.listen)
    }

    /// Whether no sealing key file is configured, so that the default one may be created.
    pub fn may_create_sealing_key(&self) -> bool {
        self.effective.iter().any(|setting| {
            setting.name == descriptions::sealing_key_file.name && setting.origin == Origin::Default
        })
    }

    /// These settings with another data directory, and with all default paths in it.
    pub fn with_data_dir(&self, data_dir: &Path) -> Option<Self> {
        Some(Self {
            data_dir: data_dir.to_owned(),
            database_url: Secret::new(address::sqlite_url(&data_dir.join("cedargate.db"))?),
            database_password: None,
            files_dir: data_dir.join("files"),
            sealing_key_file: data_dir.join("sealing.key"),
            ..self.clone()
        })
    }

    /// Every setting as it is in force, in the order of [`SETTINGS`], secrets redacted.
    pub fn effective(&self) -> &[EffectiveSetting] {
        &self.effective
    }
}

#[cfg(test)]
mod tests;
