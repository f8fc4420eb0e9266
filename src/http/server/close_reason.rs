//! Why a connection was closed for the sake of others.

use strum::{IntoStaticStr, VariantArray};

/// Why a connection was closed for the sake of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum CloseReason {
    /// A newcomer took its place.
    Displaced,
    /// There was no place for it.
    NoPlace,
    /// Its client read or sent too slowly.
    TooSlow,
}

impl CloseReason {
    pub(super) fn count(self) {
        let reason: &'static str = self.into();
        metrics::counter!("cedargate_connections_closed_total", "reason" => reason).increment(1);
    }
}
