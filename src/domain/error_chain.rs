//! An error with its causes, on one line.

use std::error::Error;

/// The error's message followed by those of its causes, separated by `: `.
///
/// A cause that the text already contains is left out: many errors print their own cause.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum TestError {
        #[error("cannot open the file")]
        Silent { source: io::Error },
        #[error("cannot open the file: {source}")]
        Verbose { source: io::Error },
    }

    #[test]
    fn every_cause_is_named_once() {
        let source = || io::Error::other("disk on fire");
        for error in [
            TestError::Silent { source: source() },
            TestError::Verbose { source: source() },
        ] {
            assert_eq!(error_chain(&error), "cannot open the file: disk on fire");
        }
    }
}
