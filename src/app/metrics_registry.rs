//! The metrics of the process: its recorder, and every metric that there is, with its help text.
//!
//! The rule: a metric exists from the start, with 0 and with each of its label values, so that an alarm
//! on it can be tested before there is a reason for it, and a rate has a first value to grow from. So
//! label values are of known sets; nothing that a client sends is one. A metric that is counted and not
//! registered here, or where its label values are known, fails the test of the metrics page.

use std::sync::OnceLock;

use metrics::Label;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use strum::VariantArray;

use crate::domain::audit::{AuditEvent, AuditOutcome};
use crate::domain::issuer::ExternalIssuer;
use crate::domain::remote_store::RemoteStore;
use crate::domain::text_enum::TextEnum;
use crate::domain::token_refusal::TokenCheck;
use crate::http::server::close_reason::CloseReason;
use crate::http::server::trusted_proxies::AddressFinding;

use super::AppError;

/// Starts recording, before anything is counted. The process has one recorder, however many apps a test
/// starts.
pub(super) fn start_metrics(
    issuers: &[ExternalIssuer],
    stores: &[RemoteStore],
) -> Result<PrometheusHandle, AppError> {
    static RECORDER: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    let installed = RECORDER.get_or_init(|| {
        PrometheusBuilder::new()
            .install_recorder()
            .map_err(|error| error.to_string())
    });
    let handle = installed.clone();
    let handle = handle.map_err(|reason| AppError::Metrics { reason })?;
    register_request_counters();
    register_policy_metrics();
    register_counter(
        "cedargate_issuer_fetches_total",
        "Fetches of the keys of an identity provider: fetched or failed.",
        &issuers
            .iter()
            .flat_map(|issuer| {
                ["fetched", "failed"].map(|outcome| {
                    let issuer = Label::new("issuer", issuer.issuer.clone());
                    vec![issuer, Label::from_static_parts("outcome", outcome)]
                })
            })
            .collect::<Vec<_>>(),
    );
    let names = stores.iter().map(|store| store.name.to_string());
    let names = names.chain(["url".to_owned()]);
    register_counter(
        "cedargate_store_failures_total",
        "Requests that a store of files did not answer, or refused; `url` is all servers of files at URLs.",
        &names
            .map(|name| vec![Label::new("store", name)])
            .collect::<Vec<_>>(),
    );
    Ok(handle)
}

fn register_request_counters() {
    let labels = |name, values: &mut dyn Iterator<Item = &'static str>| -> Vec<Vec<Label>> {
        values
            .map(|value| vec![Label::from_static_parts(name, value)])
            .collect()
    };
    let mut decided = Vec::new();
    for event in AuditEvent::VARIANTS {
        for outcome in AuditOutcome::VARIANTS {
            decided.push(vec![
                Label::from_static_parts("event", event.as_str()),
                Label::from_static_parts("outcome", outcome.as_str()),
            ]);
        }
    }
    register_counter(
        "cedargate_decided_total",
        "Mints, downloads, logins and other operations on record, by outcome: granted, denied by policy, or refused.",
        &decided,
    );
    register_counter(
        "cedargate_access_evaluations_total",
        "Decisions that services asked for (AuthZEN), with and without a record of their own.",
        &labels("decision", &mut ["permit", "deny"].into_iter()),
    );
    register_counter(
        "cedargate_undecided_total",
        "Requests that ended before a decision: malformed credential, rate limit, or a dependency unavailable.",
        &labels(
            "event",
            &mut AuditEvent::VARIANTS.iter().map(|it| it.as_str()),
        ),
    );
    register_counter(
        "cedargate_audit_failures_total",
        "Requests that failed because their audit record could not be written.",
        &[Vec::new()],
    );
    register_counter(
        "cedargate_log_lines_dropped_total",
        "Log lines that were dropped because standard error was not read in time.",
        &[Vec::new()],
    );
    register_counter(
        "cedargate_connections_closed_total",
        "Connections closed for the sake of others: displaced, no_place or too_slow.",
        &labels("reason", &mut CloseReason::VARIANTS.iter().map(Into::into)),
    );
    let checks = <TokenCheck as VariantArray>::VARIANTS.iter();
    register_counter(
        "cedargate_external_tokens_refused_total",
        "Tokens of identity providers that were refused, by the check that failed.",
        &labels("reason", &mut checks.map(|check| check.as_str())),
    );
    register_counter(
        "cedargate_unknown_addresses_total",
        "Requests of trusted proxies that do not tell the client's address, by cause.",
        &labels(
            "cause",
            &mut AddressFinding::OF_UNKNOWN.iter().map(Into::into),
        ),
    );
}

fn register_policy_metrics() {
    register_counter(
        "cedargate_policy_evaluation_errors_total",
        "Policies that could not be evaluated; each time the request was denied.",
        &[Vec::new()],
    );
    register_counter(
        "cedargate_policy_reloads_total",
        "Edits of the policies: granted are in force, refused are not.",
        &[AuditOutcome::Granted, AuditOutcome::Refused]
            .map(|outcome| vec![Label::from_static_parts("outcome", outcome.as_str())]),
    );
    register_counter(
        "cedargate_policy_proofs_total",
        "Policies of checked folders: proved are those of which something had to be proved, remembered the others.",
        &["proved", "remembered"].map(|result| vec![Label::from_static_parts("result", result)]),
    );
    let name = "cedargate_policy_folder_refused";
    metrics::describe_gauge!(
        name,
        "1 while the policy folder is refused and earlier policies are in force, otherwise 0."
    );
    metrics::gauge!(name).increment(0);
}

fn register_counter(name: &'static str, help: &'static str, series: &[Vec<Label>]) {
    metrics::describe_counter!(name, help);
    for labels in series {
        metrics::counter!(name, labels.clone()).increment(0);
    }
}
