mod attributes;
mod ownership;
mod refusals;
mod removals;
mod staged;

use std::fs;

use tempfile::TempDir;

use crate::domain::clock::Clock;
use crate::domain::dataset::{Dataset, DatasetFile, StoredFile, Visibility};
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::domain::secret::Secret;
use crate::files::tiff::test_file::test_tiff;
use crate::service::identity::password::HashCost;
use crate::storage::{Catalog, UserRecord};

use super::*;

const NOW: i64 = 1_800_000_000;

const WHOLE: &str = r#"
[[roles]]
name = "hydrology"
[[users]]
username = "ada"
password = "correct horse"
roles = ["hydrology", "admin"]
[[users]]
username = "bob"
roles = []
disabled = true
[[datasets]]
id = "2489E9AD2EE28E008EC932D5F69181C0"
title = "Jacksboro fault: elevation"
visibility = "restricted"
record_status = "published"
owner = "ada"
file = "dem.tif"
reader_roles = ["hydrology"]
reader_users = ["bob"]
tags = { theme = ["elevation", "relief"], empty = [] }
"#;

fn clock(unix_seconds: i64) -> Clock {
    Clock::fixed_at(unix_seconds * 1000)
}

/// An admin beside those of other files.
const ROOT: &str = "[[users]]\nusername = 'root'\npassword = 'correct horse'\nroles = ['admin']";

/// A catalog file in a folder of its own, beside a database and a file store.
struct CatalogFixture {
    folder: TempDir,
    database: Database,
    store: FileStore,
    passwords: Passwords,
}

impl CatalogFixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(&folder.path().join("store")).unwrap();
        let fixture = Self {
            database: crate::service::tests::empty_database(folder.path()).await,
            store,
            passwords: Passwords::with_cost(HashCost::MIN).unwrap(),
            folder,
        };
        fixture.write("dem.tif", &test_tiff(200));
        fixture
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn read(&self, text: &str) -> CatalogFile {
        self.write("catalog.toml", text.as_bytes());
        CatalogFile::read(&self.folder.path().join("catalog.toml")).unwrap()
    }

    async fn try_apply(&self, text: &str, is_pruning: bool) -> Result<ApplyReport, ApplyError> {
        let options = ApplyOptions {
            is_pruning,
            removal_limits: RemovalLimits {
                is_empty_allowed: is_pruning,
                max_removals: is_pruning.then_some(usize::MAX),
            },
            ..ApplyOptions::new(clock(NOW))
        };
        self.apply_with(&self.read(text), &options).await
    }

    async fn apply_with(
        &self,
        file: &CatalogFile,
        options: &ApplyOptions<'_>,
    ) -> Result<ApplyReport, ApplyError> {
        let (database, store) = (&self.database, &self.store);
        apply(database, store, &self.passwords, file, options).await
    }

    async fn apply(&self, text: &str) -> ApplyReport {
        self.try_apply(text, false).await.unwrap()
    }

    /// Applies a file that has problems; returns them as `line: message`, and rendered.
    async fn apply_invalid(&self, text: &str) -> (Vec<String>, String) {
        let version = self.catalog().await.version;
        let Err(ApplyError::Invalid(problems)) = self.try_apply(text, false).await else {
            panic!("applied: {text}");
        };
        assert_eq!(
            self.catalog().await.version,
            version,
            "something was written"
        );
        let lines = problems.diagnostics().iter().map(|diagnostic| {
            let (line, _) = diagnostic.position().unwrap();
            format!("{line}: {}", diagnostic.message())
        });
        (lines.collect(), problems.render(false))
    }

    async fn catalog(&self) -> Catalog {
        self.database.read_catalog().await.unwrap()
    }

    async fn user(&self, name: &str) -> UserRecord {
        let users = self.catalog().await.users;
        users
            .into_iter()
            .find(|u| u.user.username.as_str() == name)
            .unwrap()
    }

    async fn dataset(&self) -> Dataset {
        self.catalog().await.datasets.pop().unwrap()
    }

    async fn stored_file(&self) -> StoredFile {
        let file = self.dataset().await.file;
        file.as_ref()
            .and_then(DatasetFile::stored)
            .cloned()
            .unwrap()
    }

    async fn opens(&self, name: &str, password: &str) -> bool {
        let hash = self.user(name).await.password_hash;
        let password = Secret::new(password.to_owned());
        self.passwords
            .verify(hash.as_ref(), &password, &[])
            .await
            .unwrap()
            .is_right()
    }
}

