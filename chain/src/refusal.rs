//! Why a contract refused, read from its revert data.

use alloy_primitives::Bytes;
use alloy_sol_types::SolInterface as _;
use serde::{Deserialize, Serialize};

use crate::{
    bindings::{
        IVipe,
        compiled::Vipe::{self, VipeErrors},
        pool::Vip::VipErrors,
    },
    error::shortened,
};

/// What a refusal means for who wanted the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// Somebody else did it, or something better.
    Beaten,
    /// The time for it has passed.
    Late,
    /// The time for it has not come.
    Early,
    /// Anything else: the call is wrong as it stands.
    Other,
}

impl RefusalKind {
    /// Whether later blocks can only repeat it, so that one look is enough. Only the contract's own words say so, and a
    /// node that is behind the chain cannot make them up: a nonce that stands only grows, and time only passes.
    pub const fn is_lasting(self) -> bool {
        matches!(self, Self::Beaten | Self::Late)
    }
}

/// A contract's refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// What it means.
    pub kind: RefusalKind,
    /// The decoded error with its values, for people.
    pub text: String,
    /// The revert data as it came, at most [`DATA_BYTES_MAX`] of it.
    pub data: Bytes,
}

/// The most that is kept of revert data: the widest error of ours has two words.
pub const DATA_BYTES_MAX: usize = 256;

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Refusal {
    /// Reads revert data; what is unknown stays as it is, as [`RefusalKind::Other`].
    pub fn read(data: &Bytes) -> Self {
        let (kind, text) = classify(data);
        Self { kind, text: shortened(&text), data: data.slice(..data.len().min(DATA_BYTES_MAX)) }
    }
}

/// An error with its values, without the name of the variant around it, which is the same.
fn words(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    let inner = text
        .split_once('(')
        .and_then(|(name, rest)| rest.strip_suffix(')').filter(|inner| inner.starts_with(name)));
    inner.map(str::to_owned).unwrap_or(text)
}

fn classify(data: &[u8]) -> (RefusalKind, String) {
    if let Ok(error) = VipeErrors::abi_decode_validate(data) {
        return (kind(&error), words(&error));
    }
    if let Ok(error) = VipErrors::abi_decode_validate(data) {
        return (RefusalKind::Other, words(&error));
    }
    if let Ok(error) = alloy_sol_types::GenericContractError::abi_decode_validate(data) {
        return (RefusalKind::Other, error.to_string());
    }
    (RefusalKind::Other, format!("an unknown error with {} bytes of data", data.len()))
}

/// The status of a channel that is paid out, as the artifact has it: a number.
const SETTLED: u8 = IVipe::Status::Settled as u8;

const fn kind(error: &VipeErrors) -> RefusalKind {
    match error {
        VipeErrors::StaleNonce(_)
        | VipeErrors::NothingToClaim(_)
        | VipeErrors::WrongStatus(Vipe::WrongStatus { status: SETTLED, .. }) => RefusalKind::Beaten,
        VipeErrors::WindowClosed(_)
        | VipeErrors::AcceptByPassed(_)
        | VipeErrors::ConsentExpired(_) => RefusalKind::Late,
        VipeErrors::WindowOpen(_) => RefusalKind::Early,
        _ => RefusalKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::aliases::U56;
    use alloy_sol_types::SolError as _;

    use super::*;

    #[test]
    fn refusals_of_the_vault_are_told_apart() {
        let read = |data: Vec<u8>| Refusal::read(&data.into()).kind;
        let stale = Vipe::StaleNonce { nonce: U56::from(4), standing: U56::from(5) };
        assert_eq!(read(stale.abi_encode()), RefusalKind::Beaten);
        assert_eq!(read(Vipe::WindowClosed { deadline: 1 }.abi_encode()), RefusalKind::Late);
        assert_eq!(read(Vipe::WindowOpen { deadline: 1 }.abi_encode()), RefusalKind::Early);
        assert_eq!(read(Vipe::ProofRefused {}.abi_encode()), RefusalKind::Other);
        let status = |status: IVipe::Status| {
            Vipe::WrongStatus { channelId: U56::from(1), status: status as u8 }.abi_encode()
        };
        assert_eq!(read(status(IVipe::Status::Settled)), RefusalKind::Beaten);
        assert_eq!(read(status(IVipe::Status::Live)), RefusalKind::Other);
        assert!(Refusal::read(&stale.abi_encode().into()).text.starts_with("StaleNonce { "));
        assert_eq!(Refusal::read(&Vipe::ProofRefused {}.abi_encode().into()).text, "ProofRefused");
    }

    #[test]
    fn unknown_and_oversized_data_is_kept_short() {
        let refusal = Refusal::read(&vec![7; 100_000].into());
        assert_eq!((refusal.kind, refusal.data.len()), (RefusalKind::Other, DATA_BYTES_MAX));
        assert_eq!(Refusal::read(&Bytes::new()).kind, RefusalKind::Other);
    }
}
