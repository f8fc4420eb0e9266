use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

mod every_setting;
mod issuers;
mod secret_files;
mod signing_keys;
mod stores;

/// A working directory of its own and an environment.
struct TestConfig {
    folder: TempDir,
    sources: SettingSources,
}

impl TestConfig {
    fn new(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sources = SettingSources {
            directory: folder.path().to_path_buf(),
            environment: environment.collect(),
        };
        Self { folder, sources }
    }

    fn with_file(environment: &[(&str, &str)], text: &str) -> Self {
        let place = Self::new(environment);
        place.write("cedargate.toml", text);
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn settings(&self) -> Settings {
        Settings::load(&self.sources).unwrap()
    }

    fn failure(&self) -> ConfigError {
        Settings::load(&self.sources).unwrap_err()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn row(settings: &Settings, name: &str) -> EffectiveSetting {
    settings
        .effective()
        .iter()
        .find(|row| row.name == name)
        .unwrap()
        .clone()
}

#[test]
fn everything_has_a_default() {
    let place = TestConfig::new(&[]);
    let settings = place.settings();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.data_dir, place.path("data"));
    let database = format!("sqlite://{}", place.path("data/cedargate.db").display());
    assert_eq!(settings.database_url.reveal(), &database);
    assert_eq!(settings.files_dir, place.path("data/files"));
    assert_eq!(settings.sealing_key_file, place.path("data/sealing.key"));
    assert_eq!(settings.policy_dir, None);
    assert_eq!(settings.issuer, "http://127.0.0.1:8080");
    assert_eq!(settings.audience, "cedargate-downloads");
    assert_eq!(settings.token_lifetime, Duration::from_mins(2));
    assert_eq!(settings.mint_limit_per_minute, NonZeroU32::new(60));
    assert_eq!(settings.trusted_proxies, []);
    assert_eq!(settings.allowed_origins, AllowedOrigins::Any);
    assert_eq!(settings.log_format, LogFormat::Auto);
    assert_eq!(settings.log_level, LogLevel::Info);
    assert!(
        settings
            .effective()
            .iter()
            .all(|row| row.origin == Origin::Default)
    );
}

#[test]
fn every_setting_is_read_and_shown_in_the_order_of_the_list() {
    let settings = TestConfig::new(&[]).settings();
    let shown: Vec<_> = settings.effective().iter().map(|row| row.name).collect();
    let listed: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(shown, listed);
}

#[test]
fn the_file_wins_over_defaults_and_the_environment_over_the_file() {
    let text = "token_lifetime = 60\nsession_lifetime = 600\nlog_level = \"warn\"\n";
    let place = TestConfig::with_file(&[("CEDARGATE_TOKEN_LIFETIME", "30")], text);
    let settings = place.settings();
    assert_eq!(settings.token_lifetime, Duration::from_secs(30));
    assert_eq!(settings.session_lifetime, Duration::from_mins(10));
    assert_eq!(settings.log_level, LogLevel::Warn);
    let variable = Origin::Environment("CEDARGATE_TOKEN_LIFETIME".into());
    assert_eq!(row(&settings, "token_lifetime").origin, variable);
    let file = Origin::File(place.path("cedargate.toml"));
    assert_eq!(row(&settings, "session_lifetime").origin, file);
    assert_eq!(row(&settings, "listen").origin, Origin::Default);
}

#[test]
fn lists_are_arrays_in_the_file_and_no_empty_variable_takes_them_back() {
    let text = "trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\nallowed_origins = []\n";
    let settings = TestConfig::with_file(&[], text).settings();
    assert_eq!(
        row(&settings, "trusted_proxies").value,
        "10.0.0.0/8,::1/128"
    );
    assert_eq!(settings.allowed_origins, AllowedOrigins::Only(Vec::new()));
    let emptied = TestConfig::with_file(&[("CEDARGATE_TRUSTED_PROXIES", "")], text).failure();
    assert!(
        matches!(&emptied, ConfigError::EmptyOverride { setting, .. } if setting == "trusted_proxies"),
        "{emptied}"
    );
    let settings = TestConfig::with_file(&[("CEDARGATE_ALLOWED_ORIGINS", "")], text).settings();
    assert_eq!(settings.allowed_origins, AllowedOrigins::Only(Vec::new()));
    let mapped = "::ffff:10.1.2.3/104,::ffff:192.0.2.1,::/0,2001:db8::1/64,10.1.2.3/8";
    let settings = TestConfig::new(&[("CEDARGATE_TRUSTED_PROXIES", mapped)]).settings();
    assert_eq!(
        row(&settings, "trusted_proxies").value,
        "10.0.0.0/8,192.0.2.1/32,::/0,2001:db8::/64,10.0.0.0/8"
    );
}

#[test]
fn other_settings_follow_the_data_folder_and_the_address() {
    let place = TestConfig::with_file(&[], "data_dir = \"elsewhere\"\nlisten = \"0.0.0.0:80\"\n");
    let settings = place.settings();
    assert_eq!(settings.files_dir, place.path("elsewhere/files"));
    assert_eq!(
        settings.sealing_key_file,
        place.path("elsewhere/sealing.key")
    );
    assert!(
        settings
            .database_url
            .reveal()
            .ends_with("/elsewhere/cedargate.db")
    );
    assert_eq!(settings.issuer, "http://0.0.0.0:80");
}

#[test]
fn the_usual_policy_folder_is_used_if_it_exists_and_another_if_it_is_set() {
    let place = TestConfig::new(&[]);
    assert_eq!(
        row(&place.settings(), "policy_dir").value,
        "the bundle inside the program"
    );
    fs::create_dir(place.path("policies")).unwrap();
    assert_eq!(place.settings().policy_dir, Some(place.path("policies")));
    assert_eq!(row(&place.settings(), "policy_dir").origin, Origin::Default);
    let set = TestConfig::new(&[("CEDARGATE_POLICY_DIR", "./not-yet")]);
    assert_eq!(set.settings().policy_dir, Some(set.path("not-yet")));
}

#[test]
fn a_variable_names_another_file_which_then_has_to_exist() {
    let place = TestConfig::new(&[("CEDARGATE_CONFIG", "other.toml")]);
    let error = place.failure();
    assert!(
        matches!(error, ConfigError::FileUnreadable { .. }),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("CEDARGATE_CONFIG"));
    place.write("cedargate.toml", "token_lifetime = 1\n");
    place.write("other.toml", "token_lifetime = 2\n");
    assert_eq!(place.settings().token_lifetime, Duration::from_secs(2));
}

#[test]
fn an_unknown_key_is_refused_with_the_name_that_was_meant() {
    for (text, hint) in [
        ("token_lifetme = 60", Some("did you mean token_lifetime?")),
        ("data-dir = \"x\"", Some("did you mean data_dir?")),
        ("LISTEN = \"x\"", Some("did you mean listen?")),
        (
            "colour = \"red\"",
            Some("the operators' page lists all settings"),
        ),
        (
            "[server]\nlisten = \"x\"",
            Some("the operators' page lists all settings"),
        ),
    ] {
        let error = TestConfig::with_file(&[], text).failure();
        assert!(
            matches!(error, ConfigError::UnknownKey { .. }),
            "{text}: {error}"
        );
        assert_eq!(error.hint().as_deref(), hint, "{text}");
    }
}

#[test]
fn an_unknown_variable_is_refused_with_the_name_that_was_meant() {
    let error = TestConfig::new(&[("CEDARGATE_MINT_LIMIT_PER_MINUT", "5")]).failure();
    assert_eq!(
        error.to_string(),
        "the environment variable CEDARGATE_MINT_LIMIT_PER_MINUT is not a setting"
    );
    let hint = "did you mean CEDARGATE_MINT_LIMIT_PER_MINUTE?";
    assert_eq!(error.hint().as_deref(), Some(hint));
    let error = TestConfig::new(&[("CEDARGATE_COLOUR", "red")]).failure();
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("names that begin with CEDARGATE_")
    );
}

#[test]
fn variables_of_others_and_those_that_kubernetes_makes_are_left_alone() {
    TestConfig::new(&[
        ("PATH", "/bin"),
        ("LISTEN", "nonsense"),
        ("CEDARGATE_PORT", "tcp://10.0.0.1:8080"),
        ("CEDARGATE_SERVICE_HOST", "10.0.0.1"),
        ("CEDARGATE_SERVICE_PORT", "8080"),
        ("CEDARGATE_SERVICE_PORT_HTTP", "8080"),
        ("CEDARGATE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("CEDARGATE_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ])
    .settings();
    let error = TestConfig::new(&[("CEDARGATE_PORT_NUMBER", "80")]).failure();
    assert!(
        matches!(error, ConfigError::UnknownVariable { .. }),
        "{error}"
    );
}

#[test]
fn a_value_out_of_bounds_names_setting_origin_and_expectation() {
    let error = TestConfig::new(&[("CEDARGATE_TOKEN_LIFETIME", "121")]).failure();
    assert_eq!(
        error.to_string(),
        "the setting token_lifetime (environment variable CEDARGATE_TOKEN_LIFETIME) is \
         unsigned int `121`: expected a whole number of seconds from 1 to 120"
    );
    let place = TestConfig::with_file(&[], "token_lifetime = \"60\"");
    assert_eq!(
        place.failure().to_string(),
        format!(
            "the setting token_lifetime (file {}) is string \"60\": \
             expected a whole number of seconds from 1 to 120",
            place.path("cedargate.toml").display()
        )
    );
}

#[test]
fn a_word_is_taken_in_upper_and_lower_case() {
    for (setting, value, word) in [
        ("forwarded_header", "X-Forwarded-For", "x-forwarded-for"),
        ("forwarded_header", "FORWARDED", "forwarded"),
        ("log_level", "DEBUG", "debug"),
        ("log_format", "Json", "json"),
        ("gate_proofs", "If-Available", "if-available"),
        ("free_disk_floor", "AUTO", "auto"),
    ] {
        let variable = format!("CEDARGATE_{}", setting.to_uppercase());
        let settings = TestConfig::new(&[(variable.as_str(), value)]).settings();
        assert_eq!(row(&settings, setting).value, word);
    }
}

#[test]
fn values_of_a_wrong_form_are_refused() {
    for (variable, value) in [
        ("CEDARGATE_LISTEN", "localhost"),
        ("CEDARGATE_LISTEN", ""),
        ("CEDARGATE_DATA_DIR", " "),
        ("CEDARGATE_DATABASE_URL", "mysql://db/gate"),
        ("CEDARGATE_ISSUER", "https://gate.example.org/"),
        ("CEDARGATE_AUDIENCE", "two words"),
        ("CEDARGATE_AUDIENCE", ""),
        ("CEDARGATE_TOKEN_LIFETIME", "0"),
        ("CEDARGATE_TOKEN_LIFETIME", "-1"),
        ("CEDARGATE_TOKEN_LIFETIME", "1.5"),
        ("CEDARGATE_TOKEN_LIFETIME", "2m"),
        ("CEDARGATE_TOKEN_LIFETIME", "4294967297"),
        ("CEDARGATE_TOKEN_LIFETIME", "99999999999999999999"),
        ("CEDARGATE_MAX_CONNECTIONS", "0"),
        ("CEDARGATE_TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("CEDARGATE_ALLOWED_ORIGINS", "https://a,*"),
        ("CEDARGATE_LOG_FORMAT", "xml"),
        ("CEDARGATE_LOG_LEVEL", "loud"),
        ("CEDARGATE_FORWARDED_HEADER", "x_forwarded_for"),
    ] {
        let error = TestConfig::new(&[(variable, value)]).failure();
        assert!(
            matches!(error, ConfigError::InvalidValue { .. }),
            "{variable}={value}: {error}"
        );
        assert!(error.to_string().contains(variable), "{error}");
    }
    for text in [
        "listen = 8080",
        "token_lifetime = -1",
        "trusted_proxies = \"::1\"",
        "data_dir = true",
    ] {
        let error = TestConfig::with_file(&[], text).failure();
        assert!(
            matches!(error, ConfigError::InvalidValue { .. }),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_password_appears_nowhere_but_where_it_is_revealed() {
    let url = "postgres://ada:hunter2@db/gate";
    let settings = TestConfig::new(&[("CEDARGATE_DATABASE_URL", url)]).settings();
    assert_eq!(settings.database_url.reveal(), url);
    assert_eq!(
        row(&settings, "database_url").value,
        "postgres://ada:[redacted]@db/gate"
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
    for (environment, text) in [
        (
            &[("CEDARGATE_DATABASE_URL", "mysql://ada:hunter2@db/gate")][..],
            "",
        ),
        (&[], "database_url = \"postgres://ada:hunter2@d b/gate\""),
        (&[], "database_url = \"postgres://ada:hunter2@db/gate"),
        (&[], "database_url = [\"postgres://ada:hunter2@db/gate\"]"),
    ] {
        let error = TestConfig::with_file(environment, text).failure();
        assert!(
            !format!("{error} {error:?} {:?}", error.hint()).contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn invalid_toml_is_reported_with_its_line() {
    let place = TestConfig::with_file(&[], "listen = \"127.0.0.1:1\"\n\ntoken_lifetime =\n");
    let error = place.failure().to_string();
    let start = format!("{}, line 3: ", place.path("cedargate.toml").display());
    assert!(error.starts_with(&start), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_in_a_variable_panics(which in 0..SETTINGS.len(), value in "\\PC{0,40}") {
        let variable = SETTINGS[which].variable();
        let place = TestConfig::new(&[(&variable, &value)]);
        if let Err(error) = Settings::load(&place.sources) {
            prop_assert!(error.to_string().contains(&variable));
        }
    }
}

#[test]
fn an_empty_variable_takes_back_no_list_of_the_file() {
    let file = "trusted_proxies = [\"10.0.0.0/8\"]\nallowed_origins = []\n";
    for (variable, value) in [
        ("CEDARGATE_TRUSTED_PROXIES", ""),
        ("CEDARGATE_TRUSTED_PROXIES", " , "),
    ] {
        let failure = TestConfig::with_file(&[(variable, value)], file).failure();
        assert!(failure.to_string().contains(variable), "{failure}");
        assert!(failure.hint().is_some());
    }
    let empty = [("CEDARGATE_ALLOWED_ORIGINS", ""), ("CEDARGATE_ISSUERS", "")];
    TestConfig::with_file(&empty, file).settings();
}
