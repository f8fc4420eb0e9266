//! The result of a proof: what is proved, violated or unproven, and what has no effect.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::domain::decision::Revision;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::bundle::Bundle;
use crate::policy::case_file;

use super::counterexample::Counterexample;
use super::exceptions::ExceptedPolicy;
use super::invariants::InvariantBound;
use super::ways_on::WaysOn;

/// The verdict about an invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InvariantVerdict {
    /// It holds for every possible request.
    Holds,
    /// It is violated; there is a counterexample.
    Violated,
    /// Neither is known. It counts as a failure.
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

/// One invariant with its verdict.
#[derive(Clone, Debug, Serialize)]
pub struct ProvedInvariant {
    /// Its `@id`.
    pub id: String,
    /// Its file, relative to the policy folder.
    pub file: String,
    /// The line where it begins.
    pub line: usize,
    /// Which way it bounds the policies.
    pub bound: InvariantBound,
    /// Its `@reason`.
    pub reason: String,
    /// The verdict.
    pub verdict: InvariantVerdict,
    /// The number of request environments in which it was checked.
    pub environments: usize,
    /// Requests that violate it: one for each environment with any.
    pub counterexamples: Vec<Counterexample>,
    /// What is not known, with the reason.
    pub unproven: Vec<String>,
    /// The policies that it does not apply to.
    pub excepted: Vec<ExceptedPolicy>,
    /// What to do, if it is violated.
    pub ways_on: WaysOn,
}

/// A policy that can fail to evaluate: such a request is denied even if other policies permit it.
#[derive(Clone, Debug, Serialize)]
pub struct FailingPolicy {
    /// Its `@id`.
    pub id: String,
    /// Its file, relative to the policy folder.
    pub file: String,
    /// A request for which it fails.
    pub counterexample: Counterexample,
}

/// A policy or an invariant that has no effect, most likely by mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ineffective {
    /// A policy matches no possible request.
    NeverApplies {
        /// The policy.
        policy: String,
        /// Which of its parts contradict each other, if that was found in time.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What was probably meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
    /// A policy is redundant: another one of the same effect matches whenever it does.
    Redundant {
        /// The redundant policy.
        policy: String,
        /// The other policy.
        beside: String,
        /// Whether the other one is just as redundant.
        is_mutual: bool,
    },
    /// A permit matches only where a forbid does.
    Overruled {
        /// The permit.
        policy: String,
        /// The forbid.
        by: String,
    },
    /// An invariant holds for any policies.
    SaysNothing {
        /// The invariant.
        invariant: String,
    },
}

