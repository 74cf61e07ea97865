//! Detects numbers that identify a person or an account.

use super::checks::{brazilian, luhn, remainder, verhoeff};
use crate::cursor::{Cursor, is_word};

/// Reads a number in a fixed format and returns its digits: `d` is a digit, `s` an optional space or dash, other
/// characters stand for themselves.
pub(super) fn shaped(cursor: &mut Cursor<'_>, shape: &str) -> Option<Vec<u8>> {
    let mut digits = Vec::with_capacity(shape.len());
    for part in shape.chars() {
        match part {
            'd' => digits.push(digit(cursor)?),
            's' => drop(cursor.next_if(is_separator)),
            _ => drop(cursor.next_if(|c| c == part)?),
        }
    }
    is_number_end(cursor).then_some(digits)
}

fn digit(cursor: &mut Cursor<'_>) -> Option<u8> {
    let digit = cursor.next_if(|c| c.is_ascii_digit())?.to_digit(10)?;
    u8::try_from(digit).ok()
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '\u{a0}')
}

/// Whether the number ends here: no letter or digit follows, not even after a dash.
fn is_number_end(cursor: &mut Cursor<'_>) -> bool {
    if !cursor.is_at_word_end() {
        return false;
    }
    let mut ahead = cursor.clone();
    let goes_on = ahead.next_if(|c| c == '-').is_some() && ahead.peek().is_some_and(|c| c.is_ascii_digit());
    cursor.starve_if(ahead.is_starved());
    !goes_on
}

/// A payment card's number, in one piece or in groups of at least three digits. Of a longer number, such as one
/// followed by a date, the first groups count.
pub(super) fn card(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut digits = Vec::with_capacity(19);
    let mut found = None;
    loop {
        let group = digits.len();
        while digits.len() < 19
            && let Some(digit) = digit(cursor)
        {
            digits.push(digit);
            if digits.len() == 2 && !is_issued(&digits) {
                return None;
            }
        }
        if digits.len() < group + 3 {
            break;
        }
        let is_whole = digits.len() >= 13 && cursor.is_at_word_end() && is_issued(&digits) && luhn(&digits);
        found = if is_whole { Some(cursor.read()) } else { found };
        if digits.len() == 19 || !goes_on(cursor) {
            break;
        }
    }
    found
}

/// Reads one separator if a digit follows it.
fn goes_on(cursor: &mut Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    let goes_on = ahead.next_if(is_separator).is_some() && ahead.peek().is_some_and(|c| c.is_ascii_digit());
    cursor.starve_if(ahead.is_starved());
    if goes_on {
        *cursor = ahead;
    }
    goes_on
}

/// Whether a card network uses these first two digits.
fn is_issued(digits: &[u8]) -> bool {
    match *digits {
        [first, second, ..] => {
            matches!((first, second), (3, 0 | 4..=9) | (4, _) | (5, _) | (6, _) | (2, 2..=7))
        }
        _ => true,
    }
}

/// A United States social security number in the issued ranges, or a taxpayer number.
pub(super) fn ssn(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut spaced = cursor.clone();
    let dashed = shaped(cursor, "ddd-dd-dddd");
    let digits = match dashed {
        Some(digits) => digits,
        None => {
            let digits = shaped(&mut spaced, "ddd dd dddd");
            spaced.starve_if(cursor.is_starved());
            *cursor = spaced;
            digits?
        }
    };
    let number = |from: usize, to: usize| {
        remainder(digits.get(from..to).unwrap_or_default().iter().map(|d| u32::from(*d)), 10_000)
    };
    let (area, group, serial) = (number(0, 3), number(3, 5), number(5, 9));
    let is_taxpayer = area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    let is_person = !matches!(area, 0 | 666 | 900..) && group > 0 && serial > 0;
    (is_taxpayer || is_person).then(|| cursor.read())
}

/// A Canadian social insurance number.
pub(super) fn sin(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut spaced = cursor.clone();
    let dashed = shaped(cursor, "ddd-ddd-ddd");
    let digits = match dashed {
        Some(digits) => digits,
        None => {
            let digits = shaped(&mut spaced, "ddd ddd ddd");
            spaced.starve_if(cursor.is_starved());
            *cursor = spaced;
            digits?
        }
    };
    let is_issued = !matches!(digits.first(), Some(0 | 8));
    (is_issued && luhn(&digits)).then(|| cursor.read())
}

pub(super) fn cpf(cursor: &mut Cursor<'_>) -> Option<usize> {
    let digits = shaped(cursor, "ddd.ddd.ddd-dd")?;
    let first = brazilian(digits.get(..9)?, (2..=10).rev());
    let second = brazilian(digits.get(..10)?, (2..=11).rev());
    ends_in(&digits, first, second).then(|| cursor.read())
}

pub(super) fn cnpj(cursor: &mut Cursor<'_>) -> Option<usize> {
    let digits = shaped(cursor, "dd.ddd.ddd/dddd-dd")?;
    let weights = || (2..=9).rev().cycle();
    let first = brazilian(digits.get(..12)?, weights().skip(4));
    let second = brazilian(digits.get(..13)?, weights().skip(3));
    ends_in(&digits, first, second).then(|| cursor.read())
}

fn ends_in(digits: &[u8], first: u32, second: u32) -> bool {
    matches!(*digits, [.., a, b] if u32::from(a) == first && u32::from(b) == second)
        && digits.iter().any(|digit| Some(digit) != digits.first())
}

