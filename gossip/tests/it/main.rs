//! The network on real swarms: memory transport, and QUIC and TCP on the loopback interface.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]
#![allow(clippy::print_stdout, reason = "figures for whoever looks")]

mod convergence;
mod crowds;
mod faults;
mod home;
mod hostile;
mod intake;
mod link;
mod mesh;
mod misbehaviour;
mod namespaces;
mod owners;
mod request_response;
mod scene;
mod world;
