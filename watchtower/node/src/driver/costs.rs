//! What calls cost, as far as this node can tell: their gas at the newest block's base fee, and what a dispute locks.
//!
//! An estimate for people, from measured gas (`chain/contracts/snapshots`) and a tip; the fee of an opening is the vault's rule.

use alloy_primitives::U256;
use protocol::vipe::bond;
use protocol::{Amount, ChannelId};
use serde_json::{Value, json};

use super::Driver;
use crate::error::ApiError;

/// Added to the base fee, in wei for each unit of gas: what a block's maker is offered.
const TIP_WEI: u64 = 1_000_000_000;
/// Gas of each kind of call, rounded up: what was measured, and what the token adds.
const APPROVE: u64 = 60_000;
const OPEN: u64 = 420_000;
const DEPOSIT: u64 = 140_000;
const WITHDRAW: u64 = 260_000;
const CLOSE: u64 = 240_000;
const CLAIM: u64 = 80_000;
const DISPUTE: u64 = 2_400_000;
const SETTLE: u64 = 200_000;

impl Driver {
    /// In wei, as decimal text.
    pub(super) fn show_costs(&self) -> Result<Value, ApiError> {
        let Some(base_fee) = self.base_fee else {
            return Err(ApiError::busy("no block of the chain was seen yet"));
        };
        let price = U256::from(base_fee).saturating_add(U256::from(TIP_WEI));
        let wei = |gas: u64| (price * U256::from(gas)).to_string();
        let site = self.parts.site;
        let gas = U256::from(site.fee_gas).saturating_mul(U256::from(base_fee));
        let fee = gas.max(U256::from(site.fee_floor));
        let exits: Vec<Value> = self
            .book
            .channels()
            .iter()
            .filter(|(id, _)| self.is_live(**id))
            .map(|(id, own)| {
                let claim = self.advised(*id);
                let bond = bond(claim, own.channel.rate());
                json!({"channel": id, "claim": claim, "bond": bond.to_string()})
            })
            .collect();
        Ok(json!({
            "gas_price": price.to_string(),
            "open": wei(APPROVE + OPEN), "fund": wei(APPROVE + DEPOSIT),
            "withdraw": wei(WITHDRAW + CLAIM), "close": wei(CLOSE + CLAIM),
            "exit": {
                "gas": wei(DISPUTE + SETTLE + CLAIM + CLAIM), "fee": fee.to_string(), "bonds": exits,
                "comes_back": "fee and bond, to an honest exiter",
            },
        }))
    }

    fn advised(&self, channel: ChannelId) -> Amount {
        self.advice(channel).map_or(Amount::ZERO, |advice| advice.claim)
    }
}
