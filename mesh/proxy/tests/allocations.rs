//! What a request and what a configuration cost the allocator, counted. Alone in its binary, whose allocator counts.
//!
//! Bound: a plain routed request, once connections are open and buffers have grown, costs the proxy no allocation beyond
//! what hyper asks for on the two connections.

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
