//! The one proving configuration: field, hashes, transcript and parameters.
//!
//! A proof is verified twice: natively (by `plonky2` itself, over [`EvmConfig`]) and on chain (by the generated contract). Both
//! do exactly what this file says, so everything here is chosen to be cheap in the EVM: big-endian lanes, whole-word Keccak.
//!
//! ```text
//! lane        a field element, 8 bytes, big endian, canonical (below p = 2^64 - 2^32 + 1)
//! leaf        first 28 bytes of keccak256(lane_0 || .. || lane_k), see [`Keccak28`] for leaves of seven lanes
//! inner node  first 28 bytes of keccak256(left || right), 56 bytes of input
//! transcript  sponge of 12 lanes, rate 8, overwrite mode; permutation: see [`KeccakOnion`]
//! ```
//!
//! **Invariant:** every number that the contract's generator needs follows from [`circuit_config`] and the circuit; nobody
//! repeats one. [`crate::security`] computes the security level from the same values and a test refuses less than was promised.

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::goldilocks_field::GoldilocksField;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::fri::FriConfig;
use plonky2::fri::reduction_strategies::FriReductionStrategy;
use plonky2::hash::hashing::PlonkyPermutation;
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::CircuitConfig;
use plonky2::plonk::config::{GenericConfig, GenericHashOut, Hasher};
use serde::{Deserialize, Serialize};

use alloy_primitives::keccak256;

/// The base field: Goldilocks, p = 2^64 - 2^32 + 1.
pub type F = GoldilocksField;

/// Degree of the extension that challenges come from: 128 bits.
pub const D: usize = 2;

/// The extension field, `F[X] / (X^2 - 7)`.
pub type Ext = QuadraticExtension<F>;

/// The builder of our circuits.
pub type Builder = CircuitBuilder<F, D>;

/// Bytes of a Merkle digest. 28 bytes give 112 bits against collisions, which is what the query phase gives as well; each
/// byte more would cost about 500 bytes of calldata a proof.
pub const DIGEST_BYTES: usize = 28;

/// Field elements that a digest becomes in the transcript: four big-endian lanes of seven bytes, so that no two digests meet.
pub const DIGEST_LANES: usize = 4;

const DIGEST_LANE_BYTES: usize = DIGEST_BYTES / DIGEST_LANES;
const _: () = assert!(DIGEST_LANE_BYTES * DIGEST_LANES == DIGEST_BYTES && DIGEST_LANE_BYTES < 8);

/// Lanes of the transcript's sponge.
pub const SPONGE_LANES: usize = 12;

/// Lanes that are absorbed or squeezed at a time.
pub const SPONGE_RATE: usize = 8;

/// Bytes of a lane.
const LANE_BYTES: usize = 8;

/// A Merkle digest, and the digest of a circuit: the first 28 bytes of a Keccak-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeccakDigest(pub [u8; DIGEST_BYTES]);

impl KeccakDigest {
    fn of(preimage: &[u8]) -> Self {
        let mut bytes = [0; DIGEST_BYTES];
        bytes.copy_from_slice(&keccak256(preimage)[..DIGEST_BYTES]);
        Self(bytes)
    }
}

impl core::fmt::Debug for KeccakDigest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl GenericHashOut<F> for KeccakDigest {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// Reads a digest. Plonky2 always passes [`DIGEST_BYTES`]; shorter input is filled with zeros, longer input is cut.
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut digest = [0; DIGEST_BYTES];
        digest.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(digest)
    }

    fn to_vec(&self) -> Vec<F> {
        let lane =
            |bytes: &[u8]| bytes.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
        self.0
            .chunks_exact(DIGEST_LANE_BYTES)
            .map(|bytes| F::from_canonical_u64(lane(bytes)))
            .collect()
    }
}

