//! The commands about policies, with their arguments.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::outcome::CommandResult;
use crate::cli::runtime::block_on;
use crate::config::Settings;

use super::{accept, check, diff, explain, format, prove, test, what, who};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PolicyCommand {
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
pub(in crate::cli) fn run(settings: &Settings, command: PolicyCommand) -> CommandResult {
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
