//! Placement: which towers keep which shards.
//!
//! Rendezvous hashing: every tower has a score for every shard, and a shard belongs to the R towers with the greatest
//! scores. Who knows the same towers finds the same keepers, without asking anybody. A tower that comes takes only what
//! is now its own; one that goes leaves only what was its own.
//!
//! All weights are equal. **What this does not protect from:** accounts cost nothing, so somebody who makes many
//! announces many towers, and with k times as many as everybody else holds on average k of k + 1 places. Nothing here
//! can tell. What limits the harm: a submitter counts signed receipts and fetches its own envelope back from random
//! towers; it asks beyond the keepers until its target is met; towers that were paid on chain, or that the operator
//! named, are never pushed out of the directory by unknown ones; and while the network is small every tower keeps
//! everything, which is the default.
//!
//! **Invariant:** placement depends on the domain, the accounts and R alone, not on the order of hearing of them.

use core::str::FromStr;

use alloy_primitives::{Address, Keccak256};

use crate::{
    ids::Domain,
    network::slot::{Shard, ShardSet},
};

mod directory;

pub use directory::{DIRECTORY_MAX, Directory, Listed, Standing};

/// How many towers keep a shard when nothing else is configured.
pub const REPLICATION: usize = 7;

/// The text hashed into every score, so that no score is a hash of anything else.
const CONTEXT: &[u8; 15] = b"vrc placement 1";

/// A tower's score for a shard: the greater, the closer.
#[must_use]
pub fn score(domain: Domain, shard: Shard, tower: Address) -> u64 {
    let mut hasher = Keccak256::new();
    hasher.update(CONTEXT);
    hasher.update(domain.as_bytes());
    hasher.update([shard.get()]);
    hasher.update(tower);
    let [s0, s1, s2, s3, s4, s5, s6, s7, ..] = hasher.finalize().0;
    u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7])
}

/// All towers, the closest to the shard first; of equal scores the smaller account. An account counts once.
#[must_use]
pub fn ranked(
    domain: Domain,
    shard: Shard,
    towers: impl IntoIterator<Item = Address>,
) -> Vec<Address> {
    let mut scored: Vec<(core::cmp::Reverse<u64>, Address)> = towers
        .into_iter()
        .map(|tower| (core::cmp::Reverse(score(domain, shard, tower)), tower))
        .collect();
    scored.sort_unstable();
    scored.dedup();
    scored.into_iter().map(|(_, tower)| tower).collect()
}

/// The towers that keep a shard: the `replication` closest ones.
#[must_use]
pub fn keepers(
    domain: Domain,
    shard: Shard,
    towers: impl IntoIterator<Item = Address>,
    replication: usize,
) -> Vec<Address> {
    let mut keepers = ranked(domain, shard, towers);
    keepers.truncate(replication);
    keepers
}

/// What a tower keeps, as its operator chose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Selection {
    /// Everything: the default.
    #[default]
    All,
    /// What placement gives it; everything while there are no more towers than replicas.
    Placed,
    /// These shards, whatever placement says.
    These(ShardSet),
}

impl Selection {
    /// The shards that the tower `me` keeps, as far as it knows of `others`.
    #[must_use]
    pub fn shards(
        self,
        domain: Domain,
        me: Address,
        others: &[Address],
        replication: usize,
    ) -> ShardSet {
        match self {
            Self::All => ShardSet::ALL,
            Self::These(shards) => shards,
            Self::Placed => Shard::all()
                .filter(|shard| {
                    let mine = (core::cmp::Reverse(score(domain, *shard, me)), me);
                    let closer = others.iter().filter(|other| **other != me).filter(|other| {
                        (core::cmp::Reverse(score(domain, *shard, **other)), **other) < mine
                    });
                    closer.count() < replication
                })
                .collect(),
        }
    }
}

/// The text chooses no shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("shards are `all`, `placed`, or numbers and ranges below 64 such as `0-15,20`")]
pub struct SelectionError;

impl FromStr for Selection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        match text {
            "all" => return Ok(Self::All),
            "placed" => return Ok(Self::Placed),
            _ => {}
        }
        let mut shards = ShardSet::NONE;
        for item in text.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(SelectionError);
            }
            shards = Shard::all()
                .filter(|shard| (first..=last).contains(shard))
                .fold(shards, ShardSet::with);
        }
        Ok(Self::These(shards))
    }
}

fn number(text: &str) -> Result<Shard, SelectionError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u8 = text.parse().map_err(|_no_number| SelectionError)?;
    let shard = Shard::try_from(number).map_err(|_no_shard| SelectionError)?;
    if digits { Ok(shard) } else { Err(SelectionError) }
}

#[cfg(test)]
mod tests;
