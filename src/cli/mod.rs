//! The command line: one file per command.
//!
//! A command calls the modules below and returns an `outcome`; only `print` prints. Exit codes:
//! 0 success, 1 failure, 2 wrong usage, 3 a check failed.

mod api_key;
mod audit;
mod catalog;
mod config;
mod conformance;
mod dataset;
mod demo;
mod file_descriptors;
mod import_stac;
mod keys;
mod local;
mod log_format;
mod log_writer;
mod logging;
mod migrate;
mod openapi;
mod outcome;
mod password;
mod policies_in_force;
mod policy;
mod print;
mod runtime;
mod serve;
mod user;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::{SettingSources, Settings};
use crate::domain::id::DatasetId;
use crate::domain::name::Username;

use outcome::{CommandError, CommandResult, ExitStatus};
use runtime::block_on;

/// Policy-driven authorization server for data downloads
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
        /// Create a demo catalog at the first start and print example commands; listens on loopback only
        #[arg(long)]
        demo: bool,
    },
    /// Manage the catalog of datasets, users and roles
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Manage users, directly in the database
    #[command(subcommand)]
    User(UserCommand),
    /// List and show datasets, directly from the database
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Share datasets with users and roles, directly in the database
    #[command(subcommand)]
    Share(ShareCommand),
    /// Create API keys, directly in the database
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// List, rotate, revoke and reseal the signing keys, directly in the database
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Check, test, prove, compare, explain and format policies
    #[command(subcommand)]
    Policy(policy::command::PolicyCommand),
    /// Export and prune the audit records
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print the settings in force and the origin of each
    Config {
        /// Print JSON
        #[arg(long, conflicts_with = "markdown")]
        json: bool,
        /// Print the reference of all settings as a Markdown table
        #[arg(long)]
        markdown: bool,
    },
    /// Bring the tables of the database up to date; servers do so when they start
    Migrate,
    /// Write good and bad download tokens for the tests of a verifier, with their verdicts, as JSON
    #[command(args_conflicts_with_subcommands = true)]
    Conformance {
        #[command(subcommand)]
        command: Option<ConformanceCommand>,
        #[command(flatten)]
        arguments: conformance::WriteArguments,
    },
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Debug, Subcommand)]
enum ConformanceCommand {
    /// Send good and bad download tokens to a running verifier, and report its verdicts
    Check(conformance::check_arguments::ConformanceCheckArguments),
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Create and change what a catalog file declares
    Apply(catalog::ApplyArguments),
    /// Create and update a dataset for each COG of the Items of a STAC document
    ImportStac(import_stac::ImportStacArguments),
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Create a user and print its id; prompts for the password, or reads it from standard input
    Add(user::AddArguments),
    /// List all users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Disable a user: all of its credentials become invalid
    Disable {
        /// The user name
        name: Username,
    },
    /// Enable a disabled user
    Enable {
        /// The user name
        name: Username,
    },
    /// Start a session of a user who cannot sign in, and print its refresh token
    Session {
        /// The user name
        name: Username,
    },
    /// Set the password of a user and end its sessions; prompts for it, or reads it from standard input
    Password {
        /// The user name
        name: Username,
    },
}

