//! Bytes from elsewhere: over HTTP, out of Python packages, out of zip archives.

use std::io::{Cursor, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Http(#[from] ureq::Error),
    #[error("{0}")]
    Zip(#[from] zip::result::ZipError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{}", .0.join("; "))]
    Pip(Vec<String>),
    #[error("{name}: {problem}")]
    Content { name: String, problem: String },
}

/// Far above any data set fetched here; keeps a wrong answer from filling the memory.
const MAX_BYTES: u64 = 256 << 20;

/// The body of `url`. Gives up on an unreachable host after seconds: another source may be near.
pub(super) fn http(url: &str) -> Result<Vec<u8>, FetchError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(Duration::from_secs(5)))
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_global(Some(Duration::from_secs(180)))
        .build()
        .into();
    Ok(agent.get(url).call()?.body_mut().with_config().limit(MAX_BYTES).read_to_vec()?)
}

/// The names that pip goes by.
const PIP: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip"], &["pip3"]];

/// The wheel of a Python package, `requirement` as in `name==1.0`, through the pip of this machine and its settings.
pub(super) fn wheel(requirement: &str) -> Result<Vec<u8>, FetchError> {
    let mut problems = Vec::new();
    for pip in PIP {
        let folder = tempfile::tempdir()?;
        match pip_download(pip, requirement, folder.path()) {
            Ok(()) => {
                let file = std::fs::read_dir(folder.path())?.next().transpose()?;
                match file.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "whl"))
                {
                    Some(path) => return Ok(std::fs::read(path)?),
                    None => problems.push(format!("{}: downloaded no wheel", pip.join(" "))),
                }
            }
            Err(problem) => problems.push(format!("{}: {problem}", pip.join(" "))),
        }
    }
    Err(FetchError::Pip(problems))
}

fn pip_download(pip: &[&str], requirement: &str, folder: &Path) -> Result<(), String> {
    let output = Command::new(pip[0])
        .args(&pip[1..])
        .args(["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"])
        // A source package would run its own code here.
        .args(["--only-binary=:all:", "--dest"])
        .arg(folder)
        .arg(requirement)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(format!("{}, {}", output.status, last.unwrap_or("without a message")))
}

/// The file `name` of a zip archive.
pub(super) fn member(archive: &[u8], name: &str) -> Result<Vec<u8>, FetchError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive))?;
    let file = archive
        .by_name(name)
        .map_err(|error| FetchError::Content { name: name.to_owned(), problem: error.to_string() })?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
