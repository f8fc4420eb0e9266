//! Reading an attribute: from the JSON of the catalog to a value of its type.
//!
//! The JSON is what one would write: `"2027-01-01"` for a datetime, `3` for a Long, a list for a set, an object
//! for a record, and the id of an entity as text. One value has one form in the catalog, so that equal
//! attributes are equal JSON: times are in UTC, and a list for a set is in order, without repetitions.
//! What a question of another service says ([`ReadRules::Foreign`]) may have more than the schema declares.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use cedar_policy::{Entity, EntityTypeName, EntityUid, RestrictedExpression};
use serde_json::{Map, Value};

use crate::domain::attributes::{MAX_ATTRIBUTE_MEMBERS, MAX_ATTRIBUTE_TEXT_LENGTH};
use crate::domain::id::DatasetId;
use crate::domain::name::RoleName;
use crate::domain::rfc3339;
use crate::domain::suggest::did_you_mean;

use super::error::AttributeError;
use super::value_type::{DeclaredAttribute, IdForm, ValueType, entity_uid};

/// The attribute whose value Cedar evaluates to find out whether it is one of its type.
const PROBE: &str = "value";

/// A value in both of its forms.
pub(in crate::policy) struct ReadValue {
    /// The JSON of the catalog.
    pub(in crate::policy) json: Value,
    /// What policies see.
    pub(in crate::policy) expression: RestrictedExpression,
}

/// Whose values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum ReadRules {
    /// Those of the catalog: everything that the type does not have is an error.
    Catalog,
    /// Those of another service: members of a record that the type does not have are ignored, a member that is null is
    /// absent, texts may have line breaks and tabs, times may lack their seconds, and users are named by their UUID
    /// alone.
    Foreign,
}

impl ReadRules {
    /// Whether there is nothing to read.
    fn is_absent(self, value: &Value) -> bool {
        self == Self::Foreign && value.is_null()
    }

    fn allows(self, letter: char) -> bool {
        let is_layout = matches!(letter, '\n' | '\r' | '\t');
        !letter.is_control() || (self == Self::Foreign && is_layout)
    }
}

impl ValueType {
    /// The value that JSON stands for.
    pub(in crate::policy) fn read(
        &self,
        value: &Value,
        rules: ReadRules,
    ) -> Result<ReadValue, AttributeError> {
        let expected = || AttributeError::expected(&self.expectation(), value);
        match self {
            Self::String => {
                let text = checked_text(value.as_str().ok_or_else(expected)?, rules)?;
                Ok(ReadValue {
                    json: text.into(),
                    expression: RestrictedExpression::new_string(text.to_owned()),
                })
            }
            Self::Long => {
                let number = value.as_i64().ok_or_else(expected)?;
                Ok(ReadValue {
                    json: number.into(),
                    expression: RestrictedExpression::new_long(number),
                })
            }
            Self::Bool => {
                let value = value.as_bool().ok_or_else(expected)?;
                Ok(ReadValue {
                    json: value.into(),
                    expression: RestrictedExpression::new_bool(value),
                })
            }
            Self::Datetime => {
                let text = value.as_str();
                let read = self.read_extension(text.and_then(|text| canonical_time(text, rules)));
                read.ok_or_else(|| match text.filter(|text| lacks_time_zone(text, rules)) {
                    Some(text) => expected().with_help(format!(
                        "say the time zone: \"{text}Z\" is UTC, \"{text}+01:00\" one hour ahead"
                    )),
                    None => expected(),
                })
            }
            Self::Decimal => self
                .read_extension(decimal_text(value))
                .ok_or_else(expected),
            Self::IpAddress | Self::Duration => self
                .read_extension(value.as_str().map(str::to_owned))
                .ok_or_else(expected),
            Self::Enumerated(type_name, members) => {
                let id = value.as_str().ok_or_else(expected)?;
                if members.iter().any(|member| member == id) {
                    return Ok(read_entity(type_name, id));
                }
                let help = did_you_mean(id, members.iter().map(String::as_str));
                Err(match help {
                    Some(help) => expected().with_help(help),
                    None => expected(),
                })
            }
            Self::Entity(type_name, form) => {
                let text = checked_text(value.as_str().ok_or_else(expected)?, rules)?;
                if let (ReadRules::Foreign, Some(meant)) = (rules, id_in_cedar(type_name, text)) {
                    let error =
                        AttributeError::expected(&format!("the id of a {type_name}"), value);
                    return Err(error.with_help(format!("did you mean {meant:?}?")));
                }
                match (form.canonical_id(text), rules) {
                    (Some(id), _) => Ok(read_entity(type_name, &id)),
                    (None, ReadRules::Catalog) => Err(form
                        .hint()
                        .map_or_else(expected, |hint| expected().with_help(hint))),
                    (None, ReadRules::Foreign) => {
                        let expectation = format!("the id of a {type_name}");
                        Err(AttributeError::expected(&expectation, value))
                    }
                }
            }
            Self::Set(element) => {
                let values = value.as_array().ok_or_else(expected)?;
                read_set(element, values, rules)
            }
            Self::Record(members) => {
                let values = value.as_object().ok_or_else(expected)?;
                read_record(members, values, rules)
            }
            Self::Unfillable(_) => Err(expected()),
        }
    }

