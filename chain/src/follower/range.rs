//! How many blocks to ask for at once when catching up: nodes differ, and say so only by refusing.

/// The size to begin with.
const START_BLOCKS: u64 = 1_000;
/// Answers longer than this make the range no wider: the node's own limit is commonly 10,000 logs.
const LOGS_PLENTY: usize = 2_000;

/// A size that halves on refusal and doubles on success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RangeSize {
    blocks: u64,
    most: u64,
}

impl RangeSize {
    pub(super) fn new(most: u64) -> Self {
        let most = most.max(1);
        Self { blocks: START_BLOCKS.min(most), most }
    }

    /// At least 1.
    pub(super) const fn blocks(self) -> u64 {
        self.blocks
    }

    pub(super) fn succeeded(&mut self, logs: usize) {
        if logs < LOGS_PLENTY {
            self.blocks = self.blocks.saturating_mul(2).min(self.most);
        }
    }

    pub(super) fn refused(&mut self) {
        self.blocks = (self.blocks / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shrinks_to_one_and_grows_to_the_most() {
        let mut size = RangeSize::new(5_000);
        for _ in 0..20 {
            size.refused();
        }
        assert_eq!(size.blocks(), 1);
        for _ in 0..20 {
            size.succeeded(0);
        }
        assert_eq!(size.blocks(), 5_000);
        size.succeeded(LOGS_PLENTY);
        assert_eq!(size.blocks(), 5_000);
        assert_eq!(RangeSize::new(0).blocks(), 1);
    }
}
