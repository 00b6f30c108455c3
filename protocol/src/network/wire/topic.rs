//! The names of gossip topics: `/vrc/<domain>/backups/1/<shard>`, `/vrc/<domain>/alerts/1`, `/vrc/<domain>/towers/1`.
//!
//! The domain is 42 lower-case hexadecimal digits, the shard a decimal number without leading zeros.
//!
//! **Invariant:** a topic has one name: whatever parses prints as what was parsed.

use core::{fmt, str::FromStr};

use crate::{
    ids::Domain,
    network::slot::{Shard, ShardSet},
};

/// The text names no topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no topic of this network has that name")]
pub struct TopicError;

/// A gossip topic of one vault's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// New envelopes of one shard.
    Backups(Domain, Shard),
    /// Disputes that towers have seen. Never shed, never sharded.
    Alerts(Domain),
    /// Who is a tower and what it keeps.
    Towers(Domain),
}

impl Topic {
    /// The longest name, in bytes: longer texts are refused unread.
    pub const NAME_MAX: usize = 64;

    /// The topics that a tower with these shards belongs to: alerts first, then towers, then its backups.
    pub fn of(domain: Domain, shards: ShardSet) -> impl Iterator<Item = Self> {
        [Self::Alerts(domain), Self::Towers(domain)]
            .into_iter()
            .chain(shards.iter().map(move |shard| Self::Backups(domain, shard)))
    }

    /// The vault whose network it is.
    #[must_use]
    pub const fn domain(&self) -> Domain {
        match self {
            Self::Backups(domain, _) | Self::Alerts(domain) | Self::Towers(domain) => *domain,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.domain().to_string();
        let digits = digits.strip_prefix("0x").unwrap_or(&digits);
        match self {
            Self::Backups(_, shard) => write!(out, "/vrc/{digits}/backups/1/{shard}"),
            Self::Alerts(_) => write!(out, "/vrc/{digits}/alerts/1"),
            Self::Towers(_) => write!(out, "/vrc/{digits}/towers/1"),
        }
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        if text.len() > Self::NAME_MAX {
            return Err(TopicError);
        }
        let rest = text.strip_prefix("/vrc/").ok_or(TopicError)?;
        let (digits, rest) = rest.split_once('/').ok_or(TopicError)?;
        let domain: Domain = format!("0x{digits}").parse().map_err(|_no_domain| TopicError)?;
        let topic = match rest {
            "alerts/1" => Self::Alerts(domain),
            "towers/1" => Self::Towers(domain),
            _ => {
                let shard = rest.strip_prefix("backups/1/").ok_or(TopicError)?;
                let number: u8 = shard.parse().map_err(|_no_number| TopicError)?;
                Self::Backups(domain, Shard::try_from(number).map_err(|_none| TopicError)?)
            }
        };
        // Upper case, `+5` and `05` parse above and are other names.
        if topic.to_string() == text { Ok(topic) } else { Err(TopicError) }
    }
}
