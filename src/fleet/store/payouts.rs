//! Payouts: what the ledger owes a machine for a period.

use constcat::concat;

use super::payments::NewPayment;
use crate::store::{Statement, projects::rfc3339, shape::shape, sql};
#[cfg(test)]
use crate::{
    fleet::row::Wallet,
    openapi::{Count, Time},
};

/// The values of a new payout.
#[derive(Debug)]
pub(in crate::fleet) struct NewPayout<'a> {
    pub(in crate::fleet) wallet: &'a str,
    pub(in crate::fleet) from: i64,
    pub(in crate::fleet) to: i64,
    pub(in crate::fleet) seconds: i64,
    pub(in crate::fleet) payment: NewPayment<'a>,
}

shape! {
    // Uses the row `o` and its payment `p`.
    /// What a machine is owed for a period.
    pub(in crate::fleet) struct Payout, PAYOUT_JSON {
        walletAddress: Wallet = "o.wallet", Wallet::EXAMPLE;
        from: Time = rfc3339!("o.period_from"), Time("2026-11-21T09:00:00.000Z");
        to: Time = rfc3339!("o.period_to"), Time("2026-11-21T12:00:00.000Z");
        uptimeSeconds: Count = "o.uptime_seconds", Count(10_800);
        amount: &'static str = "p.amount", "10800000";
        paymentId: Count = "p.id", Count(1);
    }
}

/// Enters what is owed, unless a period that overlaps this one is closed
/// already. The first statement returns a row if it is entered now, and the
/// last one the payout of exactly this period.
pub(in crate::fleet) fn close(payout: &NewPayout<'_>, now: i64) -> [Statement; 3] {
    let NewPayout { wallet, from, to, seconds, payment } = payout;
    [
        sql!(
            "INSERT INTO payments (user_id, name, amount, creator, created_at)
             SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (
               SELECT 1 FROM payouts WHERE wallet = ?6 AND period_from < ?8 AND period_to > ?7
             ) RETURNING json_object('id', id) AS json",
            payment.user,
            payment.name,
            payment.amount,
            payment.creator,
            now,
            *wallet,
            *from,
            *to
        ),
        sql!(
            "INSERT INTO payouts (wallet, period_from, period_to, uptime_seconds, payment_id)
             SELECT ?1, ?2, ?3, ?4, (SELECT max(id) FROM payments) WHERE changes() > 0",
            *wallet,
            *from,
            *to,
            *seconds
        ),
        sql!(
            concat!(
                "SELECT ",
                PAYOUT_JSON,
                " AS json
                 FROM payouts o JOIN payments p ON p.id = o.payment_id
                 WHERE o.wallet = ?1 AND o.period_from = ?2 AND o.period_to = ?3"
            ),
            *wallet,
            *from,
            *to
        ),
    ]
}

/// The amounts that the ledger owes the machine of a wallet.
pub(in crate::fleet) fn owed(wallet: &str) -> Statement {
    sql!(
        "SELECT json_group_array(p.amount) AS json
         FROM payouts o JOIN payments p ON p.id = o.payment_id WHERE o.wallet = ?1",
        wallet
    )
}
