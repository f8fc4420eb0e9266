//! The context of a question: what the action's context type declares, filled in by Cedargate and by the caller.
//!
//! The caller's members come from `action.properties` and `context`; what the type does not declare is ignored. The
//! members that are Cedargate's are believed only from callers that policy lets say so.

use std::net::IpAddr;

use cedar_policy::{EntityUid, RestrictedExpression};
use cedar_policy_core::ast::{ExprKind, Literal};
use serde_json::{Map, Value};

use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::rfc3339;
use crate::domain::text_enum::TextEnum;
use crate::policy::address::ADDRESS;
use crate::policy::attributes::{AttributeError, ReadRules};
use crate::policy::context::{ContextError, datetime, has_time, network_names, to_cedar_ip};
use crate::policy::networks::Networks;
use crate::policy::unknown_address::unknown_address;

use super::action_context::{ActionContext, ContextMember, MemberSource};
use super::refusal::QuestionRefusal;

/// What the caller says about the context.
#[derive(Clone, Copy)]
pub(super) struct GivenContext<'a> {
    /// The properties of the action.
    pub(super) properties: &'a Map<String, Value>,
    /// The context.
    pub(super) context: &'a Map<String, Value>,
}

/// The members of a context that are Cedargate's.
pub(super) struct CedargateMembers {
    /// Address, time and authentication.
    pub(super) decision: DecisionContext,
    /// The API key that the caller says the subject used.
    pub(super) key: Option<RestrictedExpression>,
}

type Pairs = Vec<(String, RestrictedExpression)>;

impl GivenContext<'_> {
    /// What is said about a member; null is nothing.
    fn get(&self, name: &str) -> Result<Option<&Value>, QuestionRefusal> {
        let said =
            |all: &'_ Map<String, Value>| all.get(name).is_some_and(|value| !value.is_null());
        match (said(self.properties), said(self.context)) {
            (true, true) if self.properties.get(name) != self.context.get(name) => {
                Err(QuestionRefusal::error(format!(
                    "`{name}` has one value in action.properties and another in context"
                )))
            }
            (_, true) => Ok(self.context.get(name)),
            (true, false) => Ok(self.properties.get(name)),
            (false, false) => Ok(None),
        }
    }
}

impl ActionContext {
    /// The members that are Cedargate's: as `usual` has them, or as a believed caller says.
    pub(super) fn circumstances(
        &self,
        given: GivenContext<'_>,
        usual: DecisionContext,
        is_believed: bool,
    ) -> Result<CedargateMembers, QuestionRefusal> {
        let mut found = CedargateMembers {
            decision: usual,
            key: None,
        };
        if !is_believed {
            return Ok(found);
        }
        for (name, member) in &self.members {
            if matches!(member.source, MemberSource::Caller | MemberSource::Networks) {
                continue;
            }
            if let Some(value) = given.get(name)? {
                believe(&mut found, member, value).map_err(|error| {
                    QuestionRefusal::misfits("context", vec![error.within(name)])
                })?;
            }
        }
        Ok(found)
    }

    /// The members that are the caller's.
    pub(super) fn callers_members(
        &self,
        given: GivenContext<'_>,
    ) -> Result<Pairs, QuestionRefusal> {
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for (name, member) in &self.members {
            if member.source != MemberSource::Caller {
                continue;
            }
            let read = match given.get(name)? {
                Some(value) => member.declared.value_type.read(value, ReadRules::Foreign),
                None if member.declared.is_required => return Err(lacking(name)),
                None => continue,
            };
            match read {
                Ok(read) => found.push((name.clone(), read.expression)),
                Err(error) => errors.push(error.within(name)),
            }
        }
        if errors.is_empty() {
            return Ok(found);
        }
        Err(QuestionRefusal::misfits("context", errors))
    }

