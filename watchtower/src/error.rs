//! Why a command failed, and the exit code that says so to a script.

use crate::config::ConfigError;
use crate::keys::KeysError;
use crate::service::StartError;
use crate::tasks::TaskError;
use crate::telemetry::TelemetryError;

/// Everything that ends a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A key.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A tower did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A chain or its contracts.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// A node did not start, or does not do what it was asked for.
    #[error("{0}")]
    Node(String),
    /// A node does what it was asked for when it is asked again soon.
    #[error("{0}")]
    NotNow(String),
    /// A person has waited enough.
    #[error(
        "interrupted: what the node was asked for goes on there; the same command waits for it again, with the --order that it named if it did"
    )]
    Interrupted,
    /// A running tower stopped.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A demonstration or a benchmark could not be carried through.
    #[error("{0:#}")]
    Story(eyre::Report),
    /// A demonstration ended, but not as it must.
    #[error("the story did not end as it must; what was expected stands above")]
    BadEnd,
    /// The doctor found something that keeps a tower from its work.
    #[error("{bad} of the checks are bad; what to do stands below each")]
    Ailing {
        /// How many.
        bad: usize,
    },
    /// A tower that was asked is not well, or does not answer.
    #[error("{url}: {says}")]
    Unwell {
        /// What was asked.
        url: String,
        /// The answer, or why there is none.
        says: String,
    },
    /// The operating system refused something.
    #[error("{what}")]
    System {
        /// What was wanted.
        what: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl CommandError {
    /// The process's exit code: 1 failed while running, 2 command line (given by clap), 3 configuration, 4 keys, 5 chain,
    /// 6 store, 130 interrupted.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Telemetry(_) => 3,
            Self::Keys(_) => 4,
            Self::Start(StartError::Config(_)) => 3,
            Self::Start(
                StartError::Rpc { .. }
                | StartError::Chain { .. }
                | StartError::NoVault { .. }
                | StartError::OtherDomain { .. }
                | StartError::Rules(_),
            ) => 5,
            Self::Deployment(_) => 5,
            Self::Store(_) | Self::Start(StartError::Store(_) | StartError::Cursor(_)) => 6,
            Self::Interrupted => 130,
            Self::Start(_)
            | Self::Task(_)
            | Self::Node(_)
            | Self::NotNow(_)
            | Self::Story(_)
            | Self::BadEnd
            | Self::Ailing { .. }
            | Self::Unwell { .. }
            | Self::System { .. } => 1,
        }
    }
}

/// Why a chain or its contracts could not be brought up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    /// The embedded chain.
    #[error("the embedded chain does not start")]
    Devnet(#[from] chain::devnet::DevnetError),
    /// The node gave no answer.
    #[error("{}; {}", .0, .0.advice())]
    Rpc(#[from] chain::error::RpcError),
    /// The contracts.
    #[error("the contracts were not deployed{}", going_on(.0))]
    Deploy(#[from] chain::deploy::DeployError),
    /// The deployment file.
    #[error("the deployment file cannot be written")]
    File(#[from] chain::deploy::FileError),
    /// Something else is where the deployment file should be written.
    #[error(
        "the file is there and cannot be gone on with: move it away, or name another with --out"
    )]
    NotOurs(#[source] chain::deploy::FileError),
    /// The node is not on the chain that the configuration or the deployment file names.
    #[error(
        "the node is on chain {found}, the deployment file or chain.chain_id says {expected}: use a node of that chain, or another file with --out"
    )]
    OtherChain {
        /// What is written down.
        expected: u64,
        /// What the node says.
        found: u64,
    },
    /// The compiled verifier.
    #[error("the verifier cannot be used")]
    Artifact(#[from] chain::artifact::ArtifactError),
    /// The deployer's key.
    #[error(transparent)]
    Account(#[from] chain::account::AccountError),
    /// An amount.
    #[error("a cap is out of range")]
    Amount(#[from] protocol::IdError),
    /// No asset on a chain that holds value.
    #[error("--asset is missing: which token shall the vault take?")]
    NoAsset,
    /// The embedded chain has no accounts.
    #[error("the embedded chain has fewer than two accounts")]
    NoAccounts,
}

/// What to do after a deployment that stopped half way.
const fn going_on(error: &chain::deploy::DeployError) -> &'static str {
    match error.retry() {
        chain::error::Retry::Later(_) => {
            ", or not all of them: the same command goes on where this one stopped"
        }
        chain::error::Retry::Never => "",
    }
}

/// The error and all its causes, one a line, for people.
#[must_use]
pub fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = format!("error: {error}");
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!("\n  because: {cause}"));
        next = cause.source();
    }
    text
}
