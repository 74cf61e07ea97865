//! Tells the code which migration is the newest: `GET /ready` asks the database
//! for it.

use std::{error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=migrations");
    let mut newest = String::new();
    for file in fs::read_dir("migrations")? {
        let name = file?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".sql") && name > newest {
            newest = name;
        }
    }
    println!("cargo::rustc-env=NEWEST_MIGRATION={newest}");
    Ok(())
}
