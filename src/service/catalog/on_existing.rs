//! What a file or an import means of a dataset that exists.

/// What becomes of a dataset that exists and is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnExisting {
    /// It becomes what the file says, in everything.
    Replace,
    /// It gets the title, the file, the tags and the attributes of the file. Its visibility, record status and owner
    /// stay unless they are overwritten, and so do its shares and other tags and attributes.
    Update(DatasetUpdate),
}

/// What an update means of a dataset that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DatasetUpdate {
    /// Whether the visibility of the item was given, and is not that of new datasets alone.
    pub(super) has_visibility: bool,
    /// Whether the record status of the item was given.
    pub(super) has_record_status: bool,
    /// Whether what was given replaces what the dataset has.
    pub(super) is_overwriting: bool,
}
