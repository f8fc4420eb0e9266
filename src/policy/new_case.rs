//! New cases: a decision about the catalog, written as a case that expects it.
//!
//! The case has the entities of the decision and nothing else, so it stays true when the catalog changes. It is
//! parsed back from its text before it is returned, and expects what the policies answer to that.

use std::collections::BTreeSet;

use cedar_policy::{Context, Entities, Request};
use serde_json::{Value, json};

use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::client_address::UNKNOWN;
use crate::domain::error_chain::error_chain;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;

use super::address::{ADDRESS, NETWORKS};
use super::bundle::Bundle;
use super::case_answer::CaseAnswer;
use super::case_file::{self, Case, CaseDecision};
use super::entity_file::EntityFileFacts;
use super::prove::Counterexample;
use super::unknown_address::is_address_unknown;

/// The name of a new case's file in messages.
const FILE_NAME: &str = "new.cases.json";

/// A case that is not in a file yet.
#[derive(Clone, Debug)]
pub struct NewCase {
    name: String,
    json: Value,
}

impl NewCase {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same case with another name.
    #[must_use]
    pub fn renamed(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        if let Some(member) = self.json.get_mut("name") {
            *member = json!(name);
        }
        self
    }

    /// The case of a counterexample of a proof, as it is; or why there is none.
    pub fn of_counterexample(example: &Counterexample) -> Result<Self, String> {
        let Some(json) = &example.case else {
            return Err(example.no_case.clone().unwrap_or_default());
        };
        let name = json.get("name").and_then(Value::as_str);
        Ok(Self {
            name: name.unwrap_or_default().to_owned(),
            json: json.clone(),
        })
    }

    /// The decision that it expects.
    #[must_use]
    pub fn is_permitted(&self) -> bool {
        self.json.get("decision") == Some(&json!(CaseDecision::Allow))
    }

    /// The first policy that it expects to determine the decision.
    #[must_use]
    pub fn first_reason(&self) -> Option<&str> {
        self.json.pointer("/reason/0")?.as_str()
    }

    /// The same case, expecting a decision: another one than that of the policies has no reason yet.
    #[must_use]
    pub fn expecting(mut self, is_permitted: bool) -> Self {
        if is_permitted == self.is_permitted() {
            return self;
        }
        let decision = if is_permitted {
            CaseDecision::Allow
        } else {
            CaseDecision::Deny
        };
        if let Some(members) = self.json.as_object_mut() {
            members.insert("decision".to_owned(), json!(decision));
            members.insert("reason".to_owned(), json!([]));
            members.insert("num_errors".to_owned(), json!(0));
        }
        self
    }

    /// Its text, as it stands in a case file.
    #[must_use]
    pub fn text(&self) -> String {
        case_file::to_json_text(&[&self.json])
    }

    /// The case as JSON.
    pub(super) fn json(&self) -> &Value {
        &self.json
    }

    /// The case as it will be parsed from a case file.
    pub(super) fn parse(&self, bundle: &Bundle) -> Result<Case, String> {
        case_file::parse_one(FILE_NAME, &self.json, &bundle.schema, &bundle.networks)
    }
}

impl Bundle {
    /// The case that asks what [`Bundle::decide`] decides, and expects its answer.
    ///
    /// Fails, with the reason in words, if no policy decides it (the user is disabled).
    pub fn new_case(
        &self,
        name: &str,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &DecisionContext,
    ) -> Result<NewCase, String> {
        let (facts, request) = self.prepare(principal, action, resource, context)?;
        self.case_of(name, &request, &facts.entities)
    }

    /// The case that asks what [`Bundle::decide_from_file`] decides, and expects its answer.
    pub fn new_case_from_file(
        &self,
        name: &str,
        entities: &EntityFileFacts,
        action: Action,
        context: &DecisionContext,
    ) -> Result<NewCase, String> {
        let request = self.cedar_request(&entities.facts, action, context)?;
        self.case_of(name, &request, &entities.facts.entities)
    }

    fn case_of(
        &self,
        name: &str,
        request: &Request,
        entities: &Entities,
    ) -> Result<NewCase, String> {
        let uid = |uid: Option<&_>| uid.map(ToString::to_string).unwrap_or_default();
        let (context, entities) = (context_json(request)?, entities_json(request, entities)?);
        let expecting = |decision: CaseDecision, reason: &BTreeSet<String>, num_errors: usize| {
            json!({
                "name": name,
                "request": {
                    "principal": uid(request.principal()),
                    "action": uid(request.action()),
                    "resource": uid(request.resource()),
                    "context": context,
                },
                "entities": entities,
                "decision": decision,
                "reason": reason,
                "num_errors": num_errors,
            })
        };
        let json = expecting(CaseDecision::Deny, &BTreeSet::new(), 0);
        let case = case_file::parse_one(FILE_NAME, &json, &self.schema, &self.networks)?;
        let case = case.over(&self.entities)?;
        let answer = CaseAnswer::evaluate(self, &case.request, &case.entities);
        let json = expecting(
            answer.decision,
            &answer.determining_policies,
            answer.errors.len(),
        );
        Ok(NewCase {
            name: name.to_owned(),
            json,
        })
    }
}

/// The context, with the words that a person writes.
fn context_json(request: &Request) -> Result<Value, String> {
    let json = request.context().map(Context::to_json_value);
    let mut json = json
        .transpose()
        .map_err(|error| error_chain(&error))?
        .unwrap_or_else(|| json!({}));
    // They follow from the address.
    if let Some(members) = json.as_object_mut() {
        members.remove(NETWORKS);
    }
    if is_address_unknown(request)
        && let Some(address) = json.get_mut(ADDRESS)
    {
        *address = json!(UNKNOWN);
    }
    Ok(json)
}

/// The entities without those of the schema, the principal first.
fn entities_json(request: &Request, entities: &Entities) -> Result<Value, String> {
    let mut listed = Vec::new();
    for entity in entities.iter() {
        let uid = entity.uid();
        if uid.type_name().basename() == "Action" {
            continue;
        }
        let is_resource = request.resource() == Some(&uid);
        let rank = (request.principal() != Some(&uid), !is_resource);
        let json = entity
            .to_json_value()
            .map_err(|error| error_chain(&error))?;
        listed.push((rank, uid.to_string(), json));
    }
    listed.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    Ok(listed.into_iter().map(|(.., json)| json).collect())
}
