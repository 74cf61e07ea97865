//! Paths inside a project: `/` between names, none at the start.

/// The folder of a path, with its slash; empty at the root.
pub(crate) fn folder(path: &str) -> &str {
    path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or_default()
}

/// After the last dot of the name, without it.
pub(crate) fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// `path` as seen from `folder`, with `.` and `..` resolved. None above the root.
pub(crate) fn join(folder: &str, path: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in folder.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

/// How a module at `from` names the file at `to`.
pub(crate) fn relative(from: &str, to: &str) -> String {
    let (mut from, mut to) = (folder(from), to);
    while let (Some((ours, from_rest)), Some((theirs, to_rest))) = (from.split_once('/'), to.split_once('/'))
    {
        if ours != theirs {
            break;
        }
        (from, to) = (from_rest, to_rest);
    }
    match from.matches('/').count() {
        0 => format!("./{to}"),
        up => format!("{}{to}", "../".repeat(up)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_joined_and_never_leave_the_project() {
        assert_eq!(join("src/a/", "../b.ts").as_deref(), Some("src/b.ts"));
        assert_eq!(join("", "./a//b/./c").as_deref(), Some("a/b/c"));
        assert_eq!(join("src/", "../../x"), None);
    }

    proptest! {
        #[test]
        fn a_relative_path_leads_where_it_says(from in "([ab]/){0,4}[xy]", to in "([ab]/){0,4}[xy]") {
            let told = relative(&from, &to);
            prop_assert!(told.starts_with("./") || told.starts_with("../"));
            prop_assert_eq!(join(folder(&from), &told), Some(to));
        }
    }
}
