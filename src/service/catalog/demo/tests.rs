use crate::domain::dataset::DatasetFile;
use crate::service::catalog::ItemOutcome;
use crate::service::identity::password::HashCost;
use crate::service::tests::empty_database;

use super::*;

const NOW: i64 = 1_800_000_000;

struct DemoFixture {
    folder: tempfile::TempDir,
    database: Database,
    store: FileStore,
    passwords: Passwords,
}

impl DemoFixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            database: empty_database(folder.path()).await,
            store: FileStore::open(&folder.path().join("files")).unwrap(),
            passwords: Passwords::with_cost(HashCost::MIN).unwrap(),
            folder,
        }
    }

    async fn start(&self) -> Result<Demo, DemoError> {
        let folder = self.folder.path();
        let clock = Clock::fixed_at(NOW * 1000);
        prepare(&self.database, &self.store, &self.passwords, folder, &clock).await
    }

    async fn apply(&self, text: &str) {
        let file = CatalogFile::parse("test", text, self.folder.path());
        let (database, store) = (&self.database, &self.store);
        let options = ApplyOptions::new(Clock::fixed_at(NOW * 1000));
        apply(database, store, &self.passwords, &file, &options)
            .await
            .unwrap();
    }

    fn passwords_file(&self) -> PathBuf {
        self.folder.path().join(PASSWORDS_FILE)
    }
}

#[tokio::test]
async fn the_demo_has_its_people_and_files_and_their_passwords_open() {
    let fixture = DemoFixture::new().await;
    let demo = fixture.start().await.unwrap();
    let catalog = fixture.database.read_catalog().await.unwrap();
    assert_eq!((demo.users.len(), demo.datasets.len()), (4, 5));
    assert_eq!((catalog.users.len(), catalog.datasets.len()), (4, 5));
    for person in &demo.users {
        let mut users = catalog.users.iter();
        let user = users.find(|u| u.user.username == person.username).unwrap();
        let hash = user.password_hash.as_ref();
        assert!(
            fixture
                .passwords
                .verify(hash, &person.password, &[])
                .await
                .unwrap()
                .is_right()
        );
    }
    for dataset in &catalog.datasets {
        let file = dataset.file.as_ref().and_then(DatasetFile::stored).unwrap();
        assert!(
            fixture.store.contains(file).await.unwrap(),
            "{}",
            dataset.title
        );
        assert!(dataset.owner.is_some());
    }
    let first = &demo.datasets[0];
    assert_eq!(first.id.to_string(), "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0");
    assert_eq!(first.description, "public, published: anyone reads it");
}

#[tokio::test]
async fn a_second_start_returns_the_same_passwords_and_writes_nothing() {
    let fixture = DemoFixture::new().await;
    let first = fixture.start().await.unwrap();
    let change = "[[users]]\nusername = 'otto'\nroles = ['hydrology']";
    fixture.apply(change).await;
    let version = fixture.database.read_catalog().await.unwrap().version;
    let second = fixture.start().await.unwrap();
    let pairs = first.users.iter().zip(&second.users);
    for (first, second) in pairs {
        assert_eq!(first.username, second.username);
        assert!(first.password == second.password);
    }
    let catalog = fixture.database.read_catalog().await.unwrap();
    assert_eq!(catalog.version, version);
    let mut users = catalog.users.iter();
    let otto = users.find(|u| u.user.username.as_str() == "otto").unwrap();
    assert_eq!(otto.user.roles.len(), 1, "an operator's change was undone");
}

#[tokio::test]
async fn passwords_are_kept_for_the_owner_alone_and_differ() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = DemoFixture::new().await;
    let demo = fixture.start().await.unwrap();
    let mode = fs::metadata(fixture.passwords_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut all: Vec<_> = demo.users.iter().map(|p| p.password.reveal()).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 4);
    assert!(
        all.iter().all(|password| password.len() == 19),
        "four groups of four"
    );
}

#[tokio::test]
async fn a_start_that_was_cut_off_goes_on_with_the_kept_passwords() {
    let fixture = DemoFixture::new().await;
    let kept = generate_passwords(&fixture.passwords_file()).unwrap();
    let demo = fixture.start().await.unwrap();
    assert!(demo.users[0].password == kept[0].password);
    let catalog = fixture.database.read_catalog().await.unwrap();
    assert_eq!(catalog.datasets.len(), 5);
}

#[tokio::test]
async fn somebodys_own_catalog_is_never_touched() {
    let fixture = DemoFixture::new().await;
    fixture
        .apply("[[users]]\nusername = 'admin'\nroles = ['admin']")
        .await;
    let refused = fixture.start().await;
    assert!(matches!(refused, Err(DemoError::NotEmpty { .. })));
    let catalog = fixture.database.read_catalog().await.unwrap();
    assert_eq!((catalog.users.len(), catalog.datasets.len()), (1, 0));
    assert!(!fixture.passwords_file().exists());
}

#[tokio::test]
async fn an_altered_passwords_file_is_refused_without_showing_it() {
    let fixture = DemoFixture::new().await;
    fixture.start().await.unwrap();
    fs::write(fixture.passwords_file(), "people = 'hunter2'").unwrap();
    let error = fixture.start().await.unwrap_err();
    assert!(matches!(error, DemoError::PasswordsFileInvalid { .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn the_demos_file_applies_by_hand_and_again_leaves_all_alone() {
    let fixture = DemoFixture::new().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/catalog.toml");
    let file = CatalogFile::read(&path).unwrap();
    let (database, store) = (&fixture.database, &fixture.store);
    let options = ApplyOptions {
        is_pruning: true,
        ..ApplyOptions::new(Clock::fixed_at(NOW * 1000))
    };
    let first = apply(database, store, &fixture.passwords, &file, &options)
        .await
        .unwrap();
    let again = apply(database, store, &fixture.passwords, &file, &options)
        .await
        .unwrap();
    assert_eq!(first.count(ItemOutcome::Created), 10, "{first}");
    assert_eq!(again.count(ItemOutcome::Unchanged), 10, "{again}");
}
