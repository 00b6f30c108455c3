//! The tag that starts every Poseidon hash, one constant per use.
//!
//! Plonky2's `hash_n_to_hash_no_pad` does not pad, so a hash is only collision resistant among inputs of one length.
//! Every use therefore has a tag of its own **and** one fixed length; both stand beside the constant.
//!
//! **Invariant:** all tags differ, so no digest and no signature serves in another place.

/// A Poseidon tag: a short ASCII name read as a big-endian integer, below 2^56 and so a canonical field element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoseidonTag(u64);

impl PoseidonTag {
    /// The longest name of a tag, in bytes: seven bytes stay below the Goldilocks prime.
    pub const NAME_LEN_MAX: usize = 7;

    /// The tag with this ASCII name of 1 to 7 bytes. A name that does not fit stops the compilation.
    #[expect(clippy::as_conversions, reason = "`u64::from` is not const, and a byte always fits")]
    const fn named(mut name: &[u8]) -> Self {
        assert!(!name.is_empty() && name.len() <= Self::NAME_LEN_MAX);
        let mut value = 0;
        while let [letter, rest @ ..] = name {
            assert!(letter.is_ascii_uppercase());
            value = (value << 8) | *letter as u64;
            name = rest;
        }
        Self(value)
    }

    /// The tag as an integer below 2^56.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The digest of a state: the 12 elements of the state.
pub const STATE: PoseidonTag = PoseidonTag::named(b"STATE");
/// The digest of a channel's keys: the participant's 5 elements, then the counterparty's 5.
pub const KEYS: PoseidonTag = PoseidonTag::named(b"KEYS");
/// The Schnorr challenge of the participant's signature of a state: R (5), key (5), digest (4).
pub const SIGN_STATE_PARTICIPANT: PoseidonTag = PoseidonTag::named(b"SIGPART");
/// The Schnorr challenge of the counterparty's signature of a state: R (5), key (5), digest (4).
pub const SIGN_STATE_COUNTERPARTY: PoseidonTag = PoseidonTag::named(b"SIGCNTR");
/// The Schnorr challenge of a proposal's signature: R (5), key (5), digest (4).
pub const SIGN_PROPOSE: PoseidonTag = PoseidonTag::named(b"SIGPROP");
/// The Schnorr challenge of an envelope's signature: R (5), key (5), digest (4).
pub const SIGN_ENVELOPE: PoseidonTag = PoseidonTag::named(b"SIGENVL");
/// The digest of the transition that explains a proposed state.
pub const TRANSITION: PoseidonTag = PoseidonTag::named(b"TRANSIT");
/// The digest of a proposal: a state and its transition.
pub const PROPOSAL: PoseidonTag = PoseidonTag::named(b"PROPOSE");
/// The hiding commitment inside a state: payment (5), salt (5), the application's digest (4).
pub const APP_ROOT: PoseidonTag = PoseidonTag::named(b"APPROOT");
/// The digest of an envelope that its signature covers.
pub const ENVELOPE: PoseidonTag = PoseidonTag::named(b"ENVELOP");
/// The Schnorr challenge of a payee's receipt: R (5), key (5), digest (4).
pub const SIGN_RECEIPT: PoseidonTag = PoseidonTag::named(b"SIGRCPT");
/// The id of a payment: domain (3), both channels, amount (2), fee (2), sequence, reference (5), part, parts.
pub const PAYMENT: PoseidonTag = PoseidonTag::named(b"PAYMENT");
/// What a payee's receipt signs: payment (5).
pub const RECEIPT: PoseidonTag = PoseidonTag::named(b"RECEIPT");
/// One update in a channel's history: kind, amount (2), payment (5), nonce.
pub const HISTORY_ENTRY: PoseidonTag = PoseidonTag::named(b"HISTENT");
/// A node of a channel's history: left (4), right (4).
pub const HISTORY_NODE: PoseidonTag = PoseidonTag::named(b"HISTNOD");
/// The root of a channel's history: count, origin (4), peaks (4).
pub const HISTORY_ROOT: PoseidonTag = PoseidonTag::named(b"HISTROO");
/// The search for the offset point U of the acceptance chain: counter, half.
pub const OFFSET_U: PoseidonTag = PoseidonTag::named(b"OFFSETU");
/// The search for the offset point H of the acceptance chain: counter, half.
pub const OFFSET_H: PoseidonTag = PoseidonTag::named(b"OFFSETH");

/// Every tag there is. A new tag belongs in this list, where a test compares all of them.
pub const ALL: [PoseidonTag; 18] = [
    STATE,
    KEYS,
    SIGN_STATE_PARTICIPANT,
    SIGN_STATE_COUNTERPARTY,
    SIGN_PROPOSE,
    SIGN_ENVELOPE,
    TRANSITION,
    PROPOSAL,
    APP_ROOT,
    ENVELOPE,
    SIGN_RECEIPT,
    PAYMENT,
    RECEIPT,
    HISTORY_ENTRY,
    HISTORY_NODE,
    HISTORY_ROOT,
    OFFSET_U,
    OFFSET_H,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_tags_differ() {
        assert_eq!(ALL.iter().collect::<BTreeSet<_>>().len(), ALL.len());
    }

    #[test]
    fn every_tag_of_this_file_is_in_the_list() {
        let declared =
            include_str!("tags.rs").matches(": PoseidonTag = PoseidonTag::named(").count();
        // One more match is the line above.
        assert_eq!(declared, ALL.len() + 1);
    }
}
