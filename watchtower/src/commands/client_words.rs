//! A node's answers in words, for people. Machines take `--json`.

use serde_json::Value;

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn list(answer: &Value, field: &str) -> Vec<Value> {
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

pub(crate) fn order(answer: &Value) -> String {
    let mut out = lines(answer, &["channel", "amount"]);
    out.push_str(&lines(&answer["order"], &["name", "state", "call", "calls", "reason"]));
    out
}

/// Wei as ether, for people.
fn ether(value: &Value) -> String {
    let wei = value.as_str().and_then(|text| text.parse::<u128>().ok());
    match wei {
        Some(wei) => {
            let (whole, part) = (wei / 10_u128.pow(18), wei % 10_u128.pow(18) / 10_u128.pow(12));
            format!("{whole}.{part:06} ether")
        }
        None => text(value),
    }
}

pub(crate) fn cost_of(costs: &Value, what: &str) -> String {
    if what != "exit" {
        return format!("costs about {} of gas", ether(&costs[what]));
    }
    let exit = &costs["exit"];
    let mut out = format!(
        "costs about {} of gas, and locks {} as the fee",
        ether(&exit["gas"]),
        ether(&exit["fee"])
    );
    for one in list(exit, "bonds") {
        out.push_str(&format!(
            ", {} as the bond of channel {}",
            ether(&one["bond"]),
            text(&one["channel"])
        ));
    }
    out
}

pub(crate) fn costs(answer: &Value) -> String {
    let mut out = format!("{:<16} {}\n", "gas price", text(&answer["gas_price"]));
    for what in ["open", "fund", "withdraw", "close", "exit"] {
        out.push_str(&format!("{what:<16} {}\n", cost_of(answer, what)));
    }
    out
}

pub(crate) fn history(answer: &Value) -> String {
    let all = list(answer, "payments");
    if all.is_empty() {
        return "no payments".to_owned();
    }
    let mut out = String::new();
    for one in all {
        let way = if one["direction"] == "incoming" { "from" } else { "to" };
        let other = if way == "from" { &one["payer"] } else { &one["payee"] };
        let reason =
            one["reason"].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
        out.push_str(&format!(
            "{:>20} {way:<4} channel {:<6} {:<10}{reason} fee {} {}\n",
            text(&one["amount"]),
            text(other),
            text(&one["stage"]),
            text(&one["fee"]),
            text(&one["payment"]),
        ));
    }
    out
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
    let mut out =
        lines(answer, &["role", "account", "peer", "vault", "asset", "channels", "worth", "signs"]);
    if let Some(reason) = answer["why_not"].as_str() {
        out.push_str(&format!("nothing is signed: {reason}\n"));
    }
    for one in list(answer, "orders") {
        out.push_str(&format!("on its way: {} ({})\n", text(&one["name"]), text(&one["state"])));
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
            out.push_str(&format!(
                "channel {:<8} restored with nonce {}; towers that served less, by their place in the list from 0: {}\n",
                text(&one["channel"]),
                text(&one["nonce"]),
                text(&one["towers_behind"]),
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
