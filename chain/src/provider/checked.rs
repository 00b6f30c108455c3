//! Reading for the follower: headers and receipts, checked against each other at the node that gave them.

use std::ops::RangeInclusive;

use alloy::consensus::Header as ConsensusHeader;
use alloy_primitives::{Address, B256};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Rpc,
    pool::unreadable,
    raw,
    shapes::{At, Header, Log, RawHeader},
};
use crate::{
    cursor::BlockId,
    error::{CODE_METHOD_NOT_FOUND, RpcError},
    verify::{
        VerifiedHeader, Verify, VerifyError,
        receipts::{self, RawFullReceipt},
    },
};

/// A header, and what it commits to where it was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The header.
    pub(crate) header: Header,
    /// None with [`Verify::Off`].
    pub(crate) proof: Option<VerifiedHeader>,
}

/// JSON-RPC: what some nodes answer to a method that they do not offer.
const CODE_NOT_SUPPORTED: i64 = -32_004;

/// The receipts of one transaction are asked for one by one when a node does not give a block's at once.
#[derive(Debug, Deserialize)]
struct RawTransactions {
    transactions: Vec<B256>,
}

impl Rpc {
    /// The header at `at`; none when the node has no such block.
    pub(crate) async fn checked_header(
        &self,
        at: At,
        verify: Verify,
    ) -> Result<Option<Checked>, RpcError> {
        let method = "eth_getBlockByNumber";
        let text: Box<RawValue> = self.ask(method, (at.param(), false)).await?;
        let found = self.check_text(method, &text, verify)?;
        match (at, found) {
            (At::Number(asked), Some(found)) if found.header.id.number != asked => {
                Err(self.blame(VerifyError::OtherBlock { asked, told: found.header.id }))
            }
            (_, found) => Ok(found),
        }
    }

    /// The header with this hash.
    pub(crate) async fn checked_header_of(
        &self,
        hash: B256,
        verify: Verify,
    ) -> Result<Option<Checked>, RpcError> {
        let method = "eth_getBlockByHash";
        let text: Box<RawValue> = self.ask(method, (hash, false)).await?;
        let found = self.check_text(method, &text, verify)?;
        match found {
            Some(found) if found.header.id.hash != hash => {
                Err(self.blame(VerifyError::Inconsistent("another block than the one asked for")))
            }
            found => Ok(found),
        }
    }

    /// The headers of these heights, in order; ends early where the node has no more. Ask [`Rpc::best`].
    pub(crate) async fn checked_headers(
        &self,
        heights: RangeInclusive<u64>,
        verify: Verify,
    ) -> Result<Vec<Checked>, RpcError> {
        let method = "eth_getBlockByNumber";
        let params = heights
            .clone()
            .map(|number| raw(method, &(At::Number(number).param(), false)))
            .collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<Box<RawValue>> = self.pool.ask_many(self.index(), method, &params).await?;
        let mut headers = Vec::with_capacity(texts.len());
        for (asked, text) in heights.zip(&texts) {
            let Some(found) = self.check_text(method, text, verify)? else { break };
            if found.header.id.number != asked {
                return Err(self.blame(VerifyError::OtherBlock { asked, told: found.header.id }));
            }
            headers.push(found);
        }
        Ok(headers)
    }

    /// All logs of `contract` in these blocks, proven by their receipts; none if one of them is not known any more. Ask
    /// [`Rpc::best`].
    pub(crate) async fn proven_logs(
        &self,
        blocks: &[VerifiedHeader],
        contract: Address,
    ) -> Result<Option<Vec<Log>>, RpcError> {
        let Some(receipts) = self.receipts_of(blocks).await? else { return Ok(None) };
        let mut logs = Vec::new();
        for (header, receipts) in blocks.iter().zip(&receipts) {
            let found = receipts::logs(header, receipts, contract);
            logs.extend(found.map_err(|error| self.blame(error))?);
        }
        Ok(Some(logs))
    }

    async fn receipts_of(
        &self,
        blocks: &[VerifiedHeader],
    ) -> Result<Option<Vec<Vec<RawFullReceipt>>>, RpcError> {
        if self.pool.member(self.index())?.has_block_receipts() {
            let method = "eth_getBlockReceipts";
            let params = blocks
                .iter()
                .map(|block| raw(method, &(block.header().id.hash,)))
                .collect::<Result<Vec<_>, _>>()?;
            let answer = self.pool.ask_many(self.index(), method, &params).await;
            match answer {
                Ok(all) => {
                    let all: Vec<Option<Vec<RawFullReceipt>>> = all;
                    return Ok(all.into_iter().collect());
                }
                Err(RpcError::Refused {
                    code: CODE_METHOD_NOT_FOUND | CODE_NOT_SUPPORTED, ..
                }) => {
                    self.pool.member(self.index())?.set_without_block_receipts();
                }
                Err(RpcError::Refused { .. }) if !self.knows(blocks).await? => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let mut all = Vec::with_capacity(blocks.len());
        for block in blocks {
            let Some(receipts) = self.receipts_one_by_one(block.header().id).await? else {
                return Ok(None);
            };
            all.push(receipts);
        }
        Ok(Some(all))
    }

    async fn receipts_one_by_one(
        &self,
        block: BlockId,
    ) -> Result<Option<Vec<RawFullReceipt>>, RpcError> {
        let found: Option<RawTransactions> =
            self.ask("eth_getBlockByHash", (block.hash, false)).await?;
        let Some(RawTransactions { transactions }) = found else { return Ok(None) };
        let method = "eth_getTransactionReceipt";
        let params =
            transactions.iter().map(|hash| raw(method, &(hash,))).collect::<Result<Vec<_>, _>>()?;
        let receipts: Vec<Option<RawFullReceipt>> =
            self.pool.ask_many(self.index(), method, &params).await?;
        Ok(receipts.into_iter().collect())
    }

    /// Whether the node still has these blocks at their heights. Nodes word it differently when a block is gone.
    pub(crate) async fn knows(&self, blocks: &[VerifiedHeader]) -> Result<bool, RpcError> {
        for block in blocks {
            let id = block.header().id;
            let now = self.header(At::Number(id.number)).await?;
            if now.is_none_or(|header| header.id != id) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn check_text(
        &self,
        method: &'static str,
        text: &RawValue,
        verify: Verify,
    ) -> Result<Option<Checked>, RpcError> {
        let short: Option<RawHeader> =
            serde_json::from_str(text.get()).map_err(|error| unreadable(method, &error))?;
        let Some(short) = short else { return Ok(None) };
        let header = Header::from(short);
        if verify == Verify::Off {
            return Ok(Some(Checked { header, proof: None }));
        }
        let fields: ConsensusHeader =
            serde_json::from_str(text.get()).map_err(|error| unreadable(method, &error))?;
        let proof =
            VerifiedHeader::read(header, &fields, text.get()).map_err(|error| self.blame(error))?;
        Ok(Some(Checked { header, proof: Some(proof) }))
    }
}
