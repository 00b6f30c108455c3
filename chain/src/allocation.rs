//! The operator's signature that lets anybody put a pool's capital into a channel (EIP-712, in the vault's domain).
//!
//! **Invariant:** a signature serves once: it names the pool, the channel, the amount, and the number of allocations that
//! the channel has had, which every allocation and every [`crate::calls::Vip::skip_allocation`] uses up.

use alloy_primitives::{
    Address, B256,
    aliases::{U56, U112},
};
use alloy_sol_types::SolStruct as _;
use protocol::{
    ids::{Amount, ChannelId},
    session::SessionDomain,
};

use crate::bindings::Allocate;

/// What the operator of `vip` signs to put `amount` into `channel`, until `deadline` (seconds, inclusive).
/// `seq` is [`crate::calls::Vip::allocation_seq`].
pub fn digest(
    domain: &SessionDomain,
    vip: Address,
    channel: ChannelId,
    amount: Amount,
    (seq, deadline): (u64, u64),
) -> B256 {
    let allocation = Allocate {
        channelId: U56::saturating_from(channel.get()),
        vip,
        amount: U112::saturating_from(amount.get()),
        seq,
        deadline,
    };
    allocation.eip712_signing_hash(&domain.eip712())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_the_one_that_the_pool_hashes() {
        let text = include_str!("../contracts/src/vip/Vip.sol");
        assert!(text.contains(&Allocate::eip712_encode_type().into_owned()));
    }
}
