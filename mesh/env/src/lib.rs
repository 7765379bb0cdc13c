//! Env: the only door from the mesh to the outside world.
//!
//! Time, randomness, sockets, names, tasks, virtual CPU, a little durable state and the facts that the mesh reports all
//! pass through one small handle, [`Env`]. Two worlds stand behind it: [`real`] (the operating system) and the
//! simulator's engine. The same compiled proxy and control plane run in both.
//!
//! Invariant: nothing in `mesh/`, `loadgen/` or `sim/stage` reaches a clock, entropy, a socket, a thread or a task by
//! another way.

mod env;
mod random;
pub mod real;
mod stream;
mod tapped;
mod tokio_stream;
mod turn;
mod world;

pub use env::{Elapsed, Env, Owned, Store};
pub use random::{Rng, stream_seed};
/// The types of the two clocks, for all that call [`Env`].
pub use shakedown_types::{Time, UnixTime};
pub use stream::{BoxListener, BoxStream, Listener, Stream};
pub use tapped::{Tap, Tapped};
pub use tokio_stream::TokioStream;
pub use turn::step_aside;
pub use world::{BoxFuture, LocalFuture, Sleep, SleepFuture, StoreValue, TaskName, Work, World};
