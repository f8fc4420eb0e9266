//! A thousand worlds: no three administrative operations give a caller an administrative action that no
//! policy permits it.
//!
//! The operations and decisions are those of the product, on a database; only the attacker is a model. A
//! world has random users and roles under random policies. The attacker begins with one API key, may act as
//! every user whose password it sets, and tries random operations until three have succeeded. What it holds
//! then must not be permitted more than its first user, with the roles that the policies let it give.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedargate::domain::action::Action;
use cedargate::domain::api_key::{ApiKey, KeyName, KeyScope, KeyText};
use cedargate::domain::caller::{Authentication, DecisionContext};
use cedargate::domain::id::{ApiKeyId, UserId};
use cedargate::domain::name::RoleName;
use cedargate::domain::principal::{Principal, User};
use cedargate::domain::resource::Resource;
use cedargate::domain::secret::Secret;
use cedargate::policy::Bundle;
use cedargate::service::administration::user_input::NewUser;
use cedargate::service::administration::users::UserAccount;
use cedargate::service::administration::{AdminAccess, Administration};
use cedargate::service::identity::request_context::{Credential, RequestContext};
use cedargate::storage::{CatalogChange, Database, StoredApiKey, UserFilter, UserRecord};
use strum::VariantArray;

use crate::support::test_database::{record, role, tags, user};

use super::random_policies::{ROLES, Random, open, random_folder};

const WORLDS: u64 = 1_000;
const WORLDS_PER_FOLDER: u64 = 50;
const MAX_TRIES: u32 = 12;
const OPERATIONS: u32 = 3;

/// A credential of the attacker.
struct Held {
    user_id: UserId,
    scope: KeyScope,
    request: RequestContext,
}

struct World<'a> {
    random: Random,
    number: u64,
    administration: &'a Administration,
    database: &'a Database,
    users: Vec<UserId>,
    held: Vec<Held>,
    trace: Vec<String>,
}

fn context_of(user_id: UserId, scope: &KeyScope) -> DecisionContext {
    let key = key_of(user_id, scope.clone(), &KeyText::random());
    DecisionContext {
        address: Some("127.0.0.1".parse().unwrap()),
        unix_millis: 1_772_366_400_000,
        authentication: Authentication::ApiKey,
        key: Some(Arc::new(key)),
    }
}

fn key_of(user_id: UserId, scope: KeyScope, text: &KeyText) -> ApiKey {
    ApiKey {
        id: ApiKeyId::generate_at(1),
        user_id,
        name: KeyName::new("key").unwrap(),
        prefix: text.prefix(),
        scope,
        created_at: 0,
        expires_at: None,
        last_used: None,
    }
}

/// Whether the policies permit something to a user with an API key of this scope.
fn may(bundle: &Bundle, user: &Arc<User>, scope: &KeyScope, question: &(Action, Resource)) -> bool {
    let (action, resource) = question;
    let own = matches!(resource, Resource::User(other) if other.id == user.id);
    let own = own.then(|| Resource::User(Arc::clone(user)));
    let resource = own.as_ref().unwrap_or(resource);
    let principal = Principal::User(Arc::clone(user));
    let context = context_of(user.id, scope);
    scope.violation(*action, None).is_none()
        && bundle
            .decide(&principal, *action, resource, &context)
            .is_permitted
}

/// Everything that is asked of a world: about the server, the roles, and the users that were there first.
fn questions(users: &[User]) -> Vec<(Action, Resource)> {
    use Action::{AdministerRoles, AdministerUsers, AssignRole, ViewUsers};
    let actions = Action::VARIANTS.iter();
    let mut all: Vec<_> = actions.map(|action| (*action, Resource::Server)).collect();
    for name in ROLES.iter().chain(&["admin"]) {
        let resource = Resource::Role(role(name));
        all.extend([AdministerRoles, AssignRole].map(|action| (action, resource.clone())));
    }
    for user in users {
        let resource = Resource::User(Arc::new(user.clone()));
        all.extend([AdministerUsers, ViewUsers].map(|action| (action, resource.clone())));
    }
    all
}

