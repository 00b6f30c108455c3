//! The commands of nodes: what runs one, and what talks to one that runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use alloy_primitives::Address;
use clap::{Args, Subcommand};
use protocol::{Amount, ChannelId};

/// A participant's node.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Run a participant's node until it is told to stop.
    ///
    /// Needs an account with ether for gas (`watchtower keys new`), a chain's node (`--rpc`) and a vault (`--deployment`). Makes
    /// the seed in the data folder at the first start: back that file up, with it and the chain everything else is restored.
    /// The other commands (`open`, `pay`, ..) talk to it, from the same --data-dir. Backups are handed to each --tower for its
    /// receipt; with --bootstrap they are published in the towers' gossip as well.
    Run(RunArgs),
}

/// A counterparty's node, for many participants.
#[derive(Debug, Subcommand)]
pub enum HubCommand {
    /// Run a hub until it is told to stop: accepts channels by policy, and carries payments between participants.
    ///
    /// Needs the account that operates a pool (--vip, or the deployment file's), with ether for gas: each channel that it accepts is
    /// a transaction of its own, and the pool puts its side in. Needs --link, where participants dial it. Makes the seed in the data
    /// folder at the first start: back that file up. Then `watchtower hub invitation`, from the same --data-dir, prints what
    /// participants open channels with; `status`, `channels`, `history`, `costs`, `export` and `exit` talk to a hub, too.
    Run(HubArgs),
    /// Print the invitation that participants open channels with; on a terminal as a QR code, too.
    Invitation(Shown),
    /// Put more of the pool's idle capital into a channel, so that more can be paid to its participant. One transaction.
    Allocate {
        /// The channel
        #[arg(value_parser = channel_number)]
        channel: u64,
        /// How much, in base units
        #[arg(value_parser = base_units)]
        amount: u128,
        /// Names this order: the same name is never put in twice. By default a random one, which is printed
        #[arg(long, value_name = "NAME")]
        order: Option<String>,
        /// Wait until it is final
        #[arg(long)]
        wait: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
}

/// How a text that another device reads is shown.
#[derive(Debug, Clone, Args)]
pub struct Shown {
    /// Output
    #[command(flatten)]
    pub common: Common,
    /// The QR code also where the output is no terminal
    #[arg(long)]
    pub qr: bool,
}

/// How a node runs.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where other nodes dial this one, as a multiaddress; a participant needs none
    #[arg(long, value_name = "MULTIADDRESS")]
    pub link: Vec<String>,
    /// Where others reach it, if not where it listens: behind a router, or under a name (/dns4/hub.example/tcp/4001). Goes into
    /// the invitation
    #[arg(long, value_name = "MULTIADDRESS")]
    pub announce: Vec<String>,
    /// Where the local HTTP API listens
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    pub api: SocketAddr,
    /// A tower that backups are handed to (its HTTP address); may be repeated
    #[arg(long, value_name = "URL")]
    pub tower: Vec<String>,
    /// At the first start: derive the seed from the account's signature over a message with this index, instead of making one.
    /// Then the account's key alone restores everything. Needs --deployment
    #[arg(long, value_name = "INDEX")]
    pub seed_from_account: Option<u32>,
    /// Limits, fees, backups, and when the node leaves a channel by itself (TOML); see docs/spec/node.md
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The asset, where the vault takes several
    #[arg(long, value_name = "ADDRESS")]
    pub asset: Option<Address>,
}

/// How a hub runs.
#[derive(Debug, Args)]
pub struct HubArgs {
    /// As any node
    #[command(flatten)]
    pub node: RunArgs,
    /// The hub's pool; by default the deployment file's
    #[arg(long, value_name = "ADDRESS")]
    pub vip: Option<Address>,
}

/// For every command that talks to a running node.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The node's answer as JSON, for machines
    #[arg(long)]
    pub json: bool,
}

