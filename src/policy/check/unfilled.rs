//! Unfilled declarations: what an author adds to the schema and nothing ever fills in.
//!
//! The catalog fills attributes of `Dataset` and `User`, as far as it has values of their types. Attributes, parents and
//! contexts of the author's own types and actions come from the bundle's entities and from whoever asks. A policy that
//! asks for anything else is valid, and never applies.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityTypeName, Schema};
use cedar_policy_core::ast::EntityType;
use cedar_policy_core::validator::ValidatorSchema;
use cedar_policy_core::validator::types::Type;

use strum::VariantNames;

use crate::domain::action::Action;
use crate::domain::attributes::AttributeOwner;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::address::NETWORKS;
use crate::policy::bundle::{Bundle, parse_schema};
use crate::policy::schema_names::{TypeOrigin, type_origin};
use crate::policy::sources::{SCHEMA_FILE, SourceFiles};

const HELP_ENTITY: &str = "declare it as an attribute of Dataset or User, which the catalog fills";
const HELP_CONTEXT: &str = "Cedargate fills the context of its own actions in itself; what is to be compared can be an \
    attribute of Dataset or User, or belong to the context of an action of your own";
const HELP_MEMBER: &str =
    "users are members of roles alone: use roles, or an attribute of Dataset or User";
const HELP_TYPE: &str = "give it another type, or remove it";
const HELP_REQUIRED: &str =
    "declare it as optional with \"?\" after its name, unless all users are users of this catalog";

/// A warning for each declaration that nothing fills.
pub(super) fn warnings(bundle: &Bundle) -> Vec<SourceDiagnostic> {
    let shipped = SourceFiles::embedded(|name| name == SCHEMA_FILE).ok();
    let shipped = shipped.and_then(|sources| parse_schema(&sources, &mut Vec::new()).ok());
    let Some(shipped) = shipped else {
        return Vec::new();
    };
    let mut found = attributes_without_values(bundle);
    found.extend(attributes_of_others(&bundle.schema));
    found.extend(context_attributes(&bundle.schema, &shipped));
    found.extend(memberships(&bundle.schema, &shipped));
    found
        .into_iter()
        .map(|found| found.into_diagnostic(bundle))
        .collect()
}

struct Unfilled {
    /// The name to look for in the schema.
    name: String,
    message: String,
    help: &'static str,
}

impl Unfilled {
    fn into_diagnostic(self, bundle: &Bundle) -> SourceDiagnostic {
        let label = bundle.sources.label(SCHEMA_FILE);
        let text = bundle.sources.text(SCHEMA_FILE);
        let quoted = format!("\"{}\"", self.name);
        let place = text.and_then(|text| {
            let names = [quoted.as_str(), self.name.as_str()];
            let (at, name) = names
                .into_iter()
                .find_map(|name| Some((only_place(text, name)?, name)))?;
            Some((text, at..at + name.len()))
        });
        match place {
            Some((text, span)) => SourceDiagnostic::at_span(&label, text, span, self.message),
            None => SourceDiagnostic::for_file(&label, self.message),
        }
        .with_help(self.help)
        .into_warning()
    }
}

/// Where a name is in a text, if it is there once.
fn only_place(text: &str, name: &str) -> Option<usize> {
    let mut places = text.match_indices(name).map(|(at, _)| at);
    places.next().filter(|_| places.next().is_none())
}

/// Attributes of datasets and users whose type has no values in the catalog, and those that federated users lack.
fn attributes_without_values(bundle: &Bundle) -> Vec<Unfilled> {
    let declared = bundle.declared_attributes();
    let unfillable = AttributeOwner::ALL.into_iter().flat_map(|owner| {
        let unfillable = declared.unfillable(owner);
        unfillable.map(move |(name, cedar, _)| Unfilled {
            name: name.to_owned(),
            message: format!(
                "nothing fills the attribute `{name}` of {owner}: the catalog has no values of the type {cedar}"
            ),
            help: HELP_TYPE,
        })
    });
    let required = declared.required(AttributeOwner::User).map(|name| Unfilled {
        name: name.to_owned(),
        message: format!(
            "the attribute `{name}` of User is required: users of identity providers are created without it, and \
             denied everything until an administrator gives it to them"
        ),
        help: HELP_REQUIRED,
    });
    unfillable.chain(required).collect()
}

