//! `cedargate conformance check`: runs the set against a running verifier.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use crate::config::Settings;
use crate::domain::id::{DatasetId, RecordId};
use crate::domain::secret::Secret;
use crate::token::conformance::{ConformanceCase, ConformanceCases};

use super::attempt::{Answer, SendAttempt, Sender, Statuses, client};
use super::check_arguments::ConformanceCheckArguments;
use super::report::{CheckParties, CheckReport, CheckedToken};
use super::signer::{FETCH_PAUSE, MAX_FETCH_ATTEMPTS, Signer};
use super::template::HeaderTemplate;
use super::waiting::Waiting;
use crate::cli::outcome::{CommandError, CommandResult};
use crate::cli::print;

/// Sends every token of the set to the verifier, and reports its verdicts.
pub(in crate::cli) async fn run(
    settings: &Settings,
    arguments: ConformanceCheckArguments,
) -> CommandResult {
    check_places(&arguments)?;
    let dataset_id = arguments.dataset_id.unwrap_or_else(DatasetId::random);
    let set = ConformanceCases::load()?;
    let bar = print::progress("conformance check");
    let sender = sender(&arguments)?;
    let signer = Signer::open(settings, &arguments, dataset_id).await?;
    let result = Check {
        signer: &signer,
        sender: &sender,
        arguments: &arguments,
        waiting: Waiting::new(bar.clone()),
    }
    .run(&set, &bar)
    .await;
    bar.finish_and_clear();
    let parties = CheckParties {
        url_template: sender.url.as_str(),
        issuer: &signer.parties.issuer,
        audience: &signer.parties.audience,
        dataset_id: dataset_id.to_string(),
    };
    let report = result.map(|tokens| CheckReport::new(parties, tokens).print(arguments.json));
    signer.close().await;
    report?
}

fn check_places(arguments: &ConformanceCheckArguments) -> Result<(), CommandError> {
    let headers = &arguments.header;
    if !arguments.url_template.has_token() && !headers.iter().any(HeaderTemplate::has_token) {
        return Err(
            CommandError::usage("the token is in no place of the request")
                .with_hint("put {token} into --url-template, or into a --header"),
        );
    }
    let has_id = arguments.url_template.has_dataset_id()
        || headers.iter().any(HeaderTemplate::has_dataset_id);
    if !has_id && arguments.dataset_id.is_none() {
        return Err(
            CommandError::usage("the request does not say which dataset is asked for").with_hint(
                "put {dataset_id} into --url-template, or name the dataset with --dataset-id",
            ),
        );
    }
    Ok(())
}

fn sender(arguments: &ConformanceCheckArguments) -> Result<Sender, CommandError> {
    let timeout = Duration::from_secs(arguments.timeout.into());
    let url = arguments.url_template.fill("", "");
    let url = url.map_err(CommandError::usage)?;
    let is_loopback = match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.starts_with("127."),
        None => false,
    };
    Ok(Sender {
        client: client(timeout, is_loopback).map_err(CommandError::new)?,
        url: arguments.url_template.clone(),
        headers: arguments.header.clone(),
        statuses: Statuses {
            accepted: arguments.accept_status.clone(),
            refused: arguments.refuse_status.clone(),
            is_dataset_invented: arguments.dataset_id.is_none(),
        },
    })
}

/// A check that is under way.
struct Check<'a> {
    signer: &'a Signer,
    sender: &'a Sender,
    arguments: &'a ConformanceCheckArguments,
    waiting: Waiting,
}

