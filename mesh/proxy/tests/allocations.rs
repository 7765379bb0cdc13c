//! Counts the allocations of requests and configurations. The tests have a separate binary, because its allocator
//! counts.
//!
//! Bound: a plain routed request, once connections are open and buffers have grown, makes no allocation in the proxy
//! beyond those that hyper makes on the two connections.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "allocations/burst.rs"]
mod burst;
#[path = "allocations/dry.rs"]
mod dry;
#[path = "../../wire/src/scene/frames.rs"]
mod frames;
#[path = "allocations/kept.rs"]
mod kept;
#[path = "allocations/line.rs"]
mod line;
#[path = "allocations/memory.rs"]
mod memory;
#[path = "allocations/shop.rs"]
mod shop;
#[path = "allocations/wire.rs"]
mod wire;
