//! The network on real swarms: memory transport, and QUIC and TCP on the loopback interface.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]
#![allow(clippy::print_stdout, reason = "figures for whoever looks")]

mod hostile;
mod mesh;
mod misbehaviour;
mod request_response;
mod world;
