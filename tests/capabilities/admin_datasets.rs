//! Administration of datasets: made, listed, shown, changed, removed, each asked and on record.

use serde_json::{Value, json};

use crate::admin_users::Desk;
use crate::audit::records;
use crate::support::server::{
    Answer, CATALOG, DRAFT, INTERNAL, PRIVATE, PUBLIC, Server, UNKNOWN, WITHOUT_FILE, Wish,
};

pub const DATASETS: &str = "/admin/datasets";
const NEW: &str = "0c8b9a6e-52f1-4d0b-9b1e-6a1f7c3d2e90";

pub fn at(id: &str) -> String {
    format!("{DATASETS}/{id}")
}

/// A dataset as it is to be.
fn wish(title: &str, owner: &str) -> Value {
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

/// Owners administer what is theirs; olivia may list, otto may not, whatever he owns.
const OWNERS: &str = r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("own") @reason("x")
permit (principal, action in [Action::"read", Action::"administer"], resource is Dataset)
when { resource has owner && resource.owner == principal };
@id("lists") @reason("x")
permit (principal, action == Action::"view_datasets", resource)
when { principal.username == "olivia" };
"#;

async fn with_owners() -> Server {
    Server::wished(Wish {
        policies: Some(OWNERS),
        ..Wish::default()
    })
    .await
}

#[tokio::test]
async fn a_dataset_is_made_shown_changed_and_removed_whole() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    let made = ada.post(DATASETS, wish("Terrain", "otto")).await;
    assert_eq!(made.status, 201, "{}", made.told());
    let path = made.header("location").to_owned();
    let mut dataset = made.json();
    assert_eq!(path, at(dataset["id"].as_str().unwrap()));
    assert_eq!(dataset["owner"], "otto");
    assert_eq!(dataset["reader_users"], json!(["mo"]));
    assert_eq!(dataset["reader_roles"], json!(["hydrology"]));
    assert_eq!(dataset["tags"], json!({"theme": ["elevation", "slope"]}));
    assert!(dataset.get("file").is_none());

    let shown = ada.get(&path).await;
    assert_eq!(shown.json(), dataset);
    assert_eq!(shown.header("etag"), made.header("etag"));

    // What was read can be sent back as it is, with what is to be different.
    dataset["title"] = json!("Terrain of the valley");
    dataset["reader_users"] = json!([]);
    dataset.as_object_mut().unwrap().remove("owner");
    let changed = ada.put(&path, dataset.clone()).await;
    assert_eq!(changed.status, 200, "{}", changed.told());
    assert_eq!(changed.json(), dataset);
    assert_ne!(changed.header("etag"), made.header("etag"));
    assert_eq!(ada.get(&path).await.header("etag"), changed.header("etag"));

    assert_eq!(ada.delete(&path).await.status, 204);
    ada.get(&path).await.problem(404);
    ada.delete(&path).await.problem(404);
}

#[tokio::test]
async fn a_change_is_in_force_at_once() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    let otto = server.session("otto").await;
    server.mint(PRIVATE, Some(&otto)).await.problem(404);
    let mut dataset = ada.get(&at(PRIVATE)).await.json();
    dataset["visibility"] = json!("public");
    assert_eq!(ada.put(&at(PRIVATE), dataset).await.status, 200);
    assert_eq!(server.mint(PRIVATE, Some(&otto)).await.status, 200);
    let token = server.mint(PRIVATE, Some(&otto)).await.token();
    assert_eq!(ada.delete(&at(PRIVATE)).await.status, 204);
    server.download(PRIVATE, &token).await.problem(404);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_name_of_its_field() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    let with = |field: &str, value: Value| {
        let mut body = wish("Terrain", "otto");
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
        let answer = ada.post(DATASETS, with(field, value.clone())).await;
        assert_eq!(answer.field(422), field, "{value}");
        let answer = ada.put(&at(PUBLIC), with(field, value)).await;
        assert_eq!(answer.field(422), field);
    }
    let taken = ada.post(DATASETS, with("id", json!(PUBLIC))).await;
    assert_eq!(taken.field(409), "id");
    let moved = ada.put(&at(PUBLIC), with("id", json!(NEW))).await;
    assert_eq!(moved.field(422), "id");
    ada.post(DATASETS, with("titel", json!("x")))
        .await
        .problem(422);
    ada.post(DATASETS, json!({"title": "x"})).await.problem(422);
    assert_eq!(ada.all(DATASETS, 100).await.len(), 6);
    let own = ada
        .post(DATASETS, with("id", json!(NEW.to_uppercase())))
        .await;
    assert_eq!(own.json()["id"], NEW);
}

