//! Policies without a case: no case that passes shows that they take effect.
//!
//! A permit takes effect where it is among the determining policies of an allowed request, a forbid where it is
//! among those of a denied one. The links of a template are one statement: a case of one of them is enough.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Policy;

use crate::domain::diagnostic::SourceDiagnostic;

use super::bundle::Bundle;
use super::cases::CaseReport;
use super::policies::PolicyInfo;

/// The most ids in one message; the rest are counted.
const MAX_NAMES: usize = 10;

/// The policies of a bundle that no passed case shows to take effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UncoveredPolicies {
    /// Their ids; of a template, its own id in place of its links.
    ids: BTreeSet<String>,
}

impl UncoveredPolicies {
    /// Those of a bundle, by the results of its cases; without cases, all.
    #[must_use]
    pub fn find(bundle: &Bundle, report: Option<&CaseReport>) -> Self {
        let shown = report
            .map(CaseReport::effective_policies)
            .unwrap_or_default();
        let policies = || bundle.policies().values();
        let covered = policies().filter(|policy| shown.contains(policy.id.as_str()));
        let covered: BTreeSet<&str> = covered.map(statement).collect();
        let all = policies().map(statement);
        Self {
            ids: all
                .filter(|id| !covered.contains(id))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Their ids; of a template, its own id in place of its links.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    /// Whether every policy has a case.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Those among them that another bundle lacks, or in which they say something else: effect, scope and
    /// conditions count, layout, comments and annotations do not.
    #[must_use]
    pub fn changed_from(&self, bundle: &Bundle, before: Option<&Bundle>) -> Self {
        let texts_before = before.map(statements).unwrap_or_default();
        let texts = statements(bundle);
        let is_changed = |id: &&String| texts_before.get(*id) != texts.get(*id);
        Self {
            ids: self.ids.iter().filter(is_changed).cloned().collect(),
        }
    }

    /// One warning for each file that has such policies, at the first of them.
    #[must_use]
    pub fn warnings(&self, bundle: &Bundle) -> Vec<SourceDiagnostic> {
        let mut by_file: BTreeMap<&str, Vec<&PolicyInfo>> = BTreeMap::new();
        for policy in bundle.policies().values() {
            if self.ids.contains(statement(policy)) {
                by_file.entry(&policy.file).or_default().push(policy);
            }
        }
        let warning = |policies: Vec<&PolicyInfo>| {
            let first = policies.first()?;
            let ids: BTreeSet<&str> = policies.iter().map(|policy| statement(policy)).collect();
            let (subject, verb) = match ids.len() {
                1 => ("the policy", "takes"),
                _ => ("the policies", "take"),
            };
            let message = format!(
                "no case shows that {subject} {} {verb} effect",
                listed(&ids)
            );
            let file = first
                .case_file()
                .unwrap_or_else(|| "new.cases.json".to_owned());
            let file = bundle.sources.label(&file);
            let place = if bundle.sources.origin.is_empty() {
                ", in the policy folder"
            } else {
                ""
            };
            let help = format!(
                "add one{place}: cedargate policy explain --principal WHO --action read --dataset ID --save-case {file}"
            );
            let warning = bundle.warning_at_policy(&first.id, message);
            Some(warning.with_help(help))
        };
        by_file.into_values().filter_map(warning).collect()
    }
}

/// The id of what is written: of the template for a link.
fn statement(policy: &PolicyInfo) -> &str {
    policy.template.as_deref().unwrap_or(&policy.id)
}

/// What each policy or template says.
fn statements(bundle: &Bundle) -> BTreeMap<String, BTreeSet<String>> {
    let mut statements: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (policy, info) in bundle.policies_with_info() {
        let texts = statements.entry(statement(info).to_owned()).or_default();
        texts.insert(text_of(policy));
    }
    statements
}

/// The effect, and the scope with the conditions; of a link those of its template.
fn text_of(policy: &Policy) -> String {
    let ast = policy.as_ref();
    let template = ast.template();
    format!("{} {}", ast.effect(), template.condition())
}

fn listed(ids: &BTreeSet<&str>) -> String {
    let shown = ids.iter().take(MAX_NAMES).map(|id| format!("`{id}`"));
    let mut shown: Vec<String> = shown.collect();
    if let Some(more) = ids.len().checked_sub(MAX_NAMES).filter(|more| *more > 0) {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}