    /// A value of an extension type, if Cedar can parse the text.
    fn read_extension(&self, text: Option<String>) -> Option<ReadValue> {
        let text = text.filter(|text| text.len() <= MAX_ATTRIBUTE_TEXT_LENGTH)?;
        let expression = match self {
            Self::Datetime => RestrictedExpression::new_datetime(&text),
            Self::Decimal => RestrictedExpression::new_decimal(&text),
            Self::IpAddress => RestrictedExpression::new_ip(&text),
            Self::Duration => RestrictedExpression::new_duration(&text),
            _ => return None,
        };
        let uid = entity_uid(&"Probe".parse().ok()?, "");
        let attributes = [(PROBE.to_owned(), expression.clone())].into();
        Entity::new(uid, attributes, std::collections::HashSet::new()).ok()?;
        Some(ReadValue {
            json: text.into(),
            expression,
        })
    }
}

impl IdForm {
    /// Where to find ids.
    fn hint(self) -> Option<&'static str> {
        match self {
            Self::User => Some("there is no such user; cedargate user list shows all"),
            Self::Dataset => Some("cedargate dataset list shows the ids"),
            Self::RoleName | Self::Text => None,
        }
    }

    /// The id as policies write it; none if no entity of the type can have it.
    fn canonical_id(self, text: &str) -> Option<String> {
        match self {
            Self::User | Self::Dataset => {
                // Both are UUIDs.
                let id: DatasetId = text.parse().ok()?;
                Some(id.to_string())
            }
            Self::RoleName => {
                let name: RoleName = text.parse().ok()?;
                Some(name.to_string())
            }
            Self::Text => (!text.is_empty()).then(|| text.to_owned()),
        }
    }
}

/// The id in a text that names an entity of the type as Cedar does: nobody has such an id, and it would not be meant.
fn id_in_cedar(type_name: &EntityTypeName, text: &str) -> Option<String> {
    let uid: EntityUid = text.contains("::").then(|| text.parse().ok()).flatten()?;
    (uid.type_name() == type_name).then(|| uid.id().unescaped().to_owned())
}

fn read_entity(type_name: &EntityTypeName, id: &str) -> ReadValue {
    ReadValue {
        json: id.into(),
        expression: RestrictedExpression::new_entity_uid(entity_uid(type_name, id)),
    }
}

fn checked_text(text: &str, rules: ReadRules) -> Result<&str, AttributeError> {
    let length = text.chars().count();
    if length > MAX_ATTRIBUTE_TEXT_LENGTH {
        return Err(AttributeError::new(format!(
            "a text has at most {MAX_ATTRIBUTE_TEXT_LENGTH} characters; this one has {length}"
        )));
    }
    if !text.chars().all(|letter| rules.allows(letter)) {
        let message = match rules {
            ReadRules::Catalog => "a text has no control characters, line breaks among them",
            ReadRules::Foreign => "a text has no control characters but line breaks and tabs",
        };
        return Err(AttributeError::new(message));
    }
    Ok(text)
}

