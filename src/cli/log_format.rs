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
        let request = RequestIds::current();
        if self.is_json && event.metadata().target() == ACCESS_LOG {
            return write_json(&mut writer, event, request.as_ref(), &self.clock);
        }
        let format = || self.inner.format_event(context, writer, event);
        match request {
            Some(ids) => ids.span().in_scope(format),
            None => format(),
        }
    }
}

/// Writes an event as the JSON formatter does with flattened fields and the current span.
fn write_json(
    writer: &mut Writer<'_>,
    event: &Event<'_>,
    request: Option<&RequestIds>,
    clock: &Clock,
) -> fmt::Result {
    let metadata = event.metadata();
    writer.write_str("{\"timestamp\":\"")?;
    write_timestamp(writer, clock.unix_micros())?;
    write!(writer, "\",\"level\":\"{}\"", metadata.level())?;
    let mut fields = JsonFields {
        writer,
        result: Ok(()),
    };
    event.record(&mut fields);
    let JsonFields { writer, result } = fields;
    result?;
    writer.write_str(",\"target\":")?;
    write_text(writer, metadata.target())?;
    if let Some(ids) = request {
        writer.write_str(",\"span\":{")?;
        if let Some(id) = &ids.client_request_id {
            writer.write_str("\"client_request_id\":")?;
            write_text(writer, id)?;
            writer.write_char(',')?;
        }
        writer.write_str("\"request_id\":")?;
        write_text(writer, &ids.request_id)?;
        writer.write_str(",\"name\":\"request\"}")?;
    }
    writer.write_str("}\n")
}

/// Writes the fields of an event as members of an object that has some already.
struct JsonFields<'w, 'a> {
    writer: &'w mut Writer<'a>,
    result: fmt::Result,
}

impl JsonFields<'_, '_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let writer = &mut *self.writer;
        self.result = self.result.and_then(|()| {
            writer.write_char(',')?;
            write_text(writer, field.name())?;
            writer.write_char(':')?;
            value(writer)
        });
    }
}

impl Visit for JsonFields<'_, '_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |writer| write_text(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

/// Writes a JSON string.
fn write_text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaped(writer).write_str(text)?;
    writer.write_char('"')
}

/// The inside of a JSON string (RFC 8259 section 7).
struct Escaped<'w, 'a>(&'w mut Writer<'a>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f')) {
            let (plain, special) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = special.chars();
            match characters.next() {
                Some('"') => self.0.write_str("\\\"")?,
                Some('\\') => self.0.write_str("\\\\")?,
                Some('\n') => self.0.write_str("\\n")?,
                Some('\r') => self.0.write_str("\\r")?,
                Some('\t') => self.0.write_str("\\t")?,
                Some('\x08') => self.0.write_str("\\b")?,
                Some('\x0c') => self.0.write_str("\\f")?,
                Some(other) => write!(self.0, "\\u{:04x}", u32::from(other))?,
                None => {}
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

thread_local! {
    /// The second that was written last, without its fraction and `Z`.
    static LAST_SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Writes a time in microseconds since 1970 UTC in the form of RFC 3339.
fn write_timestamp(writer: &mut Writer<'_>, unix_micros: i64) -> fmt::Result {
    let second = unix_micros.div_euclid(1_000_000);
    LAST_SECOND.with_borrow_mut(|(last, text)| {
        if *last != second {
            let time = DateTime::from_timestamp(second, 0).ok_or(fmt::Error)?;
            *text = time.to_rfc3339_opts(SecondsFormat::Secs, true);
            text.pop();
            *last = second;
        }
        writer.write_str(text)
    })?;
    write!(writer, ".{:06}Z", unix_micros.rem_euclid(1_000_000))
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
            write_timestamp(&mut Writer::new(&mut text), unix_micros).unwrap();
            assert_eq!(text, expected);
        }
    }
}
