//! What admission decided, by name.

use std::collections::BTreeMap;
use std::sync::Mutex;

use protocol::network::admission::Verdict;

use super::lock;

/// Counts since the start. Names are from a closed set: [`Verdict::label`], `evidence`, `asked_too_often`.
#[derive(Debug, Default)]
pub struct Counts {
    by_name: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counts {
    pub(super) fn verdict(&self, verdict: &Verdict) {
        self.one(verdict.label());
    }

    /// Two envelopes at one nonce: both were kept aside.
    pub(super) fn evidence(&self) {
        self.one("evidence");
    }

    /// A peer, or all together, asked for more receipts than are signed.
    pub(crate) fn asked_too_often(&self) {
        self.one("asked_too_often");
    }

    fn one(&self, name: &'static str) {
        let mut by_name = lock(&self.by_name);
        let count = by_name.entry(name).or_default();
        *count = count.saturating_add(1);
    }

    /// Every name that was counted, with its count.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.by_name).clone()
    }
}
