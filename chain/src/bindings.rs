//! The contracts as Rust sees them.
//!
//! The vault's bindings are made from its Solidity interface, the file that the contract itself implements, and the others
//! from the checked-in artifacts, so they cannot drift; a test compares selectors and topics with the compiled vault as
//! well. Nothing here leaves the crate: [`crate::calls`] and [`crate::events`] speak to the outside.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::too_many_arguments,
    reason = "generated from documented Solidity"
)]

alloy_sol_types::sol! {
    #![sol(all_derives)]
    "contracts/src/interfaces/IVipe.sol"
}

/// Why the vault refuses: from the artifact, because the macro does not follow imports between interfaces.
pub mod compiled {
    alloy_sol_types::sol! {
        #![sol(all_derives)]
        Vipe,
        "artifacts/Vipe.json"
    }
}

/// The pool: from the artifact, because its interface extends those of a library.
pub mod pool {
    alloy_sol_types::sol! {
        #![sol(all_derives)]
        Vip,
        "artifacts/Vip.json"
    }
}

alloy_sol_types::sol! {
    #![sol(all_derives)]

    /// The part of ERC-20 that we use.
    interface IErc20 {
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function decimals() external view returns (uint8);
        function symbol() external view returns (string memory);
    }

    /// A contract that stands behind signatures (ERC-1271).
    interface IErc1271 {
        function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4);
    }

    /// The development asset.
    interface IDevToken {
        error NotMinter();
        constructor(string memory name_, string memory symbol_, uint8 places);
        function mint(address to, uint256 amount) external;
    }

    /// The operator's consent to put a pool's capital into a channel (EIP-712).
    struct Allocate {
        uint56 channelId;
        address vip;
        uint112 amount;
        uint64 seq;
        uint64 deadline;
    }

    /// Both parties' consent to take money out (EIP-712).
    struct Withdraw {
        uint56 channelId;
        address participant;
        address counterparty;
        uint64 seq;
        uint56 nonce;
        uint56 version;
        uint112 balance;
        uint112 toParticipant;
        uint112 toVip;
        uint64 deadline;
    }

    /// Both parties' consent to an end (EIP-712).
    struct Close {
        uint56 channelId;
        address participant;
        address counterparty;
        uint64 seq;
        uint64 disputeEpoch;
        uint112 toParticipant;
        uint112 toVip;
        uint64 deadline;
    }

    /// A party's order that somebody else opens a dispute for it (EIP-712).
    struct Exit {
        uint56 channelId;
        address party;
        uint56 nonce;
        uint112 cap;
        address payer;
        uint64 deadline;
    }

    /// The counterparty's consent to a channel (EIP-712).
    struct Accept {
        uint56 channelId;
        address participant;
        address counterparty;
        address vip;
        address asset;
        bytes32 keysDigest;
        bytes32 channelKeysHash;
        address participantSession;
        address counterpartySession;
        bytes32 disputeHash;
        bytes32 salt;
        uint96 rate;
        uint112 deposit;
        uint112 allocation;
        uint64 acceptBy;
        uint64 deadline;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alloy::json_abi::JsonAbi;
    use alloy_primitives::B256;
    use alloy_sol_types::SolInterface as _;

    use super::*;

    fn abi(name: &str) -> JsonAbi {
        let path = format!("{}/artifacts/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let artifact: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        serde_json::from_value(artifact["abi"].clone()).unwrap()
    }

    fn selectors(abi: &JsonAbi) -> BTreeSet<[u8; 4]> {
        abi.functions().map(|function| function.selector().0).collect()
    }

    fn error_selectors(abi: &JsonAbi) -> BTreeSet<[u8; 4]> {
        abi.errors().map(|error| error.selector().0).collect()
    }

    #[test]
    fn every_function_event_and_error_is_that_of_the_compiled_vault() {
        let vault = abi("Vipe");
        let ours: BTreeSet<_> = IVipe::IVipeCalls::selectors().collect();
        assert!(ours.is_subset(&selectors(&vault)), "a function that the vault does not have");
        let ours: BTreeSet<_> =
            IVipe::IVipeEvents::SELECTORS.iter().copied().map(B256::from).collect();
        let theirs: BTreeSet<_> = vault
            .events()
            .filter(|event| event.name != "EIP712DomainChanged")
            .map(alloy::json_abi::Event::selector)
            .collect();
        assert_eq!(ours, theirs, "events");
        let ours: BTreeSet<_> = compiled::Vipe::VipeErrors::selectors().collect();
        assert_eq!(ours, error_selectors(&vault), "errors");
    }

    #[test]
    fn the_development_asset_is_the_compiled_one() {
        let token = abi("DevToken");
        let token_functions = selectors(&token);
        let ours: BTreeSet<_> = IDevToken::IDevTokenCalls::selectors()
            .chain(IErc20::IErc20Calls::selectors())
            .collect();
        assert!(ours.is_subset(&token_functions));
    }
}
