//! Short cases: they name the principal and the resource of a base situation, and say only what differs from it.
//!
//! A short case becomes the same case in full, which is then parsed as any other.

use std::collections::BTreeMap;
use std::ops::Range;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};
use cedar_policy_core::ast::EntityType;
use cedar_policy_core::validator::ValidatorEntityTypeKind;
use cedar_policy_core::validator::types::{Attributes, Type};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::domain::client_address::UNKNOWN;
use crate::domain::strict_json::StrictValue;
use crate::domain::suggest::did_you_mean;

use super::json_span::{error_span, message_without_position, value_span};
use super::situation::{SITUATION_FILE, Situation, UnknownName};
use super::typed_json::expand_members;

/// The members of a short case.
const MEMBERS: [&str; 9] = [
    "name",
    "principal",
    "action",
    "resource",
    "context",
    "with",
    "decision",
    "reason",
    "num_errors",
];
const DECISIONS: [&str; 2] = ["allow", "deny"];
/// The address and time of a case that says nothing of them: of the range for documentation (RFC 5737).
const DEFAULT_ADDRESS: &str = "192.0.2.1";
const DEFAULT_TIME: &str = "2026-01-01T12:00:00Z";

/// What is wrong with a short case, and where in the text that it was parsed from.
#[derive(Debug)]
pub(super) struct ShortCaseError {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Whether the JSON of a case is a short one: it names a principal and has no request.
pub(super) fn is_short(json: &str) -> bool {
    let members: Members<'_> = serde_json::from_str(json).unwrap_or_default();
    let has = |name: &str| members.contains_key(name);
    !has("request") && (has("principal") || has("resource") || has("with"))
}

/// Whether a case file has a short case.
pub(super) fn has_short_case(text: &str) -> bool {
    let cases: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    cases.iter().any(|case| is_short(case.get()))
}

/// Makes the case in full of a short one.
pub(super) struct ShortCaseParser<'a> {
    pub(super) schema: &'a Schema,
    /// `None` if there is none for the file.
    pub(super) situation: Option<&'a Situation>,
    /// The text of the whole file, which the case borrows from.
    pub(super) text: &'a str,
}

