//! The queue, with whoever writes played by the test.

use super::*;
use crate::domain::audit::AuditEvent;
use crate::domain::clock::Clock;
use crate::service::concurrent_callers::tests::callers_in_turns;
use crate::service::identity::request_context::RequestContext;

fn record(number: u32) -> AuditRecord {
    let clock = Clock::fixed_at(1_700_000_000_000);
    let mut record = RequestContext::local().open_record(AuditEvent::Mint, &clock);
    record.reason = Some(number.to_string());
    record
}

fn push_each(queue: &AuditQueue, numbers: impl IntoIterator<Item = u32>) -> Vec<Place> {
    let push = |number| queue.push(record(number)).unwrap();
    numbers.into_iter().map(push).collect()
}

fn reasons(group: &TakenGroup) -> Vec<&str> {
    let records = group.records.iter();
    records
        .filter_map(|record| record.reason.as_deref())
        .collect()
}

fn failure() -> StorageError {
    StorageError::Inconsistent {
        operation: "append audit records".into(),
        reason: "poison".to_owned(),
    }
}

#[tokio::test]
async fn all_that_wait_are_one_group_and_hear_its_outcome() {
    for outcome in [Ok(()), Err(failure())] {
        let queue = AuditQueue::new();
        let places = push_each(&queue, 0..3);
        let group = queue.take(Some(2)).await.unwrap();
        assert_eq!(reasons(&group), ["0", "1", "2"]);
        group.settle(GroupOutcome::All(outcome.clone()));
        for place in &places {
            assert_eq!(place.outcome().await.is_ok(), outcome.is_ok());
        }
    }
}

#[tokio::test]
async fn whoever_gives_up_before_its_record_is_taken_leaves_none() {
    let queue = AuditQueue::new();
    let mut places = push_each(&queue, 0..4);
    drop(places.remove(1));
    let group = queue.take(Some(2)).await.unwrap();
    assert_eq!(reasons(&group), ["0", "2", "3"]);
    // Too late.
    drop(places.remove(0));
    assert_eq!(group.records.len(), 3);
    drop(group);
    drop(push_each(&queue, 4..6));
    assert!(queue.take(Some(2)).await.unwrap().records.is_empty());
}

#[tokio::test]
async fn only_the_caller_of_a_rejected_record_hears_of_it() {
    let queue = AuditQueue::new();
    let mut places = push_each(&queue, 0..4);
    drop(places.remove(1));
    let group = queue.take(Some(2)).await.unwrap();
    let rejected = group.places[1];
    group.settle(GroupOutcome::AllBut([(rejected, failure())].into()));
    let mut results = Vec::new();
    for place in &places {
        results.push(place.outcome().await.is_ok());
    }
    assert_eq!(results, [true, false, true]);
}

#[tokio::test]
async fn all_groups_whose_time_is_over_hear_it_and_those_that_wait_leave_no_record() {
    let queue = AuditQueue::new();
    let mut places = push_each(&queue, 0..1);
    let hanging = queue.take(Some(2)).await.unwrap();
    places.extend(push_each(&queue, 1..3));
    let now = Instant::now();
    assert!(!queue.settle_late(now));
    assert!(
        places
            .iter()
            .all(|place| place.group.outcome.get().is_none())
    );
    assert!(queue.settle_late(now + WRITE_TIMEOUT));
    for place in places {
        assert!(matches!(place.outcome().await, Err(Unwritten::TimedOut)));
    }
    hanging.settle(GroupOutcome::All(Ok(())));
    assert!(queue.take(Some(2)).await.unwrap().records.is_empty());
    // The next one is written.
    let place = queue.push(record(3)).unwrap();
    let group = queue.take(Some(2)).await.unwrap();
    group.settle(GroupOutcome::All(Ok(())));
    assert!(place.outcome().await.is_ok());
}

#[tokio::test]
async fn a_record_does_not_share_the_time_of_one_long_before_it() {
    let queue = AuditQueue::new();
    let now = Instant::now();
    let mut state = queue.state.lock();
    let add = |state: &mut State, at| state.add(record(0), at).0.group.opened_at;
    let times = [Duration::ZERO, MAX_GROUP_AGE / 2, MAX_GROUP_AGE].map(|age| now + age);
    let opened = times.map(|at| add(&mut state, at));
    assert_eq!(opened, [now, now, now + MAX_GROUP_AGE]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_a_closed_one_gives_what_it_has() {
    let queue = AuditQueue::new();
    let places = push_each(&queue, 0..u32::try_from(MAX_QUEUED_RECORDS).unwrap());
    assert!(matches!(queue.push(record(0)), Err(Unwritten::QueueFull)));
    let first = queue.take(Some(2)).await.unwrap();
    assert_eq!(first.records.len(), MAX_GROUP_SIZE);
    queue.push(record(0)).map(drop).unwrap();
    queue.close();
    assert!(matches!(queue.push(record(0)), Err(Unwritten::Closed)));
    let mut taken = first.records.len();
    while let Some(group) = queue.take(Some(2)).await {
        taken += group.records.len();
    }
    assert_eq!(taken, places.len());
}

#[tokio::test]
async fn nobody_waits_for_a_writer_that_has_stopped() {
    let queue = AuditQueue::new();
    let taken = push_each(&queue, 0..1);
    drop(queue.take(Some(2)).await);
    let waiting = push_each(&queue, 1..2);
    queue.stop();
    for place in taken.iter().chain(&waiting) {
        assert!(matches!(
            place.outcome().await,
            Err(Unwritten::WriterStopped)
        ));
    }
}

#[tokio::test]
async fn a_group_is_held_back_until_half_of_the_callers_are_there_or_its_time_is_over() {
    for (callers, expected) in [(1, 1), (3, 1), (8, 4), (33, 16)] {
        let queue = AuditQueue::new();
        queue.state.lock().callers = callers_in_turns(callers).await;
        let mut state = queue.state.lock();
        let now = Instant::now();
        let mut size = 0;
        let late = loop {
            state.queued += 1;
            size += 1;
            state.add(record(size), now);
            match state.find_due(now, Some(2)) {
                Due::Now(_) => break None,
                Due::At(until) if size > 100 => break Some(until),
                Due::At(_) | Due::Unknown | Due::Never => {}
            }
        };
        assert_eq!((size, late), (expected, None), "of {callers} callers");
        state.queued += 1;
        state.add(record(0), now);
        assert!(matches!(
            state.find_due(now + MAX_HOLD, Some(2)),
            Due::Now(_)
        ));
        state.queued += 1;
        state.add(record(0), now);
        assert!(matches!(state.find_due(now, None), Due::Now(_)));
    }
}
