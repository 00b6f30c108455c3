//! How transactions are sent: the section `submit`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How transactions are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubmitConfig {
    /// The time between two blocks; whole seconds.
    #[serde(with = "humantime_serde")]
    pub block_time: Duration,
    /// The time that a transaction needs on its way into a block; whole seconds.
    #[serde(with = "humantime_serde")]
    pub send_lead: Duration,
    /// Further nodes that public transactions are handed to.
    pub endpoints: Vec<String>,
    /// Private relays.
    pub relays: Vec<String>,
    /// The part of an obligation's time, in percent, that belongs to the relays alone.
    pub private_percent: u64,
}

impl Default for SubmitConfig {
    fn default() -> Self {
        Self {
            block_time: Duration::from_secs(12),
            send_lead: Duration::from_secs(4),
            endpoints: Vec::new(),
            relays: Vec::new(),
            private_percent: 50,
        }
    }
}

/// The most relays and the most further nodes: each gets every transaction.
const OUTLETS_MAX: usize = 16;

impl SubmitConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key: &'static str, reason: &str| {
            Err(ConfigError::Invalid { key, reason: reason.to_owned() })
        };
        let whole = |time: Duration| time.subsec_nanos() == 0;
        let block = Duration::from_secs(1)..=Duration::from_secs(600);
        if !whole(self.block_time) || !block.contains(&self.block_time) {
            return invalid("submit.block_time", "must be whole seconds between 1s and 10m");
        }
        if !whole(self.send_lead) || self.send_lead > Duration::from_secs(60) {
            return invalid("submit.send_lead", "must be whole seconds, at most 1m");
        }
        for (key, urls) in [("submit.endpoints", &self.endpoints), ("submit.relays", &self.relays)]
        {
            if urls.len() > OUTLETS_MAX {
                return invalid(key, "are more than 16");
            }
            let scheme = |url: &String| url.split("://").next().unwrap_or_default().to_owned();
            if urls.iter().any(|url| !["http", "https"].contains(&scheme(url).as_str())) {
                return invalid(key, "must begin with http:// or https://");
            }
        }
        if self.private_percent > 90 {
            return invalid(
                "submit.private_percent",
                "must be at most 90: the rest of the time is for the public pool",
            );
        }
        Ok(())
    }
}
