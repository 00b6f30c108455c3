//! `/vrc/backup/1`: hand over, get back, ask who holds what, ask who is a tower.
//!
//! **Invariant:** a receipt is sent after the durable commit of what it names.

use alloy_primitives::Address;

use super::codec::{
    Writer, open, read_address, read_count_or_none, read_slot, read_slots, read_u64,
};
use super::{RawEnvelope, Refusal, UnverifiedAnnouncement, UnverifiedReceipt, WireError};
use crate::{
    encoding::{DecodeError, Reader},
    ids::Domain,
    network::slot::Slot,
};

/// The most slots in one question about status: what a node with one channel or a handful of them asks at once.
pub const STATUS_SLOTS_MAX: usize = 32;
/// The most announcements in one answer: 16 of them are about 4 KiB.
pub const TOWERS_PAGE_MAX: usize = 16;
/// The longest request, in bytes.
pub const BACKUP_REQUEST_MAX: usize = 1_024;
/// The longest answer, in bytes.
pub const BACKUP_RESPONSE_MAX: usize = 8_192;

const _: () = assert!(2 + 8 + RawEnvelope::LEN <= BACKUP_REQUEST_MAX);
const _: () = assert!(2 + 21 + 2 + STATUS_SLOTS_MAX * Slot::LEN <= BACKUP_REQUEST_MAX);
const _: () =
    assert!(2 + 2 + STATUS_SLOTS_MAX * (1 + UnverifiedReceipt::LEN) <= BACKUP_RESPONSE_MAX);
const _: () =
    assert!(2 + 2 + TOWERS_PAGE_MAX * (UnverifiedAnnouncement::LEN - 1) <= BACKUP_RESPONSE_MAX);

const SUBMIT: u8 = 1;
const FETCH: u8 = 2;
const STATUS: u8 = 3;
const TOWERS: u8 = 4;

const RECEIPT: u8 = 1;
const REFUSED: u8 = 2;
const ENVELOPE: u8 = 3;
const NOTHING: u8 = 4;
const STATUS_IS: u8 = 5;
const TOWERS_ARE: u8 = 6;

/// What a node or a tower asks of a tower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupRequest {
    /// Keep this. Answer: a receipt or a refusal.
    Submit {
        /// A block by which the sender's chain had the channel live; 0 if it does not say. Towers that have not read so far
        /// do not blame a sender for a channel that they do not know.
        seen_at: u64,
        /// What to keep.
        envelope: RawEnvelope,
    },
    /// What is in this slot? Answer: an envelope, nothing or a refusal.
    Fetch {
        /// The vault.
        domain: Domain,
        /// The slot.
        slot: Slot,
    },
    /// Which nonces do you hold? Answer: for each slot a receipt or nothing.
    Status {
        /// The vault.
        domain: Domain,
        /// 1 to [`STATUS_SLOTS_MAX`] slots, strictly ascending by [`Slot::key`].
        slots: Vec<Slot>,
    },
    /// Which towers do you know? Answer: those with accounts above `after`, ascending, at most [`TOWERS_PAGE_MAX`].
    Towers {
        /// The vault.
        domain: Domain,
        /// The last account of the page before, or zero.
        after: Address,
    },
}

impl BackupRequest {
    /// Reads an encoded request.
    ///
    /// # Errors
    /// [`WireError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = open(bytes, BACKUP_REQUEST_MAX)?;
        let request = match reader.byte()? {
            SUBMIT => Self::Submit {
                seen_at: read_u64(&mut reader)?,
                envelope: read_envelope(&mut reader)?,
            },
            FETCH => Self::Fetch { domain: reader.domain()?, slot: read_slot(&mut reader)? },
            STATUS => Self::Status {
                domain: reader.domain()?,
                slots: read_slots(&mut reader, STATUS_SLOTS_MAX)?,
            },
            TOWERS => Self::Towers { domain: reader.domain()?, after: read_address(&mut reader)? },
            other => return Err(DecodeError::Kind(other).into()),
        };
        reader.finish()?;
        Ok(request)
    }

    /// The encoding. A list longer than its limit is cut.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let out = Writer::new();
        match self {
            Self::Submit { seen_at, envelope } => {
                out.byte(SUBMIT).u64(*seen_at).bytes(envelope.as_bytes())
            }
            Self::Fetch { domain, slot } => out.byte(FETCH).domain(domain).slot(*slot),
            Self::Status { domain, slots } => {
                out.byte(STATUS)
                    .domain(domain)
                    .list(slots, STATUS_SLOTS_MAX, |out, slot| out.slot(*slot))
            }
            Self::Towers { domain, after } => {
                out.byte(TOWERS).domain(domain).bytes(after.as_slice())
            }
        }
        .finish()
    }
}

