//! What would open the door: changes that would permit what is denied, each asked of the policies before it is told.
//!
//! They are changes that somebody can make: a share, a role, the record's status, signing in, another time, another
//! address. Times, addresses and roles to try are taken from the policies that were explained and the values that
//! they saw. Nothing is guessed: a change that does not permit it is not told. If none does, two together are tried.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::attributes::Attributes;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::{Dataset, RecordStatus};
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::domain::principal::{Principal, Tags, User};
use crate::domain::resource::Resource;
use crate::domain::rfc3339;
use crate::policy::Bundle;
use crate::policy::explain::PolicyExplanation;

use super::literals::{later_times, literals};

/// The most changes that are told.
pub(super) const MAX_OPENINGS: usize = 6;
/// The most decisions that are asked for.
const MAX_ATTEMPTS: usize = 400;
/// Addresses that are likely to be in no network that a policy names (RFC 5737, RFC 3849).
const OTHER_ADDRESSES: [&str; 4] = ["203.0.113.1", "198.51.100.1", "192.0.2.1", "2001:db8::1"];

/// A change that would permit what is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opening {
    /// What to change, in words.
    pub change: String,
    /// The command that changes it, if there is one.
    pub command: Option<String>,
}

/// A request that the policies are asked.
#[derive(Clone)]
struct Attempt {
    principal: Principal,
    dataset: Arc<Dataset>,
    context: DecisionContext,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Enable,
    SignIn,
    ShareWithUser,
    ShareWithRole(RoleName),
    Publish,
    WaitUntil(i64),
    AskFrom(IpAddr, Option<IpNet>),
    UsePassword,
    GiveRole(RoleName),
}

/// What would permit a denied request, at most [`MAX_OPENINGS`], the smallest changes first.
pub(super) fn find_openings(
    bundle: &Bundle,
    (principal, action, dataset): (&Principal, Action, &Arc<Dataset>),
    context: &DecisionContext,
    explained: &[&PolicyExplanation],
) -> Vec<Opening> {
    let asked = Attempt {
        principal: principal.clone(),
        dataset: Arc::clone(dataset),
        context: context.clone(),
    };
    let changes = possible_changes(&asked, &texts_of(explained));
    let mut attempts = 0;
    let mut opens = |changes: &[&Change]| {
        attempts += 1;
        if attempts > MAX_ATTEMPTS {
            return false;
        }
        let attempt = changes
            .iter()
            .try_fold(asked.clone(), |attempt, change| change.apply(attempt));
        attempt.is_some_and(|it| {
            // An API key denies what is beyond it, whatever policies say.
            let key = it.context.key.as_ref();
            if key.is_some_and(|key| key.scope.violation(action, Some(dataset.id)).is_some()) {
                return false;
            }
            let resource = Resource::Dataset(it.dataset);
            bundle
                .decide(&it.principal, action, &resource, &it.context)
                .is_permitted
        })
    };
    let mut found: Vec<Vec<&Change>> = Vec::new();
    for change in &changes {
        // The first moment is enough, and an admin's door is told only if there is no other.
        let is_known = found
            .iter()
            .flatten()
            .any(|it| it.kind() == change.kind() && change.is_one_of_many());
        let is_wanted = found.is_empty() || !change.is_admin();
        if !is_known && is_wanted && opens(&[change]) {
            found.push(vec![change]);
        }
    }
    if found.is_empty() {
        for (at, first) in changes.iter().enumerate() {
            for second in changes.iter().skip(at + 1) {
                let is_known = found
                    .iter()
                    .any(|it| it.contains(&first) || it.contains(&second));
                if first.kind() != second.kind() && !is_known && opens(&[first, second]) {
                    found.push(vec![first, second]);
                }
            }
        }
    }
    found
        .into_iter()
        .take(MAX_OPENINGS)
        .map(|changes| Opening::new(&changes, &asked))
        .collect()
}

