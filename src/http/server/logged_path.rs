//! Paths in the log: a path is logged without what may be a credential.
//!
//! Credentials end up in paths by mistake, and logs are read by more people than may use them. What
//! a client may send there by right (ids, names of users and roles) stays readable.

/// The longest segment of a path that is logged. No path that is served has a longer one, so it may
/// be a misplaced token.
const MAX_SEGMENT_LENGTH: usize = 64;
const MAX_SEGMENTS: usize = 64;

/// The path as it is logged: segments that may be credentials have become `...`.
pub(super) fn logged_path(path: &str) -> String {
    let is_short = |segment: &&str| segment.len() <= MAX_SEGMENT_LENGTH;
    let segments = path.split('/').take(MAX_SEGMENTS);
    let segments = segments.map(|segment| Some(segment).filter(is_short).unwrap_or("..."));
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_segment_that_could_be_a_token_is_not_logged() {
        let served = "/datasets/urn:uuid:2489e9ad-2ee2-8e00-8ec9-32d5f69181c0/download/cog";
        assert_eq!(logged_path(served), served);
        let token = format!("eyJhbGciOiJFUzI1NiJ9.{}", "a".repeat(200));
        assert_eq!(logged_path(&format!("/x/{token}/y")), "/x/.../y");
    }
}
