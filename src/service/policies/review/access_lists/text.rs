//! The text of access lists, for a person.

use std::fmt::Write;

use crate::domain::name::RoleName;
use crate::domain::shown::join_shown;

use super::relation::AccessRelation;
use super::report::{DatasetGroup, PrincipalAccess, PrincipalGroup, ResourceAccess};

/// The most names of a group, and the most titles, which are longer.
const MAX_SHOWN_NAMES: usize = 10;
const MAX_SHOWN_TITLES: usize = 3;
/// The most groups of an action, those that are permitted always and the largest first.
const MAX_SHOWN_GROUPS: usize = 40;

/// A group as it is shown.
struct ShownGroup<'a> {
    when: &'a [String],
    /// Who, or what, and how many.
    head: String,
    policies: &'a [String],
    reasons: &'a [String],
    names: String,
}

impl ResourceAccess {
    /// The text for a person.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        self.write(&mut text).ok();
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let (dataset, action) = (&self.dataset, self.action);
        writeln!(text, "{} ({})", dataset.title, dataset.id)?;
        let users = counted(self.users, "user");
        let whom = match self.permitted {
            0 => format!("none of {users}"),
            permitted => format!("{} of {users}", number(permitted)),
        };
        let sometimes = self.permitted - self.always_permitted;
        let in_some = some_contexts(sometimes, self.permitted);
        writeln!(text, "{action} is permitted to {whom}{in_some}")?;
        let groups: Vec<ShownGroup<'_>> = self.groups.iter().map(PrincipalGroup::shown).collect();
        write_groups(text, &groups)?;
        if !self.is_anonymous {
            writeln!(text, "  nobody who did not sign in")?;
        }
        match self.disabled {
            0 => {}
            1 => writeln!(text, "1 disabled user took no part")?,
            disabled => writeln!(text, "{} disabled users took no part", number(disabled))?,
        }
        write_end(text, self.is_cut, &self.errors)
    }
}

impl PrincipalAccess {
    /// The text for a person.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        self.write(&mut text).ok();
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        match &self.user {
            None => writeln!(text, "anonymous: callers who did not sign in")?,
            Some(user) => {
                let roles: Vec<&str> = self.roles.iter().map(RoleName::as_str).collect();
                let roles = match roles.as_slice() {
                    [] => "no roles".to_owned(),
                    [role] => format!("role {role}"),
                    roles => format!("roles {}", roles.join(", ")),
                };
                writeln!(text, "{} ({}), {roles}", user.username, user.id)?;
            }
        }
        if self.is_disabled {
            writeln!(text, "the user is disabled: nothing is permitted")?;
        }
        for one in &self.actions {
            let (action, datasets) = (one.action, counted(self.datasets, "dataset"));
            let which = match one.permitted {
                0 => format!("none of {datasets}"),
                permitted => format!("{} of {datasets}", number(permitted)),
            };
            let sometimes = one.permitted - one.always_permitted;
            let in_some = some_contexts(sometimes, one.permitted);
            writeln!(text, "{action} is permitted on {which}{in_some}")?;
            let groups: Vec<ShownGroup<'_>> = one.groups.iter().map(DatasetGroup::shown).collect();
            write_groups(text, &groups)?;
        }
        write_end(text, self.is_cut, &self.errors)
    }
}

impl PrincipalGroup {
    fn shown(&self) -> ShownGroup<'_> {
        let count = self.users.len();
        let users = counted(count, "user");
        let mut head = match &self.through {
            AccessRelation::Owner => "the owner".to_owned(),
            AccessRelation::Reader => format!("{users} with whom it is shared by name"),
            AccessRelation::Role(role) => format!("{users} by role {role}"),
            AccessRelation::Everyone => format!("everyone who signed in ({users})"),
            AccessRelation::Anonymous => "whoever did not sign in".to_owned(),
            AccessRelation::Policy => users,
        };
        if self.is_anonymous && count > 0 {
            head.push_str(", and whoever did not sign in");
        }
        let names = self.users.iter().map(|user| user.username.as_str());
        let is_everyone = self.through == AccessRelation::Everyone;
        ShownGroup {
            when: &self.when,
            head,
            policies: &self.policies,
            reasons: &self.reasons,
            names: if is_everyone {
                String::new()
            } else {
                join_shown(names, MAX_SHOWN_NAMES)
            },
        }
    }
}

impl DatasetGroup {
    fn shown(&self) -> ShownGroup<'_> {
        let datasets = counted(self.count, "dataset");
        let is_one = self.count == 1;
        let head = match &self.through {
            AccessRelation::Owner => format!("{datasets} as owner"),
            AccessRelation::Reader if is_one => format!("{datasets} that is shared by name"),
            AccessRelation::Reader => format!("{datasets} that are shared by name"),
            AccessRelation::Role(role) => format!("{datasets} by role {role}"),
            AccessRelation::Everyone | AccessRelation::Anonymous | AccessRelation::Policy => {
                datasets
            }
        };
        let titles = self.datasets.iter().map(|dataset| dataset.title.as_str());
        ShownGroup {
            when: &self.when,
            head,
            policies: &self.policies,
            reasons: &self.reasons,
            names: join_shown(titles, MAX_SHOWN_TITLES),
        }
    }
}

fn write_groups(text: &mut String, groups: &[ShownGroup<'_>]) -> std::fmt::Result {
    let mut section: &[String] = &[];
    for group in groups.iter().take(MAX_SHOWN_GROUPS) {
        if group.when != section {
            section = group.when;
            writeln!(text, "  {}:", section.join("; and "))?;
        }
        let indent = if section.is_empty() { "  " } else { "    " };
        let policies = group.policies.join(", ");
        writeln!(text, "{indent}{}: {policies}", group.head)?;
        for reason in group.reasons {
            writeln!(text, "{indent}    {reason}")?;
        }
        if !group.names.is_empty() {
            writeln!(text, "{indent}    {}", group.names)?;
        }
    }
    if let Some(more @ 1..) = groups.len().checked_sub(MAX_SHOWN_GROUPS) {
        writeln!(
            text,
            "  and {}; --json has them all",
            counted(more, "smaller group")
        )?;
    }
    Ok(())
}

fn write_end(text: &mut String, is_cut: bool, errors: &[String]) -> std::fmt::Result {
    if is_cut {
        writeln!(
            text,
            "the policies tell more addresses, times and API keys apart than were asked about: --address and --time ask elsewhere"
        )?;
    }
    for error in errors {
        writeln!(
            text,
            "error in evaluating the policies, which denies: {error}"
        )?;
    }
    Ok(())
}

/// Of how many it is said that they are permitted in some contexts only.
fn some_contexts(sometimes: usize, permitted: usize) -> String {
    match sometimes {
        0 => String::new(),
        all if all == permitted => ", in some contexts only".to_owned(),
        sometimes => format!(", {} of them in some contexts only", number(sometimes)),
    }
}

/// A number with its noun.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(count))
}

/// A number with commas between thousands.
fn number(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
