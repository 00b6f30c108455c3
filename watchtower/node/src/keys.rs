//! The node's keys: all but the account's derive from one seed.
//!
//! **Invariant:** nothing here prints a secret.

use chain::account::Account;
use gossip::Identity;
use protocol::Role;
use protocol::seed::Seed;
use protocol::zksc::Signer;

/// The keys of one node.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Pays, receives and consents.
    pub account: Account,
    /// Signs states.
    pub signer: Signer,
    /// The node's name on the network.
    pub identity: Identity,
}

impl Keys {
    /// The keys that a seed and an account give for a role.
    ///
    /// # Errors
    /// [`gossip::StartError`] when the identity cannot be made.
    pub fn new(account: Account, seed: &Seed, role: Role) -> Result<Self, gossip::StartError> {
        let identity = Identity::from_secret(&seed.identity_secret())?;
        Ok(Self {
            account,
            signer: Signer::new(role, seed.channel_key(), seed.session_key()),
            identity,
        })
    }
}
