//! The ways of a data folder: to another machine, from a copy of a running tower, from an older program, from a newer one.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use alloy_primitives::{hex, keccak256};
use protocol::Role;
use protocol::testing::Pair;
use redb::{Database, ReadableDatabase as _, TableDefinition};
use serde_json::Value;
use store::LAYOUT;

use crate::deploy::{assert_succeeds, root};
use crate::observed::{FUNDED, Process, import_key, text, watchtower};
use crate::world::{CHAIN_ID, SIDE, World};

const FACTS: TableDefinition<'_, &str, &str> = TableDefinition::new("facts-1");
const BACKUPS_2: TableDefinition<'_, (u64, u8), &[u8]> = TableDefinition::new("backups-2");

/// A machine's folders, and the way to a tower's port.
struct Home {
    world: World,
    folder: tempfile::TempDir,
    listen: String,
}

impl Home {
    /// With a key in the folder `old`.
    async fn new() -> Self {
        let world = World::start(60).await;
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap().to_string();
        let home = Self { world, folder, listen };
        std::fs::create_dir(home.at("old")).unwrap();
        import_key(&home.world, Path::new(&home.at("old")), FUNDED);
        home
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, folder: &str, listen: &str) -> Command {
        let folder = self.at(folder);
        watchtower(&self.world, &["run", "--data-dir", &folder, "--listen", listen])
    }

    /// What `run` says in this folder, where it must not start.
    fn refused(&self, folder: &str) -> Output {
        let output = self.command(folder, "127.0.0.1:0").output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        output
    }

