//! The text of a comparison, for a person: a section for each set of contexts, and the summary last.

use std::fmt::Write;

use crate::domain::action::Action;
use crate::domain::shown::{join_and, join_shown};
use crate::policy::effect::PolicyDifference;

use super::change::DecisionChange;
use super::ineffective::IneffectivePolicy;
use super::report::{BundleComparison, ChangeGroup};

/// The most datasets of a group in the text.
const MAX_SHOWN_DATASETS: usize = 5;
/// The most groups in the text, the largest first.
const MAX_SHOWN_GROUPS: usize = 20;
/// The most policies without effect, and the most addresses and times that were asked for.
const MAX_SHOWN_POLICIES: usize = 10;
const MAX_SHOWN_ASKED: usize = 6;

/// How a reader gets what the text leaves out.
#[derive(Clone, Copy, Debug)]
pub struct ComparisonHints {
    /// Where more groups are.
    more_groups: &'static str,
    /// How to ask at other addresses and times: where nothing is confined, and where the question is.
    elsewhere: &'static str,
    confined: &'static str,
}

impl ComparisonHints {
    /// For `cedargate policy diff`.
    pub const COMMAND_LINE: Self = Self {
        more_groups: "--json has them all",
        elsewhere: "--address and --time ask elsewhere",
        confined: "--address and --time confine the question, leave them out to ask at others",
    };
    /// For the HTTP API.
    pub const HTTP: Self = Self {
        more_groups: "`groups` has the largest",
        elsewhere: "`address` and `time` ask elsewhere",
        confined: "`address` and `time` confine the question, leave them out to ask at others",
    };
}

/// Groups that say the same of several actions.
struct ShownGroup<'a> {
    first: &'a ChangeGroup,
    actions: Vec<Action>,
}

impl BundleComparison {
    /// The text for a person.
    #[must_use]
    pub fn render(&self, hints: ComparisonHints) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        self.write_sections(&mut text, hints).ok();
        self.write_ineffective(&mut text, hints).ok();
        self.write_asked(&mut text, hints).ok();
        for error in &self.errors {
            let _ = writeln!(text, "error in evaluating the new policies: {error}");
        }
        let (users, datasets) = (self.users, self.datasets);
        let changes = match self.changed {
            0 => "no decision changes".to_owned(),
            1 => "1 decision changes".to_owned(),
            changed => format!("{changed} decisions change"),
        };
        let _ = writeln!(
            text,
            "{changes} for anonymous callers and {users} {} on {datasets} {}",
            plural(users, "user"),
            plural(datasets, "dataset"),
        );
        text
    }

    fn write_sections(&self, text: &mut String, hints: ComparisonHints) -> std::fmt::Result {
        if !self.unchanged_in.is_empty() && self.has_changes() {
            writeln!(
                text,
                "{}: nothing changes\n",
                self.unchanged_in.join("; and ")
            )?;
        }
        let mut groups: Vec<ShownGroup<'_>> = Vec::new();
        for group in &self.groups {
            let same = groups
                .iter_mut()
                .find(|shown| shown.first.is_of_the_same(group));
            match same {
                Some(shown) => shown.actions.push(group.action),
                None => groups.push(ShownGroup {
                    first: group,
                    actions: vec![group.action],
                }),
            }
        }
        let shown: Vec<&ShownGroup<'_>> = groups.iter().take(MAX_SHOWN_GROUPS).collect();
        let mut sections: Vec<&[String]> = Vec::new();
        for group in &shown {
            if !sections.contains(&group.first.when.as_slice()) {
                sections.push(&group.first.when);
            }
        }
        for when in sections {
            if !when.is_empty() {
                writeln!(text, "{}:", when.join("; and "))?;
            }
            for group in shown.iter().filter(|group| group.first.when == when) {
                group.write(text)?;
            }
        }
        let smaller = groups.iter().skip(MAX_SHOWN_GROUPS);
        let count = smaller.clone().count() + self.unlisted.groups;
        if count > 0 {
            let decisions: u64 = smaller.map(|group| group.first.size()).sum();
            let decisions = decisions + self.unlisted.decisions;
            let hint = hints.more_groups;
            writeln!(
                text,
                "and {count} smaller groups of {decisions} decisions; {hint}\n"
            )?;
        }
        Ok(())
    }

    /// The policies of the edit that change nothing, and why.
    fn write_ineffective(&self, text: &mut String, hints: ComparisonHints) -> std::fmt::Result {
        for one in self.ineffective.iter().take(MAX_SHOWN_POLICIES) {
            writeln!(text, "{}", one.sentence(hints))?;
        }
        let shown = self.ineffective.len().min(MAX_SHOWN_POLICIES);
        let more = self.more_ineffective + self.ineffective.len() - shown;
        if more > 0 {
            writeln!(text, "and {more} more policies of the edit change nothing")?;
        }
        if !self.has_changes() && self.ineffective.is_empty() && self.more_ineffective == 0 {
            let why = if self.from == self.to {
                "the policies are the same"
            } else {
                "no policy decides anything else: only the schema, the layout, comments, @reason or @tell differ"
            };
            writeln!(text, "{why}")?;
        }
        if shown > 0 {
            text.push('\n');
        }
        Ok(())
    }

    /// Where, when and as whom was asked, if that matters.
    fn write_asked(&self, text: &mut String, hints: ComparisonHints) -> std::fmt::Result {
        if !self.is_context_read {
            return Ok(());
        }
        let asked = self.asked.iter();
        let parts = [
            distinct("from ", asked.clone().map(|one| one.address.to_string())),
            distinct("at ", asked.clone().map(|one| one.time.clone())),
            distinct("", asked.map(|one| one.caller.clone())),
        ];
        let told: Vec<&str> = parts
            .iter()
            .filter(|(_, count)| *count > 1 || self.is_confined)
            .map(|(part, _)| part.as_str())
            .collect();
        if !told.is_empty() {
            writeln!(text, "asked {}", told.join("; "))?;
        }
        if self.is_cut {
            let hint = hints.elsewhere;
            writeln!(
                text,
                "the policies tell more addresses, times and API keys apart than were asked about: {hint}"
            )?;
        }
        Ok(())
    }
}

