//! Labelled random streams. The algorithm is pinned and the seed is mixed with the label, so that an additional draw in
//! one place changes no other stream.

use rand::SeedableRng;
use sha2::{Digest, Sha256};

/// The only generator used: ChaCha with 8 rounds. It is pinned because `StdRng` and `SmallRng` change between versions.
pub type Rng = rand_chacha::ChaCha8Rng;

/// The stream of a seed for a scope (a host) and a label. The key is SHA-256 over all three.
pub fn stream_seed(seed: u64, scope: &str, label: &str) -> Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((scope.len() as u64).to_le_bytes());
    hash.update(scope);
    hash.update(label);
    Rng::from_seed(hash.finalize().into())
}
