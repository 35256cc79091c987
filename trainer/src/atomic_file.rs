//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

/// What names of files begin with until they are whole.
const TEMPORARY: &str = ".chord-partial-";

/// Removes what killed processes left in `folder` of files that they had begun. Nobody else may be writing there.
pub fn sweep(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY)) {
        let _ = std::fs::remove_file(entry.path());
    }
}

/// Writes `content` to a temporary file in the folder of `path`, syncs it and renames it to `path`.
///
/// # Errors
/// What the system says; then nothing new stays behind.
pub fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    // A link stays one, and what is not a file (a pipe, a terminal, /dev/null) is written to and not replaced.
    let target = match path.canonicalize() {
        Ok(target) if !target.is_file() && !target.is_dir() => return std::fs::write(target, content),
        Ok(target) => target,
        Err(_) => path.to_owned(),
    };
    let path = target.as_path();
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // Temporary files are private; this one becomes an ordinary file under the user's umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/model.chord");
        write(&path, b"first").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let plain = folder.path().join("plain");
            std::fs::write(&plain, b"").unwrap();
            let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode(&path), mode(&plain), "as readable as any other file");
        }
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(format!("{TEMPORARY}x1"));
        std::fs::write(&left, b"half").unwrap();
        write(&folder.path().join("whole"), b"").unwrap();
        sweep(folder.path());
        assert!(!left.exists() && folder.path().join("whole").exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, b"").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"bytes").unwrap();
        assert!(link.is_symlink() && std::fs::read(&file).unwrap() == b"bytes");
        std::os::unix::fs::symlink("/dev/null", folder.path().join("null")).unwrap();
        write(&folder.path().join("null"), b"bytes").unwrap();
        assert_eq!(std::fs::read("/dev/null").unwrap(), b"");
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        std::fs::create_dir_all(taken.join("inside")).unwrap();
        write(&taken, b"bytes").unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
