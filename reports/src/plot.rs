//! The charts, drawn with plotters as SVG. No fonts are needed, and colours are CSS classes, so that the
//! page's light, dark and print styles apply to them.
//!
//! Floats are used in this module only. They position pixels and decide nothing.

pub(crate) mod axis;
pub(crate) mod bins;
mod canvas;
mod frame;
mod histogram;
mod ink;
mod lanes;
mod levels;
mod percentiles;
mod timeline;

pub(crate) use histogram::{histogram, histogram_bars};
pub(crate) use ink::Ink;
pub(crate) use lanes::{Lane, Span, lanes, lanes_of};
pub(crate) use levels::{Level, levels};
pub(crate) use percentiles::percentiles;
pub(crate) use timeline::{Backdrop, box_of_load, latency_over_time, throughput_over_time};

/// The two widths of a chart over time, because one drawing scaled down to a phone would be too small to
/// read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Wide,
    /// A phone, or half a page.
    Narrow,
}

#[cfg(test)]
mod tests;
