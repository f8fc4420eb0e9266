//! The list of all settings: name, default, bounds and what each is for.
//!
//! It is the one place where a setting is described; the settings file, the environment, the
//! printed list and the operators' page all follow it.

/// What every environment variable of ours begins with.
pub(super) const ENV_PREFIX: &str = "CEDARGATE_";

/// What form the value of a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingFormat {
    /// Text; what it must be is said in words.
    Text(&'static str),
    /// A whole number from the first to the second, in the unit that follows.
    Integer(u32, u32, &'static str),
    /// A list: an array in the file, separated by commas in the environment.
    List(&'static str),
    /// A list of tables: an array of tables in the file, a JSON array of objects in the environment.
    Tables(&'static str),
}

/// The description of one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key in the settings file.
    pub name: &'static str,
    /// The default, written as in the environment.
    pub default: &'static str,
    /// What form the value has.
    pub form: SettingFormat,
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
        match self.form {
            SettingFormat::Text(words) => words.into(),
            SettingFormat::Integer(least, most, unit) => {
                format!("a whole number of {unit} from {least} to {most}")
            }
            SettingFormat::List(words) => format!("a list of {words}"),
            SettingFormat::Tables(words) => {
                format!(
                    "tables {words}; in the environment a JSON array of objects with the same keys"
                )
            }
        }
    }

    /// Says whether the default follows from other settings or from what is on the disk.
    pub(super) fn is_derived(&self) -> bool {
        self.default.contains('<') || self.name == POLICY_DIR.name || self.name == IMPORT_DIR.name
    }
}

macro_rules! settings {
    ($($constant:ident = $name:literal, $default:literal, $form:expr, $description:literal;)*) => {
        $(pub(super) const $constant: Setting = Setting {
            name: $name,
            default: $default,
            form: $form,
            description: $description,
        };)*

        /// Every setting, in the order in which people read them.
        pub const SETTINGS: &[Setting] = &[$($constant,)*];
    };
}

use SettingFormat::{Integer, List, Tables, Text};

settings! {
    LISTEN = "listen", "127.0.0.1:8080",
        Text("an address and a port, such as 127.0.0.1:8080 or [::1]:8080"),
        "Where the server listens.";
    DATA_DIR = "data_dir", "./data", Text("a folder"),
        "The folder for what the server keeps, unless another setting says otherwise.";
    DATABASE_URL = "database_url", "sqlite://<data_dir>/cedargate.db",
        Text("sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE, special characters percent-encoded"),
        "The catalog, the keys and the audit log. Its password is never shown.";
    DATABASE_CONNECTIONS = "database_connections", "8", Integer(1, 1000, "connections"),
        "The most connections to the database.";
    FILES_DIR = "files_dir", "<data_dir>/files", Text("a folder"),
        "The folder of the file store.";
    IMPORT_DIR = "import_dir", "", Text("a folder"),
        "A folder whose files whoever may administer a dataset may make the dataset's own by their path, and then download. Nothing is imported over HTTP unless it is set.";
    LARGEST_UPLOAD = "largest_upload", "4096", Integer(1, 1_048_576, "mebibytes"),
        "The largest file that may be uploaded.";
    POLICY_DIR = "policy_dir", "./policies", Text("a folder"),
        "The folder of the policy bundle. If it is not set and `./policies` does not exist, the bundle inside the program is used.";
    GATE_CASES = "gate_cases", "require", Text("one of require, off"),
        "Whether an edit of the policies has to meet its cases before it comes into force.";
    GATE_PROOFS = "gate_proofs", "if-available", Text("one of require, if-available, off"),
        "Whether an edit of the policies has to keep its invariants, proved. With `if-available` edits go on unproved while there is no cvc5, and health and log say so.";
    GATE_PROOF_LIMIT = "gate_proof_limit", "20", Integer(1, 600, "seconds"),
        "How long the proofs of an edit may take. An edit that is not proved by then is refused.";
    ISSUER = "issuer", "http://<listen>",
        Text("an http or https URL without query, fragment, password and final slash"),
        "The `iss` of all tokens. Verifiers compare it letter by letter, so set it to the address that clients use.";
    AUDIENCE = "audience", "cedargate-downloads", Text("text without blanks, at most 255 bytes"),
        "The `aud` of download tokens. Everything that verifies them has to expect it.";
    ISSUERS = "issuers", "", Tables("`[[issuers]]` with `issuer`, `audience` and more"),
        "The identity providers whose tokens are accepted; see *Identity providers*.";
    SEALING_KEY_FILE = "sealing_key_file", "<data_dir>/sealing.key", Text("a file"),
        "The key that seals private signing keys at rest. The default one is made at the first start; one that you name must be there.";
    TOKEN_LIFETIME = "token_lifetime", "120", Integer(1, 120, "seconds"),
        "How long a download token lives, if no policy says less.";
    SESSION_LIFETIME = "session_lifetime", "900", Integer(60, 86_400, "seconds"),
        "How long a session token lives.";
    REFRESH_LIFETIME = "refresh_lifetime", "2592000", Integer(3600, 31_536_000, "seconds"),
        "How long a session lasts, from its login on. Refreshing gives a new session token within it and does not prolong it.";
    JWKS_MAX_AGE = "jwks_max_age", "300", Integer(60, 86_400, "seconds"),
        "How long verifiers may cache the key set. No key signs before it was published this long.";
    MINT_LIMIT = "mint_limit_per_minute", "60", Integer(0, 1_000_000, "requests a minute"),
        "How many download tokens a principal, or an anonymous address, may ask for. Logins and credentials that fail count for their address. 0 is no limit.";
    REQUEST_LIMIT = "request_limit_per_minute", "600", Integer(0, 1_000_000, "requests a minute"),
        "How many other requests a principal, or an anonymous address, may make: lists of datasets, API keys, administration. Downloads with a credential that is good are not limited. 0 is no limit.";
    TRUSTED_PROXIES = "trusted_proxies", "", List("addresses or blocks, such as 10.0.0.0/8"),
        "The proxies whose word about the client address counts. Nobody else's does: name only machines of yours.";
    ALLOWED_ORIGINS = "allowed_origins", "*",
        List("origins, such as https://maps.example.org, or * alone"),
        "The web pages that may call the API from a browser (CORS). `*` is safe because credentials are bearer tokens and never cookies: a page has only what it was given.";
    REQUEST_TIMEOUT = "request_timeout", "30", Integer(1, 300, "seconds"),
        "How long a request may take, the body of a download excepted.";
    MAX_CONNECTIONS = "max_connections", "1024", Integer(1, 65_535, "connections"),
        "The most connections that are open at once.";
    SHUTDOWN_GRACE = "shutdown_grace", "30", Integer(0, 3600, "seconds"),
        "How long requests in flight may take to finish after SIGTERM.";
    LOG_FORMAT = "log_format", "auto", Text("one of auto, human, json"),
        "How the log is written; auto is human on a terminal and JSON otherwise.";
    LOG_LEVEL = "log_level", "info", Text("one of error, warn, info, debug, trace"),
        "The least important line that is logged.";
}
