//! `Env`: the only interface from the mesh to the outside.
//!
//! Time, randomness, sockets, names, tasks, virtual CPU, a little durable state and the events that the mesh reports
//! all pass through one small handle, [`Env`]. Two backends implement it: [`real`] (the operating system) and the
//! simulator's engine. The same compiled proxy and control plane run on both.
//!
//! Invariant: nothing in `mesh/`, `loadgen/` or `sim/runner` reaches a clock, entropy, a socket, a thread or a task by
//! another way.

mod env;
mod random;
pub mod real;
mod stream;
mod tapped;
mod tokio_stream;
mod turn;
mod wakers;
mod world;

pub use env::{Elapsed, Env, Owned, Store};
pub use random::{Rng, stream_seed};
/// Re-exported for callers of [`Env`].
pub use shakedown_types::{Time, UnixTime};
pub use stream::{BoxListener, BoxStream, SocketListener, Stream};
pub use tapped::{Tap, Tapped};
pub use tokio_stream::TokioStream;
pub use turn::step_aside;
pub use wakers::Wakers;
pub use world::{
    BoxFuture, LocalFuture, Sleep, SleepFuture, StoreValue, TaskName, WorkKind, World,
};