    /// Adds the members that are Cedargate's to those of the caller. The address is always there with the networks: the
    /// evaluation takes from it whether the networks are known.
    pub(super) fn complete(
        &self,
        pairs: &mut Pairs,
        own: &CedargateMembers,
        networks: &Networks,
    ) -> Result<(), ContextError> {
        let address = own.decision.address;
        let mut reads_address = false;
        for (name, member) in &self.members {
            let value = match member.source {
                MemberSource::Caller => None,
                MemberSource::Address => {
                    reads_address = true;
                    None
                }
                MemberSource::Networks => {
                    reads_address = true;
                    network_names(networks, address)?
                }
                MemberSource::Time => Some(datetime(own.decision.unix_millis.div_euclid(1_000))?),
                MemberSource::Authentication => word(member, own.decision.authentication),
                MemberSource::Key => own.key.clone(),
            };
            pairs.extend(value.map(|value| (name.clone(), value)));
        }
        if reads_address {
            let known = |address| RestrictedExpression::new_ip(to_cedar_ip(address));
            pairs.push((
                ADDRESS.to_owned(),
                address.map_or_else(unknown_address, known),
            ));
        }
        Ok(())
    }

    /// Fails if the type requires an API key, and there is none.
    pub(super) fn require_key(&self, own: &CedargateMembers) -> Result<(), QuestionRefusal> {
        let mut required = self.members.iter().filter(|(_, member)| {
            member.source == MemberSource::Key && member.declared.is_required
        });
        match required.next() {
            Some((name, _)) if own.key.is_none() => Err(lacking(name)),
            _ => Ok(()),
        }
    }
}

fn lacking(name: &str) -> QuestionRefusal {
    QuestionRefusal::reason(format!("the context lacks \"{name}\""))
}

/// Takes a member of Cedargate's from the caller.
fn believe(
    found: &mut CedargateMembers,
    member: &ContextMember,
    value: &Value,
) -> Result<(), AttributeError> {
    let text = value.as_str();
    match member.source {
        MemberSource::Address => {
            let address = text.and_then(|text| text.parse::<IpAddr>().ok());
            let expected = || AttributeError::expected("an IP address", value);
            found.decision.address = Some(address.ok_or_else(expected)?);
        }
        MemberSource::Time => {
            let expected = || AttributeError::expected("a time as in RFC 3339", value);
            found.decision.unix_millis = text
                .and_then(|text| rfc3339::parse_millis_or_minutes(text).ok())
                .ok_or_else(expected)?;
            if !has_time(&found.decision) {
                return Err(expected());
            }
        }
        MemberSource::Authentication => {
            let word = text.and_then(|text| text.parse::<Authentication>().ok());
            // No request has it.
            let word = word.filter(|word| *word != Authentication::CommandLine);
            let expected = || {
                let words = "\"none\", \"password\", \"api_key\" or \"issuer\"";
                AttributeError::expected(words, value)
            };
            found.decision.authentication = word.ok_or_else(expected)?;
        }
        MemberSource::Key => {
            let read = member.declared.value_type.read(value, ReadRules::Foreign);
            found.key = Some(read?.expression);
        }
        MemberSource::Networks | MemberSource::Caller => {}
    }
    Ok(())
}

/// A word as the context declares it: a text, or an entity of an enumeration.
fn word(member: &ContextMember, authentication: Authentication) -> Option<RestrictedExpression> {
    let word = Value::from(authentication.as_str());
    let read = member.declared.value_type.read(&word, ReadRules::Catalog);
    read.ok().map(|read| read.expression)
}

/// The entities that values name, each once.
pub(super) fn named_entities(pairs: &[(String, RestrictedExpression)]) -> Vec<EntityUid> {
    let parts = pairs
        .iter()
        .flat_map(|(_, value)| value.as_ref().subexpressions());
    let named = parts.filter_map(|part| match part.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => Some(EntityUid::from((**uid).clone())),
        _ => None,
    });
    let mut found: Vec<EntityUid> = named.collect();
    found.sort();
    found.dedup();
    found
}
