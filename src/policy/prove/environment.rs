//! The checks of one request environment: a type of principal, an action and a type of resource.
//!
//! The findings hold in this environment only. Policies are proved one by one, as far as that suffices: an upper bound
//! holds if each permit by itself stays within it, or what is beyond is forbidden by others; a lower bound holds if
//! some permit covers it and each forbid stays clear of it. That is the same as proving the whole bundle, which permits
//! what some permit matches and no forbid does, and what was proved of a policy stays proved when others change.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::Ordering;

use cedar_policy::{Policy, RequestEnv, Schema};
use cedar_policy_symcc::{
    CompiledPolicy, Env, implies_asserts, never_errors_asserts, never_matches_asserts,
};

use super::compiled::{EnvironmentSubject, PreparedStatement};
use super::invariants::InvariantBound;
use super::separate::Separate;
use super::solver::{SolverSession, is_unsatisfiable};
use super::statement::scope_policy;
use super::subject::{InvariantStatement, PendingPolicy, ProofSubject};

/// The most policies that are compiled together to search for a counterexample; of more, one that involves few is
/// taken.
const MAX_TOGETHER: usize = 200;

/// The finding about an invariant in one environment.
pub(super) enum Finding {
    /// No request of this environment is in its scope.
    OutOfScope,
    /// It is proved to hold.
    Holds,
    /// It is violated by this request.
    Example(Box<Env>),
    /// It is not known, for this reason.
    Unknown(String),
}

/// The findings about invariants and failing policies in one environment.
#[derive(Default)]
pub(super) struct InvariantFindings {
    /// A finding for each invariant, in their order.
    pub(super) findings: Vec<Finding>,
    /// The policies that can fail to evaluate, each with a request for which it does.
    pub(super) failing: Vec<(String, Box<Env>)>,
    /// What is not known about failing policies.
    pub(super) unknown: Vec<String>,
    /// What was proved of policies: the policy, and the invariant or that it does not fail.
    pub(super) proved: BTreeSet<(usize, Option<usize>)>,
    /// The policies that helped to prove an invariant of a policy.
    pub(super) supports: BTreeMap<(usize, usize), BTreeSet<usize>>,
}

/// What is to be checked in one environment.
struct EnvironmentCheck<'a> {
    here: EnvironmentSubject<'a>,
    found: InvariantFindings,
}

impl ProofSubject {
    /// Whether an invariant that has to have an effect has none in the environments that were checked.
    pub(super) fn lacks_effect(&self, index: usize) -> bool {
        self.statements.get(index).is_some_and(|statement| {
            statement.must_have_effect && !statement.has_effect.load(Ordering::Relaxed)
        })
    }

    /// Proves some of the policies that are to be proved by themselves, and concludes nothing.
    pub(super) async fn prove_part(
        &self,
        env: &RequestEnv,
        part: Range<usize>,
        solver: &mut SolverSession,
    ) -> InvariantFindings {
        match self.check(env) {
            Ok(mut check) => {
                let pending = self.pending.get(part).unwrap_or_default();
                check.prove_policies(pending, solver).await;
                check.found
            }
            Err(found) => *found,
        }
    }

    /// Proves or refutes every invariant, and that no policy can fail, in one environment.
    pub(super) async fn find_violations(
        &self,
        env: &RequestEnv,
        solver: &mut SolverSession,
    ) -> InvariantFindings {
        match self.check(env) {
            Ok(check) => check.run(solver).await,
            Err(found) => *found,
        }
    }

    /// The check of one environment, or that nothing is known of it.
    fn check<'a>(
        &'a self,
        env: &'a RequestEnv,
    ) -> Result<EnvironmentCheck<'a>, Box<InvariantFindings>> {
        let symbols = self.symbols(env).map_err(|reason| InvariantFindings {
            findings: self.all_unknown(&reason),
            unknown: vec![reason],
            ..InvariantFindings::default()
        })?;
        Ok(EnvironmentCheck {
            here: EnvironmentSubject {
                subject: self,
                env,
                symbols,
            },
            found: InvariantFindings::default(),
        })
    }

    fn all_unknown(&self, reason: &str) -> Vec<Finding> {
        let statements = self.statements.iter();
        statements
            .map(|_| Finding::Unknown(reason.to_owned()))
            .collect()
    }
}

