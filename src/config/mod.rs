//! Settings: where each comes from and what is in force.
//!
//! Defaults, then a file (`cedargate.toml` in the working directory, or the one that
//! `CEDARGATE_CONFIG` names), then `CEDARGATE_*` variables; the later wins. A name that no setting
//! has is an error in either place. Relative paths start from the working directory. This module
//! is the only user of figment. It refuses to know what the settings do.

mod address;
mod error;
mod issuers;
pub mod limits;
mod origin;
mod reading;
mod reference;
mod setting;
mod sources;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use strum::{Display, EnumString, VariantNames};

pub use address::{AllowedOrigins, is_loopback};
pub use error::ConfigError;
pub use origin::Origin;
pub use reading::EffectiveSetting;
pub use reference::markdown_reference;
pub use setting::{SETTINGS, Setting, SettingFormat};
pub use sources::SettingSources;

use crate::domain::issuer::ExternalIssuer;
use crate::domain::secret::Secret;
use reading::SettingsReader;

/// How the log is written.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// The least important line that is logged.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What may fail next.
    Warn,
    /// What an operator follows.
    Info,
    /// What a developer follows.
    Debug,
    /// Everything.
    Trace,
}

/// Whether an edit of the policies has to meet its cases.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateCases {
    /// It has to.
    Require,
    /// They are not run.
    Off,
}

/// Whether an edit of the policies has to keep its invariants.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateProofs {
    /// It has to, and without a solver none comes into force.
    Require,
    /// It has to where there is a solver.
    IfAvailable,
    /// Nothing is proved.
    Off,
}

const BYTES_PER_MEBIBYTE: u64 = 1024 * 1024;

/// Every setting in its type; the list with defaults and bounds is [`SETTINGS`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// The folder for what the server keeps.
    pub data_dir: PathBuf,
    /// The URL of the database, with its password if it has one.
    pub database_url: Secret<String>,
    /// The most connections to the database.
    pub database_connections: u32,
    /// The folder of the file store.
    pub files_dir: PathBuf,
    /// The folder of files that may be imported over HTTP; none is nothing to import.
    pub import_dir: Option<PathBuf>,
    /// The largest file that may be uploaded, in bytes.
    pub largest_upload: u64,
    /// The folder of the policy bundle; none is the bundle inside the program.
    pub policy_dir: Option<PathBuf>,
    /// Whether an edit of the policies has to meet its cases.
    pub gate_cases: GateCases,
    /// Whether an edit of the policies has to keep its invariants.
    pub gate_proofs: GateProofs,
    /// How long the proofs of an edit may take.
    pub gate_proof_limit: Duration,
    /// The `iss` of all tokens.
    pub issuer: String,
    /// The `aud` of download tokens.
    pub audience: String,
    /// The outside issuers whose tokens are accepted.
    pub issuers: Vec<ExternalIssuer>,
    /// The file with the key that seals private keys at rest.
    pub sealing_key_file: PathBuf,
    /// How long a download token lives at most.
    pub token_lifetime: Duration,
    /// How long a session token lives.
    pub session_lifetime: Duration,
    /// How long a session lasts, from its login on.
    pub refresh_lifetime: Duration,
    /// How long verifiers may cache the key set.
    pub jwks_max_age: Duration,
    /// How many download tokens a principal may ask for in a minute; none is no limit.
    pub mint_limit_per_minute: Option<NonZeroU32>,
    /// How many other requests a principal may make in a minute; none is no limit.
    pub request_limit_per_minute: Option<NonZeroU32>,
    /// The proxies whose word about the client address counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The web pages that may call the API from a browser.
    pub allowed_origins: AllowedOrigins,
    /// How long a request may take, the body of a download excepted.
    pub request_timeout: Duration,
    /// The most connections that are open at once.
    pub max_connections: usize,
    /// How long requests in flight may take to finish after SIGTERM.
    pub shutdown_grace: Duration,
    /// How the log is written.
    pub log_format: LogFormat,
    /// The least important line that is logged.
    pub log_level: LogLevel,
    effective: Vec<EffectiveSetting>,
}

impl Settings {
    /// Loads all settings and checks each against its form and bounds.
    pub fn load(sources: &SettingSources) -> Result<Self, ConfigError> {
        let mut reading = SettingsReader {
            figment: sources.merged()?,
            directory: sources.directory.clone(),
            effective: Vec::new(),
        };
        let reading = &mut reading;
        let listen = reading.parse(&setting::LISTEN)?;
        let data_dir = reading.path(&setting::DATA_DIR, Path::new(setting::DATA_DIR.default))?;
        // The fields are read in the order of SETTINGS, which is the order they are shown in.
        let mut settings = Self {
            listen,
            database_url: database_url(reading, &data_dir)?,
            database_connections: reading.integer(&setting::DATABASE_CONNECTIONS)?,
            files_dir: reading.path(&setting::FILES_DIR, &data_dir.join("files"))?,
            import_dir: import_dir(reading)?,
            largest_upload: u64::from(reading.integer(&setting::LARGEST_UPLOAD)?)
                * BYTES_PER_MEBIBYTE,
            policy_dir: policy_dir(reading)?,
            gate_cases: reading.parse(&setting::GATE_CASES)?,
            gate_proofs: reading.parse(&setting::GATE_PROOFS)?,
            gate_proof_limit: reading.seconds(&setting::GATE_PROOF_LIMIT)?,
            issuer: issuer(reading, listen)?,
            audience: audience(reading)?,
            issuers: issuers::read_issuers(reading)?,
            sealing_key_file: reading
                .path(&setting::SEALING_KEY_FILE, &data_dir.join("sealing.key"))?,
            token_lifetime: reading.seconds(&setting::TOKEN_LIFETIME)?,
            session_lifetime: reading.seconds(&setting::SESSION_LIFETIME)?,
            refresh_lifetime: reading.seconds(&setting::REFRESH_LIFETIME)?,
            jwks_max_age: reading.seconds(&setting::JWKS_MAX_AGE)?,
            mint_limit_per_minute: NonZeroU32::new(reading.integer(&setting::MINT_LIMIT)?),
            request_limit_per_minute: NonZeroU32::new(reading.integer(&setting::REQUEST_LIMIT)?),
            trusted_proxies: trusted_proxies(reading)?,
            allowed_origins: allowed_origins(reading)?,
            request_timeout: reading.seconds(&setting::REQUEST_TIMEOUT)?,
            max_connections: reading.integer(&setting::MAX_CONNECTIONS)? as usize,
            shutdown_grace: reading.seconds(&setting::SHUTDOWN_GRACE)?,
            log_format: reading.parse(&setting::LOG_FORMAT)?,
            log_level: reading.parse(&setting::LOG_LEVEL)?,
            data_dir,
            effective: Vec::new(),
        };
        issuers::reject_own_issuer(reading, &settings.issuers, &settings.issuer)?;
        settings.effective.append(&mut reading.effective);
        Ok(settings)
    }