#[tokio::test]
async fn a_change_of_a_version_that_is_no_more_is_refused() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    let seen = ada.get(&at(PUBLIC)).await;
    let etag = seen.header("etag").to_owned();
    let of_version =
        |method: reqwest::Method, path: String| ada.asking(method, &path).header("if-match", &etag);
    let put = || of_version(reqwest::Method::PUT, at(PUBLIC)).json(&wish("Terrain", "otto"));
    assert_eq!(Answer::of(put()).await.status, 200);
    Answer::of(put()).await.problem(412);
    Answer::of(of_version(reqwest::Method::DELETE, at(PUBLIC)))
        .await
        .problem(412);
    let file = of_version(reqwest::Method::DELETE, at(PUBLIC) + "/file");
    Answer::of(file).await.problem(412);
}

#[tokio::test]
async fn an_if_match_in_odd_bytes_changes_nothing_and_its_lines_are_one_list() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    let seen = ada.get(&at(PUBLIC)).await;
    let put = |lines: &[&[u8]]| {
        let request = ada.asking(reqwest::Method::PUT, &at(PUBLIC));
        let request = lines.iter().fold(request, |request, line| {
            let line = reqwest::header::HeaderValue::from_bytes(line).unwrap();
            request.header("if-match", line)
        });
        Answer::of(request.json(&wish("Terrain", "otto")))
    };
    put(&[b"\"\xe9\""]).await.problem(412);
    put(&[b"\"one\"", b"\"other\""]).await.problem(412);
    assert_eq!(
        ada.get(&at(PUBLIC)).await.header("etag"),
        seen.header("etag")
    );
    let etag = seen.header("etag").as_bytes();
    let changed = put(&[b"\"other\"", etag]).await;
    assert_eq!(changed.status, 200, "{}", changed.told());
}

#[tokio::test]
async fn only_those_administer_whom_the_policies_let() {
    let server = Server::start().await;
    let otto = Desk::of(&server, "otto").await;
    let share = |kind: &str| at(PUBLIC) + "/shares/" + kind;
    let calls = [
        ("GET", DATASETS.to_owned()),
        ("POST", DATASETS.to_owned()),
        ("GET", at(PUBLIC)),
        ("GET", at(UNKNOWN)),
        ("PUT", at(PUBLIC)),
        ("DELETE", at(PUBLIC)),
        ("DELETE", at(PUBLIC) + "/file"),
        ("POST", at(PUBLIC) + "/file/import"),
        ("GET", at(PUBLIC) + "/shares"),
        ("PUT", share("users/otto")),
        ("DELETE", share("users/otto")),
        ("PUT", share("roles/hydrology")),
        ("DELETE", share("roles/hydrology")),
    ];
    let body = |path: &str| {
        if path.ends_with("import") {
            json!({"path": "x.tif"})
        } else {
            wish("x", "otto")
        }
    };
    for (method, path) in &calls {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", server.url);
        let nobody = server.http.request(method.clone(), url);
        let nobody = Answer::of(nobody.json(&body(path))).await;
        nobody.problem(401);
        let denied = Answer::of(otto.asking(method, path).json(&body(path))).await;
        denied.problem(403);
    }
    let upload = otto.asking(reqwest::Method::PUT, &(at(PUBLIC) + "/file"));
    let upload = upload.header("content-type", "image/tiff").body("II*\0");
    Answer::of(upload).await.problem(403);

    // Whoever may not list is told nothing, neither of what there is nor of names.
    let hidden = otto.get(&at(PRIVATE)).await;
    assert_eq!(hidden.body, otto.get(&at(UNKNOWN)).await.body);
    let named = otto.post(DATASETS, wish("x", "nobody")).await;
    named.problem(403);
    let ada = Desk::of(&server, "ada").await;
    assert_eq!(ada.all(DATASETS, 100).await.len(), 6);
}

