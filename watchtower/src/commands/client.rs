//! What talks to a running node over its local API: one request for each command, and waiting where that is asked for.

use std::io::Write as _;
use std::time::Duration;

use rand::RngCore as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client_http::{Client, failed};
use super::client_words as words;
use crate::cli::{BackupCommand, ClientCommand, Common, Shown};
use crate::config::Config;
use crate::error::CommandError;

/// How long a command waits when it is asked to.
const WAIT_MAX: Duration = Duration::from_secs(1_800);
/// How long a payment that is just ending is waited for.
const SETTLE_MAX: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) fn execute(config: &Config, command: &ClientCommand) -> Result<(), CommandError> {
    let client = Client::of(&config.node_folder())?;
    super::runtime()?.block_on(run(&client, command))
}

/// Prints the hub's invitation.
pub(crate) fn invitation(config: &Config, shown: &Shown) -> Result<(), CommandError> {
    let client = Client::of(&config.node_folder())?;
    let answer = super::runtime()?.block_on(client.get("/v1/invitation"))?;
    show_text(shown, &answer, "invitation")
}

/// A text that another device may read: alone on its line, and as a code.
fn show_text(shown: &Shown, answer: &Value, field: &str) -> Result<(), CommandError> {
    if shown.common.json {
        return super::say(answer);
    }
    let text = answer[field].as_str().unwrap_or_default();
    super::say(text)?;
    match super::qr::code(text, shown.qr) {
        Some(code) => super::say(code),
        None => Ok(()),
    }
}

/// Puts more of the pool's capital into a channel.
pub(crate) fn allocate(
    config: &Config,
    (channel, amount): (u64, u128),
    order: Option<&str>,
    wait: bool,
    common: &Common,
) -> Result<(), CommandError> {
    let client = Client::of(&config.node_folder())?;
    let path = format!("/v1/channels/{channel}/allocations");
    super::runtime()?.block_on(put_in(&client, (&path, amount), order, wait, common))
}

fn show(common: &Common, answer: &Value, words: fn(&Value) -> String) -> Result<(), CommandError> {
    if common.json { super::say(answer) } else { super::say(words(answer).trim_end()) }
}

/// Says what is waited for, to people only.
fn progress(common: &Common, what: &str) {
    if !common.json {
        // A closed pipe is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{what}");
    }
}