impl Opening {
    fn new(changes: &[&Change], asked: &Attempt) -> Self {
        let words: Vec<String> = changes.iter().map(|change| change.words(asked)).collect();
        let commands: Vec<String> = changes.iter().filter_map(|it| it.command(asked)).collect();
        Self {
            change: words.join(", and "),
            command: (!commands.is_empty()).then(|| commands.join(" && ")),
        }
    }
}

/// The changes to try, the smallest first.
fn possible_changes(asked: &Attempt, texts: &[&str]) -> Vec<Change> {
    let mut changes = Vec::new();
    let roles = literals(texts, "Role::\"")
        .into_iter()
        .filter_map(|role| role.parse().ok());
    let roles: BTreeSet<RoleName> = roles
        .chain(asked.dataset.reader_roles.iter().cloned())
        .collect();
    match &asked.principal {
        Principal::Anonymous => changes.push(Change::SignIn),
        Principal::User(user) => {
            if user.is_disabled {
                changes.push(Change::Enable);
            }
            if asked.context.authentication != Authentication::Password && user.issuer.is_none() {
                changes.push(Change::UsePassword);
            }
            changes.push(Change::ShareWithUser);
            changes.extend(user.roles.iter().cloned().map(Change::ShareWithRole));
            let others = roles.into_iter().filter(|role| !user.roles.contains(role));
            let (admin, others): (Vec<_>, Vec<_>) =
                others.map(Change::GiveRole).partition(Change::is_admin);
            changes.extend(others);
            changes.extend(
                later_times(asked.context.unix_millis, texts)
                    .into_iter()
                    .map(Change::WaitUntil),
            );
            changes.extend(addresses(asked.context.address, texts));
            if asked.dataset.record_status == RecordStatus::Draft {
                changes.push(Change::Publish);
            }
            changes.extend(admin);
            return changes;
        }
    }
    changes.extend(
        later_times(asked.context.unix_millis, texts)
            .into_iter()
            .map(Change::WaitUntil),
    );
    changes.extend(addresses(asked.context.address, texts));
    if asked.dataset.record_status == RecordStatus::Draft {
        changes.push(Change::Publish);
    }
    changes
}

impl Change {
    /// Changes of one kind exclude each other.
    fn kind(&self) -> std::mem::Discriminant<Self> {
        std::mem::discriminant(self)
    }

    fn is_admin(&self) -> bool {
        matches!(self, Self::GiveRole(role) if role.as_str() == ADMIN_ROLE)
    }

    /// Whether one of its kind is enough to be told.
    fn is_one_of_many(&self) -> bool {
        matches!(self, Self::WaitUntil(_) | Self::AskFrom(_, None))
    }

    /// The request after the change; `None` if it cannot be made.
    fn apply(&self, mut to: Attempt) -> Option<Attempt> {
        match self {
            Self::SignIn => {
                to.principal = Principal::User(Arc::new(somebody()?));
                to.context.authentication = Authentication::Password;
            }
            Self::Enable => to.change_user(|user| user.is_disabled = false)?,
            Self::GiveRole(role) => to.change_user(|user| {
                user.roles.insert(role.clone());
            })?,
            Self::ShareWithUser => {
                let id = to.principal.user_id()?;
                to.change_dataset(|dataset| {
                    dataset.reader_users.insert(id);
                });
            }
            Self::ShareWithRole(role) => to.change_dataset(|dataset| {
                dataset.reader_roles.insert(role.clone());
            }),
            Self::Publish => {
                to.change_dataset(|dataset| dataset.record_status = RecordStatus::Published);
            }
            Self::WaitUntil(time) => to.context.unix_millis = *time,
            Self::AskFrom(address, _) => to.context.address = Some(*address),
            Self::UsePassword => {
                to.context.authentication = Authentication::Password;
                to.context.key = None;
            }
        }
        Some(to)
    }

