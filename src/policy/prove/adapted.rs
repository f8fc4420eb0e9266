//! Adapted examples: an example of one question, with the literals of another question of the same shape.
//!
//! Policies that are alike but for their literals have examples that are alike too. Whether the adapted example is one
//! is for the caller to find out, by evaluating the policies; the solver is asked only if it is not.

use std::collections::HashMap;

use cedar_policy::{Context, Entities, EntityUid, Request, Schema};
use cedar_policy_core::ast::{Pattern, PatternElem};
use cedar_policy_symcc::Env;
use cedar_policy_symcc::op::Op;
use cedar_policy_symcc::term::{Term, TermPrim};
use serde_json::{Map, Value};

use crate::policy::proof_digest::ProofDigest;

use super::concretize::{entities_json, visit_entities};

/// The most shapes of which an example is kept; of more, all are forgotten.
const MAX_SHAPES: usize = 256;

/// One example of each shape.
#[derive(Default)]
pub(super) struct KnownExamples(HashMap<ProofDigest, KnownExample>);

/// An example and the literals of the question that it was found for.
struct KnownExample {
    literals: Vec<Term>,
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
    context: Value,
    entities: Value,
}

/// What is to be replaced by what.
#[derive(Default)]
struct Replacements<'a> {
    entities: HashMap<(String, String), String>,
    texts: HashMap<&'a str, &'a str>,
    /// The patterns with a text that the new one matches.
    patterns: Vec<(&'a Pattern, String)>,
    numbers: HashMap<i64, i64>,
}

impl KnownExamples {
    /// Keeps an example for questions of the same shape.
    pub(super) fn add(&mut self, shape: ProofDigest, literals: Vec<Term>, example: &Env) {
        if self.0.len() >= MAX_SHAPES {
            self.0.clear();
        }
        if let Some(known) = KnownExample::new(literals, example) {
            self.0.insert(shape, known);
        }
    }

    /// The example of this shape, with other literals.
    pub(super) fn adapt(
        &self,
        shape: &ProofDigest,
        literals: &[Term],
        schema: &Schema,
    ) -> Option<Env> {
        self.0.get(shape)?.adapt(literals, schema)
    }
}

impl KnownExample {
    fn new(literals: Vec<Term>, example: &Env) -> Option<Self> {
        let request = &example.request;
        Some(Self {
            literals,
            principal: request.principal()?.clone(),
            action: request.action()?.clone(),
            resource: request.resource()?.clone(),
            context: request.context()?.to_json_value().ok()?,
            entities: entities_json(example).ok()?,
        })
    }

    fn adapt(&self, literals: &[Term], schema: &Schema) -> Option<Env> {
        let replacements = Replacements::new(&self.literals, literals)?;
        let (mut context, mut entities) = (self.context.clone(), self.entities.clone());
        replacements.apply(&mut context);
        replacements.apply(&mut entities);
        let context = Context::from_json_value(context, Some((schema, &self.action))).ok()?;
        let request = Request::new(
            replacements.entity(&self.principal)?,
            self.action.clone(),
            replacements.entity(&self.resource)?,
            context,
            Some(schema),
        );
        Some(Env {
            request: request.ok()?,
            entities: Entities::from_json_value(entities, Some(schema)).ok()?,
        })
    }
}

impl<'a> Replacements<'a> {
    /// `None` if literals differ for which there is no replacement.
    fn new(from: &'a [Term], to: &'a [Term]) -> Option<Self> {
        let mut all = Self::default();
        if from.len() != to.len() {
            return None;
        }
        for (from, to) in from.iter().zip(to).filter(|(from, to)| from != to) {
            match (from, to) {
                (Term::Prim(TermPrim::String(from)), Term::Prim(TermPrim::String(to))) => {
                    all.texts.insert(from, to);
                }
                (Term::Prim(TermPrim::Entity(from)), Term::Prim(TermPrim::Entity(to))) => {
                    let name = (
                        from.type_name().to_string(),
                        from.id().unescaped().to_owned(),
                    );
                    all.entities.insert(name, to.id().unescaped().to_owned());
                }
                (Term::Prim(TermPrim::Bitvec(from)), Term::Prim(TermPrim::Bitvec(to))) => {
                    let number = |text: String| text.parse::<i64>().ok();
                    let (from, to) = (from.to_int().to_string(), to.to_int().to_string());
                    all.numbers.insert(number(from)?, number(to)?);
                }
                (
                    Term::App {
                        op: Op::StringLike(from),
                        ..
                    },
                    Term::App {
                        op: Op::StringLike(to),
                        ..
                    },
                ) => all.patterns.push((from, shortest_match(to))),
                _ => return None,
            }
        }
        Some(all)
    }

    fn entity(&self, uid: &EntityUid) -> Option<EntityUid> {
        let name = (uid.type_name().to_string(), uid.id().unescaped().to_owned());
        match self.entities.get(&name) {
            Some(id) => Some(EntityUid::from_type_name_and_id(
                uid.type_name().clone(),
                id.parse().ok()?,
            )),
            None => Some(uid.clone()),
        }
    }

    fn apply(&self, json: &mut Value) {
        visit_entities(json, &mut |kind, id| {
            if let Some(to) = self.entities.get(&(kind.to_owned(), id.clone())) {
                id.clone_from(to);
            }
        });
        self.apply_to_values(json);
    }

