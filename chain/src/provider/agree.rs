//! What the nodes agree on: several are asked at once, and a block counts when enough of them see the same.
//!
//! Nobody waits for the last one: once enough have answered, the others get [`GRACE`] more.
//!
//! **Invariant:** with a quorum of k no header is returned that fewer than k nodes gave; a node that saw another block is
//! on the scoreboard and in the log.

use std::{collections::BTreeMap, time::Duration};

use alloy_primitives::Bytes;
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use super::{
    CallError, Checked, Rpc,
    shapes::{At, CallRequest},
};
use crate::{cursor::BlockId, error::RpcError, verify::Verify};

/// How long the others are waited for once enough nodes have answered.
const GRACE: Duration = Duration::from_millis(300);

/// Answers by node.
type Answers<T> = Vec<(usize, Result<T, RpcError>)>;

impl Rpc {
    /// The newest block that enough nodes see, and how far each node is goes to the scoreboard.
    pub(crate) async fn agreed_head(&self, verify: Verify) -> Result<Checked, RpcError> {
        let needed = self.quorum();
        let mut nodes = self.nodes(needed);
        // A node of another chain may have come back to ours: its chain is asked for first, at every look.
        nodes.extend(
            (0..self.pool.members.len()).filter(|index| self.pool.is_on_wrong_chain(*index)),
        );
        let ask = |node: Self| -> BoxFuture<'static, _> {
            Box::pin(async move {
                if node.pool.is_on_wrong_chain(node.index()) {
                    // Until that is cleared it is asked nothing else.
                    node.pool.check_chain(node.index()).await?;
                }
                let checked = node.pool.check_chain_if_due(node.index());
                let head = node.checked_header(At::Latest, verify);
                let ((), head) = Box::pin(futures::future::try_join(checked, head)).await?;
                Ok(head)
            })
        };
        let heads = self.everyone(nodes, needed, ask).await;
        let mut found: Vec<(usize, Checked)> = Vec::new();
        let mut trouble = None;
        for (index, answer) in heads {
            match answer {
                Ok(Some(head)) => {
                    self.pool.note_head(index, head.header.id.number);
                    found.push((index, head));
                }
                Ok(None) => trouble = Some(no_head()),
                Err(error) => trouble = Some(error),
            }
        }
        if needed == 1 {
            // The order was that of the scoreboard before it knew these heads.
            let order = self.nodes(needed);
            let best = order.iter().find_map(|index| found.iter().find(|(from, _)| from == index));
            return best.map(|(_, head)| *head).ok_or_else(|| trouble.unwrap_or_else(no_head));
        }
        let mut heights: Vec<u64> = found.iter().map(|(_, head)| head.header.id.number).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        // So many nodes have at least this height.
        let Some(height) = heights.get(needed.saturating_sub(1)).copied() else {
            let what = trouble.map_or_else(String::new, |error| format!(" ({error})"));
            let what = format!("a newest block{what}");
            return Err(RpcError::NoQuorum { what, agreeing: heights.len(), needed });
        };
        self.agreed_header(height, verify).await?.ok_or_else(no_head)
    }

    /// The header at a height that enough nodes give; none if enough nodes have none.
    pub(crate) async fn agreed_header(
        &self,
        number: u64,
        verify: Verify,
    ) -> Result<Option<Checked>, RpcError> {
        let needed = self.quorum();
        if needed == 1 {
            return self.best_at(number).checked_header(At::Number(number), verify).await;
        }
        let ask = |node: Self| -> BoxFuture<'static, _> {
            Box::pin(async move { node.checked_header(At::Number(number), verify).await })
        };
        let answers = self.everyone(self.nodes(needed), needed, ask).await;
        let mut seen: BTreeMap<Option<BlockId>, Vec<(usize, Option<Checked>)>> = BTreeMap::new();
        for (index, answer) in answers {
            if let Ok(found) = answer {
                seen.entry(found.map(|found| found.header.id)).or_default().push((index, found));
            }
        }
        let Some((id, most)) = seen.iter().max_by_key(|(_, nodes)| nodes.len()) else {
            return Err(RpcError::NoQuorum {
                what: format!("block {number}"),
                agreeing: 0,
                needed,
            });
        };
        if most.len() < needed {
            let what = format!("block {number}");
            return Err(RpcError::NoQuorum { what, agreeing: most.len(), needed });
        }
        for (other, nodes) in &seen {
            if let (Some(other), true) = (other, other != id) {
                for (index, _) in nodes {
                    self.pool
                        .disagreed(*index, format!("it has block {other}, the others have not"));
                }
            }
        }
        Ok(most.first().and_then(|(_, found)| *found))
    }

    /// The height up to which enough nodes say that the chain is final; none while it has not begun to be.
    pub(crate) async fn agreed_finalized(&self) -> Result<Option<u64>, RpcError> {
        let needed = self.quorum();
        if needed == 1 {
            return Ok(self.best().header(At::Finalized).await?.map(|header| header.id.number));
        }
        let ask = |node: Self| -> BoxFuture<'static, _> {
            Box::pin(async move { node.header(At::Finalized).await })
        };
        let answers = self.everyone(self.nodes(needed), needed, ask).await;
        let mut heights: Vec<Option<u64>> = answers
            .into_iter()
            .filter_map(|(_, answer)| Some(answer.ok()?.map(|header| header.id.number)))
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let agreeing = heights.len();
        heights.get(needed.saturating_sub(1)).copied().ok_or_else(|| {
            let what = "the finalized block".to_owned();
            RpcError::NoQuorum { what, agreeing, needed }
        })
    }

    /// What a call gives in the newest block that enough nodes see, as enough of them say.
    pub(crate) async fn agreed_call(&self, request: &CallRequest) -> Result<Bytes, CallError> {
        let needed = self.quorum();
        if needed == 1 {
            return self.call(request, At::Latest).await;
        }
        let at = At::Number(self.agreed_head(Verify::Off).await?.header.id.number);
        let ask = |node: Self| -> BoxFuture<'static, _> {
            let request = request.clone();
            Box::pin(async move {
                match node.call(&request, at).await {
                    Ok(answer) => Ok(Some(answer)),
                    Err(CallError::Reverted { .. }) => Ok(None),
                    Err(CallError::Rpc(error)) => Err(error),
                }
            })
        };
        let answers = self.everyone(self.nodes(needed), needed, ask).await;
        let mut seen: BTreeMap<Option<Bytes>, usize> = BTreeMap::new();
        for answer in answers.into_iter().filter_map(|(_, answer)| answer.ok()) {
            let count = seen.entry(answer).or_default();
            *count = count.saturating_add(1);
        }
        let most = seen.into_iter().max_by_key(|(_, count)| *count);
        match most {
            Some((Some(answer), agreeing)) if agreeing >= needed => Ok(answer),
            Some((None, agreeing)) if agreeing >= needed => {
                Err(CallError::Reverted { data: Bytes::new() })
            }
            other => {
                let what = "what a contract answers".to_owned();
                let agreeing = other.map_or(0, |(_, agreeing)| agreeing);
                Err(RpcError::NoQuorum { what, agreeing, needed }.into())
            }
        }
    }

    /// False only if nodes of our chain answered and none of them has this block. It is asked about a block that is too
    /// deep to change: where one node still has it, those that have another are liars.
    pub(crate) async fn anybody_has(&self, block: BlockId, verify: Verify) -> bool {
        let ask = |node: Self| -> BoxFuture<'static, _> {
            Box::pin(async move {
                node.pool.check_chain(node.index()).await?;
                node.checked_header(At::Number(block.number), verify).await
            })
        };
        let everybody = self.pool.members.len();
        let answers = self.everyone((0..everybody).collect(), everybody, ask).await;
        let ids: Vec<_> = answers
            .into_iter()
            .filter_map(|(index, answer)| Some((index, answer.ok()??.header.id)))
            .collect();
        if !ids.iter().any(|(_, id)| *id == block) {
            return ids.is_empty();
        }
        for (index, id) in ids {
            if id != block {
                self.pool.contradicted(index, format!("it has block {id} in place of {block}"));
            }
        }
        true
    }

    /// The nodes that are worth asking, best first; those in their pause, and liars, only if there are not `enough` others.
    fn nodes(&self, enough: usize) -> Vec<usize> {
        if let Some(index) = self.pinned {
            return vec![index];
        }
        let mut nodes = self.pool.ready();
        for index in self.pool.reserve() {
            if nodes.len() < enough.max(1) && !nodes.contains(&index) {
                nodes.push(index);
            }
        }
        nodes
    }

    /// Asks these nodes; returns when all have answered, or `enough` and a grace has passed.
    async fn everyone<T>(
        &self,
        nodes: Vec<usize>,
        enough: usize,
        ask: impl Fn(Self) -> BoxFuture<'static, Result<T, RpcError>>,
    ) -> Answers<T> {
        let mut open: FuturesUnordered<_> = nodes
            .into_iter()
            .map(|index| {
                let answer = ask(self.only(index));
                async move { (index, answer.await) }
            })
            .collect();
        let mut answers = Vec::new();
        let mut good = 0_usize;
        loop {
            let next = if good >= enough {
                match tokio::time::timeout(GRACE, open.next()).await {
                    Ok(next) => next,
                    Err(_elapsed) => break,
                }
            } else {
                open.next().await
            };
            let Some(answer) = next else { break };
            good = good.saturating_add(usize::from(answer.1.is_ok()));
            answers.push(answer);
        }
        answers
    }
}

fn no_head() -> RpcError {
    RpcError::Malformed {
        method: "eth_getBlockByNumber".to_owned(),
        reason: "there is no latest block".to_owned(),
    }
}