    fn words(&self, asked: &Attempt) -> String {
        let who = match &asked.principal {
            Principal::User(user) => user.username.to_string(),
            Principal::Anonymous => "anonymous".to_owned(),
        };
        match self {
            Self::Enable => format!("enable {who}"),
            Self::SignIn => "sign in: whoever is signed in may".to_owned(),
            Self::ShareWithUser => format!("share the dataset with {who}"),
            Self::ShareWithRole(role) => format!("share the dataset with {who}'s role {role}"),
            Self::Publish => "publish the dataset: record_status published".to_owned(),
            Self::WaitUntil(time) => {
                format!(
                    "wait until {}",
                    rfc3339::format_seconds(time.div_euclid(1000))
                )
            }
            Self::AskFrom(address, Some(network)) => {
                format!("ask from the network {network}, for instance {address}")
            }
            Self::AskFrom(address, None) => {
                format!("ask from another address, for instance {address}")
            }
            Self::UsePassword => "sign in with a password".to_owned(),
            Self::GiveRole(role) => format!("give {who} the role {role}"),
        }
    }

    fn command(&self, asked: &Attempt) -> Option<String> {
        let Principal::User(user) = &asked.principal else {
            return None;
        };
        let (id, name) = (asked.dataset.id, &user.username);
        match self {
            Self::Enable => Some(format!("cedargate user enable {name}")),
            Self::ShareWithUser => Some(format!("cedargate share add {id} --user {name}")),
            Self::ShareWithRole(role) => Some(format!("cedargate share add {id} --role {role}")),
            Self::SignIn
            | Self::Publish
            | Self::WaitUntil(_)
            | Self::AskFrom(..)
            | Self::UsePassword
            | Self::GiveRole(_) => None,
        }
    }
}

impl Attempt {
    fn change_user(&mut self, change: impl FnOnce(&mut User)) -> Option<()> {
        let Principal::User(user) = &self.principal else {
            return None;
        };
        let mut user = User::clone(user);
        change(&mut user);
        self.principal = Principal::User(Arc::new(user));
        Some(())
    }

    fn change_dataset(&mut self, change: impl FnOnce(&mut Dataset)) {
        let mut dataset = Dataset::clone(&self.dataset);
        change(&mut dataset);
        self.dataset = Arc::new(dataset);
    }
}

/// A user with nothing but a name.
fn somebody() -> Option<User> {
    Some(User {
        id: UserId(Uuid::from_u128(1)),
        username: "somebody".parse().ok()?,
        issuer: None,
        roles: BTreeSet::new(),
        claims: Tags::new(),
        attributes: Attributes::new(),
        display_name: None,
        is_disabled: false,
    })
}

/// The texts and the seen values of explained policies.
fn texts_of<'p>(explained: &[&'p PolicyExplanation]) -> Vec<&'p str> {
    let texts = explained.iter().flat_map(|policy| {
        let parts = policy.parts.iter().flat_map(|part| &part.seen);
        let seen = parts.filter_map(|observed| observed.value.as_deref());
        std::iter::once(policy.text.as_str()).chain(seen)
    });
    texts.collect()
}

/// An address of each network that the texts name, and one of none of them.
fn addresses(now: Option<IpAddr>, texts: &[&str]) -> Vec<Change> {
    let parse = |text: &str| {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or(address).ok()
    };
    let networks: Vec<IpNet> = literals(texts, "ip(\"")
        .into_iter()
        .filter_map(parse)
        .collect();
    let inside = networks
        .iter()
        .filter(|network| !now.is_some_and(|now| network.contains(&now)))
        .filter_map(|network| Some(Change::AskFrom(network.hosts().next()?, Some(*network))));
    let others = OTHER_ADDRESSES
        .iter()
        .filter_map(|text| text.parse::<IpAddr>().ok());
    let is_outside = |address: &IpAddr| !networks.iter().any(|network| network.contains(address));
    let outside = others
        .filter(is_outside)
        .map(|address| Change::AskFrom(address, None));
    let mut changes: Vec<Change> = inside.collect();
    if !networks.is_empty() {
        changes.extend(outside);
    }
    changes
}
