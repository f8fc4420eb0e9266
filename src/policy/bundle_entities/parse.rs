//! Parses the `*.entities.json` files of a bundle: every entity with its place, and every problem of every file.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Entity, EntityUid, Schema};
use cedar_policy_core::ast;
use cedar_policy_core::validator::CoreSchema;
use serde_json::value::RawValue;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::strict_json::StrictValue;
use crate::domain::suggest::closest;
use crate::domain::text_position::line_at;
use crate::policy::json_span::{error_span, message_without_position, value_start};
use crate::policy::schema_names::{TypeOrigin, type_origin};
use crate::policy::sources::SourceFiles;

use super::entity_json::{EntityReader, WrittenEntity};
use super::finding::{EntityFinding, SpannedUid};
use super::hierarchy::{self, HierarchyError, MAX_ANCESTORS};

/// The most entities of a bundle.
pub const MAX_ENTITIES: usize = 50_000;
/// The most problems that are told.
const MAX_PROBLEMS: usize = 1_000;
/// For how many unknown parents it is looked up what was meant: each lookup looks at thousands of ids.
const MAX_SUGGESTIONS: usize = 50;
/// The most entities of a cycle that are named.
const MAX_SHOWN_OF_CYCLE: usize = 6;

/// An entity that a file of entities names, and that is not in one: of the catalog, or one that no file has.
#[derive(Clone, Debug)]
pub(in crate::policy) struct NamedByFile {
    /// A user, a role or a dataset, or one of the author's own types.
    pub(in crate::policy) uid: EntityUid,
    /// The name of the file, relative to the folder.
    pub(in crate::policy) file: String,
    /// The bytes of the attribute, tag or parent that names it.
    pub(in crate::policy) span: Range<usize>,
    /// The entity that names it.
    pub(in crate::policy) owner: EntityUid,
}

/// What the files of entities say.
#[derive(Default)]
pub(super) struct ParsedEntities {
    /// With all their ancestors.
    pub(super) entities: Vec<Entity>,
    pub(super) named: Vec<NamedByFile>,
}

/// A file: its name and its text.
type NamedText<'a> = (&'a str, &'a Arc<str>);

struct FilesParser<'a> {
    sources: &'a SourceFiles,
    schema: &'a Schema,
    problems: Vec<SourceDiagnostic>,
    untold_problems: usize,
    /// For how many names it was looked up what was meant.
    suggestions: usize,
    /// In the order of the files and of the entities in them.
    entities: Vec<(NamedText<'a>, WrittenEntity)>,
    by_uid: HashMap<EntityUid, usize>,
}

/// Reads every file of entities; fails with every problem of every file, the first [`MAX_PROBLEMS`] of very many.
pub(super) fn parse(
    sources: &SourceFiles,
    schema: &Schema,
) -> Result<ParsedEntities, Vec<SourceDiagnostic>> {
    if sources.entities().next().is_none() {
        return Ok(ParsedEntities::default());
    }
    let mut parser = FilesParser {
        sources,
        schema,
        problems: Vec::new(),
        untold_problems: 0,
        suggestions: 0,
        entities: Vec::new(),
        by_uid: HashMap::new(),
    };
    let core_schema = CoreSchema::new(schema.as_ref());
    for file in sources.entities() {
        if !parser.parse_file(file, &core_schema) {
            break;
        }
    }
    parser.check_parents();
    let ancestors = parser.ancestors();
    if parser.untold_problems > 0 {
        let message = format!(
            "{} more problems of entities are not listed",
            parser.untold_problems
        );
        let rest = SourceDiagnostic::for_file(&sources.label(""), message);
        parser.problems.push(rest);
    }
    match ancestors {
        Some(ancestors) if parser.problems.is_empty() => Ok(parser.finish(&ancestors)),
        _ => Err(parser.problems),
    }
}

