//! Event streams: the progress of long work and its result, as server-sent events (the HTML standard, section 9.2).
//!
//! What fails before the work is admitted is a plain problem. A client that goes away gives the work up: its end is
//! on record all the same.

use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use poem::http::{HeaderName, HeaderValue, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{ApiResponse, Object};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::DropGuard;

use crate::domain::request_ids::RequestIds;
use crate::service::error::ServiceError;
use crate::service::long_work::{LongWork, WorkProgress};

use super::problem::Problem;
use super::responses::{meta_response, text_header};

/// The media type of server-sent events.
const EVENT_STREAM: &str = "text/event-stream";
/// Asks nginx and its relatives to pass each event on at once.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// The least time between two events about the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// How long nothing is sent at most: proxies close connections on which nothing happens.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// When something is sent.
#[derive(Clone, Copy)]
struct Intervals {
    progress: Duration,
    keep_alive: Duration,
}
/// A comment, which clients ignore.
const COMMENT: &[u8] = b":\n\n";

/// How far the work is: the data of the event `progress`.
#[derive(Object)]
pub struct ProgressEvent {
    /// The number of steps that are done.
    pub done: u64,
    /// The number of all steps; 0 if it is not known.
    pub total: u64,
    /// What is being done.
    pub step: String,
}

/// How a stream ends, if nothing fails.
pub trait FinalEvent: Send + 'static {
    /// What the last event is, for the document: its name, and the schema of its data.
    const DESCRIPTION: &'static str;

    /// The name of the event.
    fn name(&self) -> &'static str;

    /// Its data as JSON.
    fn to_json_text(&self) -> String;

    /// Adds the schemas of its data to the document.
    fn register(registry: &mut Registry);
}

/// A 200 with a stream of events that ends with one of `T`, or with a problem.
pub struct EventStream<T> {
    response: Response,
    last: PhantomData<fn() -> T>,
}

/// What the stream is made of.
struct Followed<T> {
    progress: watch::Receiver<Option<WorkProgress>>,
    result: oneshot::Receiver<Result<T, ServiceError>>,
    intervals: Intervals,
    reported: Option<Instant>,
    is_over: bool,
    /// Gives the work up when the stream is dropped.
    _give_up: DropGuard,
}

impl<T: FinalEvent> EventStream<T> {
    /// Does long work in a task of its own, and follows it as soon as it is admitted.
    pub async fn follow<F>(operate: impl FnOnce(LongWork) -> F) -> Result<Self, Problem>
    where
        F: Future<Output = Result<T, ServiceError>> + Send + 'static,
    {
        let intervals = Intervals {
            progress: PROGRESS_INTERVAL,
            keep_alive: KEEP_ALIVE_INTERVAL,
        };
        Self::follow_every(intervals, operate).await
    }

    async fn follow_every<F>(
        intervals: Intervals,
        operate: impl FnOnce(LongWork) -> F,
    ) -> Result<Self, Problem>
    where
        F: Future<Output = Result<T, ServiceError>> + Send + 'static,
    {
        let (work, mut progress) = LongWork::new();
        let give_up = work.cancellation().clone().drop_guard();
        let (sender, mut result) = oneshot::channel();
        let (working, ids) = (operate(work), RequestIds::current());
        tokio::spawn(async move {
            let result = match ids {
                Some(ids) => ids.scope(working).await,
                None => working.await,
            };
            // A client that has gone needs no result.
            drop(sender.send(result));
        });
        let early = tokio::select! {
            biased;
            result = &mut result => Some(result),
            Ok(_) = progress.wait_for(Option::is_some) => None,
        };
        let body = match early {
            Some(Ok(Ok(last))) => Body::from_bytes(final_event(&last)),
            Some(Ok(Err(error))) => return Err(Problem::from(error)),
            Some(Err(_)) => return Err(work_panicked()),
            None => {
                progress.mark_changed();
                Body::from_bytes_stream(events(Followed {
                    progress,
                    result,
                    intervals,
                    reported: None,
                    is_over: false,
                    _give_up: give_up,
                }))
            }
        };
        Ok(Self {
            response: event_stream_response(body),
            last: PhantomData,
        })
    }
}

fn event_stream_response(body: Body) -> Response {
    let mut response = Response::builder().body(body);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, EVENT_STREAM),
        (header::CACHE_CONTROL, "no-store"),
        (X_ACCEL_BUFFERING, "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn events<T: FinalEvent>(
    followed: Followed<T>,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static {
    let events = stream::unfold(followed, |mut followed| async move {
        let event = followed.next().await?;
        Some((Ok(event), followed))
    });
    Box::pin(events)
}

impl<T: FinalEvent> Followed<T> {
    /// The next event, or a comment.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let (reported, intervals) = (self.reported, self.intervals);
        let progress = &mut self.progress;
        let reporting = async move {
            if let Some(reported) = reported {
                sleep(intervals.progress.saturating_sub(reported.elapsed())).await;
            }
            if progress.changed().await.is_err() {
                // The work is over, and its result is about to be there.
                std::future::pending::<()>().await;
            }
            *progress.borrow_and_update()
        };
        tokio::select! {
            biased;
            result = &mut self.result => {
                self.is_over = true;
                Some(match result {
                    Ok(Ok(last)) => final_event(&last),
                    Ok(Err(error)) => problem_event(Problem::from(error)),
                    Err(_) => problem_event(work_panicked()),
                })
            }
            progress = reporting => {
                self.reported = Some(Instant::now());
                Some(progress_event(progress.unwrap_or_default()))
            }
            () = sleep(intervals.keep_alive) => Some(Bytes::from_static(COMMENT)),
        }
    }
}

