//! Examples of changes, as cases that expect what the policies after decide.

use std::sync::Arc;

use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::new_case::NewCase;

use super::change::DecisionChange;
use super::report::BundleComparison;

impl BundleComparison {
    /// A case for each group of changes, the largest groups first, which expects what a bundle decides; or, in words, why
    /// there is none.
    pub fn new_cases(&self, bundle: &Bundle, max: usize) -> Result<Vec<NewCase>, String> {
        let permissions = self
            .groups
            .iter()
            .filter(|group| matches!(group.change, DecisionChange::Gains | DecisionChange::Loses));
        let examples = permissions.filter_map(|group| Some((group, group.example.as_ref()?)));
        let cases = examples.take(max).map(|(group, example)| {
            let may = match group.change {
                DecisionChange::Gains | DecisionChange::Shortens | DecisionChange::Lengthens => {
                    "may"
                }
                DecisionChange::Loses => "may not",
            };
            let who = match &example.principal {
                Principal::Anonymous => "anonymous",
                Principal::User(user) => user.username.as_str(),
            };
            let (action, title) = (group.action, &example.dataset.title);
            let mut name = format!("{who} {may} {action} {title}");
            if let Some(when) = group.when.first() {
                name.extend([", ", when]);
            }
            let resource = Resource::Dataset(Arc::clone(&example.dataset));
            bundle.new_case(
                &name,
                &example.principal,
                group.action,
                &resource,
                &example.context,
            )
        });
        cases.collect()
    }
}
