//! Floor 4: the command line, one file a verb.
//!
//! A verb does its work through the floors below and returns what there is to say; only
//! [`mod@print`] prints. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the check says no. This module
//! refuses to know how anything is done.

mod api_key;
mod audit;
mod catalog;
mod config;
mod demo;
mod logging;
mod openapi;
mod policy;
mod policy_diff;
pub mod print;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Settings, Sources};

/// Decides who may download what, and mints the tokens that open it.
#[derive(Debug, Parser)]
#[command(name = "cedargate", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start the server
    Serve {
        /// Create a demo catalog once, and print what to paste; listens on loopback only
        #[arg(long)]
        demo: bool,
    },
    /// Work with the catalog of datasets, users and roles
    #[command(subcommand)]
    Catalog(CatalogVerb),
    /// Work with API keys
    #[command(subcommand)]
    ApiKey(ApiKeyVerb),
    /// Work with policies
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Work with the audit records
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Print the settings in force and where each comes from
    Config {
        /// Print JSON
        #[arg(long, conflicts_with = "markdown")]
        json: bool,
        /// Print the reference of all settings as a Markdown table
        #[arg(long)]
        markdown: bool,
    },
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Debug, Subcommand)]
enum CatalogVerb {
    /// Make the catalog what a file says
    Apply {
        /// The catalog file
        file: PathBuf,
        /// Remove what the file does not name
        #[arg(long)]
        prune: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ApiKeyVerb {
    /// Make a key and print it, this once
    Create(api_key::CreateArguments),
}

#[derive(Debug, Subcommand)]
enum PolicyVerb {
    /// Parse and validate the policies
    Check {
        /// The policy folder; the settings' one if left out
        dir: Option<PathBuf>,
    },
    /// Tell what an edit changes over the whole catalog
    Diff(policy_diff::Arguments),
    /// Run the case files beside the policies
    Test {
        /// The policy folder; the settings' one if left out
        dir: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    /// Print all audit records as JSON Lines, oldest first
    Export,
}

/// How a verb ended, if not badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It did what it was asked.
    Done,
    /// It checked, and the answer is no.
    No,
}

/// Why a verb failed, for a person.
#[derive(Debug)]
struct Failure {
    /// What went wrong; may have several lines.
    error: String,
    /// What to do about it.
    hint: Option<String>,
    /// The exit code.
    code: u8,
}

impl Failure {
    fn new(error: impl std::fmt::Display) -> Self {
        Self {
            error: error.to_string(),
            hint: None,
            code: 1,
        }
    }

    fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// Runs the verb that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = Sources::of_process()
        .and_then(|sources| Settings::load(&sources))
        .map_err(|error| Failure {
            error: error.to_string(),
            hint: error.hint(),
            code: 2,
        })
        .and_then(|settings| perform(arguments.verb, &settings));
    match ended {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::No) => ExitCode::from(3),
        Err(failure) => {
            print::error(&failure.error);
            if let Some(hint) = &failure.hint {
                print::hint(hint);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn perform(verb: Verb, settings: &Settings) -> Result<Ending, Failure> {
    match verb {
        Verb::Config { json, markdown } => config::show(settings, json, markdown),
        Verb::Policy(PolicyVerb::Check { dir }) => policy::check(settings, dir.as_deref()),
        Verb::Policy(PolicyVerb::Test { dir, json }) => {
            policy::test(settings, dir.as_deref(), json)
        }
        Verb::Policy(PolicyVerb::Diff(arguments)) => {
            in_runtime(policy_diff::show(settings, arguments))
        }
        Verb::Serve { demo } => {
            logging::start(settings)?;
            in_runtime(serve::serve(settings, demo))
        }
        Verb::Catalog(CatalogVerb::Apply { file, prune, json }) => {
            in_runtime(catalog::apply(settings, &file, prune, json))
        }
        Verb::ApiKey(ApiKeyVerb::Create(arguments)) => {
            in_runtime(api_key::create(settings, arguments))
        }
        Verb::Audit(AuditVerb::Export) => in_runtime(audit::export(settings)),
        Verb::Openapi => in_runtime(openapi::show(settings)),
    }
}

/// Prints the one thing that a verb has to show, and is done.
fn show(text: impl std::fmt::Display) -> Result<Ending, Failure> {
    print::data(text)
        .map(|()| Ending::Done)
        .map_err(|error| Failure::new(format!("standard output cannot be written: {error}")))
}

fn in_runtime(work: impl Future<Output = Result<Ending, Failure>>) -> Result<Ending, Failure> {
    tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(format!("the runtime does not start: {error}")))?
        .block_on(work)
}
