//! `cedargate openapi`: the OpenAPI document, as `/openapi.json` serves it.

use crate::app::{App, Stores};
use crate::config::Settings;
use crate::domain::clock::Clock;

use super::{CommandError, ExitStatus, serve};

/// Prints the document; works on a throw-away data directory and touches no other.
pub(super) async fn run(settings: &Settings) -> Result<ExitStatus, CommandError> {
    let folder = tempfile::tempdir().map_err(CommandError::new)?;
    let mut settings = settings
        .with_data_dir(folder.path())
        .ok_or_else(|| CommandError::new("the temporary folder has no usable name"))?;
    // The document does not depend on the policies, so none are judged for it.
    settings.policy_dir = None;
    let stores = Stores::open(&settings).await.map_err(serve::app_error)?;
    let app = App::open(&settings, stores, Clock::system())
        .await
        .map_err(serve::app_error)?;
    let document =
        serde_json::to_string_pretty(&app.openapi_document()).map_err(CommandError::new)?;
    app.close().await;
    super::print_data(document)
}
