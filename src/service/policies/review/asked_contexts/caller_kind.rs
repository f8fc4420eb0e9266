//! How callers authenticate, as far as policies can tell it: with API keys of several scopes, or without one.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyScope, MAX_KEY_DATASETS};
use crate::domain::caller::Authentication;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::Principal;
use crate::domain::shown::join_and;
use crate::policy::key_literals::KeyLiterals;
use crate::service::policies::review::context::AssumedCaller;

/// The most datasets of a key beside the one that is asked about.
const MAX_OTHER_DATASETS: usize = 100;

/// How users authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedAuthentication {
    /// As each of them signs in, without an API key.
    SignedIn,
    /// With an API key, of each kind that policies can tell apart.
    ApiKey,
    /// All of them so, without an API key.
    As(Authentication),
}

/// How a user calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service::policies::review) enum CallerKind {
    /// Signed in with a password, or with a token of an identity provider.
    SignedIn,
    /// With an API key.
    Key(KeyKind),
    /// Signed in so, whoever it is.
    As(Authentication),
}

/// What an API key is restricted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::service::policies::review) struct KeyKind {
    /// These actions, in the order of `Action::DATASET_ACTIONS`.
    actions: Option<[bool; 3]>,
    datasets: Option<KeyDatasets>,
}

/// The datasets that an API key is restricted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyDatasets {
    /// The one that is asked about.
    Asked,
    /// That one, and those whose ids are compared with.
    AskedAndNamed,
}

/// The kinds of callers that policies tell apart, and the datasets that keys have beside the one that is asked about.
pub(super) struct AskedCallers {
    pub(super) kinds: Vec<CallerKind>,
    pub(super) named: BTreeSet<DatasetId>,
    /// Whether policies can tell more kinds apart.
    pub(super) is_cut: bool,
}

impl AskedCallers {
    /// The kinds of callers, as far as policies read how callers authenticate; keys come last.
    pub(super) fn new(
        key: &KeyLiterals,
        reads_authentication: bool,
        asked: Option<AskedAuthentication>,
    ) -> Self {
        let none = |kinds: Vec<CallerKind>| Self {
            kinds,
            named: BTreeSet::new(),
            is_cut: false,
        };
        match asked {
            Some(AskedAuthentication::SignedIn) => return none(vec![CallerKind::SignedIn]),
            Some(AskedAuthentication::As(way)) => return none(vec![CallerKind::As(way)]),
            Some(AskedAuthentication::ApiKey) | None => {}
        }
        let mut kinds = vec![CallerKind::SignedIn];
        if reads_authentication || key.is_read || asked.is_some() {
            kinds.push(CallerKind::Key(KeyKind::default()));
        }
        if asked.is_some() {
            kinds.remove(0);
        }
        let named: BTreeSet<_> = key
            .datasets
            .iter()
            .take(MAX_OTHER_DATASETS)
            .copied()
            .collect();
        let actions = if key.reads_actions {
            action_sets(&key.actions)
        } else {
            Vec::new()
        };
        let datasets = match (key.reads_datasets, named.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => vec![KeyDatasets::Asked],
            (true, false) => vec![KeyDatasets::Asked, KeyDatasets::AskedAndNamed],
        };
        let optional = |all: Vec<KeyDatasets>| [None].into_iter().chain(all.into_iter().map(Some));
        let of_actions = [None].into_iter().chain(actions.into_iter().map(Some));
        let scopes = of_actions.flat_map(|actions| {
            optional(datasets.clone()).map(move |datasets| KeyKind { actions, datasets })
        });
        // The one without a restriction is there.
        kinds.extend(scopes.skip(1).map(CallerKind::Key));
        Self {
            kinds,
            is_cut: is_cut(key),
            named,
        }
    }
}

/// Whether policies can tell keys apart that are not asked about.
fn is_cut(key: &KeyLiterals) -> bool {
    // What is asked of some datasets changes at none or at all of them, if it is one question or about one dataset.
    let are_several = key.datasets.len() > 1 && key.comparisons.len() > 1;
    let is_beyond = key.actions.iter().any(|word| {
        let mut known = Action::DATASET_ACTIONS.into_iter();
        !known.any(|action| action.to_string() == *word)
    });
    is_beyond
        || key.datasets.len() > MAX_OTHER_DATASETS
        || (!key.datasets.is_empty() && (are_several || key.compares_whole))
}

/// The sets of actions that policies can tell apart: by each action that they name, and by whether there are others.
fn action_sets(named: &[String]) -> Vec<[bool; 3]> {
    let is_named = Action::DATASET_ACTIONS.map(|action| named.contains(&action.to_string()));
    let all = (1_u8..8).map(|bits| [0, 1, 2].map(|place| bits >> place & 1 == 1));
    all.filter(|set| {
        let mut others = set.iter().zip(is_named).filter(|(_, is_named)| !is_named);
        let first = others.next().map(|(is_in, _)| *is_in);
        // Of those that no policy names all are alike.
        others.all(|(is_in, _)| Some(*is_in) == first)
    })
    .collect()
}