impl<'a> FilesParser<'a> {
    fn report(&mut self, (file, text): NamedText<'_>, finding: EntityFinding) {
        if self.problems.len() >= MAX_PROBLEMS {
            self.untold_problems += 1;
            return;
        }
        let EntityFinding {
            span,
            message,
            help,
        } = finding;
        let label = self.sources.label(file);
        let problem = SourceDiagnostic::at_span(&label, text, span, message);
        self.problems.push(match help {
            Some(help) => problem.with_help(help),
            None => problem,
        });
    }

    /// Reads one file; `false` if there are too many entities to go on.
    fn parse_file(&mut self, file: NamedText<'a>, core_schema: &CoreSchema<'_>) -> bool {
        let text = file.1;
        // Refuses what is there twice.
        if let Err(error) = serde_json::from_str::<StrictValue>(text) {
            let span = error_span(&error, text);
            let message = message_without_position(&error);
            let finding = EntityFinding::new(span, message.clone());
            // A surrogate without its other half (RFC 8259 section 8.2).
            let is_half = message.contains("hex escape") || message.contains("surrogate");
            let help = "write the character itself, or both halves of it: \\ud83c\\udf0a";
            self.report(
                file,
                if is_half {
                    finding.with_help(help)
                } else {
                    finding
                },
            );
            return true;
        }
        let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(text) else {
            let finding = EntityFinding::new(0..text.len().min(1), "a file of entities is a list");
            let help = "write [{\"uid\": {\"type\": ..., \"id\": ...}, \"attrs\": {...}}]";
            self.report(file, finding.with_help(help));
            return true;
        };
        let suggestions = Cell::new(self.suggestions);
        let reader = EntityReader {
            schema: self.schema,
            core_schema,
            text,
            suggestions: &suggestions,
        };
        for value in values {
            if self.entities.len() >= MAX_ENTITIES {
                let message = format!("the bundle has more than {MAX_ENTITIES} entities");
                self.report(file, EntityFinding::new(value_start(value, text), message));
                return false;
            }
            let (entity, findings) = reader.read(value);
            for finding in findings {
                self.report(file, finding);
            }
            if let Some(entity) = entity {
                self.add(file, entity);
            }
        }
        self.suggestions = suggestions.get();
        true
    }

    fn add(&mut self, file: NamedText<'a>, entity: WrittenEntity) {
        let name = &entity.name;
        let known = self.by_uid.get(&name.uid);
        if let Some((first_file, first)) = known.and_then(|first| self.entities.get(*first)) {
            let (label, text) = (self.sources.label(first_file.0), first_file.1);
            let line = line_at(text.as_ref(), first.name.span.start);
            let finding =
                EntityFinding::new(name.span.clone(), format!("{} is there twice", name.uid));
            self.report(
                file,
                finding.with_help(format!("it is also in {label}:{line}")),
            );
            return;
        }
        self.by_uid.insert(name.uid.clone(), self.entities.len());
        self.entities.push((file, entity));
    }

    /// Reports the parents of the author's own types that no file has.
    fn check_parents(&mut self) {
        let mut unknown = Vec::new();
        for (file, entity) in &self.entities {
            let parents = entity.parents.iter();
            let is_unknown = |parent: &&SpannedUid| {
                type_origin(self.schema, parent.uid.type_name()) == TypeOrigin::Author
                    && !self.by_uid.contains_key(&parent.uid)
            };
            unknown.extend(
                parents
                    .filter(is_unknown)
                    .map(|parent| (*file, parent.clone())),
            );
        }
        for (at, (file, parent)) in unknown.into_iter().enumerate() {
            let (kind, id) = (parent.uid.type_name(), parent.uid.id().unescaped());
            let known = self.by_uid.keys().filter(|uid| uid.type_name() == kind);
            let known = known.map(|uid| -> &str { uid.id().unescaped() });
            let similar = (at < MAX_SUGGESTIONS).then(|| closest(id, known)).flatten();
            let help = match similar {
                Some(similar) => format!("did you mean {similar:?}?"),
                None => "add it to a file of entities, without parents if it has none".to_owned(),
            };
            let finding = EntityFinding::new(parent.span, format!("there is no {}", parent.uid));
            self.report(file, finding.with_help(help));
        }
    }