#[tokio::test]
async fn an_owner_administers_its_own_and_cannot_give_it_away() {
    let server = with_owners().await;
    let ada = Desk::of(&server, "ada").await;
    let olivia = Desk::of(&server, "olivia").await;
    let made = ada.post(DATASETS, wish("Of otto", "otto")).await.json();
    let of_otto = made["id"].as_str().unwrap();

    assert_eq!(olivia.all(DATASETS, 2).await.len(), 6);
    let hidden = olivia.get(&at(of_otto)).await;
    hidden.problem(404);
    assert_eq!(hidden.body, olivia.get(&at(UNKNOWN)).await.body);

    let share = at(PRIVATE) + "/shares/users/otto";
    assert_eq!(olivia.put(&share, json!({})).await.status, 200);
    let mut given = olivia.get(&at(PRIVATE)).await.json();
    given["owner"] = json!("otto");
    olivia.put(&at(PRIVATE), given.clone()).await.problem(403);
    given.as_object_mut().unwrap().remove("owner");
    olivia.put(&at(PRIVATE), given).await.problem(403);
    olivia.post(DATASETS, wish("x", "otto")).await.problem(403);
    let own = olivia.post(DATASETS, wish("x", "olivia")).await;
    assert_eq!(own.status, 201, "{}", own.told());
    assert_eq!(olivia.get(&at(PRIVATE)).await.json()["owner"], "olivia");

    // He may not list, and yet sees whole what is his.
    let otto = Desk::of(&server, "otto").await;
    otto.get(DATASETS).await.problem(403);
    assert_eq!(otto.get(&at(of_otto)).await.status, 200);
    let hidden = otto.get(&at(PRIVATE)).await;
    hidden.problem(403);
    assert_eq!(hidden.body, otto.get(&at(UNKNOWN)).await.body);
}

#[tokio::test]
async fn the_list_narrows_to_what_is_asked_for() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    let made = ada
        .post(DATASETS, wish("100% of_Olivia!", "otto"))
        .await
        .json();
    let made = made["id"].as_str().unwrap();
    let found = async |query: &str| {
        let items = ada.all(&format!("{DATASETS}?{query}"), 1).await;
        let mut found: Vec<_> = ids(&items).into_iter().map(str::to_owned).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(found("record_status=draft").await, [DRAFT]);
    assert_eq!(found("owner=otto").await, [made]);
    assert_eq!(found("visibility=internal").await, [INTERNAL]);
    assert_eq!(found("title=WITHOUT").await, [WITHOUT_FILE]);
    assert_eq!(found("owner=nobody").await, [""; 0]);
    for part in ["0%25 of_o", "%25", "_", "!"] {
        assert_eq!(found(&format!("title={part}")).await, [made], "{part}");
    }
    let of_olivia = found("owner=olivia&visibility=public").await;
    let mut public = [PUBLIC, DRAFT, WITHOUT_FILE];
    public.sort_unstable();
    assert_eq!(of_olivia, public);
    let titles = ada.get(&format!("{DATASETS}?title=%00")).await;
    assert_eq!(titles.field(422), "title");
    ada.get(&format!("{DATASETS}?visibility=x"))
        .await
        .problem(422);
}

#[tokio::test]
async fn every_change_is_on_record_with_what_it_changed() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    let mut body = wish("Terrain", "otto");
    body["id"] = json!(NEW);
    ada.post(DATASETS, body.clone()).await;
    body["owner"] = json!("mo");
    body["visibility"] = json!("public");
    body["reader_users"] = json!(["otto"]);
    ada.put(&at(NEW), body.clone()).await;
    ada.put(&at(NEW), body).await;
    ada.put(&(at(NEW) + "/shares/roles/admin"), json!({})).await;
    ada.get(DATASETS).await;
    ada.get(&at(UNKNOWN)).await;
    ada.delete(&at(NEW)).await;
    let records = records(&server).await;
    let told: Vec<String> = records
        .iter()
        .filter(|record| record["event"] == "administer")
        .map(|record| {
            let word = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", word("action"), word("outcome"), word("reason"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "administer granted made the dataset \"Terrain\"",
            "administer granted changed visibility from private to public, owner from otto to mo, \
             reader_users +otto -mo",
            "administer granted changed nothing: the dataset is so already",
            "administer granted changed reader_roles +admin",
            "view_datasets granted -",
            "administer refused there is no such dataset",
            "administer granted removed the dataset \"Terrain\"",
        ]
    );
    let of_new = records.iter().filter(|record| record["dataset_id"] == NEW);
    assert_eq!(of_new.count(), 5);
    let unknown = records
        .iter()
        .filter(|record| record["dataset_id"] == UNKNOWN);
    assert_eq!(unknown.count(), 1);
}

#[tokio::test]
async fn what_is_made_through_one_replica_is_there_at_the_other() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let ada = Desk::of(&server, "ada").await;
    let mut body = wish("Terrain", "otto");
    body["id"] = json!(NEW);
    body["visibility"] = json!("public");
    assert_eq!(ada.post(DATASETS, body).await.status, 201);
    crate::eventually(async || {
        replica
            .get(&format!("/datasets/{NEW}"))
            .send()
            .await
            .unwrap()
            .status()
            == 200
    })
    .await;
    assert!(!CATALOG.contains(NEW));
}
