//! VRC-1: what is proven about the states of a ZK state channel.

mod circuit;
pub mod live_state;
mod proof;
mod witness;

pub use circuit::{CIRCUIT_DIGEST, LiveStateCircuit};
pub(crate) use circuit::{ProverData, VerifierData};
pub use proof::LiveStateProof;
pub use witness::{LiveState, NotLive, PartyWitness};
