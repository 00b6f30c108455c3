//! One file a command.

mod check_config;
mod client;
mod client_cost_words;
mod client_history;
mod client_http;
mod client_order;
mod client_pay;
mod client_wait;
mod client_words;
mod demo;
mod deploy;
mod devnet;
mod doctor;
mod health;
mod inspect;
mod keys;
mod manual;
mod monitor;
mod node;
mod qr;
mod run;
mod top;

use std::io::Write as _;

use crate::cli::{Cli, Command, HubCommand, NodeCommand};
use crate::error::CommandError;

/// Runs the command to its end.
///
/// # Errors
/// Whatever ended it; see [`CommandError`].
pub fn execute(cli: &Cli) -> Result<(), CommandError> {
    let config = cli.settings.load()?;
    match &cli.command {
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { command } => manual::page(command),
        Command::CheckConfig => check_config::execute(&config),
        Command::Keys(command) => keys::execute(&config, command),
        Command::Inspect { what, limit } => inspect::execute(&config, *what, *limit),
        Command::Run => run::execute(&config),
        Command::Doctor(arguments) => doctor::execute(&config, arguments),
        Command::Top(arguments) => top::execute(&config, arguments),
        Command::Health(arguments) => health::execute(&config, arguments),
        Command::Monitor(arguments) => monitor::execute(&config, arguments),
        Command::Node(NodeCommand::Run(arguments)) => node::run(&config, arguments),
        Command::Hub(HubCommand::Run(arguments)) => node::hub(&config, arguments),
        Command::Hub(HubCommand::Invitation(shown)) => client::invitation(&config, shown),
        Command::Hub(HubCommand::Allocate { channel, amount, order, wait, common }) => {
            client::allocate(&config, (*channel, *amount), order.as_deref(), *wait, common)
        }
        Command::Client(command) => client::execute(&config, command),
        Command::Deploy(arguments) => deploy::execute(&config, arguments),
        Command::Devnet(arguments) => devnet::execute(&config, arguments),
        Command::Demo(arguments) => demo::execute(&config, arguments),
        Command::Bench(arguments) => crate::bench::run(arguments).map_err(CommandError::Story),
    }
}

/// Writes a line of a command's result to standard output.
pub(crate) fn say(line: impl std::fmt::Display) -> Result<(), CommandError> {
    writeln!(std::io::stdout(), "{line}").map_err(|source| CommandError::System {
        what: "cannot write to standard output".to_owned(),
        source,
    })
}

/// The runtime of commands that wait for something.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|source| {
        CommandError::System { what: "cannot start the runtime".to_owned(), source }
    })
}
