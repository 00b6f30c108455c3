//! The terms of the pool that a deployment brings along.

use alloy_primitives::Address;
use alloy_sol_types::SolValue as _;

use super::{ChainKind, Plan};
use crate::bindings::pool::IVip;

/// Seconds in a day.
const DAY_S: u64 = 86_400;
/// A pool's gains are released over this many days, or windows on a development chain.
const GAIN_VESTING_UNITS: u64 = 7;
/// The name of a pool's shares.
const POOL_NAME: &str = "Virtual Rollup pool share";
/// The symbol of a pool's shares.
const POOL_SYMBOL: &str = "VIP";

/// The arguments of the pool's constructor: shares stay locked for twice the longest dispute, and gains are released over
/// a week, or over as many windows on a development chain.
pub(super) fn arguments(
    plan: &Plan,
    vault: Address,
    asset: Address,
    (operator, ratio): (Address, u16),
) -> Vec<u8> {
    let (window_s, extension_s) = (plan.terms.dispute_window_s, plan.terms.max_extension_s);
    let vesting_unit_s = match plan.chain {
        ChainKind::L1 | ChainKind::L2 { .. } => DAY_S,
        ChainKind::Development => window_s,
    };
    let terms = IVip::Terms {
        vault,
        asset,
        operator,
        allocRatio: ratio,
        lockup: window_s.saturating_add(extension_s).saturating_mul(2),
        gainVesting: vesting_unit_s.saturating_mul(GAIN_VESTING_UNITS),
    };
    (terms, POOL_NAME.to_owned(), POOL_SYMBOL.to_owned()).abi_encode_params()
}
