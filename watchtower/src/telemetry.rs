//! Logs: text for people or JSON for machines, to standard error; standard output belongs to the command's result.
//!
//! `error` means that a person must act, `warn` that the tower will try again, `info` is one line for each step of a
//! life: of the process, and of a dispute.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error(
        "log.filter {filter:?} is not a filter: use a level such as info, or info,watchtower=debug"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// Why not.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in this process already set up a log.
    #[error("the log is already set up")]
    AlreadySet(#[source] tracing::dispatcher::SetGlobalDefaultError),
}

/// What libraries tell of themselves is not for whoever runs a tower; the configured filter may ask for it by name. Ours says by
/// its own lines and metrics what of it matters.
const LIBRARIES: &str =
    "libp2p_swarm=warn,libp2p_mdns=warn,libp2p_kad=error,libp2p_gossipsub=error";

/// Starts logging for the whole process.
///
/// # Errors
/// When the filter does not parse, or logging is already set up.
pub fn start(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(format!("{LIBRARIES},{}", config.filter))
        .map_err(|source| TelemetryError::Filter { filter: config.filter.clone(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match config.format {
        LogFormat::Text => tracing::subscriber::set_global_default(
            builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).finish(),
        ),
        LogFormat::Json => {
            tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish())
        }
    };
    set.map_err(TelemetryError::AlreadySet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quiet_unless_the_filter_asks_for_them() {
        let directives = |filter: &str| {
            let filter = EnvFilter::try_new(format!("{LIBRARIES},{filter}")).unwrap();
            filter.to_string().split(',').map(str::to_owned).collect::<Vec<_>>()
        };
        let usual = directives("info");
        for wanted in ["info", "libp2p_kad=error", "libp2p_swarm=warn"] {
            assert!(usual.iter().any(|one| one == wanted), "{usual:?}");
        }
        let asked = directives("info,libp2p_kad=debug");
        assert!(asked.iter().any(|one| one == "libp2p_kad=debug"), "{asked:?}");
        assert!(!asked.iter().any(|one| one == "libp2p_kad=error"), "{asked:?}");
    }
}