/// What can be asked of a running node. Each may be repeated: what was done is not done twice.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Open a channel with a hub, by its invitation, and pay in. Two transactions (approve, open); the hub then accepts.
    ///
    /// The deposit lies in the vault, not with the hub, and is taken back whole with `cancel` as long as the hub has not accepted.
    /// Example: watchtower open vrc1.. --deposit 500000000 --wait --data-dir alice
    Open {
        /// The hub's invitation (vrc1..)
        invitation: String,
        /// What to pay in, in base units of the asset
        #[arg(long, value_parser = base_units)]
        deposit: u128,
        /// Open another one, though there is a channel with this hub
        #[arg(long)]
        another: bool,
        /// Wait until the channel lives
        #[arg(long)]
        wait: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Put more into a channel. Two transactions (approve, deposit); counts once it is final.
    Fund {
        /// How much, in base units
        #[arg(value_parser = base_units)]
        amount: u128,
        /// The channel; not needed when there is one
        #[arg(long, value_parser = channel_number)]
        channel: Option<u64>,
        /// Names this order: the same name is never paid in twice. By default a random one, which is printed
        #[arg(long, value_name = "NAME")]
        order: Option<String>,
        /// Wait until it is final
        #[arg(long)]
        wait: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Pay an invoice, or a channel. Costs the hub's fee and no gas.
    ///
    /// The same invoice, or --order, is never paid twice: if you do not know what became of a payment, give the same command again.
    /// What was debited and is not passed on in time comes back, or `export` proves the debt.
    /// Example: watchtower pay vri1.. --wait --data-dir alice
    Pay {
        /// An invoice (vri1..), or the payee's channel number
        to: String,
        /// How much, in base units; the invoice's if it says
        #[arg(long, value_parser = base_units)]
        amount: Option<u128>,
        /// The channel to pay from; not needed when there is one
        #[arg(long, value_parser = channel_number)]
        channel: Option<u64>,
        /// Names this payment where there is no invoice: the same name is never paid twice. By default a random one, which is
        /// printed
        #[arg(long, value_name = "NAME")]
        order: Option<String>,
        /// Wait until it is received or refused
        #[arg(long)]
        wait: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Make an invoice: what a payer needs to pay this node, once.
    #[command(visible_alias = "invoice")]
    Receive {
        /// How much, in base units; without it the payer chooses
        #[arg(long, value_parser = base_units)]
        amount: Option<u128>,
        /// The channel to be paid on; not needed when there is one
        #[arg(long, value_parser = channel_number)]
        channel: Option<u64>,
        /// Output
        #[command(flatten)]
        shown: Shown,
    },
    /// Show what the calls to the chain cost now, and what a dispute locks.
    Costs {
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Show payments, oldest first.
    ///
    /// Of those that ended the newest 1,024 of each channel, or --all. A payment goes through: proposed (asked for, nothing debited),
    /// debited (the hub has it), protected (towers hold that), received (the payee's node has signed for it); or refused, with the
    /// reason; owed when the hub keeps it too long. On its way in: protected, credited, received.
    History {
        /// Only this channel's
        #[arg(long, value_parser = channel_number)]
        channel: Option<u64>,
        /// All that ever were, channel by channel: also those that ended long ago. With --json one JSON object a line
        #[arg(long)]
        all: bool,
        /// As CSV with a line of names, for a spreadsheet
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Show channels: balance, standing, what is under way.
    Channels {
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Show how the node fares, and whether it signs.
    Status {
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Write a payment's debt note: what proves to anybody that the hub was paid and owes. Always JSON.
    Export {
        /// The payment's id, as `history` shows it
        payment: String,
    },
    /// Take an order back that is not debited yet, with its later parts; of a payment that is debited, wait for no receipt any more.
    ///
    /// What is debited stays so, and its debt note stays good: a receipt, or the hub's paying back, still ends it.
    GiveUp {
        /// The payment's id, as `history` shows it
        payment: String,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Take money out of a live channel, with the hub's consent. One transaction and a claim; the channel pauses meanwhile.
    Withdraw {
        /// How much, in base units
        #[arg(value_parser = base_units)]
        amount: u128,
        /// The channel; not needed when there is one
        #[arg(long, value_parser = channel_number)]
        channel: Option<u64>,
        /// Names this order: the same name is never paid out twice. By default a random one, which is printed
        #[arg(long, value_name = "NAME")]
        order: Option<String>,
        /// Wait until it is final
        #[arg(long)]
        wait: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// End a channel with the hub's consent: both are paid at once, or, in a dispute, once the announced close takes effect.
    /// One transaction and a claim.
    Close {
        /// The channel; not needed when there is one
        #[arg(long, value_parser = channel_number)]
        channel: Option<u64>,
        /// Wait until it is final
        #[arg(long)]
        wait: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Leave a channel whether the hub likes it or not: asks for a close, then opens a dispute with a real proof.
    ///
    /// Signing on the channel stops for good. A dispute costs about 2.2 million gas, and locks fee and bond until the window is
    /// over; an honest exiter gets both back.
    Exit {
        /// The channel; not needed when there is one
        #[arg(long, value_parser = channel_number)]
        channel: Option<u64>,
        /// Without asking for a close first
        #[arg(long)]
        now: bool,
        /// Wait until the channel is over
        #[arg(long)]
        wait: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Take the deposit back of a channel that the hub has not accepted.
    Cancel {
        /// The channel
        #[arg(value_parser = channel_number)]
        channel: u64,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Show whether a restore is under way: a node with its seed and an empty disk restores by itself when it starts.
    Restore {
        /// The hub's invitation: where the restored channels' other end is dialled. Without it the towers alone are asked
        invitation: Option<String>,
        /// Wait until it is done
        #[arg(long)]
        wait: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
    /// Backups of final states: what a lost disk does not lose.
    #[command(subcommand)]
    Backup(BackupCommand),
}

/// Backups.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Show how much of what the node holds is protected, and by how many towers. Exit code 1 if not all of it is.
    Status {
        /// Wait until all of it is protected
        #[arg(long)]
        wait: bool,
        /// Output
        #[command(flatten)]
        common: Common,
    },
}

/// An amount as the contracts count it.
fn base_units(text: &str) -> Result<u128, String> {
    let amount: u128 = text.parse().map_err(|_no_number| {
        "an amount is a whole number of base units: of an asset with six decimals 1.5 is 1500000"
            .to_owned()
    })?;
    Amount::try_from(amount).map(Amount::get).map_err(|error| error.to_string())
}

fn channel_number(text: &str) -> Result<u64, String> {
    let wrong = || "a channel is a number from 1: see `watchtower channels`".to_owned();
    let id: ChannelId = text.parse().map_err(|_no_id| wrong())?;
    Ok(id.get())
}
