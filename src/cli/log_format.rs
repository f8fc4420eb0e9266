//! The form of log lines: that of `tracing_subscriber`, with the span of the current request.
//!
//! The access log has a line for each request, so that in JSON it is written here, in the same form, without the
//! general formatter. Other lines are rare.

use std::cell::RefCell;
use std::fmt::{self, Write};

use chrono::{DateTime, SecondsFormat};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::domain::clock::Clock;
use crate::domain::request_ids::RequestIds;
use crate::http::server::ACCESS_LOG;

/// Formats events with the ids of the request that they belong to.
pub(super) struct WithRequest<F> {
    inner: F,
    is_json: bool,
    clock: Clock,
}

impl<F> WithRequest<F> {
    /// Formats as `inner` does, which writes JSON or text.
    pub(super) fn new(inner: F, is_json: bool) -> Self {
        Self {
            inner,
            is_json,
            clock: Clock::system(),
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithRequest<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.is_json && event.metadata().target() == ACCESS_LOG {
            return write_json(&mut writer, event, &self.clock);
        }
        let format = || self.inner.format_event(context, writer, event);
        match RequestIds::current() {
            Some(ids) => ids.span().in_scope(format),
            None => format(),
        }
    }
}

thread_local! {
    /// The line that is being written; its memory is used again.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// The second that was written last, without its fraction and `Z`.
    static LAST_SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Writes an event as the JSON formatter does with flattened fields and the current span.
fn write_json(writer: &mut Writer<'_>, event: &Event<'_>, clock: &Clock) -> fmt::Result {
    LINE.with_borrow_mut(|line| {
        line.clear();
        let metadata = event.metadata();
        line.push_str("{\"timestamp\":\"");
        push_timestamp(line, clock.unix_micros())?;
        line.push_str("\",\"level\":\"");
        line.push_str(metadata.level().as_str());
        line.push('"');
        event.record(&mut JsonFields(line));
        line.push_str(",\"target\":");
        push_text(line, metadata.target());
        RequestIds::with_current(|ids| {
            line.push_str(",\"span\":{");
            if let Some(id) = &ids.client_request_id {
                line.push_str("\"client_request_id\":");
                push_text(line, id);
                line.push(',');
            }
            line.push_str("\"request_id\":");
            push_text(line, &ids.request_id);
            line.push_str(",\"name\":\"request\"}");
        });
        line.push_str("}\n");
        writer.write_str(line)
    })
}

/// Writes the fields of an event as members of an object that has some already.
struct JsonFields<'l>(&'l mut String);

impl JsonFields<'_> {
    /// Begins a member and returns where its value is written.
    fn member(&mut self, field: &Field) -> &mut String {
        self.0.push(',');
        push_text(self.0, field.name());
        self.0.push(':');
        self.0
    }
}

impl Visit for JsonFields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        push_integer(self.member(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        push_integer(self.member(field), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field)
            .push_str(if value { "true" } else { "false" });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        push_text(self.member(field), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let line = self.member(field);
        line.push('"');
        // A value that fails to be written is written as far as it got.
        let _ = write!(Escaped(line), "{value:?}");
        line.push('"');
    }
}

fn push_integer(line: &mut String, value: impl fmt::Display) {
    // A string takes whatever is written.
    let _ = write!(line, "{value}");
}

/// Writes a JSON string.
fn push_text(line: &mut String, text: &str) {
    line.push('"');
    push_escaped(line, text);
    line.push('"');
}

/// Writes the inside of a JSON string (RFC 8259 section 7).
fn push_escaped(line: &mut String, text: &str) {
    // Nearly all have nothing to escape.
    if !text.bytes().any(is_special) {
        line.push_str(text);
        return;
    }
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\x08' => line.push_str("\\b"),
            '\x0c' => line.push_str("\\f"),
            '\0'..='\x1f' => {
                let _ = write!(line, "\\u{:04x}", u32::from(character));
            }
            other => line.push(other),
        }
    }
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// The inside of a JSON string, for what is formatted.
struct Escaped<'l>(&'l mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

/// Writes a time in microseconds since 1970 UTC in the form of RFC 3339.
fn push_timestamp(line: &mut String, unix_micros: i64) -> fmt::Result {
    let second = unix_micros.div_euclid(1_000_000);
    LAST_SECOND.with_borrow_mut(|(last, text)| {
        if *last != second {
            let time = DateTime::from_timestamp(second, 0).ok_or(fmt::Error)?;
            *text = time.to_rfc3339_opts(SecondsFormat::Secs, true);
            text.pop();
            *last = second;
        }
        line.push_str(text);
        Ok::<_, fmt::Error>(())
    })?;
    write!(line, ".{:06}Z", unix_micros.rem_euclid(1_000_000))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line of an access as it is written here or by the general formatter, without its time.
    fn line(is_own: bool, ids: &RequestIds) -> (String, Value) {
        let lines = Lines::default();
        let to = lines.clone();
        let json = || tracing_subscriber::fmt::format().json().flatten_event(true);
        let layer = tracing_subscriber::fmt::layer()
            .json()
            .event_format(WithRequest::new(json().with_span_list(false), is_own))
            .with_writer(move || to.clone());
        let log = || {
            tracing::info!(
                target: ACCESS_LOG,
                method = %"GET",
                path = "/a\"b\\c\n\u{1}\u{7f}\u{e9}",
                status = 200_u16,
                content_length = None::<u64>,
                millis = -1_i64,
                is_probe = true,
                "answered"
            );
        };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            if is_own {
                RequestIds::in_scope(Some(ids.clone()), log);
            } else {
                ids.span().in_scope(log);
            }
        });
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap();
        let time = value.as_object_mut().unwrap().remove("timestamp").unwrap();
        (time.as_str().unwrap().to_owned(), value)
    }

    #[test]
    fn an_access_line_is_what_the_general_formatter_writes() {
        for client_request_id in [None, Some("x-1".into())] {
            let ids = RequestIds {
                request_id: "0190".into(),
                client_request_id,
            };
            let (time, own) = line(true, &ids);
            let (general_time, general) = line(false, &ids);
            assert_eq!(own["span"]["request_id"], "0190");
            assert_eq!(own.to_string(), general.to_string());
            assert_eq!(time.len(), general_time.len());
            assert_eq!(time[..11], general_time[..11]);
        }
    }

    #[test]
    fn a_time_has_microseconds() {
        for (unix_micros, expected) in [
            (1_772_366_400_000_001, "2026-03-01T12:00:00.000001Z"),
            (1_772_366_400_999_999, "2026-03-01T12:00:00.999999Z"),
            (1_772_366_401_000_000, "2026-03-01T12:00:01.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            let mut text = String::new();
            push_timestamp(&mut text, unix_micros).unwrap();
            assert_eq!(text, expected);
        }
    }
}
