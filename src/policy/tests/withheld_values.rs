//! Explanations with withheld values of the principal, the dataset or both reveal which parts hold, and
//! nothing more.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use strum::VariantArray;

use super::fixtures::{ADA, BEA, bundle, context, dataset, user};
use crate::domain::action::Action;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::principal::{Principal, Tags, User};
use crate::domain::resource::Resource;
use crate::policy::explain::{Explanation, PolicyExplanation, ValueVisibility};

/// Conditions whose outcome depends on many values.
const POLICIES: &str = r#"
@id("a") permit (principal in Role::"a", action == Action::"read", resource)
when { resource has owner && (resource.owner == principal || principal in Role::"b") };
@id("b") permit (principal is User, action == Action::"read", resource)
when { principal in Role::"b" || resource.visibility == Visibility::"public" || principal has issuer };
@id("c") permit (principal is User, action == Action::"read", resource)
when {
  if principal.hasTag("t")
  then principal.getTag("t").contains("x") || resource.title == "x"
  else resource has owner && principal.username == "x"
};
@id("d") permit (principal is User, action == Action::"read", resource)
unless { (resource.reader_roles.contains(Role::"a") && principal in resource.reader_roles) };
@id("e") permit (principal is User, action == Action::"read", resource)
when { (context.authentication == Authentication::"issuer" || resource.reader_users.contains(principal)) ||
  (resource.hasTag("t") && resource.getTag("t").contains("x")) };
@id("f") forbid (principal is User, action == Action::"read", resource)
when { (if principal in Role::"a" then 1 else 9223372036854775807) +
  (if resource has owner then 1 else 0) > 2 };
"#;

fn tags() -> impl Strategy<Value = Tags> {
    let values = subsequence(vec!["x", "y"], 0..=2);
    proptest::option::of(values).prop_map(|values| {
        let values = values.map(|all| all.into_iter().map(str::to_owned).collect());
        values
            .into_iter()
            .map(|all| ("t".to_owned(), all))
            .collect()
    })
}

fn users() -> impl Strategy<Value = User> {
    let roles = subsequence(vec!["a", "b", "c"], 0..=3);
    let issuer = proptest::option::of(Just("https://login.example.org".to_owned()));
    (roles, tags(), select(vec!["x", "y"]), issuer).prop_map(|(roles, claims, name, issuer)| User {
        username: name.parse().unwrap(),
        issuer,
        claims,
        ..user(ADA, &roles)
    })
}

fn datasets() -> impl Strategy<Value = Dataset> {
    let owner = proptest::option::of(select(vec![ADA, BEA]));
    let readers = subsequence(vec![ADA, BEA], 0..=2);
    let roles = subsequence(vec!["a", "b"], 0..=2);
    let visibility = select(Visibility::VARIANTS);
    (owner, readers, roles, visibility, tags()).prop_map(
        |(owner, readers, roles, visibility, tags)| Dataset {
            owner,
            reader_users: readers.into_iter().collect(),
            reader_roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            share_ends: crate::domain::share_ends::ShareEnds::default(),
            tags,
            ..dataset(visibility, RecordStatus::Published)
        },
    )
}

/// The explained policies without the values.
fn without_values(explanation: &Explanation) -> Vec<PolicyExplanation> {
    let all = explanation.determining.iter();
    let all = all.chain(&explanation.others).cloned();
    all.map(|mut policy| {
        for part in &mut policy.parts {
            part.seen.clear();
        }
        policy
    })
    .collect()
}

proptest! {
    /// Two requests that differ in withheld values only, and for which the same parts hold, have the same
    /// explanation.
    #[test]
    fn shown_values_reveal_nothing_about_withheld_ones(
        one in (users(), datasets()),
        other in (users(), datasets()),
        shows_principal in any::<bool>(),
        shows_resource in any::<bool>(),
    ) {
        static BUNDLE: std::sync::LazyLock<crate::policy::Bundle> =
            std::sync::LazyLock::new(|| bundle(POLICIES).unwrap());
        let visibility = ValueVisibility { shows_principal, shows_resource };
        let explain = |user: &User, dataset: &Dataset| {
            let authentication = match user.issuer {
                Some(_) => Authentication::Issuer,
                None => Authentication::Password,
            };
            let context = DecisionContext { authentication, ..context() };
            let resource = Resource::Dataset(Arc::new(dataset.clone()));
            let principal = Principal::User(Arc::new(user.clone()));
            BUNDLE.explain(visibility, &principal, Action::Read, &resource, &context)
        };
        let first = explain(&one.0, &one.1);
        let second = explain(
            if shows_principal { &one.0 } else { &other.0 },
            if shows_resource { &one.1 } else { &other.1 },
        );
        if without_values(&first) == without_values(&second) {
            prop_assert_eq!(first.determining, second.determining);
            prop_assert_eq!(first.others, second.others);
        }
    }
}
