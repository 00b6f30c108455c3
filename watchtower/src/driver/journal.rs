//! One line for each step of a dispute's life: for the journal on disk, and for people who read the log.

use alloy_primitives::{B256, U256};
use store::{Change, DisputeId, JournalRow};

/// How loud a line is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// A step of the life.
    Step,
    /// Something that the tower will try again.
    Trouble,
}

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    dispute: DisputeId,
    level: Level,
    row: JournalRow,
}

impl Line {
    /// A step, in one word for machines and in a sentence for people.
    pub(crate) fn step(dispute: DisputeId, step: &str, message: impl Into<String>) -> Self {
        let row = JournalRow {
            at_ms: crate::clock::now_ms(),
            step: step.to_owned(),
            message: message.into(),
            ..JournalRow::default()
        };
        Self { dispute, level: Level::Step, row }
    }

    /// Something that the tower will try again.
    pub(crate) fn trouble(dispute: DisputeId, step: &str, message: impl Into<String>) -> Self {
        Self { level: Level::Trouble, ..Self::step(dispute, step, message) }
    }

    /// How long it took.
    pub(crate) fn took(mut self, took: std::time::Duration) -> Self {
        self.row.took_us = u64::try_from(took.as_micros()).ok();
        self
    }

    /// Its block.
    pub(crate) fn block(mut self, block: u64) -> Self {
        self.row.block = Some(block);
        self
    }

    /// Its transaction.
    pub(crate) fn transaction(mut self, transaction: B256) -> Self {
        self.row.transaction = Some(transaction);
        self
    }

    /// Gas used.
    pub(crate) fn gas(mut self, gas: u64) -> Self {
        self.row.gas = Some(gas);
        self
    }

    /// Bytes made or sent.
    pub(crate) fn bytes(mut self, bytes: usize) -> Self {
        self.row.bytes = u64::try_from(bytes).ok();
        self
    }

    /// Wei that moved.
    pub(crate) fn wei(mut self, wei: U256) -> Self {
        self.row.wei = Some(wei);
        self
    }

    /// Whose step it is, and its row.
    pub(crate) fn parts(&self) -> (DisputeId, &JournalRow) {
        (self.dispute, &self.row)
    }

    /// The write of this line.
    pub(crate) fn change(&self) -> Change {
        Change::Journal(self.dispute, Box::new(self.row.clone()))
    }

    /// Into the log; called once the line is durable.
    pub(crate) fn log(&self) {
        let row = &self.row;
        let (dispute, step, message) = (self.dispute, row.step.as_str(), row.message.as_str());
        let took_ms = row.took_us.map(|took| took / 1_000);
        let transaction = row.transaction.map(tracing::field::display);
        let wei = row.wei.map(tracing::field::display);
        match self.level {
            Level::Step => tracing::info!(
                %dispute, step, took_ms, block = row.block, transaction, gas = row.gas, bytes = row.bytes, wei, "{message}"
            ),
            Level::Trouble => tracing::warn!(
                %dispute, step, took_ms, block = row.block, transaction, gas = row.gas, bytes = row.bytes, wei, "{message}"
            ),
        }
    }
}

/// Decimals of an ether that people are shown: down to the gwei. The exact amount stands beside the sentence, in wei.
const SHOWN: usize = 9;

/// Wei as ether, for people: rounded down to the gwei, without trailing zeros; less than a gwei in wei.
pub(crate) fn ether(wei: U256) -> String {
    let text = wei.to_string();
    if !wei.is_zero() && text.len() <= SHOWN {
        return format!("{text} wei");
    }
    let padded = format!("{text:0>19}");
    let (whole, part) = padded.split_at(padded.len() - 18);
    let part = part.get(..SHOWN).unwrap_or(part).trim_end_matches('0');
    if part.is_empty() { format!("{whole} ETH") } else { format!("{whole}.{part} ETH") }
}

/// A price of gas, in gwei.
pub(crate) fn gas_price(wei: u128) -> String {
    const GWEI: u128 = 1_000_000_000;
    format!("{}.{:09}", wei / GWEI, wei % GWEI)
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
        + " gwei"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ether_is_shown_down_to_the_gwei_and_gas_in_gwei() {
        let cases = [
            (0_u128, "0 ETH"),
            (1, "1 wei"),
            (999_999_999, "999999999 wei"),
            (1_000_000_000, "0.000000001 ETH"),
            (206_376_088_123_456, "0.000206376 ETH"),
            (20_000_000_000_000_000, "0.02 ETH"),
            (3_000_000_000_000_000_000, "3 ETH"),
            (12_345_000_000_000_000_000, "12.345 ETH"),
        ];
        for (wei, text) in cases {
            assert_eq!(ether(U256::from(wei)), text);
        }
        for (wei, text) in
            [(0, "0 gwei"), (78_472_098, "0.078472098 gwei"), (30_000_000_000, "30 gwei")]
        {
            assert_eq!(gas_price(wei), text);
        }
    }
}
