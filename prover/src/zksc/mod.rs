//! VRC-1: what is proven about the states of a ZK state channel.
//!
//! Random rows mask a live-state proof's witness by counting equations, which is less than proven zero knowledge
//! (`docs/adr/0003-zero-knowledge-off.md`). Make one only of a state that is about to be shown in a dispute.

mod circuit;
pub mod live_state;
mod proof;
mod witness;

pub use circuit::{CIRCUIT_DIGEST, LiveStateCircuit};
pub(crate) use circuit::{ProverData, VerifierData};
pub use proof::LiveStateProof;
pub use witness::{LiveState, NotLive, PartyWitness};
