//! What of a catalog one caller may see: decided once for users, and for datasets, that policies do not tell apart.
//!
//! The caller itself is asked about by itself: it is the principal too, and may be in another state than the catalog has
//! it in.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::attributes::AttributeOwner;
use crate::domain::dataset::Dataset;
use crate::domain::id::DatasetId;
use crate::domain::principal::User;
use crate::policy::Bundle;
use crate::policy::references::PolicyReferences;

use super::named_attributes::named_by_attributes;
use super::projection::{AttributeViews, PrincipalProjection, ResourceProjection};
use super::shared_datasets::shared_at;

/// Who asks, by which policies and when.
#[derive(Clone, Copy)]
pub struct Viewer<'a> {
    /// The caller.
    pub user: &'a Arc<User>,
    /// The datasets that its API key is restricted to.
    pub key_datasets: Option<&'a BTreeSet<DatasetId>>,
    /// The policies.
    pub bundle: &'a Bundle,
    /// The time, in seconds since 1970 UTC.
    pub unix_seconds: i64,
}

impl Viewer<'_> {
    /// What policies for an action refer to.
    fn references(
        &self,
        action: Action,
        users: &[Arc<User>],
        datasets: &[Arc<Dataset>],
    ) -> PolicyReferences {
        let mut references = self.bundle.references_for(&[action]);
        references
            .datasets
            .extend(self.key_datasets.into_iter().flatten().copied());
        let views = self.views(&references);
        let mut named = named_by_attributes(&views, users, datasets);
        named.extend(views.named_by(AttributeOwner::User, &self.user.attributes));
        references.add_referred(named);
        references
    }

    fn views<'r>(&'r self, references: &'r PolicyReferences) -> AttributeViews<'r> {
        AttributeViews {
            schemas: vec![self.bundle.declared_attributes()],
            references,
        }
    }

    /// The users on whom the viewer is permitted an action; an error of `keep_on`, which is told how many decisions were
    /// made, ends it.
    pub fn users<E>(
        &self,
        action: Action,
        users: &[Arc<User>],
        is_permitted: impl Fn(&Arc<User>) -> bool,
        keep_on: impl Fn(u64) -> Result<(), E>,
    ) -> Result<Vec<Arc<User>>, E> {
        let references = self.references(action, users, &[]);
        let views = self.views(&references);
        let mut known: HashMap<PrincipalProjection, bool> = HashMap::new();
        let mut visible = Vec::new();
        for user in users {
            keep_on(count(known.len()))?;
            let is_visible = if user.id == self.user.id {
                is_permitted(user)
            } else {
                let projection = PrincipalProjection::new(user, &views);
                let known = known.entry(projection);
                *known.or_insert_with(|| is_permitted(user))
            };
            visible.extend(is_visible.then(|| Arc::clone(user)));
        }
        Ok(visible)
    }

    /// The datasets on which the viewer is permitted an action; an error of `keep_on` ends it.
    pub fn datasets<E>(
        &self,
        action: Action,
        datasets: &[Arc<Dataset>],
        is_permitted: impl Fn(&Arc<Dataset>) -> bool,
        keep_on: impl Fn(u64) -> Result<(), E>,
    ) -> Result<Vec<Arc<Dataset>>, E> {
        let references = self.references(action, &[], datasets);
        let views = self.views(&references);
        let (id, roles) = (Some(self.user.id), &self.user.roles);
        let mut known: HashMap<ResourceProjection, bool> = HashMap::new();
        let mut visible = Vec::new();
        for dataset in datasets {
            keep_on(count(known.len()))?;
            let shared = shared_at(dataset, self.unix_seconds);
            let projection = ResourceProjection::new(&shared, id, roles, &views);
            let known = known.entry(projection);
            let is_visible = *known.or_insert_with(|| is_permitted(dataset));
            visible.extend(is_visible.then(|| Arc::clone(dataset)));
        }
        Ok(visible)
    }
}

