//! Several frames in one request: each with its length in four bytes, big endian, before it.

use super::REQUEST_MAX;

const LENGTH: usize = 4;

/// The longest frame: alone in a request.
pub(super) const FRAME_MAX: usize = REQUEST_MAX - LENGTH;

/// Puts frames into one request, as many as fit; how many it took.
pub(super) fn pack<'a>(frames: impl Iterator<Item = &'a Vec<u8>>) -> (Vec<u8>, usize) {
    let (mut bytes, mut taken) = (Vec::new(), 0_usize);
    for frame in frames {
        let whole = bytes.len().saturating_add(LENGTH).saturating_add(frame.len());
        let Ok(length) = u32::try_from(frame.len()) else { break };
        if whole > REQUEST_MAX {
            break;
        }
        bytes.extend(length.to_be_bytes());
        bytes.extend(frame);
        taken = taken.saturating_add(1);
    }
    (bytes, taken)
}

/// The frames of a request; none when its lengths do not add up.
pub(super) fn unpack(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (frame, rest) = rest.split_at_checked(length)?;
        frames.push(frame.to_vec());
        bytes = rest;
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_and_no_more_than_fit() {
        let frames = [vec![1; 10], Vec::new(), vec![2; REQUEST_MAX - 30], vec![3; 100]];
        let (bytes, taken) = pack(frames.iter());
        assert_eq!(taken, 3);
        assert_eq!(unpack(&bytes).unwrap(), frames[..3]);
        assert!(unpack(&bytes[..bytes.len() - 1]).is_none());
        assert!(unpack(&[0, 0, 0]).is_none());
        assert_eq!(pack(std::iter::once(&vec![0; FRAME_MAX])).1, 1);
        assert_eq!(pack(std::iter::once(&vec![0; FRAME_MAX + 1])).1, 0);
    }
}
