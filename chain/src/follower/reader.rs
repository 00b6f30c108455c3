//! Answers the follower's questions from the nodes, and believes them only as far as they can be checked.
//!
//! ```text
//!   block:  header (agreed, hashed) --bloom excludes the vault--> no logs, without asking
//!                                   --may hold--> receipts, hashed --> logs
//!   near:   the headers of a few blocks (agreed, hashed, chained), then the receipts of those that may hold, together
//!   range:  headers in batches, hashed and chained from our last block to the end of the range, which is agreed;
//!           receipts of those that may hold
//! ```
//!
//! **Invariant:** with [`Verify::Full`] no log and no absence of logs is taken from a node without the chain's own word
//! for it; a node that is caught is demoted and another one asked.

use std::collections::VecDeque;

use alloy_primitives::{Address, B256};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    Finality, Tip,
    question::{Answer, Ask, NearBlock, RangeRead},
};
use crate::{
    cursor::BlockId,
    error::RpcError,
    provider::{Checked, Header, Log, Rpc},
    verify::{VerifiedHeader, Verify, VerifyError},
};

/// Headers asked for before their receipts are: bounds the memory of a long range.
const HEADERS_AT_ONCE: u64 = 500;
/// Blocks whose receipts are held at the same time; those of a full block take about a megabyte.
const RECEIPTS_AT_ONCE: usize = 32;
/// Questions about the newest blocks that are under way at the same time: nodes of providers allow as many.
const NEAR_AT_ONCE: usize = 8;
/// Headers remembered for the question about their logs, which follows at once.
const RECENT: usize = 4;

/// The nodes, and how they are read.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) rpc: Rpc,
    vipe: Address,
    finality: Finality,
    pub(super) verify: Verify,
    recent: VecDeque<VerifiedHeader>,
}

impl Reader {
    pub(super) fn new(rpc: Rpc, vipe: Address, finality: Finality, verify: Verify) -> Self {
        Self { rpc, vipe, finality, verify, recent: VecDeque::new() }
    }

    /// Asks. Cancel-safe: only a memory of headers is lost.
    pub(super) async fn put(&mut self, ask: Ask) -> Result<Answer, RpcError> {
        match ask {
            Ask::Head => {
                let head = self.rpc.agreed_head(self.verify).await?;
                let head = self.remember(&head);
                let finalized = match self.finality {
                    Finality::Tag => self.rpc.agreed_finalized().await?,
                    Finality::Depth(depth) => head.id.number.checked_sub(depth),
                };
                Ok(Answer::Head(Tip { head, finalized }))
            }
            Ask::Header(number) => {
                let found = self.rpc.agreed_header(number, self.verify).await?;
                Ok(Answer::Header(found.map(|found| self.remember(&found))))
            }
            Ask::LogsOfBlock(block) => self.logs_of_block(block).await.map(Answer::Logs),
            Ask::Near { from, to, after } => self.near((from, to), after).await.map(Answer::Near),
            Ask::Range { from, to, after } => match self.range((from, to), after).await {
                Ok(read) => Ok(Answer::Range(read)),
                Err(RpcError::Refused { .. } | RpcError::TimedOut { .. }) if from < to => {
                    Ok(Answer::RangeRefused)
                }
                Err(error) => Err(error),
            },
        }
    }

    fn remember(&mut self, found: &Checked) -> Header {
        if let Some(proof) = found.proof {
            self.recent.push_back(proof);
            while self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        }
        found.header
    }

    async fn logs_of_block(&self, block: BlockId) -> Result<Option<Vec<Log>>, RpcError> {
        let node = self.rpc.best_at(block.number);
        if self.verify == Verify::Off {
            return self.claimed_of_block(&node, block).await;
        }
        let known = self.recent.iter().find(|known| known.header().id == block).copied();
        let proof = match known {
            Some(proof) => proof,
            None => match node.checked_header_of(block.hash, self.verify).await? {
                Some(Checked { proof: Some(proof), .. }) => proof,
                _ => return Ok(None),
            },
        };
        self.logs_under_one(&node, &proof).await
    }

