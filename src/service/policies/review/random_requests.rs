//! What reviews say holds for requests that were not chosen by them: at random times around every time that policies
//! compare with, and with API keys of random scopes.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyName, KeyPrefix, KeyScope};
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::Dataset;
use crate::domain::id::ApiKeyId;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::storage::Catalog;

use super::access_lists::{DatasetsQuery, PrincipalsQuery, list_datasets, list_principals};
use super::budget::ReviewBudget;
use super::bundle_pair::BundlePair;
use super::comparison::{ComparedCatalog, ComparisonLimits, DecisionChange, compare_within};
use super::generated::{UNTIL, context_conditions, scope, some_catalog, two_bundles_of};
use super::matrix::{
    DatasetGrouping, MatrixAxis, MatrixCatalog, MatrixQuery, PeopleGrouping, access_matrix,
};

const DAY: i64 = 86_400;
/// The times that the conditions name, in seconds since 1970 UTC.
const NAMED_TIMES: [i64; 2] = [1_780_272_000, 1_780_372_800];
/// An hour and whatever else times of a day are compared with, in seconds.
const HOURS: [i64; 6] = [0, 1, 4, 5, 9, 12];

/// What is random of a request, before the catalog is known.
#[derive(Clone, Debug)]
struct RequestSeed {
    principal: Index,
    dataset: Index,
    action: Action,
    address: IpAddr,
    second: i64,
    key: Option<KeySeed>,
}

#[derive(Clone, Debug)]
struct KeySeed {
    actions: Option<BTreeSet<Action>>,
    /// Whether it is restricted to datasets, and to which ones beside the one that is asked about.
    datasets: Option<Vec<Index>>,
}

fn some_second() -> impl Strategy<Value = i64> {
    let times: Vec<i64> = NAMED_TIMES
        .into_iter()
        .chain(UNTIL.map(|(_, at)| at))
        .collect();
    (
        proptest::sample::select(times),
        -3..=3_i64,
        proptest::sample::select(HOURS.to_vec()),
        any::<bool>(),
        -1..=1_i64,
    )
        .prop_map(|(time, days, hours, is_of_day, second)| {
            let midnight = time.div_euclid(DAY) * DAY;
            let begin = if is_of_day { midnight } else { time };
            begin + days * DAY + hours * 3_600 + second
        })
}

fn some_request() -> impl Strategy<Value = RequestSeed> {
    let actions = proptest::sample::subsequence(Action::DATASET_ACTIONS.to_vec(), 1..=3);
    let key = (
        proptest::option::of(actions.prop_map(|actions| actions.into_iter().collect())),
        proptest::option::of(proptest::collection::vec(any::<Index>(), 0..3)),
    );
    let key = key.prop_map(|(actions, datasets)| KeySeed { actions, datasets });
    let addresses = ["192.0.2.9", "203.0.113.1"].map(|text| text.parse::<IpAddr>().unwrap());
    (
        any::<Index>(),
        any::<Index>(),
        proptest::sample::select(Action::DATASET_ACTIONS.to_vec()),
        proptest::sample::select(addresses.to_vec()),
        some_second(),
        proptest::option::weighted(0.6, key),
    )
        .prop_map(
            |(principal, dataset, action, address, second, key)| RequestSeed {
                principal,
                dataset,
                action,
                address,
                second,
                key,
            },
        )
}

/// A request as it comes in.
struct Request {
    principal: Principal,
    dataset: Arc<Dataset>,
    action: Action,
    context: DecisionContext,
}

