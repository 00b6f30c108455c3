//! What goes wrong while a dispute runs: a backup that comes at the very moment.

use protocol::Role;
use serde_json::Value;

use crate::world::{SIDE, WINDOW_S, World};

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
        let (status, taken) = tower.back_up(&envelope.to_bytes()).await;
        assert_eq!(status, 200, "{taken}");
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
