//! The command line.

pub mod print;
