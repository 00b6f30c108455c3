//! `watchtower check-config`: what `run` would use.

use crate::commands::say;
use crate::config::{Config, ConfigError};
use crate::error::CommandError;

pub(crate) fn execute(config: &Config) -> Result<(), CommandError> {
    let text = toml::to_string_pretty(config).map_err(|error| ConfigError::Value {
        origin: "the configuration".to_owned(),
        value: String::new(),
        reason: error.to_string(),
    })?;
    say(text.trim_end())?;
    config.validate()?;
    Ok(())
}
