//! The tower itself: its ports, its account, its peers, and what a running one says.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::Address;
use serde_json::Value;

use super::Finding;
use crate::config::Config;
use crate::keys::{Password, open_account};

/// A tower on this machine answers within this time, or none does.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What a running tower says of itself.
pub(super) struct Running {
    status: Value,
}

/// Asks whoever has the port.
pub(super) async fn running(listen: SocketAddr) -> Option<Running> {
    let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build().ok()?;
    let answer = client.get(format!("http://{listen}/v1/status")).send().await.ok()?;
    let status: Value = answer.json().await.ok()?;
    status.get("vipe").is_some().then_some(Running { status })
}

pub(super) fn ports(config: &Config, running: Option<&Running>, findings: &mut Vec<Finding>) {
    let listen = config.http.listen;
    if running.is_some() {
        findings.push(Finding::good("port of HTTP", format!("a tower answers at {listen}")));
    } else {
        match std::net::TcpListener::bind(listen) {
            Ok(_free) => findings.push(Finding::good("port of HTTP", format!("{listen} is free"))),
            Err(error) => findings.push(Finding::bad(
                "port of HTTP",
                format!("{listen}: {error}"),
                "stop whoever has it, or choose another address with http.listen",
            )),
        }
    }
    if !listen.ip().is_loopback() {
        findings.push(Finding::warn(
            "port of HTTP",
            format!("{listen} is open to others, without TLS"),
            "put a proxy with TLS and limits before it, or listen on 127.0.0.1",
        ));
    }
    if running.is_some() {
        return;
    }
    for place in &config.network.listen {
        let Some((address, is_tcp)) = socket_of(place) else { continue };
        let bound = match is_tcp {
            true => std::net::TcpListener::bind(address).map(drop),
            false => std::net::UdpSocket::bind(address).map(drop),
        };
        findings.push(match bound {
            Ok(()) => Finding::good("port of the network", format!("{place} is free")),
            Err(error) => Finding::bad(
                "port of the network",
                format!("{place}: {error}"),
                "stop whoever has it, or choose another in network.listen",
            ),
        });
    }
}

/// Address and protocol of `/ip4/../tcp/..` and `/ip4/../udp/..`; none for anything with names.
fn socket_of(place: &str) -> Option<(SocketAddr, bool)> {
    let mut parts = place.split('/').skip(1);
    let (family, ip, carrier, port) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if !matches!(family, "ip4" | "ip6") || !matches!(carrier, "tcp" | "udp") {
        return None;
    }
    Some((SocketAddr::new(ip.parse().ok()?, port.parse().ok()?), carrier == "tcp"))
}

/// Whose ether is looked at: the running tower's account, or the one in the key file.
pub(super) fn account(
    config: &Config,
    running: Option<&Running>,
    findings: &mut Vec<Finding>,
) -> Option<Address> {
    if let Some(running) = running {
        let account = running.status["account"].as_str()?.parse().ok();
        findings.push(Finding::good("account", "the running tower's"));
        return account;
    }
    let password = match Password::find(config.account.password_file.as_deref()) {
        Ok(password) => password,
        Err(error) => {
            let says = format!("its ether is not looked at: {error}");
            let fix = "give the password as `watchtower run` gets it";
            findings.push(Finding::warn("account", says, fix));
            return None;
        }
    };
    match open_account(&config.keystore_path(), &password) {
        Ok(account) => {
            findings.push(Finding::good("account", account.address().to_string()));
            Some(account.address())
        }
        Err(error) => {
            let fix = "make a key with `watchtower keys new`, or correct the password";
            findings.push(Finding::bad("account", error.to_string(), fix));
            None
        }
    }
}

pub(super) async fn peers(config: &Config, running: Option<&Running>, findings: &mut Vec<Finding>) {
    if !config.network.is_wanted() {
        findings.push(Finding::warn(
            "peers",
            "this tower meets no other tower",
            "set network.listen and network.bootstrap: backups then survive the loss of this machine",
        ));
        return;
    }
    if let Some(running) = running {
        let towers = running.status["network"]["towers"].as_u64().unwrap_or(0);
        findings.push(connected(towers, config.network.peers_min));
        return;
    }
    if config.network.bootstrap.is_empty() && !config.network.mdns {
        let fix = "name two towers of other operators in network.bootstrap";
        findings.push(Finding::warn(
            "peers",
            "nobody is dialled: others must find this tower",
            fix,
        ));
    }
    for place in &config.network.bootstrap {
        let Some((address, is_tcp)) = socket_of(place) else { continue };
        if !is_tcp {
            findings
                .push(Finding::good("peers", format!("{place} is not asked: UDP does not say")));
            continue;
        }
        let dial = tokio::net::TcpStream::connect(address);
        findings.push(match tokio::time::timeout(ANSWER_WITHIN, dial).await {
            Ok(Ok(_connected)) => Finding::good("peers", format!("{place} is reached")),
            _ => Finding::warn(
                "peers",
                format!("{place} is not reached"),
                "is that tower up, and does a firewall let it through? Name a second one",
            ),
        });
    }
}

/// What so many connected towers mean where at least `least` are wanted for readiness.
fn connected(towers: u64, least: usize) -> Finding {
    let says = format!("{towers} other towers are connected");
    let fix = "check network.bootstrap, and that a firewall lets TCP and UDP through";
    if usize::try_from(towers).is_ok_and(|towers| towers < least) {
        Finding::bad("peers", format!("{says}; network.peers_min asks for {least}"), fix)
    } else if towers == 0 {
        Finding::warn("peers", format!("{says}: what only this one holds is lost with it"), fix)
    } else {
        Finding::good("peers", says)
    }
}

/// What a running tower itself misses.
pub(super) fn readiness(running: Option<&Running>, findings: &mut Vec<Finding>) {
    let Some(running) = running else {
        findings.push(Finding::good("tower", "none runs at this address"));
        return;
    };
    let missing: Vec<_> = running.status["missing"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    findings.push(if missing.is_empty() {
        Finding::good("tower", "runs, and is ready")
    } else {
        Finding::bad("tower", missing.join("; "), "see docs/runbooks/not-ready.md")
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_tower_is_a_warning_and_fewer_than_are_wanted_is_bad() {
        use crate::doctor::Grade;
        let grades = [(0, 0), (0, 1), (1, 2), (1, 0), (2, 2)]
            .map(|(towers, least)| connected(towers, least).grade);
        assert_eq!(grades, [Grade::Warn, Grade::Bad, Grade::Bad, Grade::Good, Grade::Good]);
    }

    #[test]
    fn places_with_numbers_are_sockets_and_names_are_not() {
        let tcp = "127.0.0.1:4001".parse().unwrap();
        assert_eq!(socket_of("/ip4/127.0.0.1/tcp/4001"), Some((tcp, true)));
        assert_eq!(socket_of("/ip4/127.0.0.1/tcp/4001/p2p/12D3"), Some((tcp, true)));
        let udp = "[::]:4001".parse().unwrap();
        assert_eq!(socket_of("/ip6/::/udp/4001/quic-v1"), Some((udp, false)));
        for other in ["/dns4/tower.example/tcp/4001", "/memory/1", "", "/ip4/1.2.3.4/sctp/1"] {
            assert_eq!(socket_of(other), None, "{other}");
        }
    }
}
