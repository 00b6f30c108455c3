//! What tests of nodes share: a place to listen at, and processes that say nothing.

use std::net::TcpListener;
use std::process::Child;

/// A port that was free a moment ago.
pub(crate) fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port()
}

/// A process without output that ends with its test.
pub(crate) struct Quiet(pub(crate) Child);

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
