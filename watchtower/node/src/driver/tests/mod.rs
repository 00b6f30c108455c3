//! The driver with its real store and real links: killed at every durable write, and under load.
#![allow(clippy::print_stdout, reason = "figures for whoever looks")]

mod absence;
mod again;
mod bounds;
mod close;
mod crash;
mod crash_consent;
mod fates;
mod figures;
mod hall;
mod history;
mod leaving;
mod load;
mod orders;
mod restore;
mod single;
mod strangers;
mod wallets;
mod world;
