//! Decisions of the policies.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest life of a download token, in seconds.
pub const MAX_TOKEN_TTL: u32 = 120;

/// The decision of the policies on one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the action is permitted; never true when `errors` is not empty.
    pub is_permitted: bool,
    /// The ids (`@id`) of the policies that determined the decision, sorted.
    pub determining_policies: Vec<String>,
    /// What went wrong in evaluating policies, one message an error. Any error denies.
    pub errors: Vec<String>,
    /// The shortest `@max_ttl` of the determining permits, in seconds: 1 to [`MAX_TOKEN_TTL`].
    pub max_ttl: u32,
    /// The bundle that decided.
    pub revision: Revision,
}

impl Decision {
    /// The decision on two readings of one question: permitted only if both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let is_permitted = self.is_permitted && other.is_permitted;
        let mut determining_policies = Vec::new();
        let mut errors = self.errors;
        errors.extend(other.errors);
        for (reading, policies) in [
            (self.is_permitted, self.determining_policies),
            (other.is_permitted, other.determining_policies),
        ] {
            if reading == is_permitted {
                determining_policies.extend(policies);
            }
        }
        for list in [&mut determining_policies, &mut errors] {
            list.sort();
            list.dedup();
        }
        Self {
            is_permitted,
            determining_policies,
            errors,
            max_ttl: self.max_ttl.min(other.max_ttl),
            revision: self.revision,
        }
    }
}

/// The SHA-256 of a bundle's files in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub Arc<str>);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
