//! Registers families and writes down what was registered.

use prometheus::Registry;
use prometheus::core::Collector;

/// Metrics could not be set up or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A name twice, or no name.
    #[error("the metrics are inconsistent")]
    Prometheus(#[from] prometheus::Error),
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Rises only, from zero at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

impl Type {
    /// As Prometheus writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// In what a metric is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A block's height, or a number of blocks.
    Blocks,
    /// Seconds.
    Seconds,
    /// Seconds since 1970.
    Time,
    /// Bytes.
    Bytes,
    /// A part of one.
    Ratio,
    /// Wei.
    Wei,
    /// One or zero.
    Flag,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its whole name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Type,
    /// In what it is measured.
    pub unit: Unit,
    /// What it means.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
}

/// What becomes a family.
pub(crate) trait Family: Sized {
    /// Its type.
    const TYPE: Type;
    /// Its labels.
    const LABELS: &'static [&'static str];
    /// Makes it, with its collector. `buckets` are upper bounds, for histograms.
    fn make(
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<(Self, Box<dyn Collector>), prometheus::Error>;
}

/// A registry in the making.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(crate) registry: Registry,
    pub(crate) catalog: Vec<Entry>,
}

impl Builder {
    /// Makes and registers a family.
    pub(crate) fn add<F: Family>(
        &mut self,
        (name, help): (&'static str, &'static str),
        unit: Unit,
        buckets: &[f64],
    ) -> Result<F, MetricsError> {
        let help = help.trim();
        let (family, collector) = F::make(name, help, buckets)?;
        self.registry.register(collector)?;
        self.catalog.push(Entry { name, kind: F::TYPE, unit, help, labels: F::LABELS });
        Ok(family)
    }

    /// What the operating system knows of the process, under the names that everybody uses.
    pub(crate) fn process(&mut self) -> Result<(), MetricsError> {
        let collector = prometheus::process_collector::ProcessCollector::for_self();
        self.registry.register(Box::new(collector))?;
        for (name, kind, unit, help) in PROCESS {
            self.catalog.push(Entry { name, kind, unit, help, labels: &[] });
        }
        Ok(())
    }
}

/// What [`prometheus::process_collector`] exports on Linux.
const PROCESS: [(&str, Type, Unit, &str); 7] = [
    ("process_cpu_seconds_total", Type::Counter, Unit::Seconds, "User and system CPU time spent."),
    ("process_open_fds", Type::Gauge, Unit::Count, "Open file descriptors."),
    ("process_max_fds", Type::Gauge, Unit::Count, "The most file descriptors allowed."),
    ("process_virtual_memory_bytes", Type::Gauge, Unit::Bytes, "Virtual memory."),
    ("process_resident_memory_bytes", Type::Gauge, Unit::Bytes, "Resident memory."),
    ("process_start_time_seconds", Type::Gauge, Unit::Time, "When the process started."),
    ("process_threads", Type::Gauge, Unit::Count, "Threads."),
];
