//! settings: where each comes from and what is in force.
