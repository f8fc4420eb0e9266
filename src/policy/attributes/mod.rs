//! Attributes that the author's schema declares for `Dataset` and `User`: their types, and the values that the
//! catalog has for them.
//!
//! The rule is the same wherever a value is given (the admin API, a catalog file, the command line): the schema in
//! force says which attributes there are and of what type, a value that does not fit is refused where it is
//! given, and what Cedargate fills in itself has a member of its own. The catalog may still have other values,
//! because the schema changes after they were given:
//!
//! - an attribute that the schema does not declare any more is not shown to policies, which cannot name it,
//! - a value of another type than the schema's, or a required attribute without one, denies whatever is asked
//!   about that dataset or user: with half of its attributes a `forbid` could be got around.
//!
//! [`value_type`]: the types. [`reading`]: from JSON to a value. [`references`]: the users, datasets and roles in them.

mod error;
mod reading;
mod references;
mod value_type;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use cedar_policy::{RestrictedExpression, Schema};
use cedar_policy_core::validator::ValidatorSchema;

use crate::domain::attributes::{AttributeOwner, Attributes, MAX_ATTRIBUTES, MAX_ATTRIBUTES_SIZE};
use crate::domain::suggest::did_you_mean;

pub use error::{AttributeError, AttributeErrors};
pub(super) use reading::{ReadRules, ReadValue};
pub use references::AttributeReferences;
pub(super) use value_type::{DeclaredAttribute, IdForm, ValueType, declared_attributes};

/// The attributes that a schema declares for datasets and users, beside those that Cedargate fills in itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredAttributes {
    dataset: BTreeMap<String, DeclaredAttribute>,
    user: BTreeMap<String, DeclaredAttribute>,
}

impl DeclaredAttributes {
    /// The attributes of a schema.
    pub(super) fn new(schema: &Schema) -> Self {
        let schema: &ValidatorSchema = schema.as_ref();
        let of = |owner: AttributeOwner| {
            let name = owner.type_name();
            let mut types = schema.entity_types();
            let found = types.find(|one| one.name().to_string() == name);
            let mut declared = found
                .map(|found| declared_attributes(found.attributes(), schema))
                .unwrap_or_default();
            declared.retain(|name, _| !owner.reserved().contains(&name.as_str()));
            declared
        };
        Self {
            dataset: of(AttributeOwner::Dataset),
            user: of(AttributeOwner::User),
        }
    }

    fn of(&self, owner: AttributeOwner) -> &BTreeMap<String, DeclaredAttribute> {
        match owner {
            AttributeOwner::Dataset => &self.dataset,
            AttributeOwner::User => &self.user,
        }
    }

    /// The names of the attributes of an owner.
    pub fn names(&self, owner: AttributeOwner) -> impl Iterator<Item = &str> + Clone {
        self.of(owner).keys().map(String::as_str)
    }

    /// Whether it declares an attribute.
    #[must_use]
    pub fn declares(&self, owner: AttributeOwner, name: &str) -> bool {
        self.of(owner).contains_key(name)
    }

