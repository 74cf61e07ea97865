//! Books what an answer costs while it arrives.

use std::cell::Cell;

use super::reservations::Reservation;
use crate::{
    error::Error,
    store::{Database, Statement},
};

/// Books the cost of an answer while it arrives, so that also a stopped or
/// killed consumer pays for what it got. `spend` makes the statement by which
/// the work itself counts a part of the cost.
#[derive(Debug)]
pub(crate) struct Booking<'a> {
    reservation: &'a Reservation,
    database: &'a Database,
    booked: Cell<i64>,
}

impl<'a> Booking<'a> {
    pub(crate) fn new(reservation: &'a Reservation, database: &'a Database) -> Self {
        Self { reservation, database, booked: Cell::new(0) }
    }

    /// Books what has arrived so far and has cost `cost`. A booking that fails
    /// is made up for by the next one.
    pub(crate) async fn book(&self, cost: i64, spend: impl Fn(i64) -> Statement) {
        let more = cost - self.booked.get();
        if more <= 0 {
            return;
        }
        let mut batch = vec![spend(more)];
        let draw = self.reservation.draw(cost);
        let draws = draw.is_some();
        batch.extend(draw);
        let Ok(rows) = self.database.batch_all(batch).await else { return };
        if draws && rows.last().is_some_and(|rows| !rows.is_empty()) {
            self.reservation.has_drawn(cost);
        }
        self.booked.set(cost);
    }

    /// Books what the whole answer has cost, and returns the rest of the reservation.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn finish(&self, cost: i64, spend: impl Fn(i64) -> Statement) -> Result<(), Error> {
        let mut batch = vec![spend(cost - self.booked.get())];
        batch.extend(self.reservation.reconcile(cost)?);
        self.database.batch_all(batch).await.map(drop)
    }
}
