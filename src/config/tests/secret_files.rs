use super::*;

const URL: &str = "postgres://ada@db/gate";

fn secret_settings() -> Vec<&'static Setting> {
    let all = SETTINGS.iter();
    all.filter(|setting| setting.file_name().is_some())
        .collect()
}

#[test]
fn every_setting_that_may_hold_a_secret_has_a_file_form_in_both_places() {
    let secrets: Vec<_> = secret_settings().iter().map(|it| it.name).collect();
    assert_eq!(secrets, ["database_url", "database_password"]);
    for setting in secret_settings() {
        let (key, variable) = (
            setting.file_name().unwrap(),
            setting.file_variable().unwrap(),
        );
        assert!(!SETTINGS.iter().any(|other| other.name == key));
        let value = match setting.name {
            "database_url" => "postgres://ada:hunter2@db/gate",
            _ => "hunter2",
        };
        let url = match setting.name {
            "database_url" => vec![],
            _ => vec![("CEDARGATE_DATABASE_URL", URL)],
        };
        let named = |named: &str| format!("{key} = \"{named}\"\n");
        let by_variable = TestConfig::new(&[&url[..], &[(&*variable, "secret.txt")]].concat());
        let by_key = TestConfig::with_file(&url, &named("secret.txt"));
        for place in [by_variable, by_key] {
            place.write("secret.txt", &format!("{value}\n"));
            let settings = place.settings();
            let row = row(&settings, setting.name);
            assert_eq!(row.origin, Origin::SecretFile(place.path("secret.txt")));
            assert!(row.value.contains("[redacted]"), "{}", row.value);
            assert!(settings.database_url.reveal().contains("hunter2"));
            assert!(!format!("{settings:?}").contains("hunter2"));
        }
        assert!(markdown_reference().contains(&variable));
    }
}

#[test]
fn a_password_is_taken_as_it_is_whatever_its_characters() {
    for (bytes, password) in [
        (&b"hunter2"[..], "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b"\xef\xbb\xbfhunter2\r\n", "hunter2"),
        (b" a b \n", " a b "),
        (b"p@ss/w?rd#1%41+&=:;\\\"'\n", "p@ss/w?rd#1%41+&=:;\\\"'"),
        ("gr\u{fc}n \u{2603}\n".as_bytes(), "gr\u{fc}n \u{2603}"),
    ] {
        let variables = [
            (
                "CEDARGATE_DATABASE_URL",
                "postgres://ada@db/gate?sslmode=disable",
            ),
            ("CEDARGATE_DATABASE_PASSWORD_FILE", "password"),
        ];
        let place = TestConfig::new(&variables);
        fs::write(place.path("password"), bytes).unwrap();
        let settings = place.settings();
        let url = url::Url::parse(settings.database_url.reveal()).unwrap();
        let given = url
            .query_pairs()
            .find(|(key, _)| key == "password")
            .unwrap();
        assert_eq!(given.1, password);
        assert_eq!(row(&settings, "database_password").value, "[redacted]");
        assert_eq!(row(&settings, "database_url").value, variables[0].1);
    }
}

#[test]
fn a_file_that_is_no_secret_is_an_error_that_names_it_and_shows_nothing_of_it() {
    let too_large = "hunter2".repeat(10_000);
    for (text, problem) in [
        (&b""[..], "it is empty"),
        (b"\n", "it is empty"),
        (b" \r\n", "it is empty"),
        (b"\xef\xbb\xbf\n", "it is empty"),
        (b"hunter2\nhunter2\n", "more than one line"),
        (b"hunter2\n\n", "more than one line"),
        (b"hunter2\0", "NUL"),
        (b"hunter2\xff", "not UTF-8"),
        (b"\xff\xfeh\0u\0", "UTF-16 (little-endian), not UTF-8"),
        (b"\0\0\xfe\xff\0\0\0h", "UTF-32 (big-endian), not UTF-8"),
        (too_large.as_bytes(), "more than 65536 bytes"),
    ] {
        let variable = "CEDARGATE_DATABASE_PASSWORD_FILE";
        let place = TestConfig::new(&[("CEDARGATE_DATABASE_URL", URL), (variable, "password")]);
        fs::write(place.path("password"), text).unwrap();
        let error = place.failure();
        let shown = format!("{error} {error:?} {:?}", error.hint());
        assert!(!shown.contains("hunter2"), "{shown}");
        let path = place.path("password").display().to_string();
        for part in ["the setting database_password", problem, &path, variable] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
    for (path, problem) in [
        ("missing", "no such file"),
        (".", "regular file"),
        ("", "_FILE) is empty: expected the path of a file"),
    ] {
        let place = TestConfig::new(&[("CEDARGATE_DATABASE_URL_FILE", path)]);
        let error = place.failure().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn one_place_gives_a_secret_in_one_form_and_the_environment_wins_over_the_file() {
    let both = [
        ("CEDARGATE_DATABASE_URL", URL),
        ("CEDARGATE_DATABASE_URL_FILE", "url"),
    ];
    let in_file = format!("database_url = \"{URL}\"\ndatabase_url_file = \"url\"\n");
    for place in [TestConfig::new(&both), TestConfig::with_file(&[], &in_file)] {
        place.write("url", "postgres://bea@db/gate");
        let error = place.failure();
        assert!(matches!(error, ConfigError::BothForms { .. }), "{error}");
        assert!(error.hint().is_some());
    }
    let by_value = TestConfig::with_file(&both[..1], "database_url_file = \"url\"\n");
    by_value.write("url", "postgres://bea@db/gate");
    assert_eq!(by_value.settings().database_url.reveal(), URL);
    let by_file = TestConfig::with_file(&both[1..], &format!("database_url = \"{URL}\"\n"));
    by_file.write("url", "postgres://bea@db/gate");
    let settings = by_file.settings();
    assert_eq!(settings.database_url.reveal(), "postgres://bea@db/gate");
}

#[test]
fn a_password_that_could_not_be_used_is_an_error() {
    for url in [
        "sqlite://gate.db",
        "postgres://ada:hunter2@db/gate",
        "postgres://ada@db/gate?password=hunter2",
    ] {
        let variables = [
            ("CEDARGATE_DATABASE_URL", url),
            ("CEDARGATE_DATABASE_PASSWORD", "hunter2"),
        ];
        let error = TestConfig::new(&variables).failure();
        assert!(
            matches!(error, ConfigError::UnusablePassword { .. }),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let blank = [
        ("CEDARGATE_DATABASE_URL", URL),
        ("CEDARGATE_DATABASE_PASSWORD", ""),
    ];
    assert!(TestConfig::new(&blank).failure().to_string().ends_with(
        "(environment variable CEDARGATE_DATABASE_PASSWORD) is empty: expected a password"
    ));
}

#[test]
fn a_misspelt_file_form_is_an_error_with_the_right_name() {
    let error = TestConfig::new(&[("CEDARGATE_DATABASE_PASWORD_FILE", "x")]).failure();
    assert_eq!(
        error.hint().unwrap(),
        "did you mean CEDARGATE_DATABASE_PASSWORD_FILE?"
    );
    let error = TestConfig::with_file(&[], "database-url-file = \"x\"\n").failure();
    assert_eq!(error.hint().unwrap(), "did you mean database_url_file?");
    let error = TestConfig::with_file(&[], "database_url_file = 5\n").failure();
    assert!(matches!(error, ConfigError::InvalidValue { .. }), "{error}");
    let error = TestConfig::new(&[("CEDARGATE_AUDIENCE_FILE", "x")]).failure();
    assert!(
        matches!(error, ConfigError::UnknownVariable { .. }),
        "{error}"
    );
}
