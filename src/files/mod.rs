//! files in the object store.
