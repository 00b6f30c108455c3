//! `watchtower demo`: the whole story, with every part real.
//!
//! A chain in this process, the real contracts, two nodes that co-sign, a tower in a process of its own, a stale dispute, and
//! the proof that overrides it. Nothing else needs to be installed. What differs from a deployment: the accounts are public
//! development accounts, and the chain's clock is turned instead of waiting for a dispute window.

mod actions;
mod channel;
mod fleet;
mod holdings;
mod node;
mod plan;
mod possession;
mod proof;
mod purse;
mod rpc;
mod story;
mod submitter;
mod timeline;
mod tower;
mod updates;
mod watch;
mod world;

use std::path::{Path, PathBuf};

use clap::Args;
use eyre::WrapErr as _;

pub use plan::Scenario;

use self::actions::Stage;
use self::channel::Parties;
use self::fleet::Fleet;
use self::plan::Cast;
use self::proof::Prover;
use self::story::Story;
use self::timeline::{Form, Timeline};
use self::tower::Tower;
use self::updates::Nodes;
use self::world::World;

/// Fewest updates that a story needs: its states must differ.
const UPDATES_MIN: u64 = 20;
/// Most updates: one an hour of patience.
const UPDATES_MAX: u64 = 100_000;

/// What to show.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Which story
    #[arg(long, value_enum, default_value_t = Scenario::Stale)]
    pub scenario: Scenario,
    /// How many states the two parties co-sign
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(UPDATES_MIN..=UPDATES_MAX))]
    pub updates: u64,
    /// Print one JSON object a line instead of a timeline
    #[arg(long)]
    pub json: bool,
    /// Kill the tower (SIGKILL) at a random moment after the dispute is opened, and start it again; of several, kill the one whose
    /// turn it is, for good
    #[arg(long)]
    pub kill_tower: bool,
    /// Use the development chain at this address (anvil, for one) instead of the embedded one: http only
    #[arg(long, value_name = "URL")]
    pub chain: Option<String>,
    /// How many towers, 3 to 5; several form a network, lose all but two of their number, and race (scenario `stale` only)
    #[arg(long, default_value_t = 1, value_parser = towers)]
    pub towers: u8,
    /// Keep everybody's folders here instead of in a temporary one
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Tells the story; true if it ended as it must.
///
/// # Errors
/// When a part of it fails.
pub async fn run(args: &DemoArgs) -> eyre::Result<bool> {
    let timeline = Timeline::new(Form::detect(args.json));
    let folder = Folder::new(args.keep.as_deref())?;
    timeline.chapter(args.scenario.title())?;
    let ended = Box::pin(tell(args, &timeline, folder.path())).await;
    if ended.is_err() {
        // Whoever looks for the cause needs the tower's log.
        folder.keep();
    }
    ended.map(|told| told.ok)
}

/// Plays the story of a stale dispute without a word; what the tower recorded of it.
///
/// # Errors
/// When a part of it fails, or it does not end as it must.
pub(crate) async fn played() -> eyre::Result<serde_json::Value> {
    let args = DemoArgs {
        scenario: Scenario::Stale,
        updates: UPDATES_MIN,
        json: false,
        kill_tower: false,
        chain: None,
        towers: 1,
        keep: None,
    };
    let folder = Folder::new(None)?;
    let told = Box::pin(tell(&args, &Timeline::new(Form::Silent), folder.path())).await?;
    eyre::ensure!(told.ok, "the story did not end as it must");
    Ok(told.record)
}

/// How a story ended.
struct Told {
    ok: bool,
    /// What the tower recorded of the dispute; null where there was no tower.
    record: serde_json::Value,
}

