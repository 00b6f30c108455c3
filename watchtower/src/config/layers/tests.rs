use std::collections::BTreeSet;

use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.toml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

const EXAMPLE: &str = include_str!("../../../config.example.toml");

#[test]
fn the_example_parses_and_is_the_defaults() {
    let (_directory, path) = file(EXAMPLE);
    let config = load(&Layers { file: Some(path), ..Layers::default() }).unwrap();
    assert_eq!(config, Config::default());
}

#[test]
fn the_example_names_every_key_and_no_other() {
    // Optional keys stand in comments, as `# key = value`.
    let mut section = String::new();
    let mut found = BTreeSet::new();
    for line in EXAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ")
            && !key.contains(' ')
        {
            found.insert(format!("{section}{key}"));
        }
    }
    let known: BTreeSet<_> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(found, known);
}

#[test]
fn every_commented_key_of_the_example_is_accepted_too() {
    let text: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")) {
            Some((key, value)) if !key.contains(' ') => format!("{key} = {value}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    toml::from_str::<Config>(&text).unwrap();
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
    let (_directory, path) =
        file("[log]\nfilter = \"file\"\n[chain]\nrpc = \"http://file\"\nchain_id = 1\n");
    let config = load(&Layers {
        file: Some(path),
        environment: vec![
            pair("WATCHTOWER_LOG_FILTER", "env"),
            pair("WATCHTOWER_CHAIN_CHAIN_ID", "2"),
            pair("PATH", "x"),
        ],
        flags: vec![pair("log.filter", "flag")],
    })
    .unwrap();
    assert_eq!(config.log.filter, "flag");
    assert_eq!(config.chain.chain_id, Some(2));
    assert_eq!(config.chain.rpc, "http://file");
    assert_eq!(config.shutdown, Config::default().shutdown);
}

#[test]
fn a_file_that_does_not_parse_is_an_error_with_its_path_and_line() {
    for (text, line) in [
        ("data_dir = \"x\"\n\n[chain\n", 3),
        ("[chain]\nrpc = 5\n", 2),
        ("[http]\n\nlisten = \"nowhere\"\n", 3),
        ("[intake]\njump_per_hour = 1\njump_per_minute = 2\n", 3),
        ("[chain]\nvipe = \"0x12\"\n", 2),
        ("[chain]\npoll_interval = \"soon\"\n", 2),
    ] {
        let (_directory, path) = file(text);
        match load(&Layers { file: Some(path.clone()), ..Layers::default() }) {
            Err(ConfigError::File { path: named, line: at, .. }) => {
                assert_eq!((named, at), (path, line), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_variable_or_flag_that_names_no_key_or_does_not_fit_is_an_error() {
    let environment =
        |name, value| Layers { environment: vec![pair(name, value)], ..Layers::default() };
    let unknown = load(&environment("WATCHTOWER_CHAIN_RCP", "x"));
    assert!(matches!(unknown, Err(ConfigError::UnknownVariable(_))), "{unknown:?}");
    for (name, value) in [
        ("WATCHTOWER_CHAIN_CHAIN_ID", "one"),
        ("WATCHTOWER_HTTP_LISTEN", "localhost"),
        ("WATCHTOWER_SHUTDOWN_GRACE", "-1s"),
        ("WATCHTOWER_CHAIN_CHAIN_ID", "-1"),
        ("WATCHTOWER_DECISION_COUNT_FEE", "yes"),
    ] {
        let refused = load(&environment(name, value));
        assert!(
            matches!(&refused, Err(ConfigError::Value { origin, .. }) if origin == name),
            "{name}: {refused:?}"
        );
    }
    let flags = vec![pair("chain.rcp", "x")];
    let unknown = load(&Layers { flags, ..Layers::default() });
    assert!(matches!(unknown, Err(ConfigError::UnknownKey(_))), "{unknown:?}");
    assert!(load(&environment("WATCHTOWER_KEYSTORE_PASSWORD", "secret")).is_ok());
    let several = load(&environment("WATCHTOWER_CHAIN_OTHER_RPCS", "http://a, ws://b")).unwrap();
    assert_eq!(several.chain.other_rpcs, ["http://a", "ws://b"]);
    assert_eq!(several.chain.urls().count(), 3);
}

#[test]
fn a_deployment_file_fills_in_what_is_not_given() {
    let (directory, path) = file("[chain]\nchain_id = 5\n");
    let deployment = directory.path().join("deployment.json");
    let vipe = Address::repeat_byte(3);
    let (code, verifier) = (B256::repeat_byte(4), Address::repeat_byte(5));
    let contract = |address: Address| format!(r#"{{"address":"{address}","code_hash":"{code}"}}"#);
    let text = format!(
        r#"{{"chain_id":1,"vipe":{},"verifier":{},"start_block":7,"token":"x"}}"#,
        contract(vipe),
        contract(verifier)
    );
    std::fs::write(&deployment, text).unwrap();
    let flags = vec![pair("chain.deployment", deployment.to_str().unwrap())];
    let config = load(&Layers { file: Some(path), flags, ..Layers::default() }).unwrap();
    assert_eq!(config.chain.chain_id, Some(5), "what is given stays");
    assert_eq!((config.chain.vipe, config.chain.start_block), (Some(vipe), Some(7)));
    let deployed = Deployed { vipe: (vipe, code), verifier: (verifier, code) };
    assert_eq!(config.chain.deployed, Some(deployed));
    config.validate().unwrap();
    std::fs::write(&deployment, "{").unwrap();
    let flags = vec![pair("chain.deployment", deployment.to_str().unwrap())];
    let refused = load(&Layers { flags, ..Layers::default() });
    assert!(matches!(refused, Err(ConfigError::Deployment { .. })), "{refused:?}");
}

#[test]
fn values_that_make_no_sense_are_refused_by_name() {
    let vipe = Address::repeat_byte(3).to_string();
    let base = vec![pair("chain.chain_id", "1"), pair("chain.vipe", &vipe)];
    let check = |key: &str, value: &str| {
        let mut flags = base.clone();
        flags.push(pair(key, value));
        load(&Layers { flags, ..Layers::default() }).unwrap().validate()
    };
    check("log.filter", "info").unwrap();
    for (key, value) in [
        ("chain.rpc", "ftp://node"),
        ("chain.other_rpcs", "http://a,ftp://b"),
        ("chain.quorum", "0"),
        ("chain.quorum", "2"),
        ("chain.verify", "off"),
        ("chain.vipe", "0x0000000000000000000000000000000000000000"),
        ("chain.poll_interval", "5m"),
        ("chain.finality_depth", "0"),
        ("http.requests_max", "0"),
        ("intake.jump_per_hour", "0"),
        ("intake.receipt_validity", "1s"),
        ("store.cache_mib", "3"),
        ("decision.override_gas", "16777217"),
        ("decision.race_slot", "11m"),
        ("network.listen", "127.0.0.1:9645"),
        ("network.bootstrap", "/ip4/192.0.2.1/tcp/1"),
        ("network.connections_max", "2"),
        ("network.peers_target", "0"),
        ("network.per_ip_max", "0"),
        ("network.shards", "64"),
        ("network.sync_interval", "1ms"),
        ("shutdown.grace", "0s"),
    ] {
        let refused = check(key, value);
        assert!(
            matches!(&refused, Err(ConfigError::Invalid { key: named, .. }) if *named == key),
            "{key}: {refused:?}"
        );
    }
    let missing = load(&Layers::default()).unwrap().validate();
    assert!(matches!(missing, Err(ConfigError::Invalid { key: "chain.chain_id", .. })));
}
