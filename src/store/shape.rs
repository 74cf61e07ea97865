//! Rows as the API shows them. A [`shape`] is the one place that defines a row's fields: it
//! generates the SQL that assembles the JSON and, for the OpenAPI contract, the type with its
//! schema and an example.

/// Defines a row's JSON. Each line has a field's JSON name, its type, its column or SQL expression,
/// and an example.
///
/// `shape! { struct Name, NAME_JSON { … } }` defines the constant `NAME_JSON` with the SQL and, in
/// tests, the type `Name` with `Name::example()`.
///
/// With `set(NAME_COLUMNS, NAME_VALUES, NAME_CHANGES)`, its `set { … }` lists the fields that
/// clients set. They are bound to `?3` as one JSON object. Columns and values are for an INSERT,
/// and each begins with a comma. Changes are for an UPDATE that keeps fields missing from the
/// object, and each assignment ends with a comma.
macro_rules! shape {
    (
        $(#[$doc:meta])*
        $visibility:vis struct $name:ident, $json:ident, set($columns:ident, $values:ident, $changes:ident) {
            $($before:tt)*
        }
        set {
            $($(#[$attribute:meta])* $field:ident: $type:ty = $column:literal, $example:expr;)+
        }
        then {
            $($after:tt)*
        }
    ) => {
        $crate::store::shape::shape! {
            $(#[$doc])*
            $visibility struct $name, $json {
                $($before)*
                $($(#[$attribute])* $field: $type = $column, $example;)+
                $($after)*
            }
        }

        $visibility const $columns: &str = concat!($(", ", $column),+);
        $visibility const $values: &str = concat!($(", json_extract(?3, '$.", stringify!($field), "')"),+);
        $visibility const $changes: &str = concat!($(
            $column, " = CASE WHEN json_type(?3, '$.", stringify!($field), "') IS NULL THEN ", $column,
            " ELSE json_extract(?3, '$.", stringify!($field), "') END, "
        ),+);
    };
    (
        $(#[$doc:meta])*
        $visibility:vis struct $name:ident, $json:ident {
            $(#[$first_attribute:meta])* $first:ident: $first_type:ty = $first_column:expr, $first_example:expr;
            $($(#[$attribute:meta])* $field:ident: $type:ty = $column:expr, $example:expr;)*
        }
    ) => {
        #[cfg(test)]
        #[derive(Debug, serde::Serialize, schemars::JsonSchema)]
        $(#[$doc])*
        #[allow(non_snake_case, reason = "a field has its name in the JSON")]
        $visibility struct $name {
            $(#[$first_attribute])*
            $visibility $first: $first_type,
            $($(#[$attribute])* $visibility $field: $type,)*
        }

        #[cfg(test)]
        impl $name {
            $visibility fn example() -> Self {
                Self { $first: $first_example, $($field: $example,)* }
            }
        }

        $visibility const $json: &str = constcat::concat!(
            "json_object('", stringify!($first), "', ", $first_column,
            $(", '", stringify!($field), "', ", $column,)*
            ")"
        );
    };
}
pub(crate) use shape;

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use serde_json::{Value, json};

    shape! {
        /// A row of the test.
        struct Tree, TREE_JSON, set(TREE_COLUMNS, TREE_VALUES, TREE_CHANGES) {
            id: i64 = "id", 1;
        }
        set {
            commonName: &'static str = "common_name", "oak";
            height: Option<f64> = "height", None;
        }
        then {
            isTall: bool = "json(iif(height > 20, 'true', 'false'))", false;
        }
    }

    fn run(tree: &Connection, sql: &str, set: &Value) -> Value {
        let json: String = tree.query_row(sql, (1, 0, set.to_string()), |row| row.get(0)).unwrap();
        hatch_json::from_str(&json).unwrap()
    }

    #[test]
    fn the_sql_and_the_type_have_the_same_fields_and_fields_that_are_not_set_stay() {
        let trees = Connection::open_in_memory().unwrap();
        trees.execute("CREATE TABLE trees (id INTEGER, common_name TEXT, height REAL)", ()).unwrap();
        let insert = constcat::concat!(
            "INSERT INTO trees (id",
            TREE_COLUMNS,
            ") SELECT ?1 + ?2",
            TREE_VALUES,
            " RETURNING ",
            TREE_JSON
        );
        let change = constcat::concat!(
            "UPDATE trees SET ",
            TREE_CHANGES,
            "id = ?1 WHERE ?2 = 0 RETURNING ",
            TREE_JSON
        );
        let inserted = run(&trees, insert, &json!({ "commonName": "oak" }));
        assert_eq!(inserted, json!(Tree::example()));
        let grown = run(&trees, change, &json!({ "height": 21.5 }));
        assert_eq!(grown, json!({ "id": 1, "commonName": "oak", "height": 21.5, "isTall": true }));
        let unknown = run(&trees, change, &json!({ "commonName": "elm", "height": null }));
        assert_eq!(unknown, json!({ "id": 1, "commonName": "elm", "height": null, "isTall": false }));
    }
}
