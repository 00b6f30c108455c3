//! Plonky2 live-state proofs (VRC-1), and the generator of their on-chain verifier.
//!
//! What is proven: both parties of a channel signed a state, without showing the signatures, bound to one beneficiary
//! (the numbered statements stand in [`zksc::live_state`]). To whom: to the escrow contract, through a verifier contract generated
//! from this circuit. Under which assumptions: [`security`] lists every term with its arithmetic.
//!
//! ```text
//! artifacts --load or build--> zksc::LiveStateCircuit --verify--> at once
//!                                        |
//!                 service::ProverService +--prove--> zksc::LiveStateProof (statement, bytes) --> the contract
//! ```

pub mod artifacts;
pub mod config;
pub mod encoding;
pub mod error;
pub mod gadgets;
pub mod gates;
pub mod onchain;
pub mod security;
pub mod service;
pub mod zksc;
