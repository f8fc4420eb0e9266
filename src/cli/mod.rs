//! Floor 4: the command line, one file a verb.
//!
//! A verb does its work through the floors below and returns what there is to say; only
//! [`mod@print`] prints. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the check says no. This module
//! refuses to know how anything is done.

mod api_key;
mod audit;
mod catalog;
mod config;
mod dataset;
mod demo;
mod logging;
mod openapi;
mod password;
mod policy;
pub mod print;
mod serve;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Settings, Sources};
use crate::domain::id::DatasetId;
use crate::domain::name::Username;
use crate::policy::complexity::STACK_OF_DECISIONS;

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
    /// Work with users, on the database itself
    #[command(subcommand)]
    User(UserVerb),
    /// Look at datasets, on the database itself
    #[command(subcommand)]
    Dataset(DatasetVerb),
    /// Share datasets, on the database itself
    #[command(subcommand)]
    Share(ShareVerb),
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
enum UserVerb {
    /// Make a user and print its id; its password is asked for, or read from standard input
    Add(user::AddArguments),
    /// Print all users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make all credentials of a user invalid
    Disable {
        /// The user's name
        name: Username,
    },
    /// Let a disabled user in again
    Enable {
        /// The user's name
        name: Username,
    },
    /// Give a user a password, asked for or read from standard input; its sessions end
    Password {
        /// The user's name
        name: Username,
    },
}

#[derive(Debug, Subcommand)]
enum DatasetVerb {
    /// Print all datasets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print one dataset with its owner, its readers and its file
    Show {
        /// The dataset's id
        id: DatasetId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ShareVerb {
    /// Share a dataset with a user or a role
    Add(dataset::ShareArguments),
    /// Withdraw the share of a user or a role
    Remove(dataset::ShareArguments),
}

#[derive(Debug, Subcommand)]
enum ApiKeyVerb {
    /// Make a key and print it, this once
    Create(api_key::CreateArguments),
}

#[derive(Debug, Subcommand)]
enum PolicyVerb {
    /// Parse and validate the policies, their cases and their invariants
    Check {
        /// The policy folder; the settings' one if left out
        dir: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what an edit changes over the whole catalog
    Diff(policy::diff::Arguments),
    /// Tell why a principal may or may not do something to a dataset of the live catalog
    Explain(policy::explain::Arguments),
    /// Run the case files beside the policies
    Test(policy::test::TestArguments),
    /// Prove the invariants for all possible requests; needs cvc5
    Prove(policy::prove::ProveArguments),
    /// Lay out the policy files as Cedar does; the schema stays as it is
    Format {
        /// The policy folder; the settings' one if left out
        dir: Option<PathBuf>,
        /// Write nothing: list the files that are out of order
        #[arg(long)]
        check: bool,
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
        Verb::Policy(PolicyVerb::Check { dir, json }) => {
            policy::check::run(settings, dir.as_deref(), json)
        }
        Verb::Policy(PolicyVerb::Test(arguments)) => policy::test::run(settings, &arguments),
        Verb::Policy(PolicyVerb::Prove(arguments)) => policy::prove::run(settings, &arguments),
        Verb::Policy(PolicyVerb::Format { dir, check }) => {
            policy::format::run(settings, dir.as_deref(), check)
        }
        Verb::Policy(PolicyVerb::Diff(arguments)) => {
            in_runtime(policy::diff::show(settings, arguments))
        }
        Verb::Policy(PolicyVerb::Explain(arguments)) => {
            in_runtime(policy::explain::show(settings, arguments))
        }
        Verb::Serve { demo } => {
            logging::start(settings)?;
            in_runtime(serve::serve(settings, demo))
        }
        Verb::Catalog(CatalogVerb::Apply { file, prune, json }) => {
            in_runtime(catalog::apply(settings, &file, prune, json))
        }
        Verb::User(verb) => in_runtime(administer_users(settings, verb)),
        Verb::Dataset(DatasetVerb::List { json }) => in_runtime(dataset::list(settings, json)),
        Verb::Dataset(DatasetVerb::Show { id, json }) => {
            in_runtime(dataset::show(settings, id, json))
        }
        Verb::Share(ShareVerb::Add(arguments)) => {
            in_runtime(dataset::share(settings, arguments, true))
        }
        Verb::Share(ShareVerb::Remove(arguments)) => {
            in_runtime(dataset::share(settings, arguments, false))
        }
        Verb::ApiKey(ApiKeyVerb::Create(arguments)) => {
            in_runtime(api_key::create(settings, arguments))
        }
        Verb::Audit(AuditVerb::Export) => in_runtime(audit::export(settings)),
        Verb::Openapi => in_runtime(openapi::show(settings)),
    }
}

async fn administer_users(settings: &Settings, verb: UserVerb) -> Result<Ending, Failure> {
    match verb {
        UserVerb::Add(arguments) => user::add(settings, arguments).await,
        UserVerb::List { json } => user::list(settings, json).await,
        UserVerb::Disable { name } => user::set_disabled(settings, &name, true).await,
        UserVerb::Enable { name } => user::set_disabled(settings, &name, false).await,
        UserVerb::Password { name } => user::set_password(settings, &name).await,
    }
}

/// Prints the one thing that a verb has to show, and is done.
fn show(text: impl std::fmt::Display) -> Result<Ending, Failure> {
    print::data(text)
        .map(|()| Ending::Done)
        .map_err(|error| Failure::new(format!("standard output cannot be written: {error}")))
}

fn in_runtime(work: impl Future<Output = Result<Ending, Failure>>) -> Result<Ending, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_OF_DECISIONS)
        .build()
        .map_err(|error| Failure::new(format!("the runtime does not start: {error}")))?
        .block_on(work)
}
