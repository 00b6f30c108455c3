//! A node's answers in words, for people. Machines take `--json`.

use serde_json::Value;

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn list(answer: &Value, field: &str) -> Vec<Value> {
    answer[field].as_array().cloned().unwrap_or_default()
}

/// `name  value`, one a line; what is null is left out.
fn lines(answer: &Value, fields: &[&str]) -> String {
    let mut out = String::new();
    for field in fields {
        if !answer[*field].is_null() {
            out.push_str(&format!("{field:<16} {}\n", text(&answer[*field])));
        }
    }
    out
}

pub(crate) fn opening(answer: &Value) -> String {
    lines(answer, &["stage", "channel", "deposit", "allocation"])
}

/// What an opening that is not done waits for.
pub(crate) fn opening_waits(one: &Value) -> String {
    match one["stage"].as_str() {
        Some("asking") => {
            "asks the hub; if that takes long: does it run, and is its address reachable from here?"
                .to_owned()
        }
        Some("sending") => "the transactions are on their way; counts once it is final".to_owned(),
        Some("waiting") => {
            let id = text(&one["channel"]);
            format!(
                "channel {id} is open, and waits for the hub to accept it (it may wait for capital): until it does, `watchtower cancel {id}` takes the deposit back whole"
            )
        }
        _ => String::new(),
    }
}

/// What a channel that pauses waits for.
pub(crate) fn held(one: &Value) -> String {
    match (one["refusal"].as_str(), one["held_why"].as_str()) {
        (Some(refusal), _) => format!("the hub does not consent yet: {refusal}; it is asked again"),
        (None, Some(why)) => why.to_owned(),
        (None, None) => String::new(),
    }
}

/// How far an exit has come.
pub(crate) fn leaving(one: &Value) -> String {
    match one["exit"]["step"].as_str() {
        Some("closing") => "asks the hub for a close by consent first",
        Some("opening") => "proves the newest state and opens a dispute: that takes a while",
        Some("disputed") => {
            "the dispute is open; after its window it is settled, and what is due is collected"
        }
        _ => "",
    }
    .to_owned()
}

/// Why not everything is protected yet.
pub(crate) fn uncovered(answer: &Value) -> String {
    format!(
        "{} of {} are protected; waits for {} of {} towers to hold the newest states",
        text(&answer["value_protected"]),
        text(&answer["value_held"]),
        text(&answer["target"]),
        text(&answer["towers"]),
    )
}

pub(crate) fn order(answer: &Value) -> String {
    let mut out = lines(answer, &["channel", "standing", "amount"]);
    out.push_str(&lines(&answer["order"], &["name", "state", "call", "calls", "reason"]));
    out
}

pub(crate) fn history(answer: &Value) -> String {
    let all = list(answer, "payments");
    if all.is_empty() {
        return "no payments".to_owned();
    }
    all.iter().map(payment).collect::<Vec<_>>().join("\n")
}

/// A payment on one line.
pub(crate) fn payment(one: &Value) -> String {
    let way = match one["direction"].as_str() {
        Some("incoming") => format!("from channel {:<6}", text(&one["payer"])),
        Some(_) => format!("to   channel {:<6}", text(&one["payee"])),
        // A hub stands between.
        None => {
            format!("from channel {} to channel {:<6}", text(&one["payer"]), text(&one["payee"]))
        }
    };
    let why = one["why"].as_str().or(one["reason"].as_str());
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    format!(
        "{:>20} {way} {:<10}{why} fee {} {}",
        text(&one["amount"]),
        text(&one["stage"]),
        text(&one["fee"]),
        text(&one["payment"]),
    )
}

/// What a payment that has not ended waits for.
pub(crate) fn waiting(one: &Value) -> String {
    let words = match (one["stage"].as_str(), one["reason"].as_str()) {
        (Some("proposed"), Some("unknown_payee")) => {
            "the hub does not know the payee's channel yet, and is asked again for a few seconds"
        }
        (Some("proposed"), _) => {
            "waits for the hub to take the payment: is it connected? see `watchtower channels`"
        }
        (Some("debited"), _) => "paid to the hub; waits until enough towers hold that",
        (Some("protected"), _) => {
            "paid to the hub; waits for the payee, whose node must run. If it does not come in time, the hub pays back"
        }
        (Some("owed"), _) => {
            "the hub has the money and does not pass it on: `watchtower export` with the payment's id writes the proof of that"
        }
        _ => "",
    };
    words.to_owned()
}

