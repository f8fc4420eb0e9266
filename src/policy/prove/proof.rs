//! The result of a proof: what is proved, violated or unproven, and what has no effect.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::domain::decision::Revision;
use crate::policy::case_file;

use super::counterexample::Counterexample;
use super::exceptions::ExceptedPolicy;
use super::ineffective::Ineffective;
use super::invariants::InvariantBound;
use super::proof_time::ProofTime;
use super::ways_on::WaysOn;

/// The most lines of a kind in the text, and of lines that say the same of several policies or requests.
const MAX_SHOWN_LINES: usize = 30;
const MAX_SHOWN_ALIKE: usize = 3;
/// The most policies whose counterexample is in the text.
const MAX_SHOWN_EXAMPLES: usize = 10;

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
    /// How to get by other means what the policies that violate it are probably for.
    pub hint: Option<String>,
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

/// The first lines, and a line about how many more there are.
fn first_lines(lines: &[String], max: usize) -> Vec<String> {
    let mut shown: Vec<String> = lines.iter().take(max).cloned().collect();
    if let Some(more @ 1..) = lines.len().checked_sub(max) {
        shown.push(format!("and {more} more like it; --json has them all"));
    }
    shown
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
    /// How long the invariants took.
    pub time: ProofTime,
    /// How much of it was proved anew.
    #[serde(skip)]
    pub work: ProofWork,
}

/// How many policies a proof is about, of how many everything was remembered, and how many were proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofWork {
    /// All policies.
    pub policies: usize,
    /// Those of which everything was remembered.
    pub remembered: usize,
    /// Those of which something had to be proved, and everything is known now.
    pub proved: usize,
    /// Whether anything is known now that was not known before.
    pub has_learned: bool,
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

    /// Whether only the time was too short, and another attempt begins with more than this one.
    #[must_use]
    pub fn may_be_continued(&self) -> bool {
        !self.is_decided() && self.work.has_learned && self.time.unfinished().is_some()
    }

    /// Whether the same proof fails however often it is attempted.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.has_violation() || !self.failing.is_empty()
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

    /// What has no effect, a sentence each.
    #[must_use]
    pub fn ineffective_lines(&self) -> Vec<String> {
        self.idle.iter().map(Ineffective::line).collect()
    }

    /// The policies that can fail to evaluate, each with a request for which it does.
    #[must_use]
    pub fn failing_lines(&self) -> Vec<String> {
        let failing = self.failing.iter().map(|policy| {
            let (file, id) = (&policy.file, &policy.id);
            let example = policy.counterexample.summary();
            format!("{file}: policy `{id}` can fail to evaluate ({example})")
        });
        failing.collect()
    }

    /// The number of counterexamples that can be written as cases.
    #[must_use]
    pub fn case_count(&self) -> usize {
        self.counterexamples().count()
    }

    fn counterexamples(&self) -> impl Iterator<Item = &Value> {
        let of_invariants = self.invariants.iter();
        let of_invariants = of_invariants.flat_map(|invariant| &invariant.counterexamples);
        let of_policies = self.failing.iter().map(|failing| &failing.counterexample);
        of_invariants
            .chain(of_policies)
            .filter_map(|example| example.case.as_ref())
    }

    /// All counterexamples as the text of a case file; `None` if there are none.
    #[must_use]
    pub fn case_file(&self) -> Option<String> {
        let cases: Vec<&Value> = self.counterexamples().collect();
        (!cases.is_empty()).then(|| case_file::to_json_text(&cases))
    }

    /// The proof as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for invariant in &self.invariants {
            invariant.render(&mut text);
        }
        for policy in self.failing.iter().take(MAX_SHOWN_EXAMPLES) {
            writeln!(text, "FAILS     {} ({})", policy.id, policy.file).ok();
            let effect = "Can fail to evaluate; such a request is denied even if others permit it:";
            writeln!(text, "          {effect}").ok();
            text.push_str(&policy.counterexample.render("            "));
        }
        let others = self.failing.iter().skip(MAX_SHOWN_EXAMPLES);
        let others: Vec<String> = others
            .map(|policy| format!("{} ({})", policy.id, policy.file))
            .collect();
        for line in first_lines(&others, MAX_SHOWN_LINES) {
            writeln!(text, "FAILS     {line}").ok();
        }
        let idle = self.idle_lines();
        for (what, lines) in [
            ("UNPROVEN", &self.unproven),
            ("warning", &idle),
            ("unknown", &self.unanswered),
        ] {
            for line in first_lines(lines, MAX_SHOWN_LINES) {
                writeln!(text, "{what:<9} {line}").ok();
            }
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&self.summary());
        text
    }

    /// What has no effect: of each kind the first few.
    fn idle_lines(&self) -> Vec<String> {
        let mut idle: Vec<&Ineffective> = self.idle.iter().collect();
        idle.sort_by_key(|one| one.kind());
        let alike = idle.chunk_by(|one, other| one.kind() == other.kind());
        let lines = alike.flat_map(|alike| {
            let messages: Vec<String> = alike.iter().map(|one| one.line()).collect();
            first_lines(&messages, MAX_SHOWN_ALIKE)
        });
        lines.collect()
    }

    fn summary(&self) -> String {
        let count = |verdict| {
            let is_so = |invariant: &&ProvedInvariant| invariant.verdict == verdict;
            self.invariants.iter().filter(is_so).count()
        };
        format!(
            "{} invariants hold, {} violated, {} unproven; {} policies can fail; \
             {} request environments, {}, {}\n",
            count(InvariantVerdict::Holds),
            count(InvariantVerdict::Violated),
            count(InvariantVerdict::Unproven),
            self.failing.len(),
            self.environments,
            self.solver,
            self.time.summary(),
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
        let hint = self.hint.iter().map(|hint| format!("hint: {hint}"));
        std::iter::once(line).chain(ways).chain(hint).collect()
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
            let others: Vec<String> = others.iter().map(Counterexample::summary).collect();
            for other in first_lines(&others, MAX_SHOWN_ALIKE) {
                writeln!(text, "          and {}", other.trim_start_matches("and ")).ok();
            }
        }
        if let Some(hint) = &self.hint {
            writeln!(text, "          hint: {hint}").ok();
        }
        for reason in first_lines(&self.unproven, MAX_SHOWN_LINES) {
            writeln!(text, "          {reason}").ok();
        }
        for way in self.suggestions() {
            writeln!(text, "          {way}").ok();
        }
    }
}
