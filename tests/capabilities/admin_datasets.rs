//! Administration of datasets: create, list, get, update, delete; authorized and audited.

use serde_json::{Value, json};

use crate::support::admin_client::AdminClient;
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{
    CATALOG, DRAFT, INTERNAL, PRIVATE, PUBLIC, Server, ServerOptions, TestResponse, UNKNOWN,
    WITHOUT_FILE,
};

pub(crate) const DATASETS: &str = "/admin/datasets";
const NEW_DATASET: &str = "0c8b9a6e-52f1-4d0b-9b1e-6a1f7c3d2e90";

pub(crate) fn dataset_path(id: &str) -> String {
    format!("{DATASETS}/{id}")
}

/// The body of a request to create or update a dataset.
fn dataset_body(title: &str, owner: &str) -> Value {
    json!({
        "title": title,
        "visibility": "private",
        "record_status": "published",
        "owner": owner,
        "reader_users": ["mo"],
        "reader_roles": ["hydrology"],
        "tags": {"theme": ["elevation", "slope"]},
    })
}

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

/// Owners administer their datasets; olivia may list datasets, otto may not, whatever he owns.
const OWNER_POLICIES: &str = r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("own") @reason("x")
permit (principal, action in [Action::"read", Action::"administer"], resource is Dataset)
when { resource has owner && resource.owner == principal };
@id("lists") @reason("x")
permit (principal, action == Action::"view_datasets", resource)
when { principal.username == "olivia" };
"#;

async fn owners_administer() -> Server {
    Server::start_with(ServerOptions {
        policies: Some(OWNER_POLICIES),
        ..ServerOptions::default()
    })
    .await
}

#[tokio::test]
async fn a_dataset_is_created_read_updated_and_deleted() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let created = ada.post(DATASETS, dataset_body("Terrain", "otto")).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let path = format!("/admin/{}", created.header("location"));
    let mut dataset = created.json();
    assert_eq!(path, dataset_path(dataset["id"].as_str().unwrap()));
    assert_eq!(dataset["owner"], "otto");
    assert_eq!(dataset["reader_users"], json!(["mo"]));
    assert_eq!(dataset["reader_roles"], json!(["hydrology"]));
    assert_eq!(dataset["tags"], json!({"theme": ["elevation", "slope"]}));
    assert!(dataset.get("file").is_none());

    let read = ada.get(&path).await;
    assert_eq!(read.json(), dataset);
    assert_eq!(read.header("etag"), created.header("etag"));

    // The response to a read can be sent back with changes.
    dataset["title"] = json!("Terrain of the valley");
    dataset["reader_users"] = json!([]);
    dataset.as_object_mut().unwrap().remove("owner");
    let changed = ada.put(&path, dataset.clone()).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json(), dataset);
    assert_ne!(changed.header("etag"), created.header("etag"));
    assert_eq!(ada.get(&path).await.header("etag"), changed.header("etag"));

    assert_eq!(ada.delete(&path).await.status, 204);
    ada.get(&path).await.problem(404);
    ada.delete(&path).await.problem(404);
}

#[tokio::test]
async fn a_change_is_in_force_immediately() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = server.session("otto").await;
    server.mint(PRIVATE, Some(&otto)).await.problem(404);
    let mut dataset = ada.get(&dataset_path(PRIVATE)).await.json();
    dataset["visibility"] = json!("public");
    assert_eq!(ada.put(&dataset_path(PRIVATE), dataset).await.status, 200);
    assert_eq!(server.mint(PRIVATE, Some(&otto)).await.status, 200);
    let token = server.mint(PRIVATE, Some(&otto)).await.token();
    assert_eq!(ada.delete(&dataset_path(PRIVATE)).await.status, 204);
    server.download(PRIVATE, &token).await.problem(404);
}

#[tokio::test]
async fn an_invalid_dataset_is_refused_with_the_name_of_its_field() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let with = |field: &str, value: Value| {
        let mut body = dataset_body("Terrain", "otto");
        body[field] = value;
        body
    };
    for (field, value) in [
        ("title", json!(" ")),
        ("title", json!("a\nb")),
        ("title", json!("a".repeat(201))),
        ("tags", json!({"": ["x"]})),
        ("tags", json!({"x": ["\u{0}"]})),
        ("owner", json!("nobody")),
        ("owner", json!("No Name")),
        ("reader_users", json!(["mo", "nobody"])),
        ("reader_roles", json!(["nothing"])),
        (
            "file",
            json!({"name": "a.tif", "size": 1, "sha256": "0", "modified": "2026-01-01T00:00:00Z"}),
        ),
    ] {
        let response = ada.post(DATASETS, with(field, value.clone())).await;
        assert_eq!(response.problem_field(422), field, "{value}");
        let response = ada.put(&dataset_path(PUBLIC), with(field, value)).await;
        assert_eq!(response.problem_field(422), field);
    }
    let taken = ada.post(DATASETS, with("id", json!(PUBLIC))).await;
    assert_eq!(taken.problem_field(409), "id");
    let moved = ada
        .put(&dataset_path(PUBLIC), with("id", json!(NEW_DATASET)))
        .await;
    assert_eq!(moved.problem_field(422), "id");
    ada.post(DATASETS, with("titel", json!("x")))
        .await
        .problem(422);
    ada.post(DATASETS, json!({"title": "x"})).await.problem(422);
    assert_eq!(ada.list_all(DATASETS, 100).await.len(), 6);
    let own = ada
        .post(DATASETS, with("id", json!(NEW_DATASET.to_uppercase())))
        .await;
    assert_eq!(own.json()["id"], NEW_DATASET);
}

