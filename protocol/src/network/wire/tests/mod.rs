use super::*;

mod refusals;
mod samples;

use samples::*;

/// A message of any kind, through one door.
trait Message: Sized {
    fn read(bytes: &[u8]) -> Result<Self, WireError>;
    fn write(&self) -> Vec<u8>;
}

macro_rules! message {
    ($($name:ty),*) => {$(
        impl Message for $name {
            fn read(bytes: &[u8]) -> Result<Self, WireError> {
                Self::from_bytes(bytes)
            }

            fn write(&self) -> Vec<u8> {
                self.to_bytes()
            }
        }
    )*};
}

message!(BackupRequest, BackupResponse, SyncRequest, SyncResponse);

impl Message for SignedAlert {
    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        UnverifiedAlert::from_bytes(bytes)?.verify().map_err(|_signer| WireError::Contradiction)
    }

    fn write(&self) -> Vec<u8> {
        self.to_bytes()
    }
}

impl Message for SignedAnnouncement {
    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        UnverifiedAnnouncement::from_bytes(bytes)?
            .verify(node_signed)
            .map_err(|_signer| WireError::Contradiction)
    }

    fn write(&self) -> Vec<u8> {
        self.to_bytes()
    }
}

// ---------------------------------------------------------------------------------------------------- every codec

fn check<T: Message + PartialEq + core::fmt::Debug>(message: &T) {
    let bytes = message.write();
    assert_eq!(T::read(&bytes).as_ref(), Ok(message));
    for end in 0..bytes.len() {
        assert!(T::read(&bytes[..end]).is_err(), "the first {end} bytes of {message:?}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(T::read(&longer).is_err(), "a byte after {message:?}");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = T::read(&flipped) {
            assert_eq!(other.write(), flipped, "bit {bit} gives a second encoding");
            assert_ne!(&other, message, "bit {bit} is not part of the message");
        }
    }
    assert!(T::read(&vec![VERSION; SYNC_RESPONSE_MAX + 1]).is_err());
}

#[test]
fn every_backup_message_has_one_encoding() {
    backup_requests().iter().for_each(check);
    backup_responses().iter().for_each(check);
}

#[test]
fn every_sync_message_has_one_encoding() {
    sync_requests().iter().for_each(check);
    sync_responses().iter().for_each(check);
}

#[test]
fn alerts_and_announcements_have_one_encoding_and_every_bit_is_signed() {
    check(&signed_alert());
    check(&signed_announcement("tower"));
    let bytes = signed_alert().to_bytes();
    assert_eq!(bytes.len(), UnverifiedAlert::LEN);
    assert_eq!(signed_announcement("tower").to_bytes().len(), UnverifiedAnnouncement::LEN);
    for bit in 8..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(SignedAlert::read(&flipped).is_err(), "bit {bit} is not signed");
    }
}

#[test]
fn the_longest_messages_keep_to_their_limits() {
    let (domain, salt) = (domain(), SyncSalt([0; 16]));
    let parts: Vec<Part> = (0..16)
        .flat_map(|one| (0..16).map(move |two| (one, two)))
        .map(|(one, two)| Prefix::root(shard(0)).child(one).unwrap().child(two).unwrap())
        .map(|prefix| Part::Node(prefix, children(0xFFFF)))
        .take(PARTS_MAX)
        .collect();
    check_len(&SyncRequest::Compare { domain, salt, parts }, SYNC_REQUEST_MAX);
    check_len(&SyncRequest::Want { domain, slots: slots(56) }, SYNC_REQUEST_MAX);
    check_len(&SyncResponse::Envelopes(vec![envelope(); WANT_MAX]), SYNC_RESPONSE_MAX);
    check_len(&BackupRequest::Status { domain, slots: slots(16) }, BACKUP_REQUEST_MAX);
    check_len(
        &BackupResponse::Status(vec![Some(receipt()); STATUS_SLOTS_MAX]),
        BACKUP_RESPONSE_MAX,
    );
}

fn check_len<T: Message + PartialEq + core::fmt::Debug>(message: &T, limit: usize) {
    let bytes = message.write();
    assert!(bytes.len() <= limit, "{} > {limit}", bytes.len());
    assert_eq!(T::read(&bytes).as_ref(), Ok(message));
}

#[test]
fn a_length_over_the_limit_is_refused_before_anything_is_read() {
    assert_eq!(frame_len([0, 0, 4, 0], BACKUP_REQUEST_MAX), Ok(1_024));
    let oversize = WireError::Oversize { limit: BACKUP_REQUEST_MAX, got: 1_025 };
    assert_eq!(frame_len([0, 0, 4, 1], BACKUP_REQUEST_MAX), Err(oversize));
    assert!(frame_len([0xFF; 4], SYNC_RESPONSE_MAX).is_err());
    assert_eq!(frame_prefix(&[0; 258]), Ok([0, 0, 1, 2]));
    assert_eq!(BackupRequest::from_bytes(&[1; BACKUP_REQUEST_MAX + 1]), Err(oversize));
}
