//! A batch and the limit of mints: it counts as that many, and is answered as far as the limit goes.

use super::{batch, mint_records, results, server_with, statuses};
use crate::support::server::{PRIVATE, PUBLIC, UNKNOWN};

#[tokio::test]
async fn a_batch_counts_as_that_many_mints_and_those_beyond_the_limit_say_when_to_retry() {
    let server = server_with(vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "6".to_owned())]).await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    let asked = [
        PUBLIC, UNKNOWN, "dem", PUBLIC, PRIVATE, PUBLIC, PUBLIC, "dem", PUBLIC,
    ];
    let response = batch(&server, &asked, None).await;
    // Five were left; what is no id costs nothing, as it costs the mint nothing.
    assert_eq!(
        statuses(&response),
        [200, 404, 422, 200, 404, 200, 429, 422, 429]
    );
    let results = results(&response);
    let problems: Vec<_> = [6, 8]
        .into_iter()
        .map(|index: usize| &results[index]["problem"])
        .collect();
    let waits: Vec<_> = problems
        .iter()
        .map(|problem| problem["retry_after"].as_i64().unwrap())
        .collect();
    assert_eq!(waits, [10, 20]);
    assert_eq!(
        problems[1]["detail"],
        "too many requests: try again in 20 s"
    );
    assert_eq!(
        mint_records(&server).await.len(),
        6,
        "what was not decided is not on record"
    );

    // Nothing is left: the request as a whole is refused, and costs nothing.
    let refused = batch(&server, &[PUBLIC, PUBLIC], None).await;
    refused.problem(429);
    assert_eq!(refused.header("retry-after"), "10");
    server.mint(PUBLIC, None).await.problem(429);

    server.clock.advance(20_000);
    let response = batch(&server, &[PUBLIC; 3], None).await;
    assert_eq!(statuses(&response), [200, 200, 429]);
    // Each principal has its own.
    let session = server.session("otto").await;
    let response = batch(&server, &[PUBLIC; 7], Some(&session)).await;
    assert_eq!(statuses(&response), [200, 200, 200, 200, 200, 200, 429]);
}

#[tokio::test]
async fn a_batch_larger_than_the_limit_is_answered_as_far_as_the_limit_goes() {
    let server = server_with(vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "60".to_owned())]).await;
    let response = batch(&server, &[PUBLIC; 100], None).await;
    let expected: Vec<_> = (0..100)
        .map(|index| if index < 60 { 200 } else { 429 })
        .collect();
    assert_eq!(statuses(&response), expected);
    let last = &results(&response)[99]["problem"];
    assert_eq!(last["retry_after"], 40);
    server.clock.advance(40_000);
    let rest = batch(&server, &[PUBLIC; 40], None).await;
    assert_eq!(statuses(&rest), vec![200; 40]);
}
