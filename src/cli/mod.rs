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

use crate::config::{SettingSources, Settings};
use crate::domain::id::DatasetId;
use crate::domain::name::Username;
use crate::policy::complexity::DECISION_STACK_SIZE;

/// Decides who may download what, and mints the tokens that open it.
#[derive(Debug, Parser)]
#[command(name = "cedargate", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    Serve {
        /// Create a demo catalog once, and print what to paste; listens on loopback only
        #[arg(long)]
        demo: bool,
    },
    /// Work with the catalog of datasets, users and roles
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Work with users, on the database itself
    #[command(subcommand)]
    User(UserCommand),
    /// Look at datasets, on the database itself
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Share datasets, on the database itself
    #[command(subcommand)]
    Share(ShareCommand),
    /// Work with API keys
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Work with policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Work with the audit records
    #[command(subcommand)]
    Audit(AuditCommand),
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
enum CatalogCommand {
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
enum UserCommand {
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
enum DatasetCommand {
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
enum ShareCommand {
    /// Share a dataset with a user or a role
    Add(dataset::ShareArguments),
    /// Withdraw the share of a user or a role
    Remove(dataset::ShareArguments),
}

#[derive(Debug, Subcommand)]
enum ApiKeyCommand {
    /// Make a key and print it, this once
    Create(api_key::CreateArguments),
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Parse and validate the policies, their cases and their invariants
    Check {
        /// The policy folder; the settings' one if left out
        dir: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what an edit changes over the whole catalog
    Diff(policy::diff::DiffArguments),
    /// Tell why a principal may or may not do something to a dataset of the live catalog
    Explain(policy::explain::ExplainArguments),
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
enum AuditCommand {
    /// Print all audit records as JSON Lines, oldest first
    Export,
}

/// How a verb ended, if not badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExitStatus {
    /// It did what it was asked.
    Success,
    /// It checked, and the answer is no.
    CheckFailed,
}

/// Why a verb failed, for a person.
#[derive(Debug)]
struct CommandError {
    /// What went wrong; may have several lines.
    message: String,
    /// What to do about it.
    hint: Option<String>,
    /// The exit code.
    exit_code: u8,
}

impl CommandError {
    fn new(error: impl std::fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            hint: None,
            exit_code: 1,
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
    let ended = SettingSources::from_process()
        .and_then(|sources| Settings::load(&sources))
        .map_err(|error| CommandError {
            message: error.to_string(),
            hint: error.hint(),
            exit_code: 2,
        })
        .and_then(|settings| dispatch(arguments.command, &settings));
    match ended {
        Ok(ExitStatus::Success) => ExitCode::SUCCESS,
        Ok(ExitStatus::CheckFailed) => ExitCode::from(3),
        Err(failure) => {
            print::error(&failure.message);
            if let Some(hint) = &failure.hint {
                print::hint(hint);
            }
            ExitCode::from(failure.exit_code)
        }
    }
}

fn dispatch(verb: Command, settings: &Settings) -> Result<ExitStatus, CommandError> {
    match verb {
        Command::Config { json, markdown } => config::run(settings, json, markdown),
        Command::Policy(PolicyCommand::Check { dir, json }) => {
            policy::check::run(settings, dir.as_deref(), json)
        }
        Command::Policy(PolicyCommand::Test(arguments)) => policy::test::run(settings, &arguments),
        Command::Policy(PolicyCommand::Prove(arguments)) => {
            policy::prove::run(settings, &arguments)
        }
        Command::Policy(PolicyCommand::Format { dir, check }) => {
            policy::format::run(settings, dir.as_deref(), check)
        }
        Command::Policy(PolicyCommand::Diff(arguments)) => {
            block_on(policy::diff::run(settings, arguments))
        }
        Command::Policy(PolicyCommand::Explain(arguments)) => {
            block_on(policy::explain::run(settings, arguments))
        }
        Command::Serve { demo } => {
            logging::start(settings)?;
            block_on(serve::run(settings, demo))
        }
        Command::Catalog(CatalogCommand::Apply { file, prune, json }) => {
            block_on(catalog::apply(settings, &file, prune, json))
        }
        Command::User(verb) => block_on(dispatch_user(settings, verb)),
        Command::Dataset(DatasetCommand::List { json }) => block_on(dataset::list(settings, json)),
        Command::Dataset(DatasetCommand::Show { id, json }) => {
            block_on(dataset::show(settings, id, json))
        }
        Command::Share(ShareCommand::Add(arguments)) => {
            block_on(dataset::share(settings, arguments, true))
        }
        Command::Share(ShareCommand::Remove(arguments)) => {
            block_on(dataset::share(settings, arguments, false))
        }
        Command::ApiKey(ApiKeyCommand::Create(arguments)) => {
            block_on(api_key::create(settings, arguments))
        }
        Command::Audit(AuditCommand::Export) => block_on(audit::export(settings)),
        Command::Openapi => block_on(openapi::run(settings)),
    }
}

async fn dispatch_user(settings: &Settings, verb: UserCommand) -> Result<ExitStatus, CommandError> {
    match verb {
        UserCommand::Add(arguments) => user::add(settings, arguments).await,
        UserCommand::List { json } => user::list(settings, json).await,
        UserCommand::Disable { name } => user::set_disabled(settings, &name, true).await,
        UserCommand::Enable { name } => user::set_disabled(settings, &name, false).await,
        UserCommand::Password { name } => user::set_password(settings, &name).await,
    }
}

/// Prints the one thing that a verb has to show, and is done.
fn print_data(text: impl std::fmt::Display) -> Result<ExitStatus, CommandError> {
    print::data(text)
        .map(|()| ExitStatus::Success)
        .map_err(|error| CommandError::new(format!("standard output cannot be written: {error}")))
}

fn block_on(
    work: impl Future<Output = Result<ExitStatus, CommandError>>,
) -> Result<ExitStatus, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(DECISION_STACK_SIZE)
        .build()
        .map_err(|error| CommandError::new(format!("the runtime does not start: {error}")))?
        .block_on(work)
}
