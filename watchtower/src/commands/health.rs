//! `watchtower health`: asks a running tower or monitor how it is, for a container's health check.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{runtime, say};
use crate::cli::HealthArgs;
use crate::config::Config;
use crate::error::CommandError;

/// Shorter than the time that container runtimes give a health check.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

pub(crate) fn execute(config: &Config, arguments: &HealthArgs) -> Result<(), CommandError> {
    let page = if arguments.ready { "readyz" } else { "healthz" };
    let url = match &arguments.url {
        Some(url) => format!("{}/{page}", url.trim_end_matches('/')),
        None => format!("http://{}/{page}", reachable(config.http.listen)),
    };
    let unwell = |says: String| CommandError::Unwell { url: url.clone(), says };
    let asked = async {
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let answer = client.get(&url).send().await?;
        Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
    };
    match runtime()?.block_on(asked) {
        Ok((status, says)) if status.is_success() => say(says.trim_end()),
        Ok((status, says)) => Err(unwell(format!("{status}: {}", says.trim_end()))),
        Err(error) => Err(unwell(format!("no answer: {}", error.without_url()))),
    }
}

/// Where this machine reaches a server that listens there: one that listens everywhere is asked over the loopback.
const fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        ip if !ip.is_unspecified() => SocketAddr::new(ip, listen.port()),
        IpAddr::V4(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen.port()),
        IpAddr::V6(_) => SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), listen.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_asked_over_the_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8645", "127.0.0.1:8645"),
            ("[::]:8645", "[::1]:8645"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
