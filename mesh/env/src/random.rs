//! Labelled random streams: a pinned algorithm, and a seed mixed with the label, so that one more draw in one place
//! shifts no other place.

use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// The one generator of the house: ChaCha with 8 rounds, pinned, since `StdRng` and `SmallRng` change between versions.
pub type Rng = rand_chacha::ChaCha8Rng;

/// The stream of a world's seed for a label (`host/label`): the key is SHA-256 over both.
pub fn stream_seed(seed: u64, scope: &str, label: &str) -> Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((scope.len() as u64).to_le_bytes());
    hash.update(scope);
    hash.update(label);
    Rng::from_seed(hash.finalize().into())
}
