//! `watchtower doctor`: what is wrong, and how to mend it.

use super::{runtime, say};
use crate::cli::DoctorArgs;
use crate::config::Config;
use crate::doctor::{Grade, examine};
use crate::error::CommandError;

pub(crate) fn execute(config: &Config, arguments: &DoctorArgs) -> Result<(), CommandError> {
    let findings = runtime()?.block_on(examine(config));
    if arguments.json {
        for finding in &findings {
            let line = serde_json::to_string(finding).map_err(|error| CommandError::System {
                what: "cannot write a finding as JSON".to_owned(),
                source: std::io::Error::other(error),
            })?;
            say(line)?;
        }
    } else {
        for finding in &findings {
            say(finding)?;
        }
    }
    let bad = findings.iter().filter(|finding| finding.grade == Grade::Bad).count();
    if bad > 0 { Err(CommandError::Ailing { bad }) } else { Ok(()) }
}