impl RequestSeed {
    /// The request; none if its key denies it.
    fn request(&self, number: u128, catalog: &ComparedCatalog) -> Option<Request> {
        let mut principals: Vec<Principal> = vec![Principal::Anonymous];
        principals.extend(catalog.users.iter().cloned().map(Principal::User));
        let principal = self.principal.get(&principals).clone();
        let dataset = Arc::clone(self.dataset.get(&catalog.datasets));
        let user = match &principal {
            Principal::Anonymous => None,
            Principal::User(user) => Some(Arc::clone(user)),
        };
        let key = match (&self.key, &user) {
            (Some(seed), Some(user)) => Some(seed.key(number, user, &dataset, catalog)),
            _ => None,
        };
        if let Some(key) = &key
            && key.scope.violation(self.action, Some(dataset.id)).is_some()
        {
            return None;
        }
        let authentication = match (&user, &key) {
            (None, _) => Authentication::None,
            (Some(_), Some(_)) => Authentication::ApiKey,
            (Some(user), None) if user.issuer.is_some() => Authentication::Issuer,
            (Some(_), None) => Authentication::Password,
        };
        Some(Request {
            principal,
            dataset,
            action: self.action,
            context: DecisionContext {
                address: Some(self.address),
                unix_millis: self.second * 1_000,
                authentication,
                key,
            },
        })
    }
}

impl KeySeed {
    fn key(
        &self,
        number: u128,
        user: &User,
        dataset: &Dataset,
        catalog: &ComparedCatalog,
    ) -> Arc<ApiKey> {
        let datasets = self.datasets.as_ref().map(|others| {
            let others = others.iter().map(|index| index.get(&catalog.datasets).id);
            others.chain([dataset.id]).collect()
        });
        Arc::new(ApiKey {
            // As random as those of real keys.
            id: ApiKeyId(Uuid::from_u128(u128::MAX - number)),
            user_id: user.id,
            name: KeyName::new("key").unwrap(),
            prefix: KeyPrefix::parse("random0000").unwrap(),
            scope: KeyScope::new(self.actions.clone(), datasets).unwrap(),
            created_at: 0,
            expires_at: None,
            last_used: None,
        })
    }
}

impl Request {
    fn is_permitted(&self, bundle: &Bundle) -> bool {
        let resource = Resource::Dataset(Arc::clone(&self.dataset));
        let decision = bundle.decide(&self.principal, self.action, &resource, &self.context);
        decision.is_permitted
    }
}

/// Two bundles, most of them with what few literals say: times of attributes, and keys that are compared with tags.
fn some_bundles() -> impl Strategy<Value = (Bundle, Bundle)> {
    let of_catalog = context_conditions().into_iter().filter(|condition| {
        let mut words = ["until", "twin", "key.datasets"].into_iter();
        words.any(|word| condition.contains(word))
    });
    prop_oneof![
        3 => two_bundles_of(of_catalog.collect(), 2),
        1 => two_bundles_of(context_conditions(), 3),
    ]
}

/// A catalog in which more of the conditions are met.
fn some_comparable_catalog() -> impl Strategy<Value = Catalog> {
    some_catalog().prop_map(|mut catalog| {
        let twins: Vec<String> = catalog
            .datasets
            .iter()
            .map(|one| one.id.to_string())
            .collect();
        for (place, dataset) in catalog.datasets.iter_mut().enumerate() {
            let (until, _) = UNTIL[place % UNTIL.len()];
            let named = &twins[place % twins.len().min(2)];
            dataset.attributes = [("until".to_owned(), until.into())].into();
            dataset.tags = [("twin".to_owned(), BTreeSet::from([named.clone()]))].into();
        }
        catalog
    })
}

fn compared(catalog: Catalog) -> ComparedCatalog {
    let users = catalog.users.into_iter().map(|record| record.user);
    let users = users.filter(|user| !user.is_disabled);
    ComparedCatalog {
        users: users.map(Arc::new).collect(),
        datasets: catalog.datasets.into_iter().map(Arc::new).collect(),
    }
}

