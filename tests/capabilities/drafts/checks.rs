//! What a check says of a draft, and formatted files.

use cedargate::policy::check::PolicyCheck;
use cedargate::policy::folder::PolicyFolder;
use serde_json::{Value, json};

use super::{ADDED, create, delegating_server, path_of};
use crate::support::admin_client::AdminClient;
use crate::support::cli::copy_of_shipped_policies;
use crate::support::server::Server;

async fn check(client: &AdminClient<'_>, draft: &Value) -> Value {
    let checked = client.get(&path_of(draft, "/check")).await;
    assert_eq!(checked.status, 200, "{}", checked.text());
    checked.json()
}

/// The diagnostics of a check, as `file:line:column message`.
fn messages(check: &Value) -> Vec<String> {
    let diagnostics = check["diagnostics"].as_array().unwrap().iter();
    diagnostics
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap();
            let number = |name: &str| one[name].as_u64().unwrap_or_default();
            let (line, column) = (number("line"), number("column"));
            format!("{}:{line}:{column} {}", text("file"), text("message"))
        })
        .collect()
}

#[tokio::test]
async fn a_draft_of_what_is_in_force_is_valid_and_has_its_policies_cases_and_invariants() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = create(&ada, json!({"files": {"added.cedar": ADDED}})).await;
    let check = check(&ada, &draft).await;
    assert_eq!(
        (&check["is_valid"], &check["version"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(check["folder_revision"], draft["folder_revision"]);
    let in_force = ada.get("/admin/policies").await.json();
    let policies = check["policies"].as_array().unwrap();
    let before = in_force["in_force"]["policies"].as_array().unwrap();
    assert_eq!(policies.len(), before.len() + 1);
    assert_eq!(check["counts"]["policies"], policies.len());
    let added = policies
        .iter()
        .find(|policy| policy["id"] == "added")
        .unwrap();
    assert_eq!(
        *added,
        json!({"id": "added", "effect": "forbid", "reason": "x", "file": "added.cedar", "line": 1})
    );
    for kind in ["cases", "invariants"] {
        let items = check[kind].as_array().unwrap();
        assert_eq!(check["counts"][kind], items.len());
        assert!(items[0]["file"].is_string() && items[0]["line"].is_u64());
    }
}

#[tokio::test]
async fn a_draft_gets_the_words_and_the_places_of_policy_check() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let broken = "@id(\"broken\")\n@reason(\"ü地\") permit (principal, action, resource) \
                  when { resource.ownr == principal };\n";
    for (name, text) in [
        ("broken.cedar", broken),
        ("syntax.cedar", "permit (principal, action, resorce);"),
        ("more.cases.json", "[{\"name\": 1}]"),
        (
            "invariants/x.cedar",
            "permit (principal, action, resource);",
        ),
        (
            "warned.cedar",
            "@id(\"w\") permit (principal == User::\"otto\", action, resource);",
        ),
    ] {
        let draft = create(&ada, json!({"files": {name: text}})).await;
        let checked = check(&ada, &draft).await;
        let folder = copy_of_shipped_policies();
        std::fs::write(folder.path().join(name), text).unwrap();
        let expected = PolicyCheck::run(PolicyFolder::load(folder.path())).unwrap();
        assert_eq!(checked["is_valid"], expected.is_passed(), "{name}");
        let root = format!("{}/", folder.path().display());
        let expected = expected.problems.iter().chain(&expected.warnings);
        let expected: Vec<String> = expected
            .map(|one| {
                let (line, column) = one.position().unwrap_or_default();
                let file = one.file().strip_prefix(&root).unwrap();
                format!("{file}:{line}:{column} {}", one.message())
            })
            .collect();
        assert_eq!(messages(&checked), expected, "{name}");
        assert!(!expected.is_empty());
    }
    let draft = create(&ada, json!({"files": {"broken.cedar": broken}})).await;
    let checked = check(&ada, &draft).await;
    let first = &checked["diagnostics"][0];
    assert_eq!(
        [
            &first["line"],
            &first["column"],
            &first["end_line"],
            &first["end_column"]
        ],
        [2, 59, 2, 85],
        "{first}"
    );
    assert!(checked.get("revision").is_none());
    assert_eq!(checked["policies"], json!([]));
}

#[tokio::test]
async fn names_are_compared_with_the_catalog_for_those_who_may_list_users_alone() {
    let server = delegating_server().await;
    let text = r#"
@id("one") @reason("x")
permit (principal in Role::"hydrology", action, resource) when { principal.username == "otto" };
@id("two") @reason("x")
permit (principal in Role::"nobody", action, resource) when { principal.username == "nobody" };
"#;
    let author = AdminClient::sign_in(&server, "of-author").await;
    let draft = create(&author, json!({"files": {"named.cedar": text}})).await;
    let said = |check: &Value| {
        let all = messages(check).into_iter();
        let about = all.filter(|message| {
            message.starts_with("named.cedar") && message.contains("the catalog has no")
        });
        about.collect::<Vec<_>>()
    };
    assert_eq!(said(&check(&author, &draft).await), Vec::<String>::new());
    let lookout = AdminClient::sign_in(&server, "of-lookout").await;
    let draft = create(&lookout, json!({"files": {"named.cedar": text}})).await;
    let found = said(&check(&lookout, &draft).await);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().all(|message| message.contains("nobody")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_check_warns_of_invariants_that_a_draft_loses() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = create(&ada, json!({})).await;
    let checked = check(&ada, &draft).await;
    let file = checked["invariants"][0]["file"]
        .as_str()
        .unwrap()
        .to_owned();
    let draft = create(&ada, json!({"files": {file: null}})).await;
    let checked = check(&ada, &draft).await;
    let warned = messages(&checked);
    let compared = "the policy folder:0:0 compared with the policies in force: ";
    assert!(
        warned.iter().any(|one| one.starts_with(compared)),
        "{warned:?}"
    );
    assert_eq!(checked["is_valid"], true);
}

#[tokio::test]
async fn a_policy_file_of_a_draft_is_formatted_and_stays_as_it_is() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let text = "@id(\"a\")@reason(\"x\")permit(principal,action,resource)when{true};";
    let files = json!({"a.cedar": text, "bad.cedar": "permit (", "new.cases.json": "[]"});
    let draft = create(&ada, json!({"files": files})).await;
    let format = async |file: &str| {
        let body = json!({"file": file});
        ada.post(&path_of(&draft, "/format"), body).await
    };
    let formatted = format("a.cedar").await.json();
    assert_eq!(
        formatted["text"],
        "@id(\"a\")\n@reason(\"x\")\npermit (principal, action, resource)\nwhen { true };\n"
    );
    let problem = format("bad.cedar").await;
    assert_eq!(problem.problem_field(409), "file");
    assert!(
        problem.problem(409).starts_with("bad.cedar:1:"),
        "{}",
        problem.text()
    );
    assert_eq!(format("new.cases.json").await.problem_field(422), "file");
    assert_eq!(
        format("schema.cedarschema").await.problem_field(422),
        "file"
    );
    format("missing.cedar").await.problem(404);
    assert_eq!(ada.get(&path_of(&draft, "")).await.json()["version"], 1);
}
