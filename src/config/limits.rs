//! Limits that are the same in every deployment.

use std::time::Duration;

/// The most bytes of all request headers together; more is answered with 431.
///
/// A session token, an API key and the headers of a browser together stay well below 8 KiB.
pub const MAX_HEADERS_SIZE: usize = 32 * 1024;

/// The most bytes of a request body, unless the operation needs more; more is answered with 413.
pub const MAX_BODY_SIZE: u64 = 16 * 1024;

/// The most bytes of the body that describes a user, an API key or a decision to explain.
///
/// An API key may name 1000 datasets.
pub const MAX_USER_BODY_SIZE: u64 = 64 * 1024;

/// The most bytes of the body of one question of another service, or of a search (AuthZEN).
pub const MAX_QUESTION_BODY_SIZE: u64 = 64 * 1024;

/// The most bytes of the body of several questions.
pub const MAX_EVALUATIONS_BODY_SIZE: u64 = 1024 * 1024;

/// The most bytes of the body that describes a dataset, which may name 10,000 users and 10,000 roles.
pub const MAX_DATASET_BODY_SIZE: u64 = 2 * 1024 * 1024;

/// The most bytes of the body of an edit of a draft of the policies: a larger one is sent in parts. A file may have a
/// quarter of it, and some characters are longer in JSON.
pub const MAX_DRAFT_BODY_SIZE: u64 = 4 * 1024 * 1024;

/// The most bytes of a body that the operation does not use. It is drained without being kept, so that
/// the client can read the response.
pub const MAX_UNUSED_BODY_SIZE: u64 = 2 * 1024 * 1024;

/// How long a connection may take to send the headers of a request, and how long it may be idle.
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a request's body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many headers a request may have; more is answered with 431 without a body.
pub const MAX_HEADERS: usize = 100;

/// One network that is not a trusted proxy may hold this part of all connections: one in so many.
pub const CONNECTION_SHARE_DIVISOR: usize = 4;

/// How many connections are answered beside those that have a place; all but requests for health
/// are told that there is none.
pub const RESERVED_CONNECTIONS: usize = 64;

/// How long a connection of the reserve may take to send the headers of its one request.
pub const RESERVED_HEADERS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection may wait for its turn where its network has opened more than its share at once, and how
/// long a connection is spared from which nothing has come yet.
pub const CONNECTION_TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// How many connections may wait for their turn at most, and no more than may be open; beyond that nobody waits.
pub const MAX_WAITING_CONNECTIONS: usize = 1024;

/// How long the server waits for a client that reads or uploads until its bytes are compared with the
/// least rate, which is a setting.
pub const RATE_WINDOW: Duration = Duration::from_mins(1);

/// How long an uploaded file may take to arrive; its largest size is a setting.
pub const UPLOAD_TIMEOUT: Duration = Duration::from_mins(30);

/// How long reading and checking an edit of the policies may take, without its proofs.
pub const POLICY_CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest life of a download token, whatever settings and policies say.
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_mins(2);
