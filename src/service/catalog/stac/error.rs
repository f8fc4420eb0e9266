//! Why a STAC document was not imported.

use std::path::PathBuf;

/// Why a STAC document was not imported; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StacError {
    /// The text is neither a file nor a URL.
    #[error("{text} is not the URL of a STAC document: {problem}")]
    InvalidUrl {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The document cannot be read.
    #[error("cannot read {source_name}: {cause}")]
    Unreadable {
        /// The document.
        source_name: String,
        /// Why not.
        cause: String,
    },
    /// The document is too large.
    #[error("{source_name} is larger than {max_mebibytes} MiB")]
    TooLarge {
        /// The document.
        source_name: String,
        /// How large it may be.
        max_mebibytes: usize,
    },
    /// The document is no JSON.
    #[error("{source_name} is not JSON: {cause}")]
    NotJson {
        /// The document.
        source_name: String,
        /// Where, and what is wrong.
        cause: serde_json::Error,
    },
    /// The document is JSON of another kind.
    #[error(
        "{source_name} is {found}; a STAC Item, an ItemCollection, a Collection or a Catalog is needed"
    )]
    NotStac {
        /// The document.
        source_name: String,
        /// What it is.
        found: String,
    },
    /// A member has an unexpected value, or is missing.
    #[error("{place}: `{member}`: {problem}")]
    Member {
        /// The document and the Item.
        place: String,
        /// The member.
        member: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A document from the network names a document or file on this machine, or one on disk something outside its
    /// folder.
    #[error("{place}: {path} {problem}", path = path.display())]
    FileNotAllowed {
        /// The document and the Item.
        place: String,
        /// The file.
        path: PathBuf,
        /// Why it may not be read.
        problem: String,
    },
    /// The next page of a search needs a request with a body.
    #[error(
        "{source_name}: its next page is a {method} request: search with GET, whose pages follow by URL"
    )]
    NextIsNoGet {
        /// The document.
        source_name: String,
        /// The method.
        method: String,
    },
    /// There are more Items than the import may have.
    #[error("{source_name} has more than {max_items} items")]
    TooManyItems {
        /// The first document.
        source_name: String,
        /// How many there may be.
        max_items: usize,
    },
    /// The documents go on and on.
    #[error("{source_name} links to too many documents")]
    TooManyDocuments {
        /// The first document.
        source_name: String,
    },
}
