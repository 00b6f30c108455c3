//! Opens what is held of a channel with a key that somebody revealed.

use protocol::Role;
use protocol::backup::{DisputeKey, UnverifiedEnvelope, open};
use protocol::zksc::{Channel, FinalState};
use store::{Slot, Store, StoreError};

/// What both slots of a channel hold.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// States that both parties signed, at most one of each slot.
    pub(crate) states: Vec<FinalState>,
    /// What was found in each slot, for people.
    pub(crate) words: Vec<String>,
}

impl Opened {
    /// The newest of the states.
    pub(crate) fn newest(&self) -> Option<FinalState> {
        self.states.iter().max_by_key(|state| state.state().nonce).copied()
    }
}

/// Opens both slots. What does not open is said in words and is no error.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn open_slots(
    store: &Store,
    channel: &Channel,
    key: &DisputeKey,
) -> Result<Opened, StoreError> {
    let mut found = Opened::default();
    for role in Role::BOTH {
        let slot = Slot { channel_id: channel.id(), role };
        let Some(backup) = store.backup(slot)? else {
            found.words.push(format!("{role}: none held"));
            continue;
        };
        let state = UnverifiedEnvelope::from_bytes(&backup.envelope)
            .map_err(|error| error.to_string())
            .and_then(|envelope| envelope.admit(channel).map_err(|error| error.to_string()))
            .and_then(|envelope| open(&envelope, channel, key).map_err(|error| error.to_string()));
        match state {
            Ok(state) => {
                found.words.push(format!("{role}: nonce {}", state.state().nonce));
                found.states.push(state);
            }
            Err(reason) => found.words.push(format!("{role}: useless, {reason}")),
        }
    }
    Ok(found)
}
