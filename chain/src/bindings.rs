//! The contracts as Rust sees them.
//!
//! The vault's bindings are made from its Solidity interface, the file that the contract itself implements, so the two
//! cannot drift; a test compares selectors and topics with the compiled contract as well. Nothing here leaves the crate:
//! [`crate::calls`] and [`crate::events`] speak to the outside.
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
}