/// The users that the first one can make of itself, and of a new user, with the roles that it may give.
fn reachable_users(bundle: &Bundle, first: &User) -> Vec<Arc<User>> {
    let whole = KeyScope::default();
    let mut reached = vec![first.roles.clone()];
    let mut assignable = BTreeSet::new();
    let mut at = 0;
    while let Some(current) = reached.get(at).cloned() {
        at += 1;
        let state = Arc::new(User {
            roles: current.clone(),
            ..first.clone()
        });
        for name in ROLES.iter().chain(&["admin"]) {
            let name = role(name);
            let question = (Action::AssignRole, Resource::Role(name.clone()));
            if may(bundle, &state, &whole, &question) {
                assignable.insert(name.clone());
                let toggled: BTreeSet<RoleName> = current
                    .symmetric_difference(&[name].into())
                    .cloned()
                    .collect();
                if !reached.contains(&toggled) {
                    reached.push(toggled);
                }
            }
        }
    }
    let with_roles = |user: &User, roles: BTreeSet<RoleName>| {
        Arc::new(User {
            roles,
            ..user.clone()
        })
    };
    let new = user("new", &[]).user;
    let mut users: Vec<_> = reached
        .into_iter()
        .map(|roles| with_roles(first, roles))
        .collect();
    let one_by_one = assignable.iter().map(|role| [role.clone()].into());
    users.extend(one_by_one.map(|roles| with_roles(&new, roles)));
    users.push(with_roles(&new, assignable));
    users
}

impl World<'_> {
    async fn refresh(&self) {
        let AdminAccess::Policies(dependencies) = &self.administration.access else {
            panic!("policies decide")
        };
        dependencies.catalog_cache.refresh().await.unwrap();
    }

    /// Gives the attacker an API key, as a user makes itself one.
    async fn hold(&mut self, user_id: UserId, scope: KeyScope) {
        let text = KeyText::random();
        let stored = StoredApiKey {
            key: key_of(user_id, scope.clone(), &text),
            digest: text.digest(),
        };
        let added = self.database.add_api_key(&stored, 99, 0, &record(1)).await;
        assert_eq!(added, Ok(true));
        self.refresh().await;
        let request = RequestContext {
            credential: Credential::ApiKey(text.text().clone()),
            ..RequestContext::local()
        };
        self.held.push(Held {
            user_id,
            scope,
            request,
        });
    }

    fn random_user(&mut self, name: &str) -> UserRecord {
        let is_boss = self.random.is_one_in(5);
        let name = format!("{}{name}", if is_boss { "boss-" } else { "" });
        let mut record = user(&name, &self.random.some_of(&ROLES, 3));
        record.password_hash = None;
        if self.random.is_one_in(5) {
            record.user.claims = tags("team", &["keys"]);
        }
        record
    }

    /// Replaces all users by those of this world, and gives the attacker its key.
    async fn populate(&mut self) {
        let all = UserFilter::default();
        let before = self.database.list_users(None, 1_000, &all);
        let mut users: Vec<_> = (0..5)
            .map(|n| self.random_user(&format!("u{n}-{}", self.number)))
            .collect();
        let mut root = user(&format!("root-{}", self.number), &["admin"]);
        root.password_hash = Some(Secret::new("hash".to_owned()));
        for record in &mut users[1..] {
            record.user.is_disabled = self.random.is_one_in(8);
        }
        users.push(root);
        let change = CatalogChange {
            users_removed: before.await.unwrap().iter().map(|r| r.user.id).collect(),
            roles_put: ROLES.map(role).into(),
            users_put: users.clone(),
            ..CatalogChange::default()
        };
        let version = self.database.catalog_version().await.unwrap();
        self.database.write_catalog(&change, version).await.unwrap();
        self.users = users.iter().map(|record| record.user.id).collect();
        let scope = if self.random.is_one_in(2) {
            let mut actions = BTreeSet::from([Action::AdministerUsers]);
            for action in [
                Action::AssignRole,
                Action::AdministerRoles,
                Action::ViewAudit,
            ] {
                if self.random.is_one_in(2) {
                    actions.insert(action);
                }
            }
            KeyScope::new(Some(actions), None).unwrap()
        } else {
            KeyScope::default()
        };
        // A restricted key of an admin, or any key of somebody else.
        let of_root = !scope.is_unrestricted() && self.random.is_one_in(2);
        self.hold(self.users[if of_root { 5 } else { 0 }], scope)
            .await;
    }

    /// One random operation with a random credential; whether it succeeded.
    async fn operate(&mut self, number: u32) -> bool {
        let held = self.random.below(self.held.len());
        let (request, by) = (self.held[held].request.clone(), self.held[held].user_id);
        let target = self.users[self.random.below(self.users.len())];
        let all_roles = [&ROLES[..], &["admin"]].concat();
        let any_role = role(all_roles[self.random.below(all_roles.len())]);
        let password = Some(Secret::new("chosen by a thief".to_owned()));
        let administration = self.administration;
        let done = match self.random.below(12) {
            0..=3 => {
                let set = administration
                    .set_password(&request, target, password)
                    .await;
                if set.is_ok() {
                    self.hold(target, KeyScope::default()).await;
                }
                set.is_ok()
                    .then(|| format!("{by} set the password of {target}"))
            }
            4 | 5 => {
                let new = self.random_user(&format!("x{number}-{}", self.number)).user;
                let shown = format!("{by} created {new:?}");
                let input = NewUser {
                    username: new.username,
                    issuer: None,
                    subject: None,
                    roles: new.roles,
                    claims: new.claims,
                    attributes: new.attributes,
                    is_disabled: false,
                    password,
                };
                let created = administration.create_user(&request, input).await;
                if let Ok(account) = &created {
                    self.users.push(account.user.id);
                    self.hold(account.user.id, KeyScope::default()).await;
                }
                created.is_ok().then_some(shown)
            }
            6..=9 => {
                let kind = self.random.below(6);
                let name = format!("boss-{number}-{}", self.number);
                let edit = |account: &UserAccount| {
                    let mut user = (*account.user).clone();
                    match kind {
                        0 => user.username = name.parse().unwrap(),
                        1 => user.claims = tags("team", &["keys"]),
                        2 => user.is_disabled = !user.is_disabled,
                        _ if user.roles.contains(&any_role) => drop(user.roles.remove(&any_role)),
                        _ => drop(user.roles.insert(any_role.clone())),
                    }
                    Ok(user)
                };
                let updated = administration.update_user(&request, target, &|_| Ok(()), edit);
                let updated = updated.await.ok();
                updated.map(|account| format!("{by} changed a user to {:?}", account.user))
            }
            10 => {
                let deleted = administration
                    .delete_role(&request, &any_role, &|_| Ok(()))
                    .await;
                deleted.ok().map(|()| format!("{by} deleted {any_role}"))
            }
            _ => {
                let created = administration.create_role(&request, &any_role).await;
                created.ok().map(|_| format!("{by} created {any_role}"))
            }
        };
        let is_done = done.is_some();
        self.trace.extend(done);
        is_done
    }

    async fn load(&self, id: UserId) -> User {
        self.database.find_user(id).await.unwrap().unwrap()
    }

    /// Lets the attacker try, and returns what it gained, if anything.
    async fn attack(&mut self, bundle: &Bundle) -> Option<String> {
        self.populate().await;
        let mut first_users = Vec::new();
        for id in &self.users {
            first_users.push(self.load(*id).await);
        }
        let questions = questions(&first_users);
        let scope = self.held[0].scope.clone();
        let first = self.load(self.held[0].user_id).await;
        let allowed_users = if scope.is_unrestricted() {
            reachable_users(bundle, &first)
        } else {
            vec![Arc::new(first)]
        };
        let mut done = 0;
        for number in 0..MAX_TRIES {
            done += u32::from(self.operate(number).await);
            if done == OPERATIONS {
                break;
            }
        }
        for held in &self.held {
            let user = Arc::new(self.load(held.user_id).await);
            for question in &questions {
                let is_allowed = || {
                    let mut users = allowed_users.iter();
                    users.any(|user| may(bundle, user, &scope, question))
                };
                if may(bundle, &user, &held.scope, question) && !is_allowed() {
                    return Some(format!("{user:?} may {question:?}"));
                }
            }
        }
        None
    }
}

