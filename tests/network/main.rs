//! Real towers, processes of their own, and who else may talk to them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]
#![allow(clippy::print_stdout, reason = "figures for whoever looks")]

mod interop;
mod world;

// Tests of real processes stand here, because the test command knows them by how their whole name begins.

#[tokio::test(flavor = "multi_thread")]
async fn e2e_a_node_of_js_libp2p_submits_checks_the_receipt_and_fetches_back() {
    interop::a_node_of_js_libp2p_talks_to_a_tower().await;
}
