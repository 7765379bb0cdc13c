//! Istio's request metrics: the series of each edge of the mesh, and the labels that name its two ends.
//!
//! Request-path modules observe through an [`EdgeSeries`], which caches its series because a lookup by labels would format
//! and allocate on each request.

mod labels;
mod metrics;

pub(crate) use labels::{EdgeLabeler, EdgeLabels};
pub(crate) use metrics::{EdgeSeries, Metrics};