async fn tell(args: &DemoArgs, timeline: &Timeline, folder: &Path) -> eyre::Result<Told> {
    let deployment = folder.join("deployment.json");
    timeline.chapter("1. A chain, contracts, a tower")?;
    let world = World::start(args.chain.as_deref(), &deployment, timeline).await?;
    let prover = Prover::start(&folder.join("circuit"), timeline).await?;
    if args.towers > 1 {
        return Box::pin(tell_fleet(args, folder, &world, &prover, timeline)).await;
    }
    // The tower starts with the circuit that is built already.
    let tower_folder = folder.join("tower");
    copy_folder(&folder.join("circuit"), &tower_folder.join("circuits"))?;
    let tower = match args.scenario {
        Scenario::LateOverride | Scenario::HonestExit => None,
        _ => Some(Tower::start(&world, &tower_folder, &deployment).await?),
    };
    if let Some(tower) = &tower {
        timeline.step(
            "tower",
            "is ready, in a process of its own",
            &[timeline::Fact::new("account", tower.account.to_string())],
        )?;
    }

    timeline.chapter("2. A channel")?;
    let parties = Parties::new();
    possession::prove_keys(&parties, &prover, timeline).await?;
    let live = channel::open(&world, &parties, timeline).await?;
    let mut nodes = Nodes::start(folder, &live, &parties)?;
    nodes.update(&live, args.updates, timeline).await?;

    let stage = Stage { world: &world, live: &live, prover: &prover, timeline };
    let mut story =
        Story { stage, cast: Cast::of(args.updates), nodes, tower, kill: args.kill_tower };
    story.back_up().await?;
    timeline.chapter("3. The dispute")?;
    let ending = story.tell(args.scenario).await?;
    let mut record = None;
    if let Some(tower) = &mut story.tower {
        record = tower.dispute(live.channel.id()).await;
        tower.stop().await?;
    }
    timeline.close(&ending.outcome.table, &ending.verdict, ending.ok, &ending.outcome.summary)?;
    Ok(Told { ok: ending.ok, record: record.unwrap_or_default() })
}

/// The story with several towers.
async fn tell_fleet(
    args: &DemoArgs,
    folder: &Path,
    world: &World,
    prover: &Prover,
    timeline: &Timeline,
) -> eyre::Result<Told> {
    eyre::ensure!(
        matches!(args.scenario, Scenario::Stale),
        "several towers tell the scenario `stale` only"
    );
    let deployment = folder.join("deployment.json");
    let count = usize::from(args.towers);
    let mut fleet = Fleet::start(world, folder, &deployment, count, timeline).await?;
    timeline.chapter("2. A channel")?;
    let parties = Parties::new();
    possession::prove_keys(&parties, prover, timeline).await?;
    let live = channel::open(world, &parties, timeline).await?;
    let mut nodes = Nodes::start(folder, &live, &parties)?;
    nodes.update(&live, args.updates, timeline).await?;
    let stage = Stage { world, live: &live, prover, timeline };
    let ending =
        fleet::tell(&stage, &nodes, (Cast::of(args.updates), args.kill_tower), &mut fleet).await?;
    timeline.close(&ending.outcome.table, &ending.verdict, ending.ok, &ending.outcome.summary)?;
    Ok(Told { ok: ending.ok, record: serde_json::Value::Null })
}

/// One tower, or as many as the story needs and the chain has accounts for.
fn towers(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(count @ (1 | 3..=5)) => Ok(count),
        _ => Err("1, or 3 to 5".to_owned()),
    }
}

/// Where everybody's folders are; a temporary one is removed at the end.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    temporary: std::cell::Cell<bool>,
}

impl Folder {
    fn new(keep: Option<&Path>) -> eyre::Result<Self> {
        let path = match keep {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("watchtower-demo-{}", std::process::id())),
        };
        std::fs::create_dir_all(&path)
            .wrap_err_with(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self { path, temporary: std::cell::Cell::new(keep.is_none()) })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn keep(&self) {
        if self.temporary.replace(false) {
            tracing::warn!(folder = %self.path.display(), "the demo's folder is kept, with the tower's log");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary.get() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> eyre::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