    /// Whether the issuer follows from an address that stands for every address of the machine.
    pub fn is_issuer_unreachable(&self) -> bool {
        self.listen.ip().is_unspecified() && self.issuer == format!("http://{}", self.listen)
    }

    /// Whether nobody named a sealing key file, so that the default one may be made.
    pub fn may_create_sealing_key(&self) -> bool {
        self.effective.iter().any(|setting| {
            setting.name == setting::SEALING_KEY_FILE.name && setting.origin == Origin::Default
        })
    }

    /// These settings on another data directory, with everything that is kept in it.
    pub fn with_data_dir(&self, data_dir: &Path) -> Option<Self> {
        Some(Self {
            data_dir: data_dir.to_owned(),
            database_url: Secret::new(address::sqlite_url(&data_dir.join("cedargate.db"))?),
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

fn database_url(
    reading: &mut SettingsReader,
    data_dir: &Path,
) -> Result<Secret<String>, ConfigError> {
    let wrong = |reading: &SettingsReader| reading.invalid(&setting::DATABASE_URL);
    let url = match reading.text(&setting::DATABASE_URL)? {
        Some(url) => url,
        None => {
            address::sqlite_url(&data_dir.join("cedargate.db")).ok_or_else(|| wrong(reading))?
        }
    };
    let url = Secret::new(url);
    let shown = address::redacted_database_url(url.reveal()).ok_or_else(|| wrong(reading))?;
    reading.record(&setting::DATABASE_URL, shown);
    Ok(url)
}

fn import_dir(reading: &mut SettingsReader) -> Result<Option<PathBuf>, ConfigError> {
    let set = reading.text(&setting::IMPORT_DIR)?;
    let folder = set.map(|path| reading.resolve_path(Path::new(&path)));
    let shown = folder.as_ref().map(|folder| folder.display().to_string());
    reading.record(&setting::IMPORT_DIR, shown.unwrap_or_default());
    Ok(folder)
}

fn policy_dir(reading: &mut SettingsReader) -> Result<Option<PathBuf>, ConfigError> {
    let set = reading
        .text(&setting::POLICY_DIR)?
        .map(|path| reading.resolve_path(Path::new(&path)));
    let usual = reading.resolve_path(Path::new(setting::POLICY_DIR.default));
    let folder = set.or_else(|| usual.is_dir().then_some(usual));
    let shown = folder.as_ref().map_or_else(
        || "the bundle inside the program".to_owned(),
        |folder| folder.display().to_string(),
    );
    reading.record(&setting::POLICY_DIR, shown);
    Ok(folder)
}

fn issuer(reading: &mut SettingsReader, listen: SocketAddr) -> Result<String, ConfigError> {
    let issuer = reading
        .text(&setting::ISSUER)?
        .unwrap_or_else(|| format!("http://{listen}"));
    if !address::is_issuer(&issuer) {
        return Err(reading.invalid(&setting::ISSUER));
    }
    reading.record(&setting::ISSUER, issuer.clone());
    Ok(issuer)
}

fn audience(reading: &mut SettingsReader) -> Result<String, ConfigError> {
    let audience = reading.text(&setting::AUDIENCE)?.unwrap_or_default();
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    if audience.len() > 255 || audience.contains(is_blank) {
        return Err(reading.invalid(&setting::AUDIENCE));
    }
    reading.record(&setting::AUDIENCE, audience.clone());
    Ok(audience)
}

fn trusted_proxies(reading: &mut SettingsReader) -> Result<Vec<IpNet>, ConfigError> {
    let list = reading.list(&setting::TRUSTED_PROXIES)?;
    let blocks: Option<Vec<IpNet>> = list
        .iter()
        .map(|text| address::parse_ip_block(text))
        .collect();
    let blocks = blocks.ok_or_else(|| reading.invalid_list(&setting::TRUSTED_PROXIES, &list))?;
    let shown: Vec<String> = blocks.iter().map(ToString::to_string).collect();
    reading.record(&setting::TRUSTED_PROXIES, shown.join(","));
    Ok(blocks)
}

fn allowed_origins(reading: &mut SettingsReader) -> Result<AllowedOrigins, ConfigError> {
    let list = reading.list(&setting::ALLOWED_ORIGINS)?;
    let origins = AllowedOrigins::parse(&list)
        .ok_or_else(|| reading.invalid_list(&setting::ALLOWED_ORIGINS, &list))?;
    reading.record(&setting::ALLOWED_ORIGINS, origins.to_string());
    Ok(origins)
}

#[cfg(test)]
mod tests;