impl IneffectivePolicy {
    /// What changes nothing, and why.
    #[must_use]
    pub fn sentence(&self, hints: ComparisonHints) -> String {
        let (policy, why) = (&self.policy, &self.why);
        let hint = if self.is_confined {
            format!("; {}", hints.confined)
        } else {
            String::new()
        };
        let what = match self.difference {
            PolicyDifference::Added => "the new policy",
            PolicyDifference::Changed => "the change of policy",
            PolicyDifference::Removed => "the removal of policy",
        };
        let nothing = if self.is_about_more {
            "nothing that is compared"
        } else {
            "nothing"
        };
        format!("{what} `{policy}` changes {nothing}, because {why}{hint}")
    }
}

impl ChangeGroup {
    /// Who gains or loses what, on how many datasets.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.sentence_of(&[self.action])
    }

    fn sentence_of(&self, actions: &[Action]) -> String {
        let (who, count) = (&self.who, self.dataset_count());
        let verb = match (self.change, self.is_plural) {
            (DecisionChange::Gains, false) => "gains",
            (DecisionChange::Gains, true) => "gain",
            (DecisionChange::Loses, false) => "loses",
            (DecisionChange::Loses, true) => "lose",
            (DecisionChange::Shortens | DecisionChange::Lengthens, false) => "gets",
            (DecisionChange::Shortens | DecisionChange::Lengthens, true) => "get",
        };
        let actions: Vec<&str> = actions.iter().map(Into::into).collect();
        let what = match self.change {
            DecisionChange::Gains | DecisionChange::Loses => join_and(&actions),
            DecisionChange::Shortens => "shorter tokens".to_owned(),
            DecisionChange::Lengthens => "longer tokens".to_owned(),
        };
        format!(
            "{who} {verb} {what} on {count} {}",
            plural(count, "dataset")
        )
    }
}

impl ShownGroup<'_> {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        let group = self.first;
        writeln!(text, "{}:", group.sentence_of(&self.actions))?;
        for dataset in group.datasets.iter().take(MAX_SHOWN_DATASETS) {
            writeln!(text, "  {}  {}", dataset.id, dataset.title)?;
        }
        if let Some(more @ 1..) = group.dataset_count().checked_sub(MAX_SHOWN_DATASETS) {
            writeln!(text, "  and {more} more")?;
        }
        text.push('\n');
        Ok(())
    }
}

/// The texts that differ, the first of them joined after a word; and how many there are.
fn distinct(word: &str, all: impl Iterator<Item = String>) -> (String, usize) {
    let mut distinct: Vec<String> = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    let shown = join_shown(distinct.iter().map(String::as_str), MAX_SHOWN_ASKED);
    (format!("{word}{shown}"), distinct.len())
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}