    /// Replaces values, but not in entities and calls of functions.
    fn apply_to_values(&self, json: &mut Value) {
        match json {
            Value::String(text) => {
                if let Some(to) = self.text(text) {
                    to.clone_into(text);
                }
            }
            Value::Number(number) => {
                let to = number.as_i64().and_then(|number| self.numbers.get(&number));
                if let Some(to) = to {
                    *json = Value::from(*to);
                }
            }
            Value::Array(values) => values
                .iter_mut()
                .for_each(|value| self.apply_to_values(value)),
            Value::Object(members) => {
                let is_entity = members.len() == 2
                    && members.contains_key("type")
                    && members.contains_key("id");
                if is_entity || members.contains_key("__extn") {
                    return;
                }
                if let Some(Value::Object(tags)) = members.get_mut("tags") {
                    self.apply_to_keys(tags);
                }
                members
                    .values_mut()
                    .for_each(|value| self.apply_to_values(value));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Replaces the names of tags.
    fn apply_to_keys(&self, tags: &mut Map<String, Value>) {
        let renamed = std::mem::take(tags).into_iter().map(|(name, value)| {
            let to = self.text(&name).map(str::to_owned);
            (to.unwrap_or(name), value)
        });
        *tags = renamed.collect();
    }

    fn text<'t>(&'t self, text: &str) -> Option<&'t str> {
        let exact = self.texts.get(text).copied();
        exact.or_else(|| {
            let mut patterns = self.patterns.iter();
            let matching = patterns.find(|(pattern, _)| pattern.wildcard_match(text));
            matching.map(|(_, to)| to.as_str())
        })
    }
}

/// The shortest text that a pattern matches.
fn shortest_match(pattern: &Pattern) -> String {
    let letters = pattern.iter().filter_map(|element| match element {
        PatternElem::Char(letter) => Some(*letter),
        PatternElem::Wildcard => None,
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use cedar_policy_symcc::never_matches_asserts;

    use crate::policy::folder::PolicyFolder;
    use crate::policy::prove::deadline::Deadline;
    use crate::policy::prove::scheduler::{find_solver, run_alone};
    use crate::policy::prove::shape::Shape;
    use crate::policy::prove::subject::ProofSubject;
    use crate::policy::tests::fixtures::folder;

    /// Of each two policies that are alike, whether the example of the first, adapted, matches the second.
    #[test]
    fn an_example_of_a_policy_matches_another_one_that_is_alike_when_its_literals_are_replaced() {
        let conditions = [
            r#"resource.title == "Dataset N""#,
            r#"resource.title like "N *""#,
            r#"principal.username like "N*""#,
            r#"principal.hasTag("group-N") || principal has issuer"#,
            r#"principal.hasTag("group-N") && principal.getTag("group-N").contains("N")"#,
            r#"resource.reader_users.contains(User::"N")"#,
        ];
        let policy = |number: usize, (place, condition): (usize, &str)| {
            let condition = condition.replace('N', &number.to_string());
            format!(
                "@id(\"{place}-{number}\") permit (principal in Role::\"team-{number}\", \
                 action == Action::\"read\", resource) \
                 when {{ resource.visibility == Visibility::\"internal\" && ({condition}) }};\n"
            )
        };
        let all = conditions.into_iter().enumerate();
        let text: String = all
            .flat_map(|condition| [policy(17, condition), policy(1234, condition)])
            .collect();
        let dir = folder(&[("policies.cedar", &text)]);
        let bundle = PolicyFolder::load(dir.path()).unwrap().bundle().unwrap();
        let solver = find_solver().unwrap();
        let memory = Arc::default();
        let subject =
            ProofSubject::new(&bundle, &[], &BTreeSet::new(), (&memory, solver.version())).unwrap();
        let mut envs = bundle.schema.request_envs();
        let env = envs
            .find(|env| subject.is_in_scope(&subject.policies[0], env))
            .unwrap();
        let symbols = subject.symbols(&env).unwrap();
        let deadline = Deadline::after(Duration::from_mins(2));
        let recollection = subject.recollection.clone();
        let context = recollection.context;
        run_alone(
            (&solver, recollection),
            &deadline,
            false,
            |runtime, session| {
                for pair in subject.policies.chunks(2) {
                    let [other, first] = pair else { unreachable!() };
                    let compiled = [first, other]
                        .map(|policy| policy.compile(&env, (&subject.schema, &symbols)).unwrap());
                    let [asserts, other_asserts] = compiled.each_ref().map(never_matches_asserts);
                    let found = runtime.block_on(session.find_example(&asserts));
                    let example = found.unwrap().unwrap();
                    let shape = Shape::of(&asserts, &context).unwrap();
                    let other_shape = Shape::of(&other_asserts, &context).unwrap();
                    assert_eq!(shape.general, other_shape.general, "{}", first.id);
                    let literals =
                        |shape: &Shape| shape.literals().into_iter().cloned().collect::<Vec<_>>();
                    let mut known = super::KnownExamples::default();
                    known.add(shape.general, literals(&shape), &example);
                    let adapted = known
                        .adapt(&shape.general, &literals(&other_shape), &bundle.schema)
                        .unwrap();
                    assert!(
                        other.is_match(&adapted),
                        "{}: {adapted} of {example}",
                        other.id
                    );
                    assert!(!other.is_match(&example));
                }
            },
        )
        .unwrap();
    }
}