fn outcomes(report: &ApplyReport) -> [usize; 4] {
    [
        ItemOutcome::Created,
        ItemOutcome::Changed,
        ItemOutcome::Unchanged,
        ItemOutcome::Removed,
    ]
    .map(|outcome| report.count(outcome))
}

fn fields_of<'a>(report: &'a ApplyReport, name: &str) -> &'a [&'static str] {
    let mut lines = report.lines.iter();
    &lines
        .find(|line| line.name.starts_with(name))
        .unwrap()
        .fields
}

#[tokio::test]
async fn a_whole_catalog_is_created_as_it_is_written() {
    let fixture = CatalogFixture::new().await;
    let report = fixture.apply(WHOLE).await;
    assert_eq!(outcomes(&report), [4, 0, 0, 0], "{report}");
    let (ada, bob) = (fixture.user("ada").await, fixture.user("bob").await);
    assert!(fixture.opens("ada", "correct horse").await);
    assert_eq!(ada.user.roles.len(), 2);
    assert!(bob.user.is_disabled && bob.password_hash.is_none());
    let dataset = fixture.dataset().await;
    assert_eq!(
        dataset.id.to_string(),
        "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"
    );
    assert_eq!(dataset.visibility, Visibility::Restricted);
    assert_eq!(dataset.owner, Some(ada.user.id));
    assert_eq!(dataset.reader_users, [bob.user.id].into());
    assert_eq!(dataset.reader_roles.len(), 1);
    assert_eq!(dataset.tags["theme"].len(), 2);
    let file = dataset.file.as_ref().and_then(DatasetFile::stored).unwrap();
    assert_eq!(
        (file.name.as_str(), file.size, file.modified),
        ("dem.tif", 200, NOW)
    );
    assert!(fixture.store.contains(file).await.unwrap());
}

#[tokio::test]
async fn applying_twice_leaves_everything() {
    let fixture = CatalogFixture::new().await;
    let first = fixture.apply(WHOLE).await;
    let hash = fixture.user("ada").await.password_hash;
    let second = fixture.apply(WHOLE).await;
    assert_eq!(outcomes(&second), [0, 0, 4, 0], "{second}");
    assert_eq!(second.version, first.version);
    assert!(fixture.user("ada").await.password_hash == hash);
}

#[tokio::test]
async fn only_what_differs_changes_and_the_report_names_it() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(ROOT).await;
    fixture.apply(WHOLE).await;
    let ada = fixture.user("ada").await.user.id;
    let other = WHOLE
        .replace("correct horse", "battery staple")
        .replace(r#"["hydrology", "admin"]"#, r#"["hydrology"]"#)
        .replace("restricted", "private")
        .replace("\"relief\"", "\"slope\"");
    let report = fixture.apply(&other).await;
    assert_eq!(outcomes(&report), [0, 2, 2, 0], "{report}");
    assert_eq!(fields_of(&report, "ada"), ["password", "roles"]);
    assert_eq!(fields_of(&report, "2489"), ["visibility", "tags"]);
    assert!(fixture.opens("ada", "battery staple").await);
    assert!(!fixture.opens("ada", "correct horse").await);
    assert_eq!(fixture.user("ada").await.user.id, ada);
}

#[tokio::test]
async fn new_bytes_under_the_same_name_are_a_change_of_file() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(WHOLE).await;
    fixture.write("dem.tif", &test_tiff(300));
    let file = fixture.read(WHOLE);
    let later = NOW + 60;
    let options = ApplyOptions::new(clock(later));
    let report = fixture.apply_with(&file, &options).await;
    assert_eq!(fields_of(&report.unwrap(), "2489"), ["file"]);
    assert_eq!(fixture.stored_file().await.modified, later);
}

#[tokio::test]
async fn the_same_bytes_later_keep_their_time() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(WHOLE).await;
    let file = fixture.read(WHOLE);
    let later = NOW + 60;
    let options = ApplyOptions::new(clock(later));
    let report = fixture.apply_with(&file, &options).await;
    assert_eq!(outcomes(&report.unwrap()), [0, 0, 4, 0]);
    assert_eq!(fixture.stored_file().await.modified, NOW);
}

