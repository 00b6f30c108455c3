//! What holds of all metrics at once.

use std::collections::BTreeSet;

use super::*;

const OURS: &str = "watchtower_";

#[test]
fn everything_registers_and_the_page_has_every_metric_of_the_catalog_that_has_no_endpoint() {
    let metrics = Metrics::new().unwrap();
    let page = metrics.page().unwrap();
    for entry in metrics.catalog() {
        let wanted = format!("# TYPE {} {}\n", entry.name, entry.kind.as_str());
        let per_endpoint = entry.labels.first() == Some(&"endpoint");
        assert!(per_endpoint || page.contains(&wanted), "{} is not on the page", entry.name);
    }
}

#[test]
fn the_page_has_nothing_that_the_catalog_does_not_have() {
    let metrics = Metrics::new().unwrap();
    metrics.endpoints.lag.of(Endpoint::at(0)).set(1.0);
    let known: BTreeSet<_> = metrics.catalog().iter().map(|entry| entry.name).collect();
    for line in metrics.page().unwrap().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(known.contains(name), "{name} is exported and not in the catalog");
        }
    }
}

#[test]
fn names_end_in_their_unit_and_counters_in_total() {
    let (tower, monitor, node) =
        (Metrics::new().unwrap(), MonitorMetrics::new().unwrap(), NodeMetrics::new().unwrap());
    let all = [tower.catalog(), monitor.catalog(), node.catalog()].concat();
    for entry in all.iter().filter(|entry| entry.name.starts_with(OURS)) {
        let stem = entry.name.strip_suffix("_total");
        assert_eq!(stem.is_some(), entry.kind == Type::Counter, "{}", entry.name);
        let stem = stem.unwrap_or(entry.name);
        let suffix = match entry.unit {
            Unit::Seconds => "_seconds",
            Unit::Bytes => "_bytes",
            Unit::Ratio => "_ratio",
            Unit::Wei => "_wei",
            Unit::Time => "_time_seconds",
            Unit::Count | Unit::Blocks | Unit::Flag => "",
        };
        assert!(stem.ends_with(suffix), "{} is measured in {:?}", entry.name, entry.unit);
        assert!(
            entry.help.ends_with('.') && entry.help.len() > 5,
            "{}: {}",
            entry.name,
            entry.help
        );
        assert!(!entry.help.contains('\n'), "{}", entry.name);
    }
}

#[test]
fn a_count_kept_elsewhere_is_followed_and_never_falls() {
    let metrics = Metrics::new().unwrap();
    let counter = &metrics.submit.foreign;
    for (total, shown) in [(3, 3), (3, 3), (7, 7), (2, 7)] {
        counter.follow(total);
        assert_eq!(counter.get(), shown);
    }
}

#[test]
fn each_phase_is_measured_from_the_end_of_the_one_before_it() {
    let metrics = Metrics::new().unwrap();
    let mut clock = RaceClock::default();
    let steps = [
        (Step::Seen, 10_000),
        (Step::Opened, 10_010),
        (Step::Decided, 10_500),
        (Step::Proving, 10_500),
        (Step::Proved, 12_500),
        (Step::Queued, 12_600),
        (Step::Sent, 12_700),
        (Step::Sent, 20_700),
        (Step::Included, 24_700),
        (Step::Final, 900_000),
        (Step::Closed, 901_000),
    ];
    for (step, at_ms) in steps {
        clock.step(&metrics.race, (1, 1), step, at_ms);
    }
    let page = metrics.page().unwrap();
    let expect = [
        ("open", "0.01"),
        ("decide", "0.49"),
        ("prove", "2"),
        ("send", "0.2"),
        ("include", "12"),
        ("finalize", "875.3"),
    ];
    for (phase, sum) in expect {
        let line = format!("watchtower_race_phase_seconds_sum{{phase=\"{phase}\"}} {sum}\n");
        assert!(page.contains(&line), "{phase} is not {sum} in\n{page}");
    }
    assert!(page.contains("watchtower_race_answer_seconds_sum 14.7\n"));
}

#[test]
fn disputes_of_before_a_restart_give_no_durations_and_forgotten_ones_neither() {
    let metrics = Metrics::new().unwrap();
    let mut clock = RaceClock::default();
    clock.step(&metrics.race, (9, 1), Step::Opened, 5);
    let count = u64::try_from(DISPUTES_MAX).unwrap();
    for channel in 0..=count {
        clock.step(&metrics.race, (channel, 1), Step::Seen, channel);
    }
    clock.step(&metrics.race, (0, 1), Step::Opened, 10);
    assert_eq!(metrics.race.phases.of(Phase::Open).count(), 0);
    clock.step(&metrics.race, (1, 1), Step::Opened, 10);
    assert_eq!(metrics.race.phases.of(Phase::Open).count(), 1);
}

#[test]
fn openmetrics_text_becomes_text_that_prometheus_reads_with_its_metadata() {
    let text = "# HELP libp2p_x_dials Dials.\n# TYPE libp2p_x_dials counter\nlibp2p_x_dials_total 3\n\
                # HELP other_y Why.\n# TYPE other_y gauge\nother_y 1\n\
                # HELP libp2p_z Z.\n# TYPE libp2p_z unknown\n# UNIT libp2p_z seconds\nlibp2p_z{a=\"b\"} 4\n# EOF\n";
    let expected = "# HELP libp2p_x_dials_total Dials.\n# TYPE libp2p_x_dials_total counter\nlibp2p_x_dials_total 3\n\
                    # HELP libp2p_z Z.\n# TYPE libp2p_z untyped\nlibp2p_z{a=\"b\"} 4\n";
    assert_eq!(translate(text, "libp2p_"), expected);
}

#[test]
fn endpoints_beyond_the_last_place_share_it() {
    assert_eq!(Endpoint::at(2).value(), "2");
    assert_eq!(Endpoint::at(7), Endpoint::at(1_000));
}
