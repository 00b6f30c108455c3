//! What a submitter knows of one tower.

use alloy_primitives::B256;

use super::{Config, Now};

/// One tower, as seen from one slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Tower {
    /// The envelope of the newest receipt, and until when it counts, in seconds since 1970.
    receipt: Option<(B256, u64)>,
    /// The envelope under way, and when its answer is overdue.
    asked: Option<(B256, u64)>,
    /// Failures in a row.
    failures: u32,
    /// Not to be asked before this time.
    not_before_ms: u64,
    /// It refused the newest envelope for good.
    refused: bool,
}

impl Tower {
    pub(super) fn holds(&self, id: B256, unix_s: u64) -> bool {
        self.receipt.is_some_and(|(held, until)| held == id && until > unix_s)
    }

    pub(super) const fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether it can be counted on: it neither failed the last time nor refused.
    pub(super) const fn is_good(&self) -> bool {
        self.failures == 0 && !self.refused
    }

    /// Whether it must be asked about this envelope now.
    pub(super) fn is_due(&self, id: B256, config: &Config, now: Now) -> bool {
        self.asked.is_none()
            && !self.refused
            && now.ms >= self.not_before_ms
            && !self.holds(id, now.unix_s.saturating_add(config.renew_s))
    }

    /// When it must be asked, or its answer is overdue.
    pub(super) fn next_at(&self, id: B256, config: &Config, now: Now) -> Option<u64> {
        if let Some((_, overdue_ms)) = self.asked {
            return Some(overdue_ms);
        }
        if self.refused {
            return None;
        }
        let renew_ms = match self.receipt {
            Some((held, until)) if held == id => {
                let left_s = until.saturating_sub(config.renew_s).saturating_sub(now.unix_s);
                now.ms.saturating_add(left_s.saturating_mul(1_000))
            }
            _ => 0,
        };
        let at_ms = renew_ms.max(self.not_before_ms);
        // Nothing that is due already and is not asked wakes anybody: it waits in line.
        (at_ms > now.ms).then_some(at_ms)
    }

    pub(super) const fn ask(&mut self, id: B256, config: &Config, now: Now) {
        self.asked = Some((id, now.ms.saturating_add(config.timeout_ms)));
    }

    /// An answer about this envelope came. False if none was waited for.
    pub(super) fn answered(&mut self, id: B256) -> bool {
        let expected = self.asked.is_some_and(|(asked, _)| asked == id);
        if expected {
            self.asked = None;
        }
        expected
    }

    pub(super) const fn receipted(&mut self, id: B256, until: u64) {
        self.receipt = Some((id, until));
        self.failures = 0;
        self.not_before_ms = 0;
        self.refused = false;
    }

    /// Waits twice as long after each failure in a row, give or take a quarter.
    pub(super) fn failed(&mut self, config: &Config, now: Now) {
        let doubled = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let wait_ms = config.retry_ms.saturating_mul(doubled).min(config.retry_max_ms);
        self.wait_about(wait_ms, now);
    }

    /// Waits as long as the tower says, within what is configured.
    pub(super) fn wait(&mut self, config: &Config, wait_ms: u64, now: Now) {
        self.wait_about(wait_ms.clamp(config.retry_ms, config.retry_max_ms), now);
    }

    fn wait_about(&mut self, wait_ms: u64, now: Now) {
        self.failures = self.failures.saturating_add(1);
        let half = (wait_ms / 2).max(1);
        let spread = now.chance.checked_rem(half).unwrap_or(0);
        let wait_ms = wait_ms.saturating_sub(half / 2).saturating_add(spread);
        self.not_before_ms = now.ms.saturating_add(wait_ms);
    }

    pub(super) const fn give_up(&mut self) {
        self.refused = true;
    }

    pub(super) const fn forgive(&mut self) {
        self.refused = false;
    }

    pub(super) fn expire(&mut self, config: &Config, now: Now) {
        if self.asked.is_some_and(|(_, overdue_ms)| now.ms >= overdue_ms) {
            self.asked = None;
            self.failed(config, now);
        }
    }
}
