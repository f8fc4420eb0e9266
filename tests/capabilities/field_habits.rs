//! What clients, orchestrators and people do in the field, and other products have had trouble with.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use cedargate::policy::Bundle;
use serde_json::json;

use crate::policy_reload::{health, server_on};
use crate::support::admin_client::AdminClient;
use crate::support::cli::{copy_folder, copy_of_shipped_policies, repository};
use crate::support::eventually;
use crate::support::server::{
    INTERNAL, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse, WITHOUT_FILE, decode_part,
};

fn revision_of(folder: &Path) -> String {
    Bundle::load(folder).unwrap().revision().to_string()
}

/// Puts one version of the policies into a folder as Kubernetes does with a `ConfigMap`: the files are links into
/// `..data`, itself a link to the folder of the version, which is replaced in one step.
fn swap_version(volume: &Path, version: &str, change: impl Fn(&Path)) {
    let content = volume.join(version);
    copy_folder(&repository().join("policies"), &content);
    change(&content);
    let next = volume.join("..data_tmp");
    symlink(version, &next).unwrap();
    fs::rename(next, volume.join("..data")).unwrap();
    for entry in fs::read_dir(&content).unwrap() {
        let name = entry.unwrap().file_name();
        if volume.join(&name).symlink_metadata().is_err() {
            symlink(Path::new("..data").join(&name), volume.join(&name)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_swapped_volume_of_policies_comes_into_force() {
    let volume = tempfile::tempdir().unwrap();
    swap_version(volume.path(), "..2026_first", |_| {});
    let server = server_on(volume.path(), "off", "off").await;
    let first = health(&server).await["revision"].clone();
    assert_eq!(first, revision_of(volume.path()));
    swap_version(volume.path(), "..2026_second", |content| {
        let path = content.join("public.cedar");
        let text = fs::read_to_string(&path).unwrap();
        let shortened = text.replace("permit (", "@max_ttl(\"30\")\npermit (");
        fs::write(&path, shortened).unwrap();
    });
    let second = revision_of(volume.path());
    assert_ne!(first, second);
    eventually(async || health(&server).await["revision"] == second).await;
    assert_eq!(server.mint(PUBLIC, None).await.json()["expires_in"], 30);
}

#[tokio::test]
async fn edits_of_the_schema_alone_and_renamed_and_deleted_policies_come_into_force() {
    let folder = copy_of_shipped_policies();
    let path_in = |name: &str| folder.path().join(name);
    let server = server_on(folder.path(), "off", "off").await;
    let otto = server.session("otto").await;
    let is_live = async || {
        let revision = revision_of(folder.path());
        eventually(async || health(&server).await["revision"] == revision).await;
        server.mint(RESTRICTED, Some(&otto)).await.status
    };
    let schema = fs::read_to_string(path_in("schema.cedarschema")).unwrap();
    let edited = schema.replace(
        "\"issuer\"?: String,",
        "\"issuer\"?: String,\n  \"team\"?: String,",
    );
    assert_ne!(schema, edited);
    fs::write(path_in("schema.cedarschema"), edited).unwrap();
    assert_eq!(is_live().await, 403);
    fs::rename(path_in("discovery.cedar"), path_in("found.cedar")).unwrap();
    assert_eq!(is_live().await, 403);
    fs::remove_file(path_in("found.cedar")).unwrap();
    assert_eq!(is_live().await, 404);
}

#[tokio::test]
async fn an_id_with_percent_encoded_characters_is_the_same_id() {
    let server = Server::start().await;
    for written in [
        PUBLIC.replacen('2', "%32", 1),
        PUBLIC.replace('-', "%2D"),
        PUBLIC
            .replace('-', "%2d")
            .to_uppercase()
            .replace("%2D", "%2d"),
    ] {
        let token = server.mint(&written, None).await.token();
        let claims = decode_part(&token, 1);
        assert_eq!(claims["scope"], format!("dataset:{PUBLIC}"), "{written}");
        assert_eq!(
            server.download(&written, &token).await.status,
            200,
            "{written}"
        );
    }
}

#[tokio::test]
async fn the_scheme_of_a_credential_is_read_in_any_case() {
    let server = Server::start().await;
    let session = server.session("otto").await;
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        let minting = server.mint_request(INTERNAL);
        let minting = minting.header("authorization", format!("{scheme} {session}"));
        assert_eq!(TestResponse::send(minting).await.status, 200, "{scheme}");
    }
}

#[tokio::test]
async fn passwords_of_any_characters_sign_in() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let passwords = [
        "two lines\r\nof it, long enough".to_owned(),
        "with:colons:and:more".to_owned(),
        "plus+and%2Bpercent&equals=".to_owned(),
        "  blanks around it  ".to_owned(),
        "p".repeat(200),
    ];
    for (number, password) in passwords.iter().enumerate() {
        let name = format!("user{number}");
        let user = json!({"username": name, "password": password});
        assert_eq!(
            ada.post("/admin/users", user).await.status,
            201,
            "{password:?}"
        );
        assert_eq!(
            server.login(&name, password).await.status,
            200,
            "{password:?}"
        );
        let cut = &password[..password.len() - 1];
        server.login(&name, cut).await.problem(401);
    }
}

#[tokio::test]
async fn a_pipe_in_the_import_folder_is_refused_and_not_waited_for() {
    let imports = tempfile::tempdir().unwrap();
    let pipe = imports.path().join("pipe.tif");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_IMPORT_DIR", imports.path().display().to_string())],
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = format!("/admin/datasets/{WITHOUT_FILE}/file/import");
    let response = ada.post(&path, json!({"path": "pipe.tif"})).await;
    assert_eq!(response.problem_field(422), "path");
}
