//! Access classes: pairs of a principal and a dataset that the policies do not tell apart, each decided once.
//!
//! [`projection`](crate::service::policies::review::projection) says why that is sound.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Decision;
use crate::domain::id::UserId;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::references::PolicyReferences;
use crate::service::policies::review::asked_contexts::{
    AskedContexts, AskedPlace, ContextScope, ContextSet,
};
use crate::service::policies::review::catalog_question::{
    AskedOfCatalog, CatalogQuestion, MAX_ERRORS,
};
use crate::service::policies::review::projection::{
    AttributeViews, PrincipalProjection, ResourceProjection, is_reader_by_other_role,
};

use super::relation::{ClassRelation, find_relations};

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
    /// Errors in evaluating policies; the first few.
    pub(super) errors: BTreeSet<String>,
    principals: HashMap<PrincipalProjection, usize>,
    resources: HashMap<ResourceProjection, usize>,
    decided: HashMap<ClassKey, ClassAccess>,
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
        let question = CatalogQuestion {
            users,
            datasets,
            literals: bundle
                .context_literals_for(actions)
                .and(scope.literals.clone()),
            references: bundle.references_for(actions),
        };
        let schemas = vec![bundle.declared_attributes()];
        let AskedOfCatalog { references, asked } = question.asked(&schemas, scope);
        Self {
            bundle,
            actions,
            references,
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
        let (bundle, asked) = (self.bundle, &self.asked);
        for (contexts, place) in asked.of_principal(principal) {
            let ask = |principal: &Principal, dataset: &Arc<Dataset>| {
                decide_at((bundle, asked), place, principal, (action, dataset))
            };
            let Some(decision) = ask(principal, dataset) else {
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
                    ask(principal, dataset).is_some_and(|it| {
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
        let askable = self.asked.askable(action);
        for grant in &mut grants {
            // Where a key denies by itself, no policy is asked: that is no context to tell of.
            if grant.contexts & askable == askable {
                grant.contexts = self.asked.all();
            }
        }
        grants
    }
}

/// The decision in a context; none if the caller's key denies.
fn decide_at(
    (bundle, asked): (&Bundle, &AskedContexts),
    place: AskedPlace,
    principal: &Principal,
    (action, dataset): (Action, &Arc<Dataset>),
) -> Option<Decision> {
    let (_, _, caller) = place;
    if !principal.is_anonymous() && !caller.may_ask(action) {
        return None;
    }
    let context = asked.context(place, principal, dataset);
    let resource = Resource::Dataset(Arc::clone(dataset));
    Some(bundle.decide(principal, action, &resource, &context))
}

fn views<'a>(bundle: &'a Bundle, references: &'a PolicyReferences) -> AttributeViews<'a> {
    AttributeViews {
        schemas: vec![bundle.declared_attributes()],
        references,
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
