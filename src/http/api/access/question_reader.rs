//! Questions and batches, read in the form of the Authorization API's information model.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::access_question::{AccessQuestion, AskedAction, AskedEntity};
use crate::http::extract::authzen_body::AuthzenRequest;
use crate::service::access_api::batch::{
    BatchItem, BatchQuestion, EvaluationsSemantic, MAX_EVALUATIONS,
};

use super::information_model::{EvaluationRequest, EvaluationsRequest};
use super::members::{Members, expected};

/// How large the defaults of a batch may be together, in bytes: each question is checked with them.
const MAX_DEFAULTS_SIZE: usize = 64 * 1024;

impl AuthzenRequest for AccessQuestion {
    type Schema = EvaluationRequest;

    fn read(members: Map<String, Value>) -> Result<Self, String> {
        Members::of_body(members).into_question()
    }
}

/// The body of a request with several questions.
pub enum EvaluationsBody {
    /// It has none but the defaults.
    One(Box<AccessQuestion>),
    /// It has some.
    Several(Vec<BatchItem>, EvaluationsSemantic),
}

impl AuthzenRequest for EvaluationsBody {
    type Schema = EvaluationsRequest;

    fn read(members: Map<String, Value>) -> Result<Self, String> {
        let mut body = Members::of_body(members);
        let semantic = read_semantic(&mut body)?;
        let items = match body.take("evaluations") {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(expected("evaluations", "a list", &other)),
        };
        if items.len() > MAX_EVALUATIONS {
            let found = items.len();
            return Err(format!(
                "`evaluations`: expected at most {MAX_EVALUATIONS} in the list, found {found}"
            ));
        }
        if items.is_empty() {
            return Ok(Self::One(Box::new(body.into_question()?)));
        }
        let defaults = Defaults::read(&mut body)?;
        let items = items.into_iter().enumerate();
        let questions = items.map(|(index, item)| defaults.question(index, item));
        Ok(Self::Several(questions.collect(), semantic))
    }
}

fn read_semantic(body: &mut Members) -> Result<EvaluationsSemantic, String> {
    let Some(mut options) = body.take_object("options")? else {
        return Ok(EvaluationsSemantic::default());
    };
    match options.take_text("evaluations_semantic")?.as_deref() {
        None | Some("execute_all") => Ok(EvaluationsSemantic::ExecuteAll),
        Some("deny_on_first_deny") => Ok(EvaluationsSemantic::DenyOnFirstDeny),
        Some("permit_on_first_permit") => Ok(EvaluationsSemantic::PermitOnFirstPermit),
        Some(_) => Err(
            "`options.evaluations_semantic`: expected one of execute_all, \
                        deny_on_first_deny, permit_on_first_permit"
                .to_owned(),
        ),
    }
}

/// What questions inherit: checked only where one does.
struct Defaults {
    subject: Result<Arc<AskedEntity>, String>,
    action: Result<Arc<AskedAction>, String>,
    resource: Result<Arc<AskedEntity>, String>,
    context: Arc<Map<String, Value>>,
}

impl Defaults {
    fn read(body: &mut Members) -> Result<Self, String> {
        let mut parts = [("subject", None), ("action", None), ("resource", None)];
        let mut size = 0_usize;
        for (name, part) in &mut parts {
            *part = body.take_object(name)?;
            let members = part.iter().flat_map(|part| part.members.values());
            size = size.saturating_add(members.map(approximate_size).sum());
        }
        let context = body.take_context()?;
        size = size.saturating_add(context.values().map(approximate_size).sum());
        if size > MAX_DEFAULTS_SIZE {
            let max = MAX_DEFAULTS_SIZE / 1024;
            return Err(format!(
                "the defaults of the questions are larger than {max} KiB"
            ));
        }
        let [(_, subject), (_, action), (_, resource)] = parts;
        let entity = |part: Option<Members>, name: &str| {
            let members = part.ok_or_else(|| format!("the field `{name}` is missing"))?;
            members.into_entity().map(Arc::new)
        };
        let action = action.ok_or_else(|| "the field `action` is missing".to_owned());
        Ok(Self {
            subject: entity(subject, "subject"),
            action: action.and_then(|members| members.into_action().map(Arc::new)),
            resource: entity(resource, "resource"),
            context: Arc::new(context),
        })
    }

