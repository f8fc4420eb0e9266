//! Invalid catalog files, and how their errors are reported.

use super::*;
use crate::service::catalog::file::MAX_CATALOG_FILE_SIZE;

const FULL_OF_MISTAKES: &str = r#"[[roles]]
name = "hydro logy"
[[roles]]
name = "geology"
[[roles]]
name = "Geology"
[[users]]
username = "ada"
password = "short"
roles = ["geolgy"]
[[users]]
username = "Ada"
[[users]]
username = "bob"
password = "correct horse"
password_hash = "$argon2id$"
disabled = "no"
[[users]]
username = "eve"
password_hash = "hunter2"
[[users]]
user_name = "joe"
[[datasets]]
id = "{2489e9ad-2ee2-8e00-8ec9-32d5f69181c0}"
title = ""
visibility = "public"
record_status = "publishd"
[[datasets]]
id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"
title = "one"
visibility = "public"
record_status = "draft"
owner = "adda"
file = "missing.tif"
reader_users = ["nobody"]
reader_roles = "geology"
[[datasets]]
id = "2489e9ad2ee28e008ec932d5f69181c0"
title = "two"
visibility = "public"
record_status = "draft"
file = "text.tif"
tags = { theme = "relief" }
colour = 1
[[datasets]]
id = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981"
title = "three"
visibility = "public"
record_status = "draft"
file = "text.tif"
[[datasets]]
id = "c05d7e1b-34f6-4b09-a2c8-7e91d46f0b32"
title = "four"
visibility = "public"
record_status = "draft"
file = "."
[[datasets]]
id = "91e4c6d8-7a20-4f5b-8d3e-1b60f9a2c574"
title = "five"
visibility = "public"
record_status = "draft"
file = "empty.tif"
[[datasets]]
id = "0d3c6d38-52b9-4f4e-8a39-51b8a2f0f6ce"
title = "six"
visibility = "public"
record_status = "draft"
file = "truncated.tif"
[[dataset]]
"#;

/// The line of each mistake, and a part of what is said about it.
const MISTAKES: [(usize, &str); 25] = [
    (2, "\"hydro logy\" is not a name"),
    (6, "the role geology is in this file twice"),
    (9, "at least 8 characters"),
    (10, "there is no role geolgy"),
    (12, "the user ada is in this file twice"),
    (16, "either a password or a password_hash, not both"),
    (17, "disabled must be true or false, found string"),
    (20, "not a usable password hash"),
    (21, "this user has no username"),
    (22, "a user has no key \"user_name\""),
    (24, "not a UUID"),
    (25, "a title has 1 to 200 characters"),
    (27, "unknown record status \"publishd\""),
    (33, "there is no user adda"),
    (34, "there is no file"),
    (35, "there is no user nobody"),
    (36, "reader_roles must be a list of strings"),
    (
        38,
        "the dataset 2489e9ad-2ee2-8e00-8ec9-32d5f69181c0 is in this file twice",
    ),
    (43, "a tag must be a list of strings"),
    (44, "a dataset has no key \"colour\""),
    (50, "text.tif is not a TIFF"),
    (56, "is not a regular file"),
    (62, "empty.tif is empty"),
    (68, "truncated.tif is not a TIFF"),
    (69, "a catalog file has no key \"dataset\""),
];

