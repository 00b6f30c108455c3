//! The closed sets of label values.

/// A label with a closed set of values.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// All values whose series are there from the start.
    const ALL: &'static [Self];
    /// The value, as Prometheus sees it.
    fn value(self) -> &'static str;
}

macro_rules! label {
    ($(#[doc = $about:literal])+ $name:ident = $label:literal { $( $variant:ident = $value:literal ),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( #[doc = concat!("`", $value, "`.")] $variant, )+ }

        impl Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$( Self::$variant ),+];
            fn value(self) -> &'static str {
                match self { $( Self::$variant => $value ),+ }
            }
        }

        impl $name {
            /// The one with this value.
            #[must_use]
            pub fn named(value: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.value() == value)
            }
        }
    };
}

label! {
    /// The steps of a dispute's life: the words of the journal.
    Step = "step" {
        Seen = "seen", Resumed = "resumed", Opened = "opened", Decided = "decided", Proving = "proving",
        Proved = "proved", ProofFailed = "proof_failed", Queued = "queued", NotSubmitted = "not_submitted", Holds = "holds",
        Rival = "rival", Reported = "reported",
        Sent = "sent", MakesWay = "makes_way", Cancelling = "cancelling", Included = "included",
        Reorganised = "reorganised", Refused = "refused", Possible = "possible", TooDear = "too_dear",
        Unfunded = "unfunded", NonceTaken = "nonce_taken", Final = "final", GivenUp = "given_up",
        Overridden = "overridden", OverrideRemoved = "override_removed", Overtaken = "overtaken", Late = "late",
        Due = "due", Vanished = "vanished", Settled = "settled", SettlementRemoved = "settlement_removed",
        Won = "won", Beaten = "beaten", Lost = "lost", Declined = "declined", Closed = "closed",
        Other = "other",
    }
}

label! {
    /// Where open disputes stand at this tower.
    Life = "stage" {
        Seen = "seen", Decrypted = "decrypted", Waiting = "waiting", Proving = "proving", Proved = "proved",
        Submitting = "submitting", Included = "included", Over = "over",
    }
}

label! {
    /// How disputes ended for this tower.
    Outcome = "outcome" { Won = "won", Beaten = "beaten", Lost = "lost", Declined = "declined" }
}

label! {
    /// The phases of an answer, each from the end of the one before.
    Phase = "phase" {
        Detect = "detect", Open = "open", Decide = "decide", Prove = "prove", Send = "send",
        Include = "include", Finalize = "finalize",
    }
}

label! {
    /// How a proof ended.
    ProofEnd = "result" { Made = "made", Failed = "failed" }
}

label! {
    /// Where a node's channels stand, as of a final block.
    ChannelState = "standing" {
        Open = "open", Live = "live", Disputed = "disputed", Over = "over", Cancelled = "cancelled",
    }
}

label! {
    /// What a node wants of the chain.
    OrderState = "state" { Running = "running", Failed = "failed" }
}

label! {
    /// How much of a dispute's window has passed.
    Level = "level" { Quarter = "quarter", Half = "half", ThreeQuarters = "three_quarters", Over = "over" }
}

impl Level {
    /// The level of a part of the window that has passed; none below a quarter.
    #[must_use]
    pub fn of(part: f64) -> Option<Self> {
        match part {
            part if part >= 1.0 => Some(Self::Over),
            part if part >= 0.75 => Some(Self::ThreeQuarters),
            part if part >= 0.5 => Some(Self::Half),
            part if part >= 0.25 => Some(Self::Quarter),
            _ => None,
        }
    }
}

label! {
    /// Why a transaction is wanted.
    Purpose = "purpose" { Override = "override", Settle = "settle", Collect = "collect", Cancel = "cancel" }
}

label! {
    /// Where obligations are.
    Waiting = "state" { Open = "open", Unmined = "unmined", Backlog = "backlog", Unfunded = "unfunded" }
}

label! {
    /// What the follower asks a person to look at.
    Alarm = "alarm" { HeadOld = "head_old", ClockBehind = "clock_behind", Endpoint = "endpoint", Halted = "halted" }
}

label! {
    /// How a node of the chain stands.
    Standing = "standing" {
        Good = "good", Slow = "slow", Lagging = "lagging", Failing = "failing", Lying = "lying",
        WrongChain = "wrong_chain",
    }
}

