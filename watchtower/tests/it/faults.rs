//! What goes wrong while a dispute runs: a full disk, a backup that comes at the very moment.

use std::time::Duration;

use protocol::Role;
use serde_json::Value;

use crate::disk::Disk;
use crate::story::{assert_in_order, rescued, steps};
use crate::world::{SIDE, WINDOW_S, World};

/// How long the disk stays full: long enough for several attempts of every part.
const FULL: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_during_a_dispute_loses_nothing_and_the_tower_goes_on_when_there_is_space()
 {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(21).await;
    let channel = pair.channel.id();
    let disk = Disk::default();
    let tower = world.start_tower_on(&disk).await;
    tower.wait("/readyz", 240, |status, _| status == 200).await;
    tower.caught_up(&world).await;
    let live = pair.final_state(40, SIDE);
    let kept = pair.seal(Role::Participant, &live);
    assert_eq!(tower.back_up(&kept.to_bytes()).await.0, 200);

    disk.platter().writes_refused = true;
    let newer = pair.seal(Role::Participant, &pair.final_state(41, SIDE + 1));
    let (status, refused) = tower.back_up(&newer.to_bytes()).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (507, Some("disk_full")), "{refused}");
    world.dispute(&pair, &pair.final_state(3, 100)).await;
    tokio::time::sleep(FULL).await;
    let (status, health) = tower.get("/healthz").await;
    assert_eq!(status, 503, "it answers, and says what is wrong: {health}");
    assert!(health["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{health}");
    let backup = format!("/v1/backups/{channel}/participant");
    let (_, served) = tower.get(&backup).await;
    assert_eq!(
        served["error"]["code"], "disk_full",
        "nothing is told that may not be on disk: {served}"
    );
    let before = world.vipe.dispute_of(&world.rpc, channel, chain::provider::At::Latest).await;
    assert_eq!(before.unwrap().nonce.get(), 3, "nothing is sent that is not on disk");

    disk.platter().writes_refused = false;
    tower.wait(&backup, 60, |_, served| served["nonce"] == 40).await;
    let path = format!("/v1/disputes/{channel}");
    let sent =
        |_, lives: &Value| lives[0]["journal"].is_array() && steps(&lives[0]).contains(&"sent");
    tower.wait(&path, 60, sent).await;
    // And once more, between the override and its settlement.
    disk.platter().writes_refused = true;
    tokio::time::sleep(FULL).await;
    disk.platter().writes_refused = false;
    let life = rescued(&world, &tower, &channel.to_string(), 1).await;
    assert_eq!(life["dispute"]["outcome"]["outcome"], "won", "{life:#}");
    assert_in_order(&steps(&life), &["seen", "proved", "sent", "overridden", "settled", "closed"]);
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_that_come_faster_than_proofs_do_not_keep_a_tower_from_answering() {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(23).await;
    let tower = world.start_tower().await;
    tower.wait("/readyz", 240, |status, _| status == 200).await;
    tower.caught_up(&world).await;
    let back_up = async |nonce: u64| {
        let envelope = pair.seal(Role::Participant, &pair.final_state(nonce, SIDE));
        while tower.back_up(&envelope.to_bytes()).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    back_up(40).await;
    world.dispute(&pair, &pair.final_state(3, 100)).await;
    let path = format!("/v1/disputes/{}", pair.channel.id());
    let overridden = |_, lives: &Value| {
        lives[0]["journal"].is_array() && steps(&lives[0]).contains(&"overridden")
    };
    let coming = async {
        for nonce in 41.. {
            back_up(nonce).await;
        }
    };
    tokio::select! {
        _lives = tower.wait(&path, 120, overridden) => {}
        () = coming => {}
    }
    tower.stop().await.unwrap();
}

/// Newer backups come while an answer is under way: two take its place, the third, which is worth most, has to wait.
async fn brings_what_had_to_wait(number: u64, restarts: bool) {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(number).await;
    let channel = pair.channel.id();
    let mut tower = world.start_tower().await;
    tower.wait("/readyz", 240, |status, _| status == 200).await;
    tower.caught_up(&world).await;
    let sealed =
        |nonce, balance| pair.seal(Role::Participant, &pair.final_state(nonce, balance)).to_bytes();
    while tower.back_up(&sealed(40, SIDE)).await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.dispute(&pair, &pair.final_state(3, 100)).await;
    let path = format!("/v1/disputes/{channel}");
    let holds = async |nonce| {
        let state = serde_json::to_value(pair.final_state(nonce, SIDE).state()).unwrap();
        let held = |_, lives: &Value| lives[0]["dispute"]["record"]["held"] == state;
        tower.wait(&path, 60, held).await;
    };
    holds(40).await;
    for nonce in [41, 42] {
        assert_eq!(tower.back_up(&sealed(nonce, SIDE)).await.0, 200);
        holds(nonce).await;
    }
    assert_eq!(tower.back_up(&sealed(43, 2 * SIDE - 100)).await.0, 200);
    if restarts {
        tower.stop().await.unwrap();
        tower = world.start_tower().await;
    }
    let brought = |lives: &Value| lives[0]["dispute"]["record"]["proven"].as_u64();
    // Sooner than the time that an answer which does not get through has for itself.
    tower.wait(&path, 90, |_, lives| brought(lives) == Some(43)).await;
    let stands = async || {
        let dispute = world.vipe.dispute_of(&world.rpc, channel, chain::provider::At::Latest);
        dispute.await.unwrap().nonce.get()
    };
    while stands().await != 43 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let life = rescued(&world, &tower, &channel.to_string(), 1).await;
    assert_eq!(life["dispute"]["outcome"]["outcome"], "won", "{life:#}");
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_backup_that_had_to_wait_is_brought_in_the_end() {
    Box::pin(brings_what_had_to_wait(24, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_backup_that_had_to_wait_is_brought_after_a_restart_too() {
    Box::pin(brings_what_had_to_wait(25, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_comes_while_the_dispute_is_opened_is_the_one_that_is_brought() {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(22).await;
    let channel = pair.channel.id();
    let tower = world.start_tower().await;
    tower.wait("/readyz", 240, |status, _| status == 200).await;
    tower.caught_up(&world).await;
    let back_up = async |nonce: u64| {
        let envelope = pair.seal(Role::Participant, &pair.final_state(nonce, SIDE));
        loop {
            let (status, taken) = tower.back_up(&envelope.to_bytes()).await;
            // A slot takes two changes a second, after the first eight.
            if taken["error"]["code"] != "too_often" {
                assert_eq!(status, 200, "{taken}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    back_up(40).await;
    let path = format!("/v1/disputes/{channel}");
    // Backups go on, one after another, until the tower has seen the dispute: one of them meets that moment.
    let stale = pair.final_state(3, 100);
    let (_, newest) = tokio::join!(world.dispute(&pair, &stale), async {
        let mut nonce = 40;
        while tower.get(&path).await.1[0].is_null() {
            nonce += 1;
            back_up(nonce).await;
        }
        nonce
    });
    let brought = |lives: &Value| lives[0]["dispute"]["record"]["proven"].as_u64();
    tower.wait(&path, 60, |_, lives| brought(lives) == Some(newest)).await;
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_damaged_while_the_tower_was_stopped_ends_it_once_it_is_asked_for_and_is_refused_then()
 {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(23).await;
    let config = world.config(&[]);
    let tower = world.start_tower().await;
    tower.caught_up(&world).await;
    let kept = pair.seal(Role::Participant, &pair.final_state(40, SIDE)).to_bytes();
    assert_eq!(tower.back_up(&kept).await.0, 200);
    let backup = format!("/v1/backups/{}/participant", pair.channel.id());
    tower.stop().await.unwrap();
    let sums = format!("{}.sums", config.store_path().display());
    assert!(std::path::Path::new(&sums).exists(), "it was stopped cleanly");

    // One byte of the backup changes on the disk. The tower starts: nobody has asked for that page.
    let mut file = std::fs::read(config.store_path()).unwrap();
    let tail = &kept[kept.len() - 64..];
    let places: Vec<usize> =
        (0..file.len() - 64).filter(|at| file[*at..].starts_with(tail)).collect();
    for place in &places {
        file[place + 7] ^= 1;
    }
    assert!(!places.is_empty());
    std::fs::write(config.store_path(), &file).unwrap();
    let tower = world.start_tower().await;
    let (status, before) = tower.get("/healthz").await;
    assert_eq!(status, 200, "{before}");
    let (status, answer) = tower.get(&backup).await;
    assert!(status >= 500, "what was damaged is not served: {answer}");
    // What it reads of the chain cannot be stored any more, so it stops, and says why.
    let ended = tokio::time::timeout(Duration::from_secs(60), tower.task).await.unwrap().unwrap();
    let said = ended.unwrap_err();
    let mut causes = vec![said.to_string()];
    let mut cause = std::error::Error::source(&said);
    while let Some(next) = cause {
        causes.push(next.to_string());
        cause = next.source();
    }
    assert!(causes.iter().any(|words| words.contains("is damaged")), "{causes:?}");
    let refused = watchtower::service::Tower::start(&config, world.tower.clone()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("is damaged") && refused.contains("put it aside"), "{refused}");
}