#[tokio::test]
async fn a_wrong_visibility_names_its_line_and_the_right_word() {
    let fixture = CatalogFixture::new().await;
    let (messages, rendered) = fixture
        .apply_invalid(&WHOLE.replace("restricted", "restrictd"))
        .await;
    let line = 1 + WHOLE
        .lines()
        .position(|l| l.contains("restricted"))
        .unwrap();
    let words = "expected one of public, internal, restricted, private";
    let expected = format!(r#"{line}: unknown visibility "restrictd": {words}"#);
    assert_eq!(messages, [expected]);
    assert!(
        rendered.contains(&format!("catalog.toml:{line}:")),
        "{rendered}"
    );
    assert!(
        rendered.contains(r#"did you mean "restricted"?"#),
        "{rendered}"
    );
    assert!(fixture.catalog().await.users.is_empty());
}

#[tokio::test]
async fn every_problem_is_reported_at_once_each_with_its_line() {
    let fixture = CatalogFixture::new().await;
    fixture.write("text.tif", b"hello, world");
    fixture.write("empty.tif", b"");
    fixture.write("truncated.tif", b"II*\0\x08\0");
    let (messages, rendered) = fixture.apply_invalid(FULL_OF_MISTAKES).await;
    assert_eq!(messages.len(), MISTAKES.len(), "{messages:#?}");
    for (reported, (line, message)) in messages.iter().zip(MISTAKES) {
        assert!(
            reported.starts_with(&format!("{line}: ")),
            "{reported} is not on line {line}"
        );
        assert!(
            reported.contains(message),
            "{reported} does not say {message}"
        );
    }
    for help in [
        r#""geology"?"#,
        r#""ada"?"#,
        r#""username"?"#,
        r#""datasets"?"#,
    ] {
        assert!(
            rendered.contains(&format!("did you mean {help}")),
            "{help}: {rendered}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_not_all_there_is_refused_at_its_line() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(WHOLE).await;
    let before = fixture.dataset().await.file;
    for length in [100, 150, 199] {
        fixture.write("dem.tif", &test_tiff(200)[..length]);
        let (messages, _) = fixture.apply_invalid(WHOLE).await;
        let [message] = messages.as_slice() else {
            panic!("{messages:?}");
        };
        assert!(
            message.contains("dem.tif is an incomplete TIFF"),
            "{message}"
        );
        assert_eq!(fixture.dataset().await.file, before);
    }
}

#[tokio::test]
async fn no_diagnostic_shows_a_password() {
    let fixture = CatalogFixture::new().await;
    for (from, to) in [
        (
            "roles = [\"hydrology\", \"admin\"]",
            "roles = [\"hydrolgy\"]",
        ),
        (
            "password = \"correct horse\"",
            "pasword = \"correct horse\"",
        ),
        (
            "password = \"correct horse\"",
            "password = [\"correct horse\"]",
        ),
        ("password = \"correct horse\"", "password = \"correct horse"),
        (
            "password = \"correct horse\"",
            "password_hash = \"correct horse\"",
        ),
        ("roles = []", "roles = ["),
    ] {
        let (messages, rendered) = fixture.apply_invalid(&WHOLE.replacen(from, to, 1)).await;
        let all = format!("{messages:?} {rendered}");
        assert!(!all.contains("horse"), "{all}");
    }
}

#[tokio::test]
async fn a_slip_of_syntax_names_its_line() {
    let fixture = CatalogFixture::new().await;
    let (messages, _) = fixture
        .apply_invalid("[[roles]]\nname = \"a\"\n[[users]\n")
        .await;
    assert!(messages[0].starts_with("3: "), "{messages:?}");
}

#[tokio::test]
async fn bounds_hold() {
    let fixture = CatalogFixture::new().await;
    let tags: Vec<_> = (0..65).map(|n| format!("t{n} = []")).collect();
    let values: Vec<_> = (0..65).map(|n| format!("'{n}'")).collect();
    let base = "[[datasets]]\nid = '2489e9ad-2ee2-8e00-8ec9-32d5f69181c0'
        visibility = 'public'\nrecord_status = 'draft'";
    for (rest, message) in [
        (format!("title = '{}'", "t".repeat(201)), "a title has"),
        (String::from("title = \"two\\nlines\""), "a title has"),
        (
            format!("title='t'\ntags = {{ {} }}", tags.join(",")),
            "64 tags",
        ),
        (
            format!("title='t'\ntags = {{ a = [{}] }}", values.join(",")),
            "64 values",
        ),
        (
            format!("title='t'\ntags = {{ a = ['{}'] }}", "v".repeat(257)),
            "256",
        ),
        (
            String::from("title='t'\ntags = { a = [\"\\u0000\"] }"),
            "printable",
        ),
    ] {
        let (messages, _) = fixture.apply_invalid(&format!("{base}\n{rest}")).await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(messages[0].contains(message), "{messages:?}");
    }
    let path = fixture.folder.path().join("huge.toml");
    let huge = fs::File::create(&path).unwrap();
    huge.set_len(MAX_CATALOG_FILE_SIZE + 1).unwrap();
    let read = CatalogFile::read(&path);
    assert!(matches!(read, Err(CatalogFileError::TooLarge { .. })));
}

#[tokio::test]
async fn files_that_cannot_be_read_at_all_say_so() {
    let fixture = CatalogFixture::new().await;
    let missing = CatalogFile::read(&fixture.folder.path().join("none.toml"));
    assert!(matches!(missing, Err(CatalogFileError::Unreadable { .. })));
    fixture.write("latin.toml", b"# \xe9");
    let latin = CatalogFile::read(&fixture.folder.path().join("latin.toml"));
    assert!(matches!(latin, Err(CatalogFileError::NotText { .. })));
}
