//! One attempt: a request with one token, and what the verifier's answer says about it.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{HeaderMap, RANGE, RETRY_AFTER};
use reqwest::{Client, StatusCode, redirect};
use serde::Serialize;

use crate::domain::error_chain::error_chain;

use super::template::{HeaderTemplate, UrlTemplate};

/// A status in the place of another one, as a forward-auth answer has it.
const ERROR_STATUS: &str = "x-error-status";

/// What the verifier did with a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It let it pass.
    Accepted,
    /// It did not.
    Refused,
    /// Neither: it failed, or sent the client elsewhere.
    Failed(String),
    /// The token cannot be sent in this way.
    NotSent(String),
}

/// What came of sending a token once.
pub(super) enum SendAttempt {
    /// An answer, and its status.
    Answered(Answer, Option<u16>),
    /// The verifier has too much to do, for so long; the status that says so.
    Limited(Option<Duration>, u16),
}

/// Which statuses mean what.
#[derive(Clone, Debug)]
pub(super) struct Statuses {
    /// Statuses that mean accepted, besides 2xx.
    pub(super) accepted: Vec<u16>,
    /// Statuses that mean refused, besides those of [`REFUSED`].
    pub(super) refused: Vec<u16>,
    /// Whether the dataset may be one that the verifier does not have: then 404 comes after the token was accepted.
    pub(super) is_dataset_invented: bool,
}

/// A token that is no good, and one that is too long or no text.
const REFUSED: [u16; 8] = [400, 401, 403, 410, 413, 414, 422, 431];

/// How tokens are sent.
pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) url: UrlTemplate,
    pub(super) headers: Vec<HeaderTemplate>,
    pub(super) statuses: Statuses,
}

/// The client: no redirects, no proxy to loopback, and an end to everything.
pub(super) fn client(timeout: Duration, is_loopback: bool) -> Result<Client, reqwest::Error> {
    let builder = Client::builder()
        .connect_timeout(timeout)
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("cedargate-conformance/", env!("CARGO_PKG_VERSION")));
    if is_loopback {
        builder.no_proxy().build()
    } else {
        builder.build()
    }
}

impl Sender {
    /// Sends a token once.
    pub(super) async fn send(&self, dataset_id: &str, token: &str) -> SendAttempt {
        let (status, headers) = match self.send_once(dataset_id, token).await {
            Ok(found) => found,
            Err(answer) => return SendAttempt::Answered(answer, None),
        };
        let inner = headers
            .get(ERROR_STATUS)
            .and_then(|value| value.to_str().ok());
        // Only a refusal may stand for another error: whatever is let through is let through.
        let meant = inner
            .filter(|_| status == StatusCode::FORBIDDEN)
            .and_then(|text| text.parse().ok())
            .filter(|meant| (400..600).contains(meant))
            .unwrap_or(status.as_u16());
        let asked = retry_after(&headers);
        if meant == 429 || meant == 503 && asked.is_some() {
            return SendAttempt::Limited(asked, meant);
        }
        SendAttempt::Answered(self.statuses.answer_of(meant), Some(meant))
    }

    async fn send_once(
        &self,
        dataset_id: &str,
        token: &str,
    ) -> Result<(StatusCode, HeaderMap), Answer> {
        let url = self.url.fill(dataset_id, token).map_err(Answer::NotSent)?;
        // One byte is enough: the verdict is in the status.
        let mut request = self.client.get(url).header(RANGE, "bytes=0-0");
        for header in &self.headers {
            let (name, value) = header
                .fill(dataset_id, token)
                .ok_or_else(|| Answer::NotSent("this token cannot be in a header".to_owned()))?;
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| {
            // The URL has the token, and must not be told.
            let error = error.without_url();
            let cause = error.source().map(error_chain);
            Answer::Failed(cause.unwrap_or_else(|| error.to_string()))
        })?;
        Ok((response.status(), response.headers().clone()))
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.parse().ok().map(Duration::from_secs)
}

impl Statuses {
    fn answer_of(&self, status: u16) -> Answer {
        if self.accepted.contains(&status) {
            return Answer::Accepted;
        }
        if self.refused.contains(&status) || REFUSED.contains(&status) {
            return Answer::Refused;
        }
        match status {
            404 if self.is_dataset_invented => Answer::Accepted,
            404 => Answer::Refused,
            // The range of an empty file; nobody looks at it before the token.
            200..300 | 416 => Answer::Accepted,
            300..400 => Answer::Failed("a redirect is no verdict".to_owned()),
            status => Answer::Failed(format!("status {status} is no verdict")),
        }
    }
}

impl Answer {
    pub(super) fn word(&self) -> &str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Failed(reason) | Self::NotSent(reason) => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(is_dataset_invented: bool) -> Statuses {
        Statuses {
            accepted: vec![302],
            refused: vec![499],
            is_dataset_invented,
        }
    }

    #[test]
    fn statuses_mean_what_the_page_says() {
        let known = statuses(false);
        for status in [200, 204, 206, 302, 416] {
            assert_eq!(known.answer_of(status), Answer::Accepted, "{status}");
        }
        for status in [400, 401, 403, 404, 414, 431, 499] {
            assert_eq!(known.answer_of(status), Answer::Refused, "{status}");
        }
        for status in [301, 304, 307, 405, 500, 502, 503] {
            assert!(
                matches!(known.answer_of(status), Answer::Failed(_)),
                "{status}"
            );
        }
        assert_eq!(statuses(true).answer_of(404), Answer::Accepted);
    }
}