label! {
    /// How a commit ended.
    StoreEnd = "result" { Done = "done", Full = "full", Failed = "failed" }
}

label! {
    /// What the store holds.
    Table = "table" { Channels = "channels", Backups = "backups", Disputes = "disputes", Outbox = "outbox" }
}

label! {
    /// What became of a backup that was offered.
    Offer = "result" { Stored = "stored", Repeated = "repeated", Refused = "refused" }
}

label! {
    /// The pages of the HTTP server.
    Route = "route" {
        OfferBackup = "offer_backup", Backup = "backup", Disputes = "disputes", Dispute = "dispute",
        Status = "status", Health = "health", Metrics = "metrics", Page = "page", Other = "other",
    }
}

label! {
    /// Classes of HTTP answers.
    Status = "status" { Ok = "ok", ClientError = "client_error", ServerError = "server_error" }
}

label! {
    /// Bounded queues.
    Queue = "queue" {
        Notices = "notices", Batches = "batches", Reports = "reports", Deadlines = "deadlines", Store = "store",
        Prover = "prover", Http = "http",
    }
}

label! {
    /// Tasks of the tower.
    Task = "task" {
        Http = "http", ChainWatch = "chain_watch", PendingWatch = "pending_watch", Node = "node", Prover = "prover",
        Submitter = "submitter", Store = "store", Admission = "admission", Network = "network",
        NetworkSync = "network_sync", NetworkTowers = "network_towers", NetworkDisputes = "network_disputes",
        NetworkLooks = "network_looks", Other = "other",
    }
}

label! {
    /// What the network between towers counts.
    NetworkEvent = "event" {
        GossipAccepted = "gossip_accepted", GossipIgnored = "gossip_ignored", GossipRejected = "gossip_rejected",
        GossipTurnedAway = "gossip_turned_away", GossipLate = "gossip_late", Published = "published",
        Unpublished = "unpublished", RequestsAnswered = "requests_answered",
        RequestsTurnedAway = "requests_turned_away", RequestsMalformed = "requests_malformed",
        RequestsAbandoned = "requests_abandoned", ConnectionsRefused = "connections_refused", Bans = "bans",
        Other = "other",
    }
}

label! {
    /// What became of alerts of disputes.
    AlertEvent = "event" {
        Told = "told", Forwarded = "forwarded", Ignored = "ignored", Rejected = "rejected", Looked = "looked",
        Unseen = "unseen", Other = "other",
    }
}

label! {
    /// What reconciliation counts.
    SyncEvent = "event" {
        Sessions = "sessions", Complete = "complete", Exhausted = "exhausted", Failed = "failed", Faults = "faults",
        Requests = "requests", Received = "received", Taken = "taken", Withheld = "withheld", Answered = "answered",
        Other = "other",
    }
}

label! {
    /// What admission decided about an envelope, however it came.
    Judgement = "verdict" {
        Accept = "accept", NotKept = "not_kept", UnknownChannel = "unknown_channel", NotLive = "not_live",
        SenderBusy = "sender_busy", SlotBusy = "slot_busy", Overloaded = "overloaded", Older = "older",
        Same = "same", ConflictLost = "conflict_lost", TooFast = "too_fast", Untimely = "untimely",
        Failed = "failed", Size = "size", Malformed = "malformed", OtherDomain = "other_domain",
        OtherShard = "other_shard", NonceZero = "nonce_zero", FalseClaim = "false_claim", Signature = "signature",
        Evidence = "evidence", Other = "other",
    }
}

/// A node of the chain, by its place in the configuration: its address may be a secret. The last one stands for all beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(usize);

/// Places that are told apart.
const PLACES: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

impl Endpoint {
    /// The one at this place, from zero.
    #[must_use]
    pub fn at(place: usize) -> Self {
        Self(place.min(PLACES.len() - 1))
    }
}

impl Label for Endpoint {
    const NAME: &'static str = "endpoint";
    // How many there are is known at the first look at the chain.
    const ALL: &'static [Self] = &[];
    fn value(self) -> &'static str {
        PLACES.get(self.0).copied().unwrap_or("7")
    }
}

/// The program that runs: all crates of the workspace have one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release;

impl Label for Release {
    const NAME: &'static str = "version";
    const ALL: &'static [Self] = &[Self];
    fn value(self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
