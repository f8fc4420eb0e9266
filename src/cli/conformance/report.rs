//! The report of a check: a row for each token, as a table or as JSON.

use serde::Serialize;

use crate::token::conformance::{ConformanceCase, Verdict};

use super::attempt::Answer;
use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use crate::cli::print;

/// What came of one token.
#[derive(Serialize)]
pub(super) struct CheckedToken<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    expected: &'static str,
    pub(super) status: Option<u16>,
    got: String,
    pub(super) verdict: TokenVerdict,
    why: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Whether the verifier was right about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TokenVerdict {
    Right,
    Wrong,
    /// The verifier came to no verdict.
    Failed,
    /// The token was not sent.
    LeftOut,
}

/// The whole check.
#[derive(Serialize)]
pub(super) struct CheckReport<'a> {
    pub(super) url_template: &'a str,
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) dataset_id: String,
    is_passed: bool,
    right: usize,
    wrong: usize,
    failed: usize,
    left_out: usize,
    tokens: Vec<CheckedToken<'a>>,
}

/// The parties of a check, as a report names them.
pub(super) struct CheckParties<'a> {
    pub(super) url_template: &'a str,
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) dataset_id: String,
}

impl<'a> CheckedToken<'a> {
    pub(super) fn new(
        case: &'a ConformanceCase,
        why: &'a str,
        answer: &Answer,
        status: Option<u16>,
        token: Option<String>,
    ) -> Self {
        let verdict = match (answer, case.expected()) {
            (Answer::NotSent(_), _) => TokenVerdict::LeftOut,
            (Answer::Failed(_), _) => TokenVerdict::Failed,
            (Answer::Accepted, Verdict::Accept | Verdict::Either)
            | (Answer::Refused, Verdict::Refuse | Verdict::Either) => TokenVerdict::Right,
            (Answer::Accepted, Verdict::Refuse) | (Answer::Refused, Verdict::Accept) => {
                TokenVerdict::Wrong
            }
        };
        Self {
            name: &case.name,
            kind: &case.kind,
            expected: case.expected().as_str(),
            status,
            got: answer.word().to_owned(),
            verdict,
            why: case.why.as_deref().unwrap_or(why),
            token,
        }
    }
}

impl TokenVerdict {
    fn word(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "WRONG",
            Self::Failed => "FAILED",
            Self::LeftOut => "left out",
        }
    }
}

impl<'a> CheckReport<'a> {
    pub(super) fn new(parties: CheckParties<'a>, tokens: Vec<CheckedToken<'a>>) -> Self {
        let count = |verdict| {
            tokens
                .iter()
                .filter(|token| token.verdict == verdict)
                .count()
        };
        let [right, wrong, failed, left_out] = [
            TokenVerdict::Right,
            TokenVerdict::Wrong,
            TokenVerdict::Failed,
            TokenVerdict::LeftOut,
        ]
        .map(count);
        Self {
            url_template: parties.url_template,
            issuer: parties.issuer,
            audience: parties.audience,
            dataset_id: parties.dataset_id,
            is_passed: wrong == 0 && failed == 0,
            right,
            wrong,
            failed,
            left_out,
            tokens,
        }
    }

    /// Whether no good token was accepted, so that nothing else means anything.
    pub(super) fn accepted_none(&self) -> bool {
        let mut good = self
            .tokens
            .iter()
            .filter(|token| token.expected == "accept");
        good.all(|token| token.verdict != TokenVerdict::Right)
    }

    /// Prints the report, and the sum of it as a message.
    pub(super) fn print(&self, is_json: bool) -> CommandResult {
        if is_json {
            print_json(self)?;
        } else {
            let mut table = print::table(["NAME", "EXPECTED", "GOT", "STATUS", "VERDICT"]);
            for token in &self.tokens {
                let status = token.status.map(|status| status.to_string());
                table.add_row([
                    token.name,
                    token.expected,
                    &token.got,
                    status.as_deref().unwrap_or("-"),
                    token.verdict.word(),
                ]);
            }
            print_data(table.trim_fmt())?;
        }
        print::note(self.summary());
        if self.is_passed {
            return Ok(ExitStatus::Success);
        }
        if self.accepted_none() {
            return Err(CommandError::check("no good token was accepted").with_hint(
                "see that the verifier serves the dataset (--dataset-id), and has this issuer and audience",
            ));
        }
        Ok(ExitStatus::CheckFailed)
    }

    fn summary(&self) -> String {
        let sent = self.tokens.len() - self.left_out;
        let mut text = format!("{} of {sent} verdicts are right", self.right);
        for (count, word) in [
            (self.wrong, "wrong"),
            (self.failed, "failed"),
            (self.left_out, "left out"),
        ] {
            if count > 0 {
                text = format!("{text}; {count} {word}");
            }
        }
        text
    }
}