impl CallerKind {
    /// The kind in words that follow "calling" or "as".
    pub(in crate::service::policies::review) fn words(self) -> String {
        match self {
            Self::SignedIn => "without an API key".to_owned(),
            Self::Key(kind) => kind.words(),
            Self::As(Authentication::Password) => "signed in with a password".to_owned(),
            Self::As(Authentication::Issuer) => "signed in with an identity provider".to_owned(),
            Self::As(_) => "not signed in".to_owned(),
        }
    }

    /// Whether the scope of the caller's key, if it has one, contains an action on the dataset that is asked about.
    pub(in crate::service::policies::review) fn may_ask(self, action: Action) -> bool {
        let Self::Key(KeyKind {
            actions: Some(chosen),
            ..
        }) = self
        else {
            return true;
        };
        KeyScope::new(Some(chosen_actions(chosen)), None)
            .is_ok_and(|scope| scope.violation(action, None).is_none())
    }

    /// Whether somebody can call so: anonymous callers show nothing, and users sign in where they are.
    pub(in crate::service::policies::review) fn may_be(self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::As(Authentication::None), principal) => principal.is_anonymous(),
            (Self::As(_) | Self::Key(_), Principal::Anonymous) => false,
            (Self::As(Authentication::Password), Principal::User(user)) => user.issuer.is_none(),
            (Self::As(Authentication::Issuer), Principal::User(user)) => user.issuer.is_some(),
            (Self::As(_) | Self::Key(_) | Self::SignedIn, _) => true,
        }
    }

    pub(super) fn authentication(self, principal: &Principal, has_key: bool) -> Authentication {
        let is_external = matches!(principal, Principal::User(user) if user.issuer.is_some());
        match self {
            _ if principal.is_anonymous() => Authentication::None,
            _ if has_key => Authentication::ApiKey,
            Self::As(authentication) => authentication,
            Self::SignedIn | Self::Key(_) if is_external => Authentication::Issuer,
            Self::SignedIn | Self::Key(_) => Authentication::Password,
        }
    }

    /// The key that is called with.
    pub(super) fn key(
        self,
        user_id: UserId,
        dataset: &Dataset,
        named: &BTreeSet<DatasetId>,
    ) -> Option<Arc<ApiKey>> {
        let Self::Key(kind) = self else {
            return None;
        };
        let datasets = kind.datasets.map(|datasets| match datasets {
            KeyDatasets::Asked => [dataset.id].into(),
            KeyDatasets::AskedAndNamed => {
                let others = named.iter().copied().take(MAX_KEY_DATASETS - 1);
                others.chain([dataset.id]).collect()
            }
        });
        let scope = KeyScope::new(kind.actions.map(chosen_actions), datasets).ok()?;
        AssumedCaller::assumed_key(user_id, scope)
    }
}

impl KeyKind {
    fn words(self) -> String {
        let actions = self.actions.map(|chosen| {
            let names: Vec<_> = chosen_actions(chosen)
                .iter()
                .map(Action::to_string)
                .collect();
            join_and(&names)
        });
        let datasets = self.datasets.map(|datasets| match datasets {
            KeyDatasets::Asked => "the dataset",
            KeyDatasets::AskedAndNamed => "the dataset and others",
        });
        match (actions, datasets) {
            (None, None) => "with an unrestricted API key".to_owned(),
            (Some(actions), None) => format!("with an API key for {actions}"),
            (None, Some(datasets)) => format!("with an API key for {datasets}"),
            (Some(actions), Some(datasets)) => {
                format!("with an API key for {actions} on {datasets}")
            }
        }
    }
}

/// The chosen ones of the actions on datasets.
fn chosen_actions(chosen: [bool; 3]) -> BTreeSet<Action> {
    let all = Action::DATASET_ACTIONS.into_iter().zip(chosen);
    all.filter(|(_, is_chosen)| *is_chosen)
        .map(|(action, _)| action)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_actions_differ_by_what_policies_name() {
        let sets = |named: &[&str]| {
            let named: Vec<String> = named.iter().map(ToString::to_string).collect();
            let sets = action_sets(&named).into_iter();
            let sets = sets.map(|set| KeyKind {
                actions: Some(set),
                datasets: None,
            });
            sets.map(KeyKind::words).collect::<Vec<_>>()
        };
        assert_eq!(
            sets(&[]),
            ["with an API key for read, discover and administer"]
        );
        assert_eq!(
            sets(&["read"]),
            [
                "with an API key for read",
                "with an API key for discover and administer",
                "with an API key for read, discover and administer",
            ]
        );
        assert_eq!(sets(&["read", "discover"]).len(), 7);
    }
}
