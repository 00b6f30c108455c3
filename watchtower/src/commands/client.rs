//! What talks to a running node over its local API: one request for each command, and waiting where that is asked for.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::client_history::history;
use super::client_http::{Client, failed};
use super::client_pay::{Payment, pay};
use super::client_wait::{LOOK_EVERY, Look, progress, until};
use super::{client_cost_words as cost_words, client_order as order_key, client_words as words};
use crate::cli::{BackupCommand, ClientCommand, Common, Shown};
use crate::config::Config;
use crate::error::CommandError;

/// How long a payment that is just ending is waited for, or a deposit that has just become final.
const SETTLE_MAX: Duration = Duration::from_secs(15);

pub(crate) fn execute(config: &Config, command: &ClientCommand) -> Result<(), CommandError> {
    let client = Client::of(&config.node_folder())?;
    to_its_end(run(&client, command))
}

/// Until it is done, or a person has waited enough: the node goes on by itself.
fn to_its_end(command: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    super::runtime()?.block_on(async {
        tokio::select! {
            done = command => done,
            Ok(()) = tokio::signal::ctrl_c() => Err(CommandError::Interrupted),
        }
    })
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
    to_its_end(async {
        estimate(&client, common, "allocate").await;
        put_in(&client, (&path, amount), order, wait, common).await
    })
}

