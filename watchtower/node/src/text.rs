//! Bytes as text that a person can copy and a phone can scan: a prefix, base 32 in lower case, a checksum.
//!
//! **Invariant:** a text that was mistyped is refused (but for one chance in 2^32), and one that decodes has one form.

use alloy_primitives::keccak256;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const CHECKSUM: usize = 4;

/// Why a text is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// It begins otherwise.
    #[error("it does not begin with {0:?}")]
    Prefix(&'static str),
    /// A character that is none of the alphabet, or a length that no bytes have.
    #[error("it has a character that does not belong there, or is cut off")]
    Character,
    /// Something was mistyped.
    #[error("its checksum does not fit: something was mistyped or cut off")]
    Checksum,
    /// The bytes are not what was wanted.
    #[error("{0}")]
    Content(String),
}

/// The text of `bytes`.
pub(crate) fn encode(prefix: &'static str, bytes: &[u8]) -> String {
    let sum = checksum(prefix, bytes);
    let mut out = prefix.to_owned();
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for byte in bytes.iter().chain(&sum) {
        buffer = (buffer << 8) | u32::from(*byte);
        bits = bits.saturating_add(8);
        while bits >= 5 {
            bits = bits.saturating_sub(5);
            push(&mut out, buffer >> bits);
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        push(&mut out, buffer << 5_u32.saturating_sub(bits));
    }
    out
}

fn push(out: &mut String, digit: u32) {
    let at = usize::try_from(digit & 31).unwrap_or(0);
    out.extend(ALPHABET.get(at).map(|letter| char::from(*letter)));
}

/// The bytes of a text that [`encode`] made.
pub(crate) fn decode(prefix: &'static str, text: &str) -> Result<Vec<u8>, TextError> {
    let digits = text.trim().strip_prefix(prefix).ok_or(TextError::Prefix(prefix))?;
    let mut bytes = Vec::with_capacity(digits.len());
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for letter in digits.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == letter);
        let digit =
            digit.and_then(|digit| u32::try_from(digit).ok()).ok_or(TextError::Character)?;
        buffer = (buffer << 5) | digit;
        bits = bits.saturating_add(5);
        if bits >= 8 {
            bits = bits.saturating_sub(8);
            bytes.push(u8::try_from((buffer >> bits) & 0xff).unwrap_or(0));
            buffer &= (1 << bits) - 1;
        }
    }
    if bits >= 5 || buffer != 0 {
        return Err(TextError::Character);
    }
    let at = bytes.len().checked_sub(CHECKSUM).ok_or(TextError::Checksum)?;
    let sum = bytes.split_off(at);
    if sum == checksum(prefix, &bytes) { Ok(bytes) } else { Err(TextError::Checksum) }
}

fn checksum(prefix: &str, bytes: &[u8]) -> [u8; CHECKSUM] {
    let digest = keccak256([prefix.as_bytes(), bytes].concat());
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(digest.first_chunk::<CHECKSUM>().unwrap_or(&[0; CHECKSUM]));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_a_slip_of_the_pen_is_noticed() {
        for length in 0..40_u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            let text = encode("vrc1", &bytes);
            assert_eq!(decode("vrc1", &text).unwrap(), bytes);
            assert_eq!(decode("vrx1", &text), Err(TextError::Prefix("vrx1")));
            for at in 4..text.len() {
                let mut wrong = text.clone().into_bytes();
                wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
                assert!(decode("vrc1", &String::from_utf8(wrong).unwrap()).is_err());
            }
            assert!(decode("vrc1", &text[..text.len() - 1]).is_err());
        }
        assert_eq!(decode("vrc1", "vrc1A"), Err(TextError::Character));
    }
}
