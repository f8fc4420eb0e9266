//! The Authorization API 1.0 (AuthZEN): decides for other services, and searches.
//!
//! Who may ask is a decision of the policies: `evaluate` or `search` on the server. What a caller sends about users
//! and datasets of the catalog is never believed; what it sends about entities of the author's own types is checked
//! against the schema.

mod admission;
pub mod answer;
pub mod batch;
pub mod evaluation;
mod record;
mod resolve;
pub mod search;

use std::sync::Arc;

use crate::config::EvaluationRecords;
use crate::domain::clock::Clock;
use crate::service::access::Access;
use crate::service::audit_trail::AuditTrail;
use crate::service::identity::authentication::Authenticator;
use crate::service::rate_limits::RateLimits;
use crate::storage::Database;

use record::EvaluationRecorder;

/// Answers the questions of other services.
pub struct AccessApi {
    authenticator: Arc<Authenticator>,
    rate_limits: Arc<RateLimits>,
    access: Arc<Access>,
    database: Database,
    audit: Arc<AuditTrail>,
    clock: Clock,
    recorder: EvaluationRecorder,
}

/// What the Authorization API is made of.
pub struct AccessApiDependencies {
    /// Authenticates the caller.
    pub authenticator: Arc<Authenticator>,
    /// Limits how much a caller may ask.
    pub rate_limits: Arc<RateLimits>,
    /// Decides, and finds users and datasets.
    pub access: Arc<Access>,
    /// Lists users.
    pub database: Database,
    /// Records what was asked.
    pub audit: Arc<AuditTrail>,
    /// The clock.
    pub clock: Clock,
    /// Which permits have a record of their own.
    pub records: EvaluationRecords,
}

impl AccessApi {
    /// The API over its dependencies.
    #[must_use]
    pub fn new(dependencies: AccessApiDependencies) -> Self {
        let AccessApiDependencies {
            authenticator,
            rate_limits,
            access,
            database,
            audit,
            clock,
            records,
        } = dependencies;
        Self {
            recorder: EvaluationRecorder::new(Arc::clone(&audit), records),
            authenticator,
            rate_limits,
            access,
            database,
            audit,
            clock,
        }
    }
}
