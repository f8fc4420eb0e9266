//! Proofs in parts: very many policies are proved some at a time, so that what is proved of them is remembered although
//! there is no time for all. The next attempt begins with the others.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::RequestEnv;

use super::deadline::Deadline;
use super::error::ProveError;
use super::options::ProofOptions;
use super::scheduler::{Findings, Task, run_steps};
use super::solver::Solver;
use super::subject::ProofSubject;

/// How many policies are proved at a time: so few that some parts are finished within a short limit. Fewer in tests, so
/// that they have several parts.
const PART_SIZE: usize = if cfg!(test) { 5 } else { 50 };

/// How the tasks of a proof are done.
pub(super) struct Schedule<'a> {
    pub(super) solver: &'a Solver,
    pub(super) environments: &'a [RequestEnv],
    pub(super) options: &'a ProofOptions,
    pub(super) deadline: Deadline,
}

impl Schedule<'_> {
    /// Proves policies by themselves, if there are very many, and remembers what holds; returns the number of parts.
    pub(super) fn prove_parts(
        &self,
        subject: &Arc<ProofSubject>,
        progress: &mut impl FnMut(usize, usize),
    ) -> Result<usize, ProveError> {
        let pending = subject.pending.len();
        if pending <= PART_SIZE {
            return Ok(0);
        }
        let parts: Vec<Range<usize>> = (0..pending)
            .step_by(PART_SIZE)
            .map(|start| start..pending.min(start + PART_SIZE))
            .collect();
        let count = self.environments.len();
        let steps = self.steps(parts.len());
        for (number, part) in parts.iter().enumerate() {
            let found = run_steps(
                subject,
                self.solver,
                (self.environments, &[Task::Part(part.clone())]),
                (&self.deadline, self.options.is_low_priority),
                |done| progress(number * count + done, steps),
            )?;
            if found.violations.len() < count {
                break;
            }
            let policies = subject.pending.get(part.clone()).unwrap_or_default();
            subject.remember_proved(policies, &found.violations);
        }
        Ok(parts.len())
    }

    /// Checks every environment for violations, then, if thorough, for what has no effect.
    pub(super) fn prove_whole(
        &self,
        subject: &Arc<ProofSubject>,
        parts: usize,
        progress: &mut impl FnMut(usize, usize),
    ) -> Result<Findings, ProveError> {
        let before = parts * self.environments.len();
        let steps = self.steps(parts);
        run_steps(
            subject,
            self.solver,
            (self.environments, self.tasks()),
            (&self.deadline, self.options.is_low_priority),
            |done| progress(before + done, steps),
        )
    }

    fn tasks(&self) -> &'static [Task] {
        if self.options.is_thorough {
            &[Task::Violations, Task::Effects]
        } else {
            &[Task::Violations]
        }
    }

    /// The number of steps with some parts.
    fn steps(&self, parts: usize) -> usize {
        (parts + self.tasks().len()) * self.environments.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::time::Duration;

    use crate::policy::Bundle;
    use crate::policy::folder::PolicyFolder;
    use crate::policy::prove::environment::InvariantFindings;
    use crate::policy::prove::scheduler::find_solver;
    use crate::policy::tests::fixtures::folder;

    use super::*;

    const INVARIANT: &str = "@id(\"published\") @reason(\"x\") @invariant(\"upper\")\n\
        permit (principal, action == Action::\"read\", resource)\n\
        when { resource.record_status == RecordStatus::\"published\" };\n";

    fn load(policies: &str) -> (PolicyFolder, Bundle) {
        let dir = folder(&[
            ("policies.cedar", policies),
            ("invariants/invariants.cedar", INVARIANT),
        ]);
        let folder = PolicyFolder::load(dir.path()).unwrap();
        let bundle = folder.bundle().unwrap();
        (folder, bundle)
    }

    #[test]
    fn what_was_proved_of_a_policy_is_remembered_whatever_is_not_known_of_others() {
        let permit = |id: &str| {
            format!(
                "@id(\"{id}\") permit (principal, action == Action::\"read\", resource)\n\
                 when {{ resource.record_status == RecordStatus::\"published\" && resource.title == \"{id}\" }};\n"
            )
        };
        let (folder, bundle) = load(&["a", "b", "c"].map(permit).concat());
        let valid = folder.invariants().unwrap().parse_for(&bundle).unwrap();
        let memory = Arc::default();
        let subject = || {
            let about = (&memory, "cvc5 0");
            ProofSubject::new(&bundle, &valid.invariants, &BTreeSet::new(), about).unwrap()
        };
        let first = subject();
        assert_eq!(first.pending.len(), 3);
        let found = |proved: &[(usize, Option<usize>)]| InvariantFindings {
            unknown: vec!["policy `c`: the solver gave up".to_owned()],
            proved: proved.iter().copied().collect(),
            ..InvariantFindings::default()
        };
        let one = found(&[(0, None), (0, Some(0)), (1, None), (1, Some(0)), (2, None)]);
        let other = found(&[(0, None), (0, Some(0)), (1, None)]);
        first.remember_proved(&first.pending, &[one, other]);
        let rest = subject().pending;
        let rest = rest.iter();
        let rest: Vec<_> = rest
            .map(|pending| (pending.policy, pending.may_fail, &*pending.statements))
            .collect();
        assert_eq!(rest, [(1, false, &[0][..]), (2, true, &[0][..])]);
    }

    #[test]
    fn what_was_proved_of_each_part_is_remembered_before_all_is_proved() {
        let mut text = String::new();
        for number in 10..22 {
            let status = if number == 14 { "draft" } else { "published" };
            writeln!(
                text,
                "@id(\"{number}\") permit (principal in Role::\"{number}\", action == Action::\"read\", resource)\n\
                 when {{ resource.record_status == RecordStatus::\"{status}\" }};"
            )
            .unwrap();
        }
        let (folder, bundle) = load(&text);
        let valid = folder.invariants().unwrap().parse_for(&bundle).unwrap();
        let solver = find_solver().unwrap();
        let memory = Arc::default();
        let subject = || {
            let about = (&memory, solver.version());
            ProofSubject::new(&bundle, &valid.invariants, &BTreeSet::new(), about).unwrap()
        };
        let environments: Vec<_> = bundle.schema.request_envs().collect();
        let options = ProofOptions::within(Duration::from_mins(2));
        let prove = |deadline| {
            let schedule = Schedule {
                solver: &solver,
                environments: &environments,
                options: &options,
                deadline,
            };
            let parts = schedule.prove_parts(&Arc::new(subject()), &mut |_, _| {});
            assert_eq!(parts.unwrap(), 3);
        };
        prove(Deadline::after(Duration::ZERO));
        assert_eq!(subject().pending.len(), 12, "there was no time");
        prove(Deadline::after(options.time_limit));
        let rest = subject();
        let policies = rest
            .pending
            .iter()
            .map(|pending| &rest.policies[pending.policy].id);
        assert_eq!(
            policies.collect::<Vec<_>>(),
            ["14"],
            "the violating one is left"
        );
    }
}
