//! Access list of a dataset: who may do something with it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::principal::{Principal, User};
use crate::policy::Bundle;
use crate::service::policies::review::asked_contexts::ContextScope;
use crate::service::policies::review::asked_contexts::names::name_contexts;

use super::classes::{AccessClasses, ResourceIndexes};
use super::relation::AccessRelation;
use super::report::{
    GroupMembers, ListedUser, PairAccess, PairGrant, PrincipalGroup, ResourceAccess, into_groups,
};

/// The question who may do something with a dataset.
#[derive(Clone, Debug)]
pub struct PrincipalsQuery {
    /// The action.
    pub action: Action,
    /// The dataset.
    pub dataset: Dataset,
    /// Where and when.
    pub scope: ContextScope,
}

/// What is permitted to a user on a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserGrants {
    /// The user.
    pub user: Arc<User>,
    /// What is permitted.
    pub access: PairAccess,
}

/// A question under way.
struct PrincipalsRun<'a> {
    classes: AccessClasses<'a>,
    indexes: ResourceIndexes,
    dataset: Arc<Dataset>,
}

impl<'a> PrincipalsRun<'a> {
    fn new(
        bundle: &'a Bundle,
        actions: &'a [Action],
        query: &PrincipalsQuery,
        users: &[Arc<User>],
    ) -> Self {
        // What has ended is no share: projections compare what is left at the time asked about, or now.
        let second = query.scope.time.unwrap_or(query.scope.now);
        let dataset = Arc::new(query.dataset.clone().into_shared_at(second));
        let datasets = [Arc::clone(&dataset)];
        let classes = AccessClasses::new(bundle, actions, users, &datasets, &query.scope);
        Self {
            indexes: ResourceIndexes::new(Arc::clone(&dataset)),
            classes,
            dataset,
        }
    }

    /// The grants to a user, or to anonymous callers.
    fn grants(&mut self, user: Option<&Arc<User>>) -> Vec<PairGrant> {
        let principal = user.map_or(Principal::Anonymous, |user| {
            Principal::User(Arc::clone(user))
        });
        if user.is_some_and(|user| user.is_disabled) {
            return Vec::new();
        }
        let of_user = user.map(|user| self.classes.principal_index(user));
        let user = user.map(AsRef::as_ref);
        let of_dataset = self.indexes.get(&mut self.classes, user);
        let access = self
            .classes
            .access((of_user, of_dataset), &principal, &self.dataset);
        self.classes.pair_grants(&access, 0, user, &self.dataset)
    }
}

/// What is permitted to each of some users, and to anonymous callers; nothing is to a disabled user.
#[must_use]
pub fn grants_of_principals(
    bundle: &Bundle,
    query: &PrincipalsQuery,
    users: Vec<Arc<User>>,
) -> (Vec<UserGrants>, PairAccess) {
    let actions = [query.action];
    let mut run = PrincipalsRun::new(bundle, &actions, query, &users);
    let grants = users.into_iter().map(|user| {
        let grants = run.grants(Some(&user));
        UserGrants {
            access: run.classes.tell(query.action, grants),
            user,
        }
    });
    let grants = grants.collect();
    let of_anonymous = run.grants(None);
    (grants, run.classes.tell(query.action, of_anonymous))
}

/// Lists who of all users, and whether anonymous callers, may do something with a dataset.
#[must_use]
pub fn list_principals(
    bundle: &Bundle,
    query: &PrincipalsQuery,
    users: Vec<Arc<User>>,
) -> ResourceAccess {
    let actions = [query.action];
    let all = users.len();
    let mut users: Vec<_> = users.into_iter().filter(|user| !user.is_disabled).collect();
    users.sort_by(|a, b| a.username.as_str().cmp(b.username.as_str()));
    let mut run = PrincipalsRun::new(bundle, &actions, query, &users);
    let mut groups: HashMap<PairGrant, GroupMembers> = HashMap::new();
    let of_anonymous = run.grants(None);
    let is_anonymous = !of_anonymous.is_empty();
    for grant in of_anonymous {
        // Those whom the same policy permits, signed in or not, are one group.
        let through = AccessRelation::Policy;
        groups
            .entry(PairGrant { through, ..grant })
            .or_default()
            .is_anonymous = true;
    }
    let mut permitted = Vec::with_capacity(users.len());
    for (place, user) in users.iter().enumerate() {
        let mut contexts = 0;
        for grant in run.grants(Some(user)) {
            contexts |= grant.contexts;
            groups.entry(grant).or_default().places.push(place);
        }
        permitted.push(contexts);
    }
    let PrincipalsRun {
        classes, dataset, ..
    } = run;
    let (permitted, always_permitted) = classes.count(query.action, permitted.into_iter());
    let groups = into_groups(groups).into_iter().map(|group| {
        let places = &group.members.places;
        let members = places.iter().filter_map(|place| users.get(*place));
        PrincipalGroup {
            reasons: group.reasons(bundle),
            through: match &group.through {
                AccessRelation::Policy if places.is_empty() => AccessRelation::Anonymous,
                AccessRelation::Policy if places.len() == users.len() => AccessRelation::Everyone,
                through => through.clone(),
            },
            when: name_contexts(&classes.asked, group.contexts),
            is_anonymous: group.members.is_anonymous,
            users: members.map(ListedUser::from).collect(),
            policies: group.policies,
        }
    });
    ResourceAccess {
        revision: bundle.revision().clone(),
        dataset: (&dataset).into(),
        action: query.action,
        permitted,
        always_permitted,
        disabled: all - users.len(),
        users: users.len(),
        is_anonymous,
        groups: groups.collect(),
        contexts: classes.asked.report(),
        is_cut: classes.asked.is_cut,
        errors: classes.errors.into_iter().collect(),
    }
}
