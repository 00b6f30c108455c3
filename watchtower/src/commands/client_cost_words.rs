//! What commands cost, in words: said before anything is done.

use serde_json::Value;

use super::client_words::{list, text};

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

/// What a command costs now; an exit, from this channel or from any.
pub(super) fn cost_of(costs: &Value, what: &str, channel: Option<u64>) -> String {
    if what != "exit" {
        return format!("costs about {} of gas", ether(&costs[what]));
    }
    let exit = &costs["exit"];
    let mut out = format!(
        "costs about {} of gas, and locks {} as the fee",
        ether(&exit["gas"]),
        ether(&exit["fee"])
    );
    let is_meant = |one: &Value| channel.is_none_or(|id| one["channel"] == id);
    for one in list(exit, "bonds").into_iter().filter(is_meant) {
        out.push_str(&format!(
            ", {} as the bond of channel {}",
            ether(&one["bond"]),
            text(&one["channel"])
        ));
    }
    out.push_str(": an honest exiter gets what is locked back");
    out
}

/// `watchtower costs`: what this node can order, line by line.
pub(super) fn costs(answer: &Value) -> String {
    let mut out = format!("{:<16} {}\n", "gas price", gwei(&answer["gas_price"]));
    for what in ["open", "fund", "withdraw", "close", "cancel", "accept", "allocate", "exit"] {
        if !answer[what].is_null() {
            out.push_str(&format!("{what:<16} {}\n", cost_of(answer, what, None)));
        }
    }
    if !answer["open"].is_null() {
        out.push_str(&format!("{:<16} the hub's fee, and no gas\n", "pay"));
    }
    out
}

fn gwei(value: &Value) -> String {
    match value.as_str().and_then(|text| text.parse::<u128>().ok()) {
        Some(wei) => format!("{}.{:03} gwei", wei / 1_000_000_000, wei / 1_000_000 % 1_000),
        None => text(value),
    }
}

/// What a payment from this channel, or the only one, costs.
pub(super) fn fee(channels: &Value, channel: Option<u64>, amount: Option<u128>) -> String {
    let all = list(channels, "channels");
    let is_meant = |one: &&Value| match channel {
        Some(id) => one["channel"] == id,
        None => one["standing"] == "live",
    };
    let known = all.iter().find(is_meant).map_or(&Value::Null, |one| &one["hub_fee"]);
    let base = known["base"].as_str().and_then(|text| text.parse::<u128>().ok());
    let (Some(base), Some(millionths)) = (base, known["millionths"].as_u64()) else {
        return "costs the hub's fee, and no gas".to_owned();
    };
    if base == 0 && millionths == 0 {
        return "costs nothing: the hub asks for no fee, and there is no gas".to_owned();
    }
    let share = amount.and_then(|amount| amount.checked_mul(u128::from(millionths)));
    match share.and_then(|share| base.checked_add(share.div_ceil(1_000_000))) {
        Some(fee) => format!(
            "costs {fee}, the hub's fee, and no gas; a payment in several parts a little more"
        ),
        None => format!(
            "costs the hub's fee, {base} and {millionths} millionths of the amount, and no gas"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({
            "gas_price": "1500000000", "open": "720000000000000", "fund": "300000000000000",
            "withdraw": "510000000000000", "close": "480000000000000", "cancel": "1000000000000",
            "exit": {
                "gas": "4140000000000000", "fee": "20000000000000000",
                "bonds": [{"channel": 1, "claim": "5", "bond": "5000000000000000000"}],
            },
        })
    }

    #[test]
    fn what_a_command_costs_is_said_in_ether_and_an_exit_says_what_it_locks() {
        let costs = sample();
        for (what, words) in [
            ("open", "costs about 0.000720 ether of gas"),
            ("fund", "costs about 0.000300 ether of gas"),
            ("withdraw", "costs about 0.000510 ether of gas"),
            ("close", "costs about 0.000480 ether of gas"),
            ("cancel", "costs about 0.000001 ether of gas"),
        ] {
            assert_eq!(cost_of(&costs, what, None), words);
        }
        assert!(!cost_of(&costs, "exit", Some(2)).contains("bond"), "another channel's");
        assert_eq!(
            cost_of(&costs, "exit", Some(1)),
            "costs about 0.004140 ether of gas, and locks 0.020000 ether as the fee, 5.000000 ether as the bond of channel 1: an honest exiter gets what is locked back"
        );
    }

    #[test]
    fn the_list_of_costs_has_what_this_node_can_order_and_nothing_else() {
        let all = costs(&sample());
        for line in ["gas price        1.500 gwei", "pay              the hub's fee, and no gas"] {
            assert!(all.lines().any(|one| one == line), "{all}");
        }
        assert!(!all.contains("allocate") && !all.contains("null") && !all.contains('-'), "{all}");
        let of_a_hub = json!({"gas_price": "1", "accept": "1", "allocate": "1", "exit": {}});
        let all = costs(&of_a_hub);
        assert!(all.contains("accept") && !all.contains("open") && !all.contains("pay "), "{all}");
    }

    #[test]
    fn a_payments_fee_is_the_hubs_rounded_up_and_said_as_a_rule_where_the_amount_is_not_known() {
        let of =
            |fee: Value| json!({"channels": [{"channel": 4, "standing": "live", "hub_fee": fee}]});
        let asks = of(json!({"base": "3", "millionths": 1_000}));
        assert!(fee(&asks, None, Some(1_001)).starts_with("costs 5, the hub's fee, and no gas"));
        assert!(fee(&asks, Some(4), None).contains("3 and 1000 millionths of the amount"));
        assert!(fee(&asks, Some(4), Some(u128::MAX)).contains("1000 millionths"));
        let free = of(json!({"base": "0", "millionths": 0}));
        assert!(fee(&free, None, Some(5)).starts_with("costs nothing"));
        for unknown in [of(Value::Null), json!({"channels": []})] {
            assert_eq!(fee(&unknown, None, Some(5)), "costs the hub's fee, and no gas");
        }
    }
}