fn read_set(
    element: &ValueType,
    values: &[Value],
    rules: ReadRules,
) -> Result<ReadValue, AttributeError> {
    if values.len() > MAX_ATTRIBUTE_MEMBERS {
        return Err(AttributeError::new(format!(
            "a list has at most {MAX_ATTRIBUTE_MEMBERS} members; this one has {}",
            values.len()
        )));
    }
    let mut members = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        let member = element.read(value, rules);
        members.push(member.map_err(|error| error.within(&format!("[{at}]")))?);
    }
    members.sort_by(|one, other| order(&one.json, &other.json));
    members.dedup_by(|one, other| one.json == other.json);
    let (json, expressions): (Vec<_>, Vec<_>) = members
        .into_iter()
        .map(|member| (member.json, member.expression))
        .unzip();
    Ok(ReadValue {
        json: Value::Array(json),
        expression: RestrictedExpression::new_set(expressions),
    })
}

/// An order of values, so that equal sets are equal lists.
fn order(one: &Value, other: &Value) -> Ordering {
    match (one.as_i64(), other.as_i64(), one.as_str(), other.as_str()) {
        (Some(one), Some(other), ..) => one.cmp(&other),
        (.., Some(one), Some(other)) => one.cmp(other),
        _ => one.to_string().cmp(&other.to_string()),
    }
}

fn read_record(
    members: &BTreeMap<String, DeclaredAttribute>,
    values: &Map<String, Value>,
    rules: ReadRules,
) -> Result<ReadValue, AttributeError> {
    let at = |name: &str| format!(".{name}");
    if rules == ReadRules::Catalog
        && let Some(unknown) = values.keys().find(|name| !members.contains_key(*name))
    {
        let known = members.keys().map(String::as_str);
        let help = did_you_mean(unknown, known.clone())
            .unwrap_or_else(|| format!("it has {}", known.collect::<Vec<_>>().join(", ")));
        let error = AttributeError::new("the type in the schema has no such member");
        return Err(error.with_help(help).within(&at(unknown)));
    }
    let (mut json, mut expressions) = (Map::new(), Vec::new());
    for (name, member) in members {
        match values.get(name).filter(|value| !rules.is_absent(value)) {
            Some(value) => {
                let read = member.value_type.read(value, rules);
                let read = read.map_err(|error| error.within(&at(name)))?;
                json.insert(name.clone(), read.json);
                expressions.push((name.clone(), read.expression));
            }
            None if member.is_required => return Err(member.missing().within(&at(name))),
            None => {}
        }
    }
    let expression = RestrictedExpression::new_record(expressions)
        .map_err(|error| AttributeError::new(error.to_string()))?;
    Ok(ReadValue {
        json: Value::Object(json),
        expression,
    })
}

impl DeclaredAttribute {
    /// The error of a required value that is not there.
    pub(in crate::policy) fn missing(&self) -> AttributeError {
        let expectation = self.value_type.expectation();
        AttributeError::new(format!(
            "the schema requires it and there is none: give {expectation}"
        ))
    }
}

/// A time as Cedar parses it, in UTC to the millisecond; a date stays a date.
fn canonical_time(text: &str, rules: ReadRules) -> Option<String> {
    if text.len() == "2027-01-01".len() {
        return Some(text.to_owned());
    }
    // Cedar writes an offset without the colon that RFC 3339 asks for.
    let parse = match rules {
        ReadRules::Catalog => rfc3339::parse_millis,
        ReadRules::Foreign => rfc3339::parse_millis_or_minutes,
    };
    let millis = parse(text).or_else(|_| parse(&with_colon(text))).ok()?;
    let text = rfc3339::format_millis(millis);
    Some(text.replace(".000Z", "Z"))
}

/// Whether a text is a time of no time zone.
fn lacks_time_zone(text: &str, rules: ReadRules) -> bool {
    text.len() > "2027-01-01".len() && canonical_time(&format!("{text}Z"), rules).is_some()
}

/// `...+0100` as `...+01:00`.
fn with_colon(text: &str) -> String {
    match text
        .len()
        .checked_sub(2)
        .filter(|at| text.is_char_boundary(*at))
    {
        Some(at) => {
            let (time, minutes) = text.split_at(at);
            format!("{time}:{minutes}")
        }
        None => text.to_owned(),
    }
}

/// A decimal as Cedar parses it: numbers have a point there.
fn decimal_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => {
            let text = number.to_string();
            Some(if number.is_f64() {
                text
            } else {
                format!("{text}.0")
            })
        }
        _ => None,
    }
}
