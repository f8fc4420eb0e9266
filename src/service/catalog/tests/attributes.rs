//! Attributes in catalog files: typed by the schema of the policies in force.

use serde_json::json;

use super::*;
use crate::domain::attributes::Attributes;
use crate::policy::Bundle;
use crate::policy::attributes::DeclaredAttributes;

/// What a schema with these attributes of datasets and users declares.
fn declared(of_datasets: &str, of_users: &str) -> DeclaredAttributes {
    let shipped = include_str!("../../../../policies/schema.cedarschema");
    let (title, username) = ("  \"title\": String,\n", "  \"username\": String,\n");
    let schema = shipped
        .replace(title, &format!("{title}{of_datasets}"))
        .replace(username, &format!("{username}{of_users}"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("schema.cedarschema"), schema).unwrap();
    let policy = "@id(\"all\") permit (principal, action, resource);";
    fs::write(folder.path().join("policies.cedar"), policy).unwrap();
    let bundle = Bundle::load(folder.path()).unwrap();
    bundle.declared_attributes().clone()
}

const OF_DATASETS: &str = "\"licence\"?: String, \"embargo_until\"?: datetime, \"score\"?: decimal, \
    \"levels\"?: Set<Long>, \"contact\"?: { \"name\": String, \"since\"?: datetime },\n";

const DATASET: &str = r#"
[[datasets]]
id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"
title = "Jacksboro"
visibility = "public"
record_status = "draft"
"#;

async fn apply_with_schema(
    fixture: &CatalogFixture,
    text: &str,
    declared: Result<DeclaredAttributes, String>,
) -> Result<ApplyReport, ApplyError> {
    let options = ApplyOptions {
        declared,
        ..ApplyOptions::new(clock(NOW))
    };
    let text = format!("{ROOT}\n{text}");
    fixture.apply_with(&fixture.read(&text), &options).await
}

#[tokio::test]
async fn attributes_are_read_as_toml_writes_them_and_stay_the_same_the_second_time() {
    let fixture = CatalogFixture::new().await;
    let text = format!(
        "[[users]]\nusername = \"mo\"\nattributes = {{ clearance = 2 }}\n{DATASET}\
         [datasets.attributes]\nlicence = \"CC0\"\nembargo_until = 2027-01-01T10:00:00+01:00\n\
         score = 1.5\nlevels = [3, 0x02, 3]\ncontact = {{ name = \"Ada\", since = 2027-01-01 }}\n"
    );
    let declared = || Ok(declared(OF_DATASETS, "\"clearance\"?: Long,\n"));
    apply_with_schema(&fixture, &text, declared())
        .await
        .unwrap();
    let kept: Attributes = serde_json::from_value(json!({
        "licence": "CC0",
        "embargo_until": "2027-01-01T09:00:00Z",
        "score": "1.5",
        "levels": [2, 3],
        "contact": {"name": "Ada", "since": "2027-01-01"},
    }))
    .unwrap();
    assert_eq!(fixture.dataset().await.attributes, kept);
    let mo = fixture.user("mo").await.user.attributes;
    assert_eq!(mo, [("clearance".to_owned(), json!(2))].into());
    let version = fixture.catalog().await.version;
    apply_with_schema(&fixture, &text, declared())
        .await
        .unwrap();
    assert_eq!(fixture.catalog().await.version, version);
    // Omitted, they are empty, like everything of an item.
    apply_with_schema(&fixture, DATASET, declared())
        .await
        .unwrap();
    assert_eq!(fixture.dataset().await.attributes, Attributes::new());
}

#[tokio::test]
async fn attributes_that_do_not_fit_are_reported_where_they_are() {
    let fixture = CatalogFixture::new().await;
    let text = format!(
        "{DATASET}attributes = {{ licence = 4, levels = \"high\" }}\n[[users]]\nusername = \"mo\"\n\
         [users.attributes]\nclearence = 3\n[[users]]\nusername = \"otto\"\nattributes = [\"x\"]\n"
    );
    let of_users = "\"clearance\"?: Long,\n";
    let refused = apply_with_schema(&fixture, &text, Ok(declared(OF_DATASETS, of_users))).await;
    let Err(ApplyError::Invalid(problems)) = refused else {
        panic!("applied: {text}");
    };
    let folder = fixture.folder.path().display().to_string();
    insta::assert_snapshot!(problems.render(false).replace(&folder, ""));
}

#[tokio::test]
async fn a_required_attribute_is_asked_for_and_without_a_schema_none_are_taken() {
    let fixture = CatalogFixture::new().await;
    let required = Ok(declared("\"licence\": String,\n", ""));
    let refused = apply_with_schema(&fixture, DATASET, required).await;
    let detail = refused.unwrap_err().to_string();
    assert!(detail.contains("the schema requires it"), "{detail}");
    let text = format!("{DATASET}attributes = {{ licence = \"CC0\" }}\n");
    let unknown = Err("the policies in force cannot be loaded: no such folder".to_owned());
    let refused = apply_with_schema(&fixture, &text, unknown.clone()).await;
    let detail = refused.unwrap_err().to_string();
    assert!(detail.contains("cannot be loaded"), "{detail}");
    apply_with_schema(&fixture, DATASET, unknown).await.unwrap();
}

#[tokio::test]
async fn attributes_name_users_of_the_same_file_and_nobody_who_is_not_there() {
    let fixture = CatalogFixture::new().await;
    let declared = || {
        let own = "\"steward\"?: User, \"units\"?: Set<Role>,\n";
        Ok(declared(own, "\"manager\"?: User,\n"))
    };
    let text = format!(
        "[[roles]]\nname = \"tides\"\n[[users]]\nusername = \"mo\"\n\
         attributes = {{ manager = \"root\" }}\n{DATASET}\
         attributes = {{ steward = \"mo\", units = [\"tides\", \"admin\"] }}\n"
    );
    for _ in 0..2 {
        apply_with_schema(&fixture, &text, declared())
            .await
            .unwrap();
        let mo = fixture.user("mo").await.user;
        let root = fixture.user("root").await.user.id;
        assert_eq!(mo.attributes["manager"], json!(root));
        let dataset = fixture.dataset().await.attributes;
        assert_eq!(dataset["steward"], json!(mo.id));
        assert_eq!(dataset["units"], json!(["admin", "tides"]));
    }
    let text = format!(
        "{DATASET}attributes = {{ steward = \"olga\", units = [\"tide\"] }}\n[[users]]\n\
         username = \"kai\"\nattributes = {{ manager = \"00000000-0000-4000-8000-000000000001\" }}\n"
    );
    let refused = apply_with_schema(&fixture, &text, declared()).await;
    let Err(ApplyError::Invalid(problems)) = refused else {
        panic!("applied: {text}");
    };
    let lines = problems.diagnostics().iter();
    let lines: Vec<_> = lines.map(|problem| problem.message().to_owned()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