    /// Starts a tower on this folder and waits until it answers.
    async fn started(&self, folder: &str) -> Process {
        let mut command = self.command(folder, &self.listen);
        let process = Process(command.stderr(Stdio::null()).spawn().unwrap());
        for _ in 0..600 {
            if let Some((200, _)) = self.get("/healthz").await {
                return process;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the tower does not answer");
    }

    async fn get(&self, page: &str) -> Option<(u16, Value)> {
        let answer = reqwest::get(format!("http://{}{page}", self.listen)).await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    /// Brings a backup of this nonce until it is taken: the channel must have been read.
    async fn back_up(&self, pair: &Pair, nonce: u64) {
        let state = pair.final_state(nonce, 2 * SIDE - 100);
        let envelope = hex::encode_prefixed(pair.seal(Role::Participant, &state).to_bytes());
        let body = format!("{{\"envelope\":\"{envelope}\"}}");
        for _ in 0..600 {
            let request = reqwest::Client::new().post(format!("http://{}/v1/backups", self.listen));
            let request = request.header("content-type", "application/json").body(body.clone());
            if request.send().await.unwrap().status().is_success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the backup is not taken");
    }

    /// The nonce that a running tower serves for this channel.
    async fn served(&self, pair: &Pair) -> Option<u64> {
        let page = format!("/v1/backups/{}/participant", pair.channel.id());
        self.get(&page).await?.1["nonce"].as_u64()
    }

    /// What the store in a folder says.
    fn inspect(&self, what: &str, folder: &str) -> String {
        let folder = self.at(folder);
        let output =
            watchtower(&self.world, &["inspect", what, "--data-dir", &folder]).output().unwrap();
        assert_succeeds("inspect", &output);
        text(&output.stdout).to_owned()
    }

    /// `data-folder`, with the names of folders and archives in this home.
    fn data_folder(&self, what: &str, from: &str, to: &str) -> Output {
        Command::new(root().join("deploy/bin/data-folder"))
            .args([what, &self.at(from), &self.at(to)])
            .env("WATCHTOWER", env!("CARGO_BIN_EXE_watchtower"))
            .output()
            .unwrap()
    }

    fn database(&self, folder: &str) -> Database {
        Database::open(self.folder.path().join(folder).join("tower.redb")).unwrap()
    }
}

fn set_layout(database: &Database, layout: u64) {
    let write = database.begin_write().unwrap();
    write.open_table(FACTS).unwrap().insert("layout", layout.to_string().as_str()).unwrap();
    write.commit().unwrap();
}

/// Makes the file anew as a program of layout 3 left it, with this backup in it.
fn as_layout_3(home: &Home, folder: &str, pair: &Pair, served: &Value) {
    let path = home.folder.path().join(folder).join("tower.redb");
    std::fs::remove_file(&path).unwrap();
    let facts = store::Facts {
        chain_id: CHAIN_ID,
        vipe: home.world.vipe.address,
        account: home.world.tower.address(),
    };
    let terms = pair.channel.terms();
    let identity = keccak256([terms.keys_digest, terms.dispute_hash].concat());
    let bytes = |field: &str| hex::decode(served[field].as_str().unwrap()).unwrap();
    let number = |field: &str| served[field].as_u64().unwrap().to_be_bytes();
    let (nonce, at) = (number("nonce"), number("stored_at_ms"));
    let row = [&nonce[..], &bytes("id"), identity.as_slice(), &at, &at, &nonce, &bytes("envelope")];
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut table = write.open_table(FACTS).unwrap();
        for (name, value) in [
            ("layout", "3".to_owned()),
            ("chain id", facts.chain_id.to_string()),
            ("vault", facts.vipe.to_string()),
            ("domain", facts.domain().to_string()),
            ("account", facts.account.to_string()),
        ] {
            table.insert(name, value.as_str()).unwrap();
        }
        let mut backups = write.open_table(BACKUPS_2).unwrap();
        let slot = (pair.channel.id().get(), Role::Participant.to_byte());
        backups.insert(slot, row.concat().as_slice()).unwrap();
    }
    write.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_is_copied_restored_and_never_run_twice() {
    let home = Home::new().await;
    let pair = home.world.open(61).await;
    let running = home.started("old").await;
    home.back_up(&pair, 9).await;

    // While it runs: no copy, and no second tower.
    let output = home.data_folder("backup", "old", "tower.tar");
    assert!(!output.status.success(), "{output:?}");
    for word in ["in use by another process", "stop the tower first"] {
        assert!(text(&output.stderr).contains(word), "{output:?}");
    }
    assert_eq!(home.refused("old").status.code(), Some(6));
    drop(running);

    let (facts, backups) = (home.inspect("facts", "old"), home.inspect("backups", "old"));
    assert_succeeds("move", &home.data_folder("move", "old", "tower.tar"));
    // The old folder is dead: neither a tower starts there nor is it packed again.
    let dead = home.refused("old");
    assert!(dead.status.code() == Some(3) && text(&dead.stderr).contains("moved"), "{dead:?}");
    assert!(!home.data_folder("backup", "old", "again.tar").status.success());

    // A damaged archive is refused, a folder with something in it too.
    let archive = home.at("tower.tar");
    let whole = std::fs::read(&archive).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&archive, &damaged).unwrap();
    assert!(!home.data_folder("restore", "tower.tar", "new").status.success());
    std::fs::write(&archive, &whole).unwrap();
    assert!(!home.data_folder("restore", "tower.tar", "old").status.success());

    assert_succeeds("restore", &home.data_folder("restore", "tower.tar", "new"));
    assert_eq!(home.inspect("facts", "new"), facts);
    assert_eq!(home.inspect("backups", "new"), backups);
    let _running = home.started("new").await;
    assert_eq!(home.served(&pair).await, Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_running_towers_disk_is_a_backup_of_everything_that_it_acknowledged() {
    let home = Home::new().await;
    let pair = home.world.open(62).await;
    let running = home.started("old").await;
    home.back_up(&pair, 5).await;
    let signal = |name: &str| {
        let id = running.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    };
    // Writes go on until the very moment. While the process is stopped, a plain copy is what a snapshot of a file system is.
    for nonce in [6, 7] {
        home.back_up(&pair, nonce).await;
    }
    signal("-STOP");
    let copied = Command::new("cp").args(["-a", &home.at("old"), &home.at("snapshot")]).output();
    signal("-CONT");
    assert_succeeds("cp", &copied.unwrap());
    assert_eq!(home.served(&pair).await, Some(7), "the tower goes on");

    // The snapshot is packed like any folder; once the first tower is gone, its restored copy takes its place.
    assert_succeeds("backup", &home.data_folder("backup", "snapshot", "tower.tar"));
    drop(running);
    assert_succeeds("restore", &home.data_folder("restore", "tower.tar", "new"));
    let _running = home.started("new").await;
    assert_eq!(home.served(&pair).await, Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_keeps_what_an_older_program_held_and_the_way_back_is_the_copy() {
    let home = Home::new().await;
    let pair = home.world.open(63).await;
    let running = home.started("old").await;
    home.back_up(&pair, 8).await;
    let page = format!("/v1/backups/{}/participant", pair.channel.id());
    let held = home.get(&page).await.unwrap().1;
    drop(running);

    // The file is as an older program left it: looking at it is refused in words, a tower takes it over.
    as_layout_3(&home, "old", &pair, &held);
    let copy = home.data_folder("backup", "old", "too-late.tar");
    assert!(!copy.status.success(), "{copy:?}");
    for words in ["layout 3", "use the program that wrote it"] {
        assert!(text(&copy.stderr).contains(words), "{copy:?}");
    }
    let running = home.started("old").await;
    assert_eq!(home.get(&page).await.unwrap().1, held);
    drop(running);
    assert_succeeds("backup", &home.data_folder("backup", "old", "before.tar"));

    // A newer program was here: this one refuses, and the file stays as that one left it.
    set_layout(&home.database("old"), LAYOUT + 1);
    let output = home.refused("old");
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(text(&output.stderr).contains(&format!("layout {}", LAYOUT + 1)), "{output:?}");
    let database = home.database("old");
    let read = database.begin_read().unwrap();
    let layout = read.open_table(FACTS).unwrap().get("layout").unwrap().unwrap().value().to_owned();
    assert_eq!(layout, (LAYOUT + 1).to_string());
    drop((read, database));

    // Back to this program: its copy.
    assert_succeeds("restore", &home.data_folder("restore", "before.tar", "back"));
    let _running = home.started("back").await;
    assert_eq!(home.served(&pair).await, Some(8));
}
