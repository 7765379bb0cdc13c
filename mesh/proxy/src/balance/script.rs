//! Scripted randomness, for tests that determine each draw.

use std::convert::Infallible;

use rand::TryRng;

/// Returns the numbers of a script, then panics.
pub(super) struct Script(Vec<u64>);

impl Script {
    pub(super) fn new(draws: &[u64]) -> Script {
        Script(draws.to_vec())
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::try_from(self.0.remove(0)).expect("the script has a number of 32 bits"))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.remove(0))
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        unreachable!("policies draw only numbers")
    }
}
