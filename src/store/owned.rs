//! What of a module's tables is somebody's: what they take along, what goes
//! when they delete their account, and what comes along when two accounts
//! become one. Every module with such tables has one [`Owned`]; routes.rs lists
//! them, and a test there finds a table with a user in it that none names.

use super::{Statement, page::Page};

/// What of a module's tables is somebody's.
#[derive(Debug)]
pub(crate) struct Owned {
    /// Every table of the module that has a user's id in it.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds it against migrations/"))]
    pub(crate) tables: &'static [&'static str],
    /// What a user takes along, in the order of the document.
    pub(crate) export: &'static [Section],
    /// Deletes what is the user's. What refers to a project goes with it, by
    /// `ON DELETE CASCADE`. The row of `users` is there until all have run.
    pub(crate) delete: fn(&str) -> Vec<Statement>,
    /// Gives what is the first one's to the second, if the first account is
    /// [`released`]. A guard among these refuses it while work goes on that
    /// nobody but the first one can end.
    pub(crate) give: fn(&str, &str) -> Vec<Statement>,
}

/// The name of a list in an export, and the list, a page at a time.
pub(crate) type Section = (&'static str, fn(&str, &Page) -> Statement);

/// The user `?1`, if their account has lost its only sign-in and so can be
/// given to another one. None once it is gone.
macro_rules! released {
    () => {
        "(SELECT id FROM users WHERE id = ?1 AND wallet_addr IS NULL AND stack_id IS NULL)"
    };
}
pub(crate) use released;

/// `UPDATE` of a table's owner, from a released account.
macro_rules! give {
    ($table:literal, $from:expr, $to:expr) => {
        $crate::store::sql!(
            concat!(
                "UPDATE ",
                $table,
                " SET user_id = ?2 WHERE user_id = ",
                $crate::store::owned::released!()
            ),
            $from,
            $to
        )
    };
}
pub(crate) use give;
