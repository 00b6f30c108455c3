//! A hub and a participant on a chain with the contracts, and what a test puts onto their disks.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::Role;
use protocol::payment::{hub, wallet};
use protocol::testing::HEDGE;
use protocol::zksc::{Channel, FinalState};
use store::NodeChange;
use tempfile::TempDir;

use super::ground::Ground;
use super::hall::Hall;
use super::machine::Machine;
use super::world::{keys, ledger, policy};
use crate::keys::Keys;
use crate::rows;

/// The place of the hub among the machines of a town.
pub(super) const HUB: usize = 0;
/// The place of the participant.
pub(super) const ALICE: usize = 1;

/// Both nodes, with empty disks and not started, and the chain.
pub(super) struct Town {
    _folder: TempDir,
    pub(super) ground: Arc<Ground>,
    pub(super) hall: Hall,
    pub(super) alice: Keys,
    pub(super) hub: Keys,
}

impl Town {
    pub(super) async fn found() -> (Self, [Machine; 2]) {
        let (folder, hall) = (tempfile::tempdir().unwrap(), Hall::default());
        let (hub, alice) = (keys(9, Role::Counterparty), keys(1, Role::Participant));
        let ground = Arc::new(Box::pin(Ground::start(&alice, &hub)).await);
        let machine = |keys: &Keys, name| {
            Machine::on(&ground, &folder.path().join(name), keys.clone(), &hall)
        };
        let all = [machine(&hub, "hub"), machine(&alice, "alice")];
        (Self { _folder: folder, ground, hall, alice, hub }, all)
    }

    /// Channel 1 between both lives.
    pub(super) async fn open(&self) -> Channel {
        self.ground.open(&self.alice, &self.hub, policy().hub.rate).await
    }

    /// What a node has on its disk whose newest state of a channel is this one.
    pub(super) fn holding(
        &self,
        role: Role,
        channel: &Channel,
        state: &FinalState,
    ) -> Vec<NodeChange> {
        let (id, state, policy) = (channel.id(), Box::new(*state), policy());
        match role {
            Role::Counterparty => {
                let mut hub = hub::Hub::new(policy.hub_config(), BTreeMap::new());
                let (signer, record) = (self.hub.signer.clone(), hub::LaneRecord::new(channel));
                let _ = hub.open_lane(channel, signer, ledger(), record, 1).unwrap();
                let effects = hub.handle(hub::Event::Restored(id, state), 1, &HEDGE).unwrap();
                let batch = effects.iter().find_map(|one| match one {
                    hub::Effect::Persist { batch, .. } => Some(batch),
                    _ => None,
                });
                let record = |id| hub.handshake(id).map(|one| one.record());
                rows::hub_turn(batch.unwrap(), record).unwrap()
            }
            Role::Participant => {
                let config = policy.wallet(policy.hub.fee);
                let (signer, record) = (self.alice.signer.clone(), wallet::Record::new(channel));
                let resumed = wallet::Wallet::resume(*channel, signer, config, ledger(), record, 1);
                let (mut wallet, _) = resumed.unwrap();
                let effects = wallet.handle(wallet::Event::Restored(state), 1, &HEDGE).unwrap();
                let batch = effects.iter().find_map(|one| match one {
                    wallet::Effect::Persist { batch, .. } => Some(batch),
                    _ => None,
                });
                let record = wallet.handshake().record();
                rows::wallet_turn(id, batch.unwrap(), record).unwrap()
            }
        }
    }
}
