//! Access classes: pairs of a principal and a dataset that the policies do not tell apart, each decided once.
//!
//! [`projection`](crate::service::policies::review::projection) says why that is sound.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::attributes::AttributeOwner;
use crate::domain::client_address::AssumedAddress;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Decision;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::references::PolicyReferences;
use crate::service::policies::review::asked_contexts::{
    AskedContexts, CallerKind, ContextScope, ContextSet,
};
use crate::service::policies::review::projection::{
    AttributeViews, PrincipalProjection, ResourceProjection, is_reader_by_other_role,
};

use super::relation::{ClassRelation, find_relations};

/// The most evaluation errors that are listed.
const MAX_ERRORS: usize = 20;

/// What a policy permits to the pairs of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassGrant {
    /// The id of the policy.
    pub(super) policy: Arc<str>,
    /// By which relation of the principal and the dataset.
    pub(super) relation: ClassRelation,
    /// In which contexts.
    pub(super) contexts: ContextSet,
}

/// What is permitted to the pairs of one class: for each action that is asked about, by its place.
pub(super) type ClassAccess = Arc<[Vec<ClassGrant>]>;

/// A class: the index of the principal's projection, none for anonymous callers, and of the dataset's for it.
pub(super) type ClassKey = (Option<usize>, usize);

/// Classes under way, for one bundle.
pub(super) struct AccessClasses<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) actions: &'a [Action],
    pub(super) references: PolicyReferences,
    pub(super) asked: AskedContexts,
    /// Every context that is asked in, by its place.
    contexts: Vec<ContextAt>,
    /// For each action the contexts in which it can be asked for: a key denies what is beyond it, whatever policies say.
    askable: Vec<ContextSet>,
    /// Errors in evaluating policies; the first few.
    pub(super) errors: BTreeSet<String>,
    principals: HashMap<PrincipalProjection, usize>,
    resources: HashMap<ResourceProjection, usize>,
    decided: HashMap<ClassKey, ClassAccess>,
}

/// One context, as it is asked in.
#[derive(Clone, Copy)]
struct ContextAt {
    address: AssumedAddress,
    second: i64,
    caller: CallerKind,
}

impl<'a> AccessClasses<'a> {
    /// Classes of some users and datasets; none is decided yet.
    pub(super) fn new(
        bundle: &'a Bundle,
        actions: &'a [Action],
        users: &[Arc<User>],
        datasets: &[Arc<Dataset>],
        scope: &ContextScope,
    ) -> Self {
        let mut references = bundle.references_for(actions);
        let of_users = users.iter().map(|user| &user.attributes);
        let of_datasets = datasets.iter().map(|dataset| &dataset.attributes);
        let literals = bundle
            .context_literals_for(actions)
            .and(scope.literals.clone())
            .and_attributes(&references, of_users.chain(of_datasets));
        // A key for a dataset has the id of the dataset as a text.
        let texts = literals.key_texts.iter();
        let in_texts = texts.filter_map(|text| text.parse().ok());
        references.datasets.extend(in_texts.map(DatasetId));
        let views = views(bundle, &references);
        let of_users = users
            .iter()
            .flat_map(|user| views.named_by(AttributeOwner::User, &user.attributes));
        let of_datasets = datasets
            .iter()
            .flat_map(|dataset| views.named_by(AttributeOwner::Dataset, &dataset.attributes));
        let named = of_users.chain(of_datasets).collect();
        references.add_referred(named);
        let asked = AskedContexts::new(&literals, scope);
        let contexts = asked.iter().map(|(address, second, caller)| ContextAt {
            address,
            second,
            caller,
        });
        let contexts: Vec<ContextAt> = contexts.collect();
        let askable = actions.iter().map(|action| {
            let may_ask = contexts.iter().map(|at| at.caller.may_ask(*action));
            let places = may_ask.enumerate().filter(|(_, may_ask)| *may_ask);
            places.fold(0, |set, (place, _)| set | 1 << place)
        });
        Self {
            bundle,
            actions,
            references,
            askable: askable.collect(),
            contexts,
            asked,
            errors: BTreeSet::new(),
            principals: HashMap::new(),
            resources: HashMap::new(),
            decided: HashMap::new(),
        }
    }

    /// The index of a user's projection.
    pub(super) fn principal_index(&mut self, user: &User) -> usize {
        let projection = PrincipalProjection::new(user, &views(self.bundle, &self.references));
        let next = self.principals.len();
        *self.principals.entry(projection).or_insert(next)
    }

    /// The index of a dataset's projection for a user, or for anonymous callers.
    pub(super) fn resource_index(&mut self, dataset: &Dataset, user: Option<&User>) -> usize {
        let none = BTreeSet::new();
        let roles = user.map_or(&none, |user| &user.roles);
        let views = views(self.bundle, &self.references);
        let projection = ResourceProjection::new(dataset, user.map(|user| user.id), roles, &views);
        let next = self.resources.len();
        *self.resources.entry(projection).or_insert(next)
    }

