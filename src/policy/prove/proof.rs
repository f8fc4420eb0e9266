//! The proof: what was proved, what was refuted, what is not known, and what looks odd.
//!
//! This module refuses to know how anything was proved; it carries it and shows it.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::domain::decision::Revision;
use crate::policy::case_file;

use super::counterexample::Counterexample;
use super::invariants::InvariantBound;

/// What is known about an invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InvariantVerdict {
    /// It holds for every possible request.
    Holds,
    /// It does not hold; there is a counterexample.
    Violated,
    /// Neither is known. Whoever relies on the invariant takes that for a no.
    Unproven,
}

impl InvariantVerdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "VIOLATED",
            Self::Unproven => "UNPROVEN",
        }
    }
}

/// One invariant and what is known about it.
#[derive(Clone, Debug, Serialize)]
pub struct ProvedInvariant {
    /// Its `@id`.
    pub id: String,
    /// The file it stands in, relative to the policy folder.
    pub file: String,
    /// The line it begins on.
    pub line: usize,
    /// Which way it bounds the policies.
    pub bound: InvariantBound,
    /// Its `@reason`.
    pub reason: String,
    /// What is known.
    pub verdict: InvariantVerdict,
    /// In how many request environments it was asked.
    pub environments: usize,
    /// Requests at which it does not hold: one for each environment with any.
    pub counterexamples: Vec<Counterexample>,
    /// What is not known, and why.
    pub unproven: Vec<String>,
}

/// A policy that fails to evaluate for some request, which is then denied whatever others permit.
#[derive(Clone, Debug, Serialize)]
pub struct FailingPolicy {
    /// Its `@id`.
    pub id: String,
    /// The file it stands in, relative to the policy folder.
    pub file: String,
    /// A request at which it fails.
    pub counterexample: Counterexample,
}

/// Something that has no effect, most likely not what its author meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ineffective {
    /// A policy matches no possible request.
    NeverApplies {
        /// The policy.
        policy: String,
    },
    /// A policy changes nothing beside another one of its kind, which matches whenever it does.
    Redundant {
        /// The policy that could go.
        policy: String,
        /// The one that says it already.
        beside: String,
        /// Whether the other could go instead.
        is_mutual: bool,
    },
    /// A permit matches only where a forbid does.
    Overruled {
        /// The permit.
        policy: String,
        /// The forbid.
        by: String,
    },
    /// An invariant would hold for any policies.
    SaysNothing {
        /// The invariant.
        invariant: String,
    },
}

impl Ineffective {
    fn message(&self) -> String {
        match self {
            Self::NeverApplies { policy } => {
                format!("the policy {policy} never applies: no possible request matches it")
            }
            Self::Redundant {
                policy,
                beside,
                is_mutual: true,
            } => format!("the policies {policy} and {beside} match the same: one could go"),
            Self::Redundant { policy, beside, .. } => {
                format!("the policy {policy} is redundant: {beside} matches whenever it does")
            }
            Self::Overruled { policy, by } => {
                format!("the policy {policy} permits nothing: {by} forbids all that it matches")
            }
            Self::SaysNothing { invariant } => {
                format!("the invariant {invariant} says nothing: it would hold for any policies")
            }
        }
    }
}

/// What was proved about a bundle.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// The bundle.
    pub revision: Revision,
    /// The solver and its version.
    pub solver: String,
    /// How many request environments the schema has.
    pub environments: usize,
    /// Every invariant, by file and line.
    pub invariants: Vec<ProvedInvariant>,
    /// The policies that can fail to evaluate.
    pub failing: Vec<FailingPolicy>,
    /// What is not known about the failing of policies.
    pub unproven: Vec<String>,
    /// What has no effect; nobody is refused for that.
    pub idle: Vec<Ineffective>,
    /// What is not known about effects.
    pub unanswered: Vec<String>,
}

