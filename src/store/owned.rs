//! The users' data of a module: what users export, what is deleted with an account, and what moves
//! when two accounts are merged. Every module with such tables has one [`Owned`]; routes.rs lists
//! them, and a test there finds a table with a user id that none names.

use super::{Statement, page::Page};

/// The users' data in a module's tables.
#[derive(Debug)]
pub(crate) struct Owned {
    /// Every table of the module that contains a user id.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds it against migrations/"))]
    pub(crate) tables: &'static [&'static str],
    /// The lists of an export, in the order of the document.
    pub(crate) export: &'static [Section],
    /// The lists of them whose rows may have a `file`: the key of an object in the bucket, with members that
    /// are too large for the row.
    pub(crate) in_files: &'static [&'static str],
    /// Deletes the user's rows. Rows that refer to a project are deleted with it (`ON DELETE
    /// CASCADE`). The row of `users` exists until all these statements have run.
    pub(crate) delete: fn(&str) -> Vec<Statement>,
    /// Moves the rows of the first user to the second, if the first account is [`released`]. A
    /// guard among the statements refuses this while work is running that only the first user can
    /// stop.
    pub(crate) give: fn(&str, &str) -> Vec<Statement>,
}

/// The name of a list in an export, and the statement for one page of it.
pub(crate) type Section = (&'static str, fn(&str, &Page) -> Statement);

/// The id of user `?1`, if the account has lost its only sign-in and can therefore be merged into
/// another. `NULL` once it is deleted.
macro_rules! released {
    () => {
        "(SELECT id FROM users WHERE id = ?1 AND wallet_addr IS NULL AND stack_id IS NULL)"
    };
}
pub(crate) use released;

/// An `UPDATE` of a table's owner, from a released account.
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
