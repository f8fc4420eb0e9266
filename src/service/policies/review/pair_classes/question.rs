//! What pair classes are asked about.

use crate::domain::action::Action;
use crate::service::policies::review::catalog_question::CatalogQuestion;

/// What is asked about: which actions, of whom and of what.
pub(in crate::service::policies::review) struct PairQuestion<'a> {
    /// The actions.
    pub(in crate::service::policies::review) actions: &'a [Action],
    /// The rest: no user is disabled, and the datasets are as they are shared at the time asked about.
    pub(in crate::service::policies::review) catalog: CatalogQuestion<'a>,
}
