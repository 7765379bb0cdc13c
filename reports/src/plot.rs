//! The charts, drawn with plotters as SVG. No fonts are needed, and colours are CSS classes, so that the
//! page's light, dark and print styles apply to them.
//!
//! Floats are used in this module only. They position pixels and decide nothing.

pub(crate) mod axis;
mod backdrop;
pub(crate) mod bins;
mod canvas;
mod frame;
mod histogram;
mod ink;
mod lanes;
mod levels;
mod percentiles;
mod span;
mod svg;
mod timeline;

pub(crate) use backdrop::Backdrop;
pub(crate) use frame::Width;
pub(crate) use histogram::{histogram, histogram_bars};
pub(crate) use ink::Ink;
pub(crate) use lanes::{PlotLane, lanes, lanes_of};
pub(crate) use levels::{LevelLine, levels};
pub(crate) use percentiles::percentiles;
pub(crate) use span::LaneSpan;
pub(crate) use timeline::{box_of_load, latency_over_time, throughput_over_time};

#[cfg(test)]
mod tests;
