//! `watchtower node run` and `watchtower hub run`: a node until it is told to stop.

use protocol::{Address, Role};
use tokio::task::JoinSet;

use crate::cli::{HubArgs, RunArgs};
use crate::config::Config;
use crate::error::CommandError;
use crate::virtual_node::{self, Plan, system};
use crate::{tasks, telemetry};

pub(crate) fn run(config: &Config, arguments: &RunArgs) -> Result<(), CommandError> {
    execute(config, arguments, Role::Participant, None)
}

pub(crate) fn hub(config: &Config, arguments: &HubArgs) -> Result<(), CommandError> {
    execute(config, &arguments.node, Role::Counterparty, arguments.vip)
}

fn execute(
    config: &Config,
    arguments: &RunArgs,
    role: Role,
    vip: Option<Address>,
) -> Result<(), CommandError> {
    config.validate()?;
    telemetry::start(&config.log)?;
    let plan = Plan::alone(config, arguments, (role, vip))?;
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(until_told(config, plan));
    // A circuit that is still being built is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn until_told(config: &Config, plan: Plan) -> Result<(), CommandError> {
    let mut watchers = JoinSet::new();
    let mut signals = tasks::signals(&mut watchers).map_err(system("cannot listen for signals"))?;
    let node = Box::pin(virtual_node::start(config, plan)).await?;
    node.run(&mut signals, config.shutdown.grace).await?;
    tracing::info!("the node has stopped");
    Ok(())
}