    /// The vault's logs in one block whose header is verified; none if the node does not have it any more.
    async fn logs_under_one(
        &self,
        node: &Rpc,
        proof: &VerifiedHeader,
    ) -> Result<Option<Vec<Log>>, RpcError> {
        if !proof.may_hold(self.vipe) {
            return Ok(Some(Vec::new()));
        }
        if self.verify == Verify::Bloom {
            match self.claimed_of_block(node, proof.header().id).await? {
                None => return Ok(None),
                Some(logs) if !logs.is_empty() => {
                    let admitted = logs.iter().try_for_each(|log| proof.admits(log));
                    admitted.map_err(|error| node.blame(error))?;
                    return Ok(Some(logs));
                }
                // The bloom says that there may be some: that is looked into.
                Some(_) => {}
            }
        }
        node.proven_logs(std::slice::from_ref(proof), self.vipe).await
    }

    /// The newest blocks with their logs, as far as they follow `after` and one another. Headers are asked for together,
    /// and so are the receipts of those that may hold something.
    async fn near(&self, (from, to): (u64, u64), after: B256) -> Result<Vec<NearBlock>, RpcError> {
        let headers = if self.rpc.quorum() > 1 {
            let asked: Vec<_> =
                (from..=to).map(|number| self.rpc.agreed_header(number, self.verify)).collect();
            let found: Vec<_> = stream::iter(asked).buffered(NEAR_AT_ONCE).try_collect().await?;
            found.into_iter().map_while(|found| found).collect()
        } else {
            self.rpc.best_at(to).checked_headers(from..=to, self.verify).await?
        };
        let headers = following(headers, after);
        let node = self.rpc.best_at(headers.last().map_or(from, |last| last.header.id.number));
        let proofs: Vec<_> = headers.iter().filter_map(|found| found.proof).collect();
        let mut blocks = Vec::with_capacity(headers.len());
        if self.verify == Verify::Full {
            let Some(mut logs) = self.logs_under(&node, &proofs).await? else { return Ok(blocks) };
            for found in headers {
                let later = logs.iter().position(|log| log.block != found.header.id);
                let rest = logs.split_off(later.unwrap_or(logs.len()));
                blocks.push(NearBlock { header: found.header, logs });
                logs = rest;
            }
            return Ok(blocks);
        }
        let asked: Vec<_> = headers
            .iter()
            .map(|found| async {
                match &found.proof {
                    Some(proof) => self.logs_under_one(&node, proof).await,
                    None => self.claimed_of_block(&node, found.header.id).await,
                }
            })
            .collect();
        let logs: Vec<_> = stream::iter(asked).buffered(NEAR_AT_ONCE).try_collect().await?;
        for (found, logs) in headers.iter().zip(logs) {
            let Some(logs) = logs else { break };
            blocks.push(NearBlock { header: found.header, logs });
        }
        Ok(blocks)
    }

