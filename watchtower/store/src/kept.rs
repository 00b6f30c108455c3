//! A backup's row: what no other row says.
//!
//! | bytes | |
//! |---|---|
//! | 1 | 0: the header is left out; 1: the envelope is whole |
//! | 6 | stored at, Unix milliseconds |
//! | 3 | how long before that the jump's window began, milliseconds |
//! | 7 | the nonce at the window's start |
//! | rest | the envelope; without its header if that is what vault, slot and nonce make |
//!
//! With an envelope of the network that is 497 bytes and 9 of the key, and eight of them fit into a page of 4,096.

use protocol::backup::Header;
use protocol::{Domain, Nonce};

use crate::backups::Slot;
use crate::error::StoreError;

const TABLE: &str = "backups-4";

/// The last millisecond that six bytes can say: in the year 10889.
const TIME_MAX: u64 = (1 << 48) - 1;
/// The longest time that three bytes can say; a window is an hour.
const AGE_MAX: u64 = (1 << 24) - 1;

const BARE: u8 = 0;
const WHOLE: u8 = 1;

/// When it was stored, and the window in which the jump of its slot is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) stored_at_ms: u64,
    /// No later than `stored_at_ms`, and no more than a window before it.
    pub(crate) window_start_ms: u64,
    pub(crate) window_nonce: Nonce,
}

/// The header that an envelope of this vault, slot and nonce has.
fn header(domain: Domain, slot: Slot, nonce: Nonce) -> [u8; Header::LEN] {
    let Slot { channel_id, role } = slot;
    Header { domain, channel_id, role, nonce }.to_bytes()
}

pub(crate) fn encode(
    domain: Domain,
    slot: Slot,
    nonce: Nonce,
    times: Times,
    envelope: &[u8],
) -> Vec<u8> {
    let header = header(domain, slot, nonce);
    let (form, kept) = match envelope.strip_prefix(header.as_slice()) {
        Some(rest) => (BARE, rest),
        None => (WHOLE, envelope),
    };
    let stored_at = times.stored_at_ms.min(TIME_MAX);
    // A clock that was set back must not leave a window that begins in the future.
    let age = stored_at.saturating_sub(times.window_start_ms).min(AGE_MAX);
    let mut row = Vec::with_capacity(17_usize.saturating_add(kept.len()));
    row.push(form);
    let [_, _, stored_at @ ..] = stored_at.to_be_bytes();
    row.extend_from_slice(&stored_at);
    let [_, _, _, _, _, age @ ..] = age.to_be_bytes();
    row.extend_from_slice(&age);
    let [_, nonce @ ..] = times.window_nonce.get().to_be_bytes();
    row.extend_from_slice(&nonce);
    row.extend_from_slice(kept);
    row
}

/// The times, and whether the rest of the row is a whole envelope.
fn split(row: &[u8]) -> Result<(Times, u8, &[u8]), StoreError> {
    let short = || StoreError::row(TABLE, format!("{} bytes", row.len()));
    let (form, rest) = row.split_first().ok_or_else(short)?;
    let (stored_at, rest) = rest.split_first_chunk::<6>().ok_or_else(short)?;
    let (age, rest) = rest.split_first_chunk::<3>().ok_or_else(short)?;
    let (nonce, kept) = rest.split_first_chunk::<7>().ok_or_else(short)?;
    let (stored_at_ms, age) = (number(stored_at), number(age));
    let window_nonce =
        Nonce::try_from(number(nonce)).map_err(|error| StoreError::row(TABLE, error))?;
    let window_start_ms = stored_at_ms.saturating_sub(age);
    Ok((Times { stored_at_ms, window_start_ms, window_nonce }, *form, kept))
}

/// Up to eight bytes, big endian.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The times alone.
pub(crate) fn times(row: &[u8]) -> Result<Times, StoreError> {
    split(row).map(|(times, _form, _kept)| times)
}

/// When it was stored, and the whole envelope.
pub(crate) fn decode(
    domain: Domain,
    slot: Slot,
    nonce: Nonce,
    row: &[u8],
) -> Result<(u64, Vec<u8>), StoreError> {
    let (times, form, kept) = split(row)?;
    let envelope = match form {
        BARE => [header(domain, slot, nonce).as_slice(), kept].concat(),
        WHOLE => kept.to_vec(),
        other => return Err(StoreError::row(TABLE, format!("form {other}"))),
    };
    Ok((times.stored_at_ms, envelope))
}

#[cfg(test)]
mod tests {
    use protocol::{Address, Role};

    use super::*;

    #[test]
    fn an_envelope_is_read_back_byte_for_byte_with_or_without_its_header() {
        let domain = Domain::derive(31_337, Address::repeat_byte(7));
        let slot = Slot { channel_id: 77.try_into().unwrap(), role: Role::Counterparty };
        let nonce = Nonce::try_from(4_711).unwrap();
        let times = Times {
            stored_at_ms: 1_700_000_000_123,
            window_start_ms: 1_699_999_000_000,
            window_nonce: Nonce::MAX,
        };
        let own = [header(domain, slot, nonce).as_slice(), &[9; 480]].concat();
        let other = [header(domain, slot, Nonce::ZERO).as_slice(), &[9; 480]].concat();
        for (envelope, bytes) in [(own, 497), (other, 536), (vec![], 17), (vec![1; 20], 37)] {
            let row = encode(domain, slot, nonce, times, &envelope);
            assert_eq!(row.len(), bytes);
            assert_eq!(super::times(&row).unwrap(), times);
            let read = decode(domain, slot, nonce, &row).unwrap();
            assert_eq!(read, (times.stored_at_ms, envelope));
        }
        assert!(decode(domain, slot, nonce, &[0; 16]).is_err());
        assert!(decode(domain, slot, nonce, &[2; 17]).is_err());
    }

    #[test]
    fn a_window_never_begins_after_what_was_stored_in_it() {
        let domain = Domain::derive(31_337, Address::repeat_byte(7));
        let slot = Slot { channel_id: 1.try_into().unwrap(), role: Role::Participant };
        let set_back =
            Times { stored_at_ms: 1_000, window_start_ms: 9_000, window_nonce: Nonce::ZERO };
        let row = encode(domain, slot, Nonce::ZERO, set_back, &[]);
        assert_eq!(times(&row).unwrap().window_start_ms, 1_000);
        let late = Times { stored_at_ms: u64::MAX, ..set_back };
        let row = encode(domain, slot, Nonce::ZERO, late, &[]);
        assert_eq!(times(&row).unwrap().stored_at_ms, TIME_MAX);
    }
}
