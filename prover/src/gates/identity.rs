//! What our gates are, as a number: so that the circuit's digest changes when a formula does.
//!
//! Plonky2's circuit digest covers constants, wiring and size, not what the gates say. Offsets, tables and every constraint of ours
//! stand in the formulas, so without this a program with another formula would have the same digest, pass its own checks, and be
//! refused on chain. The digest of the formulas goes into the circuit's domain separator.

use alloy_primitives::keccak256;
use plonky2::field::types::{Field, Field64, PrimeField64};

use super::arithmetic::Native;
use super::endpoint::Endpoint;
use super::formula::Formula;
use super::range::Range;
use super::scalar::ScalarRange;
use super::window::Window;
use crate::config::F;

/// Points at which each formula is evaluated. Two formulas of degree at most 8 that differ agree at a random point with a chance below 2^-60.
const POINTS: u64 = 3;

/// Keccak-256 over the name, the shape and the values of every gate of ours at points that nobody chose.
#[must_use]
pub fn formulas_digest() -> [u8; 32] {
    let mut transcript = Vec::new();
    describe::<Window>(&mut transcript);
    describe::<Endpoint>(&mut transcript);
    describe::<ScalarRange>(&mut transcript);
    describe::<Range>(&mut transcript);
    keccak256(transcript).0
}

fn describe<G: Formula>(transcript: &mut Vec<u8>) {
    transcript.extend_from_slice(G::NAME.as_bytes());
    for number in [G::WIRES, G::CONSTANTS, G::DEGREE, G::CONSTRAINTS] {
        transcript.extend_from_slice(&(number as u64).to_be_bytes());
    }
    for point in 0..POINTS {
        let wires: Vec<F> = (0..G::WIRES).map(|index| coordinate(G::NAME, point, index)).collect();
        let constants: Vec<F> =
            (0..G::CONSTANTS).map(|index| coordinate(G::NAME, point, G::WIRES + index)).collect();
        for value in G::constraints(&mut Native::<F>::default(), &wires, &constants) {
            transcript.extend_from_slice(&value.to_canonical_u64().to_be_bytes());
        }
    }
}

/// One coordinate of a point: out of a hash, so that no formula was made to fit.
fn coordinate(name: &str, point: u64, index: usize) -> F {
    let preimage = [name.as_bytes(), &point.to_be_bytes(), &(index as u64).to_be_bytes()].concat();
    let hash = keccak256(preimage);
    let value = hash[..8].iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    F::from_canonical_u64(value % F::ORDER)
}
