//! The log writer: a thread writes the log lines, so that no request waits for whoever reads them.
//!
//! A pipe that nobody reads blocks its writer. Lines wait in a bounded queue; when it is full they are
//! dropped and counted, and the log says how many once it is read again. Those that come close after each other
//! are written together, so that the thread is not woken for each.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::http::server::ACCESS_LOG;

/// The most lines that wait to be written.
const MAX_QUEUED_LINES: usize = 8192;
/// The most bytes of lines that wait to be written.
const MAX_QUEUED_BYTES: usize = 2 * 1024 * 1024;
/// The largest buffer that is kept for later lines, in bytes.
const MAX_KEPT_CAPACITY: usize = 256 * 1024;
/// How long the end of the program waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// How long lines of the access log are collected after others were written, so that a thousand requests do not wake
/// the thread a thousand times; any other line ends it at once.
const COLLECT_TIME: Duration = Duration::from_millis(5);

/// Queues log lines for the thread that writes them.
#[derive(Clone)]
pub(super) struct LogWriter {
    shared: Arc<Shared>,
    counts: Arc<Counts>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the thread.
    filled: Condvar,
    /// Wakes whoever waits for the last lines.
    written: Condvar,
    counts: Arc<Counts>,
}

/// The lines that wait.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
    /// How many lines the thread has taken and not written yet.
    taken: usize,
    is_urgent: bool,
    is_thread_waiting: bool,
}

#[derive(Default)]
struct Counts {
    /// Those that are being written included.
    queued_bytes: AtomicUsize,
    /// The dropped lines that the log has not told of yet.
    dropped: AtomicU64,
}

impl LogWriter {
    /// Starts the thread that writes to `output`.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let counts = Arc::<Counts>::default();
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            counts: Arc::clone(&counts),
        });
        let lines = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(output, &lines))?;
        Ok(Self { shared, counts })
    }

    /// Waits until the queued lines are written, but only for a moment.
    pub(super) fn flush(&self) {
        self.flush_within(FLUSH_TIMEOUT);
    }

    fn flush_within(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let Shared {
            queue,
            filled,
            written,
            ..
        } = &*self.shared;
        let mut queue = queue.lock();
        while !queue.ends.is_empty() || queue.taken > 0 {
            queue.is_urgent = true;
            filled.notify_one();
            if written.wait_until(&mut queue, deadline).timed_out() {
                return;
            }
        }
    }
}

impl Shared {
    /// Queues a line, if there is room.
    fn enqueue(&self, line: &[u8], is_urgent: bool) -> bool {
        let mut queue = self.queue.lock();
        let queued = &self.counts.queued_bytes;
        let bytes = queued.load(Ordering::Relaxed).saturating_add(line.len());
        let lines = queue.ends.len() + queue.taken;
        if bytes > MAX_QUEUED_BYTES || lines >= MAX_QUEUED_LINES {
            return false;
        }
        queued.store(bytes, Ordering::Relaxed);
        queue.bytes.extend_from_slice(line);
        let end = queue.bytes.len();
        queue.ends.push(end);
        queue.is_urgent |= is_urgent;
        // A thread that collects lines looks again by itself.
        let must_wake = queue.is_thread_waiting || is_urgent;
        drop(queue);
        if must_wake {
            self.filled.notify_one();
        }
        true
    }

    /// Waits for lines and takes them all. `last` is when the last ones were written, and whether they were: if not,
    /// it is of no use to tell of it.
    fn take(&self, last: (Instant, bool)) -> Batch {
        let mut queue = self.queue.lock();
        let (written_at, was_written) = last;
        let collected = written_at + COLLECT_TIME;
        while !queue.is_urgent && !self.filled.wait_until(&mut queue, collected).timed_out() {}
        if was_written && queue.ends.is_empty() && self.counts.dropped.load(Ordering::Relaxed) > 0 {
            MutexGuard::unlocked(&mut queue, || tell_of_dropped(&self.counts));
        }
        while queue.ends.is_empty() && !queue.is_urgent {
            queue.is_thread_waiting = true;
            self.filled.wait(&mut queue);
        }
        queue.is_thread_waiting = false;
        queue.is_urgent = false;
        queue.taken = queue.ends.len();
        Batch {
            bytes: std::mem::take(&mut queue.bytes),
            ends: std::mem::take(&mut queue.ends),
        }
    }

    /// Notes that what was taken is written.
    fn settle(&self, batch: &mut Batch) {
        let written = batch.bytes.len();
        batch.clear();
        let mut queue = self.queue.lock();
        queue.taken = 0;
        self.counts
            .queued_bytes
            .fetch_sub(written, Ordering::Relaxed);
        // The memory is used again, unless lines came meanwhile or it was much.
        if queue.ends.is_empty() && batch.bytes.capacity() <= MAX_KEPT_CAPACITY {
            std::mem::swap(&mut queue.bytes, &mut batch.bytes);
            std::mem::swap(&mut queue.ends, &mut batch.ends);
        }
        drop(queue);
        self.written.notify_all();
    }
}

/// Lines that are written together.
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

impl Counts {
    fn count_dropped(&self) {
        metrics::counter!("cedargate_log_lines_dropped_total").increment(1);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes lines as long as the program runs.
fn write_lines(mut output: impl Write, shared: &Shared) {
    let mut last = (Instant::now(), true);
    loop {
        let mut batch = shared.take(last);
        let lines: Vec<IoSlice<'_>> = batch.lines().map(IoSlice::new).collect();
        let unwritten = write_all(&mut output, lines);
        for _ in 0..unwritten {
            shared.counts.count_dropped();
        }
        let _ = output.flush();
        last = (Instant::now(), unwritten == 0);
        shared.settle(&mut batch);
    }
}

/// Writes lines with as few calls as possible; returns how many were not written.
fn write_all(output: &mut impl Write, mut lines: Vec<IoSlice<'_>>) -> usize {
    let mut left = lines.as_mut_slice();
    while !left.is_empty() {
        match output.write_vectored(left) {
            Ok(0) => return left.len(),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return left.len(),
        }
    }
    0
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
        LineWriter {
            log: self,
            is_urgent: true,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter {
            log: self,
            is_urgent: metadata.target() != ACCESS_LOG || *metadata.level() <= Level::WARN,
        }
    }
}

/// Writes one line to the queue; it never blocks and never fails.
pub(super) struct LineWriter<'a> {
    log: &'a LogWriter,
    is_urgent: bool,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.log.shared.enqueue(line, self.is_urgent) {
            self.log.counts.count_dropped();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender};

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

    #[test]
    fn lines_that_come_together_are_written_in_their_order_and_a_flush_waits_for_all() {
        let (writer, read, permits) = stalled();
        for _ in 0..2_000 {
            permits.send(()).unwrap();
        }
        for number in 0..1_000 {
            let line = format!("line {number}\n");
            writer.make_writer().write_all(line.as_bytes()).unwrap();
        }
        writer.flush_within(Duration::from_mins(1));
        for number in 0..1_000 {
            assert_eq!(read.try_recv().unwrap(), format!("line {number}\n"));
        }
        assert_eq!(writer.counts.queued_bytes.load(Ordering::Relaxed), 0);
    }
}