    /// What is permitted to a class, decided with one pair of it.
    pub(super) fn access(
        &mut self,
        class: ClassKey,
        principal: &Principal,
        dataset: &Arc<Dataset>,
    ) -> ClassAccess {
        if let Some(known) = self.decided.get(&class) {
            return Arc::clone(known);
        }
        let actions = self.actions.iter();
        let access: Vec<_> = actions
            .map(|action| self.decide(*action, principal, dataset))
            .collect();
        let access: ClassAccess = access.into();
        self.decided.insert(class, Arc::clone(&access));
        access
    }

    /// Decides one action in every context.
    fn decide(
        &mut self,
        action: Action,
        principal: &Principal,
        dataset: &Arc<Dataset>,
    ) -> Vec<ClassGrant> {
        let mut grants: Vec<ClassGrant> = Vec::new();
        let callers = self.asked.callers.len();
        for (place, at) in self.contexts.iter().enumerate() {
            // Nobody who did not sign in calls with a key: all callers are the same one.
            let same = if principal.is_anonymous() { callers } else { 1 };
            if same > 1 && !self.asked.stands_for_anonymous(at.caller) {
                continue;
            }
            let contexts = (0..same).fold(0, |set, more| set | 1 << (place + more));
            let Some(decision) = at.decide(self.bundle, principal, action, dataset) else {
                continue;
            };
            if self.errors.len() < MAX_ERRORS {
                self.errors.extend(decision.errors);
            }
            if !decision.is_permitted {
                continue;
            }
            for policy in decision.determining_policies {
                let is_met = |principal: &Principal, dataset: &Arc<Dataset>| {
                    let decision = at.decide(self.bundle, principal, action, dataset);
                    decision.is_some_and(|it| {
                        it.is_permitted && it.determining_policies.contains(&policy)
                    })
                };
                let relations = find_relations(principal, dataset, &self.references, is_met);
                for relation in relations {
                    let known = grants
                        .iter_mut()
                        .find(|grant| *grant.policy == *policy && grant.relation == relation);
                    match known {
                        Some(grant) => grant.contexts |= contexts,
                        None => grants.push(ClassGrant {
                            policy: policy.as_str().into(),
                            relation,
                            contexts,
                        }),
                    }
                }
            }
        }
        let askable = self.askable(action);
        for grant in &mut grants {
            // Where a key denies by itself, no policy is asked: that is no context to tell of.
            if grant.contexts & askable == askable {
                grant.contexts = self.asked.all();
            }
        }
        grants
    }

    /// The contexts in which an action can be asked for.
    pub(super) fn askable(&self, action: Action) -> ContextSet {
        let mut of_actions = self.actions.iter().zip(&self.askable);
        let found = of_actions.find(|(one, _)| **one == action);
        found.map_or_else(|| self.asked.all(), |(_, askable)| *askable)
    }
}

fn views<'a>(bundle: &'a Bundle, references: &'a PolicyReferences) -> AttributeViews<'a> {
    AttributeViews {
        schemas: vec![bundle.declared_attributes()],
        references,
    }
}

impl ContextAt {
    /// The decision in this context; none if the caller's key denies.
    fn decide(
        self,
        bundle: &Bundle,
        principal: &Principal,
        action: Action,
        dataset: &Arc<Dataset>,
    ) -> Option<Decision> {
        if !principal.is_anonymous() && !self.caller.may_ask(action) {
            return None;
        }
        let place = (self.address, self.second);
        let context = self.caller.context(principal, dataset, place);
        let resource = Resource::Dataset(Arc::clone(dataset));
        Some(bundle.decide(principal, action, &resource, &context))
    }
}

/// What the projection of one dataset depends on, for different users.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct UserTraits {
    /// The user, if a policy names it.
    named: Option<UserId>,
    is_owner: bool,
    is_reader: bool,
    is_reader_by_other_role: bool,
}

/// The projections of one dataset for many users: a dataset may have very many readers, and few projections.
pub(super) struct ResourceIndexes {
    dataset: Arc<Dataset>,
    indexes: HashMap<Option<UserTraits>, usize>,
}

impl ResourceIndexes {
    /// The projections of a dataset; none is known yet.
    pub(super) fn new(dataset: Arc<Dataset>) -> Self {
        Self {
            dataset,
            indexes: HashMap::new(),
        }
    }

    /// The index of the dataset's projection for a user, or for anonymous callers.
    pub(super) fn get(&mut self, classes: &mut AccessClasses<'_>, user: Option<&User>) -> usize {
        let references = &classes.references;
        let traits = user.map(|user| UserTraits {
            named: (references.is_everything || references.users.contains(&user.id))
                .then_some(user.id),
            is_owner: self.dataset.owner == Some(user.id),
            is_reader: self.dataset.reader_users.contains(&user.id),
            is_reader_by_other_role: is_reader_by_other_role(
                &self.dataset,
                &user.roles,
                references,
            ),
        });
        if let Some(index) = self.indexes.get(&traits) {
            return *index;
        }
        let index = classes.resource_index(&self.dataset, user);
        self.indexes.insert(traits, index);
        index
    }
}