/// Asks until `done` says so.
async fn until(
    client: &Client,
    path: &str,
    done: impl Fn(&Value) -> Result<bool, String>,
) -> Result<Value, CommandError> {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let answer = client.get(path).await?;
        if done(&answer).map_err(failed)? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            return Err(failed(format!(
                "not done after {} s; it goes on, ask again",
                WAIT_MAX.as_secs()
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Names an order that a person did not name.
fn random_key() -> String {
    let mut random = [0; 8];
    rand::rngs::OsRng.fill_bytes(&mut random);
    alloy_primitives::hex::encode(random)
}

fn place(channel: Option<u64>) -> String {
    channel.map_or_else(|| "-".to_owned(), |id| id.to_string())
}

/// One of the node's channels, by its number as JSON has it.
fn the_channel<'a>(answer: &'a Value, id: &Value) -> Option<&'a Value> {
    answer["channels"].as_array()?.iter().find(|one| one["channel"] == *id)
}

async fn run(client: &Client, command: &ClientCommand) -> Result<(), CommandError> {
    match command {
        ClientCommand::Open { invitation, deposit, another, wait, common } => {
            let body = json!({"invitation": invitation, "deposit": deposit.to_string(), "another": another});
            open(client, &body, *wait, common).await
        }
        ClientCommand::Fund { amount, channel, order, wait, common } => {
            estimate(client, common, "fund").await;
            let path = format!("/v1/channels/{}/deposits", place(*channel));
            put_in(client, (&path, *amount), order.as_deref(), *wait, common).await
        }
        ClientCommand::Pay { to, amount, channel, order, wait, common } => {
            let amount = amount.map(|amount| amount.to_string());
            let body = json!({"to": to, "amount": amount, "channel": channel, "key": order});
            pay(client, &body, *wait, common).await
        }
        ClientCommand::Receive { amount, channel, shown } => {
            let amount = amount.map(|amount| amount.to_string());
            let body = json!({"amount": amount, "channel": channel});
            show_text(shown, &client.post("/v1/invoices", &body).await?, "invoice")
        }
        ClientCommand::Costs { common } => {
            show(common, &client.get("/v1/costs").await?, words::costs)
        }
        ClientCommand::History { channel, all, common } => {
            let channel = channel.map(|id| format!("&channel={id}")).unwrap_or_default();
            let answer = client.get(&format!("/v1/payments?all={all}{channel}")).await?;
            show(common, &answer, words::history)
        }
        ClientCommand::Channels { common } => {
            show(common, &client.get("/v1/channels").await?, words::channels)
        }
        ClientCommand::Status { common } => {
            show(common, &client.get("/v1/status").await?, words::status)
        }
        ClientCommand::Export { payment } => {
            super::say(client.get(&format!("/v1/payments/{payment}/note")).await?)
        }
        ClientCommand::Withdraw { amount, channel, order, wait, common } => {
            estimate(client, common, "withdraw").await;
            let key = order.clone().unwrap_or_else(random_key);
            progress(common, &format!("to repeat this very order: --order {key}"));
            let body = json!({"amount": amount.to_string(), "key": key});
            let path = format!("/v1/channels/{}/withdrawals", place(*channel));
            agree(client, (&path, &body), *wait, common).await
        }
        ClientCommand::Close { channel, wait, common } => {
            estimate(client, common, "close").await;
            let path = format!("/v1/channels/{}/close", place(*channel));
            agree(client, (&path, &json!({})), *wait, common).await
        }
        ClientCommand::Exit { channel, now, wait, common } => {
            let path = format!("/v1/channels/{}/exit", place(*channel));
            exit(client, (&path, &json!({"now": now})), *wait, common).await
        }
        ClientCommand::Cancel { channel, common } => {
            let path = format!("/v1/channels/{channel}/cancel");
            show(common, &client.post(&path, &json!({})).await?, words::order)
        }
        ClientCommand::Restore { invitation, wait, common } => {
            if let Some(invitation) = invitation {
                client.post("/v1/hubs", &json!({"invitation": invitation})).await?;
            }
            restore(client, *wait, common).await
        }
        ClientCommand::Backup(BackupCommand::Status { wait, common }) => {
            backups(client, *wait, common).await
        }
    }
}

async fn open(
    client: &Client,
    body: &Value,
    wait: bool,
    common: &Common,
) -> Result<(), CommandError> {
    progress(
        common,
        "asks the hub, then approves and opens: two transactions; the money is in the vault, not with the hub",
    );
    estimate(client, common, "open").await;
    let mut answer = client.post("/v1/channels", body).await?;
    let hash = answer["dispute_hash"].clone();
    if wait && answer["stage"] != "live" {
        progress(common, "waits until the hub has accepted and the chain is final");
        let status = until(client, "/v1/status", |status| {
            let all = status["openings"].as_array().map(Vec::as_slice).unwrap_or_default();
            let one = all.iter().find(|one| one["dispute_hash"] == hash);
            let stage = one.map_or(&Value::Null, |one| &one["stage"]);
            match stage.get("failed").and_then(Value::as_str) {
                Some(reason) => Err(format!("the channel was not opened: {reason}")),
                None => Ok(stage == "live"),
            }
        });
        let status = status.await?;
        let all = status["openings"].as_array().cloned().unwrap_or_default();
        answer = all.into_iter().find(|one| one["dispute_hash"] == hash).unwrap_or_default();
    }
    show(common, &answer, words::opening)
}

/// Says what a command's calls cost, to people, where that can be told.
async fn estimate(client: &Client, common: &Common, what: &str) {
    if common.json {
        return;
    }
    if let Ok(costs) = client.get("/v1/costs").await {
        progress(common, &words::cost_of(&costs, what));
    }
}

/// A deposit, or an allocation.
async fn put_in(
    client: &Client,
    (path, amount): (&str, u128),
    order: Option<&str>,
    wait: bool,
    common: &Common,
) -> Result<(), CommandError> {
    let key = order.map_or_else(random_key, str::to_owned);
    progress(common, &format!("to repeat this very order: --order {key}"));
    let body = json!({"amount": amount.to_string(), "key": key});
    let mut answer = client.post(path, &body).await?;
    let comes = |answer: &Value| {
        let state = answer.pointer("/order/state").and_then(Value::as_str);
        matches!(state, Some("running" | "waiting"))
    };
    while wait && comes(&answer) {
        tokio::time::sleep(LOOK_EVERY).await;
        answer = client.post(path, &body).await?;
    }
    show(common, &answer, words::order)?;
    if answer.pointer("/order/state") == Some(&json!("failed")) {
        return Err(failed("it failed; the reason stands above"));
    }
    Ok(())
}

async fn pay(
    client: &Client,
    body: &Value,
    wait: bool,
    common: &Common,
) -> Result<(), CommandError> {
    let mut answer = client.post("/v1/payments", body).await?;
    if wait {
        let reference = answer["reference"].clone();
        let ended = |one: &Value| {
            ["received", "refused", "unclear"].iter().any(|stage| one["stage"] == *stage)
        };
        let history = until(client, "/v1/payments", |history| {
            let ours = with_reference(history, &reference);
            Ok(!ours.is_empty() && ours.iter().all(ended))
        });
        answer["payments"] = Value::Array(with_reference(&history.await?, &reference));
    }
    show(common, &answer, words::history)?;
    let stands = |stage: &str| {
        answer["payments"].as_array().is_some_and(|all| all.iter().any(|one| one["stage"] == stage))
    };
    if stands("unclear") {
        return Err(failed(
            "what became of the payment is not known here: the node was restored, or its disk set back; ask the payee before you pay again",
        ));
    }
    if stands("refused") {
        return Err(failed("the payment was refused; the reason stands above"));
    }
    Ok(())
}

fn with_reference(history: &Value, reference: &Value) -> Vec<Value> {
    let all = history["payments"].as_array().cloned().unwrap_or_default();
    all.into_iter()
        .filter(|one| one["reference"] == *reference && one["direction"] == "outgoing")
        .collect()
}

/// A withdrawal or a close: done when the channel is held no longer.
async fn agree(
    client: &Client,
    (path, body): (&str, &Value),
    wait: bool,
    common: &Common,
) -> Result<(), CommandError> {
    progress(
        common,
        "asks the hub for its consent, then one transaction and a claim; the channel pauses until it is final, or, in a dispute, until the announced close takes effect",
    );
    let deadline = Instant::now() + SETTLE_MAX;
    let mut answer = loop {
        match client.post(path, body).await {
            // The last payment's receipt is on its way.
            Err(CommandError::NotNow(_)) if wait && Instant::now() < deadline => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            other => break other?,
        }
    };
    if wait {
        let id = answer["channel"].clone();
        let channels = until(client, "/v1/channels", |channels| {
            let one = the_channel(channels, &id).ok_or("the channel is gone")?;
            if one["held"] == true
                && let Some(reason) = one["refusal"].as_str()
                && one["refusal_passes"] == false
            {
                return Err(format!("the hub does not consent: {reason}"));
            }
            Ok(one["held"] == false)
        });
        let channels = channels.await?;
        if answer.get("consent").is_some() {
            // The same order again says what became of it.
            answer = client.post(path, body).await?;
            if answer["executed"] != true {
                return Err(failed(
                    "the consent ran out before it was executed, and nothing was taken out; the hub is asked once more under the same key: repeat this very order to see what becomes of it",
                ));
            }
        }
        until(client, "/v1/status", |status| {
            let all = status["orders"].as_array().map(Vec::as_slice).unwrap_or_default();
            Ok(!all
                .iter()
                .any(|one| one["state"] == "running" && words::is_of_consent(one, &answer)))
        })
        .await?;
        answer = the_channel(&channels, &id).cloned().unwrap_or_default();
        return show(common, &answer, words::channel);
    }
    show(common, &answer, words::consent)
}

async fn exit(
    client: &Client,
    (path, body): (&str, &Value),
    wait: bool,
    common: &Common,
) -> Result<(), CommandError> {
    progress(
        common,
        "signing on this channel stops for good; a dispute locks fee and bond until its window is over",
    );
    estimate(client, common, "exit").await;
    let answer = client.post(path, body).await?;
    if !wait {
        return show(common, &answer, words::exit);
    }
    let id = answer["channel"].clone();
    let channels = until(client, "/v1/channels", |channels| {
        let one = the_channel(channels, &id).ok_or("the channel is gone")?;
        Ok(one["standing"] == "over")
    })
    .await?;
    show(common, the_channel(&channels, &id).unwrap_or(&Value::Null), words::channel)
}

async fn restore(client: &Client, wait: bool, common: &Common) -> Result<(), CommandError> {
    let answer = if wait {
        until(client, "/v1/restore", |answer| Ok(answer["done"] == true)).await?
    } else {
        client.get("/v1/restore").await?
    };
    show(common, &answer, words::restore)
}

async fn backups(client: &Client, wait: bool, common: &Common) -> Result<(), CommandError> {
    let answer = if wait {
        until(client, "/v1/backups", |answer| Ok(answer["covered"] == true)).await?
    } else {
        client.get("/v1/backups").await?
    };
    show(common, &answer, words::backups)?;
    if answer["covered"] == true {
        Ok(())
    } else {
        Err(failed("not everything that this node holds is protected"))
    }
}