    /// The numbers of all ancestors of each entity; those beyond the entities are of the catalog.
    fn ancestors(&mut self) -> Option<(Vec<Vec<usize>>, Vec<EntityUid>)> {
        let mut others: Vec<EntityUid> = Vec::new();
        let mut numbers = self.by_uid.clone();
        let mut parents = Vec::new();
        for (_, entity) in &self.entities {
            let mut of_entity = Vec::new();
            for parent in &entity.parents {
                let next = self.entities.len() + others.len();
                let number = *numbers.entry(parent.uid.clone()).or_insert_with(|| {
                    others.push(parent.uid.clone());
                    next
                });
                of_entity.push(number);
            }
            parents.push(of_entity);
        }
        match hierarchy::ancestors(&parents) {
            Ok(ancestors) => return Some((ancestors, others)),
            Err(HierarchyError::Cycles(cycles)) => {
                for cycle in cycles {
                    self.report_cycle(&cycle);
                }
            }
            Err(HierarchyError::TooManyAncestors(at)) => {
                if let Some((file, entity)) = self.entities.get(at) {
                    let message =
                        format!("the entities have more than {MAX_ANCESTORS} ancestors together");
                    let finding = EntityFinding::new(entity.name.span.clone(), message);
                    self.report(*file, finding.with_help("nest the groups less deep"));
                }
            }
        }
        None
    }

    fn report_cycle(&mut self, cycle: &[usize]) {
        let names = cycle.iter().filter_map(|at| self.entities.get(*at));
        let Some((file, first)) = names.clone().next() else {
            return;
        };
        let shown = names.clone().take(MAX_SHOWN_OF_CYCLE);
        let mut shown: Vec<String> = shown.map(|(_, it)| it.name.uid.to_string()).collect();
        if cycle.len() > MAX_SHOWN_OF_CYCLE {
            shown.push(format!("{} more", cycle.len() - MAX_SHOWN_OF_CYCLE));
        }
        shown.push(first.name.uid.to_string());
        let message = format!("{} is in itself: {}", first.name.uid, shown.join(" -> "));
        let finding = EntityFinding::new(first.name.span.clone(), message);
        self.report(*file, finding.with_help("remove one of the parents"));
    }

    fn finish(self, (ancestors, others): &(Vec<Vec<usize>>, Vec<EntityUid>)) -> ParsedEntities {
        let mut parsed = ParsedEntities::default();
        let uids: Vec<EntityUid> = self
            .entities
            .iter()
            .map(|(_, it)| it.name.uid.clone())
            .collect();
        let uids: Vec<&EntityUid> = uids.iter().chain(others).collect();
        for ((file, written), ancestors) in self.entities.into_iter().zip(ancestors) {
            let owner = &written.name.uid;
            let of_catalog = |uid: &SpannedUid| {
                type_origin(self.schema, uid.uid.type_name()) == TypeOrigin::Cedargate
            };
            let parents = written.parents.into_iter().filter(of_catalog);
            let is_elsewhere = |named: &SpannedUid| !self.by_uid.contains_key(&named.uid);
            let named = written
                .named
                .into_iter()
                .filter(is_elsewhere)
                .chain(parents);
            parsed.named.extend(named.map(|named| NamedByFile {
                uid: named.uid,
                file: file.0.to_owned(),
                span: named.span,
                owner: owner.clone(),
            }));
            let Some(mut entity) = written.entity else {
                continue;
            };
            for uid in ancestors.iter().filter_map(|at| uids.get(*at)) {
                let uid: &ast::EntityUID = uid.as_ref();
                entity.add_indirect_ancestor(uid.clone());
            }
            parsed.entities.push(Entity::from(entity));
        }
        parsed
    }
}
