//! The names of orders: what makes repeating one safe.

use rand::RngCore as _;

use super::client_wait::progress;
use crate::cli::Common;

/// The name of an order: the one that the person gave, or a new one, which is printed.
pub(super) fn name(given: Option<&str>, common: &Common) -> String {
    let key = given.map_or_else(random, str::to_owned);
    progress(common, &format!("to repeat this very order: --order {key}"));
    key
}

/// The name of a payment: an invoice has one of its own, a channel's number has none.
pub(super) fn of_payment(to: &str, given: Option<&str>, common: &Common) -> Option<String> {
    match to.parse::<u64>() {
        Ok(_number) => Some(name(given, common)),
        Err(_no_number) => given.map(str::to_owned),
    }
}

fn random() -> String {
    let mut random = [0; 8];
    rand::rngs::OsRng.fill_bytes(&mut random);
    alloy_primitives::hex::encode(random)
}