/// What a tower answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupResponse {
    /// It is kept, durably.
    Receipt(UnverifiedReceipt),
    /// Why not.
    Refused(Refusal),
    /// What is in the slot.
    Envelope(RawEnvelope),
    /// The slot is empty.
    Nothing,
    /// For each slot asked about, in the same order, the receipt for what is held.
    Status(Vec<Option<UnverifiedReceipt>>),
    /// The next page of known towers, strictly ascending by account.
    Towers(Vec<UnverifiedAnnouncement>),
}

impl BackupResponse {
    /// Reads an encoded answer.
    ///
    /// # Errors
    /// [`WireError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = open(bytes, BACKUP_RESPONSE_MAX)?;
        let response = match reader.byte()? {
            RECEIPT => Self::Receipt(UnverifiedReceipt::read(&mut reader)?),
            REFUSED => Self::Refused(Refusal::read(&mut reader)?),
            ENVELOPE => Self::Envelope(read_envelope(&mut reader)?),
            NOTHING => Self::Nothing,
            STATUS_IS => Self::Status(read_status(&mut reader)?),
            TOWERS_ARE => Self::Towers(read_towers(&mut reader)?),
            other => return Err(DecodeError::Kind(other).into()),
        };
        reader.finish()?;
        Ok(response)
    }

    /// The encoding. A list longer than its limit is cut.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let out = Writer::new();
        match self {
            Self::Receipt(receipt) => receipt.write(out.byte(RECEIPT)),
            Self::Refused(refusal) => refusal.write(out.byte(REFUSED)),
            Self::Envelope(envelope) => out.byte(ENVELOPE).bytes(envelope.as_bytes()),
            Self::Nothing => out.byte(NOTHING),
            Self::Status(held) => {
                out.byte(STATUS_IS).list(held, STATUS_SLOTS_MAX, |out, receipt| match receipt {
                    None => out.byte(0),
                    Some(receipt) => receipt.write(out.byte(1)),
                })
            }
            Self::Towers(towers) => {
                out.byte(TOWERS_ARE).list(towers, TOWERS_PAGE_MAX, |out, tower| tower.write(out))
            }
        }
        .finish()
    }
}

fn read_envelope(reader: &mut Reader<'_>) -> Result<RawEnvelope, WireError> {
    Ok(RawEnvelope::from_bytes(reader.slice(RawEnvelope::LEN)?)?)
}

fn read_status(reader: &mut Reader<'_>) -> Result<Vec<Option<UnverifiedReceipt>>, WireError> {
    let count = read_count_or_none(reader, STATUS_SLOTS_MAX)?;
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(match reader.byte()? {
            0 => None,
            1 => Some(UnverifiedReceipt::read(reader)?),
            other => return Err(DecodeError::Kind(other).into()),
        });
    }
    Ok(held)
}

fn read_towers(reader: &mut Reader<'_>) -> Result<Vec<UnverifiedAnnouncement>, WireError> {
    let count = read_count_or_none(reader, TOWERS_PAGE_MAX)?;
    let mut towers = Vec::with_capacity(count);
    let mut last = None;
    for _ in 0..count {
        let tower = UnverifiedAnnouncement::read(reader)?;
        super::codec::ascending(&mut last, tower.claims().tower)?;
        towers.push(tower);
    }
    Ok(towers)
}
