//! What the workspace tests share: where the repository is, and which files git tracks in it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file that git tracks or would track, relative to [`root`].
///
/// # Errors
/// When git cannot be run or answers with an error.
pub fn tracked_files() -> std::io::Result<Vec<PathBuf>> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()?;
    if !listing.status.success() {
        return Err(std::io::Error::other(String::from_utf8_lossy(&listing.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&listing.stdout)
        .lines()
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect())
}
