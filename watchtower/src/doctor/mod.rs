//! `watchtower doctor`: looks at everything that a tower needs, and says what to mend.
//!
//! Nothing is changed: files that are written to measure the disk are removed again. A tower may run meanwhile; then its own word
//! about peers and account is asked.
//!
//! **Invariant:** one check that fails keeps none of the others from being made.

mod chain;
mod finding;
mod machine;
mod tower;

use crate::config::Config;

pub(crate) use finding::{Finding, Grade};

/// Makes all checks.
pub(crate) async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    match config.validate() {
        Ok(()) => findings.push(Finding::good("configuration", "is sound")),
        Err(error) => {
            let fix = "correct the key; `watchtower check-config` shows what is in force";
            findings.push(Finding::bad("configuration", error.to_string(), fix));
        }
    }
    machine::examine(config, &mut findings);
    let running = tower::running(config.http.listen).await;
    tower::ports(config, running.as_ref(), &mut findings);
    let account = tower::account(config, running.as_ref(), &mut findings);
    chain::examine(config, account, &mut findings).await;
    tower::peers(config, running.as_ref(), &mut findings).await;
    tower::readiness(running.as_ref(), &mut findings);
    findings
}
