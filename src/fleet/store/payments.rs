//! Payments: the entries of the ledger.

use constcat::concat;

use super::owner::{is_theirs, of_user};
use crate::store::{Statement, page, page::Page, projects::rfc3339, shape::shape, sql};
#[cfg(test)]
use crate::{
    fleet::row::Wallet,
    openapi::{Count, Time},
};

shape! {
    /// A payment in the ledger.
    pub(in crate::fleet) struct Payment, PAYMENT_JSON {
        id: Count = "id", Count(1);
        name: &'static str = "name", "November";
        /// A uint256 in decimal.
        amount: &'static str = "amount", "1000000000000000000";
        creator: Wallet = "creator", Wallet::EXAMPLE;
        /// The hash in the form of the wallet's chain: without 0x on Stellar.
        txHash: Option<&'static str> = "iif(creator GLOB 'G*', substr(tx_hash, 3), tx_hash)",
            Some("0x2f1c5c2b44f771e942a8506148e256f94f1a464babc938ae0690c6e34cd79190");
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

/// The values of a new payment.
#[derive(Debug)]
pub(in crate::fleet) struct NewPayment<'a> {
    pub(in crate::fleet) user: &'a str,
    pub(in crate::fleet) name: &'a str,
    pub(in crate::fleet) amount: &'a str,
    pub(in crate::fleet) creator: &'a str,
    pub(in crate::fleet) tx_hash: Option<&'a str>,
}

/// Enters a payment and returns it; no row when its transaction is entered
/// already, or the payment itself: `entry` is the same for each retry of one request.
pub(in crate::fleet) fn pay(new: &NewPayment<'_>, entry: &str, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO payments (entry_id, user_id, name, amount, creator, tx_hash, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING RETURNING ",
            PAYMENT_JSON,
            " AS json"
        ),
        entry,
        new.user,
        new.name,
        new.amount,
        new.creator,
        new.tx_hash,
        now
    )
}

pub(in crate::fleet) fn payment_of(entry: &str, tx_hash: Option<&str>, user: &str) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            PAYMENT_JSON,
            " AS json FROM payments WHERE (entry_id = ?1 OR tx_hash = ?2) AND user_id = ?3"
        ),
        entry,
        tx_hash,
        user
    )
}

pub(in crate::fleet) fn payment(id: i64, user: Option<&str>) -> Statement {
    sql!(
        concat!("SELECT ", PAYMENT_JSON, " AS json FROM payments WHERE id = ?1 AND ", is_theirs!()),
        id,
        user
    )
}

macro_rules! payments_page {
    ($rows:expr) => {
        page!(
            rows: concat!("FROM ", $rows, " WHERE (?5 IS NULL OR creator = ?5)
                   AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC"),
            key: "created_at || '.' || id",
            json: PAYMENT_JSON,
            bytes: "0"
        )
    };
}

/// A page of the payments that `user` entered or received, or of all payments.
pub(in crate::fleet) fn payments(user: Option<&str>, creator: Option<&str>, page: &Page) -> Statement {
    let (key, id) = page.bound();
    // Ids are numbers; without a cursor the bound is above all of them.
    let id = id.parse::<i64>().unwrap_or(i64::MAX >> 11);
    let mut list = sql!(payments_page!(of_user!("payments")), user, key, id, page.limit, creator);
    if user.is_none() {
        list.sql = payments_page!("(SELECT * FROM payments WHERE ?1 IS NULL)");
    }
    list
}
