//! Shapes: a question to the solver with its literals left open.
//!
//! Many policies are alike but for the names, numbers and patterns in them. Where the literals in a question are replaced
//! by variables, one each, and the solver finds that nothing satisfies it, nothing satisfies it for any literals: so one
//! answer serves all policies of that shape. Where something does satisfy it, nothing is known about the question itself,
//! which is then asked as it is. A comparison with a pattern is replaced as a whole, by whether it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy_symcc::op::Op;
use cedar_policy_symcc::term::{Term, TermPrim, TermVar};
use cedar_policy_symcc::{Asserts, SymEnv, WellFormedAsserts};

use crate::policy::proof_digest::{DigestBuilder, ProofDigest};

/// The longest text of a question whose shape is looked for, in bytes: terms share parts, which the text repeats.
const MAX_LENGTH: usize = 256 * 1024;

/// The width from which on numbers are left open, in bits.
const MIN_NUMBER_WIDTH: u32 = 32;

/// A question and its shape.
pub(super) struct Shape {
    /// The digest of the shape.
    pub(super) general: ProofDigest,
    /// The digest of the question itself.
    pub(super) exact: ProofDigest,
    variables: BTreeMap<Term, usize>,
}

impl Shape {
    /// The shape of a question; `None` if it is too large.
    pub(super) fn of(asserts: &WellFormedAsserts<'_>, context: &ProofDigest) -> Option<Self> {
        let symbols = asserts.symenv();
        let mut writer = Writer {
            symbols,
            text: Vec::new(),
            variables: BTreeMap::new(),
            is_too_long: false,
        };
        let request = &symbols.request;
        for term in [&request.principal, &request.action, &request.resource] {
            writer.text(&format!("{:?}", term.type_of()));
            writer.text(&term.to_string());
        }
        writer.count(asserts.asserts().len());
        for term in asserts.asserts().iter() {
            writer.term(term);
        }
        if writer.is_too_long {
            return None;
        }
        let general = DigestBuilder::new("shape").with(context).with(&writer.text);
        let general = general.finish();
        let mut shape = Self {
            general,
            exact: general,
            variables: writer.variables,
        };
        let mut exact = DigestBuilder::new("question").with(&general);
        for literal in shape.literals() {
            exact = exact.with(format!("{literal:?}").as_bytes());
        }
        shape.exact = exact.finish();
        Some(shape)
    }

    /// What is left open, in the order in which the question has it.
    pub(super) fn literals(&self) -> Vec<&Term> {
        let mut ordered: Vec<_> = self.variables.iter().collect();
        ordered.sort_by_key(|(_, number)| **number);
        ordered.into_iter().map(|(literal, _)| literal).collect()
    }

    /// Whether it leaves something open.
    pub(super) fn is_general(&self) -> bool {
        !self.variables.is_empty()
    }

    /// The question with variables instead of literals.
    pub(super) fn generalize(&self, asserts: &Asserts) -> Asserts {
        Arc::new(asserts.iter().map(|term| self.term(term)).collect())
    }

    fn term(&self, term: &Term) -> Term {
        if let Some(number) = self.variables.get(term) {
            return Term::Var(TermVar {
                // No variable of Cedar has a space in its name.
                id: format!("literal {number}").into(),
                ty: term.type_of(),
            });
        }
        match term {
            Term::Prim(_) | Term::Var(_) | Term::None(_) => term.clone(),
            Term::Some(inner) => Term::Some(Arc::new(self.term(inner))),
            Term::Set { elts_ty, elts } => Term::Set {
                elts_ty: elts_ty.clone(),
                elts: Arc::new(
                    elts.iter()
                        .map(|element| self.term(element))
                        .collect::<BTreeSet<_>>(),
                ),
            },
            Term::Record(members) => {
                let members = members.iter();
                let members = members.map(|(name, value)| (name.clone(), self.term(value)));
                Term::Record(Arc::new(members.collect()))
            }
            Term::App { op, args, ret_ty } => Term::App {
                op: op.clone(),
                args: Arc::new(args.iter().map(|argument| self.term(argument)).collect()),
                ret_ty: ret_ty.clone(),
            },
        }
    }
}

/// Writes terms so that no two have the same text, but for their literals.
///
/// Types of variables and functions are not written: the schema and the request environment say what they are.
struct Writer<'a> {
    symbols: &'a SymEnv,
    text: Vec<u8>,
    variables: BTreeMap<Term, usize>,
    is_too_long: bool,
}

impl Writer<'_> {
    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.text.extend_from_slice(text.as_bytes());
    }

    fn count(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.text.extend_from_slice(&count.to_le_bytes());
    }

    fn term(&mut self, term: &Term) {
        if self.text.len() > MAX_LENGTH {
            self.is_too_long = true;
            return;
        }
        if self.is_open(term) {
            return self.variable(term);
        }
        match term {
            Term::Prim(literal) => {
                self.text.push(b'p');
                self.text(&format!("{literal:?}"));
            }
            Term::Var(variable) => {
                self.text.push(b'v');
                self.text(&variable.id);
            }
            Term::None(of) => {
                self.text.push(b'n');
                self.text(&format!("{of:?}"));
            }
            Term::Some(inner) => {
                self.text.push(b's');
                self.term(inner);
            }
            Term::Set { elts_ty, elts } => {
                self.text.push(b'e');
                self.text(&format!("{elts_ty:?}"));
                self.count(elts.len());
                for element in elts.iter() {
                    self.term(element);
                }
            }
            Term::Record(members) => {
                self.text.push(b'r');
                self.count(members.len());
                for (name, value) in members.iter() {
                    self.text(name);
                    self.term(value);
                }
            }
            Term::App { op, args, .. } => {
                self.text.push(b'a');
                self.operator(op);
                self.count(args.len());
                for argument in args.iter() {
                    self.term(argument);
                }
            }
        }
    }

    fn operator(&mut self, op: &Op) {
        self.text(op.mk_name());
        match op {
            Op::Uuf(function) => self.text(&function.id),
            Op::RecordGet(name) => self.text(name),
            Op::ZeroExtend(_) | Op::Ext(_) => self.text(&format!("{op:?}")),
            _ => {}
        }
    }

    /// Whether a term is replaced by a variable.
    fn is_open(&self, term: &Term) -> bool {
        match term {
            Term::Prim(TermPrim::String(_) | TermPrim::Ext(_)) => true,
            // The members of an enumeration are distinct, and proofs need that; so are actions.
            Term::Prim(TermPrim::Entity(uid)) => {
                let data = self.symbols.entities.get(uid.type_name());
                data.is_some_and(|data| data.members.is_none())
            }
            // Not the lengths of prefixes of addresses.
            Term::Prim(TermPrim::Bitvec(number)) => number.width().get() >= MIN_NUMBER_WIDTH,
            Term::App { op, .. } => matches!(op, Op::StringLike(_)),
            _ => false,
        }
    }

    fn variable(&mut self, term: &Term) {
        let next = self.variables.len();
        let number = *self.variables.entry(term.clone()).or_insert(next);
        self.text.push(b'l');
        self.count(number);
        self.text(&format!("{:?}", term.type_of()));
    }
}
