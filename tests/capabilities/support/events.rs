//! Server-sent events (the HTML standard, section 9.2).

use serde_json::Value;

use super::server::TestResponse;

/// An event with its data.
#[derive(Debug)]
pub(crate) struct ServerEvent {
    pub name: String,
    pub data: Value,
}

/// The events of a stream that is over; comments are none.
pub(crate) fn events(response: &TestResponse) -> Vec<ServerEvent> {
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), "text/event-stream");
    assert_eq!(response.header("cache-control"), "no-store");
    let text = response.text();
    let blocks = text
        .split_terminator("\n\n")
        .filter(|block| !block.starts_with(':'));
    blocks
        .map(|block| {
            let (name, data) = block.split_once('\n').unwrap();
            ServerEvent {
                name: name.strip_prefix("event: ").unwrap().to_owned(),
                data: serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap(),
            }
        })
        .collect()
}

/// The data of the last event, which has this name; all before it tell the progress.
pub(crate) fn last_event(response: &TestResponse, name: &str) -> Value {
    let mut events = events(response);
    let last = events.pop().unwrap();
    assert_eq!(last.name, name, "{}", last.data);
    for event in events {
        assert_eq!(event.name, "progress");
        assert!(event.data["step"].is_string() && event.data["done"].is_u64());
    }
    last.data
}
