//! One Schnorr signature, by the acceptance chain of `protocol::ecgfp5::chain`.
//!
//! ```text
//! key --endpoint row--> table --+
//!                               v
//! H ----> window 39 -> window 38 -> .. -> window 0 --endpoint row--> w_R --Poseidon--> e
//!           ^ digits of s and e, as running sums --scalar row--> s < n, s and e not zero, e canonical
//! ```
//!
//! The windows are 40 rows, the endpoint and the scalar one each, and the challenge two of Poseidon. The running sums start anew
//! where an integer begins, so the windows hand out s in limbs of 56, 56 and 48 bits a half, and each challenge
//! element both whole and by its high 32 bits.
//!
//! **Invariant:** limbs of s are below their radix because they are sums of that many nibbles; nothing else bounds them.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use protocol::ecgfp5::{Scalar, chain};
use protocol::tags::PoseidonTag;

use super::{connect, poseidon, wires};
use crate::config::{Builder, F};
use crate::gates::formula::FormulaGate;
use crate::gates::scalar::{self, ScalarRange};
use crate::gates::window::{self, Window};
use crate::gates::{endpoint, endpoint::Endpoint};

/// Windows, from the highest down, at whose start the running sum of a half of s starts anew.
const SCALAR_STARTS: [usize; 3] = [39, 27, 13];

/// Likewise for the challenge: before its second element and before its first. The sum that starts at 39 must stay zero.
const CHALLENGE_STARTS: [usize; 3] = [39, 31, 15];

/// The last window of the part of the challenge that is always zero.
const CHALLENGE_ZERO: usize = 32;

/// For each challenge element, the last window of its high half and of itself.
const CHALLENGE_ENDS: [(usize, usize); 2] = [(8, 0), (24, 16)];

/// For each limb of a half of s, lowest first, its last window.
const SCALAR_ENDS: [usize; 3] = [0, 14, 28];

/// A signature as the circuit takes it: digits. An honest prover's are those of a
/// [`protocol::schnorr::Signature`]; tests have others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureDigits {
    /// The digits of s, four bits each, lowest first.
    pub s: [u8; Scalar::NIBBLES],
    /// The digits of e, two bits each, lowest first.
    pub e: [u8; chain::KEY_DIGITS],
}

impl From<&protocol::schnorr::Signature> for SignatureDigits {
    fn from(signature: &protocol::schnorr::Signature) -> Self {
        Self { s: signature.s().nibbles(), e: chain::challenge_digits(&signature.e()) }
    }
}

/// Where a signature lives in the circuit.
#[derive(Clone, Debug)]
pub struct SignatureTargets {
    /// Row of each window, by window.
    pub windows: Vec<usize>,
    /// Row of the endpoint gate.
    pub endpoint: usize,
    /// Row of the scalar gate.
    pub scalar: usize,
}

impl SignatureTargets {
    /// Adds the rows of a signature of `message` by `key`, whose challenge has this tag, and of the check that `key` differs
    /// from `other`.
    ///
    /// [`SignatureTargets::wide_limbs`] and [`SignatureTargets::narrow_limbs`] are left to be range-checked by the caller.
    pub fn add_unchecked(
        builder: &mut Builder,
        tag: PoseidonTag,
        keys: [&[Target; 5]; 2],
        message: &[Target; 4],
    ) -> Self {
        let [key, other] = keys;
        let targets = Self {
            endpoint: builder.add_gate(FormulaGate::<Endpoint>::new(), Vec::new()),
            scalar: builder.add_gate(FormulaGate::<ScalarRange>::new(), Vec::new()),
            windows: (0..chain::WINDOWS)
                .map(|_| builder.add_gate(FormulaGate::<Window>::new(), Vec::new()))
                .collect(),
        };
        connect(builder, &wires::<5>(targets.endpoint, endpoint::WIRES_KEY), key);
        connect(builder, &wires::<5>(targets.endpoint, endpoint::WIRES_OTHER_KEY), other);
        targets.chain(builder);
        targets.sums(builder);
        targets.integers(builder);

        let commitment: [Target; 5] = wires(targets.endpoint, endpoint::WIRES_COMMITMENT);
        let challenge = poseidon(builder, tag, &[&commitment[..], key, message].concat());
        for (element, (_, whole)) in CHALLENGE_ENDS.into_iter().enumerate() {
            builder.connect(challenge[element], targets.sum_after(window::WIRES_CHALLENGE, whole));
        }
        targets
    }

