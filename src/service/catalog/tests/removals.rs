//! Files that would remove most of what there is, dry runs, and the last admin.

use super::*;

const TEAM: &str = "
[[roles]]
name = 'hydrology'
[[users]]
username = 'root'
password = 'correct horse'
roles = ['admin']
[[users]]
username = 'ada'
roles = ['hydrology']
[[users]]
username = 'bob'
";
/// The start of a dataset; its id follows.
const DATASET: &str = "visibility = 'public'\nrecord_status = 'published'\ntitle = 'D'\nid = ";

fn datasets(count: usize) -> String {
    let items = (0..count).map(|n| {
        format!("[[datasets]]\n{DATASET}'2489e9ad-2ee2-8e00-8ec9-{n:012x}'\nfile = 'dem.tif'\n")
    });
    items.collect()
}

fn limits(is_empty_allowed: bool, max_removals: Option<usize>) -> RemovalLimits {
    RemovalLimits {
        is_empty_allowed,
        max_removals,
    }
}

impl CatalogFixture {
    async fn prune(&self, text: &str, limits: RemovalLimits) -> Result<ApplyReport, ApplyError> {
        let options = ApplyOptions {
            is_pruning: true,
            removal_limits: limits,
            ..ApplyOptions::new(clock(NOW))
        };
        self.apply_with(&self.read(text), &options).await
    }

