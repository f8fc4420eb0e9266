//! The time of a proof, and what it becomes with more policies.
//!
//! It grows with the number of policies, about in proportion (measured from 50 to 400 links), so that the number at which
//! a limit is passed can be told long before.

use std::time::Duration;

use serde::Serialize;

/// The shortest time that says something about the time of more policies.
const MIN_TELLING: Duration = Duration::from_millis(500);
/// The part of a limit from which on a proof is said to come near it, in percent.
const NEAR_PERCENT: u32 = 40;

/// How long the invariants took to prove, and how long that was allowed to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProofTime {
    /// The time that it took, in milliseconds.
    #[serde(rename = "took_millis", serialize_with = "serialize_millis")]
    pub took: Duration,
    /// The time limit, in milliseconds.
    #[serde(rename = "limit_millis", serialize_with = "serialize_millis")]
    pub limit: Duration,
    /// The number of policies, linked ones too.
    pub policies: usize,
    /// The number of request environments in which everything was answered.
    pub answered: usize,
    /// The number of request environments.
    pub environments: usize,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn serialize_millis<S: serde::Serializer>(
    time: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl ProofTime {
    /// "5.5 s of 20 s".
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{} of {}", seconds(self.took), seconds(self.limit))
    }

    /// The number of policies, at which a proof would take as long as `limit`; `None` if that cannot be told.
    #[must_use]
    pub fn policies_at(&self, limit: Duration) -> Option<usize> {
        if self.took < MIN_TELLING || self.answered < self.environments {
            return None;
        }
        let factor = limit.as_secs_f64() / self.took.as_secs_f64();
        let policies = self.policies.to_string().parse::<f64>().ok()? * factor;
        let rounded = two_digits(policies);
        (rounded > self.policies).then_some(rounded)
    }

    /// What the policy gate has to say of its limit: `None` if the proof is far from it.
    #[must_use]
    pub fn gate_warning(&self, limit: Duration) -> Option<String> {
        if self.took * 100 < limit * NEAR_PERCENT {
            return None;
        }
        let (took, limit_text) = (seconds(self.took), seconds(limit));
        if self.took >= limit {
            return Some(format!(
                "proving the invariants took {took}, and the policy gate has {limit_text} for it: it refuses the edit, \
                 unless the server is faster"
            ));
        }
        let policies = self.policies;
        let bound = self.policies_at(limit).map_or_else(String::new, |bound| {
            format!(" with {policies} policies; at about {bound} the limit is passed, and the gate refuses the edit")
        });
        Some(format!(
            "proving the invariants took {took} of the {limit_text} that the policy gate has for it{bound}"
        ))
    }

    /// What is not answered, and how long everything would take; `None` if all is answered.
    #[must_use]
    pub fn unfinished(&self) -> Option<String> {
        if self.answered >= self.environments || self.took < self.limit {
            return None;
        }
        let (answered, all) = (self.answered, self.environments);
        let took = seconds(self.took);
        let total = u32::try_from(all)
            .ok()
            .zip(
                u32::try_from(answered)
                    .ok()
                    .filter(|answered| *answered > 0),
            )
            .map(|(all, answered)| self.took * all / answered);
        let estimate = total.map_or_else(
            || "how long all of them take is not known".to_owned(),
            |total| format!("all of them take about {}", seconds(total)),
        );
        Some(format!(
            "{answered} of {all} request environments were proved in {took}, {estimate}: the limit is gate_proof_limit \
             for the policy gate, and --time-limit for cedargate policy prove"
        ))
    }
}

/// A time in seconds, with one decimal if it is short.
fn seconds(time: Duration) -> String {
    let tenths = time.as_millis().saturating_add(50) / 100;
    if tenths.is_multiple_of(10) || tenths >= 1_000 {
        format!("{} s", tenths / 10)
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}

/// A number with two digits and zeros, rounded down.
fn two_digits(number: f64) -> usize {
    let digits = format!("{:.0}", number.clamp(0.0, 1e12));
    let kept: String = digits
        .chars()
        .enumerate()
        .map(|(place, digit)| if place < 2 { digit } else { '0' })
        .collect();
    kept.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(millis: u64, answered: usize) -> ProofTime {
        ProofTime {
            took: Duration::from_millis(millis),
            limit: Duration::from_secs(20),
            policies: 207,
            answered,
            environments: 17,
        }
    }

    #[test]
    fn a_proof_that_comes_near_its_limit_says_when_it_will_pass_it() {
        let limit = Duration::from_secs(20);
        assert_eq!(took(5_500, 17).summary(), "5.5 s of 20 s");
        assert_eq!(took(5_500, 17).policies_at(limit), Some(750));
        assert_eq!(took(120, 17).policies_at(limit), None);
        assert_eq!(took(5_500, 16).policies_at(limit), None);
        assert_eq!(took(5_500, 17).gate_warning(limit), None);
        let texts = [
            took(8_040, 17).gate_warning(limit),
            took(19_990, 17).gate_warning(limit),
            took(23_000, 17).gate_warning(limit),
            took(20_000, 5).unfinished(),
            took(20_000, 0).unfinished(),
        ];
        let texts = texts.map(Option::unwrap_or_default);
        insta::assert_snapshot!(texts.join("\n"));
        assert_eq!(took(20_000, 17).unfinished(), None);
        assert_eq!(took(900, 5).unfinished(), None);
    }
}
