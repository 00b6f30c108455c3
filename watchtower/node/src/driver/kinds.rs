//! Whether the other party's account is a contract. This node verifies consents by ECDSA alone, so a channel with a contract's
//! account could neither be withdrawn from nor closed by consent: it is refused before anything is paid in.
//!
//! **Invariant:** nothing is paid in, and nothing accepted, for an account of which the chain has not said that it has a key.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use tokio::sync::mpsc;

use super::Driver;

/// Accounts remembered; beyond it all are forgotten and asked about again.
const KNOWN_MAX: usize = 65_536;
/// A question that was not answered is asked again after so long, in milliseconds.
const ASK_AGAIN: u64 = 5_000;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Asked(u64),
    Known { is_contract: bool },
}

/// What is known of accounts.
#[derive(Debug)]
pub(super) struct Kinds {
    jobs: Option<mpsc::Sender<Address>>,
    known: BTreeMap<Address, Kind>,
}

impl Kinds {
    /// With nobody to ask (in tests of the driver alone) every account has a key.
    pub(super) const fn new(jobs: Option<mpsc::Sender<Address>>) -> Self {
        Self { jobs, known: BTreeMap::new() }
    }

    fn is_contract(&mut self, account: Address, now: u64) -> Option<bool> {
        let Some(jobs) = &self.jobs else { return Some(false) };
        match self.known.get(&account) {
            Some(Kind::Known { is_contract }) => return Some(*is_contract),
            Some(Kind::Asked(at)) if now.saturating_sub(*at) < ASK_AGAIN => return None,
            _ => {}
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        if jobs.try_send(account).is_ok() {
            self.known.insert(account, Kind::Asked(now));
        }
        None
    }

    pub(super) fn looked(&mut self, account: Address, is_contract: Option<bool>) {
        match is_contract {
            Some(is_contract) => {
                self.known.insert(account, Kind::Known { is_contract });
            }
            None => {
                self.known.remove(&account);
            }
        }
    }
}

impl Driver {
    /// Whether an account is a contract; none until the chain has said so: ask again.
    pub(super) fn is_contract(&mut self, account: Address) -> Option<bool> {
        let now = self.now();
        self.kinds.is_contract(account, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_neither_until_the_chain_has_said_so_and_a_silent_chain_is_asked_again() {
        let (jobs, mut asked) = mpsc::channel(4);
        let mut kinds = Kinds::new(Some(jobs));
        let (safe, person) = (Address::repeat_byte(1), Address::repeat_byte(2));
        assert_eq!(kinds.is_contract(safe, 0), None);
        assert_eq!(kinds.is_contract(safe, 1), None);
        assert_eq!(asked.try_recv().ok(), Some(safe));
        assert!(asked.try_recv().is_err(), "it is asked once");
        kinds.looked(safe, None);
        assert_eq!(kinds.is_contract(safe, 2), None);
        assert_eq!(asked.try_recv().ok(), Some(safe), "no answer is none");
        kinds.looked(safe, Some(true));
        kinds.looked(person, Some(false));
        assert_eq!(kinds.is_contract(safe, 3), Some(true));
        assert_eq!(kinds.is_contract(person, 3), Some(false));
    }
}
