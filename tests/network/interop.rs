//! Another implementation of libp2p talks to a tower: js-libp2p, with what docs/spec/network.md says and nothing of ours.

use std::io::Write as _;
use std::process::{Command, Stdio};

use alloy::primitives::hex;
use protocol::Role;
use protocol::network::Slot;
use protocol::network::wire::Topic;
use serde_json::{Value, json};

use crate::world::{CHAIN_ID, Tower, World};

/// The story: what `peer.mjs` does, and what it must have done.
pub(crate) async fn a_node_of_js_libp2p_talks_to_a_tower() {
    let folder = integration_tests::root().join("tests/interop");
    assert!(
        folder.join("node_modules").is_dir(),
        "js-libp2p is not there: (cd tests/interop && npm ci), as ./test.sh e2e does"
    );
    let world = World::start().await;
    let pair = world.open(41).await;
    let tower = Tower::start(&world, 3).await;
    let sealed = |nonce| pair.seal(Role::Participant, &pair.final_state(nonce, 500)).to_bytes();
    let slot = Slot { channel_id: pair.channel.id(), role: Role::Participant };
    let domain = pair.channel.domain();
    let envelopes = [7, 8, 6].map(|nonce| hex::encode_prefixed(sealed(nonce)));
    let task = json!({
        "place": tower.place().await,
        "account": tower.account.to_string(),
        "chain_id": CHAIN_ID,
        "vipe": world.vipe.address.to_string(),
        "domain": domain.to_string(),
        "channel": slot.channel_id.get(),
        "role": slot.role.to_byte(),
        "topic": Topic::Backups(domain, slot.shard()).to_string(),
        "envelopes": envelopes,
        "signature_len": protocol::schnorr::Signature::LEN,
    });
    let mut node = Command::new("node")
        .args(["--import", "./node20.mjs", "peer.mjs"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node (version 20 or later) runs");
    node.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    let output =
        tokio::task::spawn_blocking(move || node.wait_with_output()).await.unwrap().unwrap();
    let (told, said) = (text(&output.stdout), text(&output.stderr));
    println!("{told}");
    assert!(output.status.success(), "{told}\n{said}");
    let steps: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let step = |what: &str| steps.iter().find(|step| step["what"] == what);
    for what in ["connected", "identified", "pinged", "joined", "fetched", "heard", "told", "done"]
    {
        assert!(step(what).is_some(), "it never {what}\n{told}");
    }
    let receipt = step("receipt").unwrap();
    assert_eq!(receipt["nonce"], 7);
    assert_eq!(receipt["signer"], tower.account.to_string().to_lowercase());
    assert_eq!(step("refused").unwrap()["code"], 6);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
