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