    /// What a node says; none if it does not have the block.
    async fn claimed_of_block(
        &self,
        node: &Rpc,
        block: BlockId,
    ) -> Result<Option<Vec<Log>>, RpcError> {
        match node.logs_of_block(self.vipe, block.hash).await {
            Ok(logs) => Ok(Some(logs)),
            // Nodes word it differently when a block is gone. Looking again decides: if it is gone the head has
            // changed, if not the question is asked once more.
            Err(RpcError::Refused { .. })
                if node
                    .header(crate::provider::At::Number(block.number))
                    .await?
                    .is_none_or(|header| header.id != block) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn range(
        &mut self,
        (from, to): (u64, u64),
        after: B256,
    ) -> Result<Option<RangeRead>, RpcError> {
        let node = self.rpc.best_at(to);
        if self.verify == Verify::Off {
            let logs = node.logs_of_range(self.vipe, from, to).await?;
            let anchor = self.rpc.agreed_header(to, self.verify).await?;
            return Ok(anchor.map(|anchor| RangeRead { anchor: anchor.header, logs }));
        }
        let mut logs = Vec::new();
        let (mut parent, mut next) = (after, from);
        let mut anchor = None;
        while next <= to {
            let last = to.min(next.saturating_add(HEADERS_AT_ONCE - 1));
            let Some(headers) = chained(&node, (next, last), parent, self.verify).await? else {
                return Ok(None);
            };
            let Some(more) = self.logs_under(&node, &headers).await? else { return Ok(None) };
            logs.extend(more);
            anchor = headers.last().map(VerifiedHeader::header);
            parent = anchor.map_or(parent, |anchor| anchor.id.hash);
            next = last.saturating_add(1);
        }
        let Some(anchor) = anchor else { return Ok(None) };
        if self.rpc.quorum() > 1 {
            // Its hash commits to everything before it, so one agreement is enough for the whole range.
            let agreed = self.rpc.agreed_header(to, self.verify).await?;
            if agreed.is_none_or(|agreed| agreed.header.id != anchor.id) {
                return Err(node.blame(VerifyError::Inconsistent(
                    "a deep block that the other endpoints do not have",
                )));
            }
        }
        Ok(Some(RangeRead { anchor, logs }))
    }

    /// The vault's logs in consecutive blocks; none if one of them is gone.
    async fn logs_under(
        &self,
        node: &Rpc,
        headers: &[VerifiedHeader],
    ) -> Result<Option<Vec<Log>>, RpcError> {
        let may_hold: Vec<_> =
            headers.iter().filter(|header| header.may_hold(self.vipe)).copied().collect();
        if self.verify == Verify::Bloom {
            return self.claimed_under(node, headers, &may_hold).await;
        }
        let mut logs = Vec::new();
        for some in may_hold.chunks(RECEIPTS_AT_ONCE) {
            let Some(more) = node.proven_logs(some, self.vipe).await? else { return Ok(None) };
            logs.extend(more);
        }
        Ok(Some(logs))
    }

    /// What a node says about consecutive blocks, held against their blooms; where it claims nothing and the bloom does
    /// not exclude it, the receipts decide.
    async fn claimed_under(
        &self,
        node: &Rpc,
        headers: &[VerifiedHeader],
        may_hold: &[VerifiedHeader],
    ) -> Result<Option<Vec<Log>>, RpcError> {
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Ok(Some(Vec::new()));
        };
        let (from, to) = (first.header().id.number, last.header().id.number);
        let claimed = node.logs_of_range(self.vipe, from, to).await?;
        let mut logs = Vec::with_capacity(claimed.len());
        for header in may_hold {
            let number = header.header().id.number;
            let here: Vec<_> =
                claimed.iter().filter(|log| log.block.number == number).cloned().collect();
            let admitted = here.iter().try_for_each(|log| header.admits(log));
            admitted.map_err(|error| node.blame(error))?;
            if here.is_empty() {
                let proven = node.proven_logs(std::slice::from_ref(header), self.vipe).await?;
                let Some(proven) = proven else { return Ok(None) };
                logs.extend(proven);
            } else {
                logs.extend(here);
            }
        }
        if claimed.iter().any(|log| !may_hold.iter().any(|h| h.header().id == log.block)) {
            return Err(node.blame(VerifyError::Inconsistent("a log that no header admits")));
        }
        Ok(Some(logs))
    }
}

/// As many as follow `parent` and one another.
fn following(headers: Vec<Checked>, mut parent: B256) -> Vec<Checked> {
    let follows = |found: &Checked| {
        let before = std::mem::replace(&mut parent, found.header.id.hash);
        found.header.parent == before
    };
    headers.into_iter().take_while(follows).collect()
}

/// The headers of a range, each the parent of the next, beginning after `parent`; none if the node has others.
async fn chained(
    node: &Rpc,
    (from, to): (u64, u64),
    mut parent: B256,
    verify: Verify,
) -> Result<Option<Vec<VerifiedHeader>>, RpcError> {
    let mut headers = Vec::new();
    for found in node.checked_headers(from..=to, verify).await? {
        let Some(proof) = found.proof else { return Ok(None) };
        if found.header.parent != parent {
            return Ok(None);
        }
        parent = found.header.id.hash;
        headers.push(proof);
    }
    let complete = headers.last().is_some_and(|last| last.header().id.number == to);
    Ok(complete.then_some(headers))
}
