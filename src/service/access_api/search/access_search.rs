//! Search requests and pages of results.

use serde_json::{Map, Value};

use crate::domain::access_question::{AskedAction, AskedEntity};

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchKind {
    /// Subjects who may.
    Subjects,
    /// Resources on which it may be done.
    Resources,
    /// Actions that may be done.
    Actions,
}

/// A search; the id of what is searched is empty.
#[derive(Clone, Debug)]
pub struct AccessSearch {
    /// What is searched.
    pub kind: SearchKind,
    /// Who would do it.
    pub subject: AskedEntity,
    /// What would be done; none if actions are searched.
    pub action: Option<AskedAction>,
    /// What it would be done to.
    pub resource: AskedEntity,
    /// The circumstances.
    pub context: Map<String, Value>,
    /// The token of the page before.
    pub token: Option<String>,
    /// How many results a page has at most.
    pub limit: Option<u64>,
}

/// A page of results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPage {
    /// The ids of entities, or the names of actions.
    pub results: Vec<String>,
    /// The token of the next page; empty if there is none.
    pub next_token: String,
}
