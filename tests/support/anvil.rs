//! A real anvil, for the end-to-end tests that need one.

use std::net::TcpListener;
use std::process::Command;

use crate::support::Server;

/// A real anvil, with the rules of the fork that we deploy to.
pub(crate) struct Anvil {
    _server: Server,
    pub(crate) url: String,
}

impl Anvil {
    pub(crate) fn start(more: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        Self::start_at(port, more)
    }

    pub(crate) fn start_at(port: u16, more: &[&str]) -> Self {
        let path =
            std::env::var("ANVIL").expect("ANVIL names the anvil binary (./test.sh e2e sets it)");
        let mut command = Command::new(&path);
        command
            .args(["--port", &port.to_string(), "--hardfork", "osaka", "--enable-tx-gas-limit"])
            .args(["--gas-limit", "60000000"])
            .args(more);
        let (server, _line) = Server::start(&mut command, "Listening on", "Listening on");
        Self { _server: server, url: format!("http://127.0.0.1:{port}") }
    }
}
