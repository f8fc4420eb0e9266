//! The command line (throw-away: the real file comes with the merge).

#[allow(missing_docs)]
pub mod print;
