//! A tower with a node inside, in this process: what fails comes again, and the other part notices nothing.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use watchtower::keys::{Password, import_account};
use watchtower::service::Tower;
use watchtower::virtual_node::{Both, Plan};

use crate::world::{WINDOW_S, World};

/// The participant's, of the public development mnemonic.
const KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

fn import(folder: &Path, password: &Password) {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join("key.hex");
    let mut options = std::fs::OpenOptions::new();
    let mut open = options.write(true).create_new(true).mode(0o600).open(&file).unwrap();
    open.write_all(KEY.as_bytes()).unwrap();
    import_account(&file, &folder.join("account.json"), password).unwrap();
}

async fn lives(url: &str) -> bool {
    let answer = reqwest::Client::new().get(format!("{url}/healthz")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

async fn until(url: &str, wanted: bool) {
    for _ in 0..1_200 {
        if lives(url).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{url} never became alive = {wanted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tower_that_fails_comes_again_and_its_node_notices_nothing() {
    let world = World::start(WINDOW_S).await;
    let config = world.config(&[("node.role", "participant")]);
    let (folder, password) = (config.node_folder(), Password::new("nothing of value".to_owned()));
    import(&folder, &password);
    let node = Plan::beside(&config, &world.tower, &password).unwrap().unwrap();
    let tower = Box::pin(Tower::start(&config, world.tower.clone())).await.unwrap();
    let url = format!("http://{}", tower.address());
    let bug = tower.abort_handle("node").unwrap();
    let both = Both { tower, config, account: world.tower.clone(), node };
    let (stop, mut signals) = mpsc::channel(2);
    #[expect(clippy::disallowed_methods, reason = "the harness is not the program")]
    let task = tokio::spawn(async move { both.run(&mut signals).await });
    let place = folder.join("api.address");
    for _ in 0..600 {
        if place.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let address = std::fs::read_to_string(&place).unwrap();
    let api = format!("http://{address}");
    until(&api, true).await;
    assert!(lives(&url).await);
    bug.abort();
    until(&url, false).await;
    assert!(lives(&api).await, "the node goes on without its tower");
    until(&url, true).await;
    assert_eq!(std::fs::read_to_string(&place).unwrap(), address, "the node was not started again");
    assert!(lives(&api).await);
    stop.send(()).await.unwrap();
    task.await.unwrap().unwrap();
    assert!(!lives(&api).await && !lives(&url).await, "both have stopped");
}