/// Why a payment was refused, and what to do.
pub(crate) fn refused(one: &Value) -> String {
    let why = one["why"].as_str().unwrap_or("no reason is known");
    let advice = match one["reason"].as_str() {
        Some("unknown_payee") => "ask the payee whether its channel is live, and with the same hub",
        Some("fee") => {
            "the hub asks for more than the policy's [hub] fee allows: see `watchtower channels`"
        }
        Some("amount") => {
            "pay less at a time, or more, as the hub allows; the balance must cover the fee, too"
        }
        Some("limit") => "wait until what is under way has ended (`watchtower history`)",
        Some("liquidity") => "pay less, or ask the hub to put more into the payee's channel",
        Some("past" | "debit" | "history") => "order it once more",
        Some("ending") => {
            "one of the two channels is being left: see `watchtower channels`, and ask the payee"
        }
        Some("unreachable" | "paid_back") => {
            "the money came back; try again when the payee's node runs"
        }
        _ => "nothing was paid",
    };
    format!("the payment was refused: {why}; {advice}")
}

pub(crate) fn channel(one: &Value) -> String {
    let mut out = lines(
        one,
        &[
            "channel",
            "standing",
            "balance",
            "escrow",
            "in_flight",
            "nonce",
            "connected",
            "stopped",
            "held",
        ],
    );
    if let Some(why) = one["held_why"].as_str() {
        out.push_str(&format!("{why}\n"));
    }
    if one["hub_fee_too_high"] == true {
        out.push_str(&format!(
            "the hub's fee is {} and {} millionths: more than the policy's [hub] fee; payments are refused\n",
            text(&one["hub_fee"]["base"]),
            text(&one["hub_fee"]["millionths"])
        ));
    }
    if one["standing"] == "disputed" && !one["dispute"]["agreed"].is_null() {
        let agreed = &one["dispute"]["agreed"];
        out.push_str(&format!(
            "agreed: {} to the participant, {} to the pool\n",
            text(&agreed["participant"]),
            text(&agreed["vip"])
        ));
    }
    let leaving = leaving(one);
    if !leaving.is_empty() && one["standing"] != "over" {
        out.push_str(&format!("it is being left: {leaving}\n"));
    }
    if let Some(deadline) =
        one["dispute"]["deadline"].as_u64().filter(|_| one["standing"] != "over")
    {
        out.push_str(&format!(
            "disputed         until {deadline} (seconds since 1970), with nonce {} and a claim of {}\n",
            text(&one["dispute"]["nonce"]),
            text(&one["dispute"]["claim"])
        ));
    }
    if one["restoring"] == true {
        out.push_str("it is being restored: nothing is signed until that is done\n");
    }
    if let Some(refusal) = one["refusal"].as_str() {
        out.push_str(&format!("the hub refused: {refusal}\n"));
    }
    if !one["paid"].is_null() {
        out.push_str(&format!(
            "paid             {} to the participant, {} to the pool\n",
            text(&one["paid"][0]),
            text(&one["paid"][1])
        ));
    }
    out
}

pub(crate) fn channels(answer: &Value) -> String {
    let all = list(answer, "channels");
    if all.is_empty() {
        return "no channels".to_owned();
    }
    all.iter().map(channel).collect::<Vec<_>>().join("\n")
}

pub(crate) fn status(answer: &Value) -> String {
    let mut out = lines(
        answer,
        &["role", "account", "peer", "vault", "asset", "channels", "worth", "pool_idle", "signs"],
    );
    if let Some(reason) = answer["why_not"].as_str() {
        out.push_str(&format!("nothing is signed: {reason}\n"));
    }
    if let Some(trouble) = answer["signer_trouble"].as_str() {
        out.push_str(&format!("waits for the account's signer: {trouble}\n"));
    }
    for channel in list(answer, "restoring") {
        let channel = text(&channel);
        out.push_str(&format!(
            "channel {channel} is being restored, and not counted above: see `watchtower restore`\n"
        ));
    }
    for one in list(answer, "openings") {
        let waits = opening_waits(&one);
        if !waits.is_empty() {
            out.push_str(&format!("an opening with {}: {waits}\n", text(&one["deposit"])));
        }
    }
    for one in list(answer, "orders") {
        let name = text(&one["name"]);
        out.push_str(&match one["reason"].as_str() {
            Some(reason) => format!("failed: {name}: {reason}\n"),
            None => format!("on its way: {name} ({})\n", text(&one["state"])),
        });
    }
    out
}

