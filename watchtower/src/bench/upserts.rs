//! Backups through the tower's own admission: every signature checked, every one durable, every one receipted.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chain::account::Account;
use chain::follower::Health;
use eyre::{WrapErr as _, ensure, eyre};
use futures::StreamExt as _;
use protocol::backup::{UnverifiedEnvelope, seal};
use protocol::network::ShardSet;
use protocol::network::admission::{Source, Verdict};
use protocol::{ChannelId, Role};
use store::{Change, ChannelRow, ChannelStatus, Facts, JumpLimit, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Tell;
use super::fixture::{Fixture, HEDGE};
use crate::admission::{self, Admission, Origin};
use crate::driver::notices::notices;
use crate::network::Replica;

/// Channels, each with as many updates as its slot's budget takes at once.
const CHANNELS: u64 = 250;
const UPDATES: usize = 8;

/// Offers under way at once: fewer than channels, so that no two are of one slot.
const UNDER_WAY: usize = 128;

/// Puts all backups through admission on `cores` threads, and tells how long each waited for its receipt.
pub(super) fn run(tell: &mut Tell<'_>) -> eyre::Result<()> {
    let (channels, envelopes) = prepare()?;
    for cores in [1, 2] {
        let folder =
            std::env::temp_dir().join(format!("watchtower-upserts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).wrap_err("a temporary folder is needed")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(cores)
            .enable_all()
            .build()?;
        let began = Instant::now();
        let outcome = runtime.block_on(measure(&folder, &channels, &envelopes));
        let took = began.elapsed();
        drop(runtime);
        std::fs::remove_dir_all(&folder)?;
        let mut waits = outcome?;
        let rate = waits.len() as f64 / took.as_secs_f64();
        let name = format!("backups: {rate:.0} a second, receipted, {cores} worker(s)");
        tell(&name, &mut waits)?;
        let last = waits.len().saturating_sub(1 + waits.len() / 100);
        let p99 = waits.get(last).copied().ok_or_else(|| eyre!("nothing was measured"))?;
        tell("  of those, 99 of 100 within", &mut vec![p99])?;
    }
    Ok(())
}

/// Channels, and their envelopes in the order in which they are offered: all first updates, then all second ones.
fn prepare() -> eyre::Result<(Vec<ChannelRow>, Vec<Vec<u8>>)> {
    let (mut channels, mut rounds) = (Vec::new(), vec![Vec::new(); UPDATES]);
    for id in 1..=CHANNELS {
        let mut fixture = Fixture::of(ChannelId::try_from(id)?)?;
        for round in &mut rounds {
            fixture.update()?;
            let signer = fixture.signer(Role::Participant);
            let state = fixture.latest()?;
            let sealed = seal(state, &fixture.channel, &fixture.dispute_key, signer, &HEDGE)?;
            round.push(sealed.to_bytes());
        }
        channels.push(ChannelRow {
            channel: fixture.channel,
            status: ChannelStatus::Live,
            accept_by: 0,
            opened_block: 1,
        });
    }
    Ok((channels, rounds.into_iter().flatten().collect()))
}

async fn measure(
    folder: &Path,
    channels: &[ChannelRow],
    envelopes: &[Vec<u8>],
) -> eyre::Result<Vec<Duration>> {
    let account = Account::from_bytes(&HEDGE)?;
    let terms = channels.first().map(|row| *row.channel.terms());
    let terms = terms.ok_or_else(|| eyre!("there are no channels"))?;
    let facts = Facts { chain_id: terms.chain_id, vipe: terms.vipe, account: account.address() };
    let store = Store::open(folder.join("tower.redb"), facts)?;
    let rows = channels.iter().map(|row| Change::Channel(Box::new(row.clone())));
    store.commit(rows.collect()).await?;
    let replica = Arc::new(Replica::load(&store, ShardSet::ALL)?);
    let (notices, _heard, _shown) = notices();
    let (_health, follower) = watch::channel(Health::default());
    let (admission, desk) = Admission::new(admission::Parts {
        store,
        account,
        jump: JumpLimit { per_hour: u64::MAX },
        receipt_validity: Duration::from_secs(86_400),
        follower,
        notices,
        replica,
    });
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(desk.run(stop.clone()));
    let offers =
        envelopes.iter().enumerate().map(|(number, bytes)| offer(&admission, number, bytes));
    let waits: Vec<eyre::Result<Duration>> =
        futures::stream::iter(offers).buffer_unordered(UNDER_WAY).collect().await;
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    waits.into_iter().collect()
}

/// From the bytes to the signed receipt.
async fn offer(admission: &Admission, number: usize, bytes: &[u8]) -> eyre::Result<Duration> {
    let began = Instant::now();
    // Eight senders, so that none is slowed.
    let [.., low] = number.to_be_bytes();
    let from = Origin::Client([127, 0, 0, low % 8].into());
    let verdict = admission.offer(from, Source::Submit { seen_at: 0 }, bytes).await?;
    let unverified = UnverifiedEnvelope::from_bytes(bytes)?;
    ensure!(verdict == Verdict::Accept, "a backup is refused: {}", verdict.label());
    let receipt = admission.receipt_for(unverified.header(), unverified.id())?;
    ensure!(receipt.receipt().envelope_id == unverified.id(), "a receipt of something else");
    Ok(began.elapsed())
}
