//! Names of entities of the author's own types that no file of entities has: in policies, links and files of entities.
//!
//! A misspelt group permits or forbids nothing, and nobody sees it. Types without an entity in any file are left out:
//! theirs are those of whoever asks.

use std::ops::Range;

use cedar_policy::{EntityUid, Template};
use cedar_policy_core::ast::{self, ExprKind, Literal};
use cedar_policy_core::parser::Loc;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::suggest::did_you_mean;
use crate::policy::bundle::Bundle;
use crate::policy::links;
use crate::policy::schema_names::{TypeOrigin, type_origin};

/// For how many names it is looked up what was meant: each look-up looks at all ids of the type.
const MAX_SUGGESTIONS: usize = 50;
const HELP: &str = "add it to a file of entities, unless whoever asks brings it";

/// A name, who names it and where.
struct NamedEntity {
    uid: EntityUid,
    owner: String,
    file: String,
    span: Range<usize>,
}

/// A warning for each place that names an unknown entity.
pub(super) fn warnings(bundle: &Bundle) -> Vec<SourceDiagnostic> {
    let entities = bundle.entities();
    if entities.is_empty() {
        return Vec::new();
    }
    let mut named = in_policies(bundle);
    named.extend(in_links(bundle));
    named.extend(entities.named_elsewhere().iter().map(|named| NamedEntity {
        uid: named.uid.clone(),
        owner: format!("the entity {}", named.owner),
        file: named.file.clone(),
        span: named.span.clone(),
    }));
    let is_unknown = |named: &NamedEntity| {
        let kind = named.uid.type_name();
        type_origin(&bundle.schema, kind) == TypeOrigin::Author
            && !entities.of_type(kind).is_empty()
            && entities.get(&named.uid).is_none()
    };
    let unknown = named.into_iter().filter(is_unknown).enumerate();
    let warnings = unknown.map(|(at, named)| {
        let known = entities.of_type(named.uid.type_name()).iter();
        let known = known.map(|uid| -> &str { uid.id().unescaped() });
        let similar =
            (at < MAX_SUGGESTIONS).then(|| did_you_mean(named.uid.id().unescaped(), known));
        let help = similar.flatten().unwrap_or_else(|| HELP.to_owned());
        let label = bundle.sources.label(&named.file);
        let message = format!("in {}, no file of entities has {}", named.owner, named.uid);
        let warning = match bundle.sources.text(&named.file) {
            Some(text) => SourceDiagnostic::at_span(&label, text, named.span, message),
            None => SourceDiagnostic::for_file(&label, message),
        };
        warning.with_help(help).into_warning()
    });
    warnings.collect()
}

fn in_policies(bundle: &Bundle) -> Vec<NamedEntity> {
    let set = &bundle.policies.set;
    let policies = set.policies().filter(|policy| policy.is_static());
    let policies = policies.map(|policy| (policy.id(), policy.as_ref().template()));
    let templates = set.templates().map(|of| (of.id(), Template::as_ref(of)));
    let mut named = Vec::new();
    for (id, policy) in policies.chain(templates) {
        let id: &str = id.as_ref();
        let info = bundle.policies.info.get(id);
        let info = info.or_else(|| bundle.policies.templates.get(id));
        let file = info.map_or("", |info| info.file.as_str());
        let mut add = |uid: &ast::EntityUID, location: Option<&Loc>| {
            let location = location.or(policy.loc());
            named.push(NamedEntity {
                uid: EntityUid::from(uid.clone()),
                owner: format!("policy `{id}`"),
                file: file.to_owned(),
                span: location.map_or(0..0, |location| location.start()..location.end()),
            });
        };
        let principal = policy.principal_constraint().as_inner().get_euid();
        let resource = policy.resource_constraint().as_inner().get_euid();
        for uid in principal.into_iter().chain(resource) {
            add(uid, uid.loc());
        }
        let conditions = policy.non_scope_constraints().into_iter();
        for part in conditions.flat_map(ast::Expr::subexpressions) {
            if let ExprKind::Lit(Literal::EntityUID(uid)) = part.expr_kind() {
                add(uid, part.source_loc().or(uid.loc()));
            }
        }
    }
    named
}

fn in_links(bundle: &Bundle) -> Vec<NamedEntity> {
    let mut named = Vec::new();
    for (name, text) in bundle.sources.links() {
        let (links, _) = links::parse(&bundle.sources.label(name), text);
        for link in links {
            named.extend(link.values.into_iter().map(|value| NamedEntity {
                uid: value.entity,
                owner: format!("link `{}`", link.name.text),
                file: name.to_owned(),
                span: value.span,
            }));
        }
    }
    named
}
