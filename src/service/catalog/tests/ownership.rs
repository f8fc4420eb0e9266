//! Users that others created, renamed or gave a password, and admins that have to remain.

use std::collections::BTreeSet;

use super::*;
use crate::domain::attributes::Attributes;
use crate::domain::audit::{AuditEvent, AuditOutcome};
use crate::domain::caller::Authentication;
use crate::domain::id::UserId;
use crate::domain::principal::{Tags, User};
use crate::storage::CatalogChange;

fn user(name: &str) -> UserRecord {
    UserRecord {
        user: User {
            id: UserId::random(),
            username: name.parse().unwrap(),
            issuer: None,
            roles: BTreeSet::new(),
            claims: Tags::new(),
            attributes: Attributes::new(),
            display_name: None,
            is_disabled: false,
        },
        password_hash: Some(Secret::new(String::from(
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
        ))),
    }
}

impl CatalogFixture {
    /// Changes the catalog as the helpdesk does over HTTP.
    async fn put_by_helpdesk(&self, record: UserRecord) {
        let change = CatalogChange {
            users_put: vec![record],
            ..CatalogChange::default()
        };
        self.write_change(change).await;
    }

    async fn remove_by_helpdesk(&self, name: &str) {
        let change = CatalogChange {
            users_removed: vec![self.user(name).await.user.id],
            ..CatalogChange::default()
        };
        self.write_change(change).await;
    }

    async fn write_change(&self, change: CatalogChange) {
        let version = self.database.catalog_version().await.unwrap();
        self.database.write_catalog(&change, version).await.unwrap();
    }

    async fn adopt(&self, text: &str) -> ApplyReport {
        let options = ApplyOptions {
            is_adopting: true,
            ..ApplyOptions::new(clock(NOW))
        };
        self.apply_with(&self.read(text), &options).await.unwrap()
    }

    /// Applies a file that gives something to users of others; returns what is said about it.
    async fn refusal(&self, text: &str) -> String {
        let before = self.catalog().await;
        let applied = self.try_apply(text, false).await;
        let Err(ApplyError::NeedsAdoption(refused)) = applied else {
            panic!("{applied:?}");
        };
        assert_eq!(self.catalog().await, before);
        refused.render(false)
    }
}

const NEW_ADMIN: &str = "[[users]]\nusername = 'newadmin'\nroles = ['admin']";

#[tokio::test]
async fn a_user_of_the_helpdesk_gets_no_role_by_its_name() {
    let fixture = CatalogFixture::new().await;
    fixture.put_by_helpdesk(user("newadmin")).await;
    let refused = fixture.refusal(NEW_ADMIN).await;
    assert!(
        refused.contains("newadmin would be given the role admin"),
        "{refused}"
    );
    assert!(refused.contains("catalog.toml:2:"), "{refused}");
    for gift in ["password = 'correct horse'", "roles = ['hydrology']"] {
        let text = format!("[[roles]]\nname='hydrology'\n[[users]]\nusername = 'newadmin'\n{gift}");
        fixture.refusal(&text).await;
    }
}

#[tokio::test]
async fn a_user_that_was_adopted_is_the_files_own_from_then_on() {
    let fixture = CatalogFixture::new().await;
    fixture.put_by_helpdesk(user("newadmin")).await;
    let report = fixture.adopt("[[users]]\nusername = 'newadmin'").await;
    assert!(
        report.render(true).contains("newadmin  (adopted)"),
        "{report}"
    );
    fixture.apply(NEW_ADMIN).await;
    assert_eq!(fixture.user("newadmin").await.user.roles.len(), 1);
}

#[tokio::test]
async fn a_name_is_not_a_user() {
    let fixture = CatalogFixture::new().await;
    let base = "[[users]]\nusername = 'ada'\n[[users]]\nusername = 'carl'\n";
    let gift = format!("{base}roles = ['admin']");
    fixture.apply(base).await;
    let carl = fixture.user("carl").await;
    let renamed = |name: &str| UserRecord {
        user: User {
            username: name.parse().unwrap(),
            ..carl.user.clone()
        },
        ..carl.clone()
    };
    // The file's own user, under another name and back again.
    fixture.put_by_helpdesk(renamed("away")).await;
    fixture.put_by_helpdesk(renamed("carl")).await;
    fixture.refusal(&gift).await;
    // The file's user renamed away, and another in its place.
    fixture.adopt(base).await;
    fixture.put_by_helpdesk(renamed("away")).await;
    fixture.put_by_helpdesk(user("carl")).await;
    fixture.refusal(&gift).await;
    fixture.remove_by_helpdesk("carl").await;
    // Another of the file's users under the name.
    let ada = fixture.user("ada").await;
    let mut disguised = ada.clone();
    disguised.user.username = "carl".parse().unwrap();
    fixture.put_by_helpdesk(disguised).await;
    fixture.refusal(&gift).await;
    // Removed and created again.
    fixture.adopt("[[users]]\nusername = 'carl'").await;
    fixture.remove_by_helpdesk("carl").await;
    fixture.put_by_helpdesk(user("carl")).await;
    fixture.refusal(&gift).await;
}