    /// Limbs that the caller must check to be below 2^56.
    #[must_use]
    pub fn wide_limbs(&self) -> [Target; 4] {
        [0, 1, 3, 4].map(|limb| Target::wire(self.scalar, scalar::WIRES_T + limb))
    }

    /// Limbs that the caller must check to be below 2^56; an honest prover's are below 2^48.
    #[must_use]
    pub fn narrow_limbs(&self) -> [Target; 2] {
        [2, 5].map(|limb| Target::wire(self.scalar, scalar::WIRES_T + limb))
    }

    fn sum_after(&self, sums: usize, window: usize) -> Target {
        Target::wire(self.windows[window], sums + 1)
    }

    /// The accumulator from H through all windows, and the key's table into all of them.
    fn chain(&self, builder: &mut Builder) {
        let (x, y) = chain::constants().start.coordinates();
        let mut accumulator: [Target; 10] =
            core::array::from_fn(|k| builder.constant(if k < 5 { x[k] } else { y[k - 5] }));
        let table: [Target; 30] = wires(self.endpoint, endpoint::WIRES_TABLE);
        for row in self.windows.iter().rev() {
            connect(builder, &accumulator, &wires::<10>(*row, window::WIRES_IN));
            connect(builder, &table, &wires::<30>(*row, window::WIRES_KEY));
            accumulator = wires(*row, window::WIRES_OUT);
        }
        connect(builder, &accumulator, &wires::<10>(self.endpoint, endpoint::WIRES_ACCUMULATOR));
    }

    /// Each window's running sums go on from the window before, or start at zero.
    fn sums(&self, builder: &mut Builder) {
        let zero = builder.zero();
        for (sums, starts) in [
            (window::WIRES_CHALLENGE, CHALLENGE_STARTS),
            (window::WIRES_LOW, SCALAR_STARTS),
            (window::WIRES_HIGH, SCALAR_STARTS),
        ] {
            for (index, row) in self.windows.iter().enumerate() {
                let before =
                    if starts.contains(&index) { zero } else { self.sum_after(sums, index + 1) };
                builder.connect(before, Target::wire(*row, sums));
            }
        }
        builder.connect(zero, self.sum_after(window::WIRES_CHALLENGE, CHALLENGE_ZERO));
    }

    /// The integers that the running sums amount to, into the scalar row.
    fn integers(&self, builder: &mut Builder) {
        for (half, sums) in [window::WIRES_LOW, window::WIRES_HIGH].into_iter().enumerate() {
            for (limb, end) in SCALAR_ENDS.into_iter().enumerate() {
                let wire = scalar::WIRES_S + SCALAR_ENDS.len() * half + limb;
                builder.connect(self.sum_after(sums, end), Target::wire(self.scalar, wire));
            }
        }
        for (element, (high, whole)) in CHALLENGE_ENDS.into_iter().enumerate() {
            let wire = scalar::WIRES_CHALLENGE + 2 * element;
            builder.connect(
                self.sum_after(window::WIRES_CHALLENGE, high),
                Target::wire(self.scalar, wire),
            );
            builder.connect(
                self.sum_after(window::WIRES_CHALLENGE, whole),
                Target::wire(self.scalar, wire + 1),
            );
        }
    }

    /// Sets the running sums to those of `signature`.
    ///
    /// # Errors
    /// When a sum was set before to something else.
    pub fn fill(
        &self,
        witness: &mut PartialWitness<F>,
        signature: &SignatureDigits,
    ) -> anyhow::Result<()> {
        let nibbles =
            |digits: &[u8]| digits.iter().map(|digit| u64::from(*digit)).collect::<Vec<_>>();
        let challenge: Vec<u64> = signature
            .e
            .chunks_exact(2)
            .map(|pair| u64::from(pair[0]) + 4 * u64::from(pair[1]))
            .collect();
        let (low, high) = signature.s.split_at(chain::WINDOWS);
        for (sums, starts, nibbles) in [
            (window::WIRES_CHALLENGE, CHALLENGE_STARTS, challenge),
            (window::WIRES_LOW, SCALAR_STARTS, nibbles(low)),
            (window::WIRES_HIGH, SCALAR_STARTS, nibbles(high)),
        ] {
            let mut sum = F::ZERO;
            for window in (0..chain::WINDOWS).rev() {
                if starts.contains(&window) {
                    sum = F::ZERO;
                }
                sum = sum * F::from_canonical_u64(1 << 4) + F::from_canonical_u64(nibbles[window]);
                let sum = F::from_canonical_u64(sum.to_canonical_u64());
                witness.set_target(self.sum_after(sums, window), sum)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