    fn question(&self, index: usize, item: Value) -> BatchItem {
        let path = format!("evaluations[{index}]");
        let members = match item {
            Value::Object(members) => members,
            other => return Err(expected(&path, "an object", &other)),
        };
        let mut item = Members { path, members };
        let subject = item.take_object("subject")?;
        let action = item.take_object("action")?;
        let resource = item.take_object("resource")?;
        let context = item.take_object("context")?;
        let entity = |own: Option<Members>, default: &Result<Arc<AskedEntity>, String>| match own {
            Some(members) => members.into_entity().map(Arc::new),
            None => default.clone(),
        };
        Ok(BatchQuestion {
            subject: entity(subject, &self.subject)?,
            action: match action {
                Some(members) => Arc::new(members.into_action()?),
                None => self.action.clone()?,
            },
            resource: entity(resource, &self.resource)?,
            context: context.map_or_else(
                || Arc::clone(&self.context),
                |context| Arc::new(context.members),
            ),
        })
    }
}

/// About how many bytes a value has as JSON.
fn approximate_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(values) => values.iter().map(approximate_size).sum::<usize>() + 2,
        Value::Object(members) => {
            let sizes = members
                .iter()
                .map(|(name, value)| name.len() + 4 + approximate_size(value));
            sizes.sum::<usize>() + 2
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other} is no object"),
        }
    }

    fn question() -> Value {
        json!({
            "subject": {"type": "user", "id": "ada"},
            "action": {"name": "read"},
            "resource": {"type": "record", "id": "1"},
        })
    }

    #[test]
    fn a_question_is_read_whatever_else_the_body_has() {
        let mut body = question();
        body["context"] = Value::Null;
        body["future"] = json!([1]);
        body["subject"]["properties"] = Value::Null;
        body["action"]["foo"] = json!({});
        let read = AccessQuestion::read(members(body)).unwrap();
        assert_eq!(read, AccessQuestion::read(members(question())).unwrap());
        assert_eq!(read.subject.id, "ada");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path() {
        for (pointer, value, error) in [
            ("/subject", Value::Null, "the field `subject` is missing"),
            (
                "/subject",
                json!("ada"),
                "`subject`: expected an object, found a string",
            ),
            (
                "/subject/id",
                Value::Null,
                "the field `subject.id` is missing",
            ),
            (
                "/subject/type",
                json!(1),
                "`subject.type`: expected a string, found a number",
            ),
            (
                "/resource/id",
                json!(""),
                "`resource.id`: expected 1 to 1024 characters",
            ),
            (
                "/resource/id",
                json!("é".repeat(1025)),
                "`resource.id`: expected 1 to 1024 characters",
            ),
            (
                "/action/name",
                json!(123),
                "`action.name`: expected a string, found a number",
            ),
        ] {
            let mut body = question();
            *body.pointer_mut(pointer).unwrap() = value;
            assert_eq!(AccessQuestion::read(members(body)).unwrap_err(), error);
        }
        let mut body = question();
        body["resource"]["id"] = json!("é".repeat(1024));
        assert!(AccessQuestion::read(members(body)).is_ok());
        let mut body = question();
        body["context"] = json!([]);
        let error = AccessQuestion::read(members(body)).unwrap_err();
        assert_eq!(error, "`context`: expected an object, found a list");
    }

    #[test]
    fn a_default_is_checked_where_a_question_inherits_it() {
        let body = json!({
            "resource": {},
            "evaluations": [question(), {"subject": {"type": "user", "id": "bob"}}, 7],
        });
        let EvaluationsBody::Several(items, semantic) =
            EvaluationsBody::read(members(body)).unwrap()
        else {
            panic!("the body has questions");
        };
        assert_eq!(semantic, EvaluationsSemantic::ExecuteAll);
        assert!(items[0].is_ok());
        assert_eq!(
            items[1].as_ref().unwrap_err(),
            "the field `action` is missing"
        );
        let error = "`evaluations[2]`: expected an object, found a number";
        assert_eq!(items[2].as_ref().unwrap_err(), error);
    }

    #[test]
    fn a_batch_of_another_form_is_refused_whole() {
        for (member, value) in [
            ("subject", json!("ada")),
            ("context", json!(1)),
            ("evaluations", json!({})),
            ("evaluations", json!(vec![1; MAX_EVALUATIONS + 1])),
            ("options", json!([])),
            ("options", json!({"evaluations_semantic": "first_wins"})),
            ("options", json!({"evaluations_semantic": 1})),
            ("context", json!({"x": "x".repeat(MAX_DEFAULTS_SIZE)})),
        ] {
            let mut body = json!({"evaluations": [question()]});
            body[member] = value;
            assert!(EvaluationsBody::read(members(body)).is_err(), "{member}");
        }
        let body = json!({"evaluations": []});
        assert!(EvaluationsBody::read(members(body)).is_err());
        let mut body = question();
        body["evaluations"] = json!([]);
        let read = EvaluationsBody::read(members(body)).unwrap();
        assert!(matches!(read, EvaluationsBody::One(_)));
    }
}