/// The Merkle hash: Keccak-256 over big-endian lanes, cut to [`DIGEST_BYTES`].
///
/// **Invariant:** a leaf never hashes like an inner node. Plonky2's default `hash_or_noop` passes short leaves through, which we
/// replace: every leaf is hashed. An inner node's preimage has 56 bytes; only a leaf of seven lanes has as many, and gets one
/// byte `0x01` appended, which no other preimage has (all others are multiples of eight bytes, or 56). No tree of ours has
/// leaves of seven lanes, so the contract does not need that case; leaf lengths are fixed by the circuit besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keccak28;

impl Hasher<F> for Keccak28 {
    const HASH_SIZE: usize = DIGEST_BYTES;
    type Hash = KeccakDigest;
    type Permutation = KeccakOnion;

    fn hash_no_pad(input: &[F]) -> KeccakDigest {
        let mut bytes = Vec::with_capacity(input.len() * LANE_BYTES + 1);
        input
            .iter()
            .for_each(|lane| bytes.extend_from_slice(&lane.to_canonical_u64().to_be_bytes()));
        if bytes.len() == 2 * DIGEST_BYTES {
            bytes.push(1);
        }
        KeccakDigest::of(&bytes)
    }

    fn hash_or_noop(input: &[F]) -> KeccakDigest {
        Self::hash_no_pad(input)
    }

    fn two_to_one(left: KeccakDigest, right: KeccakDigest) -> KeccakDigest {
        let mut bytes = [0; 2 * DIGEST_BYTES];
        bytes[..DIGEST_BYTES].copy_from_slice(&left.0);
        bytes[DIGEST_BYTES..].copy_from_slice(&right.0);
        KeccakDigest::of(&bytes)
    }
}

/// The transcript's permutation: an onion of whole Keccak words.
///
/// ```text
/// h1 = keccak256(12 lanes, 96 bytes)    h2 = keccak256(h1)    h3 = keccak256(h2)
/// new state = the 12 big-endian 8-byte words of h1 || h2 || h3, each reduced modulo p
/// ```
///
/// Lanes 0 to 7 are the rate. Words are reduced, not rejected, so that the contract has no loop whose length depends on data;
/// the bias is at most a factor 2 for each challenge lane, which [`crate::security`] charges as one bit. The capacity (four
/// lanes, 256 bits) makes two transcripts meet with probability 2^-128 a pair of attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeccakOnion {
    lanes: [F; SPONGE_LANES],
}

impl AsRef<[F]> for KeccakOnion {
    fn as_ref(&self) -> &[F] {
        &self.lanes
    }
}

impl PlonkyPermutation<F> for KeccakOnion {
    const RATE: usize = SPONGE_RATE;
    const WIDTH: usize = SPONGE_LANES;

    fn new<I: IntoIterator<Item = F>>(elements: I) -> Self {
        let mut sponge = Self::default();
        sponge.set_from_iter(elements, 0);
        sponge
    }

    fn set_elt(&mut self, element: F, index: usize) {
        self.lanes[index] = element;
    }

    fn set_from_slice(&mut self, elements: &[F], start: usize) {
        self.set_from_iter(elements.iter().copied(), start);
    }

    fn set_from_iter<I: IntoIterator<Item = F>>(&mut self, elements: I, start: usize) {
        self.lanes[start..].iter_mut().zip(elements).for_each(|(lane, element)| *lane = element);
    }

    fn permute(&mut self) {
        let mut state = [0; SPONGE_LANES * LANE_BYTES];
        for (bytes, lane) in state.chunks_exact_mut(LANE_BYTES).zip(&self.lanes) {
            bytes.copy_from_slice(&lane.to_canonical_u64().to_be_bytes());
        }
        let mut layer = keccak256(state);
        for lanes in self.lanes.chunks_exact_mut(32 / LANE_BYTES) {
            for (lane, word) in lanes.iter_mut().zip(layer.chunks_exact(LANE_BYTES)) {
                let word = word.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
                *lane = F::from_noncanonical_u64(word);
            }
            layer = keccak256(layer);
        }
    }

    fn squeeze(&self) -> &[F] {
        &self.lanes[..SPONGE_RATE]
    }
}

