//! A fraction of requests, to which a filter or a mirror applies.

/// A share of requests, `numerator` in `denominator`. Source: Envoy, `FractionalPercent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestShare {
    pub numerator: u32,
    /// Never 0.
    pub denominator: u32,
}

impl RequestShare {
    pub const NONE: RequestShare = RequestShare {
        numerator: 0,
        denominator: 100,
    };
    pub const ALL: RequestShare = RequestShare {
        numerator: 100,
        denominator: 100,
    };

    /// Returns true if a random number falls into the share. A share of none or of all does not draw one.
    /// Source: Envoy, `ProtobufPercentHelper::evaluateFractionalPercent`.
    pub fn takes(self, random: impl FnOnce() -> u64) -> bool {
        if self.numerator == 0 {
            false
        } else if self.numerator >= self.denominator {
            true
        } else {
            random() % u64::from(self.denominator) < u64::from(self.numerator)
        }
    }
}
