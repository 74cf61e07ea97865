//! Detects personal data that has a recognisable format, verified by check digits where they exist.

mod checks;
mod numbers;
mod text;

use crate::PiiKind;
use crate::cursor::Cursor;

/// Reads from the cursor and returns the length of the match in bytes.
type Detector = fn(&mut Cursor<'_>) -> Option<usize>;

/// The characters that a value can begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Digit,
    Letter,
    Either,
    /// A digit, `+` or `(`.
    Phone,
}

impl Start {
    fn fits(self, c: char) -> bool {
        match self {
            Self::Digit => c.is_ascii_digit(),
            Self::Letter => c.is_ascii_alphabetic(),
            Self::Either => c.is_alphanumeric() || c == '_',
            Self::Phone => c.is_ascii_digit() || matches!(c, '+' | '('),
        }
    }
}

/// Kind, name, whether it is on by default, first characters, and detector. Earlier entries win.
const DETECTORS: [(PiiKind, &str, bool, Start, Detector); 16] = [
    (PiiKind::Email, "email", true, Start::Either, text::email),
    (PiiKind::Card, "card", true, Start::Digit, numbers::card),
    (PiiKind::Iban, "iban", true, Start::Letter, text::iban),
    (PiiKind::Ssn, "ssn", true, Start::Digit, numbers::ssn),
    (PiiKind::Cpf, "cpf", true, Start::Digit, numbers::cpf),
    (PiiKind::Cnpj, "cnpj", true, Start::Digit, numbers::cnpj),
    (PiiKind::Nir, "nir", true, Start::Digit, numbers::nir),
    (PiiKind::Aadhaar, "aadhaar", true, Start::Digit, numbers::aadhaar),
    (PiiKind::Sin, "sin", true, Start::Digit, numbers::sin),
    (PiiKind::Dni, "dni", true, Start::Either, numbers::dni),
    (PiiKind::Nino, "nino", true, Start::Letter, text::nino),
    (PiiKind::CodiceFiscale, "codice-fiscale", true, Start::Letter, text::codice_fiscale),
    (PiiKind::Nric, "nric", true, Start::Letter, text::nric),
    (PiiKind::Bsn, "bsn", true, Start::Letter, numbers::bsn),
    (PiiKind::Phone, "phone", true, Start::Phone, numbers::phone),
    (PiiKind::Ip, "ip", false, Start::Digit, numbers::ip),
];

/// Reports the personal data at the cursor, of the given kinds, or of the default kinds if none is given.
pub(crate) fn detect(
    cursor: &mut Cursor<'_>,
    kinds: &[PiiKind],
    found: &mut impl FnMut(&'static str, usize),
) {
    let Some(first) = cursor.peek() else { return };
    if !cursor.is_word_start() {
        return;
    }
    for (kind, name, is_usual, start, detector) in DETECTORS {
        let is_wanted = if kinds.is_empty() { is_usual } else { kinds.contains(&kind) };
        if !is_wanted || !start.fits(first) {
            continue;
        }
        let mut ahead = cursor.clone();
        if let Some(bytes) = detector(&mut ahead) {
            found(name, bytes);
        }
        cursor.starve_if(ahead.is_starved());
    }
}