pub(crate) fn consent(answer: &Value) -> String {
    let mut out = lines(answer, &["channel", "agreed"]);
    out.push_str(if answer["consented"] == true {
        "the hub has consented; the transaction is on its way\n"
    } else {
        "the hub is asked for its consent\n"
    });
    out
}

pub(crate) fn exit(answer: &Value) -> String {
    lines(answer, &["channel", "step", "notice"])
}

pub(crate) fn restore(answer: &Value) -> String {
    if answer["done"] == true {
        let mut out = "nothing is being restored\n".to_owned();
        for one in list(answer, "restored") {
            let behind = match list(&one, "towers_behind").is_empty() {
                true => "no tower served less than it had receipted".to_owned(),
                false => format!(
                    "towers that served less than they had receipted, by their place in the list from 0: {}",
                    text(&one["towers_behind"])
                ),
            };
            out.push_str(&format!(
                "channel {:<8} restored with nonce {}; {behind}\n",
                text(&one["channel"]),
                text(&one["nonce"]),
            ));
        }
        return out;
    }
    format!(
        "restoring channels {}: waits for the hub and for {} of {} towers; nothing is signed on them meanwhile",
        text(&answer["restoring"]),
        text(&answer["quorum"]),
        text(&answer["towers"]),
    )
}

pub(crate) fn backups(answer: &Value) -> String {
    let mut out = lines(answer, &["target", "towers", "covered", "value_held", "value_protected"]);
    for one in list(answer, "channels") {
        let status = &one["status"];
        out.push_str(&format!(
            "channel {:<8} nonce {} held, {} protected, {} towers hold the newest\n",
            text(&one["channel"]),
            text(&status["held"]),
            text(&status["protected"]),
            text(&status["towers"]),
        ));
    }
    if let Some(warning) = answer["warning"].as_str() {
        out.push_str(&format!("WARNING: {warning}\n"));
    }
    out
}

/// Whether one of the node's orders carries out what was agreed, or brings home what it paid: no other is waited for.
pub(crate) fn is_of_consent(order: &Value, answer: &Value) -> bool {
    let name = order["name"].as_str().unwrap_or_default();
    let name = name.strip_prefix("collect after ").unwrap_or(name);
    let channel = &answer["channel"];
    let own = match answer.get("consent") {
        Some(seq) => format!("withdraw channel {channel} consent {seq}"),
        None => format!("close channel {channel} consent"),
    };
    // A close in a dispute is paid by the settlement.
    (answer.get("consent").is_none() && name == format!("collect asset of channel {channel}"))
        || name.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_waits_for_its_own_order_and_for_no_other() {
        let order = |name: &str| json!({"name": name, "state": "running"});
        let withdrawal = json!({"channel": 1, "consent": 2});
        for own in [
            "withdraw channel 1 consent 2",
            "withdraw channel 1 consent 2 until 900",
            "collect after withdraw channel 1 consent 2",
        ] {
            assert!(is_of_consent(&order(own), &withdrawal), "{own}");
        }
        for other in [
            "withdraw channel 1 consent 20 until 900",
            "withdraw channel 12 consent 2 until 900",
            "fund channel 1 key 0x00",
            "close channel 1 consent 2 until 900",
        ] {
            assert!(!is_of_consent(&order(other), &withdrawal), "{other}");
        }
        let close = json!({"channel": 1});
        assert!(is_of_consent(&order("close channel 1 consent 3 until 9"), &close));
        assert!(!is_of_consent(&order("close channel 10 consent 3 until 9"), &close));
        assert!(is_of_consent(&order("collect asset of channel 1"), &close));
        assert!(!is_of_consent(&order("collect asset of channel 1"), &withdrawal));
        assert!(!is_of_consent(&order("collect asset of channel 10"), &close));
    }
}
