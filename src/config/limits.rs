//! Limits that are the same in every deployment: nobody needs to set them, everybody may rely on them.

use std::time::Duration;

/// The most bytes of all request headers together; more is answered with 431.
///
/// A session token, an API key and the headers of a browser together stay well below 8 KiB.
pub const LARGEST_HEADERS: usize = 32 * 1024;

/// The most bytes of a request body; more is answered with 413. The mint takes no body at all.
pub const LARGEST_BODY: usize = 64 * 1024;

/// How long a connection may take to send the headers of a request.
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