/// The worlds of every fourth folder, so that four tests share the work.
async fn attack_worlds(part: u64) {
    let folders = WORLDS / WORLDS_PER_FOLDER;
    for folder_number in (0..folders).filter(|number| number % 4 == part) {
        let folder = random_folder(&mut Random(folder_number));
        let bundle = Bundle::load(&folder.path().join("policies")).unwrap();
        let (app, database) = open(&folder).await;
        for number in 0..WORLDS_PER_FOLDER {
            let mut world = World {
                random: Random((folder_number << 32) + number),
                number,
                administration: app.administration(),
                database: &database,
                users: Vec::new(),
                held: Vec::new(),
                trace: Vec::new(),
            };
            let gained = world.attack(&bundle).await;
            let policies = bundle.file("test.cedar").unwrap();
            assert_eq!(
                gained,
                None,
                "folder {folder_number}, world {number}, key {:?}:\n{}\n{policies}",
                world.held[0].scope,
                world.trace.join("\n")
            );
        }
    }
}

macro_rules! quarters_of_worlds {
    ($($name:ident: $part:literal,)*) => {$(
        #[tokio::test]
        async fn $name() {
            attack_worlds($part).await;
        }
    )*};
}

quarters_of_worlds! {
    three_operations_give_nobody_more_than_the_policies_do: 0,
    three_operations_give_nobody_more_in_the_second_quarter_of_worlds: 1,
    three_operations_give_nobody_more_in_the_third_quarter_of_worlds: 2,
    three_operations_give_nobody_more_in_the_last_quarter_of_worlds: 3,
}
