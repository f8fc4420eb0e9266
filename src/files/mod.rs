//! The file store: the files of datasets in an object store.
//!
//! A file is stored under the SHA-256 of its content and never changes after that, so two spans
//! of one download can never mix two versions. A file may also be in another store or at a URL, which `remote` reads.
//! This module is the only user of `object_store`.

mod bounded_calls;
mod chunk_buffers;
mod download;
mod error;
mod file_name;
mod file_version;
mod open_file;
mod open_files;
mod presence;
mod read;
mod remote;
mod source;
mod source_path;
mod staging;
mod store;
mod structure;
pub mod tiff;
mod unused;
mod upload;
mod version;

pub use download::ByteStream;
pub use error::FilesError;
pub use file_version::FileVersion;
pub use open_files::MAX_OPEN_FILES;
pub use store::FileStore;
pub use version::remote_name;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod presence_tests;
