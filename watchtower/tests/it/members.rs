//! Towers of one network, each in this process with an account and a folder of its own.

use alloy_primitives::hex;
use chain::account::Account;
use serde_json::Value;
use watchtower::config::Config;
use watchtower::service::Tower;

use crate::world::{Running, World};

/// Further keys of the same mnemonic: towers of a network.
pub(crate) const MEMBERS: [[u8; 32]; 3] = [
    hex!("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    hex!("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    hex!("92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
];

impl World {
    /// Starts another tower in this process, with an account and a folder of its own, in a network with the towers at
    /// `bootstrap`.
    pub(crate) async fn start_member(&self, number: usize, bootstrap: &str) -> Running {
        self.start_keeping(number, bootstrap, "all").await
    }

    /// The same, and it keeps only these shards.
    pub(crate) async fn start_keeping(
        &self,
        number: usize,
        bootstrap: &str,
        shards: &str,
    ) -> Running {
        self.start_member_with(number, bootstrap, &[("network.shards", shards)]).await
    }

    /// The same, with these settings.
    pub(crate) async fn start_member_with(
        &self,
        number: usize,
        bootstrap: &str,
        flags: &[(&str, &str)],
    ) -> Running {
        let config = self.member(number, bootstrap, flags);
        let account = Account::from_bytes(&MEMBERS[number]).unwrap();
        let tower = Box::pin(Tower::start(&config, account));
        Self::run(tower.await.unwrap())
    }

    /// The configuration of such a tower.
    pub(crate) fn member(&self, number: usize, bootstrap: &str, flags: &[(&str, &str)]) -> Config {
        let folder = self.directory.path().join(format!("member-{number}"));
        let own = [
            ("data_dir", folder.to_str().unwrap()),
            ("network.listen", "/ip4/127.0.0.1/tcp/0"),
            ("network.bootstrap", bootstrap),
            ("network.reachable", "true"),
            ("network.sync_interval", "2s"),
        ];
        self.config(&[own.as_slice(), flags].concat())
    }
}

impl Running {
    /// Where other towers find this one.
    pub(crate) async fn place(&self) -> String {
        let listens = |status: &Value| status["network"]["listening"][0].is_string();
        let status = self.wait("/v1/status", 20, |_, status| listens(status)).await;
        let network = &status["network"];
        format!(
            "{}/p2p/{}",
            network["listening"][0].as_str().unwrap(),
            network["peer"].as_str().unwrap()
        )
    }

    /// Waits until so many other towers are connected.
    pub(crate) async fn met(&self, towers: u64) {
        let count = |status: &Value| status["network"]["towers"].as_u64();
        self.wait("/v1/status", 30, |_, status| count(status) >= Some(towers)).await;
    }
}
