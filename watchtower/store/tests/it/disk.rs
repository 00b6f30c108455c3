//! A disk in memory that can fail a sync, fill up, or lose power.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use alloy_primitives::{Address, B256, keccak256};
use protocol::{ChannelId, Nonce, Role};
use redb::StorageBackend;
use store::{Backup, Facts, JumpLimit, Slot, Storage, Store, StoreError};

/// What the disk holds, and how it is to fail.
#[derive(Debug, Default)]
pub(crate) struct Platter {
    /// What a program reads back now.
    live: Vec<u8>,
    /// What is there after a power cut: the content at the last sync...
    durable: Vec<u8>,
    /// ... and any of the writes since.
    unsynced: Vec<(usize, Vec<u8>)>,
    /// Syncs so far.
    pub(crate) syncs: u64,
    /// The sync that fails.
    pub(crate) failing_sync: Option<u64>,
    /// The file may not grow any more.
    pub(crate) growth_refused: bool,
    /// No byte can be written at all.
    pub(crate) writes_refused: bool,
}

/// A disk that tests share with the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Platter>>);

impl Disk {
    pub(crate) fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// A disk with this file on it.
    pub(crate) fn holding(file: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Platter {
            live: file.clone(),
            durable: file,
            ..Platter::default()
        })))
    }

    /// The disk after a power cut: the last sync, and of the later writes those that `seed` picks.
    pub(crate) fn after_power_cut(&self, seed: u64) -> Self {
        let platter = self.platter();
        let mut image = platter.durable.clone();
        for (index, (offset, data)) in platter.unsynced.iter().enumerate() {
            let coin = keccak256([seed.to_be_bytes(), (index as u64).to_be_bytes()].concat());
            if coin[0] & 1 == 1 {
                let end = offset + data.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*offset..end].copy_from_slice(data);
            }
        }
        let image = Platter { live: image.clone(), durable: image, ..Platter::default() };
        Self(Arc::new(Mutex::new(image)))
    }
}

impl Storage for Disk {
    fn open(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        Ok(Box::new(self.clone()))
    }

    fn path(&self) -> PathBuf {
        "simulated".into()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = offset as usize;
        let platter = self.platter();
        let found = platter.live.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.platter();
        if (platter.growth_refused || platter.writes_refused) && len > platter.live.len() as u64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        platter.live.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter();
        platter.syncs += 1;
        if platter.failing_sync == Some(platter.syncs) {
            return Err(io::Error::other("simulated: the device is gone"));
        }
        platter.durable = platter.live.clone();
        platter.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = offset as usize;
        let mut platter = self.platter();
        if platter.writes_refused {
            return Err(io::ErrorKind::StorageFull.into());
        }
        platter.live[offset..offset + data.len()].copy_from_slice(data);
        platter.unsynced.push((offset, data.to_vec()));
        Ok(())
    }
}

pub(crate) fn facts() -> Facts {
    Facts { chain_id: 31_337, vipe: Address::repeat_byte(7), account: Address::repeat_byte(9) }
}

pub(crate) fn channel(number: u64) -> ChannelId {
    ChannelId::try_from(number).unwrap()
}

pub(crate) fn nonce(number: u64) -> Nonce {
    Nonce::try_from(number).unwrap()
}

pub(crate) fn slot(number: u64) -> Slot {
    Slot { channel_id: channel(number), role: Role::Participant }
}

/// An envelope-sized backup whose bytes follow from its slot and nonce.
pub(crate) fn backup(number: u64, at: u64) -> Backup {
    let id = keccak256([number.to_be_bytes(), at.to_be_bytes()].concat());
    Backup {
        nonce: nonce(at),
        id,
        identity: B256::ZERO,
        stored_at_ms: 1_000,
        envelope: id.repeat(16),
    }
}

pub(crate) fn backup_with_id(at: u64, id: B256) -> Backup {
    Backup {
        nonce: nonce(at),
        id,
        identity: B256::ZERO,
        stored_at_ms: 1_000,
        envelope: id.repeat(16),
    }
}

pub(crate) const NO_LIMIT: JumpLimit = JumpLimit { per_hour: u64::MAX };

pub(crate) fn open(disk: &Disk) -> Result<Store, StoreError> {
    Store::open_on(Box::new(disk.clone()), facts())
}
