//! What an explanation tells somebody who may not see the principal, the dataset or either: which
//! parts hold, and nothing more.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use strum::VariantArray;

use super::asked::{ADA, BEA, bundle, context, dataset, user};
use crate::domain::action::Action;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::principal::{Principal, Tags, User};
use crate::domain::resource::Resource;
use crate::policy::explain::{Explanation, PolicyExplanation, ValueVisibility};

/// Conditions that come to one thing or another, as what they see has it.
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
when { (context.authentication == "issuer" || resource.reader_users.contains(principal)) ||
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
            tags,
            ..dataset(visibility, RecordStatus::Published)
        },
    )
}

/// What is told of which policies and parts hold, without what they saw.
fn without_seen(told: &Explanation) -> Vec<PolicyExplanation> {
    let all = told.determining.iter().chain(&told.others).cloned();
    all.map(|mut policy| {
        for part in &mut policy.parts {
            part.seen.clear();
        }
        policy
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Two worlds that differ out of sight alone, and of which the same parts are told to hold, are
    /// told in the same words.
    #[test]
    fn what_is_seen_tells_nothing_that_is_out_of_sight(
        one in (users(), datasets()),
        other in (users(), datasets()),
        sees_principal in any::<bool>(),
        sees_resource in any::<bool>(),
    ) {
        static BUNDLE: std::sync::LazyLock<crate::policy::Bundle> =
            std::sync::LazyLock::new(|| bundle(POLICIES).unwrap());
        let sight = ValueVisibility { shows_principal: sees_principal, shows_resource: sees_resource };
        let told = |user: &User, dataset: &Dataset| {
            let authentication = match user.issuer {
                Some(_) => Authentication::Issuer,
                None => Authentication::Password,
            };
            let context = DecisionContext { authentication, ..context() };
            let resource = Resource::Dataset(Arc::new(dataset.clone()));
            let principal = Principal::User(Arc::new(user.clone()));
            BUNDLE.explain(sight, &principal, Action::Read, &resource, &context)
        };
        let first = told(&one.0, &one.1);
        let second = told(
            if sees_principal { &one.0 } else { &other.0 },
            if sees_resource { &one.1 } else { &other.1 },
        );
        if without_seen(&first) == without_seen(&second) {
            prop_assert_eq!(first.determining, second.determining);
            prop_assert_eq!(first.others, second.others);
        }
    }
}
