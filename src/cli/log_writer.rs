//! The log writer: a thread writes the log lines, so that no request waits for whoever reads them.
//!
//! A pipe that nobody reads blocks its writer. Lines wait in a bounded queue; when it is full they are
//! dropped and counted, and the log says how many once it is read again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// The most lines that wait to be written.
const MAX_QUEUED_LINES: usize = 8192;
/// The most bytes of lines that wait to be written.
const MAX_QUEUED_BYTES: usize = 2 * 1024 * 1024;
/// How long the end of the program waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// How often it is tried again whether a full queue has room.
const QUEUE_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Queues log lines for the thread that writes them.
#[derive(Clone)]
pub(super) struct LogWriter {
    queue: SyncSender<Entry>,
    counts: Arc<Counts>,
}

enum Entry {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

#[derive(Default)]
struct Counts {
    queued_bytes: AtomicUsize,
    /// The dropped lines that the log has not told of yet.
    dropped: AtomicU64,
}

impl LogWriter {
    /// Starts the thread that writes to `output`.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, lines) = sync_channel(MAX_QUEUED_LINES);
        let counts = Arc::<Counts>::default();
        let thread_counts = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(output, &lines, &thread_counts))?;
        Ok(Self { queue, counts })
    }

    /// Waits until the queued lines are written, but only for a moment.
    pub(super) fn flush(&self) {
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        let (written, is_written) = sync_channel(1);
        while self.queue.try_send(Entry::Flush(written.clone())).is_err() {
            if Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(QUEUE_RETRY_INTERVAL);
        }
        let _ = is_written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }

    fn enqueue(&self, line: &[u8]) {
        let queued = &self.counts.queued_bytes;
        let before = queued.fetch_add(line.len(), Ordering::Relaxed);
        let has_room = before.saturating_add(line.len()) <= MAX_QUEUED_BYTES;
        if !has_room || self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            queued.fetch_sub(line.len(), Ordering::Relaxed);
            self.counts.count_dropped();
        }
    }
}

impl Counts {
    fn count_dropped(&self) {
        metrics::counter!("cedargate_log_lines_dropped_total").increment(1);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes lines as long as there may be any.
fn write_lines(mut output: impl Write, lines: &Receiver<Entry>, counts: &Counts) {
    loop {
        let entry = match lines.try_recv() {
            Ok(entry) => entry,
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                tell_of_dropped(counts);
                match lines.recv() {
                    Ok(entry) => entry,
                    Err(_) => return,
                }
            }
        };
        match entry {
            Entry::Line(line) => {
                if output.write_all(&line).is_err() {
                    counts.count_dropped();
                }
                counts.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            }
            Entry::Flush(written) => {
                let _ = output.flush();
                let _ = written.try_send(());
            }
        }
    }
}

/// Logs how many lines were dropped, now that the queue is empty.
fn tell_of_dropped(counts: &Counts) {
    let dropped = counts.dropped.swap(0, Ordering::Relaxed);
    if dropped > 0 {
        tracing::warn!(dropped, "log lines dropped: the log was not read in time");
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(self)
    }
}

/// Writes one line to the queue; it never blocks and never fails.
pub(super) struct LineWriter<'a>(&'a LogWriter);

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.enqueue(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    /// A pipe that is read when the test says so.
    struct Pipe {
        lines: Sender<String>,
        may_write: Receiver<()>,
    }

    impl Write for Pipe {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.may_write.recv().map_err(io::Error::other)?;
            let text = String::from_utf8_lossy(line).into_owned();
            self.lines.send(text).map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stalled() -> (LogWriter, Receiver<String>, Sender<()>) {
        let (lines, read) = std::sync::mpsc::channel();
        let (permits, may_write) = std::sync::mpsc::channel();
        let writer = LogWriter::start(Pipe { lines, may_write }).unwrap();
        (writer, read, permits)
    }

    #[test]
    fn lines_beyond_the_queue_are_dropped_and_counted_and_nobody_waits() {
        let (writer, read, permits) = stalled();
        for number in 0..MAX_QUEUED_LINES + 100 {
            let line = format!("line {number}\n");
            writer.make_writer().write_all(line.as_bytes()).unwrap();
        }
        writer.flush();
        let dropped = writer.counts.dropped.load(Ordering::Relaxed);
        // One line may be with the thread already.
        assert!((98..=200).contains(&dropped), "{dropped}");
        permits.send(()).unwrap();
        assert_eq!(read.recv().unwrap(), "line 0\n");
        drop(permits);
    }

    #[test]
    fn a_few_enormous_lines_do_not_fill_the_memory() {
        let (writer, _read, _permits) = stalled();
        let line = vec![b'x'; MAX_QUEUED_BYTES / 2];
        for _ in 0..10 {
            writer.make_writer().write_all(&line).unwrap();
        }
        assert!(writer.counts.queued_bytes.load(Ordering::Relaxed) <= MAX_QUEUED_BYTES);
        assert!(writer.counts.dropped.load(Ordering::Relaxed) >= 8);
    }
}
