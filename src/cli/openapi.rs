//! `cedargate openapi`: the OpenAPI document, as `/openapi.json` serves it.

use crate::app::{App, Stores};
use crate::config::Settings;
use crate::domain::clock::Clock;

use super::{Ending, Failure, serve};

/// Prints the document; works on a throw-away data directory and touches no other.
pub(super) async fn show(settings: &Settings) -> Result<Ending, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::new)?;
    let mut settings = settings
        .in_data_dir(folder.path())
        .ok_or_else(|| Failure::new("the temporary folder has no usable name"))?;
    // The document does not depend on the policies, so none are judged for it.
    settings.policy_dir = None;
    let stores = Stores::open(&settings).await.map_err(serve::explain)?;
    let app = App::open(&settings, stores, Clock::system())
        .await
        .map_err(serve::explain)?;
    let document = serde_json::to_string_pretty(&app.openapi_document()).map_err(Failure::new)?;
    app.close().await;
    super::show(document)
}
