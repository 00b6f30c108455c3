//! The network between towers.