/// Attributes of other entity types that Cedargate fills.
fn attributes_of_others(schema: &Schema) -> Vec<Unfilled> {
    let filled = AttributeOwner::ALL.map(AttributeOwner::type_name);
    let mut found = BTreeSet::new();
    for entity in AsRef::<ValidatorSchema>::as_ref(schema).entity_types() {
        let type_name = entity.name().to_string();
        let is_of_author = is_of_author(schema, entity.name());
        if !is_of_author && !filled.contains(&type_name.as_str()) {
            let names = entity.attributes().keys();
            found.extend(names.map(|name| (type_name.clone(), name.to_string())));
        }
    }
    let of_others = found.into_iter().map(|(type_name, name)| Unfilled {
        message: format!("nothing fills the attribute `{name}` of {type_name}"),
        name,
        help: HELP_ENTITY,
    });
    of_others.collect()
}

/// Whether a type is one of the author's own, which files of entities and whoever asks fill.
fn is_of_author(schema: &Schema, kind: &EntityType) -> bool {
    type_origin(schema, &EntityTypeName::from(kind.clone())) == TypeOrigin::Author
}

/// Members of the contexts of Cedargate's own actions that it does not know.
fn context_attributes(schema: &Schema, shipped: &Schema) -> Vec<Unfilled> {
    let mut known = context_names(shipped);
    // The file of networks declares it, not the schema.
    known.insert(NETWORKS.to_owned());
    let own = context_names(schema);
    let unknown = own.difference(&known).map(|name| Unfilled {
        name: name.clone(),
        message: format!("nothing fills `{name}` of the context"),
        help: HELP_CONTEXT,
    });
    unknown.collect()
}

fn context_names(schema: &Schema) -> BTreeSet<String> {
    let schema: &ValidatorSchema = schema.as_ref();
    let of_cedargate = schema.actions().filter(|action| {
        let id: &str = action.eid().as_ref();
        action.entity_type().to_string() == "Action" && Action::VARIANTS.contains(&id)
    });
    let contexts = of_cedargate.filter_map(|action| schema.context_type(action));
    let names = contexts.filter_map(|context| match context {
        Type::Record { attrs, .. } => Some(attrs.keys().map(ToString::to_string)),
        _ => None,
    });
    names.flatten().collect()
}

/// Entity types that nothing is a member of, although the schema says that something can be.
fn memberships(schema: &Schema, shipped: &Schema) -> Vec<Unfilled> {
    let known = members(shipped);
    let own = members(schema);
    let types = AsRef::<ValidatorSchema>::as_ref(schema).entity_types();
    let of_author = types.filter(|entity| is_of_author(schema, entity.name()));
    let of_author: BTreeSet<String> = of_author.map(|entity| entity.name().to_string()).collect();
    let mut found = Vec::new();
    for (group, members) in own {
        let known = known.get(&group);
        for member in members {
            // Files of entities say what those of the author are in.
            let is_of_author = of_author.contains(&member);
            if !is_of_author && known.is_none_or(|known| !known.contains(&member)) {
                found.push(Unfilled {
                    message: format!("nothing makes a {member} a member of a {group}"),
                    name: group.clone(),
                    help: HELP_MEMBER,
                });
            }
        }
    }
    found
}

/// The types of the members of each entity type that has any.
fn members(schema: &Schema) -> BTreeMap<String, BTreeSet<String>> {
    let schema: &ValidatorSchema = schema.as_ref();
    let groups = schema.entity_types().map(|group| {
        let members = group.descendants.iter().map(ToString::to_string);
        (group.name().to_string(), members.collect())
    });
    groups.collect()
}