fn work_panicked() -> Problem {
    tracing::error!("long work panicked");
    Problem::internal()
}

fn progress_event(progress: WorkProgress) -> Bytes {
    let data = ProgressEvent {
        done: progress.done as u64,
        total: progress.total as u64,
        step: progress.step.to_owned(),
    };
    event("progress", &data.to_json_string())
}

fn final_event<T: FinalEvent>(last: &T) -> Bytes {
    event(last.name(), &last.to_json_text())
}

fn problem_event(problem: Problem) -> Bytes {
    event("problem", &problem.into_field_detail().to_json_string())
}

/// One event; `json` has no line ends, because they are escaped in JSON.
fn event(name: &str, json: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {json}\n\n"))
}

impl<T> IntoResponse for EventStream<T> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<T: FinalEvent> ApiResponse for EventStream<T> {
    fn meta() -> MetaResponses {
        // Programs take this for a schema of the whole stream, or of each event: it has no type.
        let schema = MetaSchema {
            description: Some("Server-sent events, each with its name and its data in JSON."),
            ..MetaSchema::ANY
        };
        let content = vec![MetaMediaType {
            content_type: EVENT_STREAM,
            schema: MetaSchemaRef::Inline(Box::new(schema)),
        }];
        let headers = vec![text_header("Cache-Control", "Always `no-store`.")];
        MetaResponses {
            responses: vec![meta_response(200, T::DESCRIPTION, content, headers)],
        }
    }

    fn register(registry: &mut Registry) {
        ProgressEvent::register(registry);
        T::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    struct Done(&'static str);

    impl FinalEvent for Done {
        const DESCRIPTION: &'static str = "x";

        fn name(&self) -> &'static str {
            "done"
        }

        fn to_json_text(&self) -> String {
            self.0.to_json_string()
        }

        fn register(_: &mut Registry) {}
    }

    async fn read(stream: EventStream<Done>) -> Vec<String> {
        let body = stream.into_response().into_body();
        let chunks = body.into_bytes_stream();
        chunks
            .map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap())
            .collect()
            .await
    }

    #[tokio::test]
    async fn a_stream_reports_no_more_than_it_may_and_comments_when_there_is_nothing() {
        let progress = Duration::from_millis(50);
        let intervals = Intervals {
            progress,
            keep_alive: Duration::from_millis(1),
        };
        let (finish, finished) = oneshot::channel();
        let begun = Instant::now();
        let stream = EventStream::follow_every(intervals, async move |work: LongWork| {
            work.begin("counting");
            for done in 1..=10_000 {
                work.report(done, 10_000);
                tokio::task::yield_now().await;
            }
            finished.await.unwrap();
            Ok(Done("x\ny"))
        });
        let body = stream.await.unwrap().into_response().into_body();
        let mut chunks = body.into_bytes_stream();
        let mut next = async || String::from_utf8(chunks.next().await.unwrap().unwrap().to_vec());
        let first = next().await.unwrap();
        assert!(
            first.starts_with("event: progress\ndata: {\"done\":"),
            "{first}"
        );
        assert!(first.ends_with(",\"step\":\"counting\"}\n\n"), "{first}");
        let (mut reports, mut comments) = (1, 0);
        loop {
            let event = next().await.unwrap();
            match &*event {
                ":\n\n" => comments += 1,
                _ => reports += 1,
            }
            if event.contains("\"done\":10000") {
                break;
            }
        }
        let most = begun.elapsed().as_millis() / progress.as_millis() + 1;
        assert!((2..=most).contains(&reports), "{reports} of {most}");
        assert!(comments > 0);
        assert_eq!(next().await.unwrap(), ":\n\n");
        finish.send(()).unwrap();
        let mut last = next().await.unwrap();
        while last == ":\n\n" {
            last = next().await.unwrap();
        }
        assert_eq!(last, "event: done\ndata: \"x\\ny\"\n\n");
        assert!(chunks.next().await.is_none());
    }

    #[tokio::test]
    async fn what_fails_before_the_work_is_admitted_is_a_plain_problem_and_an_event_afterwards() {
        const fn missing() -> ServiceError {
            ServiceError::NotFound { what: "draft" }
        }
        let refused = EventStream::<Done>::follow(async |_| Err(missing())).await;
        let Err(refused) = refused else {
            panic!("it was admitted");
        };
        assert_eq!(refused.into_response().status().as_u16(), 404);
        let failed = EventStream::<Done>::follow(async |work: LongWork| {
            work.begin("counting");
            tokio::task::yield_now().await;
            Err(missing())
        });
        let events = read(failed.await.unwrap()).await;
        let last = events.last().unwrap();
        assert!(
            last.starts_with("event: problem\ndata: {") && last.contains("\"status\":404"),
            "{last}"
        );
    }

    #[tokio::test]
    async fn a_client_that_goes_away_gives_the_work_up() {
        let (sender, given_up) = oneshot::channel();
        let stream = EventStream::<Done>::follow(async |work: LongWork| {
            work.begin("waiting");
            work.cancellation().cancelled().await;
            sender.send(()).unwrap();
            Err(ServiceError::NotFound { what: "x" })
        });
        drop(stream.await.unwrap());
        given_up.await.unwrap();
    }
}