#[tokio::test]
async fn a_change_of_an_old_version_is_refused() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let read = ada.get(&dataset_path(PUBLIC)).await;
    let etag = read.header("etag").to_owned();
    let of_version = |method: reqwest::Method, path: String| {
        ada.request(method, &path).header("if-match", &etag)
    };
    let put = || {
        of_version(reqwest::Method::PUT, dataset_path(PUBLIC))
            .json(&dataset_body("Terrain", "otto"))
    };
    assert_eq!(TestResponse::send(put()).await.status, 200);
    TestResponse::send(put()).await.problem(412);
    TestResponse::send(of_version(reqwest::Method::DELETE, dataset_path(PUBLIC)))
        .await
        .problem(412);
    let file = of_version(reqwest::Method::DELETE, dataset_path(PUBLIC) + "/file");
    TestResponse::send(file).await.problem(412);
}

#[tokio::test]
async fn an_if_match_in_odd_bytes_changes_nothing_and_its_lines_are_one_list() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let read = ada.get(&dataset_path(PUBLIC)).await;
    let put = |lines: &[&[u8]]| {
        let request = ada.request(reqwest::Method::PUT, &dataset_path(PUBLIC));
        let request = lines.iter().fold(request, |request, line| {
            let line = reqwest::header::HeaderValue::from_bytes(line).unwrap();
            request.header("if-match", line)
        });
        TestResponse::send(request.json(&dataset_body("Terrain", "otto")))
    };
    put(&[b"\"\xe9\""]).await.problem(412);
    put(&[b"\"one\"", b"\"other\""]).await.problem(412);
    assert_eq!(
        ada.get(&dataset_path(PUBLIC)).await.header("etag"),
        read.header("etag")
    );
    let etag = read.header("etag").as_bytes();
    let changed = put(&[b"\"other\"", etag]).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
}

#[tokio::test]
async fn administering_a_dataset_requires_a_permit() {
    let server = Server::start().await;
    let otto = AdminClient::sign_in(&server, "otto").await;
    let share = |kind: &str| dataset_path(PUBLIC) + "/shares/" + kind;
    let calls = [
        ("GET", DATASETS.to_owned()),
        ("POST", DATASETS.to_owned()),
        ("GET", dataset_path(PUBLIC)),
        ("GET", dataset_path(UNKNOWN)),
        ("PUT", dataset_path(PUBLIC)),
        ("DELETE", dataset_path(PUBLIC)),
        ("DELETE", dataset_path(PUBLIC) + "/file"),
        ("POST", dataset_path(PUBLIC) + "/file/import"),
        ("GET", dataset_path(PUBLIC) + "/shares"),
        ("PUT", share("users/otto")),
        ("DELETE", share("users/otto")),
        ("PUT", share("roles/hydrology")),
        ("DELETE", share("roles/hydrology")),
    ];
    let body = |path: &str| {
        if path.ends_with("import") {
            json!({"path": "x.tif"})
        } else {
            dataset_body("x", "otto")
        }
    };
    for (method, path) in &calls {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", server.url);
        let anonymous = server.http.request(method.clone(), url);
        let anonymous = TestResponse::send(anonymous.json(&body(path))).await;
        anonymous.problem(401);
        let denied = TestResponse::send(otto.request(method, path).json(&body(path))).await;
        denied.problem(403);
    }
    let upload = otto.request(reqwest::Method::PUT, &(dataset_path(PUBLIC) + "/file"));
    let upload = upload.header("content-type", "image/tiff").body("II*\0");
    TestResponse::send(upload).await.problem(403);

    // A caller who may not list learns nothing about datasets or names.
    let hidden = otto.get(&dataset_path(PRIVATE)).await;
    assert_eq!(hidden.body, otto.get(&dataset_path(UNKNOWN)).await.body);
    let named = otto.post(DATASETS, dataset_body("x", "nobody")).await;
    named.problem(403);
    let ada = AdminClient::sign_in(&server, "ada").await;
    assert_eq!(ada.list_all(DATASETS, 100).await.len(), 6);
}

