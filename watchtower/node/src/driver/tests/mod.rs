//! The driver with its real store and real links: killed at every durable write, and under load.
#![allow(clippy::print_stdout, reason = "figures for whoever looks")]

mod absence;
mod again;
mod bounds;
mod close;
mod crash;
mod crash_close;
mod crash_consent;
mod crash_exit;
mod crash_open;
mod crash_restore;
mod fates;
mod figures;
mod ground;
mod hall;
mod history;
mod leaving;
mod load;
mod machine;
mod orders;
mod restore;
mod single;
mod strangers;
mod town;
mod wallets;
mod world;
