//! Reduced counterexamples: what the violation does not need is removed.
//!
//! A solver gives values to every entity that any policy names: with two hundred links, to two hundred datasets of
//! which one matters. Each removal is kept only if the case is still valid and violates.

use serde_json::{Value, json};

/// The most attempts to remove a value of an entity, in one counterexample.
const MAX_ATTEMPTS: usize = 400;

/// A case without what can be removed; `is_violated` says whether a case is valid and violates.
pub(super) fn reduce(case: Value, is_violated: &dyn Fn(&Value) -> bool) -> Value {
    let mut reduction = Reduction {
        case,
        is_violated,
        attempts_left: MAX_ATTEMPTS,
    };
    reduction.remove_entities();
    reduction.remove_values();
    reduction.case
}

struct Reduction<'a> {
    case: Value,
    is_violated: &'a dyn Fn(&Value) -> bool,
    attempts_left: usize,
}

impl Reduction<'_> {
    /// Removes other entities than the principal and the resource, many at once as long as that works.
    fn remove_entities(&mut self) {
        let requested = ["principal", "resource"].map(|part| {
            let uid = self.case.pointer(&format!("/request/{part}"));
            uid.and_then(Value::as_str).unwrap_or_default().to_owned()
        });
        let is_requested = |entity: &Value| requested.contains(&uid_of(entity));
        let (kept, mut others): (Vec<Value>, Vec<Value>) =
            entities(&self.case).iter().cloned().partition(is_requested);
        let mut chunk = others.len();
        while chunk > 0 {
            let mut start = 0;
            while start < others.len() {
                let end = others.len().min(start + chunk);
                let (before, after) = (others.iter().take(start), others.iter().skip(end));
                let fewer: Vec<Value> = before.chain(after).cloned().collect();
                let all: Vec<Value> = kept.iter().chain(&fewer).cloned().collect();
                if self.attempt("/entities", json!(all)) {
                    others = fewer;
                } else {
                    start = end;
                }
            }
            chunk /= 2;
        }
    }

    /// Removes tags, parents, optional attributes and the elements of sets.
    fn remove_values(&mut self) {
        for index in 0..entities(&self.case).len() {
            for (member, empty) in [("tags", json!({})), ("parents", json!([]))] {
                let path = format!("/entities/{index}/{member}");
                if self
                    .case
                    .pointer(&path)
                    .is_some_and(|value| *value != empty)
                {
                    self.attempt(&path, empty);
                }
            }
            self.remove_elements(&format!("/entities/{index}/parents"));
            for members in ["attrs", "tags"] {
                let path = format!("/entities/{index}/{members}");
                let names = self.case.pointer(&path).and_then(Value::as_object);
                let names: Vec<String> = names
                    .map(|members| members.keys().cloned().collect())
                    .unwrap_or_default();
                for name in names {
                    self.remove_member(&path, &name);
                }
            }
        }
    }

    fn remove_member(&mut self, path: &str, name: &str) {
        let mut members = self.case.pointer(path).cloned().unwrap_or_default();
        if let Some(members) = members.as_object_mut() {
            members.remove(name);
        }
        if self.attempts_left == 0 || self.attempt_counted(path, members) {
            return;
        }
        let path = format!("{path}/{}", escape(name));
        let is_set = self.case.pointer(&path).is_some_and(Value::is_array);
        if is_set && !self.attempt_counted(&path, json!([])) {
            self.remove_elements(&path);
        }
    }

    fn remove_elements(&mut self, path: &str) {
        let mut index = 0;
        while self.attempts_left > 0 {
            let Some(mut elements) = self.case.pointer(path).and_then(Value::as_array).cloned()
            else {
                return;
            };
            if index >= elements.len() {
                return;
            }
            elements.remove(index);
            if !self.attempt_counted(path, json!(elements)) {
                index += 1;
            }
        }
    }

    fn attempt_counted(&mut self, path: &str, value: Value) -> bool {
        self.attempts_left = self.attempts_left.saturating_sub(1);
        self.attempt(path, value)
    }

    /// Replaces a value, if the case stays valid and violates; returns whether it did.
    fn attempt(&mut self, path: &str, value: Value) -> bool {
        let mut next = self.case.clone();
        let Some(place) = next.pointer_mut(path) else {
            return false;
        };
        *place = value;
        let is_kept = (self.is_violated)(&next);
        if is_kept {
            self.case = next;
        }
        is_kept
    }
}

fn entities(case: &Value) -> &[Value] {
    let entities = case.get("entities").and_then(Value::as_array);
    entities.map_or(&[], Vec::as_slice)
}

/// An entity as Cedar writes it.
fn uid_of(entity: &Value) -> String {
    let part = |name: &str| {
        let part = entity.pointer(&format!("/uid/{name}"));
        part.and_then(Value::as_str).unwrap_or_default()
    };
    entity_name(part("type"), part("id"))
}

/// The name of an entity in a request.
pub(super) fn entity_name(kind: &str, id: &str) -> String {
    format!("{kind}::{id:?}")
}

/// A name in a JSON pointer (RFC 6901 section 3).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_entities_the_one_that_matters_stays() {
        let dataset = |number: usize| {
            json!({
                "uid": {"type": "Dataset", "id": number.to_string()},
                "attrs": {"readers": ["a", "b", "c"], "title": "t", "o/w": 1},
                "tags": {"x": ["y", "z"], "u": []},
                "parents": [1, 2],
            })
        };
        let case = json!({
            "request": {"principal": "User::\"u\"", "resource": "Dataset::\"7\""},
            "entities": (0..200).map(dataset).collect::<Vec<_>>(),
        });
        let reduced = reduce(case, &|case| {
            let all = entities(case);
            let has = |id: &str| all.iter().find(|one| one["uid"]["id"] == id);
            let (Some(resource), Some(link)) = (has("7"), has("110")) else {
                return false;
            };
            let has_b = link["attrs"]["readers"].as_array();
            has_b.is_some_and(|readers| readers.contains(&json!("b")))
                && resource["attrs"].get("title").is_some()
                && resource["tags"]["x"]
                    .as_array()
                    .is_some_and(|x| x.contains(&json!("z")))
                && resource["parents"]
                    .as_array()
                    .is_some_and(|all| all.contains(&json!(2)))
        });
        let expected = json!([
            {"uid": {"type": "Dataset", "id": "7"}, "attrs": {"title": "t"}, "tags": {"x": ["z"]}, "parents": [2]},
            {"uid": {"type": "Dataset", "id": "110"}, "attrs": {"readers": ["b"]}, "tags": {}, "parents": []},
        ]);
        assert_eq!(reduced["entities"], expected);
    }
}
