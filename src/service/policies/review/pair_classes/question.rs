//! What pair classes are asked about.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::principal::User;
use crate::policy::context_literals::ContextLiterals;
use crate::policy::references::PolicyReferences;

/// What is asked about: which actions, of whom and of what.
pub(in crate::service::policies::review) struct PairQuestion<'a> {
    /// The actions.
    pub(in crate::service::policies::review) actions: &'a [Action],
    /// All users, none of them disabled.
    pub(in crate::service::policies::review) users: &'a [Arc<User>],
    /// All datasets, as they are shared at the time asked about.
    pub(in crate::service::policies::review) datasets: &'a [Arc<Dataset>],
    /// What the bundles and whatever else matters compare the context with, the most important first.
    pub(in crate::service::policies::review) literals: ContextLiterals,
    /// What the policies refer to.
    pub(in crate::service::policies::review) references: PolicyReferences,
}
