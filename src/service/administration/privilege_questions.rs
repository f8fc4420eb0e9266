//! The questions by which two users are compared: administrative actions on what there is.

use std::sync::{Arc, LazyLock};

use strum::VariantArray;
use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::attributes::Attributes;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::DatasetId;
use crate::domain::name::RoleName;
use crate::domain::principal::{Tags, User};
use crate::domain::resource::Resource;

/// The actions on the server: administrative ones, and what a service may ask.
const SERVER_ACTIONS: [Action; 11] = [
    Action::ViewUsers,
    Action::ViewDatasets,
    Action::ViewAudit,
    Action::ViewPolicies,
    Action::ReloadPolicies,
    Action::EditPolicies,
    Action::ViewKeys,
    Action::ViewIssuers,
    Action::Evaluate,
    Action::Search,
    Action::AssumeContext,
];
/// The administrative actions on a user.
pub(super) const USER_ACTIONS: [Action; 2] = [Action::ViewUsers, Action::AdministerUsers];
/// The administrative actions on a dataset.
const DATASET_ACTIONS: [Action; 2] = Action::DATASET_ADMINISTRATION;
/// The administrative actions on a role.
const ROLE_ACTIONS: [Action; 2] = [Action::AdministerRoles, Action::AssignRole];

/// A dataset of each visibility and status, without owner, readers and attributes; the same ones each time, so
/// that their entities are cached once.
static SAMPLE_DATASETS: LazyLock<Vec<Arc<Dataset>>> = LazyLock::new(|| {
    let of_visibility = |visibility: &Visibility| {
        RecordStatus::VARIANTS
            .iter()
            .map(|record_status| sample_dataset(*visibility, *record_status))
            .collect::<Vec<_>>()
    };
    Visibility::VARIANTS
        .iter()
        .flat_map(of_visibility)
        .collect()
});

/// What the comparison asks about.
pub(super) struct ComparedResources {
    pub(super) roles: Vec<RoleName>,
    pub(super) users: Vec<Arc<User>>,
    pub(super) datasets: Vec<Arc<Dataset>>,
}

impl ComparedResources {
    /// The questions about the actions that `is_asked` lets pass.
    pub(super) fn questions(
        &self,
        is_asked: &impl Fn(&Action) -> bool,
    ) -> impl Iterator<Item = (Action, Resource)> {
        let asked = |actions: &[Action]| -> Vec<Action> {
            let actions = actions.iter().copied();
            actions.filter(is_asked).collect()
        };
        let on_server = asked(&SERVER_ACTIONS)
            .into_iter()
            .map(|action| (action, Resource::Server));
        let role_actions = asked(&ROLE_ACTIONS);
        let on_roles = self.roles.iter().flat_map(move |role| {
            let role = Resource::Role(role.clone());
            let actions = role_actions.clone().into_iter();
            actions.map(move |action| (action, role.clone()))
        });
        let on_datasets = asked(&DATASET_ACTIONS).into_iter().flat_map(|action| {
            let datasets = self.datasets.iter();
            datasets.map(move |dataset| (action, Resource::Dataset(Arc::clone(dataset))))
        });
        let user_actions = asked(&USER_ACTIONS);
        let on_users = self.users.iter().flat_map(move |user| {
            let user = Resource::User(Arc::clone(user));
            let actions = user_actions.clone().into_iter();
            actions.map(move |action| (action, user.clone()))
        });
        on_server.chain(on_roles).chain(on_datasets).chain(on_users)
    }
}

/// A dataset of each visibility and status, without owner and readers, with the attributes that the schema
/// requires.
pub(super) fn sample_datasets(required: &Attributes) -> Vec<Arc<Dataset>> {
    let samples = SAMPLE_DATASETS.iter();
    if required.is_empty() {
        return samples.cloned().collect();
    }
    let with_required = |sample: &Arc<Dataset>| {
        Arc::new(Dataset {
            attributes: required.clone(),
            ..Dataset::clone(sample)
        })
    };
    samples.map(with_required).collect()
}

fn sample_dataset(visibility: Visibility, record_status: RecordStatus) -> Arc<Dataset> {
    Arc::new(Dataset {
        id: DatasetId(Uuid::nil()),
        title: String::new(),
        visibility,
        record_status,
        owner: None,
        reader_users: std::collections::BTreeSet::new(),
        reader_roles: std::collections::BTreeSet::new(),
        share_ends: crate::domain::share_ends::ShareEnds::default(),
        tags: Tags::new(),
        attributes: Attributes::new(),
        file: None,
    })
}

/// A resource, for auditors.
pub(super) fn describe(resource: &Resource) -> String {
    match resource {
        Resource::Dataset(dataset) | Resource::DatasetCandidate(dataset) => {
            format!("{} datasets", dataset.visibility)
        }
        Resource::User(user) | Resource::ChangedUser(user) => format!("the user {}", user.username),
        Resource::Role(role) => format!("the role {role}"),
        Resource::Server => "the server".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_administrative_action_is_compared() {
        for action in Action::VARIANTS {
            let is_compared = SERVER_ACTIONS.contains(action)
                || USER_ACTIONS.contains(action)
                || ROLE_ACTIONS.contains(action)
                || DATASET_ACTIONS.contains(action);
            let is_reading = matches!(action, Action::Read | Action::Discover);
            assert_ne!(is_compared, is_reading, "{action}");
        }
    }
}
