//! Logging to standard error: text on a terminal, JSON Lines otherwise.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Settings};

use super::log_format::WithRequest;
use super::log_writer::LogWriter;
use super::outcome::CommandError;

/// Starts logging at the level and in the format of the settings; panics are logged too.
pub(super) fn start(settings: &Settings) -> Result<LogWriter, CommandError> {
    let filter = EnvFilter::new(settings.log_level.to_string());
    let is_json = match settings.log_format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    // A copy of the descriptor: whoever holds the lock of standard error may be stalled.
    let output = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let writer = LogWriter::start(output)?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if is_json {
        let format = fmt::format()
            .json()
            .flatten_event(true)
            .with_span_list(false);
        let layer = fmt::layer()
            .json()
            .event_format(WithRequest::new(format, true))
            .with_writer(writer.clone());
        registry.with(layer).try_init()
    } else {
        let is_coloured = io::stderr().is_terminal();
        let layer = fmt::layer()
            .with_ansi(is_coloured)
            .event_format(WithRequest::new(fmt::format(), false))
            .with_writer(writer.clone());
        registry.with(layer).try_init()
    };
    started.map_err(|error| CommandError::new(format!("cannot start logging: {error}")))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(writer)
}

/// Logs a panic; the usual hook would write to standard error itself, and wait for its reader.
fn log_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    let message = info.payload_as_str().unwrap_or("a value that is not text");
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(location, %backtrace, "panicked: {message}");
}