    /// The flags that a pruning file needs; the catalog is as before.
    async fn refused_flags(&self, text: &str, limits: RemovalLimits) -> String {
        let before = self.catalog().await;
        let refused = self.prune(text, limits).await;
        assert_eq!(self.catalog().await, before, "{text}");
        match refused {
            Err(ApplyError::TooManyRemovals(refusal)) => refusal.flags,
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_that_names_nothing_removes_nothing_without_allow_empty() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(&format!("{TEAM}{}", datasets(5))).await;
    for text in [
        "",
        " \n\t\n",
        "# only a comment",
        "users = []\nroles = []\ndatasets = []",
        "\u{feff}",
        "\r\n\r\n",
    ] {
        let flags = fixture.refused_flags(text, RemovalLimits::default()).await;
        assert_eq!(flags, "--allow-empty", "{text:?}");
        let flags = fixture.refused_flags(text, limits(false, Some(100))).await;
        assert_eq!(flags, "--allow-empty", "{text:?}");
    }
    let unpruned = fixture.try_apply("", false).await.unwrap();
    assert_eq!(unpruned.count(ItemOutcome::Removed), 0);
}

#[tokio::test]
async fn a_file_that_names_none_of_one_kind_needs_allow_empty_however_full_it_is() {
    let whole = format!("{TEAM}{}", datasets(30));
    let without_users = format!("[[roles]]\nname = 'hydrology'\n{}", datasets(30));
    let without_roles = whole.replace("[[roles]]\nname = 'hydrology'", "");
    let without_roles = without_roles.replace("'hydrology'", "");
    for text in [&without_users, &without_roles, TEAM] {
        let fixture = CatalogFixture::new().await;
        fixture.apply(&whole).await;
        let flags = fixture.refused_flags(text, RemovalLimits::default()).await;
        assert_eq!(flags, "--allow-empty", "{text}");
        fixture.prune(text, limits(true, None)).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_cut_off_removes_most_only_with_a_number() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(&format!("{TEAM}{}", datasets(9))).await;
    let cut = format!("{TEAM}{}", datasets(4));
    let flags = fixture.refused_flags(&cut, RemovalLimits::default()).await;
    assert_eq!(flags, "--allow-removing 5");
    for limits in [
        limits(true, None),
        limits(true, Some(4)),
        limits(false, Some(0)),
    ] {
        assert_eq!(
            fixture.refused_flags(&cut, limits).await,
            "--allow-removing 5"
        );
    }
    let report = fixture.prune(&cut, limits(false, Some(5))).await.unwrap();
    assert_eq!(report.count(ItemOutcome::Removed), 5);
    let half = format!("{TEAM}{}", datasets(2));
    let report = fixture.prune(&half, RemovalLimits::default()).await;
    assert_eq!(report.unwrap().count(ItemOutcome::Removed), 2);
}

#[tokio::test]
async fn lists_that_are_emptied_count_too_without_pruning() {
    let fixture = CatalogFixture::new().await;
    let whole = format!("{TEAM}{}", datasets(12));
    let parts = "owner = 'ada'\ntags = { embargo = ['yes'] }\nfile";
    let owned = whole.replace("file", &format!("reader_users = ['ada']\n{parts}"));
    let whole = whole.replace("file", parts);
    fixture.apply(&owned).await;
    let options = ApplyOptions::new(clock(NOW));
    for (text, kind) in [
        (whole.clone(), RemovalKind::Shares),
        (
            whole.replace("file = 'dem.tif'", "reader_users = ['ada']"),
            RemovalKind::Files,
        ),
        (owned.replace("owner = 'ada'\n", ""), RemovalKind::Owners),
        (owned.replace("embargo", "theme"), RemovalKind::Tags),
    ] {
        let refused = fixture.apply_with(&fixture.read(&text), &options).await;
        let Err(ApplyError::TooManyRemovals(refusal)) = refused else {
            panic!("{refused:?}");
        };
        let [count] = refusal.kinds.as_slice() else {
            panic!("{refusal:?}");
        };
        assert_eq!((count.kind, count.removed, count.before), (kind, 12, 12));
    }
}

#[tokio::test]
async fn a_dry_run_reports_what_would_change_and_changes_nothing() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(TEAM).await;
    fixture.write("other.tif", &test_tiff(300));
    let before = fixture.catalog().await;
    let text = TEAM.replace("'hydrology'", "'geology'") + &datasets(1).replace("dem", "other");
    let options = ApplyOptions {
        is_pruning: true,
        is_dry_run: true,
        ..ApplyOptions::new(clock(NOW))
    };
    let file = fixture.read(&text);
    let report = fixture.apply_with(&file, &options).await.unwrap();
    assert!(report.is_dry_run);
    insta::assert_snapshot!(report.render(false), @r"
    created    role     geology
    created    dataset  2489e9ad-2ee2-8e00-8ec9-000000000000 D
    changed    user     ada  (roles)
    removed    role     hydrology
    roles     1 created, 1 removed
    users     1 changed, 2 unchanged
    datasets  1 created
    2 created, 1 changed, 2 unchanged, 1 removed; dry run, nothing was changed; catalog version 1
    ");
    assert_eq!(report.refused.unwrap().flags, "--allow-removing 1");
    assert_eq!(fixture.catalog().await, before);
    let stored = walk(&fixture.folder.path().join("store"));
    assert_eq!(stored, 0, "a file was stored");
    let records = fixture.database.list_audit_records(None, 10).await.unwrap();
    assert_eq!(records.len(), 1);
    let state = fixture.database.apply_state().await.unwrap();
    assert!(!state.is_leased());
}

fn walk(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let count = |path: std::path::PathBuf| if path.is_dir() { walk(&path) } else { 1 };
    entries.map(count).sum()
}

#[tokio::test]
async fn the_last_admin_stays_whatever_the_flags() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(TEAM).await;
    let all = limits(true, Some(usize::MAX));
    let report = fixture.prune("", all).await.unwrap();
    assert!(report.render(false).contains("root"), "{report}");
    assert_eq!(fixture.user("root").await.user.roles.len(), 1);
    assert!(fixture.opens("root", "correct horse").await);
    assert_eq!(fixture.catalog().await.users.len(), 1);
    let again = fixture.prune("", all).await.unwrap();
    assert_eq!(again.count(ItemOutcome::Removed), 0);
    fixture
        .prune("[[users]]\nusername = 'eve'", all)
        .await
        .unwrap();
    assert_eq!(fixture.catalog().await.users.len(), 2);
    let eve = ROOT.replace("root", "eve");
    fixture.prune(&eve, all).await.unwrap();
    assert_eq!(fixture.catalog().await.users.len(), 1);
}

#[tokio::test]
async fn the_last_admin_without_a_password_stays_too() {
    let fixture = CatalogFixture::new().await;
    let team = TEAM.replace("password = 'correct horse'", "");
    fixture.apply(&team).await;
    let all = limits(true, Some(usize::MAX));
    fixture.prune("", all).await.unwrap();
    assert_eq!(fixture.user("root").await.user.roles.len(), 1);
    for text in [
        "[[users]]\nusername = 'root'",
        "[[users]]\nusername = 'root'\nroles = ['admin']\ndisabled = true",
    ] {
        for is_pruning in [false, true] {
            let applied = fixture.try_apply(text, is_pruning).await;
            assert!(
                matches!(applied, Err(ApplyError::NoAdminLeft)),
                "{applied:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_record_names_what_was_removed_and_the_flags() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(&format!("{TEAM}{}", datasets(2))).await;
    let text = TEAM.replace("[[users]]\nusername = 'bob'", "");
    fixture.prune(&text, limits(true, Some(3))).await.unwrap();
    let records = fixture.database.list_audit_records(None, 10).await.unwrap();
    let reasons = records.iter().filter_map(|record| record.reason.as_deref());
    let mut pruned = reasons.filter(|reason| reason.contains("pruning"));
    let reason = pruned.next().unwrap();
    let (_, reason) = reason.split_once("catalog.toml, ").unwrap();
    insta::assert_snapshot!(reason, @"pruning, allowing empty, allowing 3 removals: removed 1 user: bob; removed 2 datasets: 2489e9ad-2ee2-8e00-8ec9-000000000000, 2489e9ad-2ee2-8e00-8ec9-000000000001");
}
