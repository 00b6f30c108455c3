//! Our own Plonky2 gates.
//!
//! | gate | wires | constraints | degree | rows | what |
//! |---|---|---|---|---|---|
//! | [`window`] | 134 | 91 | 7 | 80 | four doublings and four additions of a signature's chain |
//! | [`endpoint`] | 105 | 81 | 3 | 2 | checks a key, makes its table, ends the chain |
//! | [`scalar`] | 28 | 17 | 3 | 2 | s below n, canonical challenge, nothing zero |
//! | [`range`] | 114 | 114 | 4 | 6 | three 56-bit values and a 48-bit one |
//!
//! With Plonky2's Poseidon, public-input and no-op gates they fill 2^7 rows and two selector columns. No gate needs a lookup table,
//! and the circuit's few constants ride on the range and scalar rows, so there is no constant gate either.
//!
//! Each gate is a [`formula::Formula`]: its module doc has the layout of the wires and the numbered constraints; the code states
//! them once, against [`arithmetic::Arithmetic`], for the prover, the native verifier, a recursive verifier and the contract.

#![expect(clippy::doc_markdown, reason = "the docs of gates are formulas, not code")]

pub mod arithmetic;
pub mod endpoint;
pub mod formula;
pub mod identity;
pub mod range;
pub mod scalar;
#[cfg(test)]
pub(crate) mod testing;
pub mod window;
