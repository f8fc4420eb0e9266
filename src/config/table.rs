//! Every setting: its name, type, default, form, purpose and reader, in one place each.
//!
//! The settings file, the environment, the printed list and the operators' page all follow it.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use strum::VariantNames;

use super::address::AllowedOrigins;
use super::choices::{
    EvaluationRecords, ForwardAuthCheck, ForwardedHeader, FreeDiskFloor, GateCases, GateInvariants,
    GateProofs, LogFormat, LogLevel, PolicyWrites,
};
use super::error::ConfigError;
use super::issuers::read_issuers;
use super::path_pattern::PathPatterns;
use super::setting::SettingFormat::{
    Integer, List, OneOf, Secret as SecretText, SecretTables, Tables, Text,
};
use super::setting::{EffectiveSetting, Setting};
use super::settings_reader::SettingsReader;
use super::stores::read_stores;
use crate::domain::issuer::ExternalIssuer;
use crate::domain::remote_store::RemoteStore;
use crate::domain::secret::Secret;

const BYTES_PER_MEBIBYTE: u64 = 1024 * 1024;

/// Makes the list [`SETTINGS`], the type [`Settings`] and its reading
/// of descriptions in this form:
///
/// ```text
/// /// What it is for.
/// name: Type = "default", format, reader;
/// ```
///
/// A reader takes the [`SettingsReader`] and the description, and
/// may use the settings before it by their names.
macro_rules! settings {
    ($($(#[doc = $line:literal])+ $name:ident: $type:ty = $default:literal, $format:expr, $read:expr;)*) => {
        /// Every setting, in the order in which people read them.
        pub const SETTINGS: &[Setting] = &[$(descriptions::$name,)*];

        /// The descriptions by name.
        #[allow(non_upper_case_globals, reason = "they are named as their settings")]
        pub(super) mod descriptions {
            use super::*;

            $(pub(in crate::config) const $name: Setting = Setting {
                name: stringify!($name),
                default: $default,
                format: $format,
                description: concat!($($line),+).trim_ascii(),
            };)*
        }

        /// Every setting in its type.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $line])+ pub $name: $type,)*
            pub(super) effective: Vec<EffectiveSetting>,
        }

        impl Settings {
            /// Reads the settings one after the other.
            pub(super) fn read(reader: &mut SettingsReader) -> Result<Self, ConfigError> {
                $(let $name = read_setting(reader, &descriptions::$name, $read)?;)*
                Ok(Self {
                    $($name,)*
                    effective: std::mem::take(&mut reader.effective),
                })
            }
        }
    };
}

settings! {
    /// Where the server listens.
    listen: SocketAddr = "127.0.0.1:8080",
        Text("an address and a port, such as 127.0.0.1:8080 or [::1]:8080"),
        SettingsReader::parse;
    /// The folder for what the server keeps, unless another setting says otherwise.
    data_dir: PathBuf = "./data", Text("a folder"),
        |reader, setting| reader.path(setting, setting.default);
    /// The catalog, the keys and the audit log. Its password is never shown.
    database_url: Secret<String> = "sqlite://<data_dir>/cedargate.db",
        SecretText("sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE, special characters percent-encoded"),
        |reader, setting| reader.database_url(setting, &data_dir);
    /// The password for the database, exactly as it is: nothing in it is percent-encoded.
    /// For `PostgreSQL` alone, and only if the URL has none.
    database_password: Option<Secret<String>> = "", SecretText("a password"),
        |reader, setting| reader.database_password(setting, &database_url);
    /// The most connections to the database for requests: half of them for short reads, a quarter for long ones and a quarter for writes.
    /// Up to four more serve one purpose each.
    database_connections: u32 = "8", Integer(1, 1000, "connections"), SettingsReader::integer;
    /// The folder of the file store.
    files_dir: PathBuf = "<data_dir>/files", Text("a folder"),
        |reader, setting| reader.path(setting, data_dir.join("files"));
    /// How much free disk space is kept for audit records, on the disks of the data directory and of the file store.
    /// Below it uploads and whatever is created are refused; below four times as much health is `degraded`.
    /// `auto` is 256, or a twentieth of a smaller disk; 0 is none.
    free_disk_floor: FreeDiskFloor = "auto", Text("a whole number of mebibytes, or auto"),
        SettingsReader::parse;
    /// A folder whose files whoever may administer a dataset may make the dataset's own by their path, and then download.
    /// Nothing is imported over HTTP unless it is set.
    import_dir: Option<PathBuf> = "", Text("a folder"), SettingsReader::optional_path;
    // In bytes, and set in mebibytes.
    /// The largest file that may be uploaded.
    largest_upload: u64 = "4096", Integer(1, 1_048_576, "mebibytes"),
        |reader, setting| Ok(u64::from(reader.integer(setting)?) * BYTES_PER_MEBIBYTE);
    /// The stores that files of datasets may be in beside the file store; see *Files in other stores*.
    stores: Vec<RemoteStore> = "", SecretTables("`[[stores]]` with `name`, `url` and more"), read_stores;
    /// The networks inside that files at URLs may be fetched from; of all others, only public addresses are connected to.
    /// Only from these networks plain http is accepted.
    remote_networks: Vec<IpNet> = "", List("addresses or blocks, such as 10.0.0.0/8"),
        SettingsReader::ip_blocks;
    /// How long a file is kept in the file store that no dataset names any more.
    /// A copy of the catalog that is restored later than this misses its replaced files.
    unused_files_kept: Duration = "86400", Integer(3600, 31_536_000, "seconds"), SettingsReader::seconds;
    /// The folder of the policy bundle.
    /// If it is not set and `./policies` does not exist, the bundle inside the program is used.
    policy_dir: Option<PathBuf> = "./policies", Text("a folder"), SettingsReader::policy_dir;
    /// Whether drafts may be published to the policy folder over HTTP, by whoever the policies permit `edit_policies`.
    /// With `deny` the folder is only read, and a draft is taken as a patch.
    policy_writes: PolicyWrites = "deny", OneOf(PolicyWrites::VARIANTS), SettingsReader::parse;
    /// Whether an edit of the policies has to meet its cases before it comes into force.
    gate_cases: GateCases = "require", OneOf(GateCases::VARIANTS), SettingsReader::parse;
    /// Whether each new or changed policy of an edit needs a case that shows that it takes effect.
    /// With `false` the policies without one are warned of; with `true` such an edit is refused. Not asked for while `gate_cases` is `off`.
    require_case_per_policy: bool = "false", OneOf(&["true", "false"]), SettingsReader::parse;
    /// Whether an edit of the policies has to keep its invariants, proved.
    /// With `if-available` edits go on unproved while cvc5 is not installed, and health, log and audit log say so; a cvc5 that is installed and fails refuses them.
    gate_proofs: GateProofs = "if-available", OneOf(GateProofs::VARIANTS), SettingsReader::parse;
    /// Whether an edit may change or remove invariants in force.
    /// With `recorded` it may, and log and audit log say which; with `locked` only after `cedargate policy accept`.
    /// An edit that loses more than half of the invariants, or of the cases, always needs that.
    gate_invariants: GateInvariants = "recorded", OneOf(GateInvariants::VARIANTS),
        SettingsReader::parse;
    /// How long the proofs of an edit may take. An edit that is not proved by then is refused.
    gate_proof_limit: Duration = "20", Integer(1, 600, "seconds"), SettingsReader::seconds;
    /// The `iss` of all tokens.
    /// Verifiers compare it letter by letter, so set it to the address that clients use.
    issuer: String = "http://<listen>",
        Text("an http or https URL without query, fragment, password and final slash"),
        |reader, setting| reader.issuer(setting, listen);
    /// The `aud` of download tokens. Everything that verifies them has to expect it.
    audience: String = "cedargate-downloads", Text("text without blanks, at most 255 bytes"),
        SettingsReader::audience;
    /// The identity providers whose tokens are accepted; see *Identity providers*.
    issuers: Vec<ExternalIssuer> = "", Tables("`[[issuers]]` with `issuer`, `audience` and more"),
        |reader, setting| read_issuers(reader, setting, &issuer);
    /// The key that seals private signing keys at rest.
    /// The default one is made at the first start; one that you name must be there.
    sealing_key_file: PathBuf = "<data_dir>/sealing.key", Text("a file"),
        |reader, setting| reader.path(setting, data_dir.join("sealing.key"));
    /// How long a download token lives, if no policy says less.
    token_lifetime: Duration = "120", Integer(1, 120, "seconds"), SettingsReader::seconds;
    /// How long a session token lives.
    session_lifetime: Duration = "900", Integer(60, 86_400, "seconds"), SettingsReader::seconds;
    /// How long a session lasts, from its login on.
    /// Refreshing gives a new session token within it and does not prolong it.
    refresh_lifetime: Duration = "2592000", Integer(3600, 31_536_000, "seconds"),
        SettingsReader::seconds;
    /// How long after its first use a refresh token gives new tokens once more, for clients that refresh twice at once or lost the response.
    /// A later use ends the session. 0 is strict: any second use ends it.
    refresh_grace: Duration = "10", Integer(0, 60, "seconds"), SettingsReader::seconds;
    /// How long verifiers may cache the key set. No key signs before it was published this long.
    /// While they fetch it again they may use it for as long once more, at most a minute.
    jwks_max_age: Duration = "300", Integer(1, 86_400, "seconds"), SettingsReader::seconds;
    /// How long a signing key is published at least before it signs, longer than verifiers may use a key set that they cached.
    /// The default is longer where `jwks_max_age` needs it.
    key_publish_ahead: Duration = "86400", Integer(3, 2_592_000, "seconds"),
        |reader, setting| reader.key_publish_ahead(setting, jwks_max_age);
    /// How long a signing key signs until the next one takes its place. 0 is until `cedargate keys rotate`.
    key_rotation_age: Option<Duration> = "2592000", Integer(0, 31_536_000, "seconds"),
        |reader, setting| reader.key_rotation_age(setting, key_publish_ahead);
    /// How many download tokens a principal, or an anonymous address, may ask for.
    /// Logins and credentials that fail count for their address. 0 is no limit.
    mint_limit_per_minute: Option<NonZeroU32> = "60", Integer(0, 1_000_000, "requests a minute"),
        |reader, setting| reader.integer(setting).map(NonZeroU32::new);
    /// How many other requests a principal, or an anonymous address, may make: lists of datasets, API keys, administration.
    /// 0 is no limit.
    request_limit_per_minute: Option<NonZeroU32> = "600", Integer(0, 1_000_000, "requests a minute"),
        |reader, setting| reader.integer(setting).map(NonZeroU32::new);
    /// How many downloads, each span of a file one, a principal or an anonymous address may ask for.
    /// All of one network (an IPv4 address, an IPv6 /64) together may ask for four times as many. 0 is no limit.
    download_limit_per_minute: Option<NonZeroU32> = "6000", Integer(0, 1_000_000, "requests a minute"),
        |reader, setting| reader.integer(setting).map(NonZeroU32::new);
    /// How many decisions a service may ask for (AuthZEN): each item of a batch is one, and a search is ten, and ten more for each
    /// further part of the catalog that it has to read. 0 is no limit.
    evaluation_limit_per_minute: Option<NonZeroU32> = "60000", Integer(0, 10_000_000, "decisions a minute"),
        |reader, setting| reader.integer(setting).map(NonZeroU32::new);
    /// Which decisions that a service asks for (AuthZEN) have an audit record of their own: `each`; `folded`, where
    /// permits of one question within ten minutes are one record with their number; or one of so many permits of each caller, such as `1/10`.
    /// Denials, errors and searches have one each, whatever this says.
    evaluation_records: EvaluationRecords = "each", Text("each, folded, or 1/N with N from 2 to 10000"),
        SettingsReader::parse;
    /// The proxies whose word about the client address counts. Nobody else's does: name only machines of yours.
    trusted_proxies: Vec<IpNet> = "", List("addresses or blocks, such as 10.0.0.0/8"),
        SettingsReader::ip_blocks;
    /// The header in which the trusted proxies name the client's address; the other one is never looked at.
    /// A proxy must set or extend this one itself and not pass on what clients send.
    forwarded_header: ForwardedHeader = "x-forwarded-for", OneOf(ForwardedHeader::VARIANTS),
        SettingsReader::parse;
    /// The paths that a file server asks about with `/auth/verify`, and where the dataset id is in them; a final `/*` is everything below.
    /// A path is compared as the client sent it. With none, `/auth/verify` refuses everything.
    /// With some, tokens are minted for datasets without a file here too.
    forward_auth_paths: PathPatterns = "", List("paths with one {dataset_id}, such as /cogs/{dataset_id}.tif"),
        SettingsReader::path_patterns;
    /// What `/auth/verify` checks of a download token: with `policy` that the policies still permit it, with `signature` only that it is valid for the dataset, as any other verifier does.
    /// Of session tokens and API keys the policies are always asked.
    forward_auth_check: ForwardAuthCheck = "policy", OneOf(ForwardAuthCheck::VARIANTS),
        SettingsReader::parse;
    /// The web pages that may call the API from a browser (CORS).
    /// `*` is safe because credentials are bearer tokens and never cookies: a page has only what it was given.
    /// What policies grant to an address they grant to pages of the origins that are listed here, and to no others.
    /// A list has origins alone: scheme, host and port without a path, and no `*` in a host.
    allowed_origins: AllowedOrigins = "*",
        List("origins, such as https://maps.example.org, or * alone"),
        SettingsReader::allowed_origins;
    /// How long a request may take, its body and the body of its response excepted.
    request_timeout: Duration = "30", Integer(1, 300, "seconds"), SettingsReader::seconds;
    /// How long the body of a response may take, such as a download.
    /// Access that was revoked meanwhile ends here at the latest.
    download_timeout: Duration = "21600", Integer(60, 604_800, "seconds"), SettingsReader::seconds;
    /// How many bytes a minute a client must read of a response, or send of an uploaded file, while the server waits for it.
    /// The connection of a slower one is closed.
    min_bytes_per_minute: u32 = "262144", Integer(1024, 1_073_741_824, "bytes a minute"),
        SettingsReader::integer;
    /// The most connections that are open at once; each takes three file descriptors, one for another that waits for its turn.
    /// One network (an IPv4 address or an IPv6 /64) may hold a quarter of them.
    max_connections: usize = "1024", Integer(1, 65_535, "connections"),
        |reader, setting| Ok(reader.integer(setting)? as usize);
    /// How long requests in flight may take to finish after SIGTERM.
    shutdown_grace: Duration = "30", Integer(0, 3600, "seconds"), SettingsReader::seconds;
    /// How the log is written; auto is human on a terminal and JSON otherwise.
    log_format: LogFormat = "auto", OneOf(LogFormat::VARIANTS), SettingsReader::parse;
    /// The least important line that is logged.
    log_level: LogLevel = "info", OneOf(LogLevel::VARIANTS), SettingsReader::parse;
}

/// Gives a closure in the table above its types.
fn read_setting<T>(
    reader: &mut SettingsReader,
    setting: &Setting,
    read: impl FnOnce(&mut SettingsReader, &Setting) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    read(reader, setting)
}
