//! The page that `serve --demo` prints: URLs, users, datasets and example commands.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::domain::dataset::{RecordStatus, Visibility};
use crate::service::catalog::demo::Demo;

/// The page, as plain text, with what is to say of the policies in force.
pub(super) fn render(demo: &Demo, address: SocketAddr, policies: &str) -> String {
    let url = format!("http://{address}");
    let mut page = String::new();
    let _ = writeln!(page, "\nCedargate is running, with a demo catalog.\n");
    let _ = writeln!(page, "{}\n", policies.trim_end());
    let _ = writeln!(page, "  Docs UI   {url}/docs");
    let _ = writeln!(page, "  Datasets  {url}/");
    let _ = writeln!(page, "  Workbench {url}/workbench");
    let _ = writeln!(page, "  Key set   {url}/.well-known/jwks.json");
    let _ = writeln!(page, "  Health    {url}/health/ready\n");
    let _ = writeln!(
        page,
        "Users (these passwords are for this data directory only):\n"
    );
    for person in &demo.users {
        let password = person.password.reveal();
        let _ = writeln!(
            page,
            "  {:<8} {password}   {}",
            person.username.as_str(),
            person.description
        );
    }
    let _ = writeln!(page, "\nDatasets:\n");
    for dataset in &demo.datasets {
        let _ = writeln!(page, "  {}  {}", dataset.id, dataset.title);
        let _ = writeln!(page, "  {:36}  {}", "", dataset.description);
    }
    write_commands(&mut page, demo, &url);
    let _ = writeln!(
        page,
        "Stop with Ctrl-C; the keys, passwords and catalog are kept for the next start."
    );
    page
}

fn write_commands(page: &mut String, demo: &Demo, url: &str) {
    let find = |visibility| {
        demo.datasets.iter().find(|dataset| {
            dataset.visibility == visibility && dataset.record_status == RecordStatus::Published
        })
    };
    let (Some(public), Some(restricted)) = (find(Visibility::Public), find(Visibility::Restricted))
    else {
        return;
    };
    let Some(member) = demo.users.iter().find(|person| person.has_shared_role) else {
        return;
    };
    let read_token = "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"token\"])'";
    let read_session =
        "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"access_token\"])'";
    let (public, restricted) = (public.id, restricted.id);
    let (username, password) = (&member.username, member.password.reveal());
    let _ = writeln!(
        page,
        "\nPaste these commands into another shell.\n\n\
         Mint a download token for the public dataset, anonymously:\n\n    \
         TOKEN=$(curl -sS -X POST {url}/auth/download-token/{public} | {read_token}); echo \"$TOKEN\"\n\n\
         Download with the token (it is valid for two minutes):\n\n    \
         curl -sS -o jacksboro.tif \"{url}/datasets/{public}/download/cog?token=$TOKEN\" && ls -l jacksboro.tif\n\n\
         Sign in as {username}, and mint a token for the restricted dataset:\n\n    \
         SESSION=$(curl -sS -d username={username} -d password={password} {url}/auth/login | {read_session})\n    \
         curl -sS -X POST -H \"Authorization: Bearer $SESSION\" {url}/auth/download-token/{restricted}; echo\n\n\
         Open the public dataset with GDAL, or with rasterio (pip install rasterio):\n\n    \
         TOKEN=$(curl -sS -X POST {url}/auth/download-token/{public} | {read_token})\n    \
         GDAL_DISABLE_READDIR_ON_OPEN=EMPTY_DIR gdalinfo \"/vsicurl/{url}/datasets/{public}/download/cog?token=$TOKEN\"\n    \
         GDAL_DISABLE_READDIR_ON_OPEN=EMPTY_DIR rio info \"/vsicurl/{url}/datasets/{public}/download/cog?token=$TOKEN\"\n",
    );
}