#[tokio::test]
async fn a_password_of_the_helpdesk_makes_a_user_its_own() {
    let fixture = CatalogFixture::new().await;
    fixture
        .apply("[[users]]\nusername = 'newadmin'\npassword = 'correct horse'")
        .await;
    let mut record = fixture.user("newadmin").await;
    record.password_hash = user("other").password_hash;
    fixture.put_by_helpdesk(record).await;
    fixture.refusal(NEW_ADMIN).await;
}

#[tokio::test]
async fn datasets_are_given_to_the_operators_users_alone() {
    let fixture = CatalogFixture::new().await;
    fixture.put_by_helpdesk(user("bob")).await;
    let dataset = "[[datasets]]\nid = '2489e9ad-2ee2-8e00-8ec9-32d5f69181c0'\ntitle = 'DEM'
        visibility = 'private'\nrecord_status = 'draft'\n";
    let owned = format!("{dataset}owner = 'bob'");
    let shared = format!("{dataset}reader_users = ['bob']");
    for (text, what) in [(&owned, "1 dataset to own"), (&shared, "1 dataset to read")] {
        let refused = fixture.refusal(text).await;
        assert!(refused.contains(what), "{refused}");
    }
    fixture.adopt(&owned).await;
    fixture.apply(&shared).await;
    assert_eq!(fixture.dataset().await.reader_users.len(), 1);
}

#[tokio::test]
async fn what_takes_away_or_changes_nothing_needs_no_adoption() {
    let fixture = CatalogFixture::new().await;
    fixture.apply("[[roles]]\nname = 'hydrology'").await;
    let mut bob = user("bob");
    bob.user.roles = ["hydrology".parse().unwrap()].into();
    fixture.put_by_helpdesk(bob).await;
    let same = fixture
        .apply("[[users]]\nusername = 'bob'\nroles = ['hydrology']")
        .await;
    assert_eq!(outcomes(&same), [0, 0, 1, 0]);
    fixture
        .refusal("[[users]]\nusername = 'bob'\nroles = ['hydrology', 'admin']")
        .await;
    let less = fixture
        .apply("[[users]]\nusername = 'bob'\ndisabled = true")
        .await;
    assert_eq!(fields_of(&less, "bob"), ["roles", "disabled"]);
    fixture.refusal("[[users]]\nusername = 'bob'").await;
}

#[tokio::test]
async fn a_user_of_an_identity_provider_is_never_taken_over() {
    let fixture = CatalogFixture::new().await;
    let mut provided = user("newadmin");
    provided.password_hash = None;
    provided.user.issuer = Some(String::from("https://issuer.example"));
    fixture.put_by_helpdesk(provided).await;
    let options = ApplyOptions {
        is_adopting: true,
        ..ApplyOptions::new(clock(NOW))
    };
    let applied = fixture.apply_with(&fixture.read(NEW_ADMIN), &options).await;
    let refused = applied.unwrap_err().to_string();
    assert!(refused.contains("line 2"), "{refused}");
    assert!(refused.contains("https://issuer.example"), "{refused}");
}

#[tokio::test]
async fn an_admin_who_can_sign_in_remains() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(ROOT).await;
    let before = fixture.catalog().await;
    for (text, is_pruning) in [
        ("[[users]]\nusername = 'root'", false),
        (
            "[[users]]\nusername = 'root'\nroles = ['admin']\ndisabled = true",
            false,
        ),
    ] {
        let applied = fixture.try_apply(text, is_pruning).await;
        assert!(
            matches!(applied, Err(ApplyError::NoAdminLeft)),
            "{applied:?}"
        );
        assert_eq!(fixture.catalog().await, before);
    }
    let other = ROOT.replace("root", "other");
    fixture.try_apply(&other, true).await.unwrap();
}

#[tokio::test]
async fn an_apply_is_one_audit_record_and_none_if_nothing_changed() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(WHOLE).await;
    fixture.apply(WHOLE).await;
    let no_admin = "[[users]]\nusername = 'ada'";
    fixture.try_apply(no_admin, true).await.unwrap_err();
    let records = fixture.database.list_audit_records(None, 10).await.unwrap();
    let [record] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(
        (record.event, record.outcome, record.authentication),
        (
            AuditEvent::Administer,
            AuditOutcome::Granted,
            Authentication::CommandLine
        )
    );
    let reason = record.reason.as_deref().unwrap();
    assert!(
        reason.ends_with(
            "catalog.toml: created 2 users: ada, bob; created 1 role: hydrology; created 1 dataset"
        ),
        "{reason}"
    );
}