#[derive(Debug, Subcommand)]
enum DatasetCommand {
    /// List all datasets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one dataset with its owner, its readers and its file
    Show {
        /// The id of the dataset
        id: DatasetId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ShareCommand {
    /// Share a dataset with a user or a role
    Add(dataset::ShareAddArguments),
    /// Remove the share of a user or a role
    Remove(dataset::ShareArguments),
}

#[derive(Debug, Subcommand)]
enum ApiKeyCommand {
    /// Create an API key and print it; it is not shown again
    Create(api_key::CreateArguments),
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// List the signing keys with their states and times, and what happens to each next
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Replace the key that signs, as soon as its successor was published long enough
    Rotate,
    /// Take a key out of the key set at once, for an emergency; all tokens that it signed become invalid
    Revoke {
        /// The key id, which may begin with a hyphen
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Seal the private keys with another sealing key
    Reseal(keys::ResealArguments),
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Print the audit records that match the filters, or all, as JSON Lines, the oldest first
    Export(Box<audit::ExportArguments>),
    /// Delete the records before a time, in batches beside a running server, and record it
    Prune {
        /// A time such as 2026-01-01T00:00:00Z, at least an hour ago
        #[arg(long, value_name = "TIME")]
        before: String,
        /// Count the records, and delete none
        #[arg(long)]
        dry_run: bool,
    },
}

/// How long a server that ends waits for somebody to read why.
const SHOW_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let is_server = matches!(arguments.command, Command::Serve { .. });
    let result = SettingSources::from_process()
        .and_then(|sources| Settings::load(&sources))
        .map_err(|error| CommandError {
            hint: error.hint(),
            ..CommandError::usage(error)
        })
        .and_then(|settings| dispatch(arguments.command, &settings));
    match result {
        Ok(ExitStatus::Success) => ExitCode::SUCCESS,
        Ok(ExitStatus::CheckFailed) => ExitCode::from(3),
        Err(error) => {
            let exit_code = ExitCode::from(error.exit_code);
            let show = move || {
                print::error(&error.message);
                if let Some(hint) = &error.hint {
                    print::hint(hint);
                }
            };
            if is_server {
                show_for_a_moment(show);
            } else {
                show();
            }
            exit_code
        }
    }
}

/// Shows something on a thread of its own, and goes on if nobody reads it: a server has to end.
fn show_for_a_moment(show: impl FnOnce() + Send + 'static) {
    let (done, is_done) = std::sync::mpsc::channel();
    let shown = std::thread::Builder::new().spawn(move || {
        show();
        let _ = done.send(());
    });
    if shown.is_ok() {
        let _ = is_done.recv_timeout(SHOW_TIMEOUT);
    }
}

fn dispatch(command: Command, settings: &Settings) -> CommandResult {
    match command {
        Command::Config { json, markdown } => config::run(settings, json, markdown),
        Command::Policy(command) => policy::command::run(settings, command),
        Command::Serve { demo } => {
            let log = logging::start(settings)?;
            let result = block_on(serve::run(settings, demo));
            log.flush();
            result
        }
        Command::Catalog(CatalogCommand::Apply(arguments)) => {
            block_on(catalog::apply(settings, arguments))
        }
        Command::Catalog(CatalogCommand::ImportStac(arguments)) => {
            block_on(import_stac::import_stac(settings, arguments))
        }
        Command::User(command) => block_on(dispatch_user(settings, command)),
        Command::Dataset(DatasetCommand::List { json }) => block_on(dataset::list(settings, json)),
        Command::Dataset(DatasetCommand::Show { id, json }) => {
            block_on(dataset::show(settings, id, json))
        }
        Command::Share(ShareCommand::Add(arguments)) => {
            block_on(dataset::add_share(settings, arguments))
        }
        Command::Share(ShareCommand::Remove(arguments)) => {
            block_on(dataset::remove_share(settings, arguments))
        }
        Command::ApiKey(ApiKeyCommand::Create(arguments)) => {
            block_on(api_key::create(settings, arguments))
        }
        Command::Keys(command) => block_on(dispatch_keys(settings, command)),
        Command::Audit(AuditCommand::Export(arguments)) => {
            block_on(audit::export(settings, *arguments))
        }
        Command::Audit(AuditCommand::Prune { before, dry_run }) => {
            block_on(audit::prune(settings, &before, dry_run))
        }
        Command::Conformance {
            command: Some(ConformanceCommand::Check(arguments)),
            ..
        } => block_on(conformance::check::run(settings, arguments)),
        Command::Conformance {
            command: None,
            arguments,
        } => conformance::write(settings, arguments),
        Command::Migrate => block_on(migrate::run(settings)),
        Command::Openapi => block_on(openapi::run(settings)),
    }
}

async fn dispatch_user(settings: &Settings, command: UserCommand) -> CommandResult {
    match command {
        UserCommand::Add(arguments) => user::add(settings, arguments).await,
        UserCommand::List { json } => user::list(settings, json).await,
        UserCommand::Disable { name } => user::set_disabled(settings, &name, true).await,
        UserCommand::Enable { name } => user::set_disabled(settings, &name, false).await,
        UserCommand::Session { name } => user::start_session(settings, &name).await,
        UserCommand::Password { name } => user::set_password(settings, &name).await,
    }
}

async fn dispatch_keys(settings: &Settings, command: KeysCommand) -> CommandResult {
    match command {
        KeysCommand::List { json } => keys::list(settings, json).await,
        KeysCommand::Rotate => keys::rotate(settings).await,
        KeysCommand::Revoke { kid } => keys::revoke(settings, &kid).await,
        KeysCommand::Reseal(arguments) => keys::reseal(settings, arguments).await,
    }
}
