//! Detects personal data that may begin with a letter.

use super::checks::remainder;
use crate::cursor::Cursor;

/// An e-mail address, in any script.
pub(super) fn email(cursor: &mut Cursor<'_>) -> Option<usize> {
    let is_local = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    cursor.run(is_local, 64);
    cursor.next_if(|c| c == '@')?;
    let mut found = None;
    let mut room = 253;
    for labels in 1..=8 {
        let (mut count, mut is_name) = (0, true);
        while count < room.min(63)
            && let Some(c) = cursor.next_if(|c| c.is_alphanumeric() || c == '-')
        {
            count += 1;
            is_name &= c.is_alphabetic();
        }
        if count == 0 {
            break;
        }
        room -= count;
        if labels > 1 && is_name && count > 1 {
            found = Some(cursor.read());
        }
        let mut ahead = cursor.clone();
        let goes_on =
            ahead.next_if(|c| c == '.').is_some() && ahead.peek().is_some_and(char::is_alphanumeric);
        cursor.starve_if(ahead.is_starved());
        if !goes_on {
            break;
        }
        *cursor = ahead;
    }
    found
}

/// Countries and the lengths of their account numbers.
const IBAN_LENGTHS: [(&str, usize); 79] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// A bank account, in one piece or in groups.
pub(super) fn iban(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut account = String::with_capacity(34);
    for _ in 0..2 {
        account.push(cursor.next_if(|c| c.is_ascii_alphabetic())?.to_ascii_uppercase());
    }
    let (_, length) = IBAN_LENGTHS.iter().find(|(country, _)| *country == account)?;
    for _ in 0..2 {
        account.push(cursor.next_if(|c| c.is_ascii_digit())?);
    }
    while account.len() < *length {
        cursor.next_if(|c| matches!(c, ' ' | '-' | '\u{a0}'));
        account.push(cursor.next_if(|c| c.is_ascii_alphanumeric())?.to_ascii_uppercase());
    }
    let (head, tail) = account.split_at_checked(4)?;
    let digits = tail.chars().chain(head.chars()).filter_map(|c| c.to_digit(36));
    (remainder(digits, 97) == 1 && cursor.is_at_word_end()).then(|| cursor.read())
}

/// A British national insurance number.
pub(super) fn nino(cursor: &mut Cursor<'_>) -> Option<usize> {
    let first = cursor.next_if(|c| c.is_ascii_uppercase() && !"DFIQUV".contains(c))?;
    let second = cursor.next_if(|c| c.is_ascii_uppercase() && !"DFIOQUV".contains(c))?;
    if matches!((first, second), ('B', 'G') | ('G', 'B') | ('N', 'K' | 'T') | ('K' | 'T', 'N') | ('Z', 'Z')) {
        return None;
    }
    for _ in 0..3 {
        cursor.next_if(|c| c == ' ');
        cursor.next_if(|c| c.is_ascii_digit())?;
        cursor.next_if(|c| c.is_ascii_digit())?;
    }
    cursor.next_if(|c| c == ' ');
    cursor.next_if(|c| matches!(c, 'A'..='D'))?;
    cursor.is_at_word_end().then(|| cursor.read())
}

/// A Singaporean identity number.
pub(super) fn nric(cursor: &mut Cursor<'_>) -> Option<usize> {
    let series = cursor.next_if(|c| "STFGM".contains(c))?;
    let mut sum = match series {
        'T' | 'G' => 4,
        'M' => 3,
        _ => 0,
    };
    for weight in [2, 7, 6, 5, 4, 3, 2] {
        sum += weight * usize::try_from(cursor.next_if(|c| c.is_ascii_digit())?.to_digit(10)?).ok()?;
    }
    let letters = match series {
        'S' | 'T' => "JZIHGFEDCBA",
        'M' => "KLJNPQRTUWX",
        _ => "XWUTRQPNMLK",
    };
    let at = if series == 'M' { 10 - sum % 11 } else { sum % 11 };
    let letter = cursor.next_if(|c| c.is_ascii_uppercase())?;
    (letters.chars().nth(at) == Some(letter) && cursor.is_at_word_end()).then(|| cursor.read())
}

/// An Italian tax code: surname, name, birth, place, and a check letter.
pub(super) fn codice_fiscale(cursor: &mut Cursor<'_>) -> Option<usize> {
    /// The value of a character in an odd position.
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let mut sum = 0;
    for (index, part) in "LLLLLLddLddLddd".chars().enumerate() {
        let c = cursor.next_if(|c| if part == 'd' { c.is_ascii_digit() } else { c.is_ascii_uppercase() })?;
        let value = c.to_digit(36)?;
        let value = if part == 'd' { value } else { value - 10 };
        sum += if index % 2 == 0 { *ODD.get(usize::try_from(value).ok()?)? } else { value };
    }
    let letter = cursor.next_if(|c| c.is_ascii_uppercase())?.to_digit(36)? - 10;
    (letter == sum % 26 && cursor.is_at_word_end()).then(|| cursor.read())
}