impl Check<'_> {
    async fn run<'s>(
        &self,
        all: &'s ConformanceCases,
        bar: &indicatif::ProgressBar,
    ) -> Result<Vec<CheckedToken<'s>>, CommandError> {
        // What is asked for by another id is about the code that calls a verifier: the URL has one id here.
        let cases: Vec<&ConformanceCase> = all
            .cases
            .iter()
            .filter(|case| case.dataset.is_none())
            .collect();
        self.probe().await?;
        let ids = self.signer.ids(&cases).await?;
        bar.set_length(u64::try_from(cases.len()).unwrap_or_default());
        if let (Some(case), Some(id)) = (cases.first(), ids.first()) {
            self.wait_for_key(case, *id).await?;
        }
        let checked = stream::iter(cases.into_iter().zip(ids))
            .map(|(case, id)| async move {
                let checked = self.check(all, case, id).await;
                bar.inc(1);
                checked
            })
            .buffered(self.arguments.concurrency.into());
        let checked: Vec<_> = checked.collect().await;
        checked.into_iter().collect()
    }

    /// Sees that there is a verifier, before anything is signed for it.
    async fn probe(&self) -> Result<(), CommandError> {
        let asked = self.signer.parties.dataset_id.to_string();
        let SendAttempt::Answered(answer, status) = self.sender.send(&asked, "").await else {
            return Ok(());
        };
        match (answer, status) {
            (Answer::Failed(reason), None) => Err(CommandError::new(format!(
                "the verifier cannot be reached: {reason}"
            ))),
            (_, Some(404)) if self.arguments.dataset_id.is_none() => Err(CommandError::new(
                "the verifier answers 404 to a request without a token, so that 404 tells nothing",
            )
            .with_hint(
                "name a dataset that it serves with --dataset-id, and see that the URL is right",
            )),
            _ => Ok(()),
        }
    }

    /// Sends a good token until the verifier has fetched the key set that is published here.
    async fn wait_for_key(&self, case: &ConformanceCase, id: RecordId) -> Result<(), CommandError> {
        if self.signer.publisher.is_none() {
            return Ok(());
        }
        for _ in 0..MAX_FETCH_ATTEMPTS {
            let sent = self.send(case, id).await?;
            if sent.is_none_or(|sent| sent.answer == Answer::Accepted) {
                return Ok(());
            }
            tokio::time::sleep(FETCH_PAUSE).await;
        }
        Ok(())
    }

    async fn check<'s>(
        &self,
        all: &'s ConformanceCases,
        case: &'s ConformanceCase,
        id: RecordId,
    ) -> Result<CheckedToken<'s>, CommandError> {
        let kind = all.kinds.get(&case.kind);
        let why = kind.map_or("", |kind| kind.why.as_str());
        let Some(sent) = self.send(case, id).await? else {
            let reason = if case.needs_throwaway_key {
                "needs --listen"
            } else if case.is_of_user() {
                "needs --user"
            } else {
                "not with this key or dataset"
            };
            let answer = Answer::NotSent(reason.to_owned());
            return Ok(CheckedToken::new(case, why, &answer, None, None));
        };
        let is_shown = self.arguments.show_tokens;
        let token = is_shown.then(|| sent.token.reveal().clone());
        Ok(CheckedToken::new(
            case,
            why,
            &sent.answer,
            sent.status,
            token,
        ))
    }

    /// Sends the token of a case; makes it anew and sends it again as long as the verifier asks to wait.
    async fn send(
        &self,
        case: &ConformanceCase,
        id: RecordId,
    ) -> Result<Option<SentToken>, CommandError> {
        loop {
            let Some(made) = self.signer.forge.make(case, self.signer.now(), id)? else {
                return Ok(None);
            };
            let sending = self.sender.send(&made.dataset_id, made.token.reveal());
            let (answer, status) = match sending.await {
                SendAttempt::Answered(answer, status) => (answer, status),
                SendAttempt::Limited(asked, status) => {
                    if self.waiting.wait(asked).await {
                        continue;
                    }
                    (
                        Answer::Failed("limited for too long".to_owned()),
                        Some(status),
                    )
                }
            };
            return Ok(Some(SentToken {
                token: made.token,
                answer,
                status,
            }));
        }
    }
}

/// A token that was sent, and what came of it.
struct SentToken {
    token: Secret<String>,
    answer: Answer,
    status: Option<u16>,
}
