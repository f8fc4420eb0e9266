//! Random policy folders, and the product on them.

use cedargate::app::{App, Stores};
use cedargate::config::{SettingSources, Settings};
use cedargate::domain::clock::Clock;
use cedargate::service::identity::password::{HashCost, Passwords};
use cedargate::storage::Database;
use tempfile::TempDir;

use crate::support::cli::repository;

pub(super) const ROLES: [&str; 5] = ["helpdesk", "auditors", "role-admins", "suspended", "plain"];

const ADMIN: &str =
    r#"@id("admin") @reason("x") permit (principal in Role::"admin", action, resource);"#;

/// The policies of a world are some of these.
const POLICIES: [&str; 14] = [
    r#"permit (principal in Role::"helpdesk", action == Action::"administer_users", resource)
        unless { resource in Role::"admin" };"#,
    r#"permit (principal in Role::"helpdesk", action == Action::"assign_role", resource)
        when { [Role::"plain", Role::"suspended"].contains(resource) };"#,
    r#"permit (principal in Role::"helpdesk", action == Action::"assign_role", resource)
        when { resource == Role::"role-admins" };"#,
    r#"permit (principal in Role::"helpdesk", action == Action::"view_users", resource);"#,
    r#"permit (principal in Role::"auditors", action == Action::"view_audit", resource);"#,
    r#"permit (principal in Role::"role-admins", action == Action::"administer_roles", resource);"#,
    r#"permit (principal in Role::"role-admins", action == Action::"assign_role", resource)
        when { [Role::"auditors", Role::"plain"].contains(resource) };"#,
    r#"permit (principal in Role::"role-admins", action == Action::"administer_users", resource)
        when { resource in Role::"plain" };"#,
    r#"permit (principal in Role::"plain", action == Action::"administer_users", resource)
        when { resource.username == principal.username };"#,
    r#"forbid (principal in Role::"suspended", action in Action::"administer", resource);"#,
    r#"forbid (principal in Role::"suspended", action == Action::"view_keys", resource);"#,
    r#"permit (principal, action == Action::"view_keys", resource)
        when { principal.username like "boss*" };"#,
    r#"permit (principal, action == Action::"administer_users", resource)
        when { principal.username like "boss*" };"#,
    r#"permit (principal, action == Action::"view_issuers", resource)
        when { principal.hasTag("team") && principal.getTag("team").contains("keys") };"#,
];

/// Random numbers that a seed determines (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(super) fn is_one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub(super) fn some_of<'a>(&mut self, all: &[&'a str], one_in: usize) -> Vec<&'a str> {
        let mut all = all.to_vec();
        all.retain(|_| self.is_one_in(one_in));
        all
    }
}

/// A folder with the shipped schema and some of the policies.
pub(super) fn random_folder(random: &mut Random) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let schema = "schema.cedarschema";
    let shipped = repository().join("policies").join(schema);
    std::fs::copy(shipped, policies.join(schema)).unwrap();
    let mut text = ADMIN.to_owned();
    for (number, policy) in POLICIES.iter().enumerate() {
        if !random.is_one_in(3) {
            text.push_str("\n@id(\"p");
            text.push_str(&number.to_string());
            text.push_str("\") @reason(\"x\") ");
            text.push_str(policy);
        }
    }
    std::fs::write(policies.join("test.cedar"), text).unwrap();
    folder
}

/// The product on a folder, with passwords that cost nothing.
pub(super) async fn open(folder: &TempDir) -> (App, Database) {
    let variables = [
        ("CEDARGATE_DATA_DIR", folder.path().join("data")),
        ("CEDARGATE_POLICY_DIR", folder.path().join("policies")),
        ("CEDARGATE_REQUEST_LIMIT_PER_MINUTE", "0".into()),
        ("CEDARGATE_GATE_PROOFS", "off".into()),
    ];
    let settings = Settings::load(&SettingSources {
        directory: folder.path().to_owned(),
        environment: variables
            .map(|(name, value)| (name.to_owned(), value.display().to_string()))
            .into(),
    });
    let settings = settings.unwrap();
    let mut stores = Stores::open(&settings).await.unwrap();
    stores.passwords = Passwords::with_cost(HashCost::MIN).unwrap();
    let database = stores.database.clone();
    let app = App::open(&settings, stores, Clock::system()).await;
    (app.unwrap(), database)
}
