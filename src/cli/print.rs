//! Printing: data to standard output, messages to standard error. Nothing else in the crate prints;
//! logs go through `tracing`.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indicatif::{ProgressBar, ProgressStyle};

/// The time between two updates of a progress bar.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
const RED: &str = "\x1b[1;31m";
const CYAN: &str = "\x1b[1;36m";

/// Prints one piece of data and a line end to standard output.
///
/// A reader that stops early (`cedargate ... | head`) is no error; a full disk is.
pub(super) fn data(text: impl Display) -> io::Result<()> {
    write_data(io::stdout().lock(), &text)
}

/// Whether messages to standard error are coloured: on a terminal, unless `NO_COLOR` is set.
///
/// <https://no-color.org>: any value but the empty one switches colours off.
pub(super) fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A buffered writer to standard output, for data of many pieces; flush it at the end.
pub(super) fn data_writer() -> impl Write {
    io::BufWriter::new(io::stdout().lock())
}

/// Prints what went wrong to standard error, as `error: ...`.
pub(super) fn error(text: impl Display) {
    message(RED, "error:", &text);
}

/// Prints what to do about it to standard error, as `hint: ...`.
pub(super) fn hint(text: impl Display) {
    message(CYAN, "hint:", &text);
}

/// Prints a message that is neither data nor an error to standard error.
pub(super) fn note(text: impl Display) {
    // There is nowhere to report that standard error is closed.
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// An empty table without borders.
pub(super) fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header);
    table
}

/// A progress bar on standard error; only a terminal shows it.
pub(super) fn progress(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}");
    let bar = ProgressBar::new(0)
        .with_message(what)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(PROGRESS_INTERVAL);
    bar
}

/// Prints a prompt to standard error; the answer is typed on the same line.
pub(super) fn prompt(text: impl Display) {
    let mut to = io::stderr().lock();
    write!(to, "{text}").and_then(|()| to.flush()).ok();
}

fn message(color: &str, word: &str, text: &dyn Display) {
    let color = is_coloured().then_some(color);
    write_message(io::stderr().lock(), color, word, text).ok();
}

fn write_data(mut to: impl Write, text: &dyn Display) -> io::Result<()> {
    match writeln!(to, "{text}").and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn write_message(
    mut to: impl Write,
    color: Option<&str>,
    word: &str,
    text: &dyn Display,
) -> io::Result<()> {
    match color {
        Some(color) => writeln!(to, "{color}{word}\x1b[0m {text}"),
        None => writeln!(to, "{word} {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that fails every write with an error of one kind.
    struct FailingWriter(ErrorKind);

    impl Write for FailingWriter {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn data_ends_its_line() {
        let mut written = Vec::new();
        write_data(&mut written, &"{}").unwrap();
        assert_eq!(written, b"{}\n");
    }

    #[test]
    fn a_reader_that_stops_early_is_no_error_but_a_full_disk_is() {
        assert!(write_data(FailingWriter(ErrorKind::BrokenPipe), &"x").is_ok());
        assert!(write_data(FailingWriter(ErrorKind::StorageFull), &"x").is_err());
    }

    #[test]
    fn messages_are_plain_away_from_a_terminal() {
        let mut written = Vec::new();
        write_message(&mut written, None, "error:", &"no such file").unwrap();
        assert_eq!(written, b"error: no such file\n");
        written.clear();
        write_message(&mut written, Some(RED), "error:", &"x").unwrap();
        assert_eq!(written, b"\x1b[1;31merror:\x1b[0m x\n");
    }
}