#[tokio::test]
async fn a_key_left_out_means_empty_but_a_password_stays() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(ROOT).await;
    fixture.apply(WHOLE).await;
    let short = "
        [[users]]\nusername = 'ada'
        [[users]]\nusername = 'bob'
        [[datasets]]\nid = '2489e9ad-2ee2-8e00-8ec9-32d5f69181c0'\ntitle = 'Jacksboro fault: elevation'
        visibility = 'restricted'\nrecord_status = 'published'";
    let report = fixture.apply(short).await;
    assert_eq!(fields_of(&report, "ada"), ["roles"]);
    assert_eq!(fields_of(&report, "bob"), ["disabled"]);
    let emptied = ["owner", "file", "reader_roles", "reader_users", "tags"];
    assert_eq!(fields_of(&report, "2489"), emptied);
    assert_eq!(report.not_named, 2, "the user root and the role hydrology");
    assert!(fixture.opens("ada", "correct horse").await);
}

#[tokio::test]
async fn a_hash_made_elsewhere_is_taken_over() {
    let fixture = CatalogFixture::new().await;
    let password = Secret::new(String::from("correct horse"));
    let hash = fixture.passwords.hash(&password).await.unwrap();
    let text = format!(
        "[[users]]\nusername = 'ada'\npassword_hash = '{}'",
        hash.reveal()
    );
    assert_eq!(outcomes(&fixture.apply(&text).await), [1, 0, 0, 0]);
    assert_eq!(outcomes(&fixture.apply(&text).await), [0, 0, 1, 0]);
    assert!(fixture.opens("ada", "correct horse").await);
}

#[tokio::test]
async fn what_is_not_named_is_left_alone_unless_pruned() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(&WHOLE.replace(r#", "admin"]"#, "]")).await;
    let only_bob = "[[users]]\nusername = 'bob'\ndisabled = true";
    let report = fixture.apply(only_bob).await;
    assert_eq!((outcomes(&report), report.not_named), ([0, 0, 1, 0], 3));
    let report = fixture.try_apply(only_bob, true).await.unwrap();
    assert_eq!(
        (outcomes(&report), report.not_named),
        ([0, 0, 1, 3], 0),
        "{report}"
    );
    let catalog = fixture.catalog().await;
    assert_eq!((catalog.users.len(), catalog.datasets.len()), (1, 0));
    let roles: Vec<_> = catalog.roles.iter().map(RoleName::as_str).collect();
    assert!(roles.iter().all(|role| *role == ADMIN_ROLE), "{roles:?}");
    let admin = "[[users]]\nusername = 'bob'\nroles = ['admin']";
    fixture.try_apply(admin, true).await.unwrap();
    assert_eq!(fixture.user("bob").await.user.roles.len(), 1);
}

#[tokio::test]
async fn a_file_may_refer_to_the_catalog_but_not_to_what_it_prunes() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(WHOLE).await;
    let text = "
        [[datasets]]\nid = '2489e9ad-2ee2-8e00-8ec9-32d5f69181c0'\ntitle = 'DEM'
        visibility = 'private'\nrecord_status = 'draft'\nowner = 'ada'";
    let pruned = fixture.try_apply(text, true).await;
    assert!(pruned.unwrap_err().to_string().contains("no user ada"));
    assert_eq!(fixture.catalog().await.users.len(), 2);
    assert_eq!(outcomes(&fixture.apply(text).await), [0, 1, 0, 0]);
}

#[tokio::test]
async fn files_that_are_applied_at_the_same_time_are_all_applied() {
    let fixture = CatalogFixture::new().await;
    let files = (0..4).map(|n| fixture.read(&format!("[[roles]]\nname = 'role-{n}'")));
    let files: Vec<_> = files.collect();
    let options = ApplyOptions::new(clock(NOW));
    let all = files.iter().map(|file| fixture.apply_with(file, &options));
    for applied in futures_util::future::join_all(all).await {
        applied.unwrap();
    }
    let roles = fixture.catalog().await.roles;
    assert_eq!(roles.len(), 5, "{roles:?}");
}
