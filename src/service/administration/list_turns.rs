//! Lists and other work that takes long: in turns that callers share, and charged to the caller.

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::service::access::decisions::Authorizer;
use crate::service::error::ServiceError;
use crate::service::fair_turns::Turn;

use super::operation::{AdminOperation, no_policies_in_force};
use super::{AdminAccess, Administration};

impl Administration {
    /// Charges the caller for one more part of a list.
    pub(super) fn charge(&self, operation: &AdminOperation) {
        if let (AdminAccess::Policies(dependencies), Some(authorizer)) =
            (&self.access, operation.authorizer())
        {
            let rate_limits = &dependencies.rate_limits;
            rate_limits.charge_request(&authorizer.caller, 1);
        }
    }
}

impl AdminOperation {
    /// Takes a turn for reading a part of a list; none for local access.
    pub(super) async fn list_turn(&self) -> Result<Option<Turn>, ServiceError> {
        match self.authorizer() {
            Some(authorizer) => authorizer.list_turn().await.map(Some),
            None => Ok(None),
        }
    }

    /// The items of a list on which the policies permit an action; the decisions are not recorded.
    pub(super) async fn filter_permitted<T: Send + 'static>(
        &self,
        turn: Option<Turn>,
        action: Action,
        items: Vec<T>,
        resource_of: fn(&T) -> Resource,
    ) -> Result<Vec<T>, ServiceError> {
        let (Some(authorizer), Some(turn)) = (self.authorizer(), turn) else {
            return Ok(items);
        };
        let keep_permitted = move |authorizer: &Authorizer, item: T| {
            let decision = authorizer.decide(action, &resource_of(&item));
            decision.is_permitted.then_some(item)
        };
        authorizer.filter_map(turn, items, keep_permitted).await
    }

    /// Evaluates the bundle on a thread for blocking work; an error without one.
    pub(super) async fn run_blocking<T: Send + 'static>(
        &self,
        evaluate: impl Fn(&Bundle) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let authorizer = self.authorizer().ok_or_else(no_policies_in_force)?;
        let turn = authorizer.list_turn().await?;
        let evaluate = move |authorizer: &Authorizer, ()| Some(evaluate(authorizer.bundle()));
        let results = authorizer.filter_map(turn, vec![()], evaluate).await?;
        results.into_iter().next().ok_or_else(no_policies_in_force)
    }
}