pub(super) fn show(
    common: &Common,
    answer: &Value,
    words: fn(&Value) -> String,
) -> Result<(), CommandError> {
    if common.json { super::say(answer) } else { super::say(words(answer).trim_end()) }
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
            let (amount, channel, order) = (*amount, *channel, order.as_deref());
            pay(client, &Payment { to, amount, channel, order }, *wait, common).await
        }
        ClientCommand::Receive { amount, channel, shown } => {
            let amount = amount.map(|amount| amount.to_string());
            let body = json!({"amount": amount, "channel": channel});
            show_text(shown, &client.post("/v1/invoices", &body).await?, "invoice")
        }
        ClientCommand::Costs { common } => {
            show(common, &client.get("/v1/costs").await?, cost_words::costs)
        }
        ClientCommand::History { channel, all, csv, common } => {
            history(client, *channel, (*all, *csv), common).await
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
        ClientCommand::GiveUp { payment, common } => {
            let path = format!("/v1/payments/{payment}/give-up");
            show(common, &client.post(&path, &json!({})).await?, words::history)
        }
        ClientCommand::Withdraw { amount, channel, order, wait, common } => {
            estimate(client, common, "withdraw").await;
            let key = order_key::name(order.as_deref(), common);
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
            leave(client, (*channel, *now), *wait, common).await
        }
        ClientCommand::Cancel { channel, common } => cancel(client, *channel, common).await,
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

async fn leave(
    client: &Client,
    (channel, now): (Option<u64>, bool),
    wait: bool,
    common: &Common,
) -> Result<(), CommandError> {
    progress(
        common,
        "signing on this channel stops for good; a dispute locks fee and bond until its window is over",
    );
    estimate_of(client, common, "exit", channel).await;
    let path = format!("/v1/channels/{}/exit", place(channel));
    exit(client, (&path, &json!({"now": now})), wait, common).await
}

async fn cancel(client: &Client, channel: u64, common: &Common) -> Result<(), CommandError> {
    progress(common, "takes the deposit back: one transaction and a claim");
    estimate(client, common, "cancel").await;
    let path = format!("/v1/channels/{channel}/cancel");
    show(common, &client.post(&path, &json!({})).await?, words::order)
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
    if answer["deposit"] != body["deposit"] || answer["stage"] == "live" {
        progress(
            common,
            "there is a channel with this hub, or an opening under way, which goes on as it is: --another opens one beside it",
        );
    }
    let hash = answer["dispute_hash"].clone();
    if wait && answer["stage"] != "live" {
        let status = until(client, "/v1/status", common, |status| {
            let one = opening_of(status, &hash);
            match one["stage"].get("failed").and_then(Value::as_str) {
                Some(reason) => Err(format!("the channel was not opened: {reason}")),
                None => Ok(Look::done_or(one["stage"] == "live", || words::opening_waits(&one))),
            }
        });
        answer = opening_of(&status.await?, &hash);
    }
    show(common, &answer, words::opening)
}

/// One of the node's openings.
fn opening_of(status: &Value, hash: &Value) -> Value {
    let all = status["openings"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().find(|one| one["dispute_hash"] == *hash).cloned().unwrap_or_default()
}

/// Says what a command's calls cost, to people, where that can be told.
async fn estimate(client: &Client, common: &Common, what: &str) {
    estimate_of(client, common, what, None).await;
}

async fn estimate_of(client: &Client, common: &Common, what: &str, channel: Option<u64>) {
    if common.json {
        return;
    }
    if let Ok(costs) = client.get("/v1/costs").await {
        progress(common, &cost_words::cost_of(&costs, what, channel));
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
    let key = order_key::name(order, common);
    let body = json!({"amount": amount.to_string(), "key": key});
    let before = client.get("/v1/channels").await?;
    let mut answer = client.post(path, &body).await?;
    let comes = |answer: &Value| {
        let state = answer.pointer("/order/state").and_then(Value::as_str);
        matches!(state, Some("running" | "waiting"))
    };
    if wait && comes(&answer) {
        while comes(&answer) {
            tokio::time::sleep(LOOK_EVERY).await;
            answer = client.post(path, &body).await?;
        }
        until_seen(client, &answer, &before).await?;
    }
    show(common, &answer, words::order)?;
    if answer.pointer("/order/state") == Some(&json!("failed")) {
        return Err(failed("it failed; the reason stands above"));
    }
    Ok(())
}

/// What is final counts once the node has read it from the chain, a moment later.
async fn until_seen(client: &Client, answer: &Value, before: &Value) -> Result<(), CommandError> {
    let version = |channels: &Value| {
        the_channel(channels, &answer["channel"]).and_then(|one| one["version"].as_u64())
    };
    let deadline = Instant::now() + SETTLE_MAX;
    let is_done = answer.pointer("/order/state") == Some(&json!("done"));
    while is_done && Instant::now() < deadline {
        if version(&client.get("/v1/channels").await?) > version(before) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
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
        let channels = until(client, "/v1/channels", common, |channels| {
            let one = the_channel(channels, &id).ok_or("the channel is gone")?;
            if one["held"] == true
                && let Some(reason) = one["refusal"].as_str()
                && one["refusal_passes"] == false
            {
                return Err(format!("the hub does not consent: {reason}"));
            }
            Ok(Look::done_or(one["held"] == false, || words::held(one)))
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
        until(client, "/v1/status", common, |status| {
            let all = status["orders"].as_array().map(Vec::as_slice).unwrap_or_default();
            let runs =
                |one: &&Value| one["state"] == "running" && words::is_of_consent(one, &answer);
            let is_done = !all.iter().any(|one| runs(&one));
            Ok(Look::done_or(is_done, || "the money is on its way to the account".to_owned()))
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
    let answer = client.post(path, body).await?;
    if !wait {
        return show(common, &answer, words::exit);
    }
    let id = answer["channel"].clone();
    let channels = until(client, "/v1/channels", common, |channels| {
        let one = the_channel(channels, &id).ok_or("the channel is gone")?;
        Ok(Look::done_or(one["standing"] == "over", || words::leaving(one)))
    })
    .await?;
    show(common, the_channel(&channels, &id).unwrap_or(&Value::Null), words::channel)
}

async fn restore(client: &Client, wait: bool, common: &Common) -> Result<(), CommandError> {
    let answer = if wait {
        let look =
            |answer: &Value| Ok(Look::done_or(answer["done"] == true, || words::restore(answer)));
        until(client, "/v1/restore", common, look).await?
    } else {
        client.get("/v1/restore").await?
    };
    show(common, &answer, words::restore)
}

async fn backups(client: &Client, wait: bool, common: &Common) -> Result<(), CommandError> {
    let answer = if wait {
        let look = |answer: &Value| {
            Ok(Look::done_or(answer["covered"] == true, || words::uncovered(answer)))
        };
        until(client, "/v1/backups", common, look).await?
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
