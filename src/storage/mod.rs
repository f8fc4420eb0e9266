//! the database.
