//! Identity: credentials, sessions and API keys, and the callers that they authenticate.

pub mod admission;
pub mod api_key_last_used;
pub mod api_keys;
pub mod authentication;
pub mod body_gate;
mod change_rate;
mod external_tokens;
pub mod federated_users;
pub mod folded_credential;
pub mod identity_providers;
mod login;
pub mod login_throttle;
pub mod password;
pub mod request_context;
mod session_renewal;
pub mod session_sweeper;
pub mod sessions;