impl<'a> EnvironmentCheck<'a> {
    async fn run(mut self, solver: &mut SolverSession) -> InvariantFindings {
        let subject = self.here.subject;
        let prepared = self.prove_policies(&subject.pending, solver).await;
        if !self.found.unknown.is_empty() {
            let reason = if solver.is_expired() {
                solver.timeout_message()
            } else {
                "not all policies could be checked".to_owned()
            };
            self.found.findings = self.here.subject.all_unknown(&reason);
            return self.found;
        }
        for statement in &prepared {
            self.conclude(statement, solver).await;
        }
        self.found
    }

    /// Proves policies by themselves; returns the invariants that requests of the environment are in the scope of.
    async fn prove_policies(
        &mut self,
        policies: &[PendingPolicy],
        solver: &mut SolverSession,
    ) -> Vec<PreparedStatement<'a>> {
        let mut prepared = Vec::new();
        for (number, statement) in (0..).zip(&self.here.subject.statements) {
            let (finding, ready) = match self.prepare(number, statement, solver).await {
                Ok(Some(ready)) => (Finding::Holds, Some(ready)),
                Ok(None) => (Finding::OutOfScope, None),
                Err(reason) => (Finding::Unknown(reason), None),
            };
            self.found.findings.push(finding);
            prepared.extend(ready);
        }
        self.note_out_of_scope(policies);
        for pending in policies {
            if solver.is_expired() {
                self.found.unknown.push(solver.timeout_message());
                break;
            }
            self.check_policy(pending, &prepared, solver).await;
            self.here.subject.recollection.memory.progress().advance();
        }
        prepared
    }

    /// No policy does anything to an invariant that no request of the environment is in the scope of.
    fn note_out_of_scope(&mut self, policies: &[PendingPolicy]) {
        for pending in policies {
            for number in &pending.statements {
                if matches!(self.finding(*number), Some(Finding::OutOfScope)) {
                    self.found.proved.insert((pending.policy, Some(*number)));
                }
            }
        }
    }

    /// A policy that matches no request of the environment does nothing to any invariant.
    fn note_no_match(&mut self, pending: &PendingPolicy) {
        let all = pending.statements.iter();
        let all = all.map(|number| (pending.policy, Some(*number)));
        self.found.proved.extend(all);
    }

    /// Compiles an invariant; `None` if no request of the environment is in its scope.
    async fn prepare(
        &self,
        number: usize,
        statement: &'a InvariantStatement,
        solver: &mut SolverSession,
    ) -> Result<Option<PreparedStatement<'a>>, String> {
        let scope = self.here.compile(&statement.scope)?;
        if is_unsatisfiable(&never_matches_asserts(&scope)) {
            return Ok(None);
        }
        let own = self.here.compile(&statement.policy)?;
        if let Some(example) = solver.find_example(&never_errors_asserts(&own)).await? {
            return Err(format!(
                "the invariant itself fails to evaluate for {example}"
            ));
        }
        Ok(Some(PreparedStatement {
            number,
            statement,
            own,
            bounding: self.here.compile_set(&statement.bounding)?,
        }))
    }

    /// Proves that a policy does not fail, and the invariants that it may violate by itself.
    async fn check_policy(
        &mut self,
        pending: &PendingPolicy,
        prepared: &[PreparedStatement<'_>],
        solver: &mut SolverSession,
    ) {
        let Some(policy) = self.here.subject.policies.get(pending.policy) else {
            return;
        };
        if !self.here.subject.is_in_scope(policy, self.here.env) {
            self.found.proved.insert((pending.policy, None));
            return self.note_no_match(pending);
        }
        let compiled = match policy.compile(
            self.here.env,
            (&self.here.subject.schema, &self.here.symbols),
        ) {
            Ok(compiled) => compiled,
            Err(error) => {
                let id = &policy.id;
                return self.found.unknown.push(format!("policy `{id}`: {error}"));
            }
        };
        if pending.may_fail {
            self.prove_never_fails((pending.policy, &policy.id), &compiled, solver)
                .await;
        }
        if is_unsatisfiable(&never_matches_asserts(&compiled)) {
            return self.note_no_match(pending);
        }
        let concerned = prepared.iter();
        let concerned = concerned.filter(|ready| pending.statements.contains(&ready.number));
        for ready in concerned {
            if !matches!(self.finding(ready.number), Some(Finding::Holds)) {
                // Something is wrong with it already; what is proved of others is for an edit that mends it.
                continue;
            }
            self.prove_meets((pending.policy, &compiled), ready, solver)
                .await;
        }
    }

    async fn prove_never_fails(
        &mut self,
        (number, id): (usize, &str),
        compiled: &CompiledPolicy,
        solver: &mut SolverSession,
    ) {
        match solver.find_example(&never_errors_asserts(compiled)).await {
            Ok(None) => {
                self.found.proved.insert((number, None));
            }
            Ok(Some(example)) => {
                let failing = (id.to_owned(), Box::new(example));
                self.found.failing.push(failing);
            }
            Err(reason) => {
                let message = format!("whether policy `{id}` can fail: {reason}");
                self.found.unknown.push(message);
            }
        }
    }

    /// Proves that a policy by itself meets an invariant.
    async fn prove_meets(
        &mut self,
        (policy, compiled): (usize, &CompiledPolicy),
        ready: &PreparedStatement<'_>,
        solver: &mut SolverSession,
    ) {
        let mut separate = Separate {
            here: &self.here,
            solver,
        };
        let finding = match separate.prove(policy, compiled, ready).await {
            Ok(Ok(supports)) => {
                self.found.supports.insert((policy, ready.number), supports);
                self.found.proved.insert((policy, Some(ready.number)));
                return;
            }
            Ok(Err(example)) => self.whole_finding(ready, Ok(example), solver).await,
            Err(reason) => self.whole_finding(ready, Err(reason), solver).await,
        };
        self.set_finding(ready.number, finding);
    }

    /// What is left when all policies were proved by themselves.
    async fn conclude(&mut self, ready: &PreparedStatement<'_>, solver: &mut SolverSession) {
        let is_lower = ready.statement.bound == InvariantBound::Lower;
        if is_lower && matches!(self.finding(ready.number), Some(Finding::Holds)) {
            let mut separate = Separate {
                here: &self.here,
                solver,
            };
            let finding = match separate.find_cover(ready).await {
                Ok(Ok(())) => Finding::Holds,
                Ok(Err(example)) => self.whole_finding(ready, Ok(example), solver).await,
                Err(reason) => self.whole_finding(ready, Err(reason), solver).await,
            };
            self.set_finding(ready.number, finding);
        }
        let statement = ready.statement;
        if statement.must_have_effect && !statement.has_effect.load(Ordering::Relaxed) {
            let effective = self.here.subject.is_effective(
                statement,
                (self.here.env, &self.here.symbols),
                solver,
            );
            match effective.await {
                Ok(true) => statement.has_effect.store(true, Ordering::Relaxed),
                Ok(false) => {}
                Err(reason) => self.set_finding(ready.number, Finding::Unknown(reason)),
            }
        }
    }

    /// The finding about an invariant that a single policy does not prove: that of all policies together, if they are
    /// few enough; else the counterexample that there is.
    async fn whole_finding(
        &self,
        ready: &PreparedStatement<'_>,
        separate: Result<Box<Env>, String>,
        solver: &mut SolverSession,
    ) -> Finding {
        let given = match separate {
            Ok(example) => Finding::Example(example),
            Err(reason) => Finding::Unknown(reason),
        };
        let relevant = self.here.relevant(&ready.statement.excepted, None);
        if relevant.len() > MAX_TOGETHER || solver.is_expired() {
            return given;
        }
        match self.prove_together(ready, &relevant, solver).await {
            Ok(None) => match given {
                Finding::Unknown(_) => Finding::Holds,
                _ => given,
            },
            Ok(Some(example)) => Finding::Example(Box::new(example)),
            Err(_) => given,
        }
    }

    async fn prove_together(
        &self,
        ready: &PreparedStatement<'_>,
        policies: &[usize],
        solver: &mut SolverSession,
    ) -> Result<Option<Env>, String> {
        let all = self.here.compile_policies(policies)?;
        let asserts = match ready.statement.bound {
            InvariantBound::Upper => implies_asserts(&all, &ready.bounding),
            InvariantBound::Lower => implies_asserts(&ready.bounding, &all),
        };
        solver.find_example(&asserts).await
    }

    fn finding(&self, number: usize) -> Option<&Finding> {
        self.found.findings.get(number)
    }

    fn set_finding(&mut self, number: usize, finding: Finding) {
        if let Some(known) = self.found.findings.get_mut(number) {
            *known = finding;
        }
    }
}

/// The request environments of a schema that may be in the scope of an invariant.
pub(in crate::policy) fn environments_in_scope(
    invariant: &Policy,
    schema: &Schema,
) -> BTreeSet<RequestEnv> {
    let Ok(scope) = scope_policy(invariant) else {
        return BTreeSet::new();
    };
    let is_in_scope = |env: &RequestEnv| {
        CompiledPolicy::compile(&scope, env, schema)
            .is_ok_and(|compiled| !is_unsatisfiable(&never_matches_asserts(&compiled)))
    };
    schema.request_envs().filter(is_in_scope).collect()
}
