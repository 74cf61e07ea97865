//! The rows of a user: conditions of statements about deployments and payments.

/// Whether a deployment or a payment belongs to the user `?2`, who entered it or
/// whose wallet it is for; always true without `?2`.
macro_rules! is_theirs {
    () => {
        "(?2 IS NULL OR user_id = ?2 OR creator = (SELECT wallet_addr FROM users WHERE id = ?2))"
    };
}
pub(super) use is_theirs;

/// Selects the rows of a table that belong to the user `?1`: those that they
/// entered, and those for their wallet. Each half walks its own index in the
/// list's order, and SQLite merges the two.
macro_rules! of_user {
    ($table:literal) => {
        concat!(
            "(SELECT * FROM ",
            $table,
            " WHERE user_id = ?1 UNION ALL SELECT * FROM ",
            $table,
            " WHERE creator = (SELECT wallet_addr FROM users WHERE id = ?1) AND user_id <> ?1)"
        )
    };
}
pub(super) use of_user;