impl Proof {
    /// Whether every invariant holds and no policy can fail.
    ///
    /// A failing policy counts because it denies whatever others permit, so that with it no lower
    /// bound is worth its word. Without invariants this asks for the second half alone.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let holds = |invariant: &ProvedInvariant| invariant.verdict == InvariantVerdict::Holds;
        self.failing.is_empty() && self.unproven.is_empty() && self.invariants.iter().all(holds)
    }

    /// Whether an invariant is violated.
    #[must_use]
    pub fn has_violation(&self) -> bool {
        let mut invariants = self.invariants.iter();
        invariants.any(|invariant| invariant.verdict == InvariantVerdict::Violated)
    }

    /// Whatever is not in order, one line each.
    #[must_use]
    pub fn failure_lines(&self) -> Vec<String> {
        let broken = self
            .invariants
            .iter()
            .filter(|invariant| invariant.verdict != InvariantVerdict::Holds)
            .map(|invariant| {
                let verdict = invariant.verdict.as_str().to_lowercase();
                let told = format!(
                    "{}:{}: the invariant {} is {verdict}: {}",
                    invariant.file, invariant.line, invariant.id, invariant.reason
                );
                match invariant.counterexamples.first() {
                    Some(example) => format!("{told} ({})", example.summary()),
                    None => told,
                }
            });
        let failing = self
            .failing
            .iter()
            .map(|policy| format!("{}: the policy {} can fail", policy.file, policy.id));
        let unproven = self.unproven.iter().cloned();
        broken.chain(failing).chain(unproven).collect()
    }

    /// All counterexamples as the text of a case file; nothing if there are none.
    #[must_use]
    pub fn case_file(&self) -> Option<String> {
        self.cases(usize::MAX)
    }

    /// A counterexample to each invariant that has any as the text of a case file.
    #[must_use]
    pub fn short_case_file(&self) -> Option<String> {
        self.cases(1)
    }

    fn cases(&self, most_of_invariant: usize) -> Option<String> {
        let of_invariants = self.invariants.iter().flat_map(|invariant| {
            let examples = invariant.counterexamples.iter();
            examples.take(most_of_invariant)
        });
        let of_policies = self.failing.iter().map(|failing| &failing.counterexample);
        let cases: Vec<&Value> = of_invariants
            .chain(of_policies)
            .filter_map(|example| example.case.as_ref())
            .collect();
        (!cases.is_empty()).then(|| case_file::to_json_text(&cases))
    }

    /// The proof for a person.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for invariant in &self.invariants {
            invariant.render(&mut text);
        }
        for policy in &self.failing {
            writeln!(text, "FAILS     {} ({})", policy.id, policy.file).ok();
            let told = "The policy can fail to evaluate; such a request is denied, whoever may.";
            writeln!(text, "          {told}").ok();
            text.push_str(&policy.counterexample.render("            "));
        }
        for why in &self.unproven {
            writeln!(text, "UNPROVEN  {why}").ok();
        }
        for idle in &self.idle {
            writeln!(text, "warning   {}", idle.message()).ok();
        }
        for why in &self.unanswered {
            writeln!(text, "unknown   {why}").ok();
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&self.summary());
        text
    }

    fn summary(&self) -> String {
        let count = |verdict| {
            let is_so = |invariant: &&ProvedInvariant| invariant.verdict == verdict;
            self.invariants.iter().filter(is_so).count()
        };
        format!(
            "{} invariants hold, {} violated, {} unproven; {} policies can fail; \
             {} request environments, {}\n",
            count(InvariantVerdict::Holds),
            count(InvariantVerdict::Violated),
            count(InvariantVerdict::Unproven),
            self.failing.len(),
            self.environments,
            self.solver
        )
    }
}

impl ProvedInvariant {
    fn render(&self, text: &mut String) {
        let verdict = self.verdict.as_str();
        let (id, file, line) = (&self.id, &self.file, self.line);
        writeln!(text, "{verdict:<9} {id} ({file}:{line})").ok();
        if self.verdict == InvariantVerdict::Holds {
            return;
        }
        writeln!(text, "          {}", self.reason).ok();
        if let Some((first, others)) = self.counterexamples.split_first() {
            let told = match self.bound {
                InvariantBound::Upper => "The policies permit more, for example:",
                InvariantBound::Lower => "The policies do not permit this, for example:",
            };
            writeln!(text, "          {told}").ok();
            text.push_str(&first.render("            "));
            for other in others {
                writeln!(text, "          and {}", other.summary()).ok();
            }
        }
        for why in &self.unproven {
            writeln!(text, "          {why}").ok();
        }
    }
}