impl Ineffective {
    /// Whether it is about the same policy as another one, and both never apply.
    pub(super) fn is_never_applying(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NeverApplies { policy, .. }, Self::NeverApplies { policy: other, .. }) => {
                policy == other
            }
            _ => false,
        }
    }

    /// The warning about a policy that never applies, unless its bundle has one.
    pub(super) fn warning(&self, bundle: &Bundle) -> Option<SourceDiagnostic> {
        let Self::NeverApplies { policy, help, .. } = self else {
            return None;
        };
        let known = format!("`{policy}` never applies");
        let mut warnings = bundle.warnings().iter();
        if warnings.any(|warning| warning.message().contains(&known)) {
            return None;
        }
        let warning = bundle.warning_at_policy(policy, self.message());
        Some(match help {
            Some(help) => warning.with_help(help),
            None => warning,
        })
    }

    /// What is wrong, in a sentence.
    fn message(&self) -> String {
        match self {
            Self::NeverApplies { policy, reason, .. } => match reason {
                Some(reason) => format!("policy `{policy}` never applies: {reason}"),
                None => format!("policy `{policy}` never applies: no possible request matches it"),
            },
            Self::Redundant {
                policy,
                beside,
                is_mutual: true,
            } => format!("policies `{policy}` and `{beside}` match the same requests: remove one"),
            Self::Redundant { policy, beside, .. } => {
                format!("policy `{policy}` is redundant: `{beside}` always applies when it does")
            }
            Self::Overruled { policy, by } => {
                format!(
                    "policy `{policy}` permits nothing: `{by}` forbids everything that it matches"
                )
            }
            Self::SaysNothing { invariant } => {
                format!("invariant `{invariant}` has no effect: it holds for any policies")
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
    /// The number of request environments of the schema.
    pub environments: usize,
    /// Every invariant, by file and line.
    pub invariants: Vec<ProvedInvariant>,
    /// The policies that can fail to evaluate.
    pub failing: Vec<FailingPolicy>,
    /// What is not known about failing policies.
    pub unproven: Vec<String>,
    /// What has no effect; these are warnings.
    pub idle: Vec<Ineffective>,
    /// What is not known about effects.
    pub unanswered: Vec<String>,
}

impl Proof {
    /// Whether every invariant holds and no policy can fail.
    ///
    /// A failing policy counts because it denies requests that others permit, so that no lower bound
    /// holds with it. Without invariants, only failing policies count.
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

    /// Everything that keeps the proof from being complete, one line each.
    #[must_use]
    pub fn failure_lines(&self) -> Vec<String> {
        let invariants = self
            .invariants
            .iter()
            .filter(|invariant| invariant.verdict != InvariantVerdict::Holds)
            .flat_map(ProvedInvariant::failure_lines);
        let failing = self.failing.iter().map(|policy| {
            format!(
                "{}: policy `{}` can fail to evaluate",
                policy.file, policy.id
            )
        });
        let unproven = self.unproven.iter().cloned();
        invariants.chain(failing).chain(unproven).collect()
    }

    /// All counterexamples as the text of a case file; `None` if there are none.
    #[must_use]
    pub fn case_file(&self) -> Option<String> {
        self.cases(usize::MAX)
    }

    /// One counterexample of each invariant as the text of a case file; `None` if there are none.
    #[must_use]
    pub fn short_case_file(&self) -> Option<String> {
        self.cases(1)
    }

    fn cases(&self, max_per_invariant: usize) -> Option<String> {
        let of_invariants = self.invariants.iter().flat_map(|invariant| {
            let examples = invariant.counterexamples.iter();
            examples.take(max_per_invariant)
        });
        let of_policies = self.failing.iter().map(|failing| &failing.counterexample);
        let cases: Vec<&Value> = of_invariants
            .chain(of_policies)
            .filter_map(|example| example.case.as_ref())
            .collect();
        (!cases.is_empty()).then(|| case_file::to_json_text(&cases))
    }

    /// The proof as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for invariant in &self.invariants {
            invariant.render(&mut text);
        }
        for policy in &self.failing {
            writeln!(text, "FAILS     {} ({})", policy.id, policy.file).ok();
            let effect = "Can fail to evaluate; such a request is denied even if others permit it:";
            writeln!(text, "          {effect}").ok();
            text.push_str(&policy.counterexample.render("            "));
        }
        for reason in &self.unproven {
            writeln!(text, "UNPROVEN  {reason}").ok();
        }
        for ineffective in &self.idle {
            writeln!(text, "warning   {}", ineffective.message()).ok();
            if let Ineffective::NeverApplies {
                help: Some(help), ..
            } = ineffective
            {
                writeln!(text, "          {help}").ok();
            }
        }
        for reason in &self.unanswered {
            writeln!(text, "unknown   {reason}").ok();
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
    /// Its file and line.
    fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// What to do if it is violated, a line each.
    #[must_use]
    pub fn suggestions(&self) -> Vec<String> {
        self.ways_on.lines(&self.place())
    }

    /// That it is violated or not proved, and the ways on, a line each.
    fn failure_lines(&self) -> Vec<String> {
        let (place, id, reason) = (self.place(), &self.id, &self.reason);
        let (verdict, detail) = match self.counterexamples.first() {
            Some(example) => ("violated", example.summary()),
            None => ("not proved", self.unproven.join("; ")),
        };
        let culprits = self.ways_on.culprits();
        let line = format!("{place}: invariant `{id}` is {verdict}{culprits}: {reason} ({detail})");
        let ways = self.suggestions().into_iter();
        let ways = ways.map(|way| format!("{place}: {way}"));
        std::iter::once(line).chain(ways).collect()
    }

    fn render(&self, text: &mut String) {
        let verdict = self.verdict.as_str();
        let (id, file, line) = (&self.id, &self.file, self.line);
        writeln!(text, "{verdict:<9} {id} ({file}:{line})").ok();
        for excepted in &self.excepted {
            writeln!(text, "          except {}", excepted.describe()).ok();
        }
        if self.verdict == InvariantVerdict::Holds {
            return;
        }
        writeln!(text, "          {}", self.reason).ok();
        let culprits = self.ways_on.culprits();
        if !culprits.is_empty() {
            writeln!(text, "          Violated{culprits}.").ok();
        }
        if let Some((first, others)) = self.counterexamples.split_first() {
            let lead = match self.bound {
                InvariantBound::Upper => "The policies permit more, for example:",
                InvariantBound::Lower => "The policies do not permit this, for example:",
            };
            writeln!(text, "          {lead}").ok();
            text.push_str(&first.render("            "));
            for other in others {
                writeln!(text, "          and {}", other.summary()).ok();
            }
        }
        for reason in &self.unproven {
            writeln!(text, "          {reason}").ok();
        }
        for way in self.suggestions() {
            writeln!(text, "          {way}").ok();
        }
    }
}
