//! VRC-1: what is proven about the states of a ZK state channel.

pub mod live_state;
mod witness;

pub use witness::{LiveState, NotLive, PartyWitness};