#[tokio::test]
async fn an_owner_administers_its_datasets_and_cannot_give_them_away() {
    let server = owners_administer().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let olivia = AdminClient::sign_in(&server, "olivia").await;
    let created = ada
        .post(DATASETS, dataset_body("Of otto", "otto"))
        .await
        .json();
    let of_otto = created["id"].as_str().unwrap();

    assert_eq!(olivia.list_all(DATASETS, 2).await.len(), 6);
    let hidden = olivia.get(&dataset_path(of_otto)).await;
    hidden.problem(404);
    assert_eq!(hidden.body, olivia.get(&dataset_path(UNKNOWN)).await.body);

    let share = dataset_path(PRIVATE) + "/shares/users/otto";
    assert_eq!(olivia.put(&share, json!({})).await.status, 200);
    let mut given = olivia.get(&dataset_path(PRIVATE)).await.json();
    given["owner"] = json!("otto");
    olivia
        .put(&dataset_path(PRIVATE), given.clone())
        .await
        .problem(403);
    given.as_object_mut().unwrap().remove("owner");
    olivia.put(&dataset_path(PRIVATE), given).await.problem(403);
    olivia
        .post(DATASETS, dataset_body("x", "otto"))
        .await
        .problem(403);
    let own = olivia.post(DATASETS, dataset_body("x", "olivia")).await;
    assert_eq!(own.status, 201, "{}", own.text());
    assert_eq!(
        olivia.get(&dataset_path(PRIVATE)).await.json()["owner"],
        "olivia"
    );

    // He may not list datasets, but may get his own with all fields.
    let otto = AdminClient::sign_in(&server, "otto").await;
    otto.get(DATASETS).await.problem(403);
    assert_eq!(otto.get(&dataset_path(of_otto)).await.status, 200);
    let hidden = otto.get(&dataset_path(PRIVATE)).await;
    hidden.problem(403);
    assert_eq!(hidden.body, otto.get(&dataset_path(UNKNOWN)).await.body);
}

#[tokio::test]
async fn the_list_can_be_filtered() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let created = dataset_body("100% of_Olivia!", "otto");
    let created = ada.post(DATASETS, created).await.json();
    let created = created["id"].as_str().unwrap();
    let found = async |query: &str| {
        let items = ada.list_all(&format!("{DATASETS}?{query}"), 1).await;
        let mut found: Vec<_> = ids(&items).into_iter().map(str::to_owned).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(found("record_status=draft").await, [DRAFT]);
    assert_eq!(found("owner=otto").await, [created]);
    assert_eq!(found("visibility=internal").await, [INTERNAL]);
    assert_eq!(found("title=WITHOUT").await, [WITHOUT_FILE]);
    assert_eq!(found("owner=nobody").await, [""; 0]);
    for part in ["0%25 of_o", "%25", "_", "!"] {
        assert_eq!(found(&format!("title={part}")).await, [created], "{part}");
    }
    let of_olivia = found("owner=olivia&visibility=public").await;
    let mut public = [PUBLIC, DRAFT, WITHOUT_FILE];
    public.sort_unstable();
    assert_eq!(of_olivia, public);
    let titles = ada.get(&format!("{DATASETS}?title=%00")).await;
    assert_eq!(titles.problem_field(422), "title");
    ada.get(&format!("{DATASETS}?visibility=x"))
        .await
        .problem(422);
}

#[tokio::test]
async fn every_change_of_a_dataset_is_audited_with_its_summary() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let mut body = dataset_body("Terrain", "otto");
    body["id"] = json!(NEW_DATASET);
    ada.post(DATASETS, body.clone()).await;
    body["owner"] = json!("mo");
    body["visibility"] = json!("public");
    body["reader_users"] = json!(["otto"]);
    ada.put(&dataset_path(NEW_DATASET), body.clone()).await;
    ada.put(&dataset_path(NEW_DATASET), body).await;
    ada.put(
        &(dataset_path(NEW_DATASET) + "/shares/roles/admin"),
        json!({}),
    )
    .await;
    ada.get(DATASETS).await;
    ada.get(&dataset_path(UNKNOWN)).await;
    ada.delete(&dataset_path(NEW_DATASET)).await;
    let records = records(&server).await;
    let audited: Vec<String> = records
        .iter()
        .filter(|record| record["event"] == "administer")
        .map(|record| {
            let word = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", word("action"), word("outcome"), word("reason"))
        })
        .collect();
    assert_eq!(
        audited,
        [
            "administer granted created the dataset \"Terrain\"",
            "administer granted changed visibility from private to public, owner from otto to mo, \
             reader_users +otto -mo",
            "administer granted changed nothing: the dataset already has this state",
            "administer granted changed reader_roles +admin",
            "view_datasets granted -",
            "administer refused there is no such dataset",
            "administer granted deleted the dataset \"Terrain\"",
        ]
    );
    let of_new = records
        .iter()
        .filter(|record| record["dataset_id"] == NEW_DATASET);
    assert_eq!(of_new.count(), 5);
    let unknown = records
        .iter()
        .filter(|record| record["dataset_id"] == UNKNOWN);
    assert_eq!(unknown.count(), 1);
}

#[tokio::test]
async fn a_dataset_created_on_one_replica_exists_on_the_other() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let mut body = dataset_body("Terrain", "otto");
    body["id"] = json!(NEW_DATASET);
    body["visibility"] = json!("public");
    assert_eq!(ada.post(DATASETS, body).await.status, 201);
    eventually(async || {
        replica
            .get(&format!("/datasets/{NEW_DATASET}"))
            .send()
            .await
            .unwrap()
            .status()
            == 200
    })
    .await;
    assert!(!CATALOG.contains(NEW_DATASET));
}
