//! What tests share: servers, databases and clients.

pub mod postgres;
pub mod server;
pub mod sqlite;
