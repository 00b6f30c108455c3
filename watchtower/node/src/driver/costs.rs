//! What calls cost, as far as this node can tell: their gas at the newest block's base fee, and what a dispute locks.
//!
//! An estimate for people, from measured gas (`chain/contracts/snapshots`) and a tip; the fee of an opening is the vault's rule.

use alloy_primitives::U256;
use protocol::vipe::bond;
use protocol::{Amount, ChannelId, Role};
use serde_json::{Value, json};

use super::Driver;
use crate::book::Own;
use crate::error::ApiError;

/// Added to the base fee, in wei for each unit of gas: what a block's maker is offered.
const TIP_WEI: u64 = 1_000_000_000;
/// Gas of each kind of call, rounded up: what was measured, and what the token adds.
const APPROVE: u64 = 60_000;
const OPEN: u64 = 420_000;
const DEPOSIT: u64 = 140_000;
const WITHDRAW: u64 = 260_000;
const CLOSE: u64 = 240_000;
const CANCEL: u64 = 70_000;
const ACCEPT: u64 = 260_000;
const ALLOCATE: u64 = 180_000;
const CLAIM: u64 = 80_000;
const DISPUTE: u64 = 2_400_000;
const SETTLE: u64 = 200_000;
const EXIT: u64 = DISPUTE + SETTLE + CLAIM + CLAIM;

impl Driver {
    /// In wei, as decimal text.
    pub(super) fn show_costs(&self) -> Result<Value, ApiError> {
        let Some((price, fee)) = self.prices() else {
            return Err(ApiError::busy("no block of the chain was seen yet"));
        };
        let wei = |gas: u64| (price * U256::from(gas)).to_string();
        let exits: Vec<Value> = self
            .book
            .channels()
            .iter()
            .filter(|(id, _)| self.is_live(**id))
            .map(|(id, own)| {
                let (claim, bond) = (self.advised(*id), self.bond(*id, own));
                json!({"channel": id, "claim": claim, "bond": bond.to_string()})
            })
            .collect();
        let mut costs = match self.parts.role {
            Role::Participant => json!({
                "open": wei(APPROVE + OPEN), "fund": wei(APPROVE + DEPOSIT),
                "withdraw": wei(WITHDRAW + CLAIM), "close": wei(CLOSE + CLAIM),
                "cancel": wei(CANCEL + CLAIM),
            }),
            Role::Counterparty => json!({"accept": wei(ACCEPT), "allocate": wei(ALLOCATE)}),
        };
        costs["gas_price"] = json!(price.to_string());
        costs["exit"] = json!({
                "gas": wei(EXIT), "fee": fee.to_string(), "bonds": exits,
                "comes_back": "fee and bond, to an honest exiter",
        });
        Ok(costs)
    }

    /// What a unit of gas costs, and the fee of a dispute's opening; none before a block was seen.
    fn prices(&self) -> Option<(U256, U256)> {
        let (site, base_fee) = (self.parts.site, U256::from(self.base_fee?));
        let fee = U256::from(site.fee_gas).saturating_mul(base_fee);
        let price = base_fee.saturating_add(U256::from(TIP_WEI));
        Some((price, fee.max(U256::from(site.fee_floor))))
    }

    /// What an exit costs beside its bond.
    pub(super) fn exit_gas_and_fee(&self) -> Option<U256> {
        let (price, fee) = self.prices()?;
        Some(price.saturating_mul(U256::from(EXIT)).saturating_add(fee))
    }

    /// What a dispute of this channel locks.
    pub(super) fn bond(&self, id: ChannelId, own: &Own) -> U256 {
        bond(self.advised(id), own.channel.rate())
    }

    fn advised(&self, channel: ChannelId) -> Amount {
        self.advice(channel).map_or(Amount::ZERO, |advice| advice.claim)
    }
}
