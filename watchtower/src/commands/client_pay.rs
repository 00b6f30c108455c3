//! `watchtower pay`: what it costs, the order, and what becomes of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::show;
use super::client_http::{Client, failed};
use super::client_wait::{LOOK_EVERY, Look, progress, until};
use super::{client_cost_words as cost_words, client_order, client_words as words};
use crate::cli::Common;
use crate::error::CommandError;

/// How long a payee's channel is looked for that this node has not seen.
const SEE_MAX: Duration = Duration::from_secs(10);

/// A payment as a person orders it.
#[derive(Debug)]
pub(super) struct Payment<'a> {
    pub(super) to: &'a str,
    pub(super) amount: Option<u128>,
    pub(super) channel: Option<u64>,
    pub(super) order: Option<&'a str>,
}

pub(super) async fn pay(
    client: &Client,
    payment: &Payment<'_>,
    wait: bool,
    common: &Common,
) -> Result<(), CommandError> {
    let Payment { to, amount, channel, order } = *payment;
    let channels = client.get("/v1/channels").await?;
    progress(common, &cost_words::fee(&channels, channel, amount));
    let key = client_order::of_payment(to, order, common);
    let amount = amount.map(|amount| amount.to_string());
    let body = json!({"to": to, "amount": amount, "channel": channel, "key": key});
    let mut answer = order_it(client, &body, wait, common).await?;
    if wait {
        let reference = answer["reference"].clone();
        let history = until(client, "/v1/payments", common, |history| {
            let ours = with_reference(history, &reference);
            let open = ours.iter().find(|one| !has_ended(one));
            let is_done = !ours.is_empty() && open.is_none();
            Ok(Look::done_or(is_done, || open.map(words::waiting).unwrap_or_default()))
        });
        answer["payments"] = Value::Array(with_reference(&history.await?, &reference));
    }
    show(common, &answer, words::history)?;
    verdict(&answer)
}

/// The order. The payee's channel may be so new that this node has not seen it on the chain, final: then again for a while.
async fn order_it(
    client: &Client,
    body: &Value,
    wait: bool,
    common: &Common,
) -> Result<Value, CommandError> {
    let deadline = Instant::now() + SEE_MAX;
    let mut is_told = false;
    loop {
        match client.post("/v1/payments", body).await {
            Err(CommandError::NotNow(why)) if wait && Instant::now() < deadline => {
                if !std::mem::replace(&mut is_told, true) {
                    progress(common, &format!("{why}: looks again for a few seconds"));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            other => return other,
        }
    }
}

fn has_ended(one: &Value) -> bool {
    ["received", "refused", "unclear"].iter().any(|stage| one["stage"] == *stage)
}

fn verdict(answer: &Value) -> Result<(), CommandError> {
    let all = answer["payments"].as_array().map(Vec::as_slice).unwrap_or_default();
    let stands = |stage: &str| all.iter().find(|one| one["stage"] == stage);
    if stands("unclear").is_some() {
        return Err(failed(
            "what became of the payment is not known here: the node was restored, or its disk set back; ask the payee before you pay again",
        ));
    }
    match stands("refused") {
        Some(one) => Err(failed(words::refused(one))),
        None => Ok(()),
    }
}

/// The parts of the attempt that counts under one reference. One was begun only when all before it had been refused: it is the one
/// that was not, else the last.
fn with_reference(history: &Value, reference: &Value) -> Vec<Value> {
    let all = history["payments"].as_array().cloned().unwrap_or_default();
    let ours = |one: &Value| one["reference"] == *reference && one["direction"] == "outgoing";
    let mut all: Vec<Value> = all.into_iter().filter(ours).collect();
    all.sort_by_key(|one| (one["channel"].as_u64(), one["sequence"].as_u64()));
    let mut attempts: Vec<Vec<Value>> = Vec::new();
    for one in all {
        match attempts.last_mut().filter(|_| one["part"] != 1) {
            Some(attempt) => attempt.push(one),
            None => attempts.push(vec![one]),
        }
    }
    let is_refused = |one: &Value| one["stage"] == "refused";
    let counts = attempts.iter().rposition(|attempt| !attempt.iter().all(is_refused));
    let counts = counts.unwrap_or(attempts.len().saturating_sub(1));
    attempts.into_iter().nth(counts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(channel: u64, sequence: u64, part: u64, stage: &str) -> Value {
        json!({
            "channel": channel, "sequence": sequence, "part": part, "stage": stage,
            "reference": "0x01", "direction": "outgoing", "reason": "unknown_payee",
            "why": "the hub does not serve the payee",
        })
    }

    fn counts(payments: &[Value]) -> (Vec<Value>, Result<(), String>) {
        let ours = with_reference(&json!({"payments": payments}), &json!("0x01"));
        let said = verdict(&json!({"payments": ours})).map_err(|error| error.to_string());
        (ours, said)
    }

    #[test]
    fn an_attempt_that_succeeded_is_not_called_refused_for_those_before_it() {
        let (refused, received) = (one(1, 3, 1, "refused"), one(1, 4, 1, "received"));
        assert_eq!(counts(&[received.clone(), refused.clone()]), (vec![received], Ok(())));
        // Tried again on another channel, with a smaller number.
        let elsewhere = one(1, 9, 1, "received");
        let before = one(5, 2, 1, "refused");
        assert_eq!(counts(&[before, elsewhere.clone()]), (vec![elsewhere], Ok(())));
        let again = one(1, 5, 1, "refused");
        let (ours, said) = counts(&[refused, again.clone()]);
        assert_eq!(ours, [again]);
        let said = said.unwrap_err();
        assert!(said.contains("does not serve the payee; ask the payee"), "{said}");
    }

    #[test]
    fn a_payment_of_which_parts_were_refused_is_refused() {
        let parts = [one(1, 3, 1, "received"), one(1, 4, 2, "refused"), one(1, 5, 3, "refused")];
        let (ours, said) = counts(&parts);
        assert_eq!((ours.len(), said.is_err()), (3, true));
        assert_eq!(counts(&[]), (Vec::new(), Ok(())));
    }
}