fn axis<By, Key>(by: By) -> MatrixAxis<By, Key> {
    MatrixAxis {
        by,
        within: Vec::new(),
        after: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn a_change_of_any_request_is_in_the_comparison_and_in_the_matrix(
        (from, to) in some_bundles(),
        catalog in some_comparable_catalog(),
        seeds in proptest::collection::vec(some_request(), 300),
    ) {
        let catalog = compared(catalog);
        let bundles = BundlePair { from: &from, to: &to };
        let keep_on = |_, _| Ok::<(), Infallible>(());
        let Ok(comparison) =
            compare_within(bundles, &catalog, &scope(), ComparisonLimits::NONE, keep_on);
        let of_matrix = MatrixCatalog::new(&catalog.users, catalog.datasets.clone());
        let matrices = Action::DATASET_ACTIONS.map(|action| {
            let query = MatrixQuery {
                action,
                people: axis(PeopleGrouping::Person),
                datasets: axis(DatasetGrouping::Dataset),
                scope: scope(),
                limit: 200,
            };
            let budget = ReviewBudget::new(u64::MAX, Duration::MAX);
            (action, access_matrix(bundles, &of_matrix, &query, &budget).unwrap())
        });
        for (seed, number) in seeds.iter().zip(0..) {
            let Some(request) = seed.request(number, &catalog) else {
                continue;
            };
            let (before, after) = (request.is_permitted(&from), request.is_permitted(&to));
            if before == after {
                continue;
            }
            let change = if after { DecisionChange::Gains } else { DecisionChange::Loses };
            let id = request.principal.user_id();
            let is_told = comparison.groups.iter().any(|group| {
                group.action == request.action
                    && group.change == change
                    && group.datasets.iter().any(|one| one.id == request.dataset.id)
                    && match id {
                        None => group.is_anonymous,
                        Some(id) => group.users.iter().any(|user| user.id == id),
                    }
            });
            prop_assert!(
                is_told || comparison.is_cut,
                "{change:?} {:?} {:?} {:?}",
                request.action, request.dataset.id, request.context
            );
            let (_, matrix) = matrices
                .iter()
                .find(|(action, _)| *action == request.action)
                .unwrap();
            let column = matrix.columns.iter().position(|column| column.user_id == id);
            let row = matrix.rows.iter().position(|row| row.dataset_id == Some(request.dataset.id));
            let counts = &matrix.cells[row.unwrap()][column.unwrap()].counts;
            let told = if after { counts.gained } else { counts.lost };
            prop_assert!(
                told == 1 || matrix.is_cut,
                "{change:?} {:?} {:?} {:?}",
                request.action, request.dataset.id, request.context
            );
        }
    }

    #[test]
    fn whatever_is_permitted_is_in_the_access_lists(
        (bundle, _) in some_bundles(),
        catalog in some_comparable_catalog(),
        seeds in proptest::collection::vec(some_request(), 20),
    ) {
        let catalog = compared(catalog);
        for (seed, number) in seeds.iter().zip(0..) {
            let Some(request) = seed.request(number, &catalog) else {
                continue;
            };
            if !request.is_permitted(&bundle) {
                continue;
            }
            let query = DatasetsQuery {
                principal: request.principal.clone(),
                actions: vec![request.action],
                scope: scope(),
            };
            let datasets = catalog.datasets.iter().map(|one| one.as_ref().clone()).collect();
            let what = list_datasets(&bundle, &query, datasets);
            let mut groups = what.actions.iter().flat_map(|action| &action.groups);
            let is_told = groups.any(|group| {
                group.datasets.iter().any(|one| one.id == request.dataset.id)
            });
            prop_assert!(is_told || what.is_cut, "{:?} {:?}", request.dataset.id, request.context);
            let query = PrincipalsQuery {
                action: request.action,
                dataset: request.dataset.as_ref().clone(),
                scope: scope(),
            };
            let who = list_principals(&bundle, &query, catalog.users.clone());
            let id = request.principal.user_id();
            let is_told = who.groups.iter().any(|group| match id {
                None => group.is_anonymous,
                Some(id) => group.users.iter().any(|user| user.id == id),
            });
            prop_assert!(is_told || who.is_cut, "{:?} {:?}", request.dataset.id, request.context);
        }
    }
}
