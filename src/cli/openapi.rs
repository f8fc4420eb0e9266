//! `cedargate openapi`: the OpenAPI document, as `/openapi.json` serves it.

use crate::app::{App, Stores};
use crate::config::Settings;
use crate::domain::clock::Clock;

use super::outcome::{CommandError, CommandResult, print_json};

/// Prints the document; works in a temporary data directory and touches no other.
pub(super) async fn run(settings: &Settings) -> CommandResult {
    let folder = tempfile::tempdir()?;
    let mut settings = settings
        .with_data_dir(folder.path())
        .ok_or_else(|| CommandError::new("the path of the temporary folder is not UTF-8"))?;
    // The document does not depend on the policies, so none are loaded for it.
    settings.policy_dir = None;
    let stores = Stores::open(&settings).await?;
    let app = App::open(&settings, stores, Clock::system()).await?;
    let document = app.openapi_document();
    app.close().await;
    print_json(&document)
}
