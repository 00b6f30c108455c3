//! Consents that accounts give by EIP-712.

use alloy_primitives::{
    B256,
    aliases::{U56, U96, U112},
    keccak256,
};
use alloy_sol_types::{SolStruct as _, SolValue as _};
use protocol::{ids::Amount, session::SessionDomain};

use crate::{bindings::Accept, events::ChannelOpened};

/// What the counterparty signs to accept `opened` with this allocation, until `deadline` (seconds, inclusive). It repeats
/// all of the participant's request, so nothing can be exchanged between consent and acceptance; whoever signs it has
/// checked the request, recomputed its keys digest, and holds the dispute key durably.
pub fn accept_digest(
    domain: &SessionDomain,
    opened: &ChannelOpened,
    allocation: Amount,
    deadline: u64,
) -> B256 {
    let consent = Accept {
        channelId: U56::saturating_from(opened.channel.get()),
        participant: opened.participant,
        counterparty: opened.counterparty,
        vip: opened.vip,
        asset: opened.asset,
        keysDigest: opened.keys_digest,
        channelKeysHash: channel_keys_hash(&opened.participant_key, &opened.counterparty_key),
        participantSession: opened.participant_session,
        counterpartySession: opened.counterparty_session,
        disputeHash: opened.dispute_hash,
        salt: opened.salt,
        rate: U96::saturating_from(opened.rate),
        deposit: U112::saturating_from(opened.deposit.get()),
        allocation: U112::saturating_from(allocation.get()),
        acceptBy: opened.accept_by,
        deadline,
    };
    consent.eip712_signing_hash(&domain.eip712())
}

/// Keccak-256 of both keys as ten 32-byte words, the participant's first.
fn channel_keys_hash(participant: &[u64; 5], counterparty: &[u64; 5]) -> B256 {
    keccak256((*participant, *counterparty).abi_encode_params())
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    #[test]
    fn the_type_is_the_one_that_the_vault_hashes() {
        // Copied from the vault's source, where a test reads it too.
        let text = include_str!("../contracts/src/libraries/Consent.sol");
        assert!(text.contains(&Accept::eip712_encode_type().into_owned()));
    }

    #[test]
    fn channel_keys_are_hashed_as_ten_words() {
        let mut words = Vec::new();
        for element in [1_u64, 2, 3, 4, 5, 6, 7, 8, 9, 10] {
            words.extend_from_slice(&U256::from(element).to_be_bytes::<32>());
        }
        assert_eq!(channel_keys_hash(&[1, 2, 3, 4, 5], &[6, 7, 8, 9, 10]), keccak256(words));
    }
}