/// Plonky2 over Goldilocks with Keccak for Merkle trees and transcript, and Poseidon for the hash of the public inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvmConfig;

impl GenericConfig<D> for EvmConfig {
    type F = F;
    type FE = Ext;
    type Hasher = Keccak28;
    type InnerHasher = PoseidonHash;
}

/// What the circuit may use and how its proof is made. [`crate::security`] derives the security level from this.
///
/// The circuit has 2^7 rows. So a rate of 2^-10 still keeps the evaluation domain at 2^17 points (what a proof costs in time
/// and memory), and ten queries are enough: bytes of calldata are what a proof costs on chain, and queries are most of them.
///
/// - `num_wires`: what one Poseidon row needs. `num_routed_wires`: what one window row needs; each would cost a column.
/// - `reduction_strategy`: none. The polynomial that FRI tests has 128 coefficients; sent whole, they take 2 KiB, less than a
///   single folding (a tree more, and its leaf and path for every query) and less to verify too.
/// - `cap_height`: 16 nodes; one level more costs 1,344 bytes for three trees and saves 1,120.
/// - `num_challenges`: three, since permutation challenges come from the base field.
/// - `zero_knowledge`: off, see `docs/adr/0003-zero-knowledge-off.md`.
#[must_use]
pub fn circuit_config() -> CircuitConfig {
    CircuitConfig {
        num_wires: 135,
        num_routed_wires: 56,
        num_constants: 2,
        use_base_arithmetic_gate: true,
        security_bits: 112,
        num_challenges: 3,
        zero_knowledge: false,
        max_quotient_degree_factor: 8,
        fri_config: FriConfig {
            rate_bits: 10,
            cap_height: 4,
            proof_of_work_bits: 16,
            reduction_strategy: FriReductionStrategy::Fixed(Vec::new()),
            num_query_rounds: 10,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_never_hashes_like_an_inner_node() {
        let (left, right) = (KeccakDigest([0; DIGEST_BYTES]), KeccakDigest([0; DIGEST_BYTES]));
        assert_ne!(Keccak28::hash_or_noop(&[F::ZERO; 7]), Keccak28::two_to_one(left, right));
        // A short leaf is hashed, never taken as the digest itself.
        assert_ne!(Keccak28::hash_or_noop(&[F::ZERO; 3]).0, [0; DIGEST_BYTES]);
        assert_ne!(Keccak28::hash_or_noop(&[F::ZERO; 3]), Keccak28::hash_or_noop(&[F::ZERO; 2]));
    }

    #[test]
    fn digests_enter_the_transcript_as_seven_byte_big_endian_lanes() {
        let digest = KeccakDigest(core::array::from_fn(|i| i as u8 + 1));
        let lanes: Vec<u64> = digest.to_vec().iter().map(F::to_canonical_u64).collect();
        assert_eq!(
            lanes,
            [0x01_0203_0405_0607, 0x08_090a_0b0c_0d0e, 0x0f_1011_1213_1415, 0x16_1718_191a_1b1c]
        );
        assert_eq!(KeccakDigest::from_bytes(&digest.to_bytes()), digest);
    }

    #[test]
    fn the_onion_hashes_whole_words_and_reduces_lanes() {
        let mut sponge = KeccakOnion::new((0..12).map(F::from_canonical_u64));
        sponge.permute();
        let state: Vec<u8> = (0..12u64).flat_map(u64::to_be_bytes).collect();
        let h1 = keccak256(&state);
        let h2 = keccak256(h1);
        let h3 = keccak256(h2);
        for (index, word) in [h1, h2, h3].concat().chunks_exact(8).enumerate() {
            let word = u64::from_be_bytes(word.try_into().unwrap());
            assert_eq!(sponge.as_ref()[index], F::from_noncanonical_u64(word));
        }
        // Lanes at or above p come out reduced, which is what the contract's `mod` gives.
        assert_eq!(F::from_noncanonical_u64(u64::MAX).to_canonical_u64(), (1 << 32) - 2);
    }
}
