//! The content of a file that holds a secret.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::domain::text_file;

/// The largest secret file, in bytes.
const MAX_SECRET_FILE_SIZE: u64 = 64 * 1024;

/// The secret in a file, which has nothing else in it.
pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path)?;
    let text = text_file::decode(bytes).map_err(|error| error.to_string())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err(
            "it has more than one line, or a NUL character; it has to hold the value and nothing else"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// The bytes of a file of at most 64 KiB.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    // Opening a pipe may wait for ever.
    let metadata = std::fs::metadata(path).map_err(|error| describe(&error))?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| describe(&error))?;
    file.take(MAX_SECRET_FILE_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| describe(&error))?;
    if bytes.len() as u64 > MAX_SECRET_FILE_SIZE {
        return Err(format!("it has more than {MAX_SECRET_FILE_SIZE} bytes"));
    }
    Ok(bytes)
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    }
}
