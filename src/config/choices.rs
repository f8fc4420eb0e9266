//! Settings that are one of a few words, in upper or lower case: header names have no case, and many programs
//! write log levels in capitals.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use strum::{Display, EnumString, VariantNames};

/// How the log is written.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// The least important line that is logged.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What may fail next.
    Warn,
    /// What an operator follows.
    Info,
    /// What a developer follows.
    Debug,
    /// Everything.
    Trace,
}

/// The header in which the trusted proxies name the client; exactly this one is believed.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case", ascii_case_insensitive)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// What forward-auth checks of a download token.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardAuthCheck {
    /// That it is valid for the dataset, and that the policies of now permit it.
    Policy,
    /// That it is valid for the dataset.
    Signature,
}

/// Whether an edit of the policies has to meet its cases.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateCases {
    /// It has to.
    Require,
    /// They are not run.
    Off,
}

/// Whether an edit of the policies has to keep its invariants.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case", ascii_case_insensitive)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateProofs {
    /// It has to, and without a solver none comes into force.
    Require,
    /// It has to where there is a solver.
    IfAvailable,
    /// Nothing is proved.
    Off,
}

/// What an edit of the policies may do to the invariants in force.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateInvariants {
    /// Change or remove some of them, which is on record; not lose most of them.
    Recorded,
    /// Nothing, unless the edit was accepted.
    Locked,
}

/// Whether drafts may be published to the policy folder.
#[derive(Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyWrites {
    /// By whoever may edit the policies.
    Allow,
    /// By nobody.
    Deny,
}

/// Which permits that services ask for have an audit record of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluationRecords {
    /// Each.
    Each,
    /// One for all that are alike within ten minutes.
    Folded,
    /// One of so many of each caller, from 2 to 10,000.
    OneOf(u32),
}

/// How many permits one record may stand for in a sample.
const MAX_SAMPLED: u32 = 10_000;

/// A text that is none of `each`, `folded` and `1/N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected each, folded, or 1/N with N from 2 to {MAX_SAMPLED}")]
pub struct EvaluationRecordsError;

impl FromStr for EvaluationRecords {
    type Err = EvaluationRecordsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("each") {
            return Ok(Self::Each);
        }
        if text.eq_ignore_ascii_case("folded") {
            return Ok(Self::Folded);
        }
        let number = text.strip_prefix("1/").ok_or(EvaluationRecordsError)?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().map_err(|_| EvaluationRecordsError)?;
        if is_plain && (2..=MAX_SAMPLED).contains(&number) {
            Ok(Self::OneOf(number))
        } else {
            Err(EvaluationRecordsError)
        }
    }
}

impl fmt::Display for EvaluationRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each => f.write_str("each"),
            Self::Folded => f.write_str("folded"),
            Self::OneOf(number) => write!(f, "1/{number}"),
        }
    }
}

/// How much disk space is kept for audit records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeDiskFloor {
    /// As much as suits the disk.
    Auto,
    /// So many mebibytes; 0 is none.
    Mebibytes(u32),
}

impl FromStr for FreeDiskFloor {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::Mebibytes)
    }
}

impl fmt::Display for FreeDiskFloor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Mebibytes(mebibytes) => mebibytes.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_permits_are_each_folded_or_a_sample() {
        for (text, expected) in [
            ("each", Some(EvaluationRecords::Each)),
            ("Folded", Some(EvaluationRecords::Folded)),
            ("1/2", Some(EvaluationRecords::OneOf(2))),
            ("1/10000", Some(EvaluationRecords::OneOf(10_000))),
            ("1/1", None),
            ("1/10001", None),
            ("1/+5", None),
            ("2/5", None),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }
}
