//! `cedargate policy`: check, test, prove, compare, accept, explain and format policies, and list who may what.

mod accept;
mod check;
mod diff;
mod explain;
mod format;
mod prove;
mod save_cases;
mod test;
mod what;
mod who;

mod access_arguments;
mod assumed;
mod catalog_names;
mod explain_record;
mod junit;
mod output_file;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::cli::outcome::CommandResult;
use crate::cli::{block_on, print};
use crate::config::Settings;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::diagnostic_report::render_diagnostics;
use crate::policy::BundleError;
use crate::policy::folder::PolicyFolder;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Parse and validate the policies, their cases and their invariants
    Check(check::CheckArguments),
    /// Compare the decisions of two policy folders over the whole catalog
    Diff(diff::DiffArguments),
    /// Let an edit pass that loses or changes invariants or cases in force; the refusal names its revision
    Accept(accept::AcceptArguments),
    /// Explain why a principal may or may not act on a dataset of the catalog
    Explain(explain::ExplainArguments),
    /// List who may act on a dataset of the catalog, and by which policies
    Who(who::WhoArguments),
    /// List the datasets of the catalog that a principal may act on, and by which policies
    What(what::WhatArguments),
    /// Run the case files in the policy folder
    Test(test::TestArguments),
    /// Prove the invariants for all possible requests; requires cvc5
    Prove(prove::ProveArguments),
    /// Format the policy files in Cedar's layout; the schema is left as it is
    Format {
        /// The policy folder; default: the one in the settings
        dir: Option<PathBuf>,
        /// Write nothing; list the files that are not formatted
        #[arg(long)]
        check: bool,
    },
}

/// Runs a command about policies.
pub(super) fn run(settings: &Settings, command: PolicyCommand) -> CommandResult {
    match command {
        PolicyCommand::Check(arguments) => block_on(check::run(settings, arguments)),
        PolicyCommand::Test(arguments) => test::run(settings, &arguments),
        PolicyCommand::Prove(arguments) => prove::run(settings, &arguments),
        PolicyCommand::Format { dir, check } => format::run(settings, dir.as_deref(), check),
        PolicyCommand::Diff(arguments) => block_on(diff::run(settings, arguments)),
        PolicyCommand::Accept(arguments) => block_on(accept::run(settings, arguments)),
        PolicyCommand::Explain(arguments) => block_on(explain::run(settings, arguments)),
        PolicyCommand::Who(arguments) => block_on(who::run(settings, arguments)),
        PolicyCommand::What(arguments) => block_on(what::run(settings, arguments)),
    }
}

/// Loads the folder that is named, or the one in the settings, or the policies inside the program.
fn load_folder(settings: &Settings, folder: Option<&Path>) -> Result<PolicyFolder, BundleError> {
    match folder.or(settings.policy_dir.as_deref()) {
        Some(folder) => PolicyFolder::load(folder),
        None => PolicyFolder::embedded(),
    }
}

/// Prints warnings beside what a command was asked for.
fn print_warnings(warnings: &[SourceDiagnostic]) {
    if !warnings.is_empty() {
        print::note(render_diagnostics(warnings, print::is_coloured()).trim_end());
    }
}

/// How an edit comes into force that the policy gate refuses because of its invariants or cases.
fn acceptance_note(fingerprint: &str) -> String {
    format!(
        "the policy gate refuses this edit of invariants or cases; if it is meant, accept it in the policy \
         folder of the server: cedargate policy accept {fingerprint}"
    )
}
