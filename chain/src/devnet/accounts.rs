//! The funded accounts of a devnet.
//!
//! They come from the mnemonic that every Ethereum development tool uses, at `m/44'/60'/0'/0/i`. Its words are printed
//! in countless tutorials: **whoever sends anything of value to these addresses on a real chain loses it at once.**
//! That is why the keys below print without ceremony, and why a devnet binds to loopback only.

use alloy::signers::local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use alloy_primitives::{Address, B256};

use super::error::DevnetError;

/// The public mnemonic of the dev accounts.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// One funded account with its public "private" key.
#[derive(Clone, Debug)]
pub struct DevAccount {
    /// Its address.
    pub address: Address,
    /// Its private key, known to everybody: see the module's warning.
    pub private_key: B256,
    signer: PrivateKeySigner,
}

impl DevAccount {
    /// A signer for alloy's wallets.
    pub fn signer(&self) -> PrivateKeySigner {
        self.signer.clone()
    }
}

/// The first `count` accounts of the public mnemonic, as every development chain funds them.
///
/// # Errors
/// [`DevnetError::Account`], which no count gives.
pub fn derive(count: u16) -> Result<Vec<DevAccount>, DevnetError> {
    (0..u32::from(count))
        .map(|index| {
            MnemonicBuilder::<English>::default()
                .phrase(MNEMONIC)
                .index(index)
                .and_then(|builder| builder.build())
                .map(|signer| DevAccount {
                    address: signer.address(),
                    private_key: signer.to_bytes(),
                    signer,
                })
                .map_err(|source| DevnetError::Account { index, source })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256};

    use super::*;

    #[test]
    fn the_accounts_are_the_well_known_ones() {
        let accounts = derive(2).unwrap();
        assert_eq!(accounts[0].address, address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(
            accounts[0].private_key,
            b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
        );
        assert_eq!(accounts[1].address, address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"));
    }
}
