//! Questions about the caller itself, whose state the catalog may have otherwise.

use std::sync::Arc;

use super::fixtures::{ADA, BEA, bundle, context, user};
use crate::domain::action::Action::AdministerUsers;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::policy::Bundle;

const POLICIES: &str = r#"
@id("helpdesk") permit (principal in Role::"helpdesk", action, resource);
@id("lookout") permit (principal in Role::"lookout", action, resource);
@id("not-vips") forbid (principal in Role::"helpdesk", action == Action::"administer_users", resource)
when { resource in Role::"vip" };
"#;

const NOT_ITSELF: &str = r#"
@id("not-itself") forbid (principal, action == Action::"administer_users", resource)
when { principal == resource };
"#;

fn is_permitted(bundle: &Bundle, caller: &[&str], stored: User) -> bool {
    let caller = Principal::User(Arc::new(user(ADA, caller)));
    let stored = Resource::User(Arc::new(stored));
    let decision = bundle.decide(&caller, AdministerUsers, &stored, &context());
    decision.is_permitted
}

#[test]
fn it_is_permitted_only_in_every_state_in_which_the_caller_and_the_catalog_are() {
    let bundle = bundle(POLICIES).unwrap();
    for (caller, stored, expected) in [
        (vec!["helpdesk"], vec!["helpdesk"], true),
        (vec!["helpdesk"], vec!["helpdesk", "lookout"], true),
        (vec!["helpdesk"], vec![], false),
        (vec![], vec!["helpdesk"], false),
        (vec!["helpdesk"], vec!["lookout", "vip"], false),
        (vec!["helpdesk", "vip"], vec!["lookout"], false),
        (vec!["lookout"], vec!["lookout", "vip"], true),
    ] {
        let permitted = is_permitted(&bundle, &caller, user(ADA, &stored));
        assert_eq!(permitted, expected, "{caller:?} {stored:?}");
    }
    // Another user is another entity.
    assert!(is_permitted(&bundle, &["helpdesk"], user(BEA, &[])));
    assert!(!is_permitted(&bundle, &["helpdesk"], user(BEA, &["vip"])));
}

#[test]
fn a_forbid_about_oneself_holds_whatever_the_states() {
    let bundle = bundle(&[POLICIES, NOT_ITSELF].concat()).unwrap();
    let mut renamed = user(ADA, &["helpdesk"]);
    renamed.username = "renamed".parse().unwrap();
    for stored in [user(ADA, &["helpdesk"]), user(ADA, &["lookout"]), renamed] {
        assert!(!is_permitted(&bundle, &["helpdesk"], stored));
    }
    // What it would be is asked about apart, and so is what it is.
    let changed = Resource::ChangedUser(Arc::new(user(ADA, &["lookout"])));
    let caller = Principal::User(Arc::new(user(ADA, &["helpdesk"])));
    let decision = bundle.decide(&caller, AdministerUsers, &changed, &context());
    assert!(decision.is_permitted);
}

#[test]
fn a_denial_names_the_policies_of_the_states_that_are_denied() {
    let bundle = bundle(POLICIES).unwrap();
    let caller = Principal::User(Arc::new(user(ADA, &["helpdesk"])));
    let stored = Resource::User(Arc::new(user(ADA, &["lookout", "vip"])));
    let decision = bundle.decide(&caller, AdministerUsers, &stored, &context());
    assert_eq!(decision.determining_policies, ["not-vips"]);
    let stored = Resource::User(Arc::new(user(ADA, &["lookout"])));
    let decision = bundle.decide(&caller, AdministerUsers, &stored, &context());
    assert_eq!(decision.determining_policies, ["helpdesk", "lookout"]);
}
