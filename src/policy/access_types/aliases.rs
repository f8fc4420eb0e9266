//! Aliases: the names that `@authzen("...")` gives to entity types and actions of a schema.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::SchemaFragment;
use serde_json::Value;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::suggest::closest;
use crate::policy::schema_text::{DeclarationKind, SchemaDeclaration, declarations};
use crate::policy::sources::{SCHEMA_FILE, SourceFiles};

/// The annotation of entity types and actions.
pub(in crate::policy) const AUTHZEN: &str = "authzen";
/// The longest name, in bytes.
const MAX_NAME_LENGTH: usize = 256;

/// The names of one declaration.
#[derive(Debug)]
pub(super) struct Alias {
    pub(super) kind: DeclarationKind,
    /// The namespace, empty for none.
    pub(super) namespace: String,
    /// The name without the namespace.
    pub(super) name: String,
    /// The AuthZEN names, without repetitions.
    pub(super) names: Vec<String>,
}

/// The text of a schema with the places of what it declares, for problems.
pub(super) struct SchemaPlaces<'a> {
    label: String,
    text: Option<&'a Arc<str>>,
    declarations: Vec<SchemaDeclaration>,
}

impl<'a> SchemaPlaces<'a> {
    pub(super) fn new(sources: &'a SourceFiles) -> Self {
        let text = sources.text(SCHEMA_FILE);
        Self {
            label: sources.label(SCHEMA_FILE),
            text,
            declarations: text.map(|text| declarations(text)).unwrap_or_default(),
        }
    }

    /// A problem at the `@authzen` of a declaration, or at its name if it has none.
    pub(super) fn problem(
        &self,
        (kind, namespace, name): (DeclarationKind, &str, &str),
        message: impl Into<String>,
    ) -> SourceDiagnostic {
        let mut declarations = self.declarations.iter();
        let found = declarations
            .find(|one| one.kind == kind && one.namespace == namespace && one.name == name);
        self.at(found.map(|found| found.annotation_span(AUTHZEN)), message)
    }

    fn at(&self, span: Option<Range<usize>>, message: impl Into<String>) -> SourceDiagnostic {
        match (self.text, span) {
            (Some(text), Some(span)) => SourceDiagnostic::at_span(&self.label, text, span, message),
            _ => SourceDiagnostic::for_file(&self.label, message),
        }
    }

    /// A warning for each annotation that is nearly `@authzen`.
    pub(super) fn misspelt(&self) -> Vec<SourceDiagnostic> {
        let annotations = self.declarations.iter().flat_map(|one| &one.annotations);
        let mut found: Vec<SourceDiagnostic> = annotations
            .filter(|(name, _)| name != AUTHZEN)
            .filter(|(name, _)| closest(&name.to_lowercase(), [AUTHZEN]).is_some())
            .map(|(name, span)| {
                let message = format!("Cedargate does not use the annotation @{name}");
                self.at(Some(span.clone()), message)
                    .with_help(format!("did you mean @{AUTHZEN}?"))
                    .into_warning()
            })
            .collect();
        // Several names of one declaration share their annotations.
        found.dedup_by_key(|problem| problem.sort_key());
        found
    }
}

/// The aliases that a schema declares, with all problems of their form.
///
/// They are read from the text of the author, not from the schema that the named networks were added to.
pub(super) fn aliases(
    sources: &SourceFiles,
    places: &SchemaPlaces<'_>,
) -> Result<Vec<Alias>, Vec<SourceDiagnostic>> {
    let text = sources.text(SCHEMA_FILE);
    let fragment = text.and_then(|text| SchemaFragment::from_cedarschema_str(text).ok());
    let json = fragment.and_then(|(fragment, _)| fragment.to_json_value().ok());
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (namespace, declared) in json
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        for (member, kind) in [
            ("entityTypes", DeclarationKind::Entity),
            ("actions", DeclarationKind::Action),
        ] {
            let all = declared.get(member).and_then(Value::as_object);
            for (name, declaration) in all.into_iter().flatten() {
                let annotations = declaration.get("annotations");
                let Some(value) = annotations.and_then(|all| all.get(AUTHZEN)) else {
                    continue;
                };
                // Cedar has no value for an annotation that is written without one.
                let value = value.as_str().unwrap_or_default();
                let key = (kind, namespace.as_str(), name.as_str());
                match parse_names(value) {
                    Ok(names) => found.push(Alias {
                        kind,
                        namespace: namespace.clone(),
                        name: name.clone(),
                        names,
                    }),
                    Err(message) => {
                        let help = "write @authzen(\"user\"), or several as \"user, identity\"";
                        problems.push(places.problem(key, message).with_help(help));
                    }
                }
            }
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

fn parse_names(value: &str) -> Result<Vec<String>, String> {
    let mut names = BTreeMap::new();
    for (at, name) in value.split(',').map(str::trim).enumerate() {
        if name.is_empty() {
            return Err("@authzen has an empty name".to_owned());
        }
        if name.len() > MAX_NAME_LENGTH {
            return Err(format!(
                "@authzen has a name of more than {MAX_NAME_LENGTH} bytes"
            ));
        }
        if name.chars().any(char::is_control) {
            return Err("@authzen has a name with a control character".to_owned());
        }
        if names.insert(name.to_owned(), at).is_some() {
            return Err(format!("@authzen has the name {name:?} twice"));
        }
    }
    let mut names: Vec<(String, usize)> = names.into_iter().collect();
    names.sort_by_key(|(_, at)| *at);
    Ok(names.into_iter().map(|(name, _)| name).collect())
}
