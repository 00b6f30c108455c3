//! Families with typed labels.

use std::marker::PhantomData;

use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts};

use crate::builder::{Family, Type};
use crate::label::Label;

/// A number that goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge(prometheus::Gauge);

impl Gauge {
    /// The new value.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// The new value; exact up to 2^53.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other number")]
    pub fn set_count(&self, value: u64) {
        self.0.set(value as f64);
    }

    /// One or zero.
    pub fn set_flag(&self, value: bool) {
        self.0.set(f64::from(u8::from(value)));
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

impl Family for Gauge {
    const TYPE: Type = Type::Gauge;
    const LABELS: &'static [&'static str] = &[];
    fn make(
        name: &str,
        help: &str,
        _: &[f64],
    ) -> Result<(Self, Box<dyn Collector>), prometheus::Error> {
        let gauge = prometheus::Gauge::new(name, help)?;
        Ok((Self(gauge.clone()), Box::new(gauge)))
    }
}

/// A number of events.
#[derive(Debug, Clone)]
pub struct Counter(prometheus::IntCounter);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Follows a count that is kept elsewhere: never falls.
    pub fn follow(&self, total: u64) {
        self.0.inc_by(total.saturating_sub(self.0.get()));
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Family for Counter {
    const TYPE: Type = Type::Counter;
    const LABELS: &'static [&'static str] = &[];
    fn make(
        name: &str,
        help: &str,
        _: &[f64],
    ) -> Result<(Self, Box<dyn Collector>), prometheus::Error> {
        let counter = prometheus::IntCounter::new(name, help)?;
        Ok((Self(counter.clone()), Box::new(counter)))
    }
}

/// A sum of amounts.
#[derive(Debug, Clone)]
pub struct Total(prometheus::Counter);

impl Total {
    /// Adds an amount; a negative one is ignored, because a total never falls.
    pub fn add(&self, amount: f64) {
        if amount > 0.0 {
            self.0.inc_by(amount);
        }
    }

    /// The sum.
    #[must_use]
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

impl Family for Total {
    const TYPE: Type = Type::Counter;
    const LABELS: &'static [&'static str] = &[];
    fn make(
        name: &str,
        help: &str,
        _: &[f64],
    ) -> Result<(Self, Box<dyn Collector>), prometheus::Error> {
        let counter = prometheus::Counter::new(name, help)?;
        Ok((Self(counter.clone()), Box::new(counter)))
    }
}

/// Observations in buckets.
#[derive(Debug, Clone)]
pub struct Histogram(prometheus::Histogram);

impl Histogram {
    /// One observation.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }

    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.get_sample_count()
    }
}

impl Family for Histogram {
    const TYPE: Type = Type::Histogram;
    const LABELS: &'static [&'static str] = &[];
    fn make(
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<(Self, Box<dyn Collector>), prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histogram = prometheus::Histogram::with_opts(options)?;
        Ok((Self(histogram.clone()), Box::new(histogram)))
    }
}

/// One `M` for each value of `L`.
#[derive(Debug, Clone)]
pub struct By<L, M: Vector> {
    vector: M::Vec,
    label: PhantomData<fn(L) -> M>,
}

/// One `M` for each pair of values.
#[derive(Debug, Clone)]
pub struct By2<L, K, M: Vector> {
    vector: M::Vec,
    label: PhantomData<fn(L, K) -> M>,
}

/// What can have labels.
pub trait Vector: Sized {
    /// The labelled kind.
    type Vec: Collector + Clone + std::fmt::Debug + 'static;
    #[doc(hidden)]
    const KIND: Type;
    #[doc(hidden)]
    fn make_vector(
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<Self::Vec, prometheus::Error>;
    #[doc(hidden)]
    fn with(vector: &Self::Vec, values: &[&str]) -> Self;
}

impl<L: Label, M: Vector> By<L, M> {
    /// The one with this label.
    #[must_use]
    pub fn of(&self, label: L) -> M {
        M::with(&self.vector, &[label.value()])
    }
}

impl<L: Label, K: Label, M: Vector> By2<L, K, M> {
    /// The one with these labels.
    #[must_use]
    pub fn of(&self, first: L, second: K) -> M {
        M::with(&self.vector, &[first.value(), second.value()])
    }
}

impl<L: Label, M: Vector> Family for By<L, M> {
    const TYPE: Type = M::KIND;
    const LABELS: &'static [&'static str] = &[L::NAME];
    fn make(
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<(Self, Box<dyn Collector>), prometheus::Error> {
        let vector = M::make_vector(name, help, Self::LABELS, buckets)?;
        let family = Self { vector: vector.clone(), label: PhantomData };
        for label in L::ALL {
            let _zero = family.of(*label);
        }
        Ok((family, Box::new(vector)))
    }
}

impl<L: Label, K: Label, M: Vector> Family for By2<L, K, M> {
    const TYPE: Type = M::KIND;
    const LABELS: &'static [&'static str] = &[L::NAME, K::NAME];
    fn make(
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<(Self, Box<dyn Collector>), prometheus::Error> {
        let vector = M::make_vector(name, help, Self::LABELS, buckets)?;
        let family = Self { vector: vector.clone(), label: PhantomData };
        for first in L::ALL {
            for second in K::ALL {
                let _zero = family.of(*first, *second);
            }
        }
        Ok((family, Box::new(vector)))
    }
}

impl Vector for Gauge {
    type Vec = GaugeVec;
    const KIND: Type = Type::Gauge;
    fn make_vector(
        name: &str,
        help: &str,
        labels: &[&str],
        _: &[f64],
    ) -> Result<Self::Vec, prometheus::Error> {
        GaugeVec::new(Opts::new(name, help), labels)
    }
    fn with(vector: &Self::Vec, values: &[&str]) -> Self {
        Self(vector.with_label_values(values))
    }
}

impl Vector for Counter {
    type Vec = IntCounterVec;
    const KIND: Type = Type::Counter;
    fn make_vector(
        name: &str,
        help: &str,
        labels: &[&str],
        _: &[f64],
    ) -> Result<Self::Vec, prometheus::Error> {
        IntCounterVec::new(Opts::new(name, help), labels)
    }
    fn with(vector: &Self::Vec, values: &[&str]) -> Self {
        Self(vector.with_label_values(values))
    }
}

impl Vector for Histogram {
    type Vec = HistogramVec;
    const KIND: Type = Type::Histogram;
    fn make_vector(
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<Self::Vec, prometheus::Error> {
        HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)
    }
    fn with(vector: &Self::Vec, values: &[&str]) -> Self {
        Self(vector.with_label_values(values))
    }
}