impl ShortCaseParser<'_> {
    /// The case in full, as JSON.
    pub(super) fn expand(&self, json: &str) -> Result<Value, ShortCaseError> {
        // The case was found as one value, so only members that are there twice can be refused here.
        let whole: &RawValue =
            serde_json::from_str(json).map_err(|error| self.start(json, &error))?;
        serde_json::from_str::<StrictValue>(json).map_err(|error| self.start(json, &error))?;
        let members: Members<'_> =
            serde_json::from_str(json).map_err(|error| self.start(json, &error))?;
        for (name, value) in &members {
            if !MEMBERS.contains(&name.as_str()) {
                let help = did_you_mean(name, MEMBERS);
                let help = help.unwrap_or_else(|| format!("it has {}", MEMBERS.join(", ")));
                return Err(self.error(value, format!("a short case has no `{name}`"), Some(help)));
            }
        }
        let member = |name: &str| {
            members.get(name).copied().ok_or_else(|| {
                let help = "a short case names `principal`, `action`, `resource` and `decision`";
                self.error(
                    whole,
                    format!("missing field `{name}`"),
                    Some(help.to_owned()),
                )
            })
        };
        let mut situation = self.situation.cloned().unwrap_or_default();
        let action = self.action(member("action")?)?;
        let principal = self.named(&situation, member("principal")?, &action, true)?;
        let resource = self.named(&situation, member("resource")?, &action, false)?;
        if let Some(with) = members.get("with") {
            self.change(&mut situation, with)?;
        }
        let context = self.context(
            &situation,
            (whole, members.get("context").copied()),
            &principal,
            &action,
        )?;
        let entities: Vec<&Value> = situation.entities.iter().map(|it| &it.json).collect();
        let mut case = json!({
            "request": {
                "principal": principal.to_string(),
                "action": action.to_string(),
                "resource": resource.to_string(),
                "context": context,
            },
            "entities": entities,
            "reason": [],
            "num_errors": 0,
        });
        self.check_decision(member("decision")?)?;
        if let Some(case) = case.as_object_mut() {
            for name in ["name", "decision", "reason", "num_errors"] {
                if let Some(value) = members.get(name) {
                    case.insert(name.to_owned(), parsed(value));
                }
            }
        }
        Ok(case)
    }

    fn check_decision(&self, value: &RawValue) -> Result<(), ShortCaseError> {
        let word = self.word(value)?;
        if DECISIONS.contains(&word.as_str()) {
            return Ok(());
        }
        let help = did_you_mean(&word, DECISIONS);
        let help = help.unwrap_or_else(|| "write `allow` or `deny`".to_owned());
        Err(self.error(value, format!("there is no decision {word:?}"), Some(help)))
    }

    /// The id of the entity of a type that a word means; of an enumeration, only a member of it.
    pub(super) fn find_id(
        &self,
        situation: &Situation,
        of: &EntityType,
        word: &str,
    ) -> Result<String, String> {
        let id = situation.find_id(of, word)?;
        let declared = self.schema.as_ref().get_entity_type(of);
        if let Some(ValidatorEntityTypeKind::Enum(members)) = declared.map(|it| &it.kind) {
            let members: Vec<&str> = members.iter().map(AsRef::as_ref).collect();
            if !members.contains(&id.as_str()) {
                let help = did_you_mean(&id, members.iter().copied());
                let help = help.unwrap_or_else(|| format!("it has {}", members.join(", ")));
                return Err(format!("{of} has no {id:?}; {help}"));
            }
        }
        Ok(id)
    }

    /// The action of a word, such as `read`, or of a Cedar name.
    fn action(&self, value: &RawValue) -> Result<EntityUid, ShortCaseError> {
        let word = self.word(value)?;
        let known: Vec<EntityUid> = self.schema.actions().cloned().collect();
        let is_meant = |uid: &&EntityUid| uid.id().unescaped() == word || uid.to_string() == word;
        let found = known.iter().find(is_meant).cloned();
        found.ok_or_else(|| {
            let mut names: Vec<&str> = known.iter().map(|uid| uid.id().unescaped()).collect();
            names.sort_unstable();
            let help = did_you_mean(&word, names.iter().copied());
            let help = help.unwrap_or_else(|| format!("the schema has {}", names.join(", ")));
            self.error(
                value,
                format!("the schema has no action {word:?}"),
                Some(help),
            )
        })
    }

    /// The principal or the resource.
    fn named(
        &self,
        situation: &Situation,
        value: &RawValue,
        action: &EntityUid,
        is_principal: bool,
    ) -> Result<EntityUid, ShortCaseError> {
        let word = self.word(value)?;
        let declared = self.schema.as_ref().get_action_id(action.as_ref());
        let is_wanted = |of: &EntityType| {
            declared.is_none_or(|declared| {
                if is_principal {
                    declared.is_applicable_principal_type(of)
                } else {
                    declared.is_applicable_resource_type(of)
                }
            })
        };
        let found = match situation.find(&word, &is_wanted) {
            Ok(found) => return Ok(found.uid.clone()),
            Err(unknown) => unknown,
        };
        // An enumeration, such as the anonymous principal or the server, has no data.
        let known = self.enumerated(&is_wanted);
        let is_meant = |uid: &&EntityUid| uid.id().unescaped() == word || uid.to_string() == word;
        if let Some(uid) = known.iter().find(is_meant) {
            return Ok(uid.clone());
        }
        Err(self.unknown(value, found))
    }

    /// The members of the enumerations among some types.
    fn enumerated(&self, is_wanted: &dyn Fn(&EntityType) -> bool) -> Vec<EntityUid> {
        let types = self.schema.as_ref().entity_types();
        let uids = types
            .filter(|declared| is_wanted(declared.name()))
            .flat_map(|declared| {
                let members = match &declared.kind {
                    ValidatorEntityTypeKind::Enum(members) => members.iter().collect(),
                    _ => Vec::new(),
                };
                members.into_iter().map(|member| {
                    let kind = EntityTypeName::from(declared.name().clone());
                    EntityUid::from_type_name_and_id(kind, EntityId::new(member))
                })
            });
        uids.collect()
    }

    /// The context of the situation, with what the case says; without either, what is usual for the principal.
    fn context(
        &self,
        situation: &Situation,
        (whole, differing): (&RawValue, Option<&RawValue>),
        principal: &EntityUid,
        action: &EntityUid,
    ) -> Result<Value, ShortCaseError> {
        let entity = situation.entities.iter().find(|it| it.uid == *principal);
        let has_issuer = entity.is_some_and(|it| it.json.pointer("/attrs/issuer").is_some());
        let authentication = match (entity, has_issuer) {
            (None, _) => "none",
            (Some(_), true) => "issuer",
            (Some(_), false) => "password",
        };
        let declared = self.schema.as_ref().get_action_id(action.as_ref());
        let attributes = match declared.and_then(|declared| declared.context_type()) {
            Some(Type::Record { attrs, .. }) => Some(attrs),
            _ => None,
        };
        let mut context = Map::new();
        for (name, word) in [
            ("address", DEFAULT_ADDRESS),
            ("time", DEFAULT_TIME),
            ("authentication", authentication),
        ] {
            if attributes.is_none_or(|attributes| attributes.get_attr(name).is_some()) {
                context.insert(name.to_owned(), json!(word));
            }
        }
        // How somebody authenticates who is not signed in, no situation can say for the others.
        let base = situation
            .context
            .iter()
            .filter(|(name, _)| entity.is_some() || name.as_str() != "authentication");
        context.extend(base.map(|(name, value)| (name.clone(), value.clone())));
        let differing = differing
            .map(|differing| self.members(differing))
            .transpose()?;
        for (name, raw) in differing.unwrap_or_default() {
            if let Some(attributes) = attributes
                && attributes.get_attr(&name).is_none()
            {
                let known = attributes.iter().map(|(name, _)| name.as_str());
                let known: Vec<&str> = known.collect();
                let help = did_you_mean(&name, known.iter().copied());
                let help = help.unwrap_or_else(|| format!("it has {}", known.join(", ")));
                return Err(self.error(raw, format!("the context has no `{name}`"), Some(help)));
            }
            match parsed(raw) {
                Value::Null => context.remove(&name),
                value => context.insert(name, value),
            };
        }
        let typed = self.typed_context(context, attributes, situation);
        typed.map_err(|message| self.error(whole, format!("context: {message}"), None))
    }

    /// The context in Cedar's JSON.
    fn typed_context(
        &self,
        context: Map<String, Value>,
        attributes: Option<&Attributes>,
        situation: &Situation,
    ) -> Result<Value, String> {
        let find = |of: &EntityType, word: &str| self.find_id(situation, of, word);
        // The word for an unknown address is not one that Cedar knows.
        let (unknown, known): (Map<_, _>, Map<_, _>) = context
            .into_iter()
            .partition(|(_, value)| value.as_str() == Some(UNKNOWN));
        let mut context = match attributes {
            Some(attributes) => expand_members(known, attributes, &find)?,
            None => known,
        };
        context.extend(unknown);
        Ok(Value::Object(context))
    }

    pub(super) fn members<'v>(
        &self,
        value: &'v RawValue,
    ) -> Result<BTreeMap<String, &'v RawValue>, ShortCaseError> {
        serde_json::from_str(value.get())
            .map_err(|_| self.error(value, "this is not an object".to_owned(), None))
    }

    fn word(&self, value: &RawValue) -> Result<String, ShortCaseError> {
        serde_json::from_str(value.get())
            .map_err(|_| self.error(value, "this is not a name in quotes".to_owned(), None))
    }

    pub(super) fn unknown(&self, value: &RawValue, unknown: UnknownName) -> ShortCaseError {
        let UnknownName { message, help } = unknown;
        if self.situation.is_some() {
            return self.error(value, message, Some(help));
        }
        let help = format!(
            "write a {SITUATION_FILE} with the users and datasets that short cases name, or the case in full"
        );
        let message = format!(
            "{} is a name, and there is no {SITUATION_FILE} beside the case file or above it",
            value.get()
        );
        self.error(value, message, Some(help))
    }

    fn start(&self, json: &str, error: &serde_json::Error) -> ShortCaseError {
        let inside = error_span(error, json);
        let start = (json.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        ShortCaseError {
            span: start + inside.start..start + inside.end,
            message: message_without_position(error),
            help: None,
        }
    }

    pub(super) fn error(
        &self,
        value: &RawValue,
        message: String,
        help: Option<String>,
    ) -> ShortCaseError {
        ShortCaseError {
            span: value_span(value, self.text),
            message,
            help,
        }
    }
}

/// The JSON of a value that was found in valid JSON.
pub(super) fn parsed(value: &RawValue) -> Value {
    serde_json::from_str(value.get()).unwrap_or_default()
}
