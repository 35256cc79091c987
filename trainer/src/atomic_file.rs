//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

/// Writes `content` to a temporary file in the folder of `path`, syncs it and renames it to `path`.
///
/// # Errors
/// What the system says; then nothing new stays behind.
pub fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
