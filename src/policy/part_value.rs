//! The value of one part of a policy, and what it means for the policy.

use serde::Serialize;

/// The value of one part of a policy, as it stands in the file.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PartValue {
    /// It is true.
    True,
    /// It is false.
    False,
    /// It depends on the client's address, which is unknown.
    Unknown,
    /// It cannot be evaluated, which denies the request if all parts before it are met.
    Error,
}

/// What is written around a part, outside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Negations {
    /// Whether it is under `unless`.
    pub(super) is_under_unless: bool,
    /// Whether it is an operand of what is under `!`.
    pub(super) is_under_not: bool,
    /// Whether it must be false for the policy to be satisfied.
    pub(super) must_be_false: bool,
}

impl Negations {
    /// What the value of the part means for the policy, in words for a person.
    pub(super) fn meaning(self, value: PartValue, is_met: bool) -> String {
        let around = match (self.is_under_unless, self.is_under_not) {
            (true, true) => "under `unless` and `!`, ",
            (true, false) => "under `unless`, ",
            (false, true) => "under `!`, ",
            (false, false) => "",
        };
        let consequence = match (value, is_met) {
            (PartValue::True | PartValue::False, true) => "so the policy can apply",
            (PartValue::True | PartValue::False, false) => "so the policy does not apply",
            (PartValue::Unknown, true) => {
                "so the policy can apply: for a forbid, one possible address is enough"
            }
            (PartValue::Unknown, false) => {
                "so the policy does not apply: a permit must do so at every address"
            }
            (PartValue::Error, true) => "so the policy can apply: what is before it may fail",
            (PartValue::Error, false) => {
                "so the policy cannot be evaluated, which denies the request"
            }
        };
        format!("{around}{consequence}")
    }
}
