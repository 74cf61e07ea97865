//! Amounts of money on chain: exact uint256 in decimal.

use std::{fmt, str::FromStr};

use crypto_bigint::{CheckedAdd as _, NonZero, U256};

/// From 0 to 2^256 - 1, in the token's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(U256);

/// The text is not a decimal number without leading zeros, or has more than 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAnAmount;

impl fmt::Display for NotAnAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a whole number in decimal, from 0 to 2^256 - 1, as a string")
    }
}

impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let is_plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
        if !is_plain || text.is_empty() || text.len() > 78 {
            return Err(NotAnAmount);
        }
        let digits = text.bytes().map(|b| U256::from(b - b'0'));
        digits
            .into_iter()
            .try_fold(U256::ZERO, |number, digit| times(number, TEN)?.checked_add(&digit).into_option())
            .map(Self)
            .ok_or(NotAnAmount)
    }
}

const TEN: U256 = U256::from_u8(10);

fn times(a: U256, b: U256) -> Option<U256> {
    a.checked_mul(&b).into_option()
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ten = NonZero::<U256>::new_unwrap(TEN);
        let (mut rest, mut digits) = (self.0, Vec::new());
        loop {
            let (quotient, digit) = rest.div_rem(&ten);
            digits.push(char::from(b'0' + digit.to_le_bytes().as_ref().first().copied().unwrap_or_default()));
            rest = quotient;
            if rest == U256::ZERO {
                break;
            }
        }
        f.write_str(&digits.into_iter().rev().collect::<String>())
    }
}

impl Amount {
    /// This amount `count` times; none beyond 2^256 - 1.
    pub(super) fn times(self, count: u64) -> Option<Self> {
        times(self.0, U256::from(count)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn the_whole_range_and_nothing_else() {
        for text in ["0", "1", "10", MOST] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), text);
        }
        let above = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        for text in [
            "",
            "00",
            "01",
            "-1",
            "+1",
            "1.0",
            "1e3",
            "0x1",
            " 1",
            "١",
            above,
            &"9".repeat(78),
            &"1".repeat(79),
        ] {
            assert_eq!(text.parse::<Amount>(), Err(NotAnAmount), "{text}");
        }
    }

    #[test]
    fn a_product_that_does_not_fit_is_none() {
        assert_eq!(MOST.parse::<Amount>().unwrap().times(2), None);
        assert_eq!(MOST.parse::<Amount>().unwrap().times(1).unwrap().to_string(), MOST);
    }

    proptest! {
        #[test]
        fn products_are_exact(rate in 0_u64.., seconds in 0_u64..) {
            let exact = u128::from(rate) * u128::from(seconds);
            let amount: Amount = rate.to_string().parse().unwrap();
            prop_assert_eq!(amount.times(seconds).unwrap().to_string(), exact.to_string());
        }
    }
}
