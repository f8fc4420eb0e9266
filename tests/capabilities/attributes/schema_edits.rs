//! What becomes of attributes that the catalog has when the schema is edited.

use serde_json::json;

use super::{SCHEMA, body_with, public_path, put_attributes, run, with_embargo};
use crate::policy_reload::{health, reload, server_on};
use crate::support::admin_client::AdminClient;
use crate::support::cli::edit;
use crate::support::eventually;
use crate::support::server::PUBLIC;

#[tokio::test]
async fn a_schema_that_the_catalog_does_not_fit_is_refused_until_it_does() {
    let folder = with_embargo();
    let server = server_on(folder.path(), "off", "off").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let licensed = json!({"licence": "CC0"});
    assert_eq!(put_attributes(&admin, licensed.clone()).await.status, 200);
    let before = health(&server).await["revision"].clone();
    for (optional, edited) in [
        ("\"licence\"?: String", "\"licence\": String"),
        ("\"licence\": String", "\"licence\"?: Long"),
    ] {
        edit(folder.path(), SCHEMA, optional, edited);
        let refused = reload(&server, &admin.session).await;
        let detail = refused.problem(409);
        assert!(
            detail.contains("the catalog does not fit its schema"),
            "{detail}"
        );
        assert!(detail.contains("not fit the schema: `licence`"), "{detail}");
        assert!(
            detail.contains("nothing of the catalog is lost"),
            "{detail}"
        );
        assert!(!detail.contains("CC0"), "a log has no values: {detail}");
        let ready = health(&server).await;
        assert_eq!(ready["status"], "degraded");
        assert_eq!(ready["revision"], before);
        server.mint(PUBLIC, None).await.token();
    }
    // Once the values fit, the edit comes into force.
    assert_eq!(put_attributes(&admin, json!({})).await.status, 200);
    let accepted = reload(&server, &admin.session).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    assert_eq!(
        put_attributes(&admin, json!({"licence": 4})).await.status,
        200
    );
    put_attributes(&admin, licensed).await.problem(422);
}

#[tokio::test]
async fn an_attribute_that_policies_read_is_neither_dropped_nor_renamed_while_the_catalog_has_it() {
    let folder = with_embargo();
    let server = server_on(folder.path(), "off", "off").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let attributes = json!({"embargo_until": "2100-01-01"});
    assert_eq!(put_attributes(&admin, attributes).await.status, 200);
    // The schema, the policy and the cases agree on the new name, and the embargo would be over.
    let renamed = [SCHEMA, "embargo-until.cedar", "embargo-until.cases.json"];
    for file in renamed {
        let path = folder.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text.replace("embargo_until", "embargo_end")).unwrap();
    }
    let refused = reload(&server, &admin.session).await.problem(409);
    insta::assert_snapshot!(refused);
    server.mint(PUBLIC, None).await.problem(404);
    for command in ["check", "diff --to"] {
        let arguments = format!("policy {command} .");
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let (_, told) = run(&server, folder.path(), &arguments);
        // Lines are wrapped, with a bar before them.
        let told: String = told
            .chars()
            .filter(|c| *c == '"' || *c == '-' || c.is_ascii_alphanumeric())
            .collect();
        assert!(told.contains("isit\"embargoend\"now"), "{told}");
        assert!(told.contains(PUBLIC), "{told}");
    }
    // With the new one beside the old one, nothing is lost on the way.
    edit(
        folder.path(),
        SCHEMA,
        "\"embargo_end\"",
        "\"embargo_until\"?: datetime,\n  \"embargo_end\"",
    );
    let policy = "@id(\"old\") @reason(\"x\") forbid (principal, action, resource)\n\
        when { resource has embargo_until && context.time < resource.embargo_until };\n";
    std::fs::write(folder.path().join("old.cedar"), policy).unwrap();
    // A busy machine may not have checked the folder within the time of one request: 503.
    let mut reloaded = reload(&server, &admin.session).await;
    while reloaded.status == 503 {
        reloaded = reload(&server, &admin.session).await;
    }
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    server.mint(PUBLIC, None).await.problem(404);
}

#[tokio::test]
async fn an_attribute_that_is_declared_no_more_stays_in_the_catalog_and_out_of_the_way() {
    let folder = with_embargo();
    let server = server_on(folder.path(), "off", "off").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let attributes = json!({"licence": "CC0", "embargo_until": "2100-01-01"});
    assert_eq!(put_attributes(&admin, attributes.clone()).await.status, 200);
    server.mint(PUBLIC, None).await.problem(404);
    edit(folder.path(), SCHEMA, "  \"licence\"?: String,\n", "");
    let accepted = reload(&server, &admin.session).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    server.mint(PUBLIC, None).await.problem(404);
    let body = body_with(&admin, attributes.clone()).await;
    assert_eq!(
        admin.put(&public_path(), body).await.json()["attributes"],
        attributes
    );
    let other = put_attributes(&admin, json!({"licence": "MIT"}))
        .await
        .problem(422);
    assert!(other.contains("declares no such attribute"), "{other}");
    let (_, difference) = run(&server, folder.path(), &["policy", "diff", "--to", "."]);
    assert!(
        difference.contains("1 of 6 datasets with the attribute `licence`"),
        "{difference}"
    );
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_denied_to_everybody_and_breaks_nothing() {
    let folder = with_embargo();
    let server = server_on(folder.path(), "off", "off").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    // As after a restored backup: the gate has not seen it.
    let database = server.database().await;
    let mut catalog = database.read_catalog().await.unwrap();
    let is_public =
        |dataset: &&mut cedargate::domain::dataset::Dataset| dataset.id.to_string() == PUBLIC;
    let dataset = catalog.datasets.iter_mut().find(is_public).unwrap();
    dataset
        .attributes
        .insert("embargo_until".to_owned(), json!("soon"));
    let change = cedargate::storage::CatalogChange {
        datasets_put: vec![dataset.clone()],
        ..Default::default()
    };
    database
        .write_catalog(&change, catalog.version)
        .await
        .unwrap();
    eventually(async || server.mint(PUBLIC, None).await.status == 404).await;
    server.mint(PUBLIC, Some(&admin.session)).await.problem(404);
    let listed = admin.get("/datasets").await;
    assert_eq!(listed.status, 200);
    assert!(!listed.text().contains(PUBLIC), "{}", listed.text());
    assert_eq!(admin.get("/admin/datasets").await.status, 200);
    let arguments = format!("policy explain --principal ada --action read --dataset {PUBLIC}");
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let (code, explained) = run(&server, folder.path(), &arguments);
    assert_eq!(code, 0, "{explained}");
    assert!(explained.contains("expected a datetime"), "{explained}");
}
