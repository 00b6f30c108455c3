//! The metrics of a node or a hub.

use crate::builder::{Builder, MetricsError, Unit};
use crate::family::{By, Counter, Gauge};
use crate::label::{ChannelState, OrderState};

component! {
    /// A participant's node, or a hub.
    Node = "node" {
        /// Whether it is a hub.
        hub: Gauge = "is_hub", Flag;
        /// Whether it sees the chain well enough to sign.
        signs: Gauge = "signs", Flag;
        /// Channels, by where they stand.
        channels: By<ChannelState, Gauge> = "channels", Count;
        /// Channels whose other party is connected.
        connected: Gauge = "channels_connected", Count;
        /// Channels that sign nothing more.
        stopped: Gauge = "channels_stopped", Count;
        /// Channels whose state is fetched back from towers.
        restoring: Gauge = "channels_restoring", Count;
        /// Channels that are being left.
        exits: Gauge = "channels_exiting", Count;
        /// Channels that are being opened.
        openings: Gauge = "channels_opening", Count;
        /// What all channels are worth to it, in base units of the asset.
        worth: Gauge = "worth_base_units", Count;
        /// What is on its way in payments, in base units.
        in_flight: Gauge = "in_flight_base_units", Count;
        /// What the newest final states are worth, in base units.
        held: Gauge = "held_base_units", Count;
        /// What of it enough towers hold: the rest is lost with the disk.
        protected: Gauge = "protected_base_units", Count;
        /// Towers that it knows.
        towers: Gauge = "towers", Count;
        /// Towers that should hold each state.
        target: Gauge = "towers_target", Count;
        /// Whether every channel's newest state is held by enough towers.
        covered: Gauge = "covered", Flag;
        /// What it wants of the chain, by state.
        orders: By<OrderState, Gauge> = "orders", Count;
        /// Messages whose answer is awaited.
        turns: Gauge = "turns_on_their_way", Count;
        /// Seconds since 1970 when the node's loop went round the last time.
        round: Gauge = "round_time_seconds", Time;
        /// Disputes of its channels that its newest state strikes down, with no override in a block, while their windows are open.
        disputes_unanswered: Gauge = "disputes_unanswered", Count;
        /// Of the most urgent one: chain seconds to its deadline. Zero while there is none.
        disputes_left: Gauge = "disputes_unanswered_left_seconds", Seconds;
        /// Payments that have not ended.
        payments_open: Gauge = "payments_open", Count;
        /// How long the oldest of them is under way, since this process first saw it.
        payments_oldest: Gauge = "payments_oldest_seconds", Seconds;
        /// Payments for a person to clear up: debited and not credited in time, or their fate is unknown.
        payments_unsettled: Gauge = "payments_unsettled", Count;
        /// What the escrows of its live channels hold, in base units.
        escrow: Gauge = "escrow_base_units", Count;
        /// Live channels in which it can pay less than a tenth of the escrow.
        dry: Gauge = "channels_dry", Count;
        /// Hub: what its pool has in its own hands, in base units.
        pool_idle: Gauge = "pool_idle_base_units", Count;
        /// Receipts of towers that did not hold what they promised.
        broken: Counter = "receipts_broken_total", Count;
        /// What ether the account has.
        balance: Gauge = "account_balance_wei", Wei;
        /// The most that leaving one channel costs and locks now: gas, fee and bond.
        exit_cost: Gauge = "exit_cost_wei", Wei;
        /// Calls that wait for ether.
        unfunded: Gauge = "orders_unfunded", Count;
        /// Rounds in a row in which the sender could not look at the chain.
        send_failures: Gauge = "send_failures_in_row", Count;
    }
}