    /// The attributes of the same type as an attribute of another schema.
    pub(super) fn names_of_type<'a>(
        &'a self,
        owner: AttributeOwner,
        other: &'a Self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let value_type = other.of(owner).get(name).map(|other| &other.value_type);
        let declared = self.of(owner).iter();
        let same = declared.filter(move |(_, one)| Some(&one.value_type) == value_type);
        same.map(|(name, _)| name.as_str())
    }

    /// The names of the attributes that every owner must have.
    pub fn required(&self, owner: AttributeOwner) -> impl Iterator<Item = &str> {
        let declared = self.of(owner).iter();
        let required = declared.filter(|(_, attribute)| attribute.is_required);
        required.map(|(name, _)| name.as_str())
    }

    /// The attributes whose type has no values that the catalog could have, with the type and whether they are
    /// required.
    pub(super) fn unfillable(
        &self,
        owner: AttributeOwner,
    ) -> impl Iterator<Item = (&str, &str, bool)> {
        let declared = self.of(owner).iter();
        declared.filter_map(|(name, attribute)| match &attribute.value_type {
            ValueType::Unfillable(cedar) => {
                Some((name.as_str(), cedar.as_str(), attribute.is_required))
            }
            _ => None,
        })
    }

    /// Checks all attributes that are given to somebody or something, and brings each value into the form that the
    /// catalog keeps.
    ///
    /// An attribute that the schema does not declare may stay as it was `before`, so that an update that sends
    /// back what it got does not fail.
    pub fn check(
        &self,
        owner: AttributeOwner,
        given: &Attributes,
        before: Option<&Attributes>,
    ) -> Result<Attributes, AttributeErrors> {
        if given.len() > MAX_ATTRIBUTES {
            let message = format!("are at most {MAX_ATTRIBUTES}; these are {}", given.len());
            return Err(AttributeError::of_all(owner, message).into());
        }
        let declared = self.of(owner);
        let (mut checked, mut errors) = (Attributes::new(), Vec::new());
        for (name, value) in given {
            let kept = match declared.get(name) {
                Some(attribute) => attribute
                    .value_type
                    .read(value, ReadRules::Catalog)
                    .map(|read| read.json)
                    .map_err(|error| error.within(name)),
                None if before.and_then(|before| before.get(name)) == Some(value) => {
                    Ok(value.clone())
                }
                None => Err(self.unknown(owner, name)),
            };
            match kept {
                Ok(kept) => drop(checked.insert(name.clone(), kept)),
                Err(error) => errors.push(error),
            }
        }
        let missing = declared
            .iter()
            .filter(|(name, attribute)| attribute.is_required && !given.contains_key(*name));
        errors.extend(missing.map(|(name, missing)| missing.missing().within(name)));
        let size = serde_json::to_string(&checked).map_or(0, |text| text.len());
        if size > MAX_ATTRIBUTES_SIZE {
            let message = format!("take at most {MAX_ATTRIBUTES_SIZE} bytes as JSON, not {size}");
            errors.push(AttributeError::of_all(owner, message));
        }
        if errors.is_empty() {
            Ok(checked)
        } else {
            Err(AttributeErrors(errors))
        }
    }

    fn unknown(&self, owner: AttributeOwner, name: &str) -> AttributeError {
        let error = if owner.reserved().contains(&name) {
            AttributeError::new("it is no attribute to declare: it has a member of its own")
                .with_help(format!("give {name} beside attributes, not in it"))
        } else {
            let names = self.names(owner);
            let help = did_you_mean(name, names.clone()).unwrap_or_else(|| {
                let names: Vec<_> = names.collect();
                if names.is_empty() {
                    format!(
                        "declare it in entity {owner} of schema.cedarschema, or use {}",
                        match owner {
                            AttributeOwner::Dataset => "a tag",
                            AttributeOwner::User => "a claim",
                        }
                    )
                } else {
                    format!("declared are {}", names.join(", "))
                }
            });
            AttributeError::new(format!(
                "the schema in force declares no such attribute for {owner}"
            ))
            .with_help(help)
        };
        error.within(name)
    }

    /// What of the attributes that the catalog has does not fit, so that policies are not asked.
    pub fn misfits<'a>(
        &'a self,
        owner: AttributeOwner,
        stored: &'a Attributes,
    ) -> impl Iterator<Item = AttributeError> {
        let declared = self.of(owner).iter();
        declared.filter_map(|(name, attribute)| read_stored(name, attribute, stored).err())
    }

    /// Whether everything that the catalog has fits.
    #[must_use]
    pub fn fits(&self, owner: AttributeOwner, stored: &Attributes) -> bool {
        self.misfits(owner, stored).next().is_none()
    }

    /// The attributes that the catalog has and the schema does not declare; policies do not see them.
    pub fn undeclared<'a>(
        &'a self,
        owner: AttributeOwner,
        stored: &'a Attributes,
    ) -> impl Iterator<Item = &'a str> {
        let names = stored.keys().map(String::as_str);
        names.filter(move |name| !self.declares(owner, name))
    }

    /// What policies see of the attributes that the catalog has.
    pub(super) fn expressions(
        &self,
        owner: AttributeOwner,
        stored: &Attributes,
    ) -> Result<Vec<(String, RestrictedExpression)>, AttributeError> {
        let mut expressions = Vec::new();
        for (name, attribute) in self.of(owner) {
            if let Some(read) = read_stored(name, attribute, stored)? {
                expressions.push((name.clone(), read.expression));
            }
        }
        Ok(expressions)
    }

    /// A value for every attribute, or for the required ones; none for those that the catalog cannot fill.
    pub fn samples(&self, owner: AttributeOwner, is_full: bool) -> Attributes {
        let declared = self.of(owner).iter();
        let wanted = declared.filter(|(_, attribute)| is_full || attribute.is_required);
        let values = wanted.filter_map(|(name, attribute)| {
            let value = attribute.value_type.example()?;
            Some((name.clone(), value))
        });
        values.collect()
    }
}

/// The value of an attribute in the catalog, if it has one.
fn read_stored(
    name: &str,
    attribute: &DeclaredAttribute,
    stored: &Attributes,
) -> Result<Option<ReadValue>, AttributeError> {
    match stored.get(name) {
        Some(value) => {
            let read = attribute.value_type.read(value, ReadRules::Catalog);
            read.map(Some)
                .map_err(|error| error.within(name).of_stored())
        }
        None if attribute.is_required => Err(attribute.missing().within(name)),
        None => Ok(None),
    }
}