/// An Indian identity number, in its three groups.
pub(super) fn aadhaar(cursor: &mut Cursor<'_>) -> Option<usize> {
    if matches!(cursor.peek()?, '0' | '1') {
        return None;
    }
    let digits = shaped(cursor, "dddd dddd dddd")?;
    let read = cursor.read();
    (verhoeff(&digits) && !goes_on(cursor)).then_some(read)
}

/// A Spanish identity number: of a citizen, or of a foreigner, with a letter in place of the first digit.
pub(super) fn dni(cursor: &mut Cursor<'_>) -> Option<usize> {
    const LETTERS: &str = "TRWAGMYFPDXBNJZSQVHLCKE";
    let first = cursor.next()?;
    let leading = match first {
        'X' => 0,
        'Y' => 1,
        'Z' => 2,
        _ => first.to_digit(10)?,
    };
    let mut number = leading;
    for _ in 0..7 {
        number = number * 10 + u32::from(digit(cursor)?);
    }
    cursor.next_if(|c| c == '-');
    let letter = cursor.next_if(|c| c.is_ascii_uppercase())?;
    let expected = LETTERS.chars().nth(usize::try_from(number % 23).ok()?);
    (expected == Some(letter) && cursor.is_at_word_end()).then(|| cursor.read())
}

/// A French social security number: sex, year, month, place, order, and a key.
pub(super) fn nir(cursor: &mut Cursor<'_>) -> Option<usize> {
    let digits = shaped(cursor, "dsddsddsddsdddsdddsdd")?;
    let (number, key) = digits.split_at_checked(13)?;
    let value = |digits: &[u8]| remainder(digits.iter().map(|digit| u32::from(*digit)), 97);
    let is_dated = matches!(*number, [1 | 2, _, _, 0, 1..=9, ..] | [1 | 2, _, _, 1, 0..=2, ..]);
    (is_dated && key.iter().fold(0, |key, digit| key * 10 + u32::from(*digit)) == 97 - value(number))
        .then(|| cursor.read())
}

/// A Dutch citizen service number. Every eleventh number passes the check, so the text must also name it.
pub(super) fn bsn(cursor: &mut Cursor<'_>) -> Option<usize> {
    for letter in ['b', 's', 'n'] {
        cursor.next_if(|c| c.eq_ignore_ascii_case(&letter))?;
    }
    cursor.run(|c| matches!(c, ' ' | ':' | '-' | '='), 3);
    let digits = shaped(cursor, "ddddddddd")?;
    let (last, others) = digits.split_last()?;
    let sum: u32 = others.iter().zip((2..=9).rev()).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    (sum > 0 && sum % 11 == u32::from(*last)).then(|| cursor.read())
}

/// A telephone number: with `+` and a country code, or in North American format.
pub(super) fn phone(cursor: &mut Cursor<'_>) -> Option<usize> {
    if cursor.next_if(|c| c == '+').is_some() { international(cursor) } else { north_american(cursor) }
}

fn international(cursor: &mut Cursor<'_>) -> Option<usize> {
    if matches!(cursor.peek()?, '0') {
        return None;
    }
    let mut count = 0;
    let mut end = 0;
    loop {
        count += cursor.run(|c| c.is_ascii_digit(), 16 - count);
        end = if count > 0 { cursor.read().max(end) } else { return None };
        if count > 15 {
            return None;
        }
        let mut ahead = cursor.clone();
        let gap = ahead.run(|c| is_separator(c) || matches!(c, '.' | '(' | ')' | '/'), 3);
        let goes_on = gap > 0 && ahead.peek().is_some_and(|c| c.is_ascii_digit());
        cursor.starve_if(ahead.is_starved());
        if !goes_on {
            break;
        }
        *cursor = ahead;
    }
    (count >= 8 && cursor.is_at_word_end()).then_some(end)
}

fn north_american(cursor: &mut Cursor<'_>) -> Option<usize> {
    let is_gap = |c: char| is_separator(c) || c == '.';
    if cursor.next_if(|c| c == '1').is_some() {
        cursor.next_if(is_gap)?;
    }
    let is_bracketed = cursor.next_if(|c| c == '(').is_some();
    three(cursor)?;
    if is_bracketed {
        cursor.next_if(|c| c == ')')?;
        cursor.next_if(|c| c == ' ');
    } else {
        cursor.next_if(is_gap)?;
    }
    three(cursor)?;
    cursor.next_if(is_gap)?;
    (0..4).try_for_each(|_| digit(cursor).map(drop))?;
    is_number_end(cursor).then(|| cursor.read())
}

/// An area code or an exchange code: its first digit is 2 to 9.
fn three(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.next_if(|c| matches!(c, '2'..='9'))?;
    digit(cursor)?;
    digit(cursor).map(drop)
}

pub(super) fn ip(cursor: &mut Cursor<'_>) -> Option<usize> {
    for index in 0..4 {
        if index > 0 {
            cursor.next_if(|c| c == '.')?;
        }
        let mut octet = u32::from(digit(cursor)?);
        for _ in 0..2 {
            octet = digit(cursor).map_or(octet, |digit| octet * 10 + u32::from(digit));
        }
        if octet > 255 {
            return None;
        }
    }
    let read = cursor.read();
    let mut ahead = cursor.clone();
    let goes_on = ahead.next_if(|c| c == '.').is_some() && ahead.peek().is_some_and(is_word);
    cursor.starve_if(ahead.is_starved());
    (cursor.is_at_word_end() && !goes_on).then_some(read)
}
