//! A source of randomness for tests that choose a draw.

use std::convert::Infallible;

use rand::TryRng;

/// Always returns the same number.
pub(crate) struct ConstantRng(pub(crate) u64);

impl TryRng for ConstantRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("deciders draw 64 bits")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        unreachable!("deciders draw numbers")
    }
}
