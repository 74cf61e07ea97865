//! Check digits.

/// Luhn's algorithm: payment cards, Canadian social insurance numbers.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, u32::from(*digit)) {
            (1, digit) if digit > 4 => 2 * digit - 9,
            (1, digit) => 2 * digit,
            (_, digit) => digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Verhoeff's algorithm, based on the symmetries of a pentagon: Indian identity numbers.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTED: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let permuted = |index: usize, digit: u8| {
        PERMUTED.get(index % 8).and_then(|row| row.get(usize::from(digit))).copied().unwrap_or(0)
    };
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |check, (index, digit)| turned(check, permuted(index, *digit)));
    check == 0
}

/// The product of two symmetries of a pentagon: 0 to 4 turn it, 5 to 9 turn and flip it.
fn turned(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// The remainder of a number of any length, as digits.
pub(super) fn remainder(digits: impl Iterator<Item = u32>, by: u32) -> u32 {
    digits.fold(0, |rest, digit| (rest * if digit > 9 { 100 } else { 10 } + digit) % by)
}

/// A Brazilian check digit, of the digits before it with these weights.
pub(super) fn brazilian(digits: &[u8], weights: impl Iterator<Item = u32>) -> u32 {
    let sum: u32 = digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}