fn count(decided: usize) -> u64 {
    u64::try_from(decided).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use proptest::prelude::*;
    use proptest::strategy::ValueTree;

    use super::*;
    use crate::domain::caller::{Authentication, DecisionContext};
    use crate::domain::principal::Principal;
    use crate::domain::resource::Resource;
    use crate::service::policies::review::budget::{ReviewBudget, ReviewStopped};
    use crate::service::policies::review::generated::{CONDITIONS, some_bundle, some_catalog};

    const SECOND: i64 = 1_772_366_400;

    fn any_bundle() -> impl Strategy<Value = Bundle> {
        proptest::sample::subsequence(&CONDITIONS[..], 1..=5).prop_flat_map(some_bundle)
    }

    fn context() -> DecisionContext {
        DecisionContext {
            address: None,
            unix_millis: SECOND * 1_000,
            authentication: Authentication::Password,
            key: None,
        }
    }

    fn viewer<'a>(user: &'a Arc<User>, bundle: &'a Bundle) -> Viewer<'a> {
        Viewer {
            user,
            key_datasets: None,
            bundle,
            unix_seconds: SECOND,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn visible_datasets_are_those_that_each_are_permitted(
            bundle in any_bundle(),
            catalog in some_catalog(),
        ) {
            let datasets: Vec<_> = catalog.datasets.into_iter().map(Arc::new).collect();
            for record in catalog.users {
                let user = Arc::new(record.user);
                let may = |dataset: &Arc<Dataset>| {
                    let principal = Principal::User(Arc::clone(&user));
                    let resource = Resource::Dataset(Arc::clone(dataset));
                    let decision =
                        bundle.decide(&principal, Action::Administer, &resource, &context());
                    decision.is_permitted
                };
                let viewer = viewer(&user, &bundle);
                let Ok(visible) =
                    viewer.datasets(Action::Administer, &datasets, may, |_| Ok::<(), Infallible>(()));
                let expected: Vec<_> = datasets.iter().filter(|one| may(one)).cloned().collect();
                prop_assert_eq!(visible, expected);
            }
        }

        #[test]
        fn visible_users_are_those_that_each_are_permitted(catalog in some_catalog()) {
            let folder = tempfile::tempdir().unwrap();
            let schema = include_str!("../../../../policies/schema.cedarschema");
            std::fs::write(folder.path().join("schema.cedarschema"), schema).unwrap();
            let policies = r#"
                @id("of-a") @reason("x")
                permit (principal in Role::"b", action == Action::"view_users", resource in Role::"a");
                @id("oneself") @reason("x")
                permit (principal is User, action == Action::"view_users", resource is User)
                when { principal == resource };
                @id("of-one-issuer") @reason("x")
                permit (principal in Role::"c", action == Action::"view_users", resource is User)
                when { resource has issuer && resource.issuer == "https://one.example" };
                @id("not-one") @reason("x")
                forbid (principal, action == Action::"view_users",
                    resource == User::"00000000-0000-0000-0000-000000000001")
                unless { principal == resource };
            "#;
            std::fs::write(folder.path().join("users.cedar"), policies).unwrap();
            let bundle = Bundle::load(folder.path()).unwrap();
            let users = catalog.users.into_iter();
            let users: Vec<_> = users.map(|record| Arc::new(record.user)).collect();
            for user in &users {
                let may = |other: &Arc<User>| {
                    let principal = Principal::User(Arc::clone(user));
                    let resource = Resource::User(Arc::clone(other));
                    let decision =
                        bundle.decide(&principal, Action::ViewUsers, &resource, &context());
                    decision.is_permitted
                };
                let viewer = viewer(user, &bundle);
                let Ok(visible) =
                    viewer.users(Action::ViewUsers, &users, may, |_| Ok::<(), Infallible>(()));
                let expected: Vec<_> = users.iter().filter(|one| may(one)).cloned().collect();
                prop_assert_eq!(visible, expected);
            }
        }
    }

    #[test]
    fn finding_out_what_is_visible_ends_when_it_is_given_up_or_takes_too_long() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let catalog = some_catalog().new_tree(&mut runner).unwrap().current();
        let datasets: Vec<_> = catalog.datasets.into_iter().map(Arc::new).collect();
        let users = catalog.users.into_iter();
        let users: Vec<_> = users.map(|record| Arc::new(record.user)).collect();
        let bundle = Bundle::embedded().unwrap();
        let viewer = viewer(&users[0], &bundle);
        let given_up = ReviewBudget::new(u64::MAX, Duration::MAX);
        let is_given_up = &given_up.is_given_up;
        is_given_up.store(true, std::sync::atomic::Ordering::Relaxed);
        let late = ReviewBudget::new(u64::MAX, Duration::ZERO);
        for (budget, stopped) in [
            (given_up, ReviewStopped::GivenUp),
            (late, ReviewStopped::TooMuch),
        ] {
            let keep_on = |decided| budget.check(decided);
            let found = viewer.users(Action::ViewUsers, &users, |_| true, keep_on);
            assert_eq!(found.err(), Some(stopped));
            let found = viewer.datasets(Action::Administer, &datasets, |_| true, keep_on);
            assert_eq!(found.err(), Some(stopped));
        }
    }
}
