//! Logging to standard error: text on a terminal, JSON Lines otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Settings};

use super::outcome::CommandError;

/// Starts logging at the level and in the format of the settings.
pub(super) fn start(settings: &Settings) -> Result<(), CommandError> {
    let filter = EnvFilter::new(settings.log_level.to_string());
    let is_json = match settings.log_format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let started = if is_json {
        let layer = fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_writer(std::io::stderr);
        registry.with(layer).try_init()
    } else {
        let layer = fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        registry.with(layer).try_init()
    };
    started.map_err(|error| CommandError::new(format!("cannot start logging: {error}")))
}
